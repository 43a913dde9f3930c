r"""The Hessians of many neurons' pre-activations at one input, in lockstep.

Neurons i of one group share the activations and their slopes below; only the adjoints of the nodes below differ. The
pre-activation :math:`z_i = \sum_u c_i w_{iu} a_u` is linear in the activations it reads, so its own s vanishes, and its
own in-edges are felt through

.. math:: q_u \mathrel{+}= c_i^2\, t_u, \qquad \bar a_u = c_i w_{iu},

with no coordinates for i itself: vectors hold s and t of the nodes below alone, then r, the weights outside node space.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Block, NodeBlock
from assembly.calculus.evaluation import Evaluation
from assembly.calculus.lockstep_space import LockstepHessians, Rows
from assembly.program import Program


class NeuronHessians(LockstepHessians):
    """H of the pre-activations of some neurons.

    Parameters
    ----------
    evaluation : Evaluation
        Of one sample, of a program whose last group are linear outputs that read one another nowhere.
    neurons : slice
        Positions of the neurons in that group.

    Raises
    ------
    SaturationError
        If squares of the derivatives of a neuron, or of all activations, under- or overflow.
    """

    def __init__(self, evaluation: Evaluation, neurons: slice) -> None:
        program = evaluation.program
        self.neurons = neurons
        entering = [i for i in program.segments[-1].incoming if _is_inside(program, i)]
        self.last = [block for i in entering if isinstance(block := program.blocks[i], NodeBlock)]
        super().__init__(
            program,
            evaluation.weights,
            program.segments[:-1],
            (evaluation.post, evaluation.first, evaluation.second),
            _adjoints(evaluation, neurons),
            [(block.source, _squared_factors(block, neurons)) for block in self.last if not block.from_given],
        )

    def gradient_norms(self) -> NDArray[Any]:
        """Return the norms of the gradients ``c_v b_v a_u`` of the neurons in all their parameters, shape (n,)."""
        gradient = np.zeros((len(self), self.size), self.dtype)
        self.split(gradient)[0][:] = self.b[:, : self.n_nodes]
        nothing = np.zeros(self.a.shape[1], self.dtype)
        for part, locals_ in self._outside:
            for local, row in zip(locals_, self.rest(gradient)[:, part], strict=True):
                found = np.empty_like(row)
                local.block.scatter(local.weights, local.b, nothing, local.a, local.b, found)
                row += found
        squared = np.einsum("kn,kn->k", gradient, self.N(gradient))
        for block in self.last:
            squared += (block.factor**2 * block.products(self.a[0], self.a[0]))[self.neurons]
        norms: NDArray[Any] = np.sqrt(squared)
        return norms


def _adjoints(evaluation: Evaluation, neurons: slice) -> tuple[Rows, Rows]:
    """Return df/da and df/dz of all nodes, a row for every neuron."""
    program, last = evaluation.program, evaluation.program.segments[-1]
    chosen = np.arange(last.nodes.start, last.nodes.stop)[neurons]
    post, pre = np.zeros((2, len(chosen), program.n_nodes), program.dtype)
    pre[np.arange(len(chosen)), chosen] = 1.0
    for position in last.incoming:
        block = program.blocks[position]
        if not block.from_given:
            post[:, block.source] += block.rows(evaluation.weights[position], neurons)
    for segment in reversed(program.segments[:-1]):
        if segment.incoming:
            pre[:, segment.nodes] = evaluation.slope(segment, post[:, segment.nodes])
            for block, weights in ((program.blocks[i], evaluation.weights[i]) for i in segment.incoming):
                if not block.from_given:
                    block.pull_rows(weights, pre, post)
    return post, pre


def _is_inside(program: Program, position: int) -> bool:
    return position in program.trainable and position not in program.coordinates


def _squared_factors(block: Block, neurons: slice) -> Rows:
    """Return ``sum c_i^2`` over the edges from every source into every neuron, a row each."""
    ones = np.broadcast_to(block.factor.dtype.type(1.0), block.shape)
    squares: Rows = block.rows(ones, neurons) * block.factor[neurons, None]
    return squares
