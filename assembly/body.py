"""A lowered sub-model with its weights: the questions that an assembly and a neuron answer alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.calculus.evaluation import Evaluation, evaluate, gradient
from assembly.checks import check_buffer, check_count, check_samples
from assembly.errors import ArgumentError, ShapeError
from assembly.estimate import Estimate, together
from assembly.graph.description import Graph
from assembly.program import Program, lower

if TYPE_CHECKING:
    from assembly.calculus.hessian import Hessian

CHUNK = 256


class Body:
    """A graph lowered to a program, and the weights of its blocks as views of somebody's parameters.

    Parameters
    ----------
    graph : Graph
    weights : list of ndarray
        Flat weights of every parameter block of the graph, in order.
    dtype : dtype
    program : Program, optional
        The same graph, lowered before.
    """

    def __init__(
        self,
        graph: Graph,
        weights: list[NDArray[Any]],
        dtype: np.dtype[Any],
        program: Program | None = None,
    ) -> None:
        self.program = lower(graph, dtype) if program is None else program
        by_place = {(part.start, part.stop): block for part, block in zip(graph.parameter_blocks, weights, strict=True)}
        self.weights = [
            block.weights(np.empty(0)) if part is None else by_place[part.start, part.stop].reshape(block.shape)
            for block in self.program.blocks
            for part in [block.parameters]
        ]
        self._latest: tuple[bytes, Evaluation] | None = None

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        inputs = self.program.inputs
        return int(inputs.stop - inputs.start)

    def at(self, samples: NDArray[Any]) -> Evaluation:
        """Return the evaluation at a batch, kept until another batch is asked for."""
        key = samples.tobytes()
        if self._latest is None or self._latest[0] != key:
            self._latest = key, evaluate(self.program, self.weights, samples)
        return self._latest[1]

    def samples(self, argument: str, X: ArrayLike) -> NDArray[Any]:
        """Return a checked batch."""
        return check_samples(argument, X, self.n_inputs, self.program.dtype)

    def sample(self, x: ArrayLike, argument: str = "x") -> NDArray[Any]:
        """Return one checked sample as a batch of one."""
        samples = self.samples(argument, x)
        if np.ndim(x) != 1:
            wanted, got = f"({self.n_inputs},)", np.shape(x)
            raise ShapeError(f"The {argument!r} argument must be one sample of shape {wanted}. Got shape {got}.")
        return samples

    def values(self, X: ArrayLike) -> NDArray[Any]:
        """Return outputs, shape (n, n_outputs), evaluated in chunks that bound the memory."""
        samples = self.samples("X", X)
        if len(samples) <= CHUNK:
            return self.at(samples).outputs
        chunks = [samples[i : i + CHUNK] for i in range(0, len(samples), CHUNK)]
        return np.concatenate([evaluate(self.program, self.weights, chunk).outputs for chunk in chunks])

    def output(self, output: int) -> int:
        """Return a checked output number."""
        n_outputs = len(self.program.outputs)
        if check_count("output", output, minimum=0) >= n_outputs:
            raise ArgumentError(f"The 'output' argument must be below n_outputs = {n_outputs}. Got {output}.")
        return output

    def gradient(self, x: ArrayLike, output: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the gradient of one output in the parameters, in `out` if it is given."""
        if out is not None:
            check_buffer("out", out, self.program.n_parameters, self.program.dtype)
        return gradient(self.at(self.sample(x)), 0, self.output(output), out)

    def hessian_norms(self, X: ArrayLike, output: int, tol: float, max_steps: int, seed: int) -> Estimate:
        """Return the Hessian norms of one output at a batch, evaluated in chunks that bound the memory."""
        from assembly.calculus.lockstep import input_norms

        samples, number = self.samples("X", X), self.output(output)
        if len(samples) == 0:
            return Estimate(np.zeros(0), np.zeros(0), True, 0)
        chunks = [samples[i : i + CHUNK] for i in range(0, len(samples), CHUNK)]
        return together([input_norms(self.at(chunk), number, tol, max_steps, seed) for chunk in chunks])

    def hessian(self, x: ArrayLike, output: int) -> Hessian:
        """Return the Hessian of one output in the parameters."""
        from assembly.calculus.hessian import Hessian
        from assembly.calculus.node_space import NodeSpaceHessian

        return Hessian(NodeSpaceHessian(self.at(self.sample(x)), 0, self.output(output)))


def squeezed(values: NDArray[Any], X: ArrayLike) -> Any:
    """(n, n_outputs) -> (n,) for one output; without the sample axis for one sample."""
    values = values[:, 0] if values.shape[1] == 1 else values
    return values[0] if np.ndim(X) == 1 else values
