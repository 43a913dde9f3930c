import re

import numpy as np
import pytest

import naive
from assembly import activations
from assembly.errors import NonFiniteError, UnknownNameError

SMOOTH = [name for name in activations.NAMES if name != "relu"]
POINTS = np.concatenate([np.linspace(-6.0, 6.0, 61), [0.0, 1e-9, -1e-9]])


def by_cauchy(name, z, order):
    """Derivative of an analytic function from its values on a circle: exact to rounding, no formula of ours."""
    radius, n = 0.5, 64
    unit = np.exp(2j * np.pi * np.arange(n) / n)
    values = naive.ACTIVATION[name](z[:, None] + radius * unit)
    return np.real(np.mean(values * unit**-order, axis=1)) * [1.0, 1.0, 2.0, 6.0][order] / radius**order


@pytest.mark.parametrize("name", SMOOTH)
def test_value_and_three_derivatives_agree_with_cauchy_integrals(name):
    jets = activations.get(name).jet(POINTS)
    for order, jet in enumerate(jets):
        truth = by_cauchy(name, POINTS, order)
        assert np.abs(jet - truth).max() < 1e-12 * max(1.0, np.abs(truth).max()), order


@pytest.mark.parametrize("name", SMOOTH)
def test_value_and_slope_are_accurate_relative_to_themselves(name):
    """By an imaginary step, so that tails are checked too: the absolute test above would pass zeros there."""
    z = np.linspace(-5.0, 5.0, 201) + 0.0123
    truth = naive.ACTIVATION[name](z + 1e-30j)
    np.testing.assert_allclose(activations.get(name).value(z), truth.real, rtol=2e-12)
    np.testing.assert_allclose(activations.get(name).first(z), truth.imag / 1e-30, rtol=2e-12, atol=1e-300)


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="long double is double here")
def test_tanh_and_its_slope_to_a_few_units_in_the_last_place():
    """Also where 1 - tanh^2 would be rounding alone, and on both sides of where the formula changes."""
    rng = np.random.default_rng(0)
    beside = np.nextafter(0.625, [0.0, 1.0])
    z = np.concatenate(
        [rng.normal(size=20_000), np.geomspace(1e-300, 349.0, 5000), beside, np.linspace(0.5, 0.7, 5000)]
    )
    exact = z.astype(np.longdouble)
    for sign in (1.0, -1.0):
        value, first, *_ = activations.get("tanh").jet(sign * z)
        assert np.abs(value / (sign * np.tanh(exact)) - 1.0).max() < 4 * 2.0**-53
        assert np.abs(first * np.cosh(exact) ** 2 - 1.0).max() < 6 * 2.0**-53


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_each_method_returns_its_own_derivative(name):
    activation = activations.get("gelu")
    order = ["value", "first", "second", "third"].index(name)
    np.testing.assert_array_equal(getattr(activation, name)(POINTS), activation.jet(POINTS)[order])
    assert float(getattr(activation, name)(0.3)) == activation.jet([0.3])[order, 0]


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", activations.NAMES)
def test_suprema_are_never_exceeded_and_attained(name, order):
    activation = activations.get(name)
    bound = (activation.sup_first, activation.sup_second, activation.sup_third)[order - 1]
    found = np.abs(activation.jet(np.linspace(-50.0, 50.0, 2_000_001))[order]).max()
    if name == "relu" and order > 1:
        assert np.isnan(bound)
        return
    if name == "quadratic" and order == 1:
        assert bound == np.inf
        assert found == 100.0
        return
    if name == "exp":
        assert bound == np.inf
        assert found == np.exp(50.0)
        return
    assert bound - 1e-6 <= found <= bound


def test_table_of_the_documentation_holds_the_suprema_of_the_code():
    lines = activations.__doc__.splitlines()
    rulers = [i for i, line in enumerate(lines) if line.startswith("====")]
    columns = [slice(*match.span()) for match in re.finditer("=+", lines[rulers[0]])]
    checked = []
    for line in lines[rulers[1] + 1 : rulers[2]]:
        names, _, *cells = [line[column].strip() for column in columns]
        for name in names.split(", "):
            activation = activations.get(name)
            bounds = (activation.sup_first, activation.sup_second, activation.sup_third)
            shown = [float(cell.replace("none", "nan").replace("infinite", "infinity")) for cell in cells]
            np.testing.assert_allclose(shown, bounds, rtol=0.0, atol=1.01e-8)
            checked.append(name)
    assert sorted(checked) == sorted(activations.NAMES)


LIMITS = {  # at -1000 and 1000: value, sigma', sigma'', sigma'''
    "identity": ([-1000, 1, 0, 0], [1000, 1, 0, 0]),
    "tanh": ([-1, 0, 0, 0], [1, 0, 0, 0]),
    "erf": ([-1, 0, 0, 0], [1, 0, 0, 0]),
    "sigmoid": ([0, 0, 0, 0], [1, 0, 0, 0]),
    "softplus": ([0, 0, 0, 0], [1000, 1, 0, 0]),
    "gelu": ([0, 0, 0, 0], [1000, 1, 0, 0]),
    "swish": ([0, 0, 0, 0], [1000, 1, 0, 0]),
    "relu": ([0, 0, 0, 0], [1000, 1, 0, 0]),
    "quadratic": ([1e6, -2000, 2, 0], [1e6, 2000, 2, 0]),
    "exp": ([0, 0, 0, 0], [np.inf, np.inf, np.inf, np.inf]),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_far_out(name):
    with np.errstate(all="raise", under="ignore"):
        found = activations.get(name).jet([-1000.0, 1000.0])
    np.testing.assert_allclose(found.T, LIMITS[name], atol=1e-300)


@pytest.mark.parametrize("name", activations.NAMES)
@pytest.mark.parametrize("z", [400.0, 1e3, 1e8, 1e150])
def test_no_overflow_becomes_nan(name, z):
    if name == "exp":  # nothing but infinity would be true
        np.testing.assert_array_equal(activations.get(name).jet([-z, 1e3 * z]), [[np.exp(-z), np.inf]] * 4)
        return
    assert np.isfinite(activations.get(name).jet([-z, z])).all()


def test_relu_at_its_kink_and_beside_it():
    np.testing.assert_array_equal(
        activations.get("relu").jet([-2.0, -0.0, 0.0, 3.0]),
        [[0, 0, 0, 3], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]],
    )


def test_keeps_the_shape_of_its_argument():
    z = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(activations.get("quadratic").first(z), 2.0 * z)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match=r"must be one of identity, tanh.*Got 'tahn'\. Did you mean 'tanh'\?"):
        activations.get("tahn")


def test_nan_is_refused_with_its_place():
    with pytest.raises(NonFiniteError, match=r"'z' argument must be finite\. Got nan at index 1\."):
        activations.get("tanh").value([0.0, np.nan])
