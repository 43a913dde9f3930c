"""Exponents of two quantities of the same networks, compared network by network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assembly.checks import check_count
from assembly.diagnostics.rates.centres import Centres, centres
from assembly.diagnostics.rates.lines import line, weights
from assembly.diagnostics.rates.replicates import gather
from assembly.diagnostics.rates.resampling import check_confidence, percentile_interval, resampled


@dataclass(frozen=True)
class RateDifference:
    """Difference of two exponents in width, with its interval.

    Attributes
    ----------
    difference : float
        Exponent of the first quantity minus that of the second.
    lower, upper : float
        Percentile bootstrap interval of the difference at level `confidence`.
    first, second : float
        The two exponents, under weights that they share; `fit_rate` weighs for each quantity alone.
    widths : tuple of int
        Ascending.
    n_used, n_excluded : int
        Networks with both values, and those left out because one was NaN, over all widths.
    confidence : float
        Level of the interval.
    """

    difference: float
    lower: float
    upper: float
    first: float
    second: float
    widths: tuple[int, ...]
    n_used: int
    n_excluded: int
    confidence: float

    @property
    def differs(self) -> bool:
        """True if the interval leaves out 0."""
        return self.lower > 0.0 or self.upper < 0.0


def compare_rates(
    widths: Sequence[int],
    first: Sequence[Sequence[float]],
    second: Sequence[Sequence[float]],
    *,
    nested: bool = False,
    seed: int = 0,
    n_resamples: int = 2000,
    confidence: float = 0.95,
) -> RateDifference:
    r"""Difference of the exponents of two quantities measured on the same networks.

    The two values of one network are drawn together. What they have in common (a network that is steeper than usual
    has a larger Hessian *and* a larger gradient) cancels in the difference; the intervals of two separate fits know
    nothing of it. Pairs are right as well where the two come from different networks with the same seeds, on the same
    data: if those are independent, pairing changes nothing but noise.

    The difference is the slope of :math:`y_i - z_i`, the difference of the log medians at each width, with weights
    :math:`1 / (v_i + v'_i + s^2)` as in `fit_rate`; `first` and `second` have the same weights, so that they subtract
    to `difference`.

    Parameters
    ----------
    widths : sequence of int
        As for `fit_rate`.
    first, second : sequence of sequences of float
        ``first[i][k]`` and ``second[i][k]`` belong to the same network k at ``widths[i]``; positive. Where one is NaN,
        the network is excluded from both.
    nested, seed, n_resamples, confidence
        As for `fit_rate`.

    Returns
    -------
    RateDifference

    Raises
    ------
    ArgumentError, NonFiniteError
        As `fit_rate`, for either quantity.
    ShapeError
        If `first` or `second` has not one entry per width, or they differ in their numbers of replicates.

    Notes
    -----
    Cost: twice that of `fit_rate`.

    Examples
    --------
    >>> import numpy as np
    >>> from assembly.seeds import generator
    >>> widths = [32, 64, 128, 512]
    >>> shared = np.exp(0.3 * generator(0, "shared").standard_normal((4, 10)))
    >>> first = [row * m**-0.5 for row, m in zip(shared, widths)]
    >>> found = compare_rates(widths, first, shared)
    >>> round(found.difference, 9), round(found.upper - found.lower, 9)
    (-0.5, 0.0)
    """
    level = check_confidence(confidence)
    n_draws = check_count("n_resamples", n_resamples, minimum=100)
    pairs = gather(widths, {"first": first, "second": second}, nested=nested)
    x = pairs.log_widths
    found, drawn = centres(pairs.samples), resampled(pairs, seed, n_draws, nested=nested)
    weight = weights(x, _difference(found))
    slopes = line(x, found.log_median, weight).slope
    between = _difference(drawn)
    lower, upper = percentile_interval(line(x, between.log_median, weights(x, between)).slope, level)
    return RateDifference(
        difference=float(slopes[0] - slopes[1]),
        lower=float(lower),
        upper=float(upper),
        first=float(slopes[0]),
        second=float(slopes[1]),
        widths=pairs.widths,
        n_used=pairs.n_used,
        n_excluded=pairs.n_excluded,
        confidence=level,
    )


def _difference(of: Centres) -> Centres:
    return Centres(
        of.log_median[0] - of.log_median[1], of.variance[0] + of.variance[1], of.log_mean[0] - of.log_mean[1]
    )
