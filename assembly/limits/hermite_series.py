r"""Gaussian expectations of any smooth activation function by Hermite series, with a bound on what they leave out.

With the orthonormal Hermite polynomials :math:`h_k` and a pair (u, v) of variances a, b and correlation :math:`\rho`,

.. math:: E[\sigma(u)\sigma(v)] = \sum_k \rho^k s_k(a)\, s_k(b), \qquad
          s_k(a) = E[\sigma(\sqrt a\, g)\, h_k(g)], \quad g \sim N(0, 1)

(Mehler's formula), likewise with :math:`\sigma'`. The tail behind K terms is at most
:math:`|\rho|^K \sqrt{t(a)\, t(b)}` by the Cauchy-Schwarz inequality, where
:math:`t(a) = E[\sigma(\sqrt a g)^2] - \sum_{k<K} s_k(a)^2` is known. A coefficient is one integral for each variance,
whatever the number of pairs; a pair then costs K products where a rule of the plane costs K^2 activations, and fewer
where the powers of its correlation fade before. The
integrals are sums over a regular grid, which converge geometrically for integrands analytic in a strip, however large
the variance; Gauss-Hermite rules do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assembly.activations import get

Vector = NDArray[np.float64]
RANGE = 13.0  # of the grid: beyond, exp(-g^2 / 4) is below 1e-18
STEPS = tuple(2.0**-n for n in range(4, 11))
ORDERS = tuple(2**n for n in range(6, 13))
RESOLVED = 1e-13  # relative distance between the integrals by a grid and by every other point of it
CONVERGED = 1e-14  # relative tail
NEGLIGIBLE = 1e-17  # power of a correlation
NUMBERS = 2**20  # of activations on the grid at once
PAIRS = 2**14  # at once: what a term reads and writes stays in the cache


@dataclass(frozen=True)
class HermiteSeries:
    """Coefficients of sigma and of sigma' for some variances.

    Attributes
    ----------
    name : str
        The activation function.
    variance : ndarray of shape (n_variances,)
    step : float
        Of the grid.
    coefficients : ndarray of shape (2, order, n_variances)
        s_k of sigma, then of sigma'.
    squares, tails : ndarray of shape (2, n_variances)
        E[sigma^2] and E[sigma'^2]; the part of them behind the last coefficient, relative.
    grid_error : float
        Largest relative error of the squares on the grid, by the distance from every other point of it.
    """

    name: str
    variance: Vector
    step: float
    coefficients: Vector
    squares: Vector
    tails: Vector
    grid_error: float

    def products(self, left: NDArray[np.int64], right: NDArray[np.int64], rho: Vector) -> tuple[Vector, float]:
        """Return both expectations of pairs, shape (2, n_pairs), and a bound on their relative error.

        Relative to the root of the product of the two squares. `left` and `right` are positions of the variances;
        where `rho` is 1 or -1 the pair is one variable, and the grid is summed.
        """
        found = np.empty((2, len(rho)))
        n_terms = self._terms(rho)
        by_terms = np.argsort(n_terms, kind="stable")
        for start in range(0, len(rho), PAIRS):
            part = by_terms[start : start + PAIRS]
            found[:, part] = self._summed(left[part], right[part], rho[part], int(n_terms[part[-1]]))
        is_one = np.abs(rho) == 1.0
        found[:, is_one] = self._of_one_variable(left[is_one], right[is_one], rho[is_one])
        between = ~is_one
        damping = np.abs(rho[between]) ** self.coefficients.shape[1]
        tails = np.sqrt(self.tails[:, left[between]] * self.tails[:, right[between]])
        return found, self.grid_error + float((damping * tails).max(initial=0.0))

    def _terms(self, rho: Vector) -> NDArray[np.int64]:
        """Return the number of terms of every pair, behind which the powers of its correlation are negligible."""
        order = self.coefficients.shape[1]
        with np.errstate(divide="ignore"):
            needed = np.ceil(math.log(NEGLIGIBLE) / np.log(np.abs(rho)))
        return np.where(np.abs(rho) < 1.0, np.clip(needed, 1.0, order), 1.0).astype(np.int64)

    def _summed(self, left: NDArray[np.int64], right: NDArray[np.int64], rho: Vector, n_terms: int) -> Vector:
        total = np.zeros((2, len(rho)))
        for row in self.coefficients[:, :n_terms].transpose(1, 0, 2)[::-1]:
            total *= rho
            total += row[:, left] * row[:, right]
        return total

    def _of_one_variable(self, left: NDArray[np.int64], right: NDArray[np.int64], sign: Vector) -> Vector:
        grid, weight = _grid(self.step)
        found = np.empty((2, len(left)))
        at_once = max(1, NUMBERS // len(grid))
        for start in range(0, len(left), at_once):
            part = slice(start, start + at_once)
            u = np.sqrt(self.variance[left[part], None]) * grid
            v = sign[part, None] * np.sqrt(self.variance[right[part], None]) * grid
            found[:, part] = (get(self.name).jet(u)[:2] * get(self.name).jet(v)[:2]) @ weight
        return found


def hermite_series(name: str, variance: Vector) -> HermiteSeries:
    """Return the series of an activation function for some variances, as long as the largest one asks for."""
    step, order = _resolution(name, variance.max(initial=0.0, keepdims=True))
    at_once = max(1, NUMBERS // len(_grid(step)[0]))
    starts = range(0, max(len(variance), 1), at_once)
    parts = [_expanded(name, variance[i : i + at_once], step, order) for i in starts]
    coefficients, squares, tails, grid_errors = zip(*parts, strict=True)
    return HermiteSeries(
        name,
        variance,
        step,
        np.concatenate(coefficients, axis=2),
        np.concatenate(squares, axis=1),
        np.concatenate(tails, axis=1),
        max(grid_errors),
    )


def _resolution(name: str, variance: Vector) -> tuple[float, int]:
    """Return the step of the grid and the number of terms that one variance needs."""
    step = next((step for step in STEPS if _expanded(name, variance, step, 1)[3] <= RESOLVED), STEPS[-1])
    for order in ORDERS:
        step = min(step, 2.0 / math.sqrt(order))  # polynomials up to there are orthonormal on the grid
        if _expanded(name, variance, step, order)[2].max() <= CONVERGED:
            break
    return step, order


def _expanded(name: str, variance: Vector, step: float, order: int) -> tuple[Vector, Vector, Vector, float]:
    """Return coefficients, squares, relative tails and the error of the grid, as `HermiteSeries` has them."""
    grid, weight = _grid(step)
    values = get(name).jet(np.sqrt(variance)[:, None] * grid)[:2]
    squares = values**2 @ weight
    coarse = 2.0 * (values[:, :, ::2] ** 2 @ weight[::2])
    weighted = _polynomials(grid, order) * weight
    coefficients = np.stack([weighted @ rows.T for rows in values])
    tails = squares - (coefficients**2).sum(axis=1)
    positive = np.where(squares > 0.0, squares, 1.0)
    grid_error = float((np.abs(squares - coarse) / positive).max(initial=0.0))
    return coefficients, squares, np.maximum(tails / positive, 0.0), grid_error


def _grid(step: float) -> tuple[Vector, Vector]:
    """Return the points of the grid and the normal density times the step there."""
    n = round(RANGE / step)
    grid = step * np.arange(-n, n + 1, dtype=np.float64)
    density: Vector = step / math.sqrt(2.0 * math.pi) * np.exp(-0.5 * grid**2)
    return grid, density


def _polynomials(grid: Vector, order: int) -> Vector:
    """Return the orthonormal Hermite polynomials on a grid, shape (order, n_points)."""
    found = np.empty((order, len(grid)))
    before, latest = np.zeros_like(grid), np.ones_like(grid)
    for k in range(order):
        found[k] = latest
        before, latest = latest, (grid * latest - math.sqrt(k) * before) / math.sqrt(k + 1.0)
    return found
