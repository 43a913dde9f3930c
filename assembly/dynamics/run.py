"""One run of training under way: the models that move, and what is recorded of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assembly.dynamics.closed_form import LinearFlow, as_column
from assembly.dynamics.flow import flow
from assembly.dynamics.history import History
from assembly.dynamics.identity import identity
from assembly.dynamics.losses import LOSSES
from assembly.dynamics.models import FirstOrder, Model, Network, SecondOrder
from assembly.dynamics.motion import Moving
from assembly.dynamics.recording import Recorder, rms
from assembly.dynamics.records import Records
from assembly.dynamics.rule import kernel_matrix, written_kernel
from assembly.dynamics.step_size import step_size_of
from assembly.errors import NonFiniteError

if TYPE_CHECKING:
    from assembly.calculus.evaluation import Evaluation
    from assembly.dynamics.settings import Settings
    from assembly.model import Assembly

Values = NDArray[Any]

NETWORK, CLOSED_FORM, GRADIENT_FLOW = "network", "closed_form", "gradient_flow"
HOPELESS = 1e6  # times the loss at the start: nothing comes back from there


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
    step_size : StepSize
    loss : float
        Of the network, at the last record or before the last step, whichever is later: there that of its batch, scaled
        to all samples. Gradient flow has that of the record alone.
    moving : dict of str to Moving
        The models that have not diverged, by name.
    longest_steps : dict of str to float or None
        Those of the solver of gradient flow, by model, since the last record.
    recorder : Recorder
    records : Records
    """

    def __init__(
        self, net: Assembly, X: Values, y: Values, X_test: Values | None, y_test: Values | None, settings: Settings
    ) -> None:
        self.settings, self.number, self.note, self._part = settings, 0, "", 0.0
        self._net, self._X, self._y, self._y_test = net, X, y, y_test
        self._origin = net.evaluate(X)
        self._test_origin = None if X_test is None else net.evaluate(X_test, "X_test")
        loss = LOSSES[settings.loss]
        kernel = written_kernel(self._origin)
        self.step_size = step_size_of(settings, self._origin, kernel)
        rule, w0, program = settings.rule(self.step_size.value), net.parameters, self._origin.program
        kinds: dict[str, Callable[[Evaluation], Model]] = {
            NETWORK: lambda at: Network(program, at.post[:, program.inputs]),
            "linearized": lambda at: FirstOrder(at, w0),
            "quadratic": lambda at: SecondOrder(at, w0),
        }
        self._names = [NETWORK, *settings.beside]
        moved = [name for name in self._names if name in kinds]
        self.moving = {name: Moving(kinds[name](self._origin), w0, loss, y, rule) for name in moved}
        test_origin = self._test_origin
        self._tests = {} if test_origin is None else {name: kinds[name](test_origin) for name in moved}
        self._linear_flow, self._cross = None, np.zeros((0, 0))
        if CLOSED_FORM in settings.beside:
            assert kernel is not None  # seen to by `train`
            self._linear_flow = LinearFlow(kernel, as_column(self._origin.outputs), as_column(y))
            self._cross = self._cross if test_origin is None else kernel_matrix(test_origin, self._origin)
        self.recorder = Recorder(net, X, self._origin, kernel, settings.record, settings.tol)
        self.longest_steps: dict[str, float | None] = dict.fromkeys(moved)
        self.records, self.loss, self._loss_of = Records(), math.nan, loss
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
            for name in list(self.moving):
                loss = self._guarded(name, lambda moving: self._bounded(moving.step(self.number)))
                self.loss = loss if name == NETWORK else self.loss
        self.number += 1
        return True

    def _flow(self, stop: Callable[[], object]) -> bool:
        until = min(self.settings.n_steps, (self.number // self.settings.every + 1) * self.settings.every)
        span, found = self.step_size.value * (until - self.number), {}
        n_models = len(self.moving)
        for place, name in enumerate(list(self.moving)):
            begin = self.longest_steps[name]

            def asked(t: float, before: float = place * span) -> object:
                self._part = (before + t) / (n_models * self.step_size.value)
                return stop()

            found[name] = self._guarded(name, lambda one: flow(one, span, self.settings.rtol, begin, asked))  # noqa: B023
            if stop():
                return False
        for name, moving in self.moving.items():
            moving.w[:], self.longest_steps[name] = found[name]
        self.number, self._part = until, 0.0
        return True

    @property
    def reached(self) -> float:
        """Steps made; of gradient flow with those the solver is beyond the last record, the mean over the models."""
        return self.number + self._part

    def _guarded(self, name: str, move: Callable[[Moving], Any]) -> Any:
        """Move one model; one beside the network that diverges is left out from here on, and a note says so."""
        try:
            return move(self.moving[name])
        except NonFiniteError as error:
            if name == NETWORK:
                self.note = self._explanation()
                raise NonFiniteError(f"Training diverged at step {self.number}. {error} {self.note}") from None
            del self.moving[name]
            self.note += f"The {name} model diverged at step {self.number} and is left out after it. "
            return None

    def _bounded(self, loss: float) -> float:
        if not loss <= self._bound:
            raise NonFiniteError(f"The loss grew to {loss:.3g}.")
        return loss

    def _explanation(self) -> str:
        if self.settings.method == GRADIENT_FLOW:
            return "Gradient flow cannot diverge by its steps: the network itself overflows. Scale the inputs down."
        return self.step_size.explanation

    # --- recording ---------------------------------------------------------------------------------------------------

    @property
    def is_due(self) -> bool:
        """Whether a record is missing at the present step."""
        on_grid = self.number % self.settings.every == 0 or self.number == self.settings.n_steps
        return on_grid and self.records.last("step") != self.number

    def record(self) -> None:
        """Record the present step."""
        t = self.step_size.value * self.number
        with np.errstate(over="ignore", invalid="ignore"):  # looked at here
            found = {name: self._guarded(name, self._bounded_outputs) for name in list(self.moving)}
        outputs = {name: self._present(found.get(name), name, t) for name in self._names}
        tests = {name: self._at_test(name, t) for name in self._names} if self._test_origin is not None else {}
        row = {"step": float(self.number), "time": t}
        for name, values in outputs.items():
            row[_column("loss", name)] = self._loss_of.value(values, self._y)
            if name != NETWORK:
                row[_column("gap", name)] = rms(outputs[NETWORK] - values)
        if self._y_test is not None:
            row |= {
                _column("test_loss", name): self._loss_of.value(values, self._y_test) for name, values in tests.items()
            }
        starts = self.recorder.starts
        row |= self.recorder.at(self.moving[NETWORK].w)
        if self.number % self.settings.every:  # the end of a run that may be continued: the next record knows nothing
            self.recorder.starts = starts
        self.records.add(row, outputs, tests)
        self.loss = row["loss"]

    def _bounded_outputs(self, moving: Moving) -> Values:
        """Return the outputs of a model at the training inputs, if their loss has not grown beyond all bounds."""
        found = moving.model.outputs(moving.w)
        self._bounded(self._loss_of.value(found, self._y))
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
        moving = self.moving.get(name)
        return np.full_like(origin.outputs, np.nan) if moving is None else self._tests[name].outputs(moving.w)

    def history(self, status: str) -> History:
        """Return what was recorded until now."""
        return History(
            table=self.records.table(),
            outputs=self.records.outputs(),
            test_outputs=self.records.test_outputs(),
            parameters=self.moving[NETWORK].w.copy(),
            status=status,
            note=self.note.strip(),
            settings={
                **self.settings.as_dict(),
                "step_size": self.step_size.value,
                "stable_below": self.step_size.stable_below,
                "n_parameters": self._net.n_parameters,
            },
        )

    @property
    def identity(self) -> str:
        """What tells it from other runs, see `assembly.dynamics.identity`."""
        program, tests = self._origin.program, self._test_origin
        X_test = None if tests is None else tests.post[:, program.inputs]
        arrays = (self._net.parameters, self._X, self._y, X_test, self._y_test)
        return identity(program, self.settings.as_dict(), self.step_size.value, arrays)


def _column(quantity: str, model: str) -> str:
    return quantity if model == NETWORK else f"{quantity}_{model}"
