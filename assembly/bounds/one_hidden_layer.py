r"""One hidden layer with linear outputs: the supremum of the Hessian norm over a ball, to four digits and proven.

The Hessian is block diagonal over neurons (`assembly.calculus.one_hidden_layer`), and only two numbers of a neuron
matter: its pre-activation and its adjoint. In the ball they move by :math:`\delta z` and :math:`\delta\bar a` with

.. math:: \delta z^2 / \alpha_i + \delta\bar a^2 / \beta_i \le R^2,

so the supremum is the largest over neurons of a maximum over one number, :math:`\delta z`: the interval is cut into
cells, every cell is bounded with the suprema of :math:`|\sigma'|` and :math:`|\sigma''|` in it, and neurons that may
hold the maximum are cut again, finer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assembly.bounds.intervals import suprema
from assembly.bounds.rounding import NON_NEGATIVE, Array, gamma
from assembly.calculus.evaluation import Evaluation
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.calculus.one_hidden_layer import larger

FIRST_CELLS, FACTOR, ROUNDS = 16, 8, 4
CHUNK = 2**18  # neurons times cells at once
SLACK = 1e-4  # relative distance from what is attained at which the cutting ends


def norm_bound(evaluation: Evaluation, hessian: NodeSpaceHessian, radius: float) -> float:
    """Return a proven bound of the Hessian norm over the ball.

    Parameters
    ----------
    evaluation : Evaluation
        In float64, at one sample.
    hessian : NodeSpaceHessian
        Of it, and of a network that `assembly.calculus.one_hidden_layer.applies_to`.
    radius : float

    Notes
    -----
    Cost: 16 cells for every neuron, up to 8192 for the few that may hold the maximum.
    """
    alpha, beta = (norm * NON_NEGATIVE for norm in hessian.squared_norms())
    z_error, abar_error = _errors(evaluation, hessian)
    adjoint = np.abs(hessian.abar) + abar_error
    blocks = _Blocks(hessian.program.codes, evaluation.pre[0], z_error, adjoint, alpha, beta, radius)
    nodes, n_cells = np.flatnonzero(alpha > 0.0), FIRST_CELLS
    attained = bound = 0.0
    for _ in range(ROUNDS):
        bounds = np.zeros(len(nodes))
        for part in range(0, len(nodes), max(CHUNK // n_cells, 1)):
            chosen = slice(part, part + max(CHUNK // n_cells, 1))
            bounds[chosen], best = blocks.bounds(nodes[chosen], n_cells)
            attained = max(attained, best)
        bounds = np.where(np.isnan(bounds), np.inf, bounds)
        open_ = bounds > attained * (1.0 + SLACK)
        bound = max(bound, float(bounds[~open_].max(initial=0.0)))
        nodes, left, n_cells = nodes[open_], bounds[open_], n_cells * FACTOR
        if len(nodes) == 0:
            break
    return max(bound, float(left.max(initial=0.0))) * NON_NEGATIVE


@dataclass(frozen=True, eq=False)
class _Blocks:
    """The blocks of all neurons: codes, pre-activations, |adjoints|, squared in- and out-edges, and the radius."""

    codes: NDArray[np.int64]
    pre: Array
    z_error: Array
    adjoint: Array
    alpha: Array
    beta: Array
    radius: float

    def bounds(self, nodes: NDArray[np.int64], n_cells: int) -> tuple[Array, float]:
        """Return a bound for every neuron over all cells, and the largest value attained at the middle of one."""
        edges = np.linspace(-1.0, 1.0, n_cells + 1)
        low, high = edges[:-1], edges[1:]
        nearest = np.where(low * high > 0.0, np.minimum(np.abs(low), np.abs(high)), 0.0)
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        reach = self.radius * np.sqrt(self.alpha[nodes])
        safety = self.z_error[nodes] + 1e-12 * (reach + np.abs(self.pre[nodes]))
        z = self.pre[nodes, None] + np.outer(reach, middle)
        within = np.outer(reach, half) + safety[:, None]
        bounds = self._largest(nodes, z - within, z + within, nearest)
        attained = self._largest(nodes, z, z, np.abs(middle))
        return bounds.max(axis=1), float(attained.max(initial=0.0))

    def _largest(self, nodes: NDArray[np.int64], low: Array, high: Array, part: Array) -> Array:
        """Largest eigenvalue of every block in every cell, `part` of the radius being spent on the pre-activation."""
        codes = np.broadcast_to(self.codes[nodes, None], low.shape)
        slope, bend = suprema(codes, low, high, 1), suprema(codes, low, high, 2)
        alpha, beta = self.alpha[nodes, None], self.beta[nodes, None]
        left = self.radius * np.sqrt(np.maximum(1.0 - part**2, 0.0))
        adjoint = self.adjoint[nodes, None] + left * np.sqrt(beta)
        bent = np.where(adjoint > 0.0, adjoint * bend * alpha, 0.0)  # a slope may be infinite
        return np.asarray(larger(bent, np.where(beta > 0.0, slope * np.sqrt(alpha * beta), 0.0)))


def _errors(evaluation: Evaluation, hessian: NodeSpaceHessian) -> tuple[Array, Array]:
    """Return bounds of the rounding in the pre-activations and in the adjoints, one sum of products each."""
    program = evaluation.program
    z_sizes, abar_sizes = np.zeros(program.n_nodes), np.zeros(program.n_nodes)
    for block, weights in zip(program.blocks, evaluation.weights, strict=True):
        sizes = np.zeros(program.n_nodes)
        block.push(np.abs(weights), np.abs(evaluation.post[0]), sizes)
        z_sizes += np.abs(sizes)
        if not block.from_given:
            signs = np.zeros(program.n_nodes)
            signs[block.target] = np.sign(block.factor) * np.abs(hessian.b[block.target])
            block.pull(np.abs(weights), signs, abar_sizes)
    lost = gamma(program.n_nodes + len(program.blocks) + 8)
    return lost * NON_NEGATIVE * z_sizes, lost * NON_NEGATIVE * abar_sizes
