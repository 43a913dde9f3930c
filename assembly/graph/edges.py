"""Edges one by one, by the numbers of their ends, and how they are gathered into groups and connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assembly.graph.connections import Connection, Dense, Sparse, Tied
from assembly.graph.description import CONSTANT, Graph, Group

OWN, FIXED, SHARED = range(3)  # a weight of its own, a fixed one, one that other edges read too
SHARED_POOL = 0


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges between numbered nodes, no two with the same ends.

    Attributes
    ----------
    source, target : ndarray of shape (n_edges,), int64
    weight : ndarray of shape (n_edges,), float64
        NaN where none is given.
    factor : ndarray of shape (n_edges,), float64
        c_e; NaN for the default.
    trainable : ndarray of shape (n_edges,), bool
    shared : ndarray of shape (n_edges,), int64
        Number of the shared weight, -1 for a weight of its own.
    shared_weight : ndarray of shape (n_shared,), float64
        NaN where none is given.
    """

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]
    factor: NDArray[np.float64]
    trainable: NDArray[np.bool_]
    shared: NDArray[np.int64]
    shared_weight: NDArray[np.float64]

    @property
    def kind(self) -> NDArray[np.int64]:
        """`OWN`, `FIXED` or `SHARED` for every edge."""
        return np.where(self.shared >= 0, SHARED, np.where(self.trainable, OWN, FIXED))


def longest_paths(n_nodes: int, source: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the longest path to every node from those without parents; -1 on a cycle and behind one.

    Cost: one pass over the edges, sorted once.
    """
    order = np.argsort(source, kind="stable")
    children, starts = target[order], np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n_nodes))])
    waiting = np.bincount(target, minlength=n_nodes)
    level = np.full(n_nodes, -1, dtype=np.int64)
    front, depth = np.flatnonzero(waiting == 0), 0
    while len(front):
        level[front] = depth
        lengths = starts[front + 1] - starts[front]
        shift = starts[front] - np.cumsum(lengths) + lengths
        reached = children[np.repeat(shift, lengths) + np.arange(lengths.sum())]
        np.subtract.at(waiting, reached, 1)
        front, depth = np.unique(reached[waiting[reached] == 0]), depth + 1
    return level


def find_cycle(level: NDArray[np.int64], source: NDArray[np.int64], target: NDArray[np.int64]) -> list[int]:
    """Return the nodes of a cycle in the direction of its edges; `level` as from `longest_paths`, -1 somewhere."""
    behind = (level[source] < 0) & (level[target] < 0)
    parent = dict(zip(target[behind].tolist(), source[behind].tolist(), strict=True))
    walked: dict[int, int] = {}
    node = next(iter(parent))
    while node not in walked:
        walked[node] = len(walked)
        node = parent[node]
    return list(walked)[walked[node] :][::-1]


def reaching(
    level: NDArray[np.int64], softmax: NDArray[np.int64], edges: Edges, outputs: Sequence[int]
) -> NDArray[np.bool_]:
    """Return which nodes reach an output; all neurons of a softmax do if one does."""
    reaches = np.zeros(len(level), dtype=bool)
    reaches[list(outputs)] = True
    order = np.argsort(level[edges.target], kind="stable")
    bounds = np.searchsorted(level[edges.target][order], np.arange(level.max() + 2))
    coupled: dict[int, dict[int, list[int]]] = {}
    for node in np.flatnonzero(softmax >= 0).tolist():
        coupled.setdefault(int(level[node]), {}).setdefault(int(softmax[node]), []).append(node)
    for depth in range(int(level.max()), 0, -1):
        for members in coupled.get(depth, {}).values():
            reaches[members] = reaches[members].any()
        entering = order[bounds[depth] : bounds[depth + 1]]
        reaches[edges.source[entering[reaches[edges.target[entering]]]]] = True
    return reaches


def gather(
    kinds: Sequence[str],
    level: NDArray[np.int64],
    softmax: NDArray[np.int64],
    edges: Edges,
    outputs: Sequence[int],
) -> tuple[Graph, NDArray[np.float64]]:
    r"""Return the graph of numbered nodes, and the weights given for its parameters, NaN where none was.

    One group holds the inputs, one the constant, and one the neurons of a layer, those of each softmax apart; every
    group keeps the order of the numbers. Factors default to :math:`1/\sqrt n` with n the trainable in-edges without
    biases, and to 1 on fixed edges and biases. Edges between two groups are one connection each for weights of their
    own, fixed and shared ones. A target with several factors takes several connections, by rank of the factor; where
    its edges are fixed, factors are multiplied into the weights instead.

    Parameters run by group of the target, then group of the source with the constant last, then rank of the factor,
    then target, then source; shared ones come last, by number.

    Parameters
    ----------
    kinds : sequence of str
        Activation function of every node; "input" and "constant" (at most one) mark those without parents.
    level : ndarray of shape (n_nodes,), int64
        Layer of every node.
    softmax : ndarray of shape (n_nodes,), int64
        Number of the softmax that a node is part of, -1 for none; a softmax is the nodes of one layer and number.
    edges : Edges
    outputs : sequence of int

    Notes
    -----
    Cost: a few sorts of the edges.
    """
    group, nodes = _grouped(kinds, level, softmax)
    position = np.empty(len(kinds), dtype=np.int64)
    for members in nodes:
        position[members] = np.arange(len(members))
    groups = tuple(_group([kinds[node] for node in members]) for members in nodes)

    is_bias = np.array([kind == CONSTANT for kind in kinds])[edges.source]
    counted = edges.trainable & ~is_bias
    default = 1.0 / np.sqrt(np.maximum(np.bincount(edges.target[counted], minlength=len(kinds)), 1))
    factor = np.where(np.isnan(edges.factor), np.where(counted, default[edges.target], 1.0), edges.factor)
    source_rank = np.where(is_bias, len(groups), group[edges.source])
    kind = edges.kind
    rank, several = _ranks((source_rank * 3 + kind) * len(kinds) + edges.target, factor)
    folded = several & (kind == FIXED)
    weight = np.where(folded, edges.weight * factor, edges.weight)
    factor, rank = np.where(folded, 1.0, factor), np.where(folded, 0, rank)

    section = np.stack([kind == SHARED, group[edges.target], source_rank, kind, rank])
    order = np.lexsort((position[edges.source], position[edges.target], *section[::-1]))
    starts = np.flatnonzero(np.any(np.diff(section[:, order], axis=1, prepend=-1), axis=0))
    connections: list[Connection] = []
    given: list[NDArray[np.float64]] = []
    for chosen in np.split(order, starts[1:]) if len(order) else []:
        first = chosen[0]
        source, target = int(group[edges.source[first]]), int(group[edges.target[first]])
        factors = default[nodes[target]] if counted[first] else np.ones(len(nodes[target]))
        rows, sources = position[edges.target[chosen]], position[edges.source[chosen]]
        factors[rows] = factor[chosen]
        ends = (source, target, groups[source].size, groups[target].size, factors)
        if kind[first] == SHARED:
            connections.append(_tied(ends, rows, sources, edges.shared[chosen], len(edges.shared_weight)))
            continue
        connections.append(_connect(ends, rows, sources, weight[chosen] if kind[first] == FIXED else None))
        if kind[first] == OWN:
            given.append(weight[chosen])
    graph = Graph(groups, tuple(connections), tuple((int(group[node]), int(position[node])) for node in outputs))
    return graph, np.concatenate([np.zeros(0), *given, edges.shared_weight])


def _grouped(
    kinds: Sequence[str], level: NDArray[np.int64], softmax: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Return the group of every node and the nodes of every group."""
    is_constant = np.array([kind == CONSTANT for kind in kinds])
    key = level * (softmax.max() + 3) + 1 + np.where(is_constant, 0, softmax)  # -1: the inputs, the plain neurons
    _, group = np.unique(key, return_inverse=True)
    order = np.argsort(group, kind="stable")
    return group, np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _group(kinds: list[str]) -> Group:
    return Group(len(kinds), kinds[0] if len(set(kinds)) == 1 else tuple(kinds))


def _ranks(bucket: NDArray[np.int64], factor: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the rank of each factor among the distinct ones of its bucket, and whether the bucket has several."""
    order = np.lexsort((factor, bucket))
    new_bucket = np.diff(bucket[order], prepend=-1) != 0
    new_factor = new_bucket | (np.diff(factor[order], prepend=np.nan) != 0.0)
    counted = np.cumsum(new_factor)
    sorted_rank = counted - np.maximum.accumulate(np.where(new_bucket, counted, 0))
    rank = np.empty_like(sorted_rank)
    rank[order] = sorted_rank
    several = np.isin(bucket, bucket[rank > 0])
    return rank, several


_Ends = tuple[int, int, int, int, NDArray[np.float64]]


def _connect(
    ends: _Ends, rows: NDArray[np.int64], sources: NDArray[np.int64], values: NDArray[np.float64] | None
) -> Connection:
    """Return a connection, dense if all edges are there."""
    _, _, n_source, n_target, _ = ends
    if len(rows) == n_source * n_target:
        return Dense(*ends, values)
    return Sparse(*ends, _row_starts(rows, n_target), sources.astype(np.int32), values)


def _tied(
    ends: _Ends, rows: NDArray[np.int64], sources: NDArray[np.int64], numbers: NDArray[np.int64], n_weights: int
) -> Connection:
    starts = _row_starts(rows, ends[3])
    return Tied(*ends, starts, sources.astype(np.int32), numbers.astype(np.int32), n_weights, SHARED_POOL)


def _row_starts(rows: NDArray[np.int64], n_target: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_target))]).astype(np.int64)
