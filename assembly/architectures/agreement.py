"""Whether the functions of a sub-model belong together: the derivatives written by hand against differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from assembly.architectures.differences import Vector, differentiate, one_sided
from assembly.errors import ArgumentError
from assembly.graph.own import Functions, read_only

SAFETY = 10.0  # times the uncertainty of a difference is still agreement
FLOORS = 1e-12, 1e-10  # of the size a first and a second derivative could have: there 1 - tanh^2 keeps no digits
TINY = 1e-290  # below, no number keeps its digits

Point = tuple[Vector, Vector]
Moved = Callable[[Vector], Vector]


@dataclass(frozen=True, repr=False)
class Agreement:
    """What `check_submodel` found of a sub-model whose functions belong together.

    Attributes
    ----------
    name : str
    n_parameters, n_points : int
    gradient, hessian : float
        Largest distance of a component of the gradient, or an entry of the Hessian, from differences; relative to the
        largest one at the same point.
    gradient_uncertainty, hessian_uncertainty : float
        Largest uncertainty of those differences, likewise.
    linearity, symmetry : float
        Departure of `hessian_product` from linearity in v, and ``|u.Hv - v.Hu|``, each relative to its terms.
    """

    name: str
    n_parameters: int
    n_points: int
    gradient: float
    gradient_uncertainty: float
    hessian: float
    hessian_uncertainty: float
    linearity: float
    symmetry: float

    def __repr__(self) -> str:
        return (
            f"Sub-model {self.name!r}: gradient and Hessian agree with differences at {self.n_points} points.\n"
            f"  gradient         within {self.gradient:.0e} of differences good to {self.gradient_uncertainty:.0e}\n"
            f"  hessian_product  within {self.hessian:.0e} of differences good to {self.hessian_uncertainty:.0e}; "
            f"linear to {self.linearity:.0e}, symmetric to {self.symmetry:.0e}"
        )


def compare(functions: Functions, points: Sequence[Point], sizes: Vector, directions: Vector, tol: float) -> Agreement:
    """Return how well the functions agree at some points (w, x), or raise at the first disagreement.

    Parameters
    ----------
    functions : Functions
    points : sequence of (w, x)
    sizes : ndarray of shape (n_parameters,)
        How large each parameter usually is.
    directions : ndarray of shape (n_points, 2, n_parameters)
        For linearity and symmetry.
    tol : float

    Raises
    ------
    ArgumentError
        As `assembly.check_submodel`.
    """
    asked = [_Asked(functions, w, x) for w, x in points]
    values = np.array([one.answer("value") for one in asked])
    gradients = np.array([one.answer("gradient") for one in asked])
    magnitude = float(max(np.ptp(values), np.abs(gradients * sizes).max()))
    precisions = _precision(values), _precision(gradients)
    floors = tuple(max(floor, 10.0 * max(precisions)) * magnitude for floor in FLOORS)
    found = []
    for one, (u, v) in zip(asked, directions, strict=True):
        check = _Check(one, sizes, tol, floors)
        gradient = check.gradient(precisions[0])
        linearity = check.linearity(u, v)
        found.append((*gradient, *check.hessian(precisions[1]), linearity, check.symmetry(u, v)))
    return Agreement(functions.name, functions.n_parameters, len(points), *(float(n) for n in np.max(found, axis=0)))


class _Asked:
    """The functions at one point; every answer is asked for twice."""

    def __init__(self, functions: Functions, w: Vector, x: Vector) -> None:
        self.functions, self.w, self.x = functions, w, x
        self.who = f"Sub-model {functions.name!r}"
        self.where = f"at w = {_shown(w)}, x = {_shown(x)}"

    def answer(self, what: str, *more: Vector) -> Vector:
        given = [self.w, self.x, *more]
        copies = [vector.copy() for vector in given]
        one, two = (self.functions.call(what, *(read_only(copy) for copy in copies)) for _ in range(2))
        for name, copy, vector in zip(("w", "x", "v"), copies, given, strict=False):
            if copy.tobytes() != vector.tobytes():
                raise ArgumentError(f"{self.who}: {what!r} changes its argument {name}; it must leave it as it is.")
        if one.tobytes() != two.tobytes():
            i = int(np.flatnonzero(np.ravel(one != two))[0])
            raise ArgumentError(
                f"{self.who}: {what!r} must depend on its arguments alone. Its component {i} is "
                f"{np.ravel(one)[i]:.6g} and, asked for again, {np.ravel(two)[i]:.6g}, {self.where}."
            )
        return one

    def moved(self, what: str) -> Moved:
        """Return a function as one of w alone."""
        return lambda w: self.functions.call(what, read_only(w), read_only(self.x))


class _Check:
    """The comparisons at one point."""

    def __init__(self, asked: _Asked, sizes: Vector, tol: float, floors: tuple[float, ...]) -> None:
        self.asked, self.sizes, self.tol, self.floors = asked, sizes, tol, floors
        self.n = len(sizes)

    def gradient(self, precision: float) -> tuple[float, float]:
        """Compare `gradient` with differences of `value`: largest error and uncertainty, relative."""
        found, uncertainty = self._differences("value", precision)
        claimed = self.asked.answer("gradient")
        off = self._off(claimed, found, uncertainty, self.floors[0] / self.sizes)
        if off is not None:
            (j,) = off
            what = f"component {j} of 'gradient' (of 0..{self.n - 1})"
            self._refuse(what, claimed[off], "value", found[off], uncertainty[off], j)
        return _relative(claimed - found, found), _relative(uncertainty, found)

    def hessian(self, precision: float) -> tuple[float, float]:
        """Compare `hessian_product` of unit vectors with differences of `gradient`: likewise."""
        found, uncertainty = self._differences("gradient", precision)
        claimed = np.array([self.asked.answer("hessian_product", unit) for unit in np.eye(self.n)])
        off = self._off(claimed, found, uncertainty, self.floors[1] / np.outer(self.sizes, self.sizes))
        if off is not None:
            j, i = off
            what = f"entry [{i}, {j}] of the Hessian (component {i} of 'hessian_product' for v = e_{j})"
            self._refuse(what, claimed[off], "gradient", found[off], uncertainty[off], j)
        return _relative(claimed - found, found), _relative(uncertainty, found)

    def linearity(self, u: Vector, v: Vector) -> float:
        """Return how far the product is from linear in v."""
        of_u, of_v = (2.0 * self.asked.answer("hessian_product", u), 3.0 * self.asked.answer("hessian_product", v))
        wanted, found = of_u - of_v, self.asked.answer("hessian_product", 2.0 * u - 3.0 * v)
        scale = float(np.maximum(np.abs(of_u), np.abs(of_v)).max())
        apart = np.abs(found - wanted)
        i = int(apart.argmax())
        if apart[i] > self.tol * scale + self.floors[1] / self.sizes[i]:
            raise ArgumentError(
                f"{self.asked.who}: 'hessian_product' is not linear in v. For v = 2 a - 3 b its component {i} is "
                f"{found[i]:.6g} where those for a and b give {wanted[i]:.6g}, {self._where(u, v)}."
            )
        return float(apart[i] / (scale or 1.0))

    def symmetry(self, u: Vector, v: Vector) -> float:
        """Return how far the Hessian is from symmetric."""
        hu, hv = self.asked.answer("hessian_product", u), self.asked.answer("hessian_product", v)
        scale = float(np.abs(u) @ np.abs(hv) + np.abs(v) @ np.abs(hu))
        apart = float(abs(u @ hv - v @ hu))
        if apart > self.tol * scale + self.floors[1]:
            raise ArgumentError(
                f"{self.asked.who}: 'hessian_product' is not symmetric. a.Hb is {u @ hv:.6g} and b.Ha {v @ hu:.6g}, "
                f"{self._where(u, v)}."
            )
        return apart / (scale or 1.0)

    def _where(self, u: Vector, v: Vector) -> str:
        return f"{self.asked.where}, a = {_shown(u)}, b = {_shown(v)}"

    def _differences(self, what: str, precision: float) -> tuple[Vector, Vector]:
        """Return differences of a function in every parameter, a row each, with their uncertainty."""
        function = self.asked.moved(what)
        rows = [differentiate(function, self.asked.w, j, self.sizes[j], precision) for j in range(self.n)]
        found, uncertainty = (np.array(part) for part in zip(*rows, strict=True))
        for j in range(self.n):
            if not np.isfinite(uncertainty[j]).all():
                raise ArgumentError(
                    f"{self.asked.who}: {what!r} has no finite numbers on both sides of w in parameter {j}, so that "
                    f"there are no differences to compare with, {self.asked.where}."
                )
        return found, uncertainty

    def _off(self, claimed: Vector, found: Vector, uncertainty: Vector, floor: Vector) -> tuple[int, ...] | None:
        """Return where two derivatives are furthest beyond what is allowed, or None."""
        allowed = self.tol * np.maximum(np.abs(claimed), np.abs(found)) + SAFETY * uncertainty + floor + TINY
        excess = np.abs(claimed - found) / allowed
        worst = int(excess.argmax())
        return tuple(int(i) for i in np.unravel_index(worst, excess.shape)) if excess.flat[worst] > 1.0 else None

    def _refuse(self, what: str, claimed: float, origin: str, found: float, uncertainty: float, j: int) -> None:
        raise ArgumentError(
            f"{self.asked.who}: {what} is {claimed:.6g} where differences of {origin!r} give {found:.6g} "
            f"+- {uncertainty:.0e}, {self.asked.where}.{self._hint(origin, j)}"
        )

    def _hint(self, what: str, j: int) -> str:
        """Say so if the slopes to both sides stay apart however small the step."""
        function, size = self.asked.moved(what), self.sizes[j]
        wide, near = (one_sided(function, self.asked.w, j, step * size) for step in (1e-4, 1e-6))
        left, right = np.ravel(near[0]), np.ravel(near[1])
        gap, before = np.abs(right - left), np.abs(np.ravel(wide[1] - wide[0]))
        stays = (gap > 0.5 * before) & (gap < 2.0 * before)
        kinks = np.flatnonzero(stays & (gap > 0.01 * (np.abs(left) + np.abs(right))))
        if len(kinks) == 0:
            return ""
        i = kinks[0]
        return (
            f" {what!r} seems to have a kink there: its slope in parameter {j} is {left[i]:.3g} on one side and "
            f"{right[i]:.3g} on the other. No derivative exists at a kink, and no Hessian sees what lies across one."
        )


def _relative(apart: Vector, found: Vector) -> float:
    return float(np.abs(apart).max() / (np.abs(found).max() or 1.0))


def _precision(answers: Vector) -> float:
    """Return the rounding error of answers: that of float32 if all of them are float32 numbers."""
    single = bool((answers == answers.astype(np.float32)).all())
    return float(np.finfo(np.float32 if single else np.float64).eps)


def _shown(vector: Vector) -> str:
    return np.array2string(vector, precision=4, separator=", ", threshold=8, edgeitems=3, max_line_width=10**6)
