"""Limit kernels against naive recursions; what has none is refused by name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import assembly as am
import limit_recursions as naive
from assembly.activations import NAMES
from assembly.architectures import convolutional, residual
from assembly.errors import ArgumentError, GraphError, NonFiniteError, ResourceError, ShapeError
from assembly.graph.connections import Convolution, Dense, Tied
from assembly.graph.description import Graph, Group
from assembly.graph.windows import Windows
from assembly.limits import kernels

RNG = np.random.default_rng(7)
X = 0.8 * RNG.normal(size=(5, 4))
X[4] = -X[0]  # a correlation of -1
IMAGES = 0.8 * RNG.normal(size=(2, 2, 4, 4))


def check(net, wanted, samples=X, rtol=1e-10):
    """Both kernels, all together and between two halves; both are exactly symmetric."""
    n = len(samples)
    found = am.limit_kernels(net, samples)
    for kernel, other in zip((found.nngp, found.tangent), wanted, strict=True):
        np.testing.assert_allclose(kernel, other, rtol=rtol, atol=rtol * np.abs(other).max())
        np.testing.assert_array_equal(kernel, kernel.T)
    assert found.error < 1e-12
    across = am.limit_kernels(net, samples[: n // 2], samples[n // 2 :])
    np.testing.assert_allclose(across.nngp, found.nngp[: n // 2, n // 2 :], rtol=1e-13)
    np.testing.assert_allclose(across.tangent, found.tangent[: n // 2, n // 2 :], rtol=1e-13)


@pytest.mark.parametrize("activation", NAMES)
@pytest.mark.parametrize("bias", [False, True])
def test_one_hidden_layer_of_every_activation_function(activation, bias):
    check(
        am.mlp(4, [3], activation, bias=bias),
        naive.mlp(X, 1, activation, bias),
        rtol=1e-7 if activation == "relu" else 1e-9,
    )


@pytest.mark.parametrize("activation", ["relu", "erf", "gelu", "tanh", "softplus", "cos"])
@pytest.mark.parametrize("depth", [2, 3])
def test_deeper_networks(activation, depth):
    # The angle between a sample and its negative keeps half its digits in the oracle.
    samples = X[:4] if activation == "relu" else X
    check(am.mlp(4, [3] * depth, activation, bias=True), naive.mlp(samples, depth, activation, bias=True), samples)


def test_relu_against_the_recursion_of_angles():
    """Cho and Saul's arc-cosine kernels written with angles, at inputs of norm sqrt(d): Sigma halves in every layer."""
    x = X[:4] / np.linalg.norm(X[:4], axis=1, keepdims=True) * 2.0
    cosine = x @ x.T / 4.0
    np.fill_diagonal(cosine, 1.0)
    S, T = cosine.copy(), cosine.copy()
    for layer in range(1, 4):
        angle = np.arccos(np.clip(S * 2.0 ** (layer - 1), -1.0, 1.0))
        S = 0.5**layer * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi
        T = S + T * (1.0 - angle / np.pi) / 2.0
    found = am.limit_kernels(am.mlp(4, [2, 2, 2], "relu"), x)
    np.testing.assert_allclose(found.nngp, S, rtol=1e-7)
    np.testing.assert_allclose(found.tangent, T, rtol=1e-7)
    np.testing.assert_allclose(np.diag(found.nngp), 1.0 / 8.0, rtol=1e-14)
    np.testing.assert_allclose(np.diag(found.tangent), 4.0 / 8.0, rtol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "quadratic"])
def test_residual_networks_with_the_means_of_their_parts(activation):
    check(am.resnet(4, 3, 2, activation), naive.resnet(X[:3], 2, activation), X[:3])


def test_a_sum_of_three_groups():
    n = 6
    inward = [Dense(0, group, 4, n, np.full(n, 0.5)) for group in (1, 2, 3)]
    skips = [residual._identity(group, 4, n) for group in (1, 2, 3)]
    groups = tuple(
        Group(size, name)
        for size, name in zip([4, n, n, n, n, 1], ["input", *["relu"] * 3, "identity", "identity"], strict=True)
    )
    graph = Graph(groups, (*inward, *skips, Dense(4, 5, n, 1, np.array([1.0 / np.sqrt(n)]))), ((5, 0),))
    first = X[:4] @ X[:4].T / 4.0
    A, T = naive.activated("relu", first, first)
    m = np.array([naive.mean("relu", variance) for variance in np.diag(first)])
    S = 3.0 * A + 6.0 * np.outer(m, m)
    check(am.Assembly.from_graph(graph, np.zeros(graph.n_parameters)), (S, S + 3.0 * T), X[:4])


def test_skips_before_the_activation_function():
    """h' = h + W relu(h): h is normal, so the activation function may follow the fixed edges that copy it."""
    n, root = 6, np.full(6, 1.0 / np.sqrt(6.0))
    connections = [Dense(0, 1, 4, n, np.full(n, 0.5))]
    for stream in (1, 3):
        connections += [residual._identity(stream, stream + 1, n), residual._identity(stream, stream + 2, n)]
        connections += [Dense(stream + 1, stream + 2, n, n, root)]
    connections += [Dense(5, 6, n, 1, root[:1])]
    names = ["input", "identity", "relu", "identity", "relu", "identity", "identity"]
    sizes = [4, n, n, n, n, n, 1]
    graph = Graph(tuple(map(Group, sizes, names)), tuple(connections), ((6, 0),))
    S = X[:4] @ X[:4].T / 4.0
    T = S
    for _ in range(2):
        A, U = naive.activated("relu", S, T)
        S, T = S + A, T + A + U
    check(am.Assembly.from_graph(graph, np.zeros(graph.n_parameters)), (S, S + T), X[:4])


def test_skips_between_convolutions():
    """Signals of 4 places and 2 channels through relu(conv), then a + relu(conv(a)), averaged over 2 places."""
    first, second = (Windows(channels, (4,), (3,), (1,), (1,)) for channels in (2, 3))
    connections = (
        Convolution(0, 1, 8, 12, np.full(12, 1.0 / np.sqrt(6.0)), first, 3),
        Convolution(1, 2, 12, 12, np.full(12, 1.0 / 3.0), second, 3),
        residual._identity(1, 3, 12),
        residual._identity(2, 3, 12),
        convolutional._averages(3, 4, Windows(3, (4,), (2,), (2,), (0,))),
        Dense(4, 5, 6, 1, np.array([1.0 / np.sqrt(6.0)])),
    )
    groups = tuple(map(Group, [8, 12, 12, 12, 6, 1], ["input", "relu", "relu", *["identity"] * 3]))
    graph = Graph(groups, connections, ((5, 0),))
    signals = IMAGES.reshape(8, 2, 4)[:3]
    wanted = naive.residual_signals(signals)
    check(am.Assembly.from_graph(graph, np.zeros(graph.n_parameters)), wanted, signals.reshape(3, -1))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_densely_connected_networks(activation):
    check(am.densenet(4, [6, 2, 5], activation), naive.densenet(X[:4], [6, 2, 5], activation), X[:4])


@pytest.mark.parametrize("seed", [0, 1])
def test_random_graphs_with_skips_and_uneven_in_edges(seed):
    net = am.random_dag(4, 3, 12, 5, "erf", reach=2, seed=seed)
    assert len(np.unique([net.graph.connections[1].in_degrees()])) > 1
    check(net, naive.neuron_by_neuron(net.to_networkx(), X))


def test_the_first_layer_reads_the_inputs_that_each_neuron_has():
    net = am.random_dag(4, 2, 9, 3, "tanh")
    check(net, naive.neuron_by_neuron(net.to_networkx(), X))


def test_uneven_halves():
    check(am.uneven_dag(4, 3, 4, "erf"), naive.neuron_by_neuron(am.uneven_dag(4, 3, 4, "erf").to_networkx(), X))


def test_mixed_activation_functions_biases_for_some_and_a_layer_that_is_skipped():
    inputs = [f"x{i}" for i in range(4)]
    hidden = {f"a{i}": (("tanh", "erf", "cos")[i % 3], [*inputs, "1"] if i % 2 else inputs) for i in range(6)}
    second = {f"b{i}": ("sigmoid", [*hidden, "x0", "1"][i:]) for i in range(3)}
    net = am.from_neurons(inputs, hidden | second | {"out": ("identity", [*second, *hidden])})
    check(net, naive.neuron_by_neuron(net.to_networkx(), X))


LAYERS = [
    ((3, 3), {}),
    ((3, 1), {"pool": 2}),
    ((3, 3), {"bias": True, "pool": 2}),
    ((3, 3), {"stride": 2, "bias": True}),
    ((3, 2), {"padding": (1, 0)}),
]


@pytest.mark.parametrize(("kernel", "options"), LAYERS, ids=str)
def test_convolutions_in_two_dimensions(kernel, options):
    net = am.cnn((4, 4), [3, 3], kernel, "erf", n_channels=2, **options)
    check(net, naive.cnn(IMAGES, 2, kernel, "erf", **options), IMAGES.reshape(2, -1))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_convolutions_in_one_dimension_with_pooling(activation):
    signals = IMAGES.reshape(2, 2, 16)[:, :, :9]
    net = am.cnn((9,), [3, 3], 3, activation, n_channels=2, pool=2, bias=True)
    check(net, naive.cnn(signals, 2, (3,), activation, pool=2, bias=True), signals.reshape(2, -1))


def test_unequal_kernels_are_not_transposed():
    images = IMAGES[:, :, :3]
    net = am.cnn((3, 4), [2, 2], (1, 3), "erf", n_channels=2, pool=(1, 2))
    S, T = naive.cnn(images, 1, (1, 3), "erf")
    alone = am.cnn((3, 4), [2], (1, 3), "erf", n_channels=2)
    check(alone, (S, T), images.reshape(2, -1))
    assert np.abs(am.limit_kernels(net, images.reshape(2, -1)).nngp - S).max() > 1e-3


def test_neural_tangents_says_the_same():
    """Numbers of neural-tangents 0.6.5 in float64, ``kernel_fn(x, None, ("nngp", "ntk"))``.

    With Dense and Conv of W_std = b_std = 1 and parameterization "ntk", the networks are stax.serial(Dense, Relu,
    Dense, Relu, Dense), the same with Gelu, and stax.serial(Conv((3,), "SAME"), Relu, AvgPool((2,), (2,)),
    Conv((3,), "SAME"), Relu, Flatten, Dense) on x[:, :, None].
    """
    x = np.arange(12.0).reshape(2, 6) / 7.0 - 0.5
    for net, nngp, tangent in [
        (
            am.mlp(6, [2, 2], "relu", bias=True),
            (1.7699829931972788, 1.759802432856908, 1.8924319727891157),
            (2.8099489795918364, 2.5667029379017046, 3.177295918367347),
        ),
        (
            am.mlp(6, [2, 2], "gelu", bias=True),
            (1.6540535208257112, 1.6391294346761602, 1.7750134949943024),
            (2.5889373839077674, 2.4457123589788092, 2.9641295084907555),
        ),
        (
            am.cnn((6,), [2, 2], 3, "relu", bias=True, pool=[2, 1]),
            (1.704050227436798, 1.6969492991117168, 1.7861535856638526),
            (2.6058330993587444, 2.4330204017165085, 2.847216694937427),
        ),
    ]:
        found = am.limit_kernels(net, x)
        np.testing.assert_allclose(found.nngp[np.triu_indices(2)], nngp, rtol=2e-15)
        np.testing.assert_allclose(found.tangent[np.triu_indices(2)], tangent, rtol=2e-15)


def test_frozen_and_many_readouts_and_other_precision():
    S, T = naive.mlp(X, 1, "tanh")
    check(am.mlp(4, [3], "tanh", n_outputs=3), (S, T))
    check(am.mlp(4, [3], "tanh", dtype=np.float32), (S, T))
    check(am.mlp(4, [3], "tanh", readout="sign", trainable_readout=False), (S, T - S))
    drawn = am.mlp(4, [50], "tanh", n_outputs=2, trainable_readout=False)
    square = np.mean(drawn.graph.connections[-1].values ** 2)
    assert square != 1.0
    check(drawn, (square * S, square * (T - S)))
    check(am.dropout(4, [20, 20], "tanh", keep=0.5), naive.mlp(X, 2, "tanh"))
    check(am.bottleneck(4, [5, 1, 5], "tanh"), naive.mlp(X, 3, "tanh"))


def test_committees_have_the_kernels_of_their_parts():
    def part(seed):
        return am.mlp(4, [3], "relu", bias=True, seed=seed)

    S, T = naive.mlp(X[:4], 1, "relu", bias=True)
    check(am.committee(part, 5), (S, T), X[:4])
    check(am.committee(part, 5, trainable_coefficients=True), (S, S + T), X[:4])
    check(am.committee(lambda seed: am.committee(part, 3, seed=seed), 4), (S, T), X[:4])
    signals = IMAGES.reshape(2, 2, 16)[:, :, :6]
    net = am.committee(lambda seed: am.cnn((6,), [2], 3, "erf", n_channels=2, pool=2, seed=seed), 3)
    check(net, naive.cnn(signals, 1, (3,), "erf", pool=2), signals.reshape(2, -1))


def test_fixed_averages_of_the_inputs():
    inputs = ["x0", "x1", "x2", "x3"]
    half = am.Edge(0.5, trainable=False)
    means = {"m0": ("tanh", {"x0": half, "x1": half}), "m1": ("tanh", {"x2": half, "x3": half})}
    hidden = {f"h{i}": ("erf", ["m0", "m1"]) for i in range(3)}
    net = am.from_neurons(inputs, means | hidden | {"out": ("identity", list(hidden))})
    pooled = np.tanh(X.reshape(5, 2, 2).mean(axis=2))
    check(net, naive.mlp(pooled, 1, "erf"))


def test_the_weights_are_not_read():
    net = am.cnn((4, 4), [3, 3], 3, "relu", n_channels=2, pool=2)
    samples = IMAGES.reshape(2, -1)
    zero = net.with_parameters(np.zeros(net.n_parameters))
    for name in ("nngp", "tangent"):
        np.testing.assert_array_equal(
            getattr(am.limit_kernels(net, samples), name), getattr(am.limit_kernels(zero, samples), name)
        )


@pytest.mark.parametrize("activation", NAMES)
def test_equal_opposite_parallel_and_zero_samples(activation):
    x = X[0]
    samples = np.array([x, x, -x, 2.0 * x, x * (1.0 + 1e-9), 0.0 * x])
    net = am.mlp(4, [3, 3], activation)
    found = am.limit_kernels(net, samples)
    for kernel in (found.nngp, found.tangent):
        assert np.isfinite(kernel).all()
        np.testing.assert_array_equal(kernel[0], kernel[1])
        assert kernel[0, 1] == kernel[0, 0]
        np.testing.assert_allclose(kernel[0, 4], kernel[0, 0], rtol=1e-7)
    if activation in ("identity", "tanh", "erf", "sin", "relu"):
        np.testing.assert_array_equal(found.tangent[5], np.zeros(6))
    if activation == "relu":
        np.testing.assert_allclose(found.tangent[0, 3], 2.0 * found.tangent[0, 0], rtol=1e-14)
        np.testing.assert_allclose(found.nngp[0, 3], 2.0 * found.nngp[0, 0], rtol=1e-14)
    if activation in ("tanh", "erf", "sin"):
        np.testing.assert_allclose(found.tangent[2], -found.tangent[0], rtol=1e-13)
    assert np.linalg.eigvalsh(found.tangent).min() > -1e-7 * np.trace(found.tangent)


def test_one_sample_no_sample_and_chunks(monkeypatch):
    net = am.cnn((4, 4), [3, 3], 3, "tanh", n_channels=2, pool=2, bias=True)
    samples = RNG.normal(size=(5, 32))
    whole = am.limit_kernels(net, samples, samples[1:3])
    one = am.limit_kernels(net, samples[3], samples[1])
    np.testing.assert_allclose(one.tangent, [[whole.tangent[3, 0]]], rtol=1e-13)
    assert am.limit_kernels(net, np.zeros((0, 32)), samples).tangent.shape == (0, 5)
    monkeypatch.setattr(kernels, "BYTES_AT_ONCE", 1)
    alone = am.limit_kernels(net, samples, samples[1:3])
    np.testing.assert_allclose(alone.nngp, whole.nngp, rtol=1e-13)
    np.testing.assert_allclose(alone.tangent, whole.tangent, rtol=1e-13)


def test_the_error_is_that_of_the_worst_layer_and_adds_up(monkeypatch):
    from assembly.limits import hermite_series

    exact = am.limit_kernels(am.mlp(4, [3, 3], "tanh"), X)
    monkeypatch.setattr(hermite_series, "ORDERS", (4,))
    found = [am.limit_kernels(am.mlp(4, [3] * depth, "tanh"), X) for depth in (1, 2)]
    assert found[0].error < found[1].error
    for name in ("nngp", "tangent"):
        other, one = getattr(exact, name), getattr(found[1], name)
        size = np.sqrt(np.outer(np.diag(other), np.diag(other)))
        assert 1e-8 < np.abs((one - other) / size).max() < found[1].error


def part(seed):
    return am.mlp(4, [3], "relu", seed=seed)


REFUSED = {
    "claim 10": lambda: am.mlp(4, [3], output_activation="tanh"),
    "softmax": lambda: am.mlp(4, [3], n_outputs=2, output_activation="softmax"),
    "standard": lambda: am.mlp(4, [3], parametrization="standard"),
    "Got 0.25 for neuron 0": lambda: am.mlp(4, [4], parametrization="mean-field"),
    "Layer 2 .* add up to 1": lambda: am.mlp(4, [4], gamma=0.4),
    "tied": lambda: am.tied(part, 4, 2),
    "Layer 3 .* add up to 1": lambda: am.mean_field(part, 4),
    "in-edges of a neuron must add up": lambda: am.few_active(part, 4, 2),
    "one sign": lambda: am.committee(
        lambda seed: am.mlp(4, [3], "relu", output_activation="relu", seed=seed), 50, coefficients=np.ones(50)
    ),
    "differ in their in-edges": lambda: am.from_neurons(
        ["x0", "x1", "x2", "x3"], {"f": ("identity", ["x0", "x1"]), "g": ("identity", ["x2", "x3", "x0"])}
    ),
    "shift every neuron": lambda: am.from_neurons(
        ["x0", "x1", "x2", "x3"],
        {"h": ("tanh", ["x0", "x1", "x2", "x3"]), "f": ("identity", {"h": None, "1": am.Edge(1.0, trainable=False)})},
    ),
    "none of their in-edges": lambda: am.from_neurons(
        ["x0", "x1", "x2", "x3"], {"f": ("identity", {"x0": am.Edge(1.0, trainable=False)})}
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_networks_without_a_limit_are_refused_by_name(message):
    with pytest.raises(GraphError, match=message):
        am.limit_kernels(REFUSED[message](), X)


def test_sub_models_of_your_own_are_refused_by_name():
    own = am.submodel(
        value=lambda w, x: w @ x,
        gradient=lambda w, x: x,
        hessian_product=lambda w, x, v: np.zeros_like(v),
        n_inputs=4,
        n_parameters=4,
        name="linear",
    )
    with pytest.raises(GraphError, match="'linear' of your own"):
        am.limit_kernels(am.committee(own, 4), X)


def test_one_bias_for_a_whole_dense_layer_is_a_tied_weight():
    rows, nothing = np.arange(7, dtype=np.int64), np.zeros(6, dtype=np.int32)
    bias = Tied(1, 2, 1, 6, np.ones(6), rows, nothing, nothing, 1)
    connections = (Dense(0, 2, 4, 6, np.full(6, 0.5)), bias, Dense(2, 3, 6, 1, np.array([1.0 / np.sqrt(6.0)])))
    groups = tuple(Group(size, name) for size, name in [(4, "input"), (1, "constant"), (6, "tanh"), (1, "identity")])
    graph = Graph(groups, connections, ((3, 0),))
    with pytest.raises(GraphError, match=r"Layer 1 .* tied"):
        am.limit_kernels(am.Assembly.from_graph(graph, np.zeros(graph.n_parameters)), X)


def test_inputs_that_would_stand_in_two_ways_are_refused():
    one, two = Windows(1, (4,), (1,), (1,), (0,)), Windows(2, (2,), (1,), (1,), (0,))
    root = 1.0 / np.sqrt(8.0)
    connections = (
        Convolution(0, 1, 4, 4, np.ones(4), one, 1),
        Convolution(0, 2, 4, 4, np.full(4, np.sqrt(0.5)), two, 2),
        Dense(1, 3, 4, 1, np.array([root])),
        Dense(2, 3, 4, 1, np.array([root])),
    )
    groups = tuple(Group(size, name) for size, name in [(4, "input"), (4, "tanh"), (4, "tanh"), (1, "identity")])
    graph = Graph(groups, connections, ((3, 0),))
    with pytest.raises(GraphError, match="1 channels of 4 places and 2 channels of 2 places"):
        am.limit_kernels(am.Assembly.from_graph(graph, np.zeros(graph.n_parameters)), X)


def after_a_sum(activation, *sources):
    """Return a network in which a group with fixed edges from some groups follows a residual sum, group 3."""
    n, root = 6, np.full(6, 1.0 / np.sqrt(6.0))
    connections = [Dense(0, 1, 4, n, np.full(n, 0.5)), Dense(1, 2, n, n, root)]
    connections += [residual._identity(1, 3, n), residual._identity(2, 3, n)]
    connections += [residual._identity(source, 4, n) for source in sources]
    connections += [Dense(4, 5, n, 1, root[:1])]
    names = ["input", "relu", "relu", "identity", activation, "identity"]
    groups = tuple(Group(size, name) for size, name in zip([4, n, n, n, n, 1], names, strict=True))
    graph = Graph(groups, tuple(connections), ((5, 0),))
    return am.Assembly.from_graph(graph, np.zeros(graph.n_parameters))


def test_sums_whose_law_the_covariance_does_not_tell_are_refused():
    with pytest.raises(GraphError, match=r"Layer 4 .* not normal"):
        am.limit_kernels(after_a_sum("relu", 3), X)
    with pytest.raises(GraphError, match="the same neurons into it twice"):
        am.limit_kernels(after_a_sum("identity", 3, 1), X)


def test_bad_arguments():
    net = am.mlp(4, [3])
    with pytest.raises(ArgumentError, match="'net' argument must be an assembly"):
        am.limit_kernels("net", X)
    with pytest.raises(ShapeError, match="'X' argument"):
        am.limit_kernels(net, X[:, :3])
    with pytest.raises(ShapeError, match="'Z' argument"):
        am.limit_kernels(net, X, X[:, :3])
    with pytest.raises(NonFiniteError, match="'Z' argument"):
        am.limit_kernels(net, X, np.full((1, 4), np.nan))
    with pytest.raises(NonFiniteError, match="overflow"):
        am.limit_kernels(am.mlp(4, [3], "exp"), 100.0 * X)


def test_images_whose_pairs_of_places_do_not_fit_are_refused_before_the_work(monkeypatch):
    monkeypatch.setattr("assembly.memory.available_memory", lambda: 2**27)
    for pool in (28, [1, 28]):
        with pytest.raises(ResourceError, match="pairs of places"):
            am.limit_kernels(am.cnn((28, 28), [2] if pool == 28 else [2, 2], 3, pool=pool), np.ones((1, 784)))
    monkeypatch.setattr("assembly.memory.available_memory", lambda: 2**26)
    with pytest.raises(ResourceError, match="pairs of places"):
        am.limit_kernels(am.cnn((64, 64), [2], 3, pool=64), np.ones((1, 64**2)))
    without = am.cnn((28, 28), [2, 2], 3)
    assert np.isfinite(am.limit_kernels(without, np.ones((1, 784))).tangent).all()


def test_counts_of_in_edges_that_do_not_fit_are_refused(monkeypatch):
    net = am.random_dag(1100, 1, 2000, 5)
    assert np.isfinite(am.limit_kernels(net, np.ones((1, 1100))).tangent).all()
    monkeypatch.setattr("assembly.memory.available_memory", lambda: 2**20)
    with pytest.raises(ResourceError, match="in-edges of 2,000 neurons from 1,100 inputs"):
        am.limit_kernels(net, np.ones((1, 1100)))


def test_the_result_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        am.limit_kernels(am.mlp(4, [3]), X).error = 1.0


@pytest.mark.parametrize("widths", [[8], [8, 8]])
@pytest.mark.parametrize("alpha", [10.0, 0.5**0.5])
def test_a_lazy_network_is_refused_for_what_it_is(widths, alpha):
    net = am.lazy(lambda seed: am.mlp(n_inputs=3, widths=widths, seed=seed), alpha=alpha)
    with pytest.raises(GraphError, match=r"A lazy network has no limit kernels .* Take those of the network g inside"):
        am.limit_kernels(net, [[1.0, 0.0, 2.0]])


def test_the_kernel_of_a_lazy_network_is_a_multiple_of_that_inside():
    """What the error says."""
    seeds = []

    def part(seed):
        seeds.append(seed)
        return am.mlp(n_inputs=3, widths=[8], seed=seed)

    net, x = am.lazy(part, alpha=10.0), np.array([[1.0, 0.0, 2.0], [0.5, 1.0, 0.0]])
    np.testing.assert_allclose(net.tangent_kernel(x), 100.0 * part(seeds[-1]).tangent_kernel(x), rtol=1e-12)
