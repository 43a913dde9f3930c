"""Results on disk: one SQLite file per folder, one row per finished point, safe against a kill at any moment.

A point counts once its row is committed and flushed to disk (``synchronous = FULL``). Rows are keyed by the hash of the
point and written with INSERT OR IGNORE, so nothing is ever recomputed or doubled. Numbers are kept as JSON text, floats
in their shortest exact form: SQLite's own column type turns NaN into NULL. results.csv is an export, made anew every
time; it is never read back, since a spreadsheet may have rounded it.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import math
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from assembly.diagnostics.verdict import claimed
from assembly.errors import ArgumentError, ResultsError
from assembly.files import write_atomically
from assembly.study.folders import RESULTS, check_kind
from assembly.study.reading import dump
from assembly.study.specification import Specification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assembly.study.design import Point

CSV, PARQUET, STUDY = "results.csv", "results.parquet", "study.toml"
_LOCK = ".lock"
_APPLICATION = 0x41534D42  # "ASMB": how a file of ours is told from another program's
_LAYOUT = 1
_TABLES = (
    "CREATE TABLE study (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE points (key TEXT PRIMARY KEY, point TEXT NOT NULL, quantities TEXT NOT NULL, seconds REAL NOT NULL, "
    "warnings TEXT NOT NULL, checksum TEXT NOT NULL)",
    "CREATE TABLE failures (key TEXT PRIMARY KEY, point TEXT NOT NULL, reason TEXT NOT NULL)",
)
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NETWORK_FILE_SYSTEMS = {
    *("9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"),
    *("orangefs", "panfs", "smb3", "smbfs", "virtiofs", "fuse.glusterfs", "fuse.ceph", "fuse.rclone", "fuse.s3fs"),
}


class Store:
    """Results folder of one study, locked while it is open.

    Use it as a context manager. Parameters are those of the study; the folder is made if need be.

    Parameters
    ----------
    folder : Path
    specification : Specification
    fingerprint : str
        Of the data, see `assembly.data.Data`.

    Attributes
    ----------
    notes : list of str
        Sentences to be shown, such as that the folder is on a network file system.

    Raises
    ------
    ResultsError
        If the folder cannot be written, is in use by another run, holds results of another study, or is damaged.
    """

    def __init__(self, folder: Path, specification: Specification, fingerprint: str) -> None:
        self.folder = folder
        self.notes: list[str] = []
        check_kind(folder, RESULTS)
        with _clear_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _take_lock(folder, self.notes)
        try:
            with _clear_errors(folder):
                self._connection = self._open()
                self._check_study(identity(specification, fingerprint))
                self.notes += self._late_claims(specification)
                write_atomically(folder / STUDY, dump(specification).encode())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and release the lock."""
        connection = self.__dict__.pop("_connection", None)
        if connection is not None:
            with suppress(sqlite3.Error):  # a full disk: what is committed stays in the write-ahead log
                connection.close()
        lock = self.__dict__.pop("_lock", None)
        if lock is not None:
            os.close(lock)

    # --- rows --------------------------------------------------------------------------------------------------------

    def add(self, point: Point, quantities: Mapping[str, float], seconds: float, warnings: Sequence[str] = ()) -> None:
        """Record a finished point; when this returns, it is on disk."""
        with _clear_errors(self.folder):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                row = (point.key, point.to_json(), _encode(quantities), float(seconds), json.dumps(list(warnings)))
                self._connection.execute(
                    "INSERT OR IGNORE INTO points VALUES (?, ?, ?, ?, ?, ?)", (*row, _checksum(row))
                )
                self._connection.execute("DELETE FROM failures WHERE key = ?", (point.key,))
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def add_failure(self, point: Point, reason: str) -> None:
        """Record why a point has no result; the next run tries it again."""
        with _clear_errors(self.folder):
            self._connection.execute(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?)", (point.key, point.to_json(), reason)
            )

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def seconds(self) -> dict[str, float]:
        """Return the keys of all points on disk, each with the time it took."""
        return dict(self._select("SELECT key, seconds FROM points"))

    def rows(self, points: Iterable[Point]) -> list[dict[str, Any]]:
        """Return one row per point that is finished, in the order given, numbers exactly as they were measured."""
        stored = dict(self._select("SELECT key, quantities FROM points"))
        return [
            {"architecture": point.architecture, "width": point.width, "seed": point.seed, **_decode(stored[point.key])}
            for point in points
            if point.key in stored
        ]

    def warnings(self, points: Iterable[Point]) -> dict[str, int]:
        """Return the warnings of these points, each with the number of points that gave it."""
        stored = dict(self._select("SELECT key, warnings FROM points WHERE warnings <> '[]'"))
        return dict(Counter(message for point in points for message in json.loads(stored.get(point.key, "[]"))))

    def _select(self, query: str) -> list[Any]:
        with _clear_errors(self.folder):
            return self._connection.execute(query).fetchall()

    # --- exports -----------------------------------------------------------------------------------------------------

    def export_csv(self, points: Iterable[Point]) -> Path:
        """Write results.csv, replacing it in one step: complete or as it was before, never half of it."""
        with _clear_errors(self.folder):
            return write_atomically(self.folder / CSV, csv_text(self.rows(points)).encode())

    def export_parquet(self, points: Iterable[Point]) -> Path:
        """Write results.parquet, the same table as results.csv; needs pandas and pyarrow."""
        check_parquet()
        import pandas as pd

        buffer = io.BytesIO()
        pd.DataFrame(self.rows(points)).to_parquet(buffer, index=False)
        with _clear_errors(self.folder):
            return write_atomically(self.folder / PARQUET, buffer.getvalue())

    # --- opening -----------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        path = self.folder / RESULTS
        size = path.stat().st_size if path.exists() else 0
        if path.exists() and size == 0 and (self.folder / STUDY).exists():
            raise ResultsError(_damaged(self.folder, "it is empty"))
        is_closed = not path.with_name(f"{RESULTS}-wal").exists()
        connection = sqlite3.connect(path, timeout=10.0, isolation_level=None)
        try:
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            layout = connection.execute("PRAGMA user_version").fetchone()[0]
            if is_closed and size % connection.execute("PRAGMA page_size").fetchone()[0]:
                raise ResultsError(_damaged(self.folder, "its end is missing"))
            if tables and (application != _APPLICATION or layout != _LAYOUT):
                raise ResultsError(
                    f"The file {str(path)!r} was written by another program or another version: "
                    "move it away, or give another folder with --out."
                )
            self._choose_journal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            if not tables:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                connection.execute(f"PRAGMA user_version = {_LAYOUT}")
                for table in _TABLES:
                    connection.execute(table)
                connection.execute("COMMIT")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            problem = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if problem != "ok":
                raise ResultsError(_damaged(self.folder, str(problem).splitlines()[-1]))
            for *row, checksum in connection.execute("SELECT * FROM points"):
                if _checksum(row) != checksum:
                    raise ResultsError(_damaged(self.folder, "the checksum of a row is wrong"))
        except BaseException:
            connection.close()
            raise
        return connection

    def _choose_journal(self, connection: sqlite3.Connection) -> None:
        """Use a write-ahead log where it works; it needs shared memory, which network file systems do not give."""
        mode = ""
        if not is_on_network(self.folder):
            with suppress(sqlite3.OperationalError):
                mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if mode != "wal":
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            self.notes.append(
                f"The folder {str(self.folder)!r} is on a file system without a write-ahead log (a network one?): "
                "results are kept with a rollback journal, which is as safe and a little slower."
            )

    def _check_study(self, wanted: dict[str, str]) -> None:
        stored = dict(self._connection.execute("SELECT name, value FROM study"))
        different = [name for name in wanted if name in stored and stored[name] != wanted[name]]
        if different:
            raise ResultsError(
                f"The folder {str(self.folder)!r} holds results of another study (other {', '.join(different)}): "
                "give another folder with --out, or delete this one."
            )
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT OR IGNORE INTO study VALUES (?, ?)", wanted.items())
        self._connection.execute("COMMIT")

    def _late_claims(self, specification: Specification) -> list[str]:
        """Keep every claim as it was declared first; return a sentence for each that is not older than its points."""
        query = "SELECT json_extract(point, '$.architecture'), count(*) FROM points GROUP BY 1"
        measured = dict(self._connection.execute(query))
        stored = dict(self._connection.execute("SELECT name, value FROM study"))
        notes = []
        for claim in specification.claims:
            name, words = f"claim on {claim.architecture}, {claim.quantity}", claimed(claim.to_claim())
            first = json.loads(stored[name]) if name in stored else None
            n_points = measured.get(claim.architecture, 0)
            if first is None or (first["words"] != words and not n_points):
                first = {"words": words, "n_points": n_points}
                self._connection.execute("INSERT OR REPLACE INTO study VALUES (?, ?)", (name, json.dumps(first)))
            if first["words"] != words:
                notes.append(
                    f"The {name}, was not fixed before the run: it was changed after points had been measured. "
                    f"First it was: {first['words']}."
                )
            elif first["n_points"]:
                notes.append(
                    f"The {name}, was not fixed before the run: {first['n_points']} points were there before it."
                )
        return notes


def identity(specification: Specification, fingerprint: str) -> dict[str, str]:
    """Return what must not differ between two runs of one folder.

    Widths, seeds and further architectures may: a longer run builds on a shorter one. So may claims, but of a claim
    that is not older than the points it speaks of a note tells.
    """
    table = specification.model_dump(exclude_none=True)
    data = {"fingerprint": fingerprint} | {key: table["data"].get(key) for key in ("n_measured", "seed", "shape")}
    parts = {name: table[name] for name in ("name", "radius", "tol", "quantities")} | {"data": data}
    for entry in table["architectures"]:
        parts[f"architecture {entry['label']!r}"] = {key: entry[key] for key in entry if key != "widths"}
    return {name: json.dumps(value, sort_keys=True) for name, value in parts.items()}


def check_parquet() -> None:
    """Raise `ArgumentError` if pandas or pyarrow is missing."""
    missing = [name for name in ("pandas", "pyarrow") if find_spec(name) is None]
    if missing:
        raise ArgumentError(
            f"The '--parquet' option needs {' and '.join(missing)}: pip install 'assembly-perspective[parquet]'."
        )


def csv_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV: floats in their shortest exact form, ``nan`` for NaN, empty where a column does not exist."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["architecture", "width", "seed"]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: repr(value) if isinstance(value, float) else value for name, value in row.items()})
    return text.getvalue()


def is_on_network(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Return whether a folder is on a network file system, as far as the system's list of mounts tells."""
    try:
        lines = [line.split() for line in mounts.read_text(errors="replace").splitlines()]
    except OSError:
        return False
    target = folder.resolve()
    found = {Path(words[1].replace("\\040", " ")): words[2] for words in lines if len(words) > 2}
    holding = [place for place in found if target.is_relative_to(place)]
    return bool(holding) and found[max(holding, key=lambda place: len(place.parts))] in _NETWORK_FILE_SYSTEMS


# --- numbers ---------------------------------------------------------------------------------------------------------


def _encode(quantities: Mapping[str, float]) -> str:
    """Return numbers as JSON that any reader takes: null for NaN, 9e999 (which reads as infinity) for infinities."""
    parts = (f"{json.dumps(name)}: {_number(float(value))}" for name, value in quantities.items())
    return "{" + ", ".join(parts) + "}"


def _checksum(row: Sequence[object]) -> str:
    """SQLite's own check sees broken structure, not changed text."""
    return hashlib.sha256(repr(tuple(row)).encode()).hexdigest()[:16]


def _number(value: float) -> str:
    if math.isnan(value):
        return "null"
    return repr(value) if math.isfinite(value) else ("9e999" if value > 0 else "-9e999")


def _decode(text: str) -> dict[str, float]:
    return {name: math.nan if value is None else float(value) for name, value in json.loads(text).items()}


# --- lock and errors -------------------------------------------------------------------------------------------------


def _take_lock(folder: Path, notes: list[str]) -> int:
    """Lock the folder for this process; the system releases the lock when the process ends, however it ends."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(descriptor)
    except BlockingIOError:
        owner = os.read(descriptor, 40).decode(errors="replace").strip()
        os.close(descriptor)
        raise ResultsError(
            f"The folder {str(folder)!r} is in use by another run{f' (process {owner})' if owner else ''}: "
            "wait for it to end, or give another folder with --out."
        ) from None
    except OSError:
        notes.append(f"The folder {str(folder)!r} cannot be locked: do not start a second run of it at the same time.")
    else:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
    return descriptor


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            os.lseek(descriptor, 1000, os.SEEK_SET)  # beyond the text, which stays readable
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _damaged(folder: Path, problem: str) -> str:
    return (
        f"The results file {str(folder / RESULTS)!r} is damaged ({problem.rstrip('.')}): "
        "move or delete it, and the same command measures its points again."
    )


@contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the disk and of SQLite into one line that says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorname", "") or ""
        if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise ResultsError(_damaged(folder, str(error))) from error
        if code.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            raise ResultsError(_full(folder, str(error))) from error
        raise ResultsError(
            f"The results file {str(folder / RESULTS)!r} cannot be used ({error}): "
            "see to its permissions and to other programs that have it open."
        ) from error
    except OSError as error:
        if isinstance(error, BlockingIOError):
            raise
        reason = error.strerror or str(error)
        if error.errno in _FULL:
            raise ResultsError(_full(folder, reason)) from error
        raise ResultsError(
            f"The folder {str(folder)!r} cannot be written ({reason}): give another one with --out."
        ) from error


def _full(folder: Path, reason: str) -> str:
    return (
        f"The folder {str(folder)!r} takes no more data ({reason}): make room and give the same command again; "
        "every finished point before this one is kept."
    )
