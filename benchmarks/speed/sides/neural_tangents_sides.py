"""neural-tangents with structured derivatives, weights as it likes them: (fan-in, fan-out)."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import neural_tangents as nt
import numpy as np
from jax import numpy as jnp

from speed import networks

jax.config.update("jax_enable_x64", True)
Run = Callable[[], dict[str, Any]]
STRUCTURED = nt.NtkImplementation.STRUCTURED_DERIVATIVES


def _opened(folder: Path) -> tuple[list[Any], Any]:
    weights = [jnp.asarray(np.ascontiguousarray(w.T)) for w in networks.read_weights(folder)]
    return weights, jnp.asarray(networks.read_inputs(folder))


def _layers(weights: list[Any], X: Any) -> Any:
    a = X
    for w in weights[:-1]:
        a = jnp.tanh(a @ w / math.sqrt(w.shape[0]))
    return a


def _output(weights: list[Any], X: Any) -> Any:
    return _layers(weights, X) @ weights[-1] / math.sqrt(weights[-1].shape[0])


def kernel(folder: Path, tol: float) -> Run:
    """Return `empirical_ntk_fn` at all inputs."""
    weights, X = _opened(folder)
    compute = jax.jit(nt.empirical_ntk_fn(_output, trace_axes=(-1,), vmap_axes=0, implementation=STRUCTURED))
    compute(X, None, weights)
    return lambda: {"value": np.asarray(compute(X, None, weights))}


def gram(folder: Path, tol: float) -> Run:
    """Return `empirical_ntk_fn` of the last hidden layer at one input, between all its neurons."""
    weights, X = _opened(folder)
    compute = jax.jit(nt.empirical_ntk_fn(_layers, trace_axes=(), implementation=STRUCTURED))
    compute(X[:1], None, weights)
    return lambda: {"value": np.asarray(compute(X[:1], None, weights))[0, 0]}
