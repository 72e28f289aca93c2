"""Streams: events leave as they arrive, and whoever has gone is worked for no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.harness import keystile
from tests.support.upstream import CLOSE, EARLY, Gate, plain, upstream
from tests.wire.exchanges.table import HOST, get, http, post

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.raw import Client
    from tests.support.upstream import Script

_EVENTS = "Content-Type: text/event-stream"
_CHUNKED = "Transfer-Encoding: chunked"
_OPEN = http("HTTP/1.1 200 OK", _EVENTS, _CHUNKED, body=b"9\r\ndata: 1\n\n\r\n")


def event(number: int) -> bytes:
    return b"data: %d\n\n" % number


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _as_it_is(data: bytes) -> bytes:
    return data


STREAMS = [
    pytest.param(
        http("HTTP/1.1 200 OK", _EVENTS, _CHUNKED),
        chunk,
        (b"0\r\n\r\n",),
        get("/events"),
        chunk,
        id="in chunks",
    ),
    pytest.param(
        http("HTTP/1.1 200 OK", _EVENTS),
        _as_it_is,
        (CLOSE,),
        get("/events"),
        chunk,
        id="until the upstream closes",
    ),
    pytest.param(
        http("HTTP/1.1 200 OK", _EVENTS, "Content-Length: 27"),
        _as_it_is,
        (),
        get("/events"),
        _as_it_is,
        id="of a known length",
    ),
    pytest.param(
        http("HTTP/1.1 200 OK", _EVENTS, _CHUNKED),
        chunk,
        (b"0\r\n\r\n",),
        http("GET /events HTTP/1.0", HOST),
        _as_it_is,
        id="in chunks, to an HTTP/1.0 client",
    ),
    pytest.param(
        http("HTTP/1.1 200 OK", "Content-Type: application/json", _CHUNKED),
        chunk,
        (b"0\r\n\r\n",),
        get("/events"),
        chunk,
        id="of no declared events",
    ),
]


@pytest.mark.parametrize(("head", "framed", "end", "request_", "leaves"), STREAMS)
async def test_each_event_leaves_before_the_next_is_made(
    head: bytes,
    framed: Callable[[bytes], bytes],
    end: Script,
    request_: bytes,
    leaves: Callable[[bytes], bytes],
    tmp_path: Path,
) -> None:
    script = (head, framed(event(1)), Gate("2"), framed(event(2)), Gate("3"), framed(event(3)), *end)
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(request_)
        await client.bytes_until(b"\r\n\r\n")
        for number in (1, 2, 3):
            # The upstream makes the next event only when its gate is opened.
            server.gates[str(number)].set()
            assert await client.bytes_until(leaves(event(number))) == leaves(event(number))
        lines = await proxy.lines()
    assert [(line["status"], line["path"]) for line in lines] == [(200, "/events")]


async def test_the_head_of_a_stream_leaves_before_its_first_event(tmp_path: Path) -> None:
    head = http("HTTP/1.1 200 OK", _EVENTS, _CHUNKED)
    async with (
        upstream([(head, Gate("never"))]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/events"))
        assert await client.bytes_until(b"\r\n\r\n") == head


async def test_a_stream_has_a_line_when_it_opens_and_one_when_it_ends(tmp_path: Path) -> None:
    async with upstream([(_OPEN, b"0\r\n\r\n")]) as server, keystile(tmp_path, server.url) as proxy:
        async with proxy.client() as client:
            await client.write(get("/events"))
            await client.response()
        opened = await proxy.lines("stream_open")
        ended = await proxy.lines()
    assert [(line["path"], line["status"]) for line in opened] == [("/events", 200)]
    assert [(line["path"], line["status"], line["bytes_out"]) for line in ended] == [("/events", 200, 19)]
    assert opened[0]["request_id"] == ended[0]["request_id"]


QUIET = [
    pytest.param(get("/"), (Gate("never"),), b"", 499, id="before it has answered"),
    pytest.param(get("/"), (_OPEN, Gate("never")), b"data: 1", 200, id="between two events"),
    pytest.param(
        get("/"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Gate("never")),
        b"half",
        200,
        id="in the middle of an answer",
    ),
    pytest.param(
        get("/"), (b"HTTP/1.1 200 OK\r\n\r\nhalf", Gate("never")), b"half", 200, id="without an end in sight"
    ),
    pytest.param(get("/") + get("/behind") * 500, (Gate("never"),), b"", 499, id="with requests behind"),
    pytest.param(post(b"body")[:-1], (), b"", 499, id="and waits for the rest of a body"),
    pytest.param(post(b"body"), (Gate("never"),), b"", 499, id="with a body read"),
    pytest.param(
        post(b"body")[:-1],
        (EARLY, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        b"half",
        200,
        id="in an early answer",
    ),
]
ENDS = ["closes", "resets", "half-closes"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("sent", "script", "seen", "status"), QUIET)
async def test_a_client_that_goes_ends_the_upstream_request(
    sent: bytes, script: Script, seen: bytes, status: int, end: str, tmp_path: Path
) -> None:
    """The upstream is quiet all the while, so nothing but the client's end can tell."""
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(sent)
        await client.bytes_until(seen)
        await server.begun()
        await _end(client, end)
        await server.connections[0].until(lambda: server.connections[0].ended)
        lines = await proxy.lines()
    assert [(line["status"], line["reason"]) for line in lines] == [(status, "client_closed")]


async def test_a_client_that_goes_frees_the_place_of_requests_behind(tmp_path: Path) -> None:
    async with upstream([(Gate("never"),)]) as server, keystile(tmp_path, server.url) as proxy:
        async with proxy.client() as client:
            await client.write(get("/1") + get("/2"))
            await server.arrived(1)
            client.reset()
            await server.connections[0].until(lambda: server.connections[0].ended)
        lines = await proxy.lines()
    assert [(line["path"], line["status"]) for line in lines] == [("/1", 499)]
    assert len(server.requests) == 1


async def test_the_next_client_gets_its_own_answer_where_one_has_gone(tmp_path: Path) -> None:
    answers = [(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", Gate("late"), b"poison"), plain(b"own")]
    async with upstream(answers) as server, keystile(tmp_path, server.url) as proxy:
        async with proxy.client() as client:
            await client.write(get("/1"))
            await client.bytes_until(b"\r\n\r\n")
        await server.connections[0].until(lambda: server.connections[0].ended)
        server.gates["late"].set()
        async with proxy.client() as client:
            await client.write(get("/2"))
            assert (await client.response()).content == b"own"


async def _end(client: Client, end: str) -> None:
    if end == "closes":
        await client.close()
    elif end == "resets":
        client.reset()
    else:
        client.half_close()
