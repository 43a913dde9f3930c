r"""The models that are trained: the network, and beside it its expansions around the initial parameters w0.

.. math::
    f(w), \qquad f_{lin}(w) = f(w_0) + \nabla f(w_0) \cdot (w - w_0), \qquad
    f_{quad}(w) = f_{lin}(w) + \tfrac12 (w - w_0)^T H(w_0) (w - w_0)

Each gives its outputs and the gradient of a loss at any parameters; whoever trains sees no difference between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Filled
from assembly.calculus.evaluation import Evaluation, evaluate, tangent
from assembly.calculus.sum_of_outputs import Expansion, gradient_of_sum
from assembly.calculus.workspace import Workspace
from assembly.program import Program

Values = NDArray[Any]
Rows = slice | NDArray[np.int64]
Slope = Callable[[Values], Values]
EVERY = slice(None)


class Model(Protocol):
    """A function of parameters w, at fixed inputs."""

    def outputs(self, w: Values) -> Values:
        """Return the outputs at all inputs, shape (n, n_outputs)."""

    def gradient(self, w: Values, rows: Rows, slope: Slope, out: Values, then: Filled | None = None) -> Values:
        """Fill `out` with the gradient of a loss over some inputs, given its slope in the outputs; return those.

        Where `then` is given it is called once with every range of parameters whose gradient is complete, by any
        thread; it may change `w` there.
        """


class Network:
    """The network itself.

    Parameters
    ----------
    program : Program
    X : ndarray of shape (n, n_inputs)

    Notes
    -----
    Cost of a gradient: for every dense block three matrix products, one less for those from the inputs. Memory: 5
    n n_nodes numbers, which are kept.
    """

    def __init__(self, program: Program, X: Values) -> None:
        self._program, self._X, self._workspace = program, X, Workspace()

    def _at(self, w: Values, rows: Rows) -> Evaluation:
        weights = [block.weights(w) for block in self._program.blocks]
        return evaluate(self._program, weights, self._X[rows], self._workspace)

    def outputs(self, w: Values) -> Values:
        """See `Model.outputs`."""
        return self._at(w, EVERY).outputs

    def gradient(self, w: Values, rows: Rows, slope: Slope, out: Values, then: Filled | None = None) -> Values:
        """See `Model.gradient`."""
        evaluation = self._at(w, rows)
        found = evaluation.outputs
        gradient_of_sum(evaluation, slope(found), out, self._workspace, then)
        return found


class FirstOrder:
    """The first-order expansion.

    Parameters
    ----------
    origin : Evaluation
        Of the network at w0.
    w0 : ndarray of shape (n_parameters,)

    Notes
    -----
    Cost of a gradient: that of the network and a matrix product more for every dense block. Memory: 4 n n_nodes
    numbers, which are kept, and 3 n_nodes for every sample of a mini-batch meanwhile.
    """

    def __init__(self, origin: Evaluation, w0: Values) -> None:
        self._origin, self._w0, self._workspace = origin, w0, Workspace()

    def _rows(self, rows: Rows) -> Evaluation:
        return self._origin if isinstance(rows, slice) else self._origin.at_rows(rows)

    def outputs(self, w: Values) -> Values:
        """See `Model.outputs`."""
        return self._expanded_once(self._origin, w)

    def gradient(self, w: Values, rows: Rows, slope: Slope, out: Values, then: Filled | None = None) -> Values:
        """See `Model.gradient`."""
        origin = self._rows(rows)
        found = self._expanded_once(origin, w)
        gradient_of_sum(origin, slope(found), out, self._workspace, then)
        return found

    def _expanded_once(self, origin: Evaluation, w: Values) -> Values:
        found: Values = origin.outputs + tangent(origin, w - self._w0, self._workspace)
        return found


class SecondOrder(FirstOrder):
    """The second-order expansion.

    Raises
    ------
    GraphError
        When first used, if there are sub-models of your own.

    Notes
    -----
    Cost of a gradient: about three times that of the network.
    """

    def outputs(self, w: Values) -> Values:
        """See `Model.outputs`."""
        return self._expanded(self._origin, w)[1]

    def gradient(self, w: Values, rows: Rows, slope: Slope, out: Values, then: Filled | None = None) -> Values:
        """See `Model.gradient`."""
        origin = self._rows(rows)
        along, found = self._expanded(origin, w)
        along.gradient(slope(found), out, then)
        return found

    def _expanded(self, origin: Evaluation, w: Values) -> tuple[Expansion, Values]:
        along = Expansion(origin, w - self._w0)
        return along, origin.outputs + along.first() + 0.5 * along.second()
