"""Pages whose tables a script in docs/ writes: the script, the table read back, and the rule of a verdict."""

import importlib
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def script(name):
    """The module docs/<name>_table.py."""
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module(f"{name}_table")
    finally:
        sys.path.remove(str(DOCS))


def numbers(name):
    """The rows of the numbers beside a page."""
    module = script(name)
    return module.marks.rows_of(module.NUMBERS)


def text_of(name):
    return (DOCS / "background" / f"{name}.md").read_text("utf-8")


def table_of(name):
    """The rows of the table on a page."""
    text = text_of(name).split("<!-- table: begin -->")[1].split("<!-- table: end -->")[0]
    head, _, *lines = (line for line in text.splitlines() if line)
    names = [cell.strip() for cell in head.strip("|").split(" | ")]
    return [dict(zip(names, (cell.strip() for cell in line.strip("|").split(" | ")), strict=True)) for line in lines]


def verdict(lower, upper, prediction, alternative, band):
    """By the rule, written out: the interval meets the band of the prediction and not that of the alternative."""
    near = lower <= prediction + band and upper >= prediction - band
    elsewhere = lower <= alternative + band and upper >= alternative - band
    return "undecided" if near and elsewhere else "consistent" if near else "inconsistent"
