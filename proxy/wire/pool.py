"""Connections to the upstream: kept open, lent out last-in first-out, bounded.

An exchange that finds none waits here for the next one that is dialled or comes back.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING

from proxy.model import Reason
from proxy.wire.upstream import UpstreamConnection

if TYPE_CHECKING:
    from proxy.config import Upstream
    from proxy.wire.deadlines import Wheel
    from proxy.wire.exchange import Exchange

# Servers commonly close an idle connection after 5 to 75 s; whoever closes second never meets the race.
_IDLE = 60.0


class Pool:
    """The connections to one upstream, at most `upstream.connections` of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, upstream: Upstream, wheel: Wheel) -> None:
        self.wheel = wheel
        self._loop = loop
        self._upstream = upstream
        self._tls = ssl.create_default_context() if upstream.scheme == "https" else None
        self._idle: list[UpstreamConnection] = []
        self._waiting: deque[Exchange] = deque()
        self._dialling: set[asyncio.Task[None]] = set()
        self._open = 0

    def take(self, exchange: Exchange) -> UpstreamConnection | None:
        """An idle connection; or None, and `exchange` is given one, or told why not, later."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        self.dial(exchange)
        return None

    def dial(self, exchange: Exchange) -> None:
        """Open a connection for `exchange`; at the limit, let it wait for one to come back."""
        self._waiting.append(exchange)
        if self._open < self._upstream.connections:
            self._start_dialling()
        else:
            self._loop.call_later(self._upstream.timeouts.connect, self._give_up, exchange)

    def put(self, connection: UpstreamConnection) -> None:
        """`connection` is free: the longest-waiting exchange gets it, else it stays idle."""
        connection.exchange = None
        while self._waiting:
            exchange = self._waiting.popleft()
            if exchange.is_waiting:
                exchange.connected(connection)
                return
        self._idle.append(connection)
        self.wheel.arm(connection, time.monotonic(), _IDLE)

    def lost(self, connection: UpstreamConnection) -> None:
        """`connection` has closed."""
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if self._waiting and len(self._dialling) < len(self._waiting):
            self._start_dialling()

    async def close(self) -> None:
        """Close what is idle and stop dialling; what serves an exchange is the exchange's to end."""
        for task in self._dialling:
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        for connection in tuple(self._idle):
            connection.transport.close()

    def _start_dialling(self) -> None:
        self._open += 1
        task = self._loop.create_task(self._dial())
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self) -> None:
        upstream = self._upstream
        try:
            async with asyncio.timeout(upstream.timeouts.connect):
                if upstream.scheme == "unix":
                    _, connection = await self._loop.create_unix_connection(self._make, upstream.path)
                else:
                    _, connection = await self._loop.create_connection(
                        self._make, upstream.host, upstream.port, ssl=self._tls
                    )
        except (OSError, ssl.SSLError, ssl.CertificateError):  # a TimeoutError is an OSError
            self._open -= 1
            self._refuse_one(Reason.UPSTREAM_UNREACHABLE)
        except asyncio.CancelledError:
            self._open -= 1
            raise
        else:
            self.put(connection)

    def _make(self) -> UpstreamConnection:
        return UpstreamConnection(self)

    def _refuse_one(self, reason: Reason) -> None:
        while self._waiting:
            exchange = self._waiting.popleft()
            if exchange.is_waiting:
                exchange.failed(reason)
                return

    def _give_up(self, exchange: Exchange) -> None:
        if exchange.is_waiting and exchange in self._waiting:
            self._waiting.remove(exchange)
            exchange.failed(Reason.OVERLOADED)
