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
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.evaluation import Evaluation
from assembly.errors import SaturationError

Vector = NDArray[Any]


class NodeSpaceHessian:
    """H at one sample of an evaluation, as the three maps Z, M and its Gram operator N.

    Node-space vectors have shape (2 * n_nodes,): first s (or p), then t (or q), by node.

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
        If the output is so flat that squares of its derivatives underflow.
    """

    def __init__(self, evaluation: Evaluation, row: int, output: int) -> None:
        adjoints = evaluation.adjoints(output)
        self.program = evaluation.program
        self.weights = evaluation.weights
        self.a = evaluation.post[row]
        self.b = adjoints.pre[row]
        self.first = evaluation.first[row]
        self.curvature = evaluation.second[row] * adjoints.post[row]  # sigma'' abar
        self.dtype = self.program.dtype
        self.size = 2 * self.program.n_nodes
        _check_resolution(self.b)
        self._trainable = [block for block in self.program.blocks if block.parameters is not None]
        self._gram = [block.gram(self.a, self.b) for block in self._trainable]

    def in_double(self) -> NodeSpaceHessian:
        """Return the same operator, of the same numbers, with arithmetic in float64."""
        if self.dtype == np.float64:
            return self
        other = copy.copy(self)
        other.dtype = np.dtype(np.float64)
        other.weights = [weights.astype(np.float64) for weights in self.weights]
        other.a, other.b, other.first, other.curvature = (
            vector.astype(np.float64) for vector in (self.a, self.b, self.first, self.curvature)
        )
        other._gram = [block.gram(other.a, other.b) for block in self._trainable]
        return other

    def split(self, vector: Vector) -> tuple[Vector, Vector]:
        """Return the two halves of a node-space vector as views."""
        return vector[: self.program.n_nodes], vector[self.program.n_nodes :]

    def Z(self, direction: Vector) -> Vector:  # noqa: N802
        """Edges to nodes: (p, q) of a direction of the parameters; two passes over it, one in the first layer."""
        out = np.zeros(self.size, self.dtype)
        p, q = self.split(out)
        for block in self._trainable:
            weights = block.weights(direction)
            block.push(weights, self.a, p)
            if not block.from_given:
                block.pull(weights, self.b, q)
        return out

    def M(self, vector: Vector) -> Vector:  # noqa: N802
        """Nodes to nodes: a forward and a backward tangent pass; reads no weight of the first layer."""
        p, q = self.split(vector)
        out = np.zeros(self.size, self.dtype)
        s, t = self.split(out)
        z_dot, abar_dot = p.copy(), q.copy()
        blocks = self.program.blocks
        for segment in self.program.segments:
            if segment.incoming:
                for position in segment.incoming:
                    if not blocks[position].from_given:
                        blocks[position].push(self.weights[position], t, z_dot)
                t[segment.nodes] = self.first[segment.nodes] * z_dot[segment.nodes]
        for segment in reversed(self.program.segments):
            if segment.incoming:
                nodes = segment.nodes
                s[nodes] = self.curvature[nodes] * z_dot[nodes] + self.first[nodes] * abar_dot[nodes]
                for position in segment.incoming:
                    if not blocks[position].from_given:
                        blocks[position].pull(self.weights[position], s, abar_dot)
        return out

    def Z_transposed(self, vector: Vector) -> Vector:  # noqa: N802
        """Nodes to edges: the direction of the parameters that (s, t) stands for; one pass over the edges."""
        s, t = self.split(vector)
        out = np.empty(self.program.n_parameters, self.dtype)
        for block in self._trainable:
            block.scatter(s, t, self.a, self.b, out[block.parameters])
        return out

    def N(self, vector: Vector) -> Vector:  # noqa: N802
        """The Gram operator ``Z Z^T``: symmetric, non-negative, and without a pass over the weights."""
        s, t = self.split(vector)
        out = np.zeros(self.size, self.dtype)
        p, q = self.split(out)
        for apply in self._gram:
            apply(s, t, p, q)
        return out

    def apply(self, direction: Vector) -> Vector:
        """Return ``H direction = Z^T M Z direction``: five passes, over weights, direction and result."""
        return self.Z_transposed(self.M(self.Z(direction)))

    def diagonal(self) -> Vector:
        """Return the diagonal of N: `squared_norms` one after the other."""
        return np.concatenate(self.squared_norms())

    def squared_norms(self) -> tuple[Vector, Vector]:
        """Return ``alpha_v = sum c_v^2 a_u^2`` and ``beta_u = sum c_v^2 b_v^2``, the diagonal of N but for cross terms.

        Both run over trainable edges. ``alpha_v b_v^2`` is the squared gradient in the in-weights of neuron v.
        """
        ones_and_zeros = np.zeros(self.size, self.dtype)
        ones_and_zeros[: self.program.n_nodes] = 1.0
        alpha, _ = self.split(self.N(ones_and_zeros))
        _, beta = self.split(self.N(1.0 - ones_and_zeros))
        return alpha, beta


def _check_resolution(b: Vector) -> None:
    """Refuse adjoints whose squares, which N holds, underflow: a norm would come out too small and look converged."""
    limits = np.finfo(b.dtype)
    largest = np.abs(b).max()
    if 0.0 < largest < np.sqrt(limits.tiny / limits.eps):
        raise SaturationError(
            f"The output is saturated: its derivatives are at most {largest:.1e}, and their squares underflow "
            f"{b.dtype}. Use float64, or move the inputs or parameters."
        )
