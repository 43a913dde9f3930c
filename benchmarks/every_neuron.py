"""Time the Hessian and gradient norm of every neuron of every layer, each pre-activation a sub-model of its own.

    python benchmarks/every_neuron.py                              three hidden layers of width 1024
    python benchmarks/every_neuron.py --widths 4096 4096           other hidden layers
    python benchmarks/every_neuron.py --sample 20 --out norms.json

tanh, 64 inputs of length 8, NTK parametrisation, seed 0. A sample of neurons of each layer is asked again one by one,
`neuron.pre.hessian(x).norm(1e-8)` and `neuron.pre.gradient(x)`; the largest relative differences are shown. Seconds on
the clock and on the processor: on a machine that others use the second, with OPENBLAS_NUM_THREADS=1, is the better
measure of the work.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import assembly as am
from assembly.study import machine

N_INPUTS = 64
LENGTH = 8.0
SEED = 0


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return an answer, with its time on the clock and on the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    found = call()
    return found, time.perf_counter() - clock, time.process_time() - processor


def measure(layer: am.Layer, x: np.ndarray, tol: float, n_sample: int) -> dict[str, Any]:
    """Return times, residuals and the agreement of one layer."""
    norms, seconds, cpu_seconds = timed(lambda: layer.hessian_norms(x, tol))
    slopes, gradient_seconds, gradient_cpu_seconds = timed(lambda: layer.gradient_norms(x))
    chosen = np.random.default_rng(SEED).choice(layer.size, size=min(n_sample, layer.size), replace=False)
    alone = [layer.neurons[int(i)].pre for i in chosen]
    wanted = np.array([float(neuron.hessian(x).norm(1e-8)) for neuron in alone])
    steep = np.array([np.linalg.norm(neuron.gradient(x)) for neuron in alone])
    known = wanted > 0.0
    return {
        "layer": layer.index,
        "neurons": layer.size,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "gradient_seconds": gradient_seconds,
        "gradient_cpu_seconds": gradient_cpu_seconds,
        "median_norm": float(np.median(norms.value)),
        "converged": norms.converged,
        "steps": norms.n_steps,
        "worst_residual": float(np.max(norms.residual)),
        "norm_difference": float(np.max(np.abs(norms.value[chosen][known] / wanted[known] - 1.0), initial=0.0)),
        "gradient_difference": float(np.max(np.abs(slopes[chosen] / steep - 1.0))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[1024, 1024, 1024])
    parser.add_argument("--tol", type=float, default=1e-4)
    parser.add_argument("--sample", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    net = am.mlp(N_INPUTS, options.widths, "tanh", seed=SEED)
    x = np.random.default_rng(SEED).standard_normal(N_INPUTS)
    x *= LENGTH / np.linalg.norm(x)
    net.layers[-1].hessian_norms(x)  # libraries loaded
    rows = []
    print("layer neurons  seconds (cpu)   gradient (cpu)  steps  residual  difference  of the gradient  median norm")
    for layer in net.layers[1:]:
        row = measure(layer, x, options.tol, options.sample)
        rows.append(row)
        print(
            "{layer:5d} {neurons:7d} {seconds:8.2f} ({cpu_seconds:.2f}) {gradient_seconds:8.2f} "
            "({gradient_cpu_seconds:.2f}) {steps:6d} {worst_residual:9.1e} {norm_difference:11.1e} "
            "{gradient_difference:16.1e} {median_norm:12.5f}".format(**row),
            flush=True,
        )
    total, cpu = (sum(row[name] + row[f"gradient_{name}"] for row in rows) for name in ("seconds", "cpu_seconds"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"all layers: {total:.1f} s on the clock, {cpu:.1f} s on the processor; at most {peak:.2f} GiB")
    if options.out is not None:
        found = {"machine": machine.machine(), "widths": options.widths, "tol": options.tol, "layers": rows}
        options.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
