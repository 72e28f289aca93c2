"""An access line as the dashboard sees it: the members that it shows or asks about.

Pure. What a line says was written by others: it is taken for data, of these kinds and no other. Members that
are not named here are left out, whatever they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from proxy.audit import records

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS = "access"
"""The event of a request that has ended; a stream that began has a line of another."""
DENIED = frozenset({"deny", "would_deny"})
"""The decisions that a rule, or a check before it, was against."""


class Operation(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a message asked an MCP server for."""

    method: str | None = None
    tool: str | None = None
    resource: str | None = None
    prompt: str | None = None
    arguments: dict[str, Any] | None = None


class Seen(Struct, frozen=True, omit_defaults=True, gc=False):
    """One line; as in the log, what is unknown is absent. `mcp` is a list for a batch."""

    timestamp: str
    event: str
    request_id: str | None = None
    client: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    decision: str | None = None
    reason: str | None = None
    rule: str | None = None
    agent_id: str | None = None
    agent_name: str | None = None
    issuer: str | None = None
    scopes: list[str] | None = None
    audit_url: str | None = None
    required_scopes: list[str] | None = None
    mcp: Operation | list[Operation] | None = None
    user_agent: str | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    duration_ms: float | None = None
    upstream_ms: float | None = None
    upstream_status: int | None = None
    worker: int | None = None
    count: int | None = None
    truncated: bool = False

    @property
    def operations(self) -> list[Operation]:
        """What was asked of an MCP server: nothing, one, or a batch."""
        if self.mcp is None:
            return []
        return self.mcp if isinstance(self.mcp, list) else [self.mcp]


class Explained(Seen, frozen=True, omit_defaults=True, gc=False):
    """A line, and where it was refused what would have allowed it."""

    remedy: str | None = None


_decode = msgspec.json.Decoder(Seen).decode


def seen(line: bytes) -> Seen | None:
    """Read a line, of any format; None where it is no line of the log."""
    try:
        return _decode(line)
    # Nesting beyond all reason is no line of ours either.
    except (ValueError, RecursionError):
        return _translated(line)


def _translated(line: bytes) -> Seen | None:
    """Read a line whose fields have other names."""
    try:
        members = next(records(msgspec.json.decode(line)), None)
        return None if members is None else msgspec.convert(members, Seen)
    except (ValueError, RecursionError):
        return None


def names(operation: Operation) -> Iterator[tuple[str, str]]:
    """What an operation names, each with its kind."""
    for kind in ("tool", "resource", "prompt"):
        name = getattr(operation, kind)
        if name is not None:
            yield kind, name
