"""Which neurons of a group are alike: places of its channels, or kinds of neurons with the same in-edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.errors import GraphError
from assembly.graph.connections import Connection, Convolution, Dense, Sparse
from assembly.graph.description import CONSTANT, Graph
from assembly.kernels.activation import codes_of
from assembly.limits.layouts import Layout, channel_map
from assembly.memory import check_fits

Vector = NDArray[np.float64]

BYTES_PER_COUNT = 32  # itself, as a key, and sorted


@dataclass(frozen=True)
class Units:
    """The neurons of a group that are told apart.

    Attributes
    ----------
    neurons : ndarray of int64
        The first neuron of every kind, ascending.
    shares : ndarray of shape (n_kinds,)
        Part of the neurons that each kind is.
    places : int
        Places of a channel; above 1 there is one kind, and the units are the places.
    activations : tuple of str
        Activation function of every unit.
    """

    neurons: NDArray[np.int64]
    shares: Vector
    places: int
    activations: tuple[str, ...]

    @property
    def n_units(self) -> int:
        """Number of units."""
        return max(len(self.neurons), self.places)

    def kinds(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the kind of some units."""
        return np.zeros_like(units) if self.places > 1 else units

    def spots(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of some units."""
        return units if self.places > 1 else np.zeros_like(units)


def units_of(graph: Graph, ways: tuple[Layout, ...], group: int) -> Units:
    """Return the units of a group: neurons with one activation function, the same factors and the same in-edges.

    In-edges are counted by the place of a channel that they come from, whichever channels those are.

    Raises
    ------
    GraphError
        If neurons of a group with several places differ.
    """
    described = graph.groups[group]
    columns: list[NDArray[Any]] = [np.zeros((described.size, 1))]
    if isinstance(described.activation, tuple):
        columns.append(codes_of(described.activation)[:, None])
    for position in graph.incoming[group]:
        connection = graph.connections[position]
        columns.append(connection.factor[:, None])
        if isinstance(connection, Sparse) and not is_channel_map(graph, ways, connection):
            columns.append(counts(connection, ways[connection.source]))
    keys = np.concatenate(columns, axis=1)
    _, first, sizes = np.unique(keys, axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    neurons, sizes = first[order], sizes[order]
    places = ways[group].places
    if places > 1 and len(neurons) > 1:
        raise GraphError(
            f"Layer {graph.levels[group]} has no limit kernel: its channels have several places, and their neurons "
            "differ in factors, in-edges or activation functions."
        )
    kinds = described.part(neurons).activations()
    return Units(neurons, sizes / sizes.sum(), places, kinds * places if places > 1 else kinds)


def is_channel_map(graph: Graph, ways: tuple[Layout, ...], connection: Connection) -> bool:
    """Return whether a connection is a fixed map of places, the same in every channel, of neurons that are many."""
    return graph.groups[connection.source].activation != CONSTANT and (
        channel_map(connection, ways[connection.source], ways[connection.target]) is not None
    )


def counts(connection: Connection, source: Layout, neurons: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return the in-edges of every neuron (or of some) from every place of a channel, shape (n, places)."""
    if isinstance(connection, Dense):
        n = connection.n_target if neurons is None else len(neurons)
        return np.full((n, source.places), source.channels)
    assert isinstance(connection, Sparse)
    taken = connection if neurons is None else connection.take(neurons)[0]
    check_fits(
        f"A count of the in-edges of {taken.n_target:,} neurons from {source.places:,} inputs or places",
        BYTES_PER_COUNT * taken.n_target * source.places,
        "use fewer neurons or inputs",
    )
    rows = np.repeat(np.arange(taken.n_target), taken.in_degrees())
    places = rows * source.places + taken.indices % source.places
    return np.bincount(places, minlength=taken.n_target * source.places).reshape(taken.n_target, source.places)


def nominal_in_degrees(connection: Connection) -> NDArray[np.int64]:
    """Return the in-edges of every target, in a convolution those of a window inside the image."""
    if isinstance(connection, Convolution):
        return np.full(connection.n_target, connection.windows.channels * connection.windows.n_taps)
    return connection.in_degrees()
