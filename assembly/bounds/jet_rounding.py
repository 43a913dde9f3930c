r"""What rounding may have done to a derivative along a direction, to first order in the unit of rounding.

A pre-activation is a sum of at most n terms, in error by at most :math:`\gamma_n` times the sum of their magnitudes,
and an activation and its derivatives are right to a few units. With :math:`\bar a^{(k)}` and :math:`l^{(k)}` the
derivatives of the result :math:`\phi` in the k-th derivatives of activations and pre-activations,

.. math:: |\delta \phi| \le \gamma \sum_k \Bigl( |l^{(k)}| \cdot |z^{(k)}| + |\bar a^{(k)}| \cdot |a^{(k)}| \Bigr)

where the magnitudes :math:`|z|` and :math:`|a|` are sums of those of the terms: a network that magnifies an error
magnifies the margin. A sub-model of the user's own counts as right to n units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.blocks.block import Block
from assembly.blocks.own import OwnBlock
from assembly.bounds.rounding import LIBRARY, gamma
from assembly.calculus.jet import Jet

Vector = NDArray[Any]


def rounding(jet: Jet, output: int, order: int) -> float:
    """Return how far ``jet.derivative(output, order)`` may be from the truth, direction and weights being exact.

    Cost: that of `Jet.adjoints`, and five passes over magnitudes of weights and direction.
    """
    abar, ell = jet.adjoints(output, order)
    terms = float(np.sum(np.abs(ell) * _terms(jet)) + np.sum(np.abs(abar) * _answers(jet)))
    return gamma(jet.program.n_nodes + LIBRARY) * 2.0 * terms


def _terms(jet: Jet) -> Vector:
    """Sums of the magnitudes of the terms of every pre-activation and its derivatives, shape (3, n_nodes)."""
    post, terms = np.abs(jet.post), np.zeros_like(jet.post)
    for segment in jet.program.segments:
        for position in segment.incoming:
            block, weights, change = jet.at(position)
            for order in range(1 if block.from_given else 3):
                terms[order] += _pushed(block, weights, jet.post[order], post[order])
            if change is not None:
                moved = np.zeros_like(post[0])
                if isinstance(block, OwnBlock):
                    block.differentiate(weights, change, jet.post[0], moved)
                    terms[1] += np.abs(moved)
                else:
                    terms[1] += _pushed(block, change, jet.post[0], post[0])
                    if not block.from_given:
                        terms[2] += 2.0 * _pushed(block, change, jet.post[1], post[1])
    return terms


def _pushed(block: Block, weights: Vector, a: Vector, magnitudes: Vector) -> Vector:
    out = np.zeros_like(a)
    if isinstance(block, OwnBlock):
        block.push(weights, a, out)
    else:
        block.push(np.abs(weights), magnitudes, out)
    return np.abs(out)


def _answers(jet: Jet) -> Vector:
    """Magnitudes of every activation and of the terms of its derivatives, shape (3, n_nodes)."""
    z, post = np.abs(jet.pre), np.abs(jet.post)
    answers = np.array([post[0], post[1], np.abs(jet.second) * z[1] ** 2 + np.abs(jet.first) * z[2]])
    for segment in jet.program.segments:
        if segment.is_softmax:  # exponentials of differences of pre-activations, and averages over the group
            v = segment.nodes
            widest, p = 2.0 * z[:, v].max(axis=1), post[0, v]
            answers[:, v] = p * (1.0 + widest[0])
            answers[1:, v] *= np.array([[widest[1]], [2.0 * widest[1] ** 2 + widest[2]]])
    return answers
