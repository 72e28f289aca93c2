"""Do memory and open files stay flat under everything at once?

    python -m tests.bench.soak [--seconds 1200] [--clients 24]

Starts Keystile in its own process before a small upstream, and goes on for so long with clients of every kind: agents
that keep their connection, agents with a new token each time, MCP calls and lists, refusals, bodies, event streams
that are left, WebSocket tunnels, and clients that break off. Prints memory and open files as it goes, and their slope
over the second half. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import uvloop

from tests.bench.idle import Figures, sample
from tests.support.service import agent_token, keystile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SAMPLE = 10.0
_HOST = "Host: mcp.example.com\r\n"
_UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
_ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
_EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_TOOLS = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": name} for name in ("read", "write")] * 20}}
).encode()
_RULES: list[dict[str, Any]] = [
    {"name": "mcp", "path": "/mcp", "mcp": [{"tool": "read", "scopes": ["load"]}]},
    {"name": "feed", "path": "/feed", "scopes": ["load"], "upgrade": "websocket"},
    {"name": "load", "path": "/**", "scopes": ["load"]},
]
Sent = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Upstream(asyncio.Protocol):
    """Answers by path: a document, a list of tools, a stream of events, a tunnel that echoes."""

    def __init__(self) -> None:
        self._rest = b""
        self._tunnels = False
        self._telling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._tunnels:
            self._transport.write(data)
            return
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end]
            length = int((head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]) or 0)
            if len(self._rest) < end + 4 + length:
                return
            self._rest = self._rest[end + 4 + length :]
            self._answer(head.split(b" ", 2)[1])

    def _answer(self, target: bytes) -> None:
        if target == b"/feed":
            self._tunnels = True
            self._transport.write(_ACCEPT)
        elif target == b"/events":
            self._transport.write(_EVENTS)
            self._telling = asyncio.ensure_future(self._tell())
        else:
            body = _TOOLS if target == b"/mcp" else b'{"status":"ok"}'
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            self._transport.write(head % len(body) + body)

    async def _tell(self) -> None:
        for number in itertools.count():
            event = b"id: %d\ndata: {}\n\n" % number
            self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(0.2)

    def connection_lost(self, _: Exception | None) -> None:
        if self._telling is not None:
            self._telling.cancel()


class Clients:
    """Clients of every kind, again and again until `stopped`."""

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self._where = host, port
        self._expires = int(time.time() + seconds + 3600)
        self._numbers = itertools.count()
        self._usual = [self._token() for _ in range(16)]
        self.stopped = False
        self.done: Counter[str] = Counter()

    def _token(self, *scopes: str) -> str:
        number = next(self._numbers)
        return agent_token(
            sub=f"acc_{number % 64}", jti=f"t{number}", al_scopes=list(scopes or ("load",)), exp=self._expires
        )

    async def run(self, number: int) -> None:
        kinds: list[Callable[[], Awaitable[None]]] = [
            *(self.asks, self.asks_anew, self.calls, self.is_refused, self.sends, self.listens, self.tunnels),
            *(self.breaks_off, self.asks, self.calls),
        ]
        while not self.stopped:
            kind = kinds[number % len(kinds)] if number < len(kinds) else random.choice(kinds)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await asyncio.wait_for(kind(), 30)
            self.done[kind.__name__] += 1
            await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def _connected(self) -> Any:
        reader, writer = await asyncio.open_connection(*self._where)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def _ask(self, sent: Sent, request: str, token: str, body: bytes = b"") -> int:
        reader, writer = sent
        length = f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n" if body else ""
        writer.write(
            f"{request} HTTP/1.1\r\n{_HOST}Authorization: Bearer {token}\r\n{length}\r\n".encode() + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(size)
        return int(head[9:12])

    async def asks(self) -> None:
        async with self._connected() as sent:
            for _ in range(50):
                await self._ask(sent, "GET /memory", random.choice(self._usual))

    async def asks_anew(self) -> None:
        async with self._connected() as sent:
            for _ in range(5):
                await self._ask(sent, f"GET /memory/{random.random()}", self._token())

    async def calls(self) -> None:
        async with self._connected() as sent:
            for method, params in (
                ("tools/list", {}),
                ("tools/call", {"name": "read"}),
                ("tools/call", {"name": "x"}),
            ):
                body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
                await self._ask(sent, "POST /mcp", random.choice(self._usual), body)

    async def is_refused(self) -> None:
        async with self._connected() as sent:
            await self._ask(sent, "GET /memory", self._token("other"))
            await self._ask(sent, "GET /memory", "nonsense")
            await self._ask(sent, "GET /a/../b", random.choice(self._usual))

    async def sends(self) -> None:
        async with self._connected() as sent:
            await self._ask(sent, "PUT /memory", random.choice(self._usual), random.randbytes(256 * 1024))

    async def listens(self) -> None:
        async with self._connected() as (reader, writer):
            token = random.choice(self._usual)
            writer.write(f"GET /events HTTP/1.1\r\n{_HOST}Authorization: Bearer {token}\r\n\r\n".encode())
            for _ in range(random.randrange(1, 20)):
                await reader.readuntil(b"\n\n")

    async def tunnels(self) -> None:
        async with self._connected() as (reader, writer):
            token = random.choice(self._usual)
            writer.write(
                f"GET /feed HTTP/1.1\r\n{_HOST}Authorization: Bearer {token}\r\n{_UPGRADE}\r\n".encode()
            )
            await reader.readuntil(b"\r\n\r\n")
            for _ in range(20):
                writer.write(bytes(1000))
                await reader.readexactly(1000)

    async def breaks_off(self) -> None:
        async with self._connected() as (_, writer):
            writer.write(f"POST /mcp HTTP/1.1\r\n{_HOST}Content-Length: 100000\r\n".encode())
            await asyncio.sleep(0.1)
            writer.transport.abort()


async def _measure(folder: Path, seconds: float, clients: int) -> Figures:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    with keystile(folder, upstream=f"http://{host}:{port}", rules=_RULES) as service:
        at, _, where = service.url.removeprefix("http://").rpartition(":")
        everybody = Clients(at, int(where), seconds)
        running = [asyncio.create_task(everybody.run(number)) for number in range(clients)]
        samples, began = [], time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            await asyncio.sleep(min(_SAMPLE, seconds - now))
            samples.append(sample(service.program.pid, time.monotonic() - began, everybody.done.total()))
            print(
                "{0.at:6.0f} s  RSS {0.rss:7d} KiB  {0.files:4d} files  {0.requests:8d} done".format(
                    samples[-1]
                ),
                flush=True,
            )
        everybody.stopped = True
        await asyncio.gather(*running)
        print(f"done: {dict(everybody.done)}")
    server.close()
    return Figures(samples, 0)


def measure(seconds: float, clients: int) -> Figures:
    """Run the measurement, and print it as it goes."""
    with tempfile.TemporaryDirectory() as name:
        figures = uvloop.run(_measure(Path(name), seconds, clients))
    files = [one.files for one in figures.samples[len(figures.samples) // 2 :]]
    print(
        f"over the second half: RSS {figures.slope():+.1f} KiB a minute, {min(files)} to {max(files)} files"
    )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--clients", type=int, default=24)
    options = parser.parse_args()
    measure(options.seconds, options.clients)


if __name__ == "__main__":
    main()
