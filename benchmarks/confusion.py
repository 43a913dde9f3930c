"""How often is the verdict on the transition to linearity right? The quick form of every claim, many times over.

    python benchmarks/confusion.py results/ --repeats 20 --workers 2 --report docs/background/verdicts.md

Every network family has a truth, fixed before the run from the claims of docs/background/theory. The verdict
(`assembly.diagnostics.family.diagnose_family`) is told the networks and nothing else. Each repeat has networks and
inputs of its own. What is finished stands in ``results/verdicts.jsonl``, a line for each family and repeat, and what
was measured in files beside it, a line for each network: the same command goes on where it was interrupted. Without
``verdicts.jsonl`` it judges anew, in minutes, what was measured.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import assembly as am
from assembly.diagnostics.family import diagnose_family
from assembly.seeds import generator

N_INPUTS, N_SAMPLES, N_SEEDS = 8, 4, 10
WIDTHS = (32, 64, 128, 256, 512)
ANSWERS = ("yes", "no", "not decided")


class Case(NamedTuple):
    """One family with its truth: the answer, and the exponent of ||H|| / ||grad f||^2 up to logarithms."""

    claim: str
    name: str
    truth: str
    exponent: float
    family: Callable[[int, int], am.Assembly]


def part(seed: int) -> am.Assembly:
    return am.mlp(N_INPUTS, [8], seed=seed)


def copies(width: int, exponent: float) -> int:
    return 2 ** round(np.log2(width**exponent))


def mlp(*hidden: int | None, **options) -> Callable[[int, int], am.Assembly]:
    return lambda m, seed: am.mlp(N_INPUTS, [size or m for size in hidden], seed=seed, **options)


def with_one_bias(m: int, seed: int) -> am.Assembly:
    """One hidden layer whose neurons share a single bias."""
    inputs = [f"x{i}" for i in range(N_INPUTS)]
    parents = {**dict.fromkeys(inputs, am.Edge()), "1": am.Edge(shared="bias")}
    neurons = {f"h{i}": ("tanh", parents) for i in range(m)}
    return am.from_neurons(inputs, {**neurons, "f": ("identity", list(neurons))}, seed=seed)


def softmax(m: int, seed: int) -> am.Assembly:
    return am.mlp(N_INPUTS, [m, m], n_outputs=10, output_activation="softmax", seed=seed)


CASES = (
    Case("1", "committee", "yes", -0.5, lambda m, s: am.committee(part, m, seed=s)),
    Case("1", "4 committees added", "yes", -0.5,
         lambda m, s: am.committee(lambda q: am.committee(part, m, seed=q), 4, seed=s)),
    Case("2", "1 hidden layer", "yes", -0.5, mlp(None)),
    Case("2", "2 hidden layers", "yes", -0.5, mlp(None, None)),
    Case("2", "3 hidden layers", "yes", -0.5, mlp(None, None, None)),
    Case("2", "residual network", "yes", -0.5, lambda m, s: am.resnet(N_INPUTS, m, 2, seed=s)),
    Case("2", "densely connected", "yes", -0.5, lambda m, s: am.densenet(N_INPUTS, [m, m], seed=s)),
    Case("2", "convolutions", "yes", -0.5, lambda m, s: am.cnn([N_INPUTS], [m // 2, m // 2], seed=s)),
    Case("2", "random graph", "yes", -0.5, lambda m, s: am.random_dag(N_INPUTS, 3, 2 * m, m, reach=2, seed=s)),
    Case("2", "half of the neurons dropped", "yes", -0.5, lambda m, s: am.dropout(N_INPUTS, [m, m], keep=0.5, seed=s)),
    Case("5", "in-degrees m/4 and (m/4)^1.5", "yes", -0.5, lambda m, s: am.uneven_dag(N_INPUTS, 2, m // 4, seed=s)),
    Case("10", "tanh of the output", "no", 0.0, mlp(None, None, output_activation="tanh")),
    Case("10", "swish of the output", "no", 0.0, mlp(None, None, output_activation="swish")),
    Case("10", "softmax of 10 outputs", "no", 0.0, softmax),
    Case("11", "bottleneck of 1", "no", 0.0, mlp(None, 1, None)),
    Case("11", "bottleneck of 4", "no", 0.0, mlp(None, 4, None)),
    Case("11", "first layer of 4", "no", 0.0, mlp(4, None, None)),
    Case("11", "last layer of 4", "no", 0.0, mlp(None, None, 4)),
    Case("12", "one dominating part", "no", 0.0, lambda m, s: am.dominated(part, m, seed=s)),
    Case("13", "4 active parts", "no", 0.0, lambda m, s: am.few_active(part, m, 4, seed=s)),
    Case("14", "all parts tied", "no", 0.0, lambda m, s: am.tied(part, m, m, seed=s)),
    Case("15", "mean-field scale", "no", 0.0, lambda m, s: am.mean_field(part, m, seed=s)),
    Case("16", "groups of m^0 copies", "yes", -0.5, lambda m, s: am.tied(part, m, 1, seed=s)),
    Case("16", "groups of m^(1/4) copies", "yes", -0.375, lambda m, s: am.tied(part, m, copies(m, 0.25), seed=s)),
    Case("16", "groups of m^(1/2) copies", "yes", -0.25, lambda m, s: am.tied(part, m, copies(m, 0.5), seed=s)),
    Case("17", "coefficients i^(-1/4)", "yes", -0.25, lambda m, s: am.power_law(part, m, 0.25, seed=s)),
    Case("17", "coefficients i^(-1/2)", "no", 0.0, lambda m, s: am.power_law(part, m, 0.5, seed=s)),
    Case("17", "coefficients i^(-1)", "no", 0.0, lambda m, s: am.power_law(part, m, 1.0, seed=s)),
    Case("18", "scale m^(1/4)", "yes", -0.75, mlp(None, None, gamma=0.25)),
    Case("18", "scale m^(3/4)", "yes", -0.25, mlp(None, None, gamma=0.75)),
    Case("18", "scale m", "no", 0.0, mlp(None, None, gamma=1.0)),
    Case("beyond", "connections around a layer of 3", "yes", -0.5,
         lambda m, s: am.densenet(N_INPUTS, [m, 3, m], seed=s)),
    Case("beyond", "one bias for all neurons", "no", 0.0, with_one_bias),
    Case("beyond", "4 parts with tanh outputs", "no", 0.0,
         lambda m, s: am.committee(lambda q: am.mlp(N_INPUTS, [m], output_activation="tanh", seed=q), 4, seed=s)),
)  # fmt: skip


def run(number: int, repeat: int, folder: Path) -> dict:
    """Judge one family once; networks and inputs belong to this repeat alone."""
    case, began = CASES[number], time.perf_counter()
    inputs = generator(repeat, "confusion", "inputs").standard_normal((N_SAMPLES, N_INPUTS))
    inputs *= np.sqrt(N_INPUTS) / np.linalg.norm(inputs, axis=1, keepdims=True)
    seeds = range(repeat * N_SEEDS, (repeat + 1) * N_SEEDS)
    saved = folder / f"networks-{number}-{repeat}.jsonl"
    found = diagnose_family(case.family, WIDTHS, inputs, seeds=list(seeds), save=saved).transition.to_dict()
    return {"name": case.name, "repeat": repeat, "seconds": time.perf_counter() - began, **found}


def finished(path: Path) -> list[dict]:
    if not path.exists():
        return []
    *lines, _ = path.read_text().split("\n")
    return [json.loads(line) for line in lines]


def run_all(folder: Path, repeats: int, workers: int) -> None:
    """Run what is missing, one line of the file for each, and say how long it will take."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "verdicts.jsonl"
    done = finished(path)
    path.write_text("".join(json.dumps(row) + "\n" for row in done))
    known = {(row["name"], row["repeat"]) for row in done}
    todo = [(i, r) for r in range(repeats) for i, case in enumerate(CASES) if (case.name, r) not in known]
    began = time.perf_counter()
    with ProcessPoolExecutor(workers) as pool, path.open("a") as file:
        jobs = [pool.submit(run, i, repeat, folder) for i, repeat in todo]
        for count, job in enumerate(as_completed(jobs), 1):
            row = job.result()
            file.write(json.dumps(row) + "\n")
            file.flush()
            left = (time.perf_counter() - began) / count * (len(todo) - count)
            print(f"{count} of {len(todo)}, about {left / 60:.0f} min left; {row['name']}: {row['answer']}", flush=True)


def summary(rows: list[dict]) -> list[dict]:
    """One row for each family: the truth, how often each answer, and the exponents."""
    table = []
    for case in CASES:
        mine = [row for row in rows if row["name"] == case.name]
        fitted = {
            kind: [row[kind]["exponent"] for row in mine if row[kind] is not None]
            for kind in ("prediction", "measurement")
        }
        middle = {kind: f"{np.median(values):.2f}" if values else "" for kind, values in fitted.items()}
        table.append(
            {"claim": case.claim, "family": case.name, "truth": case.truth, "exponent": f"{case.exponent:g}"}
            | {"predicted": middle["prediction"], "measured": middle["measurement"]}
            | {answer: sum(row["answer"] == answer for row in mine) for answer in ANSWERS}
        )
    return table


def report(rows: list[dict], path: Path) -> None:
    """Write the table as CSV and as a page."""
    table = summary(rows)
    with path.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    totals = {truth: {a: sum(r[a] for r in table if r["truth"] == truth) for a in ANSWERS} for truth in ("yes", "no")}
    repeats = max((row["repeat"] for row in rows), default=-1) + 1
    lines = [
        "# How often the verdict is right",
        "",
        "The verdict on the transition to linearity is told networks, not what they are. Here it judges families whose "
        f"truth is known from the claims of the page on theory, each in {repeats} independent repeats: {N_SEEDS} "
        f"networks at each of the widths {', '.join(map(str, WIDTHS))} and {N_SAMPLES} inputs, all drawn anew for "
        "every repeat.",
        "",
        "The rule was set while the first repeat was looked at; the others were seen by nobody. Standard "
        "parametrisation is left out: with that metric on the parameters a network is linear per unit of output "
        "gained, not over a fixed distance, and the answer is neither.",
        "",
        "| truth | " + " | ".join(ANSWERS) + " |",
        "|---|" + "---|" * len(ANSWERS),
        *(f"| {truth} | " + " | ".join(str(counts[a]) for a in ANSWERS) + " |" for truth, counts in totals.items()),
        "",
        "Family by family. The exponents are those of `||H|| / ||grad f||^2` in width: of theory (up to logarithms), "
        "and the medians over the repeats of the one predicted from measured conditions and the one measured.",
        "",
        "| claim | family | truth | theory | predicted | measured | yes | no | not decided |",
        "|---|---|---|---|---|---|---|---|---|",
        *("| " + " | ".join(str(value) for value in row.values()) + " |" for row in table),
        "",
        "```bash",
        f"python benchmarks/confusion.py results/ --repeats {repeats} --report docs/background/verdicts.md",
        "```",
        "",
    ]
    path.write_text("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--report", type=Path, help="a Markdown file; the table is written beside it as CSV")
    arguments = parser.parse_args()
    run_all(arguments.folder, arguments.repeats, arguments.workers)
    if arguments.report:
        report(finished(arguments.folder / "verdicts.jsonl"), arguments.report)


if __name__ == "__main__":
    main()
