"""The rule of the verdict on planted exponents, and the sentences that say which condition fails and what follows."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from assembly.diagnostics.pace import direction, is_steady
from assembly.diagnostics.rates import fit_rate
from assembly.diagnostics.transition import FIELDS, _agree, _answer, judge_transition
from assembly.errors import ArgumentError, ShapeError

WIDTHS = [32, 64, 128, 256, 512]
RATE = fit_rate(WIDTHS, [[1.0] * 3] * 5)


def power(exponent: float, noise: float = 0.05, salt: int = 0, factor: float = 1.0) -> np.ndarray:
    """Ten networks at every width, lognormal around a power of it."""
    scatter = np.exp(noise * np.random.default_rng(salt).standard_normal((5, 10)))
    return factor * scatter * np.array(WIDTHS)[:, None] ** exponent


def level(share=-1.0, *, bends=True, n_parts=1.0, together=1.0, size=0.0, weight=0.0, single=None, salt=1, **more):
    """Columns of one level, every attribute a power of width; `n_parts` likewise and `together` a constant."""
    shares = np.minimum(power(share, salt=salt, factor=0.9 if share > -0.1 else 5.0), 1.0)
    columns = {
        "n_parts": power(n_parts, 0.0, factor=4.0),
        "principal_share": shares,
        "weight": power(weight, 0.0),
        "size": power(size, 0.0),
        "largest_share": shares if single is None else power(single, 0.0, factor=0.8),
        "neuron": np.full((5, 10), 7.0),
        "n_together": np.full((5, 10), together),
    }
    columns["predicted"] = np.sqrt(columns["principal_share"] * columns["weight"]) * columns["size"]
    return {**columns, "bends": bends, **more}


def judged(predicted, measured, **options):
    return judge_transition(WIDTHS, predicted, measured, **options)


@pytest.mark.parametrize(
    ("exponent", "lower", "upper", "way"),
    [
        (-0.45, -0.50, -0.40, "falls"),
        (-0.15, -0.19, -0.11, "falls"),
        (-0.15, -0.19, -0.10, "open"),  # touches the band around 0, and is too steep to be flat
        (-0.10, -0.39, 0.20, "does not fall"),
        (-0.10, -0.40, 0.20, "open"),  # touches the band around -1/2
        (-0.11, -0.20, 0.00, "open"),
        (0.30, 0.20, 0.40, "does not fall"),
        (0.00, -0.60, 0.60, "open"),
    ],
)
def test_falling_or_not(exponent, lower, upper, way):
    assert direction(replace(RATE, exponent=exponent, lower=lower, upper=upper)) == way


@pytest.mark.parametrize(("lower", "upper", "steady"), [(0.1, 0.2, True), (-0.3, -0.11, False), (0.11, 0.3, False)])
def test_steady(lower, upper, steady):
    assert is_steady(replace(RATE, lower=lower, upper=upper)) is steady


def interval(lower, upper):
    return replace(RATE, exponent=(lower + upper) / 2.0, lower=lower, upper=upper)


@pytest.mark.parametrize(
    ("lower", "upper", "agree"),
    [
        (-0.25, -0.15, True),
        (-0.30, -0.21, False),
        (0.21, 0.30, False),
        (-0.39, 0.39, True),
        (-0.41, 0.10, False),  # 0 and -1/2 are both possible
        (-0.10, 0.41, False),
    ],
)
def test_agreement_is_told_from_half_a_power(lower, upper, agree):
    assert _agree(interval(lower, upper), 0.1) is agree


def test_the_prediction_leads_and_the_measurement_may_contradict():
    falls, flat, between = interval(-0.5, -0.4), interval(-0.05, 0.05), interval(-0.35, 0.05)
    assert (direction(falls), direction(flat), direction(between)) == ("falls", "does not fall", "open")
    answers = [
        [_answer(one, other, True, 0.1)[0] for other in (falls, between, flat)] for one in (falls, between, flat)
    ]
    assert answers == [["yes", *["not decided"] * 2], ["not decided"] * 3, ["not decided", "no", "no"]]
    assert _answer(falls, falls, False, 0.1)[0] == _answer(flat, flat, False, 0.1)[0] == "not decided"


@pytest.mark.parametrize(
    ("predicted", "measured", "answer"),
    [
        (-0.5, -0.5, "yes"),
        (-0.4, -0.5, "yes"),  # logarithms
        (-0.25, -0.25, "yes"),  # a graded dial falls too
        (-0.75, -0.75, "yes"),
        (0.0, 0.0, "no"),
        (0.1, 0.0, "no"),
        (0.5, 0.5, "no"),
        (0.0, -0.5, "not decided"),  # the conditions fail, and yet it falls
        (-0.5, 0.0, "not decided"),  # they hold, and yet it does not
        (-0.5, -0.9, "not decided"),
        (-0.7, -0.4, "not decided"),  # both fall, too differently
        (-0.25, 0.0, "not decided"),
        (0.0, -0.3, "not decided"),
    ],
)
def test_the_answer_follows_from_the_exponents(predicted, measured, answer):
    found = judged(power(predicted), power(measured, salt=1))
    assert found.answer == answer
    assert (found.reason == "") == (answer != "not decided")
    assert found.text.endswith("by this data." if answer == "not decided" else f"linearity: {answer}.")


def test_a_disagreement_is_told_with_both_exponents():
    found = judged(power(0.0), power(-0.5))
    assert "Predicted: ||H|| / ||grad f||^2 does not fall (m^" in found.text
    assert "they do not agree" in found.text
    assert not found.agree


def test_what_prediction_and_measurement_have_in_common_drops_out():
    """Scatter of 2 in the logarithm, shared: the measurement alone tells nothing, over the prediction it tells all."""
    shared = np.exp(2.0 * np.random.default_rng(3).standard_normal((5, 10)))
    found = judged(shared * power(0.0, salt=4), shared * power(0.0, salt=5))
    assert found.agree
    assert found.measurement.upper - found.measurement.lower > 0.8
    assert found.difference.upper - found.difference.lower < 0.1


def test_noise_is_not_decided():
    found = judged(power(-0.25, 2.0), power(-0.25, 2.0, salt=1))
    assert found.answer == "not decided"


def test_factors_the_order_of_widths_and_the_words_do_not_matter():
    predicted, measured = power(-0.4), power(-0.45, salt=1)
    one = judged(predicted, measured).to_dict()
    other = judge_transition(WIDTHS[::-1], 7.0 * predicted[::-1], 0.01 * measured[::-1]).to_dict()
    for name in ("prediction", "measurement", "difference"):
        for end in ("exponent", "lower", "upper"):
            np.testing.assert_allclose(one[name][end], other[name][end], rtol=1e-9)
    blamed = judged(predicted, measured, levels={"layer 1": level(0.0)}, gradient_norm=power(-0.5))
    assert (blamed.answer, blamed.measurement) == ("yes", judged(predicted, measured).measurement)


def test_networks_without_a_number_are_left_out():
    predicted, measured = power(-0.5), power(-0.5, salt=1)
    measured[0, 0] = predicted[1, 1] = np.nan
    found = judged(predicted, measured)
    assert (found.answer, found.measurement.n_excluded, found.difference.n_excluded) == ("yes", 1, 2)


def test_what_cannot_be_fitted_is_not_decided_and_says_why():
    flat = np.ones((2, 10))
    found = judge_transition([32, 64], flat, flat)
    assert (found.answer, found.prediction, found.agree) == ("not decided", None, False)
    assert "predicted" in found.reason
    assert found.text == f"{found.reason} Transition to linearity: not decided by this data."
    linear = judged(np.full((5, 10), np.nan), np.zeros((5, 10)), levels={"layer 1": level(bends=False)})
    assert (linear.answer, linear.worst) == ("not decided", None)


def test_the_data_are_json():
    found = judged(power(-0.5), power(-0.5), levels={"layer 1": level(rms_cosine=power(-0.5))})
    data = json.loads(json.dumps(found.to_dict()))
    assert data["answer"] == "yes"
    assert data["measurement"]["exponent"] == found.measurement.exponent
    assert data["levels"][0]["principal_share"]["lower"] == found.levels[0].principal_share.lower
    assert data["text"] == found.text
    unfitted = json.loads(json.dumps(judged(power(-0.5), np.zeros((5, 10))).to_dict()))
    assert unfitted["measurement"] is None


# Which condition fails, and how it is said


@pytest.mark.parametrize(
    ("columns", "standing", "words"),
    [
        (level(0.0, n_parts=0.0), "narrow", "Layer 2: 4 neurons that count at every width"),
        (level(0.0, single=0.0), "dominated", "Layer 2: neuron 7 carries 80 % at the largest width"),
        (
            level(0.0, together=300.0, single=-1.0),
            "alike",
            "Layer 2: about 300 of 2048 neurons have parallel gradients",
        ),
    ],
)
def test_the_level_that_fails_is_named_with_the_reason(columns, standing, words):
    found = judged(power(0.0), power(0.0), levels={"layer 1": level(), "layer 2": columns, "layer 3": level(0.0)})
    assert [one.standing for one in found.levels][:2] == ["weak", standing]
    assert (found.culprit, found.worst.label) == ("layer 2", "layer 2")
    assert found.text.startswith(words)
    assert "Predicted: ||H|| / ||grad f||^2 does not fall" in found.text
    assert found.text.endswith("they agree. Transition to linearity: no.")


def test_the_output_map_is_named():
    found = judged(power(0.0), power(0.0), levels={"layer 1": level(), "output map": level(0.0, n_parts=0.0)})
    assert (found.culprit, found.levels[1].standing) == ("output map", "non-linear")
    assert found.text.startswith("The output map bends")


def test_sums_right_above_that_fail_too_are_the_better_name():
    levels = {"layer 1": level(0.0), "layer 2, sums": level(0.0, bends=False), "layer 3": level(0.0)}
    assert judged(power(0.0), power(0.0), levels=levels).culprit == "layer 2, sums"
    levels["layer 2, sums"] = level(bends=False)
    assert judged(power(0.0), power(0.0), levels=levels).culprit == "layer 1"


def test_sums_alone_are_never_to_blame():
    levels = {"layer 1": level(), "layer 2, sums": level(0.0, bends=False, n_parts=0.0)}
    found = judged(power(-0.5), power(-0.5), levels=levels)
    assert (found.answer, found.culprit, found.worst.label) == ("yes", "", "layer 1")


def test_a_level_that_others_lead_around_does_not_fail():
    found = judged(power(-0.5), power(-0.5), levels={"layer 1": level(0.0, weight=-1.0)})
    assert found.levels[0].standing == "weak"


def test_the_output_scale_is_named_where_all_levels_are_weak():
    """Claim 15: shares fall, so does the gradient, and per unit of output nothing is gained."""
    found = judged(power(0.0), power(0.0), levels={"layer 1": level()}, gradient_norm=power(-0.5, 0.0))
    assert found.culprit == "output scale"
    assert "Output scale: ||grad f|| ~ m^-0.50: not of order 1, and" in found.text
    assert "per unit of output nothing is gained" in found.text


def test_conditions_that_hold_are_told():
    columns = level(-1.0, rms_cosine=power(-0.5, 0.0))
    found = judged(power(-0.5), power(-0.5), levels={"layer 1": columns}, gradient_norm=power(0.0))
    share = f"m^{found.levels[0].principal_share.exponent:.2f}"
    assert f"Dominance: largest share (layer 1) ~ {share}: weak." in found.text
    assert f"with parallel gradients merged ~ {share}, rms cosine ~ m^-0.50: diverse." in found.text
    assert ": of order 1." in found.text
    assert "Gradients of the parts" not in found.text


def test_a_dial_is_weak_in_part_and_growing_parts_are_told():
    columns = level(-0.5, size=0.5)
    found = judged(power(-0.25), power(-0.25), levels={"layer 1": columns}, gradient_norm=power(0.5))
    assert ": weak in part." in found.text
    assert "Gradients of the parts ~ m^0.50." in found.text
    assert ": not of order 1." in found.text
    assert found.culprit == ""


def test_medians_are_those_at_the_largest_width_wherever_it_stands():
    columns = level(-1.0)
    columns["neuron"][4] = [3, 3, 3, 5, 5, 1, 2, 3, 0, 5]
    backwards = {name: values if name == "bends" else values[::-1] for name, values in columns.items()}
    for widths, given in ((WIDTHS, columns), (WIDTHS[::-1], backwards)):
        (found,) = judge_transition(widths, power(-0.5), power(-0.5), levels={"layer 1": given}).levels
        assert found.at_widest["neuron"] == 3.0
        np.testing.assert_allclose(found.at_widest["principal_share"], np.median(columns["principal_share"][4]))
        np.testing.assert_allclose(found.n_parts, 4.0 * np.array(WIDTHS))


def test_a_level_that_is_missing_at_some_width_is_no_obstacle():
    columns = level()
    for name in FIELDS:
        columns[name] = columns[name].copy()
        columns[name][0] = math.nan
    found = judged(power(-0.5), power(-0.5), levels={"layer 1": level(), "layer 2": columns})
    assert found.answer == "yes"


def test_bad_arguments_are_refused():
    good = power(-0.5)
    with pytest.raises(ShapeError, match="'measured'"):
        judged(good, good[:, :5])
    with pytest.raises(ShapeError, match="'predicted'"):
        judged(good[:4], good)
    with pytest.raises(ShapeError, match="levels\\['layer 1'\\]\\['size'\\]"):
        judged(good, good, levels={"layer 1": {**level(), "size": [[1.0]]}})
    with pytest.raises(ArgumentError, match="'band'"):
        judged(good, good, band=0.3)


def test_a_growing_output_alone_is_no_transition():
    widths = [32, 64, 128, 256, 512]
    noise = np.exp(0.05 * np.random.default_rng(1).standard_normal((5, 10)))
    falling = noise / np.sqrt(widths)[:, None]
    steady, growing = noise, noise * np.sqrt(widths)[:, None]
    assert judge_transition(widths, falling, 0.3 * falling, gradient_norm=steady).answer == "yes"
    found = judge_transition(widths, falling, 0.3 * falling, gradient_norm=growing)
    assert found.answer == "not decided"
    assert "over a fixed distance" in found.reason
    assert "over a fixed distance" in found.text
