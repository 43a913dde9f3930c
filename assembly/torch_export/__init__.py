"""Assemblies as PyTorch modules; PyTorch itself is loaded when the first one is made."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from numpy.typing import NDArray

from assembly.errors import ArgumentError
from assembly.graph.description import Graph


def check_torch(what: str) -> None:
    """Raise `ArgumentError` if PyTorch is missing."""
    if find_spec("torch") is None:
        raise ArgumentError(f"{what} needs PyTorch: pip install 'assembly-perspective[torch]'.")


def module_of(graph: Graph, parameters: NDArray[Any]) -> Any:
    """Return the torch module of a graph with these parameters, copied; see `Assembly.to_torch`.

    Raises
    ------
    ArgumentError
        If PyTorch is not installed.
    GraphError
        If the graph holds sub-models of the user's own, or convolutions over more than three dimensions.
    """
    check_torch("to_torch")
    from assembly.torch_export.module import TorchAssembly

    return TorchAssembly(graph, parameters)
