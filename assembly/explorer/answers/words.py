"""How answers look to a reader: numbers of four figures, tables of text, and all of it as JSON."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple


class Table(NamedTuple):
    """The numbers behind a picture, as text.

    Attributes
    ----------
    title : str
    heading : tuple of str
    rows : tuple of tuple of str
    """

    title: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def number(value: float) -> str:
    """Return a number as the page shows it, four figures; a dash where there is none.

    Examples
    --------
    >>> number(0.0991234), number(float("nan"))
    ('0.09912', '-')
    """
    return f"{value:.4g}" if math.isfinite(value) else "-"


def as_json(answer: Any) -> Any:
    """Return an answer as dictionaries, lists, numbers and texts; NaN and infinity become None.

    Examples
    --------
    >>> as_json(Table("Sizes", ("width",), (("64",),)))
    {'title': 'Sizes', 'heading': ['width'], 'rows': [['64']]}
    """
    if dataclasses.is_dataclass(answer):
        return {one.name: as_json(getattr(answer, one.name)) for one in dataclasses.fields(answer)}
    if isinstance(answer, Table):
        return as_json(answer._asdict())
    if isinstance(answer, dict):
        return {key: as_json(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [as_json(value) for value in answer]
    return None if isinstance(answer, float) and not math.isfinite(answer) else answer


def capital(text: str) -> str:
    """Return a sentence with a capital letter in front.

    Examples
    --------
    >>> capital("no slope")
    'No slope'
    """
    return text[:1].upper() + text[1:]
