r"""An upper bound of :math:`\sup \|H(w)\|` over the ball, from one small non-negative matrix.

For a direction dw whose part in the weights of group :math:`\beta` has length :math:`r_\beta`,

.. math:: dw^T H\, dw = \underbrace{\sum_t \sum_i \bar a_i \sigma_i''\, \dot z_i^2}_{\text{dominance}}
          + \underbrace{2 \sum_\beta b^T (c\, dW_\beta)\, \dot a}_{\text{coupling}},
          \qquad \dot z_t = \sum_k \frac{\partial z_t}{\partial z_k}\, c\, dW_k\, a_{k-1},

with everything evaluated at any w. With :math:`\kappa_i` the largest :math:`|\bar a_i \sigma_i''|` of every neuron over
the ball and :math:`g_{tk}` the largest :math:`|\mathrm{diag}(\sqrt\kappa)\, \partial z_t/\partial z_k|`, the first term
is at most :math:`\sum_t (\sum_k g_{tk} |c\, dW_k a|)^2`; the second is bounded term by term. Both are quadratic forms
in r, so :math:`\|H\| \le \lambda_{\max}(B)`.

A second way starts from the norm at the centre, which is known, and bounds in the same form only what changes:
:math:`\|H(w)\| \le \|H(w_0)\| + \lambda_{\max}(B_\delta)`. It wins in small balls. The smaller of the two counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from assembly.bounds.adjoints import Adjoints
from assembly.bounds.ball import Ball, Form
from assembly.bounds.centre import Centre
from assembly.bounds.norms import perron_bound
from assembly.bounds.rounding import NON_NEGATIVE, Array


@dataclass(frozen=True)
class CurvatureBound:
    """A proven bound of the Hessian norm over a ball.

    Attributes
    ----------
    value : float
    at_centre : float or None
        The bound of ``|H(w0)|`` that it adds a change to; None if it does without.
    dominance : dict of int to float
        Part of every layer in the value (or in the change): who bends.
    coupling : dict of int to float
        Part of the weights into every layer: which pairs of weights multiply.
    """

    value: float
    at_centre: float | None
    dominance: dict[int, float]
    coupling: dict[int, float]


def curvature_bound(centre: Centre, radius: float, norm_at_centre: Callable[[], float]) -> CurvatureBound:
    """Return the smaller of the two bounds over a ball.

    Parameters
    ----------
    centre : Centre
    radius : float
    norm_at_centre : callable
        Returns a proven bound of ``|H(w0)|``.

    Notes
    -----
    Cost: about ten Gram matrices and Cholesky factorisations for every pair of segments.
    """
    adjoints = Adjoints(Ball(centre, radius))
    whole = _of_matrices(*_direct(adjoints), 0.0)
    dominance, coupling = _changes(adjoints)
    if _of_matrices(dominance, coupling, 0.0).value < whole.value:
        changed = _of_matrices(dominance, coupling, norm_at_centre())
        if changed.value < whole.value:
            return changed
    return replace(whole, at_centre=None)


def _of_matrices(dominance: dict[int, Array], coupling: dict[int, Array], at_centre: float) -> CurvatureBound:
    """Bound the sum of the quadratic forms, and say what each contributes along the worst direction."""
    total = sum([*dominance.values(), *coupling.values()])
    matrix = np.atleast_2d(np.asarray(total, dtype=np.float64))
    if not np.isfinite(matrix).all():
        return CurvatureBound(np.inf, at_centre, {}, {})
    worst = np.abs(np.linalg.eigh(0.5 * (matrix + matrix.T))[1][:, -1])
    value = (at_centre + perron_bound(matrix)) * NON_NEGATIVE
    return CurvatureBound(
        value,
        at_centre,
        {t: float(worst @ form @ worst) for t, form in dominance.items()},
        {t: float(worst @ form @ worst) for t, form in coupling.items()},
    )


def _direct(adjoints: Adjoints) -> tuple[dict[int, Array], dict[int, Array]]:
    ball = adjoints.ball
    dominance, coupling = {}, {}
    for t in ball.active:
        weight = adjoints.weight(t)
        if weight.any():
            tangent = sum(_weighted_jacobian(adjoints, t, k) * ball.own(k) for k in range(t + 1) if _leads(ball, t, k))
            dominance[t] = np.outer(tangent, tangent)
        pairs = _zeros(ball)
        for i, link in ball.trainable(t):
            if not link.from_given and ball.centre.moves[link.source]:
                pairs[link.column] += adjoints.advance[i] * ball.steepest(link.source) * _tangent(ball, link.source)
        if pairs.any():
            coupling[t] = pairs + pairs.T
    return dominance, coupling


def _leads(ball: Ball, t: int, k: int) -> bool:
    return t == k or (t, k) in ball.jacobian


def _zeros(ball: Ball) -> Array:
    return np.zeros((ball.centre.n_columns, ball.centre.n_columns))


def _tangent(ball: Ball, t: int) -> Form:
    """Form of ``|zdot_t|`` in the lengths r of the parts of the direction, over the ball."""
    return np.asarray(sum(ball.sup(t, k) * ball.own(k) for k in range(t + 1)))


def _weighted_jacobian(adjoints: Adjoints, t: int, k: int) -> float:
    r"""Return a bound of ``|diag(sqrt kappa) dz_t/dz_k|`` over the ball: the smallest of three."""
    ball, centre = adjoints.ball, adjoints.centre
    root = np.sqrt(adjoints.weight(t))
    largest = float(root.max())
    if t == k:
        return largest
    stepwise = 0.0
    for i, link in ball.moving(t):
        if ball.sup(link.source, k):
            moved = largest * ball.moved_weights(link)
            stepwise += (_bent_norm(adjoints, t, i) + moved) * ball.sup(link.source, k)
    expanded = centre.pre_jacobians[t, k].weighted(root).norm + ball.weighted_change(t, k, root)
    return min(largest * ball.jacobian[t, k], stepwise, expanded)


def _bent_norm(adjoints: Adjoints, t: int, i: int) -> float:
    """Return a bound of ``|diag(sqrt kappa) c W diag(sup sigma')|``, the change of the adjoints spread over neurons.

    Either kappa is the largest of every neuron, or that of the centre's adjoints and a change whose Euclidean length is
    bounded: few neurons can have much of it, and a row of a matrix takes little of a direction.
    """
    steep = adjoints.ball.with_slopes(i)
    bend = adjoints.ball.bend[t]
    whole = steep.weighted(np.sqrt(adjoints.weight(t))).norm
    known = np.sqrt(bend * np.abs(adjoints.centre.abar[t]))
    moved = float(bend.max()) * adjoints.change(t)
    return min(whole, float(np.hypot(steep.weighted(known).norm, np.sqrt(moved) * steep.two_to_four)))


def _changes(adjoints: Adjoints) -> tuple[dict[int, Array], dict[int, Array]]:
    ball, centre = adjoints.ball, adjoints.centre
    dominance, coupling = {}, {}
    for t in ball.active:
        weight = adjoints.weight(t)
        at_centre, concentrated, change = _tangents(adjoints, t)
        if weight.any():
            length, one = _weight_change(adjoints, t)
            bent = min(
                (length * np.outer(concentrated, concentrated), one * np.outer(at_centre, at_centre)), key=np.trace
            )
            moved = np.outer(at_centre, change)
            dominance[t] = bent + float(weight.max()) * (moved + moved.T + np.outer(change, change))
        pairs = _zeros(ball)
        for i, link in ball.trainable(t):
            s = link.source
            if not link.from_given and centre.moves[s]:
                still, spread, moving = _tangents(adjoints, s)
                steepest = float(centre.first[s].max(initial=0.0))
                length, one = ball.slope_change(s)
                turned = min((length * spread, one * still), key=lambda form: float(np.linalg.norm(form)))
                turned = turned + centre.first_error[s] * still
                adjoint = ball.length(adjoints.pre_drift[t]) + centre.b_error[t]
                pairs[link.column] += link.bilinear * adjoint * steepest * still
                pairs[link.column] += adjoints.advance[i] * (turned + ball.steepest(s) * moving)
        if pairs.any():
            coupling[t] = pairs + pairs.T
    return dominance, coupling


def _tangents(adjoints: Adjoints, t: int) -> tuple[Form, Form, Form]:
    """Forms of ``zdot_t`` as computed at the centre, in the 2-norm and in the 4-norm, and of its change in the 2-norm.

    What stands for the centre may be larger than it is, so the activations of the ball serve there.
    """
    ball, centre = adjoints.ball, adjoints.centre
    at_centre, concentrated, change = ball.own(t), ball.own(t), ball.own_change(t)
    for k in range(t):
        if (t, k) in ball.jacobian:
            through, own = centre.pre_jacobians[t, k], ball.own(k)
            at_centre = at_centre + through.norm * own
            concentrated = concentrated + min(through.norm, through.two_to_four) * own
            rounded = 2.0 * through.error  # what is true and what was computed are in the enclosure, both
            change = change + (ball.change[t, k] + rounded) * own + through.norm * ball.own_change(k)
    return at_centre, concentrated, change


def _weight_change(adjoints: Adjoints, t: int) -> tuple[float, float]:
    r"""Return bounds of the change of ``abar sigma''`` of a segment: Euclidean length, and of any one neuron.

    From what was computed at the centre, so the rounding there counts as well.
    """
    ball, centre = adjoints.ball, adjoints.centre
    third = centre.suprema(t, 3, ball.spread[t])
    known = np.abs(centre.abar[t])
    moved = ball.length(ball.drift[t]) + centre.z_error[t]
    lost = known * centre.second_error[t]
    length = float(ball.bend[t].max()) * adjoints.change(t) + float((known * third).max()) * moved
    length += float(np.linalg.norm(lost))
    one = ball.bend[t] * adjoints.shift[t] + known * np.minimum(third * ball.spread[t], 2.0 * ball.bend[t]) + lost
    return length, min(length, float(one.max()))
