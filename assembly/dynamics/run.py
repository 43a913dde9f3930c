"""One run of training under way: the models that move, what was recorded, and its checkpoint."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assembly.dynamics.closed_form import LinearFlow, as_column
from assembly.dynamics.flow import flow
from assembly.dynamics.history import History, from_arrays, write_arrays
from assembly.dynamics.losses import LOSSES
from assembly.dynamics.models import FirstOrder, Model, Network, SecondOrder
from assembly.dynamics.motion import Moving
from assembly.dynamics.recording import Recorder, rms
from assembly.dynamics.rule import default_step_size, explanation, kernel_matrix, largest_of_batches, stable_below
from assembly.errors import NonFiniteError, ResultsError

if TYPE_CHECKING:
    from assembly.calculus.evaluation import Evaluation
    from assembly.dynamics.settings import Settings
    from assembly.model import Assembly
    from assembly.program import Program

Values = NDArray[Any]

NETWORK, CLOSED_FORM, GRADIENT_FLOW = "network", "closed_form", "gradient_flow"
HOPELESS = 1e6  # times the loss at the start: nothing comes back from there
SECONDS_BETWEEN = 10.0  # checkpoints,
PACE = 20.0  # and at least so many times what the last one took


class Run:
    """A run of training.

    Parameters
    ----------
    net : Assembly
        At w0.
    X, y : ndarray of shape (n, n_inputs) and (n, n_outputs)
    X_test, y_test : ndarray or None
    settings : Settings

    Attributes
    ----------
    number : int
        Steps made.
    note : str
        What went wrong with a model beside the network, or with the network.
    """

    def __init__(
        self, net: Assembly, X: Values, y: Values, X_test: Values | None, y_test: Values | None, settings: Settings
    ) -> None:
        self.settings, self.number, self.note = settings, 0, ""
        self._net, self._X, self._y, self._y_test = net, X, y, y_test
        self._origin = net.evaluate(X)
        self._test_origin = None if X_test is None else net.evaluate(X_test, "X_test")
        loss = LOSSES[settings.loss]
        largest = largest_of_batches(self._origin, settings.batch_size)
        self._steepest = loss.largest_bend * largest + settings.weight_decay
        self.stable_below = stable_below(self._steepest, settings.momentum)
        self.default = default_step_size(self._steepest)
        self.step_size = self.default if settings.step_size is None else settings.step_size
        rule, w0, program = settings.rule(self.step_size), net.parameters, self._origin.program
        kinds: dict[str, Callable[[Evaluation], Model]] = {
            NETWORK: lambda at: Network(program, at.post[:, program.inputs]),
            "linearized": lambda at: FirstOrder(at, w0),
            "quadratic": lambda at: SecondOrder(at, w0),
        }
        self._names = [NETWORK, *settings.beside]
        moved = [name for name in self._names if name in kinds]
        self._moving = {name: Moving(kinds[name](self._origin), w0, loss, y, rule) for name in moved}
        test_origin = self._test_origin
        self._tests = {} if test_origin is None else {name: kinds[name](test_origin) for name in moved}
        self._linear_flow, self._cross = None, np.zeros((0, 0))
        if CLOSED_FORM in settings.beside:
            kernel = kernel_matrix(self._origin, self._origin)
            self._linear_flow = LinearFlow(kernel, as_column(self._origin.outputs), as_column(y))
            self._cross = self._cross if test_origin is None else kernel_matrix(test_origin, self._origin)
        self._recorder = Recorder(net, X, self._origin, settings.record, settings.tol)
        self._steps: dict[str, float | None] = dict.fromkeys(moved)  # of the solver
        self._rows: list[dict[str, float]] = []
        self._outputs: list[dict[str, Values]] = []
        self._test_outputs: list[dict[str, Values]] = []
        self._loss, self._saved_at, self._saving = loss, time.monotonic(), 0.0
        self._bound = HOPELESS * (loss.value(self._origin.outputs, y) + y.size)

    # --- moving ------------------------------------------------------------------------------------------------------

    def advance(self, stop: Callable[[], object]) -> bool:
        """Make one step, or follow the flow to the next record; return False, having done nothing, if stopped.

        Raises
        ------
        NonFiniteError
            If the network diverges.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # looked at below
            if self.settings.method == GRADIENT_FLOW:
                return self._flow(stop)
            for name in list(self._moving):
                self._guarded(name, lambda moving: self._check_bound(moving.step(self.number)))
        self.number += 1
        return True

    def _flow(self, stop: Callable[[], object]) -> bool:
        until = min(self.settings.n_steps, (self.number // self.settings.every + 1) * self.settings.every)
        span, found = self.step_size * (until - self.number), {}
        for name in list(self._moving):
            begin = self._steps[name]
            found[name] = self._guarded(name, lambda one: flow(one, span, self.settings.rtol, begin, stop))  # noqa: B023
            if stop():
                return False
        for name, moving in self._moving.items():
            moving.w[:], self._steps[name] = found[name]
        self.number = until
        return True

    def _guarded(self, name: str, move: Callable[[Moving], Any]) -> Any:
        """Move one model; one beside the network that diverges is left out from here on, and a note says so."""
        try:
            return move(self._moving[name])
        except NonFiniteError as error:
            if name == NETWORK:
                self.note = self._explanation()
                raise NonFiniteError(f"Training diverged at step {self.number}. {error} {self.note}") from None
            del self._moving[name]
            self.note += f"The {name} model diverged at step {self.number} and is left out after it. "
            return None

    def _check_bound(self, loss: float) -> None:
        if not loss <= self._bound:
            raise NonFiniteError(f"The loss grew to {loss:.3g}.")

    def _explanation(self) -> str:
        if self.settings.method == GRADIENT_FLOW:
            return "Gradient flow cannot diverge by its steps: the network itself overflows. Scale the inputs down."
        settings, beta = self.settings, self._loss.largest_bend
        above = "2 (1 + momentum)" if settings.momentum else "2"
        below = "lambda_max" if beta == 1.0 else f"{beta:g} lambda_max"
        below = f"({below} + weight_decay)" if settings.weight_decay else below if beta == 1.0 else f"({below})"
        return explanation(self.step_size, self.stable_below, self.default, f"{above} / {below}")

    # --- recording ---------------------------------------------------------------------------------------------------

    @property
    def is_due(self) -> bool:
        """Whether a record is missing at the present step."""
        on_grid = self.number % self.settings.every == 0 or self.number == self.settings.n_steps
        return on_grid and (not self._rows or self._rows[-1]["step"] < self.number)

    @property
    def last_loss(self) -> float:
        """The loss at the last record, NaN before the first."""
        return self._rows[-1]["loss"] if self._rows else math.nan

    def record(self) -> float:
        """Record the present step; return the loss of the network."""
        t = self.step_size * self.number
        with np.errstate(over="ignore", invalid="ignore"):  # looked at here
            found = {name: self._guarded(name, self._bounded_outputs) for name in list(self._moving)}
        outputs = {name: self._present(found.get(name), name, t) for name in self._names}
        tests = {name: self._at_test(name, t) for name in self._names} if self._test_origin is not None else {}
        row = {"step": float(self.number), "time": t}
        for name, values in outputs.items():
            row[_column("loss", name)] = self._loss.value(values, self._y)
            if name != NETWORK:
                row[_column("gap", name)] = rms(outputs[NETWORK] - values)
        if self._y_test is not None:
            row |= {
                _column("test_loss", name): self._loss.value(values, self._y_test) for name, values in tests.items()
            }
        starts = self._recorder.starts
        row |= self._recorder.at(self._moving[NETWORK].w)
        if self.number % self.settings.every:  # the end of a run that may be continued: the next record knows nothing
            self._recorder.starts = starts
        self._rows.append(row)
        self._outputs.append(outputs)
        self._test_outputs.append(tests)
        return row["loss"]

    def _bounded_outputs(self, moving: Moving) -> Values:
        """Return the outputs of a model at the training inputs, if their loss has not grown beyond all bounds."""
        found = moving.model.outputs(moving.w)
        self._check_bound(self._loss.value(found, self._y))
        return found

    def _present(self, found: Values | None, name: str, t: float) -> Values:
        """Return outputs at the training inputs: those found, of the closed form, or NaN of what has diverged."""
        if name == CLOSED_FORM:
            assert self._linear_flow is not None
            return self._linear_flow.outputs(t).reshape(self._y.shape)
        return np.full_like(self._y, np.nan) if found is None else found

    def _at_test(self, name: str, t: float) -> Values:
        origin = self._test_origin
        assert origin is not None
        if name == CLOSED_FORM:
            assert self._linear_flow is not None
            return self._linear_flow.elsewhere(t, self._cross, as_column(origin.outputs)).reshape(origin.outputs.shape)
        moving = self._moving.get(name)
        return np.full_like(origin.outputs, np.nan) if moving is None else self._tests[name].outputs(moving.w)

    def history(self, status: str) -> History:
        """Return what was recorded until now."""
        columns = list(self._rows[0]) if self._rows else []
        return History(
            table={name: np.array([row[name] for row in self._rows]) for name in columns},
            outputs=_stacked(self._outputs),
            test_outputs=_stacked(self._test_outputs),
            parameters=self._moving[NETWORK].w.copy(),
            status=status,
            note=self.note.strip(),
            settings={
                **self.settings.as_dict(),
                "step_size": self.step_size,
                "stable_below": self.stable_below,
                "n_parameters": self._net.n_parameters,
            },
        )

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def save(self, path: Path, status: str = "interrupted") -> None:
        """Write a checkpoint: the history, and all that a run needs to go on from here bit for bit."""
        begin, history = time.monotonic(), self.history(status)
        arrays = history.arrays() | {f"start/{i}": start for i, start in enumerate(self._recorder.starts)}
        for name, moving in self._moving.items():
            arrays |= {f"state/{name}/w": moving.w, f"state/{name}/velocity": moving.velocity}
        state = {"number": self.number, "steps": self._steps, "identity": self.identity}
        write_arrays(path, arrays, history.words() | {"state": state})
        self._saved_at, self._saving = time.monotonic(), time.monotonic() - begin

    @property
    def needs_saving(self) -> bool:
        """Whether the last checkpoint is a while ago."""
        return time.monotonic() - self._saved_at > max(SECONDS_BETWEEN, PACE * self._saving)

    @property
    def identity(self) -> str:
        """SHA-256 of all that decides the numbers of the run, but for how many steps it makes."""
        settings = {key: value for key, value in self.settings.as_dict().items() if key != "n_steps"}
        words = json.dumps([settings, self.step_size], sort_keys=True)
        digest = hashlib.sha256(words.encode())
        for part in structure(self._origin.program):
            digest.update(part)
        tests = [] if self._test_origin is None else [self._test_origin.post[:, self._origin.program.inputs]]
        tests += [] if self._y_test is None else [self._y_test]
        for array in (self._net.parameters, self._X, self._y, *tests):
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def resume(self, path: Path, arrays: dict[str, Values], words: dict[str, Any]) -> None:
        """Go on from what a checkpoint held.

        Raises
        ------
        ResultsError
            If it belongs to another run, or has made more steps than are wanted.
        """
        state = words.get("state")
        if state is None or state["identity"] != self.identity:
            raise ResultsError(
                f"The checkpoint {str(path)!r} belongs to a run with another network, other data or other settings: "
                "give another path, or remove it."
            )
        if state["number"] > self.settings.n_steps:
            raise ResultsError(
                f"The checkpoint {str(path)!r} has made {state['number']} steps, more than n_steps = "
                f"{self.settings.n_steps}: give another path, or remove it."
            )
        known = from_arrays(arrays, words)
        self.number, self.note, self._steps = state["number"], known.note, state["steps"]
        steps = known.table.get("step", np.zeros(0))
        kept = [i for i, step in enumerate(steps) if step % self.settings.every == 0 or step == self.settings.n_steps]
        self._rows = [{name: float(values[i]) for name, values in known.table.items()} for i in kept]
        self._outputs = [{name: values[i] for name, values in known.outputs.items()} for i in kept]
        self._test_outputs = [{name: values[i] for name, values in known.test_outputs.items()} for i in kept]
        self._recorder.starts = [arrays[f"start/{i}"] for i in range(sum(name.startswith("start/") for name in arrays))]
        for name in list(self._moving):
            if f"state/{name}/w" not in arrays:
                del self._moving[name]
                continue
            self._moving[name].w[:] = arrays[f"state/{name}/w"]
            self._moving[name].velocity[:] = arrays[f"state/{name}/velocity"]


def structure(program: Program) -> Iterator[bytes]:
    """Yield all that makes a program what it is, but for its weights."""
    yield repr((program.n_nodes, program.n_parameters, str(program.dtype), program.outputs.tolist())).encode()
    yield program.codes.tobytes()
    for segment in program.segments:
        yield repr((segment.nodes, segment.incoming, segment.is_softmax)).encode()
    for block in program.blocks:
        yield type(block).__name__.encode()
        for one in fields(block):
            value = getattr(block, one.name)
            yield one.name.encode()
            yield value.tobytes() if isinstance(value, np.ndarray) else repr(getattr(value, "name", value)).encode()


def _column(quantity: str, model: str) -> str:
    return quantity if model == NETWORK else f"{quantity}_{model}"


def _stacked(records: list[dict[str, Values]]) -> dict[str, Values]:
    return {name: np.stack([one[name] for one in records]) for name in records[0]} if records else {}
