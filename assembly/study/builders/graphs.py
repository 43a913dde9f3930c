"""Networks whose neurons read some of those below: convolutions, and directed acyclic graphs drawn at random."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from assembly.study.builders.builder import (
    COMMON,
    Builder,
    Options,
    Shape,
    Size,
    all_at_width,
    at_width,
    common,
    gram_numbers,
)

# --- convolutions ----------------------------------------------------------------------------------------------------


def _cnn_arguments(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    return {
        "shape": shape,
        "channels": all_at_width(options["channels"], width),
        **{key: options[key] for key in ("kernel", "stride", "padding", "pool", "bias")},
        **common(options),
    }


def _cnn_size(shape: Shape, width: int, options: Options) -> Size:
    kernel, stride, pool = options["kernel"], options["stride"], options["pool"]
    padding = kernel // 2 if options["padding"] == "same" else options["padding"]
    channels = [1, *all_at_width(options["channels"], width)]
    image = shape
    n_weights = n_edges = n_listed = 0
    n_nodes, n_shared = math.prod(shape) + options["n_outputs"], 0
    hidden = []
    for below, above in pairwise(channels):
        kernels = below * above * kernel ** len(shape)
        seen = image
        windows = tuple(max((n + 2 * padding - kernel) // stride + 1, 0) for n in image)
        image = tuple(n // pool for n in windows)
        neurons, means = above * math.prod(windows), above * math.prod(image) if pool > 1 else 0
        n_weights += kernels + means * pool ** len(shape)
        n_edges += kernels * math.prod(windows) + means * pool ** len(shape)
        n_listed += means * pool ** len(shape)
        n_nodes += neurons + means
        n_shared += min(kernels, neurons + below * math.prod(seen))  # where they are the smaller space
        hidden += [neurons, means] if means else [neurons]
    readout = channels[-1] * math.prod(image) * options["n_outputs"]
    return Size(n_weights + readout, n_edges + readout, n_listed, n_nodes, gram_numbers(hidden), n_shared)


CNN = Builder(
    name="cnn",
    text="a convolutional network: the neurons of a channel share one kernel; images or sequences, as the data are",
    width_rule="m stands in `channels`; in-degrees are channels x kernel entries, and the output reads every pixel",
    picture=r"""
+-------+     +-------+-+-+
|[#]    |     |[#]    | | |            one kernel [#] for each of m channels,
|       | --> |       | | | ==> f      at every pixel
+-------+     +-------+-+-+
""",
    defaults={
        "channels": ["m", "m"],
        "kernel": 3,
        "stride": 1,
        "padding": "same",
        "pool": 1,
        "bias": False,
        **COMMON,
    },
    arguments=_cnn_arguments,
    size=_cnn_size,
    growing=("channels",),
)

# --- directed acyclic graphs -----------------------------------------------------------------------------------------

_DAG_KEYS = {key: value for key, value in COMMON.items() if key != "trainable_readout"}


def _random_arguments(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    return {
        "n_inputs": math.prod(shape),
        "n_layers": options["n_layers"],
        "layer_width": at_width(options["layer_width"], width),
        "in_degree": at_width(options["in_degree"], width),
        "reach": options["reach"],
        **{key: options[key] for key in _DAG_KEYS},
    }


def _random_size(shape: Shape, width: int, options: Options) -> Size:
    n_inputs, n_layers, n_outputs = math.prod(shape), options["n_layers"], options["n_outputs"]
    layer, degree = at_width(options["layer_width"], width), at_width(options["in_degree"], width)
    listed = layer * (min(degree, n_inputs) + (n_layers - 1) * degree)
    n_edges = listed + layer * n_outputs
    n_gram = gram_numbers([layer] * n_layers, has_skips=options["reach"] > 1)
    return Size(n_edges, n_edges, listed, n_inputs + n_layers * layer + n_outputs, n_gram)


RANDOM_DAG = Builder(
    name="random_dag",
    text="a random directed acyclic graph: every neuron draws its parents from the layers within reach below it",
    width_rule="m stands in `in_degree`, the parents of every neuron, and in `layer_width`, which may be a multiple",
    picture=r"""
x1 --.   .--> o --.   .--> o --.
      \ /          \ /          \
       X            X            >--> f     m parents each, drawn at random
      / \          / \          /
x2 --'   '--> o --'   '--> o --'
""",
    defaults={"n_layers": 3, "layer_width": "2m", "in_degree": "m", "reach": 1, **_DAG_KEYS},
    arguments=_random_arguments,
    size=_random_size,
    growing=("in_degree", "layer_width"),
)


def _uneven_arguments(shape: Shape, width: int, options: Options) -> dict[str, Any]:
    return {
        "n_inputs": math.prod(shape),
        "n_layers": options["n_layers"],
        "width": width,
        "exponent": options["exponent"],
        **{key: options[key] for key in _DAG_KEYS},
    }


def _uneven_size(shape: Shape, width: int, options: Options) -> Size:
    n_inputs, n_layers, n_outputs = math.prod(shape), options["n_layers"], options["n_outputs"]
    layer = math.ceil(width ** options["exponent"])
    few = (n_layers - 1) * (layer // 2) * width
    all_ = (n_layers - 1) * (layer - layer // 2) * layer
    n_edges = few + all_ + layer * (n_inputs + n_outputs)
    n_gram = gram_numbers([layer] * n_layers, has_skips=True)  # two groups in a layer
    return Size(n_edges, n_edges, few, n_inputs + n_layers * layer + n_outputs, n_gram)


UNEVEN_DAG = Builder(
    name="uneven_dag",
    text="layers of m^exponent neurons with uneven in-degrees: half read m neurons of the layer below, half read all",
    width_rule="m is the smallest in-degree; the largest is m^exponent",
    picture=r"""
     +-------+     +-------+
     |       |-m-->| half  |           m^1.5 neurons in a layer:
x ==>|       |     +-------+ ==> f     half of them read m below,
     |       |====>| half  |           the other half all
     +-------+     +-------+
""",
    defaults={"n_layers": 2, "exponent": 1.5, **_DAG_KEYS},
    arguments=_uneven_arguments,
    size=_uneven_size,
)

BUILDERS = (CNN, RANDOM_DAG, UNEVEN_DAG)
