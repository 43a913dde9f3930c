"""What sums, products by numbers, activation functions and changes of shape are in a graph; see `layers`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from assembly.torch_modules.draft import Draft, UnsupportedError, Value, Weights, fixed
from assembly.torch_modules.layers import Shape, linear

Operand = Value | Weights | float


def add(draft: Draft, shape: Shape, input: Operand, other: Operand, *, alpha: float = 1) -> int:
    """Add ``input + alpha other``, with broadcasting."""
    target = draft.add_group(math.prod(shape))
    for operand, factor in ((input, 1.0), (other, _number(alpha))):
        if isinstance(operand, Value):
            draft.carry(operand.group, target, _broadcast(operand, shape), factor)
        elif isinstance(operand, Weights):
            draft.shift(target, _stretched(operand, shape), factor)
        else:
            draft.shift(target, fixed(np.full(math.prod(shape), _number(operand))), factor)
    return target


def subtract(draft: Draft, shape: Shape, input: Operand, other: Operand, *, alpha: float = 1) -> int:
    """Add ``input - alpha other``."""
    return add(draft, shape, input, other, alpha=-_number(alpha))


def negative(draft: Draft, shape: Shape, input: Value) -> int:
    """Add ``-input``."""
    return multiply(draft, shape, input, -1.0)


def multiply(draft: Draft, shape: Shape, input: Operand, other: Operand) -> int:
    """Add ``input * other``, one of which is a number or a tensor that does not depend on the input."""
    if isinstance(input, Value) and isinstance(other, Value):
        raise UnsupportedError("it multiplies two values that depend on the input; torch.square is there for squares")
    value, by = (input, other) if isinstance(input, Value) else (other, input)
    assert isinstance(value, Value)
    target = draft.add_group(math.prod(shape))
    weights = _stretched(by if isinstance(by, Weights) else fixed(np.array(_number(by))), shape)
    draft.connect(value.group, target, np.arange(math.prod(shape)), _broadcast(value, shape), weights)
    return target


def divide(draft: Draft, shape: Shape, input: Operand, other: Operand) -> int:
    """Add ``input / other``, where `other` is a number or a tensor of fixed ones."""
    if isinstance(other, Value) or (isinstance(other, Weights) and other.parameter is not None):
        raise UnsupportedError("it divides by something that is no constant")
    divisor = other.used if isinstance(other, Weights) else np.array(_number(other))
    if not divisor.all():
        raise UnsupportedError("it divides by 0")
    return multiply(draft, shape, input, fixed(1.0 / divisor))


def power(draft: Draft, shape: Shape, input: Operand, exponent: Operand) -> int:
    """Add the square of a value."""
    if not isinstance(input, Value) or isinstance(exponent, Value | Weights) or exponent != 2:
        raise UnsupportedError("of powers there is the square alone")
    return draft.activate(input.group, "quadratic")


def matrix_product(draft: Draft, shape: Shape, input: Operand, other: Operand) -> int:
    """Add x W."""
    if not isinstance(input, Value) or not isinstance(other, Weights) or other.number.ndim > 2:
        raise UnsupportedError("of matrix products there is x @ W, with a parameter or constant on the right")
    columns = other.number if other.number.ndim == 2 else other.number[:, None]
    return linear(draft, shape, input, Weights(other.values, columns.T, other.parameter))


def concatenate(draft: Draft, shape: Shape, tensors: Sequence[Operand], dim: int = 0) -> int:
    """Add a copy of several values, one after the other along an axis."""
    target, start = draft.add_group(math.prod(shape)), 0
    axis = dim - 1 if dim > 0 else dim + len(shape)
    for part in tensors:
        if not isinstance(part, Value):
            raise UnsupportedError("every tensor must depend on the input")
        size = part.shape[axis]
        columns = np.full(shape, -1)
        place = (slice(None),) * axis + (slice(start, start + size),)
        columns[place] = np.arange(math.prod(part.shape)).reshape(part.shape)
        draft.carry(part.group, target, columns.ravel())
        start += size
    return target


def activation(draft: Draft, shape: Shape, input: Value, inplace: bool = False, *, name: str) -> int:
    """Add an activation function."""
    return draft.activate(input.group, name)


def gelu(draft: Draft, shape: Shape, input: Value, *, approximate: str = "none") -> int:
    """Add z Phi(z)."""
    if approximate != "none":
        raise UnsupportedError(f"approximate must be 'none'. Got {approximate!r}")
    return draft.activate(input.group, "gelu")


def softplus(draft: Draft, shape: Shape, input: Value, beta: float = 1.0, threshold: float = 20.0) -> int:
    """Add log(1 + exp z); torch returns z itself above its threshold of 20, off by at most 2.1e-9."""
    if beta != 1 or threshold < 20:
        raise UnsupportedError(f"beta must be 1 and threshold at least 20. Got beta={beta}, threshold={threshold}")
    return draft.activate(input.group, "softplus")


def softmax(
    draft: Draft, shape: Shape, input: Value, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> int:
    """Add the softmax of all neurons."""
    if len(shape) != 1 or dim not in (1, -1) or dtype is not None:
        raise UnsupportedError(f"it must run over all features of a flat value. Got dim={dim}, {dtype=}, shape {shape}")
    return draft.activate(input.group, "softmax")


def dropout(
    draft: Draft, shape: Shape, input: Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> int:
    """Add nothing: dropout is off."""
    if training:
        raise UnsupportedError("it drops in eval mode too: give it training=self.training")
    return input.group


def same(draft: Draft, shape: Shape, input: Value, *sizes: Any, **options: Any) -> int:
    """Add nothing: the same numbers in the same order."""
    return input.group


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise UnsupportedError(f"its constant must be a finite number. Got {value!r}")
    return float(value)


def _broadcast(value: Value, shape: Shape) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return which neuron of a value stands at every place of a larger shape."""
    if len(value.shape) != len(shape):
        raise UnsupportedError(f"shapes {value.shape} and {shape} beside the batch have different lengths")
    return np.broadcast_to(np.arange(math.prod(value.shape)).reshape(value.shape), shape).ravel()


def _stretched(weights: Weights, shape: Shape) -> Weights:
    """Return weights for every place of a shape."""
    try:
        number = np.broadcast_to(weights.number, (1, *shape))
    except ValueError:
        raise UnsupportedError(f"a tensor of shape {weights.number.shape} is not the same for all samples") from None
    return Weights(weights.values, number.ravel(), weights.parameter)
