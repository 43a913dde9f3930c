"""The picture of brackets: both ends of every network, over the radius, and in words."""

from __future__ import annotations

import numpy as np
import pytest

from assembly.errors import ArgumentError, ShapeError
from assembly.plots.bracket import describe_brackets, draw_brackets
from assembly.plots.style import to_svg

RADII = [0.1, 1.0, 3.0]
ENDS = {"one": ([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]), "two": ([0.08, 0.1, 0.2], [0.1, 0.32, 4.0])}


def test_both_ends_of_every_network_are_drawn() -> None:
    figure = draw_brackets(RADII, ENDS, name="||H||")
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    assert sorted(drawn) == ["one: attained", "one: proven", "two: attained", "two: proven"]
    np.testing.assert_array_equal(drawn["two: proven"].get_ydata(), ENDS["two"][1])
    np.testing.assert_array_equal(drawn["two: attained"].get_ydata(), ENDS["two"][0])
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == ("log", "log")
    assert len({line.get_linestyle() for line in drawn.values()} | {line.get_color() for line in drawn.values()}) >= 3


def test_words_hold_the_numbers() -> None:
    text = describe_brackets(RADII, ENDS, name="||H||")
    assert "two: between 0.08 and 0.1 at R = 0.1, between 0.2 and 4 at R = 3" in text
    assert text in to_svg(draw_brackets(RADII, ENDS, name="||H||"), title="t", description=text)


@pytest.mark.parametrize(
    ("ends", "error", "message"),
    [
        ({}, ArgumentError, "at least one network"),
        ({"a": ([0.1, 0.2], [0.2, 0.3])}, ShapeError, "two ends for each of 3 radii"),
        ({"a": ([0.1, 0.2, 0.5], [0.2, 0.3, 0.4])}, ArgumentError, "the lower first"),
        ({"a": ([0.0, 0.2, 0.3], [0.2, 0.3, 0.4])}, ArgumentError, "positive ends"),
        ({"a": ([0.1, 0.2, 0.3], [0.2, 0.3, np.inf])}, ArgumentError, "positive ends"),
    ],
)
def test_what_cannot_be_drawn_is_refused(ends, error, message) -> None:
    with pytest.raises(error, match=message):
        draw_brackets(RADII, ends, name="||H||")
