"""Accepts connections, and stops without losing one that waits to be accepted.

Closing a socket that listens resets whoever the kernel has already connected and nobody has accepted; so the
queue is emptied first.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

BACKLOG = 1024
# So many are accepted before others have their turn.
_TURN = 64
# While there are no descriptors for more, nothing is gained by asking again at once.
_PAUSE = 1.0


class Listener:
    """Accepts on `sockets`, which are its own from now on; `made` makes the protocol of each connection.

    Where there is a `greeting`, each accepted socket is given to it instead.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: list[socket.socket],
        made: Callable[[], asyncio.Protocol],
        greeting: Callable[[socket.socket], None] | None = None,
    ) -> None:
        self._loop = loop
        self._sockets = sockets
        self._made = made
        self._greeting = greeting
        self._spares: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._closed = False
        name = sockets[0].getsockname()
        self.address: tuple[str, int] | str = name if isinstance(name, str) else name[:2]
        """Host and port, or the path of a unix socket."""

    async def open(self) -> None:
        """Begin to accept.

        Raises:
            OSError: another process listens at the address.
        """
        for one in self._sockets:
            one.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            if self._greeting is not None:
                one.listen(BACKLOG)
                self._spares.append(one)
                self._loop.add_reader(one, self._accept, one, self._greeting)
                continue
            # The loop closes its own descriptor when it stops to accept.
            self._spares.append(one.dup())
            if isinstance(self.address, str):
                server = await self._loop.create_unix_server(self._made, sock=one, backlog=BACKLOG)
            else:
                server = await self._loop.create_server(self._made, sock=one, backlog=BACKLOG)
            self._servers.append(server)

    async def close(self) -> None:
        """Accept who waits, and nobody after that."""
        self._closed = True
        for server in self._servers:
            server.close()
        for spare in self._spares:
            if self._greeting is not None:
                self._loop.remove_reader(spare)
            # Nobody waits any more; or it cannot be accepted, for want of descriptors.
            with suppress(OSError):
                while True:
                    accepted = _accepted(spare)
                    if self._greeting is not None:
                        self._greeting(accepted)
                    else:
                        await self._loop.connect_accepted_socket(self._made, accepted)
            spare.close()
        self._spares.clear()

    def _accept(self, listening: socket.socket, greeting: Callable[[socket.socket], None]) -> None:
        try:
            for _ in range(_TURN):
                greeting(_accepted(listening))
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass  # nobody waits any more
        except OSError:
            self._loop.remove_reader(listening)
            self._loop.call_later(_PAUSE, self._resume, listening, greeting)

    def _resume(self, listening: socket.socket, greeting: Callable[[socket.socket], None]) -> None:
        if not self._closed:
            self._loop.add_reader(listening, self._accept, listening, greeting)


def _accepted(listening: socket.socket) -> socket.socket:
    accepted, _ = listening.accept()
    accepted.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    return accepted
