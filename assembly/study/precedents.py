"""What the studies of the package claim of an architecture, for studies that are put together elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import groupby
from typing import Any

from assembly.study import quantities
from assembly.study.reading import load, named_studies
from assembly.study.specification import ArchitectureSpecification, ClaimSpecification, columns

FEW = 8  # neurons of a layer that counts as narrow, the most of any narrow layer in a claim
KINKED = ("relu",)  # activation functions that the theory, and so every claim, leaves out
_LAYERS = ("hidden", "channels")
_WITHOUT_EFFECT = (
    *("activation", "readout", "dtype", "n_outputs"),  # a claim holds for all of them,
    *("n_blocks", "n_layers", "n_factors", "reach", "part"),  # any depth, any parts of a committee
)
_USUAL = {"gamma": 0.5}

_Key = tuple[str, tuple[tuple[str, Any], ...]]


def claims_on(architecture: ArchitectureSpecification, names: Iterable[str]) -> list[ClaimSpecification]:
    """Return what the studies of the package claim of such an architecture, under its own label.

    An architecture is such a one if it has the same builder and keys. The activation function (a smooth one), the law
    of the readout, the precision, the depth and the parts of a committee may differ; layers that grow with the width
    stand in the same order with narrow ones, of at most 8 neurons.

    Parameters
    ----------
    architecture : ArchitectureSpecification
    names : iterable of str
        Quantities that are measured, as a study names them.

    Returns
    -------
    list of ClaimSpecification
        Empty where nothing is claimed. Several studies claim the same; the first stands for all.

    Notes
    -----
    Cost: 0.3 s for the first call, which reads all studies.

    Examples
    --------
    >>> deep = ArchitectureSpecification(label="deep", builder="mlp", hidden=["m"] * 5)
    >>> [(one.quantity, one.prediction) for one in claims_on(deep, ["hessian_norm"])][0]
    ('hessian_norm', -0.5)
    >>> narrow = ArchitectureSpecification(label="narrow", builder="bottleneck", hidden=["m", 2, "m"])
    >>> claims_on(narrow, ["hessian_norm"])[0].prediction
    0.0
    """
    if architecture.activation in KINKED:
        return []
    wanted, n_hidden = set(quantities.asked_for(names)), architecture.made_by.n_hidden
    measured = set() if n_hidden is None else set(columns(n_hidden(architecture.options), quantities.COLUMNS))
    found = []
    for quantity, claim in _precedents().get(_key(architecture), {}).items():
        is_there = quantity in measured if "_layer_" in quantity else True
        if is_there and quantities.pattern(quantity) in wanted:
            found.append(claim.model_copy(update={"architecture": architecture.label}))
    return found


@cache
def _precedents() -> Mapping[_Key, Mapping[str, ClaimSpecification]]:
    found: dict[_Key, dict[str, ClaimSpecification]] = {}
    for study in map(load, named_studies()):
        for claim in study.claims:
            known = found.setdefault(_key(study.architecture(claim.architecture)), {})
            known.setdefault(claim.quantity, claim)
    return found


def _key(architecture: ArchitectureSpecification) -> _Key:
    """Return all that claims depend on; a chain of layers with a narrow one is a bottleneck, whoever builds it."""
    kept = {key: value for key, value in architecture.options.items() if key not in _WITHOUT_EFFECT}
    kept |= {key: usual for key, usual in _USUAL.items() if key in kept and kept[key] is None}
    kept |= {key: _kinds(kept[key]) for key in _LAYERS if key in kept}
    builder = "mlp" if architecture.builder == "bottleneck" else architecture.builder
    return builder, tuple(sorted((key, _plain(value)) for key, value in kept.items()))


def _kinds(layers: Iterable[int | str]) -> tuple[int | str, ...]:
    kinds = (-1 if isinstance(one, int) and one <= FEW else one for one in layers)
    return tuple(kind for kind, _ in groupby(kinds))


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
