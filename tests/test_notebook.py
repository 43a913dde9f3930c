"""The widget of a notebook: run in a kernel as a notebook runs it, and drawn in a browser from what the kernel sent."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pytest

import assembly as am
from assembly.errors import ArgumentError, ShapeError
from assembly.explorer import notebook
from assembly.explorer.answers import verdict
from assembly.explorer.card import neuron_card
from assembly.explorer.scene import COLOUR_TITLES, scene
from assembly.explorer.state import drawn_inputs
from graph_page import page_of

pytest.importorskip("anywidget", reason="the extra 'explorer' is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
X = np.array([[1.0, -0.5], [0.25, 2.0]])
VIEW = "application/vnd.jupyter.widget-view+json"
CELLS = (
    "import assembly as am\n"
    "net = am.mlp(n_inputs=2, widths=[6, 5], activation='tanh', seed=0)\n"
    "view = am.explore(net, [[1.0, -0.5], [0.25, 2.0]])\n"
    "view",
    "view.set_state({'selected': [2, 3], 'colour': 'adjoint'})",  # what a message of the browser calls
    "view.row = 1\nprint(view.words[1]['heading'])",
)


@pytest.fixture
def net():
    return am.mlp(n_inputs=2, widths=[6, 5], activation="tanh", seed=0)


def rows_of(block, title):
    return next(one["rows"] for one in block["tables"] if one["title"].startswith(title))


def test_it_says_what_the_library_says(net):
    view = am.explore(net, X)
    found = am.diagnose(net, X[0])
    assert view.scene == scene(net, X[0]).as_dict()
    assert view.words[0]["heading"].lower() == verdict(found)
    rows = dict(rows_of(view.words[0], "At input 0 of 2"))
    assert rows["||H||"] == f"{found.curvature.hessian_norm:.4g}"
    assert rows["||grad f||"] == f"{np.linalg.norm(net.gradient(X[0])):.4g}"
    assert (rows["width"], rows["parameters"]) == ("5", "47")


def test_it_follows_its_traits(net):
    view = am.explore(net, X)
    view.selected = [1, 2]
    card = neuron_card(net, X[0], 1, 2)
    assert view.words[1]["heading"] == card.name
    assert rows_of(view.words[1], "Strongest 2 of 2 parents") == [list(row) for row in card.parents_table.rows]
    view.colour = "adjoint"
    assert view.scene == scene(net, X[0], "adjoint").as_dict()
    first = view.words
    view.row = 1
    assert view.scene == scene(net, X[1], "adjoint").as_dict()
    assert view.words[0] != first[0]
    assert view.words[1]["lines"] == [card.formula]
    assert view.words[1]["tables"] != first[1]["tables"]
    for wrong, said in (
        ([9, 9], r"must be \[layer, position\] of a neuron, with a layer from 0 to 3, or \[\]\. Got \[9, 9\]\."),
        ([2, 5], r"in layer 2 with a position from 0 to 4, or \[\]\. Got \[2, 5\]\."),
        ([1, -1], r"in layer 1 with a position from 0 to 5"),
        ([1], r"Got \[1\]"),
    ):
        with pytest.raises(ArgumentError, match=said):
            view.selected = wrong
        assert view.selected == [1, 2]
    view.selected = []
    assert view.words[1]["heading"] == "No neuron is open"
    for trait, wrong in (("row", 2), ("row", -1), ("colour", "mauve"), ("theme", "purple")):
        with pytest.raises(Exception, match=trait):
            setattr(view, trait, wrong)


def test_inputs_are_drawn_if_none_are_given(net):
    view = am.explore(net)
    assert view.n_rows == 16
    assert view.scene == scene(net, drawn_inputs(2)[0]).as_dict()
    two = am.mlp(n_inputs=3, widths=[4], n_outputs=2, seed=0)
    assert am.explore(two).words[0]["tables"][0]["title"] == "At output 0 of 2, input 0 of 16, R = 1"


def test_an_input_where_nothing_can_be_said_leaves_the_widget_alive():
    net = am.mlp(n_inputs=2, widths=[4], output_activation="sigmoid", seed=0).with_parameters(np.full(12, 30.0))
    view = am.explore(net, [[0.1, 0.1], [1e200, 1e200]])
    view.row = 1
    assert view.words[0]["heading"] == "There is no answer here"
    view.row = 0
    assert view.words[0]["heading"] != "There is no answer here"


def test_wrong_arguments_are_named(net, monkeypatch):
    with pytest.raises(ArgumentError, match=r"The 'net' argument must be an Assembly\. Got int\."):
        am.explore(3)
    with pytest.raises(ShapeError, match="'X'"):
        am.explore(net, [1.0, 2.0, 3.0])
    with pytest.raises(ArgumentError, match="at least one input"):
        am.explore(net, np.empty((0, 2)))
    monkeypatch.setattr(notebook, "find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match=r"anywidget.*pip install 'assembly-perspective\[explorer\]'"):
        am.explore(net)


@pytest.fixture(scope="module")
def run():
    """Run the cells in a kernel; return their outputs, and the traits that a browser is sent."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    import nbformat

    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the client, on event loops
        nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    outputs = [cell["outputs"] for cell in book["cells"]]
    (shown,) = [one["data"][VIEW]["model_id"] for one in outputs[0] if VIEW in one.get("data", {})]
    return outputs, book["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"][shown]


@pytest.mark.slow
def test_a_notebook_runs_it(run, net):
    outputs, model = run
    assert model["model_module"] == "anywidget"
    assert outputs[2][0]["text"] == "neuron 3 of layer 2\n"
    state = model["state"]
    assert state["scene"] == json.loads(json.dumps(scene(net, X[1], "adjoint").as_dict()))
    assert state["selected"] == [2, 3]
    assert state["_esm"].endswith("export default { render };\n")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to draw in")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_browser_draws_what_the_notebook_sent(run, theme):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    traits = {name: run[1]["state"][name] for name in ("scene", "selected", "words", "colours", "colour")}
    noise = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 700, "height": 900})
        for event in ("pageerror", "request", "console"):
            page.on(event, lambda one: noise.append(str(one)))
        page.set_content(page_of(theme=theme, **traits))
        assert page.locator(".item[aria-pressed=true]").get_attribute("data-index") == "3"
        assert page.locator("h3").all_inner_texts() == [one["heading"] for one in traits["words"]]
        cells = page.locator("section").first.locator("tbody tr").first.locator("td").all_inner_texts()
        assert cells == traits["words"][0]["tables"][0]["rows"][0]
        options = page.get_by_role("combobox", name="Colour").locator("option").all_inner_texts()
        assert options == list(COLOUR_TITLES.values())
        assert page.get_by_role("combobox", name="Colour").input_value() == "adjoint"
        page.get_by_role("combobox", name="Colour").select_option("share")
        assert page.evaluate("[model.get('colour'), model.saves]") == ["share", 1]
        page.evaluate("model.set('words', [{heading: '<b>1</b>', lines: ['a & b'], tables: []}])")
        assert page.locator(".words").inner_text().split() == ["<b>1</b>", "a", "&", "b"]
        page.evaluate("model.set('colours', []); cleanup()")
        browser.close()
    assert noise == []
