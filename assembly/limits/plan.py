"""From a graph to what has to be computed: the pairs of units whose covariance counts in every group, and its links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from assembly.graph.connections import Connection, Convolution, Tied
from assembly.graph.description import Graph
from assembly.limits import links
from assembly.limits.layouts import Layout, channel_map, fixed_groups, layouts
from assembly.limits.requirements import Standing, check_kinds, check_outputs, check_start, standing_of
from assembly.limits.units import Units, is_channel_map, units_of

WORKING_ARRAYS = 24  # of the size of a group, while its expectations are taken


@dataclass(frozen=True)
class Link:
    """What one connection adds to a group.

    Attributes
    ----------
    source : int
    matrix : csr_array of shape (pairs of the group, pairs of the source)
        From covariances of the source to those of the group.
    is_trainable : bool
        The weights add to the tangent kernel.
    places : csr_array or None
        What a fixed map, the same in every channel, does to means; None where weights are drawn.
    """

    source: int
    matrix: sparse.csr_array
    is_trainable: bool
    places: sparse.csr_array | None


@dataclass(frozen=True)
class Step:
    """One group to be computed.

    Attributes
    ----------
    group : int
    units : Units
    pairs : ndarray of shape (n_pairs, 2), int64
        Units whose covariance is computed, each with itself among them.
    links : tuple of Link
    """

    group: int
    units: Units
    pairs: NDArray[np.int64]
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Plan:
    """What has to be computed for a network.

    Attributes
    ----------
    graph : Graph
    ways : tuple of Layout
    fixed : dict
        For every group that depends on no drawn weight and is read: the pairs of places that are, shape (n_pairs, 2).
    steps : tuple of Step
        In topological order, the outputs last.
    """

    graph: Graph
    ways: tuple[Layout, ...]
    fixed: dict[int, NDArray[np.int64]]
    steps: tuple[Step, ...]

    @property
    def bytes_per_pair(self) -> int:
        """Memory that one pair of inputs takes: two kernels a group, and what computing the largest one takes."""
        sizes = [len(step.pairs) for step in self.steps] + [len(pairs) for pairs in self.fixed.values()]
        return 8 * (2 * sum(sizes) + WORKING_ARRAYS * max(sizes))


def plan_of(graph: Graph) -> Plan:
    """Return the plan of a graph.

    Raises
    ------
    GraphError
        If the network has no limit kernels of this kind; the message says where and why.
    """
    fixed = fixed_groups(graph)
    ways = layouts(graph, fixed)
    check_start(graph)
    check_kinds(graph, ways)
    units, standings = _read(graph, ways, fixed)
    output = check_outputs(graph, fixed, units, standings)
    entries, pairs = _asked_for(graph, ways, units, output)
    steps = []
    for group in sorted(entries):
        found = [_link(graph, ways, units, pairs, *entry) for entry in entries[group]]
        steps.append(Step(group, units[group], pairs[group], tuple(found)))
    return Plan(graph, ways, {group: pairs[group] for group in sorted(fixed & pairs.keys())}, tuple(steps))


def _asked_for(
    graph: Graph, ways: tuple[Layout, ...], units: dict[int, Units], output: int
) -> tuple[dict[int, list[tuple[Connection, links.Entries]]], dict[int, NDArray[np.int64]]]:
    """Go from the output back: return what connects every group, and the pairs whose covariance is asked for."""
    numbers: dict[int, list[NDArray[np.int64]]] = {output: []}
    entries: dict[int, list[tuple[Connection, links.Entries]]] = {}
    pairs: dict[int, NDArray[np.int64]] = {}
    for group in reversed(range(output + 1)):
        if group not in numbers:
            continue
        pairs[group] = _pairs(units.get(group), ways[group], numbers[group])
        if group not in units:
            continue
        connections = [graph.connections[position] for position in graph.incoming[group]]
        entries[group] = [(c, _entries(graph, ways, c, units[group], pairs[group])) for c in connections]
        for connection, (_, columns, _) in entries[group]:
            numbers.setdefault(connection.source, []).append(np.unique(columns))
    return entries, pairs


def _pairs(units: Units | None, way: Layout, numbers: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the pairs of a group: those of places that are asked for and, of units, each with itself.

    Kinds of neurons are averaged, so that nothing is asked of two of them.
    """
    n = way.places if units is None else units.n_units
    itself = np.zeros(0, dtype=np.int64) if units is None else np.arange(n) * (n + 1)
    asked = numbers if way.places > 1 or units is None else []
    return np.stack(np.divmod(np.unique(np.concatenate([itself, *asked])), n), axis=1)


def _read(graph: Graph, ways: tuple[Layout, ...], fixed: frozenset[int]) -> tuple[dict[int, Units], list[Standing]]:
    units: dict[int, Units] = {}
    standings: list[Standing] = []
    for group in range(len(graph.groups)):
        if group in fixed:
            standings.append(Standing(True, False, False, frozenset((group,))))
            continue
        units[group] = units_of(graph, ways, group)
        standings.append(standing_of(graph, ways, fixed, group, units[group], standings))
    return units, standings


def _entries(
    graph: Graph, ways: tuple[Layout, ...], connection: Connection, units: Units, pairs: NDArray[np.int64]
) -> links.Entries:
    if isinstance(connection, Convolution):
        return links.of_convolution(connection, units, pairs)
    if isinstance(connection, Tied):
        return links.of_channel_biases(connection, units, pairs)
    if is_channel_map(graph, ways, connection):
        return links.of_channel_map(_places(ways, connection), units, pairs)
    return links.of_edges(connection, ways[connection.source], units, pairs)


def _places(ways: tuple[Layout, ...], connection: Connection) -> sparse.csr_array:
    found = channel_map(connection, ways[connection.source], ways[connection.target])
    assert found is not None
    return found


def _link(
    graph: Graph,
    ways: tuple[Layout, ...],
    units: dict[int, Units],
    pairs: dict[int, NDArray[np.int64]],
    connection: Connection,
    entries: links.Entries,
) -> Link:
    rows, columns, coefficients = entries
    source, n = connection.source, ways[connection.source].places
    is_averaged = source in units and n == 1
    numbers = np.zeros(1, dtype=np.int64) if is_averaged else pairs[source] @ np.array([n, 1])
    shape = (len(pairs[connection.target]), len(numbers))
    matrix = sparse.csr_array((coefficients, (rows, np.searchsorted(numbers, columns))), shape=shape)
    is_map = is_channel_map(graph, ways, connection)
    return Link(source, matrix, connection.values is None, _places(ways, connection) if is_map else None)
