"""Time random DAGs: Hessian-vector products beside JAX and torch, then the spectral norm at 10^8 edges.

    python benchmarks/random_dag.py                            2 * 10^6 edges beside the others, then 10^8 alone
    python benchmarks/random_dag.py --edges 1000000 10000000   other sizes for the second part
    python benchmarks/random_dag.py --dtype float32            the second part in single precision
    python benchmarks/random_dag.py --quick                    seconds; small sizes

All networks: `am.random_dag`, 100 inputs, 10 layers, in-degree 100, tanh, Gaussian readout.

Products. All sides get the same graph, weights, input and direction, float64, and answer with H v. JAX runs a jitted
jvp of grad over the list of weights, with a layer written as `(w * a[parents]).sum(1)`; segment_sum and BCOO were
slower. torch runs a double backward over the same form; jvp of grad was slower, and torch.sparse has no second
derivative in the weights. Each side lives in a process of its own, and timed runs alternate after a warm-up that
compiles. A side that is not installed is reported as missing. "Step" is a step of `H.norm()`: its time divided by its
steps.

Size. A fresh process builds the network, evaluates it, takes the Hessian and its norm; after each stage the memory it
holds and the most it held. "Iteration" is the most it held during the norm less what it held before. Then the passes of
a step, on one thread and in turn with what limits them: "gather" sums one vector entry for every edge, "read" reads a
long vector. M reads weights and structure twice and visits two vector entries for every edge, N reads the structure
once and visits three. Rates belong to the fastest run.

Processor time stands beside the time on the clock. On a machine that others use it is the better measure of the work,
with OPENBLAS_NUM_THREADS=1: threads that wait for a core are counted too.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assembly.study import machine

N_INPUTS = N_PARENTS = 100
N_LAYERS = 10
PRODUCT_EDGES = 2_000_000
SEED = 0
TOL = 1e-4
ROUNDS = 9
AGREEMENT = 1e-12
PAUSE = 0.3  # seconds before a run: the other side's idle threads spin for a while before they sleep


def timed(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Return an answer, with its time on the clock and on the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    found = call()
    return found, {"seconds": time.perf_counter() - clock, "cpu_seconds": time.process_time() - processor}


# --- the sides, each in a process of its own -------------------------------------------------------------------------


def network(n_edges: int, dtype: str = "float64") -> Any:
    import assembly as am

    width = n_edges // (N_LAYERS * N_PARENTS)
    return am.random_dag(N_INPUTS, N_LAYERS, width, N_PARENTS, seed=SEED, dtype=dtype)


def input_vector() -> Any:
    """Return the input: a direction drawn once, scaled to length sqrt(n_inputs)."""
    import numpy as np

    x = np.random.default_rng(SEED).standard_normal(N_INPUTS)
    return x * math.sqrt(N_INPUTS) / np.linalg.norm(x)


class Ours:
    """`net.hessian(x) @ v`; writes the network down for the others."""

    def build(self, n_edges: int, folder: Path) -> None:
        import numpy as np

        net = network(n_edges)
        self.H = net.hessian(input_vector())
        self.v = np.random.default_rng(SEED).standard_normal(net.n_parameters)
        for layer, (connection, part) in enumerate(zip(net.graph.connections, net.graph.slices, strict=True)):
            shape = connection.n_target, connection.n_edges // connection.n_target
            np.save(folder / f"w{layer}.npy", net.parameters[part].reshape(shape))
            np.save(folder / f"v{layer}.npy", self.v[part].reshape(shape))
            if hasattr(connection, "indices"):
                np.save(folder / f"parents{layer}.npy", connection.indices.reshape(shape))

    def product(self) -> Any:
        return self.H @ self.v

    def step(self) -> dict[str, Any]:
        estimate, times = timed(lambda: self.H.norm(TOL))
        return {name: value / estimate.n_steps for name, value in times.items()}


class Peer:
    """What JAX and torch have in common: the network read from the folder."""

    def read(self, folder: Path, convert: Callable[[Any], Any], convert_parents: Callable[[Any], Any]) -> None:
        import numpy as np

        self.w, self.v, self.parents, self.factors = [], [], [], []
        for layer in range(N_LAYERS + 1):
            w = np.load(folder / f"w{layer}.npy")
            self.w.append(convert(w))
            self.v.append(convert(np.load(folder / f"v{layer}.npy")))
            self.factors.append(1.0 / math.sqrt(w.shape[1]))
            path = folder / f"parents{layer}.npy"
            self.parents.append(convert_parents(np.load(path)) if path.exists() else None)

    def value(self, w: Any, a: Any, tanh: Callable[[Any], Any]) -> Any:
        for layer, (weights, parents, c) in enumerate(zip(w, self.parents, self.factors, strict=True)):
            z = c * (weights @ a if parents is None else (weights * a[parents]).sum(1))
            a = tanh(z) if layer < N_LAYERS else z
        return a[0]


class Jax(Peer):
    """A jitted jvp of grad."""

    def build(self, n_edges: int, folder: Path) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        self.read(folder, jax.device_put, jax.device_put)
        self.x = jax.device_put(input_vector())

        def hessian_vector(w: list[Any], x: Any, v: list[Any]) -> Any:
            return jax.jvp(lambda w: jax.grad(self.value)(w, x, jax.numpy.tanh), (w,), (v,))[1]

        self.compiled = jax.jit(hessian_vector)

    def product(self) -> Any:
        import numpy as np

        return np.concatenate([np.ravel(part) for part in self.compiled(self.w, self.x, self.v)])


class Torch(Peer):
    """A double backward."""

    def build(self, n_edges: int, folder: Path) -> None:
        import torch

        self.read(folder, torch.from_numpy, lambda parents: torch.from_numpy(parents).long())
        self.x = torch.from_numpy(input_vector())
        self.w = [w.requires_grad_() for w in self.w]

    def product(self) -> Any:
        import torch

        gradient = torch.autograd.grad(self.value(self.w, self.x, torch.tanh), self.w, create_graph=True)
        along = sum((g * v).sum() for g, v in zip(gradient, self.v, strict=True))
        return torch.cat([part.ravel() for part in torch.autograd.grad(along, self.w)]).numpy()


SIDES: dict[str, Callable[[], Any]] = {"ours": Ours, "jax": Jax, "torch": Torch}


def work(name: str, n_edges: int, folder: Path) -> None:
    """Answer the orders on standard input, one line of JSON each."""
    side = SIDES[name]()
    side.build(n_edges, folder)
    answer(built=True)
    for order in sys.stdin:
        if order.strip() == "product":
            found, times = timed(side.product)
            answer(**times)
        elif order.strip() == "save":
            import numpy as np

            np.save(folder / f"{name}.npy", found)
            answer(saved=True)
        elif order.strip() == "step":
            answer(**side.step())


def answer(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def work_at_size(n_edges: int, dtype: str) -> None:
    """Go through the stages, one line of JSON for each."""
    import numpy as np

    network(200 * N_LAYERS * N_PARENTS, dtype).hessian(input_vector()).norm(TOL)  # compiled, and libraries loaded
    answer(stage="libraries", seconds=0.0, cpu_seconds=0.0, **memory())
    net, times = timed(lambda: network(n_edges, dtype))
    structure = [c for c in net.graph.connections if hasattr(c, "indices")]
    n_sparse = sum(c.n_edges for c in structure)
    n_bytes = sum(c.indices.nbytes + c.indptr.nbytes + c.factor.nbytes for c in structure)
    per_edge = n_bytes / n_sparse
    answer(stage="build", **times, **memory(), n_parameters=net.n_parameters, structure_bytes_per_edge=per_edge)
    _, times = timed(lambda: net(input_vector()))
    answer(stage="evaluation", **times, **memory())
    H, times = timed(lambda: net.hessian(input_vector()))
    answer(stage="adjoints", **times, **memory())
    space, held = H.node_space, memory()["resident_bytes"]
    grams = []
    plain = space.N
    space.N = lambda vector: grams.append(1) or plain(vector)
    estimate, times = timed(lambda: H.norm(TOL))
    used = memory()
    iteration = used["peak_bytes"] - held
    facts = {"value": float(estimate.value), "residual": float(estimate.residual), "converged": estimate.converged}
    facts |= {"steps": estimate.n_steps, "applications_of_N": len(grams), "iteration_bytes": iteration}
    answer(stage="norm", **times, **used, **facts)
    vector = np.random.default_rng(SEED).standard_normal(space.size).astype(dtype)
    answer(stage="passes", n_sparse=n_sparse, **passes(space, vector))


def passes(space: Any, vector: Any) -> dict[str, dict[str, float]]:
    """Return median and fastest times of M, N, bare gathers and a long read on one thread, taken in turn, and bytes."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    long = np.ones(2**26)
    blocks = [block for block in space.program.blocks if hasattr(block, "indices")]
    n_edges = sum(len(block.indices) for block in blocks)
    calls: dict[str, tuple[Callable[[], Any], int]] = {
        "M": (lambda: space.M(vector), 2 * (4 + vector.itemsize) * n_edges),
        "N": (lambda: space.N(vector), 4 * n_edges),
        "gather": (lambda: [block.products(space.a, space.a) for block in blocks], 4 * n_edges),
        "read": (lambda: np.dot(long, long), long.nbytes),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    with threadpool_limits(1):
        for _ in range(ROUNDS):
            for name, (call, _) in calls.items():
                seconds[name].append(timed(call)[1]["seconds"])
    return {
        name: {"seconds": statistics.median(seconds[name]), "fastest": min(seconds[name]), "bytes_read": n_bytes}
        for name, (_, n_bytes) in calls.items()
    }


def memory() -> dict[str, int]:
    """Return what this process holds, and the most it held since the last call where the system can tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return {"resident_bytes": peak, "peak_bytes": peak}
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    found = {name: int(lines[key].split()[0]) * 1024 for name, key in (("resident", "VmRSS"), ("peak", "VmHWM"))}
    Path("/proc/self/clear_refs").write_text("5")
    return {f"{name}_bytes": value for name, value in found.items()}


# --- the comparison --------------------------------------------------------------------------------------------------


class Worker:
    """A process that holds one side."""

    def __init__(self, side: str, n_edges: int, folder: str = "", dtype: str = "float64") -> None:
        command = [sys.executable, __file__, "--side", side, "--folder", folder, "--edges", str(n_edges)]
        command += ["--dtype", dtype]
        self.side = side
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"error: {self.side} stopped before its answer")
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


def compare_products(n_edges: int, runs: int) -> dict[str, Any]:
    """Return times and differences of H v of all sides that are installed."""
    import numpy as np

    row: dict[str, Any] = {"n_edges": n_edges, "runs": runs}
    names = [name for name in SIDES if name == "ours" or importlib.util.find_spec(name)]
    row["missing"] = [name for name in SIDES if name not in names]
    workers: dict[str, Worker] = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name in names:  # ours first: it writes the network down
                workers[name] = Worker(name, n_edges, folder)
                workers[name].read()
            for worker in workers.values():
                worker.ask("product")
                worker.ask("save")
            times: dict[str, list[dict[str, float]]] = {name: [] for name in [*names, "step"]}
            for _ in range(runs):
                for name, worker in workers.items():
                    time.sleep(PAUSE)
                    times[name].append(worker.ask("product"))
                time.sleep(PAUSE)
                times["step"].append(workers["ours"].ask("step"))
        finally:
            for worker in workers.values():
                worker.close()
        products = {name: np.load(f"{folder}/{name}.npy") for name in names}
    for name, answers in times.items():
        seconds = [one["seconds"] for one in answers]
        row[name] = {
            "seconds": statistics.median(seconds),
            "all_seconds": seconds,
            "cpu_seconds": statistics.median(one["cpu_seconds"] for one in answers),
        }
    for name in names[1:]:
        apart = np.linalg.norm(products[name] - products["ours"]) / np.linalg.norm(products["ours"])
        row[name] |= {"ratio": row[name]["seconds"] / row["ours"]["seconds"], "difference": float(apart)}
    return row


def product_lines(row: dict[str, Any]) -> list[str]:
    lines = [f"{'H v':>9} {'clock':>11} {'fastest':>11} {'processor':>11} {'ratio':>7} {'difference':>10}"]
    for name in (name for name in ("ours", "step", "jax", "torch") if name in row):
        side = row[name]
        times = (side["seconds"], min(side["all_seconds"]), side["cpu_seconds"])
        compared = f"{side['ratio']:7.1f} {side['difference']:10.1e}" if "ratio" in side else ""
        lines.append(f"{name:>9} " + " ".join(f"{1e3 * one:8.1f} ms" for one in times) + f" {compared}".rstrip())
    return lines + [f"{name:>9} missing: not installed" for name in row["missing"]]


def measure_at_size(n_edges: int, dtype: str) -> dict[str, Any]:
    """Return what every stage took, in a fresh process."""
    worker = Worker("size", n_edges, dtype=dtype)
    row: dict[str, Any] = {"dtype": dtype}
    try:
        while "passes" not in row:
            found = worker.read()
            row[found.pop("stage")] = found
            if "passes" not in row:
                print(f"  {list(row)[-1]:>10} {stage_text(found)}", flush=True)
    finally:
        worker.close()
    n_sparse = row["passes"].pop("n_sparse")
    for name, found in row["passes"].items():
        found["read_rate"] = found["bytes_read"] / found["fastest"]
        text = f"{1e3 * found['seconds']:.1f} ms, fastest {1e3 * found['fastest']:.1f} ms"
        if name != "read":
            found["fastest_per_edge"] = found["fastest"] / n_sparse
            text += f", {1e9 * found['fastest_per_edge']:.2f} ns an edge"
        print(f"  {name:>10} {text}, reads {found['read_rate'] / 1e9:.1f} GB/s", flush=True)
    return row


def stage_text(found: dict[str, Any]) -> str:
    held = f"holds {found['resident_bytes'] / 1e9:.2f} GB, at most {found['peak_bytes'] / 1e9:.2f} GB"
    text = f"{found['seconds']:9.3f} s, processor {found['cpu_seconds']:9.3f} s; {held}"
    if "n_parameters" in found:
        text += f"; {found['n_parameters']:,} weights, structure {found['structure_bytes_per_edge']:.2f} bytes an edge"
    if "steps" in found:
        text += (
            f"; norm {found['value']:.6g}, residual {found['residual']:.1e}, {found['steps']} steps, "
            f"{found['applications_of_N']} of N, iteration {found['iteration_bytes'] / 1e9:.3f} GB"
        )
    return text


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, nargs="+", default=[10**8], help="edges of the second part")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="of the second part")
    parser.add_argument("--runs", type=int, default=7, help="timed products of each side, after the warm-up")
    parser.add_argument("--quick", action="store_true", help="10^5 and 10^6 edges, three runs")
    parser.add_argument("--out", type=Path, help="also write everything as JSON to this file")
    parser.add_argument("--side", choices=(*SIDES, "size"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.side == "size":
        work_at_size(options.edges[0], options.dtype)
        return
    if options.side:
        work(options.side, options.edges[0], options.folder)
        return
    n_edges, sizes, runs = (200_000, [10**6], 3) if options.quick else (PRODUCT_EDGES, options.edges, options.runs)
    versions = machine.versions() | {name: version_of(name) for name in ("jax", "torch")}
    print("  ".join(f"{name} {version}" for name, version in versions.items()))
    print("  ".join(f"{name}: {fact}" for name, fact in machine.machine().items()))
    print(f"products at {n_edges:,} edges, float64; medians of {runs} alternating runs after a warm-up")
    products = compare_products(n_edges, runs)
    print("\n".join(product_lines(products)), flush=True)
    rows = []
    for size in sizes:
        print(f"{size:,} edges, {options.dtype}, tolerance {TOL:g}, a fresh process")
        rows.append(measure_at_size(size, options.dtype))
    if options.out:
        facts = {"versions": versions, "machine": machine.machine(), "tolerance": TOL, "products": products}
        options.out.write_text(json.dumps(facts | {"sizes": rows}, indent=1) + "\n")
    apart = [name for name in SIDES if not products.get(name, {}).get("difference", 0.0) < AGREEMENT]
    if apart:
        raise SystemExit(f"error: products differ from ours by more than {AGREEMENT:g}: {', '.join(apart)}")
    if not all(row["norm"]["converged"] for row in rows):
        raise SystemExit("error: a norm did not converge")


def version_of(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


if __name__ == "__main__":
    main()
