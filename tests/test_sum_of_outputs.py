"""A sum of outputs, each times a factor, against the naive twin output by output and sample by sample."""

import numpy as np
import pytest

import assembly as am
import cases
import contracts
import naive
from assembly import threads
from assembly.calculus.sum_of_outputs import Expansion, gradient_of_sum
from assembly.errors import GraphError
from assembly.graph.description import Graph
from own_cases import square_gradient, square_product, square_value

everywhere = pytest.mark.parametrize("case", cases.CASES, ids=str)
N = 5


def factors_of(net):
    return np.random.default_rng(1).normal(size=(N, net.n_outputs)).astype(net.dtype)


def samples(case):
    return np.array([case.x(salt) for salt in "abcde"])


@everywhere
def test_the_gradient_is_the_sum_of_gradients(case):
    net, X = case.assembly(), samples(case)
    r = factors_of(net)
    jacobians = [np.atleast_2d(naive.jacobian(case.network(), case.w, x.astype(float))) for x in X]
    wanted = sum(r[i].astype(float) @ jacobians[i] for i in range(N))
    out = np.full(net.n_parameters, np.nan, net.dtype)
    found = gradient_of_sum(net.evaluate(X), r, out)
    assert found is out
    assert contracts.error(found, wanted) < (1e-12 if net.dtype == np.float64 else 2e-5)


def parts_told(net, X, r):
    """Return the gradient, and how often every entry of it was said to be complete."""
    out, told, at_the_time = np.full(net.n_parameters, np.nan, net.dtype), np.zeros(net.n_parameters, int), []

    def then(part):
        told[part] += 1
        at_the_time.append((part, out[part].copy()))

    gradient_of_sum(net.evaluate(X), r, out, then=then)
    for part, values in at_the_time:
        np.testing.assert_array_equal(values, out[part])
    return out, told


@everywhere
def test_every_part_of_a_gradient_is_told_once_when_it_is_complete(case):
    net, X = case.assembly(), samples(case)
    for rows in (X, X[:1]):
        r = factors_of(net)[: len(rows)]
        found, told = parts_told(net, rows, r)
        np.testing.assert_array_equal(found, gradient_of_sum(net.evaluate(rows), r))
        assert (told == 1).all()


def test_parts_of_large_blocks_are_told_piece_by_piece():
    net, rng = am.mlp(64, [700, 700], seed=0), np.random.default_rng(0)
    X, r = rng.normal(size=(300, 64)), rng.normal(size=(300, 1))
    n_told = []
    gradient_of_sum(net.evaluate(X), r, then=n_told.append)
    assert len(n_told) > 3
    assert (parts_told(net, X, r)[1] == 1).all()


@everywhere
def test_one_sample_is_its_gradient(case):
    net, x = case.assembly(), case.x()
    r = np.zeros((1, net.n_outputs), net.dtype)
    r[0, case.output] = 1.0
    found = gradient_of_sum(net.evaluate(x), r)
    np.testing.assert_allclose(found, net.gradient(x, case.output), rtol=1e-12, atol=1e-14)


@pytest.mark.filterwarnings("ignore::assembly.errors.KinkWarning")
@everywhere
def test_second_order_is_that_of_the_hessians(case):
    net, X = case.assembly(), samples(case)
    r, v = factors_of(net), np.random.default_rng(2).normal(size=net.n_parameters).astype(net.dtype)
    products = np.array([[net.hessian(x, k) @ v for k in range(net.n_outputs)] for x in X])
    along, tol = Expansion(net.evaluate(X), v), 1e-12 if net.dtype == np.float64 else 2e-5
    found = along.gradient(r).astype(float) - gradient_of_sum(net.evaluate(X), r)
    wanted, size = np.einsum("ik,ikp->p", r, products), np.abs(along.gradient(r)).max()
    assert np.abs(found - wanted).max() < tol * max(np.abs(wanted).max(), size)
    assert contracts.error(along.second(), products @ v) < tol
    wanted = [[net.gradient(x, k) @ v for k in range(net.n_outputs)] for x in X]
    assert contracts.error(along.first(), np.array(wanted)) < tol


@pytest.mark.parametrize("n", [1, 2, 3, 64, 200])
def test_the_gradient_does_not_depend_on_the_size_of_the_batch(n):
    for net in (am.mlp(6, [40, 30], seed=0), am.random_dag(6, 3, 40, 4, seed=0), am.cnn((6,), [5, 5], 3, seed=0)):
        rng = np.random.default_rng(n)
        X, r = rng.normal(size=(n, 6)), rng.normal(size=(n, 1))
        wanted = sum(r[i, 0] * net.gradient(X[i]) for i in range(n))
        assert contracts.error(gradient_of_sum(net.evaluate(X), r), wanted) < 1e-12


def test_an_output_given_twice_counts_twice():
    net = am.mlp(3, [4], n_outputs=2, seed=0)
    graph = Graph(net.graph.groups, net.graph.connections, ((2, 0), (2, 0)))
    twice = am.Assembly.from_graph(graph, net.parameters.copy())
    x = np.ones((1, 3))
    found = gradient_of_sum(twice.evaluate(x), np.array([[1.0, 2.0]]))
    np.testing.assert_allclose(found, 3.0 * net.gradient(x[0], 0), rtol=1e-14)


def test_large_ones_are_the_same_at_any_number_of_threads():
    net = am.mlp(64, [700, 700], seed=0)
    rng = np.random.default_rng(0)
    X, r = rng.normal(size=(300, 64)), rng.normal(size=(300, 1))
    two = gradient_of_sum(net.evaluate(X), r)
    with threads.limited(1):
        np.testing.assert_array_equal(gradient_of_sum(net.with_parameters(net.parameters).evaluate(X), r), two)


def test_own_sub_models_have_gradients_and_no_expansion():
    part = am.submodel(square_value, square_gradient, square_product, n_inputs=2, n_parameters=2)
    net, X = part(seed=0), np.array([[1.0, 2.0], [0.5, -1.0]])
    wanted = 2.0 * net.gradient(X[0]) - net.gradient(X[1])
    np.testing.assert_allclose(gradient_of_sum(net.evaluate(X), np.array([[2.0], [-1.0]])), wanted, rtol=1e-14)
    with pytest.raises(GraphError, match="sub-models of your own"):
        Expansion(net.evaluate(X), np.ones(2))
