r"""Rounding upwards: what stands between a computed number and a proven bound.

The model, with :math:`u = 2^{-53}` and :math:`\gamma_n = n u / (1 - n u)` (Higham 2002, chapter 3):

* every +, -, x, / and square root is correctly rounded in float64, fused or not, with gradual underflow;
* sums, products of matrices and triangular factorisations are conventional ones (no Strassen), added in any order, so
  that a sum of n products differs from the truth by at most :math:`\gamma_n` times the sum of their absolute values;
* tanh, exp, erf, sin and their like are right to 4 units in the last place; the mathematics libraries in use claim 1 or
  2, and tanh and its slope, which are ours, are held to it by tests/test_activations.py.

Numbers that come in (weights, factors, inputs) are taken as exact; what is computed from them before a
bound begins, the node values of `assembly.bounds.centre`, carries a bound of its error.

References
----------
N. J. Higham (2002), Accuracy and Stability of Numerical Algorithms, 2nd edition, SIAM.
"""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

EPSILON = 2.0**-52
NON_NEGATIVE = (
    1.0 + 1e-8
)  # covers fewer than 10^7 roundings of sums, products, roots and maxima of non-negative numbers
LIBRARY = 32  # times EPSILON and the sum of the absolute values of its terms: the error of sigma or a derivative of it
SMALLEST = 2.0**-1074  # two products that underflow lose at most this

Array = NDArray[np.float64]


@overload
def up(value: float, n: int = 1) -> float: ...


@overload
def up(value: Array, n: int = 1) -> Array: ...


def up(value: float | Array, n: int = 1) -> float | Array:
    r"""Return a bound of what was computed as `value`, non-negative, with n roundings that all terms survived.

    The truth is at most :math:`(1 + \gamma_n)` times the value, and :math:`n 2^{-1074}` more where products underflow.
    Valid for ``n < 2**46``.

    Parameters
    ----------
    value : float or ndarray of float64
        Computed from non-negative terms without subtraction.
    n : int
        Roundings on the longest way from an operand to the value: a sum of k products has k.

    Examples
    --------
    >>> up(0.1 * 3.0) > 0.1 * 3.0
    True
    """
    return value * (1.0 + (n + 2) * EPSILON) + n * SMALLEST


def gamma(n: int) -> float:
    r"""Return :math:`\gamma_n = n u / (1 - n u)`, rounded up.

    Examples
    --------
    >>> gamma(1000) >= 1000 * 2.0**-53
    True
    """
    return n * 2.0**-53 * (1.0 + (n + 4) * EPSILON)


@overload
def sum_up(values: NDArray[Any]) -> float: ...


@overload
def sum_up(values: NDArray[Any], axis: int) -> Array: ...


def sum_up(values: NDArray[Any], axis: int | None = None) -> float | Array:
    """Return an upper bound of the sum of non-negative numbers, over all or along one axis.

    Examples
    --------
    >>> sum_up(np.full(10, 0.1)) >= 1.0
    True
    """
    if axis is None:
        return up(float(np.sum(values, dtype=np.float64)), values.size)
    return up(np.asarray(np.sum(values, axis=axis, dtype=np.float64)), values.shape[axis])


@overload
def norm_up(values: NDArray[Any]) -> float: ...


@overload
def norm_up(values: NDArray[Any], axis: int) -> Array: ...


def norm_up(values: NDArray[Any], axis: int | None = None) -> float | Array:
    """Return an upper bound of the Euclidean norm (of a matrix: Frobenius), over all entries or along one axis.

    Examples
    --------
    >>> 5.0 <= norm_up(np.array([3.0, -4.0])) < 5.0 + 1e-14
    True
    """
    with np.errstate(over="ignore"):
        squares = values.astype(np.float64, copy=False) ** 2
    if axis is None:
        return up(math.sqrt(up(float(np.sum(squares)), values.size + 1)))
    return up(np.sqrt(up(np.asarray(np.sum(squares, axis=axis)), values.shape[axis] + 1)))


def product_up(left: NDArray[Any], right: NDArray[Any]) -> Array:
    """Return an entrywise upper bound of the product of two non-negative arrays, as ``left @ right``.

    Examples
    --------
    >>> float(product_up(np.full(10, 0.1), np.ones(10))) >= 1.0
    True
    """
    return up(np.asarray(left @ right, dtype=np.float64), left.shape[-1])
