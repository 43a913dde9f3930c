r"""The largest :math:`|\lambda|` of many operators :math:`Z_i^T M_i Z_i` by Lanczos iterations in lockstep.

As `assembly.calculus.lanczos`, a row of every matrix for one operator: all take their steps together, so that an
application is a matrix product, and a row leaves when its residual, computed anew with one application, is small
enough. Rows start from one vector, so that what is found for a row does not depend on the others. Three terms, without
re-orthogonalisation and restarts: directions come back only after one of them has converged, which is when a row
leaves. A row that does not get there is handed back with the residual it has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assembly.calculus.lanczos import check_scale
from assembly.calculus.lockstep_space import LockstepHessians, Rows
from assembly.calculus.tridiagonal import largest_and_residual

FIRST_CHECK = 4


@dataclass(frozen=True, eq=False)
class TopPairs:
    r"""What was found, one entry for every operator.

    Attributes
    ----------
    values : ndarray of shape (n,), float64
        The :math:`\lambda` of largest magnitude.
    residuals : ndarray of shape (n,), float64
        ``|H v - lambda v| / |lambda|`` of the unit vector v, computed anew with one application.
    n_steps : ndarray of shape (n,), int64
        Applications of M.
    coordinates : ndarray of shape (n, size) or None
        Those of the unit eigenvectors ``Z^T c``, if they were asked for.
    """

    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    n_steps: NDArray[np.int64]
    coordinates: Rows | None


class _Iterations:
    """Krylov spaces with the tridiagonal matrices of M N in them, a row for every operator that is left.

    `vectors` holds, for every step, the rows it was taken with and their N-normalised vectors; `image` is N times the
    newest. Where a Krylov space is exhausted, further vectors are 0.
    """

    def __init__(self, hessians: LockstepHessians, start: Rows) -> None:
        self.hessians = hessians
        self.rows = np.arange(len(hessians))
        self.eps = float(np.finfo(start.dtype).eps)
        self.noise = hessians.diagonal()
        self.noise *= self.eps
        vectors = np.tile(start, (len(hessians), 1))
        image = hessians.N(vectors)
        norm = _roots(_products(vectors, image))
        self.newest, self.image = _divided(vectors, norm), _divided(image, norm)
        self.previous = np.zeros_like(self.newest)
        self.vectors = [(self.rows, self.newest)]
        self.diagonal, self.beside = np.zeros((2, len(hessians), 0))
        self.scale = np.zeros(len(hessians))

    @property
    def n_steps(self) -> int:
        """Steps taken."""
        return int(self.diagonal.shape[1])

    def expand(self) -> None:
        """Apply the operators to the newest vectors and append what is new, normalised."""
        u = self._apply()
        alpha = _products(self.image, u)
        u -= _times(self.newest, alpha)
        if self.n_steps > 0:
            u -= _times(self.previous, self.beside[:, -1])
        image = self.hessians.N(u)
        beta = _roots(_products(u, image))
        self.diagonal = np.column_stack([self.diagonal, alpha])
        known = np.maximum(np.abs(self.diagonal).max(axis=1), self.beside.max(axis=1, initial=0.0))
        noise = _roots(np.einsum("kn,kn,kn->k", u, self.noise, u))
        beta[beta <= 4.0 * np.maximum(noise, np.sqrt(self.eps) * known)] = 0.0
        self.beside = np.column_stack([self.beside, beta])
        self.previous, self.newest, self.image = self.newest, _divided(u, beta), _divided(image, beta)
        self.vectors.append((self.rows, self.newest))

    def _apply(self) -> Rows:
        """Return M N of the newest vectors, divided by a power of two of every row so that squares stay in range."""
        u = self.hessians.M(self.image)
        if self.n_steps == 0:
            large, small = np.abs(u).max(axis=1), np.abs(self.newest).max(axis=1)
            known = (large > 0.0) & (small > 0.0)
            ratios = np.where(known, large, 1.0).astype(np.float64) / np.where(known, small, 1.0)
            for ratio in ratios:
                check_scale(float(ratio), u.dtype)
            self.scale = np.exp2(np.round(np.log2(ratios))).astype(np.float64)
        u /= self.scale.astype(u.dtype)[:, None]
        return u

    def ritz(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the Ritz value of largest magnitude of every row, its vector in the basis, and its residual.

        The residual is that of the pair at the other end as long as that may be the larger one.
        """
        values, residuals = np.zeros((2, len(self.rows)))
        turned = np.zeros(self.diagonal.shape)
        for i, (diagonal, beside) in enumerate(zip(self.diagonal, self.beside, strict=True)):
            (values[i], turned[i]), residuals[i] = largest_and_residual(diagonal, beside[:-1], beside[-1])
        return values, turned, residuals

    def finish(
        self, done: NDArray[np.int64], values: NDArray[np.float64], turned: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], Rows]:
        """Return values, true residuals and coordinates of some rows, from one application more."""
        hessians, names = self.hessians.take(done), self.rows[done]
        coordinates = np.zeros((len(done), hessians.size), self.image.dtype)
        for y, (rows, vectors) in zip(turned.T, self.vectors, strict=False):
            coordinates += _times(vectors[np.searchsorted(rows, names)], y)
        image = hessians.N(coordinates)
        rest = _divided(hessians.M(image), self.scale[done]) - _times(coordinates, values)
        noise = np.einsum("kn,kn,kn->k", rest, self.noise[done], rest)  # what N may hide by rounding
        wrong = _roots(np.maximum(_products(rest, hessians.N(rest)), 0.0) + noise)
        length = _roots(_products(coordinates, image))
        size = np.abs(values) * length
        residuals = np.divide(wrong, size, out=wrong, where=size > 0.0)
        return values * self.scale[done], residuals, _divided(coordinates, length)

    def leave(self, done: NDArray[np.int64]) -> None:
        """Forget some rows."""
        kept = np.delete(np.arange(len(self.rows)), done)
        self.rows, self.scale = self.rows[kept], self.scale[kept]
        self.diagonal, self.beside = self.diagonal[kept], self.beside[kept]
        self.previous, self.newest = self.previous[kept], self.newest[kept]
        self.image, self.noise = self.image[kept], self.noise[kept]
        self.hessians = self.hessians.take(kept)


def top_pairs(
    hessians: LockstepHessians,
    start: Rows,
    *,
    tol: float,
    n_steps: int,
    advance: Callable[[int], None],
    with_coordinates: bool,
) -> TopPairs:
    """Return the eigenvalue of largest magnitude of every operator, and its eigenvector.

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
    with_coordinates : bool
        Whether to return the eigenvectors.

    Notes
    -----
    Cost per step: one application each of M and N; memory a vector for every row and step, and about ten more.
    """
    n = len(hessians)
    coordinates = np.zeros((n, hessians.size), start.dtype) if with_coordinates else None
    found = TopPairs(np.zeros(n), np.full(n, np.inf), np.zeros(n, np.int64), coordinates)
    iterations = _Iterations(hessians, start)
    next_check = min(FIRST_CHECK, n_steps)
    while True:
        iterations.expand()
        step = iterations.n_steps
        if step < next_check:
            advance(0)
            continue
        next_check = min(step + max(2, step // 5), n_steps)
        values, turned, residuals = iterations.ritz()
        done = np.flatnonzero((residuals <= 0.9 * tol * np.abs(values)) | (step == n_steps))
        if len(done) > 0:
            places = iterations.rows[done]
            found.values[places], found.residuals[places], vectors = iterations.finish(done, values[done], turned[done])
            if coordinates is not None:
                coordinates[places] = vectors
            found.n_steps[places] = step + 1
            if len(done) == len(iterations.rows):
                advance(len(done))
                return found
            iterations.leave(done)
        advance(len(done))


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
    """Return rows divided by their norms, in their place; zeros where the norm is 0."""
    rows /= np.where(norms > 0.0, norms, np.inf).astype(rows.dtype)[:, None]
    return rows
