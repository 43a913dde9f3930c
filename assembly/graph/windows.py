"""Windows of a convolution or a pooling: which pixel every window sees at every place of the kernel."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

OUTSIDE = -1


@dataclass(frozen=True)
class Windows:
    """Windows over images of any dimension; neurons of an image stand channel by channel, pixels row by row.

    Attributes
    ----------
    channels : int
    shape, kernel, stride, padding : tuple of int
        One entry per dimension. What the padding adds holds nothing: no edge leads there.
    """

    channels: int
    shape: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]

    @property
    def n_pixels(self) -> int:
        """Pixels of one channel."""
        return math.prod(self.shape)

    @property
    def n_taps(self) -> int:
        """Places of the kernel."""
        return math.prod(self.kernel)

    @cached_property
    def output_shape(self) -> tuple[int, ...]:
        """Number of windows along every dimension, at most 0 where the kernel exceeds the padded image."""
        sizes = zip(self.shape, self.kernel, self.stride, self.padding, strict=True)
        return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)

    @property
    def n_windows(self) -> int:
        """Number of windows."""
        return math.prod(self.output_shape)

    @cached_property
    def pixels(self) -> NDArray[np.int64]:
        """The pixel seen by every window (rows) at every tap (columns); `OUTSIDE` in the padding."""
        axes = [
            s * np.arange(windows)[:, None] + np.arange(k)[None, :] - p
            for windows, k, s, p in zip(self.output_shape, self.kernel, self.stride, self.padding, strict=True)
        ]
        pixel = np.zeros((1, 1), dtype=np.int64)
        inside = np.ones((1, 1), dtype=bool)
        for axis, n in zip(axes, self.shape, strict=True):
            rows, taps = pixel.shape[0] * axis.shape[0], pixel.shape[1] * axis.shape[1]
            pixel = (pixel[:, None, :, None] * n + axis[None, :, None, :]).reshape(rows, taps)
            seen = (axis >= 0) & (axis < n)
            inside = (inside[:, None, :, None] & seen[None, :, None, :]).reshape(rows, taps)
        return np.where(inside, pixel, OUTSIDE)

    def patches(self, a: NDArray[Any]) -> NDArray[Any]:
        """Return what the windows see, shape (channels * n_taps, n_windows, ...) of images (channels * n_pixels, ...).

        Zero in the padding. Cost: one copy of n_taps images.
        """
        further = a.shape[1:]
        framed = np.zeros((self.channels, *self._framed_shape, *further), a.dtype)
        framed[self._inside] = a.reshape(self.channels, *self.shape, *further)
        seen = np.empty((self.channels, self.n_taps, *self.output_shape, *further), a.dtype)
        for tap, places in enumerate(self._places):
            seen[:, tap] = framed[places]
        return seen.reshape(self.channels * self.n_taps, self.n_windows, *further)

    def add_patches(self, patches: NDArray[Any], out: NDArray[Any]) -> None:
        """Add to images (channels * n_pixels, ...) what the windows hold: the transpose of `patches`."""
        further = out.shape[1:]
        framed = np.zeros((self.channels, *self._framed_shape, *further), patches.dtype)
        seen = patches.reshape(self.channels, self.n_taps, *self.output_shape, *further)
        for tap, places in enumerate(self._places):
            framed[places] += seen[:, tap]
        images = out.reshape(self.channels, *self.shape, *further)
        images += framed[self._inside]

    @property
    def _framed_shape(self) -> tuple[int, ...]:
        """Shape of an image with its padding."""
        return tuple(n + 2 * p for n, p in zip(self.shape, self.padding, strict=True))

    @property
    def _inside(self) -> tuple[slice, ...]:
        """Where the image lies in its padding, in all channels."""
        return (slice(None), *(slice(p, p + n) for n, p in zip(self.shape, self.padding, strict=True)))

    @cached_property
    def _places(self) -> list[tuple[slice, ...]]:
        """Where all windows see a framed image at every tap, in all channels."""
        axes = [
            [slice(first, first + s * (n - 1) + 1, s) for first in range(k)]
            for k, s, n in zip(self.kernel, self.stride, self.output_shape, strict=True)
        ]
        return [(slice(None), *places) for places in itertools.product(*axes)]
