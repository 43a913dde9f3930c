"""The panels Training and Tour in a real browser."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
for package in ("panel", "panel_material_ui", "bokeh", "anywidget"):
    pytest.importorskip(package, reason="the extra 'explorer' is not installed")

from assembly.explorer.answers import number, numbers  # noqa: E402
from assembly.explorer.state import State  # noqa: E402
from assembly.explorer.tour import STEPS  # noqa: E402
from assembly.explorer.training import Training  # noqa: E402
from test_explorer_page import CHROMIUM, SOON, address, browser, faults, page, shown, wait_for  # noqa: E402, F401

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
expect = sync_api.expect
SMALL = "width=64&depth=1&data=wine&panel=training"


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def lane(page, width):
    return page.locator(f'[data-lane="{width}"]')


def open_training(page, address, query=SMALL):
    page.goto(f"{address}?{query}")
    expect(page.locator("[data-lane]").first).to_be_visible(timeout=SOON)


def test_a_step_shows_the_numbers_of_the_library(page, address):
    open_training(page, address)
    button(page, "Step").click()
    expect(lane(page, 64)).to_have_attribute("data-step", "1", timeout=SOON)
    button(page, "Step").click()
    expect(lane(page, 64)).to_have_attribute("data-step", "2", timeout=SOON)
    training = Training(State(width=64, depth=1, data="wine", panel="training"))
    training.go_on(2)
    expect(page.get_by_text(training.shown().sentence)).to_be_visible()
    page.get_by_text("The run in numbers").click()
    rows = page.get_by_role("region", name="The run in numbers").locator("tbody tr").all()
    assert [tuple(row.locator("td").all_inner_texts()) for row in rows] == list(training.shown().table.rows)


def test_it_plays_until_it_is_paused_and_goes_on(page, address):
    open_training(page, address)
    button(page, "Play").click()
    expect(lane(page, 64)).to_have_attribute("data-step", re.compile(r"\d\d"), timeout=SOON)
    button(page, "Pause").click()
    expect(button(page, "Play")).to_be_visible()
    page.wait_for_timeout(1000)  # a picture that was under way
    step = int(lane(page, 64).get_attribute("data-step"))
    page.wait_for_timeout(1000)
    assert int(lane(page, 64).get_attribute("data-step")) == step
    button(page, "Step").click()
    expect(lane(page, 64)).to_have_attribute("data-step", str(step + 1), timeout=SOON)
    button(page, "Start again").click()
    expect(lane(page, 64)).to_have_attribute("data-step", "0", timeout=SOON)


def test_divergence_is_explained(page, address):
    open_training(page, address, f"{SMALL}&factor=8&n_widths=1")
    button(page, "Play").click()
    expect(lane(page, 64)).to_have_attribute("data-status", "diverged", timeout=SOON)
    expect(page.locator(".fault", has_text="Try a step size")).to_be_visible()
    expect(page.locator(".fault", has_text="On the dial, 1 is the usual step size")).to_be_visible()
    expect(button(page, "Play")).to_be_visible()
    assert "NaN" not in page.locator("body").inner_text()


def test_another_network_begins_anew_and_another_panel_pauses(page, address):
    open_training(page, address)
    button(page, "Play").click()
    expect(lane(page, 64)).to_have_attribute("data-step", re.compile(r"[1-9]"), timeout=SOON)
    page.get_by_role("slider", name="Width").focus()
    page.keyboard.press("ArrowLeft")
    wait_for(page, "width", "48")
    expect(lane(page, 48)).to_have_attribute("data-step", "0", timeout=SOON)
    button(page, "Play").click()
    button(page, "Is it linear?").click()
    expect(page.get_by_role("heading", name="Is it linear?")).to_be_visible(timeout=SOON)
    button(page, "Training").click()
    expect(button(page, "Play")).to_be_visible(timeout=SOON)


def test_the_tour_from_its_first_step_to_its_last(page, address):
    page.goto(f"{address}?width=24&data=wine")
    shown(page)
    button(page, "Tour").click()
    expect(page.get_by_text(f"1 of 7: {STEPS[0].title}")).to_be_visible(timeout=SOON)
    wait_for(page, "width", "2")
    page.get_by_role("slider", name="Width").focus()
    page.keyboard.press("ArrowRight")
    wait_for(page, "width", "3")
    button(page, "Set the controls again").click()
    wait_for(page, "width", "2")
    answer = page.get_by_label("Your answer, a number")
    answer.fill("very much")
    button(page, "Check").click()
    expect(page.locator(".fault")).to_contain_text("Type a number", timeout=SOON)
    answer.fill(number(numbers(STEPS[0].state).hessian_norm))
    button(page, "Check").click()
    expect(page.locator("[data-right=false]")).to_contain_text("Not yet. That is ||H|| alone.", timeout=SOON)
    answer.fill(shown(page)["||H|| R / ||grad f||"])
    button(page, "Check").click()
    expect(page.locator("[data-right=true]")).to_contain_text("Right.", timeout=SOON)
    for position in range(2, 8):
        button(page, "Next").click()
        expect(page.get_by_text(f"{position} of 7: {STEPS[position - 1].title}")).to_be_visible(timeout=SOON)
    expect(button(page, "Next")).to_be_disabled()
    wait_for(page, "width", "128")
    answer.fill("128")
    button(page, "Check").click()
    expect(page.locator("[data-right=true]")).to_contain_text("Right.", timeout=SOON)
    button(page, "Back").click()
    page.get_by_label("layer 2, neuron 0").check()
    button(page, "Check").click()
    expect(page.locator("[data-right=true]")).to_contain_text("Right.", timeout=SOON)
    page.reload()
    expect(page.get_by_text(f"6 of 7: {STEPS[5].title}")).to_be_visible(timeout=SOON)


@pytest.mark.parametrize("query", [SMALL, "panel=tour&tour_step=3&width=16"])
def test_axe_finds_nothing_serious_in_training_and_tour(page, address, query):
    page.goto(f"{address}?{query}")
    shown(page)
    if query == SMALL:
        expect(lane(page, 64)).to_be_visible(timeout=SOON)
    assert faults(page) == []
