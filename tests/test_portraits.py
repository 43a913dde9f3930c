"""Single networks in a report: the numbers drawn are those of the networks measured, and nothing breaks the report."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import assembly as am
from assembly import data
from assembly.calculus.shares import effective_number
from assembly.errors import ArgumentError
from assembly.study import measure, portraits, report
from assembly.study.reading import parse
from assembly.study.result import StudyResult

WIDTHS = (8, 16, 32, 80)
KEYS = {
    "network": 'hidden = ["m", "m"]',
    "bottleneck": 'builder = "bottleneck"\nhidden = ["m", 1, "m"]',
}
X = data.measured_samples(data.load("wine"), 2, 0).inputs[0]


def a_result(keys=None, widths=WIDTHS, without=()):
    text = f'name = "drawn"\nwidths = {list(widths)}\nseeds = 3\n[data]\nsource = "wine"\nn_measured = 2\n'
    text += "".join(f'[[architectures]]\nlabel = "{label}"\n{one}\n' for label, one in (keys or KEYS).items())
    specification = parse(text)
    rows = [
        {"architecture": entry.label, "width": width, "seed": seed, "hessian_norm": (1 + seed) * width**-0.5}
        for entry in specification.architectures
        for width in specification.widths_of(entry)
        for seed in range(3)
        if (entry.label, width, seed) not in without
    ]
    return StudyResult(specification, rows, [], 0, len(rows), 1.0)


def drawn(result):
    return {one.name: one for one in portraits.draw_portraits(result)}


def own_shares(net, layer):
    """Shares in the squared gradient by the weights into each neuron of a network of plain layers, without ours."""
    gradient, sizes, start = net.gradient(X), [one.size for one in net.layers], 0
    for below, above in pairwise(sizes[:layer]):
        start += below * above
    own = gradient[start : start + sizes[layer - 1] * sizes[layer]].reshape(sizes[layer], sizes[layer - 1])
    return (own**2).sum(axis=1) / (own**2).sum()


def number(cell):
    return float(cell)


def test_shares_are_those_of_the_networks_measured():
    found = drawn(a_result())["shares-network"]
    nets = {m: am.mlp(13, [m, m], activation="tanh", readout="sign", seed=0) for m in WIDTHS}
    largest = {layer: own_shares(nets[80], layer).max() for layer in (1, 2)}
    layer = max(largest, key=largest.get)
    assert f"neurons of layer {layer} in" in found.caption
    assert found.heading == ("width", "neurons", "largest share", "equal shares", "effective number")
    for width, row in zip(WIDTHS, found.rows, strict=True):
        own = own_shares(nets[width], layer)
        expected = [width, width, own.max(), 1 / width, effective_number(own)]
        np.testing.assert_allclose([number(cell) for cell in row], expected, rtol=6e-3)
        assert f"m = {width}: the largest of {width} is {own.max():.3g}" in found.description


def test_cosines_are_those_of_gradients_of_the_networks_measured():
    found = drawn(a_result())["cosines-bottleneck"]
    assert "neurons of layer 3." in found.caption
    for width, row in zip(WIDTHS, found.rows, strict=True):
        net = am.bottleneck(13, [width, 1, width], activation="tanh", readout="sign", seed=0)
        neck = net.layers[2].neurons[0]  # a(z_i) with z_i = v_i neck: in v_i of its own, below through the neck
        own, below = neck.value(X) ** 2, np.sum(neck.gradient(X) ** 2)
        v = net.parameters[13 * width + width :][:width]
        sizes = np.sqrt(own + v**2 * below)
        cosines = (below * np.outer(v, v) / np.outer(sizes, sizes))[~np.eye(width, dtype=bool)]
        expected = [width, width, np.sqrt(np.mean(cosines**2)), np.abs(cosines).max()]
        np.testing.assert_allclose([number(cell) for cell in row], expected, rtol=6e-3)


def test_cosines_are_those_of_the_last_layer():
    found = drawn(a_result({"deep": 'hidden = ["m", "m", "m"]'}))["cosines-deep"]
    net = am.mlp(13, [80] * 3, activation="tanh", readout="sign", seed=0)
    gram = net.layers[3].gram(X)
    cosines = (gram / np.sqrt(np.outer(np.diagonal(gram), np.diagonal(gram))))[~np.eye(80, dtype=bool)]
    np.testing.assert_allclose(number(found.rows[-1][2]), np.sqrt(np.mean(cosines**2)), rtol=6e-3)


def test_a_layer_of_one_neuron_is_named_and_not_drawn():
    found = drawn(a_result())
    assert "Layer 2 is a single neuron, which has it all." in found["shares-bottleneck"].caption
    assert "single neuron, " not in found["shares-network"].caption
    assert found["shares-bottleneck"].rows[-1][1] == "80"


def test_a_neuron_that_keeps_its_share_is_told_from_those_that_lose_it():
    found = drawn(a_result({"network": KEYS["network"], "loud": 'builder = "dominated"'}))
    largest = {name: [number(row[2]) for row in found[f"shares-{name}"].rows] for name in ("network", "loud")}
    assert largest["network"][-1] < 0.5 * largest["network"][0]
    assert largest["loud"][-1] > 2.0 * largest["network"][-1]


def test_nothing_to_compare_is_not_drawn():
    """Gradients of a first layer are orthogonal by construction; a single neuron has nothing to be compared with."""
    found = drawn(a_result({"shallow": 'hidden = ["m"]'}))
    assert list(found) == ["shares-shallow"]


def test_only_networks_that_were_measured_are_drawn():
    found = drawn(a_result(without=[("network", 16, 0), ("network", 32, 1)]))
    assert [row[0] for row in found["shares-network"].rows] == ["8", "32", "80"]
    assert [row[0] for row in found["shares-bottleneck"].rows] == ["8", "16", "32", "80"]


def test_at_most_six_widths_spread_evenly_and_none_too_large(monkeypatch):
    widths = (8, 10, 12, 16, 20, 24, 32, 40, 80)
    found = drawn(a_result(widths=widths))["shares-network"]
    assert [row[0] for row in found.rows] == ["8", "12", "16", "24", "32", "80"]
    monkeypatch.setattr(portraits, "LARGEST_NETWORK", 13 * 32 + 32 * 32 + 32)
    found = drawn(a_result())["shares-network"]
    assert [row[0] for row in found.rows] == ["8", "16", "32"]


def test_the_main_study_is_drawn_up_to_its_widest_network():
    assert portraits.LARGEST_NETWORK >= 64 * 1024 + 2 * 1024**2 + 1024


def test_cosines_are_counted_up_to_the_largest_layer(monkeypatch):
    monkeypatch.setattr(portraits, "LARGEST_LAYER", 32)
    found = drawn(a_result())
    assert [row[0] for row in found["cosines-network"].rows] == ["8", "16", "32"]
    assert [row[0] for row in found["shares-network"].rows] == ["8", "16", "32", "80"]


@pytest.mark.parametrize("error", [ArgumentError("It refuses."), MemoryError()])
def test_a_network_that_cannot_be_built_is_left_out(monkeypatch, error):
    build = measure.build

    def refuses(point):
        if point.architecture == "network" or point.width == 16:
            raise error
        return build(point)

    monkeypatch.setattr(measure, "build", refuses)
    found = drawn(a_result())
    assert list(found) == ["shares-bottleneck", "cosines-bottleneck"]
    assert [row[0] for row in found["shares-bottleneck"].rows] == ["8", "32", "80"]


def test_a_network_that_cannot_be_evaluated_is_left_out(monkeypatch):
    import assembly.diagnostics.dominance as module

    dominance = module.dominance

    def refuses(net, x):
        if net.layers[1].size == 16:
            raise ArgumentError("It refuses.")
        return dominance(net, x)

    monkeypatch.setattr(module, "dominance", refuses)
    found = drawn(a_result())
    assert [row[0] for row in found["shares-network"].rows] == ["8", "32", "80"]
    assert [row[0] for row in found["cosines-network"].rows] == ["8", "16", "32", "80"]


def test_a_width_that_a_builder_refuses_is_left_out():
    """80 neurons are not divisible by the 64 copies that a tied committee would have."""
    found = drawn(a_result({"copies": 'builder = "tied"'}))
    assert [row[0] for row in found["shares-copies"].rows] == ["8", "16", "32"]


def test_data_that_are_gone_leave_a_report_without_portraits(tmp_path):
    result = a_result()
    gone = result.specification.data.model_copy(update={"source": str(tmp_path / "gone.csv")})
    specification = result.specification.model_copy(update={"data": gone})
    paths = report.write_report(tmp_path, replace(result, specification=specification), "x")
    assert "are drawn for a study run on its own" in paths.markdown.read_text()


def test_the_report_shows_every_portrait_with_its_numbers(tmp_path):
    result = a_result()
    paths = report.write_report(tmp_path, result, "x")
    html, markdown = paths.html.read_text(), paths.markdown.read_text()
    section = re.split(r'<h2 id="', html.split('<h2 id="who">Who contributes</h2>')[1])[0]
    found = drawn(result)
    assert section.count("<svg") == len(found) == 4
    for name, one in found.items():
        assert (tmp_path / "plots" / f"{name}.svg").read_text() == one.svg
        assert f"<desc>{one.description}</desc>" in section
        assert f"![{one.description}](plots/{name}.svg)" in markdown.replace("\\|", "|")
        for row in one.rows:
            assert f"| {' | '.join(row)} |" in markdown
            assert "".join(f'<td class="num">{cell}</td>' for cell in row) in section
    assert "are drawn for a study run on its own" not in html + markdown


def test_many_architectures_and_suites_leave_them_out(tmp_path):
    paths = report.write_report(tmp_path, a_result(), "x")
    assert (tmp_path / "plots" / "shares-network.svg").exists()
    many = a_result({f"network-{i}": KEYS["network"] for i in range(portraits.LARGEST_STUDY + 1)})
    assert portraits.draw_portraits(many) == []
    paths = report.write_report(tmp_path, a_result(), "x", portraits=False)
    assert "are drawn for a study run on its own, of at most 6 architectures" in paths.html.read_text()
    assert sorted(path.name for path in (tmp_path / "plots").glob("*.svg")) == sorted(p.name for p in paths.plots)
    assert not (tmp_path / "plots" / "shares-network.svg").exists()
