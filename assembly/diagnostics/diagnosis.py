"""What `assembly.diagnose` finds in one network: numbers, a text of at most 100 columns, and a dictionary for JSON."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assembly.diagnostics.culprits import Culprit, percent
from assembly.diagnostics.diversity import Diversity
from assembly.diagnostics.dominance import ParentDominance, Shares

WIDTH = 100
KINDS = ("value", "gradient", "adjoint", "curvature")
LOUD_IN_CURVATURE = 0.25  # share of one part in the top eigenvector that is worth a word; no alarm: it is a maximum
_HEAD = ("layer", "parts", *KINDS, "counts as", "rms cosine")


@dataclass(frozen=True)
class Sizes:
    r"""Hessian and gradient of the output, averaged over the inputs.

    Attributes
    ----------
    hessian_norm, gradient_norm : float
    hessian_over_gradient_squared : float
        :math:`\|H\| / \|\nabla f\|^2`, which no change of units of f or of its scale hides.
    hessian_times_radius_over_gradient : float
        :math:`\|H\| R / \|\nabla f\|` at R = 1: how much the gradient may turn within the distance R.
    largest_residual : float
        Of the eigenvalue iterations, relative.
    n_unconverged : int
        Inputs at which the residual is above the tolerance.
    """

    hessian_norm: float
    gradient_norm: float
    hessian_over_gradient_squared: float
    hessian_times_radius_over_gradient: float
    largest_residual: float
    n_unconverged: int


@dataclass(frozen=True, eq=False)
class LayerDiagnosis:
    """One hidden layer with trainable in-edges.

    Attributes
    ----------
    layer, size : int
    part : str
        What its sub-models are: "neuron", or "channel" for convolutions.
    shares : mapping of str to Shares
        Of its parts in the output: "value", "gradient", "adjoint", "curvature".
    children : mapping of str to Shares
        "value", "gradient" and "adjoint" of its parts in all the neurons that read the layer; empty where left out.
    diversity : Diversity or None
        At the first input; None where it was left out.
    """

    layer: int
    size: int
    part: str
    shares: Mapping[str, Shares]
    children: Mapping[str, Shares]
    diversity: Diversity | None

    @property
    def n_parts(self) -> int:
        """Number of parts."""
        return len(self.shares["adjoint"].values)


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `diagnose` found in one network; print it to read it.

    Attributes
    ----------
    network : str
        The network in a line.
    output, n_inputs : int
        Which output, and the number of inputs averaged over.
    layers : tuple of LayerDiagnosis
    sizes : tuple of int
        Neurons of every layer, inputs first.
    parents : mapping of str to tuple of ParentDominance
        "value", "gradient", "adjoint": of every layer from the second to the output's, the neuron that leans most on a
        parent. "curvature": of the one that does by gradient, at the first input.
    q_infinity : float
    curvature : Sizes
    culprits : tuple of Culprit
        Worst first.
    notes : tuple of str
        What was left out or did not converge.
    """

    network: str
    output: int
    n_inputs: int
    layers: tuple[LayerDiagnosis, ...]
    sizes: tuple[int, ...]
    parents: Mapping[str, tuple[ParentDominance, ...]]
    q_infinity: float
    curvature: Sizes
    culprits: tuple[Culprit, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def findings(self) -> tuple[str, ...]:
        """Sentences, worst first; one that says so if no neuron dominates."""
        return tuple(one.text for one in self.culprits) or (_all_clear(self.layers),)

    @property
    def text(self) -> str:
        """Findings, a table of the layers and the quantities of the network, at most 100 columns."""
        return _text(self)

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the shares of the single parts, ready for JSON; NaN becomes None."""
        return _as_dict(self)


def _all_clear(layers: Sequence[LayerDiagnosis]) -> str:
    known = [one for one in layers if math.isfinite(one.shares["gradient"].largest)]
    if not known:
        return "there is no hidden layer with a gradient: nothing that could dominate"
    worst = max(known, key=lambda one: one.shares["gradient"].largest)
    share = worst.shares["gradient"]
    text = (
        f"no {worst.part} dominates the output: the largest gradient share is {percent(share.largest)} (layer "
        f"{worst.layer}, {worst.part} {share.who}), where equal shares would be {percent(1.0 / worst.n_parts)}"
    )
    bent = most_bent(known)
    if bent is not None:
        most = bent.shares["curvature"]
        text += f"; the curvature of layer {bent.layer} sits in one: {bent.part} {most.who} has {percent(most.largest)}"
    return text


def most_bent(layers: Sequence[LayerDiagnosis]) -> LayerDiagnosis | None:
    """Return the layer one part of which has a share of the curvature that is worth a word; None if none has."""
    known = [one for one in layers if math.isfinite(one.shares["gradient"].largest)]
    if len(known) < 2:
        return None
    worst = max(known, key=lambda one: one.shares["curvature"].largest)
    return worst if worst.shares["curvature"].largest > LOUD_IN_CURVATURE else None


def _text(diagnosis: Diagnosis) -> str:
    """Return the findings, a table of the layers, and the quantities of the network."""
    at = f"output {diagnosis.output}, averaged over {diagnosis.n_inputs} input{'s' * (diagnosis.n_inputs != 1)}"
    paragraphs = [f"{diagnosis.network}; {at}", *(f"* {finding}." for finding in diagnosis.findings)]
    lines = [line for one in paragraphs for line in _wrapped(one)]
    if diagnosis.layers:
        title = "largest share of a part in its layer and who has it: means over the inputs, cosines at the first"
        lines += ["", title, *_aligned([_HEAD, *map(_row, diagnosis.layers)])]
    if any(diagnosis.parents.values()):
        title = "every neuron over its parents: so much from one, typically and at most (curvature: of one neuron)"
        lines += ["", title, *_over_parents(diagnosis)]
    sizes = diagnosis.curvature
    lines += [
        "",
        f"Q_inf {diagnosis.q_infinity:.4g}; ||H|| {sizes.hessian_norm:.4g} (residual {sizes.largest_residual:.0e}); "
        f"||grad f|| {sizes.gradient_norm:.4g}",
        f"||H|| / ||grad f||^2 {sizes.hessian_over_gradient_squared:.4g}; "
        f"||H|| R / ||grad f|| at R = 1 {sizes.hessian_times_radius_over_gradient:.4g}",
    ]
    return "\n".join([*lines, *(line for note in diagnosis.notes for line in _wrapped(f"Note: {note}."))])


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False) or [""]


def _row(one: LayerDiagnosis) -> tuple[str, ...]:
    shares = [f"{percent(s.largest)} ({s.who})" if math.isfinite(s.largest) else "-" for s in _known(one)]
    number = one.shares["gradient"].effective_number
    parts = f"{one.n_parts:,} {one.part}s" if one.part != "neuron" else f"{one.n_parts:,}"
    return (f"{one.layer}", parts, *shares, f"{number:.3g}" if math.isfinite(number) else "-", _cosine(one.diversity))


def _known(one: LayerDiagnosis) -> list[Shares]:
    return [one.shares[kind] for kind in KINDS]


def _cosine(found: Diversity | None) -> str:
    if found is None or not math.isfinite(found.rms_cosine):
        return "-"
    if found.is_exact:
        return f"{found.rms_cosine:.3g}"
    return f"{found.rms_cosine:.2g} +- {found.standard_error:.1g}"


def _over_parents(diagnosis: Diagnosis) -> list[str]:
    """Return a table: typically so much from one parent; the most in a neuron, and from whom."""
    rows = []
    for layer in sorted({one.layer for found in diagnosis.parents.values() for one in found}):
        met = [(kind, one) for kind in KINDS for one in diagnosis.parents.get(kind, ()) if one.layer == layer]
        for i, (kind, one) in enumerate(met):
            typical = percent(one.typical_share) if math.isfinite(one.typical_share) else "-"
            first = (f"{layer}", f"{one.n_parents:,}") if i == 0 else ("", "")
            rows.append((*first, kind, typical, _worst(one)))
    return _aligned([("layer", "parents", "share", "typical", "most"), *rows])


def _worst(one: ParentDominance) -> str:
    layer, number = one.parent
    return f"{percent(one.largest_share)} ({one.neuron} from {'input ' if layer == 0 else ''}{number})"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _as_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the numbers of a diagnosis without the shares of single parts; NaN becomes None."""
    found: dict[str, Any] = _plain(
        {
            "network": diagnosis.network,
            "output": diagnosis.output,
            "n_inputs": diagnosis.n_inputs,
            "findings": diagnosis.findings,
            "culprits": [vars(one) for one in diagnosis.culprits],
            "sizes": diagnosis.sizes,
            "layers": [_layer_dict(one) for one in diagnosis.layers],
            "parents": {kind: [vars(one) for one in worst] for kind, worst in diagnosis.parents.items()},
            "q_infinity": diagnosis.q_infinity,
            **vars(diagnosis.curvature),
            "notes": diagnosis.notes,
        }
    )
    return found


def _layer_dict(one: LayerDiagnosis) -> dict[str, Any]:
    shares = {
        kind: {"largest": share.largest, "who": share.who, "effective_number": share.effective_number}
        for kind, share in one.shares.items()
    }
    diverse = None if one.diversity is None else {**vars(one.diversity)}
    if diverse is not None:
        diverse |= {"counts": diverse["counts"].tolist(), "edges": diverse["edges"].tolist()}
    return {
        "layer": one.layer,
        "size": one.size,
        "part": one.part,
        "n_parts": one.n_parts,
        "shares": shares,
        "diversity": diverse,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
