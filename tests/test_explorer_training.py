"""Training on the page: the numbers of `assembly.train`, step by step, and what it says when it diverges."""

import numpy as np
import pytest

import assembly as am
from assembly.explorer.answers import StoppedError
from assembly.explorer.state import State, network
from assembly.explorer.training import DIVERGED, FINISHED, MODELS, MOST_STEPS, Training, forecast, widths
from assembly.progress import duration
from assembly.seeds import generator

SMALL = State(width=256, depth=1, data="wine", n_widths=2)


def by_the_library(state, n_steps, step_size=None):
    rows = generator(state.seed, "training rows").permutation(len(state.inputs))[:48]
    return am.train(
        network(state),
        state.inputs[rows],
        state.targets[rows],
        step_size=step_size,
        n_steps=n_steps,
        every=1,
        record=("distance", "kernel"),
        beside=("linearized", "quadratic"),
    )


def test_it_shows_what_the_library_records():
    training = Training(SMALL)
    training.go_on(40)
    lanes = training.shown().lanes
    assert [lane.width for lane in lanes] == [256, 64]
    for lane in lanes:
        wanted = by_the_library(SMALL.replace(width=lane.width), 40)
        assert lane.step == 40
        assert lane.steps == tuple(wanted["step"])
        for name in MODELS:
            column = "loss" if name == "network" else f"loss_{name}"
            np.testing.assert_array_equal(lane.losses[name], wanted[column], err_msg=name)
            np.testing.assert_array_equal(lane.outputs[name], wanted.outputs[name][-1][:, 0], err_msg=name)
        np.testing.assert_array_equal(lane.distance, wanted["distance"])
        np.testing.assert_array_equal(lane.kernel_change, wanted["kernel_change"])
        assert lane.step_size == wanted.settings["step_size"]
        assert lane.losses["network"][-1] < 0.5 * lane.losses["network"][0]
    assert lanes[0].kernel_change[-1] < lanes[1].kernel_change[-1]


def test_pauses_change_nothing():
    whole, paused = Training(SMALL), Training(SMALL)
    whole.go_on(24)
    for n_steps in (1, 7, 16):
        paused.go_on(n_steps)
    assert paused.shown() == whole.shown()


def test_one_that_was_stopped_between_two_widths_goes_on_alike():
    whole, stopped = Training(SMALL), Training(SMALL)
    whole.go_on(10)
    asked = iter([False, False, False, True])
    with pytest.raises(StoppedError):
        stopped.go_on(10, lambda: next(asked))
    assert [lane.step for lane in stopped.shown().lanes] == [2, 1]
    stopped.go_on(1)
    stopped.go_on(8)
    assert stopped.shown() == whole.shown()


def test_it_ends_after_its_time_with_every_width_moved():
    training = Training(SMALL)
    training.go_on(10**6, seconds=0.0)
    assert [lane.step for lane in training.shown().lanes] == [1, 1]
    assert not training.is_over


def test_the_step_size_is_so_many_times_the_usual_one():
    state = SMALL.replace(n_widths=1, factor=0.5)
    training = Training(state)
    training.go_on(5)
    (lane,) = training.shown().lanes
    usual = by_the_library(state, 1).settings["step_size"]
    assert lane.step_size == 0.5 * usual
    np.testing.assert_array_equal(lane.losses["network"], by_the_library(state, 5, 0.5 * usual)["loss"])


def test_divergence_is_told_in_the_words_of_the_library_and_others_go_on():
    state = State(width=64, depth=1, data="wine", n_widths=1, factor=8.0)
    training = Training(state)
    training.go_on(MOST_STEPS)
    (lane,) = training.shown().lanes
    assert training.is_over
    assert lane.status == DIVERGED
    (note,) = lane.notes
    assert note.startswith(f"Training diverged at step {lane.step}")
    assert "exceeds" in note
    assert "Try a step size" in note
    assert np.isfinite(lane.losses["network"]).all()
    before = repr(training.shown())
    training.go_on(5)
    assert repr(training.shown()) == before


def test_after_its_last_step_it_is_over():
    training = Training(State(width=2, depth=1, data="wine", n_widths=1))
    training.go_on(MOST_STEPS + 5)
    (lane,) = training.shown().lanes
    assert (lane.step, lane.status, training.is_over) == (MOST_STEPS, FINISHED, True)
    assert len(lane.steps) <= 200
    assert (lane.steps[0], lane.steps[-1]) == (0, MOST_STEPS)


def test_painted_points_have_the_output_over_the_plane_behind_them():
    state = State(width=8, depth=1, data="points", points=((1.0, 0.5, 1.0), (-0.5, 1.0, -1.0)), n_widths=1)
    training = Training(state)
    training.go_on(20)
    shown = training.shown()
    net = by_the_library(state, 20)
    plane = shown.plane
    values = network(state).with_parameters(net.parameters)
    x, y = plane.left + 3 * plane.side / 32, plane.bottom + 7 * plane.side / 32
    np.testing.assert_allclose(plane.values[7][3], float(values([x, y])), rtol=1e-12)
    assert plane.points == ((1.0, 0.5, 1.0), (-0.5, 1.0, -1.0))
    assert Training(SMALL).shown().plane is None


def test_widths_side_by_side_and_what_they_cost():
    assert widths(State(width=64, n_widths=3)) == (64, 16, 4)
    assert widths(State(width=4, n_widths=3)) == (4, 2)
    small, large = (forecast(State(width=width, depth=1, data="wine", n_widths=1)) for width in (2, 4096))
    assert large.is_long
    assert large.seconds > 20.0 * small.seconds
    assert large.text.startswith(f"about {duration(large.seconds)} and ")
