"""Deadlines: whoever is silent too long is answered for, or ended. Each limit here is a quarter of a second."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.harness import keystile
from tests.support.upstream import Gate, plain, upstream
from tests.wire.exchanges.table import HOST, get, http, post

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.upstream import Script

_SHORT = "250ms"
_TIMEOUTS = {"timeouts": {"connect": _SHORT, "first_byte": _SHORT, "idle": _SHORT}}

SILENT = [
    pytest.param(get("/"), (Gate("never"),), 504, "upstream_timeout", id="before its first byte"),
    pytest.param(get("/"), (b"HTTP/1.1 20", Gate("never")), 504, "upstream_timeout", id="within its head"),
    pytest.param(
        get("/"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Gate("never")),
        504,
        "upstream_timeout",
        id="behind an interim answer",
    ),
    pytest.param(post(b"body"), (Gate("never"),), 504, "upstream_timeout", id="with the body read"),
]


@pytest.mark.parametrize(("sent", "script", "status", "reason"), SILENT)
async def test_a_silent_upstream(
    sent: bytes, script: Script, status: int, reason: str, tmp_path: Path
) -> None:
    async with (
        upstream([script, plain(b"next")]) as server,
        keystile(tmp_path, server.url, upstream=_TIMEOUTS) as proxy,
        proxy.client() as client,
    ):
        await client.write(sent)
        assert (await client.response()).status == status
        # The silent connection is ended; the client's is not.
        await server.connections[0].until(lambda: server.connections[0].ended)
        await client.write(get("/next"))
        assert (await client.response()).content == b"next"
        lines = await proxy.lines()
    assert [(line["status"], line.get("reason")) for line in lines] == [(status, reason), (200, "public")]


async def test_an_upstream_that_falls_silent_in_its_body(tmp_path: Path) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    async with (
        upstream([(half, Gate("never"))]) as server,
        keystile(tmp_path, server.url, upstream=_TIMEOUTS) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/"))
        assert await client.rest() == half
        await server.connections[0].until(lambda: server.connections[0].ended)
        lines = await proxy.lines()
    assert [(line["status"], line["reason"]) for line in lines] == [(200, "upstream_timeout")]


async def test_a_quiet_stream_of_events_is_left_alone(tmp_path: Path) -> None:
    head = http("HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked")
    script = (head, b"2\r\n1\n\r\n", Gate("2"), b"2\r\n2\n\r\n0\r\n\r\n")
    async with (
        upstream([script, (Gate("never"),)]) as server,
        keystile(tmp_path, server.url, upstream=_TIMEOUTS) as proxy,
        proxy.client() as client,
        proxy.client() as other,
    ):
        await client.write(get("/events"))
        await client.bytes_until(b"2\r\n1\n\r\n")
        # Two requests after it have run into the deadline of which the stream has none.
        for _ in range(2):
            await other.write(get("/"))
            assert (await other.response()).status == 504
        server.gates["2"].set()
        assert await client.bytes_until(b"0\r\n\r\n") == b"2\r\n2\n\r\n0\r\n\r\n"


async def test_a_body_that_stops_coming(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, upstream=_TIMEOUTS) as proxy,
        proxy.client() as client,
    ):
        await client.write(http("POST / HTTP/1.1", HOST, "Content-Length: 8", body=b"half"))
        answer = await client.response()
        assert (answer.status, answer.value(b"connection")) == (408, b"close")
        assert await client.rest() == b""
        await server.connections[0].until(lambda: server.connections[0].ended)
        lines = await proxy.lines()
    assert [(line["status"], line["reason"]) for line in lines] == [(408, "request_timeout")]
    assert server.requests == []


SLOW_HEADS = [
    pytest.param(b"G", id="with its first byte"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: edge.test\r\n", id="before its empty line"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: edge.test\r\n\r", id="before its last byte"),
]


@pytest.mark.parametrize("behind", [False, True], ids=["at once", "behind another request"])
@pytest.mark.parametrize("sent", SLOW_HEADS)
async def test_a_head_that_stops_coming(sent: bytes, behind: bool, tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, limits={"head_timeout": _SHORT}) as proxy,
        proxy.client() as client,
    ):
        if behind:
            await client.write(get("/first"))
            assert (await client.response()).content == b"/first"
        await client.write(sent)
        answer = await client.response()
        assert (answer.status, answer.value(b"connection")) == (408, b"close")
        assert await client.rest() == b""
        lines = await proxy.lines()
    assert (lines[-1]["status"], lines[-1]["reason"]) == (408, "request_timeout")
    assert len(lines) == 1 + behind
    assert len(server.requests) == behind


async def test_a_connection_that_says_nothing_is_closed_without_a_word(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, limits={"head_timeout": _SHORT}) as proxy,
        proxy.client() as client,
    ):
        assert await client.rest() == b""
        assert await proxy.lines() == []


async def test_a_head_that_drips_has_no_longer_than_one_that_stops(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, limits={"head_timeout": _SHORT}) as proxy,
        proxy.client() as client,
    ):
        await client.write(b"GET / HTTP/1.1\r\nHost: edge.test\r\nX-A: ")
        while not client.received:
            # Bounded by the size of a head, which is reached only if the deadline moves with each byte.
            await client.trickle(b"a")
        assert (await client.response()).status == 408


async def test_an_upstream_that_nobody_listens_at(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with keystile(tmp_path, f"http://127.0.0.1:{port}") as proxy, proxy.client() as client:
        for _ in range(2):
            await client.write(get("/"))
            assert (await client.response()).status == 502
        lines = await proxy.lines()
    assert [(line["status"], line["reason"]) for line in lines] == [(502, "upstream_unreachable")] * 2


async def test_an_upstream_that_never_takes_up_the_connection(tmp_path: Path) -> None:
    # It accepts TCP and never answers the TLS greeting: still connecting, as far as HTTP goes.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        async with keystile(tmp_path, url, upstream=_TIMEOUTS) as proxy, proxy.client() as client:
            await client.write(get("/"))
            assert (await client.response()).status in {502, 504}
            lines = await proxy.lines()
    assert [line["reason"] for line in lines] == ["upstream_unreachable"]
