"""What a run of training leaves: a labelled table, the outputs at every record, and the parameters it ended with."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assembly.checks import suggest
from assembly.errors import DataError, UnknownNameError
from assembly.files import write_atomically

Values = NDArray[Any]

MEANING = {
    "step": "Steps made.",
    "time": "t = eta * steps: the time of gradient flow, where there is no momentum.",
    "loss": "Loss over the training inputs, a sum: of the network, or of the model named.",
    "test_loss": "Loss over the test inputs, a sum: of the network, or of the model named.",
    "gap": "Root mean square over the training inputs of f - f_model, both trained; in units of the output.",
    "distance": "|w - w0|, Euclidean.",
    "largest_entry": "Largest |w - w0| of any single parameter.",
    "kernel_change": "|K_t - K_0|_F / |K_0|_F of the tangent kernel over the training inputs, 256 at most.",
    "kernel_smallest_eigenvalue": "Of that kernel; where it is of all inputs, it bounds the rate of the fit.",
    "kernel_largest_eigenvalue": "Of that kernel; where it is of all inputs, it bounds the step size.",
    "hessian_norm": "||H|| of the first output, the mean over the first training inputs; NaN where not converged.",
    "remainder": "Root mean square over the training inputs of f(w) - f_lin(w), at the same w; units of the output.",
    "largest_share": "Largest gradient share of a neuron of a layer, at the first training inputs.",
    "rms_cosine": "Root mean square cosine between the gradients of two neurons of a layer, at the first input.",
}
_ENDING = re.compile(r"(?:(?<=loss)|(?<=gap))_(linearized|closed_form|quadratic)$|_layer_[1-9][0-9]*$")


@dataclass
class History:
    """A run of training, as far as it went.

    Attributes
    ----------
    table : dict of str to ndarray
        Column -> a value for every record; ``History.meaning`` says what a column is.
    outputs, test_outputs : dict of str to ndarray of shape (n_records, n, n_outputs)
        Model -> its outputs at the training and the test inputs; "network", and those trained beside it.
    parameters : ndarray of shape (n_parameters,)
        Where the network ended.
    status : str
        "finished", "diverged" or "interrupted".
    note : str
        Why it diverged, and what to try; empty otherwise.
    settings : dict
        How it was trained: loss, method, step_size, stable_below, n_steps, and the rest.

    Examples
    --------
    >>> import assembly as am
    >>> net = am.mlp(n_inputs=2, widths=[32], activation="tanh", seed=0)
    >>> run = am.train(net, [[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0], n_steps=50, record=["distance"])
    >>> bool(run["loss"][-1] < 0.01 * run["loss"][0])
    True
    >>> list(run.table)[:4]
    ['step', 'time', 'loss', 'loss_linearized']
    """

    table: dict[str, NDArray[np.float64]]
    outputs: dict[str, Values]
    test_outputs: dict[str, Values]
    parameters: Values
    status: str = "finished"
    note: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        if column not in self.table:
            known = ", ".join(self.table)
            raise UnknownNameError(f"A history has no column {column!r}; it has {known}.{suggest(column, self.table)}")
        return self.table[column]

    def __len__(self) -> int:
        return len(self.table.get("step", ()))

    @staticmethod
    def meaning(column: str) -> str:
        """Return what a column is, in one sentence with its unit.

        Raises
        ------
        UnknownNameError
            If no history has such a column.

        Examples
        --------
        >>> History.meaning("loss_linearized")
        'Loss over the training inputs, a sum: of the network, or of the model named.'
        """
        stem = _ENDING.sub("", column)
        if stem not in MEANING:
            raise UnknownNameError(f"A history has no column {column!r}.{suggest(column, MEANING)}")
        return MEANING[stem]

    def to_csv(self, path: str | Path) -> None:
        """Write the table, a line for every record, at once."""
        names = list(self.table)
        lines = [",".join(names)]
        lines += [",".join(repr(float(self.table[name][i])) for name in names) for i in range(len(self))]
        write_atomically(Path(path), "\n".join([*lines, ""]).encode())

    def save(self, path: str | Path) -> None:
        """Write everything to an NPZ file, at once; `assembly.load_history` reads it."""
        write_arrays(path, self.arrays(), self.words())

    def arrays(self) -> dict[str, Values]:
        """Return every array by name, as in the file."""
        found = {f"table/{name}": values for name, values in self.table.items()}
        found |= {f"outputs/{name}": values for name, values in self.outputs.items()}
        found |= {f"test_outputs/{name}": values for name, values in self.test_outputs.items()}
        return found | {"parameters": self.parameters}

    def words(self) -> dict[str, Any]:
        """Return everything that is no array."""
        return {"status": self.status, "note": self.note, "settings": self.settings}

    def __repr__(self) -> str:
        if not len(self):
            return f"History: no record, {self.status}"
        first, last = self["loss"][0], self["loss"][-1]
        steps = f"{len(self)} records to step {self['step'][-1]:.0f}"
        return f"History: {steps}, {self.status}; loss {first:.4g} to {last:.4g}"


def from_arrays(arrays: Mapping[str, Values], words: Mapping[str, Any]) -> History:
    """Return the history that `History.arrays` and `History.words` were made of."""

    def under(room: str) -> dict[str, Values]:
        return {name.split("/", 1)[1]: values for name, values in arrays.items() if name.startswith(f"{room}/")}

    return History(
        under("table"),
        under("outputs"),
        under("test_outputs"),
        arrays["parameters"],
        words["status"],
        words["note"],
        dict(words["settings"]),
    )


def load_history(path: str | Path) -> History:
    """Read a history that `History.save` wrote, or the checkpoint of a run.

    Raises
    ------
    DataError
        If the file is missing, damaged, or no history.
    """
    arrays, words = read_arrays(path)
    return from_arrays(arrays, words)


def write_arrays(path: str | Path, arrays: Mapping[str, Values], words: Mapping[str, Any]) -> None:
    """Write arrays and words to an NPZ file that after a crash is whole or as it was."""
    content = io.BytesIO()
    np.savez(content, **{**arrays, "words": np.array(json.dumps(words))})  # type: ignore[arg-type]
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(Path(path), content.getvalue())
    except OSError as error:
        raise DataError(f"The file {str(path)!r} cannot be written: {error.strerror}.") from None


def read_arrays(path: str | Path) -> tuple[dict[str, Values], dict[str, Any]]:
    """Read what `write_arrays` wrote; never unpickles anything.

    Raises
    ------
    DataError
        If the file is missing, damaged, or another one.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
        words = json.loads(str(arrays.pop("words")))
        if not {"status", "note", "settings"} <= set(words) or "parameters" not in arrays:
            raise KeyError
    except FileNotFoundError:
        raise DataError(f"The file {str(path)!r} does not exist: check the path.") from None
    except OSError as error:
        raise DataError(f"The file {str(path)!r} cannot be read: {error.strerror or error}.") from None
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, RuntimeError, TypeError, AttributeError):
        raise DataError(f"The file {str(path)!r} is no complete history: it is damaged, or another file.") from None
    return arrays, words
