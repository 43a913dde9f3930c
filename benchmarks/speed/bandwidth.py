"""How fast this machine reads memory: every core sums its part of a long vector, in threads, without numba."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

N_NUMBERS = 2**27  # 1 GiB, far more than any cache
ROUNDS = 3


def read(folder: Path, tol: float) -> Callable[[], dict[str, Any]]:
    """Return what measures the read bandwidth once, in bytes per second: the best of three sums and inner products."""
    from threadpoolctl import threadpool_limits

    n_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    long = np.ones(N_NUMBERS if folder.name != "small" else 8 * n_threads)
    parts = np.array_split(long, n_threads)
    pool = ThreadPoolExecutor(n_threads)

    def run() -> dict[str, Any]:
        times = []
        with threadpool_limits(1):
            for one in (np.sum, _square) * ROUNDS:
                start = time.perf_counter()
                list(pool.map(one, parts))
                times.append(time.perf_counter() - start)
        return {"value": long.nbytes / min(times), "bandwidth": long.nbytes / min(times)}

    return run


def _square(part: Any) -> Any:
    return np.dot(part, part)
