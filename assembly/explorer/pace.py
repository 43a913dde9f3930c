"""When a page answers its state: at once, and while a dial is turned no faster than the browser shows what it got."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

WORK_LASTS, BROWSER_LASTS = 0.3, 2.0  # seconds for which newer input waits


class Pace:
    """The turns of one page. Everything is called on the thread of the page.

    Parameters
    ----------
    answer : callable
        Begins to answer the state as it is then; calls `began`.
    post : callable
        Runs a function on the thread of the page, soon; called from any thread.

    Notes
    -----
    A dial that is turned goes through many states. The first is answered at once. The next one has its turn when that
    answer is whole and the browser has shown it: what was passed in the meantime is left out, nothing queues up. Work
    that lasts longer than `WORK_LASTS` makes way for what is newer; a browser that is silent for `BROWSER_LASTS`, with
    its connection lost or its answer, is no longer waited for.
    """

    def __init__(self, answer: Callable[[], None], post: Callable[[Callable[[], None]], object]) -> None:
        self._answer, self._post = answer, post
        self._is_due = self._is_timed = False
        self._awaited: set[str] = set()
        self._began = self._showed = -max(WORK_LASTS, BROWSER_LASTS)
        self._is_behind = False

    def ask(self) -> None:
        """Have the state answered when its turn comes, after what else the browser sent is read."""
        if not self._is_due:
            self._is_due = True
            self._post(self._take_turn)

    def began(self, awaited: Iterable[str]) -> None:
        """Note that the state is being answered, by these tasks."""
        self._is_due, self._awaited, self._began = False, set(awaited), time.monotonic()

    def showed(self, answered: Iterable[str]) -> None:
        """Note that answers of these tasks were sent to the browser."""
        self._awaited -= set(answered)
        self._is_behind, self._showed = True, time.monotonic()

    def seen(self) -> None:
        """Note that the browser shows the newest it was sent."""
        self._is_behind = False
        self._take_turn()

    def _take_turn(self) -> None:
        if not self._is_due:
            return
        rest = self._rest()
        if rest <= 0.0:
            self._answer()
        elif not self._is_timed:
            self._is_timed = True
            timer = threading.Timer(rest, self._post, (self._wake,))
            timer.daemon = True
            timer.start()

    def _wake(self) -> None:
        self._is_timed = False
        self._take_turn()

    def _rest(self) -> float:
        """Return for how many seconds the newest state has to wait at most."""
        work = self._began + WORK_LASTS if self._awaited else 0.0
        browser = self._showed + BROWSER_LASTS if self._is_behind else 0.0
        return max(work, browser) - time.monotonic()
