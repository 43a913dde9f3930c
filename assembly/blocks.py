"""The connections of a program, bound to ranges of nodes: every pass over the weights goes through one of these.

A block maps node vectors to node vectors. Vectors have shape (n_nodes,), weights the shape `shape`, and

* `push` adds the forward sum `c_v sum_u w_uv a_u` to the targets,
* `pull` adds the backward sum `sum_v c_v w_uv b_v` to the sources,
* `scatter` makes edges from nodes, `c_v (s_v a_u + t_u b_v)`,
* `gram` applies `Z Z^T` without touching a weight.

With the direction `dw` in place of the weights, `push` of the activations and `pull` of the adjoints are `Z`.
Inputs and the constant have no coordinates in node space: blocks from them read no t and add no q there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from assembly.kernels import sparse

Vector = NDArray[Any]
GramPart = Callable[[Vector, Vector, Vector, Vector], None]


@dataclass(frozen=True, eq=False)
class Block(ABC):
    """A connection between two ranges of nodes.

    Attributes
    ----------
    source, target : slice
        Ranges of nodes.
    factor : ndarray of shape (n_target,)
        c_v of every target, in the dtype of the program.
    parameters : slice or None
        Where the weights stand among the parameters; None for a frozen block.
    values : ndarray or None
        The weights of a frozen block, in `shape`.
    from_given : bool
        True if the sources are inputs or the constant, whose tangents vanish.
    """

    source: slice
    target: slice
    factor: Vector
    parameters: slice | None
    values: Vector | None
    from_given: bool

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape in which the weights of this block are used."""

    def weights(self, parameters: Vector) -> Vector:
        """Return the weights as a view of the flat parameters, or the frozen ones."""
        if self.parameters is None:
            assert self.values is not None
            return self.values
        return parameters[self.parameters].reshape(self.shape)

    @abstractmethod
    def push(self, weights: Vector, a: Vector, out: Vector) -> None:
        """Add ``c_v sum_u w_uv a_u`` to the targets of `out`; one pass over the weights."""

    @abstractmethod
    def pull(self, weights: Vector, b: Vector, out: Vector) -> None:
        """Add ``sum_v c_v w_uv b_v`` to the sources of `out`; one pass over the weights."""

    @abstractmethod
    def scatter(self, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """Fill the flat edges `out` with ``c_v (s_v a_u + t_u b_v)``; one pass over the edges."""

    @abstractmethod
    def gram(self, a: Vector, b: Vector) -> GramPart:
        """Return the function (s, t, p, q) that adds this block's part of ``Z Z^T (s, t)`` to (p, q)."""

    @abstractmethod
    def products(self, a: Vector, c: Vector) -> Vector:
        """Return ``sum_u a_u c_u`` over the parents of every target, shape (n_target,)."""

    @abstractmethod
    def multiply(self, weights: Vector, columns: Vector) -> Vector:
        """Return ``c_v sum_u w_uv columns_u`` of a matrix over the sources, shape (n_target, n_columns)."""

    @abstractmethod
    def kernel(self, a: Vector, c: Vector, b: Vector, d: Vector) -> Vector:
        """Return ``sum_v c_v^2 b_v d_v sum_u a_u c_u`` for rows of (a, b) against rows of (c, d)."""


class DenseBlock(Block):
    """All sources feed all targets; weights of shape (n_target, n_source); passes by BLAS."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Targets times sources."""
        return (self.target.stop - self.target.start, self.source.stop - self.source.start)

    def push(self, weights: Vector, a: Vector, out: Vector) -> None:
        """See `Block.push`."""
        out[self.target] += self.factor * np.dot(weights, a[self.source])

    def pull(self, weights: Vector, b: Vector, out: Vector) -> None:
        """See `Block.pull`."""
        out[self.source] += np.dot(self.factor * b[self.target], weights)

    def scatter(self, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """See `Block.scatter`; a product of rank two, written once."""
        if self.from_given:
            np.multiply.outer(self.factor * s[self.target], a[self.source], out=out.reshape(self.shape))
            return
        left = np.stack([self.factor * s[self.target], self.factor * b[self.target]], axis=1)
        np.matmul(left, np.stack([a[self.source], t[self.source]]), out=out.reshape(self.shape))

    def gram(self, a: Vector, b: Vector) -> GramPart:
        """See `Block.gram`; two inner products per application."""
        source, target, squared = self.source, self.target, self.factor**2
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

    def products(self, a: Vector, c: Vector) -> Vector:
        """See `Block.products`."""
        return np.full(self.shape[0], a[self.source] @ c[self.source])

    def multiply(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply`."""
        product: Vector = self.factor[:, None] * (weights @ columns)
        return product

    def kernel(self, a: Vector, c: Vector, b: Vector, d: Vector) -> Vector:
        """See `Block.kernel`; two matrix products of node vectors."""
        adjoints = (self.factor**2 * b[:, self.target]) @ d[:, self.target].T
        kernel: Vector = adjoints * (a[:, self.source] @ c[:, self.source].T)
        return kernel


@dataclass(frozen=True, eq=False)
class SparseBlock(Block):
    """Every target has its own parents, stored by rows; weights of shape (n_edges,); passes by compiled loops."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]

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

    def scatter(self, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """See `Block.scatter`."""
        source, target = self.source, self.target
        t = np.zeros_like(t[source]) if self.from_given else t[source]
        sparse.scatter(self.indptr, self.indices, self.factor, s[target], t, a[source], b[target], out)

    def gram(self, a: Vector, b: Vector) -> GramPart:
        """See `Block.gram`; one pass over the structure per application, none for a block from the inputs."""
        source, target = self.source, self.target
        if self.from_given:
            own = self.factor**2 * self.products(a, a)

            def apply_to_first(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
                p[target] += own * s[target]

            return apply_to_first

        a, b = a[source], b[target]

        def apply(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
            sparse.gram(self.indptr, self.indices, self.factor, s[target], t[source], a, b, p[target], q[source])

        return apply

    def products(self, a: Vector, c: Vector) -> Vector:
        """See `Block.products`."""
        out = np.empty(self.target.stop - self.target.start, dtype=self.factor.dtype)
        sparse.products(self.indptr, self.indices, a[self.source], c[self.source], out)
        return out

    def multiply(self, weights: Vector, columns: Vector) -> Vector:
        """See `Block.multiply`."""
        shape = (self.target.stop - self.target.start, self.source.stop - self.source.start)
        matrix = csr_array((weights, self.indices, self.indptr), shape=shape)
        product: Vector = self.factor[:, None] * (matrix @ columns)
        return product

    def kernel(self, a: Vector, c: Vector, b: Vector, d: Vector) -> Vector:
        """See `Block.kernel`; one pass over the structure per pair of rows."""
        scaled = self.factor**2 * b[:, self.target]
        out = np.empty((len(a), len(c)), dtype=self.factor.dtype)
        for i in range(len(a)):
            for j in range(len(c)):
                out[i, j] = (scaled[i] * d[j, self.target]) @ self.products(a[i], c[j])
        return out
