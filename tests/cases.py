"""The networks that every test runs on, each beside its naive twin: a new case inherits every test."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

import assembly as am
import naive
from assembly.graph.connections import Dense, Tied
from assembly.graph.description import Graph, Group


@dataclass(frozen=True, eq=False)
class Case:
    """One assembly and the naive network that must agree with it, parameter by parameter."""

    name: str
    build: Callable[[], am.Assembly]
    twin: Callable[[am.Assembly], naive.Network]
    output: int = 0

    @cache  # noqa: B019 (a fixed table)
    def assembly(self) -> am.Assembly:
        return self.build()

    @cache  # noqa: B019
    def network(self) -> naive.Network:
        return self.twin(self.assembly())

    @cache  # noqa: B019
    def hessian(self) -> np.ndarray:
        """The Hessian by differences of exact gradients of the twin, good to about 1e-10."""
        return naive.hessian(self.network(), self.w, self.x().astype(float), self.output)

    def x(self, salt: str = "") -> np.ndarray:
        rng = np.random.default_rng(zlib.crc32((self.name + salt).encode()))
        return rng.normal(size=self.assembly().n_inputs).astype(self.assembly().dtype)

    @property
    def w(self) -> np.ndarray:
        return self.assembly().parameters.astype(float)

    def names(self) -> list[list[str]]:
        """Names of the neurons of every layer, in the order given; layer 0 are the inputs."""
        network = self.network()
        depth = dict.fromkeys((naive.ONE, *network.inputs), 0)

        def layer(name):
            if name not in depth:
                depth[name] = 1 + max(layer(edge.parent) for edge in network.neurons[name][1])
            return depth[name]

        layers: list[list[str]] = [[] for _ in range(1 + max(map(layer, network.neurons)))]
        for name in [*network.inputs, *network.neurons]:
            layers[layer(name)].append(name)
        return layers

    def __str__(self) -> str:
        return self.name


def mlp(name: str, n_inputs: int, widths: list[int], activation: str = "tanh", output: int = 0, **options) -> Case:
    """Return a fully connected case; its twin follows from the documented formula and order of parameters."""

    def twin(net: am.Assembly) -> naive.Network:
        sizes = [n_inputs, *widths, options.get("n_outputs", 1)]
        scheme = options.get("parametrization", "ntk")
        gamma = options.get("gamma", 1.0 if scheme == "mean-field" else 0.5)
        factors = [1.0 / np.sqrt(size) for size in sizes[:-2]] + [float(sizes[-2]) ** -gamma]
        if scheme == "standard":
            factors = [1.0] * len(factors)
        kinds = [activation] * len(widths) + [options.get("output_activation", "identity")]
        readout = None
        if not options.get("trainable_readout", True):
            readout = np.array([neuron.weights for neuron in net.layers[-1].neurons], dtype=float)
        return naive.layered(sizes, kinds, factors, options.get("bias", False), readout)

    build = am.bottleneck if name.startswith("bottleneck") else am.mlp
    return Case(name, lambda: build(n_inputs, widths, activation, **{"seed": 3, **options}), twin, output)


def graph(name: str, inputs: list[str], neurons: dict, outputs: list[str] | None = None, output: int = 0) -> Case:
    return Case(
        name,
        lambda: am.from_neurons(inputs, neurons, outputs, seed=5),
        lambda net: naive.from_neurons(inputs, neurons, outputs)[0],
        output,
    )


def _stacked(network: naive.Network, blocks: list[int], n_parts: int) -> naive.Network:
    """Return a committee with its parameters block by block, and part by part within a block."""
    n = sum(blocks)
    starts = np.cumsum([0, *blocks[:-1]])
    order = [
        np.arange(start, start + size) + i * n
        for start, size in zip(starts, blocks, strict=True)
        for i in range(n_parts)
    ]
    return naive.renumbered(network, np.concatenate([*order, np.arange(n_parts * n, network.n_parameters)]))


def _committee(name: str, widths: list[int], n_parts: int, **options) -> Case:
    """Parts of one structure: parameters run connection by connection, and part by part within one."""
    bias, activation = options.pop("bias", False), options.pop("activation", "tanh")
    sizes = [3, *widths, 1]

    def twin(net: am.Assembly) -> naive.Network:
        factors = [1.0 / np.sqrt(size) for size in sizes[:-1]]
        part = naive.layered(sizes, [activation] * len(widths) + ["identity"], factors, bias)
        trainable = options.get("trainable_coefficients", False)
        network = naive.assembled(
            [part] * n_parts,
            [(i, part.outputs[0]) for i in range(n_parts)],
            n_parts ** options.get("gamma", 0.5),
            None if trainable else net.coefficients,
        )
        blocks = []
        for n_source, n_target in itertools.pairwise(sizes):
            blocks += [n_source * n_target] + [n_target] * bias
        return _stacked(network, blocks, n_parts)

    def make_part(seed: int) -> am.Assembly:
        return am.mlp(3, widths, activation, seed=seed, bias=bias)

    return Case(name, lambda: am.committee(make_part, n_parts, seed=2, **options), twin)


def _plain(sizes: list[int], activation: str) -> naive.Network:
    return naive.layered(
        sizes, [activation] * (len(sizes) - 2) + ["identity"], [1.0 / np.sqrt(size) for size in sizes[:-1]]
    )


def _committee_of_mixed_structures() -> Case:
    def build() -> am.Assembly:
        widths = iter([[2], [3, 2], [2]])
        return am.committee(lambda seed: am.mlp(3, next(widths), "erf", seed=seed), 3, coefficients="gaussian")

    def twin(net: am.Assembly) -> naive.Network:
        owners = [_plain([3, 2, 1], "erf"), _plain([3, 3, 2, 1], "erf"), _plain([3, 2, 1], "erf")]
        parts = [(i, owner.outputs[0]) for i, owner in enumerate(owners)]
        return naive.assembled(owners, parts, np.sqrt(3.0), net.coefficients)

    return Case("committee-mixed-structures", build, twin)


def _committee_of_graphs() -> Case:
    """Parts with skips: sparse blocks, stacked."""
    neurons = {
        "a": ("tanh", ["x"]),
        "b": ("gelu", ["x", "y"]),
        "c": ("sin", ["a", "y"]),
        "f": ("identity", ["c", "b", "x"]),
    }
    blocks = [3, 1, 1, 1, 1, 1]  # from layers 0 to 1, 0 to 2, 1 to 2, 0 to 3, 1 to 3, 2 to 3

    def twin(net: am.Assembly) -> naive.Network:
        part, _ = naive.from_neurons(["x", "y"], neurons)
        network = naive.assembled([part] * 3, [(i, "f") for i in range(3)], np.sqrt(3.0), net.coefficients)
        return _stacked(network, blocks, 3)

    def make_part(seed: int) -> am.Assembly:
        return am.from_neurons(["x", "y"], neurons, seed=seed)

    return Case("committee-of-graphs", lambda: am.committee(make_part, 3, seed=1), twin)


def _assembly_of_assemblies_of_assemblies() -> Case:
    def build() -> am.Assembly:
        leaves = [am.mlp(2, [3], kind, seed=i) for i, kind in enumerate(("tanh", "sin", "gelu", "erf"))]
        left = am.Assembly(leaves[:2], coefficients=[1.0, -0.5])
        right = am.Assembly(leaves[2:], coefficients=[0.3, 2.0], scale=3.0, trainable_coefficients=True)
        return am.Assembly([left, right, am.mlp(2, [2, 2], seed=9)], coefficients=[1.0, -1.0, 0.5], scale=0.7)

    def twin(net: am.Assembly) -> naive.Network:
        leaves = [_plain([2, 3, 1], kind) for kind in ("tanh", "sin", "gelu", "erf")]
        top = [(0, leaves[0].outputs[0]), (1, leaves[1].outputs[0])]
        left = naive.assembled(leaves[:2], top, np.sqrt(2.0), [1.0, -0.5])
        right = naive.assembled(leaves[2:], top, 3.0, None)
        last = _plain([2, 2, 2, 1], "tanh")
        parts = [(0, "f"), (1, "f"), (2, last.outputs[0])]
        return naive.assembled([left, right, last], parts, 0.7, [1.0, -1.0, 0.5])

    return Case("assembly-of-assemblies-of-assemblies", build, twin)


def _shared_part(trainable: bool) -> Case:
    def build() -> am.Assembly:
        shared, other = am.mlp(2, [3], "tanh", seed=0), am.mlp(2, [2], "sigmoid", seed=1)
        return am.Assembly([shared, other, shared], [1.0, 2.0, -0.3], trainable_coefficients=trainable)

    def twin(net: am.Assembly) -> naive.Network:
        owners = [_plain([2, 3, 1], "tanh"), _plain([2, 2, 1], "sigmoid")]
        parts = [(0, "n2.0"), (1, "n2.0"), (0, "n2.0")]
        return naive.assembled(owners, parts, np.sqrt(3.0), None if trainable else [1.0, 2.0, -0.3])

    return Case("shared-part-twice" + "-trainable" * trainable, build, twin)


def _neurons_as_parts() -> Case:
    """Neurons of two layers with one between them that is no part, an input, and a pre-activation."""

    def build() -> am.Assembly:
        net = am.mlp(3, [4, 3], "tanh", seed=4)
        inputs, first, second = (layer.neurons for layer in net.layers[:3])
        return am.Assembly([second[0].pre, second[2], first[0], inputs[1]], [1, 2, -1, 3])

    def twin(net: am.Assembly) -> naive.Network:
        names = ["n2.0", "n2.2", "n1.0"]
        owner = naive.restricted(naive.linear_at(_plain([3, 4, 3, 1], "tanh"), "n2.0"), names)[0]
        return naive.assembled([owner], [(0, name) for name in [*names, "n0.1"]], 2.0, [1, 2, -1, 3])

    return Case("neurons-as-parts", build, twin)


def _symmetric() -> Case:
    """All weights of a layer equal: neurons can be exchanged, and eigenvalues are repeated."""
    case = mlp("", 3, [4, 3], "tanh")

    def build() -> am.Assembly:
        net = am.mlp(3, [4, 3], "tanh")
        return net.with_parameters(np.repeat([0.7, -0.4, 1.3], [12, 12, 3]))

    return Case("symmetric", build, case.twin)


def cnn(name: str, shape: list[int], channels: list[int], kernel: int | list[int], output: int = 0, **options) -> Case:
    """Return a convolutional case; `channels` begins with those of the inputs, the options are those of `am.cnn`."""
    bias, activation = options.get("bias", False), options.get("activation", "tanh")

    def per_dimension(value) -> list[int]:
        return [value] * len(shape) if isinstance(value, int) else list(value)

    def twin(net: am.Assembly) -> naive.Network:
        sizes = per_dimension(kernel)
        padding, pool = options.get("padding", "same"), options.get("pool", 1)
        readout = None
        if not options.get("trainable_readout", True):
            readout = np.array([neuron.weights for neuron in net.layers[-1].neurons], dtype=float)
        return naive.convolutional(
            shape,
            channels,
            sizes,
            per_dimension(options.get("stride", 1)),
            [size // 2 for size in sizes] if padding == "same" else per_dimension(padding),
            [pool] * (len(channels) - 1) if isinstance(pool, int) else pool,
            activation,
            bias,
            options.get("n_outputs", 1),
            options.get("output_activation", "identity"),
            readout,
        )

    def build() -> am.Assembly:
        return am.cnn(shape, channels[1:], kernel, n_channels=channels[0], **{"seed": 3, **options})

    return Case(name, build, twin, output)


def _resnet(name: str, *sizes: int, output: int = 0, **options) -> Case:
    def twin(net: am.Assembly) -> naive.Network:
        head = (options.get("n_outputs", 1), options.get("output_activation", "identity"))
        return naive.residual(*sizes, options.get("activation", "tanh"), *head)

    return Case(name, lambda: am.resnet(*sizes, **{"seed": 3, **options}), twin, output)


def _densenet(name: str, n_inputs: int, widths: list[int], output: int = 0, **options) -> Case:
    def twin(net: am.Assembly) -> naive.Network:
        head = (options.get("n_outputs", 1), options.get("output_activation", "identity"))
        return naive.densely_connected(n_inputs, widths, options.get("activation", "tanh"), *head)

    return Case(name, lambda: am.densenet(n_inputs, widths, **{"seed": 3, **options}), twin, output)


def _dropout() -> Case:
    """What is left of the layers is told by the assembly; everything else follows from it."""

    def twin(net: am.Assembly) -> naive.Network:
        sizes = [layer.size for layer in net.layers]
        factors = [1.0 / np.sqrt(size) for size in sizes[:-1]]
        return naive.layered(sizes, ["gelu"] * (len(sizes) - 2) + ["identity"], factors)

    return Case("dropout", lambda: am.dropout(3, [8, 7], "gelu", keep=0.5, seed=3), twin)


# Neurons of networks that share weights: their edges are given one by one


def _pieces(name: str, case: Case, parts: list[tuple[int, int, bool]], coefficients: list[float], **options) -> Case:
    """Return the assembly of some neurons of a case: (layer, number, whether it is the pre-activation)."""

    def build() -> am.Assembly:
        layers = case.assembly().layers
        neurons = [layers[layer].neurons[i] for layer, i, _ in parts]
        chosen = [neuron.pre if pre else neuron for neuron, (_, _, pre) in zip(neurons, parts, strict=True)]
        return am.Assembly(chosen, coefficients, **options)

    def twin(net: am.Assembly) -> naive.Network:
        names = [case.names()[layer][i] for layer, i, _ in parts]
        linear = [name for name, (_, _, pre) in zip(names, parts, strict=True) if pre]
        owner = naive.restricted(naive.linear_at(case.network(), *linear), names)[0]
        trainable = options.get("trainable_coefficients", False)
        scale = options.get("scale", np.sqrt(len(parts)))
        return naive.assembled([owner], [(0, name) for name in names], scale, None if trainable else coefficients)

    return Case(name, build, twin)


def _committee_of(name: str, part: Callable[[int], Case], blocks: list[int] | None, n_parts: int = 2) -> Case:
    """Return a committee; the parameters of stacked parts run block by block, of so many numbers each."""

    def twin(net: am.Assembly) -> naive.Network:
        owners = [part(i).network() for i in range(n_parts)]
        tops = [(i, owner.outputs[0]) for i, owner in enumerate(owners)]
        network = naive.assembled(owners, tops, np.sqrt(n_parts), net.coefficients)
        return network if blocks is None else _stacked(network, blocks, n_parts)

    def build() -> am.Assembly:
        parts = iter(range(n_parts))
        return am.committee(lambda seed: part(next(parts)).assembly(), n_parts, coefficients="gaussian", seed=4)

    return Case(name, build, twin)


def _piece_of_a_cnn(seed: int) -> Case:
    net = cnn("", [4], [1, 2, 2], 3, bias=True, seed=seed)
    return _pieces("", net, [(2, 0, False), (2, 5, False)], [1.0, -0.7])


def _softmax_piece(seed: int) -> Case:
    net = mlp("", 3, [3], n_outputs=3, output_activation="softmax", seed=seed)
    return _pieces("", net, [(2, 0, False), (2, 1, False)], [1.0, -0.7])


def _tied_layers(seed: int = 0) -> Case:
    """Two layers that read one set of nine weights, some of them twice, with different factors."""
    weight = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8], [1, 1, 0]])  # of the first connection, 3 to 4 neurons
    back = np.array([[8, 7, 2, 0], [3, 3, 5, 6]])  # of the second, 4 to 2

    def build() -> am.Assembly:
        def tied(source: int, numbers: np.ndarray, factor: float) -> Tied:
            n_target, n_source = numbers.shape
            rows = n_source * np.arange(n_target + 1)
            indices, factors = np.tile(np.arange(n_source, dtype=np.int32), n_target), np.full(n_target, factor)
            number = numbers.ravel().astype(np.int32)
            return Tied(source, source + 1, n_source, n_target, factors, rows, indices, number, 9, pool=7)

        groups = (Group(2, "input"), Group(3, "tanh"), Group(4, "sin"), Group(2, "erf"), Group(1, "identity"))
        first, last = Dense(0, 1, 2, 3, np.full(3, 0.7)), Dense(3, 4, 2, 1, np.ones(1))
        described = Graph(groups, (first, tied(1, weight, 0.6), tied(2, back, 0.5), last), ((4, 0),))
        parameters = np.random.default_rng(seed).normal(size=6 + 9 + 2)
        return am.Assembly.from_graph(described, parameters)

    def twin(net: am.Assembly) -> naive.Network:
        free = naive.layered([2, 3, 4, 2, 1], ["tanh", "sin", "erf", "identity"], [0.7, 0.6, 0.5, 1.0])
        shared = [*range(6), *(6 + weight).ravel(), *(6 + back).ravel(), 15, 16]
        return naive.sharing(free, shared)

    return Case("tied-layers", build, twin)


SOFTMAX = mlp("softmax", 3, [4, 3], "tanh", n_outputs=3, output_activation="softmax", output=1)
ON_BORDERS = cnn("cnn-2d", [3, 3], [1, 2, 2], [3, 2], padding=1, stride=[1, 2], bias=True)

DIAMOND = {
    "top": ("tanh", ["x", "y"]),
    "left": ("tanh", ["top"]),
    "right": ("sin", ["top"]),
    "out": ("identity", ["left", "right"]),
}
SKIPS = {
    "a": ("tanh", ["x", "y"]),
    "b": ("gelu", ["y", "z"]),
    "c": ("softplus", ["a", "x"]),
    "d": ("erf", ["a", "b", "z"]),
    "e": ("sin", ["c", "a"]),
    "f": ("swish", ["e", "d", "b", "y"]),
    "out": ("identity", ["f", "e", "a", "x"]),
}
MIXED = {
    "a": ("tanh", ["x", "y"]),
    "b": ("relu", ["x", "y"]),
    "c": ("quadratic", ["x", "y"]),
    "d": ("cos", ["a", "b", "c"]),
    "e": ("sigmoid", ["a", "b", "c"]),
    "out": ("identity", ["d", "e"]),
    "again": ("tanh", ["e", "x"]),
}

CASES = [
    mlp("tanh-1", 3, [5]),
    mlp("erf-2", 3, [5, 4], "erf"),
    mlp("tanh-3", 2, [4, 3, 3]),
    mlp("sigmoid", 3, [4, 3], "sigmoid", seed=1),
    mlp("softplus", 3, [4, 3], "softplus"),
    mlp("gelu-bias", 3, [4, 3], "gelu", bias=True),
    mlp("swish", 3, [4, 3], "swish"),
    mlp("relu-1", 3, [5], "relu"),
    mlp("relu-2", 3, [5, 4], "relu", seed=1),
    mlp("sin", 2, [4, 3], "sin"),
    mlp("cos-bias-1", 2, [5], "cos", bias=True),
    mlp("quadratic", 3, [3, 3], "quadratic"),
    mlp("exp", 3, [4, 3], "exp"),
    mlp("linear-3", 3, [3, 4, 3], "identity"),
    mlp("sign", 3, [4, 4], "tanh", readout="sign"),
    mlp("frozen-1", 3, [5], "tanh", trainable_readout=False, bias=True),
    mlp("frozen-sign-2", 3, [4, 3], "erf", trainable_readout=False, readout="sign"),
    mlp("standard-bias", 3, [4, 3], "tanh", parametrization="standard", bias=True),
    mlp("mean-field", 3, [4, 3], "tanh", parametrization="mean-field"),
    mlp("gamma", 3, [4, 3], "tanh", gamma=0.25),
    mlp("tanh-output", 3, [4, 3], "tanh", output_activation="tanh"),
    mlp("sigmoid-output-1", 3, [4], "gelu", output_activation="sigmoid"),
    mlp("two-outputs", 3, [4, 3], "tanh", n_outputs=2, output=1),
    mlp("two-outputs-1", 3, [5], "tanh", n_outputs=2, output=1),
    mlp("two-outputs-sin", 2, [3, 3], "erf", n_outputs=2, output_activation="sin", trainable_readout=False, bias=True),
    mlp("smallest", 1, [1], "tanh"),
    mlp("bottleneck", 3, [4, 1, 4], "tanh"),
    _committee("committee-1", [2], 4),
    _committee("committee-2-bias", [2, 2], 3, bias=True, activation="gelu"),
    _committee("committee-trainable", [2, 2], 3, coefficients="gaussian", trainable_coefficients=True, gamma=1.0),
    _committee_of_mixed_structures(),
    _committee_of_graphs(),
    _assembly_of_assemblies_of_assemblies(),
    _shared_part(trainable=False),
    _shared_part(trainable=True),
    _neurons_as_parts(),
    _symmetric(),
    graph("diamond", ["x", "y"], DIAMOND),
    graph("sparse-with-skips", ["x", "y", "z"], SKIPS),
    graph("mixed-activations", ["x", "y"], MIXED, output=1),
    graph("hidden-neuron-as-output", ["x", "y"], MIXED, ["d", "again", "out"]),
    graph("input-to-output", ["x", "y"], {"h": ("tanh", ["x"]), "out": ("sin", ["h", "x", "y"])}),
    cnn("cnn-1d", [6], [1, 2, 3], 3),
    cnn("cnn-1d-in-node-space", [2], [2, 3, 4], 3),
    cnn("cnn-1d-in-and-out-of-node-space", [4], [1, 4, 4], 3, pool=[2, 1], bias=True, activation="gelu"),
    cnn("cnn-1d-stride-pool", [9], [2, 2, 2], 3, stride=2, pool=[1, 2], activation="sin", seed=1),
    ON_BORDERS,
    cnn("cnn-2d-pool", [4, 3], [1, 1, 2], 2, padding=1, pool=[2, 1], activation="softplus", n_outputs=2, output=1),
    cnn("cnn-softmax", [3], [1, 3], 3, n_outputs=3, output_activation="softmax", bias=True, output=2),
    cnn("cnn-frozen", [4], [1, 3, 2], 3, trainable_readout=False, readout="sign"),
    _resnet("resnet", 3, 4, 2, activation="gelu"),
    _resnet("resnet-softmax", 2, 3, 1, n_outputs=3, output_activation="softmax"),
    _densenet("densenet", 2, [3, 2, 3]),
    _densenet("densenet-sin-output", 3, [4], n_outputs=2, output_activation="sin", activation="erf", output=1),
    _dropout(),
    SOFTMAX,
    mlp("softmax-1", 3, [4], "gelu", n_outputs=2, output_activation="softmax", bias=True),
    mlp("softmax-frozen", 3, [4, 3], n_outputs=3, output_activation="softmax", trainable_readout=False, output=2),
    mlp("softmax-frozen-bias", 2, [4], n_outputs=3, output_activation="softmax", trainable_readout=False, bias=True),
    _tied_layers(),
    _pieces("neurons-of-a-cnn", cnn("", [6], [1, 2, 3], 3), [(2, 4, False), (2, 17, False), (1, 3, False)], [1, -2, 1]),
    _pieces(
        "neurons-of-a-cnn-with-borders",
        ON_BORDERS,
        [(2, 0, True), (2, 3, False), (0, 4, False), (1, 2, False)],
        [1.0, 0.5, -1.0, 2.0],
        trainable_coefficients=True,
    ),
    _pieces(
        "neurons-of-averages",
        cnn("", [6], [2, 2, 2], 3, pool=2, activation="sin"),
        [(2, 1, False), (4, 0, True), (3, 4, False)],
        [1.0, 0.5, -1.0],
        scale=0.7,
    ),
    _pieces("cnn-beside-its-neurons", cnn("", [4], [1, 2, 2], 3), [(3, 0, False), (1, 2, False)], [1.0, -0.5]),
    _pieces("neurons-of-tied-layers", _tied_layers(), [(3, 1, True), (2, 0, False)], [1.0, 0.5]),
    _pieces("neurons-of-a-resnet", _resnet("", 2, 3, 2), [(5, 1, True), (3, 0, False)], [1.0, 0.5]),
    _pieces("softmax-neurons", SOFTMAX, [(3, 0, False), (3, 2, False), (2, 1, False)], [1.0, -0.5, 2.0]),
    _pieces("pre-activation-of-a-softmax", SOFTMAX, [(3, 1, True)], [2.0]),
    _pieces("pre-activations-of-a-softmax", SOFTMAX, [(3, 1, True), (3, 2, True), (2, 0, False)], [2.0, 1.0, -1.0]),
    _committee_of("committee-of-cnns", lambda i: cnn("", [5], [1, 2, 2], 3, pool=[1, 2], bias=True, seed=i), None),
    _committee_of("committee-of-cnns-in-node-space", lambda i: cnn("", [2], [1, 4], 3, bias=True, seed=i), None),
    _committee_of(  # a window of the second layer leaves out the last neuron of the first
        "committee-of-strided-cnns", lambda i: cnn("", [7], [1, 2, 2], 2, stride=2, padding=0, seed=i), None
    ),
    _committee_of("committee-of-pieces-of-cnns", _piece_of_a_cnn, [6, 2, 10, 2]),
    _committee_of("committee-of-tied-layers", _tied_layers, [6, 9, 2]),
    _committee_of("committee-of-resnets", lambda i: _resnet("", 2, 3, 1, seed=i), [6, 9, 3], n_parts=3),
    _committee_of("committee-of-softmax-neurons", _softmax_piece, None),
]
FLOAT32 = [
    mlp("tanh-2-float32", 3, [4, 3], "tanh", bias=True, dtype="float32"),
    mlp("relu-1-float32", 3, [5], "relu", readout="sign", dtype="float32"),
    cnn("cnn-float32", [6], [1, 2, 3], 3, pool=[1, 2], bias=True, dtype="float32"),
    cnn("cnn-in-node-space-float32", [2], [2, 3, 4], 3, n_outputs=2, output_activation="softmax", dtype="float32"),
]
BY_NAME = {case.name: case for case in [*CASES, *FLOAT32]}
NAMED = [case for case in CASES if "f" not in case.network().neurons]  # nodes stand in the order of the twin's names
