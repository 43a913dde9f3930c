r"""Hessian and gradient norms of the pre-activations of all neurons of a group, each a sub-model of its own.

Three ways, chosen by what lies below:

* A pre-activation that reads inputs alone is linear in its parameters: 0 exactly.
* One hidden layer below, without shared weights: the Hessian of neuron i falls into a 2x2 block for every hidden neuron
  k, with :math:`\bar a_k = c_i w_{ik}` and :math:`\beta_k = c_i^2`; see `assembly.calculus.one_hidden_layer`.
* Elsewhere Lanczos in lockstep, `assembly.calculus.lockstep_lanczos`; neurons that need more steps go on one by one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from assembly.calculus import one_hidden_layer
from assembly.calculus.evaluation import Evaluation
from assembly.calculus.hessian import Hessian
from assembly.calculus.lockstep_lanczos import largest_magnitudes
from assembly.calculus.lockstep_space import LockstepHessians
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.estimate import Estimate
from assembly.memory import check_fits
from assembly.program import Program
from assembly.progress import counted
from assembly.seeds import generator

N_STEPS = 60  # in lockstep; a neuron that needs more goes on alone
GROUP_BYTES = 2**29  # memory of the neurons that are taken together
WORKING_VECTORS = 12  # of every neuron, beside its basis


def hessian_norms(evaluation: Evaluation, tol: float, max_steps: int, seed: int) -> Estimate:
    """Return the spectral norm of the Hessian of every output of a program whose last group are linear outputs.

    No sub-models of the user's own may enter them: those bend in their own weights.

    Parameters
    ----------
    evaluation : Evaluation
        Of one sample.
    tol : float
        Relative residual to reach.
    max_steps : int
        Lanczos steps at most, for every neuron.
    seed : int
        Of the random start.

    Returns
    -------
    Estimate
        Values and residuals of shape (n_neurons,); the steps are those of the neuron that took most.

    Raises
    ------
    SaturationError
        If squares of derivatives or activations under- or overflow.
    ResourceError
        If the vectors of a single neuron do not fit in the memory that is free.

    Notes
    -----
    Cost: in lockstep two passes over the weights below per step, as matrix products with a row for every neuron;
    memory `N_STEPS` vectors for every neuron taken together, about 0.5 GiB, or those of one neuron if they are more.
    The closed form reads the weights into the neurons once.
    """
    evaluation.warn_at_kinks()
    program, n = evaluation.program, _n_neurons(evaluation.program)
    if _is_linear(program):
        return Estimate(np.zeros(n), np.zeros(n), True, 0)
    if _has_one_hidden_layer(program):
        return Estimate(_closed_form(evaluation), np.zeros(n), True, 0)
    return _in_lockstep(evaluation, tol, max_steps, seed)


def gradient_norms(evaluation: Evaluation) -> NDArray[np.float64]:
    """Return the norm of the gradient of every output of a program whose last group are linear outputs.

    Exact, of shape (n_neurons,). Cost: a backward pass for every neuron, as matrix products; memory as `hessian_norms`.
    """
    evaluation.warn_at_kinks()
    groups = _groups(evaluation.program, WORKING_VECTORS)
    return np.concatenate([LockstepHessians(evaluation, part).gradient_norms() for part in groups]).astype(np.float64)


def _is_linear(program: Program) -> bool:
    return all(program.blocks[i].from_given for i in program.segments[-1].incoming)


def _has_one_hidden_layer(program: Program) -> bool:
    entering = set(program.segments[-1].incoming)
    return program.is_edgewise and all(block.from_given for i, block in enumerate(program.blocks) if i not in entering)


def _closed_form(evaluation: Evaluation) -> NDArray[np.float64]:
    found = []
    for part in _groups(evaluation.program, WORKING_VECTORS):
        space = LockstepHessians(evaluation, part)
        n_nodes = space.n_nodes
        alpha, beta = (norm.astype(np.float64) for norm in space.squared_norms())
        diagonal = space.curvature[:, :n_nodes] * alpha
        coupling = np.abs(space.first[:n_nodes]) * np.sqrt(alpha) * np.sqrt(beta)
        found.append(np.abs(one_hidden_layer.larger(diagonal, coupling)).max(axis=1))
    return np.concatenate(found)


def _in_lockstep(evaluation: Evaluation, tol: float, max_steps: int, seed: int) -> Estimate:
    n, n_steps = _n_neurons(evaluation.program), min(N_STEPS, max_steps)
    values, residuals, steps = np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    with counted("Hessian norms of a layer", n, "neurons") as advance:
        for part in _groups(evaluation.program, n_steps + WORKING_VECTORS):
            hessians = LockstepHessians(evaluation, part)
            start = generator(seed, "lanczos").standard_normal(hessians.size).astype(hessians.dtype)
            found = largest_magnitudes(hessians, start, tol=tol, n_steps=n_steps, advance=advance)
            values[part], residuals[part], steps[part] = found.values, found.residuals, found.n_steps
    if max_steps > n_steps:
        for i in np.flatnonzero(residuals > tol):
            alone = Hessian(NodeSpaceHessian(evaluation, 0, int(i))).norm(tol, max_steps=max_steps, seed=seed)
            values[i], residuals[i], steps[i] = alone.value, alone.residual, steps[i] + alone.n_steps
    return Estimate(values, residuals, bool((residuals <= tol).all()), int(steps.max()))


def _n_neurons(program: Program) -> int:
    return len(program.outputs)


def _groups(program: Program, n_vectors: int) -> Iterator[slice]:
    """Yield the neurons in groups whose vectors, so many each, stay within `GROUP_BYTES` if they can."""
    n, n_bytes = _n_neurons(program), n_vectors * program.n_coordinates * program.dtype.itemsize
    size = max(1, min(n, GROUP_BYTES // n_bytes))
    check_fits(f"The Hessian norms of {size:,} neurons at once", size * n_bytes, "use smaller widths or dtype float32")
    n_groups = -(-n // size)
    for i in range(n_groups):
        yield slice(i * n // n_groups, (i + 1) * n // n_groups)
