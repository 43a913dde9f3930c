"""Sub-models of the user's own: three functions become a part like any other, and are checked against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.architectures.agreement import Agreement, compare
from assembly.architectures.committees import drawn_parts
from assembly.checks import check_count, check_number, check_vector
from assembly.errors import ArgumentError, GraphError
from assembly.graph.connections import Own
from assembly.graph.description import INPUT, Graph, Group
from assembly.graph.own import Functions, read_only
from assembly.model import Assembly
from assembly.seeds import generator

Vector = NDArray[Any]


@dataclass(frozen=True)
class OwnSubModel:
    """A sub-model of the user's own; called with a seed it returns an assembly of that one part.

    Attributes
    ----------
    functions : Functions
        Value, gradient and Hessian-vector product.
    n_inputs : int
    initial : callable or None
        Draws the parameters from a generator; None for N(0, 1).
    """

    functions: Functions
    n_inputs: int
    initial: Callable[[np.random.Generator], Any] | None

    @cached_property
    def graph(self) -> Graph:
        """One neuron, an output, whose pre-activation is the sub-model."""
        unit = Own(0, 1, self.n_inputs, 1, np.ones(1), self.functions)
        return Graph((Group(self.n_inputs, INPUT), Group(1, "identity")), (unit,), ((1, 0),))

    def __call__(self, seed: int = 0) -> Assembly:
        """Return the sub-model with parameters drawn under a seed.

        Raises
        ------
        ArgumentError
            If `seed` is no whole number of at least 0.
        ShapeError, NonFiniteError
            If `initial` returns anything but n_parameters finite numbers.
        """
        n = self.functions.n_parameters
        rng = generator(seed, "sub-model", self.n_inputs, n)
        if self.initial is None:
            return Assembly.from_graph(self.graph, rng.standard_normal(n))
        return Assembly.from_graph(self.graph, check_vector("initial(rng)", self.initial(rng), n).copy())

    def __repr__(self) -> str:
        inputs = f"{self.n_inputs} input{'s' * (self.n_inputs > 1)}"
        n = self.functions.n_parameters
        return f"sub-model {self.functions.name!r}: {inputs}, {n} parameter{'s' * (n > 1)}"


def submodel(
    value: Callable[[Vector, Vector], Any],
    gradient: Callable[[Vector, Vector], Any],
    hessian_product: Callable[[Vector, Vector, Vector], Any],
    *,
    n_inputs: int,
    n_parameters: int,
    initial: Callable[[np.random.Generator], Any] | None = None,
    name: str | None = None,
) -> OwnSubModel:
    r"""Return a sub-model of your own, :math:`g(w; x)`, from its value and its derivatives in w.

    What comes back is a `part`: ``committee(part, 1000)`` and every other builder takes it, and ``part(seed)`` is one
    alone. Check the three functions against each other with `check_submodel` first.

    Parameters
    ----------
    value : callable
        ``value(w, x)`` -> one real number.
    gradient : callable
        ``gradient(w, x)`` -> :math:`\partial g/\partial w`, shape (n_parameters,).
    hessian_product : callable
        ``hessian_product(w, x, v)`` -> :math:`\frac{\partial^2 g}{\partial w\, \partial w} v`, shape (n_parameters,).
    n_inputs, n_parameters : int
    initial : callable, optional
        ``initial(rng)`` -> w, shape (n_parameters,), from a `numpy.random.Generator`. By default N(0, 1).
    name : str, optional
        For messages; by default that of `value`.

    Returns
    -------
    OwnSubModel
        Call it with a seed.

    Raises
    ------
    ArgumentError
        If a function cannot be called, or a count is below 1.
    ShapeError, NonFiniteError
        Later, when a function returns another shape than it must, or a number that is not finite. An error raised
        inside a function comes through with a note that names it.

    Notes
    -----
    The functions get float64 vectors that they cannot write to, and are called once for every part in each pass: a
    Python call each, so about 1 to 10 ms a pass for 1000 parts. Functions compiled by numba work like others.

    Examples
    --------
    Fourier features :math:`g = v \cos(w \cdot x + b)` with parameters (w, b, v):

    >>> import numpy as np
    >>> import assembly as am
    >>> def phase(p, x):
    ...     return p[:-2] @ x + p[-2]
    >>> def value(p, x):
    ...     return p[-1] * np.cos(phase(p, x))
    >>> def gradient(p, x):
    ...     z = phase(p, x)
    ...     return np.array([*(-p[-1] * np.sin(z) * x), -p[-1] * np.sin(z), np.cos(z)])
    >>> def hessian_product(p, x, d):
    ...     z, moved = phase(p, x), d[:-2] @ x + d[-2]
    ...     inner = -p[-1] * np.cos(z) * moved - np.sin(z) * d[-1]
    ...     return np.array([*(inner * x), inner, -np.sin(z) * moved])
    >>> part = submodel(value, gradient, hessian_product, n_inputs=2, n_parameters=4, name="fourier")
    >>> part
    sub-model 'fourier': 2 inputs, 4 parameters
    >>> net = am.committee(part, n_parts=100)
    >>> net.n_parameters, float(net.hessian([1.0, -0.5]).norm()) < 1.0
    (400, True)
    """
    functions = {"value": value, "gradient": gradient, "hessian_product": hessian_product}
    calls = {"value": "value(w, x)", "gradient": "gradient(w, x)", "hessian_product": "hessian_product(w, x, v)"}
    for argument, function in functions.items():
        if not callable(function):
            raise ArgumentError(f"The {argument!r} argument must be callable as {calls[argument]}. Got {function!r}.")
    if initial is not None and not callable(initial):
        raise ArgumentError(f"The 'initial' argument must be callable as initial(rng). Got {initial!r}.")
    if name is not None and (not isinstance(name, str) or not name):
        raise ArgumentError(f"The 'name' argument must be a text. Got {name!r}.")
    known_as = name or str(getattr(value, "__name__", type(value).__name__))
    n = check_count("n_parameters", n_parameters)
    described = Functions(known_as, n, value, gradient, hessian_product)
    return OwnSubModel(described, check_count("n_inputs", n_inputs), initial)


def check_submodel(
    part: OwnSubModel | Assembly | Callable[[int], Assembly], *, n_points: int = 8, seed: int = 0, tol: float = 1e-6
) -> Agreement:
    r"""Check that the derivatives of a sub-model are those of its value, component by component.

    At random w and x, `gradient` is compared with differences of `value`, and `hessian_product` with differences of
    `gradient`. Each difference carries its uncertainty, and a component is off if

    .. math:: |claimed - difference| > tol \cdot \max(|claimed|, |difference|) + 10\, uncertainty
              + 100\, \varepsilon \max_j |difference_j| .

    `hessian_product` must be linear in v and symmetric as well, and all functions must give the same numbers when
    called again and leave their arguments alone.

    Parameters
    ----------
    part : OwnSubModel, Assembly or callable
        What `submodel` returns, an assembly with one output, or a callable that makes one from a seed.
    n_points : int
        Points (w, x). x is drawn from N(0, 1); w as the part draws it, and at every other point moved by a quarter of
        its usual size, where the functions are finite there.
    seed : int
    tol : float
        Relative error that a component may have. The differences themselves are good to about 1e-10.

    Returns
    -------
    Agreement
        The largest errors found, and how good the differences were.

    Raises
    ------
    ArgumentError
        If something is off: the message names the function, the component, both numbers, w and x, and says so if the
        function seems to have a kink there. Also if an argument is out of range.
    ShapeError, NonFiniteError
        If a function returns another shape than it must, or a number that is not finite.
    GraphError
        If `part` makes no assembly with one output.

    Notes
    -----
    Cost: 50 calls of `value` and 50 of `gradient` for every parameter and point. Functions in float32 are noticed and
    compared with the precision they have. Over 2000 random smooth functions with correct derivatives there was no
    false alarm, nor over 500 in float32; a relative error of 1e-4 in one component was found in all of 1000 others
    (``random_part`` of ``tests/own_cases.py``, 8 points each).

    Examples
    --------
    >>> import numpy as np
    >>> part = submodel(
    ...     lambda w, x: 0.5 * (w @ x) ** 2,
    ...     lambda w, x: (w @ x) * x,
    ...     lambda w, x, v: 2.0 * (v @ x) * x,
    ...     n_inputs=2,
    ...     n_parameters=2,
    ...     name="square",
    ... )
    >>> check_submodel(part)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    assembly.errors.ArgumentError: Sub-model 'square': entry [1, 1] of the Hessian (component 1 of 'hessian_product' ...
    """
    functions, n_inputs, drawn = _described(part, seed)
    count, n = check_count("n_points", n_points), functions.n_parameters
    tolerance = check_number("tol", tol, above=0.0, below=1.0)
    weights = np.array([drawn(i) for i in range(count)], dtype=np.float64)
    sizes = np.sqrt(np.mean(weights**2, axis=0))
    sizes[sizes == 0.0] = 1.0
    points, directions = [], np.empty((count, 2, n))
    for i, w in enumerate(weights):
        rng = generator(seed, "check", i)
        x, moved = rng.standard_normal(n_inputs), w + 0.25 * sizes * rng.standard_normal(n)
        points.append((moved if i % 2 and _is_finite(functions, moved, x) else w, x))
        directions[i] = sizes * rng.standard_normal((2, n))
    return compare(functions, points, sizes, directions, tolerance)


def _described(
    part: OwnSubModel | Assembly | Callable[[int], Assembly], seed: int
) -> tuple[Functions, int, Callable[[int], Vector]]:
    """Return the functions of a part, its number of inputs, and its parameters by number of the draw."""
    if isinstance(part, OwnSubModel):
        return part.functions, part.n_inputs, lambda i: part(_draw(seed, i)).parameters
    if isinstance(part, Assembly):
        made, drawn = part, lambda i: part.parameters
    else:
        made, drawn = drawn_parts(part, 1, seed)[0], lambda i: drawn_parts(part, 1, _draw(seed, i))[0].parameters
    if made.n_outputs != 1 or made.n_parameters == 0:
        raise GraphError(f"The 'part' argument must have one output and a parameter. Got {made!r}.")
    functions = Functions(
        "assembly",
        made.n_parameters,
        lambda w, x: made.with_parameters(w)(x),
        lambda w, x: made.with_parameters(w).gradient(x),
        lambda w, x, v: made.with_parameters(w).hessian(x) @ v,
    )
    return functions, made.n_inputs, drawn


def _draw(seed: int, number: int) -> int:
    return int(generator(seed, "check", "draw", number).integers(2**62))


def _is_finite(functions: Functions, w: Vector, x: Vector) -> bool:
    """Return whether value and gradient are numbers at a point that the part did not choose itself."""
    try:
        with np.errstate(all="ignore"):
            functions.call("value", read_only(w), read_only(x))
            functions.call("gradient", read_only(w), read_only(x))
    except Exception:
        return False
    return True
