"""What a process that serves stands on: checked and set before it opens anything."""

from __future__ import annotations

import resource
import sys

import typer
from aiohttp.http_parser import HttpResponseParser

# Where the C extension is there, the parser's name stands for its class.
_EXTENSION = "aiohttp._http_parser"


def take_footing() -> None:
    """Leave no core dumps, which would hold tokens and keys; exit 1 where aiohttp has no C extension.

    Its parser in Python reads some messages as no other does (CVE-2025-69224): keys are fetched with it.
    """
    if HttpResponseParser.__module__ != _EXTENSION:
        print(
            "keystile: aiohttp runs without its C extension, and its other parser is not to be trusted;"
            " unset AIOHTTP_NO_EXTENSIONS, or install aiohttp from a wheel",
            file=sys.stderr,
        )
        raise typer.Exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
