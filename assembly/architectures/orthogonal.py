"""Chains of orthogonal matrices: deep in their parameters, and a single matrix in what they compute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from assembly.architectures.drawing import draw
from assembly.checks import check_count, check_dtype
from assembly.graph.connections import Dense
from assembly.graph.description import INPUT, Graph, Group
from assembly.memory import check_fits
from assembly.model import Assembly
from assembly.seeds import generator


def orthogonal_chain(
    n_inputs: int, width: int, n_factors: int = 3, *, seed: int = 0, dtype: DTypeLike = np.float64
) -> Assembly:
    r"""Return a product of orthogonal matrices between fixed layers, a deep linear network.

    .. math:: f = v \cdot W_L \cdots W_1 A x, \qquad W_l^T W_l = I

    with :math:`W_l` of m rows and columns, the parameters, drawn uniformly from the orthogonal matrices, and the fixed
    :math:`A_{ij} \sim N(0, 1/n)`, :math:`v_i \sim N(0, 1/m)`. Gradient descent along the orthogonal matrices moves the
    product as it would a single matrix with L times the step [1]_.

    Parameters
    ----------
    n_inputs : int
        n.
    width : int
        m.
    n_factors : int
        L.
    seed : int
    dtype : {float64, float32}

    Returns
    -------
    Assembly
        Parameters in the order W1, W2, ...; each matrix row by row.

    Raises
    ------
    ArgumentError
        If a count is below 1 or `dtype` is another one.
    ResourceError
        If the parameters do not fit in the memory that is free.

    Notes
    -----
    Drawn in the time of L QR decompositions of m by m numbers. `assembly.train` moves every weight by its own
    derivative and leaves the orthogonal matrices; `assembly.dynamics.orthogonal.orthogonal_descent` stays on them.

    References
    ----------
    .. [1] P. Ablin, arXiv 2011.13831: Deep orthogonal linear networks are shallow.

    Examples
    --------
    >>> net = orthogonal_chain(n_inputs=4, width=8, n_factors=3, seed=0)
    >>> W = net.parameters.reshape(3, 8, 8)
    >>> net.n_parameters, bool(np.allclose(W @ W.transpose(0, 2, 1), np.eye(8)))
    (192, True)
    """
    sizes = tuple(check_count(*one) for one in (("n_inputs", n_inputs), ("width", width), ("n_factors", n_factors)))
    check_count("seed", seed, minimum=0)
    kind = check_dtype(dtype)
    check_fits(f"A network of {n_factors * width**2:,} weights", n_factors * width**2 * kind.itemsize, "use less width")
    fixed = []
    for what, shape in (("first", (width, n_inputs)), ("readout", (1, width))):
        values = np.empty(math.prod(shape), kind)
        draw(values, 1.0 / math.sqrt(shape[1]), "gaussian", seed, ("orthogonal chain", *sizes), what)
        fixed.append(values.reshape(shape))
    rng = generator(seed, "orthogonal chain", *sizes)
    return chain(fixed[0], [_orthogonal(rng, width).astype(kind) for _ in range(n_factors)], fixed[1])


def chain(first: NDArray[Any], factors: Sequence[NDArray[Any]], readout: NDArray[Any]) -> Assembly:
    """Return the linear network with fixed first and last matrices, and the factors between them as parameters."""
    matrices = [first, *factors, readout]
    groups = (Group(first.shape[1], INPUT), *(Group(len(matrix), "identity") for matrix in matrices))
    connections = tuple(
        Dense(
            source=layer,
            target=layer + 1,
            n_source=matrix.shape[1],
            n_target=len(matrix),
            factor=np.ones(len(matrix)),
            values=None if 0 < layer < len(matrices) - 1 else matrix.ravel(),
        )
        for layer, matrix in enumerate(matrices)
    )
    graph = Graph(groups, connections, tuple((len(matrices), position) for position in range(len(readout))))
    return Assembly.from_graph(graph, np.concatenate([factor.ravel() for factor in factors]))


def _orthogonal(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Return an orthogonal matrix, all alike: the signs of R make the factor Q unique."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    found: NDArray[np.float64] = q * np.where(np.diag(r) < 0.0, -1.0, 1.0)
    return found
