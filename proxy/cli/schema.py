"""`keystile schema`: what an editor needs to help with the configuration, and what a line of the log is."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from proxy.audit import log_schema
from proxy.config import schema as described


def schema(
    *,
    log: Annotated[
        Literal["keystile", "ecs", "otel"] | None,
        typer.Option(help="Of a line of the access log in this format, instead."),
    ] = None,
) -> None:
    """Print the JSON Schema of the configuration file."""
    print(json.dumps(described() if log is None else log_schema(log), indent=2, sort_keys=True))
