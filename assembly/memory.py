"""How much memory is free, and a polite refusal before something that would not fit in it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from assembly.errors import ResourceError

NEVER_CHECKED = 2**26  # bytes that every machine has: asking the system takes longer than using them


def available_memory() -> int | None:
    """Return the bytes of memory that are free for this process, the limit of a container included; None if unknown."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")))
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # "max" means that there is no limit
            found.append(max(int(Path(limit).read_text()) - int(Path(used).read_text()), 0))
    if not found:
        with suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found) if found else None


def check_fits(what: str, n_bytes: int, cure: str) -> None:
    """Raise `ResourceError` if `n_bytes` are more than the memory that is free.

    Parameters
    ----------
    what : str
        What needs them, for the message.
    n_bytes : int
    cure : str
        What to do, for the message.

    Examples
    --------
    >>> check_fits("A kernel of 10 inputs", 800, "use fewer inputs")
    """
    if n_bytes < NEVER_CHECKED:
        return
    available = available_memory()
    if available is not None and n_bytes > available:
        raise ResourceError(f"{what} needs about {gibibytes(n_bytes)}, {gibibytes(available)} are free: {cure}.")


def gibibytes(n_bytes: int) -> str:
    """Return bytes for the reader.

    Examples
    --------
    >>> gibibytes(3 * 2**29)
    '1.5 GiB'
    """
    return f"{n_bytes / 2**30:.3g} GiB"
