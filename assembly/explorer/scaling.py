"""Studies over widths and seeds that are put together on the page: what is measured, and what it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from assembly import data as datasets
from assembly.diagnostics.rates import MINIMUM_SPAN
from assembly.errors import ArgumentError, ResourceError
from assembly.explorer.state import LARGEST_NETWORK, MOST_MEASURED, MOST_SEEDS, QUANTITIES, WIDEST, State, checked
from assembly.forecasting import forecast as library_forecast
from assembly.memory import gibibytes
from assembly.progress import duration
from assembly.study import design, engine, quantities, reading
from assembly.study.builders import BUILDERS
from assembly.study.precedents import claims_on
from assembly.study.runner import check_memory, memory_needed
from assembly.study.specification import ArchitectureSpecification, Specification

MOST_ARCHITECTURES = 6  # colours of the picture
MOST_POINTS = 2000  # of a study
MOST_STEPS = 10_000  # of training at a point
MOST_LAYERS = 16
LONGEST_RUN = 7200.0  # seconds
TOLERANCE = 1e-4
NAME = "scaling"
_COUNTS = ("n_blocks", "n_layers", "n_factors", "reach", "n_outputs")
_STARTING = 4.0  # seconds until a worker measures
_PASSES = 30  # gradients that a point takes at an input besides the norm of the Hessian
_PASSES_OF_TRAINING = 4  # and at every step, where networks are trained
_TRAINED = {*quantities.TRAINED, *quantities.NOISY, *quantities.RATES, *quantities.LINEAR_UNITS}
_USUAL = {"activation": "tanh", "output_activation": "identity", "gamma": 0.5, "readout": "sign"}
_SHORT = {"output_activation": "output-", "gamma": "gamma-", "readout": ""}


# --- what is measured ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choices:
    """What a visitor chooses of a study besides its architectures.

    Attributes
    ----------
    quantity : str
        A key of `QUANTITIES`; what never comes alone comes with it.
    narrowest, widest : int
        The widths go from one to the other by factors of 2.
    seeds, n_measured : int
        Networks at each width, and inputs at which each is measured.

    Raises
    ------
    ArgumentError, UnknownNameError
        If a number is out of range, the widths span less than a factor of 10, or there is no such quantity.

    Examples
    --------
    >>> Choices(narrowest=8, widest=100).widths
    (8, 16, 32, 64, 100)
    """

    quantity: str = State.quantity
    narrowest: int = State.narrowest
    widest: int = State.widest
    seeds: int = State.seeds
    n_measured: int = State.n_measured

    def __post_init__(self) -> None:
        for one in fields(self):
            checked(one.name, getattr(self, one.name))
        if self.widest < MINIMUM_SPAN * self.narrowest:
            raise ArgumentError(
                f"The 'widest' argument must be at least {MINIMUM_SPAN} times 'narrowest', here "
                f"{MINIMUM_SPAN * self.narrowest}: less shows no exponent. Got {self.widest}."
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """From the narrowest by factors of 2, and the widest."""
        doublings = range(math.ceil(math.log2(self.widest / self.narrowest)))
        return (*(self.narrowest * 2**k for k in doublings), self.widest)


def label(state: State) -> str:
    """Return the name of the architecture of a state in a study: all that is not as usual.

    Examples
    --------
    >>> label(State()), label(State(depth=3, middle=1, activation="relu", gamma=1.0))
    ('mlp-2', 'mlp-3-middle-1-relu-gamma-1')
    """
    words = [state.builder, str(state.depth)]
    words += [] if state.middle is None else [f"middle-{state.middle}"]
    for key, usual in _USUAL.items():
        value = getattr(state, key)
        if value not in (None, usual):
            words.append(f"{_SHORT.get(key, '')}{str(value).removesuffix('.0')}")
    return "-".join(words)


def specified(states: Sequence[State], choices: Choices) -> Specification:
    """Return the study of these architectures: builder and options of every state, data and radius of the last.

    Predictions are those that studies of the package declare of such architectures,
    `assembly.study.precedents.claims_on`.

    Parameters
    ----------
    states : sequence of State
        Equal architectures count once.
    choices : Choices

    Raises
    ------
    ArgumentError
        If there is no state or more than six, one is a network in a file, or the data are points painted by hand.
    ConfigurationError
        If the study is none.

    Examples
    --------
    >>> study = specified([State(), State(middle=1)], Choices())
    >>> [(one.architecture, one.quantity, one.prediction) for one in study.claims if one.quantity == "hessian_norm"]
    [('mlp-2', 'hessian_norm', -0.5), ('mlp-2-middle-1', 'hessian_norm', 0.0)]
    """
    named = {label(state): state for state in states}
    if not 1 <= len(named) <= MOST_ARCHITECTURES:
        raise ArgumentError(
            f"The 'states' argument must hold 1 to {MOST_ARCHITECTURES} architectures. Got {len(named)}."
        )
    last = states[-1]
    files = [state.file for state in states if state.file is not None]
    if files:
        raise ArgumentError(
            "The 'states' argument must hold architectures of the explorer: a network in a file has one width. "
            f"Got {files[0]!r}."
        )
    if last.data not in datasets.BUILT_IN:
        raise ArgumentError(
            f"The 'data' argument must be one of {', '.join(datasets.BUILT_IN)} for a study. Got {last.data!r}: inputs "
            "that are painted or drawn here stand in no file that a study could name, and a study scales its inputs, "
            "which these are not. Choose one of the data sets on the left; or write points of your own into a CSV "
            "file, two numbers and a class in a line, name it as 'source' under [data] in a study.toml, and run "
            "`assembly study study.toml`."
        )
    entries = [_entry(name, state) for name, state in named.items()]
    claims = [claim for one in entries for claim in claims_on(one, [choices.quantity])]
    return reading.validate(
        {
            "name": NAME,
            "title": f"{QUANTITIES[choices.quantity]} over widths, from the explorer",
            "widths": list(choices.widths),
            "seeds": choices.seeds,
            "radius": last.radius,
            "tol": TOLERANCE,
            "quantities": [choices.quantity],
            "data": {"source": last.data, "n_measured": choices.n_measured},
            "architectures": [one.model_dump(exclude_none=True) for one in entries],
            "claims": [one.model_dump(exclude_none=True) for one in claims],
        },
        origin=NAME,
    )


def _entry(name: str, state: State) -> ArchitectureSpecification:
    options = {key: value for key, value in state.options.items() if value is not None}
    return reading.architecture({"label": name, "builder": state.builder, **options})


def check_limits(study: Specification) -> None:
    """Raise `ResourceError` if a study is too large for a page; the message says what, and that the command runs it."""
    limited = [
        ("widths", max(study.all_widths), WIDEST),
        ("seeds", study.seeds, MOST_SEEDS),
        ("data.n_measured", study.data.n_measured, MOST_MEASURED),
        ("training_steps", study.training_steps, MOST_STEPS),
        ("architectures", len(study.architectures), MOST_ARCHITECTURES),
        ("points", study.seeds * sum(len(study.widths_of(one)) for one in study.architectures), MOST_POINTS),
    ]
    for entry in study.architectures:
        for key, value in entry.options.items():
            limited.append((f"{entry.label}: {key}", _largest(value), MOST_LAYERS if key in _COUNTS else WIDEST))
            limited.append((f"{entry.label}: {key}", len(value) if isinstance(value, list) else 0, MOST_LAYERS))
    for name, value, most in limited:
        if value > most:
            raise ResourceError(
                f"The '{name}' of a study on the page must be at most {most}; the command line runs it. Got {value}."
            )
    _check_sizes(study)


def _largest(value: Any) -> int:
    """Return the largest whole number in a value, with the factor of "2m" as one."""
    if isinstance(value, list):
        return max(map(_largest, value), default=0)
    if isinstance(value, str) and value[:-1].isdigit():
        return int(value[:-1])
    return value if isinstance(value, int) else 0


def _check_sizes(study: Specification) -> None:
    shape = study.data.shape or datasets.load(study.data.source, study.data.target).shape
    for entry in study.architectures:
        widest = max(study.widths_of(entry))
        n_edges = entry.made_by.size(shape, widest, entry.options).n_edges
        if n_edges > LARGEST_NETWORK:
            raise ResourceError(
                f"The 'widths' of {entry.label!r} must give at most {LARGEST_NETWORK:,} edges on the page. "
                f"Got {n_edges:,} at width {widest}."
            )


# --- what it takes ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What a study will take.

    Attributes
    ----------
    n_points, workers : int
    seconds : float
    n_bytes : int
        Of all workers at once, at the widest.
    sentence : str
    refusal : str
        Why the page does not run it; empty if it does.
    """

    n_points: int
    workers: int
    seconds: float
    n_bytes: int
    sentence: str
    refusal: str = ""


def usable_workers() -> int:
    """Return how many processes may measure: all cores but one, which is left to the page."""
    return max(1, engine.usable_cores() - 1)


def forecast(study: Specification) -> Cost:
    """Return what all points of a study will take, from `assembly.forecast`, which tries the passes on this machine.

    Raises
    ------
    ResourceError
        As `check_limits`.
    AssemblyError
        If the data cannot be loaded or an architecture cannot be built on them.

    Notes
    -----
    Right within a factor of 2 or 3. Quantities on request take longer than is said, unless networks are trained for
    them. Cost: a few passes over the weights at every width; none is drawn.
    """
    check_limits(study)
    points = design.points(study, datasets.load(study.data.source, study.data.target))
    first = {(one.architecture, one.width): one for one in points}
    at_once = sum(_seconds(one, study) for one in first.values()) * study.seeds
    workers = fitting_workers(points)
    seconds = _STARTING + at_once / workers
    n_bytes = sum(sorted(map(memory_needed, points), reverse=True)[:workers])
    is_more = any(quantities.describe_any(one).is_on_request for one in study.quantities)
    takes = f"{'at least' if is_more else 'about'} {duration(seconds)} and {gibibytes(n_bytes)}"
    sentence = f"{len(points)} networks, each measured at {study.data.n_measured} inputs: {takes} here."
    refusal = ""
    if seconds > LONGEST_RUN:
        refusal = (
            f"This takes {duration(seconds)}, longer than the {duration(LONGEST_RUN)} that a page may: choose a "
            "smaller widest width or fewer seeds, or run study.toml with the command."
        )
    return Cost(len(points), workers, seconds, n_bytes, sentence, refusal)


def _seconds(point: design.Point, study: Specification) -> float:
    made_by, settings = BUILDERS[point.builder], point.settings
    found = library_forecast(partial(made_by.build, settings.shape, point.width, 0, settings.options))
    slope = found.gradient().seconds
    seconds = found.hessian_norm(study.tol).seconds + _PASSES * slope
    if _TRAINED & set(study.quantities):
        seconds += _PASSES_OF_TRAINING * study.training_steps * slope
    return seconds * study.data.n_measured


def fitting_workers(points: Sequence[design.Point]) -> int:
    """Return how many workers fit into the free memory, a core left to the page; `ResourceError` if not even one."""
    for workers in range(usable_workers(), 1, -1):
        try:
            check_memory(points, workers)
        except ResourceError:
            continue
        return workers
    check_memory(points, 1)
    return 1
