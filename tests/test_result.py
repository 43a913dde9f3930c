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
