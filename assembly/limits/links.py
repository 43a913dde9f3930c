"""What a connection does to covariances: a matrix from pairs of places of its source to pairs of units of its target.

A pair (p, q) of n places has the number ``p * n + q``. Entries come as rows (positions among the pairs of the target),
numbers of pairs of the source, and coefficients.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from assembly.graph.connections import Connection, Convolution, Tied
from assembly.graph.windows import OUTSIDE
from assembly.limits.layouts import Layout
from assembly.limits.units import Units, Vector, counts
from assembly.memory import check_fits

Numbers = NDArray[np.int64]
Entries = tuple[Numbers, Numbers, Vector]

BYTES_PER_ENTRY = 64  # of a matrix and of what finding it takes


def check_places(n_bytes: int) -> None:
    """Raise `ResourceError` if what pairs of places need does not fit in the memory that is free."""
    check_fits("What pairs of places of the images need", n_bytes, "use smaller images, or pool over fewer pixels")


def of_edges(connection: Connection, source: Layout, units: Units, pairs: Numbers) -> Entries:
    """Return the entries of edges with weights of their own: only a neuron and itself are correlated.

    Frozen weights enter with their mean square.
    """
    square = 1.0 if connection.values is None else float(np.mean(np.square(connection.values, dtype=np.float64)))
    by_kind = connection.factor[units.neurons, None] ** 2 * square * counts(connection, source, units.neurons)
    rows = np.flatnonzero(pairs[:, 0] == pairs[:, 1])
    by_row = by_kind[units.kinds(pairs[rows, 0])]
    at, place = np.nonzero(by_row)
    return rows[at], place * (source.places + 1), by_row[at, place]


def of_convolution(connection: Convolution, units: Units, pairs: Numbers) -> Entries:
    """Return the entries of a convolution: two windows meet at every tap, in all channels of the source."""
    windows = connection.windows
    check_places(BYTES_PER_ENTRY * len(pairs) * windows.n_taps)
    left, right = (windows.pixels[units.spots(side)] for side in pairs.T)
    rows, taps = np.nonzero((left != OUTSIDE) & (right != OUTSIDE))
    coefficients = windows.channels * _squared_factors(connection, units, pairs)
    return rows, left[rows, taps] * windows.n_pixels + right[rows, taps], coefficients[rows]


def of_channel_biases(connection: Tied, units: Units, pairs: Numbers) -> Entries:
    """Return the entries of one bias for every channel: all its places share it."""
    return np.arange(len(pairs)), np.zeros(len(pairs), dtype=np.int64), _squared_factors(connection, units, pairs)


def of_channel_map(places: sparse.csr_array, units: Units, pairs: Numbers) -> Entries:
    """Return the entries of a fixed map of the places of a channel."""
    first, second = (units.spots(side) for side in pairs.T)
    lengths = np.diff(places.indptr).astype(np.int64)
    n_right = lengths[second]
    n_each = lengths[first] * n_right
    check_places(BYTES_PER_ENTRY * int(n_each.sum(dtype=np.int64)))
    rows = np.repeat(np.arange(len(pairs)), n_each)
    i, j = np.divmod(np.arange(len(rows)) - (np.cumsum(n_each) - n_each)[rows], n_right[rows])
    left, right = places.indptr[first[rows]] + i, places.indptr[second[rows]] + j
    numbers = places.indices[left].astype(np.int64) * places.shape[1] + places.indices[right]
    return rows, numbers, places.data[left] * places.data[right]


def _squared_factors(connection: Connection, units: Units, pairs: Numbers) -> Vector:
    squared: Vector = connection.factor[units.neurons[units.kinds(pairs[:, 0])]] ** 2
    return squared
