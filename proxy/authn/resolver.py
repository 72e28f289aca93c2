"""Names to addresses, for aiohttp: each question in a thread of its own.

A thin shell around getaddrinfo, which cannot be interrupted. On a pool of threads that all share, one
issuer's name servers that hang would delay every other issuer, and the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp.abc import ResolveResult

    _Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
    _Found = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, _Address]]

    Lookup = Callable[[str, int, int], _Found]
    """getaddrinfo for TCP: takes host, port and family; an OSError where there is no address."""


def system_lookup(host: str, port: int, family: int) -> _Found:
    """Ask the system, as its own configuration says."""
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


class Resolver:
    """What aiohttp wants of a resolver (`aiohttp.abc.AbstractResolver`)."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return every address of a host."""
        found = await _in_own_thread(partial(self._lookup, host, port, family))
        return [
            {
                "hostname": host,
                "host": str(address[0]),
                "port": port,
                "family": kind,
                "proto": protocol,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Keep nothing, close nothing."""


async def _in_own_thread(call: Callable[[], _Found]) -> _Found:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Found] = loop.create_future()

    def settle(found: _Found | None, error: Exception | None) -> None:
        if answer.done():  # whoever asked has stopped waiting
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found or [])

    def run() -> None:
        try:
            outcome: tuple[_Found | None, Exception | None] = call(), None
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            outcome = None, error
        # The loop may have been closed meanwhile: then nobody wants to know.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, *outcome)

    # A daemon: a name server that hangs must not keep the process from ending.
    threading.Thread(target=run, name="resolver", daemon=True).start()
    return await answer
