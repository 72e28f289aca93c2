"""Answers that come while the request's body is still under way: early ones, refusals, and 100 Continue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.harness import keystile
from tests.support.upstream import EARLY, Gate, plain, upstream
from tests.wire.exchanges.table import HOST, get, http

if TYPE_CHECKING:
    from pathlib import Path

_EXPECT = "Expect: 100-continue"
_CONTINUE = b"HTTP/1.1 100 Continue"


def _head(target: str, *lines: str) -> bytes:
    return http(f"POST {target} HTTP/1.1", HOST, *lines)


# The rest of a refused body is read and dropped up to 64 KiB; beyond that the connection ends.
DROPPED = [
    pytest.param("Content-Length: 65536", b"x" * 65536, True, id="a length of 64 KiB"),
    pytest.param("Content-Length: 65537", b"x" * 65537, False, id="a length beyond 64 KiB"),
    pytest.param("Content-Length: 10000000000", b"x" * 1000, False, id="a length beyond all that comes"),
    pytest.param(
        "Transfer-Encoding: chunked",
        b"8000\r\n" + b"x" * 32768 + b"\r\n0\r\n\r\n",
        True,
        id="chunks of 32 KiB",
    ),
]


@pytest.mark.parametrize(("line", "body", "usable"), DROPPED)
@pytest.mark.parametrize("together", [True, False], ids=["in one piece", "head first"])
async def test_the_rest_of_a_refused_body(
    line: str, body: bytes, usable: bool, together: bool, tmp_path: Path
) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        head = _head("/guarded", line)
        await client.write(head + body if together else head)
        answer = await client.response()
        assert (answer.status, answer.value(b"connection")) == (401, None if usable else b"close")
        if not together:
            await client.write(body)
        if usable:
            await client.write(get("/next"))
            assert (await client.response()).content == b"/next"
        else:
            assert await client.rest() == b""
    assert [request.target for request in server.requests] == [b"/next"] * usable


async def test_refused_chunks_without_end_end_the_connection(tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        await client.write(_head("/guarded", "Transfer-Encoding: chunked"))
        assert (await client.response()).status == 401
        piece = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        for _ in range(1000):
            if client.ended:
                break
            await client.write(piece)
        assert await client.rest() == b""
    assert server.connections == []


EARLY_ANSWERS = [
    pytest.param("Content-Length: 8", b"half", b"full", True, id="the rest of a length"),
    pytest.param(
        "Transfer-Encoding: chunked",
        b"4\r\nhalf\r\n",
        b"4\r\nfull\r\n0\r\n\r\n",
        True,
        id="the rest of chunks",
    ),
    pytest.param("Content-Length: 60004", b"half", b"x" * 60000, True, id="a long rest"),
    pytest.param("Content-Length: 200004", b"half", b"x" * 200000, False, id="a rest beyond what is dropped"),
]


@pytest.mark.parametrize(("line", "half", "rest", "usable"), EARLY_ANSWERS)
async def test_an_answer_before_the_body_has_ended(
    line: str, half: bytes, rest: bytes, usable: bool, tmp_path: Path
) -> None:
    async with (
        upstream([(EARLY, *plain(b"early")), plain(b"next")]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(_head("/", line) + half)
        assert (await client.response()).content == b"early"
        await client.write(rest)
        if usable:
            await client.write(get("/next"))
            assert (await client.response()).content == b"next"
            # The connection on which a body was left unfinished serves nobody else.
            assert len(server.connections) == 2
        else:
            assert await client.rest() == b""


async def test_an_early_answer_may_go_on_while_the_body_does(tmp_path: Path) -> None:
    script = (EARLY, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst", Gate("body read"), b"final")
    async with (
        upstream([script, plain(b"next")]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(_head("/", "Content-Length: 8") + b"half")
        await client.bytes_until(b"first")
        await client.write(b"full" + get("/next"))
        await server.connections[0].until(lambda: server.connections[0].received.endswith(b"halffull"))
        server.gates["body read"].set()
        await client.bytes_until(b"final")
        assert (await client.response()).content == b"next"
    assert [request.body for request in server.requests] == [b"halffull", b""]


async def test_a_client_that_waits_is_told_to_continue(tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        for _ in range(2):
            await client.write(_head("/", _EXPECT, "Content-Length: 4"))
            assert (await client.response()).start == _CONTINUE
            await client.write(b"body")
            assert (await client.response()).content == b"/"
    assert [(request.body, request.value(b"expect")) for request in server.requests] == [(b"body", None)] * 2


async def test_a_client_that_waits_is_told_to_continue_once(tmp_path: Path) -> None:
    script = (EARLY, _CONTINUE + b"\r\n\r\n", Gate("body"), *plain())
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(_head("/", _EXPECT, "Content-Length: 4"))
        assert (await client.response()).start == _CONTINUE
        await client.write(b"body")
        server.gates["body"].set()
        assert (await client.response()).content == b"ok"


EXPECT = [
    pytest.param("100-continue", id="as it is written"),
    pytest.param("100-Continue", id="in another case"),
]


@pytest.mark.parametrize("value", EXPECT)
async def test_a_client_that_does_not_wait_is_served(value: str, tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        await client.write(_head("/", f"Expect: {value}", "Content-Length: 4") + b"body")
        answer = await client.response()
        # 100 may be left out where the body has come (RFC 9110 10.1.1).
        assert (await client.response() if answer.start == _CONTINUE else answer).content == b"/"
        await client.write(get("/next"))
        assert (await client.response()).content == b"/next"


async def test_a_client_that_waits_is_refused_without_its_body(tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        await client.write(_head("/guarded", _EXPECT, "Content-Length: 4"))
        answer = await client.response()
        # Whether the body follows is the client's to choose, so what follows has no sure reading.
        assert (answer.status, answer.value(b"connection")) == (401, b"close")
        assert await client.rest() == b""
    assert server.connections == []


async def test_an_http10_client_is_never_told_to_continue(tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        await client.write(http("POST / HTTP/1.0", HOST, _EXPECT, "Content-Length: 4"))
        await server.begun()
        await client.write(b"body")
        assert (await client.response()).start == b"HTTP/1.1 200 OK"
