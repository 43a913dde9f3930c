"""The panel Scaling in a real browser: run, pause, resume, cancel, keep, reopen, and go on with the command line."""

import csv
import re
import shlex
import subprocess
import sys

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
for package in ("panel", "panel_material_ui", "bokeh", "anywidget"):
    pytest.importorskip(package, reason="the extra 'explorer' is not installed")

from assembly.explorer.scaling import Choices, specified  # noqa: E402
from assembly.explorer.state import State  # noqa: E402
from assembly.study.reading import dump, load  # noqa: E402
from assembly.study.runner import run_study  # noqa: E402
from test_explorer_page import CHROMIUM, SOON, address, browser, choose, faults, page, running, shown  # noqa: E402, F401

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
STUDIED = 120_000  # milliseconds: workers start, other tests run beside
DOTS = """() => Object.values(Bokeh.documents).flatMap(one => [...one._all_models.values()])
    .filter(one => one.type === 'ColumnDataSource' && one.data.legend).map(one => one.data.x.length)[0] ?? 0"""


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def open_panel(page, address, query="width=8&depth=1&data=wine"):
    page.goto(f"{address}?{query}&panel=scaling")
    sync_api.expect(button(page, "Run")).to_be_visible(timeout=SOON)
    sync_api.expect(page.get_by_text("here.", exact=False).first).to_be_visible(timeout=SOON)


def wait_status(page, status):
    sync_api.expect(page.locator(f'[data-status="{status}"]')).to_be_visible(timeout=STUDIED)


def n_measured(page, status):
    return int(re.match(r"(\d+) of", page.locator(f'[data-status="{status}"]').inner_text())[1])


def set_slider(page, label, presses):
    slider = page.get_by_role("slider", name=re.compile(f"^{label}"))
    slider.focus()
    for _ in range(presses):
        page.keyboard.press("ArrowRight")


def downloaded(page, name):
    with page.expect_download(timeout=SOON) as coming:
        page.get_by_text(name, exact=True).click()
    assert coming.value.suggested_filename == name
    return coming.value.path()


def test_points_arrive_are_paused_go_on_and_end_in_a_verdict_and_files(page, address, tmp_path):
    open_panel(page, address, "width=8&data=wine")
    button(page, "Add this architecture").click()
    choose(page, "Middle layer", "1 neuron")
    sync_api.expect(page.get_by_text("Narrow layer")).to_be_visible(timeout=SOON)
    button(page, "Add this architecture").click()
    sync_api.expect(page.get_by_label("mlp-2-middle-1", exact=True)).to_be_checked(timeout=SOON)
    set_slider(page, "Seeds", 25)
    sync_api.expect(page.get_by_text("300 networks")).to_be_visible(timeout=SOON)
    button(page, "Run").click()
    wait_status(page, "measuring")
    page.wait_for_function(f"({DOTS})() > 2", timeout=SOON)
    button(page, "Pause").click()
    wait_status(page, "paused")
    at_pause = n_measured(page, "paused")
    assert 2 < at_pause < 300
    page.wait_for_timeout(1500)
    assert n_measured(page, "paused") == at_pause
    assert page.evaluate(DOTS) == at_pause
    button(page, "Resume").click()
    wait_status(page, "whole")
    assert n_measured(page, "whole") == 300
    page.wait_for_function(f"({DOTS})() === 300", timeout=SOON)
    verdict = page.locator('[data-verdict="consistent"]').first
    sync_api.expect(verdict).to_contain_text("mlp-2: ||H|| falls like m^-0.")
    sync_api.expect(page.locator("[data-verdict]").nth(1)).to_contain_text("predicted 0")
    page.get_by_text("The picture in numbers").click()
    sync_api.expect(page.get_by_role("row")).to_have_count(11)

    study = specified([State(data="wine"), State(middle=1, data="wine")], Choices(seeds=30))
    assert load_text(downloaded(page, "study.toml")) == study
    run_study(study, tmp_path, workers=1)
    assert downloaded(page, "results.csv").read_text() == (tmp_path / "results.csv").read_text()


def load_text(path):
    copy = path.with_suffix(".toml")
    copy.write_bytes(path.read_bytes())
    return load(copy)


def test_another_column_of_the_same_study_is_shown(page, address):
    open_panel(page, address)
    button(page, "Run").click()
    wait_status(page, "whole")
    choose(page, "Shown", "||grad f||")
    sync_api.expect(page.locator("[data-verdict]").first).to_contain_text("||grad f||", timeout=SOON)


def test_the_line_to_copy_goes_on_in_a_terminal_with_what_the_page_measured(page, address, tmp_path):
    open_panel(page, address)
    set_slider(page, "Seeds", 25)
    page.get_by_label("Folder that keeps the study").fill(str(tmp_path / "my study"))
    page.keyboard.press("Tab")
    button(page, "Run").click()
    wait_status(page, "measuring")
    button(page, "Pause").click()
    wait_status(page, "paused")
    at_pause = n_measured(page, "paused")
    button(page, "Copy the command").click()
    sync_api.expect(button(page, "Copied")).to_be_visible()
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert words[0] == "assembly"
    done = subprocess.run([sys.executable, "-m", *words, "--workers", "1"], capture_output=True, text=True, check=True)
    assert f"{at_pause} taken from an earlier run" in done.stdout
    with (tmp_path / "my study" / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 150
    button(page, "Resume").click()
    wait_status(page, "whole")
    assert n_measured(page, "whole") == 150


def test_a_folder_and_a_file_are_reopened(page, address, tmp_path):
    study = specified([State(depth=1, data="wine")], Choices(seeds=3, narrowest=4, widest=64))
    run_study(study, tmp_path / "kept", workers=1)
    open_panel(page, address)
    page.get_by_label("Folder that keeps the study").fill(str(tmp_path / "kept"))
    page.keyboard.press("Tab")
    button(page, "Reopen the folder").click()
    wait_status(page, "whole")
    assert n_measured(page, "whole") == 15
    page.get_by_label("Folder that keeps the study").fill("")
    page.keyboard.press("Tab")
    file = tmp_path / "other.toml"
    file.write_text(dump(study))
    page.locator('input[type="file"][accept=".toml"]').set_input_files(file)
    wait_status(page, "paused")
    assert n_measured(page, "paused") == 0
    button(page, "Resume").click()
    wait_status(page, "whole")
    button(page, "Cancel").click()
    sync_api.expect(page.get_by_text("Cancelled.")).to_be_visible(timeout=SOON)
    page.locator('input[type="file"][accept=".toml"]').set_input_files(file)
    wait_status(page, "whole")


def test_cancel_forgets_the_study_and_another_can_be_run(page, address):
    open_panel(page, address)
    set_slider(page, "Seeds", 25)
    button(page, "Run").click()
    wait_status(page, "measuring")
    button(page, "Cancel").click()
    sync_api.expect(page.get_by_text("Cancelled.")).to_be_visible(timeout=SOON)
    page.wait_for_function(f"({DOTS})() === 0", timeout=SOON)
    page.wait_for_timeout(1000)
    assert page.evaluate(DOTS) == 0
    button(page, "Run").click()
    wait_status(page, "whole")
    assert n_measured(page, "whole") == 150


def test_wrong_choices_are_answered_with_a_sentence(page, address):
    open_panel(page, address)
    choose(page, "Widest width", "64")
    sync_api.expect(page.locator(".fault")).to_contain_text("at least 10 times 'narrowest'", timeout=SOON)
    button(page, "Run").click()
    sync_api.expect(page.locator(".fault").nth(1)).to_contain_text("'widest'", timeout=SOON)


def test_a_dial_answers_while_a_study_is_measured(page, address):
    open_panel(page, address, "width=48&depth=3&data=digits")
    choose(page, "Widest width", "1024")
    set_slider(page, "Seeds", 25)
    button(page, "Run").click()
    wait_status(page, "measuring")
    shown(page)
    slider = page.get_by_role("slider", name="Width")
    slider.focus()
    page.keyboard.press("ArrowRight")
    sync_api.expect(page.locator('dl.numbers:not(.waiting *) [data-quantity="width"] dd')).to_contain_text(
        "64", timeout=5000
    )
    button(page, "Cancel").click()


def test_a_visitor_from_elsewhere_names_no_folder(page):
    with running("--host", "127.0.0.1") as with_token:
        page.goto(f"{with_token}&panel=scaling&width=8&depth=1&data=wine")
        sync_api.expect(button(page, "Run")).to_be_visible(timeout=SOON)
        assert page.get_by_label("Folder that keeps the study").count() == 0


def test_the_server_ends_at_once_while_a_study_is_measured(page, tmp_path):
    with running() as found:
        open_panel(page, found, "width=8&depth=3&data=digits")
        choose(page, "Widest width", "2048")
        page.get_by_label("Folder that keeps the study").fill(str(tmp_path / "kept"))
        page.keyboard.press("Tab")
        button(page, "Run").click()
        wait_status(page, "measuring")
    page.goto("about:blank")
    found = run_study(load(tmp_path / "kept" / "study.toml"), tmp_path / "kept", workers=1, function=nothing)
    assert found.n_reused > 0


def nothing(point, samples):
    return {}


def test_axe_finds_nothing_serious(page, address):
    open_panel(page, address)
    button(page, "Add this architecture").click()
    button(page, "Run").click()
    wait_status(page, "whole")
    assert faults(page) == []
