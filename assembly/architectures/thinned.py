"""Thinned networks: what dropout leaves of a fully connected network under one mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from assembly.architectures.layered import mlp
from assembly.checks import check_count, check_counts, check_number
from assembly.errors import ArgumentError
from assembly.model import Assembly
from assembly.seeds import generator


def dropout(
    n_inputs: int,
    widths: Sequence[int],
    activation: str = "tanh",
    *,
    keep: float = 0.5,
    seed: int = 0,
    n_outputs: int = 1,
    readout: str = "gaussian",
    trainable_readout: bool = True,
    output_activation: str = "identity",
    dtype: DTypeLike = np.float64,
) -> Assembly:
    r"""Return a fully connected network thinned by dropout: each hidden neuron is kept with probability `keep`.

    With :math:`S_l` the neurons kept in layer l, of which there are :math:`|S_l|`,

    .. math:: z^{(l)}_v = \frac{1}{\sqrt{|S_{l-1}|}} \sum_{u \in S_{l-1}} W^{(l)}_{vu} a^{(l-1)}_u, \quad
              a^{(l)}_v = \sigma(z^{(l)}_v), \quad v \in S_l

    One mask, fixed by the seed, for all inputs; neurons that are dropped are not part of the assembly. At least one
    neuron of every layer is kept.

    Parameters
    ----------
    n_inputs : int
    widths : sequence of int
        Layer widths before thinning.
    activation : str
        One of `assembly.activations.NAMES`.
    keep : float
        Probability to keep a neuron, above 0 and at most 1.
    seed : int
        Of the mask and of the weights.
    n_outputs : int
    readout : {"gaussian", "sign"}
        Initial readout weights: N(0, 1), or +1 and -1 with equal chance.
    trainable_readout : bool
        False makes the readout weights fixed coefficients.
    output_activation : str
        Activation function of the outputs, or "softmax" over all of them.
    dtype : {float64, float32}

    Returns
    -------
    Assembly
        Parameters as in `assembly.mlp`, of the neurons that were kept. The width is the smallest number of neurons kept
        in a layer. With ``keep=1`` the same network as `assembly.mlp` gives.

    Raises
    ------
    ArgumentError
        If a count is out of range, `keep` is no probability above 0, or a softmax has one output.
    UnknownNameError
        If a name is not known; the message gives the nearest.
    ResourceError
        If the parameters do not fit in the memory that is free.

    Notes
    -----
    Cost: that of `assembly.mlp` with the neurons that were kept.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov (2014), Dropout: a simple way to
       prevent neural networks from overfitting, JMLR 15, 1929-1958: thinned networks.

    Examples
    --------
    >>> net = dropout(n_inputs=4, widths=[100, 100], keep=0.5, seed=0)
    >>> [layer.size for layer in net.layers], net.width
    ([4, 51, 52, 1], 51)
    """
    whole = check_counts("widths", widths)
    probability = check_number("keep", keep, above=0.0)
    if probability > 1.0:
        raise ArgumentError(f"The 'keep' argument must be a probability above 0 and at most 1. Got {keep!r}.")
    rng = generator(seed, "dropout", check_count("n_inputs", n_inputs), *whole)
    kept = [max(1, int(rng.binomial(width, probability))) for width in whole]
    return mlp(
        n_inputs,
        kept,
        activation,
        seed=seed,
        n_outputs=n_outputs,
        readout=readout,
        trainable_readout=trainable_readout,
        output_activation=output_activation,
        dtype=dtype,
    )
