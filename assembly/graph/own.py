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
    """A sub-model g(w; x) with w of `n_parameters` numbers; called with read-only float64 vectors, one part at a time.

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
        weights, x = read_only(weights), read_only(x)
        return np.array([self.call("value", w, x) for w in weights])

    def gradients(self, weights: Vector, x: Vector) -> Vector:
        """Return the gradient of every row of `weights`, shape (n_parts, n_parameters)."""
        weights, x = read_only(weights), read_only(x)
        return np.array([self.call("gradient", w, x) for w in weights])

    def hessian_products(self, weights: Vector, x: Vector, directions: Vector) -> Vector:
        """Return the Hessian of every row of `weights` times that row of `directions`, shape as both."""
        weights, x, directions = read_only(weights), read_only(x), read_only(directions)
        return np.array([self.call("hessian_product", w, x, v) for w, v in zip(weights, directions, strict=True)])

    def call(self, what: str, *arguments: Vector) -> Vector:
        """Return what one of the functions answers, as float64 numbers of its own, never the user's array.

        Raises
        ------
        ShapeError, NonFiniteError
            If the answer has another shape, is no real number, or is not finite.
        Exception
            What the function raised, with a note that names it.
        """
        try:
            found = getattr(self, what)(*arguments)
        except Exception as error:
            error.add_note(f"Raised in the {what!r} function of sub-model {self.name!r}.")
            raise
        return self._checked(what, found, () if what == "value" else (self.n_parameters,))

    def _checked(self, what: str, found: Any, shape: tuple[int, ...]) -> Vector:
        try:
            array = np.asarray(found)
        except ValueError:  # lists of several lengths
            array = np.asarray(None)
        is_real = array.dtype.kind in "iuf"
        if not is_real or array.shape != shape:
            wanted = f"real numbers of shape {shape}" if shape else "one real number"
            got = f"shape {array.shape}" if is_real else f"{type(found).__name__} of dtype {array.dtype}"
            raise ShapeError(f"The {what!r} function of sub-model {self.name!r} must return {wanted}. Got {got}.")
        if not np.isfinite(array).all():
            first = int(np.flatnonzero(~np.isfinite(array))[0])
            where = f" at index {first}" if shape else ""
            raise NonFiniteError(
                f"The {what!r} function of sub-model {self.name!r} must return finite numbers. "
                f"Got {array.ravel()[first]}{where}."
            )
        return array.astype(np.float64)


def read_only(array: Vector) -> Vector:
    """Return a view that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view
