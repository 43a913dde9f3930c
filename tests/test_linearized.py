import numpy as np
import pytest

import assembly as am
import cases
import contracts
import naive
from assembly.errors import NonFiniteError, ShapeError

everywhere = pytest.mark.parametrize("case", cases.CASES, ids=str)


@everywhere
def test_is_the_first_order_taylor_model(case):
    net, X = case.assembly(), np.array([case.x("a"), case.x("b")])
    linear = net.linearize()
    np.testing.assert_array_equal(linear(X), net(X))
    np.testing.assert_array_equal(linear.parameters, net.parameters)
    w = case.w + np.random.default_rng(0).normal(size=net.n_parameters)
    moved = linear.with_parameters(w)
    wanted = np.array(
        [naive.value(case.network(), case.w, x) + naive.jacobian(case.network(), case.w, x) @ (w - case.w) for x in X]
    )
    wanted = wanted[:, 0] if net.n_outputs == 1 else wanted
    assert contracts.error(moved(X), wanted) < 1e-12
    assert contracts.error(moved(X[1]), wanted[1]) < 1e-12
    np.testing.assert_array_equal(moved.value(X), moved(X))
    np.testing.assert_array_equal(moved.parameters, w)
    np.testing.assert_array_equal(linear(X), net(X))  # the first one has not moved


@everywhere
def test_gradient_and_kernel_are_those_at_the_origin(case):
    net, x = case.assembly(), case.x()
    moved = net.linearize().with_parameters(case.w + 1.0)
    np.testing.assert_array_equal(moved.gradient(x, case.output), net.gradient(x, case.output))
    np.testing.assert_array_equal(moved.tangent_kernel([x]), net.tangent_kernel([x]))


def test_remainder_is_half_the_curvature_to_second_order():
    net, x = am.mlp(5, [30, 20], seed=0), np.ones(5)
    v = np.random.default_rng(0).normal(size=net.n_parameters)
    v /= np.linalg.norm(v)
    curvature = v @ (net.hessian(x) @ v)
    for h in (1e-2, 1e-3):
        w = net.parameters + h * v
        remainder = net.with_parameters(w)(x) - net.linearize().with_parameters(w)(x)
        assert 2.0 * remainder / h**2 == pytest.approx(curvature, rel=20.0 * h)


def test_a_network_linear_in_its_parameters_is_its_own_linearisation():
    net = am.mlp(4, [1], "identity", trainable_readout=False, seed=0)
    w, X = np.arange(4.0), np.random.default_rng(0).normal(size=(6, 4))
    np.testing.assert_allclose(net.linearize().with_parameters(w)(X), net.with_parameters(w)(X), rtol=1e-13)


def test_errors():
    linear = am.mlp(2, [3]).linearize()
    with pytest.raises(ShapeError, match=r"'w' argument must have shape \(9,\)\. Got shape \(8,\)"):
        linear.with_parameters(np.zeros(8))
    with pytest.raises(NonFiniteError, match=r"'w' argument must be finite\. Got nan at index 2"):
        linear.with_parameters([0, 0, np.nan, 0, 0, 0, 0, 0, 0])


def test_parameters_are_copied():
    net = am.mlp(2, [3], seed=0)
    w = np.array(net.parameters) + 0.1
    moved = net.linearize().with_parameters(w)
    before = moved([1.0, 2.0])
    w += 5.0
    assert moved([1.0, 2.0]) == before
