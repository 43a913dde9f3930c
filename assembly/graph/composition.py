"""Assemblies of assemblies: graphs side by side over common inputs, and copies of one graph stacked layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from assembly.graph.connections import Connection, Dense, Sparse
from assembly.graph.description import CONSTANT, INPUT, Graph, Group

Node = tuple[int, int]


def side_by_side(graphs: Sequence[Graph]) -> tuple[Graph, list[list[Node]]]:
    """Return one graph that holds several over common inputs, and where the outputs of each are in it.

    Parameters are those of the first graph, then those of the second, and so on.
    """
    groups = [graphs[0].groups[0]]
    constant: int | None = None
    connections: list[Connection] = []
    outputs: list[list[Node]] = []
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
        connections += [
            replace(connection, source=renumbered[connection.source], target=renumbered[connection.target])
            for connection in graph.connections
        ]
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
    values = None if connection.values is None else np.tile(connection.values, n_copies)
    factor, n_target = np.tile(connection.factor, n_copies), connection.n_target * n_copies
    if isinstance(connection, Dense) and from_given:
        return replace(connection, n_target=n_target, factor=factor, values=values)
    edges = _as_sparse(connection)
    copies = np.arange(n_copies)
    shift = 0 if from_given else edges.n_source
    indices = (edges.indices[None, :].astype(np.int64) + shift * copies[:, None]).ravel()
    indptr = (edges.indptr[None, :-1] + edges.n_edges * copies[:, None]).ravel()
    return Sparse(
        source=edges.source,
        target=edges.target,
        n_source=edges.n_source if from_given else edges.n_source * n_copies,
        n_target=n_target,
        factor=factor,
        indptr=np.append(indptr, edges.n_edges * n_copies),
        indices=indices.astype(np.int32),
        values=values,
    )


def _as_sparse(connection: Connection) -> Sparse:
    if isinstance(connection, Sparse):
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
    if type(a) is not type(b) or (a.source, a.target, a.n_target) != (b.source, b.target, b.n_target):
        return False
    if (a.values is None) != (b.values is None) or not np.array_equal(a.factor, b.factor):
        return False
    if a.values is not None and b.values is not None and not np.array_equal(a.values, b.values):
        return False
    if isinstance(a, Sparse) and isinstance(b, Sparse):
        return np.array_equal(a.indptr, b.indptr) and np.array_equal(a.indices, b.indices)
    return True
