"""What a network must be to have the limit kernels of this package; what is not so is refused by name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assembly.errors import GraphError
from assembly.graph.connections import Connection, Own, Tied
from assembly.graph.description import CONSTANT, SOFTMAX, Graph
from assembly.limits.layouts import Layout
from assembly.limits.units import Units, is_channel_map, nominal_in_degrees

ROUNDING = 1e-9  # relative, of a sum of squared factors
LEANING = 6.0  # standard deviations of the sum of fixed coefficients that are no draw with mean 0
ODD = ("identity", "tanh", "erf", "sin")


@dataclass(frozen=True)
class Standing:
    """What is known of the neurons of a group in the limit.

    Attributes
    ----------
    is_alike : bool
        They all have one law.
    is_normal : bool
        They are independent normal processes, all alike.
    has_mean_zero : bool
    stems : frozenset of int
        Groups whose neurons they are sums of: the group itself, unless all its in-edges are fixed.
    """

    is_alike: bool
    is_normal: bool
    has_mean_zero: bool
    stems: frozenset[int]


def check_start(graph: Graph) -> None:
    """Raise `GraphError` if the outputs have their initial value taken off, as `assembly.lazy` makes them."""
    group = graph.outputs[0][0]
    into = [graph.connections[position] for position in graph.incoming[group]]
    trained = [one for one in into if one.values is None and not graph.groups[one.source].is_given]
    fixed = [one for one in into if one.values is not None and not graph.groups[one.source].is_given]
    for moving in trained:
        for held in fixed:
            is_negative = moving.factor.shape == held.factor.shape and np.array_equal(held.factor, -moving.factor)
            if is_negative and graph.groups[moving.source] == graph.groups[held.source]:
                raise GraphError(
                    "A lazy network has no limit kernels of this kind: its initial value, which depends on the same "
                    "weights, is taken off, so its output starts at 0. Take those of the network g inside: the tangent "
                    "kernel is alpha^2 times that of g, at any width."
                )


def check_kinds(graph: Graph, ways: tuple[Layout, ...]) -> None:
    """Raise `GraphError` for what has no limit wherever it stands: softmax, tied weights, sub-models of your own."""
    for group in graph.groups:
        if group.activation == SOFTMAX:
            raise GraphError("A softmax couples neurons and has no limit kernel. Take a network without one.")
    for connection in graph.connections:
        level = graph.levels[connection.target]
        if isinstance(connection, Own):
            raise GraphError(
                f"Layer {level} has no limit kernel: it holds the sub-model {connection.functions.name!r} of your own, "
                "of which nothing is known but its functions."
            )
        if isinstance(connection, Tied) and not _is_channel_bias(graph, ways, connection):
            raise GraphError(
                f"Layer {level} has no limit kernel: its edges are tied, so weights are not independent and copies of "
                "one sub-model do not average out."
            )


def _is_channel_bias(graph: Graph, ways: tuple[Layout, ...], connection: Tied) -> bool:
    """Return whether the constant feeds every neuron through a weight that all neurons of its channel share."""
    way = ways[connection.target]
    return (
        graph.groups[connection.source].activation == CONSTANT
        and connection.pool is None
        and np.array_equal(connection.in_degrees(), np.ones(connection.n_target))
        and np.array_equal(connection.weight, np.repeat(np.arange(way.channels), way.places))
    )


def check_outputs(graph: Graph, fixed: frozenset[int], units: dict[int, Units], standings: list[Standing]) -> int:
    """Return the group of the outputs, which must be linear in weights that are drawn, and alike."""
    for group, position in graph.outputs:
        name = graph.groups[group].activations()[position]
        if name != "identity":
            raise GraphError(
                f"An output with activation function {name!r} has no limit kernel: its tangent kernel stays random at "
                "any width (claim 10 of docs/background/theory.md). Take output_activation='identity'."
            )
    group = graph.outputs[0][0]
    if any(other != group for other, _ in graph.outputs) or (group not in fixed and units[group].n_units > 1):
        raise GraphError("The outputs have no common limit kernel: they differ in their in-edges.")
    if group in fixed or not standings[group].is_normal:
        raise GraphError(
            "The outputs have no limit kernel: none of their in-edges, sums of fixed edges aside, reads many neurons "
            "through weights that are drawn."
        )
    return group


def standing_of(
    graph: Graph, ways: tuple[Layout, ...], fixed: frozenset[int], group: int, units: Units, below: list[Standing]
) -> Standing:
    """Return what is known of a group in the limit.

    Raises
    ------
    GraphError
        If its pre-activations are not normal with the variance of the NTK parametrisation.
    """
    where = f"Layer {graph.levels[group]} has no limit kernel"
    entries = [graph.connections[position] for position in graph.incoming[group]]
    maps = [connection for connection in entries if is_channel_map(graph, ways, connection)]
    drawn = [connection for connection in entries if not is_channel_map(graph, ways, connection)]
    if any(c.source in fixed for c in maps) or any(
        c.values is not None and graph.groups[c.source].activation == CONSTANT for c in drawn
    ):
        raise GraphError(f"{where}: inputs or fixed biases enter it through fixed edges, and shift every neuron.")
    _check_factors(where, graph, group, drawn)
    for connection in drawn:
        if connection.values is not None and connection.source not in fixed:
            _check_coefficients(where, connection, below[connection.source])
    n_unlike = sum(not below[connection.source].is_alike for connection in maps) + (len(units.neurons) > 1)
    if maps and n_unlike > 1:
        raise GraphError(f"{where}: fixed edges add up groups in each of which neurons differ.")
    stems = _stems(where, group, maps, drawn, below)
    linear = all(name == "identity" for name in units.activations)
    is_normal = all(below[connection.source].is_normal for connection in maps)
    has_mean_zero = all(below[connection.source].has_mean_zero for connection in maps)
    if not (is_normal or linear):
        raise GraphError(
            f"{where}: an activation function follows a sum with fixed edges from neurons that are not normal, and "
            "their covariance does not tell what becomes of them. Put a trainable connection between."
        )
    is_odd = all(name in ODD for name in units.activations)
    return Standing(n_unlike == 0, n_unlike == 0 and is_normal and linear, has_mean_zero and is_odd, stems)


def _check_factors(where: str, graph: Graph, group: int, drawn: list[Connection]) -> None:
    """Refuse squared factors that do not add up to 1 over the in-edges of a neuron, biases not counted."""
    weighted = [c for c in drawn if graph.groups[c.source].activation != CONSTANT]
    if not weighted:
        return
    total = np.zeros(graph.groups[group].size)
    for connection in weighted:
        total += connection.factor**2 * nominal_in_degrees(connection)
    worst = int(np.argmax(np.abs(total - 1.0)))
    if abs(total[worst] - 1.0) > ROUNDING:
        raise GraphError(
            f"{where}: the squared factors of the in-edges of a neuron must add up to 1, the factor being "
            "1/sqrt(fan-in) as in the NTK parametrisation, and not the standard or the mean-field one. Got "
            f"{total[worst]:g} for neuron {worst}."
        )


def _check_coefficients(where: str, connection: Connection, source: Standing) -> None:
    """Refuse fixed coefficients that lean to one side, of sub-models that do not vanish on average."""
    assert connection.values is not None
    values = connection.values.astype(np.float64)
    if not source.has_mean_zero and abs(values.sum()) > LEANING * np.sqrt(values @ values):
        raise GraphError(
            f"{where}: fixed coefficients of one sign add up sub-models whose mean is not 0, and the sum diverges."
        )


def _stems(
    where: str, group: int, maps: list[Connection], drawn: list[Connection], below: list[Standing]
) -> frozenset[int]:
    """Return the groups that a group is a sum of; refuse sums that meet the same neurons twice."""
    found = [below[connection.source].stems for connection in maps]
    together = frozenset().union(*found)
    if sum(len(stems) for stems in found) > len(together):
        raise GraphError(f"{where}: fixed edges lead the same neurons into it twice.")
    return together if maps and not drawn else together | {group}
