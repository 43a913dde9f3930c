"""The assembly itself: the drawing, and the neuron that was opened as a sub-model of its own."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from assembly.explorer.card import NeuronCard, Relative, neuron_card
from assembly.explorer.components import Words, failure, table
from assembly.explorer.graph_component import GraphComponent
from assembly.explorer.jobs import Failure, Stop, Task
from assembly.explorer.panels.compose import make_select
from assembly.explorer.scene import Scene, scene
from assembly.explorer.state import CHOICES, State, network

SCENE, CARD = "scene", "card"
_BLUE, _ORANGE = "#0072b2", "#d55e00"
_OPEN_ONE = "<p>Choose a neuron in the drawing to open it as a sub-model of its own.</p>"


class Network:
    """The drawing and the card of a neuron.

    Parameters
    ----------
    change : callable
        Called with the fields that a visitor changed.
    ask : callable
        Called with the tasks of a neuron that was opened.
    """

    def __init__(self, change: Callable[..., None], ask: Callable[[Mapping[str, Task]], None]) -> None:
        self._ask = ask
        self._is_quiet = False
        self._state: State | None = None
        self.colour = make_select("colour", CHOICES["colour"].names)
        self.colour.param.watch(lambda event: None if self._is_quiet else change(colour=event.new), "value")
        self.drawing = GraphComponent(sizing_mode="stretch_width")
        self.drawing.param.watch(lambda event: self._open(event.new), "selected")
        self._drawn: Scene | None = None
        self.downloads = [self._download(form) for form in ("png", "svg", "csv")]
        self.message = Words(is_live=True)
        self.card = Words(html=_OPEN_ONE)
        self.relatives = pmui.Select(label="Step to a parent or child", options={}, sizing_mode="stretch_width")
        self.relatives.param.watch(lambda event: self._step(event.new), "value")
        self.source = ColumnDataSource({"pre": [-1.0, 1.0], "post": [-1.0, 1.0]})
        self.here = ColumnDataSource({"pre": [], "post": []})
        self.response = pn.pane.Bokeh(_figure(self.source, self.here), sizing_mode="stretch_width", height=220)
        self.relatives.visible = self.response.visible = False
        self.view = pmui.Column(
            Words(html="<h2>The assembly</h2>"),
            self.colour,
            self.message,
            self.drawing,
            pn.FlexBox(*self.downloads),
            self.relatives,
            self.card,
            self.response,
            sizing_mode="stretch_width",
        )

    def sync(self, state: State) -> None:
        """Show a state in the widgets, without telling of it."""
        self._is_quiet = True
        try:
            self.colour.value = state.colour
        finally:
            self._is_quiet = False

    def wait(self, state: State) -> None:
        """Close the neuron of another network."""
        before, self._state = self._state, state
        if before is None or before.replace(colour=state.colour, panel=state.panel, **state.of_study) != state:
            self._close()

    def dress(self, *, is_dark: bool) -> None:
        """Let the drawing have the colours of the page."""
        self.drawing.theme = "dark" if is_dark else "light"

    def tasks(self, state: State) -> Mapping[str, Task]:
        """Return what is to be computed for a state."""

        def draw(stop: Stop) -> Scene:
            return scene(network(state), state.x, state.colour)

        return {SCENE: draw}

    def show(self, name: str, answer: Any) -> None:
        """Show an answer, if it is one of these."""
        if name == SCENE:
            self._drawn = None if isinstance(answer, Failure) else answer
            self.message.html = failure(answer.sentence) if isinstance(answer, Failure) else ""
            self.drawing.scene = {} if self._drawn is None else self._drawn.as_dict()
            for one in self.downloads:
                one.disabled = self._drawn is None
        elif name == CARD:
            self._show_card(answer)

    def _download(self, form: str) -> Any:
        button = pmui.FileDownload(
            label=f"Save as {form.upper()}",
            filename=f"assembly.{form}",
            callback=partial(self._saved, form),
            disabled=True,
        )
        button.variant = "outlined"  # given above, it warns of an option of panel's own
        return button

    def _saved(self, form: str) -> io.BytesIO:
        from assembly.explorer.picture import saved  # loads matplotlib, which no page shows

        return io.BytesIO(b"" if self._drawn is None else saved(self._drawn, form))

    def _open(self, place: Sequence[int]) -> None:
        state = self._state
        if len(place) != 2 or state is None:
            return

        def card(stop: Stop) -> NeuronCard:
            return neuron_card(network(state), state.x, *place)

        self.card.html = '<p class="waiting">opening the neuron ...</p>'
        self._ask({CARD: card})

    def _step(self, place: tuple[int, int] | None) -> None:
        if not self._is_quiet and place:
            self.drawing.selected = list(place)

    def _close(self) -> None:
        self.drawing.selected = []
        self.card.html = _OPEN_ONE
        self.relatives.visible = self.response.visible = False

    def _show_card(self, found: NeuronCard | Failure) -> None:
        if isinstance(found, Failure):
            self.card.html = failure(found.sentence)
            return
        self.card.html = _card(found)
        self._is_quiet = True
        try:
            self.relatives.options = {
                "here": None,
                **_places("parent", found.parents),
                **_places("child", found.children),
            }
            self.relatives.value = None
        finally:
            self._is_quiet = False
        self.relatives.visible = bool(found.parents or found.children)
        self.response.visible = found.response is not None
        if found.response is not None:
            self.source.data = {"pre": list(found.response.pre), "post": list(found.response.post)}
            self.here.data = {"pre": [found.response.at[0]], "post": [found.response.at[1]]}


def _places(kind: str, relatives: Sequence[Relative]) -> dict[str, tuple[int, int]]:
    return {f"{kind}: {one.name}": (one.layer, one.position) for one in relatives}


def _card(found: NeuronCard) -> str:
    facts = "".join(f"<tr><th scope='row'>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in found.facts.rows)
    tables = "".join(
        table(title, one.heading, one.rows)
        for title, one in (
            (f"Strongest {len(found.parents)} of {found.n_parents:,} parents", found.parents_table),
            (f"Strongest {len(found.children)} of {found.n_children:,} children", found.children_table),
            ("The response curve in numbers", found.response_table),
        )
        if one.rows
    )
    return (
        f'<h2 data-neuron="{found.layer},{found.position}">{escape(found.name)}</h2><p>{escape(found.formula)}</p>'
        f"<table><tbody>{facts}</tbody></table>{tables}"
    )


def _figure(source: ColumnDataSource, here: ColumnDataSource) -> Any:
    drawn = figure(
        height=220,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        x_axis_label="pre-activation",
        y_axis_label="activation",
    )
    drawn.line("pre", "post", source=source, color=_BLUE, line_width=3)
    drawn.scatter("pre", "post", source=here, color=_ORANGE, size=12)
    return drawn
