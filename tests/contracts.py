"""What every sub-model must do, whatever it is made of: one check each against the naive twin."""

from __future__ import annotations

from typing import Any

import numpy as np

import naive


def error(found, wanted) -> float:
    """Return the largest error of an entry, relative to the largest entry wanted (absolute if all are 0)."""
    found, wanted = np.asarray(found, dtype=float), np.asarray(wanted, dtype=float)
    assert found.shape == wanted.shape, f"shape {found.shape}, not {wanted.shape}"
    if wanted.size == 0:
        return 0.0
    return float(np.abs(found - wanted).max() / (np.abs(wanted).max() or 1.0))


def rounding(sub_model: Any, float64: float, float32: float = 2e-5) -> float:
    """Return the tolerance that belongs to the dtype of a sub-model."""
    return float64 if sub_model.parameters.dtype == np.float64 else float32


def chosen(output: int) -> dict[str, int]:
    """Return the keyword of an output; a neuron has one output and takes none."""
    return {"output": output} if output else {}


def check_value(sub_model: Any, network: naive.Network, x) -> None:
    wanted = naive.value(network, sub_model.parameters.astype(float), x)
    for value in (sub_model.value(x), sub_model(x)):
        assert np.atleast_1d(value).shape == wanted.shape
        assert np.abs(value - wanted).max() < rounding(sub_model, 1e-14) * max(1.0, np.abs(wanted).max())


def check_parameter_order(sub_model: Any, network: naive.Network, x) -> None:
    """Move one parameter at a time: the value moves as the twin says."""
    assert sub_model.parameters.shape == (network.n_parameters,)
    moved = sub_model.parameters + 0.5 * np.eye(network.n_parameters)
    found = [np.atleast_1d(sub_model.with_parameters(w)(x)) for w in moved]
    assert error(found, [naive.value(network, w, x) for w in moved]) < rounding(sub_model, 1e-13)


def check_gradient(sub_model: Any, network: naive.Network, x, output: int = 0) -> None:
    wanted = naive.gradient(network, sub_model.parameters.astype(float), x, output)
    assert error(sub_model.gradient(x, **chosen(output)), wanted) < rounding(sub_model, 1e-13)


def check_hessian(sub_model: Any, network: naive.Network, x, output: int = 0, wanted=None, tolerance=1e-8) -> None:
    """Every entry, symmetry and linearity; `wanted` is the finite difference of the twin's gradients by default."""
    H = sub_model.hessian(x, **chosen(output))
    n = network.n_parameters
    assert H.shape == (n, n)
    if n == 0:
        return
    rng = np.random.default_rng(n)
    u, v = rng.normal(size=(2, n)).astype(H.dtype)
    Hu, Hv = H @ u, H @ v
    scale = np.linalg.norm(u) * np.linalg.norm(v) * (float(H.norm()) + 1e-300)
    tight = rounding(sub_model, 1e-13)
    assert abs(u @ Hv - v @ Hu) < tight * scale
    assert np.linalg.norm(H @ (2.0 * u - 3.0 * v).astype(H.dtype) - (2.0 * Hu - 3.0 * Hv)) < 10 * tight * scale
    if wanted is None:
        wanted = naive.hessian(network, sub_model.parameters.astype(float), x, output)
    assert error(H @ np.eye(n, dtype=H.dtype), wanted) < rounding(sub_model, tolerance, 1e-4)


def check_eigenvalues(sub_model: Any, x, wanted, output: int = 0) -> None:
    """Norm, list of eigenvalues and eigenvectors against the dense matrix `wanted`."""
    H = sub_model.hessian(x, **chosen(output))
    truth = naive.eigenvalues(wanted)
    tolerance = rounding(sub_model, 1e-8, 1e-4)
    top = abs(truth[0]) if len(truth) else 0.0
    norm = H.norm(tol=rounding(sub_model, 1e-6, 1e-4))
    assert norm.converged
    assert abs(norm.value - top) <= tolerance * top
    if len(truth) == 0 or H.dtype != np.float64:
        return
    listed = H.eigenvalues(k=len(truth))
    assert listed.converged
    assert np.all(np.diff(np.abs(listed.value)) <= 1e-13 * top)
    assert error(np.sort(listed.value), np.sort(truth)) < tolerance
    k = min(3, len(truth))
    values, vectors = H.eigenvalues(k).value, H.eigenvectors(k)
    real = np.abs(values) > 1e-12 * top
    assert error(vectors[real] @ vectors[real].T, np.eye(int(real.sum()))) < 1e-7
    for value, vector in zip(values[real], vectors[real], strict=True):
        assert np.linalg.norm(wanted @ vector - value * vector) <= 1e-7 * top


def check_spectrum(sub_model: Any, x, wanted, output: int = 0) -> None:
    """Mass, trace and second moment of the exact spectrum."""
    spectrum = sub_model.hessian(x, **chosen(output)).spectrum()
    scale = np.linalg.norm(wanted) or 1.0
    tolerance = rounding(sub_model, 1e-9, 1e-4)
    assert spectrum.exact
    assert spectrum.counts.sum() == len(wanted)
    assert spectrum.trace_standard_error == 0.0
    assert abs(spectrum.trace - np.trace(wanted)) < tolerance * scale
    assert abs(np.sqrt(spectrum.counts @ spectrum.values**2) - np.linalg.norm(wanted)) < tolerance * scale


def check_tangent_kernel(assembly: Any, network: naive.Network, X, Z=None) -> None:
    """K = J J^T with one row of J per sample and output."""
    w, tolerance = assembly.parameters.astype(float), rounding(assembly, 1e-13)
    left = np.array([naive.jacobian(network, w, x) for x in X])
    right = left if Z is None else np.array([naive.jacobian(network, w, z) for z in Z])
    wanted = np.einsum("ikp,jlp->ijkl", left, right)
    assert error(assembly.tangent_kernel(X, Z), wanted[:, :, 0, 0] if assembly.n_outputs == 1 else wanted) < tolerance
