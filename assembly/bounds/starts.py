r"""Where a climb in a ball of parameters begins: the neurons whose own curvature can grow the most within the ball.

Alone, neuron i with in-edges of squared value :math:`\alpha_i = \sum_u c_i^2 a_u^2` and out-edges of squared adjoint
:math:`\beta_i = \sum_v c_v^2 b_v^2` (trainable edges only) has the Hessian

.. math::
    \begin{pmatrix} \bar a \sigma_i''(z) \alpha_i & \sigma_i'(z) \sqrt{\alpha_i \beta_i} \\
                    \sigma_i'(z) \sqrt{\alpha_i \beta_i} & 0 \end{pmatrix},
    \qquad z = z_i + \xi \sqrt{\alpha_i}, \quad \bar a = \bar a_i + \eta \sqrt{\beta_i},

after a step of length :math:`\xi` of its in-weights along their parents and :math:`\eta` of its out-weights along their
targets' adjoints. The largest eigenvalue over :math:`\xi^2 + \eta^2 \le R^2` is the supremum of the norm in the ball
for one hidden layer under a linear output, and a good guess where to begin for every other network.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus import one_hidden_layer
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.kernels import activation

Vector = NDArray[Any]

ANGLES = np.linspace(0.0, 2.0 * np.pi, 64, endpoint=False)
LENGTHS = (1.0, 0.75, 0.5, 0.25)  # shares of the radius


def loudest_neurons(space: NodeSpaceHessian, pre: Vector, radius: float, k: int) -> Iterator[Vector]:
    """Yield steps to where the k neurons that can grow the most have their largest curvature alone.

    Parameters
    ----------
    space : NodeSpaceHessian
        At the centre of the ball, in float64.
    pre : ndarray of shape (n_nodes,)
        Pre-activations there.
    radius : float
    k : int

    Yields
    ------
    ndarray of shape (n_parameters,)
        Steps of length at most `radius`, the most promising first; fewer than k if fewer neurons have trainable edges
        of their own on both sides.

    Notes
    -----
    Cost: 256 evaluations of every activation function, and a vector of parameters for each step.
    """
    alpha, beta = space.squared_norms()
    codes, n = space.program.codes, len(pre)
    best, steps = np.zeros(n), np.zeros((2, n))
    z, post, first, second = (np.empty((1, n)) for _ in range(4))
    for length, angle in itertools.product(LENGTHS, ANGLES):
        step = radius * length * np.array([np.cos(angle), np.sin(angle)])
        z[0] = pre + step[0] * np.sqrt(alpha)
        with np.errstate(over="ignore", invalid="ignore"):  # such a neuron is no better
            activation.activate(codes, z, post, first, 0, n)
            activation.second_derivatives(codes, z, second)
            diagonal = second[0] * (space.abar + step[1] * np.sqrt(beta)) * alpha
            norm = np.abs(one_hidden_layer.larger(diagonal, first[0] * np.sqrt(alpha * beta)))
            grown = np.isfinite(norm) & (norm > best) & (alpha * beta > 0.0)
        best[grown] = norm[grown]
        steps[:, grown] = step[:, None]
    chosen = np.argsort(-best, kind="stable")[:k]
    for node in chosen[best[chosen] > 0.0]:
        yield space.at_node(node, *steps[:, node] / np.sqrt([alpha[node], beta[node]]))


def lengthened(step: Vector, length: float) -> Vector:
    """Return a step scaled to a length, or as it is if it is 0."""
    norm = float(np.linalg.norm(step))
    return step * (length / norm) if norm > 0.0 else step
