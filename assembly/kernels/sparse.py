"""Passes over the edges of a sparse connection, stored by rows (CSR): row v holds the in-edges of target v.

indptr (n_target + 1,) int64; source (n_edges,) int32; weight (n_edges,); factor (n_target,). Node vectors are the
slices of one connection: `a`, `t` over its sources, `b`, `s` over its targets. Sums run in the order of the edges.

Positions are taken as unsigned: numba tests every signed index for being negative, up to a third of the time here.
"""

from __future__ import annotations

import numpy as np

from assembly.kernels import kernel


@kernel()
def push(indptr, source, weight, factor, a, out):
    """Add to out_v the forward sum c_v sum_e w_e a_u(e)."""
    for v in range(factor.shape[0]):
        total = 0.0
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + 1])):
            total += weight[e] * a[np.uint32(source[e])]
        out[v] += factor[v] * total


@kernel()
def pull(indptr, source, weight, factor, b, out):
    """Add to out_u the backward sum sum_e c_v w_e b_v(e)."""
    for v in range(factor.shape[0]):
        scaled = factor[v] * b[v]
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + 1])):
            out[np.uint32(source[e])] += weight[e] * scaled


@kernel()
def scatter(indptr, source, factor, s, t, a, b, out):
    """Fill out_e = c_v (s_v a_u + t_u b_v): from nodes to edges."""
    for v in range(factor.shape[0]):
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + 1])):
            u = np.uint32(source[e])
            out[e] = factor[v] * (s[v] * a[u] + t[u] * b[v])


@kernel()
def gram(indptr, source, factor, s, t, a, b, p, q):
    """Add N(s, t): p_v = c_v^2 (s_v sum a_u^2 + b_v sum a_u t_u), q_u = sum_v c_v^2 (a_u s_v b_v + t_u b_v^2)."""
    for v in range(factor.shape[0]):
        square = factor[v] * factor[v]
        sb = square * s[v] * b[v]
        bb = square * b[v] * b[v]
        aa = 0.0
        at = 0.0
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + 1])):
            u = np.uint32(source[e])
            aa += a[u] * a[u]
            at += a[u] * t[u]
            q[u] += a[u] * sb + t[u] * bb
        p[v] += square * (s[v] * aa + b[v] * at)


@kernel()
def products(indptr, source, a, c, out):
    """Fill out_v = sum_e a_u(e) c_u(e), the inner product of the in-values of target v for two inputs."""
    for v in range(out.shape[0]):
        total = 0.0
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + 1])):
            u = np.uint32(source[e])
            total += a[u] * c[u]
        out[v] = total


@kernel()
def spread(indptr, source, value, out):
    """Add value_v to out_u(e) for every edge e into v."""
    for v in range(value.shape[0]):
        for e in range(np.uint64(indptr[v]), np.uint64(indptr[v + 1])):
            out[np.uint32(source[e])] += value[v]
