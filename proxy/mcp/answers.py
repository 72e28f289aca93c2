"""What becomes of an upstream's answer: sessions and ids of events leave sealed, lists leave filtered.

Implements the model's `Answer` and `Transform`. Whose answer it is and what that caller may use come in as
values; nothing here knows a token or a rule. Streamable HTTP's `Mcp-Session-Id`, and the `endpoint` event of
the transport before it, name a session: neither leaves as it came.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.mcp.endpoint import told
from proxy.mcp.event_ids import EventIds
from proxy.mcp.lists import filtered
from proxy.mcp.sessions import LONGEST, digest
from proxy.mcp.sse import Events
from proxy.model import Changes, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.mcp.endpoint import Endpoints
    from proxy.mcp.sessions import Purpose, Seals
    from proxy.mcp.sse import Event
    from proxy.model import Caller, Kind, Transform

    Usable = Callable[[Kind, str, Caller | None], bool]

_OK, _PARTIAL = 200, 206
_EVENTS = b"text/event-stream"
_SESSION_ID = re.compile(rb"[!-~]{1,%d}" % LONGEST)
_UTF_8 = frozenset({b"utf-8", b"utf8", b"us-ascii"})
_SESSION = frozenset({b"mcp-session-id"})


class Answering(Struct, frozen=True):
    """What is the same for every answer of a rule.

    `limit` is the bytes of one document or event that are looked at, at most: what is longer goes to nobody.
    `endpoints` resolves the URIs of HTTP with SSE; None where the rule does not speak it. `endpoint_told` is
    called when one is given out, which opens a session there.
    """

    seals: Seals
    limit: int
    endpoints: Endpoints | None = None
    endpoint_told: Callable[[], None] | None = None


class McpAnswer(Struct, frozen=True, gc=False):
    """Decides over the answer to one request, whose `method` and `target` are as they came.

    `caller` is who asked. `usable` says what they may use; without it no list is filtered. `modern` says
    that the request is of 2026-07-28 or later, which has no sessions. `opened` is called with the digest of
    the session that the answer names. `resumes`: the ids of its events are sealed, for `session` where the
    request named one.
    """

    answering: Answering
    caller: Caller | None
    method: str
    target: bytes
    usable: Usable | None = None
    modern: bool = False
    opened: Callable[[str], None] | None = None
    resumes: bool = False
    session: bytes | None = None

    def changes(
        self, status: int, fields: Mapping[bytes, bytes], repeated: frozenset[bytes]
    ) -> Changes | Reason | None:
        """Return what to change, None where nothing is; a reason where nobody may have the answer."""
        session = fields.get(b"mcp-session-id")
        # Of several such lines the value has a space.
        if session is not None and _SESSION_ID.fullmatch(session) is None:
            return Reason.UPSTREAM_MALFORMED
        transform = self._transform(status, fields, repeated)
        if isinstance(transform, Reason):
            return transform
        if session is None:
            return None if transform is None else Changes(transform=transform)
        return Changes(_SESSION, b"" if self.modern else self._sealed(session), transform)

    def sealed(self, purpose: Purpose, value: bytes, session: bytes = b"") -> bytes:
        """Return what stands for a session, or for an event of one, to the one agent who may use it."""
        identity = None if self.caller is None else self.caller.identity
        return self.answering.seals.seal(purpose, value, identity, session)

    def may_use(self, kind: Kind, name: str) -> bool:
        """Say whether a list shows this to who asked."""
        return self.usable is None or self.usable(kind, name, self.caller)

    def _sealed(self, session: bytes) -> bytes:
        """Return the line that names the session to its own agent."""
        sealed = self.sealed("session", session)
        if self.opened is not None:
            self.opened(digest(sealed))
        return b"Mcp-Session-Id: %b\r\n" % sealed

    def _transform(  # noqa: PLR0911 - every kind of answer, in order
        self, status: int, fields: Mapping[bytes, bytes], repeated: frozenset[bytes]
    ) -> Transform | Reason | None:
        """Return what the content passes through, None where it goes on as it came."""
        endpoints = self.answering.endpoints if self.method == "GET" else None
        if self.usable is None and endpoints is None and not self.resumes:
            return None
        media = fields.get(b"content-type", b"")
        streams, whole, readable = _nature(media)
        if streams and not media.lower().startswith(_EVENTS):
            # For some clients it would be one: it would neither be filtered nor end with its token.
            return Reason.UPSTREAM_MALFORMED
        coding = fields.get(b"content-encoding", b"identity").lower()
        plain = readable and coding == b"identity" and b"content-type" not in repeated
        if self.usable is not None:
            # Some clients read a list in whatever it comes.
            unnamed = not whole and not streams and status == _OK and self.method == "POST"
            if status == _PARTIAL or b"content-range" in fields or (whole and streams):
                return Reason.UPSTREAM_MALFORMED
            if whole or unnamed:
                return _Document(self.answering.limit, self, whole) if plain else Reason.UPSTREAM_MALFORMED
        if not streams:
            return None
        if self.usable is None and endpoints is None:
            return self._ids(fields) if plain else None
        return _Stream(self, endpoints, self._ids(fields)) if plain else Reason.UPSTREAM_MALFORMED

    def _ids(self, fields: Mapping[bytes, bytes]) -> EventIds | None:
        if not self.resumes:
            return None
        session = self.session or fields.get(b"mcp-session-id", b"")
        return EventIds(lambda number: self.sealed("event", number, session))


class _Document(Struct, gc=False):
    """A JSON document, or what may be one without being `named` so: seen whole before any of it leaves."""

    whole: int | None
    answer: McpAnswer
    named: bool

    def feed(self, data: bytes) -> bytes | None:
        """As `Transform.feed`."""
        if not self.named and b"{" not in data:
            return data
        return filtered(data, self.answer.may_use, modern=self.answer.modern)

    def end(self) -> bytes:
        """As `Transform.end`: all of it has been fed."""
        return b""


class _Stream:
    """A stream of events: one leaves when it is whole, and only what must change is recomposed."""

    __slots__ = ("_answer", "_endpoints", "_events", "_ids", "whole")

    def __init__(self, answer: McpAnswer, endpoints: Endpoints | None, ids: EventIds | None) -> None:
        self.whole: int | None = None
        self._answer = answer
        self._endpoints = endpoints
        self._ids = ids
        self._events = Events(answer.answering.limit)

    def feed(self, data: bytes) -> bytes | None:
        """As `Transform.feed`."""
        events = self._events.cut(data)
        if events is None:
            return None
        out: list[bytes] = []
        for event in events:
            new = self._changed(event)
            if new is None:
                return None
            out.append(new)
        told = b"".join(out)
        return told if self._ids is None else self._ids.feed(told)

    def end(self) -> bytes:
        """As `Transform.end`: an event that is unfinished is none."""
        return b""

    def _changed(self, event: Event) -> bytes | None:
        data, answer = event.data, self._answer
        if data is None:
            return event.raw
        if event.name == b"endpoint" and self._endpoints is not None:
            uri = self._endpoints.resolved(data, answer.target)
            if uri is None:
                return None
            sealed = answer.sealed("endpoint", uri)
            if answer.answering.endpoint_told is not None:
                answer.answering.endpoint_told()
            return event.with_data(told(answer.target, sealed))
        if answer.usable is None:
            return event.raw
        new = filtered(data, answer.may_use, modern=answer.modern)
        if new is data:
            return event.raw
        return None if new is None else event.with_data(new)


# Servers say few of them, again and again.
@lru_cache(maxsize=64)
def _nature(media: bytes) -> tuple[bool, bool, bool]:
    """Tell whether a Content-Type is of events, is of JSON, and may be in UTF-8.

    Clients look for the first two anywhere in the line.
    """
    media = media.lower()
    parameters = media.translate(None, b' \t"').split(b";")[1:]
    charsets = {
        value for name, _, value in (part.partition(b"=") for part in parameters) if name == b"charset"
    }
    return b"event-stream" in media, b"json" in media, charsets <= _UTF_8
