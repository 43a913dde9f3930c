"""The networks that every side is asked about: made once by this package, written down, and read by all sides.

A folder holds w0.npy, w1.npy, ... in the order of the parameters, in the shape a layer has (a matrix row by target, a
kernel, or one weight per edge), indices*.npy and indptr*.npy of sparse layers, inputs.npy, and network.json. That of a
study holds a folder for every width and seed.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_INPUTS = 64
SEED = 0
SPREAD = 0.5  # in-degrees of the uneven graph lie within this share of their mean


@dataclass(frozen=True)
class Network:
    """What is built, and at how many inputs it is asked.

    Attributes
    ----------
    kind : {"mlp", "resnet", "cnn", "dag", "uneven", "study"}
    sizes : tuple of int
        Layer widths; (width, blocks); (pixels along a side, channels, layers); (layers, layer width, in-degree); for a
        study (seeds, width, width, ...): two hidden layers of every width with every seed.
    dtype : {"float64", "float32"}
    n_samples : int
    seed : int
    """

    kind: str
    sizes: tuple[int, ...]
    dtype: str = "float64"
    n_samples: int = 1
    seed: int = SEED

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return self.sizes[0] ** 2 if self.kind == "cnn" else N_INPUTS

    @property
    def small(self) -> Network:
        """A network of the same kind that costs nothing: what libraries need at first, they need for it."""
        sizes = {"mlp": (8,) * len(self.sizes), "resnet": (8, 1), "cnn": (4, 2, 2), "study": (1, 8)}.get(
            self.kind, (2, 20, 8)
        )
        return Network(self.kind, sizes, self.dtype, min(self.n_samples, 2), self.seed)

    @property
    def members(self) -> list[Network]:
        """The networks of a study, width by width."""
        n_seeds, *widths = self.sizes
        return [Network("mlp", (m, m), self.dtype, self.n_samples, seed) for m in widths for seed in range(n_seeds)]


def assembly_of(network: Network) -> Any:
    """Return the network of this package."""
    import assembly as am

    sizes, options = network.sizes, {"seed": network.seed, "dtype": network.dtype}
    match network.kind:
        case "mlp":
            return am.mlp(N_INPUTS, list(sizes), "tanh", **options)
        case "resnet":
            return am.resnet(N_INPUTS, *sizes, "tanh", **options)
        case "cnn":
            return am.cnn((sizes[0], sizes[0]), [sizes[1]] * sizes[2], 3, "tanh", **options)
        case "dag":
            return am.random_dag(N_INPUTS, *sizes, "tanh", **options)
        case "uneven":
            return _uneven(network)
    raise ValueError(f"unknown kind of network: {network.kind}")


def _uneven(network: Network) -> Any:
    """Return a random graph whose neurons have unequal in-degrees, sqrt(in-degree) in the denominator of each."""
    import assembly as am
    from assembly.graph.connections import Dense, Sparse
    from assembly.graph.description import INPUT, Graph, Group

    n_layers, width, in_degree = network.sizes
    rng = np.random.default_rng(network.seed)
    groups, connections, n_source = [Group(N_INPUTS, INPUT)], [], N_INPUTS
    for layer in range(n_layers):
        mean = min(in_degree, n_source // 2)
        degrees = rng.integers(max(1, round((1 - SPREAD) * mean)), round((1 + SPREAD) * mean) + 1, width)
        indices = np.concatenate([np.sort(rng.choice(n_source, k, replace=False)) for k in degrees]).astype(np.int32)
        indptr = np.concatenate([[0], np.cumsum(degrees)]).astype(np.int64)
        connections.append(Sparse(layer, layer + 1, n_source, width, 1.0 / np.sqrt(degrees), indptr, indices))
        groups.append(Group(width, "tanh"))
        n_source = width
    groups.append(Group(1, "identity"))
    connections.append(Dense(n_layers, n_layers + 1, width, 1, np.full(1, 1.0 / math.sqrt(width))))
    graph = Graph(tuple(groups), tuple(connections), ((n_layers + 1, 0),))
    return am.Assembly.from_graph(graph, rng.standard_normal(graph.n_parameters, dtype=np.dtype(network.dtype)))


def describe(network: Network, folder: Path) -> None:
    """Write down what a network is, without its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "network.json").write_text(json.dumps(asdict(network)))


def read(folder: Path) -> Network:
    """Return what the network of a folder is."""
    fields = json.loads((folder / "network.json").read_text())
    return Network(**{**fields, "sizes": tuple(fields["sizes"])})


def write(network: Network, folder: Path) -> None:
    """Write a network down."""
    describe(network, folder)
    if network.kind == "study":
        for member in network.members:
            write(member, folder / f"{member.sizes[0]}-{member.seed}")
        return
    net = assembly_of(network)
    trainable = [connection for connection in net.graph.connections if connection.values is None]
    for i, (connection, part) in enumerate(zip(trainable, net.graph.parameter_blocks, strict=True)):
        np.save(folder / f"w{i}.npy", net.parameters[part].reshape(_shape(network, connection)))
        if hasattr(connection, "indptr"):
            np.save(folder / f"indices{i}.npy", connection.indices)
            np.save(folder / f"indptr{i}.npy", connection.indptr)
    np.save(folder / "inputs.npy", inputs(network))


def _shape(network: Network, connection: Any) -> tuple[int, ...]:
    if hasattr(connection, "indptr"):
        return (-1,)
    if hasattr(connection, "windows"):
        channels = network.sizes[1]
        return (channels, -1, 3, 3)
    return connection.n_target, connection.n_source


def inputs(network: Network) -> NDArray[Any]:
    """Return the inputs, shape (n_samples, n_inputs): directions drawn once, scaled to length sqrt(n_inputs)."""
    X = np.random.default_rng(SEED).standard_normal((network.n_samples, network.n_inputs))
    X *= math.sqrt(network.n_inputs) / np.linalg.norm(X, axis=1, keepdims=True)
    return X.astype(network.dtype)


def read_weights(folder: Path) -> list[NDArray[Any]]:
    """Return the weights of every layer."""
    n_layers = len(list(folder.glob("w*.npy")))
    return [np.load(folder / f"w{i}.npy") for i in range(n_layers)]


def read_parents(folder: Path) -> list[tuple[NDArray[Any], NDArray[Any]] | None]:
    """Return sources and row pointers of every layer, None for a dense one."""
    found = []
    for i in range(len(list(folder.glob("w*.npy")))):
        path = folder / f"indices{i}.npy"
        found.append((np.load(path), np.load(folder / f"indptr{i}.npy")) if path.exists() else None)
    return found


def read_inputs(folder: Path) -> NDArray[Any]:
    """Return the inputs, shape (n_samples, n_inputs)."""
    return np.load(folder / "inputs.npy")


def direction(shapes: list[tuple[int, ...]], dtype: Any) -> list[NDArray[Any]]:
    """Return a random direction of the parameters, an array per layer; all sides draw the same."""
    rng = np.random.default_rng(SEED + 1)
    return [rng.standard_normal(shape, dtype=np.dtype(dtype)) for shape in shapes]


def shape_text(network: Network) -> str:
    """Return the sizes as the names of cases have them."""
    sizes = network.sizes
    if network.kind == "mlp":
        return f"{len(sizes)}x{sizes[0]}"
    return "x".join(map(str, sizes))
