"""What the dashboard shows at a glance: how the process fares, and the lines of the last while as rows.

Pure. A snapshot, the lines and the configuration go in, plain values come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from proxy.admin.readiness import readiness
from proxy.admin.seen import ACCESS
from proxy.admin.tally import agents, refusals, tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.admin.seen import Seen
    from proxy.admin.snapshot import Snapshot
    from proxy.config import Config

_START = "process_start_time_seconds"
_SUPPRESSED = frozenset({"access_suppressed", "access_dropped"})


def overview(
    snapshot: Snapshot, lines: Sequence[Seen], config: Config, version: str, now: float
) -> dict[str, Any]:
    """Return all that the page shows but the lines themselves; `now` is in Unix seconds."""
    judged = readiness(snapshot)
    began = snapshot.process.get(_START)
    return {
        "version": version,
        "mode": config.mode,
        "asks_for_token": config.admin is not None and config.admin.token is not None,
        "uptime_seconds": None if began is None else max(round(now - began, 1), 0.0),
        "status": judged.status,
        "problems": judged.problems,
        **judged.facts,
        "connections": snapshot.wire.connections,
        "streams": snapshot.wire.streams,
        "recent": _recent(lines),
        "agents": agents(lines),
        "tools": tools(lines),
        "refusals": refusals(lines, config.scopes),
    }


def _recent(lines: Sequence[Seen]) -> dict[str, Any]:
    calls = [line for line in lines if line.event == ACCESS]
    return {
        "calls": len(calls),
        "denied": sum(line.decision == "deny" for line in calls),
        "would_deny": sum(line.decision == "would_deny" for line in calls),
        "failed": sum(line.decision == "allow" and (line.status or 0) >= 500 for line in calls),  # noqa: PLR2004 - RFC 9110 section 15.6
        "untold": sum(line.count or 0 for line in lines if line.event in _SUPPRESSED),
        "since": min((line.timestamp for line in calls), default=None),
    }
