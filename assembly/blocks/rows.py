"""What blocks share whose edges are stored by rows: passes cut among the threads by the number of edges.

Vectors are visited in float64 whatever the weights are. The cuts depend on sizes alone: pieces of a forward pass fill
rows of their own, those of a backward pass sums of their own, which are added in the order of the pieces.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assembly import threads
from assembly.blocks.block import Block, Vector, locked
from assembly.kernels import sparse

VISITED = 16  # bytes of node vectors that an edge reads and writes
SHARE_OF_SUMS = 6  # of the bytes that a pass reads, at most one in so many is of sums to be cleared and added
N_COLUMNS = 32  # of a matrix visited at once, so that the rows of all sources stay near
MANY = 4  # node vectors that are faster together than one by one


def double(values: Vector) -> NDArray[np.float64]:
    """Return a copy in float64, for which alone kernels are compiled."""
    return values.astype(np.float64)


def cuts(indptr: NDArray[np.int64], n_bytes: int, n_sums: int = 0) -> list[slice]:
    """Return ranges of rows of about as many edges each: several for a pass over many bytes.

    Parameters
    ----------
    indptr : ndarray of shape (n_rows + 1,)
    n_bytes : int
        What the pass reads beside node vectors.
    n_sums : int
        Numbers that every piece sums up for itself.
    """
    n_rows, n_edges = len(indptr) - 1, int(indptr[-1])
    n_bytes += VISITED * n_edges
    count = len(threads.pieces(n_edges, n_bytes))
    if n_sums:
        count = min(count, n_bytes // (SHARE_OF_SUMS * 8 * n_sums))
    if count <= 1:
        return [slice(0, n_rows)]
    stops = np.searchsorted(indptr, [i * n_edges // count for i in range(1, count)])
    return [slice(start, stop) for start, stop in itertools.pairwise([0, *stops.tolist(), n_rows])]


def over_rows(task: Callable[..., None], parts: list[slice], sums: Vector | None = None) -> None:
    """Run ``task(start, stop)`` on ranges of rows, or ``task(sums_i, start, stop)`` with sums of its own for each."""

    def run(i: int) -> None:
        own = () if sums is None else (sums[i],)
        task(*own, parts[i].start, parts[i].stop)

    threads.run(run, range(len(parts)))


def total(sums: Vector) -> Vector:
    """Return the sums of all pieces, added in their order."""
    added: Vector = sums[0] if len(sums) == 1 else np.add.reduce(sums, axis=0)
    return added


@dataclass(frozen=True, eq=False)
class RowsBlock(Block):
    """A block whose edges are stored by rows: those into target v have positions indptr[v]..indptr[v+1]-1.

    Attributes
    ----------
    indptr : ndarray of shape (n_target + 1,), int64
    indices : ndarray of shape (n_edges,), int32
        Source of every edge, counted within the sources.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]

    @property
    def n_source(self) -> int:
        """Number of sources."""
        return int(self.source.stop - self.source.start)

    @abstractmethod
    def of_edges(self, weights: Vector) -> Vector:
        """Return the weight of every edge."""

    def multiply(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply`; one pass over the edges for 32 columns."""
        sums = self._by_columns(sparse.multiply, self.of_edges(weights), columns, self.n_target)
        sums *= self.factor[:, None]
        return sums.astype(np.result_type(weights, columns), copy=False)

    def multiply_transposed(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply_transposed`; one pass over the edges for 32 columns."""
        scaled = self.factor[:, None] * columns
        sums = self._by_columns(sparse.multiply_transposed, self.of_edges(weights), scaled, self.n_source)
        return sums.astype(np.result_type(weights, columns), copy=False)

    def push_rows(self, weights: Vector, a: Vector, out: Vector) -> None:
        """See `Block.push_rows`; one pass over the edges for 32 rows."""
        if len(a) < MANY:
            super().push_rows(weights, a, out)
        else:
            sums = self._by_columns(sparse.multiply, self.of_edges(weights), a[:, self.source].T, self.n_target)
            out[:, self.target] += self.factor * sums.T

    def pull_rows(self, weights: Vector, b: Vector, out: Vector) -> None:
        """See `Block.pull_rows`; one pass over the edges for 32 rows."""
        if len(b) < MANY:
            super().pull_rows(weights, b, out)
        else:
            scaled = (self.factor * double(b[:, self.target])).T
            sums = self._by_columns(sparse.multiply_transposed, self.of_edges(weights), scaled, self.n_source)
            out[:, self.source] += sums.T

    def sums_of_rows(self, x: Vector, y: Vector) -> tuple[Vector, Vector]:
        """Return sums of the rows of x over the parents of every target, of those of y over the children of sources."""
        ones = np.ones(len(self.indices))
        parents = self._by_columns(sparse.multiply, ones, x.T, self.n_target)
        return parents.T, self._by_columns(sparse.multiply_transposed, ones, y.T, self.n_source).T

    def _by_columns(self, kernel: Callable[..., None], weights: Vector, columns: Vector, n_rows: int) -> Vector:
        """Return what a kernel makes of the columns of a matrix, shape (n_rows, n_columns), float64."""
        n_columns, weights = columns.shape[1], locked(weights)
        out = np.empty((n_rows, n_columns))

        def task(part: slice) -> None:
            near = locked(np.ascontiguousarray(columns[:, part], np.float64))
            sums = np.zeros((n_rows, near.shape[1]))
            kernel(self.indptr, self.indices, weights, near, sums)
            out[:, part] = sums

        parts = [slice(i, min(i + N_COLUMNS, n_columns)) for i in range(0, n_columns, N_COLUMNS)]
        n_bytes = len(self.indices) * (weights.itemsize * len(parts) + VISITED * n_columns)
        if len(threads.pieces(n_columns, n_bytes)) == 1:
            for part in parts:
                task(part)
        else:
            threads.run(task, parts)
        return out
