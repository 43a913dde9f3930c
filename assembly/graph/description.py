"""A graph of groups of neurons: sizes, activation functions, connections, layers and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assembly.errors import GraphError
from assembly.graph.connections import Connection, Places, Tied

INPUT, CONSTANT, SOFTMAX = "input", "constant", "softmax"


@dataclass(frozen=True)
class Group:
    """Neurons described together.

    Attributes
    ----------
    size : int
        Number of neurons.
    activation : str or tuple of str
        One activation function for all, or one for each; "softmax" couples all neurons of the group; "input" and
        "constant" mark the two groups without parents.
    """

    size: int
    activation: str | tuple[str, ...]

    @property
    def is_given(self) -> bool:
        """True for the inputs and for the constant 1 that biases hang on: nothing flows into them."""
        return self.activation in (INPUT, CONSTANT)

    def activations(self) -> tuple[str, ...]:
        """Return the activation function of each neuron."""
        return self.activation if isinstance(self.activation, tuple) else (self.activation,) * self.size

    def part(self, neurons: NDArray[np.int64]) -> Group:
        """Return some of the neurons as a group."""
        if isinstance(self.activation, tuple):
            return Group(len(neurons), tuple(self.activation[neuron] for neuron in neurons))
        return Group(len(neurons), self.activation)


@dataclass(frozen=True, eq=False)
class Graph:
    """Groups in topological order, connections in the order of their parameters, and the output neurons.

    Attributes
    ----------
    groups : tuple of Group
        The first one holds the inputs. Every connection goes from an earlier group to a later one.
    connections : tuple of Dense or Sparse
        The flat parameters of the assembly are the weights of the trainable ones, one after the other.
    outputs : tuple of (int, int)
        Group and position of every output neuron.
    """

    groups: tuple[Group, ...]
    connections: tuple[Connection, ...]
    outputs: tuple[tuple[int, int], ...]

    @cached_property
    def parameter_blocks(self) -> tuple[slice, ...]:
        """Where the weights of trainable connections stand among the parameters, those of a pool once, in order."""
        bounds = dict.fromkeys((part.start, part.stop) for part in self.slices if part is not None)
        return tuple(slice(start, stop) for start, stop in bounds)

    @cached_property
    def slices(self) -> tuple[slice | None, ...]:
        """Where the weights of every connection stand among the parameters; None for a frozen one."""
        found: list[slice | None] = []
        pools: dict[int, slice] = {}
        position = 0
        for connection in self.connections:
            if connection.values is not None:
                found.append(None)
            elif connection.pool in pools:
                found.append(pools[connection.pool])
            else:
                part = slice(position, position + connection.n_weights)
                position = part.stop
                found.append(part)
                if connection.pool is not None:
                    pools[connection.pool] = part
        return tuple(found)

    @cached_property
    def n_parameters(self) -> int:
        """Number of trainable weights."""
        return max((part.stop for part in self.slices if part is not None), default=0)

    @cached_property
    def incoming(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the connections into every group."""
        lists: list[list[int]] = [[] for _ in self.groups]
        for position, connection in enumerate(self.connections):
            lists[connection.target].append(position)
        return tuple(tuple(entry) for entry in lists)

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """Layer of every group: the longest path from the inputs."""
        levels: list[int] = []
        for group, entry in zip(self.groups, self.incoming, strict=True):
            lowest = 0 if group.is_given else 1
            levels.append(max((levels[self.connections[p].source] + 1 for p in entry), default=lowest))
        return tuple(levels)

    @cached_property
    def layers(self) -> tuple[tuple[int, ...], ...]:
        """Groups of every layer; layer 0 holds the inputs, and the constant 1 belongs to none."""
        layers: list[list[int]] = [[] for _ in range(max(self.levels) + 1)]
        for position, (group, level) in enumerate(zip(self.groups, self.levels, strict=True)):
            if group.activation != CONSTANT:
                layers[level].append(position)
        return tuple(tuple(layer) for layer in layers)

    def in_degrees(self, group: int, *, trainable: bool = False) -> NDArray[np.int64]:
        """Return the in-degree of every neuron of a group, biases not counted; only trainable edges if so asked."""
        total = np.zeros(self.groups[group].size, dtype=np.int64)
        for position in self.incoming[group]:
            connection = self.connections[position]
            is_bias = self.groups[connection.source].activation == CONSTANT
            if not is_bias and (connection.values is None or not trainable):
                total += connection.in_degrees()
        return total

    @cached_property
    def depths(self) -> tuple[NDArray[np.int64], ...]:
        """Depth of every neuron of every group: the longest path from the inputs, counted in trainable neurons.

        Neurons without trainable in-edges (sums with identity skips, pooling) are contracted: they add nothing.
        """
        depths: list[NDArray[np.int64]] = []
        for group, entry in enumerate(self.incoming):
            depth = np.zeros(self.groups[group].size, dtype=np.int64)
            for position in entry:
                connection = self.connections[position]
                np.maximum(depth, connection.largest(depths[connection.source]), out=depth)
            depths.append(depth + (self.in_degrees(group, trainable=True) > 0))
        return tuple(depths)

    @cached_property
    def width(self) -> int:
        """Width in the sense of the theory: the minimum in-degree outside the inputs and the first layer.

        Neurons without trainable in-edges (sums with identity skips, pooling) are contracted, and trainable in-edges
        are counted. The output counts; one without trainable in-edges, as that of an assembly with fixed coefficients,
        counts its fixed ones. A graph without a second layer has the in-degree of its output as its width.
        """
        found = []
        for group, depth in enumerate(self.depths):
            degrees = self.in_degrees(group, trainable=True)
            found += [int(degrees[chosen].min()) for chosen in [(depth >= 2) & (degrees > 0)] if chosen.any()]
        fixed = [n for n, trainable, depth in self._output_degrees() if trainable == 0 and depth >= 1]
        return min(found + fixed, default=min(n for n, _, _ in self._output_degrees()))

    def _output_degrees(self) -> list[tuple[int, int, int]]:
        """In-degree, trainable in-degree and depth of every output."""
        found = []
        for group in dict.fromkeys(group for group, _ in self.outputs):
            every, trainable = self.in_degrees(group), self.in_degrees(group, trainable=True)
            positions = [position for other, position in self.outputs if other == group]
            found += [(int(every[p]), int(trainable[p]), int(self.depths[group][p])) for p in positions]
        return found

    def restrict(self, nodes: Sequence[tuple[int, int]]) -> tuple[Graph, tuple[Places, ...]]:
        """Return the graph below the given neurons, which become its outputs.

        Only their ancestors stay, and only edges between those; the inputs and the constant are kept as they are.

        Parameters
        ----------
        nodes : sequence of (int, int)
            Group and position of the neurons.

        Returns
        -------
        graph : Graph
        origins : tuple of slice or ndarray of int64
            For every parameter block of the new graph, where its weights stand among the parameters of this one: a
            slice where they are neighbours, so that the weights of dense layers are shared and not copied.
        """
        needed = [np.full(group.size, group.is_given) for group in self.groups]
        for group, position in nodes:
            needed[group][position] = True
        pieces: list[tuple[int, Connection, Places]] = []
        for group in reversed(range(len(self.groups))):
            if self.groups[group].activation == SOFTMAX:
                needed[group][:] = needed[group].any()
            for position in self.incoming[group]:
                connection = self.connections[position]
                connection.mark(needed[group], needed[connection.source])
                piece, places = connection.take(np.flatnonzero(needed[group]))
                if piece.n_edges > 0:
                    pieces.append((position, piece, places))
        pieces.sort(key=lambda entry: entry[0])
        kept = [group for group in range(len(self.groups)) if needed[group].any()]
        renumbered = {old: new for new, old in enumerate(kept)}
        moved = [
            replace(piece.among(needed[piece.source]), source=renumbered[piece.source], target=renumbered[piece.target])
            for _, piece, _ in pieces
        ]
        groups = tuple(self.groups[old].part(np.flatnonzero(needed[old])) for old in kept)
        outputs = tuple((renumbered[group], int(needed[group][:position].sum())) for group, position in nodes)
        starts = [None if (part := self.slices[position]) is None else part.start for position, _, _ in pieces]
        connections, origins = _own_weights(moved, [places for _, _, places in pieces], starts)
        return Graph(groups, connections, outputs), origins

    def with_identity(self, group: int) -> Graph:
        """Return the graph with the activation functions of one group, which must feed no other, left out."""
        groups = (*self.groups[:group], Group(self.groups[group].size, "identity"), *self.groups[group + 1 :])
        return Graph(groups, self.connections, self.outputs)

    def with_linear(self, group: int, position: int) -> Graph:
        """Return the graph with the activation function of one neuron, which must feed no other, set to the identity.

        Raises
        ------
        GraphError
            If other neurons use its activation, or it is one of a softmax.
        """
        if self.groups[group].activation == SOFTMAX:
            raise GraphError(
                "The pre-activation of one softmax output cannot be a part beside softmax outputs of the same network. "
                "Take pre-activations of all, or of none."
            )
        for connection in self.connections:
            if connection.source == group:
                sources = np.zeros(connection.n_source, dtype=bool)
                connection.mark(np.ones(connection.n_target, dtype=bool), sources)
                if sources[position]:
                    raise GraphError(
                        "The pre-activation of a neuron cannot be a part beside neurons that use its activation: "
                        "both would need the same weights. Take the neuron itself."
                    )
        names = list(self.groups[group].activations())
        names[position] = "identity"
        changed = Group(len(names), names[0] if len(set(names)) == 1 else tuple(names))
        groups = (*self.groups[:group], changed, *self.groups[group + 1 :])
        return Graph(groups, self.connections, self.outputs)


def _own_weights(
    connections: list[Connection], places: list[Places], starts: list[int | None]
) -> tuple[tuple[Connection, ...], tuple[Places, ...]]:
    """Leave out the weights that no edge of tied connections reads; return where those of every block come from.

    `places` are those of the weights within blocks that begin at `starts`, None for a frozen connection.
    """
    members: dict[int, list[int]] = {}  # tied connections by where their block begins
    for i, (connection, start) in enumerate(zip(connections, starts, strict=True)):
        if isinstance(connection, Tied) and start is not None:
            members.setdefault(start, []).append(i)
    kept: list[Connection] = list(connections)
    origins: list[Places] = []
    for i, (connection, place, start) in enumerate(zip(connections, places, starts, strict=True)):
        if start is None:
            continue
        if isinstance(connection, Tied):
            if members[start][0] != i:
                continue
            used = np.unique(np.concatenate([_tied(connections[j]).weight for j in members[start]]))
            pool = len(origins) if len(members[start]) > 1 else None
            for j in members[start]:
                weight = np.searchsorted(used, _tied(connections[j]).weight).astype(np.int32)
                kept[j] = replace(_tied(connections[j]), weight=weight, n_weights=len(used), pool=pool)
            place = used.astype(np.int64)
        origins.append(slice(start + place.start, start + place.stop) if isinstance(place, slice) else start + place)
    return tuple(kept), tuple(origins)


def _tied(connection: Connection) -> Tied:
    assert isinstance(connection, Tied)
    return connection
