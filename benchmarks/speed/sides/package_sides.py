"""curvlinops, hessian-eigenthings and PyHessian, called as their users call them; the loss is the output itself."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speed import networks

Run = Callable[[], dict[str, Any]]
HESSIAN_EIGENTHINGS_STEPS = 60  # the user has to choose; its Lanczos does not stop by itself


class Linear(torch.nn.Module):
    """A layer in the NTK parametrisation."""

    def __init__(self, w: Any) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.from_numpy(w))

    def forward(self, a: Any) -> Any:
        return torch.nn.functional.linear(a, self.weight) / math.sqrt(self.weight.shape[1])


class Output(torch.nn.Module):
    """A loss that is the output of the network, whatever the target."""

    reduction = "sum"

    def forward(self, output: Any, target: Any) -> Any:
        return output.sum()


def _opened(folder: Path) -> tuple[Any, Any, Any]:
    weights = networks.read_weights(folder)
    layers: list[Any] = []
    for w in weights:
        layers += [Linear(w), torch.nn.Tanh()]
    X = torch.from_numpy(networks.read_inputs(folder))[:1]
    return torch.nn.Sequential(*layers[:-1]), X, torch.zeros((1, 1), dtype=X.dtype)


def curvlinops(folder: Path, tol: float) -> Run:
    """Return scipy's `eigsh` with `HessianLinearOperator.to_scipy()`."""
    from curvlinops import HessianLinearOperator
    from scipy.sparse.linalg import eigsh

    model, X, y = _opened(folder)
    parameters = [p for p in model.parameters() if p.requires_grad]
    hessian = HessianLinearOperator(model, Output(), parameters, [(X, y)], check_deterministic=False)
    operator, counted = hessian.to_scipy(), [0]
    plain = operator._matvec
    rng = np.random.default_rng(networks.SEED)
    start = rng.standard_normal(operator.shape[0], dtype=X.numpy().dtype)

    def apply(v: Any) -> Any:
        counted[0] += 1
        return plain(v)

    operator._matvec = apply

    def run() -> dict[str, Any]:
        counted[0] = 0
        values, vectors = eigsh(operator, k=1, which="LM", tol=tol, v0=start)
        steps = counted[0]
        return {"value": abs(float(values[0])), "steps": steps, "after": lambda: rest(values[0], vectors[:, 0])}

    def rest(value: float, vector: Any) -> dict[str, Any]:
        return {"residual": float(np.linalg.norm(operator @ vector - value * vector) / abs(value))}

    return run


def hessian_eigenthings(folder: Path, tol: float) -> Run:
    """Return its Lanczos, with as many steps as are chosen beforehand."""
    from hessian_eigenthings import HessianOperator, lanczos, supervised_loss

    model, X, y = _opened(folder)
    operator = HessianOperator(model, [(X, y)], supervised_loss(Output()))
    steps = min(HESSIAN_EIGENTHINGS_STEPS, operator.size)

    def run() -> dict[str, Any]:
        found = lanczos(operator, k=1, max_iter=steps, tol=tol, reorthogonalize=True, seed=networks.SEED)
        value, vector = float(found.eigenvalues[0]), found.eigenvectors[0]
        return {"value": abs(value), "steps": found.iterations, "after": lambda: rest(value, vector)}

    def rest(value: float, vector: Any) -> dict[str, Any]:
        return {"residual": float(torch.linalg.norm(operator.matvec(vector) - value * vector) / abs(value))}

    return run


def pyhessian(folder: Path, tol: float) -> Run:
    """Return its power iteration; it stops on the change of the value, by default at 1e-3."""
    package = importlib.import_module("pyhessian.hessian")  # the package has a class of this name
    model, X, y = _opened(folder)
    torch.set_default_dtype(X.dtype)  # its random vectors have the default dtype
    counted, plain = [0], package.hessian_vector_product

    def counting(*arguments: Any) -> Any:
        counted[0] += 1
        return plain(*arguments)

    package.hessian_vector_product = counting

    def run() -> dict[str, Any]:
        counted[0] = 0
        model.zero_grad()
        found = package.hessian(model, Output(), data=(X, y), cuda=False)
        values, vectors = found.eigenvalues(top_n=1)
        steps = counted[0]
        return {"value": abs(values[0]), "steps": steps, "after": lambda: rest(found, values[0], vectors[0])}

    def rest(found: Any, value: float, vector: Any) -> dict[str, Any]:
        image = plain(found.gradsH, found.params, vector)
        squares = sum(float(((a - value * b) ** 2).sum()) for a, b in zip(image, vector, strict=True))
        return {"residual": math.sqrt(squares) / abs(value)}

    return run
