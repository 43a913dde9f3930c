r"""What it costs to make neurons linear, before training and in the middle of it (claim 23).

Two networks go the same number of steps from the same parameters. In the first a share of the neurons is linear from
the start. In the second it is made linear half way, at the parameters reached by then:

.. math:: w_0 \xrightarrow{\text{linear}} w_{T/2} \xrightarrow{\text{linear}} w_T \quad\text{(before)}, \qquad
          w_0 \xrightarrow{} w_{T/2} \xrightarrow{\text{linear}} w_T \quad\text{(after)}

Each half takes the step size of the default rule at its start, in both: otherwise the second network alone would have
its step size set anew, and that can be worth more than the non-linear units are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from assembly.architectures.linear_units import with_linear_units
from assembly.dynamics.losses import LOSSES
from assembly.dynamics.train import train
from assembly.errors import DivergenceError
from assembly.study.quantities import LINEAR_UNITS

if TYPE_CHECKING:
    from assembly.data import Samples
    from assembly.model import Assembly

SHARE = 0.9  # of the neurons of a hidden group


def linear_units(net: Assembly, samples: Samples, n_steps: int) -> dict[str, float]:
    """Return what gradient descent leaves of the loss with neurons made linear before and half way, and the ratio.

    Parameters
    ----------
    net : Assembly
        With one output.
    samples : Samples
        Trained on; at least two.
    n_steps : int
        T; the first half is rounded down.

    Returns
    -------
    dict
        The quantities `assembly.study.quantities.LINEAR_UNITS`, shares of the loss of `net`; NaN for a network that
        diverged, and where the loss is 0 from the start.

    Raises
    ------
    GraphError
        If neurons cannot be made linear one by one, see `assembly.architectures.linear_units`.

    Notes
    -----
    Cost: 2 T steps of gradient descent.

    Examples
    --------
    >>> import numpy as np
    >>> import assembly as am
    >>> from assembly.data import Samples
    >>> net = am.mlp(n_inputs=2, widths=[20], activation="relu", seed=0)
    >>> samples = Samples(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 1.0, -1.0]))
    >>> sorted(linear_units(net, samples, n_steps=20))
    ['after_over_before', 'loss_linear_after', 'loss_linear_before']
    """
    first, second = n_steps // 2, n_steps - n_steps // 2

    def linear(start: Assembly) -> Assembly:
        return with_linear_units(start, samples.inputs, SHARE)

    def descended(start: Assembly, n: int) -> Assembly:
        if n == 0:
            return start
        run = train(start, *samples, n_steps=n, every=n, record=(), beside=())
        return start.with_parameters(run.parameters)

    before = _loss_left(net, samples, lambda: descended(descended(linear(net), first), second))
    after = _loss_left(net, samples, lambda: descended(linear(descended(net, first)), second))
    ratio = after / before if before > 0.0 else math.nan
    return dict(zip(LINEAR_UNITS, (before, after, ratio), strict=True))


def _loss_left(net: Assembly, samples: Samples, path: Callable[[], Assembly]) -> float:
    """Return the share of the squared loss of a network that is left at the end of a path; NaN if it diverges."""
    start = _loss(net, samples)
    try:
        return _loss(path(), samples) / start if start > 0.0 else math.nan
    except DivergenceError:
        return math.nan


def _loss(net: Assembly, samples: Samples) -> float:
    return LOSSES["squared"].value(net(samples.inputs), samples.targets)
