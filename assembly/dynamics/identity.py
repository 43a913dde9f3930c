"""What makes a run the run it is, in one hash: a checkpoint is gone on from by the same run only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.program import Program


def identity(
    program: Program, settings: Mapping[str, Any], step_size: float, arrays: Sequence[NDArray[Any] | None]
) -> str:
    """Return the SHA-256 of all that decides the numbers of a run, but for how many steps it makes.

    Parameters
    ----------
    program : Program
    settings : mapping
        As `assembly.dynamics.settings.Settings.as_dict` gives them.
    step_size : float
        The one used.
    arrays : sequence of ndarray or None
        Parameters and data; None is left out.
    """
    counted = {key: value for key, value in settings.items() if key != "n_steps"}
    digest = hashlib.sha256(json.dumps([counted, step_size], sort_keys=True).encode())
    for part in structure(program):
        digest.update(part)
    for array in arrays:
        if array is not None:
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def structure(program: Program) -> Iterator[bytes]:
    """Yield all that makes a program what it is, but for its weights."""
    yield repr((program.n_nodes, program.n_parameters, str(program.dtype), program.outputs.tolist())).encode()
    yield program.codes.tobytes()
    for segment in program.segments:
        yield repr((segment.nodes, segment.incoming, segment.is_softmax)).encode()
    for block in program.blocks:
        yield type(block).__name__.encode()
        for one in fields(block):
            value = getattr(block, one.name)
            yield one.name.encode()
            yield value.tobytes() if isinstance(value, np.ndarray) else repr(getattr(value, "name", value)).encode()
