"""Softmax outputs: probabilities, and derivatives that keep their digits where one of them is close to 1."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

import assembly as am
import contracts
from assembly.calculus.response import softmax, softmax_bend, softmax_slope
from assembly.errors import GraphError


def networks(widths=(6, 5), n_outputs=3, **options):
    """Return a network with and one without the softmax, of the same parameters."""
    build = {"n_inputs": 4, "widths": widths, "n_outputs": n_outputs, "seed": 2, **options}
    return am.mlp(**build, output_activation="softmax"), am.mlp(**build)


@pytest.mark.parametrize("bias", [True, False])
def test_outputs_are_the_softmax_of_the_linear_ones(bias):
    net, linear = networks(bias=bias)
    X = np.random.default_rng(0).normal(size=(5, 4))
    raised = np.exp(linear(X))
    np.testing.assert_allclose(net(X), raised / raised.sum(axis=1, keepdims=True), rtol=1e-14)
    np.testing.assert_array_equal(net.parameters, linear.parameters)


@pytest.mark.parametrize("output", [0, 1, 2])
def test_hessian_is_the_chain_rule_through_the_linear_outputs(output):
    """H = sum_jk d2S/dz_j dz_k grad z_j grad z_k^T + sum_j dS/dz_j H_j, with S written out."""
    net, linear = networks()
    x = np.random.default_rng(1).normal(size=4)
    p, eye, n = net(x), np.eye(3), np.eye(net.n_parameters)
    J = np.array([linear.gradient(x, k) for k in range(3)])
    first = p[output] * (eye[output] - p)
    second = p[output] * (np.outer(eye[output] - p, eye[output] - p) - np.diag(p) + np.outer(p, p))
    wanted = J.T @ second @ J + sum(first[j] * (linear.hessian(x, j) @ n) for j in range(3))
    assert contracts.error(net.gradient(x, output), first @ J) < 1e-14
    assert contracts.error(net.hessian(x, output) @ n, wanted) < 1e-14


def test_probabilities_add_up_to_one_and_their_derivatives_to_nothing():
    net, _ = networks()
    x = np.random.default_rng(2).normal(size=4)
    v = np.random.default_rng(3).normal(size=net.n_parameters)
    gradients = np.array([net.gradient(x, k) for k in range(3)])
    curved = np.array([net.hessian(x, k) @ v for k in range(3)])
    assert net(x).sum() == pytest.approx(1.0, rel=1e-15)
    assert np.abs(gradients.sum(axis=0)).max() < 1e-15 * np.abs(gradients).max()
    assert np.abs(curved.sum(axis=0)).max() < 1e-14 * np.abs(curved).max()
    kernel = net.tangent_kernel([x])[0, 0]
    assert np.abs(kernel.sum(axis=0)).max() < 1e-14 * np.abs(kernel).max()


def test_two_outputs_are_the_sigmoid_of_their_difference():
    net, _ = networks(n_outputs=2)
    x = np.random.default_rng(4).normal(size=4)
    logits = am.mlp(4, [6, 5], seed=2, n_outputs=2).layers[-1].neurons
    difference = am.Assembly([logits[0], logits[1]], [1.0, -1.0], scale=1.0)
    z, g, H = difference(x), difference.gradient(x), difference.hessian(x) @ np.eye(net.n_parameters)
    s = 1.0 / (1.0 + np.exp(-z))
    wanted = s * (1.0 - s) * ((1.0 - 2.0 * s) * np.outer(g, g) + H)
    assert net(x)[0] == pytest.approx(s, rel=1e-14)
    assert contracts.error(net.hessian(x) @ np.eye(net.n_parameters), wanted) < 1e-14


def exact(z, abar, z_dot):
    """Softmax p, J abar, and its derivative along z_dot with 60 digits, from sums over all pairs."""
    with localcontext() as context:
        context.prec = 60
        z, abar, z_dot = ([Decimal(float(entry)) for entry in row] for row in (z, abar, z_dot))
        raised = [entry.exp() for entry in z]
        p = [entry / sum(raised) for entry in raised]
        n = range(len(p))

        def slope(v):
            return [p[i] * sum(p[j] * (v[i] - v[j]) for j in n) for i in n]

        p_dot = slope(z_dot)
        bend = [sum((p_dot[i] * p[j] + p[i] * p_dot[j]) * (abar[i] - abar[j]) for j in n) for i in n]
        return tuple(np.array([float(entry) for entry in row]) for row in (p, slope(abar), bend))


@pytest.mark.parametrize("gap", [0.0, 5.0, 20.0, 40.0, 300.0])
def test_every_entry_keeps_its_digits_however_close_to_one_a_probability_is(gap):
    rng = np.random.default_rng(5)
    for output in range(4):
        z, z_dot, abar = rng.normal(size=4), rng.normal(size=4), np.eye(4)[output]
        z[1] += gap
        p, slope, bend = exact(z, abar, z_dot)
        found = softmax(z)
        np.testing.assert_allclose(found, p, rtol=1e-13)  # exp turns the rounding of 300 into 5e-14
        np.testing.assert_allclose(softmax_slope(found, abar), slope, rtol=2e-13)
        assert contracts.error(softmax_bend(found, abar, z_dot), bend) < 5e-13


def test_rows_of_a_matrix_are_answered_one_by_one():
    rng = np.random.default_rng(6)
    P, V, W = softmax(rng.normal(size=(5, 3))), *rng.normal(size=(2, 5, 3))
    for i in range(5):
        np.testing.assert_array_equal(softmax_slope(P, V)[i], softmax_slope(P[i], V[i]))
        np.testing.assert_array_equal(softmax_slope(P[0], V)[i], softmax_slope(P[0], V[i]))
        np.testing.assert_array_equal(softmax_bend(P, V, W)[i], softmax_bend(P[i], V[i], W[i]))


def test_large_pre_activations_do_not_overflow():
    net, linear = networks()
    moved = net.with_parameters(1e4 * net.parameters)
    x = np.random.default_rng(7).normal(size=4)
    winner = np.argmax(linear.with_parameters(1e4 * net.parameters)(x))
    np.testing.assert_array_equal(moved(x), np.eye(3)[winner])
    assert np.isfinite(moved.gradient(x, int(winner))).all()


def test_a_sample_sees_its_batch_in_rounding_only():
    net, _ = networks()
    X = np.random.default_rng(8).normal(size=(300, 4))
    np.testing.assert_allclose(net(X)[[7, 290]], [net(X[7]), net(X[290])], rtol=1e-13)


def test_one_probability_as_a_sub_model_needs_all_weights_its_pre_activation_only_its_own():
    net, linear = networks()
    x = np.random.default_rng(9).normal(size=4)
    neuron = net.layers[-1].neurons[1]
    assert neuron.activation == "softmax"
    assert neuron.n_parameters == net.n_parameters
    assert neuron.pre.n_parameters == net.n_parameters - 2 * 5
    assert neuron.value(x) == net(x)[1]
    assert neuron.pre.value(x) == linear(x)[1]


def test_a_probability_and_a_pre_activation_of_one_softmax_are_no_parts_of_one_assembly():
    net, _ = networks()
    outputs = net.layers[-1].neurons
    with pytest.raises(GraphError, match="pre-activation of one softmax output cannot be a part beside"):
        am.Assembly([outputs[0], outputs[1].pre], [1.0, 1.0])


def test_probabilities_of_two_networks_stay_apart():
    one, other = (networks(seed=seed)[0].layers[-1].neurons[0] for seed in (0, 1))
    x = np.random.default_rng(10).normal(size=4)
    both = am.Assembly([one, other], [1.0, 1.0], scale=1.0)
    assert both(x) == pytest.approx(one(x) + other(x), rel=1e-14)
    many = am.committee(lambda seed: am.Assembly([networks(seed=seed)[0].layers[-1].neurons[0]], [1.0]), 3)
    parts = [part.value(x) for part in many.parts]
    assert many(x) == pytest.approx(many.coefficients @ parts / np.sqrt(3.0), rel=1e-14)
    assert all(0.0 < part < 1.0 for part in parts)
