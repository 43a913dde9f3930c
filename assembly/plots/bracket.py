"""A supremum over balls of growing radius, bracketed: what is proven above, what is attained below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import NDArray

from assembly.checks import check_number
from assembly.errors import ArgumentError, ShapeError
from assembly.plots import style

Ends = tuple[Sequence[float], Sequence[float]]


def draw_brackets(radii: Sequence[float], brackets: Mapping[str, Ends], *, name: str) -> Figure:
    """Draw the lower and the upper end over the radius of the ball, both axes logarithmic, one band for each network.

    Parameters
    ----------
    radii : sequence of float
        Positive, ascending.
    brackets : mapping of str to (lower, upper)
        Name of each network -> the two ends at every radius, positive.
    name : str
        The quantity; mathematics between dollar signs is typeset.

    Returns
    -------
    matplotlib.figure.Figure
        6.6 inches wide. Write it with `assembly.plots.style.to_svg`.

    Raises
    ------
    ArgumentError
        If a radius or an end is not positive, an upper end is below its lower one, or there is no bracket.
    ShapeError
        If a bracket has not two ends for each radius.

    Examples
    --------
    >>> figure = draw_brackets([0.1, 1.0], {"two layers": ([0.08, 0.1], [0.15, 0.32])}, name="||H||")
    >>> len(figure.axes[0].lines)
    2
    """
    distances, ends = _checked(radii, brackets)
    with style.look():
        figure = Figure(figsize=(6.6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.set_yscale("log")
        for i, (title, (lower, upper)) in enumerate(ends.items()):
            colour = style.colour(i)
            axes.fill_between(distances, lower, upper, color=colour, alpha=0.15, linewidth=0.0)
            axes.plot(distances, upper, color=colour, linestyle=style.line(i), label=f"{title}: proven")
            axes.plot(
                distances,
                lower,
                color=colour,
                linestyle=style.line(i),
                marker=style.marker(i),
                markersize=4.5,
                label=f"{title}: attained",
            )
        values = np.concatenate([np.concatenate(pair) for pair in ends.values()])
        ticks = style.log_ticks(float(values.min()), float(values.max()))
        for axis, places in ((axes.xaxis, list(distances)), (axes.yaxis, ticks)):
            axis.set_major_locator(FixedLocator(places))
            axis.set_major_formatter(FixedFormatter([style.number_text(place) for place in places]))
            axis.set_minor_locator(NullLocator())
        axes.set_xlabel("radius R of the ball")
        axes.set_title(name)
        axes.legend(ncols=len(ends), loc="upper left", bbox_to_anchor=(0.0, -0.18), borderaxespad=0.0)
    return figure


def describe_brackets(radii: Sequence[float], brackets: Mapping[str, Ends], *, name: str) -> str:
    """Say in words what `draw_brackets` shows, as a text alternative of the picture.

    Examples
    --------
    >>> describe_brackets([0.1, 1.0], {"two layers": ([0.08, 0.1], [0.15, 0.32])}, name="||H||")
    '||H|| over balls of radius 0.1 to 1. two layers: between 0.08 and 0.15 at R = 0.1, between 0.1 and 0.32 at R = 1.'
    """
    distances, ends = _checked(radii, brackets)
    number = style.number_text
    parts = [f"{name} over balls of radius {number(distances[0])} to {number(distances[-1])}"]
    for title, (lower, upper) in ends.items():
        at = [f"between {number(lower[i])} and {number(upper[i])} at R = {number(distances[i])}" for i in (0, -1)]
        parts.append(f"{title}: {', '.join(at)}")
    return ". ".join(parts) + "."


def _checked(
    radii: Sequence[float], brackets: Mapping[str, Ends]
) -> tuple[NDArray[np.float64], dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]]:
    distances = np.array([check_number(f"radii[{i}]", radius, above=0.0) for i, radius in enumerate(radii)])
    if not brackets:
        raise ArgumentError("The 'brackets' argument must hold at least one network. Got none.")
    ends = {}
    for title, pair in brackets.items():
        lower, upper = (np.asarray(end, dtype=np.float64) for end in pair)
        if lower.shape != distances.shape or upper.shape != distances.shape:
            raise ShapeError(
                f"The bracket {title!r} must have two ends for each of {len(distances)} radii. "
                f"Got shapes {lower.shape} and {upper.shape}."
            )
        if not (np.isfinite(upper).all() and (lower > 0.0).all() and (lower <= upper).all()):
            raise ArgumentError(f"The bracket {title!r} must have positive ends, the lower first. It has not.")
        ends[title] = (lower, upper)
    return distances, ends
