"""Activation functions: value and three derivatives, by code. The only place where their formulas stand."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from assembly.kernels import kernel

NAMES = ("identity", "tanh", "erf", "sigmoid", "softplus", "gelu", "swish", "relu", "sin", "cos", "quadratic", "exp")
IDENTITY, TANH, ERF, SIGMOID, SOFTPLUS, GELU, SWISH, RELU, SIN, COS, QUADRATIC, EXP = range(12)

TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)
ONE_OVER_ROOT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)
FAR = 1e4  # beyond this square exp(-z^2 / 2) is 0 in double precision
LARGEST_EXPONENT = 709.78  # exp of more overflows double precision
ONE_OVER_ROOT_TWO = 1.0 / math.sqrt(2.0)


@kernel()
def sigmoid_jet(z):
    """Return the logistic function s and s', s'', s'''; s' = s (1 - s) from the smaller of s and 1 - s."""
    e = math.exp(-abs(z))
    small = e / (1.0 + e)
    s = 1.0 - small if z >= 0.0 else small
    first = small / (1.0 + e)
    second = first * (1.0 - 2.0 * s)
    third = second * (1.0 - 2.0 * s) - 2.0 * first * first
    return s, first, second, third


@kernel()
def jet(code, z):
    """Return sigma(z), sigma'(z), sigma''(z), sigma'''(z) of the activation function `code`."""
    if code == IDENTITY:
        return z, 1.0, 0.0, 0.0
    if code == TANH:
        t = math.tanh(z)
        c = 1.0 / math.cosh(z) if abs(z) < 350.0 else 0.0
        first = c * c
        return t, first, -2.0 * t * first, first * (6.0 * t * t - 2.0)
    if code == ERF:
        square = min(z * z, FAR)
        first = TWO_OVER_ROOT_PI * math.exp(-square)
        return math.erf(z), first, -2.0 * z * first, (4.0 * square - 2.0) * first
    if code == SIGMOID:
        return sigmoid_jet(z)
    if code == SOFTPLUS:
        s, first, second, third = sigmoid_jet(z)
        return max(z, 0.0) + math.log1p(math.exp(-abs(z))), s, first, second
    if code == GELU:
        cdf = 0.5 * math.erfc(-z * ONE_OVER_ROOT_TWO)
        square = min(z * z, FAR)
        pdf = ONE_OVER_ROOT_TWO_PI * math.exp(-0.5 * square)
        return z * cdf, cdf + z * pdf, pdf * (2.0 - square), pdf * z * (square - 4.0)
    if code == SWISH:
        s, first, second, third = sigmoid_jet(z)
        return z * s, s + z * first, 2.0 * first + z * second, 3.0 * second + z * third
    if code == RELU:
        return (z, 1.0, 0.0, 0.0) if z > 0.0 else (0.0, 0.0, 0.0, 0.0)
    if code == SIN:
        return math.sin(z), math.cos(z), -math.sin(z), -math.cos(z)
    if code == COS:
        return math.cos(z), -math.sin(z), -math.cos(z), math.sin(z)
    if code == EXP:
        e = math.exp(z) if z < LARGEST_EXPONENT else math.inf
        return e, e, e, e
    return z * z, 2.0 * z, 2.0, 0.0


@kernel()
def activate(codes, pre, post, first, second, start, stop):
    """Fill `post`, `first` and `second` from `pre` for nodes start..stop-1 of every sample.

    codes (n_nodes,) int64; pre, post, first, second (n_samples, n_nodes) floating.
    """
    for b in range(pre.shape[0]):
        for v in range(start, stop):
            value, slope, curvature, _ = jet(codes[v], pre[b, v])
            post[b, v] = value
            first[b, v] = slope
            second[b, v] = curvature


@kernel()
def third_derivatives(codes, pre, third):
    """Fill `third` from `pre`, both (n_nodes,) floating; codes (n_nodes,) int64."""
    for v in range(pre.shape[0]):
        third[v] = jet(codes[v], pre[v])[3]


@kernel()
def fill_jets(code, z, jets):
    """Fill jets (4, n) with sigma and its first three derivatives at z (n,), all float64."""
    for i in range(z.shape[0]):
        jets[0, i], jets[1, i], jets[2, i], jets[3, i] = jet(code, z[i])


def code_of(name: str) -> int:
    """Return the code of an activation function by name."""
    return NAMES.index(name)


def codes_of(names: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the codes of several activation functions."""
    return np.array([code_of(name) for name in names], dtype=np.int64)
