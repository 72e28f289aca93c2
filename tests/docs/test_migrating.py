"""The pairs of config/MIGRATING.md say the same, and the second of each does what the first did."""

from __future__ import annotations

import json
import time
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.docs.pages import ROOT, section
from tests.support.harness import keystile
from tests.support.keys import jwks, make_key, sign_token
from tests.support.upstream import plain, upstream
from tests.wire.exchanges.table import http

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "config" / "MIGRATING.md"
OAUTH2_PROXY, OURS_1 = (block.text for block in section(PAGE, "## From oauth2-proxy"))
ENVOY, OURS_2 = (block.text for block in section(PAGE, "## From Envoy jwt_authn"))
KEY = make_key("EdDSA", "page")


def test_oauth2_proxy_is_said_again() -> None:
    theirs, ours = tomllib.loads(OAUTH2_PROXY), yaml.safe_load(OURS_1)
    assert ours["listen"] == theirs["http_address"]
    assert ours["admin"] == theirs["metrics_address"]
    assert theirs["upstreams"] == [ours["upstream"]["url"] + "/"]
    first, second = ours["issuers"]
    assert (first["issuer"], first["audience"]) == (theirs["oidc_issuer_url"], theirs["client_id"])
    assert first["require"] == {theirs["oidc_groups_claim"]: theirs["allowed_groups"]}
    assert theirs["extra_jwt_issuers"] == [f"{second['issuer']}={second['audience']}"]
    health = ours["rules"][0]
    assert theirs["skip_auth_routes"] == [f"{health['methods'][0]}=^{health['path']}$"]


def test_envoy_is_said_again() -> None:
    theirs, ours = yaml.safe_load(ENVOY)["static_resources"], yaml.safe_load(OURS_2)
    [listener] = theirs["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    jwt, rbac, _ = (part["typed_config"] for part in manager["http_filters"])
    [provider] = jwt["providers"].values()
    [issuer] = ours["issuers"]
    assert ours["listen"] == address(listener)
    endpoint = theirs["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    assert ours["upstream"]["url"] == f"http://{address(endpoint)}"
    assert (issuer["issuer"], [issuer["audience"]]) == (provider["issuer"], provider["audiences"])
    assert issuer["jwks"] == provider["remote_jwks"]["http_uri"]["uri"]
    assert issuer["keys"]["refresh"] == provider["remote_jwks"]["cache_duration"]
    assert issuer["leeway"] == f"{provider['clock_skew_seconds']}s"
    assert [header["header_name"] for header in provider["claim_to_headers"]] == list(
        ours["identity_headers"]
    )
    health, admin, rest = (rule["path"] for rule in ours["rules"])
    [policy] = rbac["rules"]["policies"].values()
    prefixes = [jwt["rules"][1]["match"]["prefix"], policy["permissions"][0]["url_path"]["path"]["prefix"]]
    assert [health, rest, admin] == [
        jwt["rules"][0]["match"]["path"],
        prefixes[0] + "**",
        prefixes[1] + "/**",
    ]


def address(holder: dict[str, Any]) -> str:
    told = holder["address"]["socket_address"]
    return f"{told['address']}:{told['port_value']}"


AGENTLAIR = {"iss": "https://agentlair.dev", "aud": "https://memory.example.com"}
KEYCLOAK = {"iss": "https://id.example.com/realms/agents", "aud": "memory", "groups": ["agents"]}
REQUESTS = [
    pytest.param(OURS_1, "GET /healthz", None, 200, id="oauth2-proxy: nobody asks for health"),
    pytest.param(OURS_1, "GET /a", None, 401, id="oauth2-proxy: nobody asks for more"),
    pytest.param(
        OURS_1, "GET /a", {**KEYCLOAK, "scope": "memory:read"}, 200, id="oauth2-proxy: its provider"
    ),
    pytest.param(
        OURS_1, "GET /a", {**KEYCLOAK, "groups": [], "scope": "memory:read"}, 403, id="oauth2-proxy: no group"
    ),
    pytest.param(
        OURS_1, "DELETE /a", {**AGENTLAIR, "scope": "memory:write"}, 200, id="oauth2-proxy: an extra issuer"
    ),
    pytest.param(
        OURS_1, "DELETE /a", {**AGENTLAIR, "scope": "memory:read"}, 403, id="oauth2-proxy: no scope"
    ),
    pytest.param(OURS_2, "GET /healthz", None, 200, id="Envoy: nobody asks for health"),
    pytest.param(OURS_2, "GET /a", None, 401, id="Envoy: nobody asks for more"),
    pytest.param(OURS_2, "GET /a", AGENTLAIR, 200, id="Envoy: an agent"),
    pytest.param(OURS_2, "GET /admin/a", AGENTLAIR, 403, id="Envoy: an agent without the claim"),
    pytest.param(
        OURS_2,
        "GET /admin",
        {**AGENTLAIR, "al_trust": {"level": "principal"}},
        200,
        id="Envoy: with the claim",
    ),
    pytest.param(OURS_2, "GET /a", {**AGENTLAIR, "aud": "other"}, 401, id="Envoy: another audience"),
]


@pytest.mark.parametrize(("text", "line", "claims", "status"), REQUESTS)
async def test_requests_are_judged_as_before(
    text: str, line: str, claims: dict[str, Any] | None, status: int, tmp_path: Path
) -> None:
    settings = {**yaml.safe_load(text), "listen": "127.0.0.1:0", "admin": None}
    del settings["upstream"]["url"]
    settings["issuers"] = [{**issuer, "jwks": jwks(KEY)} for issuer in settings["issuers"]]
    times = {"sub": "acc_1", "exp": time.time() + 600}
    token = [] if claims is None else [f"Authorization: Bearer {sign_token(KEY, {**times, **claims})}"]
    async with (
        upstream([plain()]) as server,
        keystile(tmp_path, server.url, **settings) as proxy,
        proxy.client() as client,
    ):
        await client.write(http(f"{line} HTTP/1.1", "Host: memory.example.com", *token))
        answer = await client.response()
        await proxy.close()
    assert answer.status == status, json.loads(answer.content)
    agents = [request.values(b"x-agent-id") for request in server.requests]
    assert agents == ([[b"acc_1"] if claims else []] if status == 200 else [])
