"""The value of every kind of network at one input, written once for JAX and torch: plain layers over a list of weights.

`ops` brings tanh, convolve (channels, pixels, pixels) and, for sparse layers, `rows`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Value = Callable[[Sequence[Any], Any], Any]


def value_of(kind: str, ops: Any, parents: Sequence[Any] | None = None) -> Value:
    """Return f(weights, x) for a kind of network; `parents` holds what `ops.rows` needs of each sparse layer."""
    if kind in ("dag", "uneven"):
        return lambda weights, x: sparse(weights, x, ops, parents or ())
    plain = {"mlp": mlp, "resnet": resnet, "cnn": cnn}[kind]
    return lambda weights, x: plain(weights, x, ops)


def mlp(weights: Sequence[Any], x: Any, ops: Any) -> Any:
    """Fully connected layers in the NTK parametrisation."""
    a = x
    for w in weights[:-1]:
        a = ops.tanh((w @ a) / math.sqrt(w.shape[1]))
    return (weights[-1] @ a)[0] / math.sqrt(weights[-1].shape[1])


def resnet(weights: Sequence[Any], x: Any, ops: Any) -> Any:
    """Every block adds to what it reads."""
    a = ops.tanh((weights[0] @ x) / math.sqrt(weights[0].shape[1]))
    for w in weights[1:-1]:
        a = a + ops.tanh((w @ a) / math.sqrt(w.shape[1]))
    return (weights[-1] @ a)[0] / math.sqrt(weights[-1].shape[1])


def cnn(weights: Sequence[Any], x: Any, ops: Any) -> Any:
    """3 x 3 convolutions of the same size, and a readout of all neurons."""
    n_pixels = math.isqrt(x.shape[0])
    a = x.reshape(1, n_pixels, n_pixels)
    for w in weights[:-1]:
        a = ops.tanh(ops.convolve(a, w) / math.sqrt(9 * w.shape[1]))
    return (weights[-1] @ a.reshape(-1))[0] / math.sqrt(weights[-1].shape[1])


def sparse(weights: Sequence[Any], x: Any, ops: Any, parents: Sequence[Any]) -> Any:
    """Sparse layers, divided by the root of each in-degree, and a dense readout."""
    a = x
    for w, structure in zip(weights[:-1], parents[:-1], strict=True):
        z = (w @ a) / math.sqrt(w.shape[1]) if structure is None else ops.rows(w, a, structure)
        a = ops.tanh(z)
    return (weights[-1] @ a)[0] / math.sqrt(weights[-1].shape[1])
