"""`upstream.retry`: what is tried again after its connection failed, how often, and what never is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import certified
from tests.support.doors import door_at, reserved
from tests.support.harness import keystile
from tests.support.upstream import CLOSE, RESET, Gate, plain, upstream
from tests.wire.exchanges.table import HOST, get, http, post

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.harness import Keystile
    from tests.support.messages import Message
    from tests.support.upstream import Answer

_HEAD = http("HTTP/1.1 200 OK", "Content-Length: 2")
_LAST = http("HTTP/1.1 200 OK", "Connection: close", "Content-Length: 2", body=b"ok")


def _bare(method: str) -> bytes:
    return http(f"{method} / HTTP/1.1", HOST)


# Each: `retry`, what the client sends, what the upstream does about each arrival, the status, the reason, the arrivals.
CASES = [
    pytest.param(0, get(), [(CLOSE,), plain()], 502, "upstream_unreachable", 1, id="nothing, unless it is asked for"),
    pytest.param(1, get(), [(CLOSE,), plain()], 200, "public", 2, id="GET whose connection closed"),
    pytest.param(1, get(), [(RESET,), plain()], 200, "public", 2, id="GET whose connection was reset"),
    pytest.param(1, _bare("OPTIONS"), [(CLOSE,), plain()], 200, "public", 2, id="OPTIONS"),
    pytest.param(1, _bare("HEAD"), [(CLOSE,), (_HEAD,)], 200, "public", 2, id="HEAD"),
    pytest.param(3, get(), [(CLOSE,), (RESET,), (CLOSE,), plain()], 200, "public", 4, id="as often as it says"),
    pytest.param(
        3, get(), [(CLOSE,)] * 4 + [plain()], 502, "upstream_unreachable", 4, id="and never once more"
    ),
    *[
        pytest.param(
            9, _bare(method), [(CLOSE,), plain()], 502, "upstream_unreachable", 1, id=f"never {method}"
        )
        for method in ("POST", "PUT", "DELETE", "PATCH", "REPORT")
    ],
    *[
        pytest.param(
            9,
            http(f"{method} / HTTP/1.1", HOST, "Content-Length: 4", body=b"body"),
            [(CLOSE,), plain()],
            502,
            "upstream_unreachable",
            1,
            id=f"never {method} with a body",
        )
        for method in ("GET", "OPTIONS", "POST")
    ],
    pytest.param(
        9,
        http("GET / HTTP/1.1", HOST, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        [(CLOSE,), plain()],
        502,
        "upstream_unreachable",
        1,
        id="never with a body of no bytes, which is a body all the same",
    ),
    pytest.param(
        9, get(), [(b"H", CLOSE), plain()], 502, "upstream_malformed", 1, id="never after a byte of the answer"
    ),
    pytest.param(
        9,
        get(),
        [(b"HTTP/1.1 100 Continue\r\n\r\n", CLOSE), plain()],
        502,
        "upstream_malformed",
        1,
        id="never after an interim answer",
    ),
    pytest.param(
        9,
        get(),
        [(b"HTTP/1.1 2 OK\r\n\r\n",), plain()],
        502,
        "upstream_malformed",
        1,
        id="never for an answer that is malformed",
    ),
    pytest.param(
        9,
        get(),
        [(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n",), plain()],
        503,
        "public",
        1,
        id="never for a status",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("retry", "sent", "answers", "status", "reason", "arrivals"), CASES)
async def test_what_is_tried_again(
    retry: int,
    sent: bytes,
    answers: list[Answer],
    status: int,
    reason: str,
    arrivals: int,
    tmp_path: Path,
) -> None:
    async with (
        upstream(answers) as server,
        keystile(tmp_path, server.url, upstream={"retry": retry}) as proxy,
        proxy.client() as client,
    ):
        await client.write(sent)
        method = sent.partition(b" ")[0]
        assert (await client.response(method)).status == status
        lines = await proxy.lines()
    assert [(line["status"], line["reason"]) for line in lines] == [(status, reason)]
    assert len(server.requests) == len(server.connections) == arrivals
    # Each time the same: the request's id too, by which the upstream can tell that it is.
    assert len({(request.start, request.lines) for request in server.requests}) == 1
    assert server.faults == []


async def test_an_answer_that_breaks_off_is_not_asked_for_again(tmp_path: Path) -> None:
    async with (
        upstream([(_HEAD + b"o", CLOSE), plain()]) as server,
        keystile(tmp_path, server.url, upstream={"retry": 9}) as proxy,
        proxy.client() as client,
    ):
        await client.write(get())
        assert (await client.rest()).endswith(b"\r\n\r\no")
    assert len(server.requests) == 1


async def test_a_silent_upstream_is_not_asked_again(tmp_path: Path) -> None:
    settings = {"retry": 9, "timeouts": {"first_byte": "100ms"}}
    async with (
        upstream([(Gate("never"),)]) as server,
        keystile(tmp_path, server.url, upstream=settings) as proxy,
    ):
        assert (await _ask(proxy, get())).status == 504
    assert len(server.requests) == 1


async def test_a_used_connection_that_closed_counts_beside(tmp_path: Path) -> None:
    """What a connection that was open already had not read is sent again as ever; then come the attempts."""
    answers = [plain(), (CLOSE,), (CLOSE,), (CLOSE,), plain()]
    async with (
        upstream(answers) as server,
        keystile(tmp_path, server.url, upstream={"retry": 1}) as proxy,
    ):
        assert (await _ask(proxy, get("/first"))).status == 200
        assert (await _ask(proxy, get("/second"))).status == 502
    assert [request.target for request in server.requests] == [b"/first"] + [b"/second"] * 3


async def _ask(proxy: Keystile, request: bytes) -> Message:
    async with proxy.client() as client:
        await client.write(request)
        return await client.response()


async def test_an_upstream_that_restarts_is_waited_for(tmp_path: Path) -> None:
    with reserved() as (bound, url):
        async with keystile(tmp_path, url, upstream={"retry": 10}) as proxy, asyncio.TaskGroup() as group:
            # What may not be tried again is told at once, and shows that connections are refused.
            assert (await _ask(proxy, post(b"body"))).status == 502
            waiting = [group.create_task(_ask(proxy, get(f"/{number}"))) for number in range(20)]
            assert (await _ask(proxy, post(b"body"))).status == 502
            held = [lambda request: (Gate("all"), *plain(request.target))]
            async with upstream(held, bound=bound) as server:
                # As many connections are made as wait, though one has shown that it is back.
                await server.arrived(20)
                server.gates["all"].set()
                answers = [(await task).content for task in waiting]
                lines = await proxy.lines()
    assert answers == [b"/%d" % number for number in range(20)]
    assert sorted(request.target for request in server.requests) == sorted(answers)
    assert sorted(line["status"] for line in lines) == [200] * 20 + [502] * 2


async def test_the_wait_ends_with_the_time_to_connect(tmp_path: Path) -> None:
    with reserved() as (_, url):
        settings = {"retry": 10, "timeouts": {"connect": "40ms"}}
        async with keystile(tmp_path, url, upstream=settings) as proxy:
            assert (await _ask(proxy, get())).status == 502
            lines = await proxy.lines()
    assert [line["reason"] for line in lines] == ["upstream_unreachable"]


async def test_half_of_all_connections_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = certified(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.ca))
    async with (
        upstream([(_LAST,)], tls=certificate.server) as server,
        door_at(lambda number: "close" if number % 2 else "pass") as door,
        keystile(tmp_path, f"https://127.0.0.1:{door.port}", upstream={"retry": 10}) as proxy,
    ):
        door.onward = int(server.url.rpartition(":")[2])
        statuses = [(await _ask(proxy, get(f"/{number}"))).status for number in range(20)]
        statuses += [
            answer.status for answer in await asyncio.gather(*[_ask(proxy, get("/x")) for _ in range(20)])
        ]
        lines = await proxy.lines()
    assert statuses == [200] * 40
    assert [line["status"] for line in lines] == statuses
    assert len(server.requests) == 40


async def test_whoever_leaves_while_it_waits_is_not_served(tmp_path: Path) -> None:
    with reserved() as (bound, url):
        async with keystile(tmp_path, url, upstream={"retry": 10}) as proxy:
            async with proxy.client() as client:
                await client.write(get("/gone"))
                assert (await _ask(proxy, post(b"body"))).status == 502
            async with proxy.client() as client:
                await client.write(get("/stays"))
                async with upstream(bound=bound) as server:
                    assert (await client.response()).content == b"/stays"
                    lines = await proxy.lines()
    assert [request.target for request in server.requests] == [b"/stays"]
    assert {(line["path"], line["status"]) for line in lines} == {("/", 502), ("/gone", 499), ("/stays", 200)}


async def test_a_stop_ends_the_wait(tmp_path: Path) -> None:
    with reserved() as (_, url):
        async with (
            keystile(tmp_path, url, drain="50ms", upstream={"retry": 10}) as proxy,
            proxy.client() as client,
        ):
            assert (await _ask(proxy, post(b"body"))).status == 502
            await client.write(get("/waits"))
            assert (await _ask(proxy, post(b"body"))).status == 502
            closing = asyncio.ensure_future(proxy.close())
            answer = await client.response()
            assert (answer.status, answer.value(b"retry-after")) == (503, b"1")
            await closing
            lines = await proxy.lines()
    assert [(line["path"], line["reason"]) for line in lines][-1] == ("/waits", "draining")
