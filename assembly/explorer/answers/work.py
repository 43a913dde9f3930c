"""Work that ends when nobody waits for it any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from numpy.typing import NDArray

from assembly.diagnostics.dominance import TOLERANCE
from assembly.explorer.state import State, network
from assembly.progress import watched

if TYPE_CHECKING:
    from assembly.estimate import Estimate
    from assembly.model import Assembly

    Pair = tuple[Estimate, NDArray[Any]]

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


_PAIRS: WeakKeyDictionary[Assembly, tuple[bytes, Pair]] = WeakKeyDictionary()


def top_pair(net: Assembly, x: NDArray[Any]) -> Pair:
    """Return `Hessian.top_pair` to a residual of 1e-4; numbers, verdict and worst direction have it from one iteration.

    The last one of every network is kept while the network is.

    Examples
    --------
    >>> net, x = network(State(width=16)), State().x
    >>> top_pair(net, x) is top_pair(net, x.copy())
    True
    """
    kept = _PAIRS.get(net)
    if kept is None or kept[0] != x.tobytes():
        kept = _PAIRS[net] = x.tobytes(), net.hessian(x).top_pair(TOLERANCE)
    return kept[1]
