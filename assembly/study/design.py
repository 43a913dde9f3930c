"""From a study to its points: one network of one architecture at one width and seed, each with a stable hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import assembly

if TYPE_CHECKING:
    from assembly.study.specification import ArchitectureSpecification, DataSpecification, Specification


@dataclass(frozen=True)
class Settings:
    """Everything but architecture, width and seed that determines what is measured at a point.

    Attributes
    ----------
    hidden : tuple of int
        Widths of the hidden layers.
    activation, readout, output_activation, parametrization, dtype : str
    trainable_readout, bias : bool
    gamma : float or None
        Keywords of the builder; None is its default.
    radius : float
        Distance R from the initial parameters.
    tol : float
        Relative residual of every eigenvalue.
    data : str
        Fingerprint of the data, see `assembly.data.Data`.
    n_measured, data_seed : int
        Which inputs are measured, see `assembly.data.measured_inputs`.
    """

    hidden: tuple[int, ...]
    activation: str
    readout: str
    trainable_readout: bool
    bias: bool
    output_activation: str
    parametrization: str
    gamma: float | None
    dtype: str
    radius: float
    tol: float
    data: str
    n_measured: int
    data_seed: int

    def builder_keywords(self) -> dict[str, Any]:
        """Return the keywords of `assembly.mlp` or `assembly.bottleneck`, but for `n_inputs` and `seed`."""
        return {
            "widths": list(self.hidden),
            "activation": self.activation,
            "readout": self.readout,
            "trainable_readout": self.trainable_readout,
            "bias": self.bias,
            "output_activation": self.output_activation,
            "parametrization": self.parametrization,
            "gamma": self.gamma,
            "dtype": self.dtype,
        }


@dataclass(frozen=True)
class Point:
    """One network to be measured.

    Attributes
    ----------
    architecture : str
        Its label in the study.
    builder : str
        The function that builds it, ``"mlp"`` or ``"bottleneck"``.
    width : int
        The study's width m.
    seed : int
        Seed of its parameters.
    settings : Settings
        All the rest that determines the result.
    version : str
        Of this package: another version computes its points afresh.
    """

    architecture: str
    builder: str
    width: int
    seed: int
    settings: Settings
    version: str = assembly.__version__

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of all fields, 64 hexadecimal digits: equal on every machine."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return all fields as JSON, keys sorted, floats in their shortest exact form."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def __str__(self) -> str:
        return f"{self.architecture}, width {self.width}, seed {self.seed}"


def point(
    architecture: ArchitectureSpecification,
    width: int,
    seed: int,
    *,
    radius: float,
    tol: float,
    data: DataSpecification,
    fingerprint: str,
) -> Point:
    """Return the point of one architecture, width and seed; `fingerprint` is that of the data."""
    settings = Settings(
        hidden=architecture.widths(width),
        **architecture.model_dump(exclude={"label", "builder", "hidden"}),
        radius=radius,
        tol=tol,
        data=fingerprint,
        n_measured=data.n_measured,
        data_seed=data.seed,
    )
    return Point(architecture.label, architecture.builder, width, seed, settings)


def points(specification: Specification, fingerprint: str) -> list[Point]:
    """Return all points of a study in the order they are run.

    Cheap widths come first and architectures alternate, so that a study cut short has something to show for each.

    Parameters
    ----------
    specification : Specification
    fingerprint : str
        Of the study's data, part of every point's hash.

    Examples
    --------
    >>> from assembly.study.specification import load
    >>> [str(point) for point in points(load("digits"), "")[:3]]
    ['network, width 32, seed 0', 'bottleneck, width 32, seed 0', 'network, width 32, seed 1']
    """
    return [
        point(
            architecture,
            width,
            seed,
            radius=specification.radius,
            tol=specification.tol,
            data=specification.data,
            fingerprint=fingerprint,
        )
        for width in specification.widths
        for seed in range(specification.seeds)
        for architecture in specification.architectures
    ]


def row_order(specification: Specification, one: Point) -> tuple[int, int, int]:
    """Return the sort key of a point's row: architecture as in the study, then width, then seed."""
    labels = [architecture.label for architecture in specification.architectures]
    return labels.index(one.architecture), one.width, one.seed
