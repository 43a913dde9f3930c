r"""How far a network is from its linearised model, and its tangent kernel from constant, at distance R.

Along a unit direction u of the parameters,

.. math:: |f(w_0 \pm R u) - f_{lin}(w_0 \pm R u)| \le \tfrac{1}{2} R^2 \sup \|H\|, \qquad
          \Delta K = \|K(w_0 \pm R u) - K(w_0)\|_F / \|K(w_0)\|_F .

Of the two signs the larger value counts. No direction is the worst one: `worst_remainder` and `worst_kernel_change`
climb to it inside the ball, from below; `remainder_bounds` is proven from above.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.bounds.ascent import climb_kernel_change, climb_remainder
from assembly.bounds.ceiling import Ceiling
from assembly.calculus.evaluation import tangent
from assembly.checks import check_number, check_vector
from assembly.errors import ArgumentError, GraphError

if TYPE_CHECKING:
    from assembly.model import Assembly


class Ratios(NamedTuple):
    """What stands beside every Hessian norm, which alone a small output scale makes small too; see `ratios`."""

    over_gradient_squared: float
    times_radius_over_gradient: float


def ratios(norm: float, gradient_norm: float, radius: float) -> Ratios:
    r"""Return a Hessian norm without the scale of the output: per output gained, and over a distance.

    .. math:: \frac{\|H\|}{|\nabla f|^2}, \qquad \frac{\|H\|\, R}{|\nabla f|}

    The first is the relative change of the gradient while the output moves by 1, in 1 / output; the second that over
    the distance R, a pure number.

    Parameters
    ----------
    norm, gradient_norm : float
        At one input, of one output; NaN where a norm did not converge.
    radius : float
        R, positive.

    Returns
    -------
    Ratios
        NaN where the gradient is 0.

    Raises
    ------
    ArgumentError
        If `radius` is not positive.

    Examples
    --------
    >>> ratios(0.1, 2.0, 1.0)
    Ratios(over_gradient_squared=0.025, times_radius_over_gradient=0.05)
    """
    distance = check_number("radius", radius, above=0.0)
    if not gradient_norm > 0.0:
        return Ratios(math.nan, math.nan)
    return Ratios(norm / gradient_norm**2, norm * distance / gradient_norm)


def remainder(net: Assembly, x: ArrayLike, direction: NDArray[Any], radius: float) -> float:
    r"""Return ``|f - f_lin|`` at distance `radius` along a unit direction, at one input with one output.

    Raises
    ------
    ArgumentError
        If `radius` is not positive or the network has several outputs.
    ShapeError, NonFiniteError
        If `x` is not one finite sample or `direction` no finite vector of n_parameters numbers.

    Notes
    -----
    Cost: two passes over the weights for the tangent, then one and two copies of the parameters for each sign. In
    float32 nothing below about 1e-7 of the output is resolved.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=2, widths=[8], activation="identity", seed=0, trainable_readout=False)
    >>> bool(remainder(net, [1.0, 2.0], net.gradient([1.0, 2.0]), 1.0) < 1e-12)
    True
    """
    distance, value = _checked(net, radius), float(net(x))
    direction = check_vector("direction", direction, net.n_parameters, net.dtype)
    slope = float(tangent(net.evaluate(x, "x"), direction)[0, 0])
    found = []
    for step in (distance, -distance):
        moved = net.with_parameters(net.parameters + step * direction)
        found.append(abs(float(moved(x)) - (value + step * slope)))
    return max(found)


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
    distance, first = check_number("radius", radius, above=0.0), net.tangent_kernel(X)
    direction = check_vector("direction", direction, net.n_parameters, net.dtype)
    moved = [net.with_parameters(net.parameters + sign * distance * direction) for sign in (1.0, -1.0)]
    return max(relative_change(other.tangent_kernel(X), first) for other in moved)


def relative_change(kernel: NDArray[Any], first: NDArray[Any]) -> float:
    r"""Return how far a kernel is from what it was first.

    .. math:: \|K - K_0\|_F / \|K_0\|_F

    Parameters
    ----------
    kernel, first : ndarray of shape (n, n)
        K and K_0.

    Returns
    -------
    float
        NaN where K_0 is 0.

    Examples
    --------
    >>> relative_change(np.array([[3.0, 0.0], [0.0, 5.0]]), np.array([[3.0, 0.0], [0.0, 4.0]]))
    0.2
    """
    return _relative(float(np.linalg.norm(kernel - first)), first)


def _relative(distance: float, first: NDArray[Any]) -> float:
    size = float(np.linalg.norm(first))
    return distance / size if size > 0.0 else math.nan


def worst_remainder(net: Assembly, x: ArrayLike, radius: float) -> float:
    r"""Return the largest ``|f - f_lin|`` found within distance `radius`, at one input with one output.

    .. math:: \max_{|w - w_0| \le R} |f(w) - f_{lin}(w)| \quad\text{from below: it is attained}

    Parameters
    ----------
    net : Assembly
        With one output.
    x : array_like of shape (n_inputs,)
    radius : float
        R, positive.

    Returns
    -------
    float

    Raises
    ------
    ArgumentError
        If `radius` is not positive or the network has several outputs.
    ShapeError, NonFiniteError
        If `x` is not one finite sample.

    Notes
    -----
    Cost: a few hundred passes over the weights; memory about 8 copies of the parameters.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=2, widths=[8, 8], seed=0)
    >>> x = [1.0, 2.0]
    >>> direction = net.hessian(x).eigenvectors()[0]
    >>> worst_remainder(net, x, 0.5) >= remainder(net, x, direction, 0.5) * (1.0 - 1e-9)
    True
    """
    distance, sample = _checked(net, radius), net._body.sample(x)
    return float(climb_remainder(net._body.program, net.parameters, sample[0], 0, distance).value)


def remainder_bounds(net: Assembly, x: ArrayLike, radii: Sequence[float]) -> NDArray[np.float64]:
    r"""Return a proven bound of ``|f - f_lin|`` within each of some distances, at one input with one output.

    .. math:: \tfrac{1}{2} R^2 \sup_{|w - w_0| \le R} \|H(w)\|

    with the bound of :math:`\sup \|H\|` of `Assembly.curvature_in_ball` [1]_.

    Parameters
    ----------
    net : Assembly
        With one output.
    x : array_like of shape (n_inputs,)
    radii : sequence of float
        R, positive.

    Returns
    -------
    ndarray of shape (n_radii,), float64
        NaN for networks that have no such bound: those with ReLU, a softmax, or a sub-model of the user's own.

    Raises
    ------
    ArgumentError
        If a radius is not positive or the network has several outputs.
    ShapeError, NonFiniteError
        If `x` is not one finite sample.
    ResourceError
        If the matrices of the bound do not fit in the memory that is free.

    Notes
    -----
    Cost: about ten Cholesky factorisations for every pair of hidden layers and radius.

    References
    ----------
    .. [1] C. Liu, L. Zhu, M. Belkin (2022), arXiv 2205.11786, Corollary 3.7.

    Examples
    --------
    >>> import assembly as am
    >>> net, x = am.mlp(n_inputs=2, widths=[8, 8], seed=0), [1.0, 2.0]
    >>> bool(worst_remainder(net, x, 0.5) < remainder_bounds(net, x, [0.5])[0])
    True
    """
    distances, sample = [_checked(net, radius) for radius in radii], net._body.sample(x)[0]
    try:
        ceiling = Ceiling(net.graph, net.parameters, sample, 0)
        return np.array([0.5 * radius**2 * ceiling.over(radius).value for radius in distances])
    except (ArgumentError, GraphError):  # what they refuse is the kind of network
        return np.full(len(distances), np.nan)


def worst_kernel_change(net: Assembly, X: ArrayLike, radius: float) -> float:
    r"""Return the largest relative change of the tangent kernel on `X` found within distance `radius`, one output.

    .. math:: \max_{|w - w_0| \le R} \|K(w) - K(w_0)\|_F / \|K(w_0)\|_F \quad\text{from below: it is attained}

    NaN where the kernel is 0 to begin with.

    Parameters
    ----------
    net : Assembly
        With one output.
    X : array_like of shape (n, n_inputs)
    radius : float
        R, positive.

    Returns
    -------
    float

    Raises
    ------
    ArgumentError
        If `radius` is not positive or the network has several outputs.
    ShapeError, NonFiniteError
        If `X` holds no finite samples.

    Notes
    -----
    Cost: a few hundred passes over the weights per input; memory n + 8 copies of the parameters.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=2, widths=[8, 8], seed=0)
    >>> X = [[1.0, 2.0], [-0.5, 1.0]]
    >>> direction = net.hessian(X[0]).eigenvectors()[0]
    >>> worst_kernel_change(net, X, 0.5) > kernel_change(net, X, direction, 0.5)
    True
    """
    distance, samples = _checked(net, radius), net._body.samples("X", X)
    climb = climb_kernel_change(net._body.program, net.parameters, samples, 0, distance)
    return _relative(float(climb.value), net.tangent_kernel(samples))


def _checked(net: Assembly, radius: float) -> float:
    if net.n_outputs != 1:
        raise ArgumentError(f"The 'net' argument must have one output. Got {net.n_outputs}.")
    return check_number("radius", radius, above=0.0)
