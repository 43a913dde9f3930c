r"""Activation functions over intervals of pre-activations: rigorous ranges of sigma and its first three derivatives.

On an interval a smooth function is extreme at an end or where its derivative vanishes. The zeros of every derivative up
to the fourth stand in `CRITICAL`, so the range is found from a handful of values, each widened by the rounding in it:
with :math:`\epsilon = 2^{-52}`, by :math:`32 \epsilon` times the sum of the absolute values of its terms, under the
model of `assembly.bounds.rounding`. That a critical point is known to a few units in the last place only changes the
value there by their square, which the widening covers, also where the true point lies just inside an end and the stored
one just outside.

ReLU is refused by name: it has a kink, so its Hessian says nothing about the remainder. Softmax groups carry the code
of the identity in a program; whoever asks for a whole node vector leaves them out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.bounds.rounding import EPSILON, LIBRARY, Array, up
from assembly.checks import check_name
from assembly.errors import ArgumentError, ShapeError
from assembly.kernels import activation as kernels

_ROOT_3 = math.log(2.0 + math.sqrt(3.0))  # sigmoid''' vanishes
_ROOT_TWO_THIRDS = 2.0 * math.atanh(math.sqrt(2.0 / 3.0))  # sigmoid'''' vanishes
_NEAR, _FAR = math.sqrt((7.0 - math.sqrt(33.0)) / 2.0), math.sqrt((7.0 + math.sqrt(33.0)) / 2.0)  # gelu'''' vanishes

# Where the derivative of sigma, sigma', sigma'', sigma''' vanishes, to a few units in the last place. For sin and cos
# it is the offset of points that stand pi apart.
CRITICAL: dict[str, tuple[tuple[float, ...], ...]] = {
    "identity": ((), (), (), ()),
    "tanh": (
        (),
        (0.0,),
        (-math.atanh(math.sqrt(1.0 / 3.0)), math.atanh(math.sqrt(1.0 / 3.0))),
        (-math.atanh(math.sqrt(2.0 / 3.0)), 0.0, math.atanh(math.sqrt(2.0 / 3.0))),
    ),
    "erf": ((), (0.0,), (-math.sqrt(0.5), math.sqrt(0.5)), (-math.sqrt(1.5), 0.0, math.sqrt(1.5))),
    "sigmoid": ((), (0.0,), (-_ROOT_3, _ROOT_3), (-_ROOT_TWO_THIRDS, 0.0, _ROOT_TWO_THIRDS)),
    "softplus": ((), (), (0.0,), (-_ROOT_3, _ROOT_3)),
    "gelu": (
        (-0.7517915246935645,),
        (-math.sqrt(2.0), math.sqrt(2.0)),
        (-2.0, 0.0, 2.0),
        (-_FAR, -_NEAR, _NEAR, _FAR),
    ),
    "swish": (
        (-1.2784645427610737,),
        (-2.3993572805154675, 2.3993572805154675),
        (-3.435840993535111, 0.0, 3.435840993535111),
        (-4.429235100557228, -1.0319582417807491, 1.0319582417807491, 4.429235100557228),
    ),
    "sin": ((0.5 * math.pi,), (0.0,), (0.5 * math.pi,), (0.0,)),
    "cos": ((0.0,), (0.5 * math.pi,), (0.0,), (0.5 * math.pi,)),
    "quadratic": ((0.0,), (), (), ()),
    "exp": ((), (), (), ()),
}
_PERIODIC = ("sin", "cos")
_EXACT = {"identity": (0, 1, 2, 3), "quadratic": (1, 2, 3)}  # orders without any rounding
_UNDERFLOW = 1e-300  # covers factors of a derivative that underflow, far out
_INFINITY = 1e150  # stands for an infinite end: every derivative has reached its limit, or exceeds 1e100

Codes = str | int | ArrayLike


def suprema(codes: Codes, lo: ArrayLike, hi: ArrayLike, order: int) -> Array:
    r"""Return upper bounds of :math:`\sup |\sigma^{(k)}|` over ``[lo, hi]``, tight but for rounding.

    Parameters
    ----------
    codes : str, int or array_like of int
        Name of the activation function, or its code for every interval as in `Program.codes`.
    lo, hi : array_like
        Ends, ``lo <= hi``; infinite ones are allowed. Shapes are broadcast with `codes`.
    order : {0, 1, 2, 3}
        k; 0 is sigma itself.

    Returns
    -------
    ndarray of float64, in the broadcast shape
        Infinite where sigma^(k) is unbounded there.

    Raises
    ------
    ArgumentError
        If `order` is another one, ``lo <= hi`` fails somewhere, or an activation function is relu.
    UnknownNameError
        If the name is not known.
    ShapeError
        If the shapes do not fit.

    Notes
    -----
    Cost: two evaluations of the activation function per interval and one for each critical point.

    Examples
    --------
    >>> float(suprema("tanh", -np.inf, np.inf, 2)) - 4.0 / 27.0**0.5 < 1e-14
    True
    >>> suprema("gelu", [0.0, 3.0], [1.0, 4.0], 1).round(6)
    array([1.083315, 1.011946])
    """
    low, high = ranges(codes, lo, hi, order)
    bounds: Array = np.maximum(np.abs(low), np.abs(high))
    return bounds


def variations(codes: Codes, lo: ArrayLike, hi: ArrayLike, at: ArrayLike, order: int) -> Array:
    r"""Return upper bounds of :math:`|\sigma^{(k)}(z) - \sigma^{(k)}(z_0)|` over z in ``[lo, hi]``.

    The smaller of two bounds: from the range and the value at :math:`z_0`, and for k < 3
    :math:`\sup |\sigma^{(k+1)}| \max |z - z_0|`, which is sharper on very short intervals.

    Parameters
    ----------
    codes, lo, hi, order
        As in `suprema`.
    at : array_like
        z_0, inside ``[lo, hi]``.

    Raises
    ------
    ArgumentError, UnknownNameError, ShapeError
        As `suprema`; ArgumentError also if a z_0 lies outside.

    Examples
    --------
    >>> float(variations("quadratic", 0.9, 1.2, 1.0, 0)).__round__(12)
    0.44
    """
    low, high = ranges(codes, lo, hi, order)
    start, end, point = (np.asarray(values, dtype=np.float64) for values in (lo, hi, at))
    if not ((start <= point) & (point <= end)).all():
        raise ArgumentError("The 'at' argument must lie in [lo, hi] everywhere. It does not.")
    value_low, value_high = ranges(codes, point, point, order)
    with np.errstate(invalid="ignore"):  # inf - inf, where both ends and z_0 are infinite
        found = np.maximum(high - value_low, value_high - low)
        found = np.where(np.isnan(found), np.inf, found) * (1.0 + 2.0 * EPSILON)
        if order < 3:
            distance, slope = np.maximum(end - point, point - start), suprema(codes, lo, hi, order + 1)
            steep = np.where((distance == 0.0) | (slope == 0.0), 0.0, up(slope * distance, 2))
            found = np.fmin(found, steep)
    return found


def ranges(codes: Codes, lo: ArrayLike, hi: ArrayLike, order: int) -> tuple[Array, Array]:
    r"""Return bounds of :math:`\sigma^{(k)}` over ``[lo, hi]`` from below and from above, tight but for rounding.

    Parameters and errors are those of `suprema`.

    Examples
    --------
    >>> low, high = ranges("swish", -np.inf, 0.0, 0)
    >>> float(low).__round__(8), float(high).__round__(8)
    (-0.27846454, 0.0)
    """
    if order not in (0, 1, 2, 3):
        raise ArgumentError(f"The 'order' argument must be 0, 1, 2 or 3. Got {order!r}.")
    numbers = np.asarray(
        kernels.code_of(check_name("codes", codes, kernels.NAMES)) if isinstance(codes, str) else codes
    )
    try:
        numbers, start, end = np.broadcast_arrays(
            numbers, np.asarray(lo, dtype=np.float64), np.asarray(hi, dtype=np.float64)
        )
    except ValueError:
        shapes = ", ".join(str(np.shape(values)) for values in (numbers, lo, hi))
        raise ShapeError(f"The 'codes', 'lo' and 'hi' arguments must fit together. Got shapes {shapes}.") from None
    _check(numbers, start, end)
    low, high = np.empty(start.shape), np.empty(start.shape)
    for code in np.unique(numbers):
        here = numbers == code
        low[here], high[here] = _range(int(code), start[here], end[here], order)
    return low, high


def _check(numbers: NDArray[Any], start: Array, end: Array) -> None:
    if not (start <= end).all():
        where = tuple(int(i) for i in np.argwhere(~(start <= end))[0])
        raise ArgumentError(
            f"The 'lo' argument must not exceed 'hi'. Got {start[where]} and {end[where]} at index {where}."
        )
    if not ((numbers >= 0) & (numbers < len(kernels.NAMES))).all():
        raise ArgumentError(f"The 'codes' argument must hold codes from 0 to {len(kernels.NAMES) - 1}. Got others.")
    if (numbers == kernels.RELU).any():
        raise ArgumentError(
            "The 'codes' argument must hold smooth activation functions. Got relu, which has a kink: "
            "its Hessian says nothing about the remainder."
        )


def _range(code: int, start: Array, end: Array, order: int) -> tuple[Array, Array]:
    low, high = _enclosed(code, start, order)
    other_low, other_high = _enclosed(code, end, order)
    low, high = np.minimum(low, other_low), np.maximum(high, other_high)
    name = kernels.NAMES[code]
    for point in CRITICAL[name][order]:
        if name in _PERIODIC:
            _include_waves(code, point, start, end, order, low, high)
        else:
            inside = (start <= point) & (point <= end)
            value_low, value_high = _enclosed(code, np.array([point]), order)
            np.minimum(low, value_low, out=low, where=inside)
            np.maximum(high, value_high, out=high, where=inside)
    return low, high


def _include_waves(code: int, offset: float, start: Array, end: Array, order: int, low: Array, high: Array) -> None:
    """Widen the ranges of a sine by its crests and troughs inside: at `offset` plus even and odd multiples of pi."""
    crest = math.copysign(1.0, kernels.jet(code, offset)[order])
    for place, value in ((offset, crest), (offset + math.pi, -crest)):
        turns = 0.5 / math.pi
        with np.errstate(invalid="ignore"):
            slack = 8.0 * EPSILON * (1.0 + np.abs(start) + np.abs(end))
            n = np.ceil((start - place - slack) * turns)
            inside = ~(n > (end - place + slack) * turns)  # an infinite end compares as NaN: inside
        if value > 0.0:
            high[inside] = 1.0
        else:
            low[inside] = -1.0


def _enclosed(code: int, z: Array, order: int) -> tuple[Array, Array]:
    """Return sigma^(k) at points, bounded from below and from above."""
    points = np.clip(z, -_INFINITY, _INFINITY) if np.isinf(z).any() else np.ascontiguousarray(z)
    jets = np.empty((4, len(points)))
    kernels.fill_jets(code, points, jets)
    name, value = kernels.NAMES[code], jets[order]
    if order in _EXACT.get(name, ()):
        error = np.zeros_like(value)
    else:
        error = LIBRARY * EPSILON * _sizes(name, points, jets, order) + _UNDERFLOW
    with np.errstate(invalid="ignore"):
        grown = np.isinf(z) & (np.abs(value) > 1e100)
        value = np.where(grown, np.copysign(np.inf, value), value)
        error = np.where(np.isinf(value), 0.0, error)
    return value - error, value + error


def _sizes(name: str, z: Array, jets: Array, order: int) -> Array:
    """Return the sum of the absolute values of the terms of sigma^(k), with how badly each is conditioned."""
    a = np.abs(z)
    square = np.minimum(a, math.sqrt(kernels.FAR)) ** 2
    sizes: Array = np.abs(jets[order])
    match name, order:
        case "tanh", 3:
            sizes = jets[1] * (6.0 * jets[0] * jets[0] + 2.0)
        case "erf", (1 | 2 | 3):
            sizes = jets[1] * (1.0 + square) * (1.0, 2.0 * a, 4.0 * square + 2.0)[order - 1]
        case ("sigmoid", 2) | ("softplus", 3):
            sizes = jets[order - 1]
        case "sigmoid", 3:
            sizes = 3.0 * jets[1]
        case "gelu", _:
            density = 0.4 * np.exp(-0.5 * square)
            far = density * (1.0 + square)
            terms = (square * density, (a + a) * far, far * (2.0 + square), far * a * (square + 4.0))
            sizes = terms[order] if order > 1 else np.abs(jets[order]) + terms[order]
        case "swish", _:
            sigmoid = np.empty_like(jets)
            kernels.fill_jets(kernels.SIGMOID, z, sigmoid)
            small = sigmoid[1]
            sizes = (sizes, sigmoid[0] + a * small, (2.0 + a) * small, 3.0 * (1.0 + a) * small)[order]
    return sizes
