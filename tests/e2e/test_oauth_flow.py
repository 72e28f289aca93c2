"""A client that is told nothing but a URL and its own credentials finds its way to a tool call.

The SDK's client is refused with a challenge, reads the resource's metadata at Keystile (RFC 9728) and the
issuer's at the issuer (RFC 8414), gets a token for this resource and the challenge's scope, and comes back.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client

from tests.e2e.issuer import CLIENT_ID, CLIENT_SECRET, oidc_provider
from tests.support.programs import free_port, program
from tests.support.service import keystile

if TYPE_CHECKING:
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

SERVER = Path(__file__).with_name("memory_server.py")
SCOPES = "memory:read memory:write"


class Tokens:
    """Where the client keeps its token between requests."""

    def __init__(self) -> None:
        self.kept: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.kept

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.kept = tokens

    async def get_client_info(self) -> None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise AssertionError(f"{client_info.client_id} has registered, although it had its credentials")


async def test_the_challenge_and_the_metadata_lead_to_a_token(node: str, tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    resource = f"http://{listen}/mcp"
    tokens = Tokens()
    with (
        program([sys.executable, SERVER], tmp_path / "server") as server,
        oidc_provider(node, tmp_path / "issuer", {resource: "ES256"}, SCOPES) as issuer,
        keystile(
            tmp_path / "keystile",
            listen=listen,
            upstream=server.says(r"running on (http://\S+)"),
            resource=resource,
            issuers=[{"issuer": issuer}],
            rules=[{"name": "mcp", "path": "/mcp", "scopes": ["memory:read"]}],
        ) as service,
    ):
        flow = ClientCredentialsOAuthProvider(resource, tokens, CLIENT_ID, CLIENT_SECRET, issuer=issuer)
        async with (
            httpx2.AsyncClient(auth=flow, timeout=20) as http,
            Client(streamable_http_client(resource, http_client=http)) as client,
        ):
            answer = await client.call_tool("remember", {"key": "a", "text": "b"})
        assert not answer.is_error
        line = service.access(rule="mcp", status=200)
    assert tokens.kept is not None
    assert tokens.kept.scope == "memory:read"
    assert (line["agent_id"], line["audience"], line["scopes"]) == (CLIENT_ID, [resource], ["memory:read"])
