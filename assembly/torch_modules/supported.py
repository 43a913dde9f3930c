"""What can be read, by module, function and method of torch, and the handler of each."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from assembly.torch_modules import layers, operations
from assembly.torch_modules.draft import UnsupportedError, fixed

Handler = Callable[..., int]
Read = Callable[[Any], Any]  # the `Weights` of a tensor, None for None


def _linear(module: Any, read: Read) -> Handler:
    return partial(layers.linear, weight=read(module.weight), bias=read(module.bias))


def _convolution(module: Any, read: Read) -> Handler:
    if module.padding_mode != "zeros":
        raise UnsupportedError(f"padding_mode must be 'zeros'. Got {module.padding_mode!r}")
    geometry = {name: getattr(module, name) for name in ("stride", "padding", "dilation", "groups")}
    return partial(layers.convolution, weight=read(module.weight), bias=read(module.bias), **geometry)


def _average_pooling(module: Any, read: Read) -> Handler:
    names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    options = {name: getattr(module, name) for name in names}
    dimensions = 1 if type(module) is nn.AvgPool1d else 2
    override = getattr(module, "divisor_override", None)
    return partial(layers.average_pooling, **options, divisor_override=override, dimensions=dimensions)


def _adaptive_average_pooling(module: Any, read: Read) -> Handler:
    dimensions = 1 if type(module) is nn.AdaptiveAvgPool1d else 2
    return partial(layers.adaptive_average_pooling, output_size=module.output_size, dimensions=dimensions)


def _batch_norm(module: Any, read: Read) -> Handler:
    """Return the handler of ``gamma (x - mean) / sqrt(var + eps) + beta``."""
    if module.running_var is None:
        raise UnsupportedError("it has no running statistics: samples of a batch would depend on each other")
    tensors = (module.running_mean, module.running_var, module.weight, module.bias)
    mean, variance, gamma, beta = (None if found is None else found.used for found in map(read, tensors))
    scale = (1.0 if gamma is None else gamma) / np.sqrt(variance + module.eps)
    offset = (0.0 if beta is None else beta) - mean * scale
    return partial(layers.batch_norm, scale=fixed(scale), offset=fixed(offset))


def _activation(name: str) -> Callable[[Any, Read], Handler]:
    return lambda module, read: partial(operations.activation, name=name)


def _unchanged(module: Any, read: Read) -> Handler:
    return operations.same


MODULES: dict[type, Callable[[Any, Read], Handler]] = {
    nn.Linear: _linear,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.AvgPool1d: _average_pooling,
    nn.AvgPool2d: _average_pooling,
    nn.AdaptiveAvgPool1d: _adaptive_average_pooling,
    nn.AdaptiveAvgPool2d: _adaptive_average_pooling,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Flatten: _unchanged,
    nn.Identity: _unchanged,
    nn.Dropout: _unchanged,
    nn.Dropout1d: _unchanged,
    nn.Dropout2d: _unchanged,
    nn.AlphaDropout: _unchanged,
    nn.Tanh: _activation("tanh"),
    nn.Sigmoid: _activation("sigmoid"),
    nn.ReLU: _activation("relu"),
    nn.SiLU: _activation("swish"),
    nn.GELU: lambda module, read: partial(operations.gelu, approximate=module.approximate),
    nn.Softplus: lambda module, read: partial(operations.softplus, beta=module.beta, threshold=module.threshold),
    nn.Softmax: lambda module, read: partial(operations.softmax, dim=module.dim),
}

KINDS = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "sin": "sin", "cos": "cos", "exp": "exp", "erf": "erf"}
ARITHMETIC: dict[str, Handler] = {  # of values and numbers in any order
    "add": operations.add,
    "sub": operations.subtract,
    "mul": operations.multiply,
    "div": operations.divide,
    "pow": operations.power,
    "matmul": operations.matrix_product,
}
OF_ONE: dict[str, Handler] = {  # of one value
    "neg": operations.negative,
    "softmax": operations.softmax,
    **{name: partial(operations.activation, name=kind) for name, kind in {**KINDS, "square": "quadratic"}.items()},
    **dict.fromkeys(("flatten", "reshape", "squeeze", "unsqueeze"), operations.same),
}
METHODS: Mapping[str, Handler] = {
    **ARITHMETIC,
    **OF_ONE,
    "view": operations.same,
    "contiguous": operations.same,
}
FUNCTIONS: Mapping[Callable[..., Any], Handler] = {
    **{getattr(torch, name): handler for name, handler in (ARITHMETIC | OF_ONE).items()},
    **{getattr(torch, f"{name}_"): handler for name, handler in OF_ONE.items() if hasattr(torch, f"{name}_")},
    operator.add: operations.add,
    operator.iadd: operations.add,
    operator.sub: operations.subtract,
    operator.isub: operations.subtract,
    operator.mul: operations.multiply,
    operator.imul: operations.multiply,
    operator.truediv: operations.divide,
    operator.itruediv: operations.divide,
    operator.neg: operations.negative,
    operator.pow: operations.power,
    operator.matmul: operations.matrix_product,
    torch.cat: operations.concatenate,
    torch.concat: operations.concatenate,
    functional.linear: layers.linear,
    functional.conv1d: layers.convolution,
    functional.conv2d: layers.convolution,
    functional.avg_pool1d: partial(layers.average_pooling, dimensions=1),
    functional.avg_pool2d: partial(layers.average_pooling, dimensions=2),
    functional.adaptive_avg_pool1d: partial(layers.adaptive_average_pooling, dimensions=1),
    functional.adaptive_avg_pool2d: partial(layers.adaptive_average_pooling, dimensions=2),
    functional.relu: OF_ONE["relu"],
    functional.silu: partial(operations.activation, name="swish"),
    functional.gelu: operations.gelu,
    functional.softplus: operations.softplus,
    functional.softmax: operations.softmax,
    functional.dropout: operations.dropout,
    functional.dropout1d: operations.dropout,
    functional.dropout2d: operations.dropout,
}
TAKES_SEVERAL = (*ARITHMETIC.values(), operations.concatenate)
