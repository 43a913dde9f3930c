"""What callers hold: the protocol of a sub-model, and assemblies of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.body import Body, squeezed
from assembly.calculus.tangent_kernel import tangent_kernel
from assembly.checks import check_count, check_dtype, check_number, check_vector
from assembly.errors import ArgumentError, GraphError, ShapeError
from assembly.graph.composition import side_by_side, with_readout
from assembly.graph.description import SOFTMAX, Graph
from assembly.neuron import Layer, Layers, Neuron

if TYPE_CHECKING:
    from pathlib import Path

    import networkx as nx
    from torch import nn

    from assembly.bounds.bracket import Bracket
    from assembly.calculus.evaluation import Evaluation
    from assembly.calculus.hessian import Hessian
    from assembly.calculus.worst_direction import DerivativeNorm
    from assembly.estimate import Estimate
    from assembly.linearized import LinearizedModel
    from assembly.program import Program


@runtime_checkable
class SubModel(Protocol):
    """Anything with inputs, parameters, a value, a gradient and a Hessian; the parts of an assembly are sub-models."""

    @property
    def parameters(self) -> NDArray[Any]:
        """Trainable numbers, flat, shape (n_parameters,)."""

    def value(self, x: ArrayLike) -> Any:
        """Value at one input."""

    def gradient(self, x: ArrayLike) -> NDArray[Any]:
        """Gradient in the parameters at one input, shape (n_parameters,)."""

    def hessian(self, x: ArrayLike) -> Hessian:
        """Hessian in the parameters at one input, n_parameters x n_parameters."""


class Assembly:
    r"""A sub-model made of sub-models: :math:`f = \frac{1}{s(m)} \sum_i v_i\, g_i(w_i; x)`.

    Composes parts by hand; `assembly.mlp` and the other builders make the common ones. Parts with parameters of their
    own contribute them one after the other. The same object given twice, or several neurons of one network, share
    their parameters.

    Parameters
    ----------
    parts : sequence of Assembly or Neuron
        With the same number of inputs and the same dtype, and one output each.
    coefficients : array_like of shape (n_parts,)
        The v_i: fixed factors, unless trainable.
    scale : float, optional
        s(m), by default sqrt(n_parts).
    trainable_coefficients : bool
        Make the coefficients the last n_parts parameters.

    Raises
    ------
    GraphError
        If there is no part, or parts differ in inputs or dtype or have several outputs.
    ShapeError, NonFiniteError, ArgumentError
        If `coefficients` or `scale` do not fit.

    Notes
    -----
    The parameters are copied once into one flat array.

    Examples
    --------
    >>> import assembly as am
    >>> one, two = (am.mlp(n_inputs=3, widths=[4], activation="tanh", seed=seed) for seed in (0, 1))
    >>> both = Assembly([one, two], coefficients=[1.0, -1.0])
    >>> x = [1.0, 0.5, -0.5]
    >>> bool(np.isclose(both(x), (one(x) - two(x)) / np.sqrt(2.0)))
    True
    """

    def __init__(
        self,
        parts: Sequence[Assembly | Neuron],
        coefficients: ArrayLike,
        scale: float | None = None,
        *,
        trainable_coefficients: bool = False,
    ) -> None:
        _check_parts(parts)
        dtype = parts[0].dtype
        values = check_vector("coefficients", coefficients, len(parts))
        divisor = float(np.sqrt(len(parts))) if scale is None else check_number("scale", scale, above=0.0)
        graph, nodes, parameters = _gather(parts)
        graph = with_readout(graph, nodes, 1.0 / divisor, None if trainable_coefficients else values)
        if trainable_coefficients:
            parameters = [*parameters, values.astype(dtype)]
        self._set(graph, np.concatenate([np.zeros(0, dtype), *parameters]))

    @classmethod
    def from_graph(cls, graph: Graph, parameters: NDArray[Any]) -> Assembly:
        """Return the assembly of a graph description and its flat parameters, which it keeps without copying.

        A graph put together by hand is taken at its word; `assembly.load` checks one that comes from a file.

        Raises
        ------
        ArgumentError, ShapeError
            If they are no array of n_parameters numbers, float64 or float32.
        """
        if not isinstance(parameters, np.ndarray):
            raise ArgumentError(f"The 'parameters' argument must be an ndarray. Got {type(parameters).__name__}.")
        check_dtype(parameters.dtype)
        if parameters.shape != (graph.n_parameters,):
            raise ShapeError(
                f"The 'parameters' argument must have shape ({graph.n_parameters},). Got shape {parameters.shape}."
            )
        assembly = cls.__new__(cls)
        assembly._set(graph, parameters)
        return assembly

    def _set(self, graph: Graph, parameters: NDArray[Any], program: Program | None = None) -> None:
        parameters.flags.writeable = False
        self.graph = graph
        self.dtype = parameters.dtype
        self._parameters = parameters
        weights = [parameters[block] for block in graph.parameter_blocks]
        self._body = Body(graph, weights, self.dtype, program)

    @property
    def parameters(self) -> NDArray[Any]:
        """All trainable weights, flat, shape (n_parameters,), read only.

        Connection by connection in the order of `graph.connections` (for the builders: first layer to readout; the
        biases of a layer right after its weights); within one, target by target, the sources running fastest.
        """
        return self._parameters

    @property
    def n_parameters(self) -> int:
        """Number of trainable weights."""
        return len(self._parameters)

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return self._body.n_inputs

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return len(self.graph.outputs)

    @property
    def width(self) -> int:
        """Minimum in-degree outside the inputs and the first layer, the output included, biases not counted."""
        return self.graph.width

    def with_parameters(self, w: ArrayLike) -> Assembly:
        """Return a new assembly of the same graph with other parameters, copied.

        Raises
        ------
        ShapeError, NonFiniteError
            If `w` is not a finite vector of n_parameters numbers.
        """
        checked = check_vector("w", w, self.n_parameters, self.dtype)
        moved = Assembly.__new__(type(self))
        moved._set(self.graph, checked.copy(), self._body.program)
        return moved

    def __call__(self, X: ArrayLike) -> Any:
        """Return the output at one sample or a batch.

        Parameters
        ----------
        X : array_like of shape (n, n_inputs) or (n_inputs,)

        Returns
        -------
        ndarray
            Shape (n,) for one output, (n, n_outputs) otherwise; for one sample a number, or (n_outputs,).

        Raises
        ------
        ShapeError, NonFiniteError
            If `X` has another shape or holds NaN, or the output overflows.

        Notes
        -----
        Cost: one pass over the weights for one sample, a matrix product per dense connection for several. A sample's
        value depends on its batch in rounding only, and not on the number of threads; see
        `assembly.calculus.evaluation.evaluate` for the bound.
        """
        return squeezed(self._body.values(X), X)

    def value(self, x: ArrayLike) -> Any:
        """Return the output; the same as calling."""
        return self(x)

    def gradient(self, x: ArrayLike, output: int = 0, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        r"""Return the gradient of one output at one sample, :math:`\partial f/\partial w_{uv} = c_v b_v a_u`.

        Parameters
        ----------
        x : array_like of shape (n_inputs,)
        output : int
        out : ndarray of shape (n_parameters,), optional
            Of the dtype of the network: where to write the result. Of many parameters, fresh memory costs as much time
            as the gradient.

        Returns
        -------
        ndarray of shape (n_parameters,)

        Raises
        ------
        ShapeError, NonFiniteError, ArgumentError
            If `x` is not one finite sample, there is no such output, or `out` does not fit.

        Notes
        -----
        Cost: two passes over the weights and one over the result.
        """
        return self._body.gradient(x, output, out)

    def hessian(self, x: ArrayLike, output: int = 0) -> Hessian:
        """Return the exact Hessian of one output at one sample as a scipy LinearOperator.

        Parameters
        ----------
        x : array_like of shape (n_inputs,)
        output : int

        Returns
        -------
        Hessian
            n_parameters x n_parameters, with `norm`, `eigenvalues`, `eigenvectors` and `spectrum`.

        Raises
        ------
        ShapeError, NonFiniteError, ArgumentError
            If `x` is not one finite sample or there is no such output.
        SaturationError
            If squares of the output's derivatives, or of all activations, under- or overflow.

        Examples
        --------
        >>> import assembly as am
        >>> net = am.mlp(n_inputs=3, widths=[64, 64], activation="tanh", seed=0)
        >>> H = net.hessian([1.0, -1.0, 0.5])
        >>> H.norm(tol=1e-8).converged
        True
        """
        return self._body.hessian(x, output)

    def hessian_norms(
        self, X: ArrayLike, tol: float = 1e-6, *, output: int = 0, max_steps: int = 1000, seed: int = 0
    ) -> Estimate:
        r"""Return the spectral norm of the Hessian of one output at every sample of a batch.

        Parameters
        ----------
        X : array_like of shape (n, n_inputs)
        tol : float
            Residual ``|H v - lambda v| / |lambda|`` to reach for every sample; the relative error of an
            eigenvalue is of the order of its square, over the relative gap to the next. That it is the largest rests on
            the random start, and on the other end of the spectrum being known well enough.
        output : int
        max_steps : int
            Lanczos steps at most, for every sample, together and, where 120 did not suffice, once more alone.
        seed : int
            Of the random start.

        Returns
        -------
        Estimate
            Values and residuals of shape (n,); whether all reached `tol`; the steps of the sample that took most.

        Raises
        ------
        ShapeError, NonFiniteError, ArgumentError
            If `X` is no finite batch, there is no such output, or `tol` or `max_steps` is out of range.
        SaturationError
            If squares of the output's derivatives, or of all activations, under- or overflow.
        ResourceError
            If the vectors of a single sample do not fit in the memory that is free.

        Notes
        -----
        The same numbers as ``net.hessian(x).norm(tol)`` sample by sample, up to the tolerance, for a fraction of the
        time: iterations in lockstep make the passes over the weights matrix products. Cost per step: two passes over
        the weights above the first layer for 32 samples; memory a vector of two numbers per neuron for every sample and
        step, for up to 32 samples at once on every thread, fewer where that is more than 0.25 GiB.

        Examples
        --------
        >>> import assembly as am
        >>> net = am.mlp(n_inputs=2, widths=[64, 64], seed=0)
        >>> norms = net.hessian_norms([[1.0, 2.0], [0.5, -1.0]])
        >>> bool(abs(norms.value[1] / net.hessian([0.5, -1.0]).norm().value - 1.0) < 1e-9)
        True
        """
        tol, max_steps = check_number("tol", tol, above=0.0, below=1.0), check_count("max_steps", max_steps)
        return self._body.hessian_norms(X, output, tol, max_steps, seed)

    def tangent_kernel(self, X: ArrayLike, Z: ArrayLike | None = None) -> NDArray[Any]:
        r"""Return the tangent kernel :math:`K(x, z) = \langle\nabla f(x), \nabla f(z)\rangle`.

        Parameters
        ----------
        X : array_like of shape (n, n_inputs)
        Z : array_like of shape (n_z, n_inputs), optional
            By default X.

        Returns
        -------
        ndarray
            Shape (n, n_z) for one output; for several (n, n_z, n_outputs, n_outputs), entry [i, j, k, l] from output k
            at x_i and output l at z_j.

        Raises
        ------
        ShapeError, NonFiniteError
            If `X` or `Z` is no finite batch.

        Notes
        -----
        Cost: for dense layers a matrix product per layer and one more per output, and for every pair of outputs two of
        node vectors per layer, by half where Z is X, exactly symmetric then. No Jacobian is stored; memory 3 n n_nodes
        numbers, and 2 more per output.
        """
        left = self._body.at(self._body.samples("X", X))
        right = left if Z is None else self.evaluate(Z, "Z")
        outputs = range(self.n_outputs)
        kernel = np.empty((self.n_outputs, self.n_outputs, len(left.post), len(right.post)), self.dtype)
        for k, j in itertools.product(outputs, outputs):
            is_known = right is left and j < k
            kernel[k, j] = kernel[j, k].T if is_known else tangent_kernel(left, right, k, j)
        return kernel[0, 0] if self.n_outputs == 1 else np.ascontiguousarray(kernel.transpose(2, 3, 0, 1))

    def taylor(self, x: ArrayLike, direction: ArrayLike, order: int, output: int = 0) -> NDArray[Any]:
        r"""Return the Taylor coefficients of one output at one sample along a direction of the parameters.

        .. math:: f(w + tV) = \sum_{k=0}^K f_k t^k + O(t^{K+1}), \qquad f_k = \frac{1}{k!} D^k f(w)[V, \dots, V]

        Exact to rounding: series go through the network neuron by neuron, and nothing is differenced.

        Parameters
        ----------
        x : array_like of shape (n_inputs,)
        direction : array_like of shape (n_parameters,)
            V.
        order : int
            K, from 0 to 6.
        output : int

        Returns
        -------
        ndarray of shape (order + 1,)
            The f_k: the value, ``grad f . V``, half of ``V . H V``, and so on.

        Raises
        ------
        ShapeError, NonFiniteError, ArgumentError
            If `x` is not one finite sample, `direction` no finite vector of n_parameters numbers, `order` out of range,
            there is no such output, or a coefficient overflows.
        GraphError
            If there is a sub-model of your own, for order 3 and up: it gives two derivatives.

        Notes
        -----
        Cost: an evaluation, and one pass over the weights and one over V, of `order` node vectors at once; memory
        3 (order + 1) node vectors. ReLU is linear on the side where its pre-activation lies.

        References
        ----------
        A. Griewank, A. Walther (2008), Evaluating Derivatives, 2nd edition, SIAM, chapter 13.

        Examples
        --------
        >>> import assembly as am
        >>> net = am.mlp(n_inputs=2, widths=[3], activation="quadratic", seed=0)
        >>> x, V = [1.0, -0.5], np.ones(net.n_parameters)
        >>> f = net.taylor(x, V, order=4)
        >>> bool(np.isclose(net.with_parameters(net.parameters + 2.0 * V)(x), f @ 2.0 ** np.arange(5)))
        True
        """
        from assembly.calculus.taylor import HIGHEST_ORDER, Taylor

        order = check_count("order", order, 0, HIGHEST_ORDER)
        v = check_vector("direction", direction, self.n_parameters, self.dtype)
        evaluation, number = self._body.at(self._body.sample(x)), self._body.output(output)
        return Taylor(evaluation, 0, v, order).coefficients(number)

    def derivative_norm(
        self, x: ArrayLike, order: int, output: int = 0, *, max_steps: int = 200, tol: float = 1e-4, seed: int = 0
    ) -> DerivativeNorm:
        r"""Return the norm of a derivative tensor of one output at one sample, from below.

        .. math:: \|D^k f(w)\| = \max_{|V| = 1} |D^k f(w)[V, \dots, V]|

        over the directions that a shifted power method reaches from the gradient, the top eigenvector of the Hessian,
        the loudest neurons and random directions (`assembly.calculus.worst_direction`). For order 1 and 2 it is the
        length of the gradient and the spectral norm of the Hessian; beyond, a lower bound.

        Parameters
        ----------
        x : array_like of shape (n_inputs,)
        order : int
            k, from 1 to 6.
        output : int
        max_steps : int
            Steps at most of the last climb.
        tol : float
            Residual to reach; the value is off a local maximum by the order of its square.
        seed : int
            Of the random starts.

        Returns
        -------
        DerivativeNorm
            An `Estimate` with the `direction` V that attains the value. `residual` is how far V is from a stationary
            point, and `converged` whether it is within `tol`; neither says that no other maximum is higher.

        Raises
        ------
        ShapeError, NonFiniteError, ArgumentError
            If `x` is not one finite sample, `order`, `tol` or `max_steps` is out of range, there is no such output, or
            a derivative overflows.
        SaturationError
            If squares of the output's derivatives, or of all activations, under- or overflow.
        GraphError
            If there is a sub-model of your own, for order 3 and up.
        ResourceError
            If eight vectors of n_parameters do not fit in the memory that is free.

        Notes
        -----
        Cost per step: two passes over the weights and two over V, of `order` node vectors at once, and one over the
        gradient; memory eight vectors of n_parameters and 5 k node vectors.

        References
        ----------
        T. G. Kolda, J. R. Mayo (2011), Shifted power method for computing tensor eigenpairs, SIAM Journal on Matrix
        Analysis and Applications 32, 1095-1124.

        Examples
        --------
        >>> import assembly as am
        >>> net = am.mlp(n_inputs=3, widths=[16, 16], activation="tanh", seed=0)
        >>> x = [1.0, -1.0, 0.5]
        >>> third = net.derivative_norm(x, order=3)
        >>> bool(np.isclose(third.value, 6.0 * abs(net.taylor(x, third.direction, order=3)[3])))
        True
        """
        from assembly.calculus.taylor import HIGHEST_ORDER
        from assembly.calculus.worst_direction import derivative_norm

        order = check_count("order", order, 1, HIGHEST_ORDER)
        tol, max_steps = check_number("tol", tol, above=0.0, below=1.0), check_count("max_steps", max_steps)
        evaluation, number = self._body.at(self._body.sample(x)), self._body.output(output)
        return derivative_norm(evaluation, number, order, max_steps=max_steps, tol=tol, seed=seed)

    def curvature_in_ball(
        self, x: ArrayLike, radius: float, output: int = 0, *, max_steps: int = 40, seed: int = 0
    ) -> Bracket:
        r"""Bracket :math:`\sup \|H(w)\|` over all parameters within `radius` of the present ones.

        Proven from above (`assembly.bounds.curvature` has the derivation), every norm in it by a Cholesky
        factorisation, rounding accounted for; attained from below by projected ascent (`assembly.bounds.ascent`).

        Parameters
        ----------
        x : array_like of shape (n_inputs,)
        radius : float
            R, Euclidean, above 0.
        output : int
        max_steps : int
            Of each climb.
        seed : int
            Of the random starts of eigenvalue iterations.

        Returns
        -------
        Bracket
            `lower`, `upper`, `witness` (the parameters that attain `lower`), and what every layer contributes to
            `upper` as `dominance` and `coupling`.

        Raises
        ------
        ShapeError, NonFiniteError, ArgumentError
            If `x` is not one finite sample, `radius` not above 0, there is no such output, or an activation function is
            ReLU.
        GraphError
            If there is a softmax or a sub-model of your own.
        ResourceError
            If the matrices do not fit in the memory that is free.

        Notes
        -----
        What Liu, Zhu, Belkin, arXiv 2205.11786, Theorem 3.6 say of wide networks, for this one. Cost from above: about
        ten Gram matrices and Cholesky factorisations for every pair of hidden layers, and a matrix for every pair; from
        below: tens of Hessian norms. With one hidden layer and a linear output both ends meet. The bound falls like
        1/sqrt(m).

        Examples
        --------
        >>> import assembly as am
        >>> net = am.mlp(n_inputs=3, widths=[64], activation="tanh", seed=0)
        >>> bracket = net.curvature_in_ball([1.0, -1.0, 0.5], radius=1.0)
        >>> bool(bracket.lower <= bracket.upper < 1.001 * bracket.lower)
        True
        """
        from assembly.bounds.bracket import curvature_bracket

        sample = self._body.sample(x)[0]
        return curvature_bracket(
            self.graph, self._parameters, sample, self._body.output(output), radius, max_steps, seed
        )

    def remainder_in_ball(
        self, x: ArrayLike, radius: float, output: int = 0, *, max_steps: int = 40, seed: int = 0
    ) -> Bracket:
        r"""Bracket the largest :math:`|f(w) - f_{lin}(w)|` over all parameters within `radius` of the present ones.

        At most :math:`R^2/2 \sup\|H\|` (Liu, Zhu, Belkin, arXiv 2205.11786, Corollary 3.7). Arguments, errors and cost
        as `curvature_in_ball`, four times that from above.

        Examples
        --------
        >>> import assembly as am
        >>> net = am.mlp(n_inputs=3, widths=[64], activation="tanh", seed=0)
        >>> bracket = net.remainder_in_ball([1.0, -1.0, 0.5], radius=1.0)
        >>> bool(0.0 < bracket.lower <= bracket.upper)
        True
        """
        from assembly.bounds.bracket import remainder_bracket

        sample = self._body.sample(x)[0]
        return remainder_bracket(
            self.graph, self._parameters, sample, self._body.output(output), radius, max_steps, seed
        )

    def kernel_change_in_ball(
        self, X: ArrayLike, radius: float, output: int = 0, *, max_steps: int = 40, seed: int = 0
    ) -> Bracket:
        r"""Bracket the largest relative change of the tangent kernel, :math:`|K_w - K_0|_F / |K_0|_F`, over the ball.

        Arguments and errors as `curvature_in_ball`, with `X` of shape (n, n_inputs); ArgumentError also where the
        kernel is 0. Cost as there, four times for every input from above; memory n gradients.

        Examples
        --------
        >>> import assembly as am
        >>> net = am.mlp(n_inputs=3, widths=[64], activation="tanh", seed=0)
        >>> bracket = net.kernel_change_in_ball([[1.0, -1.0, 0.5], [0.0, 1.0, 1.0]], radius=0.5)
        >>> bool(0.0 < bracket.lower <= bracket.upper)
        True
        """
        from assembly.bounds.bracket import kernel_change_bracket

        samples = self._body.samples("X", X)
        return kernel_change_bracket(
            self.graph, self._parameters, samples, self._body.output(output), radius, max_steps, seed
        )

    def linearize(self) -> LinearizedModel:
        """Return the linearised model around the present parameters, ``f(w0) + <grad f(w0), w - w0>``."""
        from assembly.linearized import LinearizedModel

        return LinearizedModel(self, self._parameters)

    def to_networkx(self) -> nx.DiGraph[str]:
        """Return the network neuron by neuron as a networkx DiGraph, for `assembly.from_networkx` and other tools.

        Returns
        -------
        networkx.DiGraph
            Nodes "x3" (input 3), "l2.5" (``layers[2].neurons[5]``) and "one" (the constant 1) with the attributes
            "activation" and "layer", neurons also "output", and those of a softmax its name as "softmax". The outputs
            come last and in their order. Edges have "weight", "trainable" and "factor", and the name of the parameter
            as "shared" where it may belong to several.

        Raises
        ------
        GraphError
            If two neurons have several edges between them, a neuron is an output twice, or there is a sub-model of your
            own: a DiGraph cannot hold them.
        ResourceError
            If it would not fit in the memory that is free.

        Notes
        -----
        Parameters that no edge reads are left out. Cost: about 0.3 KB and 5 microseconds for every edge.

        Examples
        --------
        >>> import assembly as am
        >>> G = am.mlp(n_inputs=2, widths=[3], activation="tanh", seed=0).to_networkx()
        >>> G.nodes["l1.0"], sorted(G.predecessors("l1.0"))
        ({'activation': 'tanh', 'layer': 1, 'output': False}, ['x0', 'x1'])
        """
        from assembly.graph.digraph import as_digraph

        return as_digraph(self.graph, self._parameters)

    def save(self, path: str | Path, *, weights: bool = True) -> None:
        """Write the network to a JSON file, and its arrays to an NPZ file beside it; the same as `assembly.save`.

        Parameters
        ----------
        path : str or Path
            Ends in ``.json``.
        weights : bool
            False leaves the parameters out.

        Raises
        ------
        GraphError, DataError, ArgumentError, NonFiniteError
            As `assembly.save`.
        """
        from assembly.graph.files import write_graph

        write_graph(path, self.graph, self._parameters, weights=weights)

    def to_torch(self) -> nn.Module:
        r"""Return the network as a torch module: the same function, with the same trainable parameters, copied.

        Factors, fixed edges and the structure are buffers of the module. `assembly.from_torch` takes it back.

        Returns
        -------
        torch.nn.Module
            Called with a tensor of shape (n, n_inputs) or (n_inputs,), in the dtype of the assembly, it returns the
            shape that calling the assembly does. ``parameters_to_vector(module.parameters())`` are the `parameters`:
            one tensor for every block, (n_target, n_source) if dense, (n_channels, channels, \*kernel) for a
            convolution, flat otherwise.

        Raises
        ------
        ArgumentError
            If PyTorch is not installed.
        GraphError
            If there is a sub-model of your own, or a convolution over more than three dimensions.

        Notes
        -----
        Copies the weights once. Sparse and tied edges hold one product per edge and sample while it runs.

        Examples
        --------
        >>> import assembly as am
        >>> import torch
        >>> net = am.mlp(n_inputs=3, widths=[8], activation="tanh", seed=0)
        >>> module = net.to_torch()
        >>> x = [1.0, -1.0, 0.5]
        >>> bool(np.isclose(module(torch.tensor(x, dtype=torch.float64)).item(), net(x), rtol=1e-12))
        True
        """
        from assembly.torch_export import module_of

        return module_of(self.graph, self._parameters)

    def evaluate(self, X: ArrayLike, argument: str = "X") -> Evaluation:
        """Return activations, derivatives and (when asked) adjoints of every node at a batch."""
        samples = self._body.samples(argument, X)
        return self._body.at(samples)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Layers by longest path from the inputs; `layers[0]` are the inputs, the last holds an output."""
        return Layers(Layer(self, index) for index in range(len(self.graph.layers)))

    @property
    def parts(self) -> list[Neuron]:
        """The sub-models of the first output: its parents."""
        return self._output.parents

    @property
    def coefficients(self) -> NDArray[Any]:
        """The v_i of the first output, one per part."""
        return self._output.weights

    @property
    def scale(self) -> float:
        """The s(m) of the first output.

        Raises
        ------
        GraphError
            If the first output has no parts, or their factor is 0.
        """
        factors = self._output.factors
        if len(factors) == 0 or factors[0] == 0.0:
            raise GraphError("The first output is no sum of parts with a scale: it has no parts, or their factor is 0.")
        return float(1.0 / factors[0])

    @property
    def _output(self) -> Neuron:
        return Neuron(self, *self.graph.outputs[0])

    def __repr__(self) -> str:
        lines = [
            f"Assembly: {self.n_inputs} inputs, {self.n_outputs} output{'s' * (self.n_outputs > 1)}, "
            f"{self.n_parameters:,} parameters, width {self.width}, {self.dtype}"
        ]
        lines += [repr(layer) for layer in self.layers[:13]]
        if len(self.layers) > 13:
            lines.append(f"... and {len(self.layers) - 13} more layers")
        return "\n  ".join(lines)


def _check_parts(parts: Sequence[Assembly | Neuron]) -> None:
    if not isinstance(parts, Sequence) or len(parts) == 0:
        raise GraphError("The 'parts' argument must be a non-empty sequence of assemblies and neurons.")
    for i, part in enumerate(parts):
        if not isinstance(part, Assembly | Neuron):
            raise ArgumentError(
                f"The 'parts' argument must hold assemblies and neurons. Got {type(part).__name__} at {i}."
            )
        if (part.n_inputs, part.dtype) != (parts[0].n_inputs, parts[0].dtype):
            raise GraphError(
                f"All parts must share their inputs and dtype. Part 0 has {parts[0].n_inputs} inputs, "
                f"{parts[0].dtype}; part {i} has {part.n_inputs}, {part.dtype}."
            )
        if isinstance(part, Assembly) and part.n_outputs != 1:
            raise GraphError(f"Each part must have one output. Part {i} has {part.n_outputs}; use one of its neurons.")


def _gather(parts: Sequence[Assembly | Neuron]) -> tuple[Graph, list[tuple[int, int]], list[NDArray[Any]]]:
    """Put the graphs of all owners side by side; parts of one owner share its sub-graph and parameters."""
    owners: dict[int, Assembly] = {}
    wanted: dict[int, dict[tuple[int, int, bool], None]] = {}
    keys: list[tuple[int, tuple[int, int, bool]]] = []
    for part in parts:
        if isinstance(part, Assembly):
            owner, node = part, (*part.graph.outputs[0], False)
        else:
            owner, node = part._assembly, (part.group, part.position, part._linear)
        owners[id(owner)] = owner
        wanted.setdefault(id(owner), {})[node] = None
        keys.append((id(owner), node))
    graphs, parameters = [], []
    for key, owner in owners.items():
        graph, weights = _restrict_all(owner, list(wanted[key]))
        graphs.append(graph)
        parameters += weights
    merged, outputs = side_by_side(graphs)
    place = {(key, node): outputs[i][j] for i, key in enumerate(owners) for j, node in enumerate(wanted[key])}
    return merged, [place[key] for key in keys], parameters


def _restrict_all(owner: Assembly, wanted: list[tuple[int, int, bool]]) -> tuple[Graph, list[NDArray[Any]]]:
    places = [(group, position) for group, position, _ in wanted]
    if len(set(places)) < len(places):
        raise GraphError("A neuron and its own pre-activation cannot both be parts: they would need the same weights.")
    whole = owner.graph
    for group in {group for group, _, linear in wanted if linear and whole.groups[group].activation == SOFTMAX}:
        if all(linear for other, _, linear in wanted if other == group):
            whole = whole.with_identity(group)
    graph, origins = whole.restrict(places)
    for (group, _), (old, _, _) in zip(graph.outputs, wanted, strict=True):
        changed = whole.groups[old].activation != owner.graph.groups[old].activation
        if changed and any(connection.source == group for connection in graph.connections):
            raise GraphError(
                "The pre-activation of a softmax output cannot be a part beside neurons that read the softmax: both "
                "would need the same weights."
            )
    for (group, position), (_, _, linear) in zip(graph.outputs, wanted, strict=True):
        if linear and not graph.groups[group].is_given:
            graph = graph.with_linear(group, position)
    return graph, [owner.parameters[origin] for origin in origins]
