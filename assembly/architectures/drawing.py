"""Initial weights, drawn from a generator of their own for every network and every block of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.graph.description import Graph
from assembly.seeds import generator

READOUTS = ("gaussian", "sign")


def initial_parameters(
    graph: Graph, initial: list[tuple[float, str]], seed: int, sizes: tuple[str | int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return the parameters of a graph; `initial` holds standard deviation and law of every parameter block."""
    parameters = np.empty(graph.n_parameters, dtype)
    for number, (block, (deviation, law)) in enumerate(zip(graph.parameter_blocks, initial, strict=True)):
        draw(parameters[block], deviation, law, seed, sizes, number)
    return parameters


def draw(
    out: NDArray[Any], deviation: float, law: str, seed: int, sizes: tuple[str | int, ...], what: str | int
) -> None:
    """Fill `out` with N(0, deviation^2), or for the law "sign" with plus and minus `deviation`."""
    rng = generator(seed, "weights", out.dtype.name, *sizes, what)
    if law == "sign":
        out[:] = deviation * (2.0 * rng.integers(2, size=out.shape) - 1.0)
        return
    rng.standard_normal(dtype=out.dtype.type, out=out)
    if deviation != 1.0:
        out *= out.dtype.type(deviation)
