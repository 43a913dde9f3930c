"""Slow, obvious truth that imports nothing of ours: networks of named neurons, evaluated by recursion.

A `Network` names every neuron and says of every in-edge where it comes from, its factor, and which parameter it reads
(or which frozen number it holds). Numbers may be float or complex: gradients come from an imaginary step, which is
exact to rounding because nothing is subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

ONE = "one"  # the constant that biases hang on

ACTIVATION = {
    "identity": lambda z: z,
    "tanh": np.tanh,
    "erf": special.erf,
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "gelu": lambda z: 0.5 * z * special.erfc(-z / np.sqrt(2.0)),
    "swish": lambda z: z / (1.0 + np.exp(-z)),
    "relu": lambda z: np.where(np.real(z) > 0.0, z, 0.0 * z),
    "sin": np.sin,
    "cos": np.cos,
    "quadratic": lambda z: z * z,
    "exp": np.exp,
}


@dataclass(frozen=True)
class Edge:
    """z = sum of factor * weight * activation of the parent; the weight is w[parameter], or `frozen`."""

    parent: str
    factor: float
    parameter: int | None
    frozen: float | None = None


@dataclass(frozen=True)
class Network:
    inputs: tuple[str, ...]
    neurons: dict[str, tuple[str, tuple[Edge, ...]]]
    outputs: tuple[str, ...]
    n_parameters: int


def forward(network: Network, w, x, pre_shift=None, post_shift=None):
    """Return ({name: z}, {name: a}) at one sample; entries of `w` may be numbers or arrays of one shape.

    `pre_shift` and `post_shift`, {name: number}, are added to z and a of the neurons named.
    """
    pre_shift, post_shift = pre_shift or {}, post_shift or {}
    pre, post = {}, {ONE: 1.0, **dict(zip(network.inputs, x, strict=True))}

    def visit(name):
        if name not in post:
            activation, edges = network.neurons[name]
            pre[name] = sum(
                edge.factor * (edge.frozen if edge.parameter is None else w[edge.parameter]) * visit(edge.parent)
                for edge in edges
            ) + pre_shift.get(name, 0.0)
            post[name] = ACTIVATION[activation](pre[name]) + post_shift.get(name, 0.0)
        return post[name]

    for name in network.neurons:
        visit(name)
    return pre, post


def value(network: Network, w, x) -> np.ndarray:
    """Return the outputs at one sample."""
    _, post = forward(network, w, x)
    return np.array([post[name] for name in network.outputs])


def jacobian(network: Network, w, x, names: Sequence[str] | None = None, pre: bool = False) -> np.ndarray:
    """Return the gradient of every named neuron (by default the outputs), one row each, by an imaginary step."""
    step = 1e-30
    shifted = np.asarray(w, dtype=float)[:, None] + 1j * step * np.eye(network.n_parameters)
    values = forward(network, shifted, x)[0 if pre else 1]
    rows = [np.zeros(network.n_parameters) + np.imag(values[name]) / step for name in names or network.outputs]
    return np.array(rows).reshape(-1, network.n_parameters)


def gradient(network: Network, w, x, output: int = 0) -> np.ndarray:
    return jacobian(network, w, x, [network.outputs[output]])[0]


def hessian(network: Network, w, x, output: int = 0) -> np.ndarray:
    """Return the Hessian by a five-point difference of exact gradients; good to about 1e-10."""
    w, h = np.asarray(w, dtype=float), 1e-3
    rows = []
    for e in np.eye(network.n_parameters):
        near = gradient(network, w + h * e, x, output) - gradient(network, w - h * e, x, output)
        far = gradient(network, w + 2 * h * e, x, output) - gradient(network, w - 2 * h * e, x, output)
        rows.append((8.0 * near - far) / (12.0 * h))
    return np.array(rows).reshape(network.n_parameters, network.n_parameters)


def adjoints(network: Network, w, x, output: int = 0) -> dict[str, tuple[float, float]]:
    """Return {name: (df/dz, df/da)} of every neuron: what an imaginary shift of z or a does to the output."""
    name, step = network.outputs[output], 1e-30j
    return {
        v: (
            np.imag(forward(network, w, x, pre_shift={v: step})[1][name]) / 1e-30,
            np.imag(forward(network, w, x, post_shift={v: step})[1][name]) / 1e-30,
        )
        for v in network.neurons
    }


def by_magnitude(values) -> np.ndarray:
    values = np.asarray(values)
    return values[np.argsort(-np.abs(values), kind="stable")]


def eigenvalues(matrix) -> np.ndarray:
    """Return all eigenvalues of a symmetric matrix, largest magnitude first."""
    return by_magnitude(np.linalg.eigvalsh(0.5 * (matrix + matrix.T)))


# Networks


def layered(
    sizes: Sequence[int],
    activations: Sequence[str],
    factors: Sequence[float],
    bias: bool = False,
    readout: np.ndarray | None = None,
) -> Network:
    """Return a fully connected network; `sizes` from inputs to outputs, one activation and factor per layer of neurons.

    Parameters run W1, b1, W2, b2, ..., a row per target. `readout`, frozen weights of shape (n_outputs, n_last), takes
    the last matrix out of the parameters.
    """
    names = [[f"n{layer}.{i}" for i in range(size)] for layer, size in enumerate(sizes)]
    neurons, position = {}, 0
    for layer in range(1, len(sizes)):
        edges: list[list[Edge]] = [[] for _ in names[layer]]
        for i in range(sizes[layer]):
            for j, parent in enumerate(names[layer - 1]):
                if readout is not None and layer == len(sizes) - 1:
                    edges[i].append(Edge(parent, factors[layer - 1], None, readout[i, j]))
                else:
                    edges[i].append(Edge(parent, factors[layer - 1], position))
                    position += 1
        for i in range(sizes[layer]):
            if bias:
                edges[i].append(Edge(ONE, 1.0, position))
                position += 1
            neurons[names[layer][i]] = (activations[layer - 1], tuple(edges[i]))
    return Network(tuple(names[0]), neurons, tuple(names[-1]), position)


def restricted(network: Network, outputs: Sequence[str]) -> tuple[Network, np.ndarray]:
    """Return the network below some neurons, its parameters renumbered, and which of the old ones they are."""
    needed, stack = set(), list(outputs)
    while stack:
        name = stack.pop()
        if name in network.neurons and name not in needed:
            needed.add(name)
            stack += [edge.parent for edge in network.neurons[name][1]]
    used = sorted({e.parameter for n in needed for e in network.neurons[n][1] if e.parameter is not None})
    number = {old: new for new, old in enumerate(used)} | {None: None}
    neurons = {
        name: (activation, tuple(replace(edge, parameter=number[edge.parameter]) for edge in edges))
        for name, (activation, edges) in network.neurons.items()
        if name in needed
    }
    return Network(network.inputs, neurons, tuple(outputs), len(used)), np.array(used, dtype=int)


def linear_at(network: Network, name: str) -> Network:
    """Return the network with the activation function of one neuron set to the identity."""
    return replace(network, neurons=network.neurons | {name: ("identity", network.neurons[name][1])})


def renumbered(network: Network, order: Sequence[int]) -> Network:
    """Return the network whose parameter k is the old parameter order[k]."""
    new = {int(old): k for k, old in enumerate(order)} | {None: None}
    neurons = {
        name: (activation, tuple(replace(edge, parameter=new[edge.parameter]) for edge in edges))
        for name, (activation, edges) in network.neurons.items()
    }
    return replace(network, neurons=neurons)


def assembled(
    owners: Sequence[Network],
    parts: Sequence[tuple[int, str]],
    scale: float,
    coefficients: Sequence[float] | None,
) -> Network:
    """Return f = 1/scale sum v_i g_i; part i is a neuron of one of the owners, whose parameters come one after another.

    `coefficients` None makes them the last parameters.
    """
    neurons, start = {}, 0

    def renamed(number: int, name: str) -> str:
        return f"p{number}.{name}" if name in owners[number].neurons else name

    for number, owner in enumerate(owners):
        for name, (activation, edges) in owner.neurons.items():
            moved = tuple(
                replace(
                    edge,
                    parent=renamed(number, edge.parent),
                    parameter=None if edge.parameter is None else edge.parameter + start,
                )
                for edge in edges
            )
            neurons[renamed(number, name)] = (activation, moved)
        start += owner.n_parameters
    readout = tuple(
        Edge(renamed(*part), 1.0 / scale, start + i if coefficients is None else None)
        if coefficients is None
        else Edge(renamed(*part), 1.0 / scale, None, coefficients[i])
        for i, part in enumerate(parts)
    )
    neurons["f"] = ("identity", readout)
    return Network(owners[0].inputs, neurons, ("f",), start + (len(parts) if coefficients is None else 0))


def from_neurons(inputs, neurons, outputs=None) -> tuple[Network, dict[tuple[str, str], int]]:
    """Return the network of `{name: (activation, parents)}` and the parameter of every edge (parent, name).

    Layers are longest paths; parameters run by layer of the target, then layer of the parents, then target, then
    parent, both in the order given.
    """
    depth = dict.fromkeys(inputs, 0)

    def layer(name):
        if name not in depth:
            depth[name] = 1 + max(layer(parent) for parent in neurons[name][1])
        return depth[name]

    given = {name: i for i, name in enumerate([*inputs, *neurons])}
    edges = sorted(
        ((parent, name) for name in neurons for parent in neurons[name][1]),
        key=lambda edge: (layer(edge[1]), layer(edge[0]), given[edge[1]], given[edge[0]]),
    )
    number = {edge: i for i, edge in enumerate(edges)}
    named = {
        name: (
            activation,
            tuple(Edge(parent, 1.0 / np.sqrt(len(parents)), number[parent, name]) for parent in parents),
        )
        for name, (activation, parents) in neurons.items()
    }
    feeding = {parent for parent, _ in edges}
    sinks = [name for name in neurons if name not in feeding]
    return Network(tuple(inputs), named, tuple(outputs or sinks), len(edges)), number


# Dense layers, one matrix a layer, and closed forms


def neuron_jacobians(x, matrices, activations) -> list[np.ndarray]:
    """Return, for every layer, the gradients of all its neurons in all weights of the network, written out.

    `matrices` holds (W, c) of z = c W a; the weights count row by row, layer after layer.
    """
    n, start, a = sum(w.size for w, _ in matrices), 0, np.asarray(x, dtype=float)
    below, found = np.zeros((len(a), n)), []
    for (w, c), activation in zip(matrices, activations, strict=True):
        slope = np.imag(ACTIVATION[activation](c * w @ a + 1e-30j)) / 1e-30
        jacobian = c * w @ below
        for i in range(len(w)):
            jacobian[i, start + i * len(a) : start + (i + 1) * len(a)] += c * a
        below = slope[:, None] * jacobian
        found.append(below)
        a, start = np.real(ACTIVATION[activation](c * w @ a + 0j)), start + w.size
    return found


def one_hidden_layer_norm(x, weights, readout, first, second, scale, bias=False, trainable_readout=True) -> float:
    """Return ||H|| of f = 1/scale sum v_i sigma(u_i.x/sqrt d + b_i): the largest |eigenvalue| of 2x2 blocks."""
    size = x @ x / len(x) + (1.0 if bias else 0.0)
    z = weights[:, :-1] @ x / np.sqrt(len(x)) + weights[:, -1] if bias else weights @ x / np.sqrt(len(x))
    blocks = np.zeros((len(z), 2, 2))
    blocks[:, 0, 0] = readout * second(z) * size
    if trainable_readout:
        blocks[:, 0, 1] = blocks[:, 1, 0] = first(z) * np.sqrt(size)
    return float(np.abs(np.linalg.eigvalsh(blocks)).max() / scale)
