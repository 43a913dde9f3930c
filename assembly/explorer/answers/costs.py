"""What the answers to a state will take on this machine, told before they are asked for."""

from __future__ import annotations

from dataclasses import dataclass

from assembly.diagnostics.dominance import TOLERANCE
from assembly.explorer.answers.line import FEW_POINTS, MANY_PARAMETERS, N_POINTS
from assembly.explorer.answers.work import Stop, check
from assembly.explorer.state import State
from assembly.forecasting import forecast as library_forecast
from assembly.memory import gibibytes
from assembly.progress import duration

LONG = 2.0  # seconds from which on a visitor is told before
FEW_EDGES = 4_000_000  # of a network whose numbers never take long: a forecast would be a part of it
PASSES = 12.0  # of a diagnosis over the weights, beside the eigenvalue iteration
GRAMS, CLIMBS = 80.0, 60.0  # as many Gram matrices and Hessian norms as a bracket takes the time of, as measured


@dataclass(frozen=True)
class Cost:
    """What an answer will take, roughly.

    Attributes
    ----------
    seconds : float
    n_bytes : int
    text : str
    is_long : bool
        Whether a visitor should be told before.
    """

    seconds: float
    n_bytes: int
    text: str
    is_long: bool


@dataclass(frozen=True)
class Forecast:
    """What the answers to a state will take on this machine.

    Attributes
    ----------
    numbers, judged, curve : Cost
    """

    numbers: Cost
    judged: Cost
    curve: Cost


def forecast(state: State) -> Forecast:
    """Return what the answers will take, from `assembly.forecast`, which tries the passes on this machine.

    Raises
    ------
    ResourceError, ArgumentError
        As `State.build`.

    Notes
    -----
    The seconds of numbers are those of `assembly.forecast`. The others come after them, and need no iteration more:
    they are made of so many gradients, and right within a factor of 3 or so where they are more than a second: below,
    other things take longer. Cost: a few passes over the weights; none is drawn.

    Examples
    --------
    >>> forecast(State(width=16)).numbers.is_long
    False
    """
    found = library_forecast(state.build)
    slope, norm = found.gradient(), found.hessian_norm(TOLERANCE)
    n_points = N_POINTS if found.n_parameters <= MANY_PARAMETERS else FEW_POINTS
    n_bytes = max(slope.n_bytes, norm.n_bytes)
    return Forecast(
        numbers=_cost(slope.seconds + norm.seconds, n_bytes),
        judged=_cost(PASSES * slope.seconds, n_bytes),
        curve=_cost(n_points * slope.seconds, n_bytes + 2 * slope.weights),
    )


def may_take_long(state: State) -> bool:
    """Return whether answers may take so long that `long_forecast` is to be asked.

    Examples
    --------
    >>> may_take_long(State(width=1024)), may_take_long(State(width=4096))
    (False, True)
    """
    return state.file is not None or state.size.n_edges > FEW_EDGES


def long_forecast(state: State, stop: Stop = lambda: False) -> Forecast | None:
    """Return `forecast` where one of the answers takes long, None where none does.

    Parameters
    ----------
    state : State
    stop : callable
        Asked before; True raises `StoppedError`.

    Raises
    ------
    StoppedError
        If `stop` says so.
    ResourceError, ArgumentError
        As `State.build`.

    Notes
    -----
    Cost: that of `forecast`.

    Examples
    --------
    >>> long_forecast(State(width=16)) is None
    True
    """
    check(stop)
    found = forecast(state)
    return found if any(one.is_long for one in (found.numbers, found.judged, found.curve)) else None


def forecast_bracket(state: State, stop: Stop = lambda: False) -> Cost:
    """Return what the bracket will take, likewise, as so many Gram matrices and Hessian norms.

    Parameters
    ----------
    state : State
    stop : callable
        Asked before; True raises `StoppedError`.

    Raises
    ------
    StoppedError
        If `stop` says so.
    ResourceError, ArgumentError
        As `State.build`.

    Notes
    -----
    Cost: that of `forecast`, and a product of matrices for every kind of layer: seconds where it is wide.

    Examples
    --------
    >>> forecast_bracket(State(width=512)).seconds > forecast(State(width=512)).numbers.seconds
    True
    """
    check(stop)
    found = library_forecast(state.build)
    norm = found.hessian_norm(TOLERANCE)
    grams = [found.gram(layer) for layer in range(2, found.n_layers - 1)]
    seconds = GRAMS * sum(one.seconds for one in grams) + CLIMBS * norm.seconds
    return _cost(seconds, max(norm.n_bytes, *(4 * one.n_bytes for one in grams), 0))


def _cost(seconds: float, n_bytes: int) -> Cost:
    time = duration(seconds) if seconds >= 2.0 else f"{seconds:.2g} s"
    return Cost(seconds, n_bytes, f"about {time} and {gibibytes(n_bytes)}", seconds > LONG)
