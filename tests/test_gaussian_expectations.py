"""Expectations over normal pairs: closed forms and Hermite series against integrals over the plane by brute force."""

from __future__ import annotations

import numpy as np
import pytest

import limit_recursions as naive
from assembly.activations import NAMES
from assembly.limits import hermite_series
from assembly.limits.closed_forms import CLOSED_FORMS
from assembly.limits.expectations import expectations

every_function = pytest.mark.parametrize("name", NAMES)
of_series = pytest.mark.parametrize("name", [name for name in NAMES if name not in CLOSED_FORMS])
ONE, TWO = np.array([0]), np.array([1])
VARIANCES = [(1.0, 1.0), (0.3, 0.9), (1.2, 0.05)]
CORRELATIONS = [-1.0, -0.999, -0.6, 0.0, 0.2, 0.9, 0.9999, 1.0]


def of_pair(name, a, b, c):
    return expectations(name, np.array([a, b]), ONE, TWO, np.array([c]))


@every_function
@pytest.mark.parametrize(("a", "b"), VARIANCES)
@pytest.mark.parametrize("rho", CORRELATIONS)
def test_agree_with_integrals_over_the_plane(name, a, b, rho):
    c = rho * np.sqrt(a * b)
    found = of_pair(name, a, b, c)
    scales = [np.sqrt(naive.expected(name, k, a, a, a) * naive.expected(name, k, b, b, b)) for k in (0, 1)]
    # the rule of 160 nodes is good to 1e-11 for the slopes of tanh; relu near 1 and -1 keeps half its digits
    tolerance = 3e-8 if name == "relu" and abs(rho) > 0.99 else 1e-10
    assert abs(found.product[0] - naive.expected(name, 0, a, b, c)) < 1e-11 * scales[0]
    assert abs(found.slopes[0] - naive.expected(name, 1, a, b, c)) < tolerance * scales[1]
    np.testing.assert_allclose(found.mean, [naive.mean(name, a), naive.mean(name, b)], rtol=1e-11, atol=1e-14)
    assert found.error < 1e-12


@every_function
def test_the_slopes_are_the_derivative_of_the_product_in_the_covariance(name):
    a, b, c, step = 0.8, 1.1, 0.35, 1e-5
    up, down = of_pair(name, a, b, c + step), of_pair(name, a, b, c - step)
    derivative = (up.product[0] - down.product[0]) / (2.0 * step)
    np.testing.assert_allclose(of_pair(name, a, b, c).slopes[0], derivative, rtol=1e-8)


@every_function
def test_a_variable_and_itself_or_its_negative(name):
    nodes, weights = naive._rule()
    a = 0.7
    u = np.sqrt(a) * nodes
    for sign in (1.0, -1.0):
        found = of_pair(name, a, a, sign * a)
        assert np.isfinite(found.product[0])
        assert np.isfinite(found.slopes[0])
        if name == "relu":
            wanted = (0.5 * a, 0.5) if sign > 0.0 else (0.0, 0.0)
            np.testing.assert_allclose((found.product[0], found.slopes[0]), wanted, rtol=1e-15, atol=1e-16)
        else:
            function, slope = naive.FUNCTIONS[name]
            np.testing.assert_allclose(found.product[0], weights @ (function(u) * function(sign * u)), rtol=1e-12)
            np.testing.assert_allclose(found.slopes[0], weights @ (slope(u) * slope(sign * u)), rtol=1e-10)


@every_function
def test_rounding_beyond_the_largest_covariance_is_taken_back(name):
    a, b = 0.3, 1.7
    largest = np.sqrt(a * b)
    exact, beyond = of_pair(name, a, b, largest), of_pair(name, a, b, largest * (1.0 + 1e-15))
    within = of_pair(name, a, b, largest * (1.0 - 1e-15))
    for found in (beyond, within):
        np.testing.assert_allclose(found.product, exact.product, rtol=1e-14)
        np.testing.assert_allclose(found.slopes, exact.slopes, rtol=1e-14)


@every_function
def test_a_variable_that_is_always_zero(name):
    at_zero = [0.0, 0.0] if name == "relu" else [float(f(np.zeros(1))[0]) for f in naive.FUNCTIONS[name]]
    other = [naive.mean(name, 0.9), 0.5]
    if name != "relu":
        nodes, weights = naive._rule()
        other[1] = weights @ naive.FUNCTIONS[name][1](np.sqrt(0.9) * nodes)
    found = of_pair(name, 0.0, 0.9, 0.0)
    np.testing.assert_allclose(found.product[0], at_zero[0] * other[0], rtol=1e-11, atol=1e-15)
    np.testing.assert_allclose(found.slopes[0], at_zero[1] * other[1], rtol=1e-11, atol=1e-15)
    both = of_pair(name, 0.0, 0.0, 0.0)
    np.testing.assert_allclose((both.product[0], both.slopes[0]), np.square(at_zero), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("name", ["identity", "tanh", "erf", "sin"])
def test_small_variances_keep_their_digits(name):
    slope = 2.0 / np.sqrt(np.pi) if name == "erf" else 1.0
    for size in (1e-30, 1e-200):
        found = of_pair(name, 4.0 * size, size, -0.6 * size)
        np.testing.assert_allclose(found.product[0], -0.6 * size * slope**2, rtol=1e-12)
        np.testing.assert_allclose(found.slopes[0], slope**2, rtol=1e-12)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_waves_of_large_variance_do_not_overflow(name):
    found = of_pair(name, 2000.0, 2000.0, 1999.0)
    np.testing.assert_allclose((found.product[0], found.slopes[0]), 0.5 * np.exp(-1.0), rtol=1e-10)


def plane(name, derivative, a, b, rho, n):
    """The integral over the plane by sums over a grid of 2 n + 1 points a side."""
    grid = np.linspace(-9.0, 9.0, 2 * n + 1)
    weight = np.exp(-0.5 * grid**2) / np.sqrt(2.0 * np.pi) * (grid[1] - grid[0])
    s = naive.FUNCTIONS[name][derivative]
    u = np.sqrt(a) * grid
    return sum(
        w * value * (s(np.sqrt(b) * (rho * g + np.sqrt(1.0 - rho**2) * grid)) @ weight)
        for g, w, value in zip(grid, weight, s(u), strict=True)
    )


@of_series
def test_large_variances_take_more_terms(name):
    found = of_pair(name, 64.0, 25.0, 0.8 * 40.0)
    np.testing.assert_allclose(found.product[0], plane(name, 0, 64.0, 25.0, 0.8, 1500), rtol=1e-12)
    np.testing.assert_allclose(found.slopes[0], plane(name, 1, 64.0, 25.0, 0.8, 1500), rtol=1e-12)
    assert found.error < 1e-12


@of_series
@pytest.mark.parametrize("rho", [0.3, 0.99])
def test_the_error_of_a_series_cut_short_is_bounded(name, rho, monkeypatch):
    a, b = 9.0, 4.0
    exact = of_pair(name, a, b, rho * 6.0)
    squares = [expectations(name, np.array([v]), ONE, ONE, np.array([v])) for v in (a, b)]
    monkeypatch.setattr(hermite_series, "ORDERS", (6,))
    found = of_pair(name, a, b, rho * 6.0)
    missed = [
        abs(found.product[0] - exact.product[0]) / np.sqrt(squares[0].product[0] * squares[1].product[0]),
        abs(found.slopes[0] - exact.slopes[0]) / np.sqrt(squares[0].slopes[0] * squares[1].slopes[0]),
    ]
    assert max(missed) <= found.error * (1.0 + 1e-9)
    assert found.error < rho**6
    assert max(missed) > 1e-9 or rho < 0.5


@of_series
def test_a_coarse_grid_is_refined_and_otherwise_owned_up(name, monkeypatch):
    a, c = 400.0, 300.0
    exact = of_pair(name, a, a, c)
    assert exact.error < 1e-8
    monkeypatch.setattr(hermite_series, "STEPS", (1.0,))
    monkeypatch.setattr(hermite_series, "_resolution", lambda name, variance: (1.0, 4))
    found = of_pair(name, a, a, c)
    assert found.error > abs(found.product[0] / exact.product[0] - 1.0)


@of_series
def test_pairs_and_variances_in_parts_are_those_at_once(name, monkeypatch):
    rng = np.random.default_rng(1)
    variance = rng.uniform(0.2, 1.5, size=9)
    left, right = rng.integers(9, size=(2, 50))
    covariance = rng.uniform(-1.0, 1.0, size=50) * np.sqrt(variance[left] * variance[right])
    covariance[:5] = np.sqrt(variance[left[:5]] * variance[right[:5]])
    whole = expectations(name, variance, left, right, covariance)
    monkeypatch.setattr(hermite_series, "PAIRS", 7)
    monkeypatch.setattr(hermite_series, "NUMBERS", 1000)
    parts = expectations(name, variance, left, right, covariance)
    for field in ("mean", "product", "slopes"):
        np.testing.assert_allclose(getattr(parts, field), getattr(whole, field), rtol=1e-13, atol=1e-15)


def test_many_pairs_at_once_are_those_one_by_one():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(12, 3))
    covariance = factors @ factors.T
    left, right = rng.integers(12, size=(2, 40))
    for name in NAMES:
        found = expectations(name, np.diag(covariance), left, right, covariance[left, right])
        for k in range(40):
            i, j = left[k], right[k]
            alone = of_pair(name, covariance[i, i], covariance[j, j], covariance[i, j])
            np.testing.assert_allclose(found.product[k], alone.product[0], rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(found.slopes[k], alone.slopes[0], rtol=1e-10, atol=1e-12)
