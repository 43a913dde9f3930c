"""Climbs in a ball of parameters: what they return is attained inside it, and is all where that can be solved."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assembly as am
import cases
import naive
import own_cases
import strategies
from assembly.bounds import ascent, quantities
from assembly.bounds.ascent import climb_curvature, climb_kernel_change, climb_remainder
from assembly.errors import ArgumentError, GraphError

NAMES = [
    "tanh-1",
    "erf-2",
    "tanh-3",
    "gelu-bias",
    "exp",
    "frozen-sign-2",
    "tanh-output",
    "two-outputs",
    "committee-2-bias",
    "sparse-with-skips",
    "cnn-1d-in-node-space",
    "cnn-2d-pool",
    "cnn-softmax",
    "resnet",
    "softmax",
    "tied-layers",
    "neurons-of-averages",
    "tanh-2-float32",
    "cnn-in-node-space-float32",
]
varied = pytest.mark.parametrize("case", [cases.BY_NAME[name] for name in NAMES], ids=str)
climbs = pytest.mark.parametrize("climb", [climb_curvature, climb_remainder, climb_kernel_change])


def samples(case, n=3):
    return np.array([case.x(f"climb {i}") for i in range(n)])


def climbed(climb, net, X, radius, output=0, **options):
    """Climb in an assembly at the first sample, or at all for the kernel."""
    given = X if climb is climb_kernel_change else X[0]
    return climb(net._body.program, net.parameters, given, output, radius, **options)


def assert_inside(found, net, radius):
    """The distance in extended precision is at most the radius, and the path never fell."""
    moved = found.parameters.astype(np.longdouble) - net.parameters.astype(np.longdouble)
    assert np.sqrt(moved @ moved) <= radius
    np.testing.assert_allclose(found.distance, float(np.sqrt(moved @ moved)), rtol=1e-12)
    assert found.parameters.dtype == net.parameters.dtype
    assert len(found.values) == found.n_steps
    assert (np.diff(found.values) >= 0.0).all()


# What is returned is attained


def norm_of_twin(network, w, x, output):
    return np.abs(naive.eigenvalues(naive.hessian(network, w, x, output))).max()


@varied
@pytest.mark.parametrize("radius", [0.3, 2.0])
def test_curvature_is_a_dense_eigenvalue_at_the_witness(case, radius):
    net, network, X = case.assembly(), case.network(), samples(case)
    found = climbed(climb_curvature, net, X, radius, case.output)
    x = X[0].astype(float)
    assert_inside(found, net, radius)
    np.testing.assert_allclose(
        found.value, norm_of_twin(network, found.parameters.astype(float), x, case.output), rtol=1e-6
    )
    assert found.value > norm_of_twin(network, case.w, x, case.output) * (1.0 + 1e-6)


def long_gradient(network, w, x, output):
    """The gradient in extended precision, by an imaginary step."""
    step = np.longdouble(1e-30)
    moved = w.astype(np.longdouble)[:, None] + np.clongdouble(1j) * step * np.eye(len(w), dtype=np.longdouble)
    value = naive.forward(network, moved, x.astype(np.longdouble))[1][network.outputs[output]]
    return np.zeros(len(w), dtype=np.longdouble) + np.imag(value) / step


def long_remainder(case, w, x):
    network, w0, x = as_held(case), case.w.astype(np.longdouble), x.astype(np.longdouble)
    w = w.astype(np.longdouble)
    value, start = (naive.forward(network, at, x)[1][network.outputs[case.output]] for at in (w, w0))
    return abs(value - start - long_gradient(network, case.w, x, case.output) @ (w - w0))


def long_kernel(case, w, X):
    gradients = np.array([long_gradient(as_held(case), w, x, case.output) for x in X])
    return gradients @ gradients.T


def knows_extended_precision(case):
    """scipy's erf does not."""
    return not {kind for kind, _ in case.network().neurons.values()} & {"erf", "gelu"}


LONG = [cases.BY_NAME[name] for name in NAMES if knows_extended_precision(cases.BY_NAME[name])]


def as_held(case):
    """The twin with its factors in the dtype of the assembly."""
    dtype = case.assembly().dtype.type

    def rounded(edge):
        return replace(edge, factor=np.longdouble(dtype(edge.factor)))

    neurons = {name: (kind, tuple(map(rounded, edges))) for name, (kind, edges) in case.network().neurons.items()}
    return replace(case.network(), neurons=neurons)


@pytest.mark.parametrize("case", LONG, ids=str)
@pytest.mark.parametrize("radius", [1e-6, 1e-3, 0.3, 2.0])
def test_remainder_is_below_that_of_the_witness_in_extended_precision(case, radius):
    net, X = case.assembly(), samples(case)
    found = climbed(climb_remainder, net, X, radius, case.output)
    assert_inside(found, net, radius)
    true = long_remainder(case, found.parameters, X[0])
    assert found.value <= true
    if radius >= 1e-3 and net.dtype == np.float64:
        np.testing.assert_allclose(found.value, float(true), rtol=1e-5)


@pytest.mark.parametrize("case", LONG, ids=str)
@pytest.mark.parametrize("radius", [1e-6, 0.3, 2.0])
def test_kernel_change_is_below_that_of_the_witness_in_extended_precision(case, radius):
    net, X = case.assembly(), samples(case)
    found = climbed(climb_kernel_change, net, X, radius, case.output)
    assert_inside(found, net, radius)
    change = long_kernel(case, found.parameters, X) - long_kernel(case, net.parameters, X)
    true = np.sqrt(np.sum(change**2))
    assert found.value <= true
    if radius > 1e-3:
        np.testing.assert_allclose(found.value, float(true), rtol=1e-6)


@pytest.mark.parametrize("name", ["tanh-1", "tanh-3", "softmax", "tied-layers", "sparse-with-skips"])
@climbs
def test_no_random_point_of_the_ball_is_higher(name, climb):
    """A climb is at or above the highest of 300 points: a point found higher would be a missed start."""
    case, radius = cases.BY_NAME[name], 1.0
    net, X = case.assembly(), samples(case)
    found = climbed(climb, net, X, radius, case.output)
    rng = np.random.default_rng(1)
    for _ in range(300):
        step = rng.normal(size=net.n_parameters)
        w = case.w + radius * rng.uniform() ** 0.1 * step / np.linalg.norm(step)
        moved = net.with_parameters(w)
        if climb is climb_curvature:
            value = moved.hessian(X[0], case.output).norm(tol=1e-3).value
        elif climb is climb_remainder:
            value = np.abs(moved(X[0]) - net.linearize().with_parameters(w)(X[0])).reshape(-1)[case.output]
        else:
            change = [np.atleast_2d(at.tangent_kernel(X)) for at in (moved, net)]
            change = [K[:, :, case.output, case.output] if K.ndim == 4 else K for K in change]
            value = np.linalg.norm(change[0] - change[1])
        assert value <= found.value * (1.0 + 1e-6)


@given(graph=strategies.graphs(), seed=st.integers(0, 99), radius=st.floats(1e-3, 3.0))
@strategies.QUICK
def test_on_any_graph(graph, seed, radius):
    inputs, neurons = graph
    net = am.from_neurons(inputs, neurons)
    X = np.random.default_rng(seed).normal(size=(2, len(inputs)))
    for climb in (climb_curvature, climb_remainder, climb_kernel_change):
        assert_inside(climbed(climb, net, X, radius), net, radius)
    found = climbed(climb_curvature, net, X, radius)
    moved = net.with_parameters(found.parameters)
    assert found.value <= moved.hessian(X[0]).norm().value * (1.0 + 1e-12)
    assert found.value >= net.hessian(X[0]).norm().value * (1.0 - 1e-9)


# Networks that can be solved

SECOND = {
    "tanh": lambda z: (1.0 - np.tanh(z) ** 2, -2.0 * np.tanh(z) * (1.0 - np.tanh(z) ** 2)),
    "sin": lambda z: (np.cos(z), -np.sin(z)),
    "softplus": lambda z: (1.0 / (1.0 + np.exp(-z)), 0.25 / np.cosh(z / 2.0) ** 2),
}


def largest_of_one_hidden_layer(net, x, radius, activation):
    """The supremum neuron by neuron, each a problem in two unknowns, on finer and finer grids."""
    m, d = net.layers[1].size, len(x)
    hidden, readout = net.parameters[: m * d].reshape(m, d), net.parameters[m * d :]
    size = np.linalg.norm(x) / np.sqrt(d)

    def norms(lengths, angles):
        first, second = SECOND[activation](hidden @ x / np.sqrt(d) + size * lengths * np.cos(angles))
        bent = (readout + lengths * np.sin(angles)) * second * size**2
        return 0.5 * (np.abs(bent) + np.hypot(bent, 2.0 * first * size)) / np.sqrt(m)

    best, center, cell = np.zeros(m), np.array([np.full(m, 0.5 * radius), np.zeros(m)]), np.array([0.5 * radius, np.pi])
    for n in ((41, 481), (13, 13), (13, 13), (13, 13)):  # a grid, and finer ones around the best point of each neuron
        middle = center.copy()
        for offset in itertools.product(*(np.linspace(-1.0, 1.0, k) for k in n)):
            lengths, angles = middle + (cell * offset)[:, None]
            lengths = np.clip(lengths, 0.0, radius)
            found = norms(lengths, angles)
            higher = found > best
            best[higher], center[0, higher], center[1, higher] = found[higher], lengths[higher], angles[higher]
        cell = 3.0 * cell / (np.array(n) - 1)
    return best.max()


@pytest.mark.parametrize("activation", list(SECOND))
@pytest.mark.parametrize("radius", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_one_hidden_layer_reaches_the_supremum(activation, radius, seed):
    width = [1, 3, 10, 300][seed]
    net = am.mlp(n_inputs=4, widths=[width], activation=activation, seed=seed)
    x = np.random.default_rng(seed).normal(size=4)
    found = climbed(climb_curvature, net, x[None], radius)
    np.testing.assert_allclose(found.value, largest_of_one_hidden_layer(net, x, radius, activation), rtol=1e-3)


def test_starts_at_neurons_are_needed():
    """Where the top eigenvectors at the centre lead, another neuron of a wide layer is missed."""
    net, x = am.mlp(n_inputs=4, widths=[1024], activation="tanh", seed=0), np.array([1.0, -1.0, 0.5, 1.3])
    supremum = largest_of_one_hidden_layer(net, x, 2.0, "tanh")
    assert climbed(climb_curvature, net, x[None], 2.0).value > 0.999 * supremum
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantities, "N_NEURONS", 0)
        assert climbed(climb_curvature, net, x[None], 2.0).value < 0.98 * supremum


@pytest.mark.parametrize("radius", [0.1, 1.0, 10.0])
def test_remainder_of_a_bilinear_network(radius):
    """v.U x / sqrt(m d): the remainder dv.dU x / sqrt(m d) is at most R^2 |x| / (2 sqrt(m d))."""
    net, x = am.mlp(n_inputs=3, widths=[5], activation="identity", seed=2), np.array([1.0, -2.0, 0.5])
    norm = np.linalg.norm(x) / np.sqrt(15.0)
    found = climbed(climb_remainder, net, x[None], radius)
    np.testing.assert_allclose(found.value, 0.5 * radius**2 * norm, rtol=1e-6)
    np.testing.assert_allclose(climbed(climb_curvature, net, x[None], radius).value, norm, rtol=1e-9)


@pytest.mark.parametrize("widths", [[4], [1]])
def test_remainder_of_a_quadratic_network(widths):
    """sum c_i z_i^2 with a fixed readout: the Hessian is constant, and the top eigenvector the answer."""
    options = {"n_inputs": 3, "widths": widths, "activation": "quadratic", "trainable_readout": False}
    net, x = am.mlp(**options, seed=1), np.array([0.3, -1.0, 2.0])
    readout = np.array([neuron.weights for neuron in net.layers[-1].neurons]).ravel()
    norm = 2.0 * np.abs(readout).max() / np.sqrt(widths[0]) * (x @ x) / 3.0
    for radius in (0.5, 5.0):
        found = climbed(climb_remainder, net, x[None], radius)
        np.testing.assert_allclose(found.value, 0.5 * radius**2 * norm, rtol=1e-9)
        np.testing.assert_allclose(climbed(climb_curvature, net, x[None], radius).value, norm, rtol=1e-9)


@pytest.mark.parametrize("radius", [0.1, 1.0, 4.0])
def test_kernel_change_of_a_bilinear_network(radius):
    """With one input K = x x' |w|^2 / m, and the change is largest straight away from 0."""
    net, X = am.mlp(n_inputs=1, widths=[5], activation="identity", seed=2), np.array([[1.0], [-2.0], [0.5]])
    length = np.linalg.norm(net.parameters)
    wanted = (X.ravel() @ X.ravel()) / 5.0 * ((length + radius) ** 2 - length**2)
    np.testing.assert_allclose(climbed(climb_kernel_change, net, X, radius).value, wanted, rtol=1e-4)


@climbs
def test_a_linear_network_has_nothing_to_climb(climb):
    net = am.mlp(n_inputs=3, widths=[4], activation="identity", trainable_readout=False, seed=0)
    found = climbed(climb, net, np.array([[1.0, 2.0, -1.0]]), 1.0)
    assert found.value == 0.0
    assert found.distance <= 1.0


# Gradients


@pytest.mark.parametrize(
    "name", ["tanh-1", "gelu-bias", "cnn-2d-pool", "softmax", "tied-layers", "neurons-of-averages"]
)
@pytest.mark.parametrize("kind", [quantities.Curvature, quantities.Remainder, quantities.KernelChange])
def test_uphill_is_the_direction_of_the_gradient(name, kind):
    case = cases.BY_NAME[name]
    net, X = case.assembly(), samples(case, 3 if kind is quantities.KernelChange else 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantities, "LANCZOS_TOL", 1e-9)
        quantity = kind(net._body.program, case.w, X, case.output, 1.0, 0)
        w = case.w + 0.3 * np.random.default_rng(2).normal(size=len(case.w))
        uphill = quantity.uphill(quantity.at(w, None))
        h, steps = 1e-4, np.eye(len(w))
        near = [quantity.at(w + h * e, None).value - quantity.at(w - h * e, None).value for e in steps]
        far = [quantity.at(w + 2 * h * e, None).value - quantity.at(w - 2 * h * e, None).value for e in steps]
    gradient = (8.0 * np.array(near) - np.array(far)) / (12.0 * h)
    cosine = uphill @ gradient / np.linalg.norm(uphill) / np.linalg.norm(gradient)
    assert cosine > 1.0 - 1e-9


# Corners


@climbs
def test_a_ball_of_radius_0_holds_its_centre(climb):
    case = cases.BY_NAME["tanh-3"]
    net, X = case.assembly(), samples(case)
    found = climbed(climb, net, X, 0.0)
    np.testing.assert_array_equal(found.parameters, net.parameters)
    wanted = net.hessian(X[0]).norm().value if climb is climb_curvature else 0.0
    np.testing.assert_allclose(found.value, wanted, rtol=1e-9)
    assert found.value <= wanted
    assert found.distance == 0.0
    assert found.n_steps == 1


@climbs
@pytest.mark.parametrize("radius", [1e-12, 1e-9])
def test_a_ball_that_float32_does_not_resolve(climb, radius):
    case = cases.BY_NAME["tanh-2-float32"]
    net = case.assembly()
    found = climbed(climb, net, samples(case), radius)
    assert_inside(found, net, radius)


@climbs
def test_the_same_seed_climbs_the_same_way(climb):
    case = cases.BY_NAME["tanh-3"]
    one, two = (climbed(climb, case.assembly(), samples(case), 0.7, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.parameters, two.parameters)
    assert one.value == two.value


@climbs
def test_overflow_in_the_ball_is_walked_around(climb):
    net = am.mlp(n_inputs=2, widths=[3, 3, 3], activation="exp", seed=0)
    found = climbed(climb, net, np.array([[1.0, 0.5], [0.2, -0.3]]), 30.0, max_steps=10)
    assert math.isfinite(found.value)
    assert found.value >= (0.0 if climb is climb_remainder else 1.0)
    assert_inside(found, net, 30.0)


@climbs
def test_steps_that_run_out_are_told(climb):
    case = cases.BY_NAME["tanh-3"]
    net, X = case.assembly(), samples(case)
    short, long = (climbed(climb, net, X, 1.0, max_steps=n, tol=1e-6) for n in (1, 300))
    assert not short.converged
    assert long.converged
    assert short.value < long.value


def test_relu_is_refused_by_name_for_curvature_alone():
    net, X = am.mlp(n_inputs=2, widths=[8], activation="relu", seed=0), np.array([[1.0, -0.5]])
    with pytest.raises(ArgumentError, match="relu"):
        climbed(climb_curvature, net, X, 1.0)
    found = climbed(climb_remainder, net, X, 1.0)
    moved = net.with_parameters(found.parameters)
    true = abs(moved(X[0]) - net.linearize().with_parameters(found.parameters)(X[0]))
    np.testing.assert_allclose(found.value, true, rtol=1e-9)
    assert found.value > 0.01


def test_sub_models_of_your_own_are_refused_for_curvature_alone():
    case = own_cases.FOURIER
    net, x = am.committee(case.part(), 3, seed=0), np.ones((1, case.n_inputs))
    with pytest.raises(GraphError, match="sub-models of your own"):
        climbed(climb_curvature, net, x, 1.0)
    for climb in (climb_remainder, climb_kernel_change):
        assert climbed(climb, net, x, 1.0).value > 0.0


@climbs
@pytest.mark.parametrize("wrong", [{"radius": -1.0}, {"radius": math.nan}, {"tol": 0.0}, {"max_steps": 0}])
def test_wrong_arguments(climb, wrong):
    case = cases.BY_NAME["tanh-1"]
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        climbed(climb, case.assembly(), samples(case), **{"radius": 1.0, **wrong})


def test_too_many_gradients_for_the_memory(monkeypatch):
    monkeypatch.setattr("assembly.memory.available_memory", lambda: 10**6)
    monkeypatch.setattr("assembly.memory.NEVER_CHECKED", 0)
    net = am.mlp(n_inputs=4, widths=[200, 200], activation="tanh", seed=0)
    with pytest.raises(am.errors.ResourceError, match="gradients of 4 inputs"):
        climbed(climb_kernel_change, net, np.eye(4), 1.0)


def test_the_ball_keeps_what_rounding_would_push_out():
    rng = np.random.default_rng(0)
    for dtype in (np.float64, np.float32):
        centre = (100.0 * rng.normal(size=500)).astype(dtype)
        for radius in (1e-4, 0.1, 3.0):
            ball = ascent._Ball(centre, radius, np.dtype(dtype))
            w = ball.point(10.0 * rng.normal(size=500))
            exact = np.sqrt(np.sum((w.astype(np.longdouble) - centre) ** 2))
            assert exact <= radius
            assert exact > radius * (0.95 if dtype == np.float32 and radius < 0.01 else 0.99999)
            np.testing.assert_array_equal(w, w.astype(dtype))
