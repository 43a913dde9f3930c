"""The pictures of a report: the architectures, then every quantity against width."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assembly.plots import graph, scaling, style
from assembly.study.findings import Finding
from assembly.study.quantities import Quantity, describe_any, in_order

if TYPE_CHECKING:
    from assembly.study.result import StudyResult

ARCHITECTURE_PREFIX = "architecture-"


@dataclass(frozen=True)
class Picture:
    """One picture: its file name without ending, its SVG, and what it shows in words."""

    name: str
    svg: str
    description: str


def draw_pictures(result: StudyResult, findings: Sequence[Finding]) -> list[Picture]:
    """Draw the architectures, then every quantity that has a positive value."""
    drawn = []
    for entry in result.specification.architectures:
        sizes, counts = layer_sizes(result, entry)
        drawn_sizes = [min(size, graph.LARGEST_LAYER_OF_DOTS + 1) for size in sizes]
        figure = graph.draw_assembly(drawn_sizes, counts=counts, title=entry.label)
        description = graph.describe_assembly(drawn_sizes, counts=counts, title=entry.label)
        name = f"{ARCHITECTURE_PREFIX}{entry.label}"
        drawn.append(
            Picture(
                name, style.to_svg(figure, title=f"Architecture {entry.label}", description=description), description
            )
        )
    for column in dict.fromkeys(in_order(dict.fromkeys(finding.quantity for finding in findings))):
        series = [
            _series(result, finding)
            for finding in findings
            if finding.quantity == column and _can_draw(result, finding)
        ]
        if not series:
            continue
        quantity = describe_any(column)
        figure = scaling.draw_scaling(series, name=_picture_title(quantity))
        description = scaling.describe_scaling(series, name=quantity.text)
        title = f"{quantity.text} against width"
        drawn.append(Picture(column, style.to_svg(figure, title=title, description=description), description))
    return drawn


def layer_sizes(result: StudyResult, entry: Any) -> tuple[list[int], list[str]]:
    """Sizes of the layers at the widest width of the study, and what to write above each: "m" for a growing one."""
    found = re.search(r"rows, (\d+) columns", result.data)
    n_inputs = int(found[1]) if found else graph.LARGEST_LAYER_OF_DOTS + 1
    hidden = list(entry.widths(max(result.specification.widths)))
    counts = [found[1] if found else "", *(str(size) for size in entry.hidden), "1"]
    return [n_inputs, *hidden, 1], counts


def _picture_title(quantity: Quantity) -> str:
    """Words before the formula where the name is made of words."""
    is_words = re.fullmatch(r"[a-z]{3,}[a-z0-9, ]*", quantity.text) is not None
    return f"{quantity.text}:  ${quantity.latex}$" if is_words else f"${quantity.latex}$"


def _can_draw(result: StudyResult, finding: Finding) -> bool:
    if not any(row["architecture"] == finding.architecture and finding.quantity in row for row in result.rows):
        return False
    _, replicates = result.values(finding.architecture, finding.quantity)
    return any(math.isfinite(value) and value > 0.0 for row in replicates for value in row)


def _series(result: StudyResult, finding: Finding) -> scaling.Series:
    widths, replicates = result.values(finding.architecture, finding.quantity)
    rate = finding.rate
    fit = None
    if rate is not None:
        fit = scaling.Fit(
            exponent=rate.exponent,
            lower=rate.lower,
            upper=rate.upper,
            line=rate.fitted,
            line_lower=rate.fit_lower,
            line_upper=rate.fit_upper,
            local_slopes=rate.local_slopes,
            local_lower=rate.local_lower,
            local_upper=rate.local_upper,
        )
    index = [entry.label for entry in result.specification.architectures].index(finding.architecture)
    return scaling.Series(finding.architecture, widths, replicates, fit, finding.claim, look=index)
