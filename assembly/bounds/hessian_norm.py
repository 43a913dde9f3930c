r"""A proven upper bound of the norm of the Hessian at one point: the inertia of :math:`\beta I \mp H` in node space.

Let :math:`\rho` be positive scales, near the square roots of the diagonal of N, and :math:`\hat N = \rho^{-1} N
\rho^{-1}`, :math:`\hat M = \rho M \rho`. For any U with :math:`U U^T \succeq \hat N` there is a K with :math:`\rho^{-1}
Z = U K` and :math:`|K|_2 \le 1`, so that

.. math:: |H|_2 = |Z^T M Z|_2 = |K^T U^T \hat M U K|_2 \le |U^T \hat M U|_2 .

M couples no q with a q. With p and the weights r outside node space as the first group of coordinates and q as the
second,

.. math::
    \hat M = \begin{pmatrix} A & B^T \\ B & 0 \end{pmatrix}, \quad
    U = \begin{pmatrix} L & 0 \\ X & R^{1/2} \end{pmatrix}, \quad
    U^T \hat M U = \begin{pmatrix} S & C^T \\ C & 0 \end{pmatrix}, \qquad
    D = X^T B L,\quad S = L^T A L + D + D^T,\quad C^T C = (B L)^T \hat N_{qq} B L - D^T D = Q

where L is the Cholesky factor of :math:`\hat N_{pp} + \epsilon I`, :math:`X = \hat N_{qp} L^{-T}`, and :math:`R = \hat
N_{qq} + \epsilon I - X X^T` is never factorised: with the Schur complement,

.. math:: |H|_2 \le \beta \quad\text{if}\quad \beta I \mp S - Q / \beta \succeq 0 ,

which Cholesky factorisations of half the size prove. :math:`\epsilon` covers every rounding in U. The products with M
need tangents only: for changes p, r of the pre-activations through L, with J and K the first and second derivatives of
the activations,

.. math:: (p, r, q)^T M\, (p, r, q) = \dot z^T K \dot z + 2\, (q + R_b r)^T \dot a, \qquad \dot a = J \dot z .

All errors of rounding are bounded in norm, block after block, and added to beta. Activations, adjoints, slopes and
curvatures are taken as the numbers that the `NodeSpaceHessian` holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf

from assembly.blocks.convolution import ConvolutionBlock
from assembly.blocks.own import OwnBlock
from assembly.bounds.block_norms import block_frobenius_bound, block_norm_bound, fan_in
from assembly.bounds.norms import cholesky_bound
from assembly.bounds.rounding import EPSILON, Array, gamma, norm_up, sum_up, up
from assembly.calculus import one_hidden_layer
from assembly.calculus.hessian import Hessian
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.memory import check_fits
from assembly.program import Segment

LARGEST_SIZE = 4500  # coordinates of the first group
FLOOR = 1e-140  # of the scales: products of them that underflow are far below epsilon
MARGIN = 1e-4  # above the estimate at the first trial, relative
UNDERFLOW = 1e-290  # in S and Q, whose entries are sums of products of up to three tangents


def hessian_norm_bound(space: NodeSpaceHessian) -> float:
    r"""Return a proven upper bound of :math:`|H|_2`, typically within 1e-3 of it.

    Parameters
    ----------
    space : NodeSpaceHessian
        As in ``net.hessian(x, output).node_space``.

    Returns
    -------
    float
        Infinite where no bound is tried: more than 4500 coordinates (one for each neuron with trainable in-edges, one
        for each weight outside node space), or sub-models of the user's own.

    Raises
    ------
    ResourceError
        If the matrices do not fit in the memory that is free.

    Notes
    -----
    With n coordinates about :math:`9 n^3` operations for dense layers, :math:`11 n^3` where edges share weights, and 2n
    applications of N; memory :math:`8 n^2` numbers. One hidden layer under linear outputs has the closed form of
    `assembly.calculus.one_hidden_layer`, which is only rounded up.

    Examples
    --------
    >>> import assembly as am
    >>> hessian = am.mlp(3, [20, 20], seed=0).hessian([1.0, 0.5, -1.0])
    >>> 1.0 <= hessian_norm_bound(hessian.node_space) / float(hessian.norm(tol=1e-10)) < 1.001
    True
    """
    space = space.in_double()
    if one_hidden_layer.applies_to(space.program, space.curvature):
        values, _ = one_hidden_layer.eigenvalues(space)
        return up(float(np.abs(values).max(initial=0.0)), 2 * space.program.n_nodes + 20)
    if any(isinstance(block, OwnBlock) for block in space.program.blocks):
        return math.inf
    kept = _Kept.of(space)
    n = len(kept.targets) + kept.n_outside
    if n > LARGEST_SIZE:
        return math.inf
    numbers = n * (7 * n + 3 * space.program.n_nodes) + 2 * len(kept.sources) ** 2
    check_fits(f"A bound on {n:,} coordinates", 8 * numbers, "use a narrower network")
    with np.errstate(over="ignore", invalid="ignore"):
        pencil = _pencil(space, kept)
    return pencil.norm_bound(float(Hessian(space).norm(tol=1e-3).value))


@dataclass(frozen=True, eq=False)
class _Pencil:
    """S and Q, symmetric to the last bit, with upper bounds of the norms of the errors in them."""

    s: Array
    q: Array
    s_error: float
    q_error: float

    def norm_bound(self, estimate: float) -> float:
        """Return a beta for which ``beta I -+ S - Q / beta >= 0`` is proven; `estimate` is where to begin."""
        s_size, q_size = norm_up(self.s), norm_up(self.q)
        fallback = up(s_size + self.s_error + math.sqrt(up(q_size + self.q_error)), 4)
        if not math.isfinite(fallback):
            return math.inf
        margin = max(MARGIN * estimate, 1e-12 * fallback)
        while estimate + margin < fallback:
            beta = estimate + margin
            over = self.q / beta
            bounds = (cholesky_bound(over + self.s, beta), cholesky_bound(over - self.s, beta))
            if bounds[0] is not None and bounds[1] is not None:
                rounding = 2.0 * EPSILON * (s_size + q_size / beta)
                return min(fallback, up(max(bounds[0], bounds[1]) + self.s_error + self.q_error / beta + rounding, 8))
            margin *= 4.0
        return fallback


@dataclass(frozen=True, eq=False)
class _Kept:
    """The coordinates that count: p of `targets`, the weights r outside node space, and q of `sources`.

    `scale_p` and `scale_q` are the scales rho of p and q; those of r are 1.
    """

    targets: NDArray[np.int64]
    sources: NDArray[np.int64]
    n_outside: int
    scale_p: Array
    scale_q: Array

    @classmethod
    def of(cls, space: NodeSpaceHessian) -> _Kept:
        """Read the structure: trainable blocks in node space give p to their targets and q to their sources."""
        program = space.program
        into, out_of = np.zeros(program.n_nodes, dtype=bool), np.zeros(program.n_nodes, dtype=bool)
        for i in program.trainable:
            block = program.blocks[i]
            if i not in program.coordinates:
                into[block.target] = True
                if not block.from_given:
                    out_of[block.source] = True
        targets, sources = np.flatnonzero(into), np.flatnonzero(out_of)
        diagonal = np.sqrt(space.diagonal())
        scale_p, scale_q = diagonal[targets], diagonal[program.n_nodes + sources]
        n_outside = space.size - 2 * program.n_nodes
        return cls(targets, sources, n_outside, np.maximum(scale_p, FLOOR), np.maximum(scale_q, FLOOR))


@dataclass(frozen=True, eq=False)
class _Cover:
    """The factor U with ``U U^T >= N`` in scaled coordinates: L on p, ``1 + epsilon`` on r, X, and N of q."""

    lower: Array
    x: Array
    gram: Array
    epsilon: float

    @classmethod
    def of(cls, space: NodeSpaceHessian, kept: _Kept) -> _Cover:
        """Factorise N. An infinite epsilon says that it failed.

        The error in an entry of N is at most gamma_k times that of ``|Z| |Z|^T``, which is at most 1 when scaled; the
        factorisation adds gamma_{2n + 12} times the trace, n, and the triangular system as much.
        """
        n_p, n = len(kept.targets), len(kept.targets) + len(kept.sources)
        gram = _scaled_gram(space, kept)
        patches = [block.shape[1] for block in space.program.blocks if isinstance(block, ConvolutionBlock)]
        terms = gamma(4 * (space.program.n_nodes + max(patches, default=0)) + 40)
        solving = gamma(2 * n + 12)
        epsilon = up(4.0 * n * (terms + solving), 4)
        lower, info = dpotrf((gram[:n_p, :n_p] + epsilon * np.eye(n_p)).T, lower=1, overwrite_a=1, clean=1)
        x = dtrsm(1.0, lower, gram[n_p:, :n_p], side=1, lower=1, trans_a=1)
        failed = info != 0 or not solving * norm_up(x) * norm_up(lower) <= 1.5 * n * solving
        return cls(lower, x, gram[n_p:, n_p:] + epsilon * np.eye(n - n_p), math.inf if failed else epsilon)


def _scaled_gram(space: NodeSpaceHessian, kept: _Kept) -> Array:
    """Return N of p and q in scaled coordinates."""
    used = np.concatenate([kept.targets, space.program.n_nodes + kept.sources])
    scale = np.concatenate([kept.scale_p, kept.scale_q])
    gram, unit = np.empty((len(used), len(used))), np.zeros(space.size)
    for row, position in enumerate(used):
        unit[position] = 1.0
        gram[row] = space.N(unit)[used]
        unit[position] = 0.0
    gram /= scale
    gram /= scale[:, None]
    return 0.5 * (gram + gram.T)


def _pencil(space: NodeSpaceHessian, kept: _Kept) -> _Pencil:
    cover = _Cover.of(space, kept)
    tangents = _Tangents.of(space, kept, cover)
    n_p, rounding = len(kept.targets), gamma(space.program.n_nodes + 2)
    half = 0.5 * (tangents.pre.T @ tangents.bent)
    half[n_p:] += tangents.back.T @ tangents.post
    error = tangents.error_of_form(rounding)

    across = kept.scale_q[:, None] * tangents.post[kept.sources]
    across_size, x_size = norm_up(across), norm_up(cover.x)
    scales = np.zeros(space.program.n_nodes)
    scales[kept.sources] = kept.scale_q
    carried = [scales[part.rows].max() * part.post_error for part in tangents.parts]
    across_error = up(norm_up(np.array(carried)) + EPSILON * across_size, 3)

    moved = np.zeros_like(half)
    moved[:n_p] = cover.x.T @ across
    moved_size = norm_up(moved)
    moved_error = up(x_size * (across_error + rounding * across_size), 4)
    half += moved
    half_size = norm_up(half)
    s = half + half.T
    s_error = up(float(error + 2.0 * moved_error + 8.0 * EPSILON * (half_size + moved_size)), 20) + UNDERFLOW

    spread = up(float(sum_up(np.abs(cover.gram), axis=1).max(initial=0.0)))
    gram_size = spread if _is_diagonal(cover.gram) else norm_up(cover.gram)
    weighted = np.diagonal(cover.gram)[:, None] * across if _is_diagonal(cover.gram) else cover.gram @ across
    q = across.T @ weighted
    q -= moved.T @ moved
    error = spread * across_error * (2.0 * across_size + across_error) + 3.0 * rounding * gram_size * across_size**2
    error += moved_error * (2.0 * moved_size + moved_error) + gamma(len(s) + 2) * moved_size**2
    q_error = up(float(error + 4.0 * EPSILON * norm_up(q)) * (1.0 + cover.epsilon), 20) + UNDERFLOW
    return _Pencil(s, 0.5 * (q + q.T), s_error, q_error)


def _is_diagonal(matrix: Array) -> bool:
    return bool(np.count_nonzero(matrix) == np.count_nonzero(np.diagonal(matrix)))


@dataclass(frozen=True)
class _Part:
    """Upper bounds of the norms of the errors in the tangents of one segment."""

    rows: slice
    pre_error: float
    post_error: float
    bent_error: float


@dataclass(frozen=True, eq=False)
class _Tangents:
    """Tangents of pre-activations (`pre`), activations (`post`), and K times `pre`, for changes p and r through L.

    `back` holds what r changes in the adjoints of nodes; the error in it is bounded in norm.
    """

    pre: Array
    post: Array
    bent: Array
    back: Array
    back_error: float
    parts: list[_Part]

    def error_of_form(self, rounding: float) -> float:
        """Bound the error of the quadratic form in p and r: a sum over segments."""
        total = 0.0
        for part in self.parts:
            pre, post, bent, back = (
                norm_up(values[part.rows]) for values in (self.pre, self.post, self.bent, self.back)
            )
            total += part.pre_error * (bent + part.bent_error) + pre * part.bent_error + rounding * pre * bent
            total += 2.0 * (
                back * part.post_error + self.back_error * (post + part.post_error) + rounding * back * post
            )
        return up(total, 12 + len(self.parts))

    @classmethod
    def of(cls, space: NodeSpaceHessian, kept: _Kept, cover: _Cover) -> _Tangents:
        """Pass all columns forward at once, segment after segment."""
        program, n_p = space.program, len(kept.targets)
        forward, back, outside = _outside(space)
        raised = 1.0 + cover.epsilon
        pre = np.zeros((program.n_nodes, n_p + kept.n_outside))
        pre[kept.targets, :n_p] = kept.scale_p[:, None] * cover.lower
        pre[:, n_p:] = raised * forward
        outside *= raised
        post, bent = np.zeros_like(pre), np.zeros_like(pre)
        parts: dict[int, _Part] = {}
        for segment in program.segments:
            if segment.incoming:
                rows, error = segment.nodes, outside + EPSILON * norm_up(pre[segment.nodes])
                for position in segment.incoming:
                    block, weights = program.blocks[position], space.weights[position]
                    if not block.from_given:
                        below = post[block.source]
                        pre[rows] += block.multiply(weights, below)
                        carried = parts[block.source.start].post_error if block.source.start in parts else 0.0
                        rounded = gamma(fan_in(block) + 2) * block_frobenius_bound(block, weights) * norm_up(below)
                        error = up(error + block_norm_bound(block, weights) * carried + rounded, 4)
                        error = up(error + EPSILON * norm_up(pre[rows]))
                slope, bend = _responses(space, segment)
                post[rows], slope_error = slope.apply(pre[rows], error)
                bent[rows], bend_error = bend.apply(pre[rows], error)
                parts[rows.start] = _Part(rows, error, slope_error, bend_error)
        return cls(pre, post, bent, raised * back, outside, list(parts.values()))


def _outside(space: NodeSpaceHessian) -> tuple[Array, Array, float]:
    """Return what unit changes r of the weights outside node space do to pre-activations and adjoints of nodes.

    Two matrices of one column a weight, and an upper bound of the norm of the error in each.
    """
    program, n = space.program, space.size - 2 * space.program.n_nodes
    matrices = [np.zeros((n, program.n_nodes)) for _ in range(4)]
    for i, part in program.coordinates.items():
        block, weights = program.blocks[i], space.weights[i]
        signed = np.abs(space.b)
        signed[block.target] *= np.sign(block.factor)
        local, absolute = block.local(weights, space.a, space.b), block.local(weights, np.abs(space.a), signed)
        unit = np.zeros(part.stop - part.start)
        for j in range(len(unit)):
            unit[j] = 1.0
            for found, kind in zip((matrices[:2], matrices[2:]), (local, absolute), strict=True):
                kind.forward(unit, found[0][part.start + j])
                kind.backward(unit, found[1][part.start + j])
            unit[j] = 0.0
    error = gamma(program.n_nodes + 8) * max(norm_up(matrices[2]), norm_up(matrices[3]))
    return matrices[0].T, matrices[1].T, up(float(error), 2)


@dataclass(frozen=True, eq=False)
class _Response:
    """A derivative of the activations of a segment: a vector, or the matrix of a softmax with the error in its norm."""

    derivative: Array
    error: float

    def apply(self, columns: Array, error: float) -> tuple[Array, float]:
        """Return the derivative times columns of a known error, and the error of that."""
        size = norm_up(columns)
        if self.derivative.ndim == 1:
            largest = float(np.abs(self.derivative).max(initial=0.0))
            return self.derivative[:, None] * columns, up(float(largest * (error + EPSILON * size)), 3)
        largest = norm_up(self.derivative)
        lost = largest * (error + gamma(len(columns)) * size) + self.error * (size + error)
        return self.derivative @ columns, up(float(lost), 5)


def _responses(space: NodeSpaceHessian, segment: Segment) -> tuple[_Response, _Response]:
    """Return J, the slope of the activations, and K, the bend of the adjoints along a change of the pre-activations."""
    rows = segment.nodes
    if not segment.is_softmax:
        return _Response(space.first[rows], 0.0), _Response(space.curvature[rows], 0.0)
    p, abar = space.a[rows], space.abar[rows]
    centred = p * (abar - p @ abar)
    outer = np.outer(centred, p)
    slope, bend = np.diag(p) - np.outer(p, p), np.diag(centred) - outer - outer.T
    size = norm_up(p)
    scale = up(float(size * (1.0 + 2.0 * size) * (np.abs(abar).max() + p @ np.abs(abar))), len(p) + 6)
    return _Response(slope, 4.0 * EPSILON * size * (1.0 + size)), _Response(bend, 2.0 * gamma(len(p) + 8) * scale)
