"""A study that is measured behind a page, by worker processes, and tells how far it is."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from assembly.errors import ArgumentError, AssemblyError
from assembly.explorer.scaling import fitting_workers, forecast
from assembly.progress import duration
from assembly.study import design
from assembly.study.findings import Finding, assess
from assembly.study.result import StudyResult
from assembly.study.runner import Progress, StudyRun, measure_all
from assembly.study.specification import Specification

_FRAMES_APART = 0.3  # seconds
_LOOK_EVERY = 0.1
_AT_ONCE = threading.BoundedSemaphore(2)  # studies of all pages; every one has workers of its own
_log = logging.getLogger(__name__)

Status = Literal["waiting", "measuring", "paused", "whole", "failed"]


@dataclass(frozen=True)
class Frame:
    """Where a study stands: all that a page shows of it.

    Attributes
    ----------
    status : str
        waiting (for its turn, or its workers), measuring, paused, whole or failed.
    sentence : str
        How far it is, or what went wrong.
    n_done, n_points : int
    result : StudyResult or None
        The points that are measured.
    findings : tuple of Finding
        What they say.
    """

    status: Status
    sentence: str
    n_done: int = 0
    n_points: int = 0
    result: StudyResult | None = None
    findings: tuple[Finding, ...] = ()


class LiveStudy:
    """At most one study at a time, measured behind a page.

    Parameters
    ----------
    post : callable
        Called from the worker with a function to be run on the thread of the page; it may raise when the page is gone.
    show : callable
        Called on the thread of the page with the newest `Frame`.

    Notes
    -----
    Points are measured by worker processes, as on the command line, so the numbers are the same bit for bit; every one
    is on disk once it is counted. No more than two studies of all pages measure at once: others wait for their turn.
    """

    def __init__(self, post: Callable[[Callable[[], None]], object], show: Callable[[Frame], object]) -> None:
        self._post, self._show = post, show
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._frame: Frame | None = None
        self._is_posted = self._is_closed = self._is_busy = False

    @property
    def is_running(self) -> bool:
        """Whether a study is being measured, or comes to its stop."""
        return self._is_busy

    def start(self, study: Specification, folder: Path, *, measures: bool = True) -> None:
        """Measure what is missing of a study, or show only what is there; returns at once.

        Raises
        ------
        ArgumentError
            If a study is being measured.
        """
        if self.is_running:
            raise ArgumentError("The study on this page is still being measured: pause it first.")
        if self._is_closed:
            return
        self._is_busy, self._stop = True, threading.Event()
        stop = self._stop.is_set if measures else lambda: True
        self._thread = threading.Thread(target=self._work, args=(study, folder, stop), name="scaling", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop soon; what is measured is kept. Returns at once."""
        self._stop.set()

    def close(self, then: Callable[[], object] = lambda: None) -> None:
        """Stop, show nothing any more, and do something once the work has ended."""
        self._is_closed = True
        self._stop.set()
        thread = self._thread
        if thread is None or not thread.is_alive():
            then()
        else:
            threading.Thread(target=_after, args=(thread, then), daemon=True).start()

    def _work(self, study: Specification, folder: Path, stop: Callable[[], bool]) -> None:
        frame = self._outcome(study, folder, stop)
        self._is_busy = False
        self._tell(frame)

    def _outcome(self, study: Specification, folder: Path, stop: Callable[[], bool]) -> Frame:
        """Return the last frame of a run. Whatever goes wrong, it says so."""
        has_turn = False
        try:
            while not stop() and not (has_turn := _AT_ONCE.acquire(timeout=_LOOK_EVERY)):
                self._tell(Frame("waiting", "Waiting: other studies are being measured ..."))
            refusal = forecast(study).refusal if has_turn else ""
            return Frame("failed", refusal) if refusal else self._measured(study, folder, stop)
        except AssemblyError as error:
            return Frame("failed", _for_page(str(error)))
        except MemoryError:
            return Frame("failed", "There is too little memory for this: choose a smaller width.")
        except Exception as error:
            _log.exception("the study failed")
            kind = type(error).__name__
            return Frame("failed", f"This could not be measured ({kind}); the log of the server says more.")
        finally:
            if has_turn:
                _AT_ONCE.release()

    def _measured(self, study: Specification, folder: Path, stop: Callable[[], bool]) -> Frame:
        from assembly.study.measure import measure

        with StudyRun(study, folder, time.perf_counter()) as run:
            if run.todo and not stop():
                watch = _Watch(run, self._tell)
                measure_all(
                    [run],
                    fitting_workers(run.todo),
                    watch.told,
                    measure,
                    stop=lambda: watch.is_shown_in_time() and stop(),
                )
            return _ended(run.finish(), len(run.points))

    def _tell(self, frame: Frame) -> None:
        """Have a frame shown; a page that is slower than the work gets the newest alone."""
        with self._lock:
            if self._is_closed:
                return
            self._frame = frame
            if self._is_posted:
                return
            self._is_posted = True
        try:
            self._post(self._flush)
        except Exception:
            _log.debug("the page is gone", exc_info=True)
            self._is_closed = True
            self._stop.set()

    def _flush(self) -> None:
        with self._lock:
            frame, self._frame, self._is_posted = self._frame, None, False
        if frame is not None and not self._is_closed:
            self._show(frame)


def _after(thread: threading.Thread, then: Callable[[], object]) -> None:
    thread.join()
    then()


class _Watch:
    """Gathers the points of a run as they come, and has them shown a few times a second."""

    def __init__(self, run: StudyRun, tell: Callable[[Frame], None]) -> None:
        self._tell, self._last = tell, -math.inf
        order = sorted(run.points, key=partial(design.row_order, run.specification))
        self._places = {(one.architecture, one.width, one.seed): i for i, one in enumerate(order)}
        self._result = run.finish()
        self._untold: Progress | None = None

    def told(self, progress: Progress) -> None:
        outcome = progress.outcome
        if outcome is not None and outcome.quantities is not None:
            point = outcome.point
            row = {"architecture": point.architecture, "width": point.width, "seed": point.seed, **outcome.quantities}
            rows = sorted([*self._result.rows, row], key=lambda one: self._places[_place(one)])
            self._result = replace(self._result, rows=rows)
        self._untold = progress
        self.is_shown_in_time()

    def is_shown_in_time(self) -> bool:
        """Show what is new unless something was shown a moment ago; True."""
        progress, now = self._untold, time.monotonic()
        if progress is None or now - self._last < _FRAMES_APART:
            return True
        self._untold, self._last = None, now
        findings = tuple(assess(self._result)) if self._result.rows else ()
        status: Status = "waiting" if progress.outcome is None else "measuring"
        self._tell(Frame(status, _how_far(progress), progress.n_done, progress.n_points, self._result, findings))
        return True


def _place(row: Mapping[str, Any]) -> tuple[str, int, int]:
    return row["architecture"], row["width"], row["seed"]


def _how_far(progress: Progress) -> str:
    if progress.stage != "measuring":
        word = {"compiling": "Compiling the kernels, once", "starting": "Starting"}[progress.stage]
        there = f"; {progress.n_reused} of {progress.n_points} networks are measured already" * (progress.n_reused > 0)
        return f"{word} ...{there}"
    left = "" if progress.remaining is None else f", about {duration(progress.remaining)} left"
    failed = f", {progress.n_failed} failed" if progress.n_failed else ""
    return f"{progress.n_done} of {progress.n_points} networks measured{failed}{left}"


def _ended(result: StudyResult, n_points: int) -> Frame:
    n_done, n_failed = len(result.rows), len(result.failures)
    is_whole = n_done + n_failed == n_points
    failed = f", {n_failed} failed: {result.failures[0][1]}" if n_failed else ""
    ending = "." if is_whole else "; the rest is measured when it goes on."
    sentence = f"{n_done} of {n_points} networks measured{failed}{ending}"
    findings = tuple(assess(result)) if result.rows else ()
    if result.rows and not findings:
        sentence += " They have no such quantity, as one layer has no cosines: choose another."
    return Frame("whole" if is_whole else "paused", sentence, n_done, n_points, result, findings)


def _for_page(sentence: str) -> str:
    """Return a sentence without the options of the command line."""
    return sentence.replace(" with --out", "").replace("use --workers 1 to see why", "try smaller widths")
