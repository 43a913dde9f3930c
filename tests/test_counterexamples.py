"""Assemblies that stay curved: the formula of each, every verb of tied copies, and the slopes that theory gives."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import assembly as am
import cases
import contracts
import naive
import own_cases
from assembly.architectures.committees import drawn_parts
from assembly.diagnostics.rates import fit_rate
from assembly.errors import ArgumentError, GraphError, ShapeError, UnknownNameError
from assembly.graph.connections import Convolution, Dense, Tied
from assembly.graph.description import Graph, Group
from assembly.graph.windows import Windows

BUILDERS = {
    "dominated": am.dominated,
    "few_active": partial(am.few_active, n_active=2),
    "tied": partial(am.tied, n_copies=2),
    "power_law": partial(am.power_law, exponent=0.7),
    "mean_field": am.mean_field,
}
X = np.array([0.4, -1.1])


def part(seed):
    return am.mlp(2, [3], seed=seed, bias=True)


# The formulas


def terms(n_parts, seed=0):
    """Values at X of the parts that every builder makes under a seed."""
    return np.array([made(X) for made in drawn_parts(part, n_parts, seed)])


def test_one_part_dominates():
    net, others = am.dominated(part, 9, seed=4), am.committee(part, 9, seed=4)
    assert net.coefficients[0] == 3.0
    np.testing.assert_array_equal(net.coefficients[1:], others.coefficients[1:])
    np.testing.assert_array_equal(net.parameters, others.parameters)
    assert net(X) == pytest.approx(net.coefficients @ terms(9, 4) / 3.0, rel=1e-13)
    given = np.arange(9.0)
    assert am.dominated(part, 9, coefficients=given).coefficients.tolist() == [3.0, *range(1, 9)]
    assert given[0] == 0.0


def test_few_parts_count():
    net, others = am.few_active(part, 9, 4, seed=4), am.committee(part, 9, seed=4)
    np.testing.assert_array_equal(net.coefficients, [*others.coefficients[:4], *[0.0] * 5])
    np.testing.assert_array_equal(net.parameters, others.parameters)
    assert net.scale == 2.0
    assert net(X) == pytest.approx(net.coefficients @ terms(9, 4) / 2.0, rel=1e-13)
    idle = np.concatenate([unit.parameter_index for unit in net.parts[4:]])
    gradient = net.gradient(X)
    assert not gradient[idle].any()
    assert np.count_nonzero(gradient) == 4 * net.n_parameters / 9
    only = am.committee(
        part, 9, coefficients=[*others.coefficients[:4], *[0.0] * 5], gamma=np.log(2.0) / np.log(9.0), seed=4
    )
    assert float(net.hessian(X).norm()) == pytest.approx(float(only.hessian(X).norm()), rel=1e-10)
    assert am.few_active(part, 9, 9, seed=4)(X) == pytest.approx(others(X), rel=1e-14)


@pytest.mark.parametrize("law", ["sign", "gaussian"])
@pytest.mark.parametrize("a", [0.0, 0.3, 1.5])
def test_coefficients_fall_like_a_power(law, a):
    net, others = (
        build(part, 9, coefficients=law, seed=4) for build in (partial(am.power_law, exponent=a), am.committee)
    )
    v = net.coefficients
    assert v @ v == pytest.approx(9.0, rel=1e-13)
    np.testing.assert_allclose(
        v / v[0] * others.coefficients[0], others.coefficients * np.arange(1, 10) ** -a, rtol=1e-13
    )
    assert v[0] * others.coefficients[0] > 0.0
    assert net.scale == 3.0
    assert net(X) == pytest.approx(v @ terms(9, 4) / 3.0, rel=1e-13)


def test_mean_field_divides_by_the_number_of_parts():
    net, others = (
        am.mean_field(part, 9, coefficients="gaussian", seed=4),
        am.committee(part, 9, coefficients="gaussian", seed=4),
    )
    np.testing.assert_array_equal(net.coefficients, others.coefficients)
    np.testing.assert_array_equal(net.parameters, others.parameters)
    assert net.scale == 9.0
    assert net(X) == pytest.approx(others(X) / 3.0, rel=1e-13)


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_tied_copies_are_the_function_of_fewer_parts(k):
    """f = sqrt(k/m) sum_j v_j mean(copies of g_j) = (m/k)^-1/2 sum_j v_j g_j, as a function of the parameters."""
    net, fewer = (
        am.tied(part, 6, k, coefficients="gaussian", seed=4),
        am.committee(part, 6 // k, coefficients="gaussian", seed=4),
    )
    np.testing.assert_array_equal(net.parameters, fewer.parameters)
    np.testing.assert_array_equal(net.coefficients, np.repeat(fewer.coefficients, k))
    assert net.scale == pytest.approx(np.sqrt(6 * k), rel=1e-15)
    assert len(net.parts) == 6
    assert net(X) == pytest.approx(fewer(X), rel=1e-13)
    assert net(X) == pytest.approx(
        np.repeat(fewer.coefficients * terms(6 // k, 4), k).sum() / np.sqrt(6 * k), rel=1e-13
    )
    np.testing.assert_allclose(net.gradient(X), fewer.gradient(X), rtol=1e-12, atol=1e-15)
    eye = np.eye(net.n_parameters)
    assert contracts.error(net.hessian(X) @ eye, fewer.hessian(X) @ eye) < 1e-13
    assert net.layers[1].size == 18  # distinct neurons
    for j in range(6 // k):
        indices = [unit.parameter_index for unit in net.parts[j * k : (j + 1) * k]]
        assert all(np.array_equal(index, indices[0]) for index in indices)
    groups = [set(net.parts[j * k].parameter_index) for j in range(6 // k)]
    assert len(set.union(*groups)) == net.n_parameters == sum(map(len, groups))


@pytest.mark.parametrize("name", BUILDERS)
def test_nothing_says_which_builder_made_it(name):
    net = BUILDERS[name](part, 4, seed=1)
    plain = am.Assembly.from_graph(net.graph, net.parameters.copy())
    plain(X), net(X)
    assert type(net) is am.Assembly
    assert vars(net).keys() == vars(plain).keys()
    assert vars(net.graph).keys() == vars(plain.graph).keys()
    assert name not in repr(net).replace("x tied from", "")  # a kind of connection, which convolutions have too


@pytest.mark.parametrize("name", BUILDERS)
def test_seeds_and_laws(name):
    build = BUILDERS[name]
    assert build(part, 4, seed=3)(X) == build(part, 4, seed=3)(X)
    assert build(part, 4, seed=3)(X) != build(part, 4, seed=2)(X)
    one, other = build(part, 8, seed=3, coefficients="gaussian"), build(part, 8, seed=3)
    np.testing.assert_array_equal(one.parameters, other.parameters)
    assert not np.array_equal(np.abs(one.coefficients), np.abs(other.coefficients))
    assert one.n_parameters == one.with_parameters(one.parameters).n_parameters  # coefficients are no parameters


@pytest.mark.parametrize("name", BUILDERS)
def test_any_part(name):
    """Parts of every kind, one after the other under one builder; the value is the sum that it says it is."""
    kinds = [
        own_cases.RADIAL.part(),
        lambda seed: am.committee(part, 2, seed=seed),
        lambda seed: am.dominated(own_cases.FOURIER.part(), 2, seed=seed),
        lambda seed: am.from_neurons(["x", "y"], {"a": ("sin", ["x"]), "f": ("identity", ["a", "y"])}, seed=seed),
        lambda seed: am.mlp(2, [2 + seed % 2], seed=seed),
        lambda seed: am.cnn((2,), [2], 2, padding=0, seed=seed),
    ]
    for kind in kinds:
        net, made = BUILDERS[name](kind, 4, seed=1), drawn_parts(kind, 4 if name != "tied" else 2, 1)
        values = np.repeat([g(X) for g in made], 4 // len(made))
        assert net(X) == pytest.approx(net.coefficients @ values / net.scale, rel=1e-12)
        np.testing.assert_allclose([unit(X) for unit in net.parts], values, rtol=1e-12)
        assert net.n_parameters == sum(g.n_parameters for g in made)
        check_along_a_line(net, X)


def check_along_a_line(net, x):
    """Gradient and Hessian along one direction, against differences of values and gradients."""
    direction, h = np.random.default_rng(0).normal(size=net.n_parameters), 1e-3
    nets = [net.with_parameters(net.parameters + step * h * direction) for step in (-2, -1, 1, 2)]
    weights = np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * h)
    assert net.gradient(x) @ direction == pytest.approx(weights @ [moved(x) for moved in nets], rel=1e-8)
    H = net.hessian(x)
    assert contracts.error(H @ direction, weights @ [moved.gradient(x) for moved in nets]) < 1e-8
    contracts.check_eigenvalues(net, x, H @ np.eye(net.n_parameters))


# Tied copies of parts of every kind, every verb against a twin whose parameters are shared


def tied_twin(network: naive.Network, blocks: list[int], n_groups: int, k: int, coefficients) -> naive.Network:
    """Return m/k groups of k copies; parameters block by block, group by group within one."""
    starts = np.cumsum([0, *blocks])
    place = np.empty((n_groups, network.n_parameters), dtype=int)
    for start, size in zip(starts, blocks, strict=False):
        for j in range(n_groups):
            place[j, start : start + size] = n_groups * start + j * size + np.arange(size)
    copies = n_groups * k
    free = naive.assembled(
        [network] * copies,
        [(i, network.outputs[0]) for i in range(copies)],
        np.sqrt(copies * k),
        np.repeat(coefficients, k),
    )
    return naive.sharing(free, np.repeat(place, k, axis=0).ravel())


def hand_made_cnn(seed=0):
    """Two convolutions, the second with gaps and borders, a bias for every channel, and a dense readout."""
    first, second = Windows(1, (5,), (3,), (1,), (1,)), Windows(2, (5,), (2,), (2,), (0,))
    bias = Tied(
        1, 2, 1, 10, np.ones(10), np.arange(11), np.zeros(10, np.int32), np.repeat([0, 1], 5).astype(np.int32), 2
    )
    groups = (Group(5, "input"), Group(1, "constant"), Group(10, "tanh"), Group(4, "sin"), Group(1, "identity"))
    connections = (
        Convolution(0, 2, 5, 10, np.full(10, 0.6), first, 2),
        bias,
        Convolution(2, 3, 10, 4, np.full(4, 0.5), second, 2),
        Dense(3, 4, 4, 1, np.array([0.5])),
    )
    graph = Graph(groups, connections, ((4, 0),))
    return am.Assembly.from_graph(graph, np.random.default_rng(seed).normal(size=graph.n_parameters))


def hand_made_twin():
    neurons = {}
    for o in range(2):
        for p in range(5):
            edges = [naive.Edge(f"x{p + t - 1}", 0.6, 3 * o + t) for t in range(3) if 0 <= p + t - 1 < 5]
            neurons[f"a{o}{p}"] = ("tanh", (*edges, naive.Edge(naive.ONE, 1.0, 6 + o)))
    for o in range(2):
        for p in range(2):
            edges = [naive.Edge(f"a{i}{2 * p + t}", 0.5, 8 + 4 * o + 2 * i + t) for i in range(2) for t in range(2)]
            neurons[f"b{o}{p}"] = ("sin", tuple(edges))
    edges = [naive.Edge(f"b{o}{p}", 0.5, 16 + 2 * o + p) for o in range(2) for p in range(2)]
    neurons["out"] = ("identity", tuple(edges))
    return naive.Network(tuple(f"x{i}" for i in range(5)), neurons, ("out",), 20)


def test_the_hand_made_cnn_and_its_twin():
    net, x = hand_made_cnn(), np.random.default_rng(0).normal(size=5)
    contracts.check_value(net, hand_made_twin(), x)
    contracts.check_gradient(net, hand_made_twin(), x)


NEURONS = {
    "a": ("tanh", ["x0", "x1"]),
    "b": ("gelu", {"x1": None, "1": None}),
    "c": ("sin", {"a": am.Edge(shared="w"), "x0": am.Edge(0.7, trainable=False)}),
    "f": ("identity", {"c": None, "b": am.Edge(shared="w"), "x1": None, "a": am.Edge(-0.4, trainable=False)}),
}


def mixed_graph(seed):
    return am.from_neurons(["x0", "x1"], NEURONS, seed=seed)


def inner_committee(seed):
    return am.committee(
        lambda s: am.mlp(2, [2], "sin", seed=s), 2, coefficients="gaussian", trainable_coefficients=True, seed=seed
    )


def inner_twin():
    owner = naive.layered([2, 2, 1], ["sin", "identity"], [2**-0.5] * 2)
    free = naive.assembled([owner] * 2, [(i, owner.outputs[0]) for i in range(2)], np.sqrt(2.0), None)
    return naive.renumbered(free, [0, 1, 2, 3, 6, 7, 8, 9, 4, 5, 10, 11, 12, 13])


PARTS = {  # part, twin, sizes of the parameter blocks
    "mlp": (
        lambda seed: am.mlp(2, [2, 2], seed=seed, bias=True),
        lambda: naive.layered([2, 2, 2, 1], ["tanh", "tanh", "identity"], [2**-0.5] * 3, bias=True),
        [4, 2, 4, 2, 2, 1],
    ),
    "graph": (mixed_graph, lambda: naive.from_neurons(["x0", "x1"], NEURONS)[0], None),
    "cnn": (hand_made_cnn, hand_made_twin, [6, 2, 8, 4]),
    "tied-layers": (
        lambda seed: cases.BY_NAME["tied-layers"].build(),
        lambda: cases.BY_NAME["tied-layers"].network(),
        [6, 9, 2],
    ),
    "own": (own_cases.RADIAL.part(), lambda: own_cases.RADIAL.twin, [3]),
    "committee": (inner_committee, inner_twin, [8, 4, 2]),
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize(("m", "k"), [(2, 2), (6, 3)])
def test_every_verb_of_tied_copies(name, m, k):
    make, twin, blocks = PARTS[name]
    net, owner = am.tied(make, m, k, coefficients="gaussian", seed=3), twin()
    if blocks is None:
        blocks = [block.stop - block.start for block in make(0).graph.parameter_blocks]
    network = tied_twin(owner, blocks, m // k, k, net.coefficients[::k])
    x = np.random.default_rng(1).normal(size=net.n_inputs)
    contracts.check_value(net, network, x)
    contracts.check_parameter_order(net, network, x)
    contracts.check_gradient(net, network, x)
    wanted = naive.hessian(network, net.parameters, x)
    contracts.check_hessian(net, network, x, wanted=wanted)
    contracts.check_eigenvalues(net, x, wanted)
    contracts.check_spectrum(net, x, wanted)
    contracts.check_tangent_kernel(net, network, np.array([x, -0.5 * x]), np.array([x[::-1]]))
    moved = net.parameters + 0.01
    change = naive.gradient(network, net.parameters, x) @ np.full(net.n_parameters, 0.01)
    assert net.linearize().with_parameters(moved)(x) == pytest.approx(net(x) + change, rel=1e-12)
    tops = [f"p{i}.{owner.outputs[0]}" for i in range(m)]
    J, K = (naive.jacobian(network, net.parameters, point, tops) for point in (x, x[::-1]))
    last = net.layers[-2]
    assert last.size == m
    assert contracts.error(last.gram(x), J @ J.T) < 1e-12
    assert contracts.error(last.gram(x, x[::-1]), J @ K.T) < 1e-12
    shares = [unit.share(x) for unit in net.parts]
    values = np.abs(net.coefficients * [unit(x) for unit in net.parts])
    np.testing.assert_allclose([share["value"] for share in shares], values / values.sum(), rtol=1e-12)
    assert sum(share["gradient"] for share in shares) == pytest.approx(1.0) or name == "own"
    for unit in (net.parts[0], net.parts[-1].pre):
        contracts.check_gradient(unit, owner, x)
        contracts.check_hessian(unit, owner, x)


def test_tied_parts_of_several_structures():
    """Groups of their own: parameters part by part."""

    def make(seed):
        return am.mlp(2, [2 + seed % 2], seed=seed)

    net = am.tied(make, 12, 3, coefficients="gaussian", seed=5)
    made = drawn_parts(make, 4, 5)
    assert {g.width for g in made} == {2, 3}
    np.testing.assert_array_equal(net.parameters, np.concatenate([g.parameters for g in made]))
    v = net.coefficients[::3]
    assert net(X) == pytest.approx(v @ [g(X) for g in made] / 2.0, rel=1e-13)
    gradient = np.concatenate([c * g.gradient(X) for c, g in zip(v, made, strict=True)]) / 2.0
    np.testing.assert_allclose(net.gradient(X), gradient, rtol=1e-12, atol=1e-15)
    assert [unit.value(X) for unit in net.parts] == pytest.approx(np.repeat([g(X) for g in made], 3), rel=1e-13)


def test_an_own_sub_model_is_computed_once_for_all_its_copies():
    calls = []

    def value(w, x):
        calls.append(w[0])
        return own_cases.radial_value(w, x)

    make = am.submodel(value, *own_cases.RADIAL.functions[1:], n_inputs=2, n_parameters=3)
    net = am.tied(make, 12, 4)
    net(X)
    assert len(calls) == len(set(calls)) == 3
    assert net.layers[-2].size == 12


def test_wide_tied_assemblies_are_a_few_blocks():
    net = am.tied(lambda seed: am.mlp(2, [4], seed=seed), 1024, 32)
    assert len(net.graph.connections) == 3
    assert net.n_parameters == 32 * 12
    assert net.width == 4


# The slopes of the theory, claims 12 to 18


def bounded(seed):
    """A part whose Hessian norm is bounded over seeds, so that the largest of m does not grow like a logarithm."""
    return am.mlp(8, [8], readout="sign", seed=seed)


WIDTHS = [16, 36, 64, 256]


def slopes(build):
    x = np.random.default_rng(0).normal(size=8)
    x *= np.sqrt(8.0) / np.linalg.norm(x)
    norms, ratios = [], []
    for m in WIDTHS:
        nets = [build(m, seed) for seed in range(5)]
        norms.append([net.hessian(x).norm(0.02).value for net in nets])
        gradients = [np.linalg.norm(net.gradient(x)) for net in nets]
        ratios.append([norm / gradient**2 for norm, gradient in zip(norms[-1], gradients, strict=True)])
    return fit_rate(WIDTHS, norms).exponent, fit_rate(WIDTHS, ratios).exponent


@pytest.mark.parametrize(
    ("name", "build", "wanted", "ratio"),
    [
        ("committee (1)", lambda m, s: am.committee(bounded, m, seed=s), -0.5, -0.5),
        ("dominated (12)", lambda m, s: am.dominated(bounded, m, seed=s), 0.0, 0.0),
        ("few active (13)", lambda m, s: am.few_active(bounded, m, 4, seed=s), 0.0, 0.0),
        ("all tied (14)", lambda m, s: am.tied(bounded, m, m, seed=s), 0.0, 0.0),
        ("mean field (15)", lambda m, s: am.mean_field(bounded, m, seed=s), -1.0, 0.0),
        ("tied, b = 1/2 (16)", lambda m, s: am.tied(bounded, m, round(m**0.5), seed=s), -0.25, -0.25),
        ("power 1/4 (17)", lambda m, s: am.power_law(bounded, m, 0.25, seed=s), -0.25, -0.25),
        ("power 1 (17)", lambda m, s: am.power_law(bounded, m, 1.0, seed=s), 0.0, 0.0),
        ("gamma 3/4 (18)", lambda m, s: am.committee(bounded, m, gamma=0.75, seed=s), -0.75, -0.25),
    ],
)
def test_slope(name, build, wanted, ratio):
    """Within 0.05 of the prediction; the nearest alternative is 0.25 away."""
    norm, relative = slopes(build)
    assert norm == pytest.approx(wanted, abs=0.05), name
    assert relative == pytest.approx(ratio, abs=0.06), name


# Errors


def softmax_neuron(seed):
    outputs = am.mlp(2, [2], n_outputs=2, output_activation="softmax", seed=seed).layers[-1].neurons
    return am.Assembly([outputs[0]], [1.0])


@pytest.mark.parametrize("name", BUILDERS)
def test_errors_of_all(name):
    build = BUILDERS[name]
    with pytest.raises(ArgumentError, match=r"'n_parts' argument must be an int of at least 1\. Got 0"):
        build(part, 0)
    with pytest.raises(UnknownNameError, match="Did you mean 'sign'"):
        build(part, 4, coefficients="signs")
    with pytest.raises(ShapeError, match=r"'coefficients' argument must have shape \([24],\)"):
        build(part, 4, coefficients=[1.0, 2.0, 3.0])
    with pytest.raises(GraphError, match=r"'part' argument must return an assembly with one output\. Got 3 for part 0"):
        build(lambda seed: 3, 4)
    with pytest.raises(GraphError, match="with one output"):
        build(lambda seed: am.mlp(2, [2], n_outputs=2), 4)
    with pytest.raises(ArgumentError, match=r"'part' argument must make an assembly from a seed, .* Got 3"):
        build(3, 4)
    sizes = iter(range(1, 9))
    with pytest.raises(GraphError, match="must share their inputs and dtype"):
        build(lambda seed: am.mlp(next(sizes), [2]), 4)
    dtypes = iter(["float64", "float32"] * 4)
    with pytest.raises(GraphError, match="must share their inputs and dtype"):
        build(lambda seed: am.mlp(2, [2], dtype=next(dtypes)), 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: am.few_active(part, 4, 5), ArgumentError, "'n_active' argument must be at most n_parts = 4. Got 5"),
        (lambda: am.few_active(part, 4, 0), ArgumentError, "'n_active' argument must be an int of at least 1"),
        (
            lambda: am.tied(part, 6, 4),
            ArgumentError,
            "'n_copies' argument must divide n_parts = 6. Got 4, which leaves 2",
        ),
        (lambda: am.tied(part, 6, 12), ArgumentError, "'n_copies' argument must divide n_parts = 6. Got 12"),
        (lambda: am.tied(part, 6, 0), ArgumentError, "'n_copies' argument must be an int of at least 1. Got 0"),
        (
            lambda: am.power_law(part, 4, -0.1),
            ArgumentError,
            "'exponent' argument must be a finite number of at least 0",
        ),
        (lambda: am.power_law(part, 4, np.nan), ArgumentError, "'exponent' argument must be a finite number"),
        (lambda: am.power_law(part, 2, 1, coefficients=[0, 0]), ArgumentError, "must hold a number that is not 0"),
        (
            lambda: am.tied(softmax_neuron, 4, 2),
            GraphError,
            "A part with a softmax cannot be tied",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
