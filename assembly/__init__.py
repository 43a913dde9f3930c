"""Simulator of the assembly perspective on wide neural networks.

The public names, loaded when first used: importing this package loads nothing heavier than numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from assembly.architectures.committees import committee
    from assembly.architectures.layered import bottleneck, mlp
    from assembly.architectures.neurons import from_neurons
    from assembly.estimate import Estimate
    from assembly.linearized import LinearizedModel
    from assembly.model import Assembly, SubModel
    from assembly.neuron import Layer, Neuron

_HOME = {
    "Assembly": "model",
    "Estimate": "estimate",
    "Layer": "neuron",
    "LinearizedModel": "linearized",
    "Neuron": "neuron",
    "SubModel": "model",
    "activations": "activations",
    "bottleneck": "architectures.layered",
    "committee": "architectures.committees",
    "data": "data",
    "errors": "errors",
    "from_neurons": "architectures.neurons",
    "mlp": "architectures.layered",
}

__all__ = [
    "Assembly",
    "Estimate",
    "Layer",
    "LinearizedModel",
    "Neuron",
    "SubModel",
    "bottleneck",
    "committee",
    "from_neurons",
    "mlp",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'assembly' has no attribute {name!r}; public names: {', '.join(sorted(_HOME))}")
    module = importlib.import_module(f"assembly.{_HOME[name]}")
    return module if name == _HOME[name] else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
