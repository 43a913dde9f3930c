"""Write the table of docs/background/claims.md anew, from claims.csv.

    assembly study claims
    cp assembly-results/claims/claims.csv docs/background/claims.csv
    python docs/claims_table.py

Only what stands between the marks is replaced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import marks

from assembly.study.contents import markdown_cell
from assembly.study.findings import claim_cells
from assembly.study.quantities import describe

PAGE = Path(__file__).parent / "background" / "claims.md"
NUMBERS = PAGE.with_suffix(".csv")
HEADINGS = (
    *("claim", "what", "architecture", "quantity", "widths"),
    *("predicted", "alternative", "band", "measured", "verdict"),
)
ALIGNMENT = ("--:", "---", "---", "---", "--:", "--:", "--:", "--:", "--:", "---")


def page(text: str, rows: Sequence[dict[str, str]]) -> str:
    """Return the page with tally, table and exceptions in place of what stands there."""
    return marks.filled(text, {"tally": tally(rows), "table": table(rows), "exceptions": exceptions(rows)})


def tally(rows: Sequence[dict[str, str]]) -> str:
    """Return how many claims have which verdict."""
    counted = Counter(row["verdict"] for row in rows)
    return f"Of {len(rows)} predictions {', '.join(f'{count} {verdict}' for verdict, count in counted.most_common())}."


def table(rows: Sequence[dict[str, str]]) -> str:
    """Return one line for every claim: what was predicted and what was measured."""
    lines = []
    for row in rows:
        found = claim_cells(row, 3)
        cells = (
            *(row["claim"], row["what"], f"{row['architecture']} (`{row['builder']}`)"),
            *(describe(row["quantity"]).text, _widths(row), found["prediction"], found["alternative"], found["band"]),
            *(" ".join((found["exponent"], found["interval"])).strip(), row["verdict"]),
        )
        lines.append([markdown_cell(cell) for cell in cells])
    return marks.table(HEADINGS, ALIGNMENT, lines)


def exceptions(rows: Sequence[dict[str, str]]) -> str:
    """Return a line for every claim that is not consistent: what was found instead."""
    lines = [
        f"* Claim {row['claim']}, {row['architecture']}: {markdown_cell(row['found'])}"
        for row in rows
        if row["verdict"] != "consistent"
    ]
    return "\n".join(lines) or "There is none."


def _widths(row: dict[str, str]) -> str:
    return f"{row['narrowest']} to {row['widest']}" if row["exponent"] else ""


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8"), marks.rows_of(NUMBERS)), "utf-8")
