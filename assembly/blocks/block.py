"""What every block does. A block maps node vectors to node vectors, of shape (n_nodes,); its weights have `shape`.

* `push` adds the forward sum `c_v sum_u w_uv a_u` to the targets,
* `pull` adds the backward sum `sum_v c_v w_uv b_v` to the sources,
* `turn` does both, with the activations of the targets in between, in one pass over the weights,
* `project` pushes and pulls with a direction in place of the weights: this block's part of `Z`,
* `scatter` makes weights from nodes, `c_v (s_v a_u + t_u b_v)`, summed over the edges that share one; `scatter_rows`
  makes `c_v b_v a_u` of the samples of a batch, summed over them too,
* `gram` applies `Z Z^T` without touching a weight,
* `multiply` and `multiply_transposed` are push and pull of many node vectors at once, the columns of a matrix,
* `push_rows` and `pull_rows` the same of the samples of a batch, and `congruence` is `W G W^T`,
* `push_series`, `pull_series` and `scatter_series` take power series in t at the weights `w + t V`, a row for an order.

Inputs and the constant have no coordinates in node space: blocks from them read no t and add no q there.

Where edges share weights, `Z Z^T` is no longer cheap, and the weights are fewer than the edges: such a block is not
`in_node_space`. Its weights are coordinates of their own, on which Z is the identity; see `Local`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[Any]
GramPart = Callable[[Vector, Vector, Vector, Vector], None]
Then = Callable[[slice, slice], None]
Filled = Callable[[slice], None]


def locked(weights: Vector) -> Vector:
    """Return a view that is only read, for which alone kernels are compiled."""
    if weights.flags.writeable:
        weights = weights.view()
        weights.flags.writeable = False
    return weights


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
    is_edgewise: ClassVar[bool] = False  # every edge has a weight of its own

    @property
    def n_target(self) -> int:
        """Number of targets."""
        return int(self.target.stop - self.target.start)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape in which the weights of this block are used."""

    @property
    @abstractmethod
    def in_node_space(self) -> bool:
        """Whether Z maps the weights to nodes; False if they are coordinates of their own."""

    @property
    def place(self) -> tuple[int, int]:
        """Where the weights of a block that is trained stand among the parameters: start and stop."""
        assert self.parameters is not None
        return self.parameters.start, self.parameters.stop

    def weights(self, parameters: Vector) -> Vector:
        """Return the weights as a read-only view of the flat parameters, or the frozen ones."""
        if self.parameters is None:
            assert self.values is not None
            return locked(self.values)
        return locked(parameters[self.parameters].reshape(self.shape))

    @abstractmethod
    def push(self, weights: Vector, a: Vector, out: Vector) -> None:
        """Add ``c_v sum_u w_uv a_u`` to the targets of `out`; one pass over the weights."""

    def differentiate(self, weights: Vector, direction: Vector, a: Vector, out: Vector) -> None:
        """Add the derivative of `push` along a direction of the weights to the targets of `out`."""
        self.push(direction, a, out)

    @abstractmethod
    def pull(self, weights: Vector, b: Vector, out: Vector) -> None:
        """Add ``sum_v c_v w_uv b_v`` to the sources of `out`; one pass over the weights."""

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
        """Push tangents t, turn them into adjoints s at the targets, and pull those.

        Adds ``c_v sum_u w_uv t_u`` to `z_dot` of the targets, where ``t_v = sigma'_v z_dot_v`` and
        ``s_v = sigma''_v abar_v z_dot_v + sigma'_v abar_dot_v`` are filled with `curvature` for ``sigma'' abar``; then
        adds ``sum_v c_v w_uv s_v`` to `abar_dot` of the sources. All of shape (n_nodes,). The targets may not be
        reached by anything that depends on their tangents, and no other block may come after in `z_dot`.
        """
        self.push(weights, t, z_dot)
        nodes = self.target
        t[nodes] = first[nodes] * z_dot[nodes]
        s[nodes] = curvature[nodes] * z_dot[nodes] + first[nodes] * abar_dot[nodes]
        self.pull(weights, s, abar_dot)

    def project(self, direction: Vector, a: Vector, b: Vector, p: Vector, q: Vector) -> None:
        """Add to p and q what Z makes of a direction of the weights: a pushed, and b pulled."""
        self.push(direction, a, p)
        if not self.from_given:
            self.pull(direction, b, q)

    @abstractmethod
    def scatter(self, weights: Vector, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """Fill the flat weights `out` with ``c_v (s_v a_u + t_u b_v)``, summed over the edges of each."""

    def scatter_rows(self, weights: Vector, b: Vector, a: Vector, out: Vector) -> None:
        """Fill the flat weights `out` with ``c_v b_v a_u``, summed over the rows of (b, a) and the edges of each."""
        nothing, found = np.zeros(a.shape[1], a.dtype), np.empty_like(out)
        out[:] = 0.0
        for above, below in zip(b, a, strict=True):
            self.scatter(weights, above, nothing, below, above, found)
            out += found

    def scatter_rows_then(self, weights: Vector, b: Vector, a: Vector, out: Vector, then: Filled) -> None:
        """Fill the flat weights `out` as `scatter_rows` does, and call `then` with every part that is complete.

        It is called by any thread, and may change the weights: nothing reads those of that part any more.
        """
        self.scatter_rows(weights, b, a, out)
        then(slice(0, len(out)))

    @abstractmethod
    def own_gram(self, weights: Vector, a: Vector, c: Vector) -> Vector:
        """Return ``<dz_i/dw(x), dz_j/dw(x')>`` of the targets over the weights of this block alone.

        Shape (n_target, n_target), or its diagonal, shape (n_target,), where no weight is shared.
        """

    @abstractmethod
    def multiply(self, weights: Vector, columns: Vector) -> Vector:
        """Return ``c_v sum_u w_uv columns_u`` of a matrix over the sources, shape (n_target, n_columns)."""

    @abstractmethod
    def multiply_transposed(self, weights: Vector, columns: Vector) -> Vector:
        """Return ``sum_v c_v w_uv columns_v`` of a matrix over the targets, shape (n_source, n_columns)."""

    def push_rows(self, weights: Vector, a: Vector, out: Vector) -> None:
        """Push many node vectors, the rows of `a`, to the rows of `out`."""
        for values, sums in zip(a, out, strict=True):
            self.push(weights, values, sums)

    def push_rows_then(self, weights: Vector, a: Vector, out: Vector, adds: bool, then: Then | None) -> None:
        """Push many node vectors, with what follows while they are in cache.

        Parameters
        ----------
        weights : ndarray
        a, out : ndarray of shape (n, n_nodes)
        adds : bool
            True if the sums are added to the targets of `out`, False if they take the place of what is there.
        then : callable or None
            Called as ``then(rows, nodes)`` with parts of `out` that are complete, by any thread.
        """
        if not adds:
            out[:, self.target] = 0.0
        self.push_rows(weights, a, out)
        if then is not None:
            then(slice(0, len(out)), self.target)

    def pull_rows(self, weights: Vector, b: Vector, out: Vector) -> None:
        """Pull many node vectors, the rows of `b`, to the rows of `out`."""
        for values, sums in zip(b, out, strict=True):
            self.pull(weights, values, sums)

    def pull_rows_then(self, weights: Vector, b: Vector, out: Vector, adds: bool, then: Then | None) -> None:
        """Pull many node vectors, with what follows; see `push_rows_then`."""
        if not adds:
            out[:, self.source] = 0.0
        self.pull_rows(weights, b, out)
        if then is not None:
            then(slice(0, len(out)), self.source)

    def differentiate_rows(self, weights: Vector, direction: Vector, a: Vector, out: Vector) -> None:
        """Differentiate at many node vectors, the rows of `a`."""
        self.push_rows(direction, a, out)

    def push_series(self, weights: Vector, direction: Vector | None, a: Vector, out: Vector) -> None:
        """Add ``c_v sum_u (w_uv a_u,k + V_uv a_u,k-1)`` to row k of `out` from k = 1 on, at the targets.

        Parameters
        ----------
        weights : ndarray
        direction : ndarray or None
            V, as the weights; None if they are frozen.
        a, out : ndarray of shape (order + 1, n_nodes)
        """
        n_known = 1 if self.from_given else len(a)  # inputs do not move
        if not self.from_given:
            self.push_rows(weights, a[1:], out[1:])
        if direction is not None:
            moved = a[:-1][:n_known]
            self.push_rows(direction, moved, out[1 : 1 + len(moved)])

    def pull_series(self, weights: Vector, direction: Vector | None, b: Vector, out: Vector) -> None:
        """Add ``sum_v c_v (w_uv b_v,k + V_uv b_v,k-1)`` to every row k of `out`, at the sources."""
        if self.from_given:
            return
        self.pull_rows(weights, b, out)
        if direction is not None:
            self.pull_rows(direction, b[:-1], out[1:])

    def scatter_series(self, weights: Vector, direction: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """Fill the flat weights `out` with the last coefficient of their gradient, ``c_v sum_i b_v,k-i a_u,i``."""
        n_terms = 1 if self.from_given else len(a)
        self.scatter_rows(weights, b[::-1][:n_terms], a[:n_terms], out)

    def congruence(self, weights: Vector, gram: Vector, symmetric: bool) -> Vector:
        """Return ``sum_uu' c_v w_vu G_uu' c_v' w_v'u'``, shape (n_target, n_target).

        G, over the sources, is given by its diagonal where it has nothing else; `symmetric` where it is its transpose
        and non-negative.
        """
        matrix = np.diag(gram) if gram.ndim == 1 else gram
        return self.multiply(weights, self.multiply(weights, matrix).T).T

    def rows(self, weights: Vector, targets: slice) -> Vector:
        """Return ``c_v w_uv`` of some targets v, given by their positions, shape (n_chosen, n_source)."""
        numbers = np.arange(self.n_target)[targets]
        chosen = np.zeros((self.n_target, len(numbers)), self.factor.dtype)
        chosen[numbers, np.arange(len(numbers))] = 1.0
        return self.multiply_transposed(weights, chosen).T

    def local(self, weights: Vector, a: Vector, b: Vector) -> Local:
        """Return the part of the Hessian on coordinates that are the weights of this block."""
        return Local(self, weights, a, b)


class NodeBlock(Block):
    """A block whose weights live in node space."""

    @abstractmethod
    def gram(self, a: Vector, b: Vector) -> GramPart:
        """Return the function (s, t, p, q) that adds this block's part of ``Z Z^T (s, t)`` to (p, q)."""

    def gram_rows(self, a: Vector, b: Vector) -> GramPart:
        """Return the same for matrices of node vectors, a row of (s, t, p, q) for every row of b; a may be one row."""
        parts = [self.gram(*row) for row in zip(np.broadcast_to(a, b.shape), b, strict=True)]

        def apply(s: Vector, t: Vector, p: Vector, q: Vector) -> None:
            for part, *row in zip(parts, s, t, p, q, strict=True):
                part(*row)

        return apply

    @abstractmethod
    def products(self, a: Vector, c: Vector) -> Vector:
        """Return ``sum_u a_u c_u`` over the parents of every target, shape (n_target,)."""

    @abstractmethod
    def spread(self, squares: Vector) -> Vector:
        """Return the sum of some values of the targets, shape (n_target,), over the children of every source."""

    @abstractmethod
    def kernel(self, a: Vector, c: Vector, b: Vector, d: Vector) -> Vector:
        """Return ``sum_v c_v^2 b_v d_v sum_u a_u c_u`` for rows of (a, b) against rows of (c, d)."""


class SharedBlock(Block):
    """A block whose weights are no longer one for every edge."""

    @abstractmethod
    def carried(self, direction: Vector) -> Vector:
        """Return how much of the squared norm of a direction of the weights every target carries, shape (n_target,).

        A weight that several edges read is divided among them equally.
        """


class Local:
    """The Hessian on the weights r of one block as coordinates: forward, backward, and back to the weights.

    Parameters
    ----------
    block : Block
    weights : ndarray
    a, b : ndarray of shape (n_nodes,)
        Activations and pre-activation adjoints.
    """

    def __init__(self, block: Block, weights: Vector, a: Vector, b: Vector) -> None:
        self.block = block
        self.weights, self.a, self.b = weights, a, b

    def forward(self, r: Vector, z_dot: Vector) -> None:
        """Add what the direction r changes in the pre-activations of the targets."""
        self.block.push(r.reshape(self.block.shape), self.a, z_dot)

    def backward(self, r: Vector, abar_dot: Vector) -> None:
        """Add what the direction r changes in the adjoints of the sources."""
        if not self.block.from_given:
            self.block.pull(r.reshape(self.block.shape), self.b, abar_dot)

    def collect(self, r: Vector, s: Vector, t: Vector, out: Vector) -> None:
        """Add the second derivative along r to the weights `out`: from tangents and their adjoints (t, s)."""
        found = np.empty_like(out)
        self.block.scatter(self.weights, s, t, self.a, self.b, found)
        out += found
