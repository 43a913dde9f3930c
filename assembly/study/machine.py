"""What a result was computed with: versions of packages and facts of the machine, without importing anything heavy."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import assembly

PACKAGES = ("numpy", "scipy", "numba")


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python, and of the packages its numbers depend on.

    Examples
    --------
    >>> list(versions())
    ['assembly', 'python', 'numpy', 'scipy', 'numba']
    """
    found = {"assembly": assembly.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, str]:
    """Return processor, cores, memory and operating system as text; "unknown" where the system does not tell.

    Cores are those this process may use, which in a container or under a batch system are fewer than the machine has.

    Examples
    --------
    >>> list(machine())
    ['processor', 'cores', 'memory', 'system']
    """
    return {
        "processor": _processor(),
        "cores": _cores(),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()} ({platform.machine()})",
    }


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    try:
        lines = cpuinfo.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return " ".join(value.split())
    return platform.processor() or platform.machine() or "unknown"


def _cores() -> str:
    total = os.cpu_count()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    if total is None or usable is None:
        return "unknown"
    return f"{usable}" if usable == total else f"{usable} of {total}"


def _memory() -> str:
    try:
        n_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return "unknown"
    return f"{n_bytes / 2**30:.1f} GiB"
