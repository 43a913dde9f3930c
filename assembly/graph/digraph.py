"""A graph as a networkx DiGraph: read from one, and written as one."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from assembly.checks import check_name, suggest
from assembly.errors import ArgumentError, GraphError
from assembly.graph.connections import Convolution, Own, Tied
from assembly.graph.description import CONSTANT, INPUT, SOFTMAX, Graph
from assembly.graph.edges import gather, reaching
from assembly.graph.neurons import ACTIVATIONS, Collected, Edge, layers_of
from assembly.memory import check_fits

EDGE_ATTRIBUTES = ("weight", "trainable", "factor", "shared")
NODE_ATTRIBUTES = ("activation", "output", "softmax")
LIKENESS = 0.75  # of a name to one of ours, from which on it is taken for a misspelling
BYTES_PER_EDGE = 1024  # an edge takes about 300, and as much again on the way


def describe_digraph(G: nx.DiGraph[Any]) -> tuple[Graph, NDArray[np.float64]]:
    """Return the graph of a networkx DiGraph and the weights given, NaN where none was.

    Raises
    ------
    GraphError, UnknownNameError, ArgumentError
        As `assembly.from_networkx`.
    """
    _check_is_digraph(G)
    names = list(G)
    number = {name: i for i, name in enumerate(names)}
    seen: set[Any] = set()
    kinds = [_kind(G, name, attributes, seen) for name, attributes in G.nodes(data=True)]
    found = Collected()
    for parent, name, attributes in G.edges(data=True):
        _check_spelling(f"Edge {parent}->{name}", attributes, EDGE_ATTRIBUTES, seen)
        edge = Edge(**{key: attributes[key] for key in EDGE_ATTRIBUTES if key in attributes})
        found.add(number[parent], number[name], f"{parent}->{name}", edge)
    edges = found.edges()
    softmax, unit = _softmax(G, kinds)
    level = layers_of(names, edges, unit)
    _check_given(names, kinds)
    outputs = [number[name] for name in _outputs(G, dict(zip(names, kinds, strict=True)))]
    reaches = reaching(level, softmax, edges, outputs)
    for name, kind in zip(names, kinds, strict=True):
        if not reaches[number[name]] and kind not in (INPUT, CONSTANT) and "output" not in G.nodes[name]:
            raise GraphError(
                f"Node {name!r} reaches no output: remove it, mark it as an output, or keep it with output=False."
            )
    return gather(kinds, level, softmax, edges, outputs)


def _check_is_digraph(G: object) -> None:
    if not isinstance(G, nx.Graph):
        raise ArgumentError(f"The 'G' argument must be a networkx DiGraph. Got {type(G).__name__}.")
    if not G.is_directed():
        raise GraphError(
            f"The 'G' argument must be a DiGraph: edges need a direction. Got an undirected {type(G).__name__}."
        )
    if G.is_multigraph():
        twice = next((f"{u}->{v}" for (u, v), count in Counter(G.edges()).items() if count > 1), None)
        found = f"with parallel edges {twice}" if twice else "without parallel edges: networkx.DiGraph(G) makes one"
        raise GraphError(f"The 'G' argument must be a DiGraph, one edge between two nodes. Got a MultiDiGraph {found}.")


def _kind(G: nx.DiGraph[Any], name: Hashable, attributes: Mapping[Any, Any], seen: set[Any]) -> str:
    """Return the activation function of a node, or which of the two kinds without parents it is."""
    _check_spelling(f"Node {name!r}", attributes, NODE_ATTRIBUTES, seen)
    activation = attributes.get("activation")
    if G.in_degree(name) > 0:
        if activation is None:
            raise GraphError(f"Node {name!r} has parents and must have an 'activation' attribute. Got none.")
        if activation in (INPUT, CONSTANT):
            raise GraphError(
                f"Node {name!r} has activation {activation!r} and must have no parents. Got {G.in_degree(name)}."
            )
        return check_name(f"activation of node {name!r}", activation, ACTIVATIONS)
    if activation is None and G.out_degree(name) == 0:
        raise GraphError(
            f"Node {name!r} has no edges: connect it, remove it, or give it activation 'input' to keep it."
        )
    if activation is None or activation in (INPUT, CONSTANT):
        return activation or INPUT
    raise GraphError(
        f"Node {name!r} has no parents and activation {activation!r}: give it parents, or leave the activation out to "
        f"make it an input.{suggest(activation, (INPUT, CONSTANT))}"
    )


def _softmax(G: nx.DiGraph[Any], kinds: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the number of the softmax of every node, 0 for those without a name, and the first node of a named one."""
    softmax, unit = np.full(len(kinds), -1), np.arange(len(kinds))
    first: dict[str, tuple[int, int]] = {}
    for node, ((name, attributes), kind) in enumerate(zip(G.nodes(data=True), kinds, strict=True)):
        label = attributes.get("softmax")
        if label is not None and (kind != SOFTMAX or not isinstance(label, str)):
            raise GraphError(
                f"The 'softmax' attribute of node {name!r} must be a name, beside activation 'softmax'. Got {label!r}."
            )
        if kind == SOFTMAX:
            softmax[node], unit[node] = (0, node) if label is None else first.setdefault(label, (len(first) + 1, node))
    return softmax, unit


def _check_spelling(where: str, attributes: Mapping[Any, Any], known: Collection[str], seen: set[Any]) -> None:
    """Raise `GraphError` for an attribute that looks like one of ours; others may be anything, and go to `seen`."""
    for key in attributes:
        if key in known or (key, known) in seen:
            continue
        close = difflib.get_close_matches(str(key).lower(), known, n=1, cutoff=LIKENESS)
        if close:
            raise GraphError(f"{where} has an unknown attribute {key!r}. Did you mean {close[0]!r}?")
        seen.add((key, known))


def _check_given(names: list[Any], kinds: list[str]) -> None:
    if INPUT not in kinds:
        raise GraphError("The 'G' argument must have an input, a node without parents. Got none.")
    constants = [name for name, kind in zip(names, kinds, strict=True) if kind == CONSTANT]
    if len(constants) > 1:
        raise GraphError(f"The 'G' argument must have one node with activation 'constant' at most. Got {constants}.")


def _outputs(G: nx.DiGraph[Any], kinds: Mapping[Any, str]) -> list[Any]:
    marked, unmarked = [], []
    for name, attributes in G.nodes(data=True):
        mark = attributes.get("output")
        if "output" in attributes and not isinstance(mark, bool | np.bool_):
            raise ArgumentError(f"The 'output' attribute of node {name!r} must be True or False. Got {mark!r}.")
        is_given = kinds[name] in (INPUT, CONSTANT)
        if mark and is_given:
            raise GraphError(f"Node {name!r} is marked as an output and must have parents. Got none.")
        if mark:
            marked.append(name)
        elif "output" not in attributes and G.out_degree(name) == 0 and not is_given:
            unmarked.append(name)
    wanted = marked or unmarked
    if not wanted:
        raise GraphError("The 'G' argument must have an output, a node with parents. Got none.")
    return wanted


def as_digraph(graph: Graph, parameters: NDArray[Any]) -> nx.DiGraph[str]:
    """Return a graph and its parameters as a networkx DiGraph.

    Raises
    ------
    GraphError, ResourceError
        As `assembly.Assembly.to_networkx`.
    """
    n_edges = sum(connection.n_edges for connection in graph.connections)
    check_fits(f"A networkx graph of {n_edges:,} edges", BYTES_PER_EDGE * n_edges, "write a file with 'save' instead")
    names = _names(graph)
    outputs = [names[group][position] for group, position in graph.outputs]
    if len(set(outputs)) < len(outputs):
        raise GraphError(f"A neuron is an output twice, which a DiGraph cannot say. Got {outputs}.")
    nodes = _nodes(graph, names)
    last = {name: nodes.pop(name) | {"output": True} for name in outputs}  # last, in the order of the outputs
    G: nx.DiGraph[str] = nx.DiGraph()
    G.add_nodes_from([*nodes.items(), *last.items()])
    for parent, name, edge in _edges(graph, names, parameters):
        if G.has_edge(parent, name):
            raise GraphError(
                f"The neurons {parent!r} and {name!r} have several edges between them, and a DiGraph holds one: "
                "write a file with 'save' instead."
            )
        G.add_edge(parent, name, **edge)
    return G


def _names(graph: Graph) -> list[list[str]]:
    """Return a name for every neuron of every group: "x3" for an input, "l2.5" for neuron 5 of layer 2."""
    found: list[list[str]] = [[] for _ in graph.groups]
    for level, members in enumerate(graph.layers):
        count = 0
        for group in members:
            size = graph.groups[group].size
            numbers = range(count, count + size)
            found[group] = [f"x{i}" if level == 0 else f"l{level}.{i}" for i in numbers]
            count += size
    return [names or ["one"] for names in found]


def _nodes(graph: Graph, names: list[list[str]]) -> dict[str, dict[str, Any]]:
    found = {}
    for number, (group, level, members) in enumerate(zip(graph.groups, graph.levels, names, strict=True)):
        common: dict[str, Any] = {"layer": level} if group.is_given else {"layer": level, "output": False}
        if group.activation == SOFTMAX:
            common["softmax"] = f"s{number}"
        for name, activation in zip(members, group.activations(), strict=True):
            found[name] = {"activation": activation} | common
    return found


def _edges(graph: Graph, names: list[list[str]], parameters: NDArray[Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Go through the edges of all connections: parent, name, attributes."""
    for connection, part in zip(graph.connections, graph.slices, strict=True):
        if isinstance(connection, Own):
            raise GraphError(
                f"The sub-model {connection.functions.name!r} of your own has no neurons and edges: "
                "a network with one cannot be written as a DiGraph."
            )
        weights = connection.values if part is None else parameters[part]
        assert weights is not None
        numbers = np.arange(part.start, part.stop) if part is not None else None
        shares = isinstance(connection, Tied | Convolution)
        for row, name in enumerate(names[connection.target]):
            sources, places = connection.in_edges(row)
            common = {"trainable": part is not None, "factor": float(connection.factor[row])}
            edges: list[dict[str, Any]] = [{"weight": weight} | common for weight in weights[places].tolist()]
            if shares and numbers is not None:
                for edge, number in zip(edges, numbers[places].tolist(), strict=True):
                    edge["shared"] = f"w{number}"
            for source, edge in zip(sources.tolist(), edges, strict=True):
                yield names[connection.source][source], name, edge
