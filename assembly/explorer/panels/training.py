"""Training: play, pause, step; the network beside its linearised and quadratic model, and widths side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import Any

import numpy as np
import panel as pn
import panel_material_ui as pmui
from bokeh.models import ColumnDataSource, LinearColorMapper, Range1d
from bokeh.plotting import figure

from assembly.explorer import training
from assembly.explorer.answers import Cost, Stop
from assembly.explorer.colours import LIGHT, hex_colours
from assembly.explorer.components import Words, failure, table
from assembly.explorer.jobs import Failure, Task
from assembly.explorer.state import CHOICES, OF_STUDY, State
from assembly.explorer.training import DIVERGED, MODELS, MOST_STEPS, TRAINING, Lane, Plane, Shown

FRAME, FORECAST = "training", "training forecast"
SECONDS = 0.15  # of training between two pictures
HEIGHT = 240
PANEL = "training"
_LOOKS = {
    "network": ("#0072b2", "solid", "circle"),
    "linearized": ("#d55e00", "dashed", "x"),
    "quadratic": ("#009e73", "dotted", "triangle"),
}
_OF_WIDTHS = (("#0072b2", "solid"), ("#d55e00", "dashed"), ("#009e73", "dotted"))
_RAMP = hex_colours(np.linspace(1.0, -1.0, 65), 1.0, signed=True, theme=LIGHT)  # class +1 is blue, as it is painted
_LEGEND = "".join(
    f'<p><small><svg width="34" height="12" aria-hidden="true"><line x1="0" x2="34" y1="6" y2="6" stroke="{colour}" '
    f'stroke-width="3" stroke-dasharray="{dashes}"/></svg> {MODELS[name]}, {marks} among the outputs</small></p>'
    for name, colour, dashes, marks in (
        ("network", "#0072b2", "none", "dots"),
        ("linearized", "#d55e00", "7 4", "crosses"),
        ("quadratic", "#009e73", "2 4", "triangles"),
    )
)
_LEGEND += "<p><small>Grey dashes are the targets; outputs far beyond them are in the table alone.</small></p>"
_OF_PLANE = "<p><small>The output of the widest over the plane, and the points: circles +1, squares -1.</small></p>"
_NOTHING_HERE = ("colour", "direction", "radius", "row", "panel", "tour_step", *OF_STUDY)  # that training depends on


class Training:
    """The panel.

    Parameters
    ----------
    change : callable
        Called with the fields that a visitor changed.
    ask : callable
        Called with tasks for a worker of the panel's own, instead of those before.
    once_begun : callable
        Called with what a button does: that is done now, or when the page begins.

    Attributes
    ----------
    plays : bool
        Whether it goes on by itself.
    n_steps : int
        Made so far, as shown.
    """

    def __init__(
        self,
        change: Callable[..., None],
        ask: Callable[[Mapping[str, Task]], None],
        once_begun: Callable[[Callable[[], None]], None],
    ) -> None:
        self._ask, self._is_quiet = ask, False
        self.plays, self.n_steps = False, 0
        self._held = _Held(None)
        self.play = pmui.Button(label="Play", variant="contained", width=110)
        self.step = pmui.Button(label="Step", variant="outlined", width=90)
        self.restart = pmui.Button(label="Start again", variant="outlined", width=130)
        self.play.on_click(lambda _: once_begun(self._toggle))
        self.step.on_click(lambda _: once_begun(partial(self._go, 1)))
        self.restart.on_click(lambda _: once_begun(lambda: self._begin(self._held.state)))
        self.n_widths = pmui.Select(
            label=CHOICES["n_widths"].label, options={"one": 1, "two": 2, "three": 3}, sizing_mode="stretch_width"
        )
        choice = CHOICES["factor"]
        self.factor = pmui.FloatSlider(
            label="Step size, in usual ones (the linearised model is stable below 2)",
            start=choice.minimum, end=choice.maximum, step=0.1, value=1.0, sizing_mode="stretch_width",
        )  # fmt: skip
        for name, widget in (("n_widths", self.n_widths), ("factor", self.factor)):
            widget.param.watch(lambda event, name=name: self._changed(change, name, event.new), "value")
        self.sentence, self.notes, self.tables = Words(), Words(is_live=True), Words()
        self.notice = Words()
        self.lanes = [_LanePicture() for _ in _OF_WIDTHS]
        self.moved = _Moved()
        self.plane = _PlanePicture()
        self.side_by_side = pn.FlexBox(*(one.view for one in self.lanes), sizing_mode="stretch_width")
        self.view = pmui.Column(
            Words(html="<h2>Training</h2>"),
            pmui.Row(self.play, self.step, self.restart, sizing_mode="stretch_width"),
            self.factor,
            self.n_widths,
            self.notice,
            self.sentence,
            self.notes,
            self.plane.view,
            Words(html=_LEGEND),
            self.side_by_side,
            self.moved.view,
            self.tables,
            sizing_mode="stretch_width",
        )

    def sync(self, state: State) -> None:
        """Show a state in the widgets, without telling of it."""
        self._is_quiet = True
        try:
            self.n_widths.value, self.factor.value = state.n_widths, state.factor
        finally:
            self._is_quiet = False

    def tasks(self, state: State) -> Mapping[str, Task]:
        """Return what the page's own worker is to compute: nothing."""
        return {}

    def wait(self, state: State) -> None:
        """Begin the training of a state, unless it is under way; pause where another panel is looked at."""
        if state.panel != PANEL:
            self._rest()
            self._ask({})
        elif self._held.state is None or not state.equals_but_for(self._held.state, _NOTHING_HERE):
            self._begin(state)

    def show(self, name: str, answer: Any) -> None:
        """Show an answer, if it is one of these."""
        if name == FORECAST:
            is_long = isinstance(answer, Cost) and answer.is_long
            self.notice.html = f"<p>All {MOST_STEPS:,} steps take {escape(answer.text)}.</p>" if is_long else ""
        elif name == FRAME and isinstance(answer, Failure):
            self._rest()
            self.sentence.html = failure(answer.sentence)
        elif name == FRAME:
            self._draw(answer)
            if all(lane.status != TRAINING for lane in answer.lanes):
                self._rest()
            elif self.plays:
                self._go(MOST_STEPS)

    def _begin(self, state: State | None) -> None:
        self._rest()
        self._held, self.n_steps = _Held(state), 0
        self.notes.html, self.notice.html = "", ""
        self.sentence.html = '<p class="waiting">The kernels are being computed ...</p>'
        if state is not None:
            self._ask({FORECAST: lambda stop: training.forecast(state), FRAME: partial(_frame, self._held, 0)})

    def _toggle(self) -> None:
        if self.plays:
            self._rest()
            return
        self.plays, self.play.label = True, "Pause"
        self._go(MOST_STEPS)

    def _go(self, n_steps: int) -> None:
        if n_steps == 1:
            self._rest()
        if self._held.state is not None:
            self._ask({FRAME: partial(_frame, self._held, n_steps)})

    def _rest(self) -> None:
        self.plays, self.play.label = False, "Play"

    def _changed(self, change: Callable[..., None], name: str, value: Any) -> None:
        if not self._is_quiet and value is not None:
            change(**{name: round(value, 2) if name == "factor" else value})

    def _draw(self, shown: Shown) -> None:
        self.n_steps = max(lane.step for lane in shown.lanes)
        self.sentence.html = f"<p>{escape(shown.sentence)}</p>"
        told = [f"Width {lane.width}: {note}" for lane in shown.lanes for note in lane.notes]
        if any(lane.status == DIVERGED for lane in shown.lanes):
            told.append("On the dial, 1 is the usual step size, which the advice is.")
        notes = failure("\n".join(told)) if told else ""
        if self.notes.html != notes:
            self.notes.html = notes
        for k, picture in enumerate(self.lanes):
            picture.view.visible = k < len(shown.lanes)
        for picture, lane in zip(self.lanes, shown.lanes, strict=False):
            picture.draw(lane)
        self.moved.draw(shown.lanes)
        self.plane.draw(shown.plane)
        found = [shown.table, *(lane.predictions for lane in shown.lanes)]
        self.tables.html = "".join(table(one.title, one.heading, one.rows) for one in found)


class _Held:
    """What a worker keeps of one training between two pictures."""

    def __init__(self, state: State | None) -> None:
        self.state = state
        self.training: training.Training | None = None


def _frame(held: _Held, n_steps: int, stop: Stop) -> Shown:
    if held.training is None:
        assert held.state is not None
        held.training = training.Training(held.state, stop)
    held.training.go_on(n_steps, stop, SECONDS)
    return held.training.shown()


# --- pictures --------------------------------------------------------------------------------------------------------


class _LanePicture:
    """One width: outputs against targets, and the losses."""

    def __init__(self) -> None:
        self.points = {name: ColumnDataSource({"x": [], "y": []}) for name in MODELS}
        self.losses = {name: ColumnDataSource({"x": [], "y": []}) for name in MODELS}
        self.heading = Words()
        self.fit, self.loss = _figure("input", "output"), _figure("step", "loss", y_axis_type="log")
        self.fit.y_range = Range1d(-3.0, 3.0)
        self.targets = ColumnDataSource({"x": [], "y": []})
        self.fit.scatter("x", "y", source=self.targets, marker="dash", size=14, line_color="gray", line_width=3)
        for name, (colour, dash, marker) in _LOOKS.items():
            self.fit.scatter(
                "x", "y", source=self.points[name], marker=marker, size=7, line_color=colour, line_width=1.5,
                fill_color=colour if marker == "circle" else None, fill_alpha=0.5,
            )  # fmt: skip
            self.loss.line(
                "x", "y", source=self.losses[name], color=colour, line_dash=dash, line_width=2.5
            )  # fmt: skip
        self.view = pmui.Column(
            self.heading, _pane(self.fit), _pane(self.loss), sizing_mode="stretch_width", styles={"flex": "1 1 250px"}
        )

    def draw(self, lane: Lane) -> None:
        self.heading.html = (
            f'<h3 data-lane="{lane.width}" data-step="{lane.step}" data-status="{lane.status}">width {lane.width}, '
            f"step {lane.step}{'' if lane.status == TRAINING else f', {lane.status}'}</h3>"
        )
        reach = max(abs(one) for one in lane.targets) or 1.0
        self.fit.y_range.start, self.fit.y_range.end = -2.2 * reach, 2.2 * reach
        across = np.arange(len(lane.targets))
        self.targets.data = {"x": across, "y": np.asarray(lane.targets)}
        for name in MODELS:
            self.points[name].data = {"x": across, "y": np.asarray(lane.outputs[name])}
            self.losses[name].data = {"x": np.asarray(lane.steps), "y": np.asarray(lane.losses[name])}


class _Moved:
    """Distance and kernel change, a line for every width."""

    def __init__(self) -> None:
        self.figures = {
            "distance": _figure("step", "|w - w0|", y_axis_type="log"),
            "kernel_change": _figure("step", "kernel change", y_axis_type="log"),
        }
        columns = ("xs", "ys", "colour", "dash", "width")
        self.sources = {name: ColumnDataSource({column: [] for column in columns}) for name in self.figures}
        for name, drawn in self.figures.items():
            drawn.multi_line(
                "xs", "ys", source=self.sources[name], line_color="colour", line_dash="dash", line_width=2.5,
                legend_field="width",
            )  # fmt: skip
            _place_legend(drawn)
        half = {"xs": 12, "md": 6}
        self.view = pmui.Grid(
            *(pmui.Grid(_pane(one), size=half) for one in self.figures.values()),
            container=True, spacing=1, sizing_mode="stretch_width",
        )  # fmt: skip

    def draw(self, lanes: tuple[Lane, ...]) -> None:
        looks = _OF_WIDTHS[: len(lanes)]
        for name, source in self.sources.items():
            source.data = {
                "xs": [np.asarray(lane.steps) for lane in lanes],
                "ys": [np.asarray(getattr(lane, name)) for lane in lanes],
                "colour": [colour for colour, _ in looks],
                "dash": [dash for _, dash in looks],
                "width": [f"width {lane.width}" for lane in lanes],
            }


class _PlanePicture:
    """The output over the plane, and the painted points on it."""

    def __init__(self) -> None:
        self.image = ColumnDataSource({"values": [], "x": [], "y": [], "side": []})
        self.points = {label: ColumnDataSource({"x": [], "y": []}) for label in (1.0, -1.0)}
        self.drawn = _figure("first input", "second input")
        self.drawn.image(
            "values", x="x", y="y", dw="side", dh="side", source=self.image,
            color_mapper=LinearColorMapper(_RAMP, low=-1.5, high=1.5),
        )  # fmt: skip
        for label, marker in ((1.0, "circle"), (-1.0, "square")):
            self.drawn.scatter(
                "x", "y", source=self.points[label], marker=marker, size=10, line_color="white", line_width=2,
                fill_color="#08306b" if label > 0.0 else "#7f2704",
            )  # fmt: skip
        self.view = pmui.Column(Words(html=_OF_PLANE), _pane(self.drawn), sizing_mode="stretch_width", visible=False)

    def draw(self, plane: Plane | None) -> None:
        self.view.visible = plane is not None
        if plane is None:
            return
        self.image.data = {
            "values": [np.asarray(plane.values)], "x": [plane.left], "y": [plane.bottom], "side": [plane.side],
        }  # fmt: skip
        for label, source in self.points.items():
            mine = [point for point in plane.points if point[2] == label]
            source.data = {"x": [x for x, _, _ in mine], "y": [y for _, y, _ in mine]}


def _figure(x: str, y: str, **options: Any) -> Any:
    return figure(
        height=HEIGHT, sizing_mode="stretch_width", toolbar_location=None, tools="", x_axis_label=x, y_axis_label=y,
        **options,
    )  # fmt: skip


def _place_legend(drawn: Any) -> None:
    drawn.legend.background_fill_alpha = 0.5
    drawn.legend.label_text_font_size = "11px"
    drawn.legend.padding = drawn.legend.spacing = 2


def _pane(drawn: Any) -> Any:
    return pn.pane.Bokeh(drawn, sizing_mode="stretch_width", height=HEIGHT)
