"""The report: the numbers of the fits, the right verdicts, nothing from outside, and a text beside every picture."""

import csv
import math
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from assembly.diagnostics.rates import fit_rate
from assembly.diagnostics.verdict import signed
from assembly.errors import ResultsError
from assembly.study import contents, findings, machine, report, store, terminal
from assembly.study.design import points
from assembly.study.quantities import COLUMNS, LINEAR_UNITS, NOISY, RATES, TRAINED, describe, describe_any
from assembly.study.reading import parse, validate
from assembly.study.result import StudyResult
from study_cases import table as some_data

STUDY = """
name = "planted"
title = "Planted slopes <b>&</b> verdicts"
widths = [16, 32, 64, 128, 256]
seeds = 8
[data]
source = "digits"
n_measured = 2
[[architectures]]
label = "network"
hidden = ["m", "m"]
[[architectures]]
label = "bottleneck"
builder = "bottleneck"
hidden = ["m", 1, "m"]
[[claims]]
architecture = "network"
quantity = "hessian_norm"
prediction = -0.5
alternative = 0.0
source = "a theorem with <angles>"
[[claims]]
architecture = "network"
quantity = "rms_cosine_layer_2"
prediction = -0.5
alternative = 0.0
[[claims]]
architecture = "bottleneck"
quantity = "hessian_norm"
prediction = 0.0
alternative = -0.5
"""
SPECIFICATION = parse(STUDY)
PLANTED = {
    "network": {
        "hessian_norm": -0.48,
        "gradient_norm": 0.0,
        "hessian_over_gradient_squared": -0.48,
        "effective_number_layer_1": 0.97,
        "rms_cosine_layer_2": -0.25,  # claimed to be -1/2: inconsistent
    },
    "bottleneck": {
        "hessian_norm": 0.01,
        "gradient_norm": 0.0,
        "hessian_over_gradient_squared": 0.01,
        "kernel_smallest_eigenvalue": None,  # exactly 0
        "rms_cosine_layer_2": math.nan,
    },
}
NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def planted_rows(noise=0.03, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for architecture, quantities in PLANTED.items():
        for width in SPECIFICATION.widths:
            for replicate in range(SPECIFICATION.seeds):
                row = {"architecture": architecture, "width": width, "seed": replicate}
                for quantity, exponent in quantities.items():
                    scatter = math.exp(noise * rng.standard_normal())
                    row[quantity] = 0.0 if exponent is None else 2.0 * width**exponent * scatter
                rows.append(row | {"n_unconverged": 0.0, "largest_residual": 1e-6 * (1 + replicate), "n_steps": 40.0})
    return rows


def with_conditions(rows, exponent):
    """The rows, each with a prediction of its ratio from conditions that go like a power of the width."""
    rng = np.random.default_rng(1)
    return [
        row | {"predicted_hessian_over_gradient_squared": 0.3 * row["width"] ** exponent * rng.lognormal(0.0, 0.03)}
        for row in rows
    ]


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize(("exponent", "answers"), [(-0.48, ["yes", "not decided"]), (0.0, ["not decided", "no"])])
def test_conditions_and_measurement_give_the_answer(exponent, answers, tmp_path):
    """Measured: -0.48 in the network, 0.01 in the bottleneck. They must agree with what the conditions lead to."""
    result = a_result(with_conditions(planted_rows(), exponent))
    found = findings.transitions(result)
    assert list(found) == ["network", "bottleneck"]
    assert [one.answer for one in found.values()] == answers
    paths = report.write_report(tmp_path, result, "x", now=NOW)
    for one in found.values():
        assert one.text in "".join(Page(paths.html.read_text()).text)
        assert contents.markdown_cell(one.text) in paths.markdown.read_text()


@pytest.mark.usefixtures("without_pictures")
def test_without_conditions_nothing_is_said_of_a_transition(tmp_path):
    assert findings.transitions(a_result()) == {}
    assert "become linear?" not in report.write_report(tmp_path, a_result(), "x", now=NOW).markdown.read_text()


def a_result(rows=None, **changes):
    fields = {
        "specification": SPECIFICATION,
        "rows": planted_rows() if rows is None else rows,
        "failures": [],
        "n_reused": 30,
        "n_computed": 50,
        "seconds": 12.34,
        "notes": ("fewer than 10 seeds",),
        "data": "digits: 1797 rows, 64 columns; target: even (+1) against odd (-1)",
    }
    return StudyResult(**(fields | changes))


class Page(HTMLParser):
    """Everything the tests ask of a page: tags with attributes, open elements balanced, and the visible text."""

    VOID = ("meta", "link", "br", "img")

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text, self.tables, self.problems = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes), tuple(name for name, _ in self.open)))
        if tag not in self.VOID:
            self.open.append((tag, []))
        if tag == "tr":
            self.tables.append([])

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes), tuple(name for name, _ in self.open)))

    def handle_endtag(self, tag):
        name, parts = self.open.pop()
        if name != tag:
            self.problems.append((name, tag))
        text = "".join(parts)
        if tag in ("td", "th"):
            self.tables[-1].append(" ".join(text.split()))
        if self.open:
            self.open[-1][1].append(text)
        else:
            self.text.append(text)

    def handle_data(self, data):
        if self.open:
            self.open[-1][1].append("" if self.open[-1][0] in ("style", "title", "desc") else data)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    result = a_result()
    paths = report.write_report(folder, result, "assembly study planted --out '<here>'", now=NOW)
    return folder, result, paths, paths.html.read_text("utf-8"), paths.markdown.read_text("utf-8")


def by_key(findings):
    return {(finding.architecture, finding.quantity): finding for finding in findings}


# --- the fits --------------------------------------------------------------------------------------------------------


def test_assess_fits_and_judges_each_planted_slope():
    result = a_result()
    found = by_key(findings.assess(result))
    assert found["network", "hessian_norm"].verdict == "consistent"
    assert found["network", "rms_cosine_layer_2"].verdict == "inconsistent"
    assert found["bottleneck", "hessian_norm"].verdict == "consistent"
    assert found["network", "gradient_norm"].verdict is None
    for (architecture, quantity), finding in found.items():
        exponent = PLANTED[architecture][quantity]
        if exponent is None or math.isnan(exponent):
            assert finding.rate is None
            continue
        assert finding.rate == fit_rate(*result.values(architecture, quantity), seed=findings.BOOTSTRAP_SEED)
        assert finding.rate.exponent == pytest.approx(exponent, abs=0.03)
    assert re.fullmatch(
        r"\|\|H\|\| falls like m\^-0\.4\d \[-0\.\d\d, -0\.\d\d\]; predicted -1/2, band 0\.1: consistent",
        found["network", "hessian_norm"].sentence,
    )
    assert "stays flat: m^" in found["bottleneck", "hessian_norm"].sentence


def test_a_planted_alternative_turns_every_verdict():
    swapped = {"network": "bottleneck", "bottleneck": "network"}
    rows = [row | {"architecture": swapped[row["architecture"]]} for row in planted_rows()]
    found = by_key(findings.assess(a_result(rows)))
    assert found["network", "hessian_norm"].verdict == "inconsistent"
    assert found["bottleneck", "hessian_norm"].verdict == "inconsistent"


def test_the_rule_and_every_claim_are_declared_before_the_run():
    lines = findings.declared_rule(SPECIFICATION).splitlines()
    assert lines[0].startswith("Rule of agreement, fixed before the run")
    assert lines[2:] == [
        "  network, ||H||: predicted -1/2 (-0.60 to -0.40), alternative 0 (-0.10 to 0.10)",
        "  network, rms cosine, layer 2: predicted -1/2 (-0.60 to -0.40), alternative 0 (-0.10 to 0.10)",
        "  bottleneck, ||H||: predicted 0 (-0.10 to 0.10), alternative -1/2 (-0.60 to -0.40)",
    ]


def test_what_has_no_exponent_says_why():
    found = by_key(findings.assess(a_result()))
    zero, missing = found["bottleneck", "kernel_smallest_eigenvalue"], found["bottleneck", "rms_cosine_layer_2"]
    assert "is exactly 0 and has no logarithm" in zero.reason
    assert zero.sentence.startswith("lambda_min(K): no exponent fitted.")
    assert "or never converged" in missing.reason


def test_unconverged_norms_are_never_fitted():
    rows = planted_rows()
    for row in rows[:2]:
        row.update(hessian_norm=math.nan, n_unconverged=1.0, largest_residual=0.2)
    finding = by_key(findings.assess(a_result(rows)))["network", "hessian_norm"]
    assert (finding.rate.n_used, finding.rate.n_excluded) == (38, 2)


def test_findings_follow_the_study_and_the_table_of_quantities():
    keys = [(finding.architecture, finding.quantity) for finding in findings.assess(a_result())]
    assert [quantity for architecture, quantity in keys if architecture == "network"] == list(PLANTED["network"])
    assert [architecture for architecture, _ in keys] == ["network"] * 5 + ["bottleneck"] * 5


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_numbers_in_the_page_are_those_of_the_rate(written):
    _, result, _, html, markdown = written
    rows = Page(html).tables
    for finding in findings.assess(result):
        if finding.rate is None:
            continue
        rate = finding.rate
        exponent, interval = signed(rate.exponent, 3), f"[{signed(rate.lower, 3)}, {signed(rate.upper, 3)}]"
        found = [row for row in rows if finding.architecture in row and exponent in row and interval in row]
        assert found, finding.quantity
        name = describe(finding.quantity).text.replace("|", "\\|")
        assert f"| {name} | {finding.architecture} | {exponent} | {interval} |" in markdown
        if finding.claim:
            assert any(finding.verdict in cell for cell in found[0])
        for i, width in enumerate(rate.widths):
            median, fitted = f"{rate.medians[i]:.4g}", f"{rate.fitted[i]:.4g}"
            assert [
                row for row in rows if row[:2] == [finding.architecture, str(width)] and {median, fitted} <= set(row)
            ]
            assert f"| {finding.architecture} | {width} | 8 of 8 | {median} |" in markdown
        assert [row for row in rows if row[2:6] == [signed(slope) for slope in rate.local_slopes]]


def test_the_page_reaches_for_nothing_outside(written):
    page = Page(written[3])
    for tag, attributes, _ in page.tags:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "action", "poster", "xlink:href", "data"):
                assert value.startswith(("#", "data:,")), (tag, value)
    assert "@import" not in written[3]
    assert re.findall(r"url\((?!#)[^)]*\)", written[3]) == []
    assert "http" not in written[3]


def test_the_test_of_outside_addresses_can_fail():
    with pytest.raises(AssertionError):
        test_the_page_reaches_for_nothing_outside((None, None, None, '<html><img src="http://a.b/c.png"></html>'))


def test_every_picture_has_a_text_and_a_table(written):
    _, _, paths, html, markdown = written
    page = Page(html)
    svgs = [attributes for tag, attributes, _ in page.tags if tag == "svg"]
    assert len(svgs) == len(paths.plots) == 2 + 4 + 5
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in svgs)
    titles = [parents for tag, _, parents in page.tags if tag in ("title", "desc") and parents[-1:] == ("svg",)]
    assert len(titles) == 2 * len(svgs)
    in_figures = [parents for tag, _, parents in page.tags if tag == "table" and "figure" in parents]
    assert len(in_figures) == len(svgs)
    images = re.findall(r"!\[([^\n]*)\]\((plots/[^)]*)\)", markdown)
    assert len(images) == len(svgs)
    assert all(text for text, _ in images)
    assert {path for _, path in images} == {f"plots/{path.name}" for path in paths.plots}


def test_the_page_is_well_formed_and_no_identifier_comes_twice(written):
    page = Page(written[3])
    assert page.problems == []
    assert page.open == []
    ids = [attributes["id"] for _, attributes, _ in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for tag, attributes, _ in page.tags if attributes.get("href", "").startswith("#")}
    assert targets <= set(ids)


def test_the_order_of_the_page(written):
    text = "".join(Page(written[3]).text)
    headings = [
        "Asked:",
        "Verdicts",
        "What was compared",
        "Who contributes",
        "The judged quantities against width",
        "Shown, not judged",
        "Local slopes",
        "Can the norms be trusted?",
        "How it was measured",
        "To repeat it",
        "Words",
    ]
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    markdown = written[4]
    places = [markdown.index(heading) for heading in headings]
    assert places == sorted(places)


def test_what_the_report_must_say(written):
    for text in ("".join(Page(written[3]).text), written[4]):
        flat = " ".join(text.split()).replace("\\", "")
        for part in (
            "The one claim on it is consistent.",
            "Of 2 claims on it 1 consistent, 1 inconsistent.",
            "The wider it is, the closer to linear in its parameters",
            "Width does not make it linear in its parameters",
            "fewer than 10 seeds",
            "Rule of agreement, fixed before the run",
            "assembly study planted --out '<here>'",
            "50 networks were computed in this run (12.3 s) and 30 taken from an earlier one",
            "a theorem with <angles>",
            "Planted slopes <b>&</b> verdicts",
            "1797 rows, 64 columns",
            "2026-01-02 03:04 UTC",
            "networks 0 to 7, measured inputs 0, bootstrap 0",
            "8.0e-06",
            "Every norm converged.",
            "No point failed.",
            "is exactly 0 and has no logarithm",
            *machine.versions().values(),
            *(" ".join(fact.split()) for fact in machine.machine().values()),
        ):
            assert part in flat, part


def test_missing_points_are_counted_and_listed(tmp_path):
    rows = planted_rows()
    rows[5].update(hessian_norm=math.nan, n_unconverged=2.0, largest_residual=0.25)
    failures = [(points(SPECIFICATION, some_data(""))[3], "LinAlgError: the <matrix> | broke")]
    result = a_result(rows, failures=failures)
    paths = report.write_report(tmp_path, result, "x", now=NOW)
    html, markdown = "".join(Page(paths.html.read_text()).text), paths.markdown.read_text().replace("\\", "")
    for text in (html, markdown):
        assert "bottleneck, width 16, seed 1: LinAlgError: the <matrix> | broke" in text
        assert "network, width 16, seed 5: 2 of 2 norms, largest residual 2.5e-01" in text
        assert "1 point failed" in text
    table, sentences = terminal.terminal_table(result)
    assert "network: 2 of 80 Hessian norms did not converge; they are left out of the fits." in sentences
    assert "1 point failed; the report lists them." in sentences
    assert table.row_count == 5


def test_a_study_that_found_nothing_still_has_a_report(tmp_path):
    failures = [(point, "MemoryError") for point in points(SPECIFICATION, some_data(""))]
    result = a_result([], failures=failures, data="")
    paths = report.write_report(tmp_path, result, "x")
    assert "No finished point has this quantity." in paths.html.read_text()
    assert [path.name for path in paths.plots] == ["architecture-network.svg", "architecture-bottleneck.svg"]
    assert all(finding.rate is None for finding in findings.assess(result))
    assert "no fit" in terminal_text(result)


def test_a_study_without_claims_judges_nothing(tmp_path):
    specification = SPECIFICATION.model_copy(update={"claims": ()})
    result = a_result(specification=specification)
    html = report.write_report(tmp_path, result, "x").html.read_text()
    assert "This study makes no claim" in html
    assert "The judged quantities" not in html
    assert "not judged" in terminal_text(result)


def test_a_column_the_table_does_not_know_is_shown_under_its_own_name(tmp_path):
    rows = [row | {"heat_x": float(row["width"])} for row in planted_rows()]
    html = report.write_report(tmp_path, a_result(rows), "x").html.read_text()
    assert "heat_x" in html
    rows = [row | {"heat<i>": float(row["width"])} for row in planted_rows()]
    finding = by_key(findings.assess(a_result(rows)))["network", "heat<i>"]
    assert finding.rate.exponent == pytest.approx(1.0)
    assert "<i>" not in contents._sentence_html(finding).replace("<i>m</i>", "")


MANY = """
name = "many"
widths = [16, 32, 64, 160]
seeds = 3
[data]
source = "digits"
""" + "".join(
    f'[[architectures]]\nlabel = "{label}"\n{keys}\n'
    for label, keys in {
        **{f"network-{i}": 'hidden = ["m"]' for i in range(5)},
        "residual": 'builder = "resnet"\nn_blocks = 3',
        "copies": 'builder = "tied"\ncopies_exponent = 0.5',
        "wide": 'widths = [32, 64, 128, 320]\nhidden = ["m", "2m"]',
    }.items()
)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    specification = parse(MANY)
    rows = []
    for entry in specification.architectures:
        for width in specification.widths_of(entry):
            for seed in range(3):
                row = {"architecture": entry.label, "width": width, "seed": seed, "hessian_norm": width**-0.5}
                row["kernel_smallest_eigenvalue"] = 0.0 if entry.label == "copies" else 1.0 + seed
                if entry.label != "wide" or width < 256:  # not measured there: no column
                    row["rms_cosine_layer_2"] = width**-0.25 if width > 16 else math.nan
                rows.append(row)
    folder = tmp_path_factory.mktemp("many")
    result = a_result(rows, specification=specification, notes=())
    paths = report.write_report(folder, result, "x", now=NOW)
    return result, paths, paths.html.read_text(), paths.markdown.read_text()


def test_architectures_that_are_no_plain_layers_are_shown_as_text(many):
    result, paths, html, markdown = many
    page = Page(html)
    for label in ("residual", "copies"):
        entry = result.specification.architecture(label)
        picture = entry.made_by.picture.strip("\n")
        assert f"```text\n{picture}\n```" in markdown
        assert picture in "".join(page.text)
        assert entry.made_by.text in " ".join(markdown.split())
        assert not (paths.html.parent / "plots" / f"architecture-{label}.svg").exists()
    assert (paths.html.parent / "plots" / "architecture-wide.svg").exists()
    for text in ("n_blocks = 3", "n_copies = 4, 8, 8, 16 at m = 16, 32, 64, 160", "hidden = [m, 2m]"):
        assert text in markdown
        assert text in "".join(page.text)
    assert page.problems == []


def test_more_architectures_than_colours_are_drawn_in_several_pictures(many):
    result, paths, html, markdown = many
    names = {path.stem for path in paths.plots if not path.stem.startswith("architecture-")}
    assert {"hessian_norm", "hessian_norm-2"} <= names
    labels = [entry.label for entry in result.specification.architectures]
    for name, drawn, rest in (("hessian_norm", labels[:6], labels[6:]), ("hessian_norm-2", labels[6:], labels[:6])):
        section = markdown.split(f"(plots/{name}.svg)")[1].split("![")[0]
        assert all(f"| {label} | " in section for label in drawn)
        assert not any(f"| {label} | " in section for label in rest)
    first = markdown.split("(plots/kernel_smallest_eigenvalue.svg)")[1].split("![")[0]
    assert "| copies | 16 | 3 of 3 | 0 |" in first  # cannot be drawn; its numbers and the reason stand under the first
    assert "copies: lambda_min(K): no exponent fitted." in first
    again = report.write_report(paths.html.parent, result, "x", now=NOW)
    assert again.html.read_text() == html
    fewer = replace(
        result,
        specification=result.specification.model_copy(
            update={"architectures": (result.specification.architectures[0],)}
        ),
        rows=result.rows[:12],
    )
    report.write_report(paths.html.parent, fewer, "x", now=NOW)
    assert not (paths.html.parent / "plots" / "hessian_norm-2.svg").exists()


def test_a_quantity_is_fitted_at_the_widths_where_it_is_measured(many):
    found = by_key(findings.assess(many[0]))
    assert found["wide", "hessian_norm"].rate.widths == (32, 64, 128, 320)
    assert "Got 3 (32, 64, 128); add widths" in found["wide", "rms_cosine_layer_2"].reason
    assert found["residual", "hessian_norm"].rate.n_used == 12
    assert "only" not in found["wide", "hessian_norm"].sentence
    assert "Networks of width m = 16, 32, 64, 160 (wide: 32, 64, 128, 320); 3 at each" in many[3].replace("\\", "")


def test_the_table_of_exponents_holds_every_finding(written):
    _, result, paths, _, _ = written
    rows = list(csv.DictReader(paths.exponents.read_text().splitlines()))
    every = findings.assess(result)
    assert [(row["architecture"], row["quantity"]) for row in rows] == [(f.architecture, f.quantity) for f in every]
    for row, finding in zip(rows, every, strict=True):
        assert row["builder"] == ("mlp" if finding.architecture == "network" else "bottleneck")
        if finding.rate is None:
            assert row["exponent"] == row["lower"] == row["n_used"] == ""
        else:
            assert float(row["exponent"]) == finding.rate.exponent
            assert (float(row["lower"]), float(row["upper"])) == (finding.rate.lower, finding.rate.upper)
            assert (int(row["narrowest"]), int(row["widest"])) == (16, 256)
        if finding.claim is None:
            assert row["prediction"] == row["verdict"] == ""
        else:
            assert float(row["prediction"]) == finding.claim.prediction
            assert (row["verdict"], row["source"]) == (finding.verdict, finding.claim.source)


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_same_study_gives_the_same_files(written, tmp_path):
    folder, result, paths, html, markdown = written
    again = report.write_report(tmp_path, result, "assembly study planted --out '<here>'", now=NOW)
    assert (again.html.read_text(), again.markdown.read_text()) == (html, markdown)
    for old, new in zip(paths.plots, again.plots, strict=True):
        assert old.read_bytes() == new.read_bytes()
    assert sorted(os.listdir(folder)) == ["exponents.csv", "plots", "report.html", "report.md"]
    assert len(os.listdir(folder / "plots")) == 2 + 4 + 5


def test_row_order_does_not_change_a_number(written, tmp_path):
    _, result, _, html, _ = written
    order = np.random.default_rng(0).permutation(len(result.rows))
    shuffled = replace(result, rows=[result.rows[i] for i in order])
    again = report.write_report(tmp_path, shuffled, "assembly study planted --out '<here>'", now=NOW)
    assert again.html.read_text() == html


def test_a_failing_write_leaves_the_old_report_whole(tmp_path, monkeypatch):
    result = a_result()
    paths = report.write_report(tmp_path, result, "first", now=NOW)
    before = {path: path.read_bytes() for path in (paths.html, paths.markdown, *paths.plots)}

    def broken(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.Path, "replace", broken)
    with pytest.raises(ResultsError, match=r"cannot be written to .*: No space left on device"):
        report.write_report(tmp_path, result, "second", now=NOW)
    assert {path: path.read_bytes() for path in before} == before
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if name.endswith(".partial")]


def test_pictures_of_an_earlier_run_go_and_those_of_others_stay(tmp_path):
    (tmp_path / "plots").mkdir()
    for name in (
        "q_infinity.svg",
        "architecture-old.svg",
        "shares-old.svg",
        "cosines-old.svg",
        "mine.svg",
        "notes.txt",
    ):
        (tmp_path / "plots" / name).write_text("x")
    report.write_report(tmp_path, a_result(), "x")
    left = set(os.listdir(tmp_path / "plots"))
    assert {"mine.svg", "notes.txt", "hessian_norm.svg"} <= left
    assert not {"q_infinity.svg", "architecture-old.svg", "shares-old.svg", "cosines-old.svg"} & left


@pytest.mark.usefixtures("without_pictures")
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResultsError, match="cannot be written") as caught:
        report.write_report(tmp_path / "file", a_result(), "x")
    assert "\n" not in str(caught.value)


# --- terminal and machine --------------------------------------------------------------------------------------------


def terminal_text(result):
    console = Console(file=StringIO(), width=80, color_system=None)
    table, sentences = terminal.terminal_table(result)
    console.print(table)
    for line in sentences:
        console.print(line, markup=False)
    return console.file.getvalue()


def test_the_terminal_shows_the_same_findings_in_80_columns():
    result = a_result()
    text = terminal_text(result)
    table, sentences = terminal.terminal_table(result)
    judged = [finding for finding in findings.assess(result) if finding.claim]
    assert sentences[:3] == [f"{finding.architecture}: {finding.sentence}" for finding in judged]
    assert sentences[3] == "7 more quantities are shown, not judged, in the report."
    assert table.row_count == 3 + 2
    assert "…" not in text
    for finding in judged:
        rate = finding.rate
        line = next(line for line in text.splitlines() if signed(rate.exponent) in line.split())
        assert f"[{signed(rate.lower)}, {signed(rate.upper)}]" in line
        assert line.rstrip().endswith(finding.verdict)


def test_machine_facts_are_there_and_survive_a_system_that_tells_nothing(tmp_path, monkeypatch):
    assert machine.versions()["numpy"] == np.__version__
    assert all(machine.machine().values())
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t:  Some  CPU\n")
    assert machine._processor(tmp_path / "cpuinfo") == "Some CPU"
    assert machine._processor(tmp_path / "none")
    monkeypatch.setattr(machine.os, "cpu_count", lambda: None)
    monkeypatch.setattr(machine.os, "sysconf", lambda name: (_ for _ in ()).throw(ValueError))
    assert machine.machine()["cores"] == machine.machine()["memory"] == "unknown"
    monkeypatch.setattr(machine, "PACKAGES", ("no-such-package",))
    assert machine.versions()["no-such-package"] == "not installed"


def protocol_of(quantities, training_steps=37):
    """Return what the report says of the parameters at which these quantities are taken, as one text."""
    table = SPECIFICATION.model_dump(exclude_none=True) | {"claims": [], "training_steps": training_steps}
    one = validate(table | {"quantities": quantities})
    return " ".join(contents._parameters(one))


def test_untrained_quantities_are_taken_at_the_initial_parameters():
    told = protocol_of(["q_infinity"])
    assert told.startswith("All quantities are taken at the initial parameters, before any training")
    assert "training_steps" not in told


def test_trained_quantities_are_not_said_to_be_taken_before_training():
    told = protocol_of(["loss_trained", "rate_over_kernel_path"])
    assert "before any training" not in told
    assert "same 2 inputs" in told
    assert "training_steps = 37" in told
    assert "Gradient descent, step size 1 / lambda_max" in told
    assert "initial parameters: loss left, trained." in told
    assert "Gradient flow to the time" in told
    assert "at its start: rate over lambda_min(K_t)." in told


def test_of_both_kinds_each_is_told():
    told = protocol_of(["loss_trained", "q_infinity"])
    assert "All other quantities are taken at the initial parameters" in told
    assert "Q_inf" not in told


def test_every_quantity_that_trains_says_how():
    trained = [*TRAINED, *NOISY, *RATES, *LINEAR_UNITS, "orthogonal_deviation", "catapult_limit"]
    assert [one for one in COLUMNS if describe_any(one).training] == sorted(trained, key=COLUMNS.index)


def with_bound(claims):
    """Return the planted study with other claims: its result has gradient norms near 1."""
    table = SPECIFICATION.model_dump(exclude_none=True) | {"claims": claims}
    return replace(a_result(), specification=validate(table))


def test_a_report_of_bounds_speaks_of_bounds():
    bound = {"architecture": "network", "quantity": "gradient_norm", "at_most": 1.0}
    result = with_bound([bound])
    told = contents.contents(result, findings.assess(result), [], "command", NOW)
    assert told["spread"] == "range"
    assert told["answer"]["asked"].endswith("keep these bounds: ||grad f|| at most 1?")
    assert told["reference"] == "; the dashed line is a claimed bound, grey on the side that breaks it"
    page = report.render("report.html.j2", told)
    assert "predicted slope" not in page
    assert "Each exponent b" not in page
    assert 'data-label="range"' in page


def test_a_report_of_both_kinds_of_claims_names_both():
    bound = {"architecture": "network", "quantity": "gradient_norm", "at_most": 1.0}
    claims = SPECIFICATION.model_dump(exclude_none=True)["claims"]
    result = with_bound([*claims, bound])
    told = contents.contents(result, findings.assess(result), [], "command", NOW)
    assert told["spread"] == "95 % interval, or range for a bound"
    assert "How do these change with the width m, from 16 to 256" in told["answer"]["asked"]
    assert "||H||; rms cosine, layer 2?" in told["answer"]["asked"]
    assert "the dashed line has the predicted slope, or is a claimed bound" in told["reference"]


def test_a_value_is_shown_on_its_own_side_of_a_bound():
    row = {"at_least": 1.0, "at_most": "", "smallest": 0.99996, "largest": 1.046, "prediction": "", "exponent": ""}
    assert findings.claim_cells(row, 2)["interval"] == "0.99996 to 1.05"
