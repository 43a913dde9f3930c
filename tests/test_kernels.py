import os
import subprocess
import sys

import numpy as np
import pytest

from assembly import kernels
from assembly.kernels import activation, sampling

NAMED = "kernels-"


def test_machine_code_lives_in_a_folder_named_after_the_sources(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    folder = kernels.cache_directory()
    assert folder.is_dir()
    assert folder.is_relative_to(tmp_path)
    assert folder.name.startswith(NAMED)
    assert kernels.cache_directory() == folder
    monkeypatch.setattr(kernels.np, "__version__", "0.0")
    assert kernels.cache_directory() != folder


def test_an_edited_helper_gives_another_folder(monkeypatch, tmp_path):
    """numba stamps a kernel with its own file only: an edit of a helper in another file must not leave old code."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "helper.py").write_text("a = 1\n")
    monkeypatch.setattr(kernels, "__file__", str(package / "__init__.py"))
    before = kernels.cache_directory()
    (package / "helper.py").write_text("a = 2\n")
    assert kernels.cache_directory() != before


def test_a_folder_that_cannot_be_written_is_passed_over(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(kernels.tempfile, "gettempdir", lambda: str(tmp_path / "elsewhere"))
    assert kernels.cache_directory().is_relative_to(tmp_path / "elsewhere")
    monkeypatch.setattr(kernels.tempfile, "gettempdir", lambda: str(tmp_path / "file"))
    monkeypatch.setattr(kernels.tempfile, "mkdtemp", lambda prefix: str(tmp_path / prefix))
    assert kernels.cache_directory() == tmp_path / "assembly-"


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") != "0", reason="nothing is compiled with NUMBA_DISABLE_JIT"
)
def test_kernels_are_compiled_once_for_all_processes(tmp_path):
    code = (
        "import assembly as am; from assembly import kernels; print(kernels.is_compiled());"
        "am.mlp(2, [3])([1.0, 2.0]); print(kernels.is_compiled());"
        "from assembly.kernels import activation; print(sum(activation.activate.stats.cache_hits.values()))"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}

    def run() -> list[str]:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        return done.stdout.split()

    assert run() == ["False", "True", "0"]
    assert run() == ["True", "True", "1"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", activation.NAMES)
def test_a_range_of_one_function_and_a_mixed_one_have_the_same_values(name, dtype):
    """A range of tanh alone goes through a loop of its own, several values at once; nothing beyond it is touched."""
    pre = np.random.default_rng(0).normal(scale=3.0, size=(3, 50)).astype(dtype)
    codes, odd = np.full(50, activation.code_of(name)), np.arange(50) % 2 == 1
    whole, part, mixed = (np.full((2, 3, 50), np.nan, dtype) for _ in range(3))
    activation.activate(codes, pre, *whole, 0, 50)
    activation.activate(codes, pre, *part, 7, 41)
    activation.activate(np.where(odd, activation.RELU, codes), pre, *mixed, 7, 41)
    for found, nodes in ((part, np.arange(7, 41)), (mixed, np.arange(8, 41, 2))):
        np.testing.assert_array_equal(found[..., nodes], whole[..., nodes])
        assert np.isnan(found[..., :7]).all()
        assert np.isnan(found[..., 41:]).all()
    np.testing.assert_array_equal(mixed[0][:, 7:41:2], np.maximum(pre[:, 7:41:2], 0.0))
    one_by_one = np.array([[activation.jet(codes[0], z)[:2] for z in row] for row in pre.astype(float)])
    if (name, dtype) == ("tanh", np.float32):  # which is computed in float32
        np.testing.assert_allclose(whole, one_by_one.transpose(2, 0, 1), rtol=6 * 2.0**-24)
    else:
        np.testing.assert_array_equal(whole, one_by_one.transpose(2, 0, 1).astype(dtype))


def test_tanh_in_single_precision_to_a_few_units_in_the_last_place():
    """On both sides of where the formula changes, and of where the derivative is 0 from."""
    beside = np.nextafter(np.float32([0.625, 0.625, 43.5]), np.float32([0.0, 1.0, 0.0]))
    z = np.concatenate([np.geomspace(1e-37, 43.0, 2000), np.linspace(0.5, 0.7, 500), np.linspace(0.0, 20.0, 2000)])
    z = np.concatenate([z.astype(np.float32), beside])[None]
    codes, exact = np.full(z.shape[1], activation.TANH), z.astype(float)
    for sign in (1, -1):
        value, first = np.full_like(z, np.nan), np.full_like(z, np.nan)
        activation.activate(codes, sign * z, value, first, 0, z.shape[1])
        np.testing.assert_allclose(value, sign * np.tanh(exact), rtol=4 * 2.0**-24)
        np.testing.assert_allclose(first, np.cosh(exact) ** -2.0, rtol=6 * 2.0**-24)


def test_tanh_in_single_precision_of_what_is_far_infinite_or_nothing():
    z = np.array([[43.6, -1e30, np.inf, -np.inf, np.nan]], np.float32)
    value, first = np.empty_like(z), np.empty_like(z)
    with np.errstate(over="ignore", invalid="ignore"):
        activation.activate(np.full(5, activation.TANH), z, value, first, 0, 5)
    np.testing.assert_array_equal(value, [[1.0, -1.0, 1.0, -1.0, np.nan]])
    np.testing.assert_array_equal(first, [[0.0, 0.0, 0.0, 0.0, np.nan]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_found_within_its_range(bad, dtype):
    values = np.full((3, 10), np.finfo(dtype).max, dtype)
    values[1, 6] = bad
    found = [activation.all_finite(values, start, stop) for start, stop in ((0, 10), (6, 7), (0, 6), (7, 10), (4, 4))]
    assert found == [False, False, True, True, True]


def test_codes_of_names():
    assert activation.codes_of(("tanh", "relu", "tanh")).tolist() == [activation.TANH, activation.RELU, activation.TANH]
    assert [activation.code_of(name) for name in activation.NAMES] == list(range(len(activation.NAMES)))


def floyd(uniform, required, n_pool):
    """Parents by Floyd's algorithm on the list of all that are not required."""
    free = [neuron for neuron in range(n_pool) if neuron not in required]
    n_drawn = len(uniform) - len(required)
    ranks = set()
    for e in range(n_drawn):
        last = len(free) - n_drawn + e
        rank = int(uniform[len(required) + e] * (last + 1))
        ranks.add(last if rank in ranks else rank)
    return {*required, *(free[rank] for rank in ranks)}


@pytest.mark.parametrize(("n_pool", "in_degree"), [(7, 3), (7, 7), (12, 5), (3, 2)])
def test_parents_are_those_of_floyds_algorithm_beside_the_required(n_pool, in_degree):
    rng = np.random.default_rng(n_pool)
    n_target = 40
    required = np.concatenate([rng.permutation(n_pool)[:2] for _ in range(n_target)]).reshape(n_target, 2).T.ravel()
    uniform, marks = rng.random((n_target, in_degree)), np.zeros(n_pool, dtype=bool)
    out = np.empty((n_target, in_degree), dtype=np.int32)
    sampling.fill_parents(uniform, required, n_pool, 0, n_target, marks, out)
    assert not marks.any()
    for v in range(n_target):
        assert set(out[v].tolist()) == floyd(uniform[v], set(required[[v, v + n_target]].tolist()), n_pool)
