"""What the log says of messages, what refusals answer, how often entries admit, and when streams end."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.messages.conversation import EVENTS, MCP, answer, ask, bearer, post, said, told
from tests.support.harness import ISSUER, JWKS, keystile
from tests.support.upstream import Gate, plain, upstream
from tests.wire.exchanges.table import http

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.harness import Keystile

VERSION = "io.modelcontextprotocol/protocolVersion"
CLIENT = "io.modelcontextprotocol/clientInfo"
SHOWN: list[Any] = [
    pytest.param(
        post(said("tools/call", {"name": "read", "arguments": {"id": "a", "secret": "b"}}), bearer()),
        {"method": "tools/call", "tool": "read", "arguments": {"id": "a"}},
        id="a tool, and the arguments that are named",
    ),
    pytest.param(
        post(said("resources/read", {"uri": "memory://a/b?key=secret"}), bearer()),
        {"method": "resources/read", "resource": "memory://a/b"},
        id="a resource, without its query",
    ),
    pytest.param(
        post(said("prompts/get", {"name": "greet", "arguments": {"id": "x"}}), bearer()),
        {"method": "prompts/get", "prompt": "greet", "arguments": {"id": "x"}},
        id="a prompt",
    ),
    pytest.param(
        post(
            said(
                "initialize", {"protocolVersion": "2025-11-25", "clientInfo": {"name": "cli", "version": "1"}}
            ),
            bearer(),
        ),
        {"method": "initialize", "protocol": "2025-11-25", "client": "cli"},
        id="who initializes",
    ),
    pytest.param(
        post(
            said("ping", {"_meta": {VERSION: "2026-07-28", CLIENT: {"name": "cli"}}}),
            bearer(),
            "MCP-Protocol-Version: 2026-07-28",
            "Mcp-Method: ping",
        ),
        {"method": "ping", "protocol": "2026-07-28", "client": "cli"},
        id="what a modern message says of its client",
    ),
    pytest.param(
        post(said("ping"), bearer(), "MCP-Protocol-Version: 2025-06-18"),
        {"method": "ping", "protocol": "2025-06-18"},
        id="the version of the header",
    ),
    pytest.param(
        post(b"[" + said("ping") + b"," + said("tools/call", {"name": "read"}) + b"]", bearer()),
        [{"method": "ping"}, {"method": "tools/call", "tool": "read"}],
        id="a batch",
    ),
    pytest.param(
        post(
            said("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["memory://a/b"]}}),
            bearer(),
        ),
        [{"method": "subscriptions/listen"}, {"method": "subscriptions/listen", "resource": "memory://a/b"}],
        id="a subscription, and each of its resources",
    ),
]


@pytest.mark.parametrize(("sent", "mcp"), SHOWN)
async def test_the_line_says_what_was_asked_for(sent: bytes, mcp: Any, tmp_path: Path) -> None:
    settings = {"rules": [MCP], "log": {"output": "access.log", "arguments": ["id"]}}
    async with (
        upstream([plain(b"")]) as server,
        keystile(tmp_path, server.url, **settings) as proxy,
        proxy.client() as client,
    ):
        assert (await told(client, sent)).status == 200
        lines = await proxy.lines()
    assert lines[0]["mcp"] == mcp
    assert "secret" not in json.dumps(lines)


async def test_a_refused_call_is_in_its_line(tmp_path: Path) -> None:
    rules = [{**MCP, "mcp": [{"tool": "read", "scopes": ["more"]}]}]
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=rules) as proxy,
        proxy.client() as client,
    ):
        assert (await told(client, post(said("tools/call", {"name": "read"}), bearer()))).status == 403
        (line,) = await proxy.lines()
    assert line["mcp"] == {"method": "tools/call", "tool": "read"}
    assert (line["agent_id"], line["reason"]) == ("acc_1", "scope_insufficient")


async def test_the_line_of_an_initialize_names_the_session_that_it_opened(tmp_path: Path) -> None:
    async with (
        upstream([answer({}, "Mcp-Session-Id: a"), plain(b"")]) as server,
        keystile(tmp_path, server.url, rules=[MCP]) as proxy,
        proxy.client() as client,
    ):
        opened = await told(client, post(said("initialize", {}), bearer()))
        session = (opened.value(b"mcp-session-id") or b"").decode()
        assert (await told(client, post(said("ping"), bearer(), f"Mcp-Session-Id: {session}"))).status == 200
        first, second = await proxy.lines()
    assert first["mcp"]["session"] == second["mcp"]["session"]
    assert session not in json.dumps([first, second])


_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACES = [
    pytest.param({"traceparent": _TRACE}, (), _TRACE, id="of the message"),
    pytest.param(
        {"traceparent": _TRACE}, (f"traceparent: {_OTHER}",), _OTHER, id="of the header, which wins"
    ),
    pytest.param({"traceparent": "00-x"}, (), None, id="none that is valid"),
    pytest.param({"traceparent": 1}, (), None, id="none that is text"),
]


@pytest.mark.parametrize(("meta", "lines", "traceparent"), TRACES)
async def test_a_trace(
    meta: dict[str, Any], lines: tuple[str, ...], traceparent: str | None, tmp_path: Path
) -> None:
    async with (
        upstream([plain(b"")]) as server,
        keystile(tmp_path, server.url, rules=[MCP]) as proxy,
        proxy.client() as client,
    ):
        body = said("tools/call", {"name": "read", "_meta": meta})
        assert (await told(client, post(body, bearer(), *lines))).status == 200
        (line,) = await proxy.lines()
    arrived = (server.requests[0].value(b"traceparent") or b"").decode()
    assert line["trace_id"] == arrived.split("-")[1]
    if traceparent is None:
        assert arrived not in {_TRACE, _OTHER}
    else:
        assert arrived == traceparent


UNREAD = [
    pytest.param(said("ping", number=7), b'{"jsonrpc":"2.0","id":7,', id="a request that has come"),
    pytest.param(b"not json", b'{"jsonrpc":"2.0","error":', id="no message"),
    pytest.param(b"[" + said("ping") + b"]", b'{"jsonrpc":"2.0","error":', id="a batch"),
    pytest.param(said("ping") + b" " * 70_000, b'{"jsonrpc":"2.0","error":', id="one too long to look at"),
]


@pytest.mark.parametrize(("body", "begin"), UNREAD)
async def test_a_request_without_a_token_is_answered_by_its_id(
    body: bytes, begin: bytes, tmp_path: Path
) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=[MCP]) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(body))
        assert answered.status == 401
        assert answered.content.startswith(begin)
        assert b"WWW-Authenticate: Bearer" in b"\n".join(answered.lines)
    assert server.requests == []


async def test_a_body_that_has_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=[MCP]) as proxy,
        proxy.client() as client,
    ):
        await client.write(ask("POST", "Content-Type: application/json", "Content-Length: 40"))
        answered = await client.response()
        assert answered.status == 401
        assert answered.content.startswith(b'{"jsonrpc":"2.0","error":')


async def test_a_failure_of_the_upstream_is_answered_by_its_id_too(tmp_path: Path) -> None:
    async with (
        keystile(tmp_path, "http://127.0.0.1:9", rules=[MCP]) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("ping", number=3), bearer()))
        assert answered.status == 502
        assert answered.content.startswith(b'{"jsonrpc":"2.0","id":3,"error":{"code":502,')


async def test_an_entry_admits_so_often(tmp_path: Path) -> None:
    rules = [{**MCP, "mcp": [{"tool": "write", "rate": "2/m"}, {"tool": "read"}]}]
    async with (
        upstream([plain(b"")]) as server,
        keystile(tmp_path, server.url, rules=rules) as proxy,
        proxy.client() as client,
    ):
        statuses = []
        for tool, sub in [("write", "a")] * 3 + [("read", "a"), ("write", "b")]:
            call = post(said("tools/call", {"name": tool}), bearer(sub=sub))
            statuses.append((await told(client, call)).status)
        assert statuses == [200, 200, 429, 200, 200]
        # Each call of a batch counts.
        batch = b"[" + b",".join([said("tools/call", {"name": "write"})] * 2) + b"]"
        assert (await told(client, post(batch, bearer(sub="b")))).status == 429
        lines = await proxy.lines()
    assert [line.get("reason") for line in lines][2::3] == ["rate_limited", "rate_limited"]


ISSUERS = [{"issuer": ISSUER, "jwks": JWKS, "leeway": "0s"}]
STREAMS = [
    pytest.param(lambda credential: ask("GET", credential, "Accept: text/event-stream"), True, id="a GET"),
    pytest.param(
        lambda credential: post(said("subscriptions/listen", {"notifications": {}}), credential),
        True,
        id="a subscription",
    ),
    pytest.param(
        lambda credential: post(said("tools/call", {"name": "read"}), credential),
        False,
        id="the answer to a call goes on",
    ),
]


@pytest.mark.parametrize(("use", "ends"), STREAMS)
async def test_a_stream_and_its_token(use: Any, ends: bool, tmp_path: Path) -> None:
    opened = http("HTTP/1.1 200 OK", EVENTS, "Transfer-Encoding: chunked", body=b"9\r\ndata: 1\n\n\r\n")
    rest = b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"
    async with (
        upstream([(opened, Gate("later"), rest), plain(b"")]) as server,
        keystile(tmp_path, server.url, rules=[MCP], issuers=ISSUERS) as proxy,
        proxy.client() as client,
    ):
        await client.write(use(bearer(exp=int(time.time()) + 2)))
        await client.until(lambda: b"data: 1" in client.received)
        if ends:
            await client.until(lambda: client.ended)
            assert client.received.endswith(b": token_expired\n\n\r\n0\r\n\r\n")
        else:
            await expiry(proxy)
            server.gates["later"].set()
            await client.until(lambda: client.received.endswith(rest))
        lines = await proxy.lines()
        opens = await proxy.lines("stream_open")
    assert len(opens) == 1
    assert opens[0]["status"] == 200
    expected = "token_expired" if ends else None
    (line,) = (line for line in lines if line["method"] != "OPTIONS")
    assert (line["status"], line.get("reason")) == (200, expected)


async def expiry(proxy: Keystile) -> None:
    """Wait until a token like that of the stream is refused: the stream has had the time to be ended."""
    credential = bearer(exp=int(time.time()) + 2)
    status = 200
    while status != 401:
        async with proxy.client() as client:
            status = (await told(client, ask("OPTIONS", credential), b"OPTIONS")).status
