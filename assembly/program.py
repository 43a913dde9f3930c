"""A graph lowered to flat ranges of nodes in topological order; a dense block stays a dense block."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks import Block, DenseBlock, SparseBlock
from assembly.graph.connections import Connection, Dense
from assembly.graph.description import CONSTANT, INPUT, Graph
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
    """

    nodes: slice
    incoming: tuple[int, ...]


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
        Activation function of every node; the identity for the inputs and the constant.
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

    def weights(self, parameters: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the weights of every block as views of the flat parameters."""
        return [block.weights(parameters) for block in self.blocks]


def lower(graph: Graph, dtype: np.dtype[Any]) -> Program:
    """Lower a graph: number its nodes group after group and bind its connections to the ranges.

    Cost: one pass over the structure of frozen and sparse connections; weights are not touched.
    """
    bounds = np.cumsum([0, *(group.size for group in graph.groups)])
    ranges = [slice(int(start), int(stop)) for start, stop in itertools.pairwise(bounds)]
    codes = np.zeros(int(bounds[-1]), dtype=np.int64)
    for group, nodes in zip(graph.groups, ranges, strict=True):
        if not group.is_given:
            codes[nodes] = (
                activation.codes_of(group.activation)
                if isinstance(group.activation, tuple)
                else activation.code_of(group.activation)
            )
    blocks = tuple(
        _bind(connection, offset, ranges, graph.groups[connection.source].is_given, dtype)
        for connection, offset in zip(graph.connections, graph.offsets, strict=True)
    )
    return Program(
        n_nodes=int(bounds[-1]),
        n_parameters=graph.n_parameters,
        inputs=_range_of(graph, ranges, INPUT),
        constant=_range_of(graph, ranges, CONSTANT),
        segments=tuple(Segment(nodes, incoming) for nodes, incoming in zip(ranges, graph.incoming, strict=True)),
        blocks=blocks,
        codes=codes,
        outputs=np.array([ranges[group].start + position for group, position in graph.outputs], dtype=np.int64),
        dtype=dtype,
    )


def _range_of(graph: Graph, ranges: list[slice], kind: str) -> slice:
    return next((r for group, r in zip(graph.groups, ranges, strict=True) if group.activation == kind), slice(0, 0))


def _bind(
    connection: Connection, offset: int | None, ranges: list[slice], from_given: bool, dtype: np.dtype[Any]
) -> Block:
    source, target = ranges[connection.source], ranges[connection.target]
    factor = connection.factor.astype(dtype)
    parameters = None if offset is None else slice(offset, offset + connection.n_edges)
    values = None if connection.values is None else np.ascontiguousarray(connection.values, dtype=dtype)
    if isinstance(connection, Dense):
        shaped = None if values is None else values.reshape(connection.n_target, connection.n_source)
        return DenseBlock(source, target, factor, parameters, shaped, from_given)
    return SparseBlock(source, target, factor, parameters, values, from_given, connection.indptr, connection.indices)
