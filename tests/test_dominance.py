"""Shares of neurons in the output, of parents in every neuron, and of neurons in their children, edge by edge."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assembly as am
import cases
import naive
import strategies
from assembly.calculus import parents
from assembly.calculus.parents import child_contributions, parent_shares
from assembly.diagnostics.dominance import (
    bent_over_parents,
    channels,
    dominance,
    in_children,
    of_parents,
    over_parents,
    trainable_layers,
)

STEP = 1e-30


def normalised(values):
    values = np.asarray(values, dtype=float)
    return values / values.sum() if values.sum() > 0 else np.full_like(values, np.nan)


def weight(network, edge, w):
    return edge.factor * (edge.frozen if edge.parameter is None else w[edge.parameter])


def own_squares(network, w, x):
    """|da/d(in-weights)|^2 of every neuron, edge by edge, its slope by an imaginary shift."""
    _, post = naive.forward(network, w, x)
    found = dict.fromkeys((naive.ONE, *network.inputs), 0.0)
    for name, (_, edges) in network.neurons.items():
        slope = np.imag(naive.forward(network, w, x, pre_shift={name: 1j * STEP})[1][name]) / STEP
        found[name] = slope**2 * sum((e.factor * post[e.parent]) ** 2 for e in edges if e.parameter is not None)
    return found


def naive_parents(case, inputs):
    """{(kind, neuron): {edge number: share}}, averaged over the inputs at which a parent contributes."""
    network, w, found = case.network(), case.w, {}
    given_ = {*network.inputs, naive.ONE}
    for name, (_, edges) in network.neurons.items():
        edges = [e for e in edges if e.parent != naive.ONE]
        if {e.parent for e in edges} <= given_:
            continue
        rows = {"value": [], "gradient": [], "adjoint": []}
        is_part = [e.parent not in network.inputs for e in edges]
        for x in inputs:
            post, own = naive.forward(network, w, x)[1], own_squares(network, w, x)
            terms = np.array([weight(network, e, w) for e in edges], dtype=float)
            rows["value"].append(normalised(np.abs(terms * [post[e.parent] for e in edges])))
            rows["gradient"].append(normalised(terms**2 * [own[e.parent] for e in edges]))
            rows["adjoint"].append(normalised(terms**2 * is_part))
        for kind, shares in rows.items():
            kept = [row for row in shares if np.isfinite(row).all()]
            found[kind, name] = ([e.parent for e in edges], np.mean(kept, axis=0) if kept else None)
    return found


def check_parents(net, case, inputs):
    nodes = {name: node for layer, names in zip(net.layers, case.names(), strict=True)
             for name, node in zip(names, layer.nodes, strict=True)}  # fmt: skip
    found, wanted = parent_shares(net.evaluate(np.array(inputs))), naive_parents(case, inputs)
    for kind, one in found.items():
        for name in case.network().neurons:
            node = nodes[name]
            above, shares = wanted.get((kind, name), ([], None))
            if shares is None:
                assert np.isnan(one.largest[node])
                assert one.parent[node] == -1
                continue
            assert one.largest[node] == pytest.approx(shares.max(), rel=1e-9)
            assert one.effective_number[node] == pytest.approx(1.0 / np.sum(shares**2), rel=1e-9)
            best = [
                nodes[parent] for parent, share in zip(above, shares, strict=True) if share > shares.max() * (1 - 1e-9)
            ]
            assert one.parent[node] in best


def check_children(net, case, inputs):
    network, w = case.network(), case.w
    found = child_contributions(net.evaluate(np.array(inputs)))
    for row, x in enumerate(inputs):
        post, own = naive.forward(network, w, x)[1], own_squares(network, w, x)
        given_ = {*network.inputs, naive.ONE}
        leaving = dict.fromkeys(post, 0.0)
        for _, edges in network.neurons.values():
            if not {e.parent for e in edges} <= given_:
                for e in edges:
                    leaving[e.parent] += weight(network, e, w) ** 2
        for layer, names in zip(net.layers, case.names(), strict=True):
            terms = {
                "adjoint": [leaving[name] for name in names],
                "value": [leaving[name] * post[name] ** 2 for name in names],
                "gradient": [leaving[name] * own[name] for name in names],
            }
            for kind, values in terms.items():
                np.testing.assert_allclose(found[kind][row, layer.nodes], values, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("case", cases.NAMED, ids=str)
def test_every_neuron_over_its_parents(case):
    inputs = [case.x(), case.x("z")]
    check_parents(case.assembly(), case, inputs)
    check_children(case.assembly(), case, inputs)


def test_parents_in_a_softmax():
    neurons = {"a": ("softmax", ["x", "y"]), "b": ("softmax", ["x"]), "f": ("identity", ["a", "b"])}
    case = cases.graph("softmax-in-the-midst", ["x", "y"], neurons)
    check_parents(case.assembly(), case, [case.x(), case.x("z")])
    check_children(case.assembly(), case, [case.x(), case.x("z")])


@strategies.QUICK
@given(graph=strategies.graphs(), data=st.data())
def test_parents_in_any_graph(graph, data):
    inputs, neurons = graph
    net, twin = am.from_neurons(inputs, neurons), naive.from_neurons(inputs, neurons)[0]
    case = cases.Case("any", lambda: net, lambda _: twin)
    check_parents(net, case, [data.draw(strategies.samples(len(inputs)))])


@pytest.mark.parametrize("name", ["tanh-3", "cnn-2d", "densenet", "committee-of-tied-layers"])
def test_pieces_of_a_pass_do_not_matter(name, monkeypatch):
    net = cases.BY_NAME[name].assembly()
    evaluation = net.evaluate(np.ones(net.n_inputs))
    whole, children = parent_shares(evaluation), child_contributions(evaluation)
    monkeypatch.setattr(parents, "EDGES_AT_ONCE", 1)
    for kind, one in parent_shares(evaluation).items():
        np.testing.assert_allclose(one.largest, whole[kind].largest, rtol=1e-13)
        np.testing.assert_array_equal(one.parent, whole[kind].parent)
    for kind, one in child_contributions(evaluation).items():
        np.testing.assert_allclose(one, children[kind], rtol=1e-13)


@pytest.mark.parametrize("case", cases.NAMED, ids=str)
def test_four_kinds_of_share_are_averages_of_the_naive_ones(case):
    net, inputs = case.assembly(), np.array([case.x(), case.x("z")])
    vectors = [net.hessian(x, case.output).top_pair(1e-10)[1] for x in inputs]
    found = dominance(net, inputs, case.output, vectors)
    network, w = case.network(), case.w
    rows = []
    for x, vector in zip(inputs, vectors, strict=True):
        adjoint, post = naive.adjoints(network, w, x, case.output), naive.forward(network, w, x)[1]
        direction = net.hessian(x, case.output).node_space.Z_transposed(vector)
        own, curved = (
            naive.shares_of(network, naive.gradient(network, w, x, case.output)),
            naive.shares_of(network, direction),
        )
        rows.append({
            name: {"value": abs(adjoint[name][1] * post[name]), "gradient": own[name], "adjoint": adjoint[name][1] ** 2,
                   "curvature": curved[name]}
            for name in network.neurons
        })  # fmt: skip
    for one in found.layers:
        names = case.names()[one.layer]
        for kind, share in one.shares.items():
            each = [normalised([0.0 if n in network.outputs else row[n][kind] for n in names]) for row in rows]
            each = [row for row in each if np.isfinite(row).all()]
            if not each:
                assert np.isnan(share.values).all()
                continue
            wanted = np.mean(each, axis=0)
            np.testing.assert_allclose(share.values, wanted, rtol=1e-5, atol=1e-9)
            assert share.largest == share.values[share.who]
            assert share.effective_number == pytest.approx(1.0 / np.sum(share.values**2), rel=1e-12)
    hidden = [n for one in found.layers for n in case.names()[one.layer] if n not in network.outputs]
    largest = [
        max((abs(naive.adjoints(network, w, x, case.output)[n][1]) for n in hidden), default=0.0) for x in inputs
    ]
    assert found.q_infinity == pytest.approx(np.mean(largest), rel=1e-9, abs=1e-300)


def test_one_input_may_be_given_alone_and_silent_inputs_do_not_count():
    net = am.mlp(2, [6], "relu", seed=3)
    x, silent = np.array([1.0, -2.0]), np.zeros(2)
    alone = dominance(net, x).layers[0]
    with pytest.warns(am.errors.KinkWarning):
        both = dominance(net, [x, silent]).layers[0]
    np.testing.assert_array_equal(both.shares["gradient"].values, alone.shares["gradient"].values)
    net = am.mlp(2, [6, 5], "relu", seed=3)
    leaning = parent_shares(net.evaluate(x))
    for kind, one in parent_shares(net.evaluate([silent, x])).items():
        np.testing.assert_array_equal(one.largest, leaning[kind].largest)
        np.testing.assert_array_equal(one.effective_number, leaning[kind].effective_number)
    assert (alone.largest_share, alone.neuron) == (alone.shares["gradient"].largest, alone.shares["gradient"].who)
    assert "curvature" not in alone.shares


def test_the_last_hidden_layer_is_what_the_output_leans_on():
    net, x = am.mlp(4, [9, 7], seed=0), np.ones(4)
    top = over_parents(net, x)["value"][-1]
    last = dominance(net, x).layers[-1].shares["value"]
    assert (top.layer, top.neuron, top.parent, top.n_parents) == (3, 0, (2, last.who), 7)
    assert top.largest_share == top.typical_share == pytest.approx(last.largest, rel=1e-12)
    assert top.effective_number == top.typical_number == pytest.approx(last.effective_number, rel=1e-12)


def test_the_worst_neuron_of_a_layer_is_named_with_its_parent():
    net = am.mlp(3, [8, 5], "erf", readout="sign", seed=0)
    w = net.parameters.copy()
    w[24:64].reshape(5, 8)[3, 6] = 1000.0
    found = over_parents(net.with_parameters(w), [1.0, 2.0, -1.0])
    for kind in ("value", "gradient", "adjoint"):
        assert (found[kind][0].layer, found[kind][0].neuron, found[kind][0].parent) == (2, 3, (1, 6))
        assert found[kind][0].typical_share < 0.95 < found[kind][0].largest_share


def test_the_parents_of_the_output_have_the_shares_of_the_last_layer():
    net = am.mlp(4, [9, 7], activation="tanh", seed=0)
    X = [[1.0, 2.0, -1.0, 0.5], [0.5, -0.5, 1.0, 2.0]]
    vectors = [net.hessian(x).top_pair(1e-4)[1] for x in X]
    wanted = dominance(net, X, eigenvectors=vectors).layers[-1].shares
    found = of_parents(net.layers[3].neurons[0], X)
    assert list(found) == list(wanted) == ["value", "gradient", "adjoint", "curvature"]
    for kind, share in found.items():
        np.testing.assert_allclose(share.values, wanted[kind].values, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", ["mlp", "dag", "bias"])
def test_the_parents_of_a_neuron_have_all_four_shares(name):
    net = {
        "mlp": lambda: am.mlp(4, [9, 7, 5], activation="gelu", seed=0),
        "dag": lambda: am.random_dag(5, 3, 8, 4, reach=1, seed=2),
        "bias": lambda: am.mlp(4, [9, 7, 5], activation="tanh", bias=True, seed=1),
    }[name]()
    x = np.random.default_rng(0).normal(size=net.n_inputs)
    evaluation = net.evaluate(x)
    nodes = {(i, k): node for i, layer in enumerate(net.layers) for k, node in enumerate(layer.nodes)}
    for neuron in net.layers[3].neurons[:3]:
        found = of_parents(neuron, x)
        terms = neuron.weights * neuron.factors
        assert all(u.layer == 2 for u in neuron.parents)
        value = [evaluation.post[0, nodes[u.layer, u.position]] for u in neuron.parents]
        np.testing.assert_allclose(found["value"].values, normalised(np.abs(terms * value)), rtol=1e-9)
        np.testing.assert_allclose(found["adjoint"].values, normalised(terms**2), rtol=1e-9)
        dense = neuron.pre.hessian(x) @ np.eye(neuron.pre.n_parameters)
        size, vectors = np.linalg.eigh(0.5 * (dense + dense.T))
        top, place = vectors[:, np.argmax(np.abs(size))], list(neuron.pre.parameter_index)
        gradient = neuron.pre.gradient(x)
        own = [[place.index(i) for i in own_edges(net, u)] for u in neuron.parents]
        for kind, direction in (("gradient", gradient), ("curvature", top)):
            wanted = normalised([np.sum(direction[one] ** 2) for one in own])
            np.testing.assert_allclose(found[kind].values, wanted, atol=1e-3 if kind == "curvature" else 1e-12)


def own_edges(net, neuron):
    """Where the weights of the in-edges of a neuron stand among the parameters."""
    found = []
    for position in net.graph.incoming[neuron.group]:
        connection, part = net.graph.connections[position], net.graph.slices[position]
        found += (part.start + np.arange(connection.n_weights)[connection.in_edges(neuron.position)[1]]).tolist()
    return found


def test_who_bends_is_the_parent_with_the_largest_curvature_share():
    net, x = am.bottleneck(3, [16, 2, 16], activation="tanh", seed=0), [1.0, -1.0, 0.5]
    leaning = over_parents(net, x)["gradient"]
    found = bent_over_parents(net, x, leaning)
    assert [(one.layer, one.neuron) for one in found] == [(one.layer, one.neuron) for one in leaning]
    for one in found:
        share = of_parents(net.layers[one.layer].neurons[one.neuron], x)["curvature"]
        assert (one.parent, one.largest_share) == ((one.layer - 1, share.who), share.largest)
        assert one.effective_number == share.effective_number
    assert found[0].largest_share == pytest.approx(1.0)  # over one hidden layer H has a block for every neuron
    linear = am.mlp(3, [4, 4], "identity", seed=0)
    assert bent_over_parents(linear, np.zeros(3), over_parents(linear, x)["gradient"]) == ()


def test_several_edges_from_one_parent_are_one():
    neurons = am.mlp(3, [4], activation="tanh", seed=0).layers[1].neurons
    net = am.Assembly([neurons[0], neurons[0], neurons[1]], [1.0, 2.0, 3.0], scale=1.0)
    found = of_parents(net.layers[2].neurons[0], [1.0, 2.0, -1.0])
    np.testing.assert_allclose(found["adjoint"].values, [0.5, 0.5])


def test_out_weights_are_seen_from_the_children():
    net = am.mlp(3, [8, 5], readout="sign", seed=0)
    w = net.parameters.copy()
    w[24:64].reshape(5, 8)[:, 6] *= 10.0
    found = in_children(net.with_parameters(w), [1.0, 2.0, -1.0])
    matrix = w[24:64].reshape(5, 8)
    np.testing.assert_allclose(found[1]["adjoint"].values, normalised((matrix**2).sum(axis=0)), rtol=1e-12)
    assert found[1]["adjoint"].who == 6
    np.testing.assert_allclose(found[2]["adjoint"].values, 0.2)


def test_channels_and_layers_that_learn():
    net = am.cnn([4], [2, 3], 3, pool=[2, 1], seed=0)
    assert trainable_layers(net) == [1, 3]  # the second are averages
    assert channels(net, 1).tolist() == [0] * 4 + [1] * 4
    assert channels(net, 2) is None
    assert channels(net, 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert channels(am.mlp(3, [4]), 1) is None


def test_bad_arguments_are_refused():
    net = am.mlp(2, [3])
    with pytest.raises(am.errors.ShapeError, match="'X' argument"):
        dominance(net, [1.0, 2.0, 3.0])
    with pytest.raises(am.errors.ArgumentError, match="'output' argument"):
        dominance(net, [1.0, 2.0], 1)
    with pytest.raises(am.errors.NonFiniteError, match="'X' argument"):
        over_parents(net, [[1.0, np.nan]])
