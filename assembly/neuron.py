"""Views of an assembly: its layers, and its neurons, each a sub-model of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.body import Body, squeezed
from assembly.calculus.gram import neuron_gram
from assembly.calculus.shares import contributions, shares
from assembly.checks import check_count, check_number
from assembly.errors import ArgumentError
from assembly.estimate import Estimate, together
from assembly.graph.connections import Own, Places
from assembly.graph.description import CONSTANT, Graph

if TYPE_CHECKING:
    from assembly.calculus.hessian import Hessian
    from assembly.model import Assembly


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
        samples = body.sample(x) if z is None else np.concatenate([body.sample(x), body.sample(z, "z")])
        return neuron_gram(body.at(samples), self._groups, 0, len(samples) - 1)

    def hessian_norms(self, x: ArrayLike, tol: float = 1e-4, *, max_steps: int = 1000, seed: int = 0) -> Estimate:
        r"""Return the spectral norm of the Hessian of every neuron's pre-activation, each a sub-model of its own.

        .. math:: \|H(z_i)\|, \qquad z_i = \textstyle\sum_u c_i w_{iu} a_u, \quad
                  \text{in the weights of its ancestors and its own in-edges}

        What `Neuron.pre` answers for one neuron, for all neurons together, as matrix products. Exactly 0 in the first
        layer, whose pre-activations are linear; a closed form where one hidden layer lies below; elsewhere Lanczos
        iterations in lockstep.

        Parameters
        ----------
        x : array_like of shape (n_inputs,)
            One sample.
        tol : float
            Residual ``|H v - lambda v| / |lambda|`` to reach for every neuron; the relative error of an
            eigenvalue is of the order of its square, over the relative gap to the next. That it is the largest rests on
            the random start, and on the other end of the spectrum being known well enough.
        max_steps : int
            Lanczos steps at most, for every neuron, together and, where 120 did not suffice, once more alone.
        seed : int
            Of the random start.

        Returns
        -------
        Estimate
            Values and residuals of shape (size,), in the order of `neurons`; whether all reached `tol`; the steps of
            the neuron that took most. Residuals and steps are 0 where no iteration was needed.

        Raises
        ------
        ShapeError, NonFiniteError
            If `x` is not one finite sample.
        ArgumentError
            If `tol` is not between 0 and 1 or `max_steps` not a whole number of at least 1.
        SaturationError
            If squares of derivatives or activations under- or overflow.
        ResourceError
            If the vectors of a single neuron do not fit in the memory that is free.

        Notes
        -----
        Cost per step: two passes over the weights of the layers between, as matrix products with a row for every
        neuron. Memory: a vector of two numbers per neuron below for every step, for up to 32 neurons at once on every
        thread, fewer where that is more than 0.25 GiB.

        Examples
        --------
        >>> import assembly as am
        >>> layer = am.mlp(n_inputs=2, widths=[64, 64], seed=0).layers[2]
        >>> norms = layer.hessian_norms([1.0, 2.0])
        >>> bool(abs(norms.value[5] / layer.neurons[5].pre.hessian([1.0, 2.0]).norm().value - 1.0) < 1e-12)
        True
        """
        from assembly.calculus.lockstep import neuron_norms

        tol, max_steps = check_number("tol", tol, above=0.0, below=1.0), check_count("max_steps", max_steps)
        sample, found = self._assembly._body.sample(x)[0], []
        for group, body in self._pre_activations():
            if body is None:
                neurons = Neurons(self._assembly, [(group, self._assembly.graph.groups[group].size)])
                found += [neuron.pre.hessian(sample).norm(tol, max_steps=max_steps, seed=seed) for neuron in neurons]
            else:
                found.append(neuron_norms(body.at(body.sample(sample)), tol, max_steps, seed))
        return together(found)

    def gradient_norms(self, x: ArrayLike) -> NDArray[np.float64]:
        r"""Return the norm of the gradient of every neuron's pre-activation, each a sub-model of its own.

        .. math:: |\nabla z_i|, \quad\text{in the weights of its ancestors and its own in-edges}

        Parameters
        ----------
        x : array_like of shape (n_inputs,)
            One sample.

        Returns
        -------
        ndarray of shape (size,), float64
            In the order of `neurons`; exact.

        Raises
        ------
        ShapeError, NonFiniteError
            If `x` is not one finite sample.
        SaturationError
            If squares of derivatives or activations under- or overflow.
        ResourceError
            If the node vectors of a single neuron do not fit in the memory that is free.

        Notes
        -----
        Cost: one backward pass for every neuron, as matrix products; memory as in `hessian_norms`.

        Examples
        --------
        >>> import numpy as np
        >>> import assembly as am
        >>> layer = am.mlp(n_inputs=2, widths=[64, 64], seed=0).layers[2]
        >>> gradient = layer.neurons[5].pre.gradient([1.0, 2.0])
        >>> bool(abs(layer.gradient_norms([1.0, 2.0])[5] / np.linalg.norm(gradient) - 1.0) < 1e-12)
        True
        """
        from assembly.calculus.lockstep import gradient_norms

        sample, found = self._assembly._body.sample(x)[0], []
        for group, body in self._pre_activations():
            if body is None:
                neurons = Neurons(self._assembly, [(group, self._assembly.graph.groups[group].size)])
                found.append(np.array([np.linalg.norm(neuron.pre.gradient(sample)) for neuron in neurons]))
            else:
                found.append(gradient_norms(body.at(body.sample(sample))))
        return np.concatenate(found)

    def _pre_activations(self) -> Iterator[tuple[int, Body | None]]:
        """Yield every group and its pre-activations as outputs; None where neurons are taken one by one.

        Those are inputs, and sub-models of the user's own, for each of which a function is called.
        """
        graph = self._assembly.graph
        for group in self._groups:
            connections = (graph.connections[p] for p in graph.incoming[group])
            if graph.groups[group].is_given or any(isinstance(one, Own) for one in connections):
                yield group, None
                continue
            places = [(group, position) for position in range(graph.groups[group].size)]
            restricted, origins = graph.with_identity(group).restrict(places)
            parameters = self._assembly.parameters
            yield group, Body(restricted, [parameters[edges] for edges in origins], self._assembly.dtype)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        graph = self._assembly.graph
        names = sorted({name for group in self._groups for name in set(graph.groups[group].activations())})
        terms = []
        for position in (p for group in self._groups for p in graph.incoming[group]):
            connection = graph.connections[position]
            kind = "" if connection.values is None else "frozen "
            source = (
                "bias"
                if graph.groups[connection.source].activation == CONSTANT
                else f"{kind}{connection.form} from layer {graph.levels[connection.source]}"
            )
            low, high = float(connection.factor.min()), float(connection.factor.max())
            factor = f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
            terms.append(f"{factor} x {source}")
        shown = terms[:6] + ([f"... and {len(terms) - 6} more"] if len(terms) > 6 else [])
        return f"layer {self.index}: {self.size} {', '.join(names)}" + ("; z = " + " + ".join(shown) if terms else "")


class Layers(tuple[Layer, ...]):
    """The layers of an assembly, by number."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Layer, ...]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Layer | tuple[Layer, ...]:
        try:
            return super().__getitem__(index)
        except IndexError:
            raise IndexError(
                f"This network has {len(self)} layers, numbered from 0, the inputs, to {len(self) - 1}. Got {index}."
            ) from None


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
        return [Neuron(self._assembly, group, int(source)) for group, sources in self._sources() for source in sources]

    @property
    def in_degree(self) -> int:
        """Number of parents, an edge each."""
        return sum(len(sources) for _, sources in self._sources())

    @property
    def weights(self) -> NDArray[Any]:
        """Weights of its in-edges, biases left out, shape (in_degree,); all those of a sub-model of the user's own."""
        return np.concatenate([np.zeros(0, self.dtype), *(w for w, _, biased in self._edges() if not biased)])

    @property
    def factors(self) -> NDArray[Any]:
        """The factor c_v in front of each weight, shaped like `weights`."""
        return np.concatenate([np.zeros(0), *(np.full(len(w), c) for w, c, biased in self._edges() if not biased)])

    @property
    def bias(self) -> float | None:
        """What the constant adds to z_v, factors included, or None if it has no bias."""
        terms = [float(c * number) for w, c, biased in self._edges() if biased for number in w]
        return sum(terms) if terms else None

    @property
    def parameter_index(self) -> NDArray[np.int64]:
        """Where its parameters stand among those of the assembly, shape (n_parameters,)."""
        origins = self._restricted[1]
        if not origins:
            return np.zeros(0, dtype=np.int64)
        return np.concatenate(
            [np.arange(edges.start, edges.stop) if isinstance(edges, slice) else edges for edges in origins]
        )

    @property
    def n_parameters(self) -> int:
        """Number of its parameters."""
        return self._restricted[0].n_parameters

    @property
    def parameters(self) -> NDArray[Any]:
        """Its parameters, flat: a copy of those of the assembly at `parameter_index`."""
        return self._assembly.parameters[self.parameter_index]

    @property
    def assembly(self) -> Assembly:
        """The neuron as an assembly of its own: its ancestors and itself, with a copy of their parameters.

        Whatever looks at a network then looks at the neuron: `assembly.diagnose`, the shares of its parents in
        `assembly.diagnostics.dominance`, `Assembly.curvature_in_ball`. Parents and shares are those of `pre`, a sum.

        Examples
        --------
        >>> import assembly as am
        >>> neuron = am.mlp(n_inputs=2, widths=[64, 64], seed=0).layers[2].neurons[5]
        >>> len(neuron.pre.assembly.parts), bool(neuron.pre.assembly([1.0, 2.0]) == neuron.pre([1.0, 2.0]))
        (64, True)
        """
        return type(self._assembly).from_graph(self._restricted[0], self.parameters)

    def value(self, x: ArrayLike) -> Any:
        """Return a_v (or z_v for `pre`) at one sample or a batch."""
        return squeezed(self._sub_model.values(x), x)

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

        Raises
        ------
        ArgumentError
            If the neuron is an input, or there is no such output.
        """
        from assembly.calculus.node_space import NodeSpaceHessian

        if self.layer == 0:
            raise ArgumentError(
                "An input has no share: it is given, and has no in-edges. Take a neuron of a layer above."
            )
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
    def _restricted(self) -> tuple[Graph, tuple[Places, ...]]:
        graph = self._assembly.graph
        if self._linear and not graph.groups[self.group].is_given:
            graph = graph.with_identity(self.group)  # only the neuron itself will be left of its group
        return graph.restrict([(self.group, self.position)])

    @cached_property
    def _sub_model(self) -> Body:
        graph, origins = self._restricted
        return Body(graph, [self._assembly.parameters[edges] for edges in origins], self.dtype)

    def _edges(self) -> Iterator[tuple[NDArray[Any], float, bool]]:
        """Weights, factor and whether it is a bias, for every connection into the neuron."""
        graph = self._assembly.graph
        for p in graph.incoming[self.group]:
            connection, part = graph.connections[p], graph.slices[p]
            _, places = connection.in_edges(self.position)
            whole = connection.values if part is None else self._assembly.parameters[part]
            assert whole is not None
            biased = graph.groups[connection.source].activation == CONSTANT
            yield whole[places].astype(self.dtype, copy=False), float(connection.factor[self.position]), biased

    def _sources(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        graph = self._assembly.graph
        for p in graph.incoming[self.group]:
            connection = graph.connections[p]
            if graph.groups[connection.source].activation != CONSTANT:
                yield connection.source, connection.in_edges(self.position)[0]
