r"""The largest :math:`|\lambda|` of many operators :math:`Z_i^T M_i Z_i` by Lanczos iterations in lockstep.

As `assembly.calculus.lanczos`, a row of every matrix for one operator: all take their steps together, so that an
application is a matrix product, and a row leaves when its residual, computed anew with one application, is small
enough. Rows start from one vector, so that what is found for a row does not depend on the others. There are no
restarts: a row that needs more steps than a basis holds is handed back with the residual it has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.lanczos import SHARE_OF_TOLERANCE
from assembly.calculus.lockstep_space import LockstepHessians, Rows

FIRST_CHECK = 4


@dataclass(frozen=True, eq=False)
class LargestMagnitudes:
    r"""What was found, one entry for every operator.

    Attributes
    ----------
    values : ndarray of shape (n,), float64
        Largest :math:`|\lambda|`.
    residuals : ndarray of shape (n,), float64
        ``|H v - lambda v| / |lambda|`` of the unit vector v, computed anew with one application.
    n_steps : ndarray of shape (n,), int64
        Applications of M.
    """

    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    n_steps: NDArray[np.int64]


class _Iterations:
    """N-orthonormal bases of Krylov spaces with the tridiagonal matrices of M N in them, a row for every operator.

    `image` is N times the newest vectors. Where a Krylov space is exhausted, further vectors are 0.
    """

    def __init__(self, hessians: LockstepHessians, start: Rows, n_steps: int, negligible: float) -> None:
        self.hessians = hessians
        self.rows = np.arange(len(hessians))  # which operators are left
        self.negligible = negligible
        self.size = 1
        self.eps = float(np.finfo(start.dtype).eps)
        self.noise = hessians.diagonal()
        self.noise *= self.eps
        vectors = np.broadcast_to(start, (len(hessians), len(start)))
        image = hessians.N(vectors)
        norm = _roots(_products(vectors, image))
        self.vectors = np.empty((len(hessians), n_steps + 1, len(start)), start.dtype)
        self.vectors[:, 0] = _divided(vectors, norm)
        self.image = _divided(image, norm)
        self.diagonal, self.beside = np.zeros((2, len(hessians), n_steps))
        self.scale = np.zeros(len(hessians))

    def expand(self) -> None:
        """Apply the operators to the newest vectors and append what is new, normalised."""
        j = self.size
        u = self._apply()
        basis = self.vectors[:, :j]
        alpha = _products(self.image, u)
        u -= _times(basis[:, -1], alpha)
        if j > 1:
            u -= _times(basis[:, -2], self.beside[:, j - 2])
        image = self.hessians.N(u)
        for _ in range(2):
            h = np.matmul(basis, image[:, :, None])[:, :, 0]
            if (np.abs(h).max(axis=1) <= self.negligible * _roots(_products(u, image))).all():
                break
            u -= np.matmul(h[:, None, :], basis)[:, 0]
            alpha += h[:, -1]
            image = self.hessians.N(u)
        self.diagonal[:, j - 1] = alpha
        beta = _roots(_products(u, image))
        noise = _roots(np.einsum("kn,kn,kn->k", u, self.noise, u))
        known = np.maximum(np.abs(self.diagonal[:, :j]), self.beside[:, :j]).max(axis=1)
        beta[beta <= 4.0 * np.maximum(noise, np.sqrt(self.eps) * known)] = 0.0
        self.beside[:, j - 1] = beta
        self.vectors[:, j] = _divided(u, beta)
        self.image = _divided(image, beta)
        self.size += 1

    def _apply(self) -> Rows:
        """Return M N of the newest vectors, divided by a power of two of every row so that squares stay in range."""
        u = self.hessians.M(self.image)
        if self.size == 1:
            large, small = np.abs(u).max(axis=1), np.abs(self.vectors[:, 0]).max(axis=1)
            known = (large > 0.0) & (small > 0.0)
            exponents = np.round(np.log2(np.where(known, large, 1.0)) - np.log2(np.where(known, small, 1.0)))
            self.scale = 2.0**exponents
        return _divided(u, self.scale)

    def ritz(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the Ritz value of largest magnitude of every row, its vector in the basis, and its residual."""
        j = self.size - 1
        matrices = np.zeros((len(self.rows), j, j))
        at = np.arange(j)
        matrices[:, at, at] = self.diagonal[:, :j]
        matrices[:, at[1:], at[:-1]] = self.beside[:, : j - 1]
        values, vectors = np.linalg.eigh(matrices)
        best = np.abs(values).argmax(axis=1)
        rows = np.arange(len(best))
        turned = vectors[rows, :, best]
        return values[rows, best], turned, np.abs(self.beside[:, j - 1] * turned[:, -1])

    def finish(
        self, done: NDArray[np.int64], values: NDArray[np.float64], turned: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return values and true residuals of some rows, from one application more."""
        j = self.size - 1
        hessians = self.hessians.take(done)
        turned = turned.astype(self.image.dtype)
        coordinates = np.stack([y @ self.vectors[i, :j] for i, y in zip(done, turned, strict=True)])
        image = hessians.N(coordinates)
        rest = _divided(hessians.M(image), self.scale[done]) - _times(coordinates, values)
        wrong = _roots(_products(rest, hessians.N(rest)))
        size = np.abs(values) * _roots(_products(coordinates, image))
        return np.abs(values) * self.scale[done], np.divide(wrong, size, out=wrong, where=size > 0.0)

    def leave(self, done: NDArray[np.int64]) -> None:
        """Forget some rows."""
        kept = np.delete(np.arange(len(self.rows)), done)
        for to, place in enumerate(kept):  # in place: the bases are the only large thing
            self.vectors[to, : self.size] = self.vectors[place, : self.size]
        self.vectors = self.vectors[: len(kept)]
        self.rows, self.scale = self.rows[kept], self.scale[kept]
        self.diagonal, self.beside = self.diagonal[kept], self.beside[kept]
        self.image, self.noise = self.image[kept], self.noise[kept]
        self.hessians = self.hessians.take(kept)


def largest_magnitudes(
    hessians: LockstepHessians, start: Rows, *, tol: float, n_steps: int, advance: Callable[[int], None]
) -> LargestMagnitudes:
    """Return the largest magnitude of an eigenvalue of every operator.

    Parameters
    ----------
    hessians : LockstepHessians
    start : ndarray of shape (size,)
        Coordinates of the first vector of every row.
    tol : float
        Residual relative to the largest magnitude at which a row leaves.
    n_steps : int
        Steps at most; rows left then are handed back with the residual they have.
    advance : callable
        Told after every step how many rows left.

    Notes
    -----
    Cost per step: one application of M, one to three of N; memory n_steps vectors for every row and about ten more.
    """
    n = len(hessians)
    found = LargestMagnitudes(np.zeros(n), np.full(n, np.inf), np.zeros(n, np.int64))
    negligible = min(SHARE_OF_TOLERANCE * tol, float(np.sqrt(np.finfo(start.dtype).eps)))
    iterations = _Iterations(hessians, start, n_steps, negligible)
    next_check = min(FIRST_CHECK, n_steps)
    while len(iterations.rows) > 0:
        iterations.expand()
        step = iterations.size - 1
        if step < next_check:
            advance(0)
            continue
        next_check = min(step + max(2, step // 5), n_steps)
        values, turned, residuals = iterations.ritz()
        done = np.flatnonzero((residuals <= 0.9 * tol * np.abs(values)) | (step == n_steps))
        if len(done) > 0:
            places = iterations.rows[done]
            found.values[places], found.residuals[places] = iterations.finish(done, values[done], turned[done])
            found.n_steps[places] = step + 1
            iterations.leave(done)
        advance(len(done))
    return found


def _products(left: Rows, right: Rows) -> NDArray[np.float64]:
    """Return the inner products of rows."""
    products: NDArray[np.float64] = np.einsum("kn,kn->k", left, right).astype(np.float64)
    return products


def _roots(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the square roots of numbers that rounding may have made negative."""
    return np.sqrt(np.maximum(squares, 0.0))


def _times(rows: Rows, factors: NDArray[np.float64]) -> Rows:
    product: Rows = rows * factors.astype(rows.dtype)[:, None]
    return product


def _divided(rows: Rows, norms: NDArray[np.float64]) -> Rows:
    """Return rows divided by their norms; zeros where the norm is 0."""
    divisors = norms.astype(rows.dtype)[:, None]
    quotient: Rows = np.divide(rows, divisors, out=np.zeros(rows.shape, rows.dtype), where=divisors != 0.0)
    return quotient
