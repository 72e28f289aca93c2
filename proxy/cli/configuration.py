"""How every command takes its configuration: a file, or the environment where none is named."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from proxy.authn import KeySetError, assertion_key, unreadable, unusable
from proxy.config import Config, ConfigError, Fault, RevocationFile, load

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


def read(path: Path | None) -> Config:
    """Load the configuration; print every fault on standard error and exit 2 where there is one."""
    try:
        return _with_files(load(path, os.environ))
    except ConfigError as error:
        where = str(path) if path is not None else "environment"
        for fault in error.faults:
            print(f"{where}: {fault}", file=sys.stderr)
        count = len(error.faults)
        print(f"{count} fault{'s' if count > 1 else ''}; nothing was done", file=sys.stderr)
        raise typer.Exit(_WRONG_INPUT) from None


def _with_files(config: Config) -> Config:
    """Pass a configuration whose files can be used: what is in them is not the loader's to know."""
    faults = [Fault(at, None, why, "mend it, or name another") for at, why in unusable(config.issuers)]
    if config.assertion is not None:
        try:
            assertion_key(config.assertion.key)
        except KeySetError as error:
            remedy = "make one, as in openssl genpkey -algorithm ed25519"
            faults.append(Fault("assertion.key", None, str(error), remedy))
    if isinstance(config.revocations, RevocationFile):
        why = unreadable(config.revocations.path)
        if why is not None:
            faults.append(Fault("revocations", None, why, "mend the list; [] revokes nothing"))
    if faults:
        raise ConfigError(tuple(faults))
    return config
