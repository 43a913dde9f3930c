r"""Losses, summed over samples and outputs, with two derivatives in the outputs u.

.. math:: L = \tfrac12 \sum |u - y|^2 \quad\text{(squared)}, \qquad
          L = \sum \log(1 + e^{-y u}),\ y = \pm 1 \quad\text{(logistic)}

Step sizes are in this convention: of sums, not of means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from assembly.checks import check_name
from assembly.errors import ArgumentError

Values = NDArray[Any]


@dataclass(frozen=True)
class Loss:
    """A loss, a sum over all entries of outputs u and targets y.

    Attributes
    ----------
    name : str
    of : callable
        (u, y) -> the loss of every entry.
    slope, bend : callable
        (u, y) -> its first and second derivative in every entry of u.
    largest_bend : float
        Supremum of the second derivative.
    """

    name: str
    of: Callable[[Values, Values], Values]
    slope: Callable[[Values, Values], Values]
    bend: Callable[[Values, Values], Values]
    largest_bend: float

    def value(self, u: Values, y: Values) -> float:
        """Return the loss, summed in float64.

        Examples
        --------
        >>> LOSSES["squared"].value(np.array([[1.0], [3.0]]), np.array([[0.0], [1.0]]))
        2.5
        """
        with np.errstate(over="ignore", invalid="ignore"):  # whoever trains looks whether it is finite
            return float(np.sum(self.of(u.astype(np.float64, copy=False), y)))


def _logistic_bend(u: Values, y: Values) -> Values:
    bend: Values = expit(u) * expit(-u)
    return bend


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("squared", lambda u, y: 0.5 * (u - y) ** 2, lambda u, y: u - y, lambda u, y: np.ones_like(u), 1.0),
        Loss("logistic", lambda u, y: np.logaddexp(0.0, -y * u), lambda u, y: -y * expit(-y * u), _logistic_bend, 0.25),
    )
}


def check_loss(name: object, y: Values, argument: str = "y") -> Loss:
    """Return the loss of a name, if the targets suit it.

    Raises
    ------
    UnknownNameError
        If there is no such loss.
    ArgumentError
        If the targets of the logistic loss are others than -1 and 1.
    """
    loss = LOSSES[check_name("loss", name, LOSSES)]
    if loss.name == "logistic" and not np.isin(y, (-1.0, 1.0)).all():
        other = float(y[~np.isin(y, (-1.0, 1.0))][0])
        raise ArgumentError(f"The '{argument}' argument must hold -1 and 1 for the logistic loss. Got {other:g}.")
    return loss
