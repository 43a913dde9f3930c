r"""Up to which step size gradient descent on the quadratic model comes back: the catapult.

With :math:`\lambda_0` the largest eigenvalue of the tangent kernel at the start, gradient descent with squared loss on
the linearised model diverges from :math:`\eta \lambda_0 = 2` on. On the quadratic model the loss rises there at first,
the curvature falls, and the loss falls after all, up to a limit: 4 for one hidden layer of ReLU at one input, at any
width (L. Zhu, C. Liu, A. Radhakrishnan, M. Belkin, arXiv 2205.11787).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.evaluation import Evaluation
from assembly.dynamics.losses import LOSSES
from assembly.dynamics.models import SecondOrder
from assembly.dynamics.motion import Moving, Rule
from assembly.dynamics.rule import largest_eigenvalue, written_kernel
from assembly.threads import one_blas_thread

LARGEST = 8.0  # eta lambda_0 that is tried
RESOLUTION = 0.03
N_STEPS = 300
FITTED, HOPELESS = 0.01, 1e8  # shares of the loss at the start


def catapult_limit(evaluation: Evaluation, w0: NDArray[Any], y: NDArray[Any]) -> float:
    r"""Return the largest :math:`\eta \lambda_0` at which gradient descent on the quadratic model fits.

    Fits: the squared loss falls to a hundredth within 300 steps. Found by bisection between 1 and 8, to 0.03.

    Parameters
    ----------
    evaluation : Evaluation
        At w0.
    w0 : ndarray of shape (n_parameters,)
    y : ndarray of shape (n, n_outputs)

    Returns
    -------
    float
        NaN where even :math:`\eta \lambda_0 = 1` does not fit, as with inputs of very different weight in the kernel,
        or where the loss is 0 from the start; 8 where that still fits.

    Raises
    ------
    GraphError
        If there are sub-models of your own.

    Notes
    -----
    Cost: at most 10 runs of 300 steps of the quadratic model.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=4, widths=[512], activation="relu", seed=0)
    >>> limit = catapult_limit(net.evaluate([1.0, -1.0, 0.5, 1.0]), net.parameters, np.array([[1.0]]))
    >>> 3.5 < limit < 4.1
    True
    """
    largest = largest_eigenvalue(evaluation, written_kernel(evaluation))
    low, high = 1.0, LARGEST
    at_rest = LOSSES["squared"].value(evaluation.outputs, y) == 0.0
    if at_rest or not largest > 0.0 or not _fits(evaluation, w0, y, low / largest):
        return float("nan")
    if _fits(evaluation, w0, y, high / largest):
        return LARGEST
    while high - low > RESOLUTION:
        middle = 0.5 * (low + high)
        if _fits(evaluation, w0, y, middle / largest):
            low = middle
        else:
            high = middle
    return low


@one_blas_thread()
def _fits(evaluation: Evaluation, w0: NDArray[Any], y: NDArray[Any], step_size: float) -> bool:
    loss = LOSSES["squared"]
    moving = Moving(SecondOrder(evaluation, w0), w0, loss, y, Rule(step_size))
    first = loss.value(evaluation.outputs, y)
    with np.errstate(over="ignore", invalid="ignore"):
        for number in range(N_STEPS):
            value = moving.step(number)
            if value <= FITTED * first:
                return True
            if not value <= HOPELESS * first:
                return False
    return False
