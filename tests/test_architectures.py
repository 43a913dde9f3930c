import numpy as np
import pytest
from scipy import special

import assembly as am
import contracts
import naive
from assembly.errors import ArgumentError, AssemblyError, GraphError, ShapeError, UnknownNameError


def parts_of(seeds, widths=(3,), **options):
    return [am.mlp(2, list(widths), seed=seed, **options) for seed in seeds]


# Initial parameters


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_initial_weights_are_standard_normal(dtype):
    """160,000 draws; each moment within 5 standard errors, so a false alarm of 6e-7 each, and the seed is fixed."""
    w = am.mlp(100, [800, 100], seed=3, dtype=dtype).parameters[:160_000].astype(float)
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(w**power) - mean) < 5.0 * np.sqrt(variance / len(w)), power


def test_blocks_seeds_and_widths_are_independent():
    """Correlations of 10,000 pairs within 5 standard errors of 0; false alarm 6e-7 each, and the seeds are fixed."""
    net = am.mlp(100, [100, 100], seed=0)
    streams = [net.parameters[:10_000], net.parameters[10_000:20_000]]
    streams.append(am.mlp(100, [100, 100], seed=1).parameters[:10_000])
    streams.append(am.mlp(100, [100], seed=0).parameters[:10_000])
    streams.append(am.mlp(100, [101, 100], seed=0).parameters[:10_000])
    correlation = np.corrcoef(streams) - np.eye(len(streams))
    assert np.abs(correlation).max() < 5.0 / np.sqrt(10_000)


def test_same_seed_same_network():
    for build in (
        lambda seed: am.mlp(3, [5, 4], seed=seed, bias=True, readout="sign"),
        lambda seed: am.committee(lambda s: am.mlp(2, [3], seed=s), 4, seed=seed, coefficients="gaussian"),
        lambda seed: am.from_neurons(["x"], {"a": ("tanh", ["x"]), "b": ("tanh", ["a", "x"])}, seed=seed),
    ):
        np.testing.assert_array_equal(build(7).parameters, build(7).parameters)
        np.testing.assert_array_equal(build(7).coefficients, build(7).coefficients)
        assert not np.array_equal(build(7).parameters, build(8).parameters)


@pytest.mark.parametrize("trainable", [True, False])
def test_sign_readout_is_plus_or_minus_one_with_equal_chance(trainable):
    """10,000 signs, the mean within 5 standard errors: false alarm 6e-7."""
    net = am.mlp(2, [10_000], readout="sign", seed=0, trainable_readout=trainable)
    np.testing.assert_array_equal(np.unique(net.coefficients), [-1.0, 1.0])
    assert abs(net.coefficients.mean()) < 5.0 / np.sqrt(10_000)
    assert net.n_parameters == 20_000 + 10_000 * trainable
    gaussian = am.mlp(2, [10_000], seed=0, trainable_readout=trainable).coefficients
    assert abs(np.mean(gaussian**2) - 1.0) < 5.0 * np.sqrt(2.0 / 10_000)


def test_standard_parametrisation_is_the_same_family_with_the_factor_in_the_weights():
    net = am.mlp(4, [9, 5], parametrization="standard", seed=0)
    scales = np.repeat([1 / 2, 1 / 3, 5**-0.5], [36, 45, 5])
    ntk = am.mlp(4, [9, 5], seed=0).with_parameters(net.parameters / scales)
    x = np.random.default_rng(0).normal(size=4)
    assert net(x) == pytest.approx(ntk(x), rel=1e-13)
    np.testing.assert_allclose(net.gradient(x) * scales, ntk.gradient(x), rtol=1e-12, atol=1e-15)
    wide = am.mlp(100, [400], parametrization="standard", seed=0, bias=True)
    assert np.std(wide.parameters[:40_000]) == pytest.approx(0.1, rel=5.0 / np.sqrt(80_000))
    np.testing.assert_array_equal(wide.parameters[40_000:40_400], 0.0)  # biases begin at 0
    np.testing.assert_array_equal(
        np.abs(am.mlp(4, [9], parametrization="standard", readout="sign").coefficients), 1.0 / 3.0
    )


def test_mean_field_divides_by_the_width():
    ntk, mean_field = am.mlp(3, [16], seed=0), am.mlp(3, [16], seed=0, parametrization="mean-field")
    np.testing.assert_array_equal(ntk.parameters, mean_field.parameters)
    x = [0.3, -1.0, 0.2]
    assert mean_field(x) == pytest.approx(ntk(x) / 4.0, rel=1e-14)
    assert am.mlp(3, [16], seed=0, gamma=1.0)(x) == mean_field(x)
    assert am.mlp(3, [16], seed=0, gamma=0.5)(x) == ntk(x)


def test_bias_adds_and_output_activation_wraps():
    plain = am.mlp(2, [3], seed=0, bias=True)
    x = np.array([0.5, -0.2])
    w, b, v, c = np.split(plain.parameters, [6, 9, 12])
    assert plain(x) == pytest.approx(v @ np.tanh(w.reshape(3, 2) @ x / np.sqrt(2) + b) / np.sqrt(3) + c[0], rel=1e-14)
    wrapped = am.mlp(2, [3], seed=0, bias=True, output_activation="tanh")
    np.testing.assert_array_equal(wrapped.parameters, plain.parameters)
    assert wrapped(x) == pytest.approx(np.tanh(plain(x)), rel=1e-14)


def test_bottleneck_is_an_mlp_with_a_narrow_layer():
    narrow, plain = (
        am.bottleneck(3, [8, 2, 8], "erf", seed=4, bias=True),
        am.mlp(3, [8, 2, 8], "erf", seed=4, bias=True),
    )
    np.testing.assert_array_equal(narrow.parameters, plain.parameters)
    assert narrow([1.0, 2.0, 3.0]) == plain([1.0, 2.0, 3.0])
    for widths in ([8, 8, 8], [8, 2], [2, 8], [8], [8, 9, 8]):
        with pytest.raises(
            ArgumentError, match=r"'widths' argument must hold a layer narrower than .* such as \[512, 1"
        ):
            am.bottleneck(3, widths)


# Thinned networks


def test_every_neuron_is_kept_with_the_same_probability():
    """Kept neurons of 200 layers of 500: their mean and variance within 5 standard errors; false alarms 6e-7 each."""
    for keep in (0.2, 0.75):
        kept = np.array(
            [
                [layer.size for layer in am.dropout(1, [500, 500], keep=keep, seed=seed).layers[1:3]]
                for seed in range(100)
            ]
        ).ravel()
        variance = 500 * keep * (1.0 - keep)
        assert abs(kept.mean() - 500 * keep) < 5.0 * np.sqrt(variance / 200)
        assert abs(kept.var() - variance) < 5.0 * variance * np.sqrt(2.0 / 200)


def test_a_thinned_network_is_a_network_of_the_neurons_that_are_kept():
    net = am.dropout(3, [20, 30], "erf", keep=0.4, seed=2, n_outputs=2, readout="sign")
    sizes = [layer.size for layer in net.layers]
    assert sizes[0] == 3
    assert sizes[1] < 20
    assert sizes[2] < 30
    assert net.width == min(sizes[1:3])
    x = np.array([0.3, -1.0, 0.7])
    w1, w2, v = np.split(net.parameters, np.cumsum([3 * sizes[1], sizes[1] * sizes[2]]))
    a = special.erf(w1.reshape(-1, 3) @ x / np.sqrt(3.0))
    a = special.erf(w2.reshape(-1, sizes[1]) @ a / np.sqrt(sizes[1]))
    np.testing.assert_allclose(net(x), v.reshape(2, -1) @ a / np.sqrt(sizes[2]), rtol=1e-13)
    np.testing.assert_array_equal(np.abs(v), 1.0)


def test_the_mask_is_fixed_by_the_seed_and_leaves_at_least_one_neuron_a_layer():
    options = {"n_inputs": 3, "widths": [40, 40], "keep": 0.5}
    same, again = am.dropout(**options, seed=4), am.dropout(**options, seed=4)
    np.testing.assert_array_equal(same.parameters, again.parameters)
    sizes = {tuple(layer.size for layer in am.dropout(**options, seed=seed).layers) for seed in range(10)}
    assert len(sizes) > 5
    assert [layer.size for layer in am.dropout(3, [4, 5], keep=1e-9).layers] == [3, 1, 1, 1]


def test_a_network_of_which_all_is_kept_is_the_whole_one():
    whole, kept = am.mlp(3, [5, 4], seed=6), am.dropout(3, [5, 4], keep=1.0, seed=6)
    np.testing.assert_array_equal(kept.parameters, whole.parameters)
    assert repr(kept) == repr(whole)
    frozen = am.dropout(3, [5], keep=1, trainable_readout=False, output_activation="sin", dtype="float32")
    assert repr(frozen) == repr(am.mlp(3, [5], trainable_readout=False, output_activation="sin", dtype="float32"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": 0.0}, "'keep' argument must be a finite number above 0. Got 0.0"),
        ({"keep": 1.5}, "'keep' argument must be a probability above 0 and at most 1. Got 1.5"),
        ({"keep": np.nan}, "'keep' argument must be a finite number above 0. Got nan"),
        ({"widths": [3, 0]}, r"'widths\[1\]' argument must be an int of at least 1"),
        ({"n_inputs": 0}, "'n_inputs' argument must be an int of at least 1"),
        ({"output_activation": "softmax"}, "'n_outputs' argument must be at least 2"),
        ({"widths": [10**9, 10**9]}, "GiB"),
    ],
)
def test_errors_of_dropout(arguments, message):
    with pytest.raises(AssemblyError, match=message):
        am.dropout(**{"n_inputs": 2, "widths": [3], **arguments})


# Committees


def seeds_seen(build):
    seen = []

    def part(seed, **options):
        seen.append(seed)
        return am.mlp(2, [3, 2], seed=seed, bias=True)

    return build(part), seen


def test_a_committee_is_the_scaled_sum_of_its_parts():
    net, seeds = seeds_seen(lambda part: am.committee(part, 5, coefficients="gaussian", gamma=0.75, seed=1))
    parts = parts_of(seeds, (3, 2), bias=True)
    x = np.array([0.4, -1.1])
    assert len(set(seeds)) == 5
    total = sum(v * part(x) for v, part in zip(net.coefficients, parts, strict=True))
    assert net(x) == pytest.approx(total / 5**0.75, rel=1e-13)
    assert net.scale == pytest.approx(5**0.75)
    assert net.n_parameters == 5 * parts[0].n_parameters
    for view, part in zip(net.parts, parts, strict=True):
        assert view.value(x) == pytest.approx(part(x), rel=1e-13)
        np.testing.assert_array_equal(np.sort(view.parameters), np.sort(part.parameters))


def test_stacked_parts_equal_the_same_parts_composed_by_hand():
    net, seeds = seeds_seen(lambda part: am.committee(part, 4, seed=2))
    by_hand = am.Assembly(parts_of(seeds, (3, 2), bias=True), net.coefficients, net.scale)
    x = np.array([0.4, -1.1])
    assert net(x) == pytest.approx(by_hand(x), rel=1e-13)
    one, two = net.hessian(x), by_hand.hessian(x)
    np.testing.assert_allclose(one.eigenvalues(20).value, two.eigenvalues(20).value, atol=1e-13)
    np.testing.assert_allclose(np.sort(net.gradient(x)), np.sort(by_hand.gradient(x)), atol=1e-14)


def test_a_committee_of_independent_parts_has_a_block_diagonal_hessian():
    """Its norm is the largest of the norms of the parts, divided by the scale."""
    net, seeds = seeds_seen(lambda part: am.committee(part, 6, seed=3))
    x = np.array([0.4, -1.1])
    largest = max(float(part.hessian(x).norm(1e-9)) for part in parts_of(seeds, (3, 2), bias=True))
    assert float(net.hessian(x).norm(1e-9)) == pytest.approx(largest / np.sqrt(6), rel=1e-9)


def test_coefficients_are_given_or_drawn_fixed_or_trained():
    def part(seed):
        return am.mlp(2, [3], seed=seed)

    np.testing.assert_array_equal(am.committee(part, 3, coefficients=[1.0, 2.0, -3.0]).coefficients, [1.0, 2.0, -3.0])
    assert set(am.committee(part, 50).coefficients) == {-1.0, 1.0}
    assert len(set(am.committee(part, 50, coefficients="gaussian").coefficients)) == 50
    fixed, trained = am.committee(part, 3), am.committee(part, 3, trainable_coefficients=True)
    assert trained.n_parameters == fixed.n_parameters + 3
    np.testing.assert_array_equal(trained.parameters[-3:], fixed.coefficients)
    np.testing.assert_array_equal(trained.parameters[:-3], fixed.parameters)
    assert trained([1.0, 2.0]) == pytest.approx(fixed([1.0, 2.0]), rel=1e-14)


@pytest.mark.parametrize(
    "part",
    [
        lambda seed: am.mlp(2, [3], seed=seed, readout="sign", trainable_readout=False),  # frozen weights differ
        lambda seed: am.mlp(2, [3], seed=seed, trainable_readout=seed % 2 == 0),
        lambda seed: am.mlp(2, [3], seed=seed, gamma=0.5 + seed % 2),
        lambda seed: am.from_neurons(["x", "y"], {"a": ("sin", ["x"]), "b": ("sin", ["xy"[seed % 2], "a"])}, seed=seed),
        lambda seed: am.from_neurons(["x", "y"], {"a": ("sin", ["x", "y"][: 1 + seed % 2])}, seed=seed),
        lambda seed: am.mlp(2, [3], ["tanh", "sin"][seed % 2], seed=seed),
    ],
)
def test_parts_that_differ_in_more_than_their_weights(part):
    parts = []
    net = am.committee(lambda seed: parts.append(part(seed)) or parts[-1], 6, seed=5)
    x = [0.7, -0.3]
    assert len({p([0.1, 0.2]) for p in parts}) == 6
    assert net(x) == pytest.approx(sum(v * p(x) for v, p in zip(net.coefficients, parts, strict=True)) / np.sqrt(6))
    np.testing.assert_array_equal(net.parameters, np.concatenate([p.parameters for p in parts]))


def test_a_large_committee_stays_a_few_blocks():
    net = am.committee(lambda seed: am.mlp(4, [8, 8], seed=seed), 500)
    assert len(net.graph.connections) == 4
    assert net.width == 8
    assert net.n_parameters == 500 * (32 + 64 + 8)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda part: am.committee(part, 0), ArgumentError, "'n_parts' argument must be an int of at least 1. Got 0"),
        (lambda part: am.committee(part, 3, coefficients="signs"), UnknownNameError, "Did you mean 'sign'"),
        (
            lambda part: am.committee(part, 3, coefficients=[1.0]),
            ShapeError,
            r"'coefficients' argument .* shape \(3,\)",
        ),
        (lambda part: am.committee(part, 3, gamma=np.nan), ArgumentError, "'gamma' argument must be a finite number"),
        (
            lambda part: am.committee(lambda seed: 3, 3),
            GraphError,
            "'part' argument must return an assembly.* Got 3 for",
        ),
        (lambda part: am.committee(lambda seed: am.mlp(2, [2], n_outputs=2), 3), GraphError, "with one output"),
        (
            lambda part: am.committee(lambda s: am.mlp(1 + s % 5, [2]), 9),
            GraphError,
            "must share their inputs and dtype",
        ),
    ],
)
def test_errors_of_committee(call, error, message):
    with pytest.raises(error, match=message):
        call(lambda seed: am.mlp(2, [3], seed=seed))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_inputs": 0}, ArgumentError, r"'n_inputs' argument must be an int of at least 1\. Got 0\."),
        ({"widths": []}, ArgumentError, r"'widths' argument must be a non-empty sequence of ints\. Got \[\]\."),
        ({"widths": 5}, ArgumentError, r"'widths' argument must be a non-empty sequence of ints\. Got 5\."),
        ({"widths": [4, 0]}, ArgumentError, r"'widths\[1\]' argument must be an int of at least 1\. Got 0\."),
        ({"widths": [4.0]}, ArgumentError, r"'widths\[0\]' argument must be an int of at least 1\. Got 4\.0\."),
        ({"activation": "tahn"}, UnknownNameError, r"'activation' argument .* Got 'tahn'\. Did you mean 'tanh'\?"),
        ({"output_activation": "softmaks"}, UnknownNameError, "must be one of identity.* Did you mean 'softmax'"),
        ({"output_activation": "softmax"}, ArgumentError, "'n_outputs' argument must be at least 2 .*softmax.* Got 1"),
        ({"activation": "softmax"}, UnknownNameError, "'activation' argument must be one of identity.* Got 'softmax'"),
        ({"readout": "signs"}, UnknownNameError, "must be one of gaussian, sign. Got 'signs'. Did you mean 'sign'"),
        ({"parametrization": "mup"}, UnknownNameError, "must be one of ntk, standard, mean-field. Got 'mup'"),
        ({"parametrization": "mean-field", "gamma": 0.5}, ArgumentError, "must be 1 with parametrization 'mean-field'"),
        ({"gamma": np.inf}, ArgumentError, "'gamma' argument must be a finite number. Got inf"),
        ({"n_outputs": 0}, ArgumentError, "'n_outputs' argument must be an int of at least 1"),
        ({"seed": -1}, ArgumentError, "'seed' argument must be an int of at least 0. Got -1"),
        ({"dtype": "float16"}, ArgumentError, "'dtype' argument must be float64 or float32. Got 'float16'"),
        ({"dtype": "flaot32"}, ArgumentError, "'dtype' argument must be float64 or float32. Got 'flaot32'"),
        ({"widths": [10**9, 10**9]}, AssemblyError, "GiB"),
    ],
)
def test_errors_of_mlp(arguments, error, message):
    with pytest.raises(error, match=message):
        am.mlp(**{"n_inputs": 2, "widths": [3], **arguments})


# Graphs given neuron by neuron


def test_weights_given_or_drawn():
    given = {"a": ("tanh", {"x": 0.5, "y": None}), "b": ("sin", ["a"]), "f": ("identity", {"b": -2.0, "a": 1.0})}
    net = am.from_neurons(["x", "y"], given, seed=0)
    other = am.from_neurons(["x", "y"], given, seed=1)
    same = net.parameters == other.parameters
    np.testing.assert_array_equal(same, [True, False, False, True, True])
    x = np.array([0.3, -0.8])
    w = net.parameters
    a = np.tanh((0.5 * x[0] + w[1] * x[1]) / np.sqrt(2.0))
    assert net(x) == pytest.approx((-2.0 * np.sin(w[2] * a) + a) / np.sqrt(2.0), rel=1e-14)


def test_a_fully_connected_graph_becomes_the_same_blocks_as_an_mlp():
    inputs, hidden = ["x", "y"], [f"h{i}" for i in range(4)]
    net = am.from_neurons(inputs, dict.fromkeys(hidden, ("tanh", inputs)) | {"f": ("identity", hidden)})
    mlp = am.mlp(2, [4], seed=0)
    assert [type(c).__name__ for c in net.graph.connections] == ["Dense", "Dense"]
    same = net.with_parameters(mlp.parameters)
    assert same([1.0, -2.0]) == mlp([1.0, -2.0])
    assert repr(same) == repr(mlp)


def test_order_of_the_neurons_given_does_not_change_the_function():
    forward = {"a": ("tanh", {"x": 0.5}), "b": ("sin", {"a": 1.5, "x": -1.0}), "f": ("identity", {"b": 2.0})}
    backward = dict(reversed(forward.items()))
    assert am.from_neurons(["x"], forward)([0.7]) == am.from_neurons(["x"], backward)([0.7])


def test_float32_graph():
    net = am.from_neurons(["x"], {"a": ("tanh", {"x": 0.1})}, dtype="float32")
    assert net.parameters.dtype == np.float32
    assert contracts.error(net([[1.0]]), np.tanh([0.1])) < 1e-7


def test_a_chain_computes_its_composition():
    net = am.from_neurons(["x"], {f"v{i}": ("sin", {f"v{i - 1}" if i else "x": 1.0}) for i in range(50)})
    value = 0.9
    for _ in range(50):
        value = np.sin(value)
    assert net([0.9]) == pytest.approx(value, rel=1e-14)
    assert len(net.layers) == 51


def test_naive_twin_of_a_chain_by_hand():
    """The oracle itself: a network small enough to differentiate on paper."""
    network, number = naive.from_neurons(["x"], {"a": ("sin", ["x"]), "f": ("quadratic", ["a"])})
    w, x = np.array([0.7, 1.3]), [0.4]
    assert number == {("x", "a"): 0, ("a", "f"): 1}
    s, c = np.sin(0.28), np.cos(0.28)
    assert naive.value(network, w, x)[0] == pytest.approx((1.3 * s) ** 2)
    np.testing.assert_allclose(naive.gradient(network, w, x), [2 * 1.69 * s * c * 0.4, 2.6 * s * s], rtol=1e-14)
    wanted = [[2 * 1.69 * 0.16 * (c * c - s * s), 5.2 * s * c * 0.4], [5.2 * s * c * 0.4, 2 * s * s]]
    np.testing.assert_allclose(naive.hessian(network, w, x), wanted, rtol=1e-9)
