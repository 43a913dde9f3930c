r"""What a network is at the centre of a ball of parameters, with a proven error for every number.

For every segment t: pre-activations, activations and their slopes, adjoints; and for every earlier segment k the
Jacobian :math:`J_{tk} = \partial z_t / \partial a_k` through all paths, a dense matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Block, NodeBlock, SharedBlock
from assembly.blocks.convolution import ConvolutionBlock
from assembly.blocks.own import OwnBlock
from assembly.blocks.tied import TiedBlock
from assembly.bounds.block_norms import multiplicity
from assembly.bounds.enclosure import Enclosure
from assembly.bounds.intervals import ranges, suprema
from assembly.bounds.norms import spectral_norm_bound
from assembly.bounds.rounding import EPSILON, LIBRARY, Array, gamma, norm_up, up
from assembly.calculus.evaluation import Evaluation
from assembly.errors import ArgumentError, GraphError
from assembly.graph.windows import OUTSIDE
from assembly.kernels import activation
from assembly.memory import check_fits
from assembly.program import Program


@dataclass(frozen=True, eq=False)
class Link:
    r"""One block as a linear map of the activations of its source, and how its weights enter.

    Attributes
    ----------
    source, target : int
        Segments.
    map : Enclosure
        ``c_v w_uv``.
    column : int or None
        Number of its weights among the groups of weights; None if they are frozen.
    bilinear : float
        Largest ``|c U a|`` for weights U and activations a of length 1.
    from_given : bool
        True if its sources do not depend on the parameters.
    """

    block: Block
    source: int
    target: int
    map: Enclosure
    column: int | None
    bilinear: float
    from_given: bool

    def reach(self, a: Array) -> tuple[float, Array]:
        """Return the largest ``|c U a|`` over weights U of length 1, as a whole and in every target."""
        own = self.block.own_gram(np.empty(0), a, a)
        if own.ndim == 1:
            rows = np.sqrt(up(own, len(a) + 4))
            return float(rows.max(initial=0.0)), rows
        own_rows = np.sqrt(up(np.diagonal(own), len(a) + 4))
        error = gamma(len(a) + 4) * float(own_rows @ own_rows)
        whole = float(np.sqrt(spectral_norm_bound(own) + error))
        return min(up(whole, 3), up(self.bilinear * norm_up(a[self.block.source]))), own_rows

    def advance(self, b: Array) -> float:
        """Return the largest ``|U^T c b|`` over weights U of length 1."""
        if self.from_given:
            return 0.0
        crude = up(self.bilinear * norm_up(b[self.block.target]))
        if isinstance(self.block, SharedBlock) or not isinstance(self.block, NodeBlock):
            return crude
        squares = self.block.spread((self.block.factor.astype(np.float64) * b[self.block.target]) ** 2)
        return min(crude, float(np.sqrt(up(squares.max(initial=0.0), len(b) + 4))))


class Centre:
    """A network of one output at one input, evaluated with proven errors.

    Parameters
    ----------
    evaluation : Evaluation
        In float64, at one sample.
    output : int

    Raises
    ------
    GraphError
        If there is a softmax or a sub-model of the user's own.
    ArgumentError
        If an activation function is ReLU.
    ResourceError
        If the Jacobians between segments do not fit in the memory that is free.

    Notes
    -----
    Cost: one matrix product for every pair of segments; memory one matrix for every pair.
    """

    def __init__(self, evaluation: Evaluation, output: int) -> None:
        self.program = evaluation.program
        check_bounded(self.program)
        self.segments = self.program.segments
        self.sizes = [segment.nodes.stop - segment.nodes.start for segment in self.segments]
        self._check_memory()
        starts = {segment.nodes.start: i for i, segment in enumerate(self.segments)}
        places: dict[tuple[int, int], int] = {}
        self.links = [
            _link(block, weights, starts, places)
            for block, weights in zip(self.program.blocks, evaluation.weights, strict=True)
        ]
        self.n_columns = len(places)
        self.into: list[list[Link]] = [[] for _ in self.segments]
        for link in self.links:
            self.into[link.target].append(link)
        self.moves = self._moving()
        self.a_vector, self.b_vector = evaluation.post[0], evaluation.adjoints(output).pre[0]
        self.z, self.a = self._split(evaluation.pre[0]), self._split(self.a_vector)
        self.abar, self.b = self._split(evaluation.adjoints(output).post[0]), self._split(self.b_vector)
        self.z_error, self.a_error = self._forward_errors()
        self.first = [self._sup(t, 1, self.z_error[t]) for t in range(len(self.segments))]
        self.slope = self._split(evaluation.first[0])
        self.first_error = [self._slope_error(t) for t in range(len(self.segments))]
        self.second_error = [self._bend_error(t, evaluation) for t in range(len(self.segments))]
        self.jacobian = self._jacobians()
        self.abar_error, self.b_error = self._backward_errors()

    def _check_memory(self) -> None:
        inner = [n for n, segment in zip(self.sizes, self.segments, strict=True) if segment.incoming]
        needed = 8 * (sum(inner) ** 2 + 6 * max(inner, default=0) ** 2)
        what = f"A bound over a ball with {sum(inner):,} neurons, whose Jacobians are dense,"
        check_fits(what, needed, "use a smaller network, or net.hessian(x).norm() at single parameters")

    def _split(self, values: NDArray[Any]) -> list[Array]:
        return [np.asarray(values[segment.nodes], dtype=np.float64) for segment in self.segments]

    def _moving(self) -> list[bool]:
        """Which segments depend on the parameters at all."""
        moves: list[bool] = []
        for links in self.into:
            moves.append(any(link.column is not None or moves[link.source] for link in links))
        return moves

    def suprema(self, t: int, order: int, spread: Array) -> Array:
        """Return upper bounds of ``|sigma^(order)|`` within `spread` of the pre-activations of segment t."""
        codes = self.program.codes[self.segments[t].nodes]
        return suprema(codes, self.z[t] - up(spread), self.z[t] + up(spread), order)

    def _sup(self, t: int, order: int, error: float) -> Array:
        return self.suprema(t, order, np.full(self.sizes[t], error + EPSILON))

    def _slope_error(self, t: int) -> float:
        """Largest error of a computed slope of segment t."""
        codes, error = self.program.codes[self.segments[t].nodes], self.z_error[t] + EPSILON
        low, high = ranges(codes, self.z[t] - error, self.z[t] + error, 1)
        return up(float(np.maximum(high - self.slope[t], self.slope[t] - low).max(initial=0.0)), 2)

    def _bend_error(self, t: int, evaluation: Evaluation) -> Array:
        """Errors of the computed second derivatives of segment t at its computed pre-activations, neuron by neuron."""
        second = evaluation.second[0, self.segments[t].nodes].astype(np.float64)
        low, high = ranges(self.program.codes[self.segments[t].nodes], self.z[t], self.z[t], 2)
        return up(np.maximum(high - second, second - low) + EPSILON * np.abs(second), 3)

    def _forward_errors(self) -> tuple[list[float], list[float]]:
        """Bounds of the errors of the computed pre-activations and activations, Euclidean, segment by segment."""
        z_error, a_error = [0.0] * len(self.segments), [0.0] * len(self.segments)
        for t, links in enumerate(self.into):
            if not links:
                continue
            terms = [
                link.map.norm * a_error[link.source]
                + (link.map.error + gamma(self.sizes[link.source] + len(links) + 2) * link.map.size)
                * norm_up(self.a[link.source])
                for link in links
            ]
            z_error[t] = up(sum(terms), 6 + len(terms))
            slope = self._sup(t, 1, z_error[t]).max(initial=0.0)
            a_error[t] = up(slope * z_error[t] + LIBRARY * EPSILON * norm_up(self.a[t]), 4)
        return z_error, a_error

    def _jacobians(self) -> dict[tuple[int, int], Enclosure]:
        """J_tk for all k before t that it depends on."""
        found: dict[tuple[int, int], Enclosure] = {}
        for t, links in enumerate(self.into):
            for link in links:
                s = link.source
                if not self.moves[s]:
                    continue
                _add(found, (t, s), link.map)
                through = link.map.scaled(self.slope[s], self.first_error[s])
                for k in range(s):
                    if (s, k) in found:
                        _add(found, (t, k), through @ found[s, k])
        return found

    def pre_jacobian(self, t: int, k: int) -> Enclosure:
        """Return ``dz_t / dz_k`` for k before t."""
        return self.jacobian[t, k].scaled(self.slope[k], self.first_error[k])

    @cached_property
    def pre_jacobians(self) -> dict[tuple[int, int], Enclosure]:
        """``dz_t / dz_k`` for all pairs that depend on each other."""
        return {(t, k): self.pre_jacobian(t, k) for t, k in self.jacobian}

    def _backward_errors(self) -> tuple[list[float], list[float]]:
        """Bounds of the errors of the computed adjoints of activations and of pre-activations."""
        n = len(self.segments)
        abar_error, b_error = [0.0] * n, [0.0] * n
        for t in reversed(range(n)):
            if self.into[t]:
                b_error[t] = up(
                    self.first[t].max(initial=0.0) * abar_error[t]
                    + (self.first_error[t] + EPSILON) * norm_up(self.abar[t]),
                    4,
                )
            for link in self.into[t]:
                rounding = link.map.error + gamma(self.sizes[t] + n + 2) * link.map.size
                abar_error[link.source] = up(
                    abar_error[link.source] + link.map.norm * b_error[t] + rounding * norm_up(self.b[t]), 6
                )
        return abar_error, b_error


def check_bounded(program: Program) -> None:
    """Refuse, by name, what no bound over a ball is made of.

    Raises
    ------
    GraphError
        If there is a softmax or a sub-model of the user's own.
    ArgumentError
        If an activation function is ReLU.
    """
    if any(isinstance(block, OwnBlock) for block in program.blocks):
        raise GraphError(
            "A bound over a ball needs suprema of derivatives, which sub-models of your own do not give: "
            "compose the network of neurons."
        )
    if any(segment.is_softmax for segment in program.segments):
        raise GraphError("A bound over a ball is not made through a softmax: take the logits as outputs.")
    if (program.codes == activation.RELU).any():
        raise ArgumentError(
            "The network must have smooth activation functions for a bound over a ball. Got relu, whose second "
            "derivative is 0 almost everywhere and says nothing about the way across its kinks."
        )


def _add(found: dict[tuple[int, int], Enclosure], key: tuple[int, int], term: Enclosure) -> None:
    found[key] = found[key] + term if key in found else term


def _link(block: Block, weights: NDArray[Any], starts: dict[int, int], places: dict[tuple[int, int], int]) -> Link:
    n_source = block.source.stop - block.source.start
    dense = np.asarray(block.multiply(weights, np.eye(n_source)), dtype=np.float64)
    sizes = np.asarray(block.multiply(np.abs(weights), np.eye(n_source)), dtype=np.float64)
    column = None
    if block.parameters is not None:
        column = places.setdefault((block.parameters.start, block.parameters.stop), len(places))
    error = up(gamma(n_source + 4) * norm_up(sizes))
    source, target = starts[block.source.start], starts[block.target.start]
    return Link(block, source, target, Enclosure(dense, error), column, _bilinear(block), block.from_given)


def _bilinear(block: Block) -> float:
    """Return the largest ``|c U a|`` for weights U and activations a of length 1."""
    factor, most = np.abs(block.factor.astype(np.float64)), multiplicity(block)
    largest = float(factor.max(initial=0.0))
    if isinstance(block, ConvolutionBlock):
        pixels = block.windows.pixels
        overlap = np.bincount(pixels[pixels != OUTSIDE], minlength=1).max(initial=0)
        return up(largest * float(np.sqrt(overlap)), 3)
    if isinstance(block, TiedBlock):
        squares = np.repeat(factor**2 * most, np.diff(block.indptr))
        return up(float(np.sqrt(np.bincount(block.number, squares, minlength=1).max(initial=0.0))), len(squares) + 4)
    return up(float((factor * np.sqrt(most)).max(initial=0.0)), 2)
