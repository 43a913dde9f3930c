"""Sparse blocks: every target has its own parents; passes by compiled loops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from assembly import threads
from assembly.blocks.block import GramPart, NodeBlock, Vector, locked
from assembly.blocks.rows import RowsBlock, cuts, double, over_rows, total
from assembly.kernels import sparse

GRADIENT_NUMBERS = 2**16  # of the gradients of all samples, multiplied at once: they stay in a near cache


@dataclass(frozen=True, eq=False)
class SparseBlock(RowsBlock, NodeBlock):
    """Every target has its own parents, stored by rows; weights of shape (n_edges,)."""

    is_edgewise = True
    in_node_space = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of edges."""
        return (len(self.indices),)

    def of_edges(self, weights: Vector) -> Vector:
        """See `RowsBlock.of_edges`."""
        return weights

    def push(self, weights: Vector, a: Vector, out: Vector) -> None:
        """See `Block.push`."""
        sums = np.empty(self.n_target)
        push = partial(sparse.push, self.indptr, self.indices, locked(weights), double(a[self.source]), sums)
        over_rows(push, cuts(self.indptr, weights.nbytes + self.indices.nbytes))
        out[self.target] += self.factor * sums

    def pull(self, weights: Vector, b: Vector, out: Vector) -> None:
        """See `Block.pull`."""
        scaled = self.factor * double(b[self.target])
        parts = cuts(self.indptr, weights.nbytes + self.indices.nbytes, self.n_source)
        sums = np.zeros((len(parts), self.n_source))
        over_rows(partial(sparse.pull, self.indptr, self.indices, locked(weights), scaled), parts, sums)
        out[self.source] += total(sums)

    def scatter(self, weights: Vector, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """See `Block.scatter`."""
        t = np.zeros(self.n_source) if self.from_given else double(t[self.source])
        s, b = (self.factor * double(values[self.target]) for values in (s, b))
        scatter = partial(sparse.scatter, self.indptr, self.indices, s, t, double(a[self.source]), b, out)
        over_rows(scatter, cuts(self.indptr, out.nbytes + self.indices.nbytes))

    def scatter_rows(self, weights: Vector, b: Vector, a: Vector, out: Vector) -> None:
        """See `Block.scatter_rows`; one pass over the edges."""
        above = np.ascontiguousarray((self.factor * double(b[:, self.target])).T)
        below = np.ascontiguousarray(double(a[:, self.source]).T)
        scatter_rows = partial(sparse.scatter_rows, self.indptr, self.indices, above, below, out)
        over_rows(scatter_rows, cuts(self.indptr, out.nbytes + self.indices.nbytes + 8 * len(a) * len(out)))

    def gram(self, a: Vector, b: Vector) -> GramPart:
        """See `NodeBlock.gram`; one pass over the structure per application, none for a block from the inputs."""
        return _Gram(self, a, b)

    def gram_rows(self, a: Vector, b: Vector) -> GramPart:
        """See `NodeBlock.gram_rows`; two passes over the structure for 32 rows."""
        return _Gram(self, a, b)

    def products(self, a: Vector, c: Vector) -> Vector:
        """See `NodeBlock.products`."""
        values = double(a[self.source]) * c[self.source]
        return self.gather(values, np.zeros(self.n_target))[0].astype(a.dtype, copy=False)

    def spread(self, squares: Vector) -> Vector:
        """See `NodeBlock.spread`."""
        return self.gather(np.zeros(self.n_source), double(squares))[1].astype(squares.dtype, copy=False)

    def gather(self, x: Vector, y: Vector) -> tuple[Vector, Vector]:
        """Return the sums of x over the parents of every target, and of y over the children of every source.

        Cost: one pass over the structure.
        """
        parents, parts = np.empty(self.n_target), cuts(self.indptr, self.indices.nbytes, 2 * self.n_source)
        pairs = np.zeros((len(parts), self.n_source, 2))
        pairs[:, :, 0] = x
        over_rows(partial(sparse.gather, self.indptr, self.indices, y, parents), parts, pairs)
        return parents, total(pairs[:, :, 1])

    def own_gram(self, weights: Vector, a: Vector, c: Vector) -> Vector:
        """See `Block.own_gram`."""
        gram: Vector = self.factor**2 * self.products(a, c)
        return gram

    def rows(self, weights: Vector, targets: slice) -> Vector:
        """See `Block.rows`."""
        start, stop, step = targets.indices(self.n_target)
        edges = slice(self.indptr[start], self.indptr[stop])
        degrees = np.diff(self.indptr)[start:stop]
        rows = np.zeros((stop - start, self.n_source), self.factor.dtype)
        places = np.repeat(np.arange(stop - start), degrees), self.indices[edges]
        np.add.at(rows, places, np.repeat(self.factor[start:stop], degrees) * weights[edges])
        return rows[::step]

    def kernel(self, a: Vector, c: Vector, b: Vector, d: Vector) -> Vector:
        """See `NodeBlock.kernel`: products of the gradients ``c_v b_v a_u`` of all rows, a few edges at a time."""
        left = (np.ascontiguousarray(a[:, self.source].T), np.ascontiguousarray((self.factor * b[:, self.target]).T))
        right = (np.ascontiguousarray(c[:, self.source].T), np.ascontiguousarray((self.factor * d[:, self.target]).T))
        is_symmetric = a is c and b is d
        n_at_once = max(1, GRADIENT_NUMBERS // max(1, len(a), len(c)))

        def kernel(part: slice) -> Vector:
            sums = np.zeros((len(a), len(c)))
            for start in range(part.start, part.stop, n_at_once):
                chosen = np.arange(start, min(start + n_at_once, part.stop))
                source, target = self.indices[chosen], np.searchsorted(self.indptr, chosen, side="right") - 1
                gradients = left[0][source] * left[1][target]
                others = gradients if is_symmetric else right[0][source] * right[1][target]
                sums += gradients.T @ others
            return sums

        n_bytes = len(self.indices) * (len(a) + len(c)) * a.itemsize
        with threads.one_blas_thread():
            totals = threads.run(kernel, threads.pieces(len(self.indices), n_bytes))
        found: Vector = total(np.array(totals)).astype(self.factor.dtype)
        return found


class _Gram:
    """``Z Z^T`` of one block, of a vector or of rows: what does not depend on (s, t) is computed once, when needed.

    With ``x = sum_u a_u t_u`` over parents and ``y = sum_v c_v^2 b_v s_v`` over children it is
    ``p_v = alpha_v s_v + c_v^2 b_v x_v`` and ``q_u = a_u y_u + beta_u t_u``, alpha_v = c_v^2 sum_u a_u^2 and
    beta_u = sum_v c_v^2 b_v^2.
    """

    def __init__(self, block: SparseBlock, a: Vector, b: Vector) -> None:
        self.block = block
        self.squared = double(block.factor) ** 2
        self.a, self.b = double(a[..., block.source]), double(b[..., block.target])

    @cached_property
    def weighted(self) -> Vector:
        """c_v^2 b_v."""
        weighted: Vector = self.squared * self.b
        return weighted

    @cached_property
    def norms(self) -> tuple[Vector, Vector]:
        """Alpha and beta."""
        products, spread = self._sums(self.a * self.a, self.weighted * self.b)
        return self.squared * products, spread

    def _sums(self, x: Vector, y: Vector) -> tuple[Vector, Vector]:
        return self.block.gather(x, y) if y.ndim == 1 else self.block.sums_of_rows(x, y)

    def __call__(self, s: Vector, t: Vector, p: Vector, q: Vector) -> None:
        source, target = self.block.source, self.block.target
        s, t = s[..., target], t[..., source]
        alpha, beta = self.norms
        if self.block.from_given:
            p[..., target] += alpha * s
        else:
            x, y = self._sums(self.a * t, self.weighted * s)
            p[..., target] += alpha * s + self.weighted * x
            q[..., source] += self.a * y + beta * t
