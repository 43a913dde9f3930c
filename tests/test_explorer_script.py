"""Copied Python, run in a process of its own, prints the numbers of the page."""

import re
import subprocess
import sys

import pytest

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


def test_the_script_needs_no_explorer():
    assert "explorer" not in script(State(panel="linear"))


def test_the_first_line_holds_the_state():
    state = State(width=77, gamma=0.25)
    first = script(state).splitlines()[0]
    assert State.from_query(first.removeprefix("# ")) == state
