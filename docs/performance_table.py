"""Write the tables of docs/background/performance.md anew, from performance.json.

    python benchmarks/performance.py
    python benchmarks/performance.py size edges
    cp assembly-results/performance/performance.json docs/background/performance.json
    python docs/performance_table.py

Only what stands between the marks is replaced.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from speed import asks, record, tables

PAGE = Path(__file__).parent / "background" / "performance.md"
NUMBERS = PAGE.with_suffix(".json")


def page(text: str, records: dict[str, Any]) -> str:
    """Return the page with asks and tables in place of what stands there."""
    for mark, content in (("asks", asks.table(records)), ("tables", tables.tables(records))):
        between = re.compile(rf"(<!-- {mark}: begin -->\n).*?(<!-- {mark}: end -->)", re.DOTALL)
        text, n_found = between.subn(lambda found, content=content: f"{found[1]}{content}\n{found[2]}", text)
        if n_found != 1:
            raise ValueError(f"{PAGE.name} must hold <!-- {mark}: begin --> and <!-- {mark}: end --> once.")
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8"), record.read(NUMBERS)), "utf-8")
