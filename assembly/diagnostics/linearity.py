r"""How far a network is from its linearised model, and its tangent kernel from constant, at distance R.

Along a unit direction u of the parameters,

.. math:: |f(w_0 \pm R u) - f_{lin}(w_0 \pm R u)| \le \tfrac{1}{2} R^2 \sup \|H\|, \qquad
          \Delta K = \|K(w_0 \pm R u) - K(w_0)\|_F / \|K(w_0)\|_F .

Of the two signs the larger value counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.checks import check_number
from assembly.errors import ArgumentError

if TYPE_CHECKING:
    from assembly.model import Assembly


def remainder(net: Assembly, x: ArrayLike, direction: NDArray[Any], radius: float) -> float:
    r"""Return ``|f - f_lin|`` at distance `radius` along a unit direction, at one input with one output.

    Raises
    ------
    ArgumentError
        If `radius` is not positive or the network has several outputs.

    Notes
    -----
    Cost: three passes over the weights and as many copies of the parameters for each sign.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=2, widths=[8], activation="identity", seed=0, trainable_readout=False)
    >>> bool(remainder(net, [1.0, 2.0], net.gradient([1.0, 2.0]), 1.0) < 1e-12)
    True
    """
    if net.n_outputs != 1:
        raise ArgumentError(f"The 'net' argument must have one output. Got {net.n_outputs}.")
    distance, linear = check_number("radius", radius, above=0.0), net.linearize()
    moved = [net.parameters + sign * distance * direction for sign in (1.0, -1.0)]
    return max(abs(float(net.with_parameters(w)(x)) - float(linear.with_parameters(w)(x))) for w in moved)


def kernel_change(net: Assembly, X: ArrayLike, direction: NDArray[Any], radius: float) -> float:
    """Return the relative change of the tangent kernel on `X` at distance `radius` along a unit direction.

    NaN where the kernel is 0 to begin with, as that of a ReLU network dead at all inputs.

    Raises
    ------
    ArgumentError
        If `radius` is not positive.

    Notes
    -----
    Cost: three tangent kernels and two copies of the parameters.
    """
    distance, kernel = check_number("radius", radius, above=0.0), net.tangent_kernel(X)
    moved = [net.with_parameters(net.parameters + sign * distance * direction) for sign in (1.0, -1.0)]
    change = max(float(np.linalg.norm(other.tangent_kernel(X) - kernel)) for other in moved)
    size = float(np.linalg.norm(kernel))
    return change / size if size > 0.0 else float("nan")
