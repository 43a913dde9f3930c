r"""Gradients of all neurons of a layer against each other, by recursion over pairs of groups.

With G over activations and P over pre-activations of neurons at inputs x (rows) and x' (columns),

.. math:: P_{ij} = c_i^2 \delta_{ij} \sum_u a_u(x) a_u(x') + \sum_{u, u'} c_i w_{iu}\, G_{u u'}\, c_j w_{ju'},
          \qquad G_{ij} = \sigma_i'(x)\, \sigma_j'(x')\, P_{ij}

where the first term runs over trainable edges and G vanishes at the inputs. Where edges share weights, what i and j
share takes the place of the Kronecker delta. Weights that connections of different layers share have no such recursion:
there the gradients themselves are multiplied.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks import products
from assembly.calculus.evaluation import Evaluation, backward, scatter
from assembly.calculus.response import softmax_slope
from assembly.memory import check_fits

Matrix = NDArray[Any]


def neuron_gram(evaluation: Evaluation, segments: tuple[int, ...], row: int, other: int) -> Matrix:
    """Return ``<grad a_i(x), grad a_j(x')>`` over the neurons of some segments, one after the other.

    Parameters
    ----------
    evaluation : Evaluation
    segments : tuple of int
        Positions of the segments in the program: those of a layer.
    row, other : int
        Samples x and x'.

    Notes
    -----
    Cost: two matrix products per pair of groups met, in a layered network one pair per layer, and three quarters of
    that where x is x'; nothing for the first layer, whose matrix is diagonal. Memory: in a layered network three
    matrices of the widest layer, else the matrices of all pairs met.
    """
    program = evaluation.program
    if program.shares_between_blocks:
        return _gradients(evaluation, segments, row) @ _gradients(evaluation, segments, other).T
    recursion = _Recursion(evaluation, row, other, segments)
    size = max(segment.nodes.stop - segment.nodes.start for segment in program.segments)
    n_matrices = 3 if recursion.is_a_chain else len(program.segments) + 2
    needed = n_matrices * size**2 * program.dtype.itemsize
    check_fits(f"The Gram matrices of layers of up to {size:,} neurons", needed, "use smaller widths or dtype float32")
    parts = [[_full(recursion.post(i, j)) for j in segments] for i in segments]
    vars(recursion).pop("mirror", None)  # the two hold each other, and the matrices would wait for the collector
    return parts[0][0] if len(segments) == 1 else np.block(parts)


def _full(gram: Matrix) -> Matrix:
    return np.diag(gram) if gram.ndim == 1 else gram


class _Recursion:
    """G and P of pairs of segments; of one segment with nothing off the diagonal, their diagonals."""

    def __init__(self, evaluation: Evaluation, row: int, other: int, asked: tuple[int, ...]) -> None:
        self.evaluation = evaluation
        self.program = evaluation.program
        self.rows = (row, other)
        self.asked = asked
        self._known: dict[tuple[int, int], Matrix] = {}
        self.segment_of = {segment.nodes.start: i for i, segment in enumerate(self.program.segments)}
        links = [block for block in self.program.blocks if not block.from_given]
        self._n_readers = Counter(self.segment_of[block.source.start] for block in links)
        self._n_read = Counter(self.segment_of[block.target.start] for block in links)

    @property
    def is_a_chain(self) -> bool:
        """True if every segment reads at most one other and is read by at most one."""
        return max([0, *self._n_readers.values(), *self._n_read.values()]) <= 1

    @cached_property
    def mirror(self) -> _Recursion:
        """The same recursion with the two inputs exchanged."""
        if self.rows[0] == self.rows[1]:
            return self
        mirror = _Recursion(self.evaluation, self.rows[1], self.rows[0], self.asked)
        mirror.mirror = self
        return mirror

    def pre(self, segment: int) -> Matrix:
        """P within one segment: own in-weights, plus W G W^T over all pairs of sources."""
        own, links = self._own(segment), self._links(segment)
        if len(links) == 1:
            return _sum(self._only_link(links[0]), own)
        total = own
        for position in links:
            crossed = self.cross(self.segment_of[self.program.blocks[position].source.start], segment)
            total = _sum(self._multiply(position, crossed), total)
        return total

    def cross(self, earlier: int, later: int) -> Matrix:
        """<grad a_u(x), grad z_j(x')> for u in an earlier segment and j in a later one."""
        sources = self.program.segments[earlier].nodes
        targets = self.program.segments[later].nodes
        total = np.zeros((sources.stop - sources.start, targets.stop - targets.start), self.program.dtype)
        for position in self._links(later):
            pairs = self.post(earlier, self.segment_of[self.program.blocks[position].source.start])
            total += self._multiply(position, _full(pairs).T).T
        return total

    def post(self, first: int, second: int) -> Matrix:
        """G of two segments, computed once."""
        if (first, second) not in self._known:
            self._known[first, second] = self._post(first, second)
        return self._known[first, second]

    def _post(self, first: int, second: int) -> Matrix:
        if first == second:
            return self._between(first, self.pre(first))
        if first < second:
            return self._through(second, self.rows[1], self.cross(first, second))
        return self.mirror.post(second, first).T

    def _links(self, segment: int) -> list[int]:
        """Positions of the blocks into a segment from neurons."""
        incoming = self.program.segments[segment].incoming
        return [position for position in incoming if not self.program.blocks[position].from_given]

    def _own(self, segment: int) -> Matrix:
        """What the neurons of a segment share through their own in-weights; a diagonal if nothing."""
        nodes, (x, y) = self.program.segments[segment].nodes, self.rows
        total = np.zeros(nodes.stop - nodes.start, self.program.dtype)
        for position in self.program.segments[segment].incoming:
            block = self.program.blocks[position]
            if block.parameters is not None:
                weights, post = self.evaluation.weights[position], self.evaluation.post
                total = _sum(block.own_gram(weights, post[x], post[y]), total)
        return total

    def _only_link(self, position: int) -> Matrix:
        """W G W^T, where nothing else comes from neurons; G is forgotten if nobody else reads it."""
        block = self.program.blocks[position]
        source = self.segment_of[block.source.start]
        gram = self.post(source, source)
        if self._n_readers[source] == 1 and source not in self.asked:
            del self._known[source, source]
        return block.congruence(self.evaluation.weights[position], gram, symmetric=self.rows[0] == self.rows[1])

    def _between(self, segment: int, pre: Matrix) -> Matrix:
        """Return P within a segment through its activations on both sides, in its place if it is a matrix."""
        (x, y), part = self.rows, self.program.segments[segment]
        if part.is_softmax:
            return self._through(segment, x, self._through(segment, y, _full(pre)).T).T
        first = self.evaluation.first[:, part.nodes]
        if pre.ndim == 1:
            pre *= first[x] * first[y]
            return pre
        products.scale(pre, first[x], first[y])
        return pre

    def _through(self, segment: int, row: int, matrix: Matrix) -> Matrix:
        """Return the columns of a matrix, which stand for pre-activations of a segment, through its activations."""
        nodes = self.program.segments[segment].nodes
        if self.program.segments[segment].is_softmax:
            return softmax_slope(self.evaluation.post[row, nodes], matrix)
        product: Matrix = matrix * self.evaluation.first[row, nodes]
        return product

    def _multiply(self, position: int, right: Matrix) -> Matrix:
        return self.program.blocks[position].multiply(self.evaluation.weights[position], right)


def _sum(one: Matrix, other: Matrix) -> Matrix:
    """Return the sum of two square matrices, either of which may be given by its diagonal; in the place of one."""
    if one.ndim < other.ndim:
        one, other = other, one
    if one.ndim > other.ndim:
        one[np.diag_indices(len(one))] += other
    else:
        one += other
    return one


def _gradients(evaluation: Evaluation, segments: tuple[int, ...], row: int) -> Matrix:
    """Return the gradients of all neurons of some segments in all parameters; a backward pass for each."""
    program = evaluation.program
    nodes = [node for i in segments for node in range(program.segments[i].nodes.start, program.segments[i].nodes.stop)]
    needed = 2 * len(nodes) * program.n_parameters * program.dtype.itemsize
    check_fits(f"The gradients of {len(nodes):,} neurons", needed, "use smaller widths or dtype float32")
    one = evaluation.at_row(row)
    found = np.empty((len(nodes), program.n_parameters), program.dtype)
    for out, node in zip(found, nodes, strict=True):
        b = backward(one, node).pre[0]
        scatter(one, b, np.zeros_like(b), one.post[0], b, out)
    return found
