r"""Power series along a direction of the parameters: every node, an output, and its gradient, exact to any order asked.

At the parameters :math:`w + tV` every node is a power series in t. Blocks are bilinear in weights and nodes, so with
:math:`z(t) = \sum_k z_k t^k` and alike

.. math::
    z_k &= c\,(W a_k + V a_{k-1}), & a(t) &= \sigma(z(t)), \\
    \bar a_k &= c\,(W^T b_k + V^T b_{k-1}), & b(t) &= \sigma'(z(t))\, \bar a(t), \\
    \nabla_W f\,(w + tV)_k &= c \sum_{i=0}^k b_{k-i}\, a_i^T, & f_k &= \frac{1}{k!} D^k f(w)[V, \dots, V],

the last gradient being :math:`D^{k+1} f(w)[V, \dots, V, \cdot] / k!`. Weights that edges share come out by themselves.
Series go through activation functions by `assembly.kernels.series` [1]_, and through a softmax by
`assembly.calculus.response`.

.. [1] A. Griewank, A. Walther (2008), Evaluating Derivatives, 2nd edition, SIAM: chapter 13.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Block
from assembly.calculus.evaluation import Evaluation, fill_by_blocks
from assembly.calculus.response import product_series, softmax_series, softmax_slope_series
from assembly.errors import NonFiniteError
from assembly.kernels import series
from assembly.program import Segment

Vector = NDArray[Any]

HIGHEST_ORDER = 6  # to which the recurrences are tested


class Taylor:
    """Every node as a power series along one direction of the parameters, at one sample of an evaluation.

    Parameters
    ----------
    evaluation : Evaluation
    row : int
        Sample.
    direction : ndarray of shape (n_parameters,)
        V, in the dtype of the program.
    order : int
        The highest power kept.

    Attributes
    ----------
    pre, post, slope : ndarray of shape (order + 1, n_nodes)
        Coefficients of z, sigma(z) and sigma'(z); the last means nothing in a softmax.

    Raises
    ------
    GraphError
        If there is a sub-model of the user's own, for order 3 and up.
    NonFiniteError
        If a coefficient overflows.

    Notes
    -----
    Cost: one pass over the weights and one over the direction, each of `order` node vectors at once; memory
    3 (order + 1) node vectors. ReLU is taken as linear on the side where z lies.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=2, widths=[4], activation="tanh", seed=0)
    >>> V = np.ones(net.n_parameters)
    >>> series = Taylor(net.evaluate([[1.0, -0.5]]), 0, V, 3)
    >>> bool(np.isclose(series.gradient(0) @ V, 4.0 * net.taylor([1.0, -0.5], V, 4)[4]))
    True
    """

    def __init__(self, evaluation: Evaluation, row: int, direction: Vector, order: int) -> None:
        self.evaluation, self.direction = evaluation, direction
        program = evaluation.program
        shape = (order + 1, program.n_nodes)
        self.pre, self.post, self.slope = (np.zeros(shape, program.dtype) for _ in range(3))
        self.pre[0], self.post[0], self.slope[0] = evaluation.pre[row], evaluation.post[row], evaluation.first[row]
        with np.errstate(over="ignore", invalid="ignore"):  # found below
            for segment in program.segments:
                if segment.incoming:
                    for position in segment.incoming:
                        weights, change = self._at(position)
                        program.blocks[position].push_series(weights, change, self.post, self.pre)
                    self._activate(segment)
        self._check_finite(self.post)

    def coefficients(self, output: int) -> Vector:
        """Return the f_k of one output, shape (order + 1,).

        Warns
        -----
        KinkWarning
            If a ReLU's pre-activation is 0.
        """
        if len(self.post) > 1:
            self.evaluation.warn_at_kinks()
        found: Vector = self.post[:, self.evaluation.program.outputs[output]]
        return found

    def adjoints(self, output: int) -> Vector:
        """Return the series of the pre-activation adjoints b, shape (order + 1, n_nodes).

        Cost: as the series of the nodes.
        """
        program = self.evaluation.program
        abar, b = np.zeros_like(self.post), np.zeros_like(self.post)
        abar[0, program.outputs[output]] = 1.0
        with np.errstate(over="ignore", invalid="ignore"):  # found below
            for segment in reversed(program.segments):
                if segment.incoming:
                    v = segment.nodes
                    answer, known = (
                        (softmax_slope_series, self.post) if segment.is_softmax else (product_series, self.slope)
                    )
                    b[:, v] = answer(known[:, v], abar[:, v])
                    for position in segment.incoming:
                        weights, change = self._at(position)
                        program.blocks[position].pull_series(weights, change, b, abar)
        self._check_finite(b)
        return b

    def gradient(self, output: int) -> Vector:
        """Return the coefficient of the highest power in the gradient of one output at ``w + t V``.

        Times ``order!`` it is ``D^(order + 1) f(w)[V, ..., V, .]``.

        Returns
        -------
        ndarray of shape (n_parameters,)

        Raises
        ------
        GraphError
            If there is a sub-model of the user's own, for order 2 and up.
        NonFiniteError
            If an adjoint overflows.

        Notes
        -----
        Cost: that of `adjoints`, and a pass over the result, for tied weights one for every order.
        A product of finite factors that overflows is left infinite.
        """
        b = self.adjoints(output)
        out: Vector = np.empty(self.evaluation.program.n_parameters, self.post.dtype)

        def fill(block: Block, weights: Vector, part: Vector) -> None:
            block.scatter_series(weights, block.weights(self.direction), self.post, b, part)

        fill_by_blocks(self.evaluation, fill, out)
        return out

    def _at(self, position: int) -> tuple[Vector, Vector | None]:
        """Return the weights of a block, and their direction, None if it is frozen."""
        block = self.evaluation.program.blocks[position]
        change = None if block.parameters is None else block.weights(self.direction)
        return self.evaluation.weights[position], change

    def _activate(self, segment: Segment) -> None:
        nodes = segment.nodes
        if segment.is_softmax:
            self.post[1:, nodes] = softmax_series(self.post[0, nodes], self.pre[:, nodes])[1:]
        else:
            codes, work = self.evaluation.program.codes, np.empty((5, len(self.pre)))
            series.activate(codes, self.pre, self.post, self.slope, work, nodes.start, nodes.stop)

    def _check_finite(self, values: Vector) -> None:
        if not np.isfinite(values).all():
            raise NonFiniteError(
                f"A coefficient of order {len(self.post) - 1} or below overflows {self.post.dtype}: scale the "
                "direction down."
            )
