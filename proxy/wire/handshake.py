"""TLS handshakes of clients: what comes between a socket and a `ClientConnection`.

A handshake counts as a connection, and has `head_timeout`. Who fails it has sent no request, so there is no
access line; the operational log tells of it, and that once a second at most, for anybody can fail.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import TYPE_CHECKING

import structlog

from proxy.wire.client import ClientConnection

if TYPE_CHECKING:
    import socket

    from proxy.wire.listen import Traffic

_TOLD_EVERY = 1.0

_operations = structlog.get_logger()


class Handshakes:
    """Those under way."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._tasks: set[asyncio.Task[None]] = set()
        self._told = -_TOLD_EVERY
        self._untold = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._tasks)

    def begin(self, accepted: socket.socket) -> None:
        """Meet a client, unless there are too many: that could only be told once the handshake is done."""
        wire = self._traffic.wire
        if wire.has_room:
            task = wire.loop.create_task(self._meet(accepted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            accepted.close()

    async def settled(self, seconds: float) -> None:
        """Wait until none is under way, for so long at most; the rest is ended."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _meet(self, accepted: socket.socket) -> None:
        traffic = self._traffic
        wire = traffic.wire
        try:
            _, connection = await wire.loop.connect_accepted_socket(
                lambda: ClientConnection(traffic.wire),
                accepted,
                ssl=wire.tls,
                ssl_handshake_timeout=wire.head_timeout,
            )
        except OSError as error:  # whatever TLS finds wrong, a client that goes, and one that is too slow
            self._failed(error)
            return
        except asyncio.CancelledError:
            accepted.close()
            raise
        if traffic.wire.draining:
            connection.drain(time.monotonic())

    def _failed(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._told < _TOLD_EVERY:
            self._untold += 1
            return
        others, self._untold, self._told = self._untold, 0, now
        _operations.warning("tls_handshake_failed", problem=_problem(error), others=others)


def _problem(error: OSError) -> str:
    """Say what was wrong: OpenSSL's own words for it, which name nothing that was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return "it ended, or took too long"
