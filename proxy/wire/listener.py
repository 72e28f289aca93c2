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


class Listener:
    """Accepts on `sockets`, which are its own from now on; `made` makes the protocol of each connection."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: list[socket.socket],
        made: Callable[[], asyncio.Protocol],
    ) -> None:
        self._loop = loop
        self._sockets = sockets
        self._made = made
        self._spares: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
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
            # The loop closes its own descriptor when it stops to accept.
            self._spares.append(one.dup())
            if isinstance(self.address, str):
                server = await self._loop.create_unix_server(self._made, sock=one, backlog=BACKLOG)
            else:
                server = await self._loop.create_server(self._made, sock=one, backlog=BACKLOG)
            self._servers.append(server)

    async def close(self) -> None:
        """Accept who waits, and nobody after that."""
        for server in self._servers:
            server.close()
        for spare in self._spares:
            # Nobody waits any more; or it cannot be accepted, for want of descriptors.
            with suppress(OSError):
                while True:
                    accepted, _ = spare.accept()
                    accepted.setblocking(False)  # noqa: FBT003 - the standard library's own signature
                    await self._loop.connect_accepted_socket(self._made, accepted)
            spare.close()
        self._spares.clear()
