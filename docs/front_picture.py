"""Draw the picture of the front page anew: one network at four widths, and a bottleneck, with the verdict on each.

    python docs/front_picture.py       a few seconds; writes docs/pictures/front.svg and prints its description

Three hidden layers on the first image of digits, seed 0. Every curve is the output along the direction of the
parameters in which it bends most, the top eigenvector of the Hessian; curve and verdict are those of the explorer.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from assembly.explorer.answers import Curve, Judged, curve, judged
from assembly.explorer.state import State
from assembly.plots import style

HOME = Path(__file__).parent / "pictures"
NEARLY = "nearly linear"


class Seen(NamedTuple):
    """One network: the widths of its layers, its curve, its verdict."""

    layers: str
    curve: Curve
    verdict: Judged


def seen(width: int, middle: int | None = None) -> Seen:
    """Return what is drawn of layers (m, m, m), or (m, middle, m)."""
    state = State(width=width, depth=3 if middle is None else 2, middle=middle)
    sizes = (width, width if middle is None else middle, width)
    return Seen(" · ".join(f"{size:,}" for size in sizes), curve(state, "worst"), judged(state))


def description(networks: list[Seen]) -> str:
    """Return the picture in words."""
    found = [
        f"layers of {one.layers}: {one.curve.largest_error:.2f} off the tangent, "
        f"||H|| R / ||grad f|| = {one.verdict.hessian_times_radius_over_gradient:.2f}, {one.verdict.word}"
        for one in networks
    ]
    return f"Output within distance 1 along the direction in which it bends most, and its tangent. {'; '.join(found)}."


def draw(networks: list[Seen]) -> Figure:
    """Return a row of panels with the same axes."""
    with style.look():
        figure = Figure(figsize=(9.0, 2.75), layout="constrained")
        panels = figure.subplots(1, len(networks), sharex=True, sharey=True)
        for axes, one in zip(panels, networks, strict=True):
            draw_one(axes, one)
        panels[0].set_ylabel("change of the output")
        panels[0].set_xticks([-1, 0, 1])
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9.0)
    return figure


def draw_one(axes: Any, one: Seen) -> None:
    """Draw a curve, its tangent, and the verdict beneath."""
    start = one.curve.tangent[len(one.curve.t) // 2]
    bent, straight = ([value - start for value in line] for line in (one.curve.values, one.curve.tangent))
    is_linear = one.verdict.word == NEARLY
    colour = style.colour(0 if is_linear else 1)
    axes.fill_between(one.curve.t, bent, straight, color=colour, alpha=0.2, linewidth=0.0)
    axes.plot(one.curve.t, bent, color=colour, linewidth=2.0)
    axes.plot(one.curve.t, straight, color=style.INK, linestyle=style.REFERENCE_LINE, linewidth=1.2)
    axes.plot([], [], color=style.FAINT, linewidth=2.0, label="the output along its worst direction")
    axes.plot(
        [], [], color=style.INK, linestyle=style.REFERENCE_LINE, linewidth=1.2, label="its tangent: a linear model"
    )
    axes.set_title(one.layers, fontsize=10.0, loc="center")
    axes.set_xlabel(
        f"{'✓' if is_linear else '✗'} {one.verdict.word}\n"
        rf"$\Vert H \Vert R \, / \, \Vert \nabla f \Vert$ = {one.verdict.hessian_times_radius_over_gradient:.2f}",
        fontsize=9.5,
        color=style.INK,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="narrow networks, to see that it runs")
    parser.add_argument("--to", type=Path, default=HOME)
    arguments = parser.parse_args()
    widths = (4, 8, 16) if arguments.quick else (16, 64, 256, 1024)
    networks = [*(seen(width) for width in widths), seen(widths[-1], middle=1)]
    words = description(networks)
    arguments.to.mkdir(parents=True, exist_ok=True)
    picture = style.to_svg(draw(networks), title="A network at several widths, and a bottleneck", description=words)
    (arguments.to / "front.svg").write_text(picture, encoding="utf-8")
    print(words)


if __name__ == "__main__":
    main()
