r"""How the activations of a group answer a change of its pre-activations: neuron by neuron, or through a softmax.

With p the softmax of z and :math:`\bar a` the adjoints of p,

.. math:: J v = p \odot (v - p \cdot v), \qquad
          \frac{d}{dz}\bigl[J \bar a\bigr] \dot z = \dot p \odot (\bar a - p \cdot \bar a) - p\, (\dot p \cdot \bar a),
          \quad \dot p = J \dot z

and neuron by neuron :math:`J = \mathrm{diag}(\sigma')`, the second being :math:`\sigma'' \bar a \dot z`. Where z and
:math:`\bar a` are power series, p and :math:`J \bar a` are from :math:`p' = p \odot (z' - p \cdot z')`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]


def softmax(z: Values) -> Values:
    """Return the softmax over the last axis; no exponential overflows."""
    raised = np.exp(z - z.max(axis=-1, keepdims=True))
    p: Values = raised / raised.sum(axis=-1, keepdims=True)
    return p


def softmax_slope(p: Values, v: Values) -> Values:
    """Return J v, over the last axis; J is symmetric, so this is its transpose too."""
    largest = np.broadcast_to(np.argmax(p, axis=-1)[..., None], (*v.shape[:-1], 1))
    v = v - np.take_along_axis(v, largest, axis=-1)  # J gives the same, and 1 - p is never taken of a p close to 1
    slope: Values = p * (v - np.sum(p * v, axis=-1, keepdims=True))
    return slope


def softmax_bend(p: Values, abar: Values, z_dot: Values) -> Values:
    """Return the derivative of J abar along z_dot, over the last axis."""
    p_dot = softmax_slope(p, z_dot)
    inner = np.sum(p * abar, axis=-1, keepdims=True)
    bend: Values = p_dot * (abar - inner) - p * np.sum(p_dot * abar, axis=-1, keepdims=True)
    return bend


def softmax_series(p: Values, z: Values) -> Values:
    """Return the softmax p(t) of a power series z(t), a row for an order; `p` is that of z(0)."""
    z = z - z[:, [np.argmax(p)]]  # the same softmax, and 1 - p is never taken of a p close to 1
    rates = np.arange(len(z))[:, None] * z
    found, means = np.zeros(z.shape), np.zeros((len(z), 1))
    found[0] = p
    for k in range(1, len(z)):
        below = found[k - 1 :: -1] if k > 1 else found[:1]
        means[k] = np.sum(below * rates[1 : k + 1])
        found[k] = np.sum(below * (rates[1 : k + 1] - means[1 : k + 1]), axis=0) / k
    return found


def softmax_slope_series(p: Values, v: Values) -> Values:
    """Return J v for power series p(t) and v(t), a row for an order."""
    v = v - v[:, [np.argmax(p[0])]]
    return product_series(p, v - product_series(p, v).sum(axis=1, keepdims=True))


def product_series(x: Values, y: Values) -> Values:
    """Return the products of two rows of power series, a row for an order, cut at that of both."""
    found: Values = x[0] * y
    for i in range(1, len(x)):
        found[i:] += x[i] * y[:-i]
    return found
