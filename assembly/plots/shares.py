"""Shares from the largest to the smallest, one line per width or layer, beside what equal shares would be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

from assembly.errors import ArgumentError, NonFiniteError, ShapeError
from assembly.plots import style

_MARKS_PER_LINE = 5
_POINTS_PER_LINE = 2000  # a longer one is drawn at ranks evenly spread over the logarithmic axis


def draw_shares(labels: Sequence[str], shares: Sequence[ArrayLike], *, name: str = "gradient share") -> Figure:
    """Draw shares against their rank on logarithmic axes, the largest first.

    A thin dashed line at 1/n goes with each: what n equal shares would be. A healthy line starts a little above its own
    and falls off at the end; a dominating part stands alone at the upper left. Shares of 0 have no place on the axes.

    Parameters
    ----------
    labels : sequence of str
        One per line.
    shares : sequence of array_like of shape (n,)
        Not negative, of sum 1.
    name : str
        What is shared; the vertical axis.

    Returns
    -------
    matplotlib.figure.Figure
        Write it with `assembly.plots.style.to_svg`.

    Raises
    ------
    ShapeError
        If there is not one label per line, or a line is no vector of at least one share.
    NonFiniteError, ArgumentError
        If a share is NaN, infinite or negative, there is no line, or one holds zeros only.

    Examples
    --------
    >>> figure = draw_shares(["m = 4", "m = 2"], [[0.4, 0.1, 0.3, 0.2], [0.5, 0.5]])
    >>> len(figure.axes[0].lines)
    4
    """
    lines = _check(labels, shares)
    with style.look():
        figure = Figure(figsize=(4.6, 3.4))
        axes = figure.add_axes((0.15, 0.14, 0.83, 0.78))
        axes.set_xscale("log")
        axes.set_yscale("log")
        for i, (label, line) in enumerate(zip(labels, lines, strict=True)):
            n, n_shown, tone = len(line), np.count_nonzero(line), style.colour(i)
            rank = np.arange(1, n_shown + 1)
            if n_shown > _POINTS_PER_LINE:
                rank = np.unique(np.geomspace(1, n_shown, _POINTS_PER_LINE).round().astype(int))
            marks = np.searchsorted(rank, np.unique(np.geomspace(1, n_shown, _MARKS_PER_LINE).astype(int)))
            axes.plot(
                rank,
                line[rank - 1],
                color=tone,
                linestyle=style.line(i),
                marker=style.marker(i),
                markevery=marks.tolist(),
                markersize=4.2,
                label=label,
            )
            axes.plot([1, max(n, 1.15)], [1.0 / n] * 2, color=tone, linestyle=style.REFERENCE_LINE, linewidth=0.8)
        largest, longest = max(float(line[0]) for line in lines), max(map(len, lines))
        axes.set_ylim(0.02 / longest, min(1.5, 2.0 * largest))  # the tail of tiny shares says nothing
        axes.set_xlim(0.85, 1.2 * longest)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.number_text(value)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.number_text(value)))
        axes.set_xlabel("rank, the largest first")
        axes.set_title(f"{name}; thin dashed: equal shares 1/n", fontsize=9.0)
        axes.legend(loc="lower left", handlelength=2.8, frameon=True, facecolor=style.PAPER, edgecolor="none")
    return figure


def describe_shares(labels: Sequence[str], shares: Sequence[ArrayLike], *, name: str = "gradient share") -> str:
    """Say in words what `draw_shares` shows, as a text alternative of the picture.

    Examples
    --------
    >>> describe_shares(["layer 1"], [[0.25, 0.75]]).split(". ")[1]
    'layer 1: the largest of 2 is 0.75 where equal ones would be 0.5; they count as 1.6.'
    """
    parts = [f"{name.capitalize()} against rank, logarithmic axes."]
    for label, line in zip(labels, _check(labels, shares), strict=True):
        parts.append(
            f"{label}: the largest of {len(line):,} is {line[0]:.3g} where equal ones would be {1.0 / len(line):.3g}; "
            f"they count as {1.0 / float(np.sum(line**2)):.3g}."
        )
    return " ".join(parts)


def _check(labels: Sequence[str], shares: Sequence[ArrayLike]) -> list[NDArray[np.float64]]:
    if len(labels) != len(shares):
        raise ShapeError(f"The 'labels' argument must have one entry per line ({len(shares)}). Got {len(labels)}.")
    if not len(labels):
        raise ArgumentError("The 'shares' argument must hold at least one line. Got none.")
    checked = []
    for i, line in enumerate(shares):
        values = np.asarray(line, dtype=np.float64)
        if values.ndim != 1 or len(values) == 0:
            raise ShapeError(f"The 'shares[{i}]' argument must be a vector of shares. Got shape {values.shape}.")
        if not np.isfinite(values).all():
            raise NonFiniteError(f"The 'shares[{i}]' argument must be finite. Got {values[~np.isfinite(values)][0]}.")
        if values.min() < 0.0 or values.max() == 0.0:
            raise ArgumentError(
                f"The 'shares[{i}]' argument must hold shares, none negative and one positive. "
                f"Got {values.min():g} to {values.max():g}."
            )
        checked.append(np.sort(values)[::-1])
    return checked
