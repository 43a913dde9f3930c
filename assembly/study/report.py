"""The report of a study as web page, Markdown and pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from assembly.errors import ResultsError
from assembly.files import write_atomically
from assembly.study.contents import contents, markdown_cell
from assembly.study.findings import assess, exponents
from assembly.study.pictures import ARCHITECTURE_PREFIX, Picture, draw_pictures
from assembly.study.portraits import PREFIXES, draw_portraits
from assembly.study.quantities import is_known
from assembly.study.store import csv_text

if TYPE_CHECKING:
    from assembly.study.result import StudyResult


@dataclass(frozen=True)
class ReportPaths:
    """Where the report was written, and the pictures in it, one for each path in `plots`."""

    html: Path
    markdown: Path
    exponents: Path
    plots: tuple[Path, ...]
    pictures: tuple[Picture, ...] = ()


def render(template: str, context: dict[str, Any]) -> str:
    """Return a template of ours, filled in; what is not markup is escaped in a web page."""
    return _environment().get_template(template).render(context)


@cache
def _environment() -> jinja2.Environment:
    """Templates are compiled once."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("assembly.study", "templates"),
        autoescape=jinja2.select_autoescape(["html.j2", "html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = markdown_cell
    return environment


def write_report(
    folder: str | Path, result: StudyResult, command: str, *, now: datetime | None = None, portraits: bool = True
) -> ReportPaths:
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
    portraits : bool
        Also draw single networks over the widths, see `assembly.study.portraits`, for which they are built again.

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
    pictures = [*draw_pictures(result, findings), *(draw_portraits(result) if portraits else [])]
    context = contents(result, findings, pictures, command, now or datetime.now(UTC))
    html, markdown = render("report.html.j2", context), render("report.md.j2", context)
    paths = ReportPaths(
        target / "report.html",
        target / "report.md",
        target / "exponents.csv",
        tuple(target / "plots" / f"{one.name}.svg" for one in pictures),
        tuple(pictures),
    )
    try:
        (target / "plots").mkdir(parents=True, exist_ok=True)
        for one, path in zip(pictures, paths.plots, strict=True):
            write_atomically(path, one.svg.encode())
        for old in sorted((target / "plots").glob("*.svg")):
            is_ours = is_known(re.sub(r"-\d+$", "", old.stem)) or old.stem.startswith((ARCHITECTURE_PREFIX, *PREFIXES))
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
