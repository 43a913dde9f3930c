r"""Does a sub-model dominate? Largest share and effective number of the neurons of every layer, and Q_inf.

.. math:: Q_\infty = \max_l \max_i |\partial f/\partial a^{(l)}_i|

is the quantity in the theorems (Liu, Zhu, Belkin, arXiv 2010.01092); the shares say which neuron it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from assembly.calculus.node_space import NodeSpaceHessian
from assembly.calculus.shares import contributions, effective_number, shares

if TYPE_CHECKING:
    from assembly.model import Assembly


@dataclass(frozen=True)
class LayerDominance:
    """Gradient shares of the neurons of one hidden layer in one output at one input.

    Attributes
    ----------
    layer : int
    largest_share : float
        In (0, 1]; NaN where no neuron of the layer has a trainable in-edge with a gradient.
    neuron : int
        Who has it.
    effective_number : float
        1 / sum of squared shares, in [1, size].
    """

    layer: int
    largest_share: float
    neuron: int
    effective_number: float


@dataclass(frozen=True)
class Dominance:
    """Dominance in every hidden layer, first to last, and the largest adjoint.

    Attributes
    ----------
    layers : tuple of LayerDominance
    q_infinity : float
        Largest magnitude of an adjoint over all hidden neurons.
    """

    layers: tuple[LayerDominance, ...]
    q_infinity: float


def dominance(net: Assembly, x: ArrayLike, output: int = 0) -> Dominance:
    """Return the dominance in every hidden layer of a network at one input.

    Parameters
    ----------
    net : Assembly
    x : array_like of shape (n_inputs,)
    output : int

    Raises
    ------
    ShapeError, NonFiniteError, ArgumentError
        If `x` is not one finite sample or there is no such output.

    Notes
    -----
    Cost: two passes over the weights.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.bottleneck(n_inputs=3, widths=[16, 1, 16], activation="tanh", seed=0)
    >>> dominance(net, [1.0, -1.0, 0.5]).layers[1].largest_share
    1.0
    """
    space: NodeSpaceHessian = net.hessian(x, output).node_space
    abar = net.evaluate(x, "x").adjoints(output).post[0]
    gradient = contributions(space, abar)["gradient"]
    found = []
    largest_adjoint = 0.0
    for layer in net.layers[1:-1]:
        nodes = np.setdiff1d(layer.nodes, space.program.outputs)  # an output may stand in the midst of the graph
        if len(nodes) == 0:
            continue
        share = shares(gradient[nodes])
        neuron = int(np.searchsorted(layer.nodes, nodes[np.argmax(share)]))
        found.append(LayerDominance(layer.index, float(share.max()), neuron, effective_number(share)))
        largest_adjoint = max(largest_adjoint, float(np.abs(abar[nodes]).max()))
    return Dominance(tuple(found), largest_adjoint)
