"""How the neurons of every group stand: in channels that are alike, each with one neuron at every place.

Neurons of one channel at several places share weights, so their covariance counts; neurons of different channels are
independent and alike in the limit. A group that no convolution reads or feeds has one place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from assembly.errors import GraphError
from assembly.graph.connections import Connection, Convolution, Dense, Sparse
from assembly.graph.description import Graph


@dataclass(frozen=True)
class Layout:
    """Channels of a group and places of each; the neurons stand channel by channel."""

    channels: int
    places: int


def fixed_groups(graph: Graph) -> frozenset[int]:
    """Return the groups whose activations depend on no weight that is drawn: inputs, and frozen maps of them."""
    found: set[int] = set()
    for group, entry in enumerate(graph.incoming):
        connections = [graph.connections[position] for position in entry]
        if all(c.values is not None and c.source in found for c in connections):
            found.add(group)
    return frozenset(found)


def layouts(graph: Graph, fixed: frozenset[int]) -> tuple[Layout, ...]:
    """Return the layout of every group.

    Raises
    ------
    GraphError
        If a group would have to stand in two ways.
    """
    found: list[Layout] = []
    for group in range(len(graph.groups)):
        asked = _asked_by_readers(graph, group, group in fixed)
        if group not in fixed:
            asked |= _asked_by_sources(graph, group, found)
        if len(asked) > 1:
            ways = " and ".join(f"{way.channels} channels of {way.places} places" for way in sorted(asked, key=str))
            raise GraphError(f"Group {group} has no limit kernel: its neurons would stand in {ways}.")
        found.append(asked.pop() if asked else Layout(graph.groups[group].size, 1))
    return tuple(found)


def _asked_by_readers(graph: Graph, group: int, is_fixed: bool) -> set[Layout]:
    readers = [c for c in graph.connections if c.source == group]
    asked = {Layout(c.windows.channels, c.windows.n_pixels) for c in readers if isinstance(c, Convolution)}
    if is_fixed and any(isinstance(c, Sparse) and c.values is None for c in readers):
        asked.add(Layout(1, graph.groups[group].size))  # every target reads inputs of its own: none is like another
    return asked


def _asked_by_sources(graph: Graph, group: int, found: list[Layout]) -> set[Layout]:
    asked = set()
    for position in graph.incoming[group]:
        connection = graph.connections[position]
        if isinstance(connection, Convolution):
            asked.add(Layout(connection.n_channels, connection.windows.n_windows))
        elif isinstance(connection, Sparse) and found[connection.source].places > 1:
            channels = found[connection.source].channels
            places, over = divmod(connection.n_target, channels)
            if not over and channel_map(connection, found[connection.source], Layout(channels, places)) is not None:
                asked.add(Layout(channels, places))
    return asked


def channel_map(connection: Connection, source: Layout, target: Layout) -> sparse.csr_array | None:
    """Return what a frozen connection does to the places of a channel, None unless it does the same in every channel.

    An identity skip and average pooling are such maps, shape (places of a target channel, places of a source channel).
    """
    if not isinstance(connection, Sparse) or connection.values is None or source.channels != target.channels:
        return None
    rows = np.repeat(np.arange(connection.n_target), connection.in_degrees())
    values = connection.values * connection.factor[rows]
    per_channel, over = divmod(connection.n_edges, source.channels)
    if over or not np.array_equal(rows // target.places, connection.indices // source.places):
        return None
    edges = np.stack([rows % target.places, connection.indices % source.places, values])
    by_channel = edges.reshape(3, source.channels, per_channel)
    if (by_channel != by_channel[:, :1]).any():
        return None
    row, column = by_channel[:2, 0].astype(np.int64)
    value = by_channel[2, 0]
    return sparse.csr_array((value, (row, column)), shape=(target.places, source.places))


def frozen_matrix(connection: Connection) -> sparse.csr_array:
    """Return factor times weight of every edge of a frozen dense or sparse connection, (n_target, n_source)."""
    assert connection.values is not None
    if isinstance(connection, Dense):
        values = connection.values.reshape(connection.n_target, connection.n_source)
        return sparse.csr_array(connection.factor[:, None] * values)
    assert isinstance(connection, Sparse)
    values = connection.values * np.repeat(connection.factor, connection.in_degrees())
    return sparse.csr_array((values, connection.indices, connection.indptr), (connection.n_target, connection.n_source))
