"""Real MCP clients, all asked the same: which tools there are, and what comes of these calls.

Each is the library's own client as its author would use it. What it would show its person stands in what it
said: the text of a tool's result, or of the error that it raised.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastmcp
import httpx2
import pytest
from fastmcp.client.auth import BearerAuth
from fastmcp.client.auth import ClientCredentialsOAuthProvider as FastCredentials
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from mcp import Client, MCPError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client

from tests.e2e.issuer import CLIENT_ID, CLIENT_SECRET, REDIRECT
from tests.e2e.nodejs import node

if TYPE_CHECKING:
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

_DEADLINE = 40.0


@dataclass(frozen=True)
class Access:
    """A token, or the issuer at which the client gets tokens with credentials of its own."""

    token: str | None = None
    issuer: str | None = None


@dataclass(frozen=True)
class Said:
    """The tools that a client was told of, and what came of each call."""

    tools: list[str]
    calls: list[str]


Calls = list[tuple[str, dict[str, Any]]]
Ask = Callable[[str, Access, Calls], Awaitable[Said]]


class Tokens:
    """Where the Python SDK's client keeps its token between requests."""

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


async def _asked(client: Any, calls: Calls) -> Said:
    listed = await client.list_tools()
    said = []
    for name, arguments in calls:
        try:
            result = await client.call_tool(name, arguments)
            said.append(" ".join(part.text for part in result.content))
        except (MCPError, ToolError) as error:
            said.append(str(error))
    return Said([tool.name for tool in getattr(listed, "tools", listed)], said)


def _python(mode: str) -> Ask:
    async def ask(url: str, access: Access, calls: Calls) -> Said:
        sent: dict[str, Any] = {"headers": {"Authorization": f"Bearer {access.token}"}}
        if access.issuer:
            own = (CLIENT_ID, CLIENT_SECRET)
            sent = {"auth": ClientCredentialsOAuthProvider(url, Tokens(), *own, issuer=access.issuer)}
        async with (
            httpx2.AsyncClient(timeout=_DEADLINE, **sent) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            return await _asked(client, calls)

    return ask


async def _fastmcp(url: str, access: Access, calls: Calls) -> Said:
    auth: httpx2.Auth = BearerAuth(access.token or "")
    if access.issuer:
        auth = FastCredentials(client_id=CLIENT_ID, client_secret=CLIENT_SECRET, issuer=access.issuer)
    async with fastmcp.Client(StreamableHttpTransport(url, auth=auth), timeout=_DEADLINE) as client:
        return await _asked(client, calls)


def _npm(library: str, **options: Any) -> Ask:
    async def ask(url: str, access: Access, calls: Calls) -> Said:
        auth: dict[str, Any] = {"token": access.token}
        if access.issuer:
            own = {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET, "redirect": REDIRECT}
            auth = {"credentials": {**own, "expectedIssuer": access.issuer}}
        settings = {"library": library, "options": options, "url": url, "calls": calls, **auth}
        printed = await run(node(), Path(__file__).with_name("mcp_client.mjs"), json.dumps(settings))
        said = json.loads(printed)
        assert "failure" not in said, said["failure"]
        return Said(**said)

    return ask


async def run(*command: object) -> str:
    """Run a program to its end, and return what it printed."""
    running = await asyncio.create_subprocess_exec(
        *(str(word) for word in command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_DEADLINE):
            return (await running.communicate())[0].decode()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


# The second value is what a person reads of a scope that the token lacks.
_NEEDS = "needs scope memory:write to call remember"
_ITS_OWN_WORDS = 'Insufficient scope: required "memory:read memory:write"'
CLIENTS = [
    pytest.param(_python("legacy"), _NEEDS, id="Python mcp, with a session"),
    pytest.param(_python("auto"), _NEEDS, id="Python mcp, stateless"),
    pytest.param(_fastmcp, _NEEDS, id="FastMCP"),
    pytest.param(_npm("sdk"), _NEEDS, id="npm sdk 1"),
    pytest.param(_npm("client"), _ITS_OWN_WORDS, id="npm client 2, with a session"),
    pytest.param(
        _npm("client", versionNegotiation={"mode": "auto"}), _ITS_OWN_WORDS, id="npm client 2, stateless"
    ),
]
