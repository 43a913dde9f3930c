"""The `assembly` package. Each run answers the whole question: what the run before evaluated is evicted first."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import assembly as am
from speed import memory, networks, training
from speed.passes import passes

Run = Callable[[], dict[str, Any]]


def _opened(folder: Path) -> tuple[networks.Network, Any, Any]:
    network = networks.read(folder)
    return network, networks.assembly_of(network), networks.inputs(network)


def _anew(net: Any, X: Any, question: Callable[[], Any]) -> tuple[Any, float]:
    """Return an answer and its time, with no evaluation at hand."""
    net(-X)
    start = time.perf_counter()
    found = question()
    return found, time.perf_counter() - start


def gradient(folder: Path, tol: float, into_buffer: bool = False) -> Run:
    """Return `net.gradient(x)`, in memory of its own or in a buffer that the runs before have used."""
    _, net, X = _opened(folder)
    out = np.zeros(net.n_parameters, net.dtype) if into_buffer else None

    def run() -> dict[str, Any]:
        value, seconds = _anew(net, X[0], lambda: net.gradient(X[0], out=out))
        return {"value": value, "seconds": seconds}

    return run


def product(folder: Path, tol: float, evaluated: bool) -> Run:
    """Return `H @ v`, the evaluation at hand or part of the question."""
    network, net, X = _opened(folder)
    v = np.concatenate([part.ravel() for part in networks.direction(_shapes(net), network.dtype)])
    H = net.hessian(X[0])

    def run() -> dict[str, Any]:
        if evaluated:
            return {"value": H @ v}
        value, seconds = _anew(net, X[0], lambda: net.hessian(X[0]) @ v)
        return {"value": value, "seconds": seconds}

    return run


def node_product(folder: Path, tol: float) -> Run:
    """Return M N u in node space, `M(N(u))`: what an iteration applies."""
    _, net, X = _opened(folder)
    space = net.hessian(X[0]).node_space
    u = np.random.default_rng(networks.SEED).standard_normal(space.size).astype(net.dtype)

    def run() -> dict[str, Any]:
        space.M(space.N(u))
        return {}

    return run


def _shapes(net: Any) -> list[tuple[int, ...]]:
    return [(part.stop - part.start,) for part in net.graph.parameter_blocks]


def norm(folder: Path, tol: float | None) -> Run:
    """Return `H.norm()`, or with a tolerance `H.top_pair(tol)`."""
    _, net, X = _opened(folder)

    def question() -> Any:
        H = net.hessian(X[0])
        return H.norm() if tol is None else H.top_pair(tol)[0]

    def run() -> dict[str, Any]:
        estimate, seconds = _anew(net, X[0], question)
        return {"value": abs(float(estimate.value)), "seconds": seconds} | _facts(estimate)

    return run


def norm_alone(folder: Path, tol: float) -> Run:
    """Return `H.norm(tol)` of a network too large to write down, with time and memory of every stage."""

    def run() -> dict[str, Any]:
        stages: dict[str, dict[str, float]] = {}

        def stage(name: str, question: Callable[[], Any]) -> Any:
            memory.forget_peak()
            start = time.perf_counter()
            found = question()
            stages[name] = {"seconds": time.perf_counter() - start, "peak_bytes": memory.peak_bytes() - before}
            return found

        before = memory.resident_bytes()
        network = networks.read(folder)
        net = stage("build", lambda: networks.assembly_of(network))
        x = networks.inputs(network)[0]
        stage("evaluate", lambda: net(x))
        H = stage("adjoints", lambda: net.hessian(x))
        estimate = stage("norm", lambda: H.norm(tol))
        facts = {"n_parameters": net.n_parameters, "weight_bytes": net.parameters.nbytes, "stages": stages}
        facts["highest_bytes"] = max(one["peak_bytes"] for one in stages.values())
        seconds = sum(one["seconds"] for one in stages.values())
        facts |= {"value": abs(float(estimate.value)), "seconds": seconds} | _facts(estimate)
        return facts | {"after": lambda: {"passes": passes(H.node_space)}}

    return run


def _facts(estimate: Any) -> dict[str, Any]:
    return {"steps": estimate.n_steps, "residual": float(np.max(estimate.residual))}


def norms(folder: Path, tol: float | None, together: bool) -> Run:
    """Return the norms at all inputs, by one call or by one call for each."""
    _, net, X = _opened(folder)
    options = {} if tol is None else {"tol": tol}

    def question() -> Any:
        return net.hessian_norms(X, **options) if together else [net.hessian(x).norm(**options) for x in X]

    def run() -> dict[str, Any]:
        found, seconds = _anew(net, X, question)
        if together:
            return {"value": np.asarray(found.value), "seconds": seconds} | _facts(found)
        worst = max(found, key=lambda estimate: estimate.residual)
        return {"value": np.array([float(one.value) for one in found]), "seconds": seconds} | _facts(worst)

    return run


def kernel(folder: Path, tol: float) -> Run:
    """Return `net.tangent_kernel(X)`."""
    _, net, X = _opened(folder)

    def run() -> dict[str, Any]:
        value, seconds = _anew(net, X, lambda: net.tangent_kernel(X))
        return {"value": value, "seconds": seconds}

    return run


def gram(folder: Path, tol: float) -> Run:
    """Return `net.layers[-2].gram(x)`, the Gram matrix of all neurons of the last hidden layer."""
    _, net, X = _opened(folder)

    def run() -> dict[str, Any]:
        value, seconds = _anew(net, X[0], lambda: net.layers[-2].gram(X[0]))
        return {"value": value, "seconds": seconds}

    return run


def train(folder: Path, tol: float, **options: Any) -> Run:
    """Return the outputs after 200 steps of `am.train`."""
    _, net, X = _opened(folder)
    steps = {"n_steps": training.N_STEPS, "step_size": training.step_size(X)}
    y = training.targets(X)

    def run() -> dict[str, Any]:
        found = am.train(net, X, y, **steps, **options)
        return {"value": found.outputs["network"][-1, :, 0]}

    return run


def step(folder: Path, tol: float | None) -> Run:
    """Return `H.norm()` as time of one step, with the bytes of weights that a step must read."""
    network, net, X = _opened(folder)
    H = net.hessian(X[0])
    bytes_read = _bytes_of_a_step(network)

    def run() -> dict[str, Any]:
        start = time.perf_counter()
        estimate = H.norm() if tol is None else H.norm(tol)
        seconds = (time.perf_counter() - start) / estimate.n_steps
        return {"value": float(estimate.value), "seconds": seconds, "bytes_read": bytes_read} | _facts(estimate)

    return run


def node_step(folder: Path, tol: float | None) -> Run:
    """Return `M(N(u))` with the bytes of weights that it must read."""
    run_product = node_product(folder, 0.0)
    bytes_read = _bytes_of_a_step(networks.read(folder))
    return lambda: run_product() | {"bytes_read": bytes_read}


def _bytes_of_a_step(network: networks.Network) -> int:
    """Return the bytes of weights that a step must read.

    A matrix above the first layer is read forward and backward; only the last hidden one can do both at once.
    """
    above = [a * b for a, b in pairwise(network.sizes)]
    return np.dtype(network.dtype).itemsize * (2 * sum(above) - above[-1])


def study(folder: Path, tol: float) -> Run:
    """Return the norms of all networks of a study, each built and asked."""
    networks_of_study = networks.read(folder).members

    def run() -> dict[str, Any]:
        found = [_built(one).hessian(networks.inputs(one)[0]).norm(tol) for one in networks_of_study]
        worst = max(found, key=lambda estimate: estimate.residual)
        return {"value": np.array([float(one.value) for one in found])} | _facts(worst)

    return run


def _built(network: networks.Network) -> Any:
    return am.mlp(networks.N_INPUTS, list(network.sizes), "tanh", seed=network.seed, dtype=network.dtype)
