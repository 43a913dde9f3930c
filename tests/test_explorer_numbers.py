"""Verdict, findings and numbers of a page, without a browser: what is said while the next ones are computed."""

import pytest

pn = pytest.importorskip("panel")
for package in ("panel", "panel_material_ui", "bokeh", "anywidget"):
    pytest.importorskip(package, reason="the extra 'explorer' is not installed")

from bokeh.models import Legend  # noqa: E402

from assembly.explorer import answers  # noqa: E402
from assembly.explorer.jobs import Failure  # noqa: E402
from assembly.explorer.panels.linear import Linear  # noqa: E402
from assembly.explorer.panels.numbers import FORECAST, JUDGED, NUMBERS, Numbers  # noqa: E402
from assembly.explorer.state import State  # noqa: E402

FIRST, NEXT = State(width=8, data="wine"), State(width=12, data="wine")


def tell(panel, name, state):
    panel.show(name, {NUMBERS: answers.numbers, JUDGED: answers.judged}[name](state))


def ask(panel, state):
    """Ask for the answers to a state, as the page does; return the names of the tasks."""
    tasks = panel.tasks(state)
    panel.wait(state)
    return list(tasks)


@pytest.fixture
def panel():
    found = Numbers()
    ask(found, FIRST)
    tell(found, NUMBERS, FIRST)
    tell(found, JUDGED, FIRST)
    return found


def of_before(words):
    return words.is_old and bool(words.html)


def test_while_new_answers_are_computed_the_old_ones_stay_and_are_said_to_be_old(panel):
    parts = (panel.verdict, panel.findings, panel.numbers)
    old = [one.html for one in parts]
    assert not any(map(of_before, parts))
    ask(panel, NEXT)
    ask(panel, NEXT)
    assert all(map(of_before, parts))
    assert [one.html for one in parts] == old


def test_an_answer_that_reads_as_before_is_new_all_the_same(panel):
    ask(panel, NEXT)
    panel.numbers.say(panel.numbers.html)
    assert not of_before(panel.numbers)
    assert of_before(panel.verdict)


def test_what_is_known_is_not_asked_for_again(panel):
    assert ask(panel, FIRST.replace(panel="training", direction="random")) == []
    assert not any(map(of_before, (panel.verdict, panel.findings, panel.numbers)))
    assert ask(panel, FIRST.replace(radius=0.5)) == [NUMBERS, JUDGED]
    tell(panel, NUMBERS, FIRST)
    assert ask(panel, FIRST.replace(radius=0.5, panel="tour")) == [JUDGED]
    panel.show(JUDGED, Failure("There is too little memory."))
    assert ask(panel, FIRST.replace(radius=0.5)) == [JUDGED]


def test_what_may_take_long_is_forecast_first(panel):
    assert ask(panel, State(width=4096, depth=2, data="wine")) == [FORECAST, NUMBERS, JUDGED]
    panel.show(FORECAST, Failure("There is too little memory."))
    assert "too little memory" in panel.notice.html
    assert ask(panel, NEXT) == [NUMBERS, JUDGED]
    assert panel.notice.html == ""


@pytest.mark.parametrize(("sooner", "later"), [(NUMBERS, JUDGED), (JUDGED, NUMBERS)])
def test_answers_to_two_states_never_stand_side_by_side_undimmed(panel, sooner, later):
    mine = {NUMBERS: (panel.numbers,), JUDGED: (panel.verdict, panel.findings)}
    ask(panel, NEXT)
    tell(panel, sooner, NEXT)
    assert not any(map(of_before, mine[sooner]))
    assert all(map(of_before, mine[later]))
    tell(panel, later, NEXT)
    assert not any(map(of_before, mine[later]))


def test_the_legend_of_the_curve_lies_outside_of_the_plot():
    panel = Linear(lambda **changes: None)
    (pane,) = panel.view.select(pn.pane.Bokeh)
    drawn = pane.object
    assert list(drawn.legend) == [one for one in drawn.above if isinstance(one, Legend)]
    assert not any(isinstance(one, Legend) for one in drawn.center)
    assert [one.label.value for one in drawn.legend[0].items] == ["f(w0 + t u)", "its tangent"]


def test_the_sentence_on_the_curve_is_dimmed_likewise():
    panel = Linear(lambda **changes: None)
    panel.show("curve", answers.curve(FIRST))
    panel.wait(NEXT)
    assert of_before(panel.curve)
