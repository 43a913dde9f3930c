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
LOG2_E = 1.0 / math.log(2.0)
LN_2_HIGH, LN_2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10  # ln(2) in two parts
FAR = 1e4  # beyond this square exp(-z^2 / 2) is 0 in double precision
LARGEST_EXPONENT = 709.78  # exp of more overflows double precision
ONE_OVER_ROOT_TWO = 1.0 / math.sqrt(2.0)

# of float32: a number of float64 among them would make all that follows float64
ZERO, HALF, ONE, TWO, FOUR, NEAR, FAR_SINGLE, LEAST = map(np.float32, (0.0, 0.5, 1.0, 2.0, 4.0, 0.625, 43.5, -87.0))
LOG2_E_SINGLE, LN_2_HIGH_SINGLE, LN_2_LOW_SINGLE = map(np.float32, (LOG2_E, 355.0 / 512.0, -2.12194440e-4))
EXP_5, EXP_4, EXP_3, EXP_2, EXP_1 = map(
    np.float32, (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1)
)
TANH_5, TANH_4, TANH_3, TANH_2, TANH_1 = map(
    np.float32, (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
)
BIAS, MANTISSA = np.int32(127), np.int32(23)


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


@kernel(inline="always", error_model="numpy")
def decay(y):
    """Return exp(y) for y <= 0, to a unit in the last place; 3e-308 at least. Loops over it take several at once."""
    y = -708.0 if y < -708.0 else y
    k = np.int64(y * LOG2_E - 0.5)
    r = (y - k * LN_2_HIGH) - k * LN_2_LOW  # |r| <= ln(2) / 2: its Taylor series to r^13
    p = ((1.0 / 6227020800.0 * r + 1.0 / 479001600.0) * r + 1.0 / 39916800.0) * r + 1.0 / 3628800.0
    p = (((p * r + 1.0 / 362880.0) * r + 1.0 / 40320.0) * r + 1.0 / 5040.0) * r + 1.0 / 720.0
    p = (((p * r + 1.0 / 120.0) * r + 1.0 / 24.0) * r + 1.0 / 6.0) * r + 0.5
    p = (p * r + 1.0) * r + 1.0
    return p * np.int64((k + 1023) << 52).view(np.float64)


@kernel(inline="always", error_model="numpy")
def tanh_jet(z):
    """Return tanh and its first derivative 1 - tanh^2, both to a few units in the last place whatever z.

    Near 0 a rational function [1]_, elsewhere from exp(-2 |z|), so that 1 - t^2 is never taken of a t close to 1. Both
    are computed and one is taken: loops over it take several at once.

    .. [1] S. L. Moshier (1989), Methods and Programs for Mathematical Functions, Ellis Horwood: the Cephes library.
    """
    size, x = abs(z), z * z
    above = (-9.64399179425052238628e-1 * x - 9.92877231001918586564e1) * x - 1.61468768441708447952e3
    below = ((x + 1.12811678491632931402e2) * x + 2.23548839060100448583e3) * x + 4.84406305325125486048e3
    near = size + size * x * (above / below)
    e = decay(-2.0 * size)
    r = 1.0 / (1.0 + e)
    t = near if size < 0.625 else (1.0 - e) * r
    far = 4.0 * e * r * r if not size > 350.0 else 0.0
    return t if z >= 0.0 else -t, 1.0 - near * near if size < 0.625 else far


@kernel(inline="always", error_model="numpy")
def decay_single(y):
    """Return exp(y) for y <= 0 in float32, as `decay` does; 1.6e-38 at least. The polynomial is that of [1]_.

    .. [1] S. L. Moshier (1989), Methods and Programs for Mathematical Functions, Ellis Horwood: the Cephes library.
    """
    y = LEAST if y < LEAST else y
    k = np.int32(y * LOG2_E_SINGLE - HALF)
    n = np.float32(k)
    r = (y - n * LN_2_HIGH_SINGLE) - n * LN_2_LOW_SINGLE
    p = ((((EXP_5 * r + EXP_4) * r + EXP_3) * r + EXP_2) * r + EXP_1) * r + HALF
    p = (p * r) * r + r + ONE
    return p * np.int32((k + BIAS) << MANTISSA).view(np.float32)


@kernel(inline="always", error_model="numpy")
def tanh_jet_single(z):
    """Return what `tanh_jet` does, in float32: tanh to 2 units in the last place, its derivative to 5.

    Beyond 43.5 the derivative, below 7e-38, is 0. Twice as many values at once, by shorter series.
    """
    size, x = abs(z), z * z
    near = size + size * x * ((((TANH_5 * x + TANH_4) * x + TANH_3) * x + TANH_2) * x + TANH_1)
    e = decay_single(-TWO * size)
    r = ONE / (ONE + e)
    t = near if size < NEAR else (ONE - e) * r
    far = FOUR * e * r * r if not size > FAR_SINGLE else ZERO
    return t if z >= ZERO else -t, ONE - near * near if size < NEAR else far


@kernel()
def normal(z):
    """Return the normal distribution function and its density."""
    square = min(z * z, FAR)
    return 0.5 * math.erfc(-z * ONE_OVER_ROOT_TWO), ONE_OVER_ROOT_TWO_PI * math.exp(-0.5 * square)


@kernel()
def jet(code, z):
    """Return sigma(z), sigma'(z), sigma''(z), sigma'''(z) of the activation function `code`."""
    if code == IDENTITY:
        return z, 1.0, 0.0, 0.0
    if code == TANH:
        t, first = tanh_jet(z)
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
        cdf, pdf = normal(z)
        square = min(z * z, FAR)
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


@kernel(error_model="numpy")
def activate(codes, pre, post, first, start, stop):
    """Fill `post` and `first` from `pre` for nodes start..stop-1 of every sample.

    codes (n_nodes,) int64; pre, post, first (n_samples, n_nodes) floating; computed in float64 whatever they are, but
    for tanh.
    """
    only_tanh, single = True, pre.itemsize == 4
    for v in range(start, stop):
        only_tanh &= codes[v] == TANH
    for b in range(pre.shape[0]):
        z, a, slope = pre[b, start:stop], post[b, start:stop], first[b, start:stop]
        if only_tanh and single:
            for v in range(z.shape[0]):
                a[v], slope[v] = tanh_jet_single(np.float32(z[v]))
        elif only_tanh:
            for v in range(z.shape[0]):
                a[v], slope[v] = tanh_jet(np.float64(z[v]))
        else:
            for v in range(z.shape[0]):
                if single and codes[start + v] == TANH:
                    a[v], slope[v] = tanh_jet_single(np.float32(z[v]))
                else:
                    a[v], slope[v], _, _ = jet(codes[start + v], np.float64(z[v]))


@kernel()
def all_finite(values, start, stop):
    """Return whether nodes start..stop-1 of every sample are finite; values (n_samples, n_nodes) floating."""
    count = 0
    for b in range(values.shape[0]):
        row = values[b, start:stop]
        for v in range(row.shape[0]):
            count += 0 if abs(row[v]) < math.inf else 1
    return count == 0


@kernel()
def second_derivatives(codes, pre, second):
    """Fill `second` from `pre`, both (n_samples, n_nodes) floating; codes (n_nodes,) int64."""
    for b in range(pre.shape[0]):
        for v in range(pre.shape[1]):
            second[b, v] = jet(codes[v], np.float64(pre[b, v]))[2]


@kernel()
def third_derivatives(codes, pre, third):
    """Fill `third` from `pre`, both (n_nodes,) floating; codes (n_nodes,) int64."""
    for v in range(pre.shape[0]):
        third[v] = jet(codes[v], np.float64(pre[v]))[3]


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
