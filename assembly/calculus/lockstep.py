r"""Hessian norms of many: of an output at many inputs, or of the pre-activations of all neurons of a group at one.

Three ways, chosen by what lies below:

* A pre-activation that reads inputs alone is linear in its parameters: 0 exactly.
* One hidden layer below, without shared weights: the Hessian of neuron i falls into a 2x2 block for every hidden neuron
  k, with :math:`\bar a_k = c_i w_{ik}` and :math:`\beta_k = c_i^2`; see `assembly.calculus.one_hidden_layer`.
* Elsewhere Lanczos in lockstep, `assembly.calculus.lockstep_lanczos`, in groups that the threads share; those that need
  more steps go on one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from assembly import threads
from assembly.calculus import one_hidden_layer
from assembly.calculus.evaluation import Evaluation
from assembly.calculus.hessian import Hessian
from assembly.calculus.lockstep_lanczos import TopPairs, top_pairs
from assembly.calculus.lockstep_neurons import NeuronHessians
from assembly.calculus.lockstep_space import LockstepHessians, at_inputs
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.estimate import Estimate
from assembly.memory import check_fits
from assembly.program import Program
from assembly.progress import counted
from assembly.seeds import generator

N_STEPS = 120  # in lockstep; what needs more goes on alone
GROUP_SIZE = 32  # taken together: a matrix product of so many rows is near its best, and vectors stay in cache,
GROUP_BYTES = 2**30  # fewer where their vectors might take more memory
WORKING_VECTORS = 12  # of each, beside its basis


class Steps(NamedTuple):
    """What an iteration may take: the residual to reach, the steps at most, the seed of the start."""

    tol: float
    most: int
    seed: int


def neuron_norms(evaluation: Evaluation, tol: float, max_steps: int, seed: int) -> Estimate:
    """Return the spectral norm of the Hessian of every output of a program whose last group are linear outputs.

    No sub-models of the user's own may enter them: those bend in their own weights.

    Parameters
    ----------
    evaluation : Evaluation
        Of one sample.
    tol : float
        Relative residual to reach.
    max_steps : int
        Lanczos steps at most, for every neuron, in lockstep and, where those did not suffice, once more alone.
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
    memory a vector per step for every neuron taken together, at most `GROUP_BYTES` for each thread, or those of one
    neuron if they are more.
    The closed form reads the weights into the neurons once.
    """
    evaluation.warn_at_kinks()
    program, n = evaluation.program, _n_neurons(evaluation.program)
    if _is_linear(program):
        return Estimate(np.zeros(n), np.zeros(n), True, 0)
    if one_hidden_layer.applies_to(program, np.zeros(program.n_nodes)):
        return Estimate(_closed_form(evaluation), np.zeros(n), True, 0)

    def alone(neuron: int) -> tuple[Estimate, NDArray[Any]]:
        return Hessian(NodeSpaceHessian(evaluation, 0, neuron)).top_pair(tol, max_steps=max_steps, seed=seed)

    found = _in_lockstep(program, n, partial(NeuronHessians, evaluation), alone, Steps(tol, max_steps, seed), False)
    return _estimate(np.abs(found.values), found, tol)


def input_norms(evaluation: Evaluation, output: int, tol: float, max_steps: int, seed: int) -> Estimate:
    """Return the spectral norm of the Hessian of one output at every sample of an evaluation.

    Parameters
    ----------
    evaluation : Evaluation
    output : int
    tol, max_steps, seed
        As `neuron_norms`.

    Returns
    -------
    Estimate
        Values and residuals of shape (n_samples,); the steps are those of the sample that took most.

    Raises
    ------
    SaturationError
        If squares of the output's derivatives, or of all activations, under- or overflow.
    ResourceError
        If the vectors of a single sample do not fit in the memory that is free.

    Notes
    -----
    Cost: as `neuron_norms`; one hidden layer has a closed form.
    """
    found = _of_inputs(evaluation, output, Steps(tol, max_steps, seed), False)
    return _estimate(np.abs(found.values), found, tol)


def input_pairs(
    evaluation: Evaluation, output: int, tol: float, max_steps: int, seed: int
) -> list[tuple[Estimate, NDArray[Any]]]:
    """Return what `Hessian.top_pair` does, at every sample of an evaluation.

    Cost: as `input_norms`, and a node-space vector for every sample.
    """
    found = _of_inputs(evaluation, output, Steps(tol, max_steps, seed), True)
    assert found.coordinates is not None
    pairs = zip(found.values, found.residuals, found.n_steps, found.coordinates, strict=True)
    return [(Estimate(float(v), float(r), bool(r <= tol), int(n)), c) for v, r, n, c in pairs]


def _of_inputs(evaluation: Evaluation, output: int, steps: Steps, with_coordinates: bool) -> TopPairs:
    def alone(row: int) -> tuple[Estimate, NDArray[Any]]:
        hessian = Hessian(NodeSpaceHessian(evaluation, row, output))
        return hessian.top_pair(steps.tol, max_steps=steps.most, seed=steps.seed)

    n, program = len(evaluation.post), evaluation.program
    bends = evaluation.second[0] * evaluation.adjoints(output).post[0]
    if n > 1 and program.n_parameters > 0 and not one_hidden_layer.applies_to(program, bends):
        together = partial(at_inputs, evaluation, output)
        return _in_lockstep(program, n, together, alone, steps, with_coordinates)
    pairs = [alone(row) for row in range(n)]
    return TopPairs(
        np.array([float(one.value) for one, _ in pairs]),
        np.array([float(one.residual) for one, _ in pairs]),
        np.array([one.n_steps for one, _ in pairs]),
        np.array([coordinates for _, coordinates in pairs]) if with_coordinates else None,
    )


def gradient_norms(evaluation: Evaluation) -> NDArray[np.float64]:
    """Return the norm of the gradient of every output of a program whose last group are linear outputs.

    Exact, of shape (n_neurons,). Cost: a backward pass for every neuron, as matrix products; memory as `neuron_norms`.
    """
    evaluation.warn_at_kinks()
    parts = _groups_that_fit(evaluation.program, _n_neurons(evaluation.program), WORKING_VECTORS)
    return np.concatenate([NeuronHessians(evaluation, part).gradient_norms() for part in parts]).astype(np.float64)


def _is_linear(program: Program) -> bool:
    return all(program.blocks[i].from_given for i in program.segments[-1].incoming)


def _closed_form(evaluation: Evaluation) -> NDArray[np.float64]:
    found = []
    for part in _groups_that_fit(evaluation.program, _n_neurons(evaluation.program), WORKING_VECTORS):
        space = NeuronHessians(evaluation, part)
        n_nodes = space.n_nodes
        alpha, beta = (norm.astype(np.float64) for norm in space.squared_norms())
        diagonal = space.curvature[:, :n_nodes] * alpha
        coupling = np.abs(space.first[:, :n_nodes]) * np.sqrt(alpha) * np.sqrt(beta)
        found.append(np.abs(one_hidden_layer.larger(diagonal, coupling)).max(axis=1))
    return np.concatenate(found)


def _in_lockstep(
    program: Program,
    n: int,
    together: Callable[[slice], LockstepHessians],
    alone: Callable[[int], tuple[Estimate, NDArray[Any]]],
    steps: Steps,
    with_coordinates: bool,
) -> TopPairs:
    """Return the top pairs of n operators: in groups, and where that does not reach the tolerance one by one."""
    n_together = min(N_STEPS, steps.most)
    parts = _groups_that_fit(program, n, n_together + WORKING_VECTORS)
    with counted("Hessian norms", n, "of them") as advance:

        def solve(part: slice) -> TopPairs:
            hessians = together(part)
            start = generator(steps.seed, "lanczos").standard_normal(hessians.size).astype(hessians.dtype)
            return top_pairs(
                hessians,
                start,
                tol=steps.tol,
                n_steps=n_together,
                advance=advance,
                with_coordinates=with_coordinates,
            )

        found_of = threads.run(solve, parts)
    found = TopPairs(
        np.concatenate([part.values for part in found_of]),
        np.concatenate([part.residuals for part in found_of]),
        np.concatenate([part.n_steps for part in found_of]),
        np.concatenate([part.coordinates for part in found_of]) if with_coordinates else None,
    )
    for i in np.flatnonzero((found.residuals > steps.tol) & (found.n_steps <= steps.most)):
        single, coordinates = alone(int(i))
        found.values[i], found.residuals[i] = float(single.value), float(single.residual)
        found.n_steps[i] += single.n_steps
        if found.coordinates is not None:
            found.coordinates[i] = coordinates
    return found


def _estimate(values: NDArray[np.float64], found: TopPairs, tol: float) -> Estimate:
    return Estimate(values, found.residuals, bool((found.residuals <= tol).all()), int(found.n_steps.max()))


def _n_neurons(program: Program) -> int:
    return len(program.outputs)


def groups(program: Program, n: int, n_vectors: int) -> list[slice]:
    """Divide n operators into groups whose vectors, so many each, stay within `GROUP_BYTES` if they can.

    Several groups are as many as threads can share evenly.
    """
    size = max(1, min(n, GROUP_SIZE, GROUP_BYTES // (n_vectors * _vector_bytes(program))))
    n_groups = -(-n // size)
    evenly = min(1 << (n_groups - 1).bit_length(), threads.N_PIECES)
    n_groups = min(n, -(-n_groups // evenly) * evenly)
    return [slice(i * n // n_groups, (i + 1) * n // n_groups) for i in range(n_groups)]


def _groups_that_fit(program: Program, n: int, n_vectors: int) -> list[slice]:
    found = groups(program, n, n_vectors)
    at_once = min(n, max(part.stop - part.start for part in found) * threads.n_threads())
    n_bytes = at_once * n_vectors * _vector_bytes(program)
    check_fits(f"{at_once:,} Hessian norms at once", n_bytes, "use fewer, smaller widths or dtype float32")
    return found


def _vector_bytes(program: Program) -> int:
    return program.n_coordinates * program.dtype.itemsize
