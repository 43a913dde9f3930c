"""Look at one network: whether it is an assembly of many weak and diverse sub-models, and who is to blame if not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly import threads
from assembly.calculus.evaluation import gradient
from assembly.calculus.lockstep import input_pairs
from assembly.diagnostics.culprits import Culprit, Level, culprits
from assembly.diagnostics.diagnosis import Diagnosis, LayerDiagnosis, Sizes
from assembly.diagnostics.diversity import Diversity, diversity
from assembly.diagnostics.dominance import (
    TOLERANCE,
    LayerDominance,
    ParentDominance,
    Shares,
    bent_over_parents,
    channels,
    dominance,
    in_children,
    over_parents,
    trainable_layers,
)
from assembly.diagnostics.linearity import ratios
from assembly.errors import ArgumentError, ShapeError
from assembly.estimate import Estimate
from assembly.graph.description import CONSTANT, SOFTMAX
from assembly.model import Assembly

if TYPE_CHECKING:
    from assembly.diagnostics.family import FamilyDiagnosis

RADIUS = 1.0
LARGEST_EXACT = 1024  # neurons of a layer whose cosines are exact here, a second's work
MANY_EDGES = 10**8  # passes over more edges are left out
MAX_STEPS = 1000


@overload
def diagnose(net: Assembly, X: ArrayLike, output: int = 0, /, *, tol: float = TOLERANCE) -> Diagnosis: ...
@overload
def diagnose(net: Assembly, X: ArrayLike, *, output: int = 0, tol: float = TOLERANCE) -> Diagnosis: ...
@overload
def diagnose(
    family: Callable[..., Assembly], widths: Sequence[int], X: ArrayLike, **options: Any
) -> FamilyDiagnosis: ...
def diagnose(*arguments: Any, **options: Any) -> Diagnosis | FamilyDiagnosis:
    r"""Say whether a network is an assembly of many weak and diverse sub-models, and name the culprit if not.

    ``diagnose(net, X, output=0, tol=1e-4)`` looks at one network; ``diagnose(family, widths, X, seeds=10, output=0)``
    at networks of growing width, see `assembly.diagnostics.family.diagnose_family`.

    Parameters
    ----------
    net : Assembly
    X : array_like of shape (n, n_inputs) or (n_inputs,)
        Inputs to average over; diversity, and curvature over parents, is looked at for the first.
    output : int
    tol : float
        Relative residual of the eigenvalue that is :math:`\|H\|`, and whose vector tells the curvature shares.

    Returns
    -------
    Diagnosis
        For every hidden layer the shares of its neurons in the output (value, gradient, adjoint, curvature) and in the
        neurons that read it, largest share, effective number, and who; the cosines between their gradients; and
        :math:`\|H\|`, :math:`\|\nabla f\|`, :math:`\|H\| / \|\nabla f\|^2` and :math:`\|H\| R / \|\nabla f\|` at R = 1.

    Raises
    ------
    ShapeError, NonFiniteError, ArgumentError
        If `X` is no finite batch or is missing, there is no such output, `tol` is not between 0 and 1, or the first
        argument is no assembly and no family.
    SaturationError
        If squares of the output's derivatives, or of all activations, under- or overflow.

    Notes
    -----
    The rules stand in `assembly.diagnostics.culprits`. Cost: per input the iteration for one eigenvalue and five passes
    over the edges; for the cosines two matrix products per layer up to 1024 neurons, 64 passes over the weights beyond.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.bottleneck(n_inputs=3, widths=[64, 1, 64], activation="tanh", seed=0)
    >>> am.diagnose(net, [1.0, -1.0, 0.5]).findings[0]
    'layer 2 has 1 neuron where another has 64: everything goes through neuron 0'
    """
    first = arguments[0] if arguments else options.get("net", options.get("family"))
    if isinstance(first, Assembly):
        _check_call("am.diagnose(net, X, output=0, tol=1e-4)", _diagnose, arguments, options)
        return _diagnose(*arguments, **options)
    if not callable(first):
        raise ArgumentError(
            "The first argument must be an Assembly, or a family: a function that makes one from a width and a seed. "
            f"Got {first!r}."
        )
    from assembly.diagnostics.family import diagnose_family

    _check_call("am.diagnose(family, widths, X, seeds=10, output=0)", diagnose_family, arguments, options)
    return diagnose_family(*arguments, **options)


def _check_call(form: str, call: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    try:
        signature(call).bind(*arguments, **options)
    except TypeError as error:
        raise ArgumentError(f"Call it as {form}. Got {error}.") from None


def _diagnose(net: Assembly, X: ArrayLike, output: int = 0, *, tol: float = TOLERANCE) -> Diagnosis:
    evaluation = net.evaluate(X)
    rows = evaluation.post[:, evaluation.program.inputs]
    if len(rows) == 0:
        raise ShapeError(f"The 'X' argument must hold one sample at least. Got shape {rows.shape}.")
    pairs = input_pairs(evaluation, net._body.output(output), tol, MAX_STEPS, seed=0)
    return from_pairs(net, rows, pairs, output)


@threads.one_blas_thread()
def from_pairs(
    net: Assembly, rows: NDArray[Any], pairs: Sequence[tuple[Estimate, NDArray[Any]]], output: int = 0
) -> Diagnosis:
    """Return what `diagnose` does, where the top pair of the Hessian is known at every input.

    Parameters
    ----------
    net : Assembly
    rows : ndarray of shape (n, n_inputs)
        At least one.
    pairs : sequence of (Estimate, ndarray)
        What `Hessian.top_pair` returns, at every row.
    output : int

    Raises
    ------
    SaturationError
        As `diagnose`.

    Notes
    -----
    Cost: that of `diagnose` without the iterations.

    Examples
    --------
    >>> import assembly as am
    >>> net, x = am.mlp(n_inputs=3, widths=[64, 64], activation="tanh", seed=0), np.array([1.0, -1.0, 0.5])
    >>> from_pairs(net, x[None], [net.hessian(x).top_pair(1e-4)]).curvature == am.diagnose(net, x).curvature
    True
    """
    curvature = _curvature(net, rows, output, [value for value, _ in pairs])
    found = dominance(net, rows, output, [vector for _, vector in pairs])
    n_edges = sum(connection.n_edges for connection in net.graph.connections)
    notes = []
    parents: Mapping[str, tuple[ParentDominance, ...]] = {}
    children: Mapping[int, Mapping[str, Shares]] = {}
    if n_edges * len(rows) <= MANY_EDGES:
        parents, children = over_parents(net, rows), in_children(net, rows)
    else:
        notes.append(f"shares of parents are left out: {n_edges:,} edges at {len(rows)} inputs")
    is_cheap = 8 * n_edges <= MANY_EDGES
    if not is_cheap:
        notes.append(f"diversity and the curvature over parents are left out: {n_edges:,} edges")
    elif parents:
        parents = {**parents, "curvature": bent_over_parents(net, rows[0], parents["gradient"])}
    layers = tuple(
        _layer(
            net,
            one,
            children.get(one.layer, {}),
            diversity(net, one.layer, rows[0], largest_exact=LARGEST_EXACT) if is_cheap else None,
        )
        for one in found.layers
        if one.layer in trainable_layers(net, output)
    )
    if curvature.n_unconverged:
        notes.append(f"||H|| and curvature shares did not converge at {curvature.n_unconverged} of {len(rows)} inputs")
    blamed = [one for level in _levels(net, layers) for one in culprits(level)]
    blamed += _non_linear_output(net, rows, output, curvature)
    return Diagnosis(
        network=repr(net).splitlines()[0],
        output=output,
        n_inputs=len(rows),
        layers=layers,
        sizes=tuple(layer.size for layer in net.layers),
        parents=parents,
        q_infinity=found.q_infinity,
        curvature=curvature,
        culprits=tuple(sorted(blamed, key=lambda one: one.counts_as)),
        notes=tuple(notes),
    )


def _curvature(net: Assembly, rows: NDArray[Any], output: int, values: Sequence[Estimate]) -> Sizes:
    """Return the averages over the inputs."""
    found = []
    evaluation, output = net.evaluate(rows), net._body.output(output)
    for row, value in enumerate(values):
        norm, slope = abs(float(value.value)), float(np.linalg.norm(gradient(evaluation, row, output)))
        found.append(Sizes(norm, slope, *ratios(norm, slope, RADIUS), float(value.residual), int(not value.converged)))
    return Sizes(
        hessian_norm=float(np.mean([one.hessian_norm for one in found])),
        gradient_norm=float(np.mean([one.gradient_norm for one in found])),
        hessian_over_gradient_squared=float(np.mean([one.hessian_over_gradient_squared for one in found])),
        hessian_times_radius_over_gradient=float(np.mean([one.hessian_times_radius_over_gradient for one in found])),
        largest_residual=max(one.largest_residual for one in found),
        n_unconverged=sum(one.n_unconverged for one in found),
    )


def _layer(
    net: Assembly, one: LayerDominance, children: Mapping[str, Shares], diverse: Diversity | None
) -> LayerDiagnosis:
    shares, channel = one.shares, channels(net, one.layer)
    if channel is not None:
        shares, children = (
            {kind: Shares(np.bincount(channel, share.values).astype(np.float64)) for kind, share in given.items()}
            for given in (shares, children)
        )
    part = "neuron" if channel is None else "channel"
    return LayerDiagnosis(one.layer, one.size, part, shares, children, diverse)


def _levels(net: Assembly, layers: Sequence[LayerDiagnosis]) -> list[Level]:
    counted = {one.layer: one.n_parts for one in layers}
    return [
        Level(
            one.layer,
            one.part,
            one.shares,
            one.children,
            max((n for layer, n in counted.items() if layer != one.layer), default=0),
            _is_passage(net, one.layer),
            () if one.diversity is None else one.diversity.duplicates,
            one.size,
        )
        for one in layers
    ]


def _is_passage(net: Assembly, layer: int) -> bool:
    """Whether nothing leads past a layer, and it is more than linear neurons that are added up with fixed weights."""
    graph = net.graph
    leaving = [one for one in graph.connections if graph.levels[one.source] == layer]
    is_linear = all(set(graph.groups[group].activations()) == {"identity"} for group in graph.layers[layer])
    if is_linear and all(one.values is not None for one in leaving):
        return False
    return not any(
        graph.levels[one.source] < layer < graph.levels[one.target] and graph.groups[one.source].activation != CONSTANT
        for one in graph.connections
    )


def _non_linear_output(net: Assembly, rows: NDArray[Any], output: int, curvature: Sizes) -> list[Culprit]:
    r"""A non-linear output: H holds :math:`\phi''(z) \nabla z \nabla z^T`, which no width makes small."""
    group, position = net.graph.outputs[output]
    name, layer = net.graph.groups[group].activations()[position], net.graph.levels[group]
    if net.graph.groups[group].is_given:
        return []
    evaluation = net.evaluate(rows)
    node = int(evaluation.program.outputs[output])
    if name == SOFTMAX:
        text = "the output is a softmax, no sum of its parts: its own curvature does not fall with the width"
        return [Culprit("output", layer, (), 1.0, text)] if net.graph.groups[group].size > 1 else []
    first, second = evaluation.first[:, node].astype(float), evaluation.second[:, node].astype(float)
    if not second.any():
        return []
    text = f"the output is {name}(z), no sum of its parts: its own curvature does not fall with the width"
    bent = first != 0.0
    if bent.any() and curvature.hessian_over_gradient_squared > 0.0:
        own = float(np.mean(np.abs(second[bent]) / first[bent] ** 2))
        text += f"; |{name}''| |grad z|^2 is {own / curvature.hessian_over_gradient_squared:.2g} of ||H||"
    return [Culprit("output", layer, (), 1.0, text)]
