"""`python -m assembly` is the command `assembly`."""

import signal
import sys


def main() -> None:
    """Run the command line, the entry point of `assembly`; Ctrl-C while it is still loaded ends it in one line, too."""
    try:
        from assembly.cli import main as run

        run()
    except KeyboardInterrupt:
        print("stopped.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
