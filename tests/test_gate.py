"""The order of judgement, seen from outside: what a caller is told, what is logged, what arrives upstream."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.harness import ISSUER, RESOURCE, TOKEN, keystile, token
from tests.support.keys import jwks, make_key, sign_token
from tests.support.upstream import upstream

if TYPE_CHECKING:
    from pathlib import Path

RULES = [
    {"name": "health", "path": "/healthz", "public": True, "any_host": True},
    {"name": "open", "path": "/open", "public": True},
    {"name": "read", "path": "/notes/**", "methods": ["GET"], "scopes": ["read"]},
    {"name": "write", "path": "/notes/**", "scopes": ["write"]},
    {"name": "either", "path": "/either", "any_scopes": ["audit", "admin"]},
    {
        "name": "seniors",
        "path": "/seniors",
        "claims": {"al_trust.level": ["senior"], "al_trust.score": {"min": 20}},
    },
    {"name": "anyone", "path": "/anyone"},
]
SCOPES = {"admin": ["write"], "write": ["read"]}
TRUSTED = {"al_trust": {"level": "senior", "score": 21}}
FORGED = sign_token(
    replace(make_key("EdDSA", "another"), kid="test"),
    {"iss": ISSUER, "aud": RESOURCE, "sub": "acc_1", "exp": 4102444800, "scope": "admin"},
)


def bearer(value: str) -> str:
    return f"Authorization: Bearer {value}"


ALLOWED = [
    pytest.param(
        "GET", "/notes/1", [bearer(TOKEN)], "read", "acc_1", None, id="a scope that the rule asks for"
    ),
    pytest.param("HEAD", "/notes/1", [bearer(TOKEN)], "read", "acc_1", None, id="GET in methods covers HEAD"),
    pytest.param(
        "GET",
        "/notes/1",
        [bearer(token(scope="admin"))],
        "read",
        "acc_1",
        None,
        id="a scope that grants it, twice removed",
    ),
    pytest.param(
        "PUT", "/notes/1", [bearer(token(scope="write"))], "write", "acc_1", None, id="a later rule"
    ),
    pytest.param(
        "GET", "/notes/", [bearer(TOKEN)], "read", "acc_1", None, id="a trailing slash makes no difference"
    ),
    pytest.param(
        "GET", "/either", [bearer(token(scope="admin"))], "either", "acc_1", None, id="one of any_scopes"
    ),
    pytest.param(
        "GET",
        "/seniors",
        [bearer(token(**TRUSTED))],
        "seniors",
        "acc_1",
        None,
        id="claims that a rule asks for",
    ),
    pytest.param(
        "GET", "/anyone", [bearer(token(scope=""))], "anyone", "acc_1", None, id="a token without scopes"
    ),
    pytest.param("GET", "/open", [], "open", None, "public", id="a public rule without a token"),
    pytest.param(
        "GET", "/open", [bearer(TOKEN)], "open", "acc_1", "public", id="a public rule with a valid token"
    ),
    pytest.param(
        "GET",
        "/anyone",
        [f"authorization: bearer {TOKEN}"],
        "anyone",
        "acc_1",
        None,
        id="the scheme in lower case",
    ),
]

REFUSED = [
    pytest.param("GET", "/notes/1", [], 401, "credential_missing", "read", None, id="no token"),
    pytest.param(
        "GET",
        "/notes/1",
        [bearer(FORGED)],
        401,
        "signature_invalid",
        "read",
        None,
        id="another's signature names nobody",
    ),
    pytest.param(
        "GET",
        "/notes/1",
        [bearer(token(exp=1000))],
        401,
        "token_expired",
        "read",
        "acc_1",
        id="an expired token still says whose it was",
    ),
    pytest.param(
        "GET",
        "/notes/1",
        [bearer(token(aud="https://other.test"))],
        401,
        "audience_mismatch",
        "read",
        "acc_1",
        id="another's audience",
    ),
    pytest.param(
        "PUT", "/notes/1", [bearer(TOKEN)], 403, "scope_insufficient", "write", "acc_1", id="too few scopes"
    ),
    pytest.param(
        "GET",
        "/either",
        [bearer(TOKEN)],
        403,
        "scope_insufficient",
        "either",
        "acc_1",
        id="none of any_scopes",
    ),
    pytest.param(
        "GET",
        "/seniors",
        [bearer(TOKEN)],
        403,
        "claim_refused",
        "seniors",
        "acc_1",
        id="claims that are missing",
    ),
    pytest.param(
        "GET",
        "/nowhere",
        [],
        401,
        "credential_missing",
        None,
        None,
        id="without a token nobody learns which paths there are",
    ),
    pytest.param(
        "GET", "/nowhere", [bearer(TOKEN)], 404, "route_unmatched", None, "acc_1", id="no rule, no forwarding"
    ),
    pytest.param(
        "GET",
        "/open",
        [bearer(FORGED)],
        401,
        "signature_invalid",
        "open",
        None,
        id="a bad token on a public rule",
    ),
    pytest.param(
        "GET",
        "/open",
        [bearer("a.b")],
        401,
        "token_malformed",
        "open",
        None,
        id="no token at all on a public rule",
    ),
    pytest.param(
        "GET",
        "/anyone",
        [bearer(TOKEN), bearer(TOKEN)],
        400,
        "credential_duplicated",
        "anyone",
        None,
        id="two tokens",
    ),
    pytest.param(
        "GET",
        "/anyone",
        ["Authorization: Basic YTpi"],
        401,
        "credential_missing",
        "anyone",
        None,
        id="another scheme",
    ),
    pytest.param(
        "GET",
        f"/anyone?access_token={TOKEN}",
        [],
        401,
        "credential_missing",
        "anyone",
        None,
        id="a token in the query",
    ),
    pytest.param(
        "GET",
        "/anyone",
        [f"Cookie: token={TOKEN}"],
        401,
        "credential_missing",
        "anyone",
        None,
        id="a token in a cookie",
    ),
    pytest.param(
        "GET",
        "/Notes/1",
        [bearer(TOKEN)],
        400,
        "path_ambiguous",
        None,
        None,
        id="a path that differs from a rule's by case",
    ),
    pytest.param(
        "GET",
        "/notes//1",
        [bearer(TOKEN)],
        400,
        "path_ambiguous",
        None,
        None,
        id="an ambiguous path comes before the token",
    ),
]


def request(method: str, target: str, lines: list[str], host: str = "edge.test") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode()


@pytest.mark.parametrize(("method", "target", "lines", "rule", "agent", "reason"), ALLOWED)
async def test_allowed(
    method: str,
    target: str,
    lines: list[str],
    rule: str,
    agent: str | None,
    reason: str | None,
    tmp_path: Path,
) -> None:
    async with upstream() as server, keystile(tmp_path, server.url, rules=RULES, scopes=SCOPES) as proxy:
        async with proxy.client() as client:
            await client.write(request(method, target, lines))
            assert (await client.response(method.encode())).status == 200
        (line,) = await proxy.lines()
        (arrived,) = server.requests
    assert arrived.value(b"authorization") is None
    assert arrived.value(b"x-agent-id") == (agent.encode() if agent else None)
    assert (line["decision"], line["rule"], line.get("agent_id"), line.get("reason")) == (
        "allow",
        rule,
        agent,
        reason,
    )


@pytest.mark.parametrize(("method", "target", "lines", "status", "reason", "rule", "agent"), REFUSED)
async def test_refused(
    method: str,
    target: str,
    lines: list[str],
    status: int,
    reason: str,
    rule: str | None,
    agent: str | None,
    tmp_path: Path,
) -> None:
    async with upstream() as server, keystile(tmp_path, server.url, rules=RULES, scopes=SCOPES) as proxy:
        async with proxy.client() as client:
            await client.write(request(method, target, lines))
            answer = await client.response(method.encode())
            body = json.loads(answer.content)
            assert (answer.status, body["reason"]) == (status, reason)
            # The connection is still good.
            await client.write(request("GET", "/open", []))
            assert (await client.response()).status == 200
        line, _ = await proxy.lines()
        assert [arrived.target for arrived in server.requests] == [b"/open"]
    said = (line["status"], line["decision"], line["reason"], line.get("rule"), line.get("agent_id"))
    assert said == (status, "deny", reason, rule, agent)
    assert line["request_id"] == body["request_id"]
    assert TOKEN not in json.dumps(line)
    assert "?" not in line["path"]


HOSTS = [
    pytest.param("/anyone", "evil.test", 421, id="a foreign host"),
    pytest.param("/healthz", "evil.test", 200, id="a foreign host on a probe's rule"),
    pytest.param("/anyone", "edge.test:8443", 200, id="the resource's host with a port"),
    pytest.param("/anyone", "localhost", 200, id="loopback while listening on loopback"),
]


@pytest.mark.parametrize(("target", "host", "status"), HOSTS)
async def test_hosts(target: str, host: str, status: int, tmp_path: Path) -> None:
    async with upstream() as server, keystile(tmp_path, server.url, rules=RULES) as proxy:
        async with proxy.client() as client:
            lines = [] if target == "/healthz" else [bearer(TOKEN)]
            await client.write(request("GET", target, lines, host))
            assert (await client.response()).status == status
        (line,) = await proxy.lines()
    assert (
        line.get("reason") == {421: "host_refused", 200: "public" if target == "/healthz" else None}[status]
    )


METADATA = {
    "resource": RESOURCE,
    "authorization_servers": [ISSUER],
    "scopes_supported": ["read", "write", "audit", "admin"],
    "bearer_methods_supported": ["header"],
}


async def test_metadata_needs_no_token_and_wins_over_rules(tmp_path: Path) -> None:
    rules = [*RULES, {"name": "rest", "path": "/**", "scopes": ["admin"]}]
    async with upstream() as server, keystile(tmp_path, server.url, rules=rules) as proxy:
        async with proxy.client() as client:
            await client.write(request("GET", "/.well-known/oauth-protected-resource", []))
            answer = await client.response()
        assert server.requests == []
    assert answer.status == 200
    assert answer.value(b"access-control-allow-origin") == b"*"
    assert json.loads(answer.content) == METADATA


async def test_a_challenge_leads_to_the_metadata_and_names_the_scopes(tmp_path: Path) -> None:
    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=RULES) as proxy,
        proxy.client() as client,
    ):
        await client.write(request("PUT", "/notes/1", [bearer(TOKEN)]))
        answer = await client.response(b"PUT")
    assert answer.value(b"www-authenticate") == (
        b'Bearer resource_metadata="https://edge.test/.well-known/oauth-protected-resource", scope="write", '
        b'error="insufficient_scope", error_description="needs scope write"'
    )


async def test_two_issuers_are_never_taken_for_each_other(tmp_path: Path) -> None:
    """Same kid, same subject: each key belongs to its issuer, and the upstream is told which it was."""
    first = make_key("EdDSA", "shared")
    second = replace(make_key("EdDSA", "another"), kid="shared")
    issuers = [
        {"issuer": "https://one.test", "jwks": jwks(first)},
        {"issuer": "https://two.test", "jwks": jwks(second)},
    ]

    def signed(key: Any, issuer: str) -> str:
        return sign_token(key, {"iss": issuer, "aud": RESOURCE, "sub": "acc_1", "exp": 4102444800})

    async with (
        upstream() as server,
        keystile(tmp_path, server.url, rules=RULES, issuers=issuers) as proxy,
        proxy.client() as client,
    ):
        statuses = []
        for key, issuer in [
            (first, "https://one.test"),
            (second, "https://two.test"),
            (first, "https://two.test"),
        ]:
            await client.write(request("GET", "/anyone", [bearer(signed(key, issuer))]))
            statuses.append((await client.response()).status)
        assert statuses == [200, 200, 401]
        told = [arrived.value(b"x-agent-issuer") for arrived in server.requests]
        assert told == [b"https://one.test", b"https://two.test"]
