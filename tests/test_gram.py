import itertools
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assembly as am
import cases
import contracts
import naive
import strategies
from assembly import memory, threads
from assembly.blocks import convolution
from assembly.blocks.block import Block
from assembly.blocks.dense import DenseBlock
from assembly.calculus import gram
from assembly.errors import ResourceError


def matrices(net, sizes):
    """(W, c) of every layer of a network without biases, for the naive Jacobian."""
    found, start = [], 0
    for n_source, n_target in itertools.pairwise(sizes):
        weights = net.parameters[start : start + n_source * n_target].reshape(n_target, n_source)
        found.append((weights, 1.0 / np.sqrt(n_source)))
        start += weights.size
    return found


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_against_the_naive_jacobian_at_width_64(activation):
    sizes = [10, 64, 64, 64, 1]
    net = am.mlp(10, [64, 64, 64], activation, seed=1)
    x, z = np.random.default_rng(0).normal(size=(2, 10))
    kinds = [activation] * 3 + ["identity"]
    at_x = naive.neuron_jacobians(x, matrices(net, sizes), kinds)
    at_z = naive.neuron_jacobians(z, matrices(net, sizes), kinds)
    for layer, jx, jz in zip(net.layers[1:], at_x, at_z, strict=True):
        assert contracts.error(layer.gram(x), jx @ jx.T) < 1e-13
        assert contracts.error(layer.gram(x, z), jx @ jz.T) < 1e-13
        assert contracts.error(layer.gram(z, x), jz @ jx.T) < 1e-13
    assert contracts.error(at_x[-1][0], net.gradient(x)) < 1e-13


@pytest.mark.parametrize("case", cases.NAMED, ids=str)
def test_every_layer_of_every_case(case):
    net, x, z = case.assembly(), case.x(), case.x("z")
    for layer, names in zip(net.layers[1:], case.names()[1:], strict=True):
        at_x = naive.jacobian(case.network(), case.w, x, names)
        at_z = naive.jacobian(case.network(), case.w, z, names)
        assert contracts.error(layer.gram(x), at_x @ at_x.T) < 1e-13
        assert contracts.error(layer.gram(x, z), at_x @ at_z.T) < 1e-12
    np.testing.assert_array_equal(net.layers[0].gram(x), 0.0)


@pytest.mark.parametrize("case", [c for c in cases.CASES if c not in cases.NAMED], ids=str)
def test_neuron_by_neuron_in_composed_assemblies(case):
    """Nodes have no names here: against the gradients of the neurons as sub-models."""
    net, x, z = case.assembly(), case.x(), case.x("z")
    for layer in net.layers[1:]:
        at_x, at_z = np.zeros((2, layer.size, net.n_parameters))
        for i, neuron in enumerate(layer.neurons):
            at_x[i, neuron.parameter_index] = neuron.gradient(x)
            at_z[i, neuron.parameter_index] = neuron.gradient(z)
        assert contracts.error(layer.gram(x, z), at_x @ at_z.T) < 1e-12


@strategies.QUICK
@given(graph=strategies.graphs(), data=st.data())
def test_any_graph(graph, data):
    inputs, neurons = graph
    net, (network, _) = am.from_neurons(inputs, neurons), naive.from_neurons(inputs, neurons)
    names = cases.Case("any", lambda: net, lambda _: network).names()
    x, z = data.draw(strategies.samples(len(inputs))), data.draw(strategies.samples(len(inputs)))
    for layer, members in zip(net.layers[1:], names[1:], strict=True):
        at_x = naive.jacobian(network, net.parameters, x, members)
        at_z = naive.jacobian(network, net.parameters, z, members)
        assert np.abs(layer.gram(x, z) - at_x @ at_z.T).max() < 1e-10


@pytest.mark.parametrize("name", ["cnn-1d", "cnn-2d", "cnn-1d-in-node-space"])
def test_columns_of_a_convolution_a_few_at_a_time(name, monkeypatch):
    case = cases.BY_NAME[name]
    whole = [layer.gram(case.x()) for layer in case.assembly().layers]
    monkeypatch.setattr(convolution, "COLUMNS", 5)
    for layer, wanted in zip(case.build().layers, whole, strict=True):
        np.testing.assert_allclose(layer.gram(case.x()), wanted, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_both_ways_through_dense_layers_agree_to_the_bit_of_symmetry(dtype, in_pieces, monkeypatch):
    """Products of half the work where x is x', against the plain ones, and whoever computes them."""
    monkeypatch.setattr(threads, "_available", lambda: 2)
    monkeypatch.setattr(threads, "SMALLEST_BYTES", 1 if in_pieces else 2**60)
    net = am.mlp(5, [60, 90, 70], "gelu", seed=0, bias=True, n_outputs=3, dtype=dtype)
    x, z = np.random.default_rng(0).normal(size=(2, 5)).astype(dtype)
    fast = [(layer.gram(x), layer.gram(x, z)) for layer in net.layers]
    with threads.limited(1):
        for layer, (own, other) in zip(net.layers, fast, strict=True):
            np.testing.assert_array_equal(layer.gram(x), own)
            np.testing.assert_array_equal(layer.gram(x, z), other)
            np.testing.assert_array_equal(own, own.T)
    monkeypatch.setattr(DenseBlock, "congruence", Block.congruence)
    for layer, (own, other) in zip(net.layers, fast, strict=True):
        assert contracts.error(own, layer.gram(x)) < contracts.rounding(net, 1e-14, 1e-5)
        assert contracts.error(other, layer.gram(x, z)) < contracts.rounding(net, 1e-14, 1e-5)


@pytest.mark.parametrize("second", [False, True])
def test_memory_is_three_matrices_however_many_layers(second):
    m = 700
    net = am.mlp(4, [m] * 5, seed=0)
    x, z = np.random.default_rng(0).normal(size=(2, 4))
    evaluated = (x, z) if second else (x,)
    am.mlp(4, [8] * 5, seed=0).layers[5].gram(*evaluated)  # what is loaded on the way is no matrix
    tracemalloc.start()
    net.layers[5].gram(*evaluated)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 2.0 < peak / (8.0 * m**2) < 3.1


def test_every_pair_of_groups_is_met_once(monkeypatch):
    """Where several groups read one, its matrix is kept until all have."""
    met, post = [], gram._Recursion._post
    monkeypatch.setattr(
        gram._Recursion, "_post", lambda self, *pair: met.append((id(self), *pair)) or post(self, *pair)
    )
    net = am.densenet(3, [6, 5, 4, 4], seed=0)
    for others in ((), (np.full(3, 0.5),)):
        for layer in net.layers[1:]:
            met.clear()
            layer.gram(np.ones(3), *others)
            assert len(met) == len(set(met)) > 0


@pytest.mark.parametrize(("build", "n_matrices"), [(am.mlp, 3), (am.densenet, 6)])
def test_what_does_not_fit_is_refused_with_the_memory_it_would_take(build, n_matrices, monkeypatch):
    net, x = build(2, [1700, 20], seed=0), np.ones(2)
    net(x)
    monkeypatch.setattr(memory, "available_memory", lambda: 2**26)
    with pytest.raises(ResourceError, match=re.escape(memory.gibibytes(n_matrices * 1700**2 * 8))):
        net.layers[2].gram(x)


def test_gram_of_the_output_is_the_tangent_kernel():
    net = am.mlp(4, [20, 20], n_outputs=3, seed=0)
    x, z = np.random.default_rng(0).normal(size=(2, 4))
    np.testing.assert_allclose(net.layers[-1].gram(x, z), net.tangent_kernel([x], [z])[0, 0], rtol=1e-11)


def test_first_layer_is_exactly_orthogonal():
    gram = am.mlp(4, [20, 20], seed=0).layers[1].gram([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(gram, np.diag(np.diag(gram)))
    assert np.diag(gram).min() > 0.0


def test_all_pairs_at_width_1024():
    """A random sample of 24 neurons, all their pairs, against gradients written out; two of them as sub-models."""
    m, d = 1024, 16
    net = am.mlp(d, [m, m], "tanh", seed=2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=d)
    gram = net.layers[2].gram(x)
    w1, w2 = net.parameters[: m * d].reshape(m, d), net.parameters[m * d : m * (d + m)].reshape(m, m)
    a1 = np.tanh(w1 @ x / np.sqrt(d))
    slope2 = 1.0 - np.tanh(w2 @ a1 / np.sqrt(m)) ** 2
    chosen = rng.choice(m, size=24, replace=False)
    below = np.array([np.outer(slope2[i] * w2[i] * (1.0 - a1**2) / np.sqrt(m), x / np.sqrt(d)).ravel() for i in chosen])
    wanted = below @ below.T + np.diag(slope2[chosen] ** 2 * (a1 @ a1) / m)
    assert contracts.error(gram[np.ix_(chosen, chosen)], wanted) < 1e-12
    off = wanted - np.diag(np.diag(wanted))
    assert contracts.error(gram[np.ix_(chosen, chosen)] - np.diag(np.diag(wanted)), off) < 1e-10
    one, two = (net.layers[2].neurons[int(i)] for i in chosen[:2])
    shared = m * d
    assert gram[chosen[0], chosen[1]] == pytest.approx(one.gradient(x)[:shared] @ two.gradient(x)[:shared], rel=1e-10)
    assert gram[chosen[0], chosen[0]] == pytest.approx(one.gradient(x) @ one.gradient(x), rel=1e-10)
