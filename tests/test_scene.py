"""The picture of an assembly against plain numpy: what it colours, what it leaves out, and what it never exceeds."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

import assembly as am
from assembly.errors import ArgumentError, NonFiniteError, UnknownNameError
from assembly.explorer.colours import NOTHING, hex_colours
from assembly.explorer.scene import COLOURS, LARGEST_STRIP, MOST_EDGES, number_text, scene
from cases import CASES

X = np.array([1.0, -0.5])


def forward(net, widths, x):
    """Values, adjoints and terms of a tanh network with Gaussian weights over sqrt(fan-in), layer by layer."""
    sizes = [len(x), *widths, 1]
    starts = np.cumsum([0, *(a * b for a, b in pairwise(sizes))])
    matrices = [
        net.parameters[starts[i] : starts[i + 1]].reshape(sizes[i + 1], sizes[i]) / np.sqrt(sizes[i])
        for i in range(len(sizes) - 1)
    ]
    values = [x]
    for i, matrix in enumerate(matrices):
        z = matrix @ values[-1]
        values.append(np.tanh(z) if i < len(matrices) - 1 else z)
    adjoints = [np.ones(1)]
    b = [np.ones(1)]
    for i in range(len(matrices) - 1, 0, -1):
        adjoints.insert(0, matrices[i].T @ b[0])
        b.insert(0, (1.0 - values[i] ** 2) * adjoints[0])
    return values, adjoints, b, [matrix * value for matrix, value in zip(matrices, values[:-1], strict=True)], matrices


def texts(layer):
    return [item.largest for item in layer.items]


def test_values_adjoints_and_shares_are_those_of_plain_numpy():
    widths = [5, 4, 6]
    net = am.mlp(2, widths, "tanh", seed=3)
    values, adjoints, b, _, _ = forward(net, widths, X)
    by_value, by_adjoint, by_share = (scene(net, X, colour) for colour in ("value", "adjoint", "share"))
    for level, layer in enumerate(by_value.layers):
        assert texts(layer) == [f"{a:.3g}" for a in values[level]]
    for level in range(1, 5):
        assert texts(by_adjoint.layers[level]) == [f"{a:.3g}" for a in adjoints[level - 1]]
    for level in range(1, 4):
        gradient = b[level - 1] ** 2 * np.sum(values[level - 1] ** 2)
        assert texts(by_share.layers[level]) == [f"{s:.3g}" for s in gradient / gradient.sum()]
    assert set(texts(by_adjoint.layers[0]) + texts(by_share.layers[0]) + texts(by_share.layers[4])) == {"none"}


def test_the_tangent_is_the_change_along_the_gradient():
    net = am.mlp(2, [5, 4], "tanh", seed=3)
    unit = net.gradient(X) / np.linalg.norm(net.gradient(X))
    step = 1e-6
    ahead, behind = (net.with_parameters(net.parameters + sign * step * unit) for sign in (1.0, -1.0))
    found = scene(net, X, "tangent")
    for level in (1, 2, 3):
        wanted = [
            (one.value(X) - other.value(X)) / (2 * step)
            for one, other in zip(ahead.layers[level].neurons, behind.layers[level].neurons, strict=True)
        ]
        np.testing.assert_allclose([float(text) for text in texts(found.layers[level])], wanted, rtol=6e-3, atol=1e-8)
    np.testing.assert_allclose(float(texts(found.layers[3])[0]), np.linalg.norm(net.gradient(X)), rtol=6e-3)


def test_curvature_is_the_weight_in_the_top_eigenvector():
    widths = [5, 4]
    net = am.mlp(2, widths, "tanh", seed=3)
    H = net.hessian(X) @ np.eye(net.n_parameters)
    values, vectors = np.linalg.eigh(H)
    top = vectors[:, np.argmax(np.abs(values))] ** 2
    wanted = [top[:10].reshape(5, 2).sum(1), top[10:30].reshape(4, 5).sum(1), [top[30:].sum()]]
    found = scene(net, X, "curvature")
    for layer, weights in zip(found.layers[1:], wanted, strict=True):
        np.testing.assert_allclose([float(text) for text in texts(layer)], weights, rtol=6e-3)
    assert f"{values[np.argmax(np.abs(values))]:.3g}" in found.legend.note


def test_colours_follow_the_values():
    net = am.mlp(2, [30], "tanh", seed=1)
    layer = scene(net, X, "share").layers[1]
    order = np.argsort([float(item.largest) for item in layer.items])

    def brightness(colour):
        return sum(w * int(colour[i : i + 2], 16) for w, i in ((0.2126, 1), (0.7152, 3), (0.0722, 5)))

    light = [brightness(layer.items[i].light) for i in order]
    dark = [brightness(layer.items[i].dark) for i in order]
    assert all(a >= b - 1.0 for a, b in pairwise(light))
    assert all(a <= b + 1.0 for a, b in pairwise(dark))
    assert light[0] - light[-1] > 100.0 < dark[-1] - dark[0]


def test_signed_colours_are_opposite_and_those_beyond_take_the_last():
    colours = hex_colours(np.array([-9.0, -1.0, 0.0, 1.0, 9.0, np.nan]), 1.0, signed=True, theme="light")
    assert colours == ["#08306b", "#08306b", "#f3f3f1", "#7f2704", "#7f2704", NOTHING["light"]]
    assert hex_colours(np.array([0.0, 0.5]), 0.0, signed=False, theme="dark") == ["#00224e", "#00224e"]
    assert hex_colours(np.array([0.125]), 1.0, signed=False, theme="light") == ["#edf8b1"]


def test_the_colours_run_to_the_largest_of_the_hidden_neurons():
    net = am.mlp(2, [5, 4], "tanh", seed=3)
    hidden = np.concatenate(forward(net, [5, 4], X)[1][:2])
    assert scene(net, X, "adjoint").legend.stops[-1][0] == f"{np.abs(hidden).max():.3g}"
    neurons = {"loud": ("quadratic", ["x"]), "h": ("tanh", ["x"]), "y": ("identity", ["h", "loud"])}
    early = am.from_neurons(["x"], neurons, ["y", "loud"], seed=1)
    value = next(n.value([9.0]) for n in early.layers[1].neurons if n.activation == "tanh")
    loud = next(n.value([9.0]) for n in early.layers[1].neurons if n.activation == "quadratic")
    assert abs(loud) > abs(value)
    assert scene(early, [9.0], "value").legend.stops[-1][0] == f"{abs(value):.3g}"


@pytest.mark.parametrize("width", [64, 65, 256, 257, 1000, 4096])
def test_strips_hold_every_neuron_once_and_show_the_largest(width):
    net = am.mlp(2, [width], "tanh", seed=2)
    layer = scene(net, X, "value").layers[1]
    values = np.tanh(net.parameters[: 2 * width].reshape(width, 2) @ X / np.sqrt(2.0))
    assert (layer.form, len(layer.items)) == ("neurons" if width <= 64 else "strip", min(width, LARGEST_STRIP))
    covered = [i for item in layer.items for i in range(item.first, item.last + 1)]
    assert covered == list(range(width))
    for item in layer.items:
        cell = values[item.first : item.last + 1]
        assert item.who == item.first + np.argmax(np.abs(cell))
        assert (item.largest, item.mean) == (number_text(values[item.who]), number_text(cell.mean()))


def test_the_edges_are_the_strongest():
    widths = [40, 20]
    net = am.mlp(2, widths, "tanh", seed=4)
    terms = forward(net, widths, X)[3]
    every = {
        (level, u, v): abs(matrix[v, u])
        for level, matrix in enumerate(terms)
        for v in range(matrix.shape[0])
        for u in range(matrix.shape[1])
    }
    strongest = sorted(every, key=every.get)[-MOST_EDGES:]
    found = scene(net, X)
    assert [(edge.source[0], edge.source[1], edge.target[1]) for edge in found.edges] == strongest
    assert all(edge.target[0] == edge.source[0] + 1 for edge in found.edges)
    last = found.edges[-1]
    level, u, v = strongest[-1]
    assert last.description.endswith(f"term {terms[level][v, u]:.3g}")
    assert last.width == "3.00"
    assert found.edges_note.startswith("The 400 strongest of 900 edges")


def test_nothing_grows_beyond_the_caps():
    net = am.mlp(64, [4096, 4096], "tanh", seed=0, dtype=np.float32)
    found = scene(net, np.linspace(-1.0, 1.0, 64), "adjoint")
    assert [len(layer.items) for layer in found.layers] == [64, 256, 256, 1]
    assert len(found.edges) == 0
    assert [(band.source, band.target) for band in found.bands] == [(0, 1), (1, 2), (2, 3)]
    assert found.bands[1].description == "layer 1 to layer 2: 16,777,216 dense edges"
    assert len(json.dumps(found.as_dict())) < 300_000


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("colour", ["share", "value", "tangent"])
def test_every_architecture_has_a_picture(case, colour):
    net, x = case.assembly(), case.x()
    found = scene(net, x, colour, case.output)
    assert [sum(i.last - i.first + 1 for i in layer.items) for layer in found.layers] == [n.size for n in net.layers]
    if colour == "value":
        for layer, drawn in zip(net.layers, found.layers, strict=True):
            assert texts(drawn) == [number_text(float(neuron.value(x))) for neuron in layer.neurons]
    total = sum(abs(float(edge.description.rsplit(" ", 1)[1])) for edge in found.edges)
    assert (total > 0.0) or not found.edges or not np.any(x)
    json.dumps(found.as_dict(), allow_nan=False)


def test_the_table_says_what_the_picture_shows():
    found = scene(am.mlp(2, [3], "tanh", seed=0), X, "value")
    assert found.table.rows[3] == ("layer 1", "neuron 1", found.layers[1].items[1].largest, "1", found.table.rows[3][4])
    assert len(found.table.rows) == 6
    assert "layer 1 (3 tanh)" in found.description


def test_a_network_of_zeros_has_no_quantity_but_a_picture():
    net = am.mlp(2, [3, 3], "tanh", seed=0)
    net = net.with_parameters(np.zeros(net.n_parameters))
    assert {
        text
        for colour in ("share", "tangent", "curvature")
        for level in scene(net, X, colour).layers
        for text in texts(level)
    } == {"none"}


def test_bad_input_is_named():
    net = am.mlp(2, [3], "tanh", seed=0)
    with pytest.raises(UnknownNameError, match="Did you mean 'adjoint'"):
        scene(net, X, "adjiont")
    with pytest.raises(NonFiniteError, match="'x'"):
        scene(net, [1.0, np.nan])
    with pytest.raises(ArgumentError, match="'output'"):
        scene(net, X, "value", 1)
    assert len(COLOURS) == 5
