"""Ids that tie an answer, the upstream's request and the access line together; and what no line ever holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.harness import TOKEN, keystile
from tests.support.upstream import CLOSE, upstream
from tests.wire.exchanges.table import get, http, post

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.upstream import Script

_TRUSTED = {"trusted_proxies": ["127.0.0.0/8"]}
_TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


async def test_a_request_id_is_made_and_told_to_everybody(tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        await client.write(get("/") + get("/guarded"))
        await client.response()
        refused = json.loads((await client.response()).content)
        lines = await proxy.lines()
    [arrived] = server.requests
    assert arrived.value(b"x-request-id") == lines[0]["request_id"].encode()
    assert refused["request_id"] == lines[1]["request_id"]
    assert lines[0]["request_id"] != lines[1]["request_id"]
    [trace] = arrived.values(b"traceparent")
    assert trace.split(b"-")[1] == lines[0]["trace_id"].encode()


CLIENT_IDS = [
    pytest.param("abc-123", {}, "abc-123", id="a client's id is noted"),
    pytest.param("a" * 64, {}, "a" * 64, id="a client's longest id is noted"),
    pytest.param("a" * 65, {}, None, id="a client's id that is too long is not"),
    pytest.param("a b", {}, None, id="a client's id with a space is not"),
    pytest.param("caf\xe9", {}, None, id="a client's id beyond ASCII is not"),
    pytest.param('a"b\\', {}, 'a"b\\', id="a client's id with marks is noted"),
]


@pytest.mark.parametrize(("told", "settings", "noted"), CLIENT_IDS)
async def test_a_clients_own_request_id(
    told: str, settings: dict[str, object], noted: str | None, tmp_path: Path
) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **settings) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/", f"X-Request-Id: {told}"))
        await client.response()
        [line] = await proxy.lines()
    assert line.get("client_request_id") == noted
    assert line["request_id"] != told
    assert server.requests[0].values(b"x-request-id") == [line["request_id"].encode()]


async def test_a_trusted_proxys_request_id_is_ours(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **_TRUSTED) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/", "X-Request-Id: abc-123"))
        await client.response()
        [line] = await proxy.lines()
    assert (line["request_id"], line.get("client_request_id")) == ("abc-123", None)
    assert server.requests[0].values(b"x-request-id") == [b"abc-123"]


async def test_the_callers_trace_goes_on(tmp_path: Path) -> None:
    trace = f"00-{_TRACE_ID}-b7ad6b7169203331-01"
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        await client.write(get("/", f"traceparent: {trace}"))
        await client.response()
        [line] = await proxy.lines()
    assert line["trace_id"] == _TRACE_ID
    assert server.requests[0].values(b"traceparent") == [trace.encode()]


@pytest.mark.parametrize(("settings", "client_address"), [({}, "127.0.0.1"), (_TRUSTED, "203.0.113.9")])
async def test_the_client_on_the_line(
    settings: dict[str, object], client_address: str, tmp_path: Path
) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, **settings) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/", "X-Forwarded-For: 198.51.100.1, 203.0.113.9"))
        await client.response()
        [line] = await proxy.lines()
    assert line["client"] == client_address


COUNTED = [
    pytest.param(get("/"), (http("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok"),), 0, 2, id="an answer"),
    pytest.param(post(b"body"), (http("HTTP/1.1 204 No Content"),), 4, 0, id="a body"),
    pytest.param(
        get("/"),
        (http("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),),
        0,
        12,
        id="chunks",
    ),
    pytest.param(get("/"), (http("HTTP/1.1 200 OK", body=b"ok"), CLOSE), 0, 12, id="what becomes chunks"),
]


@pytest.mark.parametrize(("sent", "script", "bytes_in", "bytes_out"), COUNTED)
async def test_bytes_are_counted(
    sent: bytes, script: Script, bytes_in: int, bytes_out: int, tmp_path: Path
) -> None:
    async with (
        upstream([script]) as server,
        keystile(tmp_path, server.url) as proxy,
        proxy.client() as client,
    ):
        await client.write(sent)
        await client.response()
        [line] = await proxy.lines()
    assert (line["bytes_in"], line["bytes_out"]) == (bytes_in, bytes_out)


_BEARER = f"Authorization: Bearer {TOKEN}"
SECRETS = [
    pytest.param(get("/", _BEARER), id="a good request"),
    pytest.param(get("/", _BEARER.replace("Bearer ", "Bearer  ")), id="a credential that cannot be read"),
    pytest.param(get("/", _BEARER, "X-A : b"), id="a malformed line behind it"),
    pytest.param(get("/", _BEARER + "\x00"), id="a NUL in it"),
    pytest.param(get("/", _BEARER + "\n"), id="a bare LF in it"),
    pytest.param(get("/", _BEARER.replace(":", " :")), id="a space before its colon"),
    pytest.param(get("/", f"X-A: b\r\n {_BEARER}"), id="folding around it"),
    pytest.param(http(f"GET / HTTP/9.9 {_BEARER}"), id="a request line that holds it"),
    pytest.param(get(f"/?access_token={TOKEN}"), id="a query that holds it"),
    pytest.param(get("/", f"Cookie: session={TOKEN}"), id="a cookie that holds it"),
    pytest.param(get("/guarded", _BEARER, _BEARER), id="two of them"),
    pytest.param(get("/", _BEARER, "Content-Length: x"), id="a malformed length behind it"),
    pytest.param(post(b"zz\r\n", _BEARER, "Transfer-Encoding: chunked"), id="smuggling around it"),
]


@pytest.mark.parametrize("sent", SECRETS)
async def test_no_token_reaches_a_line(
    sent: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with upstream() as server, keystile(tmp_path, server.url) as proxy, proxy.client() as client:
        await client.write(sent)
        answer = await client.response()
        [line] = await proxy.lines()
    assert TOKEN[-40:] not in json.dumps(line) + "".join(capfd.readouterr())
    if answer.status != 200:
        assert TOKEN[-40:].encode() not in answer.content
