"""Networks in layers: fully connected, with a bottleneck, with skips, densely connected, and thinned."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from assembly.study.builders.builder import (
    COMMON,
    Builder,
    Options,
    Shape,
    Size,
    all_at_width,
    common,
    dense_size,
    gram_numbers,
    grows,
)

_HIDDEN_RULE = "m stands in `hidden`, the layer widths; the output reads the last one"


def _layers(shape: Shape, width: int, options: Options) -> list[int]:
    return [math.prod(shape), *all_at_width(options["hidden"], width), options["n_outputs"]]


def _widths(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    return {"n_inputs": math.prod(shape), "widths": all_at_width(options["hidden"], width), **common(options)}


def _n_hidden(options: Options) -> int:
    return len(options["hidden"])


# --- fully connected -------------------------------------------------------------------------------------------------

_MLP_KEYS = {**COMMON, "bias": False, "parametrization": "ntk", "gamma": None}


def _mlp_arguments(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    return _widths(shape, width, options) | {key: options[key] for key in _MLP_KEYS}


def _dense(shape: Shape, width: int, options: Options) -> Size:
    return dense_size(_layers(shape, width, options))


def _mlp_problems(options: Options) -> Iterable[tuple[str, str]]:
    if options["parametrization"] == "mean-field" and options["gamma"] not in (None, 1.0):
        yield "gamma", f"must be 1, or left out, with parametrization 'mean-field'. Got {options['gamma']:g}."


MLP = Builder(
    name="mlp",
    text="a network of fully connected layers, each as wide as asked for",
    width_rule=_HIDDEN_RULE,
    picture=r"""
     +---+   +---+   +---+
x ==>| m |==>| m |==>| m |==> f        ==> every neuron reads all neurons before it
     +---+   +---+   +---+
""",
    defaults={"hidden": ["m", "m", "m"], **_MLP_KEYS},
    arguments=_mlp_arguments,
    size=_dense,
    growing=("hidden",),
    n_hidden=_n_hidden,
    problems=_mlp_problems,
)


def _bottleneck_problems(options: Options) -> Iterable[tuple[str, str]]:
    if all(grows(entry) for entry in options["hidden"]):
        shown = list(options["hidden"])
        yield "hidden", f'must hold a fixed layer width for a bottleneck, such as ["m", 1, "m"]. Got {shown}.'
    yield from _mlp_problems(options)


BOTTLENECK = Builder(
    name="bottleneck",
    text="the same with a hidden layer of fixed width, through which everything passes",
    width_rule="m stands in `hidden` on both sides of a fixed number; the smallest in-degree does not grow",
    picture=r"""
     +---+         +---+
x ==>| m |==> 1 ==>| m |==> f          what one neuron says is all the rest can know
     +---+         +---+
""",
    defaults={"hidden": ["m", 1, "m"], **_MLP_KEYS},
    arguments=_mlp_arguments,
    size=_dense,
    growing=("hidden",),
    n_hidden=_n_hidden,
    problems=_bottleneck_problems,
)

# --- with skips ------------------------------------------------------------------------------------------------------


def _resnet_arguments(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    return {"n_inputs": math.prod(shape), "width": width, "n_blocks": options["n_blocks"], **common(options)}


def _resnet_size(shape: Shape, width: int, options: Options) -> Size:
    n = options["n_blocks"]
    dense = dense_size([math.prod(shape), *[width] * (n + 1), options["n_outputs"]])
    skips = 2 * n * width
    n_gram = gram_numbers([width] * (2 * n + 1), has_skips=True)
    return Size(dense.n_weights + skips, dense.n_edges + skips, skips, dense.n_nodes + n * width, n_gram)


RESNET = Builder(
    name="resnet",
    text="a residual network: every block adds what it computes to what it is given",
    width_rule="m neurons in every block; the identity skips have no weights and count for nothing",
    picture=r"""
              .-----------.   .-----------.
              |           v   |           v
x ==>[ m ]----+==>[ m ]-->+---+==>[ m ]-->+==> f        + adds up, without weights
""",
    defaults={"n_blocks": 2, **COMMON},
    arguments=_resnet_arguments,
    size=_resnet_size,
)


def _densenet_size(shape: Shape, width: int, options: Options) -> Size:
    sizes = _layers(shape, width, options)
    below = 0
    n_weights = 0
    for one, above in pairwise(sizes):
        below += one
        n_weights += below * above
    return Size(n_weights, n_weights, 0, sum(sizes), gram_numbers(sizes[1:-1], has_skips=True))


DENSENET = Builder(
    name="densenet",
    text="every layer and the output read all layers before them, and the inputs",
    width_rule="m stands in `hidden`, what each layer adds; in-degrees grow with depth and begin at the inputs + m",
    picture=r"""
x ==> [ m ]
x  +  [ m ] ==> [ m ]                  what stands left of an arrow is read
x  +  [ m ]  +  [ m ] ==> f            by what stands right of it
""",
    defaults={"hidden": ["m", "m"], **COMMON},
    arguments=_widths,
    size=_densenet_size,
    growing=("hidden",),
    n_hidden=_n_hidden,
)


def _thinned_arguments(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    return {**_widths(shape, width, options), "keep": options["keep"]}


def _thinned_size(shape: Shape, width: int, options: Options) -> Size:
    first, *hidden, last = _layers(shape, width, options)
    return dense_size([first, *(math.ceil(options["keep"] * one) for one in hidden), last])


DROPOUT = Builder(
    name="dropout",
    text="a thinned network: every hidden neuron is kept with probability `keep`, by one mask for all inputs",
    width_rule="m stands in `hidden`, the layer widths before thinning; about keep x m neurons are left",
    picture=r"""
      o   .
x ==> .   o ==> f                      o kept   . dropped
      o   o
""",
    defaults={"hidden": ["m", "m"], "keep": 0.5, **COMMON},
    arguments=_thinned_arguments,
    size=_thinned_size,
    growing=("hidden",),
    n_hidden=_n_hidden,
)

# --- linear ----------------------------------------------------------------------------------------------------------


def _chain_arguments(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    return {"n_inputs": math.prod(shape), "width": width, **options}


def _chain_size(shape: Shape, width: int, options: Options) -> Size:
    return dense_size([math.prod(shape), *[width] * (options["n_factors"] + 1), 1])


ORTHOGONAL_CHAIN = Builder(
    name="orthogonal_chain",
    text="a product of orthogonal matrices between fixed layers: deep, and linear in its inputs",
    width_rule="m is the size of every matrix",
    picture=r"""
     +---+    +---+    +---+
x ---| m |==> | m |==> | m |--- f      ==> an orthogonal matrix   --- fixed weights
     +---+    +---+    +---+
""",
    defaults={"n_factors": 3, "dtype": "float64"},
    arguments=_chain_arguments,
    size=_chain_size,
)

BUILDERS = (MLP, BOTTLENECK, RESNET, DENSENET, DROPOUT, ORTHOGONAL_CHAIN)
