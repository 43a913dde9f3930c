r"""Every neuron over its parents: who carries its pre-activation, and who its gradient.

A pre-activation :math:`z_v = \sum_u c_v w_{uv} a_u` is itself an assembly, of the parents of v. The shares of a parent
u in it are

=========  ===========================================================================================
value      :math:`|c_v w_{uv} a_u|`, over the sum of these
gradient   :math:`(c_v w_{uv})^2 |\partial a_u/\partial w_u|^2`, own in-weights of u, over the sum of these
adjoint    :math:`(c_v w_{uv})^2`, inputs left out, over the sum of these
=========  ===========================================================================================

The constant of a bias is no parent. An input is one that has a value and no more; neurons with no other parents are
left out. In-weights of u that read one number count edge by edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Block, NodeBlock
from assembly.blocks.convolution import ConvolutionBlock
from assembly.blocks.dense import DenseBlock
from assembly.blocks.own import OwnBlock
from assembly.blocks.sparse import SparseBlock
from assembly.blocks.tied import TiedBlock
from assembly.calculus.evaluation import Evaluation
from assembly.graph.windows import OUTSIDE
from assembly.program import Segment

EDGES_AT_ONCE = 2**18  # what is made of them stays in a cache

Vector = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ParentShares:
    """Of every node, its largest parent.

    Attributes
    ----------
    largest : ndarray of shape (n_nodes,)
        Share of that parent, in (0, 1]; NaN where there is none, or none contributes.
    parent : ndarray of shape (n_nodes,), int64
        Its node; -1 where there is none.
    effective_number : ndarray of shape (n_nodes,)
        1 / sum of squared shares over all parents; NaN as above.
    """

    largest: NDArray[np.float64]
    parent: NDArray[np.int64]
    effective_number: NDArray[np.float64]


def parent_shares(evaluation: Evaluation) -> dict[str, ParentShares]:
    """Return the largest parent of every node by value, gradient and adjoint, shares averaged over the samples.

    At a sample where no parent of a node contributes the shares of that node are left out of its average.

    Notes
    -----
    Cost: two passes over the edges per sample and kind; memory a few times `EDGES_AT_ONCE` numbers.
    """
    is_part = np.ones((1, evaluation.program.n_nodes))
    is_part[:, evaluation.program.inputs] = 0.0
    return {
        "value": _largest_parents(evaluation, np.abs(evaluation.post), power=1),
        "gradient": _largest_parents(evaluation, own_squared_gradients(evaluation), power=2),
        "adjoint": _largest_parents(evaluation, is_part, power=2),
    }


def own_squared_gradients(evaluation: Evaluation) -> Vector:
    """Return ``|da_v/dw_v|^2`` in the in-weights of every node, counted edge by edge, shape (n_samples, n_nodes)."""
    program, found = evaluation.program, np.zeros_like(evaluation.post)
    for position in program.trainable:
        block, weights = program.blocks[position], evaluation.weights[position]
        for out, a in zip(found, evaluation.post, strict=True):
            out[block.target] += _own_square(block, weights, a)
    for segment in program.segments:
        p = evaluation.post[:, segment.nodes]
        slope = p * (1.0 - p) if segment.is_softmax else evaluation.first[:, segment.nodes]
        found[:, segment.nodes] *= slope**2
    return found


def _own_square(block: Block, weights: Vector, a: Vector) -> Vector:
    if isinstance(block, NodeBlock):
        square: Vector = block.factor**2 * block.products(a, a)
        return square
    if isinstance(block, OwnBlock):
        return np.asarray(np.sum(block.gradients(weights, a) ** 2, axis=1))
    indptr, sources, _ = in_edges(block, weights, 0, block.n_target)
    total = np.zeros(block.n_target, block.factor.dtype)
    rows = _rows(indptr)
    np.add.at(total, rows, (block.factor[rows] * a[block.source][sources]) ** 2)
    return total


def child_contributions(evaluation: Evaluation) -> dict[str, Vector]:
    r"""Return what every node has in its children, as squares by kind, shape (n_samples, n_nodes) each.

    With the squared weights that leave u, :math:`o_u = \sum_v (c_v w_{uv})^2`: "adjoint" :math:`o_u`, the squared
    derivative of all its children; "value" :math:`o_u a_u^2`, the squares of its terms in them; and "gradient"
    :math:`o_u |\partial a_u/\partial w_u|^2`.

    Notes
    -----
    Cost: one pass over the edges.
    """
    program = evaluation.program
    leaving = np.zeros(program.n_nodes)
    for segment in program.segments:
        for start, stop in _chunks(evaluation, segment):
            for position in _parents_of(evaluation, segment):
                block = program.blocks[position]
                indptr, source, weight = in_edges(block, evaluation.weights[position], start, stop)
                square = (block.factor[start:stop][_rows(indptr)] * weight).astype(np.float64) ** 2
                leaving[block.source] += np.bincount(source, square, minlength=block.source.stop - block.source.start)
    return {
        "value": leaving * evaluation.post.astype(np.float64) ** 2,
        "gradient": leaving * own_squared_gradients(evaluation).astype(np.float64),
        "adjoint": np.broadcast_to(leaving, evaluation.post.shape),
    }


def in_edges(block: Block, weights: Vector, start: int, stop: int) -> tuple[NDArray[np.int64], Vector, Vector]:
    """Return the in-edges of targets start..stop-1 by rows: row pointers, sources within the block, weights.

    Raises
    ------
    TypeError
        If the targets of the block are sub-models of the user's own, whose weights belong to no edge.
    """
    n = stop - start
    match block:
        case DenseBlock():
            n_source = block.shape[1]
            return np.arange(n + 1) * n_source, np.tile(np.arange(n_source), n), weights[start:stop].ravel()
        case SparseBlock():
            edges = slice(int(block.indptr[start]), int(block.indptr[stop]))
            return block.indptr[start : stop + 1] - block.indptr[start], block.indices[edges], weights[edges]
        case TiedBlock():
            edges = slice(int(block.indptr[start]), int(block.indptr[stop]))
            own = weights[block.number[edges]]
            return block.indptr[start : stop + 1] - block.indptr[start], block.indices[edges], own
        case ConvolutionBlock():
            windows = block.windows
            channel, window = np.divmod(np.arange(start, stop), windows.n_windows)
            pixel = windows.pixels[window][:, None, :]
            sources = np.where(
                pixel == OUTSIDE, OUTSIDE, pixel + windows.n_pixels * np.arange(windows.channels)[:, None]
            ).reshape(n, -1)
            inside = sources != OUTSIDE
            return np.concatenate([[0], np.cumsum(inside.sum(axis=1))]), sources[inside], weights[channel][inside]
    raise TypeError(f"{type(block).__name__} has no edges one by one.")


def _rows(indptr: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def _largest_parents(evaluation: Evaluation, size: Vector, power: int) -> ParentShares:
    """Shares ``|c_v w_uv|^power size_u``, averaged over the samples, by the largest."""
    n_nodes = evaluation.program.n_nodes
    found = ParentShares(np.full(n_nodes, np.nan), np.full(n_nodes, -1), np.full(n_nodes, np.nan))
    for segment in evaluation.program.segments:
        for start, stop in _chunks(evaluation, segment):
            _fill(evaluation, segment, start, stop, size, power, found)
    return found


def _parents_of(evaluation: Evaluation, segment: Segment) -> list[int]:
    """Positions of the blocks from parents that have edges: no constant, no sub-model of the user's own."""
    blocks, constant = evaluation.program.blocks, evaluation.program.constant
    is_bias = {p for p in segment.incoming if blocks[p].source == constant and constant.stop > constant.start}
    return [p for p in segment.incoming if p not in is_bias and not isinstance(blocks[p], OwnBlock)]


def _chunks(evaluation: Evaluation, segment: Segment) -> Iterator[tuple[int, int]]:
    size = segment.nodes.stop - segment.nodes.start
    blocks = [evaluation.program.blocks[p] for p in _parents_of(evaluation, segment)]
    if not all(block.from_given for block in blocks):
        widest = max(block.source.stop - block.source.start for block in blocks)
        step = max(1, EDGES_AT_ONCE // widest)
        yield from ((start, min(start + step, size)) for start in range(0, size, step))


def _fill(
    evaluation: Evaluation, segment: Segment, start: int, stop: int, size: Vector, power: int, found: ParentShares
) -> None:
    """Enter the targets start..stop-1 of a segment."""
    positions = _parents_of(evaluation, segment)
    is_dense = all(isinstance(evaluation.program.blocks[p], DenseBlock) for p in positions)
    one = (_of_matrices if is_dense else _of_edges)(evaluation, positions, slice(start, stop), size, power)
    known = np.flatnonzero(~np.isnan(one.largest))
    nodes = segment.nodes.start + start + known
    found.largest[nodes] = one.largest[known]
    found.parent[nodes] = one.parent[known]
    found.effective_number[nodes] = one.effective_number[known]


def _of_matrices(
    evaluation: Evaluation, positions: Sequence[int], rows: slice, size: Vector, power: int
) -> ParentShares:
    """Targets that read every source of their blocks: an edge is an entry of a matrix, and nothing is gathered."""
    blocks = [evaluation.program.blocks[p] for p in positions]
    scale = np.hstack(
        [
            np.abs(block.factor[rows, None] * evaluation.weights[p][rows]).astype(np.float64)
            for block, p in zip(blocks, positions, strict=True)
        ]
    )
    scale **= power
    source = np.concatenate([np.arange(block.source.start, block.source.stop) for block in blocks])
    n_counted, share = np.zeros(len(scale)), np.zeros_like(scale)
    for one in size:
        contribution = scale * one[source]
        total = contribution.sum(axis=1)
        counts = total > 0.0
        n_counted += counts
        contribution *= np.divide(1.0, total, out=np.zeros(len(scale)), where=counts)[:, None]
        share += contribution
    share /= np.maximum(n_counted, 1.0)[:, None]
    winner = share.argmax(axis=1)
    largest = np.where(n_counted > 0.0, share[np.arange(len(share)), winner], np.nan)
    with np.errstate(divide="ignore"):
        return ParentShares(largest, source[winner], 1.0 / np.einsum("ij,ij->i", share, share))


def _of_edges(evaluation: Evaluation, positions: Sequence[int], rows: slice, size: Vector, power: int) -> ParentShares:
    """Targets with parents of their own, edge by edge."""
    n, pieces = rows.stop - rows.start, []
    for position in positions:
        block = evaluation.program.blocks[position]
        indptr, source, weight = in_edges(block, evaluation.weights[position], rows.start, rows.stop)
        row = _rows(indptr)
        scale = np.abs(block.factor[rows][row] * weight).astype(np.float64) ** power
        pieces.append((row, source.astype(np.int64) + block.source.start, scale))
    row, source, scale = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    share, n_counted = np.zeros(len(row)), np.zeros(n)
    for one in size:
        contribution = scale * one[source]
        total = np.bincount(row, contribution, minlength=n)
        counts = total > 0.0
        n_counted += counts
        share += contribution * np.divide(1.0, total, out=np.zeros(n), where=counts)[row]
    share /= np.maximum(n_counted, 1.0)[row]
    best, parent = np.zeros(n), np.full(n, -1)
    np.maximum.at(best, row, share)
    winner = np.flatnonzero((share == best[row]) & (share > 0.0))[::-1]  # the first edge of several is written last
    parent[row[winner]] = source[winner]
    largest = np.where(n_counted > 0.0, best, np.nan)
    with np.errstate(divide="ignore"):
        return ParentShares(largest, parent, 1.0 / np.bincount(row, share**2, minlength=n))
