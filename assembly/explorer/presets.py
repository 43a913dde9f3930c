"""States worth seeing first, good and bad: what each shows, and the verdict it must get."""

from __future__ import annotations

from dataclasses import dataclass

from assembly.explorer.state import State


@dataclass(frozen=True)
class Preset:
    """A state with its commentary.

    Attributes
    ----------
    title : str
    sentences : tuple of str
        Two: what is seen, and why.
    state : State
    word : str
        One of `assembly.explorer.answers.WORDS`: what `judged` must say of it.
    """

    title: str
    sentences: tuple[str, str]
    state: State
    word: str


_PRESETS = (
    Preset(
        "three weak layers",
        (
            "Three hidden layers of 512 neurons, and no neuron has more than a few percent of its layer's gradient.",
            "Many weak and different sub-models are added up, so the curvature of the sum is small beside its slope.",
        ),
        State(width=512, depth=3),
        "nearly linear",
    ),
    Preset(
        "one neuron in the middle",
        (
            "Between two wide layers stands a layer of a single neuron, and all that the output depends on goes "
            "through it.",
            "However wide the others are, that neuron is no weak part of the output, and its curvature stays.",
        ),
        State(width=512, depth=2, middle=1),
        "narrow layer",
    ),
    Preset(
        "the output bends",
        (
            "A wide network as any other, but its output passes through a sigmoid.",
            "The assembly before the sigmoid becomes linear; the sigmoid bends all the same, whatever the width.",
        ),
        State(width=512, depth=2, output_activation="sigmoid"),
        "bent output",
    ),
    Preset(
        "one shouts",
        (
            "512 small networks are added up, and one of them has a coefficient as large as all others together.",
            "The width is large and the sum is still dominated: its curvature is that of the loud one.",
        ),
        State(builder="dominated", width=512, depth=1),
        "loud neuron",
    ),
    Preset(
        "copies of one",
        (
            "512 small networks are added up that share all their parameters: they are the same one.",
            "Each has a small share of the output, but their gradients are parallel, and copies count as one.",
        ),
        State(builder="tied", width=512, depth=1),
        "copies",
    ),
    Preset(
        "uneven DAG",
        (
            "Half of the neurons of a layer read 128 neurons below, the other half all 1449 of them.",
            "In-degrees may differ as much as they like: the smallest one is the width, and it decides.",
        ),
        State(builder="uneven_dag", width=128, depth=2),
        "nearly linear",
    ),
    Preset(
        "mean field",
        (
            "The readout is divided by the width m instead of its square root, so output and slope become small.",
            "Within a distance of 1 the network is linear, but to move the output by 1 the parameters must go so far "
            "that it bends.",
        ),
        State(width=512, depth=2, gamma=1.0),
        "linear nearby only",
    ),
)
PRESETS: dict[str, Preset] = {one.title: one for one in _PRESETS}
