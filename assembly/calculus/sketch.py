r"""Gradients of all neurons in k random directions: an unbiased sketch of their Gram matrix, at k forward passes.

For a Gaussian direction `dw` of the parameters the tangents :math:`\dot a = \langle\nabla a, dw\rangle` have

.. math:: E[\dot a_i \dot a_j] = \langle\nabla a_i, \nabla a_j\rangle = G_{ij}

so that k directions give G with standard error :math:`\sqrt{(G_{ii} G_{jj} + G_{ij}^2)/k}` per entry. No direction is
ever written out where every edge has a weight of its own: its part of :math:`\dot z_v` is Gaussian with variance
:math:`c_v^2 \sum_u a_u^2`, independent from neuron to neuron, and is drawn as such.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.evaluation import Evaluation
from assembly.memory import check_fits
from assembly.program import Segment

Matrix = NDArray[Any]
N_GROUPS = 16  # of directions left out in turn for a standard error
N_KEYS = 4  # directions in which parallel rows are looked for before all


def tangents(evaluation: Evaluation, n_directions: int, rng: np.random.Generator, last: int) -> Matrix:
    """Return the tangents of all nodes in random directions, shape (n_samples, n_nodes, n_directions).

    The directions are the same for all samples, of which there are one or two. Segments after `last` are left at 0.

    Raises
    ------
    ResourceError
        If the tangents do not fit in the memory that is free.

    Notes
    -----
    Cost: `n_directions` passes over the weights up to that segment per sample, as matrix products.
    """
    program, n_samples = evaluation.program, len(evaluation.post)
    shape = (n_samples, program.n_nodes, n_directions)
    what = f"The tangents of {program.n_nodes:,} neurons in {n_directions} directions"
    check_fits(what, 2 * n_samples * program.n_nodes * n_directions * program.dtype.itemsize, "use smaller widths")
    found = np.zeros(shape, program.dtype)
    drawn: dict[int, Matrix] = {}
    for segment in program.segments[: last + 1]:
        if segment.incoming:
            moved = _own_parts(evaluation, segment, n_directions, rng, drawn)
            for position in segment.incoming:
                block = program.blocks[position]
                if not block.from_given:
                    for row in range(n_samples):
                        moved[row] += block.multiply(evaluation.weights[position], found[row, block.source])
            for row in range(n_samples):
                found[row, segment.nodes] = evaluation.at_row(row).slope(segment, moved[row].T).T
    return found


def _own_parts(
    evaluation: Evaluation, segment: Segment, n_directions: int, rng: np.random.Generator, drawn: dict[int, Matrix]
) -> Matrix:
    """Return what random directions of the in-weights of a segment change in its pre-activations."""
    program, n_samples = evaluation.program, len(evaluation.post)
    size = segment.nodes.stop - segment.nodes.start
    covariance = np.zeros((n_samples, n_samples, size), program.dtype)
    moved = np.zeros((n_samples, size, n_directions), program.dtype)
    for position in segment.incoming:
        block, weights = program.blocks[position], evaluation.weights[position]
        if block.parameters is None:
            continue
        if block.is_edgewise:
            for i, a in enumerate(evaluation.post):
                for j, c in enumerate(evaluation.post):
                    covariance[i, j] += block.own_gram(weights, a, c)
            continue
        start, n_weights = block.parameters.start, block.parameters.stop - block.parameters.start
        if start not in drawn:
            drawn[start] = rng.standard_normal((n_directions, n_weights)).astype(program.dtype)
        out = np.zeros(program.n_nodes, program.dtype)
        for row, a in enumerate(evaluation.post):
            for k, direction in enumerate(drawn[start]):
                out[segment.nodes] = 0.0
                block.differentiate(weights, direction.reshape(block.shape), a, out)
                moved[row, :, k] += out[segment.nodes]
    if covariance.any():
        first = rng.standard_normal((size, n_directions)).astype(program.dtype)
        deviation = np.sqrt(covariance[0, 0])
        moved[0] += deviation[:, None] * first
        if n_samples == 2:
            common = np.divide(covariance[0, 1], deviation, out=np.zeros_like(deviation), where=deviation > 0.0)
            rest = np.sqrt(np.maximum(covariance[1, 1] - common**2, 0.0))
            second = rng.standard_normal((size, n_directions)).astype(program.dtype)
            moved[1] += common[:, None] * first + rest[:, None] * second
    return moved


def mean_square_cosine(left: Matrix, right: Matrix) -> tuple[float, float]:
    r"""Return the mean of ``cos_ij^2`` over i != j and its standard error, from tangents of shape (n_neurons, k).

    With :math:`u` and :math:`v` the rows at the two inputs, of mean square 1,

    .. math:: \frac{k + 2}{k}\, \frac{1}{k(k-1)\, n(n-1)} \sum_{r \ne s} \Bigl[
              \sum_i u_{ir} u_{is} \sum_j v_{jr} v_{js} - \sum_i u_{ir} u_{is} v_{ir} v_{is} \Bigr]

    in which no direction meets itself, so that the noise of an entry does not enter. The first factor undoes the bias
    of the normalisation, exactly for cosines of 0 and 1. The standard error is that of a jackknife over groups of
    directions; over sketches its root mean square is 0.98 (large cosines) to 1.5 (none) of the scatter, as
    tests/test_diversity.py checks. The scatter is skewed: 87 to 99 % of values lie within two of the truth. Where the
    mean is near 0 the value may come out below it, by chance.

    Notes
    -----
    Cost: 17 products of (k, n) with (n, k).
    """
    n_directions = left.shape[1]
    value = _mean_square_cosine(left, right)
    groups = np.array_split(np.arange(n_directions), min(N_GROUPS, n_directions // 2))
    without = [_mean_square_cosine(np.delete(left, group, axis=1), np.delete(right, group, axis=1)) for group in groups]
    spread = np.sqrt((len(groups) - 1.0) * np.mean((np.array(without) - np.mean(without)) ** 2))
    return value, float(spread)


def _mean_square_cosine(left: Matrix, right: Matrix) -> float:
    u, v = (one / np.sqrt(np.mean(one**2, axis=1, keepdims=True)) for one in (left, right))
    n, k = u.shape
    both = u * v
    pairs = (u.T @ u) * (v.T @ v) - both.T @ both
    np.fill_diagonal(pairs, 0.0)
    return float((k + 2.0) / k * pairs.sum() / (k * (k - 1.0) * n * (n - 1.0)))


def effective_rank(sketch: Matrix) -> float:
    """Return ``(tr G)^2 / |G|_F^2`` from tangents of shape (n_neurons, k): the ratio of two unbiased estimates."""
    inner = sketch.T @ sketch
    n = sketch.shape[1]
    diagonal = np.diagonal(inner).astype(np.float64)
    off = inner.astype(np.float64) - np.diag(diagonal)
    n_pairs = n * (n - 1.0)
    trace_squared = (diagonal.sum() ** 2 - (diagonal**2).sum()) / n_pairs
    return float(trace_squared / ((off**2).sum() / n_pairs))


def parallel_groups(sketch: Matrix, tolerance: float) -> list[list[int]]:
    """Return groups of two and more rows of one direction up to sign, ``1 - |cosine| <= tolerance``; rows of 0 in none.

    Gradients that are parallel in many random directions are parallel: almost surely nothing else is found.

    Notes
    -----
    Cost: a few sorts of the rows by one number, and products within the runs of equal ones.
    """
    norm = np.linalg.norm(sketch, axis=1)
    alive = np.flatnonzero(norm > 0.0)
    unit = np.zeros_like(sketch)
    unit[alive] = sketch[alive] / norm[alive, None]
    runs = [alive]
    for key in np.abs(unit[:, :N_KEYS]).T:
        runs = [piece for run in runs for piece in _runs(run, key, 2.0 * np.sqrt(2.0 * tolerance))]
    found: list[list[int]] = []
    for left in runs:
        while len(left) > 1:
            same = np.abs(unit[left] @ unit[left[0]]) >= 1.0 - tolerance
            if same.sum() > 1:
                found.append(sorted(left[same].tolist()))
            left = left[~same]
    return sorted(found)


def _runs(members: NDArray[np.int64], key: Matrix, gap: float) -> list[NDArray[np.int64]]:
    """Split some rows where their keys, in order, leave a gap; rows that stand alone are left out."""
    order = members[np.argsort(key[members], kind="stable")]
    pieces = np.split(order, np.flatnonzero(np.diff(key[order]) > gap) + 1)
    return [piece for piece in pieces if len(piece) > 1]
