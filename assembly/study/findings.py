"""What a study found: every quantity of every architecture fitted and judged, once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from assembly.diagnostics.rates import Rate, fit_rate
from assembly.diagnostics.transition import judge_transition
from assembly.diagnostics.trend import Transition
from assembly.diagnostics.verdict import (
    Bound,
    Claim,
    Verdict,
    beside_bound,
    bound_sentence,
    claimed,
    exponent_text,
    interval_text,
    judge,
    judge_bound,
    rule_in_words,
    sentence,
    signed,
)
from assembly.errors import ArgumentError, NonFiniteError
from assembly.study.quantities import describe_any, in_order

if TYPE_CHECKING:
    from assembly.study.result import StudyResult
    from assembly.study.specification import Specification

BOOTSTRAP_SEED = 0
N_RESAMPLES = 2000
WORTH_A_WARNING = 0.9  # part of the networks below which a sentence says how many it speaks of

_PREDICTED, _MEASURED = "predicted_hessian_over_gradient_squared", "hessian_over_gradient_squared"
_NUMBERS = frozenset(
    ("prediction", "alternative", "band", "at_least", "at_most", "exponent", "lower", "upper", "smallest", "largest")
)
_NOT_QUANTITIES = ("architecture", "width", "seed")
_EXPONENTS = (
    *("architecture", "builder", "quantity", "exponent", "lower", "upper", "n_used", "narrowest", "widest"),
    *("prediction", "alternative", "band", "at_least", "at_most", "smallest", "largest", "verdict", "source"),
)


@dataclass(frozen=True)
class Finding:
    """What a study found on one quantity of one architecture.

    Attributes
    ----------
    architecture, quantity : str
        Label and column.
    rate : Rate or None
        None if no exponent could be fitted.
    claim : Claim, Bound or None
        What was claimed beforehand; None for a quantity that is only shown.
    verdict : str or None
        None without a claim, or without the numbers to judge it.
    sentence : str
        Exponent, interval and verdict in words, or why there is none; of a bound the values.
    reason : str
        Why no exponent could be fitted; empty if one was, or none was claimed.
    extremes : tuple of float or None
        The smallest and the largest value of any network; None if there is no number.
    """

    architecture: str
    quantity: str
    rate: Rate | None
    claim: Claim | Bound | None
    verdict: Verdict | None
    sentence: str
    reason: str = ""
    extremes: tuple[float, float] | None = None


def assess(result: StudyResult) -> list[Finding]:
    """Fit and judge every quantity of every architecture; pure, so that all forms of the report show the same numbers.

    Parameters
    ----------
    result : StudyResult

    Returns
    -------
    list of Finding
        By architecture in the order of the study, then by quantity in the order of `assembly.study.quantities`. A claim
        on something that was never measured has its finding too, with the reason.

    Notes
    -----
    Cost: about 3 ms for each quantity and architecture.
    """
    claims = _claims(result.specification)
    findings = []
    for architecture in (entry.label for entry in result.specification.architectures):
        measured = {key for row in result.rows if row["architecture"] == architecture for key in row}
        claimed = {quantity for label, quantity in claims if label == architecture}
        for column in in_order((measured - set(_NOT_QUANTITIES)) | claimed):
            if not describe_any(column).is_status:
                claim = claims.get((architecture, column))
                findings.append(_find(result, architecture, column, claim, is_measured=column in measured))
    return findings


def transitions(result: StudyResult) -> dict[str, Transition]:
    """Say of every architecture whether it becomes linear with width: conditions, prediction, measurement, answer.

    Parameters
    ----------
    result : StudyResult

    Returns
    -------
    dict of str to Transition
        Label -> `assembly.diagnostics.transition.judge_transition` of the numbers of the study; without those
        architectures whose conditions, ``predicted_hessian_over_gradient_squared``, were not measured.
    """
    found = {}
    for label in (entry.label for entry in result.specification.architectures):
        measured = {key for row in result.rows if row["architecture"] == label for key in row}
        if {_PREDICTED, _MEASURED} <= measured:
            widths, predicted = result.values(label, _PREDICTED)
            slopes = result.values(label, "gradient_norm")[1] if "gradient_norm" in measured else None
            numbers = result.values(label, _MEASURED)[1]
            found[label] = judge_transition(widths, predicted, numbers, gradient_norm=slopes, seed=BOOTSTRAP_SEED)
    return found


def exponents(result: StudyResult, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return the findings as rows of a table, one for each quantity of each architecture.

    Exponent and interval are empty where none could be fitted, prediction to verdict where nothing was claimed.
    """
    rows = []
    for finding in findings:
        entry, rate, claim = result.specification.architecture(finding.architecture), finding.rate, finding.claim
        row: dict[str, Any] = dict.fromkeys(_EXPONENTS, "")
        row |= {"architecture": entry.label, "builder": entry.builder, "quantity": finding.quantity}
        if rate is not None:
            row |= {"exponent": rate.exponent, "lower": rate.lower, "upper": rate.upper, "n_used": rate.n_used}
            row |= {"narrowest": rate.widths[0], "widest": rate.widths[-1]}
        if finding.extremes is not None:
            row |= dict(zip(("smallest", "largest"), finding.extremes, strict=True))
        if claim is not None:
            row |= claimed_numbers(claim) | {"verdict": finding.verdict or "no fit", "source": claim.source}
        rows.append(row)
    return rows


def claimed_numbers(claim: Claim | Bound) -> dict[str, float]:
    """Return what a claim says of its quantity, by the names of a study file."""
    names = ("at_least", "at_most") if isinstance(claim, Bound) else ("prediction", "alternative", "band")
    return {name: value for name in names if (value := getattr(claim, name)) is not None}


def claim_cells(row: Mapping[str, Any], digits: int) -> dict[str, str]:
    """Return a row of `exponents` as text: predicted, alternative, band, exponent and interval.

    For a bound the predicted cell says it, and the values of all networks stand in place of the interval.

    Parameters
    ----------
    row : mapping
        Numbers, or their text as a CSV file holds it; empty where there is none.
    digits : int
        Decimals of exponents.

    Examples
    --------
    >>> row = dict.fromkeys(("prediction", "exponent", "at_least", "at_most", "smallest", "largest"), "")
    >>> cells = claim_cells(row | {"at_most": "1e-10", "smallest": 1e-15, "largest": 2.5e-15}, 2)
    >>> cells["prediction"], cells["interval"]
    ('at most 1e-10', '1e-15 to 2.5e-15')
    """
    known = {name: float(value) for name, value in row.items() if name in _NUMBERS and value != ""}
    cells = dict.fromkeys(("prediction", "alternative", "band"), "")
    if "prediction" in known:
        cells |= {name: exponent_text(known[name]) for name in ("prediction", "alternative")}
        cells["band"] = f"{known['band']:g}"
    elif known.keys() & {"at_least", "at_most"}:
        bound = Bound("", known.get("at_least"), known.get("at_most"))
        cells["prediction"] = bound.text
        ends = [beside_bound(known[end], bound) for end in ("smallest", "largest") if end in known]
        values = " to ".join(ends) or "none"
        return cells | {"exponent": "", "interval": values}
    if "exponent" not in known:
        return cells | {"exponent": "none", "interval": "none"}
    interval = interval_text(known["lower"], known["upper"], digits)
    return cells | {"exponent": signed(known["exponent"], digits), "interval": interval}


def declared_rule(specification: Specification) -> str:
    """Return the rule of agreement and every claim of a study as text, to be printed before the run.

    Parameters
    ----------
    specification : Specification

    Returns
    -------
    str
        The rule, then one line for each claim with its architecture; the rule alone if there is no claim.

    Examples
    --------
    >>> from assembly.study.reading import load
    >>> print(declared_rule(load("digits")).splitlines()[2].strip())
    network, ||H||: predicted -1/2 (-0.60 to -0.40), alternative 0 (-0.10 to 0.10)
    """
    claims = _claims(specification)
    head, lines = rule_in_words([], has_bounds=has_bounds(specification)), []
    for (architecture, quantity), claim in claims.items():
        lines.append(f"  {architecture}, {describe_any(quantity).text}: {claimed(claim)}")
    return "\n".join([head, *lines])


def has_bounds(specification: Specification) -> bool:
    """Return whether a study claims a bound."""
    return any(isinstance(claim, Bound) for claim in _claims(specification).values())


def spread_heading(specification: Specification) -> str:
    """Return what stands above the intervals of exponents: for a bound there stands the range of all networks.

    Examples
    --------
    >>> from assembly.study.reading import load
    >>> spread_heading(load("digits")), spread_heading(load("claim-29-rate"))
    ('95 % interval', 'range')
    """
    claims = _claims(specification).values()
    if claims and all(isinstance(claim, Bound) for claim in claims):
        return "range"
    return "95 % interval, or range for a bound" if has_bounds(specification) else "95 % interval"


def convergence(result: StudyResult) -> list[dict[str, Any]]:
    """Per architecture: how many Hessian norms, how many without convergence, the largest residual, the steps taken."""
    found = []
    for entry in result.specification.architectures:
        rows = [row for row in result.rows if row["architecture"] == entry.label]
        if not rows:
            continue
        residuals = [value for row in rows if not math.isnan(value := float(row.get("largest_residual", math.nan)))]
        steps = [value for row in rows if not math.isnan(value := float(row.get("n_steps", math.nan)))]
        found.append(
            {
                "architecture": entry.label,
                "n_points": len(rows),
                "n_norms": sum("n_unconverged" in row for row in rows) * result.specification.data.n_measured,
                "n_unconverged": int(sum(count_of(row.get("n_unconverged")) for row in rows)),
                "largest_residual": f"{max(residuals):.1e}" if residuals else "not recorded",
                "tolerance": f"{result.specification.tol:.0e}",
                "most_steps": f"{max(steps):.0f}" if steps else "not recorded",
            }
        )
    return found


def _claims(specification: Specification) -> dict[tuple[str, str], Claim | Bound]:
    return {(entry.architecture, entry.quantity): entry.to_claim() for entry in specification.claims}


def _find(
    result: StudyResult, architecture: str, column: str, claim: Claim | Bound | None, *, is_measured: bool
) -> Finding:
    name = describe_any(column).text

    def unfitted(reason: str) -> Finding:
        return Finding(architecture, column, None, claim, None, f"{name}: no exponent fitted. {reason}", reason)

    if not is_measured:
        return unfitted("No finished point has this quantity.")
    widths, replicates = result.values(architecture, column)
    values = [value for row in replicates for value in row if not math.isnan(value)]
    if not values:
        return unfitted(
            "It is undefined in this architecture (a layer of one neuron has no pairs, say), or never converged."
        )
    extremes = min(values), max(values)
    try:
        rate = fit_rate(widths, replicates, seed=BOOTSTRAP_SEED, n_resamples=N_RESAMPLES)
    except (ArgumentError, NonFiniteError) as error:
        if not isinstance(claim, Bound):
            return replace(unfitted(str(error)), extremes=extremes)
        rate = None
    specification = result.specification
    n_wanted = len(specification.widths_of(specification.architecture(architecture))) * specification.seeds
    if isinstance(claim, Bound):
        n_missing = n_wanted - sum(len(row) for row in replicates)  # they failed, or are not finished
        replicates = [*replicates, [math.nan] * n_missing]
        text = bound_sentence(name, replicates, claim)
        return Finding(architecture, column, rate, claim, judge_bound(claim, replicates), text, extremes=extremes)
    assert rate is not None
    verdict = None if claim is None else judge(claim, rate.lower, rate.upper)
    text = sentence(name, rate.exponent, rate.lower, rate.upper, claim)
    if rate.n_used < WORTH_A_WARNING * n_wanted:
        text += (
            f" (from {rate.n_used} of {n_wanted} networks only: it is undefined, not measured, not converged or failed "
            "in the others)"
        )
    return Finding(architecture, column, rate, claim, verdict, text, extremes=extremes)


def count_of(value: object) -> float:
    """Return a number of a row, 0 where it is missing."""
    return value if isinstance(value, int | float) and not math.isnan(value) else 0.0
