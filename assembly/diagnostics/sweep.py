"""Measure a linearity surface, network by network; what was measured is never lost."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.checks import check_count, check_counts, check_name, check_number
from assembly.diagnostics.linearity import (
    kernel_change,
    ratios,
    remainder,
    remainder_bounds,
    worst_kernel_change,
    worst_remainder,
)
from assembly.diagnostics.surface import (
    ALONG_DIRECTIONS,
    AT_CENTRE,
    DIRECTIONS,
    OVER_RADII,
    LinearitySurface,
    empty_surface,
)
from assembly.errors import ArgumentError, GraphError, ResultsError
from assembly.progress import counted
from assembly.seeds import generator

if TYPE_CHECKING:
    from assembly.model import Assembly

TOLERANCE = 1e-4  # relative residual of the Hessian norms
MAX_STEPS = 2000


def linearity_surface(
    family: Callable[[int, int], Assembly],
    widths: Sequence[int],
    radii: Sequence[float],
    X: ArrayLike,
    *,
    seeds: int | Sequence[int] = 5,
    directions: Sequence[str] = DIRECTIONS,
    save: str | Path | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> LinearitySurface:
    r"""Measure the linearisation error and the kernel change of a family of networks over distance and width.

    .. math:: |f(w_0 + R u) - f_{lin}(w_0 + R u)| \le \tfrac{1}{2} R^2 \sup_{|w - w_0| \le R} \|H(w)\|

    along a random direction u, the gradient, the eigenvector of the largest :math:`|\lambda|` of H, and at the worst
    point that an ascent finds in the ball; of both signs of u the larger value. Beside them the bound, the norms of H
    and of the gradient, and their ratios.

    Parameters
    ----------
    family : callable
        ``family(width, seed)`` -> Assembly with one output.
    widths : sequence of int
        Ascending.
    radii : sequence of float
        Distances R from the initial parameters; positive, ascending.
    X : array_like of shape (n, n_inputs)
        Inputs; the remainders are averaged over them.
    seeds : int or sequence of int
        How many networks for each width, from seed 0 on; or which.
    directions : sequence of str
        Of "random" (one per network), "gradient", "top_eigenvector" (one per input) and "worst".
    save : str or Path, optional
        An ``.npz`` file to which everything is written after each network, for `LinearitySurface.load`. If it exists,
        what it holds of these widths and seeds is not measured again: an interrupted run goes on where it was.
    on_progress : callable, optional
        ``on_progress(done, total)`` after every network.

    Returns
    -------
    LinearitySurface

    Raises
    ------
    ArgumentError
        If widths, radii, seeds or directions are empty, out of range or not ascending, or a network has several
        outputs.
    UnknownNameError
        If there is no such direction.
    ShapeError, NonFiniteError
        If `X` holds no finite samples of the networks.
    ResultsError
        If the file at `save` holds another surface: other inputs, radii, directions or networks.

    Notes
    -----
    Cost for each network: per input one Hessian norm and, for each radius, six passes over the weights per direction
    and a few hundred for the worst; three tangent kernels for each kernel change. Memory: about 10 copies of the
    parameters, and as many more as there are inputs.
    Ctrl-C takes effect between two applications; the networks measured before are in the file.

    Examples
    --------
    >>> import assembly as am
    >>> def family(width, seed):
    ...     return am.mlp(n_inputs=2, widths=[width], seed=seed)
    >>> surface = linearity_surface(family, [8, 16], [0.1, 0.2], [[1.0, -0.5]], seeds=[0], directions=["gradient"])
    >>> surface.remainder.shape
    (1, 2, 2, 1)
    >>> [round(float(slope)) for slope in surface.slopes_in_radius(direction="gradient")]
    [2, 2]
    """
    surface = _axes(widths, radii, X, seeds, directions)
    target = None if save is None else Path(save)
    if target is not None and not target.parent.is_dir():
        raise ArgumentError(f"The 'save' argument must name a file in a folder that exists. Got {str(target)!r}.")
    earlier = _earlier(target, surface)
    points = [(i, j) for i in range(len(surface.widths)) for j in range(len(surface.seeds))]
    with counted("linearity surface", len(points), "networks") as advance:
        for done, (i, j) in enumerate(points, start=1):
            advance(0)
            net = family(surface.widths[i], surface.seeds[j])
            if net.n_outputs != 1:
                raise ArgumentError(f"The 'family' argument must make networks of one output. Got {net.n_outputs}.")
            digest = _fingerprint(net)
            if earlier is None or not _copied(earlier, surface, i, j, digest):
                random = _random_direction(net, surface.widths[i], surface.seeds[j])
                for name, values in _measured(net, surface, random).items():
                    getattr(surface, name)[..., i, j] = values
                surface.networks[i, j] = digest
                if target is not None:
                    surface.save(target)
            advance(1)
            if on_progress is not None:
                on_progress(done, len(points))
    return surface


def _axes(
    widths: Sequence[int], radii: Sequence[float], X: ArrayLike, seeds: int | Sequence[int], directions: Sequence[str]
) -> LinearitySurface:
    sizes = check_counts("widths", widths)
    numbers = tuple(range(check_count("seeds", seeds))) if isinstance(seeds, int) else check_counts("seeds", seeds, 0)
    if not isinstance(radii, Sequence | np.ndarray) or len(radii) == 0:
        raise ArgumentError(f"The 'radii' argument must be a non-empty sequence of numbers. Got {radii!r}.")
    distances = tuple(check_number(f"radii[{i}]", radius, above=0.0) for i, radius in enumerate(radii))
    for argument, values in (("widths", sizes), ("radii", distances)):
        if any(b <= a for a, b in itertools.pairwise(values)):
            raise ArgumentError(f"The '{argument}' argument must be ascending. Got {list(values)}.")
    if len(set(numbers)) < len(numbers):
        raise ArgumentError(f"The 'seeds' argument must name each seed once. Got {list(numbers)}.")
    if isinstance(directions, str) or len(directions) == 0 or len(set(directions)) < len(directions):
        raise ArgumentError(f"The 'directions' argument must name at least one, each once. Got {directions!r}.")
    names = tuple(check_name(f"directions[{i}]", name, DIRECTIONS) for i, name in enumerate(directions))
    return empty_surface(names, distances, sizes, numbers, np.atleast_2d(np.asarray(X, dtype=np.float64)))


def _earlier(path: Path | None, wanted: LinearitySurface) -> LinearitySurface | None:
    if path is None or not path.exists():
        return None
    held = LinearitySurface.load(path)
    for name in ("directions", "radii"):
        if getattr(held, name) != getattr(wanted, name):
            raise ResultsError(
                f"{path} holds a surface with {name} {getattr(held, name)}, not {getattr(wanted, name)}. "
                "Name another file."
            )
    if not np.array_equal(held.X, wanted.X):
        raise ResultsError(f"{path} holds a surface measured at other inputs. Name another file.")
    return held


def _copied(held: LinearitySurface, surface: LinearitySurface, i: int, j: int, digest: str) -> bool:
    """Copy one network from an earlier surface, if it was measured there."""
    width, seed = surface.widths[i], surface.seeds[j]
    if width not in held.widths or seed not in held.seeds:
        return False
    place = (held.widths.index(width), held.seeds.index(seed))
    if held.networks[place] == "":
        return False
    if held.networks[place] != digest:
        raise ResultsError(
            f"The file at 'save' holds another network of width {width} and seed {seed}. Name another file."
        )
    for name in (*ALONG_DIRECTIONS, *OVER_RADII, *AT_CENTRE, "networks"):
        getattr(surface, name)[..., i, j] = getattr(held, name)[(..., *place)]
    return True


def _fingerprint(net: Assembly) -> str:
    """Return a digest of the parameters and of the structure that reads them."""
    digest = hashlib.sha256(np.ascontiguousarray(net.parameters).tobytes())
    digest.update("\n".join(repr(layer) for layer in net.layers).encode())
    return digest.hexdigest()


def _measured(net: Assembly, surface: LinearitySurface, random: NDArray[Any]) -> dict[str, Any]:
    """Return every quantity of one network, over directions and radii where it has them."""
    X = net._body.samples("X", surface.X)
    rows = [_at_one_input(net, x, X, surface, random) for x in X]
    found = {name: np.mean([row[name] for row in rows], axis=0) for name in rows[0]}
    if "worst" in surface.directions:
        brackets = np.array([_kernel_change_bracket(net, X, radius) for radius in surface.radii])
        found["kernel_change"][surface.directions.index("worst")] = brackets[:, 0]
        found["kernel_change_bound"] = brackets[:, 1]
    return found


def _at_one_input(
    net: Assembly,
    x: NDArray[Any],
    X: NDArray[Any],
    surface: LinearitySurface,
    random: NDArray[Any],
) -> dict[str, Any]:
    hessian, gradient = net.hessian(x), net.gradient(x)
    top, coordinates = hessian.top_pair(TOLERANCE, max_steps=MAX_STEPS)
    norm, slope = abs(float(top.value)) if top.converged else math.nan, float(np.linalg.norm(gradient))
    along = {"random": random}
    if slope > 0.0:
        along["gradient"] = gradient / slope
    if norm > 0.0:
        along["top_eigenvector"] = hessian.node_space.Z_transposed(coordinates)
    shape = (len(surface.directions), len(surface.radii))
    remainders, changes = np.full(shape, np.nan), np.full(shape, np.nan)
    for d, name in enumerate(surface.directions):
        for r, radius in enumerate(surface.radii):
            if name == "worst":
                remainders[d, r] = worst_remainder(net, x, radius)
            elif name in along:
                remainders[d, r] = remainder(net, x, along[name], radius)
                changes[d, r] = kernel_change(net, X, along[name], radius)
    beside = [ratios(norm, slope, radius) for radius in surface.radii]
    return {
        "remainder": remainders,
        "kernel_change": changes,
        "remainder_bound": remainder_bounds(net, x, surface.radii),
        "hessian_norm": norm,
        "gradient_norm": slope,
        "hessian_over_gradient_squared": beside[0].over_gradient_squared,
        "hessian_times_radius_over_gradient": [one.times_radius_over_gradient for one in beside],
    }


def _kernel_change_bracket(net: Assembly, X: NDArray[Any], radius: float) -> tuple[float, float]:
    """Return the worst kernel change found and its proven bound, NaN for networks of which none is known."""
    try:
        bracket = net.kernel_change_in_ball(X, radius)
    except (ArgumentError, GraphError):  # what they refuse is the kind of network
        return worst_kernel_change(net, X, radius), math.nan
    return bracket.lower, bracket.upper


def _random_direction(net: Assembly, width: int, seed: int) -> NDArray[Any]:
    """Return the unit direction of one network, the same at all its inputs."""
    direction = generator(seed, "direction", width).standard_normal(net.n_parameters)
    direction /= np.linalg.norm(direction)
    return direction.astype(net.dtype)
