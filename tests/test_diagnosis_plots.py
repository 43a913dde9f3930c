"""Pictures of one network: sorted shares, histograms of cosines, neurons coloured by share and sized by curvature."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.patches import Rectangle, StepPatch

import assembly as am
from assembly.errors import ArgumentError, NonFiniteError, ShapeError
from assembly.plots import style
from assembly.plots.cosines import describe_cosines, draw_cosines
from assembly.plots.diagnosis import diagnosis_pictures, save_diagnosis
from assembly.plots.graph import draw_assembly
from assembly.plots.shares import describe_shares, draw_shares

NAMESPACE = "{http://www.w3.org/2000/svg}"


def test_shares_are_sorted_beside_what_equal_ones_would_be():
    shares = [[0.1, 0.6, 0.0, 0.3], np.full(50, 0.02)]
    figure = draw_shares(["m = 4", "m = 50"], shares, name="gradient share")
    axes = figure.axes[0]
    first, equal, second, _ = axes.lines
    np.testing.assert_array_equal(first.get_xdata(), [1, 2, 3])  # the zero has no place
    np.testing.assert_array_equal(first.get_ydata(), [0.6, 0.3, 0.1])
    np.testing.assert_array_equal(equal.get_ydata(), [0.25, 0.25])
    np.testing.assert_array_equal(second.get_ydata(), [0.02] * 50)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (first.get_color(), second.get_color()) == (style.colour(0), style.colour(1))
    assert first.get_linestyle() != second.get_linestyle()  # told apart without colour
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["m = 4", "m = 50"]
    words = describe_shares(["m = 4", "m = 50"], shares)
    assert "m = 4: the largest of 4 is 0.6 where equal ones would be 0.25; they count as 2.17." in words
    assert "m = 50: the largest of 50 is 0.02 where equal ones would be 0.02; they count as 50." in words


def test_a_long_line_is_drawn_at_fewer_ranks_from_its_first_to_its_last():
    values = np.random.default_rng(0).exponential(size=30_000)
    values[:100] = 0.0
    (line, _) = draw_shares(["wide"], [values / values.sum()]).axes[0].lines
    ranks, drawn = line.get_xdata(), line.get_ydata()
    assert (ranks[0], ranks[-1]) == (1, 29_900)
    assert 1000 < len(ranks) <= 2000
    np.testing.assert_allclose(drawn, np.sort(values)[::-1][ranks - 1] / values.sum(), rtol=1e-12)
    np.testing.assert_allclose(ranks[line.get_markevery()], [1, 13, 172, 2273, 29_900], rtol=0.01, atol=0.5)


def test_shares_that_are_none_are_refused():
    for shares, error, match in (
        ([[0.5, 0.5], [1.0]], ShapeError, "'labels'"),
        ([[[0.5, 0.5]]], ShapeError, r"'shares\[0\]' argument must be a vector"),
        ([[0.5, np.nan]], NonFiniteError, "Got nan"),
        ([[0.0, 0.0]], ArgumentError, "one positive"),
        ([[1.5, -0.5]], ArgumentError, "none negative"),
    ):
        with pytest.raises(error, match=match):
            draw_shares(["one"], shares)
    with pytest.raises(ArgumentError, match="at least one line"):
        draw_shares([], [])


def test_one_histogram_under_the_other():
    numbers = ([5, 10, 5], [0, 8, 0]), ([-0.3, -0.1, 0.1, 0.3], [-1.0, -0.1, 0.1, 1.0]), (0.12, 0.0)
    figure = draw_cosines(["layer 2", "layer 1"], *numbers)
    above, below = figure.axes
    outline = [patch for patch in above.patches if isinstance(patch, StepPatch)][1].get_data()
    np.testing.assert_allclose(outline.values, [0.5, 1.0, 0.5])
    np.testing.assert_array_equal(outline.edges, [-0.3, -0.1, 0.1, 0.3])
    np.testing.assert_array_equal(above.lines[0].get_xdata(), [-0.12, 0.12])
    assert not below.lines  # exactly 0: one bar, no marks
    assert np.ptp(below.patches[0].get_data().edges) < 0.01
    assert [text.get_text() for text in below.texts] == ["layer 1", "exactly 0"]
    words = describe_cosines(["layer 2", "layer 1"], *numbers)
    assert "layer 2: from -0.3 to 0.3, root mean square 0.12. layer 1: all exactly 0." in words


def test_bad_histograms_are_refused():
    with pytest.raises(ArgumentError, match="at least one histogram"):
        draw_cosines([], [], [], [])
    with pytest.raises(ShapeError, match="'rms' argument"):
        draw_cosines(["a"], [[1]], [[0, 1]], [])
    with pytest.raises(ShapeError, match=r"'edges\[0\]'"):
        draw_cosines(["a"], [[1]], [[0, 1, 2]], [0.1])
    with pytest.raises(ArgumentError, match="count something"):
        draw_cosines(["a"], [[0, 0]], [[0, 1, 2]], [0.1])


def test_areas_of_dots_follow_the_numbers():
    figure = draw_assembly(
        [2, 3, 1], [None, [0.1, 0.2, 0.7], None], [None, [0.5, 0.25, 0.0], None], areas_name="size: c"
    )
    dots = [one for one in figure.axes[0].collections if isinstance(one, PathCollection)][1]
    sizes = dots.get_sizes()
    np.testing.assert_allclose(sizes / sizes[0], [1.0, 0.5, 0.06])
    assert "size: c" in [text.get_text() for text in figure.axes[0].texts]


def test_pieces_of_a_strip_are_as_wide_as_their_largest():
    areas = np.full(4800, 0.01)
    areas[250] = 0.4
    figure = draw_assembly([4, 4800, 1], [None, np.full(4800, 1.0), None], [None, areas, None])
    pieces = [one for one in figure.axes[0].patches if type(one) is Rectangle and one.get_height() < 0.5]
    widths = np.array([one.get_width() for one in pieces])
    assert len(pieces) == 48
    assert np.argmax(widths) == 2
    np.testing.assert_allclose(np.delete(widths, 2) / widths[2], 0.06)
    middles = [one.get_x() + one.get_width() / 2 for one in pieces]
    np.testing.assert_allclose(middles, 1.0)


def test_areas_are_checked():
    with pytest.raises(ShapeError, match=r"'areas\[1\]' argument"):
        draw_assembly([1, 2], None, [None, [1.0]])
    with pytest.raises(NonFiniteError, match=r"'areas\[0\]' argument"):
        draw_assembly([1], None, [[np.inf]])
    with pytest.raises(ArgumentError, match=r"'areas\[0\]' argument must hold no negative number. Got -1"):
        draw_assembly([2], None, [[1.0, -1.0]])


@pytest.fixture(scope="module")
def diagnosis():
    return am.diagnose(am.bottleneck(4, [40, 3, 30], seed=1), np.ones(4))


def test_three_pictures_with_words(diagnosis):
    pictures = diagnosis_pictures(diagnosis)
    assert list(pictures) == ["shares", "cosines", "network"]
    words = {}
    for name, svg in pictures.items():
        root = ElementTree.fromstring(svg.split("?>", 1)[1])
        assert root.attrib["role"] == "img"
        words[name] = root.find(f"{NAMESPACE}desc").text
        assert root.find(f"{NAMESPACE}title").text
        assert svg == diagnosis_pictures(diagnosis)[name]  # the same bytes again
    middle = diagnosis.layers[1]
    for kind in ("gradient", "curvature"):
        share = middle.shares[kind]
        assert f"layer 2: largest {kind} share {share.largest:.2g}, neuron {share.who}" in words["network"]
    assert "layer 2, 3 neurons: the largest of 3 is" in words["shares"]
    assert "layer 1: all exactly 0." in words["cosines"]
    assert f"root mean square {diagnosis.layers[2].diversity.rms_cosine:.3g}" in words["cosines"]


def test_a_layer_of_one_neuron_has_no_cosines():
    pictures = diagnosis_pictures(am.diagnose(am.mlp(4, [6, 1], seed=1), np.ones(4)))
    assert "layer 2" not in re.search("<desc>(.*?)</desc>", pictures["cosines"])[1]
    assert list(diagnosis_pictures(am.diagnose(am.mlp(4, [1], seed=1), np.ones(4)))) == ["shares", "network"]


def test_everything_is_written_to_a_folder(diagnosis, tmp_path):
    written = save_diagnosis(diagnosis, tmp_path / "new" / "folder")
    assert [path.name for path in written] == ["diagnosis.json", "shares.svg", "cosines.svg", "network.svg"]
    assert written[1].read_text() == diagnosis_pictures(diagnosis)["shares"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="'folder' argument must be a folder to write to"):
        save_diagnosis(diagnosis, tmp_path / "file")
