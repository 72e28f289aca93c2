"""From record to bytes: one request, one JSON line.

Knows the names and the order of the fields, and that a value may be hostile. Must never know the output,
the clock, or why a request was decided as it was. Pure, but for a memo of the current second.

A line is printable ASCII and ends in one LF: all else stands as a JSON escape (RFC 8259 section 7), so that
no control character, ANSI sequence, U+2028 or lone surrogate can split or repaint it, whatever reads it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.json import Encoder
from msgspec.structs import replace

from proxy.audit.text import CAP, calls, capped, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.model import Call, Closing, Identity, Note, Opening, Reason

_TEXTS = ("request_id", "client_request_id", "trace_id", "client", "method", "path", "rule", "user_agent")
_DELETE = 0x7F
_UNPRINTABLE = re.compile(r"[^\n -~]")
# Three digits from a table: formatting them costs more than the rest of a timestamp.
_THREE = tuple(f"{number:03d}" for number in range(1000))

_encode = Encoder().encode


class _Identity(Struct, omit_defaults=True, gc=False):
    """Who asked: the middle of a line, made once per token."""

    agent_id: str
    agent_name: str | None = None
    issuer: str | None = None
    scopes: tuple[str, ...] | None = None
    audit_url: str | None = None
    token_id: str | None = None
    key_id: str | None = None
    audience: tuple[str, ...] | None = None


class _Before(Struct, omit_defaults=True, gc=False):
    """What stands before the identity, in the order of the line."""

    timestamp: str
    level: str
    event: str
    request_id: str | None = None
    client_request_id: str | None = None
    trace_id: str | None = None
    client: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    decision: str | None = None
    reason: Reason | Note | None = None
    rule: str | None = None


class _After(Struct, omit_defaults=True, gc=False):
    """What stands behind the identity; `required_scopes` is left out when empty, `truncated` when false."""

    required_scopes: tuple[str, ...] = ()
    mcp: Call | tuple[Call, ...] | None = None
    user_agent: str | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    duration_ms: float | None = None
    upstream_ms: float | None = None
    upstream_status: int | None = None
    worker: int | None = None
    truncated: bool = False


class _Summary(Struct, gc=False):
    timestamp: str
    level: str
    event: str
    until: str
    count: int
    reasons: Mapping[str, int]
    worker: int


def fragment(identity: Identity) -> bytes:
    """The JSON members of `identity`, without braces; made once for a token.

    Nothing is cut here: the values were signed by a configured issuer and are bounded by the size of a token,
    and a shortened id would be somebody else's.
    """
    members = _Identity(
        whole(identity.id),
        None if identity.name is None else whole(identity.name),
        whole(identity.issuer),
        tuple(map(whole, identity.scopes)),
        None if identity.audit_url is None else whole(identity.audit_url),
        None if identity.token_id is None else whole(identity.token_id),
        None if identity.key_id is None else whole(identity.key_id),
        tuple(map(whole, identity.audience)),
    )
    return _printable(_encode(members))[1:-1]


class Lines:
    """Renders the lines of one process; `worker` is its number among the processes on one port."""

    def __init__(self, worker: int) -> None:
        self._worker = worker
        self._second = -1
        self._prefix = ""

    def access(self, opening: Opening, closing: Closing) -> bytes:
        """The one line of a request that has ended.

        `timestamp` is the moment the request arrived, not the moment of writing.
        """
        opening, truncated = _tamed(opening)
        upstream_seconds = closing.upstream_seconds
        mcp, cut = calls(opening.mcp)
        after = _After(
            opening.required,
            mcp,
            opening.user_agent,
            closing.bytes_in,
            closing.bytes_out,
            int(closing.seconds * 1_000_000 + 0.5) / 1000,
            None if upstream_seconds is None else int(upstream_seconds * 1_000_000 + 0.5) / 1000,
            closing.upstream_status,
            self._worker,
            truncated or cut,
        )
        # What a rule would have refused says so for good, however its answer ended.
        reason = opening.reason if opening.decision == "would_deny" else closing.reason or opening.reason
        return self._line("access", opening, closing.status, reason, after)

    def stream_open(self, opening: Opening, status: int) -> bytes:
        """The line that says a long answer has started; its access line follows when it ends."""
        opening, truncated = _tamed(opening)
        mcp, cut = calls(opening.mcp)
        after = _After(
            opening.required, mcp, opening.user_agent, worker=self._worker, truncated=truncated or cut
        )
        return self._line("stream_open", opening, status, opening.reason, after)

    def summary(self, event: str, counts: Mapping[str, int], first: float, last: float) -> bytes:
        """The one line that stands for many that were not written.

        `counts` maps a reason (or a decision) to how many; `first` and `last` are when those requests
        arrived, in Unix seconds.
        """
        total = sum(counts.values())
        start, end = self._stamp(first), self._stamp(last)
        return _encode(_Summary(start, "warning", event, end, total, counts, self._worker)) + b"\n"

    def _line(
        self, event: str, opening: Opening, status: int, reason: Reason | Note | None, after: _After
    ) -> bytes:
        level = "error" if status >= 500 else "info" if opening.decision == "allow" else "warning"  # noqa: PLR2004 - RFC 9110 section 15.6
        before = _Before(
            self._stamp(opening.timestamp),
            level,
            event,
            opening.request_id,
            opening.client_request_id,
            opening.trace_id,
            opening.client,
            opening.method,
            opening.path,
            status,
            opening.decision,
            reason,
            opening.rule,
        )
        head, tail = _encode(before)[:-1], _encode(after)[1:]
        if opening.caller is None:
            return _printable(b"".join((head, b",", tail, b"\n")))
        return _printable(b"".join((head, b",", opening.caller.fragment, b",", tail, b"\n")))

    def _stamp(self, at: float) -> str:
        """`at` (Unix seconds) as RFC 3339 in UTC with milliseconds."""
        second, millisecond = divmod(int(at * 1000), 1000)
        if second != self._second:
            self._second = second
            self._prefix = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}."
        return f"{self._prefix}{_THREE[millisecond]}Z"


def _tamed(opening: Opening) -> tuple[Opening, bool]:
    """`opening` with nothing in it that cannot stand in a line, and whether a value had to be cut.

    Almost always that is `opening` itself: one look at all its values together finds nothing to do.
    """
    seen = (
        f"{opening.request_id}{opening.client_request_id}{opening.trace_id}{opening.client}{opening.method}"
        f"{opening.path}{opening.rule}{opening.user_agent}"
    )
    if len(seen) <= CAP and seen.isascii() and "?" not in seen:
        return opening, False
    changed = {}
    truncated = False
    for name in _TEXTS:
        value: str | None = getattr(opening, name)
        if value is not None:
            # The gate hands over no query; should it ever, it stops here.
            changed[name], cut = capped(value.partition("?")[0] if name == "path" else value)
            truncated = truncated or cut
    return replace(opening, **changed), truncated


def _printable(line: bytes) -> bytes:
    """Escape what is not printable ASCII; in JSON that is only found within strings."""
    if line.isascii() and _DELETE not in line:
        return line
    return _UNPRINTABLE.sub(lambda found: encode_basestring_ascii(found[0])[1:-1], line.decode()).encode()
