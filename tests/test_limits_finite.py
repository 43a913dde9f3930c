"""Finite networks around their limit kernels: the mean over draws of the weights, and the rate of the distance.

All draws are seeded, so the tests pass or fail for good; false-alarm rates are those of a fresh set of seeds.
"""

from __future__ import annotations

import numpy as np
import pytest

import assembly as am

X = np.array([[1.0, -0.6, 0.3, 0.8, -1.2, 0.5], [0.2, 0.9, -1.0, 0.4, 0.7, 1.1], [-0.9, 0.7, 0.1, -0.8, 1.0, -0.2]])
N_DRAWS = 200

FAMILIES = {
    "one hidden layer": lambda m, seed: am.mlp(6, [m], "gelu", seed=seed),
    "two hidden layers, biases": lambda m, seed: am.mlp(6, [m, m], "relu", bias=True, seed=seed),
    "three hidden layers": lambda m, seed: am.mlp(6, [m, m, m], "erf", seed=seed),
    "convolution": lambda m, seed: am.cnn((6,), [m, m], 3, "relu", seed=seed),
    "convolution, pooling, biases": lambda m, seed: am.cnn((6,), [m, m], 3, "relu", pool=2, bias=True, seed=seed),
    "residual": lambda m, seed: am.resnet(6, m, 2, "relu", seed=seed),
    "densely connected": lambda m, seed: am.densenet(6, [m, m], "relu", seed=seed),
    "random graph of reach 2": lambda m, seed: am.random_dag(6, 3, m, m // 2, "relu", reach=2, seed=seed),
    "uneven in-degrees": lambda m, seed: am.uneven_dag(6, 3, m // 2, "relu", exponent=1.1, seed=seed),
    "frozen readout": lambda m, seed: am.mlp(6, [m, m], "relu", trainable_readout=False, seed=seed),
}
every_family = pytest.mark.parametrize("family", FAMILIES)


def readout_kernel(net):
    """Return the part of the tangent kernel that the weights into the outputs add: the finite covariance."""
    output = net.graph.outputs[0][0]
    pairs = zip(net.graph.connections, net.graph.slices, strict=True)
    parts = [part for connection, part in pairs if connection.target == output and part is not None]
    gradients = np.stack([net.gradient(x) for x in X])
    J = np.concatenate([gradients[:, part] for part in parts], axis=1)
    return J @ J.T


def relative(have, wanted):
    """Return the difference of two kernels, relative to the diagonal of the second."""
    roots = np.sqrt(np.diagonal(wanted))
    return (have - wanted) / np.outer(roots, roots)


def distances(family, m, n_draws, first=0):
    """Return finite minus limit of both kernels, shape (n_draws, 2, 3, 3), relative to the diagonals of the limit."""
    found = []
    for seed in range(first, first + n_draws):
        net = FAMILIES[family](m, seed)
        limit = am.limit_kernels(net, X)
        covariance = readout_kernel(net) if family != "frozen readout" else limit.nngp
        found.append([relative(covariance, limit.nngp), relative(net.tangent_kernel(X), limit.tangent)])
    return np.array(found)


def tangent_distance(family, m):
    """Return the root mean square over 60 draws of finite minus limit tangent kernel."""
    nets = (FAMILIES[family](m, seed) for seed in range(1000, 1060))
    found = [relative(net.tangent_kernel(X), am.limit_kernels(net, X).tangent) for net in nets]
    return np.sqrt(np.mean(np.square(found)))


@every_family
def test_the_mean_over_draws_is_the_limit_up_to_the_inverse_square_of_the_width(family):
    """Twice the mean at 2m less that at m has no term in 1/m: 0 within 5.5 standard errors for all 12 entries.

    False alarms: 4e-8 for each entry if means are normal, below 1e-4 for all families with the tails they have.
    """
    m = 64
    narrow, wide = distances(family, m, N_DRAWS), distances(family, 2 * m, N_DRAWS, N_DRAWS)
    estimate = 2.0 * wide.mean(axis=0) - narrow.mean(axis=0)
    error = np.sqrt((4.0 * wide.var(axis=0) + narrow.var(axis=0)) / N_DRAWS)
    assert error.max() < 0.08
    assert (np.abs(estimate) <= 5.5 * error).all(), np.abs(estimate / error).max()


@every_family
def test_the_distance_from_the_limit_falls_like_the_root_of_the_width(family):
    """Slope of log root mean square distance over widths 32 to 512: -1/2 within 0.25.

    Resampling the draws gives the slope a standard deviation of 0.03 to 0.05. Layers of the uneven graphs have m^1.1
    neurons, which may take its mean to -0.55: a false alarm is below 1e-4 for them and 1e-8 for the others.
    """
    widths = [32, 128, 512]
    sizes = [tangent_distance(family, m) for m in widths]
    slope = np.polyfit(np.log(widths), np.log(sizes), 1)[0]
    assert abs(slope + 0.5) < 0.25, slope


def test_a_bottleneck_that_stays_narrow_does_not_go_to_the_limit():
    """The limit is the one of a network without a bottleneck; kernels stay away from it, but for a wide bottleneck.

    Root mean square over 20 draws, relative to the limit. Over other seeds it is 0.6 with one neuron and 0.06 with 256,
    its logarithm with a standard deviation of 0.2: a false alarm is below 1e-4.
    """

    def away(narrowest, m):
        nets = [am.mlp(6, [m, narrowest, m], "tanh", seed=seed) for seed in range(20)]
        limit = am.limit_kernels(nets[0], X).tangent
        np.testing.assert_allclose(limit, am.limit_kernels(am.mlp(6, [m, m, m], "tanh"), X).tangent, rtol=1e-12)
        return np.sqrt(np.mean([relative(net.tangent_kernel(X), limit) ** 2 for net in nets]))

    assert min(away(1, 64), away(1, 512)) > 0.25
    assert away(256, 512) < 0.15
