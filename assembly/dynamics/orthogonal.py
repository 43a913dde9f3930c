r"""Gradient descent along orthogonal matrices, whose products of L factors move as one matrix does.

With :math:`G_l` the gradient in the factor :math:`W_l`,

.. math:: W_l \leftarrow e^{-\eta A_l}\, W_l, \qquad A_l = \tfrac12 (G_l W_l^T - W_l G_l^T) .

For :math:`P_l = W_L \cdots W_{l+1}` and the product W with gradient G, :math:`A_l = P_l^T A P_l`, so that every factor
turns the product by the same :math:`e^{-\eta A}`: L factors with step :math:`\eta` are one with step :math:`L \eta`,
exactly [1]_.

.. [1] P. Ablin, arXiv 2011.13831: Deep orthogonal linear networks are shallow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from assembly.dynamics.losses import LOSSES
from assembly.dynamics.models import EVERY, Network
from assembly.errors import GraphError
from assembly.graph.connections import Dense

if TYPE_CHECKING:
    from assembly.model import Assembly

Values = NDArray[Any]


def factors(net: Assembly, w: Values) -> Values:
    """Return the trained matrices of a chain, the first factor first, shape (L, m, m): views of the parameters.

    Raises
    ------
    GraphError
        If the parameters are others than square matrices of one size, one for each of several layers.
    """
    trained = [connection for connection in net.graph.connections if connection.values is None]
    sizes = {one.n_target for one in trained} | {one.n_source for one in trained}
    if len(sizes) != 1 or not all(isinstance(one, Dense) and (one.factor == 1.0).all() for one in trained):
        raise GraphError("The network must have square matrices of one size and factor 1 as its only parameters.")
    (size,) = sizes
    return w.reshape(len(trained), size, size)


def orthogonal_descent(net: Assembly, X: Values, y: Values, step_size: float, n_steps: int) -> Values:
    """Return the parameters after some steps along the orthogonal matrices, on the squared loss.

    Parameters
    ----------
    net : Assembly
        Such as `assembly.orthogonal_chain` returns.
    X : ndarray of shape (n, n_inputs)
    y : ndarray of shape (n, n_outputs)
    step_size : float
        eta.
    n_steps : int

    Raises
    ------
    GraphError
        If the parameters are no orthogonal matrices of one size.

    Notes
    -----
    Cost of a step: a gradient, and for every factor a matrix exponential, some twenty products of m by m matrices.
    """
    w = net.parameters.copy()
    moved, loss, model = factors(net, w), LOSSES["squared"], Network(net.evaluate(X).program, X)
    gap = moved @ moved.transpose(0, 2, 1) - np.eye(moved.shape[1])
    if np.abs(gap).max() > np.sqrt(np.finfo(w.dtype).eps):
        raise GraphError("The network must have orthogonal matrices as its parameters.")
    gradient = np.empty_like(w)
    for _ in range(n_steps):
        model.gradient(w, EVERY, lambda u: loss.slope(u, y), gradient)
        for W, G in zip(moved, factors(net, gradient), strict=True):
            turn = 0.5 * (G @ W.T - W @ G.T)
            W[:] = expm(-step_size * turn) @ W
    return w
