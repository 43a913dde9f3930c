"""Neighbouring claims that have an exact answer: kernel and rich regimes, the catapult, the convex part of the loss."""

from functools import cache

import numpy as np
import pytest
from scipy.optimize import linprog

import assembly as am
from assembly.dynamics.catapult import catapult_limit
from assembly.dynamics.loss_hessian import along_gradient
from assembly.dynamics.losses import LOSSES
from assembly.errors import GraphError
from own_cases import square_gradient, square_product, square_value

RNG = np.random.default_rng(5)


# --- claim 19: the loss Hessian --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_both_parts_are_those_of_dense_matrices(name, n_outputs):
    net, X = am.mlp(3, [6, 5], n_outputs=n_outputs, output_activation="sin", seed=0), RNG.normal(size=(4, 3))
    y, loss = np.sign(RNG.normal(size=(4, n_outputs))), LOSSES[name]
    J = np.array([[net.gradient(x, k) for k in range(n_outputs)] for x in X])
    H = np.array([[net.hessian(x, k) @ np.eye(net.n_parameters) for k in range(n_outputs)] for x in X])
    u = np.asarray(net(X)).reshape(4, n_outputs)
    slope = u - y if name == "squared" else -y / (1.0 + np.exp(y * u))
    bend = np.ones_like(u) if name == "squared" else 1.0 / (2.0 + np.exp(u) + np.exp(-u))
    g = np.einsum("ik,ikp->p", slope, J)
    g /= np.linalg.norm(g)
    found = along_gradient(net.evaluate(X), y, loss)
    np.testing.assert_allclose(found.gauss_newton, np.sum(bend * (J @ g) ** 2), rtol=1e-10)
    np.testing.assert_allclose(found.rest, g @ np.einsum("ik,ikpq->pq", slope, H) @ g, rtol=1e-9)


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e20), ("float64", 1e110)])
def test_large_residuals_do_not_overflow(dtype, size):
    net, x = am.mlp(2, [6], "tanh", seed=0, dtype=dtype), np.array([[1.0, 2.0]])
    unit = along_gradient(net.evaluate(x), net.evaluate(x).outputs - 1.0, LOSSES["squared"])
    large = along_gradient(net.evaluate(x), net.evaluate(x).outputs - net.dtype.type(size), LOSSES["squared"])
    np.testing.assert_allclose(large.gauss_newton, unit.gauss_newton, rtol=1e-5)
    np.testing.assert_allclose(large.rest, size * unit.rest, rtol=1e-4)


def test_a_loss_without_gradient_has_no_curvature_along_it():
    net, x = am.mlp(2, [3], seed=0), np.array([[1.0, 2.0]])
    found = along_gradient(net.evaluate(x), net.evaluate(x).outputs.copy(), LOSSES["squared"])
    assert np.isnan(found.gauss_newton)
    assert np.isnan(found.rest)


# --- claim 26: the catapult ------------------------------------------------------------------------------------------


def quadratic_by_hand(net, x, y, eta, n_steps):
    """Return the losses of gradient descent on f + g.dw + dw.H.dw / 2 with dense matrices."""
    f, g, H = float(net(x)), net.gradient(x), net.hessian(x) @ np.eye(net.n_parameters)
    dw, losses = np.zeros(net.n_parameters), []
    for _ in range(n_steps):
        u = f + g @ dw + 0.5 * dw @ H @ dw
        losses.append(0.5 * (u - y) ** 2)
        if losses[-1] > 1e8 * losses[0]:
            break
        dw = dw - eta * (u - y) * (g + H @ dw)
    return np.array(losses)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_limit_is_where_gradient_descent_on_dense_matrices_stops_to_fit(activation):
    net, x = am.mlp(4, [40], activation, seed=1), np.array([1.0, -1.0, 0.5, 1.0])
    limit, lambda_0 = catapult_limit(net.evaluate(x), net.parameters, np.array([[1.0]])), np.sum(net.gradient(x) ** 2)
    assert 2.0 < limit < 8.0
    for share, fits in ((0.98, True), (1.02, False)):
        losses = quadratic_by_hand(net, x, 1.0, share * limit / lambda_0, 300)
        assert (losses.min() <= 0.01 * losses[0]) == fits, share
    losses = quadratic_by_hand(net, x, 1.0, 0.9 * limit / lambda_0, 300)
    assert losses.max() > losses[0] > 100.0 * losses.min()  # it rises, and falls after all


def test_a_wide_layer_of_relu_survives_up_to_four():
    net, x = am.mlp(4, [4096], "relu", seed=0), np.array([1.0, -1.0, 0.5, 1.0])
    limit = catapult_limit(net.evaluate(x), net.parameters, np.array([[1.0]]))
    np.testing.assert_allclose(limit, 4.0, atol=0.05)


def test_a_model_linear_in_its_parameters_survives_up_to_two():
    net, x = am.mlp(4, [1], "identity", trainable_readout=False, seed=0), np.array([1.0, -1.0, 0.5, 1.0])
    np.testing.assert_allclose(catapult_limit(net.evaluate(x), net.parameters, np.array([[1.0]])), 2.0, atol=0.05)


def test_what_has_no_catapult():
    fitted = am.mlp(2, [3], seed=0)
    assert np.isnan(catapult_limit(fitted.evaluate([1.0, 1.0]), fitted.parameters, fitted.evaluate([1.0, 1.0]).outputs))
    dead = am.mlp(2, [3], "relu", seed=0).with_parameters(np.zeros(9))
    with pytest.warns(am.errors.KinkWarning):
        assert np.isnan(catapult_limit(dead.evaluate([1.0, 1.0]), dead.parameters, np.array([[1.0]])))
    part = am.submodel(square_value, square_gradient, square_product, n_inputs=2, n_parameters=2)(seed=0)
    with pytest.raises(GraphError, match="sub-models of your own"):
        catapult_limit(part.evaluate([1.0, 1.0]), part.parameters, np.array([[1.0]]))


# --- claim 20: kernel and rich regimes -------------------------------------------------------------------------------

D = 8


def beta(w):
    return w[:D] ** 2 - w[D:] ** 2


def diagonal_network():
    """Return f(x) = beta . x with beta = w_+^2 - w_-^2, a sub-model written by hand."""
    signs = np.repeat([1.0, -1.0], D)

    def value(w, x):
        return float(beta(w) @ x)

    def gradient(w, x):
        return 2.0 * signs * w * np.tile(x, 2)

    def product(w, x, v):
        return 2.0 * signs * v * np.tile(x, 2)

    return am.submodel(value, gradient, product, n_inputs=D, n_parameters=2 * D)(seed=0)


SPARSE = np.array([1.0, -0.5] + [0.0] * (D - 2))
FEW = np.random.default_rng(1).normal(size=(4, D))
SPAN = {0.01: 250.0, 0.3: 50.0, 1.0: 12.0, 10.0: 0.1}  # of time, after which it fits


@cache
def where_the_flow_ends(alpha):
    """Return beta after gradient flow from all weights at alpha, to four values of a sparse beta."""
    net = diagonal_network().with_parameters(np.full(2 * D, alpha))
    options = {"method": "gradient_flow", "step_size": SPAN[alpha], "n_steps": 1, "rtol": 1e-11}
    return beta(am.train(net, FEW, FEW @ SPARSE, record=(), beside=(), **options).parameters)


@pytest.mark.parametrize("alpha", SPAN)
def test_gradient_flow_minimises_the_potential_of_its_initial_scale(alpha):
    """At the minimum of sum q(beta_i / alpha^2) that fits, its gradient is a combination of the inputs.

    q(z) = 2 - sqrt(4 + z^2) + z asinh(z / 2), so q'(z) = asinh(z / 2) (arXiv 2002.09277).
    """
    found = where_the_flow_ends(alpha)
    np.testing.assert_allclose(FEW @ found, FEW @ SPARSE, atol=1e-6)
    slopes = np.arcsinh(found / (2.0 * alpha**2))
    multipliers = np.linalg.lstsq(FEW.T, slopes, rcond=None)[0]
    np.testing.assert_allclose(FEW.T @ multipliers, slopes, atol=1e-5 * np.abs(slopes).max())


def test_large_scales_give_the_shortest_fit_and_small_ones_the_sparsest():
    shortest = np.linalg.pinv(FEW) @ (FEW @ SPARSE)
    np.testing.assert_allclose(where_the_flow_ends(10.0), shortest, atol=1e-3)
    sides = np.concatenate([FEW, -FEW], axis=1)
    least = linprog(np.ones(2 * D), A_eq=sides, b_eq=FEW @ SPARSE).fun  # of the l1 norm
    assert least < np.abs(where_the_flow_ends(0.01)).sum() < 1.02 * least < 0.9 * np.abs(shortest).sum()
