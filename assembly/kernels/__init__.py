"""Compiled loops: arrays in, arrays out. They check nothing and allocate nothing; callers do both.

Machine code is cached on disk in a folder named after a hash of these sources and of numba's version: numba stamps a
cached kernel with its own file only, so an edited helper in another file would otherwise leave old code running.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np

_Function = TypeVar("_Function", bound=Callable[..., Any])


def cache_directory() -> Path:
    """Return the folder of compiled kernels: below `NUMBA_CACHE_DIR`, the user's cache folder, or a temporary one."""
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    base = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    name = f"kernels-{digest.hexdigest()[:16]}"
    for parent in (Path(base) / "assembly", Path(tempfile.gettempdir()) / f"assembly-{os.getuid()}"):
        try:
            (parent / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=parent / name):
                return parent / name
        except OSError:
            continue
    return Path(tempfile.mkdtemp(prefix="assembly-"))


CACHE = cache_directory()


def is_compiled() -> bool:
    """Return whether compiled kernels are already on disk, so that a caller can say "compiling" before a wait."""
    return any(CACHE.rglob("*.nbc"))


def kernel(**options: Any) -> Callable[[_Function], _Function]:
    """Compile a function with numba, without the interpreter lock and cached in `CACHE`."""

    def decorate(function: _Function) -> _Function:
        config: Any = numba.config
        previous = config.CACHE_DIR
        config.CACHE_DIR = str(CACHE)  # read by numba at decoration: other people's kernels keep their own folder
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)  # type: ignore[no-any-return]
        finally:
            config.CACHE_DIR = previous

    return decorate
