"""Whether a quantity falls with width: one rule for predictions, measurements and conditions."""

from __future__ import annotations

from typing import Literal

from assembly.diagnostics.rates import Rate
from assembly.diagnostics.verdict import DEFAULT_BAND

Direction = Literal["falls", "does not fall", "open"]

FALLING = -0.5  # what the theory promises, and what does not fall must be told from


def direction(rate: Rate, band: float = DEFAULT_BAND) -> Direction:
    """Return whether a quantity falls with width.

    It falls if the interval of its exponent lies below -band; it does not if the exponent is at least -band and the
    interval above the band around -1/2; otherwise that is open.

    Examples
    --------
    >>> from assembly.diagnostics.rates import fit_rate
    >>> widths = [16, 32, 64, 128, 256]
    >>> [direction(fit_rate(widths, [[width**power] * 3 for width in widths])) for power in (-0.5, -0.15, 0.0, 1.0)]
    ['falls', 'falls', 'does not fall', 'does not fall']
    """
    if rate.upper < -band:
        return "falls"
    return "does not fall" if rate.exponent >= -band and rate.lower > FALLING + band else "open"


def is_steady(rate: Rate, band: float = DEFAULT_BAND) -> bool:
    """Return whether the interval of an exponent meets [-band, band]: of order 1, as far as these data tell."""
    return rate.lower <= band and rate.upper >= -band
