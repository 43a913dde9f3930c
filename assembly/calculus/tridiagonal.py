"""The ends of the spectrum of a symmetric tridiagonal matrix: what a Lanczos iteration asks at checks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from assembly.errors import SaturationError

RESIDUALS = (
    10.0  # within which the other end is looked for; with 1, 2 of 400 networks were missed at a tolerance of 0.01
)


class End(NamedTuple):
    """An eigenvalue and its unit vector."""

    value: float
    vector: NDArray[np.float64]


def ends(diagonal: NDArray[np.float64], beside: NDArray[np.float64]) -> tuple[End, End]:
    """Return the smallest and the largest eigenvalue, larger magnitude first, by bisection and inverse iteration.

    Parameters
    ----------
    diagonal : ndarray of shape (n,)
    beside : ndarray of shape (n - 1,)

    Raises
    ------
    SaturationError
        If the matrix is not finite.

    Notes
    -----
    Cost: of the order of 200 n operations, where all eigenvectors take n cubed.
    """
    if not (np.isfinite(diagonal).all() and np.isfinite(beside).all()):
        raise SaturationError("The Hessian overflows in an eigenvalue iteration. Move the inputs or parameters.")
    n = len(diagonal)
    if n == 1:
        only = End(float(diagonal[0]), np.ones(1))
        return only, only
    low, high = (_end(diagonal, beside, i) for i in (1, n))
    return (low, high) if abs(low.value) > abs(high.value) else (high, low)


def may_be_larger(rival: float, residual: float, value: float) -> bool:
    """Return whether an eigenvalue of the other sign, known with a residual, may have a larger magnitude than `value`.

    Eigenvalues that are about to appear lie within a few residuals of what stands for them.
    """
    return abs(rival) + RESIDUALS * residual >= abs(value)


def largest_and_residual(
    diagonal: NDArray[np.float64], beside: NDArray[np.float64], beyond: float
) -> tuple[End, float]:
    """Return the Ritz pair of largest magnitude, and the residual that stands between it and being the largest.

    `beyond` is what the operator adds beyond the basis. The pair at the other end counts as long as its eigenvalue may
    be the larger one: an iteration on a spectrum that is nearly symmetric about 0 would else stop at the end that has
    come first.
    """
    best, other = ends(diagonal, beside)
    residual, rival = abs(beyond * best.vector[-1]), abs(beyond * other.vector[-1])
    return best, max(residual, rival) if may_be_larger(other.value, rival, best.value) else residual


def _end(diagonal: NDArray[np.float64], beside: NDArray[np.float64], number: int) -> End:
    by_index, by_block = 2, b"B"
    _, values, blocks, splits, failed = lapack.dstebz(
        diagonal, beside, by_index, 0.0, 0.0, number, number, 0.0, by_block
    )
    vectors, did_not_converge = lapack.dstein(diagonal, beside, values[:1], blocks, splits)
    assert not failed
    assert not did_not_converge
    return End(float(values[0]), vectors[:, 0])
