"""The second-order jet: second derivatives along a direction and their gradients, beside differences and JAX."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assembly as am
import cases
import contracts
import naive
import own_cases
import strategies
from assembly.activations import FORMULAS, get
from assembly.calculus.evaluation import evaluate
from assembly.calculus.jet import Jet
from assembly.errors import GraphError
from assembly.kernels import activation

everywhere = pytest.mark.parametrize("case", cases.CASES, ids=str)


def direction(net, salt=0):
    return np.random.default_rng([salt, net.n_parameters]).normal(size=net.n_parameters)


def jet(net, x, v):
    return Jet(net.evaluate(x), 0, v)


def second_derivative(network, w, x, v, output=0):
    """``V^T H V`` by differences of exact directional derivatives, good to about 1e-11; w may hold several columns."""
    h, step = 1e-3, 1e-30
    columns = np.asarray(w).reshape(len(w), -1)
    shifts = h * np.array([-2.0, -1.0, 1.0, 2.0])
    moved = columns[:, :, None] + v[:, None, None] * (shifts + 1j * step)
    value = naive.forward(network, moved, x)[1][network.outputs[output]]
    slopes = (np.zeros(moved.shape[1:]) + np.imag(value)) / step
    return (slopes @ np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * h)).reshape(np.shape(w)[1:])


def gradient_of_second_derivative(network, w, x, v, output=0):
    h = 1e-2
    units = np.eye(len(w))
    at = {k: second_derivative(network, w[:, None] + k * h * units, x, v, output) for k in (-3, -2, -1, 1, 2, 3)}
    return (45.0 * (at[1] - at[-1]) - 9.0 * (at[2] - at[-2]) + (at[3] - at[-3])) / (60.0 * h)


@everywhere
def test_second_derivative_is_the_quadratic_form_of_the_hessian(case):
    net, v = case.assembly(), direction(case.assembly())
    found = jet(net, case.x(), v).derivative(case.output, 2)
    wanted = v @ (net.hessian(case.x(), case.output) @ v)
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13 * (v @ v))


@everywhere
def test_first_order_is_gradient_and_tangents(case):
    net, v = case.assembly(), direction(case.assembly())
    found, space = jet(net, case.x(), v), net.hessian(case.x(), case.output).node_space
    gradient = net.gradient(case.x(), case.output)
    np.testing.assert_allclose(found.derivative(case.output, 1), gradient @ v, rtol=1e-11, atol=1e-13 * np.abs(v).sum())
    _, ell = found.adjoints(case.output, 1)
    s, _ = space.split(space.M(space.Z(v)))
    assert contracts.error(ell[1], space.b) < 1e-13
    assert contracts.error(ell[0], s) < 1e-12


@everywhere
def test_gradient_matches_differences(case):
    net, network = case.assembly(), case.network()
    v = direction(net) / np.sqrt(net.n_parameters)
    found = jet(net, case.x(), v).gradient(case.output)
    wanted = gradient_of_second_derivative(network, case.w, case.x(), v, case.output)
    assert np.abs(found - wanted).max() < 1e-6 * np.abs(wanted).max() + 1e-10


@pytest.fixture(scope="module")
def third_derivative():
    """The gradient of ``V^T H V`` by JAX, compiled once for all networks."""
    import jax_oracle  # skips the test, with its reason, where JAX is not installed

    jax, jnp = jax_oracle.jax, jax_oracle.jnp

    @jax.jit
    def compiled(w, v, *arrays):
        def second(w):
            def slope(w):
                return jax.jvp(lambda w: jax_oracle._output(w, *arrays), (w,), (v,))[1]

            return jax.jvp(slope, (w,), (v,))[1]

        return jax.grad(second)(w)

    def evaluated(network, w, x, v, output):
        padding = (0, jax_oracle.N_PARAMETERS - len(w))
        arrays = [jnp.asarray(array) for array in jax_oracle._padded(network, x, output)]
        return np.asarray(compiled(jnp.asarray(np.pad(w, padding)), jnp.asarray(np.pad(v, padding)), *arrays))[: len(w)]

    return evaluated


@everywhere
def test_gradient_matches_jax(case, third_derivative):
    net = case.assembly()
    v = direction(net)
    wanted = third_derivative(case.network(), case.w, case.x(), v, case.output)
    assert contracts.error(jet(net, case.x(), v).gradient(case.output), wanted) < 1e-12


@pytest.mark.parametrize("name", ["tanh-3", "gelu-bias", "softmax", "tied-layers", "cnn-2d-pool", "sparse-with-skips"])
def test_the_check_can_fail(name, third_derivative):
    """Without the third derivative, or with the direction moved a little, the gradient is another."""
    case = cases.BY_NAME[name]
    net, v = case.assembly(), direction(case.assembly())
    wanted = third_derivative(case.network(), case.w, case.x(), v, case.output)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Jet, "_twist", lambda *_: 0.0)
        assert contracts.error(jet(net, case.x(), v).gradient(case.output), wanted) > 1e-3
    moved = v.copy()
    moved[0] *= 1.0 + 1e-6
    assert contracts.error(jet(net, case.x(), moved).gradient(case.output), wanted) > 1e-12


@given(graph=strategies.shared_graphs(), seed=st.integers(0, 99))
@strategies.QUICK
def test_on_any_graph_and_every_output(graph, seed):
    """Euler: the gradient along V is the third derivative along V, here by differences of exact second ones."""
    inputs, neurons, outputs = graph
    net = am.from_neurons(inputs, neurons, outputs)
    rng = np.random.default_rng(seed)
    x, v = rng.normal(size=len(inputs)), 0.3 * rng.normal(size=net.n_parameters)
    for output in range(len(outputs)):
        gradient = jet(net, x, v).gradient(output)
        for u in (v, rng.normal(size=len(v))):
            h = 1e-3
            at = {k: jet(net.with_parameters(net.parameters + k * h * u), x, v) for k in (-2, -1, 1, 2)}
            seconds = {k: found.derivative(output, 2) for k, found in at.items()}
            wanted = (8.0 * (seconds[1] - seconds[-1]) - (seconds[2] - seconds[-2])) / (12.0 * h)
            size = np.linalg.norm(gradient) * np.linalg.norm(u)
            np.testing.assert_allclose(gradient @ u, wanted, rtol=1e-6, atol=1e-6 * size + 1e-9)


@pytest.mark.parametrize("case", cases.FLOAT32, ids=str)
def test_float32(case):
    net, v = case.assembly(), direction(case.assembly()).astype(np.float32)
    found = jet(net, case.x(), v)
    assert found.gradient(case.output).dtype == np.float32
    wanted = gradient_of_second_derivative(case.network(), case.w, case.x().astype(float), v.astype(float), case.output)
    tolerance = 1e-4 * max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(found.gradient(case.output), wanted, atol=tolerance)


def test_a_sample_sees_its_batch_in_rounding_only():
    case = cases.BY_NAME["softmax"]
    net, v = case.assembly(), direction(case.assembly())
    X = np.array([case.x(str(i)) for i in range(3)])
    evaluation = net.evaluate(X)
    for row in range(3):
        alone = Jet(evaluate(net._body.program, net._body.weights, X[row : row + 1]), 0, v)
        found, wanted = Jet(evaluation, row, v).gradient(case.output), alone.gradient(case.output)
        np.testing.assert_allclose(found, wanted, rtol=0.0, atol=1e-13 * np.abs(wanted).max())


def test_third_derivatives_by_code():
    z = np.linspace(-2.0, 2.0, 9)
    codes = np.array([activation.code_of(name) for name in FORMULAS for _ in z])
    third = np.empty(len(codes))
    activation.third_derivatives(codes, np.tile(z, len(FORMULAS)), third)
    np.testing.assert_array_equal(third.reshape(-1, len(z)), [get(name).third(z) for name in FORMULAS])


def test_near_certainty_a_softmax_keeps_its_digits():
    """One probability of 1 - 1e-12: the second derivative of the small one is z'^2 p_small, to all digits."""
    net = am.mlp(n_inputs=1, widths=[1], activation="identity", n_outputs=2, output_activation="softmax", seed=0)
    net = net.with_parameters([1.0, 28.0, 0.0])
    v = np.array([0.0, 1.0, 0.0])
    p = 1.0 / (1.0 + np.exp(28.0))
    found = jet(net, np.ones(1), v)
    np.testing.assert_allclose(found.derivative(1, 2), p, rtol=1e-10)
    np.testing.assert_allclose(found.gradient(1)[1], -p, rtol=1e-10)


@pytest.mark.parametrize("case", own_cases.OWN, ids=str)
def test_sub_models_of_your_own_are_refused(case):
    net = am.committee(case.part(), 2, seed=0)
    with pytest.raises(GraphError, match="sub-models of your own"):
        jet(net, np.ones(case.n_inputs), np.ones(net.n_parameters)).gradient(0)
    v = direction(net)
    found, wanted = jet(net, np.ones(case.n_inputs), v), net.gradient(np.ones(case.n_inputs)) @ v
    np.testing.assert_allclose(found.derivative(0, 1), wanted, rtol=1e-12)
    with pytest.raises(GraphError, match="sub-models of your own"):
        found.derivative(0, 2)
