"""The caller's side of the MCP tests: the SDK's own client with a bearer token, and bare requests."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.support.programs import DEADLINE, fetch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.programs import Answer

LEGACY = "2025-11-25"
MODERN = "2026-07-28"
LIST_TOOLS = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
_KINDS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
_CLIENT = {"name": "bare", "version": "1"}


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
    return fetch(url, "POST", token=token, headers=_KINDS, body=LIST_TOOLS)


@dataclass(frozen=True)
class Told:
    """What came of a request: its status, the type of its content, the message that answers it, the session."""

    status: int
    kind: str
    message: dict[str, Any]
    session: str | None


def request(
    method: str, params: dict[str, Any], session: str | None, *, modern: bool = False
) -> tuple[dict[str, str], bytes]:
    """Headers and body of a request, of a session or (`modern`) of none."""
    headers = {**_KINDS, **({"Mcp-Session-Id": session} if session else {})}
    if modern:
        told = {"protocolVersion": MODERN, "clientInfo": _CLIENT, "clientCapabilities": {}}
        meta = {f"io.modelcontextprotocol/{name}": value for name, value in told.items()}
        params = {**params, "_meta": meta}
        headers["Mcp-Method"] = method
        headers |= {"Mcp-Name": named} if (named := params.get("name") or params.get("uri")) else {}
    if method != "initialize":
        headers["MCP-Protocol-Version"] = MODERN if modern else LEGACY
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if not method.startswith("notifications/"):
        message["id"] = 7
    return headers, json.dumps(message).encode()


def say(
    url: str,
    token: str,
    method: str,
    params: dict[str, Any] | None = None,
    session: str | None = None,
    *,
    modern: bool = False,
) -> Told:
    """Send one message, and return the one that answers it, whether it came as JSON or on a stream."""
    headers, body = request(method, params or {}, session, modern=modern)
    answer = fetch(url, "POST", token=token, headers=headers, body=body)
    kind = answer.headers.get_content_type() if answer.body else ""
    found: dict[str, Any] = {}
    if kind == "text/event-stream":
        data = [line.removeprefix(b"data:") for line in answer.body.splitlines() if line.startswith(b"data:")]
        [found] = [message for part in data if part.strip() and "id" in (message := json.loads(part))]
    elif answer.body:
        found = json.loads(answer.body)
    return Told(answer.status, kind, found, answer.headers["Mcp-Session-Id"])


def initialized(url: str, token: str) -> str:
    """Open a session as 2025-11-25 has it, and return its id."""
    hello = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": _CLIENT}
    told = say(url, token, "initialize", hello)
    assert told.status == 200, told
    assert told.session is not None
    assert say(url, token, "notifications/initialized", session=told.session).status == 202
    return told.session


class Stream:
    """An answer that is still coming."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer
        self._end = time.monotonic() + DEADLINE
        self.status = answer.status

    def event(self) -> dict[str, str]:
        """The fields of the next event; comments are left out."""
        fields: dict[str, str] = {}
        while not fields:
            self._in_time()
            while line := self._answer.readline().decode().rstrip("\r\n"):
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value
        return fields

    def rest(self) -> bytes:
        """All that comes until it ends as it should (RFC 9112 section 8)."""
        came = b""
        while part := self._answer.read1():
            self._in_time()
            came += part
        return came

    def _in_time(self) -> None:
        # A ping now and then would keep it open for ever.
        assert time.monotonic() < self._end, "it is still open"


@contextlib.contextmanager
def stream(
    url: str,
    token: str,
    method: str = "GET",
    *,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> Iterator[Stream]:
    """Send a request, and hand out its answer once the head has come."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=DEADLINE)
    sent = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream", **(headers or {})}
    try:
        connection.request(method, parts.path, body, sent)
        yield Stream(connection.getresponse())
    finally:
        connection.close()
