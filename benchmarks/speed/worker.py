"""The process of one side: reads orders on standard input, a line each, and answers each with a line of JSON.

    python -m speed.worker MODULE:FUNCTION OPTIONS FOLDER MEMORY

It first goes through the small network beside the one it is asked about, so that libraries are loaded and their first
needs met; what it holds then is where its memory is counted from.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from speed import memory

SHORTEST = 0.1  # seconds

Run = Callable[[], dict[str, Any]]


def work(side: Callable[..., Run], options: dict[str, Any], folder: Path, out: TextIO) -> None:
    """Build what the side needs, then answer "run" and "save" until there are no more orders."""
    _say(out, loaded=_small(side, options, folder))
    baseline = memory.resident_bytes()
    memory.forget_peak()
    start = time.perf_counter()
    run = side(folder, **options)
    _say(out, built=time.perf_counter() - start)
    value: Any = None
    for order in sys.stdin:
        word, _, argument = order.strip().partition(" ")
        if word == "run":
            answer, value = timed(run)
            _say(out, **answer, peak_bytes=memory.peak_bytes() - baseline, huge_bytes=memory.huge_bytes())
        elif word == "save":
            if value is not None:
                np.save(argument, np.asarray(value))
            _say(out, saved=value is not None)


def timed(run: Run) -> tuple[dict[str, Any], Any]:
    """Return time and facts of a run, and its answer; what is under "after" is done when the clock has stopped.

    A run that is over sooner than `SHORTEST` is repeated, and the time is the mean: a core that was idle begins slowly.
    """
    count, start = 0, time.perf_counter()
    while True:
        found: dict[str, Any] = {}  # the answer before is not held
        found = run()
        count, elapsed = count + 1, time.perf_counter() - start
        if "seconds" in found or elapsed >= SHORTEST:
            break
    found["seconds"] = found.get("seconds", elapsed / count)
    after = found.pop("after", None)
    if after is not None:
        found |= after()
    return found, found.pop("value", None)


def _small(side: Callable[..., Run], options: dict[str, Any], folder: Path) -> bool:
    if not (folder / "small").is_dir():
        return False
    run = side(folder / "small", **options)
    timed(run)
    del run
    gc.collect()
    return True


def _say(out: TextIO, **fields: Any) -> None:
    print(json.dumps(fields), file=out, flush=True)


def main() -> None:
    """Run the side named on the command line; whatever it prints goes to standard error."""
    target, options, folder, limit = sys.argv[1:5]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    memory.limit_bytes(int(limit))
    module, _, function = target.partition(":")
    side = getattr(importlib.import_module(module), function)
    work(side, json.loads(options), Path(folder), out)


if __name__ == "__main__":
    main()
