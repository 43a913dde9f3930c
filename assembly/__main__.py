"""`python -m assembly` is the command `assembly`."""

from assembly.cli import main

if __name__ == "__main__":
    main()
