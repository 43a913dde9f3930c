r"""Where the forward pass of tangents may turn into the backward pass of their adjoints.

Where all that comes after a group is linear in its own pre-activations (:math:`\sigma'' \bar a = 0`: linear outputs,
ReLU), the adjoints that reach the group do not depend on tangents and are known beforehand. A row of weights into the
group then serves :math:`\dot z_v` and, right after, :math:`c_v w_{uv} \dot b_v`: it is read once instead of twice.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from numpy.typing import NDArray

from assembly.program import Program


class Turning(NamedTuple):
    """The segment at which the passes meet, behind all others if there is none, and the block read once."""

    segment: int
    block: int


def turning(program: Program, curvature: NDArray[Any]) -> Turning:
    r"""Return where the passes meet so that most weights are read once.

    Parameters
    ----------
    program : Program
    curvature : ndarray of shape (n_nodes,)
        :math:`\sigma_v''\, \bar a_v`.
    """
    best, most = Turning(len(program.segments), -1), 0
    for i in reversed(range(len(program.segments))):
        segment = program.segments[i]
        if segment.is_softmax:
            break
        for position in segment.incoming:
            block = program.blocks[position]
            if not block.from_given and math.prod(block.shape) > most:
                best, most = Turning(i, position), math.prod(block.shape)
        if curvature[segment.nodes].any():
            break
    return best
