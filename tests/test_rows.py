"""Blocks whose edges are stored by rows: every pass beside plain loops, whole and cut among threads."""

import itertools

import numpy as np
import pytest

import assembly as am
from assembly import threads
from assembly.blocks import rows
from assembly.blocks.sparse import SparseBlock
from assembly.blocks.tied import TiedBlock

N_SOURCE, N_TARGET, N_NODES = 40, 30, 100
SOURCE, TARGET = slice(7, 7 + N_SOURCE), slice(60, 60 + N_TARGET)
N_WEIGHTS = 11
KINDS = pytest.mark.parametrize("kind", ["sparse", "tied"])


@pytest.fixture
def cut(monkeypatch):
    """Cut every pass, for two threads."""
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 1)
    monkeypatch.setattr(threads, "_available", lambda: 2)
    monkeypatch.setattr(rows, "SHARE_OF_SUMS", 0.001)


def block(kind, dtype="float64", seed=0, from_given=False):
    """Rows of 0 to 39 edges, some of them twice from one source; the first, the last and others are empty."""
    rng = np.random.default_rng(seed)
    degrees = rng.integers(0, N_SOURCE, N_TARGET)
    degrees[[0, 1, 13, N_TARGET - 1]] = 0
    indptr = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64)
    indices = np.concatenate([np.sort(rng.integers(0, N_SOURCE, degree)) for degree in degrees]).astype(np.int32)
    shared = (
        SOURCE,
        TARGET,
        rng.uniform(0.5, 2.0, N_TARGET).astype(dtype),
        slice(0, 1),
        None,
        from_given,
        indptr,
        indices,
    )
    if kind == "sparse":
        return SparseBlock(*shared), rng.normal(size=len(indices)).astype(dtype)
    number = rng.integers(0, N_WEIGHTS, len(indices)).astype(np.int32)
    made = TiedBlock(*shared, number, np.bincount(number, minlength=N_WEIGHTS))
    return made, rng.normal(size=N_WEIGHTS).astype(dtype)


def edges(made):
    """Target, source, both counted in their slices, factor and number of the weight of every edge."""
    for v, (start, stop) in enumerate(itertools.pairwise(made.indptr.tolist())):
        for e in range(start, stop):
            yield (
                v,
                int(made.indices[e]),
                float(made.factor[v]),
                int(made.number[e]) if isinstance(made, TiedBlock) else e,
            )


def matrix(made, weights):
    """c_v w_uv written out."""
    found = np.zeros((N_TARGET, N_SOURCE))
    for v, u, c, number in edges(made):
        found[v, u] += c * float(weights[number])
    return found


def vectors(n, dtype="float64", seed=1):
    return np.random.default_rng(seed).normal(size=(n, N_NODES)).astype(dtype)


def close(found, expected, dtype="float64"):
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=(1e-13 if dtype == "float64" else 2e-6) * np.abs(expected).max()
    )


def added(call, *shape, dtype="float64"):
    """What a pass adds to numbers that are there already, and that it leaves others alone."""
    before = np.random.default_rng(2).normal(size=shape).astype(dtype)
    after = before.copy()
    call(after)
    return after - before


@pytest.fixture(params=["whole", "cut"])
def manner(request):
    if request.param == "cut":
        request.getfixturevalue("cut")
    return request.param


@KINDS
def test_push_and_pull(kind, manner):
    made, weights = block(kind)
    whole, (a,) = matrix(made, weights), vectors(1)
    pushed = added(lambda out: made.push(weights, a, out), N_NODES)
    close(pushed[TARGET], whole @ a[SOURCE])
    pulled = added(lambda out: made.pull(weights, a, out), N_NODES)
    close(pulled[SOURCE], whole.T @ a[TARGET])
    for found, nodes in ((pushed, TARGET), (pulled, SOURCE)):
        found[nodes] = 0.0
        assert not found.any()


@KINDS
@pytest.mark.parametrize("n", [1, 3, 4, 37, 70])
def test_many_vectors_go_as_one_does(kind, n, manner):
    made, weights = block(kind)
    whole, a = matrix(made, weights), vectors(n)
    close(added(lambda out: made.push_rows(weights, a, out), n, N_NODES)[:, TARGET], a[:, SOURCE] @ whole.T)
    close(added(lambda out: made.pull_rows(weights, a, out), n, N_NODES)[:, SOURCE], a[:, TARGET] @ whole)
    close(made.multiply(weights, a[:, SOURCE].T), whole @ a[:, SOURCE].T)
    close(made.multiply_transposed(weights, a[:, TARGET].T), whole.T @ a[:, TARGET].T)


@KINDS
def test_a_column_does_not_depend_on_the_others(kind):
    made, weights = block(kind)
    columns = vectors(50)[:, SOURCE].T
    together = made.multiply(weights, columns)
    for chosen in ([0], [13], [31, 32], range(5, 45)):
        np.testing.assert_array_equal(made.multiply(weights, columns[:, list(chosen)]), together[:, list(chosen)])


@KINDS
@pytest.mark.parametrize("from_given", [False, True])
def test_scatter(kind, from_given, manner):
    made, weights = block(kind, from_given=from_given)
    s, t, a, b = vectors(4)
    expected = np.zeros(len(weights))
    for v, u, c, number in edges(made):
        tangent = 0.0 if from_given else t[SOURCE][u]
        expected[number] += c * (s[TARGET][v] * a[SOURCE][u] + tangent * b[TARGET][v])
    out = np.full(len(weights), np.nan)
    made.scatter(weights, s, t, a, b, out)
    close(out, expected)


def naive_gram(made, s, t, a, b):
    """Z Z^T by a direction dw_e = c_v (s_v a_u + t_u b_v) of every edge."""
    p, q = np.zeros(N_TARGET), np.zeros(N_SOURCE)
    for v, u, c, _ in edges(made):
        direction = c * (s[TARGET][v] * a[SOURCE][u] + (0.0 if made.from_given else t[SOURCE][u] * b[TARGET][v]))
        p[v] += c * direction * a[SOURCE][u]
        q[u] += 0.0 if made.from_given else c * direction * b[TARGET][v]
    return p, q


@pytest.mark.parametrize("from_given", [False, True])
@pytest.mark.parametrize("n_a", [1, 5])
def test_gram_of_one_vector_and_of_rows(from_given, n_a, manner):
    made, _ = block("sparse", from_given=from_given)
    s, t, b, a = (vectors(n, seed=seed) for n, seed in ((5, 3), (5, 4), (5, 5), (n_a, 6)))
    p = np.zeros((5, N_NODES))
    q = np.zeros((5, N_NODES))
    made.gram_rows(a, b)(s, t, p, q)
    for i in range(5):
        expected = naive_gram(made, s[i], t[i], a[i % n_a], b[i])
        close(p[i, TARGET], expected[0])
        np.testing.assert_allclose(q[i, SOURCE], expected[1], rtol=1e-12, atol=1e-13)
        one_p, one_q = np.zeros(N_NODES), np.zeros(N_NODES)
        made.gram(a[i % n_a], b[i])(s[i], t[i], one_p, one_q)
        close(one_p, p[i])
        np.testing.assert_allclose(one_q, q[i], rtol=1e-12, atol=1e-13)


def test_sums_over_parents_and_children(manner):
    made, weights = block("sparse")
    a, c = vectors(2)
    products, children = np.zeros(N_TARGET), np.zeros(N_SOURCE)
    for v, u, _, _ in edges(made):
        products[v] += a[SOURCE][u] * c[SOURCE][u]
        children[u] += a[TARGET][v]
    close(made.products(a, c), products)
    close(made.spread(a[TARGET]), children)
    close(made.own_gram(weights, a, c), made.factor**2 * products)


@pytest.mark.parametrize("targets", [slice(None), slice(0, 0), slice(1, 4), slice(12, 15), slice(5, 30, 3)])
def test_rows_written_out(targets):
    made, weights = block("sparse")
    np.testing.assert_allclose(made.rows(weights, targets), matrix(made, weights)[targets], rtol=1e-15, atol=0)


def test_carried_shares_a_weight_among_its_edges(manner):
    made, weights = block("tied")
    expected = np.zeros(N_TARGET)
    for v, _, _, number in edges(made):
        expected[v] += weights[number] ** 2 / made.users[number]
    close(made.carried(weights), expected)
    np.testing.assert_allclose(made.carried(weights).sum(), np.sum(weights[made.users > 0] ** 2), rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("at_once", [1, 7, 2**16])
def test_kernel_of_samples_with_others_and_with_themselves(dtype, at_once, manner, monkeypatch):
    monkeypatch.setattr("assembly.blocks.sparse.GRADIENT_NUMBERS", 4 * at_once)
    made, _weights = block("sparse", dtype)
    a, b, c, d = vectors(3, dtype, 3), vectors(3, dtype, 4), vectors(4, dtype, 5), vectors(4, dtype, 6)
    for left, right in (((a, b), (c, d)), ((a, b), (a, b)), ((a, b), (a, c[:3]))):
        gradients = [
            np.array(
                [[f * y[TARGET][v] * x[SOURCE][u] for v, u, f, _ in edges(made)] for x, y in zip(*side, strict=True)]
            )
            for side in (left, right)
        ]
        found = made.kernel(left[0], right[0], left[1], right[1])
        assert found.dtype == dtype
        close(found, gradients[0].astype(float) @ gradients[1].astype(float).T, dtype)


def one_neuron(kind, source, target, n, indptr, indices):
    factor = np.ones(target.stop - target.start, np.float32)
    shared = source, target, factor, slice(0, n), None, False, indptr, indices.astype(np.int32)
    if kind == "sparse":
        return SparseBlock(*shared)
    return TiedBlock(*shared, np.arange(n, dtype=np.int32), np.ones(n, dtype=np.int64))


def wide(kind, n):
    """One target with n parents."""
    return one_neuron(kind, slice(0, n), slice(n, n + 1), n, np.array([0, n]), np.arange(n))


def tall(kind, n):
    """One source with n children."""
    return one_neuron(kind, slice(0, 1), slice(1, n + 1), n, np.arange(n + 1), np.zeros(n))


@KINDS
def test_sums_are_in_double_precision(kind):
    """A pass on float32 numbers is off by the rounding of its result alone: 2^-24 of it, and no more per product."""
    n = 20_000
    w, a = np.random.default_rng(0).uniform(0.5, 1.5, (2, n)).astype(np.float32)
    exact = w.astype(float) @ a.astype(float)
    assert abs(float(np.add.accumulate(w * a)[-1]) - exact) > 2.0**-22 * exact  # float32 sums would be seen
    out, back = np.zeros(n + 1, np.float32), np.zeros(n + 1, np.float32)
    wide(kind, n).push(w, np.append(a, a[:1]), out)
    tall(kind, n).pull(w, np.append(a[:1], a), back)
    for found in (out[n], back[0]):
        assert abs(float(found) - exact) <= 2.0**-24 * exact * (1 + 1e-6)


@KINDS
def test_what_is_given_is_left_alone(kind):
    made, weights = block(kind)
    a = vectors(5)
    before = weights.copy(), a.copy()
    made.push(weights, a[0], np.zeros(N_NODES))
    made.pull(weights, a[0], np.zeros(N_NODES))
    made.scatter(weights, *a[:4], np.zeros(len(weights)))
    made.push_rows(weights, a, np.zeros((5, N_NODES)))
    np.testing.assert_array_equal(weights, before[0])
    np.testing.assert_array_equal(a, before[1])
    weights[0] = a[0, 0] = 1.0  # kernels see views that are only read, and the caller's arrays stay writable


@KINDS
def test_products_are_in_double_precision(kind):
    n = 20_000
    equal = np.full(n, 1.1, np.float32)
    exact = n * float(equal[0]) ** 2
    assert np.float32(n * float(equal[0] * equal[0])) != np.float32(exact)  # rounded products would be seen
    out, back = np.zeros(n + 1, np.float32), np.zeros(n + 1, np.float32)
    wide(kind, n).push(equal, np.append(equal, equal[:1]), out)
    tall(kind, n).pull(equal, np.append(equal[:1], equal), back)
    assert out[n] == back[0] == np.float32(exact)


def test_cuts_divide_the_edges_and_not_the_rows(monkeypatch):
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 1)
    degrees = np.array([0, 0, 5, 1000, 0, 1, 1, 400, 400, 200, 0, 0])
    indptr = np.concatenate([[0], np.cumsum(degrees)])
    parts = rows.cuts(indptr, 0)
    assert np.concatenate([np.arange(12)[part] for part in parts]).tolist() == list(range(12))
    assert len(parts) == 8
    ramp = np.cumsum(np.arange(800))  # row v has v edges
    shares = [ramp[part.stop if part.stop < 800 else -1] - ramp[part.start] for part in rows.cuts(ramp, 0)]
    np.testing.assert_allclose(shares, ramp[-1] / 8, rtol=0, atol=800)
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 2**24)
    assert rows.cuts(indptr, 2**24 - 16 * 2007 - 1) == [slice(0, 12)]
    assert len(rows.cuts(indptr, 2**24 - 16 * 2007)) == 8


def test_sums_are_cut_less_where_they_are_much_of_the_work():
    indptr = np.arange(0, 10**7 + 1, 10)  # 160 MB visited and 0 read
    assert len(rows.cuts(indptr, 0)) == 8
    assert len(rows.cuts(indptr, 0, 10**6)) == 160 // 48
    assert rows.cuts(indptr, 0, 4 * 10**6) == [slice(0, 10**6)]
    assert rows.cuts(np.zeros(4, np.int64), 2**30, 5) == [slice(0, 3)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_thread_and_two_give_the_same_bits(dtype, cut):
    """Cut or not, too, but for rounding; and the Hessian stays symmetric."""
    net = am.random_dag(6, 4, 60, 20, reach=2, seed=0, dtype=dtype)
    X = np.random.default_rng(1).normal(size=(40, 6)).astype(dtype)
    u, v = np.random.default_rng(2).normal(size=(2, net.n_parameters)).astype(dtype)

    def answers():
        H = net.hessian(X[0])
        space, norms = H.node_space, H.norm()
        w = np.resize(u, space.size)
        return [net(X), net.gradient(X[0]), H @ u, H @ v, space.N(space.M(w)), net.tangent_kernel(X), norms.value]

    assert max(len(rows.cuts(block.indptr, 0)) for block in sparse_blocks(net)) == 8
    two = answers()
    with threads.limited(1):
        one = answers()
    for left, right in zip(one, two, strict=True):
        np.testing.assert_array_equal(left, right)
    scale = np.linalg.norm(u) * np.linalg.norm(two[3])
    assert abs(u @ two[3] - v @ two[2]) < (1e-13 if dtype == "float64" else 1e-5) * scale


def sparse_blocks(net):
    return [
        block
        for block in net.hessian(np.ones(net.n_inputs)).node_space.program.blocks
        if isinstance(block, SparseBlock)
    ]


def test_cut_and_whole_agree(monkeypatch):
    net = am.random_dag(6, 4, 60, 20, reach=2, seed=0)
    x, v = np.random.default_rng(1).normal(size=6), np.random.default_rng(2).normal(size=net.n_parameters)
    whole = net.hessian(x) @ v
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 1)
    monkeypatch.setattr(rows, "SHARE_OF_SUMS", 0.001)
    cut = net.hessian(x) @ v
    np.testing.assert_allclose(cut, whole, rtol=0, atol=1e-13 * np.abs(whole).max())
    assert (cut != whole).any()  # summed in another order: it was cut
