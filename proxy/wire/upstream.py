"""The protocol toward the upstream: one connection, which serves one exchange at a time.

It finds the head of each answer and hands head and body bytes to the exchange; it never decides what
becomes of them.
"""

from __future__ import annotations

import asyncio
import time
from math import inf
from typing import TYPE_CHECKING, cast

from proxy.model import Reason
from proxy.wire.heads import ResponseHeads

if TYPE_CHECKING:
    from proxy.wire.exchange import Exchange
    from proxy.wire.pool import Pool

_LONGEST_HEAD = 64 * 1024
_MOST_INTERIM = 16
_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL = 200
# What a server gets to take the last bytes of a tunnel.
_FLUSH = 5.0


class UpstreamConnection(asyncio.Protocol):
    """One connection to the upstream, idle in the pool or bound to one exchange."""

    __slots__ = (
        "_buffer",
        "_held",
        "_interim",
        "_pool",
        "_read",
        "deadline",
        "exchange",
        "lent",
        "reused",
        "slot",
        "transport",
    )

    def __init__(self, pool: Pool) -> None:
        self.deadline = inf
        self.slot = 0
        self.exchange: Exchange | None = None
        self.reused = False
        self._pool = pool
        self._read = ResponseHeads()
        self._buffer = b""
        self._interim = 0
        self._held = False
        self.lent = -1
        """The outbox's turn in which the exchange's head was written."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read a head, or pass body bytes on."""
        exchange = self.exchange
        if exchange is None:
            # Bytes that answer nothing: with the next exchange they would be somebody else's answer.
            self.abort()
            return
        if exchange.answer is not None:
            exchange.content(data)
        elif self.lent == self._pool.outbox.turn:
            # The request has not left yet, so this answers an earlier one: it came too late to be seen as
            # its surplus, and just in time to be taken for somebody else's answer.
            exchange.failed(Reason.UPSTREAM_MALFORMED)
        else:
            self._read_head(exchange, data)

    def _read_head(self, exchange: Exchange, data: bytes) -> None:
        start = len(self._buffer)
        if start:
            data = self._buffer + data
        end = data.find(b"\r\n\r\n", max(0, start - 3))
        if end < 0:
            self._buffer = data
            if len(data) > _LONGEST_HEAD:
                exchange.failed(Reason.UPSTREAM_MALFORMED)
            return
        self._buffer = b""
        head = self._read(data[: end + 4])
        if head is None or end > _LONGEST_HEAD:
            exchange.failed(Reason.UPSTREAM_MALFORMED)
        elif head.status < _FIRST_FINAL and b"transfer-encoding" in head.fields:
            # It has no body to code (RFC 9112 6.1); some readers would find one.
            exchange.failed(Reason.UPSTREAM_MALFORMED)
        elif head.status >= _FIRST_FINAL:
            self._interim = 0
            exchange.answered(head, data[end + 4 :])
        elif head.status == _SWITCHING_PROTOCOLS:
            self._interim = 0
            exchange.switched(head, data[end + 4 :])
        elif self._interim == _MOST_INTERIM:
            exchange.failed(Reason.UPSTREAM_MALFORMED)
        else:
            self._interim += 1
            exchange.interim(head)
            if len(data) > end + 4:
                self._read_head(exchange, data[end + 4 :])

    @property
    def has_answered(self) -> bool:
        """Whether any byte of the current exchange's answer has come."""
        return bool(self._buffer) or self._interim > 0

    def hold(self) -> None:
        """Read no more for now: the client takes no more."""
        self._held = True
        self.transport.pause_reading()

    def unhold(self) -> None:
        """Read on."""
        if self._held and not self.transport.is_closing():
            self._held = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The upstream takes no more for now: hold the client's body back."""
        if self.exchange is not None:
            self.exchange.client.hold()

    def resume_writing(self) -> None:
        """The upstream takes more."""
        if self.exchange is not None:
            self.exchange.client.unhold()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the exchange, or leave the pool."""
        self.deadline = inf
        exchange, self.exchange = self.exchange, None
        self._pool.lost(self)
        if exchange is not None:
            exchange.upstream_lost(self, clean=exc is None)

    def expired(self, now: float) -> None:
        """Too long idle in the pool, or too long silent in an exchange."""
        if self.exchange is None:
            if self.transport.is_closing():
                self.transport.abort()
            else:
                self.transport.close()
        else:
            self.exchange.upstream_silent()

    def finish(self) -> None:
        """End the connection once what was written has left: a tunnel's last words are for the server."""
        self.exchange = None
        self._pool.outbox.flush()
        self.transport.close()
        self.touched(_FLUSH)

    def abort(self) -> None:
        """End the connection at once; nothing more goes out or comes in."""
        self.exchange = None
        self.transport.abort()

    def touched(self, seconds: float) -> None:
        """Something moved: the next thing has to move within `seconds`."""
        self._pool.wheel.arm(self, time.monotonic(), seconds)
