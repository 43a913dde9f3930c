"""The command line: words -> one call below -> an exit code. Everything heavy is imported inside the commands.

Exit codes: 0 done, 1 some points of a study failed, 2 an error of the user's (one line says what to do), 130 and 143
stopped by Ctrl-C and by SIGTERM.
"""

from __future__ import annotations

from typing import Annotated

import typer

from assembly import __version__
from assembly.cli import explore, inspect, names, study, train

_INTRODUCTION = """
When does a wide neural network become linear in its parameters, and when does it not?

Build networks as assemblies of sub-models, measure their Hessians and gradients over widths and seeds on real data, fit
how each quantity falls with the width, and compare with what the theory predicts.

**Start here**

    assembly study digits --quick    a first answer, with a report

    assembly study digits            the whole study, in half a minute

    assembly study claims            every claim of the theory, one study each, into one table

    assembly inspect --width 512     one network, looked at closely

    assembly train digits            train a network, and watch how near to linear it stays

    assembly explore                 the same in the browser, by hand

    assembly list                    everything that can be named here
"""
app = typer.Typer(
    name="assembly",
    help=_INTRODUCTION,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        print(f"assembly {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    pass


app.command(help=study.HELP)(study.study)
app.command(help=inspect.HELP)(inspect.inspect)
app.command(help=train.HELP)(train.train)
app.command(help=explore.HELP)(explore.explore)
app.command("list")(names.list_names)


def main() -> None:
    """Run the command line; `assembly.__main__` calls it."""
    app()
