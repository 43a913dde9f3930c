r"""Activations and adjoints at given inputs: computed once, shared by everything asked there.

.. math::
    z_v = \sum_u c_v w_{uv} a_u, \quad a_v = \sigma_v(z_v), \qquad
    \bar a_u = \sum_v c_v w_{uv} b_v, \quad b_v = \sigma_v'(z_v) \bar a_v

Every sample is evaluated on its own, so a value never depends on the batch it was asked in.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.response import softmax, softmax_slope
from assembly.errors import KinkWarning, NonFiniteError
from assembly.kernels import activation
from assembly.memory import check_fits
from assembly.program import Program, Segment


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
    pre, post, first, second : ndarray of shape (n_samples, n_nodes)
        z, a = sigma(z), sigma'(z), sigma''(z) of every node; the last two mean nothing in a softmax.
    """

    program: Program
    weights: list[NDArray[Any]]
    pre: NDArray[Any]
    post: NDArray[Any]
    first: NDArray[Any]
    second: NDArray[Any]
    _adjoints: dict[int, Adjoints] = field(default_factory=dict)

    @property
    def outputs(self) -> NDArray[Any]:
        """Values of the outputs, shape (n_samples, n_outputs)."""
        return self.post[:, self.program.outputs]

    def adjoints(self, output: int) -> Adjoints:
        """Return the derivatives of one output; one pass over the weights per sample, the first time."""
        if output not in self._adjoints:
            self.warn_at_kinks()
            self._adjoints[output] = backward(self, int(self.program.outputs[output]))
        return self._adjoints[output]

    def at_row(self, row: int) -> Evaluation:
        """Return the evaluation at one of the samples."""
        one = slice(row, row + 1)
        values = (self.pre[one], self.post[one], self.first[one], self.second[one])
        return Evaluation(self.program, self.weights, *values)

    def slope(self, segment: Segment, values: NDArray[Any]) -> NDArray[Any]:
        """Return what the activations of a segment make of a change of its pre-activations, at every sample."""
        if segment.is_softmax:
            return softmax_slope(self.post[:, segment.nodes], values)
        changed: NDArray[Any] = self.first[:, segment.nodes] * values
        return changed

    def warn_at_kinks(self) -> None:
        """Warn if a ReLU neuron sits exactly at its kink."""
        at_kink = (self.program.codes == activation.RELU) & (self.pre == 0.0)
        if at_kink.any():
            warnings.warn(
                "a ReLU pre-activation is exactly 0: no derivative exists there; the slope 0 is used",
                KinkWarning,
                stacklevel=4,
            )


def evaluate(program: Program, weights: list[NDArray[Any]], samples: NDArray[Any]) -> Evaluation:
    """Evaluate every node at every sample.

    Parameters
    ----------
    program : Program
    weights : list of ndarray
    samples : ndarray of shape (n_samples, n_inputs)

    Raises
    ------
    NonFiniteError
        If a neuron overflows.
    ResourceError
        If the node vectors do not fit in the memory that is free.

    Notes
    -----
    Cost: one pass over the weights per sample; memory 4 n_samples n_nodes numbers.
    """
    shape = (len(samples), program.n_nodes)
    what = f"An evaluation of {shape[0]:,} samples on {shape[1]:,} nodes"
    check_fits(what, 6 * shape[0] * shape[1] * program.dtype.itemsize, "use fewer samples at once")
    pre, post = np.zeros(shape, program.dtype), np.zeros(shape, program.dtype)
    first, second = np.zeros(shape, program.dtype), np.zeros(shape, program.dtype)
    post[:, program.inputs] = samples
    post[:, program.constant] = 1.0
    with np.errstate(over="ignore", invalid="ignore"):  # found below
        for segment in program.segments:
            if segment.nodes not in (program.inputs, program.constant):  # a neuron without in-edges is sigma(0)
                for position in segment.incoming:
                    block = program.blocks[position]
                    for row in range(len(samples)):
                        block.push(weights[position], post[row], pre[row])
                activation.activate(program.codes, pre, post, first, second, segment.nodes.start, segment.nodes.stop)
            if segment.is_softmax:
                post[:, segment.nodes] = softmax(pre[:, segment.nodes])
    if not np.isfinite(post).all():
        raise NonFiniteError(
            f"A neuron overflows {program.dtype} at these inputs and parameters: scale the inputs or the weights down."
        )
    for values in (pre, post, first, second):
        values.flags.writeable = False
    return Evaluation(program, weights, pre, post, first, second)


def gradient(evaluation: Evaluation, row: int, output: int) -> NDArray[Any]:
    """Return the gradient of one output at one sample in all parameters, ``c_v b_v a_u`` edge by edge."""
    program = evaluation.program
    a, b = evaluation.post[row], evaluation.adjoints(output).pre[row]
    out = np.empty(program.n_parameters, dtype=program.dtype)
    scatter(evaluation, b, np.zeros_like(a), a, b, out)
    return out


def scatter(
    evaluation: Evaluation, s: NDArray[Any], t: NDArray[Any], a: NDArray[Any], b: NDArray[Any], out: NDArray[Any]
) -> None:
    """Fill `out`, shape (n_parameters,), with ``c_v (s_v a_u + t_u b_v)``, summed over the edges of each weight."""
    filled: set[tuple[int, int]] = set()
    for position in evaluation.program.trainable:
        block, weights = evaluation.program.blocks[position], evaluation.weights[position]
        assert block.parameters is not None
        part, place = out[block.parameters], (block.parameters.start, block.parameters.stop)
        if place in filled:  # another block reads the same weights
            more = np.empty_like(part)
            block.scatter(weights, s, t, a, b, more)
            part += more
        else:
            block.scatter(weights, s, t, a, b, part)
            filled.add(place)


def tangent(evaluation: Evaluation, direction: NDArray[Any]) -> NDArray[Any]:
    """Return the derivative of every output along a direction of the parameters, shape (n_samples, n_outputs).

    Cost: two passes over the weights per sample (the weights and the direction).
    """
    program = evaluation.program
    tangents = np.zeros_like(evaluation.post)
    pre = np.zeros_like(evaluation.pre)
    for segment in program.segments:
        for position in segment.incoming:
            block = program.blocks[position]
            for row in range(len(tangents)):
                if block.parameters is not None:
                    block.differentiate(
                        evaluation.weights[position], block.weights(direction), evaluation.post[row], pre[row]
                    )
                if not block.from_given:
                    block.push(evaluation.weights[position], tangents[row], pre[row])
        if segment.incoming:
            tangents[:, segment.nodes] = evaluation.slope(segment, pre[:, segment.nodes])
    return tangents[:, program.outputs]


def backward(evaluation: Evaluation, node: int) -> Adjoints:
    """Return the derivatives of the activation of one node with respect to every node, for every sample."""
    program = evaluation.program
    post, pre = np.zeros_like(evaluation.post), np.zeros_like(evaluation.post)
    post[:, node] = 1.0
    for segment in reversed(program.segments):
        if segment.incoming:
            pre[:, segment.nodes] = evaluation.slope(segment, post[:, segment.nodes])
            for position in segment.incoming:
                block = program.blocks[position]
                if not block.from_given:
                    for row in range(len(post)):
                        block.pull(evaluation.weights[position], pre[row], post[row])
    return Adjoints(post, pre)
