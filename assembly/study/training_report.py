"""The report of a training: page, Markdown and pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from assembly.dynamics.history import History
from assembly.dynamics.recording import rms
from assembly.errors import ResultsError
from assembly.files import write_atomically
from assembly.plots import style
from assembly.plots.training import Path as Curve
from assembly.plots.training import describe_paths, draw_paths
from assembly.study import machine
from assembly.study.report import render
from assembly.study.training import Split, Trained, accuracy

MODELS = {
    "network": "network",
    "linearized": "linearised model",
    "quadratic": "quadratic model",
    "closed_form": "linear flow, closed form",
}
KERNELS = {"w0": "kernel regression at w0", "limit": "kernel regression at infinite width"}
OVER_WIDTHS = {  # drawn with a line for every width
    "gap_linearized": "Where they part: network against linearised model",
    "remainder": "Remainder |f - f_lin| at the same parameters",
    "kernel_change": "Relative change of the tangent kernel",
    "hessian_norm": "Hessian norm ||H||",
    "distance": "Distance |w - w0|",
    "largest_entry": "Largest change of a single parameter",
}
DIVERGED = "diverged"
IN_TABLE = ("distance", "largest_entry", "kernel_change", "remainder", "gap_linearized", "hessian_norm")


@dataclass(frozen=True)
class Figure:
    """One picture of the report."""

    name: str
    title: str
    caption: str
    svg: str
    description: str


def figures(runs: Sequence[Trained]) -> list[Figure]:
    """Draw the losses at every width, then every quantity over time with a line for every width."""
    drawn = [_losses(one) for one in runs]
    for column, title in OVER_WIDTHS.items():
        curves = [
            Curve(f"width {one.width}", one.history["time"], one.history[column])
            for one in runs
            if column in one.history.table
        ]
        drawn.append(_figure(column, title, History.meaning(column), curves))
    drawn.append(_eigenvalues(runs[-1]))
    return [one for one in drawn if one is not None]


def _losses(one: Trained) -> Figure | None:
    table = one.history.table
    curves = []
    for model, label in MODELS.items():
        column = "loss" if model == "network" else f"loss_{model}"
        if column in table:
            curves.append(Curve(label, table["time"], table[column]))
    caption = "Loss over the training inputs, a sum, of the network and of the models trained beside it."
    return _figure(f"loss-width-{one.width}", f"Loss, width {one.width}", caption, curves)


def _eigenvalues(one: Trained) -> Figure | None:
    columns = {"kernel_largest_eigenvalue": "largest", "kernel_smallest_eigenvalue": "smallest"}
    table = one.history.table
    curves = [Curve(label, table["time"], table[name]) for name, label in columns.items() if name in table]
    caption = "Of all training inputs, the smallest bounds the rate at which the loss falls, the largest the step size."
    return _figure("eigenvalues", f"Eigenvalues of the tangent kernel, width {one.width}", caption, curves)


def _figure(name: str, title: str, caption: str, curves: Sequence[Curve]) -> Figure | None:
    if not any(np.any(np.asarray(one.values) > 0.0) for one in curves):
        return None
    description = describe_paths(curves, name=title)
    svg = style.to_svg(draw_paths(curves, name=title), title=title, description=description)
    return Figure(name, title, caption, svg, description)


def rows(runs: Sequence[Trained], data: Split) -> list[list[str]]:
    """Return the table of the report: a row for every quantity, its name first, then its value at every width."""
    columns = [_column(one, data) for one in runs]
    names = dict.fromkeys(name for column in columns for name in column)
    return [[name, *(column.get(name, "") for column in columns)] for name in names]


WORDS = {  # of the table, beside the columns of a history
    "width": "m, the number that the architecture is built with.",
    "parameters": "Trainable numbers.",
    "step size": "eta; where none was given, half of what is stable for the linearised model.",
    "steps": "Made until the last record, to which all that follows belongs.",
    "loss at first": "Loss over the training inputs before the first step, a sum.",
    "loss at last": "The same at the last record.",
    "test accuracy": "Share of the test inputs at which the output has the sign of its target.",
    "test outputs": "Root mean square over the test inputs of f less what kernel regression predicts.",
    "status": "Whether all steps were made; what is not known of a run that diverged is left out.",
}


def definitions(table: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return what the rows of a table mean, in its order; rows that differ in a model only have one definition."""
    found = {}
    for name, *_ in table:
        stem = next((one for one in ("test accuracy", "test outputs") if name.startswith(one)), name)
        found[stem] = WORDS[stem] if stem in WORDS else History.meaning(name.replace(" ", "_"))
    return found


def _settings(runs: Sequence[Trained]) -> dict[str, str]:
    """Return how every width was trained; what differs between them with the width of each."""
    found = {}
    for name in runs[0].history.settings:
        shown = [_shown(one.history.settings[name]) for one in runs]
        each = [f"{value} (width {one.width})" for value, one in zip(shown, runs, strict=True)]
        found[name.replace("_", " ")] = shown[0] if len(set(shown)) == 1 else "; ".join(each)
    return found


def _column(one: Trained, data: Split) -> dict[str, str]:
    history = one.history
    row = {
        "width": str(one.width),
        "parameters": f"{one.n_parameters:,}",
        "step size": f"{history.settings['step_size']:.3g}",
        "steps": f"{history['step'][-1]:.0f}",
        "loss at first": _number(history["loss"][0]),
        "loss at last": _number(history["loss"][-1]),
    }
    arrived = history.status != DIVERGED
    for model, outputs in history.test_outputs.items() if arrived else ():
        share = accuracy(outputs[-1], data.y_test)
        if share is not None and np.isfinite(outputs[-1]).all():
            row[f"test accuracy, {MODELS[model]}"] = f"{100.0 * share:.1f} %"
    for kernel, outputs in one.regressions.items():
        share = accuracy(outputs, data.y_test)
        if share is not None:
            row[f"test accuracy, {KERNELS[kernel]}"] = f"{100.0 * share:.1f} %"
        if arrived:
            distance = rms(outputs - history.test_outputs["network"][-1])
            row[f"test outputs from those of {KERNELS[kernel]}"] = _number(distance)
    for column in IN_TABLE if arrived else ():
        if column in history.table:
            row[column.replace("_", " ")] = _number(history[column][-1])
    if history.status != "finished":
        row["status"] = history.status
    return row


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "not known"


def answer(runs: Sequence[Trained]) -> str:
    """Return in a sentence or two which networks diverged, and how near to linear the others stayed."""
    diverged = [one for one in runs if one.history.status == DIVERGED]
    arrived = [one for one in runs if one.history.status != DIVERGED]
    sentences = [f"{_widths(diverged)} diverged: no number says how linear it stayed."] if diverged else []
    return " ".join([*sentences, *([_stayed(arrived)] if arrived else [])])


def _widths(runs: Sequence[Trained]) -> str:
    return f"Width {', '.join(str(one.width) for one in runs)}"


def _stayed(runs: Sequence[Trained]) -> str:
    """Return how near to linear networks stayed that did not diverge."""
    narrow, wide = runs[0].history, runs[-1].history
    text = f"At width {runs[-1].width} the loss went from {wide['loss'][0]:.3g} to {wide['loss'][-1]:.3g}"
    if "kernel_change" in wide.table:
        text += f", while the tangent kernel changed by {_percent(wide['kernel_change'][-1])}"
        if len(runs) > 1:
            text += f" ({_percent(narrow['kernel_change'][-1])} at width {runs[0].width})"
    text += "."
    if "remainder" in wide.table:
        text += (
            f" At the parameters it reached, f is {wide['remainder'][-1]:.2g} from its linearisation, outputs being "
            f"{rms(wide.outputs['network'][-1]):.2g}: root mean squares over the training inputs."
        )
    apart = _apart(wide)
    if apart is not None:
        text += f" Trained alike, network and linearised model end {apart:.2g} apart on the test inputs."
    return text


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %" if share >= 0.1 else f"{100.0 * share:.2g} %"


def _apart(history: History) -> float | None:
    """Return how far network and linearised model end apart at the test inputs, None where that is not known."""
    found = [history.test_outputs[name][-1] for name in ("network", "linearized") if name in history.test_outputs]
    if len(found) < 2 or not np.isfinite(found[1]).all():
        return None
    return rms(found[0] - found[1])


def notes(runs: Sequence[Trained]) -> list[str]:
    """Return what a reader must know about the runs."""
    found = [f"Width {one.width}: {one.history.note}" for one in runs if one.history.note]
    for one in runs:
        first, last = one.history["loss"][0], one.history["loss"][-1]
        if one.history.status != DIVERGED and last > first:
            found.append(
                f"Width {one.width}: the loss ended at {last:.3g}, above the {first:.3g} it began with. "
                "Try a smaller --step-size."
            )
    return found + _without_regression(runs)


def _without_regression(runs: Sequence[Trained]) -> list[str]:
    """Return why kernel regressions do not stand beside, once for every reason."""
    kernels: dict[str, dict[str, None]] = {}
    widths: dict[str, dict[str, None]] = {}
    for one in runs:
        for kernel, reason in one.left_out.items():
            kernels.setdefault(reason, {})[KERNELS[kernel]] = None
            widths.setdefault(reason, {})[str(one.width)] = None
    return [f"Width {', '.join(widths[one])}: no {' and no '.join(kernels[one])}. {one}" for one in kernels]


def write_training_report(
    folder: Path, runs: Sequence[Trained], data: Split, command: str, *, title: str, now: datetime | None = None
) -> Path:
    """Write ``report.html``, ``report.md`` and ``plots/*.svg``, each whole or not at all; return the page.

    Raises
    ------
    ResultsError
        If the folder cannot be written.
    """
    drawn, table = figures(runs), rows(runs, data)
    context: dict[str, Any] = {
        "title": title,
        "answer": answer(runs),
        "notes": notes(runs),
        "data": data.description,
        "settings": _settings(runs),
        "rows": table,
        "definitions": definitions(table),
        "figures": [
            {
                "name": one.name,
                "title": one.title,
                "caption": one.caption,
                "description": one.description,
                "svg": Markup(style.inline(one.svg, f"p{i}")),
            }
            for i, one in enumerate(drawn)
        ],
        "files": [f"width-{one.width}.csv" for one in runs],
        "command": command,
        "versions": machine.versions(),
        "machine": machine.machine(),
        "date": (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
        "colours": {f"series-{i + 1}": tone for i, tone in enumerate(style.COLOURS)},
    }
    page = folder / "report.html"
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        for one in drawn:
            write_atomically(folder / "plots" / f"{one.name}.svg", one.svg.encode())
        write_atomically(folder / "report.md", render("training.md.j2", context).encode())
        write_atomically(page, render("training.html.j2", context).encode())
    except OSError as error:
        raise ResultsError(
            f"The report cannot be written to {str(folder)!r}: {error.strerror}; choose another folder with --out."
        ) from None
    return page


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
