"""The page of architectures: its table says what the numbers beside it say, of every builder and every claim."""

import importlib.util
import re
from pathlib import Path

import pytest

from assembly.study.builders import BUILDERS
from assembly.study.specification import load

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "background" / "architectures.md"


@pytest.fixture(scope="module")
def generator():
    specification = importlib.util.spec_from_file_location("architectures_table", DOCS / "architectures_table.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def rows_of_the_page():
    text = PAGE.read_text("utf-8").split("<!-- table: begin -->")[1].split("<!-- table: end -->")[0]
    head, _, *lines = (line for line in text.splitlines() if line)
    names = [cell.strip() for cell in head.strip("|").split(" | ")]
    return [dict(zip(names, (cell.strip() for cell in line.strip("|").split(" | ")), strict=True)) for line in lines]


def test_the_page_is_what_the_numbers_and_the_builders_make_it(generator):
    text = PAGE.read_text("utf-8")
    assert generator.page(text, generator.read()) == text


def test_another_number_makes_another_page(generator):
    """The test above can fail."""
    text, rows = PAGE.read_text("utf-8"), generator.read()
    judged = next(i for i, row in enumerate(rows) if row["prediction"])
    for key, other in (("exponent", "-0.123"), ("lower", "-0.9"), ("verdict", "undecided"), ("prediction", "-0.75")):
        changed = [dict(row) for row in rows]
        changed[judged][key] = other
        assert generator.page(text, changed) != text


def test_the_table_names_every_builder_and_holds_every_claim_of_the_study():
    study, rows = load("architectures"), rows_of_the_page()
    assert {re.match(r"`(\w+)`", row["built by"])[1] for row in rows} == set(BUILDERS)
    claimed = [(claim.architecture, claim.prediction) for claim in study.claims]
    from_page = [(row["architecture"], float(eval_fraction(row["predicted"]))) for row in rows]
    assert sorted(from_page) == sorted(claimed)
    for row in rows:
        entry = study.architecture(row["architecture"])
        widths = study.widths_of(entry)
        assert row["widths"] == f"{widths[0]} to {widths[-1]}"
        assert row["built by"].startswith(f"`{entry.builder}`")


def eval_fraction(text):
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def test_verdicts_follow_from_the_numbers_shown():
    """By the rule, written out: the interval meets the band of the prediction and not that of the alternative."""
    study = load("architectures")
    claims = {(claim.architecture, claim.prediction): claim for claim in study.claims}
    for row in rows_of_the_page():
        claim = claims[row["architecture"], eval_fraction(row["predicted"])]
        exponent, lower, upper = (float(number) for number in re.findall(r"-?\d+\.\d+", row["measured"]))
        assert lower <= exponent <= upper
        near = lower <= claim.prediction + claim.band and upper >= claim.prediction - claim.band
        elsewhere = lower <= claim.alternative + claim.band and upper >= claim.alternative - claim.band
        expected = "undecided" if near and elsewhere else "consistent" if near else "inconsistent"
        assert row["verdict"] == expected, row


def test_every_picture_stands_on_the_page(generator):
    text = PAGE.read_text("utf-8")
    for builder in BUILDERS.values():
        assert f"### `{builder.name}`" in text
        assert builder.picture.strip("\n") in text
        assert builder.width_rule in text


def test_a_page_without_marks_is_refused(generator):
    with pytest.raises(ValueError, match="must hold"):
        generator.page("nothing here", [])


def test_the_commands_on_the_page_are_those_of_the_script(generator):
    (commands,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert [line.strip() for line in generator.__doc__.splitlines() if line.startswith("    ")] == commands.splitlines()
