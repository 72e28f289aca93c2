"""The end of the process: what is in progress is finished, what has no end is ended, and nothing new begins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.harness import keystile
from tests.support.upstream import Gate, plain, upstream
from tests.wire.exchanges.table import get, http, post

if TYPE_CHECKING:
    from pathlib import Path

_OPEN = http("HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked")


async def test_an_answer_in_progress_is_finished(tmp_path: Path) -> None:
    async with (
        upstream([(Gate("go on"), *plain(b"finished"))]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
        proxy.client() as idle,
    ):
        await idle.write(get("/guarded"))
        await idle.response()
        await client.write(get("/"))
        await server.arrived(1)
        closing = asyncio.ensure_future(proxy.close())
        # Whoever is idle is told first.
        assert await idle.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            await proxy.client().__aenter__()
        server.gates["go on"].set()
        answer = await client.response()
        assert (answer.content, answer.value(b"connection")) == (b"finished", b"close")
        assert await client.rest() == b""
        await closing
        lines = await proxy.lines()
    assert [line["status"] for line in lines] == [401, 200]


async def test_an_answer_that_has_begun_is_finished(tmp_path: Path) -> None:
    script = (b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf", Gate("go on"), b"full")
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/"))
        await client.bytes_until(b"half")
        closing = asyncio.ensure_future(proxy.close())
        server.gates["go on"].set()
        assert await client.rest() == b"full"
        await closing


async def test_a_body_under_way_is_finished(tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        sent = post(b"body", target="/a")
        await client.write(sent[:-2])
        await server.begun()
        closing = asyncio.ensure_future(proxy.close())
        await client.write(sent[-2:])
        assert (await client.response()).content == b"/a"
        await closing
    assert [request.body for request in server.requests] == [b"body"]


async def test_a_stream_of_events_is_ended_where_an_event_has_ended(tmp_path: Path) -> None:
    script = (_OPEN, b"9\r\ndata: 1\n\n\r\n", Gate("never"))
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/events"))
        await client.bytes_until(b"data: 1")
        await proxy.close()
        assert (await client.rest()).endswith(b"\r\n0\r\n\r\n")
        await server.connections[0].until(lambda: server.connections[0].ended)
        lines = await proxy.lines()
    assert [(line["status"], line["reason"]) for line in lines] == [(200, "draining")]


async def test_a_stream_of_events_is_cut_where_an_event_is_under_way(tmp_path: Path) -> None:
    script = (_OPEN, b"9\r\ndata", Gate("never"))
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/events"))
        await client.bytes_until(b"data")
        await proxy.close()
        # No last chunk: the client must see that this is not the whole.
        assert await client.rest() == b""
        lines = await proxy.lines()
    assert [(line["status"], line["reason"]) for line in lines] == [(200, "draining")]


async def test_closing_with_nothing_in_progress(tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy:
        async with proxy.client() as client:
            await client.write(get("/"))
            await client.response()
            await proxy.close()
            assert await client.rest() == b""
        await server.connections[0].until(lambda: server.connections[0].ended)
