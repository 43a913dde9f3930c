"""The command line: words -> one call below -> an exit code. Everything heavy is imported inside the commands.

Exit codes: 0 done, 1 some points of a study failed, 2 an error of the user's (one line says what to do), 130 and 143
stopped by Ctrl-C and by SIGTERM.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import signal
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from assembly import __version__
from assembly.errors import ArgumentError, AssemblyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from assembly.bounds.bracket import Bracket
    from assembly.data import Samples
    from assembly.dynamics.train import TrainingProgress
    from assembly.model import Assembly
    from assembly.study.builders import Builder
    from assembly.study.design import Point
    from assembly.study.engine import Outcome
    from assembly.study.result import StudyResult
    from assembly.study.runner import Progress
    from assembly.study.specification import Specification, SuiteSpecification
    from assembly.study.training import Split, Trained

_SECONDS_BETWEEN_LINES = 10.0  # of progress, when the output is no terminal
_SHOWN_FAILURES = 5
_PATIENCE = 2.0  # seconds: what takes longer is announced
_FEW_WEIGHTS = 10**6  # are measured in less,
_MANY_WEIGHTS = 10**8  # take longer to build
_COPIES = 8  # of the weights, beside them, while they are moved along a direction

_INTRODUCTION = """
When does a wide neural network become linear in its parameters, and when does it not?

Build networks as assemblies of sub-models, measure their Hessians and gradients over widths and seeds on real data, fit
how each quantity falls with the width, and compare with what the theory predicts.

**Start here**

    assembly study digits --quick    a first answer, with a report

    assembly study digits            the whole study, in half a minute

    assembly study claims            every claim of the theory, one study each, into one table

    assembly inspect --width 512     one network, looked at closely

    assembly train digits            train a network, and watch how near to linear it stays

    assembly explore                 the same in the browser, by hand

    assembly list                    everything that can be named here
"""
_STUDY = """
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
_INSPECT = """
Look at one network: does a neuron dominate, and which; and the same quantities as in a study, with residuals.

Every architecture of `assembly list` can be built, with its own keys given by --set; or give the path of a network that
was saved with am.save.

**Examples**

    assembly inspect --width 512

    assembly inspect --architecture bottleneck --width 512

    assembly inspect --architecture cnn --width 16 --set channels=m,2m --set pool=2

    assembly inspect --architecture tied --width 64 --set copies_exponent=0.5

    assembly inspect --hidden 300,m,40 --width 100 --activation gelu --data wine

    assembly inspect --data measurements.csv --target price

    assembly inspect net.json --data measurements.csv

    assembly inspect --architecture bottleneck --width 512 --save pictures

    assembly inspect --hidden m,m --width 256 --ball 1
"""

_TRAIN = """
Train a network, and beside it its linearised model the same way; record how far from linear it goes.

SOURCE is a data set (see `assembly list`) or a CSV, NPY or NPZ file. Stop it whenever you like: the same command goes
on from its last checkpoint, bit for bit as if it had not been stopped.

**Examples**

    assembly train digits --width 1024

    assembly train digits --width 64,256,1024 --hidden m

    assembly train wine --loss logistic --momentum 0.9 --steps 2000

    assembly train digits --method gradient_flow --beside linearized,closed_form,quadratic

    assembly train measurements.csv --target price --batch-size 32
"""

_EXPLORE = """
Explore networks in the browser: drag the width, and see what becomes linear and what does not.

A server is started on this machine, for this machine alone, and its page is opened; nothing leaves it.

**Examples**

    assembly explore

    assembly explore --lesson 07

    assembly explore --port 8080 --no-browser
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
    """Run the command line; `assembly.__main__` calls it."""
    app()


_STOPPING = (signal.SIGINT, signal.SIGTERM)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: stop as after Ctrl-C."""

    number = signal.SIGTERM


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = 140
    return console


@contextmanager
def _polite(resume: str = "", options: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn errors into one line and an exit code.

    After Ctrl-C `resume` is said. Arguments of a function that the user gave by options are called by those: `options`
    has the option of each.
    """

    def stop(number: int, _: object) -> None:
        for one in _STOPPING:  # once is enough: from here on everything is put in order, and nothing may cut that short
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else _Terminated

    before = {number: signal.signal(number, stop) for number in _STOPPING}
    try:
        yield
    except AssemblyError as error:
        for line in str(error).splitlines():
            print(f"error: {_of_options(line, options or {})}", file=sys.stderr)
        raise typer.Exit(2) from None
    except KeyboardInterrupt as error:
        print(f"stopped.{f' {resume}' if resume else ''}", file=sys.stderr)
        raise typer.Exit(128 + getattr(error, "number", signal.SIGINT)) from None
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is stop:
                signal.signal(number, handler)


def _of_options(line: str, options: Mapping[str, str]) -> str:
    """Return a sentence on arguments as one on the options that gave them."""

    def told(found: re.Match[str]) -> str:
        name, index = found.groups()
        option = name if name.startswith("--") else options.get(name)
        return found[0] if option is None else f"'{option}{index}' option"

    return re.sub(r"'([-\w]+)((?:\[\d+\])?)' argument", told, line)


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
    with _polite("Finished points are on disk: the same command goes on from there.", {"workers": "--workers"}):
        from assembly.study import specification

        suite = specification.load_suite(source)
        changes: dict[str, Any] = {"seeds": seeds, "activation": activation, "quick": quick}
        if widths is not None:
            changes["widths"] = _whole_numbers("--widths", widths)
        studies = [specification.load(source)] if suite is None else suite[1]
        wanted = [specification.override(one, **changes) for one in studies]
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

    console = _console()
    check_study(wanted, workers)
    console.print(declared_rule(wanted), markup=False)
    with _progress(_console(stderr=True)) as tell:
        result = run_study(wanted, folder, workers, tell, parquet=parquet)
    if result.rows:
        from assembly.study.report import write_report  # draws: a second to import, not before the first point
        from assembly.study.terminal import terminal_table

        report = write_report(folder, result, _command())
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

    console = _console()
    for one in wanted:
        check_study(one, workers)
    rule, *_ = declared_rule(wanted[0]).split("\n  ")
    console.print(rule, markup=False)
    for member, one in zip(suite.members, wanted, strict=True):
        for line in declared_rule(one).split("\n  ")[1:]:
            console.print(f"  {member.claim}: {line}", markup=False)
    with _progress(_console(stderr=True)) as tell:
        result = run_suite(suite, wanted, folder, workers, tell, command=_command(), parquet=parquet)
    _show_table(console, *suite_table(result))
    console.print(f"Report: {suite_paths(folder).html}", markup=False, soft_wrap=True)
    return not result.missing and not result.n_failed


def _command() -> str:
    return shlex.join(["assembly", *sys.argv[1:]])


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
    from assembly.progress import silenced

    if not console.is_terminal:
        last = -_SECONDS_BETWEEN_LINES

        def tell(progress: Progress) -> None:
            nonlocal last
            now = time.monotonic()
            if progress.stage != "measuring" or now - last >= _SECONDS_BETWEEN_LINES:
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


# --- inspect ---------------------------------------------------------------------------------------------------------

_OF_A_BUILT_ONE = ("architecture", "width", "seed", "hidden", "activation")
_DIAGNOSED = (  # beginnings of the columns of a study that a diagnosis shows, some of them averaged in another order
    *("hessian_norm", "gradient_norm", "hessian_over_gradient_squared", "q_infinity", "largest_residual"),
    *("largest_share_", "largest_curvature_share_", "effective_number_", "rms_cosine_"),
)


@app.command(help=_INSPECT)
def inspect(
    saved: Annotated[
        Path | None, typer.Argument(metavar="[NET.json]", help="A saved network; one is built if left out.")
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(metavar="NAME", help="An architecture of `assembly list`; mlp if left out.")
    ] = None,
    width: Annotated[int | None, typer.Option(metavar="M", help="The width m; 256 if left out.")] = None,
    hidden: Annotated[
        str | None, typer.Option(metavar="m,m,m", help='Widths of the hidden layers; "m" stands for --width.')
    ] = None,
    activation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Activation function; tanh if left out.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another key of the architecture; as often as needed."),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of the parameters; 0 if left out.")] = None,
    data: Annotated[str, typer.Option(metavar="SOURCE", help="Data set, or a CSV, NPY or NPZ file.")] = "digits",
    target: Annotated[
        str | None, typer.Option(metavar="NAME", help="Target: its name, a class index, or a column of a file.")
    ] = None,
    inputs: Annotated[int, typer.Option(metavar="N", help="Inputs that are measured and averaged.")] = 4,
    radius: Annotated[float, typer.Option(metavar="R", help="Distance at which remainders are measured.")] = 1.0,
    tol: Annotated[float, typer.Option(metavar="TOL", help="Relative residual of eigenvalues.")] = 1e-4,
    ball: Annotated[
        float | None,
        typer.Option(
            metavar="R", help="Also bracket curvature, remainder and kernel change over all parameters within R."
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Also write diagnosis.json, pictures of shares, cosines and network, and of the bracket with --ball.",
        ),
    ] = None,
) -> None:
    """Measure one network."""
    console = _console()
    with _polite():
        from assembly import data as datasets
        from assembly import kernels
        from assembly.checks import check_count, check_number

        given = _given({"hidden": hidden, "activation": activation}, settings or [])
        built = {"architecture": architecture, "width": width, "seed": seed, **given}
        refused = [key for key, value in built.items() if value is not None]
        if saved is not None and refused:
            option = f"--{refused[0]}" if refused[0] in _OF_A_BUILT_ONE else f"--set {refused[0]}"
            raise ArgumentError(f"The '{option}' option is for a network that is built, not for a saved one.")
        architecture = "mlp" if architecture is None else architecture
        width = check_count("--width", 256 if width is None else width)
        seed = check_count("--seed", 0 if seed is None else seed, minimum=0)
        check_count("--inputs", inputs)
        check_number("--radius", radius, above=0.0)
        check_number("--tol", tol, above=0.0, below=1.0)
        if ball is not None:
            check_number("--ball", ball, above=0.0)
        options = _options_of(architecture, given)
        loaded = datasets.load(data, target)
        if inputs > len(loaded.inputs):
            raise ArgumentError(
                f"The '--inputs' option must be at most {len(loaded.inputs)}, the rows of {loaded.name}. Got {inputs}."
            )
        samples = datasets.measured_samples(loaded, inputs, seed=0)
        rows = samples.inputs

        from assembly.study.design import Point, Settings

        setting = Settings(options, loaded.shape, (), radius, tol, loaded.fingerprint, inputs, 0, 1)
        point = Point(architecture, architecture, width, seed, setting)
        net = _network(point) if saved is None else _saved(saved, rows.shape[1])
        if not kernels.is_compiled():
            _console(stderr=True).print("compiling kernels (once; later runs find them on disk) ...", markup=False)
        brackets = None if ball is None else _brackets(net, rows, ball)
        _console(stderr=True).print(_announced(net, len(rows), tol), markup=False)
        outcome = _measured(net, point, samples)
        lines = [] if saved is not None else _numbers_of(point)
        lines.append(f"data: {loaded.description}; averaged over {len(rows)} inputs; R = {radius:g}")
        _show_diagnosis(console, net, rows, tol, save)
        _show_network(console, net, lines, outcome, radius)
        if brackets is not None:
            _show_brackets(console, net, rows, brackets, save)


def _given(named: dict[str, str | None], settings: list[str]) -> dict[str, str]:
    """Return the keys of an architecture that were given, by options of their own or by --set."""
    given = {key: text for key, text in named.items() if text is not None}
    for setting in settings:
        key, _, text = (part.strip() for part in setting.partition("="))
        if not key or not text or key in ("label", "builder", "widths"):
            raise ArgumentError(
                "The '--set' option must be KEY=VALUE with a key of the architecture, such as readout=gaussian. "
                f"Got {setting!r}."
            )
        given[key] = text
    return given


def _options_of(architecture: str, given: dict[str, str]) -> dict[str, Any]:
    """Return all keys of an architecture, those that were given and its own defaults for the rest."""
    from assembly.checks import check_name
    from assembly.study import specification
    from assembly.study.builders import BUILDERS

    check_name("--architecture", architecture, BUILDERS)
    lists = {key for one in BUILDERS.values() for key, value in one.defaults.items() if isinstance(value, list)}
    values = {
        key: [_value(one) for one in text.split(",")] if key in lists else _value(text) for key, text in given.items()
    }
    return specification.architecture({"label": architecture, "builder": architecture, **values}).options


def _value(text: str) -> bool | int | float | str:
    """Return what a text stands for in a study file, where texts stand in quotes."""
    import tomllib

    with suppress(tomllib.TOMLDecodeError):
        value = tomllib.loads(f"value = {text.strip()}").get("value")
        if isinstance(value, bool | int | float):
            return value
    return text.strip()


def _network(point: Point) -> Assembly:
    from assembly.memory import gibibytes
    from assembly.study.measure import build
    from assembly.study.runner import check_memory, memory_needed, size_of

    check_memory([point], 1)
    n_weights = size_of(point).n_weights
    if n_weights > _MANY_WEIGHTS:
        text = f"building {n_weights:,} weights, about {gibibytes(memory_needed(point))} with all that is measured ..."
        _console(stderr=True).print(text, markup=False)
    return build(point)


def _saved(path: Path, n_columns: int) -> Assembly:
    import assembly
    from assembly.study.measure import first_output

    net = first_output(assembly.load(path))
    if net.n_inputs != n_columns:
        raise ArgumentError(
            f"The network {str(path)!r} has {net.n_inputs} inputs and the data {n_columns} columns: "
            "give other data with --data."
        )
    return net


def _measured(net: Assembly, point: Point, samples: Samples) -> Outcome:
    from assembly.study import engine
    from assembly.study.measure import measure_network, random_numbers

    outcome = engine.compute(
        lambda point, samples: measure_network(net, samples, point.settings, random_numbers(point)), point, samples
    )
    if outcome.quantities is None:
        raise ArgumentError(f"The network cannot be measured. {outcome.reason}")
    return outcome


def _announced(net: Assembly, n_inputs: int, tol: float) -> str:
    """Return what is measured, and about how long it will take if that is long."""
    text = f"measuring {net.n_parameters:,} parameters"
    if net.n_parameters < _FEW_WEIGHTS:
        return f"{text} ..."
    from assembly.diagnostics.diversity import layers_with_cosines
    from assembly.forecasting import forecast

    ahead = forecast(net)
    norm, grams = ahead.hessian_norm(tol), [ahead.gram(layer) for layer in layers_with_cosines(net)]
    seconds = n_inputs * (2.0 * norm.seconds + (9.0 + 2.0 * n_inputs) * ahead.gradient().seconds)
    seconds += n_inputs * sum(gram.seconds for gram in grams)
    if seconds < _PATIENCE:
        return f"{text} ..."
    working = max([_COPIES * ahead.weights, norm.working, *(gram.working for gram in grams)])
    return f"{text}, {replace(norm, seconds=seconds, working=working)} ..."


def _numbers_of(point: Point) -> list[str]:
    from assembly.study.builders import BUILDERS

    builder = BUILDERS[point.builder]
    derived = [f", {key} {follow(point.width, point.settings.options)}" for key, follow in builder.derived.items()]
    return [f"{builder.name}, m = {point.width}{''.join(derived)}, seed {point.seed}: {builder.text}"]


def _show_diagnosis(console: Console, net: Assembly, rows: NDArray[Any], tol: float, folder: Path | None) -> None:
    from assembly.diagnostics.diagnose import diagnose

    diagnosis = diagnose(net, rows, tol=tol)
    console.print(f"{diagnosis.text}\n", markup=False, soft_wrap=True)
    if folder is not None:
        from assembly.plots.diagnosis import save_diagnosis  # draws: a second to import

        save_diagnosis(diagnosis, folder)
        console.print(f"Written: {folder}\n", markup=False, soft_wrap=True)


def _show_network(console: Console, net: Assembly, lines: list[str], outcome: Outcome, radius: float) -> None:
    """Show what stands in no diagnosis."""
    from assembly.diagnostics.diagnose import RADIUS
    from assembly.study.quantities import describe_any

    assert outcome.quantities is not None
    for line in [repr(net), *lines]:
        console.print(line, markup=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("quantity", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("meaning")
    diagnosed = (*_DIAGNOSED, "hessian_times_radius") if radius == RADIUS else _DIAGNOSED
    for name, value in outcome.quantities.items():
        if name.startswith(diagnosed):
            continue
        quantity = describe_any(name)
        table.add_row(quantity.text, "undefined" if value != value else f"{value:.6g}", _first_clause(quantity.meaning))
    console.print(table)
    for warning in outcome.warnings:
        console.print(f"Note: {warning}", markup=False)
    console.print(f"measured in {_duration(outcome.seconds)}", markup=False)


def _brackets(net: Assembly, rows: NDArray[Any], radius: float) -> list[Bracket]:
    """Return what the curvature and the remainder are at most at the first input, and the kernel's change at all."""
    _console(stderr=True).print(f"bracketing over all parameters within {radius:g} ...", markup=False)
    return [
        net.curvature_in_ball(rows[0], radius),
        net.remainder_in_ball(rows[0], radius),
        net.kernel_change_in_ball(rows, radius),
    ]


def _show_brackets(
    console: Console, net: Assembly, rows: NDArray[Any], brackets: Sequence[Bracket], folder: Path | None
) -> None:
    names = ("largest ||H||, first input", "largest |f - f_lin|, first input", "largest relative change of the kernel")
    console.print(
        f"\nAt worst, over all parameters within R = {brackets[0].radius:g}: at least (attained), at most (proven)",
        markup=False,
        soft_wrap=True,
    )
    for name, one in zip(names, brackets, strict=True):
        ratio = f", upper/lower {one.ratio:.3g}" if one.lower > 0.0 else ""
        console.print(
            f"  {name:<37}  lower {one.lower:.4g}, upper {one.upper:.4g}{ratio}", markup=False, soft_wrap=True
        )
    if folder is not None:
        console.print(_save_bracket(net, rows[0], brackets[0], folder / "bracket.svg"), markup=False, soft_wrap=True)


def _save_bracket(net: Assembly, x: NDArray[Any], largest: Bracket, path: Path) -> str:
    """Draw the bracket of the curvature over three radii up to that of `largest`; return what to say of it."""
    from assembly.files import write_atomically
    from assembly.plots import style
    from assembly.plots.bracket import describe_brackets, draw_brackets

    radii = [largest.radius / 10.0, largest.radius / 3.0, largest.radius]
    found = [*(net.curvature_in_ball(x, radius) for radius in radii[:-1]), largest]
    if not all(0.0 < one.lower <= one.upper < math.inf for one in found):
        return "There is no picture of the bracket: an end of it is 0 or infinite, and its axes are logarithmic."
    ends = {"network": ([one.lower for one in found], [one.upper for one in found])}
    svg = style.to_svg(
        draw_brackets(radii, ends, name="largest ||H|| in the ball"),
        title="Bracket of the Hessian norm",
        description=describe_brackets(radii, ends, name="The largest Hessian norm"),
    )
    write_atomically(path, svg.encode())
    return f"Written: {path}"


def _first_clause(text: str) -> str:
    """Return what comes before the first colon or semicolon: a line, not a lesson."""
    return re.split("[:;]", text, maxsplit=1)[0].rstrip(".")


# --- train -----------------------------------------------------------------------------------------------------------


_TRAINED_BY = {  # argument of `assembly.train` -> option
    **{name: f"--{name}" for name in ("loss", "method", "every", "momentum", "noise", "seed", "beside")},
    "step_size": "--step-size",
    "n_steps": "--steps",
    "batch_size": "--batch-size",
    "weight_decay": "--weight-decay",
    "y": "--target",
}


@app.command(help=_TRAIN)
def train(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Data set, or a CSV, NPY or NPZ file.")],
    width: Annotated[str, typer.Option(metavar="M,...", help="One or several widths m.")] = "256",
    architecture: Annotated[str, typer.Option(metavar="NAME", help="An architecture of `assembly list`.")] = "mlp",
    hidden: Annotated[
        str | None, typer.Option(metavar="m,m,m", help='Widths of the hidden layers; "m" stands for --width.')
    ] = None,
    activation: Annotated[
        str | None, typer.Option(metavar="NAME", help="Activation function; tanh if left out.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another key of the architecture; as often as needed."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of parameters, rows, batches and noise.")] = 0,
    target: Annotated[
        str | None, typer.Option(metavar="NAME", help="Target: its name, a class index, or a column of a file.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(metavar="N", help="Rows to train on; 128, or three quarters if less, if left out.")
    ] = None,
    test_rows: Annotated[
        int | None, typer.Option(metavar="N", help="Other rows to test on; 512, or all if fewer, if left out.")
    ] = None,
    loss: Annotated[str, typer.Option(metavar="NAME", help="squared or logistic, a sum over the rows.")] = "squared",
    method: Annotated[str, typer.Option(metavar="NAME", help="gradient_descent or gradient_flow.")] = (
        "gradient_descent"
    ),
    step_size: Annotated[
        float | None,
        typer.Option(metavar="ETA", help="Step size; half of what is stable for the linearised model if left out."),
    ] = None,
    steps: Annotated[int, typer.Option(metavar="N", help="Steps.")] = 1000,
    every: Annotated[
        int | None,
        typer.Option(metavar="N", help="Steps between records; 20 records, or as in the folder, if left out."),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Rows of a batch; all if left out.")] = None,
    momentum: Annotated[float, typer.Option(metavar="MU", help="Momentum.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(metavar="GAMMA", help="Weight decay, towards 0.")] = 0.0,
    noise: Annotated[float, typer.Option(metavar="TAU", help="Noise of gradient descent.")] = 0.0,
    beside: Annotated[
        str, typer.Option(metavar="NAME,...", help="Models beside: linearized, closed_form, quadratic, or none.")
    ] = "linearized",
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Output folder; ./assembly-results/train-<data> if left out.")
    ] = None,
) -> None:
    """Train networks and write a report."""
    folder = out or Path("assembly-results") / f"train-{Path(source).stem}"
    with _polite("Steps up to the last checkpoint are on disk: the same command goes on from there.", _TRAINED_BY):
        from assembly import data as datasets
        from assembly import kernels
        from assembly.checks import check_count, check_name
        from assembly.dynamics.settings import BESIDE, METHODS, between_records
        from assembly.study.training import split, train_family
        from assembly.study.training_folder import TrainingFolder

        widths = list(dict.fromkeys(check_count("--width", one) for one in _whole_numbers("--width", width)))
        beside_names = [] if beside == "none" else [check_name("--beside", one, BESIDE) for one in beside.split(",")]
        given = _given({"hidden": hidden, "activation": activation}, settings or [])
        options = _options_of(architecture, given)
        check_name("--method", method, METHODS)
        n_rows = None if rows is None else check_count("--rows", rows)
        loaded = datasets.load(source, target)
        n_test = None if test_rows is None else check_count("--test-rows", test_rows, 0)
        chosen = split(loaded, n_rows, n_test, seed)
        if not kernels.is_compiled():
            _console(stderr=True).print("compiling kernels (once; later runs find them on disk) ...", markup=False)
        build = _builder_of(architecture, loaded.shape, seed, options)
        settings_of_run = {
            "loss": loss,
            "method": method,
            "step_size": step_size,
            "n_steps": steps,
            "every": every,
            "batch_size": batch_size,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "noise": noise,
            "seed": seed,
            "beside": beside_names,
        }
        named = {
            "SOURCE or --target": loaded.fingerprint,
            "--rows": len(chosen.X),
            "--test-rows": len(chosen.X_test),
            "--architecture": architecture,
            **{f"--{key}" if key in ("hidden", "activation") else f"--set {key}": options[key] for key in options},
            **{_TRAINED_BY[key]: value for key, value in settings_of_run.items() if key != "n_steps"},
        }
        kept = TrainingFolder(folder, named, {"--every": between_records(check_count("--steps", steps))})
        settings_of_run["every"] = kept.options["--every"]
        with _training_line(_console(stderr=True)) as tell:
            runs = train_family(build, widths, chosen, kept, settings_of_run, tell)
        _report_training(runs, chosen, folder, f"Training {architecture} on {source}")
    if any(one.history.status != "finished" for one in runs if one.width in widths):
        raise typer.Exit(1)


def _builder_of(architecture: str, shape: tuple[int, ...], seed: int, options: dict[str, Any]) -> Any:
    from assembly.study.builders import BUILDERS
    from assembly.study.measure import first_output

    return lambda width: first_output(BUILDERS[architecture].build(shape, width, seed, options))


def _report_training(runs: Sequence[Trained], chosen: Split, folder: Path, title: str) -> None:
    from assembly.study.training_report import answer, notes, rows, write_training_report

    console = _console()
    page = write_training_report(folder, runs, chosen, _command(), title=title)
    console.print(chosen.description, markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    for _ in runs:
        table.add_column(justify="right", no_wrap=True)
    for row in rows(runs, chosen):
        table.add_row(*row)
    console.print(table)
    for note in notes(runs):
        console.print(f"Note: {note}", markup=False)
    console.print(answer(runs), markup=False, soft_wrap=True)
    console.print(f"Report: {page}", markup=False, soft_wrap=True)


@contextmanager
def _training_line(console: Console) -> Iterator[Any]:
    """Yield a function that shows how far a training is: in place on a terminal, a line every ten seconds elsewhere."""
    from assembly.progress import silenced

    last = -_SECONDS_BETWEEN_LINES
    with silenced():
        if not console.is_terminal:

            def tell_lines(width: int, progress: TrainingProgress) -> None:
                nonlocal last
                now = time.monotonic()
                if now - last >= _SECONDS_BETWEEN_LINES or progress.step == progress.n_steps:
                    last = now
                    console.print(f"width {width}: {progress}", markup=False)

            yield tell_lines
            return
        with console.status("starting ...") as status:
            yield lambda width, progress: status.update(f"width {width}: {progress}")


# --- explore ---------------------------------------------------------------------------------------------------------


@app.command(help=_EXPLORE)
def explore(
    port: Annotated[
        int | None, typer.Option(metavar="N", help="Port; 5006 if left out, or a free one where that is taken.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Address to listen on, for visitors from other machines, who need the token that is printed; "
            "this machine alone if left out. Not encrypted.",
        ),
    ] = None,
    lesson: Annotated[str | None, typer.Option(metavar="NN", help="Open at the network of a lesson, 01 to 10.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Start the explorer."""
    with _polite(options={"port": "--port", "host": "--host"}):
        _need_explorer()
        from assembly.checks import check_name
        from assembly.explorer.serve import serve
        from assembly.lessons import LESSONS

        query = "" if lesson is None else LESSONS[check_name("--lesson", lesson, LESSONS)].explorer
        serve(port, host, query=query, opens_browser=not no_browser, tell=_tell_address)


def _need_explorer() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("panel", "panel_material_ui", "bokeh") if find_spec(name) is None]
    if missing:
        raise ArgumentError(
            f"The explorer needs the packages of its extra: pip install 'assembly-perspective[explorer]'. "
            f"Missing: {', '.join(missing)}."
        )


def _tell_address(address: str) -> None:
    print(f"Explorer: {address}\nCtrl-C ends it.", flush=True)


# --- list ------------------------------------------------------------------------------------------------------------

_LIST_WIDTH = 100


@app.command("list")
def list_() -> None:
    """Show every architecture, activation function, data set, study and quantity that can be named."""
    with _polite():
        from assembly import activations
        from assembly.data import BUILT_IN, FILE_SUFFIXES
        from assembly.study.builders import BUILDERS, COMMON
        from assembly.study.quantities import QUANTITIES
        from assembly.study.specification import named_studies, named_suites

        console = _console()
        console.width = min(console.width, _LIST_WIDTH)
        files = {f"*{suffix}": "a file of your own: numbers, the last column is the target" for suffix in FILE_SUFFIXES}
        quantities = {
            one.column: f"{_first_clause(one.meaning)}{' (on request)' if one.is_on_request else ''}"
            for one in QUANTITIES
        }
        _show_names(console, "studies", named_studies())
        _show_names(console, "suites of studies", named_suites())
        _show_names(console, "data sets", {**BUILT_IN, **files})
        console.print("architectures (`builder` in a study file, --architecture here)", style="italic")
        _print_plainly(console, f"  keys of all or most of them: {_as_keys(COMMON)}", "    ")
        for builder in BUILDERS.values():
            _show_builder(console, builder)
        console.print()
        _show_names(console, "activation functions", activations.FORMULAS)
        _show_names(console, "quantities (in a study file; {l} is a hidden layer)", quantities)


def _show_names(console: Console, title: str, entries: Mapping[str, str]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False, title=title, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column()
    for name, line in entries.items():
        table.add_row(f"  {name}", line)
    console.print(table)
    console.print()


def _show_builder(console: Console, builder: Builder) -> None:
    from assembly.study.builders import COMMON

    own = {key: value for key, value in builder.defaults.items() if key not in COMMON}
    shared = [key for key in builder.defaults if key in COMMON]
    console.print()
    _print_plainly(console, f"  {builder.name}  {builder.text}", "    ")
    console.print()
    for line in builder.picture.strip("\n").splitlines():
        console.print(f"      {line}", markup=False)
    console.print()
    _print_plainly(console, f"    width: {builder.width_rule}", "      ")
    _print_plainly(console, f"    keys: {_as_keys(own)}; and {', '.join(shared)}", "      ")


def _as_keys(defaults: Mapping[str, Any]) -> str:
    return ", ".join(key if value is None else f"{key} = {json.dumps(value)}" for key, value in defaults.items())


def _print_plainly(console: Console, text: str, indent: str) -> None:
    for line in textwrap.wrap(text, console.width, subsequent_indent=indent, break_on_hyphens=False):
        console.print(line, markup=False)
