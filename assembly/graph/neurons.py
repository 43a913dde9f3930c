"""A graph given neuron by neuron, gathered into groups: one group a layer, one connection a pair of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from assembly.checks import check_name, check_number, suggest
from assembly.errors import GraphError
from assembly.graph.connections import Connection, Dense, Sparse
from assembly.graph.description import INPUT, Graph, Group
from assembly.kernels.activation import NAMES as ACTIVATIONS

Parents = Sequence[str] | Mapping[str, float | None]


def describe_neurons(
    inputs: Sequence[str], neurons: Mapping[str, tuple[str, Parents]], outputs: Sequence[str] | None
) -> tuple[Graph, NDArray[np.float64]]:
    """Return the graph of named neurons and the weights given, NaN where none was.

    Raises
    ------
    GraphError, UnknownNameError
        As `assembly.from_neurons`.
    """
    edges = _checked_edges(inputs, neurons)
    drawn: nx.DiGraph[str] = nx.DiGraph()
    drawn.add_nodes_from([*inputs, *neurons])
    drawn.add_edges_from((parent, name) for name, parents in edges.items() for parent in parents)
    generations = _generations(drawn, set(inputs))
    wanted = _checked_outputs(drawn, inputs, neurons, outputs)

    order = {name: i for i, name in enumerate([*inputs, *neurons])}
    layers = [list(inputs)] + [sorted((n for n in g if n in edges), key=order.__getitem__) for g in generations[1:]]
    place = {name: (layer, i) for layer, names in enumerate(layers) for i, name in enumerate(names)}
    groups = [Group(len(inputs), INPUT)]
    connections: list[Connection] = []
    weights: list[NDArray[np.float64]] = []
    for target, names in enumerate(layers[1:], start=1):
        kinds = tuple(neurons[name][0] for name in names)
        groups.append(Group(len(names), kinds[0] if len(set(kinds)) == 1 else kinds))
        for source in sorted({place[parent][0] for name in names for parent in edges[name]}):
            connection, given = _connect(source, target, len(layers[source]), names, edges, place)
            connections.append(connection)
            weights.append(given)
    graph = Graph(tuple(groups), tuple(connections), tuple(place[name] for name in wanted))
    return graph, np.concatenate([np.zeros(0), *weights])


def _checked_edges(inputs: Sequence[str], neurons: Mapping[str, tuple[str, Parents]]) -> dict[str, dict[str, float]]:
    known = [*inputs, *neurons]
    if len(inputs) == 0 or len(set(known)) < len(known):
        repeated = sorted({name for name in known if known.count(name) > 1})
        raise GraphError(f"Inputs and neurons must have names of their own, at least one input. Repeated: {repeated}.")
    edges: dict[str, dict[str, float]] = {}
    for name, entry in neurons.items():
        if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) != 2:
            raise GraphError(f"Neuron {name!r} must be a pair (activation, parents). Got {entry!r}.")
        activation, parents = entry
        check_name(f"activation of neuron {name!r}", activation, ACTIVATIONS)
        if isinstance(parents, str) or len(parents) == 0:
            raise GraphError(f"Neuron {name!r} has no parents: give a non-empty sequence of names. Got {parents!r}.")
        if len(set(parents)) < len(parents):
            raise GraphError(f"Neuron {name!r} names a parent twice: give each one once. Got {parents!r}.")
        for parent in parents:
            if parent not in known:
                raise GraphError(f"Neuron {name!r} has an unknown parent {parent!r}.{suggest(parent, known)}")
        edges[name] = (
            {p: np.nan if w is None else check_number(f"weight {p}->{name}", w) for p, w in parents.items()}
            if isinstance(parents, Mapping)
            else dict.fromkeys(parents, np.nan)
        )
    return edges


def _generations(drawn: nx.DiGraph[str], inputs: set[str]) -> list[list[str]]:
    try:
        return list(nx.topological_generations(drawn))
    except nx.NetworkXUnfeasible:
        cycle = [edge[0] for edge in nx.find_cycle(drawn)]
        shown = " -> ".join([*cycle, cycle[0]])
        raise GraphError(f"The graph has a cycle: {shown}. Remove one of its edges.") from None


def _checked_outputs(
    drawn: nx.DiGraph[str], inputs: Sequence[str], neurons: Mapping[str, object], outputs: Sequence[str] | None
) -> list[str]:
    wanted = [name for name in neurons if drawn.out_degree(name) == 0] if outputs is None else list(outputs)
    for name in wanted:
        if name not in neurons:
            raise GraphError(f"The output {name!r} is no neuron.{suggest(name, neurons)}")
    if not wanted or len(set(wanted)) < len(wanted):
        raise GraphError(f"The 'outputs' argument must name at least one neuron, none twice. Got {wanted}.")
    reached = set(wanted).union(*(nx.ancestors(drawn, name) for name in wanted))
    for name in neurons:
        if name not in reached:
            raise GraphError(f"Neuron {name!r} reaches no output: remove it or make it an output.")
    return wanted


def _connect(
    source: int,
    target: int,
    n_source: int,
    names: list[str],
    edges: dict[str, dict[str, float]],
    place: dict[str, tuple[int, int]],
) -> tuple[Connection, NDArray[np.float64]]:
    """Return the edges from one layer into another, dense if all are there, and the weights given."""
    rows = [sorted((place[p][1], w) for p, w in edges[name].items() if place[p][0] == source) for name in names]
    factor = np.array([1.0 / np.sqrt(len(edges[name])) for name in names])
    weights = np.array([w for row in rows for _, w in row], dtype=np.float64)
    if all(len(row) == n_source for row in rows):
        return Dense(source, target, n_source, len(names), factor), weights
    indptr = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    indices = np.array([u for row in rows for u, _ in row], dtype=np.int32)
    return Sparse(source, target, n_source, len(names), factor, indptr, indices), weights
