"""Access logs as the proxy writes them, for those who read them back."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from unittest import mock

from proxy.audit.line import Lines
from proxy.model import Call
from tests.support.records import caller, closing, opening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.model import Caller

_LINES = Lines(0)


def agent(name: str, /, **changed: Any) -> Caller:
    """A verified caller; `name` stands in its id, its name and its audit URL."""
    told = {"id": f"acc_{name}", "name": name, "audit_url": f"https://agentlair.dev/audit/acc_{name}"}
    return caller(**told | changed)


def at(said: str) -> float:
    """Unix seconds of an ISO 8601 moment, in UTC where it names no zone."""
    moment = datetime.fromisoformat(said if said[-1] == "Z" else f"{said}Z")
    return moment.timestamp()


def recall(key: Any, tool: str = "recall") -> Call:
    return Call("tools/call", tool, arguments={"key": key})


def line(moment: str, who: Caller | None, mcp: Call | tuple[Call, ...] | None, **changed: Any) -> bytes:
    """One access line; a refusal where `decision` says so."""
    status = {"deny": 403}.get(changed.get("decision", "allow"), 200)
    told = opening(timestamp=at(moment), caller=who, mcp=mcp, **changed)
    return _LINES.access(told, closing(status=status))


def started(moment: str, who: Caller | None, mcp: Call | None, **changed: Any) -> bytes:
    """The line of a stream that has started."""
    return _LINES.stream_open(opening(timestamp=at(moment), caller=who, mcp=mcp, **changed), 200)


def dropped(first: str, last: str, count: int) -> bytes:
    """The line that stands for those that found no room."""
    return _LINES.summary("access_dropped", {"allow": count}, at(first), at(last))


@contextmanager
def utc() -> Iterator[None]:
    """Have this process live in UTC."""
    with mock.patch.dict(os.environ, {"TZ": "UTC"}):
        time.tzset()
        yield
    time.tzset()
