import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assembly import activations
from assembly.errors import ArgumentError, ConfigurationError, UnknownNameError
from assembly.study import reading, specification
from assembly.study.builders import BUILDERS
from assembly.study.reading import dump, load, named_studies, override, parse

SMALLEST = """
name = "small"
widths = [8, 16, 32, 80]
[data]
source = "wine"
[[architectures]]
label = "network"
hidden = ["m", "m"]
"""


def lines(text):
    with pytest.raises(ConfigurationError) as caught:
        parse(text, origin="my.toml")
    assert "pydantic" not in str(caught.value)
    assert "http" not in str(caught.value)
    return str(caught.value).splitlines()


def test_defaults_are_those_of_the_protocol():
    study = parse(SMALLEST)
    assert (study.seeds, study.radius, study.tol, study.data.n_measured) == (10, 1.0, 1e-4, 4)
    network = study.architecture("network")
    assert (network.activation, network.readout, network.builder, network.parametrization) == (
        "tanh",
        "sign",
        "mlp",
        "ntk",
    )
    assert (network.trainable_readout, network.bias, network.output_activation) == (True, False, "identity")


def test_the_digits_study_declares_what_the_theory_claims_and_nothing_it_only_shows():
    study = load("digits")
    assert study.widths == (32, 64, 128, 256, 512, 1024)
    assert (study.seeds, study.data.n_measured, study.radius, study.tol) == (20, 4, 1.0, 1e-4)
    ratios = ("hessian_norm", "hessian_over_gradient_squared", "hessian_times_radius_over_gradient")
    falling = (*ratios, "rms_cosine_layer_2", "rms_cosine_layer_3", "remainder_top_eigenvector")
    expected = {("network", name, -0.5, 0.0, 0.1) for name in falling}
    expected |= {("bottleneck", name, 0.0, -0.5, 0.1) for name in ratios}
    found = {(c.architecture, c.quantity, c.prediction, c.alternative, c.band) for c in study.claims}
    assert found == expected
    quick = override(study, quick=True)
    assert (quick.widths, quick.seeds, quick.data.n_measured) == ((16, 32, 64, 128, 256), 20, 2)


def test_every_named_study_loads_and_has_a_title():
    assert "digits" in named_studies()
    for name, title in named_studies().items():
        assert load(name).name == name
        assert title


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("widths", "widhts", "my.toml: the 'widhts' key is unknown. Did you mean 'widths'?"),
        ("source", "surce", "my.toml: the 'data.surce' key is unknown. Did you mean 'source'?"),
        ("hidden", "hiden", "my.toml: the 'architectures[0].hiden' key is unknown. Did you mean 'hidden'?"),
        (
            "label",
            "qqq",
            "my.toml: the 'architectures[0].qqq' key is unknown. The keys here are label, builder, widths,",
        ),
        (
            "[8, 16, 32, 80]",
            '[8, "a", 32]',
            "my.toml: the 'widths' key must be a list of 4 or more different whole numbers",
        ),
        ("[8, 16, 32, 80]", "[8, 16, 32, 0]", "Got [8, 16, 32, 0]."),
        ("[8, 16, 32, 80]", "[8, 16.5, 32, 80]", "Got [8, 16.5, 32, 80]."),
        ("[8, 16, 32, 80]", "[8, 16, 80]", "Got [8, 16, 80]."),
        (
            "[8, 16, 32, 80]",
            "[8, 32, 16, 80]",
            "my.toml: the 'widths' key must be ascending, each width once. Got [8, 32, 16, 80].",
        ),
        (
            "[8, 16, 32, 80]",
            "[8, 16, 32, 64]",
            "my.toml: the 'widths' key must span a decade, the widest at least 10 times the narrowest. "
            "Got [8, 16, 32, 64], a factor of 8.",
        ),
        ("[8, 16, 32, 80]", "[8, 8, 16, 80]", "must be ascending, each width once"),
        ("[8, 16, 32, 80]", "8", "Got 8."),
        ('"wine"', '"whine"', "Got 'whine'. Did you mean 'wine'?"),
        ('"wine"', '"my.pickle"', "or the path of a .csv, .npy, .npz file. Got 'my.pickle'."),
        ('"wine"', "3", "the 'data.source' key must be one of digits"),
        ('"wine"', '"wine"\ntarget = 1.5', "the 'data.target' key must be a target's name"),
        (
            '"wine"',
            '"wine"\nn_measured = true',
            "the 'data.n_measured' key must be a whole number of at least 1. Got true.",
        ),
        ('"wine"', '"wine"\nseed = -1', "the 'data.seed' key must be a whole number of at least 0. Got -1."),
        ('["m", "m"]', '["m", "n"]', "the 'architectures[0].hidden' key must be a list of layer widths"),
        ('["m", "m"]', '["m", 0]', "Got ['m', 0]."),
        ('["m", "m"]', '["m", true]', "Got ['m', True]."),
        ('["m", "m"]', "[]", "Got []."),
        ('["m", "m"]', "[8, 8]", 'must hold "m" at least once'),
        ('["m", "m"]', '["m"]\nactivation = "tnah"', "Got 'tnah'. Did you mean 'tanh'?"),
        (
            '["m", "m"]',
            '["m"]\nactivation = ["tanh"]',
            "the 'architectures[0].activation' key must be one of identity,",
        ),
        ('["m", "m"]', '["m"]\nreadout = "signs"', "must be one of gaussian, sign. Got 'signs'. Did you mean 'sign'?"),
        ('["m", "m"]', '["m"]\nbuilder = "bottleneck"', "must hold a fixed layer width for a bottleneck"),
        ('["m", "m"]', '["m"]\nbias = 1', "the 'architectures[0].bias' key must be true or false. Got 1."),
        ('["m", "m"]', '["m"]\ngamma = -0.5', "must be a number of at least 0. Got -0.5."),
        (
            '["m", "m"]',
            '["m"]\nparametrization = "mean-field"\ngamma = 0.7',
            "must be 1, or left out, with parametrization",
        ),
        ('["m", "m"]', '["m"]\ngamma = nan', "Got nan."),
        ('["m", "m"]', '["m"]\ndtype = "float16"', "must be one of float64, float32. Got 'float16'."),
        ('label = "network"', 'label = "a b"', "must be letters, digits"),
        ('name = "small"', 'name = "../small"', "must be letters, digits"),
        ('name = "small"', "", "the 'name' key is missing. It must be letters"),
        ('name = "small"', 'name = "small"\nseeds = "10"', "the 'seeds' key must be a whole number of at least 3"),
        ('name = "small"', 'name = "small"\nseeds = 2', "Got 2."),
        ('name = "small"', 'name = "small"\nradius = inf', "the 'radius' key must be a number above 0. Got inf."),
        ('name = "small"', 'name = "small"\ntol = 1', "the 'tol' key must be a number above 0 and below 1. Got 1."),
        ('name = "small"', 'name = "small"\ntitle = 3', "the 'title' key must be a text. Got 3."),
        ('name = "small"', 'name = "small"\nquick = 3', "the 'quick' key must be a table, [quick]. Got 3."),
        ('name = "small"', 'name = "small"\nclaims = [3]', "the 'claims[0]' key must be a table. Got 3."),
    ],
)
def test_every_mistake_gives_one_line_with_key_expectation_and_value(old, new, line):
    text = SMALLEST.replace(old, new, 1)
    found = lines(text)
    assert any(line in one for one in found), found
    assert all(one.startswith("my.toml: ") for one in found)
    unexpected = [one for one in found if line not in one and "is missing" not in one]
    assert not unexpected


def with_builder(*keys):
    """The smallest study with these lines in place of the keys of its architecture."""
    return SMALLEST.replace('hidden = ["m", "m"]', "\n".join(keys))


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (['builder = "resnt"'], "Got 'resnt'. Did you mean 'resnet'?"),
        (
            ['builder = "resnet"', 'hidden = ["m"]'],
            "the 'architectures[0].hidden' key must be left out with builder 'resnet', whose keys are n_blocks, "
            "activation, readout, trainable_readout, output_activation, n_outputs, dtype; it is taken by mlp, "
            "bottleneck, densenet, dropout.",
        ),
        (["keep = 0.5"], "whose keys are hidden, "),
        (["keep = 0.5"], "it is taken by dropout."),
        (['builder = "committee"', "bias = true"], "it is taken by mlp, bottleneck, cnn."),
        (
            ['builder = "cnn"', "channels = [8]"],
            'must hold "m" at least once, or nothing grows with the width. Got [8].',
        ),
        (['builder = "cnn"', 'channels = "m"'], "the 'architectures[0].channels' key must be a list of layer widths"),
        (['builder = "cnn"', 'padding = "valid"'], "must be \"same\" or a whole number of at least 0. Got 'valid'."),
        (['builder = "cnn"', "padding = -1"], "Got -1."),
        (
            ['builder = "cnn"', "pool = 0"],
            "the 'architectures[0].pool' key must be a whole number of at least 1. Got 0.",
        ),
        (
            ['builder = "random_dag"', "in_degree = 4", "layer_width = 8"],
            'must be "m", or nothing grows with the width.',
        ),
        (['builder = "random_dag"', 'in_degree = "m/2"'], '"m", the width, or a multiple such as "2m". Got \'m/2\'.'),
        (['builder = "dropout"', "keep = 1.5"], "must be a number above 0 and at most 1. Got 1.5."),
        (['builder = "dropout"', "keep = 0"], "must be a number above 0 and at most 1. Got 0."),
        (['builder = "tied"', "copies_exponent = 1.5"], "must be a number from 0 to 1. Got 1.5."),
        (['builder = "power_law"', "exponent = 0"], "must be a number above 0. Got 0."),
        (
            ['builder = "committee"', 'part = ["m"]'],
            "list of layer widths, each a whole number of at least 1. Got ['m'].",
        ),
        (['builder = "mean_field"', "gamma = 1.0"], "it is taken by mlp, bottleneck, committee."),
        (['output_activation = "softmx"'], "Got 'softmx'. Did you mean 'softmax'?"),
        (['activation = "softmax"'], "the 'architectures[0].activation' key must be one of identity,"),
        (["widths = [8, 16, 80]"], "the 'architectures[0].widths' key must be a list of 4 or more different whole"),
        (["widths = [8, 16, 32, 79]"], "the 'architectures[0].widths' key must span a decade"),
        (["widths = [8, 32, 16, 80]"], "the 'architectures[0].widths' key must be ascending, each width once."),
    ],
)
def test_every_mistake_in_the_keys_of_a_builder_gives_one_line(keys, line):
    found = lines(with_builder(*keys))
    assert len(found) == 1, found
    assert line in found[0]


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_builder_needs_no_key_and_takes_its_own(builder):
    """Defaults fill in what is left out, and a file with all of them written out is the same study."""
    study = parse(with_builder(f'builder = "{builder}"'))
    assert study.architectures[0].options == dict(BUILDERS[builder].defaults)
    assert parse(dump(study)) == study
    table = tomllib.loads(dump(study))["architectures"][0]
    assert set(table) - {"label", "builder"} == {k for k, v in BUILDERS[builder].defaults.items() if v is not None}


def test_the_keys_of_an_architecture_are_those_of_the_builders():
    keys = {key for builder in BUILDERS.values() for key in builder.defaults}
    fields = set(specification.ArchitectureSpecification.model_fields)
    assert keys == fields - {"label", "builder", "widths"}


def test_one_network_need_not_grow():
    """`assembly inspect` looks at one width: fixed layers are as good as any."""
    assert reading.architecture({"label": "a", "hidden": [30, 40]}).options["hidden"] == [30, 40]
    with pytest.raises(ConfigurationError, match="The '--set keep' option must be left out with builder 'mlp'"):
        reading.architecture({"label": "a", "keep": 0.5})


@pytest.mark.parametrize(
    ("quantity", "line"),
    [
        ("rms_cosine_layer_9", None),  # whether there is such a layer is seen when the network is built
        ("rms_cosin_layer_2", "Did you mean 'rms_cosine_layer_{l}'?"),
        ("hessian_nrm", "Did you mean 'hessian_norm'?"),
    ],
)
def test_claims_on_layers_of_networks_that_are_no_plain_layers(quantity, line):
    text = with_builder('builder = "resnet"') + CLAIM.replace("hessian_norm", quantity)
    if line is None:
        assert parse(text).claims[0].quantity == quantity
    else:
        assert line in lines(text)[0]


def test_quantities_are_names_of_the_table_and_hold_what_is_claimed():
    chosen = SMALLEST.replace("[data]", 'quantities = ["hessian_norm", "rms_cosine_layer_{l}"]\n[data]') + CLAIM
    assert parse(chosen).quantities == ("hessian_norm", "rms_cosine_layer_{l}")
    assert parse(chosen.replace('quantity = "hessian_norm"', 'quantity = "rms_cosine_layer_2"')).claims
    assert parse(chosen.replace('quantity = "hessian_norm"', 'quantity = "gradient_norm"')).claims  # beside the norm
    (line,) = lines(chosen.replace('quantity = "hessian_norm"', 'quantity = "q_infinity"'))
    assert "must be one of the study's quantities, hessian_norm, rms_cosine_layer_{l}. Got 'q_infinity'." in line
    assert "'quantities' key must be" in lines(chosen.replace('["hessian_norm"', '["hesian_norm"'))[0]


def test_widths_of_an_architecture_are_its_own_until_others_are_asked_for():
    study = parse(with_builder("widths = [16, 32, 64, 256]", 'hidden = ["m"]') + "\n[quick]\nwidths = [4, 8, 16, 40]\n")
    (entry,) = study.architectures
    assert (study.widths_of(entry), study.all_widths) == ((16, 32, 64, 256), (16, 32, 64, 256))
    assert parse(dump(study)) == study
    for quick in (False, True):
        changed = override(study, widths=[3, 4, 5, 30], quick=quick)
        assert changed.widths_of(changed.architectures[0]) == changed.widths == (3, 4, 5, 30)
    changed = override(study, quick=True)
    assert (changed.widths, changed.widths_of(changed.architectures[0])) == ((4, 8, 16, 40), (16, 32, 64, 256))


def test_the_shape_of_the_inputs_is_one_or_two_numbers():
    assert parse(SMALLEST.replace('"wine"', '"wine"\nshape = [1, 13]')).data.shape == (1, 13)
    for shape in ("[]", "[1, 1, 13]", "[0]", "13", '["m"]'):
        (line,) = lines(SMALLEST.replace('"wine"', f'"wine"\nshape = {shape}'))
        assert "the 'data.shape' key must be a list, [length] or [height, width], of whole numbers" in line


def test_the_study_of_architectures_builds_all_of_them_and_claims_what_the_theory_says():
    study = load("architectures")
    assert {entry.builder for entry in study.architectures} == set(BUILDERS)
    assert (study.seeds, study.data.source, study.tol) == (10, "digits", 1e-3)
    assert {entry.options.get("readout", "sign") for entry in study.architectures} == {"sign"}
    falling = [
        *("mlp-1", "mlp-2", "mlp-3", "dropout", "resnet", "densenet", "cnn", "cnn-pooled", "random-dag", "uneven-dag"),
        *("committee", "committee-of-committees", "tied-0"),
    ]
    flat = ["output-tanh", "output-swish", "output-softmax", "bottleneck", "dominated", "few-active"]
    expected = {(label, "hessian_norm"): (-0.5, 0.0) for label in falling}
    expected |= {(label, "hessian_norm"): (0.0, -0.5) for label in flat}
    # claims 16 and 17: -(1 - b)/2 and -(1/2 - a), flat from b = 1 and a = 1/2 on
    expected |= {("tied-0.25", "hessian_norm"): (-0.375, 0.0), ("tied-0.5", "hessian_norm"): (-0.25, -0.5)}
    expected |= {("tied-1", "hessian_norm"): (0.0, -0.5), ("power-law-0.25", "hessian_norm"): (-0.25, -0.5)}
    expected |= {("power-law-0.5", "hessian_norm"): (0.0, -0.5), ("power-law-1", "hessian_norm"): (0.0, -0.5)}
    # claims 1, 15 and 18
    expected |= {("committee", "gradient_norm"): (0.0, -0.5), ("mean-field", "hessian_norm"): (-1.0, -0.5)}
    expected |= {("mean-field", "gradient_norm"): (-0.5, 0.0)}
    expected |= {("mean-field", "hessian_over_gradient_squared"): (0.0, -0.5)}
    # claim 25, and products of orthogonal matrices
    expected |= {("lazy", "hessian_over_gradient_squared"): (-1.0, -0.5)}
    expected |= {("orthogonal-chain", "hessian_times_radius_over_gradient"): (0.0, -0.5)}
    found = {(one.architecture, one.quantity): (one.prediction, one.alternative) for one in study.claims}
    assert found == expected
    assert {one.band for one in study.claims} == {0.1}
    assert all(one.source.startswith(("claim ", "derived: ")) for one in study.claims)
    assert {one.architecture for one in study.claims} == {entry.label for entry in study.architectures}


CLAIM = '\n[[claims]]\narchitecture = "network"\nquantity = "hessian_norm"\nprediction = -0.5\nalternative = 0.0\n'


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('architecture = "network"', 'architecture = "netwrk"', "must be a label of the study: network. Got 'netwrk'."),
        ('"hessian_norm"', '"hesian_norm"', "Did you mean 'hessian_norm'?"),
        ('"hessian_norm"', '"rms_cosine_layer_3"', "must be a quantity measured for 'network'"),
        ('"hessian_norm"', '"rms_cosine_layer_1"', "must be a quantity measured for 'network'"),
        ("prediction = -0.5", "", "must give 'prediction' and 'alternative' for an exponent"),
        ("alternative = 0.0", "", "Got prediction."),
        ("prediction = -0.5", "prediction = -0.5\nat_most = 1.0", "Got prediction, alternative, at_most."),
        ("prediction = -0.5\nalternative = 0.0", "", "Got none of them."),
        ("prediction = -0.5\nalternative = 0.0", "at_least = 2\nat_most = 1", "must not exceed 'at_most' = 1. Got 2."),
        ("prediction = -0.5\nalternative = 0.0", "at_most = nan", "must be a finite number"),
        ("prediction = -0.5", "prediction = 0.0", "the 'claims[0]' key is no claim."),
        ("prediction = -0.5", "prediction = -0.5\nband = 0", "must be a number above 0. Got 0."),
        (CLAIM, CLAIM + CLAIM, "the 'claims[1]' key must be the only claim on that quantity"),
    ],
)
def test_claims_must_be_about_something_measured(old, new, line):
    found = lines((SMALLEST + CLAIM).replace(old, new, 1))
    assert len(found) == 1
    assert line in found[0]


def test_all_mistakes_are_reported_at_once():
    text = (
        SMALLEST.replace("name", "nmae")
        .replace("[8, 16, 32, 80]", "3")
        .replace("wine", "whine")
        .replace("label", "lable")
    )
    found = lines(text + '\n[[architectures]]\nlabel = "x"\nhidden = ["m"]\nactivation = 7\n')
    for key in ("nmae", "name", "widths", "data.source", "architectures[0].lable", "architectures[1].activation"):
        assert sum(f"the '{key}' key" in line for line in found) == 1


def test_labels_must_differ():
    (line,) = lines(SMALLEST + '\n[[architectures]]\nlabel = "network"\nhidden = ["m"]\n')
    assert "every label once. Got 'network' 2 times" in line


@pytest.mark.parametrize("text", ["widths = [", "= 3", 'name = "a"\nname = "b"', "a = 1e", "\x00"])
def test_text_that_is_no_toml_gives_one_line(text):
    (line,) = lines(text)
    assert line.startswith("my.toml: no valid TOML: ")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "data", "widths", "label", "x"]), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    st.sampled_from(["name", "widths", "seeds", "data", "architectures", "claims", "quick", "radius"]),
)
def test_any_value_under_any_key_is_taken_or_gives_clear_lines(value, key):
    table = tomllib.loads(SMALLEST)
    table[key] = value
    try:
        reading.validate(table, "my.toml")
    except ConfigurationError as error:
        for line in str(error).splitlines():
            assert line.startswith("my.toml: the '")
            assert line.endswith((".", "?"))


@pytest.mark.parametrize("quick", [False, True])
def test_dump_loads_back_equal(quick):
    study = override(load("digits"), quick=quick, activation="erf")
    assert parse(dump(study)) == study
    assert tomllib.loads(dump(study))["architectures"][0]["bias"] is False


@given(
    st.builds(
        dict,
        radius=st.floats(1e-300, 1e300),
        tol=st.floats(1e-15, 0.99),
        title=st.text(st.characters(blacklist_categories=["Cs"]), max_size=20),
        seeds=st.integers(3, 10**9),
    )
)
def test_dump_keeps_every_value_exactly(values):
    study = reading.validate({**tomllib.loads(SMALLEST), **values})
    assert parse(dump(study)) == study


def test_overrides_replace_and_are_checked():
    study = override(load("digits"), widths=[80, 8, 16, 64], seeds=3, activation="relu", quick=True)
    assert (study.widths, study.seeds, study.data.n_measured) == ((8, 16, 64, 80), 3, 2)
    assert {entry.activation for entry in study.architectures} == {"relu"}
    assert study.quick is None
    with pytest.raises(UnknownNameError, match="Did you mean 'relu'"):
        override(load("digits"), activation="relo")
    with pytest.raises(ConfigurationError, match="each width once"):
        override(load("digits"), widths=[8, 8, 16, 80])
    with pytest.raises(ConfigurationError, match="widths"):
        override(load("digits"), widths=[0, 8, 16, 80])
    with pytest.raises(ArgumentError, match=r"needs a \[quick\] table"):
        override(parse(SMALLEST), quick=True)


def test_paths_of_data_are_relative_to_the_study_file(tmp_path):
    (tmp_path / "my.toml").write_text(SMALLEST.replace("wine", "sub/my.csv"))
    assert load(tmp_path / "my.toml").data.source == str(tmp_path / "sub" / "my.csv")
    (tmp_path / "my.toml").write_text(SMALLEST.replace("wine", "breast-cancer"))
    assert load(tmp_path / "my.toml").data.source == "breast_cancer"


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("digit", None, UnknownNameError, "Did you mean 'digits'"),
        ("study.yaml", "", UnknownNameError, "path of a .toml file"),
        ("none.toml", None, ConfigurationError, "does not exist"),
        ("binary.toml", b"\xff\xfe", ConfigurationError, "no text in UTF-8"),
    ],
)
def test_a_study_that_cannot_be_read_gives_one_line(tmp_path, name, content, error, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(error, match=message) as caught:
        load(name if content is None and name == "digit" else path)
    assert "\n" not in str(caught.value)


def test_a_folder_named_like_a_study_file_gives_one_line(tmp_path):
    (tmp_path / "a.toml").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "a.toml")


def test_columns_are_those_of_the_depth():
    assert [name for name in specification.columns(3) if "layer" in name] == [
        *("largest_share_layer_1", "largest_share_layer_2", "largest_share_layer_3"),
        *(f"largest_curvature_share_layer_{layer}" for layer in (1, 2, 3)),
        *("effective_number_layer_1", "effective_number_layer_2", "effective_number_layer_3"),
        *("rms_cosine_layer_2", "rms_cosine_layer_3"),
    ]


def test_activations_are_those_of_the_package():
    for name in activations.NAMES:
        assert reading.architecture({"label": "a", "hidden": ["m"], "activation": name}).activation == name
