"""Several studies into one report: the same numbers as alone, resumed after any end, nothing lost with one of them."""

import csv
import os
import re
import signal
import sqlite3
import time
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from rich.console import Console

import study_points
from assembly.errors import ArgumentError, ConfigurationError, ResultsError, UnknownNameError
from assembly.study import store, suite_report
from assembly.study.reading import load, load_suite, named_suites
from assembly.study.runner import run_study
from assembly.study.suite import run_suite
from study_cases import start, write_study

SUITE = """
name = "both"
title = "Both of them"
[[members]]
claim = "1"
study = "first.toml"
[[members]]
claim = "2 <b>"
study = "second.toml"
"""
STUDY = """
name = "NAME"
title = "Claim 1: of NAME <i>"
widths = [8, 16, 32, 64, 128]
seeds = 4
[data]
source = "table.npy"
n_measured = MEASURED
[[architectures]]
label = "network"
hidden = ["m", "m"]
[[architectures]]
label = "other"
hidden = ["m"]
activation = "erf"
[[claims]]
architecture = "network"
quantity = "hessian_norm"
prediction = PREDICTION
alternative = 3.0
source = "a <b> | c"
[[claims]]
architecture = "other"
quantity = "q_infinity"
prediction = 0.0
alternative = -0.5
"""
N_POINTS = 40


def text_of(name, n_measured=2, prediction=0.5):
    changes = {"NAME": name, "MEASURED": n_measured, "PREDICTION": prediction}
    return re.sub("NAME|MEASURED|PREDICTION", lambda found: str(changes[found[0]]), STUDY)


def write_suite(folder, first=(), second=(3, -5.0)):
    write_study(folder)  # for its data
    (folder / "first.toml").write_text(text_of("first", *first))
    (folder / "second.toml").write_text(text_of("second", *second))
    (folder / "both.toml").write_text(SUITE)
    return folder / "both.toml"


@pytest.fixture
def both(tmp_path):
    return load_suite(write_suite(tmp_path))


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_LOG", str(tmp_path / "log"))
    (tmp_path / "log").touch()
    return lambda: (tmp_path / "log").read_text().split()


def table_of(folder):
    with (folder / "claims.csv").open() as file:
        return list(csv.DictReader(file))


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


# --- running ---------------------------------------------------------------------------------------------------------


def test_every_study_gives_what_it_gives_alone(both, tmp_path):
    suite, studies = both
    result = run_suite(suite, studies, tmp_path / "out", 2, function=study_points.measure)
    assert (result.missing, result.n_failed) == ([], 0)
    for study in studies:
        run_study(study, tmp_path / "alone" / study.name, 1, function=study_points.measure)
        together, alone = (tmp_path / place / study.name / "results.csv" for place in ("out", "alone"))
        assert together.read_bytes() == alone.read_bytes()
        assert (tmp_path / "out" / study.name / "report.html").exists()
        assert not list((tmp_path / "out" / study.name / "plots").glob("shares-*.svg"))  # single networks: left out


@pytest.mark.usefixtures("without_pictures")
def test_each_point_is_measured_at_the_inputs_of_its_study(both, tmp_path):
    """Two inputs in the first study, three in the second: the same networks give other numbers."""
    suite, studies = both
    run_suite(suite, studies, tmp_path / "out", 1, function=study_points.measure)
    first, second = ((tmp_path / "out" / study.name / "results.csv").read_text() for study in studies)
    assert first != second


@pytest.mark.usefixtures("without_pictures")
def test_a_point_of_two_studies_is_measured_once(tmp_path, log):
    suite, studies = load_suite(write_suite(tmp_path, second=(2, -5.0)))
    result = run_suite(suite, studies, tmp_path / "out", 1, function=study_points.measure)
    assert len(log()) == N_POINTS
    assert [len(member.result.rows) for member in result.members] == [N_POINTS, N_POINTS]


@pytest.mark.usefixtures("without_pictures")
def test_a_second_run_measures_nothing_and_says_the_same(both, tmp_path, log):
    suite, studies = both
    run_suite(suite, studies, tmp_path / "out", 1, function=study_points.measure)
    before = (tmp_path / "out" / "claims.csv").read_bytes()
    run_suite(suite, studies, tmp_path / "out", 1, function=study_points.is_wrong)
    assert len(log()) == 2 * N_POINTS
    assert (tmp_path / "out" / "claims.csv").read_bytes() == before


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("gone", ["first", "second"])
def test_progress_is_over_all_points(both, tmp_path, gone):
    suite, studies = both
    seen = []
    run_suite(suite, studies, tmp_path / "out", 1, seen.append, function=study_points.measure)
    assert [one.n_done for one in seen] == list(range(2 * N_POINTS + 1))
    assert {one.n_points for one in seen} == {2 * N_POINTS}
    assert all(one.remaining > 0 for one in seen[2:-1])
    assert seen[-1].remaining == 0
    (tmp_path / "out" / gone / store.RESULTS).unlink()
    (tmp_path / "out" / gone / store.STUDY).unlink()
    seen.clear()
    run_suite(suite, studies, tmp_path / "out", 1, seen.append, function=study_points.measure)
    assert (seen[0].n_reused, seen[0].n_done, len(seen)) == (N_POINTS, N_POINTS, N_POINTS + 1)


@pytest.mark.usefixtures("without_pictures")
def test_the_report_holds_every_study_as_soon_as_it_ends(both, tmp_path):
    suite, studies = both
    seen = []

    def look(progress):
        if (tmp_path / "out" / "claims.csv").exists():
            seen.append([row["verdict"] == suite_report.NOT_MEASURED for row in table_of(tmp_path / "out")])

    run_suite(suite, studies, tmp_path / "out", 1, look, function=study_points.measure)
    assert seen[0] == [False, False, True, True]
    assert not any(row["verdict"] == suite_report.NOT_MEASURED for row in table_of(tmp_path / "out"))


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("damage", ["damaged", "in use", "another study"])
def test_a_study_that_cannot_be_run_does_not_stop_the_others(both, tmp_path, damage):
    suite, studies = both
    run_suite(suite, studies, tmp_path / "out", 1, function=study_points.measure)
    path = tmp_path / "out" / "first" / store.RESULTS
    held = None
    if damage == "damaged":
        path.write_bytes(path.read_bytes()[:9000])
    elif damage == "in use":
        held = store.Store(path.parent, studies[0], _fingerprint(studies[0]))
    else:
        studies = [studies[0].model_copy(update={"tol": 0.5}), studies[1]]
    try:
        result = run_suite(suite, studies, tmp_path / "out", 1, function=study_points.measure)
    finally:
        if held is not None:
            held.close()
    (missing,) = result.missing
    words = {"damaged": "is damaged", "in use": "in use by another run", "another study": "other tol"}[damage]
    assert missing.study.name == "first"
    assert words in missing.reason
    first, second = (table_of(tmp_path / "out")[i : i + 2] for i in (0, 2))
    for row in first:
        assert (row["verdict"], row["exponent"], row["prediction"] != "") == ("not measured", "", True)
        assert words in row["found"]
    assert all(row["exponent"] for row in second)
    assert "first is missing" in (tmp_path / "out" / "report.md").read_text()


def _fingerprint(study):
    from assembly import data

    return data.load(study.data.source, study.data.target).fingerprint


def test_where_no_study_can_be_run_that_is_an_error(both, tmp_path):
    suite, studies = both
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ResultsError, match="No study of 'both' could be run"):
        run_suite(suite, studies, tmp_path / "out", 1, function=study_points.measure)


@pytest.mark.usefixtures("without_pictures")
def test_failed_points_are_counted_and_the_rest_is_judged(both, tmp_path):
    suite, studies = both
    result = run_suite(suite, studies, tmp_path / "out", 1, function=study_points.fails)
    assert result.n_failed == 2 * 10
    _, sentences = suite_report.suite_table(result)
    assert "first: 10 points failed; its report lists them." in sentences


def test_workers_are_checked_before_anything_is_written(both, tmp_path):
    suite, studies = both
    with pytest.raises(ArgumentError, match="workers"):
        run_suite(suite, studies, tmp_path / "out", 0, function=study_points.measure)
    assert not (tmp_path / "out").exists()


# --- ends of all kinds -----------------------------------------------------------------------------------------------


def finish(process, code=0):
    output, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    return output, errors


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Results of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("fresh")
    write_suite(folder)
    finish(start("measure", "study", "both.toml", "--out", "fresh", folder=folder))
    return folder / "fresh"


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
@pytest.mark.parametrize("n_done", [7, N_POINTS, N_POINTS + 4])
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_within_a_study_or_between_two_it_goes_on(tmp_path, n_done, workers, fresh):
    write_suite(tmp_path)
    out = tmp_path / "out"
    words = ("study", "both.toml", "--out", "out", "--workers", workers)
    process = start("slowly", *words, folder=tmp_path)

    def on_disk():
        return [keys_on_disk(out / name) for name in ("first", "second")]

    end = time.monotonic() + 60
    while sum(map(len, on_disk())) < n_done and time.monotonic() < end:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    process.stderr.close()
    done = on_disk()
    assert n_done <= sum(map(len, done)) < 2 * N_POINTS
    log = tmp_path / "log"
    log.touch()
    output, _ = finish(start("measure", *words, folder=tmp_path, STUDY_LOG=log))
    again = log.read_text().split()
    assert len(set(again)) == len(again) == 2 * N_POINTS - sum(map(len, done))
    assert not set(again) & (done[0] | done[1])
    for name in ("first", "second"):
        whole = (fresh / name / "results.csv").read_bytes()
        assert (out / name / "results.csv").read_bytes() == whole
    assert (out / "claims.csv").read_bytes() == (fresh / "claims.csv").read_bytes()
    assert "Report: out/report.html" in output.replace(os.sep, "/")


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs POSIX signals")
def test_stopped_by_a_signal_it_keeps_what_has_ended_and_says_how_to_go_on(tmp_path):
    write_suite(tmp_path)
    process = start("slowly", "study", "both.toml", "--out", "out", "--workers", 1, folder=tmp_path)
    end = time.monotonic() + 60
    while len(keys_on_disk(tmp_path / "out" / "second")) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = finish(process, 130)
    assert errors.splitlines()[-1] == "stopped. Finished points are on disk: the same command goes on from there."
    rows = table_of(tmp_path / "out")
    assert [row["verdict"] == "not measured" for row in rows] == [False, False, True, True]
    assert {row["found"] for row in rows[2:]} == {"It has not ended yet."}
    assert (tmp_path / "out" / "second" / "results.csv").exists()


def test_the_command_runs_a_suite_and_its_exit_code_tells(tmp_path):
    write_suite(tmp_path)
    output, errors = finish(start("fails", "study", "both.toml", folder=tmp_path), 1)
    assert "1: network, ||H||: predicted 1/2" in output
    assert "2 <b>: network, ||H||: predicted -5" in output
    assert "Of 4 claims" in output
    assert "Traceback" not in errors
    folder = tmp_path / "assembly-results" / "both"
    assert sorted(os.listdir(folder)) == ["claims.csv", "first", "report.html", "report.md", "second"]
    finish(start("measure", "study", "both.toml", "--seeds", "5", folder=tmp_path))
    assert len((folder / "second" / "results.csv").read_text().splitlines()) == 1 + 50


# --- the report ------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Identifiers and links of a page, its visible text, and whether every element is closed."""

    VOID = ("meta", "link", "br", "img")

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.open, self.text, self.problems = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        if tag not in self.VOID and self.open[-1:] != ["path"]:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(tag)

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def finished(both, tmp_path):
    suite, studies = both
    result = run_suite(suite, studies, tmp_path / "out", 1, command="assembly study x", function=study_points.measure)
    return tmp_path / "out", result


def test_the_table_holds_the_numbers_of_the_studies(finished):
    folder, result = finished
    rows = table_of(folder)
    assert [(row["claim"], row["study"], row["what"]) for row in rows] == [
        *[("1", "first", "of first <i>")] * 2,
        *[("2 <b>", "second", "of second <i>")] * 2,
    ]
    for row in rows:
        with (folder / row["study"] / "exponents.csv").open() as file:
            own = {(one["architecture"], one["quantity"]): one for one in csv.DictReader(file)}
        expected = own[row["architecture"], row["quantity"]]
        for name in ("prediction", "alternative", "exponent", "lower", "upper", "verdict", "source", "narrowest"):
            assert row[name] == expected[name]
        assert (folder / row["plot"]).read_text().startswith("<?xml")
        assert row["plot"].startswith(f"{row['study']}/plots/{row['quantity']}")
    verdicts = [row["verdict"] for row in rows]
    assert verdicts == ["consistent", "consistent", "inconsistent", "consistent"]
    assert [bool(row["found"]) for row in rows] == [False, False, True, False]
    assert "predicted -5" in rows[2]["found"]
    assert result.tally() == "Of 4 claims 3 consistent, 1 inconsistent."


def test_the_page_is_well_formed_and_every_link_leads_somewhere(finished):
    folder, _ = finished
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert (page.problems, page.open) == ([], [])
    assert len(set(page.ids)) == len(page.ids)
    for link in page.links:
        assert link[1:] in page.ids if link.startswith("#") else (folder / link).exists(), link
    assert sum(link.startswith("#first-hessian_norm") for link in page.links) == 1
    assert text.count("<svg") == 4
    assert "of first <i>" in "".join(page.text)
    assert "<script" not in text
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", text)
    assert "Found instead: ||H||" in "".join(page.text)


def test_the_markdown_table_has_one_row_for_every_claim(finished):
    folder, _ = finished
    lines = (folder / "report.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith(("| 1 ", "| 2 "))]
    assert len(rows) == 4
    unescaped = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert set(unescaped) == {12}
    assert "assembly study x" in lines


def test_the_report_is_the_same_whenever_it_is_written(finished):
    folder, result = finished
    now = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    paths = suite_report.write_suite_report(folder, result, "assembly study x", now=now)
    first = paths.html.read_bytes(), paths.markdown.read_bytes(), paths.table.read_bytes()
    suite_report.write_suite_report(folder, result, "assembly study x", now=now)
    assert (paths.html.read_bytes(), paths.markdown.read_bytes(), paths.table.read_bytes()) == first


def test_the_table_of_the_terminal_fits_80_columns(finished):
    _, result = finished
    table, sentences = suite_report.suite_table(result)
    console = Console(width=200, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        console.print(table)
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert max(map(len, lines)) <= 80
    assert sum("consistent" in line for line in lines) == 4
    assert sentences[-1] == "Of 4 claims 3 consistent, 1 inconsistent."
    assert sentences[0].startswith("Claim 2 <b>, network: ||H|| ")


def test_a_folder_that_cannot_be_written_is_an_error_of_one_line(finished, tmp_path):
    _, result = finished
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="choose another folder with --out"):
        suite_report.write_suite_report(tmp_path / "file", result, "")


# --- reading ---------------------------------------------------------------------------------------------------------


def test_every_suite_of_the_package_loads_and_has_a_title():
    assert "claims" in named_suites()
    for name, title in named_suites().items():
        assert load_suite(name)[0].name == name
        assert title


def test_a_study_is_no_suite_and_a_suite_no_study(tmp_path):
    assert load_suite("digits") is None
    assert load_suite("no-such-thing") is None
    write_suite(tmp_path)
    assert load_suite(tmp_path / "first.toml") is None
    with pytest.raises(UnknownNameError, match="'claims' is a suite"):
        load("claims")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('claim = "1"', 'clam = "1"', "the 'members[0].clam' key is unknown. Did you mean 'claim'?"),
        ('study = "first.toml"', "", "the 'members[0].study' key is missing. It must be a text"),
        ('study = "first.toml"', "study = 3", "the 'members[0].study' key must be a text. Got 3."),
        ("second.toml", "first.toml", "the 'members' key must hold every study once. Got 'first' twice."),
        ("title", "titel", "the 'titel' key is unknown. Did you mean 'title'?"),
        ('name = "both"', 'name = "a b"', "the 'name' key must be letters, digits"),
        ("[[members]]", "[[members", "no valid TOML"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_suite_is_told_with_its_key(tmp_path, old, new, line):
    path = write_suite(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        load_suite(path)
    assert f"both.toml: {line}" in str(caught.value)


def test_an_empty_suite_is_a_mistake(tmp_path):
    (tmp_path / "none.toml").write_text('name = "none"\nmembers = []\n')
    with pytest.raises(ConfigurationError, match=r"none.toml: the 'members' key must be one or more tables"):
        load_suite(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("claim-11-bottlneck", "claim-11-bottleneck"),
        ("clams", "claims"),
        ("claim-7-kernel-change", "claim-07-kernel-change"),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(name, nearest):
    assert load_suite(name) is None
    with pytest.raises(UnknownNameError, match=f"Did you mean '{nearest}'"):
        load(name)


def test_a_suite_that_names_an_unknown_study_says_which(tmp_path):
    path = write_suite(tmp_path)
    path.write_text(path.read_text().replace("second.toml", "digts"))
    with pytest.raises(UnknownNameError, match=r"Got 'digts'\. Did you mean 'digits'\?"):
        load_suite(path)
