"""Lazy models: a network that is linear because its output is multiplied, whatever its width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from assembly.architectures.committees import drawn_parts
from assembly.checks import check_number
from assembly.errors import GraphError
from assembly.graph.connections import Connection, Convolution, Own, Tied
from assembly.graph.description import Graph
from assembly.model import Assembly

OUTPUT = "identity"


def lazy(part: Callable[[int], Assembly], alpha: float, *, seed: int = 0) -> Assembly:
    r"""Return a network whose output is multiplied, less its initial value, :math:`f = \alpha\, (g(w) - g(w_0))`.

    To move f by 1 the parameters need to move by :math:`1/\alpha` only, over which g is linear: for large
    :math:`\alpha` training is linear at *any* width [1]_. Here nothing assembles. Over a fixed distance f is as far
    from linear as g, :math:`\|H\| / \|\nabla f\|` does not depend on :math:`\alpha`; per unit of output
    :math:`\|H\| / \|\nabla f\|^2` falls like :math:`1/\alpha`.

    Parameters
    ----------
    part : callable
        Makes the network g from a seed; its outputs must be linear.
    alpha : float
        Above 0.
    seed : int
        Of g, which is the first part of ``committee(part, 1, seed=seed)``.

    Returns
    -------
    Assembly
        With the parameters of g. Neurons that compute g(w0) stand beside it, on fixed weights.

    Raises
    ------
    ArgumentError
        If `alpha` is not above 0, or `part` cannot be called with a seed.
    GraphError
        If `part` returns no assembly with one output, its output is not linear or feeds neurons, or it holds
        convolutions, tied connections or sub-models of your own.

    Notes
    -----
    Twice the cost of g; the fixed weights are held once more. `assembly.limit_kernels` refuses f: take those of g,
    whose tangent kernel times :math:`\alpha^2` is that of f at any width.

    References
    ----------
    .. [1] L. Chizat, E. Oyallon, F. Bach, arXiv 1812.07956: On lazy training in differentiable programming.

    Examples
    --------
    >>> import assembly as am
    >>> net = lazy(lambda seed: am.mlp(n_inputs=4, widths=[8], seed=seed), alpha=10.0)
    >>> net.n_parameters, abs(float(net([1.0, 2.0, 0.5, -1.0]))) < 1e-14
    (40, True)
    """
    factor = check_number("alpha", alpha, above=0.0)
    (net,) = drawn_parts(part, 1, seed)
    _check(net.graph)
    return Assembly.from_graph(_centred(net, factor), net.parameters)


def _check(graph: Graph) -> None:
    last = len(graph.groups) - 1
    is_last = all(group == last for group, _ in graph.outputs) and graph.groups[last].size == len(graph.outputs)
    if not is_last or graph.groups[last].activation != OUTPUT:
        raise GraphError("The 'part' argument must return a network with a linear output that feeds no neuron.")
    if any(isinstance(connection, Convolution | Own | Tied) for connection in graph.connections):
        raise GraphError(
            "The 'part' argument must return a network whose edges have weights of their own: convolutions, tied "
            "connections and sub-models of your own have no copy on fixed weights."
        )


def _centred(net: Assembly, alpha: float) -> Graph:
    """Return the graph with fixed copies of all neurons before the output, which enter it with the other sign."""
    graph = net.graph
    last = len(graph.groups) - 1
    copied = [position for position in range(last) if not graph.groups[position].is_given]
    twin = {position: last + i for i, position in enumerate(copied)}
    output = last + len(copied)

    def multiplied(connection: Connection, sign: float) -> Connection:
        if connection.target != last:
            return connection
        return replace(connection, target=output, factor=sign * alpha * connection.factor)

    moving = [multiplied(connection, 1.0) for connection in graph.connections]
    fixed = []
    for connection, place in zip(graph.connections, graph.slices, strict=True):
        held: Any = connection if place is None else replace(connection, values=net.parameters[place])  # type: ignore[arg-type]
        one = multiplied(held, -1.0)
        fixed.append(replace(one, source=twin.get(one.source, one.source), target=twin.get(one.target, one.target)))
    groups = (*graph.groups[:last], *(graph.groups[position] for position in copied), graph.groups[last])
    outputs = tuple((output, position) for _, position in graph.outputs)
    return Graph(groups, (*moving, *fixed), outputs)
