import configparser
import subprocess
import sys
from pathlib import Path

import pytest

import assembly as am

HEAVY = ("numba", "scipy", "networkx", "matplotlib", "sklearn", "pandas", "pydantic", "typer", "jax", "joblib", "rich")


def loaded_by(code: str) -> set[str]:
    """Return which heavy libraries a fresh interpreter has loaded after running some code."""
    report = f"import sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(eval(done.stdout.strip().splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavier_than_numpy():
    assert loaded_by("import assembly") == set()
    assert loaded_by("import assembly; dir(assembly); assembly.errors; assembly.Estimate") == set()


COMMAND_LINE = {"typer", "rich", "click", "annotated_doc", "attr", "markdown_it", "mdurl", "pygments", "shellingham"}
COMMAND_LINE |= {"linkify_it", "uc_micro"}  # which markdown_it takes where panel has brought them
HELP = """
import contextlib, sys
from assembly.cli import main
sys.argv = ["assembly", "--help"]
with contextlib.suppress(SystemExit):
    main()
"""


def all_loaded_by(code: str) -> tuple[set[str], set[str]]:
    """Return what a fresh interpreter loads to run some code: packages of others, and modules of ours."""
    report = "print([name for name in sys.modules if name not in before])"
    program = f"import sys\nbefore = set(sys.modules)\n{code}\n{report}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    names = eval(done.stdout.strip().splitlines()[-1])
    packages = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    return packages - {"assembly"}, {name for name in names if name.split(".")[0] == "assembly"}


def test_nothing_at_all_is_loaded_before_it_is_used():
    assert all_loaded_by("import assembly") == (set(), {"assembly"})
    packages, modules = all_loaded_by(HELP)
    assert {"typer", "rich"} <= packages <= COMMAND_LINE
    assert {name for name in modules if not name.startswith("assembly.cli")} == {"assembly", "assembly.errors"}


def test_modules_declared_light_need_nothing_heavier_than_numpy():
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg")
    declared = setup["importlinter:contract:light"]["source_modules"].split()
    packages, modules = all_loaded_by("\n".join(f"import {name}" for name in declared))
    assert packages == {"numpy"}
    assert set(declared) <= modules


def test_the_test_can_fail():
    assert all_loaded_by("import assembly.graph.digraph")[0] >= {"networkx", "numpy"}
    assert {"numba", "scipy"} <= loaded_by("import assembly; assembly.mlp")
    assert "matplotlib" in loaded_by("import assembly, matplotlib")


def test_a_network_needs_neither_plots_nor_data_sets():
    assert loaded_by("import assembly as am; am.mlp(2, [3])([1, 2])").isdisjoint(
        {"matplotlib", "sklearn", "pandas", "pydantic", "typer", "jax", "joblib"}
    )


def test_every_public_name_is_there():
    for name in am.__all__:
        assert getattr(am, name).__name__.split(".")[-1] == name
        assert name in dir(am)
    for name in ("activations", "data", "errors"):
        assert getattr(am, name).__name__ == f"assembly.{name}"


def test_an_unknown_public_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match=r"'assembly' has no attribute 'mpl'; public names: Assembly, .*mlp"):
        am.mpl  # noqa: B018
