"""Answers to a state: the library's own numbers, their verdict, and a table behind every picture."""

import dataclasses
import json
import math

import numpy as np
import pytest

import assembly as am
from assembly import data
from assembly.calculus.hessian import Hessian
from assembly.errors import ArgumentError, UnknownNameError
from assembly.explorer import answers
from assembly.explorer.answers import (
    LARGEST_RATIO,
    NEARBY,
    NEARLY,
    NO_SLOPE,
    NOT_YET,
    OF_CULPRITS,
    StoppedError,
    Table,
    as_json,
    bracket,
    curve,
    forecast,
    forecast_bracket,
    judged,
    numbers,
    verdict,
    work,
)
from assembly.explorer.state import POINTS, State
from assembly.study.builders import BUILDERS

SMALL = State(width=3, depth=2, data=POINTS, points=[(0.3, -1.2), (1.0, 0.5)], row=1, seed=2, radius=0.4)


def output(w, x, width):
    """A fully connected network of two hidden layers of tanh with factors 1/sqrt(fan-in), in plain numpy."""
    n_first, n_second = width * len(x), width * width
    first = np.tanh(w[:n_first].reshape(width, len(x)) @ x / math.sqrt(len(x)))
    second = np.tanh(w[n_first : n_first + n_second].reshape(width, width) @ first / math.sqrt(width))
    return w[n_first + n_second :] @ second / math.sqrt(width)


def slopes(w, x, width):
    """The gradient, by steps along the imaginary axis."""
    return np.array([output(w + 1e-30j * e, x, width).imag / 1e-30 for e in np.eye(len(w))])


def bends(w, x, width, h=1e-6):
    """The Hessian, by differences of that gradient: good to about 1e-10."""
    return np.array([(slopes(w + h * e, x, width) - slopes(w - h * e, x, width)) / (2 * h) for e in np.eye(len(w))])


def tables(answer):
    return [value for value in vars(answer).values() if isinstance(value, Table)]


def test_numbers_are_those_of_plain_numpy():
    w, x = SMALL.build().parameters, np.array([1.0, 0.5])
    norm, slope = np.max(np.abs(np.linalg.eigvalsh(bends(w, x, 3)))), np.linalg.norm(slopes(w, x, 3))
    found = numbers(SMALL)
    np.testing.assert_allclose(found.value, output(w, x, 3), rtol=1e-13)
    np.testing.assert_allclose(found.gradient_norm, slope, rtol=1e-13)
    np.testing.assert_allclose(found.hessian_norm, norm, rtol=1e-7)
    np.testing.assert_allclose(found.hessian_over_gradient_squared, norm / slope**2, rtol=1e-7)
    np.testing.assert_allclose(found.hessian_times_radius_over_gradient, 0.4 * norm / slope, rtol=1e-7)
    assert (found.width, found.n_parameters, found.radius) == (3, len(w), 0.4)
    assert found.converged
    assert found.residual <= 1e-4


@pytest.mark.parametrize("direction", ["random", "gradient", "worst"])
def test_a_curve_is_that_of_plain_numpy(direction):
    w, x = SMALL.build().parameters, np.array([1.0, 0.5])
    H, g = bends(w, x, 3), slopes(w, x, 3)
    found = curve(SMALL, direction)
    net = SMALL.build()
    u = answers.unit_direction(net, SMALL.x, direction, SMALL.seed)
    np.testing.assert_allclose(np.linalg.norm(u), 1.0, rtol=1e-14)
    if direction == "gradient":
        np.testing.assert_allclose(u, g / np.linalg.norm(g), rtol=1e-12)
    if direction == "worst":
        np.testing.assert_allclose(abs(u @ H @ u), np.max(np.abs(np.linalg.eigvalsh(H))), rtol=1e-7)
    t = np.array(found.t)
    np.testing.assert_allclose(t[[0, 20, -1]], [-0.4, 0.0, 0.4], atol=1e-15)
    np.testing.assert_allclose(found.values, [output(w + one * u, x, 3) for one in t], rtol=1e-12)
    np.testing.assert_allclose(found.tangent, output(w, x, 3) + t * (g @ u), rtol=1e-11)
    np.testing.assert_allclose(found.slope, g @ u, rtol=1e-11)
    np.testing.assert_allclose(found.bend, u @ H @ u, rtol=1e-6)
    gaps = np.abs(np.array(found.values) - np.array(found.tangent))
    assert found.largest_error == gaps.max()
    assert len(found.table.rows) == len(t)
    assert found.table.rows[0][1] == f"{found.values[0]:.4g}"


def test_the_state_says_which_direction_if_nobody_else_does():
    state = SMALL.replace(direction="worst")
    assert curve(state) == curve(SMALL, "worst")
    with pytest.raises(UnknownNameError, match="'direction'"):
        curve(state, "best")


def test_directions_of_two_seeds_differ():
    net = SMALL.build()
    one, other = (answers.unit_direction(net, SMALL.x, "random", seed) for seed in (0, 1))
    assert abs(one @ other) < 0.9


def test_a_direction_that_is_0_is_refused():
    flat = State(data=POINTS, points=[(0.0, 0.0)], width=4)
    with pytest.raises(ArgumentError, match=r"'direction' argument .* Got 'gradient'"):
        curve(flat, "gradient")
    assert curve(flat, "worst").largest_error == 0.0
    assert judged(flat).word == NO_SLOPE
    assert math.isnan(numbers(flat).hessian_over_gradient_squared)
    assert numbers(flat).table.rows[2][1] == "-"


def test_the_bracket_is_the_library_s():
    state = State(width=8, depth=2, data="wine", row=3, radius=0.5)
    found, net = bracket(state), state.build()
    expected = net.curvature_in_ball(data.load("wine").inputs[3], 0.5)
    assert (found.lower, found.upper, found.distance) == (expected.lower, expected.upper, expected.distance)
    assert found.lower <= found.upper
    norm = float(numbers(state).hessian_norm)
    assert norm <= found.upper
    assert f"{found.lower:.4g}" in found.sentence
    assert f"{found.upper:.4g}" in found.sentence
    assert [row[0] for row in found.table.rows] == ["1", "2", "3"]


def test_a_bracket_of_relu_is_refused_by_name():
    with pytest.raises(ArgumentError, match="relu"):
        bracket(State(width=8, activation="relu"))


def test_judged_says_what_the_diagnosis_says():
    state = State(width=64, middle=1, row=2, seed=1)
    found, diagnosis = judged(state), am.diagnose(state.build(), data.load("digits").inputs[2])
    assert found.word == "narrow layer"
    first = diagnosis.culprits[0]
    assert found.culprits[0].name == "layer 2, neuron 0"
    assert (found.culprits[0].layer, found.culprits[0].positions) == (first.layer, first.parts) == (2, (0,))
    assert diagnosis.findings[0] in found.sentence
    assert "everything goes through neuron 0" in found.sentence
    assert f"{diagnosis.curvature.hessian_over_gradient_squared:.4g}" in found.sentence
    assert (found.dominance.value, found.dominance.where) == (1.0, "layer 2, neuron 0")
    cosine = max(one.diversity.rms_cosine for one in diagnosis.layers if one.size > 1)
    assert found.diversity.value == 1.0 - cosine
    assert [row[0] for row in found.table.rows] == ["1", "2", "3"]


def test_copies_have_no_diversity_and_are_named_together():
    found = judged(State(builder="tied", width=16, depth=1))
    assert found.diversity.value == 0.0
    assert found.culprits[0].name == "layer 2, neurons 0, 1, 2 and 13 more"


def test_the_walk_from_the_start_page():
    wide = State().replace(width=1024)
    assert judged(wide).word == NEARLY
    broken = judged(wide.replace(middle=1))
    assert broken.word == "narrow layer"
    assert "layer 2, neuron 0" in broken.culprits[0].name


def test_ever_wider_networks_become_linear():
    words = [judged(State(width=width)).word for width in (8, 1024)]
    assert words == [NOT_YET, NEARLY]


@pytest.mark.parametrize(
    ("over_squared", "over_distance", "slope", "word"),
    [
        (LARGEST_RATIO, LARGEST_RATIO, 1.0, NEARLY),
        (LARGEST_RATIO + 1e-9, LARGEST_RATIO, 1.0, NOT_YET),
        (LARGEST_RATIO, LARGEST_RATIO + 1e-9, 1.0, NOT_YET),
        (5.0, 0.1, 0.02, NEARBY),
        (5.0, 0.1, LARGEST_RATIO, NOT_YET),
        (5.0, 0.3, 0.02, NOT_YET),
        (float("nan"), float("nan"), 0.0, NO_SLOPE),
    ],
)
def test_the_rule_of_the_word(over_squared, over_distance, slope, word):
    found = am.diagnose(State(width=64).build(), State().x)
    sizes = dataclasses.replace(
        found.curvature,
        hessian_over_gradient_squared=over_squared,
        hessian_times_radius_over_gradient=over_distance,
        gradient_norm=slope,
    )
    assert verdict(dataclasses.replace(found, curvature=sizes)) == word


def test_nearly_linear_and_curvature_in_one_neuron_are_reconciled_by_a_number():
    state = State(width=1024)
    found, diagnosis = judged(state), am.diagnose(state.build(), state.x)
    assert found.word == NEARLY
    assert "the curvature of layer 1 sits in one" in found.sentence
    (note,) = found.notes
    assert note.startswith("A large share of a small number is a small number: neuron 817 has 97 % of what bends in")
    assert f"all that bends is ||H|| = {diagnosis.curvature.hessian_norm:.4g}" in note
    turn = diagnosis.curvature.hessian_norm / diagnosis.curvature.gradient_norm
    assert f"at most {100 * turn:.0f} % of its length within R = 1" in note


@pytest.mark.parametrize("state", [State(width=64), State(width=1024, depth=1), State(width=1024, middle=1)])
def test_where_nothing_is_to_be_reconciled_nothing_is(state):
    """The word is another, or one layer has no other to be compared with."""
    assert judged(state).notes == ()


def test_every_kind_of_culprit_has_a_word():
    from assembly.diagnostics import culprits

    assert culprits.Culprit.__doc__ is not None
    for kind in OF_CULPRITS:
        assert f'"{kind}"' in culprits.Culprit.__doc__


@pytest.mark.parametrize("builder", BUILDERS)
def test_every_builder_gets_answers_that_json_can_hold(builder):
    state = State(builder=builder, width=16, depth=2, data="wine", panel="linear")
    given = [numbers(state), judged(state), curve(state), forecast(state), forecast_bracket(state)]
    for answer in given:
        text = json.dumps(as_json(answer), allow_nan=False)
        assert json.loads(text) == as_json(answer)
        for table in tables(answer):
            assert table.rows
            assert {len(row) for row in table.rows} == {len(table.heading)}
            assert all(isinstance(cell, str) for row in table.rows for cell in row)
    assert "nan" not in given[1].sentence


def test_the_verdict_is_that_of_diagnose_and_needs_no_iteration_more(monkeypatch):
    state = State(width=300, depth=2, seed=4)
    found, diagnosis = numbers(state), am.diagnose(state.build(), state.x)
    sizes, top_pair = [], Hessian.top_pair
    monkeypatch.setattr(Hessian, "top_pair", lambda one, *given: sizes.append(one.shape[0]) or top_pair(one, *given))
    seen = judged(state)
    assert sizes.count(found.n_parameters) == 1  # of the output over its parents, as of every neuron that leans on one
    assert seen.findings == tuple(one[0].upper() + one[1:] for one in diagnosis.findings)
    assert seen.hessian_over_gradient_squared == diagnosis.curvature.hessian_over_gradient_squared
    assert seen.hessian_over_gradient_squared == found.hessian_over_gradient_squared


def test_another_input_of_the_same_network_has_its_own_top_pair():
    first, other = (State(width=300, depth=2, data="wine", row=row) for row in (0, 1))
    assert numbers(first).hessian_norm != numbers(other).hessian_norm
    assert numbers(other) == numbers(State(width=300, depth=2, data="wine", row=1))
    net = other.build()
    assert numbers(other).hessian_norm == float(net.hessian(other.x).norm(1e-4).value)


def test_the_same_state_gets_the_same_answers():
    state = State(width=32, seed=9)
    assert [numbers(state), judged(state), curve(state)] == [numbers(state), judged(state), curve(state)]


@pytest.mark.parametrize(
    ("answer", "at_least"), [(numbers, 10), (judged, 10), (bracket, 10), (curve, 2 + answers.N_POINTS)]
)
def test_a_computation_is_left_at_whatever_step_it_is_told(answer, at_least):
    state, asked = State(width=400, depth=3), []
    work._PAIRS.clear()
    answer(state, stop=lambda: bool(asked.append(True)))
    assert len(asked) >= at_least  # not just before and after
    for last in (1, 2, len(asked)):
        again = []
        work._PAIRS.clear()
        with pytest.raises(StoppedError):
            answer(state, stop=lambda again=again, last=last: bool(again.append(True)) or len(again) == last)
        assert len(again) == last


def test_whoever_was_stopped_stops_nobody_else():
    with pytest.raises(StoppedError):
        numbers(State(width=8), stop=lambda: True)
    assert numbers(State(width=8)).converged


def test_a_forecast_grows_with_the_network_and_draws_nothing():
    small, large = forecast(State(width=32)), forecast(State(width=2048, depth=3))
    for name in ("numbers", "judged", "curve"):
        assert getattr(large, name).seconds > getattr(small, name).seconds
        assert getattr(large, name).n_bytes > 8 * (64 * 2048 + 2 * 2048**2 + 2048)
        assert getattr(large, name).is_long == (getattr(large, name).seconds > answers.LONG)
    assert "GiB" in large.numbers.text


def test_a_bracket_costs_more_than_the_numbers_and_grows_with_the_matrices():
    small, large = forecast_bracket(State(width=64)), forecast_bracket(State(width=1024))
    assert large.seconds > small.seconds > forecast(State(width=64)).numbers.seconds
    assert large.n_bytes > 4 * 8 * 1024**2
