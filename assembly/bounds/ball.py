r"""How far a network can move while its parameters stay in the ball :math:`|w - w_0| \le R`.

With :math:`R_\beta` the length of the change of the weights of group :math:`\beta`, :math:`\sum R_\beta^2 \le R^2`,
every change is bounded by a linear form in the :math:`R_\beta`: a row of coefficients, whose length times R is the
bound over the ball. Two ways lead to each, and the smaller one counts:

* step by step, with the largest slopes in the ball: :math:`|\delta z_t| \le \sum |c\,\delta W\, a| + |c W_0\,
  \mathrm{diag}(\sup\sigma')|\,|\delta z_s|`;
* expanded at the centre, with the Jacobians there: :math:`\delta z_t = \sum_k \frac{\partial z_t}{\partial z_k}
  c\,\delta W_k a_{k-1} + \sum_j J_{tj}\, \nu_j`, :math:`\nu_j = \tfrac12 \sigma''(\xi)\,\delta z_j^2`. Few neurons can
  move far: :math:`|\nu_j|_1 \le \tfrac12 \sup|\sigma''|\,|\delta z_j|_2^2`, so that :math:`|J \nu|` is at most that
  times the longest column of J, which is far less than its norm.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from assembly.bounds.centre import Centre, Link
from assembly.bounds.enclosure import Enclosure
from assembly.bounds.rounding import Array

Form = Array  # coefficients of a linear form in the R of the groups of weights, shape (n_columns,)


class Ball:
    """The forward pass over the ball: pre-activations, slopes and Jacobians between segments.

    Parameters
    ----------
    centre : Centre
    radius : float

    Notes
    -----
    All numbers are sums, products, maxima and roots of non-negative ones: their relative rounding error is below 1e-9,
    which `assembly.bounds.curvature` adds in the end.

    Attributes
    ----------
    drift : list of ndarray of shape (n_columns,)
        Form of ``|z_t(w) - z_t(w0)|`` for every segment; zeros for those that do not depend on the parameters.
    spread : list of ndarray
        Bound of ``|z_i(w) - z_i(w0)|`` for every neuron.
    slope, bend : list of ndarray
        Suprema of ``|sigma'|`` and ``|sigma''|`` for every neuron.
    reach : dict of int to tuple
        Of every trainable link, ``sup |c U a(w)|`` over U of length 1: as a whole and for every target.
    reach_change : dict of int to float
        Of every trainable link, ``sup |c U (a(w) - a)|``, a as computed at the centre.
    jacobian, change : dict of (int, int) to float
        Bounds of ``|dz_t/dz_k|`` and of its distance from the centre's, for k before t.
    """

    def __init__(self, centre: Centre, radius: float) -> None:
        self.centre = centre
        self.radius = radius
        n = len(centre.segments)
        zeros = np.zeros(centre.n_columns)
        self.drift: list[Form] = [zeros for _ in range(n)]
        self.spread: list[Array] = [np.zeros(size) for size in centre.sizes]
        self.slope: list[Array] = [np.zeros(size) for size in centre.sizes]
        self.bend: list[Array] = [np.zeros(size) for size in centre.sizes]
        self.reach: dict[int, tuple[float, Array]] = {}
        self.reach_change: dict[int, float] = {}
        self.jacobian: dict[tuple[int, int], float] = {}
        self.change: dict[tuple[int, int], float] = {}
        self._with_slopes: dict[int, Enclosure] = {}
        for t in range(n):
            if centre.moves[t]:
                self._measure_reach(t)
                self._move(t)
        for t in range(n):
            for k in range(t):
                if (t, k) in centre.jacobian:
                    self._bound_jacobian(t, k)

    def length(self, form: Form) -> float:
        """Return the largest value of a form over the ball."""
        return self.radius * float(np.linalg.norm(form))

    def own(self, t: int) -> Form:
        """Return the form of what the weights into segment t alone change in its pre-activations."""
        return self._form(t, {i: whole for i, (whole, _) in self.reach.items()})

    def own_change(self, t: int) -> Form:
        """Return the form of how far that is from what it is at the computed activations of the centre."""
        return self._form(t, self.reach_change)

    def _form(self, t: int, parts: dict[int, float]) -> Form:
        form = np.zeros(self.centre.n_columns)
        for i, link in self.trainable(t):
            form[link.column] += parts[i]
        return form

    def trainable(self, t: int) -> list[tuple[int, Link]]:
        """Return the trainable links into a segment, with their numbers."""
        return [(i, link) for i, link in enumerate(self.centre.links) if link.target == t and link.column is not None]

    def moving(self, t: int) -> list[tuple[int, Link]]:
        """Return the links into a segment from segments that depend on the parameters, with their numbers."""
        links = enumerate(self.centre.links)
        return [(i, link) for i, link in links if link.target == t and self.centre.moves[link.source]]

    def with_slopes(self, i: int) -> Enclosure:
        """Return the map of a link after the largest slopes of its source, ``c W diag(sup sigma')``."""
        if i not in self._with_slopes:
            link = self.centre.links[i]
            self._with_slopes[i] = link.map.scaled(self.slope[link.source])
        return self._with_slopes[i]

    def steepest(self, t: int) -> float:
        """Return the largest slope in a segment."""
        return float(self.slope[t].max(initial=0.0))

    def slope_change(self, t: int) -> tuple[float, float]:
        """Return bounds of the change of the slopes of a segment: Euclidean length, and of any one neuron."""
        bend = self.bend[t]
        length = float(bend.max(initial=0.0)) * self.length(self.drift[t])
        one = float(np.minimum(bend * self.spread[t], 2.0 * self.slope[t]).max(initial=0.0))
        return length, min(length, one)

    def _second_order(self, t: int) -> tuple[float, float]:
        r"""Bound :math:`|a(w) - a - \sigma'\,\delta z| / |\delta z|`: summed over a segment, and of one neuron."""
        total = 0.5 * self.slope_change(t)[0]
        one = float(np.minimum(0.5 * self.bend[t] * self.spread[t], 2.0 * self.slope[t]).max(initial=0.0))
        return total, min(total, one)

    def _measure_reach(self, t: int) -> None:
        centre = self.centre
        for i, link in self.trainable(t):
            s = link.source
            moved = centre.a_error[s] + (self.steepest(s) * self.length(self.drift[s]) if centre.moves[s] else 0.0)
            whole, rows = link.reach(centre.a_vector)
            more = link.bilinear * moved
            self.reach[i] = (whole + more, rows + more)
            self.reach_change[i] = more

    def _move(self, t: int) -> None:
        """Bound the change of the pre-activations of a segment, then its slopes."""
        stepwise, expanded = self._stepwise(t), self._expanded(t)
        self.drift[t] = min((form[0] for form in (stepwise, expanded)), key=self.length)
        whole = np.broadcast_to(self.drift[t], stepwise[1].shape)
        lengths = [np.linalg.norm(rows, axis=1) for rows in (stepwise[1], expanded[1], whole)]
        self.spread[t] = self.radius * np.minimum.reduce(lengths) + self.centre.z_error[t]
        _check_finite(self.drift[t], self.spread[t])
        self.slope[t] = self.centre.suprema(t, 1, self.spread[t])
        self.bend[t] = self.centre.suprema(t, 2, self.spread[t])
        _check_finite(self.slope[t], self.bend[t])

    def _stepwise(self, t: int) -> tuple[Form, Array]:
        form, rows = self._own_forms(t)
        for i, link in self.moving(t):
            steep = self.with_slopes(i)
            form = form + steep.norm * self.drift[link.source]
            rows = rows + np.outer(steep.rows, self.drift[link.source])
        return form, rows

    def _expanded(self, t: int) -> tuple[Form, Array]:
        form, rows = self._own_forms(t)
        for k in range(t):
            if (t, k) in self.centre.jacobian:
                at_centre, own = self.centre.pre_jacobians[t, k], self.own(k)
                form = form + at_centre.norm * own
                rows = rows + np.outer(at_centre.rows, own)
                onward = self.centre.jacobian[t, k]
                total, one = self._second_order(k)
                form = form + min(float(onward.columns.max()) * total, onward.norm * one) * self.drift[k]
                rows = rows + np.outer(np.minimum(onward.largest * total, onward.rows * one), self.drift[k])
        return form, rows

    def _own_forms(self, t: int) -> tuple[Form, Array]:
        rows = np.zeros((self.centre.sizes[t], self.centre.n_columns))
        for i, link in self.trainable(t):
            rows[:, link.column] += self.reach[i][1]
        return self.own(t), rows

    def _bound_jacobian(self, t: int, k: int) -> None:
        stepwise = 0.0
        for i, link in self.moving(t):
            stepwise += (self.with_slopes(i).norm + self.moved_weights(link)) * self.sup(link.source, k)
        at_centre = self.centre.pre_jacobians[t, k].norm
        change = self.weighted_change(t, k, None)
        self.jacobian[t, k] = min(stepwise, at_centre + change)
        self.change[t, k] = min(change, at_centre + stepwise)

    def sup(self, t: int, k: int) -> float:
        """Return the bound of ``|dz_t/dz_k|`` over the ball: 1 for a segment itself, 0 where there is no path."""
        return 1.0 if t == k else self.jacobian.get((t, k), 0.0)

    def weighted_change(self, t: int, k: int, weights: Array | None) -> float:
        """Return a bound of ``|diag(weights) (dz_t/dz_k(w) - dz_t/dz_k(w0))|``, expanded at the centre."""
        largest = 1.0 if weights is None else float(weights.max(initial=0.0))
        total = 0.0
        for j in range(k, t):
            reaching = self.sup(j, k)
            if reaching and (t, j) in self.centre.jacobian:
                onward = self.centre.jacobian[t, j]
                columns = (onward if weights is None else onward.weighted(weights)).columns
                length, one = self.slope_change(j)
                total += min(float(columns.max()) * length, largest * onward.norm * one) * reaching
        for j in range(k + 1, t + 1):
            factor = largest * (1.0 if j == t else self._norm_onward(t, j))
            if factor:
                total += factor * sum(self.moved_weights(link) * self.sup(link.source, k) for _, link in self.moving(j))
        return total

    def _norm_onward(self, t: int, j: int) -> float:
        found = self.centre.pre_jacobians.get((t, j))
        return found.norm if found is not None else 0.0

    def moved_weights(self, link: Link) -> float:
        """Bound of the norm of the change of a link, with the slopes of its source."""
        return 0.0 if link.column is None else link.bilinear * self.radius * self.steepest(link.source)

    @cached_property
    def active(self) -> list[int]:
        """Segments that depend on the parameters, in topological order."""
        return [t for t, moves in enumerate(self.centre.moves) if moves]


def _check_finite(*values: Array) -> None:
    if not all(np.isfinite(one).all() for one in values):
        raise OverflowError("no finite bound exists: something can grow beyond the range of the numbers")
