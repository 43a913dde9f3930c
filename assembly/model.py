"""What callers hold: assemblies, their layers, and their neurons, all of them sub-models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.body import Body
from assembly.calculus.gram import neuron_gram
from assembly.calculus.shares import contributions, shares
from assembly.calculus.tangent_kernel import tangent_kernel
from assembly.checks import check_number, check_vector
from assembly.errors import ArgumentError, GraphError, ShapeError
from assembly.graph.composition import side_by_side, with_readout
from assembly.graph.description import CONSTANT, Graph

if TYPE_CHECKING:
    from assembly.calculus.evaluation import Evaluation
    from assembly.calculus.hessian import Hessian
    from assembly.linearized import LinearizedModel


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

        Raises
        ------
        ShapeError
            If there are not n_parameters of them.
        """
        if parameters.shape != (graph.n_parameters,):
            raise ShapeError(
                f"The 'parameters' argument must have shape ({graph.n_parameters},). Got shape {parameters.shape}."
            )
        assembly = cls.__new__(cls)
        assembly._set(graph, parameters)
        return assembly

    def _set(self, graph: Graph, parameters: NDArray[Any]) -> None:
        parameters.flags.writeable = False
        self.graph = graph
        self.dtype = parameters.dtype
        self._parameters = parameters
        weights = [
            parameters[offset : offset + connection.n_edges]
            for connection, offset in zip(graph.connections, graph.offsets, strict=True)
            if offset is not None
        ]
        self._body = Body(graph, weights, self.dtype)

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
        return Assembly.from_graph(self.graph, checked.copy())

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
        Cost: one pass over the weights per sample; a sample's value does not depend on its batch, bit for bit.
        """
        return _squeezed(self._body.values(X), X)

    def value(self, x: ArrayLike) -> Any:
        """Return the output; the same as calling."""
        return self(x)

    def gradient(self, x: ArrayLike, output: int = 0) -> NDArray[Any]:
        r"""Return the gradient of one output at one sample, :math:`\partial f/\partial w_{uv} = c_v b_v a_u`.

        Parameters
        ----------
        x : array_like of shape (n_inputs,)
        output : int

        Returns
        -------
        ndarray of shape (n_parameters,)

        Raises
        ------
        ShapeError, NonFiniteError, ArgumentError
            If `x` is not one finite sample or there is no such output.

        Notes
        -----
        Cost: two passes over the weights and one over the result.
        """
        return self._body.gradient(x, output)

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

        Examples
        --------
        >>> import assembly as am
        >>> net = am.mlp(n_inputs=3, widths=[64, 64], activation="tanh", seed=0)
        >>> H = net.hessian([1.0, -1.0, 0.5])
        >>> H.norm(tol=1e-8).converged
        True
        """
        return self._body.hessian(x, output)

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
        Cost: two passes over the weights per sample and output, and two matrix products of node vectors per layer.
        No Jacobian is stored.
        """
        left = self._body.at(self._body.samples("X", X))
        right = left if Z is None else self.evaluate(Z, "Z")
        outputs = range(self.n_outputs)
        kernel = np.array([[tangent_kernel(left, right, k, j) for j in outputs] for k in outputs])
        return kernel[0, 0] if self.n_outputs == 1 else np.ascontiguousarray(kernel.transpose(2, 3, 0, 1))

    def linearize(self) -> LinearizedModel:
        """Return the linearised model around the present parameters, ``f(w0) + <grad f(w0), w - w0>``."""
        from assembly.linearized import LinearizedModel

        return LinearizedModel(self, self._parameters)

    def evaluate(self, X: ArrayLike, argument: str = "X") -> Evaluation:
        """Return activations, derivatives and (when asked) adjoints of every node at a batch."""
        samples = self._body.samples(argument, X)
        return self._body.at(samples)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Layers by longest path from the inputs; `layers[0]` are the inputs, the last holds an output."""
        return tuple(Layer(self, index) for index in range(len(self.graph.layers)))

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
        """The s(m) of the first output."""
        return float(1.0 / self._output.factors[0])

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


class Layer:
    """Neurons with the same longest path from the inputs.

    Attributes
    ----------
    index : int
        0 for the inputs.
    size : int
        Number of neurons.
    neurons : sequence of Neuron
        Made when asked for.
    """

    def __init__(self, assembly: Assembly, index: int) -> None:
        self._assembly = assembly
        self.index = index
        self._groups = assembly.graph.layers[index]
        self.size = sum(assembly.graph.groups[group].size for group in self._groups)

    @property
    def neurons(self) -> Neurons:
        """The neurons of the layer."""
        places = [(group, self._assembly.graph.groups[group].size) for group in self._groups]
        return Neurons(self._assembly, places)

    @property
    def nodes(self) -> NDArray[np.int64]:
        """Positions of the neurons in node vectors of an evaluation, shape (size,)."""
        segments = self._assembly._body.program.segments
        return np.concatenate([np.arange(segments[g].nodes.start, segments[g].nodes.stop) for g in self._groups])

    def gram(self, x: ArrayLike, z: ArrayLike | None = None) -> NDArray[Any]:
        r"""Return the Gram matrix of the gradients of all neurons of the layer in all weights below.

        .. math:: G_{ij} = \langle\nabla a_i(x), \nabla a_j(z)\rangle = \sigma_i' \sigma_j'
                  [c^2 \delta_{ij} \textstyle\sum_k a_k^2 + c^2 (W G^{(l-1)} W^T)_{ij}], \quad G^{(0)} = 0

        Parameters
        ----------
        x, z : array_like of shape (n_inputs,)
            One sample each; z is x by default.

        Returns
        -------
        ndarray of shape (size, size)

        Raises
        ------
        ShapeError, NonFiniteError
            If `x` or `z` is not one finite sample.

        Notes
        -----
        Cost: two matrix products per layer below; memory one matrix of layer size squared per layer.
        """
        body = self._assembly._body
        samples = body.sample(x) if z is None else np.concatenate([body.sample(x), body.sample(z)])
        return neuron_gram(body.at(samples), self._groups, 0, len(samples) - 1)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        graph = self._assembly.graph
        names = sorted({name for group in self._groups for name in set(graph.groups[group].activations())})
        terms = []
        for position in (p for group in self._groups for p in graph.incoming[group]):
            connection = graph.connections[position]
            kind = "" if connection.values is None else "frozen "
            form = type(connection).__name__.lower()
            source = (
                "bias"
                if graph.groups[connection.source].activation == CONSTANT
                else f"{kind}{form} from layer {graph.levels[connection.source]}"
            )
            low, high = float(connection.factor.min()), float(connection.factor.max())
            factor = f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
            terms.append(f"{factor} x {source}")
        shown = terms[:6] + ([f"... and {len(terms) - 6} more"] if len(terms) > 6 else [])
        return f"layer {self.index}: {self.size} {', '.join(names)}" + ("; z = " + " + ".join(shown) if terms else "")


class Neurons(Sequence["Neuron"]):
    """The neurons of a layer, each made when asked for."""

    def __init__(self, assembly: Assembly, places: list[tuple[int, int]]) -> None:
        self._assembly = assembly
        self._places = places

    def __len__(self) -> int:
        return sum(size for _, size in self._places)

    @overload
    def __getitem__(self, index: int) -> Neuron: ...
    @overload
    def __getitem__(self, index: slice) -> list[Neuron]: ...
    def __getitem__(self, index: int | slice) -> Neuron | list[Neuron]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        for group, size in self._places:
            if 0 <= position < size:
                return Neuron(self._assembly, group, position)
            position -= size
        raise IndexError(f"This layer has {len(self)} neurons, numbered from 0. Got {index}.")

    def __iter__(self) -> Iterator[Neuron]:
        return (self[i] for i in range(len(self)))


class Neuron:
    r"""A view of one neuron: two sub-models, its activation a_v and, as `pre`, its pre-activation z_v.

    .. math:: z_v = \sum_{u \in pa(v)} c_v w_{uv} a_u, \qquad a_v = \sigma_v(z_v)

    Its parameters are the weights on the edges of its ancestors and its own in-edges.

    Attributes
    ----------
    group, position : int
        Its place in the graph of its assembly.
    """

    def __init__(self, assembly: Assembly, group: int, position: int, linear: bool = False) -> None:
        self._assembly = assembly
        self.group = group
        self.position = position
        self._linear = linear

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its assembly."""
        return self._assembly.dtype

    @property
    def n_inputs(self) -> int:
        """Number of inputs of its assembly."""
        return self._assembly.n_inputs

    @property
    def pre(self) -> Neuron:
        """The pre-activation as a sub-model of its own; for an input, the input."""
        return Neuron(self._assembly, self.group, self.position, linear=True)

    @property
    def layer(self) -> int:
        """Number of its layer."""
        return self._assembly.graph.levels[self.group]

    @property
    def activation(self) -> str:
        """Name of its activation function; "input" for an input."""
        return self._assembly.graph.groups[self.group].activations()[self.position]

    @property
    def parents(self) -> list[Neuron]:
        """Neurons its in-edges come from, in the order of `weights`; the constant of a bias is none."""
        return [
            Neuron(self._assembly, group, int(source)) for group, sources in self._sources() for source in sources
        ]

    @property
    def in_degree(self) -> int:
        """Number of parents, an edge each."""
        return sum(len(sources) for _, sources in self._sources())

    @property
    def weights(self) -> NDArray[Any]:
        """Weights of its in-edges, biases left out, shape (in_degree,)."""
        return np.concatenate([np.zeros(0, self.dtype), *(w for w, _, biased in self._edges() if not biased)])

    @property
    def factors(self) -> NDArray[Any]:
        """The factor c_v in front of each weight, shape (in_degree,)."""
        return np.concatenate([np.zeros(0), *(np.full(len(w), c) for w, c, biased in self._edges() if not biased)])

    @property
    def bias(self) -> float | None:
        """Its bias, or None if it has none."""
        return next((float(w[0]) for w, _, biased in self._edges() if biased), None)

    @property
    def parameter_index(self) -> NDArray[np.int64]:
        """Where its parameters stand among those of the assembly, ascending, shape (n_parameters,)."""
        origins = self._restricted[1]
        if not origins:
            return np.zeros(0, dtype=np.int64)
        index = np.concatenate([np.arange(origin.start, origin.stop) for origin in origins])
        selection = self._sub_model.selection
        return index if selection is None else index[selection]

    @property
    def n_parameters(self) -> int:
        """Number of its parameters."""
        selection = self._sub_model.selection
        return self._sub_model.program.n_parameters if selection is None else len(selection)

    @property
    def parameters(self) -> NDArray[Any]:
        """Its parameters, flat: a copy of those of the assembly at `parameter_index`."""
        return self._assembly.parameters[self.parameter_index]

    def value(self, x: ArrayLike) -> Any:
        """Return a_v (or z_v for `pre`) at one sample or a batch."""
        return _squeezed(self._sub_model.values(x), x)

    def __call__(self, X: ArrayLike) -> Any:
        """Return a_v (or z_v for `pre`); the same as `value`."""
        return self.value(X)

    def gradient(self, x: ArrayLike) -> NDArray[Any]:
        """Return its gradient in its parameters at one sample, shape (n_parameters,)."""
        return self._sub_model.gradient(x, 0)

    def hessian(self, x: ArrayLike) -> Hessian:
        """Return its Hessian in its parameters at one sample; that of `pre` falls like 1/sqrt(width)."""
        return self._sub_model.hessian(x, 0)

    def share(self, x: ArrayLike, output: int = 0) -> dict[str, float]:
        """Return its shares of one output within its layer: "value", "gradient" and "adjoint", each in [0, 1].

        The formulas stand in `assembly.calculus.shares`; NaN where nothing in the layer contributes.
        """
        from assembly.calculus.node_space import NodeSpaceHessian

        body = self._assembly._body
        evaluation = body.at(body.sample(x))
        space = NodeSpaceHessian(evaluation, 0, body.output(output))
        nodes = self._assembly.layers[self.layer].nodes
        here = int(np.flatnonzero(nodes == body.program.segments[self.group].nodes.start + self.position)[0])
        found = contributions(space, evaluation.adjoints(output).post[0])
        return {kind: float(shares(contribution[nodes])[here]) for kind, contribution in found.items()}

    def __repr__(self) -> str:
        what = "pre-activation of neuron" if self._linear else "neuron"
        return (
            f"{what} {self.position} of group {self.group} in layer {self.layer}: {self.activation}, "
            f"in-degree {self.in_degree}"
        )

    @cached_property
    def _restricted(self) -> tuple[Graph, tuple[slice, ...]]:
        graph, origins = self._assembly.graph.restrict([(self.group, self.position)])
        if self._linear and not self._assembly.graph.groups[self.group].is_given:
            graph = graph.with_linear(*graph.outputs[0])
        return graph, origins

    @cached_property
    def _sub_model(self) -> Body:
        graph, origins = self._restricted
        mine = graph.ancestor_edges()
        selection = None if mine.all() else np.flatnonzero(mine)
        return Body(graph, [self._assembly.parameters[origin] for origin in origins], self.dtype, selection)

    def _edges(self) -> Iterator[tuple[NDArray[Any], float, bool]]:
        """Weights, factor and whether it is a bias, for every connection into the neuron."""
        graph = self._assembly.graph
        for p in graph.incoming[self.group]:
            connection, offset = graph.connections[p], graph.offsets[p]
            _, edges = connection.in_edges(self.position)
            whole = connection.values if offset is None else self._assembly.parameters[offset:]
            assert whole is not None
            biased = graph.groups[connection.source].activation == CONSTANT
            yield whole[edges].astype(self.dtype, copy=False), float(connection.factor[self.position]), biased

    def _sources(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        graph = self._assembly.graph
        for p in graph.incoming[self.group]:
            connection = graph.connections[p]
            if graph.groups[connection.source].activation != CONSTANT:
                yield connection.source, connection.in_edges(self.position)[0]


def _squeezed(values: NDArray[Any], X: ArrayLike) -> Any:
    """(n, n_outputs) -> (n,) for one output; without the sample axis for one sample."""
    values = values[:, 0] if values.shape[1] == 1 else values
    return values[0] if np.ndim(X) == 1 else values


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
    place = {
        (key, node): outputs[i][j] for i, key in enumerate(owners) for j, node in enumerate(wanted[key])
    }
    return merged, [place[key] for key in keys], parameters


def _restrict_all(owner: Assembly, wanted: list[tuple[int, int, bool]]) -> tuple[Graph, list[NDArray[Any]]]:
    places = [(group, position) for group, position, _ in wanted]
    if len(set(places)) < len(places):
        raise GraphError("A neuron and its own pre-activation cannot both be parts: they would need the same weights.")
    graph, origins = owner.graph.restrict(places)
    for (group, position), (_, _, linear) in zip(graph.outputs, wanted, strict=True):
        if linear and not graph.groups[group].is_given:
            graph = graph.with_linear(group, position)
    return graph, [owner.parameters[origin] for origin in origins]
