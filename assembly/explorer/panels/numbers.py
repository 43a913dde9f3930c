"""The first answer: the verdict in a sentence, with the names of the culprits, and the numbers it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import panel_material_ui as pmui

from assembly.explorer.components import Words, at_work, failure, table
from assembly.explorer.jobs import Failure, Task
from assembly.explorer.state import LOOKED_AT, State

if TYPE_CHECKING:
    from assembly.explorer import answers

NUMBERS, JUDGED, FORECAST = "numbers", "judged", "forecast"


class Numbers:
    """The verdict, a sentence for the head of the page; findings and numbers, above all other answers."""

    def __init__(self) -> None:
        self.verdict = Words(is_live=True)
        self.findings, self.numbers = Words(), Words()
        self.notice = Words(is_live=True)
        self._answered: set[str] = set()  # of the tasks,
        self._state: State | None = None  # for this state, whatever is looked at
        self.view = pmui.Column(self.notice, self.findings, self.numbers, sizing_mode="stretch_width")

    def wait(self, state: State) -> None:
        """Say that the answers `tasks` asked for are on their way; what was shown before stays readable until then."""
        if self._asked_for:
            self.notice.say("")
        for name in self._asked_for:
            for words in self._words[name]:
                words.wait()

    def tasks(self, state: State) -> Mapping[str, Task]:
        """Return what is to be computed for a state; what is known already is not."""
        from assembly.explorer import answers  # which the first page does without, behind it they are loaded

        if self._state is None or not state.equals_but_for(self._state, LOOKED_AT):
            self._state, self._answered = state, set()
        tasks: dict[str, Task] = {NUMBERS: partial(answers.numbers, state), JUDGED: partial(answers.judged, state)}
        first: dict[str, Task] = {}
        if answers.may_take_long(state):
            first[FORECAST] = partial(answers.long_forecast, state)
        return first | {name: tasks[name] for name in self._asked_for}

    def show(self, name: str, answer: Any) -> None:
        """Show an answer, if it is one of these."""
        if name == FORECAST and self._asked_for:
            self.notice.say(failure(answer.sentence) if isinstance(answer, Failure) else _notice(answer))
        elif name == NUMBERS:
            self.numbers.say(self._refused(answer) if isinstance(answer, Failure) else _numbers(answer))
        elif name == JUDGED:
            is_refused = isinstance(answer, Failure)
            self.verdict.say(self._refused(answer) if is_refused else _verdict(answer))
            self.findings.say("" if is_refused else _findings(answer))
            if 'class="work"' in self.notice.html:
                self.notice.say("")
        if name in self._words and not isinstance(answer, Failure):
            self._answered.add(name)

    @property
    def _words(self) -> Mapping[str, tuple[Words, ...]]:
        return {NUMBERS: (self.numbers,), JUDGED: (self.verdict, self.findings)}

    @property
    def _asked_for(self) -> list[str]:
        return [name for name in self._words if name not in self._answered]

    def _refused(self, answer: Failure) -> str:
        """Return why there is no answer, once: what was refused before it began is told already."""
        told = failure(answer.sentence)
        return "" if self.notice.html == told else told


def _notice(found: answers.Forecast | None) -> str:
    if found is None:
        return ""
    return at_work(f"On this machine the numbers take {found.numbers.text}, the verdict {found.judged.text}.")


def _numbers(found: answers.Numbers) -> str:
    cards = "".join(
        f'<div data-quantity="{escape(name)}"><dt>{escape(name)}</dt><dd>{escape(value)}'
        f"<small>{escape(note)}</small></dd></div>"
        for name, value, note in found.table.rows
    )
    return f'<dl class="numbers">{cards}</dl>'


def _verdict(found: answers.Judged) -> str:
    said = f'<p class="verdict" data-word="{escape(found.word)}">{escape(found.sentence)}</p>'
    return f'<div class="first">{said}</div>'


def _findings(found: answers.Judged) -> str:
    findings = "".join(f"<li>{escape(sentence)}</li>" for sentence in found.findings[1:])
    notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in found.notes)
    return (
        f"{f'<ul>{findings}</ul>' if findings else ''}"
        f"{_gauge('Dominance', found.dominance, 'the largest share of one neuron in its layer')}"
        f"{_gauge('Diversity', found.diversity, '1 less the largest root mean square cosine')}{notes}"
        f"{table(found.table.title, found.table.heading, found.table.rows)}"
    )


def _gauge(name: str, found: answers.Gauge, meaning: str) -> str:
    value = f' value="{found.value:.4f}"' if found.value == found.value else ""
    return (
        f'<p class="gauge"><label>{name} <meter min="0" max="1"{value} title="{escape(meaning)}"></meter></label> '
        f"{escape(found.text)} <small>({escape(found.where)})</small></p>"
    )
