"""A power of width against a power times a power of log(width), compared by their likelihoods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assembly.diagnostics.rates.replicates import gather
from assembly.diagnostics.rates.resampling import check_confidence
from assembly.diagnostics.verdict import signed
from assembly.errors import ArgumentError

DEGREES_OF_FREEDOM = 4.0
"""Of the t distribution of log replicates: the mean of each width is robust, and a normal one is hardly worse off."""

_MOST_STEPS = 2000
_LEAST_GAIN = 1e-10


@dataclass(frozen=True)
class LogFactor:
    r"""The models :math:`q = C m^a` and :math:`q = C m^a (\log m)^b` on the same replicates.

    Attributes
    ----------
    exponent, lower, upper : float
        `a` with the log factor, and its interval.
    log_power, log_power_lower, log_power_upper : float
        `b`, and its interval.
    pure_exponent, pure_lower, pure_upper : float
        `a` of the pure power, by the same likelihood, and its interval.
    correlation : float
        Between the estimates of `a` and `b`; close to -1, because log(m) and log(log(m)) rise together.
    log_likelihood_gain : float
        Log-likelihood with the log factor minus that without, at least 0, times (N - 2 k) / N for N replicates and k
        widths: few replicates give scales that are too small. The factor was found by simulation.
    p_value : float
        Of the likelihood ratio: the chance of a gain this large under a pure power.
    widths : tuple of int
        Ascending.
    n_used, n_excluded : int
        Replicates used, and those left out because they were NaN.
    confidence : float
        Level of the intervals.
    """

    exponent: float
    lower: float
    upper: float
    log_power: float
    log_power_lower: float
    log_power_upper: float
    pure_exponent: float
    pure_lower: float
    pure_upper: float
    correlation: float
    log_likelihood_gain: float
    p_value: float
    widths: tuple[int, ...]
    n_used: int
    n_excluded: int
    confidence: float

    @property
    def is_supported(self) -> bool:
        """True if the p-value is below 1 - `confidence`."""
        return self.p_value < 1.0 - self.confidence

    @property
    def sentence(self) -> str:
        """Both models in words."""
        pure = f"m^{signed(self.pure_exponent)} [{signed(self.pure_lower)}, {signed(self.pure_upper)}]"
        mixed = (
            f"m^{signed(self.exponent)} [{signed(self.lower)}, {signed(self.upper)}] times log(m)^"
            f"{signed(self.log_power)} [{signed(self.log_power_lower)}, {signed(self.log_power_upper)}]"
        )
        answer = "is supported" if self.is_supported else "is not needed"
        return f"a log factor {answer} (p = {self.p_value:.2g}): {pure} without, {mixed} with"


def log_factor_model(
    widths: Sequence[int], values: Sequence[Sequence[float]], *, confidence: float = 0.95
) -> LogFactor:
    r"""Compare a pure power of width with a power times a power of the logarithm, by likelihood.

    Log replicates at width :math:`m_i` are taken as t distributed with 4 degrees of freedom, a scale
    :math:`\sigma_i` of their own and the centre

    .. math:: c + a \log m_i + b \log\log m_i, \qquad b = 0 \text{ for the pure power}.

    Both are fitted by maximum likelihood [1]_. Twice the gain in log-likelihood is compared with the chi-squared
    distribution of one degree of freedom, after a correction for small numbers of replicates.

    To be shown beside an exponent, not instead of it: over a decade and a half of widths log(log(m)) is nearly a
    straight line in log(m), a small `b` cannot be seen, and the interval of `a` is ten times as wide with the log
    factor as without. A log factor that is not needed is not shown to be absent.

    Parameters
    ----------
    widths : sequence of int
        As for `fit_rate`, and at least 2.
    values : sequence of sequences of float
        As for `fit_rate`; networks at different widths independent.
    confidence : float
        Level of the intervals, and of `LogFactor.is_supported`.

    Returns
    -------
    LogFactor

    Raises
    ------
    ArgumentError
        As `fit_rate`; or if a width is 1, whose log(log) does not exist; or if four fifths of the replicates at a width
        or more are equal: their likelihood has no maximum.
    NonFiniteError, ShapeError
        As `fit_rate`.

    Notes
    -----
    Over simulated studies (``python benchmarks/rate_coverage.py``) a pure power gets a log factor in 3 to 7 % of them,
    and the intervals of `a` hold it in 92 to 95 %. With 7 widths and 10 replicates a factor of log(m) is found in 99 %
    of the studies with 5 % scatter and in 20 % with 20 % scatter; its square root in 59 % and in 9 %.

    Cost: some hundred steps over all replicates, about 10 ms.

    References
    ----------
    .. [1] K. Lange, R. Little and J. Taylor (1989), Robust statistical modeling using the t distribution, JASA 84,
       881-896. The intervals come from the sandwich of curvature and squared scores at the maximum, which does not take
       the t distribution for the truth: P. J. Huber and E. M. Ronchetti (2009), Robust Statistics, section 7.6.

    Examples
    --------
    >>> from assembly.seeds import generator
    >>> noise = np.exp(0.02 * generator(0, "noise").standard_normal((6, 20)))
    >>> widths = [32, 64, 128, 256, 512, 1024]
    >>> log_factor_model(widths, [row * m**-0.5 * math.log(m) for row, m in zip(noise, widths)]).is_supported
    True
    >>> log_factor_model(widths, [row * m**-0.5 for row, m in zip(noise, widths)]).is_supported
    False
    """
    level = check_confidence(confidence)
    replicates = gather(widths, {"values": values})
    logs = [np.log(sample[0]) for sample in replicates.samples]
    _check_scatter(replicates.widths, logs)
    x = replicates.log_widths
    log_factor = np.log(x)
    centred = x - x.mean()
    tilt = (centred * log_factor).sum() / (centred * centred).sum()
    straight = np.stack([np.ones(x.size), centred])
    bent = np.concatenate([straight, [log_factor - log_factor.mean() - tilt * centred]])

    medians = np.array([np.median(row) for row in logs])
    slope = (centred * medians).sum() / (centred * centred).sum()
    pure = _maximise(straight, logs, np.array([medians.mean(), slope]))
    mixed = _maximise(bent, logs, np.append(pure.coefficients, 0.0))
    n_used = replicates.n_used
    correction = (n_used - 2 * x.size) / n_used
    gain = max(0.0, correction * (mixed.log_likelihood - pure.log_likelihood))

    to_powers = np.array([[1.0, -tilt], [0.0, 1.0]])  # a = slope - tilt * b
    powers = np.einsum("pq,q->p", to_powers, mixed.coefficients[1:], optimize=False)
    covariance = np.einsum("pr,rs,qs->pq", to_powers, mixed.covariance[1:, 1:], to_powers, optimize=False)
    z = NormalDist().inv_cdf(0.5 + 0.5 * level) / math.sqrt(correction)
    spread = z * np.sqrt(np.diag(covariance))
    pure_spread = z * math.sqrt(pure.covariance[1, 1])
    return LogFactor(
        exponent=float(powers[0]),
        lower=float(powers[0] - spread[0]),
        upper=float(powers[0] + spread[0]),
        log_power=float(powers[1]),
        log_power_lower=float(powers[1] - spread[1]),
        log_power_upper=float(powers[1] + spread[1]),
        pure_exponent=float(pure.coefficients[1]),
        pure_lower=float(pure.coefficients[1] - pure_spread),
        pure_upper=float(pure.coefficients[1] + pure_spread),
        correlation=float(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])),
        log_likelihood_gain=gain,
        p_value=math.erfc(math.sqrt(gain)),
        widths=replicates.widths,
        n_used=n_used,
        n_excluded=replicates.n_excluded,
        confidence=level,
    )


class _Fit(NamedTuple):
    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]
    log_likelihood: float


def _maximise(design: NDArray[np.float64], logs: Sequence[NDArray[np.float64]], start: NDArray[np.float64]) -> _Fit:
    """Fit centres ``coefficients @ design`` and a scale at each width; design is (n_coefficients, n_widths)."""
    place = np.repeat(np.arange(len(logs)), [row.size for row in logs])
    y = np.concatenate(logs)
    counts = np.bincount(place)
    degrees, best = DEGREES_OF_FREEDOM, -math.inf
    coefficients, log_likelihood = start, -math.inf
    residual = y - _centres(coefficients, design)[place]
    square = np.bincount(place, residual * residual) / counts
    for _ in range(_MOST_STEPS):
        weight = (degrees + 1.0) / (degrees + residual * residual / square[place])
        total = np.bincount(place, weight)
        normal = np.einsum("pw,w,qw->pq", design, total / square, design, optimize=False)
        target = np.einsum("pw,w->p", design, np.bincount(place, weight * y) / square, optimize=False)
        coefficients = np.linalg.solve(normal, target)
        residual = y - _centres(coefficients, design)[place]
        square = np.bincount(place, weight * residual * residual) / total
        tails = np.log1p(residual * residual / (degrees * square[place])).sum()
        log_likelihood = float(-0.5 * (degrees + 1.0) * tails - 0.5 * (counts * np.log(square)).sum())
        if log_likelihood - best < _LEAST_GAIN:
            break
        best = log_likelihood
    score = weight * residual / square[place]
    slope = weight * (1.0 - 2.0 * weight * residual * residual / ((degrees + 1.0) * square[place])) / square[place]
    outer = np.einsum("pw,w,qw->pq", design, np.bincount(place, score * score), design, optimize=False)
    inner = np.linalg.inv(np.einsum("pw,w,qw->pq", design, np.bincount(place, slope), design, optimize=False))
    covariance = np.einsum("pr,rs,sq->pq", inner, outer, inner, optimize=False)
    return _Fit(coefficients, covariance, log_likelihood)


def _centres(coefficients: NDArray[np.float64], design: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.einsum("p,pw->w", coefficients, design, optimize=False))


def _check_scatter(widths: Sequence[int], logs: Sequence[NDArray[np.float64]]) -> None:
    if min(widths) < 2:
        raise ArgumentError("A log factor needs widths of at least 2: log(log(1)) does not exist. Got 1.")
    for width, row in zip(widths, logs, strict=True):
        most = int(np.unique(row, return_counts=True)[1].max())
        if most >= 0.8 * row.size:
            raise ArgumentError(
                "A log factor is judged by the scatter of replicates, which must differ at each width. "
                f"Got {most} of {row.size} equal at width {width}."
            )
