r"""A sum of outputs over samples, each times a factor: its gradient, and its Hessian along a direction.

With fixed factors :math:`r_{ik}`, of output k at sample i,

.. math:: \phi(w) = \sum_{ik} r_{ik} f_k(w; x_i), \qquad \nabla\phi = J^T r, \qquad
          \nabla^2\phi\, v = \sum_{ik} r_{ik} H_{ik} v .

With the derivatives of a loss as factors the first is the gradient of the loss, and the second what its Hessian has
beyond the Gauss-Newton part. Samples go through dense blocks together, as matrix products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Filled
from assembly.blocks.own import OwnBlock
from assembly.calculus.evaluation import Evaluation, backward_of_sum, scatter_rows, tangents
from assembly.calculus.workspace import Workspace
from assembly.errors import GraphError


def gradient_of_sum(
    evaluation: Evaluation,
    factors: NDArray[Any],
    out: NDArray[Any] | None = None,
    workspace: Workspace | None = None,
    then: Filled | None = None,
) -> NDArray[Any]:
    """Return the gradient in all parameters, ``sum_ik r_ik grad f_k(x_i)``, in `out` where that is given.

    Parameters
    ----------
    evaluation : Evaluation
    factors : ndarray of shape (n_samples, n_outputs)
    out : ndarray of shape (n_parameters,), optional
    workspace : Workspace, optional
        Where the adjoints are meanwhile; fresh memory if left out.
    then : callable, optional
        Called once with every range of parameters whose gradient is complete, by any thread, while it is in cache; it
        may change those parameters.

    Notes
    -----
    The slope of a ReLU at exactly 0 is 0, without a warning. Cost: for dense blocks two matrix products, one less for
    those from the inputs; memory 2 n_samples n_nodes numbers.

    Examples
    --------
    >>> import assembly as am
    >>> net, x = am.mlp(n_inputs=2, widths=[4], seed=0), [[1.0, 2.0], [0.5, -1.0]]
    >>> total = gradient_of_sum(net.evaluate(x), np.array([[2.0], [-1.0]]))
    >>> bool(np.allclose(total, 2.0 * net.gradient(x[0]) - net.gradient(x[1])))
    True
    """
    program = evaluation.program
    b = backward_of_sum(evaluation, factors, workspace).pre
    out = np.empty(program.n_parameters, program.dtype) if out is None else out
    scatter_rows(evaluation, b, evaluation.post, out, then)
    return out


class Expansion:
    r"""All outputs to second order along one direction of the parameters.

    .. math:: f(w + v) = f(w) + \nabla f \cdot v + \tfrac12 v^T H v + \dots

    Parameters
    ----------
    evaluation : Evaluation
        At w.
    direction : ndarray of shape (n_parameters,)
        v.

    Raises
    ------
    GraphError
        If there are sub-models of your own.

    Notes
    -----
    Cost: of the tangents two evaluations, of `second` two more, of `gradient` five matrix products for every dense
    block. Memory: four node vectors per sample.

    Examples
    --------
    >>> import assembly as am
    >>> net, x = am.mlp(n_inputs=2, widths=[4], seed=0), [[1.0, 2.0]]
    >>> v = np.ones(net.n_parameters)
    >>> along = Expansion(net.evaluate(x), v)
    >>> bool(np.isclose(along.second()[0, 0], v @ (net.hessian(x[0]) @ v)))
    True
    """

    def __init__(self, evaluation: Evaluation, direction: NDArray[Any]) -> None:
        if any(isinstance(block, OwnBlock) for block in evaluation.program.blocks):
            raise GraphError(
                "A second-order expansion along a direction is not known of sub-models of your own: compose the "
                "network of neurons."
            )
        self.evaluation, self.direction = evaluation, direction
        self.pre, self.post = tangents(evaluation, direction)

    def first(self) -> NDArray[Any]:
        """Return ``grad f . v``, shape (n_samples, n_outputs)."""
        return self.post[:, self.evaluation.program.outputs]

    def second(self) -> NDArray[Any]:
        """Return ``v^T H v``, shape (n_samples, n_outputs)."""
        evaluation, program = self.evaluation, self.evaluation.program
        post, pre = np.zeros_like(self.post), np.zeros_like(self.pre)
        for segment in program.segments:
            for position in segment.incoming:
                block, weights = program.blocks[position], evaluation.weights[position]
                if not block.from_given:
                    block.push_rows(weights, post, pre)
                    if block.parameters is not None:
                        block.push_rows(block.weights(self.direction), 2.0 * self.post, pre)
            if segment.incoming:
                nodes, z_dot = segment.nodes, self.pre[:, segment.nodes]
                post[:, nodes] = evaluation.slope(segment, pre[:, nodes]) + evaluation.bend(segment, z_dot, z_dot)
        return post[:, program.outputs]

    def gradient(
        self, factors: NDArray[Any], out: NDArray[Any] | None = None, then: Filled | None = None
    ) -> NDArray[Any]:
        """Return ``sum_ik r_ik (grad f_k(x_i) + H_ik v)``, the gradient in v of the expansions, in `out` if given.

        With `then` as in `gradient_of_sum`.
        """
        evaluation, program = self.evaluation, self.evaluation.program
        adjoints = backward_of_sum(evaluation, factors)
        abar_dot, s = np.zeros_like(self.post), np.zeros_like(self.post)
        for segment in reversed(program.segments):
            if segment.incoming:
                nodes = segment.nodes
                s[:, nodes] = evaluation.slope(segment, abar_dot[:, nodes])
                s[:, nodes] += evaluation.bend(segment, adjoints.post[:, nodes], self.pre[:, nodes])
                for position in segment.incoming:
                    self._pull(position, s, adjoints.pre, abar_dot)
        above = np.concatenate([s + adjoints.pre, adjoints.pre])
        below = np.concatenate([evaluation.post, self.post])
        out = np.empty(program.n_parameters, program.dtype) if out is None else out
        scatter_rows(evaluation, above, below, out, then)
        return out

    def _pull(self, position: int, s: NDArray[Any], b: NDArray[Any], abar_dot: NDArray[Any]) -> None:
        block = self.evaluation.program.blocks[position]
        if not block.from_given:
            block.pull_rows(self.evaluation.weights[position], s, abar_dot)
            if block.parameters is not None:
                block.pull_rows(block.weights(self.direction), b, abar_dot)
