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


def stacked(graph: Graph, n_copies: int) -> tuple[Graph, list[Node]]:
    """Return n copies of a graph with parameters of their own, stacked group by group, and the output of each.

    Neuron i of copy j is neuron ``j * size + i`` of the stacked group; the weights of a connection are those of the
    first copy, then those of the second, and so on, before those of the next connection. Dense connections from the
    inputs stay dense; those between neurons become block diagonal, sparse ones.
    """
    groups = tuple(group if group.is_given else _repeated(group, n_copies) for group in graph.groups)
    connections = tuple(
        _stacked_connection(connection, graph.groups[connection.source].is_given, n_copies)
        for connection in graph.connections
    )
    group, position = graph.outputs[0]
    size = graph.groups[group].size
    return Graph(groups, connections, ()), [(group, copy * size + position) for copy in range(n_copies)]


def can_be_stacked(graph: Graph) -> bool:
    """Return whether `stacked` can take it: not where a convolution or a softmax would run across copies."""
    coupled = any(group.activation == SOFTMAX for group in graph.groups)
    return not coupled and not any(isinstance(connection, Convolution) for connection in graph.connections)


def same_structure(first: Graph, second: Graph) -> bool:
    """Return whether two graphs differ in nothing but their trainable weights."""
    return (
        first.groups == second.groups
        and first.outputs == second.outputs
        and len(first.connections) == len(second.connections)
        and all(_same_connection(a, b) for a, b in zip(first.connections, second.connections, strict=True))
    )


def _repeated(group: Group, n_copies: int) -> Group:
    activation = group.activation * n_copies if isinstance(group.activation, tuple) else group.activation
    return Group(group.size * n_copies, activation)


def _stacked_connection(connection: Connection, from_given: bool, n_copies: int) -> Connection:
    factor, n_target = np.tile(connection.factor, n_copies), connection.n_target * n_copies
    if isinstance(connection, Own):
        return replace(connection, n_target=n_target, factor=factor)
    values = None if connection.values is None else np.tile(connection.values, n_copies)
    if isinstance(connection, Dense) and from_given:
        return replace(connection, n_target=n_target, factor=factor, values=values)
    edges = _as_sparse(connection)
    copies = np.arange(n_copies)[:, None]
    shift = 0 if from_given else edges.n_source
    indptr = np.append((edges.indptr[None, :-1] + edges.n_edges * copies).ravel(), edges.n_edges * n_copies)
    indices = (edges.indices[None, :].astype(np.int64) + shift * copies).ravel().astype(np.int32)
    n_source = edges.n_source if from_given else edges.n_source * n_copies
    sizes = {"n_source": n_source, "n_target": n_target}
    if isinstance(edges, Tied):
        weight = (edges.weight[None, :].astype(np.int64) + edges.n_weights * copies).ravel().astype(np.int32)
        n_weights = edges.n_weights * n_copies
        return replace(
            edges, **sizes, factor=factor, indptr=indptr, indices=indices, weight=weight, n_weights=n_weights
        )
    return replace(edges, **sizes, factor=factor, indptr=indptr, indices=indices, values=values)


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
    return type(a) is type(b) and all(_same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)
    return a == b
