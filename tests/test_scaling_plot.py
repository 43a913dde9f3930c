"""The picture of a quantity against width: what stands where, the same bytes each time, and nothing from outside."""

import hashlib
import math
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection

from assembly.diagnostics.verdict import Bound, Claim
from assembly.errors import ArgumentError, ShapeError
from assembly.plots import style
from assembly.plots.scaling import Fit, Series, describe_scaling, draw_scaling

WIDTHS = [32, 64, 128, 256]


def a_series(label="network", exponent=-0.5, claim=True, look=None):
    line = [m**exponent for m in WIDTHS]
    rng = np.random.default_rng(0)
    replicates = (np.array(line)[:, None] * np.exp(0.1 * rng.standard_normal((4, 5)))).tolist()
    fit = Fit(
        exponent=exponent,
        lower=exponent - 0.02,
        upper=exponent + 0.02,
        line=line,
        line_lower=[0.9 * value for value in line],
        line_upper=[1.1 * value for value in line],
        local_slopes=[exponent] * 3,
        local_lower=[exponent - 0.1] * 3,
        local_upper=[exponent + 0.1] * 3,
    )
    declared = Claim("q", exponent, exponent + 0.5) if claim else None
    return Series(label, WIDTHS, replicates, fit, declared, look)


def lines_of(axes):
    return [(line.get_xdata(), line.get_ydata(), line) for line in axes.get_lines() if len(line.get_xdata())]


def areas_of(axes):
    return [*axes.patches, *(one for one in axes.collections if isinstance(one, PolyCollection))]


def slope_of(x, y):
    return np.polyfit(np.log(np.asarray(x, float)), np.log(np.asarray(y, float)), 1)[0]


def test_dots_medians_line_and_reference_stand_where_the_numbers_say():
    series = a_series()
    above, below = draw_scaling([series], name="$q$").axes
    drawn = lines_of(above)
    assert (above.get_xscale(), above.get_yscale()) == ("log", "log")
    fitted = next(y for _, y, line in drawn if line.get_color() == style.colour(0) and line.get_linestyle() == "-")
    assert list(fitted) == series.fit.line
    dashed = next((x, y) for x, y, line in drawn if line.get_color() == style.INK)
    assert slope_of(*dashed) == pytest.approx(-0.5)
    assert np.log(dashed[1]).mean() == pytest.approx(np.log(series.fit.line).mean())
    dots = next((x, y) for x, y, line in drawn if line.get_markersize() < 3)
    assert sorted(dots[1]) == sorted(value for row in series.replicates for value in row)
    assert all(abs(math.log(x / m)) < 0.07 for x, m in zip(dots[0], np.repeat(WIDTHS, 5), strict=True))
    medians = next((x, y) for x, y, line in drawn if line.get_markersize() == 5.5)
    assert list(medians[0]) == WIDTHS
    assert list(medians[1]) == pytest.approx([np.median(row) for row in series.replicates])
    local = next(y for _, y, line in lines_of(below) if line.get_markersize() == 4.2)
    assert list(local) == series.fit.local_slopes
    fitted, reference = (
        next((x, y) for x, y, line in lines_of(below) if line.get_color() == tone and line.get_marker() == "None")
        for tone in (style.colour(0), style.INK)
    )
    assert (list(fitted[0]), list(fitted[1])) == ([32, 256], [series.fit.exponent] * 2)
    assert list(reference[1]) == [series.claim.prediction] * 2
    band, interval = sorted(
        (patch.get_window_extent().transformed(below.transData.inverted()).intervaly for patch in areas_of(below)),
        key=lambda ends: ends[0] - ends[1],
    )
    assert list(band) == pytest.approx([-0.6, -0.4])
    assert list(interval) == pytest.approx([series.fit.lower, series.fit.upper])


def test_two_architectures_differ_in_colour_marker_and_line():
    figure = draw_scaling([a_series(), a_series("bottleneck", 0.0)], name="$q$")
    entries = figure.axes[0].get_legend().legend_handles
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == ["network: −0.50 [−0.52, −0.48]", "bottleneck: 0.00 [−0.02, 0.02]", "predicted slope −1/2, 0"]
    for look in ("get_color", "get_marker", "get_linestyle"):
        assert getattr(entries[0], look)() != getattr(entries[1], look)()


def test_an_architecture_keeps_its_look_from_picture_to_picture():
    figure = draw_scaling([a_series("bottleneck", look=1)], name="$q$")
    assert figure.axes[0].get_legend().legend_handles[0].get_color() == style.colour(1)


def test_the_series_colours_are_told_apart_in_grey_by_marker_and_line():
    assert len(set(style.COLOURS)) == len(set(style.MARKERS)) == len(set(map(str, style.LINES))) == len(style.COLOURS)


def test_values_without_a_logarithm_are_left_out_and_a_series_without_fit_is_drawn():
    series = Series("network", [8, 16, 32], [[1.0, math.nan], [0.0, -1.0], [0.5, 0.25]])
    figure = draw_scaling([series], name="$q$")
    assert len(figure.axes) == 1
    dots = next(y for _, y, line in lines_of(figure.axes[0]) if line.get_markersize() < 3)
    assert sorted(dots) == [0.25, 0.5, 1.0]
    assert "no exponent fitted" in describe_scaling([series], name="q")
    empty = describe_scaling([Series("a", [8], [[0.0]])], name="q")
    assert empty == "q against the width, logarithmic axes. a: no positive value to show."


def test_scatter_about_a_flat_line_looks_flat():
    """The axis spans at least the fall of a slope -1/2, so 10 % of scatter takes a small part of the height."""
    above = draw_scaling([a_series(exponent=0.0)], name="$q$").axes[0]
    low, high = above.get_ylim()
    assert math.log(high / low) > 0.5 * math.log(WIDTHS[-1] / WIDTHS[0])


def test_the_description_holds_the_numbers():
    text = describe_scaling([a_series()], name="||H||")
    assert "from 32" not in text
    assert "at width 32" in text
    assert "fitted exponent -0.50 [-0.52, -0.48], predicted -1/2. From width to width -0.50, -0.50, -0.50." in text


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ArgumentError, match="at least one series"):
        draw_scaling([], name="q")
    with pytest.raises(ArgumentError, match="no series has a positive finite value"):
        draw_scaling([Series("a", [8, 16], [[0.0], [math.nan]])], name="q")
    with pytest.raises(ShapeError, match=r"one entry per width \(2\). Got 1"):
        draw_scaling([Series("a", [8, 16], [[1.0]])], name="q")


def svg():
    return style.to_svg(draw_scaling([a_series()], name="$q$"), title="q & width", description="<falls>")


def test_the_same_bytes_every_time_in_any_process_thread_and_setting():
    first = svg()
    assert svg() == first
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": None, "xtick.major.size": 12, "legend.shadow": True}):
        assert svg() == first
    found = []
    threads = [threading.Thread(target=lambda: found.append(svg())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [first] * 3
    code = (
        "import sys, hashlib; sys.path.insert(0, '.'); from tests.test_scaling_plot import svg;"
        "print(hashlib.sha256(svg().encode()).hexdigest(), 'matplotlib.pyplot' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split() == [hashlib.sha256(first.encode()).hexdigest(), "False"]


def test_settings_are_put_back():
    before = dict(matplotlib.rcParams)
    svg()
    assert dict(matplotlib.rcParams) == before


def test_the_document_is_valid_has_text_and_no_outside_address():
    text = svg()
    root = ElementTree.fromstring(text)
    namespace = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{namespace}title").text == "q & width"
    assert root.find(f"{namespace}desc").text == "<falls>"
    assert (root.get("role"), root.get("aria-label")) == ("img", "q & width")
    assert re.findall(r"https?://[^\"' ]*", text) == ["http://www.w3.org/2000/svg"]
    assert re.search(r"\d{4}-\d{2}-\d{2}T", text) is None


def test_inline_pictures_share_no_identifier_and_follow_the_theme():
    text = svg()
    one, other = style.inline(text, "a"), style.inline(text, "b")
    ids = [set(re.findall(r'\bid="([^"]*)"', part)) for part in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for part, own in zip((one, other), ids, strict=True):
        used = set(re.findall(r'href="#([^"]*)"', part)) | set(re.findall(r"url\(#([^)]*)\)", part))
        assert used
        assert used <= own
        assert "http" not in part
        assert "<style" not in part
        assert "<?xml" not in part
        ElementTree.fromstring(part)
    for plain in (style.INK, style.PAPER, style.GRID, style.COLOURS[0]):
        assert not re.search(rf"(?<!, ){plain}", one)
    assert "var(--series-1, #0072b2)" in one


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.1), (1e-9, 1.0), (0.03, 0.9), (2.0, 7.0), (1.0, 1e12), (5e-5, 6e-5)])
def test_ticks_are_round_few_and_inside(low, high):
    ticks = style.log_ticks(low, high)
    assert 3 <= len(ticks) <= 11
    assert ticks == sorted(set(ticks))
    assert low * 0.999 <= ticks[0]
    assert ticks[-1] <= high * 1.001
    assert len({style.number_text(tick) for tick in ticks}) == len(ticks)


def test_a_bound_is_a_line_with_the_side_that_breaks_it_in_grey():
    series = replace(a_series(), claim=Bound("q", at_most=0.05))  # every value lies above
    above, below = draw_scaling([series], name="$q$").axes
    (line,) = (y for _, y, line in lines_of(above) if line.get_color() == style.INK)
    assert list(line) == [0.05, 0.05]
    (grey,) = above.patches
    ends = grey.get_window_extent().transformed(above.transData.inverted()).intervaly
    np.testing.assert_allclose(ends, [0.05, above.get_ylim()[1]], rtol=1e-9)
    texts = [text.get_text() for text in above.get_legend().get_texts()]
    assert texts[-1] == "claimed bound: at most 0.05"
    assert not [one for _, _, one in lines_of(below) if one.get_color() == style.INK]


def test_a_bound_from_below_greys_what_lies_below():
    above, _ = draw_scaling([replace(a_series(), claim=Bound("q", at_least=0.01))], name="$q$").axes
    (grey,) = above.patches
    ends = grey.get_window_extent().transformed(above.transData.inverted()).intervaly
    np.testing.assert_allclose(ends, [above.get_ylim()[0], 0.01], rtol=1e-9)


def test_the_words_beside_a_picture_say_the_bound_and_no_prediction():
    series = Series("network", [16, 64], [[0.99996, 1.2], [1.1, 1.3]], claim=Bound("q", at_least=1.0))
    told = describe_scaling([series], name="q")
    assert "claimed at least 1, found 0.99996 to 1.3; no exponent fitted." in told
    assert "predicted" not in told


def test_the_legend_of_many_lines_covers_no_point():
    widths = [16, 32, 64, 128, 256, 512, 1024]
    series = [
        Series(f"a quantity with a long name, of slope {b}", widths, [[float(m) ** b] * 3 for m in widths])
        for b in (0.6, 0.0, -0.6)
    ]
    figure = draw_scaling(series, name="q")
    with style.look():
        FigureCanvasAgg(figure).draw()
        axes = figure.axes[0]
        legend = axes.get_legend().get_window_extent()
        points = axes.transData.transform(
            [(m, v[0]) for one in series for m, v in zip(widths, one.replicates, strict=True)]
        )
    assert not any(legend.contains(*point) for point in points)
