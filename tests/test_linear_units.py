"""Neurons made linear, against plain numpy, and what that costs before and half way through training (claim 23)."""

import dataclasses
import itertools

import numpy as np
import pytest

import assembly as am
from assembly.architectures.linear_units import affine_fit, with_linear_units
from assembly.data import Samples
from assembly.errors import ArgumentError, GraphError, NonFiniteError, ShapeError
from assembly.study import linear_units as measured
from own_cases import square_gradient, square_product, square_value

RNG = np.random.default_rng(23)
X = RNG.normal(size=(7, 3))
SIZES = (3, 6, 5, 2)


def blocks_of(w, bias):
    """Weights and biases of the network of SIZES, one layer after the other."""
    found, start = [], 0
    for n_source, n_target in itertools.pairwise(SIZES):
        W = w[start : start + n_source * n_target].reshape(n_target, n_source) / np.sqrt(n_source)
        start += n_source * n_target
        found.append((W, w[start : start + n_target] if bias else np.zeros(n_target)))
        start += n_target if bias else 0
    return found


def forward(w, x, bias, lines, shift=None):
    """Outputs, and z and a of the hidden layers; lines[l] is {neuron: (slope, intercept)}, shift is added to a."""
    layers, a = blocks_of(w, bias), x
    states = []
    for number, (W, b) in enumerate(layers[:-1]):
        z = W @ a + b
        a = np.tanh(z)
        for neuron, (slope, intercept) in lines[number].items():
            a[neuron] = slope * z[neuron] + intercept
        if shift is not None:
            a = a + shift[number]
        states.append((z, a))
    W, b = layers[-1]
    return W @ a + b, states


def lines_by_hand(w, bias, share):
    """Fit, price and choose, neuron by neuron; derivatives of outputs in activations by an imaginary step."""
    at = [forward(w, x, bias, ({}, {})) for x in X]
    found = []
    for number, size in enumerate(SIZES[1:-1]):
        prices, fits = [], []
        for neuron in range(size):
            z, a = (np.array([states[number][i][neuron] for _, states in at]) for i in (0, 1))
            slope, intercept = np.polyfit(z, a, 1)
            shift = [np.zeros(n, dtype=complex) for n in SIZES[1:-1]]
            shift[number][neuron] = 1e-30j
            slopes = np.array([forward(w, x.astype(complex), bias, ({}, {}), shift)[0].imag / 1e-30 for x in X])
            prices.append(np.sum((slopes * (a - slope * z - intercept)[:, None]) ** 2))
            fits.append((slope, intercept))
        cheapest = np.argsort(prices)[: round(share * size)]
        found.append({int(neuron): fits[neuron] for neuron in cheapest})
    return found


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_values_and_gradients_are_those_of_plain_numpy(share, bias):
    net = am.mlp(3, [6, 5], "tanh", n_outputs=2, bias=bias, seed=4)
    linear, lines = with_linear_units(net, X, share), lines_by_hand(net.parameters, bias, share)
    assert [len(one) for one in lines] == [round(share * 6), round(share * 5)]
    for w in (net.parameters, RNG.normal(size=net.n_parameters)):  # the lines stay where the parameters move
        there, x = linear.with_parameters(w), RNG.normal(size=3)
        np.testing.assert_allclose(there(x), forward(w, x, bias, lines)[0], rtol=1e-11)
        for output in (0, 1):
            moved = w[:, None] + 1e-30j * np.eye(len(w))
            wanted = [forward(column, x.astype(complex), bias, lines)[0][output].imag / 1e-30 for column in moved.T]
            np.testing.assert_allclose(there.gradient(x, output), wanted, rtol=1e-10, atol=1e-14)


def test_lines_are_those_of_polyfit():
    z, a = RNG.normal(size=(9, 4)), RNG.normal(size=(9, 4))
    z[:, 2] = 3.0
    slopes, intercepts, missed = affine_fit(z, a)
    for neuron in (0, 1, 3):
        np.testing.assert_allclose((slopes[neuron], intercepts[neuron]), np.polyfit(z[:, neuron], a[:, neuron], 1))
    np.testing.assert_allclose((slopes[2], intercepts[2]), (0.0, a[:, 2].mean()))
    np.testing.assert_allclose(missed, a - slopes * z - intercepts, atol=1e-14)


def test_the_line_of_a_neuron_that_never_changes_is_flat():
    z = np.full((3, 1), 0.1)  # whose mean is rounded to another number
    slopes, intercepts, _ = affine_fit(z, np.tanh(z))
    np.testing.assert_array_equal((slopes[0], intercepts[0]), (0.0, np.tanh(z).mean()))


NETS = {
    "mlp": lambda: am.mlp(3, [6, 5], "relu", seed=0),
    "residual": lambda: am.resnet(3, 6, n_blocks=2, activation="sin", seed=0),
    "densely connected": lambda: am.densenet(3, [5, 4], "gelu", seed=0),
    "sparse": lambda: am.random_dag(3, 3, 8, in_degree=3, seed=0),
    "tied": lambda: am.tied(lambda seed: am.mlp(3, [4], seed=seed), 6, 2, seed=0),
    "several outputs": lambda: am.mlp(3, [6], "tanh", n_outputs=3, bias=True, seed=0),
    "single precision": lambda: am.mlp(3, [6, 5], "tanh", seed=0, dtype="float32"),
}


@pytest.mark.parametrize("name", NETS)
def test_without_non_linear_neurons_a_network_is_affine(name):
    net = NETS[name]()
    linear, (x, z) = with_linear_units(net, X, 1.0), RNG.normal(size=(2, 3))
    tolerance = 1e-5 if net.dtype == np.float32 else 1e-12
    between = {f: f(0.3 * x + 0.7 * z) - 0.3 * f(x) - 0.7 * f(z) for f in (net, linear)}
    assert np.abs(between[linear]).max() < tolerance
    assert np.abs(between[net]).max() > 1e-3


@pytest.mark.parametrize("name", NETS)
def test_parameters_are_carried_over_both_ways(name):
    net = NETS[name]()
    linear, w = with_linear_units(net, X, 0.5), RNG.normal(size=net.n_parameters)
    assert np.shares_memory(linear.parameters, net.parameters)
    assert np.array_equal(net.with_parameters(linear.parameters)(X), net(X))
    moved = net.with_parameters(linear.with_parameters(w).parameters)
    np.testing.assert_array_equal(moved(X), net.with_parameters(w)(X))
    assert linear.width == net.width
    names = [group.activations() for group in linear.graph.groups]
    assert 0 < sum(list(one).count("identity") for one in names) < sum(map(len, names))


def test_neurons_that_are_linear_already_are_not_counted():
    net = am.mlp(3, [8], "tanh", seed=1)
    twice = with_linear_units(with_linear_units(net, X, 0.5), X, 0.5)
    assert twice.graph.groups[2].activations().count("tanh") == 2
    positive = am.mlp(3, [8], "relu", seed=1).with_parameters(np.abs(am.mlp(3, [8], seed=1).parameters))
    inputs = np.abs(X)
    np.testing.assert_allclose(with_linear_units(positive, inputs, 1.0)(inputs), positive(inputs), rtol=1e-12)


def test_outputs_keep_their_activation_functions():
    for output in ("sin", "softmax"):
        net = am.mlp(3, [6], "tanh", n_outputs=2, output_activation=output, seed=0)
        assert with_linear_units(net, X, 1.0).graph.groups[-1] == net.graph.groups[-1]


def test_a_network_with_lines_is_saved_and_read(tmp_path):
    linear = with_linear_units(am.mlp(3, [6, 5], seed=0), X, 0.5)
    linear.save(tmp_path / "net.json")
    np.testing.assert_array_equal(am.load(tmp_path / "net.json")(X), linear(X))


def of_softmax():
    part = am.mlp(3, [4], n_outputs=2, output_activation="softmax", seed=0)
    return am.Assembly(list(part.layers[-1].neurons), [1.0, 2.0])


def of_own():
    own = am.submodel(square_value, square_gradient, square_product, n_inputs=3, n_parameters=3)
    return am.committee(own, 2, seed=0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"net": 3}, ArgumentError, "^The 'net' argument must be an assembly. Got int.$"),
        ({"share": 1.1}, ArgumentError, "^The 'share' argument must be a number from 0 to 1. Got 1.1.$"),
        ({"share": -0.1}, ArgumentError, "'share' argument must be a finite number of at least 0. Got -0.1"),
        ({"share": "all"}, ArgumentError, "'share' argument must be a finite number"),
        ({"X": X[0]}, ArgumentError, "'X' argument must hold at least two inputs, to fit a line. Got 1"),
        ({"X": X[:, :2]}, ShapeError, "'X'"),
        ({"X": np.full((2, 3), np.nan)}, NonFiniteError, "'X'"),
        ({"net": am.cnn((3,), [2], kernel=3, seed=0)}, GraphError, "^The neurons of layer 1 .* share a kernel"),
        ({"net": of_softmax()}, GraphError, "layer 2 .* a softmax couples them"),
        ({"net": of_own()}, GraphError, "layer 1 .* sub-models of your own"),
    ],
)
def test_errors(change, error, message):
    with pytest.raises(error, match=message):
        with_linear_units(**{"net": am.mlp(3, [4], seed=0), "X": X, "share": 0.5, **change})


# --- what it costs ---------------------------------------------------------------------------------------------------


def descend(value_and_gradient, w, y, n_steps):
    """Gradient descent sample by sample; the step is 1 / lambda_max of the kernel at the start."""
    _, J = value_and_gradient(w)
    eta = 1.0 / np.linalg.eigvalsh(J @ J.T)[-1]
    for _ in range(n_steps):
        f, J = value_and_gradient(w)
        w = w - eta * J.T @ (f - y)
    return w


def one_hidden_layer(inputs, m, lines):
    """Outputs and Jacobian of v . a / sqrt(m) with tanh, but for neurons with lines."""
    d = inputs.shape[1]

    def value_and_gradient(w):
        W, v = w[: m * d].reshape(m, d), w[m * d :]
        z = inputs @ W.T / np.sqrt(d)
        a, slope = np.tanh(z), 1.0 - np.tanh(z) ** 2
        for neuron, (alpha, beta) in lines.items():
            a[:, neuron], slope[:, neuron] = alpha * z[:, neuron] + beta, alpha
        inner = (slope * v)[:, :, None] * inputs[:, None, :] / np.sqrt(d * m)
        return a @ v / np.sqrt(m), np.hstack([inner.reshape(len(inputs), -1), a / np.sqrt(m)])

    return value_and_gradient


def lines_at(inputs, m, w, share):
    d = inputs.shape[1]
    z, v = inputs @ w[: m * d].reshape(m, d).T / np.sqrt(d), w[m * d :]
    fits = [np.polyfit(z[:, i], np.tanh(z[:, i]), 1) for i in range(m)]
    prices = [np.sum((v[i] * (np.tanh(z[:, i]) - np.polyval(fits[i], z[:, i]))) ** 2) for i in range(m)]
    return {int(i): tuple(fits[i]) for i in np.argsort(prices)[: round(share * m)]}


@pytest.mark.parametrize("n_steps", [1, 2, 9])
def test_what_is_left_is_that_of_a_plain_loop(n_steps):
    net, y, m = am.mlp(3, [10], "tanh", seed=2), np.sign(RNG.normal(size=len(X))), 10
    w0, half = net.parameters, n_steps // 2
    first = lines_at(X, m, w0, measured.SHARE)
    before = descend(one_hidden_layer(X, m, first), w0, y, half)
    before = descend(one_hidden_layer(X, m, first), before, y, n_steps - half)
    middle = descend(one_hidden_layer(X, m, {}), w0, y, half)
    second = lines_at(X, m, middle, measured.SHARE)
    after = descend(one_hidden_layer(X, m, second), middle, y, n_steps - half)
    losses = [
        np.sum((one_hidden_layer(X, m, lines)(w)[0] - y) ** 2)
        for lines, w in (({}, w0), (first, before), (second, after))
    ]
    wanted = {
        "loss_linear_before": losses[1] / losses[0],
        "loss_linear_after": losses[2] / losses[0],
        "after_over_before": losses[2] / losses[1],
    }
    found = measured.linear_units(net, Samples(X, y), n_steps)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-7, err_msg=name)


def test_a_network_that_diverges_leaves_no_number(monkeypatch):
    net, samples = am.mlp(3, [10], "tanh", seed=2), Samples(X, np.sign(X[:, 0]))
    usual = measured.train

    def diverging_if_linear_first(start, *arguments, **options):
        if np.array_equal(start.parameters, net.parameters) and start.graph is not net.graph:
            options["step_size"] = 1e6
        return usual(start, *arguments, **options)

    monkeypatch.setattr(measured, "train", diverging_if_linear_first)
    found = measured.linear_units(net, samples, 40)
    assert np.isnan(found["loss_linear_before"])
    assert np.isnan(found["after_over_before"])
    assert 0.0 < found["loss_linear_after"] < 1.0


def test_a_network_that_fits_from_the_start_has_no_share():
    net = am.mlp(3, [10], "tanh", seed=2)
    assert np.isnan(list(measured.linear_units(net, Samples(X, net(X)), 2).values())).all()


def test_the_share_is_the_one_that_readers_are_told():
    from assembly.study.quantities import describe

    assert "9 in 10 neurons" in describe("loss_linear_before").meaning
    assert measured.SHARE == 0.9


def test_a_study_measures_it():
    from assembly.study import design, measure, quantities
    from assembly.study.reading import load
    from study_cases import table

    study = load("claim-23-linear-units")
    point = next(one for one in design.points(study, table(n_columns=3)) if one.architecture == "mean-field")
    point = dataclasses.replace(point, settings=dataclasses.replace(point.settings, training_steps=6))
    samples = Samples(X, np.sign(X[:, 0]))
    row = measure.measure(point, samples)
    assert {*row} == {*quantities.LINEAR_UNITS}
    assert row == measured.linear_units(measure.build(point), samples, 6)
