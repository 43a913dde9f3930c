"""The truth about every question, in a process of its own, which first writes the network down.

    python -m speed.truth QUESTION:FOLDER ...

Norms: this package to a residual of 1e-12 in float64, on the same numbers; the peer that comes nearest confirms it.
Vectors and matrices: plain numpy that imports nothing of this package or the peers. Gradients and products in extended
precision where the machine has it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from speed import networks, training

LONG = np.longdouble
EXACT = 1e-12


class Layer:
    """A layer in extended precision: z = W a / sqrt(in-degree), for a matrix or a list of edges."""

    def __init__(self, w: Any, parents: Any) -> None:
        self.w, self.parents = w, parents
        degrees = np.full(w.shape[0], w.shape[1]) if parents is None else np.diff(parents[1])
        self.factor = 1 / np.sqrt(degrees.astype(LONG))

    def forward(self, w: Any, a: Any) -> Any:
        """Return z for some weights of this layer."""
        if self.parents is None:
            return self.factor * np.array([row.astype(LONG) @ a for row in w])
        sources, indptr = self.parents
        return self.factor * np.add.reduceat(w.astype(LONG) * a[sources], indptr[:-1])

    def backward(self, w: Any, b: Any, n_sources: int) -> Any:
        """Return the adjoints below, of adjoints b of z."""
        out = np.zeros(n_sources, LONG)
        scaled = self.factor * b
        if self.parents is None:
            for row, one in zip(w, scaled, strict=True):
                out += one * row.astype(LONG)
            return out
        sources, indptr = self.parents
        np.add.at(out, sources, w.astype(LONG) * np.repeat(scaled, np.diff(indptr)))
        return out

    def outer(self, b: Any, a: Any) -> Any:
        """Return b_v c_v a_u of every edge, flat."""
        scaled = self.factor * b
        if self.parents is None:
            return (scaled[:, None] * a[None, :]).ravel()
        sources, indptr = self.parents
        return np.repeat(scaled, np.diff(indptr)) * a[sources]


def gradient(folder: Path) -> Any:
    """Return the gradient at the first input, by hand."""
    layers, activations, adjoints = _both_ways(folder)
    return _joined(layer.outer(b, a) for layer, b, a in zip(layers, adjoints, activations, strict=False))


def product(folder: Path) -> Any:
    """Return H v at the first input, by hand: the tangent of the gradient along v."""
    layers, a, b = _both_ways(folder)
    dtype = networks.read(folder).dtype
    v = [part.reshape(layer.w.shape) for layer, part in zip(layers, _direction(layers, dtype), strict=True)]
    a_dot = [np.zeros_like(a[0])]
    z_dots = []
    for layer, part, below in zip(layers, v, a[:-1], strict=True):
        z_dots.append(layer.forward(part, below) + layer.forward(layer.w, a_dot[-1]))
        a_dot.append(_slope(a[len(z_dots)]) * z_dots[-1])
    b_dot: list[Any] = [np.zeros(1, LONG)]
    for i in range(len(layers) - 1, 0, -1):
        n = len(a[i])
        above = layers[i].backward(layers[i].w, b[i], n)
        change = layers[i].backward(v[i], b[i], n) + layers[i].backward(layers[i].w, b_dot[0], n)
        b_dot.insert(0, _slope(a[i]) * change - 2 * a[i] * _slope(a[i]) * z_dots[i - 1] * above)
    return _joined(layers[i].outer(b_dot[i], a[i]) + layers[i].outer(b[i], a_dot[i]) for i in range(len(layers)))


def _direction(layers: list[Layer], dtype: str) -> list[Any]:
    return networks.direction([(layer.w.size,) for layer in layers], dtype)


def _both_ways(folder: Path) -> tuple[list[Layer], list[Any], list[Any]]:
    """Return layers, activations of inputs and hidden layers and the output, adjoints of every layer's z."""
    layers = [Layer(*pair) for pair in zip(networks.read_weights(folder), networks.read_parents(folder), strict=True)]
    a = [networks.read_inputs(folder)[0].astype(LONG)]
    for layer in layers:
        a.append(np.tanh(layer.forward(layer.w, a[-1])))
    b: list[Any] = [np.ones(1, LONG)]
    for i in range(len(layers) - 1, 0, -1):
        b.insert(0, _slope(a[i]) * layers[i].backward(layers[i].w, b[0], len(a[i])))
    return layers, a, b


def _slope(a: Any) -> Any:
    return 1 - a * a


def _joined(parts: Any) -> Any:
    return np.concatenate([part.astype(np.float64) for part in parts])


def kernel(folder: Path) -> Any:
    """Return the tangent kernel in float64, layer by layer."""
    weights = [w.astype(np.float64) for w in networks.read_weights(folder)]
    a = [networks.read_inputs(folder).astype(np.float64)]
    for w in weights[:-1]:
        a.append(np.tanh(a[-1] @ w.T / np.sqrt(w.shape[1])))
    b, total = np.ones((len(a[0]), 1)), np.zeros((len(a[0]),) * 2)
    for w, below in zip(weights[::-1], a[::-1], strict=True):
        total += (b @ b.T) * (below @ below.T) / w.shape[1]
        b = b @ w / np.sqrt(w.shape[1]) * _slope(below)
    return total


def gram(folder: Path) -> Any:
    """Return the Gram matrix of the last hidden layer in float64."""
    a, below = networks.read_inputs(folder)[0].astype(np.float64), np.zeros((networks.N_INPUTS,) * 2)
    for w in (w.astype(np.float64) for w in networks.read_weights(folder)[:-1]):
        inner = w @ below @ w.T + (a @ a) * np.eye(len(w))
        a = np.tanh(w @ a / np.sqrt(w.shape[1]))
        below = _slope(a)[:, None] * inner * _slope(a)[None, :] / w.shape[1]
    return below


def norms(folder: Path) -> Any:
    """Return the Hessian norms at all inputs, or of all networks of a study at their first."""
    import assembly as am

    network = networks.read(folder)
    found = []
    for one in network.members if network.kind == "study" else [network]:
        net = networks.assembly_of(one)
        double = am.Assembly.from_graph(net.graph, net.parameters.astype(np.float64))
        found += [double.hessian(x).norm(EXACT).value for x in networks.inputs(one).astype(np.float64)]
    return np.array(found) if len(found) > 1 else found[0]


def trained(folder: Path) -> Any:
    """Return the outputs after training, in float64."""
    weights = [w.astype(np.float64) for w in networks.read_weights(folder)]
    X = networks.read_inputs(folder).astype(np.float64)
    y, eta = training.targets(X), training.step_size(X)
    for number in range(training.N_STEPS + 1):
        a = [X]
        for w in weights[:-1]:
            a.append(np.tanh(a[-1] @ w.T / np.sqrt(w.shape[1])))
        outputs = a[-1] @ weights[-1].T / np.sqrt(weights[-1].shape[1])
        if number == training.N_STEPS:
            return outputs[:, 0]
        b, slopes = outputs - y[:, None], []
        for w, below in zip(weights[::-1], a[::-1], strict=True):
            slopes.append(b.T @ below / np.sqrt(w.shape[1]))
            b = b @ w / np.sqrt(w.shape[1]) * _slope(below)
        weights = [w - eta * slope for w, slope in zip(weights, slopes[::-1], strict=True)]
    raise AssertionError


TRUTHS: dict[str, Callable[[Path], Any]] = {
    "gradient": gradient,
    "product": product,
    "kernel": kernel,
    "gram": gram,
    "trained": trained,
    "norms": norms,
}


def main() -> None:
    """Write the networks and their small ones, then the truth about the questions named on the command line."""
    for argument in sys.argv[1:]:
        question, _, name = argument.partition(":")
        folder = Path(name)
        network = networks.read(folder)
        networks.write(network.small, folder / "small")
        if question:
            networks.write(network, folder)
            np.save(folder / "truth.npy", TRUTHS[question](folder))


if __name__ == "__main__":
    main()
