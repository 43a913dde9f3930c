"""Write the table and the pictures of docs/background/architectures.md anew, from exponents.csv and the builders.

    assembly study architectures
    cp assembly-results/architectures/exponents.csv docs/background/architectures.csv
    python docs/architectures_table.py

Only what stands between the marks is replaced.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import marks

from assembly.diagnostics.verdict import exponent_text, interval_text, signed
from assembly.study.builders import BUILDERS
from assembly.study.contents import markdown_cell
from assembly.study.quantities import describe
from assembly.study.reading import load
from assembly.study.specification import ArchitectureSpecification

PAGE = Path(__file__).parent / "background" / "architectures.md"
NUMBERS = PAGE.with_suffix(".csv")
HEADINGS = ("architecture", "built by", "width m", "quantity", "widths", "predicted", "measured", "verdict")
ALIGNMENT = ("---", "---", "---", "---", "--:", "--:", "--:", "---")


def page(text: str, rows: Iterable[dict[str, str]]) -> str:
    """Return the page with table and pictures in place of what stands there."""
    return marks.filled(text, {"table": table(rows), "pictures": pictures()})


def table(rows: Iterable[dict[str, str]]) -> str:
    """Return one line for every claim: what was predicted and what was measured."""
    study = load("architectures")
    lines = []
    for row in rows:
        if not row["prediction"]:
            continue
        entry = study.architecture(row["architecture"])
        interval = interval_text(float(row["lower"]), float(row["upper"]), 3)
        lines.append(
            (
                entry.label,
                f"`{entry.builder}` {_keys(entry)}".strip(),
                BUILDERS[entry.builder].width_rule.split(";")[0],
                describe(row["quantity"]).text,
                f"{row['narrowest']} to {row['widest']}",
                exponent_text(float(row["prediction"])),
                f"{signed(float(row['exponent']), 3)} {interval}",
                row["verdict"],
            )
        )
    return marks.table(HEADINGS, ALIGNMENT, [[markdown_cell(cell) for cell in line] for line in lines])


def pictures() -> str:
    """Return every builder with its picture and how the width enters."""
    parts = []
    for builder in BUILDERS.values():
        picture = builder.picture.strip("\n")
        parts.append(f"### `{builder.name}`\n\n{_sentence(builder.text)}\n\n```text\n{picture}\n```\n")
        parts.append(f"Width: {builder.width_rule}.\n")
    return "\n" + "\n".join(parts)


def _keys(entry: ArchitectureSpecification) -> str:
    """Return the keys that differ from the builder's defaults, or that hold its sizes."""
    defaults = BUILDERS[entry.builder].defaults
    sizes = ("hidden", "channels")
    chosen = {key: value for key, value in entry.options.items() if value != defaults[key] or key in sizes}
    return ", ".join(f"{key} = {_plain(value)}" for key, value in chosen.items())


def _plain(value: object) -> str:
    return f"[{', '.join(str(one) for one in value)}]" if isinstance(value, list) else str(value)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8"), marks.rows_of(NUMBERS)), "utf-8")
