"""Run one function over many points: in this process, or on worker processes that never outlive it.

Every point is computed with one thread, whatever the number of workers, so results are the same bit for bit.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import loky
import numpy as np
from loky.process_executor import ProcessPoolExecutor
from threadpoolctl import threadpool_limits

from assembly import threads
from assembly.checks import check_count
from assembly.errors import AssemblyError, ResourceError
from assembly.progress import silence
from assembly.study.design import Point

if TYPE_CHECKING:
    from assembly.data import Samples

PointFunction = Callable[[Point, "Samples"], dict[str, float]]

MAXIMUM_ATTEMPTS = 3
_LOOK_EVERY = 0.1  # seconds between questions whether to stop
_THREADS = dict.fromkeys(
    (
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"),
        *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS"),
    ),
    "1",
)


@dataclass(frozen=True)
class Outcome:
    """What became of one point.

    Attributes
    ----------
    point : Point
    quantities : dict of str to float, or None
        None if the point failed.
    reason : str
        One line that says why it failed; empty if it did not.
    seconds : float
        Time the point took.
    warnings : tuple of str
        Warnings raised on the way, each once.
    """

    point: Point
    quantities: dict[str, float] | None
    reason: str
    seconds: float
    warnings: tuple[str, ...] = ()


def usable_cores() -> int:
    """Return the number of cores this process may use, with affinity and container limits taken into account."""
    return int(loky.cpu_count())


def run(
    function: PointFunction,
    points: Sequence[Point],
    samples: Samples | Callable[[Point], Samples],
    workers: int = 1,
    stop: Callable[[], bool] | None = None,
) -> Generator[Outcome]:
    """Yield the outcome of every point, as they finish.

    The first point runs alone: it compiles the kernels, and the others find them on disk. A point during which a worker
    dies is tried again, alone, at most twice, and then reported as failed. Close the generator to stop at once.

    Parameters
    ----------
    function : callable
        ``function(point, samples)`` returns the quantities; importable by name, so that a worker finds it.
    points : sequence of Point
    samples : Samples or callable
        Given to every call; ``samples(point)`` where points of several studies have samples of their own.
    workers : int
        Worker processes; 1 runs in this process.
    stop : callable, optional
        Asked ten times a second; once it says so the workers end at once, and what they had not finished is not
        yielded. With it, points are computed on worker processes only, however few.

    Yields
    ------
    Outcome
        In the order of completion. `AssemblyError`, `MemoryError`, `ArithmeticError` and `numpy.linalg.LinAlgError`
        make a point fail; any other exception is a mistake in the program and is raised.

    Raises
    ------
    ArgumentError
        If `workers` is no whole number of at least 1.
    ResourceError
        If worker processes keep dying whatever the point.
    """
    samples_of = samples if callable(samples) else lambda _: samples
    n_workers = min(check_count("workers", workers), len(points))
    if stop is None and n_workers <= 1:
        for point in points:
            yield compute(function, point, samples_of(point))
    elif points and not (stop is not None and stop()):
        yield from _run_on_processes(function, points, samples_of, n_workers, stop)


def compute(function: PointFunction, point: Point, samples: Samples) -> Outcome:
    """Return the outcome of one point, computed here with one thread."""
    start = time.perf_counter()
    quantities: dict[str, float] | None = None
    reason = ""
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(limits=1), threads.limited(1):
        warnings.simplefilter("always")
        try:
            quantities = {str(name): float(value) for name, value in function(point, samples).items()}
        except (AssemblyError, ArithmeticError, MemoryError, np.linalg.LinAlgError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, MemoryError):
                reason = "out of memory: use fewer workers or smaller widths"
    messages = dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught)
    return Outcome(point, quantities, reason, time.perf_counter() - start, tuple(messages))


# --- worker processes ------------------------------------------------------------------------------------------------


def _run_on_processes(
    function: PointFunction,
    points: Sequence[Point],
    samples_of: Callable[[Point], Samples],
    workers: int,
    stop: Callable[[], bool] | None,
) -> Generator[Outcome]:
    patience = None if stop is None else _LOOK_EVERY
    waiting, suspects = deque(points), deque[Point]()
    attempts = dict.fromkeys((point.key for point in points), 0)
    running: dict[Future[Outcome], Point] = {}
    finished_one, deaths = False, 0
    pool = _start(function, workers)

    def submit() -> None:
        """Keep every worker busy; before the first result, and for a point whose worker died, one point at a time."""
        while suspects or waiting:
            if len(running) >= (workers if finished_one and not suspects else 1):
                return
            queue = suspects or waiting
            samples = samples_of(queue[0])
            with (
                _signals_held()
            ):  # workers start at the first submit and inherit the mask: Ctrl-C is the driver's alone
                running[pool.submit(compute, function, queue[0], samples)] = queue[0]
            queue.popleft()

    try:
        while waiting or suspects or running:
            try:
                submit()
                is_broken = False
            except BrokenProcessPool:
                is_broken = True
            done = wait(running, patience, return_when=FIRST_COMPLETED).done if running else set()
            is_broken |= any(isinstance(future.exception(), BrokenProcessPool) for future in done)
            if is_broken:  # every point in flight is lost, and any of them may be the one that did it
                done = wait(running).done
            outcomes = []
            for future in done:
                point = running.pop(future)
                if not isinstance(future.exception(), BrokenProcessPool):
                    outcomes.append(future.result())
                    continue
                attempts[point.key] += 1
                if attempts[point.key] < MAXIMUM_ATTEMPTS:
                    suspects.append(point)
                else:
                    reason = f"its worker process died {MAXIMUM_ATTEMPTS} times (out of memory, or killed)"
                    outcomes.append(Outcome(point, None, reason, 0.0))
            deaths = 0 if any(outcome.quantities is not None for outcome in outcomes) else deaths + is_broken
            finished_one |= bool(outcomes)
            if is_broken:
                _stop(pool)
                if deaths > 2 * MAXIMUM_ATTEMPTS:
                    raise ResourceError(
                        f"Worker processes died {deaths} times in a row, whatever the point: "
                        "use --workers 1 to see why."
                    )
                pool = _start(function, workers)
            if outcomes and not is_broken:
                with suppress(BrokenProcessPool):  # met again, and seen to, at the top of the loop
                    submit()  # before the caller writes the outcomes to disk
            yield from outcomes
            if stop is not None and stop():
                return
    finally:
        _stop(pool)


def _start(function: PointFunction, workers: int) -> ProcessPoolExecutor:
    # loky replaces a worker whose memory has grown, which is as it should be, and warns of it
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
    return ProcessPoolExecutor(
        max_workers=workers, env=_THREADS, initializer=_begin_worker, initargs=(os.getpid(), function)
    )


def _stop(pool: ProcessPoolExecutor) -> None:
    with _signals_held():  # a second Ctrl-C waits until no worker is left
        pool.shutdown(wait=True, kill_workers=True)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Keep Ctrl-C and SIGTERM back until the block is left; nothing is lost."""
    if not hasattr(signal, "pthread_sigmask"):  # pragma: no cover (Windows)
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(driver: int, function: PointFunction) -> None:
    """Tie a worker to its driver. `function` is an argument so that its module, and all it needs, is loaded here."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence()
    die_with(driver)


def die_with(driver: int) -> None:
    """Make this process end when process `driver`, its parent, ends in whatever way, `kill -9` included."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    else:

        def watch() -> None:
            while os.getppid() == driver:
                time.sleep(0.5)
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()
    if os.getppid() != driver:  # it ended before the watch began
        os._exit(1)
