"""The commands: one file each, registered here. Exit codes: 0 done, 1 failed, 2 the input is wrong."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from proxy.cli.audit import audit
from proxy.cli.check import check
from proxy.cli.demo import demo
from proxy.cli.explain import explain
from proxy.cli.revoke import revoke
from proxy.cli.run import run
from proxy.cli.schema import schema
from proxy.cli.token import token

__all__ = ["app", "main"]

app = typer.Typer(
    name="keystile",
    help="An authenticating reverse proxy in front of any unmodified MCP or HTTP server.",
    no_args_is_help=True,
    # A pretty traceback shows local variables, and a local variable can be a token.
    pretty_exceptions_enable=False,
)
for _command in (run, check, explain, audit, revoke, token, demo, schema):
    app.command()(_command)


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
