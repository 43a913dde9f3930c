"""Markdown tables of what was measured, from the records alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from speed import arithmetic

Record = dict[str, Any]
HEADINGS = ("side", "time", "range", "ratio", "peak memory", "huge pages", "steps", "residual", "error")
ALIGNMENT = ("---", *["--:"] * 8)
JOBS = {
    "gradient": "Gradient",
    "hvp": "One application of the Hessian",
    "norm": "Hessian norm at one input",
    "inputs": "Hessian norms at 64 inputs",
    "kernel": "Tangent kernel of 128 inputs",
    "gram": "Gram matrix of all neurons of the last hidden layer",
    "training": "200 steps of gradient descent on 128 inputs",
    "sparse": "One application of the Hessian of a sparse graph",
    "cnn": "Hessian norm of a convolutional network",
    "resnet": "Hessian norm of a residual network",
    "step": "One Lanczos step, against the reading of the weights",
    "study": "A study of 6 widths and 10 seeds",
    "edges": "Graphs of 10⁸ edges",
    "size": "10⁹ parameters",
}


def seconds_text(seconds: float) -> str:
    """Return a time with three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            return f"{_digits(seconds / size)} {unit}"
    raise AssertionError


def bytes_text(n_bytes: float) -> str:
    """Return a number of bytes with three digits."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size or unit == "MB":
            return f"{_digits(max(n_bytes, 0) / size)} {unit}"
    raise AssertionError


def _digits(number: float) -> str:
    if number >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def tables(records: dict[str, Record]) -> str:
    """Return all tables, job by job."""
    parts = []
    for job, title in JOBS.items():
        names = [name for name, record in records.items() if record["job"] == job]
        if names:
            parts.append(f"### {title}")
            parts += [case(name, records[name]) for name in sorted(names, key=lambda name: _order(records[name]))]
    fits = growth(records)
    return "\n\n".join([*parts, *(["### How cost grows", fits] if fits else [])])


def _order(record: Record) -> tuple[Any, ...]:
    network = record["network"]
    return network["dtype"] != "float64", network["kind"], len(network["sizes"]), tuple(network["sizes"])


def case(name: str, record: Record) -> str:
    """Return the table of one case, with its command and machine."""
    lines = [f"**{name}**", "", table(HEADINGS, ALIGNMENT, rows(record)), "", "; ".join(_notes(record))]
    stages = next((side["stages"] for side in record["sides"].values() if "stages" in side), None)
    if stages:
        lines += ["", stage_table(record)]
    return "\n".join(lines)


def rows(record: Record) -> Iterator[tuple[str, ...]]:
    """Return a line for every side: what it took and how good its answer is, or why there is none."""
    sides = record["sides"]
    reference = next(iter(sides.values()))
    for side in sides.values():
        if side["status"] != "ok":
            reason = f"missing: {side['reason']}" if side["status"] == "missing" else side["reason"]
            yield side["label"], reason, *[""] * 7
            continue
        yield (
            side["label"],
            seconds_text(side["seconds"]),
            f"{seconds_text(side['fastest'])} to {seconds_text(side['slowest'])}",
            _ratio(side, reference),
            bytes_text(side.get("highest_bytes", side["peak_bytes"])),
            bytes_text(side["huge_bytes"]) if "huge_bytes" in side else "",
            str(side.get("steps", "")),
            _small(side.get("residual")),
            _small(side.get("error")) + ("" if arithmetic.is_right(side) else ", wrong"),
        )


def _ratio(side: Record, reference: Record) -> str:
    if side is reference or reference["status"] != "ok":
        return ""
    return _digits(arithmetic.ratio(side, reference))


def _small(number: float | None) -> str:
    return "" if number is None else f"{number:.1e}"


def _notes(record: Record) -> Iterator[str]:
    yield f"`{record['command']}`"
    machine = record["machine"]
    yield f"{record['date']}, {machine['processor']}, {machine['cores']} cores, {machine['memory']}"
    if "truth" in record:
        truth = record["truth"]
        yield f"the truth is confirmed to {truth['difference']:.1e} by {truth['confirmed_by']}"
    bandwidth = record.get("read_bandwidth")
    if not bandwidth:
        return
    yield f"the machine read {bandwidth / 1e9:.1f} GB/s"
    for side in record["sides"].values():
        if side["status"] == "ok" and "bytes_read" in side:
            least = seconds_text(side["bytes_read"] / bandwidth)
            yield f"{side['label']}: {fraction(record, side):.0%} of the limit, which is {least}"


def fraction(record: Record, side: Record) -> float:
    """Return which share of the read bandwidth a side reached with the bytes it must read."""
    return float(side["bytes_read"] / side["seconds"] / record["read_bandwidth"])


def stage_table(record: Record) -> str:
    """Return time and memory of every stage of a network on its own, and the passes of a step."""
    (side,) = record["sides"].values()
    weights = side["weight_bytes"]
    lines = [
        (name, seconds_text(stage["seconds"]), bytes_text(stage["peak_bytes"]), f"{stage['peak_bytes'] / weights:.2f}")
        for name, stage in side["stages"].items()
    ]
    stages = table(("stage", "time", "most held", "over the weights"), ("---", *["--:"] * 3), lines)
    passes = [
        (
            name,
            seconds_text(one["seconds"]),
            f"{one['bytes_read'] / one['seconds'] / 1e9:.1f} GB/s",
            f"{one['bytes_read'] / one['seconds'] / record['read_bandwidth']:.0%}",
        )
        for name, one in side.get("passes", {}).items()
    ]
    parameters = f"{side['n_parameters']:,} parameters, weights of {bytes_text(weights)}"
    of_a_step = table(("pass", "time", "reads", "of the bandwidth"), ("---", *["--:"] * 3), passes)
    return "\n\n".join([parameters, stages, of_a_step])


def growth(records: dict[str, Record]) -> str:
    """Return how time and memory grow with the parameters, for every side measured at three sizes or more."""
    lines = []
    families: dict[tuple[int, str], list[Record]] = {}
    for record in records.values():
        if record["job"] == "norm":
            network = record["network"]
            families.setdefault((len(network["sizes"]), network["dtype"]), []).append(record)
    for (n_layers, dtype), members in sorted(families.items(), key=lambda item: (item[0][1] != "float64", item[0][0])):
        labels = {key: side["label"] for record in members for key, side in record["sides"].items()}
        for key, label in labels.items():
            done = [record for record in members if record["sides"].get(key, {}).get("status") == "ok"]
            sizes = [record["n_parameters"] for record in done]
            times = arithmetic.power_law(sizes, [record["sides"][key]["seconds"] for record in done])
            memory = arithmetic.power_law(sizes, [max(record["sides"][key]["peak_bytes"], 1) for record in done])
            if times and memory:
                widths = sorted(record["network"]["sizes"][0] for record in done)
                spans = f"{widths[0]} to {widths[-1]}"
                lines.append((f"{n_layers}", dtype, label, spans, _exponent(times), _exponent(memory)))
    headings = ("hidden layers", "precision", "side", "widths", "exponent of time", "exponent of memory")
    return table(headings, ("--:", "---", "---", "---", "--:", "--:"), lines) if lines else ""


def _exponent(fit: tuple[float, float]) -> str:
    return f"{fit[0]:.2f} ± {fit[1]:.2f}"


def table(headings: tuple[str, ...], alignment: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    escaped = (tuple(cell.replace("|", "\\|") for cell in line) for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, alignment, *escaped))
