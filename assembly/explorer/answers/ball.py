"""The curvature over a ball of parameters, from both sides."""

from __future__ import annotations

import math
from dataclasses import dataclass

from assembly.explorer.answers.words import Table, number
from assembly.explorer.answers.work import Stop, working
from assembly.explorer.state import State


@dataclass(frozen=True)
class Bracketed:
    """The largest Hessian norm over the ball, from both sides.

    Attributes
    ----------
    lower, upper : float
        Attained, and proven.
    at_centre : float or None
        The norm proven at the centre, where the bound is made of that and a change.
    radius, distance : float
        Of the ball; and how far the parameters that attain `lower` are from the present ones.
    sentence : str
    table : Table
        What every layer contributes to `upper`.
    """

    lower: float
    upper: float
    at_centre: float | None
    radius: float
    distance: float
    sentence: str
    table: Table


def bracket(state: State, stop: Stop = lambda: False) -> Bracketed:
    r"""Return the bracket of :math:`\sup \|H(w)\|` over the ball of the state's radius.

    Parameters
    ----------
    state : State
    stop : callable
        As for `numbers`; and between two factorisations of matrices.

    Raises
    ------
    StoppedError
        If `stop` says so.
    ArgumentError, GraphError, ResourceError
        As `assembly.Assembly.curvature_in_ball`: for ReLU, or where the matrices do not fit in memory.

    Notes
    -----
    Cost: that of `assembly.Assembly.curvature_in_ball`; see `forecast_bracket`.

    Examples
    --------
    >>> found = bracket(State(width=16, depth=1))
    >>> found.lower <= found.upper
    True
    """
    with working(state, stop) as net:
        found = net.curvature_in_ball(state.x, state.radius)
    rows = tuple(
        (f"{layer}", number(found.dominance.get(layer, 0.0)), number(found.coupling.get(layer, 0.0)))
        for layer in sorted({*found.dominance, *found.coupling})
    )
    sentence = (
        f"Within a distance of {state.radius:g} of the parameters ||H|| reaches at least {number(found.lower)} and "
        + (f"never exceeds {number(found.upper)}." if math.isfinite(found.upper) else "no bound from above is known.")
    )
    table = Table(
        "What every layer contributes to the bound", ("layer", "neurons that bend", "weights that multiply"), rows
    )
    return Bracketed(found.lower, found.upper, found.at_centre, found.radius, found.distance, sentence, table)
