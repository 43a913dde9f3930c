"""Graphs given neuron by neuron, by name or as a networkx DiGraph: fixed edges, shared weights, biases, softmax."""

import itertools
import re

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assembly as am
import cases
import contracts
import naive
import strategies
from assembly.errors import ArgumentError, GraphError, UnknownNameError
from assembly.graph.connections import Dense, Sparse, Tied

E = am.Edge
FIXED = {
    "a": ("tanh", {"x": None, "y": E(0.5, trainable=False), "1": E(-0.4, trainable=False)}),
    "b": ("sin", {"x": E(1.5, trainable=False, factor=0.3), "1": None}),
    "c": ("gelu", {"a": None, "b": None, "x": E(1.0, trainable=False)}),
    "f": ("identity", {"c": None, "a": E(-1.0, trainable=False, factor=2.0), "y": None}),
}
SHARED = {
    "a": ("tanh", {"x": E(shared="w"), "y": E(shared="v"), "1": E(shared="b")}),
    "b": ("sin", {"x": E(shared="v"), "y": E(0.7, shared="w"), "1": E(shared="b")}),
    "c": ("erf", {"a": E(shared="v"), "b": None, "y": E(shared="w", factor=0.4)}),
    "f": ("identity", {"c": E(shared="w"), "b": E(shared="v"), "x": None, "1": None}),
}
FACTORS = {
    "a": ("tanh", {"x": E(factor=0.5), "y": E(factor=-2.0), "z": None, "1": E(factor=3.0)}),
    "b": ("tanh", {"x": E(factor=0.5), "z": E(shared="w", factor=0.1), "y": E(shared="w", factor=0.2)}),
    "f": ("identity", {"a": E(2.0, False, 0.5), "b": E(1.0, False, 0.25), "x": None}),
}
SOFTMAX = {
    "p": ("softmax", {"x": None, "y": None, "1": None}),
    "q": ("softmax", {"x": None, "1": E(0.3, trainable=False)}),
    "h": ("tanh", {"x": None, "y": None}),
    "f": ("softmax", {"p": None, "h": None}),
    "g": ("softmax", {"p": None, "q": E(shared="w"), "h": E(shared="w")}),
    "e": ("sin", {"h": None, "q": None}),
}
HERE = [
    cases.graph("fixed", ["x", "y"], FIXED),
    cases.graph("shared", ["x", "y"], SHARED),
    cases.graph("factors", ["x", "y", "z"], FACTORS),
    cases.graph("softmax", ["x", "y"], SOFTMAX, output=1),
    cases.graph("bias-alone", ["x"], {"a": ("tanh", ["1"]), "f": ("identity", {"a": None, "x": E(2.0, False)})}),
]
here = pytest.mark.parametrize("case", HERE, ids=str)


def kinds(net):
    return [
        (type(c).__name__, c.source, c.target, c.n_edges, c.values is not None)  # frozen
        for c in net.graph.connections
    ]


# Against the naive twin


@here
def test_every_contract(case):
    net, network, x = case.assembly(), case.network(), case.x()
    contracts.check_value(net, network, x)
    contracts.check_parameter_order(net, network, x)
    contracts.check_gradient(net, network, x, case.output)
    contracts.check_hessian(net, network, x, case.output, case.hessian())
    contracts.check_eigenvalues(net, x, case.hessian(), case.output)
    contracts.check_spectrum(net, x, case.hessian(), case.output)
    contracts.check_tangent_kernel(net, network, [x, case.x("other")])


@strategies.QUICK
@given(graph=strategies.shared_graphs(), data=st.data())
def test_any_graph(graph, data):
    inputs, neurons, outputs = graph
    net, (network, _) = am.from_neurons(inputs, neurons, outputs), naive.from_neurons(inputs, neurons, outputs)
    x = data.draw(strategies.samples(len(inputs)))
    contracts.check_value(net, network, x)
    contracts.check_parameter_order(net, network, x)
    for output in range(len(outputs)):
        contracts.check_gradient(net, network, x, output)
    wanted = naive.hessian(network, net.parameters, x, 1)
    found = net.hessian(x, 1) @ np.eye(net.n_parameters)
    assert np.abs(found - wanted).max(initial=0.0) < 1e-8 * max(1.0, np.abs(wanted).max(initial=0.0))
    if np.abs(wanted).max(initial=0.0) > 1e-4:
        contracts.check_eigenvalues(net, x, found, 1)


@strategies.QUICK
@given(graph=strategies.shared_graphs())
def test_weights_given_end_where_the_order_says(graph):
    inputs, neurons, outputs = graph
    net, (_, number) = am.from_neurons(inputs, neurons, outputs), naive.from_neurons(inputs, neurons, outputs)
    for (parent, name), k in number.items():
        edge = neurons[name][1][parent]
        assert net.parameters[k] == (edge.weight if isinstance(edge, E) else edge)


def test_the_check_can_fail():
    case = HERE[1]
    wrong, _ = naive.from_neurons(["x", "y"], SHARED | {"b": ("sin", SHARED["b"][1] | {"y": None})})
    with pytest.raises((AssertionError, IndexError)):
        contracts.check_value(case.assembly(), wrong, case.x())


# By hand


def test_a_tied_network_by_hand():
    """The gradient in a shared weight is the sum over its edges, here in two layers."""
    neurons = {
        "h": ("tanh", {"x": E(0.8, shared="w"), "1": 0.1}),
        "f": ("identity", {"h": E(shared="w"), "x": E(0.25, trainable=False)}),
    }
    net, x = am.from_neurons(["x"], neurons), 0.6
    h = np.tanh(0.8 * x + 0.1)
    np.testing.assert_array_equal(net.parameters, [0.1, 0.8])
    assert net([x]) == pytest.approx(0.8 * h + 0.25 * x, rel=1e-15)
    np.testing.assert_allclose(net.gradient([x]), [0.8 * (1 - h * h), h + 0.8 * (1 - h * h) * x], rtol=1e-14)


def test_default_factors():
    """Biases and fixed edges have 1 and are not counted; a factor that is given counts like any other edge."""
    neurons = {
        "a": ("identity", {"x": 1.0, "y": E(1.0, factor=3.0), "z": E(shared="w"), "1": 10.0, "u": E(5.0, False)}),
        "b": ("identity", {"x": E(1.0, shared="w"), "1": E(20.0, trainable=False)}),
    }
    net = am.from_neurons(["x", "y", "z", "u"], neurons)
    c = 1.0 / np.sqrt(3.0)
    np.testing.assert_allclose(net([1.0, 10.0, 100.0, 1000.0]), [c * 101.0 + 30.0 + 10.0 + 5000.0, 21.0], rtol=1e-14)
    assert net.width == 1  # b has one trainable in-edge, and no layer is above it


def test_width_and_in_degree_count_trainable_edges_without_biases():
    net = am.from_neurons(["x", "y"], FIXED, seed=5)
    assert net.width == 2  # c: a and b; its skip is fixed. f: c and y
    alone = am.from_neurons(["x"], {"h": ("tanh", ["x", "1"]), "f": ("identity", ["h", "1"])})
    assert alone.width == 1


def test_a_softmax_is_the_softmax_neurons_of_one_layer():
    net = am.from_neurons(["x", "y"], SOFTMAX, ["f", "g", "p", "q", "e"], seed=3)
    f, g, p, q, _ = net([0.3, -1.2])
    assert f + g == pytest.approx(1.0, rel=1e-14)
    assert p + q == pytest.approx(1.0, rel=1e-14)
    assert [len(group.activations()) for group in net.graph.groups if group.activation == "softmax"] == [2, 2]
    logits = am.from_neurons(
        ["x"], {"a": ("softmax", {"x": 2.0}), "b": ("softmax", {"x": -1.0})}
    )  # two outputs, coupled
    np.testing.assert_allclose(logits([0.5]), np.exp([1.0, -0.5]) / np.exp([1.0, -0.5]).sum(), rtol=1e-14)


def test_a_softmax_neuron_that_feeds_nothing_counts_through_the_others():
    neurons = {"a": ("softmax", {"x": 2.0}), "b": ("softmax", {"x": -1.0}), "f": ("identity", {"a": 1.0})}
    net = am.from_neurons(["x"], neurons, ["f"])
    assert net([0.5]) == pytest.approx(np.exp(1.0) / (np.exp(1.0) + np.exp(-0.5)), rel=1e-14)
    with pytest.raises(GraphError, match="Neuron 'c' reaches no output"):
        am.from_neurons(["x"], neurons | {"c": ("tanh", ["x"])}, ["f"])


def test_nothing_trainable():
    net = am.from_neurons(["x"], {"a": ("tanh", {"x": E(1.5, False)}), "f": ("sin", {"a": E(2.0, False)})})
    assert net([0.4]) == pytest.approx(np.sin(2.0 * np.tanh(0.6)), rel=1e-15)
    assert net.gradient([0.4]).shape == (0,)


# Structure


def test_edges_of_several_kinds_between_two_layers_are_several_connections():
    net = am.from_neurons(["x", "y"], FIXED, seed=5)
    assert kinds(net) == [
        ("Sparse", 0, 2, 1, False),
        ("Sparse", 0, 2, 2, True),
        ("Sparse", 1, 2, 1, False),
        ("Sparse", 1, 2, 1, True),
        ("Sparse", 0, 3, 1, True),
        ("Dense", 2, 3, 2, False),
        ("Sparse", 0, 4, 1, False),
        ("Sparse", 2, 4, 1, True),
        ("Dense", 3, 4, 1, False),
    ]


def test_a_layer_with_biases_everywhere_is_that_of_an_mlp():
    hidden = [f"h{i}" for i in range(4)]
    net = am.from_neurons(["x", "y"], dict.fromkeys(hidden, ("tanh", ["x", "y", "1"])) | {"f": ("sin", [*hidden, "1"])})
    mlp = am.mlp(2, [4], bias=True, output_activation="sin")
    assert repr(net) == repr(mlp)
    assert net.with_parameters(mlp.parameters)([0.3, 2.0]) == mlp([0.3, 2.0])


def test_all_shared_weights_are_one_pool():
    net = am.from_neurons(["x", "y"], SHARED, seed=5)
    tied = [c for c in net.graph.connections if isinstance(c, Tied)]
    assert len(tied) == 6
    assert {(c.pool, c.n_weights) for c in tied} == {(0, 3)}
    assert net.n_parameters == 3 + 3
    assert net.parameters[3] == 0.7  # w, the first met


def test_factors_of_one_target_split_trainable_connections_by_rank_and_fold_into_fixed_weights():
    net = am.from_neurons(["x", "y", "z"], FACTORS, seed=5)
    trainable = [c for c in net.graph.connections if c.values is None and (c.source, c.target) == (0, 2)]
    assert [(type(c), c.n_edges) for c in trainable] == [(Sparse, 2), (Sparse, 1), (Sparse, 1), (Tied, 1), (Tied, 1)]
    np.testing.assert_array_equal([c.factor[0] for c in trainable[:3]], [-2.0, 0.5, 1.0 / np.sqrt(3.0)])
    np.testing.assert_array_equal([c.factor[1] for c in trainable[::3]], [0.5, 0.1])
    (fixed,) = [c for c in net.graph.connections if c.values is not None]
    assert isinstance(fixed, Dense)
    np.testing.assert_array_equal(fixed.values, [1.0, 0.25])
    np.testing.assert_array_equal(fixed.factor, [1.0])


def test_one_factor_for_all_fixed_edges_of_a_target_is_kept():
    net = am.from_neurons(["x", "y"], {"f": ("sin", {"x": E(2.0, False, 0.5), "y": E(3.0, False, 0.5)})})
    (fixed,) = net.graph.connections
    np.testing.assert_array_equal(fixed.values, [2.0, 3.0])
    np.testing.assert_array_equal(fixed.factor, [0.5])


def test_shared_weights_are_drawn_once_and_given_ones_kept():
    net, other = (am.from_neurons(["x", "y"], SHARED, seed=5), am.from_neurons(["x", "y"], SHARED, seed=6))
    np.testing.assert_array_equal(net.parameters == other.parameters, [False, False, False, True, False, False])


def test_float32():
    for case in HERE:
        net = case.assembly()
        inputs, neurons = case.network().inputs, {"fixed": FIXED, "shared": SHARED, "softmax": SOFTMAX}.get(case.name)
        if neurons:
            single = am.from_neurons(list(inputs), neurons, seed=5, dtype="float32").with_parameters(net.parameters)
            assert single.dtype == np.float32
            assert contracts.error(single(case.x()), net(case.x())) < 1e-6


def test_a_large_graph_is_a_few_blocks():
    names = [f"x{i}" for i in range(200)]
    layers = [[f"{layer}.{i}" for i in range(200)] for layer in range(2)]
    neurons = dict.fromkeys(layers[0], ("tanh", names)) | dict.fromkeys(layers[1], ("tanh", layers[0]))
    net = am.from_neurons(names, neurons | {"f": ("identity", layers[1])})
    assert net.n_parameters == 80_200
    assert [type(c) for c in net.graph.connections] == [Dense] * 3


# Errors


@pytest.mark.parametrize(
    ("parents", "error", "message"),
    [
        ({"x": E(trainable=False)}, GraphError, r"^The edge x->a is fixed and must have a weight\. Got none\.$"),
        (
            {"x": E(1.0, trainable=False, shared="w")},
            GraphError,
            r"^The edge x->a is fixed and cannot share a parameter: leave 'shared' or 'trainable' out\.$",
        ),
        ({"x": E(np.nan)}, ArgumentError, r"The 'weight x->a' argument must be a finite number\. Got nan\."),
        ({"x": E("1")}, ArgumentError, r"The 'weight x->a' argument must be a finite number\. Got '1'\."),
        ({"x": E(factor=np.inf)}, ArgumentError, r"The 'factor x->a' argument must be a finite number\. Got inf\."),
        ({"x": E(factor="2")}, ArgumentError, r"The 'factor x->a' argument must be a finite number\. Got '2'\."),
        ({"x": E(trainable=0)}, ArgumentError, r"The 'trainable x->a' argument must be True or False\. Got 0\."),
        ({"x": E(shared=3)}, ArgumentError, r"The 'shared x->a' argument must be a name\. Got 3\."),
        ({"x": E(shared="")}, ArgumentError, r"The 'shared x->a' argument must be a name\. Got ''\."),
        (
            {"x": E(shared="w"), "y": E(0.5, shared="w"), "1": E(0.25, shared="w")},
            GraphError,
            r"^Edges that share 'w' must have one weight\. Got 0\.5 at y->a and 0\.25 at 1->a\.$",
        ),
        (["x", ["y"]], GraphError, r"Neuron 'a' has an unknown parent \['y'\]: parents are given by name\."),
        ({3: 1.0}, GraphError, r"Neuron 'a' has an unknown parent 3: parents are given by name\."),
        (7, GraphError, r"Neuron 'a' has no parents: give a non-empty sequence of names\. Got 7\."),
        (["X"], GraphError, r"Neuron 'a' has an unknown parent 'X'\.$"),
    ],
)
def test_what_an_edge_may_not_say(parents, error, message):
    with pytest.raises(error, match=message):
        am.from_neurons(["x", "y"], {"a": ("tanh", parents)})


@pytest.mark.parametrize(
    ("inputs", "neurons"),
    [(["1"], {"a": ("tanh", ["1"])}), (["x"], {"1": ("tanh", ["x"])}), ([3], {"a": ("tanh", [3])})],
)
def test_names_are_text_and_not_the_constant(inputs, neurons):
    with pytest.raises(GraphError, match=r"name of an input or neuron must be text, and not '1', the constant\. Got"):
        am.from_neurons(inputs, neurons)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": "xy"}, r"The 'inputs' argument must be a sequence of names\. Got 'xy'\."),
        ({"outputs": "ab"}, r"The 'outputs' argument must be a sequence of names\. Got 'ab'\."),
        ({"neurons": ["a"]}, r"The 'neurons' argument must be a mapping with the names as keys\. Got \['a'\]\."),
    ],
)
def test_arguments_of_another_type(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        am.from_neurons(**({"inputs": ["x"], "neurons": {"ab": ("tanh", ["x"])}} | arguments))


def test_the_constant_is_no_output():
    with pytest.raises(GraphError, match=r"The output '1' is no neuron\."):
        am.from_neurons(["x"], {"a": ("tanh", ["x", "1"])}, ["1"])


def test_softmax_is_suggested():
    with pytest.raises(UnknownNameError, match=r"Got 'sofmax'\. Did you mean 'softmax'\?"):
        am.from_neurons(["x"], {"a": ("sofmax", ["x"])})


def test_a_long_cycle_is_cut_in_the_message():
    neurons = {f"v{i}": ("tanh", ["x", f"v{(i - 1) % 40}"]) for i in range(40)}
    with pytest.raises(GraphError, match=r"has a cycle: v\d+ -> (v\d+ -> ){11}\.\.\. -> v\d+\. Remove one") as caught:
        am.from_neurons(["x"], neurons)
    *shown, last = re.findall(r"v(\d+)", str(caught.value))
    assert last == shown[0]
    assert all((int(b) - int(a)) % 40 == 1 for a, b in itertools.pairwise(shown))


def test_a_cycle_behind_a_chain_is_shown_without_the_chain():
    neurons = {
        "a": ("tanh", ["x", "b"]),
        "b": ("tanh", ["a"]),
        "c": ("tanh", ["b"]),
        "d": ("tanh", ["c"]),
    }
    with pytest.raises(GraphError, match=r"has a cycle: (a -> b -> a|b -> a -> b)\."):
        am.from_neurons(["x"], neurons)


# networkx


def digraph_of(inputs, neurons, outputs, renamed=lambda name: name):
    """Return the same graph as a DiGraph, by hand."""
    G = nx.DiGraph()
    G.add_nodes_from((renamed(name), {"activation": "input"}) for name in inputs)
    G.add_nodes_from((renamed(name), {"activation": neurons[name][0]}) for name in neurons if name not in outputs)
    G.add_nodes_from((renamed(name), {"activation": neurons[name][0], "output": True}) for name in outputs)
    for name, (_, parents) in neurons.items():
        for parent, edge in parents.items():
            said = {"weight": edge} if not isinstance(edge, E) else vars(edge)
            if parent == "1":
                G.add_node("bias", activation="constant")
            G.add_edge("bias" if parent == "1" else renamed(parent), renamed(name), **said)
    return G


@strategies.QUICK
@given(graph=strategies.shared_graphs(), data=st.data())
def test_a_digraph_is_the_same_network(graph, data):
    inputs, neurons, outputs = graph
    net = am.from_neurons(inputs, neurons, outputs)
    other = am.from_networkx(digraph_of(inputs, neurons, outputs, lambda name: (name, 7)))
    x = data.draw(strategies.samples(len(inputs)))
    np.testing.assert_allclose(other(x), net(x), rtol=1e-12, atol=1e-14)
    assert other.width == net.width
    np.testing.assert_array_equal(np.sort(other.parameters), np.sort(net.parameters))
    for output in range(len(outputs)):
        ours, theirs = (np.sort(n.gradient(x, output)) for n in (net, other))
        np.testing.assert_allclose(theirs, ours, rtol=1e-11, atol=1e-13)


def test_defaults_of_a_digraph():
    """Inputs and outputs in the order of insertion, weights drawn as for names, other attributes left alone."""
    G = nx.DiGraph(title="net")
    G.add_edge("y", "h", colour="red", width=3)
    G.add_edges_from([("x", "h"), ("h", "late"), ("h", "early"), ("x", "early")])
    nx.set_node_attributes(G, {"h": "tanh", "late": "sin", "early": "cos"}, "activation")
    nx.set_node_attributes(G, {"h": (0, 1)}, "pos")
    G.nodes["x"]["label"] = "an input"
    neurons = {"h": ("tanh", ["y", "x"]), "late": ("sin", ["h"]), "early": ("cos", ["h", "x"])}
    net = am.from_neurons(["y", "x"], neurons, ["late", "early"], seed=4)
    other = am.from_networkx(G, seed=4)
    np.testing.assert_array_equal(other.parameters, net.parameters)
    np.testing.assert_array_equal(other([0.3, 0.9]), net([0.3, 0.9]))
    assert am.from_networkx(G, dtype="float32").dtype == np.float32


def test_names_of_any_kind():
    G = nx.DiGraph([((0, 1), frozenset({2})), (3.5, frozenset({2})), (frozenset({2}), None.__class__)])
    nx.set_node_attributes(G, {frozenset({2}): "tanh", None.__class__: "identity"}, "activation")
    nx.set_edge_attributes(G, np.float32(0.5), "weight")
    assert am.from_networkx(G)([1.0, 2.0]) == pytest.approx(0.5 * np.tanh(1.5 / np.sqrt(2.0)), rel=1e-14)


def test_unused_inputs_and_neurons_are_kept_where_that_is_said():
    G = nx.DiGraph([("x", "f"), ("x", "g")])
    G.add_node("unused", activation="input")
    G.add_node("nobody", activation="constant")
    nx.set_node_attributes(G, {"f": "tanh", "g": "sin"}, "activation")
    nx.set_node_attributes(G, {"f": True, "g": np.False_}, "output")
    net = am.from_networkx(G)
    assert (net.n_inputs, net.n_outputs, [layer.size for layer in net.layers]) == (2, 1, [2, 2])
    del G.nodes["f"]["output"]
    net = am.from_networkx(G)
    assert (net.n_outputs, net.layers[-1].neurons[net.graph.outputs[0][1]].activation) == (1, "tanh")


def test_softmax_groups_with_names_are_apart_and_reach_across_layers():
    G = nx.DiGraph([("x", "a"), ("x", "b"), ("x", "c"), ("x", "h"), ("h", "d")], weight=1.0)
    nx.set_edge_attributes(G, {edge: i + 1.0 for i, edge in enumerate(G.edges)}, "weight")
    nx.set_node_attributes(G, dict.fromkeys("abcd", "softmax") | {"h": "identity"}, "activation")
    nx.set_node_attributes(G, {"a": "one", "d": "one", "b": "two", "c": "two"}, "softmax")
    net = am.from_networkx(G)
    e = np.exp(0.1 * np.array([1.0, 2.0, 3.0, 4.0 * 5.0]))
    wanted = [e[0] / (e[0] + e[3]), e[1] / (e[1] + e[2]), e[2] / (e[1] + e[2]), e[3] / (e[0] + e[3])]
    np.testing.assert_allclose(net([0.1]), wanted, rtol=1e-14)
    G.remove_node("d")
    G.add_edge("h", "d", weight=5.0)
    G.nodes["d"]["activation"] = "softmax"  # unnamed: alone in its layer
    np.testing.assert_allclose(am.from_networkx(G)([0.1])[[0, 3]], [1.0, 1.0], rtol=1e-14)
    del G.nodes["c"]["softmax"]
    np.testing.assert_allclose(am.from_networkx(G)([0.1]), np.ones(4), rtol=1e-14)


REMOVED = object()


def chain(**attributes):
    """Return x -> h -> f, with attributes such as ``h__activation`` changed or `REMOVED`."""
    G = nx.DiGraph([("x", "h"), ("h", "f")])
    nx.set_node_attributes(G, {"h": "tanh", "f": "identity"}, "activation")
    for place, value in attributes.items():
        node, key = place.split("__")
        if value is REMOVED:
            del G.nodes[node][key]
        else:
            G.nodes[node][key] = value
    return G


def edges(*extra, **attributes):
    """Return `chain` with more edges, or attributes on x -> h."""
    G = chain()
    G.add_edges_from(extra)
    G.edges["x", "h"].update(attributes)
    return G


def isolated(**attributes):
    G = chain()
    G.add_node("q", **attributes)
    return G


def two_constants():
    G = edges(("one", "h"), ("uno", "f"))
    nx.set_node_attributes(G, {"one": "constant", "uno": "constant"}, "activation")
    return G


def through_softmax():
    G = nx.DiGraph([("x", "a"), ("x", "b"), ("a", "m"), ("m", "b")])
    nx.set_node_attributes(G, {"a": "softmax", "b": "softmax", "m": "tanh"}, "activation")
    nx.set_node_attributes(G, {"a": "s", "b": "s"}, "softmax")
    return G


@pytest.mark.parametrize(
    ("G", "error", "message"),
    [
        ([("x", "h")], ArgumentError, r"^The 'G' argument must be a networkx DiGraph\. Got list\.$"),
        (nx.Graph([(0, 1)]), GraphError, r"must be a DiGraph: edges need a direction\. Got an undirected Graph\.$"),
        (nx.MultiGraph([(0, 1)]), GraphError, r"Got an undirected MultiGraph\.$"),
        (
            nx.MultiDiGraph([("x", "h"), ("h", "f"), ("x", "h")]),
            GraphError,
            r"one edge between two nodes\. Got a MultiDiGraph with parallel edges x->h\.$",
        ),
        (nx.MultiDiGraph([("x", "h")]), GraphError, r"without parallel edges: networkx\.DiGraph\(G\) makes one\.$"),
        (
            edges(("f", "h")),
            GraphError,
            r"^The graph has a cycle: (h -> f -> h|f -> h -> f)\. Remove one of its edges\.$",
        ),
        (edges(("h", "h")), GraphError, r"cycle: h -> h\."),
        (through_softmax(), GraphError, r"cycle: (a -> m -> a|m -> a -> m)\."),
        (nx.DiGraph([(1, 2), (2, 1)]), GraphError, "Node 1 has parents and must have an 'activation' attribute"),
        (nx.DiGraph(), GraphError, r"^The 'G' argument must have an input, a node without parents\. Got none\.$"),
        (
            chain(x__activation="constant"),
            GraphError,
            r"^The 'G' argument must have an input, a node without parents\. Got none\.$",
        ),
        (two_constants(), GraphError, r"one node with activation 'constant' at most\. Got \['one', 'uno'\]\.$"),
        (
            chain(h__activation=REMOVED),
            GraphError,
            r"^Node 'h' has parents and must have an 'activation' attribute\. Got none\.$",
        ),
        (
            chain(h__activation="tahn"),
            UnknownNameError,
            r"'activation of node 'h'' .* Got 'tahn'\. Did you mean 'tanh'\?",
        ),
        (chain(h__activation=3), UnknownNameError, r"'activation of node 'h'' argument must be one of .* Got 3\."),
        (
            chain(h__activation="input"),
            GraphError,
            r"^Node 'h' has activation 'input' and must have no parents\. Got 1\.$",
        ),
        (chain(f__activation="constant"), GraphError, r"^Node 'f' has activation 'constant' and must have no parents"),
        (
            chain(x__activation="tanh"),
            GraphError,
            r"^Node 'x' has no parents and activation 'tanh': give it parents, or leave the activation out to make it "
            r"an input\.$",
        ),
        (chain(x__activation="imput"), GraphError, r"make it an input\. Did you mean 'input'\?$"),
        (chain(x__activation="Constant"), GraphError, r"make it an input\. Did you mean 'constant'\?$"),
        (
            isolated(),
            GraphError,
            r"^Node 'q' has no edges: connect it, remove it, or give it activation 'input' to keep it\.$",
        ),
        (isolated(activation="tanh"), GraphError, "Node 'q' has no parents and activation 'tanh'"),
        (
            chain(h__output=True),
            GraphError,
            r"^Node 'f' reaches no output: remove it, mark it as an output, or keep it with output=False\.$",
        ),
        (chain(f__output=None), ArgumentError, r"'output' attribute of node 'f' must be True or False\. Got None\."),
        (chain(f__output=False), GraphError, r"must have an output, a node with parents\. Got none\."),
        (chain(f__output="yes"), ArgumentError, r"'output' attribute of node 'f' must be True or False\. Got 'yes'\."),
        (chain(x__output=True), GraphError, r"^Node 'x' is marked as an output and must have parents\. Got none\.$"),
        (
            chain(h__softmax="s"),
            GraphError,
            r"'softmax' attribute of node 'h' must be a name, beside activation 'softmax'",
        ),
        (chain(h__activation="softmax", h__softmax=1), GraphError, r"'softmax' attribute of node 'h' must be a name"),
        (
            chain(h__activaton="tanh"),
            GraphError,
            r"^Node 'h' has an unknown attribute 'activaton'\. Did you mean 'activat",
        ),
        (chain(f__outputs=True), GraphError, r"Node 'f' has an unknown attribute 'outputs'\. Did you mean 'output'\?"),
        (edges(wieght=1.0), GraphError, r"^Edge x->h has an unknown attribute 'wieght'\. Did you mean 'weight'\?$"),
        (edges(Weight=1.0), GraphError, r"attribute 'Weight'\. Did you mean 'weight'\?"),
        (edges(trainabel=True), GraphError, r"Did you mean 'trainable'\?"),
        (edges(factors=2.0), GraphError, r"Did you mean 'factor'\?"),
        (edges(share="w"), GraphError, r"Did you mean 'shared'\?"),
        (edges(weight=np.nan), ArgumentError, r"The 'weight x->h' argument must be a finite number\. Got nan\."),
        (edges(weight="heavy"), ArgumentError, r"'weight x->h' argument must be a finite number\. Got 'heavy'\."),
        (edges(trainable="no"), ArgumentError, r"'trainable x->h' argument must be True or False\. Got 'no'\."),
        (edges(trainable=False), GraphError, r"The edge x->h is fixed and must have a weight\. Got none\."),
    ],
)
def test_what_is_no_digraph_of_neurons(G, error, message):
    with pytest.raises(error, match=message) as caught:
        am.from_networkx(G)
    assert "\n" not in str(caught.value)


def test_inputs_alone_have_no_output():
    G = nx.DiGraph()
    G.add_node("x", activation="input")
    with pytest.raises(GraphError, match=r"^The 'G' argument must have an output, a node with parents\. Got none\.$"):
        am.from_networkx(G)


def test_a_digraph_is_left_as_it_was():
    G = chain()
    before = (dict(G.nodes(data=True)), list(G.edges(data=True)))
    am.from_networkx(G)
    assert (dict(G.nodes(data=True)), list(G.edges(data=True))) == before
