"""Committees: independent sub-models with parameters of their own, added up with fixed or trainable coefficients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.architectures.drawing import READOUTS, draw
from assembly.checks import check_count, check_name, check_number, check_vector
from assembly.errors import ArgumentError, GraphError
from assembly.graph.composition import can_be_stacked, same_structure, stacked, with_readout
from assembly.model import Assembly
from assembly.neuron import Neuron
from assembly.seeds import generator


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
        ``lambda seed: am.mlp(n_inputs=4, widths=[8], activation="tanh", seed=seed)``, a committee again, or what
        `submodel` returns.
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

    Notes
    -----
    Built in the time its parts take, about 0.2 ms each for small networks; a pass then costs what its edges cost, in a
    few calls where parts have one structure.

    Examples
    --------
    >>> import assembly as am
    >>> net = committee(lambda seed: am.mlp(n_inputs=4, widths=[8], activation="tanh", seed=seed), n_parts=100)
    >>> len(net.parts), net.scale
    (100, 10.0)
    """
    check_count("n_parts", n_parts)
    scale = n_parts ** check_number("gamma", gamma)
    values = drawn_coefficients(coefficients, n_parts, seed)
    return added_up(drawn_parts(part, n_parts, seed), values, scale, trainable_coefficients)


def drawn_parts(part: Callable[[int], Assembly], n_parts: int, seed: int) -> list[Assembly]:
    """Return independent sub-models, each with parameters of its own.

    Raises
    ------
    ArgumentError
        If `part` cannot be called with a seed.
    GraphError
        If it returns no assembly with one output.
    """
    if not callable(part) or isinstance(part, Assembly | Neuron):
        raise ArgumentError(
            f"The 'part' argument must make an assembly from a seed, as lambda seed: am.mlp(2, [8], seed=seed) does. "
            f"Got {part!r}."
        )
    seeds = generator(seed, "parts", n_parts).integers(2**62, size=n_parts)
    parts = [part(int(part_seed)) for part_seed in seeds]
    for i, made in enumerate(parts):
        if not isinstance(made, Assembly) or made.n_outputs != 1:
            raise GraphError(f"The 'part' argument must return an assembly with one output. Got {made!r} for part {i}.")
    if len({id(made) for made in parts}) < len(parts):
        return [made.with_parameters(made.parameters) for made in parts]
    return parts


def drawn_coefficients(coefficients: str | ArrayLike, n_parts: int, seed: int) -> NDArray[np.float64]:
    """Return the coefficients given, or drawn if they are the name of a law."""
    if not isinstance(coefficients, str):
        return check_vector("coefficients", coefficients, n_parts)
    values = np.empty(n_parts)
    draw(values, 1.0, check_name("coefficients", coefficients, READOUTS), seed, (n_parts,), "coefficients")
    return values


def added_up(
    parts: Sequence[Assembly], coefficients: NDArray[np.float64], scale: float, trainable: bool = False
) -> Assembly:
    """Return ``1/scale sum_i v_i g_i``; parts of one structure are stacked.

    Raises
    ------
    GraphError
        If parts differ in inputs or dtype.
    """
    if not are_alike(parts) or not can_be_stacked(parts[0].graph):
        return Assembly(parts, coefficients, scale, trainable_coefficients=trainable)
    graph, nodes = stacked([made.graph for made in parts])
    graph = with_readout(graph, nodes, 1.0 / scale, None if trainable else coefficients)
    weights = stacked_parameters(parts)
    return Assembly.from_graph(graph, np.append(weights, coefficients.astype(weights.dtype)) if trainable else weights)


def are_alike(parts: Sequence[Assembly]) -> bool:
    """Return whether sub-models differ in nothing but their weights."""
    first = parts[0]
    return all(made.dtype == first.dtype and same_structure(first.graph, made.graph) for made in parts)


def stacked_parameters(parts: Sequence[Assembly]) -> NDArray[Any]:
    """Return the parameters of sub-models of one structure, block by block, and part by part within one."""
    blocks = [np.concatenate([made.parameters[block] for made in parts]) for block in parts[0].graph.parameter_blocks]
    return np.concatenate([np.zeros(0, parts[0].dtype), *blocks])
