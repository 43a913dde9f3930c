"""Checkpoints: the history of a run, and all that it needs to go on from there bit for bit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from assembly.dynamics.history import from_arrays, write_arrays
from assembly.dynamics.run import Run
from assembly.errors import ResultsError

SECONDS_BETWEEN = 10.0  # checkpoints,
PACE = 20.0  # and at least so many times what the last one took


class Checkpoint:
    """The checkpoint of a run.

    Parameters
    ----------
    path : Path
    run : Run
    """

    def __init__(self, path: Path, run: Run) -> None:
        self._path, self._run = path, run
        self._saved_at, self._saving = time.monotonic(), 0.0

    @property
    def is_due(self) -> bool:
        """Whether the last one is a while ago."""
        return time.monotonic() - self._saved_at > max(SECONDS_BETWEEN, PACE * self._saving)

    def save(self, status: str = "interrupted") -> None:
        """Write the run as it is.

        Raises
        ------
        DataError
            If the file cannot be written.
        """
        begin, run = time.monotonic(), self._run
        history = run.history(status)
        arrays = history.arrays() | {f"start/{i}": start for i, start in enumerate(run.recorder.starts)}
        for name, moving in run.moving.items():
            arrays |= {f"state/{name}/w": moving.w, f"state/{name}/velocity": moving.velocity}
        state = {"number": run.number, "steps": run.longest_steps, "identity": run.identity}
        state["settings"] = run.settings.as_dict()
        write_arrays(self._path, arrays, history.words() | {"state": state})
        self._saved_at, self._saving = time.monotonic(), time.monotonic() - begin

    def save_diverged(self) -> Path:
        """Write the history of a run that diverged beside the checkpoint, which stays as it is; return where."""
        path = self._path.with_suffix(".diverged.npz")
        self._run.history("diverged").save(path)
        return path

    def resume(self, arrays: dict[str, NDArray[Any]], words: dict[str, Any]) -> None:
        """Put the run where what was read from the file left it.

        Raises
        ------
        ResultsError
            If it belongs to another run, or has made more steps than are wanted.
        """
        run, state = self._run, words.get("state")
        if state is None or state["identity"] != run.identity:
            stored = {} if state is None else state["settings"]
            wanted = run.settings.as_dict()
            different = [name for name in stored if name != "n_steps" and stored[name] != wanted[name]]
            other = f"other settings ({', '.join(different)})" if different else "another network or other data"
            raise ResultsError(
                f"The checkpoint {str(self._path)!r} belongs to a run with {other}: give another path, or remove it."
            )
        if state["number"] > run.settings.n_steps:
            raise ResultsError(
                f"The checkpoint {str(self._path)!r} has made {state['number']} steps, more than the "
                f"{run.settings.n_steps} wanted: give another path, or remove it."
            )
        known = from_arrays(arrays, words)
        run.number, run.note, run.longest_steps = state["number"], known.note, state["steps"]
        run.records.resume(known, run.settings.every, run.settings.n_steps)
        run.loss = run.records.last("loss")
        run.recorder.starts = [arrays[f"start/{i}"] for i in range(sum(name.startswith("start/") for name in arrays))]
        for name in list(run.moving):
            if f"state/{name}/w" not in arrays:
                del run.moving[name]
                continue
            run.moving[name].w[:] = arrays[f"state/{name}/w"]
            run.moving[name].velocity[:] = arrays[f"state/{name}/velocity"]
