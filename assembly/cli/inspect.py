"""`assembly inspect`: look at one network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from assembly.cli.architectures import Activation, Hidden, Keys, Target, given_keys, options_of
from assembly.cli.manners import first_clause, make_console, polite, rounded
from assembly.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from assembly.bounds.bracket import Bracket
    from assembly.data import Samples
    from assembly.model import Assembly
    from assembly.study.design import Point
    from assembly.study.engine import Outcome

_PATIENCE = 2.0  # seconds: what takes longer is announced
_FEW_WEIGHTS = 10**6  # are measured in less,
_MANY_WEIGHTS = 10**8  # take longer to build
_COPIES = 8  # of the weights, beside them, while they are moved along a direction
HELP = """
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

_OF_A_BUILT_ONE = ("architecture", "width", "seed", "hidden", "activation")
_DIAGNOSED = (  # beginnings of the columns of a study that a diagnosis shows, some of them averaged in another order
    *("hessian_norm", "gradient_norm", "hessian_over_gradient_squared", "q_infinity", "largest_residual"),
    *("largest_share_", "largest_curvature_share_", "effective_number_", "rms_cosine_"),
)


def inspect(
    saved: Annotated[
        Path | None, typer.Argument(metavar="NET.json", help="A saved network; one is built if left out.")
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(metavar="NAME", help="An architecture of `assembly list`; mlp if left out.")
    ] = None,
    width: Annotated[int | None, typer.Option(metavar="M", help="The width m; 256 if left out.")] = None,
    hidden: Hidden = None,
    activation: Activation = None,
    settings: Keys = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of the parameters; 0 if left out.")] = None,
    data: Annotated[str, typer.Option(metavar="SOURCE", help="Data set, or a CSV, NPY or NPZ file.")] = "digits",
    target: Target = None,
    inputs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Inputs that are measured and averaged; 4, or all if fewer, if left out."),
    ] = None,
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
    console = make_console()
    with polite(options={"path": "NET.json", "folder": "--save"}):
        from assembly import data as datasets
        from assembly import kernels
        from assembly.checks import check_count, check_number
        from assembly.files import writable_folder

        given = given_keys({"hidden": hidden, "activation": activation}, settings)
        built = {"architecture": architecture, "width": width, "seed": seed, **given}
        refused = [key for key, value in built.items() if value is not None]
        if saved is not None and refused:
            option = f"--{refused[0]}" if refused[0] in _OF_A_BUILT_ONE else f"--set {refused[0]}"
            raise ArgumentError(f"The '{option}' option is for a network that is built, not for a saved one.")
        architecture = "mlp" if architecture is None else architecture
        width = check_count("--width", 256 if width is None else width)
        seed = check_count("--seed", 0 if seed is None else seed, minimum=0)
        if inputs is not None:
            check_count("--inputs", inputs)
        check_number("--radius", radius, above=0.0)
        check_number("--tol", tol, above=0.0, below=1.0)
        if ball is not None:
            check_number("--ball", ball, above=0.0)
        options = options_of(architecture, given)
        loaded = datasets.load(data, target)
        inputs = min(4, len(loaded.inputs)) if inputs is None else inputs
        if inputs > len(loaded.inputs):
            raise ArgumentError(
                f"The '--inputs' option must be at most {len(loaded.inputs)}, the rows of {loaded.name}. Got {inputs}."
            )
        samples = datasets.measured_samples(loaded, inputs, seed=0)
        rows = samples.inputs

        from assembly.study.design import Point, Settings

        if save is not None:
            with writable_folder(save):
                pass  # it is known before minutes of measuring that there is a place for them
        setting = Settings(options, loaded.shape, (), radius, tol, loaded.fingerprint, inputs, 0, 1)
        point = Point(architecture, architecture, width, seed, setting)
        net = _network(point) if saved is None else _saved(saved, rows.shape[1])
        if not kernels.is_compiled():
            make_console(stderr=True).print("compiling kernels (once; later runs find them on disk) ...", markup=False)
        brackets = None if ball is None else _brackets(net, rows, ball)
        make_console(stderr=True).print(_announced(net, len(rows), tol), markup=False)
        outcome = _measured(net, point, samples)
        lines = [] if saved is not None else _numbers_of(point)
        lines.append(f"data: {loaded.description}; averaged over {len(rows)} inputs; R = {radius:g}")
        _show_diagnosis(console, net, rows, tol, save)
        _show_network(console, net, lines, outcome, radius)
        if brackets is not None:
            _show_brackets(console, net, rows, brackets, save)


def _network(point: Point) -> Assembly:
    from assembly.memory import gibibytes
    from assembly.study.measure import build
    from assembly.study.runner import check_memory, memory_needed, size_of

    check_memory([point], 1)
    n_weights = size_of(point).n_weights
    if n_weights > _MANY_WEIGHTS:
        text = f"building {n_weights:,} weights, about {gibibytes(memory_needed(point))} with all that is measured ..."
        make_console(stderr=True).print(text, markup=False)
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
        table.add_row(quantity.text, "undefined" if value != value else f"{value:.6g}", first_clause(quantity.meaning))
    console.print(table)
    for warning in outcome.warnings:
        console.print(f"Note: {warning}", markup=False)
    console.print(f"measured in {rounded(outcome.seconds)}", markup=False)


def _brackets(net: Assembly, rows: NDArray[Any], radius: float) -> list[Bracket]:
    """Return what the curvature and the remainder are at most at the first input, and the kernel's change at all."""
    make_console(stderr=True).print(f"bracketing over all parameters within {radius:g} ...", markup=False)
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
