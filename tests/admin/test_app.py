"""The admin listener over loopback: who is answered, with what, and what is not there."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from proxy.admin import Admin, Recalled, Snapshot
from proxy.config import load
from tests.support.admin import page
from tests.support.harness import keystile, settings_file
from tests.support.raw import connect
from tests.support.upstream import upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGES = ["/healthz", "/readyz", "/metrics", "/config"]
ADMIN = "127.0.0.1:0"

ANSWERS = [
    pytest.param("/healthz", {}, 200, "text/plain; charset=utf-8", id="alive"),
    pytest.param("/healthz?verbose=1", {}, 200, "text/plain; charset=utf-8", id="a query is ignored"),
    pytest.param("/readyz", {}, 200, "application/json", id="ready"),
    pytest.param("/metrics", {}, 200, "text/plain; version=0.0.4; charset=utf-8", id="metrics"),
    pytest.param("/config", {}, 200, "application/json", id="the configuration"),
    pytest.param("/config", {"method": "HEAD"}, 200, "application/json", id="the head alone"),
    pytest.param("/config", {"method": "POST"}, 405, "text/plain; charset=utf-8", id="another method"),
    pytest.param("/config", {"method": "OPTIONS"}, 405, "text/plain; charset=utf-8", id="a preflight"),
    pytest.param("/", {}, 200, "text/html; charset=utf-8", id="the dashboard"),
    pytest.param("/dashboard.css", {}, 200, "text/css; charset=utf-8", id="its style"),
    pytest.param("/dashboard.js", {}, 200, "text/javascript; charset=utf-8", id="its script"),
    pytest.param("/state", {}, 200, "application/json", id="what it shows"),
    pytest.param("/audit", {}, 200, "application/json", id="what it is asked"),
    pytest.param("/events", {"method": "HEAD"}, 200, "text/event-stream", id="the head of a stream"),
    pytest.param("/login", {}, 405, "text/plain; charset=utf-8", id="a login by its address"),
    pytest.param(
        "/login",
        {"method": "POST"},
        404,
        "text/plain; charset=utf-8",
        id="a login without a token to ask for",
    ),
    pytest.param("/state", {"method": "POST"}, 405, "text/plain; charset=utf-8", id="nothing can be changed"),
    pytest.param("/index.html", {}, 404, "text/plain; charset=utf-8", id="no page"),
    pytest.param("/../app.py", {}, 404, "text/plain; charset=utf-8", id="no file of another folder"),
    pytest.param("/config/", {}, 404, "text/plain; charset=utf-8", id="no page below one"),
    pytest.param("/config", {"host": "evil.example"}, 421, "text/plain; charset=utf-8", id="a foreign name"),
    pytest.param("/healthz", {"host": "evil.example"}, 421, "text/plain; charset=utf-8", id="for any page"),
]


@pytest.mark.parametrize(("path", "asked", "status", "media"), ANSWERS)
async def test_answers(tmp_path, path, asked, status, media):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN) as running:
        answer = await page(running.admin, path, **asked)
        assert (answer.status, answer.value(b"content-type")) == (status, media.encode())
        assert answer.value(b"access-control-allow-origin") is None
        assert answer.value(b"cross-origin-resource-policy") == b"same-origin"
        assert answer.value(b"x-content-type-options") == b"nosniff"
        assert answer.value(b"cache-control") == b"no-store"
        assert answer.value(b"server") == b"keystile"
        assert bool(answer.body) is (asked.get("method") != "HEAD")
        assert await running.lines() == []
    assert behind.requests == []


@pytest.mark.parametrize("path", PAGES)
async def test_the_data_port_has_none_of_it(tmp_path, path):
    rules = [{"path": "/guarded", "scopes": ["read"]}]
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN, rules=rules) as running:
        answer = await page(running.address, path, "Connection: close", host="edge.test")
        assert answer.status == 401


async def test_openmetrics_where_it_is_asked_for(tmp_path):
    accept = "Accept: application/openmetrics-text;version=1.0.0;q=0.5, text/plain;version=0.0.4;q=0.2"
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN) as running:
        answer = await page(running.admin, "/metrics", accept)
    assert answer.value(b"content-type") == b"application/openmetrics-text; version=1.0.0; charset=utf-8"
    names = {family.name for family in text_string_to_metric_families(answer.body.decode())}
    assert {"keystile_build", "keystile_token_cache_hits", "process_cpu_seconds"} & names


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text;version=x", "text/plain;escaping=x;version=9", ",;,", "é" * 100]
)
async def test_an_odd_accept_breaks_nothing(tmp_path, accept):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN) as running:
        assert (await page(running.admin, "/metrics", f"Accept: {accept}")).status == 200


async def test_a_unix_socket(tmp_path):
    socket = f"unix:{tmp_path}/admin.sock"
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=socket) as running:
        assert running.admin == f"{tmp_path}/admin.sock"
        assert (await page(running.admin, "/healthz", host="docker")).body == b"ok\n"


async def test_null_switches_it_off(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url) as running:
        assert running._server.admin_address is None


async def test_an_address_that_is_taken_is_told(tmp_path):
    taken = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    with pytest.raises(OSError, match=rf"admin 127\.0\.0\.1:{port}: the address is in use; choose another"):
        async with keystile(tmp_path, "http://127.0.0.1:9", admin=f"127.0.0.1:{port}"):
            pass
    taken.close()
    await taken.wait_closed()


HOSTILE = [
    pytest.param(b"GET /config HTTP/1.1\r\n\r\n", id="no name"),
    pytest.param(
        b"GET /config HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 5000 + b"\r\n\r\n", id="a long field"
    ),
    pytest.param(b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", id="a long target"),
    pytest.param(b"GET /config HTTP/1.1\r\nHost: localhost\r\nAuthorization\r\n\r\n", id="no header line"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 secret\r\n\r\n", id="TLS"),
    pytest.param(b"GET /config HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", id="two names"),
]


@pytest.mark.parametrize("request_", HOSTILE)
async def test_what_is_no_request_gets_no_page(tmp_path, request_):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN) as running:
        async with connect(running.admin) as client:
            client.transport.write(request_)
            told = await client.rest()
        assert told.startswith((b"HTTP/1.0 4", b"HTTP/1.1 4"))
        assert b"issuers" not in told
        assert (await page(running.admin, "/healthz")).status == 200


async def test_connections_are_bounded(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN) as running:
        async with AsyncExitStack() as many:
            for _ in range(64):
                await many.enter_async_context(connect(running.admin))
            one_more = await many.enter_async_context(connect(running.admin))
            assert await one_more.rest() == b""
        assert (await page(running.admin, "/healthz")).status == 200


async def test_a_request_that_does_not_come_is_not_waited_for(tmp_path):
    config = load(settings_file(tmp_path, "http://127.0.0.1:9", admin=ADMIN), {})
    admin = Admin(lambda: config, _nothing, _nothing_new, seconds=0.05)
    await admin.start()
    async with connect(admin.address) as silent, connect(admin.address) as slow:
        slow.transport.write(b"GET /healthz HTTP/1.1\r\nHost: local")
        assert (await silent.rest(), await slow.rest()) == (b"", b"")
    await admin.close()


async def _nothing() -> Snapshot:
    return Snapshot()


async def _nothing_new(marks: Mapping[str, int]) -> Recalled:
    return Recalled([], dict(marks))


async def test_what_cannot_be_told_is_an_answer_too(tmp_path):
    async def unknown() -> Snapshot:
        raise ValueError("no snapshots")

    config = load(settings_file(tmp_path, "http://127.0.0.1:9", admin=ADMIN), {})
    admin = Admin(lambda: config, unknown, _nothing_new)
    await admin.start()
    statuses = {path: (await page(admin.address, path)).status for path in PAGES}
    await admin.close()
    assert statuses == {"/healthz": 200, "/readyz": 503, "/metrics": 503, "/config": 200}


async def test_the_configuration_is_that_in_force(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN) as running:
        told = json.loads((await page(running.admin, "/config")).body)
    assert (told["resource"], told["upstream"]["url"]) == ("https://edge.test", behind.url)
