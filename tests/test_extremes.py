"""Places where arithmetic or structure is at its end: a right number, or a refusal; never a wrong number."""

import numpy as np
import pytest

import assembly as am
from assembly.errors import ArgumentError, GraphError, NonFiniteError, SaturationError, ShapeError
from assembly.graph.connections import Dense, Own, Sparse
from assembly.graph.description import Graph, Group
from assembly.graph.own import Functions


def saturated(weights, dtype="float64"):
    net = am.mlp(1, [2], "tanh", output_activation="tanh", trainable_readout=False, dtype=dtype)
    net = net.with_parameters(weights)
    return net, net.hessian([1.0])


def largest_eigenvalue(net, x):
    """Of the Hessian of tanh(c sum v_i tanh(w_i x)), by formulas in extended precision."""
    w, v = net.parameters.astype(np.longdouble), net.coefficients.astype(np.longdouble)
    c = 1 / np.sqrt(np.longdouble(2))
    first = 1 / np.cosh(w * x) ** 2
    second = -2 * np.tanh(w * x) * first
    total = c * np.sum(v * np.tanh(w * x))
    outer, bend = 1 / np.cosh(total) ** 2, -2 * np.tanh(total) / np.cosh(total) ** 2
    gradient = c * v * first * x
    hessian = bend * np.outer(gradient, gradient) + np.diag(outer * c * v * second * x * x)
    size = np.abs(hessian).max()
    return float(size * np.abs(np.linalg.eigvalsh((hessian / size).astype(float))).max())


@pytest.mark.parametrize(("weights", "dtype"), [([190.0, 209.0], "float64"), ([30.0, 33.0], "float32")], ids=str)
def test_hidden_neurons_saturated_far_below_the_output(weights, dtype):
    net, hessian = saturated(weights, dtype)
    norm = hessian.norm()
    assert norm.converged
    np.testing.assert_allclose(norm.value, largest_eigenvalue(net, 1.0), rtol=1e-4 if dtype == "float32" else 1e-9)


def test_the_closed_form_does_not_underflow():
    net = am.mlp(1, [2], "tanh").with_parameters([200.0, 220.0, 1.0, 1.0])
    first = 1.0 / np.cosh(200.0) ** 2
    block = np.array([[-2.0, 1.0], [1.0, 0.0]]) / np.sqrt(2.0)
    wanted = np.abs(np.linalg.eigvalsh(block)).max() * first
    np.testing.assert_allclose(net.hessian([1.0]).norm().value, wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("x", "dtype", "fails"),
    [(1e-23, "float32", "underflow"), (1e-170, "float64", "underflow"), (1e160, "float64", "overflow")],
)
def test_squares_of_activations_that_leave_the_number_range_are_refused(x, dtype, fails):
    net = am.mlp(2, [3], "sin", dtype=dtype)
    with pytest.raises(SaturationError, match=f"The activations are at most .* and their squares {fails} {dtype}"):
        net.hessian([x, x])


def test_a_tangent_kernel_that_overflows_is_refused():
    net = am.mlp(2, [3, 3], "quadratic", dtype="float32")
    with pytest.raises(NonFiniteError, match="tangent kernel overflows float32"):
        net.tangent_kernel([[1e5, 1e5]])


def test_inputs_of_zero_are_no_underflow():
    assert am.mlp(2, [3, 3]).hessian([0.0, 0.0]).norm().converged


def orphans() -> am.Assembly:
    """Two neurons of three have no in-edge: cos 0 = 1 each, all read by the output."""
    first = Sparse(0, 1, 1, 3, np.ones(3), np.array([0, 0, 1, 1]), np.zeros(1, np.int32))
    groups = (Group(1, "input"), Group(3, "cos"), Group(1, "identity"))
    graph = Graph(groups, (first, Dense(1, 2, 3, 1, np.ones(1))), ((2, 0),))
    return am.Assembly.from_graph(graph, np.array([0.5, 1.0, 2.0, 4.0]))


def test_a_neuron_without_in_edges_has_the_value_at_zero_alone_and_in_a_network():
    net = orphans()
    assert net([1.0]) == pytest.approx(1.0 + 2.0 * np.cos(0.5) + 4.0)
    alone = net.layers[1].neurons[0]
    assert alone([1.0]) == 1.0
    assert alone.layer == 1
    assert alone.n_parameters == 0
    assert am.Assembly([alone, net.layers[1].neurons[2]], [1.0, 3.0], scale=1.0)([1.0]) == 4.0


SOFTMAX = {
    "a": ("softmax", {"x": 1.0}),
    "b": ("softmax", {"x": -0.5}),
    "c": ("softmax", {"x": 2.0}),
    "h": ("tanh", {"c": 1.5}),
    "f": ("identity", {"a": 1.0, "b": 1.0, "h": 1.0}),
}


def test_a_logit_is_no_part_beside_what_reads_its_softmax():
    net = am.from_neurons(["x"], SOFTMAX)
    logit, reader = net.layers[1].neurons[0].pre, net.layers[2].neurons[0]
    with pytest.raises(GraphError, match="softmax output cannot be a part beside neurons that read"):
        am.Assembly([logit, reader], [1.0, 1.0])
    both = am.Assembly([net.layers[1].neurons[0], reader], [1.0, 1.0], scale=1.0)
    p = np.exp([0.7, -0.35, 1.4])
    p /= p.sum()
    assert both([0.7]) == pytest.approx(p[0] + np.tanh(1.5 * p[2]), rel=1e-14)
    assert am.Assembly([logit], [1.0], scale=1.0)([0.7]) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        (np.array([0, 1, 1, 2]), ArgumentError),
        (np.zeros(4, np.float16), ArgumentError),
        (np.zeros(4, complex), ArgumentError),
        ([0.0, 1.0, 1.0, 2.0], ArgumentError),
        (np.zeros(5), ShapeError),
    ],
    ids=str,
)
def test_parameters_of_another_kind_are_refused(parameters, error):
    with pytest.raises(error, match="must"):
        am.Assembly.from_graph(am.mlp(1, [2]).graph, parameters)


def test_own_sub_models_read_the_inputs_and_nothing_else():
    own = Functions("g", 1, lambda w, x: w[0] * x.sum(), lambda w, x: x[:1], lambda w, x, v: 0.0 * v)
    groups = (Group(2, "input"), Group(2, "tanh"), Group(1, "identity"))
    graph = Graph(groups, (Dense(0, 1, 2, 2, np.ones(2)), Own(1, 2, 2, 1, np.ones(1), own)), ((2, 0),))
    with pytest.raises(GraphError, match="must come from the inputs"):
        am.Assembly.from_graph(graph, np.ones(5))


def test_an_evaluation_cannot_be_changed_from_outside():
    net = am.mlp(2, [3])
    before = net([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        net.evaluate([1.0, 2.0]).post[:] = 0.0
    assert net([1.0, 2.0]) == before


def test_a_bias_is_what_the_constant_adds():
    neurons = {"a": ("tanh", {"x": 1.0, "1": am.Edge(2.0, factor=3.0)}), "b": ("tanh", {"x": 1.0})}
    net = am.from_neurons(["x"], {**neurons, "f": ("identity", {"a": 1.0, "b": 1.0})})
    assert [neuron.bias for neuron in net.layers[1].neurons] == [6.0, None]


def test_an_output_without_parts_has_no_scale():
    net = am.from_neurons(["x"], {"f": ("identity", {"1": 2.0})})
    with pytest.raises(GraphError, match="no sum of parts"):
        _ = net.scale


def test_a_trainable_connection_without_edges_takes_no_weights():
    nothing = Sparse(0, 1, 1, 2, np.ones(2), np.zeros(3, np.int64), np.zeros(0, np.int32))
    groups = (Group(1, "input"), Group(2, "tanh"), Group(1, "identity"))
    connections = (nothing, Dense(0, 1, 1, 2, np.ones(2)), Dense(1, 2, 2, 1, np.ones(1)))
    net = am.Assembly.from_graph(Graph(groups, connections, ((2, 0),)), np.array([1.0, -0.5, 2.0, 1.0]))
    plain = am.Assembly.from_graph(Graph(groups, connections[1:], ((2, 0),)), np.array([1.0, -0.5, 2.0, 1.0]))
    np.testing.assert_array_equal(net.gradient([0.3]), plain.gradient([0.3]))
    assert net.hessian([0.3]).norm().value == pytest.approx(plain.hessian([0.3]).norm().value, rel=1e-12)


def test_taps_that_no_window_reads_are_no_parameters_of_a_neuron():
    net = am.cnn(shape=(2,), channels=[1, 1], kernel=5)
    above = net.layers[2].neurons[0]
    assert above.n_parameters == np.count_nonzero(net.layers[2].neurons[0].gradient([0.3, 0.7]))
    np.testing.assert_array_equal(np.count_nonzero(above.gradient([0.3, 0.7])), len(above.parameter_index))


def test_an_iteration_that_rounding_ends_in_a_small_network_is_answered_densely():
    def part(seed):
        return am.mlp(6, [3], readout="sign", seed=seed)

    net = am.committee(part, 6, gamma=1.0, seed=4)
    hessian = net.hessian(np.random.default_rng(1).normal(size=(2, 6))[1])
    norm = hessian.norm(tol=1e-9)
    assert norm.converged
    wanted = np.abs(np.linalg.eigvalsh(hessian @ np.eye(net.n_parameters))).max()
    np.testing.assert_allclose(norm.value, wanted, rtol=1e-12)
    assert not hessian.norm(tol=1e-9, max_steps=2).converged
