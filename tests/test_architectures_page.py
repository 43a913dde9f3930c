"""The page of architectures: its table says what the numbers beside it say, of every builder and every claim."""

import re

from assembly.study.builders import BUILDERS
from assembly.study.reading import load
from table_pages import table_of, text_of, verdict


def test_the_table_names_every_builder_and_holds_every_claim_of_the_study():
    study, rows = load("architectures"), table_of("architectures")
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
    study = load("architectures")
    claims = {(claim.architecture, claim.prediction): claim for claim in study.claims}
    for row in table_of("architectures"):
        claim = claims[row["architecture"], eval_fraction(row["predicted"])]
        exponent, lower, upper = (float(number) for number in re.findall(r"-?\d+\.\d+", row["measured"]))
        assert lower <= exponent <= upper
        assert row["verdict"] == verdict(lower, upper, claim.prediction, claim.alternative, claim.band), row


def test_every_picture_stands_on_the_page():
    text = text_of("architectures")
    for builder in BUILDERS.values():
        assert f"### `{builder.name}`" in text
        assert builder.picture.strip("\n") in text
        assert builder.width_rule in text
