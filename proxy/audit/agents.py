"""Who did it: entries, added up by agent.

Knows entries that were asked for. Must never know what was asked. Pure. What was counted in several places
can be put together, in the order of the lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.audit.entries import Asked, Entry

_MOST_NAMES: Final = 200
_OTHERS: Final = "…"


class AgentRow(Struct):
    """What one agent did, of what was asked for. An agent is who an issuer says it is: (issuer, agent id).

    `calls` are messages and requests that were let through, `would_deny` those among them that only observe
    mode let through, `refusals` those that were not. `first` and `last` are RFC 3339 in UTC. `tools` counts
    the calls by tool, else by the MCP or the HTTP method, `reasons` the refusals; names beyond 200 are
    counted together. `agent_id` is None for those whom nobody vouches for. Name and URL are the latest.
    """

    agent_id: str | None
    agent_name: str | None
    issuer: str | None
    first: str
    last: str
    calls: int = 0
    refusals: int = 0
    would_deny: int = 0
    tools: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    audit_url: str | None = None


class Tally:
    """Adds up entries."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str | None, str | None], AgentRow] = {}

    def add(self, entry: Entry, asked: list[Asked]) -> None:
        """Count `asked`, the messages of `entry` that are meant.

        A stream has a line when it starts and its access line when it ends: only the latter counts.
        """
        if entry.event != "access":
            return
        key = (entry.issuer, entry.agent_id)
        at = entry.timestamp
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = AgentRow(entry.agent_id, None, entry.issuer, at, at)
        row.first = min(row.first, at)
        if at >= row.last:
            row.last = at
            row.agent_name = entry.agent_name or row.agent_name
            row.audit_url = entry.audit_url or row.audit_url
        if entry.decision == "deny":
            row.refusals += len(asked)
            _count(row.reasons, entry.reason or entry.decision, len(asked))
            return
        row.calls += len(asked)
        row.would_deny += len(asked) if entry.decision == "would_deny" else 0
        for one in asked:
            _count(row.tools, one.tool or one.method or entry.method or _OTHERS, 1)

    def merge(self, later: Tally) -> None:
        """Add what was counted in lines behind these."""
        for key, other in later._rows.items():
            row = self._rows.get(key)
            if row is None:
                self._rows[key] = other
                continue
            row.first = min(row.first, other.first)
            if other.last >= row.last:
                row.last = other.last
                row.agent_name = other.agent_name or row.agent_name
                row.audit_url = other.audit_url or row.audit_url
            row.calls += other.calls
            row.refusals += other.refusals
            row.would_deny += other.would_deny
            for mine, theirs in ((row.tools, other.tools), (row.reasons, other.reasons)):
                for name, count in theirs.items():
                    _count(mine, name, count)

    def rows(self) -> list[AgentRow]:
        """One row for each agent: most calls first, then whoever came first."""
        return sorted(self._rows.values(), key=lambda row: (-row.calls, row.first, row.agent_id or ""))


def summarise(entries: Iterable[Entry]) -> list[AgentRow]:
    """Add up what `search` has found."""
    tally = Tally()
    for entry in entries:
        tally.add(entry, entry.asked)
    return tally.rows()


def _count(counts: dict[str, int], name: str, more: int) -> None:
    # A refused call may name any tool: clients must not decide how much this remembers.
    if name not in counts and len(counts) >= _MOST_NAMES:
        name = _OTHERS
    counts[name] = counts.get(name, 0) + more
