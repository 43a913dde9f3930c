"""The studies of the claims: what each declares beforehand, against the page on theory and the protocol."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from assembly.diagnostics.verdict import Bound, judge
from assembly.study.reading import load_suite, named_studies, override

THEORY = Path(__file__).parents[1] / "docs" / "background" / "theory.md"
SUITE, STUDIES = load_suite("claims")
NUMBERS = [int(member.claim) for member in SUITE.members]
QUICK = [override(study, quick=True) for study in STUDIES]


def rows_of_the_page():
    """Number of a claim -> what the page expects, and which studies it names."""
    found = {}
    for line in THEORY.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[0].isdigit():
            found[int(cells[0])] = (cells[2].replace("−", "-"), re.findall(r"`([a-z0-9-]+)`", cells[-1]))
    return found


def exponents_in(text):
    """Exponents named in a cell: fractions in plain text, and 0 for "flat"; formulas stand in braces."""
    plain = re.sub(r"\{math\}`[^`]*`", "", text)
    numbers = {float(Fraction(one)) for one in re.findall(r"(?<![\w.])-?\d+(?:/\d+)?", plain)}
    return numbers | ({0.0} if "flat" in plain else set())


def test_every_claim_that_can_be_judged_has_a_study_and_every_study_is_in_the_suite():
    assert sorted(set(NUMBERS)) == [*range(1, 20), *range(21, 30)]
    assert [study.name for study in STUDIES] == [member.study for member in SUITE.members]
    shipped = {name for name in named_studies() if name.startswith("claim-")}
    assert {study.name for study in STUDIES} == shipped
    for number, study in zip(NUMBERS, STUDIES, strict=True):
        assert study.name.startswith(f"claim-{number:02d}-")
        assert study.title.startswith(f"Claim {number}: ")


def test_the_page_on_theory_names_the_studies_of_every_claim():
    page = rows_of_the_page()
    assert sorted(page) == [*range(1, 30)]  # claim 20 is a test, and no study
    for number, (_, studies) in page.items():
        assert studies == [member.study for member in SUITE.members if int(member.claim) == number]


@pytest.mark.parametrize("number", [n for n in sorted(set(NUMBERS)) if n < 16])
def test_predictions_are_those_of_the_page_on_theory(number):
    expected = exponents_in(rows_of_the_page()[number][0])
    declared = {
        claim.prediction
        for one, study in zip(NUMBERS, STUDIES, strict=True)
        if one == number
        for claim in study.claims
        if claim.quantity != "hessian_over_gradient_squared" or number == 15
    }
    assert declared == expected


DIALS = {
    "claim-16-groups": ("-(1-b)/2", "copies_exponent", {"hessian_norm": lambda b: -(1 - b) / 2}),
    "claim-17-coefficients": ("-(1/2 - a)", "exponent", {"hessian_norm": lambda a: -max(0.5 - a, 0.0)}),
    "claim-18-scale": (
        "-\\gamma",
        "gamma",
        {"hessian_norm": lambda g: -g, "gradient_norm": lambda g: 0.5 - g},
    ),
}


@pytest.mark.parametrize("name", DIALS)
def test_predictions_of_a_dial_follow_its_formula(name):
    formula, key, expected = DIALS[name]
    study = next(one for one in STUDIES if one.name == name)
    assert formula in rows_of_the_page()[int(name[6:8])][0]
    settings = {one.label: getattr(one, key) for one in study.architectures}
    assert len(set(settings.values())) == len(settings) >= 3
    declared = {(claim.architecture, claim.quantity): claim.prediction for claim in study.claims}
    assert declared == pytest.approx({(a, q): f(s) for a, s in settings.items() for q, f in expected.items()})


@pytest.mark.parametrize("study", [*STUDIES, *QUICK], ids=lambda study: f"{study.name}-{study.data.n_measured}")
def test_the_protocol_is_kept(study):
    assert study.data.source == "digits"
    assert study.seeds >= 10
    for entry in study.architectures:
        widths = study.widths_of(entry)
        assert len(widths) >= 5
        assert widths[-1] >= 10 * widths[0]
    for claim in study.claims:
        assert claim.source
        if claim.prediction is None:
            assert claim.band is None
            continue
        is_wide = (study.name, claim.quantity) == ("claim-08-kernel-change-gd", "kernel_change_trained")
        assert claim.band == (0.25 if is_wide else 0.1)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_prediction_and_alternative_can_be_told_apart(study):
    """A narrow interval at either is decided; were the bands to meet, none in between would be."""
    for one in study.claims:
        claim = one.to_claim()
        if isinstance(claim, Bound):
            continue
        assert judge(claim, one.prediction - 0.01, one.prediction + 0.01) == "consistent"
        assert judge(claim, one.alternative - 0.01, one.alternative + 0.01) == "inconsistent"


def test_curvature_is_never_judged_alone_where_the_scale_of_the_output_may_move():
    """Under the mean-field scale the norm of the Hessian falls and nothing becomes linear."""
    for study in STUDIES:
        if "hessian_norm" in study.quantities and any(one.builder != "mlp" for one in study.architectures):
            assert "gradient_norm" in study.quantities
            assert "hessian_over_gradient_squared" in study.quantities
