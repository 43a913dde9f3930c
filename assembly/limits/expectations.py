"""Expectations over normal pairs: what a layer makes of a covariance, in closed form or by Hermite series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assembly.limits.closed_forms import CLOSED_FORMS, Pairs, Vector
from assembly.limits.hermite_series import hermite_series

SAME = 8.0 * np.finfo(np.float64).eps  # a correlation so close to 1 or -1 is one, but for rounding


@dataclass(frozen=True)
class Expectations:
    """What one activation function makes of normal variables.

    Attributes
    ----------
    mean : ndarray of shape (n_variables,)
        E[sigma(u)].
    product, slopes : ndarray of shape (n_pairs,)
        E[sigma(u) sigma(v)] and E[sigma'(u) sigma'(v)].
    error : float
        Largest error of both, relative to the root of the product of the two squares; 0 for closed forms.
    """

    mean: Vector
    product: Vector
    slopes: Vector
    error: float


def expectations(
    name: str, variance: Vector, left: NDArray[np.int64], right: NDArray[np.int64], covariance: Vector
) -> Expectations:
    """Return the expectations of an activation function over pairs of normal variables with mean 0.

    Parameters
    ----------
    name : str
    variance : ndarray of shape (n_variables,)
    left, right : ndarray of shape (n_pairs,), int64
        Positions of the two variables of every pair.
    covariance : ndarray of shape (n_pairs,)
        Taken as the largest possible one where it exceeds that, or is it but for rounding.

    Notes
    -----
    Cost: a few operations for each pair in closed form; otherwise, for each pair, twice as many products as the series
    has terms (about a hundred where variances are of order 1), and some hundreds of activations for each variance.

    Examples
    --------
    >>> one, two = np.array([0]), np.array([1])
    >>> found = expectations("relu", np.array([1.0, 1.0]), one, two, np.array([0.0]))
    >>> bool(abs(found.product[0] - 0.5 / np.pi) < 1e-15), float(found.slopes[0])
    (True, 0.25)
    """
    pairs = _pairs(variance[left], variance[right], covariance)
    form = CLOSED_FORMS.get(name)
    if form is not None:
        return Expectations(form.mean(variance), form.product(pairs), form.slopes(pairs), 0.0)
    different, place = np.unique(variance, return_inverse=True)
    series = hermite_series(name, different)
    largest = _largest(pairs.a, pairs.b)
    rho = np.divide(pairs.c, largest, out=np.zeros_like(largest), where=largest > 0.0)
    found, error = series.products(place[left], place[right], rho)
    return Expectations(series.coefficients[0, 0, place], found[0], found[1], error)


def _largest(a: Vector, b: Vector) -> Vector:
    """Return the largest covariance of two variances, exactly where they are equal."""
    return np.where(a == b, a, np.sqrt(a) * np.sqrt(b))


def _pairs(a: Vector, b: Vector, covariance: Vector) -> Pairs:
    largest = _largest(a, b)
    is_one = np.abs(covariance) >= (1.0 - SAME) * largest
    c = np.where(is_one, np.copysign(largest, covariance), covariance)
    return Pairs(a, b, c, (largest - c) * (largest + c))
