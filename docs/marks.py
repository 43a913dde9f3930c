"""Pages of which parts are written by a script: what stands between marks, and the tables beside the pages."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path


def filled(text: str, contents: Mapping[str, str]) -> str:
    """Return a page with each of the contents in place of what stands between the marks of its name.

    Raises
    ------
    ValueError
        If the page does not hold ``<!-- name: begin -->`` and ``<!-- name: end -->`` once.
    """
    for mark, content in contents.items():
        between = re.compile(rf"(<!-- {mark}: begin -->\n).*?(<!-- {mark}: end -->)", re.DOTALL)
        text, n_found = between.subn(lambda found, content=content: f"{found[1]}{content}\n{found[2]}", text)
        if n_found != 1:
            raise ValueError(f"The page must hold <!-- {mark}: begin --> and <!-- {mark}: end --> once.")
    return text


def table(headings: Sequence[str], alignment: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; cells stand as they are."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, alignment, *lines))


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
