"""Power series through activation functions: sigma(z(t)) and sigma'(z(t)) from z(t), all cut at one order.

Every recurrence comes from the differential equation that sigma satisfies, as tanh' = 1 - tanh^2: the coefficients of
y with ``y' = x z'`` are ``y_k = (1/k) sum_j j z_j x_{k-j}``. Where sigma saturates, all of order 1 and up are multiples
of its small slope, which `jet` gives to all digits, and nothing large cancels.
"""

from __future__ import annotations

from assembly.kernels import kernel
from assembly.kernels.activation import (
    COS,
    ERF,
    EXP,
    GELU,
    QUADRATIC,
    SIGMOID,
    SIN,
    SOFTPLUS,
    SWISH,
    TANH,
    jet,
    normal,
    sigmoid_jet,
)


@kernel()
def product(x, y, k):
    """Return coefficient k of x(t) y(t)."""
    total = 0.0
    for i in range(k + 1):
        total += x[i] * y[k - i]
    return total


@kernel()
def integral(x, z, k):
    """Return coefficient k, 1 or more, of the y with y' = x z'."""
    total = 0.0
    for j in range(1, k + 1):
        total += j * z[j] * x[k - j]
    return total / k


@kernel()
def logistic(z, s, slope, work):
    """Fill s with the logistic function of z and `slope` with its derivative: slope' = slope (1 - 2 s) z'."""
    s[0], slope[0], _, _ = sigmoid_jet(z[0])
    for k in range(1, z.shape[0]):
        work[k - 1] = slope[k - 1] - 2.0 * product(s, slope, k - 1)
        s[k] = integral(slope, z, k)
        slope[k] = integral(work, z, k)


@kernel()
def gauss(z, cdf, pdf, scaled):
    """Fill the normal distribution function of z, its density, and z times the density: density' = -z density z'."""
    cdf[0], pdf[0] = normal(z[0])
    scaled[0] = z[0] * pdf[0]
    for k in range(1, z.shape[0]):
        cdf[k] = integral(pdf, z, k)
        pdf[k] = -integral(scaled, z, k)
        scaled[k] = product(z, pdf, k)


@kernel()
def compose(code, z, a, slope, work, more):
    """Fill a with sigma(z(t)) and `slope` with sigma'(z(t)) of the activation function `code`.

    z, a, slope, work, more (n_orders,) float64; the last two are overwritten.
    """
    a[0], slope[0], _, _ = jet(code, z[0])
    n = z.shape[0]
    if code == TANH:
        for k in range(1, n):
            work[k - 1] = product(a, slope, k - 1)
            a[k] = integral(slope, z, k)
            slope[k] = -2.0 * integral(work, z, k)
    elif code == ERF:
        for k in range(1, n):
            work[k - 1] = product(z, slope, k - 1)
            a[k] = integral(slope, z, k)
            slope[k] = -2.0 * integral(work, z, k)
    elif code == SIGMOID:
        logistic(z, a, slope, work)
    elif code == SOFTPLUS:
        logistic(z, slope, work, more)
        for k in range(1, n):
            a[k] = integral(slope, z, k)
    elif code == GELU:
        gauss(z, work, more, slope)
        for k in range(n):
            a[k] = product(z, work, k)
            slope[k] += work[k]
    elif code == SWISH:
        logistic(z, work, more, slope)
        for k in range(n):
            a[k] = product(z, work, k)
            slope[k] = work[k] + product(z, more, k)
    elif code in (SIN, COS):
        for k in range(1, n):
            a[k] = integral(slope, z, k)
            slope[k] = -integral(a, z, k)
    elif code == EXP:
        for k in range(1, n):
            a[k] = integral(a, z, k)
            slope[k] = a[k]
    elif code == QUADRATIC:
        for k in range(1, n):
            a[k] = product(z, z, k)
            slope[k] = 2.0 * z[k]
    else:  # identity and ReLU: linear on the side where z_0 lies
        for k in range(1, n):
            a[k] = slope[0] * z[k]
            slope[k] = 0.0


@kernel()
def activate(codes, pre, post, slope, work, start, stop):
    """Fill orders 1 and up of `post` and `slope` from `pre` for nodes start..stop-1.

    codes (n_nodes,) int64; pre, post, slope (n_orders, n_nodes) floating; work (5, n_orders) float64: overwritten.
    """
    n = pre.shape[0]
    for v in range(start, stop):
        for k in range(n):
            work[0, k] = pre[k, v]
        compose(codes[v], work[0], work[1], work[2], work[3], work[4])
        for k in range(1, n):
            post[k, v] = work[1, k]
            slope[k, v] = work[2, k]
