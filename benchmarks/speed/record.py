"""Measure cases and keep what was found: one JSON file, in which every case has its own machine and command."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from assembly.study import machine
from speed import arithmetic, networks, process, rounds
from speed.jobs import BANDWIDTH, Case

PEERS = ("jax", "torch", "curvlinops-for-pytorch", "hessian-eigenthings", "pyhessian", "neural-tangents")
SHARE = 0.7  # of the machine's memory, for one side and for all together
ALONE_LIMIT = 7200.0
FACTS = (
    *("steps", "residual", "huge_bytes", "bytes_read"),
    *("n_parameters", "weight_bytes", "highest_bytes", "stages", "passes"),
)


@dataclass(frozen=True)
class Settings:
    """What the command line says of how to measure.

    Attributes
    ----------
    runs : int
    limit : float
        Seconds for one run.
    pause : float
        Seconds before a run.
    neural_tangents : str
        Interpreter of an environment that has neural-tangents with the jax of its time; empty for this one.
    """

    runs: int = 7
    limit: float = 60.0
    pause: float = 0.3
    neural_tangents: str = ""


@contextmanager
def written(cases: Sequence[Case]) -> Iterator[dict[str, Path]]:
    """Write the networks of some cases and the truth about them to temporary folders, all in one process."""
    with tempfile.TemporaryDirectory(prefix="assembly-benchmark-") as name:
        folders = {case.name: Path(name) / str(number) for number, case in enumerate(cases)}
        for case in cases:
            networks.describe(case.network, folders[case.name])
        questions = [f"{case.question}:{folders[case.name]}" for case in cases]
        command = [sys.executable, "-m", "speed.truth", *questions]
        subprocess.run(command, check=True, env=process.environment_of({}))
        yield folders


def measure(case: Case, folder: Path, settings: Settings) -> dict[str, Any]:
    """Return the record of a case that is written down in a folder."""
    errors: dict[str, float] = {}
    start = _starter(case, folder, settings)
    groups = rounds.measure(_keys(case), start, _rules(case, settings), _keeping_errors(case, folder, errors))
    record: dict[str, Any] = {
        "job": case.job,
        "network": {"kind": case.network.kind, "sizes": case.network.sizes, "dtype": case.network.dtype},
        "n_parameters": _n_parameters(case.network),
        "tolerance": case.tol,
        "limit": settings.limit,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": f"python benchmarks/performance.py {case.name.replace('/quick/', '/')}{' --quick' * case.is_quick}",
        "machine": machine.machine(),
        "versions": {**machine.versions(), **_peers()},
    }
    return record | gathered(case, groups, errors)


def gathered(case: Case, groups: list[dict[str, rounds.Outcome]], errors: dict[str, float]) -> dict[str, Any]:
    """Return what was found about every side, and the bandwidth that was measured between their runs."""
    labels = {side.key: side.label for side in case.sides}
    sides: dict[str, dict[str, Any]] = {}
    bandwidths: list[float] = []
    for outcomes in groups:
        reference = next(iter(outcomes.values()))
        for key, outcome in outcomes.items():
            if key == BANDWIDTH.key:
                bandwidths += [answer["bandwidth"] for answer in outcome.answers]
            elif key not in sides:
                sides[key] = {"label": labels[key], **_side(outcome)}
                if reference.answers and outcome.answers:
                    seconds = [answer["seconds"] for answer in reference.answers]
                    sides[key]["reference_seconds"] = arithmetic.spread(seconds)["seconds"]
    for key, one in errors.items():
        sides[key]["error"] = one
    found: dict[str, Any] = {"sides": {key: sides[key] for key in labels if key in sides}}
    if bandwidths:
        found["read_bandwidth"] = arithmetic.spread(bandwidths)["seconds"]
    peers = {key: one for key, one in errors.items() if not key.startswith("ours")}
    if peers and case.question == "norms":
        nearest = min(peers, key=lambda key: peers[key])
        found["truth"] = {"confirmed_by": labels[nearest], "difference": peers[nearest]}
    return found


def _side(outcome: rounds.Outcome) -> dict[str, Any]:
    if not outcome.answers:
        reason = outcome.reason
        status = "missing" if reason.startswith("missing") else "none"
        return {"status": status, "reason": reason.removeprefix("missing: "), "group": outcome.group}
    last = outcome.answers[-1]
    seconds = [answer["seconds"] for answer in outcome.answers]
    return {
        "status": "ok",
        "reason": outcome.reason,
        "group": outcome.group,
        **arithmetic.spread(seconds),
        "all_seconds": seconds,
        **({"first_seconds": outcome.first["seconds"]} if outcome.first else {}),
        "peak_bytes": max(answer["peak_bytes"] for answer in outcome.answers),
        **{name: last[name] for name in FACTS if last.get(name) is not None},
    }


def _keys(case: Case) -> list[str]:
    keys = [side.key for side in case.sides]
    return keys if case.is_quick and case.job not in ("step", "edges", "size") else [*keys, BANDWIDTH.key]


def _rules(case: Case, settings: Settings) -> rounds.Rules:
    memory = round(SHARE * process.total_bytes())
    if not case.question:
        return rounds.Rules(1, ALONE_LIMIT, memory, settings.pause, warms_up=False)
    return rounds.Rules(settings.runs, settings.limit, memory, settings.pause)


def _starter(case: Case, folder: Path, settings: Settings) -> Callable[[str], process.Process]:
    sides = {side.key: side for side in (*case.sides, BANDWIDTH)}
    memory = round((SHARE if case.question else 1.0) * process.total_bytes())

    def begin(key: str) -> process.Process:
        python = settings.neural_tangents if "neural_tangents" in sides[key].needs else ""
        return process.Process(sides[key], folder, {"tol": case.tol}, memory, python)

    ahead = {key: begin(key) for key in _keys(case) if process.is_installed(sides[key])} if case.is_quick else {}

    def start(key: str) -> process.Process:
        begun = ahead.pop(key) if key in ahead else begin(key)
        begun.wait()
        return begun

    return start


def _keeping_errors(case: Case, folder: Path, errors: dict[str, float]) -> Callable[[str, Any], None]:
    path = folder / "truth.npy"

    def keep(key: str, runner: Any) -> None:
        answer = folder / "answer.npy"
        if key != BANDWIDTH.key and path.exists() and runner.save(answer):
            errors[key] = arithmetic.error(np.load(answer), np.load(path), case.question == "norms")

    return keep


def _n_parameters(network: networks.Network) -> int | None:
    if network.kind != "mlp":
        return None
    sizes = (networks.N_INPUTS, *network.sizes, 1)
    return sum(a * b for a, b in pairwise(sizes))


def _peers() -> dict[str, str]:
    found = {}
    for name in PEERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def read(path: Path) -> dict[str, Any]:
    """Return the records of a file, by the name of the case; none if there is no file."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def add(path: Path, name: str, record: dict[str, Any]) -> dict[str, Any]:
    """Put a record in the file, in place of the one of that name, and return all."""
    records = read(path)
    records[name] = record
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records, indent=1) + "\n", "utf-8")
    return records
