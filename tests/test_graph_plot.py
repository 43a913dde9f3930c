"""The picture of an assembly: every neuron while there are few, a strip of bounded cost where there are many."""

import time

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import Normalize
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle

from assembly.errors import ArgumentError, NonFiniteError, ShapeError
from assembly.plots import style
from assembly.plots.graph import LARGEST_LAYER_OF_DOTS, describe_assembly, draw_assembly


def parts(figure, kind):
    axes = figure.axes[0]
    return [artist for artist in (*axes.collections, *axes.patches) if type(artist) is kind]


def test_small_layers_show_every_neuron_and_every_edge():
    figure = draw_assembly([3, 5, 2, 1])
    assert [len(dots.get_offsets()) for dots in parts(figure, PathCollection)] == [3, 5, 2, 1]
    assert [len(edges.get_segments()) for edges in parts(figure, LineCollection)] == [15, 10, 2]
    for layer, dots in enumerate(parts(figure, PathCollection)):
        offsets = np.asarray(dots.get_offsets())
        assert (offsets[:, 0] == layer).all()
        assert offsets[:, 1].mean() == pytest.approx(0.5)
    ends = {tuple(point) for edges in parts(figure, LineCollection) for part in edges.get_segments() for point in part}
    dots = {tuple(point) for layer in parts(figure, PathCollection) for point in np.asarray(layer.get_offsets())}
    assert ends == dots


def test_wide_layers_are_strips_joined_by_fans():
    figure = draw_assembly([LARGEST_LAYER_OF_DOTS + 1, 4096, 1, 512, 1])
    assert len(parts(figure, FancyBboxPatch)) == 3
    assert [len(dots.get_offsets()) for dots in parts(figure, PathCollection)] == [1, 1]
    assert len(parts(figure, Polygon)) == 4
    assert len(draw_assembly([LARGEST_LAYER_OF_DOTS, 1]).axes[0].collections) == 3


def test_the_cost_does_not_grow_with_the_width():
    style.to_svg(draw_assembly([64, 64, 1]), title="t", description="d")
    start = time.perf_counter()
    wide = style.to_svg(draw_assembly([10**6, 10**6, 1]), title="t", description="d")
    assert time.perf_counter() - start < 2.0
    narrow = style.to_svg(draw_assembly([30, 30, 1]), title="t", description="d")
    assert len(wide) < 1.5 * len(narrow)


def test_dots_take_the_colour_of_their_value():
    values = [0.1, 0.4, 0.2]
    figure = draw_assembly([2, 3, 1], [None, values, None], values_name="share")
    expected = colormaps["cividis"](Normalize(0.0, 0.4)(values))
    np.testing.assert_allclose(parts(figure, PathCollection)[1].get_facecolors(), expected)
    assert figure.axes[1].get_ylabel() == "share"


def test_one_dominating_neuron_stays_visible_in_a_strip():
    """A mean over the piece would wash it out: 1 of 4096 / 48 = 85 neurons."""
    values = np.full(4096, 0.01)
    values[2000] = 1.0
    figure = draw_assembly([64, 4096, 1], [None, values, None])
    tones = np.array([patch.get_facecolor() for patch in parts(figure, Rectangle)])[:48]
    brightest = np.array(colormaps["cividis"](1.0))
    is_bright = np.isclose(tones, brightest).all(axis=1)
    assert is_bright.sum() == 1
    assert np.flatnonzero(is_bright)[0] == pytest.approx(2000 * 48 / 4096, abs=1)


def test_names_and_counts():
    figure = draw_assembly([64, 512, 1], counts=["64", "m", "1"], title="network")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["64", "inputs", "m", "layer 1", "1", "output"]
    assert figure.texts[0].get_text() == "network"
    words = describe_assembly([64, 512, 1], counts=["64", "m", "1"], title="network")
    assert words == "network, a layered assembly from left to right: inputs 64, layer 1 m, output 1."


def test_the_same_bytes_every_time():
    def draw():
        figure = draw_assembly([8, 12, 40, 1], [None, np.arange(12), np.arange(40), None], values_name="share")
        return style.to_svg(figure, title="t", description="d")

    assert draw() == draw()


def test_values_that_are_all_zero_or_negative_have_a_scale():
    for values in (np.zeros(3), np.array([-1.0, -2.0, -0.5])):
        draw_assembly([2, 3, 1], [None, values, None])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ArgumentError, match=r"'layers\[1\]' argument must be an int of at least 1"):
        draw_assembly([3, 0, 1])
    with pytest.raises(ArgumentError, match="non-empty"):
        draw_assembly([])
    with pytest.raises(ShapeError, match=r"'values\[1\]' argument must have shape \(3,\). Got shape \(2,\)"):
        draw_assembly([2, 3, 1], [None, [1.0, 2.0], None])
    with pytest.raises(ShapeError, match=r"'values' argument must have one entry per layer \(2\). Got 1"):
        draw_assembly([2, 3], [None])
    with pytest.raises(ShapeError, match="'names' argument"):
        draw_assembly([2, 3], names=["a"])
    with pytest.raises(NonFiniteError, match=r"'values\[0\]' argument must be finite. Got nan"):
        draw_assembly([2, 1], [[1.0, float("nan")], None])


@pytest.mark.parametrize("size", [25, 40, 47, 48, 49])
def test_a_strip_of_few_pieces_is_full(size):
    figure = draw_assembly([2, size, 1], [None, np.arange(size), None])
    tops = sorted(patch.get_y() + patch.get_height() for patch in parts(figure, Rectangle))
    bottoms = sorted(patch.get_y() for patch in parts(figure, Rectangle))
    pieces = min(size, 48)
    assert len(tops) == pieces + 1  # and the outline
    assert tops[-1] - bottoms[0] == pytest.approx(pieces * min(p.get_height() for p in parts(figure, Rectangle)))
