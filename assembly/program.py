"""A graph lowered to flat ranges of nodes in topological order; a dense block stays a dense block."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Block
from assembly.blocks.convolution import ConvolutionBlock
from assembly.blocks.dense import DenseBlock
from assembly.blocks.own import OwnBlock
from assembly.blocks.sparse import SparseBlock
from assembly.blocks.tied import TiedBlock
from assembly.errors import GraphError
from assembly.graph.connections import Connection, Convolution, Dense, Own, Sparse, Tied
from assembly.graph.description import CONSTANT, INPUT, SOFTMAX, Graph
from assembly.kernels import activation


@dataclass(frozen=True, eq=False)
class Segment:
    """The nodes of one group, with the blocks that enter it.

    Attributes
    ----------
    nodes : slice
        Range of nodes.
    incoming : tuple of int
        Positions of the blocks into it; empty for the inputs and the constant.
    is_softmax : bool
        True if its activations are the softmax of its pre-activations.
    """

    nodes: slice
    incoming: tuple[int, ...]
    is_softmax: bool


@dataclass(frozen=True, eq=False)
class Program:
    """Flat arrays that every evaluation runs on.

    Attributes
    ----------
    n_nodes, n_parameters : int
        Neurons (inputs and constant included) and trainable weights.
    inputs : slice
        Nodes that hold the input.
    constant : slice
        Node that holds 1, for biases; empty if there are none.
    segments : tuple of Segment
        In topological order.
    blocks : tuple of Block
        In the order of the parameters.
    codes : ndarray of shape (n_nodes,), int64
        Activation function of every node; the identity for the inputs, the constant and softmax groups.
    outputs : ndarray of shape (n_outputs,), int64
        Output nodes.
    dtype : dtype
        float64 or float32, of every array.
    """

    n_nodes: int
    n_parameters: int
    inputs: slice
    constant: slice
    segments: tuple[Segment, ...]
    blocks: tuple[Block, ...]
    codes: NDArray[np.int64]
    outputs: NDArray[np.int64]
    dtype: np.dtype[Any]

    @cached_property
    def trainable(self) -> tuple[int, ...]:
        """Positions of the blocks that have parameters."""
        return tuple(i for i, block in enumerate(self.blocks) if block.parameters is not None)

    @cached_property
    def coordinates(self) -> dict[int, slice]:
        """Where the weights of blocks outside node space stand among the coordinates that come after s and t.

        Block position -> range; blocks of one pool have one range.
        """
        ranges: dict[tuple[int, int], slice] = {}
        found: dict[int, slice] = {}
        for i in self.trainable:
            part = self.blocks[i].parameters
            if part is not None and not self.blocks[i].in_node_space:
                start = max((known.stop for known in ranges.values()), default=0)
                found[i] = ranges.setdefault((part.start, part.stop), slice(start, start + part.stop - part.start))
        return found

    @cached_property
    def n_coordinates(self) -> int:
        """Length of a node-space vector: s, t, and the weights outside node space."""
        return 2 * self.n_nodes + max((part.stop for part in self.coordinates.values()), default=0)

    def starts_of(self, nodes: Iterable[int]) -> set[int]:
        """Return where the segments begin that hold some nodes."""
        starts = [segment.nodes.start for segment in self.segments]
        return {starts[bisect.bisect_right(starts, node) - 1] for node in nodes}

    @cached_property
    def last_pulls(self) -> dict[int, int]:
        """Position of the block after which the adjoints of a segment are complete, by the start of its nodes.

        Of segments whose slope is one for every neuron, as far as blocks leave them.
        """
        found: dict[int, int] = {}
        for segment in reversed(self.segments):
            for position in segment.incoming:
                if not self.blocks[position].from_given:
                    found[self.blocks[position].source.start] = position
        elementwise = [segment.nodes.start for segment in self.segments if not segment.is_softmax]
        return {start: found[start] for start in elementwise if start in found}

    @property
    def shares_between_blocks(self) -> bool:
        """True if several blocks read the same weights."""
        parts = [self.blocks[i].parameters for i in self.trainable]
        return len({(part.start, part.stop) for part in parts if part is not None}) < len(parts)

    @property
    def is_edgewise(self) -> bool:
        """True if every trainable edge has a weight of its own and every neuron its own activation function."""
        separate = all(self.blocks[i].is_edgewise for i in self.trainable)
        return separate and not any(segment.is_softmax for segment in self.segments)


def lower(graph: Graph, dtype: np.dtype[Any]) -> Program:
    """Lower a graph: number its nodes group after group and bind its connections to the ranges.

    Cost: one pass over the structure of frozen and sparse connections; weights are not touched.
    """
    bounds = np.cumsum([0, *(group.size for group in graph.groups)])
    ranges = [slice(int(start), int(stop)) for start, stop in itertools.pairwise(bounds)]
    codes = np.zeros(int(bounds[-1]), dtype=np.int64)
    for group, nodes in zip(graph.groups, ranges, strict=True):
        if not group.is_given and group.activation != SOFTMAX:
            codes[nodes] = (
                activation.codes_of(group.activation)
                if isinstance(group.activation, tuple)
                else activation.code_of(group.activation)
            )
    users = _users(graph)
    blocks = tuple(
        _bind(connection, part, users.get(part.start) if part else None, ranges, graph, dtype)
        for connection, part in zip(graph.connections, graph.slices, strict=True)
    )
    return Program(
        n_nodes=int(bounds[-1]),
        n_parameters=graph.n_parameters,
        inputs=_range_of(graph, ranges, INPUT),
        constant=_range_of(graph, ranges, CONSTANT),
        segments=tuple(
            Segment(nodes, incoming, group.activation == SOFTMAX)
            for nodes, incoming, group in zip(ranges, graph.incoming, graph.groups, strict=True)
        ),
        blocks=blocks,
        codes=codes,
        outputs=np.array([ranges[group].start + position for group, position in graph.outputs], dtype=np.int64),
        dtype=dtype,
    )


def _range_of(graph: Graph, ranges: list[slice], kind: str) -> slice:
    return next((r for group, r in zip(graph.groups, ranges, strict=True) if group.activation == kind), slice(0, 0))


def _users(graph: Graph) -> dict[int, NDArray[np.int64]]:
    """How many edges read each weight of tied connections, by where the weights begin."""
    users: dict[int, NDArray[np.int64]] = {}
    for connection, part in zip(graph.connections, graph.slices, strict=True):
        if isinstance(connection, Tied) and part is not None:
            counted = np.bincount(connection.weight, minlength=connection.n_weights)
            users[part.start] = users.get(part.start, 0) + counted
    return users


def _bind(
    connection: Connection,
    parameters: slice | None,
    users: NDArray[np.int64] | None,
    ranges: list[slice],
    graph: Graph,
    dtype: np.dtype[Any],
) -> Block:
    values = None if connection.values is None else np.ascontiguousarray(connection.values, dtype=dtype)
    if isinstance(connection, Dense) and values is not None:
        values = values.reshape(connection.n_target, connection.n_source)
    shared = (
        ranges[connection.source],
        ranges[connection.target],
        connection.factor.astype(dtype),
        parameters,
        values,
        graph.groups[connection.source].is_given,
    )
    match connection:
        case Dense():
            return DenseBlock(*shared)
        case Sparse():
            return SparseBlock(*shared, connection.indptr, connection.indices)
        case Tied():
            assert users is not None
            return TiedBlock(*shared, connection.indptr, connection.indices, connection.weight, users)
        case Convolution():
            return ConvolutionBlock(*shared, connection.windows, connection.n_channels)
        case Own():
            if graph.groups[connection.source].activation != INPUT or (connection.factor != 1.0).any():
                raise GraphError("A connection of own sub-models must come from the inputs, with all factors 1.")
            return OwnBlock(*shared, connection.functions)


def in_double(program: Program) -> Program:
    """Return the program of the same numbers with arithmetic in float64."""
    blocks = tuple(
        replace(
            block,
            factor=block.factor.astype(np.float64),
            values=None if block.values is None else block.values.astype(np.float64),
        )
        for block in program.blocks
    )
    return replace(program, blocks=blocks, dtype=np.dtype(np.float64))
