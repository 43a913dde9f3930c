"""Memory that is used again: where the same is computed many times, fresh pages would take a good part of the time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Workspace:
    """Arrays by name, whose memory is kept from one use to the next.

    Whoever takes a name again writes over what was there: an evaluation in a workspace lasts until the next one in it.

    Examples
    --------
    >>> workspace = Workspace()
    >>> before = workspace.take("post", (3, 2), np.dtype(float))
    >>> bool(np.shares_memory(before, workspace.take("post", (2, 2), np.dtype(float))))
    True
    """

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[Any]] = {}

    def holds(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
        """Return whether there is memory for an array of this shape, so that `take` needs no more."""
        kept = self._kept.get(name)
        return kept is not None and kept.dtype == dtype and kept.shape[1:] == shape[1:] and len(kept) >= shape[0]

    def take(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array of this shape, which holds anything; in the memory of the last one where its rows suffice."""
        if not self.holds(name, shape, dtype):
            self._kept[name] = np.empty(shape, dtype)
        return self._kept[name][: shape[0]]
