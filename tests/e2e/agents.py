"""The caller's side of the MCP tests: the SDK's own client with a bearer token, and a bare request."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.support.programs import fetch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.programs import Answer

LIST_TOOLS = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()


@contextlib.asynccontextmanager
async def mcp_client(url: str, token: str | None, mode: str) -> AsyncIterator[Client]:
    """Connect the SDK's client; `mode` is "legacy" (initialize), "auto" (the newest of both) or a version."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=20) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, read_timeout_seconds=20) as client,
    ):
        yield client


def list_tools(url: str, token: str | None) -> Answer:
    """Ask for the tools without any client between, to see the answer itself."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    return fetch(url, "POST", token=token, headers=headers, body=LIST_TOOLS)
