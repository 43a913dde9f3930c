"""Passes over the edges of a sparse connection, stored by rows (CSR), for the targets start..stop-1.

indptr (n_target + 1,) int64: row v holds the in-edges of target v; source (n_edges,) int32; weight (n_edges,) floating.
Vectors of nodes are the slices of one connection, all float64 whatever the weights are: a sum of n products is wrong by
at most n 1.1e-16 times the sum of their magnitudes. A row is summed in four parts, every fourth edge each, so that no
addition waits for the one before; the order is the same on every machine.

Positions are taken as unsigned: numba tests every signed index for being negative, up to a third of the time here.
Weights and structure are asked for `AHEAD` edges before they are read: processors look ahead within a page of memory
only, and a page is 512 weights.
"""

from __future__ import annotations

import numpy as np

from assembly.kernels import kernel
from assembly.kernels.dense import ANY_ORDER
from assembly.kernels.prefetching import prefetch

AHEAD = np.uint64(512)


@kernel(inline="always")
def row_sum(source, weight, a, first, last):
    """Return sum_e w_e a_u(e) over the edges first..last-1."""
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    sum0, sum1, sum2, sum3 = 0.0, 0.0, 0.0, 0.0
    whole = last - (last - first) % four
    for e in range(first, whole, four):
        prefetch(weight, e + AHEAD)
        prefetch(source, e + AHEAD)
        sum0 += weight[e] * a[np.uint32(source[e])]
        sum1 += weight[e + one] * a[np.uint32(source[e + one])]
        sum2 += weight[e + two] * a[np.uint32(source[e + two])]
        sum3 += weight[e + three] * a[np.uint32(source[e + three])]
    for e in range(whole, last):
        sum0 += weight[e] * a[np.uint32(source[e])]
    return (sum0 + sum1) + (sum2 + sum3)


@kernel(inline="always")
def add_row(source, weight, value, sums, first, last):
    """Add w_e value to sums_u(e) over the edges first..last-1."""
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    whole = last - (last - first) % four
    for e in range(first, whole, four):
        prefetch(weight, e + AHEAD)
        prefetch(source, e + AHEAD)
        sums[np.uint32(source[e])] += weight[e] * value
        sums[np.uint32(source[e + one])] += weight[e + one] * value
        sums[np.uint32(source[e + two])] += weight[e + two] * value
        sums[np.uint32(source[e + three])] += weight[e + three] * value
    for e in range(whole, last):
        sums[np.uint32(source[e])] += weight[e] * value


@kernel()
def push(indptr, source, weight, a, sums, start, stop):
    """Fill sums_v with sum_e w_e a_u(e)."""
    for v in range(start, stop):
        sums[v] = row_sum(source, weight, a, np.uint64(indptr[v]), np.uint64(indptr[v + 1]))


@kernel()
def pull(indptr, source, weight, b, sums, start, stop):
    """Add to sums_u the edges w_e b_v(e)."""
    for v in range(start, stop):
        add_row(source, weight, b[v], sums, np.uint64(indptr[v]), np.uint64(indptr[v + 1]))


@kernel()
def scatter(indptr, source, s, t, a, b, out, start, stop):
    """Fill out_e = s_v a_u + b_v t_u: from nodes to edges."""
    for v in range(start, stop):
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + 1])):
            u = np.uint32(source[e])
            out[e] = s[v] * a[u] + b[v] * t[u]


@kernel(fastmath=ANY_ORDER)
def scatter_rows(indptr, source, b, a, out, start, stop):
    """Fill out_e = sum_k b_vk a_uk: b (n_target, n_rows) and a (n_source, n_rows) float64, a row for every node."""
    for v in range(start, stop):
        above = b[v]
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + 1])):
            below, total = a[np.uint32(source[e])], 0.0
            for k in range(above.shape[0]):
                total += above[k] * below[k]
            out[e] = total


@kernel()
def gather(indptr, source, y, parents, pairs, start, stop):
    """Fill parents_v with sum x_u over the parents of v, and add y_v to the sums of every parent u.

    pairs (n_source, 2): x_u and the sum of u side by side, so that an edge visits one place.
    """
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    for v in range(start, stop):
        first, last = np.uint64(indptr[v]), np.uint64(indptr[v + 1])
        whole = last - (last - first) % four
        value = y[v]
        sum0, sum1, sum2, sum3 = 0.0, 0.0, 0.0, 0.0
        for e in range(first, whole, four):
            prefetch(source, e + AHEAD)
            u0, u1 = np.uint32(source[e]), np.uint32(source[e + one])
            u2, u3 = np.uint32(source[e + two]), np.uint32(source[e + three])
            sum0 += pairs[u0, 0]
            pairs[u0, 1] += value
            sum1 += pairs[u1, 0]
            pairs[u1, 1] += value
            sum2 += pairs[u2, 0]
            pairs[u2, 1] += value
            sum3 += pairs[u3, 0]
            pairs[u3, 1] += value
        for e in range(whole, last):
            u = np.uint32(source[e])
            sum0 += pairs[u, 0]
            pairs[u, 1] += value
        parents[v] = (sum0 + sum1) + (sum2 + sum3)


@kernel()
def multiply(indptr, source, weight, columns, sums):
    """Add sum_e w_e columns_u(e) to sums_v, (n_target, n_columns) float64: four edges at a time, each column alike."""
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    n_columns = np.uint64(columns.shape[1])
    for row in range(np.uint64(sums.shape[0])):
        v = np.uint64(row)
        first, last = np.uint64(indptr[v]), np.uint64(indptr[v + one])
        whole = last - (last - first) % four
        for e in range(first, whole, four):
            w0, w1, w2, w3 = weight[e], weight[e + one], weight[e + two], weight[e + three]
            u0, u1 = np.uint32(source[e]), np.uint32(source[e + one])
            u2, u3 = np.uint32(source[e + two]), np.uint32(source[e + three])
            for k in range(n_columns):
                sums[v, k] += (w0 * columns[u0, k] + w1 * columns[u1, k]) + (w2 * columns[u2, k] + w3 * columns[u3, k])
        for e in range(whole, last):
            w0, u0 = weight[e], np.uint32(source[e])
            for k in range(n_columns):
                sums[v, k] += w0 * columns[u0, k]


@kernel()
def multiply_transposed(indptr, source, weight, columns, sums):
    """Add the edges w_e columns_v(e) to sums_u, (n_source, n_columns) float64."""
    one = np.uint64(1)
    n_columns = np.uint64(columns.shape[1])
    for row in range(np.uint64(columns.shape[0])):
        v = np.uint64(row)
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + one])):
            w, u = weight[e], np.uint32(source[e])
            for k in range(n_columns):
                sums[u, k] += w * columns[v, k]
