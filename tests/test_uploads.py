"""Networks from files of a visitor: read like those of the command line; hostile ones are refused with a sentence."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import pickle
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

import assembly as am
from assembly.errors import ArgumentError, AssemblyError, DataError, NonFiniteError, ResourceError
from assembly.explorer import uploads
from assembly.explorer.answers import costs, numbers
from assembly.explorer.script import script
from assembly.explorer.state import DRAWN, POINTS, State, network
from assembly.forecasting import Forecast

NEURONS = {
    "format": "assembly-neurons",
    "version": 1,
    "inputs": ["x", "y"],
    "neurons": {
        "h": {"activation": "tanh", "parents": {"x": 0.5, "y": -1.5}},
        "f": {"activation": "identity", "parents": {"h": 2.0, "x": 0.25}},
    },
    "outputs": ["f"],
}


def as_bytes(document):
    return json.dumps(document).encode()


def saved(folder, net, **options):
    am.save(net, folder / "net.json", **options)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def with_arrays(document, arrays, *, pickled=False):
    """Return a JSON file and an NPZ file that belongs to it."""
    buffer = io.BytesIO()
    if pickled:
        with zipfile.ZipFile(buffer, "w") as archive:
            header = np.lib.format.header_data_from_array_1_0(np.empty(1, object))
            inner = io.BytesIO()
            np.lib.format.write_array_header_1_0(inner, header)
            archive.writestr("parameters.npy", inner.getvalue() + pickle.dumps(Poison()))
    else:
        np.savez_compressed(buffer, **arrays)
    npz = buffer.getvalue()
    return {
        "net.json": as_bytes({**document, "weights": "net.npz", "sha256": hashlib.sha256(npz).hexdigest()}),
        "net.npz": npz,
    }


class Poison:
    def __reduce__(self):
        return (sys.exit, (13,))


def dense(n_inputs=2, size=3, **more):
    groups = [{"size": n_inputs, "activation": "input"}, {"size": size, "activation": "tanh"}]
    connection = {"kind": "dense", "source": 0, "target": 1, "factor": 1.0, "values": None}
    graph = {"groups": groups, "connections": [connection], "outputs": [[1, 0]]}
    return {"format": "assembly", "version": 1, "dtype": "float64", "graph": graph, "weights": None, **more}


def test_a_saved_network_is_the_one_that_was_saved(tmp_path):
    net = am.mlp(n_inputs=13, widths=[7, 5], activation="tanh", seed=3)
    found = uploads.read(saved(tmp_path, net))
    np.testing.assert_array_equal(found.network(9).parameters, net.parameters)
    state = State(seed=9).replace(file=found.key)
    assert (state.data, state.row) == ("wine", 0)
    assert network(state)(state.x) == net(state.x)
    assert network(state.replace(radius=2.0, row=3)) is network(state)


def test_weights_that_are_not_given_follow_the_seed(tmp_path):
    found = uploads.read(saved(tmp_path, am.mlp(n_inputs=2, widths=[4], seed=3), weights=False))
    state = State(file=found.key, data=POINTS, seed=1)
    np.testing.assert_array_equal(network(state).parameters, found.network(1).parameters)
    assert (network(state).parameters != found.network(2).parameters).all()


def test_a_network_of_neurons_by_hand():
    found = uploads.read({"mine.json": as_bytes(NEURONS)})
    state = State().replace(file=found.key)
    assert (state.data, state.inputs.shape) == (POINTS, (2, 2))
    x, y = state.x
    hidden = np.tanh((0.5 * x - 1.5 * y) / np.sqrt(2.0))
    np.testing.assert_allclose(network(state)(state.x), (2.0 * hidden + 0.25 * x) / np.sqrt(2.0), rtol=1e-14)


def test_a_network_that_no_data_fit_has_inputs_drawn_for_it():
    found = uploads.read({"three.json": as_bytes(dense(n_inputs=3))})
    state = State(data="wine", row=100).replace(file=found.key)
    assert (state.data, state.row, state.inputs.shape) == (DRAWN, 0, (16, 3))
    np.testing.assert_allclose(np.linalg.norm(state.inputs, axis=1), np.sqrt(3.0), rtol=1e-12)
    assert state.replace(file=None).data == "digits"
    with pytest.raises(ArgumentError, match=r"takes, 3\. Got 'wine' with 13"):
        state.replace(data="wine")
    with pytest.raises(ArgumentError, match="must have targets"):
        _ = state.targets


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_script_reads_the_file(tmp_path, n_outputs):
    net = am.mlp(n_inputs=3, widths=[6], n_outputs=n_outputs, seed=0)
    found = uploads.read(saved(tmp_path, net))
    state = State(row=5).replace(file=found.key).replace(row=5)
    done = subprocess.run(
        [sys.executable, "-c", script(state)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    expected = numbers(state)
    assert f"f = {expected.value:.4g} ({expected.value!r})" in done.stdout
    assert f"({expected.hessian_norm!r})" in done.stdout


def test_an_address_names_the_file_while_a_page_keeps_it():
    found = uploads.read({"net (1).json": as_bytes(NEURONS)})
    state = State().replace(file=found.key)
    query = state.to_query()
    assert State.from_query(query) == state
    again = uploads.read({"net (1).json": as_bytes(NEURONS)})
    assert again is found
    del found, again
    gc.collect()
    with pytest.raises(ArgumentError, match=r"'net \(1\)\.json', which no address can hold; .*upload it again"):
        State.from_query(query)


def test_other_contents_of_the_same_name_are_another_network():
    one = uploads.read({"net.json": as_bytes(dense(size=3))})
    other = uploads.read({"net.json": as_bytes(dense(size=4))})
    assert one.key != other.key
    assert [uploads.held(found.key).first.n_parameters for found in (one, other)] == [6, 8]
    with_more = uploads.read({"net.json": as_bytes(NEURONS)})
    assert len({one.key, other.key, with_more.key}) == 3


def bomb():
    return with_arrays(dense(), {"parameters": np.zeros(10**8)})


def many_into_one():
    """Every connection small in the file, and all together beyond any machine."""
    document = dense(n_inputs=10**8, size=10**8)
    document["graph"]["connections"] *= 900
    return {"net.json": as_bytes(document)}


def test_the_bracket_of_a_file_is_forecast_from_its_own_layers(tmp_path, monkeypatch):
    found, asked = uploads.read(saved(tmp_path, am.mlp(n_inputs=13, widths=[6, 5, 4, 3, 2], seed=0))), []
    state = State(data="wine", width=16, depth=2).replace(file=found.key)

    class Spy(Forecast):
        def gram(self, layer):
            asked.append(layer)
            return super().gram(layer)

    monkeypatch.setattr(costs, "library_forecast", lambda build: Spy(build().graph, build()._body.program))
    costs.forecast_bracket(state)
    assert asked == [2, 3, 4, 5]
    asked.clear()
    costs.forecast_bracket(state.replace(file=None))
    assert asked == [2]


HOSTILE = {
    "huge": (lambda: {"net.json": b" " * (uploads.LARGEST_FILES + 1)}, ResourceError, r"8 MiB together. Got 8.0 MiB"),
    "nested": (lambda: {"net.json": b"[" * 10**6}, DataError, "must be complete and valid JSON"),
    "no json": (
        lambda: {"net.json": b"\xff\xd8 GIF89a"},
        DataError,
        "UTF-8 text: JSON. Got the byte 0xff, which is not",
    ),
    "a list": (lambda: {"net.json": b"[1]"}, DataError, "must hold a JSON object. Got list"),
    "NaN": (lambda: {"net.json": as_bytes(dense(weights=float("nan")))}, DataError, "NaN is no number"),
    "wrong key": (lambda: {"net.json": as_bytes({**dense(), "wieghts": 1})}, DataError, "Got 'wieghts'. Did you mean"),
    "no graph": (lambda: {"net.json": as_bytes({**dense(), "graph": [1]})}, DataError, "'graph' entry must be a JSON"),
    "no groups": (lambda: {"net.json": as_bytes({**dense(), "graph": {"groups": 3}})}, DataError, "have the key"),
    "odd sizes": (lambda: {"net.json": as_bytes(dense(size="3"))}, ArgumentError, r"groups\[1\].size"),
    "many neurons": (lambda: {"net.json": as_bytes(dense(size=10**17))}, ResourceError, "100,000 neurons. Got 100,0"),
    "many into one": (many_into_one, ResourceError, "may have 100,000 neurons"),
    "many edges": (lambda: {"net.json": as_bytes(dense(40_000, 40_000))}, ResourceError, "10,000,000 edges"),
    "pickle": (lambda: with_arrays(dense(), {}, pickled=True), DataError, "must be a complete NPZ file of numbers"),
    "NaN weights": (lambda: with_arrays(dense(), {"parameters": np.full(6, np.nan)}), NonFiniteError, "Got nan at"),
    "zip bomb": (bomb, ResourceError, "'net.npz' may have 64 MiB. Got 763 MiB"),
    "no zip": (lambda: {"net.json": as_bytes(NEURONS), "net.npz": b"PK\3\4"}, DataError, "complete NPZ file"),
    "no weights": (lambda: {"net.json": bomb()["net.json"]}, DataError, "must stand beside 'net.json'. Got none"),
    "traversal": (lambda: {"../net.json": as_bytes(NEURONS)}, ArgumentError, r"name of a file.*'\.\./net\.json'"),
    "hidden": (lambda: {".json": as_bytes(NEURONS)}, ArgumentError, "name of a file"),
    "weights elsewhere": (
        lambda: {"net.json": as_bytes({**dense(), "weights": "/etc/passwd", "sha256": "0"})},
        DataError,
        "must be the name of a file in the same folder",
    ),
    "two": (lambda: dict.fromkeys(("a.json", "b.json"), b"{}"), ArgumentError, "Got a.json, b.json"),
    "none": (dict, ArgumentError, "Got none"),
}


@pytest.mark.parametrize("content", [b"\xff\xd8 GIF89a", b"\xff\xfe{\0", b'{"a": "\xe9"}', b"PK\3\4\x9f"])
def test_what_is_no_text_is_refused_without_words_of_python(content):
    with pytest.raises(DataError) as refused:
        uploads.read({"net.json": content})
    assert str(refused.value).startswith("The file 'net.json' must be UTF-8 text: JSON. Got the byte 0x")
    assert "codec" not in str(refused.value)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_a_sentence(name):
    make, error, said = HOSTILE[name]
    contents = make()
    started = time.monotonic()
    with pytest.raises(error, match=said):
        uploads.read(contents)
    assert time.monotonic() - started < 10.0


def test_random_damage_is_refused_or_read(tmp_path):
    whole = saved(tmp_path, am.mlp(n_inputs=3, widths=[4], seed=0))
    random = np.random.default_rng(0)
    for name in ("net.json", "net.npz"):
        for _ in range(150):
            content = bytearray(whole[name])
            for place in random.integers(0, len(content), 3):
                content[place] = random.integers(0, 256)
            try:
                uploads.read({**whole, name: bytes(content)})
            except AssemblyError:
                continue
