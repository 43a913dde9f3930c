"""Lazy networks: alpha (g(w) - g(w0)) and its derivatives, against those of g."""

import numpy as np
import pytest

import assembly as am
from assembly.architectures.committees import drawn_parts
from assembly.errors import ArgumentError, GraphError
from own_cases import square_gradient, square_product, square_value

X = np.random.default_rng(0).normal(size=(3, 5))
SQUARE = am.submodel(square_value, square_gradient, square_product, n_inputs=2, n_parameters=2)
SHAPES = {
    "mlp": lambda seed: am.mlp(5, [7, 6], bias=True, seed=seed),
    "resnet": lambda seed: am.resnet(5, 6, 1, seed=seed),
    "dag": lambda seed: am.random_dag(5, 2, 6, 3, seed=seed),
    "fixed readout": lambda seed: am.mlp(5, [7], trainable_readout=False, dtype="float32", seed=seed),
}


@pytest.mark.parametrize("name", SHAPES)
def test_all_derivatives_are_alpha_times_those_of_g(name):
    alpha, (g,) = 3.5, drawn_parts(SHAPES[name], 1, 4)
    net = am.lazy(SHAPES[name], alpha, seed=4)
    inputs, tol = X.astype(g.dtype), {"rtol": 1e-4, "atol": 1e-5} if g.dtype == np.float32 else {"rtol": 1e-11}
    assert net.parameters.tobytes() == g.parameters.tobytes()
    np.testing.assert_allclose(net(inputs), 0.0, atol=1e-6 if g.dtype == np.float32 else 1e-14)
    w = g.parameters + np.random.default_rng(1).normal(size=g.n_parameters).astype(g.dtype)
    v = np.linspace(-1.0, 1.0, g.n_parameters).astype(g.dtype)
    moved, g_moved = net.with_parameters(w), g.with_parameters(w)
    np.testing.assert_allclose(moved(inputs), alpha * (g_moved(inputs) - g(inputs)), **tol)
    np.testing.assert_allclose(moved.gradient(inputs[0]), alpha * g_moved.gradient(inputs[0]), **tol)
    np.testing.assert_allclose(moved.hessian(inputs[0]) @ v, alpha * (g_moved.hessian(inputs[0]) @ v), **tol)
    np.testing.assert_allclose(net.tangent_kernel(inputs), alpha**2 * g.tangent_kernel(inputs), **tol)
    assert name == "fixed readout" or net.width == g.width


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.inf, "big"])
def test_alpha_must_be_a_number_above_0(alpha):
    with pytest.raises(ArgumentError, match="'alpha' argument"):
        am.lazy(SHAPES["mlp"], alpha)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (lambda seed: am.mlp(2, [3], output_activation="tanh", seed=seed), "a linear output that feeds no neuron"),
        (lambda seed: am.mlp(2, [3], n_outputs=2, seed=seed), "one output"),
        (lambda seed: am.committee(SQUARE, 2, seed=seed), "weights of their own"),
        (lambda seed: am.cnn((5,), [3, 4], 3, seed=seed), "weights of their own"),
        (lambda seed: am.tied(lambda one: am.mlp(5, [3], seed=one), 4, 2, seed=seed), "weights of their own"),
    ],
)
def test_parts_that_have_no_lazy_form_are_refused(part, words):
    with pytest.raises(GraphError, match=words):
        am.lazy(part, 2.0)
