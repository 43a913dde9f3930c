"""The command line: words -> one call below -> an exit code. Everything heavy is imported inside the commands.

Exit codes: 0 done, 1 some points of a study failed, 2 an error of the user's (one line says what to do), 130 and 143
stopped by Ctrl-C and by SIGTERM.
"""

from __future__ import annotations

import re
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from assembly import __version__
from assembly.errors import ArgumentError, AssemblyError

if TYPE_CHECKING:
    from assembly.study.result import StudyResult
    from assembly.study.runner import Progress

_SECONDS_BETWEEN_LINES = 10.0  # of progress, when the output is no terminal
_SHOWN_FAILURES = 5

_INTRODUCTION = """
When does a wide neural network become linear in its parameters, and when does it not?

Build networks as assemblies of sub-models, measure their Hessians and gradients over widths and seeds on real data, fit
how each quantity falls with the width, and compare with what the theory predicts.

**Start here**

    assembly study digits --quick    a first answer, with a report

    assembly study digits            the whole study, in two minutes

    assembly inspect --width 512     one network, looked at closely

    assembly list                    everything that can be named here
"""
_STUDY = """
Run a study: networks over widths and seeds, every exponent fitted, judged, and reported.

SOURCE is the name of a study (see `assembly list`) or a TOML file of your own; a copy of study.toml from any output
folder is a good beginning. Stop it whenever you like: the same command goes on where it stopped.

**Examples**

    assembly study digits --quick

    assembly study digits --activation gelu --out gelu

    assembly study digits --widths 64,128,256,512 --seeds 20 --workers 4

    assembly study my.toml --parquet
"""
_INSPECT = """
Look at one network at one width: the same quantities as in a study, with residuals.

**Examples**

    assembly inspect --width 512

    assembly inspect --architecture bottleneck --width 512

    assembly inspect --hidden 300,m,40 --width 100 --activation gelu --data wine

    assembly inspect --data measurements.csv --target price
"""

app = typer.Typer(
    name="assembly",
    help=_INTRODUCTION,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line, the entry point of `assembly`."""
    app()


_STOPPING = (signal.SIGINT, signal.SIGTERM)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: stop as after Ctrl-C."""


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = 140
    return console


@contextmanager
def _polite(resume: str = "") -> Iterator[None]:
    """Turn errors into one line and an exit code; `resume` is said after Ctrl-C."""

    def stop(number: int, _: object) -> None:
        for one in _STOPPING:  # once is enough: from here on everything is put in order, and nothing may cut that short
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else _Terminated

    before = {number: signal.signal(number, stop) for number in _STOPPING}
    try:
        yield
    except AssemblyError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        raise typer.Exit(2) from None
    except KeyboardInterrupt as error:
        print(f"stopped.{f' {resume}' if resume else ''}", file=sys.stderr)
        raise typer.Exit(143 if isinstance(error, _Terminated) else 130) from None
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is stop:
                signal.signal(number, handler)


def _show_version(value: bool) -> None:
    if value:
        print(f"assembly {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    pass


# --- study -----------------------------------------------------------------------------------------------------------


@app.command(help=_STUDY)
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
        Path | None, typer.Option(metavar="FOLDER", help="Output folder; ./assembly-results/<study> if left out.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small widths, a first answer.")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Also write results.parquet.")] = False,
) -> None:
    """Run a study and write its report."""
    console, progress_console = _console(), _console(stderr=True)
    with _polite("Finished points are on disk: the same command goes on from there."):
        from assembly.study import specification
        from assembly.study.findings import declared_rule
        from assembly.study.runner import check_study, run_study

        wanted = specification.override(
            specification.load(source),
            widths=None if widths is None else _whole_numbers("--widths", widths),
            seeds=seeds,
            activation=activation,
            quick=quick,
        )
        folder = out or Path("assembly-results") / f"{wanted.name}{'-quick' if quick else ''}"
        check_study(wanted, workers)
        console.print(declared_rule(wanted), markup=False)
        with _progress(progress_console) as tell:
            result = run_study(wanted, folder, workers, tell, parquet=parquet)
        if result.rows:
            from assembly.study.report import write_report  # draws: a second to import, not before the first point
            from assembly.study.terminal import terminal_table

            report = write_report(folder, result, shlex.join(["assembly", *sys.argv[1:]]))
            table, sentences = terminal_table(result)
            console.print(table)
            for sentence in sentences:
                console.print(sentence, markup=False)
        _conclude(console, result)
        if result.rows:
            console.print(f"Report: {report.html}", markup=False, soft_wrap=True)
    if result.failures:
        raise typer.Exit(1)


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
    computed = f"{result.n_computed} points measured in {_duration(result.seconds)}"
    reused = f", {result.n_reused} taken from an earlier run" if result.n_reused else ""
    failed = f", {len(result.failures)} failed" if result.failures else ""
    console.print(f"{computed}{reused}{failed}.", markup=False)


def _whole_numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentError(f"The '{option}' option must be whole numbers separated by commas. Got {text!r}.") from None


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _state(progress: Progress) -> str:
    if progress.stage == "compiling":
        return "compiling kernels (once; later runs find them on disk) ..."
    if progress.stage == "starting":
        return "starting ..."
    left = "" if progress.remaining is None else f", about {_duration(progress.remaining)} left"
    failed = f", {progress.n_failed} failed" if progress.n_failed else ""
    return f"{progress.n_done} of {progress.n_points} points{failed}{left}"


@contextmanager
def _progress(console: Console) -> Iterator[Any]:
    """Yield a function that shows progress: a bar on a terminal, a line every ten seconds elsewhere."""
    if not console.is_terminal:
        last = -_SECONDS_BETWEEN_LINES

        def tell(progress: Progress) -> None:
            nonlocal last
            now = time.monotonic()
            if progress.stage != "measuring" or now - last >= _SECONDS_BETWEEN_LINES:
                last = now
                console.print(_state(progress), markup=False)

        yield tell
        return
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(SpinnerColumn(), BarColumn(), TextColumn("{task.description}"), console=console, transient=True) as bar:
        task = bar.add_task("reading data ...", total=None)

        def tell(progress: Progress) -> None:
            bar.update(task, completed=progress.n_done, total=progress.n_points, description=_state(progress))
            if progress.stage != "measuring":
                bar.refresh()  # it may be over in a moment, or last for many

        yield tell


# --- inspect ---------------------------------------------------------------------------------------------------------

_ARCHITECTURES = {"network": ("mlp", "m,m,m"), "bottleneck": ("bottleneck", "m,1,m")}


@app.command(help=_INSPECT)
def inspect(
    architecture: Annotated[str, typer.Option(metavar="NAME", help=f"One of {', '.join(_ARCHITECTURES)}.")] = "network",
    width: Annotated[int, typer.Option(metavar="M", help="The width m.")] = 256,
    hidden: Annotated[
        str | None, typer.Option(metavar="m,m,m", help='Widths of the hidden layers; "m" stands for --width.')
    ] = None,
    activation: Annotated[str, typer.Option(metavar="NAME", help="Activation function.")] = "tanh",
    readout: Annotated[str, typer.Option(metavar="NAME", help="Readout weights: sign or gaussian.")] = "sign",
    output_activation: Annotated[
        str, typer.Option(metavar="NAME", help="Activation function of the output.")
    ] = "identity",
    parametrization: Annotated[str, typer.Option(metavar="NAME", help="ntk, standard or mean-field.")] = "ntk",
    bias: Annotated[bool, typer.Option("--bias", help="Give every neuron a bias.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the parameters.")] = 0,
    data: Annotated[str, typer.Option(metavar="SOURCE", help="Data set, or a CSV, NPY or NPZ file.")] = "digits",
    target: Annotated[
        str | None, typer.Option(metavar="NAME", help="Target: its name, a class index, or a column of a file.")
    ] = None,
    inputs: Annotated[int, typer.Option(metavar="N", help="Inputs that are measured and averaged.")] = 4,
    radius: Annotated[float, typer.Option(metavar="R", help="Distance at which remainders are measured.")] = 1.0,
    tol: Annotated[float, typer.Option(metavar="TOL", help="Relative residual of eigenvalues.")] = 1e-4,
) -> None:
    """Measure one network."""
    console = _console()
    with _polite():
        from assembly.checks import check_count, check_name, check_number

        check_name("--architecture", architecture, _ARCHITECTURES)
        check_count("--width", width)
        check_count("--seed", seed, minimum=0)
        check_count("--inputs", inputs)
        check_number("--radius", radius, above=0.0)
        check_number("--tol", tol, above=0.0, below=1.0)

        from assembly import kernels
        from assembly.study import engine, runner
        from assembly.study import specification as specifications
        from assembly.study.design import point as point_of

        builder, layers = _ARCHITECTURES[architecture]
        table = specifications.architecture(
            {
                "label": architecture,
                "builder": builder,
                "hidden": [
                    int(part) if part.strip().isdecimal() else part.strip() for part in (hidden or layers).split(",")
                ],
                "activation": activation,
                "readout": readout,
                "output_activation": output_activation,
                "parametrization": parametrization,
                "bias": bias,
            }
        )
        from assembly import data as datasets

        loaded = datasets.load(data, target)
        point = point_of(
            table,
            width,
            seed,
            radius=radius,
            tol=tol,
            data=specifications.DataSpecification(source=data, target=target, n_measured=inputs),
            fingerprint=loaded.fingerprint,
        )
        rows = datasets.measured_inputs(loaded, inputs, seed=0)
        runner.check_memory([point], 1, n_inputs=rows.shape[1])
        if not kernels.is_compiled():
            _console(stderr=True).print("compiling kernels (once; later runs find them on disk) ...", markup=False)
        from assembly.study.measure import measure

        outcome = engine.compute(measure, point, rows)
        if outcome.quantities is None:
            raise ArgumentError(f"The network cannot be measured. {outcome.reason}")
        _show_network(console, point, loaded.description, rows, outcome)


def _show_network(console: Console, point: Any, description: str, rows: Any, outcome: Any) -> None:
    from assembly.study.measure import build
    from assembly.study.quantities import describe_any

    net = build(point, rows.shape[1])
    console.print(repr(net), markup=False)
    console.print(f"m = {point.width}, smallest in-degree (width) {net.width}, seed {point.seed}", markup=False)
    console.print(f"data: {description}; averaged over {len(rows)} inputs", markup=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("quantity", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning")
    for name, value in outcome.quantities.items():
        quantity = describe_any(name)
        table.add_row(quantity.text, "undefined" if value != value else f"{value:.6g}", _first_clause(quantity.meaning))
    console.print(table)
    for warning in outcome.warnings:
        console.print(f"Note: {warning}", markup=False)
    console.print(f"measured in {_duration(outcome.seconds)}", markup=False)


def _first_clause(text: str) -> str:
    """Return what comes before the first colon or semicolon: a line, not a lesson."""
    return re.split("[:;]", text, maxsplit=1)[0].rstrip(".")


# --- list ------------------------------------------------------------------------------------------------------------


@app.command("list")
def list_() -> None:
    """Show every architecture, activation function, data set, study and quantity that can be named."""
    with _polite():
        from assembly import activations
        from assembly.data import BUILT_IN, FILE_SUFFIXES
        from assembly.study.quantities import QUANTITIES
        from assembly.study.specification import BUILDERS, named_studies

        files = {f"*{suffix}": "a file of your own: numbers, the last column is the target" for suffix in FILE_SUFFIXES}
        sections = {
            "studies": named_studies(),
            "data sets": {**BUILT_IN, **files},
            "architectures": {
                name: f"{BUILDERS[builder]}; hidden layers {hidden}"
                for name, (builder, hidden) in _ARCHITECTURES.items()
            },
            "builders (in a study file)": BUILDERS,
            "activation functions": activations.FORMULAS,
            "quantities (in a study file; {l} is a hidden layer)": {
                quantity.column: _first_clause(quantity.meaning) for quantity in QUANTITIES
            },
        }
        console = _console()
        for title, entries in sections.items():
            table = Table(box=None, pad_edge=False, show_header=False, title=title, title_justify="left")
            table.add_column(no_wrap=True)
            table.add_column()
            for name, line in entries.items():
                table.add_row(f"  {name}", line)
            console.print(table)
            console.print()
