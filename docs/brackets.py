"""Measure the brackets of docs/background/certificate.md anew: four tables beside it, and the picture.

    python docs/brackets.py            about five minutes on two cores
    python docs/brackets.py --others   only other architectures (others.csv) and Jacobians (jacobians.csv), a minute
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
from assembly.bounds.ball import Ball
from assembly.bounds.centre import Centre
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


def others(width: int) -> Iterable[dict[str, Any]]:
    """Yield brackets of the Hessian norm of other architectures, of few or many ways through them."""
    x = image()
    networks = {
        "convolutions, two layers": am.cnn((8, 8), [width // 8, width // 8], kernel=3, seed=0),
        "residual, two blocks": am.resnet(n_inputs=len(x), width=width, n_blocks=2, seed=0),
        "dense blocks, two layers": am.densenet(n_inputs=len(x), widths=[width, width], seed=0),
        "sparse, three layers": am.random_dag(len(x), 3, width, 16, seed=0),
        "fully connected, two layers": am.mlp(n_inputs=len(x), widths=[width, width], activation="tanh", seed=0),
    }
    for name, net in networks.items():
        for radius in (0.1, 1.0, 2.0):
            found = net.curvature_in_ball(x, radius)
            yield {
                "network": name,
                "parameters": f"{net.n_parameters:,}",
                "R": f"{radius:g}",
                "attained": f"{found.lower:.4g}",
                "proven": f"{found.upper:.4g}",
                "ratio": f"{found.ratio:.3g}",
            }


def jacobians(width: int) -> Iterable[dict[str, Any]]:
    """Yield norms of the hidden layers' matrices of three hidden layers: alone, with slopes, with the largest ones."""
    x = image()
    centre = Centre(am.mlp(n_inputs=len(x), widths=[width] * 3, activation="tanh", seed=0).evaluate(x), 0)
    ball = Ball(centre, 1.0)
    for i, link in enumerate(centre.links):
        if not link.from_given and centre.sizes[link.target] == width:
            yield {
                "into layer": link.target,
                "c W": f"{link.map.norm:.3g}",
                "c W diag(slopes) at the centre": f"{link.map.scaled(centre.slope[link.source]).norm:.3g}",
                "with the largest slopes, R = 1": f"{ball.with_slopes(i).norm:.3g}",
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
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--to", type=Path, default=HOME)
    arguments = parser.parse_args()
    (arguments.to / "background").mkdir(parents=True, exist_ok=True)
    width = 64 if arguments.quick else 1024
    write(arguments.to / "background" / "others.csv", list(others(min(width, 128))))
    write(arguments.to / "background" / "jacobians.csv", list(jacobians(width)))
    if arguments.others:
        return
    rows = []
    for row in brackets(width):
        print(row, flush=True)
        rows.append(row)
    (arguments.to / "pictures").mkdir(parents=True, exist_ok=True)
    write(arguments.to / "background" / "brackets.csv", rows)
    (arguments.to / "pictures" / "brackets.svg").write_text(picture(rows), encoding="utf-8")
    widths = (16, 32, 64) if arguments.quick else (64, 128, 256, 512, 1024, 2048)
    write(arguments.to / "background" / "falling.csv", list(falling(widths)))


if __name__ == "__main__":
    main()
