"""Networks some of whose neurons are made linear: what remains of a network with fewer non-linear units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.calculus.evaluation import Evaluation
from assembly.checks import check_number
from assembly.errors import ArgumentError, GraphError
from assembly.graph.connections import Convolution, Dense, Own
from assembly.graph.description import CONSTANT, SOFTMAX, Graph, Group
from assembly.model import Assembly


@dataclass(frozen=True)
class _Replaced:
    """Neurons of one group that become linear, with the slope a and the intercept b of each."""

    group: int
    positions: NDArray[np.int64]
    slopes: NDArray[np.float64]
    intercepts: NDArray[np.float64]


def with_linear_units(net: Assembly, X: ArrayLike, share: float) -> Assembly:
    r"""Return a network in which a share of the neurons of every hidden group is affine in its pre-activation.

    A neuron v that is replaced has, instead of :math:`\sigma_v(z_v)`, the activation :math:`\alpha_v z_v + \beta_v`
    with the least-squares fit over the inputs, at the parameters of `net`,

    .. math:: \alpha_v = \frac{\operatorname{cov}(z_v, a_v)}{\operatorname{var}(z_v)}, \qquad
              \beta_v = \bar a_v - \alpha_v \bar z_v

    and :math:`\alpha_v = 0` where :math:`z_v` is the same at all inputs. In every group those neurons are replaced
    that change the outputs least, to first order:

    .. math:: \sum_k \sum_i \Bigl( \frac{\partial f_k}{\partial a_v}(x_i) \,
              \bigl(a_v(x_i) - \alpha_v z_v(x_i) - \beta_v\bigr) \Bigr)^2

    Parameters
    ----------
    net : Assembly
        Of dense, sparse and tied connections.
    X : array_like of shape (n, n_inputs)
        At least two inputs.
    share : float
        From 0 to 1, of the neurons of a group that are neither linear nor outputs, rounded to whole neurons.

    Returns
    -------
    Assembly
        With the parameters of `net`, number by number: `with_parameters` carries them over either way. Slopes are
        factors of the in-edges, intercepts fixed edges from the constant 1; neither is trained.

    Raises
    ------
    ArgumentError
        If `net` is no assembly, `share` lies outside [0, 1], or there is a single input.
    ShapeError, NonFiniteError
        If `X` does not fit the network or holds NaN, or a neuron overflows.
    GraphError
        If hidden neurons are those of a softmax or a convolution, or sub-models of your own.

    Notes
    -----
    All fits are made at the activations of `net`, not at those that lower linear neurons leave.
    Cost: an evaluation at all inputs, one pass back for every output, and a sort of every group. The parameters are
    shared, not copied.

    References
    ----------
    .. [1] C. H. X. Ali Mehmeti-Göpel, J. Disselhoff (2023), Nonlinear advantage: trained networks might not be as
       complex as you think, arXiv 2211.17180.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=2, widths=[8], activation="tanh", seed=0)
    >>> linear = with_linear_units(net, [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], share=0.75)
    >>> linear.graph.groups[2].activation.count("identity"), linear.n_parameters == net.n_parameters
    (6, True)
    """
    if not isinstance(net, Assembly):
        raise ArgumentError(f"The 'net' argument must be an assembly. Got {type(net).__name__}.")
    part = check_number("share", share, at_least=0.0)
    if part > 1.0:
        raise ArgumentError(f"The 'share' argument must be a number from 0 to 1. Got {share!r}.")
    units = _hidden_units(net.graph)
    evaluation = net.evaluate(X)
    if len(evaluation.pre) < 2:
        raise ArgumentError("The 'X' argument must hold at least two inputs, to fit a line. Got 1.")
    replaced = [
        _cheapest(evaluation, net.n_outputs, group, positions, n_replaced)
        for group, positions in units.items()
        if (n_replaced := round(part * len(positions))) > 0
    ]
    return Assembly.from_graph(_linear(net.graph, replaced), net.parameters)


def affine_fit(
    z: NDArray[np.float64], a: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return slope, intercept and what they miss of the least-squares line of every column of `a` over that of `z`.

    Parameters
    ----------
    z, a : ndarray of shape (n, n_neurons)

    Returns
    -------
    slopes, intercepts : ndarray of shape (n_neurons,)
        The slope is 0 where `z` is constant.
    missed : ndarray of shape (n, n_neurons)
        ``a - slopes * z - intercepts``.

    Examples
    --------
    >>> slopes, intercepts, missed = affine_fit(np.array([[0.0], [1.0]]), np.array([[1.0], [3.0]]))
    >>> slopes, intercepts, missed.ravel()
    (array([2.]), array([1.]), array([0., 0.]))
    """
    z_mean, a_mean = z.mean(axis=0), a.mean(axis=0)
    z_apart, a_apart = z - z_mean, a - a_mean
    spread, varies = np.sum(z_apart**2, axis=0), np.ptp(z, axis=0) > 0.0  # a mean of equal numbers may be another
    slopes = np.divide(np.sum(z_apart * a_apart, axis=0), spread, out=np.zeros_like(spread), where=varies)
    return slopes, a_mean - slopes * z_mean, a_apart - slopes * z_apart


def _hidden_units(graph: Graph) -> dict[int, NDArray[np.int64]]:
    """Return group -> the neurons of it that are neither linear nor outputs."""
    found = {}
    for number, group in enumerate(graph.groups):
        is_own = any(isinstance(graph.connections[position], Own) for position in graph.incoming[number])
        is_open = np.array([name != "identity" or is_own for name in group.activations()])
        is_open[[position for other, position in graph.outputs if other == number]] = False
        if group.is_given or not is_open.any():
            continue
        _check_group(graph, number)
        found[number] = np.flatnonzero(is_open)
    return found


def _check_group(graph: Graph, number: int) -> None:
    where = f"The neurons of layer {graph.levels[number]} cannot be made linear one by one"
    if graph.groups[number].activation == SOFTMAX:
        raise GraphError(f"{where}: a softmax couples them. Take activation functions of single neurons.")
    for position in graph.incoming[number]:
        connection = graph.connections[position]
        if isinstance(connection, Convolution):
            raise GraphError(f"{where}: those of a channel share a kernel. Take fully connected layers.")
        if isinstance(connection, Own):
            raise GraphError(f"{where}: they are sub-models of your own. Take neurons.")


def _cheapest(
    evaluation: Evaluation, n_outputs: int, group: int, positions: NDArray[np.int64], n_replaced: int
) -> _Replaced:
    nodes = np.arange(evaluation.program.n_nodes)[evaluation.program.segments[group].nodes][positions]
    z, a = (values[:, nodes].astype(np.float64) for values in (evaluation.pre, evaluation.post))
    slopes, intercepts, missed = affine_fit(z, a)
    cost = np.zeros(len(nodes))
    for output in range(n_outputs):
        cost += np.sum((evaluation.adjoints(output).post[:, nodes] * missed) ** 2, axis=0)
    chosen = np.sort(np.argsort(cost, kind="stable")[:n_replaced])
    return _Replaced(group, positions[chosen], slopes[chosen], intercepts[chosen])


def _linear(graph: Graph, replaced: Sequence[_Replaced]) -> Graph:
    """Return the graph with neurons replaced; trainable connections keep their order."""
    if not replaced:
        return graph
    graph, constant, shift = _with_constant(graph)
    groups, connections = list(graph.groups), list(graph.connections)
    for one in replaced:
        number = one.group + shift
        size = groups[number].size
        names = np.array(groups[number].activations(), dtype=object)
        names[one.positions] = "identity"
        groups[number] = Group(size, names[0] if len(set(names)) == 1 else tuple(names))
        slopes, intercepts = np.ones(size), np.zeros(size)
        slopes[one.positions], intercepts[one.positions] = one.slopes, one.intercepts
        for position in graph.incoming[number]:
            connections[position] = replace(connections[position], factor=connections[position].factor * slopes)
        connections.append(Dense(constant, number, 1, size, np.ones(size), intercepts))
    return Graph(tuple(groups), tuple(connections), graph.outputs)


def _with_constant(graph: Graph) -> tuple[Graph, int, int]:
    """Return the graph with a constant, where that stands, and by how many places other groups have moved."""
    for number, group in enumerate(graph.groups):
        if group.activation == CONSTANT:
            return graph, number, 0

    def moved(number: int) -> int:
        return number + (number > 0)

    connections: list[Any] = [replace(c, source=moved(c.source), target=moved(c.target)) for c in graph.connections]
    outputs = tuple((moved(group), position) for group, position in graph.outputs)
    return Graph((graph.groups[0], Group(1, CONSTANT), *graph.groups[1:]), tuple(connections), outputs), 1, 1
