r"""Proven upper bounds of spectral norms: what an estimate only suggests, a Cholesky factorisation proves.

Lanczos suggests the largest eigenvalue :math:`\theta`. For a :math:`\beta` a little above it, floating-point Cholesky
of :math:`\beta I - S` is tried. If it completes, backward error analysis [1]_ [2]_ says

.. math:: \lambda_{\max}(S) \le \beta + \gamma_{2n+12}\, \mathrm{tr}(\beta I - S),

whatever Lanczos did; if not, :math:`\beta` is raised. For a rectangular matrix S is the Gram matrix of the smaller
side, and :math:`\gamma_n |A|_F^2` is added for the rounding in it. The model of rounding is that of
`assembly.bounds.rounding`.

References
----------
.. [1] J. W. Demmel (1989), On floating point errors in Cholesky, LAPACK working note 14.
.. [2] S. M. Rump (2006), Verification of positive definiteness, BIT 46, 433-452.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf
from scipy.sparse import csr_array

from assembly.bounds.rounding import EPSILON, Array, gamma, norm_up, product_up, sum_up, up
from assembly.checks import check_finite
from assembly.errors import ArgumentError, ShapeError
from assembly.progress import heed
from assembly.seeds import generator
from assembly.threads import one_blas_thread

LARGEST_SIZE = 6000  # of a Gram matrix that is factorised,
LARGEST_ALONE = 1024  # and of one for which one thread is faster than two, as measured
N_STEPS = 60  # of Lanczos, at most
RESIDUAL = 1e-4  # at which it stops
SMALLEST_MARGIN, LARGEST_MARGIN = 1e-6, 5e-4  # above the estimate, relative, at the first trial


def spectral_norm_bound(matrix: NDArray[Any]) -> float:
    r"""Return a proven upper bound of :math:`|A|_2`, typically within 1e-4 of it.

    Parameters
    ----------
    matrix : ndarray of shape (n, k), float64 or float32
        float32 is converted, which is exact.

    Raises
    ------
    ShapeError
        If it is not a matrix.
    NonFiniteError
        If an entry is NaN or infinite.

    Notes
    -----
    Cost, with k the smaller side: :math:`n k^2` operations for the Gram matrix, :math:`k^3 / 3` for each factorisation
    (mostly one), up to 60 products with a vector; memory :math:`2 k^2` numbers beside the matrix. Beyond k = 6000 the
    bound is ``min(|A|_F, sqrt(|A|_1 |A|_inf))``, a few passes, and loses a factor up to :math:`\sqrt k`.

    Examples
    --------
    >>> 5.0 <= spectral_norm_bound(np.array([[3.0, 0.0], [4.0, 0.0]])) < 5.0001
    True
    """
    scaled, exponent = _in_range(_checked(matrix))
    if not scaled.any():
        return 0.0
    sizes, frobenius = np.abs(scaled), norm_up(scaled)
    bound = min(frobenius, _holder(sum_up(sizes, axis=0).max(), sum_up(sizes, axis=1).max()))
    if min(scaled.shape) <= LARGEST_SIZE:
        tall = scaled if scaled.shape[0] >= scaled.shape[1] else scaled.T
        with _threads(min(scaled.shape)):
            bound = min(bound, _root_of_gram(tall.T @ tall, len(tall), frobenius))
    return _scaled_back(bound, exponent)


def sparse_norm_bound(matrix: csr_array) -> float:
    r"""Return a proven upper bound of :math:`|A|_2` of a sparse matrix.

    Up to 6000 on the smaller side as `spectral_norm_bound`. Beyond it the smaller of
    :math:`\sqrt{|A|_1 |A|_\infty}` and, by Collatz and Wielandt, :math:`\max_i (|A|^T |A| x)_i / x_i` under a root, for
    a positive x that power iteration on :math:`|A|^T |A|` suggests: within a factor :math:`\sqrt{d}` for random signs
    and d entries a row.

    Parameters
    ----------
    matrix : csr_array of shape (n, k)

    Raises
    ------
    NonFiniteError
        If an entry is NaN or infinite.

    Notes
    -----
    Cost: the product of the matrix with its transpose, then as `spectral_norm_bound`; or 42 passes over the entries.

    Examples
    --------
    >>> 2.0 <= sparse_norm_bound(csr_array(np.diag([1.0, -2.0]))) < 2.0001
    True
    """
    check_finite("matrix", matrix.data)
    values, exponent = _in_range(np.asarray(matrix.data))
    if not values.any():
        return 0.0
    scaled, sizes = (_merged(one, matrix) for one in (values, np.abs(values)))
    lost = 0.0 if sizes.nnz == len(values) else up(gamma(len(values) - sizes.nnz + 1) * norm_up(sizes.data))
    columns, rows = (up(np.asarray(sizes.sum(axis=axis), np.float64), sizes.shape[axis]) for axis in (0, 1))
    bound = min(norm_up(sizes.data), _holder(columns.max(), rows.max()))
    if min(scaled.shape) <= LARGEST_SIZE:
        tall = scaled if scaled.shape[0] >= scaled.shape[1] else scaled.T.tocsr()
        with _threads(min(scaled.shape)):
            bound = min(bound, _root_of_gram((tall.T @ tall).toarray(), tall.shape[0], norm_up(scaled.data)))
    else:
        bound = min(bound, collatz_bound(sizes))
    return _scaled_back(up(bound + lost), exponent)


def largest_eigenvalue_bound(matrix: NDArray[Any]) -> float:
    r"""Return a proven upper bound of :math:`\lambda_{\max}` of a symmetric matrix, typically within 1e-4 of the norm.

    Of a non-negative matrix, such as a Gram matrix, it is a bound of the norm.

    Parameters
    ----------
    matrix : ndarray of shape (n, n), symmetric to the last bit

    Raises
    ------
    ShapeError
        If it is not square.
    ArgumentError
        If it is not symmetric.
    NonFiniteError
        If an entry is NaN or infinite.

    Notes
    -----
    Cost: :math:`n^3 / 3` operations for each factorisation, mostly one; memory :math:`n^2` numbers beside the matrix.

    Examples
    --------
    >>> -1.0 <= largest_eigenvalue_bound(np.diag([-1.0, -2.0])) < -0.999
    True
    """
    scaled, exponent = _in_range(_checked_symmetric(matrix))
    if not scaled.any():
        return 0.0
    with _threads(len(scaled)):
        _, (top, residual), size = _extremes(scaled)
        return _scaled_back(_proven(scaled, top, residual, size), exponent)


def symmetric_norm_bound(matrix: NDArray[Any]) -> float:
    r"""Return a proven upper bound of :math:`|S|_2 = \max |\lambda|` of a symmetric matrix.

    Parameters
    ----------
    matrix : ndarray of shape (n, n), symmetric to the last bit

    Raises
    ------
    ShapeError
        If it is not square.
    ArgumentError
        If it is not symmetric.
    NonFiniteError
        If an entry is NaN or infinite.

    Notes
    -----
    Cost: two factorisations, of :math:`\beta I - S` and :math:`\beta I + S`, of :math:`n^3 / 3` operations each; memory
    :math:`2 n^2` numbers beside the matrix.

    Examples
    --------
    >>> 2.0 <= symmetric_norm_bound(np.diag([1.0, -2.0])) < 2.0001
    True
    """
    scaled, exponent = _in_range(_checked_symmetric(matrix))
    if not scaled.any():
        return 0.0
    with _threads(len(scaled)):
        lowest, highest, size = _extremes(scaled)
        leading, residual = (-lowest[0], lowest[1]) if -lowest[0] > highest[0] else highest
        ends = (_proven(scaled, leading, residual, size), _proven(-scaled, leading, residual, size))
    return _scaled_back(max(ends), exponent)


def perron_bound(matrix: NDArray[Any]) -> float:
    r"""Return a proven upper bound of :math:`r^T B r` over unit vectors r, for a small non-negative matrix B.

    It is :math:`\max_i (S x)_i / x_i` (Collatz and Wielandt), S the symmetric part, with the positive vector
    :math:`x = (\mu I - S)^{-1} 1` for a :math:`\mu` just above :math:`\lambda_{\max}(S)`: whichever blocks S has, all
    ratios are then below :math:`\mu`.

    Parameters
    ----------
    matrix : ndarray of shape (n, n)
        Non-negative; infinite entries give an infinite bound.

    Raises
    ------
    ShapeError
        If it is not square.
    ArgumentError
        If an entry is negative or NaN.

    Notes
    -----
    Cost: an eigenvalue decomposition and a linear system of size n. The excess is about 1e-9 of the value.

    Examples
    --------
    >>> 1.0 <= perron_bound(np.array([[0.0, 2.0], [0.0, 0.0]])) < 1.00000001
    True
    """
    values = np.asarray(matrix, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise ShapeError(f"The 'matrix' argument must be square. Got shape {values.shape}.")
    if not (values >= 0.0).all():
        raise ArgumentError("The 'matrix' argument must be non-negative. Got an entry that is negative or NaN.")
    if np.isinf(values).any():
        return math.inf
    scaled, exponent = _in_range(values)
    if not scaled.any():
        return 0.0
    symmetric = up(0.5 * scaled + 0.5 * scaled.T)
    identity, estimate = np.eye(len(symmetric)), float(np.linalg.eigvalsh(symmetric)[-1])
    bound = float(sum_up(symmetric, axis=1).max())
    for margin in (1e-9, 1e-6, 1e-3):
        x = np.linalg.solve(estimate * (1.0 + margin) * identity - symmetric, np.ones(len(symmetric)))
        if (x > 0.0).all() and np.isfinite(x).all():
            bound = min(bound, up(float((product_up(symmetric, x) / x).max())))
            break
    return _scaled_back(bound, exponent)


def cholesky_bound(matrix: Array, beta: float) -> float | None:
    r"""Return a proven upper bound of :math:`\lambda_{\max}`, a little above beta, if it is below beta; else None.

    Parameters
    ----------
    matrix : ndarray of shape (n, n), float64, symmetric to the last bit
    beta : float

    Notes
    -----
    Cost: one Cholesky factorisation of :math:`\beta I - S`, :math:`n^3 / 3` operations; memory :math:`n^2` numbers.

    Examples
    --------
    >>> cholesky_bound(np.diag([1.0, 2.0]), 2.5) - 2.5 < 1e-13
    True
    >>> cholesky_bound(np.diag([1.0, 2.0]), 1.5) is None
    True
    """
    n = len(matrix)
    shifted = np.negative(matrix, order="C")
    diagonal = np.einsum("ii->i", shifted)
    diagonal += beta
    if not (diagonal > 0.0).all():
        return None
    slack = up(gamma(2 * n + 12) * float(sum_up(diagonal)))
    _, info = dpotrf(shifted.T, lower=1, overwrite_a=1, clean=0)
    return beta + slack + EPSILON * (abs(beta) + slack) if info == 0 else None


def _checked(matrix: NDArray[Any]) -> Array:
    values = np.asarray(matrix)
    if values.ndim != 2:
        raise ShapeError(f"The 'matrix' argument must have two dimensions. Got shape {values.shape}.")
    check_finite("matrix", values)
    return values.astype(np.float64, copy=False)


def _checked_symmetric(matrix: NDArray[Any]) -> Array:
    values = _checked(matrix)
    if values.shape[0] != values.shape[1]:
        raise ShapeError(f"The 'matrix' argument must be square. Got shape {values.shape}.")
    if not np.array_equal(values, values.T):
        raise ArgumentError("The 'matrix' argument must be symmetric to the last bit. Got one that is not.")
    return values


def _in_range(values: Array) -> tuple[Array, int]:
    """Return the values divided by a power of two, so that squares stay in range, and its exponent."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0 or 1e-40 < largest < 1e40:
        return values.astype(np.float64, copy=False), 0
    exponent = math.frexp(largest)[1]
    return np.ldexp(values.astype(np.float64), -exponent), exponent


def _scaled_back(bound: float, exponent: int) -> float:
    if exponent == 0:
        return bound
    with np.errstate(over="ignore", under="ignore"):
        return float(np.nextafter(np.ldexp(bound, exponent), math.inf))


def _merged(values: Array, structure: csr_array) -> csr_array:
    """Return a matrix of these entries in which entries at one place are added; the structure given is left alone."""
    merged = csr_array((values, structure.indices, structure.indptr), shape=structure.shape, copy=True)
    merged.sum_duplicates()
    return merged


def _holder(one: float, infinity: float) -> float:
    return up(math.sqrt(up(one * infinity)))


def _threads(n: int) -> AbstractContextManager[None]:
    """Hold BLAS to one thread for small matrices: numpy and scipy have one each, whose idle threads keep others off."""
    return one_blas_thread() if n <= LARGEST_ALONE else nullcontext()


def _root_of_gram(gram: Array, n_terms: int, frobenius: float) -> float:
    """Bound the norm of a matrix by its Gram matrix, computed as sums of n_terms products."""
    heed()
    _, (top, residual), size = _extremes(gram)
    largest = _proven(gram, top, residual, size)
    return up(math.sqrt(max(0.0, up(largest + up(gamma(n_terms + 1) * frobenius * frobenius, 3)))))


def _extremes(matrix: Array) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Return estimates of the two ends of the spectrum, each with its residual, and the larger magnitude: Lanczos."""
    n = len(matrix)
    n_steps = min(n, N_STEPS)
    basis, diagonal, beside = np.zeros((n_steps, n)), np.zeros(n_steps), np.zeros(n_steps)
    vector = generator(0, "norm bound").standard_normal(n)
    vector /= np.linalg.norm(vector)
    for j in range(n_steps):
        basis[j] = vector
        image = matrix @ vector
        diagonal[j] = vector @ image
        for _ in range(2):
            image -= (basis[: j + 1] @ image) @ basis[: j + 1]
        beside[j] = np.linalg.norm(image)
        size = float(np.abs(diagonal[: j + 1]).max())
        ended = j + 1 == n_steps or beside[j] <= 1e-12 * size
        if ended or j % 10 == 9:
            between = beside[:j]
            values, vectors = np.linalg.eigh(np.diag(diagonal[: j + 1]) + np.diag(between, 1) + np.diag(between, -1))
            residuals = beside[j] * np.abs(vectors[-1])
            size = float(np.abs(values).max())
            if ended or max(residuals[0], residuals[-1]) <= RESIDUAL * size:
                break
        vector = image / beside[j]
    return (float(values[0]), float(residuals[0])), (float(values[-1]), float(residuals[-1])), size


def _proven(matrix: Array, estimate: float, residual: float, size: float) -> float:
    """Return an upper bound of the largest eigenvalue: raise beta until Cholesky of ``beta I - matrix`` completes."""
    fallback = float(sum_up(np.abs(matrix), axis=1).max())
    margin = min(max(residual, SMALLEST_MARGIN * size), LARGEST_MARGIN * size)
    while margin > 0.0 and estimate + margin < fallback:  # a margin of 0 does not grow
        heed()
        proven = cholesky_bound(matrix, estimate + margin)
        if proven is not None:
            return min(proven, fallback)
        margin *= 4.0
    return fallback


def collatz_bound(sizes: Array | csr_array) -> float:
    r"""Return a proven upper bound of the norm of a non-negative matrix, by ratios after 20 steps of power iteration.

    For any positive x it is at most the root of :math:`\max_i (A^T A x)_i / x_i` (Collatz and Wielandt).

    Notes
    -----
    Cost: 42 passes over the entries.

    Examples
    --------
    >>> 2.0 <= collatz_bound(np.ones((2, 2))) < 2.0 + 1e-12
    True
    """
    transposed = sizes.T.tocsr() if isinstance(sizes, csr_array) else sizes.T
    x: Array = np.ones(sizes.shape[1])
    for _ in range(20):
        x = transposed @ (sizes @ x)
        if not x.any():
            return 0.0
        x = np.maximum(x / x.max(), 1e-6)
    images = transposed @ (sizes @ x)
    return up(math.sqrt(up(float((images / x).max()), sum(sizes.shape) + 1)))
