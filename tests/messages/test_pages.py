"""Pages of other sites: refused on paths of MCP, allowed by `origins`, answered for by `cors`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.messages.conversation import MCP, ask, bearer, post, said, told
from tests.support.harness import keystile
from tests.support.upstream import plain, upstream
from tests.wire.exchanges.table import http

if TYPE_CHECKING:
    from pathlib import Path

INSPECTOR = "http://localhost:6274"
PLAIN = {"name": "plain", "path": "/plain"}
ORIGINS = [
    pytest.param("https://edge.test", {}, "/mcp", 200, id="the resource's own"),
    pytest.param(INSPECTOR, {}, "/mcp", 200, id="loopback, while listening on loopback"),
    pytest.param("https://evil.test", {}, "/mcp", 403, id="another site"),
    pytest.param("null", {}, "/mcp", 403, id="null"),
    pytest.param("https://edge.test.evil.test", {}, "/mcp", 403, id="a longer name"),
    pytest.param("https://evil.test", {}, "/plain", 200, id="another site, on a plain rule"),
    pytest.param(
        "https://app.test", {"origins": ["https://app.test"]}, "/mcp", 200, id="one that is configured"
    ),
    pytest.param(
        INSPECTOR, {"origins": ["https://app.test"]}, "/mcp", 403, id="loopback, where others are configured"
    ),
    pytest.param(
        "https://evil.test", {"origins": ["https://app.test"]}, "/plain", 403, id="another, on any rule then"
    ),
    pytest.param(
        "https://rule.test",
        {"rules": [{**MCP, "origins": ["https://rule.test"]}]},
        "/mcp",
        200,
        id="one that the rule names",
    ),
]


@pytest.mark.parametrize(("origin", "settings", "target", "status"), ORIGINS)
async def test_an_origin(
    origin: str, settings: dict[str, Any], target: str, status: int, tmp_path: Path
) -> None:
    async with (
        upstream([plain(b"")]) as server,
        keystile(tmp_path, server.url, **{"rules": [MCP, PLAIN], **settings}) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("ping"), bearer(), f"Origin: {origin}", target=target))
        assert answered.status == status
        assert answered.values(b"access-control-allow-origin") == []
        lines = await proxy.lines()
    assert [request.value(b"origin") for request in server.requests] == [origin.encode()] * (status == 200)
    assert lines[0].get("reason") == (None if status == 200 else "origin_refused")


async def test_a_refusal_of_a_page_names_its_request(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=[MCP]) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("ping"), "Origin: https://evil.test"))
        assert answered.content.startswith(b'{"jsonrpc":"2.0","id":1,"error":{"code":403,"message":"')


def preflight(method: str, *lines: str, origin: str = INSPECTOR) -> bytes:
    return ask("OPTIONS", f"Origin: {origin}", f"Access-Control-Request-Method: {method}", *lines)


async def test_a_preflight_is_answered_without_a_token(tmp_path: Path) -> None:
    asked = "authorization, content-type, mcp-protocol-version, mcp-session-id, mcp-param-a"
    rules = [{**MCP, "methods": ["POST"]}]
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=rules, cors=True) as proxy,
        proxy.client() as client,
    ):
        answered = await told(
            client, preflight("POST", f"Access-Control-Request-Headers: {asked}"), b"OPTIONS"
        )
        assert answered.status == 204
        assert answered.value(b"access-control-allow-origin") == INSPECTOR.encode()
        assert answered.value(b"access-control-allow-methods") == b"POST"
        assert answered.value(b"access-control-allow-headers") == asked.encode()
        assert answered.value(b"access-control-allow-credentials") is None
        assert b"Origin" in (answered.value(b"vary") or b"")
        lines = await proxy.lines()
    assert server.requests == []
    assert (lines[0]["status"], lines[0]["decision"], lines[0]["reason"]) == (204, "allow", "public")


UNANSWERED = [
    pytest.param(preflight("POST", origin="https://evil.test"), {"cors": True}, 403, id="another site's"),
    pytest.param(preflight("POST"), {}, 401, id="without cors"),
    pytest.param(
        preflight("PATCH"), {"cors": True, "rules": [{**MCP, "methods": ["POST"]}]}, 401, id="no rule's"
    ),
    pytest.param(ask("OPTIONS", f"Origin: {INSPECTOR}"), {"cors": True}, 401, id="none at all"),
]


@pytest.mark.parametrize(("sent", "settings", "status"), UNANSWERED)
async def test_a_preflight_that_is_not_answered(
    sent: bytes, settings: dict[str, Any], status: int, tmp_path: Path
) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **{"rules": [MCP], **settings}) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, sent, b"OPTIONS")
        assert answered.status == status
        assert answered.values(b"access-control-allow-methods") == []
    assert server.requests == []


ANSWERS = [
    pytest.param(bearer(), 200, id="an answer of the upstream"),
    pytest.param("X-No: token", 401, id="a refusal, with its challenge"),
]


@pytest.mark.parametrize(("credential", "status"), ANSWERS)
async def test_an_allowed_page_can_read_what_it_gets(credential: str, status: int, tmp_path: Path) -> None:
    script = (
        http(
            "HTTP/1.1 200 OK",
            "Content-Length: 0",
            "Access-Control-Allow-Origin: *",
            "Access-Control-Allow-Credentials: true",
            "Mcp-Session-Id: a",
        ),
    )
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url, rules=[MCP], cors=True) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("ping"), credential, f"Origin: {INSPECTOR}"))
        assert answered.status == status
        assert answered.value(b"access-control-allow-origin") == INSPECTOR.encode()
        assert answered.value(b"access-control-allow-credentials") is None
        exposed = answered.value(b"access-control-expose-headers") or b""
        assert {b"Mcp-Session-Id", b"WWW-Authenticate"} <= set(exposed.split(b", "))
    # Which pages may read was decided; the upstream is not asked again.
    assert [request.value(b"origin") for request in server.requests] == [None] * (status == 200)


async def test_a_rule_can_leave_cors_to_the_upstream(tmp_path: Path) -> None:
    script = (http("HTTP/1.1 200 OK", "Content-Length: 0", "Access-Control-Allow-Origin: *"),)
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url, rules=[{**MCP, "cors": False}], cors=True) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("ping"), bearer(), f"Origin: {INSPECTOR}"))
        assert answered.value(b"access-control-allow-origin") == b"*"
    assert server.requests[0].value(b"origin") == INSPECTOR.encode()
