"""The work behind one page: one thread, the newest state wins, and the page is never waited for."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from assembly.errors import AssemblyError
from assembly.progress import watched
from assembly.threads import one_blas_thread

Stop = Callable[[], bool]
Task = Callable[[Stop], Any]  # asks now and then whether to stop, and then raises what it likes
Frames = dict[str, Any]

_REST, _NAP = 0.5, 0.05  # seconds
_log = logging.getLogger(__name__)
_QUICK = threading.BoundedSemaphore(max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2))
_LONG = threading.BoundedSemaphore(1)


@dataclass(frozen=True)
class Failure:
    """What stands in the place of an answer that there is none of: a sentence for the reader."""

    sentence: str


class Jobs:
    """One worker thread of one page.

    Parameters
    ----------
    post : callable
        Called from the worker with a function to be run on the thread of the page; it may raise when the page is gone.
    show : callable
        Called on the thread of the page with the answers found since the last call, by the names of their tasks.
    is_long : bool
        Whether the tasks may take minutes and do not end at once when they are stopped.
    is_away : callable
        Whether nobody looks at the page, as during a reconnect: the work rests meanwhile, wherever it asks whether to
        stop.

    Notes
    -----
    At most one call of `show` waits at any time: a page that is slower than the work gets the newest answers together.
    No more pages compute at once than there are cores, and one more, whose work is long: it waits for others of its
    kind alone, and nobody else for it.

    Examples
    --------
    >>> shown = {}
    >>> done = threading.Event()
    >>> jobs = Jobs(post=lambda run: run(), show=lambda frames: (shown.update(frames), done.set()))
    >>> jobs.submit({"answer": lambda stop: 42})
    >>> done.wait(10.0), shown
    (True, {'answer': 42})
    >>> jobs.close()
    """

    def __init__(
        self,
        post: Callable[[Callable[[], None]], object],
        show: Callable[[Frames], object],
        *,
        is_long: bool = False,
        is_away: Callable[[], bool] = lambda: False,
    ) -> None:
        self._post, self._show, self._is_away = post, show, is_away
        self._turns = _LONG if is_long else _QUICK
        self._alone = nullcontext if is_long else one_blas_thread  # idle threads of BLAS spin, where browsers draw
        self._changed = threading.Condition()
        self._waiting: Mapping[str, Task] | None = None
        self._frames: Frames = {}
        self._generation = 0
        self._is_posted = self._is_closed = False
        self._thread: threading.Thread | None = None

    def submit(self, tasks: Mapping[str, Task]) -> None:
        """Do these tasks, one after the other, instead of all that were given before; returns at once."""
        with self._changed:
            if self._is_closed:
                return
            self._generation += 1
            self._waiting, self._frames = tasks, {}
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="explorer", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Stop the work and end the thread; nothing is shown any more."""
        with self._changed:
            self._is_closed = True
            self._generation += 1
            self._waiting, self._frames = None, {}
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None and not self._is_closed:
                    self._changed.wait()
                if self._waiting is None:
                    return
                tasks, generation, self._waiting = self._waiting, self._generation, None

            def stop(mine: int = generation) -> bool:
                while self._is_away() and self._generation == mine:
                    time.sleep(_NAP)
                return self._generation != mine

            for name, task in tasks.items():
                with self._turns, self._alone():
                    if stop():
                        break
                    answer = _answer(name, task, stop)
                if not self._deliver(name, answer, generation):
                    break

    def _deliver(self, name: str, answer: Any, generation: int) -> bool:
        with self._changed:
            if self._generation != generation:
                return False
            self._frames[name] = answer
            if self._is_posted:
                return True
            self._is_posted = True
        try:
            self._post(self._flush)
        except Exception:
            _log.debug("the page is gone", exc_info=True)
            self.close()
            return False
        return True

    def _flush(self) -> None:
        with self._changed:
            frames, self._frames, self._is_posted = self._frames, {}, False
        if frames:
            self._show(frames)


def after_a_rest(task: Task) -> Task:
    """Return a task that begins only when nothing newer was asked for during half a second."""

    def rested(stop: Stop) -> Any:
        until = time.monotonic() + _REST
        while time.monotonic() < until:
            _check(stop)
            time.sleep(0.02)
        return task(stop)

    return rested


class _StaleError(Exception):
    """Nobody waits for this answer any more."""


def _check(stop: Stop) -> None:
    if stop():
        raise _StaleError


def _answer(name: str, task: Task, stop: Stop) -> Any:
    """Return what a task finds, or a failure; None if it was stopped. Whatever goes wrong, the thread goes on."""
    try:
        with watched(partial(_check, stop)):
            return task(stop)
    except AssemblyError as error:
        return Failure(str(error))
    except MemoryError:
        return Failure("There is too little memory for this: choose a smaller width.")
    except Exception as error:
        if stop():
            return None
        _log.exception("the task %r failed", name)
        return Failure(f"This could not be computed ({type(error).__name__}); the log of the server says more.")
