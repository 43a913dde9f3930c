"""Convolutional networks in one and two dimensions, with average pooling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from assembly.architectures.construction import Construction, check_options
from assembly.checks import check_count, check_counts, check_name
from assembly.errors import ArgumentError
from assembly.graph.connections import Convolution, Sparse, Tied
from assembly.graph.windows import Windows
from assembly.memory import check_fits
from assembly.model import Assembly

SAME = "same"


def cnn(
    shape: Sequence[int],
    channels: Sequence[int],
    kernel: int | Sequence[int] = 3,
    activation: str = "tanh",
    *,
    n_channels: int = 1,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = SAME,
    pool: int | Sequence[int] = 1,
    seed: int = 0,
    n_outputs: int = 1,
    readout: str = "gaussian",
    trainable_readout: bool = True,
    bias: bool = False,
    output_activation: str = "identity",
    dtype: DTypeLike = np.float64,
) -> Assembly:
    r"""Return a convolutional network: neurons of one channel share their weights, and see a window each.

    Neuron (o, p) of a layer, channel o at place p, reads the pixels of its window in all c channels below, the kernel
    having k taps, the stride s and the padding q; the output reads all neurons of the last layer, n of them:

    .. math:: z_{o,p} = \frac{1}{\sqrt{c k}} \sum_{i=1}^{c} \sum_\tau W_{o,i,\tau}\, a_{i,\, s p + \tau - q} + b_o,
              \quad a_{o,p} = \sigma(z_{o,p}), \quad f = \sigma_{out}\Bigl(\frac{1}{\sqrt n}\, v \cdot a^{(L)} + b\Bigr)

    The kernel is not flipped. The padding holds no neurons: a window on the border has fewer edges, and the same factor
    :math:`1/\sqrt{ck}` as the others, as if the padding held zeros.

    Parameters
    ----------
    shape : sequence of int
        (length,) or (height, width) of the inputs.
    channels : sequence of int
        Channels of every layer.
    kernel : int or sequence of int
        Size of the kernels, one for every dimension or one for all.
    activation : str
        One of `assembly.activations.NAMES`.
    n_channels : int
        Channels of the inputs, which stand channel by channel, the pixels of each row by row: an image of shape
        (n_channels, height, width), flattened.
    stride : int or sequence of int
        Step between windows.
    padding : "same", int or sequence of int
        Pixels added on each of both sides, fewer than the kernel has. "same" is kernel // 2, which gives one window for
        every pixel at stride 1, and one for every s-th at stride s; only odd kernels have such a middle.
    pool : int or sequence of int
        Average pooling after a layer, one for every layer or one for all: its activations are averaged over windows of
        that many pixels along each dimension, which do not overlap. Pixels left over at the end are dropped. 1 is none.
    seed : int
        Networks of other seeds, sizes or dtypes are independent.
    n_outputs : int
    readout : {"gaussian", "sign"}
        Initial readout weights: N(0, 1), or +1 and -1 with equal chance.
    trainable_readout : bool
        False makes the readout weights fixed coefficients.
    bias : bool
        A trainable bias, N(0, 1), for every channel and output, with factor 1.
    output_activation : str
        Activation function of the outputs, or "softmax" over all of them.
    dtype : {float64, float32}

    Returns
    -------
    Assembly
        Parameters in the order W1, b1, W2, b2, ..., readout, its bias; kernels as an array of shape (channels, channels
        below, \*kernel), row by row. The width is the smallest number of edges of a window of the layers above the
        first, or n. Averages are neurons without trainable in-edges: they are contracted where width is counted.

    Raises
    ------
    ArgumentError
        If a count is out of range, `shape` has not one or two entries, a kernel exceeds the padded image, pooling
        leaves nothing, `padding` does not fit the kernel, `dtype` is another one, or a softmax has one output.
    UnknownNameError
        If a name is not known; the message gives the nearest.
    ResourceError
        If the parameters and windows do not fit in the memory that is free.

    Notes
    -----
    Cost: its random numbers, as many as there are weights, and a table of the pixel that each window sees at each tap.
    A pass is one matrix product for a layer, with what the windows see: one column of c k numbers for each.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), Gradient-based learning applied to document recognition,
       Proc. IEEE 86, 2278-2324.

    Examples
    --------
    >>> cnn(shape=(8, 8), channels=[16, 16], kernel=3, pool=2, seed=0)
    Assembly: 64 inputs, 1 output, 2,512 parameters, width 64, float64
      layer 0: 64 input
      layer 1: 1024 tanh; z = 0.333333 x 3x3 convolution from layer 0
      layer 2: 256 identity; z = 0.25 x frozen sparse from layer 1
      layer 3: 256 tanh; z = 0.0833333 x 3x3 convolution from layer 2
      layer 4: 64 identity; z = 0.25 x frozen sparse from layer 3
      layer 5: 1 identity; z = 0.125 x dense from layer 4
    """
    images = check_counts("shape", shape)
    if len(images) > 2:
        raise ArgumentError(
            f"The 'shape' argument must be (length,) or (height, width); channels go into 'n_channels'. Got {images}."
        )
    stack = (check_count("n_channels", n_channels), *check_counts("channels", channels))
    options = check_options(activation, seed, n_outputs, readout, trainable_readout, output_activation, dtype)
    layers = _windows(images, stack, kernel, stride, padding, _pools(pool, len(stack) - 1))
    n_last = stack[-1] * layers[-1][-1].n_windows
    _check_memory(layers, stack, n_last * options.n_outputs, options.dtype)

    kernel_size = layers[0][0].kernel
    stream: tuple[str | int, ...] = ("cnn", *images, "channels", *stack, "kernel", *kernel_size, n_last, n_outputs)
    network = Construction(stack[0] * math.prod(images), options, stream, bias)
    source = 0
    for n_target, (convolved, pooled) in zip(stack[1:], layers, strict=True):
        target = network.add_group(n_target * convolved.n_windows, activation)
        network.connect(_convolution(source, target, convolved, n_target))
        if bias:
            network.connect(_biases(network.constant, target, n_target, convolved.n_windows))
        source = target
        if pooled.n_taps > 1:
            source = network.add_group(n_target * pooled.n_windows, "identity")
            network.connect(_averages(target, source, pooled))
    output = network.add_readout([source], 1.0 / math.sqrt(n_last))
    if bias:
        network.add_biases(output)
    return network.finish()


def _convolution(source: int, target: int, windows: Windows, n_channels: int) -> Convolution:
    n_source, n_target = windows.channels * windows.n_pixels, n_channels * windows.n_windows
    factor = np.full(n_target, 1.0 / math.sqrt(windows.channels * windows.n_taps))
    return Convolution(source, target, n_source, n_target, factor, windows, n_channels)


def _biases(constant: int, target: int, n_channels: int, n_windows: int) -> Tied:
    """Return one bias a channel, read by all its neurons."""
    n_target = n_channels * n_windows
    rows, nothing = np.arange(n_target + 1, dtype=np.int64), np.zeros(n_target, dtype=np.int32)
    number = np.repeat(np.arange(n_channels, dtype=np.int32), n_windows)
    return Tied(constant, target, 1, n_target, np.ones(n_target), rows, nothing, number, n_channels)


def _averages(source: int, target: int, windows: Windows) -> Sparse:
    """Return the fixed edges of average pooling, channel by channel."""
    n_target = windows.channels * windows.n_windows
    first = windows.n_pixels * np.arange(windows.channels)
    indices = (first[:, None, None] + windows.pixels).ravel().astype(np.int32)
    rows = windows.n_taps * np.arange(n_target + 1, dtype=np.int64)
    factor = np.full(n_target, 1.0 / windows.n_taps)
    return Sparse(
        source, target, windows.channels * windows.n_pixels, n_target, factor, rows, indices, np.ones(len(indices))
    )


def _windows(
    image: tuple[int, ...],
    stack: tuple[int, ...],
    kernel: int | Sequence[int],
    stride: int | Sequence[int],
    padding: str | int | Sequence[int],
    pools: tuple[int, ...],
) -> list[tuple[Windows, Windows]]:
    """Return the windows of the convolution and of the pooling of every layer."""
    size, step = _for_dimensions("kernel", kernel, image), _for_dimensions("stride", stride, image)
    added = _padding(padding, size)
    layers = []
    for layer, (n_source, n_target, pool) in enumerate(zip(stack[:-1], stack[1:], pools, strict=True), start=1):
        convolved = Windows(n_source, image, size, step, added)
        if min(convolved.output_shape) < 1:
            raise ArgumentError(
                f"The 'kernel' argument must not exceed the image of layer {layer}, {image} with padding {added}. "
                f"Got {size}."
            )
        window = (pool,) * len(image)
        pooled = Windows(n_target, convolved.output_shape, window, window, (0,) * len(image))
        if min(pooled.output_shape) < 1:
            raise ArgumentError(
                f"The 'pool' argument must leave something of layer {layer}, whose channels have shape "
                f"{convolved.output_shape}. Got {pool}."
            )
        layers.append((convolved, pooled))
        image = pooled.output_shape
    return layers


def _padding(padding: str | int | Sequence[int], kernel: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(padding, str):
        check_name("padding", padding, [SAME])
        if any(size % 2 == 0 for size in kernel):
            raise ArgumentError(f"The 'padding' argument can be 'same' for odd kernels only. Got kernel {kernel}.")
        return tuple(size // 2 for size in kernel)
    added = _for_dimensions("padding", padding, kernel, minimum=0)
    if any(p >= size for p, size in zip(added, kernel, strict=True)):
        raise ArgumentError(f"The 'padding' argument must be smaller than the kernel, {kernel}. Got {added}.")
    return added


def _pools(pool: int | Sequence[int], n_layers: int) -> tuple[int, ...]:
    if not isinstance(pool, Sequence | np.ndarray):
        return (check_count("pool", pool),) * n_layers
    pools = check_counts("pool", pool)
    if len(pools) != n_layers:
        raise ArgumentError(f"The 'pool' argument must be an int, or one for each of {n_layers} layers. Got {pool!r}.")
    return pools


def _for_dimensions(
    argument: str, value: int | Sequence[int], dimensions: tuple[int, ...], minimum: int = 1
) -> tuple[int, ...]:
    """Return one number for every dimension."""
    n = len(dimensions)
    if not isinstance(value, Sequence | np.ndarray):
        return (check_count(argument, value, minimum),) * n
    numbers = check_counts(argument, value, minimum)
    if len(numbers) != n:
        raise ArgumentError(
            f"The '{argument}' argument must be an int, or one for each of {n} dimensions. Got {value!r}."
        )
    return numbers


def _check_memory(
    layers: list[tuple[Windows, Windows]], stack: tuple[int, ...], n_readout: int, dtype: np.dtype[Any]
) -> None:
    """Refuse weights, tables of pixels, and what the windows of one layer see, where they do not fit."""
    kernels = zip(itertools.pairwise(stack), layers, strict=True)
    n_weights = n_readout + sum(below * above * convolved.n_taps for (below, above), (convolved, _) in kernels)
    tables = sum(windows.n_windows * windows.n_taps for pair in layers for windows in pair)
    seen = max(windows.channels * windows.n_windows * windows.n_taps for pair in layers for windows in pair)
    check_fits(
        f"A network of {n_weights:,} weights and windows that see {seen:,} numbers",
        (n_weights + seen) * dtype.itemsize + 8 * tables,
        "use fewer channels, a larger stride or dtype float32",
    )
