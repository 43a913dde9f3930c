r"""Convolutions by patches: with A what the windows see (one column a window) the pass is one matrix product W A.

In node space the weights' directions are :math:`G = S A^T + B T^T` (S, B over the windows of the targets, T the patches
of t), so :math:`Z Z^T` needs only products over pairs of windows, and no kernel:

.. math:: G A = S (A^T A) + B (T^T A), \qquad G^T B = A (S^T B) + T (B^T B).

Where there are many pairs of windows, G itself is cheaper. Where the kernels have fewer entries than there are nodes,
the weights themselves are the smaller space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from assembly.blocks import products
from assembly.blocks.block import GramPart, NodeBlock, SharedBlock, Vector
from assembly.graph.windows import OUTSIDE, Windows

COLUMNS = 64  # of a matrix at once: bounds the memory of their patches
GRADIENT_NUMBERS = 2**24  # of the gradients of all rows at once


@dataclass(frozen=True, eq=False)
class ConvolutionBlock(NodeBlock, SharedBlock):
    """Every channel of the target slides one kernel over the source; weights of shape (n_channels, patch size)."""

    windows: Windows
    n_channels: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels of the target times entries of a patch."""
        return (self.n_channels, self.windows.channels * self.windows.n_taps)

    @property
    def in_node_space(self) -> bool:
        """True where the kernels have more entries than there are nodes on both sides."""
        n_nodes = self.n_target + int(self.source.stop - self.source.start)
        return self.n_channels * self.shape[1] > n_nodes

    def push(self, weights: Vector, a: Vector, out: Vector) -> None:
        """See `Block.push`; one matrix product."""
        out[self.target] += self.factor * (weights @ self.windows.patches(a[self.source])).ravel()

    def pull(self, weights: Vector, b: Vector, out: Vector) -> None:
        """See `Block.pull`; one matrix product."""
        self.windows.add_patches(weights.T @ self._images(b), out[self.source])

    def scatter(self, weights: Vector, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """See `Block.scatter`."""
        found = self._images(s) @ self.windows.patches(a[self.source]).T
        if not self.from_given:
            found += self._images(b) @ self.windows.patches(t[self.source]).T
        out[:] = found.ravel()

    def scatter_rows(self, weights: Vector, b: Vector, a: Vector, out: Vector) -> None:
        """See `Block.scatter_rows`; a matrix product for every 64 rows."""
        total = np.zeros(self.shape, out.dtype)
        for start in range(0, len(a), COLUMNS):
            rows = slice(start, start + COLUMNS)
            images = (self.factor * b[rows, self.target]).T.reshape(self.n_channels, -1)
            total += images @ self.windows.patches(a[rows, self.source].T).reshape(self.shape[1], -1).T
        out[:] = total.ravel()

    def gram(self, a: Vector, b: Vector) -> GramPart:
        """See `NodeBlock.gram`."""
        windows, source, target = self.windows, self.source, self.target
        seen, images = windows.patches(a[source]), self._images(b)
        n, k = self.shape
        if 4 * n * k <= 3 * windows.n_windows * (n + k):  # operations of the two ways
            return self._gram_by_kernels(seen, images)
        aa, bb = seen.T @ seen, images.T @ images

        def apply(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
            left = self._images(s)
            found = left @ aa
            if not self.from_given:
                moved = windows.patches(t[source])
                found += images @ (moved.T @ seen)
                windows.add_patches(seen @ (left.T @ images) + moved @ bb, q[source])
            p[target] += self.factor * found.ravel()

        return apply

    def _gram_by_kernels(self, seen: Vector, images: Vector) -> GramPart:
        """The same with G written out, which has fewer entries than there are pairs of windows."""
        windows, source, target = self.windows, self.source, self.target

        def apply(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
            direction = self._images(s) @ seen.T
            if not self.from_given:
                direction += images @ windows.patches(t[source]).T
                windows.add_patches(direction.T @ images, q[source])
            p[target] += self.factor * (direction @ seen).ravel()

        return apply

    def products(self, a: Vector, c: Vector) -> Vector:
        """See `NodeBlock.products`."""
        seen, other = self.windows.patches(a[self.source]), self.windows.patches(c[self.source])
        return np.tile(np.einsum("kp,kp->p", seen, other), self.n_channels)

    def spread(self, squares: Vector) -> Vector:
        """See `NodeBlock.spread`."""
        out = np.zeros(self.source.stop - self.source.start, dtype=squares.dtype)
        total = squares.reshape(self.n_channels, -1).sum(axis=0)
        self.windows.add_patches(np.tile(total, (self.shape[1], 1)), out)
        return out

    def kernel(self, a: Vector, c: Vector, b: Vector, d: Vector) -> Vector:
        """See `NodeBlock.kernel`: by the gradients of all rows, or over pairs of windows where that is less."""
        n, k = self.shape
        n_windows, n_pairs = self.windows.n_windows, len(a) * len(c)
        if (len(a) + len(c)) * n * k * n_windows + n_pairs * n * k <= n_pairs * n_windows**2 * (n + k):  # operations
            return self._kernel_by_gradients(a, c, b, d)
        seen = np.concatenate([self.windows.patches(row[self.source]) for row in c], axis=1)
        images = np.concatenate([self._images(row) for row in d], axis=1)
        out = np.empty((len(a), len(c)), dtype=self.factor.dtype)
        for row, below, above in zip(out, a, b, strict=True):
            pairs = products.product(self._images(above).T, images)
            pairs *= products.product(self.windows.patches(below[self.source]).T, seen)
            row[:] = pairs.reshape(n_windows, len(c), n_windows).sum(axis=(0, 2))
        return out

    def _kernel_by_gradients(self, a: Vector, c: Vector, b: Vector, d: Vector) -> Vector:
        """The same by the gradients in the kernels of a few channels at once."""
        n_at_once = max(1, GRADIENT_NUMBERS // (self.shape[1] * (len(a) + len(c))))
        out = np.zeros((len(a), len(c)), dtype=self.factor.dtype)
        for start in range(0, self.n_channels, n_at_once):
            channels = slice(start, start + n_at_once)
            left = self._gradients(a, b, channels)
            out += products.inner_products(left, left if a is c and b is d else self._gradients(c, d, channels))
        return out

    def _gradients(self, a: Vector, b: Vector, channels: slice) -> Vector:
        """Return ``sum_v c_v b_v a_u(v)`` over the windows of some channels, a row for every row of (a, b)."""
        rows = zip(a[:, self.source], b, strict=True)
        found = [
            products.product(self._images(above)[channels], self.windows.patches(below).T) for below, above in rows
        ]
        return np.stack(found).reshape(len(found), -1)

    def own_gram(self, weights: Vector, a: Vector, c: Vector) -> Vector:
        """See `Block.own_gram`: neurons of one channel share their kernel, others nothing."""
        factor = self._images(np.ones_like(a))
        seen = self.windows.patches(a[self.source]).T @ self.windows.patches(c[self.source])
        n = self.windows.n_windows
        gram = np.zeros((self.n_channels, n, self.n_channels, n), dtype=self.factor.dtype)
        for channel in range(self.n_channels):
            gram[channel, :, channel, :] = factor[channel, :, None] * seen * factor[channel, None, :]
        return gram.reshape(self.n_target, self.n_target)

    def multiply(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply`."""
        found = [
            np.tensordot(weights, self.windows.patches(columns[:, i : i + COLUMNS]), axes=1).reshape(self.n_target, -1)
            for i in range(0, columns.shape[1], COLUMNS)
        ]
        product: Vector = self.factor[:, None] * np.concatenate(found, axis=1)
        return product

    def multiply_transposed(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply_transposed`."""
        scaled = (self.factor[:, None] * columns).reshape(self.n_channels, self.windows.n_windows, -1)
        out = np.zeros((int(self.source.stop - self.source.start), columns.shape[1]), self.factor.dtype)
        for i in range(0, columns.shape[1], COLUMNS):
            self.windows.add_patches(
                np.tensordot(weights.T, scaled[:, :, i : i + COLUMNS], axes=1), out[:, i : i + COLUMNS]
            )
        return out

    def carried(self, direction: Vector) -> Vector:
        """See `SharedBlock.carried`."""
        inside = (self.windows.pixels != OUTSIDE).astype(direction.dtype)
        shape = (self.n_channels, self.windows.channels, self.windows.n_taps)
        squares = (direction.reshape(shape) ** 2).sum(axis=1) / np.maximum(inside.sum(axis=0), 1.0)
        return cast(Vector, squares @ inside.T).ravel()

    def _images(self, values: Vector) -> Vector:
        """c_v times values of the targets, channels times windows."""
        return cast(Vector, (self.factor * values[self.target]).reshape(self.n_channels, -1))
