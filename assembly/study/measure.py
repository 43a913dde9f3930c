"""What is measured at one point of a study: one network, averaged over a fixed set of inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.lockstep import input_pairs
from assembly.calculus.shares import curvature_contributions, shares
from assembly.diagnostics.conditions import principal_shares
from assembly.diagnostics.diversity import layers_with_cosines, rms_cosine
from assembly.diagnostics.dominance import dominance, trainable_layers
from assembly.diagnostics.linearity import kernel_change, ratios, remainder, worst_kernel_change, worst_remainder
from assembly.dynamics.catapult import catapult_limit
from assembly.dynamics.loss_hessian import along_gradient
from assembly.dynamics.losses import LOSSES
from assembly.limits.kernels import limit_kernels
from assembly.model import Assembly
from assembly.seeds import generator
from assembly.study import quantities, trained
from assembly.study.builders import BUILDERS
from assembly.study.linear_units import linear_units
from assembly.study.quantities import (
    COSINES,
    LINEAR_UNITS,
    NEURON_HESSIANS,
    NOISY,
    RATES,
    TAYLOR,
    TRAINED,
    WORST_CHANGE,
)
from assembly.study.trained import Subject

if TYPE_CHECKING:
    from assembly.calculus.hessian import Hessian
    from assembly.data import Samples
    from assembly.estimate import Estimate
    from assembly.study.design import Point, Settings

MAX_STEPS = 2000
LIMIT_ERROR = 1e-6  # of a limit kernel that is used


def build(point: Point) -> Assembly:
    """Return the network of a point; one with several outputs is measured at the first, and built with it alone."""
    return first_output(
        BUILDERS[point.builder].build(point.settings.shape, point.width, point.seed, point.settings.options)
    )


def first_output(net: Assembly) -> Assembly:
    """Return the first output of a network as a network of its own, with the parameters it depends on."""
    if net.n_outputs == 1:
        return net
    graph, origins = net.graph.restrict(net.graph.outputs[:1])
    return Assembly.from_graph(graph, np.concatenate([net.parameters[places] for places in origins]))


def columns_of(net: Assembly, names: tuple[str, ...] = ()) -> list[str]:
    """Return the columns that a network with one output has when these quantities, or the usual ones, are measured."""
    return quantities.columns(trainable_layers(net), layers_with_cosines(net), curved_layers(net), names)


def curved_layers(net: Assembly) -> list[int]:
    """Return the hidden layers whose pre-activations are not linear in the parameters: those that read neurons."""
    graph = net.graph
    return [
        layer
        for layer in trainable_layers(net)
        if any(
            not graph.groups[graph.connections[p].source].is_given
            for group in graph.layers[layer]
            for p in graph.incoming[group]
        )
    ]


def measure(point: Point, samples: Samples) -> dict[str, float]:
    """Return the quantities of one point that its settings ask for, the mean over the inputs.

    Parameters
    ----------
    point : Point
    samples : Samples
        The targets are needed by quantities of trained networks only.

    Returns
    -------
    dict
        Quantity -> value, the columns described in `assembly.study.quantities`. NaN marks a quantity that does not
        exist (cosines in a layer of one neuron) or whose Hessian norm did not converge at some input.

    Notes
    -----
    Cost: per input one Hessian norm, two matrix products per layer for the cosines, and about
    20 + 6 n passes over the weights; memory nine copies of the parameters. Whatever no quantity needs that is asked for
    is left out. Quantities on request cost what the functions behind them say.
    """
    return measure_network(build(point), samples, point.settings, random_numbers(point))


def random_numbers(point: Point) -> np.random.Generator:
    """Return the generator of the random direction of a point."""
    return generator(point.seed, "direction", point.architecture, point.width)


def measure_network(net: Assembly, samples: Samples, settings: Settings, rng: np.random.Generator) -> dict[str, float]:
    """Return every quantity that the settings ask for, the mean over the inputs; `rng` draws the random direction."""
    inputs, wanted = samples.inputs, set(quantities.asked_for(settings.quantities))
    direction = _random_direction(net, rng) if "remainder_random" in wanted else None
    rows, statuses = [], []
    pairs = _TopPairs(net, inputs, settings.tol)
    for number, x in enumerate(inputs):
        one = _AtOneInput(net, x, number, inputs, settings, direction, pairs)
        rows.append(_gathered(_AT_ONE_INPUT, one, wanted))
        statuses.append(one.status())
    found = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    found |= _gathered(_AT_ALL_INPUTS, (net, samples, settings), wanted)
    combined = {name: float(combine([one[name] for one in statuses])) for name, combine in _STATUS if statuses[0]}
    return found | combined


class _TopPairs:
    """The top eigenpairs at all inputs, found together when the first is asked for."""

    def __init__(self, net: Assembly, inputs: NDArray[Any], tol: float) -> None:
        self.net, self.inputs, self.tol = net, inputs, tol

    @cached_property
    def pairs(self) -> list[tuple[Estimate, NDArray[Any]]]:
        return input_pairs(self.net.evaluate(self.inputs), 0, self.tol, MAX_STEPS, 0)


class _AtOneInput:
    """One network at one input: what several quantities need is computed once, and only if one of them is wanted."""

    def __init__(
        self,
        net: Assembly,
        x: NDArray[Any],
        number: int,
        inputs: NDArray[Any],
        settings: Settings,
        direction: NDArray[Any] | None,
        pairs: _TopPairs,
    ) -> None:
        self.net, self.x, self.number, self.inputs, self.direction = net, x, number, inputs, direction
        self._pairs = pairs
        self.radius, self.tol = settings.radius, settings.tol

    @cached_property
    def hessian(self) -> Hessian:
        return self.net.hessian(self.x)

    @cached_property
    def top_pair(self) -> tuple[Estimate, NDArray[Any]]:
        return self._pairs.pairs[self.number]

    @cached_property
    def norm(self) -> float:
        top, _ = self.top_pair
        return abs(float(top.value)) if top.converged else math.nan

    @cached_property
    def worst(self) -> NDArray[Any] | None:
        """The unit eigenvector of the largest |eigenvalue|, None if it did not converge."""
        top, coordinates = self.top_pair
        return self.hessian.node_space.Z_transposed(coordinates) if top.converged else None

    @cached_property
    def gradient(self) -> NDArray[Any]:
        return self.net.gradient(self.x)

    @cached_property
    def slope(self) -> float:
        return float(np.linalg.norm(self.gradient))

    @cached_property
    def steepest(self) -> NDArray[Any] | None:
        return self.gradient / self.slope if self.slope > 0.0 else None

    def status(self) -> dict[str, float]:
        """How the iteration for the norm went; empty if no quantity needed it."""
        if "top_pair" not in self.__dict__:
            return {}
        top, _ = self.top_pair
        residual, n_steps = float(top.residual), float(top.n_steps)
        return {"n_unconverged": float(not top.converged), "largest_residual": residual, "n_steps": n_steps}


Row = dict[str, float]
_STATUS: tuple[tuple[str, Callable[[list[float]], float]], ...] = (
    ("n_unconverged", sum),
    ("largest_residual", max),
    ("n_steps", sum),
)


def _gathered(table: dict[tuple[str, ...], Callable[..., Row]], subject: Any, wanted: set[str]) -> Row:
    """Return the wanted quantities of a table, each function called only if one of its quantities is wanted."""
    row: Row = {}
    for names, function in table.items():
        if wanted & set(names):
            row |= {name: v for name, v in function(subject).items() if quantities.pattern(name) in wanted}
    return row


# --- at one input ----------------------------------------------------------------------------------------------------


def _norm(one: _AtOneInput) -> Row:
    return {"hessian_norm": one.norm}


def _slope(one: _AtOneInput) -> Row:
    return {"gradient_norm": one.slope}


def _ratios(one: _AtOneInput) -> Row:
    found = ratios(one.norm, one.slope, one.radius)
    return {
        "hessian_over_gradient_squared": found.over_gradient_squared,
        "hessian_times_radius_over_gradient": found.times_radius_over_gradient,
    }


def _shares(one: _AtOneInput) -> Row:
    """Who carries the gradient, layer by layer."""
    shape, measured = dominance(one.net, one.x), trainable_layers(one.net)
    row = {"q_infinity": shape.q_infinity}
    for layer in (layer for layer in shape.layers if layer.layer in measured):
        row[f"largest_share_layer_{layer.layer}"] = layer.largest_share
        row[f"effective_number_layer_{layer.layer}"] = layer.effective_number
    return row


def _curvature_shares(one: _AtOneInput) -> Row:
    """Who carries the curvature, layer by layer."""
    top, coordinates = one.top_pair
    curvature = curvature_contributions(one.hessian.node_space, coordinates)
    row = {}
    for layer in trainable_layers(one.net):
        carried = shares(curvature[one.net.layers[layer].nodes])
        row[f"largest_curvature_share_layer_{layer}"] = float(carried.max()) if top.converged else math.nan
    return row


def _cosines(one: _AtOneInput) -> Row:
    return {COSINES.format(l=layer): rms_cosine(one.net, layer, one.x) for layer in layers_with_cosines(one.net)}


def _neuron_hessians(one: _AtOneInput) -> Row:
    """The median over the neurons of each layer; NaN where one of them did not converge."""
    row = {}
    for number in curved_layers(one.net):
        layer = one.net.layers[number]
        found, slopes = layer.hessian_norms(one.x, one.tol), layer.gradient_norms(one.x)
        norms = np.asarray(found.value) if found.converged else np.full(layer.size, math.nan)
        alive = slopes > 0.0
        row[NEURON_HESSIANS[0].format(l=number)] = float(np.median(norms))
        row[NEURON_HESSIANS[1].format(l=number)] = (
            float(np.median(norms[alive] / slopes[alive])) if alive.any() else math.nan
        )
    return row


def _conditions(one: _AtOneInput) -> Row:
    found = principal_shares(one.net, one.x)
    return {
        "principal_share": found.principal_share,
        "predicted_hessian_over_gradient_squared": found.predicted_hessian_over_gradient_squared,
    }


def _remainder_along(name: str, direction: str) -> Callable[[_AtOneInput], Row]:
    def function(one: _AtOneInput) -> Row:
        along = getattr(one, direction)
        return {name: math.nan if along is None else remainder(one.net, one.x, along, one.radius)}

    return function


def _worst_remainder(one: _AtOneInput) -> Row:
    return {"remainder_worst": worst_remainder(one.net, one.x, one.radius)}


def _ball(one: _AtOneInput) -> Row:
    found = one.net.curvature_in_ball(one.x, one.radius)
    return {"curvature_in_ball_lower": found.lower, "curvature_in_ball_upper": found.upper}


def _kernel_change(one: _AtOneInput) -> Row:
    change = math.nan if one.worst is None else kernel_change(one.net, one.inputs, one.worst, one.radius)
    return {"kernel_change_top_eigenvector": change}


def _taylor(one: _AtOneInput) -> Row:
    if one.steepest is None:
        return dict.fromkeys(TAYLOR.values(), math.nan)
    coefficients = one.net.taylor(one.x, one.steepest, max(TAYLOR))
    return {name: abs(float(coefficients[order])) for order, name in TAYLOR.items()}


_AT_ONE_INPUT: dict[tuple[str, ...], Callable[[_AtOneInput], Row]] = {
    ("hessian_norm",): _norm,
    ("gradient_norm",): _slope,
    ("hessian_over_gradient_squared", "hessian_times_radius_over_gradient"): _ratios,
    ("q_infinity", "largest_share_layer_{l}", "effective_number_layer_{l}"): _shares,
    ("largest_curvature_share_layer_{l}",): _curvature_shares,
    (COSINES,): _cosines,
    NEURON_HESSIANS: _neuron_hessians,
    ("principal_share", "predicted_hessian_over_gradient_squared"): _conditions,
    ("remainder_top_eigenvector",): _remainder_along("remainder_top_eigenvector", "worst"),
    ("remainder_gradient",): _remainder_along("remainder_gradient", "steepest"),
    ("remainder_worst",): _worst_remainder,
    ("remainder_random",): _remainder_along("remainder_random", "direction"),
    ("kernel_change_top_eigenvector",): _kernel_change,
    tuple(TAYLOR.values()): _taylor,
    ("curvature_in_ball_lower", "curvature_in_ball_upper"): _ball,
}

# --- at all inputs together ------------------------------------------------------------------------------------------


def _kernel_summary(subject: Subject) -> Row:
    net, samples, _ = subject
    kernel = net.tangent_kernel(samples.inputs)
    eigenvalues = np.linalg.eigvalsh(kernel)
    return {
        "kernel_norm": float(np.linalg.norm(kernel)),
        "kernel_smallest_eigenvalue": float(eigenvalues[0]),
        "kernel_largest_eigenvalue": float(eigenvalues[-1]),
    }


def _worst_kernel_change(subject: Subject) -> Row:
    net, samples, settings = subject
    row = {WORST_CHANGE[0]: worst_kernel_change(net, samples.inputs, settings.radius)}
    if WORST_CHANGE[1] in settings.quantities:
        row[WORST_CHANGE[1]] = row[WORST_CHANGE[0]] / _relative_curvature(subject)
    return row


def _relative_curvature(subject: Subject) -> float:
    """The relative change of the gradient over the radius, mean over the inputs; NaN if a norm did not converge."""
    net, samples, settings = subject
    top = [pair for pair, _ in _TopPairs(net, samples.inputs, settings.tol).pairs]
    norms = [abs(float(one.value)) if one.converged else math.nan for one in top]
    slopes = [float(np.linalg.norm(net.gradient(x))) for x in samples.inputs]
    found = [ratios(*one, settings.radius).times_radius_over_gradient for one in zip(norms, slopes, strict=True)]
    return float(np.mean(found))


def _kernel_limit(subject: Subject) -> Row:
    net, (inputs, _), _ = subject
    found = limit_kernels(net, inputs)
    distance = float(np.linalg.norm(net.tangent_kernel(inputs) - found.tangent) / np.linalg.norm(found.tangent))
    return {"kernel_limit_distance": distance if found.error < LIMIT_ERROR else math.nan}


def _loss_hessian_rest(subject: Subject) -> Row:
    net, (inputs, targets), _ = subject
    found = along_gradient(net.evaluate(inputs), targets[:, None], LOSSES["squared"])
    return {"loss_hessian_rest": abs(found.rest) / found.gauss_newton if found.gauss_newton > 0.0 else math.nan}


def _catapult_limit(subject: Subject) -> Row:
    net, (inputs, targets), _ = subject
    return {"catapult_limit": catapult_limit(net.evaluate(inputs), net.parameters, targets[:, None])}


def _linear_units(subject: Subject) -> Row:
    net, samples, settings = subject
    return linear_units(net, samples, settings.training_steps)


_AT_ALL_INPUTS: dict[tuple[str, ...], Callable[..., Row]] = {
    ("kernel_norm", "kernel_smallest_eigenvalue", "kernel_largest_eigenvalue"): _kernel_summary,
    WORST_CHANGE: _worst_kernel_change,
    TRAINED: trained.trained,
    NOISY: trained.noisy,
    RATES: trained.rates,
    ("orthogonal_deviation",): trained.orthogonal,
    ("kernel_limit_distance",): _kernel_limit,
    ("loss_hessian_rest",): _loss_hessian_rest,
    ("catapult_limit",): _catapult_limit,
    LINEAR_UNITS: _linear_units,
}


def _random_direction(net: Assembly, rng: np.random.Generator) -> NDArray[Any]:
    """One unit direction per network, the same at all its inputs and in either precision."""
    direction = rng.standard_normal(net.n_parameters)
    direction /= np.linalg.norm(direction)
    return direction.astype(net.dtype, copy=False)
