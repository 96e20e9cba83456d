"""The `timbrescope` command. Each group of commands lives in a module of its own that adds them in
`register`.

Loading this module, and `timbrescope --help`, must stay quick: no torch, no librosa, no matplotlib.
Commands import what they use when they run. Errors that are the input's or the machine's fault end
as one line and exit code 1.
"""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ml.errors import TimbrescopeError
from timbrescope import __version__, analysing, concepts, doctor, keys, making, measuring, serving, status

app = typer.Typer(
    name="timbrescope",
    help="Says which instruments play in a recording, and shows why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
serving.register(app)
keys.register(app)
status.register(app)
analysing.register(app)
making.register(app)
measuring.register(app)
concepts.register(app)
doctor.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"timbrescope {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Says which instruments play in a recording, and shows why."""


def _sentence(error: TimbrescopeError) -> str:
    """What is wrong, and what there is instead where the error knows it."""
    available = error.extra.get("available")
    if not isinstance(available, list) or all(str(name) in str(error) for name in available):
        return str(error)
    return f"{error} There are: {', '.join(map(str, available))}."


def main() -> None:
    """Run the command line; what a person can mend is one line, not a traceback."""
    try:
        app()
    except TimbrescopeError as error:
        Console(stderr=True, soft_wrap=True).print(
            f"[bold red]error:[/] {escape(_sentence(error))}", highlight=False
        )
        sys.exit(1)
