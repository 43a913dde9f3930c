"""Training one architecture at one or several widths on real data: what the command line asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assembly.data import Data
from assembly.dynamics.closed_form import kernel_regression
from assembly.dynamics.history import History, load_history
from assembly.dynamics.train import TrainingProgress, train
from assembly.errors import ArgumentError, DivergenceError, GraphError, ResourceError
from assembly.graph.connections import Convolution
from assembly.limits.kernels import limit_kernels
from assembly.seeds import generator
from assembly.study.measure import LIMIT_ERROR
from assembly.study.training_folder import TrainingFolder

if TYPE_CHECKING:
    from assembly.model import Assembly

MOST_ROWS, MOST_TEST_ROWS = 128, 512  # if nobody says how many
NARROW = 16  # neurons below which a layer has no limit to speak of


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
        "limit", that of infinite width. Without the limit of convolutions, whose pairs of places take minutes, and of a
        network with a narrow layer, of which a limit where it grows says nothing.
    left_out : dict of str to str
        Kernel -> why it is not among them.
    """

    width: int
    n_parameters: int
    history: History
    regressions: dict[str, NDArray[np.float64]]
    left_out: dict[str, str]


def split(data: Data, n_rows: int | None, n_test: int | None, seed: int) -> Split:
    """Return rows of a data set for training and for testing, chosen by the seed.

    If `n_rows` is None, 128 are trained on, or three quarters if that is less; if `n_test` is None, it is tested on 512
    others, or all if there are fewer.

    Raises
    ------
    ArgumentError
        If the data have fewer rows.
    """
    total = len(data.inputs)
    n_rows = min(MOST_ROWS, max(1, 3 * total // 4)) if n_rows is None else n_rows
    if n_rows > total:
        raise ArgumentError(f"The '--rows' option must be at most {total}, the rows of {data.name}. Got {n_rows}.")
    if n_test is None:
        n_test = MOST_TEST_ROWS
    elif n_test > total - n_rows:
        raise ArgumentError(
            f"The '--test-rows' option must be at most {total - n_rows}: {data.name} has {total} rows, of which "
            f"{n_rows} are trained on. Got {n_test}."
        )
    order = shuffled(total, seed)
    chosen, others = order[:n_rows], order[n_rows : n_rows + n_test]
    words = f"{data.description}; trained on {n_rows} rows, tested on {len(others)}"
    return Split(data.inputs[chosen], data.targets[chosen], data.inputs[others], data.targets[others], words)


def shuffled(n: int, seed: int) -> NDArray[np.int64]:
    """Return the order in which a seed takes rows.

    Examples
    --------
    >>> sorted(shuffled(3, seed=0).tolist())
    [0, 1, 2]
    """
    return generator(seed, "training rows").permutation(n)


def train_family(
    build: Callable[[int], Assembly],
    widths: Sequence[int],
    rows: Split,
    folder: TrainingFolder,
    options: dict[str, Any],
    on_progress: Callable[[int, TrainingProgress], None],
) -> list[Trained]:
    """Train a network of every width; each run has a checkpoint ``width-M.npz`` in the folder and goes on from there.

    The folder keeps its options from the first word of progress on: by then all of them have been found good.
    Other widths trained there before are returned too; ascending.

    Parameters
    ----------
    build : callable
        width -> network.
    widths : sequence of int
    rows : Split
    folder : TrainingFolder
    options : dict
        Of `assembly.train`.
    on_progress : callable
        Called with the width and its progress.

    Raises
    ------
    ResultsError
        If the folder cannot be written.
    DivergenceError, TrainingInterrupted
        As `assembly.train`; a width that diverges beside others is kept as far as it went.
    """
    found: dict[int, Trained] = {}
    tests: dict[str, Any] = {"X_test": rows.X_test, "y_test": rows.y_test} if len(rows.X_test) else {}

    def told(width: int, progress: TrainingProgress) -> None:
        folder.keep()
        on_progress(width, progress)

    for width in widths:
        net = build(width)
        try:
            history = train(
                net,
                rows.X,
                rows.y,
                **tests,
                **options,
                checkpoint=folder.checkpoint(width),
                on_progress=lambda progress, width=width: told(width, progress),  # type: ignore[misc]
            )
        except DivergenceError as error:
            if len(widths) == 1 or not isinstance(error.history, History):
                raise
            history = error.history
        history.to_csv(folder.path / f"width-{width}.csv")
        found[width] = _beside_kernels(width, net, history, rows)
    for width in set(folder.widths()) - set(found):
        found[width] = _beside_kernels(width, build(width), load_history(folder.checkpoint(width)), rows)
    return [found[width] for width in sorted(found)]


def _beside_kernels(width: int, net: Assembly, history: History, rows: Split) -> Trained:
    """Return a trained network with what kernel regression predicts at the test inputs, or why it does not."""
    predictions: dict[str, NDArray[np.float64]] = {}
    left_out: dict[str, str] = {}
    for kernel, predict in (("w0", _from_start), ("limit", _from_limit)):
        try:
            _check_regression(history, rows)
            predictions[kernel] = predict(net, rows)[:, None]
        except (ArgumentError, ResourceError, GraphError) as error:
            left_out[kernel] = str(error)
    return Trained(width, net.n_parameters, history, predictions, left_out)


def _check_regression(history: History, rows: Split) -> None:
    if history.settings["loss"] != "squared":
        raise ArgumentError("It minimises the squared loss, not this one.")
    if not len(rows.X_test):
        raise ArgumentError("There are no rows to test on.")


def _from_start(net: Assembly, rows: Split) -> NDArray[np.float64]:
    """Return what regression with the tangent kernel at the start predicts."""
    across = net.tangent_kernel(rows.X_test, rows.X)
    change = kernel_regression(net.tangent_kernel(rows.X), rows.y - net(rows.X), across)
    return np.asarray(net(rows.X_test) + change)


def _from_limit(net: Assembly, rows: Split) -> NDArray[np.float64]:
    """Return what regression with the tangent kernel of infinite width predicts."""
    if net.width < NARROW:
        raise ArgumentError(f"With a layer of {net.width} neurons, the limit where it grows says nothing.")
    if any(isinstance(one, Convolution) for one in net.graph.connections):
        raise ArgumentError("The limit of a convolution takes minutes: every pair of places counts.")
    limit, between = limit_kernels(net, rows.X), limit_kernels(net, rows.X_test, rows.X)
    error = max(limit.error, between.error)
    if error >= LIMIT_ERROR:
        raise ArgumentError(f"The limit is known to {error:.1g} only, relatively, where {LIMIT_ERROR:g} is wanted.")
    return kernel_regression(limit.tangent, rows.y, between.tangent)


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
