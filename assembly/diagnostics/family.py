"""A family of networks over widths and seeds: what is measured on each, and whether it becomes linear.

The same inputs at all widths, a generator of its own for every (width, seed), medians over the seeds.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assembly.checks import check_count, check_counts
from assembly.diagnostics.conditions import Conditions, principal_shares
from assembly.diagnostics.diversity import rms_cosine
from assembly.diagnostics.dominance import dominance
from assembly.diagnostics.linearity import ratios
from assembly.diagnostics.rates import Rate, fit_rate
from assembly.diagnostics.rates.replicates import check_widths
from assembly.diagnostics.transition import FIELDS, judge_transition
from assembly.diagnostics.trend import Transition
from assembly.diagnostics.verdict import DEFAULT_BAND, signed
from assembly.errors import ArgumentError, NonFiniteError, ResultsError
from assembly.files import write_atomically
from assembly.model import Assembly

Family = Callable[[int, int], Assembly]
Row = dict[str, Any]

TOL = 1e-4  # relative residual of the Hessian norm
LARGEST_GRAM = 512  # neurons of a layer, and of those below, whose cosines are measured
QUANTITIES = {
    "hessian_norm": "||H||",
    "gradient_norm": "||grad f||",
    "hessian_over_gradient": "||H|| / ||grad f||",
    "hessian_over_gradient_squared": "||H|| / ||grad f||^2",
    "predicted_hessian_over_gradient_squared": "the same, predicted",
    "principal_share": "principal share",
    "q_infinity": "Q_inf",
}


@dataclass(frozen=True, eq=False)
class FamilyDiagnosis:
    """What was measured on a family of networks, the exponents, and whether it becomes linear with width.

    Attributes
    ----------
    widths : tuple of int
        Ascending.
    seeds : tuple of int
    rows : tuple of dict
        One for every width and seed: "width", "seed", "values" (quantity -> geometric mean over the inputs) and
        "levels" (label -> attributes of `Level`, likewise, and "rms_cosine").
    rates : mapping of str to Rate
        Exponent of every quantity that has one.
    transition : Transition
    """

    widths: tuple[int, ...]
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    rates: Mapping[str, Rate]
    transition: Transition

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """Conditions, prediction, measurement, agreement and answer in a few sentences."""
        return self.transition.text

    def values(self, quantity: str) -> NDArray[np.float64]:
        """Return one quantity of every network, shape (n_widths, n_seeds)."""
        return _table(self.rows, self.widths, lambda row: row["values"][quantity])

    @property
    def table(self) -> str:
        """Median of every quantity at every width, and its exponent with interval."""
        name = max(map(len, QUANTITIES.values()))
        lines = [" " * name + "".join(f"{width:>11}" for width in self.widths) + "   exponent"]
        for quantity, shown in QUANTITIES.items():
            medians = "".join(f"{_median(row):>11.3g}" for row in self.values(quantity))
            rate = self.rates.get(quantity)
            fitted = f"{signed(rate.exponent)} [{signed(rate.lower)}, {signed(rate.upper)}]" if rate else "none"
            lines.append(f"{shown:<{name}}{medians}   {fitted}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return widths, seeds, rows and transition as numbers, strings and lists, for JSON."""
        return {
            "widths": list(self.widths),
            "seeds": list(self.seeds),
            "rows": list(self.rows),
            "transition": self.transition.to_dict(),
        }


def diagnose_family(
    family: Family,
    widths: Sequence[int],
    X: ArrayLike,
    *,
    seeds: int | Sequence[int] = 10,
    output: int = 0,
    band: float = DEFAULT_BAND,
    save: str | Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> FamilyDiagnosis:
    r"""Measure a family of networks at several widths and judge whether it becomes linear.

    Parameters
    ----------
    family : callable
        ``family(width, seed)`` -> Assembly. Nothing else about it enters: neither its name nor how it is built.
    widths : sequence of int
        As `fit_rate` asks for; 32, 64, ..., 512 are a good choice.
    X : array_like of shape (n, n_inputs) or (n_inputs,)
        Quantities are geometric means over the rows; cosines are taken at the first.
    seeds : int or sequence of int
        How many, from 0 on; or which.
    output : int
    band : float
        Of `judge_transition`.
    save : str or Path, optional
        A file to which every finished network is appended, one JSON line each. Networks of the same width, seed, inputs
        and output that it holds already are not measured again: an interrupted run goes on where it was. It knows
        nothing of `family`: use one file for each.
    on_progress : callable, optional
        ``on_progress(done, total)`` after every network.

    Returns
    -------
    FamilyDiagnosis

    Raises
    ------
    ArgumentError
        If `family` cannot be called, returns no Assembly, or the same network at the smallest and the largest width;
        there are too few widths for `fit_rate`; or a number is out of range. All this before anything is measured.
    ShapeError, NonFiniteError
        If `X` does not fit the networks.
    ResultsError
        If `save` holds lines that are no networks.

    Notes
    -----
    Cost for every network and input: one Hessian norm, the passes of `principal_shares`, and two matrix products for
    each layer of up to 512 neurons.

    Examples
    --------
    >>> import assembly as am
    >>> def family(width, seed):
    ...     return am.mlp(n_inputs=3, widths=[width, width], activation="tanh", seed=seed)
    >>> diagnose_family(family, [8, 16, 32, 64, 128], [1.0, -1.0, 0.5], seeds=4).transition.answer
    'yes'
    """
    _check_family(family)
    wanted = tuple(sorted(check_widths(widths)))
    chosen = tuple(range(check_count("seeds", seeds))) if isinstance(seeds, int) else check_counts("seeds", seeds, 0)
    samples = np.atleast_2d(np.asarray(X, dtype=np.float64))
    key = hashlib.sha256(repr((samples.shape, samples.tolist(), output)).encode()).hexdigest()[:16]
    path = None if save is None else Path(save)
    known = {} if path is None else _read(path, key)
    if any((width, seed) not in known for width in wanted for seed in chosen):
        _check_grows(family, wanted, chosen, samples)
    rows = []
    for width in wanted:
        for seed in chosen:
            row = known.get((width, seed))
            if row is None:
                row = _measure(_made(family, width, seed), samples, output, width, seed)
                _append(path, {**row, "inputs": key})
            rows.append(row)
            if on_progress is not None:
                on_progress(len(rows), len(wanted) * len(chosen))
    return _judged(wanted, chosen, rows, band)


def measure_network(net: Assembly, x: NDArray[np.float64], output: int = 0) -> tuple[dict[str, float], Conditions]:
    """Return every quantity of one network at one input, and its conditions; NaN where a norm did not converge."""
    norm = net.hessian(x, output).norm(TOL)
    conditions = principal_shares(net, x, output)
    curvature = float(norm.value) if norm.converged else math.nan
    gradient = conditions.gradient_norm
    per_output, relative = ratios(curvature, gradient, 1.0)
    values = {
        "hessian_norm": curvature,
        "gradient_norm": gradient,
        "hessian_over_gradient": relative,
        "hessian_over_gradient_squared": per_output,
        "predicted_hessian_over_gradient_squared": conditions.predicted_hessian_over_gradient_squared,
        "principal_share": conditions.principal_share,
        "q_infinity": dominance(net, x, output).q_infinity,
    }
    return values, conditions


def _check_family(family: object) -> None:
    if not callable(family) or isinstance(family, Assembly):
        raise ArgumentError(
            "The 'family' argument must make a network from a width and a seed, as "
            f"lambda width, seed: am.mlp(2, [width], seed=seed) does. Got {family!r}."
        )


def _made(family: Family, width: int, seed: int) -> Assembly:
    net = family(width, seed)
    if not isinstance(net, Assembly):
        raise ArgumentError(f"The 'family' argument must return an Assembly. Got {net!r}: width {width}, seed {seed}.")
    return net


def _check_grows(family: Family, widths: tuple[int, ...], seeds: tuple[int, ...], samples: NDArray[np.float64]) -> None:
    """Refuse a family whose narrowest and widest networks are the same; one that differs is enough."""
    for seed in seeds:
        narrowest, widest = (_made(family, width, seed) for width in (widths[0], widths[-1]))
        sizes = [[layer.size for layer in net.layers] for net in (narrowest, widest)]
        if sizes[0] != sizes[1] or not np.array_equal(narrowest.parameters, widest.parameters):
            return
        if not np.array_equal(narrowest(samples), widest(samples)):
            return
    raise ArgumentError(
        "The 'family' argument must make networks that change with the width. Got the same ones at widths "
        f"{widths[0]} and {widths[-1]}, of layers {', '.join(map(str, sizes[0]))}."
    )


def _measure(net: Assembly, samples: NDArray[np.float64], output: int, width: int, seed: int) -> Row:
    found = [measure_network(net, x, output) for x in samples]
    values = {name: _mean([one[name] for one, _ in found]) for name in found[0][0]}
    levels: dict[str, dict[str, Any]] = {}
    for label in dict.fromkeys(level.label for _, conditions in found for level in conditions.levels):
        met = [level for _, conditions in found for level in conditions.levels if level.label == label]
        levels[label] = {name: _mean([getattr(level, name) for level in met]) for name in FIELDS}
        levels[label] |= {"bends": any(level.bends for level in met), "neuron": float(met[0].neuron)}
    for label, cosine in _cosines(net, samples[0]).items():
        if label in levels:
            levels[label]["rms_cosine"] = cosine
    return {"width": width, "seed": seed, "values": values, "levels": levels}


def _mean(values: Sequence[float]) -> float:
    """The geometric mean: exponents are slopes of logarithms."""
    with np.errstate(divide="ignore"):
        return float(np.exp(np.mean(np.log(values))))


def _cosines(net: Assembly, x: NDArray[np.float64]) -> dict[str, float]:
    """Root mean square cosine in every hidden layer where it is affordable."""
    found = {}
    for layer in net.layers[1:-1]:
        if layer.size > LARGEST_GRAM:
            break
        found[f"layer {layer.index}"] = rms_cosine(net, layer.index, x)
    return found


def _judged(widths: tuple[int, ...], seeds: tuple[int, ...], rows: list[Row], band: float) -> FamilyDiagnosis:
    def column(name: str) -> list[list[float]]:
        return _listed(_table(rows, widths, lambda row: row["values"][name]))

    rates = {}
    for name in QUANTITIES:
        try:
            rates[name] = fit_rate(widths, column(name))
        except (ArgumentError, NonFiniteError):
            continue
    labels = dict.fromkeys(label for row in rows for label in row["levels"])
    transition = judge_transition(
        widths,
        column("predicted_hessian_over_gradient_squared"),
        column("hessian_over_gradient_squared"),
        gradient_norm=column("gradient_norm"),
        levels={label: _level_columns(rows, widths, label) for label in labels},
        band=band,
    )
    return FamilyDiagnosis(widths, seeds, tuple(rows), rates, transition)


def _level_columns(rows: list[Row], widths: tuple[int, ...], label: str) -> dict[str, Any]:
    met = [row["levels"][label] for row in rows if label in row["levels"]]

    def column(name: str) -> list[list[float]]:
        return _listed(_table(rows, widths, lambda row: row["levels"].get(label, {}).get(name, math.nan)))

    found: dict[str, Any] = {name: column(name) for name in FIELDS}
    found["bends"] = any(level["bends"] for level in met)
    if any("rms_cosine" in level for level in met):
        found["rms_cosine"] = column("rms_cosine")
    return found


def _table(rows: Sequence[Row], widths: tuple[int, ...], value: Callable[[Row], float]) -> NDArray[np.float64]:
    return np.array([[value(row) for row in rows if row["width"] == width] for width in widths])


def _listed(table: NDArray[np.float64]) -> list[list[float]]:
    return [[float(value) for value in row] for row in table]


def _median(values: NDArray[np.float64]) -> float:
    usable = values[~np.isnan(values)]
    return float(np.median(usable)) if len(usable) else math.nan


def _read(path: Path, key: str) -> dict[tuple[int, int], Row]:
    if not path.exists():
        return {}
    found = {}
    *lines, cut_off = path.read_text().split("\n")
    if cut_off:
        write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            mine, place = row.pop("inputs") == key, (row["width"], row["seed"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ResultsError(f"Line {number} of {path} is no measured network: use another file.") from error
        if mine:
            found[place] = row
    return found


def _append(path: Path | None, row: Row) -> None:
    if path is None:
        return
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
