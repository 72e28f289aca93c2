"""A real issuer: npm's `oidc-provider`; its keys by URL or discovered, its tokens by client credentials.

Every resource of it has tokens of another algorithm, and one resource is somebody else's.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.issuer import granted, oidc_provider
from tests.support.programs import fetch, file_server
from tests.support.service import keystile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.service import Service

ELSEWHERE = "https://elsewhere.example.com"
RESOURCES = {
    "https://files.example.com": "EdDSA",
    "https://files.example.com/es256": "ES256",
    "https://files.example.com/rs256": "RS256",
    ELSEWHERE: "EdDSA",
}
OURS = [resource for resource in RESOURCES if resource != ELSEWHERE]


@pytest.fixture(scope="module")
def issuer(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    scope = "files:read files:write"
    with oidc_provider(node, tmp_path_factory.mktemp("issuer"), RESOURCES, scope) as url:
        yield url


@pytest.fixture(scope="module", params=["jwks", "discovery"], ids=["keys by URL", "keys discovered"])
def service(
    request: pytest.FixtureRequest, issuer: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("oidc")
    (folder / "files").mkdir()
    (folder / "files" / "report").write_text("the report\n")
    keys = {"jwks": f"{issuer}/jwks"} if request.param == "jwks" else {}
    with (
        file_server(folder / "files", folder / "server") as upstream,
        keystile(
            folder / "keystile",
            upstream=upstream,
            resource=OURS[0],
            issuers=[{"issuer": issuer, "audience": OURS, **keys}],
            rules=[
                {"name": "read", "path": "/**", "methods": ["GET"], "scopes": ["files:read"]},
                {"name": "write", "path": "/**", "scopes": ["files:write"]},
            ],
        ) as running,
    ):
        yield running


@pytest.mark.parametrize("resource", OURS, ids=[RESOURCES[resource] for resource in OURS])
def test_its_tokens_are_accepted(service: Service, issuer: str, resource: str) -> None:
    token = granted(issuer, resource, "files:read")
    header = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    assert (header["alg"], header["typ"]) == (RESOURCES[resource], "at+jwt")

    answer = fetch(f"{service.url}/report", token=token)
    assert (answer.status, answer.body) == (200, b"the report\n")
    line = service.access(key_id=header["kid"], status=200)
    told = ("decision", "rule", "agent_id", "agent_name", "issuer", "scopes", "audience")
    assert {name: line[name] for name in told} == {
        "decision": "allow",
        "rule": "read",
        "agent_id": "research-agent",
        "agent_name": "research-agent",
        "issuer": issuer,
        "scopes": ["files:read"],
        "audience": [resource],
    }


REFUSED = [
    pytest.param(ELSEWHERE, "files:read", "GET", 401, "audience_mismatch", id="a token for another resource"),
    pytest.param(OURS[0], "files:read", "DELETE", 403, "scope_insufficient", id="a token without the scope"),
]


@pytest.mark.parametrize(("resource", "scope", "method", "status", "reason"), REFUSED)
def test_its_tokens_are_refused_where_they_do_not_fit(
    service: Service, issuer: str, *, resource: str, scope: str, method: str, status: int, reason: str
) -> None:
    answer = fetch(f"{service.url}/report", method, token=granted(issuer, resource, scope))
    assert answer.status == status
    line = service.access(status=status, reason=reason)
    assert (line["decision"], line.get("upstream_status")) == ("deny", None)


def test_a_token_changed_on_its_way_is_refused(service: Service, issuer: str) -> None:
    head, payload, signature = granted(issuer, OURS[0], "files:read").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    more = json.dumps({**claims, "scope": "files:read files:write"}).encode()
    changed = base64.urlsafe_b64encode(more).rstrip(b"=").decode()
    answer = fetch(f"{service.url}/report", "DELETE", token=f"{head}.{changed}.{signature}")
    assert answer.status == 401
    assert "agent_id" not in service.access(reason="signature_invalid")
