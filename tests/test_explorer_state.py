"""What a visitor chooses: checked by the keys of a study, kept exactly in an address, built as a study builds it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import assembly as am
from assembly import activations, data
from assembly.architectures.drawing import READOUTS
from assembly.errors import ArgumentError, AssemblyError, ResourceError, UnknownNameError
from assembly.explorer.state import CHOICES, DRAWN, OF_STUDY, POINTS, State, network, takes
from assembly.study.builders import BUILDERS

X_OF_POINTS = ((0.1, -2.0), (1e-7, 3.5))


@st.composite
def states(draw):
    builder = draw(st.sampled_from(sorted(BUILDERS)))
    fields = {"builder": builder, "width": 2 ** draw(st.integers(1, 12))}
    for name in takes(builder):
        fields[name] = draw(values(CHOICES[name]))
    source = draw(st.sampled_from([*data.BUILT_IN, POINTS]))
    coordinate = st.floats(-10.0, 10.0)
    point = st.tuples(coordinate, coordinate, st.sampled_from([1, -1]))
    fields |= {"data": source, "points": draw(st.lists(point, min_size=1, max_size=5))}
    fields["row"] = draw(st.integers(0, len(fields["points"]) - 1 if source == POINTS else 177))
    return State(
        **fields,
        **{name: draw(values(CHOICES[name])) for name in ("seed", "radius", "colour", "direction", "panel", *OF_STUDY)},
    )


def values(choice):
    if choice.kind == "name":
        return st.sampled_from(sorted(choice.names))
    kind = st.integers if choice.kind == "count" else st.floats
    return kind(choice.minimum, choice.maximum)


@settings(deadline=None, max_examples=200)
@given(state=states())
def test_an_address_holds_the_state_exactly(state):
    back = State.from_query(state.to_query())
    assert back == state
    assert repr(back) == repr(state)  # -0.0 and 0.0 are equal, and not the same
    assert State.from_query("?" + state.to_query()) == state


@settings(deadline=None, max_examples=200)
@given(query=st.text(alphabet="abdehiklmnoprtuwx=&;,.%+-0123456789 é\x00", max_size=60))
def test_an_address_is_a_state_or_refused_by_an_error_of_the_package(query):
    try:
        state = State.from_query(query)
    except AssemblyError:
        return
    assert State.from_query(state.to_query()) == state


def test_choices_are_the_fields_and_name_what_the_package_has():
    assert list(CHOICES) == [one.name for one in dataclasses.fields(State)]
    assert set(CHOICES["activation"].names) == set(activations.NAMES)
    assert set(CHOICES["readout"].names) == set(READOUTS)
    assert set(CHOICES["builder"].names) == set(BUILDERS)
    assert set(CHOICES["data"].names) == {*data.BUILT_IN, POINTS, DRAWN}


@pytest.mark.parametrize("name", [name for name, choice in CHOICES.items() if choice.kind in ("count", "number")])
def test_both_ends_of_a_range_are_taken_and_nothing_beyond(name):
    choice = CHOICES[name]
    if name == "row":
        choice = dataclasses.replace(choice, maximum=1796)
    for end in (choice.minimum, choice.maximum):
        assert getattr(State(**{name: end}), name) == end
    for beyond in (choice.minimum - 1, choice.maximum + 1, float("nan"), True, "3"):
        with pytest.raises(ArgumentError, match=f"'{name}' argument"):
            State(**{name: beyond})


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("width=1e3", "The 'width' argument must be an int from 2 to 4096. Got '1e3'."),
        ("wdith=3", "The key 'wdith' is unknown. Did you mean 'width'?"),
        ("gamma=nan", "The 'gamma' argument must be a finite number of at least 0. Got 'nan'."),
        ("gamma=1_0", "The 'gamma' argument must be a finite number of at least 0. Got '1_0'."),
        ("row=1&row=2", "The 'row' argument must be given once. Got it twice."),
        ("points=1;2", r"The 'points\[0\]' argument must be two numbers and a class, 1 or -1. Got \[1.0\]."),
        ("points=1,2,0", r"The 'points\[0\]' argument must be of class 1 or -1. Got 0.0."),
        ("points=1,2,1,1", r"The 'points\[0\]' argument must be two numbers and a class"),
        ("data=drawn", "The 'data' argument must be other than 'drawn' for a network that is composed."),
        ("file=../../etc/passwd", "The 'file' argument must be the key of a network that was uploaded."),
        ("file=net.json:0123456789abcdef", "'net.json', which no address can hold; .* upload it again."),
        ("points=1,2;3,x", r"The 'points\[1\]' argument must be a finite number of at least -10. Got 'x'."),
        ("points=11,0", r"The 'points\[0\]' argument must be numbers of at most 10."),
        ("builder=resnet&gamma=1", "The 'gamma' argument must be left out with builder 'resnet'"),
        ("builder=resnet&middle=1", "The 'middle' argument must be left out with builder 'resnet'"),
        ("activation=softmax", "The 'activation' argument must be one of"),
        ("data=wine&row=178", "The 'row' argument must be an int from 0 to 177, a row of wine. Got 178."),
        ("builder=tied&width=10", "The width of a tied committee must be divisible"),
        ("seed=" + "9" * 9000, "The query must have at most 8192 characters"),
        ("points=" + ";".join(["0,0"] * 65), "The 'points' argument must hold 1 to 64 points. Got 65 of them."),
    ],
)
def test_a_wrong_key_is_named(query, said):
    with pytest.raises(AssemblyError, match=said):
        State.from_query(query)


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("source", ["digits", POINTS])
def test_every_builder_builds_what_the_study_builds(builder, source):
    state = State(builder=builder, width=8, depth=2, data=source, points=X_OF_POINTS, row=1, seed=3)
    net = state.build()
    shape = (2,) if source == POINTS else (8, 8)
    options = {**BUILDERS[builder].defaults, **state.options}
    again = BUILDERS[builder].build(shape, 8, 3, options)
    np.testing.assert_array_equal(net.parameters, again.parameters)
    x = X_OF_POINTS[1] if source == POINTS else data.load("digits").inputs[1]
    np.testing.assert_array_equal(state.x, x)
    assert net(state.x) == again(x)
    assert net.n_outputs == 1


@pytest.mark.parametrize(
    ("fields", "made"),
    [
        ({"depth": 3}, {"widths": [16, 16, 16]}),
        ({"depth": 2, "middle": 1}, {"widths": [16, 1, 16]}),
        ({"depth": 3, "middle": 4}, {"widths": [16, 16, 4, 16]}),
        ({"depth": 1, "middle": 2}, {"widths": [16, 2]}),
        ({"gamma": 1.0, "depth": 1}, {"widths": [16], "gamma": 1.0}),
        ({"output_activation": "sigmoid", "activation": "gelu", "readout": "gaussian", "depth": 1},
         {"widths": [16], "output_activation": "sigmoid", "activation": "gelu", "readout": "gaussian"}),
    ],
)  # fmt: skip
def test_what_is_chosen_is_what_is_built(fields, made):
    state = State(width=16, data="wine", seed=5, **fields)
    usual = {"activation": "tanh", "readout": "sign"}
    net = am.mlp(n_inputs=13, seed=5, **{**usual, **made})
    assert net(state.x) == state.build()(state.x)
    np.testing.assert_array_equal(net.parameters, state.build().parameters)


def test_another_builder_keeps_what_it_has_a_use_for():
    state = State(builder="bottleneck", width=32, activation="gelu", gamma=0.7, seed=4)
    assert state.middle == 1
    mlp = state.replace(builder="mlp")
    assert (mlp.middle, mlp.gamma, mlp.activation, mlp.width, mlp.seed) == (None, 0.7, "gelu", 32, 4)
    chain = mlp.replace(builder="orthogonal_chain")
    assert (chain.activation, chain.gamma, chain.readout, chain.middle) == (None, None, None, None)
    assert chain.replace(builder="mlp").activation == "tanh"
    assert State(middle=3).replace(builder="densenet").middle == 3


def test_other_data_begin_at_row_0():
    assert State(row=1700).replace(data="wine").row == 0
    assert State(row=7).replace(data="digits").row == 7
    assert State(row=7).replace(data="wine", row=9).row == 9
    with pytest.raises(ArgumentError, match="'row'"):
        State(data=POINTS, row=1).replace(points=[(0.0, 1.0)])


def test_a_change_is_checked():
    with pytest.raises(UnknownNameError, match="Did you mean 'width'"):
        State().replace(widht=3)
    with pytest.raises(ArgumentError, match="'width'"):
        State().replace(width=1)
    with pytest.raises(ArgumentError, match="'gamma'"):
        State().replace(builder="resnet", gamma=0.5)


@pytest.mark.parametrize("fields", [{"builder": "uneven_dag"}, {"builder": "cnn"}, {"depth": 8}])
def test_a_network_too_large_is_refused_before_it_is_built(fields):
    with pytest.raises(ResourceError, match="'width' argument must give at most 100,000,000 edges"):
        State(width=4096, **fields).build()


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_size_is_known_before(builder):
    state = State(builder=builder, width=16, depth=2)
    n_edges = sum(connection.n_edges for connection in state.build().graph.connections)
    assert 0.6 * n_edges < state.size.n_edges < 1.6 * n_edges  # of thinned networks an expectation


def test_what_is_looked_at_builds_nothing():
    state = State(width=8, seed=11)
    net = network(state)
    looked = state.replace(radius=3.0, colour="adjoint", direction="worst", panel="linear", row=5)
    assert network(looked) is net
    assert network(state.replace(seed=12)) is not net
    plane = network(state.replace(data=POINTS, points=X_OF_POINTS, row=1))
    assert plane.n_inputs == 2
    assert network(state.replace(data=POINTS)) is plane
