"""Opaque tokens through the running proxy, and an endpoint that fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.harness import ISSUER, JWKS, RESOURCE, TOKEN, keystile
from tests.support.key_server import KeyServer, document, key_server, status
from tests.support.upstream import upstream

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.messages import Message
    from tests.support.raw import Client

RULES = [{"name": "guarded", "path": "/guarded/**", "scopes": ["read"]}]
PATH = "/introspect"


def issuers(server: KeyServer, mode: str = "opaque") -> list[dict[str, Any]]:
    endpoint = {"url": server.url + PATH, "client_id": "keystile", "client_secret": "swordfish", "mode": mode}
    return [{"issuer": ISSUER, "jwks": JWKS, "introspection": endpoint}]


def active(**changes: Any) -> dict[str, Any]:
    usual = {"active": True, "sub": "acc_9", "aud": RESOURCE, "scope": "read", "exp": int(time.time()) + 600}
    return {**usual, **changes}


async def ask(client: Client, access: str) -> Message:
    head = f"GET /guarded/x HTTP/1.1\r\nHost: edge.test\r\nAuthorization: Bearer {access}\r\n\r\n"
    await client.write(head.encode())
    return await client.response()


OUTCOMES = [
    pytest.param("opaque", "opaque-1", document(active()), 200, None, "acc_9", 1, id="an opaque token"),
    pytest.param(
        "opaque", "opaque-1", document({"active": False}), 401, "token_inactive", None, 1, id="not active"
    ),
    pytest.param(
        "opaque", "opaque-1", document(active(scope="")), 403, "scope_insufficient", "acc_9", 1, id="no scope"
    ),
    pytest.param(
        "opaque",
        "opaque-1",
        document(active(aud="https://other.test")),
        401,
        "audience_mismatch",
        "acc_9",
        1,
        id="another's",
    ),
    pytest.param(
        "opaque", "opaque-1", status(500), 503, "introspection_unavailable", None, 2, id="a broken endpoint"
    ),
    pytest.param(
        "opaque", TOKEN, status(500), 200, None, "acc_1", 0, id="a JWT, which nobody is asked about"
    ),
    pytest.param(
        "always", TOKEN, document(active(sub="acc_1")), 200, None, "acc_1", 1, id="a JWT that is confirmed"
    ),
    pytest.param(
        "always",
        TOKEN,
        document({"active": False}),
        401,
        "token_inactive",
        "acc_1",
        1,
        id="a JWT that was revoked",
    ),
    pytest.param(
        "always",
        TOKEN,
        status(503),
        503,
        "introspection_unavailable",
        "acc_1",
        2,
        id="a JWT, and a broken endpoint",
    ),
]


@pytest.mark.parametrize(("mode", "access", "answer", "code", "reason", "agent", "asked"), OUTCOMES)
async def test_outcomes(
    tmp_path: Path,
    mode: str,
    access: str,
    answer: Any,
    code: int,
    reason: str | None,
    agent: str | None,
    asked: int,
) -> None:
    async with upstream() as server, key_server() as endpoint:
        endpoint.answers[PATH] = answer
        async with keystile(tmp_path, server.url, issuers=issuers(endpoint, mode), rules=RULES) as running:
            async with running.client() as client:
                answers = [await ask(client, access) for _ in range(2)]
            lines = await running.lines()
    assert [one.status for one in answers] == [code] * 2
    assert bool(answers[0].values(b"Retry-After")) is (code == 503)
    assert {(line.get("reason"), line.get("agent_id")) for line in lines} == {(reason, agent)}
    assert len(endpoint.asked) == asked
    assert len(server.requests) == (2 if code == 200 else 0)
