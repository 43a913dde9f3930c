r"""Proven upper bounds of the norm of a block as a linear map of the activations, factors included.

A convolution beyond `LARGEST_MATRIX` is bounded without its matrix. With P the map from an image to its patches,
:math:`|P|^2` is the largest number of windows times taps that see one pixel, so :math:`|c \odot W P| \le \max |c|\,
|W|_2\, |P|`; and tap by tap, as one tap meets a pixel at most once, it is at most
:math:`\max |c| \sum_k |W_k|_2`. The smaller of the two is taken.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from assembly.blocks.block import Block
from assembly.blocks.convolution import ConvolutionBlock
from assembly.blocks.dense import DenseBlock
from assembly.blocks.sparse import SparseBlock
from assembly.blocks.tied import TiedBlock
from assembly.bounds.norms import sparse_norm_bound, spectral_norm_bound
from assembly.bounds.rounding import EPSILON, norm_up, up
from assembly.errors import ArgumentError
from assembly.graph.windows import OUTSIDE

LARGEST_MATRIX = 3e7  # entries of the matrix of a convolution


def block_norm_bound(block: Block, weights: NDArray[Any]) -> float:
    r"""Return a proven upper bound of the spectral norm of :math:`a \mapsto c_v \sum_u w_{uv} a_u`.

    Parameters
    ----------
    block : Block
        Dense, sparse, tied or a convolution.
    weights : ndarray
        Its weights, in `block.shape`, as in `Evaluation.weights`.

    Raises
    ------
    ArgumentError
        If the block holds sub-models of the user's own, which are no linear map.

    Notes
    -----
    Cost: that of `spectral_norm_bound` for dense blocks and convolutions with up to 3e7 entries, of
    `sparse_norm_bound` for sparse and tied ones; one copy of the block in float64.

    Examples
    --------
    >>> import assembly as am
    >>> evaluation = am.mlp(4, [100, 100], seed=0).evaluate(np.ones(4))
    >>> norms = [block_norm_bound(b, w) for b, w in zip(evaluation.program.blocks, evaluation.weights, strict=True)]
    >>> [round(norm, 1) for norm in norms]
    [6.1, 1.9, 0.9]
    """
    weights, factor = weights.astype(np.float64, copy=False), block.factor.astype(np.float64)
    match block:
        case DenseBlock():
            return _scaled_bound(factor[:, None] * weights)
        case SparseBlock() | TiedBlock():
            values = weights if isinstance(block, SparseBlock) else weights[block.number]
            scaled = np.repeat(factor, np.diff(block.indptr)) * values
            shape = (block.n_target, block.source.stop - block.source.start)
            bound = sparse_norm_bound(csr_array((scaled, block.indices, block.indptr), shape=shape))
            return up(float(bound + EPSILON * block_frobenius_bound(block, weights)), 2)
        case ConvolutionBlock():
            n_source = block.source.stop - block.source.start
            if block.n_target * n_source <= LARGEST_MATRIX:
                return _scaled_bound(block.multiply(weights, np.eye(n_source)))
            return up(float(np.abs(factor).max()) * _convolution_bound(block, weights))
    raise ArgumentError(
        f"The 'block' argument must be dense, sparse, tied or a convolution. Got {type(block).__name__}."
    )


def block_frobenius_bound(block: Block, weights: NDArray[Any]) -> float:
    """Return an upper bound of the Frobenius norm of the same map, so also of the map of absolute values.

    Parameters are those of `block_norm_bound`. Cost: one pass over the weights.

    Examples
    --------
    >>> import assembly as am
    >>> evaluation = am.mlp(2, [25], seed=0).evaluate(np.ones(2))
    >>> bound = block_frobenius_bound(evaluation.program.blocks[1], evaluation.weights[1])
    >>> 1.0 <= bound / float(np.linalg.norm(evaluation.weights[1] / 5.0)) < 1.0 + 1e-12
    True
    """
    values = weights[block.number] if isinstance(block, TiedBlock) else weights
    repeats = block.windows.n_windows if isinstance(block, ConvolutionBlock) else multiplicity(block).max(initial=1)
    times = math.sqrt(repeats)
    return up(float(np.abs(block.factor).max(initial=0.0)) * times * norm_up(values), 4)


def multiplicity(block: Block) -> NDArray[np.int64]:
    """Return how many edges every target has from one and the same source at most: 1 where no two edges are parallel.

    Cost: the edges of a sparse or tied block are sorted.

    Examples
    --------
    >>> import assembly as am
    >>> neuron = am.mlp(2, [3], seed=0).layers[1].neurons[0]
    >>> twice = am.Assembly([neuron, neuron], coefficients=[1.0, 1.0], trainable_coefficients=True)
    >>> [multiplicity(block).tolist() for block in twice.evaluate(np.ones(2)).program.blocks]
    [[1], [2]]
    """
    if not isinstance(block, SparseBlock | TiedBlock):
        return np.ones(block.n_target, dtype=np.int64)
    target = np.repeat(np.arange(block.n_target, dtype=np.int64), np.diff(block.indptr))
    n_source = block.source.stop - block.source.start
    pairs, counts = np.unique(target * n_source + block.indices, return_counts=True)
    most = np.ones(block.n_target, dtype=np.int64)
    np.maximum.at(most, pairs // n_source, counts)
    return most


def fan_in(block: Block) -> int:
    """Return the largest number of products in a sum of the forward pass through a block.

    Examples
    --------
    >>> import assembly as am
    >>> [fan_in(block) for block in am.mlp(2, [25], seed=0).evaluate(np.ones(2)).program.blocks]
    [2, 25]
    """
    if isinstance(block, SparseBlock | TiedBlock):
        return int(np.diff(block.indptr).max(initial=0))
    return block.shape[-1]


def _scaled_bound(scaled: NDArray[np.float64]) -> float:
    """Bound the norm of a matrix whose entries were rounded once, each relative to itself."""
    return up(float(spectral_norm_bound(scaled) + EPSILON * norm_up(scaled)), 2)


def _convolution_bound(block: ConvolutionBlock, weights: NDArray[np.float64]) -> float:
    windows = block.windows
    seen = int(np.bincount(windows.pixels[windows.pixels != OUTSIDE]).max(initial=0))
    taps = weights.reshape(block.n_channels, windows.channels, windows.n_taps)
    by_taps = sum(spectral_norm_bound(taps[:, :, k]) for k in range(windows.n_taps))
    return min(up(spectral_norm_bound(weights) * math.sqrt(seen), 2), up(by_taps, windows.n_taps))
