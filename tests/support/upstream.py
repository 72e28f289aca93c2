"""A recording upstream: keeps every byte that reaches it, and answers from a script.

It knows nothing of the proxy. It reads requests with the tests' own strict reader; what that reader cannot
read stands in `faults`, so that no test passes over bytes with two readings.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.support.messages import Message, UnsoundError, read_request, read_request_head
from tests.support.raw import DEADLINE, Endpoint

if TYPE_CHECKING:
    import socket
    import ssl
    from pathlib import Path


@dataclass(frozen=True)
class Act:
    """A step of a script that is not bytes."""

    name: str


@dataclass(frozen=True)
class Gate:
    """A step that waits until the test opens the gate of this name."""

    name: str


EARLY: Final = Act("answer as soon as the head has come, while the body is still under way")
CLOSE: Final = Act("close the connection")
RESET: Final = Act("end the connection with RST")
HALF_CLOSE: Final = Act("send FIN and go on reading")

Script = Sequence[bytes | Act | Gate]
"""What the upstream does about one request: bytes to send, in pieces, and acts between them.

`{upstream}` in the bytes stands for its own host and port.
"""
Answer = Script | Callable[[Message], Script]
Reader = Callable[[bytes], tuple[Message, int] | None]


def plain(body: bytes = b"ok") -> Script:
    return (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),)


def echo(request: Message) -> Script:
    """An answer that says which target it answers."""
    return plain(request.target)


class Upstream:
    """What arrived, by connection and by request; `answers` are used in order, the last one again and again."""

    def __init__(self, answers: Sequence[Answer] = (echo,), *, trickle: bool = False) -> None:
        self.answers = list(answers)
        self.fixed: dict[bytes, Answer] = {}
        """Answers by target, which use up none of `answers`."""
        self.connections: list[Endpoint] = []
        self.requests: list[Message] = []
        self.faults: list[str] = []
        self.gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.url = ""
        self._trickle = trickle
        self._answered = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    @property
    def authority(self) -> bytes:
        return self.url.partition("://")[2].encode()

    async def arrived(self, count: int) -> None:
        """Wait until `count` requests have come whole."""
        await self._until(lambda: len(self.requests) >= count)

    async def begun(self) -> None:
        """Wait until a connection has brought a byte."""
        await self._until(lambda: bool(self.connections))
        await self.connections[-1].until(lambda: self.connections[-1].total > 0)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def opened(self, connection: Endpoint) -> None:
        self.connections.append(connection)
        self._changed.set()
        task = asyncio.ensure_future(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Endpoint) -> None:
        taken = 0
        try:
            while length := await self._exchange(connection, taken):
                taken += length
        except (UnsoundError, AssertionError) as fault:
            self.faults.append(str(fault))
        if connection.ended and not connection.gone:
            connection.transport.close()

    async def _exchange(self, connection: Endpoint, start: int) -> int:
        """Read the request that begins at `start`, and answer; its length, or 0 where no other can follow."""
        if (head := await _read(connection, start, read_request_head)) is None:
            return 0
        script = self._script(head[0])
        early = bool(script) and script[0] is EARLY
        if early and not await self._perform(connection, script[1:]):
            return 0
        if (whole := await _read(connection, start, read_request)) is None:
            return 0
        request, length = whole
        self.requests.append(request)
        self._changed.set()
        return length if early or await self._perform(connection, script) else 0

    def _script(self, head: Message) -> Script:
        answer = self.fixed.get(head.target)
        if answer is None:
            answer = self.answers[min(self._answered, len(self.answers) - 1)]
            self._answered += 1
        return answer(head) if callable(answer) else answer

    async def _perform(self, connection: Endpoint, script: Script) -> bool:
        """Run a script; says whether the connection is still good for another request."""
        for step in script:
            if isinstance(step, bytes):
                data = step.replace(b"{upstream}", self.authority)
                await (connection.trickle(data) if self._trickle else connection.write(data))
            elif isinstance(step, Gate):
                await self.gates[step.name].wait()
            elif step is HALF_CLOSE:
                connection.half_close()
            elif step is CLOSE:
                await connection.close()
                return False
            elif step is RESET:
                connection.reset()
                return False
        return True

    async def finish(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self.connections:
            await connection.abort()


async def _read(connection: Endpoint, start: int, reader: Reader) -> tuple[Message, int] | None:
    """What `reader` finds from `start` on; None where the connection ends before it is whole."""
    while (read := reader(bytes(connection.received[start:]))) is None and not connection.ended:
        await connection.happens()
    return read


@contextlib.asynccontextmanager
async def upstream(
    answers: Sequence[Answer] = (echo,),
    *,
    trickle: bool = False,
    path: Path | None = None,
    tls: ssl.SSLContext | None = None,
    bound: socket.socket | None = None,
) -> AsyncIterator[Upstream]:
    """An upstream on a free loopback port, on the socket `bound`, or on the unix socket `path`; `tls` makes it https."""
    made = Upstream(answers, trickle=trickle)
    loop = asyncio.get_running_loop()
    if path is not None:
        server = await loop.create_unix_server(lambda: Endpoint(made.opened), str(path))
        made.url = f"unix:{path}"
    else:
        place = {"host": "127.0.0.1", "port": 0} if bound is None else {"sock": bound}
        server = await loop.create_server(lambda: Endpoint(made.opened), ssl=tls, **place)
        host, port = server.sockets[0].getsockname()
        made.url = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield made
    finally:
        server.close()
        await made.finish()
        await server.wait_closed()
