"""The whole non-zero spectrum of a small network: M and N written out in node coordinates and diagonalised."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.node_space import NodeSpaceHessian, Vector

LARGEST_SIZE = 600


def eigenpairs(hessian: NodeSpaceHessian) -> tuple[NDArray[np.float64], Vector]:
    """Return all eigenvalues of rank(N) coordinates, largest magnitude first, with the coordinates of unit vectors.

    With r the square roots of the diagonal of N, ``N = r Q diag(d) Q^T r`` and ``S = r Q diag(sqrt d)`` over the
    positive d, the eigenvalues are those of ``S^T M S``; a unit eigenvector y has the coordinates
    ``Q diag(1/sqrt d) y / r``. Without r the rank would be decided between s and t, which have different units.

    Cost: size applications of M and N in float64, 3 (size)^3 operations, 3 (size)^2 numbers.
    """
    space = hessian.in_double()
    diagonal = space.diagonal()
    used = np.flatnonzero(diagonal > 0.0)
    r = np.sqrt(diagonal[used])
    unit = np.zeros(space.size)
    gram, middle = np.empty((len(used), len(used))), np.empty((len(used), len(used)))
    for j, position in enumerate(used):
        unit[position] = 1.0
        gram[:, j] = space.N(unit)[used] / r / r[j]
        middle[:, j] = space.M(unit)[used] * r * r[j]
        unit[position] = 0.0
    d, q = np.linalg.eigh(0.5 * (gram + gram.T))
    positive = d > len(d) * np.finfo(float).eps * d.max(initial=0.0)
    root = np.sqrt(d[positive])
    s = q[:, positive] * root
    projected = s.T @ middle @ s
    values, vectors = np.linalg.eigh(0.5 * (projected + projected.T))
    order = np.argsort(-np.abs(values), kind="stable")
    coordinates = np.zeros((len(values), space.size))
    coordinates[:, used] = ((q[:, positive] / root) @ vectors[:, order]).T / r
    return values[order], coordinates
