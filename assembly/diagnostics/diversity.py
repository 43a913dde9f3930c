r"""Are the sub-models diverse? Root mean square cosine between the gradients of the neurons of a layer.

.. math:: \mathrm{rms}_{i \ne j} \frac{G_{ij}}{\sqrt{G_{ii} G_{jj}}}

Near 0 for independent sub-models, 1 for sub-models that share their parameters. In the first layer it is exactly 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from assembly.model import Assembly


def rms_cosine(net: Assembly, layer: int, x: ArrayLike) -> float:
    """Return the root mean square cosine between the gradients of the neurons of one layer at one input.

    Parameters
    ----------
    net : Assembly
    layer : int
        Hidden layer, from 1.
    x : array_like of shape (n_inputs,)

    Returns
    -------
    float
        In [0, 1]; NaN with fewer than two neurons that have a gradient.

    Notes
    -----
    Cost: that of `Layer.gram`, two matrix products per layer below.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=3, widths=[16, 16], activation="tanh", seed=0)
    >>> rms_cosine(net, 1, [1.0, -1.0, 0.5])
    0.0
    """
    gram = net.layers[layer].gram(x)
    size = np.sqrt(np.diagonal(gram))
    alive = size > 0.0
    n = int(alive.sum())
    if n < 2:
        return float("nan")
    cosines = gram[np.ix_(alive, alive)] / np.outer(size[alive], size[alive])
    np.fill_diagonal(cosines, 0.0)
    return float(np.linalg.norm(cosines) / np.sqrt(n * (n - 1.0)))
