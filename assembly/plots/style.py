"""One look for every picture: colours, markers, lines and a writer of SVG that gives the same bytes every time."""

from __future__ import annotations

import io
import math
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import matplotlib
import matplotlib.style
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK = "#1f2328"
FAINT = "#6a737d"
GRID = "#e3e6ea"
PAPER = "#ffffff"
#: Colours of M. Okabe and K. Ito (2008), told apart by all colour vision; without the yellow, too pale in print
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES: tuple[Any, ...] = ("-", (0, (7, 1.5)), (0, (1.2, 1.2)), (0, (7, 1.5, 1.2, 1.5)), (0, (3.5, 1.2)), (0, (9, 3)))
REFERENCE_LINE: Any = (0, (3, 2.2))

_THEME = {INK: "ink", FAINT: "faint", GRID: "grid", PAPER: "paper"} | {
    colour: f"series-{i + 1}" for i, colour in enumerate(COLOURS)
}
_SETTINGS: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "mathtext.fontset": "dejavusans",
    "text.color": INK,
    "figure.facecolor": PAPER,
    "savefig.facecolor": "auto",
    "axes.facecolor": "none",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.5,
    "svg.hashsalt": "assembly",
    "svg.fonttype": "path",
    "path.simplify": False,
}
_LOCK = threading.RLock()


@contextmanager
def look() -> Iterator[None]:
    """Hold matplotlib's settings at this look, whatever a user's matplotlibrc says, and put them back after.

    matplotlib reads its settings when an artist is made, so pictures are both built and written inside. The settings
    are global to the process; a lock keeps two threads from mixing them. pyplot is never touched.
    """
    with _LOCK, matplotlib.style.context(["default", _SETTINGS]):
        yield


def colour(index: int) -> str:
    """Colour of series `index`, repeating after the sixth."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """Marker of series `index`, repeating after the sixth."""
    return MARKERS[index % len(MARKERS)]


def line(index: int) -> Any:
    """Line style of series `index`, repeating after the sixth."""
    return LINES[index % len(LINES)]


def to_svg(figure: Figure, *, title: str, description: str) -> str:
    """Write a figure as an SVG document with a text alternative; the same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Built under `look`.
    title : str
        Short text alternative.
    description : str
        What the picture shows, for someone who cannot see it.

    Returns
    -------
    str
        An SVG document without date, random identifiers, metadata, fonts or any outside address but its name spaces.
    """
    buffer = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with look():
        FigureCanvasSVG(figure)
        figure.savefig(buffer, format="svg", metadata=metadata)
    text = buffer.getvalue()
    body = (
        text[text.index("<svg") :]
        .replace("xlink:href", "href")
        .replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    )
    head, rest = body.split(">", 1)
    opening = f'{" ".join(head.split())} role="img" aria-label={quoteattr(title)}>'
    texts = f" <title>{escape(title)}</title>\n <desc>{escape(description)}</desc>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n{opening}\n{texts}{rest.rstrip()}\n'


def inline(svg: str, prefix: str) -> str:
    """Turn a document of `to_svg` into an element for a web page: own identifiers, colours of the page's theme.

    Parameters
    ----------
    svg : str
        From `to_svg`.
    prefix : str
        Put before every identifier, so that several pictures in one page do not share any.

    Returns
    -------
    str
        An ``<svg>`` element; each colour of this module becomes ``var(--name, colour)``, background transparent.
    """
    element = svg[svg.index("<svg") :].replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)
    element = re.sub(r'\bid="', f'id="{prefix}-', element)
    element = element.replace('href="#', f'href="#{prefix}-').replace("url(#", f"url(#{prefix}-")
    element = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", element, count=1)
    element = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", element, count=1)
    element = re.sub(r"\s*<style.*?</style>", "", element, count=1, flags=re.DOTALL)
    element = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", element)).strip()
    for plain, name in _THEME.items():
        element = element.replace(plain, f"var(--{name}, {plain})")
    return element


def number_text(value: float) -> str:
    """Return a positive number for an axis: plain between 0.001 and 10000, else with a power of ten.

    Examples
    --------
    >>> number_text(0.02), number_text(500.0), number_text(2e-05), number_text(1e6)
    ('0.02', '500', '2·10⁻⁵', '10⁶')
    """
    if 1e-3 <= abs(value) < 1e4 or value == 0.0:
        return f"{value:.4g}"
    mantissa, exponent = f"{value:.3e}".split("e")
    power = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    front = f"{float(mantissa):g}"
    return power if front == "1" else f"{front}·{power}"


def log_ticks(low: float, high: float, n_wanted: int = 4) -> list[float]:
    """Choose round numbers for a logarithmic axis from `low` to `high`, about `n_wanted` of them and at least two.

    Examples
    --------
    >>> [number_text(tick) for tick in log_ticks(0.03, 0.9)]
    ['0.05', '0.1', '0.2', '0.5']
    >>> [number_text(tick) for tick in log_ticks(1.0, 1.0e6)]
    ['1', '100', '10⁴', '10⁶']
    """
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    ladders: list[tuple[tuple[float, ...], int]] = [((1.0,), 5), ((1.0,), 3), ((1.0,), 2), ((1.0,), 1), ((1.0, 3.0), 1)]
    ladders += [((1.0, 2.0, 5.0), 1), ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), 1), (tuple(1 + 0.2 * i for i in range(45)), 1)]
    ladders += [(tuple(1 + 0.05 * i for i in range(180)), 1), (tuple(1 + 0.01 * i for i in range(900)), 1)]
    for steps, stride in ladders:
        decades: Sequence[int] = [k for k in range(first, last + 1) if k % stride == 0]
        ticks = [round(step, 2) * 10.0**k for k in decades for step in steps]
        inside = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(inside) >= n_wanted:
            return inside
    return [low, high]
