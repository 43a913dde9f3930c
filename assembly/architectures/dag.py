"""Random directed acyclic graphs of neurons, and networks whose in-degrees are uneven."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from assembly.activations import NAMES as ACTIVATIONS
from assembly.architectures.drawing import READOUTS, initial_parameters
from assembly.checks import check_count, check_counts, check_dtype, check_name, check_number
from assembly.errors import ArgumentError
from assembly.graph.connections import Connection, Dense, Sparse
from assembly.graph.description import INPUT, Graph, Group
from assembly.kernels import sampling
from assembly.memory import check_fits
from assembly.model import Assembly
from assembly.progress import counted
from assembly.seeds import generator

CHUNK = 2**20  # edges drawn at once
BYTES_PER_INDEX = 4
NODE_VECTORS = 12  # of an evaluation, its adjoints and a pass over both
Sources = Sequence[tuple[int, int]]  # group and size of each group that parents may come from


def random_dag(
    n_inputs: int,
    n_layers: int,
    layer_width: int | Sequence[int],
    in_degree: int,
    activation: str = "tanh",
    *,
    reach: int = 1,
    seed: int = 0,
    n_outputs: int = 1,
    readout: str = "gaussian",
    output_activation: str = "identity",
    dtype: DTypeLike = np.float64,
) -> Assembly:
    r"""Return a random directed acyclic graph: every neuron is an assembly of its own random parents.

    .. math:: z_v = \frac{1}{\sqrt{k}} \sum_{u \in pa(v)} w_{uv} a_u, \quad a_v = \sigma(z_v), \qquad
              pa(v) \text{ uniform among the } k\text{-subsets of the } r \text{ layers below } v

    The k parents of a neuron are distinct. Two rules keep the graph what it is asked to be: a neuron has a parent in
    the layer right below, so that layers by longest path are as asked, and every hidden neuron has a child. For both,
    each layer is dealt out to the next one in random order, again from the front where targets are more; the other
    parents are uniform among the rest. With r = 1 and no layer narrower than the one below, that leaves the parents of
    every neuron exactly uniform. The output reads all neurons of the last layer.

    Parameters
    ----------
    n_inputs : int
        Layer 0.
    n_layers : int
        Hidden layers.
    layer_width : int or sequence of n_layers ints
        Neurons in every hidden layer, or in each.
    in_degree : int
        k, the parents of every hidden neuron. The first layer reads the inputs: k of them, or all if there are fewer.
    activation : str
        One of `assembly.activations.NAMES`.
    reach : int
        r, how many layers below a neuron its parents come from; beyond 1 the graph has skips.
    seed : int
        The graph does not depend on `dtype`, the weights do.
    n_outputs : int
    readout : {"gaussian", "sign"}
        Initial readout weights: N(0, 1), or +1 and -1 with equal chance. All other weights are N(0, 1).
    output_activation : str
        Activation function of the outputs.
    dtype : {float64, float32}

    Returns
    -------
    Assembly
        Parameters layer by layer; within one by the layer of the parents, then by target, parents ascending. Where a
        neuron has all it can have as parents, the connections are dense.

    Raises
    ------
    ArgumentError
        If a count is below 1, `layer_width` has not n_layers entries, `in_degree` exceeds the neurons that can be
        parents, or a layer is so narrow that some neuron below it would have no child.
    UnknownNameError
        If a name is not known; the message gives the nearest.
    ResourceError
        If weights, structure and node vectors do not fit in the memory that is free.

    Notes
    -----
    Time and memory are linear in the edges: 4 bytes of structure for each, beside its weight. Parents are drawn by
    Floyd's algorithm [1]_.

    References
    ----------
    .. [1] J. Bentley and B. Floyd (1987), A sample of brilliance, Communications of the ACM 30, 754-757.

    Examples
    --------
    >>> random_dag(n_inputs=8, n_layers=2, layer_width=1000, in_degree=20, seed=0)
    Assembly: 8 inputs, 1 output, 29,000 parameters, width 20, float64
      layer 0: 8 input
      layer 1: 1000 tanh; z = 0.353553 x dense from layer 0
      layer 2: 1000 tanh; z = 0.223607 x sparse from layer 1
      layer 3: 1 identity; z = 0.0316228 x dense from layer 2
    """
    hidden = _layer_widths(layer_width, check_count("n_layers", n_layers))
    sizes = (check_count("n_inputs", n_inputs), *hidden, check_count("n_outputs", n_outputs))
    _check_names(activation, readout, output_activation)
    kind = check_dtype(dtype)
    _check_in_degree(sizes, check_count("in_degree", in_degree), check_count("reach", reach))
    degrees = [min(in_degree, n_inputs)] + [in_degree] * (n_layers - 1)
    n_drawn = sum(size * degree for size, degree in zip(hidden, degrees, strict=True))
    _check_memory(n_drawn + hidden[-1] * n_outputs, n_drawn, sum(sizes), kind)

    connections: list[Connection] = []
    with counted("random_dag", n_drawn, "edges") as advance:
        for layer, (n_target, degree) in enumerate(zip(hidden, degrees, strict=True), start=1):
            below = [(group, sizes[group]) for group in range(max(0, layer - reach), layer)]
            n_required = sizes[layer - 1] if layer > 1 else 0
            rng = generator(seed, "parents", *sizes, in_degree, reach, layer)
            n_pool = sum(size for _, size in below)
            if degree == n_pool:
                connections += _dense(below, layer, n_target)
                advance(n_target * degree)
            else:
                parents = _parents(n_pool, n_target, degree, n_required, rng, advance)
                connections += _sparse(below, layer, parents)
    connections += _dense([(n_layers, hidden[-1])], n_layers + 1, n_outputs)
    kinds = [INPUT, *[activation] * n_layers, output_activation]
    groups = [Group(size, name) for size, name in zip(sizes, kinds, strict=True)]
    return _assembled(groups, connections, readout, seed, (*sizes, in_degree, reach), kind)


def uneven_dag(
    n_inputs: int,
    n_layers: int,
    width: int,
    activation: str = "tanh",
    *,
    exponent: float = 1.5,
    seed: int = 0,
    n_outputs: int = 1,
    readout: str = "gaussian",
    output_activation: str = "identity",
    dtype: DTypeLike = np.float64,
) -> Assembly:
    r"""Return a network of uneven in-degrees: in every layer above the first m for one half, all for the other.

    Layers have :math:`n = m^\gamma` neurons. The first reads the inputs. In the others one half of the neurons have the
    same m parents, drawn at random from the layer below, and the other half all n; the outputs read all neurons of the
    last layer. The minimum in-degree m is the width, and it governs: the norm of the Hessian falls like
    :math:`m^{-1/2}` [1]_, not like :math:`n^{-1/2}`. (Were the m parents drawn anew for every neuron, the edges of
    each parent would be few, and the norm would fall faster than the theorem asks, like :math:`n^{-1/2}`.)

    Parameters
    ----------
    n_inputs : int
    n_layers : int
        Hidden layers, at least 2.
    width : int
        m, at least 2.
    activation : str
        One of `assembly.activations.NAMES`.
    exponent : float
        :math:`\gamma`, above 1 and below 10.
    seed : int
    n_outputs : int
    readout : {"gaussian", "sign"}
        Initial readout weights: N(0, 1), or +1 and -1 with equal chance. All other weights are N(0, 1).
    output_activation : str
        Activation function of the outputs.
    dtype : {float64, float32}

    Returns
    -------
    Assembly
        Parameters layer by layer, within one those of the half with m parents first.

    Raises
    ------
    ArgumentError
        If a count or `exponent` is out of range.
    UnknownNameError
        If a name is not known; the message gives the nearest.
    ResourceError
        If weights, structure and node vectors do not fit in the memory that is free.

    Notes
    -----
    About n^2 / 2 edges a layer, m^3 / 2 by default; those of the half that reads all are dense.

    References
    ----------
    .. [1] C. Liu, L. Zhu and M. Belkin (2022), Transition to linearity of general neural networks with directed acyclic
       graph architecture, NeurIPS.

    Examples
    --------
    >>> uneven_dag(n_inputs=8, n_layers=2, width=16, seed=0)
    Assembly: 8 inputs, 1 output, 3,136 parameters, width 16, float64
      layer 0: 8 input
      layer 1: 64 tanh; z = 0.353553 x dense from layer 0
      layer 2: 64 tanh; z = 0.25 x sparse from layer 1 + 0.125 x dense from layer 1
      layer 3: 1 identity; z = 0.125 x dense from layer 2 + 0.125 x dense from layer 2
    """
    m, n_layers = check_count("width", width, minimum=2), check_count("n_layers", n_layers, minimum=2)
    n = max(m + 1, round(m ** check_number("exponent", exponent, above=1.0, below=10.0)))
    sizes = (check_count("n_inputs", n_inputs), *[n] * n_layers, check_count("n_outputs", n_outputs))
    _check_names(activation, readout, output_activation)
    kind = check_dtype(dtype)
    n_narrow, n_wide = n // 2, n - n // 2
    n_sparse = (n_layers - 1) * n_narrow * m
    n_edges = n * (n_inputs + n_outputs) + (n_layers - 1) * n_wide * n + n_sparse
    _check_memory(n_edges, n_sparse, sum(sizes), kind)

    groups = [Group(n_inputs, INPUT), Group(n, activation)]
    connections = _dense([(0, n_inputs)], 1, n)
    below = [(1, n)]
    for layer in range(2, n_layers + 1):
        narrow = len(groups)
        common = generator(seed, "parents", *sizes, m, layer).choice(n, m, replace=False).astype(np.int32)
        connections += _sparse(below, narrow, np.tile(np.sort(common), (n_narrow, 1)))
        connections += _dense(below, narrow + 1, n_wide)
        groups += [Group(n_narrow, activation), Group(n_wide, activation)]
        below = [(narrow, n_narrow), (narrow + 1, n_wide)]
    connections += _dense(below, len(groups), n_outputs)
    groups.append(Group(n_outputs, output_activation))
    return _assembled(groups, connections, readout, seed, (*sizes, m), kind)


def _layer_widths(layer_width: int | Sequence[int], n_layers: int) -> tuple[int, ...]:
    if not isinstance(layer_width, Sequence | np.ndarray):
        return (check_count("layer_width", layer_width),) * n_layers
    widths = check_counts("layer_width", layer_width)
    if len(widths) != n_layers:
        raise ArgumentError(
            f"The 'layer_width' argument must be one int or n_layers = {n_layers} of them. Got {len(widths)} ints."
        )
    return widths


def _check_names(activation: str, readout: str, output_activation: str) -> None:
    check_name("activation", activation, ACTIVATIONS)
    check_name("output_activation", output_activation, ACTIVATIONS)
    check_name("readout", readout, READOUTS)


def _check_in_degree(sizes: tuple[int, ...], in_degree: int, reach: int) -> None:
    """Refuse more parents than there are neurons to choose from, and edges too few to give every neuron a child."""
    for layer in range(2, len(sizes) - 1):
        n_pool = sum(sizes[max(0, layer - reach) : layer])
        if in_degree > n_pool:
            raise ArgumentError(
                f"The 'in_degree' argument must be at most {n_pool}, the neurons that those of layer {layer} can have "
                f"as parents. Got {in_degree}."
            )
        if sizes[layer - 1] > sizes[layer] * in_degree:
            raise ArgumentError(
                f"The 'layer_width' argument must leave every neuron a child: layer {layer - 1} has {sizes[layer - 1]} "
                f"neurons. Got {sizes[layer]} for layer {layer}, with in_degree = {in_degree} edges each."
            )


def _check_memory(n_edges: int, n_sparse: int, n_nodes: int, dtype: np.dtype[Any]) -> None:
    n_bytes = n_edges * dtype.itemsize + n_sparse * BYTES_PER_INDEX + n_nodes * NODE_VECTORS * dtype.itemsize
    check_fits(f"A network of {n_edges:,} edges", n_bytes, "use fewer neurons, a smaller in-degree or dtype float32")


def _factor(n_target: int, in_degree: int) -> NDArray[np.float64]:
    return np.full(n_target, 1.0 / math.sqrt(in_degree))


def _dense(sources: Sources, target: int, n_target: int) -> list[Connection]:
    """Return the connections that make every neuron of some groups a parent of every target."""
    factor = _factor(n_target, sum(size for _, size in sources))
    return [Dense(group, target, size, n_target, factor) for group, size in sources]


def _sparse(sources: Sources, target: int, parents: NDArray[np.int32]) -> list[Connection]:
    """Return the edges from `parents`, shape (n_target, in_degree), ascending and numbered through all groups."""
    n_target, in_degree = parents.shape
    factor = _factor(n_target, in_degree)
    connections: list[Connection] = []
    start = 0
    for group, size in sources:
        inside = (parents >= start) & (parents < start + size)
        indptr = np.concatenate([[0], np.cumsum(inside.sum(axis=1))], dtype=np.int64)
        if indptr[-1] > 0:
            indices = parents[inside] - np.int32(start)
            connections.append(Sparse(group, target, size, n_target, factor, indptr, indices))
        start += size
    return connections


def _parents(
    n_pool: int,
    n_target: int,
    in_degree: int,
    n_required: int,
    rng: np.random.Generator,
    advance: Callable[[int], None],
) -> NDArray[np.int32]:
    """Return the parents of every target, ascending, shape (n_target, in_degree), numbered within the pool."""
    dealt = n_pool - n_required + rng.permutation(n_required)
    required = np.resize(dealt, max(n_required, n_target) if n_required else 0)
    parents = np.empty((n_target, in_degree), dtype=np.int32)
    marks = np.zeros(n_pool, dtype=np.bool_)
    n_rows = max(1, CHUNK // in_degree)
    for first in range(0, n_target, n_rows):
        rows = parents[first : first + n_rows]
        sampling.fill_parents(rng.random(rows.shape), required, n_pool, first, n_target, marks, rows)
        rows.sort(axis=1)
        advance(rows.size)
    return parents


def _assembled(
    groups: list[Group],
    connections: list[Connection],
    readout: str,
    seed: int,
    sizes: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Assembly:
    """Return the assembly with the last group as its outputs and standard normal weights, but for the readout."""
    target = len(groups) - 1
    outputs = tuple((target, output) for output in range(groups[target].size))
    graph = Graph(tuple(groups), tuple(connections), outputs)
    initial = [(1.0, readout if connection.target == target else "gaussian") for connection in connections]
    return Assembly.from_graph(graph, initial_parameters(graph, initial, seed, sizes, dtype))
