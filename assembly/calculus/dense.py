"""The whole non-zero spectrum of a small network: M and N written out in node coordinates and diagonalised."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.node_space import NodeSpaceHessian, Vector

LARGEST_SIZE = 600


def eigenpairs(hessian: NodeSpaceHessian) -> tuple[NDArray[np.float64], Vector]:
    """Return all eigenvalues of rank(N) coordinates, largest magnitude first, with the coordinates of unit vectors.

    With ``N = Q diag(d) Q^T`` and ``S = Q diag(sqrt d)`` over the positive d, the eigenvalues are those of
    ``S^T M S``; a unit eigenvector y stands for the coordinates ``Q diag(1/sqrt d) y``.

    Cost: size applications of M and N, 3 (size)^3 operations, 3 (size)^2 numbers.
    """
    used = np.flatnonzero(np.concatenate([norm > 0.0 for norm in hessian.squared_norms()]))
    unit = np.zeros(hessian.size)
    gram, middle = np.empty((len(used), len(used))), np.empty((len(used), len(used)))
    for j, position in enumerate(used):
        unit[position] = 1.0
        gram[:, j] = hessian.N(unit)[used]
        middle[:, j] = hessian.M(unit)[used]
        unit[position] = 0.0
    d, q = np.linalg.eigh(0.5 * (gram + gram.T))
    positive = d > len(d) * np.finfo(float).eps * max(d.max(initial=0.0), 0.0)
    root = np.sqrt(d[positive])
    s = q[:, positive] * root
    projected = s.T @ middle @ s
    values, vectors = np.linalg.eigh(0.5 * (projected + projected.T))
    order = np.argsort(-np.abs(values), kind="stable")
    coordinates = np.zeros((len(values), hessian.size))
    coordinates[:, used] = ((q[:, positive] / root) @ vectors[:, order]).T
    return values[order], coordinates
