"""A scene as a file to take away: the picture of the page on white, in PNG or SVG, and its table as CSV."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from assembly.explorer.scene import Scene, SceneLayer
from assembly.plots import style

_DOTS_PER_INCH = 200
_STEP, _HEIGHT, _HEAD, _FOOT = 1.5, 3.6, 1.1, 0.15  # inches: from layer to layer, of the layers, above and below them
_LEAST_WIDTH = 4.5
_ROOM = 0.6  # of a step, for a layer
_ONE_COLUMN = 16  # neurons
_PER_PIXEL = 0.75  # points


@dataclass(frozen=True)
class _Box:
    """Where a layer stands, and the centres of its items, in inches."""

    left: float
    right: float
    bottom: float
    top: float
    width: float
    height: float
    centres: tuple[tuple[float, float], ...]


def saved(scene: Scene, form: str) -> bytes:
    """Return a scene as the contents of a file.

    Parameters
    ----------
    scene : Scene
    form : str
        "png", "svg" or "csv".

    Notes
    -----
    Cost: a fraction of a second, whatever the width.

    Examples
    --------
    >>> import assembly as am
    >>> from assembly.explorer.scene import scene
    >>> found = scene(am.mlp(n_inputs=2, widths=[3], seed=0), [1.0, -0.5], "value")
    >>> saved(found, "csv").decode().splitlines()[:2]
    ['layer,neurons,largest,at neuron,mean', 'inputs,input 0,1,0,1']
    >>> saved(found, "png")[1:4], saved(found, "svg")[:5]
    (b'PNG', b'<?xml')
    """
    if form == "csv":
        return _csv(scene)
    with style.look():
        figure = _figure(scene)
        if form == "svg":
            return style.to_svg(figure, title="An assembly", description=scene.description).encode()
        buffer = io.BytesIO()
        metadata = {"Description": scene.description, "Software": None}
        figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata=metadata)
        return buffer.getvalue()


def _figure(scene: Scene) -> Figure:
    width = max(_STEP * len(scene.layers), _LEAST_WIDTH)
    figure = Figure(figsize=(width, _HEAD + _HEIGHT + _FOOT))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(0.0, width), ylim=(0.0, _HEAD + _HEIGHT + _FOOT))
    axes.set_axis_off()
    step = width / len(scene.layers)
    boxes = [_box(layer, step * i, step) for i, layer in enumerate(scene.layers)]
    _draw_edges(axes, scene, boxes)
    for i, (layer, box) in enumerate(zip(scene.layers, boxes, strict=True)):
        _draw_layer(axes, layer, box)
        size, _, kinds = layer.subtitle.partition(" ")
        middle = step * (i + 0.5)
        for k, (text, colour) in enumerate(((layer.title, style.INK), (size, style.FAINT), (kinds, style.FAINT))):
            axes.text(middle, _FOOT + _HEIGHT + 0.35 - 0.13 * k, text, ha="center", fontsize=7.5, color=colour)
    _draw_legend(axes, scene, width)
    return figure


def _box(layer: SceneLayer, left: float, step: float) -> _Box:
    n, room = len(layer.items), _ROOM * step
    is_column = layer.form == "neurons" and n <= _ONE_COLUMN
    columns = 1 if is_column else min(max(round(math.sqrt(n * room / _HEIGHT)), 1), n)
    rows = math.ceil(n / columns)
    largest = math.inf if layer.form == "strip" else 0.45
    width, height = min(room / columns, largest), min(_HEIGHT / rows, largest)
    start = left + (step - width * columns) / 2.0
    top = _FOOT + (_HEIGHT + height * rows) / 2.0
    centres = tuple((start + (k % columns + 0.5) * width, top - (k // columns + 0.5) * height) for k in range(n))
    return _Box(start, start + width * columns, top - height * rows, top, width, height, centres)


def _draw_layer(axes: Axes, layer: SceneLayer, box: _Box) -> None:
    colours = [item.light for item in layer.items]
    if layer.form == "neurons":
        diameter = 72.0 * 0.76 * min(box.width, box.height)
        x, y = zip(*box.centres, strict=True)
        axes.scatter(x, y, s=diameter**2, c=colours, edgecolors=style.FAINT, linewidths=0.6, zorder=3)
        return
    corners = [(x - box.width / 2.0, y - box.height / 2.0) for x, y in box.centres]
    cells = [Rectangle(corner, box.width, box.height) for corner in corners]
    axes.add_collection(PatchCollection(cells, facecolors=colours, edgecolors=colours, linewidths=0.2, zorder=3))
    outline = Rectangle((box.left, box.bottom), box.right - box.left, box.top - box.bottom)
    axes.add_collection(PatchCollection([outline], facecolors="none", edgecolors=style.FAINT, zorder=4))


def _draw_edges(axes: Axes, scene: Scene, boxes: list[_Box]) -> None:
    for band in scene.bands:
        one, other = boxes[band.source], boxes[band.target]
        corners = [(one.right, one.top), (other.left, other.top), (other.left, other.bottom), (one.right, one.bottom)]
        axes.add_patch(Polygon(corners, closed=True, facecolor=style.FAINT, alpha=0.16, linewidth=0.0, zorder=1))
    lines = [[boxes[i].centres[k] for i, k in (edge.source, edge.target)] for edge in scene.edges]
    widths = [_PER_PIXEL * float(edge.width) for edge in scene.edges]
    colours = [edge.light for edge in scene.edges]
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=widths, alpha=0.5, zorder=2))


def _draw_legend(axes: Axes, scene: Scene, width: float) -> None:
    top = _FOOT + _HEIGHT + _HEAD
    axes.text(0.1, top - 0.22, f"{scene.legend.title}:", fontsize=8.5, color=style.INK)
    note = " ".join(text for text in (scene.legend.note, scene.edges_note) if text)
    for k, line in enumerate(wrap(note, int(width * 17))[:2]):
        axes.text(0.1, top - 0.53 - 0.13 * k, line, fontsize=7.0, color=style.FAINT)
    (first, *_), (last, *_) = scene.legend.stops[0], scene.legend.stops[-1]
    start = 0.12 + 0.065 * len(first)
    axes.text(0.1, top - 0.385, first, fontsize=7.0, color=style.FAINT)
    for k, (_, light, _) in enumerate(scene.legend.stops):
        axes.add_patch(Rectangle((start + 0.13 * k, top - 0.4), 0.13, 0.1, facecolor=light, linewidth=0.0))
    axes.text(start + 0.13 * len(scene.legend.stops) + 0.04, top - 0.385, last, fontsize=7.0, color=style.FAINT)


def _csv(scene: Scene) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(scene.table.heading)
    writer.writerows(scene.table.rows)
    return text.getvalue().encode()
