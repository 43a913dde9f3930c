"""Where the studies of a page are kept, and how they come back: from a folder, or from a file that is sent."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import tempfile
from pathlib import Path

from assembly import data as datasets
from assembly.errors import ArgumentError, ConfigurationError
from assembly.explorer.scaling import NAME, check_limits
from assembly.study import reading
from assembly.study.folders import RESULTS
from assembly.study.specification import Specification
from assembly.study.store import STUDY

LONGEST_FILE = 2**16  # bytes of a study file


def uploaded(content: bytes) -> Specification:
    """Return the study of a file that a visitor sent: checked as on the command line, and for what a page runs.

    Raises
    ------
    ArgumentError
        If the file is too long, no text, or names data that are not built in: a visitor reads no files of the server.
    ConfigurationError
        If it is no study.
    ResourceError
        If it is too large for a page, see `check_limits`.
    """
    if len(content) > LONGEST_FILE:
        raise ArgumentError(f"The study file must have at most {LONGEST_FILE} bytes. Got {len(content)}.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ArgumentError("The study file must be a text in UTF-8, a TOML file. Got other bytes.") from None
    study = reading.override(reading.parse(text, origin=STUDY))
    if study.data.source not in datasets.BUILT_IN:
        raise ArgumentError(
            f"The 'data.source' key must be one of {', '.join(datasets.BUILT_IN)} in a study that is uploaded. "
            f"Got {study.data.source[:80]!r}."
        )
    check_limits(study)
    return study


class Places:
    """Folders of the studies of one page.

    Parameters
    ----------
    owns_machine : bool
        Whether the visitor may name folders of the server's machine.
    """

    def __init__(self, *, owns_machine: bool) -> None:
        self.owns_machine = owns_machine
        self._root: tempfile.TemporaryDirectory[str] | None = None

    def of(self, study: Specification, named: str = "") -> Path:
        """Return the folder of a study: the one that was named, or a temporary one of the page.

        Studies that may share their points share a temporary folder: widths, seeds and architectures may differ.

        Raises
        ------
        ArgumentError
            If a folder is named that may not be, or holds something else.
        """
        if named.strip():
            return self.named(named)
        if self._root is None:
            self._root = tempfile.TemporaryDirectory(prefix="assembly-explorer-", ignore_cleanup_errors=True)
        table = study.model_dump(mode="json", include={"name", "radius", "tol", "quantities", "data", "training_steps"})
        table["architectures"] = "" if study.name == NAME else study.model_dump(mode="json", include={"architectures"})
        digest = hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:8]
        return Path(self._root.name) / f"{study.name}-{digest}"

    def named(self, text: str) -> Path:
        """Return a folder that a visitor named, if it is new, empty, or holds a study.

        Raises
        ------
        ArgumentError
            If visitors name no folders here, the text is no path of a folder, or the folder holds something else.
        """
        if not self.owns_machine:
            raise ArgumentError(
                "The 'folder' argument must be left out: only a visitor on the machine itself names folders of it. "
                f"Got {text[:80]!r}."
            )
        try:
            folder = Path(text.strip()).expanduser().absolute()
            found = set(os.listdir(folder)) if folder.exists() or "\0" in text else set()
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ArgumentError(f"The 'folder' argument must be a folder. Got {text[:80]!r} ({reason}).") from None
        if found and RESULTS not in found and found != {STUDY}:
            raise ArgumentError(
                f"The 'folder' argument must be a new or empty folder, or hold a study. Got {text[:80]!r}, which holds "
                f"{sorted(found)[0][:40]!r} and no {RESULTS}."
            )
        return folder

    def reopened(self, text: str) -> tuple[Specification, Path]:
        """Return the study of a folder that a visitor named, and the folder.

        Raises
        ------
        ArgumentError, ConfigurationError, ResourceError
            If there is none, or it is too large for a page.
        """
        folder = self.named(text)
        if not (folder / STUDY).exists():
            raise ConfigurationError(f"The folder {str(folder)!r} holds no {STUDY}: give the folder of a study.")
        study = reading.override(reading.load(folder / STUDY))
        check_limits(study)
        return study, folder

    def close(self) -> None:
        """Remove what was temporary."""
        root, self._root = self._root, None
        if root is not None:
            root.cleanup()


def command(folder: Path) -> str:
    """Return the line that goes on with a study in a terminal.

    Examples
    --------
    >>> command(Path("/home/me/two words"))
    "assembly study '/home/me/two words/study.toml' --out '/home/me/two words'"
    """
    return f"assembly study {shlex.quote(str(folder / STUDY))} --out {shlex.quote(str(folder))}"
