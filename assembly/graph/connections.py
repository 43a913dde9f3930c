"""Connections between two groups of neurons: dense blocks and sparse (CSR) blocks.

A connection carries, for every target neuron v, the factor c_v of z_v = sum_e c_v w_e a_u(e). Trainable connections
read their weights from the parameters of the assembly; frozen ones hold their own `values`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Dense:
    """Every neuron of the group `source` feeds every neuron of the group `target`.

    Attributes
    ----------
    source, target : int
        Positions of the groups in the graph, source < target.
    n_source, n_target : int
        Sizes of the two groups.
    factor : ndarray of shape (n_target,), float64
        c_v of each target.
    values : ndarray of shape (n_target * n_source,) or None
        Frozen weights, row by row; None if trainable.
    """

    source: int
    target: int
    n_source: int
    n_target: int
    factor: NDArray[np.float64]
    values: NDArray[np.floating] | None = None

    @property
    def n_edges(self) -> int:
        """Number of edges, hence of weights."""
        return self.n_source * self.n_target

    def in_degrees(self) -> NDArray[np.int64]:
        """Return the number of in-edges of every target."""
        return np.full(self.n_target, self.n_source, dtype=np.int64)

    def in_edges(self, row: int) -> tuple[NDArray[np.int64], slice]:
        """Return the sources of one target and where its weights stand among those of this connection."""
        return np.arange(self.n_source), slice(row * self.n_source, (row + 1) * self.n_source)

    def mark(self, targets: NDArray[np.bool_], sources: NDArray[np.bool_]) -> None:
        """Mark the sources of every marked target."""
        sources |= targets.any()

    def rows(self, start: int, stop: int) -> tuple[Dense, slice]:
        """Return the connection into targets start..stop-1 alone, and where its weights stand in this one."""
        origin = slice(start * self.n_source, stop * self.n_source)
        values = None if self.values is None else self.values[origin]
        return replace(self, n_target=stop - start, factor=self.factor[start:stop], values=values), origin

    def source_range(self) -> tuple[int, int]:
        """Return the first and one past the last source in use."""
        return 0, self.n_source

    def columns(self, start: int, stop: int) -> Dense:
        """Return the connection with its sources renumbered from `start`: a dense one uses them all."""
        return self


@dataclass(frozen=True, eq=False)
class Sparse:
    """Each neuron of the group `target` has its own list of parents in the group `source`, stored by rows.

    Attributes
    ----------
    source, target, n_source, n_target, factor, values
        As in `Dense`; `values` has shape (n_edges,).
    indptr : ndarray of shape (n_target + 1,), int64
        The in-edges of target v are indptr[v]..indptr[v+1]-1.
    indices : ndarray of shape (n_edges,), int32
        Source neuron of every edge, counted within the source group.
    """

    source: int
    target: int
    n_source: int
    n_target: int
    factor: NDArray[np.float64]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.floating] | None = None

    @property
    def n_edges(self) -> int:
        """Number of edges, hence of weights."""
        return len(self.indices)

    def in_degrees(self) -> NDArray[np.int64]:
        """Return the number of in-edges of every target."""
        return np.diff(self.indptr)

    def in_edges(self, row: int) -> tuple[NDArray[np.int64], slice]:
        """Return the sources of one target and where its weights stand among those of this connection."""
        edges = slice(int(self.indptr[row]), int(self.indptr[row + 1]))
        return self.indices[edges].astype(np.int64), edges

    def mark(self, targets: NDArray[np.bool_], sources: NDArray[np.bool_]) -> None:
        """Mark the sources of every marked target."""
        sources[self.indices[np.repeat(targets, self.in_degrees())]] = True

    def rows(self, start: int, stop: int) -> tuple[Sparse, slice]:
        """Return the connection into targets start..stop-1 alone, and where its weights stand in this one."""
        origin = slice(int(self.indptr[start]), int(self.indptr[stop]))
        return (
            replace(
                self,
                n_target=stop - start,
                factor=self.factor[start:stop],
                indptr=self.indptr[start : stop + 1] - self.indptr[start],
                indices=self.indices[origin],
                values=None if self.values is None else self.values[origin],
            ),
            origin,
        )

    def source_range(self) -> tuple[int, int]:
        """Return the first and one past the last source in use."""
        if self.n_edges == 0:
            return 0, 0
        return int(self.indices.min()), int(self.indices.max()) + 1

    def columns(self, start: int, stop: int) -> Sparse:
        """Return the connection with its sources renumbered from `start`."""
        return replace(self, n_source=stop - start, indices=self.indices - np.int32(start))


Connection = Dense | Sparse
