"""The report of a study as web page, Markdown and pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from assembly.errors import ResultsError
from assembly.files import write_atomically
from assembly.study.contents import contents, markdown_cell
from assembly.study.findings import assess, exponents
from assembly.study.pictures import ARCHITECTURE_PREFIX, draw_pictures
from assembly.study.quantities import is_known
from assembly.study.store import csv_text

if TYPE_CHECKING:
    from assembly.study.result import StudyResult


@dataclass(frozen=True)
class ReportPaths:
    """Where the report was written."""

    html: Path
    markdown: Path
    exponents: Path
    plots: tuple[Path, ...]


def write_report(folder: str | Path, result: StudyResult, command: str, *, now: datetime | None = None) -> ReportPaths:
    """Write ``report.html``, ``report.md``, ``exponents.csv`` and ``plots/*.svg`` of a study.

    The page needs nothing outside itself: pictures are inline, there is no script and no request. Every file appears
    whole or not at all, by renaming, so that an interrupted run never leaves half a report. A picture of an earlier run
    that this study does not have is removed.

    Parameters
    ----------
    folder : str or Path
        The folder of the study; made if it does not exist.
    result : StudyResult
    command : str
        The command to repeat the study with, as typed.
    now : datetime, optional
        The date shown; default the present, in UTC.

    Returns
    -------
    ReportPaths

    Raises
    ------
    ResultsError
        If the folder cannot be written.
    """
    target = Path(folder)
    findings = assess(result)
    pictures = draw_pictures(result, findings)
    context = contents(result, findings, pictures, command, now or datetime.now(UTC))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("assembly.study", "templates"),
        autoescape=jinja2.select_autoescape(["html.j2", "html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = markdown_cell
    html = environment.get_template("report.html.j2").render(context)
    markdown = environment.get_template("report.md.j2").render(context)
    paths = ReportPaths(
        target / "report.html",
        target / "report.md",
        target / "exponents.csv",
        tuple(target / "plots" / f"{one.name}.svg" for one in pictures),
    )
    try:
        (target / "plots").mkdir(parents=True, exist_ok=True)
        for one, path in zip(pictures, paths.plots, strict=True):
            write_atomically(path, one.svg.encode())
        for old in sorted((target / "plots").glob("*.svg")):
            is_ours = is_known(re.sub(r"-\d+$", "", old.stem)) or old.stem.startswith(ARCHITECTURE_PREFIX)
            if is_ours and old not in paths.plots:
                old.unlink()
        write_atomically(paths.exponents, csv_text(exponents(result, findings)).encode())
        write_atomically(paths.markdown, markdown.encode())
        write_atomically(paths.html, html.encode())
    except OSError as error:
        raise ResultsError(
            f"The report cannot be written to {str(target)!r}: {error.strerror}; choose another folder with --out."
        ) from None
    return paths
