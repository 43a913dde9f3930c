"""`assembly explore`: start the explorer."""

from __future__ import annotations

from typing import Annotated

import typer

from assembly.cli.manners import (
    polite,
)
from assembly.errors import ArgumentError

HELP = """
Explore networks in the browser: drag the width, and see what becomes linear and what does not.

A server is started on this machine, for this machine alone, and its page is opened; nothing leaves it.

**Examples**

    assembly explore

    assembly explore --lesson 07

    assembly explore --port 8080 --no-browser
"""


def explore(
    port: Annotated[
        int | None, typer.Option(metavar="N", help="Port; 5006 if left out, or a free one where that is taken.")
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Address to listen on, for visitors from other machines, who need the token that is printed; "
            "this machine alone if left out. Not encrypted.",
        ),
    ] = None,
    lesson: Annotated[str | None, typer.Option(metavar="NN", help="Open at the network of a lesson, 01 to 10.")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Start the explorer."""
    with polite(options={"port": "--port", "host": "--host"}):
        _need_explorer()
        from assembly.checks import check_name
        from assembly.explorer.serve import serve
        from assembly.lessons import LESSONS

        query = "" if lesson is None else LESSONS[check_name("--lesson", lesson, LESSONS)].explorer
        serve(port, host, query=query, opens_browser=not no_browser, tell=_tell_address)


def _need_explorer() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("panel", "panel_material_ui", "bokeh") if find_spec(name) is None]
    if missing:
        raise ArgumentError(
            f"The explorer needs the packages of its extra: pip install 'assembly-perspective[explorer]'. "
            f"Missing: {', '.join(missing)}."
        )


def _tell_address(address: str) -> None:
    print(f"Explorer: {address}\nCtrl-C ends it.", flush=True)
