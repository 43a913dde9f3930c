"""A study from its specification to its results: what is on disk is kept, what is missing is computed and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from assembly import data as datasets
from assembly import kernels
from assembly.checks import check_count
from assembly.errors import ResourceError, ResultsError
from assembly.memory import available_memory, gibibytes
from assembly.study import design, engine
from assembly.study.design import Point
from assembly.study.result import StudyResult
from assembly.study.specification import RECOMMENDED_SEEDS, Specification
from assembly.study.store import Store, check_parquet

COPIES_PER_POINT = 4  # the weights themselves, and three working copies
BYTES_PER_WORKER = 250 * 2**20  # interpreter, numba and scipy
_OVERHEAD = 20_000  # what a point costs besides its weights, in weights


@dataclass(frozen=True)
class Progress:
    """Where a study stands.

    Attributes
    ----------
    stage : str
        ``"compiling"`` while the first point compiles the kernels, ``"starting"`` while it loads compiled ones,
        ``"measuring"`` then.
    n_done, n_points, n_reused, n_failed : int
        `n_done` counts reused, computed and failed points.
    seconds : float
        Since the run began.
    remaining : float or None
        Estimated seconds to the end; None before there is anything to estimate from.
    outcome : Outcome or None
        The point just finished.
    """

    stage: Literal["compiling", "starting", "measuring"]
    n_done: int
    n_points: int
    n_reused: int
    n_failed: int
    seconds: float
    remaining: float | None
    outcome: engine.Outcome | None = None


def run_study(
    specification: Specification,
    folder: str | Path,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    parquet: bool = False,
    function: engine.PointFunction | None = None,
) -> StudyResult:
    """Run a study, or what is missing of it, and write its results to a folder.

    May be stopped at any moment in any way, `kill -9` included; the same call then goes on where it stopped, and its
    results.csv equals that of an uninterrupted run byte for byte.

    Parameters
    ----------
    specification : Specification
    folder : str or Path
        For results.sqlite, results.csv and study.toml; made if need be.
    workers : int, optional
        Worker processes; all usable cores if left out. The results do not depend on it.
    on_progress : callable, optional
        Called with a `Progress` at the start and after every point.
    parquet : bool
        Also write results.parquet.
    function : callable, optional
        What is measured at a point; `assembly.study.measure.measure` if left out.

    Returns
    -------
    StudyResult

    Raises
    ------
    DataError, UnknownNameError
        If the data cannot be loaded.
    ResourceError
        If the largest points do not fit into the memory that is free.
    ResultsError
        If the folder cannot be used: in use, of another study, damaged, not writable, or full.
    ArgumentError
        If `workers` is below 1, `parquet` is asked for and not installed, or more inputs are to be measured than there
        are.
    """
    start = time.perf_counter()
    if parquet:
        check_parquet()
    if function is None:
        from assembly.study.measure import measure  # the whole calculus: only when points are computed

        function = measure
    workers = engine.usable_cores() if workers is None else check_count("workers", workers)
    data = datasets.load(specification.data.source, specification.data.target)
    inputs = datasets.measured_inputs(data, specification.data.n_measured, specification.data.seed)
    points = design.points(specification, data.fingerprint)
    ordered = sorted(points, key=lambda point: design.row_order(specification, point))
    with Store(Path(folder), specification, data.fingerprint) as store:
        seconds = store.seconds()
        todo = [point for point in points if point.key not in seconds]
        check_memory(todo, workers, n_inputs=inputs.shape[1])
        clock = _Clock(points, seconds, workers, start, on_progress)
        clock.begin(is_compiled=kernels.is_compiled())
        try:
            with closing(engine.run(function, todo, inputs, workers)) as outcomes:
                for outcome in outcomes:
                    if outcome.quantities is None:
                        store.add_failure(outcome.point, outcome.reason)
                    else:
                        store.add(outcome.point, outcome.quantities, outcome.seconds, outcome.warnings)
                    clock.count(outcome)
        except KeyboardInterrupt:
            with suppress(ResultsError):
                store.export_csv(ordered)
            raise
        store.export_csv(ordered)
        if parquet:
            store.export_parquet(ordered)
        return StudyResult(
            specification=specification,
            rows=store.rows(ordered),
            failures=clock.failures,
            n_reused=len(points) - len(todo),
            n_computed=len(todo) - len(clock.failures),
            seconds=time.perf_counter() - start,
            notes=(*store.notes, *_notes(specification, store.warnings(ordered))),
            folder=Path(folder),
            data=data.description,
        )


def check_study(specification: Specification, workers: int | None = None) -> None:
    """Raise what `run_study` would raise at once for its data and workers, before anything is shown."""
    check_count("workers", 1 if workers is None else workers)
    data = datasets.load(specification.data.source, specification.data.target)
    datasets.measured_inputs(data, specification.data.n_measured, specification.data.seed)


class _Clock:
    """Counts points and estimates the time that is left from the time that finished points took."""

    def __init__(
        self,
        points: Sequence[Point],
        stored: dict[str, float],
        workers: int,
        start: float,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.failures: list[tuple[Point, str]] = []
        self._points = {point.key: point for point in points}
        self._left = {key for key in self._points if key not in stored}
        self._n_reused = len(points) - len(self._left)
        self._workers = workers
        self._start = start
        self._tell = on_progress or (lambda progress: None)
        self._times: dict[tuple[str, int], list[float]] = {}
        for key, point in self._points.items():
            if key in stored:
                self._times.setdefault((point.architecture, point.width), []).append(stored[key])

    def begin(self, is_compiled: bool) -> None:
        if self._left:
            self._report("starting" if is_compiled else "compiling", None)

    def count(self, outcome: engine.Outcome) -> None:
        point = outcome.point
        self._left.discard(point.key)
        if outcome.quantities is None:
            self.failures.append((point, outcome.reason))
        else:
            self._times.setdefault((point.architecture, point.width), []).append(outcome.seconds)
        self._report("measuring", outcome)

    def _report(self, stage: Literal["compiling", "starting", "measuring"], outcome: engine.Outcome | None) -> None:
        self._tell(
            Progress(
                stage=stage,
                n_done=len(self._points) - len(self._left),
                n_points=len(self._points),
                n_reused=self._n_reused,
                n_failed=len(self.failures),
                seconds=time.perf_counter() - self._start,
                remaining=self._remaining(),
                outcome=outcome,
            )
        )

    def _remaining(self) -> float | None:
        if sum(len(times) for times in self._times.values()) < 2:  # the first one compiles
            return None
        typical = {place: sorted(times)[len(times) // 2] for place, times in self._times.items()}
        return sum(self._expected(self._points[key], typical) for key in self._left) / self._workers

    def _expected(self, point: Point, typical: dict[tuple[str, int], float]) -> float:
        """Seconds of a point: as at its own width, or in proportion to the weights from the nearest width measured."""
        place = min(
            typical, key=lambda place: (place[0] != point.architecture, abs(place[1] - point.width))
        )  # of the same architecture if there is one
        if place == (point.architecture, point.width):
            return typical[place]
        example = next(one for one in self._points.values() if (one.architecture, one.width) == place)
        return typical[place] * (n_weights(point, 0) + _OVERHEAD) / (n_weights(example, 0) + _OVERHEAD)


def _notes(specification: Specification, warnings: dict[str, int]) -> Iterable[str]:
    if specification.seeds < RECOMMENDED_SEEDS:
        yield (
            f"{specification.seeds} seeds at each width: with fewer than {RECOMMENDED_SEEDS} an exponent can move by "
            "0.3, so read the verdicts as a preview."
        )
    for message, count in warnings.items():
        yield f"{count} {'points' if count > 1 else 'point'} warned: {message}"


# --- memory ----------------------------------------------------------------------------------------------------------


def n_weights(point: Point, n_inputs: int) -> int:
    """Return the number of weights of a point's network, one output, biases left out."""
    sizes = (n_inputs, *point.settings.hidden, 1)
    return sum(fan_in * fan_out for fan_in, fan_out in pairwise(sizes))


def memory_needed(point: Point, n_inputs: int) -> int:
    """Return a forecast of the bytes one point takes: its weights and three working copies, and the libraries."""
    itemsize = 4 if point.settings.dtype == "float32" else 8
    return COPIES_PER_POINT * itemsize * n_weights(point, n_inputs) + BYTES_PER_WORKER


def check_memory(points: Sequence[Point], workers: int, n_inputs: int, available: int | None = None) -> None:
    """Raise `ResourceError` if the largest points, one per worker, need more than the memory that is free.

    Parameters
    ----------
    points : sequence of Point
    workers : int
    n_inputs : int
        Columns of the data.
    available : int, optional
        Bytes that are free; asked of the system if left out.
    """
    available = available_memory() if available is None else available
    needs = sorted((memory_needed(point, n_inputs) for point in points), reverse=True)[:workers]
    if available is None or not needs or sum(needs) <= available:
        return
    fitting = next((n for n in range(len(needs) - 1, 0, -1) if sum(needs[:n]) <= available), 0)
    cure = f"use --workers {fitting}" if fitting else "use smaller widths"
    largest = max(points, key=lambda point: memory_needed(point, n_inputs))
    raise ResourceError(
        f"{len(needs)} points as large as that of {largest.architecture}, width {largest.width}, need about "
        f"{sum(needs)} bytes ({gibibytes(sum(needs))}), {available} ({gibibytes(available)}) are free: {cure}."
    )
