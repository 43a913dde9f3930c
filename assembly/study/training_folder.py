"""The output folder of a training: runs of one set of options, at any widths and to any number of steps."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assembly.errors import ResultsError
from assembly.files import write_atomically
from assembly.study.folders import OPTIONS, check_kind


class TrainingFolder:
    """An output folder; it is made when there is something to keep.

    Parameters
    ----------
    path : Path
    options : mapping
        What must not differ between two runs of one folder: option of the command line -> what it comes to, in words of
        JSON.
    defaults : mapping
        Option -> what it is where neither `options` nor the runs in the folder say.

    Attributes
    ----------
    path : Path
    options : dict
        With the defaults.

    Raises
    ------
    ResultsError
        If the folder holds another kind of results, or runs of other options; the message names them.
    """

    def __init__(self, path: Path, options: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        self.path = path
        check_kind(path, OPTIONS)
        stored = self._stored() if self.widths() else {}
        left_out = {name: stored.get(name, value) for name, value in defaults.items() if options.get(name) is None}
        self.options: dict[str, Any] = json.loads(json.dumps({**options, **left_out}))
        different = [name for name in {**stored, **self.options} if stored.get(name) != self.options.get(name)]
        if stored and different:
            raise ResultsError(
                f"The folder {str(path)!r} holds a training with other options ({', '.join(different)}): "
                "give another folder with --out, or delete this one."
            )

    def widths(self) -> list[int]:
        """Return the widths of which there is a checkpoint, ascending."""
        found = (re.fullmatch(r"width-([1-9][0-9]*)\.npz", file.name) for file in self.path.glob("width-*.npz"))
        return sorted(int(one[1]) for one in found if one)

    def checkpoint(self, width: int) -> Path:
        """Return where the run of a width is kept."""
        return self.path / f"width-{width}.npz"

    def keep(self) -> None:
        """Make the folder and write down the options, if that has not been done; before anything else is written.

        Raises
        ------
        ResultsError
            If the folder cannot be made or written.
        """
        if self._stored() == self.options:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path / OPTIONS, json.dumps(self.options, indent=1).encode())
        except OSError as error:
            raise ResultsError(
                f"The folder {str(self.path)!r} cannot be written: {error.strerror}; choose another with --out."
            ) from None

    def _stored(self) -> dict[str, Any]:
        file = self.path / OPTIONS
        try:
            stored = json.loads(file.read_text()) if file.exists() else {}
        except (OSError, ValueError):
            stored = None
        if not isinstance(stored, dict):
            raise ResultsError(
                f"The file {str(file)!r} cannot be read: give another folder with --out, or delete this one."
            )
        return stored
