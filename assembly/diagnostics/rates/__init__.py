"""Exponents in width: fitted to medians and means, compared between two quantities, tried with a logarithmic factor."""

from assembly.diagnostics.rates.comparison import RateDifference, compare_rates
from assembly.diagnostics.rates.log_factor import LogFactor, log_factor_model
from assembly.diagnostics.rates.rate import Rate, fit_rate
from assembly.diagnostics.rates.replicates import MINIMUM_REPLICATES, MINIMUM_SPAN, MINIMUM_WIDTHS

__all__ = [
    "MINIMUM_REPLICATES",
    "MINIMUM_SPAN",
    "MINIMUM_WIDTHS",
    "LogFactor",
    "Rate",
    "RateDifference",
    "compare_rates",
    "fit_rate",
    "log_factor_model",
]
