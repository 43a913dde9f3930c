"""Training one architecture at one or several widths on real data: what the command line asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assembly.data import Data
from assembly.dynamics.closed_form import kernel_regression
from assembly.dynamics.history import History
from assembly.dynamics.train import TrainingProgress, train
from assembly.errors import ArgumentError, DivergenceError, GraphError, ResourceError
from assembly.graph.connections import Convolution
from assembly.limits.kernels import limit_kernels
from assembly.seeds import generator
from assembly.study.measure import LIMIT_ERROR

if TYPE_CHECKING:
    from assembly.model import Assembly

MOST_ROWS, NARROW = 128, 16  # trained on if nobody says how many; neurons below which a layer has no limit to speak of


@dataclass(frozen=True)
class Split:
    """Rows to train on, and others to test on.

    Attributes
    ----------
    X, y, X_test, y_test : ndarray
    description : str
    """

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    X_test: NDArray[np.float64]
    y_test: NDArray[np.float64]
    description: str


@dataclass(frozen=True)
class Trained:
    """One width of a family, trained.

    Attributes
    ----------
    width, n_parameters : int
    history : History
    regressions : dict of str to ndarray of shape (n_test, 1)
        Kernel -> what kernel regression with it predicts at the test inputs: "w0", the tangent kernel at the start, and
        "limit", that of infinite width. Empty where the loss is not squared; without one that is singular or unknown;
        without the limit of convolutions, whose pairs of places take minutes, and of a network with a narrow layer, of
        which a limit where it grows says nothing.
    """

    width: int
    n_parameters: int
    history: History
    regressions: dict[str, NDArray[np.float64]]


def split(data: Data, n_rows: int | None, n_test: int, seed: int) -> Split:
    """Return rows of a data set for training and for testing, chosen by the seed; fewer to test on if there are fewer.

    If `n_rows` is None, 128 are trained on, or three quarters if that is less.

    Raises
    ------
    ArgumentError
        If the data have fewer than n_rows rows.
    """
    total = len(data.inputs)
    n_rows = min(MOST_ROWS, max(1, 3 * total // 4)) if n_rows is None else n_rows
    if n_rows > total:
        raise ArgumentError(f"The '--rows' option must be at most {total}, the rows of {data.name}. Got {n_rows}.")
    order = generator(seed, "training rows").permutation(total)
    chosen, others = order[:n_rows], order[n_rows : n_rows + n_test]
    words = f"{data.description}; trained on {n_rows} rows, tested on {len(others)}"
    return Split(data.inputs[chosen], data.targets[chosen], data.inputs[others], data.targets[others], words)


def train_family(
    build: Callable[[int], Assembly],
    widths: Sequence[int],
    rows: Split,
    folder: Path,
    options: dict[str, Any],
    on_progress: Callable[[int, TrainingProgress], None],
) -> list[Trained]:
    """Train a network of every width; each run has a checkpoint ``width-M.npz`` in the folder and goes on from there.

    Parameters
    ----------
    build : callable
        width -> network.
    widths : sequence of int
    rows : Split
    folder : Path
    options : dict
        Of `assembly.train`.
    on_progress : callable
        Called with the width and its progress.

    Raises
    ------
    DivergenceError, TrainingInterrupted
        As `assembly.train`; a width that diverges beside others is kept as far as it went.
    """
    found: list[Trained] = []
    tests: dict[str, Any] = {"X_test": rows.X_test, "y_test": rows.y_test} if len(rows.X_test) else {}
    for width in widths:
        net = build(width)
        try:
            history = train(
                net,
                rows.X,
                rows.y,
                **tests,
                **options,
                checkpoint=folder / f"width-{width}.npz",
                on_progress=lambda progress, width=width: on_progress(width, progress),  # type: ignore[misc]
            )
        except DivergenceError as error:
            if len(widths) == 1 or not isinstance(error.history, History):
                raise
            history = error.history
        history.to_csv(folder / f"width-{width}.csv")
        wanted = options.get("loss", "squared") == "squared" and len(rows.X_test) > 0
        found.append(Trained(width, net.n_parameters, history, regressions(net, rows) if wanted else {}))
    return found


def regressions(net: Assembly, rows: Split) -> dict[str, NDArray[np.float64]]:
    """Return what kernel regression predicts at the test inputs, see `Trained`."""
    found = {}
    with suppress(ArgumentError, ResourceError):
        start, across = net(rows.X), net.tangent_kernel(rows.X_test, rows.X)
        change = kernel_regression(net.tangent_kernel(rows.X), rows.y - start, across)
        found["w0"] = (net(rows.X_test) + change)[:, None]
    if net.width < NARROW or any(isinstance(one, Convolution) for one in net.graph.connections):
        return found
    with suppress(ArgumentError, ResourceError, GraphError):
        limit, between = limit_kernels(net, rows.X), limit_kernels(net, rows.X_test, rows.X)
        if max(limit.error, between.error) < LIMIT_ERROR:
            found["limit"] = kernel_regression(limit.tangent, rows.y, between.tangent)[:, None]
    return found


def accuracy(outputs: NDArray[Any], targets: NDArray[np.float64]) -> float | None:
    """Return the share of targets of -1 and 1 whose sign the outputs have; None for other targets.

    Examples
    --------
    >>> accuracy(np.array([[0.3], [0.2]]), np.array([1.0, -1.0]))
    0.5
    """
    if not len(targets) or not np.isin(targets, (-1.0, 1.0)).all():
        return None
    return float(np.mean(np.sign(outputs[:, 0]) == targets))
