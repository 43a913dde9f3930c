"""The bibliography: every number of arXiv that is named anywhere stands in it, no other, and the page shows it."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"\b\d{4}\.\d{5}\b")
NAMED = re.compile(r"arxiv", re.IGNORECASE)


@pytest.fixture(scope="module")
def bibliography():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        return importlib.import_module("bibliography")
    finally:
        sys.path.remove(str(ROOT / "docs"))


def numbers(text):
    """Numbers behind the word arXiv, in the same sentence."""
    return {number for piece in NAMED.split(text)[1:] for number in NUMBER.findall(piece[:40].split("\n\n")[0])[:1]}


def files():
    for folder in ("assembly", "docs"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".md", ".toml") and not {"_static", "_build"} & set(path.parts):
                yield path
    yield from (ROOT / "README.md", ROOT / "CITATION.cff")


def named():
    texts = {path: path.read_text("utf-8") for path in files() if path.name != "bibliography.md"}
    return set().union(*(numbers(text) for text in texts.values()))


def test_numbers_are_found():
    assert numbers("[1] A, arXiv\n   2205.11786, and 0.12345") == {"2205.11786"}
    assert numbers("[arXiv 1806.07572](https://arxiv.org/abs/1806.07572)") == {"1806.07572"}
    assert numbers("0001.12345 steps") == set()


def test_the_bibliography_holds_the_numbers_that_are_named_and_no_other(bibliography):
    found = bibliography.entries(bibliography.REFERENCES.read_text("utf-8"))
    assert {entry["eprint"] for entry in found.values() if "eprint" in entry} == named()


def test_every_entry_is_read_whole(bibliography):
    text = bibliography.REFERENCES.read_text("utf-8")
    found = bibliography.entries(text)
    assert len(found) == text.count("\n@") + 1
    assert all({"author", "title", "year"} <= entry.keys() for entry in found.values())


def test_the_page_shows_the_file(bibliography):
    text = bibliography.PAGE.read_text("utf-8")
    assert bibliography.page(text) == text
    assert "\\" not in text
