r"""Shares of the neurons of a layer in one output at one input: value, gradient, adjoint, curvature.

With contribution :math:`\bar a_i a_i` (for the last hidden layer under a linear output exactly the term
:math:`v_i g_i / s(m)` of the assembly), own squared gradient :math:`b_i^2 \alpha_i`, and the unit eigenvector
:math:`Z^T(s, t)` of the Hessian, the shares of neuron i within its layer are

=========  =====================================================================================
value      :math:`|\bar a_i a_i| / \sum_j |\bar a_j a_j|`
gradient   :math:`|\partial f/\partial w_i|^2 / \sum_j |\partial f/\partial w_j|^2`, own in-weights
adjoint    :math:`\bar a_i^2 / |\bar a|^2`
curvature  squared weight of the in-weights of i in the top eigenvector, over that of the layer
=========  =====================================================================================

A weight that several edges share is divided among them equally.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import NodeBlock, SharedBlock
from assembly.calculus.node_space import NodeSpaceHessian

Vector = NDArray[Any]


def contributions(hessian: NodeSpaceHessian, abar: Vector) -> dict[str, Vector]:
    """Return the non-negative contribution of every node, by kind, before division by the layer's total."""
    return {
        "value": np.abs(abar * hessian.a),
        "gradient": _carried(hessian, hessian.b, np.zeros_like(hessian.b), hessian.gradient),
        "adjoint": abar**2,
    }


def curvature_contributions(hessian: NodeSpaceHessian, coordinates: Vector) -> Vector:
    """Return the squared norm of the in-weights of every node in the eigenvector ``Z^T coordinates``.

    For node v: ``c_v^2 sum_u (s_v a_u + t_u b_v)^2``, from three passes over the structure and none over the weights.
    """
    s, t = hessian.split(coordinates)
    return _carried(hessian, s, t, lambda: hessian.Z_transposed(coordinates))


def _carried(hessian: NodeSpaceHessian, s: Vector, t: Vector, direction: Callable[[], Vector]) -> Vector:
    """What the in-weights of every node carry of a direction ``c_v (s_v a_u + t_u b_v)``, made only where shared."""
    program = hessian.program
    total = np.zeros(program.n_nodes, hessian.dtype)
    made: Vector | None = None
    for block in (program.blocks[position] for position in program.trainable):
        v = block.target
        if isinstance(block, SharedBlock):
            made = direction() if made is None else made
            total[v] += block.carried(made[block.parameters])
        elif isinstance(block, NodeBlock):
            total[v] += block.factor**2 * s[v] ** 2 * block.products(hessian.a, hessian.a)
            if not block.from_given and t.any():
                b = hessian.b[v]
                at, tt = block.products(hessian.a, t), block.products(t, t)
                total[v] += block.factor**2 * (2.0 * s[v] * b * at + b**2 * tt)
    return np.maximum(total, 0.0)


def shares(contribution: Vector) -> Vector:
    """Return contributions of one layer divided by their sum; NaN where all are zero."""
    total = contribution.sum()
    return contribution / total if total > 0.0 else np.full_like(contribution, np.nan)


def effective_number(share: Vector) -> float:
    """Return ``1 / sum s^2``: n for n equal shares, 1 where one neuron has all.

    Examples
    --------
    >>> round(effective_number(np.array([0.25, 0.25, 0.25, 0.25])), 12)
    4.0
    """
    return float(1.0 / np.sum(share.astype(np.float64) ** 2))
