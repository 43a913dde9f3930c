from fractions import Fraction

import numpy as np
import pytest
from scipy.sparse import csr_array

import cases
from assembly.blocks.convolution import ConvolutionBlock
from assembly.blocks.own import OwnBlock
from assembly.bounds import block_norms, norms
from assembly.bounds.block_norms import block_frobenius_bound, block_norm_bound
from assembly.bounds.norms import (
    cholesky_bound,
    largest_eigenvalue_bound,
    perron_bound,
    sparse_norm_bound,
    spectral_norm_bound,
    symmetric_norm_bound,
)
from assembly.bounds.rounding import gamma, norm_up, product_up, sum_up, up
from assembly.errors import ArgumentError, NonFiniteError, ShapeError
from assembly.progress import watched

RNG = np.random.default_rng


class LeftError(Exception):
    """Nobody waits any more."""


def leave():
    raise LeftError


def exact(matrix):
    return [[Fraction(float(value)) for value in row] for row in np.asarray(matrix)]


def is_non_negative(matrix):
    """Whether a symmetric matrix of fractions is positive semidefinite: elimination without rounding."""
    rows = [list(row) for row in matrix]
    for k in range(len(rows)):
        if rows[k][k] < 0 or (rows[k][k] == 0 and any(rows[i][k] != 0 for i in range(k + 1, len(rows)))):
            return False
        if rows[k][k] > 0:
            for i in range(k + 1, len(rows)):
                ratio = rows[i][k] / rows[k][k]
                for j in range(k + 1, len(rows)):
                    rows[i][j] -= ratio * rows[k][j]
    return True


def bounds_eigenvalues(beta, matrix):
    """Whether ``beta I - matrix >= 0``, without rounding."""
    n = len(matrix)
    return is_non_negative([[(beta if i == j else 0) - matrix[i][j] for j in range(n)] for i in range(n)])


def bounds_norm(beta, matrix):
    """Whether ``beta >= |A|_2``, without rounding."""
    a = exact(matrix)
    gram = [[sum(row[i] * row[j] for row in a) for j in range(len(a[0]))] for i in range(len(a[0]))]
    return bounds_eigenvalues(Fraction(beta) ** 2, gram)


def drawn(kind, rng):
    n, k = rng.integers(1, 6, size=2)
    matrix = rng.normal(size=(n, k))
    if kind == "rank one":
        return np.outer(rng.integers(-9, 10, size=n), rng.integers(-9, 10, size=k)).astype(float)
    if kind == "float32":
        return matrix.astype(np.float32)
    if kind == "clustered":
        return np.linalg.qr(rng.normal(size=(n, n)))[0] * (1.0 + 1e-13 * rng.normal(size=n))
    if kind == "ill-scaled":
        return matrix * 10.0 ** rng.uniform(-300, 150, size=k)
    if kind == "tiny":
        return matrix * 1e-300
    if kind == "subnormal":
        return matrix * 1e-320
    if kind == "large":
        return matrix * 1e150
    if kind == "sparse":
        return matrix * (rng.uniform(size=(n, k)) < 0.4)
    return matrix


KINDS = ["normal", "rank one", "float32", "clustered", "ill-scaled", "tiny", "subnormal", "large", "sparse"]


@pytest.mark.parametrize("kind", KINDS)
def test_small_norms_are_bounded_without_rounding(kind):
    rng = RNG(KINDS.index(kind))
    for _ in range(150):
        matrix = drawn(kind, rng)
        for bound in (spectral_norm_bound(matrix), sparse_norm_bound(csr_array(matrix.astype(float)))):
            assert bounds_norm(bound, matrix), matrix
            if bound > 1e-310:
                assert not bounds_norm(bound * (1.0 - 1e-3), matrix)


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_margin_of_the_first_trial_rounding_alone_is_covered(kind, monkeypatch):
    """The first trial is a millionth above the estimate, which would hide a missing bound of the rounding."""
    monkeypatch.setattr(norms, "SMALLEST_MARGIN", 2.0**-60)
    monkeypatch.setattr(norms, "LARGEST_MARGIN", 2.0**-60)
    rng = RNG(100 + KINDS.index(kind))
    for _ in range(100):
        matrix = drawn(kind, rng)
        assert bounds_norm(spectral_norm_bound(matrix), matrix)
        assert bounds_norm(sparse_norm_bound(csr_array(matrix.astype(float))), matrix)


@pytest.mark.parametrize("shape", [(300, 300), (500, 40), (40, 500), (257, 256), (1, 900), (900, 1)])
@pytest.mark.parametrize("kind", ["normal", "positive", "rank 3", "clustered", "decaying"])
def test_larger_norms_are_bounded_and_tight(kind, shape):
    rng = RNG(5)
    matrix = rng.normal(size=shape)
    if kind == "positive":
        matrix = rng.uniform(size=shape)
    if kind == "rank 3":
        matrix = rng.normal(size=(shape[0], 3)) @ rng.normal(size=(3, shape[1]))
    if kind in ("clustered", "decaying"):
        u, s, v = np.linalg.svd(matrix, full_matrices=False)
        matrix = u * (1.0 - 1e-9 * np.arange(len(s)) if kind == "clustered" else 0.5 ** np.arange(len(s))) @ v
    truth = np.linalg.norm(matrix, 2)
    for bound in (spectral_norm_bound(matrix), sparse_norm_bound(csr_array(matrix))):
        assert truth * (1.0 - 1e-13) <= bound <= truth * (1.0 + 1e-3)
        assert type(bound) is float


@pytest.mark.parametrize("n", [2, 64, 1000])
def test_norms_known_exactly(n):
    """All ones: the norm is the root of the number of entries, which no rounding may pass."""
    assert Fraction(spectral_norm_bound(np.ones((n, 3)))) ** 2 >= 3 * n
    assert Fraction(spectral_norm_bound(np.ones((n, n), np.float32))) >= n
    assert Fraction(symmetric_norm_bound(-np.ones((n, n)))) >= n
    assert Fraction(largest_eigenvalue_bound(np.eye(n) * 0.1)) >= Fraction(0.1)


def test_overflow_is_infinite_not_wrong():
    assert spectral_norm_bound(np.full((4, 4), 1.7e308)) == np.inf
    assert 1.7e308 <= spectral_norm_bound(np.array([[1.7e308, 1e-300]])) < np.inf


def test_order_and_strides_do_not_matter():
    matrix = RNG(6).normal(size=(60, 80))
    truth = np.linalg.norm(matrix[::2, 1::3], 2)
    for view in (matrix[::2, 1::3], np.asfortranarray(matrix[::2, 1::3]), matrix[::2, 1::3].T):
        assert truth <= spectral_norm_bound(view) <= truth * 1.001
    symmetric = np.asfortranarray(matrix @ matrix.T)
    assert 1.0 <= symmetric_norm_bound(symmetric) / np.linalg.norm(symmetric, 2) <= 1.001


@pytest.mark.parametrize("shift", [-3.0, 0.0, 3.0])
def test_symmetric_norms_and_eigenvalues_without_rounding(shift):
    rng = RNG(7)
    for _ in range(100):
        n = int(rng.integers(1, 6))
        matrix = rng.normal(size=(n, n))
        matrix = (matrix + matrix.T + shift * np.eye(n)) * 10.0 ** rng.choice([-250.0, -1.0, 0.0, 100.0])
        largest, norm, size = largest_eigenvalue_bound(matrix), symmetric_norm_bound(matrix), np.linalg.norm(matrix, 2)
        assert bounds_eigenvalues(Fraction(largest), exact(matrix))
        assert bounds_eigenvalues(Fraction(norm), exact(matrix))
        assert bounds_eigenvalues(Fraction(norm), exact(-matrix))
        assert largest <= np.linalg.eigvalsh(matrix)[-1] + 1e-3 * size
        assert norm <= 1.001 * size


def test_the_rounding_margin_of_cholesky_is_needed_and_enough():
    """Factorisations complete just below the largest eigenvalue: what is proven then is not beta, but a bound."""
    rng, passed = RNG(8), 0
    for _ in range(400):
        n = int(rng.integers(2, 7))
        vector = rng.normal(size=n)
        matrix = np.outer(vector, vector) / 3.0
        truth = np.linalg.eigvalsh(matrix)[-1]
        for beta in truth * (1.0 + 2.0**-53 * np.arange(-30, 5)):
            bound = cholesky_bound(matrix, float(beta))
            if bound is not None:
                assert bounds_eigenvalues(Fraction(bound), exact(matrix))
                passed += not bounds_eigenvalues(Fraction(float(beta)), exact(matrix))
    assert passed >= 10


@pytest.mark.parametrize("n", [500, 1500])
def test_cholesky_completes_on_an_indefinite_matrix_and_its_margin_covers_that(n):
    """An arrow whose last pivot is below zero by n squares of which each is lost beside 1."""
    small, matrix = 0.99 * 2.0**-27, np.eye(n)
    matrix[-1, 0] = matrix[0, -1] = -1.0
    matrix[-1, 1:-1] = matrix[1:-1, -1] = -small
    lost = (n - 2) * Fraction(small) ** 2

    def holds(bound, last):
        shift = Fraction(bound) - 2
        return last + shift - (1 + lost) / (1 + shift) >= 0

    for below in range(5, 30):
        last = 1.0 + (int(lost * 2**52) - below) * 2.0**-52
        matrix[-1, -1] = 2.0 - last
        bound = cholesky_bound(matrix, 2.0)
        assert bound is None or holds(bound, Fraction(last))
        if below == 5:
            assert bound is not None
            assert not holds(2.0 + 2.0**-51, Fraction(last))


def test_the_rounding_in_a_gram_matrix_is_needed_and_covered(monkeypatch):
    """The squares of most entries are lost beside 1, in whichever order they are added."""
    monkeypatch.setattr(norms, "SMALLEST_MARGIN", 2.0**-60)
    monkeypatch.setattr(norms, "LARGEST_MARGIN", 2.0**-60)
    column = np.full((20000, 1), 0.99 * 2.0**-27)
    column[0] = 1.0
    truth = 1 + 19999 * Fraction(column[1, 0]) ** 2
    assert Fraction(float((column.T @ column)[0, 0])) < truth * (1 - Fraction(1, 2**50))
    assert Fraction(spectral_norm_bound(column)) ** 2 >= truth
    assert Fraction(sparse_norm_bound(csr_array(column))) ** 2 >= truth


def test_a_wrong_estimate_of_a_symmetric_norm_proves_nothing_false(monkeypatch):
    """Either sign may hold the norm, whatever the estimate says."""
    matrix = np.diag([1.0, -2.0, 0.5])
    monkeypatch.setattr(norms, "_extremes", lambda matrix: ((-0.1, 0.0), (0.9, 0.0), 0.9))
    assert symmetric_norm_bound(matrix) >= 2.0
    assert symmetric_norm_bound(-matrix) >= 2.0


def test_a_wrong_estimate_costs_time_and_proves_nothing_false(monkeypatch):
    matrix = RNG(9).normal(size=(50, 50))
    truth = np.linalg.norm(matrix, 2)
    monkeypatch.setattr(norms, "_extremes", lambda gram: ((-0.0, 0.0), (0.3 * truth**2, 0.0), 0.3 * truth**2))
    assert truth <= spectral_norm_bound(matrix) < np.linalg.norm(matrix)


@pytest.mark.parametrize("density", [0.02, 0.3])
def test_large_sparse_and_dense_matrices_use_cheap_bounds(monkeypatch, density):
    rng = RNG(10)
    matrix = rng.normal(size=(200, 150)) * (rng.uniform(size=(200, 150)) < density)
    truth, sizes = np.linalg.norm(matrix, 2), np.linalg.norm(np.abs(matrix), 2)
    monkeypatch.setattr(norms, "LARGEST_SIZE", 10)
    assert sizes * (1.0 - 1e-13) <= sparse_norm_bound(csr_array(matrix)) <= 1.02 * sizes
    holder = np.sqrt(np.linalg.norm(matrix, 1) * np.linalg.norm(matrix, np.inf))
    cheap = min(np.linalg.norm(matrix), holder)
    assert truth <= cheap <= spectral_norm_bound(matrix) <= cheap * (1.0 + 1e-10)


def test_entries_at_one_place_are_added_and_the_matrix_given_is_left_alone():
    parts = np.array([1.0, 2.0, -4.0, 3.0]), np.array([1, 0, 1, 1], np.int32), np.array([0, 3, 4], np.int32)
    matrix = csr_array(tuple(part.copy() for part in parts), shape=(2, 2))
    assert bounds_norm(sparse_norm_bound(matrix), [[2.0, -3.0], [0.0, 3.0]])
    for part, kept in zip(parts, (matrix.data, matrix.indices, matrix.indptr), strict=True):
        np.testing.assert_array_equal(kept, part)


def test_what_is_lost_where_entries_are_added_is_counted():
    data = np.array([2.0**53, 1.0, -(2.0**53)])  # of sum 1, and of sum 0 when added in this order
    assert sparse_norm_bound(csr_array((data, np.zeros(3, np.int32), np.array([0, 3], np.int32)), shape=(1, 1))) >= 1.0


def test_perron_bounds_without_rounding():
    rng = RNG(11)
    for trial in range(300):
        n = int(rng.integers(1, 7))
        matrix = rng.exponential(size=(n, n)) * (rng.uniform(size=(n, n)) < rng.choice([0.2, 0.6, 1.0]))
        matrix *= 10.0 ** rng.choice([-200.0, 0.0, 120.0]) * 10.0 ** rng.uniform(-6, 0, size=n)
        bound = perron_bound(matrix)
        a = exact(matrix)
        symmetric = [[(a[i][j] + a[j][i]) / 2 for j in range(n)] for i in range(n)]
        assert bounds_eigenvalues(Fraction(bound), symmetric), trial
        truth = np.linalg.eigvalsh(0.5 * (matrix + matrix.T))[-1]
        assert bound <= truth * (1.0 + 1e-8) or truth < 1e-14 * matrix.max()


def test_perron_bounds_of_zero_and_of_infinite_entries():
    assert perron_bound(np.zeros((3, 3))) == 0.0
    assert perron_bound(np.array([[1.0, np.inf], [np.inf, 0.0]])) == np.inf
    with pytest.raises(ArgumentError, match="must be non-negative"):
        perron_bound(np.array([[1.0, -1.0], [0.0, 0.0]]))
    with pytest.raises(ShapeError, match=r"must be square\. Got shape \(2, 3\)"):
        perron_bound(np.zeros((2, 3)))


def test_zero_has_norm_zero():
    assert spectral_norm_bound(np.zeros((4, 3))) == 0.0
    assert sparse_norm_bound(csr_array((4, 3))) == 0.0
    assert symmetric_norm_bound(np.zeros((3, 3))) == 0.0
    assert largest_eigenvalue_bound(np.zeros((3, 3))) == 0.0


def test_bad_matrices_are_named():
    with pytest.raises(ShapeError, match=r"must have two dimensions\. Got shape \(3,\)"):
        spectral_norm_bound(np.ones(3))
    with pytest.raises(NonFiniteError, match=r"'matrix' argument must be finite\. Got nan at index \(0, 1\)"):
        spectral_norm_bound(np.array([[1.0, np.nan]]))
    with pytest.raises(NonFiniteError, match="inf"):
        sparse_norm_bound(csr_array(np.array([[1.0, np.inf]])))
    with pytest.raises(ShapeError, match="must be square"):
        symmetric_norm_bound(np.ones((2, 3)))
    with pytest.raises(ArgumentError, match="symmetric to the last bit"):
        largest_eigenvalue_bound(np.array([[1.0, 2.0], [2.0000000001, 1.0]]))


def written_out(block, weights):
    """The matrix of a block by its forward pass of unit vectors."""
    n = max(block.source.stop, block.target.stop)
    columns = []
    for u in range(block.source.start, block.source.stop):
        unit, out = np.zeros(n), np.zeros(n)
        unit[u] = 1.0
        block.push(weights, unit, out)
        columns.append(out[block.target])
    return np.array(columns).T


BLOCKS = [
    (case, i)
    for case in cases.CASES
    for i, block in enumerate(case.assembly().evaluate(case.x()).program.blocks)
    if not isinstance(block, OwnBlock)
]


@pytest.mark.parametrize("limit", [0.0, 3e7])
def test_norms_of_blocks(monkeypatch, limit):
    monkeypatch.setattr(block_norms, "LARGEST_MATRIX", limit)
    seen = set()
    for case, i in BLOCKS:
        evaluation = case.assembly().evaluate(case.x())
        block, weights = evaluation.program.blocks[i], evaluation.weights[i]
        matrix = written_out(block, weights.astype(float))
        truth, bound = np.linalg.norm(matrix, 2), block_norm_bound(block, weights)
        loose = 3.0 if isinstance(block, ConvolutionBlock) and limit == 0.0 else 1.001
        assert truth * (1.0 - 1e-13) <= bound <= loose * truth + 1e-150, (case, i)
        assert np.linalg.norm(matrix) * (1.0 - 1e-13) <= block_frobenius_bound(block, weights)
        seen.add(type(block).__name__)
    assert seen == {"DenseBlock", "SparseBlock", "TiedBlock", "ConvolutionBlock"}


def test_sums_norms_and_products_are_rounded_up():
    rng, plain = RNG(12), 0
    for _ in range(300):
        values, other = rng.exponential(size=40), rng.exponential(size=40)
        total = sum(Fraction(value) for value in values)
        assert Fraction(sum_up(values)) >= total
        plain += Fraction(float(np.sum(values))) < total
        assert Fraction(norm_up(values)) ** 2 >= sum(Fraction(value) ** 2 for value in values)
        inner = sum(Fraction(a) * Fraction(b) for a, b in zip(values, other, strict=True))
        assert Fraction(float(product_up(values, other))) >= inner
        assert Fraction(up(values[0] * other[0])) >= Fraction(values[0]) * Fraction(other[0])
    assert plain > 50  # numpy's own sum would fail
    assert up(5e-324 * 0.25) > 0.0
    np.testing.assert_allclose(sum_up(np.ones((3, 4)), axis=0), 3.0, rtol=1e-13)
    np.testing.assert_allclose(norm_up(np.ones((3, 4)), axis=1), 2.0, rtol=1e-13)
    for n in (1, 10, 10**6):
        u = Fraction(1, 2**53)
        assert n * u / (1 - n * u) <= Fraction(gamma(n)) <= n * u * (1 + 4 * (n + 4) * u)


@pytest.mark.parametrize("bound", [spectral_norm_bound, symmetric_norm_bound, largest_eigenvalue_bound])
def test_a_bound_is_left_between_two_factorisations_when_nobody_waits(bound):
    matrix = RNG(5).standard_normal((6, 6))
    matrix += matrix.T
    with watched(leave), pytest.raises(LeftError):
        bound(matrix)
    assert bound(matrix) >= np.linalg.eigvalsh(matrix)[-1]
