"""One page of the explorer, without a browser: when it begins, and what it does with what comes before."""

import pytest

for package in ("panel", "panel_material_ui", "bokeh", "anywidget"):
    pytest.importorskip(package, reason="the extra 'explorer' is not installed")

from assembly.explorer import app, pace  # noqa: E402
from assembly.explorer.presets import PRESETS  # noqa: E402
from assembly.explorer.state import State  # noqa: E402
from assembly.explorer.tour import start  # noqa: E402
from assembly.explorer.training import Training  # noqa: E402


@pytest.fixture
def asked(monkeypatch):
    """Return the list of tasks that pages ask for; nothing is computed, nor waited for."""
    found = []
    monkeypatch.setattr(pace, "WORK_LASTS", 0.0)
    monkeypatch.setattr(pace, "BROWSER_LASTS", 0.0)
    monkeypatch.setattr(app.Jobs, "submit", lambda jobs, tasks: found.extend(tasks))
    return found


@pytest.mark.parametrize("panel", ["linear", "assembly"])
def test_a_page_asks_for_nothing_before_it_is_loaded(asked, panel):
    page = app.Explorer(f"width=8&panel={panel}", lambda run: run())
    assert asked == []
    page.begin()
    below = ["curve", "bracket cost", "bracket"] if panel == "linear" else ["scene"]
    assert asked == ["numbers", "judged", *below]


def test_the_address_follows_before_there_is_an_answer(asked):
    page = app.Explorer("width=8", lambda run: run())
    page.begin()
    page.change(seed=3)
    assert page.browser.query == page.state.to_query()
    assert "seed=3" in page.browser.query


def test_what_is_chosen_before_the_page_is_loaded_is_done_then(asked):
    """What the server changes on a page before it is loaded never reaches the browser."""
    page = app.Explorer("width=8", lambda run: run())
    shown = page.compose.comment.html
    page.change(seed=3)
    page.choose(PRESETS["mean field"].state)
    page.change(row=5)
    assert (page.state.width, page.state.seed, page.compose.comment.html) == (8, 0, shown)
    page.begin()
    assert page.state == PRESETS["mean field"].state.replace(row=5, panel=page.state.panel)


def test_the_drawing_is_dressed_once_the_page_is_loaded(asked):
    page = app.Explorer("width=8", lambda run: run())
    usual = page.assembly.drawing.theme
    page.view.dark_theme = True
    assert page.assembly.drawing.theme == usual
    page.begin()
    assert page.assembly.drawing.theme == "dark"
    page.view.dark_theme = False
    assert page.assembly.drawing.theme == "light"


def test_the_script_of_a_training_has_the_steps_that_are_shown(asked):
    page = app.Explorer("width=8&depth=1&data=wine&panel=training&n_widths=1", lambda run: run())
    page.begin()
    under_way = Training(page.state)
    under_way.go_on(7)
    page._show({"training": under_way.shown()})
    assert "n_steps=7, " in page.script.html
    page.change(radius=2.0)
    assert "n_steps=7, " in page.script.html
    page.change(seed=1)
    assert "n_steps=100, " in page.script.html


def test_the_tour_gives_the_network_back_that_it_took_the_place_of(asked):
    page = app.Explorer("width=24&depth=3&middle=2&data=wine&row=5&panel=assembly", lambda run: run())
    page.begin()
    own, home = page.state, page.tour.home
    assert not home.visible
    page.shown.value = "tour"
    assert page.state == start(1)
    assert home.visible
    page.tour._go(2)
    page.shown.value = "linear"  # as a step asks for, with its dial
    page.change(width=64)
    page.shown.value = "tour"
    home.clicks += 1
    assert page.state == own.replace(tour_step=2)
    assert not home.visible


def test_the_tour_gives_the_newest_network_back(asked):
    page = app.Explorer("width=24&depth=1", lambda run: run())
    page.begin()
    page.shown.value = "tour"
    page.shown.value = "linear"
    page.change(builder="resnet", depth=4)
    own = page.state
    page.shown.value = "tour"
    home = page.tour.home
    home.clicks += 1
    assert page.state == own


def test_a_tour_that_is_entered_before_the_page_is_loaded_changes_nothing_until_then(asked):
    page = app.Explorer("width=24", lambda run: run())
    page.shown.value = "tour"
    assert (page.state.width, page.tour.home.visible) == (24, False)
    page.begin()
    assert (page.state, page.tour.home.visible) == (start(1), True)
    own = State(width=24, panel="compose")
    page.tour.home.clicks += 1
    assert page.state.replace(panel="compose") == own


STUDY = "quantity=gradient_norm&narrowest=5&widest=128&seeds=7&n_measured=3"


def test_the_choices_of_a_study_stand_in_the_address(asked):
    page = app.Explorer(f"width=8&panel=scaling&{STUDY}", lambda run: run())
    chosen = {name: widget.value for name, widget in page.scaling.choices.items()}
    wanted = {"quantity": "gradient_norm", "narrowest": 5, "widest": 128, "seeds": 7, "n_measured": 3}
    assert chosen == wanted
    assert 5 in page.scaling.narrowest.options
    page.scaling.seeds.value = 11
    assert page.state.seeds == 7
    page.begin()
    assert (page.state.seeds, page.scaling.seeds.value) == (11, 11)
    asked.clear()
    page.scaling.quantity.value = "hessian_norm"
    assert asked == ["scaling forecast"]  # and nothing of the network
    there = app.Explorer(page.browser.query, lambda run: run())
    assert there.state == page.state
    assert there.state.of_study == {**wanted, "seeds": 11, "quantity": "hessian_norm"}
    assert there.scaling._specified().seeds == 11


def test_a_study_stays_as_it_was_chosen_when_another_network_is(asked):
    page = app.Explorer(f"width=8&{STUDY}", lambda run: run())
    page.begin()
    page.choose(PRESETS["mean field"].state)
    assert page.state == PRESETS["mean field"].state.replace(**page.state.of_study)
    assert (page.state.seeds, page.scaling.seeds.value) == (7, 7)


def test_a_study_of_painted_points_is_refused_with_what_to_do_instead(asked):
    page = app.Explorer("width=8&data=points&panel=scaling", lambda run: run())
    page.begin()
    (task,) = page.scaling.tasks(page.state).values()
    page.scaling.show("scaling forecast", task(lambda: False))
    for words in ("stand in no file that a study could name", "Choose one of the data sets", "into a CSV file"):
        assert words in page.scaling.cost.html


@pytest.mark.parametrize(
    "query",
    ["width=-3", "width=" + "9" * 4000, "width=4&width=5", "seed=%00", "points=nan,1", "builder=<script>", "x" * 9000,
     "radius=1e999", "data=../../etc/passwd", "%ff%fe=%ff"],
)  # fmt: skip
def test_a_hostile_address_is_answered_with_a_sentence_and_the_usual_state(asked, query):
    page = app.Explorer(query, lambda run: run())
    assert page.state == app.State()
    assert 'class="fault"' in page.message.html
    assert "<script>" not in page.message.html
    assert len(page.message.html) < 2000


def test_what_is_painted_in_one_go_is_there_and_answered_once(asked):
    later = []
    page = app.Explorer("width=8&data=points&points=0,0,1", later.append)
    page.begin()
    asked.clear()
    acts = [
        {"number": 1, "column": 21, "row": 21, "kind": "-1"},
        {"number": 2, "column": 16, "row": 21, "kind": "1"},
    ]
    page.compose.painted.view.acts = acts
    assert page.state.points == ((0.0, 0.0, 1), (0.1, 0.1, -1), (-0.4, 0.1, 1))
    assert asked == []
    assert len(later) == 1
    later.pop()()
    assert asked.count("numbers") == 1
    page.change(width=16)
    assert len(later) == 1


def test_a_page_holds_a_panel_from_when_it_is_first_looked_at(asked):
    page = app.Explorer("width=8&panel=assembly", lambda run: run())

    def held():
        return [name for name, room in page._rooms.items() if room.objects]

    assert held() == ["assembly"]
    page.begin()
    page.shown.value = "training"
    page.shown.value = "assembly"
    assert held() == ["assembly", "training"]
    assert [name for name, room in page._rooms.items() if room.visible] == ["assembly"]
