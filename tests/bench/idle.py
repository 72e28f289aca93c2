"""Does memory stay flat while many connections are open: most of them idle, some of them busy?

    python -m tests.bench.idle [--idle 500] [--busy 64] [--seconds 600] [--rate 10]

Starts Keystile in its own process before a small upstream, and prints its memory (RSS and PSS, from
/proc/PID/smaps_rollup), its open files and the requests so far; at the end, the slope of the memory. The busy
connections ask `--rate` times a second each, the idle ones once a minute, with a handful of tokens among them. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

from tests.support.service import agent_token, keystile

_TOKENS = 16
_SAMPLE = 10.0
# Often enough that the proxy does not close the connection, which it does after 75 s without a request.
_IDLE_RATE = 1 / 60
_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'


@dataclass(frozen=True)
class Sample:
    """The proxy at one moment: seconds since the beginning, memory in KiB, open files, requests so far."""

    at: float
    rss: int
    pss: int
    files: int
    requests: int


@dataclass(frozen=True)
class Figures:
    samples: list[Sample]
    idle_left: int
    """Idle connections that were still open, and still answered, at the end."""

    def slope(self) -> float:
        """KiB of RSS a minute over the second half of the run, when caches are full and pools are made."""
        half = self.samples[len(self.samples) // 2 :]
        return statistics.linear_regression([s.at for s in half], [s.rss for s in half]).slope * 60


class Upstream(asyncio.Protocol):
    """Answers every head; the requests here have no body."""

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        self._transport.write(_ANSWER * len(heads))


class Caller:
    """One keep-alive connection of an agent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader, self._writer = reader, writer
        self._request = (
            f"GET /memory HTTP/1.1\r\nHost: mcp.example.com\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        self.answered = 0

    async def ask(self) -> None:
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        await self._reader.readexactly(15)
        self.answered += 1

    async def ask_until(self, end: float, rate: float) -> None:
        clock = asyncio.get_running_loop()
        while (began := clock.time()) < end:
            await self.ask()
            await asyncio.sleep(max(0.0, 1 / rate - (clock.time() - began)))

    async def still_answers(self) -> bool:
        try:
            await self.ask()
        except (OSError, asyncio.IncompleteReadError):
            return False
        return True

    def close(self) -> None:
        self._writer.close()


def sample(pid: int, at: float, requests: int) -> Sample:
    fields = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    kibibytes = {words[0]: int(words[1]) for words in fields}
    files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Sample(at, kibibytes["Rss:"], kibibytes["Pss:"], files, requests)


async def _watch(pid: int, callers: list[Caller], seconds: float) -> list[Sample]:
    samples = []
    began = time.monotonic()
    for turn in itertools.count():
        at = min(turn * _SAMPLE, seconds)
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        now = sample(pid, at, sum(caller.answered for caller in callers))
        samples.append(now)
        print(
            f"{now.at:5.0f} s  RSS {now.rss:7d} KiB  PSS {now.pss:7d} KiB  {now.files:4d} files"
            f"  {now.requests:8d} requests",
            flush=True,
        )
        if at == seconds:
            return samples
    raise AssertionError


async def _measure(folder: Path, idle: int, busy: int, seconds: float, rate: float) -> Figures:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    tokens = itertools.cycle(
        [agent_token(sub=f"acc_{number}", exp=int(time.time() + seconds + 3600)) for number in range(_TOKENS)]
    )
    rules = [{"path": "/**", "scopes": ["memory:read"]}]
    with keystile(folder, upstream=f"http://{host}:{port}", rules=rules) as service:
        where = service.url.removeprefix("http://").split(":")
        callers = [Caller(*await asyncio.open_connection(*where), next(tokens)) for _ in range(idle + busy)]
        for caller in callers:
            await caller.ask()
        end = asyncio.get_running_loop().time() + seconds
        rates = [_IDLE_RATE] * idle + [rate] * busy
        asking = [
            asyncio.create_task(caller.ask_until(end, each))
            for caller, each in zip(callers, rates, strict=True)
        ]
        samples = await _watch(service.program.pid, callers, seconds)
        await asyncio.gather(*asking[idle:])
        for task in asking[:idle]:
            task.cancel()
        await asyncio.gather(*asking[:idle], return_exceptions=True)
        left = [await caller.still_answers() for caller in callers[:idle]]
        for caller in callers:
            caller.close()
    server.close()
    return Figures(samples, sum(left))


def measure(idle: int, busy: int, seconds: float, rate: float) -> Figures:
    """Run the measurement, and print it as it goes."""
    with tempfile.TemporaryDirectory() as name:
        figures = uvloop.run(_measure(Path(name), idle, busy, seconds, rate))
    print(f"RSS slope over the second half: {figures.slope():+.1f} KiB a minute")
    print(f"idle connections that still answered at the end: {figures.idle_left} of {idle}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--idle", type=int, default=500)
    parser.add_argument("--busy", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=10)
    options = parser.parse_args()
    measure(options.idle, options.busy, options.seconds, options.rate)


if __name__ == "__main__":
    main()
