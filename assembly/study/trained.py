"""What a study measures of networks that were trained: at all inputs together, by several ways of training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assembly.architectures.orthogonal import chain
from assembly.diagnostics.linearity import relative_change
from assembly.dynamics.orthogonal import factors, orthogonal_descent
from assembly.dynamics.rule import default_step_size, largest_eigenvalue, written_kernel
from assembly.dynamics.train import train
from assembly.errors import DivergenceError
from assembly.study import quantities
from assembly.study.quantities import NOISY, RATES, TRAINED

if TYPE_CHECKING:
    from assembly.data import Samples
    from assembly.model import Assembly
    from assembly.study.design import Settings

Row = dict[str, float]
Subject = tuple["Assembly", "Samples", "Settings"]
TEMPERATURE = 0.05  # of noisy gradient descent, in units of the mean-field time: over the width, noise and decay
FITTED = 1e-10  # share of the loss at which a rate is no longer counted
N_LATE = 50  # records over which the floor is averaged, in the second half of the steps


def trained(subject: Subject) -> Row:
    """The network after gradient descent at the default step size; NaN where it diverged."""
    net, samples, settings = subject
    n_steps, record = settings.training_steps, ("distance", "kernel", "remainder")
    beside = ("linearized",) if TRAINED[4] in quantities.asked_for(settings.quantities) else ()
    try:
        run = train(net, *samples, n_steps=n_steps, every=n_steps, record=record, beside=beside)
    except DivergenceError:
        return dict.fromkeys(TRAINED, math.nan)
    last = {name: float(values[-1]) for name, values in run.table.items()}
    first = float(run["loss"][0])
    loss = last["loss"] / first if first > 0.0 else math.nan
    found = (
        last["kernel_change"],
        last["distance"],
        last["largest_entry"],
        last["remainder"],
        last.get("gap_linearized", math.nan),
        loss,
    )
    return dict(zip(TRAINED, found, strict=True))


def noisy(subject: Subject) -> Row:
    """The network in noisy gradient descent with weight decay, both TEMPERATURE over the width."""
    net, samples, settings = subject
    tau, n_steps = TEMPERATURE / net.width, settings.training_steps
    every = max(1, n_steps // (2 * N_LATE))
    try:
        run = train(
            net,
            *samples,
            n_steps=n_steps,
            every=every,
            noise=tau,
            weight_decay=tau,
            record=(),
            beside=(),
        )
    except DivergenceError:
        return dict.fromkeys(NOISY, math.nan)
    late = run["step"] > n_steps / 2
    first = net.tangent_kernel(samples.inputs)
    last = net.with_parameters(run.parameters).tangent_kernel(samples.inputs)
    found = (
        float(np.mean(run["loss"][late])),
        relative_change(last, first),
        float(np.linalg.norm(run.parameters - net.parameters)),
    )
    return dict(zip(NOISY, found, strict=True))


def rates(subject: Subject) -> Row:
    """The rate at which gradient flow fits, over the bounds that the smallest eigenvalue of the kernel gives.

    Counted as long as more than FITTED of the loss is left, beyond which rounding decides. NaN where the eigenvalue
    itself is no more than rounding, as for inputs given twice.
    """
    net, samples, settings = subject
    options: dict[str, Any] = {"record": ("kernel",), "beside": (), "method": "gradient_flow"}
    run = train(net, *samples, n_steps=settings.training_steps, every=1, **options)
    kept = run["loss"] > FITTED * run["loss"][0]
    if not kept[:2].all():
        return dict.fromkeys(RATES, math.nan)
    n = len(kept) if kept.all() else int(np.argmin(kept))
    time, smallest, loss = (run[name][:n] for name in ("time", "kernel_smallest_eigenvalue", "loss"))
    rounding = len(samples.inputs) * np.finfo(net.dtype).eps * run["kernel_largest_eigenvalue"][:n]
    if (smallest <= rounding).any():
        return dict.fromkeys(RATES, math.nan)
    along = float(np.sum(np.diff(time) * (smallest[1:] + smallest[:-1]) / 2.0))
    fallen = 0.5 * math.log(loss[0] / loss[-1])
    return dict(zip(RATES, (fallen / (smallest[0] * time[-1]), fallen / along), strict=True))


def orthogonal(subject: Subject) -> Row:
    """A chain of orthogonal factors against their product, which takes as many times the step as there are factors."""
    net, samples, settings = subject
    targets, n_steps = samples.targets[:, None], settings.training_steps
    origin = net.evaluate(samples.inputs)
    step_size = default_step_size(largest_eigenvalue(origin, written_kernel(origin)))
    start = factors(net, net.parameters)
    fixed = [_matrix(connection) for connection in net.graph.connections if connection.values is not None]
    alone = chain(fixed[0], [_product(start)], fixed[1])
    deep = orthogonal_descent(net, samples.inputs, targets, step_size, n_steps)
    single = orthogonal_descent(alone, samples.inputs, targets, len(start) * step_size, n_steps)
    gap = _product(factors(net, deep)) - single.reshape(start[0].shape)
    return {"orthogonal_deviation": float(np.linalg.norm(gap) / np.linalg.norm(single))}


def _matrix(connection: Any) -> NDArray[Any]:
    values: NDArray[Any] = connection.values.reshape(connection.n_target, connection.n_source)
    return values


def _product(matrices: NDArray[Any]) -> NDArray[Any]:
    """Return the product of factors, of which the first acts first."""
    found: NDArray[Any] = matrices[0]
    for matrix in matrices[1:]:
        found = matrix @ found
    return found
