"""Several studies run one after the other on the same workers, each in a folder of its own, into one report."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from assembly.checks import check_count
from assembly.errors import AssemblyError, ResultsError
from assembly.study import engine
from assembly.study.findings import assess
from assembly.study.folders import CLAIMS, check_kind
from assembly.study.report import write_report
from assembly.study.runner import Progress, StudyRun, check_memory, measure_all
from assembly.study.specification import Specification, SuiteSpecification
from assembly.study.store import check_parquet
from assembly.study.suite_report import MemberResult, SuiteResult, write_suite_report


def run_suite(
    suite: SuiteSpecification,
    studies: Sequence[Specification],
    folder: str | Path,
    workers: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    command: str = "",
    parquet: bool = False,
    function: engine.PointFunction | None = None,
) -> SuiteResult:
    """Run every study of a suite, or what is missing of them, with one report for each and one for all.

    May be stopped at any moment in any way, `kill -9` included; the same call then goes on where it stopped. The report
    of the suite is written anew whenever a study ends, so that it always holds all that have ended. A study that cannot
    be run, because its folder is damaged or in use or its networks do not fit into memory, does not stop the others:
    its rows of the table say why they are empty.

    Parameters
    ----------
    suite : SuiteSpecification
    studies : sequence of Specification
        One for each of its members.
    folder : str or Path
        Every study has the folder of its name in it; made if need be.
    workers : int, optional
        Worker processes; all usable cores if left out. The results do not depend on it.
    on_progress : callable, optional
        Called with a `Progress` over all points of all studies.
    command : str
        The command to repeat the suite with, as typed.
    parquet : bool
        Also write results.parquet in every folder.
    function : callable, optional
        What is measured at a point; `assembly.study.measure.measure` if left out.

    Returns
    -------
    SuiteResult

    Raises
    ------
    ResultsError
        If no study could be run for the state of its folder, or the report cannot be written; if the folder holds
        another kind of results.
    ArgumentError
        If `workers` is below 1, or `parquet` is asked for and not installed.
    """
    if parquet:
        check_parquet()
    if function is None:
        from assembly.study.measure import measure  # the whole calculus: only when points are computed

        function = measure
    workers = engine.usable_cores() if workers is None else check_count("workers", workers)
    check_kind(Path(folder), CLAIMS)
    table = _Table(suite, studies, Path(folder), command, parquet)
    with ExitStack() as stack:
        runs = []
        for study in studies:
            try:
                run = stack.enter_context(StudyRun(study, Path(folder) / study.name, time.perf_counter()))
                check_memory(run.todo, workers)
                runs.append(run)
            except AssemblyError as error:
                table.leave_out(study, str(error))
        if not runs:
            raise ResultsError(f"No study of {suite.name!r} could be run. {next(iter(table.reasons.values()))}")
        measure_all(runs, workers, on_progress, function, table.end)
    return table.result()


class _Table:
    """What has become of every study so far, and the report of it."""

    def __init__(
        self, suite: SuiteSpecification, studies: Sequence[Specification], folder: Path, command: str, parquet: bool
    ) -> None:
        self.reasons: dict[str, str] = {}
        self._suite, self._studies, self._folder = suite, studies, folder
        self._command, self._parquet = command, parquet
        self._ended: dict[str, MemberResult] = {}
        self._start = time.perf_counter()

    def leave_out(self, study: Specification, reason: str) -> None:
        self.reasons[study.name] = " ".join(reason.split())

    def end(self, run: StudyRun) -> None:
        """Write the report of a study that has ended, and that of the suite."""
        study = run.specification
        try:
            result = run.finish(parquet=self._parquet)
            command = shlex.join(["assembly", "study", study.name, "--out", str(run.folder)])
            report = write_report(run.folder, result, command, portraits=False) if result.rows else None
        except ResultsError as error:
            self.leave_out(study, str(error))
        else:
            pictures = () if report is None else report.pictures
            self._ended[study.name] = MemberResult(self._claim(study), study, result, assess(result), pictures)
        write_suite_report(self._folder, self.result(), self._command)

    def result(self) -> SuiteResult:
        members = [
            self._ended.get(study.name)
            or MemberResult(self._claim(study), study, reason=self.reasons.get(study.name, "It has not ended yet."))
            for study in self._studies
        ]
        return SuiteResult(self._suite, members, time.perf_counter() - self._start, self._folder)

    def _claim(self, study: Specification) -> str:
        return self._suite.members[list(self._studies).index(study)].claim
