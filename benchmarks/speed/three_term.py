"""Lanczos with three terms, nothing stored and nothing re-orthogonalised: what the peers' steps are driven by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

MAX_STEPS = 400
SAFETY = 0.9  # a residual that is estimated must be a little below the tolerance


def ritz(alphas: list[float], betas: list[float]) -> tuple[float, Any, float]:
    """Return the Ritz value of largest magnitude, its coordinates in the basis, and its estimated residual."""
    from scipy.linalg import eigh_tridiagonal

    values, vectors = eigh_tridiagonal(np.array(alphas), np.array(betas[:-1]))
    best = int(np.argmax(np.abs(values)))
    return float(values[best]), vectors[:, best], betas[-1] * abs(float(vectors[-1, best]))


def is_due(step: int, last: int) -> bool:
    """Return whether the Ritz value is looked at after this step: ever more rarely."""
    return step - last >= max(2, last // 10)


def iterate(
    start: Callable[[], Any],
    step: Callable[[Any, Any, float], tuple[Any, Any, Any]],
    add: Callable[[Any, float, Any], Any],
    residual: Callable[[Any, float], float],
    tol: float,
    keep: bool = False,
) -> dict[str, Any]:
    """Return the norm, its verified residual, and how often the Hessian was applied.

    Parameters
    ----------
    start : callable
        () -> the first vector, of length 1; it must not be changed by a step.
    step : callable
        (v, previous or None, beta) -> (next v, alpha, beta). It may reuse `previous`, unless vectors are kept.
    add : callable
        (sum or None, coefficient, v) -> sum + coefficient v.
    residual : callable
        (vector, value) -> ``|H vector - value vector| / |value vector|``.
    tol : float
    keep : bool
        Keep all vectors; otherwise the recurrence runs again for the Ritz vector, as in `residual` it needs one.
    """
    alphas: list[float] = []
    betas: list[float] = []
    v, previous, beta, last, value = start(), None, 0.0, 0, 0.0
    kept = [v] if keep else []
    while True:
        following, a, b = step(v, previous, beta)
        alphas.append(float(a))
        betas.append(beta := float(b))
        v, previous = following, v
        n_steps = len(alphas)
        if is_due(n_steps, last) or n_steps >= MAX_STEPS or beta == 0.0:
            last = n_steps
            value, coordinates, estimated = ritz(alphas, betas)
            if estimated <= SAFETY * tol * abs(value) or n_steps >= MAX_STEPS or beta == 0.0:
                break
        if keep:
            kept.append(v)
    del following
    vector, n_again = None, 0
    if keep:
        for coefficient, old in zip(coordinates, kept, strict=True):
            vector = add(vector, float(coefficient), old)
    else:
        v, previous, beta = start(), None, 0.0
        for i, coefficient in enumerate(coordinates):
            vector = add(vector, float(coefficient), v)
            if i + 1 < n_steps:
                following, _, _ = step(v, previous, beta)
                v, previous, beta, n_again = following, v, betas[i], n_again + 1
    return {"value": abs(value), "residual": residual(vector, value), "steps": n_steps + n_again + 1}
