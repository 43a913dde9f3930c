"""Quantities over the time of training, one line for each run or model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from assembly.errors import ArgumentError, ShapeError
from assembly.plots import style

N_TICKS = 7  # on the axis of values, at most


@dataclass(frozen=True)
class Path:
    """One quantity of one run over time.

    Attributes
    ----------
    label : str
    times, values : array_like of shape (n,)
        Values that are NaN or not positive have no place on a logarithmic axis and are left out.
    """

    label: str
    times: ArrayLike
    values: ArrayLike


def draw_paths(paths: Sequence[Path], *, name: str) -> Figure:
    """Draw some positive quantities over time, on a logarithmic axis.

    Parameters
    ----------
    paths : sequence of Path
    name : str
        What is drawn; mathematics between dollar signs is typeset.

    Returns
    -------
    matplotlib.figure.Figure
        4.6 by 3.3 inches. Write it with `assembly.plots.style.to_svg`.

    Raises
    ------
    ArgumentError
        If no path has a positive value.
    ShapeError
        If a path has not one value for each time.

    Examples
    --------
    >>> figure = draw_paths([Path("network", [0.0, 1.0, 2.0], [4.0, 2.0, 1.0])], name="loss")
    >>> len(figure.axes[0].lines)
    1
    """
    known = _known(paths)
    with style.look():
        figure = Figure(figsize=(4.6, 3.3), layout="constrained")
        axes = figure.add_subplot()
        axes.set_yscale("log")
        for i, (label, times, values) in enumerate(known):
            axes.plot(
                times,
                values,
                color=style.colour(i),
                linestyle=style.line(i),
                marker=style.marker(i),
                markersize=3.0,
                label=label,
            )
        everything = np.concatenate([values for _, _, values in known])
        ticks = style.log_ticks(float(everything.min()), float(everything.max()))
        ticks = ticks[:: -(-len(ticks) // N_TICKS)]
        axes.yaxis.set_major_locator(FixedLocator(ticks))
        axes.yaxis.set_major_formatter(FixedFormatter([style.number_text(tick) for tick in ticks]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("time $t = \\eta$ × steps")
        axes.set_title(name)
        axes.legend(ncols=2, loc="upper left", bbox_to_anchor=(0.0, -0.18), borderaxespad=0.0)
    return figure


def describe_paths(paths: Sequence[Path], *, name: str) -> str:
    """Say in words what `draw_paths` shows, as a text alternative of the picture.

    Examples
    --------
    >>> describe_paths([Path("network", [0.0, 2.0], [4.0, 1.0])], name="The loss")
    'The loss over time. network: 4 at t = 0, 1 at t = 2.'
    """
    number = style.number_text
    parts = [f"{name} over time"]
    for label, times, values in _known(paths):
        at = [f"{number(float(values[i]))} at t = {number(float(times[i]))}" for i in (0, -1)]
        parts.append(f"{label}: {', '.join(dict.fromkeys(at))}")
    return ". ".join(parts) + "."


def _known(paths: Sequence[Path]) -> list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    found = []
    for one in paths:
        times, values = np.asarray(one.times, np.float64), np.asarray(one.values, np.float64)
        if times.shape != values.shape or times.ndim != 1:
            raise ShapeError(
                f"The path {one.label!r} must have one value for each time. Got {values.shape} for {times.shape}."
            )
        kept = np.isfinite(values) & (values > 0.0)
        if kept.any():
            found.append((one.label, times[kept], values[kept]))
    if not found:
        raise ArgumentError("The 'paths' argument must hold a positive value: the axis is logarithmic. Got none.")
    return found
