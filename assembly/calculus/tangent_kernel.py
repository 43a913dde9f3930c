r"""The tangent kernel, contracted block by block: no Jacobian is ever stored.

.. math:: K_{kl}(x, z) = \langle \nabla f_k(x), \nabla f_l(z) \rangle
          = \sum_v c_v^2\, b_v^{(k)}(x)\, b_v^{(l)}(z) \sum_{u \in pa(v)} a_u(x)\, a_u(z)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.evaluation import Evaluation


def tangent_kernel(left: Evaluation, right: Evaluation, output_left: int, output_right: int) -> NDArray[Any]:
    """Return K between the samples of two evaluations for one pair of outputs, shape (n_left, n_right).

    Cost: for a dense block two matrix products of node vectors, for a sparse one a pass over its edges per pair.
    """
    b_left, b_right = left.adjoints(output_left).pre, right.adjoints(output_right).pre
    kernel = np.zeros((len(b_left), len(b_right)), dtype=left.program.dtype)
    for block in left.program.blocks:
        if block.parameters is not None:
            kernel += block.kernel(left.post, right.post, b_left, b_right)
    return kernel
