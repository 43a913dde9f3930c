"""The answer of an iterative method: value, residual and status, never a bare number."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.errors import ConvergenceWarning, ShapeError


@dataclass(frozen=True)
class Estimate:
    """Value of an iterative answer with its residual and status.

    Attributes
    ----------
    value : float or ndarray
        The answer, one number or several.
    residual : float or ndarray
        Same shape as `value`: the norm of ``H v - value * v`` for a unit vector v, relative to the largest
        magnitude found, so that some eigenvalue lies within residual times that magnitude of the value; 0, and not
        measured, where a closed form answers.
    converged : bool
        True if every residual is at most the tolerance asked for.
    n_steps : int
        Applications of the operator; 0 for a closed form.

    Raises
    ------
    ShapeError
        When an estimate of several numbers is used as a plain one through ``float``.

    Warns
    -----
    ConvergenceWarning
        When an unconverged estimate is used as a plain number through ``float`` or ``numpy.asarray``.

    Examples
    --------
    >>> float(Estimate(0.25, 1e-9, True, 12))
    0.25
    """

    value: float | NDArray[Any]
    residual: float | NDArray[Any]
    converged: bool
    n_steps: int

    def __float__(self) -> float:
        if np.ndim(self.value):
            raise ShapeError(
                f"An estimate of shape {np.shape(self.value)} is no single number: take one of its .value."
            )
        self._warn_if_unconverged()
        return float(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        self._warn_if_unconverged()
        return np.array(self.value, dtype=dtype)

    def _warn_if_unconverged(self) -> None:
        if not self.converged:
            warnings.warn(
                f"not converged after {self.n_steps} steps: relative residual {np.max(self.residual):.1e}; "
                "raise max_steps or tol, or read .residual",
                ConvergenceWarning,
                stacklevel=3,
            )


def together(estimates: Sequence[Estimate]) -> Estimate:
    """Return several estimates as one: all values and residuals, and the steps of the one that took most.

    Examples
    --------
    >>> together([Estimate(0.25, 1e-9, True, 12), Estimate(0.5, 0.1, False, 20)]).converged
    False
    """
    return Estimate(
        np.concatenate([np.atleast_1d(one.value) for one in estimates]),
        np.concatenate([np.atleast_1d(one.residual) for one in estimates]),
        all(one.converged for one in estimates),
        max(one.n_steps for one in estimates),
    )
