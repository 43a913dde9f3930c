"""`assembly train`: the numbers of `assembly.train`, a report, and runs that go on where they were stopped."""

import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

import assembly as am
from assembly import cli
from assembly.study.training import accuracy, split


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    words = ("--width", "8,16", "--hidden", "m", "--steps", 40, "--rows", 30, "--test-rows", 20, "--every", 10)
    words += ("--beside", "linearized,closed_form,quadratic")
    result = run("train", "wine", *words, "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result


def test_it_trains_as_the_function_does(trained):
    folder, result = trained
    chosen = split(am.data.load("wine"), 30, 20, 0)
    for width in (8, 16):
        net = am.mlp(13, [width], activation="tanh", readout="sign", seed=0)
        wanted = am.train(
            net,
            chosen.X,
            chosen.y,
            n_steps=40,
            every=10,
            X_test=chosen.X_test,
            y_test=chosen.y_test,
            beside=("linearized", "closed_form", "quadratic"),
        )
        found = am.load_history(folder / f"width-{width}.npz")
        for name, values in wanted.table.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)
        lines = (folder / f"width-{width}.csv").read_text().splitlines()
        np.testing.assert_array_equal(np.loadtxt(lines[1:], delimiter=",")[:, 2], wanted["loss"])
        share = accuracy(wanted.test_outputs["network"][-1], chosen.y_test)
        assert f"{100.0 * share:.1f} %" in result.output
    assert re.search(r"At width 16 the loss went from .* kernel changed by .* % \(.* % at width 8\)", result.output)
    last = am.load_history(folder / "width-16.npz")
    apart = np.sqrt(np.mean((last.test_outputs["network"][-1] - last.test_outputs["linearized"][-1]) ** 2))
    assert f"f is {last['remainder'][-1]:.2g} from its linearisation" in result.output
    assert f"end {apart:.2g} apart on the test inputs" in result.output


def test_the_report_holds_every_picture_and_number(trained):
    folder, _ = trained
    page, words = (folder / "report.html").read_text(), (folder / "report.md").read_text()
    plots = sorted(path.stem for path in (folder / "plots").glob("*.svg"))
    wanted = ["distance", "eigenvalues", "gap_linearized", "hessian_norm", "kernel_change", "largest_entry"]
    assert plots == sorted([*wanted, "loss-width-16", "loss-width-8", "remainder"])
    for name in plots:
        ElementTree.fromstring((folder / "plots" / f"{name}.svg").read_text())
        assert f'id="{name}"' in page
        assert f"plots/{name}.svg" in words
    assert "&lt;svg" not in page
    assert not re.search(r'(src|href)="https?:', page)
    loss = am.load_history(folder / "width-16.npz")["loss"][-1]
    for text in (page, words):
        assert f"{loss:.3g}" in text
        assert "assembly study claim-08-kernel-change-gd" in text or text is words
    assert "assembly" in words.split("## To repeat it")[1]


def test_a_second_run_goes_on_from_the_first(trained, tmp_path):
    words = ["--width", 8, "--hidden", "m", "--rows", 30, "--test-rows", 20, "--every", 5, "--out", tmp_path]
    assert run("train", "wine", *words, "--steps", 10).exit_code == 0
    assert run("train", "wine", *words, "--steps", 20).exit_code == 0
    whole = run("train", "wine", *words[:-1], tmp_path / "whole", "--steps", 20)
    assert whole.exit_code == 0
    found, wanted = (am.load_history(path / "width-8.npz") for path in (tmp_path, tmp_path / "whole"))
    for name, values in wanted.table.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal_it_says_how_to_go_on(tmp_path, number, code):
    words = ["train", "wine", "--width", "64", "--steps", "1000000", "--every", "1000000", "--out", "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "assembly", *words],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    for line in process.stderr:
        if "step" in line:
            break
    time.sleep(0.5)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert errors.splitlines()[-1].startswith("stopped. Steps up to the last checkpoint are on disk")
    assert am.load_history(tmp_path / "out" / "width-64.npz").status == "interrupted"


def test_divergence_is_explained_on_one_line_and_others_are_kept(tmp_path):
    words = ("--hidden", "m", "--rows", 30, "--steps", 200, "--beside", "none", "--every", 1)
    result = run("train", "wine", "--width", 16, *words, "--step-size", 50, "--out", tmp_path / "one")
    assert result.exit_code == 2
    assert re.search(r"^error: Training diverged at step \d+\. .* Try a step size of", result.stderr, re.MULTILINE)
    result = run("train", "wine", "--width", "16,32", *words, "--step-size", 50, "--out", tmp_path / "two")
    assert result.exit_code == 1
    assert "diverged" in result.output
    assert (tmp_path / "two" / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digit"], "Did you mean 'digits'"),
        (["wine", "--rows", "1000"], "The '--rows' option must be at most 178"),
        (["wine", "--width", "0"], "'--width' argument must be an int of at least 1"),
        (["wine", "--width", "a"], "'--width' option must be whole numbers"),
        (["wine", "--beside", "linear"], "Did you mean 'linearized'"),
        (["wine", "--method", "flow"], "'--method' argument must be one of"),
        (["wine", "--loss", "hinge"], "'loss' argument must be one of"),
        (["wine", "--architecture", "mpl"], "Did you mean 'mlp'"),
        (["wine", "--momentum", "2"], "'momentum' argument must be"),
        (["diabetes", "--target", "median", "--set", "x"], "KEY=VALUE"),
    ],
)
def test_bad_words_give_one_line(words, message, tmp_path):
    result = run("train", *words, "--out", tmp_path)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not list(tmp_path.iterdir())


def test_kernel_regression_stands_beside(trained):
    folder, result = trained
    chosen = split(am.data.load("wine"), 30, 20, 0)
    net = am.mlp(13, [16], activation="tanh", readout="sign", seed=0)
    K, across = net.tangent_kernel(chosen.X), net.tangent_kernel(chosen.X_test, chosen.X)
    at_w0 = net(chosen.X_test) + across @ np.linalg.solve(K, chosen.y - net(chosen.X))
    limit, between = (am.limit_kernels(net, X, chosen.X).tangent for X in (chosen.X, chosen.X_test))
    trained_outputs = am.load_history(folder / "width-16.npz").test_outputs["network"][-1][:, 0]
    for name, outputs in (("at w0", at_w0), ("at infinite width", between @ np.linalg.solve(limit, chosen.y))):
        share = 100.0 * np.mean(np.sign(outputs) == chosen.y_test)
        assert re.search(rf"test accuracy, kernel regression {name} .* {share:.1f} %\n", result.output), name
        distance = np.sqrt(np.mean((outputs - trained_outputs) ** 2))
        assert re.search(rf"those of kernel regression {name} .* {distance:.3g}\n", result.output), name
    assert (
        "kernel regression"
        not in run(
            *(
                "train",
                "wine",
                "--width",
                8,
                "--hidden",
                "m",
                "--steps",
                2,
                "--loss",
                "logistic",
                "--out",
                folder / "logistic",
            )
        ).output
    )


def test_targets_that_are_no_classes_have_no_accuracy():
    assert accuracy(np.array([[0.3]]), np.array([0.5])) is None
    assert accuracy(np.zeros((0, 1)), np.zeros(0)) is None


def test_few_rows_are_taken_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.normal(size=(20, 3)), np.resize([0.0, 1.0], 20)])
    np.savetxt(tmp_path / "few.csv", table, delimiter=",")
    result = run("train", tmp_path / "few.csv", "--width", 8, "--hidden", "m", "--steps", 2, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "trained on 15 rows, tested on 5" in result.output
    # narrow: no limit to speak of
    assert "infinite width" not in result.output


def test_rows_are_split_by_the_seed_and_meet_nowhere():
    wine = am.data.load("wine")
    one, other = split(wine, 100, 200, 0), split(wine, 100, 200, 1)
    assert (len(one.X), len(one.X_test)) == (100, 78)
    assert not np.array_equal(one.X, other.X)
    together = np.concatenate([one.X, one.X_test])
    assert len(np.unique(together, axis=0)) == len(np.unique(wine.inputs, axis=0))
