"""The Hessian as a scipy LinearOperator with norm, extreme eigenpairs and spectrum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from assembly import threads
from assembly.calculus import dense, one_hidden_layer
from assembly.calculus.lanczos import WORKING_VECTORS, Eigenpairs, extreme_eigenpairs, relative_residuals
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.calculus.spectrum import Spectrum, spectrum
from assembly.checks import check_count, check_finite, check_number, check_vector
from assembly.errors import ArgumentError, NonFiniteError
from assembly.estimate import Estimate
from assembly.memory import check_fits
from assembly.seeds import generator

BASIS_SIZE = 120  # Lanczos vectors before a thick restart,
SMALLEST_BASIS_SIZE = 20  # fewer where the whole iteration would take
BASIS_BYTES = 10**9  # more memory than this
RANDOM_SHARE = 0.3  # of a first vector that is known to be good


class Hessian(LinearOperator):
    r"""Hessian of one output at one input in the parameters, exact: :math:`H = Z^T M Z`.

    A scipy LinearOperator of shape (n_parameters, n_parameters); ``H @ v`` costs four passes over as many
    numbers. Norm, eigenvalues and spectrum run in node space, at most two passes per step, and hold no vector of
    n_parameters.

    Attributes
    ----------
    node_space : NodeSpaceHessian
        The maps Z, M and N.
    """

    def __init__(self, node_space: NodeSpaceHessian) -> None:
        self.node_space = node_space
        n = node_space.program.n_parameters
        super().__init__(dtype=node_space.dtype, shape=(n, n))  # type: ignore[call-arg, unused-ignore]

    def _matvec(self, v: NDArray[Any]) -> NDArray[Any]:
        if np.iscomplexobj(v):
            raise ArgumentError("The Hessian acts on real vectors. Got complex numbers: apply it to both parts.")
        direction = np.ascontiguousarray(np.ravel(v), dtype=self.dtype)
        space = self.node_space
        with np.errstate(over="ignore", invalid="ignore"):  # found below
            at_nodes = space.Z(direction)
            if not np.isfinite(at_nodes).all():  # every entry of v is in a sum: one that is not finite shows
                check_finite("v", direction)
            tangents = space.M(at_nodes)
        if not np.isfinite(tangents).all():
            raise NonFiniteError(f"The product of the Hessian with v overflows {self.dtype}: scale v down.")
        return space.Z_transposed(tangents)

    def _adjoint(self) -> Hessian:
        return self

    def norm(
        self, tol: float = 1e-6, *, max_steps: int = 1000, seed: int = 0, start: NDArray[Any] | None = None
    ) -> Estimate:
        r"""Return the spectral norm, the largest :math:`|\lambda|`.

        Parameters
        ----------
        tol : float
            Residual ``|H v - lambda v| / |lambda|`` to reach; the relative error of the eigenvalue is of the order of
            its square, over the relative gap to the next. That it is the largest rests on the random start, and on the
            other end of the spectrum being known well enough.
        max_steps : int
            Lanczos steps at most; each residual takes one application more.
        seed : int
            Of the random start.
        start : ndarray of shape (node_space.size,), optional
            Node coordinates near those of the eigenvector, for example of `top_pair` at parameters nearby; a random
            vector of 0.3 times its norm is added. Saves a fifth to a third of the steps where the parameters have
            moved by 0.1 or less.

        Returns
        -------
        Estimate
            Value, relative residual, whether `tol` was reached, and steps. With one hidden layer and a linear output
            the closed form is used: residual and steps are 0.

        Raises
        ------
        ArgumentError
            If `tol` is not between 0 and 1 or `max_steps` not a whole number of at least 1.
        ShapeError, NonFiniteError
            If `start` is no finite vector of that length.
        ResourceError
            If the vectors of the iteration do not fit in the memory that is free.

        Notes
        -----
        Cost per step: two passes over the weights above the first layer, one over those into the last hidden layer
        where the outputs are linear, one or two over the structure of sparse connections; memory up to 130 vectors of
        2 n_nodes numbers, fewer where they would take more than 1 GB, at least 30.
        """
        if self.shape[0] == 0:
            return Estimate(0.0, 0.0, True, 0)
        pairs = self._pairs(1, tol, max_steps, seed, start)
        return Estimate(abs(float(pairs.values[0])), float(pairs.residuals[0]), pairs.converged, pairs.n_steps)

    def eigenvalues(self, k: int = 6, tol: float = 1e-6, *, max_steps: int = 1000, seed: int = 0) -> Estimate:
        """Return the k eigenvalues of largest magnitude, largest first, with a residual for each.

        Up to 600 node coordinates, and with one hidden layer, they come from dense linear algebra or a closed form and
        repeated ones are repeated. Beyond, a repeated eigenvalue is listed at least once, not with its multiplicity.
        What the steps did not suffice for is NaN.

        Raises
        ------
        ArgumentError
            If `k` exceeds n_parameters, or `tol` or `max_steps` is out of range.
        """
        pairs = self._pairs(self._check_k(k), tol, max_steps, seed)
        return Estimate(pairs.values, pairs.residuals, pairs.converged, pairs.n_steps)

    def eigenvectors(self, k: int = 1, tol: float = 1e-6, *, max_steps: int = 1000, seed: int = 0) -> NDArray[Any]:
        """Return unit eigenvectors to `eigenvalues`, shape (k, n_parameters); a row of zeros to an eigenvalue 0.

        Warns
        -----
        ConvergenceWarning
            If the residuals are above `tol`.
        """
        pairs = self._pairs(self._check_k(k), tol, max_steps, seed)
        np.asarray(Estimate(pairs.values, pairs.residuals, pairs.converged, pairs.n_steps))
        return np.stack([self.node_space.Z_transposed(vector) for vector in pairs.coordinates])

    def top_pair(
        self, tol: float = 1e-6, *, max_steps: int = 1000, seed: int = 0, start: NDArray[Any] | None = None
    ) -> tuple[Estimate, NDArray[Any]]:
        """Return the eigenvalue of largest magnitude, signed, and its unit vector in node coordinates (s, t).

        Parameters and errors as `norm`.
        """
        pairs = self._pairs(1, tol, max_steps, seed, start)
        value = Estimate(float(pairs.values[0]), float(pairs.residuals[0]), pairs.converged, pairs.n_steps)
        return value, pairs.coordinates[0]

    def spectrum(self, *, n_probes: int = 10, n_steps: int = 80, seed: int = 0) -> Spectrum:
        """Return all eigenvalues as a measure: exact for one hidden layer and up to 600 node coordinates.

        Elsewhere by stochastic Lanczos quadrature: `n_probes` probes, uniform on a sphere, of `n_steps` steps. Each
        draws n_parameters random numbers once; the iteration stays in node space.
        """
        probes, steps = check_count("n_probes", n_probes), check_count("n_steps", n_steps)
        return spectrum(self.node_space, probes, steps, seed)

    def _basis_size(self, k: int, max_steps: int) -> int:
        """Return how many Lanczos vectors to keep, so that the iteration stays within its memory if it can."""
        vector_bytes = self.node_space.size * self.dtype.itemsize
        affordable = BASIS_BYTES // vector_bytes - WORKING_VECTORS
        basis_size = max(min(BASIS_SIZE, affordable), SMALLEST_BASIS_SIZE, 4 * k)
        n_bytes = (min(basis_size, max_steps) + WORKING_VECTORS) * vector_bytes
        what = f"An eigenvalue iteration on {self.node_space.size:,} node coordinates"
        check_fits(what, n_bytes, "use fewer neurons, fewer eigenvalues or dtype float32")
        return basis_size

    def _check_k(self, k: int) -> int:
        if check_count("k", k) > self.shape[0]:
            raise ArgumentError(f"The 'k' argument must be at most n_parameters = {self.shape[0]}. Got {k}.")
        return k

    def _towards(self, start: NDArray[Any], random: NDArray[Any]) -> NDArray[Any]:
        """Return a first vector: `start`, and so much of a random one that no eigenvector is missing."""
        start = check_vector("start", start, self.node_space.size, self.dtype)
        norms = [math.sqrt(max(float(vector @ self.node_space.N(vector)), 0.0)) for vector in (start, random)]
        if min(norms) == 0.0:
            return random
        mixed: NDArray[Any] = start / norms[0] + RANDOM_SHARE * random / norms[1]
        return mixed.astype(self.dtype)

    def _pairs(self, k: int, tol: float, max_steps: int, seed: int, start: NDArray[Any] | None = None) -> Eigenpairs:
        tol, max_steps = check_number("tol", tol, above=0.0, below=1.0), check_count("max_steps", max_steps)
        space = self.node_space
        if one_hidden_layer.applies_to(space.program, space.curvature):
            values, nodes = one_hidden_layer.eigenvalues(space)
            found = int(np.count_nonzero(values[:k]))
            vectors = [one_hidden_layer.coordinates(space, values[i], nodes[i]) for i in range(found)]
            return _padded(Eigenpairs(values[:found], np.zeros(found), np.array(vectors), True, 0), k, space.size)
        is_small = space.size <= dense.LARGEST_SIZE
        if k > 1 and is_small:
            return self._dense_pairs(k, tol)
        basis_size = self._basis_size(k, max_steps)
        first = generator(seed, "lanczos").standard_normal(space.size).astype(self.dtype)
        if start is not None:
            first = self._towards(start, first)
        with threads.one_blas_thread():
            pairs = extreme_eigenpairs(
                space.M, space.N, space.diagonal(), first, k=k, tol=tol, max_steps=max_steps, basis_size=basis_size
            )
        if is_small and not pairs.converged and pairs.n_steps - k < max_steps:  # rounding ended it: N is rank deficient
            return self._dense_pairs(k, tol)
        return _padded(pairs, k, space.size)

    def _dense_pairs(self, k: int, tol: float) -> Eigenpairs:
        values, coordinates = (found[:k] for found in dense.eigenpairs(self.node_space))
        double = self.node_space.in_double()
        in_range = np.zeros(double.size)  # nothing to hide: dense algebra stays in the range of N
        residuals = relative_residuals(double.M, double.N, in_range, values, coordinates)
        converged = bool((residuals <= tol).all())
        return _padded(Eigenpairs(values, residuals, coordinates, converged, 0), k, self.node_space.size)


def _padded(pairs: Eigenpairs, k: int, size: int) -> Eigenpairs:
    """Fill up to k eigenvalues: with zeros if the others are known to be all, with NaN if the steps ran out."""
    missing = k - len(pairs.values)
    if missing <= 0:
        return pairs
    coordinates = np.zeros((k, size), pairs.coordinates.dtype)
    coordinates[: k - missing] = pairs.coordinates.reshape(-1, size)
    value, residual = (0.0, 0.0) if pairs.converged else (np.nan, np.inf)
    return Eigenpairs(
        np.append(pairs.values, np.full(missing, value)),
        np.append(pairs.residuals, np.full(missing, residual)),
        coordinates,
        pairs.converged,
        pairs.n_steps,
    )
