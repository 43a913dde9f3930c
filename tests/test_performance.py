"""The benchmarks: their arithmetic with sides that are made up, and the page that shows what they found."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from table_pages import script

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "background" / "performance.md"
sys.path.insert(0, str(ROOT / "benchmarks"))

from speed import arithmetic, asks, jobs, networks, process, record, rounds, tables, three_term, truth, worker  # noqa: E402


@pytest.fixture(scope="module")
def generator():
    return script("performance")


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_is_what_the_numbers_make_it(generator):
    text = PAGE.read_text("utf-8")
    assert generator.page(text, record.read(generator.NUMBERS)) == text


def test_another_number_makes_another_page(generator):
    """The test above can fail."""
    text, one = PAGE.read_text("utf-8"), {"norm/2x1024/float64": made_up()}
    first = generator.page(text, one)
    assert first != text
    one["norm/2x1024/float64"]["sides"]["jax-lanczos"]["seconds"] = 9.0
    assert generator.page(text, one) != first


@pytest.mark.parametrize("source", ["PRECISION", "FORECASTS", "PROFILES"])
def test_so_does_another_number_beside_them(generator, source, tmp_path, monkeypatch):
    text = PAGE.read_text("utf-8")
    numbers = getattr(generator, source)
    changed = tmp_path / numbers.name
    first = "single,mlp,hessian_norm,-0.4" if source == "PRECISION" else None
    content = numbers.read_text("utf-8")
    if first:
        assert first in content
        changed.write_text(content.replace(first, "single,mlp,hessian_norm,-0.3"), "utf-8")
    else:
        rows = json.loads(content)
        for row in rows:
            row.update({"forecast": 9.0} if source == "FORECASTS" and "forecast" in row else {})
            for one in row.get("functions", []):
                one["share"] /= 2.0
        changed.write_text(json.dumps(rows), "utf-8")
    monkeypatch.setattr(generator, source, changed)
    assert generator.page(text, record.read(generator.NUMBERS)) != text


def test_a_page_without_marks_is_refused(generator):
    with pytest.raises(ValueError, match="must hold"):
        generator.page("nothing here", {})


def test_every_ask_that_is_not_met_is_explained(generator):
    text = PAGE.read_text("utf-8").split("## What stands in the way")[1].split("\n## ")[0]
    unmet = [ask.name for ask, _, verdict in asks.verdicts(record.read(generator.NUMBERS)) if verdict == "not met"]
    assert [name for name in unmet if f"**{name}**" not in text] == []


def test_every_ask_is_about_a_case_and_a_side_that_exist():
    known = {case.name: case for case in jobs.cases()}
    assert {ask.case for ask in asks.ASKS} <= set(known)
    for ask in asks.ASKS:
        case = known[ask.case]
        sides = {side.key: {"label": side.label, **timed(1.0)} for side in case.sides}
        some = {"sides": sides, "network": {"dtype": case.network.dtype}, "n_parameters": 10, "limit": 60.0}
        for side in sides.values():
            side |= {"bytes_read": 8, "passes": {"M": {"bytes_read": 8, "seconds": 1.0}}}
        found, _ = ask.judge({**some, "read_bandwidth": 10.0})
        assert found


def test_the_names_of_cases_are_unique_and_begin_with_their_job():
    every = jobs.cases()
    assert len({case.name for case in every}) == len(every)
    assert all(case.name.split("/")[0] == case.job for case in every)
    assert {case.job for case in every} == {case.job for case in every if case.is_quick} == set(tables.JOBS)
    for case in every:
        keys = [side.key for side in case.sides]
        assert len(set(keys)) == len(keys)
        assert keys[0].startswith("ours")


def test_cases_are_chosen_by_the_beginning_of_their_name():
    named = [case.name for case in jobs.chosen(["norm/2x1024"], quick=False)]
    assert sorted(named) == ["norm/2x1024/float32", "norm/2x1024/float64"]
    assert [case.job for case in jobs.chosen(["size"], quick=False)] == ["size"]
    assert not {"size", "edges"} & {case.job for case in jobs.chosen([], quick=False)}
    assert {"size", "edges"} <= {case.job for case in jobs.chosen([], quick=True)}
    assert all(case.is_quick for case in jobs.chosen(["norm"], quick=True))
    with pytest.raises(ValueError, match="norm/2x10'; jobs are gradient"):
        jobs.chosen(["norm/2x10"], quick=False)


# --- turns -----------------------------------------------------------------------------------------------------------


class Fake:
    """A side that writes down when it runs."""

    def __init__(self, key, log, seconds=1.0, held_bytes=0, fails_at=None):
        self.key, self.log, self.seconds, self.held_bytes, self.fails_at = key, log, seconds, held_bytes, fails_at
        self.n_runs = 0

    def run(self, limit, *, compiles=False):
        self.log.append(self.key.upper() if compiles else self.key)
        self.n_runs += 1
        if self.n_runs == self.fails_at:
            raise rounds.NoAnswerError("not finished in 60 s")
        return {"seconds": self.seconds * self.n_runs}

    def close(self):
        self.log.append(f"/{self.key}")


def outcomes_of(log, sides, **rules):
    def start(key):
        if sides[key] is None:
            raise rounds.NoAnswerError("missing: jax is not installed")
        return Fake(key, log, **sides[key])

    return rounds.measure(list(sides), start, rounds.Rules(**{"pause": 0.0, "runs": 3, **rules}))


def test_sides_run_in_turn_after_a_first_run_that_is_not_counted():
    log = []
    (found,) = outcomes_of(log, {"a": {}, "b": {"seconds": 2.0}})
    assert log == ["A", "B", "a", "b", "b", "a", "a", "b", "/a", "/b"]
    assert [one["seconds"] for one in found["a"].answers] == [2.0, 3.0, 4.0]
    assert found["b"].first["seconds"] == 2.0


def test_without_a_warm_up_every_run_is_timed():
    log = []
    (found,) = outcomes_of(log, {"a": {}}, runs=1, warms_up=False)
    assert log == ["a", "/a"]
    assert (found["a"].first, found["a"].answers) == ({}, [{"seconds": 1.0}])


def test_a_side_that_is_missing_or_stops_leaves_the_others_alone():
    log = []
    (found,) = outcomes_of(log, {"a": {}, "b": None, "c": {"fails_at": 1}, "d": {"fails_at": 3}})
    assert found["b"].reason == "missing: jax is not installed"
    assert found["c"].reason == found["d"].reason == "not finished in 60 s"
    assert log == ["A", "C", "/c", "D", "a", "d", "d", "a", "a", "/a", "/d"]
    assert (len(found["a"].answers), len(found["c"].answers), len(found["d"].answers)) == (3, 0, 1)


def test_a_slow_side_is_run_less_often():
    (found,) = outcomes_of([], {"a": {}, "b": {"seconds": 20.0}}, runs=5, limit=60.0)
    assert len(found["a"].answers) == 5
    assert [one["seconds"] for one in found["b"].answers] == [40.0, 60.0]


def test_where_memory_does_not_hold_all_the_first_side_runs_in_every_group():
    log = []
    sides = {"a": {"held_bytes": 1}, "b": {"held_bytes": 5}, "c": {"held_bytes": 5}, "d": {"held_bytes": 20}}
    groups = outcomes_of(log, sides, memory=8, runs=1)
    assert [list(group) for group in groups] == [["a", "b"], ["a", "c"], ["a", "d"]]
    assert [group["a"].group for group in groups] == [0, 1, 2]
    assert log[:4] == ["A", "B", "C", "/c"]


def test_what_groups_found_is_put_together_with_the_reference_of_each():
    case = next(case for case in jobs.cases() if case.name == "step/2x4096/float64")
    answers = [{"seconds": s, "peak_bytes": 3, "steps": 4} for s in (1.0, 5.0, 2.0)]
    reference = [{"seconds": 10.0, "peak_bytes": 3}]
    speeds = [{"seconds": 0.1, "bandwidth": b, "peak_bytes": 0} for b in (4.0, 9.0, 5.0)]
    groups = [
        {"ours-step": outcome(reference), "bandwidth": outcome(speeds)},
        {"ours-step": outcome([{"seconds": 4.0, "peak_bytes": 3}]), "ours-node-space": outcome(answers, group=1)},
    ]
    found = record.gathered(case, groups, {"ours-step": 0.5})
    assert found["read_bandwidth"] == 5.0
    assert found["sides"]["ours-step"]["seconds"] == 10.0
    assert found["sides"]["ours-step"]["error"] == 0.5
    other = found["sides"]["ours-node-space"]
    assert (other["seconds"], other["fastest"], other["slowest"], other["reference_seconds"]) == (2.0, 1.0, 5.0, 4.0)
    assert arithmetic.ratio(other, found["sides"]["ours-step"]) == 0.5  # half its own reference, not a fifth of 10 s


def outcome(answers, group=0):
    return rounds.Outcome({"seconds": 7.0}, answers, "", group)


# --- arithmetic ------------------------------------------------------------------------------------------------------


def timed(seconds, **facts):
    return {"status": "ok", "seconds": seconds, "fastest": seconds, "slowest": seconds, "peak_bytes": 80, **facts}


def made_up():
    sides = {
        "ours-norm": timed(0.1, label="ours", error=1e-12),
        "ours-pair": timed(0.2, label="ours, to", error=1e-13),
        "jax-lanczos": timed(1.0, label="JAX", error=1e-12, steps=60, residual=1e-7),
        "jax-lanczos-huge": timed(0.7, label="JAX, huge", error=1e-12),
        "pyhessian": timed(0.3, label="PyHessian", error=0.02),
        "curvlinops": {"status": "missing", "label": "curvlinops", "reason": "curvlinops is not installed"},
        "jax-eigsh": {"status": "none", "label": "eigsh", "reason": "not finished in 60 s"},
    }
    facts = {"job": "norm", "network": {"kind": "mlp", "sizes": [1024, 1024], "dtype": "float64"}, "sides": sides}
    facts |= {"n_parameters": 10, "command": "python x", "date": "2026-11-22", "limit": 60.0}
    return facts | {"machine": {"processor": "P", "cores": "2", "memory": "8 GiB"}}


def test_the_best_peer_is_the_fastest_with_a_right_answer():
    judge = asks.faster("ours-norm", 8.0, lambda key: not key.endswith("-huge"))
    text, met = judge(made_up())
    assert text.startswith("10.0 times")
    assert met
    text, met = asks.faster("ours-norm", 8.0, lambda key: True)(made_up())
    assert text.startswith("7.0 times")
    assert not met


def test_an_ask_is_not_met_by_a_wrong_answer_or_by_peers_that_are_missing():
    wrong = made_up()
    wrong["sides"]["ours-norm"]["error"] = 0.5
    assert asks.faster("ours-norm", 1.0, lambda key: True)(wrong) == ("ours: wrong", False)
    only = asks.faster("ours-norm", 8.0, lambda key: key == "curvlinops")
    alone = made_up()
    alone["sides"] = {key: alone["sides"][key] for key in ("ours-norm", "curvlinops")}
    assert not only(alone)[1]
    alone["sides"]["jax-eigsh"] = made_up()["sides"]["jax-eigsh"]
    assert only(alone)[1]  # 60 s at least, which is 600 times as long
    alone["sides"]["ours-norm"]["seconds"] = 10.0
    assert not only(alone)[1]


def test_two_sides_of_ours_are_judged_by_their_times():
    judge = asks.less("ours-norm", "ours-pair", 2.0)
    assert judge(made_up()) == ("2.0 times (ours 100 ms; ours, to 200 ms)", True)
    slower = made_up()
    slower["sides"]["ours-norm"]["seconds"] = 0.11
    assert not judge(slower)[1]
    slower["sides"]["ours-pair"] = {"status": "none", "label": "ours, to", "reason": "not finished in 60 s"}
    assert judge(slower) == ("ours, to: not finished in 60 s", False)


def test_a_short_run_is_repeated_and_its_time_is_the_mean(monkeypatch):
    """A clock that stands still but while a run is on: 30 ms each, so four of them."""
    now, runs = [0.0], []

    def run():
        now[0] += 0.03
        runs.append(now[0])
        return {"value": len(runs), "after": lambda: {"error": 0.5}}

    monkeypatch.setattr(worker.time, "perf_counter", lambda: now[0])
    found, value = worker.timed(run)
    assert len(runs) == value == 4
    assert found == {"seconds": pytest.approx(0.03), "error": 0.5}
    found, _ = worker.timed(lambda: {"value": 1, "seconds": 0.001})  # a side that has its own clock runs once
    assert found == {"seconds": 0.001}


def test_a_wrong_answer_of_ours_or_none_ends_the_command_with_an_error():
    records = {"a": made_up(), "b": made_up(), "c": made_up()}
    records["b"]["sides"]["ours-norm"]["error"] = 0.5
    records["c"]["sides"]["ours-pair"] = {"status": "none", "label": "ours, to", "reason": "not finished in 60 s"}
    assert arithmetic.unsound(records) == ["b: ours: wrong", "c: ours, to: not finished in 60 s"]


def test_memory_and_bandwidth_are_judged_against_weights_and_limit():
    assert asks.memory("ours-norm", 1.0)(made_up()) == ("1.00 times the weights", True)
    assert asks.memory("ours-norm", 0.99)(made_up())[1] is False
    step = {"sides": {"ours-step": timed(2.0, label="s", bytes_read=14)}, "read_bandwidth": 10.0}
    assert asks.limit("ours-step", 0.7)(step) == ("70% (s)", True)
    assert asks.limit("ours-step", 0.71)(step)[1] is False


def test_the_table_says_who_is_missing_who_did_not_finish_and_who_is_wrong():
    text = tables.case("norm/2x1024/float64", made_up())
    assert "| JAX | 1.00 s | 1.00 s to 1.00 s | 10.0 |" in text
    assert "| PyHessian | 300 ms | 300 ms to 300 ms | 3.00 | 0.00 MB |  |  |  | 2.0e-02, wrong |" in text
    assert "| curvlinops | missing: curvlinops is not installed |" in text
    assert "| eigsh | not finished in 60 s |" in text
    assert "`python x`; 2026-11-22, P, 2 cores, 8 GiB" in text


def test_errors():
    assert arithmetic.error([1.0, 2.2], [1.0, 2.0], by_number=True) == pytest.approx(0.1, rel=1e-12)
    assert arithmetic.error([3.0, 4.5], [3.0, 4.0], by_number=False) == pytest.approx(0.1, rel=1e-12)
    assert arithmetic.error([1.0], [1.0, 2.0], by_number=True) == math.inf


def test_exponents_are_found_with_their_error():
    sizes = np.array([10.0, 100.0, 1000.0, 10000.0])
    exponent, error = arithmetic.power_law(sizes, 3.0 * sizes**1.5)
    np.testing.assert_allclose(exponent, 1.5, rtol=1e-12)
    assert error < 1e-12
    x, y = np.log(sizes), np.log([2.0, 9.0, 40.0, 300.0])
    (expected, _), covariance = np.polyfit(x, y, 1, cov=True)
    exponent, error = arithmetic.power_law(sizes, np.exp(y))
    np.testing.assert_allclose([exponent, error], [expected, math.sqrt(covariance[0, 0])], rtol=1e-12)
    assert arithmetic.power_law([1.0, 2.0], [1.0, 2.0]) is None


def test_growth_is_fitted_over_the_cases_of_one_depth_and_precision():
    records = {}
    for width in (256, 1024, 4096):
        one = made_up()
        one["network"]["sizes"] = [width, width]
        one["n_parameters"] = width**2
        one["sides"] = {"ours-norm": timed(width / 100, label="ours") | {"peak_bytes": width**2}}
        records[f"norm/2x{width}/float64"] = one
    assert "| 2 | float64 | ours | 256 to 4096 | 0.50 ± 0.00 | 1.00 ± 0.00 |" in tables.growth(records)
    records["norm/2x4096/float64"]["sides"]["ours-norm"]["status"] = "none"
    assert tables.growth(records) == ""


def test_results_of_several_runs_add_up_in_one_file(tmp_path):
    path = tmp_path / "folder" / "performance.json"
    record.add(path, "a", {"x": 1})
    record.add(path, "b", {"x": 2})
    assert record.add(path, "a", {"x": 3}) == {"a": {"x": 3}, "b": {"x": 2}} == json.loads(path.read_text())


def test_why_a_process_ended():
    assert process.last_words("x\nnumpy._core._exceptions._ArrayMemoryError: Unable", 1, 17 * 10**9) == (
        "out of memory at 17 GB"
    )
    assert process.last_words("Trace\nValueError: no\n----\nFor simplicity, JAX", 1, 1) == "failed: ValueError: no"
    assert process.last_words("", -9, 1) == "failed: exit code -9"


# --- mathematics of the peers and of the truth -----------------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True])
def test_three_terms_find_the_largest_eigenvalue(keep):
    rng = np.random.default_rng(0)
    q, _ = np.linalg.qr(rng.standard_normal((80, 80)))
    values = np.concatenate([[-3.0], np.linspace(-1.0, 2.0, 79)])
    matrix = (q * values) @ q.T
    first = rng.standard_normal(80)
    applied = []

    def step(v, previous, beta):
        applied.append(1)
        w = matrix @ v - (0.0 if previous is None else beta * previous)
        alpha = w @ v
        w = w - alpha * v
        return w / np.linalg.norm(w), alpha, np.linalg.norm(w)

    def residual(vector, value):
        applied.append(1)
        return float(np.linalg.norm(matrix @ vector - value * vector) / np.linalg.norm(vector) / abs(value))

    found = three_term.iterate(
        lambda: first / np.linalg.norm(first),
        step,
        lambda total, c, v: c * v if total is None else total + c * v,
        residual,
        1e-6,
        keep,
    )
    np.testing.assert_allclose(found["value"], 3.0, rtol=1e-10)
    assert found["residual"] < 1e-6
    assert found["steps"] == len(applied)


@pytest.mark.parametrize(
    ("kind", "sizes"), [("mlp", (7, 6)), ("mlp", (5,)), ("dag", (2, 20, 8)), ("uneven", (3, 15, 6))]
)
def test_the_truth_of_gradients_and_products_is_that_of_differences(kind, sizes, tmp_path):
    """In extended precision: the gradient by differences of the value, the product by differences of the gradient."""
    networks.write(networks.Network(kind, sizes), tmp_path)
    weights = networks.read_weights(tmp_path)
    flat = np.concatenate([w.ravel() for w in weights])
    v = np.concatenate([part.ravel() for part in networks.direction([w.shape for w in weights], "float64")])

    def moved(step):
        start = 0
        for i, w in enumerate(weights):
            np.save(tmp_path / f"w{i}.npy", (flat + step * v)[start : start + w.size].reshape(w.shape))
            start += w.size

    step = 1e-4
    moved(0.0)
    gradient, product = truth.gradient(tmp_path), truth.product(tmp_path)
    ends = []
    for sign in (1, -1):
        moved(sign * step)
        ends.append((truth.gradient(tmp_path), truth._both_ways(tmp_path)))
    np.testing.assert_allclose((ends[0][0] - ends[1][0]) / (2 * step), product, atol=1e-6 * np.abs(product).max())
    outputs = [np.arctanh(a[-1][0]) for _, (_, a, _) in ends]
    np.testing.assert_allclose(float(outputs[0] - outputs[1]) / (2 * step), gradient @ v, rtol=1e-6)


def test_the_truth_of_kernel_and_gram_is_made_of_gradients(tmp_path):
    network = networks.Network("mlp", (7, 6), n_samples=3)
    networks.write(network, tmp_path)
    X = networks.read_inputs(tmp_path)
    rows = []
    for x in X:
        np.save(tmp_path / "inputs.npy", x[None])
        rows.append(truth.gradient(tmp_path))
    np.save(tmp_path / "inputs.npy", X)
    np.testing.assert_allclose(truth.kernel(tmp_path), np.array(rows) @ np.array(rows).T, rtol=1e-12)
    weights = networks.read_weights(tmp_path)
    neurons = []
    for i in range(6):  # the readout reads one neuron: its gradient below is that of the neuron
        np.save(tmp_path / "w2.npy", math.sqrt(6) * np.eye(6)[i : i + 1])
        neurons.append(truth.gradient(tmp_path)[: -weights[2].size])
    np.testing.assert_allclose(truth.gram(tmp_path), np.array(neurons) @ np.array(neurons).T, rtol=1e-12)


def test_all_sides_draw_the_same_direction_whatever_the_shape_of_their_weights():
    flat = np.concatenate(networks.direction([(12,), (5,)], "float64"))
    shaped = np.concatenate([part.ravel() for part in networks.direction([(4, 3), (5, 1)], "float64")])
    np.testing.assert_array_equal(flat, shaped)
