"""Bounds over a ball of parameters: never exceeded by anything in it, level by level, and tight where they can be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import assembly as am
import cases
import strategies
from assembly.bounds.adjoints import Adjoints
from assembly.bounds.ball import Ball
from assembly.bounds.ceiling import Ceiling
from assembly.bounds.centre import Centre, check_bounded
from assembly.bounds.curvature import _bent_norm, _changes, _direct, _of_matrices, _tangents, _weight_change
from assembly.bounds.enclosure import Enclosure
from assembly.bounds.hessian_norm import hessian_norm_bound
from assembly.calculus.evaluation import Evaluation
from assembly.calculus.jet import Jet
from assembly.errors import ArgumentError, AssemblyError, GraphError
from assembly.graph.connections import Tied
from assembly.seeds import generator

ROOM = 1.0 + 1e-9  # for the rounding of what is compared with the bounds
RADII = (0.03, 0.5, 2.0)


def boundable(net: am.Assembly) -> bool:
    try:
        check_bounded(net._body.program)
    except AssemblyError:
        return False
    return net.dtype == np.float64 and net.n_parameters > 0


CASES = [case for case in cases.CASES if boundable(case.assembly())]
each = pytest.mark.parametrize("case", CASES, ids=str)


def points(net: am.Assembly, radius: float, x: np.ndarray, output: int, n: int = 6) -> list[am.Assembly]:
    """Networks in the ball: along the gradient, the Hessian, few coordinates and many, most of them on the sphere."""
    rng = generator(0, "points", net.n_parameters, n)
    gradient = net.gradient(x, output)
    directions = [gradient, -gradient, net.hessian(x, output) @ rng.standard_normal(net.n_parameters)]
    for _ in range(n):
        direction = rng.standard_normal(net.n_parameters)
        direction[rng.permutation(net.n_parameters)[rng.integers(1, net.n_parameters + 1) :]] = 0.0
        directions.append(direction)
    found = []
    for i, direction in enumerate(directions):
        length = np.linalg.norm(direction)
        if length > 0.0:
            share = 1.0 if i < 6 else rng.random()
            found.append(net.with_parameters(net.parameters + radius * share * (direction / length)))
    return found


def split(net: am.Assembly, values: np.ndarray) -> list[np.ndarray]:
    return [values[segment.nodes] for segment in net._body.program.segments]


def jacobian(net: am.Assembly, evaluation, t: int, k: int) -> np.ndarray:
    """dz_t/dz_k by forward tangents, one column at a time."""
    program = net._body.program
    segments = program.segments
    size = segments[k].nodes.stop - segments[k].nodes.start
    columns = []
    for i in range(size):
        z_dot, a_dot = np.zeros(program.n_nodes), np.zeros(program.n_nodes)
        z_dot[segments[k].nodes.start + i] = 1.0
        for s in range(k, t + 1):
            nodes = segments[s].nodes
            if s > k:
                for position in segments[s].incoming:
                    program.blocks[position].push(net._body.weights[position], a_dot, z_dot)
            a_dot[nodes] = evaluation.first[0, nodes] * z_dot[nodes]
        columns.append(z_dot[segments[t].nodes])
    return np.array(columns).T


@each
@pytest.mark.parametrize("radius", RADII)
def test_nothing_in_the_ball_exceeds_its_bound(case: cases.Case, radius: float) -> None:
    net, x = case.assembly(), case.x()
    centre = Centre(net.evaluate(x[None]), case.output)
    adjoints = Adjoints(Ball(centre, radius))
    ball = adjoints.ball
    z_0 = split(net, net.evaluate(x[None]).pre[0])
    abar_0 = split(net, net.evaluate(x[None]).adjoints(case.output).post[0])
    b_0 = split(net, net.evaluate(x[None]).adjoints(case.output).pre[0])
    for moved in points(net, radius, x, case.output):
        evaluation = moved.evaluate(x[None])
        pre, slope, bend = (split(net, getattr(evaluation, name)[0]) for name in ("pre", "first", "second"))
        abar, b = (split(net, getattr(evaluation.adjoints(case.output), name)[0]) for name in ("post", "pre"))
        for t in ball.active:
            assert np.linalg.norm(pre[t] - z_0[t]) <= ball.length(ball.drift[t]) * ROOM + 1e-12
            assert (np.abs(pre[t] - z_0[t]) <= ball.spread[t] * ROOM + 1e-12).all()
            assert (np.abs(slope[t]) <= ball.slope[t] * ROOM).all()
            assert (np.abs(bend[t]) <= ball.bend[t] * ROOM).all()
            assert (np.abs(abar[t]) <= adjoints.largest[t] * ROOM + 1e-14).all()
            assert np.linalg.norm(abar[t] - abar_0[t]) <= adjoints.change(t) * ROOM + 1e-12
            assert np.linalg.norm(b[t] - b_0[t]) <= ball.length(adjoints.pre_drift[t]) * ROOM + 1e-12
        for (t, k), bound in ball.jacobian.items():
            found = jacobian(moved, evaluation, t, k)
            assert np.linalg.norm(found, 2) <= bound * ROOM + 1e-13
            assert (
                np.linalg.norm(found - jacobian(net, net.evaluate(x[None]), t, k), 2)
                <= ball.change[t, k] * ROOM + 1e-12
            )


@each
@pytest.mark.parametrize("radius", RADII)
def test_no_norm_in_the_ball_exceeds_either_bound(case: cases.Case, radius: float) -> None:
    net, x = case.assembly(), case.x()
    adjoints = Adjoints(Ball(Centre(net.evaluate(x[None]), case.output), radius))
    at_centre = hessian_norm_bound(net.hessian(x, case.output).node_space)
    direct = _of_matrices(*_direct(adjoints), 0.0).value
    changed = _of_matrices(*_changes(adjoints), at_centre).value
    norms = [naive_norm(moved, x, case.output) for moved in points(net, radius, x, case.output)]
    assert max(norms) <= min(direct, changed) * ROOM + 1e-12
    over = Ceiling(net.graph, net.parameters, x, case.output).over(radius)
    assert max(norms) <= over.value * ROOM + 1e-12
    if over.at_centre is not None:
        parts = sum(over.dominance.values()) + sum(over.coupling.values())
        np.testing.assert_allclose(over.at_centre + parts, over.value, rtol=1e-6)


def naive_norm(net: am.Assembly, x: np.ndarray, output: int) -> float:
    dense = net.hessian(x, output) @ np.eye(net.n_parameters)
    return float(np.linalg.norm(0.5 * (dense + dense.T), 2))


@settings(max_examples=800, deadline=None, derandomize=True)
@given(strategies.graphs(), st.sampled_from([0.02, 0.3, 1.0, 3.0]), st.data())
def test_no_graph_exceeds_its_bound(network, radius: float, data) -> None:
    inputs, neurons = network
    net = am.from_neurons(inputs, neurons)
    x = np.array(data.draw(strategies.samples(len(inputs))))
    check_from_below(net, x, 0, radius)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(strategies.mlps(), st.sampled_from([0.02, 0.3, 1.0, 3.0]), st.data())
def test_no_network_exceeds_its_bound(options, radius: float, data) -> None:
    net = am.mlp(**options)
    x = np.array(data.draw(strategies.samples(net.n_inputs)))
    check_from_below(net, x, net.n_outputs - 1, radius)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(strategies.shared_graphs(), st.sampled_from([0.02, 0.3, 1.0]), st.data())
def test_no_graph_with_shared_weights_exceeds_its_bound(network, radius: float, data) -> None:
    inputs, neurons, outputs = network
    net = am.from_neurons(inputs, neurons, outputs)
    if boundable(net):
        x = np.array(data.draw(strategies.samples(len(inputs))))
        check_from_below(net, x, 0, radius)


def check_from_below(net: am.Assembly, x: np.ndarray, output: int, radius: float) -> None:
    over = Ceiling(net.graph, net.parameters, x, output).over(radius).value
    for moved in itertools.chain(points(net, radius, x, output, n=3), climb(net, radius, x, output)):
        assert float(moved.hessian(x, output).norm(tol=1e-3).value) <= over * ROOM + 1e-12


def climb(net: am.Assembly, radius: float, x: np.ndarray, output: int, n_steps: int = 3) -> Iterator[am.Assembly]:
    """Networks on the sphere, each where the curvature along the top eigenvector of the last grows the fastest."""
    at = net
    for _ in range(n_steps):
        value, coordinates = at.hessian(x, output).top_pair(tol=1e-2)
        direction = at.hessian(x, output).node_space.Z_transposed(coordinates)
        uphill = np.sign(value.value) * Jet(at.evaluate(x[None]), 0, direction).gradient(output)
        if not uphill.any():
            return
        step = radius * (1.0 - 1e-12) * uphill / np.abs(uphill).max()
        at = net.with_parameters(net.parameters + step / max(1.0, np.linalg.norm(step) / radius))
        yield at


def test_relu_softmax_and_own_sub_models_are_refused_by_name() -> None:
    x = [1.0, -1.0, 0.5]
    with pytest.raises(ArgumentError, match="relu"):
        am.mlp(3, [4], activation="relu").curvature_in_ball(x, 1.0)
    with pytest.raises(GraphError, match="softmax"):
        am.mlp(3, [4], n_outputs=2, output_activation="softmax").curvature_in_ball(x, 1.0)
    own = am.submodel(lambda w, x: float(w @ x), lambda w, x: x, lambda w, x, v: 0.0 * v, n_inputs=3, n_parameters=3)
    with pytest.raises(GraphError, match="sub-models of your own"):
        am.committee(own, 2).curvature_in_ball(x, 1.0)
    with pytest.raises(ArgumentError, match=r"'radius' argument .* Got 0"):
        am.mlp(3, [4]).curvature_in_ball(x, 0.0)


def test_one_hidden_layer_is_bracketed_to_four_digits() -> None:
    for seed, activation in enumerate(("tanh", "gelu", "sin", "softplus", "quadratic")):
        net = am.mlp(n_inputs=5, widths=[200], activation=activation, seed=seed)
        x = generator(seed, "input").standard_normal(5)
        bracket = net.curvature_in_ball(x, 1.0)
        assert 1.0 <= bracket.ratio < 1.0005
        np.testing.assert_allclose(
            float(net.with_parameters(bracket.witness).hessian(x).norm()), bracket.lower, rtol=1e-6
        )


def test_a_bracket_says_of_which_output_it_is_if_there_are_several() -> None:
    two, one = am.mlp(3, [4], n_outputs=2, seed=0), am.mlp(3, [4], seed=0)
    x = np.ones(3)
    assert repr(two.curvature_in_ball(x, 0.5, 1)).startswith("||H|| of output 1 within 0.5: in [")
    assert repr(two.remainder_in_ball(x, 0.5)).startswith("|f - f_lin| of output 0 within 0.5: in [")
    assert repr(two.kernel_change_in_ball(x, 0.5, 1)).startswith("|K - K_0| / |K_0| of output 1 within 0.5: in [")
    assert repr(one.curvature_in_ball(x, 0.5)).startswith("||H|| within 0.5: in [")


def test_a_small_ball_has_the_norm_at_its_centre() -> None:
    net = am.mlp(n_inputs=5, widths=[60, 60], activation="tanh", seed=0)
    x = generator(0, "input").standard_normal(5)
    bracket = net.curvature_in_ball(x, 1e-5)
    assert bracket.ratio < 1.002
    assert bracket.at_centre is not None


@pytest.mark.parametrize("name", ["cnn", "resnet", "densenet", "random_dag", "mlp"])
def test_brackets_hold_together(name: str) -> None:
    build = {
        "cnn": lambda: am.cnn((6, 6), [4, 4], seed=0),
        "resnet": lambda: am.resnet(36, 16, 2, seed=0),
        "densenet": lambda: am.densenet(36, [16, 16], seed=0),
        "random_dag": lambda: am.random_dag(36, 3, 20, 8, reach=2, seed=0),
        "mlp": lambda: am.mlp(36, [16, 16, 16], seed=0, dtype=np.float32),
    }[name]
    net, x = build(), generator(0, "input").standard_normal(36)
    curvature = net.curvature_in_ball(x, 0.5)
    remainder = net.remainder_in_ball(x, 0.5)
    kernel = net.kernel_change_in_ball(np.stack([x, -x]), 0.5)
    assert np.linalg.norm(curvature.witness - net.parameters) <= 0.5
    assert float(net.hessian(x).norm().value) * (1.0 - 1e-5) <= curvature.lower <= curvature.upper
    assert 0.0 < remainder.lower <= remainder.upper <= 0.125 * curvature.upper * ROOM
    assert 0.0 < kernel.lower <= kernel.upper
    slow = net.with_parameters(remainder.witness)
    step = remainder.witness.astype(np.float64) - net.parameters
    straight = float(net(x)) + float(net.gradient(x).astype(np.float64) @ step)
    np.testing.assert_allclose(abs(float(slow(x)) - straight), remainder.lower, rtol=1e-4)
    before, after = (
        net.tangent_kernel(np.stack([x, -x])),
        net.with_parameters(kernel.witness).tangent_kernel(np.stack([x, -x])),
    )
    np.testing.assert_allclose(np.linalg.norm(after - before) / np.linalg.norm(before), kernel.lower, rtol=1e-3)


def test_the_bound_falls_like_one_over_the_root_of_the_width() -> None:
    x = generator(0, "input").standard_normal(16)
    found = []
    for width in (128, 1024):
        net = am.mlp(n_inputs=16, widths=[width, width], activation="tanh", readout="sign", seed=0)
        found.append(Ceiling(net.graph, net.parameters, x, 0).over(0.5).value)
    assert -0.75 < np.log(found[1] / found[0]) / np.log(8.0) < -0.45


def changed(net: am.Assembly, **fields: Any) -> am.Assembly:
    """The same network, with other fields in the connection into its first layer."""
    first, *others = net.graph.connections
    return am.Assembly.from_graph(replace(net.graph, connections=(replace(first, **fields), *others)), net.parameters)


def link_blocks() -> list[tuple[str, am.Assembly]]:
    cnn, tied = am.cnn((6, 6), [3, 2], kernel=3, seed=0), am.tied(lambda seed: am.mlp(4, [3, 3], seed=seed), 6, 3)
    edges = cast("Tied", tied.graph.connections[0])
    turned = {"a": ("tanh", {"x": am.Edge(1.0, factor=-1.3)}), "out": ("identity", {"a": am.Edge(0.5, factor=-2.0)})}
    return [
        ("negative factors", am.from_neurons(["x"], turned)),
        ("dense", am.mlp(5, [6, 4], seed=0, bias=True)),
        ("sparse", am.random_dag(6, 2, 8, 3, seed=1)),
        ("cnn", cnn),
        ("cnn with negative factors", changed(cnn, factor=-cnn.graph.connections[0].factor)),
        ("tied", tied),
        ("tied parallel edges", changed(tied, indices=edges.indices // 2, weight=edges.weight // 2)),
    ]


@pytest.mark.parametrize(("name", "net"), link_blocks(), ids=lambda value: value if isinstance(value, str) else "")
def test_no_weights_and_activations_of_length_one_give_more_than_the_bilinear_bound(
    name: str, net: am.Assembly
) -> None:
    centre = Centre(net.evaluate(np.ones((1, net.n_inputs))), 0)
    tight = 0.0
    for link in centre.links:
        if link.column is None:
            continue
        block, n = link.block, net._body.program.n_nodes
        rng = generator(0, "bilinear", name)
        found = 0.0
        for start in range(4):
            a, b = (np.ones(n), np.ones(n)) if start == 0 else rng.standard_normal((2, n))
            weights = np.zeros(int(np.prod(block.shape)))
            for _ in range(200):  # each of the three is the best for the other two
                block.scatter(weights.reshape(block.shape), b, np.zeros(n), a, b, weights)
                weights /= np.linalg.norm(weights)
                moved, pulled = np.zeros(n), np.zeros(n)
                block.push(weights.reshape(block.shape), a / np.linalg.norm(a[block.source]), moved)
                found = max(found, float(np.linalg.norm(moved)))
                b = moved
                block.pull(weights.reshape(block.shape), b, pulled)
                a = pulled
        assert found <= link.bilinear * ROOM
        tight = max(tight, found / link.bilinear)
    assert tight > 0.7


@each
def test_changes_that_meet_in_one_neuron_stay_below_what_is_said_of_them(case: cases.Case) -> None:
    net, x = case.assembly(), case.x()
    adjoints = Adjoints(Ball(Centre(net.evaluate(x[None]), case.output), 0.7))
    ball, centre = adjoints.ball, adjoints.centre
    for (t, k), onward in centre.jacobian.items():
        norm, columns = adjoints._bent(t, k)
        change = adjoints.change(t)
        for i in range(centre.sizes[t]):
            adjoint = np.abs(centre.abar[t])
            adjoint[i] = min(adjoint[i] + change, adjoints.largest[t][i])
            bent = onward.matrix[i] * ball.bend[t][i] * adjoint[i]  # a change of length 1 of pre-activation i alone
            assert np.linalg.norm(bent) <= norm * ROOM
            assert (np.abs(bent) <= columns * ROOM).all()
    for t in ball.active:
        for number, link in ball.moving(t):
            bound, change = _bent_norm(adjoints, t, number), adjoints.change(t)
            for i in range(centre.sizes[t]):
                adjoint = np.abs(centre.abar[t])
                adjoint[i] = min(adjoint[i] + change, adjoints.largest[t][i])
                steep = link.map.matrix * ball.slope[link.source]
                assert np.linalg.norm(np.sqrt(ball.bend[t] * adjoint)[:, None] * steep, 2) <= bound * ROOM


@each
@pytest.mark.parametrize("radius", RADII)
def test_every_term_stays_below_its_form(case: cases.Case, radius: float) -> None:
    net, x = case.assembly(), case.x()
    centre = Centre(net.evaluate(x[None]), case.output)
    adjoints = Adjoints(Ball(centre, radius))
    forms = _direct(adjoints), _changes(adjoints)
    nothing = np.zeros((centre.n_columns, centre.n_columns))
    moved = points(net, radius, x, case.output)
    for direction in directions(net, moved, x, case.output):
        lengths = part_lengths(net, centre, direction)
        still = terms(net, net.evaluate(x[None]), case.output, direction)
        for other in moved:
            found = terms(other, other.evaluate(x[None]), case.output, direction)
            for kind in (0, 1):
                for t in adjoints.ball.active:
                    whole = lengths @ forms[0][kind].get(t, nothing) @ lengths
                    changed = lengths @ forms[1][kind].get(t, nothing) @ lengths
                    assert abs(found[kind][t]) <= whole * ROOM + 1e-12
                    assert abs(found[kind][t] - still[kind][t]) <= changed * ROOM + 1e-12


def directions(net: am.Assembly, moved: list[am.Assembly], x: np.ndarray, output: int) -> list[np.ndarray]:
    """Unit directions: those in which Hessians are large, single weights, and many."""
    rng = generator(1, "directions", net.n_parameters)
    found = [other.hessian(x, output).eigenvectors(1, tol=0.1)[0] for other in (net, moved[-1])]
    found += [rng.standard_normal(net.n_parameters), np.eye(net.n_parameters)[rng.integers(net.n_parameters)]]
    return [one / np.linalg.norm(one) for one in found if one.any()]


def part_lengths(net: am.Assembly, centre: Centre, direction: np.ndarray) -> np.ndarray:
    lengths = np.zeros(centre.n_columns)
    for link in centre.links:
        if link.column is not None:
            lengths[link.column] = np.linalg.norm(direction[link.block.parameters])
    return lengths


def terms(
    net: am.Assembly, evaluation: Evaluation, output: int, direction: np.ndarray
) -> tuple[list[float], list[float], list[np.ndarray]]:
    """Dominance, coupling and tangents of the pre-activations of every segment in one direction, written out."""
    program = net._body.program
    abar, b = (getattr(evaluation.adjoints(output), name)[0] for name in ("post", "pre"))
    z_dot, a_dot = np.zeros(program.n_nodes), np.zeros(program.n_nodes)
    dominance, coupling = [], []
    for segment in program.segments:
        coupled = 0.0
        for position in segment.incoming:
            block = program.blocks[position]
            block.push(net._body.weights[position], a_dot, z_dot)
            if block.parameters is not None:
                block.push(block.weights(direction), evaluation.post[0], z_dot)
                through = np.zeros(program.n_nodes)
                block.push(block.weights(direction), a_dot, through)
                coupled += 2.0 * float(b @ through)
        nodes = segment.nodes
        if segment.incoming:
            a_dot[nodes] = evaluation.first[0, nodes] * z_dot[nodes]
        dominance.append(float(np.sum(abar[nodes] * evaluation.second[0, nodes] * z_dot[nodes] ** 2)))
        coupling.append(coupled)
    return dominance, coupling, [z_dot[segment.nodes] for segment in program.segments]


def rounded(depth: int, size: float) -> tuple[am.Assembly, np.ndarray, am.Assembly, np.ndarray]:
    """A network whose first pre-activations are mostly rounding, and one that has them as they are, with its input.

    Both have the same parameters: ``0.1 s + 0.2 s - 0.3 s`` is added up in the first and given to the second.
    """
    E = am.Edge
    rng = generator(3, "rounded", depth)
    given = {"a": E(0.1, trainable=False), "b": E(0.2, trainable=False), "c": E(-0.3, trainable=False)}
    left = sum(Fraction(weight) for weight in (0.1, 0.2, -0.3)) * Fraction(size)
    neurons: list[dict] = [{}, {}]
    below = [f"h0.{i}" for i in range(3)]
    for name, activation in zip(below, ("sin", "tanh", "cos"), strict=True):
        moved = {"u": E(float(rng.standard_normal()), factor=1.0)}
        neurons[0][name] = (activation, {**given, **moved})
        neurons[1][name] = (activation, {"r": E(1.0, trainable=False), **moved})
    for layer in range(1, depth):
        above = [f"h{layer}.{i}" for i in range(3)]
        for name in above:
            edges = {parent: E(float(rng.standard_normal()), factor=0.6) for parent in below}
            neurons[0][name] = neurons[1][name] = ("tanh", edges)
        below = above
    for one in neurons:
        one["out"] = ("identity", {parent: E(0.3, factor=0.5) for parent in below})
    net, plain = am.from_neurons(["a", "b", "c", "u"], neurons[0]), am.from_neurons(["r", "u"], neurons[1])
    np.testing.assert_array_equal(net.parameters, plain.parameters)
    return net, np.array([size, size, size, 1.0]), plain, np.array([float(left), 1.0])


def check_what_is_computed(net: am.Assembly, evaluation: Evaluation, plain: am.Assembly, x: np.ndarray) -> float:
    """Check that every term counts what is wrong at the centre; return the largest part of a bound that this made."""
    adjoints = Adjoints(Ball(Centre(evaluation, 0), 1e-12))
    direct, changes, tight = _direct(adjoints), _changes(adjoints), 0.0
    nothing = np.zeros((adjoints.centre.n_columns, adjoints.centre.n_columns))
    segments, true = net._body.program.segments, plain.evaluate(x[None])
    for direction in [*generator(4, "directions").standard_normal((20, net.n_parameters)), *np.eye(net.n_parameters)]:
        lengths = part_lengths(net, adjoints.centre, direction)
        computed, found = terms(net, evaluation, 0, direction), terms(plain, true, 0, direction)
        for t in adjoints.ball.active:
            for kind in (0, 1):
                whole = abs(found[kind][t - len(segments)])
                assert whole <= lengths @ direct[kind].get(t, nothing) @ lengths * ROOM + 1e-14
                change = abs(found[kind][t - len(segments)] - computed[kind][t])
                bound = lengths @ changes[kind].get(t, nothing) @ lengths
                assert change <= bound * ROOM + 1e-14
                tight = max(tight, change / bound if bound else 0.0)
            still, concentrated, moved = (form @ lengths for form in _tangents(adjoints, t))
            tangent, z_dot = found[2][t - len(segments)], computed[2][t]
            assert np.linalg.norm(z_dot) <= still * ROOM + 1e-14
            assert np.linalg.norm(z_dot, 4) <= concentrated * ROOM + 1e-14
            assert np.linalg.norm(tangent - z_dot) <= moved * ROOM + 1e-14
    for t in adjoints.ball.active:
        here, there = segments[t].nodes, plain._body.program.segments[t - len(segments)].nodes
        bent = evaluation.adjoints(0).post[0, here] * evaluation.second[0, here]
        change = np.abs(true.adjoints(0).post[0, there] * true.second[0, there] - bent)
        length, one = _weight_change(adjoints, t)
        assert np.linalg.norm(change) <= length * ROOM + 1e-14
        assert change.max() <= one * ROOM + 1e-14
    return tight


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_every_term_counts_pre_activations_that_cancelled(depth: int) -> None:
    net, x, plain, without = rounded(depth, 1e15)
    evaluation = net.evaluate(x[None])
    assert abs(evaluation.pre[0, net.layers[1].nodes] - plain.evaluate(without[None]).pre[0, 2:5]).max() > 1e-3
    assert check_what_is_computed(net, evaluation, plain, without) > 1e-3


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(
    ("wrong", "where", "size"), [("first", 1, 1e-3), ("second", 1, 1e-3), ("first", -2, 1e-3), ("first", -2, 1.0)]
)
def test_every_term_counts_derivatives_that_are_off(depth: int, wrong: str, where: int, size: float) -> None:
    net, x, plain, without = rounded(depth, 0.0)
    evaluation = net.evaluate(x[None])
    nodes = np.concatenate([layer.nodes for layer in net.layers[where:-1]])
    off = getattr(evaluation, wrong).copy()
    off[0, nodes] -= size * off[0, nodes]
    vars(evaluation)[wrong] = off
    assert check_what_is_computed(net, evaluation, plain, without) > 1e-3


def test_negative_factors_count_by_their_size() -> None:
    E = am.Edge
    neurons = {"a": ("tanh", {"x": E(0.7, factor=-1.0)}), "b": ("tanh", {"a": E(0.9, factor=-1.0)})}
    turned = am.from_neurons(["x"], {**neurons, "out": ("tanh", {"b": E(1.3, factor=-1.0)})})
    bracket = turned.curvature_in_ball([1.0], 1.0)
    assert 7.3 < bracket.lower <= bracket.upper


def test_parallel_edges_count_as_often_as_they_are() -> None:
    neuron = am.mlp(2, [2, 2], activation="tanh", seed=0).layers[2].neurons[0]
    for n_copies, coefficient in ((9, 0.0), (2, 1.0)):
        same = am.Assembly([neuron] * n_copies, [coefficient] * n_copies, scale=1.0, trainable_coefficients=True)
        norm = float(same.hessian([1.0, 0.5]).norm())
        bracket = same.curvature_in_ball([1.0, 0.5], 0.3)
        assert bracket.lower <= bracket.upper
        assert float(same.hessian([1.0, 0.5]).norm()) == norm  # nothing was changed on the way
        check_from_below(same, np.array([1.0, 0.5]), 0, 0.3)


def test_two_ways_that_cancel_leave_the_second_order() -> None:
    E = am.Edge
    for strength in (5.0, 20.0):
        net = am.from_neurons(
            ["x"],
            {
                "k": ("identity", {"x": E(0.0, factor=1.0)}),
                "j": ("sin", {"k": E(1.0, trainable=False)}),
                "t": ("exp", {"j": E(-strength, trainable=False), "k": E(strength, trainable=False)}),
            },
        )
        bound = Ceiling(net.graph, net.parameters, np.array([1.0]), 0).over(4.49).value
        for w in np.linspace(-4.49, 4.49, 101):
            assert naive_norm(net.with_parameters(np.array([w])), np.array([1.0]), 0) <= bound * ROOM


@pytest.mark.parametrize("factor", [0.3, 0.6])
def test_a_network_in_single_precision_is_bounded_by_its_own_numbers(factor: float) -> None:
    E = am.Edge
    neurons = {"h": ("quadratic", {"x": E(1.0, factor=factor)}), "out": ("identity", {"h": E(0.3, trainable=False)})}
    net = am.from_neurons(["x"], neurons, dtype=np.float32)
    bracket = net.curvature_in_ball([1.0], 0.5)
    assert bracket.lower <= bracket.upper
    kernel = net.kernel_change_in_ball([[1.0]], 0.5)
    assert kernel.lower <= kernel.upper
    remainder = net.remainder_in_ball([1.0], 0.5)
    assert 0.9 * remainder.upper < remainder.lower <= remainder.upper


def test_what_cancels_before_an_activation_function_is_rounded_outwards() -> None:
    E = am.Edge
    for size in (1e12, 1e15):
        given = {"a": E(0.1, trainable=False), "b": E(0.2, trainable=False), "c": E(-0.3, trainable=False)}
        neurons = {
            "h": ("sin", {**given, "u": E(0.6, factor=1.0)}),
            "out": ("identity", {"h": E(1.0, trainable=False)}),
        }
        net = am.from_neurons(["a", "b", "c", "u"], neurons)
        left = 0.1 * size + 0.2 * size - 0.3 * size  # how much is left depends on the order of the sum
        bound = Ceiling(net.graph, net.parameters, np.array([size, size, size, 1.0]), 0).over(1e-9).value
        assert bound >= max(abs(np.sin(0.6 + part)) for part in (0.0, left))


@pytest.mark.parametrize("depth", [1, 2])
def test_pre_activations_that_cancelled_leave_the_norm_below_its_bound(depth: int) -> None:
    for size in 10.0 ** np.arange(12.0, 16.0, 0.25):
        net, x, plain, without = rounded(depth, float(size))
        bound = Ceiling(net.graph, net.parameters, x, 0).over(1e-12).value
        assert naive_norm(plain, without, 0) <= bound * ROOM


def test_adjoints_that_cancelled_leave_the_norm_below_its_bound() -> None:
    neuron = am.mlp(2, [3], activation="tanh", seed=0).layers[1].neurons[1]
    x = np.array([1.0, 0.5])
    net = am.Assembly([neuron] * 3, [2.0**53, 1.0, -(2.0**53)], scale=1.0)  # of sum 1, and 0 when added in this order
    assert net.evaluate(x[None]).adjoints(0).post[0, net.layers[1].nodes[0]] == 0.0
    bound = Ceiling(net.graph, net.parameters, x, 0).over(1e-12).value
    assert bound >= naive_norm(am.Assembly([neuron], [1.0], scale=1.0), x, 0)


def test_a_neuron_that_overflows_behind_a_weight_of_zero_hides_no_other() -> None:
    E = am.Edge
    neurons = {f"q{i}": ("quadratic", {"x": E(1.0, factor=1.0)}) for i in range(3)}
    neurons |= {"e": ("exp", {"x": E(1.0, factor=1.0)})}
    out = {name: E(0.0 if name == "e" else 1.0, trainable=False) for name in neurons}
    net = am.from_neurons(["x"], {**neurons, "out": ("identity", out)})
    for radius in (1.0, 800.0):
        np.testing.assert_allclose(
            Ceiling(net.graph, net.parameters, np.array([1.0]), 0).over(radius).value, 2.0, rtol=1e-6
        )


@pytest.mark.parametrize(("activation", "radius"), [("exp", 10.0), ("quadratic", 1e60), ("tanh", 1e200)])
def test_where_numbers_end_the_bound_is_infinite(activation: str, radius: float) -> None:
    net = am.mlp(3, [3, 3], activation=activation, seed=0)
    assert Ceiling(net.graph, net.parameters, np.ones(3), 0).over(radius).value == np.inf


def test_the_norm_into_the_fourth_power_knows_no_scale() -> None:
    for scale in (1e-81, 1.0, 1e80):
        np.testing.assert_allclose(Enclosure(scale * np.eye(3)).two_to_four / scale, 1.0, rtol=1e-6)


@pytest.mark.parametrize("size", [1e9, 1e12, 1e15])
def test_the_norm_at_the_centre_counts_what_rounding_did_to_the_activations(size: float) -> None:
    E = am.Edge
    neurons = {
        "p": ("tanh", {"x": E(0.3, trainable=False)}),
        "q": ("sigmoid", {"x": E(0.6, trainable=False)}),
        "h": ("tanh", {"x": E(0.5, factor=1.0)}),
        "t": (
            "sin",  # of a sum that is w h but for rounding, since tanh(z) = 2 sigmoid(2 z) - 1
            {
                "p": E(size, trainable=False),
                "q": E(-2.0 * size, trainable=False),
                "1": E(size, trainable=False),
                "h": E(0.6, factor=1.0),
            },
        ),
    }
    net = am.from_neurons(["x"], neurons)
    plain = am.from_neurons(["x"], {"h": neurons["h"], "t": ("sin", {"h": E(0.6, factor=1.0)})})
    bound = Ceiling(net.graph, net.parameters, np.array([1.0]), 0).over(1e-9).value
    assert bound >= naive_norm(plain, np.array([1.0]), 0) * (1.0 - 1e-12)
