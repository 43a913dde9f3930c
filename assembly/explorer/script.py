"""A state as Python text: it builds the network again with the public functions, and prints the same numbers."""

from __future__ import annotations

import json
from typing import Any

from assembly.data import BUILT_IN
from assembly.diagnostics.dominance import TOLERANCE
from assembly.explorer.answers import FEW_POINTS, MANY_PARAMETERS, N_POINTS
from assembly.explorer.state import DRAWN, POINTS, State
from assembly.explorer.training import BESIDE, N_INPUTS, RECORDED, widths

_PART_KEYS = ("activation", "readout", "dtype")  # of what a committee is made of


FEW_STEPS = 100


def script(state: State, n_steps: int = FEW_STEPS) -> str:
    """Return a Python program that prints the numbers of a state, and its diagnosis; a curve or a training likewise.

    Every number is printed twice: as on the page, and with all its figures. `assembly.explorer.answers` computes them
    with the same calls, `assembly.explorer.training` with the same steps.

    Parameters
    ----------
    state : State
    n_steps : int
        Of training, on that panel: 1 or more.

    Returns
    -------
    str
        It needs the package and numpy, and no explorer.

    Raises
    ------
    ArgumentError
        If width and options do not fit together.

    Examples
    --------
    >>> "net = am.resnet(" in script(State(builder="resnet", width=8))
    True
    """
    lines = [*_head(state), "", *_input(state), *_network(state), "", *_numbers(state)]
    if state.panel == "linear":
        lines += ["", *_curve(state)]
    if state.panel == "training" and state.data != DRAWN:  # drawn inputs have no targets
        lines += ["", *_training(state, n_steps)]
    return "\n".join([*lines, ""])


def _head(state: State) -> list[str]:
    own = ["from assembly.data import load"] if state.data in BUILT_IN else []
    own += ["from assembly.errors import DivergenceError"] if state.panel == "training" else []
    return [
        f"# {state.to_query()}",
        "import numpy as np",
        "",
        "import assembly as am",
        *own,
        *(["from assembly.seeds import generator"] if _is_random(state) else []),
        *(["from assembly.study.measure import first_output"] if state.file is not None else []),
    ]


def _is_random(state: State) -> bool:
    is_drawn = state.panel == "linear" and state.direction == "random"
    return state.data == DRAWN or is_drawn or state.panel == "training"


def _input(state: State) -> list[str]:
    if state.data == POINTS:
        return [f"x = np.array({list(state.points[state.row][:2])!r})"]
    if state.data == DRAWN:
        return [
            f'x = generator(0, "inputs", {state.row}).standard_normal({state.n_columns})',
            "x = x * (np.sqrt(len(x)) / np.linalg.norm(x))",
        ]
    return [f'x = load("{state.data}").inputs[{state.row}]']


def _network(state: State) -> list[str]:
    if state.upload is not None:
        return [
            f"# {state.upload.name}, and the NPZ file that belongs to it, must lie in the folder where this is run",
            f"net = first_output(am.load({_shown(state.upload.name)}, seed={state.seed}))",
        ]
    arguments = state.made_by.arguments(state.shape, state.width, state.options)
    lines: list[str] = []
    if "part" in arguments:
        keywords = "".join(f", {key}={_shown(state.options[key])}" for key in _PART_KEYS)
        sizes = f"{state.inputs.shape[1]}, {state.options['part']!r}"
        lines += ["", "", "def part(seed):", f"    return am.mlp({sizes}{keywords}, seed=seed)", "", ""]
        arguments = {key: value for key, value in arguments.items() if key != "part"}
    given = [f"    {key}={_shown(value)}," for key, value in {**arguments, "seed": state.seed}.items()]
    first = ["    part=part,"] if lines else []
    return [*lines, f"net = am.{state.builder}(", *first, *given, ")"]


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _numbers(state: State) -> list[str]:
    return [
        f"norm = net.hessian(x).norm({TOLERANCE!r})",
        "curvature, slope = float(norm.value), float(np.linalg.norm(net.gradient(x)))",
        "numbers = {",
        '    "||H||": curvature,',
        '    "||grad f||": slope,',
        '    "||H|| / ||grad f||^2": curvature / slope**2 if slope else np.nan,',
        f'    "||H|| R / ||grad f||": curvature * {state.radius!r} / slope if slope else np.nan,',
        '    "f": float(net(x)),',
        "}",
        "for name, value in numbers.items():",
        '    print(f"{name} = {value:.4g} ({value!r})")',
        'print(f"width {net.width:,}, parameters {net.n_parameters:,}, residual {norm.residual:.0e}")',
        "",
        "diagnosis = am.diagnose(net, x)",
        'print(*diagnosis.findings, diagnosis, sep="\\n")',
    ]


_DIRECTIONS = {
    "gradient": "net.gradient(x)",
    "worst": f"net.hessian(x).eigenvectors(1, {TOLERANCE!r})[0]",
}


def _curve(state: State) -> list[str]:
    drawn = f'generator({state.seed}, "direction").standard_normal(net.n_parameters)'
    return [
        f"u = {_DIRECTIONS.get(state.direction, drawn)}",
        "u = u / np.linalg.norm(u)",
        "value, slope, _ = net.taylor(x, u, order=2)",
        f"n_points = {N_POINTS} if net.n_parameters <= {MANY_PARAMETERS} else {FEW_POINTS}",
        f"for t in np.linspace({-state.radius!r}, {state.radius!r}, n_points):",
        "    f, tangent = float(net.with_parameters(net.parameters + t * u)(x)), float(value + t * slope)",
        '    print(f"t = {t:.4g}: f = {f!r}, tangent = {tangent!r}")',
    ]


def _training(state: State, n_steps: int) -> list[str]:
    """Return the lines that train every width of the panel."""
    first, *rest = widths(state)
    others = [["", *_network(state.replace(width=width)), f"trained(net, {width})"] for width in rest]
    return [
        *_targets(state),
        f'rows = generator({state.seed}, "training rows").permutation(len(X))[:{N_INPUTS}]',
        "",
        "",
        "def trained(net, width):",
        '    usual = am.train(net, X[rows], y[rows], n_steps=1, beside=()).settings["step_size"]',
        f"    options = dict(step_size={state.factor!r} * usual, n_steps={n_steps}, every=1, seed={state.seed})",
        "    try:",
        f"        run = am.train(net, X[rows], y[rows], record={RECORDED!r}, beside={BESIDE!r}, **options)",
        "    except DivergenceError as error:",
        "        run = error.history",
        "        print(error)",
        "    print(f\"width {width}, step {run['step'][-1]:.0f}:\")",
        f'    for name in ("loss", *(f"loss_{{name}}" for name in {BESIDE!r}), "distance", "kernel_change"):',
        '        print(f"    {name} {run[name][-1]:.4g} ({float(run[name][-1])!r})")',
        "",
        "",
        f"trained(net, {first})",
        *(line for lines in others for line in lines),
    ]


def _targets(state: State) -> list[str]:
    if state.data == POINTS:
        points = f"np.array({[list(point) for point in state.points]!r}, dtype=float)"
        return [f"points = {points}", "X, y = points[:, :2], points[:, 2]"]
    return [f'data = load("{state.data}")', "X, y = data.inputs, data.targets"]
