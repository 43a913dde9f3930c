"""A graph of groups of neurons: sizes, activation functions, connections, layers and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from assembly.errors import GraphError
from assembly.graph.connections import Connection, Edges

INPUT, CONSTANT = "input", "constant"


@dataclass(frozen=True)
class Group:
    """Neurons described together.

    Attributes
    ----------
    size : int
        Number of neurons.
    activation : str or tuple of str
        One activation function for all, or one for each; "input" and "constant" mark the two groups without parents.
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
    def offsets(self) -> tuple[int | None, ...]:
        """Where the weights of every connection begin among the parameters; None for a frozen one."""
        offsets: list[int | None] = []
        position = 0
        for connection in self.connections:
            offsets.append(position if connection.values is None else None)
            position += connection.n_edges if connection.values is None else 0
        return tuple(offsets)

    @cached_property
    def n_parameters(self) -> int:
        """Number of trainable weights."""
        return sum(connection.n_edges for connection in self.connections if connection.values is None)

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
        for entry in self.incoming:
            levels.append(max((levels[self.connections[p].source] + 1 for p in entry), default=0))
        return tuple(levels)

    @cached_property
    def layers(self) -> tuple[tuple[int, ...], ...]:
        """Groups of every layer; layer 0 holds the inputs, and the constant 1 belongs to none."""
        layers: list[list[int]] = [[] for _ in range(max(self.levels) + 1)]
        for position, (group, level) in enumerate(zip(self.groups, self.levels, strict=True)):
            if group.activation != CONSTANT:
                layers[level].append(position)
        return tuple(tuple(layer) for layer in layers)

    def in_degrees(self, group: int) -> NDArray[np.int64]:
        """Return the in-degree of every neuron of a group, biases not counted."""
        total = np.zeros(self.groups[group].size, dtype=np.int64)
        for position in self.incoming[group]:
            connection = self.connections[position]
            if self.groups[connection.source].activation != CONSTANT:
                total += connection.in_degrees()
        return total

    @cached_property
    def width(self) -> int:
        """Width in the sense of the theory: the minimum in-degree outside the inputs and the first layer.

        The output counts. A graph without a second layer has the in-degree of its output as its width.
        """
        deep = [g for g, level in enumerate(self.levels) if level >= 2] or [group for group, _ in self.outputs]
        return min(int(self.in_degrees(group).min()) for group in deep)

    def restrict(self, nodes: Sequence[tuple[int, int]]) -> tuple[Graph, tuple[Edges, ...]]:
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
            For every trainable connection of the new graph, where its weights stand among the parameters of this one: a
            slice where they are neighbours, so that the weights of dense layers are shared and not copied.
        """
        needed = [np.full(group.size, group.is_given) for group in self.groups]
        for group, position in nodes:
            needed[group][position] = True
        pieces: list[tuple[int, Connection, Edges]] = []
        for group in reversed(range(len(self.groups))):
            for position in self.incoming[group]:
                connection = self.connections[position]
                connection.mark(needed[group], needed[connection.source])
                piece, edges = connection.take(np.flatnonzero(needed[group]))
                if piece.n_edges > 0:
                    pieces.append((position, piece, edges))
        pieces.sort(key=lambda entry: entry[0])
        kept = [group for group in range(len(self.groups)) if needed[group].any()]
        renumbered = {old: new for new, old in enumerate(kept)}
        connections = tuple(
            replace(piece.among(needed[piece.source]), source=renumbered[piece.source], target=renumbered[piece.target])
            for _, piece, _ in pieces
        )
        groups = tuple(self.groups[old].part(np.flatnonzero(needed[old])) for old in kept)
        outputs = tuple((renumbered[group], int(needed[group][:position].sum())) for group, position in nodes)
        origins = tuple(
            slice(offset + edges.start, offset + edges.stop) if isinstance(edges, slice) else offset + edges
            for position, _, edges in pieces
            if (offset := self.offsets[position]) is not None
        )
        return Graph(groups, connections, outputs), origins

    def with_linear(self, group: int, position: int) -> Graph:
        """Return the graph with the activation function of one neuron, which must feed no other, set to the identity.

        Raises
        ------
        GraphError
            If other neurons use its activation.
        """
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
