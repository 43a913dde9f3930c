"""Width: the minimum number of trainable in-edges beyond the first layer, other neurons contracted."""

import numpy as np
import pytest

import assembly as am
import naive
from assembly.graph.connections import Dense, Sparse
from assembly.graph.description import Graph, Group
from cases import CASES


def width(network: naive.Network) -> int:
    """Return the width by recursion over edges, one neuron at a time."""

    def edges(name):
        return [edge for edge in network.neurons[name][1] if edge.parent != naive.ONE]

    def trainable(name):
        return sum(edge.parameter is not None for edge in edges(name))

    known = dict.fromkeys(network.inputs, 0)

    def depth(name):
        if name not in known:
            known[name] = max((depth(edge.parent) for edge in edges(name)), default=0) + (trainable(name) > 0)
        return known[name]

    deep = [trainable(name) for name in network.neurons if depth(name) >= 2 and trainable(name) > 0]
    fixed = [len(edges(name)) for name in network.outputs if trainable(name) == 0 and depth(name) >= 1]
    return min(deep + fixed, default=min(len(edges(name)) for name in network.outputs))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_width_is_that_of_the_definition_edge_by_edge(case):
    assert case.assembly().width == width(case.network())


def one(n):
    return np.ones(n)


def identity(source, target, n):
    return Sparse(source, target, n, n, one(n), np.arange(n + 1), np.arange(n, dtype=np.int32), one(n))


def test_a_sum_with_an_identity_skip_does_not_make_a_network_narrow():
    groups = (Group(3, "input"), Group(5, "tanh"), Group(5, "tanh"), Group(5, "identity"), Group(1, "identity"))
    connections = (
        Dense(0, 1, 3, 5, one(5)),
        Dense(1, 2, 5, 5, one(5)),
        identity(1, 3, 5),
        identity(2, 3, 5),
        Dense(3, 4, 5, 1, one(1)),
    )
    assert Graph(groups, connections, ((4, 0),)).width == 5


def pooled(readout) -> Graph:
    """Four neurons, pooled in pairs, read by two neurons, read by one output."""
    pairs = Sparse(1, 2, 4, 2, one(2), np.array([0, 2, 4]), np.arange(4, dtype=np.int32), np.full(4, 0.5))
    groups = (Group(3, "input"), Group(4, "tanh"), Group(2, "identity"), Group(6, "tanh"), Group(1, "identity"))
    connections = (Dense(0, 1, 3, 4, one(4)), pairs, Dense(2, 3, 2, 6, one(6)), Dense(3, 4, 6, 1, one(1), readout))
    return Graph(groups, connections, ((4, 0),))


def test_pooling_is_contracted_and_what_reads_it_counts_its_edges():
    graph = pooled(None)
    assert graph.width == 2  # the pooled neurons have 2 in-edges as well, but those are no parameters
    np.testing.assert_array_equal(graph.depths[2], [1, 1])
    np.testing.assert_array_equal(graph.depths[3], [2] * 6)


def test_an_output_with_fixed_coefficients_counts_them():
    wide = am.mlp(3, [7, 9], "tanh", trainable_readout=False)
    assert wide.width == 7
    assert am.mlp(3, [9, 7], "tanh", trainable_readout=False).width == 7
    assert am.committee(lambda seed: am.mlp(3, [9], "tanh", seed=seed), 5).width == 5


def test_fixed_coefficients_within_are_contracted():
    inner = [am.mlp(3, [9], "tanh", seed=seed) for seed in range(8)]
    left, right = am.Assembly(inner[:4], one(4)), am.Assembly(inner[4:], one(4))
    outer = am.Assembly([left, right], one(2), trainable_coefficients=True)
    assert outer.width == 2
    assert outer.parts[0].in_degree == 4


def test_only_the_shallow_neurons_of_a_group_are_left_out():
    """A group with a neuron of the first layer (through pooling) and one of the second."""
    mean = Sparse(0, 1, 4, 2, one(2), np.array([0, 2, 2]), np.array([0, 1], dtype=np.int32), np.full(2, 0.5))
    first = Sparse(0, 1, 4, 2, one(2), np.array([0, 0, 3]), np.array([0, 1, 2], dtype=np.int32))
    second = Sparse(1, 2, 2, 2, one(2), np.array([0, 1, 2]), np.array([0, 1], dtype=np.int32))
    more = Sparse(0, 2, 4, 2, one(2), np.array([0, 0, 2]), np.array([0, 1], dtype=np.int32))
    groups = (Group(4, "input"), Group(2, ("identity", "tanh")), Group(2, "tanh"), Group(1, "identity"))
    graph = Graph(groups, (mean, first, second, more, Dense(2, 3, 2, 1, one(1))), ((3, 0),))
    np.testing.assert_array_equal(graph.depths[2], [1, 2])
    assert graph.width == 2  # the first neuron of the group has one in-edge, from pooled inputs: first layer
