"""Connections between two groups of neurons: dense blocks and sparse (CSR) blocks.

A connection carries, for every target neuron v, the factor c_v of z_v = sum_e c_v w_e a_u(e). Trainable connections
read their weights from the parameters of the assembly; frozen ones hold their own `values`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Edges = slice | NDArray[np.int64]


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

    def take(self, targets: NDArray[np.int64]) -> tuple[Dense, Edges]:
        """Return the connection into some targets alone, and where its edges stand in this one."""
        edges: Edges
        if _are_neighbours(targets):
            edges = slice(int(targets[0]) * self.n_source, (int(targets[-1]) + 1) * self.n_source)
        else:
            edges = (targets[:, None] * self.n_source + np.arange(self.n_source)).ravel()
        values = None if self.values is None else self.values[edges]
        return replace(self, n_target=len(targets), factor=self.factor[targets], values=values), edges

    def among(self, sources: NDArray[np.bool_]) -> Dense:
        """Return the connection with only the marked sources, which must be those in use: here all."""
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

    def take(self, targets: NDArray[np.int64]) -> tuple[Sparse, Edges]:
        """Return the connection into some targets alone, and where its edges stand in this one."""
        lengths = self.in_degrees()[targets]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        edges: Edges
        if _are_neighbours(targets):
            edges = slice(int(self.indptr[targets[0]]), int(self.indptr[targets[-1] + 1]))
        else:
            edges = np.repeat(self.indptr[targets] - indptr[:-1], lengths) + np.arange(indptr[-1])
        values = None if self.values is None else self.values[edges]
        taken = replace(
            self,
            n_target=len(targets),
            factor=self.factor[targets],
            indptr=indptr,
            indices=self.indices[edges],
            values=values,
        )
        return taken, edges

    def among(self, sources: NDArray[np.bool_]) -> Sparse:
        """Return the connection with only the marked sources, which must be those in use, renumbered."""
        if sources.all():
            return self
        new = (np.cumsum(sources) - 1).astype(np.int32)
        return replace(self, n_source=int(sources.sum()), indices=new[self.indices])


Connection = Dense | Sparse


def _are_neighbours(targets: NDArray[np.int64]) -> bool:
    return len(targets) > 0 and int(targets[-1]) - int(targets[0]) == len(targets) - 1
