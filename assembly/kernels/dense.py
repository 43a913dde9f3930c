"""Passes over the weights of a dense connection, for the targets start..stop-1, four rows at a time.

weight (n_target, n_source) floating, rows contiguous; factor (n_target,). Node vectors are the slices of one
connection: `a`, `t_source` (float64) and `sums` (n_source,) (float64) over its sources, all others over its targets.
Products are taken and summed in float64 whatever the weights are, in an order that suits the machine: a sum of n
products is wrong by at most n 1.1e-16 times the sum of their magnitudes.
"""

from __future__ import annotations

import numpy as np

from assembly.kernels import kernel

ANY_ORDER = {"reassoc", "contract", "nsz"}  # of sums; nothing else is relaxed
N_ROWS = 16  # pushed and then pulled, while they are in the second cache


@kernel(fastmath=ANY_ORDER)
def four_products(weight, v, a):
    """Return the inner products of rows v to v + 3 with a."""
    w0, w1, w2, w3 = weight[v], weight[v + 1], weight[v + 2], weight[v + 3]
    sum0, sum1, sum2, sum3 = 0.0, 0.0, 0.0, 0.0
    for u in range(a.shape[0]):
        value = a[u]
        sum0 += w0[u] * value
        sum1 += w1[u] * value
        sum2 += w2[u] * value
        sum3 += w3[u] * value
    return sum0, sum1, sum2, sum3


@kernel(fastmath=ANY_ORDER)
def product(weight, v, a):
    """Return the inner product of row v with a."""
    row, total = weight[v], 0.0
    for u in range(a.shape[0]):
        total += row[u] * a[u]
    return total


@kernel(fastmath=ANY_ORDER)
def add_four(weight, v, b0, b1, b2, b3, sums):
    """Add rows v to v + 3, times b0 to b3, to the sums."""
    w0, w1, w2, w3 = weight[v], weight[v + 1], weight[v + 2], weight[v + 3]
    for u in range(sums.shape[0]):
        sums[u] += b0 * w0[u] + b1 * w1[u] + b2 * w2[u] + b3 * w3[u]


@kernel(fastmath=ANY_ORDER)
def add_row(weight, v, b, sums):
    """Add row v, times b, to the sums."""
    row = weight[v]
    for u in range(sums.shape[0]):
        sums[u] += b * row[u]


@kernel(fastmath=ANY_ORDER)
def push(weight, factor, a, out, start, stop):
    """Add to out_v the forward sum c_v sum_u w_vu a_u."""
    whole = stop - (stop - start) % 4
    for v in range(start, whole, 4):
        sum0, sum1, sum2, sum3 = four_products(weight, v, a)
        out[v] += factor[v] * sum0
        out[v + 1] += factor[v + 1] * sum1
        out[v + 2] += factor[v + 2] * sum2
        out[v + 3] += factor[v + 3] * sum3
    for v in range(whole, stop):
        out[v] += factor[v] * product(weight, v, a)


@kernel(fastmath=ANY_ORDER)
def pull(weight, factor, b, sums, start, stop):
    """Add to sums_u the backward sum sum_v c_v w_vu b_v."""
    whole = stop - (stop - start) % 4
    for v in range(start, whole, 4):
        add_four(
            weight,
            v,
            np.float64(factor[v]) * b[v],
            np.float64(factor[v + 1]) * b[v + 1],
            np.float64(factor[v + 2]) * b[v + 2],
            np.float64(factor[v + 3]) * b[v + 3],
            sums,
        )
    for v in range(whole, stop):
        add_row(weight, v, np.float64(factor[v]) * b[v], sums)


@kernel(fastmath=ANY_ORDER)
def turn(weight, factor, t_source, z_dot, first, curvature, abar_dot, s, t, sums, start, stop):
    """Push tangents, turn them into adjoints, and pull those while the rows are still in cache.

    Adds c_v sum_u w_vu t_u to z_dot_v, fills t_v and s_v, and adds sum_v c_v w_vu s_v to sums_u.
    """
    for begin in range(start, stop, N_ROWS):
        end = min(begin + N_ROWS, stop)
        push(weight, factor, t_source, z_dot, begin, end)
        for v in range(begin, end):
            t[v] = first[v] * z_dot[v]
            s[v] = curvature[v] * z_dot[v] + first[v] * abar_dot[v]
        pull(weight, factor, s, sums, begin, end)


@kernel(fastmath=ANY_ORDER)
def project(direction, factor, a, b, p, sums, start, stop):
    """Push a and pull b with a direction of the weights in one pass.

    Adds c_v sum_u dw_vu a_u to p_v, and sum_v c_v dw_vu b_v to sums_u.
    """
    for begin in range(start, stop, N_ROWS):
        end = min(begin + N_ROWS, stop)
        push(direction, factor, a, p, begin, end)
        pull(direction, factor, b, sums, begin, end)


@kernel(fastmath=ANY_ORDER)
def scatter(factor, s, t, a, b, out, start, stop):
    """Fill out_vu = c_v (s_v a_u + t_u b_v): from nodes to weights."""
    for v in range(start, stop):
        left, right, row = factor[v] * s[v], factor[v] * b[v], out[v]
        for u in range(a.shape[0]):
            row[u] = left * a[u] + right * t[u]
