"""Networks given neuron by neuron: any directed acyclic graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from assembly.architectures.drawing import draw
from assembly.checks import check_dtype
from assembly.graph.description import Graph
from assembly.graph.neurons import Parents, describe_neurons
from assembly.model import Assembly

if TYPE_CHECKING:
    import networkx as nx


def from_neurons(
    inputs: Sequence[str],
    neurons: Mapping[str, tuple[str, Parents]],
    outputs: Sequence[str] | None = None,
    *,
    seed: int = 0,
    dtype: DTypeLike = np.float64,
) -> Assembly:
    r"""Return an assembly given neuron by neuron: any directed acyclic graph.

    .. math:: z_v = \sum_{e = (u, v)} c_e w_e a_u, \qquad a_v = \sigma_v(z_v)

    with :math:`c_e = 1/\sqrt n` by default, n being the number of trainable in-edges of v, biases not counted, and
    :math:`c_e = 1` on fixed edges and biases.

    Parameters
    ----------
    inputs : sequence of str
        Names of the inputs, in the order of the columns of X.
    neurons : mapping
        Name -> (activation function, parents), in any order. Parents are a sequence of names, or a mapping from name
        to weight, to an `assembly.Edge`, or to None for a weight that is drawn. The parent "1" is the constant 1: its
        edge is a bias. "softmax" couples all softmax neurons of a layer.
    outputs : sequence of str, optional
        By default the neurons that feed no other, in the order given.
    seed : int
        Weights not given are drawn from N(0, 1).
    dtype : {float64, float32}

    Returns
    -------
    Assembly
        Neurons of one layer, the longest path from the inputs, stand in the order given, those of a softmax after the
        others. Parameters run by layer of the neuron, then layer of its parents with biases last, then neuron, then
        parent; where in-edges of one neuron from one layer have several factors, the smaller factors of all neurons
        come first. Shared parameters follow after all others, in the order in which they are first met.

    Raises
    ------
    GraphError
        If there is a cycle (the message shows it), an unknown or repeated parent, a neuron without parents, one
        that reaches no output, a fixed edge without a weight, or edges that share one and give several.
    UnknownNameError
        If an activation function is not known.
    ArgumentError
        If a weight or a factor is no finite number.

    Notes
    -----
    Edges between two layers become one connection for each of: weights of their own, fixed weights, shared ones.
    Connections are dense where every edge is there, sparse otherwise. Cost: a few sorts of the edges.

    Examples
    --------
    A diamond, and one with a bias, a fixed skip and two edges that share a parameter:

    >>> net = from_neurons(
    ...     inputs=["x", "y"],
    ...     neurons={
    ...         "top": ("tanh", ["x", "y"]),
    ...         "left": ("tanh", ["top"]),
    ...         "right": ("sin", ["top"]),
    ...         "out": ("identity", {"left": 1.0, "right": -1.0}),
    ...     },
    ... )
    >>> net.width
    1
    >>> from assembly import Edge
    >>> tied = from_neurons(
    ...     inputs=["x", "y"],
    ...     neurons={
    ...         "left": ("tanh", {"x": Edge(shared="w"), "1": 0.1}),
    ...         "right": ("tanh", {"y": Edge(shared="w")}),
    ...         "out": ("identity", {"left": 1.0, "right": -1.0, "x": Edge(0.5, trainable=False)}),
    ...     },
    ... )
    >>> tied.n_parameters
    4
    """
    return _drawn(*describe_neurons(inputs, neurons, outputs), seed, dtype)


def from_networkx(G: nx.DiGraph[Any], *, seed: int = 0, dtype: DTypeLike = np.float64) -> Assembly:
    r"""Return the assembly of a networkx DiGraph: nodes are neurons, edges lead from parents.

    As `from_neurons`, with the same formula, defaults, and order of the parameters.

    Parameters
    ----------
    G : networkx.DiGraph
        Nodes, of any names, have the attribute "activation". Those without parents are the inputs, in the order of
        insertion; they have none or "input", and one of them may be the "constant" that biases come from. Outputs are
        the nodes with ``output=True``, or if no node has it those that feed no other, in the order of insertion;
        ``output=False`` keeps a neuron that reaches none. Softmax neurons with the same attribute "softmax", a name,
        are coupled, those without one layer by layer. Edges may have "weight", "trainable", "factor" and "shared", as
        in `assembly.Edge`. Other attributes are left alone.
    seed : int
        Weights not given are drawn from N(0, 1).
    dtype : {float64, float32}

    Returns
    -------
    Assembly

    Raises
    ------
    GraphError
        If `G` is undirected or has parallel edges or a cycle, if a node with parents has no activation function, one
        without parents has one, one has no edges or reaches no output, if there is no input or no output, or an
        attribute looks like a misspelling. The message names the place.
    UnknownNameError
        If an activation function is not known.
    ArgumentError
        If `G` is no graph of networkx, or an attribute of an edge has the wrong type.

    Notes
    -----
    Cost: one pass over nodes and edges and a few sorts of the edges, about 10 seconds for a million.

    Examples
    --------
    >>> import networkx as nx
    >>> G = nx.DiGraph([("x", "h"), ("y", "h"), ("h", "out"), ("x", "out")])
    >>> G.nodes["h"]["activation"], G.nodes["out"]["activation"] = "tanh", "identity"
    >>> from_networkx(G)
    Assembly: 2 inputs, 1 output, 4 parameters, width 2, float64
      layer 0: 2 input
      layer 1: 1 tanh; z = 0.707107 x dense from layer 0
      layer 2: 1 identity; z = 0.707107 x sparse from layer 0 + 0.707107 x dense from layer 1
    """
    from assembly.graph.digraph import describe_digraph

    return _drawn(*describe_digraph(G), seed, dtype)


def _drawn(graph: Graph, given: NDArray[np.float64], seed: int, dtype: DTypeLike) -> Assembly:
    """Return the assembly with the weights given, and the others, NaN there, drawn."""
    parameters = np.empty(graph.n_parameters, check_dtype(dtype))
    n_neurons = sum(group.size for group in graph.groups if not group.is_given)
    draw(parameters, 1.0, "gaussian", seed, (graph.groups[0].size, n_neurons), "neurons")
    parameters[~np.isnan(given)] = given[~np.isnan(given)]
    return Assembly.from_graph(graph, parameters)
