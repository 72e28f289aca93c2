"""Short words for conversations with an MCP endpoint behind a running proxy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.harness import token
from tests.wire.exchanges.table import http

if TYPE_CHECKING:
    from tests.support.messages import Message
    from tests.support.raw import Client
    from tests.support.upstream import Script

MCP: dict[str, Any] = {"name": "mcp", "path": "/mcp", "mcp": True}
JSON = "Content-Type: application/json"
EVENTS = "Content-Type: text/event-stream"


def bearer(**claims: Any) -> str:
    return f"Authorization: Bearer {token(**claims)}"


def said(method: str, params: Any = None, number: int | None = 1) -> bytes:
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if number is not None:
        message["id"] = number
    if params is not None:
        message["params"] = params
    return json.dumps(message, separators=(",", ":")).encode()


def post(body: bytes, *lines: str, target: str = "/mcp", media: str = JSON) -> bytes:
    head = (f"POST {target} HTTP/1.1", "Host: edge.test", media, f"Content-Length: {len(body)}", *lines)
    return http(*head, body=body)


def ask(method: str, *lines: str, target: str = "/mcp") -> bytes:
    return http(f"{method} {target} HTTP/1.1", "Host: edge.test", *lines)


async def told(client: Client, request: bytes, method: bytes = b"POST") -> Message:
    await client.write(request)
    return await client.response(method)


def answer(result: Any, *lines: str, number: int = 1) -> Script:
    body = json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()
    return (http("HTTP/1.1 200 OK", JSON, f"Content-Length: {len(body)}", *lines, body=body),)


def events(*results: Any) -> bytes:
    return b"".join(
        b"event: message\ndata: " + json.dumps({"jsonrpc": "2.0", "id": 1, "result": one}).encode() + b"\n\n"
        for one in results
    )


def streamed(content: bytes) -> Script:
    return (
        http("HTTP/1.1 200 OK", EVENTS, "Transfer-Encoding: chunked")
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content),
    )
