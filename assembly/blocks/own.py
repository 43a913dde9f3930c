"""Sub-models of the user's own as targets; their weights are coordinates of their own, on which they may bend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assembly.blocks.block import Local, SharedBlock, Vector
from assembly.errors import GraphError
from assembly.graph.own import Functions


@dataclass(frozen=True, eq=False)
class OwnBlock(SharedBlock):
    """Every target is ``g(w_v; x)``; weights of shape (n_target, n_parameters of g). The sources are the inputs."""

    functions: Functions
    in_node_space = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Targets times parameters of each."""
        return (self.n_target, self.functions.n_parameters)

    def push(self, weights: Vector, a: Vector, out: Vector) -> None:
        """Add g of every target to `out`; one call of the user's function each."""
        out[self.target] += self.functions.values(*self._double(weights, a))

    def differentiate(self, weights: Vector, direction: Vector, a: Vector, out: Vector) -> None:
        """See `Block.differentiate`."""
        out[self.target] += np.sum(self.gradients(weights, a) * direction, axis=1)

    def differentiate_rows(self, weights: Vector, direction: Vector, a: Vector, out: Vector) -> None:
        """See `Block.differentiate_rows`; one sample after the other."""
        for values, sums in zip(a, out, strict=True):
            self.differentiate(weights, direction, values, sums)

    def pull(self, weights: Vector, b: Vector, out: Vector) -> None:
        """Inputs have no adjoint: nothing to add."""

    def scatter(self, weights: Vector, s: Vector, t: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """Fill `out` with s_v times the gradient of every target."""
        out.reshape(self.shape)[:] = s[self.target, None] * self.gradients(weights, a)

    def push_series(self, weights: Vector, direction: Vector | None, a: Vector, out: Vector) -> None:
        """See `Block.push_series`; to order 2.

        Raises
        ------
        GraphError
            Beyond.
        """
        self._check_order(len(a) - 1)
        if direction is None or len(a) == 1:
            return
        self.differentiate(weights, direction, a[0], out[1])
        if len(a) > 2:
            out[2, self.target] += 0.5 * np.sum(self._bent(weights, direction, a[0]) * direction, axis=1)

    def scatter_series(self, weights: Vector, direction: Vector, a: Vector, b: Vector, out: Vector) -> None:
        """See `Block.scatter_series`; to order 1, with GraphError beyond."""
        last = len(a) - 1
        self._check_order(last + 1)
        self.scatter(weights, b[last], b[0], a[0], b[0], out)
        if last:
            bent = b[0, self.target, None] * self._bent(weights, direction, a[0])
            out += bent.ravel().astype(out.dtype, copy=False)

    def _bent(self, weights: Vector, direction: Vector, a: Vector) -> Vector:
        """Return the Hessian of every target in its own weights times its row of a direction."""
        double, x = self._double(weights, a)
        return self.functions.hessian_products(double, x, direction.astype(np.float64))

    def _check_order(self, order: int) -> None:
        if order > 2:
            raise GraphError(
                f"Order {order} needs derivatives of every sub-model to order {order}. Got {self.functions.name!r}, a "
                "sub-model of your own, which gives two: compose it of neurons, or ask for order 2."
            )

    def own_gram(self, weights: Vector, a: Vector, c: Vector) -> Vector:
        """See `Block.own_gram`."""
        gram: Vector = np.sum(self.gradients(weights, a) * self.gradients(weights, c), axis=1)
        return gram

    def multiply(self, weights: Vector, columns: Vector) -> Vector:
        """Inputs have no gradient: nothing comes through."""
        return np.zeros((self.n_target, columns.shape[1]), dtype=self.factor.dtype)

    def multiply_transposed(self, weights: Vector, columns: Vector) -> Vector:
        """Inputs have no adjoint: nothing comes through."""
        return np.zeros((int(self.source.stop - self.source.start), columns.shape[1]), dtype=self.factor.dtype)

    def carried(self, direction: Vector) -> Vector:
        """See `SharedBlock.carried`."""
        carried: Vector = np.sum(direction.reshape(self.shape) ** 2, axis=1)
        return carried

    def gradients(self, weights: Vector, a: Vector) -> Vector:
        """Return the gradient of every target in its own weights."""
        return self.functions.gradients(*self._double(weights, a)).astype(self.factor.dtype, copy=False)

    def local(self, weights: Vector, a: Vector, b: Vector) -> Local:
        """See `Block.local`."""
        return _OwnLocal(self, weights, a, b)

    def _double(self, weights: Vector, a: Vector) -> tuple[Vector, Vector]:
        return weights.astype(np.float64), a[self.source].astype(np.float64)


class _OwnLocal(Local):
    """As `Local`, with gradients computed once and the Hessian of every sub-model in place."""

    def __init__(self, block: OwnBlock, weights: Vector, a: Vector, b: Vector) -> None:
        super().__init__(block, weights, a, b)
        self.own = block
        self.gradients = block.gradients(weights, a)

    def forward(self, r: Vector, z_dot: Vector) -> None:
        """See `Local.forward`."""
        z_dot[self.own.target] += np.sum(self.gradients * r.reshape(self.own.shape), axis=1)

    def collect(self, r: Vector, s: Vector, t: Vector, out: Vector) -> None:
        """See `Local.collect`."""
        own = self.own
        bent = own._bent(self.weights, r.reshape(own.shape), self.a)
        found = s[own.target, None] * self.gradients + self.b[own.target, None] * bent
        out += found.ravel().astype(out.dtype, copy=False)
