"""Find everything in built pages that a browser would load from another machine; ordinary links are no loads.

    python docs/check_offline.py docs/_build/html

Looks at every HTML page (elements that load: scripts, style sheets, images, frames, media; styles written in the page)
and at every style sheet (url() and @import). Prints what it found and ends with exit code 1 if there was anything.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

LOADING = {
    "audio": ("src",),
    "embed": ("src",),
    "feimage": ("href", "xlink:href"),
    "iframe": ("src", "srcdoc"),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
EXTERNAL = re.compile(r"(?:^|[\s,])(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"""(?:url\(|@import)\s*['"]?((?:[a-z][a-z0-9+.-]*:)?//[^'")\s]*)""", re.IGNORECASE)
NOT_LOADED = {"alternate", "author", "canonical", "help", "index", "license", "next", "prev", "search"}


class _Loads(HTMLParser):
    """Collects the external addresses one page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.found += IN_STYLE.findall(values.get("style", ""))
        if tag == "link" and set(values.get("rel", "").lower().split()) <= NOT_LOADED:
            return
        self.found += [values[name] for name in LOADING.get(tag, ()) if EXTERNAL.search(values.get(name, ""))]

    def handle_endtag(self, tag: str) -> None:
        self._in_style = self._in_style and tag != "style"

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.found += IN_STYLE.findall(data)


def external_loads(text: str, *, is_style: bool = False) -> list[str]:
    """Return the external addresses that one page, or one style sheet, makes a browser load."""
    if is_style:
        return IN_STYLE.findall(text)
    page = _Loads()
    page.feed(text)
    return page.found


def main() -> None:
    site = Path(sys.argv[1])
    pages = [path for path in sorted(site.rglob("*")) if path.suffix in (".html", ".css", ".svg")]
    if not any(path.suffix == ".html" for path in pages):
        raise SystemExit(f"error: no HTML page in {site}")
    loads = [
        (path.relative_to(site), address)
        for path in pages
        for address in external_loads(path.read_text("utf-8"), is_style=path.suffix == ".css")
    ]
    for path, address in loads:
        print(f"{path}: loads {address}")
    print(f"{len(pages)} pages, pictures and style sheets load {len(loads)} things from other machines")
    if loads:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
