"""How a network is trained, checked: everything that decides the numbers of a run but the network and the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assembly.checks import check_count, check_name, check_number
from assembly.dynamics.losses import LOSSES
from assembly.dynamics.motion import Rule
from assembly.dynamics.recording import RECORDED
from assembly.errors import ArgumentError

METHODS = ("gradient_descent", "gradient_flow")
BESIDE = ("linearized", "closed_form", "quadratic")
N_RECORDS = 20


@dataclass(frozen=True)
class Settings:
    """See `assembly.train`, whose arguments these are; `step_size` is found later if None."""

    loss: str
    method: str
    step_size: float | None
    n_steps: int
    every: int
    batch_size: int | None
    momentum: float
    weight_decay: float
    noise: float
    seed: int
    record: tuple[str, ...]
    beside: tuple[str, ...]
    tol: float
    rtol: float

    def rule(self, step_size: float) -> Rule:
        """Return how parameters are moved."""
        return Rule(step_size, self.momentum, self.weight_decay, self.noise, self.batch_size, self.seed)

    def as_dict(self) -> dict[str, Any]:
        """Return all settings, lists for tuples, as JSON has them."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def checked(given: dict[str, Any]) -> Settings:
    """Return the settings of some arguments.

    Raises
    ------
    ArgumentError, UnknownNameError
        If one is out of range or they do not go together.
    """
    n_steps = check_count("n_steps", given["n_steps"])
    every, batch_size, step_size = given["every"], given["batch_size"], given["step_size"]
    settings = Settings(
        loss=check_name("loss", given["loss"], LOSSES),
        method=check_name("method", given["method"], METHODS),
        step_size=None if step_size is None else check_number("step_size", step_size, above=0.0),
        n_steps=n_steps,
        every=between_records(n_steps) if every is None else check_count("every", every),
        batch_size=None if batch_size is None else check_count("batch_size", batch_size),
        momentum=check_number("momentum", given["momentum"], at_least=0.0, below=1.0),
        weight_decay=check_number("weight_decay", given["weight_decay"], at_least=0.0),
        noise=check_number("noise", given["noise"], at_least=0.0),
        seed=check_count("seed", given["seed"], minimum=0),
        record=_names("record", given["record"], RECORDED),
        beside=_names("beside", given["beside"], BESIDE),
        tol=check_number("tol", given["tol"], above=0.0, below=1.0),
        rtol=check_number("rtol", given["rtol"], at_least=_smallest_rtol(given["net"].dtype), below=1.0),
    )
    _check_together(settings)
    return settings


def between_records(n_steps: int) -> int:
    """Return the steps between two records of a run that does not say.

    Examples
    --------
    >>> between_records(1000)
    50
    """
    return -(-n_steps // N_RECORDS)


def _smallest_rtol(dtype: np.dtype[Any]) -> float:
    """Return the smallest relative error that a solver can keep in arithmetic of a dtype."""
    return 4.0 * float(np.finfo(dtype).eps)


def _names(argument: str, names: object, known: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise ArgumentError(f"The '{argument}' argument must be a sequence of names. Got {names!r}.")
    return tuple(dict.fromkeys(check_name(f"{argument}[{i}]", name, known) for i, name in enumerate(names)))


def _check_together(settings: Settings) -> None:
    if settings.method == "gradient_flow":
        for name, value in (
            ("momentum", settings.momentum),
            ("noise", settings.noise),
            ("batch_size", settings.batch_size),
        ):
            if value:
                raise ArgumentError(f"The '{name}' argument must be left out for gradient flow. Got {value}.")
    if "closed_form" in settings.beside:
        if settings.loss != "squared":
            raise ArgumentError(
                "The 'beside' argument must not name 'closed_form' unless the loss is squared: no other has one. "
                f"Got the loss {settings.loss!r}."
            )
        for name in ("momentum", "weight_decay", "noise", "batch_size"):
            if getattr(settings, name):
                raise ArgumentError(
                    "The 'beside' argument must not name 'closed_form', that of plain gradient flow, where there is "
                    f"{name}. Got {name} = {getattr(settings, name):g}."
                )
