r"""Do the conditions of the transition to linearity hold? The principal share of every level.

A level is the neurons of one layer, and where the output is a non-linear function of its pre-activations, these too:
the output map. Part i of a level contributes a vector A_i to the gradient of the output: through the weights below, and
through its own trainable out-edges. With the contribution Gram matrix :math:`C_{ij} = \langle A_i, A_j\rangle`,

.. math:: \text{principal share} = \frac{\lambda_{max}(C)}{\mathrm{tr}\, C}, \qquad
          \text{weight} = \frac{|\sum_i A_i|^2}{|\nabla f|^2}, \qquad
          \text{size}^2 = \frac{\sum_i b_i^2 |\nabla z_i|^2}{\sum_i b_i^2}

the principal share is one number for two conditions. Where the parts are diverse, C is diagonal and it is the largest
gradient share of a part: dominance. Parts with parallel gradients, copies say, merge: k of m make the share k/m.

While the gradient adds up in quadrature, the Hessian takes a maximum. Its ratio to the gradient is of the order of the
largest contribution that is independent of the others, times how large the gradients of the parts are:

.. math:: \frac{\|H\|}{\|\nabla f\|} \sim \max_l \sqrt{\text{share}_l \cdot \text{weight}_l}\; \text{size}_l

over the levels where curvature begins. It begins where an activation function bends, and where a trainable edge leaves
a neuron; a level of sums with fixed coefficients only passes on what its parts do. The weight matters where connections
lead around a level: three neurons that carry a thousandth of the gradient are no bottleneck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.calculus.node_space import NodeSpaceHessian
from assembly.calculus.principal import Contributions, bending, principal

if TYPE_CHECKING:
    from assembly.model import Assembly

OUTPUT_MAP = "output map"


@dataclass(frozen=True)
class Level:
    """The parts of one level, by what they contribute to the gradient of one output at one input.

    Attributes
    ----------
    label : str
        "layer 2", say; "layer 2, sums" for its neurons at which no curvature begins; or "output map".
    bends : bool
        Whether curvature begins there; where not, the level takes no part in the prediction.
    n_parts : int
        Neurons that contribute.
    principal_share : float
        In (0, 1]: 1/n for n equal and orthogonal contributions, 1 where all are parallel.
    weight : float
        Squared gradient that goes through the level, relative to the whole.
    size : float
        Root mean square gradient of the parts' pre-activations, weighted by how much the output depends on them.
    largest_share : float
        Share of a single neuron, the one that leads the principal direction; never more than `principal_share`.
    neuron : int
        Who that is, in its layer; of the output map, among all outputs of a softmax.
    n_together : float
        How many neurons make up the principal direction: 1 for a single one, k for k copies.
    effective_number : float
        ``tr(C)^2 / tr(C^2)``: how many contributions there are after merging parallel ones, from 1 to n_parts.
    standard_error : float
        Of the principal share, relative to it; 0 up to 128 neurons, where it is exact.
    converged : bool
        Whether the largest eigenvalue did.
    """

    label: str
    bends: bool
    n_parts: int
    principal_share: float
    weight: float
    size: float
    largest_share: float
    neuron: int
    n_together: float
    effective_number: float
    standard_error: float
    converged: bool

    @property
    def predicted(self) -> float:
        """The order of ``||H|| / ||grad f||`` that follows: ``sqrt(principal_share * weight) * size``."""
        return math.sqrt(max(self.principal_share * self.weight, 0.0)) * self.size


@dataclass(frozen=True)
class Conditions:
    """What the theory asks for, measured on one network at one input.

    Attributes
    ----------
    levels : tuple of Level
        From the inputs to the output; levels without any contribution are left out.
    gradient_norm : float
    """

    levels: tuple[Level, ...]
    gradient_norm: float

    @property
    def worst(self) -> Level | None:
        """The level that decides the prediction; None if no curvature begins anywhere."""
        bending_levels = [level for level in self.levels if level.bends]
        return max(bending_levels, key=lambda level: level.predicted, default=None)

    @property
    def principal_share(self) -> float:
        """That of the level that decides; NaN if there is none."""
        return math.nan if self.worst is None else self.worst.principal_share

    @property
    def predicted_hessian_over_gradient(self) -> float:
        """The order of ``||H|| / ||grad f||``; NaN if no curvature begins anywhere."""
        return math.nan if self.worst is None else self.worst.predicted

    @property
    def predicted_hessian_over_gradient_squared(self) -> float:
        """The order of ``||H|| / ||grad f||^2``; NaN if no curvature begins anywhere or the gradient is 0."""
        return self.predicted_hessian_over_gradient / self.gradient_norm if self.gradient_norm > 0.0 else math.nan


def principal_shares(net: Assembly, x: ArrayLike, output: int = 0) -> Conditions:
    r"""Return the principal share of every level of a network, and what it predicts of the Hessian.

    Parameters
    ----------
    net : Assembly
    x : array_like of shape (n_inputs,)
    output : int

    Returns
    -------
    Conditions

    Raises
    ------
    ShapeError, NonFiniteError, ArgumentError
        If `x` is not one finite sample or there is no such output.
    SaturationError
        If squares of the output's derivatives, or of all activations, under- or overflow.

    Notes
    -----
    Nothing is read but the graph, the parameters and the derivatives: neurons in another order get the same numbers.
    Cost for a level: a backward and a forward pass over the weights below for each of up to 128 neurons; of larger
    levels for about 40 vectors in all, the largest eigenvalue then having a relative error of the order of 1e-6 and the
    trace the standard error told. Memory: 60 vectors over the neurons of the level.

    Examples
    --------
    >>> import assembly as am
    >>> wide = am.mlp(n_inputs=3, widths=[64, 64], activation="tanh", seed=0)
    >>> narrow = am.bottleneck(n_inputs=3, widths=[64, 1, 64], activation="tanh", seed=0)
    >>> x = [1.0, -1.0, 0.5]
    >>> [(level.label, round(level.principal_share, 2)) for level in principal_shares(wide, x).levels]
    [('layer 1', 0.06), ('layer 2', 0.12)]
    >>> [(level.label, round(level.principal_share, 2)) for level in principal_shares(narrow, x).levels]
    [('layer 1', 0.08), ('layer 2', 1.0), ('layer 3', 0.76)]
    """
    space = net.hessian(x, output).node_space
    gradient = float(np.linalg.norm(space.gradient().astype(np.float64, copy=False)))
    bends, feeds = bending(space)
    counts = (space.b != 0.0) | (feeds & (space.a != 0.0))
    outputs = _output_nodes(space, int(space.program.outputs[output]))
    found = []
    for layer in net.layers[1:]:
        nodes = np.setdiff1d(layer.nodes[counts[layer.nodes]], outputs)
        label = f"layer {layer.index}"
        found.append(_level(space, nodes[bends[nodes]], layer.nodes, label, True, gradient))
        found.append(_level(space, nodes[~bends[nodes]], layer.nodes, f"{label}, sums", False, gradient))
    found.append(_level(space, outputs[counts[outputs] & bends[outputs]], outputs, OUTPUT_MAP, True, gradient))
    return Conditions(tuple(level for level in found if level is not None), gradient)


def _output_nodes(space: NodeSpaceHessian, output: int) -> NDArray[np.int64]:
    """The output, with all that share its softmax."""
    segments = [segment.nodes for segment in space.program.segments if segment.is_softmax]
    coupled = next((nodes for nodes in segments if nodes.start <= output < nodes.stop), slice(output, output + 1))
    return np.arange(coupled.start, coupled.stop)


def _level(
    space: NodeSpaceHessian,
    nodes: NDArray[np.int64],
    numbered: NDArray[np.int64],
    label: str,
    bends: bool,
    gradient: float,
) -> Level | None:
    if len(nodes) == 0:
        return None
    found = principal(space, nodes)
    if not found.trace > 0.0:
        return None
    leader = int(np.argmax(np.abs(found.vector)))
    unit = np.zeros(len(nodes), space.dtype)
    unit[leader] = 1.0
    return Level(
        label=label,
        bends=bends,
        n_parts=len(nodes),
        principal_share=found.value / found.trace,
        weight=found.total / gradient**2 if gradient > 0.0 else math.nan,
        size=found.size,
        largest_share=float(unit @ Contributions(space, nodes)(unit)) / found.trace,
        neuron=int(np.flatnonzero(numbered == nodes[leader])[0]),
        n_together=float(1.0 / np.sum(found.vector**4)),
        effective_number=found.trace**2 / found.squares,
        standard_error=found.standard_error,
        converged=found.converged,
    )
