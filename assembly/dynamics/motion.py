r"""One step of training: how parameters w move by the gradient g of the loss.

.. math::
    v \leftarrow \mu v - \eta\,(g + \gamma w), \qquad w \leftarrow w + v + \sqrt{2 \eta \tau}\; \xi, \quad
    \xi \sim N(0, I)

with momentum :math:`\mu`, weight decay :math:`\gamma` and noise :math:`\tau`; a mini-batch of b of n samples stands for
n/b times its loss. With :math:`\gamma = \tau`, no momentum and no loss the weights keep the law N(0, 1) they are drawn
from as :math:`\eta` becomes small: their variance tends to :math:`1 / (1 - \eta \gamma / 2)` [1]_.
Batches and noise depend on the seed and on the number of the step alone: every model sees the same, and a run that was
stopped goes on as if it had not been. Gradient flow is :math:`\dot w = -(g + \gamma w)`.

.. [1] Z. Chen, Y. Cao, Q. Gu, T. Zhang, arXiv 2002.04026: noisy gradient descent in the kernel regime.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Filled
from assembly.dynamics.losses import Loss
from assembly.dynamics.models import EVERY, Model, Rows
from assembly.kernels.descent import descend
from assembly.seeds import generator

Values = NDArray[Any]


@dataclass(frozen=True)
class Rule:
    """How parameters are moved; see the formula of this module.

    Attributes
    ----------
    step_size : float
    momentum, weight_decay, noise : float
    batch_size : int or None
        All samples if None.
    seed : int
        Of batches and noise.
    """

    step_size: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    noise: float = 0.0
    batch_size: int | None = None
    seed: int = 0

    def rows(self, step: int, n: int) -> Rows:
        """Return the samples of a step: without replacement, in another order in every pass over them.

        Examples
        --------
        >>> rule = Rule(0.1, batch_size=2)
        >>> sorted(np.concatenate([rule.rows(step, 5) for step in (3, 4, 5)]).tolist())
        [0, 1, 2, 3, 4]
        """
        if self.batch_size is None or self.batch_size >= n:
            return EVERY
        per_pass = -(-n // self.batch_size)
        order = generator(self.seed, "batches", step // per_pass).permutation(n)
        start = step % per_pass * self.batch_size
        return order[start : start + self.batch_size]


class Moving:
    """One model on its way: parameters, and their velocity where there is momentum.

    Parameters
    ----------
    model : Model
    w : ndarray of shape (n_parameters,)
        Where it starts; copied.
    loss : Loss
    y : ndarray of shape (n, n_outputs)

    Attributes
    ----------
    w : ndarray of shape (n_parameters,)
    velocity : ndarray of shape (n_parameters,)
        Empty without momentum.
    """

    def __init__(self, model: Model, w: Values, loss: Loss, y: Values, rule: Rule) -> None:
        self.model, self.loss, self.y, self.rule = model, loss, y, rule
        self.w = w.copy()
        self.velocity = np.zeros_like(w) if rule.momentum else w[:0].copy()
        self._gradient = np.empty_like(w)

    def loss_gradient(self, w: Values, rows: Rows, out: Values, then: Filled | None = None) -> Values:
        """Fill `out` with the gradient of the loss over some samples, scaled to all; return their outputs.

        With `then` as in `Model.gradient`.
        """
        y = self.y[rows]
        times = w.dtype.type(len(self.y) / len(y))
        return self.model.gradient(w, rows, lambda u: times * self.loss.slope(u, y), out, then)

    def step(self, number: int) -> float:
        """Make one step; return the loss before it, that of its batch scaled to all samples."""
        rows = self.rule.rows(number, len(self.y))
        u = self.loss_gradient(self.w, rows, self._gradient, self._mover(number))
        y = self.y[rows]
        return self.loss.value(u, y) * len(self.y) / len(y)

    def _mover(self, number: int) -> Filled:
        """Return what moves a range of parameters whose gradient is complete."""
        rule, w, g, v = self.rule, self.w, self._gradient, self.velocity
        noise = _noise(rule, number, w) if rule.noise else None
        numbers = [w.dtype.type(one) for one in (rule.step_size, rule.momentum, rule.weight_decay)]

        def move(part: slice) -> None:
            descend(w[part], g[part], v[part], *numbers)
            if noise is not None:
                w[part] += noise[part]

        return move


def _noise(rule: Rule, number: int, w: Values) -> Values:
    """Return the noise of a step, the same numbers in either precision."""
    drawn = generator(rule.seed, "noise", number).standard_normal(len(w))
    noise: Values = np.sqrt(2.0 * rule.step_size * rule.noise) * drawn
    return noise.astype(w.dtype, copy=False)
