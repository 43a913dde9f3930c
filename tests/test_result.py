import math

import pytest

from assembly.errors import UnknownNameError
from assembly.study.result import StudyResult

ROWS = [
    {"architecture": "a", "width": 16, "seed": 0, "q": 3.0},
    {"architecture": "a", "width": 8, "seed": 1, "q": 2.0},
    {"architecture": "a", "width": 8, "seed": 0, "q": math.nan},
    {"architecture": "b", "width": 8, "seed": 0, "r": 5.0},
]
RESULT = StudyResult(None, ROWS, [], 0, 4, 1.0)


def test_values_are_sorted_by_width_and_seed():
    widths, replicates = RESULT.values("a", "q")
    assert widths == [8, 16]
    assert math.isnan(replicates[0][0])
    assert (replicates[0][1], replicates[1]) == (2.0, [3.0])
    assert RESULT.values("b", "r") == ([8], [[5.0]])


@pytest.mark.parametrize(("architecture", "quantity"), [("c", "q"), ("b", "q"), ("a", "width")])
def test_unknown_names_are_refused(architecture, quantity):
    with pytest.raises(UnknownNameError):
        RESULT.values(architecture, quantity)


def test_a_width_at_which_a_quantity_was_not_measured_is_left_out():
    """Not the same as a NaN, which was measured and did not converge or does not exist."""
    rows = [*ROWS, {"architecture": "a", "width": 32, "seed": 0, "other": 1.0}]
    result = StudyResult(None, rows, [], 0, 5, 1.0)
    assert result.values("a", "q")[0] == [8, 16]
    assert result.values("a", "other") == ([32], [[1.0]])
