r"""Are the sub-models diverse? Cosines between the gradients of the neurons of a layer.

.. math:: \cos_{ij} = \frac{G_{ij}}{\sqrt{G_{ii} G_{jj}}}, \qquad
          G_{ij} = \langle\nabla a_i(x), \nabla a_j(z)\rangle

Near 0 for independent sub-models, 1 for sub-models that share their parameters. In the first layer it is exactly 0
where no weight is shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.calculus import sketch
from assembly.checks import check_count
from assembly.diagnostics.dominance import channels, trainable_layers
from assembly.errors import ArgumentError, ResourceError
from assembly.graph.connections import Convolution, Tied
from assembly.graph.description import SOFTMAX
from assembly.seeds import generator

if TYPE_CHECKING:
    from assembly.model import Assembly

LARGEST_EXACT = 4096  # neurons of a layer whose Gram matrix is computed: 128 MiB for each layer below
N_DIRECTIONS = 64
N_BINS = 81  # odd: one is centred at 0


@dataclass(frozen=True, eq=False)
class Diversity:
    """Cosines between the gradients of different neurons of one layer; those without a gradient are left out.

    Attributes
    ----------
    layer : int
    n_neurons : int
        Neurons that have a gradient.
    rms_cosine : float
        Root mean square over all pairs, in [0, 1]; NaN with fewer than two neurons.
    standard_error : float
        Of `rms_cosine`; 0 where it is exact.
    is_exact : bool
        False if estimated from random directions.
    largest_cosine : float or None
        Largest magnitude; None where estimated, when it would be the largest noise.
    pair : tuple of (int, int) or None
        Who has it.
    counts, edges : ndarray
        Histogram of the cosines of all pairs i != j, between plus and minus the largest magnitude. Where estimated, of
        at most 4096 neurons, and every cosine carries noise of about ``1/sqrt(64)``.
    effective_rank : float
        Participation ratio ``(tr G)^2 / |G|_F^2`` of the Gram matrix, the effective number of its eigenvalues: n for
        orthogonal gradients of one size, 1 for parallel ones. NaN for two inputs.
    duplicates : tuple of tuple of int
        Groups of neurons whose gradients are parallel at x, as those of copies that share all their parameters. Neurons
        of one channel of a convolution, which share their kernel by design, are no duplicates of each other.
    note : str
        How the numbers were found, if there is something to say.
    """

    layer: int
    n_neurons: int
    rms_cosine: float
    standard_error: float
    is_exact: bool
    largest_cosine: float | None
    pair: tuple[int, int] | None
    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    effective_rank: float
    duplicates: tuple[tuple[int, ...], ...]
    note: str = ""


def diversity(
    net: Assembly,
    layer: int,
    x: ArrayLike,
    z: ArrayLike | None = None,
    *,
    largest_exact: int = LARGEST_EXACT,
    seed: int = 0,
) -> Diversity:
    r"""Return how diverse the gradients of the neurons of one layer are, at one input or between two.

    Exact by the recursion of `Layer.gram` while no layer up to this one has more than `largest_exact` neurons and the
    matrices fit in memory. Beyond, from 64 random directions: the root mean square with the standard error of a
    jackknife, and no largest cosine. Duplicates are found by random directions in either case.

    Parameters
    ----------
    net : Assembly
    layer : int
        From 1.
    x, z : array_like of shape (n_inputs,)
        One input each: cosines between the gradient of neuron i at x and that of neuron j at z. z is x by default.
    largest_exact : int
        Neurons in a layer for which the Gram matrix is computed.
    seed : int
        Of the random directions.

    Returns
    -------
    Diversity

    Raises
    ------
    ArgumentError
        If there is no such layer, or `largest_exact` or `seed` is no whole number in its range.
    ShapeError, NonFiniteError
        If `x` or `z` is not one finite sample.

    Notes
    -----
    Cost: exact, two matrix products per layer below, three times that for two inputs, and memory one matrix of layer
    size squared for every pair of groups met; estimated, 64 passes over the weights below, and 64 numbers per neuron.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=3, widths=[16, 16], activation="tanh", seed=0)
    >>> diversity(net, 1, [1.0, -1.0, 0.5]).rms_cosine
    0.0
    >>> twins = am.tied(lambda seed: am.mlp(n_inputs=3, widths=[2], seed=seed), n_parts=4, n_copies=2)
    >>> diversity(twins, 1, [1.0, -1.0, 0.5]).duplicates
    ((0, 2), (1, 3), (4, 6), (5, 7))
    """
    index = _check_layer(net, layer)
    check_count("largest_exact", largest_exact, minimum=0)
    body = net._body
    evaluation = body.at(body.sample(x) if z is None else np.concatenate([body.sample(x), body.sample(z, "z")]))
    nodes = net.layers[index].nodes
    rng, last = generator(seed, "diversity", index), max(net.graph.layers[index])
    tangents = sketch.tangents(evaluation, N_DIRECTIONS, rng, last)[:, nodes]
    left, right = tangents[0], tangents[-1]
    alive = (left != 0.0).any(axis=1) & (right != 0.0).any(axis=1)
    duplicates = _duplicates(net, index, left)
    if share_nothing(net, index):
        return _orthogonal(net, index, x, z, alive, duplicates)
    found = None
    if max(one.size for one in net.layers[1 : index + 1]) <= largest_exact:
        found = _exact(net, index, x, z, duplicates)
    return _estimated(index, left[alive], right[alive], z is None, duplicates, seed) if found is None else found


def rms_cosine(net: Assembly, layer: int, x: ArrayLike) -> float:
    """Return the root mean square cosine between the gradients of the neurons of one layer at one input, exactly.

    Parameters
    ----------
    net : Assembly
    layer : int
        From 1.
    x : array_like of shape (n_inputs,)

    Returns
    -------
    float
        In [0, 1]; NaN with fewer than two neurons that have a gradient.

    Raises
    ------
    ArgumentError
        If there is no such layer.
    ShapeError, NonFiniteError
        If `x` is not one finite sample.

    Notes
    -----
    Cost: that of `Layer.gram`, two matrix products per layer below.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=3, widths=[16, 16], activation="tanh", seed=0)
    >>> rms_cosine(net, 1, [1.0, -1.0, 0.5])
    0.0
    """
    gram = net.layers[_check_layer(net, layer)].gram(x)
    size = np.sqrt(np.diagonal(gram))
    return _rms(_cosines(gram, size, size)[1])


def share_nothing(net: Assembly, layer: int) -> bool:
    """Return whether the gradients of the neurons of a layer are orthogonal by construction: no weight is in two.

    So it is in a first layer whose neurons read the inputs alone, by weights of their own.
    """
    graph = net.graph
    groups = graph.layers[layer]
    edges = [graph.connections[position] for group in groups for position in graph.incoming[group]]
    return all(graph.groups[group].activation != SOFTMAX for group in groups) and all(
        graph.groups[one.source].is_given and not isinstance(one, Tied | Convolution) for one in edges
    )


def layers_with_cosines(net: Assembly) -> list[int]:
    """Return the hidden layers in which cosines between gradients are measured.

    Not those in which they are 0 by construction (neurons that read the inputs alone and share no weight), and none
    above or at a layer of more than `LARGEST_EXACT` neurons, whose Gram matrix would be too large.
    """
    sizes = [layer.size for layer in net.layers]
    return [
        layer
        for layer in trainable_layers(net)
        if not share_nothing(net, layer) and max(sizes[1 : layer + 1]) <= LARGEST_EXACT
    ]


def _check_layer(net: Assembly, layer: int) -> int:
    if check_count("layer", layer) >= len(net.layers):
        raise ArgumentError(f"The 'layer' argument must be at most {len(net.layers) - 1}. Got {layer}.")
    return int(layer)


def _cosines(gram: NDArray[Any], left: NDArray[Any], right: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return which neurons have a gradient, and their cosines with 0 on the diagonal."""
    alive = np.flatnonzero((left > 0.0) & (right > 0.0))
    cosines = gram[np.ix_(alive, alive)] / np.outer(left[alive], right[alive])
    np.fill_diagonal(cosines, 0.0)
    return alive, cosines


def _rms(cosines: NDArray[Any]) -> float:
    n = len(cosines)
    return float(np.linalg.norm(cosines) / np.sqrt(n * (n - 1.0))) if n > 1 else float("nan")


def _histogram(cosines: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Count the cosines off the diagonal, which holds zeros, between plus and minus the largest magnitude."""
    reach = float(np.abs(cosines).max(initial=0.0)) or 1.0
    edges = np.linspace(-reach, reach, N_BINS + 1)
    counts = np.histogram(cosines.astype(np.float64), edges)[0].astype(np.int64)
    counts[len(counts) // 2] -= len(cosines)
    return counts, edges


def _exact(
    net: Assembly, index: int, x: ArrayLike, z: ArrayLike | None, duplicates: tuple[tuple[int, ...], ...]
) -> Diversity | None:
    """Return the diversity from the Gram matrix, or None if it does not fit in memory."""
    layer = net.layers[index]
    try:
        gram = layer.gram(x, z)
        left = np.sqrt(np.diagonal(gram if z is None else layer.gram(x)))
        right = left if z is None else np.sqrt(np.diagonal(layer.gram(z)))
    except ResourceError:
        return None
    alive, cosines = _cosines(gram, left, right)
    counts, edges = _histogram(cosines)
    largest, pair = None, None
    if len(alive) > 1:
        i, j = np.unravel_index(np.argmax(np.abs(cosines)), cosines.shape)
        largest, pair = min(float(np.abs(cosines[i, j])), 1.0), (int(alive[i]), int(alive[j]))
    rank = float(np.trace(gram) ** 2 / np.linalg.norm(gram) ** 2) if z is None and len(alive) else float("nan")
    return Diversity(index, len(alive), _rms(cosines), 0.0, True, largest, pair, counts, edges, rank, duplicates)


def _estimated(
    index: int,
    left: NDArray[Any],
    right: NDArray[Any],
    is_one_input: bool,
    duplicates: tuple[tuple[int, ...], ...],
    seed: int,
) -> Diversity:
    n, k = left.shape
    mean, error = sketch.mean_square_cosine(left, right) if n > 1 else (float("nan"), float("nan"))
    rms = float(np.sqrt(max(mean, 0.0)))
    chosen = generator(seed, "histogram").permutation(n)[:LARGEST_EXACT]
    counts, edges = _histogram(
        _cosines(
            left[chosen] @ right[chosen].T, np.linalg.norm(left[chosen], axis=1), np.linalg.norm(right[chosen], axis=1)
        )[1]
    )
    note = f"estimated from {k} random directions"
    spread = float(np.sqrt(max(mean, 0.0) + error) - rms) if mean < error else error / (2.0 * rms)
    rank = sketch.effective_rank(left) if is_one_input and n else float("nan")
    return Diversity(index, n, rms, spread, False, None, None, counts, edges, rank, duplicates, note)


def _orthogonal(
    net: Assembly,
    index: int,
    x: ArrayLike,
    z: ArrayLike | None,
    alive: NDArray[np.bool_],
    duplicates: tuple[tuple[int, ...], ...],
) -> Diversity:
    from assembly.calculus.parents import own_squared_gradients

    n = int(alive.sum())
    counts, edges = _histogram(np.zeros((0, 0)))
    counts[len(counts) // 2] = n * (n - 1)
    square = own_squared_gradients(net.evaluate(x))[0, net.layers[index].nodes].astype(np.float64)
    rank = float(square.sum() ** 2 / (square**2).sum()) if z is None and n else float("nan")
    enough = n > 1
    return Diversity(
        index,
        n,
        0.0 if enough else float("nan"),
        0.0,
        True,
        0.0 if enough else None,
        None,
        counts,
        edges,
        rank,
        duplicates,
        "exactly 0: no two neurons share a weight",
    )


def _duplicates(net: Assembly, index: int, tangents: NDArray[Any]) -> tuple[tuple[int, ...], ...]:
    """Groups of neurons of parallel gradients; of every channel of a convolution one neuron stands for all."""
    tolerance = max(1e-12, 10.0 * float(np.finfo(tangents.dtype).eps))
    found = sketch.parallel_groups(tangents, tolerance)
    channel = channels(net, index)
    if channel is None:
        return tuple(tuple(group) for group in found)
    first = ([group[place] for place in np.unique(channel[group], return_index=True)[1]] for group in found)
    return tuple(tuple(group) for group in first if len(group) > 1)
