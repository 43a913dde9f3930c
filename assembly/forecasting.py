"""How long a computation will take on this machine and how much memory, before it starts.

The time is put together from passes over the weights. Each is tried on the machine: every block runs as it stands, on
weights of 1 that take as much memory as those of the network, and a large one on some of its rows only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter as clock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.architectures.drawing import undrawn
from assembly.blocks.block import Block, NodeBlock
from assembly.blocks.dense import DenseBlock
from assembly.calculus import lockstep, one_hidden_layer
from assembly.calculus.hessian import BASIS_BYTES, BASIS_SIZE
from assembly.calculus.lanczos import WORKING_VECTORS
from assembly.calculus.turning import turning
from assembly.checks import check_count, check_number
from assembly.errors import ArgumentError
from assembly.graph.description import Graph
from assembly.kernels import activation
from assembly.memory import gibibytes
from assembly.model import Assembly
from assembly.program import Program
from assembly.progress import duration
from assembly.threads import n_threads

SAMPLE_BYTES = 2**26  # of weights tried at most: more than the caches hold
SAMPLE_SIDE = 2048  # of matrices whose product is tried, at most
FEW = 8  # rows or columns tried where each is a pass of its own,
MANY = 128  # where they go together
MOST_NEURONS = 4096  # whose activation is tried
N_TRIALS = 3
SECONDS_PER_STEP = 1e-4  # of an eigenvalue iteration, for what is done once whatever the size,
SECONDS_PER_CALL = 2e-5  # and around every block
NODE_VECTORS = 8  # of every sample: values, derivatives, adjoints and what they are computed with


@dataclass(frozen=True)
class Cost:
    """What a computation will take.

    Attributes
    ----------
    seconds : float
    weights : int
        Bytes of the network: weights, and the structure of edges that are stored one by one.
    working : int
        Bytes beside them at most.

    Examples
    --------
    >>> print(Cost(seconds=12.3, weights=4 * 2**30, working=2**28))
    about 12 s and 4.25 GiB
    >>> print(Cost(seconds=0.0287, weights=2**27, working=0))
    about 0.029 s and 0.125 GiB
    """

    seconds: float
    weights: int
    working: int

    @property
    def n_bytes(self) -> int:
        """All bytes at most."""
        return self.weights + self.working

    def __str__(self) -> str:
        time = duration(self.seconds) if self.seconds >= 2.0 else f"{self.seconds:.2g} s"
        return f"about {time} and {gibibytes(self.n_bytes)}"


def typical_steps(tol: float, width: int, size: float, n_hidden: int) -> float:
    r"""Return how many steps an eigenvalue iteration typically takes, for d digits asked for.

    In a network of two hidden layers of m neurons about :math:`(6 + \log_2 m)(1 + d/3)`, in one of four or more
    :math:`m^{1/3} (1.75 + 0.68 d)`, in between the geometric mean. Where neurons have other in-degrees than their layer
    has neurons, m is the geometric mean of both. Fitted to the built-in architectures; `forecast` says how well.

    Parameters
    ----------
    tol : float
        10^-d.
    width : int
        Minimum in-degree.
    size : float
        Neurons of a hidden layer, the median.
    n_hidden : int

    Examples
    --------
    >>> typical_steps(1e-6, 512, 512, 3) > typical_steps(1e-2, 512, 512, 3)
    True
    >>> typical_steps(1e-6, 4096, 4096, 5) > typical_steps(1e-6, 4096, 4096, 2)
    True
    """
    digits, m = -math.log10(tol), max(math.sqrt(width * size), 2.0)
    shallow, deep = (6.0 + math.log2(m)) * (1.0 + digits / 3.0), m ** (1.0 / 3.0) * (1.75 + 0.68 * digits)
    depth = min(max((n_hidden - 2) / 2.0, 0.0), 1.0)
    return float(shallow ** (1.0 - depth) * deep**depth)


def extrapolated(half: float, whole: float, times: float) -> float:
    """Return the seconds of so many times the rows, of which a half and the whole were tried.

    Some of the work is done once for a row, the rest for a pair of rows.

    Examples
    --------
    >>> extrapolated(1.0, 2.0, 10.0), extrapolated(1.0, 4.0, 10.0)
    (20.0, 400.0)
    """
    in_pairs = min(max(2.0 * whole - 4.0 * half, 0.0), whole)
    return times**2 * in_pairs + times * (whole - in_pairs)


class Forecast:
    """What computations with a network will take; made by `assembly.forecast`.

    Attributes
    ----------
    n_parameters, n_layers : int
        Layers with those of the inputs and of the output.
    weights : int
        Bytes of the network: weights, and the structure of edges that are stored one by one.
    """

    def __init__(self, graph: Graph, program: Program) -> None:
        self._graph, self._program = graph, program
        self._trials = _Trials(program)
        self.n_parameters, self.n_layers = program.n_parameters, len(graph.layers)
        self.weights = program.n_parameters * program.dtype.itemsize + sum(_held(block) for block in program.blocks)

    def gradient(self) -> Cost:
        """Return what ``net.gradient(x)`` will take: a forward and a backward pass, and every entry written."""
        blocks, trainable = range(len(self._program.blocks)), self._program.trainable
        seconds = self._evaluation(1) + sum(map(self._trials.scatter, trainable)) + SECONDS_PER_CALL * len(blocks)
        return self._cost(seconds, self._nodes(1) + self.n_parameters)

    def hessian_norm(self, tol: float = 1e-6, *, n: int = 1) -> Cost:
        """Return what ``net.hessian(x).norm(tol)`` will take, or ``net.hessian_norms(X, tol)`` at n inputs.

        Raises
        ------
        ArgumentError
            If `tol` is not between 0 and 1 or `n` not a whole number of at least 1.
        """
        tol, n = check_number("tol", tol, above=0.0, below=1.0), check_count("n", n)
        if one_hidden_layer.applies_to(self._program, self._bends):
            return self._cost(self._evaluation(n, bends=True) + n * SECONDS_PER_STEP, self._nodes(n))
        size, steps = self._program.n_coordinates, self._steps(tol)
        affordable = BASIS_BYTES // (size * self._program.dtype.itemsize) - WORKING_VECTORS
        kept = min(steps, BASIS_SIZE, max(affordable, 20))
        parts = lockstep.groups(self._program, n, lockstep.N_STEPS + lockstep.WORKING_VECTORS)
        together = max(part.stop - part.start for part in parts)
        step = n / together * self._step(together) + n * kept * self._trials.product(size)
        n_vectors = min(n, n_threads() * together) * int(kept + WORKING_VECTORS)
        return self._cost(self._evaluation(n, bends=True) + steps * step, self._nodes(n) + n_vectors * size)

    def tangent_kernel(self, n: int) -> Cost:
        """Return what ``net.tangent_kernel(X)`` at n inputs will take.

        Raises
        ------
        ArgumentError
            If `n` is not a whole number of at least 1.
        """
        n = check_count("n", n)
        outside = self._program.n_coordinates - 2 * self._program.n_nodes
        seconds = self._evaluation(n) + sum(self._trials.kernel(i, n) for i in self._program.trainable)
        return self._cost(seconds, self._nodes(n) + 3 * n**2 + n * outside)

    def gram(self, layer: int) -> Cost:
        """Return what ``net.layers[layer].gram(x)`` will take: two matrix products for every pair of groups met.

        Raises
        ------
        ArgumentError
            If there is no such layer.
        """
        if not 0 <= check_count("layer", layer, minimum=0) < len(self._graph.layers):
            raise ArgumentError(f"The 'layer' argument must be below {len(self._graph.layers)}. Got {layer}.")
        met = _Pairs(self._program, self._graph.layers[layer])
        multiplied = sum(self._trials.multiply(*one) for one in met.multiplied)
        seconds = multiplied + sum(self._trials.congruence(*one) for one in met.congruences)
        kept = 2 * max(met.sizes, default=0) + (sum(met.sizes) if met.multiplied else 0)
        return self._cost(self._evaluation(1) + seconds, kept + self._nodes(1))

    def __str__(self) -> str:
        return f"{self.n_parameters:,} parameters, {gibibytes(self.weights)}"

    def _steps(self, tol: float) -> float:
        sizes = [sum(self._graph.groups[group].size for group in layer) for layer in self._graph.layers[1:-1]]
        return typical_steps(tol, self._graph.width, float(np.median(sizes or [1])), len(sizes))

    def _cost(self, seconds: float, numbers: int) -> Cost:
        return Cost(seconds, self.weights, numbers * self._program.dtype.itemsize)

    def _nodes(self, n: int) -> int:
        return NODE_VECTORS * n * self._program.n_nodes

    @cached_property
    def _above(self) -> list[int]:
        """Blocks that tangents and adjoints pass through."""
        return [i for i, block in enumerate(self._program.blocks) if not block.from_given]

    @cached_property
    def _bends(self) -> NDArray[np.bool_]:
        """Which nodes bend what they read, as far as one can tell without inputs."""
        return np.isin(self._program.codes, (activation.IDENTITY, activation.RELU), invert=True)

    def _evaluation(self, n: int, *, bends: bool = False) -> float:
        """Seconds of all values and adjoints at n inputs, and of second derivatives."""
        trials, everything = self._trials, range(len(self._program.blocks))
        passes = sum(trials.push(i, n) for i in everything) + sum(trials.pull(i, n) for i in self._above)
        return passes + n * (1.0 + bends) * trials.activation + SECONDS_PER_CALL * len(everything)

    def _step(self, n: int) -> float:
        """Seconds of M and N for n node vectors together."""
        trials, program = self._trials, self._program
        meeting = turning(program, self._bends).block if n == 1 else -1
        passes = [trials.turn(i) if i == meeting else trials.push(i, n) + trials.pull(i, n) for i in self._above]
        outside = [trials.push(i, n) + trials.pull(i, n) + n * trials.scatter(i) for i in program.coordinates]
        calls = SECONDS_PER_CALL * len(program.blocks) + SECONDS_PER_STEP
        return sum(passes) + sum(outside) + n * sum(map(trials.gram, program.trainable)) + calls


class _Pairs:
    """Which products `assembly.calculus.gram` makes for the Gram matrix of some groups, without making them.

    Attributes
    ----------
    multiplied : list of (int, int)
        Blocks, and of how many columns.
    congruences : list of (int, bool)
        Blocks, and whether the matrix of their sources is diagonal.
    sizes : list of int
        Entries of the matrices.
    """

    def __init__(self, program: Program, groups: Sequence[int]) -> None:
        self._program = program
        self._segment_of = {segment.nodes.start: i for i, segment in enumerate(program.segments)}
        self.multiplied: list[tuple[int, int]] = []
        self.congruences: list[tuple[int, bool]] = []
        self.sizes: list[int] = []
        self._known: set[tuple[int, int]] = set()
        for first in groups:
            for second in groups:
                self._post(first, second)

    def _size(self, segment: int) -> int:
        return _size(self._program.segments[segment].nodes)

    def _links(self, segment: int) -> list[tuple[int, int]]:
        """Blocks into a segment from neurons, each with the segment it comes from."""
        blocks, incoming = self._program.blocks, self._program.segments[segment].incoming
        return [(i, self._segment_of[blocks[i].source.start]) for i in incoming if not blocks[i].from_given]

    def _post(self, first: int, second: int) -> None:
        pair = (min(first, second), max(first, second))
        if pair in self._known:
            return
        self._known.add(pair)
        links = self._links(pair[1])
        if pair[0] != pair[1]:
            self._cross(*pair)
            self.sizes.append(self._size(first) * self._size(second))
        elif len(links) == 1:
            block, source = links[0]
            self._post(source, source)
            self.congruences.append((block, not self._links(source)))
            self.sizes.append(self._size(first) ** 2)
        else:
            for block, source in links:
                self._cross(source, first)
                self.multiplied.append((block, self._size(first)))
            self.sizes += [self._size(first) ** 2] if links else []

    def _cross(self, earlier: int, later: int) -> None:
        for block, source in self._links(later):
            self._post(earlier, source)
            self.multiplied.append((block, self._size(earlier)))


class _Trials:
    """Seconds of what the blocks of a program do, tried when first asked for."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._known: dict[tuple[Any, ...], float] = {}
        self._next = 0

    @cached_property
    def _buffer(self) -> NDArray[Any]:
        """As many weights of 1 as the network has, or as are tried."""
        largest = max((self._sample(block)[0].shape for block in self.program.blocks), key=math.prod, default=(0,))
        total = sum(math.prod(block.shape) for block in self.program.blocks)
        return np.ones(max(math.prod(largest), min(total, self._most)), self.program.dtype)

    @property
    def _most(self) -> int:
        return SAMPLE_BYTES // self.program.dtype.itemsize

    def _sample(self, block: Block) -> tuple[Block, float]:
        """Return a block of some rows, and how much larger the block is."""
        n_source, n_target = _size(block.source), block.n_target
        n_rows = max(1, min(n_target, self._most // max(n_source, 1)))
        if n_rows == n_target or not isinstance(block, DenseBlock):
            return block, 1.0
        target = slice(block.target.start, block.target.start + n_rows)
        return replace(block, target=target, factor=block.factor[:n_rows]), n_target / n_rows

    def _weights(self, block: Block) -> NDArray[Any]:
        """Return weights that were not read a moment ago, if there are others."""
        size = math.prod(block.shape)
        if self._next + size > len(self._buffer):
            self._next = 0
        found = self._buffer[self._next : self._next + size].reshape(block.shape)
        self._next += size
        found.flags.writeable = False
        return found

    def _seconds(self, name: str, position: int, run: Callable[[Block, NDArray[Any]], object]) -> float:
        block, share = self._sample(self.program.blocks[position])
        key = (name, block.shape, block.from_given) if isinstance(block, DenseBlock) else (name, position)
        if key not in self._known:
            self._known[key] = share * _best(lambda: run(block, self._weights(block)))
        return self._known[key]

    def _vector(self) -> NDArray[Any]:
        return np.ones(self.program.n_nodes, self.program.dtype)

    def push(self, position: int, n: int) -> float:
        return self._rows(position, n, "push", lambda block, *passed: block.push_rows(*passed))

    def pull(self, position: int, n: int) -> float:
        return self._rows(position, n, "pull", lambda block, *passed: block.pull_rows(*passed))

    def _rows(self, position: int, n: int, name: str, run: Callable[..., None]) -> float:
        tried = min(n, MANY if isinstance(self.program.blocks[position], DenseBlock) else FEW)
        a, out = (np.ones((tried, self.program.n_nodes), self.program.dtype) for _ in range(2))
        found = self._seconds(f"{name} {tried}", position, lambda block, weights: run(block, weights, a, out))
        return n / tried * found

    def turn(self, position: int) -> float:
        t, z_dot, first, curvature, abar_dot, s = (self._vector() for _ in range(6))

        def run(block: Block, weights: NDArray[Any]) -> None:
            block.turn(weights, t, z_dot, first, curvature, abar_dot, s)

        return self._seconds("turn", position, run)

    def scatter(self, position: int) -> float:
        a = self._vector()

        def run(block: Block, weights: NDArray[Any]) -> None:
            block.scatter(weights, a, a, a, a, np.empty(weights.size, weights.dtype))

        return self._seconds("scatter", position, run)

    def gram(self, position: int) -> float:
        """N, which reads no weight."""
        block = self.program.blocks[position]
        if position in self.program.coordinates or not isinstance(block, NodeBlock):
            return 0.0
        s, t, p, q = (self._vector() for _ in range(4))
        apply = block.gram(s, t)
        key = ("gram", position)
        if key not in self._known:
            self._known[key] = _best(lambda: apply(s, t, p, q))
        return self._known[key]

    def multiply(self, position: int, n: int) -> float:
        """A block times so many columns."""
        tried = min(n, MANY)
        columns = np.ones((_size(self.program.blocks[position].source), tried), self.program.dtype)
        name = f"multiply {tried}"
        return n / tried * self._seconds(name, position, lambda block, weights: block.multiply(weights, columns))

    def congruence(self, position: int, is_diagonal: bool) -> float:
        """The Gram matrix of the sources to that of the targets."""
        block, dtype = self.program.blocks[position], self.program.dtype
        if not isinstance(block, DenseBlock):
            return self.multiply(position, _size(block.source) + block.n_target)
        corner = _corner(block)
        key = ("congruence", corner.shape, is_diagonal)
        if key not in self._known:
            weights, gram = np.ones(corner.shape, dtype), np.ones(corner.shape[1], dtype)
            given = gram if is_diagonal else np.diag(gram) + dtype.type(1.0)
            self._known[key] = _best(lambda: corner.congruence(weights, given, symmetric=True))
        return self._known[key] * _products(block, is_diagonal) / _products(corner, is_diagonal)

    def kernel(self, position: int, n: int) -> float:
        """Rows against rows, for the tangent kernel: some parts once for a row, others for a pair."""
        block = self.program.blocks[position]
        if position in self.program.coordinates or not isinstance(block, NodeBlock):
            return n * self.scatter(position)

        def seconds(n_rows: int) -> float:
            rows = np.ones((n_rows, self.program.n_nodes), self.program.dtype)
            if ("kernel", position, n_rows) not in self._known:
                self._known["kernel", position, n_rows] = _best(lambda: block.kernel(rows, rows, rows, rows))
            return self._known["kernel", position, n_rows]

        half = MANY // 2
        return seconds(n) if n <= MANY else extrapolated(seconds(half), seconds(MANY), n / MANY)

    def product(self, size: int) -> float:
        """One vector of the basis of an iteration: read twice, as part of a matrix."""
        tried = max(1, min(size, self._most // 64))
        key = ("product", tried)
        if key not in self._known:
            basis, image = np.ones((16, tried), self.program.dtype), np.ones(tried, self.program.dtype)
            self._known[key] = _best(lambda: (basis @ image) @ basis) / 16.0
        return size / tried * self._known[key]

    @cached_property
    def activation(self) -> float:
        """Values and derivatives of all neurons at one input; second ones take as long."""
        n = self.program.n_nodes
        first = max(0, n - MOST_NEURONS)
        pre, post, slope = (np.ones((1, n), self.program.dtype) for _ in range(3))
        seconds = _best(lambda: activation.activate(self.program.codes, pre, post, slope, first, n))
        return seconds * n / max(n - first, 1)


def forecast(network: Assembly | Callable[..., Assembly], *arguments: Any, **options: Any) -> Forecast:
    """Return what computations with a network will take on this machine, also for one that is not built yet.

    Parameters
    ----------
    network : Assembly or callable
        A network, or a builder such as `assembly.mlp` with its arguments: what it makes is put together without drawing
        weights, so a network of 10^9 of them takes no memory here.
    *arguments, **options
        Of the builder.

    Returns
    -------
    Forecast
        Its methods are named after the computations: `gradient`, `hessian_norm`, `tangent_kernel`, `gram`; each returns
        a `Cost` with `seconds` and bytes.

    Raises
    ------
    ArgumentError
        If there are arguments for a network that is built, or `network` is neither.
    ResourceError
        If the weights do not fit in the memory that is free; and whatever the builder raises.

    Notes
    -----
    Most jobs of more than a tenth of a second are within a factor 1.5 where the eigenvalue iteration takes the typical
    number of steps. About nine of ten networks in layers and random graphs take 0.6 to 1.7 times as many; a committee,
    or a mean-field network, in which no neuron stands out, ten times or more. Convolutions may hold twice as much.

    Cost: a few passes over the weights, of at most 64 MB of every block; sparse and tied edges are placed, and passed
    as they are.

    Examples
    --------
    >>> import assembly as am
    >>> wide = am.forecast(am.mlp, n_inputs=64, widths=[4096, 4096], activation="tanh", dtype="float32")
    >>> print(wide)
    17,043,456 parameters, 0.0635 GiB
    >>> cost = wide.hessian_norm(tol=1e-4)
    >>> 0.0 < cost.seconds < 60.0 and cost.working < cost.weights
    True
    """
    if isinstance(network, Assembly):
        if arguments or options:
            raise ArgumentError("The 'network' argument is built already: give no arguments for it.")
        net = network
    elif callable(network):
        with undrawn():
            net = network(*arguments, **options)
    else:
        raise ArgumentError(f"The 'network' argument must be an assembly or a builder. Got {type(network).__name__}.")
    return Forecast(net.graph, net._body.program)


def _held(block: Block) -> int:
    """Bytes of what a block holds beside its weights: its structure, and the weights of a frozen one."""
    return sum(value.nbytes for value in vars(block).values() if isinstance(value, np.ndarray))


def _corner(block: DenseBlock) -> DenseBlock:
    """Return a dense block between some of its nodes."""
    source, target = (
        slice(nodes.start, min(nodes.stop, nodes.start + SAMPLE_SIDE)) for nodes in (block.source, block.target)
    )
    return replace(block, source=source, target=target, factor=block.factor[: _size(target)])


def _products(block: DenseBlock, is_diagonal: bool) -> int:
    """Products in a congruence."""
    n_target, n_source = block.shape
    return n_source * n_target * (n_target if is_diagonal else n_source + n_target)


def _size(nodes: slice) -> int:
    return int(nodes.stop - nodes.start)


def _best(run: Callable[[], object]) -> float:
    run()
    times = []
    for _ in range(N_TRIALS):
        start = clock()
        run()
        times.append(clock() - start)
    return min(times)
