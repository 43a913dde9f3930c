r"""Extreme eigenvalues of :math:`Z^T M Z` by Lanczos on node-space coordinates, with residual and status.

The iteration runs on ``M N``, which is symmetric in the inner product :math:`\langle c, d\rangle = c^T N d` of
:math:`Z^T c` and :math:`Z^T d`, re-orthogonalised wherever more than rounding is left, with thick restarts. It looks
for the largest *magnitudes*, so a spectrum symmetric about 0, on which a power iteration converges to nothing, is no
special case, and goes on until the other end of the spectrum cannot be larger.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.tridiagonal import largest_and_residual, may_be_larger
from assembly.errors import SaturationError
from assembly.progress import Progress, progress

Vector = NDArray[Any]
Operator = Callable[[Vector], Vector]

NEGLIGIBLE = 100.0  # units of rounding that may be left along the basis,
SHARE_OF_TOLERANCE = 0.01  # if they are as small a share of the residual wanted: it adds up to about ten times this
N_COLUMNS = 2**14  # of the basis turned at once at a restart
WORKING_VECTORS = 10  # beside the basis, those inside `operator` and `gram` included


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Extreme eigenpairs with their residuals.

    Attributes
    ----------
    values : ndarray of shape (k,), float64
        Largest magnitude first.
    residuals : ndarray of shape (k,), float64
        ``|H v - value v|`` of the unit vector v, computed anew with one application, relative to the largest magnitude.
    coordinates : ndarray of shape (k, n)
        Node-space coordinates c of the unit eigenvectors ``Z^T c``.
    converged : bool
    n_steps : int
        Applications of M.
    """

    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    coordinates: Vector
    converged: bool
    n_steps: int


class _Scaled:
    """An operator divided by a power of two, so that squares of what it returns stay in the range of the numbers."""

    def __init__(self, operator: Operator, size: float) -> None:
        self._operator = operator
        self._size = size  # of the coordinates it is first applied to
        self.scale = 0.0

    def __call__(self, vector: Vector) -> Vector:
        image = self._operator(vector)
        if self.scale == 0.0:
            largest = float(np.abs(image).max())
            ratio = largest / self._size if largest > 0.0 else 1.0
            check_scale(ratio, image.dtype)
            self.scale = 2.0 ** round(math.log2(ratio))
        image /= self.scale
        return image


@dataclass(eq=False)
class _Basis:
    """An N-orthonormal basis of a Krylov space and the matrix of M N in it.

    `image` is N times the newest vector; `beta` the norm of what M N adds beyond the basis, which is the entry of
    `projected` between the newest vector and the one before. Components of new vectors along the basis are negligible
    up to the share `negligible` of their norm.
    """

    operator: _Scaled
    gram: Operator
    diagonal: Vector
    vectors: Vector
    projected: NDArray[np.float64]
    image: Vector
    negligible: float
    size: int = 1
    n_steps: int = 0
    beta: float = 0.0
    has_restarted: bool = False

    def expand(self) -> None:
        """Apply the operator to the newest vector and append what is new, normalised, at position `size`.

        The components along the two newest vectors, one of them known and the other an inner product away, are
        subtracted first. What is left along the basis, mostly rounding, is subtracted where it is not negligible,
        twice at most.
        """
        j = self.size
        basis = self.vectors[:j]
        u = self.operator(self.image)
        self.n_steps += 1
        coefficients = self.projected[:j, j - 1].copy()
        coefficients[j - 1] = self.image @ u
        u -= coefficients[-2:].astype(u.dtype) @ basis[-2:]
        image = self.gram(u)
        for _ in range(2):
            h = basis @ image
            if np.abs(h).max() <= self.negligible * _root(u @ image):
                break
            u -= h @ basis
            coefficients += h
            image = self.gram(u)
        self.projected[:j, j - 1] = self.projected[j - 1, :j] = coefficients
        self.beta = _root(u @ image)
        scale = float(np.sqrt(np.finfo(u.dtype).eps)) * np.abs(self.projected[:j, :j]).max()
        if self.beta <= 4.0 * max(noise_of(u, self.diagonal), scale):
            self.beta = 0.0
            return
        self.projected[j, j - 1] = self.projected[j - 1, j] = self.beta
        np.divide(u, self.beta, out=self.vectors[j])
        self.image = image
        self.image /= self.beta

    def refresh(self, candidate: Vector) -> bool:
        """Replace the missing newest vector by what is new in `candidate`; False if the whole range is covered."""
        basis = self.vectors[: self.size]
        for _ in range(2):
            candidate = candidate - (basis @ self.gram(candidate)) @ basis
        image = self.gram(candidate)
        norm = _root(candidate @ image)
        if norm <= 32.0 * noise_of(candidate, self.diagonal):
            return False
        self.vectors[self.size] = candidate / norm
        self.image = image / norm
        return True

    def grow(self) -> None:
        """Count the vector that `expand` appended."""
        self.size += 1

    def ritz(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return Ritz values, largest magnitude first, and their vectors in the basis."""
        values, vectors = np.linalg.eigh(self.projected[: self.size, : self.size])
        order = np.argsort(-np.abs(values), kind="stable")
        return values[order], vectors[:, order]

    def estimate(self, k: int) -> tuple[float, float]:
        """Return the largest magnitude and the largest residual of k Ritz pairs, infinite where there are fewer.

        The pair at the other end counts too as long as its eigenvalue may have the larger magnitude.
        """
        if k == 1 and not self.has_restarted:  # beside the two diagonals there is rounding alone
            matrix = self.projected[: self.size, : self.size]
            best, residual = largest_and_residual(matrix.diagonal(), matrix.diagonal(-1), self.beta)
            return abs(best.value), residual
        values, vectors = self.ritz()
        residuals = np.abs(self.beta * vectors[-1])
        wanted = residuals[:k].max() if len(values) >= k else np.inf
        others = np.flatnonzero(np.sign(values) != np.sign(values[0]))
        rival = others[others >= k][:1]
        if len(rival) and k <= len(values) and may_be_larger(values[rival[0]], residuals[rival[0]], values[k - 1]):
            wanted = max(wanted, residuals[rival[0]])
        return abs(values[0]), float(wanted)

    def restart(self, keep: int) -> None:
        """Shrink the basis to its best `keep` Ritz vectors and the newest vector."""
        values, vectors = self.ritz()
        turn = vectors[:, :keep].T.astype(self.vectors.dtype)
        for start in range(0, self.vectors.shape[1], N_COLUMNS):  # in place but for a few columns
            columns = self.vectors[:, start : start + N_COLUMNS]
            columns[:keep] = turn @ columns[: self.size]
            columns[keep] = columns[self.size]
        self.has_restarted = True
        self.projected[:] = 0.0
        self.projected[range(keep), range(keep)] = values[:keep]
        self.size = keep + 1


def extreme_eigenpairs(
    operator: Operator,
    gram: Operator,
    diagonal: Vector,
    start: Vector,
    *,
    k: int,
    tol: float,
    max_steps: int,
    basis_size: int,
) -> Eigenpairs:
    """Return the k eigenpairs of largest magnitude of ``Z^T operator Z`` with ``gram = Z Z^T``.

    Parameters
    ----------
    operator, gram : callable
        M and N on vectors of shape (n,).
    diagonal : ndarray of shape (n,)
        That of N, the measure of rounding.
    start : ndarray of shape (n,)
        Coordinates of the first vector; random ones with no eigenvector missing.
    k : int
    tol : float
        Stop when the residuals of all k, relative to the largest magnitude, are at most this.
    max_steps : int
        Lanczos steps at most; each residual takes one application more.
    basis_size : int
        Vectors kept before a thick restart, more than 2 k + 2.

    Returns
    -------
    Eigenpairs
        Fewer than k if there are fewer in the range of Z^T: the rest of the spectrum is 0.

    Notes
    -----
    Cost per step: one application of `operator`, one to three of `gram`, 2 to 4 basis_size n operations; memory
    basis_size vectors and about `WORKING_VECTORS` more.
    A residual proves an eigenvalue near the value; that it is the largest rests on the random start. Copies of a
    repeated eigenvalue are seen only where the Krylov space is exhausted before k are found: it is then continued
    with another vector.
    """
    capacity = min(basis_size, max_steps) + 1
    basis = _start(operator, gram, diagonal, start, capacity, SHARE_OF_TOLERANCE * tol)
    if basis is None:
        nothing = np.zeros(1)
        return Eigenpairs(nothing, nothing, np.zeros((1, len(start)), start.dtype), True, 0)
    with progress("eigenvalue iteration") as shown:
        return _iterate(basis, start, k, tol, max_steps, shown)


def _iterate(basis: _Basis, start: Vector, k: int, tol: float, max_steps: int, shown: Progress) -> Eigenpairs:
    next_check, residual = k, ""
    while True:
        basis.expand()
        shown.tell(f"step {basis.n_steps}, {residual}{tol:.0e} wanted")
        full = basis.size == len(basis.vectors) - 1
        exhausted = basis.beta == 0.0 and (basis.size >= k or full or not basis.refresh(np.roll(start, basis.size)))
        finished = exhausted or basis.n_steps >= max_steps
        if finished or full or basis.size >= next_check:
            next_check = basis.size + max(2, basis.size // 10)
            largest, estimated = basis.estimate(k)
            if estimated < largest:
                residual = f"residual about {estimated / largest:.0e}, "
            if finished or estimated <= 0.9 * tol * largest:
                values, vectors = basis.ritz()
                return _finish(basis, values[:k], vectors[:, :k], tol)
            if full:
                basis.restart(max(k + 2, len(basis.vectors) // 3))
                next_check = basis.size + 2
                continue
        basis.grow()


def relative_residuals(
    operator: Operator, gram: Operator, diagonal: Vector, values: NDArray[np.float64], coordinates: Vector
) -> NDArray[np.float64]:
    """Return ``|H v - value v|`` of vectors given by coordinates, relative to the largest magnitude.

    What rounding in N, of that diagonal, may hide of a residual near its null space is counted with it.

    Cost: one application of `operator` and two of `gram` for each.
    """
    residuals = np.empty(len(values))
    for i, (value, vector) in enumerate(zip(values, coordinates, strict=True)):
        rest = operator(gram(vector)) - vector.dtype.type(value) * vector
        residuals[i] = math.hypot(_root(rest @ gram(rest)), noise_of(rest, diagonal))
    scale = np.abs(values).max(initial=0.0)
    return residuals / scale if scale > 0.0 else residuals


def quadrature(
    operator: Operator, gram: Operator, diagonal: Vector, start: Vector, n_steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Gauss quadrature nodes and weights of the spectral measure of `start`, of total mass ``start^T N start``.

    Cost: n_steps applications of `operator`, n_steps vectors.
    """
    basis = _start(operator, gram, diagonal, start, n_steps + 1)
    if basis is None:
        return np.zeros(0), np.zeros(0)
    with progress("Lanczos quadrature") as shown:
        for step in range(n_steps):
            basis.expand()
            shown.tell(f"step {step + 1} of {n_steps}", (step + 1) / n_steps)
            if basis.beta == 0.0 or step == n_steps - 1:
                break
            basis.grow()
    values, vectors = basis.ritz()
    return basis.operator.scale * values, float(start @ gram(start)) * vectors[0] ** 2


def check_scale(scale: float, dtype: np.dtype[Any]) -> None:
    """Refuse a Hessian of a size that the dtype does not hold."""
    limits = np.finfo(dtype)
    if not 2.0 * float(limits.tiny) <= scale <= 0.5 * float(limits.max):
        raise SaturationError(f"The Hessian over- or underflows {dtype}. Move the inputs or parameters.")


def noise_of(vector: Vector, diagonal: Vector) -> float:
    """Return what ``sqrt(u^T N u)`` shows by rounding for a u in the null space of N."""
    return float(np.sqrt(np.finfo(vector.dtype).eps * (vector @ (diagonal * vector))))


def _root(square: Any) -> float:
    """Return the square root of a number that rounding may have made negative."""
    return math.sqrt(max(float(square), 0.0))


def _start(
    operator: Operator, gram: Operator, diagonal: Vector, start: Vector, capacity: int, negligible: float = np.inf
) -> _Basis | None:
    image = gram(start)
    norm = _root(start @ image)
    if norm == 0.0:
        return None
    vectors = np.empty((capacity, len(start)), start.dtype)
    vectors[0] = start / norm
    negligible = min(negligible, NEGLIGIBLE * float(np.finfo(start.dtype).eps))
    scaled = _Scaled(operator, float(np.abs(vectors[0]).max()))
    return _Basis(scaled, gram, diagonal, vectors, np.zeros((capacity, capacity)), image / norm, negligible)


def _finish(basis: _Basis, values: NDArray[np.float64], vectors: NDArray[np.float64], tol: float) -> Eigenpairs:
    coordinates = vectors.T.astype(basis.vectors.dtype) @ basis.vectors[: basis.size]
    relative = relative_residuals(basis.operator, basis.gram, basis.diagonal, values, coordinates)
    converged = bool((relative <= tol).all())
    return Eigenpairs(basis.operator.scale * values, relative, coordinates, converged, basis.n_steps + len(values))
