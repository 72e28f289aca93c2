"""Small writes of one turn of the event loop, sent together at its end.

Every send may wake the process at the other end, and a wake-up costs more than the send. Between the work for
one request and the next, that process goes back to sleep; sent in a row, the first wake-up serves them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

# What is larger is worth its own wake-up, and must not pile up here.
_LARGE = 16 * 1024


class Outbox:
    """The writes of all connections, in order."""

    __slots__ = ("_loop", "_waiting", "turn")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []
        self.turn = 0
        """How often it was emptied: what was written in this turn has not left yet."""

    def write(self, transport: asyncio.Transport, data: bytes) -> None:
        """Have `data` written to `transport` before the loop waits again."""
        waiting = self._waiting
        waiting.append((transport, data))
        if len(data) > _LARGE:
            self.flush()
        elif len(waiting) == 1:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write everything now; to be called before a connection with unsent data is closed."""
        waiting, self._waiting = self._waiting, []
        self.turn += 1
        for transport, data in waiting:
            if not transport.is_closing():  # aborted since: writing to it would raise
                transport.write(data)
