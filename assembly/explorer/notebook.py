"""An assembly in a notebook: its drawing, its verdict, and the neuron that was opened."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.checks import check_samples
from assembly.diagnostics.diagnose import diagnose
from assembly.errors import ArgumentError, AssemblyError
from assembly.explorer import answers
from assembly.explorer.card import neuron_card
from assembly.explorer.scene import COLOUR_TITLES, number_text, scene
from assembly.explorer.state import drawn_inputs
from assembly.model import Assembly

if TYPE_CHECKING:
    from assembly.diagnostics.diagnosis import Diagnosis
    from assembly.explorer.graph_widget import AssemblyWidget

OPEN_ONE = "Choose a neuron in the drawing to open it as a sub-model of its own."

Block = dict[str, Any]


def explore(net: Assembly, X: ArrayLike | None = None) -> AssemblyWidget:
    """Return an assembly as a widget for a notebook: its drawing, its numbers and verdict, and the neuron chosen.

    Put it on the last line of a cell. Arrows, Enter or the mouse open a neuron as a sub-model of its own; the list
    above the drawing changes what colours it. The same can be done from Python, by the traits of the widget:
    `selected`, layer and position of the neuron; `colour`; `row`, the input that is looked at; and `theme`, "auto",
    "light" or "dark". A `selected` that is no neuron of the network is refused with an `ArgumentError`.

    Parameters
    ----------
    net : Assembly
        Of several outputs the first is looked at.
    X : array_like of shape (n_inputs,) or (n, n_inputs), optional
        Inputs, of which `row` says one; 16 are drawn if left out.

    Returns
    -------
    AssemblyWidget
        An anywidget; ``words`` holds what it says, as text.

    Raises
    ------
    ArgumentError
        If `net` is no assembly, or the extra `explorer` is not installed.
    ShapeError, NonFiniteError
        If `X` is not finite inputs of this network.
    SaturationError
        If squares of the output's derivatives under- or overflow at the first input.

    Notes
    -----
    Cost: that of `assembly.diagnose` at one input, and of the drawing, anew for every row; memory as there. A neuron
    that is opened costs the iteration for one Hessian norm, and a pass back for every neuron it is compared with.

    Examples
    --------
    >>> import assembly as am
    >>> view = am.explore(am.mlp(n_inputs=2, widths=[64, 64], activation="tanh", seed=0), [[1.0, -0.5], [0.0, 1.0]])
    >>> view.words[0]["heading"]
    'Not yet linear'
    >>> view.selected = [2, 5]
    >>> view.words[1]["heading"], view.words[1]["lines"][0]
    ('neuron 5 of layer 2', 'a = tanh z, z = 1/sqrt(64) x the sum of w a over 64 neurons of layer 1')
    """
    if not isinstance(net, Assembly):
        raise ArgumentError(f"The 'net' argument must be an Assembly. Got {type(net).__name__}.")
    missing = [name for name in ("anywidget", "ipywidgets") if find_spec(name) is None]
    if missing:
        raise ArgumentError(
            f"The explorer needs {missing[0]}, which is not installed: pip install 'assembly-perspective[explorer]'."
        )
    from assembly.explorer.graph_widget import AssemblyWidget

    inputs = drawn_inputs(net.n_inputs) if X is None else check_samples("X", X, net.n_inputs)
    if len(inputs) == 0:
        raise ArgumentError("The 'X' argument must hold at least one input. Got none.")
    view = AssemblyWidget(n_rows=len(inputs), colours=list(COLOUR_TITLES.items()))
    _connect(view, net, inputs)
    return view


def _connect(view: AssemblyWidget, net: Assembly, inputs: NDArray[np.float64]) -> None:
    """Fill a view, and answer to changes of its traits."""

    def draw(_: object = None) -> None:
        view.scene = scene(net, inputs[view.row], view.colour).as_dict()

    def tell(_: object = None) -> None:
        view.words = [_verdict(net, inputs, view.row), _neuron(net, inputs[view.row], view.selected)]

    def open_one(_: object) -> None:
        view.words = [view.words[0], _neuron(net, inputs[view.row], view.selected)]

    draw()
    tell()
    view.observe(_or_say_why(view, draw), ["colour", "row"])
    view.observe(_or_say_why(view, tell), "row")
    view.observe(open_one, "selected")


def _or_say_why(view: AssemblyWidget, act: Any) -> Any:
    def done(change: object) -> None:
        try:
            act(change)
        except AssemblyError as error:
            view.words = [_block("There is no answer here", [str(error)]), *view.words[1:]]

    return done


def _block(heading: str, lines: Iterable[str], *tables: Any) -> Block:
    shown = [{"title": one[0], "heading": list(one[1]), "rows": [list(row) for row in one[2]]} for one in tables]
    return {"heading": heading, "lines": list(lines), "tables": [one for one in shown if one["rows"]]}


def _verdict(net: Assembly, inputs: NDArray[np.float64], row: int) -> Block:
    diagnosis = diagnose(net, inputs[row])
    word = answers.verdict(diagnosis)
    lines = [f"{text[:1].upper()}{text[1:]}." for text in (*diagnosis.findings, *diagnosis.notes)]
    which = f" output 0 of {net.n_outputs}," if net.n_outputs > 1 else ""
    title = f"At{which} input {row} of {len(inputs):,}, R = 1"
    return _block(f"{word[:1].upper()}{word[1:]}", lines, (title, ("quantity", "value"), _sizes(net, diagnosis)))


def _sizes(net: Assembly, diagnosis: Diagnosis) -> list[tuple[str, str]]:
    sizes = diagnosis.curvature
    return [
        ("||H||", answers.number(sizes.hessian_norm)),
        ("||grad f||", answers.number(sizes.gradient_norm)),
        ("||H|| / ||grad f||^2", answers.number(sizes.hessian_over_gradient_squared)),
        ("||H|| R / ||grad f||", answers.number(sizes.hessian_times_radius_over_gradient)),
        ("largest residual", number_text(sizes.largest_residual)),
        ("width", f"{net.width:,}"),
        ("parameters", f"{net.n_parameters:,}"),
    ]


def _neuron(net: Assembly, x: NDArray[np.float64], place: list[int]) -> Block:
    """Return the card of a neuron, or why there is none."""
    if len(place) != 2:
        return _block("No neuron is open", [OPEN_ONE])
    try:
        found = neuron_card(net, x, *place)
    except AssemblyError as error:
        return _block("No neuron is open", [str(error)])
    return _block(
        found.name,
        [found.formula],
        ("The neuron as a sub-model", found.facts.heading, found.facts.rows),
        (f"Strongest {len(found.parents)} of {found.n_parents:,} parents", *_columns(found.parents_table)),
        (f"Strongest {len(found.children)} of {found.n_children:,} children", *_columns(found.children_table)),
    )


def _columns(table: Any) -> tuple[Any, Any]:
    return table.heading, table.rows
