"""Networks of one's own and painted points on the explorer's page, in a real browser."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import numpy as np
from matplotlib import image

import assembly as am
from assembly.explorer import answers, picture, uploads
from assembly.explorer.scene import scene
from assembly.explorer.state import CHOICES, POINTS, State, network
from test_explorer_page import (  # noqa: F401
    SOON,
    address,
    browser,
    choose,
    faults,
    of_library,
    page,
    pytestmark,
    shown,
    sync_api,
    wait_for,
)
from test_uploads import HOSTILE, NEURONS, as_bytes, dense, saved

expect = sync_api.expect


def give(page, contents):
    files = [
        {"name": name, "mimeType": "application/octet-stream", "buffer": content} for name, content in contents.items()
    ]
    page.locator("input[type=file][accept='.json,.npz']").set_input_files(files)


def state_of(page):
    return State.from_query(urlsplit(page.url).query)


def test_a_saved_network_is_looked_at_and_left_again(page, address, tmp_path):
    net = am.bottleneck(n_inputs=13, widths=[32, 1, 32], activation="tanh", seed=3)
    contents = saved(tmp_path, net)
    kept = uploads.read(contents)
    page.goto(f"{address}?width=16&data=wine&radius=0.5")
    shown(page)
    give(page, contents)
    expect(page.get_by_text("The network comes from the file net.json")).to_be_visible(timeout=SOON)
    wait_for(page, "parameters", f"{net.n_parameters:,}")
    state = State(width=16, data="wine", radius=0.5).replace(file=kept.key)
    assert shown(page) == of_library(state)
    expect(page.locator('[data-word="narrow layer"]')).to_contain_text("neuron 0", timeout=SOON)
    assert state_of(page) == state
    width = page.get_by_role("slider", name=re.compile("^Width"))
    expect(width).to_be_disabled()
    expect(page.get_by_text("Width, as net.json has it: 1")).to_be_visible()
    expect(page.get_by_label("Depth")).to_be_hidden()
    assert 'am.load("net.json"' in page.locator("pre").text_content()
    page.get_by_role("button", name="Compose a network instead").click()
    wait_for(page, "width", "16")
    assert state_of(page) == State(width=16, data="wine", radius=0.5)
    expect(width).to_be_enabled()


def test_a_graph_by_hand_is_looked_at_neuron_by_neuron(page, address):
    page.goto(f"{address}?width=16&panel=assembly")
    shown(page)
    kept = uploads.read({"mine.json": as_bytes(NEURONS)})
    give(page, {"mine.json": as_bytes(NEURONS)})
    wait_for(page, "parameters", "4")
    assert shown(page) == of_library(State(panel="assembly").replace(file=kept.key))
    expect(page.get_by_role("button", name=re.compile("^layer 1, neuron 0"))).to_be_visible(timeout=SOON)


def test_an_address_with_a_file_asks_for_it_again(page, address, browser):
    page.goto(address)
    shown(page)
    give(page, {"mine.json": as_bytes(dense(n_inputs=3))})
    wait_for(page, "parameters", "9")
    page.wait_for_url(re.compile("file=mine.json"), timeout=SOON)
    other = browser.new_page()
    other.goto(page.url.replace("width=64", "width=24"))
    expect(other.locator(".fault")).to_contain_text("'mine.json', which no address can hold", timeout=SOON)
    expect(other.locator(".fault")).to_contain_text("upload it again")
    assert shown(other) == of_library(State(width=24))
    give(other, {"mine.json": as_bytes(dense(n_inputs=3))})
    wait_for(other, "parameters", "9")
    expect(other.locator(".fault")).to_have_count(0)
    other.close()


def test_hostile_files_are_answered_with_a_sentence_and_the_page_goes_on(page, address):
    page.goto(f"{address}?width=8&data=wine")
    shown(page)
    for name, (make, _, said) in HOSTILE.items():
        contents = make()
        if not contents or any("/" in one for one in contents):
            continue  # a browser sends neither
        give(page, contents)
        expect(page.locator(".fault")).to_contain_text(re.compile(said), timeout=SOON)
        give(page, {"net.json": b"{}"})
        expect(page.locator(".fault"), name).to_contain_text("'format' entry must be one of", timeout=SOON)
    assert shown(page) == of_library(State(width=8, data="wine"))
    give(page, {"mine.json": as_bytes(NEURONS)})
    wait_for(page, "parameters", "4")


def square(page):
    return page.get_by_role("application", name=re.compile("points of the plane"))


def test_points_are_painted_with_the_mouse(page, address):
    page.goto(f"{address}?width=8&data=points&points=0.0,0.0,1")
    shown(page)
    box = square(page).bounding_box()

    def click(x, y):
        square(page).click(position={"x": box["width"] * (x + 2.05) / 4.1, "y": box["height"] * (2.05 - y) / 4.1})

    click(1.0, -0.5)
    wait_for(page, "f", "of points")
    page.get_by_role("radio", name="puts -1").check()
    click(-1.5, 1.2)
    page.wait_for_url(re.compile("points=[^&]*-1.5,1.2,-1"), timeout=SOON)
    assert state_of(page).points == ((0.0, 0.0, 1), (1.0, -0.5, 1), (-1.5, 1.2, -1))
    page.get_by_role("radio", name="looks at").check()
    click(-1.5, 1.2)
    page.wait_for_url(re.compile("row=2"), timeout=SOON)
    state = State(width=8, data=POINTS, points=((0.0, 0.0, 1), (1.0, -0.5, 1), (-1.5, 1.2, -1)), row=2)
    wait_for(page, "f", "at row 2")
    assert shown(page) == of_library(state)
    page.get_by_role("radio", name="removes").check()
    click(0.0, 0.0)
    page.wait_for_url(re.compile("row=1"), timeout=SOON)
    assert state_of(page).points == state.points[1:]


def test_points_are_painted_with_the_keyboard(page, address):
    page.goto(f"{address}?width=8&data=points&points=0.0,0.0,1")
    shown(page)
    square(page).focus()
    for key in ("ArrowRight", "ArrowUp", "-", "Shift+ArrowLeft", "+"):
        page.keyboard.press(key)
    page.wait_for_url(re.compile("points=[^&]*-0.4,0.1,1"), timeout=SOON)
    assert state_of(page).points == ((0.0, 0.0, 1), (0.1, 0.1, -1), (-0.4, 0.1, 1))
    expect(page.locator(".plane [role=status]")).to_have_text("-0.4, 0.1: point 2, class 1", timeout=SOON)
    page.keyboard.press("Delete")
    page.wait_for_url(lambda url: State.from_query(urlsplit(url).query).points[-1][2] == -1, timeout=SOON)
    assert state_of(page).points == ((0.0, 0.0, 1), (0.1, 0.1, -1))
    page.goto(page.url)
    shown(page)
    assert state_of(page).points == ((0.0, 0.0, 1), (0.1, 0.1, -1))


def downloaded(page, name, n=0):
    with page.expect_download(timeout=SOON) as waited:
        page.get_by_role("button", name=name).nth(n).click()
    return waited.value.suggested_filename, Path(waited.value.path()).read_bytes()


def test_the_picture_is_taken_away(page, address):
    page.goto(f"{address}?width=8&depth=2&panel=assembly&data=wine&colour=value")
    shown(page)
    state = State(width=8, depth=2, data="wine", colour="value")
    drawn = scene(network(state), state.x, "value")
    expect(page.get_by_role("button", name="Save as PNG")).to_be_enabled(timeout=SOON)
    name, content = downloaded(page, "Save as PNG")
    assert name == "assembly.png"
    pixels = image.imread(io.BytesIO(content), format="png")
    assert min(pixels.shape[:2]) >= 400
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 20  # coloured, not blank
    assert b"Description\0" + drawn.description.encode() in content
    name, content = downloaded(page, "Save as SVG")
    assert name == "assembly.svg"
    assert content == picture.saved(drawn, "svg")
    assert ElementTree.fromstring(content).findtext("{http://www.w3.org/2000/svg}desc") == drawn.description
    name, content = downloaded(page, "Save as CSV", -1)
    assert [tuple(row) for row in csv.reader(io.StringIO(content.decode()))] == [
        drawn.table.heading,
        *drawn.table.rows,
    ]
    state = state.replace(colour="adjoint")
    choose(page, "Colour", CHOICES["colour"].names["adjoint"])
    again = picture.saved(scene(network(state), state.x, "adjoint"), "svg")
    expect(page.locator("svg[role=group]")).to_have_attribute("aria-label", re.compile("adjoint"), timeout=SOON)
    assert downloaded(page, "Save as SVG")[1] == again != content


def test_a_table_is_taken_away(page, address):
    page.goto(f"{address}?width=8&data=wine")
    shown(page)
    title = "Shares of the neurons in their layer"
    page.get_by_text(title).click()
    with page.expect_download(timeout=SOON) as waited:
        page.locator("details", has_text=title).get_by_role("button", name="Save as CSV").click()
    assert waited.value.suggested_filename == "shares-of-the-neurons-in-their-layer.csv"
    table = answers.judged(State(width=8, data="wine")).table
    rows = [tuple(row) for row in csv.reader(io.StringIO(Path(waited.value.path()).read_text("utf-8")))]
    assert rows == [table.heading, *table.rows]


def test_axe_finds_nothing_serious_beside_a_square_and_a_file(page, address):
    page.goto(f"{address}?width=16&data=points")
    shown(page)
    give(page, {"mine.json": json.dumps(NEURONS).encode()})
    wait_for(page, "parameters", "4")
    expect(square(page)).to_be_visible()
    expect(page.locator(".waiting")).to_have_count(0, timeout=SOON)
    assert faults(page) == []
