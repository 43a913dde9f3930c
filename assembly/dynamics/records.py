"""What a run has recorded until now."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.dynamics.history import History

Values = NDArray[Any]


class Records:
    """Rows of the table of a `History`, and outputs, one for every record."""

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self._outputs: list[dict[str, Values]] = []
        self._test_outputs: list[dict[str, Values]] = []

    def add(self, row: dict[str, float], outputs: dict[str, Values], test_outputs: dict[str, Values]) -> None:
        """Add a record: column -> number, and model -> outputs."""
        self._rows.append(row)
        self._outputs.append(outputs)
        self._test_outputs.append(test_outputs)

    def last(self, column: str) -> float:
        """Return a number of the last record, NaN before the first."""
        return self._rows[-1][column] if self._rows else float("nan")

    def table(self) -> dict[str, NDArray[np.float64]]:
        """Return column -> numbers."""
        columns = list(self._rows[0]) if self._rows else []
        return {name: np.array([row[name] for row in self._rows]) for name in columns}

    def outputs(self) -> dict[str, Values]:
        """Return model -> outputs at the training inputs."""
        return _stacked(self._outputs)

    def test_outputs(self) -> dict[str, Values]:
        """Return model -> outputs at the test inputs."""
        return _stacked(self._test_outputs)

    def resume(self, known: History, every: int, n_steps: int) -> None:
        """Take over from a history the records that a run of so many steps makes too."""
        for i, step in enumerate(known.table.get("step", np.zeros(0))):
            if step % every == 0 or step == n_steps:
                row = {name: float(values[i]) for name, values in known.table.items()}
                self.add(row, _at(known.outputs, i), _at(known.test_outputs, i))


def _at(stacked: dict[str, Values], i: int) -> dict[str, Values]:
    return {name: values[i] for name, values in stacked.items()}


def _stacked(records: list[dict[str, Values]]) -> dict[str, Values]:
    return {name: np.stack([one[name] for one in records]) for name in records[0]} if records else {}
