"""How every command behaves: its console, its errors in one line, Ctrl-C, the words it was called with."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import typer
from rich.console import Console

from assembly.errors import ArgumentError, AssemblyError

SECONDS_BETWEEN_LINES = 10.0  # of progress, when the output is no terminal
_STOPPING = (signal.SIGINT, signal.SIGTERM)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: stop as after Ctrl-C."""

    number = signal.SIGTERM


def make_console(*, stderr: bool = False) -> Console:
    """Return a console, wide where nobody looks."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = 140
    return console


@contextmanager
def polite(resume: str = "", options: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn errors into one line and an exit code.

    After Ctrl-C `resume` is said. Arguments of a function that the user gave by options are called by those: `options`
    has the option of each.
    """

    def stop(number: int, _: object) -> None:
        for one in _STOPPING:  # once is enough: from here on everything is put in order, and nothing may cut that short
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else _Terminated

    before = {number: signal.signal(number, stop) for number in _STOPPING}
    try:
        yield
    except AssemblyError as error:
        for line in str(error).splitlines():
            print(f"error: {_of_options(line, options or {})}", file=sys.stderr)
        raise typer.Exit(2) from None
    except KeyboardInterrupt as error:
        print(f"stopped.{f' {resume}' if resume else ''}", file=sys.stderr)
        raise typer.Exit(128 + getattr(error, "number", signal.SIGINT)) from None
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is stop:
                signal.signal(number, handler)


def _of_options(line: str, options: Mapping[str, str]) -> str:
    """Return a sentence on arguments as one on the options that gave them."""

    def told(found: re.Match[str]) -> str:
        name, index = found.groups()
        option = name if name.startswith("--") else options.get(name)
        if option is None:
            return found[0]
        return f"'{option}{index}' {'option' if option.startswith('--') else 'argument'}"

    return re.sub(r"'([-\w]+)((?:\[\d+\])?)' argument", told, line)


def command_line() -> str:
    """Return the words this command was called with."""
    return shlex.join(["assembly", *sys.argv[1:]])


def whole_numbers(option: str, text: str) -> list[int]:
    """Return the numbers of an option that takes several."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentError(f"The '{option}' option must be whole numbers separated by commas. Got {text!r}.") from None


def rounded(seconds: float) -> str:
    """Return a time in words, as short as it is rough."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def first_clause(text: str) -> str:
    """Return what comes before the first colon or semicolon: a line, not a lesson."""
    return re.split("[:;]", text, maxsplit=1)[0].rstrip(".")
