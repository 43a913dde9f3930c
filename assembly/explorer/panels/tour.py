"""The guided tour: what to look at, a question, and what is said to an answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import Any

import panel_material_ui as pmui

from assembly.explorer import tour
from assembly.explorer.components import Words, failure
from assembly.explorer.jobs import Failure, Task
from assembly.explorer.state import State
from assembly.explorer.tour import STEPS, start

REPLY = "reply of the tour"


class Tour:
    """The panel.

    Parameters
    ----------
    choose : callable
        Called with the state of the step that a visitor goes to.
    ask : callable
        Called with the task that checks an answer.
    once_begun : callable
        Called with what a button does: that is done now, or when the page begins.
    leave : callable
        Called to go back to the network that was there before the tour.
    """

    def __init__(
        self,
        choose: Callable[[State], None],
        ask: Callable[[Mapping[str, Task]], None],
        once_begun: Callable[[Callable[[], None]], None],
        leave: Callable[[], None],
    ) -> None:
        self._choose, self._ask, self._position = choose, ask, 0
        self.words, self.said = Words(), Words(is_live=True)
        self.name = pmui.RadioBoxGroup(label="Your answer", options=[], sizing_mode="stretch_width")
        self.number = pmui.TextInput(label="Your answer, a number", sizing_mode="stretch_width")
        self.check = pmui.Button(label="Check", variant="contained", width=110)
        self.back = pmui.Button(label="Back", variant="outlined", width=90)
        self.next = pmui.Button(label="Next", variant="outlined", width=90)
        self.again = pmui.Button(label="Set the controls again", variant="outlined", width=210)
        self.home = pmui.Button(label="Back to your network", variant="outlined", width=210, visible=False)
        self.home.on_click(lambda _: once_begun(leave))
        for widget in (self.name, self.number):
            widget.param.watch(lambda _: self._forget(), "value")
        self.check.on_click(lambda _: once_begun(self._check))
        self.back.on_click(lambda _: once_begun(lambda: self._go(self._position - 1)))
        self.next.on_click(lambda _: once_begun(lambda: self._go(self._position + 1)))
        self.again.on_click(lambda _: once_begun(lambda: self._go(self._position)))
        self.view = pmui.Column(
            self.words,
            self.name,
            self.number,
            pmui.FlexBox(self.check, self.back, self.next, self.again, self.home),
            self.said,
            sizing_mode="stretch_width",
        )

    def sync(self, state: State) -> None:
        """Show the step of a state."""
        if state.tour_step == self._position:
            return
        self._position = state.tour_step
        step = STEPS[self._position - 1]
        self.words.html = (
            f"<h2>{self._position} of {len(STEPS)}: {escape(step.title)}</h2><p>{escape(step.words)}</p>"
            f"<p><strong>Look at:</strong> {escape(step.look)}</p><p><strong>{escape(step.question)}</strong></p>"
        )
        self.name.options, self.name.value = list(step.names), None
        self.name.visible, self.number.visible = bool(step.names), not step.names
        self.number.value = self.said.html = ""
        self.back.disabled, self.next.disabled = self._position == 1, self._position == len(STEPS)

    def wait(self, state: State) -> None:
        """Say that answers are on their way: what is said here does not depend on the state."""

    def tasks(self, state: State) -> Mapping[str, Task]:
        """Return what the page's own worker is to compute: nothing."""
        return {}

    def show(self, name: str, answer: Any) -> None:
        """Show what is said to an answer, if it is one of these."""
        if name != REPLY:
            return
        if isinstance(answer, Failure):
            self.said.html = failure(answer.sentence)
            return
        mark = "✓" if answer.right else "…"
        self.said.html = (
            f'<p class="verdict" data-right="{str(answer.right).lower()}">{mark} {escape(repr(answer))}</p>'
        )

    def _check(self) -> None:
        answer = self.name.value if STEPS[self._position - 1].names else _read(self.number.value)
        if answer is None:
            self.said.html = failure("Choose an answer first." if self.name.visible else "Type a number, as 0.25.")
            return
        self.said.html = '<p class="waiting">checking ...</p>'
        self._ask({REPLY: partial(_reply, self._position, answer)})

    def _forget(self) -> None:
        """Take back what was said to another answer."""
        self.said.html = ""

    def _go(self, position: int) -> None:
        if 1 <= position <= len(STEPS):
            self.said.html = ""
            self._choose(start(position))


def _reply(position: int, answer: object, stop: Callable[[], bool]) -> Any:
    return tour.reply(position, answer, stop)


def _read(text: str) -> float | None:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
