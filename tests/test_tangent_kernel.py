import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assembly as am
import cases
import contracts
import naive
import strategies
from assembly import threads
from assembly.errors import NonFiniteError, ShapeError

everywhere = pytest.mark.parametrize("case", [*cases.CASES, *cases.FLOAT32], ids=str)


@everywhere
def test_is_the_jacobian_times_its_transpose(case):
    X = [case.x(), case.x("other")]
    contracts.check_tangent_kernel(case.assembly(), case.network(), X)


@everywhere
def test_between_two_sets_of_inputs(case):
    X, Z = [case.x(), case.x("b")], [case.x("c"), case.x("d"), case.x()]
    contracts.check_tangent_kernel(case.assembly(), case.network(), X, Z)


@everywhere
def test_is_symmetric_and_non_negative(case):
    net = case.assembly()
    X = np.array([case.x(str(i)) for i in range(4)])
    kernel = net.tangent_kernel(X)
    if net.n_outputs > 1:
        kernel = kernel.transpose(0, 2, 1, 3).reshape(4 * net.n_outputs, -1)
    np.testing.assert_array_equal(kernel, kernel.T)
    scale = np.abs(kernel).max()
    assert np.linalg.eigvalsh(kernel).min() > -contracts.rounding(net, 1e-14, 1e-5) * scale


@strategies.QUICK
@given(graph=strategies.graphs(), data=st.data())
def test_any_graph(graph, data):
    inputs, neurons = graph
    net, (network, _) = am.from_neurons(inputs, neurons), naive.from_neurons(inputs, neurons)
    x, z = data.draw(strategies.samples(len(inputs))), data.draw(strategies.samples(len(inputs)))
    left, right = naive.jacobian(network, net.parameters, x), naive.jacobian(network, net.parameters, z)
    wanted = left @ right.T
    found = net.tangent_kernel([x], [z])
    found = found[0, 0] if net.n_outputs > 1 else found
    assert np.abs(found - wanted).max() < 1e-11


def test_diagonal_is_the_squared_gradient_on_a_wide_network():
    net, X = am.mlp(10, [300, 200], seed=0), np.random.default_rng(0).normal(size=(5, 10))
    kernel = net.tangent_kernel(X)
    J = np.array([net.gradient(x) for x in X])
    np.testing.assert_allclose(kernel, J @ J.T, rtol=1e-11)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [6, 60])
def test_in_pieces_on_two_threads(n, dtype, monkeypatch):
    """Many rows are cut one way and few the other; on themselves by half the work, exactly symmetric."""
    monkeypatch.setattr(threads, "_available", lambda: 2)
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 1)
    net = am.mlp(10, [300, 200], seed=0, bias=True, dtype=dtype)
    X = np.random.default_rng(0).normal(size=(n, 10)).astype(dtype)
    kernel, between = net.tangent_kernel(X), net.tangent_kernel(X, X.copy()[: n // 2])
    np.testing.assert_array_equal(kernel, kernel.T)
    with threads.limited(1):
        other = net.with_parameters(net.parameters)
        np.testing.assert_array_equal(other.tangent_kernel(X), kernel)
        np.testing.assert_array_equal(other.tangent_kernel(X, X[: n // 2]), between)
    J = np.array([net.gradient(x) for x in X], dtype=np.float64)
    tolerance = contracts.rounding(net, 1e-14, 1e-5)
    assert contracts.error(kernel, J @ J.T) < tolerance
    assert contracts.error(between, J @ J[: n // 2].T) < tolerance


@pytest.mark.skipif(
    "NUMBA_DISABLE_JIT" in os.environ, reason="takes minutes without the compiler, which changes no memory"
)
def test_no_array_of_samples_times_parameters():
    net = am.mlp(5, [600, 600], seed=0)
    X = np.random.default_rng(0).normal(size=(200, 5))
    net.tangent_kernel(X[:2])
    tracemalloc.start()
    net.tangent_kernel(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8.0 * 8 * len(X) * net.evaluate(X[0]).program.n_nodes
    assert peak < 0.05 * 8 * len(X) * net.n_parameters


def test_order_of_the_axes_of_several_outputs():
    net = am.mlp(2, [3], n_outputs=2, output_activation="tanh", seed=0)
    X, Z = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([[0.3, 0.3]])
    kernel = net.tangent_kernel(X, Z)
    for i in range(2):
        for k in range(2):
            for j in range(2):
                wanted = net.gradient(X[i], output=k) @ net.gradient(Z[0], output=j)
                assert kernel[i, 0, k, j] == pytest.approx(wanted, rel=1e-12)


def test_errors():
    net = am.mlp(2, [3])
    with pytest.raises(ShapeError, match=r"'Z' argument must have shape \(2,\) or \(n, 2\)\. Got shape \(1, 3\)"):
        net.tangent_kernel([[1.0, 2.0]], [[1.0, 2.0, 3.0]])
    with pytest.raises(NonFiniteError, match=r"'X' argument must be finite\. Got nan at index \(0, 1\)"):
        net.tangent_kernel([[1.0, np.nan]])
