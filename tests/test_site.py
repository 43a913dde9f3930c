"""The check of the built site sees what it is there for: planted faults are found, a clean page has none."""

import importlib
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
CLEAN = """<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width"><title>A page</title>
</head><body><main><h1 id="here">A page</h1><a href="#here">Up</a><div id="search-results"><ul><li>
<a href="learn/07-bottlenecks-and-graphs.html">found</a></li></ul></div>{}</main></body></html>"""


@pytest.fixture(scope="module")
def check_site():
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module("check_site")
    finally:
        sys.path.remove(str(DOCS))


def site(folder, extra=""):
    (folder / "learn").mkdir()
    (folder / "index.html").write_text(CLEAN.format(extra), "utf-8")
    (folder / "search.html").write_text(CLEAN.format(""), "utf-8")
    lesson = CLEAN.format("").replace('href="learn/', 'href="')
    (folder / "learn" / "07-bottlenecks-and-graphs.html").write_text(lesson, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        ('<a href="nowhere.html">x</a>', "index.html: the link nowhere.html leads nowhere"),
        ('<a href="#there">x</a>', "index.html: the link #there leads to no such anchor"),
        ('<a href="search.html#there">x</a>', "index.html: the link search.html#there leads to no such anchor"),
        ('<img src="a.png">', "index.html: the picture a.png has no text"),
        ('<img src="a.png" alt=" ">', "index.html: the picture a.png has no text"),
    ],
)
def test_faults_of_the_text_are_found(check_site, tmp_path, extra, fault):
    assert check_site.faults_of_text(site(tmp_path, extra)) == [fault]


@pytest.mark.parametrize(
    "extra", ['<a href="https://arxiv.org/abs/2205.11786">x</a>', '<a href="search.html#here">x</a>']
)
def test_links_that_lead_somewhere_are_none(check_site, tmp_path, extra):
    assert check_site.faults_of_text(site(tmp_path, extra)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        ("", None),
        ('<img alt="x" src="http://192.0.2.1/a.png">', "asks http://192.0.2.1/a.png"),
        ("<script>throw new Error('planted')</script>", "error of a script: planted"),
        ('<p style="width: 600px">wide</p>', "pixels wide on a screen of 390"),
        ('<p style="color: #bbb; background: #fff">pale</p>', "in light: color-contrast"),
    ],
)
def test_faults_in_the_browser_are_found(check_site, tmp_path, extra, fault):
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if check_site.chromium() is None:
        pytest.skip("no Chromium is installed")
    found = check_site.faults_in_browser(site(tmp_path, extra))
    if fault is None:
        assert found == []
    else:
        assert any(line.startswith("index.html: ") and fault in line for line in found)
