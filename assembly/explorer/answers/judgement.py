r"""The verdict on one network: a word, a sentence with the names of the culprits, two gauges.

The verdict on one network is a word. If `assembly.diagnose` blames something, it is the kind of the worst culprit.
Otherwise the ratios decide, with R = 1:

* **nearly linear**: :math:`\|H\| / \|\nabla f\|^2` and :math:`\|H\| R / \|\nabla f\|` are at most 1/4. The gradient
  turns by at most a quarter of its length, to first order, while the output moves by 1, and within the distance 1.
* **linear nearby only**: the second is, the first is not, and the gradient is shorter than 1/4: the output moves so
  little within the distance 1 that it takes a longer way to move it by 1.
* **no slope**: the gradient is 0 at this input, and nothing can be said.
* **not yet linear**: anything else; the network is too narrow.

Whether a family of networks *becomes* linear is another question, and takes several widths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assembly.diagnostics.culprits import percent
from assembly.diagnostics.diagnose import from_pairs
from assembly.diagnostics.diagnosis import most_bent
from assembly.explorer.answers.words import Table, capital, number
from assembly.explorer.answers.work import Stop, top_pair, working
from assembly.explorer.state import State

if TYPE_CHECKING:
    from assembly.diagnostics.culprits import Culprit as Found
    from assembly.diagnostics.diagnosis import Diagnosis, LayerDiagnosis

LARGEST_RATIO = 0.25
OF_CULPRITS = {
    "narrow": "narrow layer",
    "loud": "loud neuron",
    "few": "few that count",
    "copies": "copies",
    "output": "bent output",
}
NEARLY, NEARBY, NOT_YET, NO_SLOPE = "nearly linear", "linear nearby only", "not yet linear", "no slope"
WORDS = (NEARLY, NEARBY, NOT_YET, NO_SLOPE, *OF_CULPRITS.values())


@dataclass(frozen=True)
class Culprit:
    """Who is to blame.

    Attributes
    ----------
    kind : str
        A key of `OF_CULPRITS`.
    name : str
        Of the neurons: "layer 2, neuron 0"; "the output".
    layer : int
    positions : tuple of int
        Neurons of the layer, or channels of convolutions; empty for the output.
    counts_as : float
        How many sub-models the layer counts as.
    sentence : str
    """

    kind: str
    name: str
    layer: int
    positions: tuple[int, ...]
    counts_as: float
    sentence: str


@dataclass(frozen=True)
class Gauge:
    """One number from 0 to 1 for a dial.

    Attributes
    ----------
    value : float
        NaN where it was not measured.
    text : str
        The number as the reader sees it.
    where : str
        Which layer, and who.
    """

    value: float
    text: str
    where: str


@dataclass(frozen=True)
class Judged:
    """The verdict on one network.

    Attributes
    ----------
    word : str
        One of `WORDS`.
    sentence : str
        The verdict with its numbers, and the name of the culprit.
    findings : tuple of str
        The sentences of the diagnosis, worst first.
    culprits : tuple of Culprit
    dominance, diversity : Gauge
        The largest gradient share of one neuron in its layer; and 1 less the largest root mean square cosine between
        gradients of neurons, 0 where a layer holds copies.
    hessian_over_gradient_squared, hessian_times_radius_over_gradient : float
        At R = 1: what the word rests on.
    notes : tuple of str
        What was left out; and how a nearly linear network can have a layer whose curvature sits in one neuron.
    table : Table
        The layers.
    """

    word: str
    sentence: str
    findings: tuple[str, ...]
    culprits: tuple[Culprit, ...]
    dominance: Gauge
    diversity: Gauge
    hessian_over_gradient_squared: float
    hessian_times_radius_over_gradient: float
    notes: tuple[str, ...]
    table: Table


def judged(state: State, stop: Stop = lambda: False) -> Judged:
    """Return what `assembly.diagnose` says of the network at the chosen input, in a word, a sentence and gauges.

    Parameters
    ----------
    state : State
    stop : callable
        As for `numbers`.

    Raises
    ------
    StoppedError
        If `stop` says so.
    SaturationError, ResourceError, ArgumentError
        As `numbers`.

    Notes
    -----
    Cost: that of `assembly.diagnose` at one input.

    Examples
    --------
    >>> found = judged(State(width=64, middle=1))
    >>> found.word, found.culprits[0].name
    ('narrow layer', 'layer 2, neuron 0')
    """
    with working(state, stop) as net:
        x = state.x
        diagnosis = from_pairs(net, x[None], [top_pair(net, x)])
    curvature = diagnosis.curvature
    word = verdict(diagnosis)
    return Judged(
        word,
        _sentence(word, diagnosis),
        tuple(capital(finding) for finding in diagnosis.findings),
        tuple(_culprit(diagnosis, one) for one in diagnosis.culprits),
        _dominance(diagnosis.layers),
        _diversity(diagnosis.layers),
        curvature.hessian_over_gradient_squared,
        curvature.hessian_times_radius_over_gradient,
        (*diagnosis.notes, *_reconciled(word, diagnosis)),
        _of_layers(diagnosis.layers),
    )


def verdict(diagnosis: Diagnosis) -> str:
    """Return the word for one network by the rule at the head of this module."""
    if diagnosis.culprits:
        return OF_CULPRITS[diagnosis.culprits[0].kind]
    sizes = diagnosis.curvature
    if sizes.gradient_norm == 0.0:
        return NO_SLOPE
    is_near = sizes.hessian_times_radius_over_gradient <= LARGEST_RATIO
    if is_near and sizes.hessian_over_gradient_squared <= LARGEST_RATIO:
        return NEARLY
    return NEARBY if is_near and sizes.gradient_norm < LARGEST_RATIO else NOT_YET


def _sentence(word: str, diagnosis: Diagnosis) -> str:
    sizes = diagnosis.curvature
    measured = (
        f"||H|| / ||grad f||^2 is {number(sizes.hessian_over_gradient_squared)} and ||H|| R / ||grad f|| is "
        f"{number(sizes.hessian_times_radius_over_gradient)} at R = 1"
    )
    return f"{capital(word)}: {measured}; {diagnosis.findings[0]}."


def _reconciled(word: str, diagnosis: Diagnosis) -> tuple[str, ...]:
    """Say how one part may have most of the curvature of a layer where the word is "nearly linear"."""
    bent = most_bent(diagnosis.layers)
    if word != NEARLY or diagnosis.culprits or bent is None:
        return ()
    most, sizes = bent.shares["curvature"], diagnosis.curvature
    return (
        f"A large share of a small number is a small number: {bent.part} {most.who} has {percent(most.largest)} of "
        f"what bends in layer {bent.layer}, but all that bends is ||H|| = "
        f"{number(sizes.hessian_norm)}, which turns the gradient by at most "
        f"{percent(sizes.hessian_times_radius_over_gradient)} of its length within R = 1.",
    )


def _culprit(diagnosis: Diagnosis, found: Found) -> Culprit:
    part = next((one.part for one in diagnosis.layers if one.layer == found.layer), "neuron")
    name = (
        "the output"
        if found.kind == "output"
        else f"layer {found.layer}, {part}{'s' * (len(found.parts) > 1)} {_some(found.parts)}"
    )
    return Culprit(found.kind, name, found.layer, found.parts, found.counts_as, f"{capital(found.text)}.")


def _some(positions: Sequence[int], most: int = 3) -> str:
    shown = ", ".join(str(one) for one in positions[:most])
    return shown if len(positions) <= most else f"{shown} and {len(positions) - most:,} more"


def _dominance(layers: Sequence[LayerDiagnosis]) -> Gauge:
    known = [one for one in layers if math.isfinite(one.shares["gradient"].largest)]
    if not known:
        return Gauge(math.nan, "-", "no layer has a gradient")
    worst = max(known, key=lambda one: one.shares["gradient"].largest)
    share = worst.shares["gradient"]
    return Gauge(share.largest, percent(share.largest), f"layer {worst.layer}, {worst.part} {share.who}")


def _diversity(layers: Sequence[LayerDiagnosis]) -> Gauge:
    for one in layers:
        if one.diversity is not None and one.diversity.duplicates:
            return Gauge(0.0, "0", f"layer {one.layer} holds copies")
    known = {one.layer: one.diversity.rms_cosine for one in layers if one.diversity is not None}
    known = {layer: cosine for layer, cosine in known.items() if math.isfinite(cosine)}
    if not known:
        return Gauge(math.nan, "-", "not measured")
    worst = max(known, key=lambda layer: known[layer])
    return Gauge(1.0 - known[worst], number(1.0 - known[worst]), f"layer {worst}: rms cosine {known[worst]:.3g}")


def _of_layers(layers: Sequence[LayerDiagnosis]) -> Table:
    kinds = ("value", "gradient", "adjoint", "curvature")
    rows = []
    for one in layers:
        shares = [one.shares[kind] for kind in kinds]
        shown = [f"{percent(s.largest)} ({one.part} {s.who})" if math.isfinite(s.largest) else "-" for s in shares]
        cosine = math.nan if one.diversity is None else one.diversity.rms_cosine
        rows.append((f"{one.layer}", f"{one.n_parts:,}", *shown, number(shares[1].effective_number), number(cosine)))
    heading = ("layer", "parts", *(f"largest {kind} share" for kind in kinds), "counts as", "rms cosine")
    return Table("Shares of the neurons in their layer", heading, tuple(rows))
