"""A torch module that runs a graph group by group: dense, as a convolution, or edge by edge."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from assembly.errors import GraphError, ShapeError
from assembly.graph.connections import Connection, Convolution, Dense, Own, Sparse, Tied
from assembly.graph.description import INPUT, SOFTMAX, Graph, Group

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
ACTIVATIONS = {
    "identity": lambda z: z,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "sigmoid": torch.sigmoid,
    "softplus": lambda z: -functional.logsigmoid(-z),  # torch's own softplus is the identity above 20
    "gelu": functional.gelu,
    "swish": functional.silu,
    "relu": torch.relu,
    "sin": torch.sin,
    "cos": torch.cos,
    "quadratic": torch.square,
    "exp": torch.exp,
}


class TorchAssembly(nn.Module):
    """A graph as a torch module, with one parameter for every block of weights, in order; all else is fixed.

    Called with X of shape (n, n_inputs) or (n_inputs,), it returns what the assembly does.

    Parameters
    ----------
    graph : Graph
    parameters : ndarray of shape (n_parameters,), float64 or float32
        Copied.

    Raises
    ------
    GraphError
        If the graph holds sub-models of the user's own, or convolutions over more than three dimensions.
    """

    def __init__(self, graph: Graph, parameters: NDArray[Any]) -> None:
        super().__init__()
        self.graph = graph
        everything = torch.from_numpy(parameters.copy())
        self.edges = nn.ModuleList(_edges_of(connection).to(everything.dtype) for connection in graph.connections)
        self.weights = nn.ParameterList()
        self.numbers: list[int | None] = []
        known: dict[int, int] = {}
        for edges, part in zip(self.edges, graph.slices, strict=True):
            if part is not None and part.start not in known:
                known[part.start] = len(self.weights)
                self.weights.append(everything[part].clone().reshape(edges.shape))
            self.numbers.append(None if part is None else known[part.start])

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the outputs, shape (n,) for one output and (n, n_outputs) otherwise; no first axis for one sample."""
        n_inputs = self.graph.groups[0].size
        if X.ndim not in (1, 2) or X.shape[-1] != n_inputs:
            raise ShapeError(
                f"The 'X' argument must have shape ({n_inputs},) or (n, {n_inputs}). Got {tuple(X.shape)}."
            )
        a: list[torch.Tensor] = []
        samples = X.reshape(-1, n_inputs)
        for group, entry in zip(self.graph.groups, self.graph.incoming, strict=True):
            if group.is_given:
                a.append(samples if group.activation == INPUT else samples.new_ones(len(samples), 1))
                continue
            z = samples.new_zeros(len(samples), group.size)
            for position in entry:
                number = self.numbers[position]
                weight = None if number is None else self.weights[number]
                z = z + self.edges[position](a[self.graph.connections[position].source], weight)
            a.append(_activated(group, z))
        runs = itertools.groupby(self.graph.outputs, key=lambda node: node[0])
        values = torch.cat([a[group][:, [position for _, position in run]] for group, run in runs], dim=1)
        values = values[:, 0] if values.shape[1] == 1 else values
        return values[0] if X.ndim == 1 else values

    def extra_repr(self) -> str:
        """Return what torch shows of the module beside its parts."""
        return f"n_inputs={self.graph.groups[0].size}, n_outputs={len(self.graph.outputs)}"


class _Dense(nn.Module):
    """c_v sum_u w_uv a_u with all sources; the weights are given, or fixed."""

    def __init__(self, connection: Dense) -> None:
        super().__init__()
        self.shape = (connection.n_target, connection.n_source)
        _hold(self, factor=connection.factor, values=connection.values)

    def forward(self, a: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        weight = self.values.reshape(self.shape) if weight is None else weight
        return self.factor * functional.linear(a, weight)


class _Convolution(nn.Module):
    """Every channel slides its kernel over all channels of the source."""

    def __init__(self, connection: Convolution) -> None:
        super().__init__()
        windows = self.windows = connection.windows
        if len(windows.shape) not in CONVOLUTIONS:
            raise GraphError(
                f"A convolution over {len(windows.shape)} dimensions cannot become a torch module: torch has those "
                f"over one to three."
            )
        self.shape = (connection.n_channels, windows.channels, *windows.kernel)
        _hold(self, factor=connection.factor)

    def forward(self, a: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        windows = self.windows
        images = a.reshape(len(a), windows.channels, *windows.shape)
        convolution = CONVOLUTIONS[len(windows.shape)]
        found = convolution(images, weight, stride=windows.stride, padding=windows.padding)
        return self.factor * found.reshape(len(a), -1)


class _Edges(nn.Module):
    """Edges one by one, each with a weight of its own, a fixed one, or one that others read too."""

    def __init__(self, connection: Sparse | Tied) -> None:
        super().__init__()
        self.shape = (connection.n_weights,)
        self.n_target = connection.n_target
        targets = np.repeat(np.arange(connection.n_target), np.diff(connection.indptr))
        number = connection.weight.astype(np.int64) if isinstance(connection, Tied) else None
        _hold(self, factor=connection.factor, values=connection.values, number=number)
        _hold(self, sources=connection.indices.astype(np.int64), targets=targets)

    def forward(self, a: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        weight = self.values if weight is None else weight
        weight = weight if self.number is None else weight[self.number]
        sums = a.new_zeros(len(a), self.n_target)
        return self.factor * sums.index_add(1, self.targets, weight * a[:, self.sources])


def _edges_of(connection: Connection) -> nn.Module:
    match connection:
        case Dense():
            return _Dense(connection)
        case Convolution():
            return _Convolution(connection)
        case Sparse() | Tied():
            return _Edges(connection)
        case Own():
            raise GraphError(
                f"The sub-model {connection.functions.name!r} of your own cannot become a torch module: write it in "
                f"torch, and export the rest."
            )


def _hold(module: nn.Module, **arrays: NDArray[Any] | None) -> None:
    """Keep arrays as buffers, which move with the module and stay out of its state."""
    for name, array in arrays.items():
        module.register_buffer(name, None if array is None else torch.from_numpy(array.copy()), persistent=False)


def _activated(group: Group, z: torch.Tensor) -> torch.Tensor:
    if group.activation == SOFTMAX:
        return torch.softmax(z, dim=1)
    if isinstance(group.activation, str):
        return ACTIVATIONS[group.activation](z)
    names = np.array(group.activation)
    chosen = [np.flatnonzero(names == name) for name in dict.fromkeys(group.activation)]
    back = np.argsort(np.concatenate(chosen))
    return torch.cat([ACTIVATIONS[names[part[0]]](z[:, part]) for part in chosen], dim=1)[:, back]
