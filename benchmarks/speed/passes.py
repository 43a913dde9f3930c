"""What a step of an iteration on a large network takes, pass by pass, in turn with what limits it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

ROUNDS = 5


def passes(space: Any) -> dict[str, dict[str, float]]:
    """Return median and fastest times of M and N, and the bytes of weights and structure that each must read.

    M must read the weights above the first layer and their structure twice, forward and backward, but those of the last
    hidden layer once, where both can be done together; N reads the structure once.
    """
    vector = np.random.default_rng(0).standard_normal(space.size).astype(space.dtype)
    blocks = list(zip(space.program.blocks, space.weights, strict=True))
    structure = sum(_structure_bytes(block) for block, _ in blocks)
    above = [weights.nbytes + _structure_bytes(block) for block, weights in blocks if not block.from_given]
    n_bytes = 2 * sum(above) - (above[-2] if len(above) > 1 else 0)  # the last one is the readout
    calls: dict[str, tuple[Callable[[], Any], int]] = {
        "M": (lambda: space.M(vector), n_bytes),
        "N": (lambda: space.N(vector), structure),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, (call, _) in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {
        name: {"seconds": statistics.median(times[name]), "fastest": min(times[name]), "bytes_read": n_bytes}
        for name, (_, n_bytes) in calls.items()
    }


def _structure_bytes(block: Any) -> int:
    return sum(getattr(block, name).nbytes for name in ("indices", "indptr") if hasattr(block, name))
