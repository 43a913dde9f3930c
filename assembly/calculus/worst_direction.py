r"""The norm of a higher derivative tensor, from below: the direction along which the derivative is the largest found.

The tensor :math:`D^k f(w)` is symmetric, so its norm is attained on one unit vector taken k times [1]_,

.. math:: \|D^k f(w)\| = \max_{|V| = 1} |\varphi(V)|, \qquad \varphi(V) = D^k f(w)[V, \dots, V],

and stationary where :math:`g(V) = D^k f(w)[V, \dots, V, \cdot]`, a k-th of the gradient of :math:`\varphi`, is
:math:`\varphi(V) V`. From several starts :math:`|\varphi|` is raised by the shifted power method [2]_,

.. math:: V^+ = \frac{\pm g(V) + \alpha V}{|\pm g(V) + \alpha V|}, \qquad \pm = \mathrm{sign}\, \varphi(V),

with the shift :math:`\alpha` raised from 0 when a step fails, which with a large one none does. For k = 1 and 2 the
start is the answer: the gradient, and the top eigenvector of the Hessian.

Beyond, a tensor has many local maxima, of which one hidden layer has one for every neuron. So the loudest neurons are
starts too. Neuron i alone, with in-edges of squared value :math:`\alpha_i` and out-edges of squared adjoint
:math:`\beta_i` (`assembly.calculus.one_hidden_layer`), gives along its in-weights times :math:`\cos\theta` and its
out-weights times :math:`\sin\theta`

.. math:: \bar a_i\, \sigma_i^{(k)} (\sqrt{\alpha_i} \cos\theta)^k
          + k \sqrt{\beta_i} \sin\theta\, \sigma_i^{(k-1)} (\sqrt{\alpha_i} \cos\theta)^{k-1},

which is exact for one hidden layer under a linear output, where the loudest one is the norm for k above 1.

.. [1] S. Banach (1938), Über homogene Polynome in (L^2), Studia Mathematica 7, 36-44.
.. [2] T. G. Kolda, J. R. Mayo (2011), Shifted power method for computing tensor eigenpairs, SIAM Journal on Matrix
   Analysis and Applications 32, 1095-1124.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.evaluation import Evaluation
from assembly.calculus.hessian import Hessian
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.calculus.taylor import Taylor
from assembly.errors import NonFiniteError
from assembly.estimate import Estimate
from assembly.kernels import series
from assembly.memory import check_fits
from assembly.seeds import generator

Vector = NDArray[Any]

N_NEURONS = 3  # the loudest, and
N_RANDOM = 3  # random directions are starts besides the gradient and the top eigenvector, each raised by
N_FIRST_STEPS = 20  # steps at most, to a residual of
COARSE = 0.1
ANGLES = np.linspace(0.0, np.pi, 180, endpoint=False)
N_VECTORS = 8  # as long as the parameters, held at once


@dataclass(frozen=True, eq=False)
class DerivativeNorm(Estimate):
    """A lower bound of the norm of a derivative tensor, with the direction that attains it.

    Attributes
    ----------
    value : float
        ``|D^k f(w)[V, ..., V]|``.
    residual : float
        ``|D^k f(w)[V, ..., V, .] - phi V| / |phi|`` with phi the value and its sign: 0 where V is stationary.
    converged : bool
        True if the residual is at most the tolerance asked for. It says nothing of other maxima.
    n_steps : int
        Gradients of the series, over all starts.
    direction : ndarray of shape (n_parameters,)
        V, of length 1; zeros if the derivative vanishes in all directions tried.
    """

    direction: Vector


def _length(vector: Vector) -> float:
    """Return the Euclidean norm, added in float64."""
    return math.sqrt(float(np.einsum("i,i", vector, vector, dtype=np.float64)))


class _Point:
    """A unit vector V with g(V), its length, and phi(V)."""

    def __init__(self, direction: Vector, gradient: Vector) -> None:
        self.direction, self.gradient = direction, gradient
        self.value, self.length = float(gradient @ direction), _length(gradient)

    @cached_property
    def residual(self) -> float:
        """How far V is from a stationary point, relative to phi."""
        apart = _length(self.gradient - self.value * self.direction)
        return 0.0 if apart == 0.0 else apart / abs(self.value) if self.value else math.inf

    def is_above(self, other: _Point) -> bool:
        """Whether it is higher, or as high to rounding and closer to a stationary point."""
        ratio = 1.0 - 8.0 * float(np.finfo(self.direction.dtype).eps)
        if abs(self.value) <= abs(other.value):
            return abs(self.value) > ratio * abs(other.value) and self.residual < other.residual
        return True


class _Ascent:
    """Raises ``|phi|`` and counts the steps."""

    def __init__(self, evaluation: Evaluation, output: int, order: int) -> None:
        self.evaluation, self.output, self.order = evaluation, output, order
        self.n_steps = 0

    def at(self, direction: Vector) -> _Point:
        """Return the point in a direction, which need not have length 1."""
        self.n_steps += 1
        unit = direction / _length(direction)
        gradient = Taylor(self.evaluation, 0, unit, self.order - 1).gradient(self.output)
        with np.errstate(over="ignore", invalid="ignore"):  # found below
            gradient *= math.factorial(self.order - 1)
            point = _Point(unit, gradient)
        if not math.isfinite(point.length):
            raise NonFiniteError(f"The derivative of order {self.order}, or its square, overflows {gradient.dtype}.")
        return point

    def climb(self, point: _Point, tol: float, max_steps: int) -> _Point:
        """Return the highest point of a climb."""
        shift = 0.0
        for _ in range(max_steps):
            if point.residual <= tol:
                break
            step = math.copysign(1.0, point.value) * point.gradient + shift * point.direction
            tried = self.at(step)
            if tried.is_above(point):
                point = tried
            else:
                shift = 2.0 * shift + 0.25 * point.length
        return point


def derivative_norm(
    evaluation: Evaluation, output: int, order: int, *, max_steps: int, tol: float, seed: int
) -> DerivativeNorm:
    """Return the largest derivative of an order along a unit vector that is found at one sample.

    Parameters
    ----------
    evaluation : Evaluation
        Of one sample.
    output : int
    order : int
        k, from 1 to 6.
    max_steps : int
        Steps at most of the eigenvalue iteration and of the last climb.
    tol : float
        Residual at which both end.
    seed : int
        Of the random starts.

    Raises
    ------
    GraphError
        If there is a sub-model of the user's own, for order 3 and up.
    SaturationError
        If squares of the output's derivatives, or of all activations, under- or overflow.
    NonFiniteError
        If a derivative overflows.
    ResourceError
        If the vectors of the iteration do not fit in the memory that is free.

    Notes
    -----
    Cost per step: two passes over the weights and two over V, of k node vectors at once, and one over the gradient;
    memory eight vectors of n_parameters and 5 k node vectors. The starts take at most 170 steps; in wide networks most
    take a few each.
    """
    program = evaluation.program
    what = f"A search among directions of {program.n_parameters:,} parameters"
    check_fits(what, N_VECTORS * program.n_parameters * program.dtype.itemsize, "use fewer parameters")
    ascent, best = _Ascent(evaluation, output, order), None
    for start in _starts(evaluation, output, order, max_steps, tol, seed):
        if start.any():
            point = ascent.climb(ascent.at(start), COARSE, N_FIRST_STEPS)
            best = point if best is None or abs(point.value) > abs(best.value) else best
    if best is None or best.length == 0.0:
        nothing = np.zeros(program.n_parameters, program.dtype)
        return DerivativeNorm(0.0, 0.0, True, ascent.n_steps, nothing)
    best = ascent.climb(best, tol, max_steps)
    return DerivativeNorm(abs(best.value), best.residual, best.residual <= tol, ascent.n_steps, best.direction)


def _starts(evaluation: Evaluation, output: int, order: int, max_steps: int, tol: float, seed: int) -> Iterator[Vector]:
    """Yield the gradient, the top eigenvector of the Hessian, the loudest neurons alone, and random directions.

    For order 1 and 2 the first or the second is the answer, and the only one.
    """
    space = NodeSpaceHessian(evaluation, 0, output)
    if order != 2:
        yield space.gradient()
    if order != 1:
        yield space.Z_transposed(Hessian(space).top_pair(tol, max_steps=max_steps, seed=seed)[1])
    if order < 3:
        return
    yield from loudest_neurons(space, evaluation.pre[0], order, N_NEURONS)
    random = generator(seed, "worst direction")
    for _ in range(N_RANDOM):
        yield random.standard_normal(space.program.n_parameters).astype(space.dtype)


def loudest_neurons(space: NodeSpaceHessian, pre: Vector, order: int, n: int) -> Iterator[Vector]:
    """Yield the directions in which the derivative of the n neurons that have the largest alone is largest.

    Fewer if fewer neurons have trainable edges of their own on both sides. Cost: a power series of every activation
    function, and a vector of parameters for each.
    """
    alpha, beta = (np.sqrt(norm.astype(np.float64)) for norm in space.squared_norms())
    last, before = _derivatives(space, pre, order)
    loudness, angles = np.zeros(len(pre)), np.zeros(len(pre))
    with np.errstate(over="ignore", invalid="ignore"):  # such a neuron is none of them
        along = space.abar * last * alpha**order
        mixed = order * beta * before * alpha ** (order - 1)
        for angle in ANGLES:
            sine, cosine = math.sin(angle), math.cos(angle)
            found = np.abs(along * cosine**order + mixed * sine * cosine ** (order - 1))
            louder = np.isfinite(found) & (found > loudness) & (alpha * beta > 0.0)
            loudness[louder], angles[louder] = found[louder], angle
    for node in np.argsort(-loudness, kind="stable")[:n]:
        if loudness[node] > 0.0:
            yield space.at_node(node, math.cos(angles[node]) / alpha[node], math.sin(angles[node]) / beta[node])


def _derivatives(space: NodeSpaceHessian, pre: Vector, order: int) -> tuple[Vector, Vector]:
    """Return the derivatives of an order of every activation function, and those of the order before."""
    z, post, slope = (np.zeros((order + 1, len(pre))) for _ in range(3))
    z[0], z[1], post[0] = pre, 1.0, space.a
    series.activate(space.program.codes, z, post, slope, np.empty((5, order + 1)), 0, len(pre))
    return math.factorial(order) * post[order], math.factorial(order - 1) * post[order - 1]
