"""The step size of a run, what it would be by default, and where it stops being stable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assembly.dynamics.losses import LOSSES
from assembly.dynamics.rule import default_step_size, explanation, largest_of_batches, stable_below

if TYPE_CHECKING:
    from assembly.calculus.evaluation import Evaluation
    from assembly.dynamics.settings import Settings


@dataclass(frozen=True)
class StepSize:
    """The step size of a run; the formulas are those of `assembly.dynamics.rule`.

    Attributes
    ----------
    value : float
        The one asked for, or the default.
    default, stable_below : float
    fraction : str
        How `stable_below` comes about.
    """

    value: float
    default: float
    stable_below: float
    fraction: str

    @property
    def explanation(self) -> str:
        """Why gradient descent diverged, and what to try."""
        return explanation(self.value, self.stable_below, self.default, self.fraction)


def step_size_of(settings: Settings, origin: Evaluation, kernel: NDArray[np.float64] | None) -> StepSize:
    """Return the step size of a run.

    Parameters
    ----------
    settings : Settings
    origin : Evaluation
        Of the network at w0, at all training inputs.
    kernel : ndarray or None
        Its tangent kernel, as `assembly.dynamics.rule.written_kernel` gives it.
    """
    bend = LOSSES[settings.loss].largest_bend
    steepest = bend * largest_of_batches(origin, kernel, settings.batch_size) + settings.weight_decay
    above = "2 (1 + momentum)" if settings.momentum else "2"
    below = "lambda_max" if bend == 1.0 else f"{bend:g} lambda_max"
    below = f"({below} + weight_decay)" if settings.weight_decay else below if bend == 1.0 else f"({below})"
    default = default_step_size(steepest)
    return StepSize(
        value=default if settings.step_size is None else settings.step_size,
        default=default,
        stable_below=stable_below(steepest, settings.momentum),
        fraction=f"{above} / {below}",
    )
