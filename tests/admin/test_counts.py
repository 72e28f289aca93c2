"""Real traffic, and what the metrics say of it: exactly that."""

from __future__ import annotations

import json

import pytest

from tests.support.admin import Samples, metrics, named, page
from tests.support.harness import TOKEN, keystile, token
from tests.support.key_server import document, key_server
from tests.support.upstream import CLOSE, Gate, plain, upstream

ADMIN = "127.0.0.1:0"
RULES = [
    {"name": "stream", "path": "/stream", "scopes": ["read"]},
    {"name": "write", "path": "/write", "scopes": ["write"]},
    {"name": "get", "path": "/get", "methods": ["GET"], "scopes": ["read"]},
    {"name": "rated", "path": "/rated", "scopes": ["read"], "rate": "1/d"},
    {"name": "public", "path": "/public", "public": True},
]
BEARER = f"Authorization: Bearer {TOKEN}"
FORGED = f"Authorization: Bearer {TOKEN[:-10]}{'A' * 10}"
EXPIRED = f"Authorization: Bearer {token(exp=1700000001)}"


def counted(rule, status, decision, reason, times=1):
    labels = {"rule": rule, "status": status, "decision": decision, "reason": reason}
    return named("keystile_requests_total", **labels), times


TRAFFIC = [
    pytest.param([("/get", BEARER)], [counted("get", "200", "allow", "")], id="allowed"),
    pytest.param([("/get", BEARER)] * 3, [counted("get", "200", "allow", "", 3)], id="allowed, three times"),
    pytest.param([("/public",)], [counted("public", "200", "allow", "public")], id="public"),
    pytest.param([("/get",)], [counted("get", "401", "deny", "credential_missing")], id="no token"),
    pytest.param(
        [("/get", FORGED)], [counted("get", "401", "deny", "signature_invalid")], id="another's signature"
    ),
    pytest.param([("/get", EXPIRED)], [counted("get", "401", "deny", "token_expired")], id="an old token"),
    pytest.param(
        [("/write", BEARER)], [counted("write", "403", "deny", "scope_insufficient")], id="too few scopes"
    ),
    pytest.param(
        [("/nowhere", BEARER)], [counted("", "404", "deny", "route_unmatched")], id="no rule, no label"
    ),
    pytest.param(
        [(f"/nowhere/{number}", BEARER) for number in range(20)],
        [counted("", "404", "deny", "route_unmatched", 20)],
        id="paths that clients make up are no labels",
    ),
    pytest.param(
        [("/rated", BEARER), ("/rated", BEARER)],
        [counted("rated", "200", "allow", ""), counted("rated", "429", "deny", "rate_limited")],
        id="too often",
    ),
    pytest.param([("/a//b",)], [counted("", "400", "deny", "path_ambiguous")], id="an ambiguous path"),
    pytest.param(
        [("/get", "A b")], [counted("", "400", "deny", "request_malformed")], id="no request at all"
    ),
    pytest.param(
        [("/get", BEARER, "X: 502")],
        [counted("get", "502", "deny", "upstream_malformed")],
        id="an upstream that answers nonsense",
    ),
]


def answered(request):
    if request.value(b"x") == b"502":
        return (b"nonsense\r\n\r\n", CLOSE)
    return plain()


@pytest.mark.parametrize(("requests", "expected"), TRAFFIC)
async def test_each_request_counts_once(tmp_path, requests, expected):
    async with (
        upstream([answered]) as behind,
        keystile(tmp_path, behind.url, admin=ADMIN, rules=RULES) as running,
    ):
        for path, *lines in requests:
            await page(running.address, path, *lines, "Connection: close", host="edge.test")
        told = await metrics(running.admin)
        lines = await running.lines()
    assert {key: value for key, value in told.items() if key[0] == "keystile_requests_total"} == dict(
        expected
    )
    assert len(lines) == len(requests) == sum(times for _, times in expected)
    for rule in {dict(labels)["rule"] for (_, labels), _ in expected}:
        of_rule = sum(times for (_, labels), times in expected if dict(labels)["rule"] == rule)
        assert told[named("keystile_request_duration_seconds_count", rule=rule)] == of_rule
        assert told[named("keystile_request_duration_seconds_bucket", rule=rule, le="+Inf")] == of_rule
        waited = [
            line["upstream_ms"] for line in lines if line.get("rule", "") == rule and "upstream_ms" in line
        ]
        assert told.get(named("keystile_upstream_duration_seconds_count", rule=rule), 0) == len(waited)
        seconds = told.get(named("keystile_upstream_duration_seconds_sum", rule=rule), 0)
        assert seconds == pytest.approx(sum(waited) / 1000, abs=1e-5)


async def test_an_upstream_that_is_away(tmp_path):
    async with keystile(tmp_path, "http://127.0.0.1:9", admin=ADMIN, rules=RULES) as running:
        await page(running.address, "/get", BEARER, "Connection: close", host="edge.test")
        told = await metrics(running.admin)
    key, times = counted("get", "502", "deny", "upstream_unreachable")
    assert told[key] == times
    assert told[named("keystile_upstream_reachable")] == 0


async def test_what_is_open_and_under_way(tmp_path):
    events = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    async with (
        upstream([(events, b"data: 1\n\n", Gate("end"), CLOSE)]) as behind,
        keystile(tmp_path, behind.url, admin=ADMIN, rules=RULES) as running,
    ):
        async with running.client() as one, running.client() as other:
            one.transport.write(f"GET /stream HTTP/1.1\r\nHost: edge.test\r\n{BEARER}\r\n\r\n".encode())
            await one.bytes_until(b"data: 1\n\n")
            other.transport.write(b"GET /get HTTP/1.1\r\nHost: edge.test\r\n\r\n")
            await other.response()
            told = await metrics(running.admin)
            behind.gates["end"].set()
            await one.bytes_until(b"0\r\n\r\n")
        after = await metrics(running.admin)
    stream = counted("stream", "200", "allow", "")[0]
    assert {
        "connections": told[named("keystile_client_connections")],
        "streams": told[named("keystile_streams_open")],
        "in_use": told[named("keystile_upstream_connections", state="in_use")],
        "idle": told[named("keystile_upstream_connections", state="idle")],
        "waiting": told[named("keystile_upstream_waiting_requests")],
        "ended": stream in told,
    } == {"connections": 2, "streams": 1, "in_use": 1, "idle": 0, "waiting": 0, "ended": False}
    assert (after[named("keystile_streams_open")], after[stream]) == (0, 1)


async def test_who_waits_for_a_connection(tmp_path):
    async with (
        upstream([(Gate("go"), *plain())]) as behind,
        keystile(tmp_path, behind.url, admin=ADMIN, rules=RULES, upstream={"connections": 1}) as running,
        running.client() as one,
        running.client() as other,
    ):
        for client in (one, other):
            client.transport.write(b"GET /public HTTP/1.1\r\nHost: edge.test\r\n\r\n")
        await behind.arrived(1)
        while not (told := await metrics(running.admin))[named("keystile_upstream_waiting_requests")]:
            pass
        behind.gates["go"].set()
        assert [(await client.response()).status for client in (one, other)] == [200, 200]
    assert told[named("keystile_upstream_connections", state="in_use")] == 1


async def test_tokens_and_keys(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN, rules=RULES) as running:
        for lines in [(BEARER,), (BEARER,), (BEARER,), (FORGED,), ()]:
            await page(running.address, "/get", *lines, "Connection: close", host="edge.test")
        told = await metrics(running.admin)
    issuer = {"issuer": "https://issuer.test"}
    assert {
        "entries": told[named("keystile_token_cache_entries")],
        "hits": told[named("keystile_token_cache_hits_total")],
        "misses": told[named("keystile_token_cache_misses_total")],
        "keys": told[named("keystile_keys", **issuer)],
        "usable": told[named("keystile_keys_usable", **issuer)],
        "stale": told[named("keystile_keys_stale", **issuer)],
        "fetched": told[named("keystile_key_fetches_total", **issuer, outcome="ok")],
        "failed": told[named("keystile_key_fetches_total", **issuer, outcome="failed")],
    } == {
        "entries": 1,
        "hits": 2,
        "misses": 2,
        "keys": 1,
        "usable": 1,
        "stale": 0,
        "fetched": 1,
        "failed": 0,
    }
    assert 0 <= told[named("keystile_keys_age_seconds", **issuer)] < 10


MCP = [{"name": "mcp", "path": "/mcp", "mcp": True}]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "a", "version": "1"},
    },
}
OPENED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: s1\r\nContent-Length: 2\r\n\r\n{}",
)
ENDPOINT = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: endpoint\ndata: /messages?id=1\n\n",
    Gate("end"),
    CLOSE,
)


async def test_sessions_are_counted_when_they_open(tmp_path):
    async with (
        upstream([OPENED]) as behind,
        keystile(tmp_path, behind.url, admin=ADMIN, rules=MCP) as running,
    ):
        async with running.client() as client:
            for message in (INITIALIZE, {"jsonrpc": "2.0", "id": 2, "method": "ping"}):
                body = json.dumps(message)
                client.transport.write(
                    f"POST /mcp HTTP/1.1\r\nHost: edge.test\r\n{BEARER}\r\nContent-Type: application/json\r\n"
                    f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                assert (await client.response()).status == 200
        told = await metrics(running.admin)
    assert told[named("keystile_sessions_opened_total")] == 1


async def test_sessions_of_the_older_transport_are_counted_when_they_open(tmp_path):
    async with (
        upstream([ENDPOINT]) as behind,
        keystile(tmp_path, behind.url, admin=ADMIN, rules=MCP) as running,
        running.client() as client,
    ):
        client.transport.write(f"GET /mcp HTTP/1.1\r\nHost: edge.test\r\n{BEARER}\r\n\r\n".encode())
        await client.bytes_until(b"?endpoint=")
        told = await metrics(running.admin)
    assert told[named("keystile_sessions_opened_total")] == 1


async def test_revocations(tmp_path):
    (tmp_path / "revoked.yaml").write_text("[{agent: a}, {agent: b}]")
    revoked = {"revocations": "revoked.yaml"}
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN, **revoked) as running:
        told = await metrics(running.admin)
    assert told[named("keystile_revocations")] == 2
    assert told[named("keystile_revocations_ready")] == 1
    assert 0 <= told[named("keystile_revocations_age_seconds")] < 10


async def test_fetches_that_fail(tmp_path):
    async with key_server() as keys:
        keys.serve(document(b"nonsense"))
        issuers = [{"issuer": "https://issuer.test", "jwks": keys.jwks_url}]
        async with keystile(tmp_path, "http://127.0.0.1:9", admin=ADMIN, issuers=issuers) as running:
            failed = named("keystile_key_fetches_total", issuer="https://issuer.test", outcome="failed")
            while not (told := await metrics(running.admin))[failed]:
                pass
    assert told[named("keystile_keys_usable", issuer="https://issuer.test")] == 0
    assert named("keystile_keys_age_seconds", issuer="https://issuer.test") not in told


async def test_no_label_is_a_clients_own(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN, rules=RULES) as running:
        async with running.client() as client:
            for number in range(50):
                lines = f"X-Request-Id: r{number}\r\nUser-Agent: u{number}\r\n{BEARER}"
                client.transport.write(
                    f"GET /p{number} HTTP/1.1\r\nHost: edge.test\r\n{lines}\r\n\r\n".encode()
                )
                await client.response()
        one = await metrics(running.admin)
        for number in range(50):
            agent = f"Authorization: Bearer {token(sub=f'agent{number}')}"
            await page(running.address, "/get", agent, "Connection: close", host="edge.test")
        many = await metrics(running.admin)
    assert {label for _, labels in many for label, _ in labels} == {
        "rule", "status", "decision", "reason", "le", "issuer", "outcome", "state", "version", "python",
    }  # fmt: skip
    # A count, and a histogram of seventeen buckets, a count and a sum; where the upstream is asked, a second one.
    assert (of_rules(one), of_rules(many)) == (1 + 19, 1 + 19 + 1 + 2 * 19)


def of_rules(told: Samples) -> int:
    return sum("rule" in dict(labels) for _, labels in told)


async def test_process_metrics(tmp_path):
    async with upstream() as behind, keystile(tmp_path, behind.url, admin=ADMIN) as running:
        told = await metrics(running.admin)
    assert told[named("process_resident_memory_bytes")] > 10 * 1024 * 1024
    assert told[named("process_open_fds")] > 3
    assert told[named("keystile_workers")] == 1
    [build] = [dict(labels) for name, labels in told if name == "keystile_build_info"]
    assert build.keys() == {"version", "python"}
