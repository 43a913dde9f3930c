"""`assembly study`: run a study or a suite, show what it found."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from assembly.cli.manners import SECONDS_BETWEEN_LINES, command_line, make_console, polite, rounded, whole_numbers

if TYPE_CHECKING:
    from assembly.study.result import StudyResult
    from assembly.study.runner import Progress
    from assembly.study.specification import Specification, SuiteSpecification

_SHOWN_FAILURES = 5
HELP = """
Run a study: networks over widths and seeds, every exponent fitted, judged, and reported.

SOURCE is the name of a study or of a suite of studies (see `assembly list`), or a TOML file of your own; a copy of
study.toml from any output folder is a good beginning. Stop it whenever you like: the same command goes on where it
stopped.

**Examples**

    assembly study digits --quick

    assembly study digits --activation gelu --out gelu

    assembly study digits --widths 64,128,256,512,1024 --seeds 20 --workers 4

    assembly study my.toml --parquet

    assembly study claim-11-bottleneck

    assembly study claims --workers 2
"""


def study(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Name of a study, or the path of a TOML file.")],
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Worker processes; all usable cores if left out. Results do not depend on it."),
    ] = None,
    widths: Annotated[str | None, typer.Option(metavar="32,64,...", help="Widths instead of the study's.")] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="Replicates at each width, at least 3; 10 or more for a verdict.")
    ] = None,
    activation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Activation function of every hidden layer.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Output folder; the name of the study in ./assembly-results if left out."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small widths, a first answer.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Also write results.parquet.")] = False,
) -> None:
    """Run a study and write its report."""
    with polite("Finished points are on disk: the same command goes on from there.", {"workers": "--workers"}):
        from assembly.study import reading

        suite = reading.load_suite(source)
        changes: dict[str, Any] = {"seeds": seeds, "activation": activation, "quick": quick}
        if widths is not None:
            changes["widths"] = whole_numbers("--widths", widths)
        studies = [reading.load(source)] if suite is None else suite[1]
        wanted = [reading.override(one, **changes) for one in studies]
        name = wanted[0].name if suite is None else suite[0].name
        folder = out or Path("assembly-results") / f"{name}{'-quick' if quick else ''}"
        if suite is None:
            is_whole = _run_study(wanted[0], folder, workers, parquet=parquet)
        else:
            is_whole = _run_suite(suite[0], wanted, folder, workers, parquet=parquet)
    if not is_whole:
        raise typer.Exit(1)


def _run_study(wanted: Specification, folder: Path, workers: int | None, *, parquet: bool) -> bool:
    """Run a study and show what it found; return whether no point failed."""
    from assembly.study.findings import declared_rule
    from assembly.study.runner import check_study, run_study

    console = make_console()
    check_study(wanted, workers)
    console.print(declared_rule(wanted), markup=False)
    with _progress(make_console(stderr=True)) as tell:
        result = run_study(wanted, folder, workers, tell, parquet=parquet)
    if result.rows:
        from assembly.study.report import write_report  # draws: a second to import, not before the first point
        from assembly.study.terminal import terminal_table

        report = write_report(folder, result, command_line())
        _show_table(console, *terminal_table(result))
    _conclude(console, result)
    if result.rows:
        console.print(f"Report: {report.html}", markup=False, soft_wrap=True)
    return not result.failures


def _run_suite(
    suite: SuiteSpecification, wanted: Sequence[Specification], folder: Path, workers: int | None, *, parquet: bool
) -> bool:
    """Run the studies of a suite and show what they found; return whether no study is missing and no point failed."""
    from assembly.study.findings import declared_rule
    from assembly.study.runner import check_study
    from assembly.study.suite import run_suite
    from assembly.study.suite_report import suite_paths, suite_table

    console = make_console()
    for one in wanted:
        check_study(one, workers)
    rule, *_ = declared_rule(wanted[0]).split("\n  ")
    console.print(rule, markup=False)
    for member, one in zip(suite.members, wanted, strict=True):
        for line in declared_rule(one).split("\n  ")[1:]:
            console.print(f"  {member.claim}: {line}", markup=False)
    with _progress(make_console(stderr=True)) as tell:
        result = run_suite(suite, wanted, folder, workers, tell, command=command_line(), parquet=parquet)
    _show_table(console, *suite_table(result))
    console.print(f"Report: {suite_paths(folder).html}", markup=False, soft_wrap=True)
    return not result.missing and not result.n_failed


def _show_table(console: Console, table: Table, sentences: Sequence[str]) -> None:
    console.print(table)
    for sentence in sentences:
        console.print(sentence, markup=False)


def _conclude(console: Console, result: StudyResult) -> None:
    for note in result.notes:
        console.print(f"Note: {note}", markup=False)
    for point, reason in result.failures[:_SHOWN_FAILURES]:
        print(f"failed: {point}: {reason}", file=sys.stderr)
    if len(result.failures) > _SHOWN_FAILURES:
        print(f"failed: {len(result.failures) - _SHOWN_FAILURES} more points, see the report", file=sys.stderr)
    if result.n_computed == len(result.failures) == 0:
        console.print(f"Nothing to measure: all {result.n_reused} points were there from an earlier run.", markup=False)
        return
    computed = f"{result.n_computed} points measured in {rounded(result.seconds)}"
    reused = f", {result.n_reused} taken from an earlier run" if result.n_reused else ""
    failed = f", {len(result.failures)} failed" if result.failures else ""
    console.print(f"{computed}{reused}{failed}.", markup=False)


def _state(progress: Progress) -> str:
    if progress.stage == "compiling":
        return "compiling kernels (once; later runs find them on disk) ..."
    if progress.stage == "starting":
        return "starting ..."
    left = f", about {rounded(progress.remaining)} left" if progress.remaining else ""
    failed = f", {progress.n_failed} failed" if progress.n_failed else ""
    return f"{progress.n_done} of {progress.n_points} points{failed}{left}"


@contextmanager
def _progress(console: Console) -> Iterator[Any]:
    """Yield a function that shows progress: a bar on a terminal, a line every ten seconds elsewhere."""
    from assembly.progress import silenced

    if not console.is_terminal:
        last = -SECONDS_BETWEEN_LINES

        def tell(progress: Progress) -> None:
            nonlocal last
            now = time.monotonic()
            if progress.stage != "measuring" or now - last >= SECONDS_BETWEEN_LINES:
                last = now
                console.print(_state(progress), markup=False)

        with silenced():
            yield tell
        return
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}"))
    with silenced(), Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading data ...", total=None)

        def tell(progress: Progress) -> None:
            bar.update(task, completed=progress.n_done, total=progress.n_points, description=_state(progress))
            if progress.stage != "measuring":
                bar.refresh()  # it may be over in a moment, or last for many

        yield tell
