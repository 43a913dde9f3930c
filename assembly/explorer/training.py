r"""Training that goes on step by step: the network, and beside it its linearised and its quadratic model.

All of it is the library's: `assembly.dynamics.run.Run` moves and records, with full batches under squared loss. The
step size is so many times that of `assembly.dynamics.rule`, half of what is stable for the linearised model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assembly.dynamics import settings as all_settings
from assembly.dynamics.run import NETWORK, Run
from assembly.dynamics.train import check_memory
from assembly.errors import NonFiniteError
from assembly.explorer.answers import LONG, Cost, Stop, StoppedError, Table, number
from assembly.explorer.state import POINTS, State, network
from assembly.forecasting import forecast as library_forecast
from assembly.memory import gibibytes
from assembly.progress import duration
from assembly.study.training import shuffled

if TYPE_CHECKING:
    from assembly.model import Assembly

N_INPUTS = 48  # trained on
MOST_STEPS = 2000
NARROWER = 4  # times, from one width to the next beside it
SMALLEST_WIDTH = 2
BESIDE = ("linearized", "quadratic")
RECORDED = ("distance", "kernel")
MODELS = {NETWORK: "network", "linearized": "linearised model", "quadratic": "quadratic model"}
N_DRAWN, N_ROWS = 200, 12  # records in a picture, and in the table behind it
N_CELLS, MARGIN = 33, 0.5  # a side of the plane behind painted points, and how far it goes beyond them
SECONDS_PER_LAYER = 4e-4  # of a step with its record, for what is done whatever the width, as measured
KERNELS = 12.0  # tangent kernels that the rest takes the time of, as measured,
SECONDS_OF_CALLS = 1e-4  # and of a kernel, for every layer, what does not grow with the width

TRAINING, DIVERGED, FINISHED = "training", "diverged", "finished"


class Training:
    """Networks of several widths in training, step by step.

    Parameters
    ----------
    state : State
    stop : callable
        Asked before each network is built; True raises `StoppedError`.

    Attributes
    ----------
    state : State
    inputs, targets : ndarray of shape (n, n_inputs) and (n,)
        48 of the state's, in the order of `assembly.study.training.shuffled`.

    Raises
    ------
    StoppedError
        If `stop` says so.
    ResourceError, ArgumentError
        As `State.build`; if the models do not fit in memory; if the data have no targets.

    Notes
    -----
    Cost: that of `assembly.train` before its first step, for every width. Memory: twelve copies of the parameters.

    Examples
    --------
    >>> training = Training(State(width=16, data="wine", n_widths=1))
    >>> training.go_on(30)
    >>> lane = training.shown().lanes[0]
    >>> lane.step, lane.losses["network"][-1] < 0.5 * lane.losses["network"][0]
    (30, True)
    """

    def __init__(self, state: State, stop: Stop = lambda: False) -> None:
        self.state = state
        rows = shuffled(len(state.inputs), state.seed)[:N_INPUTS]
        self.inputs, self.targets = state.inputs[rows], state.targets[rows]
        self._lanes: list[_Lane] = []
        for width in widths(state):
            _check(stop)
            self._lanes.append(_Lane(width, _start(state, width, self.inputs, self.targets)))
            self._lanes[-1].record()

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do: every width has diverged or made its 2000 steps."""
        return all(lane.status != TRAINING for lane in self._lanes)

    def go_on(self, n_steps: int, stop: Stop = lambda: False, seconds: float = np.inf) -> None:
        """Make so many steps more with every width, as if the run had never paused.

        Parameters
        ----------
        n_steps : int
        stop : callable
            Asked before every step; True raises `StoppedError`, after which the run can go on.
        seconds : float
            After which no further step is begun, once every width has made one.

        Raises
        ------
        StoppedError
            If `stop` says so.

        Notes
        -----
        Cost: that of a step of `assembly.train` with two models beside the network, and one tangent kernel.
        """
        until = time.monotonic() + seconds
        for _ in range(n_steps):
            moving = [lane for lane in self._lanes if lane.status == TRAINING]
            last = min((lane.run.number for lane in moving), default=MOST_STEPS)
            for lane in moving:
                _check(stop)
                if lane.run.number == last:  # one that was stopped between two widths is caught up with
                    lane.step()
            if not moving or time.monotonic() > until:
                return

    def shown(self) -> Shown:
        """Return what there is to see now."""
        lanes = tuple(_shown(lane, self.targets) for lane in self._lanes)
        return Shown(lanes, _plane(self.state, self._lanes[0]), _sentence(lanes), _table(lanes))


@dataclass(frozen=True)
class Lane:
    """One width, as far as it is.

    Attributes
    ----------
    width, step : int
    status : str
        "training", "diverged" or "finished".
    steps : tuple of int
        Of the records shown, 200 at most.
    losses : dict of str to tuple of float
        "network", "linearized", "quadratic" -> loss; NaN after a model diverged.
    distance, kernel_change : tuple of float
        :math:`|w - w_0|` and :math:`|K_t - K_0|_F / |K_0|_F`.
    outputs : dict of str to tuple of float
        Model -> its outputs at the training inputs, at the last record.
    targets : tuple of float
    step_size, stable_below : float
    notes : tuple of str
        What diverged and why, in the words of the library.
    predictions : Table
    """

    width: int
    step: int
    status: str
    steps: tuple[int, ...]
    losses: dict[str, tuple[float, ...]]
    distance: tuple[float, ...]
    kernel_change: tuple[float, ...]
    outputs: dict[str, tuple[float, ...]]
    targets: tuple[float, ...]
    step_size: float
    stable_below: float
    notes: tuple[str, ...]
    predictions: Table


@dataclass(frozen=True)
class Plane:
    """Outputs of the first network over the plane of painted points.

    Attributes
    ----------
    left, bottom, side : float
        The square.
    values : tuple of tuple of float
        Row by row from below.
    points : tuple of (float, float, float)
        Painted points with their targets.
    """

    left: float
    bottom: float
    side: float
    values: tuple[tuple[float, ...], ...]
    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Shown:
    """All that is to be seen of a training.

    Attributes
    ----------
    lanes : tuple of Lane
    plane : Plane or None
        None where the inputs are not painted.
    sentence : str
    table : Table
    """

    lanes: tuple[Lane, ...]
    plane: Plane | None
    sentence: str
    table: Table


def widths(state: State) -> tuple[int, ...]:
    """Return the widths side by side: that of the state, and a quarter of it, and a quarter of that.

    Examples
    --------
    >>> widths(State(width=64, n_widths=3)), widths(State(width=4, n_widths=3))
    ((64, 16, 4), (4, 2))
    """
    if state.file is not None:
        return (state.width,)
    found = [max(SMALLEST_WIDTH, state.width // NARROWER**k) for k in range(state.n_widths)]
    return tuple(dict.fromkeys(found))


def forecast(state: State) -> Cost:
    """Return what all 2000 steps of all widths will take, from the tangent kernels of `assembly.forecast`.

    Raises
    ------
    ResourceError, ArgumentError
        As `State.build`.

    Notes
    -----
    Every step takes some time for every layer, and so many kernels for what grows with the width. Right within a factor
    of 2 or 3.

    Examples
    --------
    >>> forecast(State(width=2048, data="wine")).is_long
    True
    """
    n = min(N_INPUTS, len(state.inputs))
    found = [library_forecast(state.replace(width=width).build) for width in widths(state)]
    kernels = [one.tangent_kernel(n) for one in found]
    seconds = MOST_STEPS * sum(
        _step(one.n_layers - 1, kernel.seconds) for one, kernel in zip(found, kernels, strict=True)
    )
    n_bytes = max(one.n_bytes for one in kernels)
    text = f"about {duration(seconds) if seconds >= 2.0 else f'{seconds:.2g} s'} and {gibibytes(n_bytes)}"
    return Cost(seconds, n_bytes, text, seconds > LONG)


def _step(n_layers: int, kernel: float) -> float:
    """Return the seconds of a step with its record, given those of a tangent kernel."""
    return n_layers * SECONDS_PER_LAYER + KERNELS * max(kernel - n_layers * SECONDS_OF_CALLS, 0.0)


# --- one width -------------------------------------------------------------------------------------------------------


class _Lane:
    """One width under way."""

    def __init__(self, width: int, run_of: tuple[Assembly, Run]) -> None:
        self.width, (self.net, self.run) = width, run_of
        self.sentence = ""

    @property
    def status(self) -> str:
        if self.sentence:
            return DIVERGED
        return FINISHED if self.run.number >= MOST_STEPS else TRAINING

    def step(self) -> None:
        self._guarded(lambda: self.run.advance(lambda: False))
        self.record()

    def record(self) -> None:
        if self.run.is_due and not self.sentence:
            self._guarded(self.run.record)

    def _guarded(self, move: Callable[[], object]) -> None:
        try:
            move()
        except NonFiniteError as error:
            self.sentence = str(error)


def _start(state: State, width: int, X: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[Assembly, Run]:
    net = network(state) if width == state.width else state.replace(width=width).build()
    settings = all_settings.checked(
        {
            "net": net, "loss": "squared", "method": "gradient_descent", "step_size": None, "n_steps": MOST_STEPS,
            "every": 1, "batch_size": None, "momentum": 0.0, "weight_decay": 0.0, "noise": 0.0, "seed": state.seed,
            "record": RECORDED, "beside": BESIDE, "tol": 1e-4, "rtol": 1e-6,
        }
    )  # fmt: skip
    check_memory(net, len(X), settings)
    targets = y.reshape(-1, 1).astype(net.dtype)
    run = Run(net, X.astype(net.dtype), targets, None, None, settings)
    if state.factor == 1.0:
        return net, run
    step_size = state.factor * run.step_size.default
    return net, Run(net, X.astype(net.dtype), targets, None, None, replace(settings, step_size=step_size))


def _check(stop: Stop) -> None:
    if stop():
        raise StoppedError


# --- what is shown ---------------------------------------------------------------------------------------------------


def _shown(lane: _Lane, targets: NDArray[np.float64]) -> Lane:
    run = lane.run
    table, outputs = run.records.table(), run.records.outputs()
    kept = _kept(len(table["step"]), N_DRAWN)

    def column(name: str) -> tuple[float, ...]:
        return tuple(table[name][kept].tolist())

    last = {name: tuple(outputs[name][-1][:, 0].tolist()) for name in MODELS}
    return Lane(
        lane.width,
        run.number,
        lane.status,
        tuple(int(one) for one in table["step"][kept]),
        {name: column("loss" if name == NETWORK else f"loss_{name}") for name in MODELS},
        column("distance"),
        column("kernel_change"),
        last,
        tuple(targets.tolist()),
        run.step_size.value,
        run.step_size.stable_below,
        (lane.sentence,) if lane.sentence else tuple(part for part in (run.note.strip(),) if part),
        _predictions(lane.width, targets, last),
    )


def _kept(n: int, most: int) -> NDArray[np.int64]:
    """Return which of n records are shown: all, or so many evenly with the first and the last."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def _predictions(width: int, targets: NDArray[np.float64], outputs: dict[str, tuple[float, ...]]) -> Table:
    rows = zip(targets.tolist(), *outputs.values(), strict=True)
    return Table(
        f"Outputs at the training inputs, width {width}",
        ("input", "target", *MODELS.values()),
        tuple((f"{i}", *map(number, row)) for i, row in enumerate(rows)),
    )


def _table(lanes: Sequence[Lane]) -> Table:
    rows = []
    for lane in lanes:
        for i in _kept(len(lane.steps), N_ROWS):
            losses = [number(lane.losses[name][i]) for name in MODELS]
            rows.append(
                (f"{lane.width}", f"{lane.steps[i]}", *losses, number(lane.distance[i]), number(lane.kernel_change[i]))
            )
    heading = ("width", "step", *(f"loss, {name}" for name in MODELS.values()), "|w - w0|", "kernel change")
    return Table("The run in numbers", heading, tuple(rows))


def _sentence(lanes: Sequence[Lane]) -> str:
    parts = [
        f"width {lane.width}: loss {number(lane.losses[NETWORK][-1])}, |w - w0| {number(lane.distance[-1])}, kernel "
        f"changed by {number(lane.kernel_change[-1])}"
        for lane in lanes
    ]
    return f"Step {max(lane.step for lane in lanes)}. " + "; ".join(one[:1].upper() + one[1:] for one in parts) + "."


def _plane(state: State, lane: _Lane) -> Plane | None:
    if state.data != POINTS or lane.status == DIVERGED:
        return None
    side = 2.0 * (max(abs(one) for x, y, _ in state.points for one in (x, y)) + MARGIN)
    at = np.linspace(-side / 2.0, side / 2.0, N_CELLS)
    grid: NDArray[Any] = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    net = lane.net.with_parameters(lane.run.moving[NETWORK].w)
    with np.errstate(over="ignore", invalid="ignore"):
        values = net.evaluate(grid).outputs[:, 0].reshape(N_CELLS, N_CELLS)
    points = tuple((float(x), float(y), float(label)) for x, y, label in state.points)
    return Plane(-side / 2.0, -side / 2.0, side, tuple(map(tuple, values.tolist())), points)
