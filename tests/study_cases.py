"""A small study for tests, and how to run it in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from assembly.data import Data

TESTS = Path(__file__).parent
STUDY = """
name = "small"
widths = [8, 16, 32, 80]
seeds = 4
[data]
source = "table.npy"
n_measured = 2
[[architectures]]
label = "network"
hidden = ["m", "m"]
[[architectures]]
label = "bottleneck"
builder = "bottleneck"
hidden = ["m", 1, "m"]
[[claims]]
architecture = "network"
quantity = "hessian_norm"
prediction = -0.5
alternative = 0.0
"""
N_POINTS = 32


def table(fingerprint="print", n_columns=6):
    """Data that nothing is measured at: only their shape and fingerprint count."""
    rows = np.random.default_rng(0).standard_normal((20, n_columns))
    return Data("table.npy", rows, np.ones(20), "20 rows", fingerprint)


def write_study(folder, text=STUDY):
    """Write the study and its data; return the path of the TOML file."""
    np.save(folder / "table.npy", np.random.default_rng(0).standard_normal((20, 6)))
    (folder / "small.toml").write_text(text)
    return folder / "small.toml"


def start(function, *arguments, folder, **environment):
    """Start study_driver.py; its output is text in pipes."""
    paths = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, str(TESTS / "study_driver.py"), function, *map(str, arguments)],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            **{key: str(value) for key, value in environment.items()},
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
