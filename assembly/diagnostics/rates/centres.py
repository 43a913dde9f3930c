"""Median and mean of replicates on a logarithmic scale, and the variance of the median without a simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Centres(NamedTuple):
    """Centres of replicates; the last axis runs over the widths."""

    log_median: NDArray[np.float64]
    variance: NDArray[np.float64]
    """Of the log median over repetitions with other networks, see `median_variance`."""
    log_mean: NDArray[np.float64]


def centres(samples: Sequence[NDArray[np.float64]]) -> Centres:
    """Return the centres of samples, one for each width, whose last axis runs over the replicates."""
    columns = [_centre(sample) for sample in samples]
    return Centres(*(np.stack(parts, axis=-1) for parts in zip(*columns, strict=True)))


def _centre(sample: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    ordered = np.sort(sample, axis=-1)
    n = ordered.shape[-1]
    median = 0.5 * ordered[..., (n - 1) // 2] + 0.5 * ordered[..., n // 2]
    log_mean = np.log(median) + np.log((ordered / median[..., np.newaxis]).mean(axis=-1))
    return np.log(median), median_variance(np.log(ordered)), log_mean


def median_variance(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Variance of the median of a bootstrap sample, in closed form.

    For odd `n` the median of a resample is the order statistic :math:`y_{(k)}` with probability

    .. math:: p_k = P\{B(n, k/n) \ge (n+1)/2\} - P\{B(n, (k-1)/n) \ge (n+1)/2\}, \qquad B \text{ binomial},

    and the variance is :math:`\sum_k p_k y_{(k)}^2 - (\sum_k p_k y_{(k)})^2` [1]_. For even `n` the distributions of
    the two middle order statistics are averaged.

    Parameters
    ----------
    ordered : ndarray of shape (..., n)
        Ascending.

    Returns
    -------
    ndarray of shape (...)

    References
    ----------
    .. [1] J. S. Maritz and R. G. Jarrett (1978), A note on estimating the variance of the sample median, JASA 73,
       194-196; B. Efron (1979), Bootstrap methods, Annals of Statistics 7, section 3.

    Examples
    --------
    >>> round(float(median_variance(np.array([0.0, 0.0, 1.0]))), 12) == round(7 / 27 * 20 / 27, 12)
    True
    """
    n = ordered.shape[-1]
    centred = ordered - ordered[..., n // 2, np.newaxis]
    chances = np.array(_median_chances(n))
    mean = np.einsum("...k,k->...", centred, chances, optimize=False)
    square = np.einsum("...k,k->...", centred * centred, chances, optimize=False)
    return np.asarray(np.maximum(square - mean * mean, 0.0))


@cache
def _median_chances(n: int) -> tuple[float, ...]:
    below = [0.5 * (_at_least(n, k / n, (n + 1) // 2) + _at_least(n, k / n, n // 2 + 1)) for k in range(n + 1)]
    return tuple(high - low for low, high in pairwise(below))


def _at_least(n: int, chance: float, count: int) -> float:
    """P{B(n, chance) >= count}."""
    if chance in (0.0, 1.0):
        return chance
    terms = (
        math.lgamma(n + 1) - math.lgamma(j + 1) - math.lgamma(n - j + 1)
        + j * math.log(chance) + (n - j) * math.log1p(-chance)
        for j in range(count, n + 1)
    )  # fmt: skip
    return math.fsum(math.exp(term) for term in terms)
