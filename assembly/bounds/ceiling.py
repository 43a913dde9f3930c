"""The Hessian norm over balls of any radius around one network, bounded from above; what needs no radius is kept."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.bounds import one_hidden_layer as exact
from assembly.bounds.centre import Centre, check_bounded
from assembly.bounds.curvature import CurvatureBound, curvature_bound
from assembly.bounds.hessian_norm import hessian_norm_bound
from assembly.calculus import one_hidden_layer
from assembly.calculus.evaluation import evaluate
from assembly.calculus.node_space import NodeSpaceHessian
from assembly.graph.description import Graph
from assembly.kernels import activation
from assembly.program import in_double, lower


class Ceiling:
    """Upper bounds of the Hessian norm of one output at one input, over balls around the present parameters.

    Parameters
    ----------
    graph : Graph
    parameters : ndarray of shape (n_parameters,)
        In float32 the network is taken by its numbers, factors and fixed weights included, with arithmetic in float64.
    x : ndarray of shape (n_inputs,)
    output : int

    Raises
    ------
    ArgumentError, GraphError, ResourceError
        As `assembly.bounds.centre.Centre`.

    Notes
    -----
    What does not lead to the output is left out: its weights change nothing.
    """

    def __init__(self, graph: Graph, parameters: NDArray[Any], x: NDArray[Any], output: int) -> None:
        self.graph, origins = graph.restrict([graph.outputs[output]])
        program = in_double(lower(self.graph, parameters.dtype))
        check_bounded(program)
        own = np.empty(program.n_parameters)
        for place, part in zip(self.graph.parameter_blocks, origins, strict=True):
            own[place] = parameters[part]
        weights = [block.weights(own) for block in program.blocks]
        self._evaluation = evaluate(program, weights, np.asarray(x, dtype=np.float64)[None])
        self._space = NodeSpaceHessian(self._evaluation, 0, 0)

    def over(self, radius: float) -> CurvatureBound:
        """Return a proven bound of the Hessian norm over a ball, layer by layer; infinite if none exists."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self._is_closed:
                return CurvatureBound(exact.norm_bound(self._evaluation, self._space, radius), None, {}, {})
            try:
                found = curvature_bound(self._centre, radius, lambda: self._norm_at_centre)
            except OverflowError:
                return CurvatureBound(np.inf, None, {}, {})
        return CurvatureBound(
            found.value, found.at_centre, self._by_layer(found.dominance), self._by_layer(found.coupling)
        )

    @cached_property
    def _is_closed(self) -> bool:
        """Whether the Hessian is block diagonal over neurons everywhere, not only at the centre: linear above them."""
        above = [block.target for block in self._space.program.blocks if not block.from_given]
        linear = all((self._space.program.codes[nodes] == activation.IDENTITY).all() for nodes in above)
        return linear and one_hidden_layer.applies_to(self._space.program, self._space.curvature)

    @cached_property
    def _centre(self) -> Centre:
        return Centre(self._evaluation, 0)

    @cached_property
    def _norm_at_centre(self) -> float:
        return hessian_norm_bound(self._space)

    def _by_layer(self, parts: dict[int, float]) -> dict[int, float]:
        layers: dict[int, float] = {}
        for segment, part in parts.items():
            layer = self.graph.levels[segment]
            layers[layer] = layers.get(layer, 0.0) + part
        return layers
