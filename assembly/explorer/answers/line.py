"""The output along a line through the parameters, against its tangent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assembly.checks import check_name
from assembly.errors import ArgumentError
from assembly.explorer.answers.words import Table, capital, number
from assembly.explorer.answers.work import Stop, check, top_pair, working
from assembly.explorer.state import CHOICES, State
from assembly.seeds import generator

if TYPE_CHECKING:
    from assembly.model import Assembly

N_POINTS, FEW_POINTS = 41, 11  # of a curve; of one through many parameters
MANY_PARAMETERS = 4_000_000


@dataclass(frozen=True)
class Curve:
    """The output along a direction of the parameters, against its tangent.

    Attributes
    ----------
    direction : str
    t, values, tangent : tuple of float
        Distances from -R to R, f(w0 + t u), and f(w0) + t <grad f, u>, for a direction u of length 1.
    slope, bend : float
        ``<grad f, u>`` and ``u . H u``.
    largest_error : float
        The largest distance between curve and tangent.
    sentence : str
    table : Table
    """

    direction: str
    t: tuple[float, ...]
    values: tuple[float, ...]
    tangent: tuple[float, ...]
    slope: float
    bend: float
    largest_error: float
    sentence: str
    table: Table


def curve(state: State, direction: str | None = None, stop: Stop = lambda: False) -> Curve:
    """Return the output along a direction of length 1, within the radius of the state, and its tangent.

    Parameters
    ----------
    state : State
    direction : str, optional
        "random", "gradient" or "worst", the top eigenvector of the Hessian; the state's if left out.
    stop : callable
        As for `numbers`, and before every point; True raises `StoppedError`.

    Raises
    ------
    StoppedError
        If `stop` says so.
    UnknownNameError
        If there is no such direction.
    ArgumentError
        If the gradient or the Hessian is 0 and has no direction; as `State.build`.
    SaturationError, ResourceError
        As `numbers`.

    Notes
    -----
    Cost: one direction, and a copy of the parameters and a pass over them for each of 41 points, 11 where there are
    more than 4 million.

    Examples
    --------
    >>> found = curve(State(width=16, radius=0.5), "gradient")
    >>> found.t[0], found.t[-1], found.slope > 0.0
    (-0.5, 0.5, True)
    """
    name = check_name("direction", state.direction if direction is None else direction, CHOICES["direction"].names)
    x = state.x
    with working(state, stop) as net:
        u = unit_direction(net, x, name, state.seed)
        value, slope, half = (float(one) for one in net.taylor(x, u, order=2))
        n_points = N_POINTS if net.n_parameters <= MANY_PARAMETERS else FEW_POINTS
        t = np.linspace(-state.radius, state.radius, n_points)
        values = np.array([_value_at(net, x, u, float(one), stop) for one in t])
    tangent = value + t * slope
    error = float(np.max(np.abs(values - tangent)))
    rows = tuple(
        (number(at), number(f), number(line), number(f - line))
        for at, f, line in zip(t.tolist(), values.tolist(), tangent.tolist(), strict=True)
    )
    sentence = (
        f"{CHOICES['direction'].names[name]}: within {state.radius:g} the output is at most {number(error)} off its "
        f"tangent, whose slope is {number(slope)}; it bends by {number(2.0 * half)}."
    )
    table = Table("The output and its tangent", ("t", "f(w0 + t u)", "tangent", "difference"), rows)
    return Curve(
        name, tuple(t.tolist()), tuple(values.tolist()), tuple(tangent.tolist()), slope, 2.0 * half, error,
        capital(sentence), table,
    )  # fmt: skip


def unit_direction(net: Assembly, x: NDArray[Any], name: str, seed: int) -> NDArray[Any]:
    """Return the direction of length 1 that a name stands for: "random", "gradient" or "worst".

    Raises
    ------
    ArgumentError
        If it is 0.
    """
    if name == "worst":
        u = net.hessian(x).node_space.Z_transposed(top_pair(net, x)[1])
    elif name == "gradient":
        u = net.gradient(x)
    else:
        u = generator(seed, "direction").standard_normal(net.n_parameters)
    length = float(np.linalg.norm(u))
    if not length > 0.0:
        raise ArgumentError(
            f"The 'direction' argument must be one that exists here. Got {name!r}, which is 0 at this input."
        )
    unit: NDArray[Any] = u / length
    return unit


def _value_at(net: Assembly, x: NDArray[Any], u: NDArray[Any], t: float, stop: Stop) -> float:
    check(stop)
    return float(net.with_parameters(net.parameters + t * u)(x))
