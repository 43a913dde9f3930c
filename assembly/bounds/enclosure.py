r"""A matrix known up to an error: :math:`A = \tilde A + E` with :math:`|E|_F \le \epsilon`, and the norms it can have.

Products and sums carry the error along, so that what is computed at the centre of a ball is proven as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assembly.bounds.norms import collatz_bound, spectral_norm_bound
from assembly.bounds.rounding import EPSILON, Array, gamma, norm_up, up


@dataclass(frozen=True, eq=False)
class Enclosure:
    """A matrix and the largest Frobenius norm that its error can have.

    Attributes
    ----------
    matrix : ndarray of shape (n, k), float64
    error : float
    """

    matrix: Array
    error: float = 0.0

    @cached_property
    def norm(self) -> float:
        """Proven upper bound of the spectral norm; cost: a Gram matrix and a Cholesky factorisation."""
        if not np.isfinite(self.matrix).all():
            return np.inf
        return up(spectral_norm_bound(self.matrix) + self.error)

    @cached_property
    def size(self) -> float:
        """Upper bound of the Frobenius norm."""
        return up(norm_up(self.matrix) + self.error)

    @cached_property
    def largest(self) -> Array:
        """Upper bound of the largest entry of every row, shape (n,)."""
        sizes: Array = up(np.abs(self.matrix).max(axis=1, initial=0.0) + self.error)
        return sizes

    @cached_property
    def largest_of_columns(self) -> Array:
        """Upper bound of the largest entry of every column, shape (k,)."""
        sizes: Array = up(np.abs(self.matrix).max(axis=0, initial=0.0) + self.error)
        return sizes

    @cached_property
    def rows(self) -> Array:
        """Upper bounds of the lengths of the rows, shape (n,)."""
        lengths: Array = up(norm_up(self.matrix, axis=1) + self.error)
        return lengths

    @cached_property
    def columns(self) -> Array:
        """Upper bounds of the lengths of the columns, shape (k,)."""
        lengths: Array = up(norm_up(self.matrix, axis=0) + self.error)
        return lengths

    @cached_property
    def two_to_four(self) -> float:
        r"""Upper bound of :math:`\sup_{|u|_2 = 1} |A u|_4`, which sees how little of u one row can take.

        With G = A A^T it is at most the fourth root of the norm of the entrywise square of G, since
        ``(A u)_i^2`` is a product of ``u (x) u`` with ``a_i (x) a_i``. Cost: a Gram matrix.
        """
        exponent = int(np.frexp(np.abs(self.matrix).max(initial=0.0))[1])  # fourth powers stand below
        matrix = np.ldexp(self.matrix, -exponent)
        gram = np.abs(matrix @ matrix.T)
        gram = up(gram + gamma(matrix.shape[1]) * float(norm_up(matrix, axis=1).max(initial=0.0)) ** 2)
        return up(float(np.ldexp(np.sqrt(np.sqrt(collatz_bound(gram * gram))), exponent)) + self.error, 4)

    def scaled(self, factors: Array, error: float = 0.0) -> Enclosure:
        """Return ``A diag(d)``, each d off by at most `error`."""
        return Enclosure(self.matrix * factors, self._scaled_error(np.abs(factors).max(initial=0.0), error))

    def weighted(self, factors: Array) -> Enclosure:
        """Return ``diag(d) A`` for exact d."""
        return Enclosure(factors[:, None] * self.matrix, self._scaled_error(np.abs(factors).max(initial=0.0), 0.0))

    def __matmul__(self, other: Enclosure) -> Enclosure:
        lost = gamma(self.matrix.shape[1]) * norm_up(self.matrix) * norm_up(other.matrix)
        error = lost + self.norm * other.error + self.error * other.norm
        return Enclosure(self.matrix @ other.matrix, up(error, 5))

    def __add__(self, other: Enclosure) -> Enclosure:
        total = self.matrix + other.matrix
        return Enclosure(total, up(self.error + other.error + EPSILON * norm_up(total), 3))

    def _scaled_error(self, factor: float, error: float) -> float:
        return up((factor + error) * self.error + (error + EPSILON * factor) * self.size, 5)
