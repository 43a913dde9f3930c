"""Families of networks: what is measured, verdicts on those known by algebra, and that only the networks count."""

import functools
import itertools
import json
import math
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

import assembly as am
from assembly.diagnostics import family as module
from assembly.diagnostics.family import QUANTITIES, diagnose_family
from assembly.diagnostics.transition import FIELDS
from assembly.errors import ArgumentError, ResultsError, ShapeError
from assembly.study import findings
from test_report import a_result

WIDTHS = [8, 16, 32, 64, 128]
X = np.array([[1.0, -1.0, 0.5, 0.2], [0.3, 0.8, -1.2, 0.4]])


def mlp(*hidden, **options):
    return lambda m, seed: am.mlp(4, [size or m for size in hidden], seed=seed, **options)


def part(seed):
    return am.mlp(4, [4], seed=seed)


@functools.cache
def of_two_layers():
    return diagnose_family(mlp(None, None), WIDTHS, X, seeds=6)


def test_every_quantity_against_dense_algebra():
    """Norms of the Hessian written out, at both inputs, and their geometric means."""
    found = diagnose_family(mlp(None, None), [4, 8, 16, 40], X, seeds=3)
    row = next(row for row in found.rows if (row["width"], row["seed"]) == (8, 2))
    net = am.mlp(4, [8, 8], seed=2)
    norms = [np.abs(np.linalg.eigvalsh(net.hessian(x) @ np.eye(net.n_parameters))).max() for x in X]
    slopes = [np.linalg.norm(net.gradient(x)) for x in X]
    values = row["values"]
    wanted = {
        "hessian_norm": math.sqrt(norms[0] * norms[1]),
        "gradient_norm": math.sqrt(slopes[0] * slopes[1]),
        "hessian_over_gradient": math.sqrt(norms[0] * norms[1] / (slopes[0] * slopes[1])),
        "hessian_over_gradient_squared": math.sqrt(norms[0] * norms[1]) / (slopes[0] * slopes[1]),
    }
    for name, value in wanted.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-6)
    adjoints = [np.abs(net.evaluate(x).adjoints(0).post[0][net.layers[1].nodes[0] : -1]).max() for x in X]
    np.testing.assert_allclose(values["q_infinity"], np.sqrt(np.prod(adjoints)), rtol=1e-12)
    cosines = net.layers[2].gram(X[0])
    size = np.sqrt(np.diag(cosines))
    off = (cosines / np.outer(size, size))[~np.eye(8, dtype=bool)]
    np.testing.assert_allclose(row["levels"]["layer 2"]["rms_cosine"], np.sqrt(np.mean(off**2)), rtol=1e-12)
    assert set(values) == set(QUANTITIES)
    assert set(row["levels"]["layer 1"]) == {*FIELDS, "bends", "rms_cosine"}


@pytest.mark.parametrize(
    ("family", "answer", "culprit"),
    [
        (mlp(None, None), "yes", ""),
        (lambda m, seed: am.committee(part, m, seed=seed), "yes", ""),
        (lambda m, seed: am.committee(lambda q: am.committee(part, m, seed=q), 3, seed=seed), "yes", ""),
        (mlp(None, None, parametrization="standard"), "not decided", ""),
        (lambda m, seed: am.densenet(4, [m, 2, m], seed=seed), "yes", ""),
        (lambda m, seed: am.dominated(part, m, seed=seed), "no", "layer 2, sums"),
        (lambda m, seed: am.few_active(part, m, 4, seed=seed), "no", "layer 2, sums"),
        (lambda m, seed: am.tied(part, m, m, seed=seed), "no", "layer 2, sums"),
        (lambda m, seed: am.mean_field(part, m, seed=seed), "no", "output scale"),
        (mlp(4, None), "no", "layer 1"),
    ],
    ids=["layers", "committee", "sum", "standard", "around", "dominated", "few", "tied", "mean-field", "narrow"],
)
def test_the_verdict_on_networks_known_by_algebra(family, answer, culprit):
    found = diagnose_family(family, WIDTHS, X, seeds=8)
    assert (found.transition.answer, found.transition.culprit) == (answer, culprit), found.text


def test_the_output_map_is_to_blame():
    """Scatter from a saturated output keeps the answer open at times, never which condition fails."""
    found = diagnose_family(mlp(None, None, output_activation="tanh"), WIDTHS, X, seeds=8).transition
    assert found.answer != "yes"
    assert found.culprit == "output map"


# Only the networks count


def through_networkx(net, seed):
    """The same network renamed, its neurons in another order."""
    G = net.to_networkx()
    rng = np.random.default_rng(seed)
    given = [name for name in G if G.in_degree(name) == 0]
    others = [name for name in G if G.in_degree(name) > 0]
    order = [*given, *(others[i] for i in rng.permutation(len(others)))]
    names = {name: f"n{number}" for name, number in zip(order, rng.permutation(len(order)), strict=True)}
    shuffled = nx.DiGraph()
    shuffled.add_nodes_from((names[name], G.nodes[name]) for name in order)
    edges = list(G.edges(data=True))
    shuffled.add_edges_from(
        (names[u], names[v], dict(edges[i][2])) for i in rng.permutation(len(edges)) for u, v in [edges[i][:2]]
    )
    return am.from_networkx(shuffled)


def through_json(net, folder):
    net.save(folder / "net.json")
    return am.load(folder / "net.json")


def with_neurons_shuffled(net, seed):
    """Fully connected networks: rows and columns of the matrices in another order."""
    sizes = [layer.size for layer in net.layers]
    rng, start, columns, matrices = np.random.default_rng(seed), 0, np.arange(sizes[0]), []
    for i, (n_source, n_target) in enumerate(itertools.pairwise(sizes), 1):
        matrix = net.parameters[start : start + n_source * n_target].reshape(n_target, n_source)
        rows = rng.permutation(n_target) if i < len(sizes) - 1 else np.arange(n_target)
        matrices.append(matrix[np.ix_(rows, columns)].ravel())
        start, columns = start + n_source * n_target, rows
    return net.with_parameters(np.concatenate(matrices))


FAMILIES = {
    "layers": mlp(None, None),
    "bottleneck": mlp(None, 1, None),
    "tanh output": mlp(None, None, output_activation="tanh"),
    "committee": lambda m, seed: am.committee(part, m // 4, seed=seed),
    "tied": lambda m, seed: am.tied(part, m // 4, 2, seed=seed),
    "graph": lambda m, seed: am.random_dag(4, 2, m, m // 2, reach=2, seed=seed),
}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("way", ["networkx", "json"])
def test_the_same_networks_rebuilt_get_the_same_verdict(name, way, tmp_path):
    family = FAMILIES[name]

    def rebuilt(m, seed):
        net = family(m, seed)
        return through_networkx(net, seed) if way == "networkx" else through_json(net, tmp_path)

    check_same(name, rebuilt)


def test_neurons_in_another_order_get_the_same_verdict():
    family = FAMILIES["layers"]
    check_same("layers", lambda m, seed: with_neurons_shuffled(family(m, seed), seed))


@functools.cache
def as_built(name):
    return diagnose_family(FAMILIES[name], [8, 16, 32, 80], X, seeds=3)


def check_same(name, rebuilt):
    one, other = as_built(name), diagnose_family(rebuilt, [8, 16, 32, 80], X, seeds=3)
    assert other.text.replace(whom(other), whom(one)) == one.text
    assert (one.transition.answer, one.transition.culprit) == (other.transition.answer, other.transition.culprit)
    for a, b in zip(one.rows, other.rows, strict=True):
        for name, value in a["values"].items():
            exact = 1e-9 if name in ("gradient_norm", "principal_share", "q_infinity") else 1e-6
            np.testing.assert_allclose(b["values"][name], value, rtol=exact, err_msg=name)
        np.testing.assert_allclose(
            b["values"]["predicted_hessian_over_gradient_squared"],
            a["values"]["predicted_hessian_over_gradient_squared"],
            rtol=1e-9,
        )
        assert a["levels"].keys() == b["levels"].keys()
        for label, columns in a["levels"].items():
            for name in ("n_parts", "principal_share", "weight", "size", "predicted"):
                np.testing.assert_allclose(
                    b["levels"][label][name], columns[name], rtol=1e-9, err_msg=f"{label} {name}"
                )


def whom(found):
    """The number of a neuron is the one thing that may change."""
    culprit = found.transition.worst
    return "nobody" if culprit is None else f"neuron {culprit.at_widest['neuron']:.0f} "


def test_another_prediction_of_theory_changes_the_verdict_and_no_measured_digit():
    """A study: its claims are read by the judge of claims, and by nothing that measures, predicts or fits."""
    measured = a_result()
    claims = [replace_prediction(claim) for claim in measured.specification.claims]
    changed = a_result(specification=measured.specification.model_copy(update={"claims": claims}))
    before, after = findings.assess(measured), findings.assess(changed)
    assert [one.rate for one in before] == [one.rate for one in after]
    assert [one.verdict for one in before] != [one.verdict for one in after]
    judged = [(one.verdict, other.verdict) for one, other in zip(before, after, strict=True) if one.claim is not None]
    assert ("consistent", "inconsistent") in judged
    assert {name: one.to_dict() for name, one in findings.transitions(measured).items()} == {
        name: one.to_dict() for name, one in findings.transitions(changed).items()
    }


def replace_prediction(claim):
    return claim.model_copy(update={"prediction": claim.alternative, "alternative": claim.prediction})


# Saved as it goes


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    path, made = tmp_path / "family.jsonl", []

    def family(m, seed):
        made.append((m, seed))
        if len(made) == 10:
            raise KeyboardInterrupt
        return am.mlp(4, [m], seed=seed)

    with pytest.raises(KeyboardInterrupt):
        diagnose_family(family, [8, 16, 32, 80], X, seeds=3, save=path)
    path.write_text(path.read_text() + '{"width": 32, "se')  # killed while writing
    done = []
    found = diagnose_family(family, [8, 16, 32, 80], X, seeds=3, save=path, on_progress=lambda *now: done.append(now))
    ends = [(8, 0), (80, 0)]  # the narrowest and the widest are compared before
    assert made[:2] == made[10:12] == ends
    assert made[9] == made[12] == (32, 1)
    assert len(made) == 17
    assert done == [(i, 12) for i in range(1, 13)]
    fresh = diagnose_family(mlp(None), [8, 16, 32, 80], X, seeds=3)
    assert found.rows == fresh.rows
    assert found.text == fresh.text
    again = diagnose_family(family, [8, 16, 32, 80], X, seeds=3, save=path)
    assert (again.rows, len(made)) == (found.rows, 17)


def test_a_file_of_other_inputs_or_outputs_is_not_reused(tmp_path):
    path = tmp_path / "family.jsonl"
    two = mlp(None, n_outputs=2)
    first = diagnose_family(two, [8, 16, 32, 80], X, seeds=3, save=path)
    other = diagnose_family(two, [8, 16, 32, 80], 2.0 * X, seeds=3, save=path)
    second = diagnose_family(two, [8, 16, 32, 80], X, seeds=3, output=1, save=path)
    assert len(path.read_text().splitlines()) == 36
    slopes = [one.values("gradient_norm")[0, 0] for one in (first, other, second)]
    assert len(set(slopes)) == 3
    np.testing.assert_allclose(
        slopes[2], np.exp(np.mean([np.log(np.linalg.norm(two(8, 0).gradient(x, 1))) for x in X]))
    )


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "family.jsonl").write_text('{"width": 8}\n')
    with pytest.raises(ResultsError, match=r"Line 1 of .*family\.jsonl"):
        diagnose_family(mlp(None), [8, 16, 32, 80], X, seeds=3, save=tmp_path / "family.jsonl")


def test_seeds_may_be_named_and_widths_come_in_any_order():
    found = diagnose_family(mlp(None), [80, 8, 16, 32], X, seeds=[5, 3, 4])
    assert (found.widths, found.seeds) == ((8, 16, 32, 80), (5, 3, 4))
    assert [(row["width"], row["seed"]) for row in found.rows[:3]] == [(8, 5), (8, 3), (8, 4)]
    np.testing.assert_allclose(
        found.values("gradient_norm")[3, 1],
        np.exp(np.mean([np.log(np.linalg.norm(am.mlp(4, [80], seed=3).gradient(x))) for x in X])),
    )


def test_table_and_data_hold_the_numbers():
    found = of_two_layers()
    rate = found.rates["hessian_over_gradient_squared"]
    lines = found.table.splitlines()
    assert lines[0].split() == [*map(str, WIDTHS), "exponent"]
    assert f"{np.median(found.values('hessian_norm')[-1]):.3g}" in lines[1]
    assert any(line.endswith(f"{rate.exponent:.2f} [{rate.lower:.2f}, {rate.upper:.2f}]") for line in lines)
    data = json.loads(json.dumps(found.to_dict()))
    assert data["transition"]["text"] == found.text
    assert data["rows"] == list(found.rows)


def test_an_unconverged_norm_is_left_out(monkeypatch):
    from assembly.calculus.hessian import Hessian

    norm = Hessian.norm
    monkeypatch.setattr(Hessian, "norm", lambda self, tol: replace(norm(self, tol), converged=self.shape[0] != 40))
    found = diagnose_family(lambda m, seed: am.mlp(4, [m if seed else 8], seed=seed), [7, 16, 32, 80], X[0], seeds=4)
    assert np.isnan(found.values("hessian_norm")[:, 0]).all()
    assert found.rates["hessian_norm"].n_excluded == 4
    assert not np.isnan(found.values("principal_share")).any()


def test_bad_arguments_are_refused():
    with pytest.raises(ArgumentError, match="'family' argument must make a network"):
        diagnose_family(am.mlp(4, [8]), WIDTHS, X)
    with pytest.raises(ArgumentError, match=r"'family' argument must return an Assembly.*None: width 8, seed 0"):
        diagnose_family(lambda m, seed: None, WIDTHS, X)
    with pytest.raises(ArgumentError, match="seeds"):
        diagnose_family(mlp(None), WIDTHS, X, seeds=0)
    with pytest.raises(ShapeError):
        diagnose_family(mlp(None), WIDTHS, [1.0, 2.0])


@pytest.mark.parametrize("widths", [[8, 16, 32], [8, 16, 32, 64], [8, 16, 16, 160]])
def test_widths_over_which_nothing_can_be_fitted_are_refused_before_anything_is_built(widths):
    def family(width, seed):
        raise AssertionError

    with pytest.raises(ArgumentError, match=r"at least 4 widths|times|each width once"):
        diagnose_family(family, widths, X)


def test_a_family_that_does_not_change_with_the_width_is_refused(monkeypatch):
    measured = []
    monkeypatch.setattr(module, "_measure", lambda *a: measured.append(a))
    message = r"change with the width\. Got the same ones at widths 8 and 128, of layers 4, 6, 1\."
    with pytest.raises(ArgumentError, match=message):
        diagnose_family(lambda m, seed: am.mlp(4, [6], seed=seed), WIDTHS, X)
    assert measured == []


def test_networks_of_other_parameters_are_others_where_their_outputs_agree():
    found = diagnose_family(lambda m, seed: am.mlp(4, [6], seed=1000 * seed + m), WIDTHS, 0.0 * X, seeds=3)
    assert found.transition.answer == "not decided"


def test_a_family_that_only_changes_its_scale_is_one():
    def family(width, seed):
        return am.Assembly([am.mlp(4, [6], seed=seed)], [1.0], scale=float(width))

    assert diagnose_family(family, WIDTHS, X, seeds=4).transition.answer == "no"
