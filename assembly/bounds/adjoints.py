r"""How far the adjoints of a network can move over a ball of parameters.

With the Jacobians of the centre, the change of an adjoint is exactly

.. math:: \delta\bar a_k = \sum_{t} J_{tk}^T\, (\delta\sigma_t' \odot \bar a_t(w))
          + \sum_{\beta : j \to t} \Bigl(\frac{\partial a_j}{\partial a_k}\Bigr)^T c\,\delta W_\beta^T\, b_t(w),

so every neuron's is bounded by the length of a column of J, weighted with the adjoints above it: with the largest they
have in the ball, or with those of the centre and their change. The change of the slopes and that of the adjoints are
vectors of bounded length; the sum of the magnitudes of their product is at most the product of their lengths, and J
makes of it at most that times its largest entry.
"""

from __future__ import annotations

import numpy as np

from assembly.bounds.ball import Ball, Form
from assembly.bounds.enclosure import Enclosure
from assembly.bounds.rounding import Array


class Adjoints:
    """The backward pass over the ball.

    Attributes
    ----------
    drift : list of ndarray of shape (n_columns,)
        Form of the Euclidean change of the adjoints ``df/da`` of every segment.
    largest : list of ndarray
        Bound of ``|df/da_i|`` for every neuron, over the ball.
    pre_drift : list of ndarray of shape (n_columns,)
        Form of the change of the pre-activation adjoints b.
    shift : list of ndarray
        Bound of the change of ``df/da_i`` for every neuron, from what was computed at the centre.
    advance : dict of int to float
        Of every trainable link, ``sup |U^T c b(w)|`` over U of length 1.
    """

    def __init__(self, ball: Ball) -> None:
        self.ball = ball
        self.centre = ball.centre
        centre, n = ball.centre, len(ball.centre.segments)
        zeros = np.zeros(centre.n_columns)
        self.drift: list[Form] = [zeros for _ in range(n)]
        self.pre_drift: list[Form] = [zeros for _ in range(n)]
        self.largest: list[Array] = [np.zeros(size) for size in centre.sizes]
        self.shift: list[Array] = [np.zeros(size) for size in centre.sizes]
        self.advance: dict[int, float] = {}
        for k in reversed(ball.active):
            self._move(k)
            self._move_pre(k)

    def change(self, k: int) -> float:
        """Return the largest Euclidean distance of the adjoints of a segment from those computed at the centre."""
        return self.ball.length(self.drift[k]) + self.centre.abar_error[k]

    def weight(self, t: int) -> Array:
        """Return ``sup|sigma''| sup|df/da|`` for every neuron: how much a change of its pre-activation bends f."""
        return self.ball.bend[t] * self.largest[t]

    def _move(self, k: int) -> None:
        centre, ball = self.centre, self.ball
        form, rows = np.zeros(centre.n_columns), np.zeros((centre.sizes[k], centre.n_columns))
        for t in range(k + 1, len(centre.segments)):
            if (t, k) in centre.jacobian:
                norm, columns = self._bent(t, k)
                form = form + norm * ball.drift[t]
                rows = rows + np.outer(columns, ball.drift[t])
        for i, link in enumerate(centre.links):
            if link.column is not None and i in self.advance:
                moved = self._path(link.source, k)
                if moved is not None:
                    norm, columns = moved
                    form[link.column] += norm * self.advance[i]
                    rows[:, link.column] += columns * self.advance[i]
        self.drift[k] = form
        lengths = np.minimum(np.linalg.norm(rows, axis=1), np.linalg.norm(form))
        self.shift[k] = centre.abar_error[k] + ball.radius * lengths
        self.largest[k] = np.abs(centre.abar[k]) + self.shift[k]
        if not np.isfinite(self.largest[k]).all():
            raise OverflowError("no finite bound exists: an adjoint can grow beyond the range of the numbers")

    def _bent(self, t: int, k: int) -> tuple[float, Array]:
        """Return what a change of the pre-activations of t makes of the adjoints of k: in all, and of every neuron."""
        onward, bend = self.centre.jacobian[t, k], self.ball.bend[t]
        most = onward.weighted(self.weight(t))
        known = onward.weighted(bend * np.abs(self.centre.abar[t]))
        both = float(bend.max(initial=0.0)) * self.change(t)
        norm = min(most.norm, known.norm + both * float(onward.rows.max()))
        return norm, np.minimum(most.columns, known.columns + both * onward.largest_of_columns)

    def _path(self, j: int, k: int) -> tuple[float, Array] | None:
        """Norm and columns of ``da_j / da_k`` at the centre; None where there is no path."""
        if j == k:
            return 1.0, np.ones(self.centre.sizes[k])
        if (j, k) not in self.centre.jacobian:
            return None
        steps: Enclosure = self.centre.jacobian[j, k].weighted(self.centre.first[j])
        return steps.norm, steps.columns

    def _move_pre(self, t: int) -> None:
        centre = self.centre
        steepest = float(centre.first[t].max(initial=0.0))
        self.pre_drift[t] = steepest * self.drift[t] + float(self.weight(t).max(initial=0.0)) * self.ball.drift[t]
        moved = self.ball.length(self.pre_drift[t]) + centre.b_error[t]
        for i, link in self.ball.trainable(t):
            self.advance[i] = link.advance(centre.b_vector) + (0.0 if link.from_given else link.bilinear * moved)
