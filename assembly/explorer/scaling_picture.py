"""A quantity of a study against width: dots, the fitted power, the predicted slope, sentences and a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assembly.diagnostics.verdict import Claim, exponent_text, interval_text, signed
from assembly.explorer.live_study import Frame
from assembly.study import quantities
from assembly.study.findings import Finding
from assembly.study.result import StudyResult
from assembly.study.store import csv_text


@dataclass(frozen=True)
class Series:
    """One architecture in the picture.

    Attributes
    ----------
    label : str
    place : int
        In the order of the study, for its colour.
    widths, values : tuple
        A dot for every network with a positive value.
    line_widths, line : tuple
        The fitted power; empty where none could be fitted.
    predicted : tuple
        The line of the predicted slope through the middle of the fit, at the same widths; empty without a prediction.
    legend : str
        Label, exponent and prediction.
    """

    label: str
    place: int
    widths: tuple[int, ...]
    values: tuple[float, ...]
    line_widths: tuple[int, ...]
    line: tuple[float, ...]
    predicted: tuple[float, ...]
    legend: str


@dataclass(frozen=True)
class Picture:
    """One quantity against width.

    Attributes
    ----------
    name : str
        Of the quantity, with symbols.
    meaning : str
        What it is, and what to keep in mind.
    series : tuple of Series
    sentences : tuple of (str, str)
        The finding on every architecture with its verdict, "" where none was claimed.
    heading, rows : sequence of str
        The table behind the picture.
    """

    name: str
    meaning: str
    series: tuple[Series, ...]
    sentences: tuple[tuple[str, str], ...]
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def columns(findings: Iterable[Finding]) -> dict[str, str]:
    """Return the columns that can be shown, each with its name."""
    return {one: quantities.describe_any(one).text for one in dict.fromkeys(finding.quantity for finding in findings)}


def picture(frame: Frame, column: str) -> Picture:
    """Return one column of a study as a picture, a few sentences and a table.

    Parameters
    ----------
    frame : Frame
        With a result.
    column : str
        One of `columns`.
    """
    result = frame.result
    assert result is not None
    quantity = quantities.describe_any(column)
    labels = [entry.label for entry in result.specification.architectures]
    found = {one.architecture: one for one in frame.findings if one.quantity == column}
    series, rows = [], []
    for name, finding in found.items():
        if not any(row["architecture"] == name and column in row for row in result.rows):
            continue
        widths, replicates = result.values(name, column)
        series.append(_series(finding, labels.index(name), widths, replicates))
        rows += [_row(name, width, values) for width, values in zip(widths, replicates, strict=True)]
    return Picture(
        name=quantity.symbol,
        meaning=f"{quantity.meaning} {quantity.note}".strip(),
        series=tuple(series),
        sentences=tuple((f"{name}: {_sentence(one, frame)}", one.verdict or "") for name, one in found.items()),
        heading=("architecture", "width", "networks", "median", "smallest", "largest"),
        rows=tuple(rows),
    )


def _sentence(finding: Finding, frame: Frame) -> str:
    if finding.rate is None and frame.status != "whole":
        return f"{quantities.describe_any(finding.quantity).text}: no exponent yet."
    return f"{finding.sentence.rstrip('.')}."


def _series(finding: Finding, place: int, widths: Sequence[int], replicates: Sequence[Sequence[float]]) -> Series:
    dots = [(w, v) for w, values in zip(widths, replicates, strict=True) for v in values if 0.0 < v < math.inf]
    rate, claim = finding.rate, finding.claim
    line: tuple[float, ...] = () if rate is None else tuple(rate.fitted)
    predicted: tuple[float, ...] = ()
    legend = finding.architecture
    if rate is not None:
        legend += f": {signed(rate.exponent)} {interval_text(rate.lower, rate.upper)}"
    if isinstance(claim, Claim):
        legend += f", predicted {exponent_text(claim.prediction)}"
        if rate is not None:
            predicted = _through_middle(rate.widths, line, claim.prediction)
    return Series(
        label=finding.architecture,
        place=place,
        widths=tuple(width for width, _ in dots),
        values=tuple(value for _, value in dots),
        line_widths=() if rate is None else rate.widths,
        line=line,
        predicted=predicted,
        legend=legend,
    )


def _through_middle(widths: Sequence[int], line: Sequence[float], slope: float) -> tuple[float, ...]:
    """Return the power of that slope that crosses a line at the geometric middle of the widths."""
    middle = statistics.fmean(map(math.log, widths))
    height = statistics.fmean(map(math.log, line))
    return tuple(math.exp(height + slope * (math.log(width) - middle)) for width in widths)


def _row(name: str, width: int, values: Sequence[float]) -> tuple[str, ...]:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return name, str(width), "0", "", "", ""
    numbers = (statistics.median(known), min(known), max(known))
    return name, str(width), str(len(known)), *(f"{number:.4g}" for number in numbers)


def table_text(result: StudyResult) -> str:
    """Return the points that are measured as the text of results.csv."""
    return csv_text(result.rows)
