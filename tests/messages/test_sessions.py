"""Sessions belong to whoever opened them: their ids leave sealed, and open for their own agent alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.messages.conversation import EVENTS, JSON, MCP, answer, ask, bearer, post, said, told
from tests.support.harness import ISSUER, JWKS, keystile
from tests.support.keys import jwks, make_key
from tests.support.upstream import CLOSE, Gate, plain, upstream
from tests.wire.exchanges.table import http

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.messages import Message
    from tests.support.raw import Client

KEY, OTHER_KEY = "k" * 32, "o" * 32
SESSION = "1868a90c-upstream-id"
_OTHER_ISSUER = "https://other.test"
_THEIRS = make_key("EdDSA", "theirs")
SETTINGS: dict[str, Any] = {
    "rules": [MCP, {"name": "plain", "path": "/plain"}],
    "session_key": KEY,
    "issuers": [{"issuer": ISSUER, "jwks": JWKS}, {"issuer": _OTHER_ISSUER, "jwks": jwks(_THEIRS)}],
}
OPENER, FRESH = bearer(), bearer(jti="fresh", iat=1700000001)
FOREIGN = [
    pytest.param(bearer(sub="acc_2"), id="another agent"),
    pytest.param(bearer(key=_THEIRS, iss=_OTHER_ISSUER), id="the same name of another issuer"),
]


async def opened(client: Client) -> str:
    """Open a session; returns its line as the client has to send it."""
    answered = await told(client, post(said("initialize", {}), OPENER))
    sealed = answered.value(b"mcp-session-id")
    assert sealed is not None
    assert SESSION.encode() not in sealed
    return f"Mcp-Session-Id: {sealed.decode()}"


def _initialized() -> Any:
    return answer({"protocolVersion": "2025-11-25"}, f"Mcp-Session-Id: {SESSION}")


USES = [
    pytest.param(lambda *lines: post(said("ping"), *lines), b"POST", id="POST"),
    pytest.param(lambda *lines: ask("GET", *lines), b"GET", id="GET"),
    pytest.param(lambda *lines: ask("DELETE", *lines), b"DELETE", id="DELETE"),
    pytest.param(lambda *lines: ask("GET", *lines, target="/plain"), b"GET", id="GET on a rule without mcp"),
]


@pytest.mark.parametrize(("use", "method"), USES)
@pytest.mark.parametrize("credential", [OPENER, FRESH], ids=["its token", "a fresh token"])
async def test_the_opener_goes_on(use: Any, method: bytes, credential: str, tmp_path: Path) -> None:
    async with (
        upstream([_initialized(), plain()]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        session = await opened(client)
        assert (await told(client, use(credential, session), method)).status == 200
        assert server.requests[1].value(b"mcp-session-id") == SESSION.encode()
        lines = await proxy.lines()
    if b"plain" not in server.requests[1].target:
        digests = {line["mcp"]["session"] for line in lines}
        assert len(digests) == 1
        assert re.fullmatch("[0-9a-f]{16}", digests.pop())


@pytest.mark.parametrize(("use", "method"), USES)
@pytest.mark.parametrize("credential", FOREIGN)
async def test_nobody_else_gets_in(use: Any, method: bytes, credential: str, tmp_path: Path) -> None:
    async with (
        upstream([_initialized()]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        session = await opened(client)
        assert (await told(client, use(credential, session), method)).status == 404
        lines = await proxy.lines()
    assert len(server.requests) == 1
    assert (lines[1]["decision"], lines[1]["reason"]) == ("deny", "session_foreign")
    assert lines[1]["agent_id"]
    # So it can be found whose session was tried.
    assert lines[1]["mcp"]["session"] == lines[0]["mcp"]["session"]


UNSEALED = [
    pytest.param(SESSION, id="the upstream's own id"),
    pytest.param("", id="an empty one"),
    pytest.param("A" * 60, id="one of the right form"),
    pytest.param("A" * 5000, id="a very long one"),
]


@pytest.mark.parametrize("value", UNSEALED)
@pytest.mark.parametrize(("use", "method"), USES)
async def test_no_unsealed_id_reaches_the_upstream(
    value: str, use: Any, method: bytes, tmp_path: Path
) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, use(OPENER, f"Mcp-Session-Id: {value}"), method)
        assert answered.status == 404
    assert server.requests == []


KEYS = [
    pytest.param(KEY, 200, id="the same key"),
    pytest.param([OTHER_KEY, KEY], 200, id="the old key behind a new one"),
    pytest.param(OTHER_KEY, 404, id="another key"),
    pytest.param(None, 404, id="no key, so one that was made at start"),
]


@pytest.mark.parametrize(("key", "status"), KEYS)
async def test_a_restart(key: Any, status: int, tmp_path: Path) -> None:
    async with upstream([_initialized(), plain()]) as server:
        async with keystile(tmp_path, server.url, **SETTINGS) as proxy, proxy.client() as client:
            session = await opened(client)
        async with (
            keystile(tmp_path, server.url, **SETTINGS | {"session_key": key}) as proxy,
            proxy.client() as client,
        ):
            assert (await told(client, post(said("ping"), OPENER, session))).status == status


async def test_a_modern_request_has_no_session(tmp_path: Path) -> None:
    modern = ("MCP-Protocol-Version: 2026-07-28", "Mcp-Method: ping", "Mcp-Session-Id: whatever")
    async with (
        upstream([answer({}, f"Mcp-Session-Id: {SESSION}")]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("ping"), OPENER, *modern))
        assert answered.status == 200
        assert answered.value(b"mcp-session-id") is None
    assert server.requests[0].value(b"mcp-session-id") is None


OWN = [
    pytest.param(said("notifications/cancelled", {"requestId": 1}, None), id="cancelling"),
    pytest.param(b'{"jsonrpc":"2.0","id":5,"result":{}}', id="a response"),
    pytest.param(b'{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"no"}}', id="an error response"),
]


@pytest.mark.parametrize("body", OWN)
async def test_what_belongs_to_a_session_needs_what_its_route_needs(body: bytes, tmp_path: Path) -> None:
    async with (
        upstream([_initialized()]) as server,
        keystile(tmp_path, server.url, **SETTINGS | {"rules": [{**MCP, "scopes": ["read"]}]}) as proxy,
        proxy.client() as client,
    ):
        session = await opened(client)
        refused = await told(client, post(body, bearer(scope="other"), session))
        assert refused.status == 403
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", OWN)
async def test_what_belongs_to_a_session_passes_in_it(body: bytes, tmp_path: Path) -> None:
    async with (
        upstream([_initialized(), plain(b"")]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        session = await opened(client)
        assert (await told(client, post(body, OPENER, session))).status == 200
        assert (await told(client, post(body, OPENER))).status == 404
    assert [request.content for request in server.requests[1:]] == [body]


# ---- events ------------------------------------------------------------------------------------------------


def _numbered(*events: bytes, session: str = SESSION) -> Any:
    return (
        http("HTTP/1.1 200 OK", EVENTS, f"Mcp-Session-Id: {session}", "Connection: close")
        + b"".join(b"id: %b\ndata: {}\n\n" % event for event in events),
        CLOSE,
    )


def ids(answered: Message) -> list[bytes]:
    return re.findall(rb"^id: (.*)$", answered.content, re.MULTILINE)


@pytest.mark.parametrize("rule", [True, [{"tool": "*"}]], ids=["without entries", "with entries"])
async def test_a_stream_is_resumed_by_its_own_agent_in_its_own_session(rule: Any, tmp_path: Path) -> None:
    settings = SETTINGS | {"rules": [{**MCP, "mcp": rule}]}
    other = bearer(sub="acc_2")
    async with (
        upstream([_initialized(), _numbered(b"1", b"s/2 x"), *[plain()] * 2]) as server,
        keystile(tmp_path, server.url, **settings) as proxy,
    ):
        async with proxy.client() as client:
            session = await opened(client)
            answered = await told(client, ask("GET", OPENER, session))
        first, second = ids(answered)
        assert {first, second}.isdisjoint({b"1", b"s/2 x"})
        async with proxy.client() as client:
            resumed = f"Last-Event-ID: {second.decode()}"
            assert (await told(client, ask("GET", FRESH, session, resumed))).status == 200
            for lines in (
                (other, resumed),
                (OPENER, resumed),
                (OPENER, session, "Last-Event-ID: 1"),
                (OPENER, session, f"Last-Event-ID: {second.decode()}A"),
            ):
                assert (await told(client, ask("GET", *lines))).status == 404
            # Who posts resumes nothing.
            assert (await told(client, post(said("ping"), OPENER, session, "Last-Event-ID: 1"))).status == 200
        access = await proxy.lines()
    assert [request.value(b"last-event-id") for request in server.requests] == [None, None, b"s/2 x", None]
    assert [line.get("reason") for line in access[3:7]] == ["session_foreign"] * 4


async def test_an_event_of_another_session_resumes_nothing(tmp_path: Path) -> None:
    """A server that counts the events of all sessions would go on with anybody's."""
    answers = [_numbered(b"1", session="a"), _numbered(b"2", session="b"), plain()]
    async with upstream(answers) as server, keystile(tmp_path, server.url, **SETTINGS) as proxy:
        sessions, events = [], []
        for _ in range(2):
            async with proxy.client() as client:
                answered = await told(client, post(said("initialize", {}), OPENER))
                sessions.append(f"Mcp-Session-Id: {(answered.value(b'mcp-session-id') or b'').decode()}")
                events += [f"Last-Event-ID: {event.decode()}" for event in ids(answered)]
        async with proxy.client() as client:
            statuses = [
                (await told(client, ask("GET", OPENER, session, event))).status
                for session in sessions
                for event in events
            ]
    assert statuses == [200, 404, 404, 200]
    assert [request.value(b"last-event-id") for request in server.requests[2:]] == [b"1", b"2"]


# ---- HTTP with SSE (MCP 2024-11-05) --------------------------------------------------------------------------


def _sse(uri: bytes) -> Any:
    return (http("HTTP/1.1 200 OK", EVENTS) + b"event: endpoint\ndata: %b\n\n" % uri, Gate("never"))


async def endpoint(client: Client, credential: str) -> str:
    await client.write(ask("GET", credential, "Accept: text/event-stream", "Accept-Encoding: gzip"))
    await client.until(lambda: b"\n\n" in client.received.partition(b"\r\n\r\n")[2])
    found = re.search(rb"event: endpoint\ndata: (/mcp\?endpoint=[\w-]+)\n\n", client.received)
    assert found is not None
    return found[1].decode()


ENDPOINTS = [
    pytest.param(b"/messages/?session_id=abc", b"/messages/?session_id=abc", id="a path"),
    pytest.param(b"message?sessionId=abc", b"/message?sessionId=abc", id="a path beside the stream's"),
    pytest.param(b"http://{upstream}/messages/?session_id=abc", b"/messages/?session_id=abc", id="a URL"),
]


@pytest.mark.parametrize(("uri", "target"), ENDPOINTS)
async def test_the_endpoint_of_a_stream_is_its_openers(uri: bytes, target: bytes, tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as stream,
        proxy.client() as client,
    ):
        server.fixed[b"/mcp"] = _sse(uri)
        path = await endpoint(stream, OPENER)
        accepted = (http("HTTP/1.1 202 Accepted", "Content-Length: 0"),)
        server.fixed[target] = accepted
        assert (await told(client, post(said("ping"), FRESH, target=path))).status == 202
        foreign = await told(client, post(said("ping"), bearer(sub="acc_2"), target=path))
        assert foreign.status == 404
        # What the upstream calls it opens nothing.
        bare = await told(
            client, post(said("ping"), OPENER, target=f"/mcp?{target.partition(b'?')[2].decode()}")
        )
        assert bare.status == 404
        other = await told(client, post(said("ping"), OPENER, target="/mcp?tenant=session_id"))
        assert other.status == 200
    assert [request.target for request in server.requests[1:]] == [target, b"/mcp?tenant=session_id"]
    assert all(b"endpoint=" not in request.target for request in server.requests)


async def test_an_upstream_that_is_told_the_public_host_may_name_it(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **SETTINGS, upstream={"host": "preserve"}) as proxy,
        proxy.client() as stream,
        proxy.client() as client,
    ):
        server.fixed[b"/mcp"] = _sse(b"http://edge.test/messages/?session_id=abc")
        path = await endpoint(stream, OPENER)
        assert (await told(client, post(said("ping"), OPENER, target=path))).status == 200
    assert server.requests[1].target == b"/messages/?session_id=abc"
    # The event could not be found in a compressed stream.
    assert server.requests[0].value(b"accept-encoding") == b"identity"


async def test_an_endpoint_elsewhere_ends_the_stream(tmp_path: Path) -> None:
    async with (
        upstream([_sse(b"https://elsewhere.test/messages")]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        await client.write(ask("GET", OPENER, "Accept: text/event-stream"))
        await client.until(lambda: client.ended)
        assert b"elsewhere" not in client.received
        lines = await proxy.lines()
    assert lines[0]["reason"] == "upstream_malformed"


TRANSPORTS = [
    pytest.param("sse", 404, id="sse: a message without its stream is nobody's"),
    pytest.param("auto", 200, id="auto"),
    pytest.param("streamable", 200, id="streamable"),
]


@pytest.mark.parametrize(("transport", "status"), TRANSPORTS)
async def test_a_message_without_an_endpoint(transport: str, status: int, tmp_path: Path) -> None:
    rules = [{**MCP, "transport": transport}]
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **SETTINGS | {"rules": rules}) as proxy,
        proxy.client() as client,
    ):
        assert (await told(client, post(said("ping"), OPENER))).status == status


async def test_a_streamable_rule_leaves_the_event_alone(tmp_path: Path) -> None:
    rules = [{**MCP, "transport": "streamable"}]
    async with (
        upstream([_sse(b"/messages/?session_id=abc")]) as server,
        keystile(tmp_path, server.url, **SETTINGS | {"rules": rules}) as proxy,
        proxy.client() as client,
    ):
        await client.write(ask("GET", OPENER, "Accept: text/event-stream"))
        await client.until(lambda: b"\n\n" in client.received.partition(b"\r\n\r\n")[2])
        assert b"data: /messages/?session_id=abc\n\n" in client.received


TWICE = [
    "Mcp-Session-Id: a",
    "Mcp-Method: ping",
    "Mcp-Name: a",
    "MCP-Protocol-Version: 2025-11-25",
    "Last-Event-ID: 1",
]


@pytest.mark.parametrize("line", TWICE)
@pytest.mark.parametrize(("use", "method"), USES[:3])
async def test_what_servers_go_by_is_said_once(line: str, use: Any, method: bytes, tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        assert (await told(client, use(OPENER, line, line), method)).status == 400
        lines = await proxy.lines()
    assert server.requests == []
    assert lines[0]["reason"] == "mcp_mismatch"


async def test_an_upstream_that_names_two_sessions(tmp_path: Path) -> None:
    async with (
        upstream([answer({}, "Mcp-Session-Id: a", "Mcp-Session-Id: b")]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, post(said("initialize", {}), OPENER))
        assert answered.status == 502
        assert answered.value(b"mcp-session-id") is None
        assert answered.content.startswith(b'{"jsonrpc":"2.0","id":1,"error":{"code":502,')


METHODS = [
    pytest.param(http("PUT /mcp HTTP/1.1", "Host: edge.test", OPENER), b"PUT", id="PUT"),
    pytest.param(http("PATCH /mcp HTTP/1.1", "Host: edge.test", OPENER), b"PATCH", id="PATCH"),
    pytest.param(
        http("GET /mcp HTTP/1.1", "Host: edge.test", OPENER, JSON, "Content-Length: 2", body=b"{}"),
        b"GET",
        id="GET with a body",
    ),
    pytest.param(
        http(
            "DELETE /mcp HTTP/1.1", "Host: edge.test", OPENER, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"
        ),
        b"DELETE",
        id="DELETE with chunks",
    ),
    pytest.param(
        post(said("ping"), OPENER, "X-Other: 1", target="/mcp/"), b"POST", id="POST, on another rule"
    ),
]


@pytest.mark.parametrize(("sent", "method"), METHODS)
async def test_only_what_is_read_passes_on_a_path_of_mcp(sent: bytes, method: bytes, tmp_path: Path) -> None:
    rules = [{"name": "mcp", "path": "/mcp", "host": "mcp.test", "mcp": True}, {"name": "all", "path": "/**"}]
    settings = SETTINGS | {"rules": rules, "hosts": ["mcp.test"]}
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **settings) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, sent, method)
        assert answered.status == 405
        assert answered.value(b"allow") == b"GET, HEAD, POST, DELETE, OPTIONS"
        lines = await proxy.lines()
    assert server.requests == []
    assert (lines[0]["rule"], lines[0]["reason"]) == ("all", "method_refused")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
async def test_bodiless_methods_pass_there(method: str, tmp_path: Path) -> None:
    async with (
        upstream([plain(b"")]) as server,
        keystile(tmp_path, server.url, **SETTINGS) as proxy,
        proxy.client() as client,
    ):
        answered = await told(client, ask(method, OPENER, "Content-Length: 0"), method.encode())
        assert answered.status == 200
    assert [request.method for request in server.requests] == [method.encode()]
