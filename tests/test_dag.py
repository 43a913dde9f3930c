import collections
import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import assembly as am
import contracts
import naive
import strategies
from assembly import memory
from assembly.architectures import dag
from assembly.calculus import hessian, lanczos
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.errors import ArgumentError, ResourceError, UnknownNameError
from assembly.kernels import sampling

FALSE_ALARM = 1e-6  # of every chi-square test below, were its seed not fixed


def edges(net):
    """Return {(group, neuron): [(group, neuron, parameter) of every parent]}, from the arrays of the graph."""
    found = collections.defaultdict(list)
    for connection, part in zip(net.graph.connections, net.graph.slices, strict=True):
        for target in range(connection.n_target):
            sources, places = connection.in_edges(target)
            numbers = np.arange(connection.n_weights)[places] + part.start
            found[connection.target, target] += [
                (connection.source, int(u), int(number)) for u, number in zip(sources, numbers, strict=True)
            ]
    return found


def parents(net):
    return {target: [(group, u) for group, u, _ in row] for target, row in edges(net).items()}


def twin(net, activation, output_activation="identity"):
    """Return the naive network: edges from the graph, factors and activation functions of our own."""
    last = len(net.graph.groups) - 1
    neurons = {
        f"{group}.{i}": (
            output_activation if group == last else activation,
            tuple(naive.Edge(f"{g}.{u}", 1.0 / np.sqrt(len(row)), number) for g, u, number in row),
        )
        for (group, i), row in sorted(edges(net).items())
    }
    inputs = tuple(f"0.{i}" for i in range(net.n_inputs))
    return naive.Network(inputs, neurons, tuple(f"{last}.{k}" for k in range(net.n_outputs)), net.n_parameters)


def depths(net):
    """Return the longest path from the inputs to every neuron, by recursion."""
    of = parents(net)
    found = {}
    for node in sorted(of):
        found[node] = 1 + max(found.get(parent, 0) for parent in of[node])
    return found


# The sampler


def sample(seed, n_rows, n_pool, in_degree, required=(), n_target=None):
    out = np.empty((n_rows, in_degree), dtype=np.int32)
    uniform = np.random.default_rng(seed).random((n_rows, in_degree))
    marks = np.zeros(n_pool, dtype=np.bool_)
    sampling.fill_parents(uniform, np.array(required, dtype=np.int64), n_pool, 0, n_target or n_rows, marks, out)
    assert not marks.any()  # as it was given, for the next rows
    return out


def is_uniform(counts):
    return stats.chisquare(counts).pvalue > FALSE_ALARM


@strategies.QUICK
@given(n_pool=st.integers(1, 40), data=st.data())
def test_parents_are_distinct_and_hold_those_required(n_pool, data):
    in_degree = data.draw(st.integers(1, n_pool))
    n_target = data.draw(st.integers(1, 30))
    n_required = data.draw(st.integers(0, min(n_pool, n_target * in_degree)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    required = rng.permutation(n_pool)[:n_required]
    for v, row in enumerate(sample(1, n_target, n_pool, in_degree, required, n_target)):
        assert len(set(row.tolist())) == in_degree
        assert 0 <= row.min() <= row.max() < n_pool
        assert set(row.tolist()) >= set(required[v::n_target].tolist())


@pytest.mark.parametrize(("n_pool", "in_degree"), [(6, 1), (6, 3), (6, 5), (5, 2), (7, 4)])
def test_every_set_of_parents_has_the_same_chance(n_pool, in_degree):
    rows = sample(2, 40_000, n_pool, in_degree)
    counts = collections.Counter(map(tuple, np.sort(rows, axis=1).tolist()))
    sets = list(itertools.combinations(range(n_pool), in_degree))
    assert set(counts) <= set(sets)
    assert is_uniform([counts[one] for one in sets])


@pytest.mark.parametrize(("required", "in_degree"), [([0], 3), ([3], 3), ([6], 3), ([5, 1], 4), ([6, 0, 3], 5)])
def test_beside_those_required_every_set_has_the_same_chance(required, in_degree):
    n_rows, n_pool = 40_000, 7
    rows = sample(3, n_rows, n_pool, in_degree, np.repeat(required, n_rows))
    counts = collections.Counter(map(tuple, np.sort(rows, axis=1).tolist()))
    others = [u for u in range(n_pool) if u not in required]
    sets = [tuple(sorted([*required, *rest])) for rest in itertools.combinations(others, in_degree - len(required))]
    assert set(counts) <= set(sets)
    assert is_uniform([counts[one] for one in sets])


def test_the_test_of_uniformity_can_fail():
    """A sampler that draws with a remainder of 13 of 7: the first numbers come twice as often."""
    counts = np.bincount(np.random.default_rng(0).integers(13, size=2000) % 7)
    assert not is_uniform(counts)


@pytest.mark.parametrize(("n_pool", "in_degree"), [(1000, 1), (1000, 30), (1000, 970), (50_000, 100)])
def test_every_neuron_is_drawn_equally_often(n_pool, in_degree):
    """Without replacement counts vary by the factor 1 - k/n less than a multinomial."""
    n_rows = 2_000_000 // in_degree
    counts = np.bincount(sample(4, n_rows, n_pool, in_degree).ravel(), minlength=n_pool)
    mean = n_rows * in_degree / n_pool
    statistic = ((counts - mean) ** 2 / (mean * (1.0 - in_degree / n_pool))).sum() * (n_pool - 1) / n_pool
    low, high = stats.chi2.ppf([FALSE_ALARM / 2, 1.0 - FALSE_ALARM / 2], n_pool - 1)
    assert low < statistic < high


# Random graphs


SHAPES = [
    {"layer_width": 12, "in_degree": 4},
    {"layer_width": 12, "in_degree": 1},
    {"layer_width": 12, "in_degree": 11},
    {"layer_width": 12, "in_degree": 5, "reach": 2},
    {"layer_width": 12, "in_degree": 14, "reach": 3},
    {"layer_width": 12, "in_degree": 3, "reach": 9},
    {"layer_width": [12, 5, 17, 4], "in_degree": 5},
    {"layer_width": [30, 5, 20, 4], "in_degree": 6, "reach": 2},  # 6 edges each for 5 neurons: all 30 are dealt out
    {"layer_width": [12, 3, 17, 5], "in_degree": 4, "reach": 4},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n_inputs", [3, 40])
def test_layers_in_degrees_and_children_are_as_asked(shape, n_inputs):
    net = am.random_dag(n_inputs, 4, **shape, n_outputs=2, seed=3)
    widths = shape["layer_width"] if isinstance(shape["layer_width"], list) else [shape["layer_width"]] * 4
    k, reach = shape["in_degree"], shape.get("reach", 1)
    assert [layer.size for layer in net.layers] == [n_inputs, *widths, 2]
    of = parents(net)
    assert all(depth == group for (group, _), depth in depths(net).items())
    for (group, neuron), row in of.items():
        assert len(set(row)) == len(row) == {1: min(k, n_inputs), 5: widths[-1]}.get(group, k), (group, neuron)
        assert max(0, group - reach) <= min(source for source, _ in row) or group == 5
        assert row == sorted(row)
    with_children = {parent for row in of.values() for parent in row}
    hidden = {(group, i) for group, width in enumerate(widths, start=1) for i in range(width)}
    assert hidden <= with_children
    assert net.width == min(k, widths[-1])


@pytest.mark.parametrize("reach", [1, 2])
def test_all_sets_of_parents_are_equally_likely_over_seeds(reach):
    """Of one neuron, in 3000 graphs; with reach 2 one parent is of the layer right below, the others of both."""
    rows = [tuple(parents(am.random_dag(2, 3, 5, 3, reach=reach, seed=seed))[3, 1]) for seed in range(3000)]
    counts = collections.Counter(rows)
    below = [(3 - step, i) for step in range(reach, 0, -1) for i in range(5)]
    sets = list(itertools.combinations(below, 3))
    # a set has a chance for each of its members that may have been dealt
    weights = np.array([sum(group == 2 for group, _ in one) for one in sets], dtype=float)
    expected = 3000 * weights / weights.sum()
    observed = np.array([counts[one] for one in sets])
    assert observed[expected == 0.0].sum() == 0
    assert stats.chisquare(observed[expected > 0], expected[expected > 0]).pvalue > FALSE_ALARM


def test_neurons_and_layers_have_parents_of_their_own():
    of = parents(am.random_dag(50, 3, 50, 10, seed=0))
    assert len({tuple(u for _, u in of[group, i]) for group in (1, 2, 3) for i in range(50)}) == 150


NETS = {
    "plain": (lambda **o: am.random_dag(3, 3, 5, 2, **o), "tanh"),
    "reach-2": (lambda **o: am.random_dag(3, 3, [4, 6, 3], 3, "gelu", reach=2, n_outputs=2, **o), "gelu"),
    "reach-3": (lambda **o: am.random_dag(2, 4, 3, 4, "sin", reach=3, readout="sign", **o), "sin"),
    "many-inputs": (lambda **o: am.random_dag(7, 2, 4, 3, "erf", **o), "erf"),
    "narrowing": (lambda **o: am.random_dag(2, 3, [8, 3, 2], 3, "swish", **o), "swish"),
    "dense": (lambda **o: am.random_dag(3, 3, 3, 3, **o), "tanh"),
    "dense-reach-2": (lambda **o: am.random_dag(3, 2, [4, 3], 7, reach=2, **o), "tanh"),
    "one-layer": (lambda **o: am.random_dag(3, 1, 4, 2, **o), "tanh"),
    "uneven": (lambda **o: am.uneven_dag(3, 2, 2, **o), "tanh"),
    "uneven-3": (lambda **o: am.uneven_dag(2, 3, 3, "softplus", exponent=1.3, **o), "softplus"),
}


@pytest.mark.parametrize("output_activation", ["identity", "tanh"])
@pytest.mark.parametrize("name", NETS)
def test_value_gradient_and_hessian_are_those_of_the_naive_twin(name, output_activation):
    build, activation = NETS[name]
    net = build(seed=5, output_activation=output_activation)
    network, x = twin(net, activation, output_activation), np.random.default_rng(1).normal(size=net.n_inputs)
    output = net.n_outputs - 1
    wanted = naive.hessian(network, net.parameters, x, output)
    contracts.check_value(net, network, x)
    contracts.check_parameter_order(net, network, x)
    contracts.check_gradient(net, network, x, output)
    contracts.check_hessian(net, network, x, output, wanted)
    contracts.check_eigenvalues(net, x, wanted, output)


@pytest.mark.parametrize("name", ["plain", "reach-2", "uneven"])
def test_float32(name):
    build, activation = NETS[name]
    net, double = build(seed=5, dtype="float32"), build(seed=5)
    assert parents(net) == parents(double)
    assert not np.array_equal(net.parameters.astype(float), double.parameters)
    network, x = twin(net, activation), np.random.default_rng(1).normal(size=net.n_inputs).astype(np.float32)
    contracts.check_value(net, network, x)
    contracts.check_gradient(net, network, x)
    contracts.check_hessian(net, network, x)


def test_all_neurons_as_parents_are_dense_connections():
    kinds = {
        (3, 1): [["Dense"], ["Dense"], ["Dense"], ["Dense"]],
        (6, 2): [["Dense"], ["Dense", "Dense"], ["Dense", "Dense"], ["Dense"]],
        (5, 2): [["Dense"], ["Sparse", "Sparse"], ["Sparse", "Sparse"], ["Dense"]],
        (2, 1): [["Sparse"], ["Sparse"], ["Sparse"], ["Dense"]],
    }
    for (in_degree, reach), wanted in kinds.items():
        graph = am.random_dag(3, 3, 3, in_degree, reach=reach).graph
        found = [[type(graph.connections[p]).__name__ for p in entry] for entry in graph.incoming[1:]]
        assert found == wanted, (in_degree, reach)
    blocks = am.random_dag(8, 3, 512, 512)  # what a network of wide dense layers becomes
    mlp = am.mlp(8, [512, 512, 512])
    assert repr(blocks) == repr(mlp)
    x = np.linspace(-1.0, 1.0, 8)
    assert blocks.with_parameters(mlp.parameters)(x) == pytest.approx(mlp(x), rel=1e-13)


def test_same_seed_same_network():
    for build in (
        lambda seed: am.random_dag(6, 3, 9, 4, reach=2, seed=seed, readout="sign"),
        lambda seed: am.uneven_dag(6, 3, 4, seed=seed),
    ):
        one, same, other = build(7), build(7), build(8)
        assert edges(one) == edges(same)
        np.testing.assert_array_equal(one.parameters, same.parameters)
        assert edges(one) != edges(other)
        assert not np.array_equal(one.parameters, other.parameters)


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_the_size_of_the_chunks_changes_nothing(monkeypatch, chunk):
    whole = am.random_dag(6, 3, [20, 30, 10], 4, reach=2, seed=1)
    monkeypatch.setattr(dag, "CHUNK", chunk)
    assert edges(am.random_dag(6, 3, [20, 30, 10], 4, reach=2, seed=1)) == edges(whole)


def test_initial_weights_are_standard_normal_and_readouts_as_asked():
    """90,000 draws; moments within 5 standard errors, so a false alarm of 6e-7 each, and the seed is fixed."""
    net = am.random_dag(30, 10, 300, 30, seed=2, readout="sign")
    w = net.parameters[:-300]
    assert len(w) == 90_000
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(w**power) - mean) < 5.0 * np.sqrt(variance / len(w)), power
    assert set(net.parameters[-300:]) == set(net.coefficients) == {-1.0, 1.0}
    assert len(set(am.random_dag(30, 2, 300, 30).coefficients)) == 300


# Uneven in-degrees


@pytest.mark.parametrize("exponent", [1.5, 1.1, 2.0])
def test_uneven_halves(exponent):
    m, n_layers = 9, 3
    net = am.uneven_dag(5, n_layers, m, exponent=exponent, seed=1)
    n = round(m**exponent)
    assert [layer.size for layer in net.layers] == [5, n, n, n, 1]
    of = parents(net)
    assert all(
        depth == level for (group, _), depth in depths(net).items() for level in [min((group + 2) // 2, group, 4)]
    )
    assert [len(of[1, i]) for i in range(n)] == [5] * n
    for narrow in (2, 4):  # groups: inputs, layer 1, then two for each layer
        halves = [len(of[narrow, i]) for i in range(n // 2)], [len(of[narrow + 1, i]) for i in range(n - n // 2)]
        assert halves == ([m] * (n // 2), [n] * (n - n // 2))
        assert len({tuple(of[narrow, i]) for i in range(n // 2)}) == 1  # the same parents
    assert of[2, 0] != [(1, i) for i in range(m)]  # drawn
    assert len(of[6, 0]) == n
    assert net.width == m


def test_the_minimum_in_degree_governs():
    """Claim 5: m^-1/2; where the in-degree n = m^1.5 governed it would be m^-0.75. Medians of 9 networks each."""
    widths = [16, 32, 64, 128]
    x = np.ones(8)
    medians = [
        np.median([float(am.uneven_dag(8, 2, m, readout="sign", seed=seed).hessian(x).norm(1e-4)) for seed in range(9)])
        for m in widths
    ]
    slope = np.polyfit(np.log(widths), np.log(medians), 1)[0]
    assert -0.6 < slope < -0.4


# Size


def test_structure_is_four_bytes_an_edge():
    net = am.random_dag(100, 3, 1000, 100, reach=2)
    sparse = [c for c in net.graph.connections if type(c).__name__ == "Sparse"]
    assert {(c.indices.dtype.name, c.indptr.dtype.name) for c in sparse} == {("int32", "int64")}
    n_edges = sum(c.n_edges for c in sparse)
    arrays = [value for c in sparse for value in vars(c).values() if isinstance(value, np.ndarray)]
    rows = sum(c.n_target for c in sparse)
    assert sum(array.nbytes for array in arrays) <= 4 * n_edges + 16 * rows + 8 * len(sparse)
    blocks = {id(block.indices) for block in net._body.program.blocks if hasattr(block, "indices")}
    assert blocks == {id(c.indices) for c in sparse}  # lowered without a copy
    assert all(np.shares_memory(weights, net.parameters) for weights in net._body.weights)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_graph_too_large_is_refused_before_anything_is_drawn(monkeypatch, dtype):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**29)
    monkeypatch.setattr(np, "full", lambda *args: pytest.fail("allocated first"))
    monkeypatch.setattr(dag, "_parents", lambda *args: pytest.fail("drawn first"))
    size = {"float64": 1.17, "float32": 0.763}[dtype]  # 12 or 8 bytes an edge, and 12 numbers a neuron
    with pytest.raises(ResourceError, match=rf"^A network of 96,500,000 edges needs about {size} GiB, 0\.5 GiB are"):
        am.random_dag(64, 10, 100_000, 100, dtype=dtype)
    size = {"float64": 33.1, "float32": 16.7}[dtype]
    with pytest.raises(ResourceError, match=rf"edges needs about {size} GiB, 0.5 GiB are free: use fewer"):
        am.uneven_dag(64, 2, 2048, dtype=dtype)


def test_memory_of_the_iteration_stays_within_its_bound(monkeypatch):
    """All of it, the restarts included, as numpy allocates it."""
    net = am.random_dag(20, 5, 4000, 20, seed=0)
    H = net.hessian(np.ones(20))
    vector_bytes = 8 * H.node_space.size
    monkeypatch.setattr(hessian, "BASIS_BYTES", 35 * vector_bytes)
    H.norm(1e-1)
    tracemalloc.start()
    try:
        found = H.norm(1e-9)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.converged
    assert found.n_steps > 30  # or nothing was restarted
    assert 25 * vector_bytes < used <= 35 * vector_bytes


def test_an_iteration_that_does_not_fit_is_refused(monkeypatch):
    H = am.random_dag(4, 3, 20, 3).hessian(np.ones(4))
    monkeypatch.setattr(memory, "NEVER_CHECKED", 0)
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    with pytest.raises(ResourceError, match=r"^An eigenvalue iteration on 130 node coordinates needs about .* free"):
        H.norm()


def test_a_step_takes_little_more_than_one_pass_over_the_structure(monkeypatch):
    calls = collections.Counter()
    for name in ("M", "N"):
        plain = getattr(NodeSpaceHessian, name)
        counted = lambda self, vector, name=name, plain=plain: calls.update([name]) or plain(self, vector)  # noqa: E731
        monkeypatch.setattr(NodeSpaceHessian, name, counted)
    found = am.random_dag(20, 5, 1000, 20, seed=0).hessian(np.ones(20)).norm(1e-6)
    assert found.converged
    assert calls["M"] == found.n_steps > 20
    assert calls["N"] < 1.5 * found.n_steps


@pytest.mark.parametrize("n_columns", [1, 7, 10**6])
def test_restarts_turn_the_basis_by_columns(monkeypatch, n_columns):
    H = am.random_dag(5, 3, 60, 5, seed=0).hessian(np.ones(5))
    plenty = H.norm(1e-10)
    monkeypatch.setattr(hessian, "BASIS_BYTES", 1)
    monkeypatch.setattr(lanczos, "N_COLUMNS", n_columns)
    scarce = H.norm(1e-10)
    assert scarce.converged
    assert scarce.n_steps > plenty.n_steps
    assert scarce.value == pytest.approx(plenty.value, rel=1e-13)


# Errors


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_inputs": 0}, ArgumentError, r"'n_inputs' argument must be an int of at least 1\. Got 0\."),
        ({"n_layers": 0}, ArgumentError, r"'n_layers' argument must be an int of at least 1\. Got 0\."),
        ({"layer_width": 0}, ArgumentError, r"'layer_width' argument must be an int of at least 1\. Got 0\."),
        ({"layer_width": 5.0}, ArgumentError, r"'layer_width' argument must be an int of at least 1\. Got 5\.0\."),
        (
            {"layer_width": "55"},
            ArgumentError,
            r"'layer_width' argument must be a non-empty sequence of ints\. Got '55'",
        ),
        (
            {"layer_width": [5, 0, 5]},
            ArgumentError,
            r"'layer_width\[1\]' argument must be an int of at least 1\. Got 0",
        ),
        (
            {"layer_width": [5, 5]},
            ArgumentError,
            r"'layer_width' argument must be one int or n_layers = 3.* Got 2 ints",
        ),
        (
            {"layer_width": [9, 2, 9], "in_degree": 2},
            ArgumentError,
            r"'layer_width' argument must leave every neuron a child: layer 1 has 9 neurons\. Got 2 for layer 2, with "
            r"in_degree = 2 edges each\.",
        ),
        ({"in_degree": 0}, ArgumentError, r"'in_degree' argument must be an int of at least 1\. Got 0\."),
        (
            {"in_degree": 6},
            ArgumentError,
            r"'in_degree' argument must be at most 5, the neurons that those of layer 2 can have as parents\. Got 6\.",
        ),
        ({"in_degree": 9, "reach": 2}, ArgumentError, r"must be at most 7, the neurons that those of layer 2 .* Got 9"),
        ({"reach": 0}, ArgumentError, r"'reach' argument must be an int of at least 1\. Got 0\."),
        ({"n_outputs": 0}, ArgumentError, r"'n_outputs' argument must be an int of at least 1\. Got 0\."),
        ({"seed": -1}, ArgumentError, r"'seed' argument must be an int of at least 0\. Got -1\."),
        ({"dtype": "float16"}, ArgumentError, r"'dtype' argument must be float64 or float32\. Got 'float16'\."),
        ({"activation": "tahn"}, UnknownNameError, r"'activation' argument .* Got 'tahn'\. Did you mean 'tanh'\?"),
        ({"output_activation": "x"}, UnknownNameError, r"'output_activation' argument must be one of identity"),
        ({"readout": "signs"}, UnknownNameError, r"'readout' argument .* Got 'signs'\. Did you mean 'sign'"),
    ],
)
def test_errors_of_random_dag(arguments, error, message):
    with pytest.raises(error, match=message):
        am.random_dag(**{"n_inputs": 2, "n_layers": 3, "layer_width": 5, "in_degree": 3, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_layers": 1}, ArgumentError, r"'n_layers' argument must be an int of at least 2\. Got 1\."),
        ({"width": 1}, ArgumentError, r"'width' argument must be an int of at least 2\. Got 1\."),
        ({"exponent": 1.0}, ArgumentError, r"'exponent' argument must be a finite number above 1 and below 10\. Got 1"),
        ({"exponent": 1e3}, ArgumentError, r"'exponent' argument must be a finite number above 1 and below 10\. Got 1"),
        ({"n_inputs": 0}, ArgumentError, r"'n_inputs' argument must be an int of at least 1\. Got 0\."),
        ({"readout": "x"}, UnknownNameError, r"'readout' argument must be one of gaussian, sign\. Got 'x'"),
        ({"activation": "x"}, UnknownNameError, r"'activation' argument must be one of identity, .* Got 'x'"),
    ],
)
def test_errors_of_uneven_dag(arguments, error, message):
    with pytest.raises(error, match=message):
        am.uneven_dag(**{"n_inputs": 2, "n_layers": 2, "width": 4, **arguments})
