"""Point functions for the tests of the study: small, deterministic, importable by worker processes.

What they do besides computing is told them through the environment, which worker processes inherit.
"""

import math
import os
import signal
import time
from pathlib import Path

import numpy as np

from assembly import threads
from assembly.errors import ArgumentError
from assembly.seeds import generator


def measure(point, samples):
    """Some linear algebra (BLAS, LAPACK) whose last bits would show any change of threads; one NaN, one infinity."""
    log(point)
    matrix = generator(point.seed, "matrix", point.width).standard_normal((point.width, samples.inputs.shape[1]))
    product = matrix @ (samples.inputs.T @ samples.inputs) @ matrix.T
    return {
        "hessian_norm": float(np.linalg.norm(product, 2)) / point.width**0.5,
        "gradient_norm": float(np.sum(product)) / 3.0,
        "q_infinity": math.nan if point.seed == 1 else 0.1 + 0.2,
        "n_steps": -math.inf if point.seed == 2 else 7.0,
    }


def slowly(point, samples):
    """`measure`, a twentieth of a second later."""
    time.sleep(0.05)
    return measure(point, samples)


def forever(point, samples):
    """`measure` for seed 0; any other seed takes longer than anyone waits."""
    if point.seed:
        time.sleep(20)
    return measure(point, samples)


def dies_once(point, samples):
    """Kill the worker at seed 1 of the smallest width, the first time only."""
    marker = Path(os.environ["STUDY_MARKER"])
    if point.seed == 1 and point.width == 8 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(point, samples)


def dies_always(point, samples):
    """Kill the worker at seed 1, every time, and while other points are under way."""
    time.sleep(0.05 if point.seed == 1 else 0.15)
    if point.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return measure(point, samples)


def dies_everywhere(point, samples):
    """Kill the worker at every point."""
    os.kill(os.getpid(), signal.SIGKILL)


def fails(point, samples):
    """Raise an error of the package at seed 1."""
    if point.seed == 1:
        raise ArgumentError("The 'seed' argument must not be 1.\nGot 1.")
    return measure(point, samples)


def is_wrong(point, samples):
    """Raise an error that is a mistake in the program."""
    raise KeyError("a mistake")


def warns(point, samples):
    """Warn twice the same."""
    import warnings

    for _ in range(2):
        warnings.warn("something to know", UserWarning, stacklevel=1)
    return measure(point, samples)


def log(point):
    """Add the point's key to the log, if there is one: a record of every computation."""
    if "STUDY_LOG" in os.environ:
        with Path(os.environ["STUDY_LOG"]).open("a") as file:
            file.write(f"{point.key}\n")


def process(point, samples):
    """Which process this is, and how many threads we and its linear algebra may use."""
    import threadpoolctl

    product = np.ones((200, 200)) @ np.ones((200, 200))
    pools = threadpoolctl.threadpool_info()
    time.sleep(0.02)
    return {
        "pid": float(os.getpid()),
        "threads": float(max([threads.n_threads(), *(pool["num_threads"] for pool in pools)])),
        "sum": float(product.sum()),
    }


def slowly_logged(point, samples):
    """Log when it begins and when it ends."""
    with Path(os.environ["STUDY_LOG"]).open("a") as file:
        file.write(f"begin:{point.key}\n")
        file.flush()
        time.sleep(0.1)
        file.write(f"end:{point.key}\n")
    return {"q": 1.0}


def is_not_built(point):
    """Take the place of `assembly.study.measure.build`: these points have no networks to draw."""
    raise ArgumentError(f"The 'point' argument must have a network. Got {point}.")
