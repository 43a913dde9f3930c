"""Passes over the edges of a tied connection, stored by rows: edge e reads weight number `number[e]`.

As `assembly.kernels.sparse`: for the targets start..stop-1, vectors of nodes float64. indptr (n_target + 1,) int64;
source, number (n_edges,) int32; weight (n_weights,) floating. Sums run in the order of the edges.
"""

from __future__ import annotations

import numpy as np

from assembly.kernels import kernel


@kernel()
def push(indptr, source, number, weight, a, sums, start, stop):
    """Fill sums_v with sum_e w_e a_u(e)."""
    for v in range(start, stop):
        total = 0.0
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + 1])):
            total += weight[np.uint32(number[e])] * a[np.uint32(source[e])]
        sums[v] = total


@kernel()
def pull(indptr, source, number, weight, b, sums, start, stop):
    """Add to sums_u the edges w_e b_v(e)."""
    for v in range(start, stop):
        value = b[v]
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + 1])):
            sums[np.uint32(source[e])] += weight[np.uint32(number[e])] * value


@kernel()
def collect(indptr, source, number, s, t, a, b, sums, start, stop):
    """Add to the weights, sums[number[e]], the edges s_v a_u + b_v t_u: from nodes to shared weights."""
    for v in range(start, stop):
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + 1])):
            u = np.uint32(source[e])
            sums[np.uint32(number[e])] += s[v] * a[u] + b[v] * t[u]
