"""PyTorch in its best form: torch.func's jvp of grad over a tuple of weight matrices, as it is and compiled."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.func import grad, jvp

from speed import networks, three_term, training
from speed.sides.functions import value_of

Run = Callable[[], dict[str, Any]]


class Ops:
    """What the layers are written with."""

    tanh = staticmethod(torch.tanh)

    @staticmethod
    def convolve(a: Any, w: Any) -> Any:
        return torch.nn.functional.conv2d(a[None], w, padding="same")[0]

    @staticmethod
    def rows(w: Any, a: Any, structure: Any) -> Any:
        sources, targets, factor = structure
        if targets is None:
            return factor * (w.reshape(sources.shape) * a[sources]).sum(1)
        return factor * torch.zeros_like(factor).index_add(0, targets, w * a[sources])


class Opened:
    """A network with the weights of a folder."""

    def __init__(self, folder: Path) -> None:
        network = networks.read(folder)
        self.weights = tuple(torch.from_numpy(w) for w in networks.read_weights(folder))
        self.X = torch.from_numpy(networks.read_inputs(folder))
        self.x = self.X[0]
        parents = [_structure(one, self.x.dtype) for one in networks.read_parents(folder)]
        self.value = value_of(network.kind, Ops, parents)

    def product(self, weights: Any, x: Any, v: Any) -> Any:
        """Return H v."""
        return jvp(lambda w: grad(self.value)(w, x), (weights,), (v,))[1]

    def direction(self) -> tuple[Any, ...]:
        """Return the direction that all sides apply the Hessian to."""
        dtype = self.weights[0].numpy().dtype
        flat = networks.direction([(w.numel(),) for w in self.weights], dtype)
        return tuple(torch.from_numpy(part.reshape(w.shape)) for part, w in zip(flat, self.weights, strict=True))

    def start(self) -> tuple[Any, ...]:
        """Return a random direction of length 1."""
        parts = self.direction()
        length = math.sqrt(sum(float(torch.vdot(part.ravel(), part.ravel())) for part in parts))
        return tuple(part / length for part in parts)


def _structure(parents: Any, dtype: Any) -> Any:
    if parents is None:
        return None
    sources, indptr = parents
    degrees = np.diff(indptr)
    factor = torch.from_numpy(1.0 / np.sqrt(degrees)).to(dtype)
    sources = torch.from_numpy(sources).long()
    if (degrees == degrees[0]).all():
        return sources.reshape(len(degrees), -1), None, factor
    return sources, torch.from_numpy(np.repeat(np.arange(len(degrees)), degrees)), factor


def _flat(parts: Any) -> Any:
    return np.concatenate([part.detach().numpy().ravel() for part in parts])


def _compiled(function: Callable[..., Any], is_compiled: bool) -> Callable[..., Any]:
    return torch.compile(function, dynamic=False) if is_compiled else function


def gradient(folder: Path, tol: float) -> Run:
    """Return the gradient by autograd."""
    one = Opened(folder)
    leaves = [w.requires_grad_() for w in one.weights]

    def run() -> dict[str, Any]:
        found = torch.autograd.grad(one.value(leaves, one.x), leaves)
        return {"after": lambda: {"value": _flat(found)}}

    return run


def product(folder: Path, tol: float, compiled: bool = False) -> Run:
    """Return jvp of grad."""
    one = Opened(folder)
    v, function = one.direction(), _compiled(one.product, compiled)
    function(one.weights, one.x, v)

    def run() -> dict[str, Any]:
        found = function(one.weights, one.x, v)
        return {"after": lambda: {"value": _flat(found)}}

    return run


def double_backward(folder: Path, tol: float) -> Run:
    """Return H v by a double backward."""
    one = Opened(folder)
    v, leaves = one.direction(), [w.requires_grad_() for w in one.weights]

    def run() -> dict[str, Any]:
        slopes = torch.autograd.grad(one.value(leaves, one.x), leaves, create_graph=True)
        along = sum((slope * part).sum() for slope, part in zip(slopes, v, strict=True))
        found = torch.autograd.grad(along, leaves)
        return {"after": lambda: {"value": _flat(found)}}

    return run


class Lanczos:
    """The parts of three-term Lanczos, its steps compiled if asked for."""

    def __init__(self, one: Opened, compiled: bool) -> None:
        def first(weights: Any, x: Any, v: Any) -> Any:
            return _normalised(one.product(weights, x, v), v)

        def following(weights: Any, x: Any, v: Any, previous: Any, beta: Any) -> Any:
            w = one.product(weights, x, v)
            return _normalised(tuple(a - beta * b for a, b in zip(w, previous, strict=True)), v)

        self.one, self.begin = one, one.start()
        self.first, self.following = _compiled(first, compiled), _compiled(following, compiled)
        with torch.no_grad():
            v, _, beta = self.step(one.x, self.begin, None, 0.0)
            self.step(one.x, v, self.begin, float(beta))

    def step(self, x: Any, v: Any, previous: Any, beta: float) -> Any:
        """Return the next vector, alpha and beta."""
        if previous is None:
            return self.first(self.one.weights, x, v)
        return self.following(self.one.weights, x, v, previous, torch.tensor(beta, dtype=x.dtype))

    def residual(self, x: Any, vector: Any, value: float) -> float:
        """Return the relative residual of a pair."""
        image = self.one.product(self.one.weights, x, tuple(vector))
        squares = sum(float(((a - value * b) ** 2).sum()) for a, b in zip(image, vector, strict=True))
        length = sum(float((b**2).sum()) for b in vector)
        return math.sqrt(squares / length) / abs(value)

    def norm(self, x: Any, tol: float, keep: bool) -> dict[str, Any]:
        """Return the norm at one input."""
        with torch.no_grad():
            return three_term.iterate(
                lambda: self.begin,
                lambda v, previous, beta: self.step(x, v, previous, beta),
                _add,
                lambda vector, value: self.residual(x, vector, value),
                tol,
                keep,
            )


def _add(total: Any, coefficient: float, v: Any) -> Any:
    if total is None:
        return [coefficient * part for part in v]
    for old, part in zip(total, v, strict=True):
        old.add_(part, alpha=coefficient)
    return total


def _normalised(w: Any, v: Any) -> Any:
    alpha = sum((a * b).sum() for a, b in zip(w, v, strict=True))
    w = tuple(a - alpha * b for a, b in zip(w, v, strict=True))
    length = torch.sqrt(sum((a * a).sum() for a in w))
    return tuple(a / length for a in w), alpha, length


def lanczos(folder: Path, tol: float, compiled: bool = False, keep: bool = False) -> Run:
    """Return three-term Lanczos at one input, the final residual verified."""
    parts = Lanczos(Opened(folder), compiled)
    return lambda: parts.norm(parts.one.x, tol, keep)


def norms_one_by_one(folder: Path, tol: float, compiled: bool = False) -> Run:
    """Return three-term Lanczos at every input, one after the other."""
    parts = Lanczos(Opened(folder), compiled)

    def run() -> dict[str, Any]:
        found = [parts.norm(x, tol, False) for x in parts.one.X]
        worst = max(found, key=lambda answer: answer["residual"])
        return worst | {"value": np.array([answer["value"] for answer in found])}

    return run


def kernel(folder: Path, tol: float) -> Run:
    """Return the tangent kernel layer by layer, hand-written."""
    one = Opened(folder)

    def run() -> dict[str, Any]:
        activations = [one.X]
        for w in one.weights[:-1]:
            activations.append(torch.tanh(activations[-1] @ w.T / math.sqrt(w.shape[1])))
        b = torch.ones((len(one.X), 1), dtype=one.X.dtype)
        total = torch.zeros((len(one.X), len(one.X)), dtype=one.X.dtype)
        for layer in range(len(one.weights) - 1, -1, -1):
            w, a = one.weights[layer], activations[layer]
            total += (b @ b.T) * (a @ a.T) / w.shape[1]
            if layer:
                b = (b @ w) / math.sqrt(w.shape[1]) * (1.0 - a * a)
        return {"value": total.numpy()}

    return run


def gram(folder: Path, tol: float) -> Run:
    """Return the Gram matrix of all neurons of the last hidden layer by its recursion, hand-written."""
    one = Opened(folder)

    def run() -> dict[str, Any]:
        a, below = one.x, None
        for w in one.weights[:-1]:
            z = (w @ a) / math.sqrt(w.shape[1])
            inner = torch.zeros((len(z), len(z)), dtype=a.dtype) if below is None else w @ below @ w.T
            inner.diagonal().add_(float(torch.dot(a, a)))
            a = torch.tanh(z)
            slope = 1.0 - a * a
            below = inner.mul_(slope[:, None]).mul_(slope).div_(w.shape[1])
        return {"value": below.numpy()}

    return run


def train(folder: Path, tol: float) -> Run:
    """Return the outputs after 200 steps of autograd and SGD."""
    one = Opened(folder)
    y = torch.from_numpy(training.targets(one.X.numpy()))

    def run() -> dict[str, Any]:
        weights = [w.clone().requires_grad_() for w in one.weights]
        move = torch.optim.SGD(weights, lr=training.step_size(one.X))
        for number in range(training.N_STEPS + 1):
            a = one.X
            for w in weights[:-1]:
                a = torch.tanh(a @ w.T / math.sqrt(w.shape[1]))
            outputs = (a @ weights[-1].T / math.sqrt(weights[-1].shape[1]))[:, 0]
            if number < training.N_STEPS:
                move.zero_grad()
                (0.5 * ((outputs - y) ** 2).sum()).backward()
                move.step()
        return {"value": outputs.detach().numpy()}

    return run
