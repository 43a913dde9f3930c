"""The right answers of lessons 1 to 5 are right: computed here, from the matrices themselves where they are small."""

import math

import numpy as np
import pytest

import assembly as am
from assembly.lessons import LESSONS

DIGIT = am.data.load("digits").inputs[0]
POINT = np.array([1.0, -0.5, 2.0])


def value(lesson, name):
    return LESSONS[lesson].questions[name].value


def neuron(seed, activation="tanh"):
    return am.from_neurons(inputs=["x", "y", "z"], neurons={"neuron": (activation, ["x", "y", "z"])}, seed=seed)


def norm(net, x=POINT):
    return float(net.hessian(x).norm(tol=1e-8))


def slope(small, large, ratio):
    return math.log(large / small) / math.log(ratio)


def test_01_the_rank_of_one_neuron():
    matrix = neuron(0).hessian(POINT) @ np.eye(3)
    assert np.linalg.matrix_rank(matrix) == value("01", "rank")


def test_01_ten_times_the_input():
    net = neuron(0)
    stretched = net.with_parameters(net.parameters / 10.0)
    np.testing.assert_allclose(norm(stretched, 10.0 * POINT) / norm(net), value("01", "length"), rtol=1e-10)


def test_01_the_largest_bend_of_tanh_and_its_wrong_answers():
    tanh, z = am.activations.get("tanh"), np.linspace(-4.0, 4.0, 800_001)
    bend = np.abs(tanh.second(z))
    assert bend.max() == pytest.approx(value("01", "largest"), abs=1e-4)
    said = [answer for answer, _ in LESSONS["01"].questions["largest"].wrong]
    assert abs(z[bend.argmax()]) == pytest.approx(said[1], abs=1e-3)


def test_01_relu_does_not_bend_above_its_kink():
    net = neuron(0, "relu").with_parameters(np.array([1.0, 0.0, 0.0]))
    assert np.abs(net.hessian(POINT) @ np.eye(3)).max() == 0.0
    assert LESSONS["01"].questions["relu"].name == "it is zero"


def test_02_quadrature_and_maximum():
    net = am.committee(neuron, 100, seed=0)
    pieces = net.gradient(POINT).reshape(100, 3)
    even = pieces / np.linalg.norm(pieces, axis=1, keepdims=True) / net.scale
    np.testing.assert_allclose(np.linalg.norm(even), value("02", "gradient"), rtol=1e-12)
    rng, blocks = np.random.default_rng(0), np.zeros((12, 12))
    for i, size in enumerate((3.0, 1.0, 2.0, 2.0)):
        direction = rng.normal(size=3)
        block = slice(3 * i, 3 * i + 3)
        blocks[block, block] = size * np.outer(direction, direction) / (direction @ direction) / 2.0
    np.testing.assert_allclose(np.linalg.norm(blocks, 2), value("02", "blocks"), rtol=1e-12)


def test_02_sixteen_times_as_many_parts():
    def median(m):
        nets = [am.mlp(64, [m], readout="sign", trainable_readout=False, seed=seed) for seed in range(9)]
        return np.median([norm(net, DIGIT) for net in nets])

    assert median(1024) / median(64) == pytest.approx(value("02", "wider"), abs=0.01)


def test_03_groups_of_copies():
    def built(m):
        return norm(am.tied(lambda seed: neuron(seed, "quadratic"), m, round(m**0.25), seed=0))

    assert slope(built(16), built(256), 16.0) == pytest.approx(value("03", "slope"), abs=1e-6)


def test_03_four_hundred_in_groups_of_four_bend_like_a_hundred():
    def part(seed):
        return neuron(seed, "quadratic")

    committee = am.committee(part, int(value("03", "groups")), seed=0)
    np.testing.assert_allclose(norm(am.tied(part, 400, 4, seed=0)), norm(committee), rtol=1e-8)


def test_03_equal_numbers_are_no_copies():
    def built(m):
        net = am.committee(neuron, m, seed=0)
        return norm(net.with_parameters(np.tile(neuron(1).parameters, m)))

    assert slope(built(16), built(64), 4.0) == pytest.approx(-0.5, abs=1e-6)
    assert LESSONS["03"].questions["start"].name == "it falls as if all were different"


def test_04_the_exponent_of_a_power_law():
    def first(m):
        return 1.0 / np.linalg.norm(np.arange(1.0, m + 1.0) ** -0.3)

    assert slope(first(10**6), first(4 * 10**6), 4.0) == pytest.approx(value("04", "slope"), abs=0.01)


def test_04_effective_number_and_share():
    shares = np.array([0.5, 0.25, 0.25])
    np.testing.assert_allclose(1.0 / np.sum(shares**2), value("04", "effective"), rtol=1e-12)
    squares = am.dominated(neuron, 500, seed=0).coefficients ** 2
    assert squares[0] / squares.sum() == pytest.approx(value("04", "share"), abs=1e-3)


def test_04_the_length_of_the_gradient_hides_dominance():
    def length(build):
        nets = [build(lambda seed: neuron(seed, "identity"), 64, seed=seed) for seed in range(3)]
        return [np.linalg.norm(net.gradient(POINT)) for net in nets]

    np.testing.assert_allclose(length(am.committee), length(lambda *a, **k: am.power_law(*a, exponent=1.0, **k)))
    assert LESSONS["04"].questions["hides"].name == "the length of the gradient"


def test_05_a_pre_activation_of_the_first_layer_is_linear():
    net = am.mlp(3, [4, 4], seed=0)
    found = norm(net.layers[1].neurons[0].pre)
    assert found == value("05", "first")


def test_05_assemblies_of_assemblies_of_neurons():
    def part(seed):
        return am.committee(lambda inner: neuron(inner, "quadratic"), 16, seed=seed)

    whole = norm(am.committee(part, 16, seed=0))
    np.testing.assert_allclose(whole / norm(neuron(0, "quadratic")), value("05", "nested"), rtol=1e-8)


def test_05_terms_that_are_aligned_add_up():
    direction = np.array([0.6, 0.8])

    def added(m):
        return np.linalg.norm(sum(np.outer(direction, direction) for _ in range(m)) / math.sqrt(m), 2)

    assert slope(added(4), added(64), 16.0) == pytest.approx(value("05", "aligned"), abs=1e-9)


def test_05_the_first_term_stays():
    def first_term(m):
        layer = am.mlp(64, [m, m], readout="sign", seed=0).layers[2]
        z = np.arctanh([float(neuron.value(DIGIT)) for neuron in layer.neurons])
        return np.median(np.abs(am.activations.get("tanh").second(z)) * layer.gradient_norms(DIGIT) ** 2)

    assert abs(slope(first_term(32), first_term(128), 4.0)) < 0.2
    assert LESSONS["05"].questions["stays"].name == "the first term of H(a)"
