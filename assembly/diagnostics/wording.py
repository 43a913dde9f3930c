"""A diagnosis of one network as text of at most 100 columns, and as numbers for JSON."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from assembly.diagnostics.culprits import percent
from assembly.diagnostics.diversity import Diversity
from assembly.diagnostics.dominance import ParentDominance, Shares

if TYPE_CHECKING:
    from assembly.diagnostics.diagnose import Diagnosis, LayerDiagnosis

WIDTH = 100
PARENT_KINDS = ("value", "gradient")
_KINDS = ("value", "gradient", "adjoint", "curvature")
_HEAD = ("layer", "parts", *_KINDS, "counts as", "rms cosine")


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """Return the findings, a table of the layers, and the quantities of the network."""
    at = f"output {diagnosis.output}, averaged over {diagnosis.n_inputs} input{'s' * (diagnosis.n_inputs != 1)}"
    paragraphs = [f"{diagnosis.network}; {at}", *(f"* {finding}." for finding in diagnosis.findings)]
    lines = [line for one in paragraphs for line in _wrapped(one)]
    if diagnosis.layers:
        title = "largest share of a part in its layer and who has it: means over the inputs, cosines at the first"
        lines += ["", title, *_aligned([_HEAD, *map(_row, diagnosis.layers)])]
    if any(diagnosis.parents.values()):
        title = "every neuron over its parents: so much from one, typically and at most"
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
    return [one.shares[kind] for kind in _KINDS]


def _cosine(found: Diversity | None) -> str:
    if found is None or not math.isfinite(found.rms_cosine):
        return "-"
    if found.is_exact:
        return f"{found.rms_cosine:.3g}"
    return f"{found.rms_cosine:.2g} +- {found.standard_error:.1g}"


def _over_parents(diagnosis: Diagnosis) -> list[str]:
    """Return a table: typically so much from one parent; the most in a neuron, and from whom."""
    rows: dict[int, list[str]] = {}
    for kind in PARENT_KINDS:
        for one in diagnosis.parents.get(kind, ()):
            row = rows.setdefault(one.layer, [f"{one.layer}", f"{one.n_parents:,}", *4 * "-"])
            first = 2 + 2 * PARENT_KINDS.index(kind)
            row[first : first + 2] = [percent(one.typical_share), _worst(one)]
    head = ["layer", "parents", *(f"{kind}{part}" for kind in PARENT_KINDS for part in (", typical", ", most"))]
    return _aligned([head, *rows.values()])


def _worst(one: ParentDominance) -> str:
    layer, number = one.parent
    return f"{percent(one.largest_share)} ({one.neuron} from {'input ' if layer == 0 else ''}{number})"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def diagnosis_dict(diagnosis: Diagnosis) -> dict[str, Any]:
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
