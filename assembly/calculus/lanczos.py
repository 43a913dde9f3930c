r"""Extreme eigenvalues of :math:`Z^T M Z` by Lanczos on node-space coordinates, with residual and status.

The iteration runs on ``M N``, which is symmetric in the inner product :math:`\langle c, d\rangle = c^T N d` of
:math:`Z^T c` and :math:`Z^T d`, with full re-orthogonalisation (twice) and thick restarts. It looks for the largest
*magnitudes*, so a spectrum symmetric about 0, on which a power iteration converges to nothing, is no special case.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[Any]
Operator = Callable[[Vector], Vector]


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


@dataclass(eq=False)
class _Basis:
    """An N-orthonormal basis of a Krylov space and the matrix of M N in it.

    `image` is N times the newest vector; `beta` the norm of what M N adds beyond the basis.
    """

    operator: Operator
    gram: Operator
    diagonal: Vector
    vectors: Vector
    projected: NDArray[np.float64]
    image: Vector
    size: int = 1
    n_steps: int = 0
    beta: float = 0.0

    def expand(self) -> None:
        """Apply the operator to the newest vector and append what is new, normalised, at position `size`."""
        j = self.size
        basis = self.vectors[:j]
        u = self.operator(self.image)
        self.n_steps += 1
        coefficients = np.zeros(j)
        for _ in range(2):
            h = basis @ self.gram(u)
            u -= h @ basis
            coefficients += h
        self.projected[:j, j - 1] = self.projected[j - 1, :j] = coefficients
        image = self.gram(u)
        self.beta = _root(u @ image)
        scale = float(np.sqrt(np.finfo(u.dtype).eps)) * np.abs(self.projected[:j, :j]).max()
        if self.beta <= 4.0 * max(self._noise(u), scale):
            self.beta = 0.0
            return
        self.vectors[j] = u / self.beta
        self.image = image / self.beta

    def refresh(self, candidate: Vector) -> bool:
        """Replace the missing newest vector by what is new in `candidate`; False if the whole range is covered."""
        basis = self.vectors[: self.size]
        for _ in range(2):
            candidate = candidate - (basis @ self.gram(candidate)) @ basis
        image = self.gram(candidate)
        norm = _root(candidate @ image)
        if norm <= 32.0 * self._noise(candidate):
            return False
        self.vectors[self.size] = candidate / norm
        self.image = image / norm
        return True

    def _noise(self, vector: Vector) -> float:
        """Return what ``sqrt(u^T N u)`` shows by rounding for a u in the null space of N."""
        return float(np.sqrt(np.finfo(vector.dtype).eps * (vector @ (self.diagonal * vector))))

    def grow(self) -> None:
        """Count the vector that `expand` appended."""
        self.size += 1

    def ritz(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return Ritz values, largest magnitude first, and their vectors in the basis."""
        values, vectors = np.linalg.eigh(self.projected[: self.size, : self.size])
        order = np.argsort(-np.abs(values), kind="stable")
        return values[order], vectors[:, order]

    def restart(self, keep: int) -> None:
        """Shrink the basis to its best `keep` Ritz vectors and the newest vector."""
        values, vectors = self.ritz()
        newest = self.vectors[self.size].copy()
        self.vectors[:keep] = vectors[:, :keep].T.astype(newest.dtype) @ self.vectors[: self.size]
        self.vectors[keep] = newest
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
    Cost per step: one application of `operator`, three of `gram`, 4 basis_size n operations; memory basis_size vectors.
    A residual proves an eigenvalue near the value; that it is the largest rests on the random start. Copies of a
    repeated eigenvalue are seen only where the Krylov space is exhausted before k are found: it is then continued
    with another vector.
    """
    basis = _start(operator, gram, diagonal, start, min(basis_size, max_steps) + 1)
    if basis is None:
        nothing = np.zeros(1)
        return Eigenpairs(nothing, nothing, np.zeros((1, len(start)), start.dtype), True, 0)
    next_check = k
    while True:
        basis.expand()
        full = basis.size == len(basis.vectors) - 1
        exhausted = basis.beta == 0.0 and (basis.size >= k or full or not basis.refresh(np.roll(start, basis.size)))
        finished = exhausted or basis.n_steps >= max_steps
        if finished or full or basis.size >= next_check:
            next_check = basis.size + max(2, basis.size // 10)
            values, vectors = basis.ritz()
            estimated = np.abs(basis.beta * vectors[-1, :k])
            if finished or (len(estimated) == k and (estimated <= 0.9 * tol * abs(values[0])).all()):
                return _finish(basis, values[:k], vectors[:, :k], tol)
            if full:
                basis.restart(max(k + 2, len(basis.vectors) // 3))
                next_check = basis.size + 2
                continue
        basis.grow()


def relative_residuals(
    operator: Operator, gram: Operator, values: NDArray[np.float64], coordinates: Vector
) -> NDArray[np.float64]:
    """Return ``|H v - value v|`` of vectors given by coordinates, relative to the largest magnitude.

    Cost: one application of `operator` and two of `gram` for each.
    """
    residuals = np.empty(len(values))
    for i, (value, vector) in enumerate(zip(values, coordinates, strict=True)):
        rest = operator(gram(vector)) - vector.dtype.type(value) * vector
        residuals[i] = np.sqrt(max(float(rest @ gram(rest)), 0.0))
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
    for step in range(n_steps):
        basis.expand()
        if basis.beta == 0.0 or step == n_steps - 1:
            break
        basis.grow()
    values, vectors = basis.ritz()
    return values, float(start @ gram(start)) * vectors[0] ** 2


def _root(square: Any) -> float:
    """Return the square root of a number that rounding may have made negative."""
    return math.sqrt(max(float(square), 0.0))


def _start(operator: Operator, gram: Operator, diagonal: Vector, start: Vector, capacity: int) -> _Basis | None:
    image = gram(start)
    norm = _root(start @ image)
    if norm == 0.0:
        return None
    vectors = np.empty((capacity, len(start)), start.dtype)
    vectors[0] = start / norm
    return _Basis(operator, gram, diagonal, vectors, np.zeros((capacity, capacity)), image / norm)


def _finish(basis: _Basis, values: NDArray[np.float64], vectors: NDArray[np.float64], tol: float) -> Eigenpairs:
    coordinates = vectors.T.astype(basis.vectors.dtype) @ basis.vectors[: basis.size]
    relative = relative_residuals(basis.operator, basis.gram, values, coordinates)
    return Eigenpairs(values, relative, coordinates, bool((relative <= tol).all()), basis.n_steps + len(values))
