"""Committees of sub-models with parameters of their own, and the counterexamples that can be built from them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import assembly
from assembly.errors import ArgumentError
from assembly.study.builders.builder import Builder, Options, Shape, Size, dense_size, gram_numbers

if TYPE_CHECKING:
    from assembly.model import Assembly

Part = Callable[[int], "Assembly"]

_PART = {"part": [8], "activation": "tanh", "readout": "sign", "dtype": "float64"}
_KEYS = {**_PART, "coefficients": "sign"}
_RULE = "m parts, the in-degree of the output; the parts themselves do not grow"


def _part(shape: Shape, options: Options) -> Part:
    """Return what makes a part from a seed: a fully connected network of fixed size."""
    keywords = {key: options[key] for key in ("activation", "readout", "dtype")}

    def one(seed: int) -> Assembly:
        return assembly.mlp(math.prod(shape), options["part"], seed=seed, **keywords)

    return one


def _arguments(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    """Return the part and its number, and every key that is none of the part's."""
    own = {key: value for key, value in options.items() if key not in _PART}
    return {"part": _part(shape, options), "n_parts": width, **own}


def _size(shape: Shape, n_parts: int, options: Options, n_sums: int = 0) -> Size:
    """Return the size of stacked parts: dense from the inputs, block by block above; `n_sums` neurons add some up."""
    n_inputs, sizes = math.prod(shape), [*options["part"], 1]
    part = dense_size([math.prod(shape), *sizes])
    n_edges, n_from_inputs = n_parts * (part.n_edges + 1) + n_sums, n_parts * n_inputs * sizes[0]
    n_nodes = n_inputs + n_parts * (part.n_nodes - n_inputs) + n_sums + 1
    n_gram = gram_numbers([n_parts * size for size in sizes])
    return Size(n_edges, n_edges, n_edges - n_from_inputs, n_nodes, n_gram)


# --- assemblies that become linear -----------------------------------------------------------------------------------


def _committee_arguments(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    given = _arguments(shape, width, options)
    n_inner = given.pop("n_inner")
    if n_inner > 1:
        inner = given["part"]

        def part(seed: int) -> Assembly:
            return assembly.committee(inner, n_inner, seed=seed)

        given["part"] = part
    return given


def _committee_size(shape: Shape, width: int, options: Options) -> Size:
    n_inner = options["n_inner"]
    return _size(shape, width * n_inner, options, n_sums=width if n_inner > 1 else 0)


COMMITTEE = Builder(
    name="committee",
    text="independent sub-models with parameters of their own, added up; with n_inner > 1 each part is a committee",
    width_rule=_RULE,
    picture=r"""
     .--> g1 --* v1 --.
x ---+--> g2 --* v2 --+--> f           f = (v1 g1 + ... + vm gm) / sqrt(m)
     '--> gm --* vm --'
""",
    defaults={**_KEYS, "n_inner": 1, "trainable_coefficients": False, "gamma": 0.5},
    arguments=_committee_arguments,
    size=_committee_size,
)

# --- and that do not -------------------------------------------------------------------------------------------------

DOMINATED = Builder(
    name="dominated",
    text="a committee in which one part is as large as all others together: its coefficient is sqrt(m)",
    width_rule=_RULE,
    picture=r"""
     .--> g1 ==* sqrt(m) ==.
x ---+--> g2 --* v2 -------+--> f      as the committee, but for the coefficient of one part
     '--> gm --* vm -------'
""",
    defaults=_KEYS,
    arguments=_arguments,
    size=_size,
)

FEW_ACTIVE = Builder(
    name="few_active",
    text="a committee in which only `n_active` parts take part, however many there are",
    width_rule=_RULE + "; the number of parts that take part does not grow either",
    picture=r"""
     .--> g1 --* v1 --.
x ---+--> gk --* vk --+--> f           f = (v1 g1 + ... + vk gk) / sqrt(k), k fixed
     '--> gm --* 0 ---'
""",
    defaults={**_KEYS, "n_active": 4},
    arguments=_arguments,
    size=_size,
)


def n_copies(width: int, options: Options) -> int:
    """Return the copies of every part: the power of two nearest to m^b.

    Raises
    ------
    ArgumentError
        If it does not divide the width.

    Examples
    --------
    >>> [n_copies(width, {"copies_exponent": 0.5}) for width in (16, 32, 64)]
    [4, 8, 8]
    """
    copies = 1 << math.floor(float(options["copies_exponent"]) * math.log2(width) + 0.5)
    if width % copies:
        raise ArgumentError(
            f"The width of a tied committee must be divisible by its number of copies, {copies}, the power of two "
            f"nearest to m^{options['copies_exponent']:g}. Got {width}; powers of two always fit."
        )
    return copies


def _tied_arguments(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    given = _arguments(shape, width, options)
    del given["copies_exponent"]
    return {**given, "n_copies": n_copies(width, options)}


def _tied_size(shape: Shape, width: int, options: Options) -> Size:
    stacked = _size(shape, width, options)
    n_shared = (stacked.n_weights - width) // n_copies(width, options)
    return Size(n_shared + width, stacked.n_edges, stacked.n_edges, stacked.n_nodes, stacked.n_gram, n_shared)


TIED = Builder(
    name="tied",
    text="a committee of copies: m/k groups of k parts that share their parameters, k the power of two nearest to m^b",
    width_rule="m parts in m/k groups, k = m^b with b = `copies_exponent`; b = 1 ties all of them, b = 0 none",
    picture=r"""
     .--> g1 = g1 --* v1 --.
x ---+--> g2 = g2 --* v2 --+--> f      k copies of each part, which share its parameters
     '--> ..   .. --* .. --'
""",
    defaults={**_KEYS, "copies_exponent": 1.0},
    arguments=_tied_arguments,
    size=_tied_size,
    derived={"n_copies": n_copies},
)

POWER_LAW = Builder(
    name="power_law",
    text="a committee whose coefficients fall off: v_i like i^-exponent, and |v| = sqrt(m)",
    width_rule=_RULE,
    picture=r"""
     .--> g1 --* 1 ------.
x ---+--> g2 --* 2^-a ---+--> f        times a number that makes |v| = sqrt(m)
     '--> gm --* m^-a ---'
""",
    defaults={**_PART, "exponent": 1.0},
    arguments=_arguments,
    size=_size,
)

MEAN_FIELD = Builder(
    name="mean_field",
    text="a committee under the mean-field scale s(m) = m: value, gradient and Hessian all become small",
    width_rule=_RULE,
    picture=r"""
     .--> g1 --* v1 --.
x ---+--> g2 --* v2 --+--> f           f = (v1 g1 + ... + vm gm) / m
     '--> gm --* vm --'
""",
    defaults=_KEYS,
    arguments=_arguments,
    size=_size,
)

# --- one part, multiplied --------------------------------------------------------------------------------------------


def _lazy_arguments(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    return {"part": _part(shape, options), "alpha": width}


def _lazy_size(shape: Shape, width: int, options: Options) -> Size:
    n_inputs, sizes = math.prod(shape), [*options["part"], 1]
    part = dense_size([n_inputs, *sizes])
    n_nodes = n_inputs + 2 * sum(options["part"]) + 1
    return Size(2 * part.n_weights, 2 * part.n_edges, 0, n_nodes, gram_numbers([2 * size for size in options["part"]]))


LAZY = Builder(
    name="lazy",
    text="one network of fixed size, less its initial value, times m: linear by scale, not by width",
    width_rule="m is alpha, the factor of the output; no layer grows with it",
    picture=r"""
     .--> g(w) ----* m ---.
x ---+                    +--> f       f = m (g(w) - g(w0))
     '--> g(w0) ---* -m --'
""",
    defaults={**_PART, "part": [64]},
    arguments=_lazy_arguments,
    size=_lazy_size,
)

BUILDERS = (COMMITTEE, DOMINATED, FEW_ACTIVE, TIED, POWER_LAW, MEAN_FIELD, LAZY)
