r"""One hidden layer with linear outputs: the Hessian is block diagonal over neurons, so every eigenvalue is exact.

Neuron i with in-edges of squared value :math:`\alpha_i = \sum_u c_i^2 a_u^2` and out-edges of squared adjoint
:math:`\beta_i = \sum_v c_v^2 b_v^2` (trainable edges only) contributes the eigenvalues of

.. math::
    \begin{pmatrix} \bar a_i \sigma_i'' \alpha_i & \sigma_i' \sqrt{\alpha_i \beta_i} \\
                    \sigma_i' \sqrt{\alpha_i \beta_i} & 0 \end{pmatrix}.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.node_space import NodeSpaceHessian, Vector
from assembly.program import Program


def applies_to(program: Program, curvature: NDArray[Any]) -> bool:
    """Return whether all paths have one hidden layer, no weight is shared, and nothing above bends the output.

    `curvature`, of shape (n_nodes,), is not 0 at the nodes that bend it.
    """
    if not program.is_edgewise:
        return False
    above = np.zeros(program.n_nodes, dtype=bool)
    for block in program.blocks:
        if not block.from_given:
            above[block.target] = True
    feeds_on = any(not block.from_given and above[block.source].any() for block in program.blocks)
    return not feeds_on and not curvature[above].any()


def eigenvalues(hessian: NodeSpaceHessian) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the 2 n_nodes candidates for non-zero eigenvalues and the node of each, largest magnitude first.

    Cost: a few operations per neuron.
    """
    alpha, beta = (norm.astype(np.float64) for norm in hessian.squared_norms())
    diagonal = hessian.curvature * alpha
    coupling = np.abs(hessian.first.astype(np.float64)) * np.sqrt(alpha) * np.sqrt(beta)
    large = larger(diagonal, coupling)
    ratio = np.divide(coupling, large, out=np.zeros_like(large), where=large != 0.0)
    small = -coupling * ratio  # the product of the two is -coupling^2
    values = np.concatenate([large, small])
    nodes = np.tile(np.arange(hessian.program.n_nodes), 2)
    order = np.argsort(-np.abs(values), kind="stable")
    return values[order], nodes[order]


def larger(diagonal: NDArray[Any], coupling: NDArray[Any]) -> NDArray[Any]:
    """Return the eigenvalue of larger magnitude of ``[[diagonal, coupling], [coupling, 0]]``, entry by entry."""
    found: NDArray[Any] = 0.5 * (diagonal + np.copysign(np.hypot(diagonal, 2.0 * coupling), diagonal))
    return found


def coordinates(hessian: NodeSpaceHessian, value: float, node: int) -> Vector:
    """Return the node-space coordinates of the unit eigenvector of one non-zero eigenvalue: one neuron alone."""
    alpha, beta = hessian.squared_norms()
    s, t = 1.0, float(hessian.first[node]) * float(alpha[node]) / value
    norm = np.sqrt(float(alpha[node]) * s * s + float(beta[node]) * t * t)
    out = np.zeros(hessian.size, hessian.dtype)
    out[node], out[hessian.program.n_nodes + node] = s / norm, t / norm
    return out
