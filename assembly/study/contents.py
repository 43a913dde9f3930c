"""What the templates of a report show: every number is turned into text here, once."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from assembly.diagnostics.verdict import BOUND_RULE, DEFAULT_BAND, Bound, Claim, interval_text, rule_in_words, signed
from assembly.plots import style
from assembly.study import machine
from assembly.study.findings import (
    BOOTSTRAP_SEED,
    N_RESAMPLES,
    Finding,
    claim_cells,
    convergence,
    count_of,
    exponents,
    has_bounds,
    spread_heading,
    transitions,
)
from assembly.study.pictures import ARCHITECTURE_PREFIX, Picture, is_drawn, layer_sizes
from assembly.study.portraits import LARGEST_STUDY, Portrait
from assembly.study.quantities import Quantity, asked_for, describe_any, is_known

if TYPE_CHECKING:
    from assembly.study.result import StudyResult
    from assembly.study.specification import ArchitectureSpecification, Specification

_NO_PORTRAITS = (
    f"Shares and cosines of single networks are drawn for a study run on its own, of at most {LARGEST_STUDY} "
    "architectures, where its networks of seed 0 are measured and small enough to be built again; `assembly inspect "
    "--save` draws those of one network."
)
_LEADING = ("hessian_over_gradient_squared", "hessian_norm")


def contents(
    result: StudyResult, findings: Sequence[Finding], pictures: Sequence[Picture], command: str, now: datetime
) -> dict[str, Any]:
    """Return everything the templates show, by the names they use."""
    specification = result.specification
    judged = [_row(result, finding) for finding in findings if finding.claim is not None]
    shown = [_row(result, finding) for finding in findings if finding.claim is None]
    figures = [_figure(result, findings, one, f"p{i}") for i, one in enumerate(pictures)]
    claimed = {finding.quantity for finding in findings if finding.claim is not None}
    return {
        "title": specification.title or specification.name,
        "answer": _answer(result, findings),
        "notes": list(result.notes),
        "judged": judged,
        "shown": shown,
        "architectures": [_architecture(result, one, figures) for one in specification.architectures],
        "portraits": [
            one
            | {"label": picture.architectures[0], "caption": picture.caption, "table": [picture.heading, *picture.rows]}
            for one, picture in zip(figures, pictures, strict=True)
            if isinstance(picture, Portrait)
        ],
        "no_portraits": _NO_PORTRAITS,
        "judged_figures": [one for one in figures if one["quantity"] in claimed],
        "shown_figures": [one for one in figures if one["quantity"] and one["quantity"] not in claimed],
        "local": _local_tables(findings),
        "convergence": convergence(result),
        "unconverged": _unconverged(result),
        "transitions": [{"architecture": label, "text": one.text} for label, one in transitions(result).items()],
        "failures": [{"point": _point_text(point), "reason": reason} for point, reason in result.failures],
        "protocol": _protocol(result),
        "rule": rule_in_words([], has_bounds=has_bounds(specification)),
        "spread": spread_heading(specification),
        "reference": _reference(findings),
        "has_predictions": any(isinstance(finding.claim, Claim) for finding in findings),
        "bound_rule": BOUND_RULE if has_bounds(specification) else "",
        "band": f"{DEFAULT_BAND:g}",
        "sources": [
            {"architecture": row["architecture"], "text": row["text"], "html": row["html"], "source": row["source"]}
            for row in judged
            if row["source"]
        ],
        "command": command,
        "versions": machine.versions(),
        "machine": machine.machine(),
        "date": now.strftime("%Y-%m-%d %H:%M UTC") if now.tzinfo is not None else now.strftime("%Y-%m-%d %H:%M"),
        "n_rows": len(result.rows),
        "n_reused": result.n_reused,
        "n_computed": result.n_computed,
        "seconds": f"{result.seconds:.1f}",
        "seeds": f"0 to {specification.seeds - 1}",
        "data_seed": specification.data.seed,
        "bootstrap_seed": BOOTSTRAP_SEED,
        "colours": {f"series-{i + 1}": tone for i, tone in enumerate(style.COLOURS)},
        "glossary": _GLOSSARY,
    }


def markdown_cell(value: object) -> str:
    """Text for a cell of a Markdown table: no pipe and no line break may end it early."""
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _row(result: StudyResult, finding: Finding) -> dict[str, Any]:
    row = exponents(result, [finding])[0]
    quantity, rate, claim = describe_any(finding.quantity), finding.rate, finding.claim
    return {
        "architecture": finding.architecture,
        "column": finding.quantity,
        "text": quantity.text,
        "html": _html(quantity),
        "meaning": quantity.meaning,
        "note": quantity.note,
        "n_used": rate.n_used if rate else 0,
        "n_excluded": rate.n_excluded if rate else 0,
        "source": claim.source if claim else "",
        "verdict": finding.verdict or ("not judged" if rate else "no fit"),
        "reason": finding.reason,
        "sentence": finding.sentence,
    } | claim_cells(row, 3)


def _answer(result: StudyResult, findings: Sequence[Finding]) -> dict[str, Any]:
    specification = result.specification
    labels = [entry.label for entry in specification.architectures]
    return {
        "asked": _asked(specification, [finding for finding in findings if finding.claim is not None]),
        "found": [_found(label, [one for one in findings if one.architecture == label]) for label in labels],
    }


def _asked(specification: Specification, judged: Sequence[Finding]) -> str:
    """Return the question of a study: how what it predicts moves with width, and whether its bounds are kept."""
    widths = f"from {specification.all_widths[0]} to {specification.all_widths[-1]}"
    networks = f"{specification.seeds} independent networks at each width"
    predicted = [describe_any(one.quantity).text for one in judged if isinstance(one.claim, Claim)]
    bounds = [f"{describe_any(one.quantity).text} {one.claim.text}" for one in judged if isinstance(one.claim, Bound)]
    questions = []
    if predicted or not bounds:
        names = "; ".join(dict.fromkeys(predicted)) or (
            "the curvature of a network's output; its distance from a linear model"
            if not specification.quantities
            else "; ".join(describe_any(column).text for column in asked_for(specification.quantities))
        )
        questions.append(f"How do these change with the width m, {widths}, with {networks}: {names}?")
    if bounds:
        kept = "; ".join(dict.fromkeys(bounds))
        questions.append(f"Does every network of width m {widths}, {networks}, keep these bounds: {kept}?")
    return " ".join(questions)


def _reference(findings: Sequence[Finding]) -> str:
    """Say what the dashed line of a picture is; empty where nothing was claimed."""
    claims = [finding.claim for finding in findings if finding.claim is not None]
    slope = "has the predicted slope" if any(isinstance(claim, Claim) for claim in claims) else ""
    bound = "is a claimed bound, grey on the side that breaks it" if any(isinstance(c, Bound) for c in claims) else ""
    told = ", or ".join(filter(None, (slope, bound)))
    return f"; the dashed line {told}" if told else ""


def _found(label: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """What was found on one architecture: what its leading quantity does, and how many claims hold."""
    verdicts = [finding.verdict or "without a fit" for finding in findings if finding.claim is not None]
    counted = [(verdicts.count(kind), kind) for kind in ("consistent", "inconsistent", "undecided", "without a fit")]
    kinds = [f"{count} {kind}" for count, kind in counted if count]
    if not verdicts:
        tally = "No claim was made on it."
    elif verdicts.count(verdicts[0]) == len(verdicts):
        of_all = "The one claim on it is" if len(verdicts) == 1 else f"All {len(verdicts)} claims on it are"
        tally = f"{of_all} {verdicts[0]}."
    else:
        tally = f"Of {len(verdicts)} claims on it {', '.join(kinds)}."
    undecided = [finding.claim for finding in findings if finding.verdict == "undecided"]
    if any(isinstance(claim, Claim) for claim in undecided):
        tally += " Undecided: the interval reaches both bands; more seeds or a wider range of widths would tell."
    if any(isinstance(claim, Bound) for claim in undecided):
        tally += " Undecided: the medians keep the bound, single networks do not, or have no number."
    by_column = {finding.quantity: finding for finding in findings}
    leading = next((by_column[name] for name in _LEADING if name in by_column and by_column[name].rate), None)
    key = by_column.get("hessian_norm", leading)
    meaning = "" if leading is None else _meaning(leading)
    if leading is None and any(name in by_column for name in _LEADING):
        meaning = "No exponent of its curvature could be fitted."
    return {
        "architecture": label,
        "meaning": meaning,
        "sentence": key.sentence if key else "",
        "sentence_html": _sentence_html(key) if key else "",
        "tally": tally,
    }


def _meaning(leading: Finding) -> str:
    assert leading.rate is not None
    lower, upper = leading.rate.lower, leading.rate.upper
    what = "curvature per unit of output" if leading.quantity == _LEADING[0] else "curvature"
    if upper < -DEFAULT_BAND:
        return f"The wider it is, the closer to linear in its parameters: its {what} falls at these widths."
    if lower > DEFAULT_BAND:
        return f"It moves away from linear in its parameters: its {what} grows at these widths."
    if lower >= -DEFAULT_BAND and upper <= DEFAULT_BAND:
        return f"Width does not make it linear in its parameters: its {what} stays flat at these widths."
    if lower > -0.5 + DEFAULT_BAND:
        return f"Width does not make it linear in its parameters like 1/sqrt(m): its {what} shows no such fall here."
    return f"Whether its {what} falls or stays flat cannot be told from these widths and seeds."


def _architecture(
    result: StudyResult, entry: ArchitectureSpecification, figures: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    builder, options = entry.made_by, entry.options
    settings = [f"{key} = {_plain(value)}" for key, value in options.items() if value is not None]
    widths = result.specification.widths_of(entry)
    for key, follow in builder.derived.items():
        found = ", ".join(str(follow(width, options)) for width in widths)
        settings.append(f"{key} = {found} at m = {', '.join(str(width) for width in widths)}")
    layers = []
    if is_drawn(entry):
        names = ["inputs", *(f"hidden layer {i + 1}" for i in range(len(options["hidden"]))), "output"]
        counts = [count or "as the data" for count in layer_sizes(result, entry)[1]]
        layers = [{"layer": name, "neurons": count} for name, count in zip(names, counts, strict=True)]
    name = f"{ARCHITECTURE_PREFIX}{entry.label}"
    return {
        "label": entry.label,
        "builder": entry.builder,
        "text": builder.text,
        "width_rule": builder.width_rule,
        "picture": builder.picture.strip("\n"),
        "settings": ", ".join(settings),
        "figure": next((one for one in figures if one["name"] == name), None),
        "layers": layers,
    }


def _plain(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(str(one) for one in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _figure(result: StudyResult, findings: Sequence[Finding], picture: Picture, prefix: str) -> dict[str, Any]:
    quantity = describe_any(picture.quantity)
    tables = [
        {
            "architecture": finding.architecture,
            "rows": _table_rows(result, finding),
            "sentence": finding.sentence,
            "sentence_html": _sentence_html(finding),
            "has_fit": finding.rate is not None,
        }
        for finding in findings
        if finding.quantity == picture.quantity and finding.architecture in picture.architectures
    ]
    return {
        "name": picture.name,
        "quantity": picture.quantity,
        "path": f"plots/{picture.name}.svg",
        "svg": Markup(style.inline(picture.svg, prefix)),
        "description": picture.description,
        "text": quantity.text,
        "html": _html(quantity),
        "meaning": quantity.meaning,
        "note": quantity.note,
        "tables": tables,
    }


def _table_rows(result: StudyResult, finding: Finding) -> list[dict[str, str]]:
    widths, replicates = result.values(finding.architecture, finding.quantity)
    rate = finding.rate
    rows = []
    for i, (width, values) in enumerate(zip(widths, replicates, strict=True)):
        usable = [value for value in values if not math.isnan(value)]
        row = {
            "width": str(width),
            "count": f"{len(usable)} of {result.specification.seeds}",
            "median": _number(statistics.median(usable)) if usable else "none",
            "smallest": _number(min(usable)) if usable else "none",
            "largest": _number(max(usable)) if usable else "none",
            "fitted": _number(rate.fitted[i]) if rate else "none",
            "local": "",
        }
        if rate and i + 1 < len(rate.widths):
            row["local"] = f"{signed(rate.local_slopes[i])} {interval_text(rate.local_lower[i], rate.local_upper[i])}"
        rows.append(row)
    return rows


def _local_tables(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One table of local slopes for each set of widths: normally a single one."""
    tables: dict[tuple[int, ...], dict[str, Any]] = {}
    for finding in findings:
        rate = finding.rate
        if rate is None:
            continue
        gaps = [f"{a} to {b}" for a, b in zip(rate.widths[:-1], rate.widths[1:], strict=True)]
        table = tables.setdefault(rate.widths, {"gaps": gaps, "rows": []})
        quantity = describe_any(finding.quantity)
        table["rows"].append(
            {
                "architecture": finding.architecture,
                "text": quantity.text,
                "html": _html(quantity),
                "slopes": [signed(slope) for slope in rate.local_slopes],
                "drift": f"{signed(rate.drift)} {interval_text(rate.drift_lower, rate.drift_upper)}",
                "bends": "yes" if rate.bends else "no",
                "mean": f"{signed(rate.mean_exponent)} {interval_text(rate.mean_lower, rate.mean_upper)}"
                + (", differs" if rate.mean_differs else ""),
            }
        )
    return list(tables.values())


def _unconverged(result: StudyResult) -> list[dict[str, str]]:
    return [
        {
            "point": f"{row['architecture']}, width {row['width']}, seed {row['seed']}",
            "count": f"{count_of(row.get('n_unconverged')):.0f} of {result.specification.data.n_measured}",
            "residual": f"{float(row.get('largest_residual', math.nan)):.1e}",
        }
        for row in result.rows
        if count_of(row.get("n_unconverged"))
    ]


def _point_text(point: Any) -> str:
    return f"{point.architecture}, width {point.width}, seed {point.seed}"


def _protocol(result: StudyResult) -> list[str]:
    specification = result.specification
    own = [one for one in specification.architectures if one.widths is not None]
    widths = ", ".join(str(width) for width in specification.widths)
    for one in own:
        widths += f" ({one.label}: {', '.join(str(width) for width in specification.widths_of(one))})"
    return [
        f"Data: {result.data or specification.data.source}. Every column is standardised, every row scaled to "
        "length sqrt(d).",
        f"{specification.data.n_measured} of the rows, drawn once (seed {specification.data.seed}), are the "
        "inputs at which "
        "everything is measured and averaged; they are the same at every width and seed.",
        f"Networks of width m = {widths}; {specification.seeds} at each (seeds 0 to {specification.seeds - 1}). "
        "Every network "
        "is drawn from a random generator of its own, so that networks at different widths are independent.",
        *_parameters(specification),
        f"The Hessian is exact and never stored. Its norm is the largest |eigenvalue|, by a Lanczos iteration "
        "to a relative "
        f"residual of {specification.tol:.0e}; a norm that did not get there is listed and left out of "
        "every fit.",
        "The exponent is the least-squares slope of log(median over the seeds) against log(m), each width weighted by "
        "1 / (variance of its log median + mean squared residual of the unweighted line). Its 95 % interval is a "
        f"percentile bootstrap of {N_RESAMPLES} resamples, seeds drawn with replacement independently within "
        "each width.",
    ]


def _parameters(specification: Specification) -> list[str]:
    """Say at which parameters the quantities of a study are taken, and how those that were trained got there."""
    asked = [describe_any(column) for column in asked_for(specification.quantities)]
    ways: dict[str, list[str]] = {}
    for quantity in (one for one in asked if one.training):
        ways.setdefault(quantity.training, []).append(quantity.text)
    lines, n_trained = [], sum(len(names) for names in ways.values())
    if n_trained < len(asked):
        which = "All other quantities" if n_trained else "All quantities"
        lines.append(
            f"{which} are taken at the initial parameters, before any training; remainders and kernel changes at "
            f"distance R = {specification.radius:g} from them."
        )
    if n_trained:
        n_rows = specification.data.n_measured
        told = " ".join(f"{way[0].upper()}{way[1:]}: {'; '.join(names)}." for way, names in ways.items())
        lines.insert(
            0,
            f"Measured after training, on the same {n_rows} inputs and their targets, all of them in every step, with "
            f"squared loss, for training_steps = {specification.training_steps} steps. {told}",
        )
    return lines


def _html(quantity: Quantity) -> Markup:
    """The quantity's name as markup; a column the table does not hold is escaped."""
    return Markup(quantity.html) if is_known(quantity.column) else escape(quantity.html)


def _sentence_html(finding: Finding) -> Markup:
    plain = describe_any(finding.quantity)
    rest = str(escape(finding.sentence.removeprefix(plain.text)))
    rest = re.sub(r"m\^(-?[\d.]+) (\[[^\]]*\])", r'<span class="num"><i>m</i><sup>\1</sup> \2</span>', rest)
    return _html(plain) + Markup(rest)


def _number(value: float) -> str:
    return f"{value:.4g}"


_GLOSSARY = (
    ("width m", "The number the family of networks grows with: neurons in each of the layers marked m."),
    ("parameters", "All trainable numbers of a network, taken as one long vector."),
    (
        "Hessian H",
        "The second derivatives of the output in the parameters; 0 everywhere exactly when the output is linear.",
    ),
    ("norm of H", "Its largest |eigenvalue|: the strongest bend along any one direction of length 1."),
    ("gradient", "The first derivatives of the output in the parameters."),
    ("tangent kernel K", "The inner products of the gradients at pairs of inputs."),
    ("remainder", "|f - f_lin|: how far the network is from its own linearisation after a step of length R."),
    ("exponent", "b in q = c m^b: -1/2 means that four times the width halves q; 0 means that width changes nothing."),
    (
        "interval",
        "Made so that it covers the true exponent in about 95 of 100 repetitions with other seeds. It knows of the "
        "scatter between networks, not of slow logarithms in the truth: for those there are the local slopes.",
    ),
    (
        "local slope",
        "The exponent between two neighbouring widths. If the local slopes move steadily with width, the "
        "quantity is no pure "
        "power: a logarithmic factor, or widths too small for the theory.",
    ),
    (
        "band",
        "How far from the prediction an exponent may lie and still count as agreement, since the theory leaves "
        "logarithms "
        "open. Fixed before the run.",
    ),
    (
        "residual",
        "|Hv - lambda v| / |lambda| for the vector v found: some eigenvalue lies within it of the one shown. It "
        "tells how "
        "exact a norm is.",
    ),
)
