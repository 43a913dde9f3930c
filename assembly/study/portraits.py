"""Single networks of a study, drawn over the widths: who contributes, and how diverse the contributors are.

The networks are those of seed 0, built again as they were measured, at the first measured input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from assembly import data as datasets
from assembly.errors import AssemblyError
from assembly.plots import style
from assembly.plots.cosines import describe_cosines, draw_cosines
from assembly.plots.shares import describe_shares, draw_shares
from assembly.study.builders import BUILDERS
from assembly.study.design import Point, point
from assembly.study.pictures import Picture

if TYPE_CHECKING:
    from assembly.diagnostics.dominance import Shares
    from assembly.model import Assembly
    from assembly.study.result import StudyResult
    from assembly.study.specification import ArchitectureSpecification

SHARES_PREFIX, COSINES_PREFIX = "shares-", "cosines-"
PREFIXES = (SHARES_PREFIX, COSINES_PREFIX)
LARGEST_STUDY = 6  # architectures
LARGEST_NETWORK = 2_200_000  # edges: three hidden layers of 1024 neurons on the digits
LARGEST_LAYER = 1024  # neurons whose cosines are counted
N_WIDTHS = 6

Networks = dict[int, "Assembly"]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Portrait(Picture):
    """A picture of one network at each of several widths.

    Attributes
    ----------
    caption : str
        What it shows and how to read it, in words.
    heading : tuple of str
    rows : tuple of tuple of str
        The numbers behind it, one row per width.
    """

    caption: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def draw_portraits(result: StudyResult) -> list[Portrait]:
    """Draw sorted shares and histograms of cosines over the widths, one picture of each for every architecture.

    At most six widths, spread evenly over those whose network of seed 0 was measured and has no more than 2.2 million
    edges. The shares are the gradient shares of that hidden layer of several neurons which has the largest one at the
    widest of them, and a layer of a single neuron is named beside it; the cosines are those of the last layer where a
    study measures them, up to 1024 neurons.

    Parameters
    ----------
    result : StudyResult

    Returns
    -------
    list of Portrait
        Empty for a study of more than six architectures, and where the data cannot be read any more; a network that
        cannot be built or evaluated is left out, and so is a picture of nothing.

    Notes
    -----
    Cost: every network is built once; three passes over its weights for the shares, and two matrix products per layer
    for the cosines.
    """
    specification = result.specification
    if len(specification.architectures) > LARGEST_STUDY or not result.rows:
        return []
    try:
        loaded = datasets.load(specification.data.source, specification.data.target)
        x = datasets.measured_samples(loaded, specification.data.n_measured, specification.data.seed).inputs[0]
    except AssemblyError:
        return []
    portraits = []
    for entry in specification.architectures:
        nets = _networks([point(specification, entry, width, 0, loaded) for width in _widths(result, entry)])
        if nets:
            portraits += [one for one in (_shares(entry.label, nets, x), _cosines(entry.label, nets, x)) if one]
    return portraits


def _widths(result: StudyResult, entry: ArchitectureSpecification) -> list[int]:
    """Widths at which the network of seed 0 was measured."""
    return sorted(row["width"] for row in result.rows if row["architecture"] == entry.label and row["seed"] == 0)


def _networks(points: list[Point]) -> Networks:
    """Build those that are not too large, by width: at most `N_WIDTHS`, the narrowest and the widest among them."""
    from assembly.study.measure import build  # the whole calculus: only when something is drawn with it

    small = [one for one in points if _is_small(one)]
    chosen = np.unique(np.linspace(0, len(small) - 1, min(N_WIDTHS, len(small))).round().astype(int))
    nets = ((small[i].width, _or_none(partial(build, small[i]))) for i in chosen)
    return {width: net for width, net in nets if net is not None}


def _is_small(one: Point) -> bool:
    settings = one.settings
    size = _or_none(partial(BUILDERS[one.builder].size, settings.shape, one.width, settings.options))
    return size is not None and size.n_edges <= LARGEST_NETWORK


def _or_none(function: Callable[[], Found]) -> Found | None:
    """Return the answer, or None where the network refuses or does not fit in memory."""
    try:
        return function()
    except (AssemblyError, MemoryError):
        return None


def _shares(label: str, nets: Networks, x: NDArray[np.float64]) -> Portrait | None:
    """Draw the gradient shares of the layer with the largest one at the widest, of those of several neurons."""
    from assembly.diagnostics.dominance import dominance

    found: dict[int, dict[int, Shares]] = {}
    for width, net in nets.items():
        dominated = _or_none(partial(dominance, net, x))
        layers = dominated.layers if dominated else ()
        finite = {one.layer: one.shares["gradient"] for one in layers if math.isfinite(one.largest_share)}
        if finite:
            found[width] = finite
    widest = found[max(found)] if found else {}
    several = [layer for layer, shares in widest.items() if len(shares.values) > 1]
    if not several:
        return None
    layer = max(several, key=lambda one: widest[one].largest)
    alone = "".join(f" Layer {one} is a single neuron, which has it all." for one in widest if one not in several)
    drawn = {width: by_layer[layer] for width, by_layer in found.items() if layer in by_layer}
    labels, values = [f"m = {width}" for width in drawn], [one.values for one in drawn.values()]
    name = f"gradient share, layer {layer}"
    description = describe_shares(labels, values, name=name)
    figure = draw_shares(labels, values, name=name)
    return Portrait(
        name=f"{SHARES_PREFIX}{label}",
        svg=style.to_svg(figure, title=f"Gradient shares, {label}", description=description),
        description=description,
        quantity="",
        architectures=(label,),
        caption=f"the shares of the neurons of layer {layer} in the squared gradient, the largest first. Of all layers "
        "of more than one neuron, this one has the largest share in the widest network. Where no neuron dominates the "
        f"lines sink as the width grows; a neuron that dominates keeps its height at the left.{alone}",
        heading=("width", "neurons", "largest share", "equal shares", "effective number"),
        rows=tuple(
            (str(m), f"{len(s.values)}", f"{s.largest:.3g}", f"{1 / len(s.values):.3g}", f"{s.effective_number:.3g}")
            for m, s in drawn.items()
        ),
    )


def _cosines(label: str, nets: Networks, x: NDArray[np.float64]) -> Portrait | None:
    """Draw the cosines of the last layer of the narrowest network that has any, at all widths that have that layer."""
    from assembly.diagnostics.diversity import diversity

    measured = {width: list(_layers_with_pairs(net)) for width, net in nets.items()}
    layer = max(measured[min(measured)], default=0)
    every = {m: _or_none(partial(diversity, nets[m], layer, x)) for m in nets if layer in measured[m]}
    drawn = {width: one for width, one in every.items() if one is not None and one.counts.any()}
    if not drawn:
        return None
    histograms = [(one.counts, one.edges, one.rms_cosine) for one in drawn.values()]
    numbers: Any = ([f"m = {width}" for width in drawn], *zip(*histograms, strict=True))
    description = describe_cosines(*numbers)
    return Portrait(
        name=f"{COSINES_PREFIX}{label}",
        svg=style.to_svg(draw_cosines(*numbers), title=f"Cosines between gradients, {label}", description=description),
        description=description,
        quantity="",
        architectures=(label,),
        caption=f"cosines between the gradients of any two neurons of layer {layer}. Around 0 the sub-models are "
        "diverse, the more so the narrower; at 1 or -1 they say the same.",
        heading=("width", "neurons", "rms cosine", "largest |cosine|"),
        rows=tuple(
            (
                str(width),
                str(one.n_neurons),
                f"{one.rms_cosine:.3g}",
                "none" if one.largest_cosine is None else f"{abs(one.largest_cosine):.3g}",
            )
            for width, one in drawn.items()
        ),
    )


def _layers_with_pairs(net: Assembly) -> Iterator[int]:
    """Layers whose cosines are measured, of two neurons or more and with none of too many below."""
    from assembly.diagnostics.diversity import layers_with_cosines

    sizes = [layer.size for layer in net.layers]
    return (n for n in layers_with_cosines(net) if sizes[n] > 1 and max(sizes[1 : n + 1]) <= LARGEST_LAYER)
