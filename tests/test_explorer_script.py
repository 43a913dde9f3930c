"""Copied Python, run in a process of its own, prints the numbers of the page."""

import re
import subprocess
import sys

import pytest

from assembly.explorer import training
from assembly.explorer.answers import curve, judged, numbers
from assembly.explorer.script import script
from assembly.explorer.state import POINTS, State
from assembly.study.builders import BUILDERS

NUMBER = re.compile(r"^(.+) = (\S+) \((\S+)\)$", re.MULTILINE)
POINT = re.compile(r"^t = (\S+): f = (\S+), tangent = (\S+)$", re.MULTILINE)


def run(text):
    done = subprocess.run([sys.executable, "-W", "error", "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_same(state, printed):
    found = numbers(state)
    expected = {
        "||H||": found.hessian_norm,
        "||grad f||": found.gradient_norm,
        "||H|| / ||grad f||^2": found.hessian_over_gradient_squared,
        "||H|| R / ||grad f||": found.hessian_times_radius_over_gradient,
        "f": found.value,
    }
    assert {name: float(value) for name, _, value in NUMBER.findall(printed)} == expected
    shown = {name: text for name, text, _ in found.table.rows}
    assert {name: text for name, text, _ in NUMBER.findall(printed)} == {name: shown[name] for name in expected}
    assert f"width {found.width:,}, parameters {found.n_parameters:,}" in printed
    verdict = judged(state)
    for finding in verdict.findings:
        assert finding[1:] in printed
    assert [float(one[1]) for one in POINT.findall(printed)] == (
        list(curve(state).values) if state.panel == "linear" else []
    )


@pytest.mark.parametrize(
    "state",
    [
        State(width=64, depth=3, middle=1, radius=2.5, row=17, seed=3),
        State(width=32, panel="linear", direction="worst", output_activation="sigmoid"),
        State(width=32, panel="linear", direction="random", data=POINTS, points=[(0.1, 0.7)]),
    ],
    ids=["bottleneck", "worst", "painted"],
)
def test_a_fresh_process_prints_the_numbers_of_the_page(state):
    assert_same(state, run(script(state)))


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("source", ["digits", POINTS])
def test_the_script_of_every_builder_prints_its_numbers(builder, source, capsys):
    state = State(builder=builder, width=8, depth=2, data=source, seed=1, panel="linear", direction="gradient")
    exec(compile(script(state), "script", "exec"), {})
    assert_same(state, capsys.readouterr().out)


TRAINED = re.compile(r"^    (\w+) \S+ \((\S+)\)$", re.MULTILINE)


@pytest.mark.parametrize(
    "state",
    [
        State(width=64, depth=1, data="wine", n_widths=2, factor=0.5, seed=3, panel="training"),
        State(width=8, depth=1, data=POINTS, points=[(1.0, 0.5, 1), (-0.5, 1.0, -1)], n_widths=1, panel="training"),
        State(width=64, depth=1, data="wine", n_widths=1, factor=8.0, panel="training"),
    ],
    ids=["widths", "painted", "diverges"],
)
def test_the_script_of_a_training_prints_what_the_panel_shows(state):
    there = training.Training(state)
    there.go_on(40)
    shown = there.shown().lanes
    printed = run(script(state, max(lane.step for lane in shown)))
    first, *parts = re.split(r"^width (\d+), step (\d+):$", printed, flags=re.MULTILINE)
    assert_same(state, first)
    assert len(parts) == 3 * len(shown)
    for lane, width, step, numbers_of in zip(shown, parts[::3], parts[1::3], parts[2::3], strict=True):
        assert (int(width), int(step)) == (lane.width, lane.steps[-1])
        assert {name: float(value) for name, value in TRAINED.findall(numbers_of)} == pytest.approx(
            {
                "loss": lane.losses["network"][-1],
                "loss_linearized": lane.losses["linearized"][-1],
                "loss_quadratic": lane.losses["quadratic"][-1],
                "distance": lane.distance[-1],
                "kernel_change": lane.kernel_change[-1],
            },
            rel=1e-12, nan_ok=True,
        )  # fmt: skip
        for note in lane.notes:
            assert note in printed


def test_the_script_needs_no_explorer():
    assert "explorer" not in script(State(panel="linear"))


def test_the_first_line_holds_the_state():
    state = State(width=77, gamma=0.25)
    first = script(state).splitlines()[0]
    assert State.from_query(first.removeprefix("# ")) == state
