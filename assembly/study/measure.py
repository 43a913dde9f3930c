"""What is measured at one point of a study: one network, averaged over a fixed set of inputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assembly.architectures import layered
from assembly.calculus.shares import curvature_contributions, shares
from assembly.diagnostics.diversity import rms_cosine
from assembly.diagnostics.dominance import dominance
from assembly.diagnostics.linearity import kernel_change, remainder
from assembly.seeds import generator

if TYPE_CHECKING:
    from assembly.model import Assembly
    from assembly.study.design import Point

MAX_STEPS = 600


def build(point: Point, n_inputs: int) -> Assembly:
    """Return the network of a point."""
    builder = getattr(layered, point.builder)
    net: Assembly = builder(n_inputs=n_inputs, seed=point.seed, **point.settings.builder_keywords())
    return net


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
    20 + 6 n passes over the weights; memory four copies of the parameters.
    """
    net = build(point, inputs.shape[1])
    rows = [_at_one_input(net, x, inputs, point) for x in inputs]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0] if name not in _TOTALS}
    totals = {name: float(combine([row[name] for row in rows])) for name, combine in _TOTALS.items()}
    return {**means, **_kernel_summary(net, inputs), **totals}


_TOTALS: dict[str, Any] = {"n_unconverged": sum, "largest_residual": max, "n_steps": sum}


def _at_one_input(net: Assembly, x: NDArray[Any], inputs: NDArray[Any], point: Point) -> dict[str, float]:
    radius = point.settings.radius
    hessian = net.hessian(x)
    top, coordinates = hessian.top_pair(point.settings.tol, max_steps=MAX_STEPS)
    norm = abs(float(top.value)) if top.converged else math.nan
    gradient = net.gradient(x)
    slope = float(np.linalg.norm(gradient))
    shape = dominance(net, x)
    row = {
        "hessian_norm": norm,
        "gradient_norm": slope,
        "hessian_over_gradient_squared": norm / slope**2 if slope > 0.0 else math.nan,
        "hessian_times_radius_over_gradient": norm * radius / slope if slope > 0.0 else math.nan,
        "q_infinity": shape.q_infinity,
    }
    curvature = curvature_contributions(hessian.node_space, coordinates)
    for layer in shape.layers:
        carried = shares(curvature[net.layers[layer.layer].nodes])
        row[f"largest_curvature_share_layer_{layer.layer}"] = float(carried.max()) if top.converged else math.nan
        row[f"largest_share_layer_{layer.layer}"] = layer.largest_share
        row[f"effective_number_layer_{layer.layer}"] = layer.effective_number
    for layer in shape.layers[1:]:
        row[f"rms_cosine_layer_{layer.layer}"] = rms_cosine(net, layer.layer, x)
    directions = {
        "top_eigenvector": hessian.node_space.Z_transposed(coordinates) if top.converged else None,
        "gradient": gradient / slope if slope > 0.0 else None,
        "random": _random_direction(net, point),
    }
    for name, direction in directions.items():
        row[f"remainder_{name}"] = math.nan if direction is None else remainder(net, x, direction, radius)
    worst = directions["top_eigenvector"]
    row["kernel_change_top_eigenvector"] = math.nan if worst is None else kernel_change(net, inputs, worst, radius)
    row["n_unconverged"] = float(not top.converged)
    row["largest_residual"] = float(top.residual)
    row["n_steps"] = float(top.n_steps)
    return row


def _random_direction(net: Assembly, point: Point) -> NDArray[Any]:
    """One unit direction per network, the same at all its inputs."""
    rng = generator(point.seed, "direction", point.architecture, point.width)
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
