"""Networks from PyTorch; PyTorch itself is loaded when the first one is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from assembly.checks import check_dtype
from assembly.model import Assembly
from assembly.torch_export import check_torch

if TYPE_CHECKING:
    from torch import nn


def from_torch(
    module: nn.Module, input_shape: Sequence[int] | None = None, *, dtype: DTypeLike = np.float64
) -> Assembly:
    r"""Return a torch module as an assembly: the same function of the same parameters, in eval mode.

    A layer ``activation(linear(x))`` becomes :math:`a_v = \sigma(\sum_u c_v w_{uv} a_u + c_v b_v)` with all
    :math:`c_v = 1`. What has no parameters (sums, concatenations, average pooling, multiples) becomes fixed edges.

    Parameters
    ----------
    module : torch.nn.Module
        Whatever `torch.fx` traces, made of: Linear, Conv1d, Conv2d (groups and dilation 1, padding with zeros),
        AvgPool, AdaptiveAvgPool, BatchNorm, Flatten, Dropout, Identity, Tanh, Sigmoid, ReLU, SiLU, GELU, Softplus,
        Softmax, and their functions and methods; sin, cos, exp, erf, squares; sums, differences, concatenation;
        products with numbers and parameters; changes of shape that keep the batch. Left as it is.
    input_shape : sequence of int, optional
        Shape of one input without the batch dimension; known if nn.Linear comes first.
    dtype : {float64, float32}
        Of the assembly.

    Returns
    -------
    Assembly
        Inputs and outputs are flat, in C order. The parameters are those of the module in the order of
        ``module.parameters()``, leaving out those without gradient, those of BatchNorm, and those not used. A parameter
        used in several places is one parameter with tied edges.

    Raises
    ------
    ArgumentError
        If PyTorch is not installed, `module` is no module, `input_shape` is needed, or a parameter is not real.
    GraphError
        If something is not supported (the message names it and its place), has hooks, or cannot be traced.
    ShapeError
        If the module does not take inputs of that shape.
    NonFiniteError
        If a parameter is NaN or infinite.

    Notes
    -----
    Dropout is off and BatchNorm uses its running statistics, whatever ``module.training`` says. BatchNorm becomes part
    of the factors c_v of what it normalises, and a fixed offset; its own weight and bias are fixed. Softplus is exact
    everywhere; torch's is the identity above its threshold of 20, off by at most 2.1e-9.

    A module that `Assembly.to_torch` made gives back its graph with the numbers it has now.

    Cost: one pass of the module over seven samples of zeros, and memory for four copies of the weights. Parameters that
    are used several times take 24 bytes an edge.

    References
    ----------
    .. [1] J. Reed, Z. DeVito, H. He, A. Ussery, J. Ansel (2022), torch.fx: Practical program capture and transformation
       for deep learning in Python, MLSys.

    Examples
    --------
    >>> import torch
    >>> module = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    >>> from_torch(module)
    Assembly: 4 inputs, 1 output, 97 parameters, width 16, float64
      layer 0: 4 input
      layer 1: 16 tanh; z = 1 x dense from layer 0 + 1 x bias
      layer 2: 1 identity; z = 1 x dense from layer 1 + 1 x bias
    """
    check_torch("from_torch")
    kind = check_dtype(dtype)
    from assembly.torch_modules.conversion import convert

    graph, parameters = convert(module, input_shape)
    return Assembly.from_graph(graph, parameters.astype(kind, copy=False))
