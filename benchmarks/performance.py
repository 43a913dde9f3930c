"""Time this package beside JAX, PyTorch and the packages built on them, on the same weights and inputs.

    python benchmarks/performance.py                       everything but the two largest networks; hours
    python benchmarks/performance.py norm/2x1024           one case, in both precisions
    python benchmarks/performance.py hvp gradient          two jobs
    python benchmarks/performance.py size edges            the largest networks, on their own
    python benchmarks/performance.py --quick               every job on a small network, under a minute; what CI runs
    python benchmarks/performance.py --list                the names of all cases

Results are added to FOLDER/performance.json, case by case, and FOLDER/performance.md shows all that stand there;
another run of a case replaces it.

Each side lives in a process of its own. Its first run compiles and is not counted; then all sides run in turn, and
times are medians. A run is the whole question: evaluation at the input, then all steps. Peak memory is the highest
resident size of the process less what it held before its network existed, libraries loaded and a small network done.
The read bandwidth is that of sums and inner products in one thread for each core, measured between the runs. A side
that is not installed is missing; one that takes longer than the limit for a run, or more than 70 % of the memory, is
stopped, and the table says so. Fewer runs are made where they would take longer than the limit together.

"Huge pages" means GLIBC_TUNABLES=glibc.malloc.hugetlb=1 for that side: malloc then asks the system for them, as numpy
does by itself; the table shows how much of a process lay in huge pages.

neural-tangents runs with the jax of its time only. Give it an environment of its own:

    python -m venv nt && nt/bin/pip install neural-tangents 'jax==0.4.23' 'jaxlib==0.4.23' 'numpy<2' 'scipy<1.13'
    python benchmarks/performance.py kernel gram --neural-tangents nt/bin/python
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from speed import arithmetic, asks, jobs, record, tables

FOLDER = Path("assembly-results") / "performance"
QUICK_RUNS = 3


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="a job, or the beginning of a case: norm/2x1024/float64")
    parser.add_argument("--quick", action="store_true", help="small networks, and no side that compiles long")
    parser.add_argument("--runs", type=int, help="timed runs of each side, after the warm-up (7)")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one run (60)")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help=f"where results go ({FOLDER})")
    parser.add_argument("--neural-tangents", default="", metavar="PYTHON", help="interpreter that has neural-tangents")
    parser.add_argument("--list", action="store_true", help="say which cases there are, and measure nothing")
    return parser.parse_args()


def main() -> None:
    """Measure what the command line asks for."""
    options = arguments()
    try:
        chosen = jobs.chosen(options.jobs, options.quick)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from None
    if options.list:
        print("\n".join(case.name for case in (chosen if options.jobs else jobs.cases())))
        return
    runs = options.runs or (QUICK_RUNS if options.quick else record.Settings.runs)
    pause = 0.0 if options.quick else record.Settings.pause
    settings = record.Settings(runs, options.limit, pause, options.neural_tangents)
    path = options.out / "performance.json"
    for batch in [chosen] if options.quick else [[case] for case in chosen]:
        start = time.perf_counter()
        with record.written(batch) as folders:
            for case in batch:
                records = record.add(path, case.name, record.measure(case, folders[case.name], settings))
                text = f"{asks.table(records)}\n\n{tables.tables(records)}\n"
                (options.out / "performance.md").write_text(text, "utf-8")
                print(f"{tables.case(case.name, records[case.name])}\n", flush=True)
        print(f"({time.perf_counter() - start:.0f} s)\n", flush=True)
    if unsound := arithmetic.unsound({case.name: records[case.name] for case in chosen}):
        raise SystemExit("\n".join(["error: no right answer of ours", *unsound]))


if __name__ == "__main__":
    main()
