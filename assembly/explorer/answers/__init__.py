"""Answers to a state: numbers, a verdict, a bracket, a curve, and what they cost; every number is the library's own."""

from assembly.explorer.answers.ball import Bracketed, bracket
from assembly.explorer.answers.costs import (
    LONG,
    Cost,
    Forecast,
    forecast,
    forecast_bracket,
    long_forecast,
    may_take_long,
)
from assembly.explorer.answers.curvature import Numbers, numbers
from assembly.explorer.answers.judgement import (
    LARGEST_RATIO,
    NEARBY,
    NEARLY,
    NO_SLOPE,
    NOT_YET,
    OF_CULPRITS,
    WORDS,
    Culprit,
    Gauge,
    Judged,
    judged,
    verdict,
)
from assembly.explorer.answers.line import FEW_POINTS, MANY_PARAMETERS, N_POINTS, Curve, curve, unit_direction
from assembly.explorer.answers.words import Table, as_json, number
from assembly.explorer.answers.work import Stop, StoppedError

__all__ = [
    "FEW_POINTS",
    "LARGEST_RATIO",
    "LONG",
    "MANY_PARAMETERS",
    "NEARBY",
    "NEARLY",
    "NOT_YET",
    "NO_SLOPE",
    "N_POINTS",
    "OF_CULPRITS",
    "WORDS",
    "Bracketed",
    "Cost",
    "Culprit",
    "Curve",
    "Forecast",
    "Gauge",
    "Judged",
    "Numbers",
    "Stop",
    "StoppedError",
    "Table",
    "as_json",
    "bracket",
    "curve",
    "forecast",
    "forecast_bracket",
    "judged",
    "long_forecast",
    "may_take_long",
    "number",
    "numbers",
    "unit_direction",
    "verdict",
]
