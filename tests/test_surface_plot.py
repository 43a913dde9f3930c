"""The picture of a quantity over distance and width: what stands where, and what it says in words."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest

from assembly.errors import ArgumentError, ShapeError
from assembly.plots import style
from assembly.plots.surface import MOST_RADII, describe_surface, draw_surface

WIDTHS, RADII = [16, 64, 256], [0.1, 1.0]
LAW = np.array(RADII)[:, None] ** 2 * np.array(WIDTHS)[None, :] ** -0.5
PANELS = {"random direction": 0.01 * LAW, "worst found": LAW}


def drawn(**options):
    return draw_surface(WIDTHS, RADII, PANELS, name="$q$", **options)


def lines_of(axes):
    return [line for line in axes.get_lines() if len(line.get_xdata())]


def test_every_line_stands_where_the_numbers_say():
    figure = drawn(bound=2.0 * LAW)
    for axes, (title, values) in zip(figure.axes, PANELS.items(), strict=False):
        assert axes.get_title("left") == title
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        solid = [line for line in lines_of(axes) if line.get_marker() != "None"]
        dashed = [line for line in lines_of(axes) if line.get_marker() == "None"]
        for i in range(2):
            np.testing.assert_array_equal(solid[i].get_xdata(), WIDTHS)
            np.testing.assert_array_equal(solid[i].get_ydata(), values[i])
            np.testing.assert_array_equal(dashed[i].get_ydata(), 2.0 * LAW[i])
            assert solid[i].get_color() == dashed[i].get_color() == style.colour(i)
        low, high = axes.get_ylim()
        assert low < values.min()
        assert high > 2.0 * LAW.max()
    assert len({axes.get_ylim() for axes in figure.axes[:2]}) == 1  # panels can be compared


def test_distances_differ_in_colour_marker_and_line():
    (legend,) = drawn(bound=LAW, bound_name="proven").legends
    assert [text.get_text() for text in legend.get_texts()] == ["$R$ = 0.1", "$R$ = 1", "proven"]
    one, two, bound = legend.legend_handles
    for look in ("get_color", "get_marker", "get_linestyle"):
        assert getattr(one, look)() != getattr(two, look)()
    assert bound.get_color() == style.INK
    (legend,) = drawn().legends
    assert len(legend.get_texts()) == 2


def test_the_map_holds_the_numbers_of_the_last_panel():
    axes = drawn().axes[-1]
    shown = {tuple(text.get_position()): text for text in axes.texts}
    assert len(shown) == 6
    for (i, j), value in np.ndenumerate(LAW):
        assert shown[j + 0.5, i + 0.5].get_text() == style.number_text(float(f"{value:.2g}"))
    (cells,) = axes.collections
    np.testing.assert_array_equal(np.asarray(cells.get_array()).ravel(), LAW.ravel())
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$R$ = 0.1", "$R$ = 1"]


def contrast(one: str, two: tuple[float, ...]) -> float:
    """Of two colours, by the Web Content Accessibility Guidelines."""

    def luminance(channels):
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    first = luminance([int(one[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    low, high = sorted((first, luminance(two[:3])))
    return (high + 0.05) / (low + 0.05)


def test_numbers_in_the_map_can_be_read():
    values = np.geomspace(1e-4, 1.0, 24).reshape(4, 6)
    figure = draw_surface([2, 4, 8, 16, 32, 64], [1.0, 2.0, 3.0, 4.0], {"worst": values}, name="$q$")
    (cells,) = figure.axes[-1].collections
    for text, colour in zip(figure.axes[-1].texts, cells.to_rgba(values.ravel()), strict=True):
        assert contrast(text.get_color(), colour) > 4.0


def test_what_has_no_place_on_a_logarithmic_axis_is_left_out():
    values = LAW.copy()
    values[0, 1], values[1, 0], values[0, 0] = 0.0, math.nan, -1.0
    figure = draw_surface(WIDTHS, RADII, {"worst": values}, name="$q$")
    lines = lines_of(figure.axes[0])
    assert np.isnan(lines[0].get_ydata()).tolist() == [True, True, False]
    assert np.isnan(lines[1].get_ydata()).tolist() == [True, False, False]
    assert sorted(text.get_text() for text in figure.axes[-1].texts).count("none") == 3


def test_a_bound_that_is_unknown_everywhere_is_no_trouble():
    figure = drawn(bound=np.full((2, 3), np.nan))
    assert np.isfinite(figure.axes[0].get_ylim()).all()


def test_the_document_says_it_in_words_and_is_the_same_every_time():
    words = describe_surface(WIDTHS, RADII, PANELS, name="|f - f_lin|", bound=2.0 * LAW)
    assert words == (
        "|f - f_lin| against width, logarithmic axes, a line for each distance R from 0.1 to 1. "
        "random direction: at R = 1 from 0.0025 at width 16 to 6.3·10⁻⁴ at width 256; "
        "at width 256 from 6.3·10⁻⁶ at R = 0.1 to 6.3·10⁻⁴ at R = 1. "
        "worst found: at R = 1 from 0.25 at width 16 to 0.062 at width 256; "
        "at width 256 from 6.3·10⁻⁴ at R = 0.1 to 0.062 at R = 1. "
        "The bound at R = 1: 0.5 at width 16, 0.12 at width 256."
    )
    documents = {style.to_svg(drawn(bound=LAW), title="t", description=words) for _ in range(2)}
    assert len(documents) == 1
    tree = ElementTree.fromstring(documents.pop())
    assert tree.find("{http://www.w3.org/2000/svg}desc").text == words


@pytest.mark.parametrize("n_panels", [1, 2, 3, 4, 5])
def test_nothing_overlaps(n_panels):
    """Titles, ticks, legend and map keep apart, whatever the number of panels and distances."""
    for n_radii in (1, MOST_RADII):
        radii = [0.1 * 2**i for i in range(n_radii)]
        values = np.array(radii)[:, None] * np.array(WIDTHS)[None, :] ** -0.5
        panels = {f"direction {i}": values for i in range(n_panels)}
        figure = draw_surface(WIDTHS, radii, panels, name="$q$", bound=2.0 * values)
        with style.look():
            figure.canvas.draw()
            boxes = [axes.get_tightbbox() for axes in figure.axes]
            boxes += [legend.get_window_extent() for legend in figure.legends]
            boxes += [text.get_window_extent() for text in figure.texts]
        for i, one in enumerate(boxes):
            assert one.x0 >= 0
            assert one.y0 >= 0
            assert one.x1 <= figure.bbox.x1
            assert one.y1 <= figure.bbox.y1
            for other in boxes[:i]:
                inside = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
                assert min(inside) < 1.0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"radii": [0.1 * i for i in range(1, 8)]}, ArgumentError, "must have 1 to 6 distances. Got 7"),
        ({"radii": []}, ArgumentError, "must have 1 to 6 distances. Got 0"),
        ({"radii": [0.0, 1.0]}, ArgumentError, "must be a finite number above 0"),
        ({"widths": []}, ArgumentError, "'widths' argument must be a non-empty sequence"),
        ({"panels": {"worst": LAW.T}}, ShapeError, "'worst' must have shape .2, 3., radii times widths"),
        ({"panels": {}}, ArgumentError, "Nothing to draw"),
        ({"panels": {"worst": 0.0 * LAW}}, ArgumentError, "Nothing to draw"),
        ({"bound": LAW[0]}, ShapeError, "'bound' must have shape"),
    ],
)
def test_bad_arguments(change, error, message):
    with pytest.raises(error, match=message):
        draw_surface(**{"widths": WIDTHS, "radii": RADII, "panels": PANELS, "name": "$q$"} | change)
