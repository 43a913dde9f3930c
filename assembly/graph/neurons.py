"""A graph given neuron by neuron: what an edge may say, and what is no graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assembly.checks import check_name, check_number, suggest
from assembly.errors import ArgumentError, GraphError
from assembly.graph.description import CONSTANT, INPUT, SOFTMAX, Graph
from assembly.graph.edges import Edges, find_cycle, gather, longest_paths, reaching
from assembly.kernels.activation import NAMES

ACTIVATIONS = (*NAMES, SOFTMAX)
BIAS = "1"  # the parent that stands for the constant 1
LONGEST_SHOWN = 12  # nodes of a cycle


@dataclass(frozen=True)
class Edge:
    r"""One edge of a graph given neuron by neuron: the term :math:`c_e w_e a_u` of a pre-activation.

    Attributes
    ----------
    weight : float, optional
        w_e; drawn from N(0, 1) if left out. A fixed edge needs one.
    trainable : bool
        False makes it fixed: no parameter belongs to it.
    factor : float, optional
        c_e; by default :math:`1/\sqrt n` with n the number of trainable in-edges of the neuron, biases not counted,
        and 1 on fixed edges and biases.
    shared : str, optional
        All edges with the same name read one parameter, anywhere in the graph. It is enough that one gives the weight.

    Examples
    --------
    >>> import assembly as am
    >>> skip = am.Edge(1.0, trainable=False)
    >>> net = am.from_neurons(["x"], {"h": ("tanh", {"x": 0.5}), "f": ("identity", {"h": 2.0, "x": skip})})
    >>> bool(net([0.3]) == 2.0 * np.tanh(0.15) + 0.3)
    True
    """

    weight: float | None = None
    trainable: bool = True
    factor: float | None = None
    shared: str | None = None


Parents = Sequence[str] | Mapping[str, float | Edge | None]


class Collected:
    """Edges met one after the other, each checked."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, float, float, bool, int]] = []
        self._numbers: dict[str, int] = {}
        self._shared: list[tuple[float, str]] = []  # weight, and the edge that gave it

    def add(self, source: int, target: int, name: str, edge: Edge) -> None:
        """Add an edge between two numbered nodes; `name` says which it is in messages.

        Raises
        ------
        ArgumentError
            If a field is no number, bool or name.
        GraphError
            If a fixed edge has no weight or is shared, or edges that share a weight give several.
        """
        weight = np.nan if edge.weight is None else check_number(f"weight {name}", edge.weight)
        factor = np.nan if edge.factor is None else check_number(f"factor {name}", edge.factor)
        if not isinstance(edge.trainable, bool | np.bool_):
            raise ArgumentError(f"The 'trainable {name}' argument must be True or False. Got {edge.trainable!r}.")
        shared = -1
        if edge.shared is not None:
            shared = self._share(edge.shared, weight, name)
        if not edge.trainable and shared >= 0:
            raise GraphError(
                f"The edge {name} is fixed and cannot share a parameter: leave 'shared' or 'trainable' out."
            )
        if not edge.trainable and edge.weight is None:
            raise GraphError(f"The edge {name} is fixed and must have a weight. Got none.")
        self._rows.append((source, target, weight, factor, bool(edge.trainable), shared))

    def _share(self, shared: str, weight: float, name: str) -> int:
        if not isinstance(shared, str) or not shared:
            raise ArgumentError(f"The 'shared {name}' argument must be a name. Got {shared!r}.")
        number = self._numbers.setdefault(shared, len(self._shared))
        if number == len(self._shared):
            self._shared.append((weight, name))
        known, first = self._shared[number]
        if np.isnan(known):
            self._shared[number] = weight, name
        elif not np.isnan(weight) and weight != known:
            raise GraphError(
                f"Edges that share {shared!r} must have one weight. Got {known:g} at {first} and {weight:g} at {name}."
            )
        return number

    def edges(self) -> Edges:
        """Return all as arrays."""
        source, target, weight, factor, trainable, shared = zip(*self._rows, strict=True) if self._rows else [()] * 6
        return Edges(
            np.array(source, dtype=np.int64),
            np.array(target, dtype=np.int64),
            np.array(weight, dtype=np.float64),
            np.array(factor, dtype=np.float64),
            np.array(trainable, dtype=bool),
            np.array(shared, dtype=np.int64),
            np.array([weight for weight, _ in self._shared], dtype=np.float64),
        )


def describe_neurons(
    inputs: Sequence[str], neurons: Mapping[str, tuple[str, Parents]], outputs: Sequence[str] | None
) -> tuple[Graph, NDArray[np.float64]]:
    """Return the graph of named neurons and the weights given, NaN where none was.

    Raises
    ------
    GraphError, UnknownNameError, ArgumentError
        As `assembly.from_neurons`.
    """
    names = _checked_names(inputs, neurons)
    number: dict[str, int] = {name: i for i, name in enumerate(names)} | {BIAS: len(names)}
    found = Collected()
    for name, entry in neurons.items():
        for parent, edge in _checked_parents(name, entry).items():
            if parent not in number:
                raise GraphError(f"Neuron {name!r} has an unknown parent {parent!r}.{suggest(parent, names)}")
            found.add(number[parent], number[name], f"{parent}->{name}", edge)
    edges = found.edges()
    kinds = [INPUT] * len(inputs) + [activation for activation, _ in neurons.values()]
    if (edges.source == number[BIAS]).any():
        kinds, names = [*kinds, CONSTANT], [*names, BIAS]
    softmax = np.array([0 if kind == SOFTMAX else -1 for kind in kinds])
    level = layers_of(names, edges, np.arange(len(names)))
    if outputs is None:
        fed = np.bincount(edges.source, minlength=len(names)) == 0
        wanted = [i for i in range(len(inputs), number[BIAS]) if fed[i]]
    else:
        wanted = _checked_outputs(inputs, neurons, outputs, number)
    if not wanted:
        raise GraphError(f"The 'outputs' argument must name at least one neuron, none twice. Got {outputs or []}.")
    reaches = reaching(level, softmax, edges, wanted)
    for name in neurons:
        if not reaches[number[name]]:
            raise GraphError(f"Neuron {name!r} reaches no output: remove it or make it an output.")
    return gather(kinds, level, softmax, edges, wanted)


def layers_of(names: Sequence[Hashable], edges: Edges, unit: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the layer of every node, the longest path from those without parents.

    Nodes of one unit, given as the number of one of them, stand in one layer.

    Raises
    ------
    GraphError
        If there is a cycle; the message shows it.
    """
    source, target = unit[edges.source], unit[edges.target]
    level = longest_paths(len(names), source, target)[unit]
    if level.min(initial=0) < 0:
        cycle = [str(names[node]) for node in find_cycle(level, source, target)]
        shown = [*cycle[:LONGEST_SHOWN], *["..."] * (len(cycle) > LONGEST_SHOWN), cycle[0]]
        raise GraphError(f"The graph has a cycle: {' -> '.join(shown)}. Remove one of its edges.")
    return level


def _checked_names(inputs: Sequence[str], neurons: Mapping[str, object]) -> list[str]:
    if not isinstance(neurons, Mapping):
        raise ArgumentError(f"The 'neurons' argument must be a mapping with the names as keys. Got {neurons!r}.")
    if isinstance(inputs, str):
        raise ArgumentError(f"The 'inputs' argument must be a sequence of names. Got {inputs!r}.")
    names = [*inputs, *neurons]
    for name in names:
        if not isinstance(name, str) or name == BIAS:
            raise GraphError(f"The name of an input or neuron must be text, and not '1', the constant. Got {name!r}.")
    if len(inputs) == 0 or len(set(names)) < len(names):
        repeated = sorted(name for name, count in Counter(names).items() if count > 1)
        raise GraphError(f"Inputs and neurons must have names of their own, at least one input. Repeated: {repeated}.")
    return names


def _checked_parents(name: str, entry: object) -> dict[str, Edge]:
    if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) != 2:
        raise GraphError(f"Neuron {name!r} must be a pair (activation, parents). Got {entry!r}.")
    activation, parents = entry
    check_name(f"activation of neuron {name!r}", activation, ACTIVATIONS)
    if not isinstance(parents, Sequence | Mapping) or isinstance(parents, str) or len(parents) == 0:
        raise GraphError(f"Neuron {name!r} has no parents: give a non-empty sequence of names. Got {parents!r}.")
    for parent in parents:
        if not isinstance(parent, str):
            raise GraphError(f"Neuron {name!r} has an unknown parent {parent!r}: parents are given by name.")
    if isinstance(parents, Mapping):
        return {parent: edge if isinstance(edge, Edge) else Edge(edge) for parent, edge in parents.items()}
    if len(set(parents)) < len(parents):
        raise GraphError(f"Neuron {name!r} names a parent twice: give each one once. Got {parents!r}.")
    return dict.fromkeys(parents, Edge())


def _checked_outputs(
    inputs: Sequence[str], neurons: Mapping[str, object], outputs: Sequence[str], number: Mapping[str, int]
) -> list[int]:
    if isinstance(outputs, str):
        raise ArgumentError(f"The 'outputs' argument must be a sequence of names. Got {outputs!r}.")
    for name in outputs:
        if name not in neurons:
            raise GraphError(f"The output {name!r} is no neuron.{suggest(name, neurons)}")
    if len(set(outputs)) < len(outputs):
        raise GraphError(f"The 'outputs' argument must name at least one neuron, none twice. Got {list(outputs)}.")
    return [number[name] for name in outputs]
