"""Simulator of the assembly perspective on wide neural networks.

The public names, loaded when first used: importing this package loads nothing heavier than numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from assembly.architectures.committees import committee
    from assembly.architectures.convolutional import cnn
    from assembly.architectures.counterexamples import dominated, few_active, mean_field, power_law, tied
    from assembly.architectures.dag import random_dag, uneven_dag
    from assembly.architectures.layered import bottleneck, mlp
    from assembly.architectures.lazy import lazy
    from assembly.architectures.neurons import from_networkx, from_neurons
    from assembly.architectures.orthogonal import orthogonal_chain
    from assembly.architectures.own import check_submodel, submodel
    from assembly.architectures.residual import densenet, resnet
    from assembly.architectures.thinned import dropout
    from assembly.diagnostics.diagnose import diagnose
    from assembly.diagnostics.diagnosis import Diagnosis
    from assembly.diagnostics.surface import LinearitySurface
    from assembly.diagnostics.sweep import linearity_surface
    from assembly.dynamics.closed_form import kernel_regression
    from assembly.dynamics.history import History, load_history
    from assembly.dynamics.train import train
    from assembly.estimate import Estimate
    from assembly.explorer.notebook import explore
    from assembly.forecasting import Forecast, forecast
    from assembly.graph.neurons import Edge
    from assembly.interchange import load, save
    from assembly.limits.kernels import LimitKernels, limit_kernels
    from assembly.linearized import LinearizedModel
    from assembly.model import Assembly, SubModel
    from assembly.neuron import Layer, Neuron
    from assembly.torch_modules import from_torch

_HOME = {
    "Assembly": "model",
    "Diagnosis": "diagnostics.diagnosis",
    "Edge": "graph.neurons",
    "Estimate": "estimate",
    "Forecast": "forecasting",
    "History": "dynamics.history",
    "Layer": "neuron",
    "LimitKernels": "limits.kernels",
    "LinearitySurface": "diagnostics.surface",
    "LinearizedModel": "linearized",
    "Neuron": "neuron",
    "SubModel": "model",
    "activations": "activations",
    "bottleneck": "architectures.layered",
    "check_submodel": "architectures.own",
    "cnn": "architectures.convolutional",
    "committee": "architectures.committees",
    "data": "data",
    "densenet": "architectures.residual",
    "diagnose": "diagnostics.diagnose",
    "dominated": "architectures.counterexamples",
    "dropout": "architectures.thinned",
    "errors": "errors",
    "explore": "explorer.notebook",
    "few_active": "architectures.counterexamples",
    "forecast": "forecasting",
    "from_networkx": "architectures.neurons",
    "from_neurons": "architectures.neurons",
    "from_torch": "torch_modules",
    "kernel_regression": "dynamics.closed_form",
    "lazy": "architectures.lazy",
    "lessons": "lessons",
    "limit_kernels": "limits.kernels",
    "linearity_surface": "diagnostics.sweep",
    "load": "interchange",
    "load_history": "dynamics.history",
    "mean_field": "architectures.counterexamples",
    "mlp": "architectures.layered",
    "orthogonal_chain": "architectures.orthogonal",
    "power_law": "architectures.counterexamples",
    "random_dag": "architectures.dag",
    "resnet": "architectures.residual",
    "save": "interchange",
    "submodel": "architectures.own",
    "tied": "architectures.counterexamples",
    "train": "dynamics.train",
    "uneven_dag": "architectures.dag",
}

__all__ = [
    "Assembly",
    "Diagnosis",
    "Edge",
    "Estimate",
    "Forecast",
    "History",
    "Layer",
    "LimitKernels",
    "LinearitySurface",
    "LinearizedModel",
    "Neuron",
    "SubModel",
    "bottleneck",
    "check_submodel",
    "cnn",
    "committee",
    "densenet",
    "diagnose",
    "dominated",
    "dropout",
    "explore",
    "few_active",
    "forecast",
    "from_networkx",
    "from_neurons",
    "from_torch",
    "kernel_regression",
    "lazy",
    "limit_kernels",
    "linearity_surface",
    "load",
    "load_history",
    "mean_field",
    "mlp",
    "orthogonal_chain",
    "power_law",
    "random_dag",
    "resnet",
    "save",
    "submodel",
    "tied",
    "train",
    "uneven_dag",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'assembly' has no attribute {name!r}; public names: {', '.join(sorted(_HOME))}")
    module = importlib.import_module(f"assembly.{_HOME[name]}")
    return module if name == _HOME[name] else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
