"""Taylor coefficients along a direction and the series of the gradient, beside Cauchy's formula, JAX and fractions."""

from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import special

import assembly as am
import cases
import naive
import own_cases
import strategies
from assembly.calculus.jet import Jet
from assembly.calculus.taylor import Taylor
from assembly.errors import ArgumentError, GraphError, KinkWarning, NonFiniteError, ShapeError
from assembly.kernels import activation, series

ORDERS = np.arange(7)
everywhere = pytest.mark.parametrize("case", cases.CASES, ids=str)


def direction(net, salt=0):
    v = np.random.default_rng([salt, net.n_parameters]).normal(size=net.n_parameters)
    return v / np.linalg.norm(v)


def radius(case):
    """A circle on which no ReLU changes its sign."""
    return 0.1 if any(kind == "relu" for kind, _ in case.network().neurons.values()) else 0.5


def gradients(net, x, v, output=0, order=5):
    """Every coefficient of the gradient at w + t v."""
    evaluation = net.evaluate(x)
    return np.array([Taylor(evaluation, 0, v, k).gradient(output) for k in range(order + 1)])


@everywhere
def test_matches_cauchys_formula(case):
    net, v = case.assembly(), direction(case.assembly())
    found = net.taylor(case.x(), v, 6, case.output)
    wanted = naive.taylor(case.network(), case.w, case.x(), v, case.output, radius=radius(case))
    tolerance = 1e-14 * np.abs(wanted).max() / radius(case) ** ORDERS
    assert np.all(np.abs(found - wanted) <= tolerance), (found - wanted) / tolerance


@everywhere
def test_gradients_match_cauchys_formula(case):
    net, v = case.assembly(), direction(case.assembly())
    wanted = naive.taylor_gradient(case.network(), case.w, case.x(), v, case.output, radius=0.6 * radius(case))
    found = gradients(net, case.x(), v, case.output)
    tolerance = 1e-13 * np.abs(wanted).max() / (0.6 * radius(case)) ** ORDERS[:6]
    assert np.all(np.abs(found - wanted) <= tolerance[:, None]), np.abs(found - wanted).max(axis=1) / tolerance


@everywhere
def test_the_third_derivative_is_that_of_the_jet(case):
    net, v = case.assembly(), direction(case.assembly())
    evaluation = net.evaluate(case.x())
    found, wanted = (one.gradient(case.output) for one in (Taylor(evaluation, 0, v, 2), Jet(evaluation, 0, v)))
    np.testing.assert_allclose(2.0 * found, wanted, rtol=1e-10, atol=1e-14 * np.abs(wanted).max())


@everywhere
def test_matches_jax(case):
    import jax_oracle  # skips the test, with its reason, where JAX is not installed

    net, v = case.assembly(), direction(case.assembly(), 1) * 2.0
    wanted = jax_oracle.taylor(case.network(), case.w, case.x(), v, case.output)
    found = net.taylor(case.x(), v, 6, case.output)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13 * np.abs(wanted).max())


@pytest.mark.parametrize("name", ["tanh-3", "gelu-bias", "softmax", "tied-layers", "cnn-2d-pool", "sparse-with-skips"])
def test_the_check_can_fail(name):
    """A direction moved a little in one entry has other coefficients."""
    case = cases.BY_NAME[name]
    v = direction(case.assembly())
    wanted = naive.taylor(case.network(), case.w, case.x(), v, case.output)
    v[np.argmax(np.abs(case.assembly().gradient(case.x(), case.output)))] += 1e-7
    found = case.assembly().taylor(case.x(), v, 6, case.output)
    assert np.any(np.abs(found - wanted) > 1e-14 * np.abs(wanted).max() / radius(case) ** ORDERS)


class Polynomial:
    """In t, with rational coefficients: floats are taken at their exact values."""

    def __init__(self, coefficients):
        self.coefficients = [Fraction(c) for c in coefficients]

    def __add__(self, other):
        ours, theirs = self.coefficients, as_polynomial(other).coefficients
        n = max(len(ours), len(theirs))
        ours, theirs = (c + [Fraction(0)] * (n - len(c)) for c in (ours, theirs))
        return Polynomial(a + b for a, b in zip(ours, theirs, strict=True))

    def __mul__(self, other):
        theirs = as_polynomial(other).coefficients
        product = [Fraction(0)] * (len(self.coefficients) + len(theirs) - 1)
        for i, a in enumerate(self.coefficients):
            for j, b in enumerate(theirs):
                product[i + j] += a * b
        return Polynomial(product)

    __radd__, __rmul__ = __add__, __mul__


def as_polynomial(value):
    return value if isinstance(value, Polynomial) else Polynomial([value])


@pytest.mark.parametrize("name", ["quadratic", "linear-3"])
def test_polynomial_networks_match_rational_arithmetic(name):
    case = cases.BY_NAME[name]
    net, v = case.assembly(), direction(case.assembly()) * 3.0
    line = [Polynomial([a, b]) for a, b in zip(case.w, v, strict=True)]
    exact = naive.forward(case.network(), line, [float(value) for value in case.x()])[1][case.network().outputs[0]]
    wanted = np.array([float(c) for c in (exact.coefficients + [Fraction(0)] * 7)[:7]])
    np.testing.assert_allclose(net.taylor(case.x(), v, 6), wanted, rtol=1e-12, atol=1e-15 * np.abs(wanted).max())


@everywhere
def test_first_orders_are_value_gradient_and_hessian(case):
    net, v, x = case.assembly(), direction(case.assembly()), case.x()
    found = net.taylor(x, v, 2, case.output)
    assert found[0] == np.atleast_1d(net(x))[case.output]
    np.testing.assert_allclose(found[1], net.gradient(x, case.output) @ v, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(found[2], 0.5 * v @ (net.hessian(x, case.output) @ v), rtol=1e-11, atol=1e-14)


@everywhere
def test_an_order_does_not_depend_on_what_is_kept(case):
    net, v, x = case.assembly(), direction(case.assembly()), case.x()
    whole = net.taylor(x, v, 6, case.output)
    for order in range(6):
        shorter = net.taylor(x, v, order, case.output)
        assert shorter.shape == (order + 1,)
        np.testing.assert_allclose(shorter, whole[: order + 1], rtol=1e-12, atol=1e-15 * np.abs(whole).max())


@everywhere
def test_a_direction_twice_as_long(case):
    """Powers of two round nothing: order k grows by 2^k to the last bit."""
    net, v, x = case.assembly(), direction(case.assembly()), case.x()
    found = net.taylor(x, 2.0 * v, 6, case.output)
    np.testing.assert_array_equal(found, 2.0**ORDERS * net.taylor(x, v, 6, case.output))
    np.testing.assert_array_equal(
        net.taylor(x, -v, 6, case.output), (-1.0) ** ORDERS * net.taylor(x, v, 6, case.output)
    )


@pytest.mark.parametrize("name", ["linear-3", "relu-1", "relu-2"])
def test_layers_of_linear_pieces_have_no_order_above_their_number(name):
    case = cases.BY_NAME[name]
    net, v = case.assembly(), direction(case.assembly())
    n_layers = len(net.layers) - 1
    found = net.taylor(case.x(), v, 6)
    assert np.all(found[n_layers + 1 :] == 0.0)
    assert abs(found[n_layers]) > 1e-8
    assert not Taylor(net.evaluate(case.x()), 0, v, n_layers).gradient(0).any()


def test_the_order_of_neurons_does_not_matter():
    net = am.mlp(3, [6, 5], "gelu", seed=1)
    rng = np.random.default_rng(0)
    first, second = rng.permutation(6), rng.permutation(5)

    def permuted(w):
        a, b, c = w[:18].reshape(6, 3), w[18:48].reshape(5, 6), w[48:]
        return np.concatenate([a[first].ravel(), b[second][:, first].ravel(), c[second]])

    x, v = [1.0, -0.3, 0.5], direction(net)
    found = net.with_parameters(permuted(net.parameters)).taylor(x, permuted(v), 6)
    np.testing.assert_allclose(found, net.taylor(x, v, 6), rtol=1e-11)


@given(graph=strategies.shared_graphs(), seed=st.integers(0, 99))
@strategies.QUICK
def test_on_any_graph_and_every_output(graph, seed):
    inputs, neurons, outputs = graph
    net, network = am.from_neurons(inputs, neurons, outputs), naive.from_neurons(inputs, neurons, outputs)[0]
    assume(net.n_parameters > 0)
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=len(inputs)), rng.normal(size=net.n_parameters)
    v /= np.linalg.norm(v)
    for output in range(len(outputs)):
        found = net.taylor(x, v, 6, output)
        wanted = naive.taylor(network, net.parameters, x, v, output, radius=0.2)
        size = max(1.0, np.abs(wanted).max())
        assert np.all(np.abs(found - wanted) <= 1e-14 * size * 5.0**ORDERS)
        slopes = gradients(net, x, v, output) @ v
        np.testing.assert_allclose(slopes, ORDERS[1:] * found[1:], rtol=1e-10, atol=1e-12 * size)


@given(arguments=strategies.mlps(), seed=st.integers(0, 99))
@strategies.QUICK
def test_the_gradient_along_another_direction_is_a_mixed_derivative(arguments, seed):
    """f_{k+1}(v + s u) is a polynomial in s, and its slope at 0 is the coefficient k of the gradient along u."""
    net = cases.mlp("any", **arguments).assembly()
    rng = np.random.default_rng(seed)
    x = rng.normal(size=net.n_inputs)
    v, u = rng.normal(size=(2, net.n_parameters)) / np.sqrt(net.n_parameters)
    nodes = np.cos(np.pi * (np.arange(7) + 0.5) / 7)
    values = np.array([net.taylor(x, v + s * u, 6) for s in nodes])
    slopes = np.linalg.solve(np.vander(nodes, increasing=True), values)[1, 1:]
    found = gradients(net, x, v) @ u
    np.testing.assert_allclose(found, slopes, rtol=1e-9, atol=1e-11 * max(1.0, np.abs(values).max()))


@pytest.mark.parametrize("name", ["tanh-3", "softmax", "cnn-1d", "densenet"])
def test_the_series_predicts_the_series_nearby(name):
    """f(w + (h + t) v) has the coefficients sum_j C(j, k) f_j h^(j - k)."""
    case = cases.BY_NAME[name]
    net, v, h = case.assembly(), direction(case.assembly()), 1e-3
    f = net.taylor(case.x(), v, 6, case.output)
    wanted = [sum(comb(j, k) * f[j] * h ** (j - k) for j in range(k, 7)) for k in range(4)]
    moved = net.with_parameters(net.parameters + h * v).taylor(case.x(), v, 3, case.output)
    np.testing.assert_allclose(moved, wanted, rtol=0.0, atol=1e-11 * np.abs(f).max())


@pytest.mark.parametrize("case", cases.FLOAT32, ids=str)
def test_float32(case):
    net = case.assembly()
    v = direction(net).astype(np.float32)
    found = net.taylor(case.x(), v, 6, case.output)
    assert found.dtype == np.float32
    x = case.x().astype(float)
    wanted = naive.taylor(case.network(), case.w, x, v.astype(float), case.output, radius=radius(case))
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
    slopes = gradients(net, case.x(), v, case.output)
    assert slopes.dtype == np.float32
    np.testing.assert_allclose(slopes @ v, ORDERS[1:] * wanted[1:], atol=1e-4 * np.abs(wanted).max())


# Activation functions: where they saturate, and where they do not


@pytest.mark.parametrize("name", activation.NAMES)
def test_activation_functions_along_a_curve(name):
    """sigma(z(t)) and sigma'(z(t)) of a curve z(t) with all orders, by Cauchy's formula on sigma."""
    start, radius = np.array([-2.1, -0.9, -0.3, 0.2, 0.7, 1.4, 2.2]), 0.4
    coefficients = np.random.default_rng(0).normal(size=(6, 7)) * 0.4 ** np.arange(6)[:, None]
    pre = np.concatenate([start[None], coefficients])
    t = radius * np.exp(2j * np.pi * np.arange(64) / 64)
    curve = sum(c[:, None] * t**k for k, c in enumerate(pre))
    tilted = naive.ACTIVATION[name](curve[:, :, None] + 0.05 * np.exp(2j * np.pi * np.arange(16) / 16))
    around = np.mean(tilted / (0.05 * np.exp(2j * np.pi * np.arange(16) / 16)), axis=2)
    wanted = [
        (np.real(np.fft.fft(values) / 64)[:, :7] / radius**ORDERS).T
        for values in (naive.ACTIVATION[name](curve), around)
    ]
    post, slope = composed(name, pre)
    np.testing.assert_allclose(post[1:], wanted[0][1:], atol=2e-12)
    np.testing.assert_allclose(slope[1:], wanted[1][1:], atol=1e-11)


def composed(name, pre):
    """Orders 1 and up of sigma and sigma' of power series, the columns of `pre`; order 0 stays 0."""
    codes = np.full(pre.shape[1], activation.code_of(name))
    post, slope = np.zeros(pre.shape), np.zeros(pre.shape)
    series.activate(codes, pre, post, slope, np.full((5, len(pre)), np.nan), 0, pre.shape[1])
    return post, slope


def logistic(y):
    """The Taylor coefficients 0..7 of the logistic function far from 0: of e^y - e^2y + e^3y - ..., or of 1 less it."""
    n, k = np.arange(1, 30), np.arange(8)
    rates = n if y < 0.0 else -n
    terms = (-1.0) ** (n + 1) * np.exp(rates * y) * rates ** k[:, None]
    below = terms.sum(axis=1) / [factorial(i) for i in k]
    return below if y < 0.0 else np.eye(8)[0] - below


def normal(y):
    """The Taylor coefficients 0..7 of the normal distribution function, by Hermite polynomials."""
    density = np.exp(-0.5 * y * y) / np.sqrt(2.0 * np.pi)
    hermite = [(-1.0) ** k * np.polynomial.hermite_e.hermeval(y, np.eye(7)[k]) for k in range(7)]
    return np.array([special.ndtr(y), *(density * h / factorial(k + 1) for k, h in enumerate(hermite))])


def times_y(y, coefficients):
    return y * coefficients + np.append(0.0, coefficients[:-1])


SATURATED = {
    "sigmoid": logistic,
    "tanh": lambda y: 2.0 * 2.0 ** np.arange(8) * logistic(2.0 * y),
    "softplus": lambda y: np.append(0.0, logistic(y)[:-1] / np.arange(1, 8)),
    "swish": lambda y: times_y(y, logistic(y)),
    "erf": lambda y: 2.0 * np.sqrt(2.0) ** np.arange(8) * normal(np.sqrt(2.0) * y),
    "gelu": lambda y: times_y(y, normal(y)),
}


@pytest.mark.parametrize("name", SATURATED)
@pytest.mark.parametrize("size", [4.3, 9.1, 15.7, 23.9])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_saturated_functions_keep_their_digits(name, size, side):
    """Every order to a relative error, though the value itself may be 1 to rounding."""
    wanted = SATURATED[name](side * size)
    line = np.zeros((7, 1))
    line[:2, 0] = side * size, 1.0
    post, slope = composed(name, line)
    np.testing.assert_allclose(post[1:, 0], wanted[1:7], rtol=2e-12)
    np.testing.assert_allclose(slope[1:, 0], np.arange(2, 8) * wanted[2:], rtol=2e-12)


@pytest.mark.parametrize("name", activation.NAMES)
@pytest.mark.parametrize("z", [-800.0, -40.0, 40.0, 700.0])
def test_far_out_everything_is_finite(name, z):
    line = np.zeros((7, 1))
    line[:2, 0] = z, 1e-3
    assert np.isfinite(composed(name, line)).all()


def test_near_certainty_a_softmax_keeps_its_digits():
    """The small probability is e^y / (1 + e^y) at y = -28 - t, and the large one the rest."""
    net = am.mlp(n_inputs=1, widths=[1], activation="identity", n_outputs=2, output_activation="softmax", seed=0)
    net = net.with_parameters([1.0, 28.0, 0.0])
    v = np.array([0.0, 1.0, 0.0])
    wanted = (logistic(-28.0) * (-1.0) ** np.arange(8))[:7]
    np.testing.assert_allclose(net.taylor([1.0], v, 6, 1), wanted, rtol=1e-13)
    np.testing.assert_allclose(net.taylor([1.0], v, 6, 0)[1:], -wanted[1:], rtol=1e-13)
    for output, sign in ((0, -1.0), (1, 1.0)):
        slopes = gradients(net, np.ones(1), v, output) @ v
        np.testing.assert_allclose(slopes, sign * ORDERS[1:] * wanted[1:], rtol=1e-13)


# What is refused


@pytest.mark.parametrize("case", own_cases.OWN, ids=str)
def test_sub_models_of_your_own_give_two_orders(case):
    net, x = am.committee(case.part(), 2, seed=0), np.ones(case.n_inputs)
    v = direction(net)
    found = net.taylor(x, v, 2)
    np.testing.assert_allclose(found[1], net.gradient(x) @ v, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(found[2], 0.5 * v @ (net.hessian(x) @ v), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(gradients(net, x, v, order=1)[0], net.gradient(x), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(gradients(net, x, v, order=1)[1], net.hessian(x) @ v, rtol=1e-11, atol=1e-13)
    with pytest.raises(GraphError, match=r"Order 3 .* sub-model of your own, which gives two"):
        net.taylor(x, v, 3)
    with pytest.raises(GraphError, match=r"Order 3 .* sub-model of your own, which gives two"):
        Taylor(net.evaluate(x), 0, v, 2).gradient(0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"order": 7}, ArgumentError, "The 'order' argument must be an int from 0 to 6. Got 7."),
        ({"order": -1}, ArgumentError, "The 'order' argument must be an int from 0 to 6. Got -1."),
        ({"order": 2.0}, ArgumentError, "'order' argument"),
        ({"order": True}, ArgumentError, "'order' argument"),
        ({"direction": np.ones(3)}, ShapeError, r"The 'direction' argument must have shape \(9,\)"),
        ({"direction": np.full(9, np.nan)}, NonFiniteError, "The 'direction' argument must be finite"),
        ({"direction": "up"}, ArgumentError, "'direction' argument"),
        ({"output": 1}, ArgumentError, "'output' argument"),
        ({"x": np.ones((1, 2))}, ShapeError, "'x' argument"),
        ({"direction": np.full(9, 1e80)}, NonFiniteError, "order 6 or below overflows float64: scale the direction"),
    ],
)
def test_refusals(arguments, error, message):
    net = am.mlp(2, [3], "exp", seed=0)
    with pytest.raises(error, match=message):
        net.taylor(**{"x": [1.0, 2.0], "direction": np.ones(9), "order": 6, **arguments})


def test_a_kink_is_told():
    net = am.mlp(2, [3], "relu", seed=0)
    with pytest.warns(KinkWarning) as caught:
        net.taylor([0.0, 0.0], np.ones(9), 2)
    assert caught[0].filename == __file__
    assert net.taylor([0.0, 0.0], np.ones(9), 0)[0] == 0.0
