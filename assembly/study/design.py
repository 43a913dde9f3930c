"""From a study to its points: one network of one architecture at one width and seed, each with a stable hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import assembly

if TYPE_CHECKING:
    from assembly.data import Data
    from assembly.study.specification import ArchitectureSpecification, Specification


@dataclass(frozen=True)
class Settings:
    """Everything but architecture, width and seed that determines what is measured at a point.

    Attributes
    ----------
    options : dict
        Keys of the builder, with "m" for the width.
    shape : tuple of int
        Shape of one input.
    quantities : tuple of str
        What is measured; everything if empty.
    radius : float
        Distance R from the initial parameters.
    tol : float
        Relative residual of every eigenvalue.
    data : str
        Fingerprint of the data, see `assembly.data.Data`.
    n_measured, data_seed : int
        Which inputs are measured, see `assembly.data.measured_samples`.
    training_steps : int
        Steps of gradient descent, for quantities of trained networks.
    """

    options: dict[str, Any]
    shape: tuple[int, ...]
    quantities: tuple[str, ...]
    radius: float
    tol: float
    data: str
    n_measured: int
    data_seed: int
    training_steps: int


@dataclass(frozen=True)
class Point:
    """One network to be measured.

    Attributes
    ----------
    architecture : str
        Its label in the study.
    builder : str
        The function of the package that builds it.
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
    specification: Specification, architecture: ArchitectureSpecification, width: int, seed: int, data: Data
) -> Point:
    """Return the point of one architecture, width and seed of a study."""
    settings = Settings(
        options=architecture.options,
        shape=specification.data.shape or data.shape,
        quantities=specification.quantities,
        radius=specification.radius,
        tol=specification.tol,
        data=data.fingerprint,
        n_measured=specification.data.n_measured,
        data_seed=specification.data.seed,
        training_steps=specification.training_steps,
    )
    return Point(architecture.label, architecture.builder, width, seed, settings)


def points(specification: Specification, data: Data) -> list[Point]:
    """Return all points of a study in the order they are run.

    Cheap widths come first and architectures alternate, so that a study cut short has something to show for each.

    Parameters
    ----------
    specification : Specification
    data : Data
        Its fingerprint and the shape of its inputs are part of every point's hash.

    Examples
    --------
    >>> from assembly import data
    >>> from assembly.study.reading import load
    >>> [str(point) for point in points(load("digits"), data.load("digits"))[:3]]
    ['network, width 32, seed 0', 'bottleneck, width 32, seed 0', 'network, width 32, seed 1']
    """
    return [
        point(specification, architecture, width, seed, data)
        for width in specification.all_widths
        for seed in range(specification.seeds)
        for architecture in specification.architectures
        if width in specification.widths_of(architecture)
    ]


def row_order(specification: Specification, one: Point) -> tuple[int, int, int]:
    """Return the sort key of a point's row: architecture as in the study, then width, then seed."""
    labels = [architecture.label for architecture in specification.architectures]
    return labels.index(one.architecture), one.width, one.seed
