"""Tied blocks: edges that share weights, given one by one; the weights are coordinates of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from assembly.blocks.block import SharedBlock, Vector
from assembly.kernels import tied


@dataclass(frozen=True, eq=False)
class TiedBlock(SharedBlock):
    """Every target has its own parents, stored by rows; edge e reads weight ``number[e]`` of `n_weights`.

    `users` counts the edges that read each weight, in all blocks of its pool.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    number: NDArray[np.int32]
    users: NDArray[np.int64]
    in_node_space = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of weights."""
        return (len(self.users),)

    def push(self, weights: Vector, a: Vector, out: Vector) -> None:
        """See `Block.push`."""
        tied.push(self.indptr, self.indices, self.number, weights, self.factor, a[self.source], out[self.target])

    def pull(self, weights: Vector, b: Vector, out: Vector) -> None:
        """See `Block.pull`."""
        tied.pull(self.indptr, self.indices, self.number, weights, self.factor, b[self.target], out[self.source])

    def scatter(self, weights: Vector, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """See `Block.scatter`."""
        source, target = self.source, self.target
        t = np.zeros_like(t[source]) if self.from_given else t[source]
        out[:] = 0.0
        tied.collect(self.indptr, self.indices, self.number, self.factor, s[target], t, a[source], b[target], out)

    def own_gram(self, weights: Vector, a: Vector, c: Vector) -> Vector:
        """See `Block.own_gram`; dense products of sparse derivatives."""
        gram: Vector = (self._derivatives(a) @ self._derivatives(c).T).toarray()
        return gram

    def multiply(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply`."""
        product: Vector = self.factor[:, None] * (self._matrix(weights) @ columns)
        return product

    def multiply_transposed(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply_transposed`."""
        product: Vector = self._matrix(weights).T @ (self.factor[:, None] * columns)
        return product

    def carried(self, direction: Vector) -> Vector:
        """See `SharedBlock.carried`."""
        out = np.zeros(self.n_target, dtype=direction.dtype)
        tied.carried(self.indptr, self.number, direction**2 / np.maximum(self.users, 1), out)
        return out

    def _matrix(self, weights: Vector) -> csr_array:
        shape = (self.n_target, self.source.stop - self.source.start)
        return csr_array((weights[self.number], self.indices, self.indptr), shape=shape)

    def _derivatives(self, a: Vector) -> csr_array:
        """dz_v/dw over the weights of this block, repeated entries being summed."""
        edges = np.repeat(self.factor, np.diff(self.indptr)) * a[self.source][self.indices]
        return csr_array((edges, self.number, self.indptr), shape=(self.n_target, len(self.users)))
