"""The culprit has a name: bottlenecks, loud neurons, copies, outputs that bend; and healthy networks have none."""

import itertools
import json
import math

import networkx as nx
import numpy as np
import pytest

import assembly as am
from assembly.diagnostics import diagnose as module
from assembly.diagnostics.culprits import percent
from assembly.seeds import generator

X = generator(0, "inputs").standard_normal((4, 16))


def mlp(widths, seed=0, **options):
    return am.mlp(16, widths, seed=seed, **options)


def planted(net, widths, layer, neuron, factor):
    """The network with the weights that leave one neuron multiplied."""
    sizes = [16, *widths, 1]
    w, start = net.parameters.copy(), sum(a * b for a, b in itertools.pairwise(sizes[: layer + 1]))
    w[start : start + sizes[layer] * sizes[layer + 1]].reshape(sizes[layer + 1], sizes[layer])[:, neuron] *= factor
    return net.with_parameters(w)


@pytest.mark.parametrize("n_narrow", [1, 2, 3, 8])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bottleneck_is_named(n_narrow, place):
    widths = [64, 64, 64]
    widths[place] = n_narrow
    found = am.diagnose(mlp(widths, seed=n_narrow), X)
    worst = found.culprits[0]
    assert (worst.kind, worst.layer) == ("narrow", place + 1)
    count = "1 neuron where" if n_narrow == 1 else f"{n_narrow} neurons where"
    assert found.findings[0].startswith(f"layer {place + 1} has {count} another has 64")
    shares = found.layers[place].shares
    if n_narrow == 1:
        assert found.findings[0].endswith("everything goes through neuron 0")
    else:
        who = worst.parts[0]
        assert who == shares["curvature"].who
        assert f"neuron {who} carries {percent(shares['curvature'].largest)} of the layer's curvature" in worst.text
        assert f"and {percent(shares['gradient'].values[who])} of the layer's gradient" in worst.text
        assert worst.counts_as == shares["gradient"].effective_number


def test_a_dead_bottleneck_is_a_bottleneck():
    drawn = (am.bottleneck(16, [64, 1, 64], "relu", seed=seed) for seed in range(200))
    net = next(net for net in drawn if not net.evaluate(X).post[:, net.layers[2].nodes].any())
    with pytest.warns(am.errors.KinkWarning):  # the layer above stands at 0 exactly
        found = am.diagnose(net, X)
    assert found.findings == ("layer 2 has 1 neuron where another has 64: everything goes through neuron 0",)
    assert math.isnan(found.curvature.hessian_over_gradient_squared)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["hessian_over_gradient_squared"] is None


@pytest.mark.parametrize("draw", range(6))
def test_one_loud_neuron_of_a_wide_layer_is_named(draw):
    """Weights that leave it times sqrt(m), at a random place; signs in the readout keep each loud."""
    rng, widths = generator(draw, "plant"), [256, 256]
    layer, neuron = int(rng.integers(1, 3)), int(rng.integers(256))
    net = planted(mlp(widths, seed=draw, readout="sign"), widths, layer, neuron, 16.0)
    found = am.diagnose(net, X)
    assert [(one.kind, one.layer, one.parts) for one in found.culprits] == [("loud", layer, (neuron,))]
    assert found.findings[0].startswith(f"layer {layer}, neuron {neuron} carries ")
    assert "of 256 neurons the layer counts as " in found.findings[0]
    assert 1.0 <= found.culprits[0].counts_as < 8.0


def test_a_neuron_may_be_loud_by_its_value():
    widths = [128]
    net = mlp(widths, activation="gelu", seed=1)
    w = net.parameters.copy()
    neuron = int(np.flatnonzero((net.evaluate(X).pre[:, net.layers[1].nodes] > 0.2).all(axis=0))[0])
    w[: 16 * 128].reshape(128, 16)[neuron] *= 200.0
    worst = am.diagnose(net.with_parameters(w), X).culprits[0]
    assert (worst.kind, worst.layer, worst.parts) == ("loud", 1, (neuron,))
    assert "squared terms" in worst.text


def test_healthy_networks_are_told_so():
    """60 of them, of which fewer than 1 % are blamed: two or more by chance once in a thousand runs."""
    blamed = 0
    for seed in range(10):
        for net in (
            mlp([64, 64], seed),
            mlp([128], seed, activation="relu"),
            mlp([16, 16, 16], seed, activation="gelu"),
            am.resnet(16, 32, 2, seed=seed),
            am.cnn([16], [16, 16], 3, seed=seed),
            am.committee(lambda seed: mlp([8], seed), 64, seed=seed),
        ):
            found = module._diagnose(net, X)
            blamed += bool(found.culprits)
            if not found.culprits:
                assert found.findings[0].startswith(
                    ("no neuron dominates the output: ", "no channel dominates the output: ")
                )
    assert blamed <= 1


def test_the_all_clear_names_the_largest_share():
    found = am.diagnose(mlp([100, 50]), X)
    one = max(found.layers, key=lambda layer: layer.shares["gradient"].largest)
    share = one.shares["gradient"]
    assert len(found.findings) == 1
    assert found.findings[0].startswith(
        f"no neuron dominates the output: the largest gradient share is {percent(share.largest)} (layer {one.layer}, "
        f"neuron {share.who}), where equal shares would be {percent(1 / one.n_parts)}"
    )


def test_one_neuron_with_most_of_the_curvature_is_told_even_where_none_dominates():
    net = mlp([300, 300, 300], seed=7)
    w = np.array(net.parameters)
    first, row = 16 * 300, 209
    w[first : first + 300 * 300].reshape(300, 300)[row] *= 10.0
    found = am.diagnose(net.with_parameters(w), X)
    bent = max(found.layers, key=lambda layer: layer.shares["curvature"].largest).shares["curvature"]
    told = f"has {percent(bent.largest)}" in found.findings[0]
    assert told == (bent.largest > 0.25)


def test_the_curvature_of_one_hidden_layer_blames_nobody():
    """There the top eigenvector is that of one neuron, by the structure of H."""
    found = am.diagnose(mlp([512]), X[0])
    assert found.layers[0].shares["curvature"].largest > 0.99
    assert not found.culprits


@pytest.mark.parametrize("kind", ["tanh", "sigmoid", "sin", "quadratic", "swish"])
def test_a_non_linear_output_is_named(kind):
    net = mlp([64], output_activation=kind)
    found = am.diagnose(net, X[0])
    assert [one.kind for one in found.culprits] == ["output"]
    assert found.findings[0].startswith(f"the output is {kind}(z), no sum of its parts")
    z, f = net.evaluate(X[0]), found.curvature
    node = net.layers[-1].nodes[0]
    gradient = net.gradient(X[0]) / z.first[0, node]
    own = abs(z.second[0, node]) * float(gradient @ gradient) / f.hessian_norm
    assert float(found.findings[0].split(" is ")[-1].split(" of ")[0]) == pytest.approx(own, rel=0.06)


def test_linear_and_softmax_outputs():
    assert not am.diagnose(mlp([64], output_activation="relu"), X[0]).culprits
    found = am.diagnose(mlp([64], n_outputs=3, output_activation="softmax"), X, 1)
    assert found.findings[0].startswith("the output is a softmax")
    assert found.output == 1


def test_copies_and_dominated_committees_are_named():
    def part(seed):
        return mlp([4], seed)

    tied = am.diagnose(am.tied(part, 64, 16), X)
    assert [(one.kind, one.layer, one.counts_as) for one in tied.culprits] == [("copies", 2, 4.0), ("copies", 1, 16.0)]
    assert tied.findings[0] == (
        "layer 2, neurons 0, 1, 2 and 13 more have parallel gradients, as copies that share their parameters: its 64 "
        "neurons are 4 different ones"
    )
    dominated = am.diagnose(am.dominated(part, 64), X)
    assert ("loud", 2, (0,)) in [(one.kind, one.layer, one.parts) for one in dominated.culprits]
    few = am.diagnose(am.few_active(part, 64, 4), X)
    assert any(one.layer == 2 and set(one.parts) <= {0, 1, 2, 3} for one in few.culprits)


def test_channels_are_what_a_convolution_counts():
    found = am.diagnose(am.cnn([12], [16, 2, 16], 3, seed=0), X[:, :12])
    assert [(one.part, one.n_parts, one.size) for one in found.layers] == [
        ("channel", 16, 192), ("channel", 2, 24), ("channel", 16, 192)]  # fmt: skip
    assert found.findings[0].startswith("layer 2 has 2 channels where another has 16; channel ")
    for one in found.layers:
        assert one.shares["gradient"].values.sum() == pytest.approx(1.0)


def test_a_layer_that_others_lead_around_is_no_bottleneck():
    assert not any(one.kind == "narrow" for one in am.diagnose(am.densenet(16, [64, 2, 64]), X).culprits)
    frozen = am.committee(lambda seed: mlp([64], seed), 4)
    assert not any(one.kind == "narrow" for one in am.diagnose(frozen, X).culprits)  # linear parts, added up
    learnt = am.committee(lambda seed: mlp([64], seed), 4, trainable_coefficients=True)
    assert [one.layer for one in am.diagnose(learnt, X).culprits if one.kind == "narrow"] == [2]


def test_the_culprit_does_not_depend_on_names_or_order():
    net = am.bottleneck(4, [40, 3, 40], seed=2)
    G = net.to_networkx()
    names = list(G)
    shuffled = dict(zip(names, generator(1, "names").permutation([f"n{i}" for i in range(len(names))]), strict=True))
    renamed = nx.relabel_nodes(G, {a: str(b) for a, b in shuffled.items()})
    inputs = [shuffled[f"x{i}"] for i in range(4)]
    other = am.from_networkx(renamed)
    order = [str(name) for name, data in renamed.nodes(data=True) if data["activation"] == "input"]
    x = dict(zip(map(str, inputs), X[0, :4], strict=True))
    first, second = am.diagnose(net, X[0, :4]), am.diagnose(other, [x[name] for name in order])
    assert (first.culprits[0].kind, first.culprits[0].layer) == (second.culprits[0].kind, second.culprits[0].layer)
    assert first.culprits[0].counts_as == pytest.approx(second.culprits[0].counts_as, rel=1e-9)
    for one, two in zip(first.layers, second.layers, strict=True):
        np.testing.assert_allclose(
            np.sort(one.shares["gradient"].values), np.sort(two.shares["gradient"].values), rtol=1e-9, atol=1e-15
        )


def test_the_numbers_are_those_of_the_network():
    net = mlp([32, 24], seed=4)
    found = am.diagnose(net, X)
    norms = [float(net.hessian(x).norm(1e-9)) for x in X]
    slopes = [float(np.linalg.norm(net.gradient(x))) for x in X]
    f = found.curvature
    assert f.hessian_norm == pytest.approx(np.mean(norms), rel=1e-5)
    assert f.gradient_norm == pytest.approx(np.mean(slopes), rel=1e-12)
    assert f.hessian_over_gradient_squared == pytest.approx(np.mean(np.array(norms) / np.square(slopes)), rel=1e-5)
    assert f.hessian_times_radius_over_gradient == pytest.approx(np.mean(np.array(norms) / slopes), rel=1e-5)
    assert f.largest_residual <= 1e-4
    assert (found.n_inputs, found.sizes, [one.layer for one in found.layers]) == (4, (16, 32, 24, 1), [1, 2])
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert written["hessian_norm"] == f.hessian_norm
    assert written["layers"][1]["shares"]["curvature"]["who"] == found.layers[1].shares["curvature"].who
    assert written["layers"][1]["diversity"]["rms_cosine"] == found.layers[1].diversity.rms_cosine
    assert written["parents"]["value"][0]["parent"] == list(found.parents["value"][0].parent)
    assert sum(written["layers"][1]["diversity"]["counts"]) == 24 * 23


def test_every_level_has_all_four_shares():
    found = am.diagnose(mlp([12, 10, 8], seed=2), X)
    assert all(list(one.shares) == ["value", "gradient", "adjoint", "curvature"] for one in found.layers)
    assert [[one.layer for one in found.parents[kind]] for kind in found.layers[0].shares] == 4 * [[2, 3, 4]]
    for one, leaning in zip(found.parents["curvature"], found.parents["gradient"], strict=True):
        assert (one.layer, one.neuron) == (leaning.layer, leaning.neuron)
    lines = [line.split() for line in str(found).split("over its parents")[1].splitlines()[2:14]]
    assert [line[0] for line in lines] == [
        *("2", "gradient", "adjoint", "curvature", "3", "gradient", "adjoint", "curvature"),
        *("4", "gradient", "adjoint", "curvature"),
    ]
    assert [line[1] for line in lines[3::4]] == ["-", "-", "-"]
    last = found.parents["curvature"][1]
    assert f"{percent(last.largest_share)} ({last.neuron} from {last.parent[1]})" in " ".join(lines[7])


@pytest.mark.parametrize("widths", [[64, 3, 64], [1500, 40], [8], [20, 20, 20, 20, 20]])
def test_the_text_fits_a_terminal(widths):
    found = am.diagnose(mlp(widths), X)
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 100
    assert f"* {found.findings[0]}."[:60] in str(found)
    for one in found.layers:
        share = one.shares["adjoint"]
        assert any(f"{percent(share.largest)} ({share.who})" in line for line in lines)
    assert f"||H|| {found.curvature.hessian_norm:.4g}" in str(found)
    if widths[0] == 1500:
        assert found.layers[0].diversity.is_exact
        assert not found.layers[1].diversity.is_exact
        assert "+-" in str(found)


def test_what_is_too_large_is_left_out_and_said(monkeypatch):
    monkeypatch.setattr(module, "MANY_EDGES", 1000)
    found = am.diagnose(mlp([32, 32]), X)
    assert found.notes == (
        "shares of parents are left out: 1,568 edges at 4 inputs",
        "diversity and the curvature over parents are left out: 1,568 edges",
    )
    assert found.layers[0].diversity is None
    assert "Note: diversity and the curvature over parents are left out: 1,568 edges." in str(found)
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_what_did_not_converge_is_said():
    found = am.diagnose(mlp([40, 40]), X[:2], tol=1e-30)
    n = found.curvature.n_unconverged
    assert n > 0
    assert found.notes == (f"||H|| and curvature shares did not converge at {n} of 2 inputs",)


def test_a_family_goes_to_the_diagnosis_of_families(monkeypatch):
    import assembly.diagnostics.family as family

    asked = []
    monkeypatch.setattr(family, "diagnose_family", lambda *a, **k: asked.append((a, k)) or "answer")

    def grow(width, seed):
        return mlp([width], seed)

    assert am.diagnose(grow, [8, 16], X, seeds=3) == "answer"
    assert am.diagnose(family=grow, widths=[8, 16], X=X) == "answer"
    assert asked == [((grow, [8, 16], X), {"seeds": 3}), ((), {"family": grow, "widths": [8, 16], "X": X})]


def test_keywords_and_single_precision():
    net = am.bottleneck(16, [64, 2, 64], dtype="float32", seed=0)
    found = am.diagnose(net=net, X=X, output=0)
    assert found.culprits[0].kind == "narrow"
    assert found.layers[1].shares["gradient"].values.dtype == np.float64


def test_bad_arguments_are_refused():
    net = mlp([8])
    with pytest.raises(am.errors.ShapeError, match="'X' argument"):
        am.diagnose(net, [1.0])
    with pytest.raises(am.errors.ArgumentError, match="'output' argument"):
        am.diagnose(net, X, 3)
    with pytest.raises(am.errors.ArgumentError, match=r"'tol' argument .* Got 2"):
        am.diagnose(net, X, tol=2)
    with pytest.raises(am.errors.ArgumentError, match=r"am\.diagnose\(net, X, output=0, tol=1e-4\)\. Got .*'X'"):
        am.diagnose(net)
    with pytest.raises(am.errors.ArgumentError, match=r"am\.diagnose\(net, X.* Got .*'radius'"):
        am.diagnose(net, X, radius=1.0)
    with pytest.raises(am.errors.ArgumentError, match=r"am\.diagnose\(family, widths, X.* Got .*'X'"):
        am.diagnose(lambda width, seed: net, [8, 16, 32, 80])
    with pytest.raises(am.errors.ArgumentError, match=r"first argument must be an Assembly, or a family: .* Got 3\."):
        am.diagnose(3, X)
    with pytest.raises(am.errors.ArgumentError, match=r"must be an Assembly, or a family: .* Got None\."):
        am.diagnose()


def test_the_tolerance_is_that_of_the_norm():
    net = mlp([40, 40])
    loose, tight = (am.diagnose(net, X, tol=tol).curvature for tol in (1e-1, 1e-10))
    assert tight.largest_residual <= 1e-10 < loose.largest_residual


@pytest.mark.parametrize(
    ("share", "text"), [(0.613, "61 %"), (0.0953, "10 %"), (0.0072, "0.72 %"), (0.9996, "100 %"), (0.997, "99.7 %")]
)
def test_shares_for_the_reader(share, text):
    assert percent(share) == text


def test_an_output_that_is_not_there_is_named():
    with pytest.raises(am.errors.ArgumentError, match=r"'output' argument must be below n_outputs = 1\. Got 1"):
        am.diagnose(am.mlp(3, [5, 4], seed=0), np.ones((2, 3)), output=1)


def test_nothing_to_look_at_is_named():
    with pytest.raises(am.errors.ShapeError, match=r"'X' argument must hold one sample at least. Got shape \(0, 3\)"):
        am.diagnose(am.mlp(3, [5, 4], seed=0), np.zeros((0, 3)))
