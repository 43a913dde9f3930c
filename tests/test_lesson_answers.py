"""The right answers of lessons 6 to 10 are right: computed here, or measured."""

import math

import numpy as np
import pytest

import assembly as am
from assembly.diagnostics.verdict import Claim, judge
from assembly.lessons import LESSONS

DIGIT = am.data.load("digits").inputs[0]


def value(lesson, name):
    return LESSONS[lesson].questions[name].value


def rank_of_hessian(net, x):
    space = net.hessian(x).node_space
    Z = np.array([space.Z(row) for row in np.eye(net.n_parameters)]).T
    M = np.array([space.M(row) for row in np.eye(space.size)]).T
    left, singular, _ = np.linalg.svd(Z, full_matrices=False)
    root = left[:, singular > 1e-10 * singular[0]] * singular[singular > 1e-10 * singular[0]]
    magnitudes = np.abs(np.linalg.eigvalsh(root.T @ M @ root))
    return int((magnitudes > 1e-10 * magnitudes.max()).sum())


def test_06_the_rank_of_a_hessian():
    net = am.mlp(13, [100, 50], "tanh", readout="sign", seed=0)
    assert rank_of_hessian(net, am.data.load("wine").inputs[0]) == value("06", "rank")


def test_06_node_space_grows_like_the_root_of_the_parameters():
    def size(m):
        H = am.mlp(4, [m, m, m], "tanh", seed=0).hessian(np.ones(4))
        return H.shape[0], H.node_space.size

    (few, small), (many, large) = size(128), size(512)
    assert math.log(large / small) / math.log(many / few) == pytest.approx(value("06", "growth"), abs=0.02)


def test_06_the_spectrum_of_relu_is_its_mirror_image():
    H = am.mlp(3, [8], "relu", seed=0).hessian([1.0, -0.5, 2.0])
    eigenvalues = np.linalg.eigvalsh(H @ np.eye(H.shape[0]))
    np.testing.assert_allclose(eigenvalues[0] / eigenvalues[-1], value("06", "mirror") / 0.3, rtol=1e-10)


def test_06_the_readout_has_no_block_of_its_own():
    net = am.mlp(3, [4, 5], "tanh", seed=0)
    H = net.hessian([1.0, -0.5, 2.0]) @ np.eye(net.n_parameters)
    layers = [slice(0, 12), slice(12, 32), slice(32, 37)]
    is_zero = [[np.abs(H[i, j]).max() < 1e-14 for j in layers] for i in layers]
    assert is_zero == [[False, False, False], [False, False, False], [False, False, True]]
    assert LESSONS["06"].questions["zero block"].name == "readout with readout"


def test_07_the_width_is_the_smallest_in_degree():
    twelve = [f"a{i}" for i in range(12)]
    neurons = {name: ("tanh", ["x", "y", "z"]) for name in twelve}
    neurons |= {"h": ("tanh", twelve[:7]), "g": ("tanh", [*twelve, "h"]), "out": ("identity", [*twelve, "g", "h"])}
    assert am.from_neurons(inputs=["x", "y", "z"], neurons=neurons, seed=0).width == value("07", "width")


def test_07_more_parts_in_the_neck_and_connections_around_it_help_and_wider_layers_do_not():
    def median(build):
        return float(np.median([float(build(seed).hessian(DIGIT).norm(tol=1e-3)) for seed in range(12)]))

    def layers(*widths):
        return median(lambda seed: am.mlp(64, widths, "tanh", readout="sign", seed=seed))

    slope = math.log(layers(256, 32, 256) / layers(256, 4, 256)) / math.log(8.0)
    assert value("07", "neck") - 0.1 < slope < value("07", "neck") + 0.2
    assert layers(256, 1, 256) > 0.6 * layers(16, 1, 16)
    around = [
        median(lambda seed, m=m: am.densenet(64, [m, 1, m], "tanh", readout="sign", seed=seed)) for m in (32, 512)
    ]
    assert around[1] < 0.65 * around[0]


def test_08_the_bound_of_the_change_of_a_kernel():
    gradient, change = 2.0, 0.05
    np.testing.assert_allclose((gradient + change) ** 2 - gradient**2, value("08", "bound"), rtol=1e-12)


def test_08_only_the_readout_trained_alone_has_a_constant_kernel():
    rng = np.random.default_rng(0)
    hidden = [am.mlp(3, [1], "tanh", trainable_readout=False, seed=seed) for seed in range(5)]
    a = np.array([float(one.layers[1].neurons[0].value([1.0, -0.5, 2.0])) for one in hidden])
    frozen = {f"h{i}": ("tanh", {"x": am.Edge(float(np.arctanh(value)), trainable=False)}) for i, value in enumerate(a)}
    net = am.from_neurons(inputs=["x"], neurons=frozen | {"out": ("identity", list(frozen))}, seed=0)
    moved = net.with_parameters(net.parameters + rng.normal(size=net.n_parameters))
    np.testing.assert_allclose(moved.tangent_kernel([[1.0]]), net.tangent_kernel([[1.0]]), rtol=1e-14)
    np.testing.assert_allclose(net.tangent_kernel([[1.0]]), [[np.mean(a**2)]], rtol=1e-12)


def test_08_sums_with_signs_by_chance():
    rng = np.random.default_rng(0)
    sizes = [np.mean(np.abs(rng.choice([-1.0, 1.0], (400, m)).sum(axis=1))) * m**-1.5 for m in (16, 1024)]
    slope = math.log(sizes[1] / sizes[0]) / math.log(64.0)
    assert slope == pytest.approx(value("08", "signs"), abs=0.06)  # five standard errors


def test_09_the_floor_of_a_bent_output():
    np.testing.assert_allclose(abs(am.activations.get("tanh").second(0.5)), value("09", "floor"), atol=5e-5)


def test_09_curvature_per_unit_of_output_of_a_lazy_network():
    def per_output(alpha):
        net = am.lazy(lambda seed: am.mlp(64, [8], "tanh", seed=seed), alpha=alpha)
        return float(net.hessian(DIGIT).norm(tol=1e-10)) / np.sum(net.gradient(DIGIT) ** 2)

    np.testing.assert_allclose(math.log10(per_output(10.0) / per_output(1.0)), value("09", "alpha"), rtol=1e-8)


def test_10_slopes_on_logarithmic_axes():
    np.testing.assert_allclose(math.log(0.1 / 0.8) / math.log(2048 / 32), value("10", "slope"), rtol=1e-12)

    def log_q(t):
        return -0.5 * t + 0.5 * math.log(t)

    np.testing.assert_allclose((log_q(10.01) - log_q(9.99)) / 0.02, value("10", "logarithm"), rtol=1e-5)


def test_10_an_interval_that_meets_neither_band():
    assert judge(Claim("hessian_norm", -0.5, 0.0), -0.38, -0.33) == LESSONS["10"].questions["verdict"].name
