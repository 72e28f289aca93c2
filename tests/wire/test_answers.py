"""Answers that the gate changes: their framing, their end, and what becomes of one that must not go on.

Driven by a small gatekeeper of its own, whose transforms are as simple as can be.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import load
from proxy.model import Arrived, Changes, Closing, Forward, Note, Opening, Peer, Reason, Reply, RequestHead
from proxy.wire import Forwarding, RequestLines, Wire
from tests.support.harness import settings_file
from tests.support.raw import connect
from tests.support.records import until
from tests.support.upstream import CLOSE, Gate, upstream
from tests.wire.exchanges.table import HOST, get, http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from proxy.config import Config
    from proxy.model import Judgement

LIMIT = 16


class Doubled:
    """Says everything twice, one word a line; b"!" must not go on."""

    def __init__(self, whole: int | None) -> None:
        self.whole = whole

    def feed(self, data: bytes) -> bytes | None:
        return None if b"!" in data else data + data

    def end(self) -> bytes | None:
        return b"end"


class Deciding:
    """What the target says: /whole, /stream, /refused, anything else untouched."""

    def __init__(self, target: bytes) -> None:
        self._target = target

    def changes(
        self, status: int, fields: Mapping[bytes, bytes], repeated: frozenset[bytes]
    ) -> Changes | Reason | None:
        assert status == 200
        assert not repeated
        if self._target == b"/refused":
            return Reason.UPSTREAM_MALFORMED
        if self._target not in {b"/whole", b"/stream"}:
            return None
        whole = LIMIT if self._target == b"/whole" else None
        lines = b"Was: %b\r\n" % fields.get(b"etag", b"-")
        return Changes(frozenset({b"was"}), lines, Doubled(whole))


class Changing:
    """A gatekeeper that forwards everything, with `Deciding` over the answer; /arrived tells what had come."""

    def __init__(self, config: Config, until: float | None) -> None:
        self._lines = RequestLines(config)
        self._until = until
        self.finish: list[tuple[int, Reason | Note | None]] = []

    def judge(self, head: RequestHead, now: float) -> Judgement:
        opening = Opening(now, "1", head.peer.address, "allow", method=head.method)
        if head.target == b"/arrived":
            return Reply(200, b"", (yield Arrived(LIMIT)), opening)
        outgoing = self._lines.head(head, b"")
        return Forward(outgoing, opening, answer=Deciding(head.target), until=self._until)

    def fault(self, reason: Reason, seen: Opening | RequestHead | Peer, now: float) -> Reply:
        opening = seen if isinstance(seen, Opening) else Opening(now, "2", "", "deny")
        opening.reason = reason
        return Reply(503 if reason is Reason.OVERLOADED else 502, b"", reason.encode(), opening)

    def opened(self, opening: Opening, status: int) -> None:
        pass

    def finished(self, opening: Opening, closing: Closing) -> None:
        reason: Any = closing.reason or opening.reason
        self.finish.append((closing.status, reason))


@contextlib.asynccontextmanager
async def wired(
    folder: Path, url: str, until: float | None = None, **settings: Any
) -> AsyncIterator[tuple[Changing, Wire]]:
    config = load(settings_file(folder, url, **settings), {})
    gate = Changing(config, until)
    wire = Wire(config, gate, Forwarding(()), time.time)
    await wire.listen()
    try:
        yield gate, wire
    finally:
        await wire.close(Note.DRAINING, 0.0)


_CHUNKED = "Transfer-Encoding: chunked"
ANSWERS = [
    pytest.param(
        "/whole",
        [http("HTTP/1.1 200 OK", "Content-Length: 4", 'ETag: "a"', "Was: x", "Repr-Digest: x", body=b"abcd")],
        (b'Was: "a"', b"Content-Length: 8"),
        b"abcdabcd",
        id="a length: what is changed has a new one",
    ),
    pytest.param(
        "/whole",
        [http("HTTP/1.1 200 OK", _CHUNKED, body=b"2\r\nab\r\n"), b"2\r\ncd\r\n0\r\nT: x\r\n\r\n"],
        (b"Was: -", b"Content-Length: 8"),
        b"abcdabcd",
        id="chunks: what is changed as a whole has a length",
    ),
    pytest.param(
        "/whole",
        [http("HTTP/1.1 200 OK", body=b"ab"), b"cd", CLOSE],
        (b"Was: -", b"Content-Length: 8"),
        b"abcdabcd",
        id="until the upstream closes",
    ),
    pytest.param(
        "/whole",
        [http("HTTP/1.1 200 OK", "Content-Length: 0")],
        (b"Was: -", b"Content-Length: 0"),
        b"",
        id="nothing is left as it is",
    ),
    pytest.param(
        "/stream",
        [http("HTTP/1.1 200 OK", _CHUNKED, body=b"2\r\nab\r\n"), b"0\r\n\r\n"],
        (b"Was: -", b"Transfer-Encoding: chunked"),
        b"ababend",
        id="chunks that are changed as they come",
    ),
    pytest.param(
        "/stream",
        [http("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ab")],
        (b"Was: -", b"Transfer-Encoding: chunked"),
        b"ababend",
        id="a length that is no longer true goes",
    ),
    pytest.param(
        "/stream",
        [http("HTTP/1.1 200 OK", body=b"ab"), CLOSE],
        (b"Was: -", b"Transfer-Encoding: chunked"),
        b"ababend",
        id="a stream until the upstream closes",
    ),
    pytest.param(
        "/plain",
        [http("HTTP/1.1 200 OK", "Content-Length: 2", 'ETag: "a"', body=b"ab")],
        (b'ETag: "a"', b"Content-Length: 2"),
        b"ab",
        id="nothing to change",
    ),
]


@pytest.mark.parametrize("trickle", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("target", "script", "lines", "content"), ANSWERS)
async def test_an_answer_that_is_changed(
    target: str, script: list[Any], lines: tuple[bytes, bytes], content: bytes, trickle: bool, tmp_path: Path
) -> None:
    def pieces(step: Any) -> list[Any]:
        return [step[i : i + 1] for i in range(len(step))] if trickle and isinstance(step, bytes) else [step]

    if trickle and target == "/stream":
        content = b"aabbend"
    sent = [piece for step in script for piece in pieces(step)]
    async with (
        upstream([sent], trickle=trickle) as server,
        wired(tmp_path, server.url) as (gate, wire),
        connect(wire.address) as client,
    ):
        await client.write(get(target))
        answer = await client.response()
        assert answer.content == content
        assert set(lines) <= set(answer.lines)
        # What was left out by name, and what was said of content that has become another.
        assert target == "/plain" or not {b"Was: x", b'ETag: "a"', b"Repr-Digest: x"} & set(answer.lines)
        server.answers = [[http("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")]]
        await client.write(get("/next"))
        assert (await client.response()).content == b"ok"
    assert gate.finish == [(200, None), (200, None)]


WITHHELD = [
    pytest.param("/refused", b"ab", 502, id="an answer that nobody may have"),
    pytest.param("/whole", b"ab!", 502, id="a whole that must not go on"),
    pytest.param("/whole", b"a" * 17, 502, id="a whole that is over its limit"),
]


@pytest.mark.parametrize(("target", "body", "status"), WITHHELD)
async def test_an_answer_that_is_withheld(target: str, body: bytes, status: int, tmp_path: Path) -> None:
    script = [http("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", body=body)]
    async with (
        upstream([script]) as server,
        wired(tmp_path, server.url) as (gate, wire),
        connect(wire.address) as client,
    ):
        await client.write(get(target))
        answer = await client.response()
        assert (answer.status, answer.content) == (status, b"upstream_malformed")
        server.answers = [[http("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")]]
        await client.write(get("/next"))
        assert (await client.response()).content == b"ok"
    assert gate.finish == [(502, Reason.UPSTREAM_MALFORMED), (200, None)]


async def test_a_stream_in_which_something_must_not_go_on_is_cut(tmp_path: Path) -> None:
    script = [http("HTTP/1.1 200 OK", _CHUNKED, body=b"2\r\nab\r\n"), Gate("more"), b"2\r\nc!\r\n"]
    async with (
        upstream([script]) as server,
        wired(tmp_path, server.url) as (gate, wire),
        connect(wire.address) as client,
    ):
        await client.write(get("/stream"))
        await client.until(lambda: client.received.endswith(b"4\r\nabab\r\n"))
        server.gates["more"].set()
        await client.until(lambda: client.ended)
        assert client.received.endswith(b"4\r\nabab\r\n")
    assert gate.finish == [(200, Reason.UPSTREAM_MALFORMED)]


async def test_wholes_that_are_collected_share_one_bound(tmp_path: Path) -> None:
    script = [http("HTTP/1.1 200 OK", "Content-Length: 8", body=b"abcd"), Gate("rest"), b"efgh"]
    async with (
        upstream([script]) as server,
        wired(tmp_path, server.url, limits={"mcp_body": "6B", "mcp_buffer": "6B"}) as (gate, wire),
        connect(wire.address) as first,
        connect(wire.address) as second,
    ):
        await first.write(get("/whole"))
        await until(lambda: wire.stored == 4)
        await second.write(get("/whole"))
        assert (await second.response()).status == 503
        # What the second held is free again, and the first has its four bytes still to come.
        assert wire.stored == 4
        server.answers = [[http("HTTP/1.1 200 OK", "Content-Length: 1", body=b"a")]]
        await second.write(get("/whole"))
        assert (await second.response()).content == b"aa"
    assert gate.finish[:2] == [(503, Reason.OVERLOADED), (200, None)]


_EVENTS = "Content-Type: text/event-stream"
_NOTE = b": token_expired\n\n"
ENDS = [
    pytest.param(
        "/plain",
        http("HTTP/1.1 200 OK", _EVENTS, _CHUNKED, body=b"9\r\ndata: 1\n\n\r\n"),
        b"9\r\ndata: 1\n\n\r\n11\r\n" + _NOTE + b"\r\n0\r\n\r\n",
        id="behind an event, in a comment",
    ),
    pytest.param(
        "/plain",
        http("HTTP/1.1 200 OK", _EVENTS, _CHUNKED, body=b"8\r\ndata: 1\n\r\n"),
        b"8\r\ndata: 1\n\r\n0\r\n\r\n",
        id="within an event, without one",
    ),
    pytest.param(
        "/plain",
        http("HTTP/1.1 200 OK", _EVENTS, _CHUNKED, body=b"9\r\ndata: "),
        b"9\r\ndata: ",
        id="within a chunk, by the end of the connection alone",
    ),
    pytest.param(
        "/plain",
        http("HTTP/1.1 200 OK", _EVENTS, body=b"data: 1\n\n"),
        b"9\r\ndata: 1\n\n\r\n11\r\n" + _NOTE + b"\r\n0\r\n\r\n",
        id="of an answer without framing",
    ),
    pytest.param(
        "/stream",
        http("HTTP/1.1 200 OK", _EVENTS, _CHUNKED, body=b"3\r\na\n\n\r\n"),
        b"6\r\na\n\na\n\n\r\n11\r\n" + _NOTE + b"\r\n0\r\n\r\n",
        id="of a stream that is changed",
    ),
]


@pytest.mark.parametrize(("target", "sent", "received"), ENDS)
async def test_a_stream_ends_with_its_token(
    target: str, sent: bytes, received: bytes, tmp_path: Path
) -> None:
    async with (
        upstream([[sent, Gate("never")]]) as server,
        wired(tmp_path, server.url, time.time() + 0.5) as (gate, wire),
        connect(wire.address) as client,
    ):
        await client.write(get(target))
        await client.until(lambda: client.ended)
        assert client.received.partition(b"\r\n\r\n")[2] == received
    assert gate.finish == [(200, Note.TOKEN_EXPIRED)]


async def test_an_answer_that_is_no_stream_outlives_its_token(tmp_path: Path) -> None:
    script = [http("HTTP/1.1 200 OK", "Content-Length: 2", body=b"a"), Gate("rest"), b"b"]
    async with (
        upstream([script]) as server,
        wired(tmp_path, server.url, time.time() - 10) as (gate, wire),
        connect(wire.address) as client,
    ):
        await client.write(get("/plain"))
        await client.bytes_until(b"a")
        server.gates["rest"].set()
        assert await client.bytes_until(b"b") == b"b"
    assert gate.finish == [(200, None)]


async def test_no_answer_lasts_longer_than_it_may(tmp_path: Path) -> None:
    script = [http("HTTP/1.1 200 OK", "Content-Length: 2", body=b"a"), Gate("never")]
    async with (
        upstream([script]) as server,
        wired(tmp_path, server.url, limits={"response_time": "500ms"}) as (gate, wire),
        connect(wire.address) as client,
    ):
        await client.write(get("/plain"))
        await client.until(lambda: client.ended)
    assert gate.finish == [(200, Reason.UPSTREAM_TIMEOUT)]


ARRIVED = [
    pytest.param(
        http("POST /arrived HTTP/1.1", HOST, "Content-Length: 5", body=b"abcde"), b"abcde", id="whole"
    ),
    pytest.param(http("POST /arrived HTTP/1.1", HOST, "Content-Length: 5", body=b"abcd"), b"", id="in part"),
    pytest.param(
        http("POST /arrived HTTP/1.1", HOST, "Content-Length: 17", body=b"a" * 17), b"", id="over the limit"
    ),
    pytest.param(
        http("POST /arrived HTTP/1.1", HOST, _CHUNKED, body=b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
        b"abc",
        id="in chunks",
    ),
    pytest.param(
        http("POST /arrived HTTP/1.1", HOST, _CHUNKED, body=b"2\r\nab\r\n"), b"", id="in chunks, in part"
    ),
    pytest.param(
        http("POST /arrived HTTP/1.1", HOST, _CHUNKED, body=b"2\r\nabc\r\n"), b"", id="in broken chunks"
    ),
    pytest.param(http("GET /arrived HTTP/1.1", HOST), b"", id="no body"),
]


@pytest.mark.parametrize(("sent", "content"), ARRIVED)
async def test_what_has_come_of_a_body(sent: bytes, content: bytes, tmp_path: Path) -> None:
    async with (
        upstream() as server,
        wired(tmp_path, server.url) as (_, wire),
        connect(wire.address) as client,
    ):
        await client.write(sent)
        assert (await client.response()).content == content
    assert server.requests == []
