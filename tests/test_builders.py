"""What a study knows of the builders: every key reaches the network, and forecasts are what networks hold."""

import inspect
import tracemalloc

import numpy as np
import pytest

import assembly as am
from assembly.data import Samples
from assembly.errors import ArgumentError
from assembly.graph.connections import Convolution, Sparse, Tied
from assembly.study import runner
from assembly.study.builders import BUILDERS, COMMON, at_width, grows, is_size
from assembly.study.builders.committees import n_copies
from assembly.study.design import Point, Settings
from assembly.study.measure import build, measure
from assembly.study.reading import architecture

SHAPE = (6, 5)
X = np.random.default_rng(0).normal(size=(3, 30))
# every key of every builder with another value than its default, one that changes the network
OTHERS = {
    "hidden": ["m", 3, "2m"],
    "activation": "erf",
    "readout": "gaussian",
    "trainable_readout": False,
    "output_activation": "tanh",
    "n_outputs": 2,
    "dtype": "float32",
    "bias": True,
    "parametrization": "standard",
    "gamma": 0.75,
    "n_blocks": 3,
    "keep": 0.75,
    "channels": [3, "2m"],
    "kernel": 2,
    "stride": 2,
    "padding": 0,
    "pool": 2,
    "n_layers": 4,
    "layer_width": "3m",
    "in_degree": 5,
    "reach": 2,
    "exponent": 1.25,
    "part": [4, 3],
    "coefficients": "gaussian",
    "n_inner": 2,
    "trainable_coefficients": True,
    "n_active": 3,
    "copies_exponent": 0.5,
    "n_factors": 2,
}


def options(name, **changes):
    if "kernel" in changes and "padding" not in changes:
        changes["padding"] = 0  # only odd kernels have a middle
    return architecture({"label": "a", "builder": name, **changes}).options


def built(name, width=8, seed=3, shape=SHAPE, **changes):
    return BUILDERS[name].build(shape, width, seed, options(name, **changes))


def point(name, width, shape=SHAPE, **changes):
    settings = Settings(options(name, **changes), shape, (), 1.0, 1e-4, "", 3, 0, 10)
    return Point("a", name, width, 0, settings)


def fingerprint(net):
    """All that a network is: structure, scales, initial parameters and values."""
    return repr(net), net.parameters.tobytes(), np.asarray(net(X)).tobytes()


def direct(name):
    """The same network by a call of the public function, written out."""
    part = {"widths": [8], "activation": "tanh", "readout": "sign"}
    one = {"part": lambda seed: am.mlp(30, seed=seed, **part), "n_parts": 8}
    shared = {"readout": "sign", "seed": 3}
    return {
        "mlp": lambda: am.mlp(30, [8, 8, 8], **shared),
        "bottleneck": lambda: am.bottleneck(30, [8, 1, 8], **shared),
        "resnet": lambda: am.resnet(30, 8, 2, **shared),
        "densenet": lambda: am.densenet(30, [8, 8], **shared),
        "dropout": lambda: am.dropout(30, [8, 8], keep=0.5, **shared),
        "cnn": lambda: am.cnn(SHAPE, [8, 8], 3, **shared),
        "random_dag": lambda: am.random_dag(30, 3, 16, 8, **shared),
        "uneven_dag": lambda: am.uneven_dag(30, 2, 8, exponent=1.5, **shared),
        "committee": lambda: am.committee(**one, seed=3),
        "dominated": lambda: am.dominated(**one, seed=3),
        "few_active": lambda: am.few_active(**one, n_active=4, seed=3),
        "tied": lambda: am.tied(**one, n_copies=8, seed=3),
        "power_law": lambda: am.power_law(**one, exponent=1.0, seed=3),
        "mean_field": lambda: am.mean_field(**one, seed=3),
        "lazy": lambda: am.lazy(lambda seed: am.mlp(30, seed=seed, **part | {"widths": [64]}), 8.0, seed=3),
        "orthogonal_chain": lambda: am.orthogonal_chain(30, 8, 3, seed=3),
    }[name]()


def signature(name):
    return inspect.signature(getattr(am, name)).parameters


# --- the table -------------------------------------------------------------------------------------------------------


def test_every_architecture_of_the_package_has_its_builder():
    homes = {name for name, home in am._HOME.items() if home.startswith("architectures.")}
    sized = {name for name in homes if {"n_inputs", "n_parts", "alpha", "shape"} & set(signature(name))} - {"submodel"}
    assert sized == set(BUILDERS)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_builder_calls_the_public_function_of_its_name(name):
    assert fingerprint(built(name)) == fingerprint(direct(name))


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in BUILDERS for key in BUILDERS[name].defaults])
def test_every_key_changes_the_network(name, key):
    value = OTHERS[key]
    assert value != BUILDERS[name].defaults[key]
    assert fingerprint(built(name, **{key: value})) != fingerprint(built(name))


@pytest.mark.parametrize("name", BUILDERS)
def test_defaults_are_those_of_the_function_but_for_the_sign_readout(name):
    parameters = signature(name)
    for key, value in BUILDERS[name].defaults.items():
        default = parameters[key].default if key in parameters else inspect.Parameter.empty
        if default is not inspect.Parameter.empty and key not in ("readout", "dtype"):
            assert value == default, key


@pytest.mark.parametrize("name", BUILDERS)
def test_a_picture_is_a_few_lines_of_plain_text(name):
    lines = BUILDERS[name].picture.strip("\n").splitlines()
    assert 2 <= len(lines) <= 6
    assert all(line.isascii() and line == line.rstrip() and 0 < len(line) <= 92 for line in lines)


def test_no_two_pictures_are_alike():
    assert len({builder.picture for builder in BUILDERS.values()}) == len(BUILDERS)


# --- the width -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", [0, -1, True, 1.5, "", "M", "m2", "0m", "-m", "2 m", None, [8]])
def test_what_is_no_size(entry):
    assert not is_size(entry)


def test_sizes_at_a_width():
    assert [at_width(entry, 12) for entry in (7, "m", "3m", "10m")] == [7, 12, 36, 120]
    assert [grows(value) for value in (7, "2m", [1, 2], [1, "m"])] == [False, True, False, True]


def test_a_lazy_network_grows_in_its_output_alone():
    narrow, wide = built("lazy", width=8), built("lazy", width=32)
    assert narrow.parameters.tobytes() == wide.parameters.tobytes()
    moved = narrow.parameters + 0.1
    np.testing.assert_allclose(wide.with_parameters(moved)(X), 4.0 * narrow.with_parameters(moved)(X), rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in BUILDERS if name != "lazy"])
def test_networks_grow_with_the_width(name):
    """The width of the theory, or where it must not grow, the number of parameters or of parts, does."""
    narrow, wide = built(name, width=8), built(name, width=32)
    counts = [(sum(group.size for group in net.graph.groups), net.n_parameters) for net in (narrow, wide)]
    assert counts[0][0] < counts[1][0]
    ratio = wide.width / narrow.width
    expected = {"bottleneck": 1.0, "densenet": (30 + 32) / (30 + 8), "dropout": None}
    committees_of_fixed_parts = {"committee", "dominated", "few_active", "tied", "power_law", "mean_field"}
    if name in committees_of_fixed_parts:  # the parts' own layers are the narrowest place
        assert (narrow.width, wide.width) == (8, 8)
    elif name == "dropout":
        assert 1.5 < ratio < 8.0
    else:
        assert ratio == pytest.approx(expected.get(name, 4.0))


@pytest.mark.parametrize(
    ("width", "b", "copies"), [(16, 0.0, 1), (16, 0.25, 2), (64, 0.5, 8), (32, 0.5, 8), (512, 0.25, 4), (48, 0.5, 8)]
)
def test_copies_are_the_nearest_power_of_two(width, b, copies):
    """m^b = 1, 2, 8, 5.7, 4.8 and 6.9."""
    assert n_copies(width, {"copies_exponent": b}) == copies


def test_all_parts_of_a_power_of_two_can_be_one():
    assert n_copies(256, {"copies_exponent": 1.0}) == 256
    assert built("tied", width=8).n_parameters == am.mlp(30, [8]).n_parameters


def test_copies_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ArgumentError, match=r"must be divisible by its number of copies, 8, .* Got 100; powers of two"):
        n_copies(100, {"copies_exponent": 0.5})


# --- forecasts -------------------------------------------------------------------------------------------------------

VARIANTS = [
    *((name, {}) for name in BUILDERS),
    ("mlp", {"hidden": ["2m", 5], "n_outputs": 3}),
    ("resnet", {"n_blocks": 4, "n_outputs": 2}),
    ("densenet", {"hidden": ["m", 3, "2m"], "n_outputs": 2}),
    ("dropout", {"keep": 1.0}),
    ("cnn", {"pool": 2, "n_outputs": 2}),
    ("cnn", {"kernel": 2, "stride": 2, "padding": 1, "channels": ["m", "2m", 3]}),
    ("random_dag", {"in_degree": 40, "layer_width": 64, "n_layers": 2}),
    ("uneven_dag", {"n_layers": 3, "exponent": 1.25, "n_outputs": 2}),
    ("committee", {"part": [4, 3], "n_inner": 3}),
    ("tied", {"part": [4, 3], "copies_exponent": 0.5}),
]


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
@pytest.mark.parametrize("shape", [(6, 5), (30,)])
def test_forecasts_of_sizes_are_those_of_networks(name, changes, shape):
    width = 64 if name == "random_dag" and changes else 16
    net = built(name, width=width, shape=shape, **changes)
    size = BUILDERS[name].size(shape, width, options(name, **changes))
    frozen = [one for one in net.graph.connections if one.values is not None]
    listed = [one for one in net.graph.connections if isinstance(one, Sparse | Tied)]
    found = {
        "n_weights": net.n_parameters + sum(one.n_weights for one in frozen),
        "n_listed": sum(one.n_edges for one in listed),
        "n_nodes": sum(group.size for group in net.graph.groups),
    }
    if name == "dropout" and options(name, **changes)["keep"] < 1.0:  # chance decides
        assert size.n_weights == pytest.approx(found["n_weights"], rel=0.5)
        return
    if name == "random_dag":  # where a neuron reads all there is, edges are not listed
        assert size.n_listed >= found.pop("n_listed")
    assert found == {key: getattr(size, key) for key in found}
    edges = [  # a convolution multiplies with the padding, too
        one.n_weights * one.windows.n_windows if isinstance(one, Convolution) else one.n_edges
        for one in net.graph.connections
    ]
    assert size.n_edges == sum(edges)


@pytest.mark.parametrize(
    ("name", "width", "changes"),
    [
        ("mlp", 1024, {"hidden": ["m", "m"]}),
        ("densenet", 512, {}),
        ("resnet", 512, {}),
        ("cnn", 32, {"pool": 2}),
        ("random_dag", 256, {}),
        ("uneven_dag", 96, {}),
        ("committee", 256, {}),
        ("tied", 256, {"copies_exponent": 0.5}),
        ("mlp", 1024, {"hidden": ["m", "m"], "dtype": "float32"}),
    ],
)
def test_a_point_takes_no_more_memory_than_forecast_and_not_far_less(name, width, changes, monkeypatch):
    monkeypatch.setattr("assembly.study.measure.MAX_STEPS", 130)  # enough to fill the basis
    one = point(name, width, **changes)
    measure(point(name, 8), Samples(X, np.ones(3)))  # what is loaded and compiled once
    tracemalloc.start()
    measure(one, Samples(X, np.ones(3)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    forecast = runner.memory_needed(one) - runner.BYTES_PER_WORKER
    assert peak <= forecast
    assert forecast <= 8 * peak


def test_a_network_of_several_outputs_is_built_with_the_first_alone():
    softmax = point("mlp", 8, output_activation="softmax", n_outputs=4)
    net = build(softmax)
    whole = built("mlp", seed=0, output_activation="softmax", n_outputs=4)
    assert net.n_outputs == 1
    assert np.allclose(net(X), whole(X)[:, 0], rtol=1e-14)
    assert net.n_parameters == whole.n_parameters
    plain, all_four = build(point("mlp", 8, n_outputs=4)), built("mlp", seed=0, n_outputs=4)
    assert plain.n_parameters == all_four.n_parameters - 3 * 8
    assert np.allclose(plain(X), all_four(X)[:, 0], rtol=1e-14)


def test_common_keys_are_common():
    takers = {key: [name for name in BUILDERS if key in BUILDERS[name].defaults] for key in COMMON}
    assert takers["dtype"] == list(BUILDERS)
    assert takers["activation"] == takers["readout"] == [name for name in BUILDERS if name != "orthogonal_chain"]
