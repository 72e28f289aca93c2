"""The answer of `keystile audit`, written: as a table, as JSON, as CSV; and what the log could not say.

Knows rows and gaps. Must never know how they were found. What a log quotes may be hostile: a terminal gets no
character that would move it, a spreadsheet nothing that it would take for a formula.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING

from msgspec import to_builtins
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.audit import AgentRow, Gaps, Query

_WIDE = 100_000
_MOST_NAMES = 6
_COLUMNS = (
    "agent",
    "name",
    "issuer",
    "calls",
    "first",
    "last",
    "tools",
    "refusals",
    "would_deny",
    "open",
    "audit_url",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def plain(text: str) -> str:
    """Return `text` with whatever a terminal would not print as it is (RFC 8259 section 7) escaped."""
    return "".join(char if char.isprintable() else encode_basestring_ascii(char)[1:-1] for char in text)


def shown(line: bytes) -> bytes:
    """Return a line fit for a terminal; it stays the same JSON."""
    return plain(line.decode("utf-8", "backslashreplace")).encode()


def written(form: str, rows: list[AgentRow], query: Query, gaps: Gaps) -> str:
    """Return the answer as "table", "json" or "csv"."""
    if form == "json":
        return _json(rows, query, gaps)
    return _csv(rows) if form == "csv" else _table(rows)


def notes(query: Query, gaps: Gaps, now: float, *, found: bool) -> Iterator[str]:
    """Say why the answer may not be the whole one, one sentence each."""
    yield from gaps.failed
    if gaps.malformed:
        places = ", ".join(map(str, gaps.places))
        more = ", …" if gaps.malformed > len(gaps.places) else ""
        yield f"{_some(gaps.malformed, 'line')} could not be read: {plain(places)}{more}"
    if gaps.first and query.start is not None and _at(gaps.first) > query.start:
        yield f"the log begins at {_local(gaps.first)}, after --from"
    if gaps.last and query.end is not None and _at(gaps.last) < min(query.end, now):
        yield f"the log has nothing after {_local(gaps.last)}, which is before --to"
    if gaps.dropped:
        yield f"{_some(gaps.dropped, 'line')} found no room in the log (access_dropped)"
    if gaps.cut:
        yield f"{_some(gaps.cut, 'line')} with cut values (truncated) may have named it"
    if gaps.sampled:
        yield "some of these lines stand for others, too (sample_rate)"
    if not found:
        yield "nothing was found" + (_HINT if query.target is not None else "")


_HINT = "; the value of an argument is only logged where log.arguments names it, a resource without its query"


def _table(rows: list[AgentRow]) -> str:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    several = len({row.issuer for row in rows if row.issuer}) > 1
    for name in ("agent", "name", *(["issuer"] if several else [])):
        table.add_column(name, overflow="fold")
    table.add_column("calls", justify="right")
    for name in ("first", "last", "tools", "refusals", "audit_url"):
        table.add_column(name, overflow="fold")
    for row in rows:
        who = [row.agent_id or "(no verified agent)", row.agent_name, *([row.issuer] if several else [])]
        cells = [
            *who,
            f"{row.calls} + {row.open} open" if row.open else str(row.calls),
            _local(row.first),
            _local(row.last),
            _counts(row.tools),
            _refusals(row),
        ]
        table.add_row(*(Text(plain(cell or "")) for cell in (*cells, row.audit_url)))
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)  # a pipe has no edge to break at
    with console.capture() as captured:
        console.print(table)
    body = "\n".join(line.rstrip() for line in captured.get().splitlines())
    return f"{body}\n\n{_sum(rows)}\n"


def _sum(rows: list[AgentRow]) -> str:
    called = [row for row in rows if row.calls or row.open]
    refused = sum(row.refusals for row in rows)
    told = f"{_some(len(called), 'agent')}, {_some(sum(row.calls for row in called), 'call')}"
    if streams := sum(row.open for row in rows):
        told += f"; {_some(streams, 'stream')} without an end"
    return f"{told}; {_some(refused, 'refusal')}" if refused else told


def _refusals(row: AgentRow) -> str:
    told = [f"{row.refusals} ({', '.join(row.reasons)})"] if row.refusals else []
    return ", ".join(told + ([f"{row.would_deny} observed"] if row.would_deny else []))


def _counts(counts: dict[str, int]) -> str:
    most = sorted(counts.items(), key=lambda one: -one[1])
    told = [f"{name} {count}" for name, count in most[:_MOST_NAMES]]
    return ", ".join([*told, "…"] if len(most) > _MOST_NAMES else told)


def _json(rows: list[AgentRow], query: Query, gaps: Gaps) -> str:
    log = {"first": gaps.first, "last": gaps.last, "dropped": gaps.dropped, "truncated": gaps.cut}
    log |= {"malformed": gaps.malformed, "places": list(map(str, gaps.places)), "failed": gaps.failed}
    asked = {name: value for name, value in to_builtins(query).items() if value is not None}
    return json.dumps({"query": asked, "agents": to_builtins(rows), "log": log}, indent=2) + "\n"


def _csv(rows: list[AgentRow]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for row in rows:
        tools = "; ".join(f"{name} {count}" for name, count in row.tools.items())
        who, when = (row.agent_id, row.agent_name, row.issuer, row.calls), (row.first, row.last)
        counts = (row.refusals, row.would_deny, row.open)
        writer.writerow(map(_cell, (*who, *when, tools, *counts, row.audit_url)))
    return text.getvalue()


def _cell(value: str | int | None) -> str | int | None:
    # OWASP: a text that begins so is run by spreadsheets; behind an apostrophe it is a text.
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _at(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def _local(stamp: str) -> str:
    try:
        return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError):
        return stamp


def _some(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
