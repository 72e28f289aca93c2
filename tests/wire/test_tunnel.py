"""WebSocket: which handshakes open a tunnel, what passes through it, and how it ends."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.harness import ISSUER, JWKS, RESOURCE, TOKEN, keystile, token
from tests.support.upstream import CLOSE, RESET, Gate, plain, upstream
from tests.wire.exchanges.table import HOST, http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.harness import Keystile
    from tests.support.raw import Client
    from tests.support.upstream import Script, Upstream

BEARER = f"Authorization: Bearer {TOKEN}"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
VERSION = "Sec-WebSocket-Version: 13"
# The example of RFC 6455 section 1.3.
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
OPEN = http("HTTP/1.1 101 Switching Protocols", *UPGRADE, ACCEPT)
SWITCHED: Script = (OPEN, Gate("never"))
RULES = [
    {"path": "/guarded/ws", "scopes": ["read"], "upgrade": ["websocket"]},
    {"path": "/named/ws", "scopes": ["read"], "upgrade": ["websocket"], "origins": ["https://pages.test"]},
    {"path": "/public/ws", "public": True, "upgrade": ["websocket"]},
    {"path": "/tools/mcp", "methods": ["POST"], "mcp": True, "transport": "streamable"},
    {"path": "/tools/**", "upgrade": ["websocket"]},
    {"path": "/guarded/**", "scopes": ["read"]},
    {"path": "/**", "public": True},
]


def handshake(
    *lines: str, start: str = "GET /guarded/ws HTTP/1.1", upgrade: tuple[str, ...] = (*UPGRADE, VERSION, KEY)
) -> bytes:
    return http(start, HOST, *upgrade, *lines)


def frame(data: bytes, opcode: int = 0x82) -> bytes:
    """A server's frame; the length in its shortest form."""
    size = len(data)
    if size < 126:
        return bytes((opcode, size)) + data
    if size < 65536:
        return bytes((opcode, 126)) + size.to_bytes(2) + data
    return bytes((opcode, 127)) + size.to_bytes(8) + data


EXPIRED = frame(b"\x03\xf0token_expired", 0x88)
REVOKED = frame(b"\x03\xf0token_revoked", 0x88)
DRAINING = frame(b"\x03\xe9draining", 0x88)


async def opened(client: Client, *lines: str) -> bytes:
    await client.write(handshake(*(lines or (BEARER,))))
    return await client.bytes_until(b"\r\n\r\n")


async def through(server: Upstream, mark: bytes) -> bytes:
    """What reached the server behind the handshake, as soon as it ends in `mark`."""
    end = server.connections[-1]
    await end.until(lambda: end.received.endswith(mark))
    return bytes(end.received).partition(b"\r\n\r\n")[2]


async def test_bytes_pass_both_ways_and_the_log_tells_of_both_ends(tmp_path: Path) -> None:
    async with (
        upstream([(OPEN + b"early", Gate("more"), b"\x00\xff" * 500, Gate("never"))]) as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
    ):
        async with proxy.client() as client:
            await client.write(handshake(BEARER, "Sec-WebSocket-Protocol: chat") + b"first")
            assert await client.bytes_until(b"\r\n\r\n") == http(
                "HTTP/1.1 101 Switching Protocols", ACCEPT, *UPGRADE
            )
            assert await client.bytes_until(b"early") == b"early"
            assert await through(server, b"first") == b"first"
            # What looks like a request is none here.
            await client.write(b"GET /other HTTP/1.1\r\n\r\n")
            assert await through(server, b"1.1\r\n\r\n") == b"firstGET /other HTTP/1.1\r\n\r\n"
            server.gates["more"].set()
            await client.until(lambda: client.received.count(b"\xff") == 500)
            assert bytes(client.received) == b"\x00\xff" * 500
        await server.connections[-1].until(lambda: server.connections[-1].ended)
        lines, streams = await proxy.lines(), await proxy.lines("stream_open")
    head = server.requests[0]
    assert [head.value(name) for name in (b"connection", b"upgrade", b"x-agent-id", b"authorization")] == [
        *(b"Upgrade", b"websocket", b"acc_1", None)
    ]
    assert [head.value(name) for name in (b"sec-websocket-key", b"sec-websocket-version")] == [
        *(b"dGhlIHNhbXBsZSBub25jZQ==", b"13")
    ]
    assert head.value(b"sec-websocket-protocol") == b"chat"
    assert [(line["agent_id"], line["status"]) for line in streams] == [("acc_1", 101)]
    assert [
        (
            line["status"],
            line["decision"],
            line["agent_id"],
            line["bytes_in"],
            line["bytes_out"],
            line["reason"],
        )
        for line in lines
    ] == [(101, "allow", "acc_1", 28, 1005, "client_closed")]


def _without(line: str) -> tuple[str, ...]:
    return tuple(one for one in (*UPGRADE, VERSION, KEY) if one != line)


REFUSED = [
    pytest.param(handshake(BEARER, start="POST /guarded/ws HTTP/1.1"), id="with POST"),
    pytest.param(handshake(BEARER, start="GET /guarded/ws HTTP/1.0"), id="in HTTP/1.0"),
    pytest.param(handshake(BEARER, upgrade=_without(VERSION)), id="without a version"),
    pytest.param(handshake(BEARER, "Sec-WebSocket-Version: 8", upgrade=_without(VERSION)), id="of version 8"),
    pytest.param(handshake(BEARER, VERSION), id="with its version twice"),
    pytest.param(handshake(BEARER, upgrade=_without(KEY)), id="without a key"),
    pytest.param(handshake(BEARER, KEY), id="with its key twice"),
    pytest.param(
        handshake(BEARER, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j", upgrade=_without(KEY)),
        id="with a key of 15 bytes",
    ),
    pytest.param(
        handshake(BEARER, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==", upgrade=_without(KEY)),
        id="with a key in a second spelling",
    ),
    pytest.param(
        handshake(BEARER, "Connection: keep-alive", upgrade=_without("Connection: Upgrade")),
        id="that Connection does not name",
    ),
    pytest.param(handshake(BEARER, "Upgrade: h2c"), id="of two protocols in two lines"),
    pytest.param(
        handshake(BEARER, "Upgrade: websocket, h2c", upgrade=_without("Upgrade: websocket")),
        id="of two protocols in one line",
    ),
    pytest.param(
        handshake(BEARER, "Upgrade: h2c", upgrade=_without("Upgrade: websocket")), id="to another protocol"
    ),
    pytest.param(handshake(BEARER, "Content-Length: 0"), id="with a length"),
    pytest.param(handshake(BEARER, "Transfer-Encoding: chunked"), id="with chunks"),
    pytest.param(handshake(BEARER, start="GET /tools/mcp HTTP/1.1"), id="where another rule serves MCP"),
    pytest.param(
        handshake(BEARER, start="GET /guarded/else HTTP/1.1"), id="on a rule that does not speak of upgrades"
    ),
    pytest.param(
        handshake(BEARER, start="GET /public HTTP/1.1"), id="on a public rule that does not, either"
    ),
]


@pytest.mark.parametrize("sent", REFUSED)
async def test_a_handshake_is_refused(sent: bytes, tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        # What lies behind it is never a request.
        await client.write(sent + http("GET /public HTTP/1.1", HOST))
        answer = await client.response()
        assert (answer.status, answer.value(b"connection")) == (403, b"close")
        assert await client.rest() == b""
        async with proxy.client() as other:
            await other.write(http("GET /public HTTP/1.1", HOST))
            assert (await other.response()).status == 200
        lines = await proxy.lines()
    assert [request.target for request in server.requests] == [b"/public"]
    assert [line["reason"] for line in lines] == ["upgrade_refused", "public"]


async def test_without_a_token_a_handshake_opens_nothing(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await client.write(handshake())
        assert (await client.response()).status == 401
        assert await client.rest() == b""
        assert [line["reason"] for line in await proxy.lines()] == ["credential_missing"]
    assert server.connections == []


ORIGINS = [
    pytest.param("/guarded/ws", (), True, id="no page"),
    pytest.param("/guarded/ws", ("Origin: http://edge.test",), True, id="a page of the same host"),
    pytest.param("/guarded/ws", ("Origin: https://elsewhere.test",), False, id="a foreign page"),
    pytest.param("/guarded/ws", ("Origin: null",), False, id="a page without an origin"),
    pytest.param(
        "/guarded/ws", ("Origin: http://edge.test.evil.test",), False, id="a host that begins alike"
    ),
    pytest.param(
        "/guarded/ws", ("Origin: http://edge.test", "Origin: https://e.test"), False, id="two origins"
    ),
    pytest.param("/named/ws", ("Origin: https://pages.test",), True, id="a page that is named"),
    pytest.param("/named/ws", ("Origin: http://pages.test",), False, id="a named host in another scheme"),
    pytest.param("/public/ws", ("Origin: https://elsewhere.test",), False, id="a foreign page, publicly"),
    pytest.param("/public/ws", (), True, id="no page, publicly"),
]


@pytest.mark.parametrize(("path", "lines", "opens"), ORIGINS)
async def test_pages_open_what_they_may(
    path: str, lines: tuple[str, ...], opens: bool, tmp_path: Path
) -> None:
    async with (
        upstream([SWITCHED]) as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await client.write(handshake(BEARER, *lines, start=f"GET {path} HTTP/1.1"))
        if opens:
            assert (await client.bytes_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        else:
            assert (await client.response()).status == 403
            assert await client.rest() == b""
            assert [line["reason"] for line in await proxy.lines()] == ["origin_refused"]
    assert len(server.requests) == opens


NO_TUNNEL = [
    pytest.param(http("HTTP/1.1 101 Switching Protocols", *UPGRADE), id="without Sec-WebSocket-Accept"),
    pytest.param(
        http(
            "HTTP/1.1 101 Switching Protocols", *UPGRADE, "Sec-WebSocket-Accept: c2FtcGxlAAAAAAAAAAAAAAAAAAA="
        ),
        id="that accepts another handshake",
    ),
    pytest.param(
        http("HTTP/1.1 101 Switching Protocols", *UPGRADE, ACCEPT, ACCEPT), id="that accepts it twice"
    ),
    pytest.param(
        http("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: h2c", ACCEPT),
        id="to another protocol",
    ),
    pytest.param(
        http("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", ACCEPT),
        id="that Connection does not name",
    ),
    pytest.param(
        http("HTTP/1.1 101 Switching Protocols", *UPGRADE, ACCEPT, "Content-Length: 5", body=b"hello"),
        id="with a length",
    ),
]


@pytest.mark.parametrize("answer", NO_TUNNEL)
async def test_a_101_that_is_none_opens_nothing(answer: bytes, tmp_path: Path) -> None:
    async with (
        upstream([(answer, Gate("never"))]) as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await client.write(handshake(BEARER) + b"for the tunnel")
        assert (await client.response()).status == 502
        assert await client.rest() == b""
        end = server.connections[0]
        await end.until(lambda: end.ended)
        assert not end.received.endswith(b"for the tunnel")
        lines = await proxy.lines()
    assert [(line["status"], line["reason"]) for line in lines] == [(502, "upstream_malformed")]


async def test_a_101_nobody_asked_for_opens_nothing(tmp_path: Path) -> None:
    # What accepts a handshake without a key.
    accepts = http(
        "HTTP/1.1 101 Switching Protocols", *UPGRADE, "Sec-WebSocket-Accept: Kfh9QIsMVZcl6xEPYxPHzW8SZ8w="
    )
    async with (
        upstream([(accepts, Gate("never"))]) as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await client.write(http("GET /guarded/ws HTTP/1.1", HOST, BEARER))
        assert (await client.response()).status == 502
        assert [line["reason"] for line in await proxy.lines()] == ["upstream_malformed"]


DECLINED = [
    pytest.param(plain(b"no tunnel here"), 200, b"no tunnel here", id="200"),
    pytest.param((http("HTTP/1.1 400 Bad Request", "Content-Length: 2", body=b"no"),), 400, b"no", id="400"),
    pytest.param(
        (http("HTTP/1.1 426 Upgrade Required", "Upgrade: websocket", "Content-Length: 0"),),
        426,
        b"",
        id="426",
    ),
]


@pytest.mark.parametrize(("script", "status", "content"), DECLINED)
async def test_an_upstream_that_declines_is_heard(
    script: Script, status: int, content: bytes, tmp_path: Path
) -> None:
    async with (
        upstream([script, plain()]) as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
        proxy.client() as other,
    ):
        await client.write(handshake(BEARER) + http("GET /public HTTP/1.1", HOST))
        answer = await client.response()
        assert (answer.status, answer.content, answer.value(b"connection")) == (status, content, b"close")
        assert await client.rest() == b""
        # A server that has begun a tunnel all the same gets nobody else's request.
        await other.write(http("GET /public HTTP/1.1", HOST))
        assert (await other.response()).status == 200
        lines = await proxy.lines()
    assert len(server.connections) == 2
    assert [line["status"] for line in lines] == [status, 200]


ENDS = [
    pytest.param((OPEN, frame(b"x"), CLOSE), None, id="the server closes"),
    pytest.param((OPEN, frame(b"x"), RESET), "upstream_malformed", id="the server resets"),
]


@pytest.mark.parametrize(("script", "reason"), ENDS)
async def test_the_end_of_one_side_is_the_end_of_the_other(
    script: Script, reason: str | None, tmp_path: Path
) -> None:
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await opened(client)
        assert await client.rest() in (frame(b"x"), b"")
        lines = await proxy.lines()
    assert [(line["status"], line.get("reason")) for line in lines] == [(101, reason)]


async def test_last_words_reach_the_server(tmp_path: Path) -> None:
    words = bytes(16 << 20) + b"last words"
    async with (
        upstream([SWITCHED]) as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await opened(client)
        end = server.connections[0]
        end.transport.pause_reading()
        client.transport.write(words)
        client.transport.close()
        end.received.clear()
        end.transport.resume_reading()
        await end.until(lambda: end.ended)
        assert bytes(end.received) == words


async def test_a_quiet_tunnel_stays_open(tmp_path: Path) -> None:
    async with (
        upstream([(OPEN, Gate("long after"), b"at last", Gate("never"))]) as server,
        keystile(tmp_path, server.url, rules=RULES, upstream={"timeouts": {"idle": "50ms"}}) as proxy,
        proxy.client() as client,
        proxy.client() as other,
    ):
        await opened(client)
        server.answers.append((http("HTTP/1.1 200 OK", "Content-Length: 1"), Gate("never")))
        await other.write(http("GET /public HTTP/1.1", HOST))
        # What is silent for too long, and no tunnel, ends.
        assert (await other.bytes_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert await other.rest() == b""
        server.gates["long after"].set()
        assert await client.bytes_until(b"at last") == b"at last"


SAID = [
    pytest.param(b"", True, id="in a tunnel that says nothing"),
    pytest.param(frame(b"x" * 5), True, id="behind a short frame"),
    pytest.param(frame(b"x" * 300), True, id="behind a frame of a longer length"),
    pytest.param(frame(b"x" * 70_000), True, id="behind a frame of the longest length"),
    pytest.param(frame(b"x" * 300) + frame(b"", 0x89), True, id="behind two frames"),
    pytest.param(frame(b"x" * 300)[:-1], False, id="inside a frame"),
    pytest.param(frame(b"x" * 300)[:3], False, id="inside the length of a frame"),
    pytest.param(frame(b"x")[:1], False, id="inside the first two bytes"),
    pytest.param(b"\x82\x85maskdata!", True, id="behind a frame that is masked"),
]


CUT = [*((case, False) for case in SAID), *((case, True) for case in SAID if len(case.values[0]) < 1000)]


@pytest.mark.parametrize(
    ("said", "between", "trickle"),
    [
        pytest.param(*case.values, cut, id=f"{case.id}, {'byte by byte' if cut else 'whole'}")
        for case, cut in CUT
    ],
)
async def test_a_stop_says_goodbye_between_frames(
    said: bytes, between: bool, trickle: bool, tmp_path: Path
) -> None:
    async with (
        upstream([(OPEN, said, Gate("never"))], trickle=trickle) as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await opened(client)
        await client.until(lambda: len(client.received) == len(said))
        lines = await proxy.lines()
        assert await client.rest() == (said + DRAINING if between else said)
    assert [(line["status"], line["reason"]) for line in lines] == [(101, "draining")]


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[tuple[Upstream, Keystile]]:
    """No leeway, and a list of what is revoked."""
    issuers = [{"issuer": ISSUER, "jwks": JWKS, "audience": RESOURCE, "leeway": "0s"}]
    (tmp_path / "revoked.yaml").write_text("[]")
    async with (
        upstream([SWITCHED]) as server,
        keystile(tmp_path, server.url, rules=RULES, issuers=issuers, revocations="revoked.yaml") as proxy,
    ):
        yield server, proxy


async def test_it_ends_when_its_token_expires(limited: tuple[Upstream, Keystile]) -> None:
    server, proxy = limited
    async with proxy.client() as client:
        expires = int(time.time()) + 2
        await opened(client, f"Authorization: Bearer {token(exp=expires)}")
        assert await client.rest() == EXPIRED
        assert time.time() >= expires
        await server.connections[0].until(lambda: server.connections[0].ended)
        assert [(line["status"], line["reason"]) for line in await proxy.lines()] == [(101, "token_expired")]


async def test_it_ends_when_its_token_is_revoked(limited: tuple[Upstream, Keystile], tmp_path: Path) -> None:
    server, proxy = limited
    async with proxy.client() as client:
        await opened(client)
        (tmp_path / "revoked.yaml").write_text("- agent: acc_1")
        assert await client.rest() == REVOKED
        await server.connections[0].until(lambda: server.connections[0].ended)
        assert [(line["status"], line["reason"]) for line in await proxy.lines()] == [(101, "token_revoked")]


_BLOCK = b"\x82\x7f" + (1 << 20).to_bytes(8) + bytes(1 << 20)
# What lies in sockets and buffers on the way while nobody reads.
_UNDER_WAY = 24 << 20


@pytest.mark.parametrize("toward", ["the client", "the server"])
async def test_whoever_does_not_read_is_waited_for(toward: str, tmp_path: Path) -> None:
    async with (
        upstream([SWITCHED]) as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await opened(client)
        far = server.connections[0]
        writer, reader = (far, client) if toward == "the client" else (client, far)
        far.received.clear()
        reader.count_only()
        reader.transport.pause_reading()
        written = 0
        while writer.is_writable and written < 2 * _UNDER_WAY:
            writer.transport.write(_BLOCK)
            written += len(_BLOCK)
            await asyncio.sleep(0.01)  # for what can move to move
        assert written < _UNDER_WAY
        reader.transport.resume_reading()
        await reader.until(lambda: reader.counted == written)
