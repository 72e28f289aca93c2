"""The queue between the event loop and the output: bounded, swapped out, written by one thread.

Knows sizes and counts. Must never know what a line says. The event loop only ever appends to a list: a pipe
that nobody reads or a disk that is full stalls the writer thread, not a request.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    import asyncio

    from proxy.audit.output import Output

BOUND: Final = 16 * 1024 * 1024
"""Bytes of lines that may wait to be written."""
_DELAY: Final = 0.05
"""Seconds from a line to its hand-over to the writer; a line leaves within 100 ms."""


class _Batch(Struct, gc=False):
    lines: list[bytes]
    size: int = 0
    minor: int = 0


class Sink:
    """Takes lines on the event loop and brings them to `output`.

    Half of `bound` (bytes) is kept for what had been admitted when the sink got `full`; `minor` lines may use
    a quarter. Each counter is written by one thread only, so none needs a lock.
    """

    def __init__(self, output: Output, bound: int) -> None:
        self._output = output
        self._bound = bound
        self._queue = SimpleQueue[_Batch | None]()
        self._batch = _Batch([])
        self._armed = True  # Until there is a loop, lines wait.
        self._taken = self._minor_taken = 0
        self._gone = self._minor_gone = 0
        self._writer = threading.Thread(target=self._run, name="audit", daemon=True)

    @property
    def queued(self) -> int:
        """Bytes of lines that are not written yet."""
        return self._taken - self._gone

    @property
    def full(self) -> bool:
        """Whether the output is so far behind that nothing new should be admitted."""
        return self._taken - self._gone >= self._bound // 2

    @property
    def minor_full(self) -> bool:
        """Whether minor lines have used up their quarter."""
        return self._minor_taken - self._minor_gone >= self._bound // 4

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the writer; `loop` is the one that appends from now on."""
        self._loop = loop
        self._writer.start()
        self._flush()

    def append(self, line: bytes, minor: bool = False, kept: bool = False) -> bool:  # noqa: FBT001, FBT002 - structlog passes them by position, at half the cost
        """Queue `line`; False where there is no room for it. A `kept` line always has room."""
        size = len(line)
        if not kept and self._taken - self._gone + size > self._bound:
            return False
        batch = self._batch
        batch.lines.append(line)
        batch.size += size
        self._taken += size
        if minor:
            batch.minor += size
            self._minor_taken += size
        if not self._armed:
            self._armed = True
            self._loop.call_later(_DELAY, self._flush)
        return True

    def reopen(self) -> None:
        """Open the output's path anew, at once."""
        self._output.reopen()
        self._queue.put(_Batch([]))

    def close(self, grace: float) -> None:
        """Hand over what is queued, to be written within `grace` seconds; nothing may be appended after."""
        self._flush()
        self._output.give_up(monotonic() + grace)
        self._queue.put(None)

    def join(self, timeout: float) -> int:
        """Wait at most `timeout` seconds for the writer to end; how many bytes it has not written."""
        if self._writer.ident is None:
            self._writer.start()
        self._writer.join(timeout)
        return self._taken - self._gone

    def _flush(self) -> None:
        self._armed = False
        if self._batch.lines:
            batch, self._batch = self._batch, _Batch([])
            self._queue.put(batch)

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            self._gone += self._output.write(b"".join(batch.lines))
            self._minor_gone += batch.minor
        self._output.close()
