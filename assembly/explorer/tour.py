"""The guided tour: seven steps from few neurons to any graph. Each sets the controls, and asks what they show.

What is right is computed when it is asked for, from the state of the step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assembly.explorer.answers import Stop, judged, numbers
from assembly.explorer.state import LOOKED_AT, State, network
from assembly.lessons.question import Choice, Number, Question, Reply

TOUR = "tour"
_FREE = ("width", "row", "points", "radius", *LOOKED_AT)
NEAR = 0.02  # of a number that is read off the page
_NEVER: Stop = lambda: False  # noqa: E731


@dataclass(frozen=True)
class Step:
    """One step of the tour.

    Attributes
    ----------
    title : str
    words : str
        What is seen, and why.
    look : str
        What to look at.
    question : str
    names : tuple of str
        What can be answered; empty where it is a number.
    state : State
        Where it begins.
    made : callable
        (state, question, stop) -> the `Question` with its right answer.
    """

    title: str
    words: str
    look: str
    question: str
    names: tuple[str, ...]
    state: State
    made: Callable[[State, str, Stop], Question]


def start(position: int) -> State:
    """Return the state at which a step begins, counted from 1.

    Examples
    --------
    >>> start(6).middle
    1
    """
    return STEPS[position - 1].state.replace(panel=TOUR, tour_step=position)


def is_a_step(state: State) -> bool:
    """Return whether a state is that of a step, but for its width and what is looked at.

    Examples
    --------
    >>> is_a_step(start(2).replace(width=64, panel="linear")), is_a_step(State())
    (True, False)
    """
    return any(step.state.equals_but_for(state, _FREE) for step in STEPS)


def reply(position: int, answer: object, stop: Stop = _NEVER) -> Reply:
    """Return what is said to an answer to a step, counted from 1.

    Raises
    ------
    ArgumentError, UnknownNameError
        If it is no answer: not a finite number, or none of the names.

    Notes
    -----
    Cost: that of the numbers or the verdict at the state of the step.

    Examples
    --------
    >>> reply(3, "dominance").right
    False
    """
    step = STEPS[position - 1]
    return step.made(step.state, step.question, stop).reply(answer)


def _turn(state: State, words: str, stop: Stop) -> Question:
    found = numbers(state, stop)
    value = found.hessian_times_radius_over_gradient
    return Number(
        words,
        value,
        NEAR * value,
        [
            (found.hessian_norm, "That is ||H|| alone. How large it is says nothing without the slope beside it."),
            (found.hessian_over_gradient_squared, "That is the turn while the output moves by 1, not within R = 1."),
            (found.gradient_norm, "That is the slope itself. The question is how far it turns."),
        ],
        why="Within a distance of 1 the slope turns by about as much as it is long: nothing like a straight line.",
        hint="Read it off the fourth box above, with its digits.",
    )


def _fall(state: State, words: str, stop: Stop) -> Question:
    narrow, wide = (numbers(state.replace(width=width), stop).hessian_norm for width in (64, 1024))
    return Number(
        words,
        narrow / wide,
        0.5,
        [
            (16.0, "That is how many times as many neurons there are. Read ||H|| at both widths."),
            (1.0, "Then nothing would become linear. Turn the dial to both widths and read ||H||."),
            (wide / narrow, "The other way round: the larger one divided by the smaller one."),
        ],
        why="Sixteen times as many parts, each 4 times weaker, and the curvature is that of the loudest: 1/sqrt(m).",
        hint="Turn the width to 64, read ||H||, turn it to 1024, read it again, and divide.",
    )


def _gauge(state: State, words: str, stop: Stop) -> Question:
    found = judged(state, stop)
    is_loud, is_alike = found.dominance.value > 0.1, found.diversity.value < 0.1
    right = {(True, False): "dominance", (False, True): "diversity", (True, True): "both", (False, False): "neither"}
    hints = {
        "dominance": "Read its percentage: is any neuron louder than its equal share?",
        "diversity": "Read its number: 1 is all different.",
        "both": "Read both: one of them looks as in the best of networks.",
        "neither": "Read both: one of them could not be lower.",
    }
    name = right[is_loud, is_alike]
    return Choice(
        words,
        name,
        {other: hint for other, hint in hints.items() if other != name},
        why="No part is louder than another, and all pull alike: m copies add up to one, whatever m is.",
    )


def _counts(state: State, words: str, stop: Stop) -> Question:
    found = judged(state, stop).culprits[0]
    return Number(
        words,
        found.counts_as,
        0.5,
        [
            (float(state.width), "So many there are. As how many does their layer count, in the verdict?"),
            (1.0, "Nearly, but the others have something to say: the verdict names a number."),
            (50.0, "That is a share in percent. As how many parts does the layer count?"),
        ],
        why="Half of everything is in one part, so together they count as a handful: adding more changes nothing.",
        hint="Read the verdict at the top: it says as how many the layer counts.",
    )


def _deep(state: State, words: str, stop: Stop) -> Question:
    narrow, wide = (
        numbers(state.replace(width=width), stop).hessian_times_radius_over_gradient for width in (256, 1024)
    )
    return Number(
        words,
        narrow / wide,
        0.35,
        [
            (4.0, "That is how many times wider it is. Read the number at both widths."),
            (1.0, "Turn the dial to both widths: it does fall."),
            (wide / narrow, "The other way round: the number at 256 divided by that at 1024."),
        ],
        why="As with one hidden layer: every neuron is an assembly of those below, and each of them becomes linear.",
        hint="Turn the width to 256 and to 1024, read ||H|| R / ||grad f|| at both, and divide.",
    )


def _culprit(state: State, words: str, stop: Stop) -> Question:
    hints = {
        "layer 1, neuron 0": "It is one of 512 in its layer. Which layer has fewer?",
        "layer 2, neuron 0": "Count the layers from the inputs: which one is narrow?",
        "layer 3, neuron 0": "Its layer is wide again. Which one is not?",
        "no neuron": "The verdict at the top names one: read it to its end.",
    }
    name = judged(state, stop).culprits[0].name
    return Choice(
        words,
        name,
        {other: hint for other, hint in hints.items() if other != name},
        why="All that the output depends on goes through it. Its curvature is that of the network, at any width.",
    )


def _width(state: State, words: str, stop: Stop) -> Question:
    layers = network(state).layers
    return Number(
        words,
        float(numbers(state, stop).width),
        0.5,
        [
            (float(layers[1].size), "So many neurons a layer has, and half of them read all of these. And the others?"),
            (float(layers[0].size), "So many numbers an input has: the first layer's in-degree does not count."),
            (float(len(layers) - 1), "That is the depth. The width is the smallest number of edges into a neuron."),
        ],
        why="Neurons with few parents are the least assembled of all: the smallest in-degree decides, on any graph.",
        hint="The box 'width' above has it; the words about this architecture say what is uneven.",
    )


STEPS = (
    Step(
        "Few neurons",
        "The value of a neuron is a curved function of its weights. Here are two of them, side by side, and their sum "
        "is as curved as they are: ||H|| is the curvature, ||grad f|| the slope.",
        "The numbers above. Then open 'Is it linear?': along the gradient the curve leaves its tangent.",
        "By how much does the slope turn within a distance R = 1? Type ||H|| R / ||grad f||.",
        (),
        State(width=2, depth=1, seed=5),
        _turn,
    ),
    Step(
        "Many weak ones",
        "With m neurons the sum is divided by sqrt(m), so that the output keeps its size. The slope adds up over all "
        "neurons; the curvature is only the largest of theirs.",
        "||grad f|| and ||H|| while you turn the width dial on the left.",
        "How many times smaller is ||H|| at width 1024 than at width 64?",
        (),
        State(width=1024, depth=1),
        _fall,
    ),
    Step(
        "Copies of one",
        "512 parts again, small networks of 8 neurons this time, and all of them share their parameters. They are many "
        "and the sum is not linear. (The box 'width' says 8: that of the narrowest layer.)",
        "The two gauges below the verdict.",
        "Which of the gauges gives it away?",
        ("dominance", "diversity", "both", "neither"),
        State(builder="tied", width=512, depth=1),
        _gauge,
    ),
    Step(
        "One that shouts",
        "512 different networks, and one has a coefficient as large as all others together. Its curvature is not "
        "divided by anything: what dominates does not average out.",
        "The verdict: it names the one.",
        "As how many does the layer of these 512 count?",
        (),
        State(builder="dominated", width=512, depth=1),
        _counts,
    ),
    Step(
        "Assemblies of assemblies",
        "Three hidden layers: a neuron of the second is an assembly of those of the first, and so on up to the output. "
        "Its parts are not independent any more, for they share everything below.",
        "||H|| R / ||grad f|| at the widths 256 and 1024.",
        "How many times smaller is it at width 1024 than at width 256?",
        (),
        State(width=256, depth=3),
        _deep,
    ),
    Step(
        "The bottleneck",
        "Two wide layers, and between them a single neuron. Every layer but one is as wide as before.",
        "The verdict, and 'The assembly', where the narrow layer is drawn.",
        "Which neuron stops the network from becoming linear?",
        ("layer 1, neuron 0", "layer 2, neuron 0", "layer 3, neuron 0", "no neuron"),
        State(width=512, depth=2, middle=1),
        _culprit,
    ),
    Step(
        "Any graph",
        "Layers are not needed: a network may be any graph without cycles. In this one some neurons read a few of "
        "those below, others all of them.",
        "The words below the architecture, and the box 'width'.",
        "What is the width of this graph?",
        (),
        State(builder="uneven_dag", width=128, depth=2),
        _width,
    ),
)
