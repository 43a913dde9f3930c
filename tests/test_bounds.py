"""Claims that are bounds: the rule, and what a report makes of them."""

import math

import pytest

from assembly.diagnostics.verdict import Bound, bound_sentence, judge_bound, rule_in_words
from assembly.errors import ArgumentError
from assembly.study import findings, report, terminal
from assembly.study.reading import dump, parse
from assembly.study.result import StudyResult

LOW = Bound("hessian_norm", at_most=1.0)
BETWEEN = Bound("hessian_norm", at_least=0.5, at_most=1.0)
STUDY = """
name = "bounded"
widths = [16, 32, 64, 128, 256]
seeds = 3
[data]
source = "digits"
n_measured = 2
[[architectures]]
label = "network"
hidden = ["m", "m"]
[[claims]]
architecture = "network"
quantity = "hessian_norm"
at_most = 1.0
source = "a bound <known> beforehand"
[[claims]]
architecture = "network"
quantity = "gradient_norm"
at_least = 0.25
[[claims]]
architecture = "network"
quantity = "kernel_smallest_eigenvalue"
at_least = 0.0
"""


@pytest.mark.parametrize(
    ("bound", "replicates", "verdict"),
    [
        (LOW, [[0.2, 0.9, 1.0], [-5.0, 0.0, 0.1]], "consistent"),  # the limit itself keeps the bound
        (LOW, [[0.2, 0.9, 1.1], [0.0, 0.0, 0.1]], "undecided"),
        (LOW, [[0.2, 0.9, math.nan], [0.0, 0.0, 0.1]], "undecided"),
        (LOW, [[0.2, 1.1, 1.2], [0.0, 0.0, 0.1]], "inconsistent"),
        (LOW, [[0.2, 0.1, 0.2], [math.nan, math.nan, 1.1]], "inconsistent"),
        (LOW, [[0.2, 0.1, math.inf]], "undecided"),
        (BETWEEN, [[0.5, 0.7, 1.0]], "consistent"),
        (BETWEEN, [[0.4, 0.7, 1.0]], "undecided"),
        (BETWEEN, [[0.4, 0.4, 1.0]], "inconsistent"),
    ],
)
def test_the_rule(bound, replicates, verdict):
    assert judge_bound(bound, replicates) == verdict
    assert bound_sentence("q", replicates, bound).endswith(f": {verdict}")


@pytest.mark.parametrize("limits", [{}, {"at_least": math.nan}, {"at_least": 1.0, "at_most": 0.5}])
def test_a_bound_that_bounds_nothing_is_refused(limits):
    with pytest.raises(ArgumentError):
        Bound("q", **limits)
    with pytest.raises(ArgumentError, match="must hold a number of hessian_norm"):
        judge_bound(LOW, [[math.nan]])


def test_the_rule_of_bounds_is_printed_where_there_is_one():
    assert "every network" in rule_in_words([LOW], {"hessian_norm": "||H||"})
    assert "every network" not in rule_in_words([])
    text = findings.declared_rule(parse(STUDY))
    assert "every network" in text
    assert "  network, ||H||: at most 1\n" in text


@pytest.fixture
def result():
    specification = parse(STUDY)
    rows = [
        {
            "architecture": "network",
            "width": width,
            "seed": seed,
            "hessian_norm": (1.0 + 0.01 * seed) / width**0.5,
            "gradient_norm": 0.2 + 0.1 * seed,  # two of three keep it, and so does every median
            "kernel_smallest_eigenvalue": 0.0,  # has no exponent
        }
        for width in specification.widths
        for seed in range(3)
    ]
    return StudyResult(specification, rows, failures=[], n_reused=0, n_computed=len(rows), seconds=1.0)


def test_a_bound_is_judged_by_its_values_whether_or_not_an_exponent_fits(result):
    found = {one.quantity: one for one in findings.assess(result)}
    assert [one.verdict for one in found.values()] == ["consistent", "undecided", "consistent"]
    assert found["kernel_smallest_eigenvalue"].rate is None
    assert found["hessian_norm"].extremes == (1.0 / 16.0, 1.02 / 4.0)
    rows = {row["quantity"]: row for row in findings.exponents(result, list(found.values()))}
    assert (rows["hessian_norm"]["at_most"], rows["hessian_norm"]["at_least"]) == (1.0, "")
    assert rows["hessian_norm"]["prediction"] == ""
    cells = findings.claim_cells(rows["gradient_norm"], 2)
    assert (cells["prediction"], cells["interval"]) == ("at least 0.25", "0.2 to 0.4")


@pytest.mark.parametrize("is_missing", [lambda row: row["seed"] == 2, lambda row: row["width"] == 16])
def test_networks_that_failed_leave_a_bound_undecided(result, is_missing):
    result.rows[:] = [row for row in result.rows if not is_missing(row)]
    found = {one.quantity: one for one in findings.assess(result)}
    assert [one.verdict for one in found.values()] == ["undecided"] * 3
    assert f"in {len(result.rows)} of 15 networks" in found["hessian_norm"].sentence


def test_every_form_of_the_report_says_the_bound(result, tmp_path):
    table, sentences = terminal.terminal_table(result)
    assert [str(cell) for cell in table.columns[3].cells][1:] == ["at most 1", "at least 0.25", "at least 0"]
    assert any("claimed at least 0.25: undecided" in one for one in sentences)
    paths = report.write_report(tmp_path, result, "assembly study bounded")
    for path in (paths.html, paths.markdown):
        text = path.read_text("utf-8")
        assert "at most 1" in text
        assert "0.0625 to 0.255" in text
        assert "every network keeps it" in text
    assert "a bound &lt;known&gt; beforehand" in paths.html.read_text("utf-8")


def test_a_bound_survives_its_file():
    specification = parse(STUDY)
    assert parse(dump(specification)) == specification
    assert "band" not in dump(specification)
