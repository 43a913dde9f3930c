"""A graph in the making: every operation adds a group, and what only scales another group is merged into it at the end.

Connections are drawn with a weight for every edge (or place of a kernel); which of these are one parameter, and which
are fixed, is settled when all are known.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assembly.graph.connections import Connection, Convolution, Dense, Sparse, Tied
from assembly.graph.description import CONSTANT, INPUT, Graph, Group
from assembly.graph.windows import Windows


class UnsupportedError(Exception):
    """Why something has no assembly; the reader adds where it stands."""


@dataclass(frozen=True)
class Value:
    """What the module computes for one sample: the neurons of a group, in C order.

    Attributes
    ----------
    group : int
    shape : tuple of int
        Without the batch dimension.
    """

    group: int
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Weights:
    """Numbers of a tensor in the shape in which they are used.

    Attributes
    ----------
    values : ndarray of shape (n_entries,), float64
        All entries of the tensor.
    number : ndarray of int64
        The entry that stands at every place.
    parameter : int or None
        Which parameter of the module it is; None for fixed numbers.
    """

    values: NDArray[np.float64]
    number: NDArray[np.int64]
    parameter: int | None = None

    @property
    def used(self) -> NDArray[np.float64]:
        """The number at every place."""
        return self.values[self.number]

    @property
    def is_whole(self) -> bool:
        """True if every entry is used once, in order."""
        return np.array_equal(self.number.ravel(), np.arange(len(self.values)))


def fixed(values: NDArray[np.floating]) -> Weights:
    """Return numbers that are no parameter."""
    flat = np.ascontiguousarray(values, dtype=np.float64).ravel()
    return Weights(flat, np.arange(flat.size).reshape(np.shape(values)))


class Draft:
    """Groups and connections so far; group 0 holds the inputs, group 1 the constant.

    Parameters
    ----------
    n_inputs : int
    """

    def __init__(self, n_inputs: int) -> None:
        self.groups = [Group(n_inputs, INPUT), Group(1, CONSTANT)]
        self.connections: list[tuple[Connection, Weights]] = []

    def add_group(self, size: int, activation: str = "identity") -> int:
        """Add neurons; return the number of their group."""
        self.groups.append(Group(size, activation))
        return len(self.groups) - 1

    def connect_densely(self, source: int, target: int, weights: Weights, factor: float = 1.0) -> None:
        """Connect all neurons of two groups; weights of shape (n_target, n_source)."""
        self.connections.append((Dense(*self._ends(source, target, factor)), weights))

    def connect_by_windows(
        self, source: int, target: int, windows: Windows, weights: Weights, kept: NDArray[np.int64] | None = None
    ) -> None:
        """Convolve; weights of shape (n_channels, channels, *kernel). `kept` are the targets that exist, of all."""
        n_channels = weights.number.shape[0]
        n_target = n_channels * windows.n_windows
        ends = (source, target, self.groups[source].size, n_target, np.ones(n_target))
        convolution = Convolution(*ends, windows, n_channels)
        self.connections.append((convolution if kept is None else convolution.as_tied(kept), weights))

    def connect(
        self, source: int, target: int, rows: NDArray[np.int64], columns: NDArray[np.int64], weights: Weights
    ) -> None:
        """Connect neurons `columns` of one group to `rows`, sorted, of another; weights of shape (n_edges,)."""
        ends = self._ends(source, target, 1.0)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=ends[3]))]).astype(np.int64)
        self.connections.append((Sparse(*ends, indptr, columns.astype(np.int32)), weights))

    def carry(self, source: int, target: int, columns: NDArray[np.int64], scale: float = 1.0) -> None:
        """Give every target `scale` times one source, whose number stands in `columns`; nothing where it is -1."""
        rows = np.flatnonzero(columns >= 0)
        self.connect(source, target, rows, columns[rows], fixed(np.full(len(rows), scale)))

    def shift(self, target: int, weights: Weights, factor: float = 1.0) -> None:
        """Add a number to every neuron of a group; weights of shape (n_target,)."""
        self.connect_densely(1, target, weights, factor)

    def activate(self, source: int, name: str) -> int:
        """Return a new group: an activation function of another."""
        size = self.groups[source].size
        target = self.add_group(size, name)
        self.carry(source, target, np.arange(size))
        return target

    def finish(self, output: int) -> tuple[Graph, NDArray[np.float64]]:
        """Return the graph whose outputs are a group, and the parameters, in the order of those of the module."""
        if self.groups[output].is_given:
            output = self.activate(output, "identity")
        self._prune(output)
        self._merge()
        used = sorted(self.connections, key=lambda entry: math.inf if (n := entry[1].parameter) is None else n)
        kept = sorted({0, output, *(connection.source for connection, _ in used)})
        place = {group: number for number, group in enumerate(kept)}
        moved = [
            replace(connection, source=place[connection.source], target=place[connection.target])
            for connection in _settled(used)
        ]
        parameters = {weights.parameter: weights.values for _, weights in used if weights.parameter is not None}
        outputs = tuple((place[output], position) for position in range(self.groups[output].size))
        graph = Graph(tuple(self.groups[group] for group in kept), tuple(moved), outputs)
        return graph, np.concatenate([np.zeros(0), *parameters.values()])

    def _ends(self, source: int, target: int, factor: float) -> tuple[int, int, int, int, NDArray[np.float64]]:
        n_source, n_target = self.groups[source].size, self.groups[target].size
        return source, target, n_source, n_target, np.full(n_target, factor)

    def _prune(self, output: int) -> None:
        """Leave out what the output does not depend on."""
        reaching = {output}
        for connection, _ in sorted(self.connections, key=lambda entry: entry[0].target, reverse=True):
            if connection.target in reaching:
                reaching.add(connection.source)
        self.connections = [entry for entry in self.connections if entry[0].target in reaching]

    def _merge(self) -> None:
        """Merge every sum that only one group reads, neuron by neuron and scaled, into that group."""
        for group, described in enumerate(self.groups):
            reading = [entry for entry in self.connections if entry[0].source == group]
            if described.activation != "identity" or len(reading) != 1:
                continue
            scale = _scale_of(*reading[0])
            if scale is None:
                continue
            target = reading[0][0].target
            self.connections = [
                (replace(connection, target=target, factor=connection.factor * scale), weights)
                if connection.target == group
                else (connection, weights)
                for connection, weights in self.connections
                if connection.source != group
            ]


def _scale_of(connection: Connection, weights: Weights) -> NDArray[np.float64] | None:
    """Return what a connection multiplies each neuron by, if it does nothing else and is fixed."""
    own = np.arange(connection.n_source)
    if weights.parameter is not None or not isinstance(connection, Sparse):
        return None
    if connection.n_source != connection.n_target or not np.array_equal(connection.indices, own):
        return None
    return connection.factor * weights.used if np.array_equal(connection.indptr[:-1], own) else None


def _settled(drawn: list[tuple[Connection, Weights]]) -> list[Connection]:
    """Return connections with fixed numbers held, and tied where one parameter is read in several places."""
    uses = Counter(weights.parameter for _, weights in drawn)
    found: list[Connection] = []
    for connection, weights in drawn:
        if weights.parameter is None:
            found.append(frozen(connection, weights.used.ravel()))
        elif uses[weights.parameter] == 1 and weights.is_whole:
            found.append(connection)
        else:
            pool = weights.parameter if uses[weights.parameter] > 1 else None
            found.append(_tied(connection, weights.number.ravel(), len(weights.values), pool))
    return found


def frozen(connection: Connection, values: NDArray[np.floating]) -> Connection:
    """Return a trainable connection with its weights fixed."""
    if isinstance(connection, Dense | Sparse):
        return replace(connection, values=values)
    edges = _edges(connection)
    ends = (edges.source, edges.target, edges.n_source, edges.n_target, edges.factor)
    return Sparse(*ends, edges.indptr, edges.indices, values[edges.weight])


def _tied(connection: Connection, number: NDArray[np.int64], n_weights: int, pool: int | None) -> Tied:
    """Return a connection whose weight i is entry ``number[i]`` of a parameter."""
    edges = _edges(connection)
    return replace(edges, weight=number[edges.weight].astype(np.int32), n_weights=n_weights, pool=pool)


def _edges(connection: Connection) -> Tied:
    """Return the edges of a connection one by one, each with the number of its weight."""
    if isinstance(connection, Convolution):
        return connection.as_tied()
    if isinstance(connection, Tied):
        return connection
    n, rows = connection.n_target, connection.n_source
    ends = (connection.source, connection.target, connection.n_source, n, connection.factor)
    if isinstance(connection, Sparse):
        indptr, indices = connection.indptr, connection.indices
    else:
        indptr, indices = np.arange(n + 1, dtype=np.int64) * rows, np.tile(np.arange(rows, dtype=np.int32), n)
    return Tied(*ends, indptr, indices, np.arange(len(indices), dtype=np.int32), len(indices))
