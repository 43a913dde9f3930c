r"""Derivatives by differences, each with its uncertainty: the yardstick for derivatives that somebody wrote by hand.

Central differences over falling steps :math:`h_i = h_0 r^{-i}`, :math:`D_{i0} = (g(w + h_i) - g(w - h_i)) / 2 h_i`,
extrapolated to step 0,

.. math:: D_{ik} = \frac{r^{2k} D_{i,k-1} - D_{i-1,k-1}}{r^{2k} - 1},

of which each step offers the one that agrees best with its predecessors [1]_. Two precautions: the noise of g is read
off the smallest steps, where nothing else is left; and a large step counts only if all smaller ones agree with it, or
else a feature narrower than the step would go unseen.

References
----------
.. [1] C. J. F. Ridders (1982), Accurate computation of F'(x) and F'(x) F''(x), Advances in Engineering Software 4,
   75-76.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[Any]
FIRST_STEP = 0.37  # of the size of a parameter
RATIO = 1.7  # not 2: steps that double meet the same period, and the same rounding, again and again
N_STEPS = 25
N_NOISY = 4  # smallest steps, which tell the noise
LARGEST_ORDER = 6  # k; beyond, rounding gains more than the extrapolation
CONSISTENT = 2.0  # times the uncertainties is how far apart estimates of one number may be


def differentiate(
    function: Callable[[Vector], Vector], w: Vector, j: int, size: float, precision: float
) -> tuple[Vector, Vector]:
    """Return the derivative of a function in w_j and its uncertainty, each in the shape of the function's answer.

    Parameters
    ----------
    function : callable
        Of w. Steps at which it raises or is not finite are left out, with all larger ones.
    w : ndarray of shape (n_parameters,)
    j : int
    size : float
        How large w_j usually is.
    precision : float
        Relative rounding error of the function and of w.

    Returns
    -------
    derivative, uncertainty : ndarray
        The uncertainty is infinite where too few steps are left.
    """
    widths, derivatives, apart = _extrapolated(function, w, j, size, precision)
    if len(widths) < N_NOISY:
        return np.zeros_like(function(w)), np.full_like(function(w), np.inf)
    widths = widths.reshape(-1, *(1,) * (apart.ndim - 1))
    noise = np.max((widths * apart)[-N_NOISY:], axis=0)
    apart = np.maximum(apart, noise / widths)
    best, uncertainty = derivatives[-1], apart[-1]
    agrees = np.ones_like(best, dtype=bool)
    for derivative, own in zip(derivatives[-2::-1], apart[-2::-1], strict=True):
        agrees &= np.abs(derivative - best) <= CONSISTENT * (own + uncertainty)
        better = agrees & (own < uncertainty)
        best, uncertainty = np.where(better, derivative, best), np.where(better, own, uncertainty)
    return best, uncertainty


def one_sided(function: Callable[[Vector], Vector], w: Vector, j: int, step: float) -> tuple[Vector, Vector]:
    """Return the slopes of a function in w_j to the left and to the right over one step; NaN where it has no number."""
    here, ends = function(w), _ends(function, w, j, step)
    if ends is None:
        return np.full_like(here, np.nan), np.full_like(here, np.nan)
    up, down, width = ends
    return 2.0 * (here - down) / width, 2.0 * (up - here) / width


def _extrapolated(
    function: Callable[[Vector], Vector], w: Vector, j: int, size: float, precision: float
) -> tuple[Vector, Vector, Vector]:
    """Return 2 h, the best extrapolated derivative, and how far its predecessors are from it, for every step."""
    widths: list[float] = []
    derivatives: list[Vector] = []
    distances: list[Vector] = []
    above: list[Vector] = []
    for i in range(N_STEPS):
        ends = _ends(function, w, j, FIRST_STEP * size / RATIO**i)
        if ends is None:
            widths, derivatives, distances, above = [], [], [], []
            continue
        up, down, width = ends
        row = [(up - down) / width]
        best, distance = row[0], np.full_like(row[0], np.inf)
        for k in range(1, min(len(above), LARGEST_ORDER) + 1):
            row.append(row[-1] + (row[-1] - above[k - 1]) / (RATIO ** (2 * k) - 1.0))
            apart = np.maximum(np.abs(row[k] - row[k - 1]), np.abs(row[k] - above[k - 1]))
            best, distance = np.where(apart < distance, row[k], best), np.minimum(apart, distance)
        if above:
            widths.append(width)
            derivatives.append(best)
            rounding = precision * (np.abs(up) + np.abs(down) + 2.0 * abs(w[j]) * np.abs(row[0])) / width
            distances.append(distance + rounding)
        above = row
    return np.array(widths), np.array(derivatives), np.array(distances)


def _ends(function: Callable[[Vector], Vector], w: Vector, j: int, step: float) -> tuple[Vector, Vector, float] | None:
    """Return the function above and below w_j and the distance of the two, or None if it has no number there."""
    above, below = w.copy(), w.copy()
    above[j] += step
    below[j] -= step
    try:
        with np.errstate(all="ignore"):
            up, down = function(above), function(below)
    except Exception:
        return None
    width = float(above[j] - below[j])
    return (up, down, width) if width > 0.0 and np.isfinite(up).all() and np.isfinite(down).all() else None
