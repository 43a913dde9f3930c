import csv
import math
import multiprocessing
import os
import sqlite3
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assembly.errors import ArgumentError, ResultsError
from assembly.files import write_atomically
from assembly.study import design, store
from assembly.study.reading import load, override, parse
from assembly.study.store import Store, csv_text, is_on_network
from study_cases import STUDY, table

SMALL = parse(STUDY)
POINTS = design.points(SMALL, table())


def open_store(folder, specification=SMALL, fingerprint="print"):
    return Store(folder, specification, fingerprint)


def fill(folder, n=10):
    with open_store(folder) as results:
        for i, point in enumerate(POINTS[:n]):
            results.add(point, {"q": 1.0 / (i + 3), "r": float(i)}, 0.5)
    return folder / store.RESULTS


def equal(a, b):
    return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))


@given(st.dictionaries(st.text(max_size=5), st.floats(), max_size=4))
def test_every_float_survives_the_text_it_is_kept_as(quantities):
    found = store._decode(store._encode(quantities))
    assert list(found) == list(quantities)
    assert all(equal(found[name], value) for name, value in quantities.items())


def test_every_float_comes_back_exactly(tmp_path):
    values = [0.1 + 0.2, math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3]
    with open_store(tmp_path) as results:
        results.add(POINTS[0], {f"q{i}": value for i, value in enumerate(values)}, 0.1)
    with open_store(tmp_path) as results:
        (row,) = results.rows(POINTS)
    assert all(equal(row[f"q{i}"], value) for i, value in enumerate(values))


def test_nan_is_valid_json_for_every_reader(tmp_path):
    with open_store(tmp_path) as results:
        results.add(POINTS[0], {"q": math.nan, "r": math.inf}, 0.1)
    connection = sqlite3.connect(tmp_path / store.RESULTS)
    assert connection.execute("SELECT quantities ->> 'q', quantities ->> 'r' FROM points").fetchone() == (
        None,
        math.inf,
    )
    connection.close()


def test_rows_come_in_the_order_asked_for_and_only_those(tmp_path):
    with open_store(tmp_path) as results:
        for point in POINTS[:4]:
            results.add(point, {"q": 1.0}, 0.1)
        rows = results.rows([POINTS[9], POINTS[2], POINTS[0]])
    assert [(row["architecture"], row["width"], row["seed"]) for row in rows] == [("network", 8, 1), ("network", 8, 0)]


def test_a_point_is_kept_once_and_never_overwritten(tmp_path):
    with open_store(tmp_path) as results:
        results.add(POINTS[0], {"q": 1.0}, 0.1)
        results.add(POINTS[0], {"q": 2.0}, 0.2)
        assert results.rows(POINTS) == [{"architecture": "network", "width": 8, "seed": 0, "q": 1.0}]
        assert results.seconds() == {POINTS[0].key: 0.1}


def test_what_was_added_is_there_for_another_process_before_close(tmp_path):
    with open_store(tmp_path) as results:
        results.add(POINTS[0], {"q": 1.0}, 0.1)
        other = sqlite3.connect(f"file:{tmp_path / store.RESULTS}?mode=ro", uri=True)
        assert other.execute("SELECT count(*) FROM points").fetchone() == (1,)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.close()
        assert results._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL: flushed at every commit


def test_failures_are_forgotten_once_the_point_succeeds(tmp_path):
    with open_store(tmp_path) as results:
        results.add_failure(POINTS[0], "once")
        results.add_failure(POINTS[0], "twice")
        count = "SELECT count(*) FROM failures"
        assert results._connection.execute(count).fetchone() == (1,)
        results.add(POINTS[0], {"q": 1.0}, 0.1)
        assert results._connection.execute(count).fetchone() == (0,)


def test_warnings_are_counted_over_points(tmp_path):
    with open_store(tmp_path) as results:
        results.add(POINTS[0], {}, 0.1, ["a", "b"])
        results.add(POINTS[1], {}, 0.1, ["b"])
        assert results.warnings(POINTS) == {"a": 1, "b": 2}


# --- damage ----------------------------------------------------------------------------------------------------------


def check_damaged(folder):
    with pytest.raises(ResultsError, match=r"is damaged .*: move or delete it") as caught:
        open_store(folder).close()
    assert "\n" not in str(caught.value)


def test_a_file_cut_at_any_length_is_refused_in_one_line(tmp_path):
    path = fill(tmp_path / "whole", n=24)
    content = path.read_bytes()
    lengths = {0, 1, 50, 99, 100, 512, 4095, *range(4096, len(content), 4096), len(content) - 1}
    for length in sorted(lengths):
        path.write_bytes(content[:length])
        check_damaged(tmp_path / "whole")
    path.write_bytes(content)
    with open_store(tmp_path / "whole") as results:
        assert len(results.rows(POINTS)) == 24


def test_wherever_a_file_is_overwritten_it_is_refused_or_nothing_was_lost(tmp_path):
    path = fill(tmp_path)
    content = path.read_bytes()
    with open_store(tmp_path) as results:
        expected = results.rows(POINTS)
    n_refused = 0
    for place in range(0, len(content) - 300, 700):
        path.write_bytes(content[:place] + b"\xa5" * 300 + content[place + 300 :])
        try:
            results = open_store(tmp_path)
        except ResultsError as error:
            n_refused += "\n" not in str(error)
            continue
        with results:
            assert results.rows(POINTS) == expected
    assert n_refused > 10


def test_foreign_files_are_refused(tmp_path):
    path = fill(tmp_path)
    path.write_bytes(b"not a database" * 1000)
    check_damaged(tmp_path)
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE points (a)")
    connection.close()
    with pytest.raises(ResultsError, match="written by another program"):
        open_store(tmp_path)


@pytest.mark.parametrize("column", ["key", "point", "quantities", "seconds", "warnings", "checksum"])
def test_a_row_that_was_changed_is_refused(tmp_path, column):
    path = fill(tmp_path)
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE points SET {column} = 3 WHERE rowid = 4")
    connection.commit()
    connection.close()
    check_damaged(tmp_path)


def test_after_deleting_a_damaged_file_the_study_starts_again(tmp_path):
    fill(tmp_path).write_bytes(b"")
    check_damaged(tmp_path)
    (tmp_path / store.RESULTS).unlink()
    with open_store(tmp_path) as results:
        assert results.rows(POINTS) == []


def test_an_empty_file_left_by_a_kill_during_creation_is_no_damage(tmp_path):
    (tmp_path / store.RESULTS).touch()
    open_store(tmp_path).close()


# --- another study, another run ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("small", "large", "name"),
        ('["m", "m"]', '["m"]', "architecture 'network'"),
        ("n_measured = 2", "n_measured = 3", "data"),
        ("seeds = 4", "seeds = 4\nradius = 2.0", "radius"),
        ("seeds = 4", "seeds = 4\ntol = 0.01", "tol"),
        ("seeds = 4", "seeds = 4\nquantities = ['hessian_norm']", "quantities"),
        ("n_measured = 2", "n_measured = 2\nshape = [1, 5]", "data"),
    ],
)
def test_results_of_another_study_are_refused(tmp_path, old, new, what):
    fill(tmp_path)
    before = (tmp_path / store.STUDY).read_bytes()
    with pytest.raises(ResultsError, match=f"holds results of another study .other {what}"):
        open_store(tmp_path, parse(STUDY.replace(old, new, 1)))
    assert (tmp_path / store.STUDY).read_bytes() == before


def test_other_data_under_the_same_name_are_refused(tmp_path):
    fill(tmp_path)
    with pytest.raises(ResultsError, match="other data"):
        open_store(tmp_path, fingerprint="other")


def test_more_widths_seeds_and_architectures_build_on_what_is_there(tmp_path):
    fill(tmp_path)
    longer = override(SMALL, widths=[8, 16, 32, 64, 80], seeds=9)
    with open_store(tmp_path, longer) as results:
        assert len(results.rows(design.points(longer, table()))) == 10
    more = parse(STUDY + '\n[[architectures]]\nlabel = "third"\nhidden = ["m"]\n')
    with open_store(tmp_path, more) as results:
        assert len(results.rows(design.points(more, table()))) == 10
    with pytest.raises(ResultsError, match="architecture 'third'"):
        open_store(tmp_path, parse(STUDY + '\n[[architectures]]\nlabel = "third"\nhidden = ["m", "m"]\n'))
    own = parse(STUDY.replace('label = "network"', 'label = "network"\nwidths = [8, 16, 64, 80]'))
    with open_store(tmp_path, own) as results:
        assert len(results.rows(design.points(own, table()))) == 10


def test_a_second_run_of_one_folder_is_refused_while_the_first_lives(tmp_path):
    code = (
        "import sys; from pathlib import Path; from assembly.study.store import Store\n"
        "from assembly.study.reading import load\n"
        "store = Store(Path(sys.argv[1]), load('digits'), 'print'); print('open', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(ResultsError, match=rf"in use by another run \(process {process.pid}\)"):
            open_store(tmp_path, load("digits"))
    finally:
        process.kill()
        process.communicate()
    open_store(tmp_path, load("digits")).close()  # the lock of a killed process is no lock


def test_the_lock_is_not_inherited_by_worker_processes(tmp_path):
    with open_store(tmp_path):
        child = multiprocessing.get_context("spawn").Process(target=int)
        child.start()
    open_store(tmp_path).close()
    child.join()


def test_an_error_while_opening_releases_the_lock(tmp_path):
    fill(tmp_path).write_bytes(b"")
    for _ in range(2):
        check_damaged(tmp_path)


def test_study_toml_loads_back_equal(tmp_path):
    fill(tmp_path)
    assert load(tmp_path / store.STUDY) == override(
        SMALL.model_copy(update={"data": SMALL.data.model_copy(update={"source": str(tmp_path / "table.npy")})})
    )


# --- disk ------------------------------------------------------------------------------------------------------------


def test_a_full_disk_gives_one_line_and_loses_nothing(tmp_path):
    with open_store(tmp_path) as results:
        pages = results._connection.execute("PRAGMA page_count").fetchone()[0]
        results._connection.execute(f"PRAGMA max_page_count = {pages + 2}")

        def fill_up():
            for point in POINTS:
                results.add(point, {"q" * 300: 1.0}, 0.1)

        with pytest.raises(ResultsError, match=r"takes no more data .*: make room") as caught:
            fill_up()
        assert "\n" not in str(caught.value)
        n_before = len(results.rows(POINTS))
        assert n_before > 0
    with open_store(tmp_path) as results:
        assert len(results.rows(POINTS)) == n_before
        for point in POINTS:
            results.add(point, {"q" * 300: 1.0}, 0.1)
        assert len(results.rows(POINTS)) == len(POINTS)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_leaves_the_old_csv(tmp_path, monkeypatch):
    write_atomically(tmp_path / "a.csv", b"old")
    (tmp_path / ".a.csv.partial").symlink_to("/dev/full")
    with pytest.raises(ResultsError, match="takes no more data"), store._clear_errors(tmp_path):
        write_atomically(tmp_path / "a.csv", b"new")
    assert (tmp_path / "a.csv").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_a_path_that_is_no_folder_gives_one_line(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ResultsError, match=r"cannot be written .* give another one with --out"):
            open_store(folder)


def test_a_network_folder_falls_back_off_the_write_ahead_log_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "is_on_network", lambda folder: True)
    with open_store(tmp_path) as results:
        assert results._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        (note,) = results.notes
        assert "rollback journal" in note
        results.add(POINTS[0], {"q": 1.0}, 0.1)
    monkeypatch.undo()
    with open_store(tmp_path) as results:
        assert len(results.rows(POINTS)) == 1
        assert results.notes == []


def test_network_file_systems_are_told_from_local_ones(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/a / ext4 rw 0 0\nserver:/b {tmp_path}/net nfs4 rw 0 0\n/dev/c {tmp_path}/net/disk ext4 rw 0 0\n"
    )
    assert is_on_network(tmp_path / "net" / "deep", mounts)
    assert not is_on_network(tmp_path / "net" / "disk" / "deep", mounts)
    assert not is_on_network(tmp_path / "network", mounts)
    assert not is_on_network(tmp_path, tmp_path / "none")


# --- exports ---------------------------------------------------------------------------------------------------------


def test_csv_holds_every_float_exactly_and_marks_what_is_missing():
    rows = [
        {"architecture": "a", "width": 8, "seed": 0, "q": 0.1 + 0.2, "r": math.nan},
        {"architecture": "b", "width": 8, "seed": 0, "q": -math.inf, "s": 1e-320},
    ]
    text = csv_text(rows)
    assert text.splitlines()[0] == "architecture,width,seed,q,r,s"
    first, second = csv.DictReader(text.splitlines())
    assert float(first["q"]) == 0.1 + 0.2
    assert (first["r"], first["s"], second["r"], second["q"]) == ("nan", "", "", "-inf")
    assert float(second["s"]) == 1e-320
    assert csv_text([]) == "architecture,width,seed\n"


def test_parquet_holds_the_same_table(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    with open_store(tmp_path) as results:
        for point in POINTS[:6]:
            results.add(point, {"q": 1.0 / 3.0, "r": math.nan}, 0.1)
        table = pd.read_parquet(results.export_parquet(POINTS))
        text = pd.read_csv(results.export_csv(POINTS))
    pd.testing.assert_frame_equal(table, text, check_exact=True, check_dtype=False)


def test_parquet_without_its_extra_names_the_extra(monkeypatch):
    monkeypatch.setattr(store, "find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match=r"pip install 'assembly-perspective\[parquet\]'"):
        store.check_parquet()


# --- claims that are not older than their points ---------------------------------------------------------------------

CHANGES = {
    "the prediction": ("prediction = -0.5", "prediction = -0.4"),
    "the alternative": ("alternative = 0.0", "alternative = 0.25"),
    "the band": ("alternative = 0.0", "alternative = 0.0\nband = 0.2"),
    "a bound instead": ("prediction = -0.5\nalternative = 0.0", "at_most = 3.0"),
}


def notes_of(folder, text=STUDY):
    with open_store(folder, parse(text)) as results:
        return results.notes


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_claim_that_is_changed_after_points_were_measured_is_told_whenever_it_is_judged(tmp_path, change):
    fill(tmp_path)
    for _ in range(2):
        (note,) = notes_of(tmp_path, STUDY.replace(*change))
        assert "claim on network, hessian_norm, was not fixed before the run: it was changed" in note
        assert "First it was: predicted -1/2 (-0.60 to -0.40), alternative 0 (-0.10 to 0.10)." in note
    assert notes_of(tmp_path) == []  # as it was declared first


def test_a_claim_that_is_made_after_points_were_measured_is_told(tmp_path):
    without = STUDY.split("[[claims]]")[0]
    with open_store(tmp_path, parse(without)) as results:
        for point in POINTS[:3]:
            results.add(point, {"q": 1.0}, 0.1)
    n_points = sum(point.architecture == "network" for point in POINTS[:3])
    for _ in range(2):
        (note,) = notes_of(tmp_path)
        assert f"was not fixed before the run: {n_points} points were there before it" in note


def test_a_claim_may_change_as_long_as_nothing_of_its_architecture_is_measured(tmp_path):
    assert notes_of(tmp_path) == []
    changed = STUDY.replace(*CHANGES["the prediction"])
    with open_store(tmp_path) as results:
        results.add(next(point for point in POINTS if point.architecture == "bottleneck"), {"q": 1.0}, 0.1)
    assert notes_of(tmp_path, changed) == []
    with open_store(tmp_path, parse(changed)) as results:
        results.add(next(point for point in POINTS if point.architecture == "network"), {"q": 1.0}, 0.1)
    assert notes_of(tmp_path, changed) == []
    assert len(notes_of(tmp_path)) == 1
