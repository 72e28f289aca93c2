"""The commands: one file each, named here. Exit codes: 0 done, 1 failed, 2 the input is wrong.

A command's file is imported when it is called: `keystile audit` needs nothing of the proxy itself, and is
there in a third of the time.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

__all__ = ["app", "main"]

_COMMANDS = ("run", "check", "explain", "audit", "revoke", "token", "demo", "schema")


class _Commands(TyperGroup):
    """Each command is the function of its file's name in that file."""

    def list_commands(self, _: Any) -> list[str]:
        """The names, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, _: Any, cmd_name: str) -> Any:
        """The command of that name; None where there is none."""
        if cmd_name not in _COMMANDS:
            return None
        alone = typer.Typer(add_completion=False)
        alone.command()(getattr(import_module(f"proxy.cli.{cmd_name}"), cmd_name))
        return typer.main.get_command(alone)


app = typer.Typer(
    name="keystile",
    help="An authenticating reverse proxy in front of any unmodified MCP or HTTP server.",
    cls=_Commands,
    no_args_is_help=True,
    # A pretty traceback shows local variables, and a local variable can be a token.
    pretty_exceptions_enable=False,
)


def _version(told: bool) -> None:  # noqa: FBT001 - typer hands it over by position
    if told:
        print(f"keystile {version('keystile')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    told: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Take what stands before the command: `_version` has done all there is to do."""


def main() -> None:
    """Run the command line."""
    app()
