"""`keystile check`: is this configuration whole, and is it meant as it stands?"""

from __future__ import annotations

from typing import Annotated

import typer

from proxy.cli.configuration import ConfigFile, read
from proxy.config import advice


def check(
    config: ConfigFile = None,
    *,
    strict: Annotated[
        bool, typer.Option("--strict", help="Tell what is legal but unwise, too; exit 1 if anything is told.")
    ] = False,
) -> None:
    """Read a configuration and say what is wrong with it: all of it at once, with exit code 2.

    A warning names a trap: where a request that leaves an argument or a method out meets a rule or an entry
    that needs less.
    """
    loaded = read(config)
    told = [f"warning: {one}" for one in advice.warnings(loaded)]
    if strict:
        told += [f"unwise: {one}" for one in advice.unwise(loaded)]
    for line in told:
        typer.echo(line, err=True)
    if strict and told:
        raise typer.Exit(1)
    print(f"ok: {len(loaded.issuers)} issuer(s), {len(loaded.rules)} rule(s), upstream {loaded.upstream.url}")
