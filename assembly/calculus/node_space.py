r"""The Hessian of one output at one input lives in node space: :math:`H = Z^T M Z`, exactly.

For a direction `dw` of the parameters, with a the activations and b the pre-activation adjoints,

.. math::
    Z &: dw \mapsto (p, q), & p_v &= \sum_u c_v\, dw_{uv} a_u, \quad q_u = \sum_v c_v\, dw_{uv} b_v
        && \text{edges to nodes}\\
    M &: (p, q) \mapsto (s, t), & \dot z_v &= p_v + \sum_u c_v w_{uv} \dot a_u, \quad \dot a_v = \sigma_v' \dot z_v
        && \text{forward}\\
      & & \dot{\bar a}_u &= q_u + \sum_v c_v w_{uv} \dot b_v, \quad
          \dot b_u = \sigma_u'' \dot z_u \bar a_u + \sigma_u' \dot{\bar a}_u
        && \text{backward, } s = \dot b,\ t = \dot a\\
    Z^T &: (s, t) \mapsto dw, & (H dw)_{uv} &= c_v (s_v a_u + t_u b_v) && \text{nodes to edges}

so the rank of H is at most twice the number of neurons, and its non-zero eigenvalues are those of :math:`M N` with the
Gram operator :math:`N = Z Z^T`, which reads no weight. Frozen edges take part in M, never in Z and N.

Weights of blocks outside node space (tied edges, small convolutions, sub-models of the user's own) are coordinates r of
their own, after s and t: Z and N are the identity there, and M does with r what Z would do, so that

.. math:: H = Z^T M Z \quad\text{with}\quad Z = \begin{pmatrix} Z_{nodes} \\ I \end{pmatrix}

still holds exactly.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Local, NodeBlock
from assembly.calculus.evaluation import Evaluation, scatter
from assembly.calculus.response import softmax_bend, softmax_slope
from assembly.calculus.turning import turning
from assembly.errors import SaturationError
from assembly.program import Segment

Vector = NDArray[Any]


class NodeSpaceHessian:
    """H at one sample of an evaluation, as the three maps Z, M and its Gram operator N.

    Node-space vectors have shape (size,): first s (or p), then t (or q), by node, then r, the weights outside.

    Parameters
    ----------
    evaluation : Evaluation
    row : int
        Sample.
    output : int
        Output.

    Raises
    ------
    SaturationError
        If squares of the output's derivatives, or of all activations, under- or overflow.
    """

    def __init__(self, evaluation: Evaluation, row: int, output: int) -> None:
        adjoints = evaluation.adjoints(output)
        self.evaluation = evaluation
        self.program = evaluation.program
        self.weights = evaluation.weights
        self.a = evaluation.post[row]
        self.b = adjoints.pre[row]
        self.abar = adjoints.post[row]
        self.first = evaluation.first[row]
        self.second = evaluation.second[row]
        self.dtype = self.program.dtype
        self.size = self.program.n_coordinates
        check_resolution("The derivatives of the output", self.b)
        check_resolution("The activations", self.a)
        self._bind()
        check_balance(self._inside, self.a, self.b)

    def _bind(self) -> None:
        blocks, outside = self.program.blocks, self.program.coordinates
        self.curvature = self.second * self.abar
        self._turning = turning(self.program, self.curvature)
        self._inside = [
            block for i in self.program.trainable if isinstance(block := blocks[i], NodeBlock) and i not in outside
        ]
        self._gram = [block.gram(self.a, self.b) for block in self._inside]
        self._outside: list[tuple[slice, Local]] = [
            (part, blocks[i].local(self.weights[i], self.a, self.b)) for i, part in outside.items()
        ]

    def in_double(self) -> NodeSpaceHessian:
        """Return the same operator, of the same numbers, with arithmetic in float64."""
        if self.dtype == np.float64:
            return self
        other = copy.copy(self)
        other.dtype = np.dtype(np.float64)
        other.weights = [weights.astype(np.float64) for weights in self.weights]
        other.a, other.b, other.abar, other.first, other.second = (
            vector.astype(np.float64) for vector in (self.a, self.b, self.abar, self.first, self.second)
        )
        other._bind()
        return other

    def split(self, vector: Vector) -> tuple[Vector, Vector]:
        """Return s and t of a node-space vector as views."""
        return vector[: self.program.n_nodes], vector[self.program.n_nodes : 2 * self.program.n_nodes]

    def rest(self, vector: Vector) -> Vector:
        """Return r of a node-space vector, the weights outside node space, as a view."""
        return vector[2 * self.program.n_nodes :]

    def Z(self, direction: Vector) -> Vector:  # noqa: N802
        """Edges to nodes: (p, q, r) of a direction of the parameters; one pass over it, two in sparse blocks."""
        out = np.zeros(self.size, self.dtype)
        p, q = self.split(out)
        for block in self._inside:
            block.project(block.weights(direction), self.a, self.b, p, q)
        for i, part in self.program.coordinates.items():
            self.rest(out)[part] = direction[self.program.blocks[i].parameters]
        return out

    def M(self, vector: Vector) -> Vector:  # noqa: N802
        """Nodes to nodes: a forward and a backward tangent pass; reads no weight of the first layer.

        The weights into the group where the passes meet, the last hidden layer with a linear output, are read once,
        all others twice.
        """
        p, q = self.split(vector)
        out = np.zeros(self.size, self.dtype)
        s, t = self.split(out)
        z_dot, abar_dot = p.copy(), q.copy()
        for part, local in self._outside:
            local.forward(self.rest(vector)[part], z_dot)
            local.backward(self.rest(vector)[part], abar_dot)
        segments, turning = self.program.segments, self._turning
        for segment in reversed(segments[turning.segment + 1 :]):  # nothing in these depends on a tangent
            self._backward(segment, z_dot, abar_dot, s)
        for segment in segments[: turning.segment]:
            self._forward(segment, z_dot, t)
        if turning.segment < len(segments):
            self._turn(z_dot, abar_dot, s, t)
        for segment in segments[turning.segment + 1 :]:
            self._forward(segment, z_dot, t)
        for segment in reversed(segments[: turning.segment]):
            self._backward(segment, z_dot, abar_dot, s)
        for part, local in self._outside:
            local.collect(self.rest(vector)[part], s, t, self.rest(out)[part])
        return out

    def Z_transposed(self, vector: Vector) -> Vector:  # noqa: N802
        """Nodes to edges: the direction of the parameters that (s, t, r) stands for; one pass over the edges."""
        s, t = self.split(vector)
        out = np.empty(self.program.n_parameters, self.dtype)
        for position in self.program.trainable:
            block = self.program.blocks[position]
            part = self.program.coordinates.get(position)
            if part is None:
                block.scatter(self.weights[position], s, t, self.a, self.b, out[block.parameters])
            else:
                out[block.parameters] = self.rest(vector)[part]
        return out

    def N(self, vector: Vector) -> Vector:  # noqa: N802
        """The Gram operator ``Z Z^T``: symmetric, non-negative, and without a pass over the weights."""
        s, t = self.split(vector)
        out = np.zeros(self.size, self.dtype)
        p, q = self.split(out)
        for apply in self._gram:
            apply(s, t, p, q)
        self.rest(out)[:] = self.rest(vector)
        return out

    def apply(self, direction: Vector) -> Vector:
        """Return ``H direction = Z^T M Z direction``: passes over the direction, the weights (two), and the result."""
        return self.Z_transposed(self.M(self.Z(direction)))

    def diagonal(self) -> Vector:
        """Return the diagonal of N."""
        alpha, beta = self.squared_norms()
        return np.concatenate([alpha, beta, np.ones(self.size - 2 * self.program.n_nodes, self.dtype)])

    def squared_norms(self) -> tuple[Vector, Vector]:
        """Return ``alpha_v = sum c_v^2 a_u^2`` and ``beta_u = sum c_v^2 b_v^2`` over trainable edges in node space.

        ``alpha_v b_v^2`` is the squared gradient in the in-weights of neuron v, if it shares none.
        """
        alpha, beta = np.zeros_like(self.a), np.zeros_like(self.a)
        for block in self._inside:
            squared = block.factor.astype(self.dtype) ** 2
            alpha[block.target] += squared * block.products(self.a, self.a)
            if not block.from_given:
                beta[block.source] += block.spread(squared * self.b[block.target] ** 2)
        return alpha, beta

    def at_node(self, node: int, s: float, t: float) -> Vector:
        """Return ``Z^T (s, t)`` of coordinates that are 0 but for one node."""
        vector = np.zeros(self.size, self.dtype)
        vector[node], vector[self.program.n_nodes + node] = s, t
        return self.Z_transposed(vector)

    def gradient(self) -> Vector:
        """Return the gradient of the output in all parameters."""
        out = np.empty(self.program.n_parameters, self.dtype)
        scatter(self.evaluation, self.b, np.zeros_like(self.a), self.a, self.b, out)
        return out

    def _forward(self, segment: Segment, z_dot: Vector, t: Vector) -> None:
        if segment.incoming:
            for position in segment.incoming:
                self._push(position, t, z_dot)
            t[segment.nodes] = self._slope(segment, z_dot)

    def _backward(self, segment: Segment, z_dot: Vector, abar_dot: Vector, s: Vector) -> None:
        if segment.incoming:
            s[segment.nodes] = self._bend(segment, z_dot) + self._slope(segment, abar_dot)
            for position in segment.incoming:
                self._pull(position, s, abar_dot)

    def _turn(self, z_dot: Vector, abar_dot: Vector, s: Vector, t: Vector) -> None:
        """Forward and backward through the segment where the passes meet; `abar_dot` there is complete."""
        others = [i for i in self.program.segments[self._turning.segment].incoming if i != self._turning.block]
        for position in others:
            self._push(position, t, z_dot)
        block, weights = self.program.blocks[self._turning.block], self.weights[self._turning.block]
        block.turn(weights, t, z_dot, self.first, self.curvature, abar_dot, s)
        for position in others:
            self._pull(position, s, abar_dot)

    def _push(self, position: int, t: Vector, z_dot: Vector) -> None:
        if not self.program.blocks[position].from_given:
            self.program.blocks[position].push(self.weights[position], t, z_dot)

    def _pull(self, position: int, s: Vector, abar_dot: Vector) -> None:
        if not self.program.blocks[position].from_given:
            self.program.blocks[position].pull(self.weights[position], s, abar_dot)

    def _slope(self, segment: Segment, values: Vector) -> Vector:
        nodes = segment.nodes
        if segment.is_softmax:
            return softmax_slope(self.a[nodes], values[nodes])
        changed: Vector = self.first[nodes] * values[nodes]
        return changed

    def _bend(self, segment: Segment, z_dot: Vector) -> Vector:
        nodes = segment.nodes
        if segment.is_softmax:
            return softmax_bend(self.a[nodes], self.abar[nodes], z_dot[nodes])
        bent: Vector = self.curvature[nodes] * z_dot[nodes]
        return bent


def check_resolution(what: str, values: Vector) -> None:
    """Refuse values whose squares, which N holds, under- or overflow: a norm would be wrong and look converged."""
    limits = np.finfo(values.dtype)
    largest = np.abs(values).max()
    fails = "underflow" if 0.0 < largest < np.sqrt(limits.tiny / limits.eps) else ""
    fails = "overflow" if largest > np.sqrt(limits.max / len(values)) else fails
    if fails:
        raise SaturationError(
            f"{what} are at most {largest:.1e}, and their squares {fails} {values.dtype}. {_cure(values)}"
        )


def check_balance(blocks: list[NodeBlock], a: Vector, b: Vector) -> None:
    """Refuse activations and derivatives so far apart that the squares of their ratio under- or overflow.

    Coordinates s and t have the units of 1/a and 1/b, and inner products add squares of both.
    """
    limits = np.finfo(a.dtype)
    large = max((float(np.abs(a[block.source]).max(initial=0.0)) for block in blocks), default=0.0)
    above = (block for block in blocks if not block.from_given)
    slope = max((float(np.abs(b[block.target]).max(initial=0.0)) for block in above), default=0.0)
    if slope == 0.0 or large == 0.0:
        return
    lowest, highest = np.sqrt(float(limits.tiny / limits.eps)), np.sqrt(float(limits.max) / len(a))
    if not lowest <= large / slope <= highest:
        raise SaturationError(
            f"The activations are at most {large:.1e} and the derivatives of the output {slope:.1e}: the squares of "
            f"their ratio do not fit in {a.dtype}. {_cure(a)}"
        )


def _cure(values: Vector) -> str:
    return f"{'Use float64, or move' if values.dtype == np.float32 else 'Move'} the inputs or parameters."
