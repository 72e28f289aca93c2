"""What stands in for a token, what the upstream gets of our own, and how often anybody may come: over loopback.

Each row asserts what arrived upstream and what the log says.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from tests.support.harness import RESOURCE, TOKEN, keystile, token
from tests.support.upstream import plain, upstream
from tests.wire.exchanges.table import get, http

if TYPE_CHECKING:
    from pathlib import Path

BASIC = "Authorization: Basic " + base64.b64encode(b"ada:secret").decode()
BEARER = f"Authorization: Bearer {TOKEN}"
BROKEN = "Authorization: Bearer a.b"
SESSION = "Cookie: sessionid=s3cret; theme=dark"
RULES = [
    {"name": "ui", "path": "/ui/**", "passthrough": ["basic", {"cookie": "sessionid"}]},
    {"name": "cookies", "path": "/cookies", "passthrough": [{"cookie": "sessionid"}]},
    {"name": "api", "path": "/api", "scopes": ["read"]},
    {"name": "open", "path": "/open", "public": True},
]
SPOOFED = ("X-Agent-Id: root", "x_agent_scopes: admin", "X-Agent-Assertion: a.b.c")

PASSED = [
    pytest.param(get("/ui/a", BASIC), "authorization", None, "legacy_passthrough", id="a password"),
    pytest.param(get("/ui/a", SESSION), "cookie", None, "legacy_passthrough", id="a session"),
    pytest.param(get("/ui/a", BASIC, *SPOOFED), "authorization", None, "legacy_passthrough", id="and lies"),
    pytest.param(get("/cookies", BASIC, SESSION), "cookie", None, "legacy_passthrough", id="a session alone"),
    pytest.param(get("/ui/a", BEARER, SESSION), "cookie", "acc_1", None, id="a token and a session"),
    pytest.param(
        http("POST /ui/a HTTP/1.1", "Host: edge.test", SESSION, f"Origin: {RESOURCE}", "Content-Length: 0"),
        "cookie",
        None,
        "legacy_passthrough",
        id="a form of this site",
    ),
]


@pytest.mark.parametrize(("request_", "credential", "agent", "reason"), PASSED)
async def test_the_upstreams_own_login_decides(
    request_: bytes, credential: str, agent: str | None, reason: str | None, tmp_path: Path
) -> None:
    async with (
        upstream([plain()]) as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await client.write(request_)
        assert (await client.response()).status == 200
        [line] = await proxy.lines()
    [arrived] = server.requests
    identity = [arrived.values(name) for name in (b"x-agent-id", b"x-agent-scopes", b"x-agent-assertion")]
    assert identity == ([[agent.encode()], [b"read"], []] if agent else [[], [], []])
    assert arrived.values(b"x_agent_scopes") == []
    both = {name for name in ("authorization", "cookie") if arrived.values(name.encode())}
    assert both == {credential}
    assert (line["decision"], line.get("reason"), line.get("agent_id")) == ("allow", reason, agent)


UNPASSED = [
    pytest.param(get("/ui/a"), 401, "credential_missing", id="nothing at all"),
    pytest.param(get("/ui/a", "Authorization: Basic"), 401, "credential_missing", id="an empty password"),
    pytest.param(get("/ui/a", "Authorization: Basic !!"), 401, "credential_missing", id="no password at all"),
    pytest.param(get("/ui/a", "Cookie: sessionid="), 401, "credential_missing", id="an empty session"),
    pytest.param(
        get("/ui/a", "Cookie: sessionid=a; sessionid=b"), 401, "credential_missing", id="two sessions"
    ),
    pytest.param(get("/ui/a", "Cookie: other=a"), 401, "credential_missing", id="another cookie"),
    pytest.param(get("/ui/a", BROKEN, SESSION), 401, "token_malformed", id="a bad token beside a session"),
    pytest.param(
        get("/ui/a", f"Authorization: Bearer {token(exp=1000)}", SESSION),
        401,
        "token_expired",
        id="an old token",
    ),
    pytest.param(get("/ui/a", BASIC, BEARER), 400, "credential_duplicated", id="a password and a token"),
    pytest.param(
        get("/ui/a", BASIC, "Connection: authorization"),
        401,
        "credential_missing",
        id="a password that ends here",
    ),
    pytest.param(
        get("/ui/a", SESSION, "Connection: keep-alive, Cookie"),
        401,
        "credential_missing",
        id="a session that ends here",
    ),
    pytest.param(
        http(
            "POST /ui/a HTTP/1.1",
            "Host: edge.test",
            SESSION,
            f"Origin: {RESOURCE}",
            "Sec-Fetch-Site: cross-site",
            "Content-Length: 0",
        ),
        403,
        "origin_refused",
        id="a page of another port or scheme of this host",
    ),
    pytest.param(get("/cookies", BASIC), 401, "credential_missing", id="a password where a session passes"),
    pytest.param(get("/api", BASIC), 401, "credential_missing", id="a password where a token is needed"),
    pytest.param(get("/api", SESSION), 401, "credential_missing", id="a session where a token is needed"),
    pytest.param(
        http(
            "POST /ui/a HTTP/1.1",
            "Host: edge.test",
            SESSION,
            "Origin: https://evil.test",
            "Content-Length: 0",
        ),
        403,
        "origin_refused",
        id="another site's form",
    ),
    pytest.param(
        http("DELETE /ui/a HTTP/1.1", "Host: edge.test", BASIC, "Origin: null"),
        403,
        "origin_refused",
        id="a page of no site",
    ),
]


@pytest.mark.parametrize(("request_", "status", "reason"), UNPASSED)
async def test_nothing_else_stands_in_for_a_token(
    request_: bytes, status: int, reason: str, tmp_path: Path
) -> None:
    async with (
        upstream([plain()]) as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await client.write(request_)
        answer = await client.response()
        [line] = await proxy.lines()
    assert (answer.status, line["status"], line["decision"], line["reason"]) == (
        status,
        status,
        "deny",
        reason,
    )
    assert server.requests == []
    assert "s3cret" not in json.dumps(line)


OWN = {"Authorization": "Basic b3duOmtleQ==", "X-Api-Key": "own-key"}
TRUSTED = [
    pytest.param(get("/api", BEARER), True, id="who was verified"),
    pytest.param(
        get("/api", BEARER, "X-Api-Key: false", "x_api_key: false"), True, id="and sends another key"
    ),
    pytest.param(get("/open", "X-Api-Key: false", "X.Api.Key: false"), False, id="who is unknown"),
    pytest.param(get("/open", BEARER), False, id="who was verified where nobody needs to be"),
    pytest.param(get("/ui/a", SESSION, "X-Api-Key: false"), False, id="who passes by a session"),
]


@pytest.mark.parametrize(("request_", "sent"), TRUSTED)
async def test_the_upstreams_credentials_go_with_a_verified_identity_only(
    request_: bytes, *, sent: bool, tmp_path: Path
) -> None:
    async with (
        upstream([plain()]) as server,
        keystile(tmp_path, server.url, upstream={"headers": OWN}, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await client.write(request_)
        assert (await client.response()).status == 200
        lines = await proxy.lines()
    [arrived] = server.requests
    keys = [line for line in arrived.lines if re.match(rb"authorization|x.api.key", line, re.IGNORECASE)]
    assert keys == ([b"Authorization: Basic b3duOmtleQ==", b"X-Api-Key: own-key"] if sent else [])
    assert "own-key" not in json.dumps(lines)


LEGACY = [
    pytest.param(get("/ui/a", BASIC, "Cookie: theme=dark"), [b"Authorization", b"Cookie"], id="a password"),
    pytest.param(get("/ui/a", SESSION), [b"Cookie"], id="a session"),
    pytest.param(
        get("/cookies", BASIC, SESSION), [b"Cookie"], id="a session, and a password that is none here"
    ),
]


@pytest.mark.parametrize(("request_", "kept"), LEGACY)
async def test_a_login_of_the_clients_own_is_not_replaced_by_ours(
    request_: bytes, kept: list[bytes], tmp_path: Path
) -> None:
    headers = {"Authorization": "Basic b3duOmtleQ==", "Cookie": "own=1"}
    async with (
        upstream([plain()]) as server,
        keystile(tmp_path, server.url, upstream={"headers": headers}, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await client.write(request_)
        assert (await client.response()).status == 200
    [arrived] = server.requests
    found = [line for line in arrived.lines if line.startswith((b"Authorization", b"Cookie"))]
    assert [line.partition(b":")[0] for line in found] == kept
    assert not any(b"own" in line or b"b3du" in line for line in found)


REFUSALS = [
    pytest.param(OWN, get("/api", BEARER), 502, "upstream_credential_refused", id="our credential"),
    pytest.param({}, get("/api", BEARER), 401, None, id="nobody's credential"),
    pytest.param(OWN, get("/ui/a", BASIC), 401, "legacy_passthrough", id="the client's own password"),
]


@pytest.mark.parametrize(("headers", "request_", "status", "reason"), REFUSALS)
async def test_an_upstream_that_refuses(
    headers: dict[str, str], request_: bytes, status: int, reason: str | None, tmp_path: Path
) -> None:
    refusal = (
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="own"\r\nContent-Length: 0\r\n\r\n',
    )
    async with (
        upstream([refusal, plain()]) as server,
        keystile(tmp_path, server.url, upstream={"headers": headers}, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await client.write(request_ + get("/open"))
        answer = await client.response()
        assert (await client.response()).status == 200
        line, _ = await proxy.lines()
    assert answer.status == status
    assert answer.values(b"www-authenticate") == ([b'Basic realm="own"'] if status == 401 else [])
    assert (line["status"], line.get("reason")) == (status, reason)


async def test_an_upstream_can_check_who_calls(tmp_path: Path) -> None:
    """With an ordinary library, and the key set that anybody may read."""
    async with (
        upstream([plain()]) as server,
        keystile(tmp_path, server.url, assertion={}, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        for path, credential in (
            ("/api", BEARER),
            ("/api", BEARER),
            ("/open", "Accept: */*"),
            ("/ui/a", BASIC),
        ):
            await client.write(get(path, credential, "X-Agent-Assertion: a.b.c"))
            assert (await client.response()).status == 200
        await client.write(get("/.well-known/keystile/jwks.json"))
        answer = await client.response()
        lines = await proxy.lines()
    first, second, *others = [arrived.values(b"x-agent-assertion") for arrived in server.requests]
    assert first == second
    assert others == [[], []]
    [key] = json.loads(answer.content)["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
    claims = checked(first[0].decode(), key, server.url)
    assert (claims["iss"], claims["sub"], claims["scope"]) == (RESOURCE, "acc_1", "read")
    assert (claims["agent_issuer"], claims["request_id"]) == ("https://issuer.test", lines[0]["request_id"])
    assert claims["exp"] - claims["iat"] == 300
    assert answer.values(b"access-control-allow-origin") == [b"*"]


def checked(assertion: str, key: dict[str, Any], audience: str) -> dict[str, Any]:
    assert jwt.get_unverified_header(assertion)["kid"] == key["kid"]
    public = jwt.PyJWK.from_dict(key)
    claims: dict[str, Any] = jwt.decode(assertion, public, algorithms=["EdDSA"], audience=audience)
    return claims


async def test_without_an_assertion_there_is_no_key_set(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await client.write(get("/.well-known/keystile/jwks.json"))
        assert (await client.response()).status == 401
        await proxy.close()
    assert server.requests == []


RATED = [
    {"name": "api", "path": "/api", "scopes": ["read"], "rate": {"limit": "60/h", "burst": 2}},
    {"name": "open", "path": "/open", "public": True, "rate": "1/h"},
    {"name": "rest", "path": "/**"},
]


async def test_a_rate_is_an_agents_own(tmp_path: Path) -> None:
    other = f"Authorization: Bearer {token(sub='acc_2')}"
    renewed = f"Authorization: Bearer {token(jti='another')}"
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=RATED) as proxy,
        proxy.client() as client,
    ):
        statuses = []
        for credential in (BEARER, BEARER, BEARER, renewed, other):
            await client.write(get("/api", credential))
            answer = await client.response()
            statuses.append(answer.status)
            if answer.status == 429:
                assert answer.values(b"retry-after") == [b"60"]
                assert answer.values(b"ratelimit-policy") == [b'"api";q=60;w=3600']
                assert answer.values(b"ratelimit") == [b'"api";r=0;t=60']
        await client.write(get("/else", BEARER))
        assert (await client.response()).status == 200
        lines = await proxy.lines()
    assert statuses == [200, 200, 429, 429, 200]
    assert [line.get("reason") for line in lines] == [None, None, "rate_limited", "rate_limited", None, None]
    assert {line["agent_id"] for line in lines if line.get("reason")} == {"acc_1"}
    assert len(server.requests) == 4


async def test_whoever_is_unknown_shares_the_rate_of_its_address(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=RATED) as proxy,
        proxy.client() as one,
        proxy.client() as another,
    ):
        await one.write(get("/open"))
        assert (await one.response()).status == 200
        await another.write(get("/open"))
        assert (await another.response()).status == 429
        await one.write(get("/open", BEARER))
        assert (await one.response()).status == 200
        await proxy.close()
    assert len(server.requests) == 2


async def test_a_refused_request_uses_up_no_rate(tmp_path: Path) -> None:
    poor = f"Authorization: Bearer {token(scope='other')}"
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=RATED) as proxy,
        proxy.client() as client,
    ):
        statuses = []
        for credential in (poor, poor, poor, BEARER, BEARER, BEARER):
            await client.write(get("/api", credential))
            statuses.append((await client.response()).status)
        await proxy.close()
    assert statuses == [403, 403, 403, 200, 200, 429]
    assert len(server.requests) == 2
