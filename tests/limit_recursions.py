"""Limit kernels written out naively: loops over layers, pixels and neurons, integrals over the plane by brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from scipy import integrate, special


def _logistic(z):
    return special.expit(z)


def _bell(z):
    return np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


# Value and derivative of every activation function.
FUNCTIONS: dict[str, tuple[Callable, Callable]] = {
    "identity": (lambda z: z, np.ones_like),
    "tanh": (np.tanh, lambda z: 1.0 / np.cosh(z) ** 2),
    "erf": (special.erf, lambda z: 2.0 / math.sqrt(math.pi) * np.exp(-z * z)),
    "sigmoid": (_logistic, lambda z: _logistic(z) * _logistic(-z)),
    "softplus": (lambda z: np.logaddexp(0.0, z), _logistic),
    "gelu": (lambda z: z * special.ndtr(z), lambda z: special.ndtr(z) + z * _bell(z)),
    "swish": (lambda z: z * _logistic(z), lambda z: _logistic(z) * (1.0 + z * _logistic(-z))),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda z: -np.sin(z)),
    "quadratic": (lambda z: z * z, lambda z: 2.0 * z),
    "exp": (np.exp, np.exp),
}
NAMES = (*FUNCTIONS, "relu")


@cache
def _rule(order: int = 160):
    nodes, weights = np.polynomial.hermite_e.hermegauss(order)
    return nodes, weights / weights.sum()


def expected(name: str, derivative: int, a: float, b: float, c: float) -> float:
    """E[s(u) s(v)] for variances a, b and covariance c, s being the function or its derivative."""
    if name == "relu":
        return _expected_relu(derivative, a, b, c)
    nodes, weights = _rule()
    slope = c / math.sqrt(a) if a > 0.0 else 0.0
    rest = math.sqrt(max(b - slope**2, 0.0))
    s = FUNCTIONS[name][derivative]
    u, v = math.sqrt(a) * nodes, slope * nodes[:, None] + rest * nodes
    return float(weights @ (s(u) * (s(v) @ weights)))


def _expected_relu(derivative: int, a: float, b: float, c: float) -> float:
    """Polar coordinates: the radius integrates to 2 for two factors linear in it and to 1 for none."""
    if a == 0.0 or b == 0.0:
        return 0.0
    angle = math.acos(min(1.0, max(-1.0, c / math.sqrt(a * b))))
    kinks = [-math.pi / 2, math.pi / 2, angle - math.pi / 2, angle + math.pi / 2]
    lower, upper = max(kinks[0], kinks[2]), min(kinks[1], kinks[3])
    if derivative:
        return (upper - lower) / (2.0 * math.pi)

    def integrand(phi):
        return math.sqrt(a * b) * math.cos(phi) * math.cos(phi - angle)

    return integrate.quad(integrand, lower, upper, epsabs=0.0, epsrel=1e-13)[0] / math.pi


def mean(name: str, a: float) -> float:
    """E[sigma(u)] for variance a."""
    if name == "relu":
        return integrate.quad(lambda g: math.sqrt(a) * g * _bell(g), 0.0, 40.0, epsabs=0.0, epsrel=1e-13)[0]
    nodes, weights = _rule()
    return float(weights @ FUNCTIONS[name][0](math.sqrt(a) * nodes))


def activated(name: str, S: np.ndarray, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take covariance and tangent kernel of pre-activations, square and over all points, to those of activations."""
    n = len(S)
    after, slopes = np.zeros((n, n)), np.zeros((n, n))
    for i, j in itertools.product(range(n), repeat=2):
        after[i, j] = expected(name, 0, S[i, i], S[j, j], S[i, j])
        slopes[i, j] = expected(name, 1, S[i, i], S[j, j], S[i, j])
    return after, slopes * T


def mlp(X: np.ndarray, depth: int, activation: str, bias: bool = False) -> tuple[np.ndarray, np.ndarray]:
    S, T = X @ X.T / X.shape[1], np.zeros((len(X), len(X)))
    for layer in range(depth + 1):
        S = S + 1.0 if bias else S
        T = T + S
        if layer < depth:
            S, T = activated(activation, S, T)
    return S, T


def resnet(X: np.ndarray, n_blocks: int, activation: str) -> tuple[np.ndarray, np.ndarray]:
    """Sums of independent neurons with means: E[(a + b)(a' + b')] has the terms E[a] E[b'] and E[b] E[a']."""
    S = X @ X.T / X.shape[1]
    m = np.array([mean(activation, variance) for variance in np.diag(S)])
    A, T = activated(activation, S, S)
    for _ in range(n_blocks):
        block = np.array([mean(activation, variance) for variance in np.diag(A)])
        B, U = activated(activation, A, A + T)
        A, T = A + B + np.outer(m, block) + np.outer(block, m), T + U
        m = m + block
    return A, A + T


def densenet(X: np.ndarray, widths: Sequence[int], activation: str) -> tuple[np.ndarray, np.ndarray]:
    groups = [(X.shape[1], X @ X.T / X.shape[1], np.zeros((len(X), len(X))))]
    for width in (*widths, 0):
        n = sum(size for size, _, _ in groups)
        S = sum(size / n * second for size, second, _ in groups)
        T = S + sum(size / n * tangent for size, _, tangent in groups)
        if width:
            groups.append((width, *activated(activation, S, T)))
    return S, T


def cnn(
    images: np.ndarray,
    n_layers: int,
    kernel: Sequence[int],
    activation: str,
    stride: int = 1,
    padding: Sequence[int] | None = None,
    pool: int = 1,
    bias: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, channels, height, width): dictionaries from (sample, place, sample', place') to covariances."""
    n, channels, *shape = images.shape
    added = [size // 2 for size in kernel] if padding is None else padding
    places = list(itertools.product(*map(range, shape)))
    S = {
        (i, p, j, q): float(images[i, :, *p] @ images[j, :, *q]) / channels
        for i, p, j, q in itertools.product(range(n), places, range(n), places)
    }
    T = dict.fromkeys(S, 0.0)
    taps = list(itertools.product(*map(range, kernel)))
    for _ in range(n_layers):
        shape = [(size + 2 * more - k) // stride + 1 for size, more, k in zip(shape, added, kernel, strict=True)]
        S, T = _convolved(S, T, n, shape, taps, stride, added, bias)
        S, T = _activated_places(S, T, activation)
        shape = [size // pool for size in shape]
        S, T = (_pooled(entries, n, shape, pool) for entries in (S, T))
    places = list(itertools.product(*map(range, shape)))
    kernels = np.zeros((2, n, n))
    for (i, j), place in itertools.product(itertools.product(range(n), repeat=2), places):
        key = (i, place, j, place)
        kernels[0, i, j] += S[key] / len(places)
        kernels[1, i, j] += (S[key] + T[key]) / len(places)
    kernels += 1.0 if bias else 0.0
    return kernels[0], kernels[1]


def residual_signals(signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signals (n, channels, length): a = relu(conv), then a + relu(conv(a)), 3 taps, averages of 2 places."""
    n, channels, length = signals.shape
    places = [(p,) for p in range(length)]
    keys = list(itertools.product(range(n), places, range(n), places))
    S = {(i, p, j, q): float(signals[i, :, p[0]] @ signals[j, :, q[0]]) / channels for i, p, j, q in keys}
    T = dict.fromkeys(S, 0.0)
    taps = [(tap,) for tap in range(3)]
    z, t = _convolved(S, T, n, [length], taps, 1, [1], False)
    A, U = _activated_places(z, t, "relu")
    y, s = _convolved(A, U, n, [length], taps, 1, [1], False)
    B, V = _activated_places(y, s, "relu")
    m, block = ({(i, p): mean("relu", w[i, p, i, p]) for i in range(n) for p in places} for w in (z, y))
    across = {(i, p, j, q): m[i, p] * block[j, q] + block[i, p] * m[j, q] for i, p, j, q in keys}
    both = {key: A[key] + B[key] + across[key] for key in keys}
    both, carried = (
        _pooled(entries, n, [length // 2], 2) for entries in (both, {key: U[key] + V[key] for key in keys})
    )
    kernels = np.zeros((2, n, n))
    for i, j, p in itertools.product(range(n), range(n), range(length // 2)):
        key = (i, (p,), j, (p,))
        kernels[0, i, j] += both[key] / (length // 2)
        kernels[1, i, j] += (both[key] + carried[key]) / (length // 2)
    return kernels[0], kernels[1]


def _convolved(S, T, n, shape, taps, stride, added, bias):
    z, t = {}, {}
    places = list(itertools.product(*map(range, shape)))
    for i, p, j, q in itertools.product(range(n), places, range(n), places):
        total = carried = 0.0
        for tap in taps:
            left = tuple(stride * at + step - more for at, step, more in zip(p, tap, added, strict=True))
            right = tuple(stride * at + step - more for at, step, more in zip(q, tap, added, strict=True))
            total += S.get((i, left, j, right), 0.0) / len(taps)
            carried += T.get((i, left, j, right), 0.0) / len(taps)
        z[i, p, j, q] = total + (1.0 if bias else 0.0)
        t[i, p, j, q] = z[i, p, j, q] + carried
    return z, t


def _activated_places(z, t, activation):
    S, T = {}, {}
    for i, p, j, q in z:
        a, b, c = z[i, p, i, p], z[j, q, j, q], z[i, p, j, q]
        S[i, p, j, q] = expected(activation, 0, a, b, c)
        T[i, p, j, q] = expected(activation, 1, a, b, c) * t[i, p, j, q]
    return S, T


def _pooled(entries, n, shape, pool):
    found = {}
    places = list(itertools.product(*map(range, shape)))
    offsets = list(itertools.product(range(pool), repeat=len(shape)))
    for i, p, j, q in itertools.product(range(n), places, range(n), places):
        total = 0.0
        for one, two in itertools.product(offsets, repeat=2):
            left = tuple(pool * at + step for at, step in zip(p, one, strict=True))
            right = tuple(pool * at + step for at, step in zip(q, two, strict=True))
            total += entries[i, left, j, right]
        found[i, p, j, q] = total / len(offsets) ** 2
    return found


def neuron_by_neuron(G, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a networkx graph: every neuron from its own inputs, and from the layers below by the number of its parents."""
    n = len(X)
    layers: dict[int, list[str]] = {}
    for name, attributes in G.nodes(data=True):
        layers.setdefault(attributes["layer"], []).append(name)
    averages = {}
    for layer in range(1, max(layers) + 1):
        found = []
        for name in layers[layer]:
            S, T = np.zeros((n, n)), np.zeros((n, n))
            for parent, _, attributes in G.in_edges(name, data=True):
                square = attributes["factor"] ** 2
                if G.nodes[parent]["activation"] == "input":
                    column = X[:, int(parent[1:])]
                    S += square * np.outer(column, column)
                elif G.nodes[parent]["activation"] == "constant":
                    S += square
                else:
                    second, tangent = averages[G.nodes[parent]["layer"]]
                    S += square * second
                    T += square * tangent
            activation = G.nodes[name]["activation"]
            found.append((S, S + T) if activation == "identity" else activated(activation, S, S + T))
        averages[layer] = np.mean(found, axis=0)
    return averages[max(layers)][0], averages[max(layers)][1]
