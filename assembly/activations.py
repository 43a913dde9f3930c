r"""Activation functions by name: value, three derivatives, and the suprema of the derivatives.

========= ===================== ============== =============== ================
name      sigma(z)              sup|sigma'|    sup|sigma''|    sup|sigma'''|
========= ===================== ============== =============== ================
identity  z                     1              0               0
tanh      tanh z                1              0.76980036      2
erf       erf z                 1.12837917     0.96788290      2.25675834
sigmoid   1 / (1 + exp(-z))     0.25           0.09622505      0.125
softplus  log(1 + exp z)        1              0.25            0.09622505
gelu      z Phi(z)              1.12890415     0.79788457      0.77876964
swish     z / (1 + exp(-z))     1.09983933     0.5             0.30818152
relu      max(z, 0)             1              none            none
sin, cos  sin z, cos z          1              1               1
quadratic z^2                   infinite       2               0
exp       exp z                 infinite       infinite        infinite
========= ===================== ============== =============== ================

ReLU's second derivative is taken as 0, which holds everywhere but at z = 0, where none exists: its Hessian says
nothing about the linearisation error, which crosses kinks. A pre-activation of exactly 0 gives a `KinkWarning`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.checks import check_finite, check_name
from assembly.kernels import activation as kernels

NAMES = kernels.NAMES

FORMULAS = {
    "identity": "z",
    "tanh": "tanh z",
    "erf": "erf z",
    "sigmoid": "1 / (1 + exp(-z))",
    "softplus": "log(1 + exp z)",
    "gelu": "z Phi(z), Phi the normal distribution function",
    "swish": "z / (1 + exp(-z))",
    "relu": "max(z, 0); its second derivative is 0 almost everywhere",
    "sin": "sin z",
    "cos": "cos z",
    "quadratic": "z^2",
    "exp": "exp z",
}

# Suprema of |sigma'|, |sigma''|, |sigma'''|, each rounded up in the last figure given; NaN where none exists.
_SUPREMA = {
    "identity": (1.0, 0.0, 0.0),
    "tanh": (1.0, 0.7698003590, 2.0),
    "erf": (1.1283791671, 0.9678828981, 2.2567583342),
    "sigmoid": (0.25, 0.0962250449, 0.125),
    "softplus": (1.0, 0.25, 0.0962250449),
    "gelu": (1.1289041454, 0.7978845609, 0.7787696351),
    "swish": (1.0998393203, 0.5, 0.3081815159),
    "relu": (1.0, math.nan, math.nan),
    "sin": (1.0, 1.0, 1.0),
    "cos": (1.0, 1.0, 1.0),
    "quadratic": (math.inf, 2.0, 0.0),
    "exp": (math.inf, math.inf, math.inf),
}


@dataclass(frozen=True)
class Activation:
    """One activation function with its derivatives and their suprema.

    Attributes
    ----------
    name : str
        One of `assembly.activations.NAMES`.
    sup_first, sup_second, sup_third : float
        Upper bounds of ``|sigma'|``, ``|sigma''|``, ``|sigma'''|`` over the real line, tight to about 1e-6 and rounded
        up; infinite for the slope of the quadratic and for exp, NaN for ReLU's higher ones, which do not exist at 0.

    Examples
    --------
    >>> float(get("tanh").second(0.0))
    -0.0
    """

    name: str
    sup_first: float
    sup_second: float
    sup_third: float

    def jet(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return sigma and its first three derivatives, shape ``(4, *z.shape)``, float64.

        Raises
        ------
        NonFiniteError
            If `z` holds NaN or infinity.
        """
        points = np.asarray(z, dtype=np.float64)
        check_finite("z", points)
        jets = np.empty((4, points.size))
        kernels.fill_jets(kernels.code_of(self.name), points.ravel(), jets)
        return jets.reshape(4, *points.shape)

    def value(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return sigma(z)."""
        return np.asarray(self.jet(z)[0])

    def first(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return sigma'(z); at ReLU's kink the left one, 0."""
        return np.asarray(self.jet(z)[1])

    def second(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return sigma''(z); 0 for ReLU."""
        return np.asarray(self.jet(z)[2])

    def third(self, z: ArrayLike) -> NDArray[np.float64]:
        """Return sigma'''(z); 0 for ReLU."""
        return np.asarray(self.jet(z)[3])


def get(name: str) -> Activation:
    """Return an activation function by name.

    Raises
    ------
    UnknownNameError
        If there is none of that name; the message lists all and the nearest.

    Examples
    --------
    >>> get("gelu").sup_second
    0.7978845609
    """
    return Activation(check_name("activation", name, NAMES), *_SUPREMA[name])
