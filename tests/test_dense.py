"""Passes over dense weights: against numpy in extended precision, and the same bits however they are cut and run."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import assembly as am
from assembly import threads
from assembly.blocks.dense import MOST_PULLED, MOST_PUSHED, DenseBlock
from assembly.calculus.turning import turning
from assembly.kernels import dense

SHAPES = pytest.mark.parametrize(("n_target", "n_source"), [(1, 1), (3, 5), (4, 4), (7, 9), (17, 33), (64, 31)])
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def block_and_vectors(n_target, n_source, dtype):
    rng = np.random.default_rng(n_target * n_source)
    n_nodes = n_source + n_target + 3
    source, target = slice(1, 1 + n_source), slice(2 + n_source, 2 + n_source + n_target)
    factor = rng.uniform(0.5, 2.0, n_target).astype(dtype)
    block = DenseBlock(source, target, factor, slice(0, n_source * n_target), None, False)
    weights = rng.normal(size=(n_target, n_source)).astype(dtype)
    return block, weights, rng.normal(size=(6, n_nodes)).astype(dtype)


def exact(values):
    return values.astype(np.longdouble)


def assert_close(found, wanted, magnitude, dtype):
    """Rounding of the result, and of sums in float64: the statement of `assembly.kernels.dense`."""
    allowed = 2.0 * np.finfo(dtype).eps * np.abs(wanted) + 80 * 1.2e-16 * magnitude + np.finfo(dtype).tiny
    assert (np.abs(exact(found) - wanted) <= allowed).all()


@SHAPES
@DTYPES
def test_push_and_pull(n_target, n_source, dtype):
    block, weights, (a, b, out, *_) = block_and_vectors(n_target, n_source, dtype)
    source, target, c = block.source, block.target, exact(block.factor)
    pushed, pulled = out.copy(), out.copy()
    block.push(weights, a, pushed)
    block.pull(weights, b, pulled)
    wanted_push = exact(out[target]) + c * (exact(weights) @ exact(a[source]))
    wanted_pull = exact(out[source]) + (c * exact(b[target])) @ exact(weights)
    # what was there before counts into the rounding of what is returned
    sizes = np.abs(out[target]) + c * (np.abs(weights) @ np.abs(a[source]))
    assert_close(pushed[target] - 0, wanted_push, sizes * (1 + np.finfo(dtype).eps / 1e-16), dtype)
    sizes = np.abs(out[source]) + (c * np.abs(b[target])) @ np.abs(weights)
    assert_close(pulled[source], wanted_pull, sizes * (1 + np.finfo(dtype).eps / 1e-16), dtype)
    untouched = np.ones(len(out), bool)
    untouched[target] = False
    np.testing.assert_array_equal(pushed[untouched], out[untouched])


@DTYPES
def test_sums_are_taken_in_double_precision(dtype):
    """1 + 10^4 terms of 10^-8: in float32 they would all be lost."""
    block, _, _ = block_and_vectors(1, 10_001, dtype)
    weights = np.full((1, 10_001), 1e-8, dtype)
    weights[0, 0] = 1.0
    a = np.ones(10_005, dtype)
    out = np.zeros(10_005, dtype)
    block.push(weights, a, out)
    assert out[block.target][0] / block.factor[0] == pytest.approx(1.0001, rel=3e-7, abs=0.0)


def test_products_of_single_precision_are_not_rounded():
    """Sums that cancel to 1e-9 of their terms: a product in float32 is wrong by 3e-8 of itself."""
    rng = np.random.default_rng(0)
    block, _, (a, b, *_) = block_and_vectors(8, 4096, np.float32)
    weights = rng.normal(size=(8, 4096)).astype(np.float32)
    pushed, pulled = np.zeros((2, len(a)), np.float32)
    block.push(weights, a, pushed)
    block.pull(weights, b, pulled)
    c = exact(block.factor)
    for found, wanted, size in (
        (
            pushed[block.target],
            c * (exact(weights) @ exact(a[block.source])),
            c * (np.abs(weights) @ np.abs(a[block.source])),
        ),
        (
            pulled[block.source],
            (c * exact(b[block.target])) @ exact(weights),
            (c * np.abs(b[block.target])) @ np.abs(weights),
        ),
    ):
        assert (np.abs(found - wanted) <= 6e-8 * np.abs(wanted) + 5e-13 * size).all()


@SHAPES
@DTYPES
def test_turn_is_push_and_pull_with_the_activations_between(n_target, n_source, dtype):
    block, weights, vectors = block_and_vectors(n_target, n_source, dtype)
    t, z_dot, first, curvature, abar_dot, s = (row.copy() for row in vectors)
    own = tuple(row.copy() for row in (t, z_dot, abar_dot, s))
    block.turn(weights, t, z_dot, first, curvature, abar_dot, s)
    super(DenseBlock, block).turn(weights, own[0], own[1], first, curvature, own[2], own[3])
    for found, wanted in zip((t, z_dot, abar_dot, s), own, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e3 * np.finfo(dtype).eps, atol=1e2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("short", [0, 1, 3])
@DTYPES
def test_weights_that_are_asked_for_are_turned_alike(short, dtype, monkeypatch):
    """Where weights come from memory; the compiler keeps the bound of that, so without it a smaller one does."""
    n_target, n_source = 1036 - short, 2051
    if "NUMBA_DISABLE_JIT" in os.environ:
        monkeypatch.setattr(dense, "CACHED", 1000)
        n_target, n_source = 12 - short, 259
    block, weights, vectors = block_and_vectors(n_target, n_source, dtype)
    assert weights.size > dense.CACHED
    t, z_dot, first, curvature, abar_dot, s = (row.copy() for row in vectors)
    block.turn(weights, t, z_dot, first, curvature, abar_dot, s)
    at, below, c = block.target, block.source, exact(block.factor)
    _, before, *_, pulled_before, _ = vectors
    wanted = exact(before[at]) + c * (exact(weights) @ exact(t[below]))
    size = np.abs(before[at]) + c * (np.abs(weights) @ np.abs(t[below]))
    assert_close(z_dot[at], wanted, size * (1 + np.finfo(dtype).eps / 1e-16), dtype)
    np.testing.assert_allclose(t[at], first[at] * z_dot[at], rtol=4 * np.finfo(dtype).eps)
    wanted = exact(pulled_before[below]) + (c * exact(s[at])) @ exact(weights)
    size = np.abs(pulled_before[below]) + (c * np.abs(s[at])) @ np.abs(weights)
    assert_close(abar_dot[below], wanted, size * (1 + np.finfo(dtype).eps / 1e-16), dtype)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 9, 32, 33])
@SHAPES
@DTYPES
def test_several_vectors_together(n, n_target, n_source, dtype):
    """One, few by compiled loops, many by BLAS, which rounds products of single precision."""
    block, weights, vectors = block_and_vectors(n_target, n_source, dtype)
    rng = np.random.default_rng(n)
    a, b, out = (rng.normal(size=(n, vectors.shape[1])).astype(dtype) for _ in range(3))
    source, target, c = block.source, block.target, exact(block.factor)
    pushed, pulled = out.copy(), out.copy()
    block.push_rows(weights, a, pushed)
    block.pull_rows(weights, b, pulled)
    for found, wanted, size, most in (
        (
            pushed[:, target],
            exact(out[:, target]) + c * (exact(a[:, source]) @ exact(weights).T),
            np.abs(out[:, target]) + c * (np.abs(a[:, source]) @ np.abs(weights).T),
            MOST_PUSHED,
        ),
        (
            pulled[:, source],
            exact(out[:, source]) + (c * exact(b[:, target])) @ exact(weights),
            np.abs(out[:, source]) + (c * np.abs(b[:, target])) @ np.abs(weights),
            MOST_PULLED,
        ),
    ):
        by_blas = np.finfo(dtype).eps / 1e-16 if n > most else 0.0
        assert_close(found, wanted, size * (1.0 + by_blas), dtype)
    untouched = np.ones(vectors.shape[1], bool)
    untouched[target] = False
    np.testing.assert_array_equal(pushed[:, untouched], out[:, untouched])
    turned = np.roll(out, 1, axis=0)
    block.push_rows(weights, np.roll(a, 1, axis=0), turned)
    if n <= MOST_PUSHED:  # no row depends on those beside it
        np.testing.assert_array_equal(np.roll(turned, -1, axis=0), pushed)


@SHAPES
@DTYPES
def test_project_and_scatter_are_transposes_and_the_plain_passes(n_target, n_source, dtype):
    block, direction, (a, b, _, _, s, t) = block_and_vectors(n_target, n_source, dtype)
    zeros = np.zeros((4, len(a)), dtype)
    block.project(direction, a, b, zeros[0], zeros[1])
    super(DenseBlock, block).project(direction, a, b, zeros[2], zeros[3])
    np.testing.assert_allclose(zeros[:2], zeros[2:], rtol=1e3 * np.finfo(dtype).eps, atol=1e2 * np.finfo(dtype).eps)
    out = np.empty(n_target * n_source, dtype)
    block.scatter(direction, s, t, a, b, out)
    c = block.factor[:, None]
    wanted = c * (np.outer(s[block.target], a[block.source]) + np.outer(b[block.target], t[block.source]))
    np.testing.assert_allclose(
        out.reshape(wanted.shape), wanted, rtol=20 * np.finfo(dtype).eps, atol=1e-6 if dtype is np.float32 else 1e-15
    )
    left = exact(s) @ exact(zeros[0]) + exact(t) @ exact(zeros[1])
    size = np.abs(out).sum() * np.abs(direction).max()
    assert abs(left - exact(out) @ exact(direction.ravel())) <= 100 * np.finfo(dtype).eps * size


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_same_bits_at_any_number_of_threads(monkeypatch, activation):
    """Everything that passes over weights, cut into eight pieces, on one thread and on two."""
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 1)
    monkeypatch.setattr(threads, "_available", lambda: 2)
    X, v = np.random.default_rng(0).normal(size=(6, 5)), np.random.default_rng(1).normal(size=5 * 33 + 33 * 29 + 29)

    def everything():
        net = am.mlp(5, [33, 29], activation, seed=4)
        H = net.hessian(X[0])
        together = [net(X), net.tangent_kernel(X), net.hessian_norms(X).value]
        return [net(X[0]), net.gradient(X[0]), H @ v, H.norm().value, *together, H.top_pair()[1]]

    with threads.limited(1):
        one = everything()
    for alone, together in zip(one, everything(), strict=True):
        np.testing.assert_array_equal(alone, together)
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 2**40)
    for uncut, cut in zip(everything()[:-1], one, strict=False):
        np.testing.assert_allclose(uncut, cut, rtol=1e-9, atol=1e-14)


LONG_SUMS = """
import sys
import numpy as np
import assembly as am
many = np.random.default_rng(0).normal(size=(12, 20_000))
x = many[:3]
for widths in ([8], [12, 9]):
    net = am.mlp(20_000, widths, seed=0)
    H = net.hessian(x[0])
    found = [H.norm().value, *net.layers[1].gram(x[0]).ravel()]
    found += [one for y in many for one in net.hessian(y).node_space.N(np.ones(H.node_space.size))]
    found += [*net.tangent_kernel(x[:1]).ravel(), *net.tangent_kernel(x).ravel(), *net.hessian_norms(x).value]
    found += [*H.spectrum(n_probes=2, n_steps=5).values]
    print(np.array(found).tobytes().hex())
"""


def test_long_sums_do_not_depend_on_the_threads_of_blas():
    """BLAS cuts an inner product of more than 10,000 numbers by its number of threads."""
    answers = {
        subprocess.run(
            [sys.executable, "-c", LONG_SUMS],
            env={**os.environ, "OMP_NUM_THREADS": n, "OPENBLAS_NUM_THREADS": n},
            capture_output=True,
            check=True,
            timeout=300,
        ).stdout
        for n in ("1", "2")
    }
    assert len(answers) == 1


@pytest.mark.parametrize(
    ("build", "segment"),
    [
        (lambda: am.mlp(3, [8, 9, 7], "tanh", seed=0), 3),  # the last hidden layer
        (lambda: am.mlp(3, [9, 8, 4], "tanh", seed=0), 3),  # not the second, though there are more weights
        (lambda: am.mlp(3, [8, 9, 7], "tanh", seed=0, output_activation="tanh"), 4),  # the output bends
        (lambda: am.mlp(3, [9, 8, 4], "relu", seed=0), 2),  # nothing bends: where most weights are
        (lambda: am.mlp(3, [9, 8], "tanh", n_outputs=2, output_activation="softmax", seed=0), 4),  # nowhere
    ],
)
def test_the_passes_meet_where_most_weights_are_read_once(build, segment):
    net = build()
    space = net.hessian(np.ones(3)).node_space
    assert turning(net._body.program, space.curvature).segment == segment
