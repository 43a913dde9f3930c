"""The explorer's page, driven in a real browser against the server that the command starts."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe_playwright_python = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
for package in ("panel", "panel_material_ui", "bokeh", "anywidget"):
    pytest.importorskip(package, reason="the extra 'explorer' is not installed")

from assembly.explorer import answers  # noqa: E402
from assembly.explorer.presets import PRESETS  # noqa: E402
from assembly.explorer.state import State  # noqa: E402
from assembly.lessons import LESSONS  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
SIZES, SCHEMES = ((1280, 720), (390, 844)), ("light", "dark")
IS_DARK = "(getComputedStyle(document.body).backgroundColor !== 'rgb(255, 255, 255)') === isDark"
SOON = 60_000  # milliseconds: other tests run beside; how fast it is, a benchmark says
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def started(*options):
    """Start the command; yield its process and the address that it prints."""
    words = [sys.executable, "-m", "assembly", "explore", "--no-browser", "--port", str(free_port()), *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "BROWSER": "false"}) as process:
        try:
            line = process.stdout.readline()
            yield process, line.removeprefix("Explorer: ").strip()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)  # the interpreter takes its time on a busy machine


@contextmanager
def running(*options):
    with started(*options) as (_, address):
        yield address


@pytest.fixture(scope="module")
def address():
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    found = context.new_page()
    found.errors, found.asked = [], []
    found.on("pageerror", lambda error: found.errors.append(str(error)))
    found.on("request", lambda request: found.asked.append(request.url))
    yield found
    errors = found.errors
    context.close()
    assert not errors


def shown(page):
    """Return the numbers on the page, once they are no longer waited for."""
    sync_api.expect(page.locator("dl.numbers")).to_be_visible(timeout=SOON)
    sync_api.expect(page.locator(".waiting dl.numbers")).to_have_count(0, timeout=SOON)
    cards = page.locator("[data-quantity]")
    return {
        card.get_attribute("data-quantity"): card.locator("dd").evaluate("one => one.firstChild.textContent")
        for card in cards.all()
    }


def wait_for(page, quantity, text):
    """Wait until a card on the page shows a text, and a number not as a part of a longer one."""
    card = page.locator(f'dl.numbers:not(.waiting *) [data-quantity="{quantity}"] dd')
    sync_api.expect(card).to_contain_text(
        re.compile(rf"{'(?<![0-9.,])' * text[0].isdigit()}{re.escape(text)}(?![0-9])"), timeout=SOON
    )


def of_library(state):
    return {name: value for name, value, _ in answers.numbers(state).table.rows}


def serious(page):
    """Return what axe finds serious as the page is now."""
    all_of_it = page.evaluate(
        "axe.run().then((all) => all.violations.filter((one) => ['serious', 'critical'].includes(one.impact)))"
    )
    return [(one["id"], node["html"][:200]) for one in all_of_it for node in one["nodes"]]


def lasting(page, seconds):
    """Return what axe still finds serious after so many seconds; a change of colours takes its time."""
    until = time.monotonic() + seconds
    while (found := serious(page)) and time.monotonic() < until:
        page.wait_for_timeout(500)
    return found


def faults(page, seconds=10.0):
    """Return what axe finds serious, and where the page is wider than the window: on desk and phone, light and dark."""
    page.add_script_tag(path=str(AXE))
    found = []
    for size in SIZES:
        page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(IS_DARK.replace("isDark", f"{scheme == 'dark'}".lower()), timeout=SOON)
            page.wait_for_timeout(1000)  # colours that change take their time
            if page.evaluate("document.documentElement.scrollWidth") > size[0]:
                found.append((size, scheme, "wider than the window", ""))
            found += [(size, scheme, *one) for one in lasting(page, seconds)]
    return found


def choose(page, label, option):
    page.get_by_label(label, exact=True).first.click()
    page.get_by_role("menuitem", name=option, exact=True).click()


def test_a_dial_changes_the_numbers_to_those_of_the_library(page, address):
    page.goto(f"{address}?width=48&depth=1&data=wine")
    assert shown(page) == of_library(State(width=48, depth=1, data="wine"))
    page.get_by_role("slider", name="Width").focus()
    page.keyboard.press("ArrowRight")
    wait_for(page, "width", "64")
    assert shown(page) == of_library(State(width=64, depth=1, data="wine"))


def test_an_address_holds_the_state_both_ways(page, address):
    state = State(width=100, depth=3, middle=2, gamma=0.75, data="wine", row=5, seed=7, radius=0.3)
    page.goto(f"{address}?{state.to_query()}")
    assert shown(page) == of_library(state)
    page.get_by_label("Seed", exact=True).fill("11")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("seed=11"), timeout=SOON)
    assert State.from_query(urlsplit(page.url).query) == state.replace(seed=11)
    page.go_back()
    wait_for(page, "||H||", of_library(state)["||H||"])
    assert State.from_query(urlsplit(page.url).query) == state


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_gets_its_verdict_on_the_page(page, address, name):
    page.goto(f"{address}?width=8")
    shown(page)
    choose(page, "Preset", name)
    sync_api.expect(page.locator(f'[data-word="{PRESETS[name].word}"]')).to_be_visible(timeout=SOON)
    sync_api.expect(page.get_by_text(PRESETS[name].sentences[0])).to_be_visible()


def test_a_walk_from_a_linear_network_to_its_bottleneck_ends_in_python_that_prints_the_same(page, address):
    page.goto(address)
    shown(page)
    slider = page.get_by_role("slider", name="Width")
    slider.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    wait_for(page, "width", "1,024")
    sync_api.expect(page.locator('[data-word="nearly linear"]')).to_be_visible(timeout=SOON)
    choose(page, "Middle layer", "1 neuron")
    verdict = page.locator('[data-word="narrow layer"]')
    sync_api.expect(verdict).to_contain_text("neuron 0", timeout=SOON)
    numbers = shown(page)
    page.get_by_role("button", name="Copy as Python").click()
    sync_api.expect(page.get_by_role("button", name="Copied")).to_be_visible()
    script = page.evaluate("navigator.clipboard.readText()")
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert numbers["||H||"] in printed
    assert numbers["||grad f||"] in printed
    assert "neuron 0" in printed


def test_wrong_input_is_answered_with_a_sentence(page, address):
    page.goto(f"{address}?width=-3")
    sync_api.expect(page.locator(".fault")).to_contain_text("'width'", timeout=SOON)
    shown(page)
    page.get_by_label("Seed", exact=True).fill("<b>7")
    page.keyboard.press("Enter")
    sync_api.expect(page.locator(".fault")).to_contain_text("Got '<b>7'", timeout=SOON)


def test_answers_to_the_state_before_are_dimmed_and_said_to_be_old(page, address):
    page.goto(f"{address}?width=2048&depth=3&data=wine")
    shown(page)
    sync_api.expect(page.locator(".before")).to_have_count(0, timeout=SOON)
    page.get_by_role("slider", name="Width").focus()
    page.keyboard.press("End")
    old = page.locator('[aria-busy="true"]', has=page.locator("dl.numbers"))
    sync_api.expect(old.locator(".before")).to_have_text("Of the state before; being computed ...", timeout=SOON)
    sync_api.expect(old.locator(".waiting")).to_have_css("opacity", "0.6")
    sync_api.expect(old.locator('[data-quantity="width"] dd')).to_contain_text("2,048")
    wait_for(page, "width", "4,096")
    sync_api.expect(page.locator(".before")).to_have_count(0, timeout=SOON)
    sync_api.expect(page.locator("dl.numbers")).to_have_css("opacity", "1")


def test_a_neuron_opens_as_a_sub_model(page, address):
    page.goto(f"{address}?width=8&depth=2&panel=assembly&data=wine")
    page.get_by_role("button", name=re.compile("^layer 2, neuron 3")).click(timeout=SOON)
    sync_api.expect(page.locator('[data-neuron="2,3"]')).to_be_visible(timeout=SOON)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    sync_api.expect(page.locator('[data-neuron="2,2"]')).to_be_visible(timeout=SOON)


def test_nothing_leaves_the_machine(page, address):
    page.goto(f"{address}?width=16&panel=assembly")
    shown(page)
    page.get_by_role("button", name="Is it linear?").click()
    sync_api.expect(page.get_by_text("Within a distance of 1")).to_be_visible(timeout=SOON)
    foreign = [url for url in page.asked if not url.startswith((address, f"blob:{address}", "data:"))]
    assert page.asked
    assert not foreign


def handshake(address, origin, token):
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": f"bokeh, {token}",
        "Origin": origin,
    }
    connection.request("GET", "/ws", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_foreign_origin_is_refused(address):
    own = address.rstrip("/")
    assert handshake(address, "http://elsewhere.example", "x") == 403
    assert handshake(address, own, "x") == 101


def test_the_page_of_a_named_host_needs_its_token(page):
    with running("--host", "127.0.0.1") as with_token:
        bare = with_token.partition("?")[0]
        assert page.goto(bare).status == 403
        page.goto(with_token)
        shown(page)
        page.reload()
        shown(page)


def test_a_lesson_opens_at_its_network(page):
    with running("--lesson", "07") as of_lesson:
        page.goto(of_lesson)
        assert shown(page) == of_library(State.from_query(LESSONS["07"].explorer))


def test_a_hundred_dials_in_a_second_leave_the_server_right(page, address):
    page.goto(f"{address}?width=2&data=wine")
    shown(page)
    slider = page.get_by_role("slider", name="Width")
    slider.focus()
    started = time.monotonic()
    for _ in range(5):
        for key in ("ArrowRight",) * 10 + ("ArrowLeft",) * 10:
            page.keyboard.press(key)
    page.keyboard.press("ArrowRight")
    assert time.monotonic() - started < 10.0
    expected = of_library(State(width=3, data="wine"))
    until = time.monotonic() + 1e-3 * SOON
    while shown(page) != expected and time.monotonic() < until:  # it passes by this width before
        time.sleep(0.1)
    time.sleep(1.0)
    assert shown(page) == expected  # and stays there


def test_two_visitors_do_not_see_each_other_and_a_closed_page_stops(browser, page, address):
    other = browser.new_page()
    other.goto(f"{address}?width=4096&depth=3&data=wine")
    page.goto(f"{address}?width=24&data=wine")
    assert shown(page) == of_library(State(width=24, data="wine"))
    other.close()
    page.reload()
    assert shown(page) == of_library(State(width=24, data="wine"))


@pytest.mark.parametrize("panel", ["linear", "assembly"])
def test_axe_finds_nothing_serious(page, address, panel):
    page.goto(f"{address}?width=16&panel={panel}")
    shown(page)
    assert faults(page) == []


def test_axe_finds_what_cannot_be_read(page, address):
    page.goto(f"{address}?width=16")
    shown(page)
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:#999;background:#aaa\">Words</p>')")
    assert {(*where, rule) for *where, rule, _ in faults(page, seconds=0.0)} == {
        (size, scheme, "color-contrast") for size in SIZES for scheme in SCHEMES
    }


@pytest.mark.parametrize("size", [(1280, 720), (390, 844)])
def test_the_verdict_comes_first_and_no_number_stands_alone_in_its_row(page, address, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto(f"{address}?width=16&data=wine")
    shown(page)
    verdict = page.locator("p.verdict")
    sync_api.expect(verdict).to_be_visible(timeout=SOON)
    box, controls = verdict.bounding_box(), page.get_by_text("Preset", exact=True).first.bounding_box()
    assert box["y"] + box["height"] <= controls["y"]
    assert box["width"] > 0.9 * size[0]
    tops = [round(card.bounding_box()["y"]) for card in page.locator("[data-quantity]").all()]
    assert min(map(tops.count, tops)) >= 2


def test_what_takes_long_is_said_before_and_left_for_what_is_newer(page, address):
    page.goto(f"{address}?width=4096&depth=3&data=wine")
    expect = sync_api.expect
    # the bracket takes minutes on any machine; what the numbers take is told where it is more than two seconds
    told = page.locator(".work", has_text="The bracket over the ball takes about")
    expect(told).to_contain_text("on this machine", timeout=SOON)
    expect(told.get_by_role("progressbar", name="at work")).to_be_visible()
    page.get_by_role("slider", name="Width").focus()
    page.keyboard.press("Home")
    wait_for(page, "width", "2")
    assert shown(page) == of_library(State(width=2, depth=3, data="wine"))
    expect(page.locator(".work")).to_have_count(0)


def test_two_busy_visitors_get_their_own_numbers(page, address, browser):
    other = browser.new_page()
    pages = {page: "wine", other: "digits"}
    for one, data in pages.items():
        one.goto(f"{address}?width=2&data={data}")
        shown(one)
        one.get_by_role("slider", name="Width").focus()
    for _ in range(5):
        for one in pages:
            for key in ("ArrowRight",) * 7 + ("ArrowLeft",) * 5:
                one.keyboard.press(key)
    for one, data in pages.items():
        expected = of_library(State(width=64, data=data))
        until = time.monotonic() + 1e-3 * SOON
        while shown(one) != expected and time.monotonic() < until:
            time.sleep(0.1)
        assert shown(one) == expected
    other.close()


def test_a_connection_that_is_cut_is_told_and_the_state_comes_back(browser, address):
    context = browser.new_context()
    left, routes = context.new_page(), []

    def through(route):
        route.connect_to_server()
        routes.append(route)

    left.route_web_socket(re.compile("/ws"), through)
    left.goto(f"{address}?width=8&data=wine")
    expected = shown(left)
    routes[0].close()
    sync_api.expect(left.get_by_role("alert")).to_contain_text("The server does not answer", timeout=SOON)
    left.get_by_role("button", name="Load the page again").click()
    sync_api.expect(left.get_by_role("alert")).to_have_text("", timeout=SOON)
    assert shown(left) == expected
    assert "width=8" in left.url
    context.close()


def test_a_page_that_its_server_left_says_so(browser):
    context = browser.new_context()
    left = context.new_page()
    with running() as its_own:
        left.goto(f"{its_own}?width=8&data=wine")
        shown(left)
        sync_api.expect(left.get_by_role("button", name="Load the page again")).to_have_count(0)
    sync_api.expect(left.get_by_role("alert")).to_contain_text("The server does not answer", timeout=SOON)
    sync_api.expect(left.get_by_role("button", name="Load the page again")).to_be_visible()
    context.close()
