"""A study from its specification to its results: what is on disk is kept, what is missing is computed and kept."""

from __future__ import annotations

import math
import time
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
from assembly.study.quantities import COLUMNS, COSINES
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
    data = _checked_data(specification)
    inputs = datasets.measured_inputs(data, specification.data.n_measured, specification.data.seed)
    points = design.points(specification, data)
    ordered = sorted(points, key=lambda point: design.row_order(specification, point))
    with Store(Path(folder), specification, data.fingerprint) as store:
        seconds = store.seconds()
        todo = [point for point in points if point.key not in seconds]
        check_memory(todo, workers)
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
    """Raise what `run_study` would raise at once for its data, networks and workers, before anything is shown."""
    check_count("workers", 1 if workers is None else workers)
    data = _checked_data(specification)
    datasets.measured_inputs(data, specification.data.n_measured, specification.data.seed)


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

        known = columns_of(first_output(net))
        for quantity in claimed:
            if quantity not in known:
                raise ConfigurationError(
                    f"{specification.name}: {quantity!r} is claimed and not measured for {architecture.label!r}, whose "
                    f"columns are {', '.join(known)}."
                )


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
        return typical[place] * (size_of(point).n_edges + _OVERHEAD) / (size_of(example).n_edges + _OVERHEAD)


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
    wanted = settings.quantities or COLUMNS
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
