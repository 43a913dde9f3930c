"""What the forecast says beside what is measured: seconds and bytes, for networks of all kinds.

Every network is forecast before it is built, in a process of its own, after a small one of its kind has warmed up.
Bytes are the peak beyond the process before the network is built.

    python benchmarks/forecasts.py                      all of it, minutes on an idle machine
    python benchmarks/forecasts.py --quick              small networks, seconds
    OMP_NUM_THREADS=1 python benchmarks/forecasts.py --processor
                                                        processor time of one thread, where others use the machine
"""

from __future__ import annotations

import argparse
import ctypes
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import assembly as am
from assembly import forecasting

TOL = 1e-4
N_INPUTS = 64
SMALL = 48
GOOD = 1.5  # factor within which a forecast should be

Case = tuple[str, dict[str, Any]]


def cases(*, quick: bool) -> list[Case]:
    """Return builders with their arguments."""
    widths = [512] if quick else [1024, 2048, 4096]
    found: list[Case] = [
        ("mlp", {"n_inputs": 64, "widths": [width] * depth, "dtype": dtype})
        for depth in (2, 3)
        for width in widths
        for dtype in ("float64", "float32")
    ]
    size = 4 if quick else 1
    return [
        *found,
        ("random_dag", {"n_inputs": 64, "n_layers": 5, "layer_width": 5000 // size, "in_degree": 100 // size}),
        ("cnn", {"shape": (8, 8), "channels": [64 // size, 128 // size], "kernel": 3}),
        ("resnet", {"n_inputs": 64, "width": 2048 // size, "n_blocks": 3}),
    ]


def small(case: Case) -> Case:
    """Return a small network of the same kind."""
    name, options = case
    less = {"widths": [SMALL] * len(options.get("widths", ())), "layer_width": SMALL, "in_degree": 8, "width": SMALL}
    return name, options | {key: value for key, value in less.items() if key in options}


def jobs(n_layers: int, largest: int) -> dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]]:
    """Return what is forecast and what is measured, by name; cosines for layers that studies look at."""
    found: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
        "gradient": (lambda one: one.gradient(), lambda net, X: net.gradient(X[0])),
        "Hessian norm": (lambda one: one.hessian_norm(TOL), lambda net, X: net.hessian(X[0]).norm(TOL)),
        f"Hessian norms, {N_INPUTS}": (
            lambda one: one.hessian_norm(TOL, n=N_INPUTS),
            lambda net, X: net.hessian_norms(X, TOL),
        ),
        f"tangent kernel, {N_INPUTS}": (lambda one: one.tangent_kernel(N_INPUTS), lambda net, X: net.tangent_kernel(X)),
    }
    if largest <= 4096 and n_layers > 3:
        layer = n_layers - 2
        found["Gram"] = (lambda one: one.gram(layer), lambda net, X: net.layers[layer].gram(X[0]))
    return found


def measure(case: Case, n_repeats: int, clock: Callable[[], float]) -> list[dict[str, Any]]:
    """Return a row for every job."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    _run_all(small(case), rng)
    name, options = case
    builder = getattr(am, name)
    forecast = am.forecast(builder, **options)
    probe = am.forecast(builder, **small(case)[1])
    rows = []
    n_layers = len(probe._graph.layers)
    largest = max((_size(group) for group in forecast._graph.groups), default=0)
    for job, (foretell, _) in jobs(n_layers, largest).items():
        start = time.perf_counter()
        cost = foretell(forecast)
        rows.append(
            {"job": job, "forecast": cost.seconds, "forecast_bytes": cost.n_bytes, "took": time.perf_counter() - start}
        )
    _forget_peak()
    before = _peak()
    start = clock()
    net = builder(**options)
    rows.insert(0, {"job": "built", "measured": clock() - start})
    X = rng.standard_normal((N_INPUTS, net.n_inputs))
    moved = 0.0
    for row, (_, run) in zip(rows[1:], jobs(n_layers, largest).values(), strict=True):
        _forget_peak()
        seconds = []
        for _ in range(n_repeats):
            start = clock()
            moved += 1e-9  # nothing is taken from the time before
            steps = getattr(run(net, X + moved), "n_steps", None)
            seconds.append(clock() - start)
        row |= {"measured": statistics.median(seconds), "measured_bytes": _peak() - before, "steps": steps}
    return rows


def _size(group: Any) -> int:
    return int(group.size)


def _run_all(case: Case, rng: np.random.Generator) -> None:
    name, options = case
    net = getattr(am, name)(**options)
    X = rng.standard_normal((N_INPUTS, net.n_inputs))
    one = am.forecast(net)
    for foretell, run in jobs(len(net.layers), SMALL).values():
        foretell(one)
        run(net, X)


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _forget_peak() -> None:
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small networks")
    parser.add_argument("--processor", action="store_true", help="processor time")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    all_cases = cases(quick=options.quick)
    if options.case is not None:
        clock = time.process_time if options.processor else time.perf_counter
        forecasting.clock = clock
        print(json.dumps(measure(all_cases[options.case], options.repeats, clock)))
        return
    rows = []
    print("| network | job | forecast s | measured s | ratio | forecast MiB | measured MiB | ratio | steps |")
    print("|---|---|---|---|---|---|---|---|---|")
    for i, (name, arguments) in enumerate(all_cases):
        command = [sys.executable, __file__, "--case", str(i), "--repeats", str(options.repeats)]
        command += ["--quick"] * options.quick + ["--processor"] * options.processor
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        label = f"{name} {', '.join(str(value) for value in list(arguments.values())[1:])}"
        for row in json.loads(done.stdout.splitlines()[-1]):
            rows.append({"network": label, **row})
            if "forecast" in row:
                print(_line(label, row), flush=True)
    ratios = [row["forecast"] / row["measured"] for row in rows if "forecast" in row]
    good = sum(1.0 / GOOD <= ratio <= GOOD for ratio in ratios)
    print(f"\n{good} of {len(ratios)} times within a factor {GOOD}")
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


def _line(label: str, row: dict[str, Any]) -> str:
    forecast, measured = row["forecast_bytes"] / 2**20, row["measured_bytes"] / 2**20
    return (
        f"| {label} | {row['job']} | {row['forecast']:.3g} | {row['measured']:.3g} | "
        f"{row['forecast'] / row['measured']:.2f} | {forecast:.4g} | {measured:.4g} | "
        f"{forecast / max(measured, 1e-9):.2f} | {row['steps'] or ''} |"
    )


if __name__ == "__main__":
    main()
