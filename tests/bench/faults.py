"""What is lost, and who is let in wrongly, while things around the proxy break under load?

    python -m tests.bench.faults [--rate 2000] [--seconds 20] [--connections 64] [FAULT ...]

Each fault has a run of its own: Keystile in its own process before an upstream in another, agents that ask all the
time (most of them to be admitted, some not), and the fault in the middle of it. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import resource
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.authorities import Authority
from tests.support.key_server import document, key_server, never
from tests.support.keys import jwks_bytes
from tests.support.load import RULES, Load, arrived, logged
from tests.support.programs import Program, free_port
from tests.support.redis_server import redis_server
from tests.support.service import AGENT_KEY, ISSUER, keystile

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.support.service import Service

    Act = Callable[["Scene"], Awaitable[None]]

_UPSTREAM = (sys.executable, "-m", "tests.support.load_upstream")


class Upstream:
    """The upstream's process, on a port that it keeps."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.notes = folder / "arrived"
        self._folder = folder
        self._running: Program | None = None

    def start(self) -> None:
        self._running = Program([*_UPSTREAM, self.port, self.notes], self._folder)
        self._running.says("(serving)")

    def kill(self) -> None:
        if self._running is not None:
            self._running.send(signal.SIGKILL)
            self._running.wait()
            self._running = None


@dataclass
class Scene:
    """What a fault can reach."""

    folder: Path
    upstream: Upstream
    service: Service
    load: Load
    third: float
    """A third of the run, in seconds."""


@contextlib.asynccontextmanager
async def nothing(_: Path) -> AsyncIterator[tuple[dict[str, Any], Act]]:
    """No fault: what the others are compared with."""

    async def act(scene: Scene) -> None:
        await asyncio.sleep(scene.third)

    yield {}, act


@contextlib.asynccontextmanager
async def upstream_killed(_: Path) -> AsyncIterator[tuple[dict[str, Any], Act]]:
    """The upstream dies without a word, and is started again."""

    async def act(scene: Scene) -> None:
        scene.upstream.kill()
        await asyncio.sleep(scene.third / 2)
        await asyncio.to_thread(scene.upstream.start)

    yield {}, act


@contextlib.asynccontextmanager
async def issuer_away(_: Path) -> AsyncIterator[tuple[dict[str, Any], Act]]:
    """The issuer stops answering, while its keys are due every second."""
    async with key_server() as server:
        server.serve(document(jwks_bytes(AGENT_KEY)))

        async def act(scene: Scene) -> None:
            server.serve(never())
            await asyncio.sleep(scene.third)

        keys = {"refresh": "1s", "cooldown": "1s"}
        yield {"issuers": [{"issuer": ISSUER, "jwks": server.jwks_url, "keys": keys}]}, act


@contextlib.asynccontextmanager
async def redis_away(folder: Path) -> AsyncIterator[tuple[dict[str, Any], Act]]:
    """The Redis that counts rates stops, and is started again."""
    async with redis_server(folder) as redis:

        async def act(scene: Scene) -> None:
            await redis.stop()
            await asyncio.sleep(scene.third / 2)
            await redis.start()

        yield {"redis": redis.url, "rules": [{**RULES[0], "rate": "1000000/s"}]}, act


@contextlib.asynccontextmanager
async def disk_full(_: Path) -> AsyncIterator[tuple[dict[str, Any], Act]]:
    """The log's file can grow no further, and then it can again."""

    async def act(scene: Scene) -> None:
        pid, size = scene.service.program.pid, scene.service.log.stat().st_size
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 1000, unlimited[1]))
        await asyncio.sleep(scene.third)
        assert scene.service.log.stat().st_size <= size + 1000, "the file has grown all the same"
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)

    yield {}, act


@contextlib.asynccontextmanager
async def pipe_unread(folder: Path) -> AsyncIterator[tuple[dict[str, Any], Act]]:
    """Whoever reads the log's pipe stops reading for a while."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    # Open for both, so that it never ends while nobody writes.
    descriptor = os.open(pipe, os.O_RDWR)
    reads, done = threading.Event(), threading.Event()
    reads.set()

    def copy() -> None:
        os.set_blocking(descriptor, False)
        with (folder / "access.log").open("wb") as log:
            while not done.is_set():
                reads.wait()
                with contextlib.suppress(BlockingIOError):
                    log.write(os.read(descriptor, 65536))
                    continue
                log.flush()
                done.wait(0.005)

    async def act(scene: Scene) -> None:
        reads.clear()
        await asyncio.sleep(scene.third)
        reads.set()

    thread = threading.Thread(target=copy)
    thread.start()
    try:
        yield {"log": {"output": str(pipe)}}, act
    finally:
        done.set()
        thread.join()
        os.close(descriptor)


@contextlib.asynccontextmanager
async def hangups(_: Path) -> AsyncIterator[tuple[dict[str, Any], Act]]:
    """SIGHUP, once a second at least, each time with another configuration."""

    async def act(scene: Scene) -> None:
        file = scene.folder / "edge" / "config.yaml"
        text = file.read_text()
        turns = max(10, int(scene.third))
        for turn in range(turns):
            file.write_text(f"{text}limits: {{head_timeout: {turn + 5}s}}\n")
            scene.service.program.send(signal.SIGHUP)
            await asyncio.sleep(scene.third / turns)

    yield {}, act


@contextlib.asynccontextmanager
async def certificate_replaced(folder: Path) -> AsyncIterator[tuple[dict[str, Any], Act]]:
    """The certificate's files are replaced, and new connections see the new one."""
    authority = Authority(folder)
    pair = authority.certify("edge")
    client = authority.client()

    async def serial(scene: Scene) -> str:
        host, _, port = scene.service.url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=client)
        writer.close()
        return str(writer.get_extra_info("ssl_object").getpeercert()["serialNumber"])

    async def act(scene: Scene) -> None:
        before = await serial(scene)
        authority.certify("edge")
        async with asyncio.timeout(20):
            while await serial(scene) == before:  # noqa: ASYNC110 - a handshake is the only way to see it
                await asyncio.sleep(0.02)

    yield {"tls": {"certificate": str(pair[0]), "key": str(pair[1])}, "client": client}, act


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextlib.asynccontextmanager
async def worker_killed(_: Path) -> AsyncIterator[tuple[dict[str, Any], Act]]:
    """One of two workers gets SIGKILL."""

    async def act(scene: Scene) -> None:
        os.kill(_children(scene.service.program.pid)[0], signal.SIGKILL)
        await asyncio.sleep(scene.third)

    yield {"workers": 2, "reports": ("worker_died",)}, act


@contextlib.asynccontextmanager
async def terminated(_: Path) -> AsyncIterator[tuple[dict[str, Any], Act]]:
    """SIGTERM."""

    async def act(scene: Scene) -> None:
        scene.service.program.send(signal.SIGTERM)
        scene.load.stop()
        assert await asyncio.to_thread(scene.service.program.wait) == 0

    yield {}, act


FAULTS = {
    fault.__name__: fault
    for fault in (
        nothing,
        upstream_killed,
        issuer_away,
        redis_away,
        disk_full,
        pipe_unread,
        hangups,
        certificate_replaced,
        worker_killed,
        terminated,
    )
}


@dataclass(frozen=True)
class Found:
    """What the books say after a run: paths of requests, but for the counts."""

    sent: int
    statuses: Counter[int]
    """How those were answered that may be admitted."""
    lost: int
    """Requests without an answer."""
    lost_under_way: list[str]
    """Those of them that had reached the upstream."""
    wrongly_admitted: list[str]
    unlogged: list[str]
    """Answered requests without exactly one access line of that answer."""


async def run(name: str, folder: Path, *, rate: int, seconds: float, connections: int) -> Found:
    """Run one fault under load."""
    for part in ("upstream", "edge", "fault"):
        (folder / part).mkdir(parents=True)
    upstream = Upstream(folder / "upstream")
    upstream.start()
    try:
        async with FAULTS[name](folder / "fault") as (more, act):
            client = more.pop("client", None)
            settings = {"rules": RULES, "log": {"output": "access.log"}, **more}
            url = f"http://127.0.0.1:{upstream.port}"
            with keystile(folder / "edge", upstream=url, **settings) as service:
                host, _, port = service.url.removeprefix("http://").partition(":")
                load = Load((host, int(port)), rate=rate, connections=connections, tls=client)
                scene = Scene(folder, upstream, service, load, seconds / 3)
                running = asyncio.create_task(load.run())
                await asyncio.sleep(scene.third)
                await act(scene)
                if not load.stopped:
                    await asyncio.sleep(scene.third)
                load.stop()
                await running
                await asyncio.to_thread(service.stop)
    finally:
        upstream.kill()
    books, reached = load.books, arrived(upstream.notes)
    log = folder / ("fault" if name == "pipe_unread" else "edge") / "access.log"
    return Found(
        books.sent,
        books.statuses(),
        len(books.lost),
        sorted(set(books.lost) & set(reached)),
        books.wrongly_admitted(reached),
        books.unlogged(logged(log)),
    )


async def main(names: list[str], rate: int, seconds: float, connections: int) -> None:
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            found = await run(name, Path(folder), rate=rate, seconds=seconds, connections=connections)
        statuses = " ".join(f"{status}:{count}" for status, count in sorted(found.statuses.items()))
        print(
            f"{name:16} sent {found.sent:6d}  {statuses:24}  lost {found.lost}"
            f" (under way {len(found.lost_under_way)})  wrongly admitted {len(found.wrongly_admitted)}"
            f"  unlogged {len(found.unlogged)}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Faults under load.")
    parser.add_argument(
        "faults", nargs="*", metavar="FAULT", help=f"of {', '.join(FAULTS)}; all where absent"
    )
    parser.add_argument("--rate", type=int, default=2000, help="requests a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run")
    parser.add_argument("--connections", type=int, default=64)
    told = parser.parse_args()
    import uvloop  # the agents need most of the time

    uvloop.run(main(told.faults or list(FAULTS), told.rate, told.seconds, told.connections))
