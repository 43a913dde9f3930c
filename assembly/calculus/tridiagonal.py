"""The eigenvalue of largest magnitude of a symmetric tridiagonal matrix: what a Lanczos iteration asks at checks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack


def top_pair(diagonal: NDArray[np.float64], beside: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the eigenvalue of largest magnitude and its unit vector, by bisection and inverse iteration.

    Parameters
    ----------
    diagonal : ndarray of shape (n,)
    beside : ndarray of shape (n - 1,)

    Notes
    -----
    Cost: of the order of 100 n operations, where all eigenvectors take n cubed.
    """
    n = len(diagonal)
    if n == 1:
        return float(diagonal[0]), np.ones(1)
    by_index, by_block = 2, b"B"
    ends = [lapack.dstebz(diagonal, beside, by_index, 0.0, 0.0, i, i, 0.0, by_block)[1:4] for i in (1, n)]
    values, blocks, splits = max(ends, key=lambda end: abs(end[0][0]))
    vectors, _ = lapack.dstein(diagonal, beside, values[:1], blocks, splits)
    return float(values[0]), vectors[:, 0]
