"""Tied blocks: edges that share weights, given one by one; the weights are coordinates of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import SharedBlock, Vector, locked
from assembly.blocks.rows import RowsBlock, cuts, double, over_rows, total
from assembly.kernels import tied

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class TiedBlock(RowsBlock, SharedBlock):
    """Every target has its own parents, stored by rows; edge e reads weight ``number[e]`` of `n_weights`.

    `users` counts the edges that read each weight, in all blocks of its pool.
    """

    number: NDArray[np.int32]
    users: NDArray[np.int64]
    in_node_space = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of weights."""
        return (len(self.users),)

    def of_edges(self, weights: Vector) -> Vector:
        """See `RowsBlock.of_edges`."""
        return weights[self.number]

    def push(self, weights: Vector, a: Vector, out: Vector) -> None:
        """See `Block.push`."""
        out[self.target] += self.factor * self._pushed(weights, double(a[self.source]))

    def pull(self, weights: Vector, b: Vector, out: Vector) -> None:
        """See `Block.pull`."""
        scaled = self.factor * double(b[self.target])
        parts = self._cuts(self.n_source)
        sums = np.zeros((len(parts), self.n_source))
        over_rows(partial(tied.pull, self.indptr, self.indices, self.number, locked(weights), scaled), parts, sums)
        out[self.source] += total(sums)

    def scatter(self, weights: Vector, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """See `Block.scatter`."""
        t = np.zeros(self.n_source) if self.from_given else double(t[self.source])
        s, b = (self.factor * double(values[self.target]) for values in (s, b))
        parts = self._cuts(len(out))
        sums = np.zeros((len(parts), len(out)))
        collect = partial(tied.collect, self.indptr, self.indices, self.number, s, t, double(a[self.source]), b)
        over_rows(collect, parts, sums)
        out[:] = total(sums)

    def own_gram(self, weights: Vector, a: Vector, c: Vector) -> Vector:
        """See `Block.own_gram`; dense products of sparse derivatives."""
        gram: Vector = (self._derivatives(a) @ self._derivatives(c).T).toarray()
        return gram

    def carried(self, direction: Vector) -> Vector:
        """See `SharedBlock.carried`."""
        shares = direction**2 / np.maximum(self.users, 1)
        return self._pushed(shares, np.ones(self.n_source)).astype(direction.dtype, copy=False)

    def _pushed(self, weights: Vector, a: Vector) -> Vector:
        """Return ``sum_e w_e a_u(e)`` over the edges into every target."""
        sums = np.empty(self.n_target)
        push = partial(tied.push, self.indptr, self.indices, self.number, locked(weights), a, sums)
        over_rows(push, self._cuts())
        return sums

    def _cuts(self, n_sums: int = 0) -> list[slice]:
        return cuts(self.indptr, self.indices.nbytes + self.number.nbytes, n_sums)

    def _derivatives(self, a: Vector) -> csr_array:
        """dz_v/dw over the weights of this block, repeated entries being summed."""
        from scipy.sparse import csr_array

        edges = np.repeat(self.factor, np.diff(self.indptr)) * a[self.source][self.indices]
        return csr_array((edges, self.number, self.indptr), shape=(self.n_target, len(self.users)))
