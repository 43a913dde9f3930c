"""A study from its specification to its results: what is on disk is kept, what is missing is computed and kept."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from assembly import data as datasets
from assembly import kernels
from assembly.calculus.hessian import BASIS_BYTES, BASIS_SIZE
from assembly.checks import check_count
from assembly.errors import AssemblyError, ConfigurationError, ResourceError, ResultsError
from assembly.memory import available_memory, gibibytes
from assembly.study import design, engine
from assembly.study.builders import BUILDERS, Size
from assembly.study.design import Point
from assembly.study.quantities import COSINES, asked_for
from assembly.study.result import StudyResult
from assembly.study.specification import RECOMMENDED_SEEDS, ArchitectureSpecification, Specification
from assembly.study.store import Store, check_parquet

COPIES_PER_POINT = 3  # the weights themselves, the gradient and a direction
COPIES_MOVED = 6  # more, where the network is moved along a direction: both ends, the way there, and what evaluates it
BYTES_PER_LISTED_EDGE = 32  # its place by rows, and once more where a working copy is sorted
VECTORS = BASIS_SIZE + BASIS_SIZE // 3 + 10  # the basis of the iteration, its restart and a few more
BYTES_PER_WORKER = 250 * 2**20  # interpreter, numba and scipy
_OVERHEAD = 20_000  # what a point costs besides its edges, in edges


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
    with StudyRun(specification, folder, start) as run:
        check_memory(run.todo, workers)
        measure_all([run], workers, on_progress, function)
        return run.finish(parquet=parquet)


class StudyRun:
    """One study under way: its points, its folder, and what has become of each.

    Use it as a context manager: entering opens and locks the folder.

    Parameters
    ----------
    specification : Specification
    folder : str or Path
        Made if need be.
    start : float
        `time.perf_counter` when the run began.

    Attributes
    ----------
    points : list of Point
        All points, in the order they are run.
    samples : Samples
        At which everything is measured.
    stored : dict of str to float
        Keys of the points that were on disk at the start, with the seconds they took.
    todo : list of Point
        The others.
    failures : list of (Point, str)

    Raises
    ------
    DataError, UnknownNameError, ConfigurationError
        If the data cannot be loaded or an architecture cannot be built on them.
    ResultsError
        On entering, if the folder cannot be used.
    """

    def __init__(self, specification: Specification, folder: str | Path, start: float) -> None:
        data = _checked_data(specification)
        self.specification, self.folder = specification, Path(folder)
        self.samples = datasets.measured_samples(data, specification.data.n_measured, specification.data.seed)
        self.points = design.points(specification, data)
        self.stored: dict[str, float] = {}
        self.todo: list[Point] = []
        self.failures: list[tuple[Point, str]] = []
        self._ordered = sorted(self.points, key=lambda point: design.row_order(specification, point))
        self.start, self._data = start, data

    def __enter__(self) -> StudyRun:
        self._store = Store(self.folder, self.specification, self._data.fingerprint)
        try:
            self.stored = self._store.seconds()
        except BaseException:
            self._store.close()
            raise
        self.todo = [point for point in self.points if point.key not in self.stored]
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def add(self, outcome: engine.Outcome) -> None:
        """Record the outcome of a point; when this returns, it is on disk."""
        if outcome.quantities is None:
            self._store.add_failure(outcome.point, outcome.reason)
            self.failures.append((outcome.point, outcome.reason))
        else:
            self._store.add(outcome.point, outcome.quantities, outcome.seconds, outcome.warnings)

    def export(self) -> None:
        """Write results.csv as far as it goes, for a run that is stopped."""
        with suppress(ResultsError):
            self._store.export_csv(self._ordered)

    def finish(self, *, parquet: bool = False) -> StudyResult:
        """Write results.csv, and results.parquet if asked for; return the result, of all points that are measured."""
        self._store.export_csv(self._ordered)
        if parquet:
            self._store.export_parquet(self._ordered)
        rows, n_reused = self._store.rows(self._ordered), len(self.points) - len(self.todo)
        return StudyResult(
            specification=self.specification,
            rows=rows,
            failures=self.failures,
            n_reused=n_reused,
            n_computed=len(rows) - n_reused,
            seconds=time.perf_counter() - self.start,
            notes=(*self._store.notes, *_notes(self.specification, self._store.warnings(self._ordered))),
            folder=self.folder,
            data=self._data.description,
        )


def measure_all(
    runs: Sequence[StudyRun],
    workers: int,
    on_progress: Callable[[Progress], None] | None,
    function: engine.PointFunction,
    on_end: Callable[[StudyRun], None] = lambda run: None,
    stop: Callable[[], bool] | None = None,
) -> None:
    """Measure what is missing of several studies, one after the other on the same workers.

    A point that two studies share is measured once. What is finished is on disk at once; stopped by Ctrl-C, every study
    writes its results.csv as far as it goes.

    Parameters
    ----------
    runs : sequence of StudyRun
        Entered, each in a folder of its own.
    workers : int
    on_progress : callable or None
        Called with a `Progress` over all points of all studies.
    function : callable
        What is measured at a point.
    on_end : callable
        Called with each study once none of its points is missing any more.
    stop : callable, optional
        Asked now and then; once it says so nothing more is measured, see `assembly.study.engine.run`.
    """
    wanted: dict[str, list[StudyRun]] = {}
    first: dict[str, tuple[Point, datasets.Samples]] = {}
    for run in runs:
        for point in run.todo:
            wanted.setdefault(point.key, []).append(run)
            first.setdefault(point.key, (point, run.samples))
    left = {id(run): len(run.todo) for run in runs}
    points = list({point.key: point for run in runs for point in run.points}.values())
    stored = {key: seconds for run in runs for key, seconds in run.stored.items() if key not in wanted}
    clock = _Clock(points, stored, workers, min((run.start for run in runs), default=0.0), on_progress)
    clock.begin(is_compiled=kernels.is_compiled())
    for run in (run for run in runs if not run.todo):
        on_end(run)
    todo = [point for point, _ in first.values()]
    try:
        with closing(engine.run(function, todo, lambda point: first[point.key][1], workers, stop)) as outcomes:
            for outcome in outcomes:
                for run in wanted[outcome.point.key]:
                    run.add(outcome)
                    left[id(run)] -= 1
                clock.count(outcome)
                for run in wanted[outcome.point.key]:
                    if not left[id(run)]:
                        on_end(run)
    except KeyboardInterrupt:
        for run in runs:
            run.export()
        raise


def check_study(specification: Specification, workers: int | None = None) -> None:
    """Raise what `run_study` would raise at once for its data, networks and workers, before anything is shown."""
    check_count("workers", 1 if workers is None else workers)
    data = _checked_data(specification)
    datasets.measured_samples(data, specification.data.n_measured, specification.data.seed)


def _checked_data(specification: Specification) -> datasets.Data:
    """Load the data, and build the narrowest network of every architecture on them to see that it can be built."""
    data = datasets.load(specification.data.source, specification.data.target)
    shape = specification.data.shape or data.shape
    n_columns = data.inputs.shape[1]
    if math.prod(shape) != n_columns:
        raise ConfigurationError(
            f"{specification.name}: the 'data.shape' key must have the {n_columns} columns of the data as its product. "
            f"Got {list(shape)}."
        )
    for architecture in specification.architectures:
        _check_architecture(specification, architecture, shape)
    return data


def _check_architecture(
    specification: Specification, architecture: ArchitectureSpecification, shape: tuple[int, ...]
) -> None:
    builder, options, widths = architecture.made_by, architecture.options, specification.widths_of(architecture)
    width = widths[0]
    try:
        net = builder.build(shape, width, 0, options)
        for width in widths:
            builder.arguments(shape, width, options)
    except ResourceError:
        raise
    except AssemblyError as error:
        raise ConfigurationError(
            f"{specification.name}: {architecture.label!r} cannot be built at width {width}. {error}"
        ) from None
    claimed = [claim.quantity for claim in specification.claims if claim.architecture == architecture.label]
    if builder.n_hidden is None and any("_layer_" in quantity for quantity in claimed):
        from assembly.study.measure import columns_of, first_output

        known = columns_of(first_output(net), specification.quantities)
        for quantity in claimed:
            if quantity not in known:
                raise ConfigurationError(
                    f"{specification.name}: {quantity!r} is claimed and not measured for {architecture.label!r}, whose "
                    f"columns are {', '.join(known)}."
                )


_Family = tuple[str, str, tuple[str, ...]]


def _family(point: Point) -> _Family:
    """Return what points must share for their times to be compared."""
    return point.architecture, point.builder, point.settings.quantities


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
        self._points = {point.key: point for point in points}
        self._left = {key for key in self._points if key not in stored}
        self._n_reused = len(points) - len(self._left)
        self._n_failed = 0
        self._workers = workers
        self._start = start
        self._tell = on_progress or (lambda progress: None)
        self._examples: dict[_Family, dict[int, Point]] = {}
        for point in points:
            self._examples.setdefault(_family(point), {}).setdefault(point.width, point)
        self._times: dict[_Family, dict[int, list[float]]] = {}
        for key, point in self._points.items():
            if key in stored:
                self._add(point, stored[key])

    def begin(self, is_compiled: bool) -> None:
        if self._left:
            self._report("starting" if is_compiled else "compiling", None)

    def count(self, outcome: engine.Outcome) -> None:
        self._left.discard(outcome.point.key)
        if outcome.quantities is None:
            self._n_failed += 1
        else:
            self._add(outcome.point, outcome.seconds)
        self._report("measuring", outcome)

    def _add(self, point: Point, seconds: float) -> None:
        self._times.setdefault(_family(point), {}).setdefault(point.width, []).append(seconds)

    def _report(self, stage: Literal["compiling", "starting", "measuring"], outcome: engine.Outcome | None) -> None:
        self._tell(
            Progress(
                stage=stage,
                n_done=len(self._points) - len(self._left),
                n_points=len(self._points),
                n_reused=self._n_reused,
                n_failed=self._n_failed,
                seconds=time.perf_counter() - self._start,
                remaining=self._remaining(),
                outcome=outcome,
            )
        )

    def _remaining(self) -> float | None:
        if sum(len(times) for at in self._times.values() for times in at.values()) < 2:  # the first one compiles
            return None
        typical = {
            family: {width: sorted(times)[len(times) // 2] for width, times in at.items()}
            for family, at in self._times.items()
        }
        work = [(family, width) for family, at in typical.items() for width in at]
        pace = sum(typical[family][width] for family, width in work) / sum(self._work(*place) for place in work)
        left = Counter((_family(self._points[key]), self._points[key].width) for key in self._left)
        return sum(n * self._expected(*place, typical, pace) for place, n in left.items()) / self._workers

    def _expected(self, family: _Family, width: int, typical: dict[_Family, dict[int, float]], pace: float) -> float:
        """Seconds of a point: as at its own width, or by its weights from the nearest width, or from all there is."""
        if family not in typical:
            return pace * self._work(family, width)
        nearest = min(typical[family], key=lambda one: abs(one - width))
        if nearest == width:
            return typical[family][width]
        return typical[family][nearest] * self._work(family, width) / self._work(family, nearest)

    def _work(self, family: _Family, width: int) -> float:
        return size_of(self._examples[family][width]).n_edges + _OVERHEAD


def _notes(specification: Specification, warnings: dict[str, int]) -> Iterable[str]:
    if specification.seeds < RECOMMENDED_SEEDS:
        yield (
            f"{specification.seeds} seeds at each width: with fewer than {RECOMMENDED_SEEDS} an exponent can move by "
            "0.3, so read the verdicts as a preview."
        )
    for message, count in warnings.items():
        yield f"{count} {'points' if count > 1 else 'point'} warned: {message}"


# --- memory ----------------------------------------------------------------------------------------------------------


def size_of(point: Point) -> Size:
    """Return a forecast of what the network of a point holds."""
    return BUILDERS[point.builder].size(point.settings.shape, point.width, point.settings.options)


def memory_needed(point: Point) -> int:
    """Return a forecast of the bytes one point takes.

    Its weights and working copies of them, the structure of edges that are stored one by one, the vectors of the
    iteration, the Gram matrices of the cosines, and the libraries.
    """
    size, settings = size_of(point), point.settings
    wanted = asked_for(settings.quantities)
    moves = any(quantity.startswith(("remainder", "kernel_change")) for quantity in wanted)
    itemsize = 4 if settings.options["dtype"] == "float32" else 8
    numbers = size.n_weights * (COPIES_PER_POINT + (COPIES_MOVED if moves else 0))
    numbers += size.n_gram if COSINES in wanted else 0
    vectors = min(VECTORS * (2 * size.n_nodes + size.n_shared) * itemsize, 2 * BASIS_BYTES)
    return itemsize * numbers + vectors + BYTES_PER_LISTED_EDGE * size.n_listed + BYTES_PER_WORKER


def check_memory(points: Sequence[Point], workers: int, available: int | None = None) -> None:
    """Raise `ResourceError` if the largest points, one per worker, need more than the memory that is free.

    Parameters
    ----------
    points : sequence of Point
    workers : int
    available : int, optional
        Bytes that are free; asked of the system if left out.
    """
    available = available_memory() if available is None else available
    needs = sorted((memory_needed(point) for point in points), reverse=True)[:workers]
    if available is None or not needs or sum(needs) <= available:
        return
    fitting = next((n for n in range(len(needs) - 1, 0, -1) if sum(needs[:n]) <= available), 0)
    cure = f"use --workers {fitting}" if fitting else "use smaller widths"
    largest = max(points, key=memory_needed)
    raise ResourceError(
        f"{len(needs)} points as large as that of {largest.architecture}, width {largest.width}, need about "
        f"{sum(needs)} bytes ({gibibytes(sum(needs))}), {available} ({gibibytes(available)}) are free: {cure}."
    )
