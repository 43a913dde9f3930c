"""Passes over the weights of a dense connection, for the targets start..stop-1, four or eight rows at a time.

weight (n_target, n_source) floating, rows contiguous; factor (n_target,). Node vectors are the slices of one
connection: `a`, `t_source` (float64) and `sums` (n_source,) (float64) over its sources, all others over its targets.
Products are taken and summed in float64 whatever the weights are, in an order that suits the machine: a sum of n
products is wrong by at most n 1.1e-16 times the sum of their magnitudes.
"""

from __future__ import annotations

import numpy as np

from assembly.kernels import kernel
from assembly.kernels.prefetching import prefetch

ANY_ORDER = {"reassoc", "contract", "nsz"}  # of sums; nothing else is relaxed
N_COLUMNS = 128  # of four rows after which the next rows are asked for: few enough to be on their way together
LINE = 8  # numbers that come together, in float64
CACHED = 2**21  # numbers that the third cache holds


@kernel(fastmath=ANY_ORDER)
def eight_products(weight, v, a):
    """Return the inner products of rows v to v + 7 with a."""
    w0, w1, w2, w3 = weight[v], weight[v + 1], weight[v + 2], weight[v + 3]
    w4, w5, w6, w7 = weight[v + 4], weight[v + 5], weight[v + 6], weight[v + 7]
    sum0, sum1, sum2, sum3, sum4, sum5, sum6, sum7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for u in range(a.shape[0]):
        value = a[u]
        sum0 += w0[u] * value
        sum1 += w1[u] * value
        sum2 += w2[u] * value
        sum3 += w3[u] * value
        sum4 += w4[u] * value
        sum5 += w5[u] * value
        sum6 += w6[u] * value
        sum7 += w7[u] * value
    return sum0, sum1, sum2, sum3, sum4, sum5, sum6, sum7


@kernel(fastmath=ANY_ORDER)
def four_products(w0, w1, w2, w3, a):
    """Return the inner products of four rows, or parts of them, with a."""
    sum0, sum1, sum2, sum3 = 0.0, 0.0, 0.0, 0.0
    for u in range(a.shape[0]):
        value = a[u]
        sum0 += w0[u] * value
        sum1 += w1[u] * value
        sum2 += w2[u] * value
        sum3 += w3[u] * value
    return sum0, sum1, sum2, sum3


@kernel(fastmath=ANY_ORDER)
def product(row, a):
    """Return the inner product of a row with a."""
    total = 0.0
    for u in range(a.shape[0]):
        total += row[u] * a[u]
    return total


@kernel(fastmath=ANY_ORDER)
def add_four(w0, w1, w2, w3, b, sums):
    """Add four rows, or parts of them, times b0 to b3, to the sums."""
    b0, b1, b2, b3 = b
    for u in range(sums.shape[0]):
        sums[u] += b0 * w0[u] + b1 * w1[u] + b2 * w2[u] + b3 * w3[u]


@kernel(fastmath=ANY_ORDER)
def add_row(row, b, sums):
    """Add a row, times b, to the sums."""
    for u in range(sums.shape[0]):
        sums[u] += b * row[u]


@kernel(fastmath=ANY_ORDER)
def products_and_sums(weight, v, a, b, sums):
    """Return the inner products of rows v to v + 3 with a, and add the rows, times b0 to b3, to the sums."""
    w0, w1, w2, w3 = weight[v], weight[v + 1], weight[v + 2], weight[v + 3]
    b0, b1, b2, b3 = b
    sum0, sum1, sum2, sum3 = 0.0, 0.0, 0.0, 0.0
    for u in range(a.shape[0]):
        value, x0, x1, x2, x3 = a[u], w0[u], w1[u], w2[u], w3[u]
        sum0 += x0 * value
        sum1 += x1 * value
        sum2 += x2 * value
        sum3 += x3 * value
        sums[u] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
    return sum0, sum1, sum2, sum3


@kernel()
def four_scaled(factor, b, v):
    """Return c_v b_v to c_{v + 3} b_{v + 3}, in float64."""
    return (
        np.float64(factor[v]) * b[v],
        np.float64(factor[v + 1]) * b[v + 1],
        np.float64(factor[v + 2]) * b[v + 2],
        np.float64(factor[v + 3]) * b[v + 3],
    )


@kernel()
def add_to_four(out, factor, v, sums):
    """Add c_v times the sums to out_v to out_{v + 3}."""
    out[v] += factor[v] * sums[0]
    out[v + 1] += factor[v + 1] * sums[1]
    out[v + 2] += factor[v + 2] * sums[2]
    out[v + 3] += factor[v + 3] * sums[3]


@kernel()
def ask_for(flat, first, n_columns):
    """Ask for `N_COLUMNS` entries of a row, and of the one after it, of a matrix that is flat here."""
    for u in range(first, first + N_COLUMNS, LINE):
        prefetch(flat, np.uint64(u))
        prefetch(flat, np.uint64(u + n_columns))


@kernel(fastmath=ANY_ORDER)
def push_and_ask(weight, flat, v, a):
    """Return the inner products of rows v to v + 3 with a, while rows v + 4 and v + 5 are asked for."""
    w0, w1, w2, w3 = weight[v], weight[v + 1], weight[v + 2], weight[v + 3]
    n, sum0, sum1, sum2, sum3 = a.shape[0], 0.0, 0.0, 0.0, 0.0
    for begin in range(0, n, N_COLUMNS):
        end = min(begin + N_COLUMNS, n)
        ask_for(flat, (v + 4) * n + begin, n)
        part = four_products(w0[begin:end], w1[begin:end], w2[begin:end], w3[begin:end], a[begin:end])
        sum0 += part[0]
        sum1 += part[1]
        sum2 += part[2]
        sum3 += part[3]
    return sum0, sum1, sum2, sum3


@kernel(fastmath=ANY_ORDER)
def pull_and_ask(weight, flat, v, b, sums):
    """Add rows v to v + 3, times b0 to b3, to the sums, while rows v + 6 and v + 7 are asked for."""
    w0, w1, w2, w3 = weight[v], weight[v + 1], weight[v + 2], weight[v + 3]
    n = sums.shape[0]
    for begin in range(0, n, N_COLUMNS):
        end = min(begin + N_COLUMNS, n)
        ask_for(flat, (v + 6) * n + begin, n)
        add_four(w0[begin:end], w1[begin:end], w2[begin:end], w3[begin:end], b, sums[begin:end])


@kernel(fastmath=ANY_ORDER)
def push(weight, factor, a, out, start, stop):
    """Add to out_v the forward sum c_v sum_u w_vu a_u."""
    whole = stop - (stop - start) % 8
    for v in range(start, whole, 8):
        sums = eight_products(weight, v, a)
        add_to_four(out, factor, v, sums[:4])
        add_to_four(out, factor, v + 4, sums[4:])
    for v in range(whole, stop):
        out[v] += factor[v] * product(weight[v], a)


@kernel(fastmath=ANY_ORDER)
def pull(weight, factor, b, sums, start, stop):
    """Add to sums_u the backward sum sum_v c_v w_vu b_v."""
    whole = stop - (stop - start) % 4
    for v in range(start, whole, 4):
        add_four(weight[v], weight[v + 1], weight[v + 2], weight[v + 3], four_scaled(factor, b, v), sums)
    for v in range(whole, stop):
        add_row(weight[v], np.float64(factor[v]) * b[v], sums)


@kernel(fastmath=ANY_ORDER)
def turn(weight, factor, t_source, z_dot, first, curvature, abar_dot, s, t, sums, start, stop):
    """Push tangents, turn them into adjoints, and pull those while the rows are still in cache.

    Adds c_v sum_u w_vu t_u to z_dot_v, fills t_v and s_v, and adds sum_v c_v w_vu s_v to sums_u. While rows are pulled
    nothing is read from memory, so where weights come from there the next four rows are asked for beforehand.
    """
    flat, is_large = weight.reshape(-1), weight.size > CACHED
    whole = stop - (stop - start) % 4
    for v in range(start, whole, 4):
        w0, w1, w2, w3 = weight[v], weight[v + 1], weight[v + 2], weight[v + 3]
        sums_of_four = push_and_ask(weight, flat, v, t_source) if is_large else four_products(w0, w1, w2, w3, t_source)
        add_to_four(z_dot, factor, v, sums_of_four)
        for i in range(v, v + 4):
            turn_one(z_dot, first, curvature, abar_dot, s, t, i)
        b = four_scaled(factor, s, v)
        if is_large:
            pull_and_ask(weight, flat, v, b, sums)
        else:
            add_four(w0, w1, w2, w3, b, sums)
    for v in range(whole, stop):
        z_dot[v] += factor[v] * product(weight[v], t_source)
        turn_one(z_dot, first, curvature, abar_dot, s, t, v)
        add_row(weight[v], np.float64(factor[v]) * s[v], sums)


@kernel()
def turn_one(z_dot, first, curvature, abar_dot, s, t, v):
    """Fill the tangent of neuron v and that of its pre-activation adjoint."""
    t[v] = first[v] * z_dot[v]
    s[v] = curvature[v] * z_dot[v] + first[v] * abar_dot[v]


@kernel(fastmath=ANY_ORDER)
def project(direction, factor, a, b, p, sums, start, stop):
    """Push a and pull b with a direction of the weights in one pass.

    Adds c_v sum_u dw_vu a_u to p_v, and sum_v c_v dw_vu b_v to sums_u.
    """
    whole = stop - (stop - start) % 4
    for v in range(start, whole, 4):
        add_to_four(p, factor, v, products_and_sums(direction, v, a, four_scaled(factor, b, v), sums))
    for v in range(whole, stop):
        p[v] += factor[v] * product(direction[v], a)
        add_row(direction[v], np.float64(factor[v]) * b[v], sums)


@kernel(fastmath=ANY_ORDER)
def scatter(factor, s, t, a, b, out, start, stop):
    """Fill out_vu = c_v (s_v a_u + t_u b_v): from nodes to weights."""
    for v in range(start, stop):
        left, right, row = factor[v] * s[v], factor[v] * b[v], out[v]
        for u in range(a.shape[0]):
            row[u] = left * a[u] + right * t[u]
