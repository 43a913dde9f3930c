"""Mistakes in a study file, one line each: the key, what it must be, what it was, and the nearest name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from assembly.checks import suggest


def mistakes(error: ValidationError, table: Mapping[str, Any], root: type[BaseModel]) -> list[str]:
    """Turn pydantic's errors on a table into one line per key."""
    lines: dict[str, str] = {}
    items = error.errors(include_url=False)
    for item in items:
        if not item["loc"]:  # from _disagreements, already whole lines
            lines.update({line: line for line in str(item["ctx"]["error"]).splitlines()})
            continue
        path, must, known = _walk(item["loc"], root)
        key = _key(path)
        if any(
            other["loc"][: len(path)] == tuple(path) and len(_walk(other["loc"], root)[0]) > len(path)
            for other in items
        ):
            continue  # a table is wrong only because of a key inside it, which has its own line
        if item["type"] == "extra_forbidden":
            near = suggest(str(path[-1]), known) or f" The keys here are {', '.join(known)}."
            lines.setdefault(key, f"The '{key}' key is unknown.{near}")
        elif item["type"] == "missing":
            lines.setdefault(key, f"The '{key}' key is missing. It must be {must}.")
        else:
            hint = str(item.get("ctx", {}).get("error", ""))
            lines.setdefault(key, f"The '{key}' key must be {must}. Got {_show(_at(table, path))}. {hint}".rstrip())
    return list(lines.values())


def _walk(location: tuple[int | str, ...], root: type[BaseModel]) -> tuple[list[int | str], str, list[str]]:
    """Return the path of the deepest key of a location, what it must be, and the keys of its table."""
    model: type[BaseModel] | None = root
    path: list[int | str] = []
    must, known = "", list(root.model_fields)
    for step in location:
        if isinstance(step, int):
            if model is None:
                break  # inside a list of plain values: the key as a whole is named
            path.append(step)
            must = "a table"
            continue
        if model is None:
            break
        path.append(step)
        known = list(model.model_fields)
        field = model.model_fields.get(step)
        if field is None:
            break
        must = field.description or next(
            (str(extra.description) for extra in field.metadata if hasattr(extra, "description")),
            _inside(field.annotation),
        )
        model = _table_of(field.annotation)
    return path, must, known


def _table_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := _table_of(part))), None)


def _inside(annotation: Any) -> str:
    for part in getattr(annotation, "__args__", ()):
        for extra in getattr(part, "__metadata__", ()):
            if getattr(extra, "description", None):
                return str(extra.description)
    return "a value of another type"


def _key(path: Sequence[int | str]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _at(table: Any, path: Sequence[int | str]) -> Any:
    for step in path:
        table = table[step]
    return table


def _show(value: Any, limit: int = 60) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def lower_first(line: str) -> str:
    """Return a sentence that can follow a colon."""
    return line[:1].lower() + line[1:]
