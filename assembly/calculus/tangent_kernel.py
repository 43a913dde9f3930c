r"""The tangent kernel, contracted block by block: no Jacobian is ever stored.

.. math:: K_{kl}(x, z) = \langle \nabla f_k(x), \nabla f_l(z) \rangle
          = \sum_v c_v^2\, b_v^{(k)}(x)\, b_v^{(l)}(z) \sum_{u \in pa(v)} a_u(x)\, a_u(z)

and, where edges share weights, the sum over weights of the product of their edge sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import NodeBlock
from assembly.calculus.evaluation import Evaluation
from assembly.errors import NonFiniteError


def tangent_kernel(left: Evaluation, right: Evaluation, output_left: int, output_right: int) -> NDArray[Any]:
    """Return K between the samples of two evaluations for one pair of outputs, shape (n_left, n_right).

    Exactly symmetric where both evaluations and both outputs are the same.

    Cost: for a dense block two matrix products of node vectors, by half the multiplications where it is symmetric; for
    a sparse one a pass over its edges per pair; weights outside
    node space take a gradient per sample, of their length.
    """
    program = left.program
    b_left, b_right = left.adjoints(output_left).pre, right.adjoints(output_right).pre
    kernel = np.zeros((len(b_left), len(b_right)), dtype=program.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # found below
        for position in program.trainable:
            block = program.blocks[position]
            if isinstance(block, NodeBlock) and block.in_node_space:
                kernel += block.kernel(left.post, right.post, b_left, b_right)
        if program.coordinates:
            kernel += _outside(left, b_left) @ _outside(right, b_right).T
        if left is right and output_left == output_right:
            kernel = 0.5 * (kernel + kernel.T)  # some blocks sum the two halves in orders of their own
    if not np.isfinite(kernel).all():
        raise NonFiniteError(f"The tangent kernel overflows {program.dtype}: scale the inputs or the weights down.")
    return kernel


def _outside(evaluation: Evaluation, b: NDArray[Any]) -> NDArray[Any]:
    """Return the gradient of every sample in the weights outside node space."""
    program = evaluation.program
    gradients = np.zeros((len(b), program.n_coordinates - 2 * program.n_nodes), dtype=program.dtype)
    nothing = np.zeros(program.n_nodes, dtype=program.dtype)
    for position, part in program.coordinates.items():
        block, weights = program.blocks[position], evaluation.weights[position]
        found = np.empty(part.stop - part.start, dtype=program.dtype)
        for row in range(len(b)):
            block.scatter(weights, b[row], nothing, evaluation.post[row], b[row], found)
            gradients[row, part] += found
    return gradients
