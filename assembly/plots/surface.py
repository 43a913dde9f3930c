"""A quantity over distance and width: a panel for each direction with a line for each distance, and a heat map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from assembly.checks import check_counts, check_number
from assembly.errors import ArgumentError, ShapeError
from assembly.plots import style

Values = NDArray[np.float64]

MOST_RADII = len(style.COLOURS)
PALE, DARK = "#fefefe", "#000001"  # of numbers in the heat map: not the colours that a page's theme exchanges


def draw_surface(
    widths: Sequence[int],
    radii: Sequence[float],
    panels: Mapping[str, ArrayLike],
    *,
    name: str,
    bound: ArrayLike | None = None,
    bound_name: str = "bound",
) -> Figure:
    """Draw medians over width and distance.

    One panel for each direction, both axes logarithmic and common to all: a line for each distance R over the widths,
    told apart by colour, marker and line; dashed beside it the bound at that distance. Beneath, the last direction
    as a heat map with its numbers.

    Parameters
    ----------
    widths : sequence of int
        Ascending.
    radii : sequence of float
        Positive, ascending, six at most.
    panels : mapping of str to array_like of shape (n_radii, n_widths)
        Title of each panel -> medians; what is NaN or not positive has no place on a logarithmic axis and is left out.
    name : str
        The quantity; mathematics between dollar signs is typeset.
    bound : array_like of shape (n_radii, n_widths), optional
        The same in all panels.
    bound_name : str
        Of the bound, in the legend.

    Returns
    -------
    matplotlib.figure.Figure
        6.6 inches wide. Write it with `assembly.plots.style.to_svg`.

    Raises
    ------
    ArgumentError
        If there are more than six radii, no panel, or nothing that can stand on a logarithmic axis.
    ShapeError
        If a panel or the bound has not one value for each radius and width.

    Examples
    --------
    >>> figure = draw_surface([16, 64], [0.5, 1.0], {"gradient": [[0.1, 0.05], [0.4, 0.2]]}, name="$|f - f_{lin}|$")
    >>> len(figure.axes)
    2
    """
    sizes, distances = check_counts("widths", widths), _distances(radii)
    shown = {title: _checked(title, values, distances, sizes) for title, values in panels.items()}
    limits = None if bound is None else _checked("bound", bound, distances, sizes)
    everything = _positive([*shown.values(), *([] if limits is None else [limits])])
    if not shown or not _positive(list(shown.values())).size:
        raise ArgumentError("Nothing to draw: no panel has a positive finite value, and the axes are logarithmic.")
    with style.look():
        columns = min(len(shown), 2)
        rows = -(-len(shown) // columns)
        beneath = 0.55 + 0.27 * len(distances)
        figure = Figure(figsize=(6.6, 0.95 + 2.15 * rows + beneath))
        height = figure.get_figheight()
        grid = figure.add_gridspec(
            rows,
            columns,
            left=0.09,
            right=0.985,
            top=1.0 - 0.75 / height,
            bottom=(beneath + 0.75) / height,
            wspace=0.08,
            hspace=0.22,
        )
        axes = [figure.add_subplot(grid[i // columns, i % columns]) for i in range(len(shown))]
        for i, (one, (title, values)) in enumerate(zip(axes, shown.items(), strict=True)):
            _draw_lines(one, sizes, values, limits)
            _set_axes(one, sizes, everything, i % columns == 0, i >= len(shown) - columns)
            one.set_title(title, fontsize=9.0, pad=4.0)
        title, values = list(shown.items())[-1]
        below = figure.add_axes((0.09, 0.42 / height, 0.895, (beneath - 0.35) / height))
        _draw_map(below, sizes, distances, values)
        below.set_title(f"{title}, in numbers", fontsize=9.0, pad=4.0)
        figure.text(0.012, 1.0 - 0.05 / height, name, fontsize=10.0, va="top", color=style.INK)
        _add_legend(figure, distances, None if limits is None else bound_name)
    return figure


def describe_surface(
    widths: Sequence[int],
    radii: Sequence[float],
    panels: Mapping[str, ArrayLike],
    *,
    name: str,
    bound: ArrayLike | None = None,
) -> str:
    """Say in words what `draw_surface` shows, as a text alternative of the picture.

    Examples
    --------
    >>> text = describe_surface([16, 64], [0.5, 1.0], {"worst": [[0.1, 0.05], [0.4, 0.2]]}, name="|f - f_lin|")
    >>> text.split(". ")[1]
    'worst: at R = 1 from 0.4 at width 16 to 0.2 at width 64; at width 64 from 0.05 at R = 0.5 to 0.2 at R = 1.'
    """
    sizes, distances = check_counts("widths", widths), _distances(radii)
    low, high = f"R = {style.number_text(distances[0])}", f"R = {style.number_text(distances[-1])}"
    parts = [f"{name} against width, logarithmic axes, a line for each distance R from {low[4:]} to {high[4:]}"]
    for title, given in panels.items():
        values = _checked(title, given, distances, sizes)
        corner = [_number(value) for value in (values[-1, 0], values[-1, -1], values[0, -1])]
        parts.append(
            f"{title}: at {high} from {corner[0]} at width {sizes[0]} to {corner[1]} at width {sizes[-1]}; "
            f"at width {sizes[-1]} from {corner[2]} at {low} to {corner[1]} at {high}"
        )
    if bound is not None:
        limits = _checked("bound", bound, distances, sizes)
        parts.append(
            f"The bound at {high}: {_number(limits[-1, 0])} at width {sizes[0]}, {_number(limits[-1, -1])} at width "
            f"{sizes[-1]}"
        )
    return ". ".join(parts) + "."


def _distances(radii: Sequence[float]) -> tuple[float, ...]:
    if not 0 < len(radii) <= MOST_RADII:
        raise ArgumentError(f"The 'radii' argument must have 1 to {MOST_RADII} distances. Got {len(radii)}.")
    return tuple(check_number(f"radii[{i}]", radius, above=0.0) for i, radius in enumerate(radii))


def _checked(title: str, values: ArrayLike, radii: Sequence[float], widths: Sequence[int]) -> Values:
    array, wanted = np.asarray(values, dtype=np.float64), (len(radii), len(widths))
    if array.shape != wanted:
        raise ShapeError(f"The values of {title!r} must have shape {wanted}, radii times widths. Got {array.shape}.")
    kept: Values = np.where(np.isfinite(array) & (array > 0.0), array, np.nan)
    return kept


def _positive(arrays: Sequence[Values]) -> Values:
    flat: Values = np.concatenate([np.ravel(array) for array in arrays]) if arrays else np.zeros(0)
    return flat[~np.isnan(flat)]


def _draw_lines(axes: Axes, widths: Sequence[int], values: Values, bound: Values | None) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for i, row in enumerate(values):
        if bound is not None:
            axes.plot(widths, bound[i], color=style.colour(i), linestyle=style.REFERENCE_LINE, linewidth=0.9)
        axes.plot(
            widths,
            row,
            color=style.colour(i),
            marker=style.marker(i),
            linestyle=style.line(i),
            markersize=4.5,
            markeredgecolor=style.PAPER,
            markeredgewidth=0.5,
        )


def _set_axes(axes: Axes, widths: Sequence[int], everything: Values, is_first: bool, is_lowest: bool) -> None:
    axes.set_xlim(widths[0] / 1.2, widths[-1] * 1.2)
    axes.xaxis.set_major_locator(FixedLocator(widths))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{width}" if is_lowest else "" for width in widths]))
    axes.xaxis.set_minor_locator(NullLocator())
    if is_lowest:
        axes.set_xlabel("width $m$")
    low, high = float(everything.min()), float(everything.max())
    room = max(0.05 * math.log(high / low), 0.1)
    axes.set_ylim(low * math.exp(-room), high * math.exp(room))
    ticks = style.log_ticks(low, high)
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FixedFormatter([style.number_text(tick) if is_first else "" for tick in ticks]))
    axes.yaxis.set_minor_locator(NullLocator())


def _draw_map(axes: Axes, widths: Sequence[int], radii: Sequence[float], values: Values) -> None:
    """Draw a cell for each distance and width, its number in it: the darker the smaller, in print too."""
    known = values[~np.isnan(values)]
    low, high = float(known.min()), float(known.max())
    scale = LogNorm(low / 1.01, high * 1.01)
    colours = matplotlib.colormaps["cividis"]
    axes.pcolormesh(np.ma.masked_invalid(values), cmap=colours, norm=scale, edgecolors=style.PAPER, linewidth=1.0)
    for (i, j), value in np.ndenumerate(values):
        tone = style.FAINT if math.isnan(value) else (DARK if scale(value) > 0.5 else PALE)
        axes.text(j + 0.5, i + 0.5, _number(value), ha="center", va="center", fontsize=7.5, color=tone)
    axes.grid(visible=False)
    axes.set_xticks(np.arange(len(widths)) + 0.5, [f"{width}" for width in widths])
    axes.set_yticks(np.arange(len(radii)) + 0.5, [f"$R$ = {style.number_text(radius)}" for radius in radii])
    axes.tick_params(length=0.0)
    axes.set_xlabel("width $m$")
    for side in axes.spines.values():
        side.set_visible(False)


def _number(value: float) -> str:
    return "none" if math.isnan(value) else style.number_text(float(f"{value:.2g}"))


def _add_legend(figure: Figure, radii: Sequence[float], bound_name: str | None) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=style.colour(i),
            marker=style.marker(i),
            linestyle=style.line(i),
            markersize=4.5,
            label=f"$R$ = {style.number_text(radius)}",
        )
        for i, radius in enumerate(radii)
    ]
    if bound_name is not None:
        handles.append(Line2D([], [], color=style.INK, linestyle=style.REFERENCE_LINE, linewidth=0.9, label=bound_name))
    top = 1.0 - 0.24 / figure.get_figheight()
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, top),
        ncols=len(handles),
        columnspacing=1.3,
        handlelength=2.4,
    )
