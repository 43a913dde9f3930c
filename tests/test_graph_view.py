"""The drawing of a scene in a real browser: what it shows, how it is reached, and that it asks nobody for anything."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import assembly as am
from assembly.errors import ArgumentError
from assembly.explorer import graph_view
from assembly.explorer.scene import scene
from graph_page import SOURCE, page_of

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to draw in")
X = np.array([1.0, -0.5])
DESK, PHONE = {"width": 1280, "height": 720}, {"width": 360, "height": 780}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def show(browser):
    """Open a page with a scene; afterwards there was no error and no request."""
    context, noise = browser.new_context(viewport=DESK), []

    def opened(widths, colour="value", theme="light", viewport=DESK, selected=()):
        page = context.new_page()
        page.set_viewport_size(viewport)
        page.on("request", lambda request: noise.append(request.url))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("console", lambda message: noise.append(message.text))
        drawn = scene(am.mlp(2, widths, "tanh", seed=0), X, colour)
        page.set_content(page_of(drawn.as_dict(), theme, selected))
        page.wait_for_selector(".assembly-graph svg")
        return page, drawn

    yield opened
    context.close()
    assert noise == []


def items(page, layer):
    return page.locator(f".item[data-layer='{layer}']")


@needs_browser
def test_neurons_strips_and_edges_are_drawn_as_the_scene_says(show):
    page, drawn = show([64, 12, 300])
    assert [items(page, level).count() for level in range(5)] == [2, 64, 12, 256, 1]
    assert items(page, 1).first.evaluate("node => node.tagName") == "circle"
    assert items(page, 3).first.evaluate("node => node.tagName") == "rect"
    for level, layer in enumerate(drawn.layers):
        fills = items(page, level).evaluate_all("nodes => nodes.map(node => node.getAttribute('fill'))")
        labels = items(page, level).evaluate_all("nodes => nodes.map(node => node.getAttribute('aria-label'))")
        assert fills == [item.light for item in layer.items]
        assert labels == [item.description for item in layer.items]
    assert page.locator(".edge").count() == 400
    assert page.locator(".band").count() == 2
    assert page.locator("svg").get_attribute("aria-label") == drawn.description
    names = page.locator("svg g[role=group]").evaluate_all(
        "nodes => nodes.map(node => node.getAttribute('aria-label'))"
    )
    assert names == ["inputs, 2", "layer 1, 64 tanh", "layer 2, 12 tanh", "layer 3, 300 tanh", "output, 1 identity"]
    assert set(items(page, 2).evaluate_all("nodes => nodes.map(node => node.getAttribute('role'))")) == {"button"}


@needs_browser
def test_nothing_overlaps_and_everything_stands_inside(show):
    for viewport in (DESK, PHONE):
        page, _ = show([64, 64, 64], viewport=viewport)
        boxes = page.locator(".item").evaluate_all(
            "nodes => nodes.map(n => n.getBoundingClientRect()).map(b => [b.left, b.right, b.top, b.bottom])"
        )
        left, right, top, bottom = np.array(boxes).T
        apart = (
            (right[:, None] <= left) | (left[:, None] >= right) | (bottom[:, None] <= top) | (top[:, None] >= bottom)
        )
        assert apart[~np.eye(len(left), dtype=bool)].all()
        assert left.min() >= 0.0
        assert right.max() <= viewport["width"]
        assert (right - left).min() >= 8.0
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


@needs_browser
def test_a_click_opens_a_neuron_and_of_a_cell_the_largest(show):
    page, drawn = show([12, 1000])
    items(page, 1).nth(7).click()
    assert page.evaluate("model.get('selected')") == [1, 7]
    assert items(page, 1).nth(7).get_attribute("aria-pressed") == "true"
    items(page, 2).nth(100).click()
    assert page.evaluate("model.get('selected')") == [2, drawn.layers[2].items[100].who]
    assert page.locator(".item[aria-pressed=true]").count() == 1
    assert page.evaluate("model.saves") == 2


@needs_browser
def test_the_keyboard_alone_suffices(show):
    page, drawn = show([12, 12])
    page.keyboard.press("Tab")
    for key in ("ArrowRight", "Home", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused) == drawn.layers[1].items[2].description
    assert page.locator(".status").inner_text() == drawn.layers[1].items[2].description
    assert page.locator(".ring.focus").get_attribute("visibility") == "visible"
    page.keyboard.press("Enter")
    assert page.evaluate("model.get('selected')") == [1, 2]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == drawn.layers[2].items[2].description
    for key in ("End", "ArrowDown", "Space"):
        page.keyboard.press(key)
    assert page.evaluate("model.get('selected')") == [2, 11]
    assert page.locator(".item[tabindex='0']").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    playwright.expect(page.locator("tbody tr")).to_have_count(len(drawn.table.rows))
    cells_of = "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
    rows = page.locator("tbody tr").evaluate_all(cells_of)
    assert [tuple(row) for row in rows] == list(drawn.table.rows)


@needs_browser
def test_it_follows_its_model(show):
    page, _ = show([12, 12], selected=(1, 3))
    assert items(page, 1).nth(3).get_attribute("aria-pressed") == "true"
    page.evaluate("model.set('selected', [2, 5])")
    assert page.locator(".item[aria-pressed=true]").get_attribute("data-index") == "5"
    assert page.locator(".edge.touches").count() == 13
    page.locator(".item[data-layer='1'][data-index='4']").focus()
    other = scene(am.mlp(2, [5], "tanh", seed=1), X, "adjoint")
    page.evaluate("scene => model.set('scene', scene)", other.as_dict())
    assert [items(page, level).count() for level in range(3)] == [2, 5, 1]
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == other.layers[1].items[4].description
    page.evaluate("model.set('theme', 'dark')")
    assert items(page, 1).first.get_attribute("fill") == other.layers[1].items[0].dark
    page.evaluate("cleanup(); model.set('theme', 'light')")
    assert items(page, 1).first.get_attribute("fill") == other.layers[1].items[0].dark


@needs_browser
def test_what_the_browser_prefers_is_the_theme_if_none_is_set(show):
    page, drawn = show([5], theme="auto")
    assert items(page, 1).first.get_attribute("fill") == drawn.layers[1].items[0].light
    page.emulate_media(color_scheme="dark")
    playwright.expect(items(page, 1).first).to_have_attribute("fill", drawn.layers[1].items[0].dark)


def test_the_file_imports_nothing_and_asks_nobody():
    code = SOURCE.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert (
        re.findall(r"\bimport\b|\bfetch\b|\beval\b|XMLHttp|WebSocket|innerHTML|new Function|https?:|url\(", code) == []
    )
    assert code.count("export default { render };") == 1


@pytest.mark.parametrize(("make", "package"), [("notebook_view", "anywidget"), ("page_view", "panel")])
def test_both_views_hold_the_scene_and_the_one_file(make, package):
    pytest.importorskip(package)
    drawn = scene(am.mlp(2, [3], "tanh", seed=0), X)
    view = getattr(graph_view, make)(drawn)
    assert view.scene == drawn.as_dict()
    view.selected, view.theme = [1, 2], "dark"
    with pytest.raises(ArgumentError, match=r"in layer 1 with a position from 0 to 2, or \[\]\. Got \[1, 3\]"):
        view.selected = [1, 3]
    with pytest.raises(ArgumentError, match=r"with a layer from 0 to 2, or \[\]\. Got \[9, 9\]"):
        view.selected = [9, 9]
    with pytest.raises(Exception, match="theme"):
        view.theme = "purple"
    source = view._esm
    assert SOURCE.read_text("utf-8") in (str(source), getattr(source, "read_text", str)())


@pytest.mark.parametrize(("make", "package"), [("notebook_view", "anywidget"), ("page_view", "panel")])
def test_a_missing_extra_is_named(monkeypatch, make, package):
    monkeypatch.setattr(graph_view, "find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match=rf"{package}.*pip install 'assembly-perspective\[explorer\]'"):
        getattr(graph_view, make)(None)


def test_a_scene_needs_neither_panel_nor_anywidget():
    code = (
        "import sys, assembly.explorer.card, assembly.explorer.graph_view, assembly.explorer.scene\n"
        "print({'panel', 'anywidget', 'bokeh', 'param', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
