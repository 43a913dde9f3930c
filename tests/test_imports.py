import subprocess
import sys

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


def test_the_test_can_fail():
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
