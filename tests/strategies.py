"""Hypothesis strategies: small networks of every shape."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

import assembly as am

SMOOTH = ("identity", "tanh", "erf", "sigmoid", "softplus", "gelu", "swish", "sin", "cos")
QUICK = settings(max_examples=25, deadline=None, derandomize=True)

weights = st.floats(-2.0, 2.0).map(lambda weight: round(weight, 3))


@st.composite
def graphs(draw, activations: tuple[str, ...] = SMOOTH):
    """Return (inputs, neurons) of a random acyclic graph for `from_neurons`, all weights given, in shuffled order."""
    inputs = [f"x{i}" for i in range(draw(st.integers(1, 3)))]
    known, neurons = list(inputs), {}
    for i in range(draw(st.integers(1, 7))):
        parents = draw(st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True))
        neurons[f"v{i}"] = (draw(st.sampled_from(activations)), {parent: draw(weights) for parent in parents})
        known.append(f"v{i}")
    order = draw(st.permutations(list(neurons)))
    return inputs, {name: neurons[name] for name in order}


@st.composite
def shared_graphs(draw):
    """Return (inputs, neurons, outputs) of a random acyclic graph with everything that an edge may say, in any order.

    Fixed edges, weights that edges share, biases, factors, softmax layers, and two outputs or more, the first of which
    reads an input; all weights are given.
    """
    inputs = [f"x{i}" for i in range(draw(st.integers(1, 3)))]
    pool = {name: draw(weights) for name in ("v", "w")}
    known, neurons = list(inputs), {}

    def edge():
        factor = draw(st.sampled_from([None, None, 0.5, -1.3]))
        kind = draw(st.sampled_from(["plain", "own", "fixed", "v", "w"]))
        if kind == "plain":
            return draw(weights)
        weight = pool.get(kind, draw(weights))
        return am.Edge(weight, kind != "fixed", factor, kind if kind in pool else None)

    for i in range(draw(st.integers(2, 7))):
        parents = draw(st.lists(st.sampled_from([*known, "1"]), min_size=1, max_size=4, unique=True))
        neurons[f"v{i}"] = (draw(st.sampled_from([*SMOOTH, "softmax"])), {parent: edge() for parent in parents})
        known.append(f"v{i}")
    last = known[-1]
    neurons[last][1][inputs[0]] = draw(weights)
    fed = {parent for _, parents in neurons.values() for parent in parents}
    others = [name for name in neurons if name != last and name not in fed] or [
        draw(st.sampled_from(known[len(inputs) : -1]))
    ]
    order = draw(st.permutations(list(neurons)))
    return inputs, {name: neurons[name] for name in order}, [last, *draw(st.permutations(others))]


@st.composite
def samples(draw, size: int):
    return [draw(weights) for _ in range(size)]


@st.composite
def mlps(draw):
    """Return the arguments of a small `mlp`, as `cases.mlp` takes them."""
    return {
        "n_inputs": draw(st.integers(1, 3)),
        "widths": draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)),
        "activation": draw(st.sampled_from(SMOOTH)),
        "bias": draw(st.booleans()),
        "readout": draw(st.sampled_from(["gaussian", "sign"])),
        "trainable_readout": draw(st.booleans()),
        "n_outputs": draw(st.integers(1, 2)),
        "output_activation": draw(st.sampled_from(["identity", "tanh"])),
        "parametrization": draw(st.sampled_from(["ntk", "standard", "mean-field"])),
        "seed": draw(st.integers(0, 1000)),
    }
