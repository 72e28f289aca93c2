"""Raw ends of connections: what came, byte by byte, and how it ended; and the client made of one.

Waits end by an event, or fail after `DEADLINE` with what had come until then; nothing sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import zlib
from typing import TYPE_CHECKING, cast

from tests.support.messages import Message, read_response

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

DEADLINE = 10.0
_NO_LINGER = struct.pack("ii", 1, 0)

Address = tuple[str, int] | str
"""Host and port, or the path of a unix socket."""


class Endpoint(asyncio.Protocol):
    """One end of a connection."""

    def __init__(self, opened: Callable[[Endpoint], None] | None = None) -> None:
        self.received = bytearray()
        self.total = 0
        self.ended = False
        """The other side has said that it sends no more, or is gone."""
        self.gone = False
        """The connection is closed in both directions."""
        self.counted = 0
        self.checksum = 0
        """CRC-32 of what came since `count_only`."""
        self._keeps = True
        self._opened = opened
        self.is_writable = True
        self._waiters: list[asyncio.Future[None]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self._opened is not None:
            self._opened(self)

    def data_received(self, data: bytes) -> None:
        self.total += len(data)
        if self._keeps:
            self.received += data
        else:
            self._count(data)
        self._pulse()

    def count_only(self) -> None:
        """Keep no more of what comes, what is unread included: from here on it is counted and summed up."""
        self._keeps = False
        self._count(bytes(self.received))
        self.received.clear()

    def _count(self, data: bytes) -> None:
        self.counted += len(data)
        self.checksum = zlib.crc32(data, self.checksum)

    def eof_received(self) -> bool:
        self.ended = True
        self._pulse()
        return self.transport.get_extra_info("ssl_object") is None

    def connection_lost(self, _: Exception | None) -> None:
        self.ended = self.gone = True
        self._pulse()

    def pause_writing(self) -> None:
        self.is_writable = False

    def resume_writing(self) -> None:
        self.is_writable = True
        self._pulse()

    def _pulse(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def happens(self) -> None:
        """Wait for the next thing to happen here, however long."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def until(self, condition: Callable[[], bool], deadline: float = DEADLINE) -> None:
        """Wait until `condition` holds; it is asked again whenever anything happens here."""
        try:
            async with asyncio.timeout(deadline):
                while not condition():
                    await self.happens()
        except TimeoutError:
            state = f"{self.total} bytes in all, ended={self.ended}, unread: {bytes(self.received[-2000:])!r}"
            raise AssertionError(f"waited in vain; {state}") from None

    async def write(self, data: bytes) -> None:
        """Write, and wait while the other side does not read."""
        if not self.gone:
            self.transport.write(data)
            await self.until(lambda: self.is_writable or self.gone)

    async def trickle(self, data: bytes) -> None:
        """Write one byte at a time, each to be read by itself."""
        for byte in data:
            if self.gone:
                return
            self.transport.write(bytes([byte]))
            # Twice: once for the loop to send it, once for the other side to read it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def half_close(self) -> None:
        self.transport.write_eof()

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        own = socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno()))
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        own.close()
        self.transport.abort()

    async def abort(self) -> None:
        """End the connection at once, whatever is still to be written."""
        self.transport.abort()
        await self.until(lambda: self.gone)

    async def close(self) -> None:
        self.transport.close()
        await self.until(lambda: self.gone)


class Client(Endpoint):
    """A client that says exactly what it is told to say, and reads answers strictly."""

    async def response(self, method: bytes = b"GET") -> Message:
        """The next answer, interim ones included."""
        await self.until(lambda: self._next(method) is not None or self.ended)
        read = self._next(method)
        if read is None:
            raise AssertionError(f"the connection ended before its answer; unread: {bytes(self.received)!r}")
        message, length = read
        del self.received[:length]
        return message

    def _next(self, method: bytes) -> tuple[Message, int] | None:
        return read_response(bytes(self.received), method, ended=self.ended)

    async def bytes_until(self, mark: bytes) -> bytes:
        """Everything up to and including `mark`."""
        await self.until(lambda: mark in self.received or self.ended)
        if mark not in self.received:
            raise AssertionError(f"{mark!r} never came; unread: {bytes(self.received)!r}")
        end = self.received.index(mark) + len(mark)
        taken = bytes(self.received[:end])
        del self.received[:end]
        return taken

    async def rest(self) -> bytes:
        """Everything until the other side ends the connection."""
        await self.until(lambda: self.ended)
        return bytes(self.received)


@contextlib.asynccontextmanager
async def connect(address: Address, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """A client connected to `address`, closed at the end; with `tls` it speaks that."""
    loop = asyncio.get_running_loop()
    if isinstance(address, str):
        _, client = await loop.create_unix_connection(Client, address)
    else:
        _, client = await loop.create_connection(Client, *address, ssl=tls)
    try:
        yield client
    finally:
        await client.close()
