"""The report of a suite: one table with every claim of every study, and the pictures it was read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from rich import box
from rich.table import Table
from rich.text import Text

from assembly.diagnostics.verdict import rule_in_words
from assembly.errors import ResultsError
from assembly.files import write_atomically
from assembly.plots import style
from assembly.study import machine
from assembly.study.findings import Finding, claim_cells, claimed_numbers, exponents, has_bounds, transitions
from assembly.study.folders import CLAIMS
from assembly.study.quantities import describe_any
from assembly.study.report import render
from assembly.study.store import csv_text
from assembly.study.terminal import TONES

if TYPE_CHECKING:
    from assembly.study.pictures import Picture
    from assembly.study.result import StudyResult
    from assembly.study.specification import ClaimSpecification, Specification, SuiteSpecification

NOT_MEASURED = "not measured"
_COLUMNS = (
    *("claim", "study", "what", "architecture", "builder", "quantity", "prediction", "alternative", "band"),
    *("at_least", "at_most", "smallest", "largest"),
    *("exponent", "lower", "upper", "n_used", "narrowest", "widest", "verdict", "found", "plot", "source"),
)


@dataclass(frozen=True)
class MemberResult:
    """What has become of one study of a suite.

    Attributes
    ----------
    claim : str
        What stands before its rows.
    study : Specification
    result : StudyResult or None
        None if it has not ended.
    findings : sequence of Finding
    pictures : sequence of Picture
    reason : str
        Why there is no result; empty if there is one.
    """

    claim: str
    study: Specification
    result: StudyResult | None = None
    findings: Sequence[Finding] = ()
    pictures: Sequence[Picture] = ()
    reason: str = ""


@dataclass(frozen=True)
class SuiteResult:
    """What has become of a suite.

    Attributes
    ----------
    suite : SuiteSpecification
    members : list of MemberResult
        In the order of the suite.
    seconds : float
        Wall time of this run so far.
    folder : Path
    rows : list of dict
        One for every claim of every study, the columns of claims.csv; numbers are empty where nothing was measured.
    """

    suite: SuiteSpecification
    members: list[MemberResult]
    seconds: float
    folder: Path
    rows: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", [row for member in self.members for row in _rows(member)])

    @property
    def missing(self) -> list[MemberResult]:
        """The studies without a result."""
        return [member for member in self.members if member.result is None]

    @property
    def n_failed(self) -> int:
        """Points without a number, over all studies."""
        return sum(len(member.result.failures) for member in self.members if member.result is not None)

    def tally(self) -> str:
        """Say how many claims have which verdict.

        Examples
        --------
        >>> from assembly.study.reading import load_suite
        >>> suite, studies = load_suite("claims")
        >>> few = next(study for study in studies if study.name == "claim-13-few-active")
        >>> SuiteResult(suite, [MemberResult("13", few, reason="Stopped.")], 0.0, Path()).tally()
        'Of 2 claims 2 not measured.'
        """
        counted = Counter(row["verdict"] for row in self.rows)
        order = ("consistent", "inconsistent", "undecided", "no fit", NOT_MEASURED)
        return f"Of {len(self.rows)} claims {', '.join(f'{counted[one]} {one}' for one in order if counted[one])}."


@dataclass(frozen=True)
class SuiteReportPaths:
    """Where the report of a suite was written."""

    html: Path
    markdown: Path
    table: Path


def suite_paths(folder: str | Path) -> SuiteReportPaths:
    """Return where `write_suite_report` writes."""
    target = Path(folder)
    return SuiteReportPaths(target / "report.html", target / "report.md", target / CLAIMS)


def write_suite_report(
    folder: str | Path, result: SuiteResult, command: str, *, now: datetime | None = None
) -> SuiteReportPaths:
    """Write ``report.html``, ``report.md`` and ``claims.csv`` of a suite; each appears whole or not at all.

    Parameters
    ----------
    folder : str or Path
    result : SuiteResult
    command : str
        The command to repeat it with, as typed.
    now : datetime, optional
        The date shown; default the present, in UTC.

    Returns
    -------
    SuiteReportPaths

    Raises
    ------
    ResultsError
        If the folder cannot be written.
    """
    paths, context = suite_paths(folder), _contents(result, command, now or datetime.now(UTC))
    table = [{name: row[name] for name in _COLUMNS} for row in result.rows]
    try:
        paths.table.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(paths.table, csv_text(table).encode())
        write_atomically(paths.markdown, render("suite.md.j2", context).encode())
        write_atomically(paths.html, render("suite.html.j2", context).encode())
    except OSError as error:
        raise ResultsError(
            f"The report cannot be written to {str(folder)!r}: {error.strerror}; choose another folder with --out."
        ) from None
    return paths


def suite_table(result: SuiteResult) -> tuple[Table, list[str]]:
    """Return the table of claims for a terminal, at most 80 columns wide, and a sentence for all that needs one.

    A claim that is not consistent has a sentence that says what was found instead, a missing study one that says why.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("quantity", max_width=24)
    for heading in ("exponent", "interval", "predicted", "verdict"):
        table.add_column(
            heading, justify="right" if heading in ("exponent", "predicted") else "left", no_wrap=heading != "predicted"
        )
    sentences = []
    for member in result.members:
        table.add_row(Text(member.study.title or member.study.name, style="bold"), "", "", "", "")
        for row in (row for row in result.rows if row["study"] == member.study.name):
            cells = _cells(row, 2)
            name = Text(f" {row['architecture']}: {cells['text']}")
            verdict = Text(row["verdict"], style=TONES.get(row["verdict"], ""))
            table.add_row(name, cells["exponent"], cells["interval"], cells["prediction"], verdict)
            if row["found"] and member.result is not None:
                sentences.append(f"Claim {row['claim']}, {row['architecture']}: {row['found']}")
        if member.result is None:
            sentences.append(f"{member.study.name} is missing. {member.reason}")
        elif member.result.failures:
            n_failed = len(member.result.failures)
            points = f"{n_failed} {'point' if n_failed == 1 else 'points'}"
            sentences.append(f"{member.study.name}: {points} failed; its report lists them.")
    return table, [*sentences, result.tally()]


def _rows(member: MemberResult) -> list[dict[str, Any]]:
    """One row for every claim of a study, measured or not."""
    study = member.study
    head = {"claim": member.claim, "study": study.name, "what": _what(study)}
    if member.result is None:
        return [_empty_row(study, claim, member.reason) | head for claim in study.claims]
    pictures = {(one.quantity, label): one.name for one in member.pictures for label in one.architectures}
    sentences = {(one.architecture, one.quantity): one.sentence for one in member.findings}
    rows = []
    for row in exponents(member.result, member.findings):
        if row["verdict"]:
            picture = pictures.get((row["quantity"], row["architecture"]))
            found = "" if row["verdict"] == "consistent" else sentences[row["architecture"], row["quantity"]]
            plot = f"{study.name}/plots/{picture}.svg" if picture else ""
            rows.append(head | row | {"found": found, "plot": plot})
    return rows


def _what(study: Specification) -> str:
    """The title of a study without the number of its claim, which stands in a column of its own."""
    first, colon, rest = study.title.partition(": ")
    return rest if colon and first.startswith("Claim ") else study.title


def _empty_row(study: Specification, claim: ClaimSpecification, reason: str) -> dict[str, Any]:
    entry = study.architecture(claim.architecture)
    declared = {"quantity": claim.quantity, "source": claim.source} | claimed_numbers(claim.to_claim())
    names = {"architecture": entry.label, "builder": entry.builder, "verdict": NOT_MEASURED, "found": reason}
    return dict.fromkeys(_COLUMNS, "") | declared | names


def _cells(row: dict[str, Any], digits: int) -> dict[str, str]:
    """The row as text."""
    widths = f"{row['narrowest']} to {row['widest']}" if row["exponent"] != "" else "none"
    return claim_cells(row, digits) | {"text": describe_any(row["quantity"]).text, "widths": widths}


def _contents(result: SuiteResult, command: str, now: datetime) -> dict[str, Any]:
    """Return everything the templates show, by the names they use."""
    rows = []
    for row in result.rows:
        picture = row["plot"].rpartition("/")[2].removesuffix(".svg")
        anchor = f"{row['study']}-{picture}" if picture else ""
        rows.append(row | _cells(row, 3) | {"html": Markup(describe_any(row["quantity"]).html), "anchor": anchor})
    return {
        "title": result.suite.title or result.suite.name,
        "tally": result.tally(),
        "rows": rows,
        "members": [_member(member, rows, number) for number, member in enumerate(result.members)],
        "missing": [{"study": member.study.name, "reason": member.reason} for member in result.missing],
        "rule": rule_in_words([], has_bounds=any(has_bounds(member.study) for member in result.members)),
        "command": command,
        "versions": machine.versions(),
        "machine": machine.machine(),
        "date": now.strftime("%Y-%m-%d %H:%M UTC") if now.tzinfo is not None else now.strftime("%Y-%m-%d %H:%M"),
        "seconds": f"{result.seconds:.0f}",
        "n_networks": sum(len(member.result.rows) for member in result.members if member.result is not None),
        "colours": {f"series-{i + 1}": tone for i, tone in enumerate(style.COLOURS)},
    }


def _member(member: MemberResult, rows: Sequence[dict[str, Any]], number: int) -> dict[str, Any]:
    study, judged = member.study, {row["anchor"] for row in rows if row["study"] == member.study.name}
    figures = [
        {
            "anchor": f"{study.name}-{one.name}",
            "path": f"{study.name}/plots/{one.name}.svg",
            "svg": Markup(style.inline(one.svg, f"s{number}p{i}")),
            "description": one.description,
            "html": Markup(describe_any(one.quantity).html),
            "text": describe_any(one.quantity).text,
        }
        for i, one in enumerate(member.pictures)
        if f"{study.name}-{one.name}" in judged
    ]
    result = member.result
    return {
        "name": study.name,
        "title": study.title or study.name,
        "report": f"{study.name}/report.html",
        "figures": figures,
        "reason": member.reason,
        "n_failed": len(result.failures) if result else 0,
        "notes": list(result.notes) if result else [],
        "transitions": {label: one.text for label, one in transitions(result).items()} if result else {},
        "widths": f"{study.all_widths[0]} to {study.all_widths[-1]}",
        "seeds": study.seeds,
        "n_networks": len(result.rows) if result else 0,
    }
