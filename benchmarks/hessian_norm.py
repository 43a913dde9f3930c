"""Time the spectral norm of an output Hessian beside JAX: `H.norm()` against jvp-of-grad with scipy's eigsh.

    python benchmarks/hessian_norm.py                          one and two hidden layers of width 256 and 1024
    python benchmarks/hessian_norm.py --widths 4096 --runs 3   wider; JAX needs about 4 GB there
    python benchmarks/hessian_norm.py --quick                  seconds; what CI runs

Both get the same weights (NTK parametrisation, tanh, Gaussian readout), the same input, float64 and the same tolerance
on the relative residual |H v - lambda v| / |lambda|. JAX has the best of the forms that were tried: a jitted jvp of
grad over the list of weight matrices, never a flat vector inside the compiled function (jax.linearize was no faster).
Each side lives in a process of its own; timed runs alternate between the two after a warm-up that compiles, so that a
noisy machine is noisy for both, and each time is that of the whole question: evaluation at the input, then all steps.
Peak memory is the highest resident size of the process less that before its network existed (libraries loaded, a small
network done). The read bandwidth is that of `numpy.dot` of a long vector with itself, measured in between.

To compare on one core: `taskset -c 0 python benchmarks/hessian_norm.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from assembly.study import machine

N_INPUTS = 64
SEED = 0
TOL = 1e-6
BYTES = 8
PAUSE = 0.3  # seconds before a run: the other side's idle threads spin for a while before they sleep


# --- the two sides, each in a process of its own ---------------------------------------------------------------------


class Ours:
    """`net.hessian(x).norm(tol)`."""

    def build(self, widths: list[int], folder: Path) -> None:
        import numpy as np

        import assembly as am

        self.net = am.mlp(n_inputs=N_INPUTS, widths=widths, activation="tanh", seed=SEED)
        self.x = input_vector()
        sizes, start = [N_INPUTS, *widths, 1], 0
        for layer, (n_source, n_target) in enumerate(pairwise(sizes)):
            stop = start + n_source * n_target
            np.save(folder / f"{layer}.npy", self.net.parameters[start:stop].reshape(n_target, n_source))
            start = stop
        # the first layer is read once per evaluation, all others twice per step
        self.bytes_per_step = 2 * BYTES * (self.net.n_parameters - N_INPUTS * widths[0])

    def run(self) -> dict[str, Any]:
        self.net(-self.x)  # evicts the evaluation kept from the run before: each run answers the whole question
        start = time.perf_counter()
        estimate = self.net.hessian(self.x).norm(TOL)
        seconds = time.perf_counter() - start
        return {
            "seconds": seconds,
            "value": float(estimate),
            "residual": float(estimate.residual),
            "steps": estimate.n_steps,
            "bytes_read": self.bytes_per_step * estimate.n_steps,
        }

    def bandwidth(self) -> float:
        """Read bandwidth in bytes per second, the best of five passes over 512 MiB."""
        import numpy as np

        long = np.ones(2**26)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            np.dot(long, long)
            times.append(time.perf_counter() - start)
        return long.nbytes / min(times)


class Jax:
    """`eigsh(LinearOperator(jit(jvp(grad(f)))), k=1, which="LM", tol=tol)`."""

    def build(self, widths: list[int], folder: Path) -> None:
        import jax
        import numpy as np
        from scipy.sparse.linalg import LinearOperator

        jax.config.update("jax_enable_x64", True)
        shapes = [(n_target, n_source) for n_source, n_target in pairwise([N_INPUTS, *widths, 1])]
        weights = [jax.device_put(np.load(folder / f"{layer}.npy")) for layer in range(len(shapes))]
        x = jax.device_put(input_vector())
        ends = np.cumsum([math.prod(shape) for shape in shapes])

        def value(weights: list[Any], x: Any) -> Any:
            a = x
            for layer, w in enumerate(weights):
                z = w @ a / math.sqrt(w.shape[1])
                a = jax.numpy.tanh(z) if layer + 1 < len(weights) else z
            return a[0]

        @jax.jit
        def product(weights: list[Any], x: Any, direction: list[Any]) -> Any:
            return jax.jvp(lambda w: jax.grad(value)(w, x), (weights,), (direction,))[1]

        def matvec(v: Any) -> Any:
            self.steps += 1
            flat = np.ravel(v)
            direction = [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
            return np.concatenate([np.ravel(part) for part in product(weights, x, direction)])

        self.steps = 0
        self.operator = LinearOperator((int(ends[-1]), int(ends[-1])), matvec=matvec, dtype=np.float64)
        self.start = np.random.default_rng(SEED).standard_normal(int(ends[-1]))

    def run(self) -> dict[str, Any]:
        import numpy as np
        from scipy.sparse.linalg import eigsh

        self.steps = 0
        start = time.perf_counter()
        values, vectors = eigsh(self.operator, k=1, which="LM", tol=TOL, v0=self.start)
        seconds = time.perf_counter() - start
        steps, vector = self.steps, vectors[:, 0]
        rest = self.operator @ vector - values[0] * vector
        residual = float(np.linalg.norm(rest) / abs(values[0]))
        return {"seconds": seconds, "value": float(abs(values[0])), "residual": residual, "steps": steps}


def input_vector() -> Any:
    """Return the input: a direction drawn once, scaled to length sqrt(n_inputs)."""
    import numpy as np

    x = np.random.default_rng(SEED).standard_normal(N_INPUTS)
    return x * math.sqrt(N_INPUTS) / np.linalg.norm(x)


def work(side: Ours | Jax, widths: list[int], folder: Path) -> None:
    """Answer the orders on standard input, one line of JSON each."""
    with tempfile.TemporaryDirectory() as small:
        Ours().build([8] * len(widths), Path(small))
        side.build([8] * len(widths), Path(small))
        side.run()
    baseline = peak_bytes()
    start = time.perf_counter()
    side.build(widths, folder)
    answer(built=time.perf_counter() - start)
    for order in sys.stdin:
        if order.strip() == "run":
            answer(**side.run(), peak_bytes=peak_bytes() - baseline)
        elif order.strip() == "bandwidth" and isinstance(side, Ours):
            answer(bandwidth=side.bandwidth())


def peak_bytes() -> int:
    """Return the highest resident size of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def answer(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


# --- the comparison: imports nothing heavy, so that a child begins small ---------------------------------------------


class Worker:
    """A process that holds one side."""

    def __init__(self, side: str, widths: list[int], folder: str) -> None:
        command = [sys.executable, __file__, "--side", side, "--folder", folder, "--shape", *map(str, widths)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("error: a side of the comparison stopped; is jax installed (pip install '.[benchmark]')?")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, order: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(order, file=self.process.stdin, flush=True)
        return self.read()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compare(widths: list[int], runs: int) -> dict[str, Any]:
    """Return times, answers and memory of both sides for one network."""
    with tempfile.TemporaryDirectory() as folder:
        ours, jax = Worker("ours", widths, folder), Worker("jax", widths, folder)
        try:
            first = {"ours": ours.ask("run"), "jax": jax.ask("run")}
            timed: dict[str, list[dict[str, Any]]] = {"ours": [], "jax": []}
            for _ in range(runs):
                for side, worker in (("ours", ours), ("jax", jax)):
                    time.sleep(PAUSE)
                    timed[side].append(worker.ask("run"))
            bandwidth = ours.ask("bandwidth")["bandwidth"]
        finally:
            ours.close()
            jax.close()
    row: dict[str, Any] = {"widths": widths, "runs": runs, "read_bandwidth": bandwidth}
    for side, answers in timed.items():
        last = answers[-1]
        row[side] = {
            "seconds": statistics.median(one["seconds"] for one in answers),
            "all_seconds": [one["seconds"] for one in answers],
            "first_seconds": first[side]["seconds"],
            "value": last["value"],
            "residual": last["residual"],
            "steps": last["steps"],
            "peak_bytes": last["peak_bytes"],
        }
    row["ratio"] = row["jax"]["seconds"] / row["ours"]["seconds"]
    row["difference"] = abs(row["ours"]["value"] - row["jax"]["value"]) / row["jax"]["value"]
    # closed form: nothing is iterated, so there is no bandwidth to speak of
    read = timed["ours"][-1]["bytes_read"]
    row["fraction_of_bandwidth"] = read / row["ours"]["seconds"] / bandwidth if read else None
    return row


HEADER = (
    f"{'hidden layers':>15} {'ours':>10} {'JAX':>10} {'ratio':>7} {'difference':>10} {'steps':>9} "
    f"{'residuals':>17} {'peak memory':>21} {'read at':>10} {'of memory':>9}"
)


def line(row: dict[str, Any]) -> str:
    """Return one row of the table."""
    ours, jax, fraction = row["ours"], row["jax"], row["fraction_of_bandwidth"]
    rate = "closed" if fraction is None else f"{fraction * row['read_bandwidth'] / 1e9:.1f} GB/s"
    share = "form" if fraction is None else f"{fraction:.0%}"
    return (
        f"{' x '.join(map(str, row['widths'])):>15} {ours['seconds'] * 1e3:7.1f} ms {jax['seconds'] * 1e3:7.1f} ms "
        f"{row['ratio']:7.1f} {row['difference']:10.1e} {ours['steps']:4}/{jax['steps']:<4} "
        f"{ours['residual']:8.1e}/{jax['residual']:.1e} "
        f"{ours['peak_bytes'] / 2**20:7.0f} / {jax['peak_bytes'] / 2**20:<6.0f} MiB {rate:>10} {share:>9}"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[256, 1024], help="layer widths to try")
    parser.add_argument("--runs", type=int, default=7, help="timed runs of each side, after the warm-up")
    parser.add_argument("--quick", action="store_true", help="width 128, five runs")
    parser.add_argument("--out", type=Path, help="also write everything as JSON to this file")
    parser.add_argument("--side", choices=("ours", "jax"), help=argparse.SUPPRESS)
    parser.add_argument("--shape", type=int, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.side:
        work(Ours() if options.side == "ours" else Jax(), options.shape, options.folder)
        return
    widths, runs = ([128], 5) if options.quick else (options.widths, options.runs)
    from importlib import metadata

    versions = {**machine.versions(), "jax": metadata.version("jax")}
    print("  ".join(f"{name} {version}" for name, version in versions.items()))
    print("  ".join(f"{name}: {fact}" for name, fact in machine.machine().items()))
    print(f"tanh, {N_INPUTS} inputs, float64, tolerance {TOL:g}; medians of {runs} alternating runs after a warm-up")
    print(HEADER)
    rows = []
    for shape in [[width] * n_layers for width in widths for n_layers in (1, 2)]:
        rows.append(compare(shape, runs))
        print(line(rows[-1]), flush=True)
    bandwidth = max(row["read_bandwidth"] for row in rows)
    print(f"read bandwidth of this machine: {bandwidth / 1e9:.1f} GB/s; a matrix that fits the caches is read faster")
    disagreeing = [row["widths"] for row in rows if not row["difference"] < 1e-6]
    if options.out:
        facts = {"versions": versions, "machine": machine.machine(), "tolerance": TOL, "rows": rows}
        options.out.write_text(json.dumps(facts, indent=1) + "\n")
    if disagreeing:
        raise SystemExit(f"error: the two sides disagree by more than 1e-6 at hidden layers {disagreeing}")


if __name__ == "__main__":
    main()
