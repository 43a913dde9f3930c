"""Whether a measured exponent agrees with a prediction: claim, rule, verdict and the sentence that says so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from assembly.checks import check_number
from assembly.errors import ArgumentError

Verdict = Literal["consistent", "inconsistent", "undecided"]

DEFAULT_BAND = 0.1
_LARGEST_DENOMINATOR = 8


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
    measured = f"{name} {trend} m^{signed(exponent)} [{signed(lower)}, {signed(upper)}]"
    if claim is None:
        return f"{measured}; shown, not judged"
    verdict = judge(claim, lower, upper)
    return f"{measured}; predicted {exponent_text(claim.prediction)}, band {claim.band:g}: {verdict}"


def rule_in_words(claims: Sequence[Claim], names: Mapping[str, str] | None = None) -> str:
    """Write the rule of agreement and every claim under it, to be printed before the run.

    Parameters
    ----------
    claims : sequence of Claim
        Equal claims are printed once.
    names : mapping of str to str, optional
        Column name to display name; columns without one are shown as they are.

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
    for claim in dict.fromkeys(claims):
        lines.append(
            f"  {shown.get(claim.quantity, claim.quantity)}: predicted {_with_band(claim.prediction, claim.band)}, "
            f"alternative {_with_band(claim.alternative, claim.band)}"
        )
    return "\n".join(lines)


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


def _meets(lower: float, upper: float, centre: float, band: float) -> bool:
    return lower <= centre + band and upper >= centre - band


def _with_band(centre: float, band: float) -> str:
    digits = 2 if math.isclose(round(band, 2), band) else 3
    return f"{exponent_text(centre)} ({signed(centre - band, digits)} to {signed(centre + band, digits)})"
