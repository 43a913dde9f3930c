"""Committees: independent sub-models with parameters of their own, added up with fixed or trainable coefficients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.architectures.drawing import READOUTS, draw
from assembly.checks import check_count, check_name, check_number, check_vector
from assembly.errors import GraphError
from assembly.graph.composition import can_be_stacked, same_structure, stacked, with_readout
from assembly.model import Assembly
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
    parameters = [
        np.concatenate([made.parameters[block] for made in parts]) for block in parts[0].graph.parameter_blocks
    ]
    if trainable_coefficients:
        parameters.append(values.astype(parts[0].dtype))
    graph = with_readout(graph, nodes, n_parts**-exponent, None if trainable_coefficients else values)
    return Assembly.from_graph(graph, np.concatenate([np.zeros(0, parts[0].dtype), *parameters]))


def _coefficients(coefficients: str | ArrayLike, n_parts: int, seed: int) -> NDArray[np.float64]:
    if not isinstance(coefficients, str):
        return check_vector("coefficients", coefficients, n_parts)
    values = np.empty(n_parts)
    draw(values, 1.0, check_name("coefficients", coefficients, READOUTS), seed, (n_parts,), "coefficients")
    return values
