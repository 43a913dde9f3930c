r"""Gradients of all neurons of a layer against each other, by recursion over pairs of groups.

With G over activations and P over pre-activations of neurons at inputs x (rows) and x' (columns),

.. math:: P_{ij} = c_i^2 \delta_{ij} \sum_u a_u(x) a_u(x') + \sum_{u, u'} c_i w_{iu}\, G_{u u'}\, c_j w_{ju'},
          \qquad G_{ij} = \sigma_i'(x)\, \sigma_j'(x')\, P_{ij}

where the first term runs over trainable edges and G vanishes at the inputs.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.evaluation import Evaluation
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
    size = max(segment.nodes.stop - segment.nodes.start for segment in evaluation.program.segments)
    needed = (len(evaluation.program.segments) + 2) * size**2 * evaluation.program.dtype.itemsize
    check_fits(f"The Gram matrices of layers of up to {size:,} neurons", needed, "use smaller widths or dtype float32")
    recursion = _Recursion(evaluation, row, other)
    return np.block([[recursion.post(i, j) for j in segments] for i in segments])


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
        own = np.zeros(nodes.stop - nodes.start, self.program.dtype)
        total = np.zeros((len(own), len(own)), self.program.dtype)
        for position in self.program.segments[segment].incoming:
            block = self.program.blocks[position]
            if block.parameters is not None:
                own += block.factor**2 * block.products(self.evaluation.post[x], self.evaluation.post[y])
            if not block.from_given:
                total += self._multiply(position, self.cross(self.segment_of[block.source.start], segment))
        total[np.diag_indices(len(own))] += own
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
        slopes = self.evaluation.first
        left, right = self.program.segments[first].nodes, self.program.segments[second].nodes
        if first == second:
            own: Matrix = slopes[x, left, None] * self.pre(first) * slopes[y, None, right]
            return own
        if first < second:
            between: Matrix = self.cross(first, second) * slopes[y, None, right]
            return between
        return self.mirror.post(second, first).T

    def _multiply(self, position: int, right: Matrix) -> Matrix:
        return self.program.blocks[position].multiply(self.evaluation.weights[position], right)
