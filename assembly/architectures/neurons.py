"""Networks given neuron by neuron: any directed acyclic graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import DTypeLike

from assembly.architectures.drawing import draw
from assembly.checks import check_dtype
from assembly.graph.neurons import Parents, describe_neurons
from assembly.model import Assembly


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
    draw(parameters, 1.0, "gaussian", seed, (len(inputs), len(neurons)), "neurons")
    parameters[~np.isnan(given)] = given[~np.isnan(given)]
    return Assembly.from_graph(graph, parameters)
