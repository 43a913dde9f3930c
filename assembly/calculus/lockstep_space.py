r"""The Hessians of many neurons' pre-activations in node space, in lockstep: :math:`H_i = Z_i^T M_i Z_i`, a row each.

Neurons i of one group share the activations and their slopes below; only the adjoints of the nodes below differ. For
rows (s, t) of vectors, one for every neuron, the passes of `assembly.calculus.node_space` become matrix products.

The pre-activation :math:`z_i = \sum_u c_i w_{iu} a_u` is linear in the activations it reads, so its own s vanishes, and
its own in-edges are felt through

.. math:: q_u \mathrel{+}= c_i^2\, t_u, \qquad \bar a_u = c_i w_{iu},

with no coordinates for i itself: vectors hold s and t of the nodes below alone, then r, the weights outside node space.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Local, NodeBlock
from assembly.calculus.evaluation import Evaluation
from assembly.calculus.node_space import check_resolution
from assembly.calculus.response import softmax_bend, softmax_slope
from assembly.program import Segment

Rows = NDArray[Any]


class LockstepHessians:
    """H of the pre-activations of some neurons, as maps M and N on rows of node-space vectors.

    Rows have shape (n_neurons, size): s (or p) of the nodes below, then t (or q), then r.

    Parameters
    ----------
    evaluation : Evaluation
        Of one sample, of a program whose last group are linear outputs that read one another nowhere.
    neurons : slice
        Positions of the neurons in that group.

    Raises
    ------
    SaturationError
        If squares of the derivatives of a neuron, or of all activations, under- or overflow.
    """

    def __init__(self, evaluation: Evaluation, neurons: slice) -> None:
        program = evaluation.program
        self.program = program
        self.weights = evaluation.weights
        self.dtype = program.dtype
        self.neurons = neurons
        self.below, self.last = program.segments[:-1], program.segments[-1]
        self.n_nodes = program.n_nodes if program.coordinates else self.last.nodes.start
        self.size = 2 * self.n_nodes + program.n_coordinates - 2 * program.n_nodes
        self.a, self.first, self.second = evaluation.post[0], evaluation.first[0], evaluation.second[0]
        self.abar, self.b = self._adjoints()
        self.own = [
            (program.blocks[i].source, self._squared_factors(program.blocks[i]))
            for i in self.last.incoming
            if self._is_inside(i) and not program.blocks[i].from_given
        ]
        check_resolution("The derivatives of a neuron", self.b)
        check_resolution("The activations", self.a)
        self._bind()

    def __len__(self) -> int:
        return len(self.b)

    def take(self, rows: NDArray[np.int64]) -> LockstepHessians:
        """Return the same maps for some of the rows."""
        other = copy.copy(self)
        other.abar, other.b = self.abar[rows], self.b[rows]
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
        for segment in self.below:
            if segment.incoming:
                for position in segment.incoming:
                    self._push(position, t, z_dot)
                t[:, segment.nodes] = self._slope(segment, z_dot)
        for segment in reversed(self.below):
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
        """Return ``alpha_v = sum c_v^2 a_u^2``, shape (n_nodes,), and ``beta_u = sum c_v^2 b_v^2``, a row each.

        Over trainable edges in node space, those into the neurons themselves counted in beta alone.
        """
        alpha, beta = np.zeros(self.n_nodes, self.dtype), np.zeros((len(self), self.n_nodes), self.dtype)
        for block in self._inside:
            squared = block.factor**2
            alpha[block.target] += squared * block.products(self.a, self.a)
            if not block.from_given:
                for row, b in zip(beta, self.b, strict=True):
                    row[block.source] += block.spread(squared * b[block.target] ** 2)
        for source, squares in self.own:
            beta[:, source] += squares
        return alpha, beta

    def gradient_norms(self) -> NDArray[Any]:
        """Return the norms of the gradients ``c_v b_v a_u`` of the neurons in all their parameters, shape (n,)."""
        gradient = np.zeros((len(self), self.size), self.dtype)
        self.split(gradient)[0][:] = self.b[:, : self.n_nodes]
        nothing = np.zeros_like(self.a)
        for part, locals_ in self._outside:
            for local, row in zip(locals_, self.rest(gradient)[:, part], strict=True):
                found = np.empty_like(row)
                local.block.scatter(local.weights, local.b, nothing, local.a, local.b, found)
                row += found
        squared = np.einsum("kn,kn->k", gradient, self.N(gradient))
        for block in (self.program.blocks[i] for i in self.last.incoming if self._is_inside(i)):
            assert isinstance(block, NodeBlock)
            squared += (block.factor**2 * block.products(self.a, self.a))[self.neurons]
        norms: NDArray[Any] = np.sqrt(squared)
        return norms

    def _adjoints(self) -> tuple[Rows, Rows]:
        """Return df/da and df/dz of all nodes, a row for every neuron."""
        chosen = np.arange(self.last.nodes.start, self.last.nodes.stop)[self.neurons]
        post, pre = np.zeros((2, len(chosen), self.program.n_nodes), self.dtype)
        pre[np.arange(len(chosen)), chosen] = 1.0
        for position in self.last.incoming:
            block = self.program.blocks[position]
            if not block.from_given:
                post[:, block.source] += block.rows(self.weights[position], self.neurons)
        for segment in reversed(self.below):
            if segment.incoming:
                pre[:, segment.nodes] = self._slope(segment, post)
                for position in segment.incoming:
                    self._pull(position, pre, post)
        return post, pre

    def _bind(self) -> None:
        program, outside = self.program, self.program.coordinates
        entering = set(self.last.incoming)
        self.curvature = self.second * self.abar
        self._inside = [
            block
            for i in program.trainable
            if isinstance(block := program.blocks[i], NodeBlock) and i not in entering and i not in outside
        ]
        self._gram = [block.gram_rows(self.a, self.b) for block in self._inside]
        self._outside: list[tuple[slice, list[Local]]] = [
            (part, [program.blocks[i].local(self.weights[i], self.a, b) for b in self.b]) for i, part in outside.items()
        ]

    def _is_inside(self, position: int) -> bool:
        return position in self.program.trainable and position not in self.program.coordinates

    def _squared_factors(self, block: Any) -> Rows:
        """Return ``sum c_i^2`` over the edges from every source into every neuron, a row each."""
        ones = np.broadcast_to(self.dtype.type(1.0), block.shape)
        squares: Rows = block.rows(ones, self.neurons) * block.factor[self.neurons, None]
        return squares

    def _push(self, position: int, values: Rows, out: Rows) -> None:
        block = self.program.blocks[position]
        if not block.from_given:
            out[:, block.target] += block.multiply(self.weights[position], values[:, block.source].T).T

    def _pull(self, position: int, values: Rows, out: Rows) -> None:
        block = self.program.blocks[position]
        if not block.from_given:
            out[:, block.source] += block.multiply_transposed(self.weights[position], values[:, block.target].T).T

    def _slope(self, segment: Segment, values: Rows) -> Rows:
        nodes = segment.nodes
        if segment.is_softmax:
            return softmax_slope(self.a[nodes], values[:, nodes])
        changed: Rows = self.first[nodes] * values[:, nodes]
        return changed

    def _bend(self, segment: Segment, z_dot: Rows) -> Rows:
        nodes = segment.nodes
        if segment.is_softmax:
            return softmax_bend(self.a[nodes], self.abar[:, nodes], z_dot[:, nodes])
        bent: Rows = self.curvature[:, nodes] * z_dot[:, nodes]
        return bent
