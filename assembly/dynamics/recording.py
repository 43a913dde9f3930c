"""What is recorded of a network on its way: how far it is from where it began, and from being linear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.evaluation import Evaluation, tangent
from assembly.diagnostics.diversity import layers_with_cosines, rms_cosine
from assembly.diagnostics.dominance import dominance, trainable_layers
from assembly.diagnostics.linearity import relative_change
from assembly.dynamics.rule import kernel_matrix
from assembly.errors import SaturationError

if TYPE_CHECKING:
    from assembly.model import Assembly

RECORDED = ("distance", "kernel", "remainder", "curvature", "shares", "cosines")
KERNEL_INPUTS = 256  # of the training inputs, the first ones: between them the kernel is recorded,
CURVED_INPUTS = 2  # at them the Hessian norm and the shares

Values = NDArray[Any]


class Recorder:
    """Records a network at parameters w against w0.

    Parameters
    ----------
    net : Assembly
        At w0.
    X : ndarray of shape (n, n_inputs)
    origin : Evaluation
        Of the network at w0, all inputs.
    kernel : ndarray or None
        The tangent kernel of `origin` with itself, where it is known.
    names : sequence of str
        Of `RECORDED`.
    tol : float
        Relative residual of Hessian norms.

    Attributes
    ----------
    starts : list of ndarray
        Where the next eigenvalue iterations begin, one for each input: the eigenvectors found last.

    Notes
    -----
    The kernel at w0 is the one given where that is of no more inputs than are recorded. Cost of a record: one tangent
    kernel of at most 256 inputs for every pair of outputs, but where w is w0, with its eigenvalues, a forward tangent
    of all inputs, two Hessian norms, and for the cosines two matrix products for every layer below.
    """

    def __init__(
        self,
        net: Assembly,
        X: Values,
        origin: Evaluation,
        kernel: NDArray[np.float64] | None,
        names: Sequence[str],
        tol: float,
    ) -> None:
        self._net, self._X, self._origin, self._tol = net, X, origin, tol
        self._near = X[:CURVED_INPUTS]
        self._first_kernel = np.zeros((0, 0))
        if "kernel" in names:
            self._first_kernel = self._kernel_of(net) if kernel is None or len(X) > KERNEL_INPUTS else kernel
        self._functions = [getattr(self, f"_{name}") for name in names]
        self.starts: list[Values] = []

    def at(self, w: Values) -> dict[str, float]:
        """Return every quantity asked for, at parameters w."""
        moved = self._net.with_parameters(w)
        row: dict[str, float] = {}
        for function in self._functions:
            row |= function(moved)
        return row

    def _distance(self, net: Assembly) -> dict[str, float]:
        change = net.parameters - self._net.parameters
        return {"distance": float(np.linalg.norm(change)), "largest_entry": float(np.abs(change).max(initial=0.0))}

    def _kernel(self, net: Assembly) -> dict[str, float]:
        first = self._first_kernel
        kernel = first if np.array_equal(net.parameters, self._net.parameters) else self._kernel_of(net)
        values = np.linalg.eigvalsh(kernel)
        return {
            "kernel_change": relative_change(kernel, first),
            "kernel_smallest_eigenvalue": float(values[0]),
            "kernel_largest_eigenvalue": float(values[-1]),
        }

    def _kernel_of(self, net: Assembly) -> NDArray[np.float64]:
        evaluation = net.evaluate(self._X[:KERNEL_INPUTS])
        return kernel_matrix(evaluation, evaluation)

    def _remainder(self, net: Assembly) -> dict[str, float]:
        linear = self._origin.outputs + tangent(self._origin, net.parameters - self._net.parameters)
        return {"remainder": rms(net.evaluate(self._X).outputs - linear)}

    def _curvature(self, net: Assembly) -> dict[str, float]:
        complete = len(self.starts) == len(self._near)
        starts: list[Values | None] = [*self.starts] if complete else [None] * len(self._near)
        norms = []
        self.starts = []  # none of a network that saturates
        for x, start in zip(self._near, starts, strict=True):
            try:
                found, vector = net.hessian(x).top_pair(self._tol, start=start)
            except SaturationError:
                return {"hessian_norm": math.nan}
            norms.append(abs(float(found.value)) if found.converged else math.nan)
            self.starts.append(vector)
        return {"hessian_norm": float(np.mean(norms))}

    def _shares(self, net: Assembly) -> dict[str, float]:
        measured, found = trainable_layers(net), dominance(net, self._near).layers
        return {f"largest_share_layer_{one.layer}": one.largest_share for one in found if one.layer in measured}

    def _cosines(self, net: Assembly) -> dict[str, float]:
        return {
            f"rms_cosine_layer_{number}": rms_cosine(net, number, self._near[0]) for number in layers_with_cosines(net)
        }


def rms(values: Values) -> float:
    """Return the root mean square of all entries.

    Examples
    --------
    >>> rms(np.array([3.0, 4.0, 0.0, 0.0]))
    2.5
    """
    return float(np.sqrt(np.mean(values.astype(np.float64) ** 2)))
