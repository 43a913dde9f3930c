r"""The second derivative of an output along a direction of the parameters, and its gradient in the parameters.

Along a fixed direction V every node has a jet: its value and first two derivatives in a step along V. With
:math:`\phi = V^T H V` the second derivative of the output,

.. math::
    z^{(1)} &= c\,(W a^{(1)} + V a), & z^{(2)} &= c\,(W a^{(2)} + 2 V a^{(1)}), &
    a^{(1)} &= \sigma' z^{(1)}, & a^{(2)} &= \sigma'' (z^{(1)})^2 + \sigma' z^{(2)}, \\
    \bar a^{(2)} &= c\, W^T l^{(2)}, & \bar a^{(1)} &= c\,(W^T l^{(1)} + 2 V^T l^{(2)}), &
    \bar a^{(0)} &= c\,(W^T l^{(0)} + V^T l^{(1)}),

.. math::
    l^{(2)} &= \sigma' \bar a^{(2)}, \quad l^{(1)} = \sigma' \bar a^{(1)} + 2 \sigma'' z^{(1)} \bar a^{(2)}, \\
    l^{(0)} &= \sigma' \bar a^{(0)} + \sigma'' z^{(1)} \bar a^{(1)}
               + (\sigma''' (z^{(1)})^2 + \sigma'' z^{(2)})\, \bar a^{(2)}, \\
    \frac{\partial \phi}{\partial W} &= c\,(l^{(2)} a^{(2)T} + l^{(1)} a^{(1)T} + l^{(0)} a^T),

of rank three a layer. The passes of the blocks are bilinear in weights and nodes, so weights that edges share come out
by themselves. In a softmax of p the products with derivatives of sigma are those of `assembly.calculus.response`, and
the third derivative along z twice is, with :math:`\dot p = J \dot z` and :math:`\ddot p` its derivative along z,

.. math:: \ddot p \odot (\bar a - p \cdot \bar a) - 2 \dot p\, (\dot p \cdot \bar a) - p\, (\ddot p \cdot \bar a).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Block
from assembly.blocks.own import OwnBlock
from assembly.calculus.evaluation import Evaluation, scatter
from assembly.calculus.response import softmax_bend, softmax_slope
from assembly.errors import GraphError
from assembly.kernels import activation
from assembly.program import Segment

Vector = NDArray[Any]


class Jet:
    r"""Every node to second order along one direction of the parameters, at one sample of an evaluation.

    Parameters
    ----------
    evaluation : Evaluation
    row : int
        Sample.
    direction : ndarray of shape (n_parameters,)
        V, in the dtype of the program.

    Attributes
    ----------
    pre, post : ndarray of shape (3, n_nodes)
        Pre-activations and activations with their first and second derivatives along V.

    Notes
    -----
    Cost: two passes over the weights and two over the direction; memory six node vectors.
    ReLU's second and third derivatives are taken as 0. Of sub-models of the user's own, which give no third
    derivative, only the first order is known.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=2, widths=[4], activation="tanh", seed=0)
    >>> x, V = np.array([[1.0, -0.5]]), np.ones(net.n_parameters)
    >>> jet = Jet(net.evaluate(x), 0, V)
    >>> bool(np.isclose(jet.derivative(0, 2), V @ (net.hessian(x[0]) @ V)))
    True
    """

    def __init__(self, evaluation: Evaluation, row: int, direction: Vector) -> None:
        self.program, self.weights, self.direction = evaluation.program, evaluation.weights, direction
        self.evaluation = evaluation
        zeros = np.zeros_like(evaluation.post[row])
        self.pre = np.array([evaluation.pre[row], zeros, zeros])
        self.post = np.array([evaluation.post[row], zeros, zeros])
        self.first, self.second, self.third = evaluation.first[row], evaluation.second[row], np.empty_like(zeros)
        activation.third_derivatives(self.program.codes, self.pre[0], self.third)
        for segment in self.program.segments:
            for position in segment.incoming:
                self._push(position)
            if segment.incoming:
                v = segment.nodes
                self.post[1, v] = self._slope(segment, self.pre[1, v])
                self.post[2, v] = self._bend(segment, self.pre[1, v], self.pre[1, v])
                self.post[2, v] += self._slope(segment, self.pre[2, v])

    def _push(self, position: int) -> None:
        block, weights, change = self.at(position)
        if change is not None:
            block.differentiate(weights, change, self.post[0], self.pre[1])
        if not block.from_given:
            block.push(weights, self.post[1], self.pre[1])
            block.push(weights, self.post[2], self.pre[2])
            if change is not None:
                block.push(change, 2.0 * self.post[1], self.pre[2])

    def at(self, position: int) -> tuple[Block, Vector, Vector | None]:
        """Return a block, its weights, and their direction, None if it is frozen."""
        block = self.program.blocks[position]
        return block, self.weights[position], None if block.parameters is None else block.weights(self.direction)

    def derivative(self, output: int, order: int) -> float:
        """Return a derivative of one output along V: ``grad f . V`` for order 1, ``V^T H V`` for order 2.

        Raises
        ------
        GraphError
            For order 2, if there is a sub-model of the user's own.
        """
        self._check(order)
        return float(self.post[order, self.program.outputs[output]])

    def adjoints(self, output: int, order: int) -> tuple[Vector, Vector]:
        r"""Return the derivatives of `derivative` in `post` and in `pre`, each of shape (3, n_nodes).

        For order 2 they are the :math:`\bar a^{(k)}` and :math:`l^{(k)}` above, for order 1 one place further.

        Raises
        ------
        GraphError
            For order 2, if there is a sub-model of the user's own.

        Notes
        -----
        Cost: three passes over the weights and two over the direction.
        """
        self._check(order)
        abar, ell = np.zeros_like(self.post), np.zeros_like(self.post)
        abar[order, self.program.outputs[output]] = 1.0
        for segment in reversed(self.program.segments):
            if segment.incoming:
                v = segment.nodes
                (_, z_1, z_2), (abar_0, abar_1, abar_2) = self.pre[:, v], abar[:, v]
                ell[2, v] = self._slope(segment, abar_2)
                ell[1, v] = self._slope(segment, abar_1) + 2.0 * self._bend(segment, abar_2, z_1)
                ell[0, v] = self._slope(segment, abar_0) + self._bend(segment, abar_1, z_1)
                ell[0, v] += self._bend(segment, abar_2, z_2) + self._twist(segment, abar_2, z_1)
                for position in segment.incoming:
                    self._pull(position, abar, ell)
        return abar, ell

    def _pull(self, position: int, abar: Vector, ell: Vector) -> None:
        block, weights, change = self.at(position)
        if block.from_given:
            return
        for order in range(3):
            block.pull(weights, ell[order], abar[order])
        if change is not None:
            block.pull(change, ell[1], abar[0])
            block.pull(change, 2.0 * ell[2], abar[1])

    def gradient(self, output: int) -> Vector:
        """Return the gradient of ``V^T H V`` of one output in all parameters, V held fixed.

        Parameters
        ----------
        output : int

        Returns
        -------
        ndarray of shape (n_parameters,)

        Raises
        ------
        GraphError
            If there is a sub-model of the user's own.

        Notes
        -----
        Cost: that of `adjoints`, and two passes over the result, of which it holds one more.
        """
        _, ell = self.adjoints(output, 2)
        out: Vector = np.empty(self.program.n_parameters, dtype=self.program.dtype)
        more = np.empty_like(out)
        scatter(self.evaluation, ell[0], self.post[1], self.post[0], ell[1], out)
        scatter(self.evaluation, ell[2], np.zeros_like(ell[2]), self.post[2], ell[2], more)
        out += more
        return out

    def _check(self, order: int) -> None:
        if order == 2 and any(isinstance(block, OwnBlock) for block in self.program.blocks):
            raise GraphError(
                "Second derivatives with their gradients need third ones. Got sub-models of your own, which give none: "
                "compose the network of neurons."
            )

    def _slope(self, segment: Segment, values: Vector) -> Vector:
        nodes = segment.nodes
        if segment.is_softmax:
            return softmax_slope(self.post[0, nodes], values)
        changed: Vector = self.first[nodes] * values
        return changed

    def _bend(self, segment: Segment, values: Vector, z_dot: Vector) -> Vector:
        nodes = segment.nodes
        if segment.is_softmax:
            return softmax_bend(self.post[0, nodes], values, z_dot)
        bent: Vector = self.second[nodes] * values * z_dot
        return bent

    def _twist(self, segment: Segment, values: Vector, z_dot: Vector) -> Vector:
        """Return the second derivative along z_dot of what `_slope` makes of fixed values."""
        nodes = segment.nodes
        if segment.is_softmax:
            return _softmax_twist(self.post[0, nodes], values, z_dot)
        twisted: Vector = self.third[nodes] * values * z_dot**2
        return twisted


def _softmax_twist(p: Vector, abar: Vector, z_dot: Vector) -> Vector:
    abar = abar - abar[np.argmax(p)]  # J gives the same, and nothing large cancels
    p_dot, p_ddot = softmax_slope(p, z_dot), softmax_bend(p, z_dot, z_dot)
    twist: Vector = p_ddot * (abar - p @ abar) - 2.0 * p_dot * (p_dot @ abar) - p * (p_ddot @ abar)
    return twist
