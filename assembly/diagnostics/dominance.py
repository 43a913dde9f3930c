r"""Does a sub-model dominate? Shares of the neurons of every layer, of the parents of every neuron, and Q_inf.

.. math:: Q_\infty = \max_l \max_i |\partial f/\partial a^{(l)}_i|

is the quantity in the theorems (Liu, Zhu, Belkin, arXiv 2010.01092); the shares, whose formulas stand in
`assembly.calculus.shares` and `assembly.calculus.parents`, say which neuron it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.calculus.parents import ParentShares, child_contributions, parent_shares
from assembly.calculus.shares import contributions, curvature_contributions, effective_number, shares
from assembly.graph.connections import Convolution

if TYPE_CHECKING:
    from assembly.model import Assembly
    from assembly.neuron import Neuron

TOLERANCE = 1e-4  # relative residual of the eigenvalue whose vector tells the curvature shares


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of the parts of one whole: not negative, of sum 1; NaN where no part contributes.

    Attributes
    ----------
    values : ndarray of shape (n_parts,), float64
    """

    values: NDArray[np.float64]

    @property
    def largest(self) -> float:
        """The largest share."""
        return float(self.values.max())

    @property
    def who(self) -> int:
        """The part that has it, the first of several."""
        return int(np.argmax(self.values))

    @property
    def effective_number(self) -> float:
        """1 / sum of squared shares, from 1 to n_parts."""
        return effective_number(self.values)


@dataclass(frozen=True, eq=False)
class LayerDominance:
    """Shares of the neurons of one hidden layer in one output, averaged over the inputs.

    Attributes
    ----------
    layer : int
    size : int
        Neurons of the layer.
    shares : mapping of str to Shares
        By kind: "value", "gradient", "adjoint", and "curvature" if eigenvectors were given; an output that stands in
        the layer has the share 0.
    """

    layer: int
    size: int
    shares: Mapping[str, Shares]

    @property
    def largest_share(self) -> float:
        """Largest gradient share, in (0, 1]; NaN where no neuron has a trainable in-edge with a gradient."""
        return self.shares["gradient"].largest

    @property
    def neuron(self) -> int:
        """Who has the largest gradient share."""
        return self.shares["gradient"].who

    @property
    def effective_number(self) -> float:
        """Effective number of neurons by gradient shares, in [1, size]."""
        return self.shares["gradient"].effective_number


@dataclass(frozen=True, eq=False)
class Dominance:
    """Dominance in every hidden layer, first to last, and the largest adjoint.

    Attributes
    ----------
    layers : tuple of LayerDominance
    q_infinity : float
        Largest magnitude of an adjoint over all hidden neurons, averaged over the inputs.
    """

    layers: tuple[LayerDominance, ...]
    q_infinity: float


def dominance(
    net: Assembly, X: ArrayLike, output: int = 0, eigenvectors: Sequence[NDArray[Any]] | None = None
) -> Dominance:
    r"""Return the dominance in every hidden layer of a network.

    The share of neuron i of layer l is the mean over the inputs of its share at each,

    .. math:: s_i = \frac{1}{n} \sum_x \frac{c_i(x)}{\sum_{j \in l} c_j(x)}

    so that every input counts the same; largest share and effective number are those of the averaged shares. Inputs at
    which no neuron of the layer contributes are left out.

    Parameters
    ----------
    net : Assembly
    X : array_like of shape (n, n_inputs) or (n_inputs,)
    output : int
    eigenvectors : sequence of ndarray, optional
        One per input: the node coordinates of the top eigenvector, as of ``net.hessian(x).top_pair()``, for the
        curvature shares.

    Returns
    -------
    Dominance

    Raises
    ------
    ShapeError, NonFiniteError, ArgumentError
        If `X` is no finite batch or there is no such output.

    Notes
    -----
    Cost: three passes over the weights per input; memory a few node vectors per input.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.bottleneck(n_inputs=3, widths=[16, 1, 16], activation="tanh", seed=0)
    >>> dominance(net, [1.0, -1.0, 0.5]).layers[1].largest_share
    1.0
    """
    evaluation = net.evaluate(X)
    program = evaluation.program
    found: dict[str, list[NDArray[Any]]] = {}
    for row, x in enumerate(evaluation.post[:, program.inputs]):
        space = net.hessian(x, output).node_space
        parts = contributions(space, space.abar)
        if eigenvectors is not None:
            parts["curvature"] = curvature_contributions(space, eigenvectors[row])
        for kind, contribution in parts.items():
            contribution[program.outputs] = 0.0  # an output may stand in the midst of the graph
            found.setdefault(kind, []).append(contribution)
    layers = [layer for layer in net.layers[1:-1] if not np.isin(layer.nodes, program.outputs).all()]
    hidden = np.concatenate([np.zeros(0, dtype=np.int64), *(layer.nodes for layer in layers)])
    largest = [np.sqrt(one[hidden].max(initial=0.0)) for one in found["adjoint"]]
    averaged = (
        {kind: _averaged([one[layer.nodes] for one in rows]) for kind, rows in found.items()} for layer in layers
    )
    return Dominance(
        tuple(
            LayerDominance(layer.index, layer.size, by_kind) for layer, by_kind in zip(layers, averaged, strict=True)
        ),
        float(np.mean(largest)),
    )


def _averaged(rows: list[NDArray[Any]]) -> Shares:
    normalised = [shares(row.astype(np.float64)) for row in rows if row.any()]
    return Shares(np.mean(normalised, axis=0) if normalised else shares(np.zeros(len(rows[0]))))


@dataclass(frozen=True)
class ParentDominance:
    """The neurons of one layer over their parents, by one kind of share.

    Attributes
    ----------
    layer : int
        The last one is that of the output.
    neuron : int
        The worst: its largest parent has the largest share.
    parent : tuple of (int, int)
        Layer and number of that parent; layer 0 are the inputs.
    largest_share : float
    effective_number : float
        Of the parents of this neuron.
    n_parents : int
        In-degree of this neuron, biases not counted.
    typical_share, typical_number : float
        Medians over the layer of the largest share and of the effective number; NaN for "curvature", where only this
        neuron was looked at.
    """

    layer: int
    neuron: int
    parent: tuple[int, int]
    largest_share: float
    effective_number: float
    n_parents: int
    typical_share: float
    typical_number: float


def over_parents(net: Assembly, X: ArrayLike) -> dict[str, tuple[ParentDominance, ...]]:
    """Return, for every layer from the second to the output's, the neuron that leans most on one of its parents.

    The shares of the parents of a neuron, "value", "gradient" and "adjoint", stand in `assembly.calculus.parents`; they
    are averaged over the inputs as in `dominance`. Layers in which no neuron has a parent that contributes are left
    out. One neuron of many does lean on a parent: the medians tell whether the layer does. Curvature takes an
    eigenvector for every neuron: see `of_parents` and `bent_over_parents`.

    Parameters
    ----------
    net : Assembly
    X : array_like of shape (n, n_inputs) or (n_inputs,)

    Raises
    ------
    ShapeError, NonFiniteError
        If `X` is no finite batch.

    Notes
    -----
    Cost: three passes over the edges per input, in pieces of bounded memory.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.bottleneck(n_inputs=3, widths=[16, 2, 16], activation="tanh", seed=0)
    >>> above = over_parents(net, [1.0, -1.0, 0.5])["value"][1]
    >>> above.layer, above.n_parents, bool(above.typical_share > 0.5)
    (3, 2, True)
    """
    evaluation, place = net.evaluate(X), places(net)
    return {
        kind: tuple(
            _worst(net, layer.index, layer.nodes, found, place)
            for layer in net.layers[2:]
            if np.isfinite(found.largest[layer.nodes]).any()
        )
        for kind, found in parent_shares(evaluation).items()
    }


def of_parents(neuron: Neuron, X: ArrayLike) -> dict[str, Shares]:
    r"""Return all four shares that the parents of one neuron have in its pre-activation, an assembly of them.

    "value", "gradient", "adjoint" and "curvature" of the network ``neuron.pre.assembly``, whose parts the parents are,
    averaged over the inputs as in `dominance`.

    Parameters
    ----------
    neuron : Neuron
    X : array_like of shape (n, n_inputs) or (n_inputs,)

    Returns
    -------
    dict of str to Shares
        A share for every neuron of `neuron.parents`, in its order; several edges from one are one. An input has no
        parameters and the share 0. Shares are NaN where no parent contributes.

    Raises
    ------
    ShapeError, NonFiniteError
        If `X` is no finite batch.
    SaturationError
        If squares of derivatives or activations under- or overflow.

    Notes
    -----
    Cost: a copy of the parameters of the neuron, and for every input the iteration for one eigenvector.

    Examples
    --------
    >>> import assembly as am
    >>> neuron = am.mlp(n_inputs=3, widths=[16, 16], activation="tanh", seed=0).layers[2].neurons[4]
    >>> {kind: share.who for kind, share in of_parents(neuron, [1.0, -1.0, 0.5]).items()}
    {'value': 1, 'gradient': 0, 'adjoint': 0, 'curvature': 0}
    """
    whole = neuron.pre.assembly
    evaluation = whole.evaluate(X)
    segments = evaluation.program.segments
    nodes = list(dict.fromkeys(segments[part.group].nodes.start + part.position for part in whole.parts))
    found: dict[str, list[NDArray[Any]]] = {}
    for x in evaluation.post[:, evaluation.program.inputs]:
        hessian = whole.hessian(x)
        space = hessian.node_space
        parts = contributions(space, space.abar)
        size, vector = hessian.top_pair(TOLERANCE)
        parts["curvature"] = curvature_contributions(space, vector) * (float(size.value) != 0.0)
        for kind, contribution in parts.items():
            found.setdefault(kind, []).append(contribution[nodes])
    return {kind: _averaged(rows) for kind, rows in found.items()}


def bent_over_parents(net: Assembly, x: ArrayLike, leaning: Sequence[ParentDominance]) -> tuple[ParentDominance, ...]:
    """Return the same neurons over their parents by curvature, those left out whose pre-activation does not bend.

    Parameters
    ----------
    net : Assembly
    x : array_like of shape (n_inputs,)
        One sample.
    leaning : sequence of ParentDominance
        As of `over_parents`.

    Raises
    ------
    ShapeError, NonFiniteError, SaturationError
        As `of_parents`.

    Notes
    -----
    Cost: that of `of_parents` for every neuron.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.bottleneck(n_inputs=3, widths=[16, 2, 16], activation="tanh", seed=0)
    >>> bent_over_parents(net, [1.0, -1.0, 0.5], over_parents(net, [1.0, -1.0, 0.5])["gradient"])[1].parent[0]
    2
    """
    place, segments, found = places(net), net._body.program.segments, []
    for one in leaning:
        neuron = net.layers[one.layer].neurons[one.neuron]
        share = of_parents(neuron, x)["curvature"]
        if math.isfinite(share.largest):
            nodes = list(dict.fromkeys(segments[u.group].nodes.start + u.position for u in neuron.parents))
            above, below = place[nodes[share.who]]
            bent = replace(one, parent=(int(above), int(below)), typical_share=math.nan, typical_number=math.nan)
            found.append(replace(bent, largest_share=share.largest, effective_number=share.effective_number))
    return tuple(found)


def places(net: Assembly) -> NDArray[np.int64]:
    """Return layer and number of every node, shape (n_nodes, 2); 0 and 0 for the constant of biases.

    Examples
    --------
    >>> import assembly as am
    >>> places(am.mlp(n_inputs=1, widths=[2], seed=0)).tolist()
    [[0, 0], [1, 0], [1, 1], [2, 0]]
    """
    place = np.zeros((net._body.program.n_nodes, 2), dtype=np.int64)
    for layer in net.layers:
        place[layer.nodes, 0], place[layer.nodes, 1] = layer.index, np.arange(layer.size)
    return place


def in_children(net: Assembly, X: ArrayLike) -> dict[int, dict[str, Shares]]:
    """Return by layer and kind the shares that the hidden neurons of a layer have in all its children together.

    "value", "gradient" and "adjoint" by the squares in `assembly.calculus.parents.child_contributions`, averaged over
    the inputs as in `dominance`. They tell a neuron whose out-weights are large also where their effects on the output
    happen to cancel.

    Parameters
    ----------
    net : Assembly
    X : array_like of shape (n, n_inputs) or (n_inputs,)

    Raises
    ------
    ShapeError, NonFiniteError
        If `X` is no finite batch.

    Notes
    -----
    Cost: one pass over the edges.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=3, widths=[16, 16], activation="tanh", readout="sign", seed=0)
    >>> round(in_children(net, [1.0, -1.0, 0.5])[2]["adjoint"].effective_number, 12)
    16.0
    """
    found = child_contributions(net.evaluate(X))
    return {
        layer.index: {kind: _averaged(list(rows[:, layer.nodes])) for kind, rows in found.items()}
        for layer in net.layers[1:-1]
    }


def _worst(
    net: Assembly, layer: int, nodes: NDArray[np.int64], found: ParentShares, place: NDArray[np.int64]
) -> ParentDominance:
    largest, number = found.largest[nodes], found.effective_number[nodes]
    worst = int(np.nanargmax(largest))
    above, below = place[found.parent[nodes[worst]]]
    degrees = np.concatenate([net.graph.in_degrees(group) for group in net.graph.layers[layer]])
    return ParentDominance(
        layer=layer,
        neuron=worst,
        parent=(int(above), int(below)),
        largest_share=float(largest[worst]),
        effective_number=float(number[worst]),
        n_parents=int(degrees[worst]),
        typical_share=float(np.nanmedian(largest)),
        typical_number=float(np.nanmedian(number)),
    )


def trainable_layers(net: Assembly, output: int = 0) -> list[int]:
    """Return the layers below an output with trainable in-edges; sums with identity skips and averages have none.

    Examples
    --------
    >>> import assembly as am
    >>> trainable_layers(am.resnet(n_inputs=3, width=4, n_blocks=1, seed=0))
    [1, 2]
    """
    graph = net.graph
    return [
        layer
        for layer in range(1, graph.levels[graph.outputs[output][0]])
        if any(graph.in_degrees(group, trainable=True).any() for group in graph.layers[layer])
    ]


def channels(net: Assembly, layer: int) -> NDArray[np.int64] | None:
    """Return for every neuron of a layer the number of its channel, or None if it is no layer of convolutions.

    The neurons of a channel share their kernel, so the sub-models of such a layer are its channels.

    Examples
    --------
    >>> import assembly as am
    >>> channels(am.cnn([3], [2], kernel=3, seed=0), 1)
    array([0, 0, 0, 1, 1, 1])
    """
    graph, numbers, start = net.graph, [], 0
    for group in graph.layers[layer]:
        found = {
            connection.n_channels
            for connection in (graph.connections[position] for position in graph.incoming[group])
            if isinstance(connection, Convolution)
        }
        if len(found) != 1:
            return None
        n_channels = found.pop()
        numbers.append(start + np.repeat(np.arange(n_channels), graph.groups[group].size // n_channels))
        start += n_channels
    return np.concatenate(numbers)
