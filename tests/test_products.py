"""Products of matrices: against extended precision within the bound stated, the same bits whoever computes them."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from assembly import threads
from assembly.blocks import products

SHAPES = [(1, 1, 1), (5, 3, 1), (3, 40, 17), (128, 33, 65), (9, 600, 4), (70, 70, 70), (2, 5, 1100)]


@pytest.fixture
def cut(monkeypatch):
    """Cut everything, and hand the pieces to two threads."""
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 1)
    monkeypatch.setattr(threads, "_available", lambda: 2)


def gamma(n, dtype):
    u = np.finfo(dtype).eps / 2.0
    return n * u / (1.0 - n * u)


def matrices(n, inner, m, dtype):
    rng = np.random.default_rng(n + inner + m)
    return rng.normal(size=(n, inner)).astype(dtype), rng.normal(size=(inner, m)).astype(dtype)


def check(found, left, right, n_roundings, scale=1.0):
    """Compare with a product in extended precision; the bound must not be idle either."""
    wanted = (left.astype(np.longdouble) @ right.astype(np.longdouble)) * np.asarray(scale, np.longdouble)
    sizes = (np.abs(left).astype(np.longdouble) @ np.abs(right).astype(np.longdouble)) * np.abs(scale)
    assert found.dtype == left.dtype
    assert found.shape == wanted.shape
    assert (np.abs(found - wanted) <= gamma(n_roundings, left.dtype) * sizes).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("in_pieces", [False, True])
def test_within_the_bound_of_extended_precision(shape, dtype, in_pieces, request):
    if in_pieces:
        request.getfixturevalue("cut")
    n, inner, m = shape
    left, right = matrices(*shape, dtype)
    scale = np.random.default_rng(0).uniform(0.5, 2.0, m).astype(dtype)
    check(products.product(left, right), left, right, inner)
    check(products.product(left, np.asfortranarray(right)), left, right, inner)
    check(products.product(left, right, scale), left, right, inner + 1, scale)
    wide = np.zeros((n, m + 7), dtype)
    products.product(left, right, scale, wide[:, 3 : 3 + m])
    check(wide[:, 3 : 3 + m], left, right, inner + 1, scale)
    assert not wide[:, :3].any()
    assert not wide[:, 3 + m :].any()
    products.product(left, right, out=wide[:, 3 : 3 + m])
    check(wide[:, 3 : 3 + m], left, right, inner + 2, 1.0 + scale.astype(np.longdouble))
    check(products.inner_products(left, right.T), left, right, inner + threads.N_PIECES)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 3, 40, 200])
@pytest.mark.parametrize("inner", [1, 30, 2000])
def test_symmetric_products(n, inner, dtype, cut):
    rows = np.random.default_rng(n).normal(size=(n, inner)).astype(dtype)
    for found in (products.own_product(rows), products.inner_products(rows, rows)):
        check(found, rows, rows.T, inner + threads.N_PIECES)
        np.testing.assert_array_equal(found, found.T)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 3, 40, 90])
def test_congruence(n, dtype, cut):
    rng = np.random.default_rng(n)
    rows, half = rng.normal(size=(n, 50)).astype(dtype), rng.normal(size=(50, 50))
    symmetric = (half @ half.T).astype(dtype)
    found = products.congruence(rows, symmetric)
    exact = rows.astype(np.longdouble)
    wanted = exact @ symmetric.astype(np.longdouble) @ exact.T
    sizes = np.abs(exact) @ np.abs(symmetric).astype(np.longdouble) @ np.abs(exact).T
    assert (np.abs(found - wanted) <= gamma(101, dtype) * sizes).all()
    np.testing.assert_array_equal(found, found.T)
    scaled = found.copy()
    products.scale(scaled, rows[:, 0], rows[:, 1])
    np.testing.assert_allclose(scaled, found * np.outer(rows[:, 0], rows[:, 1]), rtol=4 * np.finfo(dtype).eps)


def everything():
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(150, 800)), rng.normal(size=(800, 700))
    half = rng.normal(size=(700, 700))
    yield products.product(left, right)
    yield products.product(right.T, left.T, scale=left[:, 0])
    yield products.inner_products(left, left)
    yield products.inner_products(left[:9], left[:7])
    yield products.own_product(right.T)
    yield products.congruence(right, half + half.T)


@pytest.mark.parametrize("in_pieces", [False, True])
def test_the_same_bits_for_any_number_of_threads(in_pieces, monkeypatch):
    """Sizes at which BLAS would use threads of its own."""
    monkeypatch.setattr(threads, "_available", lambda: 2)
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 1 if in_pieces else 2**60)
    with threads.limited(1), threadpool_limits(1):
        alone = list(everything())
    for found, limited, wanted in zip(everything(), _limited(), alone, strict=True):
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(limited, wanted)


def _limited():
    with threads.limited(1):
        return list(everything())


def test_everything_is_cut_where_it_should_be(cut, monkeypatch):
    seen, run = [], threads.run
    monkeypatch.setattr(threads, "run", lambda task, works: seen.append(len(works)) or run(task, works))
    for _ in everything():
        pass
    assert seen == [4, 4, 8, 8, 8, 8]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [*SHAPES, (40, 1, 30), (30, 1, 40)], ids=str)
def test_pieces_take_the_place_of_what_was_there_and_are_told_when_complete(shape, dtype, cut):
    n, inner, m = shape
    left, right = matrices(*shape, dtype)
    out, told = np.full((n, m), np.nan, dtype), np.zeros((n, m), int)

    def then(rows, columns):
        assert np.isfinite(out[rows, columns]).all()
        told[rows, columns] += 1

    assert products.product(left, right, None, out, False, then) is out
    check(out, left, right, inner)
    assert (told == 1).all()
    products.product(left, right, None, out, True, then)
    check(out, left, right, inner + 1, 2.0)
    assert (told == 2).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_transposed_factor_with_a_scale_of_the_rows(shape, dtype, cut):
    n, inner, m = shape
    left, right = matrices(*shape, dtype)
    scale = np.random.default_rng(1).uniform(0.5, 2.0, n).astype(dtype)
    out = np.full((n, m), np.nan, dtype)
    products.fill_transposed(out, left.T, right, scale)
    check(out, left, right, inner + 1, scale[:, None])
