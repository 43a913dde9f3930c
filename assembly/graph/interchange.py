"""A graph as a plain dictionary for JSON, and back, every entry checked.

Arrays stand in the dictionary as lists, or under a name in a mapping of arrays beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.checks import check_count, check_name, check_number, check_vector, suggest
from assembly.errors import DataError, GraphError, ShapeError
from assembly.graph.connections import Connection, Convolution, Dense, Own, Sparse, Tied
from assembly.graph.description import CONSTANT, INPUT, SOFTMAX, Graph, Group
from assembly.graph.windows import Windows
from assembly.kernels.activation import NAMES
from assembly.memory import check_fits

KINDS = ("dense", "sparse", "tied", "convolution")
_WINDOWS = ("shape", "kernel", "stride", "padding")
_ENDS = ("kind", "source", "target", "factor")
_KEYS: dict[str, tuple[str, ...]] = {
    "dense": (*_ENDS, "values"),
    "sparse": (*_ENDS, "indptr", "indices", "values"),
    "tied": (*_ENDS, "indptr", "indices", "weight", "n_weights", "pool"),
    "convolution": (*_ENDS, "channels", *_WINDOWS, "n_channels"),
}

Arrays = Mapping[str, NDArray[Any]]


def check_keys(where: str, entry: object, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    """Return a dictionary that has all keys required, and no others than those and the optional ones.

    Raises
    ------
    DataError
        If it is none; the message gives the nearest key.

    Examples
    --------
    >>> check_keys("the group", {"size": 3}, ["size"])
    {'size': 3}
    """
    if not isinstance(entry, dict):
        raise DataError(f"The '{where}' entry must be a JSON object with keys. Got {_shown(entry)}.")
    known = [*required, *optional]
    for key in entry:
        if key not in known:
            nearest = suggest(key, known)
            raise DataError(
                f"The '{where}' entry must have no other keys than {', '.join(known)}. Got {key!r}.{nearest}"
            )
    for key in required:
        if key not in entry:
            raise DataError(f"The '{where}' entry must have the key {key!r}. Got {', '.join(entry) or 'none'}.")
    return entry


def graph_to_dict(graph: Graph, arrays: MutableMapping[str, NDArray[Any]] | None = None) -> dict[str, Any]:
    """Return a graph as a dictionary of plain numbers, strings and lists; its trainable weights are no part of it.

    Parameters
    ----------
    graph : Graph
    arrays : mutable mapping, optional
        Takes the arrays, and the dictionary holds their names; without it they become lists.

    Returns
    -------
    dict
        "groups", "connections" and "outputs", as the attributes of `Graph`. A factor that is the same for all targets
        is one number.

    Raises
    ------
    GraphError
        If there is a sub-model of the user's own: a file cannot hold functions.

    Notes
    -----
    Cost: one pass over the structure of sparse connections and over frozen weights.

    Examples
    --------
    >>> import assembly as am
    >>> graph_to_dict(am.mlp(n_inputs=4, widths=[2], activation="tanh").graph)["connections"][0]
    {'kind': 'dense', 'source': 0, 'target': 1, 'factor': 0.5, 'values': None}
    """
    connections = []
    for number, connection in enumerate(graph.connections):

        def hold(name: str, array: NDArray[Any], prefix: str = f"connection {number}") -> Any:
            if arrays is None:
                return array.tolist()
            arrays[f"{prefix} {name}"] = array
            return f"{prefix} {name}"

        connections.append(_connection_to_dict(connection, hold))
    return {
        "groups": [
            {
                "size": group.size,
                "activation": list(group.activation) if isinstance(group.activation, tuple) else group.activation,
            }
            for group in graph.groups
        ],
        "connections": connections,
        "outputs": [list(output) for output in graph.outputs],
    }


def _connection_to_dict(connection: Connection, hold: Callable[[str, NDArray[Any]], Any]) -> dict[str, Any]:
    if isinstance(connection, Own):
        raise GraphError(
            f"The sub-model {connection.functions.name!r} of your own is made of functions, which a file cannot hold: "
            "keep the parameters in a file, and build the network anew."
        )
    kind = type(connection).__name__.lower()
    constant = len(set(connection.factor.tolist())) == 1
    factor = float(connection.factor[0]) if constant else hold("factor", connection.factor)
    found: dict[str, Any] = {"kind": kind, "source": connection.source, "target": connection.target, "factor": factor}
    if isinstance(connection, Convolution):
        windows = connection.windows
        found |= {"channels": windows.channels} | {name: list(getattr(windows, name)) for name in _WINDOWS}
        return found | {"n_channels": connection.n_channels}
    if isinstance(connection, Sparse | Tied):
        found |= {name: hold(name, getattr(connection, name)) for name in ("indptr", "indices")}
    if isinstance(connection, Tied):
        found["weight"] = hold("weight", connection.weight)
        return found | {"n_weights": connection.n_weights, "pool": connection.pool}
    return found | {"values": None if connection.values is None else hold("values", connection.values)}


def graph_from_dict(description: object, arrays: Arrays | None = None) -> Graph:
    """Return the graph of a dictionary as `graph_to_dict` makes it.

    Parameters
    ----------
    description : dict
    arrays : mapping from str to ndarray, optional
        The arrays that the dictionary names.

    Returns
    -------
    Graph

    Raises
    ------
    DataError
        If a key is misspelt or missing, or an array is not there.
    GraphError
        If the entries are those of no graph: an edge that does not lead forward, a number out of range.
    ShapeError, ArgumentError, NonFiniteError, UnknownNameError
        If an entry has another size than its groups, is no number, or names nothing known.
    ResourceError
        If it would not fit in the memory that is free.

    Notes
    -----
    Cost: a few passes over the structure of sparse connections.

    Examples
    --------
    >>> import assembly as am
    >>> graph = am.mlp(n_inputs=4, widths=[2], activation="tanh").graph
    >>> graph_from_dict(graph_to_dict(graph)).groups == graph.groups
    True
    """
    entries = check_keys("graph", description, ("groups", "connections", "outputs"))
    groups = tuple(_group(f"graph.groups[{i}]", entry, i) for i, entry in enumerate(_list("graph.groups", entries)))
    if sum(group.activation == CONSTANT for group in groups) > 1:
        raise GraphError("The 'graph.groups' entry must hold one constant at most.")
    n_neurons = sum(group.size for group in groups)
    check_fits(f"A graph of {n_neurons:,} neurons", 8 * n_neurons, "give smaller groups")
    connections = tuple(
        _Reader(f"graph.connections[{i}]", arrays or {}, groups).connection(entry)
        for i, entry in enumerate(_list("graph.connections", entries))
    )
    fed = {connection.target for connection in connections}
    for i, group in enumerate(groups):
        if not group.is_given and i not in fed:
            raise GraphError(f"The 'graph.connections' entry must lead into every group of neurons. Got none into {i}.")
    _check_pools(connections)
    outputs = tuple(
        _output(f"graph.outputs[{i}]", entry, groups) for i, entry in enumerate(_list("graph.outputs", entries))
    )
    return Graph(groups, connections, outputs)


def _list(where: str, entries: Mapping[str, Any]) -> list[Any]:
    found = entries[where.removeprefix("graph.")]
    if not isinstance(found, list) or not found:
        raise DataError(f"The '{where}' entry must be a list that is not empty. Got {_shown(found)}.")
    return found


def _group(where: str, entry: object, number: int) -> Group:
    entries = check_keys(where, entry, ("size", "activation"))
    size, activation = check_count(f"{where}.size", entries["size"]), entries["activation"]
    if isinstance(activation, list):
        names = tuple(check_name(f"{where}.activation[{i}]", name, NAMES) for i, name in enumerate(activation))
        if len(names) != size:
            raise ShapeError(f"The '{where}.activation' entry must hold {size} names. Got {len(names)}.")
        activation = names
    else:
        known = (INPUT,) if number == 0 else (*NAMES, SOFTMAX, CONSTANT)
        check_name(f"{where}.activation", activation, known)
    if number == 0 and activation != INPUT:
        raise GraphError(f"The '{where}' entry must be the inputs. Got {_shown(activation)}.")
    if activation == CONSTANT and size != 1:
        raise ShapeError(f"The '{where}.size' entry must be 1 for the constant. Got {size}.")
    return Group(size, activation)


def _output(where: str, entry: object, groups: Sequence[Group]) -> tuple[int, int]:
    if not isinstance(entry, list) or len(entry) != 2:
        raise DataError(f"The '{where}' entry must be a pair [group, position]. Got {_shown(entry)}.")
    group = _below(f"{where}[0]", entry[0], len(groups))
    return group, _below(f"{where}[1]", entry[1], groups[group].size)


def _below(where: str, value: object, limit: int) -> int:
    number = check_count(where, value, minimum=0)
    if number >= limit:
        raise GraphError(f"The '{where}' entry must be below {limit}. Got {number}.")
    return number


def _check_pools(connections: Sequence[Connection]) -> None:
    sizes: dict[int, int] = {}
    for i, connection in enumerate(connections):
        if isinstance(connection, Tied) and connection.pool is not None:
            size = sizes.setdefault(connection.pool, connection.n_weights)
            if size != connection.n_weights:
                raise GraphError(
                    f"The 'graph.connections[{i}].n_weights' entry must be {size}, as elsewhere in pool "
                    f"{connection.pool}. Got {connection.n_weights}."
                )


class _Reader:
    """Reads one connection; `where` is its place, for messages."""

    def __init__(self, where: str, arrays: Arrays, groups: Sequence[Group]) -> None:
        self.where, self.arrays, self.groups = where, arrays, groups

    def connection(self, entry: object) -> Connection:
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if kind == "own":
            raise GraphError(f"The '{self.where}' entry is a sub-model of somebody's own, which a file cannot hold.")
        if isinstance(entry, dict) and "kind" in entry:
            check_name(f"{self.where}.kind", kind, KINDS)
        self.entries = check_keys(self.where, entry, _KEYS.get(str(kind), _ENDS))
        source = _below(f"{self.where}.source", self.entries["source"], len(self.groups))
        target = _below(f"{self.where}.target", self.entries["target"], len(self.groups))
        if source >= target or self.groups[target].is_given:
            raise GraphError(
                f"The '{self.where}' entry must lead from a group to neurons of a later one. "
                f"Got source {source} and target {target}."
            )
        n_source, n_target = self.groups[source].size, self.groups[target].size
        ends = (source, target, n_source, n_target, self.factor(n_target))
        match kind:
            case "dense":
                return Dense(*ends, self.values(n_source * n_target))
            case "convolution":
                return self.convolution(ends)
        indptr = self.integers("indptr", n_target + 1)
        if indptr[0] != 0 or (np.diff(indptr) < 0).any():
            raise GraphError(f"The '{self.where}.indptr' entry must begin with 0 and never fall.")
        n_edges = int(indptr[-1])
        indices = self.integers("indices", n_edges, below=n_source).astype(np.int32)
        if kind == "sparse":
            return Sparse(*ends, indptr, indices, self.values(n_edges))
        n_weights = check_count(f"{self.where}.n_weights", self.entries["n_weights"])
        weight = self.integers("weight", n_edges, below=n_weights).astype(np.int32)
        pool = self.entries["pool"]
        pool = None if pool is None else check_count(f"{self.where}.pool", pool, minimum=0)
        return Tied(*ends, indptr, indices, weight, n_weights, pool)

    def convolution(self, ends: tuple[int, int, int, int, NDArray[np.float64]]) -> Convolution:
        shape, kernel, stride = (self.counts(name) for name in _WINDOWS[:3])
        padding = self.counts("padding", minimum=0)
        if not len(shape) == len(kernel) == len(stride) == len(padding):
            raise ShapeError(f"The '{self.where}' entry must have a shape, kernel, stride and padding of one length.")
        channels, n_channels = (
            check_count(f"{self.where}.{name}", self.entries[name]) for name in ("channels", "n_channels")
        )
        windows = Windows(channels, shape, kernel, stride, padding)
        sizes = channels * windows.n_pixels, n_channels * windows.n_windows
        if min(windows.output_shape) < 1 or sizes != ends[2:4]:
            raise ShapeError(
                f"The '{self.where}' entry must have windows from {ends[2]} neurons to {ends[3]}. "
                f"Got windows of shape {windows.output_shape} from {sizes[0]} to {sizes[1]}."
            )
        return Convolution(*ends, windows, n_channels)

    def counts(self, name: str, minimum: int = 1) -> tuple[int, ...]:
        values = self.entries[name]
        if not isinstance(values, list) or not values:
            raise DataError(f"The '{self.where}.{name}' entry must be a list of whole numbers. Got {_shown(values)}.")
        return tuple(check_count(f"{self.where}.{name}[{i}]", value, minimum) for i, value in enumerate(values))

    def factor(self, size: int) -> NDArray[np.float64]:
        value = self.entries["factor"]
        if isinstance(value, list | str):
            return check_vector(f"{self.where}.factor", self.array("factor"), size)
        return np.full(size, check_number(f"{self.where}.factor", value))

    def values(self, size: int) -> NDArray[Any] | None:
        if self.entries["values"] is None:
            return None
        array = self.array("values")
        dtype = array.dtype if array.dtype == np.float32 else np.float64
        return check_vector(f"{self.where}.values", array, size, dtype)

    def integers(self, name: str, size: int, below: int | None = None) -> NDArray[np.int64]:
        where, array = f"{self.where}.{name}", self.array(name)
        if array.dtype.kind not in "iu" and array.size > 0:
            raise DataError(f"The '{where}' entry must hold whole numbers. Got {array.dtype}.")
        if array.shape != (size,):
            raise ShapeError(f"The '{where}' entry must have shape ({size},). Got shape {array.shape}.")
        numbers = array.astype(np.int64)
        if below is not None and (wrong := array[(numbers < 0) | (numbers >= below)]).size:
            raise GraphError(f"The '{where}' entry must hold numbers from 0 to {below - 1}. Got {wrong[0]}.")
        return numbers

    def array(self, name: str) -> NDArray[Any]:
        """Return an array, from its list or under its name."""
        value = self.entries[name]
        if isinstance(value, str):
            if value not in self.arrays:
                raise DataError(f"The '{self.where}.{name}' entry must name an array that is there. Got {value!r}.")
            return self.arrays[value]
        try:
            array = np.asarray(value)
        except ValueError:
            array = np.empty(0, dtype=object)
        if not isinstance(value, list) or array.ndim != 1 or array.dtype.kind not in "iuf":
            raise DataError(f"The '{self.where}.{name}' entry must be a list of numbers. Got {_shown(value)}.")
        return array


def _shown(value: object) -> str:
    """Return a value for a message, cut if it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
