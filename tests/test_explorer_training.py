"""Training on the page: the numbers of `assembly.train`, step by step, and what it says when it diverges."""

from dataclasses import replace

import numpy as np
import pytest

import assembly as am
from assembly.explorer import training
from assembly.explorer.answers import StoppedError
from assembly.explorer.state import State, network
from assembly.explorer.training import DIVERGED, FINISHED, MODELS, MOST_STEPS, Training, forecast, widths
from assembly.forecasting import forecast as library_forecast
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
    run = Training(SMALL)
    run.go_on(40)
    lanes = run.shown().lanes
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
    run = Training(SMALL)
    run.go_on(10**6, seconds=0.0)
    assert [lane.step for lane in run.shown().lanes] == [1, 1]
    assert not run.is_over


def test_the_step_size_is_so_many_times_the_usual_one():
    state = SMALL.replace(n_widths=1, factor=0.5)
    run = Training(state)
    run.go_on(5)
    (lane,) = run.shown().lanes
    usual = by_the_library(state, 1).settings["step_size"]
    assert lane.step_size == 0.5 * usual
    np.testing.assert_array_equal(lane.losses["network"], by_the_library(state, 5, 0.5 * usual)["loss"])


def test_divergence_is_told_in_the_words_of_the_library_and_others_go_on():
    state = State(width=64, depth=1, data="wine", n_widths=1, factor=8.0)
    run = Training(state)
    run.go_on(MOST_STEPS)
    (lane,) = run.shown().lanes
    assert run.is_over
    assert lane.status == DIVERGED
    (note,) = lane.notes
    assert note.startswith(f"Training diverged at step {lane.step}")
    assert "exceeds" in note
    assert "Try a step size" in note
    assert np.isfinite(lane.losses["network"]).all()
    before = repr(run.shown())
    run.go_on(5)
    assert repr(run.shown()) == before


def test_after_its_last_step_it_is_over():
    run = Training(State(width=2, depth=1, data="wine", n_widths=1))
    run.go_on(MOST_STEPS + 5)
    (lane,) = run.shown().lanes
    assert (lane.step, lane.status, run.is_over) == (MOST_STEPS, FINISHED, True)
    assert len(lane.steps) <= 200
    assert (lane.steps[0], lane.steps[-1]) == (0, MOST_STEPS)


def test_painted_points_have_the_output_over_the_plane_behind_them():
    state = State(width=8, depth=1, data="points", points=((1.0, 0.5, 1.0), (-0.5, 1.0, -1.0)), n_widths=1)
    run = Training(state)
    run.go_on(20)
    shown = run.shown()
    net = by_the_library(state, 20)
    plane = shown.plane
    values = network(state).with_parameters(net.parameters)
    x, y = plane.left + 3 * plane.side / 32, plane.bottom + 7 * plane.side / 32
    np.testing.assert_allclose(plane.values[7][3], float(values([x, y])), rtol=1e-12)
    assert plane.points == ((1.0, 0.5, 1.0), (-0.5, 1.0, -1.0))
    assert Training(SMALL).shown().plane is None


def test_widths_side_by_side():
    assert widths(State(width=64, n_widths=3)) == (64, 16, 4)
    assert widths(State(width=4, n_widths=3)) == (4, 2)


class Told:
    """What `assembly.forecast` says, with a microsecond of kernel for every parameter."""

    def __init__(self, build):
        self._found = library_forecast(build)
        self.n_layers = self._found.n_layers

    def tangent_kernel(self, n):
        assert n == 48
        return replace(self._found.tangent_kernel(n), seconds=1e-6 * self._found.n_parameters)


def test_a_forecast_is_of_steps_whose_time_grows_with_the_kernel_alone(monkeypatch):
    monkeypatch.setattr(training, "library_forecast", Told)
    first, small, large, both = (
        forecast(State(width=width, depth=2, data="wine", n_widths=n_widths))
        for width, n_widths in ((2, 1), (64, 1), (256, 1), (256, 2))
    )
    n_parameters = [network(State(width=width, depth=2, data="wine")).n_parameters for width in (64, 256)]
    grown = 2000 * training.KERNELS * 1e-6 * (n_parameters[1] - n_parameters[0])
    np.testing.assert_allclose(large.seconds - small.seconds, grown, rtol=1e-12)
    np.testing.assert_allclose(both.seconds, large.seconds + small.seconds, rtol=1e-12)
    np.testing.assert_allclose(first.seconds, 2000 * 3 * training.SECONDS_PER_LAYER, rtol=1e-12)  # it has no kernel
    assert large.is_long
    assert large.text.startswith(f"about {duration(large.seconds)} and ")


def test_a_forecast_is_made_of_what_is_tried_on_the_machine():
    """Four thousand times the parameters take longer than two neurons, however busy the machine is."""
    small, large = (forecast(State(width=width, depth=2, data="wine", n_widths=1)) for width in (2, 4096))
    assert large.is_long
    assert large.seconds > small.seconds > 0.0
