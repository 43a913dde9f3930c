"""A side in a process of its own, seen from outside."""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speed.jobs import Side
from speed.rounds import NoAnswerError

BUILD_LIMIT = 900.0
SCRIPTS = Path(__file__).parents[1]
LEAST_FREE = 2**30  # what the machine must keep, or the side is stopped
POLL = 0.2
OUT_OF_MEMORY = ("MemoryError", "RESOURCE_EXHAUSTED", "bad_alloc", "not enough memory", "can't allocate memory")
COMPILES = 20.0  # what a first run may take beyond the limit
SLACK = 5.0  # for what is done when the clock has stopped


class Process:
    """A process that holds one side; it is told to run by a line, and answers with a line.

    Parameters
    ----------
    side : Side
    folder : Path
        Of the network.
    task : dict
        Given to the side.
    memory : int
        Bytes of private memory beyond which an allocation fails.
    python : str
        Interpreter.

    Raises
    ------
    NoAnswerError
        If it is not installed.
    """

    def __init__(self, side: Side, folder: Path, task: dict[str, Any], memory: int, python: str = "") -> None:
        if not python and not is_installed(side):
            raise NoAnswerError(f"missing: {_absent(side)[0]} is not installed")
        options = json.dumps({**task, **side.options})
        arguments = ["-m", "speed.worker", f"speed.{side.target}", options, str(folder), str(memory)]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [python or sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment_of(side.environment),
        )
        self.memory = memory
        self.held_bytes = 0
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self) -> None:
        """Wait until it is ready to run.

        Raises
        ------
        NoAnswerError
            If it ends before.
        """
        try:
            for _ in ("loaded", "built"):
                self._answer(BUILD_LIMIT, BUILD_LIMIT)
        except NoAnswerError:
            self.close()
            raise

    def run(self, limit: float, *, compiles: bool = False) -> dict[str, Any]:
        """Return the answer of one run.

        Raises
        ------
        NoAnswerError
            If it took longer, the time to compile not counted, or the process ended.
        """
        answer = self._ask("run", limit, limit + (COMPILES if compiles else SLACK))
        if answer["seconds"] > limit and not compiles:
            raise NoAnswerError(unfinished(limit))
        return answer

    def save(self, path: Path) -> bool:
        """Let the answer of the last run be written down; return whether there is one."""
        return bool(self._ask(f"save {path}", BUILD_LIMIT, BUILD_LIMIT)["saved"])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._errors):
            assert stream is not None
            stream.close()

    def _ask(self, order: str, limit: float, patience: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            print(order, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise NoAnswerError(self._last_words()) from None
        answer = self._answer(limit, patience)
        self.held_bytes = max(self.held_bytes, _highest_bytes(self._process.pid))
        return answer

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _answer(self, limit: float, patience: float) -> dict[str, Any]:
        end = time.monotonic() + patience
        while True:
            try:
                line = self._lines.get(timeout=POLL)
            except queue.Empty:
                if time.monotonic() > end:
                    raise NoAnswerError(unfinished(limit)) from None
                if _free_bytes() < LEAST_FREE:
                    raise NoAnswerError("stopped: the memory of the machine was used up") from None
                continue
            if not line:
                raise NoAnswerError(self._last_words())
            found: dict[str, Any] = json.loads(line)
            return found

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        return last_words(self._errors.read(), code, self.memory)


def last_words(errors: str, code: int, memory: int) -> str:
    """Return why a process ended, from what it wrote to standard error."""
    if any(sign in errors for sign in OUT_OF_MEMORY):
        return f"out of memory at {memory / 1e9:.0f} GB"
    named = re.findall(r"^[\w.]*(?:Error|Exception)\b.*$", errors, re.MULTILINE)
    return f"failed: {named[-1][:200] if named else f'exit code {code}'}"


def is_installed(side: Side) -> bool:
    """Return whether everything is there that a side needs."""
    return not _absent(side)


def _absent(side: Side) -> list[str]:
    return [name for name in side.needs if importlib.util.find_spec(name) is None]


def unfinished(limit: float) -> str:
    """Return what is said of a side that took too long."""
    return f"not finished in {limit:g} s"


def environment_of(added: dict[str, str]) -> dict[str, str]:
    """Return the environment of a process that finds these scripts, and this package where this process does."""
    folders = [str(SCRIPTS), str(SCRIPTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **added, "PYTHONPATH": os.pathsep.join(folders)}


def _highest_bytes(pid: int) -> int:
    return _field(Path(f"/proc/{pid}/status"), "VmHWM")


def _free_bytes() -> int:
    return _field(Path("/proc/meminfo"), "MemAvailable") or 2**62


def total_bytes() -> int:
    """Return the memory of the machine."""
    return _field(Path("/proc/meminfo"), "MemTotal") or 2**62


def _field(path: Path, name: str) -> int:
    try:
        lines: Sequence[str] = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
