r"""From conditions to a prediction, a measurement, their agreement, and whether there is a transition to linearity.

What is predicted follows from measured conditions alone (`assembly.diagnostics.conditions`): for every network the
order of :math:`\|H\| / \|\nabla f\|^2`, up to a factor that does not depend on width. What is measured is that ratio,
on the same networks. The rule, declared before any data are seen, with a band of 0.1:

* A quantity **falls** if the interval of its exponent lies below -band. It **does not fall** if its exponent is at
  least -band and the interval keeps away from the band around -1/2. Otherwise it is **open**.
* Prediction and measurement **agree** if the exponent of measured over predicted, network by network, is 0 and not
  +-1/2: its interval meets [-2 band, 2 band] and not the bands around +-1/2. The band is twice as wide because both
  carry logarithms of their own.
* **Yes**: they agree, the prediction falls, the measurement falls, and so does :math:`\|H\| R / \|\nabla f\|`, which a
  growing output cannot make small. **No**: they agree, the prediction does not
  fall, and the measurement does not contradict it by falling. **Not decided by this data**: anything else.

Networks differ most in what prediction and measurement have in common, the gradient at a saturated output, say. Paired,
it drops out: a measurement too noisy to be called flat alone can still agree with a prediction that is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.checks import check_number
from assembly.diagnostics.conditions import OUTPUT_MAP
from assembly.diagnostics.pace import FALLING, direction
from assembly.diagnostics.rates import Rate, fit_rate
from assembly.diagnostics.trend import Answer, LevelTrend, Standing, Transition
from assembly.diagnostics.verdict import DEFAULT_BAND, signed
from assembly.errors import ArgumentError, NonFiniteError, ShapeError

CONSTANT = 1.5  # a number that grows by less over all widths does not grow with them
SINGLE = 2.0  # neurons in a principal direction below which it is one of them
FIELDS = ("n_parts", "principal_share", "weight", "size", "largest_share", "neuron", "n_together", "predicted")


Values = Sequence[Sequence[float]] | Sequence[NDArray[np.float64]]


def judge_transition(
    widths: Sequence[int],
    predicted: Values,
    measured: Values,
    *,
    gradient_norm: Values | None = None,
    levels: Mapping[str, Mapping[str, Any]] | None = None,
    band: float = DEFAULT_BAND,
    seed: int = 0,
) -> Transition:
    r"""Judge whether a family of networks becomes linear, from numbers measured on each of them.

    The rule stands at the head of this module. Nothing but the numbers enters.

    Parameters
    ----------
    widths : sequence of int
        As `fit_rate` asks for.
    predicted, measured : sequence of sequences of float
        ``[i][j]``: at ``widths[i]``, of network j, the ``predicted_hessian_over_gradient_squared`` of its conditions,
        and its :math:`\|H\| / \|\nabla f\|^2`. NaN where it does not exist.
    gradient_norm : sequence of sequences of float, optional
        Likewise; tells a level that fails from an output scale that does.
    levels : mapping of str to mapping, optional
        Label -> the attributes of `Level` by name, each likewise, and "bends" a bool; "rms_cosine" if it was measured.
        From the inputs to the output. They enter the words alone, never the answer.
    band : float
        Above 0, below 1/4.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Transition
        Where no exponent can be fitted the answer is "not decided", and the reason is what `fit_rate` says.

    Raises
    ------
    ShapeError
        If the numbers do not have one row per width, or predicted and measured not the same number of networks.
    ArgumentError
        If `band` is out of range.

    Examples
    --------
    >>> widths = [32, 64, 128, 256, 512]
    >>> noise = np.exp(0.1 * np.random.default_rng(1).standard_normal((5, 10)))
    >>> falling = noise / np.sqrt(widths)[:, None]
    >>> judge_transition(widths, falling, 0.3 * falling).answer
    'yes'
    >>> judge_transition(widths, noise, 0.3 * noise).answer
    'no'
    """
    band = check_number("band", band, above=0.0, below=0.25)
    rows = {"predicted": _rows("predicted", predicted, widths), "measured": _rows("measured", measured, widths)}
    if any(len(a) != len(b) for a, b in zip(rows["predicted"], rows["measured"], strict=True)):
        raise ShapeError("The 'measured' argument must hold as many networks at every width as 'predicted'.")
    pairs = [a / np.where(b > 0.0, b, np.nan) for a, b in zip(rows["measured"], rows["predicted"], strict=True)]
    fits, reason = {}, ""
    for name, values in {**rows, "difference": pairs}.items():
        try:
            fits[name] = fit_rate(widths, [list(row) for row in values], seed=seed)
        except (ArgumentError, NonFiniteError) as error:
            reason = reason or f"No exponent of the {name} values: {error}"
    scale = None if gradient_norm is None else _fit(widths, gradient_norm, seed)
    trends = tuple(_trend(label, widths, one, band, seed) for label, one in (levels or {}).items())
    prediction, measurement, difference = (fits.get(name) for name in ("predicted", "measured", "difference"))
    agree = difference is not None and _agree(difference, band)
    answer, why = _answer(prediction, measurement, agree, band)
    if answer == "yes" and gradient_norm is not None:
        answer, why = _over_a_distance(
            widths, rows["measured"], _rows("gradient_norm", gradient_norm, widths), band, seed
        )
    return Transition(
        answer=answer,
        levels=trends,
        culprit=_culprit(trends, prediction, band),
        output_scale=scale,
        prediction=prediction,
        measurement=measurement,
        difference=difference,
        agree=agree,
        band=band,
        reason=reason or why,
    )


def _agree(difference: Rate, band: float) -> bool:
    meets = difference.lower <= 2.0 * band and difference.upper >= -2.0 * band
    return meets and difference.lower > FALLING + band and difference.upper < -FALLING - band


def _answer(prediction: Rate | None, measurement: Rate | None, agree: bool, band: float) -> tuple[Answer, str]:
    if prediction is None or measurement is None:
        return "not decided", ""
    if not agree:
        return "not decided", "Prediction and measurement do not agree."
    predicted, measured = direction(prediction, band), direction(measurement, band)
    if predicted == "falls" and measured == "falls":
        return "yes", ""
    if predicted == "does not fall" and measured != "falls":
        return "no", ""
    return "not decided", "The intervals are too wide, or between falling and flat."


def _over_a_distance(
    widths: Sequence[int],
    measured: list[NDArray[np.float64]],
    gradient_norm: list[NDArray[np.float64]],
    band: float,
    seed: int,
) -> tuple[Answer, str]:
    """Yes, if curvature falls over a fixed distance too, and not only because the output grows."""
    turned = _fit(widths, [a * b for a, b in zip(measured, gradient_norm, strict=True)], seed)
    if turned is not None and direction(turned, band) == "falls":
        return "yes", ""
    power = "no exponent" if turned is None else f"m^{signed(turned.exponent)}"
    return "not decided", (
        f"The output grows: over a fixed distance, by ||H|| R / ||grad f||, there is no clear fall ({power})."
    )


def _culprit(levels: tuple[LevelTrend, ...], prediction: Rate | None, band: float) -> str:
    """The first level that fails, from the inputs on: what is above fails because of it.

    Where sums right above fail too, the parts they are sums of are the better name.
    """
    if prediction is None or direction(prediction, band) != "does not fall" or not levels:
        return ""
    failing = [level.standing not in ("weak", "open") for level in levels]
    at = next((i for i, level in enumerate(levels) if level.bends and failing[i]), None)
    if at is None:
        return "" if any(level.bends and level.standing == "open" for level in levels) else "output scale"
    while at + 1 < len(levels) and failing[at + 1] and not levels[at + 1].bends:
        at += 1
    return levels[at].label


def _trend(label: str, widths: Sequence[int], columns: Mapping[str, Any], band: float, seed: int) -> LevelTrend:
    values = {name: _rows(f"levels[{label!r}][{name!r}]", columns[name], widths) for name in FIELDS}
    widest = int(np.argmax(widths))
    at_widest = {name: _median(rows[widest]) for name, rows in values.items() if name not in ("n_parts", "neuron")}
    led = values["neuron"][widest]
    at_widest["neuron"] = float(np.bincount(led[~np.isnan(led)].astype(int)).argmax()) if (led >= 0).any() else math.nan
    order = np.argsort(widths)
    n_parts = tuple(_median(values["n_parts"][i]) for i in order)
    predicted = _fit(widths, values["predicted"], seed)
    cosines = columns.get("rms_cosine")
    return LevelTrend(
        label=label,
        bends=bool(columns["bends"]),
        standing=_standing(label, predicted, n_parts, at_widest, band),
        predicted=predicted,
        principal_share=_fit(widths, values["principal_share"], seed),
        largest_share=_fit(widths, values["largest_share"], seed),
        size=_fit(widths, values["size"], seed),
        rms_cosine=None if cosines is None else _fit(widths, cosines, seed),
        n_parts=n_parts,
        at_widest=at_widest,
    )


def _standing(
    label: str, predicted: Rate | None, n_parts: tuple[float, ...], at_widest: Mapping[str, float], band: float
) -> Standing:
    way = "open" if predicted is None else direction(predicted, band)
    if way != "does not fall":
        return "weak" if way == "falls" else "open"
    if label == OUTPUT_MAP:
        return "non-linear"
    if n_parts[-1] < CONSTANT * n_parts[0]:
        return "narrow"
    return "dominated" if at_widest["n_together"] < SINGLE else "alike"


def _rows(name: str, values: Values, widths: Sequence[int]) -> list[NDArray[np.float64]]:
    rows = [np.asarray(row, dtype=np.float64) for row in values]
    if len(rows) != len(widths) or any(row.ndim != 1 for row in rows):
        raise ShapeError(f"The '{name}' argument must hold one sequence of numbers for each of {len(widths)} widths.")
    return rows


def _median(row: NDArray[np.float64]) -> float:
    usable = row[~np.isnan(row)]
    return float(np.median(usable)) if len(usable) else math.nan


def _fit(widths: Sequence[int], values: Values, seed: int) -> Rate | None:
    try:
        return fit_rate(widths, [list(row) for row in values], seed=seed)
    except (ArgumentError, NonFiniteError):
        return None
