"""Builders of the common assemblies: layered networks, committees, and graphs given neuron by neuron."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from assembly.activations import NAMES as ACTIVATIONS
from assembly.checks import check_count, check_counts, check_dtype, check_name, check_number, check_vector
from assembly.errors import ArgumentError, GraphError
from assembly.graph.composition import can_be_stacked, same_structure, stacked, with_readout
from assembly.graph.connections import Connection, Dense
from assembly.graph.description import CONSTANT, INPUT, Graph, Group
from assembly.graph.neurons import Parents, describe_neurons
from assembly.memory import check_fits
from assembly.model import Assembly
from assembly.seeds import generator

PARAMETRIZATIONS = ("ntk", "standard", "mean-field")
READOUTS = ("gaussian", "sign")


def mlp(
    n_inputs: int,
    widths: Sequence[int],
    activation: str = "tanh",
    *,
    seed: int = 0,
    n_outputs: int = 1,
    readout: str = "gaussian",
    trainable_readout: bool = True,
    bias: bool = False,
    output_activation: str = "identity",
    parametrization: str = "ntk",
    gamma: float | None = None,
    dtype: DTypeLike = np.float64,
) -> Assembly:
    r"""Return a fully connected network, a neuron of every layer being an assembly of those below.

    .. math:: z^{(l)} = \frac{1}{\sqrt{m_{l-1}}} W^{(l)} a^{(l-1)} + b^{(l)}, \quad a^{(l)} = \sigma(z^{(l)}), \quad
              f = \sigma_{out}\Bigl(\frac{1}{m_L^{\gamma}}\, v \cdot a^{(L)} + b\Bigr)

    Parameters
    ----------
    n_inputs : int
    widths : sequence of int
        Layer widths, from the first hidden layer to the last.
    activation : str
        One of `assembly.activations.NAMES`.
    seed : int
        Networks of other seeds, widths or dtypes are independent.
    n_outputs : int
    readout : {"gaussian", "sign"}
        Initial readout weights: N(0, 1), or +1 and -1 with equal chance.
    trainable_readout : bool
        False makes the readout weights fixed coefficients.
    bias : bool
        A trainable bias, N(0, 1), on every neuron and output, with factor 1.
    output_activation : str
        Activation function of the outputs.
    parametrization : {"ntk", "standard", "mean-field"}
        "ntk": weights N(0, 1) and the factor 1/sqrt(fan-in) in the forward pass. "standard": the factor sits in the
        standard deviation, the forward pass has factor 1, and biases begin at 0. "mean-field": as "ntk" with gamma = 1.
    gamma : float, optional
        Exponent of the readout scale s(m) = m^gamma; 1/2, or 1 for "mean-field".
    dtype : {float64, float32}

    Returns
    -------
    Assembly
        Parameters in the order W1, b1, W2, b2, ..., readout, its bias; each matrix row by row, a row per target.

    Raises
    ------
    ArgumentError
        If a count is below 1, `gamma` contradicts the parametrisation, or `dtype` is another one.
    UnknownNameError
        If a name is not known; the message gives the nearest.
    ResourceError
        If the parameters do not fit in the memory that is free.

    Notes
    -----
    Built in the time its random numbers take; the weights are held once.

    Examples
    --------
    >>> mlp(n_inputs=64, widths=[512, 512], activation="tanh", seed=0)
    Assembly: 64 inputs, 1 output, 295,424 parameters, width 512, float64
      layer 0: 64 input
      layer 1: 512 tanh; z = 0.125 x dense from layer 0
      layer 2: 512 tanh; z = 0.0441942 x dense from layer 1
      layer 3: 1 identity; z = 0.0441942 x dense from layer 2
    """
    sizes = (check_count("n_inputs", n_inputs), *check_counts("widths", widths), check_count("n_outputs", n_outputs))
    check_name("activation", activation, ACTIVATIONS)
    check_name("output_activation", output_activation, ACTIVATIONS)
    check_name("readout", readout, READOUTS)
    exponent = _scale_exponent(parametrization, gamma)
    kind = check_dtype(dtype)
    n_weights = sum(n_source * n_target for n_source, n_target in itertools.pairwise(sizes))
    check_fits(f"A network of {n_weights:,} weights", n_weights * kind.itemsize, "use smaller widths or dtype float32")
    scales = [1.0 / math.sqrt(size) for size in sizes[:-2]] + [sizes[-2] ** -exponent]
    in_forward = parametrization != "standard"

    groups = [Group(sizes[0], INPUT)] + ([Group(1, CONSTANT)] if bias else [])
    connections: list[Connection] = []
    initial: list[tuple[float, str]] = []  # standard deviation and distribution of every trainable connection
    source = 0
    for layer, (n_source, n_target, scale) in enumerate(zip(sizes[:-1], sizes[1:], scales, strict=True), start=1):
        last = layer == len(scales)
        target = len(groups)
        groups.append(Group(n_target, output_activation if last else activation))
        factor = np.full(n_target, scale if in_forward else 1.0)
        deviation, law = 1.0 if in_forward else scale, readout if last else "gaussian"
        if last and not trainable_readout:
            fixed = np.empty(n_source * n_target, kind)
            _draw(fixed, deviation, law, seed, sizes, "readout")
            connections.append(Dense(source, target, n_source, n_target, factor, fixed))
        else:
            connections.append(Dense(source, target, n_source, n_target, factor))
            initial.append((deviation, law))
        if bias:
            connections.append(Dense(1, target, 1, n_target, np.ones(n_target)))
            initial.append((1.0 if in_forward else 0.0, "gaussian"))
        source = target
    graph = Graph(tuple(groups), tuple(connections), tuple((source, k) for k in range(n_outputs)))
    return Assembly.from_graph(graph, _initial_parameters(graph, initial, seed, sizes, kind))


def bottleneck(n_inputs: int, widths: Sequence[int], activation: str = "tanh", **options: Any) -> Assembly:
    """Return a fully connected network with a bottleneck: a hidden layer narrower than both its neighbours.

    The minimum in-degree is the bottleneck's width however wide the rest, so the theory promises no transition to
    linearity. Options are those of `mlp`.

    Raises
    ------
    ArgumentError
        If no hidden layer between the first and the last is narrower than its neighbours; and as `mlp`.

    Examples
    --------
    >>> bottleneck(n_inputs=64, widths=[512, 1, 512], activation="tanh", seed=0).width
    1
    """
    sizes = check_counts("widths", widths)
    inner = zip(sizes[:-2], sizes[1:-1], sizes[2:], strict=True)
    if not any(narrow < min(before, after) for before, narrow, after in inner):
        raise ArgumentError(
            "The 'widths' argument must hold a layer narrower than the one before and the one after, "
            f"such as [512, 1, 512]. Got {list(sizes)}."
        )
    return mlp(n_inputs, sizes, activation, **options)


def committee(
    part: Callable[[int], Assembly],
    n_parts: int,
    *,
    coefficients: str | ArrayLike = "sign",
    trainable_coefficients: bool = False,
    gamma: float = 0.5,
    seed: int = 0,
) -> Assembly:
    r"""Return m independent sub-models with their own parameters, :math:`f = m^{-\gamma} \sum_i v_i\, g_i(w_i; x)`.

    Parameters
    ----------
    part : callable
        Makes one sub-model with one output from a seed, for example
        ``lambda seed: am.mlp(n_inputs=4, widths=[8], activation="tanh", seed=seed)``.
    n_parts : int
        m.
    coefficients : {"sign", "gaussian"} or array_like of shape (n_parts,)
        The v_i: drawn, or given.
    trainable_coefficients : bool
        Make them the last m parameters.
    gamma : float
        Exponent of the scale s(m) = m^gamma.
    seed : int

    Returns
    -------
    Assembly
        Parts of one structure are stacked: parameters run connection by connection, and part by part within one.
        Otherwise they run part by part.

    Raises
    ------
    ArgumentError, UnknownNameError, ShapeError
        If an argument is out of range.
    GraphError
        If `part` returns no assembly with one output, or parts differ in inputs or dtype.

    Examples
    --------
    >>> import assembly as am
    >>> net = committee(lambda seed: am.mlp(n_inputs=4, widths=[8], activation="tanh", seed=seed), n_parts=100)
    >>> len(net.parts), net.scale
    (100, 10.0)
    """
    check_count("n_parts", n_parts)
    exponent = check_number("gamma", gamma)
    values = _coefficients(coefficients, n_parts, seed)
    part_seeds = generator(seed, "parts", n_parts).integers(2**62, size=n_parts)
    parts = [part(int(part_seed)) for part_seed in part_seeds]
    for i, made in enumerate(parts):
        if not isinstance(made, Assembly) or made.n_outputs != 1:
            raise GraphError(f"The 'part' argument must return an assembly with one output. Got {made!r} for part {i}.")
    alike = all(made.dtype == parts[0].dtype and same_structure(parts[0].graph, made.graph) for made in parts)
    if not alike or not can_be_stacked(parts[0].graph):
        return Assembly(parts, values, n_parts**exponent, trainable_coefficients=trainable_coefficients)
    graph, nodes = stacked(parts[0].graph, n_parts)
    parameters = [np.concatenate([made.parameters[block] for made in parts]) for block in parts[0].graph.parameter_blocks]
    if trainable_coefficients:
        parameters.append(values.astype(parts[0].dtype))
    graph = with_readout(graph, nodes, n_parts**-exponent, None if trainable_coefficients else values)
    return Assembly.from_graph(graph, np.concatenate([np.zeros(0, parts[0].dtype), *parameters]))


def from_neurons(
    inputs: Sequence[str],
    neurons: Mapping[str, tuple[str, Parents]],
    outputs: Sequence[str] | None = None,
    *,
    seed: int = 0,
    dtype: DTypeLike = np.float64,
) -> Assembly:
    r"""Return an assembly given neuron by neuron: any directed acyclic graph.

    .. math:: z_v = \frac{1}{\sqrt{|pa(v)|}} \sum_{u \in pa(v)} w_{uv} a_u, \qquad a_v = \sigma_v(z_v)

    Parameters
    ----------
    inputs : sequence of str
        Names of the inputs, in the order of the columns of X.
    neurons : mapping
        Name -> (activation function, parents); parents are a sequence of names, or a mapping from name to weight.
        In any order.
    outputs : sequence of str, optional
        By default the neurons that feed no other, in the order given.
    seed : int
        Weights not given are drawn from N(0, 1).
    dtype : {float64, float32}

    Returns
    -------
    Assembly
        Neurons of one layer and neighbouring layers are kept as sparse blocks, or dense ones where every edge is
        there. Within a layer neurons stand in the order given.

    Raises
    ------
    GraphError
        If there is a cycle (the message shows it), an unknown or repeated parent, a neuron without parents, or one
        that reaches no output.
    UnknownNameError
        If an activation function is not known.

    Examples
    --------
    A diamond:

    >>> net = from_neurons(
    ...     inputs=["x", "y"],
    ...     neurons={
    ...         "top": ("tanh", ["x", "y"]),
    ...         "left": ("tanh", ["top"]),
    ...         "right": ("sin", ["top"]),
    ...         "out": ("identity", {"left": 1.0, "right": -1.0}),
    ...     },
    ... )
    >>> net.width
    1
    """
    kind = check_dtype(dtype)
    graph, given = describe_neurons(inputs, neurons, outputs)
    parameters = np.empty(graph.n_parameters, kind)
    _draw(parameters, 1.0, "gaussian", seed, (len(inputs), len(neurons)), "neurons")
    parameters[~np.isnan(given)] = given[~np.isnan(given)]
    return Assembly.from_graph(graph, parameters)


def _scale_exponent(parametrization: str, gamma: float | None) -> float:
    check_name("parametrization", parametrization, PARAMETRIZATIONS)
    default = 1.0 if parametrization == "mean-field" else 0.5
    exponent = default if gamma is None else check_number("gamma", gamma)
    if parametrization == "mean-field" and exponent != 1.0:
        raise ArgumentError(f"The 'gamma' argument must be 1 with parametrization 'mean-field'. Got {gamma!r}.")
    return exponent


def _initial_parameters(
    graph: Graph, initial: list[tuple[float, str]], seed: int, sizes: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    parameters = np.empty(graph.n_parameters, dtype)
    for number, (block, (deviation, law)) in enumerate(zip(graph.parameter_blocks, initial, strict=True)):
        _draw(parameters[block], deviation, law, seed, sizes, number)
    return parameters


def _draw(out: NDArray[Any], deviation: float, law: str, seed: int, sizes: tuple[int, ...], what: str | int) -> None:
    rng = generator(seed, "weights", out.dtype.name, *sizes, what)
    if law == "sign":
        out[:] = deviation * (2.0 * rng.integers(2, size=out.shape) - 1.0)
        return
    rng.standard_normal(dtype=out.dtype.type, out=out)
    if deviation != 1.0:
        out *= out.dtype.type(deviation)


def _coefficients(coefficients: str | ArrayLike, n_parts: int, seed: int) -> NDArray[np.float64]:
    if not isinstance(coefficients, str):
        return check_vector("coefficients", coefficients, n_parts)
    values = np.empty(n_parts)
    _draw(values, 1.0, check_name("coefficients", coefficients, READOUTS), seed, (n_parts,), "coefficients")
    return values
