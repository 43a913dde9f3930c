"""The page of the claims: its table says what the numbers beside it say, of every claim of every study."""

import importlib.util
import re
from pathlib import Path

import pytest

from assembly.diagnostics.verdict import exponent_text
from assembly.study.quantities import describe
from assembly.study.specification import load_suite

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "background" / "claims.md"


@pytest.fixture(scope="module")
def generator():
    specification = importlib.util.spec_from_file_location("claims_table", DOCS / "claims_table.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def rows_of_the_page():
    text = PAGE.read_text("utf-8").split("<!-- table: begin -->")[1].split("<!-- table: end -->")[0]
    head, _, *lines = (line for line in text.splitlines() if line)
    names = [cell.strip() for cell in head.strip("|").split(" | ")]
    return [dict(zip(names, (cell.strip() for cell in line.strip("|").split(" | ")), strict=True)) for line in lines]


def test_the_page_is_what_the_numbers_make_it(generator):
    text = PAGE.read_text("utf-8")
    assert generator.page(text, generator.read()) == text


def test_another_number_makes_another_page(generator):
    """The test above can fail."""
    text, rows = PAGE.read_text("utf-8"), generator.read()
    for key, other in (("exponent", "-0.123"), ("lower", "-0.9"), ("verdict", "undecided"), ("alternative", "-0.8")):
        changed = [dict(row) for row in rows]
        changed[0][key] = other
        assert generator.page(text, changed) != text


def test_the_table_holds_every_claim_of_every_study_as_it_is_declared():
    suite, studies = load_suite("claims")
    declared = [
        (
            *(member.claim, f"{claim.architecture} (`{study.architecture(claim.architecture).builder}`)"),
            *(describe(claim.quantity).text.replace("|", "\\|"), exponent_text(claim.prediction)),
            *(exponent_text(claim.alternative), f"{claim.band:g}"),
        )
        for member, study in zip(suite.members, studies, strict=True)
        for claim in study.claims
    ]
    names = ("claim", "architecture", "quantity", "predicted", "alternative", "band")
    assert sorted(tuple(row[name] for name in names) for row in rows_of_the_page()) == sorted(declared)


def test_verdicts_follow_from_the_numbers_beside_the_page(generator):
    """By the rule, written out: the interval meets the band of the prediction and not that of the alternative."""
    for row in generator.read():
        if row["exponent"]:
            lower, exponent, upper = (float(row[key]) for key in ("lower", "exponent", "upper"))
            prediction, alternative, band = (float(row[key]) for key in ("prediction", "alternative", "band"))
            assert lower <= exponent <= upper
            near = lower <= prediction + band and upper >= prediction - band
            elsewhere = lower <= alternative + band and upper >= alternative - band
            assert row["verdict"] == ("undecided" if near and elsewhere else "consistent" if near else "inconsistent")
        else:
            assert row["verdict"] in ("no fit", "not measured")


def test_what_is_not_consistent_is_said_openly(generator):
    text, rows = PAGE.read_text("utf-8"), generator.read()
    for row in rows:
        assert bool(row["found"]) == (row["verdict"] != "consistent")
    section = text.split("<!-- exceptions: begin -->")[1]
    assert section.count("\n* Claim ") >= sum(row["verdict"] != "consistent" for row in rows)
    planted = [{**rows[0], "verdict": "inconsistent", "found": "||H|| did this | and that."}, *rows[1:]]
    assert f"* Claim 1, {rows[0]['architecture']}: \\|\\|H\\|\\| did this" in generator.page(text, planted)


def test_a_page_without_marks_is_refused(generator):
    with pytest.raises(ValueError, match="must hold"):
        generator.page("nothing here", [])


def test_the_commands_on_the_page_are_those_of_the_script(generator):
    (commands,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert [line.strip() for line in generator.__doc__.splitlines() if line.startswith("    ")] == commands.splitlines()
