"""Random parents of neurons: distinct, and uniform but for those that are asked for."""

from __future__ import annotations

from assembly.kernels import kernel


@kernel()
def fill_parents(uniform, required, n_pool, first, n_target, marks, out):
    """Fill row i of `out` with distinct numbers below n_pool: those required of target first + i, then uniform others.

    uniform (n_rows, in_degree) float64 in [0, 1); required (n_required,) int64, of which target v takes the entries v,
    v + n_target, v + 2 n_target, ..., all distinct and at most in_degree; marks (n_pool,) bool, False before and after;
    out (n_rows, in_degree) int32, in no order. The others are drawn by Floyd's algorithm among the numbers that are not
    required, by their rank: every set of them has the same chance, for any in_degree up to n_pool.
    """
    in_degree = out.shape[1]
    for i in range(out.shape[0]):
        row = out[i]
        n_required = 0
        for j in range(first + i, required.shape[0], n_target):
            e = n_required
            while e > 0 and row[e - 1] > required[j]:
                row[e] = row[e - 1]
                e -= 1
            row[e] = required[j]
            n_required += 1
        for e in range(n_required, in_degree):
            last = n_pool - n_required - in_degree + e
            rank = int(uniform[i, e] * (last + 1))
            if marks[rank]:
                rank = last
            marks[rank] = True
            row[e] = rank
        for e in range(n_required, in_degree):
            neuron = row[e]
            marks[neuron] = False
            for f in range(n_required):
                if neuron >= row[f]:
                    neuron += 1
            row[e] = neuron
