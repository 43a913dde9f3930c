"""Slow, obvious truth that imports nothing of ours: networks of named neurons, evaluated by recursion.

A `Network` names every neuron and says of every in-edge where it comes from, its factor, and which parameter it reads
(or which frozen number it holds). Numbers may be float or complex: gradients come from an imaginary step, which is
exact to rounding because nothing is subtracted.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

STEP = 1e-170  # imaginary; its square underflows, so that a derivative of 0 comes out as 0

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
SOFTMAX = "softmax"  # neurons whose activation begins so and ends alike are one softmax


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

    def summed(name):
        if name not in pre:
            pre[name] = sum(
                edge.factor * (edge.frozen if edge.parameter is None else w[edge.parameter]) * visit(edge.parent)
                for edge in network.neurons[name][1]
            ) + pre_shift.get(name, 0.0)
        return pre[name]

    def visit(name):
        if name not in post:
            activation = network.neurons[name][0]
            if activation.startswith(SOFTMAX):
                value = np.exp(summed(name)) / sum(np.exp(summed(other)) for other in coupled(network, name))
            else:
                value = ACTIVATION[activation](summed(name))
            post[name] = value + post_shift.get(name, 0.0)
        return post[name]

    for name in network.neurons:
        visit(name)
    return pre, post


def coupled(network: Network, name: str) -> list[str]:
    """Return the neurons that share a softmax with this one, itself included; itself alone where there is none."""
    activation = network.neurons[name][0]
    if not activation.startswith(SOFTMAX):
        return [name]
    return [other for other, (kind, _) in network.neurons.items() if kind == activation]


def value(network: Network, w, x) -> np.ndarray:
    """Return the outputs at one sample."""
    _, post = forward(network, w, x)
    return np.array([post[name] for name in network.outputs])


def jacobian(network: Network, w, x, names: Sequence[str] | None = None, pre: bool = False) -> np.ndarray:
    """Return the gradient of every named neuron (by default the outputs), one row each, by an imaginary step."""
    shifted = np.asarray(w, dtype=float)[:, None] + 1j * STEP * np.eye(network.n_parameters)
    values = forward(network, shifted, x)[0 if pre else 1]
    rows = [np.zeros(network.n_parameters) + np.imag(values[name]) / STEP for name in names or network.outputs]
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


def taylor(network: Network, w, x, v, output: int = 0, order: int = 6, radius: float = 0.5) -> np.ndarray:
    """Return f_0..f_order of f(w + t v) from its values on a circle of complex t: the integral formula of Cauchy.

    Good to about 1e-16 max|f| / radius^k where f is analytic in a larger circle.
    """
    t = radius * np.exp(2j * np.pi * np.arange(64) / 64)
    values = forward(network, np.asarray(w)[:, None] + np.asarray(v)[:, None] * t, x)[1][network.outputs[output]]
    return np.real(np.fft.fft(np.broadcast_to(values, t.shape)) / 64)[: order + 1] / radius ** np.arange(order + 1)


def taylor_gradient(network: Network, w, x, v, output: int = 0, order: int = 5, radius: float = 0.3) -> np.ndarray:
    """Return the coefficients 0..order of the gradient at w + t v, shape (order + 1, n_parameters), in the same way."""
    t, step = (size * np.exp(2j * np.pi * np.arange(n) / n) for size, n in ((radius, 32), (0.05, 16)))
    rows = []
    for unit in np.eye(network.n_parameters):
        moved = (np.asarray(w)[:, None] + np.asarray(v)[:, None] * t)[:, :, None] + unit[:, None, None] * step
        values = np.broadcast_to(forward(network, moved, x)[1][network.outputs[output]], (32, 16))
        slopes = np.mean(values / step, axis=1)
        rows.append(np.real(np.fft.fft(slopes) / 32)[: order + 1] / radius ** np.arange(order + 1))
    return np.array(rows).reshape(network.n_parameters, order + 1).T


def shares_of(network: Network, vector) -> dict[str, float]:
    """Return how much of the squares of a vector of parameters the in-edges of every neuron carry.

    Edges that read one parameter divide its square equally.
    """
    read = [e.parameter for _, edges in network.neurons.values() for e in edges if e.parameter is not None]
    square = np.asarray(vector) ** 2 / np.maximum(np.bincount(read, minlength=len(vector)), 1)
    return {
        name: float(sum(square[e.parameter] for e in edges if e.parameter is not None))
        for name, (_, edges) in network.neurons.items()
    }


def adjoints(network: Network, w, x, output: int = 0) -> dict[str, tuple[float, float]]:
    """Return {name: (df/dz, df/da)} of every neuron: what an imaginary shift of z or a does to the output."""
    name, step = network.outputs[output], 1j * STEP
    return {
        v: (
            np.imag(forward(network, w, x, pre_shift={v: step})[1][name]) / STEP,
            np.imag(forward(network, w, x, post_shift={v: step})[1][name]) / STEP,
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


class Growing:
    """A network in the making: parameters are numbered in the order in which they are asked for."""

    def __init__(self, inputs: Sequence[str]) -> None:
        self.inputs, self.neurons, self.n_parameters = tuple(inputs), {}, 0

    def parameters(self, n: int) -> range:
        """Return the numbers of n more parameters."""
        self.n_parameters += n
        return range(self.n_parameters - n, self.n_parameters)

    def layer(
        self,
        name: str,
        size: int,
        activation: str,
        sources: Sequence[Sequence[str]],
        factor: float,
        frozen: np.ndarray | None = None,
        bias: bool = False,
    ) -> list[str]:
        """Add neurons that read all of several layers, a matrix for each, a row per neuron; return their names.

        `frozen`, a row per neuron, fixes the weights.
        """
        edges: list[list[Edge]] = [[] for _ in range(size)]
        for source in sources:
            for i, row in enumerate(edges):
                for parent in source:
                    if frozen is None:
                        row.append(Edge(parent, factor, self.parameters(1)[0]))
                    else:
                        row.append(Edge(parent, factor, None, frozen[i, len(row)]))
        if bias:
            for row in edges:
                row.append(Edge(ONE, 1.0, self.parameters(1)[0]))
        names = [f"{name}.{i}" for i in range(size)]
        self.neurons |= {own: (activation, tuple(row)) for own, row in zip(names, edges, strict=True)}
        return names

    def network(self, outputs: Sequence[str]) -> Network:
        return Network(self.inputs, self.neurons, tuple(outputs), self.n_parameters)


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
    made = Growing([f"n0.{i}" for i in range(sizes[0])])
    names: Sequence[str] = made.inputs
    for layer, (size, activation, factor) in enumerate(zip(sizes[1:], activations, factors, strict=True), start=1):
        frozen = readout if layer == len(sizes) - 1 else None
        names = made.layer(f"n{layer}", size, activation, [names], factor, frozen, bias)
    return made.network(names)


def residual(n_inputs: int, width: int, n_blocks: int, activation: str, n_outputs=1, output="identity") -> Network:
    """Return a residual network: every block adds to what it reads, edge by edge."""
    made = Growing([f"x{i}" for i in range(n_inputs)])
    total = made.layer("a0", width, activation, [made.inputs], 1.0 / np.sqrt(n_inputs))
    for block in range(1, n_blocks + 1):
        added = made.layer(f"h{block}", width, activation, [total], 1.0 / np.sqrt(width))
        names = [f"a{block}.{i}" for i in range(width)]
        for name, one, other in zip(names, total, added, strict=True):
            made.neurons[name] = ("identity", (Edge(one, 1.0, None, 1.0), Edge(other, 1.0, None, 1.0)))
        total = names
    return made.network(made.layer("out", n_outputs, output, [total], 1.0 / np.sqrt(width)))


def densely_connected(n_inputs: int, widths: Sequence[int], activation: str, n_outputs=1, output="identity") -> Network:
    """Return a network whose layers, and output, read all layers before them and the inputs."""
    made = Growing([f"x{i}" for i in range(n_inputs)])
    before: list[Sequence[str]] = [made.inputs]
    for layer, (size, kind) in enumerate(zip([*widths, n_outputs], [activation] * len(widths) + [output], strict=True)):
        n_parents = sum(map(len, before))
        before.append(made.layer(f"n{layer}", size, kind, before, 1.0 / np.sqrt(n_parents)))
    return made.network(before[-1])


def convolutional(
    shape: Sequence[int],
    channels: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    pools: Sequence[int],
    activation: str,
    bias: bool = False,
    n_outputs: int = 1,
    output: str = "identity",
    readout: np.ndarray | None = None,
) -> Network:
    """Return a convolutional network, window by window; `channels` begins with those of the inputs."""

    def places(extents):
        return list(itertools.product(*map(range, extents)))

    image = {(c, place): f"x{c}{place}" for c in range(channels[0]) for place in places(shape)}
    made, taps = Growing(list(image.values())), places(kernel)
    for layer, (below, above, pool) in enumerate(zip(channels[:-1], channels[1:], pools, strict=True)):
        keys = list(itertools.product(range(above), range(below), taps))
        number = dict(zip(keys, made.parameters(len(keys)), strict=True))
        biases = made.parameters(above if bias else 0)
        shape = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(shape, kernel, stride, padding, strict=True)]
        found = {}
        for o, window in itertools.product(range(above), places(shape)):
            edges = [Edge(ONE, 1.0, biases[o])] if bias else []
            for i, tap in itertools.product(range(below), taps):
                pixel = tuple(s * w + t - p for w, t, s, p in zip(window, tap, stride, padding, strict=True))
                if (i, pixel) in image:
                    edges.append(Edge(image[i, pixel], 1.0 / np.sqrt(below * len(taps)), number[o, i, tap]))
            found[o, window] = f"c{layer}.{o}{window}"
            made.neurons[found[o, window]] = (activation, tuple(edges))
        image = found
        if pool > 1:
            shape, pooled = [n // pool for n in shape], {}
            offsets = places([pool] * len(shape))
            for o, window in itertools.product(range(above), places(shape)):
                seen = [tuple(pool * w + t for w, t in zip(window, tap, strict=True)) for tap in offsets]
                pooled[o, window] = f"p{layer}.{o}{window}"
                edges = [Edge(image[o, pixel], 1.0 / len(offsets), None, 1.0) for pixel in seen]
                made.neurons[pooled[o, window]] = ("identity", tuple(edges))
            image = pooled
    last = list(image.values())
    return made.network(made.layer("out", n_outputs, output, [last], 1.0 / np.sqrt(len(last)), readout, bias))


def restricted(network: Network, outputs: Sequence[str]) -> tuple[Network, np.ndarray]:
    """Return the network below some neurons, its parameters renumbered, and which of the old ones they are."""
    needed, stack = set(), list(outputs)
    while stack:
        name = stack.pop()
        if name in network.neurons and name not in needed:
            needed.add(name)
            stack += [edge.parent for edge in network.neurons[name][1]] + coupled(network, name)
    used = sorted({e.parameter for n in needed for e in network.neurons[n][1] if e.parameter is not None})
    number = {old: new for new, old in enumerate(used)} | {None: None}
    neurons = {
        name: (activation, tuple(replace(edge, parameter=number[edge.parameter]) for edge in edges))
        for name, (activation, edges) in network.neurons.items()
        if name in needed
    }
    return Network(network.inputs, neurons, tuple(outputs), len(used)), np.array(used, dtype=int)


def linear_at(network: Network, *names: str) -> Network:
    """Return the network with the activation functions of some neurons set to the identity."""
    return replace(network, neurons=network.neurons | {name: ("identity", network.neurons[name][1]) for name in names})


def sharing(network: Network, numbers: Sequence[int]) -> Network:
    """Return the network in which what read parameter k reads parameter numbers[k]."""
    neurons = {
        name: (
            activation,
            tuple(replace(e, parameter=None if e.parameter is None else int(numbers[e.parameter])) for e in edges),
        )
        for name, (activation, edges) in network.neurons.items()
    }
    return replace(network, neurons=neurons, n_parameters=int(max(numbers)) + 1)


def renumbered(network: Network, order: Sequence[int]) -> Network:
    """Return the network whose parameter k is the old parameter order[k]."""
    return sharing(network, np.argsort(order))


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
            own = f"{activation}.{number}" if activation.startswith(SOFTMAX) else activation
            neurons[renamed(number, name)] = (own, moved)
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
    """Return the network of `{name: (activation, parents)}` and the parameter of every trainable edge (parent, name).

    Parents are names, or `{parent: what its edge says}`: a number, None, or anything with the fields weight, trainable,
    factor and shared. The parent "1" is the constant. Softmax neurons of one layer are coupled.

    Layers are longest paths. Parameters run by layer of the target (softmax neurons after the others), then layer of
    the parents in the same sense, biases last, then rank of the factor among those of the target's edges from there,
    then target, then parent, both in the order given; at the end the shared ones, as they are first met.
    """
    depth = dict.fromkeys([*inputs, "1"], 0)

    def layer(name):
        if name not in depth:
            depth[name] = 1 + max(layer(parent) for parent in neurons[name][1])
        return depth[name]

    def group(name):
        return name == "1", layer(name), name in neurons and neurons[name][0] == SOFTMAX

    said = {
        (parent, name): parents[parent] if isinstance(parents, dict) else None
        for name, (_, parents) in neurons.items()
        for parent in parents
    }
    trainable = [edge for edge in said if getattr(said[edge], "trainable", True)]
    counted = [(parent, name) for parent, name in trainable if parent != "1"]
    shared = {edge: name for edge in trainable if (name := getattr(said[edge], "shared", None)) is not None}

    factor = {}
    for parent, name in said:
        default = sum(other == name for _, other in counted) ** -0.5 if (parent, name) in counted else 1.0
        given_factor = getattr(said[parent, name], "factor", None)
        factor[parent, name] = default if given_factor is None else given_factor

    def rank(edge):
        parent, name = edge
        beside = {
            factor[u, v] for u, v in trainable if v == name and group(u) == group(parent) and (u, v) not in shared
        }
        return sorted(beside).index(factor[edge])

    given = {name: i for i, name in enumerate([*inputs, *neurons, "1"])}
    own = sorted(
        (edge for edge in trainable if edge not in shared),
        key=lambda edge: (group(edge[1]), group(edge[0]), rank(edge), given[edge[1]], given[edge[0]]),
    )
    number = {edge: i for i, edge in enumerate(own)}
    pool = {name: len(own) + i for i, name in enumerate(dict.fromkeys(shared.values()))}
    number |= {edge: pool[name] for edge, name in shared.items()}

    def edge_of(parent, name):
        entry = said[parent, name]
        frozen = None if (parent, name) in number else entry.weight
        return Edge(ONE if parent == "1" else parent, factor[parent, name], number.get((parent, name)), frozen)

    named = {
        name: (
            f"{SOFTMAX} {layer(name)}" if activation == SOFTMAX else activation,
            tuple(edge_of(parent, name) for parent in parents),
        )
        for name, (activation, parents) in neurons.items()
    }
    feeding = {parent for parent, _ in said}
    sinks = [name for name in neurons if name not in feeding]
    return Network(tuple(inputs), named, tuple(outputs or sinks), len(own) + len(pool)), number


# Dense layers, one matrix a layer, and closed forms


def neuron_jacobians(x, matrices, activations) -> list[np.ndarray]:
    """Return, for every layer, the gradients of all its neurons in all weights of the network, written out.

    `matrices` holds (W, c) of z = c W a; the weights count row by row, layer after layer.
    """
    n, start, a = sum(w.size for w, _ in matrices), 0, np.asarray(x, dtype=float)
    below, found = np.zeros((len(a), n)), []
    for (w, c), activation in zip(matrices, activations, strict=True):
        slope = np.imag(ACTIVATION[activation](c * w @ a + 1j * STEP)) / STEP
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
