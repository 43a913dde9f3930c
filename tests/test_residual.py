"""Residual and densely connected networks against their formulas, written out in numpy."""

import numpy as np
import pytest

import assembly as am
import contracts
from assembly.errors import ArgumentError, ResourceError, UnknownNameError


def residual(w, x, m, n):
    """a_0 = tanh(W_0 x / sqrt d), a_l = a_(l-1) + tanh(W_l a_(l-1) / sqrt m), f = v a_n / sqrt m; all activations."""
    matrices = np.split(w, np.cumsum([m * len(x), *[m * m] * n]))
    a = np.tanh(matrices[0].reshape(m, -1) @ x / np.sqrt(len(x)))
    found = [a]
    for matrix in matrices[1:-1]:
        block = np.tanh(matrix.reshape(m, m) @ a / np.sqrt(m))
        a = a + block
        found += [block, a]
    return [*found, [matrices[-1] @ a / np.sqrt(m)]]


def densely_connected(w, x, widths):
    """Every layer reads the inputs and all layers before it, a matrix for each of them; all activations."""
    before, position = [x], 0
    for size in (*widths, 1):
        z = np.zeros(size)
        for a in before:
            z = z + w[position : position + size * len(a)].reshape(size, -1) @ a
            position += size * len(a)
        z /= np.sqrt(sum(map(len, before)))
        before.append(np.tanh(z) if len(before) <= len(widths) else z)
    assert position == len(w)
    return before[1:]


def check_activations(net, x, wanted):
    """Each layer's activations, and the gradient by an imaginary step."""
    post = net.evaluate(x).post[0]
    for layer, activations in zip(net.layers[1:], wanted(net.parameters), strict=True):
        assert contracts.error(post[layer.nodes], activations) < 1e-14
    step = 1e-30j * np.eye(net.n_parameters)
    gradient = [np.imag(wanted(net.parameters + e)[-1][0]) / 1e-30 for e in step]
    assert contracts.error(net.gradient(x), gradient) < 1e-13


@pytest.mark.parametrize(("d", "m", "n"), [(3, 7, 1), (5, 4, 3), (2, 1, 2)])
def test_a_residual_network_is_its_formula(d, m, n):
    x = np.random.default_rng(0).normal(size=d)
    check_activations(am.resnet(d, m, n, seed=1), x, lambda w: residual(w, x, m, n))


@pytest.mark.parametrize("widths", [[4], [5, 3], [3, 1, 4]])
def test_a_densely_connected_network_is_its_formula(widths):
    x = np.random.default_rng(0).normal(size=3)
    check_activations(am.densenet(3, widths, seed=1), x, lambda w: densely_connected(w, x, widths))


@pytest.mark.parametrize("output", [0, 1])
def test_options_of_the_output(output):
    for build in (
        lambda **options: am.resnet(3, 4, 2, seed=2, n_outputs=2, **options),
        lambda **options: am.densenet(3, [4, 2], seed=2, n_outputs=2, **options),
    ):
        x = np.random.default_rng(0).normal(size=3)
        linear, bent, frozen = build(), build(output_activation="tanh"), build(trainable_readout=False)
        np.testing.assert_allclose(bent(x), np.tanh(linear(x)), rtol=1e-14)
        rows = np.array([neuron.weights for neuron in frozen.layers[-1].neurons])
        values = np.concatenate([part.value(x) * np.ones(1) for part in frozen.parts])
        assert frozen(x)[output] == pytest.approx(frozen.layers[-1].neurons[0].factors * rows[output] @ values)
        assert frozen.n_parameters == linear.n_parameters - rows.size
        assert len(np.unique(rows)) == rows.size  # each is drawn for itself
        signs = build(readout="sign").coefficients
        np.testing.assert_array_equal(np.abs(signs), 1.0)
        assert build(dtype="float32")(x).dtype == np.float32


@pytest.mark.parametrize(
    ("build", "width"),
    [
        (lambda: am.resnet(64, 9, 1), 9),
        (lambda: am.resnet(2, 9, 4), 9),
        (lambda: am.resnet(2, 9, 4, trainable_readout=False), 9),
        (lambda: am.densenet(4, [7, 30, 2]), 11),
        (lambda: am.densenet(4, [30, 1, 1]), 34),
        (lambda: am.densenet(4, [5]), 9),
        (lambda: am.densenet(4, [5], trainable_readout=False), 9),
    ],
)
def test_width_is_as_documented(build, width):
    assert build().width == width


def test_a_residual_network_shows_its_fixed_skips():
    net = am.resnet(4, 6, 2)
    assert [layer.size for layer in net.layers] == [4, 6, 6, 6, 6, 6, 1]
    total = net.layers[3].neurons[2]
    assert [(parent.layer, parent.position) for parent in total.parents] == [(1, 2), (2, 2)]
    np.testing.assert_array_equal(total.weights, [1.0, 1.0])
    np.testing.assert_array_equal(total.factors, [1.0, 1.0])
    assert net.n_parameters == 6 * (4 + 2 * 6 + 1)


def test_networks_of_other_seeds_and_sizes_are_independent():
    """Correlations within 5 standard errors; false alarms 6e-7 each, and the seeds are fixed."""
    nets = [am.resnet(50, 80, 1), am.resnet(50, 80, 1, seed=1), am.resnet(50, 80, 2), am.mlp(50, [80, 80])]
    nets += [am.densenet(50, [80, 30]), am.densenet(50, [80, 30], seed=1), am.densenet(50, [80, 31])]
    streams = np.array([net.parameters[:5_500] for net in nets])
    assert np.abs(np.corrcoef(streams) - np.eye(len(streams))).max() < 5.0 / np.sqrt(5_500)
    np.testing.assert_array_equal(am.resnet(50, 80, 1).parameters, nets[0].parameters)
    np.testing.assert_array_equal(am.densenet(50, [80, 30]).parameters, nets[4].parameters)
    w = am.resnet(50, 200, 1).parameters[:40_000]
    assert abs(w.mean()) < 5.0 / 200
    assert abs(np.mean(w**2) - 1.0) < 5.0 * np.sqrt(2.0 / 40_000)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: am.resnet(0, 4, 1), ArgumentError, r"'n_inputs' argument must be an int of at least 1\. Got 0"),
        (lambda: am.resnet(3, 0, 1), ArgumentError, r"'width' argument must be an int of at least 1\. Got 0"),
        (lambda: am.resnet(3, [4], 1), ArgumentError, r"'width' argument must be an int of at least 1\. Got \[4\]"),
        (lambda: am.resnet(3, 4, 0), ArgumentError, r"'n_blocks' argument must be an int of at least 1\. Got 0"),
        (lambda: am.resnet(3, 4, 1, "tahn"), UnknownNameError, "Did you mean 'tanh'"),
        (lambda: am.resnet(3, 4, 1, output_activation="softmax"), ArgumentError, "'n_outputs' .* at least 2"),
        (lambda: am.resnet(3, 10**7, 1), ResourceError, "100,000,040,000,000 weights needs about"),
        (lambda: am.densenet(0, [4]), ArgumentError, "'n_inputs' argument must be an int of at least 1"),
        (lambda: am.densenet(3, []), ArgumentError, "'widths' argument must be a non-empty sequence of ints"),
        (lambda: am.densenet(3, [4, 0]), ArgumentError, r"'widths\[1\]' argument must be an int of at least 1"),
        (lambda: am.densenet(3, [4], "softmax"), UnknownNameError, "'activation' argument must be one of identity"),
        (lambda: am.densenet(3, [4], n_outputs=0), ArgumentError, "'n_outputs' argument must be an int of at least 1"),
        (lambda: am.densenet(3, [4], dtype=int), ArgumentError, "'dtype' argument must be float64 or float32"),
        (lambda: am.densenet(3, [10**7, 10**7]), ResourceError, "weights needs about"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
