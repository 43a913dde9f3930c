"""Remainder and kernel change at a distance, the worst found, and the surface over distance and width."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import assembly as am
import cases
import naive
from assembly.diagnostics import sweep
from assembly.diagnostics.linearity import (
    kernel_change,
    ratios,
    relative_change,
    remainder,
    remainder_bounds,
    worst_kernel_change,
    worst_remainder,
)
from assembly.diagnostics.rates import fit_rate
from assembly.diagnostics.surface import AT_CENTRE, OVER_RADII, LinearitySurface, empty_surface
from assembly.errors import ArgumentError, ResultsError, ShapeError, UnknownNameError

SMOOTH = ["tanh-1", "tanh-3", "gelu-bias", "cnn-1d", "sparse-with-skips", "resnet"]


def distance_from_linear(network: naive.Network, w, x, step) -> float:
    moved = naive.value(network, w + step, x)[0] - naive.value(network, w, x)[0]
    return abs(moved - naive.gradient(network, w, x) @ step)


def kernel(network: naive.Network, w, X) -> np.ndarray:
    rows = np.array([naive.gradient(network, w, x) for x in X])
    return rows @ rows.T


def some_steps(n: int, radius: float, n_steps: int = 40) -> np.ndarray:
    """Steps of length `radius` and shorter, in random directions."""
    rng = np.random.default_rng(n)
    steps = rng.normal(size=(n_steps, n))
    lengths = radius * rng.uniform(0.3, 1.0, size=n_steps) ** (1.0 / 3.0)
    return steps * (lengths / np.linalg.norm(steps, axis=1))[:, None]


# One network


@pytest.mark.parametrize("name", SMOOTH)
def test_along_a_direction_against_the_naive_twin(name):
    case = cases.BY_NAME[name]
    net, network, x = case.assembly(), case.network(), case.x()
    X, u = np.array([x, -0.5 * x]), some_steps(net.n_parameters, 1.0, 1)[0]
    u /= np.linalg.norm(u)
    wanted = max(distance_from_linear(network, case.w, x, sign * 0.7 * u) for sign in (1.0, -1.0))
    np.testing.assert_allclose(remainder(net, x, u, 0.7), wanted, rtol=1e-9)
    start = kernel(network, case.w, X)
    moved = [kernel(network, case.w + sign * 0.7 * u, X) for sign in (1.0, -1.0)]
    wanted = max(np.linalg.norm(other - start) for other in moved) / np.linalg.norm(start)
    np.testing.assert_allclose(kernel_change(net, X, u, 0.7), wanted, rtol=1e-9)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_worst_found_is_worse_than_all_that_is_tried(name):
    """Random steps, the gradient and the eigenvector, all from the naive twin; no step of 40 comes above."""
    case = cases.BY_NAME[name]
    net, network, x = case.assembly(), case.network(), case.x()
    X, radius = np.array([x, -0.5 * x]), 0.6
    steps = [*some_steps(net.n_parameters, radius)]
    gradient, top = net.gradient(x), naive.hessian(network, case.w, x)
    vector = np.linalg.eigh(top)[1][:, np.abs(np.linalg.eigvalsh(top)).argmax()]
    steps += [sign * radius * u for u in (vector, gradient / np.linalg.norm(gradient)) for sign in (1.0, -1.0)]
    tried = max(distance_from_linear(network, case.w, x, step) for step in steps)
    assert worst_remainder(net, x, radius) >= tried * (1.0 - 1e-6)
    start = kernel(network, case.w, X)
    tried = max(np.linalg.norm(kernel(network, case.w + step, X) - start) for step in steps) / np.linalg.norm(start)
    assert worst_kernel_change(net, X, radius) >= tried * (1.0 - 1e-6)


def test_the_worst_remainder_of_a_quadratic_network_is_half_its_norm():
    """``f = x^T w^2 / 2``: R^2 / 2 times the largest |eigenvalue| of H is attained, and K follows."""
    net = am.mlp(3, [4], "quadratic", trainable_readout=False, readout="sign", seed=1)
    x = np.array([1.0, -0.5, 2.0])
    for radius in (0.3, 1.5):
        np.testing.assert_allclose(
            worst_remainder(net, x, radius), 0.5 * radius**2 * net.hessian(x).norm().value, rtol=1e-6
        )


def test_a_linear_network_has_no_remainder_and_a_constant_kernel():
    net = am.mlp(3, [4], "identity", trainable_readout=False, seed=1)
    x = np.array([1.0, -0.5, 2.0])
    assert worst_remainder(net, x, 1.0) < 1e-12
    assert worst_kernel_change(net, [x], 1.0) < 1e-12


def test_the_worst_kernel_change_is_relative_and_does_not_exist_without_a_kernel():
    net, X = am.mlp(3, [4, 4], seed=1), np.random.default_rng(0).normal(size=(2, 3))
    twice = am.Assembly([net], [2.0], scale=1.0)
    np.testing.assert_allclose(worst_kernel_change(twice, X, 0.5), worst_kernel_change(net, X, 0.5), rtol=1e-2)
    dead = am.mlp(1, [4], "relu").with_parameters(-np.ones(8))
    assert math.isnan(worst_kernel_change(dead, [[1.0]], 0.5))


def test_the_relative_change_of_a_kernel_is_one_formula_wherever_it_is_measured():
    net, X = am.mlp(3, [4, 4], seed=1), np.random.default_rng(0).normal(size=(4, 3))
    run = am.train(net, X, [1.0, -1.0, 1.0, -1.0], n_steps=20, record=("kernel",), beside=())
    kernels = net.with_parameters(run.parameters).tangent_kernel(X), net.tangent_kernel(X)
    assert run["kernel_change"][-1] == relative_change(*kernels) > 1e-3
    np.testing.assert_allclose(
        relative_change(*kernels), np.sqrt(((kernels[0] - kernels[1]) ** 2).sum() / (kernels[1] ** 2).sum()), rtol=1e-12
    )
    dead = am.mlp(1, [4], "relu").with_parameters(-np.ones(8))
    nothing = am.train(dead, [[1.0]], [1.0], n_steps=1, record=("kernel",), beside=())
    assert np.isnan([*nothing["kernel_change"], kernel_change(dead, [[1.0]], np.eye(8)[0], 0.5)]).all()


def test_ratios():
    assert ratios(0.5, 2.0, 3.0) == (0.125, 0.75)
    assert all(math.isnan(ratio) for ratio in ratios(0.5, 0.0, 1.0))
    assert all(math.isnan(ratio) for ratio in ratios(math.nan, 2.0, 1.0))
    with pytest.raises(ArgumentError, match="'radius' argument must be a finite number above 0"):
        ratios(0.5, 2.0, 0.0)


@pytest.mark.parametrize("radius", [0.0, -1.0, math.inf, "1"])
def test_radii_are_positive(radius):
    net, x = am.mlp(2, [3], seed=0), [1.0, 2.0]
    for ask in (lambda: worst_remainder(net, x, radius), lambda: worst_kernel_change(net, [x], radius)):
        with pytest.raises(ArgumentError, match="'radius' argument must be a finite number above 0"):
            ask()


def test_one_output():
    net, x = am.mlp(2, [3], n_outputs=2, seed=0), [1.0, 2.0]
    for ask in (
        lambda: worst_remainder(net, x, 1.0),
        lambda: worst_kernel_change(net, [x], 1.0),
        lambda: remainder(net, x, net.gradient(x), 1.0),
    ):
        with pytest.raises(ArgumentError, match=r"'net' argument must have one output\. Got 2"):
            ask()
    with pytest.raises(ArgumentError, match=r"'family' argument must make networks of one output\. Got 2"):
        am.linearity_surface(lambda width, seed: net, [3], [1.0], [x], seeds=1)
    with pytest.raises(ShapeError, match="'x' argument must have shape"):
        worst_remainder(am.mlp(2, [3], seed=0), [1.0], 1.0)


# The surface

X = np.array([[1.0, -0.5], [0.3, 2.0]])
WIDTHS, RADII = (3, 6, 12, 32), (0.1, 0.4)


def family(width: int, seed: int) -> am.Assembly:
    return am.mlp(2, [width, width], "tanh", seed=seed)


@pytest.fixture(scope="module")
def surface() -> LinearitySurface:
    return am.linearity_surface(family, WIDTHS, RADII, X, seeds=3)


def test_every_entry_is_what_the_functions_say(surface):
    assert surface.is_complete
    assert surface.seeds == (0, 1, 2)
    for (r, radius), (i, width), (j, seed) in itertools.product(*map(enumerate, (RADII, WIDTHS, surface.seeds))):
        net = family(width, seed)
        norms = np.array([net.hessian(x).norm().value for x in X])
        slopes = np.array([np.linalg.norm(net.gradient(x)) for x in X])
        found = surface.remainder[:, r, i, j]
        steepest = [net.gradient(x) / slope for x, slope in zip(X, slopes, strict=True)]
        top = [net.hessian(x).eigenvectors()[0] for x in X]
        wanted = np.mean([remainder(net, x, u, radius) for x, u in zip(X, steepest, strict=True)])
        np.testing.assert_allclose(found[1], wanted, rtol=1e-12)
        wanted = np.mean([remainder(net, x, u, radius) for x, u in zip(X, top, strict=True)])
        np.testing.assert_allclose(found[2], wanted, rtol=1e-3)
        np.testing.assert_allclose(found[3], np.mean([worst_remainder(net, x, radius) for x in X]), rtol=1e-12)
        change = np.mean([kernel_change(net, X, u, radius) for u in steepest])
        np.testing.assert_allclose(surface.kernel_change[1, r, i, j], change, rtol=1e-12)
        np.testing.assert_allclose(surface.kernel_change[3, r, i, j], worst_kernel_change(net, X, radius), rtol=1e-7)
        np.testing.assert_allclose(surface.hessian_norm[i, j], norms.mean(), rtol=1e-6)
        np.testing.assert_allclose(surface.gradient_norm[i, j], slopes.mean(), rtol=1e-12)
        np.testing.assert_allclose(surface.hessian_over_gradient_squared[i, j], np.mean(norms / slopes**2), rtol=1e-6)
        np.testing.assert_allclose(
            surface.hessian_times_radius_over_gradient[r, i, j], radius * np.mean(norms / slopes), rtol=1e-6
        )


def test_bounds_of_the_remainder():
    net, x = am.mlp(3, [6, 5], seed=1), np.array([1.0, -0.5, 2.0])
    found = remainder_bounds(net, x, [0.2, 1.0])
    for radius, bound in zip([0.2, 1.0], found, strict=True):
        np.testing.assert_allclose(bound, 0.5 * radius**2 * net.curvature_in_ball(x, radius).upper, rtol=1e-6)
    assert np.isnan(remainder_bounds(am.mlp(3, [4], "relu"), x, [0.2, 1.0])).tolist() == [True, True]
    softmax = cases.BY_NAME["softmax-neurons"]
    assert np.isnan(remainder_bounds(softmax.assembly(), softmax.x(), [0.2])).all()
    with pytest.raises(ArgumentError, match="'radius' argument must be a finite number above 0"):
        remainder_bounds(am.mlp(3, [4], "relu"), x, [0.2, 0.0])


def test_each_network_has_a_random_direction_of_its_own():
    net = family(4, 0)
    drawn = [sweep._random_direction(net, width, seed) for width in (4, 8) for seed in (0, 1)]
    np.testing.assert_allclose([np.linalg.norm(u) for u in drawn], 1.0, rtol=1e-12)
    assert np.abs(np.array(drawn) @ np.array(drawn).T - np.eye(4)).max() < 0.9
    np.testing.assert_array_equal(drawn[1], sweep._random_direction(net, 4, 1))


def test_random_directions_are_one_per_network_and_never_the_worst(surface):
    rest = surface.remainder[:, :, :, :]
    assert (rest[3] >= rest[:3].max(axis=0) * (1.0 - 1e-3)).all()
    assert (rest[0] < 0.9 * rest[3]).all()
    assert len(np.unique(rest[0])) == rest[0].size


def test_the_bound_is_above_the_worst(surface):
    assert (surface.remainder_bound >= surface.remainder[3]).all()
    assert (surface.kernel_change_bound >= surface.kernel_change[3]).all()
    assert (surface.remainder_bound[0] <= 3.0 * surface.remainder[3, 0]).all()  # a small ball leaves little room


def test_medians_and_slopes_are_those_of_the_numbers(surface):
    medians = surface.medians()
    np.testing.assert_array_equal(medians, np.median(surface.remainder, axis=-1))
    rate = surface.rate_in_width(radius=0.4, direction="gradient")
    assert rate.exponent == fit_rate(WIDTHS, surface.remainder[1, 1].tolist()).exponent
    assert abs(rate.exponent - np.polyfit(np.log(WIDTHS), np.log(medians[1, 1]), 1)[0]) < 0.1
    assert rate.lower <= rate.exponent <= rate.upper
    norm = surface.rate_in_width("hessian_norm", radius=0.1)
    assert norm.exponent == fit_rate(WIDTHS, surface.hessian_norm.tolist()).exponent
    over = surface.rate_in_width("hessian_times_radius_over_gradient", radius=0.4)
    assert over.medians == pytest.approx(np.median(surface.hessian_times_radius_over_gradient[1], axis=-1).tolist())
    slopes = surface.slopes_in_radius(direction="random")
    np.testing.assert_allclose(slopes, np.log(medians[0, 1] / medians[0, 0]) / np.log(4.0), rtol=1e-10)
    assert (np.abs(slopes - 2.0) < 0.1).all()


def planted(m_power: float, r_power: float, noise: float = 0.0) -> LinearitySurface:
    made = empty_surface(("random", "worst"), (0.1, 0.3, 1.0), (16, 64, 256, 1024), tuple(range(9)), X)
    rng = np.random.default_rng(0)
    law = np.array(made.radii)[:, None, None] ** r_power * np.array(made.widths)[None, :, None] ** m_power
    made.remainder[1] = law * np.exp(noise * rng.standard_normal((3, 4, 9)))
    return made


def test_planted_exponents_are_recovered():
    found = planted(-0.5, 2.0)
    np.testing.assert_allclose(found.rate_in_width(radius=0.3).exponent, -0.5, rtol=1e-10)
    np.testing.assert_allclose(found.slopes_in_radius(), [2.0] * 4, rtol=1e-10)
    rate = planted(-0.5, 2.0, noise=0.2).rate_in_width(radius=1.0)
    assert abs(rate.exponent + 0.5) < 0.1
    assert 0.0 < rate.upper - rate.lower < 0.3


def test_what_is_not_known_is_left_out():
    made = planted(-0.5, 2.0)
    made.remainder[1, 0, 0, :] = np.nan
    made.remainder[1, 1, 1, :4] = np.nan
    assert np.isnan(made.medians()[1, 0, 0])
    np.testing.assert_allclose(made.medians()[1, 1, 1], 0.3**2 * 64**-0.5, rtol=1e-12)
    assert np.isnan(made.slopes_in_radius()[0])
    np.testing.assert_allclose(made.slopes_in_radius()[1:], 2.0, rtol=1e-10)
    made.remainder[1, 0, 3, :] = 0.0
    assert np.isnan(made.slopes_in_radius()).tolist() == [True, False, False, True]


def test_relu_has_no_bound_but_everything_else():
    made = am.linearity_surface(
        lambda width, seed: am.mlp(2, [width, width], "relu", seed=seed), [6], [0.2], X, seeds=[3]
    )
    assert np.isnan(made.remainder_bound).all()
    assert np.isnan(made.kernel_change_bound).all()
    assert not np.isnan(made.remainder).any()
    assert not np.isnan(made.kernel_change).any()


def test_a_family_without_curvature_has_no_worst_eigenvector():
    made = am.linearity_surface(
        lambda width, seed: am.mlp(2, [width], "identity", seed=seed, trainable_readout=False),
        [4],
        [0.5],
        X,
        seeds=1,
        directions=["top_eigenvector", "gradient"],
    )
    assert np.isnan(made.remainder[0]).all()
    assert (made.remainder[1] < 1e-12).all()
    assert (made.hessian_norm == 0.0).all()


# Files and interruptions


def same(one: LinearitySurface, two: LinearitySurface) -> None:
    for name in ("directions", "radii", "widths", "seeds"):
        assert getattr(one, name) == getattr(two, name)
    for name in ("X", "remainder", "kernel_change", *OVER_RADII, *AT_CENTRE, "networks"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_a_file_gives_back_what_was_saved(surface, tmp_path):
    same(LinearitySurface.load(surface.save(tmp_path / "surface.npz")), surface)


def test_a_file_that_cannot_be_written_leaves_the_one_before(surface, tmp_path, monkeypatch):
    path = surface.save(tmp_path / "surface.npz")
    before = path.read_bytes()

    def breaks_off(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", breaks_off)
    with pytest.raises(OSError, match="no space left"):
        surface.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_run_goes_on_where_it_was(surface, tmp_path, monkeypatch):
    path, measured, real = tmp_path / "surface.npz", [], sweep._measured

    def interrupted(net, *rest):
        if len(measured) == 4:
            raise KeyboardInterrupt
        measured.append(net)
        return real(net, *rest)

    monkeypatch.setattr(sweep, "_measured", interrupted)
    told = []
    with pytest.raises(KeyboardInterrupt):
        am.linearity_surface(family, WIDTHS, RADII, X, seeds=3, save=path, on_progress=lambda *n: told.append(n))
    assert told == [(1, 12), (2, 12), (3, 12), (4, 12)]
    partial = LinearitySurface.load(path)
    assert not partial.is_complete
    np.testing.assert_array_equal(partial.remainder[:, :, 0], surface.remainder[:, :, 0])
    assert np.isnan(partial.remainder[:, :, 2]).all()
    counted = []
    monkeypatch.setattr(sweep, "_measured", lambda net, *rest: counted.append(net) or real(net, *rest))
    same(am.linearity_surface(family, WIDTHS, RADII, X, seeds=3, save=path), surface)
    assert len(counted) == 8
    same(LinearitySurface.load(path), surface)


def test_more_widths_and_seeds_are_added_to_what_is_there(tmp_path, monkeypatch):
    path, counted, real = tmp_path / "surface.npz", [], sweep._measured
    ask = {"directions": ["gradient"], "save": path}
    small = am.linearity_surface(family, [4, 8], RADII, X, seeds=2, **ask)
    monkeypatch.setattr(sweep, "_measured", lambda net, *rest: counted.append(net) or real(net, *rest))
    large = am.linearity_surface(family, [4, 6, 8], RADII, X, seeds=[1, 0, 5], **ask)
    assert len(counted) == 5
    np.testing.assert_array_equal(large.remainder[:, :, [0, 2]][..., [1, 0]], small.remainder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"radii": (0.1, 0.5)}, "holds a surface with radii"),
        ({"directions": ["random"]}, "holds a surface with directions"),
        ({"X": X + 1.0}, "measured at other inputs"),
        ({"family": lambda width, seed: family(width, seed + 1)}, "holds another network of width 4 and seed 0"),
        ({"family": lambda width, seed: am.mlp(2, [width, width], "erf", seed=seed)}, "holds another network"),
    ],
)
def test_another_surface_is_never_mixed_in(change, message, tmp_path):
    ask = {"family": family, "widths": [4], "radii": RADII, "X": X, "seeds": 1, "directions": ["gradient"]}
    am.linearity_surface(**ask, save=tmp_path / "surface.npz")
    before = (tmp_path / "surface.npz").read_bytes()
    with pytest.raises(ResultsError, match=message):
        am.linearity_surface(**ask | change, save=tmp_path / "surface.npz")
    assert (tmp_path / "surface.npz").read_bytes() == before


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "surface.npz").write_bytes(b"no archive")
    with pytest.raises(ResultsError, match="holds no linearity surface"):
        LinearitySurface.load(tmp_path / "surface.npz")
    np.savez(tmp_path / "other.npz", version=0, a=np.zeros(2))
    with pytest.raises(ResultsError, match="holds no linearity surface"):
        LinearitySurface.load(tmp_path / "other.npz")


@pytest.mark.parametrize("damage", ["cut", "missing", "shape", "kind", "name", "axis"])
def test_a_damaged_file_is_refused_in_words_of_our_own(tmp_path, damage):
    path = tmp_path / "surface.npz"
    am.linearity_surface(family, [4, 8], RADII, X, seeds=1, directions=["gradient"]).save(path)
    with np.load(path) as file:
        held = dict(file)
    changes = {
        "missing": lambda: held.pop("remainder"),
        "shape": lambda: held.update(remainder=held["remainder"][..., :0]),
        "kind": lambda: held.update(remainder=held["remainder"].astype(str)),
        "name": lambda: held.update(unknown=np.zeros(2)),
        "axis": lambda: held.update(widths=np.array(4)),
        "cut": lambda: None,
    }
    changes[damage]()
    np.savez(path, **held)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ResultsError) as refused:
        LinearitySurface.load(path)
    assert str(refused.value) == f"{path} holds no linearity surface, or is damaged. Name another file."


# Arguments


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"widths": []}, ArgumentError, "'widths' argument must be a non-empty sequence"),
        ({"widths": [8, 4]}, ArgumentError, "'widths' argument must be ascending"),
        ({"radii": []}, ArgumentError, "'radii' argument must be a non-empty sequence"),
        ({"radii": [0.0, 1.0]}, ArgumentError, r"'radii\[0\]' argument must be a finite number above 0"),
        ({"radii": [1.0, 1.0]}, ArgumentError, "'radii' argument must be ascending"),
        ({"seeds": [1, 1]}, ArgumentError, "'seeds' argument must name each seed once"),
        ({"seeds": 0}, ArgumentError, "'seeds' argument must be an int of at least 1"),
        ({"directions": ["gradients"]}, UnknownNameError, "Did you mean 'gradient'"),
        ({"directions": []}, ArgumentError, "'directions' argument must name at least one"),
        ({"directions": "worst"}, ArgumentError, "'directions' argument must name at least one"),
        ({"X": [[1.0]]}, ShapeError, "'X' argument must have shape"),
    ],
)
def test_bad_arguments(change, error, message):
    ask = {"widths": [4], "radii": [0.1], "X": X, "seeds": 1}
    with pytest.raises(error, match=message):
        am.linearity_surface(family, **ask | change)


def test_questions_to_a_surface_that_it_cannot_answer(surface):
    with pytest.raises(UnknownNameError, match="'quantity' argument must be one of"):
        surface.medians("remainders")
    with pytest.raises(UnknownNameError, match="'direction' argument must be one of"):
        surface.rate_in_width(radius=0.1, direction="down")
    with pytest.raises(ArgumentError, match=r"'radius' argument must be one of 0\.1, 0\.4\. Got 0\.2"):
        surface.rate_in_width(radius=0.2)
    with pytest.raises(UnknownNameError, match="'quantity' argument must be one of"):
        surface.slopes_in_radius("hessian_norm")
    lone = empty_surface(("worst",), (1.0,), (4,), (0,), X)
    with pytest.raises(ArgumentError, match="at least two radii"):
        lone.slopes_in_radius()


def test_a_folder_that_is_not_there_is_said_before_anything_is_measured(tmp_path):
    def family(width, seed):
        raise AssertionError("measured before the folder was looked at")

    with pytest.raises(ArgumentError, match="'save' argument"):
        am.linearity_surface(family, [4, 8, 16, 40], [1.0], [[1.0]], save=tmp_path / "none" / "surface.npz")
