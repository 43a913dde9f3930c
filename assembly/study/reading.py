"""A study from its file, from the command line and back: by name, from TOML text, with other widths.

Every mistake in a file is reported at once, one line each, with the key, what it must be and what it was.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from assembly import activations
from assembly.checks import check_name, suggest
from assembly.data import BUILT_IN
from assembly.errors import ArgumentError, ConfigurationError, UnknownNameError
from assembly.study.mistakes import lower_first, mistakes
from assembly.study.specification import ArchitectureSpecification, Specification, SuiteSpecification, conflicts


def named_studies() -> dict[str, str]:
    """Return the studies that come with the package, name to title."""
    return _titles("studies")


def named_suites() -> dict[str, str]:
    """Return the suites of studies that come with the package, name to title."""
    return _titles("suites")


def _titles(folder: str) -> dict[str, str]:
    files = {name: _shipped(folder) / f"{name}.toml" for name in _names(folder)}
    return {name: str(tomllib.loads(path.read_text("utf-8")).get("title", "")) for name, path in files.items()}


def _names(folder: str) -> list[str]:
    return sorted(path.name.removesuffix(".toml") for path in _shipped(folder).iterdir() if path.name.endswith(".toml"))


def load(source: str | Path) -> Specification:
    """Read a study by name, or from a TOML file.

    Parameters
    ----------
    source : str or Path
        A name of `named_studies`, or the path of a file that ends in ``.toml``. Paths of data in it are relative to it.

    Raises
    ------
    UnknownNameError
        If `source` is neither a known name nor the path of a TOML file.
    ConfigurationError
        If the file cannot be read, is no TOML, or holds a misspelt key or a wrong value; all of them, one line each.

    Examples
    --------
    >>> load("digits").widths
    (32, 64, 128, 256, 512, 1024)
    """
    name, studies, suites = str(source), _names("studies"), _names("suites")
    if name in studies:
        return parse((_shipped("studies") / f"{name}.toml").read_text("utf-8"), origin=f"{name}.toml")
    if name in suites:
        raise UnknownNameError(f"The study {name!r} is a suite of several; load_suite reads it.")
    path = Path(source)
    if path.suffix.lower() != ".toml":
        names = [*studies, *suites]
        near = suggest(name, names) or f" The names are {', '.join(names)}."
        raise UnknownNameError(
            f"The study must be a name of `assembly list` or the path of a .toml file. Got {name!r}.{near}"
        )
    return parse(_text_of(path), origin=path.name, folder=path.resolve().parent)


def load_suite(source: str | Path) -> tuple[SuiteSpecification, list[Specification]] | None:
    """Read a suite by name, or from a TOML file, with its studies; None if `source` is a study or unknown.

    Raises
    ------
    UnknownNameError
        If the suite names an unknown study.
    ConfigurationError
        If the file, or one of its studies, cannot be read or holds a mistake; if two studies share a name.

    Examples
    --------
    >>> suite, studies = load_suite("claims")
    >>> suite.members[0].study, studies[0].name, load_suite("digits")
    ('claim-01-independent', 'claim-01-independent', None)
    """
    name, path = str(source), Path(source)
    if name in _names("suites"):
        text, origin = (_shipped("suites") / f"{name}.toml").read_text("utf-8"), f"{name}.toml"
    elif name not in _names("studies") and path.suffix.lower() == ".toml":
        text, origin = _text_of(path), path.name
    else:
        return None
    table = _table(text, origin)
    if "members" not in table:
        return None
    try:
        suite = SuiteSpecification.model_validate(table)
    except ValidationError as error:
        lines = mistakes(error, table, SuiteSpecification)
        raise ConfigurationError("\n".join(f"{origin}: {lower_first(line)}" for line in lines)) from None
    studies = [load(_beside(path, member.study)) for member in suite.members]
    names = [study.name for study in studies]
    for twice in (name for i, name in enumerate(names) if name in names[:i]):
        raise ConfigurationError(f"{origin}: the 'members' key must hold every study once. Got {twice!r} twice.")
    return suite, studies


def _beside(suite: Path, study: str) -> str | Path:
    is_file = Path(study).suffix.lower() == ".toml" and not Path(study).is_absolute()
    return suite.resolve().parent / study if is_file else study


def _text_of(path: Path) -> str:
    name = str(path)
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"The study file {name!r} does not exist: check the path.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The study file {name!r} is no text in UTF-8: save it as a TOML file.") from None
    except OSError as error:
        raise ConfigurationError(f"The study file {name!r} cannot be read: {error.strerror}.") from None


def _table(text: str, origin: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{origin}: no valid TOML: {lower_first(str(error)).rstrip('.')}.") from None


def parse(text: str, origin: str = "study", folder: Path | None = None) -> Specification:
    """Read a study from TOML text.

    Parameters
    ----------
    text : str
        The contents of a study file.
    origin : str
        Its name, the first word of every error.
    folder : Path, optional
        Paths of data are taken relative to it.

    Raises
    ------
    ConfigurationError
        If the text is no TOML, or holds a misspelt key or a wrong value; all of them, one line each.

    Examples
    --------
    >>> from assembly.study.reading import dump, load
    >>> parse(dump(load("digits"))) == load("digits")
    True
    """
    specification = validate(_table(text, origin), origin)
    data = specification.data
    if folder is not None and data.source not in BUILT_IN and not Path(data.source).is_absolute():
        moved = data.model_copy(update={"source": str(folder / data.source)})
        return specification.model_copy(update={"data": moved})
    return specification


def validate(table: Mapping[str, Any], origin: str = "study") -> Specification:
    """Return the specification of a table of plain values, or raise `ConfigurationError` with every mistake."""
    try:
        return Specification.model_validate(dict(table))
    except ValidationError as error:
        lines = mistakes(error, table, Specification)
        raise ConfigurationError("\n".join(f"{origin}: {lower_first(line)}" for line in lines)) from None


def architecture(table: Mapping[str, Any]) -> ArchitectureSpecification:
    """Return one architecture from the options of a command line, or raise `ConfigurationError` with every mistake."""
    try:
        found = ArchitectureSpecification.model_validate(dict(table))
        lines = list(conflicts(found))
    except ValidationError as error:
        lines = mistakes(error, table, ArchitectureSpecification)
    if lines:
        raise ConfigurationError("\n".join(_of_option(line) for line in lines)) from None
    return found


def _of_option(line: str, own: Sequence[str] = ("hidden", "activation")) -> str:
    """Return a sentence on a key as one on the option that gave it: one of its own, or --set."""

    def told(found: re.Match[str]) -> str:
        return f"'{'--' if found[1] in own else '--set '}{found[1]}{found[2]}' option"

    return re.sub(r"'(\w+)((?:\[\d+\])?)' key", told, line, count=1)


def override(
    specification: Specification,
    *,
    widths: Sequence[int] | None = None,
    seeds: int | None = None,
    activation: str | None = None,
    quick: bool = False,
) -> Specification:
    """Return the study with the changes of the command line.

    Parameters
    ----------
    specification : Specification
    widths : sequence of int, optional
        Of every architecture; sorted before use.
    seeds : int, optional
        Replicates at each width.
    activation : str, optional
        Of every hidden layer of every architecture.
    quick : bool
        Apply the study's ``[quick]`` table first.

    Raises
    ------
    UnknownNameError
        If `activation` is none of the package's.
    ArgumentError
        If `quick` is asked of a study without a ``[quick]`` table.
    ConfigurationError
        If a value is wrong.
    """
    table = specification.model_dump(exclude_none=True)
    table.pop("quick", None)
    if quick:
        if specification.quick is None:
            raise ArgumentError(
                f"The '--quick' option needs a [quick] table in the study {specification.name!r}: "
                "add one, or use --widths."
            )
        changes = specification.quick.model_dump(exclude_none=True)
        if "n_measured" in changes:
            table["data"] = {**table["data"], "n_measured": changes.pop("n_measured")}
        table.update(changes)
    if widths is not None:
        table["widths"] = sorted(widths)
        for entry in table["architectures"]:
            entry.pop("widths", None)
    if seeds is not None:
        table["seeds"] = seeds
    if activation is not None:
        check_name("--activation", activation, activations.NAMES)
        table["architectures"] = [{**entry, "activation": activation} for entry in table["architectures"]]
    try:
        return validate(table, origin=specification.name)
    except ConfigurationError as error:
        options = [name for name, value in (("widths", widths), ("seeds", seeds)) if value is not None]
        lines = [_of_option(line, options) if _is_on(line, options) else line for line in str(error).splitlines()]
        raise ConfigurationError("\n".join(lines)) from None


def _is_on(line: str, keys: Sequence[str]) -> bool:
    return any(f"the '{key}' key" in line or f"the '{key}[" in line for key in keys)


def dump(specification: Specification) -> str:
    """Return the study as TOML text with every default written out; `parse` gives an equal one back."""
    return tomli_w.dumps(specification.model_dump(exclude_none=True))


def _shipped(folder: str) -> Any:
    return resources.files("assembly.study") / folder
