"""Networks with skips: fixed ones in residual networks, trainable ones in densely connected networks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from assembly.architectures.construction import Construction, check_options, check_weights
from assembly.checks import check_count, check_counts
from assembly.graph.connections import Sparse
from assembly.model import Assembly


def resnet(
    n_inputs: int,
    width: int,
    n_blocks: int,
    activation: str = "tanh",
    *,
    seed: int = 0,
    n_outputs: int = 1,
    readout: str = "gaussian",
    trainable_readout: bool = True,
    output_activation: str = "identity",
    dtype: DTypeLike = np.float64,
) -> Assembly:
    r"""Return a residual network of n blocks: every block adds to what it reads.

    .. math:: a_0 = \sigma\Bigl(\frac{1}{\sqrt d} W_0 x\Bigr), \quad
              a_l = a_{l-1} + \sigma\Bigl(\frac{1}{\sqrt m} W_l a_{l-1}\Bigr), \quad
              f = \sigma_{out}\Bigl(\frac{1}{\sqrt m}\, v \cdot a_n\Bigr)

    The identity skips are fixed edges with factor 1. The sums are neurons without trainable in-edges: they are
    contracted where width and depth are counted.

    Parameters
    ----------
    n_inputs : int
        d.
    width : int
        m, the layer width of every block.
    n_blocks : int
        n.
    activation : str
        One of `assembly.activations.NAMES`.
    seed : int
        Networks of other seeds, sizes or dtypes are independent.
    n_outputs : int
    readout : {"gaussian", "sign"}
        Initial readout weights: N(0, 1), or +1 and -1 with equal chance.
    trainable_readout : bool
        False makes the readout weights fixed coefficients.
    output_activation : str
        Activation function of the outputs, or "softmax" over all of them.
    dtype : {float64, float32}

    Returns
    -------
    Assembly
        Parameters in the order W0, W1, ..., Wn, readout; each matrix row by row, a row per target. The width is m.
        Each block is two layers: its neurons, then the sums.

    Raises
    ------
    ArgumentError
        If a count is out of range, `dtype` is another one, or a softmax has one output.
    UnknownNameError
        If a name is not known; the message gives the nearest.
    ResourceError
        If the parameters do not fit in the memory that is free.

    Notes
    -----
    Built in the time its random numbers take, d m + n m^2 + m n_outputs of them.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun (2016), Deep residual learning for image recognition, CVPR, 770-778.

    Examples
    --------
    >>> resnet(n_inputs=16, width=64, n_blocks=1, seed=0)
    Assembly: 16 inputs, 1 output, 5,184 parameters, width 64, float64
      layer 0: 16 input
      layer 1: 64 tanh; z = 0.25 x dense from layer 0
      layer 2: 64 tanh; z = 0.125 x dense from layer 1
      layer 3: 64 identity; z = 1 x frozen sparse from layer 1 + 1 x frozen sparse from layer 2
      layer 4: 1 identity; z = 0.125 x dense from layer 3
    """
    d, m, n = check_count("n_inputs", n_inputs), check_count("width", width), check_count("n_blocks", n_blocks)
    options = check_options(activation, seed, n_outputs, readout, trainable_readout, output_activation, dtype)
    check_weights(m * (d + n * m + options.n_outputs), options.dtype)
    network = Construction(d, options, ("resnet", d, m, n, options.n_outputs))
    total = network.add_group(m, activation)
    network.connect_densely(0, total, 1.0 / math.sqrt(d))
    for _ in range(n):
        before, block = total, network.add_group(m, activation)
        network.connect_densely(before, block, 1.0 / math.sqrt(m))
        total = network.add_group(m, "identity")
        network.connect(_identity(before, total, m))
        network.connect(_identity(block, total, m))
    network.add_readout([total], 1.0 / math.sqrt(m))
    return network.finish()


def densenet(
    n_inputs: int,
    widths: Sequence[int],
    activation: str = "tanh",
    *,
    seed: int = 0,
    n_outputs: int = 1,
    readout: str = "gaussian",
    trainable_readout: bool = True,
    output_activation: str = "identity",
    dtype: DTypeLike = np.float64,
) -> Assembly:
    r"""Return a densely connected network: every layer, and the output, reads the inputs and all layers before it.

    With :math:`a_0 = x` and :math:`n_l = d + m_1 + \dots + m_{l-1}` parents of a neuron of layer l,

    .. math:: a_l = \sigma\Bigl(\frac{1}{\sqrt{n_l}} \sum_{k < l} W_{lk}\, a_k\Bigr), \quad
              f = \sigma_{out}\Bigl(\frac{1}{\sqrt{n_{L+1}}} \sum_{k \le L} v_k \cdot a_k\Bigr)

    Parameters
    ----------
    n_inputs : int
        d.
    widths : sequence of int
        Layer widths m_1, ..., m_L.
    activation : str
        One of `assembly.activations.NAMES`.
    seed : int
        Networks of other seeds, sizes or dtypes are independent.
    n_outputs : int
    readout : {"gaussian", "sign"}
        Initial readout weights: N(0, 1), or +1 and -1 with equal chance.
    trainable_readout : bool
        False makes the readout weights fixed coefficients.
    output_activation : str
        Activation function of the outputs, or "softmax" over all of them.
    dtype : {float64, float32}

    Returns
    -------
    Assembly
        Parameters in the order W10, W20, W21, W30, W31, W32, ..., readout of the inputs, of layer 1, and so on; each
        matrix row by row, a row per target. The width is that of layer 2, the smallest: d + m_1.

    Raises
    ------
    ArgumentError
        If a count is out of range, `dtype` is another one, or a softmax has one output.
    UnknownNameError
        If a name is not known; the message gives the nearest.
    ResourceError
        If the parameters do not fit in the memory that is free.

    Notes
    -----
    Built in the time its random numbers take, as many as there are pairs of layers times their widths.

    References
    ----------
    .. [1] G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger (2017), Densely connected convolutional networks, CVPR,
       4700-4708.

    Examples
    --------
    >>> densenet(n_inputs=4, widths=[60, 36], seed=0)
    Assembly: 4 inputs, 1 output, 2,644 parameters, width 64, float64
      layer 0: 4 input
      layer 1: 60 tanh; z = 0.5 x dense from layer 0
      layer 2: 36 tanh; z = 0.125 x dense from layer 0 + 0.125 x dense from layer 1
      layer 3: 1 identity; z = 0.1 x dense from layer 0 + 0.1 x dense from layer 1 + 0.1 x dense from layer 2
    """
    sizes = (check_count("n_inputs", n_inputs), *check_counts("widths", widths))
    options = check_options(activation, seed, n_outputs, readout, trainable_readout, output_activation, dtype)
    targets = (*sizes[1:], options.n_outputs)
    n_parents = np.cumsum(sizes).tolist()
    check_weights(sum(n * size for n, size in zip(n_parents, targets, strict=True)), options.dtype)
    network = Construction(sizes[0], options, ("densenet", *sizes, options.n_outputs))
    for layer, size in enumerate(sizes[1:], start=1):
        target = network.add_group(size, activation)
        for source in range(layer):
            network.connect_densely(source, target, 1.0 / math.sqrt(n_parents[layer - 1]))
    network.add_readout(range(len(sizes)), 1.0 / math.sqrt(n_parents[-1]))
    return network.finish()


def _identity(source: int, target: int, size: int) -> Sparse:
    """Return fixed edges with weight and factor 1 between the neurons of two groups, each to its own."""
    rows, ones = np.arange(size + 1, dtype=np.int64), np.ones(size)
    return Sparse(source, target, size, size, ones, rows, rows[:-1].astype(np.int32), ones)
