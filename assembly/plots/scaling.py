"""A quantity against width on logarithmic axes: replicates, medians, fitted power, prediction, local slopes beneath."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from assembly.checks import check_counts
from assembly.diagnostics.verdict import Bound, Claim, beside_bound, exponent_text, signed
from assembly.errors import ArgumentError, ShapeError
from assembly.plots import style

if TYPE_CHECKING:
    from assembly.diagnostics.rates import Rate

_FEWEST_OF_A_FULL_PICTURE = 3  # lines that fan out leave no corner for a legend
_HEIGHT_OF_A_WORD = 0.065  # of an entry of the legend, beside the height of the axes


@dataclass(frozen=True)
class Fit:
    """A fitted power law, as plain numbers; sequences run over the widths, local ones over the gaps between them."""

    exponent: float
    lower: float
    upper: float
    line: Sequence[float]
    line_lower: Sequence[float]
    line_upper: Sequence[float]
    local_slopes: Sequence[float]
    local_lower: Sequence[float]
    local_upper: Sequence[float]

    @classmethod
    def of(cls, rate: Rate) -> Fit:
        """Return what the picture needs of a rate.

        Examples
        --------
        >>> from assembly.diagnostics.rates import fit_rate
        >>> round(Fit.of(fit_rate([1, 2, 4, 16], [[16.0] * 3, [8.0] * 3, [4.0] * 3, [1.0] * 3])).line[0], 12)
        16.0
        """
        line = (rate.fitted, rate.fit_lower, rate.fit_upper)
        local = (rate.local_slopes, rate.local_lower, rate.local_upper)
        return cls(rate.exponent, rate.lower, rate.upper, *line, *local)


@dataclass(frozen=True)
class Series:
    """One architecture in the picture.

    Attributes
    ----------
    label : str
        Shown in the legend.
    widths : sequence of int
        Ascending.
    replicates : sequence of sequences of float
        One per width; values that are NaN or not positive have no place on a logarithmic axis and are left out.
    fit : Fit, optional
        Without one the dots and medians are drawn alone.
    claim : Claim or Bound, optional
        A predicted exponent is drawn dashed, through the middle of the fit; a bound dashed where it stands, if above 0,
        and the side that breaks it grey.
    look : int, optional
        Which colour, marker and line of `assembly.plots.style`; default the place in the sequence. Give it to keep the
        look of an architecture from picture to picture.
    """

    label: str
    widths: Sequence[int]
    replicates: Sequence[Sequence[float]]
    fit: Fit | None = None
    claim: Claim | Bound | None = None
    look: int | None = None


def draw_scaling(series: Sequence[Series], *, name: str, x_name: str = "width $m$") -> Figure:
    """Draw one quantity of one or more architectures against width.

    Faint dots are replicates, large markers medians, the line is the fitted power with its bootstrap band. The dashed
    line has the predicted slope, or is the claimed bound, grey beyond. Beneath, the slope between each pair of
    neighbouring widths with its interval, the fitted exponent as a line with its interval, and the bands of the
    predictions.

    Parameters
    ----------
    series : sequence of Series
        At least one with a positive value at two widths or more.
    name : str
        The quantity; mathematics between dollar signs is typeset.
    x_name : str
        Label of the horizontal axis.

    Returns
    -------
    matplotlib.figure.Figure
        4.6 by 4.5 inches. Write it with `assembly.plots.style.to_svg`.

    Raises
    ------
    ArgumentError
        If there is no series, or nothing in it can stand on a logarithmic axis.
    ShapeError
        If a series has not one list of replicates per width.

    Examples
    --------
    >>> figure = draw_scaling([Series("network", [16, 64, 256], [[1.0, 1.1], [0.5, 0.6], [0.25, 0.3]])], name="$|H|$")
    >>> len(figure.axes)
    1
    """
    _check(series)
    has_fit = any(one.fit is not None for one in series)
    with style.look():
        figure = Figure(figsize=(4.6, 4.5 if has_fit else 3.3))
        if has_fit:
            above, below = figure.subplots(
                2, 1, sharex=True, gridspec_kw={"height_ratios": (3.0, 1.25), "hspace": 0.2}
            ).tolist()
            figure.subplots_adjust(left=0.135, right=0.985, top=0.925, bottom=0.1)
            _draw_values(above, series)
            _draw_local_slopes(below, series)
        else:
            above = below = figure.subplots()
            figure.subplots_adjust(left=0.135, right=0.985, top=0.9, bottom=0.135)
            _draw_values(above, series)
        above.set_title(name, pad=8.0)
        below.set_xlabel(x_name)
        widths = sorted({int(width) for one in series for width in one.widths})
        below.set_xscale("log")
        below.set_xlim(widths[0] / 1.22, widths[-1] * 1.22)
        below.xaxis.set_major_locator(FixedLocator(widths))
        below.xaxis.set_major_formatter(FixedFormatter(_thinned([f"{width}" for width in widths])))
        below.xaxis.set_minor_locator(NullLocator())
    return figure


def describe_scaling(series: Sequence[Series], *, name: str, x_name: str = "width") -> str:
    """Say in words what `draw_scaling` shows, as a text alternative of the picture.

    Parameters
    ----------
    series : sequence of Series
    name, x_name : str
        The quantity and what it is shown against, in words.

    Examples
    --------
    >>> describe_scaling([Series("network", [16, 64], [[1.0, 1.0], [0.5, float("nan")]])], name="||H||").split(". ")[1]
    'network: the median goes from 1 at width 16 to 0.5 at width 64; no exponent fitted.'
    """
    parts = [f"{name} against the {x_name}, logarithmic axes."]
    for one in series:
        medians = _medians(one)
        if not medians:
            parts.append(f"{one.label}: no positive value to show.")
            continue
        (first, start), (last, end) = medians[0], medians[-1]
        text = f"{one.label}: the median goes from {start:.3g} at {x_name} {first} to {end:.3g} at {x_name} {last}; "
        if isinstance(one.claim, Bound):
            values = [value for row in one.replicates for value in row if math.isfinite(value)]
            text += (
                f"claimed {one.claim.text}, found {beside_bound(min(values), one.claim)} to "
                f"{beside_bound(max(values), one.claim)}; "
            )
        if one.fit is None:
            text += "no exponent fitted."
        else:
            fit = one.fit
            text += f"fitted exponent {signed(fit.exponent)} [{signed(fit.lower)}, {signed(fit.upper)}]"
            text += f", predicted {exponent_text(one.claim.prediction)}." if isinstance(one.claim, Claim) else "."
            text += f" From width to width {', '.join(signed(slope) for slope in fit.local_slopes)}."
        parts.append(text)
    return " ".join(parts)


def _check(series: Sequence[Series]) -> None:
    if not series:
        raise ArgumentError("The 'series' argument must hold at least one series. Got none.")
    for one in series:
        check_counts("widths", one.widths)
        if len(one.replicates) != len(one.widths):
            raise ShapeError(
                f"The 'replicates' of {one.label!r} must have one entry per width ({len(one.widths)}). "
                f"Got {len(one.replicates)}."
            )
    if not any(_medians(one) for one in series):
        raise ArgumentError("Nothing to draw: no series has a positive finite value, and the axes are logarithmic.")


def _positive(values: Sequence[float]) -> list[float]:
    return [float(value) for value in values if math.isfinite(value) and value > 0.0]


def _medians(one: Series) -> list[tuple[int, float]]:
    kept = [(int(width), _positive(values)) for width, values in zip(one.widths, one.replicates, strict=True)]
    return [(width, float(np.median(values))) for width, values in kept if values]


def _draw_values(axes: Axes, series: Sequence[Series]) -> None:
    axes.set_yscale("log")
    everything = []
    for place, one in enumerate(series):
        i = place if one.look is None else one.look
        tone = style.colour(i)
        dots = [
            (
                width * 1.07 ** (2.0 * (k + 0.5) / len(row) - 1.0),
                value,
            )  # spread sideways, so that equal values stay apart
            for width, row in zip(one.widths, map(_positive, one.replicates), strict=True)
            for k, value in enumerate(row)
        ]
        medians = _medians(one)
        everything += [value for _, value in dots]
        if one.fit is not None:
            axes.fill_between(one.widths, one.fit.line_lower, one.fit.line_upper, color=tone, alpha=0.16, linewidth=0)
            axes.plot(one.widths, one.fit.line, color=tone, linestyle=style.line(i))
            everything += [*one.fit.line_lower, *one.fit.line_upper]
        if one.fit is not None and isinstance(one.claim, Claim):
            x = np.log(np.asarray(one.widths, dtype=np.float64))
            centre = float(np.mean(np.log(one.fit.line)))
            reference = np.exp(centre + one.claim.prediction * (x - x.mean()))
            axes.plot(one.widths, reference, color=style.INK, linestyle=style.REFERENCE_LINE, linewidth=1.0)
        if dots:
            axes.plot(
                *zip(*dots, strict=True), style.marker(i), color=tone, alpha=0.35, markersize=2.8, markeredgewidth=0
            )
            axes.plot(
                *zip(*medians, strict=True),
                style.marker(i),
                color=tone,
                markersize=5.5,
                markeredgecolor=style.PAPER,
                markeredgewidth=0.8,
            )
        axes.plot(
            [], [], color=tone, marker=style.marker(i), linestyle=style.line(i), markersize=5, label=_legend_text(one)
        )
    predictions = {one.claim.prediction for one in series if isinstance(one.claim, Claim) and one.fit is not None}
    if predictions:
        slopes = ", ".join(exponent_text(value) for value in sorted(predictions))
        label = f"predicted slope {slopes}".replace("-", "−")
        axes.plot([], [], color=style.INK, linestyle=style.REFERENCE_LINE, linewidth=1.0, label=label)
    bounds = list(dict.fromkeys(one.claim for one in series if isinstance(one.claim, Bound)))
    for bound in bounds:
        everything += _positive([limit for limit in (bound.at_least, bound.at_most) if limit is not None])
    _set_value_range(axes, everything, series)
    _draw_bounds(axes, bounds)
    is_full = len(series) >= _FEWEST_OF_A_FULL_PICTURE
    axes.legend(loc="lower left" if is_full else "best", handlelength=2.8, labelspacing=0.35)


def _draw_bounds(axes: Axes, bounds: Sequence[Bound]) -> None:
    """Draw every bound that is above 0 as a line, the side that breaks it grey; at or below 0 it has no place here."""
    low, high = axes.get_ylim()
    for bound in bounds:
        for limit, edge in ((bound.at_least, low), (bound.at_most, high)):
            if limit is not None and limit > 0.0:
                axes.axhspan(min(limit, edge), max(limit, edge), color=style.FAINT, alpha=0.13, linewidth=0)
                axes.axhline(limit, color=style.INK, linestyle=style.REFERENCE_LINE, linewidth=1.0)
    for text in dict.fromkeys(bound.text for bound in bounds):
        label = f"claimed bound: {text}".replace("-", "−")
        axes.plot([], [], color=style.INK, linestyle=style.REFERENCE_LINE, linewidth=1.0, label=label)


def _legend_text(one: Series) -> str:
    if one.fit is None:
        return one.label
    fit = one.fit
    span = f"{signed(fit.exponent)} [{signed(fit.lower)}, {signed(fit.upper)}]".replace("-", "−")
    return f"{one.label}: {span}"


def _set_value_range(axes: Axes, everything: Sequence[float], series: Sequence[Series]) -> None:
    """Show at least the fall of a slope -1/2 over the widths, so that scatter about a flat line looks flat."""
    low, high = min(everything), max(everything)
    widths = [width for one in series for width in one.widths]
    wanted = max(0.5 * math.log(max(widths) / min(widths)), math.log(2.0))
    missing = max(0.0, wanted - math.log(high / low)) / 2.0
    room = 0.06 * max(wanted, math.log(high / low))
    low, high = low * math.exp(-missing - room), high * math.exp(missing + room)
    if len(series) >= _FEWEST_OF_A_FULL_PICTURE:
        words = _HEIGHT_OF_A_WORD * (len(series) + 1)  # the legend stands beneath the lines
        low *= (low / high) ** (words / (1.0 - words))
    axes.set_ylim(low, high)
    ticks = style.log_ticks(low, high)
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FixedFormatter([style.number_text(tick) for tick in ticks]))
    axes.yaxis.set_minor_locator(NullLocator())


def _draw_local_slopes(axes: Axes, series: Sequence[Series]) -> None:
    shown: list[float] = []
    judged = [one.claim for one in series if isinstance(one.claim, Claim) and one.fit is not None]
    claims = {(claim.prediction, claim.band) for claim in judged}
    for prediction, band in sorted(claims):
        axes.axhspan(prediction - band, prediction + band, color=style.FAINT, alpha=0.13, linewidth=0)
        axes.axhline(prediction, color=style.INK, linestyle=style.REFERENCE_LINE, linewidth=1.0)
        shown += [prediction - band, prediction + band]
    for place, one in enumerate(series):
        if one.fit is None:
            continue
        i = place if one.look is None else one.look
        fit, tone = one.fit, style.colour(i)
        shift = 1.045 ** (place - (len(series) - 1) / 2)
        middles = [math.sqrt(a * b) * shift for a, b in zip(one.widths[:-1], one.widths[1:], strict=True)]
        ends = (one.widths[0], one.widths[-1])
        axes.fill_between(ends, fit.lower, fit.upper, color=tone, alpha=0.16, linewidth=0)
        axes.plot(ends, [fit.exponent] * 2, color=tone, linestyle=style.line(i), linewidth=1.0)
        axes.vlines(middles, fit.local_lower, fit.local_upper, color=tone, linewidth=1.1)
        axes.plot(middles, fit.local_slopes, style.marker(i), color=tone, markersize=4.2)
        shown += [*fit.local_lower, *fit.local_upper, fit.lower, fit.upper]
    low, high = min(shown), max(shown)
    room = 0.08 * max(high - low, 0.3)
    axes.set_ylim(low - room, high + room)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.set_title("local slope between neighbouring widths; line: fitted exponent", fontsize=8.0, pad=3.0)
    axes.grid(axis="x", visible=False)


def _thinned(labels: Sequence[str], n_most: int = 9) -> list[str]:
    """Blank out all but every k-th label when there are too many to stand side by side."""
    stride = -(-len(labels) // n_most)
    return [label if (len(labels) - 1 - i) % stride == 0 else "" for i, label in enumerate(labels)]
