"""What was asked of this package, beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from speed import arithmetic, tables

Record = dict[str, Any]
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Ask:
    """One ask: what, of which case, and how it is judged.

    Attributes
    ----------
    name : str
        Short; the page says under this name what stands in the way.
    case : str
    wanted : str
    judge : callable
        Record -> what was found, and whether that meets the ask.
    """

    name: str
    case: str
    wanted: str
    judge: Callable[[Record], tuple[str, bool]]


def faster(ours: str, factor: float, peers: Callable[[str], bool]) -> Callable[[Record], tuple[str, bool]]:
    """Judge the time of the fastest right one of some peers, over ours."""

    def judge(record: Record) -> tuple[str, bool]:
        sides = record["sides"]
        best = arithmetic.best(sides, [key for key in sides if not key.startswith("ours") and peers(key)])
        if not arithmetic.is_right(sides[ours]):
            return f"ours: {sides[ours].get('reason') or 'wrong'}", False
        own = f"{sides[ours]['label']} {tables.seconds_text(sides[ours]['seconds'])}"
        if best is None:
            tried = [key for key in sides if not key.startswith("ours") and sides[key]["status"] == "none"]
            times = record["limit"] / sides[ours]["seconds"] if tried else 0.0
            return f"{own}; no peer finished with a right answer in {record['limit']:g} s", times >= factor
        times = arithmetic.ratio(sides[best], sides[ours])
        peer = f"{sides[best]['label']} {tables.seconds_text(sides[best]['seconds'])}"
        return f"{times:.1f} times ({own}; {peer})", times >= factor

    return judge


def less(ours: str, other: str, factor: float) -> Callable[[Record], tuple[str, bool]]:
    """Judge the time of one side of ours over that of another."""

    def judge(record: Record) -> tuple[str, bool]:
        sides = record["sides"]
        for key in (ours, other):
            if not arithmetic.is_right(sides[key]):
                return f"{sides[key]['label']}: {sides[key].get('reason') or 'wrong'}", False
        times = arithmetic.ratio(sides[other], sides[ours])
        seconds = (f"{sides[key]['label']} {tables.seconds_text(sides[key]['seconds'])}" for key in (ours, other))
        return f"{times:.1f} times ({'; '.join(seconds)})", times >= factor

    return judge


def memory(ours: str, most: float) -> Callable[[Record], tuple[str, bool]]:
    """Judge the peak memory over that of the weights."""

    def judge(record: Record) -> tuple[str, bool]:
        side = record["sides"][ours]
        if side["status"] != "ok":
            return side["reason"], False
        weights = record["n_parameters"] * (8 if record["network"]["dtype"] == "float64" else 4)
        share = side.get("highest_bytes", side["peak_bytes"]) / weights
        return f"{share:.2f} times the weights", share <= most

    return judge


def limit(ours: str, least: float) -> Callable[[Record], tuple[str, bool]]:
    """Judge the share of the read bandwidth."""

    def judge(record: Record) -> tuple[str, bool]:
        side = record["sides"][ours]
        if side["status"] != "ok":
            return side["reason"], False
        found = tables.fraction(record, side)
        return f"{found:.0%} ({side['label']})", found >= least

    return judge


def traffic(name: str, least: float) -> Callable[[Record], tuple[str, bool]]:
    """Judge the share of the read bandwidth of one pass over a network on its own."""

    def judge(record: Record) -> tuple[str, bool]:
        (side,) = record["sides"].values()
        if side["status"] != "ok":
            return side["reason"], False
        one = side["passes"][name]
        found = one["bytes_read"] / one["seconds"] / record["read_bandwidth"]
        return f"{found:.0%}", found >= least

    return judge


def _plain(key: str) -> bool:
    return not key.endswith("-huge")


def _any(key: str) -> bool:
    return True


def _named(*keys: str) -> Callable[[str], bool]:
    return lambda key: key in keys


def _norm(case: str, plain: float, huge: float | None) -> list[Ask]:
    asks = [Ask(f"norm {case}", f"norm/{case}/float64", f"{plain:g} times", faster("ours-norm", plain, _plain))]
    if huge:
        judge = faster("ours-norm", huge, _any)
        asks.append(Ask(f"norm {case}, huge pages", f"norm/{case}/float64", f"{huge:g} times", judge))
        asks.append(Ask(f"norm {case}, memory", f"norm/{case}/float64", "at most 1.2", memory("ours-norm", 1.2)))
    return asks


HVP, SPARSE = "hvp/3x4096/float64", "sparse/{}10x2000x104/float64"
ASKS = (
    Ask("node space", HVP, "4 times", faster("ours-node-space", 4.0, _named("jax-product"))),
    Ask("node space, huge pages", HVP, "2.5 times", faster("ours-node-space", 2.5, _named("jax-product-huge"))),
    Ask("parameter space", HVP, "faster", faster("ours-product", 1.0, _plain)),
    Ask("parameter space, huge pages", HVP, "faster", faster("ours-product", 1.0, _any)),
    *_norm("2x1024", 8.0, None),
    *_norm("2x4096", 8.0, 5.0),
    *_norm("3x4096", 8.0, 5.0),
    Ask("64 inputs", "inputs/2x1024/float64", "30 times", faster("ours-together", 30.0, _any)),
    *(
        Ask(
            f"64 inputs together, {width}",
            f"inputs/2x{width}/float64",
            "5 times",
            less("ours-together", "ours-single", 5.0),
        )
        for width in (1024, 4096)
    ),
    Ask("gradient", "gradient/3x4096/float64", "faster", faster("ours-gradient", 1.0, _plain)),
    Ask("gradient, huge pages", "gradient/3x4096/float64", "faster", faster("ours-gradient", 1.0, _any)),
    Ask("tangent kernel", "kernel/3x4096/float64", "faster", faster("ours-kernel", 1.0, _any)),
    Ask("neuron Gram", "gram/3x4096/float64", "faster", faster("ours-gram", 1.0, _any)),
    *(
        Ask(f"training, {dtype}", f"training/3x1024/{dtype}", "1/1.2 times", faster("ours-train", 1.0 / 1.2, _any))
        for dtype in ("float64", "float32")
    ),
    Ask("sparse graph, node space", SPARSE.format(""), "2 times", faster("ours-node-space", 2.0, _any)),
    Ask("sparse graph, uneven, node space", SPARSE.format("uneven-"), "2 times", faster("ours-node-space", 2.0, _any)),
    Ask("sparse graph, parameter space", SPARSE.format(""), "2 times", faster("ours-product", 2.0, _any)),
    *(
        Ask(f"step {case}", f"step/{case}/float64", "70 % of the limit", limit("ours-step", 0.7))
        for case in ("2x4096", "3x4096", "2x8192", "3x8192")
    ),
    Ask("10⁸ edges", "edges/10x104000x100/float64", "50 % of the bandwidth", traffic("M", 0.5)),
    Ask("10⁹ parameters", "size/5x16384/float32", "at most 1.15", memory("ours-norm", 1.15)),
)


def verdicts(records: dict[str, Record]) -> list[tuple[Ask, str, str]]:
    """Return for every ask what was found, and "met", "not met" or "not measured"."""
    found = []
    for ask in ASKS:
        if ask.case not in records:
            found.append((ask, "", NOT_MEASURED))
            continue
        text, met = ask.judge(records[ask.case])
        found.append((ask, text, "met" if met else "not met"))
    return found


def table(records: dict[str, Record]) -> str:
    """Return the table of asks."""
    lines: Iterable[tuple[str, ...]] = (
        (ask.name, f"`{ask.case}`", ask.wanted, text, verdict) for ask, text, verdict in verdicts(records)
    )
    headings = ("ask", "case", "wanted", "found", "")
    return tables.table(headings, ("---", "---", "---", "---", "---"), lines)
