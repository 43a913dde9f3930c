r"""Who dominates, by rule: narrow layers, loud neurons, few that count, copies, an output that bends.

Every rule compares with what chance does in healthy random networks. Of the squares of n Gaussian numbers the largest
has a share near :math:`2 \log n / n`; a neuron is loud when its share is far above that, in the output or in all the
neurons that read its layer:

=========  ==========  ==============================================================================================
share      threshold   of what
=========  ==========  ==============================================================================================
adjoint    1/4 + 6/n   squared adjoints; squared weights that leave the layer
gradient   1/3 + 10/n  squared gradients in the own in-weights
value      2/3 + 10/n  squared terms
=========  ==========  ==============================================================================================

The curvature share is no criterion: with one hidden layer the top eigenvector belongs to a single neuron by the block
structure of H, however wide the layer. It is told of whoever is found by the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from assembly.diagnostics.dominance import Shares

NARROW = 8  # parts in a layer, or that count in one
RATIO_OF_SIZES = 8  # of a wide layer to a narrow one
RATIO_OF_NUMBERS = 12.0  # of a layer's parts to those that count; a healthy layer of Gaussian shares has 3
THRESHOLDS = {"adjoint": (1 / 4, 6.0), "gradient": (1 / 3, 10.0), "value": (2 / 3, 10.0)}
IN_THE_OUTPUT = {
    "adjoint": "the layer's squared adjoints",
    "gradient": "the layer's gradient",
    "value": "the layer's squared terms in the output",
}
IN_ITS_CHILDREN = {
    "adjoint": "the squared weights that leave the layer",
    "gradient": "the layer's gradients in the neurons that read it",
    "value": "the layer's squared terms in the neurons that read it",
}


@dataclass(frozen=True)
class Culprit:
    """What keeps a network from being an assembly of many weak sub-models.

    Attributes
    ----------
    kind : str
        "narrow", "loud", "few", "copies" or "output".
    layer : int
    parts : tuple of int
        Neurons of the layer, or channels of a layer of convolutions; empty for a non-linear output.
    counts_as : float
        How many sub-models the layer counts as: the smaller, the worse.
    text : str
        One sentence.
    """

    kind: str
    layer: int
    parts: tuple[int, ...]
    counts_as: float
    text: str


@dataclass(frozen=True, eq=False)
class Level:
    """What the rules read of one hidden layer.

    Attributes
    ----------
    layer : int
    part : str
        "neuron", or "channel" where convolutions share their kernels.
    shares : mapping of str to Shares
        Of its parts in the output: "value", "gradient", "adjoint", and where known "curvature".
    children : mapping of str to Shares
        Of its parts in the neurons that read them, of squares; empty where not known.
    others : int
        Parts of the widest other hidden layer.
    is_passage : bool
        True if all that the output depends on goes through the layer, and something can bend or learn there.
    duplicates : tuple of tuple of int
        Groups of neurons of parallel gradients.
    n_neurons : int
    """

    layer: int
    part: str
    shares: Mapping[str, Shares]
    children: Mapping[str, Shares]
    others: int
    is_passage: bool
    duplicates: tuple[tuple[int, ...], ...]
    n_neurons: int

    @property
    def n_parts(self) -> int:
        """Number of parts."""
        return len(self.shares["adjoint"].values)


def _squared(share: Shares) -> Shares:
    """Return shares of squares from shares of magnitudes."""
    square = share.values**2
    total = square.sum()
    return Shares(square / total if total > 0.0 else square * np.nan)


def culprits(level: Level) -> list[Culprit]:
    """Return what is wrong with one layer, worst first; nothing for most."""
    found = [one for one in (_copies(level), _narrow(level) or _loud(level) or _few(level)) if one is not None]
    return sorted(found, key=lambda one: one.counts_as)


def _narrow(level: Level) -> Culprit | None:
    n = level.n_parts
    if n > NARROW or level.others < RATIO_OF_SIZES * n or not level.is_passage:
        return None
    text = f"layer {level.layer} has {_count(n, level.part)} where another has {level.others:,}"
    if n == 1:
        return Culprit("narrow", level.layer, (0,), 1.0, f"{text}: everything goes through {level.part} 0")
    known = [level.shares[kind] for kind in ("curvature", "gradient") if _is_known(level, kind)]
    if not known:
        return Culprit("narrow", level.layer, tuple(range(n)), float(n), text)
    who, number = known[0].who, known[-1].effective_number
    return Culprit("narrow", level.layer, (who,), number, f"{text}; {level.part} {who} carries {_carried(level, who)}")


def _loud(level: Level) -> Culprit | None:
    own = {kind: _squared(share) if kind == "value" else share for kind, share in level.shares.items()}
    worst, found, words = 1.0, None, ""
    for shares, said in ((own, IN_THE_OUTPUT), (level.children, IN_ITS_CHILDREN)):
        for kind, (least, falling) in THRESHOLDS.items():
            if kind in shares and shares[kind].largest / (least + falling / level.n_parts) > worst:
                worst = shares[kind].largest / (least + falling / level.n_parts)
                found, words = shares[kind], said[kind]
    if found is None:
        return None
    rest = _carried(level, found.who, without="gradient" if words == IN_THE_OUTPUT["gradient"] else "")
    text = (
        f"layer {level.layer}, {level.part} {found.who} carries {percent(found.largest)} of {words}: "
        f"of {_count(level.n_parts, level.part)} the layer counts as {found.effective_number:.2g}"
        f"{'; it carries ' if rest else ''}{rest}"
    )
    return Culprit("loud", level.layer, (found.who,), found.effective_number, text)


def _few(level: Level) -> Culprit | None:
    share = level.shares["adjoint"]
    number = share.effective_number
    if not number <= min(NARROW, level.n_parts / RATIO_OF_NUMBERS):
        return None
    first = [int(one) for one in np.argsort(-share.values, kind="stable")[: max(1, round(number))]]
    together = percent(float(share.values[first].sum()))
    text = (
        f"of the {_count(level.n_parts, level.part)} of layer {level.layer} only {number:.2g} count: "
        f"{_list(first)} carry {together} of {IN_THE_OUTPUT['adjoint']}"
    )
    return Culprit("few", level.layer, tuple(first), number, text)


def _copies(level: Level) -> Culprit | None:
    if not level.duplicates:
        return None
    n_left = level.n_neurons - sum(len(group) - 1 for group in level.duplicates)
    first = level.duplicates[0]
    text = (
        f"layer {level.layer}, neurons {_list(list(first))} have parallel gradients, as copies that share their "
        f"parameters: its {level.n_neurons:,} neurons are {n_left:,} different ones"
    )
    return Culprit("copies", level.layer, first, float(n_left), text)


def _is_known(level: Level, kind: str) -> bool:
    return kind in level.shares and bool(np.isfinite(level.shares[kind].values).all())


def _carried(level: Level, who: int, without: str = "") -> str:
    """Say what one part carries of the layer's curvature and gradient."""
    known = [kind for kind in ("curvature", "gradient") if kind != without and _is_known(level, kind)]
    carried = (f"{percent(float(level.shares[kind].values[who]))} of the layer's {kind}" for kind in known)
    return " and ".join(carried)


def _count(n: int, part: str) -> str:
    return f"{n:,} {part}{'s' * (n != 1)}"


def _list(numbers: list[int], most: int = 4) -> str:
    """Return numbers for the reader, the rest of a long list counted."""
    if len(numbers) > most:
        return f"{', '.join(str(one) for one in numbers[: most - 1])} and {len(numbers) - most + 1:,} more"
    *front, last = [str(one) for one in numbers]
    return f"{', '.join(front)} and {last}" if front else last


def percent(share: float) -> str:
    """Return a share for the reader.

    Examples
    --------
    >>> percent(0.613), percent(0.0072), percent(0.00001)
    ('61 %', '0.72 %', '0.001 %')
    """
    if share >= 0.995:
        return "100 %" if share > 0.9995 else f"{100 * share:.1f} %"
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.2g} %"
