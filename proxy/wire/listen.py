"""The wire as a whole: its sockets, and what every connection shares."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from proxy.wire.client import ClientConnection
from proxy.wire.deadlines import Wheel
from proxy.wire.headers import ResponseLines
from proxy.wire.outbox import Outbox
from proxy.wire.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.config import Config
    from proxy.model import Gatekeeper, Note
    from proxy.wire.exchange import Exchange
    from proxy.wire.forwarded import Forwarding

_BACKLOG = 1024
# Method, version and spaces beside the target in a request line.
_REQUEST_LINE = 32
# What answers that are written but not yet sent get to leave, once nothing is in progress.
_FLUSH = 2.0


class Wire:
    """One listener, one upstream, and every connection and exchange between them.

    `clock` gives Unix seconds: the gate's `now`.
    """

    def __init__(
        self, config: Config, gate: Gatekeeper, forwarding: Forwarding, clock: Callable[[], float]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.gate = gate
        self.clock = clock
        self.forwarding = forwarding
        self.longest_line = config.limits.uri_bytes + _REQUEST_LINE
        self.longest_head = config.limits.header_bytes
        self.head_timeout = config.limits.head_timeout
        self.timeouts = config.upstream.timeouts
        self.longest_answer = config.limits.response_time
        self.most_stored = getattr(config.limits, "mcp_buffer", 1 << 28)
        self.stored = 0
        """Bytes of bodies that are held until all of them have come."""
        self.response_lines = ResponseLines(config)
        self.outbox = Outbox(self.loop)
        self.wheel = Wheel(self.loop)
        self.pool = Pool(self.loop, config.upstream, self.wheel, self.outbox)
        self.exchanges: set[Exchange] = set()
        self.draining = False
        self._emptied = asyncio.Event()
        self._connections: set[ClientConnection] = set()
        self._most = config.limits.connections
        self._address = config.listen
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Bind and accept.

        Raises:
            OSError: the address cannot be bound.
        """
        address = self._address
        if address.unix is not None:
            self._server = await self.loop.create_unix_server(self._accepted, address.unix, backlog=_BACKLOG)
        else:
            self._server = await self.loop.create_server(
                self._accepted, address.host, address.port or 0, backlog=_BACKLOG
            )

    @property
    def address(self) -> tuple[str, int] | str:
        """Where it listens: host and port, or the path of the unix socket."""
        if self._address.unix is not None:
            return self._address.unix
        assert self._server is not None  # noqa: S101 - there is no address before `listen`
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    def _accepted(self) -> ClientConnection:
        return ClientConnection(self)

    def admit(self, connection: ClientConnection) -> bool:
        """Count `connection` in; False where there are too many already."""
        if len(self._connections) >= self._most:
            return False
        self._connections.add(connection)
        return True

    def dismiss(self, connection: ClientConnection) -> None:
        """`connection` has closed."""
        self._connections.discard(connection)
        if self.draining and not self._connections:
            self._emptied.set()

    def end(self, chosen: Callable[[Exchange], bool], note: Note) -> None:
        """End every exchange that `chosen` picks; `note` is what their access lines say."""
        for exchange in [exchange for exchange in self.exchanges if chosen(exchange)]:
            exchange.end(note)

    async def close(self, note: Note, grace: float) -> None:
        """Accept nothing more, let answers in progress finish for `grace` seconds, then end the rest.

        Streams have no end to wait for and are ended at once.
        """
        self.draining = True
        if not self._connections:
            self._emptied.set()
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.close_idle()
        self.end(lambda exchange: exchange.streams, note)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._emptied.wait()
        self.end(lambda _: True, note)
        await self.pool.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH):
                await self._emptied.wait()
        for connection in tuple(self._connections):
            connection.abort()
        self.wheel.close()
