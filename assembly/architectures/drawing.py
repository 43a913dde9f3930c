"""Initial weights, drawn from a generator of their own for every network, every block of parameters and every chunk.

All threads draw, a chunk each at a time; the numbers do not depend on how many they are. They are drawn in float64 and
rounded: one seed is one network in either precision.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly import threads
from assembly.graph.description import Graph
from assembly.seeds import generator

READOUTS = ("gaussian", "sign")
CHUNK = 2**22  # numbers of one generator
DRAWN = np.dtype(np.float64)
AT_ONCE = 2**16  # of them drawn before they are rounded

_undrawn: ContextVar[bool] = ContextVar("undrawn", default=False)


@contextmanager
def undrawn() -> Generator[None]:
    """Leave out the weights of networks that are built inside: all are 0 and take no memory."""
    token = _undrawn.set(True)
    try:
        yield
    finally:
        _undrawn.reset(token)


def initial_parameters(
    graph: Graph, initial: list[tuple[float, str]], seed: int, sizes: tuple[str | int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return the parameters of a graph; `initial` holds standard deviation and law of every parameter block."""
    if _undrawn.get():
        return np.broadcast_to(dtype.type(0.0), graph.n_parameters)
    parameters = np.empty(graph.n_parameters, dtype)
    for number, (block, (deviation, law)) in enumerate(zip(graph.parameter_blocks, initial, strict=True)):
        draw(parameters[block], deviation, law, seed, sizes, number)
    return parameters


def draw(
    out: NDArray[Any], deviation: float, law: str, seed: int, sizes: tuple[str | int, ...], what: str | int
) -> None:
    """Fill `out` with N(0, deviation^2), or for the law "sign" with plus and minus `deviation`.

    Gaussian numbers are drawn in their place, or in float64 a few at once; signs take 16 bytes each for one chunk per
    thread.
    """
    purpose = ("weights", DRAWN.name, *sizes, what)

    def fill(number: int) -> None:
        further = ("chunk", number) if number else ()
        _fill(out[number * CHUNK : (number + 1) * CHUNK], deviation, law, generator(seed, *purpose, *further))

    threads.run(fill, range(-(-len(out) // CHUNK)))


def _fill(out: NDArray[Any], deviation: float, law: str, rng: np.random.Generator) -> None:
    if law == "sign":
        out[:] = deviation * (2.0 * rng.integers(2, size=out.shape) - 1.0)
        return
    if out.dtype == DRAWN:
        rng.standard_normal(out=out)
        out *= deviation
        return
    for start in range(0, len(out), AT_ONCE):
        part = out[start : start + AT_ONCE]
        part[:] = deviation * rng.standard_normal(len(part))
