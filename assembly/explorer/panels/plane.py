"""Points of the plane painted by hand: a square of cells, each of which may hold a point of class 1 or -1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import param
from panel.custom import AnyWidgetComponent

from assembly.explorer.state import FARTHEST_POINT, State

N_CELLS = 41  # a side
_REACHES = (2.0, 5.0, FARTHEST_POINT)
_PUT = {"1": 1, "-1": -1}

Point = tuple[float, float, int]


class Plane(AnyWidgetComponent):  # type: ignore[misc]
    """The square; what a visitor did arrives in `acts`, numbered."""

    points = param.List(default=[], doc="Parts of the width and height, class, words, and whether it is looked at.")
    ticks = param.List(default=[], doc="The numbers of the columns, as text.")
    description = param.String()
    acts = param.List(default=[])

    _esm = Path(__file__).parents[1] / "plane.js"


class Painted:
    """The square of a page.

    Parameters
    ----------
    change : callable
        Called with the fields that a visitor changed.
    """

    def __init__(self, change: Callable[..., None]) -> None:
        self._change = change
        self._state: State | None = None
        self.view = Plane(sizing_mode="stretch_width", margin=(0, 10))
        self._n_done = 0
        self.view.param.watch(lambda event: self._follow(event.new), "acts")

    def sync(self, state: State) -> None:
        """Show the points of a state."""
        self._state = state
        reach = reach_of(state.points)
        self.view.ticks = [f"{coordinate(k, reach):g}" for k in range(N_CELLS)]
        self.view.description = f"{len(state.points)} points of the plane."
        self.view.points = [
            [0.5 + x / (2.0 * reach), 0.5 + y / (2.0 * reach), label, f"point {i}, class {label}", i == state.row]
            for i, (x, y, label) in enumerate(state.points)
        ]

    def _follow(self, acts: Sequence[Mapping[str, Any]]) -> None:
        for act in acts:
            number = act.get("number")
            if isinstance(number, int) and number > self._n_done:
                self._n_done = number
                self._act(act)

    def _act(self, act: Mapping[str, Any]) -> None:
        state = self._state
        cell = act.get("column"), act.get("row")
        if state is None or not all(isinstance(k, int) and 0 <= k < N_CELLS for k in cell):
            return
        changed = painted(state.points, state.row, cell, str(act.get("kind")))
        if changed is not None:
            self._change(points=changed[0], row=changed[1])


def reach_of(points: Sequence[Point]) -> float:
    """Return half the side of a square around 0 that holds all points: 2, 5 or 10.

    Examples
    --------
    >>> reach_of([(1.0, -2.0, 1)]), reach_of([(0.0, 2.1, 1)])
    (2.0, 5.0)
    """
    farthest = max(abs(one) for x, y, _ in points for one in (x, y))
    return next(reach for reach in _REACHES if farthest <= reach)


def coordinate(cell: int, reach: float) -> float:
    """Return where the middle of a cell lies, the first at -reach and the last at reach.

    Examples
    --------
    >>> coordinate(0, 2.0), coordinate(21, 2.0), coordinate(40, 2.0)
    (-2.0, 0.1, 2.0)
    """
    return round(reach * (2 * cell - (N_CELLS - 1)) / (N_CELLS - 1), 10)


def painted(points: Sequence[Point], row: int, cell: Sequence[Any], kind: str) -> tuple[tuple[Point, ...], int] | None:
    """Return points and the row that is looked at after something was done to a cell, None if that changes nothing.

    Parameters
    ----------
    points : sequence of (float, float, int)
    row : int
    cell : pair of int
        Column and row, from the lower left.
    kind : str
        "1" and "-1" put a point of that class, instead of one that is there; "0" removes it; "look" looks at it.

    Examples
    --------
    >>> painted([(0.0, 0.0, 1)], 0, (21, 20), "-1")
    (((0.0, 0.0, 1), (0.1, 0.0, -1)), 0)
    >>> painted([(0.0, 0.0, 1), (0.1, 0.0, -1)], 1, (20, 20), "0")
    (((0.1, 0.0, -1),), 0)
    """
    reach = reach_of(points)
    x, y = (coordinate(k, reach) for k in cell)
    half = reach / (N_CELLS - 1)
    at = next((i for i, (a, b, _) in enumerate(points) if max(abs(a - x), abs(b - y)) <= half), None)
    if kind in _PUT:
        label = _PUT[kind]
        if at is None:
            return (*points, (x, y, label)), row
        return (*points[:at], (*points[at][:2], label), *points[at + 1 :]), row
    if at is None or kind not in ("look", "0"):
        return None
    if kind == "look":
        return tuple(points), at
    return (*points[:at], *points[at + 1 :]), row - 1 if at < row or row == len(points) - 1 > 0 else row
