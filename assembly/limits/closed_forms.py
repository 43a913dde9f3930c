r"""Gaussian expectations in closed form: E[sigma(u)], E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)].

The pair (u, v) is normal with mean 0, variances a, b and covariance c. With :math:`g = a b - c^2`:

========= =============================================================== ==============================================
name      E[sigma(u) sigma(v)]                                            E[sigma'(u) sigma'(v)]
========= =============================================================== ==============================================
identity  c                                                               1
relu      (sqrt(g) + (pi - t) c) / 2 pi, t = atan2(sqrt(g), c)            (pi - t) / 2 pi
erf       2/pi atan2(2c, sqrt(D)), D = 1 + 2a + 2b + 4g                   4 / (pi sqrt(D))
gelu      c (1/4 + s) + Q / (2 pi sqrt(D)), s = atan2(c, sqrt(D)) / 2 pi, 1/4 + s + (c R + Q c / D) / (2 pi sqrt(D)),
          D = 1 + a + b + g, Q = g + c^2 (1/(1+a) + 1/(1+b))              R = 2/(1+a) + 2/(1+b) - 1
sin       exp(-(a+b)/2) sinh(c)                                           exp(-(a+b)/2) cosh(c)
cos       exp(-(a+b)/2) cosh(c)                                           exp(-(a+b)/2) sinh(c)
quadratic a b + 2 c^2                                                     4 c
exp       exp((a+b)/2 + c)                                                the same
========= =============================================================== ==============================================

The first for ReLU is in [1]_, that for erf in [2]_; the second column is the derivative of the first in c (Price's
theorem). gelu follows by parts, E[u F] = a E[F_u] + c E[F_v], with :math:`F = v\,\Phi(u)\,\Phi(v)`. At variance 0 the
slope of ReLU is sigma'(0) = 0, as everywhere in this package.

.. [1] Y. Cho, L. K. Saul (2009), Kernel methods for deep learning, NeurIPS 22: the arc-cosine kernels.
.. [2] C. K. I. Williams (1997), Computing with infinite networks, NeurIPS 9.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
TWO_PI = 2.0 * math.pi


@dataclass(frozen=True)
class Pairs:
    """Covariances of normal pairs (u, v), each of shape (n_pairs,).

    Attributes
    ----------
    a, b : ndarray
        Variances of u and of v.
    c : ndarray
        Covariances.
    gap : ndarray
        :math:`a b - c^2`, not negative, to full relative accuracy where c is.
    """

    a: Vector
    b: Vector
    c: Vector
    gap: Vector


@dataclass(frozen=True)
class ClosedForm:
    """Three expectations of one activation function: of sigma for variances, of both products for pairs."""

    mean: Callable[[Vector], Vector]
    product: Callable[[Pairs], Vector]
    slopes: Callable[[Pairs], Vector]


def _angle(pairs: Pairs) -> Vector:
    return np.arctan2(np.sqrt(pairs.gap), pairs.c)


def _relu_product(pairs: Pairs) -> Vector:
    return (np.sqrt(pairs.gap) + (math.pi - _angle(pairs)) * pairs.c) / TWO_PI


def _relu_slopes(pairs: Pairs) -> Vector:
    return np.where((pairs.a > 0.0) & (pairs.b > 0.0), (math.pi - _angle(pairs)) / TWO_PI, 0.0)


def _erf_determinant(pairs: Pairs) -> Vector:
    return 1.0 + 2.0 * (pairs.a + pairs.b) + 4.0 * pairs.gap


def _erf_product(pairs: Pairs) -> Vector:
    return 2.0 / math.pi * np.arctan2(2.0 * pairs.c, np.sqrt(_erf_determinant(pairs)))


def _erf_slopes(pairs: Pairs) -> Vector:
    return 4.0 / math.pi / np.sqrt(_erf_determinant(pairs))


def _gelu_terms(pairs: Pairs) -> tuple[Vector, Vector, Vector, Vector]:
    """Return D, 1/4 + s, Q and the sum of 1/(1+a) and 1/(1+b)."""
    determinant = 1.0 + pairs.a + pairs.b + pairs.gap
    quadrant = 0.25 + np.arctan2(pairs.c, np.sqrt(determinant)) / TWO_PI
    inverses = 1.0 / (1.0 + pairs.a) + 1.0 / (1.0 + pairs.b)
    return determinant, quadrant, pairs.gap + pairs.c**2 * inverses, inverses


def _gelu_product(pairs: Pairs) -> Vector:
    determinant, quadrant, q, _ = _gelu_terms(pairs)
    return pairs.c * quadrant + q / (TWO_PI * np.sqrt(determinant))


def _gelu_slopes(pairs: Pairs) -> Vector:
    determinant, quadrant, q, inverses = _gelu_terms(pairs)
    return quadrant + pairs.c * (2.0 * inverses - 1.0 + q / determinant) / (TWO_PI * np.sqrt(determinant))


def _decay(pairs: Pairs) -> Vector:
    """Return exp(|c| - (a + b)/2) / 2: the hyperbolic functions never overflow on their own."""
    return 0.5 * np.exp(np.abs(pairs.c) - 0.5 * (pairs.a + pairs.b))


def _hyperbolic_sine(pairs: Pairs) -> Vector:
    return -np.copysign(_decay(pairs) * np.expm1(-2.0 * np.abs(pairs.c)), -pairs.c)


def _hyperbolic_cosine(pairs: Pairs) -> Vector:
    return _decay(pairs) * (1.0 + np.exp(-2.0 * np.abs(pairs.c)))


def _growth(pairs: Pairs) -> Vector:
    return np.exp(0.5 * (pairs.a + pairs.b) + pairs.c)


CLOSED_FORMS = {
    "identity": ClosedForm(np.zeros_like, lambda pairs: pairs.c, lambda pairs: np.ones_like(pairs.c)),
    "relu": ClosedForm(lambda a: np.sqrt(a / TWO_PI), _relu_product, _relu_slopes),
    "erf": ClosedForm(np.zeros_like, _erf_product, _erf_slopes),
    "gelu": ClosedForm(lambda a: a / np.sqrt(TWO_PI * (1.0 + a)), _gelu_product, _gelu_slopes),
    "sin": ClosedForm(np.zeros_like, _hyperbolic_sine, _hyperbolic_cosine),
    "cos": ClosedForm(lambda a: np.exp(-0.5 * a), _hyperbolic_cosine, _hyperbolic_sine),
    "quadratic": ClosedForm(
        lambda a: a, lambda pairs: pairs.a * pairs.b + 2.0 * pairs.c**2, lambda pairs: 4.0 * pairs.c
    ),
    "exp": ClosedForm(lambda a: np.exp(0.5 * a), _growth, _growth),
}
