"""How a family of networks moves with width: at every level and as a whole, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from assembly.diagnostics.pace import direction, is_steady
from assembly.diagnostics.rates import Rate
from assembly.diagnostics.verdict import signed

Answer = Literal["yes", "no", "not decided"]
Standing = Literal["weak", "narrow", "dominated", "alike", "non-linear", "open"]

RATIO = "||H|| / ||grad f||^2"
SLOW = -0.6  # largest shares of diverse parts fall faster: like 1/m, but for logarithms


@dataclass(frozen=True)
class LevelTrend:
    """How the conditions at one level move with width.

    Attributes
    ----------
    label : str
    bends : bool
        Whether curvature begins there.
    standing : str
        "weak": what it predicts falls with width. Where it does not, the reason: "narrow" (as few neurons that count at
        every width), "dominated" (by one neuron), "alike" (many neurons, parallel gradients), "non-linear" (the output
        map). "open" if the data leave it open.
    predicted : Rate or None
        Of ``||H|| / ||grad f||`` by this level; None if no exponent could be fitted.
    principal_share, largest_share, size, rms_cosine : Rate or None
        Of the largest share with parallel gradients merged, of that of a single neuron, of the gradients of the parts,
        and of the cosines.
    n_parts : tuple of float
        Median number of neurons that contribute, at every width.
    at_widest : mapping of str to float
        Medians at the largest width: "principal_share", "largest_share", "n_together", "weight", "size"; and "neuron",
        who leads at most seeds.
    """

    label: str
    bends: bool
    standing: Standing
    predicted: Rate | None
    principal_share: Rate | None
    largest_share: Rate | None
    size: Rate | None
    rms_cosine: Rate | None
    n_parts: tuple[float, ...]
    at_widest: Mapping[str, float]


@dataclass(frozen=True)
class Transition:
    """Whether a family of networks becomes linear with width, with everything that led to the answer.

    Attributes
    ----------
    answer : {"yes", "no", "not decided"}
    levels : tuple of LevelTrend
        From the inputs to the output.
    culprit : str
        Which condition keeps the prediction from falling: the label of a level or "output scale"; empty if it falls.
    output_scale : Rate or None
        Of ``||grad f||``.
    prediction, measurement : Rate or None
        Of ``||H|| / ||grad f||^2``; None if no exponent could be fitted.
    difference : Rate or None
        Of measured over predicted, network by network.
    agree : bool
        Whether prediction and measurement agree.
    band : float
    reason : str
        Why it is not decided; empty otherwise.
    """

    answer: Answer
    levels: tuple[LevelTrend, ...]
    culprit: str
    output_scale: Rate | None
    prediction: Rate | None
    measurement: Rate | None
    difference: Rate | None
    agree: bool
    band: float
    reason: str

    @property
    def worst(self) -> LevelTrend | None:
        """The level that decides: the culprit, or else the one with the largest prediction at the largest width."""
        named = [level for level in self.levels if level.label == self.culprit]
        bending = [level for level in self.levels if level.bends and level.predicted is not None]
        return named[0] if named else max(bending, key=_at_widest, default=None)

    @property
    def text(self) -> str:
        """Conditions, prediction, measurement, agreement and answer in a few sentences."""
        return " ".join(_sentences(self))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, strings and lists, for JSON; what could not be fitted is None."""
        return {
            "answer": self.answer,
            "culprit": self.culprit,
            "band": self.band,
            "agree": self.agree,
            "reason": self.reason,
            "prediction": _rate(self.prediction),
            "measurement": _rate(self.measurement),
            "difference": _rate(self.difference),
            "output_scale": _rate(self.output_scale),
            "levels": [
                {
                    "label": level.label,
                    "bends": level.bends,
                    "standing": level.standing,
                    "predicted": _rate(level.predicted),
                    "principal_share": _rate(level.principal_share),
                    "largest_share": _rate(level.largest_share),
                    "size": _rate(level.size),
                    "rms_cosine": _rate(level.rms_cosine),
                    "n_parts": list(level.n_parts),
                    "at_widest": dict(level.at_widest),
                }
                for level in self.levels
            ],
            "text": self.text,
        }


def _at_widest(level: LevelTrend) -> float:
    return level.at_widest["predicted"]


def _rate(rate: Rate | None) -> dict[str, float] | None:
    return None if rate is None else {"exponent": rate.exponent, "lower": rate.lower, "upper": rate.upper}


def _sentences(transition: Transition) -> list[str]:
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
