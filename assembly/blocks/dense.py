"""Dense blocks: all sources feed all targets; passes by BLAS."""

from __future__ import annotations

import numpy as np

from assembly.blocks.block import GramPart, NodeBlock, Vector


class DenseBlock(NodeBlock):
    """All sources feed all targets; weights of shape (n_target, n_source)."""

    is_edgewise = True
    in_node_space = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Targets times sources."""
        return (self.n_target, self.source.stop - self.source.start)

    def push(self, weights: Vector, a: Vector, out: Vector) -> None:
        """See `Block.push`."""
        out[self.target] += self.factor * np.dot(weights, a[self.source])

    def pull(self, weights: Vector, b: Vector, out: Vector) -> None:
        """See `Block.pull`."""
        out[self.source] += np.dot(self.factor * b[self.target], weights)

    def scatter(self, weights: Vector, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """See `Block.scatter`; a product of rank two, written once."""
        if self.from_given:
            np.multiply.outer(self.factor * s[self.target], a[self.source], out=out.reshape(self.shape))
            return
        left = np.stack([self.factor * s[self.target], self.factor * b[self.target]], axis=1)
        np.matmul(left, np.stack([a[self.source], t[self.source]]), out=out.reshape(self.shape))

    def gram(self, a: Vector, b: Vector) -> GramPart:
        """See `NodeBlock.gram`; two inner products per application."""
        source, target, squared = self.source, self.target, self.factor.astype(a.dtype) ** 2
        a, b = a[source], b[target]
        weighted_b, aa = squared * b, a @ a
        bb = b @ weighted_b

        if self.from_given:

            def apply_to_first(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
                p[target] += (squared * aa) * s[target]

            return apply_to_first

        def apply(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
            p[target] += squared * (aa * s[target]) + (t[source] @ a) * weighted_b
            q[source] += (weighted_b @ s[target]) * a + bb * t[source]

        return apply

    def gram_rows(self, a: Vector, b: Vector) -> GramPart:
        """See `NodeBlock.gram_rows`."""
        source, target, squared = self.source, self.target, self.factor.astype(a.dtype) ** 2
        a = a[source]
        weighted_b, aa = squared * b[:, target], a @ a
        bb = np.einsum("kv,kv->k", weighted_b, b[:, target])[:, None]

        def apply(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
            p[:, target] += (squared * aa) * s[:, target]
            if not self.from_given:
                p[:, target] += (t[:, source] @ a)[:, None] * weighted_b
                q[:, source] += np.einsum("kv,kv->k", weighted_b, s[:, target])[:, None] * a + bb * t[:, source]

        return apply

    def products(self, a: Vector, c: Vector) -> Vector:
        """See `NodeBlock.products`."""
        return np.full(self.n_target, a[self.source] @ c[self.source])

    def spread(self, squares: Vector) -> Vector:
        """See `NodeBlock.spread`."""
        return np.full(self.shape[1], squares.sum())

    def own_gram(self, weights: Vector, a: Vector, c: Vector) -> Vector:
        """See `Block.own_gram`."""
        gram: Vector = self.factor**2 * self.products(a, c)
        return gram

    def multiply(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply`."""
        product: Vector = self.factor[:, None] * (columns.T @ weights.T).T
        return product

    def multiply_transposed(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply_transposed`."""
        product: Vector = ((self.factor * columns.T) @ weights).T
        return product

    def rows(self, weights: Vector, targets: slice) -> Vector:
        """See `Block.rows`."""
        rows: Vector = self.factor[targets, None] * weights[targets]
        return rows

    def kernel(self, a: Vector, c: Vector, b: Vector, d: Vector) -> Vector:
        """See `NodeBlock.kernel`; two matrix products of node vectors."""
        adjoints = (self.factor**2 * b[:, self.target]) @ d[:, self.target].T
        kernel: Vector = adjoints * (a[:, self.source] @ c[:, self.source].T)
        return kernel
