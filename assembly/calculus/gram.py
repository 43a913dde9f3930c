r"""Gradients of all neurons of a layer against each other, by recursion over pairs of groups.

With G over activations and P over pre-activations of neurons at inputs x (rows) and x' (columns),

.. math:: P_{ij} = c_i^2 \delta_{ij} \sum_u a_u(x) a_u(x') + \sum_{u, u'} c_i w_{iu}\, G_{u u'}\, c_j w_{ju'},
          \qquad G_{ij} = \sigma_i'(x)\, \sigma_j'(x')\, P_{ij}

where the first term runs over trainable edges and G vanishes at the inputs. Where edges share weights, what i and j
share takes the place of the Kronecker delta. Weights that connections of different layers share have no such recursion:
there the gradients themselves are multiplied.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    Cost: two matrix products per pair of groups met, in a layered network one pair per layer; memory the matrices of
    all pairs met.
    """
    if evaluation.program.shares_between_blocks:
        return _gradients(evaluation, segments, row) @ _gradients(evaluation, segments, other).T
    size = max(segment.nodes.stop - segment.nodes.start for segment in evaluation.program.segments)
    needed = (len(evaluation.program.segments) + 2) * size**2 * evaluation.program.dtype.itemsize
    check_fits(f"The Gram matrices of layers of up to {size:,} neurons", needed, "use smaller widths or dtype float32")
    recursion = _Recursion(evaluation, row, other)
    gram = np.block([[recursion.post(i, j) for j in segments] for i in segments])
    vars(recursion).pop("mirror", None)  # the two hold each other, and the matrices would wait for the collector
    return gram


class _Recursion:
    def __init__(self, evaluation: Evaluation, row: int, other: int) -> None:
        self.evaluation = evaluation
        self.program = evaluation.program
        self.rows = (row, other)
        self._known: dict[tuple[int, int], Matrix] = {}
        self.segment_of = {segment.nodes.start: i for i, segment in enumerate(self.program.segments)}

    @cached_property
    def mirror(self) -> _Recursion:
        """The same recursion with the two inputs exchanged."""
        mirror = _Recursion(self.evaluation, *reversed(self.rows))
        mirror.mirror = self
        return mirror

    def pre(self, segment: int) -> Matrix:
        """P within one segment: own in-weights, plus W G W^T over all pairs of sources."""
        nodes = self.program.segments[segment].nodes
        x, y = self.rows
        size = nodes.stop - nodes.start
        total = np.zeros((size, size), self.program.dtype)
        for position in self.program.segments[segment].incoming:
            block = self.program.blocks[position]
            if block.parameters is not None:
                own = block.own_gram(
                    self.evaluation.weights[position], self.evaluation.post[x], self.evaluation.post[y]
                )
                if own.ndim == 1:
                    total[np.diag_indices(size)] += own
                else:
                    total += own
            if not block.from_given:
                total += self._multiply(position, self.cross(self.segment_of[block.source.start], segment))
        return total

    def cross(self, earlier: int, later: int) -> Matrix:
        """<grad a_u(x), grad z_j(x')> for u in an earlier segment and j in a later one."""
        sources = self.program.segments[earlier].nodes
        targets = self.program.segments[later].nodes
        total = np.zeros((sources.stop - sources.start, targets.stop - targets.start), self.program.dtype)
        for position in self.program.segments[later].incoming:
            block = self.program.blocks[position]
            if not block.from_given:
                pairs = self.post(earlier, self.segment_of[block.source.start])
                total += self._multiply(position, pairs.T).T
        return total

    def post(self, first: int, second: int) -> Matrix:
        """G of two segments, computed once."""
        if (first, second) not in self._known:
            self._known[first, second] = self._post(first, second)
        return self._known[first, second]

    def _post(self, first: int, second: int) -> Matrix:
        x, y = self.rows
        if first == second:
            return self._through(first, x, self._through(first, y, self.pre(first)).T).T
        if first < second:
            return self._through(second, y, self.cross(first, second))
        return self.mirror.post(second, first).T

    def _through(self, segment: int, row: int, matrix: Matrix) -> Matrix:
        """Return the columns of a matrix, which stand for pre-activations of a segment, through its activations."""
        nodes = self.program.segments[segment].nodes
        if self.program.segments[segment].is_softmax:
            return softmax_slope(self.evaluation.post[row, nodes], matrix)
        product: Matrix = matrix * self.evaluation.first[row, nodes]
        return product

    def _multiply(self, position: int, right: Matrix) -> Matrix:
        return self.program.blocks[position].multiply(self.evaluation.weights[position], right)


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
