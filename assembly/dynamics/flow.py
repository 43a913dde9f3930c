r"""Gradient flow, :math:`\dot w = -(\nabla L(w) + \gamma w)`, by an adaptive Runge-Kutta method of order 8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.dynamics.models import EVERY
from assembly.dynamics.motion import Moving
from assembly.errors import NonFiniteError


def flow(
    moving: Moving, span: float, rtol: float, first_step: float | None, stop: Callable[[float], object]
) -> tuple[NDArray[Any], float] | None:
    """Follow the gradient flow for a time `span`; return the parameters there, and the longest step on the way.

    Parameters
    ----------
    moving : Moving
        Left as it is.
    span : float
    rtol : float
        Relative error of the parameters in one step of the solver; the absolute one is a thousandth of it.
    first_step : float, optional
        Where the solver begins; found by it if left out.
    stop : callable
        Asked after every step of the solver, with the time it has reached: if true, None is returned.

    Raises
    ------
    NonFiniteError
        If the solver cannot go on: its steps become too short, or the network overflows.

    Notes
    -----
    Cost: twelve gradients for every step of the solver; memory about 16 copies of the parameters in float64.
    """
    from scipy.integrate import DOP853  # loads a great deal that nothing else needs

    w, gradient = moving.w, np.empty_like(moving.w)

    def velocity(_: float, at: NDArray[Any]) -> NDArray[Any]:
        try:
            moving.loss_gradient(at.astype(w.dtype, copy=False), EVERY, gradient)
        except NonFiniteError:  # a step that was tried and is too long: the solver takes a shorter one
            return np.full_like(at, np.nan)
        return -(gradient.astype(np.float64) + moving.rule.weight_decay * at)

    begin = None if first_step is None else min(first_step, span)
    solver = DOP853(velocity, 0.0, w.astype(np.float64), span, rtol=rtol, atol=1e-3 * rtol, first_step=begin)
    message, longest = None, 0.0
    while solver.status == "running":
        message = solver.step()
        longest = max(longest, solver.step_size or 0.0)
        if stop(float(solver.t)):
            return None
    if solver.status == "failed":
        raise NonFiniteError(f"The gradient flow cannot be followed: {message}")
    return solver.y.astype(w.dtype, copy=False), longest
