r"""Covariances and tangent kernels of all groups, from the inputs to the outputs.

For a group with the pre-activations z, the links C of its connections (factor squared times number of in-edges), the
second moments S and tangent kernels :math:`\Theta` of the groups below,

.. math:: E[z z'] = \sum_C C S, \qquad
          \Theta_z = \sum_C C\, \Theta + \sum_{C\ \mathrm{trainable}} C S, \qquad
          S_a = E[\sigma(z)\sigma(z')], \qquad \Theta_a = E[\sigma'(z)\sigma'(z')]\, \Theta_z

over normal pairs z, z' [1]_ [2]_ [3]_. Where fixed edges add up several groups, as residual networks do, neurons of
different groups are independent and their means meet: :math:`E[z z']` gains the products of the means of different
groups.

.. [1] A. Jacot, F. Gabriel, C. Hongler (2018), Neural tangent kernel, NeurIPS 31.
.. [2] G. Yang (2020), Tensor programs II: neural tangent kernel for any architecture, arXiv 2006.14548.
.. [3] S. Arora, S. Du, W. Hu, Z. Li, R. Salakhutdinov, R. Wang (2019), On exact computation with an infinitely wide
   neural net, NeurIPS 32: convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assembly.activations import get
from assembly.graph.description import INPUT, Graph
from assembly.limits.expectations import expectations
from assembly.limits.layouts import fixed_groups, frozen_matrix
from assembly.limits.plan import Plan, Step

Vector = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Moments:
    """Of the activations of one group, all neurons alike.

    Attributes
    ----------
    mean : ndarray of shape (places, n_samples)
    second : ndarray of shape (pairs of places, pairs of samples)
    tangent : ndarray of the same shape
    """

    mean: Vector
    second: Vector
    tangent: Vector


def propagate(plan: Plan, samples: Vector, left: Numbers, right: Numbers) -> tuple[Vector, Vector, float]:
    """Return covariance and tangent kernel of an output for pairs of samples, and the error of quadrature.

    Parameters
    ----------
    plan : Plan
    samples : ndarray of shape (n_samples, n_inputs)
    left, right : ndarray of shape (n_pairs,), int64
        The first n_samples pairs must be every sample with itself.
    """
    known: dict[int, Moments] = {}
    values = _fixed_values(plan.graph, fixed_groups(plan.graph), samples)
    for group, pairs in plan.fixed.items():
        images = values[group].reshape(len(samples), plan.ways[group].channels, plan.ways[group].places)
        second = _products(images, pairs, left, right)
        known[group] = Moments(images.mean(axis=1).T, second, np.zeros_like(second))
    error = 0.0
    for step in plan.steps:
        known[step.group], added = _moments(step, known, left, right)
        error += added
    output = known[plan.steps[-1].group]
    return output.second[0], output.tangent[0], error


def _fixed_values(graph: Graph, fixed: frozenset[int], samples: Vector) -> dict[int, Vector]:
    """Return the activations of the groups that depend on no drawn weight, shape (n_samples, size) each."""
    found: dict[int, Vector] = {}
    for group in sorted(fixed):
        described = graph.groups[group]
        if described.is_given:
            found[group] = samples if described.activation == INPUT else np.ones((len(samples), described.size))
            continue
        z = np.zeros((len(samples), described.size))
        for position in graph.incoming[group]:
            connection = graph.connections[position]
            z += found[connection.source] @ frozen_matrix(connection).T
        found[group] = np.empty_like(z)
        names = np.array(described.activations())
        for name in np.unique(names):
            found[group][:, names == name] = get(str(name)).value(z[:, names == name])
    return found


def _products(images: Vector, pairs: Numbers, left: Numbers, right: Numbers) -> Vector:
    """Return means over channels of products at pairs of places and of samples, from (n_samples, channels, places)."""
    channels = images.shape[1]
    found = np.zeros((len(pairs), len(left)))
    if len(pairs) <= channels:
        for row, (p, q) in zip(found, pairs, strict=True):
            row[:] = (images[:, :, p] @ images[:, :, q].T)[left, right]
    else:
        for channel in range(channels):
            found += images[left, channel][:, pairs[:, 0]].T * images[right, channel][:, pairs[:, 1]].T
    found /= channels
    return found


def _moments(step: Step, known: dict[int, Moments], left: Numbers, right: Numbers) -> tuple[Moments, float]:
    """Return the moments of a group from those below, and the error of its expectations."""
    covariance, tangent = _summed(step, known, left, right)
    mean = np.zeros((step.units.n_units, known[step.links[0].source].mean.shape[1]))
    for link in step.links:
        if link.places is not None:
            mean += link.places @ known[link.source].mean
    error = _activate(step, mean, covariance, tangent, left, right)
    if step.units.places == 1:
        shares = step.units.shares
        mean, covariance, tangent = (np.atleast_2d(shares @ entry) for entry in (mean, covariance, tangent))
    return Moments(mean, covariance, tangent), error


def _summed(step: Step, known: dict[int, Moments], left: Numbers, right: Numbers) -> tuple[Vector, Vector]:
    """Return second moments and tangent kernels of the pre-activations of a group."""
    covariance = np.zeros((len(step.pairs), len(left)))
    tangent = np.zeros_like(covariance)
    met = None
    for link in step.links:
        below = known[link.source]
        carried = link.matrix @ below.second
        covariance += carried
        tangent += link.matrix @ below.tangent
        if link.is_trainable:
            tangent += carried
        if link.places is not None:
            mean = link.places @ below.mean
            if met is not None:
                covariance += _across(step, met, mean, left, right) + _across(step, mean, met, left, right)
            met = mean if met is None else met + mean
    return covariance, tangent


def _across(step: Step, mean: Vector, other: Vector, left: Numbers, right: Numbers) -> Vector:
    """Return the products of two means over the pairs of a group, whose units are places."""
    first, second = step.units.spots(step.pairs[:, 0]), step.units.spots(step.pairs[:, 1])
    products: Vector = mean[first][:, left] * other[second][:, right]
    return products


def _activate(step: Step, mean: Vector, covariance: Vector, tangent: Vector, left: Numbers, right: Numbers) -> float:
    """Take means, second moments and tangent kernels, in place, from pre-activations to activations."""
    n_samples, error = mean.shape[1], 0.0
    itself = np.flatnonzero(step.pairs[:, 0] == step.pairs[:, 1])
    variance = np.ascontiguousarray(covariance[itself, :n_samples])
    names = np.array(step.units.activations)
    for name in np.unique(names[names != "identity"]):
        units, rows = np.flatnonzero(names == name), np.flatnonzero(names[step.pairs[:, 0]] == name)
        position = np.zeros(len(names), dtype=np.int64)
        position[units] = np.arange(len(units))
        first, second = (position[side][:, None] * n_samples for side in step.pairs[rows].T)
        found = expectations(
            str(name),
            variance[units].ravel(),
            (first + left).ravel(),
            (second + right).ravel(),
            covariance[rows].ravel(),
        )
        mean[units] = found.mean.reshape(len(units), n_samples)
        covariance[rows] = found.product.reshape(len(rows), -1)
        tangent[rows] *= found.slopes.reshape(len(rows), -1)
        error += found.error
    return error
