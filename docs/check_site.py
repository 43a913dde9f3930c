"""Open built pages in a browser as a reader would, and find what is wrong with them.

    python docs/check_site.py docs/_build/html

Of every page: links and anchors that lead nowhere, pictures without a text. In Chromium, of every page that was written
by hand and some made by machine: requests that leave the machine, errors of scripts, a width of 390 pixels that is not
enough; of the front page, the lessons and a page of every other kind: what axe-core calls serious, in light and in
dark; and whether the search finds a word. Prints what it found and ends with exit code 1 if there was anything. Needs
playwright, axe-playwright-python and a Chromium.
"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

OPENED = ("index.html", "learn/*.html", "how-to/*.html", "background/*.html", "reference/*.html", "develop/*.html")
SAMPLED = ("reference/generated/*.html", "_modules/**/*.html", "genindex.html")  # the first of each
READ_BY_AXE = ("index.html", "learn/*.html")  # and the first of every other kind
BARE = """(others) => {  // axe takes a while for every element: what is there a hundred times is read once
  document.querySelectorAll("mjx-container svg > *, figure svg > *, tr:nth-child(n + 4)" + others)
    .forEach((one) => one.remove());
  const seen = new Set();
  for (const one of document.querySelectorAll("pre span")) {
    const kind = `${one.className} ${one.closest(".cell_output") ? "output" : "input"}`;
    if (seen.has(kind)) one.replaceWith(...one.childNodes);
    seen.add(kind);
  }
}"""
SEARCH = ("bottleneck", "learn/07-bottlenecks-and-graphs.html")
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"  # as it is now
PHONE = {"width": 390, "height": 844}


class _Page(HTMLParser):
    """Collects anchors, links and pictures without a text of one page."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = {"", "top"}
        self.links: list[str] = []
        self.without_text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "img" and not values.get("alt", "").strip():
            self.without_text.append(values.get("src", ""))


def read(site: Path) -> dict[Path, _Page]:
    """Return every page of a site, parsed."""
    pages = {}
    for path in sorted(site.rglob("*.html")):
        pages[path.resolve()] = page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
    return pages


def faults_of_text(site: Path) -> list[str]:
    """Return links and anchors that lead nowhere, and pictures without a text."""
    pages, found = read(site), []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        is_source = name.parts[0] == "_modules"  # viewcode knows one name of a module: its way back may miss the anchor
        found += [f"{name}: the picture {source} has no text" for source in page.without_text]
        for link in page.links:
            address, anchor = urldefrag(link)
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            target = (path.parent / unquote(urlsplit(address).path)).resolve() if address else path
            if not target.is_file():
                found.append(f"{name}: the link {link} leads nowhere")
            elif target in pages and unquote(anchor) not in pages[target].anchors and not is_source:
                found.append(f"{name}: the link {link} leads to no such anchor")
    return found


def opened(site: Path) -> dict[str, bool]:
    """Return the pages to open in the browser, as addresses within the site, and whether axe reads them."""
    chosen = {}
    for pattern in (*OPENED, *SAMPLED):
        found = sorted(site.glob(pattern))[: 1 if pattern in SAMPLED else None]
        for i, path in enumerate(found):
            chosen[path.relative_to(site).as_posix()] = i == 0 or pattern in READ_BY_AXE
    return chosen


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder on this machine; yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def too_wide(page: Any) -> list[str]:
    """Return whether the open page scrolls sideways on a phone."""
    page.set_viewport_size(PHONE)
    page.evaluate(DRAWN)
    width = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate(DRAWN)
    return [f"is {width} pixels wide on a screen of {PHONE['width']}"] if width > PHONE["width"] else []


def serious(page: Any, axe: str, *, is_first: bool) -> list[str]:
    """Return what axe calls serious on the open page; colours in the dark, too; the sidebar on the first page only.

    The strokes of formulas and pictures, and what is there many times, are taken away before.
    """
    page.evaluate(BARE, "" if is_first else ", .sidebar-drawer")
    page.evaluate(axe)
    found = []
    for scheme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme=scheme)
        violations = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
        found += [
            f"in {scheme}: {one['id']}, {len(one['nodes'])} times, as {one['nodes'][0]['html'][:120]}"
            for one in violations
            if one["impact"] in ("serious", "critical")
        ]
    return found


def chromium() -> str | None:
    """Return the path of the browser."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def faults_in_browser(site: Path) -> list[str]:
    """Return what is wrong with the pages that are opened, and with the search."""
    import axe_playwright_python
    from playwright.sync_api import sync_playwright

    axe = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    found: list[str] = []
    with served(site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(reduced_motion="reduce")
        page.on(
            "request", lambda one: one.url.startswith((address, "data:", "blob:")) or found.append(f"asks {one.url}")
        )
        page.on("pageerror", lambda error: found.append(f"error of a script: {error}"))
        for name, is_for_axe in opened(site).items():
            n_before = len(found)
            page.emulate_media(color_scheme="light")
            page.goto(address + name)
            page.evaluate("window.MathJax?.startup?.promise")  # waits until the formulas are set
            found += too_wide(page)
            if is_for_axe:
                found += serious(page, axe, is_first=name == "index.html")
            found[n_before:] = [f"{name}: {fault}" for fault in found[n_before:]]
        word, target = SEARCH
        page.goto(f"{address}search.html?q={word}")
        page.wait_for_selector("#search-results li, #search-results p", timeout=20_000)
        page.wait_for_timeout(500)
        if not page.locator(f"#search-results a[href*='{target}']").count():
            found.append(f"search: {word} does not lead to {target}")
        browser.close()
    return found


def main() -> None:
    site = Path(sys.argv[1])
    found = faults_of_text(site) + faults_in_browser(site)
    for fault in found:
        print(fault)
    print(f"{len(opened(site))} pages opened, {len(found)} faults.")
    if found:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
