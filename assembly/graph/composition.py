"""Assemblies of assemblies: graphs side by side over common inputs, and copies of one graph stacked layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from assembly.graph.connections import Connection, Convolution, Dense, Own, Sparse, Tied
from assembly.graph.description import CONSTANT, INPUT, SOFTMAX, Graph, Group

Node = tuple[int, int]


def side_by_side(graphs: Sequence[Graph]) -> tuple[Graph, list[list[Node]]]:
    """Return one graph that holds several over common inputs, and where the outputs of each are in it.

    Parameters are those of the first graph, then those of the second, and so on.
    """
    groups = [graphs[0].groups[0]]
    constant: int | None = None
    connections: list[Connection] = []
    outputs: list[list[Node]] = []
    n_pools = 0
    for graph in graphs:
        renumbered: dict[int, int] = {}
        for position, group in enumerate(graph.groups):
            if group.activation == INPUT:
                renumbered[position] = 0
            elif group.activation == CONSTANT and constant is not None:
                renumbered[position] = constant
            else:
                renumbered[position] = len(groups)
                groups.append(group)
                if group.activation == CONSTANT:
                    constant = renumbered[position]
        pools = {c.pool: None for c in graph.connections if c.pool is not None}
        numbers = {pool: n_pools + i for i, pool in enumerate(pools)}
        n_pools += len(pools)
        for connection in graph.connections:
            if isinstance(connection, Tied) and connection.pool is not None:
                connection = replace(connection, pool=numbers[connection.pool])
            source, target = renumbered[connection.source], renumbered[connection.target]
            connections.append(replace(connection, source=source, target=target))
        outputs.append([(renumbered[group], position) for group, position in graph.outputs])
    return Graph(tuple(groups), tuple(connections), ()), outputs


def with_readout(graph: Graph, parts: Sequence[Node], factor: float, coefficients: NDArray[np.float64] | None) -> Graph:
    """Return the graph with one linear output over the given neurons.

    Parameters
    ----------
    graph : Graph
    parts : sequence of (int, int)
        Group and position of each part; in-edges of the output keep this order.
    factor : float
        1 / s(m).
    coefficients : ndarray of shape (n_parts,) or None
        Fixed coefficients; None makes them the last n_parts parameters.
    """
    target = len(graph.groups)
    connections = list(graph.connections)
    start = 0
    while start < len(parts):
        group = parts[start][0]
        stop = start
        while stop < len(parts) and parts[stop][0] == group:
            stop += 1
        connections.append(
            Sparse(
                source=group,
                target=target,
                n_source=graph.groups[group].size,
                n_target=1,
                factor=np.array([factor]),
                indptr=np.array([0, stop - start], dtype=np.int64),
                indices=np.array([position for _, position in parts[start:stop]], dtype=np.int32),
                values=None if coefficients is None else coefficients[start:stop],
            )
        )
        start = stop
    return Graph((*graph.groups, Group(1, "identity")), tuple(connections), ((target, 0),))


def stacked(graphs: Sequence[Graph], n_copies: int = 1) -> tuple[Graph, list[Node]]:
    """Return graphs of one structure stacked group by group, each `n_copies` times, and the output of each copy.

    Neuron i of copy j is neuron ``j * size + i`` of the stacked group, copies of one graph being neighbours. They share
    the weights of their graph, on edges that are then tied. The weights of a connection are those of the first graph,
    then those of the second, and so on, before those of the next connection. Dense connections from the inputs stay
    dense where nothing is tied; those between neurons become block diagonal, sparse ones. A sub-model of the user's own
    that is tied stands once, and feeds all copies of its neuron.
    """
    if n_copies > 1:
        graphs = [_own_apart(graph) for graph in graphs]
    first, single = graphs[0], set[int]()
    if n_copies > 1:
        single = {connection.target for connection in first.connections if isinstance(connection, Own)}
    times = [
        1 if group.is_given else len(graphs) * (1 if position in single else n_copies)
        for position, group in enumerate(first.groups)
    ]
    connections = tuple(
        _stacked_connection(alike, times[alike[0].source], times[alike[0].target], first.groups[alike[0].source])
        for alike in zip(*(graph.connections for graph in graphs), strict=True)
    )
    groups = tuple(_repeated(group, n) for group, n in zip(first.groups, times, strict=True))
    group, position = first.outputs[0]
    size = first.groups[group].size
    return Graph(groups, connections, ()), [(group, copy * size + position) for copy in range(times[group])]


def has_softmax(graph: Graph) -> bool:
    """Return whether a softmax couples the neurons of a group: stacked, it would run across copies."""
    return any(group.activation == SOFTMAX for group in graph.groups)


def can_be_stacked(graph: Graph) -> bool:
    """Return whether a committee stacks it: not where a softmax couples neurons or a convolution is faster whole."""
    return not has_softmax(graph) and not any(isinstance(connection, Convolution) for connection in graph.connections)


def same_structure(first: Graph, second: Graph) -> bool:
    """Return whether two graphs differ in nothing but their weights, trainable or frozen."""
    return (
        first.groups == second.groups
        and first.outputs == second.outputs
        and len(first.connections) == len(second.connections)
        and all(_same_connection(a, b) for a, b in zip(first.connections, second.connections, strict=True))
    )


def _repeated(group: Group, n_copies: int) -> Group:
    activation = group.activation * n_copies if isinstance(group.activation, tuple) else group.activation
    return Group(group.size * n_copies, activation)


def _stacked_connection(
    alike: tuple[Connection, ...], source_times: int, target_times: int, source: Group
) -> Connection:
    """Stack one connection of every graph, between groups that stand so many times."""
    connection, n_copies = alike[0], target_times // len(alike)
    factor, n_target = np.tile(connection.factor, target_times), connection.n_target * target_times
    if isinstance(connection, Own):
        return replace(connection, n_target=n_target, factor=factor)
    given = [entry.values for entry in alike if entry.values is not None]
    values = np.concatenate([np.tile(entry, n_copies) for entry in given]) if given else None
    is_tied = n_copies > 1 and values is None
    if isinstance(connection, Dense) and source.is_given and not is_tied:
        return replace(connection, n_target=n_target, factor=factor, values=values)
    edges = _as_sparse(connection)
    copies = np.arange(target_times)[:, None]
    below = copies * source_times // target_times
    indptr = np.append((edges.indptr[None, :-1] + edges.n_edges * copies).ravel(), edges.n_edges * target_times)
    indices = (edges.indices[None, :].astype(np.int64) + edges.n_source * below).ravel().astype(np.int32)
    n_source = edges.n_source * source_times
    if isinstance(edges, Sparse) and not is_tied:
        return replace(
            edges, n_source=n_source, n_target=n_target, factor=factor, indptr=indptr, indices=indices, values=values
        )
    weight = edges.weight.astype(np.int64) if isinstance(edges, Tied) else np.arange(edges.n_edges)
    return Tied(
        source=edges.source,
        target=edges.target,
        n_source=n_source,
        n_target=n_target,
        factor=factor,
        indptr=indptr,
        indices=indices,
        weight=(weight + edges.n_weights * (copies // n_copies)).ravel().astype(np.int32),
        n_weights=edges.n_weights * len(alike),
        pool=edges.pool,
    )


def _own_apart(graph: Graph) -> Graph:
    """Return the graph with sub-models of the user's own in groups of their own, which feed the neurons they were."""
    groups: list[Group] = []
    moved: list[int] = []
    stems: dict[int, int] = {}
    for group, entry in zip(graph.groups, graph.incoming, strict=True):
        for position in entry:
            if isinstance(graph.connections[position], Own):
                stems[position] = len(groups)
                groups.append(Group(group.size, "identity"))
        moved.append(len(groups))
        groups.append(group)
    connections: list[Connection] = []
    for position, connection in enumerate(graph.connections):
        target = moved[connection.target]
        stem = stems.get(position, target)
        connections.append(replace(connection, source=moved[connection.source], target=stem))
        if position in stems:
            connections.append(_one_to_one(stem, target, connection.n_target))
    return Graph(
        tuple(groups), tuple(connections), tuple((moved[group], position) for group, position in graph.outputs)
    )


def _one_to_one(source: int, target: int, size: int) -> Sparse:
    ones, each = np.ones(size), np.arange(size + 1)
    return Sparse(source, target, size, size, ones, each.astype(np.int64), each[:-1].astype(np.int32), ones)


def _as_sparse(connection: Dense | Sparse | Tied | Convolution) -> Sparse | Tied:
    if isinstance(connection, Convolution):
        return connection.as_tied()
    if isinstance(connection, Sparse | Tied):
        return connection
    return Sparse(
        source=connection.source,
        target=connection.target,
        n_source=connection.n_source,
        n_target=connection.n_target,
        factor=connection.factor,
        indptr=np.arange(connection.n_target + 1, dtype=np.int64) * connection.n_source,
        indices=np.tile(np.arange(connection.n_source, dtype=np.int32), connection.n_target),
        values=connection.values,
    )


def _same_connection(a: Connection, b: Connection) -> bool:
    names = [f.name for f in fields(a) if f.name != "values"]
    return (
        type(a) is type(b)
        and (a.values is None) == (b.values is None)
        and all(_same(getattr(a, name), getattr(b, name)) for name in names)
    )


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)
    return a == b
