"""Connections between two groups of neurons: dense, sparse, tied, convolutions, and sub-models of the user's own.

A connection carries, for every target neuron v, the factor c_v of z_v = sum_e c_v w_e a_u(e). Trainable connections
read their weights from the parameters of the assembly; frozen ones hold their own `values`. Edges of a tied connection
and of a convolution share weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from assembly.graph.own import Functions
from assembly.graph.windows import OUTSIDE, Windows

Places = slice | NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Dense:
    """Every neuron of the group `source` feeds every neuron of the group `target`.

    Attributes
    ----------
    source, target : int
        Positions of the groups in the graph, source < target.
    n_source, n_target : int
        Sizes of the two groups.
    factor : ndarray of shape (n_target,), float64
        c_v of each target.
    values : ndarray of shape (n_target * n_source,) or None
        Frozen weights, row by row; None if trainable.
    """

    source: int
    target: int
    n_source: int
    n_target: int
    factor: NDArray[np.float64]
    values: NDArray[np.floating] | None = None
    pool: ClassVar[None] = None

    @property
    def form(self) -> str:
        """What kind of connection this is, for the reader."""
        return "dense"

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return self.n_source * self.n_target

    @property
    def n_weights(self) -> int:
        """Number of weights: one for every edge."""
        return self.n_edges

    def in_degrees(self) -> NDArray[np.int64]:
        """Return the number of in-edges of every target."""
        return np.full(self.n_target, self.n_source, dtype=np.int64)

    def in_edges(self, row: int) -> tuple[NDArray[np.int64], Places]:
        """Return the sources of one target and where its weights stand among those of this connection."""
        return np.arange(self.n_source), slice(row * self.n_source, (row + 1) * self.n_source)

    def largest(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the largest of some values of the sources for every target."""
        return np.full(self.n_target, values.max(initial=0))

    def mark(self, targets: NDArray[np.bool_], sources: NDArray[np.bool_]) -> None:
        """Mark the sources of every marked target."""
        sources |= targets.any()

    def take(self, targets: NDArray[np.int64]) -> tuple[Dense, Places]:
        """Return the connection into some targets alone, and where its weights stand in this one."""
        places: Places
        if _are_neighbours(targets):
            places = slice(int(targets[0]) * self.n_source, (int(targets[-1]) + 1) * self.n_source)
        else:
            places = (targets[:, None] * self.n_source + np.arange(self.n_source)).ravel()
        values = None if self.values is None else self.values[places]
        return replace(self, n_target=len(targets), factor=self.factor[targets], values=values), places

    def among(self, sources: NDArray[np.bool_]) -> Dense:
        """Return the connection with only the marked sources, which must be those in use: here all."""
        return self


class _ByRows:
    """What connections stored by rows have in common: the edges themselves, whatever their weights."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return len(self.indices)

    def in_degrees(self) -> NDArray[np.int64]:
        """Return the number of in-edges of every target."""
        return np.diff(self.indptr)

    def largest(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the largest of some non-negative values of the sources for every target, 0 without sources."""
        found = np.zeros(len(self.indptr) - 1, dtype=np.int64)
        fed = np.flatnonzero(self.in_degrees())
        if len(values) and values.min() == values.max():  # no pass over the edges where all sources are alike
            found[fed] = values[0]
        elif len(fed):
            found[fed] = np.maximum.reduceat(values[self.indices], self.indptr[fed])
        return found

    def mark(self, targets: NDArray[np.bool_], sources: NDArray[np.bool_]) -> None:
        """Mark the sources of every marked target."""
        sources[self.indices[np.repeat(targets, self.in_degrees())]] = True


@dataclass(frozen=True, eq=False)
class Sparse(_ByRows):
    """Each neuron of the group `target` has its own list of parents in the group `source`, stored by rows.

    Attributes
    ----------
    source, target, n_source, n_target, factor, values
        As in `Dense`; `values` has shape (n_edges,).
    indptr : ndarray of shape (n_target + 1,), int64
        The in-edges of target v are indptr[v]..indptr[v+1]-1.
    indices : ndarray of shape (n_edges,), int32
        Source neuron of every edge, counted within the source group.
    """

    source: int
    target: int
    n_source: int
    n_target: int
    factor: NDArray[np.float64]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.floating] | None = None
    pool: ClassVar[None] = None

    @property
    def form(self) -> str:
        """What kind of connection this is, for the reader."""
        return "sparse"

    @property
    def n_weights(self) -> int:
        """Number of weights: one for every edge."""
        return len(self.indices)

    def in_edges(self, row: int) -> tuple[NDArray[np.int64], Places]:
        """Return the sources of one target and where its weights stand among those of this connection."""
        edges = slice(int(self.indptr[row]), int(self.indptr[row + 1]))
        return self.indices[edges].astype(np.int64), edges

    def take(self, targets: NDArray[np.int64]) -> tuple[Sparse, Places]:
        """Return the connection into some targets alone, and where its weights stand in this one."""
        indptr, edges = _rows(self.indptr, targets)
        values = None if self.values is None else self.values[edges]
        taken = replace(
            self,
            n_target=len(targets),
            factor=self.factor[targets],
            indptr=indptr,
            indices=self.indices[edges],
            values=values,
        )
        return taken, edges

    def among(self, sources: NDArray[np.bool_]) -> Sparse:
        """Return the connection with only the marked sources, which must be those in use, renumbered."""
        if sources.all():
            return self
        return replace(self, n_source=int(sources.sum()), indices=_renumbered(sources)[self.indices])


@dataclass(frozen=True, eq=False)
class Tied(_ByRows):
    """As `Sparse`, always trainable, with edges that share weights: edge e reads weight number ``weight[e]``.

    Attributes
    ----------
    source, target, n_source, n_target, factor, indptr, indices
        As in `Sparse`.
    weight : ndarray of shape (n_edges,), int32
        Number of the weight of every edge.
    n_weights : int
        Weights there are.
    pool : int or None
        Tied connections of one graph with the same number read the same weights; None shares them with no other.
    """

    source: int
    target: int
    n_source: int
    n_target: int
    factor: NDArray[np.float64]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weight: NDArray[np.int32]
    n_weights: int
    pool: int | None = None
    values: ClassVar[None] = None

    @property
    def form(self) -> str:
        """What kind of connection this is, for the reader."""
        return "tied"

    def in_edges(self, row: int) -> tuple[NDArray[np.int64], Places]:
        """Return the sources of one target and the numbers of its weights."""
        edges = slice(int(self.indptr[row]), int(self.indptr[row + 1]))
        return self.indices[edges].astype(np.int64), self.weight[edges].astype(np.int64)

    def take(self, targets: NDArray[np.int64]) -> tuple[Tied, Places]:
        """Return the connection into some targets alone; the numbers of the weights stay."""
        indptr, edges = _rows(self.indptr, targets)
        taken = replace(
            self,
            n_target=len(targets),
            factor=self.factor[targets],
            indptr=indptr,
            indices=self.indices[edges],
            weight=self.weight[edges],
        )
        return taken, slice(0, self.n_weights)

    def among(self, sources: NDArray[np.bool_]) -> Tied:
        """Return the connection with only the marked sources, which must be those in use, renumbered."""
        if sources.all():
            return self
        return replace(self, n_source=int(sources.sum()), indices=_renumbered(sources)[self.indices])


@dataclass(frozen=True, eq=False)
class Convolution:
    """Every channel of the target slides one kernel over all channels of the source; always trainable.

    Neurons of both groups stand channel by channel, pixels row by row; weights stand as ``(n_channels, channels of the
    source, *kernel)``. The output at p reads the pixel ``p * stride + tap - padding`` (no flip of the kernel).

    Attributes
    ----------
    source, target, n_source, n_target, factor
        As in `Dense`.
    windows : Windows
        Geometry over the source.
    n_channels : int
        Channels of the target.
    """

    source: int
    target: int
    n_source: int
    n_target: int
    factor: NDArray[np.float64]
    windows: Windows
    n_channels: int
    pool: ClassVar[None] = None
    values: ClassVar[None] = None

    @property
    def form(self) -> str:
        """What kind of connection this is, for the reader."""
        return f"{'x'.join(str(n) for n in self.windows.kernel)} convolution"

    @property
    def n_weights(self) -> int:
        """Number of weights, those of the kernels."""
        return self.n_channels * self.windows.channels * self.windows.n_taps

    @property
    def n_edges(self) -> int:
        """Number of edges; windows on the border have fewer."""
        return self.n_channels * self.windows.channels * int((self.windows.pixels != OUTSIDE).sum())

    def in_degrees(self) -> NDArray[np.int64]:
        """Return the number of in-edges of every target."""
        inside = (self.windows.pixels != OUTSIDE).sum(axis=1, dtype=np.int64)
        return np.tile(self.windows.channels * inside, self.n_channels)

    def in_edges(self, row: int) -> tuple[NDArray[np.int64], Places]:
        """Return the sources of one target and where its weights stand in the kernels."""
        windows = self.windows
        channel, window = divmod(row, windows.n_windows)
        taps = np.flatnonzero(windows.pixels[window] != OUTSIDE)
        below = np.arange(windows.channels)[:, None]
        sources = (below * windows.n_pixels + windows.pixels[window, taps]).ravel()
        return sources, ((channel * windows.channels + below) * windows.n_taps + taps).ravel()

    def largest(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the largest of some non-negative values of the sources for every target."""
        seen = self.windows.patches(values).max(axis=0, initial=0)
        return np.tile(seen, self.n_channels)

    def mark(self, targets: NDArray[np.bool_], sources: NDArray[np.bool_]) -> None:
        """Mark the sources of every marked target."""
        windows = targets.reshape(self.n_channels, self.windows.n_windows).any(axis=0)
        pixels = self.windows.pixels[windows]
        sources.reshape(self.windows.channels, self.windows.n_pixels)[:, pixels[pixels != OUTSIDE]] = True

    def take(self, targets: NDArray[np.int64]) -> tuple[Convolution | Tied, Places]:
        """Return the connection into some targets: itself for all of them if every tap is read, else a tied one."""
        whole = len(targets) == self.n_target and (self.windows.pixels != OUTSIDE).any(axis=0).all()
        return (self if whole else self.as_tied(targets)), slice(0, self.n_weights)

    def as_tied(self, targets: NDArray[np.int64] | None = None) -> Tied:
        """Return the edges into some targets (all, if left out) one by one."""
        chosen = np.arange(self.n_target) if targets is None else targets
        rows = [self.in_edges(int(target)) for target in chosen]
        nothing = np.zeros(0, dtype=np.int64)
        return Tied(
            source=self.source,
            target=self.target,
            n_source=self.n_source,
            n_target=len(chosen),
            factor=self.factor[chosen],
            indptr=np.cumsum([0, *(len(sources) for sources, _ in rows)]).astype(np.int64),
            indices=np.concatenate([nothing, *(sources for sources, _ in rows)]).astype(np.int32),
            weight=np.concatenate([nothing, *(np.asarray(weights) for _, weights in rows)]).astype(np.int32),
            n_weights=self.n_weights,
        )

    def among(self, sources: NDArray[np.bool_]) -> Convolution | Tied:
        """Return the connection with only the marked sources, which must be those in use."""
        return self if sources.all() else self.as_tied().among(sources)


@dataclass(frozen=True, eq=False)
class Own:
    """Every target is a sub-model of the user's own on the inputs: z_v = g(w_v; x), with weights of its own.

    Attributes
    ----------
    source, target, n_source, n_target, factor
        As in `Dense`; the source is the group of the inputs, and all factors are 1.
    functions : Functions
        What g is; `n_parameters` weights for each target.
    """

    source: int
    target: int
    n_source: int
    n_target: int
    factor: NDArray[np.float64]
    functions: Functions
    pool: ClassVar[None] = None
    values: ClassVar[None] = None

    @property
    def form(self) -> str:
        """What kind of connection this is, for the reader."""
        return f"own {self.functions.name!r}"

    @property
    def n_edges(self) -> int:
        """Number of edges: every sub-model reads all inputs."""
        return self.n_source * self.n_target

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return self.functions.n_parameters * self.n_target

    def in_degrees(self) -> NDArray[np.int64]:
        """Return the number of inputs that every sub-model reads."""
        return np.full(self.n_target, self.n_source, dtype=np.int64)

    def in_edges(self, row: int) -> tuple[NDArray[np.int64], Places]:
        """Return all inputs, and where the weights of one sub-model stand (they belong to no edge)."""
        k = self.functions.n_parameters
        return np.arange(self.n_source), slice(row * k, (row + 1) * k)

    def largest(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the largest of some values of the sources for every target."""
        return np.full(self.n_target, values.max(initial=0))

    def mark(self, targets: NDArray[np.bool_], sources: NDArray[np.bool_]) -> None:
        """Mark the sources of every marked target."""
        sources |= targets.any()

    def take(self, targets: NDArray[np.int64]) -> tuple[Own, Places]:
        """Return some of the sub-models, and where their weights stand in this one."""
        k = self.functions.n_parameters
        places: Places
        if _are_neighbours(targets):
            places = slice(int(targets[0]) * k, (int(targets[-1]) + 1) * k)
        else:
            places = (targets[:, None] * k + np.arange(k)).ravel()
        return replace(self, n_target=len(targets), factor=self.factor[targets]), places

    def among(self, sources: NDArray[np.bool_]) -> Own:
        """Return the connection itself: inputs are kept."""
        return self


Connection = Dense | Sparse | Tied | Convolution | Own


def _rows(indptr: NDArray[np.int64], targets: NDArray[np.int64]) -> tuple[NDArray[np.int64], Places]:
    """Return the row pointers of some rows, and where their edges stand."""
    lengths = np.diff(indptr)[targets]
    taken = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if _are_neighbours(targets):
        return taken, slice(int(indptr[targets[0]]), int(indptr[targets[-1] + 1]))
    return taken, np.repeat(indptr[targets] - taken[:-1], lengths) + np.arange(taken[-1])


def _renumbered(kept: NDArray[np.bool_]) -> NDArray[np.int32]:
    return (np.cumsum(kept) - 1).astype(np.int32)


def _are_neighbours(targets: NDArray[np.int64]) -> bool:
    return len(targets) > 0 and int(targets[-1]) - int(targets[0]) == len(targets) - 1
