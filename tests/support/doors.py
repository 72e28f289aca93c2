"""Places to connect to that refuse, close, hold or pass on connections, and count them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

Treatment = Literal["close", "hold", "pass"]


@contextlib.contextmanager
def reserved() -> Iterator[tuple[socket.socket, str]]:
    """A port, and its URL, at which connections are refused until its socket listens."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound, f"http://127.0.0.1:{bound.getsockname()[1]}"


class Door:
    """A listener that closes, holds, or passes on what it accepts, and counts.

    Toward an https upstream a connection is made when TLS is: one that is closed before is a dial that failed.
    """

    def __init__(self, treatment: Callable[[int], Treatment]) -> None:
        self.treatment = treatment
        self.accepted = 0
        self.released = asyncio.Event()
        self.onward = 0
        """The port that connections are passed on to."""
        self.port = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        treatment = self.treatment(self.accepted)
        with contextlib.suppress(ConnectionError):
            if treatment == "hold":
                await self.released.wait()
            elif treatment == "pass":
                there, back = await asyncio.open_connection("127.0.0.1", self.onward)
                await asyncio.gather(_relay(reader, back), _relay(there, writer))
        writer.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def door_at(treatment: Callable[[int], Treatment]) -> AsyncIterator[Door]:
    """A door on a free loopback port; `treatment` says what becomes of its first, second and every further connection."""
    door = Door(treatment)
    server = await asyncio.start_server(door.take, "127.0.0.1", 0)
    door.port = server.sockets[0].getsockname()[1]
    try:
        yield door
    finally:
        door.released.set()
        server.close()
