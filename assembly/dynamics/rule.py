r"""The step size: where gradient descent on the linearised model is stable, the default, and why a run diverged.

With :math:`\lambda_{max}` the largest eigenvalue of the tangent kernel over all training inputs and outputs,
:math:`\ell'' \le \beta` the second derivative of the loss, momentum :math:`\mu` and weight decay :math:`\gamma`,
gradient descent on the linearised model is stable below

.. math:: \eta_{max} = \frac{2 (1 + \mu)}{\beta \lambda_{max} + \gamma}, \qquad
          \text{default} \quad \eta = \frac{1}{\beta \lambda_{max} + \gamma} .

With mini-batches, b of n samples stand for n/b times their loss, and :math:`\lambda_{max}` is a bound for every batch,

.. math:: \lambda_{max} \le \min\Bigl(\frac{n}{b} \lambda_{max}(K),\; n \max_i \lambda_{max}(K_{ii})\Bigr),

b being the smallest batch, the last of a pass over the samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.evaluation import Evaluation, tangent
from assembly.calculus.sum_of_outputs import gradient_of_sum
from assembly.calculus.tangent_kernel import tangent_kernel
from assembly.seeds import generator

LARGEST_KERNEL = 4096  # rows of a tangent kernel that is written down


def kernel_matrix(left: Evaluation, right: Evaluation) -> NDArray[np.float64]:
    """Return the tangent kernel between all samples and outputs of two evaluations, in float64.

    Returns
    -------
    ndarray of shape (n_left * n_outputs, n_right * n_outputs)
        Sample by sample, the outputs running fastest; exactly symmetric where both evaluations are one.
    """
    n_outputs = len(left.program.outputs)
    blocks = np.empty((len(left.post), n_outputs, len(right.post), n_outputs))
    for k in range(n_outputs):
        for j in range(n_outputs):
            is_known = left is right and j < k
            blocks[:, k, :, j] = blocks[:, j, :, k].T if is_known else tangent_kernel(left, right, k, j)
    return blocks.reshape(len(left.post) * n_outputs, len(right.post) * n_outputs)


def written_kernel(evaluation: Evaluation) -> NDArray[np.float64] | None:
    """Return the tangent kernel of an evaluation with itself, None beyond 4096 rows."""
    return kernel_matrix(evaluation, evaluation) if evaluation.outputs.size <= LARGEST_KERNEL else None


def largest_eigenvalue(evaluation: Evaluation, kernel: NDArray[np.float64] | None) -> float:
    """Return the largest eigenvalue of the tangent kernel over all samples and outputs.

    From the matrix that `written_kernel` gave; without one by Lanczos iteration on products with it, to a relative
    error of 1e-4.
    """
    if kernel is not None:
        return float(np.linalg.eigvalsh(kernel)[-1])
    from scipy.sparse.linalg import LinearOperator, eigsh

    shape = evaluation.outputs.shape

    def product(r: NDArray[Any]) -> NDArray[Any]:
        factors = np.asarray(r, evaluation.program.dtype).reshape(shape)
        return tangent(evaluation, gradient_of_sum(evaluation, factors)).ravel().astype(np.float64)

    size = evaluation.outputs.size
    start = generator(0, "largest eigenvalue").standard_normal(size)
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    return float(eigsh(operator, k=1, tol=1e-4, v0=start, return_eigenvectors=False)[0])


def largest_of_batches(evaluation: Evaluation, kernel: NDArray[np.float64] | None, batch_size: int | None) -> float:
    """Return a bound of the largest eigenvalue that any batch makes of the kernel; without batches the eigenvalue.

    The kernel is that of `written_kernel`.

    Cost: that of `largest_eigenvalue`, and with batches the kernel of every sample with itself.
    """
    n, largest = len(evaluation.post), largest_eigenvalue(evaluation, kernel)
    if batch_size is None or batch_size >= n:
        return largest
    ones = (evaluation.at_row(i) for i in range(n))
    alone = max(float(np.linalg.eigvalsh(kernel_matrix(one, one))[-1]) for one in ones)
    return min(n / (n % batch_size or batch_size) * largest, n * alone)


def stable_below(steepest: float, momentum: float) -> float:
    """Return the step size below which gradient descent on the linearised model is stable.

    Parameters
    ----------
    steepest : float
        Largest second derivative of the loss in any direction of the parameters, beta lambda_max + gamma.
    momentum : float

    Examples
    --------
    >>> stable_below(4.0, momentum=0.0)
    0.5
    """
    return 2.0 * (1.0 + momentum) / steepest if steepest > 0.0 else np.inf


def default_step_size(steepest: float) -> float:
    """Return half the limit of plain gradient descent; 1 where nothing depends on the parameters."""
    return 1.0 / steepest if steepest > 0.0 else 1.0


def explanation(step_size: float, limit: float, default: float, fraction: str) -> str:
    """Say why a run diverged, and what to try; `fraction` is how the limit comes about.

    Examples
    --------
    >>> explanation(0.9, 0.37, 0.185, "2 / lambda_max")
    'eta = 0.9 exceeds 2 / lambda_max = 0.37: the loss rises. Try a step size of 0.185.'
    """
    if step_size > limit:
        return (
            f"eta = {step_size:.3g} exceeds {fraction} = {limit:.3g}: the loss rises. Try a step size of {default:.3g}."
        )
    return (
        f"eta = {step_size:.3g} is below {limit:.3g}, where the linearised model is stable, but the network left the "
        f"region where that tells: try a step size of {step_size / 4.0:.3g}, or less noise."
    )
