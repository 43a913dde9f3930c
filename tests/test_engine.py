import math
import os
import time

import numpy as np
import pytest

import study_points
from assembly.data import Samples
from assembly.errors import ArgumentError, ResourceError
from assembly.study import design, engine
from assembly.study.reading import parse
from study_cases import STUDY, table

POINTS = design.points(parse(STUDY), table())
INPUTS = Samples(np.random.default_rng(0).standard_normal((2, 6)), np.ones(2))


def run(function, workers, points=POINTS):
    return {outcome.point.key: outcome for outcome in engine.run(function, points, INPUTS, workers)}


def same(a, b):
    return all(x == y or (math.isnan(x) and math.isnan(y)) for x, y in zip(a.values(), b.values(), strict=True))


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_results_do_not_depend_on_the_number_of_workers():
    one, three = run(study_points.measure, 1), run(study_points.measure, 3)
    assert one.keys() == three.keys() == {point.key for point in POINTS}
    for key, outcome in one.items():
        assert same(outcome.quantities, three[key].quantities)
        assert list(outcome.quantities) == list(three[key].quantities)


def test_one_worker_is_this_process_and_more_are_others():
    here = run(study_points.process, 1, POINTS[:4])
    assert {outcome.quantities["pid"] for outcome in here.values()} == {os.getpid()}
    there = {outcome.quantities["pid"] for outcome in run(study_points.process, 2, POINTS[:12]).values()}
    assert len(there) == 2
    assert os.getpid() not in there


@pytest.mark.parametrize("workers", [1, 2])
def test_every_point_has_one_thread(workers):
    for outcome in run(study_points.process, workers, POINTS[:4]).values():
        assert outcome.quantities["threads"] == 1.0


def test_workers_are_gone_when_the_run_is_over_and_when_it_is_cut_short():
    whole = {int(outcome.quantities["pid"]) for outcome in run(study_points.process, 2, POINTS[:6]).values()}
    outcomes = engine.run(study_points.process, POINTS, INPUTS, 2)
    cut = {int(next(outcomes).quantities["pid"]) for _ in range(6)}
    start = time.perf_counter()
    outcomes.close()
    assert time.perf_counter() - start < 5.0
    assert not any(is_alive(pid) for pid in whole | cut)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_told_to_stop_ends_in_the_middle_of_a_point_and_yields_all_that_are_finished(workers):
    quick = [point for point in POINTS if point.seed == 0]
    endless = [point for point in POINTS if point.seed]
    found, told, waited = [], [], []

    def stop():
        if len(found) == len(quick):
            waited.append(time.perf_counter())
        if waited and waited[-1] - waited[0] > 0.5:  # in the middle of a point that takes 20 s
            told.append(time.perf_counter())
        return bool(told)

    for outcome in engine.run(study_points.forever, [*quick, *endless], INPUTS, workers, stop):
        found.append(outcome.point.key)
    assert time.perf_counter() - told[0] < 5.0
    assert set(found) == {point.key for point in quick}
    assert len(told) == 1


def test_with_a_stop_every_point_is_on_another_process_and_none_is_begun_after_it():
    there = list(engine.run(study_points.process, POINTS[:1], INPUTS, 1, stop=lambda: False))
    assert [outcome.quantities["pid"] == os.getpid() for outcome in there] == [False]
    assert list(engine.run(study_points.process, POINTS, INPUTS, 1, stop=lambda: True)) == []
    assert list(engine.run(study_points.process, [], INPUTS, 1, stop=lambda: False)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_package_fails_its_point_alone_with_one_line(workers):
    outcomes = run(study_points.fails, workers)
    assert len(outcomes) == len(POINTS)
    for outcome in outcomes.values():
        assert (outcome.quantities is None) == (outcome.point.seed == 1)
        assert outcome.reason == ("The 'seed' argument must not be 1. Got 1." if outcome.point.seed == 1 else "")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mistake_in_the_program_is_raised(workers):
    with pytest.raises(KeyError, match="a mistake"):
        run(study_points.is_wrong, workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_warnings_travel_with_their_point(workers):
    for outcome in run(study_points.warns, workers, POINTS[:3]).values():
        assert outcome.warnings == ("something to know",)


def test_a_worker_that_is_killed_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_MARKER", str(tmp_path / "marker"))
    expected = run(study_points.measure, 1)
    found = run(study_points.dies_once, 2)
    assert (tmp_path / "marker").exists()
    assert found.keys() == expected.keys()
    assert all(same(found[key].quantities, expected[key].quantities) for key in expected)


def test_a_point_that_kills_every_worker_fails_alone():
    outcomes = run(study_points.dies_always, 3, POINTS[:8])
    assert len(outcomes) == 8
    for outcome in outcomes.values():
        assert (outcome.quantities is None) == (outcome.point.seed == 1), str(outcome.point)
        assert ("died 3 times" in outcome.reason) == (outcome.point.seed == 1)


def test_workers_that_die_whatever_the_point_stop_the_run():
    with pytest.raises(ResourceError, match="use --workers 1 to see why"):
        run(study_points.dies_everywhere, 2)


def test_the_first_point_runs_alone_so_that_it_compiles_for_all(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_LOG", str(tmp_path / "log"))
    outcomes = engine.run(study_points.slowly_logged, POINTS[:6], INPUTS, 3)
    assert next(outcomes).point == POINTS[0]
    outcomes.close()
    events = (tmp_path / "log").read_text().split()
    assert events[:2] == [f"begin:{POINTS[0].key}", f"end:{POINTS[0].key}"]


def test_no_points_and_wrong_counts():
    assert run(study_points.measure, 4, []) == {}
    for workers in (0, -1, 1.5, True):
        with pytest.raises(ArgumentError, match="workers"):
            run(study_points.measure, workers)


def test_usable_cores_is_a_positive_number():
    assert 1 <= engine.usable_cores() <= os.cpu_count()
