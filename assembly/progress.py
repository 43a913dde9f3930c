"""Word of a long operation on standard error: what it is, how far it is, and about how much is left."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TextIO

PATIENCE = 5.0  # seconds before the first word
PAUSE_IN_PLACE = 0.5  # seconds between words on a terminal, where each overwrites the one before,
PAUSE_BETWEEN_LINES = 10.0  # and elsewhere

_silent = False
_check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)


def silence() -> None:
    """Say nothing from now on in this process, as in a worker whose driver has a display of its own."""
    global _silent
    _silent = True


@contextmanager
def silenced() -> Iterator[None]:
    """Say nothing in this process until the block ends, while another display has the terminal."""
    global _silent
    before, _silent = _silent, True
    try:
        yield
    finally:
        _silent = before


@contextmanager
def watched(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` whenever a long operation of this thread could give word, until the block ends.

    What it raises ends the operation: between two steps, as Ctrl-C would.

    Parameters
    ----------
    check : callable
        Cheap: it is called at every step.

    Examples
    --------
    >>> steps = []
    >>> with watched(lambda: steps.append("asked")), progress("counting") as shown:
    ...     shown.tell("1 of 2")
    >>> steps
    ['asked']
    """
    before = _check.set(check)
    try:
        yield
    finally:
        _check.reset(before)


def heed() -> None:
    """Let whoever watches this thread end the operation here, between two steps that give no word."""
    check = _check.get()
    if check is not None:
        check()


class Progress:
    """One operation that may take long; made by `progress`."""

    def __init__(self, what: str, stream: TextIO | None) -> None:
        self._what, self._stream = what, stream
        self._in_place = stream is not None and stream.isatty()
        self._start = time.monotonic()
        self._next = self._start + PATIENCE
        self._length = 0

    def tell(self, how_far: str, fraction: float | None = None) -> None:
        """Show how far the operation is, unless it began, or was last shown, a moment ago.

        Parameters
        ----------
        how_far : str
        fraction : float, optional
            Share of the work that is done, for the time that is left.
        """
        heed()
        now = time.monotonic()
        if self._stream is None or now < self._next:
            return
        spent = now - self._start
        if not fraction:
            told = f", {duration(spent)} so far"
        else:
            told = f", about {duration(spent / fraction - spent)} left" if fraction < 1.0 else ""
        self._write(f"{self._what}: {how_far}{told}")
        self._next = now + (PAUSE_IN_PLACE if self._in_place else PAUSE_BETWEEN_LINES)

    def close(self) -> None:
        """Leave the line empty for whatever comes next."""
        if self._in_place and self._length:
            self._write("")

    def _write(self, text: str) -> None:
        assert self._stream is not None
        if self._in_place:
            text = text[: shutil.get_terminal_size().columns - 1]
        padded = text.ljust(self._length)
        self._length = len(text)
        with suppress(OSError, ValueError):  # nobody listens: the operation goes on
            self._stream.write(f"\r{padded}\r{text}" if self._in_place else f"{text}\n")
            self._stream.flush()


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Give word of one operation from its fifth second on; cleared when it ends, in whatever way.

    Updated in place on a terminal, elsewhere a line every ten seconds. Call `Progress.tell` between chunks of the work,
    where Ctrl-C takes effect too.

    Parameters
    ----------
    what : str
        Name of the operation.

    Examples
    --------
    >>> with progress("counting") as shown:
    ...     for i in range(1000):
    ...         shown.tell(f"{i} of 1000", i / 1000)
    """
    listens = sys.stderr is not None and not sys.stderr.closed and not _silent
    shown = Progress(what, sys.stderr if listens else None)
    try:
        yield shown
    finally:
        shown.close()


@contextmanager
def counted(what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Give word, as `progress`, of an operation on `total` units; yields the function to call with each number done.

    Examples
    --------
    >>> with counted("counting", 1000, "numbers") as advance:
    ...     for _ in range(10):
    ...         advance(100)
    """
    done = 0
    with progress(what) as shown:

        def advance(n_more: int) -> None:
            nonlocal done
            done += n_more
            shown.tell(f"{done:,} of {total:,} {unit}", done / total)

        yield advance


def duration(seconds: float) -> str:
    """Return a time for the reader.

    Examples
    --------
    >>> duration(8.4), duration(200.0), duration(9000.0)
    ('8 s', '3 min', '2.5 h')
    """
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.1f} h"
