"""What is computed from times and answers: medians, ratios, errors, fits."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

RIGHT = 1e-4  # an answer with a larger relative error counts as wrong


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, fastest and slowest of some times."""
    return {"seconds": statistics.median(seconds), "fastest": min(seconds), "slowest": max(seconds)}


def error(answer: Any, truth: Any, by_number: bool) -> float:
    """Return the relative error of an answer: the largest of its numbers', or that of the whole vector."""
    found, right = np.ravel(answer).astype(np.float64), np.ravel(truth).astype(np.float64)
    if found.shape != right.shape:
        return math.inf
    if by_number:
        return float(np.max(np.abs(found - right) / np.abs(right)))
    return float(np.linalg.norm(found - right) / np.linalg.norm(right))


def is_right(side: dict[str, Any]) -> bool:
    """Return whether a side finished with an answer that is right, or need not be compared."""
    return side["status"] == "ok" and (side.get("error") is None or side["error"] <= RIGHT)


def unsound(records: dict[str, dict[str, Any]]) -> list[str]:
    """Return which sides of ours did not finish with a right answer, as ``case: why``."""
    return [
        f"{name}: {side['label']}: {side.get('reason') or 'wrong'}"
        for name, record in records.items()
        for key, side in record["sides"].items()
        if key.startswith("ours") and not is_right(side)
    ]


def best(sides: dict[str, dict[str, Any]], keys: Sequence[str]) -> str | None:
    """Return which of some sides was fastest with a right answer, if any was."""
    right = [key for key in keys if key in sides and is_right(sides[key])]
    return min(right, key=lambda key: float(sides[key]["seconds"]), default=None)


def ratio(peer: dict[str, Any], ours: dict[str, Any]) -> float:
    """Return how many times as long a peer took; where both ran beside a reference of their own, through it."""
    if peer.get("group") == ours.get("group"):
        return float(peer["seconds"] / ours["seconds"])
    return float(peer["seconds"] / peer["reference_seconds"] * ours["reference_seconds"] / ours["seconds"])


def power_law(sizes: Sequence[float], values: Sequence[float]) -> tuple[float, float] | None:
    """Return exponent and standard error of ``values ~ sizes^exponent`` by least squares of the logarithms.

    None for fewer than three sizes, which leave no error to be estimated.
    """
    if len(set(sizes)) < 3:
        return None
    x, y = np.log(np.asarray(sizes, float)), np.log(np.asarray(values, float))
    x = x - x.mean()
    slope = float(x @ y / (x @ x))
    rest = y - y.mean() - slope * x
    return slope, float(math.sqrt(rest @ rest / (len(x) - 2) / (x @ x)))
