"""Curvature and slope of the output at the chosen input: the numbers at the top of the page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assembly.diagnostics.linearity import ratios
from assembly.explorer.answers.words import Table, number
from assembly.explorer.answers.work import Stop, top_pair, working
from assembly.explorer.state import State


@dataclass(frozen=True)
class Numbers:
    r"""Curvature and slope of the output at the chosen input.

    Attributes
    ----------
    value, hessian_norm, gradient_norm : float
    hessian_over_gradient_squared, hessian_times_radius_over_gradient : float
        :math:`\|H\| / \|\nabla f\|^2` and :math:`\|H\| R / \|\nabla f\|` with the radius of the state; NaN where the
        gradient is 0.
    residual : float
        Of the eigenvalue, relative.
    converged : bool
    n_steps, width, n_parameters : int
    radius : float
    table : Table
    """

    value: float
    hessian_norm: float
    gradient_norm: float
    hessian_over_gradient_squared: float
    hessian_times_radius_over_gradient: float
    residual: float
    converged: bool
    n_steps: int
    width: int
    n_parameters: int
    radius: float
    table: Table


def numbers(state: State, stop: Stop = lambda: False) -> Numbers:
    r"""Return :math:`\|H\|`, :math:`\|\nabla f\|` and their ratios at the chosen input.

    Parameters
    ----------
    state : State
    stop : callable
        Asked before and after the network is built, and at every step of the iteration; True raises `StoppedError`.

    Raises
    ------
    StoppedError
        If `stop` says so.
    SaturationError
        If squares of the output's derivatives, or of all activations, under- or overflow.
    ResourceError, ArgumentError
        As `State.build`.

    Notes
    -----
    Cost: the iteration for one eigenvalue to a residual of 1e-4, and one gradient.

    Examples
    --------
    >>> found = numbers(State(width=64))
    >>> found.width, found.n_parameters, found.converged
    (64, 8256, True)
    """
    x = state.x
    with working(state, stop) as net:
        norm = top_pair(net, x)[0]
        curvature, slope = abs(float(norm.value)), float(np.linalg.norm(net.gradient(x)))
    over_squared, over_distance = ratios(curvature, slope, state.radius)
    value, residual = float(net(x)), float(norm.residual)
    reached = f"relative residual {residual:.0e}" if norm.converged else f"NOT converged: residual {residual:.0e}"
    rows = (
        ("||H||", number(curvature), f"{reached}, {norm.n_steps} steps" if norm.n_steps else "closed form"),
        ("||grad f||", number(slope), ""),
        ("||H|| / ||grad f||^2", number(over_squared), "how far the gradient turns while the output moves by 1"),
        ("||H|| R / ||grad f||", number(over_distance), f"how far it turns within R = {state.radius:g}"),
        ("f", number(value), f"at row {state.row} of {state.data}"),
        ("width", f"{net.width:,}", "the smallest in-degree above the first layer"),
        ("parameters", f"{net.n_parameters:,}", ""),
    )
    table = Table("Curvature and slope", ("quantity", "value", "note"), rows)
    return Numbers(
        value, curvature, slope, over_squared, over_distance, residual, norm.converged, norm.n_steps, net.width,
        net.n_parameters, state.radius, table,
    )  # fmt: skip
