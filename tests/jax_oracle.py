"""JAX in float64 as an independent oracle, on the networks of `naive`; tests that need it are skipped without it.

Every network is padded to one size, so that JAX compiles once for all of them.
"""

from __future__ import annotations

import numpy as np
import pytest

import naive

jax = pytest.importorskip("jax", reason="jax is not installed: pip install 'assembly-perspective[test]'")
jax.config.update("jax_enable_x64", True)
jnp = jax.numpy

ACTIVATION = {
    "identity": lambda z: z,
    "tanh": jnp.tanh,
    "erf": jax.scipy.special.erf,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "swish": jax.nn.swish,
    "relu": jax.nn.relu,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "quadratic": lambda z: z * z,
    "exp": jnp.exp,
}
KINDS = [*ACTIVATION, naive.SOFTMAX]
N_NODES, N_EDGES, N_PARAMETERS, DEPTH = 64, 240, 80, 8


def _padded(network: naive.Network, x, k: int):
    """Return the network as arrays: an entry of the matrix per edge, who is activated how and when, and with whom."""
    names = [naive.ONE, *network.inputs, *network.neurons]
    place = {name: i for i, name in enumerate(names)}
    depth = dict.fromkeys([naive.ONE, *network.inputs], 0)

    def layer(name):
        if name not in depth:
            depth[name] = 1 + max(layer(edge.parent) for edge in network.neurons[name][1])
        return depth[name]

    start, frozen = np.zeros(N_NODES), np.zeros((N_NODES, N_NODES))
    start[: 1 + len(x)] = [1.0, *x]
    ends, factors, numbers = np.zeros((2, N_EDGES), int), np.zeros(N_EDGES), np.zeros(N_EDGES, int)
    chosen, together = np.zeros((DEPTH, len(KINDS), N_NODES), bool), np.arange(N_NODES)
    e = 0
    for name, (activation, edges) in network.neurons.items():
        kind = naive.SOFTMAX if activation.startswith(naive.SOFTMAX) else activation
        chosen[layer(name) - 1, KINDS.index(kind), place[name]] = True
        together[place[name]] = place[naive.coupled(network, name)[0]]
        for edge in edges:
            if edge.parameter is None:
                frozen[place[name], place[edge.parent]] += edge.factor * edge.frozen
            else:
                ends[:, e], factors[e], numbers[e] = (place[name], place[edge.parent]), edge.factor, edge.parameter
                e += 1
    return start, frozen, ends, factors, numbers, chosen, together, place[network.outputs[k]]


def _output(w, start, frozen, ends, factors, numbers, chosen, together, place):
    matrix = frozen.at[ends[0], ends[1]].add(factors * w[numbers])

    def softmax(z):
        raised = jnp.exp(z)
        return raised / jax.ops.segment_sum(raised, together, N_NODES)[together]

    def next_layer(a, masks):
        z = matrix @ a
        for mask, activation in zip(masks, [*ACTIVATION.values(), softmax], strict=True):
            a = jnp.where(mask, activation(z), a)
        return a, None

    return jax.lax.scan(next_layer, start, chosen)[0][place]


@jax.jit
def _derivatives(w, *arrays):
    return jax.grad(_output)(w, *arrays), jax.hessian(_output)(w, *arrays)


def derivatives(network: naive.Network, w, x, k: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient and Hessian of one output in float64."""
    n = network.n_parameters
    arrays = [jnp.asarray(array) for array in _padded(network, x, k)]
    gradient, hessian = _derivatives(jnp.asarray(np.pad(w, (0, N_PARAMETERS - n))), *arrays)
    assert gradient.dtype == np.float64
    return np.asarray(gradient)[:n], np.asarray(hessian)[:n, :n]


@jax.jit
def _coefficients(w, v, start, frozen, ends, factors, numbers, chosen, together, place):
    """Derivatives 0..6 of an output along v, layer by layer in Taylor mode, of operations that have Taylor rules."""
    from jax.experimental.jet import jet

    beside = (together[:, None] == together[None, :]).astype(w.dtype)
    erf = jax.lax.erf
    functions = dict(
        ACTIVATION,
        sigmoid=lambda z: 1.0 / (1.0 + jnp.exp(-z)),
        softplus=lambda z: jnp.log(1.0 + jnp.exp(z)),
        gelu=lambda z: 0.5 * z * (1.0 + erf(z * np.sqrt(0.5))),
        swish=lambda z: z / (1.0 + jnp.exp(-z)),
        relu=lambda z: z * (jax.lax.stop_gradient(z) > 0.0),
        erf=erf,
        softmax=lambda z: jnp.exp(z) / (beside @ jnp.exp(z)),
    )

    def layer(w, a, masks):
        z = frozen.at[ends[0], ends[1]].add(factors * w[numbers]) @ a
        kept = jnp.where(masks.any(axis=0), 0.0, a)
        return kept + sum(
            jnp.where(mask, function(z), 0.0) for mask, function in zip(masks, functions.values(), strict=True)
        )

    def next_layer(series, masks):
        moved = (v, *[jnp.zeros_like(v)] * 5)
        value, derivatives = jet(lambda w, a: layer(w, a, masks), (w, series[0]), (moved, list(series[1:])))
        return jnp.stack([value, *derivatives]), None

    return jax.lax.scan(next_layer, jnp.zeros((7, N_NODES)).at[0].set(start), chosen)[0][:, place]


def taylor(network: naive.Network, w, x, v, k: int = 0) -> np.ndarray:
    """Return the Taylor coefficients 0..6 of one output along v in float64."""
    padding = (0, N_PARAMETERS - network.n_parameters)
    arrays = [jnp.asarray(array) for array in _padded(network, x, k)]
    found = _coefficients(jnp.asarray(np.pad(w, padding)), jnp.asarray(np.pad(v, padding)), *arrays)
    assert found.dtype == np.float64
    return np.asarray(found) / np.cumprod([1.0, *range(1, 7)])
