"""The wire as a whole: its sockets, and what every connection shares."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING
from weakref import WeakSet

from msgspec import Struct

from proxy.model import Reason
from proxy.wire.client import ClientConnection
from proxy.wire.deadlines import Wheel
from proxy.wire.forwarded import UNIX
from proxy.wire.handshake import Handshakes
from proxy.wire.headers import ResponseLines
from proxy.wire.listener import Listener
from proxy.wire.outbox import Outbox
from proxy.wire.pool import Pool
from proxy.wire.sockets import bound
from proxy.wire.tls import server_context, upstream_context

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from ssl import SSLContext

    from proxy.config import Config
    from proxy.model import Gatekeeper, Note
    from proxy.wire.exchange import Exchange
    from proxy.wire.forwarded import Forwarding

# Method, version and spaces beside the target in a request line.
_REQUEST_LINE = 32
# What answers that are written but not yet sent get to leave, once nothing is in progress.
_FLUSH = 2.0
# Of all bodies that are being read, those of one agent may be one part in so many.
_SHARES = 4
# So often it is seen whether a stream without end has begun since the wire drains.
_LOOK = 0.25


class Traffic:
    """What goes on whichever configuration is current: connections, exchanges, their timers and their writes.

    `wire` is the current one.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.outbox = Outbox(wire.loop)
        self.wheel = Wheel(wire.loop)
        self.connections: set[ClientConnection] = set()
        self.by_address: Counter[str] = Counter()
        self.exchanges: set[Exchange] = set()
        self.pools = WeakSet[Pool]()
        self.handshakes = Handshakes(self)
        self.listener: Listener | None = None
        self.emptied = asyncio.Event()
        self.stored = 0
        self._stored_for: Counter[object] = Counter()

    def store(self, size: int, holder: object) -> tuple[int, int]:
        """Count bytes that are held, or given up (a negative `size`), for an agent or a client (or None).

        Returns how many are held in all, and for this one.
        """
        self.stored += size
        if holder is None:
            return self.stored, 0
        held = self._stored_for[holder] + size
        if held:
            self._stored_for[holder] = held
        else:
            del self._stored_for[holder]
        return self.stored, held

    def accepted(self) -> ClientConnection:
        """Return the protocol of a new connection."""
        return ClientConnection(self.wire)


class WireState(Struct, frozen=True):
    """What is open now: client connections, streams of events, and upstream connections by use.

    `waiting` exchanges wait for one of these.
    """

    connections: int = 0
    streams: int = 0
    in_use: int = 0
    idle: int = 0
    waiting: int = 0


class Wire:
    """Requests under one configuration: its limits, its gate, its upstream.

    `clock` gives Unix seconds: the gate's `now`. `before` is the wire of the configuration before: its
    connections go on under this one once it has `taken_over`, its exchanges end as they began.
    """

    def __init__(
        self,
        config: Config,
        gate: Gatekeeper,
        forwarding: Forwarding,
        clock: Callable[[], float],
        before: Wire | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.gate = gate
        self.clock = clock
        self.forwarding = forwarding
        self.longest_line = config.limits.uri_bytes + _REQUEST_LINE
        self.longest_head = config.limits.header_bytes
        self.head_timeout = config.limits.head_timeout
        self.timeouts = config.upstream.timeouts
        self.retry = config.upstream.retry
        self.longest_answer = config.limits.response_time
        self.most_stored = config.limits.mcp_buffer
        self.most_stored_for_one = max(config.limits.mcp_buffer // _SHARES, config.limits.mcp_body)
        self.response_lines = ResponseLines(config)
        self.tls: SSLContext | None = None if config.tls is None else server_context(config.tls)
        self.draining = False
        self.upstream = config.upstream
        self._most = config.limits.connections
        self._most_each = config.limits.connections_per_address
        self._address = config.listen
        self._patience: asyncio.Timeout | None = None
        self._hurried = False
        self.traffic: Traffic = Traffic(self) if before is None else before.traffic
        traffic = self.traffic
        self.outbox: Outbox = traffic.outbox
        self.wheel: Wheel = traffic.wheel
        self.exchanges: set[Exchange] = traffic.exchanges
        self.pool: Pool
        if before is not None and before.upstream == config.upstream:
            self.pool = before.pool
            self.pool.tls = upstream_context(config.upstream)
        else:
            self.pool = Pool(self.loop, config.upstream, self.wheel, self.outbox)
            traffic.pools.add(self.pool)

    async def listen(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept on `sockets`, or bind what the configuration says.

        Raises:
            OSError: the address cannot be bound.
        """
        if sockets is None:
            sockets = await asyncio.to_thread(bound, self._address)
        traffic = self.traffic
        greeting = None if self.tls is None else traffic.handshakes.begin
        traffic.listener = Listener(self.loop, sockets, traffic.accepted, greeting)
        await traffic.listener.open()

    def take_over(self) -> None:
        """Serve whatever begins from now on, on the connections that are open too."""
        traffic = self.traffic
        before, traffic.wire = traffic.wire, self
        for connection in traffic.connections:
            connection.serve_under(self)
        if before.pool is not self.pool:
            before.pool.retire()

    @property
    def address(self) -> tuple[str, int] | str:
        """Where it listens: host and port, or the path of the unix socket."""
        assert self.traffic.listener is not None  # noqa: S101 - there is no address before `listen`
        return self.traffic.listener.address

    @property
    def is_judging(self) -> bool:
        """Whether a request is still being judged under this configuration."""
        return any(exchange.is_judged_under(self) for exchange in self.exchanges)

    @property
    def stored(self) -> int:
        """Bytes of bodies that are held until all of them have come."""
        return self.traffic.stored

    @property
    def has_room(self) -> bool:
        """Whether there may be another connection."""
        traffic = self.traffic
        return len(traffic.connections) + len(traffic.handshakes) < self._most

    def admit(self, connection: ClientConnection) -> Reason | None:
        """Count `connection` in, or say why not: too many in all, or too many of its address."""
        traffic, peer = self.traffic, connection.peer
        # Whoever comes from a handshake had a place already.
        if len(traffic.connections) >= self._most:
            return Reason.OVERLOADED
        # A proxy, or a unix socket, is not one client.
        counted = not peer.trusted and peer.address != UNIX
        if counted and self._most_each is not None and traffic.by_address[peer.address] >= self._most_each:
            return Reason.RATE_LIMITED
        traffic.connections.add(connection)
        traffic.by_address[peer.address] += 1
        return None

    def secure(self, tls: SSLContext | None, upstream: SSLContext | None) -> None:
        """Meet new clients, and the upstream on new connections, with these."""
        self.tls = tls
        self.pool.tls = upstream

    def dismiss(self, connection: ClientConnection) -> None:
        """`connection` has closed."""
        traffic = self.traffic
        if connection in traffic.connections:
            traffic.connections.remove(connection)
            address = connection.peer.address
            traffic.by_address[address] -= 1
            if not traffic.by_address[address]:
                del traffic.by_address[address]
        if not traffic.connections:
            traffic.emptied.set()

    def state(self) -> WireState:
        """Return what is open now."""
        pools = tuple(self.traffic.pools)
        return WireState(
            len(self.traffic.connections),
            sum(exchange.streams for exchange in self.exchanges),
            sum(pool.in_use for pool in pools),
            sum(pool.idle for pool in pools),
            sum(pool.waiting for pool in pools),
        )

    def end(self, chosen: Callable[[Exchange], bool], note: Note) -> None:
        """End every exchange that `chosen` picks; `note` is what their access lines say."""
        for exchange in [exchange for exchange in self.exchanges if chosen(exchange)]:
            exchange.end(note)

    async def close(self, note: Note, grace: float) -> None:
        """Accept nothing more, let answers in progress finish for `grace` seconds, then end the rest.

        Streams that have no end to wait for are ended at once.
        """
        self.draining = True
        traffic = self.traffic
        if traffic.listener is not None:
            await traffic.listener.close()
        await traffic.handshakes.settled(0 if self._hurried else min(grace, self.head_timeout))
        now = time.monotonic()
        for connection in tuple(traffic.connections):
            connection.drain(now)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._hurried else grace) as self._patience:
                while traffic.connections:
                    self.end(lambda exchange: exchange.is_endless, note)
                    await self._emptied(_LOOK)
        self.end(lambda _: True, note)
        for pool in tuple(traffic.pools):
            await pool.close()
        await self._emptied(_FLUSH)
        for connection in tuple(traffic.connections):
            connection.abort()
        self.wheel.close()

    def hurry(self) -> None:
        """Wait no longer for answers in progress."""
        self._hurried = True
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(self.loop.time())

    async def _emptied(self, seconds: float) -> None:
        """Wait until no connection is left, for so long at most."""
        traffic = self.traffic
        if traffic.connections:
            traffic.emptied.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await traffic.emptied.wait()
