"""The assembly as a picture that a page can draw: neurons one by one while there are few, strips where there are many.

Plain words, hex colours and whole numbers: who draws it needs no mathematics. What it holds does not grow with the
width beyond `LARGEST_LAYER`, `LARGEST_STRIP` and `MOST_EDGES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.blocks.own import OwnBlock
from assembly.calculus.evaluation import Evaluation, tangents
from assembly.calculus.parents import in_edges
from assembly.calculus.shares import curvature_contributions
from assembly.checks import check_name
from assembly.diagnostics.dominance import TOLERANCE, dominance, places
from assembly.errors import ArgumentError
from assembly.explorer.colours import DARK, LIGHT, hex_colours
from assembly.graph.description import CONSTANT

if TYPE_CHECKING:
    from assembly.model import Assembly
    from assembly.neuron import Layer

LARGEST_LAYER = 64  # neurons drawn one by one
LARGEST_STRIP = 256  # cells of a wider layer
MOST_EDGES = 400

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """The twin of a picture for those who read it.

    Attributes
    ----------
    heading : tuple of str
    rows : tuple of tuple of str
    """

    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Item:
    """A neuron, or the neurons of one cell of a strip.

    Attributes
    ----------
    first, last : int
        Positions in the layer, both included.
    who : int
        The position with the largest magnitude of the quantity: the neuron that opens.
    name : str
    largest, mean : str
        The quantity of `who`, and its mean over the cell; "none" where there is none.
    light, dark : str
        Colour of `largest` on a light and on a dark page.
    description : str
        All of it as a sentence.
    """

    first: int
    last: int
    who: int
    name: str
    largest: str
    mean: str
    light: str
    dark: str
    description: str


@dataclass(frozen=True)
class SceneLayer:
    """A layer as it is drawn.

    Attributes
    ----------
    index : int
    title, subtitle : str
        Its name; its size and activation functions.
    form : str
        "neurons" or "strip".
    items : tuple of Item
        In the order of the positions; together they hold every neuron once.
    """

    index: int
    title: str
    subtitle: str
    form: str
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Edge:
    """An edge between two neurons drawn one by one.

    Attributes
    ----------
    source, target : tuple of (int, int)
        Layer and position.
    width : str
        Of its line in pixels: the square root of its size relative to the largest drawn, from 0.5 to 3.
    light, dark : str
        Blue where its term is negative, orange where it is positive.
    description : str
    """

    source: tuple[int, int]
    target: tuple[int, int]
    width: str
    light: str
    dark: str
    description: str


@dataclass(frozen=True)
class Band:
    """All edges between two layers of which one is a strip.

    Attributes
    ----------
    source, target : int
        Layers.
    description : str
    """

    source: int
    target: int
    description: str


@dataclass(frozen=True)
class Legend:
    """What the colours mean.

    Attributes
    ----------
    title : str
    stops : tuple of tuple of (str, str, str)
        Number, and its colour on a light and on a dark page, lowest first.
    note : str
    """

    title: str
    stops: tuple[tuple[str, str, str], ...]
    note: str


@dataclass(frozen=True)
class Scene:
    """A picture of an assembly at one input.

    Attributes
    ----------
    description : str
        What it shows, in a sentence.
    colour : str
    legend : Legend
    layers : tuple of SceneLayer
    edges : tuple of Edge
        Strongest last, so that they are drawn on top.
    edges_note : str
        How many of all they are, and what their colours mean; empty where none is drawn.
    bands : tuple of Band
    """

    description: str
    colour: str
    legend: Legend
    layers: tuple[SceneLayer, ...]
    edges: tuple[Edge, ...]
    edges_note: str
    bands: tuple[Band, ...]

    @property
    def table(self) -> Table:
        """Its twin in words and numbers, a row for every item."""
        rows = (
            (layer.title, item.name, item.largest, str(item.who), item.mean)
            for layer in self.layers
            for item in layer.items
        )
        return Table(("layer", "neurons", "largest", "at neuron", "mean"), tuple(rows))

    def as_dict(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return asdict(self)


def check_place(drawn: Mapping[str, Any], place: Sequence[int]) -> None:
    """Raise `ArgumentError` unless a place is of a neuron of a scene, as layer and position, or empty.

    Examples
    --------
    >>> import assembly as am
    >>> drawn = scene(am.mlp(n_inputs=2, widths=[3], seed=0), [1.0, -0.5]).as_dict()
    >>> check_place(drawn, [1, 3])
    Traceback (most recent call last):
    assembly.errors.ArgumentError: The 'selected' argument must be [layer, position] of a neuron, in layer 1 with \
a position from 0 to 2, or []. Got [1, 3].
    """
    layers = drawn.get("layers", ())
    if not layers or not place:
        return
    where = f"with a layer from 0 to {len(layers) - 1}"
    if len(place) == 2 and 0 <= place[0] < len(layers):
        last = layers[place[0]]["items"][-1]["last"]
        if 0 <= place[1] <= last:
            return
        where = f"in layer {place[0]} with a position from 0 to {last}"
    raise ArgumentError(
        f"The 'selected' argument must be [layer, position] of a neuron, {where}, or []. Got {list(place)}."
    )


class _Quantity(NamedTuple):
    """A number for every node, NaN where there is none, and what is to be said of it."""

    values: Vector
    note: str = ""


class _Colour(NamedTuple):
    title: str
    signed: bool
    of: Callable[[Assembly, Evaluation, int], _Quantity]


def _share(net: Assembly, evaluation: Evaluation, output: int) -> _Quantity:
    values = np.full(evaluation.program.n_nodes, np.nan)
    for found in dominance(net, evaluation.post[0, evaluation.program.inputs], output).layers:
        values[net.layers[found.layer].nodes] = found.shares["gradient"].values
    return _Quantity(values, "The shares of a layer add up to 1.")


def _value(net: Assembly, evaluation: Evaluation, output: int) -> _Quantity:
    return _Quantity(evaluation.post[0].astype(np.float64))


def _adjoint(net: Assembly, evaluation: Evaluation, output: int) -> _Quantity:
    return _Quantity(_but_inputs(evaluation, evaluation.adjoints(output).post[0]))


def _tangent(net: Assembly, evaluation: Evaluation, output: int) -> _Quantity:
    gradient = net.gradient(evaluation.post[0, evaluation.program.inputs], output)
    norm = float(np.linalg.norm(gradient))
    if norm == 0.0:
        return _Quantity(np.full(evaluation.program.n_nodes, np.nan), "The gradient of the output is 0.")
    gradient /= norm
    return _Quantity(_but_inputs(evaluation, tangents(evaluation, gradient)[1][0]))


def _curvature(net: Assembly, evaluation: Evaluation, output: int) -> _Quantity:
    hessian = net.hessian(evaluation.post[0, evaluation.program.inputs], output)
    if hessian.shape[0] == 0:
        return _Quantity(np.full(evaluation.program.n_nodes, np.nan), "There are no parameters.")
    size, vector = hessian.top_pair(TOLERANCE)
    if float(size.value) == 0.0:
        return _Quantity(np.full(evaluation.program.n_nodes, np.nan), "The Hessian of the output is 0.")
    values = _but_inputs(evaluation, curvature_contributions(hessian.node_space, vector))
    state = "" if size.converged else f" Not converged: its residual is {size.residual:.1e}."
    return _Quantity(values, f"They add up to 1. The eigenvalue is {size.value:.3g}.{state}")


def _but_inputs(evaluation: Evaluation, values: NDArray[Any]) -> Vector:
    found = values.astype(np.float64)
    found[evaluation.program.inputs] = np.nan
    return found


_COLOURS = {
    "share": _Colour("share of the gradient within the layer", False, _share),
    "value": _Colour("value, the activation", True, _value),
    "adjoint": _Colour("adjoint, the derivative of the output in the activation", True, _adjoint),
    "curvature": _Colour("weight in the top eigenvector of the Hessian", False, _curvature),
    "tangent": _Colour("tangent along the unit gradient of the output", True, _tangent),
}
COLOURS = tuple(_COLOURS)
COLOUR_TITLES = {name: one.title for name, one in _COLOURS.items()}


def scene(net: Assembly, x: ArrayLike, colour: str = "share", output: int = 0) -> Scene:
    r"""Return an assembly at one input as a picture, coloured by one quantity of its neurons.

    ==========  ====================================================================================================
    share       :math:`|\partial f/\partial w_i|^2` in the in-weights of neuron i, over the sum of its hidden layer
    value       :math:`a_i`
    adjoint     :math:`\partial f/\partial a_i`
    curvature   squared weight of the in-weights of i in the unit top eigenvector of the Hessian
    tangent     derivative of :math:`a_i` along :math:`\nabla f/|\nabla f|`
    ==========  ====================================================================================================

    The colours run to the largest magnitude over the hidden layers; an output or an input beyond takes the last colour.
    A cell of a strip has the colour of its largest neuron, so that one that dominates is seen at any width. Edges are
    drawn between neurons that are: those with the largest terms :math:`|c_v w_{uv} a_u|`.

    Parameters
    ----------
    net : Assembly
    x : array_like of shape (n_inputs,)
        One sample.
    colour : str
        One of `COLOURS`.
    output : int

    Returns
    -------
    Scene

    Raises
    ------
    UnknownNameError
        If there is no such colour.
    ShapeError, NonFiniteError, ArgumentError
        If `x` is not one finite sample or there is no such output.
    SaturationError
        For "share" and "curvature", if squares of derivatives or activations under- or overflow.

    Notes
    -----
    Cost: an evaluation, and for "share" and "adjoint" a pass back, for "tangent" three passes and a vector of
    n_parameters, for "curvature" the iteration for one eigenvector. The rest takes at most 256 steps a layer.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=2, widths=[3, 4096], seed=0)
    >>> found = scene(net, [1.0, -0.5], "value")
    >>> [(layer.form, len(layer.items)) for layer in found.layers]
    [('neurons', 2), ('neurons', 3), ('strip', 256), ('neurons', 1)]
    >>> found.layers[1].items[2].largest == f"{net.layers[1].neurons[2].value([1.0, -0.5]):.3g}"
    True
    """
    chosen = _COLOURS[check_name("colour", colour, _COLOURS)]
    body = net._body
    evaluation, number = body.at(body.sample(x)), body.output(output)
    found = chosen.of(net, evaluation, number)
    limit = _limit(net, found.values)
    edges, n_edges = _edges(net, evaluation)
    layers = tuple(_layer(net, layer, found.values, limit, chosen) for layer in net.layers)
    return Scene(
        description=_described(layers, chosen.title),
        colour=colour,
        legend=_legend(chosen, limit, found.note),
        layers=layers,
        edges=edges,
        edges_note=_edges_note(len(edges), n_edges),
        bands=_bands(net),
    )


def _limit(net: Assembly, values: Vector) -> float:
    """Largest magnitude over the hidden neurons, over all where these have none."""
    hidden = np.zeros(len(values), dtype=bool)
    for layer in net.layers[1:-1]:
        hidden[layer.nodes] = True
    hidden[net._body.program.outputs] = False
    known = np.isfinite(values)
    counted = known & hidden if (known & hidden).any() else known
    return float(np.abs(values[counted]).max(initial=0.0))


def _layer(net: Assembly, layer: Layer, values: Vector, limit: float, colour: _Colour) -> SceneLayer:
    own = values[layer.nodes]
    is_strip = layer.size > LARGEST_LAYER
    n_items = min(layer.size, LARGEST_STRIP)
    bounds = np.linspace(0, layer.size, n_items + 1).round().astype(int)
    size = np.nan_to_num(np.abs(own))
    who = np.array([a + int(np.argmax(size[a:b])) for a, b in pairwise(bounds.tolist())])
    means = np.add.reduceat(own, bounds[:-1]) / np.diff(bounds)
    title, noun = layer_title(net, layer.index), neuron_noun(net, layer.index)
    light, dark = (hex_colours(own[who], limit, signed=colour.signed, theme=theme) for theme in (LIGHT, DARK))
    items = []
    for i, position in enumerate(who.tolist()):
        first, last = int(bounds[i]), int(bounds[i + 1]) - 1
        name = f"{noun} {first}" if first == last else f"{noun}s {first} to {last}"
        largest, mean = number_text(own[position]), number_text(means[i])
        told = largest if first == last else f"largest {largest} at {position}, mean {mean}"
        items.append(Item(first, last, position, name, largest, mean, light[i], dark[i], f"{title}, {name}: {told}"))
    return SceneLayer(layer.index, title, _subtitle(net, layer), "strip" if is_strip else "neurons", tuple(items))


def layer_title(net: Assembly, index: int) -> str:
    """Return what a layer is called: "inputs", "layer 2", "output"."""
    if index == 0:
        return "inputs"
    return f"layer {index}" if index < len(net.layers) - 1 else "output"


def neuron_noun(net: Assembly, index: int) -> str:
    """Return what a neuron of a layer is called: "input", "neuron", "output"."""
    return "input" if index == 0 else "neuron" if index < len(net.layers) - 1 else "output"


def number_text(value: float | None) -> str:
    """Return a number as it is shown, to three digits; "none" for None and NaN.

    Examples
    --------
    >>> number_text(0.12345), number_text(float("nan"))
    ('0.123', 'none')
    """
    return "none" if value is None or np.isnan(value) else f"{value:.3g}"


def _subtitle(net: Assembly, layer: Layer) -> str:
    names = {name for group in net.graph.layers[layer.index] for name in set(net.graph.groups[group].activations())}
    kinds = "" if layer.index == 0 else " " + ", ".join(sorted(names))
    return f"{layer.size:,}{kinds}"


def _described(layers: tuple[SceneLayer, ...], title: str) -> str:
    parts = ", ".join(f"{layer.title} ({layer.subtitle})" for layer in layers)
    return f"An assembly in {len(layers)} layers from left to right: {parts}. Colour: {title}."


def _legend(colour: _Colour, limit: float, note: str) -> Legend:
    numbers = np.linspace(-limit if colour.signed else 0.0, limit, 9)
    light, dark = (hex_colours(numbers, limit, signed=colour.signed, theme=theme) for theme in (LIGHT, DARK))
    stops = tuple((number_text(n), *pair) for n, *pair in zip(numbers, light, dark, strict=True))
    return Legend(colour.title, stops, note)  # type: ignore[arg-type]


def _small(net: Assembly) -> set[int]:
    return {layer.index for layer in net.layers if layer.size <= LARGEST_LAYER}


def _edges_note(n_drawn: int, n_edges: int) -> str:
    if n_drawn == 0:
        return ""
    which = f"The {n_drawn:,} strongest of {n_edges:,} edges" if n_drawn < n_edges else "Edges"
    return f"{which} by their terms: blue is negative, orange positive."


def _edges(net: Assembly, evaluation: Evaluation) -> tuple[tuple[Edge, ...], int]:
    """Return the edges with the largest terms among those between neurons drawn one by one, and how many there are."""
    program, graph, small = evaluation.program, net.graph, _small(net)
    columns: list[tuple[NDArray[Any], ...]] = []
    for position, (block, connection) in enumerate(zip(program.blocks, graph.connections, strict=True)):
        drawn = graph.levels[connection.source] in small and graph.levels[connection.target] in small
        if drawn and not isinstance(block, OwnBlock) and graph.groups[connection.source].activation != CONSTANT:
            indptr, source, weight = in_edges(block, evaluation.weights[position], 0, connection.n_target)
            target = np.repeat(np.arange(connection.n_target), np.diff(indptr))
            u, v = source.astype(np.int64) + block.source.start, target + block.target.start
            columns.append((u, v, block.factor[target].astype(np.float64) * weight * evaluation.post[0, u]))
    if not columns:
        return (), 0
    sources, targets, terms = (np.concatenate(one) for one in zip(*columns, strict=True))
    order = np.argsort(np.abs(terms), kind="stable")[-MOST_EDGES:]
    strongest, place = float(np.abs(terms[order[-1:]]).max(initial=0.0)), places(net)
    signs = np.sign(terms[order])
    light, dark = (hex_colours(0.7 * signs, 1.0, signed=True, theme=theme) for theme in (LIGHT, DARK))
    found = []
    for i, e in enumerate(order.tolist()):
        (below, u), (above, v) = place[sources[e]].tolist(), place[targets[e]].tolist()
        width = 0.5 + 2.5 * float(np.sqrt(abs(terms[e]) / strongest)) if strongest > 0.0 else 0.5
        text = f"{layer_title(net, below)} {u} to {layer_title(net, above)} {v}: term {number_text(terms[e])}"
        found.append(Edge((below, u), (above, v), f"{width:.2f}", light[i], dark[i], text))
    return tuple(found), len(terms)


def _bands(net: Assembly) -> tuple[Band, ...]:
    graph, small = net.graph, _small(net)
    counts: dict[tuple[int, int], dict[str, int]] = {}
    for connection in graph.connections:
        between = graph.levels[connection.source], graph.levels[connection.target]
        if graph.groups[connection.source].activation != CONSTANT and not small.issuperset(between):
            forms = counts.setdefault(between, {})
            forms[connection.form] = forms.get(connection.form, 0) + connection.n_edges
    return tuple(
        Band(
            below,
            above,
            f"{layer_title(net, below)} to {layer_title(net, above)}: "
            + ", ".join(f"{n:,} {form} edges" for form, n in forms.items()),
        )
        for (below, above), forms in counts.items()
    )
