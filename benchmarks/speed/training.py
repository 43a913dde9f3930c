"""What every side trains: steps of full-batch gradient descent on the squared loss, from the weights of the network."""

from __future__ import annotations

from typing import Any

import numpy as np

N_STEPS = 200


def targets(X: Any) -> Any:
    """Return a target of -1 or 1 for every input."""
    return np.where(X[:, 0] > 0.0, 1.0, -1.0).astype(X.dtype)


def step_size(X: Any) -> float:
    """Return a step size at which the loss, a sum over the inputs, falls."""
    return 0.5 / len(X)
