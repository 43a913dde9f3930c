"""The linearised model around given parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.calculus.evaluation import tangent
from assembly.checks import check_vector

if TYPE_CHECKING:
    from assembly.model import Assembly


class LinearizedModel:
    r"""First-order Taylor model :math:`f_{lin}(w; x) = f(w_0; x) + \langle\nabla f(w_0; x), w - w_0\rangle`.

    Attributes
    ----------
    parameters : ndarray of shape (n_parameters,)
        The present w, equal to w_0 after `Assembly.linearize`.

    Notes
    -----
    Cost of a call: three passes over the weights per sample, by a forward tangent; no Jacobian is stored.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=2, widths=[8], activation="tanh", seed=0)
    >>> bool(net.linearize()([1.0, 2.0]) == net([1.0, 2.0]))
    True
    """

    def __init__(self, origin: Assembly, parameters: NDArray[Any]) -> None:
        self._origin = origin
        self.parameters = parameters

    def with_parameters(self, w: ArrayLike) -> LinearizedModel:
        """Return the same linearisation at other parameters.

        Raises
        ------
        ShapeError, NonFiniteError
            If `w` is not a finite vector of n_parameters numbers.
        """
        checked = check_vector("w", w, self._origin.n_parameters, self._origin.dtype)
        return LinearizedModel(self._origin, checked.copy())

    def __call__(self, X: ArrayLike) -> Any:
        """Return f_lin at one sample or a batch, shaped like the output of the assembly."""
        values = np.asarray(self._origin(X))
        if self.parameters is self._origin.parameters:
            return self._origin(X)
        change = tangent(self._origin.evaluate(X), self.parameters - self._origin.parameters)
        return (values + change.reshape(values.shape))[()]

    def value(self, x: ArrayLike) -> Any:
        """Return f_lin; the same as calling."""
        return self(x)

    def gradient(self, x: ArrayLike, output: int = 0) -> NDArray[Any]:
        """Return the gradient in the parameters, that of the assembly at w_0 for every w."""
        return self._origin.gradient(x, output)

    def tangent_kernel(self, X: ArrayLike, Z: ArrayLike | None = None) -> NDArray[Any]:
        """Return the tangent kernel, that of the assembly at w_0 for every w."""
        return self._origin.tangent_kernel(X, Z)
