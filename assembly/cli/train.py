"""`assembly train`: train networks, write a report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from assembly.cli.architectures import Activation, Hidden, Keys, Target, given_keys, options_of
from assembly.cli.manners import (
    SECONDS_BETWEEN_LINES,
    command_line,
    make_console,
    polite,
    whole_numbers,
)

if TYPE_CHECKING:
    from assembly.dynamics.train import TrainingProgress
    from assembly.study.training import Split, Trained

HELP = """
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

_TRAINED_BY = {  # argument of `assembly.train` -> option
    **{name: f"--{name}" for name in ("loss", "method", "every", "momentum", "noise", "seed", "beside")},
    "step_size": "--step-size",
    "n_steps": "--steps",
    "batch_size": "--batch-size",
    "weight_decay": "--weight-decay",
    "X": "SOURCE",
    "y": "--target",
}


def train(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Data set, or a CSV, NPY or NPZ file.")],
    width: Annotated[str, typer.Option(metavar="M,...", help="One or several widths m.")] = "256",
    architecture: Annotated[str, typer.Option(metavar="NAME", help="An architecture of `assembly list`.")] = "mlp",
    hidden: Hidden = None,
    activation: Activation = None,
    settings: Keys = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of parameters, rows, batches and noise.")] = 0,
    target: Target = None,
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
        Path | None,
        typer.Option(metavar="FOLDER", help="Output folder; train-SOURCE in ./assembly-results if left out."),
    ] = None,
) -> None:
    """Train networks and write a report."""
    folder = out or Path("assembly-results") / f"train-{Path(source).stem}"
    with polite("Steps up to the last checkpoint are on disk: the same command goes on from there.", _TRAINED_BY):
        from assembly import data as datasets
        from assembly import kernels
        from assembly.checks import check_count, check_name
        from assembly.dynamics.settings import BESIDE, METHODS, between_records
        from assembly.study.training import split, train_family
        from assembly.study.training_folder import TrainingFolder

        widths = list(dict.fromkeys(check_count("--width", one) for one in whole_numbers("--width", width)))
        beside_names = [] if beside == "none" else [check_name("--beside", one, BESIDE) for one in beside.split(",")]
        given = given_keys({"hidden": hidden, "activation": activation}, settings)
        options = options_of(architecture, given)
        check_name("--method", method, METHODS)
        n_rows = None if rows is None else check_count("--rows", rows)
        loaded = datasets.load(source, target)
        n_test = None if test_rows is None else check_count("--test-rows", test_rows, 0)
        chosen = split(loaded, n_rows, n_test, seed)
        if not kernels.is_compiled():
            make_console(stderr=True).print("compiling kernels (once; later runs find them on disk) ...", markup=False)
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
        with _training_line(make_console(stderr=True)) as tell:
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

    console = make_console()
    page = write_training_report(folder, runs, chosen, command_line(), title=title)
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

    last = -SECONDS_BETWEEN_LINES
    with silenced():
        if not console.is_terminal:

            def tell_lines(width: int, progress: TrainingProgress) -> None:
                nonlocal last
                now = time.monotonic()
                if now - last >= SECONDS_BETWEEN_LINES or progress.step == progress.n_steps:
                    last = now
                    console.print(f"width {width}: {progress}", markup=False)

            yield tell_lines
            return
        with console.status("starting ...") as status:
            yield lambda width, progress: status.update(f"width {width}: {progress}")
