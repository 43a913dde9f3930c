"""How often are healthy networks blamed, and planted culprits named? Counts for the rules of `am.diagnose`.

    python benchmarks/culprits.py healthy --seeds 14
    python benchmarks/culprits.py planted --seeds 8

On digits images, averaged over four of them (``--inputs``). Healthy: every architecture that becomes linear, widths 16
to 1024, seven activation functions, Gaussian and sign readouts. Planted: bottlenecks, neurons whose out-weights are
multiplied, copies, dominated committees, non-linear outputs. A line for each kind: named, of how many, where it failed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import assembly as am
from assembly.diagnostics.culprits import Culprit
from assembly.diagnostics.diagnosis import Diagnosis
from assembly.seeds import generator
from assembly.study import reading
from assembly.study.builders import BUILDERS

ACTIVATIONS = ("tanh", "relu", "gelu", "erf", "swish", "sin", "sigmoid")
HEALTHY = {
    "mlp": (16, 32, 64, 128, 256, 512, 1024),
    "resnet": (16, 32, 64, 128, 256),
    "densenet": (16, 32, 64, 128, 256),
    "dropout": (16, 32, 64, 128, 256),
    "cnn": (16,),
    "random_dag": (16, 32, 64, 128),
    "uneven_dag": (16, 32, 64, 128),
    "committee": (16, 32, 64, 128),
    "mean_field": (16, 64),
}
DATA = am.data.load("digits")
Case = tuple[str, am.Assembly, Callable[[Culprit], bool]]


def build(name: str, width: int, seed: int, **keys: Any) -> am.Assembly:
    options = reading.architecture({"label": name, "builder": name, **keys}).options
    return BUILDERS[name].build(DATA.shape, width, seed, options)


def healthy(seed: int) -> Iterator[Case]:
    for name, widths in HEALTHY.items():
        for width, activation, readout in itertools.product(widths, ACTIVATIONS, ("sign", "gaussian")):
            if (name == "cnn" or width >= 512) and activation not in ("tanh", "relu"):
                continue
            keys = {"activation": activation, "readout": readout}
            if name in ("committee", "mean_field"):
                keys["coefficients"] = readout
            yield f"{name} {width}", build(name, width, seed, **keys), lambda _: True


def planted(seed: int) -> Iterator[Case]:
    for width, narrow, place in itertools.product((64, 128, 256, 512), (1, 2, 3, 4, 8), (0, 1, 2)):
        hidden = [width] * 3
        hidden[place] = narrow
        net = build("mlp", width, seed, hidden=hidden, activation=("tanh", "relu")[seed % 2])
        yield f"bottleneck of {narrow}", net, lambda one, at=place + 1: (one.kind, one.layer) == ("narrow", at)
    for width, activation, depth in itertools.product((64, 128, 256, 512, 1024), ("tanh", "gelu", "relu"), (1, 2, 3)):
        yield loud(width, activation, depth, seed)
    for width, kind in itertools.product((64, 256), ("tanh", "sigmoid", "sin", "swish", "quadratic", "softplus")):
        yield f"output {kind}", build("mlp", width, seed, output_activation=kind), lambda one: one.kind == "output"
    for width, exponent in itertools.product((32, 64, 256), (0.25, 0.5, 1.0)):
        net = build("tied", width, seed, copies_exponent=exponent)
        yield f"copies m^{exponent:g}", net, lambda one: one.kind == "copies"
    for width in (16, 32, 64, 256):
        net = build("dominated", width, seed)
        yield f"dominated {width}", net, lambda one: (one.kind, one.layer, one.parts) == ("loud", 2, (0,))


def loud(width: int, activation: str, depth: int, seed: int) -> Case:
    """Multiply the weights that leave one neuron by sqrt(m): as much as those of all others together."""
    net = build("mlp", width, seed, hidden=[width] * depth, activation=activation)
    rng, sizes = generator(seed, "plant", width, activation, depth), [net.n_inputs, *[width] * depth, 1]
    layer, neuron = int(rng.integers(1, depth + 1)), int(rng.integers(width))
    start = sum(a * b for a, b in itertools.pairwise(sizes[: layer + 1]))
    w = net.parameters.copy()
    w[start : start + width * sizes[layer + 1]].reshape(sizes[layer + 1], width)[:, neuron] *= np.sqrt(width)
    wanted = ("loud", layer, (neuron,))
    return f"loud {width}", net.with_parameters(w), lambda one: (one.kind, one.layer, one.parts) == wanted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("healthy", "planted"))
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--inputs", type=int, default=4)
    given = parser.parse_args()
    warnings.simplefilter("ignore", am.errors.KinkWarning)
    inputs = am.data.measured_samples(DATA, given.inputs, seed=0).inputs
    counted, named = Counter[str](), Counter[str]()
    for seed in range(given.seeds):
        for kind, net, is_it in healthy(seed) if given.what == "healthy" else planted(seed):
            found: Diagnosis = am.diagnose(net, inputs)
            counted[kind] += 1
            named[kind] += any(is_it(one) for one in found.culprits)
    for kind, n in counted.items():
        print(f"{kind:20s} {named[kind]:5d} of {n}")
    print(f"{'all':20s} {named.total():5d} of {counted.total()}: {named.total() / counted.total():.2%}")


if __name__ == "__main__":
    main()
