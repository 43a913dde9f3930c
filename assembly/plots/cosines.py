"""Histograms of cosines between the gradients of neurons, one per layer or width."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from assembly.errors import ArgumentError, ShapeError
from assembly.plots import style

_HEIGHT = 0.85  # of one histogram, in inches


def draw_cosines(
    labels: Sequence[str], counts: Sequence[ArrayLike], edges: Sequence[ArrayLike], rms: Sequence[float]
) -> Figure:
    """Draw one histogram under the other over a common axis, each to its own height.

    A mark on either side of 0 shows the root mean square. Gradients that are orthogonal by construction are one bar
    at 0.

    Parameters
    ----------
    labels : sequence of str
        One per histogram.
    counts : sequence of array_like of shape (n_bins,)
    edges : sequence of array_like of shape (n_bins + 1,)
    rms : sequence of float
        Root mean square cosines.

    Returns
    -------
    matplotlib.figure.Figure
        Write it with `assembly.plots.style.to_svg`.

    Raises
    ------
    ShapeError, ArgumentError
        If the arguments do not fit together, there is no histogram, or one counts nothing.

    Examples
    --------
    >>> figure = draw_cosines(["layer 2"], [[1, 4, 1]], [[-0.3, -0.1, 0.1, 0.3]], [0.1])
    >>> len(figure.axes)
    1
    """
    histograms = _check(labels, counts, edges, rms)
    reach = min(1.0, max(_reach(*one) for one in histograms))
    with style.look():
        figure = Figure(figsize=(4.6, 0.85 + _HEIGHT * len(labels)))
        rows = figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0].tolist()
        inches = 0.85 + _HEIGHT * len(labels)
        figure.subplots_adjust(left=0.03, right=0.97, top=1.0 - 0.38 / inches, bottom=0.45 / inches, hspace=0.12)
        for i, (axes, (numbers, bounds)) in enumerate(zip(rows, histograms, strict=True)):
            tone = style.colour(i)
            if _reach(numbers, bounds) == 0.0:
                numbers, bounds = np.ones(1, dtype=np.int64), np.array([-0.004, 0.004]) * (reach or 1.0)
            density = numbers / (np.diff(bounds) * numbers.sum())
            axes.stairs(density / density.max(), bounds, color=tone, fill=True, alpha=0.3, linewidth=0)
            axes.stairs(density / density.max(), bounds, color=tone, linewidth=1.1)
            if rms[i] > 0.0:
                axes.plot(
                    [-rms[i], rms[i]],
                    [0.0, 0.0],
                    "|",
                    color=style.INK,
                    markersize=11,
                    markeredgewidth=1.4,
                    clip_on=False,
                )
            axes.text(0.0, 0.95, labels[i], transform=axes.transAxes, va="top", fontsize=8.5, color=style.INK)
            axes.text(1.0, 0.95, _rms_text(rms[i]), transform=axes.transAxes, va="top", ha="right", fontsize=8.5)
            axes.set_ylim(0.0, 1.45)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.grid(axis="y", visible=False)
        rows[0].set_title("cosines between gradients of neurons; marks: root mean square", fontsize=9.0)
        rows[-1].set_xlim(*(np.array([-1.05, 1.05]) * (reach or 1.0)))
        rows[-1].set_xlabel("cosine")
    return figure


def describe_cosines(
    labels: Sequence[str], counts: Sequence[ArrayLike], edges: Sequence[ArrayLike], rms: Sequence[float]
) -> str:
    """Say in words what `draw_cosines` shows, as a text alternative of the picture.

    Examples
    --------
    >>> describe_cosines(["layer 2"], [[1, 4, 1]], [[-0.3, -0.1, 0.1, 0.3]], [0.1])
    'Histograms of cosines between gradients of neurons. layer 2: from -0.3 to 0.3, root mean square 0.1.'
    """
    parts = ["Histograms of cosines between gradients of neurons."]
    for label, (numbers, bounds), one in zip(labels, _check(labels, counts, edges, rms), rms, strict=True):
        filled = np.flatnonzero(numbers)
        if _reach(numbers, bounds) == 0.0:
            parts.append(f"{label}: all exactly 0.")
            continue
        parts.append(
            f"{label}: from {bounds[filled[0]]:.2g} to {bounds[filled[-1] + 1]:.2g}, root mean square {one:.3g}."
        )
    return " ".join(parts)


def _rms_text(rms: float) -> str:
    return "exactly 0" if rms == 0.0 else f"rms {rms:.2g}"


def _reach(counts: NDArray[np.int64], edges: NDArray[np.float64]) -> float:
    """Return the largest magnitude of a filled bin; 0 if only the one around 0 is filled."""
    filled = np.flatnonzero(counts)
    if len(filled) == 1 and edges[filled[0]] < 0.0 < edges[filled[0] + 1]:
        return 0.0
    return float(max(-edges[filled[0]], edges[filled[-1] + 1]))


def _check(
    labels: Sequence[str], counts: Sequence[ArrayLike], edges: Sequence[ArrayLike], rms: Sequence[float]
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    if not len(labels):
        raise ArgumentError("The 'counts' argument must hold at least one histogram. Got none.")
    for name, given in (("counts", counts), ("edges", edges), ("rms", rms)):
        if len(given) != len(labels):
            raise ShapeError(f"The '{name}' argument must have one entry per label ({len(labels)}). Got {len(given)}.")
    checked = []
    for i, (number, bound) in enumerate(zip(counts, edges, strict=True)):
        numbers, bounds = np.asarray(number, dtype=np.int64), np.asarray(bound, dtype=np.float64)
        if numbers.ndim != 1 or bounds.shape != (len(numbers) + 1,):
            raise ShapeError(
                f"The 'edges[{i}]' argument must have one entry more than 'counts[{i}]', of shape {numbers.shape}. "
                f"Got shape {bounds.shape}."
            )
        if not numbers.any():
            raise ArgumentError(f"The 'counts[{i}]' argument must count something. Got zeros.")
        checked.append((numbers, bounds))
    return checked
