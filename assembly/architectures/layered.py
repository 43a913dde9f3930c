"""Fully connected networks: a neuron of every layer is an assembly of those below."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from assembly.architectures.construction import Construction, check_options, check_weights
from assembly.checks import check_count, check_counts, check_name, check_number
from assembly.errors import ArgumentError
from assembly.model import Assembly

PARAMETRIZATIONS = ("ntk", "standard", "mean-field")


def mlp(
    n_inputs: int,
    widths: Sequence[int],
    activation: str = "tanh",
    *,
    seed: int = 0,
    n_outputs: int = 1,
    readout: str = "gaussian",
    trainable_readout: bool = True,
    bias: bool = False,
    output_activation: str = "identity",
    parametrization: str = "ntk",
    gamma: float | None = None,
    dtype: DTypeLike = np.float64,
) -> Assembly:
    r"""Return a fully connected network, a neuron of every layer being an assembly of those below.

    .. math:: z^{(l)} = \frac{1}{\sqrt{m_{l-1}}} W^{(l)} a^{(l-1)} + b^{(l)}, \quad a^{(l)} = \sigma(z^{(l)}), \quad
              f = \sigma_{out}\Bigl(\frac{1}{m_L^{\gamma}}\, v \cdot a^{(L)} + b\Bigr)

    Parameters
    ----------
    n_inputs : int
    widths : sequence of int
        Layer widths, from the first hidden layer to the last.
    activation : str
        One of `assembly.activations.NAMES`.
    seed : int
        Networks of other seeds, widths or dtypes are independent.
    n_outputs : int
    readout : {"gaussian", "sign"}
        Initial readout weights: N(0, 1), or +1 and -1 with equal chance.
    trainable_readout : bool
        False makes the readout weights fixed coefficients.
    bias : bool
        A trainable bias, N(0, 1), on every neuron and output, with factor 1.
    output_activation : str
        Activation function of the outputs, or "softmax" over all of them.
    parametrization : {"ntk", "standard", "mean-field"}
        "ntk": weights N(0, 1) and the factor 1/sqrt(fan-in) in the forward pass. "standard": the factor sits in the
        standard deviation, the forward pass has factor 1, and biases begin at 0. "mean-field": as "ntk" with gamma = 1.
    gamma : float, optional
        Exponent of the readout scale s(m) = m^gamma; 1/2, or 1 for "mean-field".
    dtype : {float64, float32}

    Returns
    -------
    Assembly
        Parameters in the order W1, b1, W2, b2, ..., readout, its bias; each matrix row by row, a row per target.

    Raises
    ------
    ArgumentError
        If a count is below 1, `gamma` contradicts the parametrisation, `dtype` is another one, or a softmax has one
        output.
    UnknownNameError
        If a name is not known; the message gives the nearest.
    ResourceError
        If the parameters do not fit in the memory that is free.

    Notes
    -----
    Built in the time its random numbers take; the weights are held once.

    Examples
    --------
    >>> mlp(n_inputs=64, widths=[512, 512], activation="tanh", seed=0)
    Assembly: 64 inputs, 1 output, 295,424 parameters, width 512, float64
      layer 0: 64 input
      layer 1: 512 tanh; z = 0.125 x dense from layer 0
      layer 2: 512 tanh; z = 0.0441942 x dense from layer 1
      layer 3: 1 identity; z = 0.0441942 x dense from layer 2
    """
    sizes = (check_count("n_inputs", n_inputs), *check_counts("widths", widths), check_count("n_outputs", n_outputs))
    options = check_options(activation, seed, n_outputs, readout, trainable_readout, output_activation, dtype)
    exponent = _scale_exponent(parametrization, gamma)
    check_weights(sum(n_source * n_target for n_source, n_target in itertools.pairwise(sizes)), options.dtype)
    in_forward = parametrization != "standard"

    def factor_and_deviation(scale: float) -> tuple[float, float]:
        return (scale, 1.0) if in_forward else (1.0, scale)

    network = Construction(sizes[0], options, sizes, bias)
    source = 0
    for n_source, n_target in itertools.pairwise(sizes[:-1]):
        target = network.add_group(n_target, activation)
        network.connect_densely(source, target, *factor_and_deviation(1.0 / math.sqrt(n_source)))
        if bias:
            network.add_biases(target, 1.0 if in_forward else 0.0)
        source = target
    output = network.add_readout([source], *factor_and_deviation(sizes[-2] ** -exponent))
    if bias:
        network.add_biases(output, 1.0 if in_forward else 0.0)
    return network.finish()


def bottleneck(n_inputs: int, widths: Sequence[int], activation: str = "tanh", **options: Any) -> Assembly:
    """Return a fully connected network with a bottleneck: a hidden layer narrower than both its neighbours.

    The minimum in-degree is the bottleneck's width however wide the rest, so the theory promises no transition to
    linearity. Options are those of `mlp`.

    Raises
    ------
    ArgumentError
        If no hidden layer between the first and the last is narrower than its neighbours; and as `mlp`.

    Examples
    --------
    >>> bottleneck(n_inputs=64, widths=[512, 1, 512], activation="tanh", seed=0).width
    1
    """
    sizes = check_counts("widths", widths)
    inner = zip(sizes[:-2], sizes[1:-1], sizes[2:], strict=True)
    if not any(narrow < min(before, after) for before, narrow, after in inner):
        raise ArgumentError(
            "The 'widths' argument must hold a layer narrower than the one before and the one after, "
            f"such as [512, 1, 512]. Got {list(sizes)}."
        )
    return mlp(n_inputs, sizes, activation, **options)


def _scale_exponent(parametrization: str, gamma: float | None) -> float:
    check_name("parametrization", parametrization, PARAMETRIZATIONS)
    default = 1.0 if parametrization == "mean-field" else 0.5
    exponent = default if gamma is None else check_number("gamma", gamma)
    if parametrization == "mean-field" and exponent != 1.0:
        raise ArgumentError(f"The 'gamma' argument must be 1 with parametrization 'mean-field'. Got {gamma!r}.")
    return exponent
