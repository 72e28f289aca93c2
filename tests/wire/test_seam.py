"""The seam between wire and gate: what the wire does about each need, driven by a small gatekeeper of its own.

No rule of today needs a body; the wire keeps its side of the contract all the same, and this holds it to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import load
from proxy.model import Body, Closing, Forward, Note, Opening, Peer, Reason, Reply, RequestHead, Wait
from proxy.wire import Forwarding, RequestLines, Wire
from tests.support.harness import settings_file
from tests.support.raw import connect
from tests.support.upstream import upstream
from tests.wire.exchanges.table import http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from proxy.config import Config
    from proxy.model import Judgement

LIMIT = 32


class Reader:
    """A gatekeeper that reads each body and forwards what it read; its target says what else it needs."""

    def __init__(self, config: Config) -> None:
        self._lines = RequestLines(config)
        self.read: list[bytes] = []
        self.finish: list[tuple[str, int, Reason | None]] = []
        self.asked = asyncio.Event()
        self.told = asyncio.Event()
        self.over = asyncio.Event()

    def judge(self, head: RequestHead, now: float) -> Judgement:
        opening = Opening(now, "1", head.peer.address, "allow", method=head.method)
        if head.target == b"/waits":
            yield Wait(self._answer)
        elif head.target == b"/fails":
            try:
                yield Wait(self._fail)
            except ConnectionError:
                return self._refuse(opening, Reason.KEYS_UNAVAILABLE)
        elif head.target == b"/breaks":
            yield Wait(self._fail)
        body = yield Body(LIMIT, "client")
        if isinstance(body, Reason):
            return self._refuse(opening, body)
        self.read.append(body)
        return Forward(self._lines.head(head, b""), opening)

    async def _answer(self) -> None:
        self.asked.set()
        await self.told.wait()

    async def _fail(self) -> None:
        raise ConnectionError

    def _refuse(self, opening: Opening, reason: Reason) -> Reply:
        opening.reason = reason
        status = {"body_too_large": 413, "keys_unavailable": 503, "client_closed": 499}.get(reason, 400)
        return Reply(500 if reason is Reason.INTERNAL_ERROR else status, b"", reason.encode(), opening)

    def fault(self, reason: Reason, seen: Opening | RequestHead | Peer, now: float) -> Reply:
        opening = seen if isinstance(seen, Opening) else Opening(now, "2", "", "deny")
        return self._refuse(opening, reason)

    def opened(self, opening: Opening, status: int) -> None:
        pass

    def finished(self, opening: Opening, closing: Closing) -> None:
        reason: Any = closing.reason or opening.reason
        self.finish.append((opening.decision, closing.status, reason))
        self.over.set()


@contextlib.asynccontextmanager
async def wired(folder: Path, url: str, **settings: Any) -> AsyncIterator[tuple[Reader, Wire]]:
    config = load(settings_file(folder, url, **settings), {})
    reader = Reader(config)
    wire = Wire(config, reader, Forwarding(()), time.time)
    await wire.listen()
    try:
        yield reader, wire
    finally:
        await wire.close(Note.DRAINING, 0.0)


CHUNKS = b"3\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
HOST = "Host: edge.test"
BODIES = [
    pytest.param(http("GET / HTTP/1.1", HOST), b"", None, id="no body"),
    pytest.param(
        http("POST / HTTP/1.1", HOST, "Content-Length: 5", body=b"abcde"), b"abcde", b"5", id="a length"
    ),
    pytest.param(
        http("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked", body=CHUNKS),
        b"abcde",
        b"5",
        id="chunks are read as their content and go on with a length",
    ),
]


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize(("sent", "content", "length"), BODIES)
async def test_a_body_is_read_whole_before_it_goes_on(
    sent: bytes, content: bytes, length: bytes | None, size: int, tmp_path: Path
) -> None:
    async with (
        upstream() as server,
        wired(tmp_path, server.url) as (reader, wire),
        connect(wire.address) as client,
    ):
        for start in range(0, len(sent), size):
            await client.write(sent[start : start + size])
        assert (await client.response()).status == 200
        await client.write(http("GET /next HTTP/1.1", HOST))
        assert (await client.response()).content == b"/next"
    assert reader.read == [content, b""]
    assert server.requests[0].content == content
    assert server.requests[0].value(b"content-length") == length


TOO_LARGE = [
    pytest.param(
        ["Content-Length: 33"], b"a" * 33, id="a length over the limit, answered before the body came"
    ),
    pytest.param(
        ["Transfer-Encoding: chunked"], b"21\r\n" + b"a" * 33 + b"\r\n0\r\n\r\n", id="chunks over it"
    ),
]


@pytest.mark.parametrize(("lines", "body"), TOO_LARGE)
async def test_a_body_over_the_limit(lines: list[str], body: bytes, tmp_path: Path) -> None:
    async with (
        upstream() as server,
        wired(tmp_path, server.url) as (reader, wire),
        connect(wire.address) as client,
    ):
        await client.write(http("POST / HTTP/1.1", HOST, *lines) + body)
        assert (await client.response()).status == 413
        await client.write(http("GET /next HTTP/1.1", HOST))
        assert (await client.response()).content == b"/next"
    assert reader.finish[0] == ("allow", 413, Reason.BODY_TOO_LARGE)
    assert [request.target for request in server.requests] == [b"/next"]


async def test_a_client_is_told_to_continue_when_its_body_is_needed(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        wired(tmp_path, server.url) as (reader, wire),
        connect(wire.address) as client,
    ):
        await client.write(http("POST / HTTP/1.1", HOST, "Content-Length: 2", "Expect: 100-continue"))
        assert await client.bytes_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.write(b"ok")
        assert (await client.response()).status == 200
    assert reader.read == [b"ok"]


async def test_what_comes_while_the_gate_waits_is_kept(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        wired(tmp_path, server.url) as (reader, wire),
        connect(wire.address) as client,
    ):
        await client.write(http("POST /waits HTTP/1.1", HOST, "Content-Length: 2"))
        await reader.asked.wait()
        await client.write(b"ok" + http("GET /next HTTP/1.1", HOST))
        reader.told.set()
        assert (await client.response()).content == b"/waits"
        assert (await client.response()).content == b"/next"
    assert reader.read == [b"ok", b""]


async def test_a_client_that_leaves_ends_the_wait(tmp_path: Path) -> None:
    async with upstream() as server, wired(tmp_path, server.url) as (reader, wire):
        async with connect(wire.address) as client:
            await client.write(http("GET /waits HTTP/1.1", HOST))
            await reader.asked.wait()
        await reader.over.wait()
    assert reader.finish == [("deny", 499, "client_closed")]
    assert server.requests == []


FAILURES = [
    pytest.param("/fails", 503, Reason.KEYS_UNAVAILABLE, id="the gate makes a refusal of a failed wait"),
    pytest.param("/breaks", 500, Reason.INTERNAL_ERROR, id="or raises, and nothing is forwarded"),
]


@pytest.mark.parametrize(("target", "status", "reason"), FAILURES)
async def test_a_wait_that_fails(target: str, status: int, reason: Reason, tmp_path: Path) -> None:
    async with (
        upstream() as server,
        wired(tmp_path, server.url) as (reader, wire),
        connect(wire.address) as client,
    ):
        await client.write(http(f"GET {target} HTTP/1.1", HOST))
        assert (await client.response()).status == status
        await client.write(http("GET /next HTTP/1.1", HOST))
        assert (await client.response()).content == b"/next"
    assert (reader.finish[0][1:]) == (status, reason)
    assert [request.target for request in server.requests] == [b"/next"]


async def test_a_body_that_stalls_while_it_is_read(tmp_path: Path) -> None:
    settings = {"upstream": {"timeouts": {"idle": "500ms"}}}
    async with (
        upstream() as server,
        wired(tmp_path, server.url, **settings) as (reader, wire),
        connect(wire.address) as client,
    ):
        await client.write(http("POST / HTTP/1.1", HOST, "Content-Length: 2", body=b"o"))
        assert (await client.response()).value(b"connection") == b"close"
        assert await client.rest() == b""
    assert reader.finish == [("deny", 400, Reason.REQUEST_TIMEOUT)]
    assert server.requests == []
