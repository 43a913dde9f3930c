"""Compose: what is built, on which data, from which seed; and ready-made networks, good and bad."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import panel_material_ui as pmui

from assembly.explorer.components import Words
from assembly.explorer.panels.files import Files
from assembly.explorer.panels.plane import Painted
from assembly.explorer.presets import PRESETS
from assembly.explorer.state import CHOICES, DRAWN, LOOKED_AT, POINTS, State, takes

OWN = "your own"
_TYPED = ("row", "seed")
_COUNT = re.compile(r"-?[0-9]{1,18}")
_MIDDLES = (1, 2, 4, 8, 16, 32, 64)
_SOMETIMES = ("depth", "middle", "activation", "output_activation", "gamma", "readout")
_COMPOSED = ("builder", "depth", *_SOMETIMES[1:])  # what a file decides instead
_READABLE = {"& .MuiFormLabel-root.Mui-disabled": {"color": "text.primary"}}
_ORDER = ("builder", "width", "depth", "middle", "activation", "output_activation", "gamma", "readout", "data",
          "points", "row", "seed")  # fmt: skip


class Compose:
    """The widgets of the network.

    Parameters
    ----------
    change : callable
        Called with the fields that a visitor changed, as `State.replace` takes them.
    choose : callable
        Called with a whole state, that of a preset.
    post : callable
        Runs a function on the thread of the page, called from the worker.
    """

    def __init__(
        self,
        change: Callable[..., None],
        choose: Callable[[State], None],
        post: Callable[[Callable[[], None]], object],
    ) -> None:
        self._change, self._choose = change, choose
        self.files, self.painted = Files(post, change), Painted(change)
        self._is_quiet = False
        self.preset = pmui.Select(
            label="Preset",
            options={OWN: OWN, **{one.title: name for name, one in PRESETS.items()}},
            value=OWN,
            sizing_mode="stretch_width",
        )
        self.comment, self.architecture, self.samples = Words(), Words(), Words()
        self.widgets = {name: _widget(name) for name in _ORDER}
        for name, widget in self.widgets.items():
            widget.param.watch(lambda event, name=name: self._changed(name, event.new), "value")
        self.preset.param.watch(lambda event: self._chosen(event.new), "value")
        rows = [one for name, widget in self.widgets.items() for one in (widget, *self._below(name))]
        self.view = pmui.Column(self.preset, self.comment, *rows, self.files.view, sizing_mode="stretch_width")

    def _below(self, name: str) -> tuple[Any, ...]:
        below = {"builder": (self.architecture,), "data": (self.samples, self.painted.view)}
        return below.get(name, ())

    def sync(self, state: State) -> None:
        """Show a state in every widget, without telling of it."""
        self._is_quiet = True
        try:
            known = next((name for name, one in PRESETS.items() if one.state.equals_but_for(state, LOOKED_AT)), OWN)
            self.preset.value = known
            self.comment.html = "" if known == OWN else "".join(map(_line, PRESETS[known].sentences))
            is_composed = state.file is None
            self.architecture.html = _line(CHOICES["builder"].names[state.builder]) if is_composed else ""
            self.samples.html = _line(CHOICES["data"].names[state.data])
            self.files.sync(state)
            self.painted.sync(state)
            self.painted.view.visible = state.data == POINTS
            self._sync_width(state)
            self.widgets["data"].options = [name for name in CHOICES["data"].names if name != DRAWN or not is_composed]
            shown = self._shown(state)
            for name, widget in self.widgets.items():
                widget.visible = name in shown
                _put(name, widget, getattr(state, name))
            if state.upload is not None:
                put_on_dial(self.widgets["width"], "width", state.upload.first.width)
        finally:
            self._is_quiet = False

    def _shown(self, state: State) -> set[str]:
        left_out = set(_SOMETIMES) - set(takes(state.builder)) if state.file is None else set(_COMPOSED)
        return set(_ORDER) - left_out - (set() if state.data == POINTS else {"points"})

    def _sync_width(self, state: State) -> None:
        """Let the dial of the width rest for a network of a file, and say why."""
        widget, upload = self.widgets["width"], state.upload
        widget.disabled = upload is not None
        label = CHOICES["width"].label
        widget.label = label if upload is None else f"{label}, as {upload.name} has it"
        widget.sx = {} if upload is None else _READABLE

    def _changed(self, name: str, value: Any) -> None:
        if self._is_quiet or value is None:
            return
        if name == "middle":
            value = value or None
        self._change(**{name: _typed(name, value)})

    def _chosen(self, name: str) -> None:
        if not self._is_quiet and name != OWN:
            self._choose(PRESETS[name].state)


def dial(name: str) -> tuple[float, ...]:
    """Return the stops of a logarithmic dial, whole numbers for a count.

    Examples
    --------
    >>> dial("width")[:6], dial("width")[-1]
    ((2, 3, 4, 6, 8, 12), 4096)
    """
    choice = CHOICES[name]
    if choice.kind == "count":
        return (*(2**k * f // 2 for k in range(1, 12) for f in (2, 3)), 4096)
    return tuple(float(f"{10.0 ** (k / 6):.2g}") for k in range(-12, 13))


class Dial(pmui.DiscreteSlider):  # type: ignore[misc]
    """A slider that is heard at once: newer input cancels older work here anyway."""

    _debounce = 1  # milliseconds; 50 of every widget of Panel


def make_dial(name: str, label: str | None = None) -> Any:
    """Return a slider over the stops of `dial`."""
    return Dial(
        label=label or CHOICES[name].label, options=list(dial(name)), value=dial(name)[0], sizing_mode="stretch_width"
    )


def put_on_dial(widget: Any, name: str, value: float) -> None:
    """Set a dial, with a stop more where the value is none."""
    options = sorted({*dial(name), value})
    if widget.options != options:
        widget.options = options
    if widget.value != value:
        widget.value = value


def make_select(name: str, names: Mapping[str, str]) -> Any:
    """Return a list of names to choose from."""
    return pmui.Select(
        label=CHOICES[name].label, options={text: key for key, text in names.items()}, sizing_mode="stretch_width"
    )


def _widget(name: str) -> Any:
    choice = CHOICES[name]
    shown = {"label": choice.label, "sizing_mode": "stretch_width"}
    if name == "middle":
        return pmui.Select(options={"none": 0}, **shown)
    if choice.kind == "name":
        is_short = name not in ("builder", "data")
        return make_select(name, choice.names if is_short else {key: key for key in choice.names})
    if choice.kind == "points":
        return pmui.TextInput(placeholder="1, 0.5, 1; -0.5, 1, -1", **shown)
    if choice.is_logarithmic:
        return make_dial(name)
    if name == "depth":
        return pmui.IntSlider(start=int(choice.minimum or 1), end=int(choice.maximum or 8), **shown)
    if choice.kind == "number":
        return pmui.FloatSlider(start=choice.minimum, end=choice.maximum, step=0.05, **shown)
    return pmui.TextInput(**shown)


def _put(name: str, widget: Any, value: Any) -> None:
    if name == "middle":
        value = value or 0
        options = {"none": 0, **{_neurons(n): n for n in sorted({*_MIDDLES, *([value] if value else [])})}}
        if widget.options != options:
            widget.options = options
    if name == "points":
        value = "; ".join(", ".join(map(repr, one)) for one in value)
    if name in _TYPED:
        value = str(value)
    if CHOICES[name].is_logarithmic:
        put_on_dial(widget, name, value)
    elif value is not None and widget.value != value:
        widget.value = value


def _line(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _neurons(n: int) -> str:
    return "1 neuron" if n == 1 else f"{n} neurons"


def _typed(name: str, value: Any) -> Any:
    """Return what a widget holds as the state has it; a text that is no number as it is, for the state to refuse."""
    if name in _TYPED:
        return int(value) if _COUNT.fullmatch(value.strip()) else value[:40]
    return _points(value) if name == "points" else value


def _points(text: str) -> list[list[Any]]:
    return [[_number(one.strip()) for one in point.split(",")] for point in text.split(";") if point.strip()]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text[:40]
