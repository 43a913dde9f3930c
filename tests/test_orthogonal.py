"""Chains of orthogonal matrices: what they are, and that gradient descent along them moves their product alone."""

import numpy as np
import pytest
from scipy.linalg import expm

import assembly as am
from assembly.architectures.orthogonal import chain
from assembly.dynamics.orthogonal import factors, orthogonal_descent
from assembly.errors import ArgumentError, GraphError

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 1))


def matrices(net):
    """The matrices of a chain, fixed ones included."""
    found, parameters = [], iter(factors(net, net.parameters))
    for one in net.graph.connections:
        found.append(next(parameters) if one.values is None else one.values.reshape(one.n_target, one.n_source))
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_chain_is_the_product_of_its_matrices(dtype):
    net = am.orthogonal_chain(5, 6, 4, seed=2, dtype=dtype)
    first, *inner, readout = matrices(net)
    assert len(inner) == 4
    tol = 1e-5 if dtype == "float32" else 1e-13
    for W in inner:
        np.testing.assert_allclose(W @ W.T, np.eye(6), atol=tol)
    np.testing.assert_allclose(net(X.astype(dtype)), (readout @ np.linalg.multi_dot(inner[::-1]) @ first @ X.T)[0], tol)
    assert 0.5 < np.linalg.norm(first) ** 2 / 6 < 2.0  # N(0, 1/n)
    other = am.orthogonal_chain(5, 6, 4, seed=3, dtype=dtype)
    assert abs(other.parameters - net.parameters).max() > 0.1


def test_orthogonal_matrices_are_drawn_alike():
    """The mean of an entry of W over 400 draws is 0 within 5 standard errors: false alarms below 1e-6 for each."""
    drawn = np.array([am.orthogonal_chain(2, 3, 1, seed=seed).parameters for seed in range(400)])
    assert abs(drawn.mean(axis=0)).max() < 5.0 * np.sqrt(1.0 / 3.0 / 400)
    assert abs((drawn**2).mean(axis=0) - 1.0 / 3.0).max() < 5.0 * np.sqrt(4.0 / 45.0 / 400)


def by_hand(first, inner, readout, step_size, n_steps):
    """Gradient descent along orthogonal matrices, every gradient written out."""
    inner = [W.copy() for W in inner]
    for _ in range(n_steps):
        below = [first @ X.T]
        for W in inner:
            below.append(W @ below[-1])
        above = readout.T @ ((readout @ below[-1]).ravel() - Y[:, 0])[None]
        moved = []
        for W, u in zip(inner[::-1], below[-2::-1], strict=True):
            G, above = above @ u.T, W.T @ above
            moved.append(expm(-step_size * (G @ W.T - W @ G.T) / 2.0) @ W)
        inner = moved[::-1]
    return inner


def test_steps_are_those_of_a_plain_loop():
    net = am.orthogonal_chain(5, 6, 3, seed=0)
    first, *inner, readout = matrices(net)
    wanted = by_hand(first, inner, readout, 0.03, 7)
    found = factors(net, orthogonal_descent(net, X, Y, 0.03, 7))
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
    assert abs(found - np.array(inner)).max() > 0.05


@pytest.mark.parametrize("n_factors", [1, 2, 4])
def test_the_product_moves_as_one_matrix_with_as_many_times_the_step(n_factors):
    net, eta = am.orthogonal_chain(5, 6, n_factors, seed=1), 0.02
    first, *inner, readout = matrices(net)
    product = np.linalg.multi_dot([*inner[::-1], np.eye(6)])
    alone = chain(first, [product], readout)
    moved = np.linalg.multi_dot([*factors(net, orthogonal_descent(net, X, Y, eta, 25))[::-1], np.eye(6)])
    same = orthogonal_descent(alone, X, Y, n_factors * eta, 25).reshape(6, 6)
    np.testing.assert_allclose(moved, same, rtol=1e-11, atol=1e-13)
    if n_factors > 1:  # with the step of a single factor it does not
        assert abs(moved - orthogonal_descent(alone, X, Y, eta, 25).reshape(6, 6)).max() > 1e-2


def test_other_networks_are_refused():
    for net in (
        am.mlp(5, [5, 5], "identity"),
        am.mlp(5, [5], "identity", parametrization="standard"),
        am.resnet(5, 5, 1),
    ):
        with pytest.raises(GraphError, match="square matrices of one size"):
            orthogonal_descent(net, X, Y, 0.1, 1)
    net = am.orthogonal_chain(5, 6)
    with pytest.raises(GraphError, match="orthogonal matrices"):
        orthogonal_descent(net.with_parameters(1.1 * net.parameters), X, Y, 0.1, 1)
    for arguments in ((0, 3), (3, 0), (3, 3, 0)):
        with pytest.raises(ArgumentError):
            am.orthogonal_chain(*arguments)
