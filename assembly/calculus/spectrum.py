r"""The density of all eigenvalues of the Hessian: exact where it can be, by stochastic Lanczos quadrature elsewhere."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly import threads
from assembly.calculus import dense, one_hidden_layer
from assembly.calculus.lanczos import quadrature
from assembly.calculus.node_space import NodeSpaceHessian, Vector
from assembly.checks import check_number
from assembly.errors import ConvergenceWarning
from assembly.seeds import generator

MAX_STEPS = 1000


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues with multiplicities, as a discrete measure of total mass n_parameters.

    Attributes
    ----------
    values : ndarray of shape (n_values,), float64
        Eigenvalues, or quadrature nodes, ascending; 0 is among them.
    counts : ndarray of shape (n_values,), float64
        How many eigenvalues each stands for.
    trace, trace_standard_error : float
        Sum of the eigenvalues under this measure and its standard error over the probes; 0 where exact.
    exact : bool
        True if every value is an eigenvalue and every count whole.
    """

    values: NDArray[np.float64]
    counts: NDArray[np.float64]
    trace: float
    trace_standard_error: float
    exact: bool

    def density(self, grid: ArrayLike, width: float) -> NDArray[np.float64]:
        """Return the number of eigenvalues per unit, smoothed by a Gaussian of standard deviation `width`.

        Raises
        ------
        ArgumentError
            If `width` is not positive.
        """
        sigma = check_number("width", width, above=0.0)
        offsets = (np.asarray(grid, dtype=float)[..., None] - self.values) / sigma
        bumps = np.exp(-0.5 * offsets**2) / (np.sqrt(2.0 * np.pi) * sigma)
        return np.asarray(bumps @ self.counts, dtype=np.float64)


def spectrum(hessian: NodeSpaceHessian, n_probes: int, n_steps: int, seed: int) -> Spectrum:
    """Return the spectrum: closed form for one hidden layer, dense for small networks, else estimated."""
    n_parameters = hessian.program.n_parameters
    if one_hidden_layer.applies_to(hessian.program, hessian.curvature):
        return _exact(one_hidden_layer.eigenvalues(hessian)[0], n_parameters)
    if hessian.size <= dense.LARGEST_SIZE:
        return _exact(dense.eigenpairs(hessian)[0], n_parameters)
    with threads.one_blas_thread():
        probes = [_quadrature(hessian, n_steps, generator(seed, "spectrum", probe)) for probe in range(n_probes)]
    traces = [float(counts @ values) for values, counts in probes]
    values = np.concatenate([values for values, _ in probes])
    counts = np.concatenate([counts for _, counts in probes]) / n_probes
    values, counts = np.append(values, 0.0), np.append(counts, n_parameters - counts.sum())
    order = np.argsort(values, kind="stable")
    error = float(np.std(traces, ddof=1) / np.sqrt(n_probes)) if n_probes > 1 else float("nan")
    return Spectrum(values[order], counts[order], float(np.mean(traces)), error, exact=False)


def _exact(values: NDArray[np.float64], n_parameters: int) -> Spectrum:
    values = values[values != 0.0][:n_parameters]
    counts = np.append(np.ones(len(values)), n_parameters - len(values))
    values = np.append(values, 0.0)
    order = np.argsort(values, kind="stable")
    return Spectrum(values[order], counts[order], float(values.sum()), 0.0, exact=True)


def _quadrature(
    hessian: NodeSpaceHessian, n_steps: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Quadrature nodes and counts of one probe v, projected to the range of Z^T: c = N^+ Z v.

    v is uniform on the sphere of radius sqrt(n_parameters), so that no projection counts more than n_parameters.
    """
    probe = rng.standard_normal(hessian.program.n_parameters, dtype=hessian.dtype.type)
    probe *= np.sqrt(len(probe)) / np.linalg.norm(probe)
    start = _solve_gram(hessian, hessian.Z(probe))
    return quadrature(hessian.M, hessian.N, hessian.diagonal(), start, n_steps)


def _solve_gram(hessian: NodeSpaceHessian, right: Vector) -> Vector:
    """Solve N c = right for a right side in the range of N, by conjugate gradients scaled by the diagonal of N."""
    diagonal = hessian.diagonal()
    inverse = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0.0)
    c, rest = np.zeros_like(right), right.copy()
    scaled = inverse * rest
    step, square = scaled.copy(), float(rest @ scaled)
    target = square * float(np.finfo(hessian.dtype).eps)
    for _ in range(MAX_STEPS):
        if square <= target:
            return c
        image = hessian.N(step)
        length = square / float(step @ image)
        c += length * step
        rest -= length * image
        scaled = inverse * rest
        previous, square = square, float(rest @ scaled)
        step = scaled + (square / previous) * step
    warnings.warn(
        f"not converged after {MAX_STEPS} steps: the projection of a probe; the spectrum is less exact than its error",
        ConvergenceWarning,
        stacklevel=2,
    )
    return c
