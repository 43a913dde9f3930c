"""`assembly train`: the numbers of `assembly.train`, a report, and runs that go on where they were stopped."""

import html
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import assembly as am
from assembly import cli
from assembly.cli.manners import polite
from assembly.errors import ArgumentError
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


def test_the_report_defines_its_rows_and_gives_the_step_size_of_every_width(trained):
    folder, _ = trained
    page, words = (html.unescape((folder / name).read_text()) for name in ("report.html", "report.md"))
    at_the_end = words.split("## At the end")[1].split("## Along the way")[0]
    names = re.findall(r"^\| ([^|]+?) \|", at_the_end, re.MULTILINE)
    assert {"width", "loss at last", "kernel change", "gap linearized", "hessian norm"} < set(names)
    defined = dict(re.findall(r"^- \*\*(.+)\*\*: (.+)$", at_the_end, re.MULTILINE))
    assert dict(re.findall(r"<dt>(.+?)</dt><dd>(.+?)</dd>", page)) == defined
    assert all(any(name.startswith(one) for one in defined) for name in names)
    assert defined["kernel change"] == am.History.meaning("kernel_change")
    assert "infinite width" in words
    steps = [am.load_history(folder / f"width-{width}.npz").settings["step_size"] for width in (8, 16)]
    listed = f"{steps[0]:.6g} (width 8); {steps[1]:.6g} (width 16)"
    for text in (page, words):
        (line,) = [line for line in text.splitlines() if "step size" in line and "(width 8)" in line]
        assert listed in line
        assert "squared (width" not in text


def test_a_second_run_goes_on_from_the_first(trained, tmp_path):
    words = ["--width", 8, "--hidden", "m", "--rows", 30, "--test-rows", 20, "--every", 5, "--out", tmp_path]
    assert run("train", "wine", *words, "--steps", 10).exit_code == 0
    assert run("train", "wine", *words, "--steps", 20).exit_code == 0
    whole = run("train", "wine", *words[:-1], tmp_path / "whole", "--steps", 20)
    assert whole.exit_code == 0
    found, wanted = (am.load_history(path / "width-8.npz") for path in (tmp_path, tmp_path / "whole"))
    for name, values in wanted.table.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_widths_trained_before_stand_in_the_report_too(tmp_path):
    words = ("train", "wine", "--hidden", "m", "--rows", 30, "--test-rows", 20, "--out", tmp_path)
    assert run(*words, "--width", 16, "--steps", 40).exit_code == 0
    first = (tmp_path / "report.md").read_text().split("## To repeat it")[0]
    kept = {path: path.read_bytes() for path in tmp_path.glob("width-16.*")}
    result = run(*words, "--width", 8, "--steps", 60)
    assert result.exit_code == 0
    second = (tmp_path / "report.md").read_text().split("## To repeat it")[0]
    assert "| width | 8 | 16 |" in second
    for name in ("loss at last", "step size", "kernel change", "test outputs from those of kernel regression at w0"):
        (before,) = [line for line in first.splitlines() if line.startswith(f"| {name} |")]
        (after,) = [line for line in second.splitlines() if line.startswith(f"| {name} |")]
        assert after.split("|")[3] == before.split("|")[2], name
    assert "steps | 60 | 40 |" in second
    assert {path: path.read_bytes() for path in tmp_path.glob("width-16.*")} == kept
    # left out, --every is that of the folder
    assert am.load_history(tmp_path / "width-8.npz")["step"].tolist() == list(range(0, 61, 2))


def test_a_folder_of_another_kind_is_left_alone(tmp_path):
    study = ("study", "digits", "--widths", "8,16,32,80", "--seeds", 3)
    kinds = {
        "a study": study,
        "a suite of studies": ("study", "claims", "--quick"),
        "a training": ("train", "wine", "--width", 8, "--hidden", "m", "--steps", 2),
    }
    marks = {"a study": "results.sqlite", "a suite of studies": "claims.csv", "a training": "options.json"}
    for held, mark in marks.items():
        folder = tmp_path / mark
        folder.mkdir()
        (folder / mark).write_bytes(b"")
        for kind, words in kinds.items():
            if kind != held:
                result = run(*words, "--out", folder)
                assert result.exit_code == 2, result.output
                assert f"holds {held}, whose report would be overwritten" in " ".join(result.stderr.split())
        assert [path.name for path in folder.iterdir()] == [mark]


def test_arguments_are_called_by_the_words_that_gave_them(capsys):
    with pytest.raises(typer.Exit), polite(options={"X": "SOURCE", "n_steps": "--steps"}):
        raise ArgumentError("The 'X[3]' argument must be finite, the 'n_steps' argument too, the 'z' argument not.")
    assert capsys.readouterr().err == (
        "error: The 'SOURCE[3]' argument must be finite, the '--steps' option too, the 'z' argument not.\n"
    )


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (["--loss", "logistic"], "--loss"),
        (["--step-size", 0.01, "--momentum", 0.5], "--step-size, --momentum"),
        (["--seed", 1], "--seed"),
        (["--rows", 29], "--rows"),
        (["--hidden", "m,m"], "--hidden"),
        (["--set", "bias=true"], "--set bias"),
        (["--every", 2], "--every"),
        (["--target", 1], "SOURCE or --target"),
    ],
    ids=str,
)
def test_a_folder_holds_one_set_of_options(changed, named, tmp_path):
    words = ["train", "wine", "--hidden", "m", "--rows", 30, "--test-rows", 20, "--steps", 2, "--out", tmp_path]
    assert run(*words, "--width", 8).exit_code == 0
    assert run(*words, "--width", 16, "--steps", 4).exit_code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = run(*words, "--width", 32, *changed)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"holds a training with other options ({named}): give another folder with --out" in line
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_folder_whose_options_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "options.json").write_text("[")
    result = run("train", "wine", "--width", 8, "--steps", 2, "--out", tmp_path)
    assert result.exit_code == 2
    assert "options.json' cannot be read: give another folder" in result.stderr


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
    kept = re.search(r"The run so far is kept in '(.*)'\.$", result.stderr.strip())
    assert am.load_history(kept[1]).status == "diverged"
    # what the message says to try can be tried there
    assert run("train", "wine", "--width", 16, *words, "--out", tmp_path / "one").exit_code == 0
    result = run("train", "wine", "--width", "16,32", *words, "--step-size", 50, "--out", tmp_path / "two")
    assert result.exit_code == 1
    assert "Width 16, 32 diverged: no number says how linear it stayed." in " ".join(result.output.split())
    assert "the loss went from" not in result.output
    table = (tmp_path / "two" / "report.md").read_text()
    assert "| status | diverged | diverged |" in table
    assert not re.search(r"^\| (distance|kernel change|test accuracy, network) \|", table, re.MULTILINE)


def test_a_loss_that_ends_above_its_start_is_remarked_on(tmp_path):
    words = ("--hidden", "m", "--rows", 30, "--beside", "none", "--out", tmp_path)
    result = run("train", "wine", "--width", 256, *words, "--steps", 3, "--step-size", 0.3)
    assert result.exit_code == 0, result.output
    first, last = am.load_history(tmp_path / "width-256.npz")["loss"][[0, -1]]
    assert last > first
    wanted = f"Width 256: the loss ended at {last:.3g}, above the {first:.3g} it began with."
    assert wanted in " ".join(result.output.split())


def test_targets_that_do_not_suit_the_loss_are_those_of_an_option(tmp_path):
    np.savetxt(tmp_path / "own.csv", np.random.default_rng(0).normal(size=(20, 3)), delimiter=",")
    result = run("train", tmp_path / "own.csv", "--width", 8, "--loss", "logistic", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "error: The '--target' option must hold -1 and 1 for the logistic loss. Got" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["digit"], "Did you mean 'digits'"),
        (["wine", "--rows", "1000"], "The '--rows' option must be at most 178"),
        (["wine", "--rows", "100", "--test-rows", "79"], "The '--test-rows' option must be at most 78"),
        (["wine", "--width", "0"], "'--width' option must be an int of at least 1"),
        (["wine", "--width", "a"], "'--width' option must be whole numbers"),
        (["wine", "--beside", "linear"], "Did you mean 'linearized'"),
        (["wine", "--method", "flow"], "'--method' option must be one of"),
        (["wine", "--loss", "hinge"], "'--loss' option must be one of"),
        (["wine", "--steps", "0"], "'--steps' option must be an int of at least 1"),
        (["wine", "--weight-decay", "-1"], "'--weight-decay' option must be"),
        (["wine", "--beside", "closed_form", "--loss", "logistic"], "'--beside' option must not name 'closed_form'"),
        (["wine", "--architecture", "mpl"], "Did you mean 'mlp'"),
        (["wine", "--momentum", "2"], "'--momentum' option must be"),
        (["diabetes", "--target", "median", "--set", "x"], "KEY=VALUE"),
    ],
)
def test_bad_words_give_one_line(words, message, tmp_path):
    result = run("train", *words, "--out", tmp_path)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert "argument" not in line
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


def test_a_regression_that_is_left_out_says_why(tmp_path):
    words = ("train", "wine", "--hidden", "m", "--steps", 2, "--rows", 30)
    logistic = run(*words, "--width", "8,16", "--loss", "logistic", "--out", tmp_path / "logistic").output
    reason = (
        "Width 8, 16: no kernel regression at w0 and no kernel regression at infinite width. "
        "It minimises the squared loss, not this one."
    )
    assert reason in " ".join(logistic.split())
    assert reason in (tmp_path / "logistic" / "report.md").read_text()
    untested = run(*words, "--width", 16, "--test-rows", 0, "--out", tmp_path / "untested").output
    assert "no kernel regression at infinite width. There are no rows to test on." in " ".join(untested.split())
    # 30 samples, and 14 parameters: the kernel is singular
    singular = run(*words, "--width", 1, "--out", tmp_path / "singular").output
    assert re.search(r"Width 1: no kernel regression at w0\. .*singular", " ".join(singular.split()))


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
    assert "infinite width. With a layer of 8 neurons" in " ".join(result.output.split())


def test_rows_are_split_by_the_seed_and_meet_nowhere():
    wine = am.data.load("wine")
    one, other = split(wine, 100, None, 0), split(wine, 100, None, 1)
    assert (len(one.X), len(one.X_test)) == (100, 78)
    assert not np.array_equal(one.X, other.X)
    together = np.concatenate([one.X, one.X_test])
    assert len(np.unique(together, axis=0)) == len(np.unique(wine.inputs, axis=0))
