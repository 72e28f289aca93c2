"""A WebSocket server made with `websockets`, unchanged, behind Keystile; its clients are of the same library."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.service import ISSUER, agent_token, keystile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection
    from websockets.asyncio.server import ServerConnection

    from tests.support.service import Service

RULES = [
    {"name": "feed", "path": "/feed", "scopes": ["feed:read"], "upgrade": "websocket"},
    {
        "name": "page",
        "path": "/page",
        "scopes": ["feed:read"],
        "upgrade": "websocket",
        "origins": ["https://pages.example.com"],
    },
    {"name": "plain", "path": "/plain", "scopes": ["feed:read"]},
]
SCOPES = ["feed:read"]


class Echo:
    """Says what it is told, and what it knows of who told it."""

    def __init__(self) -> None:
        self.agents: list[str | None] = []
        self.credentials: list[str] = []
        self.url = ""

    async def serve(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        self.agents.append(request.headers.get("X-Agent-Id"))
        self.credentials += request.headers.get_all("Authorization")
        with contextlib.suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = Echo()
    async with serve(made.serve, "127.0.0.1", 0, max_size=None) as server:
        host, port = server.sockets[0].getsockname()
        made.url = f"http://{host}:{port}"
        yield made


@contextlib.asynccontextmanager
async def service(folder: Path, echo: Echo, **settings: Any) -> AsyncIterator[Service]:
    """Keystile before the echo server, which runs in this event loop: starting and stopping must not block it."""
    manager = keystile(folder, upstream=echo.url, rules=RULES, **settings)
    running = await asyncio.to_thread(manager.__enter__)
    try:
        yield running
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


def client(service: Service, path: str = "/feed", *, token: str | None = None, **settings: Any) -> connect:
    headers = {"Authorization": f"Bearer {token or agent_token(sub='acc_1', al_scopes=SCOPES)}"}
    url = service.url.replace("http", "ws", 1) + path
    return connect(url, additional_headers=headers, proxy=None, max_size=None, **settings)


async def _echoed(connection: ClientConnection, message: str | bytes) -> bool:
    await connection.send(message)
    return await connection.recv() == message


MESSAGES = [
    pytest.param("hello", id="a word"),
    pytest.param("", id="nothing"),
    pytest.param(b"\x00\xff" * 200, id="bytes"),
    pytest.param("caf\u00e9 \U0001f680", id="text beyond ASCII"),
    pytest.param(bytes(3 << 20), id="3 MiB"),
]


@pytest.mark.parametrize("compression", ["deflate", None], ids=["compressed", "plain"])
async def test_messages_come_back(compression: str | None, echo: Echo, tmp_path: Path) -> None:
    async with service(tmp_path, echo) as proxy:
        async with client(proxy, compression=compression) as connection:
            for case in MESSAGES:
                [message] = case.values
                assert await _echoed(connection, message)
            await (await connection.ping())
        line = await asyncio.to_thread(lambda: proxy.access(event="access", status=101, rule="feed"))
        opened = [line for line in proxy.lines() if line["event"] == "stream_open"]
    assert (line["agent_id"], line["issuer"], line["decision"]) == ("acc_1", ISSUER, "allow")
    assert line["bytes_in"] > 0
    assert line["bytes_out"] > 0
    assert [one["request_id"] for one in opened] == [line["request_id"]]
    assert (echo.agents, echo.credentials) == (["acc_1"], [])


REFUSED = [
    pytest.param("/feed", {"token": agent_token(al_scopes=["other"])}, 403, "scope_insufficient", id="scope"),
    pytest.param("/feed", {"token": "none"}, 401, "token_malformed", id="token"),
    pytest.param("/plain", {}, 403, "upgrade_refused", id="a rule without upgrade"),
    pytest.param("/feed", {"origin": "https://evil.example.com"}, 403, "origin_refused", id="a foreign page"),
    pytest.param("/feed", {"origin": "null"}, 403, "origin_refused", id="a page without origin"),
    pytest.param(
        "/page", {"origin": "https://other.example.com"}, 403, "origin_refused", id="a page not named"
    ),
    pytest.param(
        "/page", {"origin": "http://pages.example.com"}, 403, "origin_refused", id="a page in another scheme"
    ),
]


@pytest.mark.parametrize(("path", "settings", "status", "reason"), REFUSED)
async def test_a_client_is_refused(
    path: str, settings: dict[str, Any], status: int, reason: str, echo: Echo, tmp_path: Path
) -> None:
    async with service(tmp_path, echo) as proxy:
        with pytest.raises(InvalidStatus) as refused:
            await client(proxy, path, **settings)
        assert refused.value.response.status_code == status
        await asyncio.to_thread(lambda: proxy.access(status=status, reason=reason))
    assert echo.agents == []


OPENED = [
    pytest.param("/feed", None, id="no page"),
    pytest.param("/feed", "own", id="a page of this host"),
    pytest.param("/page", "https://pages.example.com", id="a page that is named"),
]


@pytest.mark.parametrize(("path", "origin"), OPENED)
async def test_a_page_that_may_opens_it(path: str, origin: str | None, echo: Echo, tmp_path: Path) -> None:
    async with service(tmp_path, echo) as proxy:
        said = proxy.url if origin == "own" else origin
        async with client(proxy, path, **({} if said is None else {"origin": said})) as connection:
            assert await _echoed(connection, "hello")


async def test_an_expired_token_closes_it_in_words(echo: Echo, tmp_path: Path) -> None:
    issuers = [{"issuer": ISSUER, "jwks": "jwks.json", "leeway": "0s"}]
    async with service(tmp_path, echo, issuers=issuers) as proxy:
        token = agent_token(al_scopes=SCOPES, exp=int(time.time()) + 3)
        async with client(proxy, token=token) as connection:
            assert await _echoed(connection, "hello")
            await connection.wait_closed()
            assert (connection.close_code, connection.close_reason) == (1008, "token_expired")
        await asyncio.to_thread(lambda: proxy.access(event="access", status=101, reason="token_expired"))


async def test_a_stop_closes_it_in_words(echo: Echo, tmp_path: Path) -> None:
    async with service(tmp_path, echo) as proxy:
        async with client(proxy) as connection:
            assert await _echoed(connection, "hello")
            stopped = asyncio.create_task(asyncio.to_thread(proxy.stop))
            await connection.wait_closed()
            assert (connection.close_code, connection.close_reason) == (1001, "draining")
        assert await stopped == 0
        assert proxy.access(event="access", status=101)["reason"] == "draining"
