"""Replicates of a quantity over width, checked: what an exponent can be fitted to, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assembly.checks import check_counts
from assembly.errors import ArgumentError, NonFiniteError, ShapeError

MINIMUM_WIDTHS = 4
MINIMUM_SPAN = 10
MINIMUM_REPLICATES = 3


@dataclass(frozen=True)
class Replicates:
    """Positive finite values of one or more quantities on the same networks.

    Attributes
    ----------
    widths : tuple of int
        Ascending.
    samples : tuple of ndarray of shape (n_quantities, n_i), float64
        One for each width. Columns are networks, in an order that does not depend on the order in which they came.
    n_excluded : int
        Networks left out because a value was NaN, over all widths.
    """

    widths: tuple[int, ...]
    samples: tuple[NDArray[np.float64], ...]
    n_excluded: int

    @property
    def log_widths(self) -> NDArray[np.float64]:
        """Natural logarithm of each width."""
        return np.log(np.array(self.widths, dtype=np.float64))

    @property
    def n_used(self) -> int:
        """Networks that are left, over all widths."""
        return sum(sample.shape[1] for sample in self.samples)


def check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """Return the widths as they came if an exponent can be fitted over them.

    Raises
    ------
    ArgumentError
        If one is no whole number of at least 1 or comes twice, there are fewer than `MINIMUM_WIDTHS`, or the widest is
        less than `MINIMUM_SPAN` times the narrowest.

    Examples
    --------
    >>> check_widths([16, 32, 64, 160])
    (16, 32, 64, 160)
    """
    names = check_counts("widths", widths)
    if len(set(names)) < len(names):
        twice = next(width for i, width in enumerate(names) if width in names[:i])
        raise ArgumentError(f"The 'widths' argument must name each width once. Got {twice} twice.")
    if len(names) < MINIMUM_WIDTHS:
        raise ArgumentError(
            f"A rate needs at least {MINIMUM_WIDTHS} widths. Got {len(names)} ({listed(names)}); add widths."
        )
    if max(names) < MINIMUM_SPAN * min(names):
        raise ArgumentError(
            f"A rate needs widths over a decade, the widest at least {MINIMUM_SPAN} times the narrowest. "
            f"Got {min(names)} to {max(names)}, a factor of {max(names) / min(names):.3g}; add widths."
        )
    return names


def gather(
    widths: Sequence[int], quantities: Mapping[str, Sequence[Sequence[float]]], *, nested: bool = False
) -> Replicates:
    """Check the replicates of quantities measured on the same networks, leave out NaN, and order them.

    Parameters
    ----------
    widths : sequence of int
        In any order.
    quantities : mapping of str to sequence of sequences of float
        Argument name to values; the k-th value at a width belongs to the same network in each.
    nested : bool
        True if the k-th networks of all widths belong together too: each is left out at all widths or at none.

    Raises
    ------
    ArgumentError
        As `check_widths`; or if a value is zero or negative, or fewer than `MINIMUM_REPLICATES` networks are left at a
        width.
    NonFiniteError
        If a value is infinite.
    ShapeError
        If there is not one list of replicates per width, or two that belong together differ in length.
    """
    names = check_widths(widths)
    tables = [_table(quantities, names, i) for i in sorted(range(len(names)), key=names.__getitem__)]
    ascending = tuple(sorted(names))
    missing = [np.logical_or.reduce(np.isnan(table)) for table in tables]
    if nested:
        if len({table.shape[1] for table in tables}) > 1:
            counts = [table.shape[1] for table in tables]
            raise ShapeError(f"Nested replicates must be equally many at each width. Got {listed(counts)}.")
        missing = [np.logical_or.reduce(missing)] * len(missing)
    for width, table, out in zip(ascending, tables, missing, strict=True):
        _check_values(width, table, out)
    kept = [table[:, ~out] for table, out in zip(tables, missing, strict=True)]
    order = np.lexsort(np.concatenate(kept)[::-1]) if nested else None
    samples = tuple(sample[:, np.lexsort(sample[::-1]) if order is None else order] for sample in kept)
    return Replicates(ascending, samples, sum(int(out.sum()) for out in missing))


def listed(values: Sequence[int]) -> str:
    """Return numbers with commas between them.

    Examples
    --------
    >>> listed([32, 64])
    '32, 64'
    """
    return ", ".join(f"{value}" for value in values)


def _table(quantities: Mapping[str, Sequence[Sequence[float]]], widths: tuple[int, ...], i: int) -> NDArray[np.float64]:
    rows: list[NDArray[np.float64]] = []
    for name, values in quantities.items():
        if len(values) != len(widths):
            raise ShapeError(f"The '{name}' argument must have one entry per width ({len(widths)}). Got {len(values)}.")
        row = np.asarray(values[i], dtype=np.float64)
        if row.ndim != 1:
            raise ShapeError(f"The '{name}[{i}]' argument must be one-dimensional. Got shape {row.shape}.")
        if rows and row.size != rows[0].size:
            raise ShapeError(
                f"The '{name}[{i}]' argument must have one value for each network, as many as "
                f"'{next(iter(quantities))}[{i}]' ({rows[0].size}). Got {row.size}."
            )
        rows.append(row)
    return np.stack(rows)


def _check_values(width: int, table: NDArray[np.float64], missing: NDArray[np.bool_]) -> None:
    values = table[~np.isnan(table)]
    if np.isinf(values).any():
        raise NonFiniteError(f"A rate needs finite values. Got {values[np.isinf(values)][0]} at width {width}.")
    if (values <= 0.0).any():
        kind = "is exactly 0" if values.min() == 0.0 else f"is negative ({values.min():.3g})"
        raise ArgumentError(
            f"A rate needs positive values: at width {width} a value {kind} and has no logarithm "
            f"({int((values <= 0.0).sum())} of {values.size} there)."
        )
    n_left = int((~missing).sum())
    if n_left < MINIMUM_REPLICATES:
        raise ArgumentError(
            f"A rate needs at least {MINIMUM_REPLICATES} usable replicates at each width. Got {n_left} at width "
            f"{width} ({int(missing.sum())} not converged or undefined)."
        )
