r"""Lower bounds over a ball of parameters, by climbing: each with the parameters in the ball that attain it.

From several starts a quantity F is raised by projected ascent,

.. math:: w^+ = P\Bigl(w + \tau R\, \frac{\nabla F(w)}{|\nabla F(w)|}\Bigr), \qquad
          P(w) = w_0 + (w - w_0) \min\Bigl(1, \frac{R}{|w - w_0|}\Bigr),

with the longest :math:`\tau` first: where the maximum lies on the sphere, :math:`w_0 + R \nabla F / |\nabla F|` is its
fixed point. A step is taken only if F grows. Whatever a climb misses, what it returns is attained: a lower bound.

* `climb_curvature`: the spectral norm of the Hessian. With V its eigenvector to :math:`\lambda`, the gradient is
  :math:`\mathrm{sign}(\lambda) \nabla_w V^T H(w) V`, by `assembly.calculus.jet`.
* `climb_remainder`: :math:`|f(w) - f(w_0) - \nabla f(w_0) \cdot (w - w_0)|`, whose gradient is
  :math:`\pm (\nabla f(w) - \nabla f(w_0))`.
* `climb_kernel_change`: :math:`|D|_F` with :math:`D = K(w) - K(w_0)`, whose gradient is
  :math:`2 \sum_i H_i \sum_j D_{ij} \nabla f(x_j) / |D|_F`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.bounds.quantities import Curvature, KernelChange, Point, Quantity, Remainder
from assembly.bounds.rounding import up
from assembly.bounds.starts import lengthened
from assembly.checks import check_count, check_number
from assembly.errors import ArgumentError, NonFiniteError, SaturationError
from assembly.kernels import activation
from assembly.memory import check_fits
from assembly.program import Program
from assembly.progress import Progress, progress
from assembly.threads import one_blas_thread

Vector = NDArray[Any]

N_CLIMBED = 4  # of the starts are climbed from, until two steps in a row
COARSE = 1e-2  # bring less than this; then
N_FINALISTS = 2  # of them to the end
LONGEST, SHORTEST, FACTOR = 64.0, 1e-3, 8.0  # tau: the first tried, the last, and the ratio of neighbours


@dataclass(frozen=True, eq=False)
class Climb:
    """What a climb in a ball of parameters found.

    Attributes
    ----------
    value : float
        Attained at `parameters`, less a margin for rounding: a lower bound of the supremum over the ball.
    parameters : ndarray of shape (n_parameters,)
        The witness w, in the dtype of the network; ``|w - w0| <= radius`` with rounding accounted for.
    distance : float
        ``|w - w0|``.
    n_steps : int
        Evaluations of the quantity, over all starts.
    values : ndarray of shape (n_steps,), float64
        The best found so far after each.
    converged : bool
        True if the last steps brought less than `tol`; False if `max_steps` ended the climb.
    """

    value: float
    parameters: Vector
    distance: float
    n_steps: int
    values: NDArray[np.float64]
    converged: bool


def climb_curvature(
    program: Program,
    parameters: Vector,
    x: Vector,
    output: int,
    radius: float,
    *,
    tol: float = 1e-4,
    max_steps: int = 100,
    seed: int = 0,
) -> Climb:
    r"""Raise the spectral norm of the Hessian of one output at one input: a lower bound of its supremum in a ball.

    The value is the Rayleigh quotient :math:`|V^T H(w) V| / |V|^2` of an explicit V, less a margin for rounding, so it
    is at most :math:`\|H(w)\|` whether or not V is the eigenvector.

    Parameters
    ----------
    program : Program
    parameters : ndarray of shape (n_parameters,)
        The centre w0. In float32 the arithmetic is float64 on the same numbers, and the witness is float32.
    x : ndarray of shape (n_inputs,)
    output : int
    radius : float
        R, at least 0.
    tol : float
        A climb ends when two steps in a row bring less than this share of the value.
    max_steps : int
        Evaluations at most of each of six climbs, the starts not counted.
    seed : int
        Of the random starts of the eigenvalue iterations.

    Returns
    -------
    Climb

    Raises
    ------
    ArgumentError
        If there is a ReLU, whose Hessian says nothing about the linearisation error, or `radius`, `tol` or `max_steps`
        is out of range.
    GraphError
        If there is a sub-model of the user's own, which gives no third derivative.
    NonFiniteError, SaturationError
        If the network cannot be evaluated at w0.

    Notes
    -----
    The starts: a step along the gradient for each of the eigenvalues of largest magnitude at w0, and the neurons that
    can grow the most alone, whose best is the supremum for one hidden layer under a linear output.
    Cost per evaluation: an eigenvalue iteration, warm, of about ten steps, and where it is a gain 11 passes over the
    weights for its gradient; memory about 8 vectors of n_parameters, and 60 of 2 n_nodes.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=3, widths=[16, 16], activation="tanh", seed=0)
    >>> x, body = np.array([1.0, -1.0, 0.5]), net._body
    >>> climb = climb_curvature(body.program, net.parameters, x, 0, radius=0.5)
    >>> found = net.with_parameters(climb.parameters).hessian(x).norm().value
    >>> climb.distance <= 0.5 and net.hessian(x).norm().value < climb.value <= found
    True
    """
    if (program.codes == activation.RELU).any():
        raise ArgumentError(
            "The network must have smooth activation functions for its curvature in a ball. Got relu, whose second "
            "derivative is 0 almost everywhere and says nothing about the way across its kinks."
        )
    ball = _Ball(parameters, radius, program.dtype)
    return _climb(Curvature(program, ball.centre, x[None], output, ball.radius, seed), ball, tol, max_steps)


def climb_remainder(
    program: Program,
    parameters: Vector,
    x: Vector,
    output: int,
    radius: float,
    *,
    tol: float = 1e-4,
    max_steps: int = 100,
    seed: int = 0,
) -> Climb:
    r"""Raise the linearisation error of one output at one input: a lower bound of its supremum in a ball.

    .. math:: |f(w) - f(w_0) - \nabla f(w_0) \cdot (w - w_0)|, \qquad |w - w_0| \le R

    Parameters
    ----------
    program, parameters, x, output, radius, tol, max_steps, seed
        As in `climb_curvature`.

    Returns
    -------
    Climb

    Raises
    ------
    ArgumentError
        If `radius`, `tol` or `max_steps` is out of range.
    NonFiniteError, SaturationError
        If the network cannot be evaluated at w0.

    Notes
    -----
    The starts: both ways along the eigenvectors to the eigenvalues of largest magnitude at w0, along the gradient, and
    to the neurons whose curvature can grow the most. On a quadratic network the first eigenvector is the answer.
    Cost per evaluation: four passes over the weights; memory about 8 vectors of n_parameters.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=3, widths=[16, 16], activation="tanh", seed=0)
    >>> x = np.array([1.0, -1.0, 0.5])
    >>> climb = climb_remainder(net._body.program, net.parameters, x, 0, radius=0.5)
    >>> moved = net.with_parameters(climb.parameters)
    >>> bool(climb.value <= abs(moved(x) - net.linearize().with_parameters(climb.parameters)(x)))
    True
    """
    ball = _Ball(parameters, radius, program.dtype)
    return _climb(Remainder(program, ball.centre, x[None], output, ball.radius, seed), ball, tol, max_steps)


def climb_kernel_change(
    program: Program,
    parameters: Vector,
    X: Vector,
    output: int,
    radius: float,
    *,
    tol: float = 1e-4,
    max_steps: int = 100,
    seed: int = 0,
) -> Climb:
    r"""Raise the change of the tangent kernel of one output: a lower bound of its supremum in a ball.

    .. math:: |K(w) - K(w_0)|_F, \qquad K_{ij} = \langle\nabla f(x_i), \nabla f(x_j)\rangle, \qquad |w - w_0| \le R

    Divide by :math:`|K(w_0)|_F` for the relative change.

    Parameters
    ----------
    program, parameters, output, radius, tol, max_steps, seed
        As in `climb_curvature`.
    X : ndarray of shape (n, n_inputs)

    Returns
    -------
    Climb

    Raises
    ------
    ArgumentError
        If `radius`, `tol` or `max_steps` is out of range.
    NonFiniteError, SaturationError
        If the network cannot be evaluated at w0.
    ResourceError
        If the n gradients do not fit in the memory that is free.

    Notes
    -----
    The starts: both ways along :math:`\sum_i H_i \nabla f(x_i)`, half the gradient of the trace of K, and to the starts
    of `climb_remainder` at the input whose gradient is the longest.
    Cost per evaluation: three passes over the weights per input and, where it is a gain, eight more for its gradient;
    memory n + 8 vectors of n_parameters.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=3, widths=[16, 16], activation="tanh", seed=0)
    >>> X = np.array([[1.0, -1.0, 0.5], [0.2, 0.3, -1.0]])
    >>> climb = climb_kernel_change(net._body.program, net.parameters, X, 0, radius=0.5)
    >>> change = net.with_parameters(climb.parameters).tangent_kernel(X) - net.tangent_kernel(X)
    >>> bool(climb.value <= np.linalg.norm(change))
    True
    """
    ball = _Ball(parameters, radius, program.dtype)
    what = f"The gradients of {len(X)} inputs in {len(parameters):,} parameters"
    check_fits(what, 8 * len(X) * len(parameters), "use fewer inputs")
    return _climb(KernelChange(program, ball.centre, X, output, ball.radius, seed), ball, tol, max_steps)


class _Ball:
    """The points within a distance of a centre, in float64 with the numbers of a dtype."""

    def __init__(self, centre: Vector, radius: float, dtype: np.dtype[Any]) -> None:
        self.radius = check_number("radius", radius, at_least=0.0)
        self.centre = centre.astype(np.float64)
        self.dtype = dtype

    def point(self, step: Vector) -> Vector:
        """Return the centre plus a step, shortened so that no rounding of it or of its norm leaves the ball."""
        spare = 1.0 - max(2.0**-46, 2.0 * float(np.finfo(self.dtype).eps))  # for roundings that no bound foresees
        share, farthest = 1.0, up(float(np.linalg.norm(step)), len(step) + 4)
        for _ in range(20):
            if farthest > self.radius:
                share *= (self.radius / farthest) * spare
            w = share * step
            w += self.centre
            w = w.astype(self.dtype, copy=False).astype(np.float64, copy=False)
            farthest = up(self.distance(w), len(w) + 4)
            if farthest <= self.radius:
                return w
        return self.centre  # the ball is smaller than what the dtype resolves

    def distance(self, w: Vector) -> float:
        """Return the distance from the centre."""
        return float(np.linalg.norm(w - self.centre))


class _Record:
    """The best value after every evaluation, told to whoever watches."""

    def __init__(self, shown: Progress) -> None:
        self.values: list[float] = []
        self._shown = shown

    def add(self, value: float) -> None:
        """Note one evaluation."""
        best = max(self.values[-1], value) if self.values else value
        self.values.append(best)
        self._shown.tell(f"step {len(self.values)}, {best:.4g} so far")


@one_blas_thread()
def _climb(quantity: Quantity, ball: _Ball, tol: float, max_steps: int) -> Climb:
    """Evaluate all starts, climb from the best of them, and on from the highest place."""
    check_number("tol", tol, above=0.0, below=1.0)
    check_count("max_steps", max_steps)
    with progress(quantity.name) as shown, np.errstate(over="ignore", invalid="ignore"):
        record = _Record(shown)
        centre = quantity.at(ball.centre, None)
        record.add(centre.value)
        best, converged = centre, True
        if ball.radius > 0.0:
            points = _best_starts(quantity, ball, centre, record)
            points = [_ascend(quantity, ball, point, max(tol, COARSE), max_steps, record)[0] for point in points]
            finals = [_ascend(quantity, ball, point, tol, max_steps, record) for point in _highest(points, N_FINALISTS)]
            best, converged = max(finals, key=lambda found: found[0].value)
        value = quantity.attained(best)
        if value < centre.value:  # nothing was gained but a margin for rounding
            best, value = max(((point, quantity.attained(point)) for point in (best, centre)), key=lambda pair: pair[1])
    distance, values = ball.distance(best.w), np.array(record.values)
    return Climb(value, best.w.astype(ball.dtype), distance, len(values), values, converged)


def _best_starts(quantity: Quantity, ball: _Ball, centre: Point, record: _Record) -> list[Point]:
    points = [centre]
    for step, coordinates in quantity.starts(centre):
        point = _tried(quantity, ball.point(step), coordinates, record)
        if point is not None:
            points = _highest([*points, point], N_CLIMBED)
    return points


def _highest(points: list[Point], n: int) -> list[Point]:
    return sorted(points, key=lambda point: -point.value)[:n]


def _ascend(
    quantity: Quantity, ball: _Ball, point: Point, tol: float, max_steps: int, record: _Record
) -> tuple[Point, bool]:
    """Return the highest point of a climb, and whether it ended by itself."""
    tau, n_left, n_small = LONGEST, max_steps, 0
    while n_small < 2:
        uphill = lengthened(quantity.uphill(point), ball.radius)
        if not uphill.any():
            break
        higher = None
        while higher is None:
            if tau < SHORTEST:
                return point, True
            if n_left == 0:
                return point, False
            n_left -= 1
            step = tau * uphill
            step += point.w
            step -= ball.centre
            tried = _tried(quantity, ball.point(step), point.coordinates, record)
            if tried is not None and tried.value > point.value:
                higher = tried
            else:
                tau /= FACTOR
        is_small = higher.value - point.value < tol * higher.value
        n_small = n_small + 1 if is_small else 0
        tau = tau / FACTOR if is_small else min(tau * FACTOR, LONGEST)
        point = higher
    return point, True


def _tried(quantity: Quantity, w: Vector, coordinates: Vector | None, record: _Record) -> Point | None:
    """Evaluate the quantity; None where the network overflows."""
    try:
        point = quantity.at(w, coordinates)
    except (NonFiniteError, SaturationError):
        point = None
    if point is not None and not np.isfinite(point.value):
        point = None
    record.add(-np.inf if point is None else point.value)
    return point
