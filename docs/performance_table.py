"""Write the tables of docs/background/performance.md anew, from what lies beside it.

    python benchmarks/performance.py
    python benchmarks/performance.py size edges
    python benchmarks/forecasts.py --out docs/background/forecasts.json
    python benchmarks/profiles.py --out docs/background/profiles.json
    assembly study precision
    cp assembly-results/performance/performance.json docs/background/performance.json
    cp assembly-results/precision/exponents.csv docs/background/precision.csv
    python docs/performance_table.py

Only what stands between the marks is replaced.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import marks

from assembly.diagnostics.verdict import interval_text, signed
from assembly.study.contents import markdown_cell
from assembly.study.quantities import describe

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from speed import asks, record, tables

PAGE = Path(__file__).parent / "background" / "performance.md"
NUMBERS, PRECISION = PAGE.with_suffix(".json"), PAGE.with_name("precision.csv")
FORECASTS, PROFILES = PAGE.with_name("forecasts.json"), PAGE.with_name("profiles.json")
WORTH_A_FORECAST = 0.05  # seconds


def page(text: str, records: dict[str, Any]) -> str:
    """Return the page with asks and tables in place of what stands there."""
    contents = {
        "asks": asks.table(records),
        "tables": tables.tables(records),
        "precision": precision(marks.rows_of(PRECISION)),
        "forecasts": forecasts(json.loads(FORECASTS.read_text("utf-8"))),
        "profiles": profiles(json.loads(PROFILES.read_text("utf-8"))),
    }
    return marks.filled(text, contents)


def precision(rows: list[dict[str, str]]) -> str:
    """Return one line for every exponent in both precisions."""
    exponents: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for row in rows:
        exponents[row["quantity"]][row["architecture"]] = row
    lines = []
    for quantity, found in exponents.items():
        double, single = (float(found[name]["exponent"]) for name in ("double", "single"))
        interval = interval_text(float(found["double"]["lower"]), float(found["double"]["upper"]), 3)
        lines.append(
            (
                markdown_cell(describe(quantity).text),
                f"{signed(double, 3)} {interval}",
                signed(single, 3),
                f"{abs(single - double):.0e}",
            )
        )
    return marks.table(("quantity", "float64", "float32", "moved by"), ("---", "--:", "--:", "--:"), lines)


def forecasts(rows: list[dict[str, Any]]) -> str:
    """Return how many forecasts of each job are within their factor, and the least and the greatest ratio."""
    jobs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if "forecast" in row and row["measured"] >= WORTH_A_FORECAST:
            jobs[f"{row['network'].split()[0]}, {row['job']}"].append(row)
    lines = []
    for name, of_job in sorted(jobs.items()):
        time = sorted(row["forecast"] / row["measured"] for row in of_job)
        memory = sorted(row["forecast_bytes"] / row["measured_bytes"] for row in of_job)
        lines.append((name, str(len(of_job)), *(f"{found[0]:.2f} to {found[-1]:.2f}" for found in (time, memory))))
    headings = ("network and job", "cases", "forecast time / measured", "forecast memory / measured")
    return marks.table(headings, ("---", "--:", "--:", "--:"), lines)


def profiles(rows: list[dict[str, Any]]) -> str:
    """Return one line for every job: the functions that take most of it."""
    lines = []
    for row in rows:
        shares = (f"{one['share']:.0%} `{one['function'].removeprefix('assembly/')}`" for one in row["functions"])
        lines.append((row["job"], ", ".join(shares)))
    return marks.table(("job", "where one thread spends its time"), ("---", "---"), lines)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8"), record.read(NUMBERS)), "utf-8")
