"""Bounds: connections from clients, connections to the upstream, and what one client may make the proxy keep."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.harness import keystile
from tests.support.raw import Client
from tests.support.upstream import Gate, echo, plain, upstream
from tests.wire.exchanges.table import get

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.upstream import Answer


async def test_too_many_clients(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, limits={"connections": 2}) as proxy,
        AsyncExitStack() as stack,
    ):
        first, second = [await stack.enter_async_context(proxy.client()) for _ in range(2)]
        for client in (first, second):
            await client.write(get("/"))
            await client.response()
        async with proxy.client() as third:
            answer = await third.response()
            assert (answer.status, answer.value(b"connection")) == (503, b"close")
            assert await third.rest() == b""
        # Those who were first are not disturbed, and whoever leaves makes room.
        await first.write(get("/"))
        assert (await first.response()).status == 200
        await first.close()
        async with proxy.client() as fourth:
            await fourth.write(get("/"))
            assert (await fourth.response()).status == 200
        lines = await proxy.lines()
    assert [line["status"] for line in lines] == [200, 200, 503, 200, 200]
    assert lines[2]["reason"] == "overloaded"


EACH = [
    pytest.param({}, 429, id="of one address"),
    pytest.param({"trusted_proxies": ["127.0.0.0/8"]}, 200, id="of a proxy that is trusted"),
]


@pytest.mark.parametrize(("settings", "status"), EACH)
async def test_too_many_connections_of_one_client(
    settings: dict[str, Any], status: int, tmp_path: Path
) -> None:
    limits = {"connections_per_address": 2}
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, limits=limits, **settings) as proxy,
        AsyncExitStack() as stack,
    ):
        first, second = [await stack.enter_async_context(proxy.client()) for _ in range(2)]
        for client in (first, second):
            await client.write(get("/"))
            await client.response()
        async with proxy.client() as third:
            if status == 200:
                await third.write(get("/"))
            answer = await third.response()
            assert answer.status == status
        # Another address is another client.
        loop = asyncio.get_running_loop()
        _, other = await loop.create_connection(Client, *proxy.address, local_addr=("127.0.0.2", 0))
        await other.write(get("/"))
        assert (await other.response()).status == 200
        await other.close()
        await first.close()
        async with asyncio.timeout(10):
            while True:
                async with proxy.client() as fourth:
                    await fourth.write(get("/"))
                    if (await fourth.response()).status == 200:
                        break
        lines = await proxy.lines()
    refused = [line for line in lines if line["status"] == 429]
    assert {line["reason"] for line in refused} == ({"rate_limited"} if status == 429 else set())


async def test_requests_wait_for_an_upstream_connection(tmp_path: Path) -> None:
    answers = [(Gate("1"), *plain(b"first")), plain(b"second"), plain(b"third")]
    async with (
        upstream(answers) as server,
        keystile(tmp_path, server.url, upstream={"connections": 1}) as proxy,
        proxy.client() as one,
        proxy.client() as two,
        proxy.client() as three,
    ):
        for client in (one, two, three):
            await client.write(get("/"))
            await server.arrived(1)
        server.gates["1"].set()
        assert [(await client.response()).content for client in (one, two, three)] == [
            b"first",
            b"second",
            b"third",
        ]
        assert len(server.connections) == 1


async def test_requests_do_not_wait_forever_for_an_upstream_connection(tmp_path: Path) -> None:
    async with (
        upstream([(Gate("never"),), plain(b"next")]) as server,
        keystile(
            tmp_path, server.url, upstream={"connections": 1, "timeouts": {"connect": "250ms"}}
        ) as proxy,
        proxy.client() as one,
        proxy.client() as two,
    ):
        await one.write(get("/1"))
        await server.arrived(1)
        await two.write(get("/2"))
        assert (await two.response()).status == 503
        # The place of the one that goes is free again.
        await one.close()
        await two.write(get("/3"))
        assert (await two.response()).content == b"next"
        lines = await proxy.lines()
    assert [(line["path"], line["status"], line["reason"]) for line in lines] == [
        ("/2", 503, "overloaded"),
        ("/1", 499, "client_closed"),
        ("/3", 200, "public"),
    ]


async def test_a_waiting_request_that_goes_takes_no_connection(tmp_path: Path) -> None:
    answers: list[Answer] = [(Gate("1"), *plain(b"first")), echo]
    async with (
        upstream(answers) as server,
        keystile(tmp_path, server.url, upstream={"connections": 1}) as proxy,
        proxy.client() as one,
    ):
        await one.write(get("/1"))
        await server.arrived(1)
        async with proxy.client() as two:
            await two.write(get("/2"))
        async with proxy.client() as three:
            await three.write(get("/3"))
            server.gates["1"].set()
            assert (await one.response()).content == b"first"
            assert (await three.response()).content == b"/3"
    assert b"/2" not in [request.target for request in server.requests]


@pytest.mark.parametrize("count", [1, 5, 64])
async def test_many_clients_at_once_get_their_own_answers(count: int, tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, upstream={"connections": 4}) as proxy,
        AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(proxy.client()) for _ in range(count)]
        for round_ in range(3):
            for number, client in enumerate(clients):
                await client.write(get(f"/{round_}/{number}"))
            for number, client in enumerate(clients):
                assert (await client.response()).content == b"/%d/%d" % (round_, number)
        assert len(server.connections) <= 4


async def test_many_requests_without_waiting_are_answered_one_by_one(tmp_path: Path) -> None:
    """More than one turn of the loop answers, arriving while others still wait for their turn."""
    count = 3000
    sent = get("/guarded") * count + get("/last")
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        for start in range(0, len(sent), 2999):
            client.transport.write(sent[start : start + 2999])
            await asyncio.sleep(0)
        assert {(await client.response()).status for _ in range(count)} == {401}
        assert (await client.response()).content == b"/last"
        assert client.received == b""
