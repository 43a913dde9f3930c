import warnings

import numpy as np
import pytest

import assembly as am
from assembly import checks
from assembly.errors import (
    ArgumentError,
    AssemblyError,
    ConvergenceWarning,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from assembly.estimate import Estimate
from assembly.seeds import generator


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda net: net([1.0, np.nan]), NonFiniteError, r"The 'X' argument must be finite\. Got nan at index 1\."),
        (lambda net: net([[1.0, 2.0], [np.inf, 0.0]]), NonFiniteError, r"Got inf at index \(1, 0\)\."),
        (
            lambda net: net.gradient([np.nan, 0.0]),
            NonFiniteError,
            r"The 'x' argument must be finite\. Got nan at index 0\.",
        ),
        (lambda net: net.hessian([-np.inf, 0.0]), NonFiniteError, r"Got -inf at index"),
        (
            lambda net: net([1.0, 2.0, 3.0]),
            ShapeError,
            r"The 'X' argument must have shape \(2,\) or \(n, 2\)\. Got shape \(3,\)\.",
        ),
        (lambda net: net(1.0), ShapeError, r"must have shape \(2,\) or \(n, 2\)\. Got shape \(\)\."),
        (lambda net: net(np.zeros((1, 1, 2))), ShapeError, r"Got shape \(1, 1, 2\)"),
        (lambda net: net.gradient(np.zeros((1, 2))), ShapeError, r"'x' argument must be one sample of shape \(2,\)"),
        (
            lambda net: net.with_parameters(np.zeros((3, 3))),
            ShapeError,
            r"'w' argument must have shape \(9,\)\. Got shape \(3, 3\)",
        ),
        (
            lambda net: net.with_parameters([np.nan] * 9),
            NonFiniteError,
            r"'w' argument must be finite\. Got nan at index 0",
        ),
        (lambda net: net("text"), ArgumentError, r"'X' argument must be an array of real numbers\. Got str"),
        (
            lambda net: net([[1.0, 2.0], [3.0]]),
            ArgumentError,
            r"'X' argument must be an array of real numbers\. Got list",
        ),
        (lambda net: net([1.0 + 1j, 2.0]), ArgumentError, r"'X' argument must be an array of real numbers"),
        (lambda net: net(np.array([1.0 + 1j, 2.0])), ArgumentError, r"real numbers\. Got one of complex128\."),
        (lambda net: net([None, 2.0]), ArgumentError, r"'X' argument must be an array of real numbers"),
        (
            lambda net: net.gradient([1.0, 2.0], output=1),
            ArgumentError,
            r"'output' argument must be below n_outputs = 1\. Got 1",
        ),
        (
            lambda net: net.gradient([1.0, 2.0], output=-1),
            ArgumentError,
            r"'output' argument must be an int of at least 0\. Got -1",
        ),
        (lambda net: net.layers[1].gram([1.0]), ShapeError, r"'x' argument must have shape \(2,\)"),
        (lambda net: net.layers[1].neurons[0].value([1.0]), ShapeError, r"'X' argument must have shape \(2,\)"),
    ],
)
def test_every_mistake_has_one_clear_line(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call(am.mlp(2, [3], seed=0))
    assert isinstance(caught.value, AssemblyError)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_numbers_that_overflow_single_precision_are_refused():
    net = am.mlp(2, [3], dtype="float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(NonFiniteError, match=r"Got inf at index 1\."):
            net([1.0, 1e300])


def test_names():
    assert checks.check_name("readout", "sign", ("gaussian", "sign")) == "sign"
    with pytest.raises(UnknownNameError, match=r"^The 'readout' argument must be one of gaussian, sign\. Got 3\.$"):
        checks.check_name("readout", 3, ("gaussian", "sign"))
    assert checks.suggest("tnah", ("tanh", "erf")) == " Did you mean 'tanh'?"
    assert checks.suggest("zzz", ("tanh", "erf")) == ""


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "3", None, np.float64(2.0)])
def test_what_is_no_count(value):
    with pytest.raises(ArgumentError, match=r"The 'n' argument must be an int of at least 1\. Got "):
        checks.check_count("n", value)


def test_counts():
    assert checks.check_count("n", np.int32(4)) == 4
    assert type(checks.check_count("n", np.int32(4))) is int
    assert checks.check_count("n", 0, minimum=0) == 0
    assert checks.check_counts("widths", np.array([3, 4])) == (3, 4)
    for wrong in ("34", [], {3, 4}, None):
        with pytest.raises(ArgumentError, match="non-empty sequence of ints"):
            checks.check_counts("widths", wrong)


@pytest.mark.parametrize(
    ("value", "limits", "message"),
    [
        (np.nan, {}, "a finite number. Got nan"),
        (np.inf, {"above": 0.0}, "a finite number above 0. Got inf"),
        (0.0, {"above": 0.0}, "a finite number above 0. Got 0.0"),
        (-0.1, {"at_least": 0.0}, "a finite number of at least 0. Got -0.1"),
        (True, {}, "a finite number. Got True"),
        ("1", {}, "a finite number. Got '1'"),
        (None, {}, "a finite number. Got None"),
    ],
)
def test_what_is_no_number(value, limits, message):
    with pytest.raises(ArgumentError, match=f"^The 'tol' argument must be {message}"):
        checks.check_number("tol", value, **limits)


def test_numbers():
    assert checks.check_number("tol", np.float32(0.5), above=0.0) == 0.5
    assert checks.check_number("tol", 0, at_least=0.0) == 0.0
    assert checks.check_dtype("float32") == np.float32
    for wrong in (int, "float16", object, "nonsense"):
        with pytest.raises(ArgumentError, match="'dtype' argument must be float64 or float32"):
            checks.check_dtype(wrong)


def test_integers_and_booleans_are_numbers_too():
    net = am.mlp(2, [3], seed=0)
    assert net([1, 0]) == net([True, False]) == net([1.0, 0.0])
    assert net(np.array([1, 0], dtype=np.uint8)) == net([1.0, 0.0])


def test_an_estimate_of_several_numbers_is_no_number():
    for net in (am.mlp(3, [4], seed=0), am.mlp(3, [4, 4], seed=0)):
        with pytest.raises(ShapeError, match=r"estimate of shape \(2,\) is no single number: take one of its \.value"):
            float(net.hessian_norms(np.eye(3)[:2]))


def test_an_estimate_is_its_value_and_warns_unless_converged():
    good = Estimate(0.25, 1e-9, True, 12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(good) == 0.25
        np.testing.assert_array_equal(np.asarray(Estimate(np.array([2.0, 1.0]), np.zeros(2), True, 3)), [2.0, 1.0])
    bad = Estimate(np.array([2.0, 1.0]), np.array([1e-9, 0.125]), False, 7)
    with pytest.warns(
        ConvergenceWarning, match=r"not converged after 7 steps: relative residual 1\.2e-01; raise"
    ) as caught:
        assert np.asarray(bad).tolist() == [2.0, 1.0]
    assert len(caught) == 1
    with pytest.warns(ConvergenceWarning) as caught:
        assert float(Estimate(0.25, 0.5, False, 1)) == 0.25
    assert caught[0].filename == __file__


def test_generators_are_keyed_by_seed_and_purpose():
    draws = {
        tuple(generator(*key).integers(2**62, size=2))
        for key in [(0, "weights"), (1, "weights"), (0, "inputs"), (0, "weights", 1), (0, "weights", "1"), (0,)]
    }
    assert len(draws) == 6
    assert generator(5, "a", 2).standard_normal() == generator(5, "a", 2).standard_normal()
    for wrong in (-1, 1.5, "0", True):
        with pytest.raises(ArgumentError, match="'seed' argument must be an int of at least 0"):
            generator(wrong)
