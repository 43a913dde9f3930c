"""Bootstrap over networks: which are drawn together, and the percentile interval of what they give."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assembly.diagnostics.rates.centres import Centres, centres
from assembly.diagnostics.rates.replicates import Replicates
from assembly.errors import ArgumentError
from assembly.seeds import generator


def resampled(replicates: Replicates, seed: int, n_resamples: int, *, nested: bool = False) -> Centres:
    """Centres of resamples, networks drawn with replacement at each width.

    All quantities of one network are drawn together. Widths are independent, unless `nested`: then the k-th networks of
    all widths are drawn together too.

    Returns
    -------
    Centres
        Each of shape (n_quantities, n_resamples, n_widths).
    """
    drawn = []
    for width, sample in zip(replicates.widths, replicates.samples, strict=True):
        rng = generator(seed, "bootstrap", "nested") if nested else generator(seed, "bootstrap", width)
        n = sample.shape[1]
        drawn.append(sample[:, rng.integers(n, size=(n_resamples, n))])
    return centres(drawn)


def percentile_interval(
    draws: NDArray[np.float64], confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of the central part of the draws, which run along the first axis."""
    tail = (1.0 - confidence) / 2.0
    lower, upper = np.quantile(draws, [tail, 1.0 - tail], axis=0)
    return lower, upper


def expanded(drawn: Centres, found: Centres, replicates: Replicates) -> NDArray[np.float64]:
    r"""Resampled log means, moved from the log mean found by the factor :math:`\sqrt{n_i / (n_i - 1)}`.

    A resample of n values has the variance with divisor n, which is too small by that factor squared.
    """
    counts = np.array([sample.shape[1] for sample in replicates.samples], dtype=np.float64)
    centre = found.log_mean[:, np.newaxis, :]
    return np.asarray(centre + np.sqrt(counts / (counts - 1.0)) * (drawn.log_mean - centre))


def check_confidence(confidence: float) -> float:
    """Return `confidence` if it is a number strictly between 0 and 1, else raise `ArgumentError`."""
    if isinstance(confidence, bool) or not isinstance(confidence, int | float | np.floating) or not 0 < confidence < 1:
        raise ArgumentError(f"The 'confidence' argument must be a number between 0 and 1. Got {confidence!r}.")
    return float(confidence)
