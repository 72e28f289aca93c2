"""An upstream that takes no connections: everybody is told at once, it is tried in the background, and it is found again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.doors import door_at, reserved
from tests.support.harness import keystile
from tests.support.records import operations, until
from tests.support.upstream import Gate, plain, upstream
from tests.wire.exchanges.table import get, post

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from tests.support.harness import Keystile
    from tests.support.messages import Message


# Longer than any test: who is answered is answered for what became of a dial, not for having waited.
_PATIENT = {"timeouts": {"connect": "60s"}}


async def _ask(proxy: Keystile, request: bytes = get()) -> Message:
    async with proxy.client() as client:
        await client.write(request)
        return await client.response()


async def _ask_at_once(proxy: Keystile, count: int) -> list[int]:
    return [answer.status for answer in await asyncio.gather(*[_ask(proxy) for _ in range(count)])]


def _of_upstream(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"].startswith("upstream_")]


async def test_everybody_is_told_and_few_dials_are_made(tmp_path: Path) -> None:
    async with (
        door_at(lambda _: "close") as door,
        keystile(tmp_path, f"https://127.0.0.1:{door.port}") as proxy,
    ):
        answer = await _ask(proxy)
        assert (answer.status, answer.value(b"retry-after")) == (502, b"1")
        for _ in range(5):
            assert await _ask_at_once(proxy, 20) == [502] * 20
        lines = await proxy.lines()
    assert [(line["status"], line["reason"]) for line in lines] == [(502, "upstream_unreachable")] * 101
    # As many would take half a minute, one after another.
    assert door.accepted < 30


async def test_one_dial_at_a_time_while_it_is_away(tmp_path: Path) -> None:
    async with (
        door_at(lambda number: "close" if number == 1 else "hold") as door,
        keystile(tmp_path, f"https://127.0.0.1:{door.port}", upstream=_PATIENT) as proxy,
    ):
        assert (await _ask(proxy)).status == 502
        await until(lambda: door.accepted == 2)
        # The one that sees whether it is back is under way: nobody waits for it, nobody dials beside it.
        assert await _ask_at_once(proxy, 20) == [502] * 20
        assert door.accepted == 2
        door.released.set()
        await until(lambda: door.accepted == 4)


@pytest.mark.parametrize("request_", [get("/"), post(b"body")], ids=["GET", "POST"])
async def test_it_is_found_again_though_nobody_asks(request_: bytes, tmp_path: Path) -> None:
    with reserved() as (bound, url), operations(tmp_path / "operations") as said:
        async with keystile(tmp_path, url) as proxy:
            for _ in range(3):
                assert (await _ask(proxy, request_)).status == 502
            # It has been seen that this was not by chance.
            await until(lambda: bool(_of_upstream(said())))
            async with upstream(bound=bound) as server:
                await until(lambda: len(server.connections) == 1)
                for _ in range(3):
                    assert (await _ask(proxy, request_)).content == b"/"
                assert len(server.connections) == 1
            lines = await proxy.lines()
        events = [(line["event"], line["level"], line.get("error")) for line in _of_upstream(said())]
    assert [line["status"] for line in lines] == [502] * 3 + [200] * 3
    assert events == [
        ("upstream_unreachable", "warning", "ConnectionRefusedError"),
        ("upstream_reachable", "info", None),
    ]


async def test_everybody_who_waits_is_told_at_once(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with upstream([(Gate("never"),)]) as server:
            settings = {"connections": 1, **_PATIENT}
            proxy = await stack.enter_async_context(keystile(tmp_path, server.url, upstream=settings))
            clients = [await stack.enter_async_context(proxy.client()) for _ in range(40)]
            for client in clients:
                await client.write(get())
            await until(lambda: proxy.in_progress() == 40)
            await server.arrived(1)
        # It is gone. A dial for each of them, one after the other, would take half a minute.
        async with asyncio.timeout(10):
            assert [(await client.response()).status for client in clients] == [502] * 40
    assert len(server.requests) == 1


async def test_no_slot_is_lost_to_dials_that_fail(tmp_path: Path) -> None:
    """After many of every kind, as many connections as ever can be used at once, and one that waits gets its turn."""
    waiting = (Gate("all"), *plain())
    with reserved() as (bound, url):
        async with keystile(tmp_path, url, upstream={"connections": 2, **_PATIENT}) as proxy:
            for _ in range(4):
                assert await _ask_at_once(proxy, 10) == [502] * 10
            async with upstream([waiting], bound=bound) as server, AsyncExitStack() as stack:
                await until(lambda: len(server.connections) == 1)
                clients = [await stack.enter_async_context(proxy.client()) for _ in range(3)]
                for client in clients:
                    await client.write(get())
                await server.arrived(2)
                server.gates["all"].set()
                assert [(await client.response()).status for client in clients] == [200] * 3
                assert len(server.connections) == 2


def _close_all(listening: socket.socket, count: int) -> None:
    for _ in range(count):
        listening.accept()[0].close()


async def test_an_upstream_that_accepts_and_closes_at_once(tmp_path: Path) -> None:
    with reserved() as (bound, url):
        async with keystile(tmp_path, url, upstream={"connections": 1, **_PATIENT}) as proxy:

            async def ask_until_served() -> None:
                while (answer := await _ask(proxy, post(b"body"))).status != 200:
                    assert (answer.status, b"upstream_unreachable" in answer.content) == (502, True)

            bound.listen()
            asking = asyncio.ensure_future(ask_until_served())
            # In a thread of its own it is fast enough to close before the proxy has seen that it is connected.
            await asyncio.to_thread(_close_all, bound, 8)
            async with upstream(bound=bound) as server:
                await asking
                assert await _ask_at_once(proxy, 5) == [200] * 5
                assert len(server.connections) == 1
            lines = await proxy.lines()
    assert [request.body for request in server.requests] == [b"body"] + [b""] * 5
    assert {(line["status"], line["reason"]) for line in lines} == {
        (502, "upstream_unreachable"),
        (200, "public"),
    }


@pytest.mark.parametrize("how", ["reload", "close"])
async def test_what_serves_nobody_any_more_dials_no_more(how: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with (
        door_at(lambda _: "close") as first,
        door_at(lambda _: "close") as second,
        keystile(tmp_path, f"https://127.0.0.1:{first.port}") as proxy,
        keystile(tmp_path / "other", f"https://127.0.0.1:{second.port}") as other,
    ):
        assert (await _ask(proxy)).status == 502
        await until(lambda: first.accepted >= 3)
        if how == "reload":
            await proxy.reload(to=f"https://127.0.0.1:{second.port}")
        else:
            await proxy.close()
        before = first.accepted
        assert (await _ask(other)).status == 502
        # The pauses of the one show that those of the other would be over.
        await until(lambda: second.accepted >= 5)
        # One may have been under way.
        assert first.accepted <= before + 1
