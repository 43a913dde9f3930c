r"""What training would give if the kernel were constant: gradient flow of the linearised model, and where it ends.

With squared loss, the tangent kernel K of the training inputs and that between others and them :math:`K_*`, in the
eigenvectors of K,

.. math::
    u(t) = y + e^{-K t} (u(0) - y), \qquad
    u_*(t) = u_*(0) + K_* K^{-1} (1 - e^{-K t}) (y - u(0)), \qquad
    u_*(\infty) = u_*(0) + K_* (K + \rho)^{-1} (y - u(0)),

the last being kernel regression with a ridge :math:`\rho` (A. Jacot, F. Gabriel, C. Hongler, arXiv 1806.07572).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.checks import check_finite, check_number, check_samples, check_vector
from assembly.errors import ArgumentError, ShapeError

Values = NDArray[np.float64]
SINGLE = float(np.finfo(np.float32).eps)  # the rounding of kernels, whatever they are stored in


class LinearFlow:
    """Gradient flow of the linearised model with squared loss, at any time.

    Parameters
    ----------
    kernel : ndarray of shape (n, n)
        K, symmetric.
    start, targets : ndarray of shape (n,)
        u(0) and y.

    Notes
    -----
    Cost: the eigenvectors of K once; then two products with them for every time. Eigenvalues below 0, which rounding
    makes, count as 0.

    Examples
    --------
    >>> flow = LinearFlow(np.diag([1.0, 2.0]), np.zeros(2), np.ones(2))
    >>> flow.outputs([0.0, np.log(2.0)])
    array([[0.  , 0.  ],
           [0.5 , 0.75]])
    """

    def __init__(self, kernel: Values, start: Values, targets: Values) -> None:
        values, self._vectors = np.linalg.eigh(kernel)
        self._values = np.maximum(values, 0.0)
        self._start, self._towards = start, self._vectors.T @ (targets - start)

    def outputs(self, times: ArrayLike) -> Values:
        """Return u(t), shape (n_times, n), or (n,) for one time."""
        t, values = np.asarray(times, np.float64)[..., None], self._values
        with np.errstate(invalid="ignore"):  # what has the rate 0 stays for ever
            faded = np.where(values > 0.0, -np.expm1(-t * values), 0.0)
        found: Values = self._start + (faded * self._towards) @ self._vectors.T
        return found

    def elsewhere(self, times: ArrayLike, cross: Values, start: Values) -> Values:
        """Return the outputs at other inputs, shape (n_times, n_others), given K_* (n_others, n) and those at 0."""
        t, values = np.asarray(times, np.float64)[..., None], self._values
        safe = np.where(values > 0.0, values, 1.0)
        reached = np.where(values > 0.0, -np.expm1(-t * safe) / safe, t)
        found: Values = start + (reached * self._towards) @ (cross @ self._vectors).T
        return found


def kernel_regression(
    kernel: ArrayLike, targets: ArrayLike, kernel_elsewhere: ArrayLike, *, ridge: float = 0.0
) -> NDArray[np.float64]:
    r"""Return the predictions of kernel regression, :math:`K_* (K + \rho)^{-1} y`.

    With the tangent kernel of a network, and targets less its outputs, that is where gradient flow of the linearised
    model ends, less the outputs it begins with; with the kernel of its infinite-width limit, the mean of what
    infinitely wide networks end with.

    Parameters
    ----------
    kernel : array_like of shape (n, n)
        K between the training inputs, symmetric.
    targets : array_like of shape (n,)
        y.
    kernel_elsewhere : array_like of shape (n_others, n)
        :math:`K_*`, between other inputs and them.
    ridge : float
        :math:`\rho`, of at least 0.

    Returns
    -------
    ndarray of shape (n_others,), float64

    Raises
    ------
    ShapeError, NonFiniteError
        If a shape does not fit or an entry is not finite.
    ArgumentError
        If `kernel` is not symmetric, `ridge` is negative, or ``K + ridge`` is indefinite, as that of no kernel is, or
        singular up to rounding: the answer would be rounding error.

    Notes
    -----
    Cost: the eigenvectors of K, of the order of 10 n^3 operations.

    Examples
    --------
    >>> kernel_regression([[2.0, 0.0], [0.0, 1.0]], [2.0, 3.0], [[1.0, 1.0]])
    array([4.])
    """
    eps = np.finfo(np.float32 if np.asarray(kernel).dtype == np.float32 else np.float64).eps
    K = check_samples("kernel", kernel, np.shape(kernel)[-1] if np.ndim(kernel) else 0)
    n = len(K)
    if K.shape != (n, n):
        raise ShapeError(f"The 'kernel' argument must be square. Got shape {K.shape}.")
    if np.abs(K - K.T).max(initial=0.0) > 1e-8 * np.abs(K).max(initial=0.0):
        raise ArgumentError("The 'kernel' argument must be symmetric. Got one that is not.")
    y, others = check_vector("targets", targets, n), check_samples("kernel_elsewhere", kernel_elsewhere, n)
    rho = check_number("ridge", ridge, at_least=0.0)
    values, vectors = np.linalg.eigh(0.5 * (K + K.T))
    shifted = values + rho
    if shifted.min(initial=np.inf) < -n * SINGLE * abs(shifted).max(initial=0.0):
        raise ArgumentError(
            f"The 'kernel' argument is indefinite, its eigenvalues with the 'ridge' from {shifted.min():.3g} to "
            f"{shifted.max():.3g}: a kernel has none below 0 but by rounding. Look for a mistake in it."
        )
    if shifted.min(initial=np.inf) <= n * eps * abs(shifted).max(initial=0.0):
        raise ArgumentError(
            f"The 'kernel' argument is singular up to rounding, its eigenvalues from {shifted.min():.3g} to "
            f"{shifted.max():.3g}: it does not tell all inputs apart. Leave out those that repeat, or add a ridge."
        )
    found: NDArray[np.float64] = (others @ vectors) @ ((vectors.T @ y) / shifted)
    check_finite("kernel_elsewhere", found)
    return found


def as_column(values: NDArray[Any]) -> Values:
    """Return outputs of shape (n, n_outputs) as the vector that `kernel_matrix` acts on, in float64."""
    return values.astype(np.float64).ravel()
