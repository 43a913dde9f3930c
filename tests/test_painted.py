"""What is done to the square of painted points, without a browser."""

from __future__ import annotations

import numpy as np
import pytest

from assembly.explorer.panels.plane import N_CELLS, coordinate, painted, reach_of
from assembly.explorer.state import MOST_POINTS, State

POINTS = ((0.0, 0.0, 1), (0.1, -0.3, -1), (-1.23, 1.9, 1))


def test_every_cell_has_its_own_place_and_is_found_again():
    for reach in (2.0, 5.0, 10.0):
        places = [coordinate(k, reach) for k in range(N_CELLS)]
        np.testing.assert_allclose(places, np.linspace(-reach, reach, N_CELLS), atol=1e-9)
        for k, place in enumerate(places):
            assert painted([(place, reach, -1)], 0, (k, N_CELLS - 1), "1") == (((place, reach, 1),), 0)


def test_a_point_between_the_cells_is_of_the_nearest():
    x = round((-1.23 + 2.0) / 0.1)
    y = round((1.9 + 2.0) / 0.1)
    assert painted(POINTS, 0, (x, y), "look") == (POINTS, 2)
    assert painted(POINTS, 0, (x + 1, y), "look") is None
    assert painted(POINTS, 0, (x, y), "-1") == ((*POINTS[:2], (-1.23, 1.9, -1)), 0)


@pytest.mark.parametrize(("row", "gone", "after"), [(0, 0, 0), (1, 0, 0), (2, 0, 1), (2, 2, 1), (0, 2, 0), (1, 1, 1)])
def test_the_same_point_is_looked_at_when_another_goes(row, gone, after):
    cell = (round((POINTS[gone][0] + 2.0) / 0.1), round((POINTS[gone][1] + 2.0) / 0.1))
    left, now = painted(POINTS, row, cell, "0")
    assert left == tuple(one for i, one in enumerate(POINTS) if i != gone)
    assert now == after
    if row != gone:
        assert left[now] == POINTS[row]


def test_what_does_nothing_says_so():
    assert painted(POINTS, 0, (0, 0), "0") is None
    assert painted(POINTS, 0, (20, 20), "eval") is None


def test_the_square_holds_all_points():
    assert [reach_of([(x, 0.0, 1)]) for x in (-2.0, 2.0001, 5.0, 9.0, 10.0)] == [2.0, 5.0, 5.0, 10.0, 10.0]


def test_an_address_holds_as_many_points_as_there_may_be():
    points = tuple((coordinate(k % N_CELLS, 2.0), coordinate(k // N_CELLS, 5.0), (-1) ** k) for k in range(MOST_POINTS))
    state = State(data="points", points=points, row=63)
    assert State.from_query(state.to_query()) == state
    np.testing.assert_array_equal(state.targets, [one[2] for one in points])
    np.testing.assert_array_equal(state.inputs, [one[:2] for one in points])
