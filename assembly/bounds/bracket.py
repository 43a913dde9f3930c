r"""What happens at worst while the parameters stay in a ball: bracketed from both sides.

From above by a proof, from below by parameters in the ball that attain it. With U(r) the bound of the Hessian norm over
the ball of radius r, along any way of length R from the centre

.. math:: |f - f_{lin}| \le \int_0^R (R - r)\, U(r)\, dr, \qquad |\nabla f(w) - \nabla f(w_0)| \le \int_0^R U(r)\, dr,

which is the :math:`R^2/2 \sup\|H\|` of the papers (Liu, Zhu, Belkin, arXiv 2205.11786, Corollary 3.7) and less, as U is
taken at a few radii instead of the last alone.
The kernel changes by :math:`K_{ij}(w) - K_{ij}(w_0) = \delta_i \cdot g_j + g_i \cdot \delta_j + \delta_i \cdot
\delta_j`, with g the gradients and :math:`\delta` their changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.bounds.ascent import Climb, climb_curvature, climb_kernel_change, climb_remainder
from assembly.bounds.ceiling import Ceiling
from assembly.bounds.rounding import NON_NEGATIVE
from assembly.calculus.evaluation import evaluate, gradient
from assembly.checks import check_number
from assembly.errors import ArgumentError
from assembly.graph.description import Graph
from assembly.program import in_double, lower

PIECES = 4  # of the way from the centre to the sphere, on each of which the bound at its end is used


@dataclass(frozen=True, eq=False)
class Bracket:
    """A supremum over the ball of all parameters within `radius` of the present ones, bracketed.

    Attributes
    ----------
    what : str
        What is bracketed, and of which output if there are several.
    lower, upper : float
        Attained by `witness`; proven. The supremum lies between.
    radius : float
    witness : ndarray of shape (n_parameters,)
        Parameters in the ball that attain `lower`.
    distance : float
        Of the witness from the centre.
    at_centre : float or None
        Where the bound is that of the Hessian norm at the centre and a change: the proven norm there.
    dominance, coupling : dict of int to float
        What every layer contributes to `upper` (or to the change): neurons that bend, and pairs of weights that
        multiply. Empty where the supremum is found neuron by neuron, and for all but the curvature.
    """

    what: str
    lower: float
    upper: float
    radius: float
    witness: NDArray[Any]
    distance: float
    at_centre: float | None = None
    dominance: dict[int, float] = field(default_factory=dict)
    coupling: dict[int, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Upper over lower: 1 where both meet; NaN where nothing changes."""
        return self.upper / self.lower if self.lower > 0.0 else float("nan")

    def __repr__(self) -> str:
        text = f"{self.what} within {self.radius:g}: in [{self.lower:.4g}, {self.upper:.4g}]"
        return f"{text}, upper/lower {self.ratio:.3g}" if self.lower > 0.0 else text


def curvature_bracket(
    graph: Graph, parameters: NDArray[Any], x: NDArray[Any], output: int, radius: float, max_steps: int, seed: int
) -> Bracket:
    """Bracket the largest Hessian norm of one output at one input over a ball; see `Assembly.curvature_in_ball`."""
    ceiling, distance = Ceiling(graph, parameters, x, output), check_number("radius", radius, above=0.0)
    climb = climb_curvature(
        lower(graph, parameters.dtype), parameters, x, output, distance, max_steps=max_steps, seed=seed
    )
    above = ceiling.over(distance)
    return _bracket(
        _named("||H||", graph, output),
        climb,
        1.0,
        above.value,
        radius,
        above.at_centre,
        above.dominance,
        above.coupling,
    )


def remainder_bracket(
    graph: Graph, parameters: NDArray[Any], x: NDArray[Any], output: int, radius: float, max_steps: int, seed: int
) -> Bracket:
    """Bracket the largest linearisation error over a ball; see `Assembly.remainder_in_ball`."""
    ceiling, distance = Ceiling(graph, parameters, x, output), check_number("radius", radius, above=0.0)
    climb = climb_remainder(
        lower(graph, parameters.dtype), parameters, x, output, distance, max_steps=max_steps, seed=seed
    )
    edges = np.linspace(0.0, 1.0, PIECES + 1)
    weights = np.diff(edges - 0.5 * edges**2)  # the integral of 1 - r over each piece
    above = distance**2 * float(weights @ _at(ceiling, distance * edges[1:]))
    return _bracket(_named("|f - f_lin|", graph, output), climb, 1.0, above, radius)


def kernel_change_bracket(
    graph: Graph, parameters: NDArray[Any], X: NDArray[Any], output: int, radius: float, max_steps: int, seed: int
) -> Bracket:
    """Bracket the largest relative change of the tangent kernel over a ball; see `Assembly.kernel_change_in_ball`."""
    distance = check_number("radius", radius, above=0.0)
    ceilings = [Ceiling(graph, parameters, x, output) for x in X]
    program = lower(graph, parameters.dtype)
    double, w = in_double(program), parameters.astype(np.float64)
    evaluation = evaluate(double, [block.weights(w) for block in double.blocks], X.astype(np.float64))
    gradients = np.array([gradient(evaluation, row, output) for row in range(len(X))])
    size = float(np.linalg.norm(gradients @ gradients.T))
    if size == 0.0:
        raise ArgumentError(
            "The tangent kernel of the network is 0 at these inputs: there is no relative change of it."
        )
    climb = climb_kernel_change(program, parameters, X, output, distance, max_steps=max_steps, seed=seed)
    radii = distance * np.linspace(0.0, 1.0, PIECES + 1)[1:]
    moved = np.array([distance * float(_at(ceiling, radii).mean()) for ceiling in ceilings])
    lengths = np.linalg.norm(gradients, axis=1)
    above = np.inf
    if np.isfinite(moved).all():
        above = float(np.linalg.norm(np.outer(moved, lengths) + np.outer(lengths, moved) + np.outer(moved, moved)))
    return _bracket(_named("|K - K_0| / |K_0|", graph, output), climb, 1.0 / size, above / size, radius)


def _named(what: str, graph: Graph, output: int) -> str:
    return f"{what} of output {output}" if len(graph.outputs) > 1 else what


def _at(ceiling: Ceiling, radii: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([ceiling.over(float(radius)).value for radius in radii])


def _bracket(what: str, climb: Climb, scale: float, above: float, radius: float, *terms: Any) -> Bracket:
    return Bracket(
        what, climb.value * scale / NON_NEGATIVE, above * NON_NEGATIVE, radius, climb.parameters, climb.distance, *terms
    )
