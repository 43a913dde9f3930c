"""The kernels of a network whose groups are all infinitely wide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.checks import check_samples
from assembly.errors import ArgumentError, NonFiniteError
from assembly.graph.description import Graph
from assembly.limits.links import check_places
from assembly.limits.plan import Plan, plan_of
from assembly.limits.propagation import propagate

if TYPE_CHECKING:
    from assembly.model import Assembly

BYTES_AT_ONCE = 2**28


@dataclass(frozen=True, eq=False)
class LimitKernels:
    """Kernels of an output in the limit of infinite width; outputs are independent and alike.

    Attributes
    ----------
    nngp : ndarray of shape (n, n_z), float64
        Covariance of the output at two inputs over the draw of the weights: the kernel of the Gaussian process that the
        network is before training.
    tangent : ndarray of shape (n, n_z), float64
        Limit of the tangent kernel, the same for every draw of the weights.
    error : float
        Estimate of the largest error of the expectations behind the entries, relative to the root of the product of the
        two diagonal entries, added up over the layers; 0 where all of them are in closed form. Rounding, and what later
        layers make of errors below, are not in it.
    """

    nngp: NDArray[np.float64]
    tangent: NDArray[np.float64]
    error: float


def limit_kernels(net: Assembly, X: ArrayLike, Z: ArrayLike | None = None) -> LimitKernels:
    r"""Return the covariance and the tangent kernel of an output in the limit of infinite width.

    For a layered network, with :math:`\Sigma^0 = x \cdot x'/d` and :math:`\Theta^0 = 0`,

    .. math:: z \sim N(0, \Sigma_z), \quad \Sigma_z^{l} = \Sigma^{l-1} + \beta^2, \quad
              \Theta_z^{l} = \Sigma_z^{l} + \Theta^{l-1}, \quad
              \Sigma^{l} = E[\sigma(z)\sigma(z')], \quad \Theta^{l} = E[\sigma'(z)\sigma'(z')]\, \Theta_z^{l}

    where :math:`\beta` is the factor of the biases, 0 without; the kernels are those of z at the output.
    `assembly.limits.propagation` has the formulas for any graph: convolutions, skips, uneven in-edges.

    Parameters
    ----------
    net : Assembly
        In the NTK parametrisation, with linear outputs. Only its graph is read, never its parameters: in-edges are
        counted by the group they come from and enter in these proportions, while every group but the inputs grows.
        Trainable weights count as independent draws with mean 0 and variance 1, frozen weights that are no skip or
        average as draws with mean 0 and their own mean square.
    X : array_like of shape (n, n_inputs)
    Z : array_like of shape (n_z, n_inputs), optional
        By default X.

    Returns
    -------
    LimitKernels
        `nngp` and `tangent`, shape (n, n_z), exactly symmetric where Z is X, and `error`. Computed in float64 whatever
        the dtype of the network.

    Raises
    ------
    ArgumentError
        If `net` is no assembly.
    GraphError
        If the network has no such limit: a non-linear output (its tangent kernel stays random at any width, claim 10 of
        docs/background/theory.md), a softmax, tied sub-models, sub-models of your own, an initial value that is taken
        off as in `assembly.lazy`, factors other than those of the NTK parametrisation, or neurons that are not normal
        in the limit. The message says where.
    ShapeError, NonFiniteError
        If `X` or `Z` is no finite batch, or the kernels overflow.
    ResourceError
        If the pairs of places of a convolutional network do not fit in the memory that is free.

    Notes
    -----
    Every hidden layer is sent to infinity, a narrow one too: the limit of a bottleneck is that of the network without
    one. It is not where a family goes whose bottleneck stays as it is while the other layers grow: there the tangent
    kernel stays random, and away from the limit, at any width. ``net.width`` is the size of the narrowest place.

    Expectations are in closed form for identity, relu, erf, gelu, sin, cos, quadratic and exp, and Hermite series for
    tanh, sigmoid, softplus and swish. A sample given twice is computed once. Cost: for every group, and every pair of
    different samples, a few operations in closed form, a hundred products in a series; times the places of a channel in
    a convolutional network, and below an average times the places that it joins. Memory: about 0.5 GiB at most, or what
    one pair of samples takes.

    References
    ----------
    .. [1] J. Lee, Y. Bahri, R. Novak, S. Schoenholz, J. Pennington, J. Sohl-Dickstein (2018), Deep neural networks as
       Gaussian processes, ICLR.
    .. [2] A. Jacot, F. Gabriel, C. Hongler (2018), Neural tangent kernel: convergence and generalization in neural
       networks, NeurIPS 31.

    Examples
    --------
    >>> import assembly as am
    >>> x = [[1.0, -1.0, 0.5], [0.0, 1.0, 1.0]]
    >>> net = am.mlp(n_inputs=3, widths=[4096], activation="relu", seed=0)
    >>> limit = am.limit_kernels(net, x)
    >>> bool(np.abs(net.tangent_kernel(x) / limit.tangent - 1.0).max() < 0.2), limit.error
    (True, 0.0)
    """
    graph = getattr(net, "graph", None)
    if not isinstance(graph, Graph):
        raise ArgumentError(f"The 'net' argument must be an assembly. Got {type(net).__name__}.")
    n_inputs = graph.groups[0].size
    rows = check_samples("X", X, n_inputs)
    columns = rows if Z is None else check_samples("Z", Z, n_inputs)
    samples, place = np.unique(np.concatenate([rows, columns]), axis=0, return_inverse=True)
    place = place.ravel()
    first, second = place[: len(rows), None], place[None, len(place) - len(columns) :]
    numbers, entry = np.unique(
        np.minimum(first, second) * len(samples) + np.maximum(first, second), return_inverse=True
    )
    values, error = _at_pairs(plan_of(graph), samples, *np.divmod(numbers, max(len(samples), 1)))
    if not np.isfinite(values).all():
        raise NonFiniteError("The limit kernels overflow float64: scale the inputs down.")
    nngp, tangent = values[:, entry.reshape(len(rows), len(columns))]
    return LimitKernels(nngp, tangent, error)


def _at_pairs(
    plan: Plan, samples: NDArray[np.float64], left: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """Return both kernels at pairs of different samples, shape (2, n_pairs), and the error, in chunks."""
    check_places(3 * plan.bytes_per_pair)
    found, error = np.empty((2, len(left))), 0.0
    at_once = max(1, BYTES_AT_ONCE // plan.bytes_per_pair)
    for start in range(0, len(left), at_once):
        part = slice(start, start + at_once)
        used, place = np.unique(np.concatenate([left[part], right[part]]), return_inverse=True)
        itself, n = np.arange(len(used)), len(left[part])
        sides = np.concatenate([itself, place[:n]]), np.concatenate([itself, place[n:]])
        with np.errstate(over="ignore", invalid="ignore"):  # found by the caller
            nngp, tangent, at_most = propagate(plan, samples[used], *sides)
        found[0, part], found[1, part] = nngp[len(used) :], tangent[len(used) :]
        error = max(error, at_most)
    return found, error
