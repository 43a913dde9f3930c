"""Sparse blocks: every target has its own parents; passes by compiled loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from assembly.blocks.block import GramPart, NodeBlock, Vector
from assembly.kernels import sparse


@dataclass(frozen=True, eq=False)
class SparseBlock(NodeBlock):
    """Every target has its own parents, stored by rows; weights of shape (n_edges,)."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    is_edgewise = True
    in_node_space = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of edges."""
        return (len(self.indices),)

    def push(self, weights: Vector, a: Vector, out: Vector) -> None:
        """See `Block.push`."""
        sparse.push(self.indptr, self.indices, weights, self.factor, a[self.source], out[self.target])

    def pull(self, weights: Vector, b: Vector, out: Vector) -> None:
        """See `Block.pull`."""
        sparse.pull(self.indptr, self.indices, weights, self.factor, b[self.target], out[self.source])

    def scatter(self, weights: Vector, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """See `Block.scatter`."""
        source, target = self.source, self.target
        t = np.zeros_like(t[source]) if self.from_given else t[source]
        sparse.scatter(self.indptr, self.indices, self.factor, s[target], t, a[source], b[target], out)

    def gram(self, a: Vector, b: Vector) -> GramPart:
        """See `NodeBlock.gram`; one pass over the structure per application, none for a block from the inputs."""
        source, target, factor = self.source, self.target, self.factor.astype(a.dtype)
        if self.from_given:
            own = factor**2 * self.products(a, a)

            def apply_to_first(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
                p[target] += own * s[target]

            return apply_to_first

        a, b = a[source], b[target]

        def apply(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
            sparse.gram(self.indptr, self.indices, factor, s[target], t[source], a, b, p[target], q[source])

        return apply

    def products(self, a: Vector, c: Vector) -> Vector:
        """See `NodeBlock.products`."""
        out = np.empty(self.n_target, dtype=a.dtype)
        sparse.products(self.indptr, self.indices, a[self.source], c[self.source], out)
        return out

    def spread(self, squares: Vector) -> Vector:
        """See `NodeBlock.spread`."""
        out = np.zeros(self.source.stop - self.source.start, dtype=squares.dtype)
        sparse.spread(self.indptr, self.indices, squares, out)
        return out

    def own_gram(self, weights: Vector, a: Vector, c: Vector) -> Vector:
        """See `Block.own_gram`."""
        gram: Vector = self.factor**2 * self.products(a, c)
        return gram

    def multiply(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply`."""
        product: Vector = self.factor[:, None] * (self._matrix(weights) @ columns)
        return product

    def multiply_transposed(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply_transposed`."""
        product: Vector = self._matrix(weights).T @ (self.factor[:, None] * columns)
        return product

    def rows(self, weights: Vector, targets: slice) -> Vector:
        """See `Block.rows`."""
        rows: Vector = self.factor[targets, None] * self._matrix(weights)[targets].toarray()
        return rows

    def kernel(self, a: Vector, c: Vector, b: Vector, d: Vector) -> Vector:
        """See `NodeBlock.kernel`; one pass over the structure per pair of rows."""
        scaled = self.factor**2 * b[:, self.target]
        out = np.empty((len(a), len(c)), dtype=self.factor.dtype)
        for i in range(len(a)):
            for j in range(len(c)):
                out[i, j] = (scaled[i] * d[j, self.target]) @ self.products(a[i], c[j])
        return out

    def _matrix(self, weights: Vector) -> csr_array:
        shape = (self.n_target, self.source.stop - self.source.start)
        return csr_array((weights, self.indices, self.indptr), shape=shape)
