"""What this process holds and has held at most, and how much of it lies in huge pages."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
ROLLUP = Path("/proc/self/smaps_rollup")


def resident_bytes() -> int:
    """Return the resident size now, or the highest so far where the system does not tell."""
    return _status("VmRSS") if STATUS.exists() else _highest()


def peak_bytes() -> int:
    """Return the highest resident size since `forget_peak`, or of the whole process."""
    return _status("VmHWM") if STATUS.exists() else _highest()


def forget_peak() -> None:
    """Begin anew with the highest resident size, where the system lets us."""
    if STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")


def huge_bytes() -> int | None:
    """Return how many bytes lie in transparent huge pages, None where the system does not tell."""
    if not ROLLUP.exists():
        return None
    return _kilobytes(ROLLUP.read_text(), "AnonHugePages")


def limit_bytes(n_bytes: int) -> None:
    """Let this process hold no more than this in private memory: beyond, an allocation fails."""
    resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, n_bytes))


def _status(name: str) -> int:
    return _kilobytes(STATUS.read_text(), name)


def _kilobytes(text: str, name: str) -> int:
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(lines[name].split()[0]) * 1024


def _highest() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
