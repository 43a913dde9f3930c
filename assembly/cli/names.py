"""`assembly list`: everything that can be named."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from assembly.cli.manners import first_clause, make_console, polite

if TYPE_CHECKING:
    from assembly.study.builders import Builder

_LIST_WIDTH = 100


def list_names() -> None:
    """Show every architecture, activation function, data set, study and quantity that can be named."""
    with polite():
        from assembly import activations
        from assembly.data import BUILT_IN, FILE_SUFFIXES
        from assembly.study.builders import BUILDERS, COMMON
        from assembly.study.quantities import QUANTITIES
        from assembly.study.reading import named_studies, named_suites

        console = make_console()
        console.width = min(console.width, _LIST_WIDTH)
        files = {f"*{suffix}": "a file of your own: numbers, the last column is the target" for suffix in FILE_SUFFIXES}
        quantities = {
            one.column: f"{first_clause(one.meaning)}{' (on request)' if one.is_on_request else ''}"
            for one in QUANTITIES
        }
        _show_names(console, "studies", named_studies())
        _show_names(console, "suites of studies", named_suites())
        _show_names(console, "data sets", {**BUILT_IN, **files})
        console.print("architectures (`builder` in a study file, --architecture here)", style="italic")
        _print_plainly(console, f"  keys of all or most of them: {_as_keys(COMMON)}", "    ")
        for builder in BUILDERS.values():
            _show_builder(console, builder)
        console.print()
        _show_names(console, "activation functions", activations.FORMULAS)
        _show_names(console, "quantities (in a study file; {l} is a hidden layer)", quantities)


def _show_names(console: Console, title: str, entries: Mapping[str, str]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False, title=title, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column()
    for name, line in entries.items():
        table.add_row(f"  {name}", line)
    console.print(table)
    console.print()


def _show_builder(console: Console, builder: Builder) -> None:
    from assembly.study.builders import COMMON

    own = {key: value for key, value in builder.defaults.items() if key not in COMMON}
    shared = [key for key in builder.defaults if key in COMMON]
    console.print()
    _print_plainly(console, f"  {builder.name}  {builder.text}", "    ")
    console.print()
    for line in builder.picture.strip("\n").splitlines():
        console.print(f"      {line}", markup=False)
    console.print()
    _print_plainly(console, f"    width: {builder.width_rule}", "      ")
    _print_plainly(console, f"    keys: {_as_keys(own)}; and {', '.join(shared)}", "      ")


def _as_keys(defaults: Mapping[str, Any]) -> str:
    return ", ".join(key if value is None else f"{key} = {json.dumps(value)}" for key, value in defaults.items())


def _print_plainly(console: Console, text: str, indent: str) -> None:
    for line in textwrap.wrap(text, console.width, subsequent_indent=indent, break_on_hyphens=False):
        console.print(line, markup=False)
