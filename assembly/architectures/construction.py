"""What builders have in common: the keywords they share, checked once, and a network put together group by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from assembly.activations import NAMES as ACTIVATIONS
from assembly.architectures.drawing import READOUTS, draw, initial_parameters
from assembly.checks import check_count, check_dtype, check_name
from assembly.errors import ArgumentError
from assembly.graph.connections import Connection, Dense
from assembly.graph.description import CONSTANT, INPUT, SOFTMAX, Graph, Group
from assembly.memory import check_fits
from assembly.model import Assembly


@dataclass(frozen=True)
class Options:
    """Keywords that builders share, as `check_options` leaves them."""

    activation: str
    seed: int
    n_outputs: int
    readout: str
    trainable_readout: bool
    output_activation: str
    dtype: np.dtype[Any]


def check_options(
    activation: str,
    seed: int,
    n_outputs: int,
    readout: str,
    trainable_readout: bool,
    output_activation: str,
    dtype: DTypeLike,
) -> Options:
    """Return the keywords that builders share.

    Raises
    ------
    ArgumentError
        If a count is out of range, `dtype` is another one, or a softmax has one output.
    UnknownNameError
        If a name is not known.
    """
    options = Options(
        check_name("activation", activation, ACTIVATIONS),
        check_count("seed", seed, minimum=0),
        check_count("n_outputs", n_outputs),
        check_name("readout", readout, READOUTS),
        trainable_readout,
        check_name("output_activation", output_activation, (*ACTIVATIONS, SOFTMAX)),
        check_dtype(dtype),
    )
    if options.output_activation == SOFTMAX and options.n_outputs < 2:
        raise ArgumentError(
            f"The 'n_outputs' argument must be at least 2 with output_activation 'softmax'. Got {n_outputs}."
        )
    return options


def check_weights(n_weights: int, dtype: np.dtype[Any]) -> None:
    """Raise `ResourceError` if so many weights do not fit in the memory that is free."""
    check_fits(f"A network of {n_weights:,} weights", n_weights * dtype.itemsize, "use smaller widths or dtype float32")


class Construction:
    """A network being put together; its weights are drawn when it is finished.

    Parameters
    ----------
    n_inputs : int
    options : Options
    stream : tuple of str and int
        What the initial weights depend on besides the seed: networks of other streams are independent.
    bias : bool
        Whether neurons will have biases.
    """

    def __init__(self, n_inputs: int, options: Options, stream: tuple[str | int, ...], bias: bool = False) -> None:
        self.options = options
        self.stream = stream
        self.groups = [Group(n_inputs, INPUT)] + ([Group(1, CONSTANT)] if bias else [])
        self.constant = 1
        self._connections: list[Connection] = []
        self._laws: list[tuple[float, str]] = []  # standard deviation and law of every parameter block

    def add_group(self, size: int, activation: str) -> int:
        """Add neurons and return the position of their group."""
        self.groups.append(Group(size, activation))
        return len(self.groups) - 1

    def connect(self, connection: Connection, deviation: float = 1.0, law: str = "gaussian") -> None:
        """Add a connection; its weights, unless frozen, begin with the given standard deviation and law."""
        self._connections.append(connection)
        if connection.values is None:
            self._laws.append((deviation, law))

    def connect_densely(
        self, source: int, target: int, factor: float, deviation: float = 1.0, law: str = "gaussian"
    ) -> None:
        """Connect every neuron of one group to every neuron of another."""
        n_source, n_target = self.groups[source].size, self.groups[target].size
        self.connect(Dense(source, target, n_source, n_target, np.full(n_target, factor)), deviation, law)

    def add_biases(self, target: int, deviation: float = 1.0) -> None:
        """Add a bias to every neuron of a group."""
        self.connect_densely(self.constant, target, 1.0, deviation)

    def add_readout(self, sources: Sequence[int], factor: float, deviation: float = 1.0) -> int:
        """Add the outputs, which read all neurons of some groups, and return the position of their group."""
        options = self.options
        target = self.add_group(options.n_outputs, options.output_activation)
        if options.trainable_readout:
            for source in sources:
                self.connect_densely(source, target, factor, deviation, options.readout)
            return target
        sizes = [self.groups[source].size for source in sources]
        fixed = np.empty(sum(sizes) * options.n_outputs, options.dtype)
        draw(fixed, deviation, options.readout, options.seed, self.stream, "readout")
        start, factors = 0, np.full(options.n_outputs, factor)
        for source, size in zip(sources, sizes, strict=True):
            stop = start + size * options.n_outputs
            self.connect(Dense(source, target, size, options.n_outputs, factors, fixed[start:stop]))
            start = stop
        return target

    def finish(self) -> Assembly:
        """Draw the weights and return the assembly; the last group holds its outputs."""
        options, last = self.options, len(self.groups) - 1
        outputs = tuple((last, k) for k in range(options.n_outputs))
        graph = Graph(tuple(self.groups), tuple(self._connections), outputs)
        parameters = initial_parameters(graph, self._laws, options.seed, self.stream, options.dtype)
        return Assembly.from_graph(graph, parameters)
