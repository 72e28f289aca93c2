"""The real wire on connections in memory: every protocol, exchange, pool and gate is the product's own.

Only the transport is made up: what is written arrives at once, in order, and reading can be held. An upstream
connection is dialled through the event loop, as ever; here the loop's `create_connection` leads to a `Peer`,
which keeps every byte that reaches it.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Generic, cast

from proxy.audit.line import Lines
from proxy.config import load
from proxy.server import Gatehouse
from proxy.wire import Forwarding, Wire
from tests.fuzz.frame import Case

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proxy.audit import AccessLog
    from proxy.model import Closing, Opening

# Turns of the loop in which nothing moves, before nothing more is expected to.
_QUIET_TURNS = 8


class Transport(asyncio.Transport):
    """One end of a connection in memory: the product's. `sink` is told of every write."""

    def __init__(self, net: Network, protocol: asyncio.Protocol, sink: Callable[[bytes], None]) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self._net = net
        self._protocol = protocol
        self._sink = sink
        self._waiting: list[bytes] = []
        self._is_held = False
        self.aborted = False
        self.said_eof = False
        self.gone = False
        """Neither side says anything more."""
        protocol.connection_made(self)

    # ---- what the product calls ------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert isinstance(data, bytes)
        if self.said_eof:
            raise RuntimeError("write after write_eof")
        if not self.gone:
            self._net.moved += 1
            self._sink(data)

    def write_eof(self) -> None:
        self.said_eof = True
        self._net.moved += 1

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self._is_held = True

    def resume_reading(self) -> None:
        self._is_held = False
        self._net.loop.call_soon(self._read)

    def is_closing(self) -> bool:
        return self.gone

    def close(self) -> None:
        self._end()

    def abort(self) -> None:
        self.aborted = True
        self._end()

    # ---- what the other side does ----------------------------------------------------------------------

    def deliver(self, data: bytes) -> None:
        """Have `data` read, now or as soon as reading is not held."""
        self._waiting.append(data)
        self._read()

    def leave(self) -> None:
        """End the connection with FIN, as it is read after everything else."""
        self._is_held = False
        self._read()
        if not self.gone and not self._protocol.eof_received():
            self._end()

    def reset(self) -> None:
        """End the connection with RST."""
        self._end(ConnectionResetError())

    def _read(self) -> None:
        while self._waiting and not self._is_held and not self.gone:
            self._net.moved += 1
            self._protocol.data_received(self._waiting.pop(0))

    def _end(self, error: Exception | None = None) -> None:
        if not self.gone:
            self.gone = True
            self._net.moved += 1
            self._net.loop.call_soon(self._protocol.connection_lost, error)


class Peer:
    """The upstream's end of one connection; `heard` is called whenever bytes have come."""

    def __init__(self, net: Network, protocol: asyncio.Protocol, number: int) -> None:
        self.received = bytearray()
        self.number = number
        self.read = 0
        """How much of it has been answered."""
        self._net = net
        self.transport = Transport(net, protocol, self._take)

    def _take(self, data: bytes) -> None:
        self.received += data
        self._net.loop.call_soon(self._net.heard, self)


class Client:
    """A client's end of one connection."""

    def __init__(self, net: Network) -> None:
        self.received = bytearray()
        self.transport = Transport(net, net.accept(), self._take)

    @property
    def ended(self) -> bool:
        """The product says nothing more."""
        return self.transport.gone or self.transport.said_eof

    def _take(self, data: bytes) -> None:
        self.received += data


class Record:
    """The access log, without its queue: the product's own lines, kept as they are rendered."""

    full = False

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._lines = Lines(0)

    def opened(self, opening: Opening, status: int) -> None:
        self._lines.stream_open(opening, status)

    def session_opened(self) -> None:
        pass

    def finished(self, opening: Opening, closing: Closing) -> None:
        self.lines.append(self._lines.access(opening, closing))


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose connections lead to the network in memory; uvloop takes longer to start, and is not missed."""

    net: Network

    async def create_connection(self, factory: Any, *_: Any, **__: Any) -> Any:  # type: ignore[override]  # the product needs one form of it
        return None, self.net.dialled(factory())


class Network:
    """The product between clients and an upstream in memory."""

    def __init__(self, file: Path) -> None:
        self.loop = Loop()
        self.loop.net = self
        self.loop.set_exception_handler(lambda _, context: self.failures.append(context))
        self.moved = 0
        self.peers: list[Peer] = []
        self.heard: Callable[[Peer], None] = lambda _: None
        self.failures: list[dict[str, Any]] = []
        self.record = Record()
        self.run(self._start(file))

    async def _start(self, file: Path) -> None:
        config, forwarding = load(file, {}), Forwarding([])
        house = Gatehouse(config, cast("AccessLog", self.record), forwarding, time.time)
        await house.start()
        self.wire = Wire(config, house.gate, forwarding, time.time)
        self._house = house

    def run(self, steps: Any) -> Any:
        return self.loop.run_until_complete(steps)

    def accept(self) -> asyncio.Protocol:
        return self.wire.traffic.accepted()

    def dialled(self, protocol: asyncio.Protocol) -> asyncio.Protocol:
        self.moved += 1
        self.peers.append(Peer(self, protocol, len(self.peers)))
        return protocol

    def lines(self) -> list[dict[str, Any]]:
        """The access lines so far."""
        return [json.loads(line) for line in self.record.lines]

    async def settle(self) -> None:
        """Wait until nothing moves any more."""
        quiet = 0
        while quiet < _QUIET_TURNS:
            before = self.moved
            await asyncio.sleep(0)
            quiet = quiet + 1 if self.moved == before else 0

    async def clean(self) -> None:
        """End every connection, hold the product against what it must not keep, and forget this run."""
        for peer in self.peers:
            peer.transport.leave()
        await self.settle()
        failures, self.failures = self.failures, []
        assert failures == []
        assert not self.wire.exchanges, "an exchange that never ended"
        assert not self.wire.traffic.connections, "a connection that never ended"
        assert not self.wire.stored, "bytes that nobody holds are counted"
        assert not self.wire.pool._idle, "a closed connection in the pool"
        assert not self.wire.pool._open, "a closed connection is counted"
        self.peers.clear()
        self.record.lines.clear()

    def close(self) -> None:
        self.run(self._house.close())
        self.wire.wheel.close()
        self.loop.close()


class Rig(Generic[Case]):
    """One product for the runs of one process, one after another; made anew where a run has failed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._network: Network | None = None

    def check(self, case: Case) -> None:
        """Run one case; raises where a property does not hold."""
        network = self._network or Network(self._file)
        self._network = None
        network.run(self._checked(network, case))
        self._network = network

    def close(self) -> None:
        if self._network is not None:
            self._network.close()

    async def _checked(self, network: Network, case: Case) -> None:
        await self.run(network, case)
        await network.clean()

    async def run(self, network: Network, case: Case) -> None:
        """What a case is."""
        raise NotImplementedError
