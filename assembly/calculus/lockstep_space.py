r"""Many Hessians in node space, in lockstep: :math:`H_i = Z_i^T M_i Z_i`, a row each.

For rows (s, t) of vectors, one for every operator, the passes of `assembly.calculus.node_space` become matrix products.

`at_inputs` makes those of one output at many inputs, `assembly.calculus.lockstep_neurons` those of many neurons at one.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Local, NodeBlock
from assembly.calculus.evaluation import Evaluation
from assembly.calculus.node_space import check_balance, check_resolution
from assembly.calculus.response import softmax_bend, softmax_slope
from assembly.program import Program, Segment

Rows = NDArray[Any]


class LockstepHessians:
    """Many operators on one node space, as maps M and N on rows of node-space vectors.

    Rows have shape (n, size): s (or p) of the nodes, then t (or q), then r.

    Parameters
    ----------
    program : Program
    weights : list of ndarray
    segments : tuple of Segment
        Those whose nodes have coordinates, the first of the program.
    values : tuple of ndarray
        a, sigma', sigma'' of shape (n, n_nodes), or (1, n_nodes) where they are common.
    adjoints : tuple of ndarray of shape (n, n_nodes)
        df/da and df/dz.
    own : list of tuple of slice and ndarray
        Sources and ``sum c^2`` of edges that have a share in N and are in no block of `segments`.

    Raises
    ------
    SaturationError
        If squares of the derivatives of an operator, or of all activations, under- or overflow.
    """

    def __init__(
        self,
        program: Program,
        weights: list[Rows],
        segments: tuple[Segment, ...],
        values: tuple[Rows, Rows, Rows],
        adjoints: tuple[Rows, Rows],
        own: list[tuple[slice, Rows]],
    ) -> None:
        self.program, self.weights, self.segments = program, weights, segments
        self.dtype = program.dtype
        self.n_nodes = program.n_nodes if program.coordinates else segments[-1].nodes.stop
        self.size = 2 * self.n_nodes + program.n_coordinates - 2 * program.n_nodes
        self.a, self.first, self.second = values
        self.abar, self.b = adjoints
        self.own = own
        for row in self.b:
            check_resolution("The derivatives of the output", row)
        for row in self.a:
            check_resolution("The activations", row)
        self._bind()
        for a, b in zip(np.broadcast_to(self.a, self.b.shape), self.b, strict=True):
            check_balance(self._inside, a, b)

    def __len__(self) -> int:
        return len(self.b)

    def take(self, rows: NDArray[np.int64]) -> LockstepHessians:
        """Return the same maps for some of the rows."""
        other = copy.copy(self)
        other.abar, other.b = self.abar[rows], self.b[rows]
        if len(self.a) == len(self):
            other.a, other.first, other.second = self.a[rows], self.first[rows], self.second[rows]
        other.own = [(source, squares[rows]) for source, squares in self.own]
        other._bind()
        return other

    def split(self, rows: Rows) -> tuple[Rows, Rows]:
        """Return s and t of rows as views."""
        return rows[:, : self.n_nodes], rows[:, self.n_nodes : 2 * self.n_nodes]

    def rest(self, rows: Rows) -> Rows:
        """Return r of rows, the weights outside node space, as a view."""
        return rows[:, 2 * self.n_nodes :]

    def M(self, rows: Rows) -> Rows:  # noqa: N802
        """Nodes to nodes: a forward and a backward tangent pass, two matrix products for every block below."""
        p, q = self.split(rows)
        out = np.zeros(rows.shape, self.dtype)
        s, t = self.split(out)
        z_dot, abar_dot = p.copy(), q.copy()
        for part, locals_ in self._outside:
            for local, r, z_row, abar_row in zip(locals_, self.rest(rows)[:, part], z_dot, abar_dot, strict=True):
                local.forward(r, z_row)
                local.backward(r, abar_row)
        for segment in self.segments:
            if segment.incoming:
                for position in segment.incoming:
                    self._push(position, t, z_dot)
                t[:, segment.nodes] = self._slope(segment, z_dot)
        for segment in reversed(self.segments):
            if segment.incoming:
                s[:, segment.nodes] = self._bend(segment, z_dot) + self._slope(segment, abar_dot)
                for position in segment.incoming:
                    self._pull(position, s, abar_dot)
        for part, locals_ in self._outside:
            for local, r, *row in zip(locals_, self.rest(rows)[:, part], s, t, self.rest(out)[:, part], strict=True):
                local.collect(r, *row)
        return out

    def N(self, rows: Rows) -> Rows:  # noqa: N802
        """The Gram operators ``Z_i Z_i^T``: symmetric, non-negative, without a pass over the weights."""
        s, t = self.split(rows)
        out = np.zeros(rows.shape, self.dtype)
        p, q = self.split(out)
        for apply in self._gram:
            apply(s, t, p, q)
        for source, squares in self.own:
            q[:, source] += squares * t[:, source]
        self.rest(out)[:] = self.rest(rows)
        return out

    def diagonal(self) -> Rows:
        """Return the diagonals of N, a row each."""
        alpha, beta = self.squared_norms()
        out = np.ones((len(self), self.size), self.dtype)
        self.split(out)[0][:], self.split(out)[1][:] = alpha, beta
        return out

    def squared_norms(self) -> tuple[Rows, Rows]:
        """Return ``alpha_v = sum c_v^2 a_u^2``, common or a row each, and ``beta_u = sum c_v^2 b_v^2``, a row each.

        Over trainable edges in node space, `own` ones counted in beta alone.
        """
        alpha = np.zeros((len(self.a), self.n_nodes), self.dtype)
        beta = np.zeros((len(self), self.n_nodes), self.dtype)
        for block in self._inside:
            squared = block.factor**2
            for row, a in zip(alpha, self.a, strict=True):
                row[block.target] += squared * block.products(a, a)
            if not block.from_given:
                for row, b in zip(beta, self.b, strict=True):
                    row[block.source] += block.spread(squared * b[block.target] ** 2)
        for source, squares in self.own:
            beta[:, source] += squares
        return alpha, beta

    def _bind(self) -> None:
        program, outside = self.program, self.program.coordinates
        self.curvature = self.second * self.abar
        entering = sorted(i for segment in self.segments for i in segment.incoming)
        self._inside = [
            block
            for i in entering
            if isinstance(block := program.blocks[i], NodeBlock) and i in program.trainable and i not in outside
        ]
        self._gram = [block.gram_rows(self.a, self.b) for block in self._inside]
        every_a = np.broadcast_to(self.a, self.b.shape)
        self._outside: list[tuple[slice, list[Local]]] = [
            (part, [program.blocks[i].local(self.weights[i], a, b) for a, b in zip(every_a, self.b, strict=True)])
            for i, part in outside.items()
        ]

    def _push(self, position: int, values: Rows, out: Rows) -> None:
        block = self.program.blocks[position]
        if not block.from_given:
            block.push_rows(self.weights[position], values, out)

    def _pull(self, position: int, values: Rows, out: Rows) -> None:
        block = self.program.blocks[position]
        if not block.from_given:
            block.pull_rows(self.weights[position], values, out)

    def _slope(self, segment: Segment, values: Rows) -> Rows:
        nodes = segment.nodes
        if segment.is_softmax:
            return softmax_slope(self.a[:, nodes], values[:, nodes])
        changed: Rows = self.first[:, nodes] * values[:, nodes]
        return changed

    def _bend(self, segment: Segment, z_dot: Rows) -> Rows:
        nodes = segment.nodes
        if segment.is_softmax:
            return softmax_bend(self.a[:, nodes], self.abar[:, nodes], z_dot[:, nodes])
        bent: Rows = self.curvature[:, nodes] * z_dot[:, nodes]
        return bent


def at_inputs(evaluation: Evaluation, output: int, rows: slice) -> LockstepHessians:
    """Return the Hessians of one output at some samples of an evaluation."""
    adjoints = evaluation.adjoints(output)
    return LockstepHessians(
        evaluation.program,
        evaluation.weights,
        evaluation.program.segments,
        (evaluation.post[rows], evaluation.first[rows], evaluation.second[rows]),
        (adjoints.post[rows], adjoints.pre[rows]),
        [],
    )
