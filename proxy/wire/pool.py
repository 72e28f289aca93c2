"""Connections to the upstream: kept open, lent out last-in first-out, bounded.

An exchange that finds none waits here for the next one that is dialled or comes back, for as long as
connecting may take. While the upstream takes no connections nobody waits: it is tried in the background, one
dial at a time, and whoever comes is told at once.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import TYPE_CHECKING

import structlog

from proxy.model import Reason
from proxy.wire.circuit import Circuit
from proxy.wire.tls import upstream_context
from proxy.wire.upstream import UpstreamConnection

if TYPE_CHECKING:
    from proxy.config import Upstream
    from proxy.wire.deadlines import Wheel
    from proxy.wire.exchange import Exchange
    from proxy.wire.outbox import Outbox

# Servers commonly close an idle connection after 5 to 75 s; whoever closes second never meets the race.
_IDLE = 60.0

_operations = structlog.get_logger()


class Pool:
    """The connections to one upstream, at most `upstream.connections` of them."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, upstream: Upstream, wheel: Wheel, outbox: Outbox
    ) -> None:
        self.wheel = wheel
        self.outbox = outbox
        self._loop = loop
        self._upstream = upstream
        self.tls = upstream_context(upstream)
        """What the upstream is met with on new connections."""
        self._idle: list[UpstreamConnection] = []
        # In the order in which they came, each with the timer that ends its patience.
        self._waiting: dict[Exchange, asyncio.TimerHandle] = {}
        self._dialling: set[asyncio.Task[None]] = set()
        self._open = 0
        self._circuit = Circuit()
        self._probe: asyncio.TimerHandle | None = None
        # The operators have been told that it cannot be reached.
        self._told = False
        self._retired = False
        self.reached_at: float | None = None
        """When a connection was last made (monotonic seconds)."""
        self.missed_at: float | None = None
        """When one could last not be made."""

    @property
    def idle(self) -> int:
        """How many connections wait for an exchange."""
        return len(self._idle)

    @property
    def in_use(self) -> int:
        """How many connections serve an exchange."""
        return self._open - len(self._idle) - len(self._dialling)

    @property
    def waiting(self) -> int:
        """How many exchanges wait for a connection."""
        return len(self._waiting)

    async def probe(self) -> None:
        """Connect once and close at once, beside the limit; nothing is said on it.

        Raises:
            OSError: it cannot be reached (a TimeoutError is one).
        """
        async with asyncio.timeout(self._upstream.timeouts.connect):
            upstream = self._upstream
            if upstream.scheme == "unix":
                transport, _ = await self._loop.create_unix_connection(asyncio.Protocol, upstream.path)
            else:
                transport, _ = await self._loop.create_connection(
                    asyncio.Protocol, upstream.host, upstream.port
                )
        transport.close()

    def take(self, exchange: Exchange) -> UpstreamConnection | None:
        """An idle connection; or None, and `exchange` is given one, or told why not, later."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        self.dial(exchange)
        return None

    def dial(self, exchange: Exchange) -> None:
        """Open a connection for `exchange`, or tell it that none can be had at present."""
        if self._circuit.is_open:
            exchange.unreachable()
        else:
            self.wait(exchange)

    def wait(self, exchange: Exchange) -> None:
        """Let `exchange` have the next connection that is made, or that comes back."""
        patience = self._upstream.timeouts.connect
        self._waiting[exchange] = self._loop.call_later(patience, self._give_up, exchange)
        self._dial_enough()

    def forget(self, exchange: Exchange) -> None:
        """`exchange` needs no connection any more."""
        timer = self._waiting.pop(exchange, None)
        if timer is not None:
            timer.cancel()

    def put(self, connection: UpstreamConnection) -> None:
        """`connection` is free: the longest-waiting exchange gets it, else it stays idle."""
        connection.exchange = None
        exchange = next(iter(self._waiting), None)
        if exchange is not None:
            self.forget(exchange)
            exchange.connected(connection)
            return
        if self._retired:
            connection.transport.close()
            return
        self._idle.append(connection)
        self.wheel.arm(connection, time.monotonic(), _IDLE)

    def lost(self, connection: UpstreamConnection) -> None:
        """`connection` has closed."""
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._dial_enough()

    def retire(self) -> None:
        """Serve those who have come, and keep nothing for others: there is another upstream now."""
        self._retired = True
        for connection in tuple(self._idle):
            connection.transport.close()

    async def close(self) -> None:
        """Close what is idle and stop dialling; what serves an exchange is the exchange's to end."""
        self._retired = True
        self._cancel_probe()
        for task in self._dialling:
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        for connection in tuple(self._idle):
            connection.transport.close()

    def _dial_enough(self) -> None:
        """One dial for each exchange that waits, as far as the limit goes; one in all where dials fail."""
        if self._circuit.is_open:
            self._dial_later()
            return
        while self._open < self._upstream.connections and len(self._dialling) < len(self._waiting):
            self._begin()

    def _dial_later(self) -> None:
        if self._probe is None and not self._dialling and (self._waiting or not self._retired):
            pause = self._circuit.pause(time.monotonic())
            self._probe = self._loop.call_later(pause, self._dial_one)

    def _dial_one(self) -> None:
        """See whether connections can be made again, whether or not anybody waits for one."""
        self._probe = None
        self._begin()

    def _cancel_probe(self) -> None:
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None

    def _begin(self) -> None:
        self._open += 1
        self._dialling.add(self._loop.create_task(self._dial()))

    async def _dial(self) -> None:
        began = time.monotonic()
        connection, problem = None, "closed at once"
        try:
            async with asyncio.timeout(self._upstream.timeouts.connect):
                connection = await self._connect()
        except ssl.SSLCertVerificationError as error:
            problem = error.verify_message
        except OSError as error:  # refused, unknown host, TLS, or a TimeoutError
            problem = type(error).__name__
        except Exception as error:  # noqa: BLE001 - a slot that leaked here would never come back
            problem = type(error).__name__
            _operations.error("dial_failed", error=problem)
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._dialling.discard(task)
            if connection is None:
                self._open -= 1
        # A server that closes what it has just accepted may be faster than this task.
        if connection is None or connection.transport.is_closing():
            self._missed(began, problem)
        else:
            self._reached(connection)

    def _reached(self, connection: UpstreamConnection) -> None:
        """A connection was made: whoever waits can be served again."""
        self.reached_at = time.monotonic()
        self._circuit.succeeded()
        self._cancel_probe()
        if self._told:
            self._told = False
            _operations.info("upstream_reachable")
        self.put(connection)
        self._dial_enough()

    def _missed(self, began: float, problem: str) -> None:
        """A connection could not be made: the longest-waiting exchange is told; with no other dial, all."""
        circuit = self._circuit
        self.missed_at = time.monotonic()
        circuit.failed(began, self.missed_at)
        if circuit.is_confirmed and not self._told:
            self._told = True
            _operations.warning("upstream_unreachable", error=problem)
        waiting = tuple(self._waiting)
        for exchange in waiting[:1] if self._dialling else waiting:
            # Telling one may have ended another.
            if exchange in self._waiting:
                self.forget(exchange)
                exchange.unreachable()
        self._dial_enough()

    async def _connect(self) -> UpstreamConnection:
        upstream = self._upstream
        if upstream.scheme == "unix":
            _, connection = await self._loop.create_unix_connection(self._made, upstream.path)
        else:
            tls, name = self.tls, None
            if tls is not None:
                name = upstream.host if upstream.tls is None else upstream.tls.server_name or upstream.host
            _, connection = await self._loop.create_connection(
                self._made, upstream.host, upstream.port, ssl=tls, server_hostname=name
            )
        return connection

    def _made(self) -> UpstreamConnection:
        return UpstreamConnection(self)

    def _give_up(self, exchange: Exchange) -> None:
        self.forget(exchange)
        unreachable = self._dialling or self._circuit.is_open
        exchange.failed(Reason.UPSTREAM_UNREACHABLE if unreachable else Reason.OVERLOADED)
