import gc
import time
import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import assembly as am
import cases
import contracts
import naive
from assembly.errors import AssemblyError, GraphError, ShapeError

named = pytest.mark.parametrize("case", cases.NAMED, ids=str)
NEURONS = [  # every kind of graph; every neuron of these is checked as two sub-models
    cases.BY_NAME[name]
    for name in (
        "tanh-3",
        "gelu-bias",
        "frozen-sign-2",
        "two-outputs-sin",
        "sparse-with-skips",
        "mixed-activations",
        "cnn-softmax",
        "resnet-softmax",
        "densenet-sin-output",
        "tied-layers",
    )
]


def names_and_neurons(case):
    for layer, names in zip(case.assembly().layers, case.names(), strict=True):
        yield from zip(names, layer.neurons, strict=True)


# Neurons


@pytest.mark.parametrize("case", NEURONS, ids=str)
def test_every_neuron_is_two_sub_models(case):
    x, network = case.x(), case.network()
    for name, neuron in names_and_neurons(case):
        if name in network.inputs:
            continue
        for view, whole in ((neuron, network), (neuron.pre, naive.linear_at(network, name))):
            twin, index = naive.restricted(whole, [name])
            np.testing.assert_array_equal(view.parameter_index, index)
            np.testing.assert_array_equal(view.parameters, case.assembly().parameters[index])
            assert view.n_parameters == len(index)
            contracts.check_value(view, twin, x)
            contracts.check_gradient(view, twin, x)
            wanted = naive.hessian(twin, view.parameters, x)
            tolerance = 1e-8 + 1e-10 / (np.abs(wanted).max() + 1e-3)  # the differences are good to 1e-10, absolute
            contracts.check_hessian(view, twin, x, wanted=wanted, tolerance=tolerance)
            assert isinstance(view, am.SubModel)


@named
def test_neurons_know_their_edges(case):
    by_name = dict(names_and_neurons(case))
    for name, neuron in by_name.items():
        if name in case.network().inputs:
            assert neuron.activation == "input"
            assert neuron.parents == []
            assert neuron.in_degree == 0
            assert neuron.n_parameters == 0
            assert neuron.value(case.x()) == neuron.pre.value(case.x()) == case.x()[case.network().inputs.index(name)]
            continue
        activation, edges = case.network().neurons[name]
        assert neuron.activation == activation
        wanted = {}
        for edge in edges:
            weight = edge.frozen if edge.parameter is None else case.w[edge.parameter]
            wanted[edge.parent] = (weight, edge.factor)
        bias = wanted.pop(naive.ONE, (None, None))[0]
        assert neuron.bias == bias
        assert neuron.in_degree == len(wanted)
        place = {(n.group, n.position): other for other, n in by_name.items()}
        parents = [place[parent.group, parent.position] for parent in neuron.parents]
        assert dict(zip(parents, neuron.weights, strict=True)) == {p: weight for p, (weight, _) in wanted.items()}
        np.testing.assert_allclose(neuron.factors, [wanted[parent][1] for parent in parents], rtol=1e-15)


@named
def test_shares_of_every_neuron(case):
    x, network = case.x(), case.network()
    adjoints = naive.adjoints(network, case.w, x, case.output)
    _, post = naive.forward(network, case.w, x)
    carried = naive.shares_of(network, naive.gradient(network, case.w, x, case.output))
    for layer, names in zip(case.assembly().layers[1:], case.names()[1:], strict=True):
        wanted = {
            "value": np.abs([adjoints[name][1] * post[name] for name in names]),
            "gradient": np.array([carried[name] for name in names]),
            "adjoint": np.array([adjoints[name][1] ** 2 for name in names]),
        }
        for i, neuron in enumerate(layer.neurons):
            found = neuron.share(x, case.output)
            assert set(found) == set(wanted)
            for kind, contribution in wanted.items():
                if contribution.sum() == 0.0:
                    assert np.isnan(found[kind])
                else:
                    assert found[kind] == pytest.approx(contribution[i] / contribution.sum(), rel=1e-9, abs=1e-12)


def test_a_batch_of_a_neuron():
    case = cases.BY_NAME["tanh-3"]
    net, X = case.assembly(), np.array([case.x("a"), case.x("b")])
    wanted = [naive.forward(case.network(), case.w, x)[1]["n2.1"] for x in X]
    np.testing.assert_allclose(net.layers[2].neurons[1](X), wanted, rtol=1e-14)
    wanted = [naive.forward(case.network(), case.w, x)[0]["n2.1"] for x in X]
    np.testing.assert_allclose(net.layers[2].neurons[1].pre(X), wanted, rtol=1e-14)


def test_neurons_are_a_sequence_made_when_asked_for():
    neurons = am.mlp(3, [5, 4]).layers[1].neurons
    assert len(neurons) == len(list(neurons)) == 5
    assert (neurons[-1].group, neurons[-1].position) == (neurons[4].group, neurons[4].position)
    assert [neuron.position for neuron in neurons[1:4]] == [1, 2, 3]
    assert neurons[0] is not neurons[0]
    with pytest.raises(IndexError, match=r"This layer has 5 neurons, numbered from 0\. Got 5\."):
        neurons[5]
    with pytest.raises(IndexError):
        neurons[-6]
    assert repr(neurons[2]) == "neuron 2 of group 1 in layer 1: tanh, in-degree 3"
    assert repr(neurons[2].pre) == "pre-activation of neuron 2 of group 1 in layer 1: tanh, in-degree 3"


# Layers, width, parts, repr


def test_layers_by_longest_path():
    net = cases.BY_NAME["sparse-with-skips"].assembly()
    assert [layer.size for layer in net.layers] == [3, 2, 2, 1, 1, 1]
    assert [len(layer) for layer in net.layers] == [3, 2, 2, 1, 1, 1]
    assert [layer.index for layer in net.layers] == [0, 1, 2, 3, 4, 5]
    assert [[neuron.activation for neuron in layer.neurons] for layer in net.layers[1:4]] == [
        ["tanh", "gelu"],
        ["softplus", "erf"],
        ["sin"],
    ]
    assert {neuron.layer for neuron in net.layers[2].neurons} == {2}


@pytest.mark.parametrize(
    ("build", "width"),
    [
        (lambda: am.mlp(64, [512, 256]), 256),
        (lambda: am.mlp(2, [7]), 7),
        (lambda: am.mlp(2, [7], bias=True), 7),
        (lambda: am.bottleneck(3, [512, 1, 512]), 1),
        (lambda: am.bottleneck(3, [9, 4, 9]), 4),
        (lambda: am.mlp(3, [20, 30, 10]), 10),
        (lambda: am.committee(lambda seed: am.mlp(2, [8], seed=seed), 100), 8),
        (lambda: am.committee(lambda seed: am.mlp(2, [8], seed=seed), 5), 5),
        (lambda: cases.BY_NAME["diamond"].assembly(), 1),
        (lambda: cases.BY_NAME["sparse-with-skips"].assembly(), 2),
        (lambda: cases.BY_NAME["input-to-output"].assembly(), 3),
    ],
)
def test_width_is_the_smallest_in_degree_beyond_the_first_layer(build, width):
    assert build().width == width


def test_parts_coefficients_and_scale():
    net = am.mlp(3, [6, 4], seed=1)
    x = [0.3, -0.5, 2.0]
    assert [(part.layer, part.position) for part in net.parts] == [(2, i) for i in range(4)]
    assert net.scale == pytest.approx(2.0, rel=1e-15)
    total = sum(v * part.value(x) for v, part in zip(net.coefficients, net.parts, strict=True))
    assert net(x) == pytest.approx(total / net.scale, rel=1e-14)
    assert am.mlp(3, [16], parametrization="mean-field").scale == pytest.approx(16.0)
    assert am.mlp(3, [16], gamma=0.25).scale == pytest.approx(2.0)


def test_repr_shows_every_scale_factor():
    assert repr(am.mlp(4, [16, 9], bias=True, gamma=1.0, n_outputs=2, trainable_readout=False)) == (
        "Assembly: 4 inputs, 2 outputs, 235 parameters, width 9, float64\n"
        "  layer 0: 4 input\n"
        "  layer 1: 16 tanh; z = 0.5 x dense from layer 0 + 1 x bias\n"
        "  layer 2: 9 tanh; z = 0.25 x dense from layer 1 + 1 x bias\n"
        "  layer 3: 2 identity; z = 0.111111 x frozen dense from layer 2 + 1 x bias"
    )
    assert "1 x dense from layer 0" in repr(am.mlp(4, [16], parametrization="standard"))


@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_repr_of_every_case_holds_its_extreme_factors(case):
    net = case.assembly()
    lines = repr(net).splitlines()
    assert len(lines) == 1 + len(net.layers)
    for line, layer in zip(lines[1:], net.layers, strict=True):
        factors = np.concatenate([neuron.factors for neuron in layer.neurons])
        if len(factors):
            assert f"{factors.min():.6g}" in line
            assert f"{factors.max():.6g}" in line
    assert f"{net.n_parameters:,} parameters, width {net.width}" in lines[0]


def test_repr_of_a_deep_network_is_cut():
    lines = repr(am.mlp(2, [2] * 40)).splitlines()
    assert len(lines) == 15
    assert lines[-1] == "  ... and 29 more layers"


# Parameters


def test_parameters_are_read_only_and_new_ones_are_copied():
    net = am.mlp(2, [3], seed=0)
    with pytest.raises(ValueError, match="read-only"):
        net.parameters[0] = 1.0
    w, before = np.arange(9.0), net.parameters.copy()
    moved = net.with_parameters(w)
    value = moved([1.0, 2.0])
    w[:] = 0.0
    assert w.flags.writeable
    np.testing.assert_array_equal(moved.parameters, np.arange(9.0))
    assert moved([1.0, 2.0]) == value != net([1.0, 2.0])
    np.testing.assert_array_equal(net.parameters, before)
    assert moved.layers[1].neurons[2].weights.tolist() == [4.0, 5.0]
    assert moved.coefficients.tolist() == [6.0, 7.0, 8.0]


def test_a_neuron_hands_out_copies():
    net = am.mlp(2, [3], seed=0)
    before = net.parameters.copy()
    for neuron in (net.layers[1].neurons[1], net.layers[2].neurons[0]):
        neuron.weights[:] = 0.0
        neuron.parameters[:] = 0.0
    net.evaluate([1.0, 2.0])
    np.testing.assert_array_equal(net.parameters, before)


def test_results_are_the_callers_to_change():
    """What a call returns is no window on what is kept for the next one."""
    net, x = am.mlp(2, [3], seed=0, n_outputs=2), [1.0, 2.0]
    value, gradient = net(x).copy(), net.gradient(x).copy()
    net(x)[:] = 0.0
    net.gradient(x)[:] = 0.0
    net.tangent_kernel([x])[:] = 0.0
    np.testing.assert_array_equal(net(x), value)
    np.testing.assert_array_equal(net.gradient(x), gradient)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_wide_network_holds_its_weights_once(dtype):
    """Width 4096, three hidden layers, 33.8 M parameters: one array, few objects, the time of its random numbers."""
    n = 64 * 4096 + 2 * 4096**2 + 4096
    am.mlp(2, [2], dtype=dtype).gradient([0.0, 0.0])  # compiles kernels, which are many objects
    gc.collect()
    n_objects = len(gc.get_objects())
    tracemalloc.start()
    began = time.process_time()
    net = am.mlp(64, [4096] * 3, seed=0, dtype=dtype)
    x = np.ones(64)
    built = time.process_time() - began
    n_bytes = n * net.dtype.itemsize
    peak = tracemalloc.get_traced_memory()[1]
    assert net.n_parameters == n
    assert n_bytes <= peak < 1.01 * n_bytes
    tracemalloc.reset_peak()
    neuron = net.layers[2].neurons[17]
    assert np.isfinite([net(x), neuron.value(x), net.hessian(x).node_space.b.sum()]).all()
    assert tracemalloc.get_traced_memory()[1] < 1.03 * n_bytes
    tracemalloc.stop()
    assert len(gc.get_objects()) - n_objects < 5000
    assert len(neuron.parents) == 4096
    began = time.process_time()
    np.random.default_rng(0).standard_normal(n, dtype=net.dtype.type)
    assert built < 4.0 * (time.process_time() - began) + 0.2


def test_sub_models_and_their_weights_are_views():
    net = am.mlp(8, [30, 20], seed=0)
    for view in (net, net.layers[3].neurons[0], net.layers[2].neurons[4].pre):
        body = view._body if isinstance(view, am.Assembly) else view._sub_model
        assert body.weights
        assert all(np.shares_memory(weights, net.parameters) for weights in body.weights)


# Invariances


@pytest.mark.parametrize("widths", [[5], [129, 64], [33, 1, 257], [300, 300]])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_sample_sees_its_batch_in_rounding_only(widths, dtype):
    net = am.mlp(13, widths, "gelu", seed=1, n_outputs=2, bias=True, dtype=dtype)
    X = np.random.default_rng(0).normal(size=(600, 13)).astype(dtype)
    whole, tolerance = net(X), contracts.rounding(net, 1e-14, 4e-6)
    for rows in (slice(0, 1), slice(3, 10), slice(255, 258), slice(599, 600)):
        assert contracts.error(net(X[rows]), whole[rows]) < tolerance
    assert contracts.error(net(X[17]), whole[17]) < tolerance
    assert contracts.error(net(X[::-1]), whole[::-1]) < tolerance
    np.testing.assert_array_equal(net(np.asfortranarray(X)), whole)
    np.testing.assert_array_equal(net(X), whole)


def test_order_of_the_neurons_of_a_layer_does_not_matter():
    net = am.mlp(5, [40, 30], seed=0)
    order = np.random.default_rng(1).permutation(40)
    index = np.arange(net.n_parameters)
    first, second, readout = index[:200].reshape(40, 5), index[200:1400].reshape(30, 40), index[1400:]
    move = np.concatenate([first[order].ravel(), second[:, order].ravel(), readout])
    other, x = net.with_parameters(net.parameters[move]), np.random.default_rng(0).normal(size=5)
    assert not np.array_equal(net.parameters, other.parameters)
    assert other(x) == pytest.approx(net(x), rel=1e-13)
    np.testing.assert_allclose(other.gradient(x), net.gradient(x)[move], rtol=1e-11, atol=1e-14)
    assert float(other.hessian(x).norm()) == pytest.approx(float(net.hessian(x).norm()), rel=1e-10)
    np.testing.assert_allclose(other.hessian(x).eigenvalues(4).value, net.hessian(x).eigenvalues(4).value, rtol=1e-10)


def test_thread_count_changes_no_more_than_rounding():
    """BLAS may split a sum among threads; the bound is 4 eps sqrt(terms) of the largest entry."""
    x = np.random.default_rng(0).normal(size=64)
    found = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads):
            net = am.mlp(64, [1500, 1500], seed=0)
            H = net.hessian(x)
            norm = H.norm(1e-8)
            found.append((net.parameters, net(x), net.gradient(x), H @ net.gradient(x), norm.value))
            assert norm.converged
    bound = 4.0 * np.finfo(float).eps * np.sqrt(1500)
    for other in found[1:]:
        np.testing.assert_array_equal(other[0], found[0][0])
        assert other[1] == pytest.approx(found[0][1], rel=bound * 10, abs=bound)
        assert contracts.error(other[2], found[0][2]) < bound
        assert contracts.error(other[3], found[0][3]) < bound
        assert other[4] == pytest.approx(found[0][4], rel=1e-12)


# Composition by hand


def test_the_issue_by_its_names():
    net = am.mlp(n_inputs=64, widths=[512, 512], activation="tanh", seed=0)
    X = np.random.default_rng(0).normal(size=(3, 64))
    x = X[0]
    assert net.parameters.shape == (64 * 512 + 512 * 512 + 512,)
    assert net(X)[1] == pytest.approx(net(X[1]), rel=1e-12)
    assert net(X[1]) == net.value(X[1])
    H = net.hessian(x)
    v = np.random.default_rng(1).normal(size=net.n_parameters)
    h = 1e-4
    ahead, behind = (net.with_parameters(net.parameters + sign * h * v).gradient(x) for sign in (1, -1))
    assert contracts.error(H @ v, (ahead - behind) / (2 * h)) < 1e-6
    assert float(H.norm(tol=1e-6)) == abs(H.eigenvalues(k=6).value[0]) or H.norm().value == pytest.approx(
        abs(H.eigenvalues(k=6).value[0]), rel=1e-9
    )
    assert len(H.eigenvalues(k=6).value) == 6
    assert net.tangent_kernel(X, X[:2])[2, 1] == pytest.approx(net.gradient(X[2]) @ net.gradient(X[1]), rel=1e-10)
    assert net.linearize()(x) == net(x)
    neuron = net.layers[1].neurons[3]
    assert neuron.value(x) == pytest.approx(np.tanh(net.parameters[192:256] @ x / 8.0), rel=1e-13)
    assert am.bottleneck(n_inputs=64, widths=[512, 1, 512], activation="tanh", seed=0).width == 1
    assert isinstance(net, am.SubModel)


def test_parts_keep_their_function():
    one, two = am.mlp(2, [3], seed=0), am.mlp(2, [4, 2], "erf", seed=1)
    x = [0.4, -1.0]
    both = am.Assembly([one, two], [2.0, -0.5], scale=3.0)
    assert both(x) == pytest.approx((2.0 * one(x) - 0.5 * two(x)) / 3.0, rel=1e-14)
    np.testing.assert_array_equal(both.parameters, np.concatenate([one.parameters, two.parameters]))
    assert both.scale == pytest.approx(3.0)
    np.testing.assert_array_equal(both.coefficients, [2.0, -0.5])
    assert [part.value(x) for part in both.parts] == pytest.approx([one(x), two(x)])
    assert [part.n_parameters for part in both.parts] == [one.n_parameters, two.n_parameters]


def test_a_shared_part_has_its_parameters_once():
    one, x = am.mlp(2, [3], seed=0), [0.4, -1.0]
    twice = am.Assembly([one, one], [1.0, 1.0], scale=2.0)
    assert twice.n_parameters == one.n_parameters
    assert twice(x) == pytest.approx(one(x), rel=1e-14)
    np.testing.assert_allclose(twice.gradient(x), one.gradient(x), rtol=1e-13)
    copies = am.Assembly([one, one.with_parameters(one.parameters)], [1.0, 1.0], scale=2.0)
    assert copies.n_parameters == 2 * one.n_parameters


def test_trainable_coefficients_are_the_last_parameters():
    one, two = am.mlp(2, [3], seed=0), am.mlp(2, [3], seed=1)
    x = [0.4, -1.0]
    both = am.Assembly([one, two], [2.0, -0.5], trainable_coefficients=True)
    assert both.n_parameters == 20
    np.testing.assert_array_equal(both.parameters[-2:], [2.0, -0.5])
    np.testing.assert_allclose(both.gradient(x)[-2:], np.array([one(x), two(x)]) / np.sqrt(2.0), rtol=1e-13)


@pytest.mark.parametrize(
    ("compose", "error", "message"),
    [
        (lambda a, b: am.Assembly([], []), GraphError, "'parts' argument must be a non-empty sequence"),
        (lambda a, b: am.Assembly([a, b], [1.0]), ShapeError, r"'coefficients' argument must have shape \(2,\)"),
        (lambda a, b: am.Assembly([a, 3], [1.0, 1.0]), AssemblyError, "must hold assemblies and neurons. Got int at 1"),
        (lambda a, b: am.Assembly([a, b], [1, 1], scale=0.0), AssemblyError, "'scale' argument must be .* above 0"),
        (lambda a, b: am.Assembly([a, b], [1, np.nan]), AssemblyError, "'coefficients' argument must be finite"),
        (lambda a, b: am.Assembly([a, am.mlp(3, [2])], [1, 1]), GraphError, "Part 0 has 2 inputs.*part 1 has 3"),
        (lambda a, b: am.Assembly([a, am.mlp(2, [2], dtype="float32")], [1, 1]), GraphError, "float64.*float32"),
        (
            lambda a, b: am.Assembly([a, am.mlp(2, [2], n_outputs=2)], [1, 1]),
            GraphError,
            "Part 1 has 2; use one of its",
        ),
        (
            lambda a, b: am.Assembly([a.layers[1].neurons[0], a.layers[1].neurons[0].pre], [1, 1]),
            GraphError,
            "A neuron and its own pre-activation cannot both be parts",
        ),
        (
            lambda a, b: am.Assembly([a, a.layers[1].neurons[0].pre], [1, 1]),
            GraphError,
            "pre-activation of a neuron cannot be a part beside neurons that use its activation",
        ),
    ],
)
def test_errors_of_composition(compose, error, message):
    with pytest.raises(error, match=message):
        compose(am.mlp(2, [3], seed=0), am.mlp(2, [3], seed=1))


def test_from_graph_refuses_another_number_of_parameters():
    net = am.mlp(2, [3])
    with pytest.raises(ShapeError, match=r"'parameters' argument must have shape \(9,\)\. Got shape \(8,\)"):
        am.Assembly.from_graph(net.graph, np.zeros(8))


def test_an_input_has_no_share():
    with pytest.raises(am.errors.ArgumentError, match="An input has no share"):
        am.mlp(2, [3]).layers[0].neurons[1].share([1.0, 2.0])
