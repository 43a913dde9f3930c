"""Passes over the edges of a tied connection, stored by rows: edge e reads weight number `number[e]`.

indptr (n_target + 1,) int64; source, number (n_edges,) int32; weight (n_weights,); factor (n_target,). Node vectors are
the slices of one connection: `a`, `t` over its sources, `b`, `s` over its targets. Sums run in the order of the edges.
"""

from __future__ import annotations

from assembly.kernels import kernel


@kernel()
def push(indptr, source, number, weight, factor, a, out):
    """Add to out_v the forward sum c_v sum_e w_e a_u(e)."""
    for v in range(factor.shape[0]):
        total = 0.0
        for e in range(indptr[v], indptr[v + 1]):
            total += weight[number[e]] * a[source[e]]
        out[v] += factor[v] * total


@kernel()
def pull(indptr, source, number, weight, factor, b, out):
    """Add to out_u the backward sum sum_e c_v w_e b_v(e)."""
    for v in range(factor.shape[0]):
        scaled = factor[v] * b[v]
        for e in range(indptr[v], indptr[v + 1]):
            out[source[e]] += weight[number[e]] * scaled


@kernel()
def collect(indptr, source, number, factor, s, t, a, b, out):
    """Add to the weights, out[number[e]], the edges c_v (s_v a_u + t_u b_v): from nodes to shared weights."""
    for v in range(factor.shape[0]):
        for e in range(indptr[v], indptr[v + 1]):
            u = source[e]
            out[number[e]] += factor[v] * (s[v] * a[u] + t[u] * b[v])


@kernel()
def carried(indptr, number, share, out):
    """Add to out_v the sum over its edges of share[number[e]]."""
    for v in range(out.shape[0]):
        for e in range(indptr[v], indptr[v + 1]):
            out[v] += share[number[e]]
