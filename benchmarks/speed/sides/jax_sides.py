"""JAX in its best form: jitted jvp of grad over a list of weight matrices, never a flat vector inside."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from speed import networks, three_term, training
from speed.sides.functions import value_of

jax.config.update("jax_enable_x64", True)
Run = Callable[[], dict[str, Any]]


class Ops:
    """What the layers are written with."""

    tanh = staticmethod(jnp.tanh)

    @staticmethod
    def convolve(a: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(a[None], w, (1, 1), "SAME")[0]

    @staticmethod
    def rows(w: Any, a: Any, structure: Any) -> Any:
        kind, sources, targets, factor = structure
        if kind == "gather":
            return factor * (w.reshape(sources.shape) * a[sources]).sum(1)
        n = len(factor)
        return factor * jax.ops.segment_sum(w * a[sources], targets, n, indices_are_sorted=True)


class Opened:
    """A network with the weights of a folder."""

    def __init__(self, folder: Path, form: str = "gather") -> None:
        network = networks.read(folder)
        self.weights = [jax.device_put(w) for w in networks.read_weights(folder)]
        self.X = jnp.asarray(networks.read_inputs(folder))
        self.x = self.X[0]
        self.dtype = self.x.dtype
        parents = [_structure(one, form, self.dtype) for one in networks.read_parents(folder)]
        self.value = value_of(network.kind, Ops, parents)
        self.shapes = [w.shape for w in self.weights]

    def product(self, weights: Any, x: Any, v: Any) -> Any:
        """Return H v."""
        return jax.jvp(lambda w: jax.grad(self.value)(w, x), (weights,), (v,))[1]

    def direction(self) -> list[Any]:
        """Return the direction that all sides apply the Hessian to."""
        flat = networks.direction([(math.prod(shape),) for shape in self.shapes], self.dtype)
        return [jnp.asarray(part.reshape(shape)) for part, shape in zip(flat, self.shapes, strict=True)]

    def start(self) -> list[Any]:
        """Return a random direction of length 1."""
        parts = [np.asarray(part) for part in self.direction()]
        length = math.sqrt(sum(float(np.vdot(part, part)) for part in parts))
        return [jnp.asarray(part / part.dtype.type(length)) for part in parts]


def _structure(parents: Any, form: str, dtype: Any) -> Any:
    if parents is None:
        return None
    sources, indptr = parents
    degrees = np.diff(indptr)
    factor = jnp.asarray(1.0 / np.sqrt(degrees), dtype)
    if form == "gather":
        return "gather", jnp.asarray(sources.reshape(len(degrees), degrees[0])), None, factor
    return "segments", jnp.asarray(sources), jnp.asarray(np.repeat(np.arange(len(degrees)), degrees)), factor


def _flat(parts: Any) -> Any:
    return np.concatenate([np.ravel(np.asarray(part)) for part in parts])


def gradient(folder: Path, tol: float) -> Run:
    """Return a jitted grad."""
    one = Opened(folder)
    compiled = jax.jit(jax.grad(one.value))
    compiled(one.weights, one.x)

    def run() -> dict[str, Any]:
        found = jax.block_until_ready(compiled(one.weights, one.x))
        return {"after": lambda: {"value": _flat(found)}}

    return run


def product(folder: Path, tol: float, form: str = "gather") -> Run:
    """Return a jitted jvp of grad."""
    one = Opened(folder, form)
    compiled, v = jax.jit(one.product), one.direction()
    compiled(one.weights, one.x, v)

    def run() -> dict[str, Any]:
        found = jax.block_until_ready(compiled(one.weights, one.x, v))
        return {"after": lambda: {"value": _flat(found)}}

    return run


def linearized(folder: Path, tol: float) -> Run:
    """Return `jax.linearize` of grad at hand, applied."""
    one = Opened(folder)
    v = one.direction()
    _, tangent = jax.linearize(lambda w: jax.grad(one.value)(w, one.x), one.weights)
    compiled = jax.jit(tangent)
    compiled(v)

    def run() -> dict[str, Any]:
        found = jax.block_until_ready(compiled(v))
        return {"after": lambda: {"value": _flat(found)}}

    return run


def eigsh(folder: Path, tol: float) -> Run:
    """Return scipy's `eigsh` with a jitted product."""
    from scipy.sparse.linalg import LinearOperator
    from scipy.sparse.linalg import eigsh as solve

    one = Opened(folder)
    compiled = jax.jit(one.product)
    ends = np.cumsum([math.prod(shape) for shape in one.shapes])
    counted = [0]

    def apply(v: Any) -> Any:
        counted[0] += 1
        parts = np.split(np.ravel(v), ends[:-1])
        parts = [part.reshape(shape) for part, shape in zip(parts, one.shapes, strict=True)]
        return _flat(compiled(one.weights, one.x, parts))

    operator = LinearOperator((int(ends[-1]),) * 2, matvec=apply, dtype=one.dtype)
    start = _flat(one.start())
    apply(start)

    def run() -> dict[str, Any]:
        counted[0] = 0
        values, vectors = solve(operator, k=1, which="LM", tol=tol, v0=start)
        steps = counted[0]
        return {"value": abs(float(values[0])), "steps": steps, "after": lambda: rest(values[0], vectors[:, 0])}

    def rest(value: float, vector: Any) -> dict[str, Any]:
        return {"residual": float(np.linalg.norm(apply(vector) - value * vector) / abs(value))}

    return run


class Lanczos:
    """The parts of three-term Lanczos, compiled; `previous` is reused where vectors are not kept."""

    def __init__(self, product: Callable[..., Any], keep: bool) -> None:
        self.first = jax.jit(partial(_step, product))
        reused = () if keep else (3,)
        self.next = jax.jit(partial(_step, product), donate_argnums=reused)
        self.scaled = jax.jit(lambda c, v: [c.astype(part.dtype) * part for part in v])
        self.added = jax.jit(
            lambda s, c, v: [old + c.astype(part.dtype) * part for old, part in zip(s, v, strict=True)],
            donate_argnums=(0,),
        )
        self.rest = jax.jit(partial(_residual, product))

    def norm(self, weights: Any, x: Any, start: Callable[[], Any], tol: float, keep: bool) -> dict[str, Any]:
        def step(v: Any, previous: Any, beta: float) -> Any:
            if previous is None:
                return self.first(weights, x, v, None, 0.0)
            return self.next(weights, x, v, previous, beta)

        def add(total: Any, coefficient: float, v: Any) -> Any:
            c = jnp.asarray(coefficient)
            return self.scaled(c, v) if total is None else self.added(total, c, v)

        def residual(vector: Any, value: float) -> float:
            return float(self.rest(weights, x, vector, value))

        return three_term.iterate(start, step, add, residual, tol, keep)


def _step(product: Callable[..., Any], weights: Any, x: Any, v: Any, previous: Any, beta: Any) -> Any:
    w = product(weights, x, v)
    if previous is not None:
        w = [a - beta.astype(a.dtype) * b for a, b in zip(w, previous, strict=True)]
    alpha = sum(jnp.vdot(a, b) for a, b in zip(w, v, strict=True))
    w = [a - alpha * b for a, b in zip(w, v, strict=True)]
    length = jnp.sqrt(sum(jnp.vdot(a, a) for a in w))
    return [a / length for a in w], alpha, length


def _residual(product: Callable[..., Any], weights: Any, x: Any, vector: Any, value: Any) -> Any:
    value = value.astype(vector[0].dtype)
    rest = [a - value * b for a, b in zip(product(weights, x, vector), vector, strict=True)]
    squares, length = (sum(jnp.vdot(a, a) for a in parts) for parts in (rest, vector))
    return jnp.sqrt(squares / length) / jnp.abs(value)


def lanczos(folder: Path, tol: float, keep: bool = False) -> Run:
    """Return three-term Lanczos with jitted steps, the final residual verified."""
    one = Opened(folder)
    parts, start = Lanczos(one.product, keep), one.start()

    def begin() -> Any:
        return [part + 0.0 for part in start]

    def run() -> dict[str, Any]:
        return parts.norm(one.weights, one.x, begin, tol, keep)

    return run


def norms_one_by_one(folder: Path, tol: float) -> Run:
    """Return three-term Lanczos at every input, one after the other."""
    one = Opened(folder)
    parts, start = Lanczos(one.product, keep=False), one.start()

    def begin() -> Any:
        return [part + 0.0 for part in start]

    def run() -> dict[str, Any]:
        found = [parts.norm(one.weights, x, begin, tol, False) for x in one.X]
        worst = max(found, key=lambda answer: answer["residual"])
        return worst | {"value": np.array([answer["value"] for answer in found])}

    return run


def norms_vmapped(folder: Path, tol: float) -> Run:
    """Return three-term Lanczos at all inputs at once by vmap; it ends when the slowest has converged."""
    one = Opened(folder)
    n = len(one.X)
    start = one.start()
    batched = jax.vmap(one.product, in_axes=(None, 0, 0))

    def vdot(a: Any, b: Any) -> Any:
        return sum((p * q).reshape(n, -1).sum(1) for p, q in zip(a, b, strict=True))

    def times(c: Any, parts: Any) -> Any:
        return [c.astype(part.dtype).reshape((n,) + (1,) * (part.ndim - 1)) * part for part in parts]

    def minus(a: Any, b: Any) -> Any:
        return [p - q for p, q in zip(a, b, strict=True)]

    @partial(jax.jit, donate_argnums=(3,))
    def step(weights: Any, X: Any, v: Any, previous: Any, beta: Any) -> Any:
        w = minus(batched(weights, X, v), times(beta, previous))
        alpha = vdot(w, v)
        w = minus(w, times(alpha, v))
        length = jnp.sqrt(vdot(w, w))
        return times(1.0 / length, w), alpha, length

    @partial(jax.jit, donate_argnums=(0,))
    def added(total: Any, c: Any, v: Any) -> Any:
        return [a + b for a, b in zip(total, times(c, v), strict=True)]

    @jax.jit
    def residuals(weights: Any, X: Any, vector: Any, values: Any) -> Any:
        rest = minus(batched(weights, X, vector), times(values, vector))
        return jnp.sqrt(vdot(rest, rest) / vdot(vector, vector)) / jnp.abs(values)

    @jax.jit
    def spread(parts: Any) -> Any:
        return [jnp.broadcast_to(part, (n, *part.shape)) + 0.0 for part in parts]

    @jax.jit
    def zeros(parts: Any) -> Any:
        return [jnp.zeros((n, *part.shape), part.dtype) for part in parts]

    def run() -> dict[str, Any]:
        alphas: list[Any] = []
        betas: list[Any] = []
        v, previous, beta, last = spread(start), zeros(start), jnp.zeros(n), 0
        while True:
            following, a, beta = step(one.weights, one.X, v, previous, beta)
            alphas.append(np.asarray(a, float))
            betas.append(np.asarray(beta, float))
            v, previous = following, v
            if three_term.is_due(len(alphas), last) or len(alphas) >= three_term.MAX_STEPS:
                last = len(alphas)
                pairs = [three_term.ritz([a[i] for a in alphas], [b[i] for b in betas]) for i in range(n)]
                done = all(estimated <= three_term.SAFETY * tol * abs(value) for value, _, estimated in pairs)
                if done or last >= three_term.MAX_STEPS:
                    break
        del following
        total, v, previous = zeros(start), spread(start), zeros(start)
        beta = jnp.zeros(n)
        for i in range(last):
            total = added(total, jnp.asarray([pair[1][i] for pair in pairs]), v)
            if i + 1 < last:
                following, _, beta = step(one.weights, one.X, v, previous, beta)
                v, previous = following, v
        values = np.array([pair[0] for pair in pairs])
        found = residuals(one.weights, one.X, total, jnp.asarray(values))
        return {"value": np.abs(values), "residual": float(jnp.max(found)), "steps": 2 * last}

    return run


def kernel(folder: Path, tol: float) -> Run:
    """Return the tangent kernel layer by layer, hand-written: sum over layers of (B B^T) o (A A^T) / fan-in."""
    one = Opened(folder)

    @jax.jit
    def compute(weights: Any, X: Any) -> Any:
        activations = [X]
        for w in weights[:-1]:
            activations.append(jnp.tanh(activations[-1] @ w.T / math.sqrt(w.shape[1])))
        b = jnp.ones((len(X), 1), X.dtype)
        total = jnp.zeros((len(X), len(X)), X.dtype)
        for layer in range(len(weights) - 1, -1, -1):
            w, a = weights[layer], activations[layer]
            total += (b @ b.T) * (a @ a.T) / w.shape[1]
            if layer:
                b = (b @ w) / math.sqrt(w.shape[1]) * (1.0 - a * a)
        return total

    compute(one.weights, one.X)
    return lambda: {"value": np.asarray(compute(one.weights, one.X))}


def kernel_by_jacobians(folder: Path, tol: float) -> Run:
    """Return the tangent kernel as a product of Jacobians, as it is written when size is no matter."""
    one = Opened(folder)

    @jax.jit
    def compute(weights: Any, X: Any) -> Any:
        rows = jax.vmap(jax.grad(one.value), in_axes=(None, 0))(weights, X)
        return sum(row.reshape(len(X), -1) @ row.reshape(len(X), -1).T for row in rows)

    return lambda: {"value": np.asarray(compute(one.weights, one.X))}


def gram(folder: Path, tol: float) -> Run:
    """Return the Gram matrix of all neurons of the last hidden layer by its recursion, hand-written."""
    one = Opened(folder)

    @jax.jit
    def compute(weights: Any, x: Any) -> Any:
        a, below = x, None
        for w in weights[:-1]:
            z = (w @ a) / math.sqrt(w.shape[1])
            inner = jnp.vdot(a, a) * jnp.eye(len(z), dtype=x.dtype)
            if below is not None:
                inner += w @ below @ w.T
            a = jnp.tanh(z)
            slope = 1.0 - a * a
            below = slope[:, None] * slope[None, :] * inner / w.shape[1]
        return below

    compute(one.weights, one.x)
    return lambda: {"value": np.asarray(compute(one.weights, one.x))}


def train(folder: Path, tol: float) -> Run:
    """Return the outputs after 200 jitted steps of value_and_grad and update, the weights donated."""
    one = Opened(folder)
    y, eta = jnp.asarray(training.targets(np.asarray(one.X))), one.dtype.type(training.step_size(one.X))

    def outputs(weights: Any) -> Any:
        a = one.X
        for w in weights[:-1]:
            a = jnp.tanh(a @ w.T / math.sqrt(w.shape[1]))
        return (a @ weights[-1].T / math.sqrt(weights[-1].shape[1]))[:, 0]

    @partial(jax.jit, donate_argnums=0)
    def step(weights: Any) -> Any:
        slopes = jax.grad(lambda w: 0.5 * jnp.sum((outputs(w) - y) ** 2))(weights)
        return [w - eta * slope for w, slope in zip(weights, slopes, strict=True)]

    read = jax.jit(outputs)

    def run() -> dict[str, Any]:
        weights = [w + 0.0 for w in one.weights]
        for _ in range(training.N_STEPS):
            weights = step(weights)
        return {"value": np.asarray(read(weights))}

    return run


def study(folder: Path, tol: float) -> Run:
    """Return the norms of all networks of a study by three-term Lanczos, compiled once for each width."""
    members = networks.read(folder).members
    compiled: dict[int, Lanczos] = {}

    def run() -> dict[str, Any]:
        found = []
        for member in members:
            one = Opened(folder / f"{member.sizes[0]}-{member.seed}")
            start = one.start()
            parts = compiled.setdefault(member.sizes[0], Lanczos(one.product, keep=False))
            found.append(parts.norm(one.weights, one.x, lambda s=start: [p + 0.0 for p in s], tol, False))
        worst = max(found, key=lambda answer: answer["residual"])
        return worst | {"value": np.array([answer["value"] for answer in found])}

    return run
