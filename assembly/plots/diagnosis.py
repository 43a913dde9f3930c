"""The three pictures of one network: shares from the largest on, histograms of cosines, and the network itself."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from assembly.files import writable_folder, write_atomically
from assembly.plots import style
from assembly.plots.cosines import describe_cosines, draw_cosines
from assembly.plots.graph import describe_assembly, draw_assembly
from assembly.plots.shares import describe_shares, draw_shares

if TYPE_CHECKING:
    from assembly.diagnostics.diagnosis import Diagnosis


def diagnosis_pictures(diagnosis: Diagnosis) -> dict[str, str]:
    """Return SVG documents with text alternatives, by name: "shares", "cosines" and "network".

    A picture that has nothing to show is left out.

    Parameters
    ----------
    diagnosis : Diagnosis
        Of one network, from `assembly.diagnose`.
    """
    pictures = {"shares": _shares(diagnosis), "cosines": _cosines(diagnosis), "network": _network(diagnosis)}
    return {name: svg for name, svg in pictures.items() if svg}


def save_diagnosis(diagnosis: Diagnosis, folder: str | Path) -> list[Path]:
    """Write ``diagnosis.json`` and the pictures of a diagnosis, as SVG, into a folder, which is made.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    ArgumentError
        If the folder cannot be written.
    """
    contents = {"diagnosis.json": json.dumps(diagnosis.to_dict(), indent=1, allow_nan=False) + "\n"}
    contents |= {f"{name}.svg": svg for name, svg in diagnosis_pictures(diagnosis).items()}
    with writable_folder(folder) as target:
        return [write_atomically(target / name, text.encode()) for name, text in contents.items()]


def _shares(diagnosis: Diagnosis) -> str:
    known = [one for one in diagnosis.layers if math.isfinite(one.shares["gradient"].largest)]
    labels = [f"layer {one.layer}, {one.n_parts:,} {one.part}s" for one in known]
    shares = [one.shares["gradient"].values for one in known]
    if not known:
        return ""
    return style.to_svg(
        draw_shares(labels, shares), title="Gradient shares by rank", description=describe_shares(labels, shares)
    )


def _cosines(diagnosis: Diagnosis) -> str:
    known = [(one.layer, one.diversity) for one in diagnosis.layers if one.diversity and one.diversity.counts.any()]
    if not known:
        return ""
    labels = [f"layer {layer}{'' if found.is_exact else ', estimated'}" for layer, found in known]
    numbers = (
        labels,
        [found.counts for _, found in known],
        [found.edges for _, found in known],
        [found.rms_cosine for _, found in known],
    )
    return style.to_svg(
        draw_cosines(*numbers), title="Cosines between gradients", description=describe_cosines(*numbers)
    )


def _network(diagnosis: Diagnosis) -> str:
    last = len(diagnosis.sizes) - 1
    counts = [diagnosis.sizes[0], *(one.n_parts for one in diagnosis.layers), diagnosis.sizes[last]]
    names = ["inputs", *(f"layer {one.layer}" for one in diagnosis.layers), "output"]
    shown: dict[str, list[list[float] | None]] = {kind: [None] for kind in ("gradient", "curvature")}
    words = []
    for one in diagnosis.layers:
        for kind, rows in shown.items():
            share = one.shares[kind]
            rows.append(share.values.tolist() if math.isfinite(share.largest) else None)
            if rows[-1] is not None:
                words.append(f"layer {one.layer}: largest {kind} share {share.largest:.2g}, {one.part} {share.who}")
    for rows in shown.values():
        rows.append(None)
    figure = draw_assembly(
        counts,
        shown["gradient"],
        shown["curvature"],
        names=names,
        values_name="gradient share",
        areas_name="size: curvature share within the layer",
    )
    text = "; ".join([describe_assembly(counts, names=names).rstrip("."), *words])
    return style.to_svg(figure, title="The network", description=f"{text}.")
