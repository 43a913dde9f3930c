"""Training a network, and beside it the models it is compared with, step by step the same way."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike, NDArray

from assembly.checks import check_numbers, check_samples
from assembly.dynamics import settings as all_settings
from assembly.dynamics.checkpoints import Checkpoint
from assembly.dynamics.history import History, read_arrays
from assembly.dynamics.interrupts import deferred
from assembly.dynamics.losses import check_loss
from assembly.dynamics.recording import RECORDED
from assembly.dynamics.rule import LARGEST_KERNEL
from assembly.dynamics.run import Run
from assembly.errors import ArgumentError, DataError, DivergenceError, NonFiniteError, ShapeError, TrainingInterrupted
from assembly.memory import check_fits
from assembly.model import Assembly
from assembly.progress import duration, progress
from assembly.threads import one_blas_thread

COPIES = {"gradient_descent": 4, "gradient_flow": 18}  # of the parameters, for every model that moves
NODE_VECTORS = 12  # of every sample, for every model


@dataclass(frozen=True)
class TrainingProgress:
    """How far a run is.

    Attributes
    ----------
    step, n_steps : int
    loss : float
        Of the network at the last record, or before the last step if that is later: there that of its batch, scaled to
        all samples. Gradient flow has that of the record alone.
    seconds : float
        Spent by this call.
    remaining : float or None
        Estimated seconds that are left.
    time, end : float or None
        Of gradient flow: the time reached, the mean over the models that move, and the one at which it ends.
    """

    step: int
    n_steps: int
    loss: float
    seconds: float
    remaining: float | None
    time: float | None = None
    end: float | None = None

    @property
    def how_far(self) -> str:
        """Step and loss; of gradient flow the time and the loss.

        Examples
        --------
        >>> TrainingProgress(0, 10, 2.5, 1.0, None, time=0.25, end=4.0).how_far
        'time 0.25 of 4, loss 2.5'
        """
        place = f"step {self.step:,} of {self.n_steps:,}"
        if self.time is not None and self.end is not None:
            place = f"time {self.time:.4g} of {self.end:.4g}"
        return f"{place}, loss {self.loss:.4g}"

    def __str__(self) -> str:
        left = f", about {duration(self.remaining)} left" if self.remaining else ""
        return f"{self.how_far}{left}"


def train(
    net: Assembly,
    X: ArrayLike,
    y: ArrayLike,
    *,
    loss: str = "squared",
    method: str = "gradient_descent",
    step_size: float | None = None,
    n_steps: int = 1000,
    every: int | None = None,
    batch_size: int | None = None,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
    X_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    record: Sequence[str] = RECORDED,
    beside: Sequence[str] = ("linearized",),
    tol: float = 1e-4,
    rtol: float = 1e-6,
    checkpoint: str | Path | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> History:
    r"""Train a network by gradient descent or gradient flow, and record how far from linear it goes on its way.

    .. math::
        v \leftarrow \mu v - \eta\,(\nabla L(w) + \gamma w), \qquad w \leftarrow w + v + \sqrt{2 \eta \tau}\; \xi,
        \quad \xi \sim N(0, I), \qquad
        L = \tfrac12 \sum_i |f(w; x_i) - y_i|^2 \quad\text{or}\quad \sum_i \log(1 + e^{-y_i f(w; x_i)})

    with step size :math:`\eta`, momentum :math:`\mu`, weight decay :math:`\gamma` towards 0 and noise :math:`\tau`,
    from v = 0. A mini-batch of b of n samples stands for n/b times its loss; the samples come in another order in every
    pass. Gradient flow is :math:`\dot w = -(\nabla L(w) + \gamma w)`. Losses are sums, not means: a step size is for
    the sum over all samples.

    Parameters
    ----------
    net : Assembly
        At w0; left as it is.
    X : array_like of shape (n, n_inputs)
    y : array_like of shape (n,) or (n, n_outputs)
        Targets; -1 and 1 for the logistic loss.
    loss : {"squared", "logistic"}
    method : {"gradient_descent", "gradient_flow"}
        The flow is followed to time ``step_size * n_steps`` and recorded at the same times.
    step_size : float, optional
        eta; by default half of what is stable for the linearised model, ``1 / lambda_max`` of the tangent kernel for
        the squared loss; with mini-batches for every batch, see `assembly.dynamics.rule`.
    n_steps : int
    every : int, optional
        Steps between records; by default so many that there are 20, or those of the checkpoint.
    batch_size : int, optional
        b, at most n; all samples if left out.
    momentum, weight_decay, noise : float
        mu, gamma, tau; gradient descent only, but for the decay.
    seed : int
        Of batches and noise.
    X_test, y_test : array_like, optional
        Others at which outputs, and the loss if targets are given, are recorded.
    record : sequence of str
        Of "distance", "kernel", "remainder", "curvature", "shares", "cosines"; ``History.meaning`` says what they are.
    beside : sequence of str
        Trained beside the network the same way: "linearized" and "quadratic", its expansions around w0; "closed_form",
        the gradient flow of the linearised model under squared loss.
    tol : float
        Relative residual of recorded Hessian norms.
    rtol : float
        Relative error of the parameters in a step of the solver for gradient flow.
    checkpoint : str or Path, optional
        An NPZ file: written every ten seconds, when the run is interrupted and when it ends; a run that finds one of
        its own goes on from there, bit for bit as if it had not been stopped, also to a larger `n_steps` (of gradient
        flow from multiples of `every`).
    on_progress : callable, optional
        Called with a `TrainingProgress` after every record, and about twice a second; instead of a line on standard
        error.

    Returns
    -------
    History

    Raises
    ------
    ShapeError, NonFiniteError, ArgumentError, UnknownNameError
        If an argument does not fit, alone or with others.
    DivergenceError
        If the loss is not finite any more, or a million times what it was; its `history` holds the run so far.
    TrainingInterrupted
        At Ctrl-C or SIGTERM, after a whole step; its `history` holds the run so far.
    DataError, ResultsError
        If the checkpoint is damaged, cannot be written, or belongs to another run.
    ResourceError
        If the copies of the parameters do not fit in the memory that is free.

    Notes
    -----
    Every parameter moves by its own derivative, so the matrices of `assembly.orthogonal_chain` do not stay orthogonal:
    `assembly.dynamics.orthogonal.orthogonal_descent` makes steps that keep them so.

    Cost of a step: three matrix products for every dense block, one less for those from the inputs; the linearised
    model takes four, the quadratic one about ten. Records cost what `assembly.dynamics.recording.Recorder` says.
    Memory: four copies of the parameters for every model that moves, eighteen for gradient flow.

    Examples
    --------
    >>> import assembly as am
    >>> wine = am.data.load("wine")
    >>> net = am.mlp(n_inputs=13, widths=[256], activation="tanh", seed=0)
    >>> run = am.train(net, wine.inputs[:40], wine.targets[:40], n_steps=100, record=["kernel"])
    >>> bool(run["loss"][-1] < 0.2 * run["loss"][0]), bool(run["kernel_change"][-1] < 0.1)
    (True, True)
    """
    if not isinstance(net, Assembly):
        raise ArgumentError(f"The 'net' argument must be an assembly. Got {type(net).__name__}.")
    if checkpoint is not None and not isinstance(checkpoint, str | Path):
        raise ArgumentError(f"The 'checkpoint' argument must be a path. Got {checkpoint!r}.")
    path = None if checkpoint is None else Path(checkpoint)
    before = _saved(path) if path is not None and path.exists() else None
    if every is None and before is not None:
        every = before[1]["settings"].get("every")
    settings = all_settings.checked(locals())
    samples, targets = _data(net, X, y, "X", "y", settings.loss)
    if settings.batch_size is not None and settings.batch_size > len(samples):
        raise ArgumentError(
            f"The 'batch_size' argument must be at most {len(samples)}, the samples there are. "
            f"Got {settings.batch_size}."
        )
    tests, test_targets = _tests(net, X_test, y_test, settings.loss)
    if "closed_form" in settings.beside and targets.size > LARGEST_KERNEL:
        raise ArgumentError(
            f"The 'beside' argument must not name 'closed_form' beyond {LARGEST_KERNEL} training inputs times outputs. "
            f"Got {targets.size}."
        )
    check_memory(net, len(samples), settings)
    run = Run(net, samples, targets, tests, test_targets, settings)
    saved = None if path is None else Checkpoint(path, run)
    if saved is not None and before is not None:
        saved.resume(*before)
    with progress("training") as shown, deferred() as caught:
        _go(run, saved, caught, _teller(on_progress, shown.tell))
        number = caught[0] if caught else None
    if number is not None:
        _stop(number, run, path)
    return run.history("finished")


def _saved(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return what a checkpoint holds, or say what to do about it."""
    try:
        return read_arrays(path)
    except DataError as error:
        raise DataError(
            f"{error} No training can go on from this checkpoint: remove it to begin anew, or give another path."
        ) from None


@one_blas_thread()  # once, and not for every step
def _go(run: Run, checkpoint: Checkpoint | None, caught: list[int], tell: Callable[[Run], None]) -> None:
    """Make all steps that are missing, or those until somebody asks to stop."""

    def asked() -> object:
        tell(run)
        return caught

    try:
        while not caught:
            if run.is_due:
                run.record()
            tell(run)
            if run.number >= run.settings.n_steps:
                break
            if checkpoint is not None and checkpoint.is_due:
                checkpoint.save()
            run.advance(asked)
    except NonFiniteError as error:
        where = "" if checkpoint is None else f" The run so far is kept in {str(checkpoint.save_diverged())!r}."
        raise DivergenceError(f"{error}{where}", run.history("diverged")) from None
    if checkpoint is not None:
        checkpoint.save("interrupted" if caught else "finished")


def _stop(number: int, run: Run, path: Path | None) -> None:
    """Do what the signal would have done, now that everything is in order."""
    where = "" if path is None else f" The same call goes on from {str(path)!r}."
    with suppress(KeyboardInterrupt):
        signal.raise_signal(number)
    message = f"Training was stopped after step {run.number}.{where}"
    raise TrainingInterrupted(message, run.history("interrupted"), number)


def _teller(
    on_progress: Callable[[TrainingProgress], None] | None, tell_line: Callable[[str, float], None]
) -> Callable[[Run], None]:
    """Return the function that gives word of a run, about twice a second."""
    begin, first, last = time.monotonic(), None, -1.0

    def tell(run: Run) -> None:
        nonlocal first, last
        now = time.monotonic()
        first = run.reached if first is None else first
        if now - last < 0.5 and run.number < run.settings.n_steps and last >= 0.0:
            return
        last, n_made, n_left = now, run.reached - first, run.settings.n_steps - run.reached
        left = (now - begin) / n_made * n_left if n_made else None
        times = (run.step_size.value * steps for steps in (run.reached, run.settings.n_steps))
        of_flow = times if run.settings.method == "gradient_flow" else (None, None)
        word = TrainingProgress(run.number, run.settings.n_steps, run.loss, now - begin, left, *of_flow)
        if on_progress is not None:
            on_progress(word)
        else:
            tell_line(word.how_far, run.reached / word.n_steps)

    return tell


def _data(
    net: Assembly, X: ArrayLike, y: ArrayLike, name: str, target_name: str, loss: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a checked batch, and its targets of shape (n, n_outputs)."""
    samples = check_samples(name, X, net.n_inputs, net.dtype)
    n = len(samples)
    if n == 0:
        raise ShapeError(f"The '{name}' argument must have at least one row. Got none.")
    given = check_numbers(target_name, y, net.dtype)
    if given.shape not in ((n,), (n, net.n_outputs)) or (given.ndim == 1 and net.n_outputs != 1):
        wanted = f"({n},) or ({n}, 1)" if net.n_outputs == 1 else f"({n}, {net.n_outputs})"
        raise ShapeError(f"The '{target_name}' argument must have shape {wanted}. Got shape {given.shape}.")
    targets = check_samples(target_name, given.reshape(n, net.n_outputs), net.n_outputs, net.dtype)
    check_loss(loss, targets, target_name)
    return samples, targets


def _tests(
    net: Assembly, X: ArrayLike | None, y: ArrayLike | None, loss: str
) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    if X is None:
        if y is not None:
            raise ArgumentError("The 'y_test' argument must be left out where 'X_test' is.")
        return None, None
    if y is None:
        return check_samples("X_test", X, net.n_inputs, net.dtype), None
    return _data(net, X, y, "X_test", "y_test", loss)


def check_memory(net: Assembly, n: int, settings: all_settings.Settings) -> None:
    """Refuse a run of training whose copies of the parameters do not fit in the memory that is free.

    Raises
    ------
    ResourceError
        If they do not.
    """
    n_models = 1 + sum(name != "closed_form" for name in settings.beside)
    itemsize = 8 if settings.method == "gradient_flow" else net.dtype.itemsize  # the solver works in float64
    n_bytes = n_models * (COPIES[settings.method] + 2 * (settings.noise > 0.0)) * net.n_parameters * itemsize
    n_bytes += n_models * NODE_VECTORS * n * net._body.program.n_nodes * net.dtype.itemsize
    n_bytes += 8 * 3 * min(n * net.n_outputs, LARGEST_KERNEL) ** 2
    what = f"Training {net.n_parameters:,} parameters on {n:,} samples"
    check_fits(what, n_bytes, "use fewer samples, a smaller network, or nothing beside it")
