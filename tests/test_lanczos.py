import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assembly as am
import naive
import strategies
from assembly.calculus.lanczos import extreme_eigenpairs, quadrature, relative_residuals


def identity(v):
    return v.copy()


def diagonal(values):
    return lambda v: np.asarray(values) * v


def diagonal_of(gram, n):
    return np.array([gram(row)[i] for i, row in enumerate(np.eye(n))])


def run(operator, gram, n, k=1, tol=1e-10, max_steps=500, basis_size=60, seed=0, own=None):
    start = np.random.default_rng(seed).normal(size=n)
    own = diagonal_of(gram, n) if own is None else own
    return extreme_eigenpairs(operator, gram, own, start, k=k, tol=tol, max_steps=max_steps, basis_size=basis_size)


def pair(n, seed, rank=None):
    """Symmetric indefinite M and N >= 0 of the given rank, with the eigenvalues of Z^T M Z."""
    rng = np.random.default_rng(seed)
    m, z = rng.normal(size=(n, n)), rng.normal(size=(n, rank or n)) / np.sqrt(n)
    m = (m + m.T) / np.sqrt(8.0 * n)
    return m, z @ z.T, naive.eigenvalues(z.T @ m @ z), z


def test_agrees_with_the_closed_form_at_a_million_neurons():
    """m = 2^20, Gaussian readout; the iteration alone, with bases so short that it restarts."""
    m, x, tol = 2**20, np.array([1.0, -0.5, 0.3, 0.8]), 1e-5
    net = am.mlp(4, [m], "tanh", seed=0)
    space = net.hessian(x).node_space
    found = run(space.M, space.N, space.size, own=space.diagonal(), tol=tol, max_steps=200, basis_size=24)
    w, v = net.parameters[: 4 * m].reshape(m, 4), net.parameters[4 * m :]
    t = np.tanh(w @ x / 2.0)
    slope = 1.0 - t * t
    a, b = -2.0 * v * t * slope * (x @ x) / 4.0, slope * np.linalg.norm(x) / 2.0
    exact = np.max(0.5 * (np.abs(a) + np.sqrt(a * a + 4.0 * b * b))) / np.sqrt(m)
    assert found.converged
    assert found.residuals[0] <= tol
    assert found.n_steps > 25
    assert abs(found.values[0]) == pytest.approx(exact, rel=1e-8)  # the error is of the order of residual^2 / gap


@strategies.QUICK
@given(n=st.integers(2, 30), seed=st.integers(0, 10**6), k=st.integers(1, 4), data=st.data())
def test_agrees_with_dense_eigenvalues(n, seed, k, data):
    rank = data.draw(st.integers(1, n))
    m, gram, truth, z = pair(n, seed, rank)
    found = run(lambda v: m @ v, lambda v: gram @ v, n, min(k, rank), 1e-7)
    assert found.converged
    assert len(found.values) == min(k, rank)
    np.testing.assert_allclose(np.abs(found.values), np.abs(truth[:k]), atol=1e-8 * np.abs(truth[0]))
    for value, c in zip(found.values, found.coordinates, strict=True):
        vector = z.T @ c
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-8)
        assert np.linalg.norm(z.T @ m @ z @ vector - value * vector) < 1e-7 * np.abs(truth[0])


@pytest.mark.parametrize("k", [1, 3])
def test_thick_restart_equals_no_restart(k):
    m, gram, truth, _ = pair(300, 1)
    small = run(lambda v: m @ v, lambda v: gram @ v, 300, k, basis_size=14)
    large = run(lambda v: m @ v, lambda v: gram @ v, 300, k, basis_size=300)
    assert small.converged
    assert large.converged
    assert small.n_steps > 14 + k  # or nothing was restarted
    assert small.n_steps > large.n_steps
    np.testing.assert_allclose(small.values, large.values, rtol=1e-12)
    np.testing.assert_allclose(small.values, truth[:k], rtol=1e-12)
    overlap = np.einsum("ki,ij,kj->k", small.coordinates, gram, large.coordinates)
    np.testing.assert_allclose(np.abs(overlap), 1.0, rtol=1e-12)


def test_residual_is_that_of_the_vector_returned():
    m, gram, _, z = pair(120, 2)
    for max_steps in (4, 10, 40):
        found = run(lambda v: m @ v, lambda v: gram @ v, 120, 2, 1e-9, max_steps)
        scale = np.abs(found.values[0])
        for value, residual, c in zip(found.values, found.residuals, found.coordinates, strict=True):
            vector = z.T @ c
            rest = np.linalg.norm(z.T @ m @ z @ vector - value * vector) / scale
            assert rest == pytest.approx(residual, rel=1e-6, abs=1e-12)
        assert found.converged == bool((found.residuals <= 1e-9).all())


def test_what_rounding_may_hide_of_a_residual_is_counted():
    """M sends the vector to where N is 0: the norm of that is what N holds by rounding, not 0."""
    m, own = np.array([[1.0, 7.0], [7.0, 0.0]]), np.array([1.0, 2.0])
    found = relative_residuals(lambda v: m @ v, diagonal([1.0, 0.0]), own, np.ones(1), np.array([[1.0, 0.0]]))
    assert found == pytest.approx(np.sqrt(np.finfo(float).eps * 7.0 * 7.0 * 2.0), rel=1e-12)


@pytest.mark.parametrize("max_steps", [1, 2, 3, 7])
def test_says_so_when_it_cannot_converge(max_steps):
    m, gram, truth, _ = pair(300, 3)
    found = run(lambda v: m @ v, lambda v: gram @ v, 300, 1, 1e-10, max_steps)
    assert not found.converged
    assert found.residuals[0] > 1e-6
    assert abs(found.values[0]) < abs(truth[0])
    assert found.n_steps == max_steps + 1  # one more for the residual


def test_counts_its_steps_and_respects_the_limit():
    m, gram, _, _ = pair(200, 4)
    applied = []
    found = run(lambda v: applied.append(1) or m @ v, lambda v: gram @ v, 200, 2, 1e-14, max_steps=33, basis_size=12)
    assert found.n_steps == len(applied) == 33 + 2


def test_multiplicities_are_found_once_the_krylov_space_is_exhausted():
    values = [3.0, 3.0, -3.0, 2.0, 2.0, 2.0, 0.5]
    found = run(diagonal(values), identity, len(values), k=7)
    assert found.converged
    np.testing.assert_allclose(found.values[:3] ** 2, 9.0, rtol=1e-12)
    np.testing.assert_allclose(np.sort(found.values), np.sort(values), rtol=1e-12)
    np.testing.assert_allclose(found.coordinates @ found.coordinates.T, np.eye(7), atol=1e-10)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6])
def test_no_eigenvalue_is_listed_more_often_than_it_is_there(k):
    values = np.array([3.0, 3.0, -3.0, 2.0, 2.0, 2.0, 0.5] + [0.0] * 20)
    found = run(diagonal(values), identity, len(values), k=k)
    assert found.converged
    assert abs(found.values[0]) == pytest.approx(3.0, rel=1e-12)
    rounded = np.round(found.values, 9)
    for value in np.unique(rounded):
        assert np.sum(rounded == value) <= np.sum(values == value)
    assert set(rounded[:4]) >= {3.0, -3.0, 2.0} or k < 3


@pytest.mark.parametrize("k", [1, 2, 5])
def test_a_multiple_of_the_identity(k):
    found = run(lambda v: -2.0 * v, identity, 12, k=k)
    assert found.converged
    np.testing.assert_allclose(found.values, -2.0, rtol=1e-14)
    assert len(found.values) == k


@pytest.mark.parametrize("k", [1, 3])
def test_the_zero_operator(k):
    found = run(np.zeros_like, identity, 9, k=k)
    assert found.converged
    np.testing.assert_array_equal(found.values, 0.0)
    np.testing.assert_array_equal(found.residuals, 0.0)


def test_nothing_to_differentiate():
    found = run(identity, np.zeros_like, 9, k=2)
    assert found.converged
    np.testing.assert_array_equal(found.values, 0.0)
    np.testing.assert_array_equal(found.coordinates, 0.0)


@pytest.mark.parametrize("rank", [1, 3])
def test_more_eigenvalues_asked_for_than_the_rank(rank):
    """Beyond the rank zeros come out, to the square root of rounding, and never another number."""
    m, gram, truth, _ = pair(20, 5, rank=rank)
    found = run(lambda v: m @ v, lambda v: gram @ v, 20, k=6, tol=1e-6)
    np.testing.assert_allclose(found.values[:rank], truth[:rank], rtol=1e-9)
    assert np.abs(found.values[rank:]).max(initial=0.0) < 1e-7 * np.abs(truth[0])


def test_float32_vectors_stay_float32():
    m, gram, truth, _ = pair(60, 6)
    m32, gram32, seen = m.astype(np.float32), gram.astype(np.float32), set()

    def operator(v):
        seen.add(v.dtype)
        return m32 @ v

    start = np.random.default_rng(0).normal(size=60).astype(np.float32)
    found = extreme_eigenpairs(
        operator, lambda v: gram32 @ v, np.diag(gram32), start, k=1, tol=1e-4, max_steps=200, basis_size=30
    )
    assert found.converged
    assert seen == {np.dtype(np.float32)}
    assert found.coordinates.dtype == np.float32
    assert found.values[0] == pytest.approx(truth[0], rel=1e-4)


@pytest.mark.parametrize("n_steps", [1, 3, 6])
def test_gauss_quadrature_is_exact_for_moments_below_twice_its_steps(n_steps):
    m, gram, _, _ = pair(30, 7)
    start = np.random.default_rng(8).normal(size=30)
    values, weights = quadrature(lambda v: m @ v, lambda v: gram @ v, np.diag(gram), start, n_steps)
    assert len(values) == n_steps
    power, moments = start, []
    for _ in range(2 * n_steps + 1):
        moments.append(start @ gram @ power)
        power = m @ gram @ power
    for j in range(2 * n_steps):
        assert weights @ values**j == pytest.approx(moments[j], rel=1e-9, abs=1e-9 * abs(moments[0]))
    assert weights @ values ** (2 * n_steps) != pytest.approx(moments[2 * n_steps], rel=1e-6)


def test_quadrature_stops_where_the_space_is_exhausted():
    values, weights = quadrature(diagonal([2.0, 2.0, -1.0]), identity, np.ones(3), np.array([1.0, 2.0, 3.0]), 10)
    np.testing.assert_allclose(np.sort(values), [-1.0, 2.0], rtol=1e-12)
    np.testing.assert_allclose(weights[np.argsort(values)], [9.0, 5.0], rtol=1e-12)
    nothing = quadrature(identity, np.zeros_like, np.zeros(3), np.ones(3), 4)
    assert [len(array) for array in nothing] == [0, 0]


@pytest.mark.parametrize("widths", [[1, 400], [300, 1, 300]])
def test_noise_beyond_an_exhausted_space_is_no_new_direction(widths):
    """The space is exhausted up to rounding long before 40 are found: every value must be one of the spectrum."""
    H = am.mlp(3, widths, "relu", seed=1).hessian([1.0, -0.5, 0.3])
    found = H.eigenvalues(k=40, tol=1e-9)
    assert found.converged
    exact = np.append(naive.eigenvalues(_dense(H)), 0.0)
    scale = abs(exact[0])
    assert abs(found.value[0]) == pytest.approx(scale, rel=1e-9)
    assert np.abs(found.value[:, None] - exact).min(axis=1).max() < 1e-8 * scale
    assert np.abs(exact[:, None] - found.value).min(axis=1).max() < 1e-8 * scale  # none is missing, copies apart


def test_eigenvalues_that_were_not_reached_are_no_numbers():
    found = am.mlp(4, [200, 200]).hessian([1.0, 2.0, 3.0, 4.0]).eigenvalues(k=6, max_steps=3)
    assert not found.converged
    assert np.isnan(found.value[3:]).all()
    assert np.isinf(found.residual[3:]).all()


def _dense(H):
    """The Hessian on the range of Z^T, from an orthonormal basis of it: small, with all non-zero eigenvalues."""
    rows = np.array([H.node_space.Z_transposed(unit) for unit in np.eye(H.node_space.size)])
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    basis = basis[sizes > 1e-10 * sizes[0]]
    return basis @ np.array([H @ one for one in basis]).T
