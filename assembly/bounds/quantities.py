r"""What is raised over a ball of parameters: its value, its gradient, where to begin, and what is attained at last."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.bounds.jet_rounding import rounding
from assembly.bounds.rounding import EPSILON, up
from assembly.bounds.starts import lengthened, loudest_neurons
from assembly.calculus import one_hidden_layer
from assembly.calculus.evaluation import Evaluation, evaluate, gradient
from assembly.calculus.hessian import Hessian
from assembly.calculus.jet import Jet
from assembly.calculus.lanczos import extreme_eigenpairs
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.calculus.tangent_kernel import tangent_kernel
from assembly.program import Program, in_double
from assembly.seeds import generator

Vector = NDArray[Any]

N_EIGENVECTORS = 6  # of the Hessian at the centre, and
N_NEURONS = 6  # of the loudest neurons, that give starts
N_LANCZOS = 60  # steps at most for an eigenvector on the way, to a residual of
LANCZOS_TOL = 1e-3


@dataclass(frozen=True, eq=False)
class Point:
    """A point of the ball: the quantity there, and what its gradient and the next evaluation need."""

    w: Vector
    value: float
    evaluation: Evaluation
    coordinates: Vector | None = None  # of the eigenvector


Start = tuple[Vector, Vector | None]


class Quantity(ABC):
    """What is raised over a ball."""

    name: str

    def __init__(self, program: Program, centre: Vector, X: Vector, output: int, radius: float, seed: int) -> None:
        self.program, self.output = in_double(program), output
        self.centre, self.radius = centre, radius
        self.X = X.astype(np.float64)
        self.random = generator(seed, "climb").standard_normal(self.program.n_coordinates)

    @abstractmethod
    def at(self, w: Vector, coordinates: Vector | None) -> Point:
        """Evaluate it at w; `coordinates` are where an eigenvalue iteration may begin."""

    @abstractmethod
    def uphill(self, point: Point) -> Vector:
        """Return its gradient."""

    @abstractmethod
    def starts(self, centre: Point) -> Iterator[Start]:
        """Yield steps from the centre, with coordinates to begin from."""

    @abstractmethod
    def attained(self, point: Point) -> float:
        """Return its value there once more, less a margin for rounding."""

    def evaluate(self, w: Vector) -> Evaluation:
        """Return the evaluation of all inputs at w."""
        return evaluate(self.program, [block.weights(w) for block in self.program.blocks], self.X)

    def space(self, evaluation: Evaluation, row: int = 0) -> NodeSpaceHessian:
        """Return the Hessian at one input."""
        return NodeSpaceHessian(evaluation, row, self.output)

    def eigenvectors(self, space: NodeSpaceHessian, k: int, start: Vector | None = None) -> tuple[Vector, Vector]:
        """Return eigenvalues of largest magnitude and coordinates of their eigenvectors, k at most."""
        if one_hidden_layer.applies_to(space.program, space.curvature):
            values, nodes = one_hidden_layer.eigenvalues(space)
            k = max(int(np.count_nonzero(values[:k])), 1)
            found = [one_hidden_layer.coordinates(space, values[i], nodes[i]) for i in range(k) if values[i]]
            return values[:k], np.array(found or [np.zeros(space.size)])
        start = self.random if start is None else start
        pairs = extreme_eigenpairs(
            space.M,
            space.N,
            space.diagonal(),
            start,
            k=k,
            tol=LANCZOS_TOL,
            max_steps=N_LANCZOS * k,
            basis_size=N_LANCZOS,
        )
        return pairs.values, pairs.coordinates.reshape(-1, space.size)


class Curvature(Quantity):
    """The spectral norm of the Hessian of one output at one input."""

    name = "curvature in a ball"

    def at(self, w: Vector, coordinates: Vector | None) -> Point:
        """See `Quantity.at`."""
        evaluation = self.evaluate(w)
        values, found = self.eigenvectors(self.space(evaluation), 1, coordinates)
        return Point(w, abs(float(values[0])), evaluation, found[0])

    def uphill(self, point: Point) -> Vector:
        """See `Quantity.uphill`."""
        assert point.coordinates is not None
        jet = Jet(point.evaluation, 0, self.space(point.evaluation).Z_transposed(point.coordinates))
        uphill: Vector = np.sign(jet.derivative(self.output, 2)) * jet.gradient(self.output)
        return uphill

    def starts(self, centre: Point) -> Iterator[Start]:
        """See `Quantity.starts`."""
        space = self.space(centre.evaluation)
        for coordinates in self.eigenvectors(space, N_EIGENVECTORS)[1]:
            uphill = self.uphill(replace(centre, coordinates=coordinates))
            yield lengthened(uphill, self.radius), coordinates
        for step in loudest_neurons(space, centre.evaluation.pre[0], self.radius, N_NEURONS):
            yield step, None

    def attained(self, point: Point) -> float:
        """See `Quantity.attained`."""
        assert point.coordinates is not None
        evaluation = self.evaluate(point.w)
        space = self.space(evaluation)
        top = Hessian(space).top_pair()[1]
        return max(self._quotient(space, coordinates) for coordinates in (point.coordinates, top))

    def _quotient(self, space: NodeSpaceHessian, coordinates: Vector) -> float:
        direction = space.Z_transposed(coordinates)
        square = up(float(direction @ direction), len(direction))
        if square == 0.0:
            return 0.0
        jet = Jet(space.evaluation, 0, direction)
        return max(0.0, abs(jet.derivative(self.output, 2)) - rounding(jet, self.output, 2)) / square


class Remainder(Quantity):
    """The linearisation error of one output at one input."""

    name = "remainder in a ball"

    def __init__(self, program: Program, centre: Vector, X: Vector, output: int, radius: float, seed: int) -> None:
        super().__init__(program, centre, X, output, radius, seed)
        evaluation = self.evaluate(centre)
        self.value, self.gradient = float(evaluation.outputs[0, output]), gradient(evaluation, 0, output)

    def at(self, w: Vector, coordinates: Vector | None) -> Point:
        """See `Quantity.at`."""
        evaluation = self.evaluate(w)
        return Point(w, abs(self._signed(evaluation, w)), evaluation)

    def uphill(self, point: Point) -> Vector:
        """See `Quantity.uphill`."""
        change = gradient(point.evaluation, 0, self.output) - self.gradient
        uphill: Vector = np.sign(self._signed(point.evaluation, point.w)) * change
        return uphill

    def starts(self, centre: Point) -> Iterator[Start]:
        """See `Quantity.starts`."""
        yield from _both_ways(self.gradient, self.radius)
        for step in _curved_steps(self, centre.evaluation, 0):
            yield from _both_ways(step, self.radius)

    def attained(self, point: Point) -> float:
        """See `Quantity.attained`."""
        step = point.w - self.centre
        before, after = (Jet(self.evaluate(w), 0, step) for w in (self.centre, point.w))
        asked = ((before, 0), (before, 1), (after, 0))
        value, slope, moved = (jet.derivative(self.output, order) for jet, order in asked)
        margin = sum(rounding(jet, self.output, order) for jet, order in asked)
        margin += 4.0 * EPSILON * (abs(value) + abs(slope) + abs(moved))
        return max(0.0, abs(moved - value - slope) - margin)

    def _signed(self, evaluation: Evaluation, w: Vector) -> float:
        change = float(evaluation.outputs[0, self.output]) - self.value
        return change - float(self.gradient @ (w - self.centre))


class KernelChange(Quantity):
    """The Frobenius norm of the change of the tangent kernel of one output."""

    name = "kernel change in a ball"

    def __init__(self, program: Program, centre: Vector, X: Vector, output: int, radius: float, seed: int) -> None:
        super().__init__(program, centre, X, output, radius, seed)
        self.kernel = self._kernel(self.evaluate(centre))

    def at(self, w: Vector, coordinates: Vector | None) -> Point:
        """See `Quantity.at`."""
        evaluation = self.evaluate(w)
        return Point(w, float(np.linalg.norm(self._kernel(evaluation) - self.kernel)), evaluation)

    def uphill(self, point: Point) -> Vector:
        """See `Quantity.uphill`."""
        return self._contracted(point.evaluation, self._kernel(point.evaluation) - self.kernel)

    def starts(self, centre: Point) -> Iterator[Start]:
        """See `Quantity.starts`."""
        yield from _both_ways(self._contracted(centre.evaluation, np.eye(len(self.X))), self.radius)
        for step in _curved_steps(self, centre.evaluation, int(np.argmax(np.diag(self.kernel)))):
            yield from _both_ways(step, self.radius)

    def attained(self, point: Point) -> float:
        """See `Quantity.attained`."""
        before, after = self.evaluate(self.centre), self.evaluate(point.w)
        change = self._kernel(after) - self.kernel
        value = float(np.linalg.norm(change))
        if value == 0.0:
            return 0.0
        margin = self._rounding(before, change / value) + self._rounding(after, change / value)
        return max(0.0, value - margin)

    def _rounding(self, evaluation: Evaluation, weights: Vector) -> float:
        """What rounding may have done to ``sum_ij D_ij K_ij``: to the derivatives along the gradients, contracted."""
        gradients = self._gradients(evaluation)
        error = sum(
            rounding(Jet(evaluation, row, weights[row] @ gradients), self.output, 1) for row in range(len(gradients))
        )
        return 2.0 * float(error)

    def _kernel(self, evaluation: Evaluation) -> Vector:
        return tangent_kernel(evaluation, evaluation, self.output, self.output)

    def _contracted(self, evaluation: Evaluation, change: Vector) -> Vector:
        """Return ``sum_i H_i sum_j D_ij grad f(x_j)``, half the gradient of ``sum_ij D_ij K_ij``."""
        gradients = self._gradients(evaluation)
        out = np.zeros(self.program.n_parameters)
        for row in range(len(gradients)):
            out += self.space(evaluation, row).apply(change[row] @ gradients)
        return out

    def _gradients(self, evaluation: Evaluation) -> Vector:
        gradients = np.empty((len(self.X), self.program.n_parameters))
        for row in range(len(gradients)):
            gradients[row] = gradient(evaluation, row, self.output)
        return gradients


def _curved_steps(quantity: Quantity, evaluation: Evaluation, row: int) -> Iterator[Vector]:
    """Yield the eigenvectors of largest curvature at one input, and steps to the neurons where it can grow the most."""
    space = quantity.space(evaluation, row)
    for coordinates in quantity.eigenvectors(space, N_EIGENVECTORS)[1]:
        yield space.Z_transposed(coordinates)
    yield from loudest_neurons(space, evaluation.pre[row], quantity.radius, N_NEURONS)


def _both_ways(step: Vector, radius: float) -> Iterator[Start]:
    step = lengthened(step, radius)
    yield step, None
    yield -step, None
