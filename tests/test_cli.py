import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import typer
from typer.testing import CliRunner

import assembly
import assembly as am
from assembly import activations, cli, data
from assembly.errors import ResourceError
from assembly.study import measure
from assembly.study.builders import BUILDERS, COMMON
from assembly.study.design import Point, Settings
from assembly.study.reading import load
from study_cases import N_POINTS, TESTS, start, write_study

HEAVY = (
    "numba",
    "scipy",
    "sklearn",
    "matplotlib",
    "pydantic",
    "pandas",
    "loky",
    "joblib",
    "networkx",
    "jinja2",
    "numpy",
)


def run(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def check_error(result, message):
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_help_teaches_what_to_type_first():
    result = run("--help")
    assert result.exit_code == 0
    for words in ("assembly study digits --quick", "assembly inspect --width 512", "assembly list"):
        assert words in result.output
    assert "assembly study digits --quick" in run().output
    for command in ("study", "inspect"):
        text = run(command, "--help").output
        assert "Examples" in text
        assert f"assembly {command}" in text


def test_the_help_swallows_no_word():
    """Help is Markdown: of a word in angle brackets nothing is shown."""
    for command in ("study", "inspect", "train", "explore"):
        helps = [one.help for one in typer.main.get_command(cli.app).commands[command].params]
        assert not [text for text in helps if "<" in text]
    assert "[[" not in run("inspect", "--help").output


def test_every_example_in_the_help_is_a_valid_command():
    text = cli._INTRODUCTION + cli.study.HELP + cli.inspect.HELP
    examples = re.findall(r"^    assembly (.*?)(?:   .*)?$", text, re.MULTILINE)
    assert len(examples) >= 12
    for example in examples:
        words = example.split()
        assert run(words[0], "--help").exit_code == 0
        known = run(words[0], "--help").output
        for word in words[1:]:
            assert not word.startswith("--") or word in known, example


def test_importing_the_command_line_loads_nothing_heavy():
    code = "import sys, assembly.cli; print(*sorted(set(sys.modules) & set(sys.argv[1:])))"
    output = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=True).stdout
    assert output.split() == []


def test_version():
    assert run("--version").output == f"assembly {assembly.__version__}\n"


def test_python_m_assembly_is_the_command():
    done = subprocess.run([sys.executable, "-m", "assembly", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"assembly {assembly.__version__}\n")


def test_list_names_everything_with_one_line_each():
    output = run("list").output
    names = [*activations.NAMES, *data.BUILT_IN, *BUILDERS, "architectures", "hessian_norm", "*.csv"]
    for name in names:
        assert re.search(rf"^  {re.escape(name)}  +\S", output, re.MULTILINE), name
    assert all(len(line.rstrip()) <= 100 for line in output.splitlines())


def test_list_shows_every_builder_with_its_picture_its_width_and_its_keys():
    lines = [line.rstrip() for line in run("list").output.splitlines()]
    begins = [next(i for i, line in enumerate(lines) if line.startswith(f"  {name}  ")) for name in BUILDERS]
    for builder, begin, end in zip(
        BUILDERS.values(), begins, [*begins[1:], lines.index("activation functions")], strict=True
    ):
        picture = [f"      {line}" for line in builder.picture.strip("\n").splitlines()]
        assert any(lines[i : i + len(picture)] == picture for i in range(begin, end)), builder.name
        own = [
            key if v is None else f"{key} = {json.dumps(v)}" for key, v in builder.defaults.items() if key not in COMMON
        ]
        shared = [key for key in builder.defaults if key in COMMON]
        text = " ".join(" ".join(lines[begin:end]).split())
        assert f"width: {builder.width_rule} keys: {', '.join(own)}; and {', '.join(shared)}" in text


def test_formulas_are_those_of_all_activations():
    assert set(activations.FORMULAS) == set(activations.NAMES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study", "digit"], "or the path of a .toml file. Got 'digit'. Did you mean 'digits'?"),
        (["study", "qqq"], "Got 'qqq'. The names are "),
        (["study", "none.toml"], "does not exist"),
        (["study", "digits", "--widths", "32,a"], "The '--widths' option must be whole numbers"),
        (["study", "digits", "--widths", "0,8,16,80"], "the '--widths' option must be a list"),
        (["study", "digits", "--workers", "0"], "The '--workers' option must be an int of at least 1. Got 0."),
        (["study", "digits", "--activation", "tahn"], "The '--activation' option must be one of"),
        (["study", "digits", "--widths", "32,64"], "the '--widths' option must be a list of 4 or more"),
        (["study", "digits", "--seeds", "1"], "the '--seeds' option must be a whole number of at least 3"),
        (["study", "digits", "--activation", "tnah"], "Did you mean 'tanh'?"),
        (["study", "digits", "--workers", "0"], "workers"),
        (["study", "digits", "--widths", "8,16,32,10000000"], "bytes"),
        (["inspect", "--width", "0"], "--width"),
        (["inspect", "--seed", "-1"], "--seed"),
        (["inspect", "--radius", "-1"], "--radius"),
        (["inspect", "--tol", "0"], "--tol"),
        (["inspect", "--activation", "tnah"], "Did you mean 'tanh'?"),
        (["inspect", "--hidden", "m,q"], "'--hidden' option must be a list of layer widths"),
        (["inspect", "--architecture", "botleneck"], "Did you mean 'bottleneck'?"),
        (
            ["inspect", "--architecture", "resnet", "--hidden", "m,m"],
            "it is taken by mlp, bottleneck, densenet, dropout",
        ),
        (["inspect", "--set", "readout"], "The '--set' option must be KEY=VALUE"),
        (["inspect", "--set", "=3"], "The '--set' option must be KEY=VALUE"),
        (["inspect", "--set", "builder=resnet"], "with a key of the architecture, such as readout=gaussian"),
        (["inspect", "--set", "readuot=sign"], "The '--set readuot' option is unknown. Did you mean 'readout'?"),
        (["inspect", "--set", "qqq=1"], "The '--set qqq' option is unknown. The keys of mlp are hidden, "),
        (["inspect", "--set", "bias=1"], "The '--set bias' option must be true or false. Got 1."),
        (["inspect", "--architecture", "tied", "--width", "48"], "must be divisible by its number of copies, 64"),
        (["inspect", "none.json"], "none.json"),
        (["inspect", "none.json", "--hidden", "m"], "The '--hidden' option is for a network that is built"),
        (["inspect", "--data", "digit"], "Did you mean 'digits'?"),
        (["inspect", "--data", "none.csv"], "does not exist"),
        (["inspect", "--inputs", "0"], "--inputs"),
        (
            ["inspect", "--data", "wine", "--inputs", "200"],
            "The '--inputs' option must be at most 178, the rows of wine. Got 200.",
        ),
        (["inspect", "none.json", "--width", "5"], "The '--width' option is for a network that is built"),
        (["inspect", "none.json", "--seed", "0"], "The '--seed' option is for a network that is built"),
        (
            ["inspect", "none.json", "--architecture", "mlp"],
            "The '--architecture' option is for a network that is built",
        ),
        (["inspect", "--width", "1000000"], "bytes"),
        (["inspect", "net.txt"], "The 'NET.json' argument must be the name of a .json file"),
        (["inspect", "--width", "8", "--save", "/dev/null"], "The '--save' option must be a folder to write to"),
    ],
)
def test_a_mistake_gives_one_line_and_exit_code_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_error(run(*arguments), message)
    assert not list(tmp_path.glob("assembly-results/*/results.csv"))


def test_a_misspelt_key_gives_one_line_each(tmp_path):
    path = write_study(tmp_path)
    path.write_text(path.read_text().replace("widths", "widhts").replace("seeds = 4", "seeds = 'a'"))
    result = run("study", path)
    assert result.exit_code == 2
    assert [line.split(".")[0] for line in result.stderr.splitlines()] == ["error: small"] * 3
    assert "Did you mean 'widths'?" in result.stderr


def test_inspect_prints_the_same_numbers_as_a_study(tmp_path):
    result = run("inspect", "--width", 16, "--hidden", "m,m", "--data", "wine", "--inputs", 2)
    assert result.exit_code == 0, result.output
    assert "13 inputs, 1 output" in result.output
    assert "480 parameters" in result.output  # 13 x 16 + 16 x 16 + 16
    from assembly.data import measured_samples
    from assembly.study.design import points
    from assembly.study.measure import measure
    from assembly.study.reading import parse

    text = (
        'name = "w"\nwidths = [16, 17, 18, 160]\n[data]\nsource = "wine"\nn_measured = 2\n'
        '[[architectures]]\nlabel = "network"\nhidden = ["m", "m"]\n'
    )
    wine = data.load("wine")
    expected = measure(points(parse(text), wine)[0], measured_samples(wine, 2, 0))
    for name in ("remainder_gradient", "remainder_top_eigenvector", "kernel_norm", "n_steps"):
        assert f"{expected[name]:.6g}" in result.output
    assert f"||H|| {expected['hessian_norm']:.4g} (residual " in result.output
    assert f"||grad f|| {expected['gradient_norm']:.4g}" in result.output


def test_inspect_gives_every_number_one_name_and_every_name_one_number():
    words = ["inspect", "--width", 16, "--hidden", "m,m", "--data", "wine", "--inputs", 3]
    for radius in (1, 2):
        result = run(*words, "--radius", radius)
        assert result.exit_code == 0, result.output
        first, second = result.output.split("quantity ")
        names = [re.split("  +", line)[0] for line in second.splitlines()]
        assert "remainder, random" in names
        for name in (
            "||H||",
            "||grad f||",
            "||H|| / ||grad f||^2",
            "Q_inf",
            "largest share, layer 1",
            "rms cosine, layer 2",
        ):
            assert name not in names
        assert ("||H|| R / ||grad f||" in names) == (radius == 2)
        assert f"; R = {radius}" in result.output
        assert "at R = 1" in first


def test_all_rows_are_measured_of_a_file_with_few(tmp_path):
    (tmp_path / "few.csv").write_text("a,b,y\n1,2,0\n3,4,1\n2,2,1\n")
    result = run("inspect", "--data", tmp_path / "few.csv", "--width", 8)
    assert result.exit_code == 0
    assert "averaged over 3 inputs" in result.output


def test_the_tolerance_holds_for_the_diagnosis():
    result = run("inspect", "--width", 16, "--data", "wine", "--inputs", 1, "--tol", "1e-12")
    assert float(re.search(r"\(residual (\S+)\)", result.output)[1]) <= 1e-12


@pytest.mark.parametrize("name", BUILDERS)
def test_every_architecture_can_be_inspected(name):
    result = run("inspect", "--architecture", name, "--width", 8, "--data", "wine", "--inputs", 1)
    assert result.exit_code == 0, result.output
    assert f"{name}, m = 8" in result.output
    assert BUILDERS[name].text in " ".join(result.output.split())
    norm = float(re.search(r"; \|\|H\|\| ([-+.e0-9]+) \(", result.output)[1])
    one = Point(name, name, 8, 0, Settings(dict(BUILDERS[name].defaults), (13,), (), 1.0, 1e-4, "", 1, 0, 1))
    expected = measure.measure(one, data.measured_samples(data.load("wine"), 1, 0))["hessian_norm"]
    assert norm == pytest.approx(expected, rel=1e-3)


def test_keys_are_given_as_in_a_study_file():
    words = ["--set", "channels=m,2m", "--set", "pool=2", "--set", "readout=gaussian", "--set", "bias=true"]
    result = run("inspect", "--architecture", "cnn", "--width", 4, "--inputs", 1, *words)
    net = am.cnn((8, 8), [4, 8], 3, pool=2, readout="gaussian", bias=True, seed=0)
    assert result.exit_code == 0, result.output
    for line in repr(net).splitlines():
        assert line in result.output
    shown = run("inspect", "--architecture", "tied", "--width", 16, "--inputs", 1, "--set", "copies_exponent=0.5")
    assert "tied, m = 16, n_copies 4, seed 0" in shown.output
    assert "512 parameters" not in shown.output
    assert f"{4 * (64 * 8 + 8):,} parameters" in shown.output


def test_a_saved_network_can_be_inspected(tmp_path):
    net = am.mlp(13, [7, 5], activation="erf", n_outputs=2, seed=3)
    am.save(net, tmp_path / "net.json")
    result = run("inspect", tmp_path / "net.json", "--data", "wine", "--inputs", 2, "--tol", "1e-9")
    assert result.exit_code == 0, result.output
    assert "13 inputs, 1 output, 131 parameters" in result.output  # 13 x 7 + 7 x 5 + 5, the first output alone
    inputs = data.measured_samples(data.load("wine"), 2, 0).inputs
    expected = sum(abs(float(net.hessian(x, 0).norm(1e-9))) for x in inputs) / 2
    norm = float(re.search(r"; \|\|H\|\| ([-+.e0-9]+) \(", result.output)[1])
    assert norm == pytest.approx(expected, rel=1e-3)
    check_error(
        run("inspect", tmp_path / "net.json"), "has 13 inputs and the data 64 columns: give other data with --data"
    )


def finish(process, code=0):
    output, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    return output, errors


def test_a_study_prints_a_table_sentences_and_where_the_report_is_then_resumes(tmp_path):
    write_study(tmp_path)
    output, errors = finish(start("measure", "study", "small.toml", "--workers", 2, folder=tmp_path))
    folder = tmp_path / "assembly-results" / "small"
    assert {"report.html", "report.md", "results.csv", "study.toml", "results.sqlite"} <= set(os.listdir(folder))
    assert "\x1b" not in output + errors
    assert "network: ||H||" in output
    assert f"{N_POINTS} points measured" in output
    assert f"Report: {os.path.join('assembly-results', 'small', 'report.html')}" in output
    assert "4 seeds at each width" in output
    assert re.search("^(compiling kernels|starting)", errors)
    assert "assembly study small.toml --workers 2" in (folder / "report.md").read_text()
    output, _ = finish(start("is_wrong", "study", "small.toml", folder=tmp_path))
    assert f"all {N_POINTS} points were there" in output
    assert load(folder / "study.toml").seeds == 4


def test_failed_points_are_listed_and_the_exit_code_tells(tmp_path):
    write_study(tmp_path)
    output, errors = finish(start("fails", "study", "small.toml", "--workers", 1, folder=tmp_path), code=1)
    assert "failed: network, width 8, seed 1: The 'seed' argument must not be 1. Got 1." in errors
    assert "3 more points" in errors
    assert "24 points measured" in output
    assert "8 failed" in output


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("number", "code", "workers", "times"),
    [(signal.SIGINT, 130, 2, 1), (signal.SIGINT, 130, 1, 3), (signal.SIGINT, 130, 2, 3), (signal.SIGTERM, 143, 2, 1)],
)
def test_stopped_by_a_signal_it_says_how_to_go_on_and_does(tmp_path, number, code, workers, times):
    write_study(tmp_path)
    log = tmp_path / "log"
    log.touch()
    process = start("forever", "study", "small.toml", "--workers", workers, folder=tmp_path, STUDY_LOG=log)
    end = time.monotonic() + 20
    while log.read_text().count("\n") < 2 and time.monotonic() < end:
        time.sleep(0.02)
    time.sleep(0.3)
    asked = time.monotonic()
    for _ in range(times):
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # a terminal sends Ctrl-C to the driver and to every worker
        else:
            process.send_signal(number)
        time.sleep(0.02)
    _, errors = finish(process, code)
    assert time.monotonic() - asked < 5.0
    assert errors.splitlines()[-1] == "stopped. Finished points are on disk: the same command goes on from there."
    assert "Traceback" not in errors
    results = (tmp_path / "assembly-results/small/results.csv").read_text().splitlines()
    assert len(results) == 3
    done = log.read_text().split()
    output, _ = finish(start("measure", "study", "small.toml", "--workers", 2, folder=tmp_path, STUDY_LOG=log))
    assert f"{N_POINTS - 2} points measured" in output
    again = log.read_text().split()[len(done) :]
    assert not set(done) & set(again)


def test_a_folder_in_use_and_a_damaged_one_give_one_line(tmp_path):
    write_study(tmp_path)
    finish(start("measure", "study", "small.toml", "--out", "out", folder=tmp_path))
    path = tmp_path / "out" / "results.sqlite"
    path.write_bytes(path.read_bytes()[:9000])
    _, errors = finish(start("measure", "study", "small.toml", "--out", "out", folder=tmp_path), code=2)
    (line,) = errors.splitlines()
    assert line.startswith("error: The results file 'out/results.sqlite' is damaged")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_on_a_terminal_there_is_a_bar_with_an_estimate(tmp_path):
    import pty

    write_study(tmp_path)
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "study_driver.py"), "slowly", "study", "small.toml", "--workers", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.DEVNULL,
        stderr=follower,
    )
    os.close(follower)
    seen = b""
    try:
        while chunk := os.read(leader, 4096):
            seen += chunk
    except OSError:  # the other end is closed
        pass
    assert process.wait(timeout=30) == 0
    os.close(leader)
    text = seen.decode()
    assert re.search(r"compiling kernels|starting", text)
    assert re.search(rf"\d+ of {N_POINTS} points, about [\d.]+ s left", text)


def test_inspect_announces_what_will_take_long(monkeypatch):
    words = ("inspect", "--width", 8, "--data", "wine", "--inputs", 1)
    quick = run(*words)
    assert "measuring 240 parameters ..." in quick.stderr
    monkeypatch.setattr(cli.inspect, "_FEW_WEIGHTS", 0)
    assert "measuring 240 parameters ..." in run(*words).stderr
    monkeypatch.setattr(cli.inspect, "_PATIENCE", 0.0)
    monkeypatch.setattr(cli.inspect, "_MANY_WEIGHTS", 0)
    slow = run(*words)
    assert re.search(r"measuring 240 parameters, about 0\.\d+ s and \S+ GiB \.\.\.", slow.stderr)
    assert re.search(r"building 240 weights, about \S+ GiB with all that is measured \.\.\.", slow.stderr)
    assert slow.stdout.split("measured in")[0] == quick.stdout.split("measured in")[0]


# --- inspect: who dominates ------------------------------------------------------------------------------------------


def test_inspect_names_the_bottleneck_before_anything_else(tmp_path):
    words = ["--width", 64, "--set", "hidden=m,3,m", "--inputs", 2, "--save", tmp_path / "pictures"]
    result = run("inspect", "--architecture", "bottleneck", *words)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    found = json.loads((tmp_path / "pictures" / "diagnosis.json").read_text())
    assert re.search(r"layer 2 has 3 neurons where another has 64; neuron [012] carries \d+ % of the layer's", said)
    assert found["findings"][0] in said
    assert found["n_inputs"] == 2
    assert said.index("layer 2 has 3 neurons") < said.index("quantity value meaning")
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["cosines.svg", "diagnosis.json", "network.svg", "shares.svg"]


def test_inspect_names_a_planted_loud_neuron(tmp_path):
    net = am.mlp(13, [200, 100], readout="sign", seed=5)
    w = net.parameters.copy()
    w[13 * 200 : 13 * 200 + 200 * 100].reshape(100, 200)[:, 137] *= 200**0.5
    am.save(net.with_parameters(w), tmp_path / "loud.json")
    result = run("inspect", tmp_path / "loud.json", "--data", "wine", "--inputs", 2)
    assert result.exit_code == 0, result.output
    assert "* layer 1, neuron 137 carries " in result.output


def test_inspect_says_that_nobody_dominates():
    result = run("inspect", "--width", 64, "--data", "wine", "--inputs", 2)
    assert "* no neuron dominates the output: the largest gradient share is " in result.output


# --- inspect: at worst in a ball -------------------------------------------------------------------------------------


def test_inspect_brackets_what_happens_in_a_ball(tmp_path):
    words = ["--width", 8, "--hidden", "m,m", "--data", "wine", "--inputs", 2]
    result = run("inspect", *words, "--ball", 0.5, "--save", tmp_path / "pictures")
    assert result.exit_code == 0, result.output
    net = am.mlp(13, [8, 8], activation="tanh", readout="sign", seed=0)
    X = data.measured_samples(data.load("wine"), 2, 0).inputs
    found = {
        "largest ||H||, first input": net.curvature_in_ball(X[0], 0.5),
        "largest |f - f_lin|, first input": net.remainder_in_ball(X[0], 0.5),
        "largest relative change of the kernel": net.kernel_change_in_ball(X, 0.5),
    }
    assert "within R = 0.5" in result.output
    for name, one in found.items():
        (line,) = (line for line in result.output.splitlines() if line.strip().startswith(name))
        ends = re.search(r"lower (\S+), upper (\S+), upper/lower (\S+)$", line)
        expected = (one.lower, one.upper, one.upper / one.lower)
        assert [float(end) for end in ends.groups()] == pytest.approx(expected, rel=6e-3)
    svg = (tmp_path / "pictures" / "bracket.svg").read_text()
    narrow, wide = net.curvature_in_ball(X[0], 0.05), found["largest ||H||, first input"]
    said = re.search(r"<desc>(.*)</desc>", svg)[1]
    assert f"between {narrow.lower:.4g} and {narrow.upper:.4g} at R = 0.05" in said
    assert f"between {wide.lower:.4g} and {wide.upper:.4g} at R = 0.5" in said
    without = run("inspect", *words)
    assert "At worst" not in without.output


def test_inspect_says_that_a_bracket_of_nothing_has_no_picture(tmp_path):
    """A linear network with a frozen readout has no curvature anywhere."""
    words = ["--hidden", "m", "--width", 4, "--activation", "identity", "--set", "trainable_readout=false"]
    saved = tmp_path / "pictures"
    result = run("inspect", *words, "--data", "wine", "--inputs", 1, "--ball", 1, "--save", saved)
    assert result.exit_code == 0, result.output
    assert re.search(r"largest \|\|H\|\|, first input +lower 0, upper 0$", result.output, re.MULTILINE)
    assert "There is no picture of the bracket" in result.output
    assert not (saved / "bracket.svg").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ball", "0"], "--ball"),
        (["--ball", "1", "--activation", "relu"], "must have smooth activation functions for a bound over a ball"),
        (
            ["--ball", "1", "--set", "n_outputs=2", "--set", "output_activation=softmax"],
            "A bound over a ball is not made through a softmax",
        ),
    ],
)
def test_what_has_no_bracket_is_refused_in_one_sentence(words, message):
    result = run("inspect", "--width", 4, "--data", "wine", "--inputs", 1, *words)
    assert result.exit_code == 2
    assert "quantity" not in result.stdout
    (line,) = (line for line in result.stderr.splitlines() if not line.endswith("..."))
    assert line.startswith("error: ")
    assert message in line


def test_a_ball_too_large_for_the_memory_is_refused(monkeypatch):
    def refuses(*_):
        raise ResourceError("The matrices of a bound need 9 GiB, 1 GiB are free.")

    monkeypatch.setattr(am.Assembly, "remainder_in_ball", refuses)
    result = run("inspect", "--width", 4, "--data", "wine", "--inputs", 1, "--ball", 1)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == "error: The matrices of a bound need 9 GiB, 1 GiB are free."


CTRL_C_WHILE_LOADING = """
import importlib.abc, os, runpy, signal, sys

class Stop(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Stop())
sys.argv = ["assembly", "list"]
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell runs in the background
runpy.run_module("assembly", run_name="__main__")
"""


def test_ctrl_c_while_the_command_is_loaded_is_no_traceback():
    done = subprocess.run([sys.executable, "-c", CTRL_C_WHILE_LOADING], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped.\n")
