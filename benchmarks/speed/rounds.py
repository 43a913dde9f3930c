"""Timed runs of several sides in turn: all lose alike when the machine is busy."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Answer = dict[str, Any]


class NoAnswerError(Exception):
    """A side ended without an answer; the message says why."""


class Runner(Protocol):
    """A side that is ready to run."""

    held_bytes: int  # the most it has held

    def run(self, limit: float, *, compiles: bool = False) -> Answer:
        """Return the answer of one run that takes at most `limit` seconds, the first perhaps longer."""

    def close(self) -> None:
        """End it."""


@dataclass
class Outcome:
    """What became of one side.

    Attributes
    ----------
    first : dict
        Answer of the warm-up, that compiles.
    answers : list of dict
        Of the timed runs.
    reason : str
        Why there are none, or no more.
    group : int
        Sides of one group ran in turn; the first side ran in every group.
    """

    first: Answer = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    reason: str = ""
    group: int = 0


@dataclass(frozen=True)
class Rules:
    """How often, how long, and how much at once.

    Attributes
    ----------
    runs : int
        Timed runs of each side; fewer where they take more than `limit` together.
    limit : float
        Seconds for one run.
    memory : int
        Bytes that all sides may hold together.
    pause : float
        Seconds before a run: the idle threads of the side before spin for a while before they sleep.
    warms_up : bool
        Make a first run that is not timed.
    """

    runs: int = 7
    limit: float = 60.0
    memory: int = 2**62
    pause: float = 0.3
    warms_up: bool = True


def alternate(runners: dict[str, Runner], outcomes: dict[str, Outcome], rules: Rules) -> None:
    """Run all sides in turn, every other round in reverse order, and add their answers."""
    for number in range(rules.runs):
        order = list(runners) if number % 2 == 0 else list(runners)[::-1]
        for key in order:
            outcome = outcomes[key]
            if outcome.reason or sum(one["seconds"] for one in outcome.answers) > rules.limit:
                continue
            time.sleep(rules.pause)
            try:
                outcome.answers.append(runners[key].run(rules.limit))
            except NoAnswerError as stopped:
                outcome.reason = str(stopped)


def measure(
    keys: Sequence[str],
    start: Callable[[str], Runner],
    rules: Rules,
    after_first: Callable[[str, Runner], None] = lambda key, runner: None,
) -> list[dict[str, Outcome]]:
    """Return the outcomes of all sides, group by group.

    Each begins with a run that is not timed, unless the rules say otherwise. Where the memory does not hold all of them
    at once they run in groups, the first side in each. `after_first` is called when a side has had its first run.
    """
    groups: list[dict[str, Outcome]] = []
    pending = list(keys)
    while pending:
        outcomes: dict[str, Outcome] = {}
        runners: dict[str, Runner] = {}
        later: list[str] = []
        try:
            for key in dict.fromkeys([keys[0], *pending]):
                outcome = Outcome(group=len(groups))
                try:
                    runner = start(key)
                except NoAnswerError as stopped:
                    outcomes[key] = Outcome(reason=str(stopped), group=len(groups))
                    continue
                runners[key] = runner
                try:
                    if rules.warms_up:
                        outcome.first = runner.run(rules.limit, compiles=True)
                        after_first(key, runner)
                except NoAnswerError as stopped:
                    outcome.reason = str(stopped)
                    runners.pop(key).close()
                held = sum(one.held_bytes for one in runners.values())
                if key in runners and len(runners) > 2 and held > rules.memory:
                    runners.pop(key).close()
                    later.append(key)
                    continue
                outcomes[key] = outcome
            alternate(runners, outcomes, rules)
        finally:
            for runner in runners.values():
                runner.close()
        groups.append(outcomes)
        pending = later
    return groups
