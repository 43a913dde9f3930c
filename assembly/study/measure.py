"""What is measured at one point of a study: one network, averaged over a fixed set of inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.shares import curvature_contributions, shares
from assembly.diagnostics.diversity import rms_cosine
from assembly.diagnostics.dominance import dominance
from assembly.diagnostics.linearity import kernel_change, remainder
from assembly.graph.connections import Convolution, Tied
from assembly.model import Assembly
from assembly.seeds import generator
from assembly.study import quantities
from assembly.study.builders import BUILDERS
from assembly.study.quantities import COSINES, LARGEST_GRAM

if TYPE_CHECKING:
    from assembly.calculus.hessian import Hessian
    from assembly.estimate import Estimate
    from assembly.study.design import Point, Settings

MAX_STEPS = 2000

_STATUS: dict[str, Any] = {"n_unconverged": sum, "largest_residual": max, "n_steps": sum}
_SHARES = ("q_infinity", "largest_share_layer_{l}", "largest_curvature_share_layer_{l}", "effective_number_layer_{l}")
_REMAINDERS = ("remainder_top_eigenvector", "remainder_gradient", "remainder_random")
_CHANGE = "kernel_change_top_eigenvector"
_KERNEL = ("kernel_norm", "kernel_smallest_eigenvalue", "kernel_largest_eigenvalue")


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


def columns_of(net: Assembly) -> list[str]:
    """Return the columns that a network with one output has when everything is measured."""
    return quantities.columns(hidden_layers(net), layers_with_cosines(net))


def hidden_layers(net: Assembly) -> list[int]:
    """Return the hidden layers with trainable in-edges; sums with identity skips and averages have none."""
    graph = net.graph
    last = graph.levels[graph.outputs[0][0]]
    return [
        layer
        for layer in range(1, last)
        if any(graph.in_degrees(group, trainable=True).any() for group in graph.layers[layer])
    ]


def layers_with_cosines(net: Assembly) -> list[int]:
    """Return the hidden layers in which cosines between gradients are measured.

    Not those in which they are 0 by construction (neurons that read the inputs alone and share no weight), and none
    above or at a layer of more than `LARGEST_GRAM` neurons, whose Gram matrix would be too large.
    """
    graph = net.graph
    sizes = [layer.size for layer in net.layers]
    found = []
    for layer in hidden_layers(net):
        edges = [graph.connections[p] for group in graph.layers[layer] for p in graph.incoming[group]]
        meet = any(not graph.groups[one.source].is_given or isinstance(one, Tied | Convolution) for one in edges)
        if meet and max(sizes[1 : layer + 1]) <= LARGEST_GRAM:
            found.append(layer)
    return found


def measure(point: Point, inputs: NDArray[np.float64]) -> dict[str, float]:
    """Return every quantity of one point, the mean over the inputs.

    Parameters
    ----------
    point : Point
    inputs : ndarray of shape (n, n_inputs)

    Returns
    -------
    dict
        Quantity -> value, the columns described in `assembly.study.quantities`. NaN marks a quantity that does not
        exist (cosines in a layer of one neuron) or whose Hessian norm did not converge at some input.

    Notes
    -----
    Cost: per input one Hessian norm, two matrix products per layer for the cosines, and about
    20 + 6 n passes over the weights; memory nine copies of the parameters. Shares, cosines, remainders and kernels
    are left out where none of them is asked for.
    """
    return measure_network(build(point), inputs, point.settings, random_numbers(point))


def random_numbers(point: Point) -> np.random.Generator:
    """Return the generator of the random direction of a point."""
    return generator(point.seed, "direction", point.architecture, point.width)


def measure_network(
    net: Assembly, inputs: NDArray[np.float64], settings: Settings, rng: np.random.Generator
) -> dict[str, float]:
    """Return every quantity that the settings ask for, the mean over the inputs; `rng` draws the random direction."""
    wanted = set(settings.quantities or quantities.COLUMNS)
    direction = _random_direction(net, rng) if "remainder_random" in wanted else None
    rows = [_at_one_input(net, x, inputs, settings, wanted, direction) for x in inputs]
    found = {name: float(np.mean([row[name] for row in rows])) for name in rows[0] if name not in _STATUS}
    if wanted & set(_KERNEL):
        found |= _kernel_summary(net, inputs)
    kept = {name: value for name, value in found.items() if quantities.pattern(name) in wanted}
    return kept | {name: float(combine([row[name] for row in rows])) for name, combine in _STATUS.items()}


def _at_one_input(
    net: Assembly,
    x: NDArray[Any],
    inputs: NDArray[Any],
    settings: Settings,
    wanted: set[str],
    direction: NDArray[Any] | None,
) -> dict[str, float]:
    radius, hessian = settings.radius, net.hessian(x)
    top, coordinates = hessian.top_pair(settings.tol, max_steps=MAX_STEPS)
    norm = abs(float(top.value)) if top.converged else math.nan
    gradient = net.gradient(x)
    slope = float(np.linalg.norm(gradient))
    row = {
        "hessian_norm": norm,
        "gradient_norm": slope,
        "hessian_over_gradient_squared": norm / slope**2 if slope > 0.0 else math.nan,
        "hessian_times_radius_over_gradient": norm * radius / slope if slope > 0.0 else math.nan,
    }
    if wanted & set(_SHARES):
        row |= _shares(net, x, hessian, top, coordinates)
    if COSINES in wanted:
        row |= {COSINES.format(l=layer): rms_cosine(net, layer, x) for layer in layers_with_cosines(net)}
    worst = None
    if top.converged and wanted & {*_REMAINDERS, _CHANGE}:
        worst = hessian.node_space.Z_transposed(coordinates)
    if wanted & set(_REMAINDERS):
        steepest = gradient / slope if slope > 0.0 else None
        for name, along in (("top_eigenvector", worst), ("gradient", steepest), ("random", direction)):
            row[f"remainder_{name}"] = math.nan if along is None else remainder(net, x, along, radius)
    if _CHANGE in wanted:
        row[_CHANGE] = math.nan if worst is None else kernel_change(net, inputs, worst, radius)
    row |= {"n_unconverged": float(not top.converged), "largest_residual": float(top.residual)}
    return row | {"n_steps": float(top.n_steps)}


def _shares(
    net: Assembly, x: NDArray[Any], hessian: Hessian, top: Estimate, coordinates: NDArray[Any]
) -> dict[str, float]:
    """Who carries the gradient and the curvature, layer by layer."""
    shape, measured = dominance(net, x), hidden_layers(net)
    curvature = curvature_contributions(hessian.node_space, coordinates)
    row = {"q_infinity": shape.q_infinity}
    for layer in (one for one in shape.layers if one.layer in measured):
        carried = shares(curvature[net.layers[layer.layer].nodes])
        row[f"largest_curvature_share_layer_{layer.layer}"] = float(carried.max()) if top.converged else math.nan
        row[f"largest_share_layer_{layer.layer}"] = layer.largest_share
        row[f"effective_number_layer_{layer.layer}"] = layer.effective_number
    return row


def _random_direction(net: Assembly, rng: np.random.Generator) -> NDArray[Any]:
    """One unit direction per network, the same at all its inputs."""
    direction = rng.standard_normal(net.n_parameters, dtype=net.dtype.type)
    direction /= net.dtype.type(np.linalg.norm(direction))
    return direction


def _kernel_summary(net: Assembly, inputs: NDArray[Any]) -> dict[str, float]:
    kernel = net.tangent_kernel(inputs)
    eigenvalues = np.linalg.eigvalsh(kernel)
    return {
        "kernel_norm": float(np.linalg.norm(kernel)),
        "kernel_smallest_eigenvalue": float(eigenvalues[0]),
        "kernel_largest_eigenvalue": float(eigenvalues[-1]),
    }
