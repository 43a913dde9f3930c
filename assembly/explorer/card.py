"""One neuron opened as a sub-model of its own: what it is made of, what it is worth, whom it feeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly import activations
from assembly.blocks.own import OwnBlock
from assembly.body import Body
from assembly.calculus.evaluation import Evaluation, backward, scatter, tangents
from assembly.calculus.lockstep import gradient_norms
from assembly.calculus.parents import in_edges
from assembly.checks import check_count
from assembly.diagnostics.dominance import dominance, places
from assembly.errors import SaturationError
from assembly.explorer.scene import Table, neuron_noun, number_text
from assembly.graph.connections import Own
from assembly.graph.description import CONSTANT, SOFTMAX

if TYPE_CHECKING:
    from assembly.model import Assembly
    from assembly.neuron import Neuron

MOST_RELATIVES = 12
N_NEAREST = 5
N_POINTS = 41
LARGEST_COMPARED = 1024  # neurons of a layer that are all compared; of a wider one the N_CANDIDATES
N_CANDIDATES = 64
TOLERANCE = 1e-4

Vector = NDArray[Any]


@dataclass(frozen=True)
class Relative:
    """A parent or a child of a neuron, and the edge between them.

    Attributes
    ----------
    layer, position : int
        Where it stands; `neuron_card` there steps down or up.
    name : str
    weight : float
        w of the edge; of several edges between the two, their factors and weights times each other, added up.
    factor : float
        c of the edge.
    value : float
        Activation of a parent, pre-activation adjoint of a child.
    term : float
        Their product: what a parent adds to the pre-activation, what a child adds to the adjoint.
    """

    layer: int
    position: int
    name: str
    weight: float
    factor: float
    value: float
    term: float


@dataclass(frozen=True)
class Response:
    """Activation against pre-activation, and the point where the neuron is.

    Attributes
    ----------
    pre, post : tuple of float
    at : tuple of (float, float)
    """

    pre: tuple[float, ...]
    post: tuple[float, ...]
    at: tuple[float, float]


@dataclass(frozen=True)
class NeuronCard:
    r"""A neuron as a sub-model of its own, at one input.

    Attributes
    ----------
    layer, position : int
    name, activation, formula : str
        The formula says the factor c of every kind of in-edge.
    value, pre_activation : float
    n_parents, n_children : int
    parents, children : tuple of Relative
        The strongest of all, by the magnitude of their terms, at most 12.
    gradient_norm : float or None
        Of the pre-activation, in the weights of its ancestors and its own; None for an input.
    hessian_norm : float or None
        Likewise; None where the pre-activation is linear in its weights, or the norm cannot be computed.
    hessian_status : str
        Whether the iteration converged, or why there is no number.
    response : Response or None
        None for an input and in a softmax, whose neurons bend each other.
    share : float or None
        Of the gradient, within its layer; None outside the hidden layers and where nothing in the layer contributes.
    rank : int or None
        1 for the largest share.
    nearest : tuple of (int, float)
        Position of the neurons of its layer with the largest cosines between gradients, by magnitude, and the cosine;
        at most 5.
    n_compared : int
        Neurons that `nearest` were chosen from.
    facts : Table
        The numbers, as they are shown.
    parents_table, children_table, response_table : Table
        Twins of the pictures.
    """

    layer: int
    position: int
    name: str
    activation: str
    formula: str
    value: float
    pre_activation: float
    n_parents: int
    n_children: int
    parents: tuple[Relative, ...]
    children: tuple[Relative, ...]
    gradient_norm: float | None
    hessian_norm: float | None
    hessian_status: str
    response: Response | None
    share: float | None
    rank: int | None
    nearest: tuple[tuple[int, float], ...]
    n_compared: int
    facts: Table
    parents_table: Table
    children_table: Table
    response_table: Table

    def as_dict(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return asdict(self)


class _Curvature(NamedTuple):
    gradient_norm: float | None
    hessian_norm: float | None
    status: str


class _Edges(NamedTuple):
    """Edges between a neuron and its parents, or its children: columns of equal length."""

    nodes: Vector
    weights: Vector
    factors: Vector
    values: Vector
    terms: Vector


def neuron_card(net: Assembly, x: ArrayLike, layer: int, position: int, output: int = 0) -> NeuronCard:
    r"""Return one neuron of an assembly as a sub-model of its own, at one input.

    .. math:: z_v = \sum_u c_v w_{uv} a_u, \qquad a_v = \sigma_v(z_v), \qquad
              \cos_{vj} = \frac{\langle\nabla a_v, \nabla a_j\rangle}{|\nabla a_v|\,|\nabla a_j|}

    Parameters
    ----------
    net : Assembly
    x : array_like of shape (n_inputs,)
        One sample.
    layer, position : int
        Place of the neuron: ``net.layers[layer].neurons[position]``.
    output : int
        That shares and the adjoints of the children are of.

    Returns
    -------
    NeuronCard

    Raises
    ------
    ArgumentError
        If there is no such layer, position or output.
    ShapeError, NonFiniteError
        If `x` is not one finite sample.
    SaturationError
        If squares of the output's derivatives under- or overflow.

    Notes
    -----
    Cost: a few passes over the weights, the iteration for one Hessian norm below the neuron, and a pass back for every
    neuron it is compared with: all of a layer of up to 1024, else the 64 with the largest inner products. Memory two
    vectors of n_parameters.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=2, widths=[64, 64], activation="tanh", seed=0)
    >>> card = neuron_card(net, [1.0, -0.5], layer=2, position=5)
    >>> card.formula
    'a = tanh z, z = 1/sqrt(64) x the sum of w a over 64 neurons of layer 1'
    >>> (card.parents[0].layer, len(card.parents), card.hessian_status[:9])
    (1, 12, 'converged')
    """
    layer = check_count("layer", layer, 0, len(net.layers) - 1)
    position = check_count("position", position, 0, net.layers[layer].size - 1)
    body = net._body
    sample = body.sample(x)
    evaluation, number = body.at(sample), body.output(output)
    node = int(net.layers[layer].nodes[position])
    neuron, place = net.layers[layer].neurons[position], places(net)
    above, below = _into(net, evaluation, neuron), _out_of(net, evaluation, node, number)
    curvature = _curvature(net, neuron, sample[0])
    share, rank = _share(net, sample[0], layer, position, number)
    nearest, n_compared = _nearest(net, evaluation, neuron, layer, position)
    response = _response(neuron.activation, float(evaluation.pre[0, node]), float(evaluation.post[0, node]))
    parents, children = _strongest(net, above, place), _strongest(net, below, place)
    value, pre = float(evaluation.post[0, node]), float(evaluation.pre[0, node])
    rows = [("value", number_text(value))]
    if layer > 0:
        rows += [
            ("pre-activation", number_text(pre)),
            ("norm of the gradient", number_text(curvature.gradient_norm)),
            ("norm of the Hessian", number_text(curvature.hessian_norm)),
            ("the Hessian", curvature.status),
        ]
    if rank is not None:
        rows.append(("share of its layer", f"{number_text(share)}, number {rank:,} of {net.layers[layer].size:,}"))
    rows += [(f"cosine to neuron {other}", number_text(cosine)) for other, cosine in nearest]
    return NeuronCard(
        layer=layer,
        position=position,
        name=f"{neuron_noun(net, layer)} {position}" + (f" of layer {layer}" if layer else ""),
        activation=neuron.activation,
        formula=_formula(net, neuron),
        value=value,
        pre_activation=pre,
        n_parents=neuron.in_degree,
        n_children=len(below.nodes),
        parents=parents,
        children=children,
        gradient_norm=curvature.gradient_norm,
        hessian_norm=curvature.hessian_norm,
        hessian_status=curvature.status,
        response=response,
        share=share,
        rank=rank,
        nearest=nearest,
        n_compared=n_compared,
        facts=Table(("quantity", "number"), tuple(rows)),
        parents_table=_relatives_table("parent", "activation", parents),
        children_table=_relatives_table("child", "adjoint", children),
        response_table=_response_table(response),
    )


def _relatives_table(who: str, value: str, relatives: Sequence[Relative]) -> Table:
    rows = (
        (one.name, *(number_text(number) for number in (one.factor, one.weight, one.value, one.term)))
        for one in relatives
    )
    return Table((who, "factor", "weight", value, "term"), tuple(rows))


def _response_table(response: Response | None) -> Table:
    points = zip(response.pre, response.post, strict=True) if response else ()
    return Table(("pre-activation", "activation"), tuple((number_text(z), number_text(a)) for z, a in points))


def _formula(net: Assembly, neuron: Neuron) -> str:
    graph = net.graph
    if neuron.layer == 0:
        return f"a = x, input {neuron.position}"
    terms = []
    for connection in (graph.connections[p] for p in graph.incoming[neuron.group]):
        if isinstance(connection, Own):
            terms.append(f"g(w; x) of your own {connection.functions.name!r}")
        elif graph.groups[connection.source].activation != CONSTANT:
            n, below = len(connection.in_edges(neuron.position)[0]), graph.levels[connection.source]
            what = f"{n:,} {neuron_noun(net, below)}{'s' * (n != 1)}" + (f" of layer {below}" if below else "")
            weight = "w a" if connection.values is None else "v a, v fixed,"
            terms.append(f"{_factor(float(connection.factor[neuron.position]), n)}the sum of {weight} over {what}")
    bias = neuron.bias
    terms += [] if bias is None else [f"the bias {number_text(bias)}"]
    sigma = "softmax of its layer" if neuron.activation == SOFTMAX else activations.FORMULAS.get(neuron.activation, "z")
    return f"a = {sigma}, z = {' + '.join(terms) or '0'}"


def _factor(factor: float, n: int) -> str:
    """Return a factor in front of a sum of n terms."""
    if factor == 1.0:
        return ""
    named = {f"1/sqrt({n})": float(n) ** -0.5, f"1/{n}": 1.0 / n} if n else {}
    return next((text for text, known in named.items() if np.isclose(factor, known, 1e-6)), f"{factor:.4g}") + " x "


def _into(net: Assembly, evaluation: Evaluation, neuron: Neuron) -> _Edges:
    """In-edges of a neuron; those of sub-models of the user's own are none, as their weights belong to no edge."""
    found = []
    for p in net.graph.incoming[neuron.group]:
        block, connection = evaluation.program.blocks[p], net.graph.connections[p]
        if not isinstance(block, OwnBlock) and net.graph.groups[connection.source].activation != CONSTANT:
            at = neuron.position
            _, sources, weights = in_edges(block, evaluation.weights[p], at, at + 1)
            found.append((sources.astype(np.int64) + block.source.start, weights, block.factor[at]))
    return _edges(found, evaluation.post[0])


def _out_of(net: Assembly, evaluation: Evaluation, node: int, output: int) -> _Edges:
    """Out-edges of a node, from a pass of its unit vector through every block that it feeds."""
    b = evaluation.adjoints(output).pre[0]
    unit, found = np.zeros_like(b), []
    unit[node] = 1.0
    for p, block in enumerate(evaluation.program.blocks):
        if block.source.start <= node < block.source.stop and not isinstance(block, OwnBlock):
            reached = np.zeros_like(b)
            block.push(evaluation.weights[p], unit, reached)
            nodes = np.flatnonzero(reached)
            factors = block.factor[nodes - block.target.start]
            found.append((nodes, reached[nodes] / factors, factors))
    return _edges(found, b)


def _edges(pieces: list[tuple[Vector, Vector, Any]], values: Vector) -> _Edges:
    nodes = np.concatenate([np.zeros(0, np.int64), *(nodes for nodes, _, _ in pieces)])
    weights = np.concatenate([np.zeros(0), *(weights for _, weights, _ in pieces)])
    factors = np.concatenate([np.zeros(0), *(np.broadcast_to(c, len(nodes)) for nodes, _, c in pieces)])
    return _Edges(nodes, weights, factors, values[nodes], factors * weights * values[nodes])


def _strongest(net: Assembly, edges: _Edges, place: NDArray[np.int64]) -> tuple[Relative, ...]:
    order = np.argsort(-np.abs(edges.terms), kind="stable")[:MOST_RELATIVES].tolist()
    return tuple(_relative(net, edges, e, *place[edges.nodes[e]].tolist()) for e in order)


def _relative(net: Assembly, edges: _Edges, e: int, layer: int, position: int) -> Relative:
    name = f"{neuron_noun(net, layer)} {position}" + (f" of layer {layer}" if layer else "")
    numbers = (float(column[e]) for column in (edges.weights, edges.factors, edges.values, edges.terms))
    return Relative(layer, position, name, *numbers)


def _curvature(net: Assembly, neuron: Neuron, x: Vector) -> _Curvature:
    """Norms of the derivatives of the pre-activation in the weights of the neuron and its ancestors."""
    if neuron.layer == 0:
        return _Curvature(None, None, "an input has no weights")
    gradient = float(np.linalg.norm(neuron.pre.gradient(x)))
    graph = net.graph
    incoming = [graph.connections[p] for p in graph.incoming[neuron.group]]
    if all(graph.groups[one.source].is_given and not isinstance(one, Own) for one in incoming):
        return _Curvature(gradient, None, "none: linear in its weights")
    try:
        norm = neuron.pre.hessian(x).norm(TOLERANCE)
    except SaturationError as error:
        return _Curvature(gradient, None, f"none: {error}")
    how = "exact" if norm.n_steps == 0 else f"residual {norm.residual:.1e} after {norm.n_steps} steps"
    return _Curvature(gradient, float(norm.value), f"{'converged' if norm.converged else 'not converged'}, {how}")


def _share(net: Assembly, x: Vector, layer: int, position: int, output: int) -> tuple[float | None, int | None]:
    for found in dominance(net, x, output).layers:
        values = found.shares["gradient"].values
        if found.layer == layer and np.isfinite(values).all():
            return float(values[position]), 1 + int(np.count_nonzero(values > values[position]))
    return None, None


def _response(activation: str, pre: float, post: float) -> Response | None:
    if activation not in activations.FORMULAS:
        return None
    reach = max(3.0, 1.5 * abs(pre))
    z = np.linspace(-reach, reach, N_POINTS)
    a = activations.get(activation).value(z)
    return Response(tuple(z.tolist()), tuple(a.tolist()), (pre, post))


def _nearest(
    net: Assembly, evaluation: Evaluation, neuron: Neuron, layer: int, position: int
) -> tuple[tuple[tuple[int, float], ...], int]:
    """Cosines to the neurons of its layer with the largest ones, and how many were looked at."""
    whole, program = net.layers[layer], evaluation.program
    coupled = any(net.graph.groups[group].activation == SOFTMAX for group in net.graph.layers[layer])
    if layer == 0 or coupled or whole.size == 1:
        return (), 0
    b = backward(evaluation, int(whole.nodes[position])).pre[0]
    direction = np.empty(program.n_parameters, program.dtype)
    scatter(evaluation, b, np.zeros_like(b), evaluation.post[0], b, direction)
    inner = tangents(evaluation, direction)[1][0, whole.nodes].astype(np.float64)
    others = np.delete(np.arange(whole.size), position)
    if whole.size > LARGEST_COMPARED:
        others = np.sort(others[np.argsort(-np.abs(inner[others]), kind="stable")[:N_CANDIDATES]])
    x = evaluation.post[0, program.inputs]
    slopes = np.abs(evaluation.first[0, whole.nodes[others]])
    norms = slopes * _norms(net, x, layer, others) * np.sqrt(max(inner[position], 0.0))
    known = np.flatnonzero(norms > 0.0)
    cosines = inner[others[known]] / norms[known]
    order = np.argsort(-np.abs(cosines), kind="stable")[:N_NEAREST]
    return tuple((int(others[known[i]]), float(cosines[i])) for i in order), len(others)


def _norms(net: Assembly, x: Vector, layer: int, positions: NDArray[np.int64]) -> Vector:
    """Norms of the gradients of the pre-activations of some neurons of a layer, which is no layer of inputs."""
    found = [np.zeros(0)]
    for group, chosen in _by_group(net, layer, positions):
        if any(isinstance(net.graph.connections[p], Own) for p in net.graph.incoming[group]):
            neurons = (type(net.layers[layer].neurons[0])(net, group, int(i)) for i in chosen)
            found.append(np.array([np.linalg.norm(neuron.pre.gradient(x)) for neuron in neurons]))
            continue
        graph, origins = net.graph.with_identity(group).restrict([(group, int(i)) for i in chosen])
        body = Body(graph, [net.parameters[edges] for edges in origins], net.dtype)
        found.append(gradient_norms(body.at(x[None])))
    return np.concatenate(found)


def _by_group(net: Assembly, layer: int, positions: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield the groups of a layer, each with those of some sorted positions in it, counted within it."""
    start = 0
    for group in net.graph.layers[layer]:
        size = net.graph.groups[group].size
        chosen = positions[(positions >= start) & (positions < start + size)] - start
        if chosen.size:
            yield group, chosen
        start += size
