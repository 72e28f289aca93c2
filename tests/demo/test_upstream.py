"""The sample upstream: every message has the answer that MCP and JSON-RPC 2.0 ask for."""

from __future__ import annotations

import json

import pytest
from aiohttp import ClientSession, web

from proxy.demo.upstream import upstream_application


@pytest.fixture
async def ask():
    """Ask the application, over loopback: method, path, body, headers in; status, text out."""
    runner = web.AppRunner(upstream_application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    async with ClientSession(f"http://{host}:{port}") as session:

        async def asked(method, path, body=None, **headers):
            data = body if isinstance(body, str | None) else json.dumps(body)
            async with session.request(method, path, data=data, headers=headers) as answer:
                return answer.status, await answer.text()

        yield asked
    await runner.cleanup()


def call(name, **arguments):
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def said(text, *, failed=False):
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {"content": [{"type": "text", "text": text}], "isError": failed},
    }


NO_SUCH_METHOD = {"code": -32601, "message": "no such method"}
UNREADABLE = {"jsonrpc": "2.0", "error": {"code": -32700, "message": "not a JSON-RPC request"}}

MESSAGES = [
    pytest.param({"id": 1, "method": "ping"}, 200, {"jsonrpc": "2.0", "id": 1, "result": {}}, id="ping"),
    pytest.param({"method": "notifications/initialized"}, 202, None, id="a notification is accepted"),
    pytest.param(
        {"id": "a", "method": "tasks/get"},
        200,
        {"jsonrpc": "2.0", "id": "a", "error": NO_SUCH_METHOD},
        id="an unknown method",
    ),
    pytest.param(
        call("read_memory", id="tea"), 200, said("no such tool or memory", failed=True), id="no such memory"
    ),
    pytest.param(call("brew"), 200, said("no such tool or memory", failed=True), id="no such tool"),
    pytest.param(call("write_memory", id="tea", text="green"), 200, said("remembered tea"), id="a tool"),
    pytest.param(
        {"id": 1, "method": "tools/call", "params": {"name": "write_memory", "arguments": ["tea"]}},
        200,
        said("remembered None"),
        id="arguments of the wrong kind",
    ),
    pytest.param("{", 400, UNREADABLE, id="no JSON"),
    pytest.param([], 400, UNREADABLE, id="a batch"),
    pytest.param({"id": 1}, 400, UNREADABLE, id="no method"),
    pytest.param({"id": 1, "method": "ping", "params": 7}, 400, UNREADABLE, id="params of the wrong kind"),
]


@pytest.mark.parametrize(("message", "status", "answer"), MESSAGES)
async def test_a_message(ask, message, status, answer):
    got, text = await ask("POST", "/mcp", message)
    assert got == status
    assert (json.loads(text) if text else None) == answer


VERSIONS = [
    pytest.param("2025-06-18", "2025-06-18", id="a known version is taken"),
    pytest.param("2024-11-05", "2025-11-25", id="an older one is answered with the newest"),
    pytest.param(None, "2025-11-25", id="none"),
]


@pytest.mark.parametrize(("asked", "answered"), VERSIONS)
async def test_a_version_is_agreed_on(ask, asked, answered):
    message = {"id": 1, "method": "initialize", "params": {"protocolVersion": asked}}
    _, text = await ask("POST", "/mcp", message)
    assert json.loads(text)["result"]["protocolVersion"] == answered


async def test_a_memory_is_kept_and_the_oldest_of_too_many_is_not(ask):
    for number in range(1001):
        await ask("POST", "/mcp", call("write_memory", id=f"m{number}", text=f"text {number}"))
    answers = [
        json.loads((await ask("POST", "/mcp", call("read_memory", id=name)))[1]) for name in ("m0", "m1")
    ]
    assert answers == [said("no such tool or memory", failed=True), said("text 1")]


async def test_it_tells_who_it_was_told_of(ask):
    _, text = await ask("POST", "/mcp", call("whoami"), **{"X-Agent-Id": "acc_1", "X-Other": "x"})
    assert json.loads(text) == said('{"X-Agent-Id": "acc_1"}')


async def test_it_shows_what_reached_it(ask):
    status, text = await ask("PUT", "/api/echo?a=b", "body", **{"X-Agent-Id": "acc_1"})
    seen = json.loads(text)
    assert (status, seen["method"], seen["path"]) == (200, "PUT", "/api/echo?a=b")
    assert "X-Agent-Id: acc_1" in seen["headers"]
    assert await ask("GET", "/healthz") == (200, "ok\n")
