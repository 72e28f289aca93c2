"""What does a crowd cost that only waits: idle connections, and event streams that are quiet most of the time?

    python -m tests.bench.crowd [--idle 10000] [--streams 1000] [--seconds 10]

Starts Keystile in its own process, with one worker, before a small upstream in another. Opens the crowd, and prints the
memory (RSS and PSS) of each connection and of each stream, and how long others wait for an answer without the crowd and
beside it: the medians of the median and of the 99th percentile over several turns. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

from tests.bench.idle import Caller, Sample, sample
from tests.support.programs import Program, free_port
from tests.support.service import agent_token, keystile

_TURNS = 5
_OTHERS = 8
_PAUSE = 0.004
_AT_ONCE = 200
_EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'
_EVENT = b"9\r\ndata: x\n\n\r\n"
_EVERY = 5.0


@dataclass(frozen=True)
class Waits:
    """Milliseconds."""

    p50: float
    p99: float


class Upstream(asyncio.Protocol):
    """Answers every head; what asks for events gets one every few seconds."""

    def __init__(self) -> None:
        self._rest = b""
        self._gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for head in heads:
            if head.startswith(b"GET /events "):
                self._transport.write(_EVENTS + _EVENT)
                asyncio.get_running_loop().call_later(_EVERY, self._tell)
            else:
                self._transport.write(_ANSWER)

    def _tell(self) -> None:
        if not self._gone:
            self._transport.write(_EVENT)
            asyncio.get_running_loop().call_later(_EVERY, self._tell)

    def connection_lost(self, _: Exception | None) -> None:
        self._gone = True


class Waiting(asyncio.Protocol):
    """One of the crowd: says what it has to say once, and reads."""

    def __init__(self, said: bytes) -> None:
        self._said = said
        self.answered = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._said)

    def data_received(self, data: bytes) -> None:
        if not self.answered.done():
            assert data.startswith(b"HTTP/1.1 200 "), data
            self.answered.set_result(None)

    def close(self) -> None:
        self._transport.close()


async def _gathered(where: tuple[str, int], count: int, said: bytes) -> list[Waiting]:
    """Open so many connections, some at a time."""
    loop = asyncio.get_running_loop()
    crowd: list[Waiting] = []
    while len(crowd) < count:
        more = min(_AT_ONCE, count - len(crowd))
        opened = await asyncio.gather(
            *(loop.create_connection(lambda: Waiting(said), *where) for _ in range(more))
        )
        crowd += [protocol for _, protocol in opened]
        await asyncio.gather(*(one.answered for one in crowd[-more:]))
    return crowd


async def _waits(where: tuple[str, int], token: str, seconds: float) -> Waits:
    """How long others wait who ask now and then."""
    took: list[float] = []

    async def ask(end: float) -> None:
        caller = Caller(*await asyncio.open_connection(*where), token)
        while time.perf_counter() < end:
            began = time.perf_counter()
            await caller.ask()
            took.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(_PAUSE)
        caller.close()

    p50, p99 = [], []
    for _ in range(_TURNS):
        took.clear()
        end = time.perf_counter() + seconds / _TURNS
        await asyncio.gather(*(ask(end) for _ in range(_OTHERS)))
        cuts = statistics.quantiles(took, n=100)
        p50.append(cuts[49])
        p99.append(cuts[98])
    return Waits(statistics.median(p50), statistics.median(p99))


def _each(before: Sample, after: Sample, count: int) -> str:
    rss, pss = (after.rss - before.rss) / count, (after.pss - before.pss) / count
    return f"{rss:.1f} KiB of RSS each, {pss:.1f} KiB of PSS"


async def _measure(folder: Path, idle: int, streams: int, seconds: float) -> None:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.crowd", "--upstream", port]
    upstream = Program(command, folder / "upstream")
    upstream.says("(serving)")
    try:
        settings = {
            "upstream": {"url": f"http://127.0.0.1:{port}", "connections": streams + 64},
            "rules": [{"path": "/**", "scopes": ["memory:read"]}],
            "limits": {"connections": idle + streams + 1000},
        }
        with keystile(folder / "keystile", **settings) as service:
            host, _, at = service.url.removeprefix("http://").rpartition(":")
            where, pid = (host, int(at)), service.program.pid
            token = agent_token()
            asks = "GET {} HTTP/1.1\r\nHost: mcp.example.com\r\nAuthorization: Bearer {}\r\n\r\n"
            alone = await _waits(where, token, seconds)
            none = sample(pid, 0, 0)
            crowd = await _gathered(where, idle, asks.format("/memory", token).encode())
            waiting = sample(pid, 0, 0)
            print(f"{idle} idle connections: {_each(none, waiting, idle)}", flush=True)
            crowd += await _gathered(where, streams, asks.format("/events", token).encode())
            listening = sample(pid, 0, 0)
            print(f"{streams} event streams: {_each(waiting, listening, streams)}", flush=True)
            beside = await _waits(where, token, seconds)
            print(f"without the crowd: p50 {alone.p50:.3f} ms, p99 {alone.p99:.3f} ms")
            print(f"beside the crowd:  p50 {beside.p50:.3f} ms, p99 {beside.p99:.3f} ms", flush=True)
            print(f"p99: {beside.p99 / alone.p99:.2f} times as long; {listening.rss} KiB of RSS in all")
            for one in crowd:
                one.close()
            await asyncio.sleep(1)
    finally:
        upstream.stop()


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    print("serving", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--upstream", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.upstream:
        uvloop.run(_serve(options.upstream))
        return
    with tempfile.TemporaryDirectory() as name:
        uvloop.run(_measure(Path(name), options.idle, options.streams, options.seconds))


if __name__ == "__main__":
    main()
