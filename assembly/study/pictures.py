"""The pictures of a report: the architectures, then every quantity against width."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assembly.plots import graph, scaling, style
from assembly.study.builders import at_width
from assembly.study.findings import Finding
from assembly.study.quantities import Quantity, describe_any, in_order

if TYPE_CHECKING:
    from assembly.study.result import StudyResult
    from assembly.study.specification import ArchitectureSpecification

ARCHITECTURE_PREFIX = "architecture-"


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes
    ----------
    name : str
        File name without ending.
    svg : str
    description : str
        What it shows, in words.
    quantity : str
        The column drawn, empty for an architecture.
    architectures : tuple of str
        Labels of what is drawn.
    """

    name: str
    svg: str
    description: str
    quantity: str
    architectures: tuple[str, ...]


def draw_pictures(result: StudyResult, findings: Sequence[Finding]) -> list[Picture]:
    """Draw the architectures that are plain layers, then every quantity that has a positive value.

    A picture holds as many architectures as there are looks; more are drawn in further ones.
    """
    drawn = []
    for entry in result.specification.architectures:
        if not is_drawn(entry):
            continue
        sizes, counts = layer_sizes(result, entry)
        drawn_sizes = [min(size, graph.LARGEST_LAYER_OF_DOTS + 1) for size in sizes]
        figure = graph.draw_assembly(drawn_sizes, counts=counts, title=entry.label)
        description = graph.describe_assembly(drawn_sizes, counts=counts, title=entry.label)
        name = f"{ARCHITECTURE_PREFIX}{entry.label}"
        svg = style.to_svg(figure, title=f"Architecture {entry.label}", description=description)
        drawn.append(Picture(name, svg, description, "", (entry.label,)))
    for column in in_order(dict.fromkeys(finding.quantity for finding in findings)):
        drawn += _draw_quantity(result, [finding for finding in findings if finding.quantity == column])
    return drawn


def is_drawn(entry: ArchitectureSpecification) -> bool:
    """Return whether a picture of layers, each read by the next alone, shows an architecture as it is."""
    return entry.builder in ("mlp", "bottleneck")


def _draw_quantity(result: StudyResult, findings: Sequence[Finding]) -> list[Picture]:
    """Draw one quantity, in one picture for each group of architectures that differ in colour."""
    quantity = describe_any(findings[0].quantity)
    groups: dict[int, list[scaling.Series]] = {}
    undrawn = []
    for finding in (one for one in findings if _is_measured(result, one)):
        one = _series(result, finding)
        if any(math.isfinite(value) and value > 0.0 for row in one.replicates for value in row):
            groups.setdefault((one.look or 0) // len(style.COLOURS), []).append(one)
        else:  # nothing can stand on a logarithmic axis; its numbers stand under the first picture
            undrawn.append(one.label)
    drawn = []
    for number, series in enumerate(groups.values(), start=1):
        figure = scaling.draw_scaling(series, name=_picture_title(quantity))
        description = scaling.describe_scaling(series, name=quantity.text)
        svg = style.to_svg(figure, title=f"{quantity.text} against width", description=description)
        name = quantity.column if number == 1 else f"{quantity.column}-{number}"
        labels = (*(one.label for one in series), *(undrawn if number == 1 else ()))
        drawn.append(Picture(name, svg, description, quantity.column, labels))
    return drawn


def layer_sizes(result: StudyResult, entry: ArchitectureSpecification) -> tuple[list[int], list[str]]:
    """Sizes of the layers at the widest width of the study, and what to write above each: "m" for a growing one."""
    assert entry.hidden is not None
    found = re.search(r"rows, (\d+) columns", result.data)
    n_inputs = int(found[1]) if found else graph.LARGEST_LAYER_OF_DOTS + 1
    widest = max(result.specification.widths_of(entry))
    hidden = [at_width(size, widest) for size in entry.hidden]
    counts = [found[1] if found else "", *(str(size) for size in entry.hidden), str(entry.n_outputs)]
    return [n_inputs, *hidden, entry.n_outputs or 1], counts


def _picture_title(quantity: Quantity) -> str:
    """Words before the formula where the name is made of words."""
    is_words = re.fullmatch(r"[a-z]{3,}[a-z0-9, ]*", quantity.text) is not None
    return f"{quantity.text}:  ${quantity.latex}$" if is_words else f"${quantity.latex}$"


def _is_measured(result: StudyResult, finding: Finding) -> bool:
    return any(row["architecture"] == finding.architecture and finding.quantity in row for row in result.rows)


def _series(result: StudyResult, finding: Finding) -> scaling.Series:
    widths, replicates = result.values(finding.architecture, finding.quantity)
    rate = finding.rate
    fit = None if rate is None else scaling.Fit.of(rate)
    index = [entry.label for entry in result.specification.architectures].index(finding.architecture)
    return scaling.Series(finding.architecture, widths, replicates, fit, finding.claim, look=index)
