"""How every command takes its configuration: a file, or the environment where none is named."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from proxy import reading
from proxy.config import Config, ConfigError

_WRONG_INPUT = 2

ConfigFile = Annotated[
    Path | None,
    typer.Argument(
        help="The YAML file. Without one, the KEYSTILE_… variables are the configuration.",
        show_default=False,
    ),
]


def refused(error: Exception) -> typer.Exit:
    """Say what is wrong with the input, in the words of `error`, and exit 2."""
    print(f"keystile: {error}", file=sys.stderr)
    return typer.Exit(_WRONG_INPUT)


def read(path: Path | None, seen: set[Path] | None = None) -> Config:
    """Load the configuration; print every fault on standard error and exit 2 where there is one.

    `seen` takes every file whose text has become part of it.
    """
    try:
        return reading.read(path, os.environ, seen)
    except ConfigError as error:
        where = str(path) if path is not None else "environment"
        for fault in error.faults:
            print(f"{where}: {fault}", file=sys.stderr)
        count = len(error.faults)
        print(f"{count} fault{'s' if count > 1 else ''}; nothing was done", file=sys.stderr)
        raise typer.Exit(_WRONG_INPUT) from None
