"""Nobody gets another's answer, nobody waits for ever, and nobody who left is served: whatever the upstream does."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.support.harness import keystile, token
from tests.support.upstream import Gate, plain, upstream
from tests.wire.exchanges.table import HOST, get, http

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.messages import Message
    from tests.support.upstream import Script

_EVENTS = http("HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked")

LATE = [
    pytest.param("HEAD", http("HTTP/1.1 200 OK", "Content-Length: 60"), id="behind HEAD"),
    pytest.param("GET", http("HTTP/1.1 204 No Content"), id="behind 204"),
    pytest.param("GET", http("HTTP/1.1 304 Not Modified"), id="behind 304"),
]


@pytest.mark.parametrize(("method", "answer"), LATE)
async def test_a_late_body_is_never_the_next_answer(method: str, answer: bytes, tmp_path: Path) -> None:
    late = http("HTTP/1.1 200 OK", "Content-Length: 5", body=b"WRONG")

    def script(request: Message) -> Script:
        return (answer, Gate("later"), late) if request.target == b"/first" else plain(request.target)

    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(http(f"{method} /first HTTP/1.1", HOST))
        await client.response(method.encode())
        server.gates["later"].set()
        for number in range(20):
            await client.write(get(f"/{number}"))
            assert (await client.response()).content == b"/%d" % number


async def test_requests_alike_but_for_their_tokens_keep_their_own_agents(tmp_path: Path) -> None:
    agents = ["acc_1", "acc_1", "acc_2", "acc_1", "acc_2", "acc_2", "acc_3"]
    tokens = {agent: token(sub=agent) for agent in agents}
    assert len({len(one) for one in tokens.values()}) == 1
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        for agent in agents:
            await client.write(get("/", f"Authorization: Bearer {tokens[agent]}"))
            assert (await client.response()).status == 200
        lines = await proxy.lines()
    assert [arrived.value(b"x-agent-id") for arrived in server.requests] == [one.encode() for one in agents]
    assert [line["agent_id"] for line in lines] == agents


TRACES = (f"{1:032x}", f"{2:032x}")


async def test_what_varies_between_heads_is_each_request_s_own(tmp_path: Path) -> None:
    """On one connection requests get what each of them gets on a connection of its own."""
    agents = {agent: f"Bearer {token(sub=agent)}" for agent in ("acc_1", "acc_2")}
    said = [
        *agents.values(),
        f"Bearer {token(scope='none')}",
        f"Bearer {token(exp=1700000100)}",
        f"Bearer {token()[:-4]}AAAA",
        "Basic YTpi",
        f"{agents['acc_1']},{agents['acc_2']}",
    ]
    drawn = Random(7)
    requests = [
        http(
            "POST /guarded/a HTTP/1.1",
            HOST,
            f"Authorization: {drawn.choice(said)}",
            f"traceparent: 00-{drawn.choice(TRACES)}-00f067aa0ba902b7-01",
            f"Content-Length: {len(body)}",
            body=body,
        )
        for body in drawn.choices((b"", b"b", b"bb", b"body and more"), k=80)
    ]
    statuses = []
    async with upstream() as server, keystile(tmp_path, server.url) as proxy:
        for request in requests:
            async with proxy.client() as client:
                await client.write(request)
                statuses.append((await client.response()).status)
        async with proxy.client() as client:
            for request in requests:
                await client.write(request)
                statuses.append((await client.response()).status)
        lines = await proxy.lines()
    assert set(statuses) == {200, 400, 401, 403}
    arrived = [(one.value(b"x-agent-id"), one.value(b"traceparent"), one.body) for one in server.requests]
    named = [
        [line.get(name) for name in ("status", "reason", "agent_id", "trace_id", "bytes_in")]
        for line in lines
    ]
    assert statuses[:80] == statuses[80:]
    assert arrived[: len(arrived) // 2] == arrived[len(arrived) // 2 :]
    assert named[:80] == named[80:]


async def test_everybody_is_answered_when_the_upstream_refuses_connections(tmp_path: Path) -> None:
    settings = {"upstream": {"connections": 1, "timeouts": {"connect": "1s"}}}
    async with keystile(tmp_path, "http://127.0.0.1:9", **settings) as proxy:

        async def ask() -> int:
            async with proxy.client() as client:
                await client.write(get("/"))
                return (await client.response()).status

        assert await asyncio.gather(*[ask() for _ in range(20)]) == [502] * 20
        reasons = {line["reason"] for line in await proxy.lines()}
    assert reasons == {"upstream_unreachable"}


async def test_whoever_waits_at_the_limit_is_told_in_time(tmp_path: Path) -> None:
    settings = {"upstream": {"connections": 1, "timeouts": {"connect": "500ms"}}}
    script = (_EVENTS,)
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url, **settings) as proxy,
        proxy.client() as holder,
        proxy.client() as waiter,
    ):
        await holder.write(get("/"))
        await holder.bytes_until(b"\r\n\r\n")
        await waiter.write(get("/"))
        assert (await waiter.response()).status == 503
        line, *_ = await proxy.lines()
    assert (line["status"], line["reason"]) == (503, "overloaded")


async def test_a_client_that_left_a_quiet_stream_is_noticed_behind_its_backlog(tmp_path: Path) -> None:
    async with upstream([(_EVENTS,)]) as server, keystile(tmp_path, server.url) as proxy:
        async with proxy.client() as client:
            await client.write(get("/"))
            await client.bytes_until(b"\r\n\r\n")
            await client.write(get("/next") * 3000)
        await server.connections[0].until(lambda: server.connections[0].gone)
        (line,) = await proxy.lines()
    assert (line["status"], line["reason"]) == (200, "client_closed")


async def test_answers_that_were_logged_have_left_before_the_end(tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy:
        received = 0

        async def ask_on() -> None:
            nonlocal received
            async with proxy.client() as client:
                while not client.ended:
                    await client.write(get("/"))
                    try:
                        await client.response()
                    except AssertionError:
                        return
                    received += 1

        asking = [asyncio.ensure_future(ask_on()) for _ in range(12)]
        await server.arrived(200)
        await proxy.close()
        await asyncio.gather(*asking)
        assert len([line for line in await proxy.lines() if line["status"] == 200]) == received


async def test_more_header_lines_than_allowed_cost_nothing(tmp_path: Path) -> None:
    lines = [f"a{number}: b" for number in range(1500)] * 2
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        await client.write(http("GET / HTTP/1.1", HOST, *lines))
        assert (await client.response()).status == 431
        assert server.requests == []
