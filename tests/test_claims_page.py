"""The page of the claims: its table says what the numbers beside it say, of every claim of every study."""

from assembly.diagnostics.verdict import Bound, exponent_text
from assembly.study.quantities import describe
from assembly.study.reading import load_suite
from table_pages import numbers, script, table_of, text_of, verdict


def test_the_table_holds_every_claim_of_every_study_as_it_is_declared():
    suite, studies = load_suite("claims")
    declared = [
        (
            *(member.claim, f"{claim.architecture} (`{study.architecture(claim.architecture).builder}`)"),
            *(describe(claim.quantity).text.replace("|", "\\|"), *predicted(claim.to_claim())),
        )
        for member, study in zip(suite.members, studies, strict=True)
        for claim in study.claims
    ]
    names = ("claim", "architecture", "quantity", "predicted", "alternative", "band")
    assert sorted(tuple(row[name] for name in names) for row in table_of("claims")) == sorted(declared)


def predicted(claim):
    if isinstance(claim, Bound):
        words = {"at least": claim.at_least, "at most": claim.at_most}
        return ", ".join(f"{one} {value:g}" for one, value in words.items() if value is not None), "", ""
    return exponent_text(claim.prediction), exponent_text(claim.alternative), f"{claim.band:g}"


def test_verdicts_follow_from_the_numbers_beside_the_page():
    for row in numbers("claims"):
        if row["at_least"] or row["at_most"]:
            low, high = float(row["at_least"] or "-inf"), float(row["at_most"] or "inf")
            keeps = low <= float(row["smallest"]) and float(row["largest"]) <= high
            assert (row["verdict"] == "consistent") == keeps
        elif row["exponent"]:
            lower, exponent, upper = (float(row[key]) for key in ("lower", "exponent", "upper"))
            prediction, alternative, band = (float(row[key]) for key in ("prediction", "alternative", "band"))
            assert lower <= exponent <= upper
            assert row["verdict"] == verdict(lower, upper, prediction, alternative, band)
        else:
            assert row["verdict"] in ("no fit", "not measured")


def test_what_is_not_consistent_is_said_openly():
    text, rows = text_of("claims"), numbers("claims")
    for row in rows:
        assert bool(row["found"]) == (row["verdict"] != "consistent")
    section = text.split("<!-- exceptions: begin -->")[1]
    assert section.count("\n* Claim ") >= sum(row["verdict"] != "consistent" for row in rows)
    planted = [{**rows[0], "verdict": "inconsistent", "found": "||H|| did this | and that."}, *rows[1:]]
    assert f"* Claim 1, {rows[0]['architecture']}: \\|\\|H\\|\\| did this" in script("claims").page(text, planted)
