"""Committees of anything: of committees, of networks with frozen weights or sharing, of sub-models of one's own."""

from __future__ import annotations

import numpy as np
import pytest

import assembly as am
import contracts
import naive
import own_cases
from assembly.architectures.committees import drawn_parts
from assembly.errors import ArgumentError, GraphError
from assembly.graph.composition import same_structure
from assembly.model import SubModel

X = np.array([0.4, -1.1])
LEAF = naive.layered([2, 2, 1], ["tanh", "identity"], [2**-0.5] * 2, bias=True)
LEAF_BLOCKS = [4, 2, 2, 1]


def leaf(seed):
    return am.mlp(2, [2], seed=seed, bias=True)


def stacked_twin(owners, blocks, scale, coefficients):
    """Return the sum of owners alike, parameters block by block, and owner by owner within one; and its blocks."""
    n, m = sum(blocks), len(owners)
    starts = np.cumsum([0, *blocks[:-1]])
    order = [
        np.arange(start, start + size) + i * n for start, size in zip(starts, blocks, strict=True) for i in range(m)
    ]
    trainable = coefficients is None
    free = naive.assembled(owners, [(i, owner.outputs[0]) for i, owner in enumerate(owners)], scale, coefficients)
    own = [np.arange(n * m, n * m + m)] if trainable else []
    return naive.renumbered(free, np.concatenate([*order, *own])), [m * size for size in blocks] + [m] * trainable


def check_all(net, network, x):
    contracts.check_value(net, network, x)
    contracts.check_parameter_order(net, network, x)
    contracts.check_gradient(net, network, x)
    wanted = naive.hessian(network, net.parameters, x)
    contracts.check_hessian(net, network, x, wanted=wanted)
    contracts.check_eigenvalues(net, x, wanted)
    contracts.check_spectrum(net, x, wanted)
    contracts.check_tangent_kernel(net, network, np.array([x, -x, x[::-1]]), np.array([0.5 * x]))
    w = net.parameters + 0.01 * np.cos(np.arange(net.n_parameters))
    change = naive.gradient(network, net.parameters, x) @ (w - net.parameters)
    assert net.linearize().with_parameters(w)(x) == pytest.approx(net(x) + change, rel=1e-12)


# Three levels


def inner(seed):
    return am.committee(leaf, 2, coefficients="gaussian", seed=seed)


def outer(seed):
    return am.committee(inner, 3, coefficients="gaussian", trainable_coefficients=True, seed=seed)


def three_levels():
    net = am.committee(outer, 2, coefficients="gaussian", gamma=0.75, seed=5)
    middles, blocks = [], []
    for made in drawn_parts(outer, 2, 5):
        seeds = []  # the committees inside differ in their fixed coefficients
        am.committee(lambda seed, seeds=seeds: seeds.append(seed) or inner(seed), 3, seed=0)
        assert made.n_parameters == 3 * (2 * 9) + 3
        owners = []
        for top in made.parts:
            v = top.weights
            twin, blocks = stacked_twin([LEAF] * 2, LEAF_BLOCKS, np.sqrt(2.0), v)
            owners.append(twin)
        middle, middle_blocks = stacked_twin(owners, blocks, np.sqrt(3.0), None)
        middles.append(middle)
    twin, _ = stacked_twin(middles, middle_blocks, 2**0.75, net.coefficients)
    return net, twin


def test_a_committee_of_committees_of_committees():
    net, twin = three_levels()
    check_all(net, twin, X)


def test_it_is_the_sum_of_its_parts_at_every_level():
    net = am.committee(outer, 2, coefficients="gaussian", gamma=0.75, seed=5)
    parts = drawn_parts(outer, 2, 5)
    assert net(X) == pytest.approx(net.coefficients @ [g(X) for g in parts] / 2**0.75, rel=1e-13)
    for unit, made in zip(net.parts, parts, strict=True):
        assert isinstance(unit, SubModel)
        assert unit(X) == pytest.approx(made(X), rel=1e-13)
        np.testing.assert_array_equal(unit.parameters, made.parameters)
        np.testing.assert_allclose(unit.gradient(X), made.gradient(X), rtol=1e-12, atol=1e-15)
        for below, same in zip(unit.parents, made.parts, strict=True):
            np.testing.assert_array_equal(below.parameters, same.parameters)
            eye = np.eye(below.n_parameters)
            assert contracts.error(below.hessian(X) @ eye, same.hessian(X) @ eye) < 1e-13


def test_it_is_a_few_blocks_however_many_parts():
    """Fixed coefficients differ from part to part and are stacked all the same."""
    net = am.committee(lambda seed: am.committee(inner, 3, seed=seed), 40, seed=1)
    assert [group.size for group in net.graph.groups] == [2, 1, 480, 240, 120, 40, 1]
    assert len(net.graph.connections) == 4 + 3
    assert net.width == 2
    parts = drawn_parts(lambda seed: am.committee(inner, 3, seed=seed), 40, 1)
    assert net(X) == pytest.approx(net.coefficients @ [g(X) for g in parts] / np.sqrt(40.0), rel=1e-12)
    assert len({tuple(g.parts[0].weights) for g in parts}) == 40


def test_gram_and_layers_of_three_levels():
    net, twin = three_levels()
    assert [layer.size for layer in net.layers] == [2, 24, 12, 6, 2, 1]
    names = {
        4: ["p0.f", "p1.f"],
        3: [f"p{i}.p{j}.f" for i in range(2) for j in range(3)],
        2: [f"p{i}.p{j}.p{k}.n2.0" for i in range(2) for j in range(3) for k in range(2)],
    }
    z = np.array([1.0, 0.3])
    for index, wanted in names.items():
        left, right = (naive.jacobian(twin, net.parameters, point, wanted) for point in (X, z))
        assert contracts.error(net.layers[index].gram(X), left @ left.T) < 1e-13
        assert contracts.error(net.layers[index].gram(X, z), left @ right.T) < 1e-13
        total = np.sum([neuron.share(X)["adjoint"] for neuron in net.layers[index].neurons])
        assert total == pytest.approx(1.0, rel=1e-12)


# Parts with weights that differ and are frozen


def test_parts_with_frozen_weights_of_their_own_are_stacked():
    def part(seed):
        return am.mlp(2, [3], seed=seed, trainable_readout=False)

    net, parts = am.committee(part, 4, coefficients="gaussian", seed=2), drawn_parts(part, 4, 2)
    assert len(net.graph.groups) == 4
    readouts = np.array([made.coefficients for made in parts])
    assert len(np.unique(readouts)) == 12
    owners = [
        naive.layered([2, 3, 1], ["tanh", "identity"], [2**-0.5, 3**-0.5], False, row[None, :]) for row in readouts
    ]
    network = naive.assembled(owners, [(i, "n2.0") for i in range(4)], 2.0, net.coefficients)
    check_all(net, network, X)


def test_structure_is_all_but_the_weights():
    frozen = [am.mlp(2, [3], seed=seed, trainable_readout=False).graph for seed in (0, 1)]
    assert same_structure(*frozen)
    assert not same_structure(frozen[0], am.mlp(2, [3]).graph)
    assert not same_structure(frozen[0], am.mlp(2, [3], trainable_readout=False, gamma=1.0).graph)
    fourier, radial = (case.part()(0).graph for case in (own_cases.FOURIER, own_cases.RADIAL))
    assert same_structure(fourier, own_cases.FOURIER.part()(1).graph)
    assert not same_structure(fourier, radial)


# One committee of everything


def test_parts_of_all_kinds_side_by_side():
    kinds = [
        leaf,
        own_cases.RADIAL.part(),
        inner,
        lambda seed: am.from_neurons(["x", "y"], {"a": ("sin", ["x", "1"]), "f": ("identity", ["a", "y"])}, seed=seed),
        lambda seed: am.tied(leaf, 4, 2, seed=seed),
        lambda seed: am.cnn((2,), [2], 2, padding=0, seed=seed),
        lambda seed: am.mlp(2, [2, 2], "gelu", seed=seed),
    ]

    def part(seed):
        return kinds[seed % len(kinds)](seed)

    net, parts = am.committee(part, 12, coefficients="gaussian", seed=1), drawn_parts(part, 12, 1)
    assert len({type(c) for made in parts for c in made.graph.connections}) == 5
    v = net.coefficients / np.sqrt(12.0)
    np.testing.assert_array_equal(net.parameters, np.concatenate([made.parameters for made in parts]))
    assert net(X) == pytest.approx(v @ [made(X) for made in parts], rel=1e-13)
    gradient = np.concatenate([c * made.gradient(X) for c, made in zip(v, parts, strict=True)])
    assert contracts.error(net.gradient(X), gradient) < 1e-13
    H = np.zeros((net.n_parameters, net.n_parameters))
    start = 0
    for c, made in zip(v, parts, strict=True):  # independent parts: block diagonal
        stop = start + made.n_parameters
        H[start:stop, start:stop] = c * (made.hessian(X) @ np.eye(made.n_parameters))
        start = stop
    assert contracts.error(net.hessian(X) @ np.eye(net.n_parameters), H) < 1e-13
    contracts.check_eigenvalues(net, X, H)
    z = np.array([-0.7, 0.2])
    kernel = sum(c**2 * (made.gradient(X) @ made.gradient(z)) for c, made in zip(v, parts, strict=True))
    assert net.tangent_kernel([X], [z])[0, 0] == pytest.approx(kernel, rel=1e-12)


def test_the_same_object_again_and_again_becomes_parts_of_their_own():
    for one in (leaf(0), am.cnn((2,), [2], 2, padding=0)):  # stacked, and side by side
        net = am.committee(lambda seed, one=one: one, 3, coefficients=[1.0, 1.0, 1.0])
        assert net.n_parameters == 3 * one.n_parameters
        assert net(X) == pytest.approx(np.sqrt(3.0) * one(X), rel=1e-13)
        w = net.parameters.copy()
        w[: one.n_parameters // 2] += 1.0
        assert net.with_parameters(w)(X) != pytest.approx(net(X), rel=1e-6)


def test_single_precision_stays():
    net = am.committee(lambda seed: am.committee(lambda s: am.mlp(2, [2], seed=s, dtype="float32"), 2, seed=seed), 3)
    assert net.parameters.dtype == np.float32
    tied = am.tied(lambda seed: am.mlp(2, [2], seed=seed, dtype="float32"), 4, 2)
    assert tied.parameters.dtype == np.float32
    assert tied.gradient(X).dtype == np.float32


def test_norm_of_a_wide_committee_is_that_of_its_largest_part():
    net, parts = am.committee(leaf, 512, coefficients="gaussian", seed=1), drawn_parts(leaf, 512, 1)
    norms = [float(made.hessian(X).norm()) for made in parts]
    wanted = np.max(np.abs(net.coefficients) * norms) / np.sqrt(512.0)
    assert float(net.hessian(X).norm()) == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: am.committee(3, 2), ArgumentError, r"'part' argument must make an assembly from a seed, .* Got 3"),
        (lambda: am.committee(leaf(0), 2), ArgumentError, r"from a seed, as lambda seed: .*Got Assembly: 2 inputs"),
        (lambda: am.committee(leaf(0).parts[0], 2), ArgumentError, r"from a seed, as lambda seed: .*Got neuron 0"),
        (lambda: am.committee(lambda seed: leaf, 2), GraphError, r"must return an assembly with one output"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
