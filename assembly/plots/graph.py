"""The assembly as a picture: neurons as dots layer by layer while there are few, strips where there are many."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle
from numpy.typing import NDArray

from assembly.checks import check_counts
from assembly.errors import ArgumentError, NonFiniteError, ShapeError
from assembly.plots import style

LARGEST_LAYER_OF_DOTS = 24
_N_BINS = 48
_HALF_STRIP = 0.11
_SMALLEST_AREA = 0.06  # of a dot, or width of a piece of a strip, relative to the largest


def draw_assembly(
    layers: Sequence[int],
    values: Sequence[Sequence[float] | None] | None = None,
    areas: Sequence[Sequence[float] | None] | None = None,
    *,
    names: Sequence[str] | None = None,
    counts: Sequence[str] | None = None,
    title: str = "",
    values_name: str = "",
    areas_name: str = "",
) -> Figure:
    """Draw a layered assembly, inputs on the left, output on the right.

    A layer of at most 24 neurons shows each as a dot and each edge between two such layers as a line. A wider one is a
    strip, and a shaded fan stands for its edges. What is drawn never grows with the square of the width.

    Parameters
    ----------
    layers : sequence of int
        Number of neurons in each layer, inputs first, output last; at least one layer.
    values : sequence of (sequence of float or None), optional
        One number per neuron, for its colour; None for a layer without. A strip is cut into at most 48 pieces and each
        takes its **largest** value, so that one dominating neuron stays visible at any width.
    areas : sequence of (sequence of float or None), optional
        One number of at least 0 per neuron, for the area of its dot, relative to the largest of the layer. A piece of a
        strip is as wide as its **largest** one tells.
    names : sequence of str, optional
        Text under each layer; default "inputs", "layer 1", ..., "output".
    counts : sequence of str, optional
        Text above each layer; default the number of neurons.
    title : str
        Above the picture.
    values_name : str
        What the colours mean, beside their scale.
    areas_name : str
        What the areas mean, beneath the picture.

    Returns
    -------
    matplotlib.figure.Figure
        Write it with `assembly.plots.style.to_svg`.

    Raises
    ------
    ArgumentError
        If a layer has no neuron, or an area is negative.
    ShapeError
        If `values`, `areas`, `names` or `counts` do not match `layers`.
    NonFiniteError
        If a value or an area is NaN or infinite.

    Examples
    --------
    >>> figure = draw_assembly([3, 4, 1], [None, [0.1, 0.2, 0.3, 0.4], None], values_name="share")
    >>> len(figure.axes)
    2
    """
    sizes = check_counts("layers", layers)
    shown, spread = _check_values("values", sizes, values), _check_values("areas", sizes, areas)
    under = _check_texts("names", sizes, names, _default_names(len(sizes)))
    over = _check_texts("counts", sizes, counts, [str(size) for size in sizes])
    for i, area in enumerate(spread):
        if area is not None and area.min() < 0.0:
            raise ArgumentError(f"The 'areas[{i}]' argument must hold no negative number. Got {area.min():g}.")
    has_values = any(value is not None for value in shown)
    everything = np.concatenate([value for value in shown if value is not None]) if has_values else np.zeros(1)
    high = float(everything.max())
    norm = Normalize(min(0.0, float(everything.min())), high if high > 0.0 else 1.0)
    with style.look():
        figure = Figure(figsize=(0.95 * len(sizes) + (0.9 if has_values else 0.25), 2.5))
        axes = figure.add_axes((0.01, 0.02, 0.8 if has_values else 0.98, 0.87 if title else 0.96))
        axes.set_axis_off()
        axes.set_xlim(-0.55, len(sizes) - 0.45)
        axes.set_ylim(-0.29, 1.18)
        for i in range(len(sizes) - 1):
            _draw_edges(axes, i, sizes[i], sizes[i + 1])
        for i, (size, value, area) in enumerate(zip(sizes, shown, spread, strict=True)):
            _draw_layer(
                axes, i, size, None if value is None else colormaps["cividis"](norm(value)), value, _scaled(area)
            )
            axes.text(i, 1.08, over[i], ha="center", va="bottom", fontsize=8.5, color=style.INK)
            axes.text(i, -0.1, under[i], ha="center", va="top", fontsize=8.0, color=style.INK)
        if title:
            figure.text(0.02, 0.97, title, ha="left", va="top", fontsize=10.0, color=style.INK)
        if areas_name:
            axes.text(-0.5, -0.21, areas_name, ha="left", va="top", fontsize=7.5, color=style.FAINT)
        if has_values:
            bar = figure.add_axes((0.86, 0.18, 0.022, 0.6))
            figure.colorbar(ScalarMappable(norm, "cividis"), cax=bar, label=values_name)
            bar.grid(visible=False)
    return figure


def describe_assembly(
    layers: Sequence[int],
    *,
    names: Sequence[str] | None = None,
    counts: Sequence[str] | None = None,
    title: str = "",
) -> str:
    """Say in words what `draw_assembly` shows, as a text alternative of the picture.

    Examples
    --------
    >>> describe_assembly([64, 512, 1], title="network")
    'network, a layered assembly from left to right: inputs 64, layer 1 512, output 1.'
    """
    sizes = check_counts("layers", layers)
    under = _check_texts("names", sizes, names, _default_names(len(sizes)))
    over = _check_texts("counts", sizes, counts, [str(size) for size in sizes])
    parts = ", ".join(" ".join(f"{name} {count}".split()) for name, count in zip(under, over, strict=True))
    return f"{title + ', a' if title else 'A'} layered assembly from left to right: {parts}."


def _default_names(n_layers: int) -> list[str]:
    if n_layers == 1:
        return ["inputs"]
    return ["inputs", *(f"layer {i}" for i in range(1, n_layers - 1)), "output"]


def _check_texts(argument: str, sizes: Sequence[int], given: Sequence[str] | None, default: list[str]) -> list[str]:
    if given is None:
        return default
    if len(given) != len(sizes):
        raise ShapeError(f"The '{argument}' argument must have one entry per layer ({len(sizes)}). Got {len(given)}.")
    return [str(text) for text in given]


def _check_values(
    argument: str, sizes: Sequence[int], values: Sequence[Sequence[float] | None] | None
) -> list[NDArray[np.float64] | None]:
    if values is None:
        return [None] * len(sizes)
    if len(values) != len(sizes):
        raise ShapeError(f"The '{argument}' argument must have one entry per layer ({len(sizes)}). Got {len(values)}.")
    checked: list[NDArray[np.float64] | None] = []
    for i, (size, layer) in enumerate(zip(sizes, values, strict=True)):
        if layer is None:
            checked.append(None)
            continue
        array = np.asarray(layer, dtype=np.float64)
        if array.shape != (size,):
            raise ShapeError(f"The '{argument}[{i}]' argument must have shape ({size},). Got shape {array.shape}.")
        if not np.isfinite(array).all():
            raise NonFiniteError(f"The '{argument}[{i}]' argument must be finite. Got {array[~np.isfinite(array)][0]}.")
        checked.append(array)
    return checked


def _scaled(areas: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Areas relative to the largest, none so small that its dot is lost."""
    if areas is None:
        return None
    return np.maximum(areas / (areas.max() or 1.0), _SMALLEST_AREA)


def _heights(size: int) -> NDArray[np.float64]:
    """Where the dots of a layer stand, top to bottom, centred: full height from 12 neurons on."""
    reach = min(1.0, (size - 1) / 11.0) / 2.0
    return 0.5 + np.linspace(reach, -reach, size) if size > 1 else np.array([0.5])


def _extent(size: int) -> tuple[float, float]:
    heights = _heights(min(size, LARGEST_LAYER_OF_DOTS))
    return float(heights[-1]), float(heights[0])


def _half_width(size: int) -> float:
    return 0.0 if size <= LARGEST_LAYER_OF_DOTS else _HALF_STRIP


def _draw_edges(axes: Axes, i: int, left: int, right: int) -> None:
    if max(left, right) <= LARGEST_LAYER_OF_DOTS:
        segments = [[(i, a), (i + 1, b)] for a in _heights(left) for b in _heights(right)]
        fade = 0.55 / (1.0 + math.log10(len(segments)))
        axes.add_collection(LineCollection(segments, colors=style.FAINT, linewidths=0.6, alpha=fade, zorder=1))
        return
    (low_left, high_left), (low_right, high_right) = _extent(left), _extent(right)
    x_left, x_right = i + _half_width(left), i + 1 - _half_width(right)
    fan = [(x_left, low_left), (x_left, high_left), (x_right, high_right), (x_right, low_right)]
    axes.add_patch(Polygon(fan, closed=True, facecolor=style.FAINT, alpha=0.16, linewidth=0, zorder=1))


def _draw_layer(
    axes: Axes,
    i: int,
    size: int,
    tones: NDArray[np.float64] | None,
    values: NDArray[np.float64] | None,
    areas: NDArray[np.float64] | None,
) -> None:
    plain = style.COLOURS[0]
    if size <= LARGEST_LAYER_OF_DOTS:
        heights = _heights(size)
        axes.scatter(
            np.full(size, i),
            heights,
            s=(70.0 if size <= 12 else 28.0) * (np.ones(size) if areas is None else areas),
            c=[plain] if tones is None else tones,
            edgecolors=style.INK if tones is not None else style.PAPER,
            linewidths=0.6,
            zorder=3,
        )
        return
    low, high = _extent(size)
    box = (i - _HALF_STRIP, low)
    if tones is None or values is None:
        rounded = "round,pad=0,rounding_size=0.045"
        axes.add_patch(
            FancyBboxPatch(box, 2 * _HALF_STRIP, high - low, boxstyle=rounded, facecolor=plain, linewidth=0, zorder=2)
        )
        return
    if areas is not None:
        axes.add_patch(Rectangle(box, 2 * _HALF_STRIP, high - low, facecolor=style.PAPER, linewidth=0, zorder=2))
    pieces = np.array_split(np.arange(size), min(_N_BINS, size))
    step = (high - low) / len(pieces)
    for k, piece in enumerate(pieces):
        top = high - (k + 1) * step
        tone = tones[piece[np.argmax(values[piece])]]
        half = _HALF_STRIP * (1.0 if areas is None else float(areas[piece].max()))
        axes.add_patch(Rectangle((i - half, top), 2 * half, step, facecolor=tone, linewidth=0, zorder=2))
    outline = Rectangle(
        box, 2 * _HALF_STRIP, high - low, facecolor="none", edgecolor=style.INK, linewidth=0.6, zorder=3
    )
    axes.add_patch(outline)
