r"""The Hessian of a loss in the parameters: the Gauss-Newton part, and what the Hessians of the outputs add.

.. math:: \nabla^2 L = \underbrace{J^T \ell'' J}_{G} + \underbrace{\sum_{ik} \ell'_{ik} H_{ik}}_{H}

G is convex. Where the model is nearly linear the second part fades, and the loss behaves like a convex one along its
gradient (E. Littwin, L. Wolf, arXiv 2001.04878).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.evaluation import Evaluation
from assembly.calculus.sum_of_outputs import Expansion, gradient_of_sum
from assembly.dynamics.losses import Loss


class LossCurvature(NamedTuple):
    """Second derivative of a loss along its unit gradient: ``g^T G g`` and ``g^T H g``."""

    gauss_newton: float
    rest: float


def along_gradient(evaluation: Evaluation, y: NDArray[np.float64], loss: Loss) -> LossCurvature:
    """Return both parts of the curvature of a loss along its gradient.

    Parameters
    ----------
    evaluation : Evaluation
    y : ndarray of shape (n, n_outputs)
    loss : Loss

    Returns
    -------
    LossCurvature
        NaN where the gradient vanishes.

    Raises
    ------
    GraphError
        If there are sub-models of your own.

    Notes
    -----
    Cost: one gradient of the loss and a second-order expansion along it; no Hessian is formed.

    Examples
    --------
    >>> import assembly as am
    >>> from assembly.dynamics.losses import LOSSES
    >>> net = am.mlp(n_inputs=2, widths=[512], activation="tanh", seed=0)
    >>> found = along_gradient(net.evaluate([[1.0, 2.0]]), np.array([[1.0]]), LOSSES["squared"])
    >>> abs(found.rest) < 0.1 * found.gauss_newton
    True
    """
    outputs = evaluation.outputs
    slopes = loss.slope(outputs, y)
    gradient = gradient_of_sum(evaluation, slopes)
    largest = float(np.abs(gradient).max(initial=0.0))
    if largest == 0.0:
        return LossCurvature(np.nan, np.nan)
    direction = gradient / gradient.dtype.type(largest)
    direction /= np.linalg.norm(direction)
    along = Expansion(evaluation, direction)
    gauss_newton = np.sum(loss.bend(outputs, y) * along.first().astype(np.float64) ** 2)
    return LossCurvature(float(gauss_newton), float(np.sum(slopes * along.second().astype(np.float64))))
