"""A worker's place: its number and its sockets, which outlive whatever process sits there.

As long as a socket is open somewhere the kernel goes on connecting clients to it; they wait until there is
somebody again.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from proxy.workers.channel import Channel, ClosedError
from proxy.workers.messages import Begin, Failed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.workers.messages import Message

_START = 60.0
# Modules come from where this process has them: nothing in the working directory can stand in for them.
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from proxy.workers import work
work(int(sys.argv[2]), [int(one) for one in sys.argv[3:]])
"""


class WorkerError(Exception):
    """A worker cannot begin: what `keystile run` says then, and `code`, what it exits with."""

    def __init__(self, problem: str, code: int) -> None:
        super().__init__(problem)
        self.code = code


class Seat:
    """The place of worker `number`; `answer` answers what the worker says."""

    def __init__(
        self, number: int, sockets: list[socket.socket], answer: Callable[[Message], Awaitable[Message]]
    ) -> None:
        self.number = number
        self.sockets = sockets
        self.failures = 0
        """How many processes in a row have ended soon after they began."""
        self._answer = answer
        self._channel: Channel | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._since = 0.0

    @property
    def pid(self) -> int | None:
        """The process that sits here, or did."""
        return None if self._process is None else self._process.pid

    @property
    def age(self) -> float:
        """For how long it has sat here, in seconds."""
        return time.monotonic() - self._since

    async def fill(self, begin: Begin) -> None:
        """Start a process, and wait until it serves.

        Raises:
            WorkerError: it cannot begin, and has ended.
        """
        own, its = socket.socketpair()
        self._since = time.monotonic()
        try:
            self._process = await self._started(its)
            self._channel = await Channel.over(own, self._answer)
        except BaseException:
            own.close()
            raise
        finally:
            its.close()
        self._listening = asyncio.create_task(self._channel.run())
        problem = await self._begun(begin)
        if problem is not None:
            self._channel.close()
            await self.end()
            raise problem

    async def _started(self, its: socket.socket) -> asyncio.subprocess.Process:
        descriptors = (its.fileno(), *(one.fileno() for one in self.sockets))
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *(["-O"] * sys.flags.optimize),
            "-P",
            "-c",
            _PROGRAM,
            json.dumps(sys.path),
            *map(str, descriptors),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=descriptors,
        )

    async def _begun(self, begin: Begin) -> WorkerError | None:
        try:
            answer = await self.ask(begin, _START)
        except TimeoutError:
            return WorkerError("a worker does not begin", 1)
        except ClosedError:
            return WorkerError("a worker has ended before it began", 1)
        return WorkerError(answer.problem, answer.code) if isinstance(answer, Failed) else None

    async def ask(self, message: Message, seconds: float) -> Message:
        """As `Channel.ask`."""
        if self._channel is None:
            raise ClosedError
        return await self._channel.ask(message, seconds)

    async def ended(self) -> int:
        """Wait until the process has ended; the signal that ended it is negative."""
        if self._process is None:
            return 0
        code = await self._process.wait()
        if self._channel is not None:
            self._channel.close()
        if self._listening is not None:
            await self._listening
        return code

    async def end(self, seconds: float = 0.0) -> None:
        """Wait so long for the process to end, then kill it."""
        try:
            async with asyncio.timeout(seconds):
                await self.ended()
        except TimeoutError:
            self.kill()
            await self.ended()

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
