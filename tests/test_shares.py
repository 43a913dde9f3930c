import numpy as np
import pytest

import assembly as am
import cases
import contracts
import naive
from assembly.calculus.shares import contributions, curvature_contributions, effective_number, shares


@pytest.mark.parametrize("case", cases.NAMED, ids=str)
def test_curvature_of_a_neuron_is_its_part_of_the_top_eigenvector(case):
    net = case.assembly()
    H = net.hessian(case.x(), case.output)
    for coordinates in (H.top_pair(1e-10)[1], np.random.default_rng(0).normal(size=H.node_space.size)):
        vector = H.node_space.Z_transposed(coordinates)
        found = curvature_contributions(H.node_space, coordinates)
        carried = naive.shares_of(case.network(), vector)
        for layer, names in zip(net.layers[1:], case.names()[1:], strict=True):
            wanted = [carried[name] for name in names]
            assert np.abs(found[layer.nodes] - wanted).max() < 1e-13 * (vector @ vector)
        assert found.sum() == pytest.approx(vector @ vector, rel=1e-12)


@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_gradient_contributions_add_up_to_the_squared_gradient(case):
    net, x = case.assembly(), case.x()
    space = net.hessian(x, case.output).node_space
    found = contributions(space, net.evaluate(x).adjoints(case.output).post[0])
    gradient = naive.gradient(case.network(), case.w, x, case.output)
    assert found["gradient"].sum() == pytest.approx(gradient @ gradient, rel=1e-12)


def test_value_contributions_of_the_last_layer_are_the_terms_of_the_output():
    net, x = am.mlp(4, [9, 7], seed=0), np.ones(4)
    found = contributions(net.hessian(x).node_space, net.evaluate(x).adjoints(0).post[0])
    terms = [v * part.value(x) / net.scale for v, part in zip(net.coefficients, net.parts, strict=True)]
    assert contracts.error(found["value"][net.layers[2].nodes], np.abs(terms)) < 1e-13


def test_shares_add_up_to_one_and_nothing_has_none():
    np.testing.assert_allclose(shares(np.array([1.0, 3.0, 0.0])), [0.25, 0.75, 0.0])
    assert np.isnan(shares(np.zeros(3))).all()


def test_effective_number_counts_equal_shares():
    assert effective_number(np.array([0.5, 0.5, 0.0])) == pytest.approx(2.0)
    assert effective_number(np.array([1.0])) == 1.0
    assert effective_number(np.array([0.9, 0.1])) == pytest.approx(1.0 / 0.82)
    assert effective_number(np.full(7, 1 / 7, dtype=np.float32)) == pytest.approx(7.0, rel=1e-6)
