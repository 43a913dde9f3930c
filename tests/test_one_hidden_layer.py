import numpy as np
import pytest
from scipy import special

import assembly as am
import contracts
import naive
from assembly.calculus import one_hidden_layer

FIRST = {
    "tanh": lambda z: 1.0 / np.cosh(z) ** 2,
    "erf": lambda z: 2.0 / np.sqrt(np.pi) * np.exp(-z * z),
    "gelu": lambda z: special.ndtr(z) + z * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi),
    "relu": lambda z: (z > 0.0).astype(float),
}
SECOND = {
    "tanh": lambda z: -2.0 * np.tanh(z) / np.cosh(z) ** 2,
    "erf": lambda z: -4.0 * z / np.sqrt(np.pi) * np.exp(-z * z),
    "gelu": lambda z: (2.0 - z * z) * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi),
    "relu": lambda z: 0.0 * z,
}


def naive_norm(net, x, activation, scale, bias=False, trainable_readout=True):
    m = net.layers[1].size
    d, w = len(x), net.parameters
    weights = w[: m * d].reshape(m, d)
    if bias:
        weights = np.concatenate([weights, w[m * d : m * (d + 1), None]], axis=1)
    readout = net.coefficients
    return naive.one_hidden_layer_norm(
        x, weights, readout, FIRST[activation], SECOND[activation], scale, bias, trainable_readout
    )


@pytest.mark.parametrize(
    ("activation", "options"),
    [
        ("tanh", {}),
        ("tanh", {"readout": "sign"}),
        ("erf", {"bias": True}),
        ("gelu", {"readout": "sign", "trainable_readout": False}),
    ],
    ids=str,
)
def test_a_million_neurons(activation, options):
    m, x = 2**20, np.array([1.3, -0.4, 0.9])
    net = am.mlp(3, [m], activation, seed=5, **options)
    norm = net.hessian(x).norm()
    wanted = naive_norm(
        net, x, activation, np.sqrt(m), options.get("bias", False), options.get("trainable_readout", True)
    )
    assert norm.converged
    assert norm.n_steps == 0
    assert norm.value == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_biases_beside_a_frozen_or_signed_readout(activation):
    x = np.array([1.3, -0.4, 0.9])
    signed = am.mlp(3, [999], activation, bias=True, readout="sign")
    wanted = naive_norm(signed, x, activation, np.sqrt(999), bias=True)
    assert signed.hessian(x).norm().value == pytest.approx(wanted, rel=1e-12)
    frozen = am.mlp(3, [999], activation, bias=True, trainable_readout=False)
    wanted = naive_norm(frozen, x, activation, np.sqrt(999), bias=True, trainable_readout=False)
    assert frozen.hessian(x).norm().value == pytest.approx(wanted, rel=1e-12)
    assert (wanted > 0.0) == (activation == "tanh")


def test_mean_field_scale():
    x = np.array([1.3, -0.4, 0.9])
    net = am.mlp(3, [1000], "tanh", parametrization="mean-field")
    assert net.hessian(x).norm().value == pytest.approx(naive_norm(net, x, "tanh", 1000.0), rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"bias": True}, {"trainable_readout": False}, {"n_outputs": 2}], ids=str)
@pytest.mark.parametrize("activation", ["tanh", "relu", "identity", "quadratic"])
def test_all_eigenpairs_of_a_small_network(activation, options):
    net, x = am.mlp(3, [6], activation, seed=1, **options), np.array([0.3, 1.0, -2.0])
    H = net.hessian(x)
    assert one_hidden_layer.applies_to(H.node_space.program, H.node_space.curvature)
    n = net.n_parameters
    matrix = H @ np.eye(n)
    truth = naive.eigenvalues(matrix)
    found = H.eigenvalues(k=n).value
    assert contracts.error(np.sort(found), np.sort(truth)) < 1e-12
    vectors = H.eigenvectors(k=n)
    real = np.abs(found) > 1e-12
    assert real.any() != (activation in ("identity", "relu") and not options.get("trainable_readout", True))
    np.testing.assert_allclose(vectors[real] @ vectors[real].T, np.eye(real.sum()), atol=1e-12)
    np.testing.assert_allclose(vectors[real] @ matrix, found[real, None] * vectors[real], atol=1e-12)
    np.testing.assert_array_equal(vectors[~real], 0.0)


@pytest.mark.parametrize(
    ("network", "applies"),
    [
        (lambda: am.mlp(2, [3]), True),
        (lambda: am.mlp(2, [3], n_outputs=2), True),
        (lambda: am.mlp(2, [3, 3]), False),
        (lambda: am.mlp(2, [3], output_activation="tanh"), False),
        (lambda: am.committee(lambda seed: am.mlp(2, [3], seed=seed), 2), False),
        (lambda: am.from_neurons(["x"], {"a": ("tanh", ["x"]), "b": ("identity", ["a", "x"])}), True),
        (lambda: am.from_neurons(["x"], {"a": ("tanh", ["x"]), "b": ("sin", ["a", "x"])}), False),
    ],
)
def test_applies_to_one_hidden_layer_with_linear_outputs_only(network, applies):
    net = network()
    space = net.hessian(np.ones(net.n_inputs)).node_space
    assert one_hidden_layer.applies_to(space.program, space.curvature) == applies


def test_a_direct_edge_from_the_input_changes_nothing():
    with_skip = am.from_neurons(["x"], {"a": ("tanh", {"x": 0.8}), "f": ("identity", {"a": 1.5, "x": 0.7})})
    H = with_skip.hessian([1.2])
    assert contracts.error(np.sort(H.eigenvalues(3).value), np.linalg.eigvalsh(H @ np.eye(3))) < 1e-13
