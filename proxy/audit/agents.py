"""Who did it: entries, added up by agent.

Knows entries that were asked for. Must never know what was asked. Pure. What was counted in several places
can be put together, in the order of the lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct, field, structs

from proxy.audit.entries import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.audit.entries import Asked

    _Agent = tuple[str | None, str | None]

_MOST_NAMES: Final = 200
_OTHERS: Final = "…"


class AgentRow(Struct):
    """What one agent did, of what was asked for. An agent is who an issuer says it is: (issuer, agent id).

    `calls` are messages and requests that were let through, `would_deny` those among them that only observe
    mode let through, `refusals` those that were not. `open` are streams that have started and have no access
    line: they go on, or were cut off with the process. `first` and `last` are RFC 3339 in UTC. `tools` counts
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
    open: int = 0
    tools: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    audit_url: str | None = None


class Tally:
    """Adds up entries.

    A stream has a line when it starts and its access line when it ends: only the latter counts as a call. The
    two can stand in different parts of a log. `since` is about when the first of these lines was written, in
    the form of an entry: of requests that arrived before, the start may stand in a part before this one.
    """

    def __init__(self, since: str = "") -> None:
        self.since = since
        self._rows: dict[_Agent, AgentRow] = {}
        self._open: dict[str, AgentRow] = {}
        self._ended: set[str] = set()

    def add(self, entry: Entry, asked: list[Asked]) -> None:
        """Count `asked`, the messages of `entry` that are meant."""
        ident = entry.request_id or ""
        if entry.event != "access":
            self._open[ident] = _row(entry)
            return
        if self._open.pop(ident, None) is None and entry.timestamp <= self.since:
            self._ended.add(ident)
        row = self._rows.get((entry.issuer, entry.agent_id))
        if row is None:
            row = self._rows[entry.issuer, entry.agent_id] = _row(entry)
        elif entry.timestamp >= row.last:
            _renew(row, entry)
        elif entry.timestamp < row.first:
            row.first = entry.timestamp
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
        _join(self._rows, later._rows.items())
        self._open |= later._open
        self._ended |= later._ended

    def rows(self) -> list[AgentRow]:
        """One row for each agent: most calls first, then whoever came first."""
        rows = {key: structs.replace(row) for key, row in self._rows.items()}
        left = (row for ident, row in self._open.items() if ident not in self._ended)
        _join(rows, (((row.issuer, row.agent_id), structs.replace(row, open=1)) for row in left))
        return sorted(rows.values(), key=lambda row: (-row.calls, row.first, row.agent_id or ""))


def summarise(entries: Iterable[Entry]) -> list[AgentRow]:
    """Add up what `search` has found."""
    tally = Tally()
    for entry in entries:
        tally.add(entry, entry.asked)
    return tally.rows()


def _row(entry: Entry) -> AgentRow:
    at = entry.timestamp
    return AgentRow(entry.agent_id, entry.agent_name, entry.issuer, at, at, audit_url=entry.audit_url)


def _renew(row: AgentRow, later: Entry | AgentRow) -> None:
    row.last = later.timestamp if isinstance(later, Entry) else later.last
    row.agent_name = later.agent_name or row.agent_name
    row.audit_url = later.audit_url or row.audit_url


def _join(rows: dict[_Agent, AgentRow], more: Iterable[tuple[_Agent, AgentRow]]) -> None:
    for key, other in more:
        row = rows.get(key)
        if row is None:
            rows[key] = other
            continue
        row.first = min(row.first, other.first)
        if other.last >= row.last:
            _renew(row, other)
        row.calls += other.calls
        row.refusals += other.refusals
        row.would_deny += other.would_deny
        row.open += other.open
        for mine, theirs in ((row.tools, other.tools), (row.reasons, other.reasons)):
            for name, count in theirs.items():
                _count(mine, name, count)


def _count(counts: dict[str, int], name: str, more: int) -> None:
    # A refused call may name any tool: clients must not decide how much this remembers.
    if name not in counts and len(counts) >= _MOST_NAMES:
        name = _OTHERS
    counts[name] = counts.get(name, 0) + more
