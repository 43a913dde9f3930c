"""How long the explorer's page takes to answer a dial, in the browser: from the key to the new numbers on the screen.

    pip install '.[explorer,test]'
    python benchmarks/explorer.py --out docs/background/explorer.csv

Needs a Chromium on the path and an idle machine. The server is started as by `assembly explore`, twice: the first start
warms the cache of compiled code, the second is timed. At each state the width dial is moved by its keys, every time to
a network that was not there before; the clock runs in the page, from the key to the first frame that shows the new
numbers, and to the one that shows the new verdict. Last, a dial is turned back and forth as fast as keys come, and
timed from the last key to its numbers.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

PATIENCE = 120_000  # milliseconds
HEADING = ("state", "moves", "numbers, median", "numbers, slowest", "verdict, median", "verdict, slowest")
CLOCK = Path(__file__).with_name("explorer_clock.js")


@dataclass(frozen=True)
class Dial:
    """A state and how often its width is moved.

    Attributes
    ----------
    name : str
    query : str
    n_moves : int
    """

    name: str
    query: str
    n_moves: int


DIALS = (
    Dial("1 x 256, wine", "width=256&depth=1&data=wine", 20),
    Dial("2 x 256, digits", "width=256&depth=2&data=digits", 20),
    Dial("2 x 1024, digits", "width=1024&depth=2&data=digits", 20),
    Dial("3 x 1024, digits", "width=1024&depth=3&data=digits", 20),
    Dial("3 x 4096, digits", "width=4096&depth=3&data=digits", 4),
)


def main() -> None:
    """Time every dial; print a line for each."""
    parser = argparse.ArgumentParser(description="Time the answers of the explorer's page.")
    parser.add_argument("--out", type=Path, help="a CSV file for the times")
    given = parser.parse_args()
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        parser.error("No Chromium is on the path.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        first_page(browser.new_page())
        print(f"first page after the command: {first_page(browser.new_page()):.1f} s", flush=True)
        rows = []
        with served() as address:
            for dial in DIALS:
                rows.append((dial.name, str(dial.n_moves), *times(browser.new_page(), address, dial)))
                print(", ".join(f"{name} {cell}" for name, cell in zip(HEADING, rows[-1], strict=True)), flush=True)
            print(turned(browser.new_page(), address), flush=True)
        browser.close()
    if given.out:
        with given.out.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADING, *rows])


def first_page(page: Page) -> float:
    """Return the seconds from the command to controls and heading on the screen."""
    started = time.monotonic()
    with served() as address:
        page.goto(address)
        expect(page.get_by_role("slider", name="Width")).to_be_visible(timeout=PATIENCE)
        seconds = time.monotonic() - started
        expect(page.locator(".verdict")).to_be_visible(timeout=PATIENCE)
        page.close()
    return seconds


def times(page: Page, address: str, dial: Dial) -> tuple[str, ...]:
    """Return medians and slowest of the times to the numbers and to the verdict."""
    page.goto(f"{address}?{dial.query}")
    settled(page)
    page.evaluate(CLOCK.read_text("utf-8"))
    found = []
    for i in range(dial.n_moves + 2):
        page.get_by_label("Seed", exact=True).fill(str(i + 1))  # networks that were shown are kept, with their answers
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(f"seed={i + 1}(&|$)"))
        settled(page)
        page.get_by_role("slider", name="Width").focus()
        page.keyboard.press("ArrowLeft" if i % 2 == 0 else "ArrowRight")
        found.append(page.evaluate("window.explorerClock.answered()"))
        settled(page)
    page.close()
    kept = list(zip(*found[2:], strict=True))  # the first move of each way finds cold caches
    return tuple(f"{1e-3 * of(one):.3f} s" for one in kept for of in (statistics.median, max))


def turned(page: Page, address: str) -> str:
    """Turn a dial through many stops and then beyond, and say how far behind its numbers are at the end."""
    page.goto(f"{address}?width=2&depth=1&data=wine")
    settled(page)
    page.get_by_role("slider", name="Width").focus()
    keys = (("ArrowRight",) * 7 + ("ArrowLeft",) * 7) * 8 + ("ArrowRight",) * 9  # to a width not shown before
    started = time.monotonic()
    for key in keys:
        page.keyboard.press(key)
    pressed = time.monotonic()
    width = page.locator('dl.numbers:not(.waiting *) [data-quantity="width"] dd')
    expect(width).to_contain_text(re.compile("^48[^0-9]"), timeout=PATIENCE)
    behind = time.monotonic() - pressed
    page.close()
    return f"{len(keys)} keys in {pressed - started:.1f} s, their last numbers {behind:.1f} s after the last key"


def settled(page: Page) -> None:
    """Wait until nothing on the page is computed any more, but for what takes long and streams in."""
    expect(page.locator(".verdict")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".waiting .verdict, .waiting dl.numbers")).to_have_count(0, timeout=PATIENCE)
    page.wait_for_timeout(700)  # longer than the rest after which the slow work begins, as a visitor would look


@contextmanager
def served() -> Iterator[str]:
    """Start the explorer and yield its address."""
    words = [sys.executable, "-m", "assembly", "explore", "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise AssertionError
        try:
            yield process.stdout.readline().removeprefix("Explorer: ").strip()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


if __name__ == "__main__":
    main()
