"""Straight lines through log medians, weighted by how far each may lie from the line."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assembly.diagnostics.rates.centres import Centres

_ROUNDING = 1e-24  # square of what a logarithm of order 1 is exact to, generously: keeps an exact power from 0 / 0


class Line(NamedTuple):
    """Weighted least squares of y in x; every entry has the leading axes of y."""

    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]
    drift: NDArray[np.float64]
    """Change of slope from the first x to the last, by a parabola; see `Rate`."""


def weights(x: NDArray[np.float64], centre: Centres) -> NDArray[np.float64]:
    r"""Weight of each width in a fit: :math:`w_i = 1 / (v_i + s^2)`.

    :math:`v_i` is the variance of the log median at width i (few replicates or much scatter make it large) and
    :math:`s^2` the mean squared residual of the unweighted line. Where replicates are alike, the weights are equal up
    to noise. Where log medians miss the line by more than their scatter explains, :math:`s^2` rules, and a width with
    hardly any scatter does not dictate the slope.

    Parameters
    ----------
    x : ndarray of shape (n_widths,)
    centre : Centres
        Over `n_widths`, with any leading axes.

    Returns
    -------
    ndarray of shape (..., n_widths)
    """
    y = centre.log_median
    plain = line(x, y, np.ones_like(y))
    residual = y - plain.intercept[..., np.newaxis] - plain.slope[..., np.newaxis] * x
    misfit = _sum(residual, residual) / (x.size - 2)
    return np.asarray(1.0 / (centre.variance + misfit + _ROUNDING))


def line(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> Line:
    """Fit a line for each row of y; sums are plain and their order is fixed, whatever the number of threads.

    Parameters
    ----------
    x : ndarray of shape (n_widths,)
    y, weight : ndarray of shape (..., n_widths)
    """
    weight = weight / _sum(weight)
    centre = _sum(weight, x)
    from_centre = x - centre
    spread = _sum(weight, from_centre, from_centre)
    slope = _sum(weight, from_centre, y) / spread
    intercept = _sum(weight, y) - slope * centre
    parabola = from_centre * from_centre - spread
    parabola = parabola - from_centre * (_sum(weight, parabola, from_centre) / spread)
    bend = _sum(weight, parabola, y) / _sum(weight, parabola, parabola)
    return Line(slope[..., 0], intercept[..., 0], 2.0 * (x[-1] - x[0]) * bend[..., 0])


def _sum(*factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the product over the last axis, which is kept with length 1."""
    subscripts = ",".join(["...w"] * len(factors))
    return np.asarray(np.einsum(f"{subscripts}->...", *factors, optimize=False)[..., np.newaxis])
