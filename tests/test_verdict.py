"""The rule of agreement, the sentence that states it, and the table of quantities it speaks of."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assembly.diagnostics.verdict import Claim, exponent_text, judge, rule_in_words, sentence, signed
from assembly.errors import ArgumentError, UnknownNameError
from assembly.study.quantities import QUANTITIES, describe, describe_any, in_order, is_known

FALLS = Claim("hessian_norm", -0.5, 0.0)
FLAT = Claim("hessian_norm", 0.0, -0.5)
TRAINING = Claim("kernel_change", -1.0, -0.5, band=0.25)


@pytest.mark.parametrize(
    ("claim", "lower", "upper", "verdict"),
    [
        (FALLS, -0.50, -0.47, "consistent"),
        (FALLS, -0.45, -0.37, "consistent"),  # the honest interval of a Gaussian readout: logarithms
        (FALLS, -0.40, -0.30, "consistent"),  # touching the band is meeting it
        (FALLS, -0.39, -0.30, "inconsistent"),  # neither
        (FALLS, -0.05, 0.03, "inconsistent"),  # the reverse
        (FALLS, -0.80, -0.61, "inconsistent"),  # beyond the band on the far side
        (FALLS, -0.45, -0.10, "undecided"),
        (FALLS, -2.0, 2.0, "undecided"),
        (FALLS, -0.60, -0.11, "consistent"),
        (FLAT, -0.03, 0.05, "consistent"),
        (FLAT, -0.50, -0.47, "inconsistent"),
        (FLAT, 0.30, 0.40, "inconsistent"),
        (FLAT, -0.40, -0.10, "undecided"),
        (TRAINING, -1.09, -0.91, "consistent"),
        (TRAINING, -0.80, -0.75, "undecided"),  # the two bands touch at -3/4
        (TRAINING, -0.70, -0.45, "inconsistent"),
    ],
)
def test_the_rule(claim, lower, upper, verdict):
    assert judge(claim, lower, upper) == verdict


@given(st.floats(-2, 2), st.floats(0, 1))
def test_swapping_prediction_and_alternative_turns_the_verdict(lower, length):
    verdict, reverse = judge(FALLS, lower, lower + length), judge(FLAT, lower, lower + length)
    if verdict == "consistent":
        assert reverse == "inconsistent"
    if verdict == "undecided":
        assert reverse == "undecided"
    assert not (verdict == "consistent" and reverse == "consistent")


@given(st.floats(-2, 2), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_wider_interval_never_loses_an_undecided(lower, length, more):
    if judge(FALLS, lower, lower + length) == "undecided":
        assert judge(FALLS, lower - more, lower + length + more) == "undecided"


def test_the_sentences():
    assert (
        sentence("||H||", -0.484, -0.498, -0.473, FALLS)
        == "||H|| falls like m^-0.48 [-0.50, -0.47]; predicted -1/2, band 0.1: consistent"
    )
    assert (
        sentence("||H||", 0.012, -0.03, 0.05, FLAT)
        == "||H|| stays flat: m^0.01 [-0.03, 0.05]; predicted 0, band 0.1: consistent"
    )
    assert (
        sentence("||H||", 0.012, -0.03, 0.05, FALLS)
        == "||H|| stays flat: m^0.01 [-0.03, 0.05]; predicted -1/2, band 0.1: inconsistent"
    )
    assert (
        sentence("||H||", 0.29, -0.13, 0.67, FLAT)
        == "||H|| shows no clear trend: m^0.29 [-0.13, 0.67]; predicted 0, band 0.1: consistent"
    )
    assert sentence("n", 0.98, 0.95, 1.01) == "n grows like m^0.98 [0.95, 1.01]; shown, not judged"
    assert sentence("n", -0.001, -0.004, 0.002) == "n stays flat: m^0.00 [0.00, 0.00]; shown, not judged"
    assert sentence("K", -0.93, -1.09, -0.91, TRAINING).endswith("predicted -1, band 0.25: consistent")


def test_the_rule_in_words_names_every_claim_once():
    text = rule_in_words([FALLS, FALLS, TRAINING], {"hessian_norm": "||H||"})
    lines = text.splitlines()
    assert "consistent if its interval meets the prediction's band and not the alternative's" in text.replace("\n", " ")
    assert "undecided if both" in text
    assert lines[2:] == [
        "  ||H||: predicted -1/2 (-0.60 to -0.40), alternative 0 (-0.10 to 0.10)",
        "  kernel_change: predicted -1 (-1.25 to -0.75), alternative -1/2 (-0.75 to -0.25)",
    ]


@pytest.mark.parametrize(
    "numbers", [(math.nan, 0.0, 0.1), (-0.5, math.inf, 0.1), (-0.5, 0.0, 0.0), (-0.5, 0.0, -0.1), (-0.5, -0.5, 0.1)]
)
def test_impossible_claims_are_refused(numbers):
    with pytest.raises(ArgumentError):
        Claim("hessian_norm", *numbers)


@pytest.mark.parametrize(("lower", "upper"), [(math.nan, 0.0), (0.0, math.nan), (0.1, 0.0), (-math.inf, 0.0)])
def test_impossible_intervals_are_refused(lower, upper):
    with pytest.raises(ArgumentError):
        judge(FALLS, lower, upper)


def test_numbers_as_text():
    assert [exponent_text(value) for value in (-0.5, 0.0, 1.0, -0.375, 1 / 3, -0.41)] == [
        "-1/2",
        "0",
        "1",
        "-3/8",
        "1/3",
        "-0.41",
    ]
    assert [signed(value) for value in (-0.0049, 0.0, -0.005001, 1.0)] == ["0.00", "0.00", "-0.01", "1.00"]
    assert signed(-0.4996, 3) == "-0.500"


def test_every_quantity_has_its_texts():
    assert len({quantity.column for quantity in QUANTITIES}) == len(QUANTITIES)
    for quantity in QUANTITIES:
        one = describe(quantity.column.replace("{l}", "2"))
        assert "{l}" not in one.text + one.html + one.latex + one.meaning
        assert one.meaning.endswith(".")
        assert one.text.isascii()
        assert "<" not in one.symbol


def test_layers_are_read_from_the_column():
    assert describe("rms_cosine_layer_12").text == "rms cosine, layer 12"
    assert "layer 3" in describe("effective_number_layer_3").meaning
    for unknown in (
        "rms_cosine_layer_0",
        "rms_cosine_layer_x",
        "rms_cosine_layer_{l}",
        "heat_layer_2",
        "largest_share",
    ):
        assert not is_known(unknown)
    with pytest.raises(UnknownNameError, match="Did you mean 'hessian_norm'"):
        describe("hesian_norm")
    assert describe_any("heat_layer_2").text == "heat_layer_2"
    assert in_order(["zeta", "rms_cosine_layer_10", "rms_cosine_layer_2", "n_steps", "hessian_norm", "alpha"]) == [
        "hessian_norm",
        "rms_cosine_layer_2",
        "rms_cosine_layer_10",
        "n_steps",
        "alpha",
        "zeta",
    ]
