"""Hessian and gradient norms of all neurons of a layer at once, against each neuron alone and against naive twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assembly as am
import cases
import contracts
import naive
import own_cases
import strategies
from assembly.calculus import lockstep
from assembly.calculus.lockstep_lanczos import _Iterations
from assembly.calculus.lockstep_neurons import NeuronHessians
from assembly.calculus.one_hidden_layer import larger
from assembly.errors import ArgumentError, ConvergenceWarning, KinkWarning, ShapeError

EVERY = pytest.mark.parametrize("case", [*cases.CASES, *cases.FLOAT32], ids=str)


def alone(layer: am.Layer, x, tol: float) -> tuple[np.ndarray, np.ndarray]:
    """Norms of Hessian and gradient of every pre-activation as a sub-model of its own."""
    own = [neuron.pre for neuron in layer.neurons]
    hessians = [neuron.hessian(x).norm(tol=tol).value for neuron in own]
    return np.array(hessians), np.array([np.linalg.norm(neuron.gradient(x)) for neuron in own])


def twins(network: naive.Network, w, x, names) -> tuple[np.ndarray, np.ndarray]:
    """The same from the naive twin: spectral norms of differences of exact gradients of z."""
    found = []
    for name in names:
        owner, places = naive.restricted(naive.linear_at(network, name), [name])
        matrix = naive.hessian(owner, w[places], x)
        gradient = naive.gradient(owner, w[places], x)
        found.append((np.linalg.norm(matrix, 2) if matrix.size else 0.0, np.linalg.norm(gradient)))
    hessians, gradients = np.array(found).T
    return hessians, gradients


@EVERY
def test_every_neuron_of_every_case_as_if_it_were_alone(case):
    net, x = case.assembly(), case.x()
    tol = contracts.rounding(net, 1e-7, 1e-3)
    for layer in net.layers:
        norms = layer.hessian_norms(x, tol)
        hessians, gradients = alone(layer, x, tol)
        assert norms.converged
        assert norms.residual.shape == (layer.size,)
        assert norms.residual.max() <= tol
        assert contracts.error(norms.value, hessians) < contracts.rounding(net, 1e-9, 1e-3)
        assert contracts.error(layer.gradient_norms(x), gradients) < contracts.rounding(net, 1e-13)


@pytest.mark.parametrize("case", cases.NAMED, ids=str)
def test_every_neuron_against_the_naive_twin(case):
    net, x = case.assembly(), case.x()
    for layer, names in zip(net.layers[1:], case.names()[1:], strict=True):
        hessians, gradients = twins(case.network(), case.w, x, names)
        np.testing.assert_allclose(layer.hessian_norms(x, 1e-7).value, hessians, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(layer.gradient_norms(x), gradients, rtol=1e-13, atol=1e-15)


def test_against_jax():
    import jax_oracle  # skips the test, with its reason, where JAX is not installed

    case = cases.BY_NAME["sparse-with-skips"]
    net, x = case.assembly(), case.x()
    for layer, names in zip(net.layers[1:], case.names()[1:], strict=True):
        norms, slopes = layer.hessian_norms(x, 1e-7).value, layer.gradient_norms(x)
        for name, norm, slope in zip(names, norms, slopes, strict=True):
            owner, places = naive.restricted(naive.linear_at(case.network(), name), [name])
            gradient, hessian = jax_oracle.derivatives(owner, case.w[places], x)
            np.testing.assert_allclose(norm, np.linalg.norm(hessian, 2), rtol=1e-10, atol=1e-14)
            np.testing.assert_allclose(slope, np.linalg.norm(gradient), rtol=1e-13)


@strategies.QUICK
@given(graph=strategies.graphs(), data=st.data())
def test_any_graph(graph, data):
    inputs, neurons = graph
    net, (network, _) = am.from_neurons(inputs, neurons), naive.from_neurons(inputs, neurons)
    names = cases.Case("any", lambda: net, lambda _: network).names()
    x = data.draw(strategies.samples(len(inputs)))
    for layer, members in zip(net.layers[1:], names[1:], strict=True):
        hessians, gradients = twins(network, net.parameters, x, members)
        scale = 1.0 + np.abs(hessians)
        assert (np.abs(layer.hessian_norms(x, 1e-6).value - hessians) < 1e-7 * scale).all()
        assert (np.abs(layer.gradient_norms(x) - gradients) < 1e-12 * (1.0 + gradients)).all()


@strategies.QUICK
@given(graph=strategies.shared_graphs(), data=st.data())
def test_any_graph_with_shared_weights(graph, data):
    inputs, neurons, outputs = graph
    net = am.from_neurons(inputs, neurons, outputs)
    x = data.draw(strategies.samples(len(inputs)))
    for layer in net.layers[1:]:
        hessians, gradients = alone(layer, x, 1e-7)
        assert (np.abs(layer.hessian_norms(x, 1e-7).value - hessians) < 1e-8 * (1.0 + hessians)).all()
        assert (np.abs(layer.gradient_norms(x) - gradients) < 1e-12 * (1.0 + gradients)).all()


@pytest.mark.parametrize("own", own_cases.OWN, ids=str)
def test_sub_models_of_the_users_own(own):
    net = am.Assembly([own.part()(seed) for seed in range(3)], [1.0, -0.5, 2.0], trainable_coefficients=True)
    x = np.random.default_rng(1).normal(size=own.n_inputs)
    assert max(layer.hessian_norms(x).value.max() for layer in net.layers) > 0.1
    for layer in net.layers:
        hessians, gradients = alone(layer, x, 1e-7)
        assert contracts.error(layer.hessian_norms(x, 1e-7).value, hessians) < 1e-9
        assert contracts.error(layer.gradient_norms(x), gradients) < 1e-13


# The three ways


def test_first_layers_are_exactly_linear():
    for net in (am.mlp(4, [9, 5], seed=0), am.cnn([6], [3, 2], 3, seed=0, bias=True)):
        norms = net.layers[1].hessian_norms(np.ones(net.n_inputs))
        np.testing.assert_array_equal(norms.value, 0.0)
        np.testing.assert_array_equal(norms.residual, 0.0)
        assert norms.converged
        assert norms.n_steps == 0


def test_second_layers_are_answered_by_the_closed_form_of_every_pair():
    m, d = 40, 6
    net, x = am.mlp(d, [m, 30], "gelu", seed=3, bias=True), np.random.default_rng(5).normal(size=6)
    norms = net.layers[2].hessian_norms(x)
    assert norms.n_steps == 0
    u, w = net.parameters[: m * d].reshape(m, d), net.parameters[m * d + m : m * d + m + 30 * m].reshape(30, m)
    z, h = u @ x / np.sqrt(d) + net.parameters[m * d : m * d + m], 1e-4
    slope, bend = ((f(z + h) - f(z - h)) / (2 * h) for f in (naive.ACTIVATION["gelu"], _gelu_slope))
    alpha = x @ x / d + 1.0
    for i in range(30):
        blocks = np.zeros((m, 2, 2))
        blocks[:, 0, 0] = w[i] * bend * alpha / np.sqrt(m)
        blocks[:, 0, 1] = blocks[:, 1, 0] = slope * np.sqrt(alpha) / np.sqrt(m)
        np.testing.assert_allclose(norms.value[i], np.abs(np.linalg.eigvalsh(blocks)).max(), rtol=1e-6)


def _gelu_slope(z):
    return (naive.ACTIVATION["gelu"](z + 1e-4) - naive.ACTIVATION["gelu"](z - 1e-4)) / 2e-4


def test_the_closed_form_and_the_iteration_agree(monkeypatch):
    net, x = am.mlp(5, [60, 50], "tanh", seed=1), np.random.default_rng(2).normal(size=5)
    exact = net.layers[2].hessian_norms(x)
    monkeypatch.setattr(lockstep.one_hidden_layer, "applies_to", lambda program, curvature: False)
    iterated = net.layers[2].hessian_norms(x, 1e-6)
    assert exact.n_steps == 0 < iterated.n_steps
    np.testing.assert_allclose(iterated.value, exact.value, rtol=1e-9)


def test_the_larger_eigenvalue_of_a_block():
    diagonal, coupling = np.array([3.0, -3.0, 0.0, 0.0]), np.array([2.0, 2.0, 0.5, 0.0])
    np.testing.assert_allclose(larger(diagonal, coupling), [4.0, -4.0, 0.5, 0.0], rtol=1e-15)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_sample_of_wide_layers(activation, monkeypatch):
    """ReLU has a spectrum symmetric about 0. No neuron has to go on alone."""
    monkeypatch.setattr(lockstep, "Hessian", None)
    net, x = am.mlp(8, [150, 130, 140], activation, seed=7), np.random.default_rng(3).normal(size=8)
    for layer in net.layers[2:]:
        norms, slopes = layer.hessian_norms(x), layer.gradient_norms(x)
        assert norms.converged
        assert norms.residual.max() <= 1e-4
        for i in np.random.default_rng(layer.index).choice(layer.size, size=min(20, layer.size), replace=False):
            neuron = layer.neurons[int(i)].pre
            np.testing.assert_allclose(norms.value[i], neuron.hessian(x).norm(1e-8).value, rtol=1e-6)
            np.testing.assert_allclose(slopes[i], np.linalg.norm(neuron.gradient(x)), rtol=1e-12)


# What must not matter


def test_a_neuron_does_not_depend_on_those_beside_it(monkeypatch):
    net, x = am.mlp(4, [30, 20, 25], seed=1), np.random.default_rng(0).normal(size=4)
    together = [(layer.hessian_norms(x).value, layer.gradient_norms(x)) for layer in net.layers]
    monkeypatch.setattr(lockstep, "GROUP_BYTES", 300_000)
    for layer, (norms, slopes) in zip(net.layers, together, strict=True):
        np.testing.assert_allclose(layer.hessian_norms(x).value, norms, rtol=1e-10)
        np.testing.assert_allclose(layer.gradient_norms(x), slopes, rtol=1e-14)


def test_neurons_are_taken_in_groups_within_the_memory(monkeypatch):
    program = am.mlp(4, [30, 20], n_outputs=25, seed=1)._body.program
    each = 72 * program.n_coordinates * 8
    monkeypatch.setattr(lockstep, "GROUP_BYTES", 7 * each)
    groups = lockstep.groups(program, 25, 72)
    assert np.concatenate([np.arange(25)[part] for part in groups]).tolist() == list(range(25))
    assert max(part.stop - part.start for part in groups) == 7
    sizes = [part.stop - part.start for part in lockstep.groups(program, 21, 72)]
    assert sizes == [5, 5, 5, 6]  # three would leave one of two threads alone with the last
    assert len(lockstep.groups(program, 57, 72)) == 16
    monkeypatch.setattr(lockstep, "GROUP_BYTES", 1)
    assert len(lockstep.groups(program, 25, 72)) == 25


def test_the_order_of_the_neurons_of_a_layer_with_several_groups():
    net = cases.BY_NAME["committee-mixed-structures"].assembly()
    assert any(len(groups) > 1 for groups in net.graph.layers)
    x = np.array([0.3, -1.0, 2.0])
    for layer in net.layers:
        hessians, _ = alone(layer, x, 1e-7)
        assert layer.hessian_norms(x, 1e-7).value.tolist() == pytest.approx(hessians.tolist(), rel=1e-9, abs=0.0)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_norms_of_any_size(scale):
    """Frozen edges of any size above, which squares would not survive."""
    neurons = {f"a{i}": ("tanh", ["x", "y"]) for i in range(6)}
    neurons |= {f"b{i}": ("tanh", [f"a{j}" for j in range(6)]) for i in range(5)}
    neurons["c"] = ("identity", {f"b{i}": am.Edge(1.0 + i, trainable=False, factor=1.0) for i in range(5)})
    x, wanted = [0.5, -1.0], None
    for factor in (1.0, scale):
        top = {"out": ("identity", {"c": am.Edge(factor, trainable=False, factor=1.0)})}
        norms = am.from_neurons(["x", "y"], neurons | top, seed=2).layers[-1].hessian_norms(x, 1e-7)
        wanted = norms.value if wanted is None else wanted * scale
        assert norms.converged
        np.testing.assert_allclose(norms.value, wanted, rtol=1e-12)


# The iteration


def bases(net, x, n_steps: int) -> tuple[NeuronHessians, _Iterations]:
    """Return the operators of the outputs and their Krylov bases after some steps."""
    hessians = NeuronHessians(net._body.at(net._body.sample(x)), slice(None))
    start = np.random.default_rng(0).normal(size=hessians.size)
    iterations = _Iterations(hessians, start)
    for _ in range(n_steps):
        iterations.expand()
    return hessians, iterations


def test_vectors_are_normalised_and_obey_the_recurrence_of_three_terms():
    net, x = am.mlp(5, [40, 30, 30], n_outputs=4, seed=0), np.random.default_rng(1).normal(size=5)
    hessians, found = bases(net, x, 45)
    vectors = np.array([rows for _, rows in found.vectors])
    images = np.array([hessians.N(rows) for rows in vectors])
    np.testing.assert_allclose(np.einsum("jin,jin->ij", vectors, images), 1.0, rtol=1e-9)
    np.testing.assert_allclose(np.einsum("jin,jin->ij", vectors[1:], images[:-1]), 0.0, atol=1e-9)
    for j in range(1, 45):
        applied = hessians.M(images[j]) / found.scale[:, None]
        terms = found.diagonal[:, j, None] * vectors[j] + found.beside[:, j - 1, None] * vectors[j - 1]
        rest = applied - terms - found.beside[:, j, None] * vectors[j + 1]
        assert np.sqrt(np.einsum("in,in->i", rest, hessians.N(rest))).max() < 1e-11


def test_what_rounding_may_hide_of_a_residual_is_counted(monkeypatch):
    """Where N holds nothing of what is left, the norm of that is what N holds by rounding, not 0."""
    net, x = am.mlp(5, [40, 30, 30], n_outputs=4, seed=0), np.random.default_rng(1).normal(size=5)
    hessians, found = bases(net, x, 12)
    values, turned, _ = found.ritz()
    every, n_applications = np.arange(len(hessians)), [0]
    _, residuals, coordinates = found.finish(every, values, turned)
    gram = type(hessians).N

    def blind(self, rows):
        n_applications[0] += 1
        return gram(self, rows) if n_applications[0] == 1 else np.zeros_like(rows)

    monkeypatch.setattr(type(hessians), "N", blind)
    _, hidden, _ = found.finish(every, values, turned)
    applied = hessians.M(gram(hessians, coordinates)) / found.scale[:, None]
    rest = applied - values[:, None] * coordinates
    noise = np.sqrt(np.finfo(float).eps * np.einsum("kn,kn,kn->k", rest, hessians.diagonal(), rest))
    np.testing.assert_allclose(hidden, noise / np.abs(values), rtol=1e-8)
    assert (residuals > 10.0 * hidden).all()


@pytest.mark.parametrize(("widths", "activation"), [([2, 2], "tanh"), ([4, 2], "relu"), ([8], "tanh")])
def test_an_exhausted_space_ends_in_zeros(widths, activation):
    """Rounding beyond it would be made a vector, and the values nonsense."""
    net, x = am.mlp(2, widths, activation, n_outputs=3, seed=0), np.array([1.0, -0.5])
    hessians, found = bases(net, x, 45)
    assert hessians.size < 45
    assert (found.beside.min(axis=1) == 0.0).all()
    np.testing.assert_array_equal(found.newest, 0.0)
    values = np.abs(found.ritz()[0]) * found.scale
    truth = [np.abs(np.linalg.eigvalsh(net.hessian(x, k) @ np.eye(net.n_parameters))).max() for k in range(3)]
    np.testing.assert_allclose(values, truth, rtol=1e-10)


# Residual and status


def test_neurons_that_need_more_steps_go_on_alone(monkeypatch):
    net, x = am.mlp(4, [30, 20, 25], seed=1), np.random.default_rng(0).normal(size=4)
    wanted = net.layers[3].hessian_norms(x, 1e-8)
    monkeypatch.setattr(lockstep, "N_STEPS", 6)
    found = net.layers[3].hessian_norms(x, 1e-8)
    assert wanted.converged
    assert found.converged
    assert found.n_steps > 6
    np.testing.assert_allclose(found.value, wanted.value, rtol=1e-12)


def test_what_did_not_converge_says_so_and_its_residual_is_true():
    net, x = am.mlp(3, [12, 9, 8], seed=1), np.random.default_rng(0).normal(size=3)
    layer = net.layers[3]
    norms = layer.hessian_norms(x, 1e-6, max_steps=4)
    assert not norms.converged
    assert norms.residual.max() > 1e-6
    assert norms.n_steps <= 5
    with pytest.warns(ConvergenceWarning, match="raise max_steps"):
        np.asarray(norms)
    for neuron, value, residual in zip(layer.neurons, norms.value, norms.residual, strict=True):
        truth = np.abs(np.linalg.eigvalsh(neuron.pre.hessian(x) @ np.eye(neuron.pre.n_parameters)))
        assert np.abs(truth - value).min() <= residual * value
        assert value <= truth.max() * (1.0 + 1e-12)


def test_another_seed_is_another_way_to_the_same_norms():
    net, x = am.mlp(3, [20, 15, 10], seed=1), np.random.default_rng(0).normal(size=3)
    one, two = (net.layers[3].hessian_norms(x, 1e-6, seed=seed) for seed in (0, 1))
    np.testing.assert_allclose(one.value, two.value, rtol=1e-10)
    assert (one.residual != two.residual).any()


def test_a_kink_is_told_of():
    net = am.mlp(2, [3, 3, 2], "relu", seed=0)
    for ask in (net.layers[3].hessian_norms, net.layers[3].gradient_norms):
        with pytest.warns(KinkWarning, match="exactly 0"):
            ask([0.0, 0.0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0],), ShapeError, "'x' argument must have shape"),
        (([[1.0, 2.0]],), ShapeError, "must be one sample"),
        (([1.0, 2.0], 0.0), ArgumentError, "'tol' argument must be a finite number above 0"),
        (([1.0, 2.0], 1.0), ArgumentError, "'tol' argument must be a finite number above 0 and below 1"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        am.mlp(2, [3, 3], seed=0).layers[2].hessian_norms(*arguments)


def test_at_least_one_step():
    with pytest.raises(ArgumentError, match="'max_steps' argument must be an int of at least 1"):
        am.mlp(2, [3, 3], seed=0).layers[2].hessian_norms([1.0, 2.0], max_steps=0)


# Passes of the blocks on matrices


@EVERY
def test_passes_on_matrices_are_passes_column_by_column(case):
    net, rng = case.assembly(), np.random.default_rng(0)
    program, dtype = net._body.program, net.dtype
    tolerance = contracts.rounding(net, 1e-14)
    a = rng.normal(size=program.n_nodes).astype(dtype)
    for block, weights in zip(program.blocks, net._body.weights, strict=True):
        if block.from_given and block.shape[0] == 0:
            continue
        right, left = rng.normal(size=(2, program.n_nodes, 3)).astype(dtype)
        pushed, pulled = np.zeros((2, 3, program.n_nodes), dtype)
        for k in range(3):
            block.push(weights, np.ascontiguousarray(right[:, k]), pushed[k])
            block.pull(weights, np.ascontiguousarray(left[:, k]), pulled[k])
        assert contracts.error(block.multiply(weights, right[block.source]).T, pushed[:, block.target]) < tolerance
        found = block.multiply_transposed(weights, left[block.target])
        assert contracts.error(found.T, pulled[:, block.source]) < tolerance
        some = slice(block.n_target // 3, block.n_target)
        one = np.eye(program.n_nodes, dtype=dtype)[block.target]
        whole = np.zeros((block.n_target, program.n_nodes), dtype)
        for row, chosen in zip(whole, one, strict=True):
            block.pull(weights, chosen, row)
        np.testing.assert_allclose(block.rows(weights, some), whole[some, block.source], rtol=1e-6)
        if hasattr(block, "gram_rows"):
            b, s, t = rng.normal(size=(3, 2, program.n_nodes)).astype(dtype)
            p, q, p_one, q_one = np.zeros((4, 2, program.n_nodes), dtype)
            block.gram_rows(a[None], b)(s, t, p, q)
            for k in range(2):
                block.gram(a, b[k])(s[k], t[k], p_one[k], q_one[k])
            assert contracts.error(p, p_one) < tolerance
            assert contracts.error(q, q_one) < tolerance
