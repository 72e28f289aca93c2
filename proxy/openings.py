"""What is known of a request before it is judged: ids, client, trace. The first half of its access line."""

from __future__ import annotations

import re
import secrets
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.model import Opening, Peer, RequestHead

if TYPE_CHECKING:
    from proxy.wire import Forwarding

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,64}")


class Trace(Struct, frozen=True, gc=False):
    """A trace context (W3C Trace Context 3.2): its id, its traceparent, whether it is the caller's own."""

    id: str
    parent: bytes
    own: bool


class Begun(Struct, frozen=True, gc=False):
    """What is known of a request: its record, its trace, and the lines that tell the upstream who asks."""

    opening: Opening
    trace: Trace
    forwarding: bytes


class _Seen(Struct, frozen=True, gc=False):
    """What a head says of a request, but for what varies: the same for each that has it in common."""

    client: str
    forwarding: bytes
    path: str | None
    request_id: str | None
    client_request_id: str | None
    user_agent: str | None


class Openings:
    """Begins the record of each request of one process."""

    def __init__(self, forwarding: Forwarding) -> None:
        self._forwarding = forwarding
        # Unique across processes by the prefix, within one by the count: no request waits for randomness.
        self._prefix = secrets.token_hex(8)
        self._count = count()
        self._random = Random(secrets.randbits(128))  # noqa: S311 - trace ids are no secrets, W3C asks for uniqueness

    def begin(self, head: RequestHead, now: float) -> Begun:
        """Return what is known of a request."""
        seen: _Seen | None = head.common.get(self)
        if seen is None:
            seen = head.common[self] = self._seen(head)
        trace = trace_of(head.fields.get(b"traceparent")) or self._new_trace()
        opening = Opening(
            now,
            seen.request_id or self._request_id(),
            seen.client,
            "deny",
            None,
            head.method,
            seen.path,
            trace.id,
            seen.client_request_id,
            user_agent=seen.user_agent,
        )
        return Begun(opening, trace, seen.forwarding)

    def _seen(self, head: RequestHead) -> _Seen:
        client, forwarding = self._forwarding.client(head)
        told, agent = _client_request_id(head), head.fields.get(b"user-agent")
        trusted = head.peer.trusted
        return _Seen(
            client,
            forwarding,
            # Of a target in another form nothing is told: it may hold a password.
            head.target.partition(b"?")[0].decode("latin-1") if head.target.startswith(b"/") else None,
            told if trusted else None,
            None if trusted else told,
            None if agent is None else agent.decode("utf-8", "replace"),
        )

    def unread(self, peer: Peer, now: float) -> Opening:
        """Return what is known of a request that could not be read."""
        return Opening(now, self._request_id(), peer.address, "deny")

    def _request_id(self) -> str:
        return f"{self._prefix}{next(self._count):012x}"

    def _new_trace(self) -> Trace:
        digits = self._random.randbytes(24).hex()
        # Sampled, so that an upstream that traces goes on doing what it did without us.
        return Trace(digits[:32], f"00-{digits[:32]}-{digits[32:]}-01".encode(), own=False)


def trace_of(told: bytes | None) -> Trace | None:
    """Return the caller's own trace, where `told` is a valid traceparent."""
    valid = None if told is None else _TRACEPARENT.fullmatch(told)
    return Trace(valid[1].decode(), valid[0], own=True) if valid else None


def _client_request_id(head: RequestHead) -> str | None:
    told = head.fields.get(b"x-request-id")
    return told.decode() if told is not None and _REQUEST_ID.fullmatch(told) else None
