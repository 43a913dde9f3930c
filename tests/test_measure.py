"""What a study measures, against explicit gradients, dense Hessians and the definitions written out."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import assembly as am
from assembly.data import Samples
from assembly.diagnostics import diversity
from assembly.diagnostics.dominance import dominance
from assembly.diagnostics.linearity import kernel_change, remainder
from assembly.errors import GraphError
from assembly.seeds import generator
from assembly.study import design, measure, quantities, trained
from assembly.study.builders import BUILDERS
from assembly.study.reading import architecture, load, override
from assembly.study.specification import columns
from study_cases import table

INPUTS = np.random.default_rng(0).normal(size=(2, 5))
SAMPLES = Samples(INPUTS, np.array([1.0, -1.0]))
DIGITS = override(load("digits"), widths=[6, 8, 10, 60], seeds=3)
DATA = table(n_columns=5)
POINTS = {point.architecture: point for point in design.points(DIGITS, DATA) if point.width == 8 and point.seed == 1}


def changed(architecture="network", **options):
    point = POINTS[architecture]
    settings = dataclasses.replace(point.settings, tol=1e-9, options=point.settings.options | options)
    return dataclasses.replace(point, settings=settings)


def mean(values):
    return pytest.approx(np.mean(list(values)), rel=1e-9)


@pytest.fixture(scope="module", params=["network", "bottleneck"])
def measured(request):
    point = changed(request.param)
    net = measure.build(point)
    hessians = [net.hessian(x) @ np.eye(net.n_parameters) for x in INPUTS]
    return net, [np.linalg.eigh(H) for H in hessians], measure.measure(point, SAMPLES)


def top(eigen):
    values, vectors = eigen
    k = np.argmax(np.abs(values))
    return abs(values[k]), vectors[:, k]


def test_curvature_and_its_ratios_are_means_over_the_inputs(measured):
    net, eigen, row = measured
    norms = [top(one)[0] for one in eigen]
    slopes = [np.linalg.norm(net.gradient(x)) for x in INPUTS]
    assert row["hessian_norm"] == mean(norms)
    assert row["gradient_norm"] == mean(slopes)
    assert row["hessian_over_gradient_squared"] == mean(h / g**2 for h, g in zip(norms, slopes, strict=True))
    assert row["hessian_times_radius_over_gradient"] == mean(h / g for h, g in zip(norms, slopes, strict=True))
    assert (row["n_unconverged"], row["largest_residual"] <= 1e-9) == (0.0, True)


def test_shares_are_those_of_explicit_gradients_and_eigenvectors(measured):
    net, eigen, row = measured
    for layer in net.layers[1:-1]:
        own = [own_weights(net, layer, i) for i in range(layer.size)]
        largest, effective, curved = [], [], []
        for x, one in zip(INPUTS, eigen, strict=True):
            share = normalised([np.sum(net.gradient(x)[index] ** 2) for index in own])
            largest.append(share.max())
            effective.append(1.0 / np.sum(share**2))
            curved.append(normalised([np.sum(top(one)[1][index] ** 2) for index in own]).max())
        assert row[f"largest_share_layer_{layer.index}"] == mean(largest)
        assert row[f"effective_number_layer_{layer.index}"] == mean(effective)
        assert row[f"largest_curvature_share_layer_{layer.index}"] == pytest.approx(np.mean(curved), rel=1e-5)


def test_q_infinity_is_the_largest_derivative_in_an_activation(measured):
    """By raising each activation through the weights that leave it: df/da_u is what is left when u is scaled."""
    net, _, row = measured
    found = []
    for x in INPUTS:
        evaluation = net.evaluate(x)
        a, gradient = evaluation.post[0], net.gradient(x)
        derivative = []
        for layer, above in zip(net.layers[1:-1], net.layers[2:], strict=True):
            # sum over out-edges of w df/dw = a df/da, the Euler identity of one neuron
            out = [own_weights(net, above, i) for i in range(above.size)]
            for j, node in enumerate(layer.nodes):
                edges = np.array([index[j] for index in out])
                derivative.append(abs((net.parameters[edges] * gradient[edges]).sum() / a[node]))
        found.append(max(derivative))
    assert row["q_infinity"] == pytest.approx(np.mean(found), rel=1e-9)


def test_cosines_are_those_of_explicit_neuron_gradients(measured):
    net, _, row = measured
    for layer in net.layers[2:-1]:
        found = []
        for x in INPUTS:
            gradients = np.zeros((layer.size, net.n_parameters))
            for i, neuron in enumerate(layer.neurons):
                gradients[i, neuron.parameter_index] = neuron.gradient(x)
            gradients /= np.linalg.norm(gradients, axis=1, keepdims=True)
            cosines = (gradients @ gradients.T)[~np.eye(layer.size, dtype=bool)]
            found.append(np.sqrt(np.mean(cosines**2)) if layer.size > 1 else math.nan)
        assert row[f"rms_cosine_layer_{layer.index}"] == pytest.approx(np.mean(found), rel=1e-9, nan_ok=True)


def test_remainders_and_kernel_changes_are_at_the_ends_of_both_signs(measured):
    net, eigen, row = measured
    w, radius = net.parameters, 1.0

    def remainder(x, u):
        moved = (w + radius * u, w - radius * u)
        return max(abs(net.with_parameters(v)(x) - net(x) - net.gradient(x) @ (v - w)) for v in moved)

    def kernel_change(u):
        kernel = net.tangent_kernel(INPUTS)
        moved = (net.with_parameters(w + radius * u), net.with_parameters(w - radius * u))
        return max(np.linalg.norm(other.tangent_kernel(INPUTS) - kernel) for other in moved) / np.linalg.norm(kernel)

    worst = [top(one)[1] for one in eigen]
    steepest = [net.gradient(x) / np.linalg.norm(net.gradient(x)) for x in INPUTS]
    close = {"rel": 1e-5}  # eigenvectors to the square root of what eigenvalues are
    expected = np.mean([remainder(x, u) for x, u in zip(INPUTS, worst, strict=True)])
    assert row["remainder_top_eigenvector"] == pytest.approx(expected, **close)
    assert row["remainder_gradient"] == mean(remainder(x, u) for x, u in zip(INPUTS, steepest, strict=True))
    assert row["kernel_change_top_eigenvector"] == pytest.approx(np.mean([kernel_change(u) for u in worst]), **close)
    assert 0.0 < row["remainder_random"] < row["remainder_top_eigenvector"]


def test_the_kernel_is_that_of_explicit_gradients(measured):
    net, _, row = measured
    jacobian = np.array([net.gradient(x) for x in INPUTS])
    kernel = jacobian @ jacobian.T
    assert row["kernel_norm"] == pytest.approx(np.linalg.norm(kernel), rel=1e-12)
    smallest, largest = np.linalg.eigvalsh(kernel)
    assert row["kernel_smallest_eigenvalue"] == pytest.approx(smallest, rel=1e-9)
    assert row["kernel_largest_eigenvalue"] == pytest.approx(largest, rel=1e-12)


def test_columns_are_those_of_the_table_of_quantities(measured):
    assert set(measured[2]) == set(columns(3))


def test_what_did_not_converge_is_counted_and_never_a_number(monkeypatch):
    monkeypatch.setattr(measure, "MAX_STEPS", 3)
    row = measure.measure(changed(), SAMPLES)
    assert row["n_unconverged"] == 2.0
    assert row["largest_residual"] > 1e-9
    gone = {name for name, value in row.items() if math.isnan(value)}
    assert gone == {
        *("hessian_norm", "hessian_over_gradient_squared", "hessian_times_radius_over_gradient"),
        *(f"largest_curvature_share_layer_{layer}" for layer in (1, 2, 3)),
        *("remainder_top_eigenvector", "kernel_change_top_eigenvector"),
    }


def test_the_scale_of_the_output_cancels_where_it_must():
    """Claim 15's warning: with the mean-field scale ||H|| is sqrt(m) times smaller, and the ratios tell."""
    ntk = measure.measure(changed(), SAMPLES)
    mean_field = measure.measure(changed(parametrization="mean-field", gamma=None), SAMPLES)
    s = math.sqrt(8.0)
    assert mean_field["hessian_norm"] == pytest.approx(ntk["hessian_norm"] / s, rel=1e-9)
    assert mean_field["hessian_over_gradient_squared"] == pytest.approx(
        s * ntk["hessian_over_gradient_squared"], rel=1e-9
    )
    same = "hessian_times_radius_over_gradient"
    assert mean_field[same] == pytest.approx(ntk[same], rel=1e-9)


def own_weights(net, layer, i):
    """Positions of the in-weights of neuron i, by the documented order of the parameters (no biases)."""
    offset = net.graph.slices[layer.index - 1].start
    n_source = net.layers[layer.index - 1].size
    return offset + i * n_source + np.arange(n_source)


def normalised(values):
    return np.array(values) / np.sum(values)


@pytest.mark.filterwarnings("ignore:.*exactly 0")
def test_a_network_dead_at_every_input_gives_no_number_and_no_error():
    net = am.mlp(3, [2], "relu", seed=0).with_parameters([-1.0] * 6 + [1.0, 1.0])
    X = np.ones((2, 3))
    assert math.isnan(kernel_change(net, X, np.full(8, 8**-0.5), 1.0))
    row = measure.measure(dead_point(), SAMPLES)
    assert math.isnan(row["kernel_change_top_eigenvector"])
    assert math.isnan(row["hessian_over_gradient_squared"])
    assert (row["hessian_norm"], row["gradient_norm"], row["kernel_norm"]) == (0.0, 0.0, 0.0)


def dead_point():
    """A ReLU bottleneck of one neuron that is 0 at both inputs: found by trying seeds in order."""
    for seed in range(100):
        point = dataclasses.replace(changed("bottleneck", activation="relu"), seed=seed)
        net = measure.build(point)
        if not net.tangent_kernel(INPUTS).any():
            return point
    raise AssertionError("no dead network among 100")


def test_remainders_of_several_outputs_are_refused():
    net = am.mlp(2, [3], n_outputs=2)
    with pytest.raises(am.errors.ArgumentError, match="one output"):
        remainder(net, [1.0, 2.0], np.ones(net.n_parameters), 1.0)


def test_an_output_in_the_midst_of_the_graph_is_no_hidden_neuron():
    neurons = {"a": ("tanh", ["x"]), "b": ("tanh", ["x"]), "c": ("identity", ["a", "b"]), "d": ("identity", ["a", "c"])}
    net = am.from_neurons(["x"], neurons, outputs=["c", "d"], seed=0)
    found = dominance(net, [0.7], output=0)
    assert [layer.layer for layer in found.layers] == [1]
    assert found.q_infinity == pytest.approx(np.abs(net.layers[2].neurons[0].weights).max() / np.sqrt(2.0))


# --- networks of every builder ---------------------------------------------------------------------------------------


def of_builder(name, width=6, shape=(2, 3), quantities=(), **changes):
    """A point on random inputs of six columns."""
    options = architecture({"label": "a", "builder": name, **changes}).options
    settings = design.Settings(options, shape, quantities, 1.0, 1e-9, "", 2, 0, 10)
    return design.Point("a", name, width, 4, settings)


SIX = np.random.default_rng(1).normal(size=(2, 6))
SMALL = {
    "bottleneck": {},
    "densenet": {},
    "dropout": {},
    "resnet": {},
    "cnn": {"pool": 2, "channels": ["m", 2], "stride": 1},
    "random_dag": {"reach": 2, "layer_width": 8},
    "uneven_dag": {},
    "committee": {"part": [3, 2], "n_inner": 2},
    "dominated": {"part": [3]},
    "few_active": {"part": [3]},
    "tied": {"part": [3], "copies_exponent": 0.4},
    "power_law": {"part": [3]},
    "mean_field": {"part": [3], "coefficients": "gaussian"},
}


@pytest.fixture(scope="module", params=SMALL)
def every_kind(request):
    shape = (4, 4) if request.param == "cnn" else (2, 3)
    point = of_builder(request.param, shape=shape, **SMALL[request.param])
    inputs = np.random.default_rng(1).normal(size=(2, math.prod(shape)))
    return measure.build(point), inputs, measure.measure(point, Samples(inputs, np.ones(len(inputs))))


def neuron_gradients(net, layer, x):
    """Gradients of the activations of a layer in all parameters, by finite differences of the activations."""
    w, step = net.parameters, 1e-6
    columns = []
    for i in range(len(w)):
        shifted = [net.with_parameters(w + sign * step * (np.arange(len(w)) == i)) for sign in (1.0, -1.0)]
        up, down = (one.evaluate(x).post[0][net.layers[layer].nodes] for one in shifted)
        columns.append((up - down) / (2.0 * step))
    return np.array(columns).T


def test_columns_are_those_announced(every_kind):
    net, _, row = every_kind
    assert set(row) == set(measure.columns_of(net))


def test_curvature_and_kernel_are_those_of_dense_matrices(every_kind):
    net, inputs, row = every_kind
    norms = [np.abs(np.linalg.eigvalsh(net.hessian(x) @ np.eye(net.n_parameters))).max() for x in inputs]
    jacobian = np.array([net.gradient(x) for x in inputs])
    slopes = np.linalg.norm(jacobian, axis=1)
    assert row["hessian_norm"] == pytest.approx(np.mean(norms), rel=1e-7)
    assert row["hessian_over_gradient_squared"] == pytest.approx(np.mean(norms / slopes**2), rel=1e-7)
    assert row["kernel_norm"] == pytest.approx(np.linalg.norm(jacobian @ jacobian.T), rel=1e-10)


def test_cosines_are_those_of_finite_differences(every_kind):
    net, inputs, row = every_kind
    for layer in diversity.layers_with_cosines(net):
        found = []
        for x in inputs:
            gradients = neuron_gradients(net, layer, x)
            sizes = np.linalg.norm(gradients, axis=1, keepdims=True)
            alive = gradients[sizes[:, 0] > 0] / sizes[sizes[:, 0] > 0]
            cosines = (alive @ alive.T)[~np.eye(len(alive), dtype=bool)]
            found.append(np.sqrt(np.mean(cosines**2)) if len(alive) > 1 else math.nan)
        assert row[f"rms_cosine_layer_{layer}"] == pytest.approx(np.mean(found), abs=1e-7, nan_ok=True)


def test_layers_left_out_have_no_weight_or_no_cosine(every_kind):
    """Left out of the shares: layers without trainable in-edges. Of the cosines: those where all are exactly 0."""
    net, inputs, _ = every_kind
    last = len(net.layers) - 1
    for layer in range(1, last):
        own = [neuron.parameter_index for neuron in net.layers[layer].neurons]
        below = set().union(*(set(n.parameter_index) for lower in net.layers[:layer] for n in lower.neurons), set())
        has_own = any(set(index) - below for index in own)
        assert (layer in measure.trainable_layers(net)) == has_own
        if has_own and layer not in diversity.layers_with_cosines(net):
            gradients = neuron_gradients(net, layer, inputs[0])
            assert not (gradients @ gradients.T)[~np.eye(len(gradients), dtype=bool)].any()


@pytest.mark.parametrize(
    ("name", "hidden", "with_cosines"),
    [
        ("resnet", [1, 2, 4], [2, 4]),  # 3 and 5 are sums
        ("densenet", [1, 2], [2]),
        ("cnn", [1, 3], [1, 3]),  # averages in between; kernels are shared from the first layer on
        ("committee", [1, 2, 3], [2, 3]),  # 4: the sums of the inner committees, whose coefficients are fixed
        ("tied", [1, 2], [1, 2]),  # copies share parameters from the first layer on
        ("power_law", [1, 2], [2]),
    ],
)
def test_layers_that_are_measured(name, hidden, with_cosines):
    net = measure.build(of_builder(name, shape=(4, 4), **SMALL[name]))
    assert measure.trainable_layers(net) == hidden
    assert diversity.layers_with_cosines(net) == with_cosines


def test_layers_too_large_for_a_gram_matrix_end_the_cosines(monkeypatch):
    net = am.mlp(4, [3, 5, 4, 6, 3])
    assert diversity.layers_with_cosines(net) == [2, 3, 4, 5]
    monkeypatch.setattr(diversity, "LARGEST_EXACT", 5)
    assert diversity.layers_with_cosines(net) == [2, 3]
    monkeypatch.setattr(diversity, "LARGEST_EXACT", 4)
    assert diversity.layers_with_cosines(net) == []


@pytest.mark.parametrize("output_activation", ["softmax", "tanh", "identity"])
def test_of_several_outputs_the_first_is_measured(output_activation):
    point = of_builder("mlp", n_outputs=3, output_activation=output_activation, hidden=["m", "m"])
    row = measure.measure(point, Samples(SIX, np.ones(2)))
    whole = am.mlp(6, [6, 6], n_outputs=3, output_activation=output_activation, readout="sign", seed=4)
    expected = [np.abs(np.linalg.eigvalsh(whole.hessian(x, 0) @ np.eye(whole.n_parameters))).max() for x in SIX]
    assert row["hessian_norm"] == pytest.approx(np.mean(expected), rel=1e-7)
    gradients = np.array([whole.gradient(x, 0) for x in SIX])
    assert row["gradient_norm"] == pytest.approx(np.mean(np.linalg.norm(gradients, axis=1)), rel=1e-12)
    assert row["kernel_norm"] == pytest.approx(np.linalg.norm(gradients @ gradients.T), rel=1e-12)
    other = [np.abs(np.linalg.eigvalsh(whole.hessian(x, 1) @ np.eye(whole.n_parameters))).max() for x in SIX]
    assert row["hessian_norm"] != pytest.approx(np.mean(other), rel=1e-3)


STATUS = {"n_unconverged", "largest_residual", "n_steps"}


@pytest.mark.parametrize(
    "asked",
    [
        ("hessian_norm",),
        ("gradient_norm", "kernel_norm"),
        ("rms_cosine_layer_{l}",),
        ("largest_share_layer_{l}", "q_infinity"),
        ("remainder_random",),
        ("remainder_top_eigenvector", "kernel_change_top_eigenvector"),
    ],
)
def test_only_what_is_asked_for_is_measured_and_the_same(asked, monkeypatch):
    whole = measure.measure(changed(), SAMPLES)
    point = changed()
    settings = dataclasses.replace(point.settings, quantities=asked)
    row = measure.measure(dataclasses.replace(point, settings=settings), SAMPLES)
    iterates = any(name.startswith(("hessian", "remainder_top", "kernel_change")) for name in asked)
    asked = quantities.asked_for(asked)
    assert set(row) == {name for name in whole if quantities.pattern(name) in asked} | (STATUS if iterates else set())
    assert row == {name: whole[name] for name in row}


@pytest.mark.parametrize(
    ("asked", "left_out"),
    [
        (
            ("hessian_norm", "gradient_norm"),
            ("dominance", "rms_cosine", "remainder", "kernel_change", "curvature_contributions"),
        ),
        (("hessian_norm",), ("_random_direction",)),
        (("remainder_gradient",), ("kernel_change", "_random_direction", "dominance", "rms_cosine")),
        (("kernel_change_top_eigenvector",), ("remainder",)),
        (("gradient_norm", "rms_cosine_layer_2"), ("dominance", "Hessian of the net", "kernel of the net")),
        (("hessian_norm", "remainder_top_eigenvector"), ("kernel of the net",)),
    ],
)
def test_what_is_not_asked_for_is_not_computed(asked, left_out, monkeypatch):
    of_the_net = {"Hessian of the net": "hessian", "kernel of the net": "tangent_kernel"}
    for name in left_out:
        monkeypatch.setattr(am.Assembly if name in of_the_net else measure, of_the_net.get(name, name), None)
    point = changed()
    settings = dataclasses.replace(point.settings, quantities=tuple(quantities.pattern(name) for name in asked))
    row = measure.measure(dataclasses.replace(point, settings=settings), SAMPLES)
    named = {name for name in quantities.asked_for(asked) if name != "rms_cosine_layer_2"}
    assert {name for name in row if not name.startswith("rms_cosine")} - STATUS == named


def test_the_norm_never_stands_alone():
    row = measure.measure(requested("hessian_norm"), SAMPLES)
    assert {"gradient_norm", "hessian_over_gradient_squared", "hessian_times_radius_over_gradient"} <= set(row)


# --- quantities that are measured on request -------------------------------------------------------------------------


def requested(*names, **options):
    point = changed(**options)
    return dataclasses.replace(point, settings=dataclasses.replace(point.settings, quantities=names))


def test_what_is_costly_is_measured_on_request_only(measured):
    on_request = {one.column for one in quantities.QUANTITIES if one.is_on_request}
    assert on_request
    assert not {quantities.pattern(name) for name in measured[2]} & on_request
    assert set(quantities.asked_for(())) == set(quantities.COLUMNS) - on_request
    assert quantities.LARGEST_GRAM == diversity.LARGEST_EXACT


def test_hessians_of_neurons_are_medians_of_those_of_every_neuron_alone():
    point = requested(*quantities.NEURON_HESSIANS, hidden=[4, 3, "m"])
    net, row = measure.build(point), measure.measure(point, SAMPLES)
    assert set(row) == {name.format(l=layer) for name in quantities.NEURON_HESSIANS for layer in (2, 3)}
    for layer in (2, 3):
        norms, ratios = [], []
        for x in INPUTS:
            found = []
            for neuron in net.layers[layer].neurons:
                H = neuron.pre.hessian(x) @ np.eye(neuron.pre.n_parameters)
                found.append((np.abs(np.linalg.eigvalsh(H)).max(), np.linalg.norm(neuron.pre.gradient(x))))
            norms.append(np.median([norm for norm, _ in found]))
            ratios.append(np.median([norm / slope for norm, slope in found]))
        for name, expected in zip(quantities.NEURON_HESSIANS, (norms, ratios), strict=True):
            np.testing.assert_allclose(row[name.format(l=layer)], np.mean(expected), rtol=1e-7)


def test_hessians_of_neurons_that_did_not_converge_are_no_number(monkeypatch):
    from assembly.estimate import Estimate
    from assembly.neuron import Layer

    monkeypatch.setattr(Layer, "hessian_norms", lambda layer, x, tol: Estimate(np.ones(8), np.ones(8), False, 3))
    row = measure.measure(requested(*quantities.NEURON_HESSIANS), SAMPLES)
    assert row
    assert all(math.isnan(value) for value in row.values())


def test_layers_with_hessians_of_neurons_are_those_that_read_neurons():
    tied = measure.build(of_builder("tied", **SMALL["tied"]))
    assert diversity.layers_with_cosines(tied) == [1, 2]  # copies share weights in the first layer too,
    assert measure.curved_layers(tied) == [2]  # and stay linear in them
    assert measure.curved_layers(measure.build(of_builder("densenet"))) == [2]
    assert measure.curved_layers(am.mlp(3, [4])) == []


def test_conditions_and_worst_cases_are_those_of_the_diagnostics():
    from assembly.diagnostics.conditions import principal_shares
    from assembly.diagnostics.linearity import worst_kernel_change, worst_remainder

    names = ("principal_share", "predicted_hessian_over_gradient_squared", "remainder_worst", "kernel_change_worst")
    point = requested(*names, hidden=["m", "m"])
    net, row = measure.build(point), measure.measure(point, SAMPLES)
    assert set(row) == set(names)
    conditions = [principal_shares(net, x) for x in INPUTS]
    radius = point.settings.radius
    expected = {
        names[0]: np.mean([one.principal_share for one in conditions]),
        names[1]: np.mean([one.predicted_hessian_over_gradient_squared for one in conditions]),
        names[2]: np.mean([worst_remainder(net, x, radius) for x in INPUTS]),
        names[3]: worst_kernel_change(net, INPUTS, radius),
    }
    for name in names:
        np.testing.assert_allclose(row[name], expected[name], rtol=1e-9)


def test_the_curvature_in_the_ball_is_bracketed():
    names = ("hessian_norm", "curvature_in_ball_lower", "curvature_in_ball_upper")
    point = requested(*names, hidden=["m"])
    net, row = measure.build(point), measure.measure(point, SAMPLES)
    found = [net.curvature_in_ball(x, point.settings.radius) for x in INPUTS]
    np.testing.assert_allclose(row[names[1]], np.mean([one.lower for one in found]), rtol=1e-9)
    np.testing.assert_allclose(row[names[2]], np.mean([one.upper for one in found]), rtol=1e-9)
    assert row[names[0]] < row[names[1]] < row[names[2]]


def test_worst_cases_are_no_less_than_along_the_top_eigenvector():
    names = ("remainder_worst", "remainder_top_eigenvector", "kernel_change_worst", "kernel_change_top_eigenvector")
    row = measure.measure(requested(*names), SAMPLES)
    assert row["remainder_worst"] >= row["remainder_top_eigenvector"] * (1.0 - 1e-9)
    assert row["kernel_change_worst"] >= row["kernel_change_top_eigenvector"] * (1.0 - 1e-9)


def test_a_claim_on_what_is_not_asked_for_is_a_mistake():
    from assembly.errors import ConfigurationError
    from assembly.study.reading import parse

    text = (
        'name = "w"\nwidths = [8, 16, 32, 64, 128]\nQUANTITIES\n[data]\nsource = "wine"\n'
        '[[architectures]]\nlabel = "a"\nhidden = ["m", "m"]\n'
        '[[claims]]\narchitecture = "a"\nquantity = "remainder_worst"\nprediction = -0.5\nalternative = 0.0\n'
    )
    with pytest.raises(ConfigurationError, match="the usual ones: name it under quantities"):
        parse(text.replace("QUANTITIES", ""))
    asked = parse(text.replace("QUANTITIES", 'quantities = ["remainder_worst"]'))
    assert asked.claims[0].quantity == "remainder_worst"


def test_trained_quantities_are_those_of_a_plain_loop_of_gradient_descent():
    point = requested(*quantities.TRAINED)
    net, row = measure.build(point), measure.measure(point, SAMPLES)
    linear, y = net.linearize(), SAMPLES.targets
    w, v, K0 = net.parameters.copy(), net.parameters.copy(), net.tangent_kernel(INPUTS)
    eta = 1.0 / np.linalg.eigvalsh(K0)[-1]
    for _ in range(point.settings.training_steps):
        at, beside = net.with_parameters(w), linear.with_parameters(v)
        w = w - eta * sum((at(x) - t) * at.gradient(x) for x, t in zip(INPUTS, y, strict=True))
        v = v - eta * sum((beside(x) - t) * net.gradient(x) for x, t in zip(INPUTS, y, strict=True))
    moved, gap = net.with_parameters(w), net.with_parameters(w)(INPUTS) - linear.with_parameters(v)(INPUTS)
    wanted = (
        np.linalg.norm(moved.tangent_kernel(INPUTS) - K0) / np.linalg.norm(K0),
        np.linalg.norm(w - net.parameters),
        np.abs(w - net.parameters).max(),
        np.sqrt(np.mean((moved(INPUTS) - linear.with_parameters(w)(INPUTS)) ** 2)),
        np.sqrt(np.mean(gap**2)),
        np.sum((moved(INPUTS) - y) ** 2) / np.sum((net(INPUTS) - y) ** 2),
    )
    for name, value in zip(quantities.TRAINED, wanted, strict=True):
        np.testing.assert_allclose(row[name], value, rtol=1e-6, atol=1e-14, err_msg=name)


def test_noisy_quantities_are_those_of_a_plain_loop_with_the_same_noise():
    point = requested(*quantities.NOISY)
    net, row = measure.build(point), measure.measure(point, SAMPLES)
    n_steps, tau = point.settings.training_steps, 0.05 / net.width
    w, K0, losses = net.parameters.copy(), net.tangent_kernel(INPUTS), []
    eta = 1.0 / (np.linalg.eigvalsh(K0)[-1] + tau)
    every = max(1, n_steps // 100)
    for step in range(n_steps + 1):
        at = net.with_parameters(w)
        if step > n_steps / 2 and (step % every == 0 or step == n_steps):
            losses.append(0.5 * np.sum((at(INPUTS) - SAMPLES.targets) ** 2))
        if step == n_steps:
            break
        gradient = sum((at(x) - t) * at.gradient(x) for x, t in zip(INPUTS, SAMPLES.targets, strict=True))
        noise = np.sqrt(2.0 * eta * tau) * generator(0, "noise", step).standard_normal(len(w))
        w = w - eta * (gradient + tau * w) + noise
    change = net.with_parameters(w).tangent_kernel(INPUTS) - K0
    wanted = np.mean(losses), np.linalg.norm(change) / np.linalg.norm(K0), np.linalg.norm(w - net.parameters)
    for name, value in zip(quantities.NOISY, wanted, strict=True):
        np.testing.assert_allclose(row[name], value, rtol=1e-9, err_msg=name)


def test_rates_are_those_of_the_flow_of_the_network():
    point = requested(*quantities.RATES)
    net, row = measure.build(point), measure.measure(point, SAMPLES)
    n_steps, K0 = point.settings.training_steps, net.tangent_kernel(INPUTS)
    step = 1.0 / np.linalg.eigvalsh(K0)[-1]

    def velocity(_, w):
        at = net.with_parameters(w)
        return -sum((at(x) - t) * at.gradient(x) for x, t in zip(INPUTS, SAMPLES.targets, strict=True))

    times = step * np.arange(min(n_steps, 40) + 1)
    options = {"t_eval": times, "rtol": 1e-10, "atol": 1e-13}
    way = solve_ivp(velocity, (0.0, times[-1]), net.parameters, **options).y.T
    losses = np.array([np.sum((net.with_parameters(w)(INPUTS) - SAMPLES.targets) ** 2) for w in way])
    n = int(np.argmin(losses > 1e-10 * losses[0]))  # the first of them that counts as fitted
    assert 3 < n < len(losses)
    smallest = [np.linalg.eigvalsh(net.with_parameters(w).tangent_kernel(INPUTS))[0] for w in way[:n]]
    fallen = 0.5 * np.log(losses[0] / losses[n - 1])
    wanted = fallen / (smallest[0] * times[n - 1]), fallen / np.trapezoid(smallest, times[:n])
    for name, value in zip(quantities.RATES, wanted, strict=True):
        np.testing.assert_allclose(row[name], value, rtol=1e-3, err_msg=name)
    assert row[quantities.RATES[1]] >= 1.0


@pytest.mark.parametrize("width", [16, 32, 64])
def test_a_rate_against_an_eigenvalue_of_0_is_none(width):
    twice, settings = Samples(INPUTS[[0, 1, 1]], SAMPLES.targets[[0, 1, 1]]), requested(*quantities.RATES).settings
    found = trained.rates((am.mlp(INPUTS.shape[1], [width], seed=0), twice, settings))
    assert np.isnan(list(found.values())).all()


def test_the_kernel_change_is_set_against_the_relative_curvature():
    point = requested(*quantities.WORST_CHANGE)
    net, row = measure.build(point), measure.measure(point, SAMPLES)
    curved = [
        np.linalg.norm(np.linalg.eigvalsh(net.hessian(x) @ np.eye(net.n_parameters)), ord=np.inf)
        / np.linalg.norm(net.gradient(x))
        for x in INPUTS
    ]
    change = row["kernel_change_worst"]
    wanted = change / (point.settings.radius * np.mean(curved))
    np.testing.assert_allclose(row["kernel_change_over_curvature"], wanted, rtol=1e-3)
    assert list(measure.measure(requested("kernel_change_worst"), SAMPLES)) == ["kernel_change_worst"]


def test_a_chain_of_orthogonal_matrices_is_measured_against_their_product():
    options = BUILDERS["orthogonal_chain"].defaults
    point = dataclasses.replace(requested("orthogonal_deviation"), builder="orthogonal_chain")
    point = dataclasses.replace(point, settings=dataclasses.replace(point.settings, options=dict(options)))
    assert 0.0 < measure.measure(point, SAMPLES)["orthogonal_deviation"] < 1e-12
    with pytest.raises(GraphError, match="square matrices of one size"):
        measure.measure(requested("orthogonal_deviation"), SAMPLES)
