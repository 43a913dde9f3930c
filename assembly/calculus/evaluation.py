r"""Activations and adjoints at given inputs: computed once, shared by everything asked there.

.. math::
    z_v = \sum_u c_v w_{uv} a_u, \quad a_v = \sigma_v(z_v), \qquad
    \bar a_u = \sum_v c_v w_{uv} b_v, \quad b_v = \sigma_v'(z_v) \bar a_v

One sample is a pass over the weights; several go through dense blocks together, as matrix products. How a value is
rounded then depends on its batch, within the bound of `evaluate`, and never on the number of threads.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly import threads
from assembly.blocks.block import Block, Filled, locked
from assembly.calculus.response import softmax, softmax_bend, softmax_slope
from assembly.calculus.workspace import Workspace
from assembly.errors import KinkWarning, NonFiniteError
from assembly.kernels import activation
from assembly.memory import check_fits
from assembly.program import Program, Segment

JET_BYTES = 32  # an activation and its derivatives take as long as reading so much


@dataclass(frozen=True, eq=False)
class Adjoints:
    """Derivatives of one output with respect to every node, for every sample.

    Attributes
    ----------
    post : ndarray of shape (n_samples, n_nodes)
        The adjoint ``df/da_v``; left at 0 for the inputs and the constant, where nothing needs it.
    pre : ndarray of shape (n_samples, n_nodes)
        The pre-activation adjoint ``b_v = df/dz_v``.
    """

    post: NDArray[Any]
    pre: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A program evaluated at a batch of inputs.

    Attributes
    ----------
    program : Program
    weights : list of ndarray
        Weights of every block.
    pre, post, first : ndarray of shape (n_samples, n_nodes)
        z, a = sigma(z) and sigma'(z) of every node; the last means nothing in a softmax.
    """

    program: Program
    weights: list[NDArray[Any]]
    pre: NDArray[Any]
    post: NDArray[Any]
    first: NDArray[Any]
    _adjoints: dict[int, Adjoints] = field(default_factory=dict)

    @cached_property
    def second(self) -> NDArray[Any]:
        """sigma''(z) of every node, shape (n_samples, n_nodes), computed when asked for; nothing in a softmax."""
        second = np.empty_like(self.pre)
        codes, pre = self.program.codes, self.pre
        _by_samples(lambda rows: activation.second_derivatives(codes, pre[rows], second[rows]), second)
        second.flags.writeable = False
        return second

    @property
    def outputs(self) -> NDArray[Any]:
        """Values of the outputs, shape (n_samples, n_outputs)."""
        return self.post[:, self.program.outputs]

    def adjoints(self, output: int) -> Adjoints:
        """Return the derivatives of one output; the first time at the cost of an evaluation."""
        if output not in self._adjoints:
            self.warn_at_kinks()
            self._adjoints[output] = backward(self, int(self.program.outputs[output]))
        return self._adjoints[output]

    def at_row(self, row: int) -> Evaluation:
        """Return the evaluation at one of the samples."""
        return self.at_rows(slice(row, row + 1))

    def at_rows(self, rows: slice | NDArray[np.int64]) -> Evaluation:
        """Return the evaluation at some of the samples."""
        return Evaluation(self.program, self.weights, self.pre[rows], self.post[rows], self.first[rows])

    def slope(self, segment: Segment, values: NDArray[Any]) -> NDArray[Any]:
        """Return what the activations of a segment make of a change of its pre-activations, at every sample."""
        changed = np.empty_like(values)
        self.fill_slope(segment, values, changed)
        return changed

    def fill_slope(self, segment: Segment, values: NDArray[Any], out: NDArray[Any]) -> None:
        """Fill `out`, which has the shape of `values`, with their `slope`."""
        if segment.is_softmax:
            out[:] = softmax_slope(self.post[:, segment.nodes], values)
        else:
            np.multiply(self.first[:, segment.nodes], values, out=out)

    def bend(self, segment: Segment, values: NDArray[Any], z_dot: NDArray[Any]) -> NDArray[Any]:
        """Return the derivative of `slope` of fixed values along a change of the pre-activations, at every sample."""
        if segment.is_softmax:
            return softmax_bend(self.post[:, segment.nodes], values, z_dot)
        bent: NDArray[Any] = self.second[:, segment.nodes] * values * z_dot
        return bent

    def warn_at_kinks(self) -> None:
        """Warn if a ReLU neuron sits exactly at its kink."""
        kinked = np.flatnonzero(self.program.codes == activation.RELU)
        if kinked.size and not self.pre[:, kinked].all():
            warnings.warn(
                "a ReLU pre-activation is exactly 0: no derivative exists there; the slope 0 is used",
                KinkWarning,
                stacklevel=4,
            )


def evaluate(
    program: Program, weights: list[NDArray[Any]], samples: NDArray[Any], workspace: Workspace | None = None
) -> Evaluation:
    r"""Evaluate every node at every sample.

    Parameters
    ----------
    program : Program
    weights : list of ndarray
    samples : ndarray of shape (n_samples, n_inputs)
    workspace : Workspace, optional
        Where the node vectors are; fresh memory if left out.

    Raises
    ------
    NonFiniteError
        If a neuron overflows.
    ResourceError
        If the node vectors do not fit in the memory that is free.

    Notes
    -----
    Cost: for one sample one pass over the weights; for several a matrix product for every dense block, and a pass per
    sample for others. Memory 3 n_samples n_nodes numbers, 4 once second derivatives are asked for.

    For several samples, what dense blocks give a neuron of in-degree n differs from its exact value at the activations
    below by at most

    .. math:: \gamma_{n + 1} \sum_u |c_v w_{uv} a_u|, \qquad \gamma_n = \frac{n u}{1 - n u}

    as BLAS adds products in the dtype of the program: u is :math:`2^{-53}` in float64 and :math:`2^{-24}` in float32.
    So a value depends on its batch within twice that, neuron by neuron. It does not depend on the number of threads.
    The same holds of adjoints, with the out-degree, and of tangents. A single sample is added in float64 in either
    dtype.
    """
    shape = (len(samples), program.n_nodes)
    what = f"An evaluation of {shape[0]:,} samples on {shape[1]:,} nodes"
    workspace = workspace or Workspace()
    if not workspace.holds("first", shape, program.dtype):  # a step of training is not refused what it has
        check_fits(what, 6 * shape[0] * shape[1] * program.dtype.itemsize, "use fewer samples at once")
    pre, post, first = (workspace.take(name, shape, program.dtype) for name in ("pre", "post", "first"))
    for given, values in ((program.inputs, samples), (program.constant, 1.0)):
        pre[:, given], post[:, given], first[:, given] = 0.0, values, 0.0
    is_finite = [activation.all_finite(post, program.inputs.start, program.inputs.stop)]

    def activate(rows: slice, nodes: slice) -> None:
        _activate(program, nodes, pre[rows], post[rows], first[rows])
        is_finite.append(activation.all_finite(post[rows], nodes.start, nodes.stop))

    with np.errstate(over="ignore", invalid="ignore"):  # found below
        for segment in program.segments:
            if segment.nodes not in (program.inputs, program.constant):
                _enter(program, segment, weights, post, pre, activate)
            if segment.is_softmax:
                post[:, segment.nodes] = softmax(pre[:, segment.nodes])
    if not all(is_finite):
        raise NonFiniteError(
            f"A neuron overflows {program.dtype} at these inputs and parameters: scale the inputs or the weights down."
        )
    return Evaluation(program, weights, locked(pre), locked(post), locked(first))


def _enter(
    program: Program,
    segment: Segment,
    weights: list[NDArray[Any]],
    post: NDArray[Any],
    pre: NDArray[Any],
    activate: Callable[[slice, slice], None],
) -> None:
    """Push all blocks into a segment, and activate what is complete while it is in cache."""
    if not segment.incoming:  # a neuron without in-edges is sigma(0)
        pre[:, segment.nodes] = 0.0
        activate(slice(0, len(pre)), segment.nodes)
    for position in segment.incoming:
        adds, is_last = position != segment.incoming[0], position == segment.incoming[-1]
        block, then = program.blocks[position], activate if is_last else None
        block.push_rows_then(weights[position], post, pre, adds, then)


def _activate(program: Program, nodes: slice, pre: NDArray[Any], post: NDArray[Any], first: NDArray[Any]) -> None:
    def activate(rows: slice) -> None:
        activation.activate(program.codes, pre[rows], post[rows], first[rows], nodes.start, nodes.stop)

    _by_samples(activate, pre[:, nodes])


def _by_samples(task: Callable[[slice], None], values: NDArray[Any]) -> None:
    """Do what takes a jet for every value of some node vectors; threads share the samples."""
    threads.run(task, threads.pieces(len(values), JET_BYTES * values.size))


def gradient(evaluation: Evaluation, row: int, output: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Return the gradient of one output at one sample in all parameters, ``c_v b_v a_u`` edge by edge, in `out`."""
    program = evaluation.program
    a, b = evaluation.post[row], evaluation.adjoints(output).pre[row]
    out = np.empty(program.n_parameters, dtype=program.dtype) if out is None else out
    scatter(evaluation, b, np.zeros_like(a), a, b, out)
    return out


def scatter(
    evaluation: Evaluation, s: NDArray[Any], t: NDArray[Any], a: NDArray[Any], b: NDArray[Any], out: NDArray[Any]
) -> None:
    """Fill `out`, shape (n_parameters,), with ``c_v (s_v a_u + t_u b_v)``, summed over the edges of each weight."""
    fill_by_blocks(evaluation, lambda block, weights, part: block.scatter(weights, s, t, a, b, part), out)


def scatter_rows(
    evaluation: Evaluation, b: NDArray[Any], a: NDArray[Any], out: NDArray[Any], then: Filled | None = None
) -> None:
    """Fill `out`, shape (n_parameters,), with ``c_v b_v a_u``, summed over the rows of (b, a) and edges of a weight.

    Where `then` is given it is called once with every range of parameters, when `out` is complete there, by any thread.
    It may change the parameters.
    """
    program = evaluation.program
    places = Counter(program.blocks[position].place for position in program.trainable)

    def fill(block: Block, weights: NDArray[Any], part: NDArray[Any]) -> None:
        start, stop = block.place
        if then is None or places[start, stop] > 1:
            block.scatter_rows(weights, b, a, part)
        else:
            block.scatter_rows_then(
                weights, b, a, part, lambda rows: then(slice(start + rows.start, start + rows.stop))
            )

    fill_by_blocks(evaluation, fill, out)
    if then is not None:
        for (start, stop), n_readers in places.items():
            if n_readers > 1:
                then(slice(start, stop))


def fill_by_blocks(
    evaluation: Evaluation, fill: Callable[[Block, NDArray[Any], NDArray[Any]], None], out: NDArray[Any]
) -> None:
    """Fill `out`, shape (n_parameters,), block by block; what blocks that read the same weights make is added."""
    filled: set[tuple[int, int]] = set()
    for position in evaluation.program.trainable:
        block, weights = evaluation.program.blocks[position], evaluation.weights[position]
        part = out[slice(*block.place)]
        if block.place in filled:
            more = np.empty_like(part)
            fill(block, weights, more)
            part += more
        else:
            fill(block, weights, part)
            filled.add(block.place)


def _zeros(evaluation: Evaluation, name: str, workspace: Workspace | None) -> NDArray[Any]:
    zeros = (workspace or Workspace()).take(name, evaluation.post.shape, evaluation.program.dtype)
    zeros[:] = 0.0
    return zeros


def tangent(evaluation: Evaluation, direction: NDArray[Any], workspace: Workspace | None = None) -> NDArray[Any]:
    """Return the derivative of every output along a direction of the parameters, shape (n_samples, n_outputs).

    Cost: that of two evaluations (the weights and the direction); memory 2 n_samples n_nodes numbers.
    """
    return tangents(evaluation, direction, workspace)[1][:, evaluation.program.outputs]


def tangents(
    evaluation: Evaluation, direction: NDArray[Any], workspace: Workspace | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the derivatives of all pre-activations and activations along a direction of the parameters.

    Each of shape (n_samples, n_nodes), in a workspace if one is given. Cost as `tangent`.
    """
    program = evaluation.program
    post, pre = (_zeros(evaluation, name, workspace) for name in ("tangent post", "tangent pre"))
    for segment in program.segments:
        for position in segment.incoming:
            block, weights = program.blocks[position], evaluation.weights[position]
            if block.parameters is not None:
                block.differentiate_rows(weights, block.weights(direction), evaluation.post, pre)
            if not block.from_given:
                block.push_rows(weights, post, pre)
        if segment.incoming:
            evaluation.fill_slope(segment, pre[:, segment.nodes], post[:, segment.nodes])
    return pre, post


def backward(evaluation: Evaluation, node: int) -> Adjoints:
    """Return the derivatives of the activation of one node with respect to every node, for every sample."""
    post = _zeros(evaluation, "adjoint post", None)
    post[:, node] = 1.0
    return _pulled(evaluation, post, [node], None)


def backward_of_sum(evaluation: Evaluation, factors: NDArray[Any], workspace: Workspace | None = None) -> Adjoints:
    """Return the derivatives of a sum of outputs, each times its factor, with respect to every node.

    Parameters
    ----------
    evaluation : Evaluation
    factors : ndarray of shape (n_samples, n_outputs)
    workspace : Workspace, optional
        Where they are; fresh memory if left out.
    """
    post = _zeros(evaluation, "adjoint post", workspace)
    for column, node in enumerate(evaluation.program.outputs):  # a node may be an output twice
        post[:, node] += factors[:, column]
    return _pulled(evaluation, post, evaluation.program.outputs.tolist(), workspace)


def _pulled(evaluation: Evaluation, post: NDArray[Any], seeded: list[int], workspace: Workspace | None) -> Adjoints:
    """Pull the adjoints of some seeded nodes, which `post` holds beside zeros, down to every node."""
    program, first = evaluation.program, evaluation.first
    filled = program.starts_of(seeded)
    pre = (workspace or Workspace()).take("adjoint pre", post.shape, program.dtype)

    def turn(rows: slice, nodes: slice) -> None:
        np.multiply(first[rows, nodes], post[rows, nodes], out=pre[rows, nodes])

    for segment in reversed(program.segments):
        if not segment.incoming:
            pre[:, segment.nodes] = 0.0
        elif segment.nodes.start not in program.last_pulls:  # of neurons after which no block comes, or a softmax
            evaluation.fill_slope(segment, post[:, segment.nodes], pre[:, segment.nodes])
        for position in segment.incoming:
            block = program.blocks[position]
            if not block.from_given:
                start = block.source.start
                then = turn if program.last_pulls.get(start) == position else None
                block.pull_rows_then(evaluation.weights[position], pre, post, start in filled, then)
                filled.add(start)
    return Adjoints(post, pre)
