"""Data sets: four that come with scikit-learn, and tables of numbers in CSV, NPY and NPZ files (never pickles).

Inputs are prepared in one way everywhere: every column standardised (a constant column becomes 0), then every row
scaled to length sqrt(d), so that a neuron of the first layer has variance 1 at every input.
"""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from assembly.checks import check_count, suggest
from assembly.errors import ArgumentError, DataError, UnknownNameError
from assembly.files import foreign_byte
from assembly.seeds import generator

BUILT_IN = {
    "digits": "1797 handwritten digits, 8 x 8 grey values; target: even or odd",
    "breast_cancer": "569 tumours, 30 measurements; target: malignant or benign",
    "diabetes": "442 patients, 10 measurements; target: disease progression above or below its median",
    "wine": "178 wines, 13 measurements; target: first cultivar or another",
}
IMAGE_SHAPES = {"digits": (8, 8)}
FILE_SUFFIXES = (".csv", ".npy", ".npz")
_PREPARATION = "standardise columns, scale rows to sqrt(d); version 1"


@dataclass(frozen=True)
class Data:
    """Prepared inputs and targets.

    Attributes
    ----------
    name : str
        Name of the data set, or of the file without its folder.
    inputs : ndarray of shape (n, d), float64
        Rows of length sqrt(d); read-only.
    targets : ndarray of shape (n,), float64
        -1 and +1 for a binary target, else numbers with mean 0 and variance 1; read-only.
    description : str
        One line: sizes, and what the target is.
    fingerprint : str
        SHA-256 of the numbers as they were read and of the way they are prepared, 64 hexadecimal digits.
    """

    name: str
    inputs: NDArray[np.float64]
    targets: NDArray[np.float64]
    description: str
    fingerprint: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input: (height, width) of images, (d,) of anything else.

        Examples
        --------
        >>> load("digits").shape, load("wine").shape
        ((8, 8), (13,))
        """
        return IMAGE_SHAPES.get(self.name, (self.inputs.shape[1],))


def load(source: str | Path, target: str | int | None = None) -> Data:
    """Read a data set and prepare it.

    Parameters
    ----------
    source : str or Path
        ``"digits"``, ``"breast_cancer"`` (or ``"breast-cancer"``), ``"diabetes"``, ``"wine"``, or the path of a file:

        * CSV: numbers separated by commas, one row per sample, with or without one line of column names.
        * NPY: a two-dimensional array, one row per sample.
        * NPZ: arrays `inputs` (n, d) and `targets` (n,), or one two-dimensional array.
    target : str or int, optional
        For a built-in data set: a class index k, class k (+1) against the rest (-1); ``"even"`` (digits) and
        ``"median"`` (diabetes: above it +1), which are also the defaults there. Breast cancer defaults to class 1
        (benign), wine to class 0. For a file: the column that holds the target, by name (CSV with column names) or by
        index (negative ones count from the end); the last one if left out. A target of two different values becomes
        -1 and +1, any other is standardised.

    Returns
    -------
    Data

    Raises
    ------
    UnknownNameError
        If `source` is neither a known name nor the path of a CSV, NPY or NPZ file, or `target` is none of its targets.
    DataError
        If the file is missing, cannot be read, holds something else than finite numbers, or is too small; or if an
        input row is 0 after standardising and so has no direction.

    Examples
    --------
    >>> data = load("wine")
    >>> data.inputs.shape, sorted(set(data.targets.tolist()))
    ((178, 13), [-1.0, 1.0])
    """
    name = str(source)
    if name.replace("-", "_") in BUILT_IN:
        name = name.replace("-", "_")
        inputs, targets, meaning = _built_in(name, target)
    elif Path(name).suffix.lower() in FILE_SUFFIXES:
        path = Path(source)
        name = path.name
        inputs, targets, meaning = _from_file(path, target)
    else:
        raise UnknownNameError(
            f"The data source must be one of {', '.join(BUILT_IN)}, or the path of a {', '.join(FILE_SUFFIXES)} file. "
            f"Got {name!r}.{suggest(name, BUILT_IN)}"
        )
    return _prepared(name, inputs, targets, meaning)


class Samples(NamedTuple):
    """Some rows of a data set: inputs (n, d) and targets (n,), float64."""

    inputs: NDArray[np.float64]
    targets: NDArray[np.float64]


def measured_samples(data: Data, n: int, seed: int) -> Samples:
    """Return `n` different rows, chosen by `seed` alone: the same at every width and for every network.

    A smaller `n` gives the first rows of a larger one.

    Parameters
    ----------
    data : Data
    n : int
        At most the number of rows.
    seed : int

    Returns
    -------
    Samples

    Raises
    ------
    ArgumentError
        If the data have fewer than `n` rows.

    Examples
    --------
    >>> data = load("wine")
    >>> few, more = measured_samples(data, 2, seed=0), measured_samples(data, 4, seed=0)
    >>> bool((few.inputs == more.inputs[:2]).all()), few.targets.shape
    (True, (2,))
    """
    check_count("n_measured", n)
    if n > len(data.inputs):
        raise ArgumentError(
            f"The 'n_measured' argument must be at most {len(data.inputs)}, the rows of {data.name}. Got {n}."
        )
    chosen = generator(seed, "measured inputs").permutation(len(data.inputs))[:n]
    return Samples(np.ascontiguousarray(data.inputs[chosen]), data.targets[chosen])


# --- built-in data sets ----------------------------------------------------------------------------------------------


def _built_in(name: str, target: str | int | None) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    try:
        inputs, classes, class_names = _shipped(name)
    except (OSError, ValueError):  # another version of scikit-learn keeps its files elsewhere
        inputs, classes, class_names = _through_scikit_learn(name)
    if name == "diabetes":
        if target not in (None, "median"):
            raise UnknownNameError(f"The target of diabetes must be 'median', the only one. Got {target!r}.")
        above = classes > np.median(classes)
        return inputs, np.where(above, 1.0, -1.0), "disease progression above its median (+1) or not (-1)"
    if name == "digits" and target in (None, "even"):
        return inputs, np.where(classes % 2 == 0, 1.0, -1.0), "even (+1) or odd (-1)"
    index = {"breast_cancer": 1, "wine": 0}.get(name) if target is None else _class_index(target)
    n_classes = len(class_names)
    if index is None or not 0 <= index < n_classes:
        names = "'even' or " if name == "digits" else ""
        raise UnknownNameError(
            f"The target of {name} must be {names}a class index from 0 to {n_classes - 1}. Got {target!r}."
        )
    meaning = f"class {index} ({class_names[index]}, +1) against the rest (-1)"
    return inputs, np.where(classes == index, 1.0, -1.0), meaning


_Raw = tuple[NDArray[np.float64], NDArray[np.float64], list[str]]


def _shipped(name: str) -> _Raw:
    """Read inputs, targets and names of classes from the files of scikit-learn, without its second of import."""
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise OSError
    folder = Path(package.origin).parent / "datasets" / "data"
    if name == "diabetes":
        return np.loadtxt(folder / "diabetes_data_raw.csv.gz"), np.loadtxt(folder / "diabetes_target.csv.gz"), []
    if name == "digits":
        table = np.loadtxt(folder / "digits.csv.gz", delimiter=",")
        return table[:, :-1], table[:, -1], [str(digit) for digit in range(10)]
    path = folder / {"breast_cancer": "breast_cancer.csv", "wine": "wine_data.csv"}[name]
    with path.open(encoding="utf-8") as file:
        names = file.readline().strip().split(",")[2:]  # after the numbers of rows and columns
        table = np.loadtxt(file, delimiter=",")
    return table[:, :-1], table[:, -1], names


def _through_scikit_learn(name: str) -> _Raw:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(**({"scaled": False} if name == "diabetes" else {}))
    names = [str(one) for one in bunch.get("target_names", [])]
    return np.asarray(bunch.data, dtype=np.float64), np.asarray(bunch.target, dtype=np.float64), names


def _class_index(target: str | int) -> int | None:
    """Return a class index given as 3 or as "3" (command line), None for anything else."""
    if isinstance(target, str):
        return int(target) if target.isdecimal() else None
    return int(target)


# --- files -----------------------------------------------------------------------------------------------------------


def _from_file(path: Path, target: str | int | None) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    names: Sequence[str] = ()
    try:
        if path.suffix.lower() == ".csv":
            table, names = _csv(path)
        else:
            arrays = _numpy(path)
            pair = next((p for p in (("inputs", "targets"), ("X", "y")) if set(p) <= set(arrays)), None)
            if pair is not None and target is None:
                inputs, targets = (_numbers(path, arrays[key], key) for key in pair)
                return _matching(path, inputs, targets)
            if len(arrays) != 1:
                raise DataError(
                    f"The data file {path.name!r} must hold arrays 'inputs' and 'targets' and no 'target' be given, "
                    f"or one array. Got {', '.join(arrays) or 'none'}."
                )
            table = _numbers(path, *((array, key) for key, array in arrays.items()).__next__())
    except FileNotFoundError:
        raise DataError(f"The data file {str(path)!r} does not exist: check the path.") from None
    except OSError as error:
        raise DataError(f"The data file {str(path)!r} cannot be read: {error.strerror or error}.") from None
    if table.ndim != 2 or table.shape[1] < 2:
        raise DataError(
            f"The data file {path.name!r} must be a table of at least 2 columns, the inputs and a target. "
            f"Got shape {table.shape}."
        )
    column = _column(path, target, table.shape[1], names)
    shown = f"column {names[column]!r}" if names else f"column {column}"
    inputs, targets, kind = _matching(path, np.delete(table, column, axis=1), table[:, column])
    return inputs, targets, f"{shown}, {kind}"


def _csv(path: Path) -> tuple[NDArray[np.float64], list[str]]:
    rows: list[list[float]] = []
    names: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if not rows and not names and not any(_is_number(cell) for cell in cells):
                    names = [cell.strip() for cell in cells]
                    continue
                expected = len(rows[0]) if rows else len(names) or len(cells)
                if len(cells) != expected:
                    raise DataError(
                        f"The data file {path.name!r} must have the same number of columns in every line. "
                        f"Got {len(cells)} in line {reader.line_num}, {expected} before."
                    )
                rows.append([_cell(path, cell, reader.line_num, i) for i, cell in enumerate(cells, 1)])
    except UnicodeDecodeError as error:
        raise DataError(
            f"The data file {path.name!r} must be UTF-8 text: CSV with commas. Got {foreign_byte(error)}."
        ) from None
    except csv.Error as error:
        raise DataError(f"The data file {path.name!r} is no valid CSV: {error} in line {reader.line_num}.") from None
    if not rows:
        raise DataError(f"The data file {path.name!r} holds no numbers: save a table with commas between columns.")
    return np.array(rows, dtype=np.float64), names


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _cell(path: Path, cell: str, line: int, column: int) -> float:
    try:
        value = float(cell)
    except ValueError:
        hint = " Separate columns by commas." if ";" in cell or "\t" in cell else ""
        shown = repr(cell if len(cell) <= 40 else f"{cell[:40]}...")
        raise DataError(
            f"The data file {path.name!r} must hold numbers. Got {shown} in line {line}, column {column}.{hint}"
        ) from None
    if not np.isfinite(value):
        raise DataError(
            f"The data file {path.name!r} must hold finite numbers. Got {cell.strip()} in line {line}, "
            f"column {column}: leave that row out, or fill it in."
        )
    return value


def _numpy(path: Path) -> dict[str, Any]:
    """Return the arrays of an NPY or NPZ file, without ever unpickling anything."""
    try:
        with path.open("rb") as file:  # opened here: numpy leaves a damaged archive open
            loaded = np.load(file, allow_pickle=False)
            return {"array": loaded} if isinstance(loaded, np.ndarray) else {key: loaded[key] for key in loaded.files}
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError, MemoryError, SyntaxError, NotImplementedError) as error:
        if "pickle" in str(error) and "Object arrays" in str(error):
            problem = "holds Python objects, which are never loaded: save an array of numbers"
        else:
            problem = f"is no complete {path.suffix[1:].upper()} file: write it again with numpy.save or numpy.savez"
        raise DataError(f"The data file {path.name!r} {problem}.") from None


def _numbers(path: Path, array: Any, key: str) -> NDArray[np.float64]:
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise DataError(f"The data file {path.name!r} must hold real numbers. Got dtype {array.dtype} in {key!r}.")
    numbers: NDArray[np.float64] = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(numbers))[0])
        raise DataError(
            f"The data file {path.name!r} must hold finite numbers. Got {numbers[where]} in {key!r} at index {where}."
        )
    return numbers


def _column(path: Path, target: str | int | None, n_columns: int, names: Sequence[str]) -> int:
    if target is None:
        return n_columns - 1
    if target in names:
        if list(names).count(str(target)) > 1:
            raise DataError(f"The data file {path.name!r} must have one column named {target!r}. Got several.")
        return list(names).index(str(target))
    try:
        index = int(target)
    except ValueError:
        known = f" or one of {', '.join(names)}" if names else ""
        raise UnknownNameError(
            f"The target of {path.name!r} must be a column index{known}. Got {target!r}.{suggest(str(target), names)}"
        ) from None
    if not -n_columns <= index < n_columns:
        raise UnknownNameError(
            f"The target of {path.name!r} must be a column index from 0 to {n_columns - 1}. Got {target!r}."
        )
    return index % n_columns


def _matching(
    path: Path, inputs: NDArray[np.float64], targets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    if inputs.ndim != 2 or inputs.shape[1] < 1 or targets.shape != (len(inputs),):
        raise DataError(
            f"The data file {path.name!r} must hold inputs of shape (n, d) and targets of shape (n,). "
            f"Got {inputs.shape} and {targets.shape}."
        )
    values = np.unique(targets)
    if len(values) == 2:
        return inputs, np.where(targets == values[1], 1.0, -1.0), f"{values[1]:g} (+1) or {values[0]:g} (-1)"
    return inputs, targets, "standardised"


# --- preparation -----------------------------------------------------------------------------------------------------


def _prepared(name: str, inputs: NDArray[np.float64], targets: NDArray[np.float64], meaning: str) -> Data:
    n, d = inputs.shape
    if n < 2:
        raise DataError(f"The data of {name!r} must have at least 2 rows. Got {n}.")
    fingerprint = hashlib.sha256(f"{_PREPARATION} {n} {d} {meaning}".encode())
    fingerprint.update(np.ascontiguousarray(inputs, dtype="<f8").tobytes())
    fingerprint.update(np.ascontiguousarray(targets, dtype="<f8").tobytes())
    prepared = _standardised(inputs)
    length = np.sqrt(np.sum(prepared**2, axis=1, keepdims=True))
    if not (length > 0).all():
        raise DataError(
            f"The data of {name!r} must not have a row equal to the mean in every column, which has no direction. "
            f"Got one at row {int(np.argmin(length))}, counted from 0: leave it out."
        )
    prepared *= np.sqrt(d) / length
    prepared_targets = targets.copy() if len(np.unique(targets)) == 2 else _standardised(targets[:, None])[:, 0]
    prepared.flags.writeable = prepared_targets.flags.writeable = False
    description = f"{name}: {n} rows, {d} columns; target: {meaning}"
    return Data(name, prepared, prepared_targets, description, fingerprint.hexdigest())


def _standardised(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns of mean 0 and variance 1, constant ones 0; numbers near the ends of float64 do not overflow."""
    constant = columns.max(axis=0) == columns.min(axis=0)
    scaled = columns / np.where(constant, 1.0, np.abs(columns).max(axis=0))
    centred = scaled - scaled.mean(axis=0)
    deviation = np.sqrt(np.mean(centred**2, axis=0))
    usable = ~constant & (deviation > 0)
    return np.where(usable, centred / np.where(usable, deviation, 1.0), 0.0)
