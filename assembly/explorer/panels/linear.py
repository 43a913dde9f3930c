"""Is it linear? The output along a direction beside its tangent, and the bracket of the curvature over a ball."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from assembly.explorer.components import Words, at_work, failure, table
from assembly.explorer.jobs import Failure, Task, after_a_rest
from assembly.explorer.panels.compose import make_dial, make_select, put_on_dial
from assembly.explorer.panels.numbers import FORECAST
from assembly.explorer.state import CHOICES, State

CURVE, BRACKET, BRACKET_COST = "curve", "bracket", "bracket cost"
_BLUE, _ORANGE = "#0072b2", "#d55e00"
_COLUMNS = ("t", "values", "tangent")


class Linear:
    """The curve and the bracket.

    Parameters
    ----------
    change : callable
        Called with the fields that a visitor changed.
    """

    def __init__(self, change: Callable[..., None]) -> None:
        self._is_quiet = False
        self.direction = make_select("direction", {name: name for name in CHOICES["direction"].names})
        self.radius = make_dial("radius")
        for name, widget in (("direction", self.direction), ("radius", self.radius)):
            widget.param.watch(lambda event, name=name: self._changed(change, name, event.new), "value")
        self.source = ColumnDataSource({name: [-1.0, 1.0] for name in _COLUMNS})
        self.curve, self.bracket = Words(), Words(is_live=True)
        self.view = pmui.Column(
            Words(html="<h2>Is it linear?</h2>"),
            pmui.Row(self.direction, self.radius, sizing_mode="stretch_width"),
            pn.pane.Bokeh(_figure(self.source), sizing_mode="stretch_width", height=260),
            self.curve,
            self.bracket,
            sizing_mode="stretch_width",
        )

    def sync(self, state: State) -> None:
        """Show a state in the widgets, without telling of it."""
        self._is_quiet = True
        try:
            self.direction.value = state.direction
            put_on_dial(self.radius, "radius", state.radius)
        finally:
            self._is_quiet = False

    def wait(self, state: State) -> None:
        """Say that answers are on their way."""
        self.curve.wait()
        self.bracket.wait()

    def tasks(self, state: State) -> Mapping[str, Task]:
        """Return what is to be computed for a state."""
        from assembly.explorer import answers

        return {CURVE: partial(answers.curve, state, None)}

    def slow_tasks(self, state: State) -> Mapping[str, Task]:
        """Return what takes long and does not end at once when it is stopped."""
        from assembly.explorer import answers

        return {
            BRACKET_COST: after_a_rest(partial(answers.forecast_bracket, state)),
            BRACKET: partial(answers.bracket, state),
        }

    def show(self, name: str, answer: Any) -> None:
        """Show an answer, if it is one of these."""
        if name in (FORECAST, BRACKET_COST):
            self._tell(name, answer)
        if name not in (CURVE, BRACKET):
            return
        words = self.curve if name == CURVE else self.bracket
        if isinstance(answer, Failure):
            words.say(failure(answer.sentence))
            if name == CURVE:
                self.source.data = {column: [] for column in _COLUMNS}
            return
        if name == CURVE:
            self.source.data = {column: list(getattr(answer, column)) for column in _COLUMNS}
        found = answer.table
        words.say(f"<p>{escape(answer.sentence)}</p>{table(found.title, found.heading, found.rows)}")

    def _tell(self, name: str, answer: Any) -> None:
        """Say what the curve or the bracket will take, if that is long; why they are refused, they say themselves."""
        from assembly.explorer import answers

        if name == BRACKET_COST and isinstance(answer, answers.Cost) and answer.is_long:
            self.bracket.say(at_work(f"The bracket over the ball takes {answer.text} on this machine."))
        if name == FORECAST and isinstance(answer, answers.Forecast) and answer.curve.is_long:
            self.curve.say(at_work(f"The curve takes {answer.curve.text} on this machine."))

    def _changed(self, change: Callable[..., None], name: str, value: Any) -> None:
        if not self._is_quiet and value is not None:
            change(**{name: value})


def _figure(source: ColumnDataSource) -> Any:
    drawn = figure(
        height=260,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        x_axis_label="t, the distance from the parameters",
        y_axis_label="output",
    )
    drawn.line("t", "values", source=source, color=_BLUE, line_width=3, legend_label="f(w0 + t u)")
    drawn.line(
        "t", "tangent", source=source, color=_ORANGE, line_width=2, line_dash="dashed", legend_label="its tangent"
    )
    drawn.add_layout(drawn.legend[0], "above")  # beside the curve, not on it
    drawn.legend.orientation = "horizontal"
    drawn.legend.location = "left"
    drawn.legend.background_fill_alpha = drawn.legend.border_line_alpha = 0.0
    drawn.legend.padding = drawn.legend.margin = 2
    return drawn
