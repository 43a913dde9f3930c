"""Principal shares against gradients written out one by one, and what they say of networks known by algebra."""

import numpy as np
import pytest

import assembly as am
import cases
import naive
import own_cases
from assembly.calculus import principal as kernel
from assembly.calculus.principal import Contributions, bending, principal
from assembly.diagnostics.conditions import OUTPUT_MAP, principal_shares
from assembly.errors import ArgumentError, NonFiniteError, ShapeError


def bends(network: naive.Network, name: str, z: float) -> bool:
    """Whether sigma'' is not 0, by a difference of exact slopes."""
    activation = network.neurons[name][0]
    if activation.startswith(naive.SOFTMAX):
        return True
    slope = [np.imag(naive.ACTIVATION[activation](z + h + 1e-30j)) / 1e-30 for h in (-1e-4, 1e-4)]
    return abs(slope[1] - slope[0]) > 1e-9


def out_edges(network: naive.Network, name: str) -> list[tuple[str, naive.Edge]]:
    """Trainable edges that leave a neuron, with the neuron they enter."""
    return [
        (target, edge)
        for target, (_, edges) in network.neurons.items()
        for edge in edges
        if edge.parent == name and edge.parameter is not None
    ]


def rows(network: naive.Network, w, x, names, output: int):
    """Return what every neuron contributes to the gradient, through the weights below and in all, one row each."""
    _, post = naive.forward(network, w, x)
    adjoints = naive.adjoints(network, w, x, output)
    below = np.array([adjoints[name][0] for name in names])[:, None] * naive.jacobian(network, w, x, names, pre=True)
    whole = below.copy()
    for row, name in zip(whole, names, strict=True):
        for target, edge in out_edges(network, name):
            row[edge.parameter] += edge.factor * adjoints[target][0] * post[name]
    return below, whole


def levels(case: cases.Case, x):
    """Return (label, names, whether curvature begins there) of every level, neurons that count only."""
    network, w = case.network(), case.w
    pre, post = naive.forward(network, w, x)
    adjoints = naive.adjoints(network, w, x, case.output)
    output = network.outputs[case.output]

    def starts(name):
        return bool(out_edges(network, name)) or bends(network, name, pre[name])

    def counts(name):
        return adjoints[name][0] != 0.0 or (bool(out_edges(network, name)) and post[name] != 0.0)

    coupled = naive.coupled(network, output)
    for index, names in enumerate(case.names()[1:], 1):
        hidden = [name for name in names if name not in coupled and counts(name)]
        yield f"layer {index}", [name for name in hidden if starts(name)], names, True
        yield f"layer {index}, sums", [name for name in hidden if not starts(name)], names, False
    yield OUTPUT_MAP, [name for name in coupled if starts(name) and counts(name)], coupled, True


@pytest.mark.parametrize("case", cases.NAMED, ids=str)
def test_every_level_agrees_with_gradients_written_out(case):
    x = case.x()
    found = principal_shares(case.assembly(), x, case.output)
    gradient = naive.gradient(case.network(), case.w, x, case.output)
    np.testing.assert_allclose(found.gradient_norm, np.linalg.norm(gradient), rtol=1e-12)
    met = {level.label: level for level in found.levels}
    for label, names, numbered, starts in levels(case, x):
        below, whole = rows(case.network(), case.w, x, names, case.output) if names else (np.zeros((0, 1)),) * 2
        gram = whole @ whole.T
        if len(names) == 0 or np.trace(gram) <= 1e-28 * (gradient @ gradient):
            continue
        level = met.pop(label)
        assert (level.bends, level.n_parts) == (starts, len(names))
        values = np.linalg.eigvalsh(gram)
        np.testing.assert_allclose(level.principal_share, values[-1] / np.trace(gram), rtol=1e-10)
        np.testing.assert_allclose(level.effective_number, np.trace(gram) ** 2 / np.sum(gram**2), rtol=1e-10)
        wanted = np.sum(whole.sum(axis=0) ** 2) / (gradient @ gradient)
        np.testing.assert_allclose(level.weight, wanted, rtol=1e-9, atol=1e-13)
        leader = names.index(numbered[level.neuron])
        np.testing.assert_allclose(level.largest_share, gram[leader, leader] / np.trace(gram), rtol=1e-9)
        b = np.array([naive.adjoints(case.network(), case.w, x, case.output)[name][0] for name in names])
        size = np.sqrt(np.sum(below * whole) / (b @ b)) if b.any() else 1.0
        np.testing.assert_allclose(level.size, size, rtol=1e-10)
        assert level.converged
        assert level.standard_error == 0.0
    assert not met


@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_contributions_of_a_layer_below_the_last_cut_add_up_to_the_gradient(case):
    """Through the output neuron goes the whole gradient, whatever the connections are."""
    space = case.assembly().hessian(case.x(), case.output).node_space
    node = np.array([space.program.outputs[case.output]])
    if any(block.source.start <= node[0] < block.source.stop for block in space.program.blocks):
        pytest.skip("the output feeds others")
    gradient = naive.gradient(case.network(), case.w, case.x(), case.output)
    coupled = [s.nodes for s in space.program.segments if s.is_softmax and s.nodes.start <= node[0] < s.nodes.stop]
    nodes = np.arange(coupled[0].start, coupled[0].stop) if coupled else node
    np.testing.assert_allclose(principal(space, nodes).total, gradient @ gradient, rtol=1e-10)


WIDE = {
    "three layers": lambda: am.mlp(5, [150, 140, 130], seed=0),
    "convolutions": lambda: am.cnn([6], [40, 40], seed=0, bias=True),
    "graph": lambda: am.random_dag(5, 3, 200, 20, reach=2, seed=0),
    "copies": lambda: am.tied(lambda seed: am.mlp(4, [5], seed=seed), 64, 8, seed=0),
    "downstream of a bottleneck": lambda: am.bottleneck(5, [150, 1, 150], seed=0),
    "own": lambda: am.committee(own_cases.FOURIER.part(), 150, seed=0, trainable_coefficients=True),
}


@pytest.mark.parametrize("name", WIDE)
def test_the_iteration_agrees_with_the_matrix_written_out(name, monkeypatch):
    """The traces within six of their own standard errors: a false alarm in 10^8 levels, if they were normal."""
    net = WIDE[name]()
    x = np.random.default_rng(1).normal(size=net.n_inputs)
    iterated = principal_shares(net, x)
    assert any(level.n_parts > kernel.LARGEST_EXACT for level in iterated.levels)
    monkeypatch.setattr(kernel, "LARGEST_EXACT", 10**6)
    exact = principal_shares(net, x)
    for one, other in zip(iterated.levels, exact.levels, strict=True):
        assert (one.label, one.n_parts, one.bends) == (other.label, other.n_parts, other.bends)
        assert one.converged
        error = 6.0 * one.standard_error + 1e-5
        np.testing.assert_allclose(one.principal_share, other.principal_share, rtol=error)
        np.testing.assert_allclose(one.weight, other.weight, rtol=1e-10)
        np.testing.assert_allclose(one.size, other.size, rtol=error + 0.05)
        np.testing.assert_allclose(one.effective_number, other.effective_number, rtol=0.3)


def test_the_trace_of_orthogonal_contributions_has_next_to_no_error():
    found = principal_shares(am.mlp(4, [300], seed=0), np.ones(4)).levels[0]
    assert found.n_parts > kernel.LARGEST_EXACT
    assert found.standard_error < 1e-4
    np.testing.assert_allclose(found.principal_share, found.largest_share, rtol=1e-5)


def test_probes_are_unbiased():
    """The mean over 200 repetitions lies within five standard errors of the trace: one false alarm in 10^6."""
    net, x = am.mlp(4, [30, 30], seed=0), np.ones(4)
    space = net.hessian(x).node_space
    gram = Contributions(space, net.layers[2].nodes)
    exact = kernel._written_out(gram).trace
    found = []
    for seed in range(200):
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], 30)
        found.append(signs @ gram(signs))
    assert abs(np.mean(found) - exact) < 5.0 * np.std(found) / np.sqrt(200)


def test_equal_copies_merge():
    """m/k groups of k copies whose coefficients and gradients are equal in size: shares k/m, k together."""
    net = am.tied(lambda seed: am.mlp(3, [1], seed=0), 24, 4, seed=0)
    parts = principal_shares(net, [1.0, -1.0, 0.5]).levels[-1]
    assert parts.label == "layer 2, sums"
    np.testing.assert_allclose(
        [parts.principal_share, parts.largest_share, parts.effective_number], [1 / 6, 1 / 24, 6.0], rtol=1e-12
    )


def test_coefficients_are_shares():
    """Parts alike but with weights of their own: the shares are the squared coefficients."""
    coefficients = np.array([3.0, -2.0, 1.0, 0.5, 0.0])
    one = am.mlp(3, [4], seed=0)
    net = am.committee(lambda seed: one.with_parameters(one.parameters), 5, coefficients=coefficients)
    parts = principal_shares(net, [1.0, -1.0, 0.5]).levels[-1]
    np.testing.assert_allclose(parts.principal_share, 9.0 / np.sum(coefficients**2), rtol=1e-12)
    assert (parts.neuron, parts.n_parts) == (0, 4)
    np.testing.assert_allclose(parts.n_together, 1.0, rtol=1e-12)


def test_a_parameter_shared_by_all_pulls_them_together():
    parents = {"x": am.Edge(weight=0.0), "1": am.Edge(weight=0.7, shared="bias")}
    neurons = {f"h{i}": ("tanh", parents) for i in range(10)}
    net = am.from_neurons(["x"], {**neurons, "f": ("identity", {name: am.Edge(weight=1.0) for name in neurons})})
    level = principal_shares(net, [1e-6]).levels[0]
    slope = (1.0 - np.tanh(0.7) ** 2) ** 2  # of every neuron: the bias is shared, the readout weights are not
    alone = np.tanh(0.7) ** 2
    np.testing.assert_allclose(level.principal_share, (10 * slope + alone) / (10 * (slope + alone)), rtol=1e-9)
    np.testing.assert_allclose(level.n_together, 10.0, rtol=1e-9)


def test_curvature_begins_where_functions_bend_or_trainable_edges_leave():
    frozen = am.mlp(3, [4], "relu", trainable_readout=False, seed=0)
    assert not any(level.bends for level in principal_shares(frozen, [1.0, 2.0, 3.0]).levels)
    assert np.isnan(principal_shares(frozen, [1.0, 2.0, 3.0]).predicted_hessian_over_gradient_squared)
    trained = am.mlp(3, [4], "relu", seed=0)
    assert all(level.bends for level in principal_shares(trained, [1.0, 2.0, 3.0]).levels)
    own = am.committee(own_cases.SQUARE.part(), 5, seed=0)
    space = own.hessian(np.ones(own.n_inputs)).node_space
    begins, feeds = bending(space)
    assert begins[own.layers[1].nodes].all()
    assert not feeds[own.layers[1].nodes].any()


def test_a_linear_output_is_no_level_and_a_bent_one_is_the_worst():
    x = [1.0, -1.0, 0.5]
    linear, bent = (am.mlp(3, [64, 64], output_activation=name, seed=0) for name in ("identity", "tanh"))
    assert [level.label for level in principal_shares(linear, x).levels] == ["layer 1", "layer 2"]
    worst = principal_shares(bent, x).worst
    assert worst.label == OUTPUT_MAP
    np.testing.assert_allclose([worst.principal_share, worst.weight], [1.0, 1.0], rtol=1e-12)


def test_a_narrow_layer_with_ways_around_it_weighs_little():
    x = np.ones(4)
    around = principal_shares(am.densenet(4, [256, 3, 256], seed=0), x)
    through = principal_shares(am.mlp(4, [256, 3, 256], seed=0), x)
    assert around.levels[1].principal_share > 1 / 3
    assert around.levels[1].weight < 0.05
    assert around.worst.label != "layer 2"
    assert through.levels[1].weight > 0.3


def test_a_readout_that_begins_at_zero_still_has_a_level():
    net = am.mlp(3, [8, 8], seed=0)
    parameters = net.parameters.copy()
    parameters[-8:] = 0.0
    (level,) = principal_shares(net.with_parameters(parameters), np.ones(3)).levels
    assert (level.label, level.size) == ("layer 2", 1.0)
    assert 1 / 8 < level.principal_share < 1.0


def test_a_dead_network_has_no_level():
    net = am.mlp(2, [3], "relu", seed=0)
    parameters = net.parameters.copy()
    parameters[:6] = -1.0
    found = principal_shares(net.with_parameters(parameters), [1.0, 1.0])
    assert (found.levels, found.worst) == ((), None)
    assert np.isnan(found.principal_share)


def test_float32_agrees():
    x = [1.0, -1.0, 0.5]
    single, double = (am.mlp(3, [40, 40], seed=0, dtype=dtype) for dtype in (np.float32, np.float64))
    double = double.with_parameters(single.parameters.astype(float))
    for one, other in zip(principal_shares(single, x).levels, principal_shares(double, x).levels, strict=True):
        np.testing.assert_allclose(one.predicted, other.predicted, rtol=1e-4)


def test_bad_arguments_are_refused():
    net = am.mlp(3, [4], seed=0)
    with pytest.raises(ShapeError, match="'x'"):
        principal_shares(net, [1.0, 2.0])
    with pytest.raises(NonFiniteError, match="'x'"):
        principal_shares(net, [1.0, 2.0, np.nan])
    with pytest.raises(ArgumentError, match="output"):
        principal_shares(net, [1.0, 2.0, 3.0], output=1)


@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_a_negative_factor_hides_no_trainable_edge(factor: float) -> None:
    neurons = {"h": ("identity", ["x"]), "out": ("identity", {"h": am.Edge(0.9, factor=factor)})}
    level = principal_shares(am.from_neurons(["x"], neurons, seed=0), [1.0]).levels[0]
    assert level.label == "layer 1"
    assert level.bends
