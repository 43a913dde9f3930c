"""Write the lists of docs/background/bibliography.md anew, from references.bib beside it.

    python docs/bibliography.py

Only what stands between the marks is replaced.
"""

from __future__ import annotations

import re
from pathlib import Path

import marks

PAGE = Path(__file__).parent / "background" / "bibliography.md"
REFERENCES = PAGE.with_name("references.bib")
OWN = ("2203.05104", "2010.01092", "2205.11786")  # the three papers behind the package
LETTERS = {'\\"o': "ö", '\\"U': "Ü", '\\"i': "ï", "\\'e": "é"}
ENTRY = re.compile(r"^@\w+\{(\w+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)


def entries(text: str) -> dict[str, dict[str, str]]:
    """Return the fields of every entry of a BibTeX file, by its key."""
    return {key: dict(FIELD.findall(body)) for key, body in ENTRY.findall(text)}


def line(entry: dict[str, str]) -> str:
    """Return one entry as an item of a list."""
    names = [" ".join(reversed(name.split(", "))) for name in entry["author"].split(" and ")]
    house = [entry.get(name, "") for name in ("journal", "booktitle", "institution", "publisher")]
    where = ", ".join(part for part in (*house, entry.get("number", "")) if part)
    where += f" {entry['volume']}" if "volume" in entry else ""
    where += f", {entry['pages'].replace('--', '–')}" if "pages" in entry else ""
    number = entry.get("eprint")
    link = f"[arXiv {number}](https://arxiv.org/abs/{number})" if number else ""
    rest = ", ".join(part for part in (where, link) if part)
    return f"* {', '.join(names)} ({entry['year']}): *{entry['title'][1:-1]}*. {rest}."


def plain(text: str) -> str:
    """Return a text without the commands of TeX."""
    for command, letter in LETTERS.items():
        text = text.replace(f"{{{command}}}", letter)
    return text.replace("$", "")


def page(text: str) -> str:
    """Return the page with its lists in place of what stands there."""
    found = list(entries(REFERENCES.read_text(encoding="utf-8")).values())
    own = [plain(line(entry)) for entry in found if entry.get("eprint") in OWN]
    rest = [plain(line(entry)) for entry in found if entry.get("eprint") not in OWN]
    return marks.filled(text, {"own": "\n".join(own), "others": "\n".join(rest)})


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
