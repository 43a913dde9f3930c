r"""What the parts of a level contribute to the gradient, against each other: the operator C = A A^T in node space.

Part i of a level, a neuron with pre-activation z_i and activation a_i, contributes to the gradient of the output

.. math:: A_i = b_i\, \nabla z_i + a_i \sum_v c_v b_v\, e_{iv}, \qquad b = \partial f/\partial z,

through the weights below it and through its own trainable out-edges (i, v), whose unit vectors are :math:`e_{iv}`. The
sum of all rows is the gradient of the output in the weights below the level and right above it. Where the rows are
orthogonal, its square is the sum of their squares, the trace of :math:`C = A A^T`; the largest eigenvalue of C belongs
to the direction in which parts pull together: a single one that dominates, or many whose gradients are parallel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.own import OwnBlock
from assembly.calculus.lanczos import extreme_eigenpairs
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.calculus.response import softmax_slope
from assembly.program import Segment
from assembly.seeds import generator

Vector = NDArray[Any]

LARGEST_EXACT = 128  # parts of a level whose matrix is written out; beyond, Lanczos and probes
N_PROBES = 16
TOL = 1e-3
MAX_STEPS = 300
BASIS_SIZE = 60


@dataclass(frozen=True, eq=False)
class Principal:
    r"""The spectrum of :math:`C = A A^T` of one level in a few numbers.

    Attributes
    ----------
    value : float
        Largest eigenvalue of C.
    vector : ndarray of shape (n_parts,), float64
        Its unit eigenvector.
    trace : float
        Sum of the squared contributions ``|A_i|^2``.
    squares : float
        Squared Frobenius norm of C.
    total : float
        ``|sum_i A_i|^2``, the squared gradient that goes through the level.
    size : float
        Root mean square of ``|grad z_i|``, weighted by ``b_i^2``; 1 where all b_i are 0. Where out-edges read weights
        that edges below read too, what the two terms of A_i have in common counts as well.
    residual : float
        ``|C v - value v| / value``; 0 where C is written out.
    standard_error : float
        Of the trace, relative to it; 0 where C is written out.
    converged : bool
        Whether the residual is at most `TOL`.
    """

    value: float
    vector: NDArray[np.float64]
    trace: float
    squares: float
    total: float
    size: float
    residual: float
    standard_error: float
    converged: bool


class Contributions:
    """The operator C of some nodes of a level: a backward and a forward pass over the weights below them.

    Parameters
    ----------
    space : NodeSpaceHessian
        Of the output.
    nodes : ndarray of int64
        No node may be an ancestor of another.
    """

    def __init__(self, space: NodeSpaceHessian, nodes: NDArray[np.int64]) -> None:
        program = space.program
        self.space, self.program, self.nodes = space, program, nodes
        self.a, self.b = space.a[nodes], space.b[nodes]
        top = int(nodes.max())
        self._segments = [segment for segment in program.segments if segment.incoming and segment.nodes.start <= top]
        self._outside = [
            (part, program.blocks[i].local(space.weights[i], space.a, space.b))
            for i, part in program.coordinates.items()
        ]

    def split(self, v: Vector) -> tuple[Vector, Vector]:
        """Return the two terms of C v: through the weights below, and through the out-edges of the parts."""
        space = self.space
        vector = np.zeros(space.size, space.dtype)
        s, t = space.split(vector)
        s[self.nodes] = self.b * v
        self._backward(s)
        t[self.nodes] = self.a * v
        rest = space.rest(vector)
        still = np.zeros_like(rest)
        for part, local in self._outside:
            local.collect(still[part], s, t, rest[part])
        z_dot, abar_dot = space.split(space.N(vector))
        for part, local in self._outside:
            local.forward(rest[part], z_dot)
            local.backward(rest[part], abar_dot)
        self._forward(z_dot)
        return self.b * z_dot[self.nodes], self.a * abar_dot[self.nodes]

    def __call__(self, v: Vector) -> Vector:
        """Return C v."""
        below, above = self.split(v)
        return below + above

    def _backward(self, s: Vector) -> None:
        """Turn pre-activation adjoints at the parts into those of every node below, in place."""
        abar, seeded = np.zeros_like(s), s.copy()
        for segment in reversed(self._segments):
            s[segment.nodes] = seeded[segment.nodes] + self._slope(segment, abar)
            for position in segment.incoming:
                block = self.program.blocks[position]
                if not block.from_given:
                    block.pull(self.space.weights[position], s, abar)

    def _forward(self, z_dot: Vector) -> None:
        """Add to the tangents of the pre-activations what comes from nodes below, in place."""
        t = np.zeros_like(z_dot)
        for segment in self._segments:
            for position in segment.incoming:
                block = self.program.blocks[position]
                if not block.from_given:
                    block.push(self.space.weights[position], t, z_dot)
            t[segment.nodes] = self._slope(segment, z_dot)

    def _slope(self, segment: Segment, values: Vector) -> Vector:
        nodes = segment.nodes
        if segment.is_softmax:
            return softmax_slope(self.space.a[nodes], values[nodes])
        changed: Vector = self.space.first[nodes] * values[nodes]
        return changed


def bending(space: NodeSpaceHessian) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for every node whether curvature begins there, and whether a trainable edge leaves it.

    Curvature begins where sigma'' is not 0, in a softmax, in a sub-model of the user's own, and where a trainable edge
    leaves: the product of a weight and an activation that depends on other weights bends. It does not in a sum with
    fixed coefficients, which passes on what its parts do.
    """
    program = space.program
    reached = np.zeros(program.n_nodes, space.dtype)
    bends = space.second != 0.0
    for position in program.trainable:
        block = program.blocks[position]
        if isinstance(block, OwnBlock):
            bends[block.target] = True
        elif not block.from_given:
            signs = np.zeros_like(reached)
            signs[block.target] = np.sign(block.factor)
            block.pull(np.ones(block.shape, space.dtype), signs, reached)
    for segment in program.segments:
        if segment.is_softmax:
            bends[segment.nodes] = True
    feeds = reached > 0.0
    return bends | feeds, feeds


def principal(space: NodeSpaceHessian, nodes: NDArray[np.int64]) -> Principal:
    """Return the spectrum of C on some nodes of a level in a few numbers.

    Exact, by writing C out, for up to `LARGEST_EXACT` nodes. Beyond, the largest eigenvalue comes from Lanczos, and the
    traces from `N_PROBES` vectors of random signs on what its eigenvector leaves: unbiased, and with next to no error
    where the rows of A are orthogonal.

    Notes
    -----
    Cost: one application of C, a backward and a forward pass over the weights below, for every node; beyond
    `LARGEST_EXACT` nodes for every Lanczos step, about 10 to 30, and every probe. Memory: up to `BASIS_SIZE` vectors
    over the nodes.
    """
    gram = Contributions(space, nodes)
    return _written_out(gram) if len(nodes) <= LARGEST_EXACT else _iterated(gram)


def _written_out(gram: Contributions) -> Principal:
    columns = [gram.split(unit) for unit in np.eye(len(gram.nodes), dtype=gram.space.dtype)]
    below, above = (np.array(part, dtype=np.float64) for part in zip(*columns, strict=True))
    matrix = below + above
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0)
    size = _size(gram, float(np.trace(below)))
    trace, squares, total = float(np.trace(matrix)), float(np.sum(matrix**2)), float(matrix.sum())
    return Principal(float(values[-1]), vectors[:, -1], trace, squares, total, size, 0.0, 0.0, True)


def _iterated(gram: Contributions) -> Principal:
    n, dtype = len(gram.nodes), gram.space.dtype
    rng = generator(0, "contributions", n)
    ones, start = np.ones(n, dtype), rng.standard_normal(n).astype(dtype)
    pairs = extreme_eigenpairs(gram, lambda v: v, ones, start, k=1, tol=TOL, max_steps=MAX_STEPS, basis_size=BASIS_SIZE)
    value, vector = float(pairs.values[0]), pairs.coordinates[0]
    traces, below, squares = np.empty(N_PROBES), np.empty(N_PROBES), np.empty(N_PROBES)
    for k in range(N_PROBES):
        signs = rng.choice(np.array([-1.0, 1.0], dtype), n)
        rest = signs - (signs @ vector) * vector
        first, second = gram.split(rest)
        traces[k], below[k], squares[k] = rest @ (first + second), rest @ first, np.sum((first + second) ** 2)
    trace = value + float(traces.mean())
    error = float(traces.std(ddof=1) / np.sqrt(N_PROBES))
    return Principal(
        value=value,
        vector=vector.astype(np.float64),
        trace=trace,
        squares=value**2 + float(squares.mean()),
        total=float(ones @ gram(ones)),
        size=_size(gram, float(vector @ gram.split(vector)[0] + below.mean())),
        residual=float(pairs.residuals[0]),
        standard_error=error / trace if trace > 0.0 else 0.0,
        converged=pairs.converged,
    )


def _size(gram: Contributions, trace_below: float) -> float:
    weight = float(gram.b @ gram.b)
    return float(np.sqrt(max(trace_below, 0.0) / weight)) if weight > 0.0 else 1.0
