import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assembly as am
import cases
import contracts
import naive
import strategies
from assembly.calculus.node_space import NodeSpaceHessian

smooth = pytest.mark.parametrize("case", cases.CASES, ids=str)


def dense(apply, size, rows=None):
    """Return the matrix of a linear map, column by column, and check on the way that its argument is left alone."""
    columns = []
    for unit in np.eye(size):
        given = unit.copy()
        columns.append(np.array(apply(given)))
        np.testing.assert_array_equal(given, unit)
    return np.array(columns).reshape(size, rows or size).T


class Matrices:
    """Z, Z^T, M and N of a node space written out."""

    def __init__(self, space: NodeSpaceHessian):
        n = space.program.n_parameters
        self.Z = dense(space.Z, n, space.size)
        self.Z_transposed = dense(space.Z_transposed, space.size, n)
        self.M, self.N = dense(space.M, space.size), dense(space.N, space.size)


@smooth
def test_the_four_maps_belong_together(case):
    net = case.assembly()
    H = net.hessian(case.x(), case.output)
    maps = Matrices(H.node_space)
    assert contracts.error(maps.Z_transposed, maps.Z.T) < 1e-14
    assert contracts.error(maps.N, maps.Z @ maps.Z.T) < 1e-14
    assert contracts.error(H @ np.eye(net.n_parameters), maps.Z.T @ maps.M @ maps.Z) < 1e-14
    assert np.linalg.eigvalsh(0.5 * (maps.N + maps.N.T)).min() > -1e-14 * np.abs(maps.N).max()


@smooth
def test_the_middle_map_is_symmetric_and_gives_the_hessian(case):
    maps = Matrices(case.assembly().hessian(case.x(), case.output).node_space)
    n_nodes = len(maps.M) // 2
    reached = np.flatnonzero(np.abs(maps.Z).sum(axis=1))  # coordinates that some direction of the parameters moves
    swap = np.concatenate([np.arange(n_nodes, 2 * n_nodes), np.arange(n_nodes)])
    assert swap[swap].tolist() == list(range(2 * n_nodes))
    inner = maps.M[np.ix_(reached, reached)]
    assert contracts.error(inner, inner.T) < 1e-13
    assert contracts.error(maps.Z.T @ maps.M @ maps.Z, case.hessian()) < 1e-8


@pytest.mark.parametrize("case", cases.NAMED, ids=str)
def test_edges_to_nodes_by_hand(case):
    """p_v = sum c dw a over trainable in-edges; q_u = sum c dw b over trainable out-edges, none for an input.

    Weights outside node space are coordinates of their own, and count in neither.
    """
    net, network, x = case.assembly(), case.network(), case.x()
    _, post = naive.forward(network, case.w, x)
    adjoints = naive.adjoints(network, case.w, x, case.output)
    direction = np.random.default_rng(0).normal(size=net.n_parameters)
    space = net.hessian(x, case.output).node_space
    blocks = [space.program.blocks[i].parameters for i in space.program.coordinates]
    outside = sorted({number for block in blocks for number in range(block.start, block.stop)})
    p, q = dict.fromkeys(network.neurons, 0.0), dict.fromkeys(network.neurons, 0.0)
    for name, (_, edges) in network.neurons.items():
        for edge in edges:
            if edge.parameter is not None and edge.parameter not in outside:
                p[name] += edge.factor * direction[edge.parameter] * post[edge.parent]
                if edge.parent in q:
                    q[edge.parent] += edge.factor * direction[edge.parameter] * adjoints[name][0]
    found_p, found_q = space.split(space.Z(direction))
    np.testing.assert_array_equal(space.rest(space.Z(direction)), direction[outside])
    for layer, names in zip(net.layers[1:], case.names()[1:], strict=True):
        assert contracts.error(found_p[layer.nodes], [p[name] for name in names]) < 1e-13
        assert contracts.error(found_q[layer.nodes], [q[name] for name in names]) < 1e-13


@smooth
def test_rank_is_at_most_twice_the_number_of_neurons(case):
    n_neurons = len(case.network().neurons)
    values = np.linalg.svd(case.hessian(), compute_uv=False)
    assert np.sum(values > 1e-7 * (values[0] + 1e-300)) <= 2 * n_neurons
    wide = am.mlp(30, [2, 2], seed=0)
    H = wide.hessian(np.ones(30))
    assert np.linalg.matrix_rank(H @ np.eye(66)) <= 2 * 5


@smooth
def test_squared_norms_are_those_of_single_coordinates(case):
    space = case.assembly().hessian(case.x(), case.output).node_space
    diagonal = np.diag(Matrices(space).N)
    alpha, beta = space.squared_norms()
    assert contracts.error(np.concatenate([alpha, beta]), diagonal[: 2 * space.program.n_nodes]) < 1e-14
    assert contracts.error(space.diagonal(), diagonal) < 1e-14


@pytest.mark.parametrize("name", ["frozen-1", "frozen-sign-2", "two-outputs-sin"])
def test_frozen_edges_take_part_in_the_middle_only(name):
    case = cases.BY_NAME[name]
    net = case.assembly()
    maps = Matrices(net.hessian(case.x(), case.output).node_space)
    n_nodes, outputs = len(maps.M) // 2, net.layers[-1].nodes
    biased = case.network().neurons[case.network().outputs[0]][1][-1].parent == naive.ONE
    hidden = net.layers[-2].nodes
    for matrix in (maps.Z, maps.N):
        assert not matrix[n_nodes + hidden].any()  # q of the last hidden layer comes from readout weights alone
        assert matrix[outputs].any() == biased  # p of an output, its bias apart
        assert matrix[hidden].any()
    assert maps.M[np.ix_(n_nodes + outputs, hidden)].any()  # the tangent does run through them


@strategies.QUICK
@given(graph=strategies.graphs(), data=st.data())
def test_any_graph(graph, data):
    inputs, neurons = graph
    net = am.from_neurons(inputs, neurons)
    x = data.draw(strategies.samples(len(inputs)))
    H = net.hessian(x)
    maps = Matrices(H.node_space)
    whole = H @ np.eye(net.n_parameters)
    assert np.abs(maps.Z_transposed - maps.Z.T).max() < 1e-13
    assert contracts.error(maps.N, maps.Z @ maps.Z.T) < 1e-13
    assert np.abs(whole - maps.Z.T @ maps.M @ maps.Z).max() < 1e-11
    assert np.abs(whole - naive.hessian(naive.from_neurons(inputs, neurons)[0], net.parameters, x)).max() < 1e-6
