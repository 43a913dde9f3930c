"""A neuron opened, against formulas written out."""

from __future__ import annotations

import json

import numpy as np
import pytest

import assembly as am
from assembly.errors import ArgumentError
from assembly.explorer import card as cards
from assembly.explorer.card import neuron_card
from cases import CASES
from test_scene import X, forward


def test_a_neuron_in_the_middle():
    widths = [30, 20, 7]
    net = am.mlp(2, widths, "tanh", seed=3)
    values, adjoints, b, terms, matrices = forward(net, widths, X)
    card = neuron_card(net, X, 2, 11)
    assert card.formula == "a = tanh z, z = 1/sqrt(30) x the sum of w a over 30 neurons of layer 1"
    np.testing.assert_allclose(
        [card.value, card.pre_activation], [values[2][11], np.arctanh(values[2][11])], rtol=1e-12
    )
    order = np.argsort(-np.abs(terms[1][11]))[:12]
    assert [(parent.layer, parent.position) for parent in card.parents] == [(1, u) for u in order]
    np.testing.assert_allclose([parent.term for parent in card.parents], terms[1][11, order], rtol=1e-12)
    np.testing.assert_allclose(
        [parent.weight * parent.factor for parent in card.parents], matrices[1][11, order], rtol=1e-12
    )
    assert card.parents[0].factor == pytest.approx(30**-0.5, rel=1e-12)
    assert (card.n_parents, card.n_children) == (30, 7)
    order = np.argsort(-np.abs(matrices[2][:, 11] * b[2]))
    assert [(child.layer, child.position) for child in card.children] == [(3, v) for v in order]
    np.testing.assert_allclose(sum(child.term for child in card.children), adjoints[1][11], rtol=1e-12)
    gradient = b[1] ** 2
    assert card.share == pytest.approx(gradient[11] / gradient.sum(), rel=1e-12)
    assert card.rank == 1 + np.sum(gradient > gradient[11])


def gradients(net, layer, x):
    """Gradients of all neurons of a layer in all parameters of the network, by their own sub-models."""
    rows = np.zeros((net.layers[layer].size, net.n_parameters))
    for row, neuron in zip(rows, net.layers[layer].neurons, strict=True):
        row[neuron.parameter_index] = neuron.gradient(x)
    return rows


@pytest.mark.parametrize("most", [1024, 8])
def test_norms_and_cosines(monkeypatch, most):
    monkeypatch.setattr(cards, "LARGEST_COMPARED", most)
    net = am.mlp(2, [30, 20, 7], "tanh", seed=3)
    card, neuron = neuron_card(net, X, 2, 11), net.layers[2].neurons[11]
    rows = gradients(net, 2, X)
    cosines = rows @ rows[11] / np.linalg.norm(rows, axis=1) / np.linalg.norm(rows[11])
    cosines[11] = 0.0
    order = np.argsort(-np.abs(cosines))[:5]
    assert [other for other, _ in card.nearest] == order.tolist()
    np.testing.assert_allclose([cosine for _, cosine in card.nearest], cosines[order], rtol=1e-10)
    slope = 1.0 - card.value**2
    np.testing.assert_allclose(card.gradient_norm, np.linalg.norm(rows[11]) / slope, rtol=1e-10)
    H = neuron.pre.hessian(X) @ np.eye(neuron.n_parameters)
    np.testing.assert_allclose(card.hessian_norm, np.abs(np.linalg.eigvalsh(H)).max(), rtol=1e-6)
    assert card.hessian_status.startswith("converged")


def test_of_a_wide_layer_the_largest_inner_products_are_compared(monkeypatch):
    monkeypatch.setattr(cards, "LARGEST_COMPARED", 8)
    monkeypatch.setattr(cards, "N_CANDIDATES", 6)
    net = am.mlp(2, [30, 20], "tanh", seed=3)
    card, rows = neuron_card(net, X, 2, 4), gradients(net, 2, X)
    inner = np.abs(rows @ rows[4])
    inner[4] = 0.0
    assert card.n_compared == 6
    assert {other for other, _ in card.nearest} <= set(np.argsort(-inner)[:6].tolist())


def test_the_response_curve_is_the_activation_function():
    card = neuron_card(am.mlp(2, [5], "gelu", seed=3, bias=True), X, 1, 2)
    z = np.array(card.response.pre)
    from scipy.special import ndtr

    assert len(z) == 41
    np.testing.assert_allclose(card.response.post, z * ndtr(z), rtol=1e-9, atol=1e-15)
    assert card.response.at == (card.pre_activation, card.value)
    assert "+ the bias" in card.formula


def test_a_linear_pre_activation_has_no_hessian():
    net = am.mlp(2, [5, 4], "tanh", seed=3)
    first, given = neuron_card(net, X, 1, 2), neuron_card(net, X, 0, 1)
    assert (first.hessian_norm, first.hessian_status) == (None, "none: linear in its weights")
    np.testing.assert_allclose(first.gradient_norm, np.linalg.norm(X) / np.sqrt(2.0), rtol=1e-12)
    assert (given.value, given.hessian_norm, given.gradient_norm, given.parents) == (-0.5, None, None, ())
    assert given.n_children == 5


def test_one_can_step_up_to_the_output_and_down_to_the_inputs():
    net = am.random_dag(3, 4, 6, 3, reach=2, seed=1)
    x, place, seen = [1.0, -0.5, 0.3], (0, 0), []
    while card_children := neuron_card(net, x, *place).children:
        place = (card_children[0].layer, card_children[0].position)
        seen.append(place)
    assert place == (len(net.layers) - 1, 0)
    assert sorted(seen) == seen
    while card_parents := neuron_card(net, x, *place).parents:
        place = (card_parents[0].layer, card_parents[0].position)
    assert place[0] == 0


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_architecture_has_cards(case):
    net, x = case.assembly(), case.x()
    for layer in net.layers:
        for position in {0, layer.size - 1}:
            card, neuron = neuron_card(net, x, layer.index, position, case.output), layer.neurons[position]
            tolerance = 1e-5 if net.dtype == np.float32 else 1e-12
            np.testing.assert_allclose(card.value, neuron.value(x), rtol=tolerance, atol=tolerance)
            if 0 < card.n_parents == len(card.parents):
                total = sum(parent.term for parent in card.parents) + (neuron.bias or 0.0)
                np.testing.assert_allclose(total, card.pre_activation, rtol=10 * tolerance, atol=10 * tolerance)
            json.dumps(card.as_dict(), allow_nan=False)


def test_bad_places_are_named():
    net = am.mlp(2, [3], "tanh", seed=0)
    with pytest.raises(ArgumentError, match=r"'layer' argument must be an int from 0 to 2\. Got 3"):
        neuron_card(net, X, 3, 0)
    with pytest.raises(ArgumentError, match=r"'position' argument must be an int from 0 to 2\. Got 3"):
        neuron_card(net, X, 1, 3)
