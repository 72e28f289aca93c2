"""Records as the gate hands them to the access log, and the logs that are read back."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from proxy.audit import configure_operations
from proxy.audit.line import fragment
from proxy.model import Caller, Closing, Identity, Opening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ARRIVAL = 1_767_225_600.25  # 2026-01-01T00:00:00.250Z


def identity(**changed: Any) -> Identity:
    values: dict[str, Any] = {
        "id": "acc_demo",
        "issuer": "https://agentlair.dev",
        "scopes": ("memory:read", "memory:write"),
        "audience": ("https://mcp.example.com/mcp",),
        "claims": {},
        "until": ARRIVAL + 600,
        "name": "demo",
        "audit_url": "https://agentlair.dev/audit/acc_demo",
        "token_id": "jti-1",
        "key_id": "key-1",
    }
    return Identity(**values | changed)


def caller(**changed: Any) -> Caller:
    who = identity(**changed)
    return Caller(who, frozenset(who.scopes), b"", fragment(who))


def opening(**changed: Any) -> Opening:
    values: dict[str, Any] = {
        "timestamp": ARRIVAL,
        "request_id": "0123456789abcdef",
        "client": "192.0.2.7",
        "decision": "allow",
        "method": "POST",
        "path": "/mcp",
    }
    return Opening(**values | changed)


def closing(**changed: Any) -> Closing:
    values: dict[str, Any] = {"status": 200, "bytes_in": 0, "bytes_out": 2, "seconds": 0.0015}
    return Closing(**values | changed)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until `holds()`, which another thread or the file system will bring about."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - neither tells an event loop
            await asyncio.sleep(0.01)


@contextmanager
def operator_log(stream: TextIO) -> Iterator[None]:
    """Send the operator's log to `stream`."""
    root = logging.getLogger()
    before = root.handlers
    configure_operations(stream)
    try:
        yield
    finally:
        root.handlers = before
        structlog.reset_defaults()


@contextmanager
def operations(path: Path) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Send the operator's log to `path`; what is yielded reads its lines back."""
    with path.open("w") as stream, operator_log(stream):
        yield lambda: [json.loads(line) for line in path.read_text().splitlines()]
