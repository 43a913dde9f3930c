"""Memory that is used again, and what is done with parts of a product in cache, against the plain way."""

import numpy as np
import pytest

import assembly as am
import cases
import contracts
from assembly import memory, threads
from assembly.blocks.dense import DenseBlock
from assembly.calculus.evaluation import backward_of_sum, evaluate, tangents
from assembly.calculus.sum_of_outputs import gradient_of_sum
from assembly.calculus.workspace import Workspace
from assembly.dynamics.models import FirstOrder, Network
from assembly.errors import ResourceError
from assembly.graph.connections import Dense
from assembly.graph.description import INPUT, Graph, Group

N = 40  # samples that go through dense blocks as matrix products
NAMES = ("pre", "post", "first", "adjoint post", "adjoint pre", "tangent post", "tangent pre")
everywhere = pytest.mark.parametrize("case", cases.CASES, ids=str)
pytestmark = pytest.mark.filterwarnings("ignore::assembly.errors.KinkWarning")


@pytest.fixture(params=[False, True], ids=["whole", "cut"])
def pieces(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(threads, "SMALLEST_BYTES", 1)
        monkeypatch.setattr(threads, "_available", lambda: 2)


def samples(net, n):
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, net.n_inputs)).astype(net.dtype), rng.normal(size=(n, net.n_outputs)).astype(net.dtype)


def used(program):
    """Return a workspace in which every number is NaN."""
    workspace = Workspace()
    for name in NAMES:
        workspace.take(name, (N, program.n_nodes), program.dtype).fill(np.nan)
    return workspace


def test_memory_is_kept_as_far_as_it_suffices():
    workspace, double = Workspace(), np.dtype(float)
    first = workspace.take("a", (4, 3), double)
    assert np.shares_memory(first, workspace.take("a", (2, 3), double))
    for shape, dtype in (((5, 3), double), ((5, 4), double), ((5, 4), np.dtype(np.float32))):
        other = workspace.take("a", shape, dtype)
        assert (other.shape, other.dtype) == (shape, dtype)
        assert not np.shares_memory(first, other)
        first = other
    assert not np.shares_memory(first, workspace.take("b", (5, 4), np.dtype(np.float32)))


@everywhere
@pytest.mark.parametrize("n", [N, 5, 1])
def test_what_was_in_a_workspace_does_not_matter(case, n):
    net = case.assembly()
    X, r = samples(net, n)
    fresh = net.evaluate(X)
    workspace = used(fresh.program)
    found = evaluate(fresh.program, fresh.weights, X, workspace)
    for name in ("pre", "post", "first"):
        np.testing.assert_array_equal(getattr(found, name), getattr(fresh, name))
    adjoints, wanted = backward_of_sum(found, r, workspace), backward_of_sum(fresh, r)
    np.testing.assert_array_equal((adjoints.pre, adjoints.post), (wanted.pre, wanted.post))
    np.testing.assert_array_equal(gradient_of_sum(found, r, None, workspace), gradient_of_sum(fresh, r))
    v = np.random.default_rng(1).normal(size=net.n_parameters).astype(net.dtype)
    np.testing.assert_array_equal(tangents(found, v, workspace), tangents(fresh, v))


@pytest.mark.parametrize("n", [N, 1])
def test_neurons_without_in_edges_are_those_of_0(n):
    groups = (Group(2, INPUT), Group(3, "cos"), Group(1, "identity"))
    connections = (Dense(0, 2, 2, 1, np.ones(1)), Dense(1, 2, 3, 1, np.ones(1)))
    net = am.Assembly.from_graph(Graph(groups, connections, ((2, 0),)), np.arange(1.0, 6.0))
    X, r = samples(net, n)
    workspace = used(net.evaluate(X).program)
    found = evaluate(net.evaluate(X).program, net.evaluate(X).weights, X, workspace)
    np.testing.assert_allclose(found.outputs[:, 0], X @ [1.0, 2.0] + 12.0, rtol=1e-14)
    wanted = [*(X.T @ r).ravel(), *[r.sum()] * 3]
    np.testing.assert_allclose(gradient_of_sum(found, r, None, workspace), wanted, rtol=1e-12)


@everywhere
def test_many_samples_are_those_one_by_one(case, pieces):
    net = case.assembly()
    X, r = samples(net, N)
    together, alone = net.evaluate(X), [net.with_parameters(net.parameters).evaluate(x[None]) for x in X]
    tol = 1e-12 if net.dtype == np.float64 else 2e-5
    for name in ("pre", "post", "first"):
        wanted = np.concatenate([getattr(one, name) for one in alone])
        assert contracts.error(getattr(together, name), wanted) < tol
    wanted = sum(gradient_of_sum(one, factors[None]).astype(float) for one, factors in zip(alone, r, strict=True))
    assert contracts.error(gradient_of_sum(together, r), wanted) < tol


@pytest.mark.parametrize("is_even", [True, False])
def test_a_dense_block_pushes_and_pulls_rows_as_it_does_vectors(is_even, pieces):
    rng = np.random.default_rng(0)
    factor = np.full(50, 0.3) if is_even else rng.uniform(0.5, 2.0, 50)
    block = DenseBlock(slice(2, 32), slice(32, 82), factor, slice(0, 1500), None, False)
    weights, values = rng.normal(size=(50, 30)), rng.normal(size=(N, 90))
    for several, one, place in (
        (block.push_rows_then, block.push, block.target),
        (block.pull_rows_then, block.pull, block.source),
    ):
        for adds in (True, False):
            wanted, out = np.full((N, 90), 3.0), np.full((N, 90), 3.0)
            wanted[:, place] = 3.0 if adds else 0.0
            for row, sums in zip(values, wanted, strict=True):
                one(weights, row, sums)
            told = np.zeros((N, 90), int)

            def then(rows, nodes, told=told):
                told[rows, nodes] += 1

            several(weights, values, out, adds, then)
            np.testing.assert_allclose(out, wanted, rtol=1e-12, atol=1e-13)
            assert (told[:, place] == 1).all()
            assert told.sum() == told[:, place].size


def test_models_keep_nothing_of_one_batch_for_the_next():
    net = am.mlp(4, [12, 10], seed=0)
    X, y = samples(net, N)
    at, w = net.evaluate(X), net.parameters + 0.1
    for make in (lambda: Network(at.program, X), lambda: FirstOrder(at, net.parameters)):
        kept = make()
        for rows in (slice(None), np.arange(35), np.arange(3, 5), np.arange(38)):
            found, wanted = np.empty_like(w), np.empty_like(w)
            u = kept.gradient(w, rows, lambda u, rows=rows: u - y[rows], found)
            np.testing.assert_array_equal(u, make().gradient(w, rows, lambda u, rows=rows: u - y[rows], wanted))
            np.testing.assert_array_equal(found, wanted)
        before = kept.outputs(w)
        kept.gradient(2.0 * w, slice(None), lambda u: u - y, found)
        np.testing.assert_array_equal(kept.outputs(w), before)


def test_memory_that_is_kept_is_not_asked_for_again(monkeypatch):
    net = am.mlp(4, [12], seed=0)
    X, y = samples(net, N)
    program, w, found = net.evaluate(X).program, net.parameters, np.empty_like(net.parameters)
    model = Network(program, X)
    model.gradient(w, slice(None), lambda u: u - y, found)
    monkeypatch.setattr(memory, "NEVER_CHECKED", 0)
    monkeypatch.setattr(memory, "available_memory", lambda: 0)
    model.gradient(w, slice(None), lambda u: u - y, found)
    model.gradient(w, np.arange(9), lambda u: u - y[:9], found)
    with pytest.raises(ResourceError, match="needs about"):
        net.evaluate(X + 1.0)
