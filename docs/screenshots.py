"""Take the pictures of the explorer for README and docs anew.

    pip install '.[explorer,test]'
    python docs/screenshots.py

Needs a Chromium on the path. It starts the explorer, opens each view in turn, and writes docs/_static/explorer/.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

FOLDER = Path(__file__).parent / "_static" / "explorer"
LARGEST = 300_000  # bytes of a picture
DESK, TALL, PHONE = (1280, 800), (1280, 960), (390, 844)
SOON = 120_000  # milliseconds
_N_COLOURS = 128


@dataclass(frozen=True)
class View:
    """One picture.

    Attributes
    ----------
    query : str
        The state, as an address has it.
    ready : str
        A selector of what must be there before the picture is taken.
    size : tuple of int
        Of the window, in pixels.
    scheme : str
        "light" or "dark".
    act : callable
        What is done to the page before.
    """

    query: str
    ready: str
    size: tuple[int, int] = DESK
    scheme: str = "light"
    act: Callable[[Page], object] = lambda page: None


def open_a_neuron(page: Page) -> None:
    """Open one neuron, and let the drawing be seen."""
    page.locator(".item[data-layer='2'][data-index='3']").click(timeout=SOON)
    expect(page.locator("[data-neuron]")).to_be_visible(timeout=SOON)
    page.locator(".assembly-graph").scroll_into_view_if_needed()


def see_the_square(page: Page) -> None:
    """Let the square of the points be seen."""
    page.get_by_role("application", name=re.compile("points of the plane")).evaluate(
        "one => one.scrollIntoView({ block: 'center' })"
    )


def train_a_while(page: Page) -> None:
    """Train a hundred steps or so."""
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.locator("[data-lane]").first).to_have_attribute("data-step", re.compile(r"\d\d\d"), timeout=SOON)
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("button", name="Play", exact=True).scroll_into_view_if_needed()


VIEWS = {
    "linear": View("width=1024&depth=2&data=digits&direction=worst", '[data-word="nearly linear"]', size=TALL),
    "bottleneck": View(
        "width=512&depth=2&middle=1&direction=worst", '[data-word="narrow layer"]', size=TALL, scheme="dark"
    ),
    "assembly": View("width=12&depth=2&data=wine&panel=assembly&colour=adjoint", ".edge", act=open_a_neuron),
    "training": View(
        "width=256&depth=2&data=wine&panel=training&n_widths=3", "[data-lane]", size=(1280, 1280), act=train_a_while
    ),
    "points": View(
        "width=64&data=points&points=0.8,0.6,1;1.1,-0.2,1;0.4,1.2,1;-0.7,-0.9,-1;-1.2,0.1,-1;-0.3,-1.4,-1",
        "[data-word]",
        size=PHONE,
        act=see_the_square,
    ),
}


def main() -> None:
    """Take all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description="Take the pictures of the explorer anew.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(VIEWS)}; all if left out")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they are written")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in VIEWS]
    if unknown:
        parser.error(f"There is no view {unknown[0]!r}; there are {', '.join(VIEWS)}.")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        parser.error("No Chromium is on the path.")
    given.folder.mkdir(parents=True, exist_ok=True)
    with served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name in given.names or VIEWS:
            target = given.folder / f"{name}.png"
            target.write_bytes(taken(browser, address, VIEWS[name]))
            print(f"{target}: {target.stat().st_size:,} bytes")
        browser.close()


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
            process.wait(30)


def taken(browser: Browser, address: str, view: View) -> bytes:
    """Return a picture of a view, once all its answers are there."""
    page = browser.new_page(viewport=dict(zip(("width", "height"), view.size, strict=True)), color_scheme=view.scheme)
    page.goto(f"{address}?{view.query}")
    expect(page.locator(view.ready).first).to_be_visible(timeout=SOON)
    expect(page.locator(".waiting:visible")).to_have_count(0, timeout=SOON)
    view.act(page)
    page.wait_for_timeout(500)  # until what moves has come to rest
    with Image.open(io.BytesIO(page.screenshot())) as image:
        small = image.convert("RGB").quantize(_N_COLOURS, dither=Image.Dither.NONE)
    page.close()
    content = io.BytesIO()
    small.save(content, "PNG", optimize=True)
    if content.tell() > LARGEST:
        raise SystemExit(f"A picture has {content.tell():,} bytes, more than {LARGEST:,}: {view.query}")
    return content.getvalue()


if __name__ == "__main__":
    main()
