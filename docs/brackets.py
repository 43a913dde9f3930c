"""Measure the brackets of docs/background/certificate.md anew: brackets.csv, falling.csv and the picture.

    python docs/brackets.py            about five minutes on two cores
    python docs/brackets.py --quick    narrow networks, to see that it runs; writes to the folder given by --to

tanh, Gaussian readout, seed 0, the first of the four digits images that studies measure at (|x| = 8).
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import assembly as am
from assembly import data
from assembly.plots.bracket import describe_brackets, draw_brackets
from assembly.plots.style import to_svg

HOME = Path(__file__).parent
RADII = (0.03, 0.1, 0.3, 1.0, 3.0)
DEPTHS = (1, 2, 3)
QUANTITIES = {
    "||H||": "curvature_in_ball",
    "|f - f_lin|": "remainder_in_ball",
    "relative kernel change": "kernel_change_in_ball",
}


def image() -> Any:
    """Return the input."""
    return data.measured_inputs(data.load("digits", None), 4, 0)[0]


def brackets(width: int) -> Iterable[dict[str, Any]]:
    """Yield a row for every depth, radius and quantity; remainder and kernel change at R = 1 only."""
    x = image()
    for depth in DEPTHS:
        net = am.mlp(n_inputs=len(x), widths=[width] * depth, activation="tanh", seed=0)
        for quantity, verb in QUANTITIES.items():
            for radius in RADII if quantity == "||H||" else (1.0,):
                start = time.perf_counter()
                given = x[None] if quantity.startswith("relative") else x
                found = getattr(net, verb)(given, radius)
                yield {
                    "quantity": quantity,
                    "hidden layers": depth,
                    "R": f"{radius:g}",
                    "attained": f"{found.lower:.4g}",
                    "proven": f"{found.upper:.4g}",
                    "ratio": f"{found.ratio:.3g}",
                    "dominance": " + ".join(f"{part:.2g}" for part in found.dominance.values()),
                    "coupling": " + ".join(f"{part:.2g}" for part in found.coupling.values()),
                    "seconds": f"{time.perf_counter() - start:.1f}",
                }


def falling(widths: Sequence[int]) -> Iterable[dict[str, Any]]:
    """Yield the bracket of two hidden layers at R = 1 for every width."""
    x = image()
    for width in widths:
        found = am.mlp(n_inputs=len(x), widths=[width] * 2, activation="tanh", seed=0).curvature_in_ball(x, 1.0)
        scaled = found.upper * width**0.5
        yield {
            "m": width,
            "attained": f"{found.lower:.4g}",
            "proven": f"{found.upper:.4g}",
            "proven times sqrt(m)": f"{scaled:.3g}",
        }


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def picture(rows: list[dict[str, Any]]) -> str:
    """Return the brackets of the Hessian norm over the radius as an SVG."""
    ends = {}
    for depth in DEPTHS:
        own = [row for row in rows if row["quantity"] == "||H||" and row["hidden layers"] == depth]
        title = f"{depth} hidden layer{'s' if depth > 1 else ''}"
        ends[title] = ([float(row["attained"]) for row in own], [float(row["proven"]) for row in own])
    description = describe_brackets(RADII, ends, name="The largest Hessian norm")
    figure = draw_brackets(RADII, ends, name="largest ||H|| in the ball")
    return to_svg(figure, title="Brackets of the Hessian norm", description=description)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--to", type=Path, default=HOME)
    arguments = parser.parse_args()
    rows = []
    for row in brackets(64 if arguments.quick else 1024):
        print(row, flush=True)
        rows.append(row)
    (arguments.to / "background").mkdir(parents=True, exist_ok=True)
    (arguments.to / "pictures").mkdir(parents=True, exist_ok=True)
    write(arguments.to / "background" / "brackets.csv", rows)
    (arguments.to / "pictures" / "brackets.svg").write_text(picture(rows), encoding="utf-8")
    widths = (16, 32, 64) if arguments.quick else (64, 128, 256, 512, 1024, 2048)
    write(arguments.to / "background" / "falling.csv", list(falling(widths)))


if __name__ == "__main__":
    main()
