"""The functions of a sub-model that the user wrote: value, gradient and Hessian-vector product of one part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.errors import NonFiniteError, ShapeError

Vector = NDArray[Any]


@dataclass(frozen=True)
class Functions:
    """A sub-model g(w; x) with w of `n_parameters` numbers; called with float64 vectors, one part at a time.

    Attributes
    ----------
    name : str
        For the reader, and for files.
    n_parameters : int
    value : callable
        ``value(w, x)`` -> number.
    gradient : callable
        ``gradient(w, x)`` -> the derivatives in w, shape (n_parameters,).
    hessian_product : callable
        ``hessian_product(w, x, v)`` -> the Hessian in w times v, shape (n_parameters,).
    """

    name: str
    n_parameters: int
    value: Callable[[Vector, Vector], Any]
    gradient: Callable[[Vector, Vector], Any]
    hessian_product: Callable[[Vector, Vector, Vector], Any]

    def values(self, weights: Vector, x: Vector) -> Vector:
        """Return g of every row of `weights`, shape (n_parts,)."""
        found = [self.checked("value", self.value(w, x), ()) for w in weights]
        return np.array(found, dtype=np.float64)

    def gradients(self, weights: Vector, x: Vector) -> Vector:
        """Return the gradient of every row of `weights`, shape (n_parts, n_parameters)."""
        shape = (self.n_parameters,)
        return np.array([self.checked("gradient", self.gradient(w, x), shape) for w in weights])

    def hessian_products(self, weights: Vector, x: Vector, directions: Vector) -> Vector:
        """Return the Hessian of every row of `weights` times that row of `directions`, shape as both."""
        shape, product = (self.n_parameters,), self.hessian_product
        pairs = zip(weights, directions, strict=True)
        return np.array([self.checked("hessian_product", product(w, x, v), shape) for w, v in pairs])

    def checked(self, what: str, found: Any, shape: tuple[int, ...]) -> Vector:
        """Return an answer of a user's function as float64, or raise if its shape is another or it is not finite."""
        array = np.asarray(found)
        if array.dtype.kind not in "biuf" or array.shape != shape:
            wanted = f"shape {shape}" if shape else "one number"
            got = f"shape {array.shape}" if array.dtype.kind in "biuf" else f"{type(found).__name__}"
            raise ShapeError(f"The {what!r} function of sub-model {self.name!r} must return {wanted}. Got {got}.")
        if not np.isfinite(array).all():
            raise NonFiniteError(f"The {what!r} function of sub-model {self.name!r} must be finite. Got {array}.")
        return array.astype(np.float64, copy=False)
