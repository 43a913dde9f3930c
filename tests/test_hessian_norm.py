from fractions import Fraction

import numpy as np
import pytest

import assembly as am
import cases
import own_cases
from assembly.bounds import hessian_norm
from assembly.bounds.hessian_norm import hessian_norm_bound
from assembly.bounds.rounding import norm_up
from test_norms import is_non_negative


def largest(matrix):
    return float(np.abs(np.linalg.eigvalsh(matrix)).max(initial=0.0))


def written_out(net, x, output=0):
    """The Hessian by its own products, good to rounding."""
    hessian = net.hessian(x, output)
    matrix = hessian @ np.eye(hessian.shape[0])
    return 0.5 * (matrix + matrix.T)


@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_never_below_the_hessian_of_the_twin_and_tight(case):
    bound = hessian_norm_bound(case.assembly().hessian(case.x(), case.output).node_space)
    truth = largest(case.hessian())
    assert truth * (1.0 - 1e-8) - 1e-9 <= bound <= truth * 1.001 + 1e-9
    assert type(bound) is float


@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_with_the_margin_shrunk_it_still_holds_and_is_sharp(case, monkeypatch):
    """The margin of the first trial, 1e-4, would hide errors of that size in the pencil."""
    monkeypatch.setattr(hessian_norm, "MARGIN", 1e-9)
    net, x = case.assembly(), case.x()
    truth = largest(written_out(net, x, case.output))
    bound = hessian_norm_bound(net.hessian(x, case.output).node_space)
    assert truth * (1.0 - 1e-12) <= bound <= truth * (1.0 + 1e-5)


def test_a_low_estimate_proves_nothing_false():
    case = cases.BY_NAME["tanh-3"]
    space = case.assembly().hessian(case.x()).node_space
    pencil = hessian_norm._pencil(space, hessian_norm._Kept.of(space))
    truth = largest(written_out(case.assembly(), case.x()))
    for estimate in np.linspace(0.0, 0.999, 30) * truth:
        assert truth <= pencil.norm_bound(float(estimate))


def test_float32_weights_are_bounded_as_the_numbers_they_are():
    net = am.mlp(5, [12, 12], seed=3, dtype=np.float32)
    x = np.linspace(-1.0, 1.0, 5, dtype=np.float32)
    space = net.hessian(x).node_space
    bound = hessian_norm_bound(space)
    identity = np.eye(net.parameters.size)
    matrix = np.array([space.in_double().apply(row) for row in identity])
    assert largest(0.5 * (matrix + matrix.T)) <= bound <= 1.001 * float(net.hessian(x).norm())


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_neurons_far_apart_in_size_are_bounded(scale):
    """Activations and adjoints of one layer from 1e-12 to 1e3."""
    net = am.mlp(4, [15, 15], activation="quadratic", seed=1)
    rng = np.random.default_rng(4)
    w = net.parameters * 10.0 ** rng.uniform(-6.0, 0.0, size=net.parameters.size)
    net, x = net.with_parameters(w), scale * rng.normal(size=4)
    truth = largest(written_out(net, x))
    assert truth * (1.0 - 1e-12) <= hessian_norm_bound(net.hessian(x).node_space) <= truth * 1.001


def test_a_linear_network_of_one_layer_has_no_hessian():
    net = am.mlp(3, [4], activation="identity", trainable_readout=False, seed=0)
    assert hessian_norm_bound(net.hessian(np.ones(3)).node_space) < 1e-12


@pytest.mark.parametrize("exponent", [-60, -200])
def test_layers_far_apart_in_size_are_bounded(exponent):
    """A linear network of three layers is of degree 3 in its parameters, so its Hessian is of degree 1."""
    net, x = am.mlp(3, [6, 6], activation="identity", seed=5), np.array([0.3, -1.0, 0.8])
    truth = np.ldexp(largest(written_out(net, x)), exponent)
    small = net.with_parameters(np.ldexp(net.parameters, exponent))
    assert truth * (1.0 - 1e-12) <= hessian_norm_bound(small.hessian(x).node_space) <= truth * 1.001


def test_where_squares_underflow_the_bound_is_loose_and_not_wrong():
    net, x = am.mlp(3, [6, 6], activation="identity", seed=5), np.array([0.3, -1.0, 0.8])
    truth = np.ldexp(largest(written_out(net, x)), -440)
    small = net.with_parameters(np.ldexp(net.parameters, -440))
    assert truth <= hessian_norm_bound(small.hessian(x).node_space) < 1e-60


def test_own_submodels_and_large_networks_have_no_bound(monkeypatch):
    own = am.committee(own_cases.SQUARE.part(), 4, seed=1)
    assert hessian_norm_bound(own.hessian(np.ones(own.n_inputs)).node_space) == np.inf
    space = am.mlp(3, [20, 20], seed=0).hessian(np.ones(3)).node_space
    monkeypatch.setattr(hessian_norm, "LARGEST_SIZE", 40)
    assert hessian_norm_bound(space) == np.inf


def matrix(values):
    """An object array of fractions."""
    return np.vectorize(Fraction, otypes=[object])(np.asarray(values, dtype=float))


def square(values):
    return sum(value * value for value in values.ravel())


@pytest.fixture
def small():
    """A network of two hidden layers with its bound in parts, and the exact maps of its blocks."""
    space = am.mlp(2, [4, 3], activation="gelu", seed=2).hessian([0.7, -1.3]).node_space
    kept = hessian_norm._Kept.of(space)
    maps = [
        matrix(block.factor)[:, None] * matrix(weights)
        for block, weights in zip(space.program.blocks, space.weights, strict=True)
    ]
    return space, kept, hessian_norm._Cover.of(space, kept), maps


def excess(small, gram):
    """``U U^T - N`` in scaled coordinates, without rounding: Z is written out, edge by edge."""
    space, kept, cover, _ = small
    a, b, columns = matrix(space.a), matrix(space.b), []
    n = space.program.n_nodes
    for block in space.program.blocks:
        factor = matrix(block.factor)
        for i, v in enumerate(range(block.target.start, block.target.stop)):
            for u in range(block.source.start, block.source.stop):
                column = matrix(np.zeros(2 * n))
                column[v] = factor[i] * a[u]
                if not block.from_given:
                    column[n + u] = factor[i] * b[v]
                columns.append(column)
    used = np.concatenate([kept.targets, n + kept.sources])
    z = np.array(columns).T[used] / matrix(np.concatenate([kept.scale_p, kept.scale_q]))[:, None]
    lower, x = matrix(cover.lower), matrix(cover.x)
    return np.block([[lower @ lower.T, lower @ x.T], [x @ lower.T, gram]]) - z @ z.T


def test_the_cover_is_above_n_without_rounding(small):
    cover = small[2]
    assert is_non_negative(excess(small, matrix(cover.gram)).tolist())


def test_without_its_shift_the_cover_is_not_above_n(small):
    cover = small[2]
    shift = np.diag(np.full(len(cover.gram), 2.0 * cover.epsilon))
    assert not is_non_negative(excess(small, matrix(cover.gram) - matrix(shift)).tolist())


def test_errors_of_the_pencil_are_bounded_without_rounding(small):
    space, kept, cover, maps = small
    pre = matrix(np.zeros((space.program.n_nodes, len(kept.targets))))
    post = pre.copy()
    pre[kept.targets] = matrix(kept.scale_p)[:, None] * matrix(cover.lower)
    for block, weights in zip(space.program.blocks, maps, strict=True):
        pre[block.target] += weights @ post[block.source]
        post[block.target] = matrix(space.first[block.target])[:, None] * pre[block.target]
    across = matrix(kept.scale_q)[:, None] * post[kept.sources]
    moved = matrix(cover.x).T @ across
    s = pre.T @ (matrix(space.curvature)[:, None] * pre) + moved + moved.T
    q = across.T @ matrix(cover.gram) @ across - moved.T @ moved
    pencil = hessian_norm._pencil(space, kept)
    for computed, truth, error in ((pencil.s, s, pencil.s_error), (pencil.q, q, pencil.q_error)):
        difference = square(matrix(computed) - truth)
        assert 0 < difference <= Fraction(error) ** 2
        assert error < 1e-11 * norm_up(computed)
