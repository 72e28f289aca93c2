"""From line to entry: what an access line says, read back.

Knows the names of the fields and how they may be written. Must never know files, or what is asked of them.
Pure. What it reads may come from anywhere: whatever is no access line is passed over, and nothing raises.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct

from proxy.audit.translate import records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STAMP: Final = 24
_FRACTION: Final = re.compile(r"-?\d+\.\d+", re.ASCII)
_JSON_TEXT: Final = ("[", "{")


class Asked(Struct, omit_defaults=True, gc=False):
    """What one message asked an MCP server for; `arguments` are the named ones.

    Those of a line in our own format are still JSON: most are never looked at.
    """

    method: str | None = None
    tool: str | None = None
    resource: str | None = None
    prompt: str | None = None
    arguments: dict[str, Raw] | None = None

    def values(self) -> Iterator[str]:
        """All that it named: tool, resource, prompt, and the values of its arguments."""
        for name in (self.tool, self.resource, self.prompt):
            if name is not None:
                yield name
        for value in (self.arguments or {}).values():
            yield from _texts(value)


class Entry(Struct, gc=False):
    """One line of the log, read back.

    `timestamp` is RFC 3339 in UTC with milliseconds (24 characters, so that texts sort as their moments do).
    `mcp` is one message or those of a batch. `until` and `count` are of the lines that stand for many
    (`access_dropped`, `access_suppressed`).
    """

    timestamp: str
    event: str
    request_id: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    decision: str | None = None
    reason: str | None = None
    agent_id: str | None = None
    agent_name: str | None = None
    issuer: str | None = None
    audit_url: str | None = None
    mcp: Asked | list[Asked] | None = None
    truncated: bool = False
    sample_rate: float | None = None
    until: str | None = None
    count: int = 0

    @property
    def asked(self) -> list[Asked]:
        """Its messages; a request that is none of MCP is one that names nothing."""
        if self.mcp is None:
            return [_NOTHING]
        return [self.mcp] if isinstance(self.mcp, Asked) else self.mcp or [_NOTHING]


_NOTHING: Final = Asked()
_decode: Final = msgspec.json.Decoder(Entry).decode
_MEMBERS: Final = frozenset(field.name for field in msgspec.structs.fields(Entry))


def read_line(line: bytes) -> Sequence[Entry]:
    """Read one line, in any format; empty where it is no access line, whole and well formed.

    That is one entry, or as many as an OpenTelemetry Collector has put together in a line.
    """
    try:
        entry = _decode(line)
    except UnicodeDecodeError:
        return ()
    except (ValueError, RecursionError):  # msgspec's own is a ValueError
        return _foreign(line)
    at = entry.timestamp
    return (entry,) if (len(at) == _STAMP and at[-1] == "Z" and at[10] == "T") or _dated(entry) else ()


def _foreign(line: bytes) -> list[Entry]:
    try:
        found = [_entry(members) for members in records(_json(line))]
    except (ValueError, RecursionError):
        return []
    return [entry for entry in found if entry is not None and _dated(entry)]


def _entry(members: dict[str, Any]) -> Entry | None:
    """An entry of members of any type; None where one of them cannot be."""
    told = {name: value for name, value in members.items() if name in _MEMBERS and name != "mcp"}
    mcp = members.get("mcp")
    try:
        entry = msgspec.convert(told, Entry)
        if isinstance(mcp, dict):
            entry.mcp = _asked(mcp)
        elif isinstance(mcp, list):
            entry.mcp = [_asked(one) for one in mcp]
    except msgspec.ValidationError:
        return None
    return entry


def _asked(message: object) -> Asked:
    if not isinstance(message, dict):
        raise msgspec.ValidationError
    asked = msgspec.convert({name: value for name, value in message.items() if name != "arguments"}, Asked)
    arguments = message.get("arguments")
    asked.arguments = arguments if isinstance(arguments, dict) else None
    return asked


def _dated(entry: Entry) -> bool:
    """Whether its moment is one; it has the form of ours then."""
    told = _told(entry.timestamp)
    entry.timestamp = told or entry.timestamp
    return told is not None


def _told(at: str) -> str | None:
    """A moment that something else wrote, in the form of an entry."""
    try:
        moment = datetime.fromisoformat(at)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _texts(value: object) -> Iterator[str]:
    """What an argument's value says, as texts: a list's or an object's are those of its members."""
    try:
        if isinstance(value, Raw):
            value = _json(value)
        yield from _leaves(value)
        if isinstance(value, str) and value.startswith(_JSON_TEXT):
            # A line holds a list or an object as its JSON text.
            yield from _leaves(_json(value))
    except (ValueError, RecursionError):
        return


def _leaves(value: object) -> Iterator[str]:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, list):
            left += one
        elif isinstance(one, dict):
            left += one.values()
        elif isinstance(one, str):
            yield one
        elif isinstance(one, bool):
            yield "true" if one else "false"
        elif isinstance(one, _Float):
            # 42 and 42.0 are the same to a server.
            yield from {
                one.text,
                one.text.rstrip("0").rstrip(".") if _FRACTION.fullmatch(one.text) else one.text,
            }
        elif isinstance(one, int):
            yield str(one)


class _Float(float):
    """A number as it was written: what a search for its digits would find."""

    def __init__(self, text: str) -> None:
        self.text = text


_json: Final = msgspec.json.Decoder(float_hook=_Float).decode
