"""What a linear layer, a convolution, a pooling and a batch normalisation are in a graph.

Every function here and in `operations` adds to a draft what one call of torch computes, with the arguments of that
call, and returns the group that holds the answer; `shape` is that of the answer, without the batch dimension.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.graph.windows import Windows
from assembly.torch_modules.draft import Draft, UnsupportedError, Value, Weights, fixed

Shape = tuple[int, ...]


def linear(draft: Draft, shape: Shape, input: Value, weight: Weights, bias: Weights | None = None) -> int:
    """Add x W^T + b, along the last axis; one weight is shared by all places on the other axes."""
    if weight.number.ndim != 2 or input.shape[-1:] != weight.number.shape[1:]:
        raise UnsupportedError("it takes a weight matrix and an input with a batch dimension")
    n_out, n_in = weight.number.shape
    n_places, target = math.prod(input.shape[:-1]), draft.add_group(math.prod(shape))
    if n_places == 1:
        draft.connect_densely(input.group, target, weight)
    else:
        rows = np.repeat(np.arange(n_places * n_out), n_in)
        columns = rows // n_out * n_in + np.tile(np.arange(n_in), n_places * n_out)
        number = np.tile(weight.number.ravel(), n_places)
        draft.connect(input.group, target, rows, columns, Weights(weight.values, number, weight.parameter))
    if bias is not None:
        draft.shift(target, _repeated(bias, np.broadcast_to(bias.number, shape)))
    return target


def convolution(
    draft: Draft,
    shape: Shape,
    input: Value,
    weight: Weights,
    bias: Weights | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> int:
    """Add a convolution over as many dimensions as the kernel has."""
    n_channels, channels, *kernel = weight.number.shape
    n = len(kernel)
    if len(input.shape) != n + 1:
        raise UnsupportedError(f"its input must be channels and {n} dimensions, beside the batch. Got {input.shape}")
    if groups != 1 or set(per_dimension(dilation, n)) != {1}:
        raise UnsupportedError(f"groups and dilation must be 1. Got groups={groups}, dilation={dilation}")
    if padding == "same":
        added = tuple(k // 2 for k in kernel)
    else:
        added = per_dimension(0 if isinstance(padding, str) else padding, n)
    windows = Windows(channels, input.shape[1:], tuple(kernel), per_dimension(stride, n), added)
    kept = None
    if windows.output_shape != shape[1:]:  # "same" with an even kernel pads one less on the left: no first window
        every = np.arange(n_channels * windows.n_windows).reshape(n_channels, *windows.output_shape)
        kept = every[(slice(None), *(slice(-size, None) for size in shape[1:]))].ravel()
    target = draft.add_group(math.prod(shape))
    draft.connect_by_windows(input.group, target, windows, weight, kept)
    if bias is not None:
        draft.shift(target, _repeated(bias, np.repeat(bias.number, math.prod(shape[1:]))))
    return target


def average_pooling(
    draft: Draft,
    shape: Shape,
    input: Value,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    dimensions: int,
) -> int:
    """Add averages over windows."""
    if ceil_mode or divisor_override is not None:
        raise UnsupportedError(
            f"ceil_mode and divisor_override must be left out. Got ceil_mode={ceil_mode}, "
            f"divisor_override={divisor_override}"
        )
    kernel = per_dimension(kernel_size, dimensions)
    steps = kernel if stride is None or stride == [] else per_dimension(stride, dimensions)
    added = per_dimension(padding, dimensions)
    axes = []
    for n, n_windows, k, s, p in zip(input.shape[-dimensions:], shape[-dimensions:], kernel, steps, added, strict=True):
        begin = s * np.arange(n_windows) - p
        axes.append(_averages(n, begin, begin + k, k if count_include_pad else None))
    return _pool(draft, input, axes)


def adaptive_average_pooling(draft: Draft, shape: Shape, input: Value, output_size: Any, *, dimensions: int) -> int:
    """Add averages over windows that cut every axis into as many parts, from floor(i n / k) to ceil((i + 1) n / k)."""
    axes = []
    for n, k in zip(input.shape[-dimensions:], shape[-dimensions:], strict=True):
        part = np.arange(k)
        axes.append(_averages(n, part * n // k, -((part + 1) * -n // k), None))
    return _pool(draft, input, axes)


def batch_norm(draft: Draft, shape: Shape, input: Value, *, scale: Weights, offset: Weights) -> int:
    """Add ``scale x + offset`` channel by channel."""
    size, n_places = math.prod(shape), math.prod(shape[1:])
    target = draft.add_group(size)
    places = np.arange(size)
    draft.connect(input.group, target, places, places, fixed(np.repeat(scale.used, n_places)))
    draft.shift(target, fixed(np.repeat(offset.used, n_places)))
    return target


def per_dimension(value: int | Sequence[int], n: int) -> tuple[int, ...]:
    """Return one number for every dimension."""
    numbers = (value,) if isinstance(value, int) else tuple(value)
    return tuple(int(number) for number in (numbers * n if len(numbers) == 1 else numbers))


def _repeated(weights: Weights, number: NDArray[np.int64]) -> Weights:
    return Weights(weights.values, number.ravel(), weights.parameter)


def _averages(n: int, begin: NDArray[np.int64], end: NDArray[np.int64], divisor: int | None) -> NDArray[np.float64]:
    """Return averages over begin..end-1, shape (n_windows, n): divided by a number, or by the places inside."""
    place = np.arange(n)
    inside = ((place >= begin[:, None]) & (place < end[:, None])).astype(np.float64)
    return inside / (inside.sum(axis=1, keepdims=True) if divisor is None else divisor)


def _pool(draft: Draft, input: Value, axes: list[NDArray[np.float64]]) -> int:
    """Add one matrix for every last axis, multiplied; the axes before them stay."""
    n_images = math.prod(input.shape[: -len(axes)])
    rows, columns, values = np.arange(n_images), np.arange(n_images), np.ones(n_images)
    for matrix in axes:
        row, column = np.nonzero(matrix)
        rows = (rows[:, None] * matrix.shape[0] + row).ravel()
        columns = (columns[:, None] * matrix.shape[1] + column).ravel()
        values = (values[:, None] * matrix[row, column]).ravel()
    order = np.argsort(rows, kind="stable")
    target = draft.add_group(n_images * math.prod(len(matrix) for matrix in axes))
    draft.connect(input.group, target, rows[order], columns[order], fixed(values[order]))
    return target
