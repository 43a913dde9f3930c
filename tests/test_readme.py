"""What the README says is so: its Python block prints what stands beneath it, its commands and links lead somewhere."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def block(text: str, language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found


def command(name: str) -> str:
    (found,) = re.findall(rf"^<!-- command: {name} -->\n```bash\n(.*)\n```$", README, re.MULTILINE)
    return found


def check_printed(printed: str, promised: str) -> None:
    assert len(printed.split()) == len(promised.split())
    for word, expected in zip(printed.split(), promised.split(), strict=True):
        try:
            number = float(expected)
        except ValueError:
            assert word == expected
        else:
            assert float(word) == pytest.approx(number, rel=2e-3)


def test_python_block_prints_what_stands_beneath_it():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block(README, "python")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    check_printed(done.stdout, block(README, "text"))


@pytest.mark.parametrize(("printed", "promised"), [("64 0.29", "64 0.25"), ("64", "64 0.25"), ("wide", "narrow")])
def test_the_check_of_printed_numbers_can_fail(printed, promised):
    with pytest.raises(AssertionError):
        check_printed(printed, promised)


def test_python_block_is_short():
    assert 8 <= len(block(README, "python").splitlines()) <= 12


def test_the_two_commands_set_up_from_nothing():
    create = "python3 -m venv .venv"
    assert command("study") == f"{create} && .venv/bin/pip install . && .venv/bin/assembly study digits"
    assert command("tests") == f"{create} && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest"


def test_ci_runs_the_commands_of_the_readme_and_holds_no_copy():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "readme_command tests" in script
    assert "readme_command study" in script
    for name in ("tests", "study"):
        assert command(name) not in script


def test_commands_in_the_text_exist():
    from typer.main import get_command

    from assembly.cli import app

    known = set(get_command(app).commands)
    named = re.findall(r"`(?:\.venv/bin/)?assembly ([a-z]+)", README) + re.findall(r"bin/assembly ([a-z]+)", README)
    assert {"study", "inspect", "list"} <= set(named) <= known
    for script in re.findall(r"`python (\S+\.py)", README):
        assert (ROOT / script).is_file()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text("utf-8"))
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert local
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_commands_install_extras_that_exist():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = set(setup["options.extras_require"])
    for page in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        for listed in re.findall(r"'\.\[([a-z,]+)\]'", (ROOT / page).read_text("utf-8")):
            assert set(listed.split(",")) <= extras


def test_every_word_of_the_test_command_is_plain():
    words = shlex.split(command("tests"))
    assert words[0] == "python3"
    assert not set("|;<>$`").intersection(command("tests"))
