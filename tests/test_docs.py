"""The documentation: the check for loads from other machines sees them all, and every public name has its place."""

from __future__ import annotations

import configparser
import importlib.util
import re
from pathlib import Path

import pytest

import assembly

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def offline():
    specification = importlib.util.spec_from_file_location("check_offline", ROOT / "docs" / "check_offline.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "address"),
    [
        ('<script src="https://cdn.example/a.js"></script>', "https://cdn.example/a.js"),
        ('<script src="//cdn.example/a.js"></script>', "//cdn.example/a.js"),
        ('<link rel="stylesheet" href="https://fonts.example/css">', "https://fonts.example/css"),
        ('<link rel="preconnect" href="https://fonts.example">', "https://fonts.example"),
        ('<img alt="" src="HTTP://example.org/a.png">', "HTTP://example.org/a.png"),
        ('<img srcset="a.png 1x, https://example.org/b.png 2x">', "a.png 1x, https://example.org/b.png 2x"),
        ('<iframe src="https://example.org"></iframe>', "https://example.org"),
        ('<p style="background: url(https://example.org/a.png)">', "https://example.org/a.png"),
        ("<style>@import 'https://example.org/a.css';</style>", "https://example.org/a.css"),
    ],
)
def test_loads_from_other_machines_are_found(offline, page, address):
    assert offline.external_loads(f"<html><body>{page}</body></html>") == [address]


@pytest.mark.parametrize(
    "page",
    [
        '<a href="https://arxiv.org/abs/2205.11786">a link</a>',
        '<script src="_static/mathjax/tex-svg.js"></script>',
        '<img src="data:image/svg+xml;base64,PHN2Zy8+">',
        '<link rel="canonical" href="https://example.org/">',
        '<svg xmlns="http://www.w3.org/2000/svg"><use href="#dot"/></svg>',
        "<pre>@import url(https://example.org/shown-as-text.css)</pre>",
    ],
)
def test_links_and_local_files_are_no_loads(offline, page):
    assert offline.external_loads(page) == []


def test_style_sheets_are_read(offline):
    sheet = "@font-face { src: url('https://example.org/a.woff2') } body { background: url(b.png) }"
    assert offline.external_loads(sheet, is_style=True) == ["https://example.org/a.woff2"]


def test_every_public_name_stands_in_the_reference():
    page = (ROOT / "docs" / "reference" / "index.md").read_text("utf-8")
    listed = set(re.findall(r"^   ([A-Za-z_.]+)$", page, re.MULTILINE))
    public = set(assembly._HOME)
    assert public <= listed | {"diagnostics", "study"}


def test_the_layers_page_and_the_contract_are_one_list():
    page = (ROOT / "docs" / "develop" / "layers.md").read_text("utf-8")
    (shown,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert shown.split("\n")[:-1] == setup["importlinter:contract:house"]["layers"].split("\n")[1:]


@pytest.mark.parametrize(("hours", "lessons"), [("One hour", 3), ("Two hours", 6), ("Four hours", 10)])
def test_a_plan_to_teach_fills_its_time(hours, lessons):
    page = (ROOT / "docs" / "learn" / "teach.md").read_text("utf-8")
    (plan,) = re.findall(rf"^## {hours}:(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    minutes = [int(number) for number in re.findall(r"^\| (\d+) \|", plan, re.MULTILINE)]
    assert sum(minutes) == 60 * {"One": 1, "Two": 2, "Four": 4}[hours.split()[0]]
    assert len(set(re.findall(r"\]\((\d\d)-", plan))) == lessons


def test_a_sheet_has_no_answers_and_no_controls():
    style = (ROOT / "docs" / "_static" / "print.css").read_text("utf-8")
    template = (ROOT / "docs" / "_templates" / "page.html").read_text("utf-8")
    assert "#exercises .cell ~ .cell" in style
    assert "print-lesson" in style
    assert "print-lesson" in template
