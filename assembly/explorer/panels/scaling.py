"""Scaling: a quantity over widths and seeds, measured while one looks; a study that is kept and goes on elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.models import BasicTickFormatter, ColumnDataSource, FixedTicker, LogTicker, NumeralTickFormatter
from bokeh.plotting import figure

from assembly.errors import AssemblyError
from assembly.explorer import keeping, scaling, scaling_picture
from assembly.explorer.components import Words, failure, table
from assembly.explorer.jobs import Failure, Task
from assembly.explorer.live_study import Frame, LiveStudy, Status
from assembly.explorer.state import CHOICES, FEWEST_SEEDS, MOST_MEASURED, MOST_SEEDS, State
from assembly.study.reading import dump
from assembly.study.specification import Specification

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "plus")
_WIDTHS = tuple(2**k for k in range(2, 13))
_MARKS = {"consistent": "✓", "inconsistent": "✗", "undecided": "?"}
_LEGEND = "A dot is a network, a line the fitted power, a dashed line the predicted slope."
FORECAST = "scaling forecast"


class Scaling:
    """The choices of a study, its run, its picture, and what is taken away.

    Parameters
    ----------
    post : callable
        Runs a function on the thread of the page, called from the worker.
    owns_machine : bool
        Whether the visitor may name folders of the machine.
    ask : callable
        Called with tasks that are answered by `show`.
    once_begun : callable
        Does something as soon as what it changes arrives in the browser.
    keep : callable
        Called with the choices of a study that a visitor changed.
    """

    def __init__(
        self,
        post: Callable[[Callable[[], None]], object],
        ask: Callable[[Mapping[str, Task]], object],
        once_begun: Callable[[Callable[[], None]], None],
        keep: Callable[..., None],
        *,
        owns_machine: bool,
    ) -> None:
        self._ask, self._once_begun, self._keep = ask, once_begun, keep
        self._live = LiveStudy(post, self._show_frame)
        self._places = keeping.Places(owns_machine=owns_machine)
        self._state = State()
        self._added: dict[str, State] = {}
        self._study: Specification | None = None
        self._folder: Path | None = None
        self._frame: Frame | None = None
        self._is_quiet = False
        wide = {"sizing_mode": "stretch_width"}
        self.quantity = pmui.Select(
            label="Quantity",
            options={text: name for name, text in CHOICES["quantity"].names.items()},
            value=State.quantity,
            **wide,
        )
        self.narrowest = pmui.Select(label="Narrowest width", options=list(_WIDTHS), value=State.narrowest, **wide)
        self.widest = pmui.Select(label="Widest width", options=list(_WIDTHS), value=State.widest, **wide)
        self.seeds = pmui.IntSlider(label="Seeds", start=FEWEST_SEEDS, end=MOST_SEEDS, value=State.seeds, **wide)
        self.n_measured = pmui.IntSlider(label="Inputs", start=1, end=MOST_MEASURED, value=State.n_measured, **wide)
        self.choices = {
            "quantity": self.quantity,
            "narrowest": self.narrowest,
            "widest": self.widest,
            "seeds": self.seeds,
            "n_measured": self.n_measured,
        }
        self.overlaid = pmui.CheckBoxGroup(
            label="Architectures", options=[], value=[], inline=True, visible=False, **wide
        )
        self.subject, self.cost = Words(), Words(is_live=True)
        self.add = pmui.Button(label="Add this architecture", variant="outlined")
        self.run = pmui.Button(label="Run", variant="contained")
        self.pause = pmui.Button(label="Pause", variant="outlined", disabled=True)
        self.cancel = pmui.Button(label="Cancel", variant="outlined", disabled=True)
        self.progress, self.answer, self.behind = Words(is_live=True), Words(is_live=True), Words()
        self.shown = pmui.Select(label="Shown", options={}, visible=False, **wide)
        self.dots = ColumnDataSource({"x": [], "y": [], "colour": [], "marker": [], "legend": []})
        self.fits = ColumnDataSource({"xs": [], "ys": [], "colour": []})
        self.predictions = ColumnDataSource({"xs": [], "ys": [], "colour": []})
        self.figure = _figure(self.dots, self.fits, self.predictions)
        self.picture = pn.pane.Bokeh(self.figure, height=380, **wide)
        self.folder = pmui.TextInput(label="Folder that keeps the study", placeholder="none: a temporary one", **wide)
        self.reopen = pmui.Button(label="Reopen the folder", variant="outlined")
        self.upload = pmui.FileInput(
            label="Reopen a study.toml", accept=".toml", max_file_size=keeping.LONGEST_FILE, variant="outlined"
        )
        self.study_file = pmui.FileDownload(
            label="study.toml", filename="study.toml", callback=self._toml, disabled=True
        )
        self.results_file = pmui.FileDownload(
            label="results.csv", filename="results.csv", callback=self._csv, disabled=True
        )
        for one in (self.study_file, self.results_file):
            one.variant = "outlined"  # given above, it warns of an option of panel's own
        self.command = Words()
        self._listen()
        self.view = self._lay_out(owns_machine)

    # --- what the page asks of every panel ---------------------------------------------------------------------------

    def sync(self, state: State) -> None:
        """Show the choices of a study, without telling of it, and the architecture that a run would measure."""
        self._state = state
        self._is_quiet = True
        try:
            for widget, width in ((self.narrowest, state.narrowest), (self.widest, state.widest)):
                options = sorted({*_WIDTHS, width})  # an address may have any
                if widget.options != options:
                    widget.options = options
            for name, widget in self.choices.items():
                widget.value = getattr(state, name)
        finally:
            self._is_quiet = False
        self._say_subject()

    def wait(self, state: State) -> None:
        """Nothing is computed before it is asked for."""

    def tasks(self, state: State) -> Mapping[str, Task]:
        """Return the forecast of the study that the choices make."""
        try:
            study = self._specified()
        except AssemblyError as error:
            sentence = str(error)

            def refused(stop: Callable[[], bool]) -> Failure:
                return Failure(sentence)

            return {FORECAST: refused}
        return {FORECAST: lambda stop: scaling.forecast(study)}

    def show(self, name: str, answer: Any) -> None:
        """Show a forecast, if it is one."""
        if name != FORECAST:
            return
        if isinstance(answer, Failure):
            self.cost.html = failure(answer.sentence)
        else:
            refusal = failure(answer.refusal) if answer.refusal else ""
            self.cost.html = f"<p>{escape(answer.sentence)}</p>{refusal}"

    def close(self) -> None:
        """End the work; a temporary folder goes with it."""
        self._live.close(self._places.close)

    # --- what a visitor does -----------------------------------------------------------------------------------------

    def _listen(self) -> None:
        for name, widget in self.choices.items():
            widget.param.watch(lambda event, name=name: self._keep_one(name, event.new), "value")
        self.overlaid.param.watch(lambda _: self._once_begun(self._chosen), "value")
        self.shown.param.watch(lambda _: self._draw(), "value")
        for button, act in (
            (self.add, self._add),
            (self.run, self._run),
            (self.pause, self._pause_or_resume),
            (self.cancel, self._cancel),
            (self.reopen, self._reopen),
        ):
            button.on_click(lambda _, act=act: self._once_begun(partial(self._politely, act)))
        self.upload.param.watch(lambda event: self._politely(self._read_upload) if event.new else None, "value")

    def _politely(self, act: Callable[[], None]) -> None:
        try:
            act()
        except AssemblyError as error:
            self.progress.html = failure(str(error))

    def _keep_one(self, name: str, value: Any) -> None:
        if not self._is_quiet and value is not None:
            self._keep(**{name: value})
            self._once_begun(self._chosen)

    def _chosen(self) -> None:
        if not self._is_quiet:
            self._say_subject()
            self._ask(self.tasks(self._state))

    def _add(self) -> None:
        name = scaling.label(self._state)
        self._added[name] = self._state
        self._is_quiet = True
        try:
            self.overlaid.options = list(self._added)
            self.overlaid.visible = True
            self.overlaid.value = [*dict.fromkeys([*self.overlaid.value, name])]
        finally:
            self._is_quiet = False
        self._chosen()

    def _run(self) -> None:
        study = self._specified()
        self._begin(study, self._places.of(study, self.folder.value))

    def _pause_or_resume(self) -> None:
        if self._live.is_running:
            self.pause.disabled = True
            self._live.stop()
            self.progress.html = "<p>Pausing: what is measured is kept ...</p>"
        elif self._study is not None and self._folder is not None:
            self._begin(self._study, self._folder)

    def _cancel(self) -> None:
        self._live.stop()
        self._study = None
        self._frame = None
        self._clear()
        kept = "" if self._folder is None else f" What was measured is kept in {self._folder}."
        self.progress.html = f"<p>Cancelled.{escape(kept)}</p>"

    def _reopen(self) -> None:
        study, folder = self._places.reopened(self.folder.value)
        self._begin(study, folder, measures=False)

    def _read_upload(self) -> None:
        study = keeping.uploaded(_first(self.upload.value))
        self.upload.value = None
        self._begin(study, self._places.of(study, self.folder.value), measures=False)

    def _specified(self) -> Specification:
        states = [self._added[name] for name in self.overlaid.value] or [self._state]
        states = [one.replace(data=self._state.data, radius=self._state.radius) for one in states]
        return scaling.specified(
            states,
            scaling.Choices(**self._state.of_study),
        )

    def _begin(self, study: Specification, folder: Path, *, measures: bool = True) -> None:
        self._live.start(study, folder, measures=measures)
        self._offer(study, folder)
        self._dress("waiting")

    # --- what a visitor sees -----------------------------------------------------------------------------------------

    def _offer(self, study: Specification, folder: Path) -> None:
        self._study, self._folder = study, folder
        self.study_file.disabled = False
        self.command.html = _command(folder, is_temporary=not self.folder.value)

    def _say_subject(self) -> None:
        chosen = self.overlaid.value
        here = scaling.label(self._state)
        words = (
            f"A run measures the architectures ticked here, on {self._state.data}."
            if chosen
            else f"A run measures the network composed here, {here}, on {self._state.data}. Add it to overlay others."
        )
        self.subject.html = f"<p>{escape(words)}</p>"

    def _show_frame(self, frame: Frame) -> None:
        if self._study is None:  # it was cancelled
            self.run.disabled = self.reopen.disabled = self._live.is_running
            return
        if frame.result is not None:
            self._frame = frame
        self._dress(frame.status)
        bar = ""
        if frame.n_points:
            bar = f'<progress max="{frame.n_points}" value="{frame.n_done}" style="width: 100%" '
            bar += 'aria-label="networks measured"></progress>'
        self.progress.html = (
            failure(frame.sentence)
            if frame.status == "failed"
            else f'<p data-status="{frame.status}">{escape(frame.sentence)}</p>{bar}'
        )
        if frame.findings:
            self._name_columns(scaling_picture.columns(frame.findings))
            self._draw()

    def _dress(self, status: Status) -> None:
        is_busy = status in ("waiting", "measuring")
        self.run.disabled = self.reopen.disabled = is_busy
        self.pause.label = "Pause" if is_busy or status == "whole" else "Resume"
        self.pause.disabled = status == "whole"
        self.cancel.disabled = False
        self.results_file.disabled = self._frame is None

    def _clear(self) -> None:
        for source in (self.dots, self.fits, self.predictions):
            source.data = {column: [] for column in source.data}
        self.answer.html = self.behind.html = ""
        self.shown.visible = False
        self.run.disabled = self.reopen.disabled = self._live.is_running
        self.pause.label, self.pause.disabled = "Pause", True
        self.cancel.disabled = self.results_file.disabled = self.study_file.disabled = True

    def _name_columns(self, names: Mapping[str, str]) -> None:
        options = {text: column for column, text in names.items()}
        if self.shown.options != options:
            kept = self.shown.value if self.shown.value in names else next(iter(names))
            self._is_quiet = True
            try:
                self.shown.options = options
                self.shown.value = kept
            finally:
                self._is_quiet = False
        self.shown.visible = len(names) > 1

    def _draw(self) -> None:
        frame = self._frame
        if self._is_quiet or frame is None or frame.result is None or not self.shown.value:
            return
        found = scaling_picture.picture(frame, self.shown.value)
        dots: dict[str, list[Any]] = {column: [] for column in self.dots.data}
        for one in found.series:
            n = len(one.widths)
            dots["x"] += one.widths
            dots["y"] += one.values
            dots["colour"] += [_COLOURS[one.place % len(_COLOURS)]] * n
            dots["marker"] += [_MARKERS[one.place % len(_MARKERS)]] * n
            dots["legend"] += [one.legend] * n
        self.dots.data = dots
        self.fits.data = _lines(found.series, "line")
        self.predictions.data = _lines(found.series, "predicted")
        self.figure.yaxis.axis_label = found.name
        widths = list(frame.result.specification.all_widths)
        if self.figure.xaxis[0].ticker.ticks != widths:
            self.figure.xaxis[0].ticker = FixedTicker(ticks=widths)
        sentences = "".join(
            f'<li data-verdict="{escape(verdict)}">{_MARKS.get(verdict, "")} {escape(text)}</li>'
            for text, verdict in found.sentences
        )
        notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in frame.result.notes)
        self.answer.html = f"<ul>{sentences}</ul>" + (notes if frame.status == "whole" else "")
        self.behind.html = f"<p><small>{escape(f'{_LEGEND} {found.meaning}')}</small></p>" + table(
            "The picture in numbers", found.heading, found.rows
        )

    def _toml(self) -> io.BytesIO:
        return io.BytesIO(b"" if self._study is None else dump(self._study).encode())

    def _csv(self) -> io.BytesIO:
        result = None if self._frame is None else self._frame.result
        return io.BytesIO(b"" if result is None else scaling_picture.table_text(result).encode())

    def _lay_out(self, owns_machine: bool) -> Any:
        wide = {"sizing_mode": "stretch_width"}
        folder = [pmui.Row(self.folder, self.reopen, **wide)] if owns_machine else []
        return pmui.Column(
            Words(html="<h2>Scaling with width</h2>"),
            _grid((self.quantity, 12, 6), (self.narrowest, 6, 3), (self.widest, 6, 3)),
            _grid((self.seeds, 6, 3), (self.n_measured, 6, 3), (self.add, 12, 6)),
            self.subject,
            self.overlaid,
            self.cost,
            pmui.FlexBox(self.run, self.pause, self.cancel),
            self.progress,
            self.picture,
            self.shown,
            self.answer,
            self.behind,
            Words(html="<h2>Keep it, go on elsewhere</h2>"),
            *folder,
            self.command,
            pmui.FlexBox(self.study_file, self.results_file, self.upload),
            **wide,
        )


def _grid(*cells: tuple[Any, int, int]) -> Any:
    """Return widgets side by side, each with its twelfths of the width on a phone and on a desk."""
    sized = (pmui.Grid(widget, size={"xs": phone, "md": desk}) for widget, phone, desk in cells)
    return pmui.Grid(*sized, container=True, spacing=0, sizing_mode="stretch_width")


def _first(value: Any) -> bytes:
    content = value[0] if isinstance(value, list) else value
    return bytes(content)


def _lines(series: tuple[scaling_picture.Series, ...], which: str) -> dict[str, list[Any]]:
    drawn = [one for one in series if getattr(one, which)]
    return {
        "xs": [list(one.line_widths) for one in drawn],
        "ys": [list(getattr(one, which)) for one in drawn],
        "colour": [_COLOURS[one.place % len(_COLOURS)] for one in drawn],
    }


def _command(folder: Path, *, is_temporary: bool) -> str:
    kept = "This folder is kept as long as this page is open. " if is_temporary else ""
    return (
        f"<p><small>{kept}Pause, and this line goes on with the study in a terminal:</small></p>"
        '<p><button type="button" data-copies="pre" data-label="Copy the command">Copy the command</button></p>'
        f'<details open><summary>The command</summary><pre tabindex="0">{escape(keeping.command(folder))}</pre>'
        "</details>"
    )


def _figure(dots: ColumnDataSource, fits: ColumnDataSource, predictions: ColumnDataSource) -> Any:
    drawn = figure(
        height=380,
        sizing_mode="stretch_width",
        toolbar_location=None,
        tools="",
        x_axis_type="log",
        y_axis_type="log",
        x_axis_label="width m",
        y_axis_label="",
    )
    drawn.multi_line("xs", "ys", source=predictions, color="colour", line_width=2, line_dash="dashed")
    drawn.multi_line("xs", "ys", source=fits, color="colour", line_width=2.5)
    drawn.scatter(
        "x", "y", source=dots, color="colour", marker="marker", size=8, fill_alpha=0.55, legend_field="legend"
    )
    drawn.xaxis.ticker, drawn.xaxis.formatter = FixedTicker(ticks=[]), NumeralTickFormatter(format="0")
    drawn.yaxis.ticker, drawn.yaxis.formatter = LogTicker(mantissas=[1, 2, 5]), BasicTickFormatter()
    drawn.legend.location = "left"
    drawn.add_layout(drawn.legend[0], "above")
    drawn.legend.background_fill_alpha = drawn.legend.border_line_alpha = 0.0
    drawn.legend.label_text_font_size = "12px"
    drawn.legend.padding = drawn.legend.margin = 2
    return drawn
