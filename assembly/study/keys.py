"""What the keys of a study's file may hold, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainValidator
from pydantic_core import core_schema

from assembly import activations
from assembly.architectures.drawing import READOUTS
from assembly.architectures.layered import PARAMETRIZATIONS
from assembly.checks import suggest
from assembly.data import BUILT_IN, FILE_SUFFIXES
from assembly.diagnostics.rates import MINIMUM_REPLICATES, MINIMUM_WIDTHS
from assembly.graph.description import SOFTMAX
from assembly.study import quantities
from assembly.study.builders import BUILDERS, WIDTH_SYMBOL, is_size

LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class _OneOf:
    """A type that takes one of a few names and suggests the nearest one otherwise."""

    names: tuple[str, ...]

    @property
    def description(self) -> str:
        return f"one of {', '.join(self.names)}"

    def check(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.names:
            raise ValueError(suggest(value, self.names).strip() if isinstance(value, str) else "")
        return value

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)


def _size(value: object) -> int | str:
    if not is_size(value) or not isinstance(value, int | str):
        raise ValueError
    return value


def _sizes(value: object) -> tuple[int | str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError
    return tuple(_size(entry) for entry in value)


def _whole_numbers(value: object) -> tuple[int, ...]:
    found = _sizes(value)
    if any(isinstance(entry, str) for entry in found):
        raise ValueError
    return tuple(int(entry) for entry in found)


def _shape(value: object) -> tuple[int, ...]:
    found = _whole_numbers(value)
    if len(found) > 2:
        raise ValueError
    return found


def _padding(value: object) -> int | str:
    if value == "same" or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ValueError


def _source(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    if value.replace("-", "_") in BUILT_IN:
        return value.replace("-", "_")
    if Path(value).suffix.lower() in FILE_SUFFIXES:
        return value
    raise ValueError(suggest(value, BUILT_IN).strip())


def _target(value: object) -> str | int | None:
    if value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="letters, digits, '_', '-' and '.'")]
Text = Annotated[str, Field(description="a text")]
Flag = Annotated[bool, Field(description="true or false")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, description="a number above 0")]
Number = Annotated[float, Field(allow_inf_nan=False, description="a finite number")]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED, description="a whole number of at least 0")]
Count = Annotated[int, Field(ge=1, description="a whole number of at least 1")]
Seeds = Annotated[
    int,
    Field(ge=MINIMUM_REPLICATES, description=f"a whole number of at least {MINIMUM_REPLICATES} (10 are recommended)"),
]
Widths = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...],
    Field(
        strict=False,
        min_length=MINIMUM_WIDTHS,
        description=f"a list of {MINIMUM_WIDTHS} or more different whole numbers of at least 1",
    ),
]
_SIZE_TEXT = f'a whole number of at least 1, "{WIDTH_SYMBOL}", the width, or a multiple such as "2{WIDTH_SYMBOL}"'
OneSize = Annotated[int | str | None, PlainValidator(_size), Field(description=_SIZE_TEXT)]
Sizes = Annotated[
    tuple[int | str, ...] | None,
    PlainValidator(_sizes),
    Field(description=f"a list of layer widths, each {_SIZE_TEXT}"),
]
Wholes = Annotated[
    tuple[int, ...] | None,
    PlainValidator(_whole_numbers),
    Field(description="a list of layer widths, each a whole number of at least 1"),
]
Shape = Annotated[
    tuple[int, ...] | None,
    PlainValidator(_shape),
    Field(description="a list, [length] or [height, width], of whole numbers of at least 1"),
]
Padding = Annotated[
    int | str | None, PlainValidator(_padding), Field(description='"same" or a whole number of at least 0')
]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, description="a number of at least 0")]
Share = Annotated[float, Field(gt=0, le=1, description="a number above 0 and at most 1")]
Fraction = Annotated[float, Field(ge=0, le=1, description="a number from 0 to 1")]
Exponent = Annotated[float, Field(gt=0, allow_inf_nan=False, description="a number above 0")]
Source = Annotated[
    str,
    PlainValidator(_source),
    Field(description=f"one of {', '.join(BUILT_IN)}, or the path of a {', '.join(FILE_SUFFIXES)} file"),
]
Target = Annotated[
    str | int | None, PlainValidator(_target), Field(description="a target's name, a class index, or a column")
]
Activation = Annotated[str | None, _OneOf(activations.NAMES)]
OutputActivation = Annotated[str | None, _OneOf((*activations.NAMES, SOFTMAX))]
Builder = Annotated[str, _OneOf(tuple(BUILDERS))]
Law = Annotated[str | None, _OneOf(READOUTS)]
Parametrization = Annotated[str | None, _OneOf(PARAMETRIZATIONS)]
Dtype = Annotated[str | None, _OneOf(("float64", "float32"))]
Quantity = Annotated[str, _OneOf(quantities.COLUMNS)]
