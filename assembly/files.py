"""Files that after a crash are either complete or as they were before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from tempfile import TemporaryFile

from assembly.errors import ArgumentError


@contextmanager
def replaced_at_once(path: Path) -> Iterator[BufferedRandom]:
    """Open a new file, to write and to read, that takes the place of `path` in one step when the block ends well."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def writable_folder(folder: str | Path) -> Iterator[Path]:
    """Make a folder, try to write to it, and say in one sentence what goes wrong with it, then or in the block."""
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=target):
            pass
        yield target
    except OSError as error:
        raise ArgumentError(
            f"The 'folder' argument must be a folder to write to. Got {str(target)!r}: {error.strerror}."
        ) from None


def foreign_byte(error: UnicodeDecodeError) -> str:
    r"""Return what makes bytes no text in UTF-8, for the end of a sentence.

    Examples
    --------
    >>> try:
    ...     b"{\xff}".decode("utf-8")
    ... except UnicodeDecodeError as error:
    ...     print(foreign_byte(error))
    the byte 0xff, which is not UTF-8 where it stands
    """
    return f"the byte {error.object[error.start]:#04x}, which is not UTF-8 where it stands"


def write_atomically(path: Path, content: bytes) -> Path:
    """Replace a file in one step by some bytes."""
    with replaced_at_once(path) as file:
        file.write(content)
    return path
