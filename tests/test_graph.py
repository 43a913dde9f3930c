import numpy as np
import pytest

import assembly as am
import cases
from assembly.errors import GraphError, UnknownNameError
from assembly.graph.connections import Dense, Sparse


@pytest.mark.parametrize(
    ("inputs", "neurons", "outputs", "message"),
    [
        (
            ["x"],
            {"a": ("tanh", ["c"]), "b": ("tanh", ["a"]), "c": ("tanh", ["b", "x"])},
            None,
            r"has a cycle: (a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c)\. Remove one",
        ),
        (["x"], {"a": ("tanh", ["x", "a"])}, None, r"has a cycle: a -> a\."),
        (
            ["x"],
            {"hidden": ("tanh", ["x"]), "b": ("tanh", ["hiden"])},
            None,
            r"Neuron 'b' has an unknown parent 'hiden'\. Did you mean 'hidden'\?",
        ),
        (["x"], {"a": ("tanh", ["q"])}, None, r"Neuron 'a' has an unknown parent 'q'\.$"),
        (
            ["x"],
            {"a": ("tanh", ["x", "x"])},
            None,
            r"Neuron 'a' names a parent twice: give each one once. Got \['x', 'x'\]",
        ),
        (["x"], {"a": ("tanh", [])}, None, r"Neuron 'a' has no parents"),
        (["x"], {"a": ("tanh", "x")}, None, r"Neuron 'a' has no parents: give a non-empty sequence of names\. Got 'x'"),
        (["x"], {"a": "tanh"}, None, r"Neuron 'a' must be a pair \(activation, parents\)\. Got 'tanh'"),
        (
            ["x"],
            {"a": ("tanh", ["x"]), "b": ("tanh", ["x"])},
            ["a"],
            r"Neuron 'b' reaches no output: remove it or make",
        ),
        (["x"], {"alpha": ("tanh", ["x"])}, ["alfa"], r"The output 'alfa' is no neuron\. Did you mean 'alpha'\?"),
        (["x"], {"a": ("tanh", ["x"])}, ["x"], r"The output 'x' is no neuron"),
        (["x"], {"a": ("tanh", ["x"])}, ["a", "a"], r"'outputs' argument must name at least one neuron, none twice"),
        (["x"], {"a": ("tanh", ["x"])}, [], r"'outputs' argument must name at least one neuron"),
        (["x"], {}, None, r"'outputs' argument must name at least one neuron"),
        (["x"], {"x": ("tanh", ["x"])}, None, r"must have names of their own, at least one input\. Repeated: \['x'\]"),
        (["x", "x"], {"a": ("tanh", ["x"])}, None, r"Repeated: \['x'\]"),
        ([], {"a": ("tanh", ["a"])}, None, r"at least one input"),
    ],
)
def test_what_is_no_graph_is_refused_with_the_place(inputs, neurons, outputs, message):
    with pytest.raises(GraphError, match=message) as caught:
        am.from_neurons(inputs, neurons, outputs)
    assert "\n" not in str(caught.value)


def test_unknown_activation_of_a_neuron():
    with pytest.raises(
        UnknownNameError, match=r"'activation of neuron 'a'' argument .* Got 'tanhh'\. Did you mean 'tanh'"
    ):
        am.from_neurons(["x"], {"a": ("tanhh", ["x"])})


@pytest.mark.parametrize("weight", [np.nan, np.inf, "1", True])
def test_a_weight_must_be_a_number(weight):
    with pytest.raises(ValueError, match="'weight x->a' argument must be a finite number"):
        am.from_neurons(["x"], {"a": ("tanh", {"x": weight})})


def test_default_outputs_are_the_neurons_that_feed_no_other():
    net = am.from_neurons(["x"], {"b": ("sin", {"x": 1.0}), "a": ("cos", {"x": 1.0}), "c": ("tanh", {"a": 1.0})})
    np.testing.assert_allclose(net([0.5]), [np.sin(0.5), np.tanh(np.cos(0.5))], rtol=1e-14)


def test_sparse_where_edges_are_missing_and_dense_where_none_is():
    net = cases.BY_NAME["sparse-with-skips"].assembly()
    kinds = {(c.source, c.target): type(c) for c in net.graph.connections}
    assert kinds[0, 1] is Sparse  # a: x, y; b: y, z
    assert kinds[1, 2] is Sparse  # c: a; d: a, b
    mixed = cases.BY_NAME["mixed-activations"].assembly().graph
    assert {(c.source, c.target): type(c) for c in mixed.connections}[0, 1] is Dense


@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_in_edges_rows_and_columns_describe_the_same_edges(case):
    """Each connection, edge by edge, against its parts by rows and against its marks."""

    def numbers(places):
        return np.arange(places.start, places.stop) if isinstance(places, slice) else places

    graph = case.assembly().graph
    assert graph.n_parameters == case.network().n_parameters
    for connection in graph.connections:
        edges = []
        for row in range(connection.n_target):
            sources, where = connection.in_edges(row)
            assert len(numbers(where)) == len(sources) == connection.in_degrees()[row]
            edges += [(row, int(source)) for source in sources]
            targets, marked = np.zeros(connection.n_target, bool), np.zeros(connection.n_source, bool)
            targets[row] = True
            connection.mark(targets, marked)
            assert set(np.flatnonzero(marked)) == {int(source) for source in sources}
            alone, origin = connection.take(np.array([row]))
            np.testing.assert_array_equal(alone.in_edges(0)[0], sources)
            np.testing.assert_array_equal(numbers(origin)[numbers(alone.in_edges(0)[1])], numbers(where))
            assert alone.factor == connection.factor[row : row + 1]
            if connection.values is not None:
                np.testing.assert_array_equal(alone.values, connection.values[where])
        assert len(edges) == connection.n_edges
        ends = np.unique([0, connection.n_target - 1])
        apart, origin = connection.take(ends)
        for new, row in enumerate(ends):
            sources, where = connection.in_edges(int(row))
            np.testing.assert_array_equal(apart.in_edges(new)[0], sources)
            np.testing.assert_array_equal(numbers(origin)[numbers(apart.in_edges(new)[1])], numbers(where))


@pytest.mark.parametrize("case", cases.NAMED, ids=str)
def test_groups_stand_in_topological_order_and_layers_hold_every_neuron(case):
    graph = case.assembly().graph
    assert all(connection.source < connection.target for connection in graph.connections)
    assert [len(names) for names in case.names()] == [layer.size for layer in case.assembly().layers]


def test_restriction_to_neurons_apart_leaves_out_those_between():
    net = am.mlp(3, [6], seed=0)
    graph, origins = net.graph.restrict([(1, 5), (1, 0)])
    assert graph.n_parameters == 6
    assert graph.outputs == ((1, 1), (1, 0))
    np.testing.assert_array_equal(origins[0], [0, 1, 2, 15, 16, 17])
    first, last = net.layers[1].neurons[0], net.layers[1].neurons[5]
    x = [1.0, -0.5, 2.0]
    both = am.Assembly([last, first], [2.0, -1.0])
    assert both.n_parameters == 6
    assert both(x) == pytest.approx((2.0 * last(x) - first(x)) / np.sqrt(2.0), rel=1e-14)


def test_restriction_keeps_what_a_neuron_needs_and_no_more():
    net = am.mlp(3, [5, 4, 2], seed=0)
    graph, origins = net.graph.restrict([(2, 1)])
    assert [group.size for group in graph.groups] == [3, 5, 1]
    assert origins == (slice(0, 15), slice(20, 25))
    assert graph.outputs == ((2, 0),)
    whole, origins = net.graph.restrict(net.graph.outputs)
    assert whole.n_parameters == net.n_parameters
    assert [(o.start, o.stop) for o in origins] == [(0, 15), (15, 35), (35, 43), (43, 45)]
