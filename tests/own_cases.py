"""Sub-models written by hand, each beside its naive twin and beside the same formula as a graph of neurons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import assembly as am
import naive
from naive import ONE, Edge

TAU = 0.5  # width of the stump
FIXED = {"trainable": False}


# w.x squared, halved


def square_value(w, x):
    return 0.5 * (w @ x) ** 2


def square_gradient(w, x):
    return (w @ x) * x


def square_product(w, x, v):
    return (v @ x) * x


# v cos(w.x + b), parameters (w, b, v)


def fourier_value(p, x):
    return p[-1] * np.cos(p[:-2] @ x + p[-2])


def fourier_gradient(p, x):
    z = p[:-2] @ x + p[-2]
    return np.array([*(-p[-1] * np.sin(z) * x), -p[-1] * np.sin(z), np.cos(z)])


def fourier_product(p, x, d):
    z, moved = p[:-2] @ x + p[-2], d[:-2] @ x + d[-2]
    inner = -p[-1] * np.cos(z) * moved - np.sin(z) * d[-1]
    return np.array([*(inner * x), inner, -np.sin(z) * moved])


# v exp(-|x - c|^2 / 2), parameters (c, v)


def radial_value(p, x):
    return p[-1] * np.exp(-0.5 * np.sum((x - p[:-1]) ** 2))


def radial_gradient(p, x):
    away = x - p[:-1]
    bump = np.exp(-0.5 * away @ away)
    return np.array([*(p[-1] * bump * away), bump])


def radial_product(p, x, d):
    away = x - p[:-1]
    bump, moved = np.exp(-0.5 * away @ away), away @ d[:-1]
    return np.array([*(bump * (p[-1] * (moved * away - d[:-1]) + d[-1] * away)), bump * moved])


# v sigmoid((x_0 - t) / tau), parameters (t, v)


def stump_value(p, x):
    return p[1] / (1.0 + np.exp(-(x[0] - p[0]) / TAU))


def stump_gradient(p, x):
    s = 1.0 / (1.0 + np.exp(-(x[0] - p[0]) / TAU))
    return np.array([-p[1] * s * (1.0 - s) / TAU, s])


def stump_product(p, x, d):
    s = 1.0 / (1.0 + np.exp(-(x[0] - p[0]) / TAU))
    slope = s * (1.0 - s)
    return np.array([p[1] * slope * (1.0 - 2.0 * s) / TAU**2 * d[0] - slope / TAU * d[1], -slope / TAU * d[0]])


@dataclass(frozen=True)
class OwnCase:
    """A part, and its naive twin with the parameters in the same order; the last neuron of the twin is the unit."""

    name: str
    functions: tuple[Callable, Callable, Callable]
    n_inputs: int
    n_parameters: int
    twin: naive.Network
    composed: dict  # neurons for `from_neurons`, with the inputs x0, x1, ...

    def part(self, **options):
        sizes = {"n_inputs": self.n_inputs, "n_parameters": self.n_parameters}
        return am.submodel(*self.functions, **sizes, name=self.name, **options)

    def __str__(self) -> str:
        return self.name


def _network(n_inputs: int, n_parameters: int, neurons: dict) -> naive.Network:
    inputs = tuple(f"x{i}" for i in range(n_inputs))
    edges = {name: (kind, tuple(Edge(*edge) for edge in rows)) for name, (kind, rows) in neurons.items()}
    return naive.Network(inputs, edges, (list(neurons)[-1],), n_parameters)


SQUARE = OwnCase(
    "square",
    (square_value, square_gradient, square_product),
    3,
    3,
    _network(
        3,
        3,
        {"z": ("quadratic", [(f"x{i}", 1.0, i) for i in range(3)]), "g": ("identity", [("z", 1.0, None, 0.5)])},
    ),
    {
        "z": ("quadratic", {f"x{i}": am.Edge(factor=1.0) for i in range(3)}),
        "g": ("identity", {"z": am.Edge(0.5, trainable=False)}),
    },
)
FOURIER = OwnCase(
    "fourier",
    (fourier_value, fourier_gradient, fourier_product),
    2,
    4,
    _network(
        2,
        4,
        {"z": ("cos", [("x0", 1.0, 0), ("x1", 1.0, 1), (ONE, 1.0, 2)]), "g": ("identity", [("z", 1.0, 3)])},
    ),
    {
        "z": ("cos", {"x0": am.Edge(factor=1.0), "x1": am.Edge(factor=1.0), "1": None}),
        "g": ("identity", ["z"]),
    },
)
RADIAL = OwnCase(
    "radial",
    (radial_value, radial_gradient, radial_product),
    2,
    3,
    _network(
        2,
        3,
        {
            "q0": ("quadratic", [("x0", 1.0, None, 1.0), (ONE, -1.0, 0)]),
            "q1": ("quadratic", [("x1", 1.0, None, 1.0), (ONE, -1.0, 1)]),
            "e": ("exp", [("q0", 1.0, None, -0.5), ("q1", 1.0, None, -0.5)]),
            "g": ("identity", [("e", 1.0, 2)]),
        },
    ),
    {
        "q0": ("quadratic", {"x0": am.Edge(1.0, trainable=False), "1": am.Edge(factor=-1.0)}),
        "q1": ("quadratic", {"x1": am.Edge(1.0, trainable=False), "1": am.Edge(factor=-1.0)}),
        "e": ("exp", {"q0": am.Edge(-0.5, trainable=False), "q1": am.Edge(-0.5, trainable=False)}),
        "g": ("identity", ["e"]),
    },
)
STUMP = OwnCase(
    "stump",
    (stump_value, stump_gradient, stump_product),
    2,
    2,
    _network(
        2,
        2,
        {
            "s": ("sigmoid", [("x0", 1.0 / TAU, None, 1.0), (ONE, -1.0 / TAU, 0)]),
            "g": ("identity", [("s", 1.0, 1)]),
        },
    ),
    {
        "s": ("sigmoid", {"x0": am.Edge(1.0 / TAU, trainable=False), "1": am.Edge(factor=-1.0 / TAU)}),
        "g": ("identity", ["s"]),
    },
)
OWN = [SQUARE, FOURIER, RADIAL, STUMP]

SHAPES = [  # phi, phi', phi''
    (np.sin, np.cos, lambda z: -np.sin(z)),
    (np.tanh, lambda z: 1 - np.tanh(z) ** 2, lambda z: -2 * np.tanh(z) * (1 - np.tanh(z) ** 2)),
    (lambda z: np.exp(-z * z / 2), lambda z: -z * np.exp(-z * z / 2), lambda z: (z * z - 1) * np.exp(-z * z / 2)),
    (lambda z: np.log1p(z * z), lambda z: 2 * z / (1 + z * z), lambda z: 2 * (1 - z * z) / (1 + z * z) ** 2),
    (lambda z: np.sqrt(1 + z * z), lambda z: z / np.sqrt(1 + z * z), lambda z: (1 + z * z) ** -1.5),
    (lambda z: 1 / (1 + z * z), lambda z: -2 * z / (1 + z * z) ** 2, lambda z: (6 * z * z - 2) / (1 + z * z) ** 3),
    (lambda z: z**3, lambda z: 3 * z * z, lambda z: 6 * z),
    (lambda z: z * z, lambda z: 2 * z, lambda z: 2 + 0 * z),
]


def random_part(seed: int, spoiled: tuple[int, int] | None = None, error=1e-4, convert=float, largest_offset=1e6):
    """Return ``offset + sum_k a_k phi_k(s_k u_k.w + c_k.x)`` and which component is spoiled.

    Sizes of parameters, amplitudes and scales run over orders of magnitude, scales within one function too. `spoiled`
    (0 for the gradient, 1 for the Hessian; any number) multiplies one component of it by 1 + `error`.
    """
    rng = np.random.default_rng(seed)
    n_inputs, n, n_terms = (int(rng.integers(1, top)) for top in (4, 6, 5))
    size = 10.0 ** rng.uniform(-3, 3)
    a = 10.0 ** rng.uniform(-2, 2, n_terms) * rng.choice([-1, 1], n_terms)
    u = rng.normal(size=(n_terms, n)) * 10.0 ** rng.uniform(-1.5, 1.5, (n_terms, 1)) / size
    c = rng.normal(size=(n_terms, n_inputs))
    kinds = rng.integers(len(SHAPES), size=n_terms)
    offset = min(rng.choice([0.0, 0.0, 10.0 ** rng.uniform(0, 6)]), largest_offset)
    wrong = np.ones((2, n))
    place = None
    if spoiled is not None:
        place = spoiled[1] % n
        wrong[spoiled[0], place] += error

    def phi(order, w, x):
        return np.array([SHAPES[kind][order](z) for kind, z in zip(kinds, u @ w + c @ x, strict=True)])

    part = am.submodel(
        lambda w, x: convert(offset + a @ phi(0, w, x)),
        lambda w, x: np.vectorize(convert)(wrong[0] * ((a * phi(1, w, x)) @ u)),
        lambda w, x, v: np.vectorize(convert)(wrong[1] * ((a * phi(2, w, x) * (u @ v)) @ u)),
        n_inputs=n_inputs,
        n_parameters=n,
        initial=lambda rng: size * rng.normal(size=n),
        name=f"random {seed}",
    )
    return part, place
