"""Upstream connections: used again where that is sound, never where a byte of somebody else's answer may follow."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.support.harness import keystile
from tests.support.upstream import CLOSE, EARLY, HALF_CLOSE, RESET, Gate, echo, plain, upstream
from tests.wire.exchanges.table import get, http, post

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.messages import Message
    from tests.support.raw import Client
    from tests.support.upstream import Act, Script

_POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"


async def test_one_client_needs_one_connection(tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        for number in range(20):
            await client.write(get(f"/{number}") if number % 2 else post(b"body", target=f"/{number}"))
            assert (await client.response()).content == b"/%d" % number
        assert len(server.connections) == 1


async def test_clients_share_connections(tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy:
        for _ in range(5):
            async with proxy.client() as client:
                await client.write(get("/"))
                await client.response()
        assert len(server.connections) == 1


async def test_requests_at_once_have_a_connection_each(tmp_path: Path) -> None:
    async with (
        upstream([(Gate("all"), *plain())]) as server,
        keystile(tmp_path, server.url) as proxy,
        AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(proxy.client()) for _ in range(5)]
        for client in clients:
            await client.write(get("/"))
        await server.arrived(5)
        server.gates["all"].set()
        for client in clients:
            await client.response()
        assert len(server.connections) == 5


UNASKED = [
    pytest.param(_POISON, id="an answer that nobody asked for"),
    pytest.param(http("HTTP/1.1 408 Request Timeout", "Connection: close", "Content-Length: 0"), id="a 408"),
    pytest.param(b"\r\n", id="an empty line"),
    pytest.param(b"x", id="a byte"),
]


@pytest.mark.parametrize("said", UNASKED)
async def test_bytes_on_an_idle_connection_end_it(said: bytes, tmp_path: Path) -> None:
    async with (
        upstream([plain(b"own"), plain(b"next")]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/"))
        assert (await client.response()).content == b"own"
        [connection] = server.connections
        connection.transport.write(said)
        await connection.until(lambda: connection.ended)
        await client.write(get("/"))
        assert (await client.response()).content == b"next"
        assert client.received == b""


@pytest.mark.parametrize("end", [CLOSE, RESET, HALF_CLOSE], ids=lambda end: end.name)
async def test_an_idle_connection_that_ends_is_not_used_again(end: Act, tmp_path: Path) -> None:
    script = (*plain(b"own"), Gate("idle"), end)
    async with (
        upstream([script, plain(b"next")]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/"))
        assert (await client.response()).content == b"own"
        [connection] = server.connections
        server.gates["idle"].set()
        await connection.until(lambda: connection.ended)
        # A request that could not be sent again shows that it was not sent there at all.
        await client.write(post(b"body"))
        assert (await client.response()).content == b"next"


def _misbehaving(random_: random.Random, request: Message) -> Script:
    """One of the things that upstreams do; what is answered whole names its request."""
    target = request.target
    own = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target)
    return random_.choice(
        [
            (own,),
            (own,),
            (own, CLOSE),
            (own, RESET),
            (own + _POISON,),
            (own + b"\r\n",),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
                % (len(target), target),
            ),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + _POISON,),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npoison", CLOSE),
            (b"HTTP/1.1 200 OK\nContent-Length: 6\r\n\r\npoison",),
            (b"HTTP/1.1 204 No Content\r\n\r\n" + _POISON,),
            (b"HTTP/1.1 200 OK\r\n\r\n" + target, CLOSE),
            (EARLY, own),
            (b"HTTP/1.1 103 Early Hints\r\n\r\n" + own,),
            (CLOSE,),
            (RESET,),
        ]
    )


@pytest.mark.parametrize("seed", range(6))
async def test_nobody_gets_somebody_elses_answer(seed: int, tmp_path: Path) -> None:
    random_ = random.Random(seed)
    async with (
        upstream([lambda request: _misbehaving(random_, request)]) as server,
        keystile(tmp_path, server.url, upstream={"connections": 3}) as proxy,
    ):
        whole = 0
        for number in range(0, 120, 4):
            async with AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(proxy.client()) for _ in range(4)]
                for offset, client in enumerate(clients):
                    target = f"/{seed}/{number + offset}"
                    await client.write(post(b"body", target=target) if offset % 2 else get(target))
                for offset, client in enumerate(clients):
                    whole += await _own_answer(client, b"/%d/%d" % (seed, number + offset))
        assert whole > 20
        assert server.faults == []


async def _own_answer(client: Client, target: bytes) -> bool:
    """Whether the whole answer came; no answer of another request's ever does."""
    await client.until(lambda: client.ended or b"\r\n\r\n" in client.received)
    if client.ended and b"\r\n\r\n" not in client.received:
        return False
    while (head := bytes(client.received)).startswith(b"HTTP/1.1 103"):
        await client.response()
        await client.until(lambda: client.ended or b"\r\n\r\n" in client.received)
    if b"Content-Length: 1000" in head:
        assert (await client.rest()).endswith(b"poison")
        return False
    if head.startswith(b"HTTP/1.1 200") and b"chunked" in head:
        await client.until(lambda: client.ended or b"0\r\n\r\n" in client.received)
        if client.ended:
            return False
    answer = await client.response()
    assert answer.content == target if answer.status == 200 else answer.status in {204, 502}
    return answer.status == 200


async def test_the_last_connection_back_is_the_first_lent(tmp_path: Path) -> None:
    """What is needed no more stays idle, and its server can close it."""
    async with (
        upstream([(Gate("both"), *plain()), (Gate("both"), *plain()), echo]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as one,
        proxy.client() as two,
    ):
        for client in (one, two):
            await client.write(get("/"))
        await server.arrived(2)
        server.gates["both"].set()
        for client in (one, two):
            await client.response()
        idle = [connection.total for connection in server.connections]
        for _ in range(5):
            await one.write(get("/again"))
            await one.response()
        used = [
            connection.total > before for connection, before in zip(server.connections, idle, strict=True)
        ]
    assert sorted(used) == [False, True]
