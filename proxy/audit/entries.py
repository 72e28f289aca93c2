"""From line to entry: what an access line says, read back.

Knows the names of the fields and how they may be written. Must never know files, or what is asked of them.
Pure. What it reads may come from anywhere: whatever is no access line is None, and nothing raises.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from json import JSONDecoder
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw, Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STAMP: Final = 24
_FRACTION: Final = re.compile(r"-?\d+\.\d+", re.ASCII)
_JSON_TEXT: Final = ("[", "{")


class Asked(Struct, omit_defaults=True, gc=False):
    """What one message asked an MCP server for; `arguments` are the named ones, each still JSON."""

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
        for raw in (self.arguments or {}).values():
            yield from _texts(bytes(raw))


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


def read_line(line: bytes) -> Entry | None:
    """Read one line; None where it is no access line, whole and well formed."""
    try:
        entry = _decode(line)
    except (ValueError, RecursionError):  # msgspec's own, and UnicodeDecodeError
        return None
    at = entry.timestamp
    if len(at) != _STAMP or at[23] != "Z" or at[10] != "T":
        told = _told(at)
        if told is None:
            return None
        entry.timestamp = told
    return entry


def _told(at: str) -> str | None:
    """A moment that something else wrote, in the form of an entry."""
    try:
        moment = datetime.fromisoformat(at)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _texts(raw: bytes) -> Iterator[str]:
    """What an argument's value says, as texts: a list's or an object's are those of its members."""
    try:
        value = _json(raw.decode())
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
        elif isinstance(one, _Number):
            yield from one.spellings
        elif isinstance(one, str):
            yield one
        elif one is not None:
            yield "true" if one else "false"


class _Number(Struct, gc=False):
    """A number as it was written, for 42 and 42.0 are the same to a server."""

    text: str

    @property
    def spellings(self) -> Mapping[str, None]:
        plain = self.text.rstrip("0").rstrip(".") if _FRACTION.fullmatch(self.text) else self.text
        return dict.fromkeys((self.text, plain))


_json: Final = JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_Number).decode
