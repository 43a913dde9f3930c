r"""Where the transition to linearity fails: assemblies of the same parts as a committee, put together otherwise.

All have fixed coefficients, so that the parameters are those of the parts. With m parts of bounded gradient and Hessian
and an output of order 1, :math:`\|H\|` follows the largest coefficient over the scale:

============ ===================================================== =====================================================
builder      what is wrong                                         :math:`\|H\|` in m
============ ===================================================== =====================================================
dominated    one coefficient is as large as all others together    flat
few_active   only k parts count, the same k at every m             flat
tied         k copies of every part share their parameters         :math:`(m/k)^{-1/2}`
power_law    coefficients fall like :math:`i^{-a}`                 :math:`m^{-(1/2-a)}` for a < 1/2, flat for a > 1/2
mean_field   the scale is m, so the gradient vanishes too          :math:`m^{-1}`, over :math:`\|\nabla f\|^2` flat
============ ===================================================== =====================================================
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from assembly.architectures.committees import (
    added_up,
    are_alike,
    committee,
    drawn_coefficients,
    drawn_parts,
    stacked_parameters,
)
from assembly.checks import check_count, check_number
from assembly.errors import ArgumentError, GraphError
from assembly.graph.composition import has_softmax, stacked
from assembly.graph.description import Graph
from assembly.model import Assembly
from assembly.neuron import Neuron

Part = Callable[[int], Assembly]


def dominated(part: Part, n_parts: int, *, coefficients: str | ArrayLike = "sign", seed: int = 0) -> Assembly:
    r"""Return an assembly with one dominating sub-model, :math:`f = m^{-1/2} \sum_i v_i\, g_i`, :math:`v_1 = \sqrt m`.

    The first part enters with coefficient 1 whatever m, so :math:`\|H\| \ge \|H_1\|` does not fall.

    Parameters
    ----------
    part : callable
        Makes one sub-model with one output from a seed.
    n_parts : int
        m.
    coefficients : {"sign", "gaussian"} or array_like of shape (n_parts,)
        The v_i: drawn, or given; the first is replaced by sqrt(m).
    seed : int
        The parts are those of `committee` with the same seed.

    Returns
    -------
    Assembly

    Raises
    ------
    ArgumentError, UnknownNameError, ShapeError, GraphError
        As `committee`.

    Examples
    --------
    >>> import assembly as am
    >>> net = dominated(lambda seed: am.mlp(n_inputs=4, widths=[8], seed=seed), n_parts=100)
    >>> [float(v) for v in abs(net.coefficients[:3])]
    [10.0, 1.0, 1.0]
    """
    values = drawn_coefficients(coefficients, check_count("n_parts", n_parts), seed).copy()
    values[0] = np.sqrt(n_parts)
    return committee(part, n_parts, coefficients=values, seed=seed)


def few_active(
    part: Part, n_parts: int, n_active: int, *, coefficients: str | ArrayLike = "sign", seed: int = 0
) -> Assembly:
    r"""Return an assembly of which only k sub-models count, :math:`f = k^{-1/2} \sum_{i \le k} v_i\, g_i`.

    The others stay in it with coefficient 0: parameters without influence. :math:`\|H\|` is that of k parts.

    Parameters
    ----------
    part : callable
        Makes one sub-model with one output from a seed.
    n_parts : int
        m.
    n_active : int
        k, at most m.
    coefficients : {"sign", "gaussian"} or array_like of shape (n_parts,)
        The v_i: drawn, or given; those after the first k are replaced by 0.
    seed : int
        The parts are those of `committee` with the same seed.

    Returns
    -------
    Assembly

    Raises
    ------
    ArgumentError
        If `n_active` is more than `n_parts`; and with UnknownNameError, ShapeError, GraphError as `committee`.

    Examples
    --------
    >>> import assembly as am
    >>> net = few_active(lambda seed: am.mlp(n_inputs=4, widths=[8], seed=seed), n_parts=100, n_active=4)
    >>> int((net.coefficients != 0).sum()), len(net.parts), net.scale
    (4, 100, 2.0)
    """
    check_count("n_parts", n_parts)
    if check_count("n_active", n_active) > n_parts:
        raise ArgumentError(f"The 'n_active' argument must be at most n_parts = {n_parts}. Got {n_active}.")
    values = drawn_coefficients(coefficients, n_parts, seed).copy()
    values[n_active:] = 0.0
    return added_up(drawn_parts(part, n_parts, seed), values, float(np.sqrt(n_active)))


def tied(part: Part, n_parts: int, n_copies: int, *, coefficients: str | ArrayLike = "sign", seed: int = 0) -> Assembly:
    r"""Return an assembly of m parts in groups of k copies that share their parameters.

    .. math:: f = \sqrt{\frac{k}{m}} \sum_{j=1}^{m/k} v_j\, \frac{1}{k} \sum_{i \text{ in group } j} g_i
              = \frac{1}{\sqrt{m k}} \sum_{i=1}^{m} v_{j(i)}\, g_i,
              \qquad g_i = g(w_{j(i)}; x)

    Every copy has neurons of its own, on edges that read the parameters of its group. Only m/k parts are diverse, so
    :math:`\|H\| \sim (m/k)^{-1/2}`; with :math:`k = m^b` its slope in m is :math:`-(1 - b)/2`.

    Parameters
    ----------
    part : callable
        Makes one sub-model with one output from a seed.
    n_parts : int
        m.
    n_copies : int
        k, a divisor of m.
    coefficients : {"sign", "gaussian"} or array_like of shape (n_parts / n_copies,)
        The v_j, one for each group: drawn, or given.
    seed : int
        The groups hold the parts of ``committee(part, n_parts // n_copies, seed=seed)``.

    Returns
    -------
    Assembly
        Copies stand next to each other. A convolution is kept edge by edge, 16 bytes each; a sub-model of the user's
        own is computed once for each group.

    Raises
    ------
    ArgumentError
        If `n_copies` does not divide `n_parts`; and with UnknownNameError, ShapeError as `committee`.
    GraphError
        If a part holds a softmax; and as `committee`.

    Examples
    --------
    >>> import assembly as am
    >>> net = tied(lambda seed: am.mlp(n_inputs=4, widths=[8], seed=seed), n_parts=100, n_copies=4)
    >>> len(net.parts), net.n_parameters, net.scale
    (100, 1000, 20.0)
    """
    check_count("n_parts", n_parts)
    if n_parts % check_count("n_copies", n_copies):
        raise ArgumentError(
            f"The 'n_copies' argument must divide n_parts = {n_parts}. Got {n_copies}, which leaves "
            f"{n_parts % n_copies} over."
        )
    values = drawn_coefficients(coefficients, n_parts // n_copies, seed)
    parts = drawn_parts(part, n_parts // n_copies, seed)
    for made in parts:
        if has_softmax(made.graph):
            raise GraphError("A part with a softmax cannot be tied: its neurons would be coupled across copies.")
    families = [parts] if are_alike(parts) else [[made] for made in parts]
    copies = [copy for family in families for copy in _copied(family, n_copies)]
    return Assembly(copies, np.repeat(values, n_copies), float(np.sqrt(n_parts * n_copies)))


def power_law(
    part: Part, n_parts: int, exponent: float, *, coefficients: str | ArrayLike = "sign", seed: int = 0
) -> Assembly:
    r"""Return an assembly with coefficients that fall like a power, :math:`f = m^{-1/2} \sum_i v_i\, g_i`.

    .. math:: v_i = \sqrt m\, \frac{u_i\, i^{-a}}{\sqrt{\sum_j u_j^2\, j^{-2a}}}, \qquad |v| = \sqrt m

    so :math:`\|H\|` follows :math:`v_1/\sqrt m`: slope :math:`-(1/2 - a)` for a < 1/2, 0 for a > 1/2, and between the
    two :math:`1/\sqrt{\log m}`.

    Parameters
    ----------
    part : callable
        Makes one sub-model with one output from a seed.
    n_parts : int
        m.
    exponent : float
        a, at least 0.
    coefficients : {"sign", "gaussian"} or array_like of shape (n_parts,)
        The u_i: drawn, or given.
    seed : int
        The parts are those of `committee` with the same seed.

    Returns
    -------
    Assembly

    Raises
    ------
    ArgumentError
        If `exponent` is negative, or all u_i i^-a are 0; and with UnknownNameError, ShapeError, GraphError as
        `committee`.

    Examples
    --------
    >>> import assembly as am
    >>> net = power_law(lambda seed: am.mlp(n_inputs=4, widths=[8], seed=seed), n_parts=3, exponent=1.0)
    >>> v = abs(net.coefficients)
    >>> [round(float(v[0] / entry), 12) for entry in v], round(float(v @ v), 12)
    ([1.0, 2.0, 3.0], 3.0)
    """
    a = check_number("exponent", exponent, at_least=0.0)
    values = drawn_coefficients(coefficients, check_count("n_parts", n_parts), seed)
    values = values * np.arange(1.0, n_parts + 1.0) ** -a
    size = np.linalg.norm(values)
    if size == 0.0:
        raise ArgumentError("The 'coefficients' argument must hold a number that is not 0, or no part counts.")
    return committee(part, n_parts, coefficients=np.sqrt(n_parts) / size * values, seed=seed)


def mean_field(part: Part, n_parts: int, *, coefficients: str | ArrayLike = "sign", seed: int = 0) -> Assembly:
    r"""Return a committee under the mean-field scale s(m) = m, :math:`f = m^{-1} \sum_i v_i\, g_i`.

    :math:`\|H\|` falls like 1/m, faster than under :math:`\sqrt m`, but so does :math:`\|\nabla f\|^2`: relative to the
    gradient nothing becomes linear.

    Parameters
    ----------
    part : callable
        Makes one sub-model with one output from a seed.
    n_parts : int
        m.
    coefficients : {"sign", "gaussian"} or array_like of shape (n_parts,)
        The v_i: drawn, or given.
    seed : int
        The parts are those of `committee` with the same seed.

    Returns
    -------
    Assembly

    Raises
    ------
    ArgumentError, UnknownNameError, ShapeError, GraphError
        As `committee`.

    Examples
    --------
    >>> import assembly as am
    >>> mean_field(lambda seed: am.mlp(n_inputs=4, widths=[8], seed=seed), n_parts=100).scale
    100.0
    """
    return committee(part, n_parts, coefficients=coefficients, gamma=1.0, seed=seed)


def _copied(parts: list[Assembly], n_copies: int) -> list[Neuron]:
    """Return copies of sub-models of one structure, those of each next to each other."""
    graph, nodes = stacked([made.graph for made in parts], n_copies)
    graph = Graph(graph.groups, graph.connections, tuple(nodes))
    owner = Assembly.from_graph(graph, stacked_parameters(parts))
    return [Neuron(owner, *node) for node in nodes]
