"""Networks out of the package and back: as a networkx DiGraph, and in files."""

import copy
import dataclasses
import hashlib
import io
import json
import os
import re

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assembly as am
import cases
import contracts
import strategies
from assembly import memory
from assembly.errors import (
    ArgumentError,
    AssemblyError,
    DataError,
    GraphError,
    NonFiniteError,
    ResourceError,
    ShapeError,
    UnknownNameError,
)
from assembly.graph import files
from assembly.graph.connections import Own, Tied
from assembly.graph.description import Graph, Group
from assembly.graph.interchange import graph_from_dict, graph_to_dict
from assembly.graph.own import Functions


def has_parallel_edges(case):
    """Return whether two neurons have several edges between them, from the twin."""
    pairs = [(e.parent, name) for name, (_, edges) in case.network().neurons.items() for e in edges]
    return len(set(pairs)) < len(pairs)


def has_own(case):
    return any(isinstance(connection, Own) for connection in case.assembly().graph.connections)


def check_same(found, wanted):
    """Every group, output, and field of every connection, bit for bit; lists of frozen weights come back as float64."""
    assert (found.groups, found.outputs) == (wanted.groups, wanted.outputs)
    for ours, theirs in zip(found.connections, wanted.connections, strict=True):
        assert type(ours) is type(theirs)
        for field in dataclasses.fields(theirs):
            one, other = getattr(ours, field.name), getattr(theirs, field.name)
            np.testing.assert_array_equal(one, other)
            if isinstance(other, np.ndarray) and field.name != "values":
                assert one.dtype == other.dtype


EVERY = [case for case in [*cases.CASES, *cases.FLOAT32] if not has_own(case)]
SIMPLE = [case for case in EVERY if not has_parallel_edges(case)]
PARALLEL = [case for case in EVERY if has_parallel_edges(case)]
IN_DOUBLE = [case for case in SIMPLE if case.assembly().dtype == np.float64]
IN_SINGLE = [case for case in SIMPLE if case.assembly().dtype == np.float32]
QUADRATIC = Functions("quadratic", 2, lambda w, x: w @ w, lambda w, x: 2 * w, lambda w, x, v: 2 * v)


def own_network():
    graph = Graph((Group(3, "input"), Group(2, "identity")), (Own(0, 1, 3, 2, np.ones(2), QUADRATIC),), ((1, 0),))
    return am.Assembly.from_graph(graph, np.arange(4.0))


# networkx


def check_round_trip(net, x, output):
    """The same function of the parameters: value, gradient up to their order, Hessian norm; and the same structure."""
    rng = np.random.default_rng(0)
    there = net.with_parameters(rng.normal(size=net.n_parameters))  # all different: they tell the order
    back = am.from_networkx(there.to_networkx())
    order = np.argsort(there.parameters)[np.argsort(np.argsort(back.parameters))]
    np.testing.assert_array_equal(there.parameters[order], back.parameters)
    assert contracts.error(np.atleast_1d(back(x)), np.atleast_1d(there(x))) < 1e-13
    assert contracts.error(back.gradient(x, output), there.gradient(x, output)[order]) < 1e-12
    norms = [float(n.hessian(x, output).norm()) for n in (back, there)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-9, abs=1e-12)
    assert back.width == there.width
    assert [layer.size for layer in back.layers] == [layer.size for layer in there.layers]


@pytest.mark.parametrize("case", IN_DOUBLE, ids=str)
def test_networkx_and_back(case):
    net = case.assembly()
    back = am.from_networkx(net.to_networkx())
    np.testing.assert_array_equal(np.sort(back.parameters), np.sort(net.parameters))
    check_round_trip(net, case.x(), case.output)


@strategies.QUICK
@given(graph=strategies.shared_graphs(), data=st.data())
def test_networkx_and_back_for_any_graph(graph, data):
    check_round_trip(am.from_neurons(*graph), data.draw(strategies.samples(len(graph[0]))), 1)


@pytest.mark.parametrize("case", IN_SINGLE, ids=str)
def test_float32_weights_are_exact(case):
    net = case.assembly()
    back = am.from_networkx(net.to_networkx(), dtype="float32")
    np.testing.assert_array_equal(np.sort(back.parameters), np.sort(net.parameters))
    assert contracts.error(np.atleast_1d(back(case.x())), np.atleast_1d(net(case.x()))) < 1e-6


@pytest.mark.parametrize("case", PARALLEL, ids=str)
def test_parallel_edges_are_refused_by_name(case):
    net = case.assembly()
    with pytest.raises(
        GraphError, match=r"^The neurons '[^']*' and '[^']*' have several edges between them, and a Di"
    ) as e:
        net.to_networkx()
    above, below = (tuple(map(int, place)) for place in re.findall(r"'l(\d+)\.(\d+)'", str(e.value)))
    target, source = (net.layers[layer].neurons[i] for layer, i in (below, above))
    assert [(p.group, p.position) for p in target.parents].count((source.group, source.position)) > 1


def test_there_are_cases_of_both_kinds():
    assert {case.name for case in PARALLEL} >= {"shared-part-twice", "shared-part-twice-trainable"}
    assert len(IN_DOUBLE) > 70
    assert len(IN_SINGLE) >= 4


def test_what_stands_in_a_digraph():
    neurons = {
        "h": ("tanh", {"x": 0.5, "y": am.Edge(0.25, shared="w"), "1": -1.0}),
        "g": ("sin", {"y": am.Edge(shared="w")}),
        "f": ("identity", {"h": 2.0, "x": am.Edge(3.0, trainable=False)}),
    }
    G = am.from_neurons(["x", "y"], neurons, ["f", "h", "g"]).to_networkx()
    assert list(G.nodes(data=True)) == [
        ("x0", {"activation": "input", "layer": 0}),
        ("x1", {"activation": "input", "layer": 0}),
        ("one", {"activation": "constant", "layer": 0}),
        ("l2.0", {"activation": "identity", "layer": 2, "output": True}),
        ("l1.0", {"activation": "tanh", "layer": 1, "output": True}),
        ("l1.1", {"activation": "sin", "layer": 1, "output": True}),
    ]
    root = 1.0 / np.sqrt(2.0)
    assert dict(G.edges) == {
        ("x0", "l1.0"): {"weight": 0.5, "trainable": True, "factor": root},
        ("one", "l1.0"): {"weight": -1.0, "trainable": True, "factor": 1.0},
        ("x0", "l2.0"): {"weight": 3.0, "trainable": False, "factor": 1.0},
        ("l1.0", "l2.0"): {"weight": 2.0, "trainable": True, "factor": 1.0},
        ("x1", "l1.0"): {"weight": 0.25, "trainable": True, "factor": root, "shared": "w3"},
        ("x1", "l1.1"): {"weight": 0.25, "trainable": True, "factor": 1.0, "shared": "w3"},
    }
    assert all(type(edge["weight"]) is float for _, _, edge in G.edges(data=True))


def test_the_number_of_a_shared_weight_is_that_of_the_parameter():
    net = am.cnn((5,), [2, 2], 3, seed=1)
    for _, _, edge in net.to_networkx().edges(data=True):
        if "shared" in edge:
            assert net.parameters[int(edge["shared"][1:])] == edge["weight"]


def test_names_are_places_in_the_layers():
    net = cases.BY_NAME["sparse-with-skips"].assembly()
    G = net.to_networkx()
    for layer in net.layers[1:]:
        for i, neuron in enumerate(layer.neurons):
            node = G.nodes[f"l{layer.index}.{i}"]
            assert (node["activation"], node["layer"]) == (neuron.activation, neuron.layer)
            assert G.in_degree(f"l{layer.index}.{i}") == neuron.in_degree


def test_analysis_by_networkx():
    G = am.random_dag(3, 4, 6, 2, seed=0).to_networkx()
    assert nx.is_directed_acyclic_graph(G)
    assert nx.dag_longest_path_length(G, weight=None) == max(layer for _, layer in G.nodes(data="layer"))


def test_softmax_groups_that_differ_in_depth_stay_together():
    """The layer of a softmax is that of its deepest neuron, also for neurons that could stand below."""
    neurons = {"a": ("tanh", ["x"]), "p": ("identity", ["a"]), "q": ("identity", ["x"]), "f": ("identity", ["p", "q"])}
    net = am.from_neurons(["x"], neurons)
    G = net.to_networkx()
    for name in ("l2.0", "l1.1"):
        G.nodes[name].update(activation="softmax", softmax="s")
    back = am.from_networkx(am.from_networkx(G).to_networkx())
    x, w = 0.7, {(u, v): edge["weight"] for u, v, edge in G.edges(data=True)}
    p, q = np.exp(w["l1.0", "l2.0"] * np.tanh(w["x0", "l1.0"] * x)), np.exp(w["x0", "l1.1"] * x)
    wanted = (w["l2.0", "l3.0"] * p + w["l1.1", "l3.0"] * q) / (p + q) / np.sqrt(2.0)
    assert back([x]) == pytest.approx(wanted, rel=1e-13)
    assert [layer.size for layer in back.layers] == [1, 1, 2, 1]


def test_a_network_with_a_sub_model_of_ones_own_has_no_digraph():
    with pytest.raises(GraphError, match=r"^The sub-model 'quadratic' of your own has no neurons and edges"):
        own_network().to_networkx()
    for case in filter(has_own, cases.CASES):
        with pytest.raises(GraphError, match="of your own has no neurons and edges"):
            case.assembly().to_networkx()


def test_an_output_given_twice_has_no_digraph():
    net = am.mlp(2, [3])
    twice = am.Assembly.from_graph(Graph(net.graph.groups, net.graph.connections, ((2, 0), (2, 0))), net.parameters)
    with pytest.raises(GraphError, match=r"^A neuron is an output twice, .* Got \['l2\.0', 'l2\.0'\]\.$"):
        twice.to_networkx()


def test_a_digraph_that_would_not_fit_is_refused_before_it_is_made(monkeypatch):
    net = am.mlp(100, [1000])
    monkeypatch.setattr(memory, "available_memory", lambda: 2**26)
    with pytest.raises(
        ResourceError, match=r"A networkx graph of 101,000 edges needs about 0\.0963 GiB, 0\.0625 GiB are"
    ):
        net.to_networkx()


# Files


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.json"


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_a_file_and_back(case, path):
    net = case.assembly()
    net.save(path)
    back = am.load(path)
    check_same(back.graph, net.graph)
    assert back.dtype == net.dtype
    np.testing.assert_array_equal(back.parameters, net.parameters)
    assert np.asarray(back(case.x())).tobytes() == np.asarray(net(case.x())).tobytes()
    assert sorted(os.listdir(path.parent)) == ["net.json", "net.npz"]


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_a_file_without_weights_and_back(case, path):
    net = case.assembly()
    am.save(net, path, weights=False)
    back, other = am.load(path, seed=1), am.load(str(path), seed=2)
    check_same(back.graph, net.graph)
    assert back.dtype == net.dtype
    assert os.listdir(path.parent) == ["net.json"]
    same = back.with_parameters(net.parameters)
    assert np.asarray(same(case.x())).tobytes() == np.asarray(net(case.x())).tobytes()
    np.testing.assert_array_equal(back.parameters, am.load(path, seed=1).parameters)
    assert not (back.parameters == other.parameters).any()


@strategies.QUICK
@given(graph=strategies.shared_graphs())
def test_any_graph_as_a_dictionary_of_plain_values(graph):
    net = am.from_neurons(*graph)
    plain = json.loads(json.dumps(graph_to_dict(net.graph)))
    check_same(graph_from_dict(plain), net.graph)
    arrays = {}
    named = json.loads(json.dumps(graph_to_dict(net.graph, arrays)))
    check_same(graph_from_dict(named, arrays), net.graph)
    assert not any(isinstance(value, list) for entry in named["connections"] for value in entry.values())


def test_drawn_parameters_are_standard_normal(path):
    """10,000 draws; mean and variance within 5 standard errors, a false alarm of 6e-7 each, and the seed is fixed."""
    am.mlp(10, [1000], parametrization="standard").save(path, weights=False)
    w = am.load(path).parameters[:10_000]
    assert abs(w.mean()) < 5.0 / np.sqrt(len(w))
    assert abs(np.mean(w**2) - 1.0) < 5.0 * np.sqrt(2.0 / len(w))


def test_what_stands_in_a_file(path):
    neurons = {
        "h": ("tanh", {"x": 0.5, "y": am.Edge(0.25, shared="w")}),
        "f": ("sin", {"h": 2.0, "x": am.Edge(3.0, False)}),
    }
    net = am.from_neurons(["x", "y"], neurons)
    net.save(path)
    document = json.loads(path.read_text())
    digest = hashlib.sha256(path.with_suffix(".npz").read_bytes()).hexdigest()
    sparse = {"source": 0, "target": 1, "indptr": "connection 0 indptr", "indices": "connection 0 indices"}
    root = 1.0 / np.sqrt(2.0)
    assert document["graph"]["connections"][0] == {"kind": "sparse", "factor": root, "values": None} | sparse
    assert {key: document[key] for key in ("format", "version", "dtype", "weights", "sha256")} == {
        "format": "assembly",
        "version": 1,
        "dtype": "float64",
        "weights": "net.npz",
        "sha256": digest,
    }
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["parameters"], net.parameters)
        assert all(array.dtype != object for array in arrays.values())
    am.save(net, path, weights=False)
    graph = json.loads(path.read_text())["graph"]
    assert graph["groups"] == [
        {"size": 2, "activation": "input"},
        {"size": 1, "activation": "tanh"},
        {"size": 1, "activation": "sin"},
    ]
    assert graph["connections"][1]["values"] == [3.0]
    assert graph["connections"][3] == {
        "kind": "tied",
        "source": 0,
        "target": 1,
        "factor": root,
        "indptr": [0, 1],
        "indices": [1],
        "weight": [0],
        "n_weights": 1,
        "pool": 0,
    }
    assert graph["outputs"] == [[2, 0]]


def test_lists_of_numbers_stand_on_one_line(path):
    am.from_neurons(["x", "y"], cases.MIXED | {"extra": ("sin", ["x"])}).save(path, weights=False)
    assert '"indices": [' in path.read_text()
    assert not re.search(r"\n\s*-?[0-9.]+,?\n", path.read_text())


def test_files_are_replaced(path):
    one, two = am.mlp(2, [3], seed=0), am.mlp(3, [4, 2], seed=1)
    one.save(path)
    two.save(path)
    np.testing.assert_array_equal(am.load(path).parameters, two.parameters)
    one.save(path, weights=False)
    assert am.load(path).n_parameters == one.n_parameters
    two.save(path)
    np.testing.assert_array_equal(am.load(path).parameters, two.parameters)


def test_a_table_of_somebody_is_not_overwritten(path):
    np.savez(path.with_suffix(".npz"), X=np.eye(2))
    before = path.with_suffix(".npz").read_bytes()
    with pytest.raises(
        DataError, match=r"The file 'net\.npz' exists and belongs to no 'net\.json': move one or rename\."
    ):
        am.mlp(2, [3]).save(path)
    assert path.with_suffix(".npz").read_bytes() == before
    am.mlp(2, [3]).save(path, weights=False)  # touches the JSON file alone
    assert path.with_suffix(".npz").read_bytes() == before


@pytest.mark.parametrize("failing", ["net.npz", "net.json"])
def test_a_crash_leaves_the_network_before_or_none_at_all(path, monkeypatch, failing):
    old = am.mlp(2, [3], seed=0)
    old.save(path)
    replace = os.replace

    def crash(partial, target):
        if os.path.basename(target) == failing:
            raise KeyboardInterrupt
        replace(partial, target)

    monkeypatch.setattr(files.os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        am.mlp(2, [3], seed=1).save(path)
    assert sorted(os.listdir(path.parent)) == ["net.json", "net.npz"]
    if failing == "net.npz":
        np.testing.assert_array_equal(am.load(path).parameters, old.parameters)
    else:
        with pytest.raises(
            DataError, match=r"'net\.npz' is damaged or belongs to another network: its SHA-256 differs"
        ):
            am.load(path)


def test_a_file_cut_short_anywhere_is_refused(path):
    am.from_neurons(["x", "y"], {"h": ("tanh", {"x": 1.0, "1": 2.0}), "f": ("sin", {"h": 1.0, "y": 1.0})}).save(path)
    for file in (path, path.with_suffix(".npz")):
        whole = file.read_bytes()
        for size in [*range(0, len(whole), 11), *range(len(whole) - 25, len(whole))]:
            file.write_bytes(whole[:size])
            with pytest.raises(DataError, match="complete" if file == path else "SHA-256"):
                am.load(path)
        file.write_bytes(whole)
    am.load(path)


def test_a_file_without_weights_cut_short_anywhere_is_refused(path):
    am.from_neurons(["x", "y"], cases.MIXED).save(path, weights=False)
    whole = path.read_bytes()
    for size in [*range(0, len(whole), 7), *range(len(whole) - 25, len(whole))]:
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="complete"):
            am.load(path)


def test_a_flipped_byte_of_the_weights_is_seen(path):
    am.mlp(2, [3]).save(path)
    npz = path.with_suffix(".npz")
    whole = npz.read_bytes()
    for place in range(0, len(whole), 7):
        npz.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataError, match="SHA-256"):
            am.load(path)


# What is no file of ours


def written(path, net=None, *, weights=False):
    """Write a network and return its document."""
    (
        net or am.from_neurons(["x", "y"], {"a": ("tanh", ["x"]), "b": ("sin", ["x", "y"]), "f": ("cos", ["a", "b"])})
    ).save(path, weights=weights)
    return json.loads(path.read_text())


DELETED = object()


def changed(document, place, value):
    """Return the document with one entry, given as ``graph.connections.0.indptr``, changed or deleted."""
    document = copy.deepcopy(document)
    *way, last = [int(step) if step.isdecimal() else step for step in place.split(".")]
    entry = document
    for step in way:
        entry = entry[step]
    if value is DELETED:
        del entry[last]
    else:
        entry[last] = value
    return document


@pytest.mark.parametrize(
    ("place", "value", "error", "message"),
    [
        (
            "format",
            "asembly",
            DataError,
            r"'format' entry must be one of assembly, assembly-neurons\. Got 'asembly'\. Did y",
        ),
        ("format", DELETED, DataError, r"'format' entry must be one of .* Got None\."),
        ("format", ["assembly"], DataError, r"'format' entry must be one of"),
        ("version", 2, DataError, r"'version' entry must be 1, the only one known here\. Got 2\."),
        ("version", True, DataError, r"'version' entry must be 1, the only one known here\. Got True\."),
        ("version", DELETED, DataError, r"'version' entry must be 1"),
        ("dtype", "float16", UnknownNameError, r"'dtype' argument must be one of float64, float32\. Got 'float16'"),
        (
            "weigths",
            None,
            DataError,
            r"'file' entry must have no other keys than .* Got 'weigths'\. Did you mean 'weights'",
        ),
        ("sha256", "0", DataError, r"no other keys than .* Got 'sha256'"),
        (
            "weights",
            DELETED,
            DataError,
            r"'file' entry must have the key 'weights'\. Got format, version, dtype, graph\.",
        ),
        ("graph", [], DataError, r"'graph' entry must be a JSON object with keys\. Got \[\]\."),
        ("graph", {}, DataError, r"'graph' entry must have the key 'groups'\. Got none\."),
        ("graph.groups", [], DataError, r"'graph\.groups' entry must be a list that is not empty\. Got \[\]\."),
        ("graph.groups", {}, DataError, r"'graph\.groups' entry must be a list"),
        ("graph.connections", [], DataError, r"'graph\.connections' entry must be a list that is not empty"),
        ("graph.outputs", [], DataError, r"'graph\.outputs' entry must be a list that is not empty"),
        (
            "graph.groups.0.size",
            0,
            ArgumentError,
            r"'graph\.groups\[0\]\.size' argument must be an int of at least 1\. Got 0",
        ),
        ("graph.groups.0.size", 2.0, ArgumentError, r"must be an int of at least 1\. Got 2\.0"),
        ("graph.groups.0.size", 10**17, ResourceError, r"neurons needs about .* GiB are free: give smaller groups"),
        (
            "graph.groups.0.activation",
            "tanh",
            UnknownNameError,
            r"groups\[0\]\.activation' argument must be one of input\.",
        ),
        (
            "graph.groups.0.activation",
            ["tanh", "tanh"],
            GraphError,
            r"'graph\.groups\[0\]' entry must be the inputs\. Got",
        ),
        ("graph.groups.1.activation", "tahn", UnknownNameError, r"Got 'tahn'\. Did you mean 'tanh'\?"),
        ("graph.groups.1.activation", "input", UnknownNameError, r"groups\[1\]\.activation' argument must be one of"),
        ("graph.groups.1.activation", ["tanh"], ShapeError, r"activation' entry must hold 2 names\. Got 1\."),
        ("graph.groups.1.activation", ["tanh", "softmax"], UnknownNameError, r"groups\[1\]\.activation\[1\]' argument"),
        (
            "graph.groups.1.activation",
            "constant",
            ShapeError,
            r"groups\[1\]\.size' entry must be 1 for the constant\. Got 2",
        ),
        ("graph.groups.1.actvation", "tanh", DataError, r"Got 'actvation'\. Did you mean 'activation'\?"),
        ("graph.groups.1.size", DELETED, DataError, r"groups\[1\]' entry must have the key 'size'\. Got activation\."),
        ("graph.groups.0.size", 1, GraphError, r"indices' entry must hold numbers from 0 to 0\. Got 1\."),
        (
            "graph.connections.0.kind",
            "sparce",
            UnknownNameError,
            r"kind' argument .* Got 'sparce'\. Did you mean 'sparse'",
        ),
        (
            "graph.connections.0.kind",
            ["dense"],
            UnknownNameError,
            r"kind' argument must be one of dense, sparse, tied, conv",
        ),
        (
            "graph.connections.0.kind",
            "own",
            GraphError,
            r"connections\[0\]' entry is a sub-model of somebody's own, which a",
        ),
        (
            "graph.connections.0.kind",
            DELETED,
            DataError,
            r"no other keys than kind, source, target, factor\. Got 'indptr'",
        ),
        ("graph.connections.0", 3, DataError, r"connections\[0\]' entry must be a JSON object with keys\. Got 3\."),
        ("graph.connections.0.kind", "dense", DataError, r"no other keys than .* Got 'indptr'"),
        (
            "graph.connections.0.source",
            1,
            GraphError,
            r"must lead from a group to neurons of a later one\. Got source 1 and t",
        ),
        (
            "graph.connections.1.source",
            2,
            GraphError,
            r"connections\[1\]' entry must lead .* Got source 2 and target 2\.",
        ),
        ("graph.connections.0.source", -1, ArgumentError, r"source' argument must be an int of at least 0\. Got -1"),
        ("graph.connections.0.target", 3, GraphError, r"connections\[0\]\.target' entry must be below 3\. Got 3\."),
        ("graph.connections.0.target", 2, ShapeError, r"connections\[0\]\.factor' argument must have shape \(1,\)"),
        ("graph.connections.0.factor", None, ArgumentError, r"factor' argument must be a finite number\. Got None"),
        (
            "graph.connections.0.factor",
            [1.0],
            ShapeError,
            r"factor' argument must have shape \(2,\)\. Got shape \(1,\)",
        ),
        ("graph.connections.0.factor", "x", DataError, r"factor' entry must name an array that is there\. Got 'x'\."),
        (
            "graph.connections.0.indptr",
            [0, 1],
            ShapeError,
            r"indptr' entry must have shape \(3,\)\. Got shape \(2,\)\.",
        ),
        ("graph.connections.0.indptr", [1, 1, 3], GraphError, r"indptr' entry must begin with 0 and never fall\."),
        ("graph.connections.0.indptr", [0, 4, 3], GraphError, r"indptr' entry must begin with 0 and never fall\."),
        (
            "graph.connections.0.indptr",
            [0, 1, 2],
            ShapeError,
            r"indices' entry must have shape \(2,\)\. Got shape \(3,\)\.",
        ),
        (
            "graph.connections.0.indptr",
            [0.0, 1.0, 3.0],
            DataError,
            r"indptr' entry must hold whole numbers\. Got float64",
        ),
        (
            "graph.connections.0.indices",
            [0, 1, 2],
            GraphError,
            r"indices' entry must hold numbers from 0 to 1\. Got 2\.",
        ),
        (
            "graph.connections.0.indices",
            [0, -1, 1],
            GraphError,
            r"indices' entry must hold numbers from 0 to 1\. Got -1\.",
        ),
        ("graph.connections.0.indices", [0, 2**32, 1], GraphError, r"from 0 to 1\. Got 4294967296\."),
        (
            "graph.connections.0.indices",
            [0, "1", 1],
            DataError,
            r"indices' entry must be a list of numbers\. Got \[0, '1',",
        ),
        ("graph.connections.0.indices", [[0], [1], 2], DataError, r"indices' entry must be a list of numbers"),
        ("graph.connections.0.indices", 3, DataError, r"indices' entry must be a list of numbers\. Got 3\."),
        ("graph.connections.0.indices", "a" * 80, DataError, r"must name an array that is there\. Got 'a{80}'"),
        (
            "graph.connections.0.values",
            [1.0, 2.0],
            ShapeError,
            r"values' argument must have shape \(3,\)\. Got shape \(2,\)",
        ),
        (
            "graph.connections.0.values",
            [1.0, 2.0, 1e999],
            NonFiniteError,
            r"values' argument must be finite\. Got inf at ind",
        ),
        ("graph.connections.1.values", [1.0], ShapeError, r"values' argument must have shape \(2,\)"),
        ("graph.connections.0.value", [1.0], DataError, r"Got 'value'\. Did you mean 'values'\?"),
        ("graph.outputs.0", [2], DataError, r"outputs\[0\]' entry must be a pair \[group, position\]\. Got \[2\]\."),
        ("graph.outputs.0", [3, 0], GraphError, r"outputs\[0\]\[0\]' entry must be below 3\. Got 3\."),
        ("graph.outputs.0", [2, 1], GraphError, r"outputs\[0\]\[1\]' entry must be below 1\. Got 1\."),
        (
            "graph.outputs.0",
            [2, "0"],
            ArgumentError,
            r"outputs\[0\]\[1\]' argument must be an int of at least 0\. Got '0'",
        ),
    ],
)
def test_what_is_no_network(path, place, value, error, message):
    document = changed(written(path), place, value)
    path.write_text(json.dumps(document).replace("Infinity", "1e999"))
    with pytest.raises(error, match=message) as caught:
        am.load(path)
    assert str(caught.value).startswith("The file 'net.json' holds no network. ")
    assert "\n" not in str(caught.value)


def test_the_document_that_is_changed_is_one_of_a_network(path):
    document = written(path)
    assert [c["kind"] for c in document["graph"]["connections"]] == ["sparse", "dense"]
    path.write_text(json.dumps(document))
    am.load(path)


def test_a_group_that_nothing_leads_into(path):
    document = written(path)
    document["graph"]["groups"].insert(2, {"size": 1, "activation": "tanh"})
    document["graph"]["connections"][1]["target"] = 3
    document["graph"]["outputs"] = [[3, 0]]
    path.write_text(json.dumps(document))
    with pytest.raises(GraphError, match=r"must lead into every group of neurons\. Got none into 2\."):
        am.load(path)


def test_two_constants(path):
    document = written(path, am.mlp(2, [3], bias=True))
    document["graph"]["groups"].append({"size": 1, "activation": "constant"})
    path.write_text(json.dumps(document))
    with pytest.raises(GraphError, match=r"must hold one constant at most"):
        am.load(path)


TIED = [
    ("weight", [0, 1, 9], GraphError, r"weight' entry must hold numbers from 0 to 1\. Got 9\."),
    ("weight", [0], ShapeError, r"weight' entry must have shape \(3,\)\. Got shape \(1,\)\."),
    ("n_weights", 0, ArgumentError, r"n_weights' argument must be an int of at least 1\. Got 0"),
    ("n_weights", 3, GraphError, r"connections\[1\]\.n_weights' entry must be 3, as elsewhere in pool 0\. Got 2\."),
    ("pool", -1, ArgumentError, r"pool' argument must be an int of at least 0"),
    ("pool", DELETED, DataError, r"entry must have the key 'pool'"),
]


@pytest.mark.parametrize(("key", "value", "error", "message"), TIED)
def test_what_is_no_tied_connection(path, key, value, error, message):
    w, v = am.Edge(1.0, shared="w"), am.Edge(2.0, shared="v")
    net = am.from_neurons(
        ["x", "y"], {"a": ("tanh", {"x": w}), "b": ("sin", {"x": v, "y": w}), "f": ("cos", {"a": v})}, ["f", "b"]
    )
    assert [type(c) for c in net.graph.connections] == [Tied, Tied]
    document = changed(written(path, net), f"graph.connections.0.{key}", value)
    path.write_text(json.dumps(document))
    with pytest.raises(error, match=message):
        am.load(path)


@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        (
            "channels",
            3,
            ShapeError,
            r"must have windows from 12 neurons to 8\. Got windows of shape \(4,\) from 18 to 8\.",
        ),
        ("n_channels", 3, ShapeError, r"Got windows of shape \(4,\) from 12 to 12\."),
        ("kernel", [9], ShapeError, r"Got windows of shape \(-2,\) from 12 to -4\."),
        ("kernel", [3, 3], ShapeError, r"must have a shape, kernel, stride and padding of one length\."),
        ("kernel", [], DataError, r"kernel' entry must be a list of whole numbers\. Got \[\]\."),
        ("kernel", 3, DataError, r"kernel' entry must be a list of whole numbers\. Got 3\."),
        ("stride", [0], ArgumentError, r"stride\[0\]' argument must be an int of at least 1\. Got 0"),
        ("padding", [-1], ArgumentError, r"padding\[0\]' argument must be an int of at least 0\. Got -1"),
    ],
)
def test_what_is_no_convolution(path, key, value, error, message):
    net = am.cnn((6,), [2], 3, padding=0, n_channels=2)
    document = changed(written(path, net), f"graph.connections.0.{key}", value)
    path.write_text(json.dumps(document))
    with pytest.raises(error, match=message):
        am.load(path)


def rewritten(path, change):
    """Write a network, let `change` make other arrays of its arrays, and give them the right checksum."""
    document = written(path, weights=True)
    with np.load(path.with_suffix(".npz")) as loaded:
        arrays = change(dict(loaded))
    file = io.BytesIO()
    if isinstance(arrays, dict):
        np.savez(file, **arrays)
    else:
        file.write(arrays)
    path.with_suffix(".npz").write_bytes(file.getvalue())
    document["sha256"] = hashlib.sha256(file.getvalue()).hexdigest()
    path.write_text(json.dumps(document))


def saved(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda arrays: arrays | {"parameters": arrays["parameters"][1:]},
            ShapeError,
            r"'parameters' .* shape \(5,\)\. Got",
        ),
        (
            lambda arrays: arrays | {"parameters": np.full(5, np.nan)},
            NonFiniteError,
            r"'parameters' argument must be finite",
        ),
        (
            lambda arrays: arrays | {"parameters": np.ones(5, "float32")},
            DataError,
            r"array 'parameters' of float64\. Got float32",
        ),
        (
            lambda arrays: {key: arrays[key] for key in arrays if key != "parameters"},
            DataError,
            r"'parameters' of float64\. Got none",
        ),
        (
            lambda arrays: {"parameters": arrays["parameters"]},
            DataError,
            r"must name an array that is there\. Got 'connection 0",
        ),
        (
            lambda arrays: arrays | {"connection 0 indices": arrays["connection 0 indices"] + 1},
            GraphError,
            r"indices' entry must hold numbers from 0 to 1\. Got 2\.",
        ),
        (
            lambda arrays: arrays | {"connection 0 indices": np.array([0, 1, 2**63 + 1], "uint64")},
            GraphError,
            r"indices' entry must hold numbers from 0 to 1\. Got 9223372036854775809\.",
        ),
        (
            lambda arrays: arrays | {"connection 0 indices": arrays["connection 0 indices"].reshape(-1, 1)},
            ShapeError,
            r"indices' entry must have shape \(3,\)\. Got shape \(3, 1\)",
        ),
        (
            lambda arrays: arrays | {"connection 0 indices": arrays["connection 0 indices"].astype(bool)},
            DataError,
            r"indices' entry must hold whole numbers\. Got bool\.",
        ),
        (
            lambda arrays: arrays | {"parameters": np.array(["a"] * 5)},
            DataError,
            r"array 'parameters' of float64\. Got <U1",
        ),
        (lambda arrays: b"", DataError, r"'net\.npz' must be a complete NPZ file of numbers\."),
        (lambda arrays: b"PK\x03\x04", DataError, r"'net\.npz' must be a complete NPZ file of numbers\."),
        (lambda arrays: saved(np.ones(5)), DataError, r"'net\.npz' must be a complete NPZ file of numbers\."),
        (lambda arrays: saved(np.array([{}])), DataError, r"'net\.npz' must be a complete NPZ file of numbers\."),
    ],
)
def test_arrays_that_do_not_belong(path, change, error, message):
    rewritten(path, lambda arrays: arrays)
    am.load(path)
    rewritten(path, change)
    with pytest.raises(error, match=message):
        am.load(path)


def test_pickled_objects_are_never_loaded(path):
    trapped = path.with_name("trapped")

    class Trap:
        def __reduce__(self):
            return (trapped.touch, ())

    file = io.BytesIO()
    np.savez(file, parameters=np.array([Trap()] * 5, dtype=object))
    rewritten(path, lambda arrays: file.getvalue())
    with pytest.raises(DataError, match="must be a complete NPZ file of numbers"):
        am.load(path)
    assert not trapped.exists()


@pytest.mark.parametrize("name", ["../net.npz", "", 3, ".", "/tmp/net.npz", "folder/net.npz"])
def test_weights_stand_in_the_same_folder(path, name):
    document = written(path, weights=True)
    path.write_text(json.dumps(document | {"weights": name}))
    with pytest.raises(
        DataError, match=r"'weights' entry must be the name of a file in the same folder\. Got|cannot be read"
    ):
        am.load(path)


def test_missing_weights(path):
    document = written(path, weights=True)
    path.with_suffix(".npz").unlink()
    with pytest.raises(
        DataError, match=r"The file 'net\.npz' with the weights must stand beside 'net\.json'\. Got none\."
    ):
        am.load(path)
    path.with_suffix(".npz").mkdir()
    with pytest.raises(DataError, match=r"The file 'net\.npz' cannot be read: Is a directory\."):
        am.load(path)
    path.write_text(json.dumps(changed(document, "sha256", DELETED)))
    with pytest.raises(DataError, match=r"'file' entry must have the key 'sha256'"):
        am.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"'net\.json' must be complete and valid JSON\. Expecting value"),
        ("[1, 2]", r"'net\.json' must hold a JSON object\. Got list\."),
        ('{"format": "assembly", "version": NaN}', r"valid JSON\. NaN is no number\."),
        ('{"format": "assembly", "format": "x"}', r"valid JSON\. The key 'format' stands twice in one object\."),
        ("[" * 100_000, r"must be complete and valid JSON"),
        ('{"version": ' + "9" * 5000 + "}", r"valid JSON\. The number 9{18}\.\.\. has more than 18 digits\."),
        ('{"version": ' + "9" * 400 + "}", r"has more than 18 digits\."),
        (b"\xff\xfe\xfa", r"must be UTF-8 text: JSON\. Got the byte 0xff"),
    ],
)
def test_what_is_no_json(path, text, message):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        am.load(path)


@pytest.mark.parametrize("call", [am.load, lambda path: am.save(am.mlp(2, [3]), path)])
def test_what_is_no_path(call, tmp_path):
    for name in ("net.npz", "net", 3, None):
        with pytest.raises(ArgumentError, match=r"The 'path' argument must be the name of a \.json file\. Got"):
            call(name)
    with pytest.raises(
        DataError, match=r"net\.(json|npz)' (does not exist: check the path|cannot be written: No such file)"
    ):
        call(tmp_path / "missing" / "net.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(DataError, match=r"folder\.json' cannot be (read|written): Is a directory\."):
        call(tmp_path / "folder.json")


def test_what_cannot_be_saved(path):
    with pytest.raises(
        GraphError, match=r"^The sub-model 'quadratic' of your own is made of functions, which a file cann"
    ):
        own_network().save(path)
    net = am.mlp(2, [3])
    broken = am.Assembly.from_graph(net.graph, np.full(net.n_parameters, np.nan))
    with pytest.raises(NonFiniteError, match=r"'parameters' argument must be finite\. Got nan at index 0\."):
        broken.save(path)
    assert os.listdir(path.parent) == []


def test_a_network_that_would_not_fit_is_refused_before_it_is_drawn(path, monkeypatch):
    document = written(path, am.mlp(3, [4]))
    document["graph"]["groups"][1]["size"] = 10_000_000
    path.write_text(json.dumps(document))
    monkeypatch.setattr(memory, "available_memory", lambda: 2**27)
    with pytest.raises(ResourceError, match=r"A network of 40,000,000 weights needs about 0\.298 GiB"):
        am.load(path)


# Neuron by neuron, by hand

BY_HAND = {
    "format": "assembly-neurons",
    "version": 1,
    "inputs": ["x", "y"],
    "neurons": {
        "h": {"activation": "tanh", "parents": {"x": 0.5, "y": {"weight": 0.25, "shared": "w"}, "1": None}},
        "g": {"activation": "sin", "parents": {"y": {"shared": "w"}}},
        "f": {"activation": "identity", "parents": {"h": 2.0, "x": {"weight": 3.0, "trainable": False, "factor": 0.1}}},
    },
    "outputs": ["f", "g"],
}


def test_neurons_by_hand(path):
    path.write_text(json.dumps(BY_HAND))
    neurons = {
        "h": ("tanh", {"x": 0.5, "y": am.Edge(0.25, shared="w"), "1": None}),
        "g": ("sin", {"y": am.Edge(shared="w")}),
        "f": ("identity", {"h": 2.0, "x": am.Edge(3.0, trainable=False, factor=0.1)}),
    }
    wanted, net = am.from_neurons(["x", "y"], neurons, ["f", "g"], seed=3), am.load(path, seed=3)
    np.testing.assert_array_equal(net.parameters, wanted.parameters)
    check_same(net.graph, wanted.graph)
    assert not (am.load(path).parameters == wanted.parameters).all()
    plain = {"inputs": ["x"], "neurons": {"a": {"activation": "tanh", "parents": ["x", "1"]}}, "dtype": "float32"}
    path.write_text(json.dumps({"format": "assembly-neurons", "version": 1} | plain))
    assert (am.load(path).n_parameters, am.load(path).dtype) == (2, np.float32)


@pytest.mark.parametrize(
    ("place", "value", "error", "message"),
    [
        ("inputs", "xy", DataError, r"'inputs' entry must be a list of names\. Got 'xy'\."),
        ("inputs", [1, 2], DataError, r"'inputs' entry must be a list of names\. Got \[1, 2\]\."),
        ("inputs", [], GraphError, r"at least one input"),
        ("outputs", {"f": 1}, DataError, r"'outputs' entry must be a list of names"),
        ("outputs", ["F"], GraphError, r"The output 'F' is no neuron"),
        ("neurons", [], DataError, r"'neurons' entry must be a JSON object with a key for every neuron\. Got \[\]\."),
        ("neurons", DELETED, DataError, r"'file' entry must have the key 'neurons'"),
        ("nuerons", {}, DataError, r"Got 'nuerons'\. Did you mean 'neurons'\?"),
        ("dtype", "float", UnknownNameError, r"'dtype' argument must be one of float64, float32\. Got 'float'"),
        ("version", 0, DataError, r"'version' entry must be 1"),
        ("neurons.h", ["tanh", ["x"]], DataError, r"'neurons\.h' entry must be a JSON object with keys"),
        ("neurons.h.activaton", "tanh", DataError, r"Got 'activaton'\. Did you mean 'activation'\?"),
        (
            "neurons.h.activation",
            "tnah",
            UnknownNameError,
            r"activation of neuron 'h'' argument .* Did you mean 'tanh'",
        ),
        ("neurons.h.parents", "x", GraphError, r"Neuron 'h' has no parents"),
        ("neurons.h.parents", None, GraphError, r"Neuron 'h' has no parents: .* Got None\."),
        ("neurons.h.parents.z", 1.0, GraphError, r"Neuron 'h' has an unknown parent 'z'\."),
        ("neurons.h.parents.f", 1.0, GraphError, r"has a cycle: (h -> f -> h|f -> h -> f)\."),
        (
            "neurons.h.parents.y.wieght",
            1.0,
            DataError,
            r"'neurons\.h\.parents\.y' .* Got 'wieght'\. Did you mean 'weight'",
        ),
        ("neurons.h.parents.x", "0.5", ArgumentError, r"'weight x->h' argument must be a finite number\. Got '0\.5'"),
        ("neurons.h.parents.x", [0.5], ArgumentError, r"'weight x->h' argument must be a finite number\. Got \[0\.5\]"),
        (
            "neurons.g.parents.y.weight",
            9.0,
            GraphError,
            r"Edges that share 'w' must have one weight\. Got 0\.25 at y->h and 9",
        ),
        ("neurons.f.parents.x.weight", DELETED, GraphError, r"The edge x->f is fixed and must have a weight"),
    ],
)
def test_what_is_no_network_by_hand(path, place, value, error, message):
    path.write_text(json.dumps(changed(BY_HAND, place, value)))
    with pytest.raises(error, match=message) as caught:
        am.load(path)
    assert isinstance(caught.value, AssemblyError)
    assert str(caught.value).startswith("The file 'net.json' holds no network. ")
