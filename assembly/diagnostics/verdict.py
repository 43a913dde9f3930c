"""Whether a measurement agrees with what was claimed of it: claim, rule, verdict and the sentence that says so.

A claim is a predicted exponent in width, or a bound that every network keeps.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from assembly.checks import check_number
from assembly.errors import ArgumentError

Verdict = Literal["consistent", "inconsistent", "undecided"]

DEFAULT_BAND = 0.1
_LARGEST_DENOMINATOR = 8
BOUND_RULE = (
    "A bound is consistent if every network keeps it; inconsistent if the median at some width breaks it; undecided "
    "otherwise."
)


@dataclass(frozen=True)
class Claim:
    """An exponent predicted before the run, the alternative it is to be told from, and the band around each.

    Parameters
    ----------
    quantity : str
        Column name, for example ``"hessian_norm"``.
    prediction : float
        The exponent in width that the theory gives.
    alternative : float
        The exponent the measurement must be told from.
    band : float
        Half-width of the band around both, above 0. Finite widths carry logarithms, so an interval that misses the
        prediction by less than the band is no disagreement. At more than half the distance between the two the bands
        overlap, and an interval inside the overlap is undecided however narrow.
    source : str
        Where the prediction stands.

    Raises
    ------
    ArgumentError
        If a number is not finite, the band is not above 0, or prediction and alternative are the same.

    Examples
    --------
    >>> Claim("hessian_norm", -0.5, 0.0, source="claim 2")
    Claim(quantity='hessian_norm', prediction=-0.5, alternative=0.0, band=0.1, source='claim 2')
    """

    quantity: str
    prediction: float
    alternative: float
    band: float = DEFAULT_BAND
    source: str = ""

    def __post_init__(self) -> None:
        check_number("prediction", self.prediction)
        check_number("alternative", self.alternative)
        check_number("band", self.band, above=0.0)
        if self.prediction == self.alternative:
            raise ArgumentError(
                f"The 'alternative' argument of the claim on {self.quantity} must differ from the prediction. "
                f"Got {exponent_text(self.alternative)} for both."
            )


@dataclass(frozen=True)
class Bound:
    """A bound on a quantity, stated before the run, for every network at every width.

    Parameters
    ----------
    quantity : str
        Column name.
    at_least, at_most : float, optional
        One of them, or both.
    source : str
        Where the bound stands.

    Raises
    ------
    ArgumentError
        If neither is given, one is not finite, or nothing lies between them.

    Examples
    --------
    >>> Bound("deviation", at_most=1e-10).text
    'at most 1e-10'
    """

    quantity: str
    at_least: float | None = None
    at_most: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        limits = {"at_least": self.at_least, "at_most": self.at_most}
        given = {name: check_number(name, value) for name, value in limits.items() if value is not None}
        if not given:
            raise ArgumentError(f"The bound on {self.quantity} must give 'at_least' or 'at_most'. Got neither.")
        if len(given) == 2 and given["at_least"] > given["at_most"]:
            raise ArgumentError(
                f"The 'at_least' argument of the bound on {self.quantity} must not exceed 'at_most' = "
                f"{given['at_most']:g}. Got {given['at_least']:g}."
            )

    @property
    def text(self) -> str:
        """The bound in words."""
        limits = (("at least", self.at_least), ("at most", self.at_most))
        return ", ".join(f"{words} {value:g}" for words, value in limits if value is not None)

    def holds(self, value: float) -> bool:
        """Return whether a value keeps the bound; False for NaN."""
        low = -math.inf if self.at_least is None else self.at_least
        high = math.inf if self.at_most is None else self.at_most
        return low <= value <= high


def judge_bound(bound: Bound, replicates: Sequence[Sequence[float]]) -> Verdict:
    """Judge the values of all networks by the rule declared beforehand.

    Consistent: every network keeps the bound. Inconsistent: the median at some width breaks it. Undecided otherwise,
    also where a network has no number.

    Parameters
    ----------
    bound : Bound
    replicates : sequence of sequence of float
        The values at each width; NaN where there is none.

    Raises
    ------
    ArgumentError
        If there is no number at all.

    Examples
    --------
    >>> bound = Bound("deviation", at_most=1.0)
    >>> judge_bound(bound, [[0.1, 0.2], [0.3, 1.0]]), judge_bound(bound, [[0.1, 0.2, 1.1]])
    ('consistent', 'undecided')
    >>> judge_bound(bound, [[0.1, 0.2], [0.3, 1.8]])
    'inconsistent'
    """
    measured = [[value for value in values if not math.isnan(value)] for values in replicates]
    if not any(measured):
        raise ArgumentError(f"The 'replicates' argument must hold a number of {bound.quantity}. Got none.")
    if not all(bound.holds(statistics.median(values)) for values in measured if values):
        return "inconsistent"
    return "consistent" if all(bound.holds(value) for values in replicates for value in values) else "undecided"


def beside_bound(value: float, bound: Bound) -> str:
    """Return a value with three digits, or as many more as it takes to stand on its own side of a bound.

    Parameters
    ----------
    value : float
    bound : Bound

    Examples
    --------
    >>> beside_bound(0.12345, Bound("ratio", at_least=1.0)), beside_bound(0.99996, Bound("ratio", at_least=1.0))
    ('0.123', '0.99996')
    """
    limits = [limit for limit in (bound.at_least, bound.at_most) if limit is not None]
    shown = (f"{value:.{digits}g}" for digits in range(3, 17))

    def is_beside(text: str) -> bool:
        sides = ((float(text) - limit, value - limit) for limit in limits)
        return all((rounded > 0.0, rounded < 0.0) == (gap > 0.0, gap < 0.0) for rounded, gap in sides)

    return next(filter(is_beside, shown), repr(float(value)))


def bound_sentence(name: str, replicates: Sequence[Sequence[float]], bound: Bound) -> str:
    """Say in one sentence which values a quantity takes, and whether that agrees with its bound.

    Examples
    --------
    >>> bound_sentence("deviation", [[0.1, 0.2], [0.3, math.nan]], Bound("deviation", at_most=1.0))
    'deviation lies between 0.1 and 0.3 in 3 of 4 networks; claimed at most 1: undecided'
    """
    values = [value for row in replicates for value in row]
    measured = [value for value in values if not math.isnan(value)]
    verdict = judge_bound(bound, replicates)
    return (
        f"{name} lies between {beside_bound(min(measured), bound)} and {beside_bound(max(measured), bound)} "
        f"in {len(measured)} of {len(values)} networks; claimed {bound.text}: {verdict}"
    )


def judge(claim: Claim, lower: float, upper: float) -> Verdict:
    """Judge an interval by the rule declared beforehand.

    Consistent: the interval meets the prediction's band and not the alternative's. Inconsistent: the reverse, or it
    meets neither. Undecided: it meets both. Bands and interval are closed, so touching is meeting.

    Parameters
    ----------
    claim : Claim
    lower, upper : float
        Ends of the interval of the measured exponent.

    Returns
    -------
    str
        ``"consistent"``, ``"inconsistent"`` or ``"undecided"``.

    Raises
    ------
    ArgumentError
        If an end is not finite or `lower` exceeds `upper`.

    Examples
    --------
    >>> claim = Claim("hessian_norm", -0.5, 0.0)
    >>> judge(claim, -0.50, -0.47), judge(claim, -0.03, 0.05), judge(claim, -0.3, -0.2), judge(claim, -0.5, 0.0)
    ('consistent', 'inconsistent', 'inconsistent', 'undecided')
    """
    check_number("upper", upper, at_least=check_number("lower", lower))
    meets_prediction = _meets(lower, upper, claim.prediction, claim.band)
    meets_alternative = _meets(lower, upper, claim.alternative, claim.band)
    if meets_prediction and meets_alternative:
        return "undecided"
    return "consistent" if meets_prediction else "inconsistent"


def sentence(name: str, exponent: float, lower: float, upper: float, claim: Claim | None = None) -> str:
    """Say in one sentence how a quantity moves with width, and whether that agrees with its claim.

    "Stays flat" is said when the whole interval is at most the band (0.1 without a claim) away from 0; "falls" and
    "grows" when it lies on one side of 0; "shows no clear trend" otherwise.

    Parameters
    ----------
    name : str
        The quantity as it is to be shown, for example ``"||H||"``.
    exponent, lower, upper : float
        The measured exponent and its interval.
    claim : Claim, optional
        Without one the exponent is shown, not judged.

    Raises
    ------
    ArgumentError
        As `judge`.

    Examples
    --------
    >>> sentence("||H||", -0.484, -0.498, -0.473, Claim("hessian_norm", -0.5, 0.0))
    '||H|| falls like m^-0.48 [-0.50, -0.47]; predicted -1/2, band 0.1: consistent'
    >>> sentence("||H||", 0.012, -0.03, 0.05, Claim("hessian_norm", 0.0, -0.5))
    '||H|| stays flat: m^0.01 [-0.03, 0.05]; predicted 0, band 0.1: consistent'
    >>> sentence("1/n", 0.9, 0.85, 0.95)
    '1/n grows like m^0.90 [0.85, 0.95]; shown, not judged'
    """
    band = DEFAULT_BAND if claim is None else claim.band
    if max(abs(lower), abs(upper)) <= band:
        trend = "stays flat:"
    elif upper < 0.0 or lower > 0.0:
        trend = "falls like" if exponent < 0.0 else "grows like"
    else:
        trend = "shows no clear trend:"
    measured = f"{name} {trend} m^{signed(exponent)} {interval_text(lower, upper)}"
    if claim is None:
        return f"{measured}; shown, not judged"
    verdict = judge(claim, lower, upper)
    return f"{measured}; predicted {exponent_text(claim.prediction)}, band {claim.band:g}: {verdict}"


def rule_in_words(
    claims: Sequence[Claim | Bound], names: Mapping[str, str] | None = None, *, has_bounds: bool = False
) -> str:
    """Write the rule of agreement and every claim under it, to be printed before the run.

    Parameters
    ----------
    claims : sequence of Claim or Bound
        Equal claims are printed once.
    names : mapping of str to str, optional
        Column name to display name; columns without one are shown as they are.
    has_bounds : bool
        Whether to give the rule of bounds, too; so it is where one of the claims is a bound.

    Returns
    -------
    str
        Several lines: the rule, then one line for each claim.

    Examples
    --------
    >>> print(rule_in_words([Claim("hessian_norm", -0.5, 0.0)], {"hessian_norm": "||H||"}))
    Rule of agreement, fixed before the run: an exponent is consistent if its interval meets the prediction's band
    and not the alternative's; inconsistent if the reverse, or neither; undecided if both.
      ||H||: predicted -1/2 (-0.60 to -0.40), alternative 0 (-0.10 to 0.10)
    """
    shown = dict(names or {})
    lines = [
        "Rule of agreement, fixed before the run: an exponent is consistent if its interval meets the prediction's "
        "band",
        "and not the alternative's; inconsistent if the reverse, or neither; undecided if both.",
    ]
    if has_bounds or any(isinstance(claim, Bound) for claim in claims):
        lines.append(BOUND_RULE)
    lines += [f"  {shown.get(claim.quantity, claim.quantity)}: {claimed(claim)}" for claim in dict.fromkeys(claims)]
    return "\n".join(lines)


def claimed(claim: Claim | Bound) -> str:
    """Return what a claim says, in a few words.

    Examples
    --------
    >>> claimed(Claim("hessian_norm", -0.5, 0.0)), claimed(Bound("deviation", at_most=1.0))
    ('predicted -1/2 (-0.60 to -0.40), alternative 0 (-0.10 to 0.10)', 'at most 1')
    """
    if isinstance(claim, Bound):
        return claim.text
    predicted, alternative = (_with_band(centre, claim.band) for centre in (claim.prediction, claim.alternative))
    return f"predicted {predicted}, alternative {alternative}"


def exponent_text(value: float) -> str:
    """Return an exponent as a small fraction where it is one, else as a decimal.

    Examples
    --------
    >>> exponent_text(-0.5), exponent_text(0.0), exponent_text(-0.375), exponent_text(-0.41)
    ('-1/2', '0', '-3/8', '-0.41')
    """
    fraction = Fraction(value).limit_denominator(_LARGEST_DENOMINATOR)
    return str(fraction) if math.isclose(float(fraction), value, rel_tol=0.0, abs_tol=1e-12) else f"{value:g}"


def signed(value: float, digits: int = 2) -> str:
    """Return a number as text with fixed decimals and never a negative zero.

    Examples
    --------
    >>> signed(-0.4849), signed(-0.001)
    ('-0.48', '0.00')
    """
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0.0 else text


def interval_text(lower: float, upper: float, digits: int = 2) -> str:
    """Return an interval as text.

    Examples
    --------
    >>> interval_text(-0.5, -0.4712)
    '[-0.50, -0.47]'
    """
    return f"[{signed(lower, digits)}, {signed(upper, digits)}]"


def _meets(lower: float, upper: float, centre: float, band: float) -> bool:
    return lower <= centre + band and upper >= centre - band


def _with_band(centre: float, band: float) -> str:
    digits = 2 if math.isclose(round(band, 2), band) else 3
    return f"{exponent_text(centre)} ({signed(centre - band, digits)} to {signed(centre + band, digits)})"
