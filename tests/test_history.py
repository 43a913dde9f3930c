"""Histories and checkpoints: nothing is lost, and a run goes on bit for bit as if it had not been stopped."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import assembly as am
import assembly.dynamics.train as train_module
from assembly.dynamics import interrupts
from assembly.errors import DataError, DivergenceError, ResultsError, TrainingInterrupted, UnknownNameError

RNG = np.random.default_rng(11)
X, Y = RNG.normal(size=(10, 4)), np.sign(RNG.normal(size=10))
WAYS = {
    "plain": {},
    "momentum": {"momentum": 0.7, "step_size": 0.1},
    "batches and noise": {"batch_size": 3, "noise": 0.01, "weight_decay": 0.01, "step_size": 0.05},
    "flow": {"method": "gradient_flow", "step_size": 0.2},
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def network(dtype="float64"):
    return am.mlp(4, [40, 30], seed=0, dtype=dtype)


def assert_same(one, other):
    for left, right in ((one.table, other.table), (one.outputs, other.outputs), (one.test_outputs, other.test_outputs)):
        assert list(left) == list(right)
        for name, values in left.items():
            np.testing.assert_array_equal(right[name], values, err_msg=name)
    np.testing.assert_array_equal(one.parameters, other.parameters)
    assert (one.status, one.note, one.settings) == (other.status, other.note, other.settings)


@ways
def test_a_run_goes_on_bit_for_bit(way, tmp_path):
    options = {"every": 5, "X_test": X[:2], "beside": ("linearized", "quadratic"), **way}
    whole = am.train(network(), X, Y, n_steps=30, **options)
    for first in (5, 15) if way.get("method") else (5, 7, 15, 23):
        path = tmp_path / f"{first}.npz"
        am.train(network(), X, Y, n_steps=first, checkpoint=path, **options)
        assert_same(am.train(network(), X, Y, n_steps=30, checkpoint=path, **options), whole)


def test_stopped_between_two_records_it_goes_on_bit_for_bit(tmp_path):
    options = {"n_steps": 40, "every": 20, "momentum": 0.5, "step_size": 0.1}
    whole, path, steps = am.train(network(), X, Y, **options), tmp_path / "run.npz", []
    original = am.dynamics.motion.Moving.step

    def stopped(self, number):
        steps.append(number)
        if number == 26:
            signal.raise_signal(signal.SIGINT)
        return original(self, number)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("assembly.dynamics.motion.Moving.step", stopped)
        with pytest.raises(TrainingInterrupted, match=r"stopped after step \d+\. The same call goes on") as caught:
            am.train(network(), X, Y, checkpoint=path, **options)
    assert caught.value.history.status == am.load_history(path).status == "interrupted"
    assert max(steps) == 26
    assert_same(am.train(network(), X, Y, checkpoint=path, **options), whole)


def test_a_killed_process_loses_at_most_what_came_after_its_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    script = f"""
import numpy as np, assembly as am
from assembly.dynamics import checkpoints
checkpoints.SECONDS_BETWEEN, checkpoints.PACE = 0.0, 0.0
rng = np.random.default_rng(11)
X, Y = rng.normal(size=(10, 4)), np.sign(rng.normal(size=10))
am.train(am.mlp(4, [40, 30], seed=0), X, Y, n_steps=100_000, every=10, record=("distance",), checkpoint={str(path)!r})
"""
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120.0
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    process.kill()
    process.wait()
    reached = int(am.load_history(path)["step"][-1])
    n_steps = reached + 25
    options = {"n_steps": n_steps, "every": 10, "record": ("distance",)}
    resumed = am.train(network(), X, Y, checkpoint=path, **options)
    assert_same(resumed, am.train(network(), X, Y, **options))


def test_a_run_that_is_complete_is_read_and_not_made_again(tmp_path, monkeypatch):
    path, options = tmp_path / "run.npz", {"n_steps": 10}
    whole = am.train(network(), X, Y, checkpoint=path, **options)

    def never(self, number):
        raise AssertionError

    monkeypatch.setattr("assembly.dynamics.motion.Moving.step", never)
    assert_same(am.train(network(), X, Y, checkpoint=path, **options), whole)


def test_a_run_of_default_records_goes_on_to_more_steps(tmp_path):
    path = tmp_path / "run.npz"
    am.train(network(), X, Y, n_steps=40, checkpoint=path)
    more = am.train(network(), X, Y, n_steps=80, checkpoint=path)
    assert_same(more, am.train(network(), X, Y, n_steps=80, every=2))
    with pytest.raises(ResultsError, match="has made 80 steps, more than the 20 wanted"):
        am.train(network(), X, Y, n_steps=20, checkpoint=path)


def test_networks_that_look_alike_are_told_apart(tmp_path):
    pairs = [
        [am.mlp(4, [6], readout=law, trainable_readout=False, seed=0) for law in ("gaussian", "sign")],
        [am.random_dag(4, 2, 12, 3, seed=seed) for seed in (0, 1)],
    ]
    for i, (one, other) in enumerate(pairs):
        other = am.Assembly.from_graph(other.graph, one.parameters.copy())
        assert repr(one) == repr(other)
        options = {"n_steps": 2, "step_size": 0.01, "checkpoint": tmp_path / f"{i}.npz", "record": ()}
        am.train(one, X, Y, **options)
        with pytest.raises(ResultsError, match="belongs to a run with another network or other data"):
            am.train(other, X, Y, **options)


def test_another_activation_function_is_another_run(tmp_path):
    options = {"n_steps": 2, "step_size": 0.01, "checkpoint": tmp_path / "run.npz", "record": ()}
    am.train(am.mlp(4, [6], "tanh", seed=0), X, Y, **options)
    with pytest.raises(ResultsError, match="belongs to a run with another network or other data"):
        am.train(am.mlp(4, [6], "erf", seed=0), X, Y, **options)


@pytest.mark.parametrize(
    "change",
    [
        {"step_size": 0.01},
        {"loss": "logistic"},
        {"seed": 1},
        {"beside": ()},
        {"y": -Y},
        {"X": X + 1.0},
        {"net": am.mlp(4, [40, 30], seed=1)},
    ],
    ids=str,
)
def test_a_checkpoint_of_another_run_is_refused(change, tmp_path):
    path, options = tmp_path / "run.npz", {"net": network(), "X": X, "y": Y, "n_steps": 4}
    am.train(**options, checkpoint=path)
    content = path.read_bytes()
    (name,) = change
    other = "another network or other data" if name in ("net", "X", "y") else rf"other settings \({name}\)"
    with pytest.raises(ResultsError, match=f"belongs to a run with {other}: give another path"):
        am.train(**{**options, **change}, checkpoint=path)
    assert path.read_bytes() == content


def test_a_checkpoint_of_other_tests_is_refused(tmp_path):
    options = {"n_steps": 4, "X_test": X[:3], "y_test": Y[:3], "record": (), "checkpoint": tmp_path / "run.npz"}
    am.train(network(), X, Y, **options)
    for change in ({"X_test": X[1:4]}, {"y_test": -Y[:3]}, {"y_test": None}):
        with pytest.raises(ResultsError, match="belongs to a run with another network or other data"):
            am.train(network(), X, Y, **{**options, **change})


def test_files_that_are_no_checkpoint_are_refused(tmp_path):
    path = tmp_path / "run.npz"
    run = am.train(network(), X, Y, n_steps=4, checkpoint=path)
    whole = path.read_bytes()
    for content in (whole[:-200], whole[:100], b"", b"text", bytes(len(whole))):
        path.write_bytes(content)
        for read in (am.load_history, lambda at: am.train(network(), X, Y, n_steps=4, checkpoint=at)):
            with pytest.raises(DataError, match="no complete history"):
                read(path)
    with pytest.raises(DataError, match="does not exist"):
        am.load_history(tmp_path / "none.npz")
    np.savez(path, a=np.zeros(3))
    with pytest.raises(DataError, match="no complete history"):
        am.load_history(path)
    other = tmp_path / "history.npz"
    run.save(other)
    with pytest.raises(ResultsError, match="belongs to a run"):
        am.train(network(), X, Y, n_steps=4, checkpoint=other)


def test_a_history_is_saved_and_read_again(tmp_path):
    run = am.train(network("float32"), X, Y, n_steps=6, every=2, X_test=X[:3])
    run.save(tmp_path / "a" / "history.npz")
    assert_same(am.load_history(tmp_path / "a" / "history.npz"), run)
    run.to_csv(tmp_path / "history.csv")
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0].split(",") == list(run.table)
    np.testing.assert_array_equal(np.loadtxt(lines[1:], delimiter=","), np.array(list(run.table.values())).T)


def test_a_full_disk_leaves_the_checkpoint_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    am.train(network(), X, Y, n_steps=4, checkpoint=path)
    content = path.read_bytes()

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("assembly.dynamics.history.write_atomically", full)
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        am.train(network(), X, Y, n_steps=8, every=1, checkpoint=path)
    assert path.read_bytes() == content


def test_a_run_that_diverges_leaves_its_history(tmp_path):
    path = tmp_path / "run.npz"
    with pytest.raises(DivergenceError):
        am.train(network(), X, Y, n_steps=500, every=1, step_size=30.0, record=(), checkpoint=path)
    history = am.load_history(tmp_path / "run.diverged.npz")
    assert history.status == "diverged"
    assert "Try a step size of" in history.note


def test_unknown_columns_are_refused():
    run = am.train(network(), X, Y, n_steps=2, record=())
    with pytest.raises(UnknownNameError, match=r"no column 'los'; it has step, time, loss.*Did you mean 'loss'"):
        run["los"]
    with pytest.raises(UnknownNameError, match="no column 'nothing'"):
        run.meaning("nothing")


def test_a_history_without_a_record_says_so():
    empty = am.History({}, {}, {}, np.zeros(2), "interrupted")
    assert (len(empty), repr(empty)) == (0, "History: no record, interrupted")


def test_signals_wait_and_handlers_come_back():
    before = signal.getsignal(signal.SIGINT)
    with interrupts.deferred() as caught:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        assert caught == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is before
    found = []
    thread = threading.Thread(target=lambda: found.append(am.train(network(), X, Y, n_steps=2, record=()).status))
    thread.start()
    thread.join()
    assert found == ["finished"]


def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path):
    path = tmp_path / "run.npz"
    am.train(network(), X, Y, n_steps=4, record=(), checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"run\.npz' is no complete history: it is damaged.*remove it to begin anew"):
        am.train(network(), X, Y, n_steps=8, record=(), checkpoint=path)


def test_an_array_marked_as_encrypted_is_damage_too(tmp_path):
    path = tmp_path / "run.npz"
    am.train(network(), X, Y, n_steps=4, record=(), checkpoint=path)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="it is damaged"):
        am.load_history(path)


@pytest.mark.parametrize("column", ["losss", "loss_", "loss_other", "kernel_change_linearized", "rms_cosine_layer_0"])
def test_what_only_begins_like_a_column_has_no_meaning(column):
    with pytest.raises(UnknownNameError, match=f"no column '{column}'"):
        am.History.meaning(column)


def test_the_flow_tells_the_time_it_has_reached_between_records():
    told = []
    options = {"method": "gradient_flow", "n_steps": 4000, "every": 4000, "record": (), "beside": ("linearized",)}
    run = am.train(network(), X, Y, on_progress=told.append, **options)
    assert told[-1].time == told[-1].end == run["time"][-1]
    assert str(told[0]).startswith("time 0 of ")


def test_the_time_reached_rises_while_no_record_is_made(monkeypatch):
    seen = []
    real = train_module._teller
    monkeypatch.setattr(train_module, "_teller", lambda *given: lambda run: (seen.append(run.reached), real(*given)))
    options = {"method": "gradient_flow", "n_steps": 40, "every": 40, "record": (), "beside": ("linearized",)}
    am.train(network(), X, Y, **options)
    within = seen[1:-1]
    assert len(set(within)) > 4
    assert (np.diff(within) >= 0.0).all()
    np.testing.assert_allclose(within[-1], 40.0, rtol=1e-12)
    assert any(abs(one - 20.0) < 1e-9 for one in within)  # the network is through, the linearised model begins
