"""Passes over the weights of a dense connection for a few node vectors together: every weight is read once for all.

weight (n_target, n_source) floating, rows contiguous; a (n, n_source), b (n, n_target) and sums, float64, of the nodes
of one connection, n a multiple of four. BLAS copies the weights first, which takes longer than the products of few
vectors. Products are taken and summed in float64, as in `assembly.kernels.dense`.
"""

from __future__ import annotations

from assembly.kernels import kernel
from assembly.kernels.dense import ANY_ORDER, add_row, product


@kernel(fastmath=ANY_ORDER)
def sixteen_products(w0, w1, w2, w3, a0, a1, a2, a3):
    """Return the inner products of four rows with each of four vectors."""
    s00, s01, s02, s03 = 0.0, 0.0, 0.0, 0.0
    s10, s11, s12, s13 = 0.0, 0.0, 0.0, 0.0
    s20, s21, s22, s23 = 0.0, 0.0, 0.0, 0.0
    s30, s31, s32, s33 = 0.0, 0.0, 0.0, 0.0
    for u in range(a0.shape[0]):
        x0, x1, x2, x3 = w0[u], w1[u], w2[u], w3[u]
        y0, y1, y2, y3 = a0[u], a1[u], a2[u], a3[u]
        s00 += x0 * y0
        s01 += x1 * y0
        s02 += x2 * y0
        s03 += x3 * y0
        s10 += x0 * y1
        s11 += x1 * y1
        s12 += x2 * y1
        s13 += x3 * y1
        s20 += x0 * y2
        s21 += x1 * y2
        s22 += x2 * y2
        s23 += x3 * y2
        s30 += x0 * y3
        s31 += x1 * y3
        s32 += x2 * y3
        s33 += x3 * y3
    return (s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33)


@kernel(fastmath=ANY_ORDER)
def add_sixteen(w0, w1, w2, w3, b, v, sums0, sums1, sums2, sums3):
    """Add four rows, times b_iv to b_i(v + 3), to each of four sums."""
    b00, b01, b02, b03 = b[0, v], b[0, v + 1], b[0, v + 2], b[0, v + 3]
    b10, b11, b12, b13 = b[1, v], b[1, v + 1], b[1, v + 2], b[1, v + 3]
    b20, b21, b22, b23 = b[2, v], b[2, v + 1], b[2, v + 2], b[2, v + 3]
    b30, b31, b32, b33 = b[3, v], b[3, v + 1], b[3, v + 2], b[3, v + 3]
    for u in range(sums0.shape[0]):
        x0, x1, x2, x3 = w0[u], w1[u], w2[u], w3[u]
        sums0[u] += b00 * x0 + b01 * x1 + b02 * x2 + b03 * x3
        sums1[u] += b10 * x0 + b11 * x1 + b12 * x2 + b13 * x3
        sums2[u] += b20 * x0 + b21 * x1 + b22 * x2 + b23 * x3
        sums3[u] += b30 * x0 + b31 * x1 + b32 * x2 + b33 * x3


@kernel(fastmath=ANY_ORDER)
def push(weight, a, sums, start, stop):
    """Fill sums_iv, shape (n, n_target), with the forward sum sum_u w_vu a_iu, for the targets start..stop-1."""
    n, whole = a.shape[0], stop - (stop - start) % 4
    for v in range(start, whole, 4):
        w0, w1, w2, w3 = weight[v], weight[v + 1], weight[v + 2], weight[v + 3]
        for i in range(0, n, 4):
            found = sixteen_products(w0, w1, w2, w3, a[i], a[i + 1], a[i + 2], a[i + 3])
            for k in range(4):
                sums[i + k, v], sums[i + k, v + 1], sums[i + k, v + 2], sums[i + k, v + 3] = found[k]
    for v in range(whole, stop):
        for i in range(n):
            sums[i, v] = product(weight[v], a[i])


@kernel(fastmath=ANY_ORDER)
def pull(weight, b, sums, start, stop):
    """Add to sums_iu, shape (n, n_source), the backward sum sum_v w_vu b_iv over the targets start..stop-1."""
    n, whole = b.shape[0], stop - (stop - start) % 4
    for v in range(start, whole, 4):
        w0, w1, w2, w3 = weight[v], weight[v + 1], weight[v + 2], weight[v + 3]
        for i in range(0, n, 4):
            add_sixteen(w0, w1, w2, w3, b[i : i + 4], v, sums[i], sums[i + 1], sums[i + 2], sums[i + 3])
    for v in range(whole, stop):
        for i in range(n):
            add_row(weight[v], b[i, v], sums[i])
