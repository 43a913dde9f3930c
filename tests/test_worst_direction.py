"""Norms of derivative tensors: where they are known, and what a lower bound must be."""

from functools import cache
from math import factorial

import numpy as np
import pytest
from scipy import optimize

import assembly as am
import cases
import naive
import own_cases
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.calculus.taylor import Taylor
from assembly.calculus.worst_direction import _Ascent, loudest_neurons
from assembly.errors import ArgumentError, ConvergenceWarning, GraphError, NonFiniteError, ShapeError

everywhere = pytest.mark.parametrize("case", cases.CASES, ids=str)


def product(n):
    """f = w_1 w_2 ... w_n."""
    net = am.mlp(1, [1] * (n - 1), "identity", seed=0)
    return net.with_parameters(np.linspace(0.5, 1.5, n))


@everywhere
def test_first_orders_are_gradient_and_hessian(case):
    net, x = case.assembly(), case.x()
    first, second = (net.derivative_norm(x, order, case.output, tol=1e-6) for order in (1, 2))
    gradient, H = net.gradient(x, case.output), net.hessian(x, case.output)
    np.testing.assert_allclose(first.value, np.linalg.norm(gradient), rtol=1e-12)
    np.testing.assert_allclose(second.value, H.norm(tol=1e-6).value, rtol=1e-9, atol=1e-14)
    assert first.converged
    assert second.converged
    np.testing.assert_allclose(first.direction * first.value, gradient, atol=1e-12 * first.value)
    moved = H @ second.direction
    size = abs(second.direction @ moved)
    assert np.linalg.norm(moved - second.direction * (second.direction @ moved)) <= 2e-6 * size


@everywhere
@pytest.mark.parametrize("order", [3, 4])
def test_the_direction_attains_the_value(case, order):
    net, x = case.assembly(), case.x()
    found = net.derivative_norm(x, order, case.output)
    if found.value == 0.0:
        assert not found.direction.any()
        assert found.converged
        return
    np.testing.assert_allclose(np.linalg.norm(found.direction), 1.0, rtol=1e-12)
    coefficients = naive.taylor(case.network(), case.w, x, found.direction, case.output, radius=0.1)
    size = factorial(order) * np.abs(coefficients).max() / 0.1**order
    np.testing.assert_allclose(found.value, factorial(order) * abs(coefficients[order]), rtol=1e-9, atol=1e-14 * size)
    random = np.random.default_rng(0).normal(size=(10, net.n_parameters))
    for v in random / np.linalg.norm(random, axis=1, keepdims=True):
        assert factorial(order) * abs(net.taylor(x, v, order, case.output)[order]) <= found.value


@pytest.mark.parametrize("name", ["tanh-3", "softmax", "cnn-1d", "sparse-with-skips", "tied-layers", "gelu-bias"])
@pytest.mark.parametrize("order", [3, 5])
def test_no_small_turn_of_the_direction_gains(name, order):
    """The value is stationary: a turn by an angle changes it by the residual times the angle, and then downwards."""
    case = cases.BY_NAME[name]
    net, x = case.assembly(), case.x()
    found = net.derivative_norm(x, order, case.output, tol=1e-6, max_steps=1000)
    assert found.converged
    assert found.residual <= 1e-6
    series = Taylor(net.evaluate(x), 0, found.direction, order - 1)
    g = factorial(order - 1) * series.gradient(case.output)
    apart = np.linalg.norm(g - (g @ found.direction) * found.direction)
    np.testing.assert_allclose(found.residual, apart / found.value, rtol=1e-6)
    rng = np.random.default_rng(1)
    for _ in range(20):
        u = rng.normal(size=net.n_parameters)
        u -= (u @ found.direction) * found.direction
        u *= 1e-3 / np.linalg.norm(u)
        turned = (found.direction + u) / np.linalg.norm(found.direction + u)
        value = factorial(order) * abs(net.taylor(x, turned, order, case.output)[order])
        assert value <= found.value * (1.0 + 1e-8)
        assert value >= found.value * (1.0 - 1e-3)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_a_product_of_parameters(n):
    """D^n f[V, ..., V] = n! v_1 ... v_n, at most n! n^(-n/2); above order n there is nothing."""
    found = product(n).derivative_norm([1.0], n, tol=1e-8, max_steps=1000)
    assert found.converged
    np.testing.assert_allclose(found.value, factorial(n) * n ** (-0.5 * n), rtol=1e-12)
    np.testing.assert_allclose(np.abs(found.direction), n**-0.5, rtol=1e-7)
    if n < 6:
        nothing = product(n).derivative_norm([1.0], n + 1)
        assert (nothing.value, nothing.residual, nothing.converged) == (0.0, 0.0, True)
        assert not nothing.direction.any()


def test_nothing_to_turn():
    """An assembly of an input has no parameters."""
    nothing = am.Assembly([am.mlp(2, [3], seed=0).layers[0].neurons[0]], [2.0])
    np.testing.assert_array_equal(nothing.taylor([1.0, 2.0], [], 3), [2.0, 0.0, 0.0, 0.0])
    assert all(nothing.derivative_norm([1.0, 2.0], order).value == 0.0 for order in (1, 2, 3))


def test_one_hidden_layer_of_squares():
    """D^3 f[V, V, V] = 6/sqrt(m) sum_i nu_i (mu_i . x)^2 / d: at most 4/sqrt(3) |x|^2 / (d sqrt(m)), on one neuron."""
    x, m = np.array([1.0, -0.5, 2.0]), 7
    found = am.mlp(3, [m], "quadratic", seed=0).derivative_norm(x, 3, tol=1e-8)
    np.testing.assert_allclose(found.value, 4.0 / np.sqrt(3.0) * (x @ x) / 3.0 / np.sqrt(m), rtol=1e-12)


@pytest.mark.parametrize("order", [3, 4, 5, 6])
def test_two_parameters_by_brute_force(order):
    """All directions of a circle."""
    case = cases.BY_NAME["smallest"]
    angles = np.linspace(0.0, np.pi, 20001)
    v = np.array([np.cos(angles), np.sin(angles)])
    t = 0.4 * np.exp(2j * np.pi * np.arange(32) / 32)
    network = case.network()
    values = naive.forward(network, case.w[:, None, None] + v[:, :, None] * t, case.x())[1][network.outputs[0]]
    wanted = factorial(order) * np.abs(np.mean(values * np.exp(-2j * np.pi * order * np.arange(32) / 32), axis=1))
    found = case.assembly().derivative_norm(case.x(), order, tol=1e-8, max_steps=1000)
    np.testing.assert_allclose(found.value, wanted.max() / 0.4**order, rtol=1e-7)


@pytest.mark.parametrize("name", ["quadratic", "tanh-1", "softmax-1"])
def test_third_order_by_brute_force(name):
    """The whole tensor, from the coefficients of its cubic form, and ascents of scipy from 200 places."""
    case = cases.BY_NAME[name]
    net, x = case.assembly(), case.x()
    n = net.n_parameters
    units = np.eye(n)

    @cache
    def cubic(*places):
        return 6.0 * net.taylor(x, units[list(places)].sum(axis=0), 3, case.output)[3]

    tensor = np.zeros((n, n, n))
    for i, j, k in np.ndindex(n, n, n):
        if i <= j <= k:
            both = cubic(i, j, k) - cubic(i, j) - cubic(i, k) - cubic(j, k) + cubic(i) + cubic(j) + cubic(k)
            for place in {(i, j, k), (i, k, j), (j, i, k), (j, k, i), (k, i, j), (k, j, i)}:
                tensor[place] = both / 6.0

    tensor /= (size := np.abs(tensor).max())

    def below(v):
        unit = v / np.linalg.norm(v)
        slope = tensor @ unit @ unit
        return -unit @ slope, -3.0 * (slope - (unit @ slope) * unit) / np.linalg.norm(v)

    rng = np.random.default_rng(0)
    best = max(-optimize.minimize(below, rng.normal(size=n), jac=True, method="BFGS").fun for _ in range(200))
    found = net.derivative_norm(x, 3, case.output, tol=1e-7, max_steps=1000)
    np.testing.assert_allclose(found.value, size * best, rtol=1e-7)


def hidden_layer_norm(net, x, order):
    """One hidden layer of tanh: the loudest neuron alone, over all angles between its in-weights and its out-weight."""
    m = net.layers[1].size
    u, v = net.parameters[:-m].reshape(m, -1), net.parameters[-m:]
    size, t = np.linalg.norm(x) / np.sqrt(len(x)), np.polynomial.Polynomial([0.0, 1.0])
    derivatives = [t]
    for _ in range(order):
        derivatives.append(derivatives[-1].deriv() * (1.0 - t * t))
    at = np.tanh(u @ x / np.sqrt(len(x)))
    along = v * derivatives[order](at) * size**order
    mixed = order * derivatives[order - 1](at) * size ** (order - 1)
    angles = np.linspace(0.0, np.pi, 40001)[:, None]
    loudest = np.argsort(-np.hypot(along, mixed))[:20]
    values = along[loudest] * np.cos(angles) ** order
    values = values + mixed[loudest] * np.sin(angles) * np.cos(angles) ** (order - 1)
    return np.abs(values).max() / np.sqrt(m)


@pytest.mark.parametrize("order", [3, 4, 5, 6])
@pytest.mark.parametrize("m", [4, 256])
def test_one_hidden_layer_in_closed_form(order, m):
    net, x = am.mlp(5, [m], "tanh", seed=2), np.array([1.0, -1.0, 0.5, 0.2, 2.0])
    found = net.derivative_norm(x, order, tol=1e-6, max_steps=1000)
    np.testing.assert_allclose(found.value, hidden_layer_norm(net, x, order), rtol=1e-6)


@pytest.mark.parametrize("order", [1, 3, 4, 5, 6])
def test_the_loudest_neuron_is_the_best_start(order):
    """Under one hidden layer it is the answer but for the grid of angles; for order 1 one neuron alone is less."""
    net, x = am.mlp(5, [64], "tanh", seed=2), np.array([1.0, -1.0, 0.5, 0.2, 2.0])
    evaluation = net.evaluate(x)
    starts = list(loudest_neurons(NodeSpaceHessian(evaluation, 0, 0), evaluation.pre[0], order, 3))
    values = [factorial(order) * abs(net.taylor(x, v / np.linalg.norm(v), order)[order]) for v in starts]
    np.testing.assert_allclose([np.linalg.norm(v) for v in starts], 1.0, rtol=1e-12)
    np.testing.assert_allclose(values[0], hidden_layer_norm(net, x, order), rtol=1e-3)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("name", ["tanh-3", "softmax", "gelu-bias", "sparse-with-skips"])
@pytest.mark.parametrize("order", [3, 4])
def test_a_climb_from_anywhere_ends_higher(name, order):
    """With the shift, without which steps from some of these starts fail for ever."""
    case = cases.BY_NAME[name]
    ascent = _Ascent(case.assembly().evaluate(case.x()), case.output, order)
    for start in np.random.default_rng(0).normal(size=(12, case.assembly().n_parameters)):
        first = ascent.at(start)
        last = ascent.climb(first, 1e-4, 400)
        assert last.residual <= 1e-4
        assert abs(last.value) > abs(first.value)


def exponent(widths, values):
    """The slope of the medians over seeds."""
    return np.polyfit(np.log(widths), np.log(np.median(values, axis=1)), 1)[0]


@pytest.mark.parametrize("order", [3, 5])
def test_exponents_in_width(order):
    """One hidden layer: -1/2 at every order in the worst direction, and -(k - 1)/2 along the gradient.

    The worst direction is one neuron; the gradient is shared by all, whose terms have one sign at odd orders. Sign
    readout, without which the largest of m weights brings in a logarithm.

    Over 500 sets of seeds the exponents scatter by 0.0003 at most in the worst direction and by 0.026 along the
    gradient: beyond the bands, 6 times that and more, in fewer than one of 10^8.
    """
    widths, x = [64, 128, 256, 512, 1024], np.array([1.0, -0.5, 0.3, 1.2])
    worst, along = [], []
    for m in widths:
        nets = [am.mlp(4, [m], "tanh", readout="sign", seed=seed) for seed in range(5)]
        worst.append([net.derivative_norm(x, order).value for net in nets])
        gradients = [net.gradient(x) for net in nets]
        units = [gradient / np.linalg.norm(gradient) for gradient in gradients]
        along.append([abs(net.taylor(x, unit, order)[order]) for net, unit in zip(nets, units, strict=True)])
    assert abs(exponent(widths, worst) + 0.5) < 0.02
    assert abs(exponent(widths, along) + 0.5 * (order - 1)) < 0.15


def test_the_same_seed_gives_the_same_answer():
    case = cases.BY_NAME["tanh-3"]
    found, again = (case.assembly().derivative_norm(case.x(), 4, seed=3) for _ in range(2))
    assert (found.value, found.n_steps) == (again.value, again.n_steps)
    np.testing.assert_array_equal(found.direction, again.direction)


def test_too_few_steps_are_told():
    case = cases.BY_NAME["softmax"]
    found = case.assembly().derivative_norm(case.x(), 4, case.output, max_steps=1, tol=1e-9)
    assert not found.converged
    assert found.residual > 1e-9
    with pytest.warns(ConvergenceWarning):
        float(found)


def test_float32():
    case = cases.FLOAT32[0]
    found = case.assembly().derivative_norm(case.x(), 3)
    assert found.direction.dtype == np.float32
    program, weights = case.assembly()._body.program, case.w
    assert program.dtype == np.float32
    double = case.assembly().graph, weights
    wanted = am.Assembly.from_graph(*double).derivative_norm(case.x().astype(float), 3)
    np.testing.assert_allclose(found.value, wanted.value, rtol=1e-4)


def test_derivatives_out_of_range_are_refused():
    """sin(w x) with x = 10^7: its sixth derivative is near 10^42."""
    net = am.mlp(1, [1], "sin", seed=0, dtype="float32")
    assert net.derivative_norm([1e7], 5, tol=1e-3).value > 1e34
    with pytest.raises(NonFiniteError, match=r"order 6, or its square, overflows float32"):
        net.derivative_norm([1e7], 6)


@pytest.mark.parametrize("case", own_cases.OWN, ids=str)
def test_sub_models_of_your_own_give_two_orders(case):
    net, x = am.committee(case.part(), 2, seed=0), np.ones(case.n_inputs)
    np.testing.assert_allclose(net.derivative_norm(x, 1).value, np.linalg.norm(net.gradient(x)), rtol=1e-12)
    np.testing.assert_allclose(net.derivative_norm(x, 2).value, net.hessian(x).norm().value, rtol=1e-7, atol=1e-14)
    with pytest.raises(GraphError, match="sub-model of your own, which gives two"):
        net.derivative_norm(x, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"order": 0}, ArgumentError, "The 'order' argument must be an int from 1 to 6. Got 0."),
        ({"order": 7}, ArgumentError, "The 'order' argument must be an int from 1 to 6. Got 7."),
        ({"tol": 0.0}, ArgumentError, "'tol' argument"),
        ({"max_steps": 0}, ArgumentError, "'max_steps' argument"),
        ({"seed": -1}, ArgumentError, "'seed' argument"),
        ({"output": 2}, ArgumentError, "'output' argument"),
        ({"x": [1.0]}, ShapeError, "'x' argument"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        am.mlp(2, [3], seed=0).derivative_norm(**{"x": [1.0, 2.0], "order": 3, **arguments})
