"""Many lines as few rows: who came, what was asked for, what was refused and why.

Pure. Rows are bounded, the newest stand first: who is sent by a thousand names fills no page with them.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from proxy.admin.remedies import remedy
from proxy.admin.seen import ACCESS, DENIED, names
from proxy.audit import AgentRow, Asked, Entry, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from proxy.admin.seen import Seen

MOST_AGENTS = 200
MOST_TOOLS = 100
MOST_REFUSALS = 100
_LINKS = ("https://", "http://")

T = TypeVar("T", bound="AgentRow | Used | Refusal")


class Used(Struct):
    """What became of a tool, a resource or a prompt: `calls` were let through, `refusals` were not."""

    kind: str
    name: str
    last: str
    calls: int = 0
    refusals: int = 0
    agents: int = 0


class Refusal(Struct):
    """Refusals that are alike: of one agent, for one reason, of the same thing."""

    reason: str | None
    decision: str
    status: int | None
    agent: str | None
    agent_name: str | None
    what: str
    remedy: str
    last: str
    count: int = 0


def agents(lines: Iterable[Seen]) -> list[AgentRow]:
    """Return a row for each agent, the one seen last first, with links that may be followed."""
    return linked(newest(summarise(map(_entry, lines)), MOST_AGENTS))


def linked(rows: list[AgentRow]) -> list[AgentRow]:
    """Leave out of rows what is no link of the web."""
    for row in rows:
        row.audit_url = link(row.audit_url)
    return rows


def _entry(line: Seen) -> Entry:
    asked = [Asked(one.method, one.tool, one.resource, one.prompt) for one in line.operations]
    return Entry(
        line.timestamp,
        line.event,
        method=line.method,
        decision=line.decision,
        reason=line.reason,
        agent_id=line.agent_id,
        agent_name=line.agent_name,
        issuer=line.issuer,
        audit_url=line.audit_url,
        mcp=asked or None,
    )


def link(url: str | None) -> str | None:
    """Return a URL that may be followed; of another scheme (`javascript:`) it may not."""
    return url if url is not None and url.lower().startswith(_LINKS) else None


def tools(lines: Iterable[Seen]) -> list[Used]:
    """Return a row for each tool, resource and prompt that was named, the one used last first."""
    found: dict[tuple[str, str], Used] = {}
    callers: dict[tuple[str, str], set[tuple[str | None, str]]] = {}
    for line in lines:
        if line.event != ACCESS:
            continue
        for operation in line.operations:
            for key in names(operation):
                row = found.setdefault(key, Used(*key, line.timestamp))
                denied = line.decision == "deny"
                row.calls += not denied
                row.refusals += denied
                row.last = max(row.last, line.timestamp)
                if line.agent_id is not None:
                    callers.setdefault(key, set()).add((line.issuer, line.agent_id))
    for key, row in found.items():
        row.agents = len(callers.get(key, ()))
    return newest(found.values(), MOST_TOOLS)


def refusals(lines: Iterable[Seen], hierarchy: Mapping[str, Iterable[str]]) -> list[Refusal]:
    """Return a row for refusals that are alike, the latest first; `hierarchy` as for `remedy`."""
    found: dict[tuple[object, ...], Refusal] = {}
    for line in lines:
        if line.event != ACCESS or line.decision not in DENIED:
            continue
        asked = what(line)
        key = (line.reason, line.decision, line.issuer, line.agent_id, asked)
        row = found.get(key)
        if row is None:
            row = found[key] = Refusal(
                line.reason, line.decision or "", line.status, line.agent_id, None, asked, "", line.timestamp
            )
        row.count += 1
        if row.count == 1 or line.timestamp >= row.last:
            row.last, row.status, row.agent_name = line.timestamp, line.status, line.agent_name
            row.remedy = remedy(line, hierarchy)
    return newest(found.values(), MOST_REFUSALS)


def what(line: Seen) -> str:
    """Return what a request was about, in few words: what it names, or its method and path."""
    said = [f"{kind} {name}" for operation in line.operations for kind, name in names(operation)]
    if not said:
        said = [operation.method for operation in line.operations if operation.method is not None]
    if not said:
        return f"{line.method or '?'} {line.path or '?'}"
    return said[0] if len(said) == 1 else f"{said[0]} and {len(said) - 1} more"


def newest(rows: Iterable[T], most: int) -> list[T]:
    """Return the newest of some rows, the latest first."""
    ordered: Sequence[T] = sorted(rows, key=attrgetter("last"), reverse=True)
    return list(ordered[:most])
