"""Work that ends when nobody waits for it any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from assembly.explorer.state import State, network
from assembly.progress import watched

if TYPE_CHECKING:
    from assembly.model import Assembly

Stop = Callable[[], bool]


class StoppedError(Exception):
    """A computation was asked to stop: somebody chose something newer."""


@contextmanager
def working(state: State, stop: Stop) -> Iterator[Assembly]:
    """Yield the network; `stop` is asked before and after it is built, and at every step of an iteration."""
    with watched(lambda: check(stop)):
        check(stop)
        net = network(state)
        check(stop)
        yield net


def check(stop: Stop) -> None:
    """Raise `StoppedError` if `stop` says so."""
    if stop():
        raise StoppedError
