"""Each issuer of config/ISSUERS.md: its keys as the page has them, and tokens of the shape that the page shows.

The only thing that is another is where the keys come from.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.docs.pages import ROOT, headings, section
from tests.support.harness import keystile
from tests.support.keys import jwks, make_key, sign_token
from tests.support.upstream import plain, upstream
from tests.wire.exchanges.table import http

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "config" / "ISSUERS.md"
IDENTITY = ("agent_id", "agent_name", "scopes", "audit_url", "token_id")
NAMES = [
    "AgentLair",
    "Auth0",
    "Okta",
    "Entra ID",
    "Keycloak",
    "Google",
    "GitHub Actions",
    "Kubernetes",
    "SPIFFE",
]


def recipes() -> list[Any]:
    """Every token of every issuer: the configuration, the token, and what the line should say."""
    found = []
    for name in NAMES:
        blocks = section(PAGE, f"## {name}")
        [configuration] = [yaml.safe_load(block.text) for block in blocks if block.kind == "yaml"]
        told = [json.loads(block.text) for block in blocks if block.kind == "json"]
        for number, (token, line) in enumerate(zip(told[::2], told[1::2], strict=True), 1):
            found.append(pytest.param(configuration, token, line, id=f"{name}, token {number}"))
    return found


def test_every_section_is_tried() -> None:
    assert headings(PAGE) == ["# Issuers", *(f"## {name}" for name in NAMES)]


@pytest.mark.parametrize(("configuration", "token", "line"), recipes())
async def test_a_token_of_this_shape_names_its_agent(
    configuration: dict[str, Any], token: dict[str, Any], line: dict[str, Any], tmp_path: Path
) -> None:
    await tried(tmp_path, configuration, token, {}, (200, "allow", None), line)


@pytest.mark.parametrize(("configuration", "token", "line"), recipes())
async def test_a_token_for_another_audience_is_refused(
    configuration: dict[str, Any], token: dict[str, Any], line: dict[str, Any], tmp_path: Path
) -> None:
    other = {"aud": "https://other.example.com"}
    await tried(tmp_path, configuration, token, other, (401, "deny", "audience_mismatch"), line)


# What the rule, or the issuer, asks for, and what another of the same issuer would have.
STRANGERS = [
    pytest.param("AgentLair", {"al_trust": {"score": 19}}, "claim_refused", id="an agent of little trust"),
    pytest.param("Auth0", {"scope": "openid"}, "scope_insufficient", id="an application without the scope"),
    pytest.param("Okta", {"scp": ["other"]}, "scope_insufficient", id="a client without the scope"),
    pytest.param("Entra ID", {"roles": None}, "scope_insufficient", id="an application without a role"),
    pytest.param("Entra ID", {"ver": "1.0"}, "claim_refused", id="a token of the first version"),
    pytest.param("Keycloak", {"typ": "ID"}, "claim_refused", id="an ID token of Keycloak"),
    pytest.param(
        "Google", {"email": "a@other.iam.gserviceaccount.com"}, "claim_refused", id="another account"
    ),
    pytest.param("Google", {"at_hash": "x"}, "type_refused", id="a person's ID token"),
    pytest.param("GitHub Actions", {"repository_owner_id": "7"}, "claim_refused", id="another owner"),
    pytest.param("GitHub Actions", {"event_name": "pull_request"}, "claim_refused", id="a pull request"),
    pytest.param(
        "Kubernetes", {"kubernetes.io": {"namespace": "other"}}, "claim_refused", id="another namespace"
    ),
    pytest.param("SPIFFE", {"sub": "spiffe://example.org/web"}, "claim_refused", id="another workload"),
]


@pytest.mark.parametrize(("name", "claims", "reason"), STRANGERS)
async def test_another_of_the_same_issuer_is_refused(
    name: str, claims: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    configuration, token, _ = next(one.values for one in recipes() if one.id == f"{name}, token 1")
    status = 401 if reason == "type_refused" else 403
    await tried(tmp_path, configuration, token, claims, (status, "deny", reason), None)


async def tried(
    folder: Path,
    configuration: dict[str, Any],
    token: dict[str, Any],
    claims: dict[str, Any],
    expected: tuple[int, str, str | None],
    line: dict[str, Any] | None,
) -> None:
    """Send a request with such a token; `expected` is the status, the decision and the reason of its line."""
    header = {"typ": None, **token["header"]}
    key = await asyncio.to_thread(make_key, header["alg"], header["kid"])
    [issuer] = configuration["issuers"]
    settings = {**configuration, "issuers": [{**issuer, "jwks": jwks(key)}]}
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
    request = http(
        "POST /mcp HTTP/1.1",
        "Host: mcp.example.com",
        f"Authorization: Bearer {sign_token(key, now(token['claims'], claims), **header)}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    async with (
        upstream([plain(b"{}")]) as server,
        keystile(folder, server.url, **settings) as proxy,
        proxy.client() as client,
    ):
        await client.write(request + body)
        assert (await client.response()).status == expected[0]
        [told] = await proxy.lines()
    assert (told["status"], told["decision"], told.get("reason")) == expected
    if line is not None:
        assert {name: told[name] for name in IDENTITY if name in told} == line
    arrived = [request.values(b"authorization") for request in server.requests]
    assert arrived == ([[]] if expected[0] == 200 else [])


def now(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The claims of a page's token, as if it had just been issued; one that is changed to None is left out."""
    later = int(time.time()) - claims["iat"]
    times = {name: claims[name] + later for name in ("iat", "nbf", "exp") if name in claims}
    return {name: value for name, value in {**claims, **times, **changes}.items() if value is not None}
