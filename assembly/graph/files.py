"""A graph and its parameters on disk: a JSON file, and an NPZ file with the arrays beside it.

The JSON file is written last and holds the SHA-256 of the other, so that a pair that was cut short or mixed up is seen.
Nothing is ever pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from assembly.checks import check_finite, check_name, check_vector
from assembly.errors import ArgumentError, DataError
from assembly.files import foreign_byte, replaced_at_once
from assembly.graph.description import Graph
from assembly.graph.interchange import check_keys, graph_from_dict, graph_to_dict

FORMAT, VERSION = "assembly", 1
DTYPES = ("float64", "float32")
_PARAMETERS = "parameters"
_DAMAGED = (ValueError, TypeError, EOFError, KeyError, MemoryError, SyntaxError, NotImplementedError)


def write_graph(path: str | Path, graph: Graph, parameters: NDArray[Any], *, weights: bool = True) -> None:
    """Write a graph, with its parameters or without.

    Raises
    ------
    AssemblyError
        As `assembly.save`.
    """
    target = _checked(path)
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION, "dtype": parameters.dtype.name}
    if weights:
        check_finite(_PARAMETERS, parameters)
        arrays: dict[str, Any] = {_PARAMETERS: parameters}
        document["graph"] = graph_to_dict(graph, arrays)
        beside = target.with_suffix(".npz")
        if beside.exists() and not target.exists():
            raise DataError(f"The file {beside.name!r} exists and belongs to no {target.name!r}: move one or rename.")
        digest = _replace(beside, lambda file: np.savez(file, **arrays))
        document |= {"weights": beside.name, "sha256": digest}
    else:
        document |= {"graph": graph_to_dict(graph), "weights": None}
    text = re.sub(r"\[\n[^\[\]{}]*\]", _on_one_line, json.dumps(document, indent=1, allow_nan=False))
    _replace(target, lambda file: file.write(text.encode()))


def read_document(path: str | Path) -> dict[str, Any]:
    """Return what a JSON file holds, with its format and version checked by nobody yet.

    Raises
    ------
    DataError
        If it cannot be read, is no JSON object, or names a key twice.
    """
    target = _checked(path)
    try:
        text = target.read_bytes().decode("utf-8-sig")
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse, parse_int=_whole)
    except FileNotFoundError:
        raise DataError(f"The file {str(path)!r} does not exist: check the path.") from None
    except OSError as error:
        raise DataError(f"The file {str(path)!r} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"The file {target.name!r} must be UTF-8 text: JSON. Got {foreign_byte(error)}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"The file {target.name!r} must be complete and valid JSON. {error}.") from None
    if not isinstance(document, dict):
        raise DataError(f"The file {target.name!r} must hold a JSON object. Got {type(document).__name__}.")
    return document


def read_graph(path: str | Path, document: dict[str, Any]) -> tuple[Graph, np.dtype[Any], NDArray[Any] | None]:
    """Return the graph of a document, its dtype, and its parameters, None if it is without.

    Raises
    ------
    AssemblyError
        As `assembly.load`.
    """
    checksum = () if document.get("weights") is None else ("sha256",)
    check_keys("file", document, ("format", "version", "dtype", "graph", "weights", *checksum))
    dtype = np.dtype(check_name("dtype", document["dtype"], DTYPES))
    if document["weights"] is None:
        return graph_from_dict(document["graph"]), dtype, None
    arrays = _read_arrays(Path(path), document["weights"], document["sha256"])
    graph = graph_from_dict(document["graph"], arrays)
    found = arrays[_PARAMETERS].dtype if _PARAMETERS in arrays else "none"
    if found != dtype:
        raise DataError(f"The file {document['weights']!r} must hold an array {_PARAMETERS!r} of {dtype}. Got {found}.")
    return graph, dtype, check_vector(_PARAMETERS, arrays[_PARAMETERS], graph.n_parameters, dtype)


def _read_arrays(path: Path, name: object, digest: object) -> dict[str, NDArray[Any]]:
    if not isinstance(name, str) or not name or Path(name).name != name:
        raise DataError(f"The 'weights' entry must be the name of a file in the same folder. Got {name!r}.")
    try:
        with path.with_name(name).open("rb") as file:  # opened here: numpy leaves a damaged archive open
            belongs = hashlib.file_digest(file, "sha256").hexdigest() == digest
            arrays = _unpacked(file) if belongs else None
    except FileNotFoundError:
        raise DataError(f"The file {name!r} with the weights must stand beside {path.name!r}. Got none.") from None
    except OSError as error:
        raise DataError(f"The file {name!r} cannot be read: {error.strerror or error}.") from None
    if not belongs:
        raise DataError(f"The file {name!r} is damaged or belongs to another network: its SHA-256 differs.")
    if arrays is None:
        raise DataError(f"The file {name!r} must be a complete NPZ file of numbers.")
    return arrays


def _unpacked(file: BinaryIO) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of an NPZ file, None if it is none."""
    file.seek(0)
    try:
        found = np.load(file, allow_pickle=False)
        return None if isinstance(found, np.ndarray) else {key: found[key] for key in found.files}
    except (*_DAMAGED, zipfile.BadZipFile, zlib.error):
        return None


def _checked(path: str | Path) -> Path:
    if not isinstance(path, str | os.PathLike) or Path(path).suffix != ".json":
        raise ArgumentError(f"The 'path' argument must be the name of a .json file. Got {str(path)!r}.")
    return Path(path)


def _replace(path: Path, write: Callable[[BinaryIO], object]) -> str:
    """Replace a file in one step and return its SHA-256."""
    try:
        with replaced_at_once(path) as file:
            write(file)
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"The file {str(path)!r} cannot be written: {error.strerror or error}.") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ValueError(f"The key {repeated!r} stands twice in one object")
    return found


def _whole(text: str) -> int:
    if len(text) > 18:
        raise ValueError(f"The number {text[:18]}... has more than 18 digits")
    return int(text)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _on_one_line(match: re.Match[str]) -> str:
    return re.sub(r"\n *", " ", match[0]).replace("[ ", "[").replace(" ]", "]")
