"""Where the time of a job goes: shares of the functions that take most of it, all in one thread.

    python benchmarks/profiles.py --out docs/background/profiles.json        minutes

Shares are of the time in a function itself, not in those that it calls; kernels and matrix products count as functions.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import assembly as am
from assembly import data, threads
from assembly.study import design, reading
from assembly.study.measure import measure

N_FUNCTIONS = 4
N_BEFORE = 3  # runs: compiled, and the pages of their memory at hand
ROOT = Path(am.__file__).parents[1]


def jobs() -> Iterator[tuple[str, Callable[[], Callable[[float], Any]]]]:
    """Return jobs by name: what builds the network, and returns what is profiled at inputs moved by a little."""
    yield "tangent kernel of 128 inputs, 3 x 4096", lambda: _at_inputs([4096] * 3, 128, "tangent_kernel")
    yield "Hessian norms at 64 inputs, 2 x 1024", lambda: _at_inputs([1024] * 2, 64, "hessian_norms")
    yield "Hessian norms at 64 inputs, 2 x 4096", lambda: _at_inputs([4096] * 2, 64, "hessian_norms")
    yield "`H @ v`, 3 x 4096", lambda: _product(am.mlp(64, [4096] * 3, "tanh", seed=0))
    yield (
        "`H @ v`, a graph of 10 x 2000 with 104 parents each",
        lambda: _product(am.random_dag(64, n_layers=10, layer_width=2000, in_degree=104, seed=0)),
    )
    yield "a step of `H.norm()`, 2 x 4096", lambda: _norm(am.mlp(64, [4096] * 2, "tanh", seed=0))
    yield (
        "a step of `H.norm()`, 10 x 31,250, 10⁷ edges",
        lambda: _norm(am.random_dag(64, n_layers=10, layer_width=31_250, in_degree=34, seed=0)),
    )
    yield "100 steps of training, 3 x 1024, 128 inputs, float32", lambda: _training([1024] * 3)
    yield "a network of the study of claim 3, 3 x 1024", lambda: _point("claim-03-every-neuron", 1024)
    yield "a bottleneck of the study of claim 11, 1024, 1, 1024", lambda: _point("claim-11-bottleneck", 1024)
    yield (
        "a step of `H.norm()`, three convolutions with 64 channels of 32 x 32",
        lambda: _norm(am.cnn((32, 32), [64] * 3, kernel=3, seed=0)),
    )


def _at_inputs(widths: list[int], n: int, name: str) -> Callable[[float], Any]:
    net = am.mlp(64, widths, "tanh", seed=0)
    X = np.random.default_rng(0).standard_normal((n, 64))
    return lambda moved: getattr(net, name)(X + moved)


def _product(net: am.Assembly) -> Callable[[float], Any]:
    H, v = net.hessian(np.ones(64)), np.random.default_rng(0).standard_normal(net.n_parameters)
    return lambda moved: H @ v


def _norm(net: am.Assembly) -> Callable[[float], Any]:
    H = net.hessian(np.random.default_rng(0).standard_normal(net.n_inputs))
    return lambda moved: H.norm(1e-4)


def _training(widths: list[int]) -> Callable[[float], Any]:
    net, rng = am.mlp(64, widths, "tanh", seed=0, dtype="float32"), np.random.default_rng(0)
    X, y = rng.standard_normal((128, 64)), rng.standard_normal(128)
    return lambda moved: am.train(net, X + moved, y, n_steps=100, step_size=1e-3, every=100, record=(), beside=())


def _point(name: str, width: int) -> Callable[[float], Any]:
    """The first network of a study at a width, drawn and measured."""
    specification = reading.load(name)
    of, target = specification.data, specification.data.target
    rows = data.load(of.source, target)
    samples = data.measured_samples(rows, of.n_measured, of.seed)
    point = next(one for one in design.points(specification, rows) if one.width == width)
    return lambda moved: measure(point, samples._replace(inputs=samples.inputs + moved))


def profile(run: Callable[[float], Any]) -> list[dict[str, Any]]:
    """Return the functions that take most of a run, and what share of its time."""
    recorder = cProfile.Profile()
    with threads.limited(1):
        for number in range(N_BEFORE):
            run(1e-9 * number)  # nothing is taken from the run before
        recorder.enable()
        run(1e-9 * N_BEFORE)
        recorder.disable()
    own: Counter[str] = Counter()
    for where, times in pstats.Stats(recorder).stats.items():  # type: ignore[attr-defined]
        own[_name(*where)] += times[2]
    total = sum(own.values())
    return [{"function": name, "share": seconds / total} for name, seconds in own.most_common(N_FUNCTIONS)]


def _name(path: str, line: int, function: str) -> str:
    place = Path(path)
    return f"{place.relative_to(ROOT)}: {function}" if place.is_relative_to(ROOT) else function.strip("<>")


def main() -> None:
    """Profile every job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a JSON file for what was found")
    options = parser.parse_args()
    rows = []
    for job, build in jobs():
        rows.append({"job": job, "functions": profile(build())})
        print(
            job, *(f"    {one['share']:4.0%}  {one['function']}" for one in rows[-1]["functions"]), sep="\n", flush=True
        )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
