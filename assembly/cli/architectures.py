"""An architecture as the options of a command give it."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from assembly.errors import ArgumentError

Hidden = Annotated[
    str | None, typer.Option(metavar="m,m,m", help='Widths of the hidden layers; "m" stands for --width.')
]
Activation = Annotated[str | None, typer.Option(metavar="NAME", help="Activation function; tanh if left out.")]
Keys = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another key of the architecture; as often as needed."),
]
Target = Annotated[
    str | None, typer.Option(metavar="NAME", help="Target: its name, a class index, or a column of a file.")
]


def given_keys(named: dict[str, str | None], settings: list[str] | None) -> dict[str, str]:
    """Return the keys of an architecture that were given, by options of their own or by --set."""
    given = {key: text for key, text in named.items() if text is not None}
    for setting in settings or []:
        key, _, text = (part.strip() for part in setting.partition("="))
        if not key or not text or key in ("label", "builder", "widths"):
            raise ArgumentError(
                "The '--set' option must be KEY=VALUE with a key of the architecture, such as readout=gaussian. "
                f"Got {setting!r}."
            )
        given[key] = text
    return given


def options_of(architecture: str, given: dict[str, str]) -> dict[str, Any]:
    """Return all keys of an architecture, those that were given and its own defaults for the rest."""
    from assembly.checks import check_name, suggest
    from assembly.study import reading
    from assembly.study.builders import BUILDERS

    check_name("--architecture", architecture, BUILDERS)
    somewhere = sorted({key for one in BUILDERS.values() for key in one.defaults})
    for key in [key for key in given if key not in somewhere]:
        near = (
            suggest(key, somewhere) or f" The keys of {architecture} are {', '.join(BUILDERS[architecture].defaults)}."
        )
        raise ArgumentError(f"The '--set {key}' option is unknown.{near}")
    lists = {key for one in BUILDERS.values() for key, value in one.defaults.items() if isinstance(value, list)}
    values = {
        key: [_value(one) for one in text.split(",")] if key in lists else _value(text) for key, text in given.items()
    }
    return reading.architecture({"label": architecture, "builder": architecture, **values}).options


def _value(text: str) -> bool | int | float | str:
    """Return what a text stands for in a study file, where texts stand in quotes."""
    import tomllib

    with suppress(tomllib.TOMLDecodeError):
        value = tomllib.loads(f"value = {text.strip()}").get("value")
        if isinstance(value, bool | int | float):
            return value
    return text.strip()
