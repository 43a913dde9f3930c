import itertools
import os
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

import assembly as am
import cases
import contracts
import naive
import strategies
from assembly import body, threads
from assembly.blocks.block import Block
from assembly.blocks.dense import DenseBlock
from assembly.calculus.evaluation import backward, evaluate, tangent
from assembly.errors import ArgumentError, KinkWarning, NonFiniteError

everywhere = pytest.mark.parametrize("case", [*cases.CASES, *cases.FLOAT32], ids=str)
named = pytest.mark.parametrize("case", cases.NAMED, ids=str)


@everywhere
def test_value(case):
    contracts.check_value(case.assembly(), case.network(), case.x())


@everywhere
def test_parameter_order(case):
    contracts.check_parameter_order(case.assembly(), case.network(), case.x())


@everywhere
def test_gradient(case):
    contracts.check_gradient(case.assembly(), case.network(), case.x(), case.output)


@everywhere
def test_batch_has_one_row_per_sample(case):
    net, X = case.assembly(), np.array([case.x("a"), case.x("b"), case.x("c")])
    wanted = np.array([naive.value(case.network(), case.w, x) for x in X])
    wanted = wanted[:, 0] if net.n_outputs == 1 else wanted
    assert contracts.error(net(X), wanted) < contracts.rounding(net, 1e-13)
    assert contracts.error(net(X[:1]), wanted[:1]) < contracts.rounding(net, 1e-12)
    assert net(X[:0]).shape == wanted[:0].shape


SIZES = [13, 200, 90, 2]


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_batch_is_rounded_within_the_bound_of_its_docstring(dtype, in_pieces, monkeypatch):
    """Every pre-activation and adjoint against a sum in extended precision, from the values one layer away."""
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 1 if in_pieces else 2**60)
    net = am.mlp(SIZES[0], SIZES[1:-1], "tanh", n_outputs=SIZES[-1], seed=1, dtype=np.dtype(dtype).name)
    evaluation = net.evaluate(np.random.default_rng(0).normal(size=(37, SIZES[0])).astype(dtype))
    adjoints, start = evaluation.adjoints(1), 0
    for below, above in itertools.pairwise(net.layers):
        n_source, n_target = below.size, above.size
        weights = net.parameters[start : start + n_source * n_target].reshape(n_target, n_source)
        start += weights.size
        matrix = weights.astype(np.longdouble) * dtype(1.0 / np.sqrt(n_source))
        check_sums(evaluation.pre[:, above.nodes], evaluation.post[:, below.nodes], matrix.T)
        if below.index > 0:
            check_sums(adjoints.post[:, below.nodes], adjoints.pre[:, above.nodes], matrix)
    assert start == net.n_parameters


def check_sums(found, values, matrix):
    n, u = len(matrix) + 1, np.finfo(found.dtype).eps / 2.0
    exact, sizes = values.astype(np.longdouble) @ matrix, np.abs(values).astype(np.longdouble) @ np.abs(matrix)
    assert (np.abs(found - exact) <= n * u / (1.0 - n * u) * sizes).all()


@pytest.mark.parametrize("case", [*cases.CASES, *cases.FLOAT32], ids=str)
def test_a_batch_in_pieces_is_one_sample_after_the_other(case, monkeypatch):
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 1)
    net, X = case.assembly(), np.array([case.x(str(i)) for i in range(5)])
    direction = np.random.default_rng(1).normal(size=net.n_parameters).astype(net.dtype)
    together, tolerance = net.evaluate(X), contracts.rounding(net, 1e-12, 1e-4)
    adjoints, tangents = together.adjoints(case.output), tangent(together, direction)
    for row, x in enumerate(X):
        alone = net.evaluate(x)
        for name in ("pre", "post", "first", "second"):
            assert contracts.error(getattr(together, name)[row], getattr(alone, name)[0]) < tolerance
            np.testing.assert_array_equal(getattr(together.at_row(row), name)[0], getattr(together, name)[row])
        assert contracts.error(adjoints.pre[row], alone.adjoints(case.output).pre[0]) < tolerance
        assert contracts.error(adjoints.post[row], alone.adjoints(case.output).post[0]) < tolerance
        assert contracts.error(tangents[row], tangent(alone, direction)[0]) < tolerance


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_the_same_bits_for_any_number_of_threads(dtype, in_pieces, monkeypatch):
    monkeypatch.setattr(threads, "_available", lambda: 2)
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 1 if in_pieces else 2**60)
    net = am.mlp(40, [300, 200], "gelu", bias=True, seed=0, dtype=dtype)
    X = np.random.default_rng(0).normal(size=(60, 40)).astype(dtype)

    def everything():
        evaluation = evaluate(net._body.program, net._body.weights, X)
        adjoints = backward(evaluation, int(evaluation.program.outputs[0]))
        derivative = tangent(evaluation, net.parameters[::-1].copy())
        return evaluation.pre, evaluation.post, evaluation.second, adjoints.pre, adjoints.post, derivative

    with threads.limited(1), threadpool_limits(1):
        alone = everything()
    with threads.limited(1):
        limited = everything()
    for wanted, *found in zip(alone, limited, everything(), strict=True):
        np.testing.assert_array_equal(found, [wanted, wanted])


def test_a_batch_is_one_product_and_a_sample_one_pass(monkeypatch):
    seen = []
    for kind, name in (
        (DenseBlock, "push"),
        (DenseBlock, "push_rows"),
        (DenseBlock, "pull"),
        (DenseBlock, "pull_rows"),
    ):
        method = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda *args, m=method, n=name: seen.append((n, len(args[2]))) or m(*args))
    net = am.mlp(3, [5, 4], seed=0)
    net.evaluate(np.ones((7, 3))).adjoints(0)
    assert seen == [("push_rows", 7)] * 3 + [("pull_rows", 7)] * 2
    seen.clear()
    net.evaluate(np.ones(3)).adjoints(0)
    assert [name for name, _ in seen] == ["push_rows", "push"] * 3 + ["pull_rows", "pull"] * 2


def test_blocks_without_products_go_row_by_row():
    """What stands in Block serves kinds that have nothing better."""
    block = am.mlp(3, [5, 4], seed=0).evaluate(np.ones(3)).program.blocks[1]
    rng = np.random.default_rng(0)
    weights, values = rng.normal(size=(4, 5)), rng.normal(size=(3, 13))
    plain, ours = np.zeros((2, 4, 3, 13))
    for out, kind in ((plain, Block), (ours, DenseBlock)):
        kind.push_rows(block, weights, values, out[0])
        kind.pull_rows(block, weights, values, out[1])
        kind.differentiate_rows(block, weights, 2.0 * weights, values, out[2])
    np.testing.assert_allclose(ours, plain, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(plain[2], 2.0 * plain[0], rtol=1e-13)
    assert plain[0].any()
    assert plain[1].any()


@pytest.mark.skipif(
    "NUMBA_DISABLE_JIT" in os.environ, reason="takes minutes without the compiler, which changes no memory"
)
def test_memory_of_a_batch_and_of_outputs_alone():
    net = am.mlp(4, [1500, 1500], seed=0)
    X = np.random.default_rng(0).normal(size=(2560, 4))
    node_vectors = len(X) * net.evaluate(X[0]).program.n_nodes * 8
    assert peak(lambda: net.evaluate(X)) < 4.1 * node_vectors
    assert peak(lambda: net(X)) < 0.5 * node_vectors


def peak(task):
    tracemalloc.start()
    task()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


@named
def test_every_node_and_its_adjoints(case):
    net, x = case.assembly(), case.x()
    evaluation = net.evaluate(x)
    pre, post = naive.forward(case.network(), case.w, x)
    truth = naive.adjoints(case.network(), case.w, x, case.output)
    adjoints = evaluation.adjoints(case.output)
    for layer, names in zip(net.layers[1:], case.names()[1:], strict=True):
        nodes = layer.nodes
        assert contracts.error(evaluation.pre[0, nodes], [pre[name] for name in names]) < 1e-12
        assert contracts.error(evaluation.post[0, nodes], [post[name] for name in names]) < 1e-12
        assert contracts.error(adjoints.pre[0, nodes], [truth[name][0] for name in names]) < 1e-12
        assert contracts.error(adjoints.post[0, nodes], [truth[name][1] for name in names]) < 1e-12
    np.testing.assert_array_equal(evaluation.post[0, net.layers[0].nodes], x)


@everywhere
def test_tangent_is_the_jacobian_times_the_direction(case):
    net, X = case.assembly(), np.array([case.x("a"), case.x("b")])
    direction = np.random.default_rng(1).normal(size=net.n_parameters).astype(net.dtype)
    wanted = np.array([naive.jacobian(case.network(), case.w, x) @ direction for x in X])
    assert contracts.error(tangent(net.evaluate(X), direction), wanted) < contracts.rounding(net, 1e-12, 1e-4)


@strategies.QUICK
@given(graph=strategies.graphs(), data=st.data())
def test_any_graph(graph, data):
    inputs, neurons = graph
    net, (network, number) = am.from_neurons(inputs, neurons), naive.from_neurons(inputs, neurons)
    w = np.zeros(network.n_parameters)
    for (parent, name), k in number.items():
        w[k] = neurons[name][1][parent]
    np.testing.assert_array_equal(net.parameters, w)
    x = data.draw(strategies.samples(len(inputs)))
    contracts.check_value(net, network, x)
    assert np.abs(net.gradient(x) - naive.gradient(network, w, x)).max() < 1e-12


@strategies.QUICK
@given(options=strategies.mlps(), data=st.data())
def test_any_layered_network(options, data):
    case = cases.mlp("any", **options)
    x = data.draw(strategies.samples(options["n_inputs"]))
    net = case.assembly()
    for k in range(net.n_outputs):
        assert np.abs(net.gradient(x, output=k) - naive.gradient(case.network(), case.w, x, k)).max() < 1e-12
    assert np.abs(np.atleast_1d(net(x)) - naive.value(case.network(), case.w, x)).max() < 1e-12


@pytest.mark.parametrize("name", ["tanh-3", "gelu-bias", "committee-2-bias", "sparse-with-skips"])
def test_the_checks_can_fail(name):
    """A twin that reads its parameters in another order must not pass."""
    case = cases.BY_NAME[name]
    wrong = naive.renumbered(case.network(), np.roll(np.arange(case.network().n_parameters), 1))
    for check in (contracts.check_value, contracts.check_parameter_order, contracts.check_gradient):
        with pytest.raises(AssertionError):
            check(case.assembly(), wrong, case.x())
    with pytest.raises(AssertionError):
        contracts.check_tangent_kernel(case.assembly(), wrong, [case.x()])


def test_one_evaluation_is_shared_by_all_asked_at_one_point(monkeypatch):
    evaluated, evaluate = [], body.evaluate
    monkeypatch.setattr(body, "evaluate", lambda *args: evaluated.append(1) or evaluate(*args))
    net, x = am.mlp(3, [4, 3], seed=0), [1.0, 2.0, 3.0]
    value, gradient = net(x), net.gradient(x)
    net.hessian(x).norm()
    net.tangent_kernel([x])
    net.layers[2].gram(x)
    assert len(evaluated) == 1
    assert net(np.array(x) + 1.0) != value
    assert len(evaluated) == 2
    np.testing.assert_array_equal(net.gradient(x), gradient)


def test_an_overflow_is_refused():
    net = am.mlp(2, [3, 3], "quadratic", seed=0)
    with pytest.raises(NonFiniteError, match=r"neuron overflows float64 at these inputs.*scale the inputs"):
        net([1e100, 1e100])
    saturated = am.mlp(2, [3, 1], "quadratic", seed=0, output_activation="tanh")  # the output itself is +-1
    with pytest.raises(NonFiniteError, match="neuron overflows"):
        saturated.gradient([1e100, 1e100])
    with pytest.raises(NonFiniteError, match="neuron overflows"):
        saturated(np.full((40, 2), 1e100))


def test_relu_at_its_kink_warns_once_derivatives_are_asked():
    net = am.mlp(2, [3], "relu", seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert net([0.0, 0.0]) == 0.0
    with pytest.warns(KinkWarning, match="a ReLU pre-activation is exactly 0") as caught:
        gradient = net.gradient([0.0, 0.0])
    assert caught[0].filename.endswith("body.py") or caught[0].filename == __file__
    np.testing.assert_array_equal(gradient, 0.0)
    with pytest.warns(KinkWarning):
        am.mlp(2, [3], "relu", seed=0).hessian([0.0, 0.0])


def test_float32_stays_float32():
    net, X = am.mlp(3, [4, 3], dtype="float32", bias=True), np.ones((2, 3))
    H = net.hessian(X[0])
    found = [
        net.parameters,
        net(X),
        net.gradient(X[0]),
        H @ net.parameters,
        net.tangent_kernel(X),
        net.layers[1].gram(X[0]),
    ]
    assert {array.dtype for array in found} == {np.dtype(np.float32)}
    double = am.mlp(3, [4, 3], bias=True).with_parameters(net.parameters)
    assert contracts.error(net(X), double(X)) < 1e-6
    assert contracts.error(net.gradient(X[0]), double.gradient(X[0])) < 1e-6


def test_a_gradient_is_written_where_it_is_wanted():
    net, x = am.mlp(3, [5, 4], seed=0), [1.0, -0.5, 0.25]
    buffer = np.full(net.n_parameters, np.nan)
    assert net.gradient(x, out=buffer) is buffer
    np.testing.assert_array_equal(buffer, net.gradient(x))
    for wrong in (buffer[:-1], buffer.astype(np.float32), np.zeros(2 * net.n_parameters)[::2], net.parameters, [0.0]):
        with pytest.raises(ArgumentError, match="'out' argument must be a contiguous array"):
            net.gradient(x, out=wrong)
