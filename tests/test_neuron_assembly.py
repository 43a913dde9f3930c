"""A neuron as an assembly of its own: the same function, and whatever looks at a network looks at it."""

import numpy as np
import pytest

import assembly as am
import cases


@pytest.mark.parametrize("case", cases.NAMED, ids=str)
def test_the_assembly_of_a_neuron_is_that_neuron(case):
    net, x = case.assembly(), case.x()
    rtol = 1e-9 if net.dtype == np.float64 else 1e-4
    for layer in net.layers[1:]:
        for neuron in (layer.neurons[0], layer.neurons[-1].pre):
            own = neuron.assembly
            assert (own.n_inputs, own.n_outputs, own.dtype) == (net.n_inputs, 1, net.dtype)
            np.testing.assert_array_equal(own.parameters, neuron.parameters)
            np.testing.assert_allclose(own(x), neuron(x), rtol=rtol)
            np.testing.assert_allclose(own.gradient(x), neuron.gradient(x), rtol=rtol, atol=1e-300)
            norm = float(neuron.hessian(x).norm())
            np.testing.assert_allclose(float(own.hessian(x).norm()), norm, rtol=1e-3, atol=1e-300)


def test_a_neuron_is_diagnosed_and_bracketed_like_any_network():
    net, x = am.bottleneck(6, [24, 1, 24], activation="tanh", seed=0), np.linspace(-1.0, 1.0, 6)
    neuron = net.layers[3].neurons[7]
    found = am.diagnose(neuron.pre.assembly, x)
    assert found.culprits[0].kind == "narrow"
    assert found.sizes == (6, 24, 1, 1)
    assert found.curvature.hessian_norm == pytest.approx(float(neuron.pre.hessian(x).norm()), rel=1e-4)
    assert any(one.kind == "output" for one in am.diagnose(neuron.assembly, x).culprits)
    bracket = neuron.pre.assembly.curvature_in_ball(x, 0.1)
    assert 0.0 < bracket.lower <= bracket.upper
    changed = net.parameters.copy()
    changed[neuron.pre.parameter_index] = bracket.witness
    attained = net.with_parameters(changed).layers[3].neurons[7].pre.hessian(x).norm()
    np.testing.assert_allclose(float(attained), bracket.lower, rtol=1e-3)


def test_the_parameters_of_the_whole_are_copied():
    net = am.mlp(3, [5, 4], seed=0)
    own = net.layers[2].neurons[1].assembly
    assert not np.shares_memory(own.parameters, net.parameters)


def test_an_input_is_an_assembly_without_parameters():
    net = am.mlp(3, [5], seed=0)
    own = net.layers[0].neurons[2].assembly
    assert own([1.0, 2.0, 7.0]) == 7.0
    assert own.n_parameters == 0


def test_a_layer_that_is_not_there_is_told_with_those_that_are():
    layers = am.mlp(3, [5, 4], seed=0).layers
    for index in (9, 4, -5):
        message = rf"This network has 4 layers, numbered from 0, the inputs, to 3\. Got {index}\."
        with pytest.raises(IndexError, match=message):
            layers[index]
    assert (layers[-1].index, [layer.index for layer in layers[1:3]], len(layers)) == (3, [1, 2], 4)
