"""Checks of arguments, one sentence shape: the 'name' argument must be this. Got that."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from assembly.errors import ArgumentError, NonFiniteError, ShapeError, UnknownNameError


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'tanh'?"` for a near miss, else the empty string."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def check_name(argument: str, name: object, known: Iterable[str]) -> str:
    """Return `name` if it is one of `known`, else raise `UnknownNameError` with the nearest one."""
    choices = list(known)
    if not isinstance(name, str) or name not in choices:
        raise UnknownNameError(
            f"The '{argument}' argument must be one of {', '.join(choices)}. Got {name!r}.{suggest(str(name), choices)}"
        )
    return name


def check_count(argument: str, value: object, minimum: int = 1, maximum: int | None = None) -> int:
    """Return `value` as an int if it is a whole number in the range, else raise `ArgumentError`."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_):
        number = int(value)
        if number >= minimum and (maximum is None or number <= maximum):
            return number
    limits = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    raise ArgumentError(f"The '{argument}' argument must be an int {limits}. Got {value!r}.")


def check_counts(argument: str, values: object, minimum: int = 1) -> tuple[int, ...]:
    """Return a non-empty sequence of whole numbers as a tuple, else raise `ArgumentError`."""
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str) or len(values) == 0:
        raise ArgumentError(f"The '{argument}' argument must be a non-empty sequence of ints. Got {values!r}.")
    return tuple(check_count(f"{argument}[{i}]", value, minimum) for i, value in enumerate(values))


def check_number(
    argument: str, value: object, *, above: float = -math.inf, at_least: float = -math.inf, below: float = math.inf
) -> float:
    """Return `value` as a float if it is a finite number in the range, else raise `ArgumentError`."""
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # an int beyond all floats
            number = math.inf
        if math.isfinite(number) and above < number < below and number >= at_least:
            return number
    limits = (
        [f"above {above:g}"] if above > -math.inf else [f"of at least {at_least:g}"] if at_least > -math.inf else []
    )
    limits += [f"below {below:g}"] if below < math.inf else []
    limit = f" {' and '.join(limits)}" if limits else ""
    raise ArgumentError(f"The '{argument}' argument must be a finite number{limit}. Got {value!r}.")


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return float32 or float64 as a numpy dtype, else raise `ArgumentError`."""
    try:
        resolved = np.dtype(dtype)
    except TypeError:
        resolved = np.dtype(object)
    if resolved not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ArgumentError(f"The 'dtype' argument must be float64 or float32. Got {dtype!r}.")
    return resolved


def check_finite(argument: str, array: NDArray[Any]) -> None:
    """Raise `NonFiniteError` with the index of the first NaN or infinity in `array`."""
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        index = where[0] if len(where) == 1 else where
        raise NonFiniteError(f"The '{argument}' argument must be finite. Got {array[where]} at index {index}.")


def check_vector(argument: str, value: ArrayLike, size: int, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Return `value` as a finite contiguous vector of `size` numbers, else raise `ShapeError` or `NonFiniteError`."""
    array = check_numbers(argument, value, dtype)
    if array.shape != (size,):
        raise ShapeError(f"The '{argument}' argument must have shape ({size},). Got shape {array.shape}.")
    check_finite(argument, array)
    return array


def check_buffer(argument: str, value: Any, size: int, dtype: np.dtype[Any]) -> None:
    """Raise `ArgumentError` if `value` is no array that a result of `size` numbers can be written into."""
    is_array = isinstance(value, np.ndarray) and value.shape == (size,) and value.dtype == dtype
    if not is_array or not value.flags.c_contiguous or not value.flags.writeable:
        got = f"shape {value.shape}, {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise ArgumentError(
            f"The '{argument}' argument must be a contiguous array of shape ({size},), {dtype}, that can be written. "
            f"Got {got}."
        )


def check_samples(argument: str, value: ArrayLike, n_columns: int, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Return `value`, one sample or a batch, as a finite matrix of shape (n_samples, n_columns)."""
    array = check_numbers(argument, value, dtype)
    if array.ndim not in (1, 2) or array.shape[-1] != n_columns:
        raise ShapeError(
            f"The '{argument}' argument must have shape ({n_columns},) or (n, {n_columns}). Got shape {array.shape}."
        )
    check_finite(argument, array)
    return array.reshape(-1, n_columns)


def check_numbers(argument: str, value: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """Return `value` as an array of real numbers of a dtype, else raise `ArgumentError`."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ValueError
        with np.errstate(over="ignore"):  # infinite in a smaller dtype: refused as such
            return np.ascontiguousarray(array, dtype=dtype) if array.ndim else array.astype(dtype)
    except (TypeError, ValueError):
        got = f"one of {value.dtype}" if isinstance(value, np.ndarray) else f"{type(value).__name__} that is none"
        raise ArgumentError(f"The '{argument}' argument must be an array of real numbers. Got {got}.") from None
