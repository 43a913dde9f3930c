"""Dense blocks: all sources feed all targets; one or few node vectors pass by compiled loops, many by BLAS."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from assembly import threads
from assembly.blocks import products
from assembly.blocks.block import Filled, GramPart, NodeBlock, Then, Vector
from assembly.kernels import dense, dense_rows

MOST_PUSHED, MOST_PULLED = 32, 8  # node vectors at once, for which compiled loops are faster than BLAS


class DenseBlock(NodeBlock):
    """All sources feed all targets; weights of shape (n_target, n_source)."""

    is_edgewise = True
    in_node_space = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Targets times sources."""
        return (self.n_target, self.source.stop - self.source.start)

    @cached_property
    def _even_factor(self) -> Vector | None:
        """The factor as one of every source, shape (n_source,), if all targets have the same."""
        one: Vector = self.factor[:1]
        return np.broadcast_to(one, self.shape[1:]) if (self.factor == one).all() else None

    def push(self, weights: Vector, a: Vector, out: Vector) -> None:
        """See `Block.push`."""
        a, out = a[self.source].astype(np.float64), out[self.target]
        threads.run(lambda rows: dense.push(weights, self.factor, a, out, rows.start, rows.stop), self._pieces(weights))

    def pull(self, weights: Vector, b: Vector, out: Vector) -> None:
        """See `Block.pull`."""
        b, pieces = b[self.target], self._pieces(weights)
        sums = np.zeros((len(pieces), self.shape[1]))

        def pull(piece: tuple[slice, Vector]) -> None:
            rows, part = piece
            dense.pull(weights, self.factor, b, part, rows.start, rows.stop)

        threads.run(pull, list(zip(pieces, sums, strict=True)))
        out[self.source] += sums[0] if len(sums) == 1 else sums.sum(axis=0)

    def turn(
        self,
        weights: Vector,
        t: Vector,
        z_dot: Vector,
        first: Vector,
        curvature: Vector,
        abar_dot: Vector,
        s: Vector,
    ) -> None:
        """See `Block.turn`; one pass over the weights."""
        at, pieces = self.target, self._pieces(weights)
        targets = (z_dot[at], first[at], curvature[at], abar_dot[at], s[at], t[at])
        tangents, sums = t[self.source].astype(np.float64), np.zeros((len(pieces), self.shape[1]))

        def turn(piece: tuple[slice, Vector]) -> None:
            rows, part = piece
            dense.turn(weights, self.factor, tangents, *targets, part, rows.start, rows.stop)

        threads.run(turn, list(zip(pieces, sums, strict=True)))
        abar_dot[self.source] += sums[0] if len(sums) == 1 else sums.sum(axis=0)

    def project(self, direction: Vector, a: Vector, b: Vector, p: Vector, q: Vector) -> None:
        """See `Block.project`; one pass over the direction."""
        if self.from_given:
            super().project(direction, a, b, p, q)
            return
        pieces = self._pieces(direction)
        a, b, p = a[self.source].astype(np.float64), b[self.target], p[self.target]
        sums = np.zeros((len(pieces), self.shape[1]))

        def project(piece: tuple[slice, Vector]) -> None:
            rows, part = piece
            dense.project(direction, self.factor, a, b, p, part, rows.start, rows.stop)

        threads.run(project, list(zip(pieces, sums, strict=True)))
        q[self.source] += sums[0] if len(sums) == 1 else sums.sum(axis=0)

    def _pieces(self, weights: Vector) -> list[slice]:
        return threads.pieces(self.n_target, weights.nbytes)

    def scatter(self, weights: Vector, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """See `Block.scatter`; written once."""
        source, target, out = self.source, self.target, out.reshape(self.shape)
        tangents = np.zeros_like(t[source]) if self.from_given else t[source]
        vectors = (self.factor, s[target], tangents, a[source], b[target], out)
        threads.run(lambda rows: dense.scatter(*vectors, rows.start, rows.stop), self._pieces(out))

    def scatter_rows(self, weights: Vector, b: Vector, a: Vector, out: Vector) -> None:
        """See `Block.scatter_rows`; one matrix product, written once."""
        if len(a) < 2:
            super().scatter_rows(weights, b, a, out)
        else:
            products.fill_transposed(out.reshape(self.shape), b[:, self.target], a[:, self.source], self.factor)

    def scatter_rows_then(self, weights: Vector, b: Vector, a: Vector, out: Vector, then: Filled) -> None:
        """See `Block.scatter_rows_then`; of a matrix product piece by piece."""
        if len(a) < 2:
            super().scatter_rows_then(weights, b, a, out, then)
        else:
            columns = self.shape[1]
            products.fill_transposed(
                out.reshape(self.shape),
                b[:, self.target],
                a[:, self.source],
                self.factor,
                lambda rows: then(slice(rows.start * columns, rows.stop * columns)),
            )

    def gram(self, a: Vector, b: Vector) -> GramPart:
        """See `NodeBlock.gram`; two inner products per application."""
        source, target, squared = self.source, self.target, self.factor.astype(a.dtype) ** 2
        a, b = a[source], b[target]
        weighted_b, aa = squared * b, _inner(a, a)
        bb = _inner(b, weighted_b)

        if self.from_given:

            def apply_to_first(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
                p[target] += (squared * aa) * s[target]

            return apply_to_first

        def apply(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
            p[target] += squared * (aa * s[target]) + _inner(t[source], a) * weighted_b
            q[source] += _inner(weighted_b, s[target]) * a + bb * t[source]

        return apply

    def gram_rows(self, a: Vector, b: Vector) -> GramPart:
        """See `NodeBlock.gram_rows`."""
        source, target, squared = self.source, self.target, self.factor.astype(a.dtype) ** 2
        a = a[:, source]
        weighted_b, aa = squared * b[:, target], _row_products(a, a)
        bb = _row_products(weighted_b, b[:, target])

        def apply(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
            s, t = s[:, target], t[:, source]
            p[:, target] += (squared * aa) * s
            if not self.from_given:
                p[:, target] += _row_products(t, a) * weighted_b
                q[:, source] += _row_products(weighted_b, s) * a + bb * t

        return apply

    def products(self, a: Vector, c: Vector) -> Vector:
        """See `NodeBlock.products`."""
        return np.full(self.n_target, _inner(a[self.source], c[self.source]))

    def spread(self, squares: Vector) -> Vector:
        """See `NodeBlock.spread`."""
        return np.full(self.shape[1], squares.sum())

    def own_gram(self, weights: Vector, a: Vector, c: Vector) -> Vector:
        """See `Block.own_gram`."""
        gram: Vector = self.factor**2 * self.products(a, c)
        return gram

    def multiply(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply`; one matrix product."""
        return products.product(columns.T, weights.T, self.factor).T

    def multiply_transposed(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply_transposed`; one matrix product."""
        return products.product(self.factor * columns.T, weights).T

    def push_rows(self, weights: Vector, a: Vector, out: Vector) -> None:
        """See `Block.push_rows`; one pass over the weights, or one matrix product."""
        if len(a) < 2:
            super().push_rows(weights, a, out)
        elif len(a) <= MOST_PUSHED:
            near = _in_fours(a[:, self.source])
            sums = np.empty((len(near), self.n_target))
            pieces = self._pieces(weights)
            threads.run(lambda rows: dense_rows.push(weights, near, sums, rows.start, rows.stop), pieces)
            out[:, self.target] += self.factor * sums[: len(a)]
        else:
            self.push_rows_then(weights, a, out, True, None)

    def push_rows_then(self, weights: Vector, a: Vector, out: Vector, adds: bool, then: Then | None) -> None:
        """See `Block.push_rows_then`; of a matrix product piece by piece."""
        if len(a) <= MOST_PUSHED:
            super().push_rows_then(weights, a, out, adds, then)
        else:
            below, sums = a[:, self.source], out[:, self.target]
            products.product(below, weights.T, self.factor, sums, adds, _shifted(then, self.target.start))

    def pull_rows(self, weights: Vector, b: Vector, out: Vector) -> None:
        """See `Block.pull_rows`; one pass over the weights, or one matrix product."""
        if len(b) < 2:
            super().pull_rows(weights, b, out)
        elif len(b) <= MOST_PULLED:
            near = _in_fours(self.factor * b[:, self.target].astype(np.float64))
            pieces = self._pieces(weights)
            sums = np.zeros((len(pieces), len(near), self.shape[1]))

            def pull(piece: tuple[slice, Vector]) -> None:
                rows, part = piece
                dense_rows.pull(weights, near, part, rows.start, rows.stop)

            threads.run(pull, list(zip(pieces, sums, strict=True)))
            out[:, self.source] += (sums[0] if len(sums) == 1 else sums.sum(axis=0))[: len(b)]
        else:
            self.pull_rows_then(weights, b, out, True, None)

    def pull_rows_then(self, weights: Vector, b: Vector, out: Vector, adds: bool, then: Then | None) -> None:
        """See `Block.pull_rows_then`; of a matrix product piece by piece."""
        if len(b) <= MOST_PULLED:
            super().pull_rows_then(weights, b, out, adds, then)
        else:
            above, sums, even = b[:, self.target], out[:, self.source], self._even_factor
            scaled = self.factor * above if even is None else above
            products.product(scaled, weights, even, sums, adds, _shifted(then, self.source.start))

    def rows(self, weights: Vector, targets: slice) -> Vector:
        """See `Block.rows`."""
        rows: Vector = self.factor[targets, None] * weights[targets]
        return rows

    def congruence(self, weights: Vector, gram: Vector, symmetric: bool) -> Vector:
        """See `Block.congruence`; where symmetric, by half the multiplications."""
        is_diagonal = gram.ndim == 1
        if symmetric:
            found = products.own_product(weights * np.sqrt(gram)) if is_diagonal else products.congruence(weights, gram)
        else:
            found = products.product(weights * gram if is_diagonal else products.product(weights, gram), weights.T)
        products.scale(found, self.factor, self.factor)
        return found

    def kernel(self, a: Vector, c: Vector, b: Vector, d: Vector) -> Vector:
        """See `NodeBlock.kernel`; two matrix products of node vectors, by half the multiplications on themselves."""
        scaled = self.factor * b[:, self.target]
        adjoints = products.inner_products(scaled, scaled if d is b else self.factor * d[:, self.target])
        below = a[:, self.source]
        adjoints *= products.inner_products(below, below if c is a else c[:, self.source])
        return adjoints


def _shifted(then: Then | None, start: int) -> Then | None:
    """Return what takes places among the nodes of a range, where `then` takes nodes."""
    if then is None:
        return None
    return lambda rows, places: then(rows, slice(start + places.start, start + places.stop))


def _in_fours(rows: Vector) -> Vector:
    """Return rows in float64, contiguous, with rows of zeros after them up to a multiple of four."""
    near = np.zeros((-(-len(rows) // 4) * 4, rows.shape[1]))
    near[: len(rows)] = rows
    return near


def _inner(left: Vector, right: Vector) -> Vector:
    """Return the inner product of two vectors, without BLAS, whose threads would decide the order of a long sum."""
    found: Vector = np.einsum("i,i", left, right)
    return found


def _row_products(left: Vector, right: Vector) -> Vector:
    """Return the inner products of rows, shape (n, 1); a single row on one side meets all of the other."""
    found: Vector = np.einsum("kn,kn->k", *np.broadcast_arrays(left, right))[:, None]
    return found
