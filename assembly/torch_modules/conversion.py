"""From a torch module to a graph and its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from assembly.checks import check_finite
from assembly.errors import ArgumentError
from assembly.graph.connections import Connection
from assembly.graph.description import Graph
from assembly.torch_export.module import TorchAssembly
from assembly.torch_modules.draft import frozen
from assembly.torch_modules.reading import Reader
from assembly.torch_modules.tracing import shape_of_input, trace


def convert(module: Any, input_shape: Any) -> tuple[Graph, NDArray[np.float64]]:
    """Return the graph of a module and its parameters; see `assembly.from_torch`."""
    if not isinstance(module, nn.Module):
        raise ArgumentError(f"The 'module' argument must be a torch.nn.Module. Got {type(module).__name__}.")
    if isinstance(module, TorchAssembly):
        return _back(module)
    root, operations = trace(module)
    reader = Reader(root, operations, shape_of_input(input_shape, root, operations))
    return reader.draft.finish(reader.read())


def _back(module: TorchAssembly) -> tuple[Graph, NDArray[np.float64]]:
    """Return the graph that was exported, with the numbers of now; parameters without gradient are fixed."""
    connections: list[Connection] = []
    parameters: dict[int, NDArray[np.float64]] = {}
    for connection, number in zip(module.graph.connections, module.numbers, strict=True):
        if number is None:
            connections.append(connection)
            continue
        weight = module.weights[number]
        values = weight.detach().cpu().double().numpy().ravel().copy()
        check_finite(f"parameter weights.{number}", values)
        if weight.requires_grad:
            parameters[number] = values
            connections.append(connection)
        else:
            connections.append(frozen(connection, values))
    graph = Graph(module.graph.groups, tuple(connections), module.graph.outputs)
    return graph, np.concatenate([np.zeros(0), *parameters.values()])
