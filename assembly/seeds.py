"""Random generators keyed by (seed, what for): the same numbers at any worker count, thread count or order of calls."""

from __future__ import annotations

import hashlib

import numpy as np

from assembly.checks import check_count


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the generator of one purpose under one seed.

    Parameters
    ----------
    seed : int
        At least 0.
    *purpose : str or int
        What the numbers are for, for example ``"weights", 2, 512``. Different purposes give independent streams.

    Raises
    ------
    ArgumentError
        If `seed` is not a whole number of at least 0.

    Examples
    --------
    >>> generator(0, "weights").standard_normal() == generator(0, "weights").standard_normal()
    True
    >>> generator(0, "weights").standard_normal() == generator(0, "inputs").standard_normal()
    False
    """
    digest = hashlib.sha256(repr(purpose).encode()).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.default_rng(np.random.SeedSequence([check_count("seed", seed, minimum=0), *words]))
