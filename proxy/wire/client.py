"""The protocol toward the client: requests cut from the bytes, one at a time and in order."""

from __future__ import annotations

import asyncio
import select
import time
from math import inf
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from proxy.model import Closing, Peer, Reason, RequestHead
from proxy.wire.exchange import Exchange
from proxy.wire.framing import Chunked, Framing, Malformed, Sized, keeps_alive, request_framing
from proxy.wire.headers import render_reply
from proxy.wire.heads import RequestHeads
from proxy.wire.tls import thumbprint

if TYPE_CHECKING:
    from proxy.wire.listen import Wire

# Between two requests. Longer than the 60 s that load balancers commonly keep, so that they close first.
_KEEP_ALIVE = 75.0
# A refused request's body is read and dropped up to here, so that the connection stays usable.
_DROPPED = 64 * 1024
# What may lie behind the request in hand before reading stops.
_BACKLOG = 64 * 1024
# So many requests of one connection are begun in a row before the others have their turn.
_TURN = 16
# Closing with unread bytes resets the connection and can take the answer with it: the client ends it first.
_LINGER_SECONDS = 2.0
# While the process ends, a connection that has not asked yet gets this long to do so.
_LAST_CALL = 1.0
# A client that has taken nothing of the last answer for so long is given up.
_STALLED = 5.0
_LINGER_BYTES = 256 * 1024


class ClientConnection(asyncio.Protocol):
    """One client connection."""

    __slots__ = (
        "_advancing",
        "_buffer",
        "_dropping",
        "_forgave",
        "_held",
        "_read",
        "_room",
        "_wire",
        "_yields",
        "blocked",
        "broken",
        "closing",
        "deadline",
        "exchange",
        "fresh",
        "peer",
        "slot",
        "transport",
    )

    def __init__(self, wire: Wire) -> None:
        self.deadline = inf
        self.slot = 0
        self.exchange: Exchange | None = None
        self.fresh = True
        """No request has come on it yet."""
        self.closing = False
        """The connection ends with the answer in hand."""
        self.broken = False
        """The rest of what comes has no sure reading."""
        self._wire = wire
        self._buffer = b""
        self._advancing = False
        self._dropping: Framing | None = None
        self._room = 0
        self._held = False
        self._yields = False
        self._forgave = False
        self.blocked = False
        """The client leaves so much unread that nothing more is written for now."""

    # ---- bytes in --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, unless there are too many."""
        self.transport = cast("asyncio.Transport", transport)
        self.serve_under(self._wire)
        refused = self._wire.admit(self)
        if refused is None:
            self._wire.wheel.arm(self, time.monotonic(), self._wire.head_timeout)
        else:
            self._fault(refused, self.peer)

    def serve_under(self, wire: Wire) -> None:
        """Serve what begins from now on as the configuration of `wire` says."""
        self._wire = wire
        name = self.transport.get_extra_info("peername")
        peer = wire.forwarding.peer(name[0] if isinstance(name, tuple) else "")
        secured = self.transport.get_extra_info("ssl_object")
        if secured is not None and (certificate := secured.getpeercert(binary_form=True)):
            peer = replace(peer, certificate=thumbprint(certificate))
        self.peer = peer
        self._read = RequestHeads(self.peer)

    def data_received(self, data: bytes) -> None:
        """Body bytes go to the exchange; everything else waits for its turn."""
        exchange = self.exchange
        if exchange is not None:
            if exchange.receiving:
                exchange.receive(data)
            else:
                self._keep(data)
                if exchange.streams:
                    self.listen()
        elif self.closing:
            self._linger(len(data))
        elif self._dropping is not None:
            self._drop(data)
        elif self.blocked or self._yields:
            self._keep(data)
        elif self._buffer:
            start = len(self._buffer)
            self._buffer += data
            self._advance(max(0, start - 3))
        else:
            self._buffer = data
            self._advance(0)

    def _keep(self, data: bytes) -> None:
        """Keep what has come before its turn, and read no more when that is much."""
        self._buffer += data
        if len(self._buffer) > _BACKLOG:
            self.hold()

    def _advance(self, start: int = 0) -> None:
        """Begin the next request as long as there is one and none is in hand."""
        self._advancing = True
        for _ in range(_TURN):
            if not self._buffer or not self._is_free:
                break
            data = self._buffer
            if data.startswith(b"\r\n") and not self._forgave:  # one empty line is (RFC 9112 2.2)
                self._forgave = True
                data = self._buffer = data[2:]
                start = 0
            end = data.find(b"\r\n\r\n", start)
            start = 0
            if (oversize := self._oversize(data, end)) is not None:
                self._fault(oversize, self.peer)
            elif end < 0:
                self._await_head(data)
                break
            else:
                self._buffer = data[end + 4 :]
                self._begin(data[: end + 4])
        else:
            self._yields = True
            self._wire.loop.call_soon(self._next_turn)
        self._advancing = False

    def _next_turn(self) -> None:
        self._yields = False
        if self.exchange is None and not self.closing:
            self.unhold()
            self._advance()

    @property
    def _is_free(self) -> bool:
        """Whether the next request may begin: not while the client leaves earlier answers unread."""
        idle = self.exchange is None and self._dropping is None
        return idle and not self.closing and not self.blocked and not self._yields

    def _await_head(self, data: bytes) -> None:
        """A head has begun: it has `head_timeout` from here, however slowly its bytes come."""
        line_end = data.find(b"\n")
        if line_end >= 0 and data[line_end - 1 : line_end] != b"\r":
            # With bare LFs the end of the head would never be found.
            self._fault(Reason.REQUEST_MALFORMED, self.peer)
            return
        now, seconds = time.monotonic(), self._wire.head_timeout
        if self.deadline > now + seconds:
            self._wire.wheel.arm(self, now, seconds)

    def _oversize(self, data: bytes, end: int) -> Reason | None:
        size = len(data) if end < 0 else end + 4
        longest_line, longest_head = self._wire.longest_line, self._wire.longest_head
        if size > longest_line and data.find(b"\r\n", 0, longest_line) < 0:
            return Reason.URI_TOO_LONG
        return Reason.HEADERS_TOO_LARGE if size > longest_head else None

    def _begin(self, data: bytes) -> None:
        now = time.monotonic()
        self.deadline = inf
        self._forgave = self.fresh = False
        read = self._read(data)
        if isinstance(read, Reason):
            self._fault(read, self.peer)
            return
        head, refused = read
        fields = head.fields
        # What lies behind a handshake may be for the tunnel: it is never a request.
        self.closing = b"upgrade" in fields or not keeps_alive(fields, http10=head.http10)
        if b"proxy-connection" in fields and b"close" in fields[b"proxy-connection"].lower():
            self.closing = True  # some readers read nothing behind it
        try:
            framing = request_framing(fields, head.repeated, http10=head.http10)
        except Malformed:
            self._fault(Reason.REQUEST_MALFORMED, head)
            return
        if b"expect" in fields and fields[b"expect"].lower() != b"100-continue" and refused is None:
            refused = Reason.REQUEST_MALFORMED
        self.exchange = exchange = Exchange(self._wire, self, head, framing, now)
        exchange.start(refused)

    def take_backlog(self) -> bytes:
        """What has come behind the head in hand."""
        data, self._buffer = self._buffer, b""
        self.unhold()
        return data

    def peek(self, body: Framing, limit: int) -> bytes:
        """The content of the request's body where all of it has come and is no longer than `limit`."""
        if isinstance(body, Sized):
            there = body.left <= min(limit, len(self._buffer))
            return self._buffer[: body.left] if there else b""
        read = Chunked(decode=True)
        try:
            content, _ = read.take(self._buffer)
        except Malformed:
            return b""
        return content if read.done and len(content) <= limit else b""

    def give_back(self, data: bytes) -> None:
        """What turned out to lie behind the body."""
        self._buffer = data

    # ---- answers out -----------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Write to the client."""
        self._wire.outbox.write(self.transport, data)

    def ending(self, exchange: Exchange, *, until_close: bool = False) -> bytes:
        """Decide whether the connection ends with this exchange's answer; returns its Connection line.

        `until_close`: only the end of the connection can end the answer.
        """
        body = exchange.request_body
        if not body.done and exchange.answer is None:
            # The rest would have to be read and dropped; a client that waits for 100 may send it or not.
            vast = isinstance(body, Sized) and body.left > _DROPPED
            awaits = b"expect" in exchange.head.fields and not self._buffer
            until_close = until_close or vast or awaits
        if self.closing or self.broken or until_close or self._wire.draining:
            self.closing = True
            return b"Connection: close\r\n"
        return b"Connection: keep-alive\r\n" if exchange.head.http10 else b""

    def abort(self) -> None:
        """End the connection at once, unfinished."""
        self._wire.outbox.flush()
        self.transport.abort()

    def drain(self, now: float) -> None:
        """Serve what is under way, and close where nothing is; `now` is in monotonic seconds."""
        if self.exchange is not None or self.closing or self._buffer:
            return
        if self.fresh or _has_sent(self.transport):
            self._wire.wheel.arm(self, now, _LAST_CALL)
        else:
            self._close(linger=self._dropping is not None)

    def done(self, exchange: Exchange) -> None:
        """The exchange is over: go on with the next request, or close."""
        self.exchange = None
        if self.transport.is_closing():
            self._await_sending()
            return
        body = exchange.request_body
        self.unhold()
        if self.closing or self.broken or self._wire.draining:
            self._close(linger=self.broken or bool(self._buffer) or not body.done)
            return
        self._wire.wheel.arm(self, time.monotonic(), _KEEP_ALIVE)
        if not body.done:
            self._dropping = body
            self._room = _DROPPED
            data, self._buffer = self._buffer, b""
            self._drop(data)
        if self._buffer and not self._advancing:
            self._advance()

    def _drop(self, data: bytes) -> None:
        """Read and forget the rest of a body whose request has been answered."""
        if self._dropping is None:
            return
        try:
            _, rest = self._dropping.take(data)
        except Malformed:
            self._close(linger=True)
            return
        self._room -= len(data) - len(rest)
        if self._room < 0:
            self._close(linger=True)
        elif self._dropping.done:
            self._dropping = None
            self._buffer = rest
            if rest and not self._advancing:
                self._advance()

    def _fault(self, reason: Reason, seen: RequestHead | Peer) -> None:
        """Answer a request that no exchange could be made of, and end the connection."""
        wire = self._wire
        reply = wire.gate.fault(reason, seen, wire.clock())
        bodiless = isinstance(seen, RequestHead) and seen.method == "HEAD"
        self.send(render_reply(reply, b"Connection: close\r\n", bodiless=bodiless))
        wire.gate.finished(reply.opening, Closing(reply.status, 0, 0 if bodiless else len(reply.body), 0.0))
        self._close(linger=True)

    # ---- pace and end ----------------------------------------------------------------------------------

    def hold(self) -> None:
        """Read no more for now: the upstream, or the request in hand, takes no more."""
        if not self._held:
            self._held = True
            self.transport.pause_reading()

    def listen(self) -> None:
        """Keep reading, or end: on a quiet stream only reading shows that the client has left."""
        if len(self._buffer) > _BACKLOG:
            self.abort()

    def unhold(self) -> None:
        """Read on."""
        if self._held and not self.transport.is_closing():
            self._held = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The client takes no more for now: hold the answer back."""
        self.blocked = True
        if self.exchange is not None:
            self.exchange.hold_answer()

    def resume_writing(self) -> None:
        """The client takes more."""
        self.blocked = False
        if self.exchange is not None:
            self.exchange.unhold_answer()
        elif not self.closing:
            self.unhold()
            self._advance()

    def expired(self, now: float) -> None:
        """Too long without a head (408 where one had begun), idle, or lingering."""
        if self.exchange is not None:
            self.exchange.client_silent()
        elif self._buffer and not self.closing:
            self._fault(Reason.REQUEST_TIMEOUT, self.peer)
        elif self.transport.is_closing() and 0 < self.transport.get_write_buffer_size() < self._room:
            self._await_sending()
        else:
            self.transport.abort()

    def _await_sending(self) -> None:
        """Closing waits for what is unsent: not for ever, where a client never reads it."""
        self._room = self.transport.get_write_buffer_size()
        self._wire.wheel.arm(self, time.monotonic(), _STALLED)

    def _linger(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            self.transport.abort()

    def _close(self, *, linger: bool) -> None:
        self.closing = True
        self._buffer = b""
        self._dropping = None
        self._wire.outbox.flush()
        if not linger or not self.transport.can_write_eof():
            self.transport.close()
            self._await_sending()
            return
        self._room = _LINGER_BYTES
        self.transport.write_eof()
        self._wire.wheel.arm(self, time.monotonic(), _LINGER_SECONDS)

    def eof_received(self) -> bool:
        """A client that closes its side has gone, even where it might still read (as nginx sees it)."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self.deadline = inf
        self.closing = True
        self._wire.dismiss(self)
        exchange = self.exchange
        if exchange is not None:
            exchange.client_gone()


def _has_sent(transport: asyncio.Transport) -> bool:
    """Whether the client has sent what has not been read yet: closed now, it would be lost."""
    if transport.is_closing():
        return False
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))
