"""How much faster studies run than at an earlier commit, and whether they end in the same verdicts.

    pip install '.[test]'
    python benchmarks/then_and_now.py COMMIT --out docs/background/then_and_now.csv

Needs the repository with its history, and an idle machine. Every study runs in short first on both sides, which
compiles the kernels, and then in full, once on each side, in turn; both sides use the packages that are installed.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADING = ("study", "then", "now", "times faster", "verdicts", "of them the same")
Verdicts = dict[tuple[str, str], str]


def main() -> None:
    """Run the studies; print a line for each."""
    parser = argparse.ArgumentParser(description="Time studies as they were at a commit and as they are.")
    parser.add_argument("commit")
    parser.add_argument("studies", nargs="*", help="names; all that had the same study file then, if left out")
    parser.add_argument("--out", type=Path, help="a CSV file for the times")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="then-and-now-") as scratch:
        then = Path(scratch, "then")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(then)], check=True)
        subprocess.run(["git", "-C", str(then), "checkout", "--quiet", given.commit], check=True)
        rows = []
        for number, name in enumerate(given.studies or unchanged(then)):
            sides = {"then": then, "now": ROOT}
            for side, tree in sides.items():
                run(tree, name, Path(scratch, f"{side}-{name}-quick"), "--quick")
            found = {}
            for side in sorted(sides, reverse=number % 2 == 0):
                found[side] = run(sides[side], name, Path(scratch, f"{side}-{name}"))
            rows.append(row(name, *found["then"], *found["now"]))
            print(", ".join(f"{head} {cell}" for head, cell in zip(HEADING, rows[-1], strict=True)), flush=True)
            if given.out:
                with given.out.open("w", newline="", encoding="utf-8") as file:
                    csv.writer(file, lineterminator="\n").writerows([HEADING, *rows])


def unchanged(then: Path) -> list[str]:
    """Return the names of the studies whose files were the same then."""
    folder = Path("assembly", "study", "studies")
    files = sorted((ROOT / folder).glob("*.toml"))
    return [
        one.stem
        for one in files
        if (then / folder / one.name).is_file() and (then / folder / one.name).read_bytes() == one.read_bytes()
    ]


def run(tree: Path, name: str, folder: Path, *more: str) -> tuple[float, Verdicts]:
    """Run one study of one side; return its seconds and its verdicts."""
    words = [sys.executable, "-m", "assembly", "study", name, "--out", str(folder), *more]
    started = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    subprocess.run(words, cwd=tree, env=environment, check=True, capture_output=True)
    seconds = time.monotonic() - started
    with (folder / "exponents.csv").open(newline="", encoding="utf-8") as file:
        verdicts = {(one["architecture"], one["quantity"]): one["verdict"] for one in csv.DictReader(file)}
    return seconds, {key: word for key, word in verdicts.items() if word}


def row(name: str, before: float, old: Verdicts, after: float, new: Verdicts) -> tuple[str, ...]:
    """Return the cells of one study."""
    same = sum(new.get(key) == word for key, word in old.items())
    return name, f"{before:.0f} s", f"{after:.0f} s", f"{before / after:.2f}", str(len(old)), str(same)


if __name__ == "__main__":
    main()
