"""Networks in files: written and read without pickling, everything checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assembly.architectures.drawing import initial_parameters
from assembly.architectures.neurons import from_neurons
from assembly.checks import check_name, suggest
from assembly.errors import AssemblyError, DataError
from assembly.graph import files
from assembly.graph.interchange import check_keys
from assembly.graph.neurons import Edge
from assembly.memory import check_fits
from assembly.model import Assembly

NEURONS = "assembly-neurons"
FORMATS = (files.FORMAT, NEURONS)


def save(net: Assembly, path: str | Path, *, weights: bool = True) -> None:
    """Write a network to a JSON file, and its arrays to an NPZ file of the same name beside it.

    Parameters
    ----------
    net : Assembly
    path : str or Path
        Ends in ``.json``. Files of that name are replaced, each in one step and the JSON file last.
    weights : bool
        False leaves the parameters out: the JSON file then holds everything, fixed weights included, and `load` draws
        new ones.

    Raises
    ------
    GraphError
        If the network has a sub-model of your own: a file cannot hold functions.
    ArgumentError
        If `path` is no name of a ``.json`` file.
    DataError
        If it cannot be written, or an NPZ file of that name belongs to something else.
    NonFiniteError
        If a parameter is NaN or infinite.

    Notes
    -----
    The JSON file holds ``{"format": "assembly", "version": 1, "dtype", "graph": {"groups", "connections", "outputs"},
    "weights": the NPZ file or null, "sha256": its checksum}``. Nothing is pickled. Cost: one pass over all arrays.

    Examples
    --------
    >>> import tempfile, pathlib, assembly as am
    >>> net = am.mlp(n_inputs=3, widths=[4], activation="tanh", seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     am.save(net, pathlib.Path(folder, "net.json"))
    ...     again = am.load(pathlib.Path(folder, "net.json"))
    >>> bool((again.parameters == net.parameters).all())
    True
    """
    net.save(path, weights=weights)


def load(path: str | Path, *, seed: int = 0) -> Assembly:
    """Return the network of a JSON file, written by `save` or by hand.

    By hand, neuron by neuron, as for `assembly.from_neurons`::

        {"format": "assembly-neurons", "version": 1, "inputs": ["x", "y"],
         "neurons": {"h": {"activation": "tanh", "parents": {"x": 0.5, "y": null, "1": {"weight": 0.1}}},
                     "f": {"activation": "identity", "parents": ["h"]}},
         "outputs": ["f"]}

    A parent's entry is null, a weight, or an object with keys of `assembly.Edge`. "outputs" and "dtype" may be left
    out.

    Parameters
    ----------
    path : str or Path
        Ends in ``.json``.
    seed : int
        Weights that the file does not give are drawn from N(0, 1).

    Returns
    -------
    Assembly

    Raises
    ------
    DataError
        If a file is missing, cut short, damaged, of another format or a later version, or has a misspelt key.
    GraphError, ShapeError, NonFiniteError, UnknownNameError, ArgumentError
        If what it holds is no graph; the message names the place.
    ResourceError
        If it would not fit in the memory that is free.

    Notes
    -----
    Cost: one pass over all arrays, and one over the NPZ file for its checksum.
    """
    document = files.read_document(path)
    try:
        form, version = document.get("format"), document.get("version")
        if form not in FORMATS:
            raise DataError(
                f"The 'format' entry must be one of {', '.join(FORMATS)}. Got {form!r}.{suggest(str(form), FORMATS)}"
            )
        if type(version) is not int or version != files.VERSION:
            raise DataError(f"The 'version' entry must be {files.VERSION}, the only one known here. Got {version!r}.")
        return _from_neurons(document, seed) if form == NEURONS else _from_graph(path, document, seed)
    except AssemblyError as error:
        raise type(error)(f"The file {Path(path).name!r} holds no network. {error}") from None


def _from_graph(path: str | Path, document: dict[str, Any], seed: int) -> Assembly:
    graph, dtype, parameters = files.read_graph(path, document)
    if parameters is None:
        check_fits(
            f"A network of {graph.n_parameters:,} weights", graph.n_parameters * dtype.itemsize, "make it smaller"
        )
        sizes = tuple(group.size for group in graph.groups)
        parameters = initial_parameters(graph, [(1.0, "gaussian")] * len(graph.parameter_blocks), seed, sizes, dtype)
    return Assembly.from_graph(graph, parameters)


def _from_neurons(document: dict[str, Any], seed: int) -> Assembly:
    entries = check_keys("file", document, ("format", "version", "inputs", "neurons"), ("outputs", "dtype"))
    if not isinstance(entries["neurons"], dict):
        raise DataError(
            f"The 'neurons' entry must be a JSON object with a key for every neuron. Got {entries['neurons']!r}."
        )
    neurons = {}
    for name, entry in entries["neurons"].items():
        neuron = check_keys(f"neurons.{name}", entry, ("activation", "parents"))
        parents = neuron["parents"]
        if isinstance(parents, Mapping):
            parents = {parent: _edge(f"neurons.{name}.parents.{parent}", edge) for parent, edge in parents.items()}
        neurons[name] = neuron["activation"], parents
    inputs, outputs = _names("inputs", entries["inputs"]), entries.get("outputs")
    outputs = None if outputs is None else _names("outputs", outputs)
    dtype = check_name("dtype", entries.get("dtype", "float64"), files.DTYPES)
    return from_neurons(inputs, neurons, outputs, seed=seed, dtype=dtype)


def _edge(where: str, entry: object) -> Any:
    if not isinstance(entry, dict):
        return entry
    return Edge(**check_keys(where, entry, (), ("weight", "trainable", "factor", "shared")))


def _names(where: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise DataError(f"The '{where}' entry must be a list of names. Got {value!r}.")
    return value
