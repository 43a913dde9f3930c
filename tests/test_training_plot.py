"""Quantities over the time of training: every line where it must be, and in words."""

import numpy as np
import pytest

from assembly.errors import ArgumentError, ShapeError
from assembly.plots.style import to_svg
from assembly.plots.training import N_TICKS, Path, describe_paths, draw_paths

PATHS = [Path("network", [0.0, 1.0, 2.0], [4.0, 2.0, 1.0]), Path("linear", [0.0, 1.0, 2.0], [0.0, np.nan, 0.5])]


def test_every_line_is_drawn_without_what_a_logarithm_cannot_show():
    (axes,) = draw_paths(PATHS, name="loss").axes
    drawn = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(drawn["network"].get_xydata(), [[0.0, 4.0], [1.0, 2.0], [2.0, 1.0]])
    np.testing.assert_array_equal(drawn["linear"].get_xydata(), [[2.0, 0.5]])
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_title(loc="left")) == ("linear", "log", "loss")


@pytest.mark.parametrize(("low", "high"), [(5.2, 13.0), (1e-12, 1e3), (0.99, 1.0), (1.0, 1.0)])
def test_ticks_are_few_whatever_the_range(low, high):
    (axes,) = draw_paths([Path("one", [0.0, 1.0], [low, high])], name="loss").axes
    assert 1 <= len(axes.yaxis.get_major_locator()()) <= N_TICKS


def test_words_hold_the_numbers():
    text = describe_paths(PATHS, name="The loss")
    assert text == "The loss over time. network: 4 at t = 0, 1 at t = 2. linear: 0.5 at t = 2."
    assert text in to_svg(draw_paths(PATHS, name="loss"), title="t", description=text)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ShapeError, match="'a' must have one value for each time"):
        draw_paths([Path("a", [0.0, 1.0], [1.0])], name="loss")
    for paths in ([], [Path("a", [0.0], [0.0])]):
        with pytest.raises(ArgumentError, match="must hold a positive value"):
            draw_paths(paths, name="loss")
