"""A transition in words: which condition holds or fails, what follows, what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assembly.diagnostics.pace import direction, is_steady
from assembly.diagnostics.rates import Rate
from assembly.diagnostics.verdict import signed

if TYPE_CHECKING:
    from assembly.diagnostics.transition import LevelTrend, Transition

RATIO = "||H|| / ||grad f||^2"
SLOW = -0.6  # largest shares of diverse parts fall faster: like 1/m, but for logarithms


def sentences(transition: Transition) -> list[str]:
    """Return conditions, prediction with measurement, and answer."""
    found = [*_conditions(transition), _comparison(transition), transition.reason]
    by_data = " by this data" if transition.answer == "not decided" else ""
    return [*filter(None, found), f"Transition to linearity: {transition.answer}{by_data}."]


def _conditions(transition: Transition) -> list[str]:
    """What holds, or what fails and where."""
    worst = transition.worst
    if worst is None:
        return []
    if worst.label == transition.culprit:
        return [_failure(worst)]
    single, merged = worst.largest_share, worst.principal_share
    cosines = "" if worst.rms_cosine is None else f", rms cosine ~ {_power(worst.rms_cosine)}"
    found = [
        f"Dominance: largest share ({worst.label}) ~ {_power(single)}: {_pace(single, transition.band, 'weak')}.",
        f"Diversity: with parallel gradients merged ~ {_power(merged)}{cosines}: "
        f"{_pace(merged, transition.band, 'diverse')}.",
    ]
    if worst.size is not None and not is_steady(worst.size, transition.band):
        found.append(f"Gradients of the parts ~ {_power(worst.size)}.")
    if (scale := transition.output_scale) is not None:
        found.append(f"Output scale: ||grad f|| ~ {_power(scale)}: {_scale(scale, transition)}.")
    return found


def _pace(rate: Rate | None, band: float, good: str) -> str:
    """Return what a falling share means, and how far."""
    if rate is None or rate.upper >= -band:
        return "open"
    return good if rate.exponent < SLOW else f"{good} in part"


def _scale(scale: Rate, transition: Transition) -> str:
    if is_steady(scale, transition.band):
        return "of order 1"
    lost = transition.culprit == "output scale"
    return "not of order 1, and per unit of output nothing is gained" if lost else "not of order 1"


def _failure(level: LevelTrend) -> str:
    share = _power(level.principal_share)
    carried = f"{100.0 * level.at_widest['largest_share']:.0f} %"
    where, last = level.label[0].upper() + level.label[1:], level.n_parts[-1]
    if level.standing == "non-linear":
        return f"The output map bends: it is a level of its own, and its largest share does not fall ({share})."
    if level.standing == "narrow":
        neurons = "1 neuron that counts" if last == 1 else f"{last:.0f} neurons that count"
        return f"{where}: {neurons} at every width, and the largest share does not fall ({share}): narrow."
    if level.standing == "dominated":
        neuron = f"neuron {level.at_widest['neuron']:.0f} carries {carried} at the largest width"
        return f"{where}: {neuron}, and its share does not fall ({share}): dominated."
    return (
        f"{where}: about {level.at_widest['n_together']:.0f} of {last:.0f} neurons have parallel gradients, and the "
        f"share they have together does not fall ({share}): not diverse."
    )


def _comparison(transition: Transition) -> str:
    prediction, measurement = transition.prediction, transition.measurement
    if prediction is None or measurement is None:
        return ""
    flat = direction(prediction, transition.band) == "does not fall"
    predicted = f": {RATIO} does not fall ({_power(prediction)})" if flat else f" {RATIO} ~ {_power(prediction)}"
    interval = f"[{signed(measurement.lower)}, {signed(measurement.upper)}]"
    verdict = "they agree" if transition.agree else "they do not agree"
    return f"Predicted{predicted}; measured {_power(measurement)} {interval}: {verdict}."


def _power(rate: Rate | None) -> str:
    return "no power of m" if rate is None else f"m^{signed(rate.exponent)}"
