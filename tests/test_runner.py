import dataclasses
import math
import os
import random
import re
import signal
import sqlite3
import time

import pytest

import assembly
import study_points
from assembly import kernels
from assembly.errors import ArgumentError, ConfigurationError, DataError, ResourceError, ResultsError
from assembly.study import design, runner, store
from assembly.study.reading import load, override, parse
from assembly.study.runner import Progress, check_memory, check_study, run_study
from study_cases import N_POINTS, STUDY, start, table, write_study


@pytest.fixture
def small(tmp_path):
    return load(write_study(tmp_path))


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_LOG", str(tmp_path / "log"))
    (tmp_path / "log").touch()
    return lambda: (tmp_path / "log").read_text().split()


def keys_on_disk(folder):
    if not (folder / store.RESULTS).exists():
        return set()
    connection = sqlite3.connect(folder / store.RESULTS)
    try:
        return {key for (key,) in connection.execute("SELECT key FROM points")}
    except sqlite3.OperationalError:  # killed before the tables were made
        return set()
    finally:
        connection.close()


def test_a_study_returns_and_writes_every_point(small, tmp_path):
    result = run_study(small, tmp_path / "out", 1, function=study_points.measure)
    assert (len(result.rows), result.n_computed, result.n_reused, result.failures) == (N_POINTS, N_POINTS, 0, [])
    widths, replicates = result.values("bottleneck", "q_infinity")
    assert widths == [8, 16, 32, 80]
    assert [len(values) for values in replicates] == [4, 4, 4, 4]
    assert math.isnan(replicates[0][1])
    assert sorted(os.listdir(tmp_path / "out")) == [".lock", "results.csv", "results.sqlite", "study.toml"]
    assert load(tmp_path / "out" / "study.toml") == small
    lines = (tmp_path / "out" / "results.csv").read_text().splitlines()
    assert len(lines) == N_POINTS + 1
    assert lines[1].startswith("network,8,0,")
    assert lines[-1].startswith("bottleneck,80,3,")
    assert [line.split(",")[0] for line in lines[1:]] == ["network"] * 16 + ["bottleneck"] * 16


def test_a_second_run_recomputes_nothing_and_returns_the_same(small, tmp_path, log):
    first = run_study(small, tmp_path / "out", 1, function=study_points.measure)
    text = (tmp_path / "out" / "results.csv").read_bytes()
    second = run_study(small, tmp_path / "out", 2, function=study_points.measure)
    assert (second.n_computed, second.n_reused) == (0, N_POINTS)
    assert repr(second.rows) == repr(first.rows)
    assert (tmp_path / "out" / "results.csv").read_bytes() == text
    assert len(log()) == N_POINTS


def test_a_longer_study_computes_only_what_is_new(small, tmp_path, log):
    run_study(override(small, seeds=3), tmp_path / "out", 1, function=study_points.measure)
    result = run_study(small, tmp_path / "out", 1, function=study_points.measure)
    assert (result.n_reused, result.n_computed) == (24, 8)
    assert len(set(log())) == len(log()) == N_POINTS
    run_study(small, tmp_path / "fresh", 1, function=study_points.measure)
    assert (tmp_path / "out/results.csv").read_bytes() == (tmp_path / "fresh/results.csv").read_bytes()


def test_another_version_of_the_package_computes_afresh(small, tmp_path, monkeypatch):
    run_study(small, tmp_path / "out", 1, function=study_points.measure)
    points = design.points
    monkeypatch.setattr(
        design, "points", lambda *a: [dataclasses.replace(point, version="9.9.9") for point in points(*a)]
    )
    result = run_study(small, tmp_path / "out", 1, function=study_points.measure)
    assert (result.n_reused, result.n_computed, len(result.rows)) == (0, N_POINTS, N_POINTS)
    assert design.Point.version == assembly.__version__


def test_failures_are_reported_and_tried_again(small, tmp_path):
    result = run_study(small, tmp_path / "out", 1, function=study_points.fails)
    assert (len(result.failures), len(result.rows), result.n_computed) == (8, 24, 24)
    point, reason = result.failures[0]
    assert (point.seed, reason) == (1, "The 'seed' argument must not be 1. Got 1.")
    again = run_study(small, tmp_path / "out", 1, function=study_points.measure)
    assert (again.failures, again.n_reused, again.n_computed) == ([], 24, 8)


def test_notes_tell_of_few_seeds_and_of_warnings_also_after_resuming(small, tmp_path):
    for _ in range(2):
        result = run_study(small, tmp_path / "out", 1, function=study_points.warns)
        assert result.notes[0].startswith("4 seeds at each width: with fewer than 10")
        assert result.notes[1] == f"{N_POINTS} points warned: something to know"
    assert run_study(override(small, seeds=10), tmp_path / "ten", 1, function=study_points.measure).notes == ()


def test_progress_counts_up_and_estimates(small, tmp_path):
    seen: list[Progress] = []
    run_study(small, tmp_path / "out", 1, seen.append, function=study_points.measure)
    assert seen[0].stage == ("starting" if kernels.is_compiled() else "compiling")
    assert [progress.n_done for progress in seen] == list(range(N_POINTS + 1))
    assert {progress.stage for progress in seen[1:]} == {"measuring"}
    assert seen[1].remaining is None
    assert all(progress.remaining > 0 for progress in seen[2:-1])
    assert seen[-1].remaining == 0
    again: list[Progress] = []
    run_study(small, tmp_path / "out", 1, again.append, function=study_points.measure)
    assert again == []


def test_the_estimate_grows_with_the_weights_left(small):
    points = design.points(small, table())
    seconds = {point.key: 1.0 for point in points if point.width < 80}
    seen = []
    clock = runner._Clock(points, seconds, 2, time.perf_counter(), seen.append)
    clock.begin(is_compiled=True)
    assert 4.0 < seen[0].remaining < 5.0  # eight points on two workers, a little above a second each


def test_parquet_is_refused_before_anything_is_computed(small, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match="assembly-perspective"):
        run_study(small, tmp_path / "out", 1, parquet=True, function=study_points.measure)
    assert not (tmp_path / "out").exists()


def test_parquet_is_written_if_asked_for(small, tmp_path):
    pytest.importorskip("pyarrow")
    run_study(small, tmp_path / "out", 1, parquet=True, function=study_points.measure)
    assert (tmp_path / "out" / "results.parquet").exists()


def test_data_that_cannot_be_read_leave_no_folder(small, tmp_path):
    (tmp_path / "table.npy").unlink()
    with pytest.raises(DataError, match="does not exist"):
        run_study(small, tmp_path / "out", 1, function=study_points.measure)
    assert not (tmp_path / "out").exists()


def test_changed_data_are_refused(small, tmp_path):
    import numpy as np

    run_study(small, tmp_path / "out", 1, function=study_points.measure)
    np.save(tmp_path / "table.npy", np.load(tmp_path / "table.npy") + 1e-12)
    with pytest.raises(ResultsError, match="other data"):
        run_study(small, tmp_path / "out", 1, function=study_points.measure)


def test_memory_is_forecast_from_the_weights_and_refused_in_bytes(small):
    points = design.points(override(small, widths=[8, 16, 32, 8192]), table())
    n_weights = 6 * 8192 + 8192**2 + 8192
    vectors = runner.VECTORS * 2 * (6 + 2 * 8192 + 1)
    need = 8 * (9 * n_weights + vectors) + runner.BYTES_PER_WORKER  # no Gram matrices: the layers are too large
    assert runner.memory_needed(points[-2]) == need
    other = runner.memory_needed(points[-1])
    check_memory(points[-2:-1] * 2, 2, available=2 * need)
    assert other < need
    with pytest.raises(
        ResourceError, match=rf"{2 * need} bytes .*, {2 * need - 1} .* are free: use --workers 1"
    ) as caught:
        check_memory(points[-2:-1] * 2, 2, available=2 * need - 1)
    assert "\n" not in str(caught.value)
    with pytest.raises(ResourceError, match="use smaller widths"):
        check_memory(points[-2:-1] * 2, 2, available=need - 1)


def test_memory_is_forecast_for_what_is_measured(small):
    """Moving a network along a direction takes copies of it, cosines take Gram matrices; neither if not asked for."""
    one = design.points(override(small, widths=[8, 16, 32, 512]), table())[-2]

    def needed(*quantities):
        settings = dataclasses.replace(one.settings, quantities=quantities)
        return runner.memory_needed(dataclasses.replace(one, settings=settings)) - runner.BYTES_PER_WORKER

    n_weights, n_nodes = 6 * 512 + 512**2 + 512, 6 + 2 * 512 + 1
    least = 8 * (3 * n_weights + runner.VECTORS * 2 * n_nodes)
    assert needed("hessian_norm", "kernel_norm") == least
    assert needed("hessian_norm", "remainder_random") == least + 8 * 6 * n_weights
    assert needed("hessian_norm", "kernel_change_top_eigenvector") == least + 8 * 6 * n_weights
    assert needed("rms_cosine_layer_{l}") == least + 8 * (2 + 6) * 512**2
    assert needed() == least + 8 * (6 * n_weights + 8 * 512**2)


def test_the_estimate_of_the_time_counts_edges_not_weights(small):
    """A convolution of few weights at many pixels takes longer than its weights say."""
    text = STUDY.replace('hidden = ["m", "m"]', 'builder = "cnn"').replace("n_measured", "shape = [2, 3]\nn_measured")
    points = [one for one in design.points(parse(text), table()) if one.architecture == "network"]
    sizes = {one.width: runner.size_of(one) for one in points}
    assert sizes[32].n_edges > 5 * sizes[32].n_weights
    clock = runner._Clock(points, {}, 1, 0.0, None)
    family = runner._family(points[-1])
    ratio = clock._expected(family, points[-1].width, {family: {8: 1.0}}, 1.0)
    assert ratio == pytest.approx((sizes[80].n_edges + runner._OVERHEAD) / (sizes[8].n_edges + runner._OVERHEAD))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('builder = "tied"\ncopies_exponent = 0.5\nwidths = [8, 16, 32, 100]', "cannot be built at width 100"),
        ('builder = "few_active"\nn_active = 9', "cannot be built at width 8"),
        ('output_activation = "softmax"', "'network' cannot be built at width 8. The 'n_outputs' argument must be at"),
        ('builder = "random_dag"\nlayer_width = 4', "cannot be built at width 8"),
        ('builder = "cnn"\npool = 4', "cannot be built at width 8. The 'pool' argument"),
        ('builder = "cnn"\nkernel = 2', "can be 'same' for odd kernels only"),
    ],
)
def test_what_cannot_be_built_is_refused_before_anything_is_computed(tmp_path, keys, message):
    text = STUDY.replace('hidden = ["m", "m"]', keys, 1).replace("n_measured", "shape = [1, 5]\nn_measured")
    study = load(write_study(tmp_path, text))
    for begin in (
        lambda: check_study(study),
        lambda: run_study(study, tmp_path / "out", function=study_points.measure),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(message)) as caught:
            begin()
        assert str(caught.value).startswith("small: ")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_shape_that_is_not_that_of_the_data_is_refused(tmp_path):
    study = load(write_study(tmp_path, STUDY.replace("n_measured", "shape = [2, 4]\nn_measured")))
    with pytest.raises(ConfigurationError, match=r"'data.shape' key must have the 5 columns .* Got \[2, 4\]"):
        check_study(study)


@pytest.mark.parametrize(
    ("builder", "quantity", "is_there"),
    [
        ("resnet", "rms_cosine_layer_4", True),
        ("resnet", "rms_cosine_layer_3", False),  # a sum, without trainable in-edges
        ("resnet", "largest_share_layer_6", False),  # the output is layer 6
        ("cnn", "rms_cosine_layer_1", True),  # kernels are shared
        ("committee", "rms_cosine_layer_1", False),
    ],
)
def test_claims_on_layers_are_held_against_a_network(tmp_path, builder, quantity, is_there):
    text = STUDY.replace('hidden = ["m", "m"]', f'builder = "{builder}"', 1).replace("hessian_norm", quantity)
    study = load(write_study(tmp_path, text))
    if is_there:
        check_study(study)
        return
    with pytest.raises(ConfigurationError, match=f"small: '{quantity}' is claimed and not measured for 'network'"):
        check_study(study)


def test_a_study_too_large_for_any_machine_is_refused_politely(small, tmp_path):
    with pytest.raises(ResourceError, match="bytes"):
        run_study(override(small, widths=[8, 16, 32, 10**9]), tmp_path / "out", 1, function=study_points.measure)
    result = run_study(small, tmp_path / "out", 1, function=study_points.measure)  # the folder is as good as before
    assert len(result.rows) == N_POINTS


# --- killed, stopped, resumed -----------------------------------------------------------------------------------------


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(entry))
    return found


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.exists("/proc"), reason="needs /proc")
def test_killed_at_random_moments_then_resumed_equals_an_uninterrupted_run(tmp_path):
    toml = write_study(tmp_path, STUDY.replace("seeds = 4", "seeds = 8"))
    uninterrupted, folder, log = tmp_path / "uninterrupted", tmp_path / "out", tmp_path / "log"
    run_study(load(toml), uninterrupted, 1, function=study_points.measure)
    chance = random.Random(0)
    n_before = []
    for workers in (2, 1, 3, 2, 1, 2):
        log.write_text("")
        before = keys_on_disk(folder)
        n_before.append(len(before))
        process = start("slowly", "run", toml, folder, workers, folder=tmp_path, STUDY_LOG=log)
        wait_until(lambda process=process: log.stat().st_size or process.poll() is not None)
        time.sleep(chance.uniform(0.0, 0.4))
        children = children_of(process.pid)
        process.kill()
        process.wait()
        try:
            wait_until(lambda children=children: not any(is_running(pid) for pid in children), seconds=5.0)
        finally:
            for pid in filter(is_running, children):
                os.kill(pid, signal.SIGKILL)
        process.communicate()
        assert before <= keys_on_disk(folder)
        assert not before & set(log.read_text().split()), "a finished point was computed again"
    assert n_before[0] == 0 < n_before[-1]
    log.write_text("")
    before = keys_on_disk(folder)
    process = start("measure", "run", toml, folder, 2, folder=tmp_path, STUDY_LOG=log)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert output == f"{len(before)} {64 - len(before)} 0\n"
    assert not before & set(log.read_text().split())
    assert (folder / "results.csv").read_bytes() == (uninterrupted / "results.csv").read_bytes()


def wait_until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
