"""A sample upstream that knows nothing of tokens: a small MCP server with a memory, and plain HTTP beside it.

It shows the headers that reached it, so that one can see who was let in as whom. Streamable HTTP without
sessions and streams: one JSON answer for each POST (MCP 2025-11-25).
"""

from __future__ import annotations

import json
from typing import Any, Final

from aiohttp import web

_TEXT: Final = {"type": "string"}
_TOOLS: Final = [
    {
        "name": "write_memory",
        "description": "Remember a text under an id.",
        "inputSchema": {
            "type": "object",
            "properties": {"id": _TEXT, "text": _TEXT},
            "required": ["id", "text"],
        },
    },
    {
        "name": "read_memory",
        "description": "Recall the text of an id.",
        "inputSchema": {"type": "object", "properties": {"id": _TEXT}, "required": ["id"]},
    },
    {
        "name": "whoami",
        "description": "Say which agent this server was told of.",
        "inputSchema": {"type": "object", "properties": {}},
    },
]
_VERSIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
_KEPT: Final = 1000
"""Memories that are kept at most."""
_METHOD_NOT_FOUND: Final = -32601
_PARSE_ERROR: Final = -32700


def upstream_application() -> web.Application:
    """An application with `/mcp`, `/api/echo` and `/healthz`."""
    memory: dict[str, str] = {}

    async def mcp(request: web.Request) -> web.Response:
        try:
            message = await request.json()
            method, params = message["method"], dict(message.get("params") or {})
        except (ValueError, TypeError, KeyError, AttributeError):
            error = {"code": _PARSE_ERROR, "message": "not a JSON-RPC request"}
            return web.json_response({"jsonrpc": "2.0", "error": error}, status=400)
        if "id" not in message:
            return web.Response(status=202)
        answer = _answer(method, params, request, memory)
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], **answer})

    application = web.Application()
    application.router.add_post("/mcp", mcp)
    application.router.add_route("*", "/api/echo", _echo)
    application.router.add_get("/healthz", _healthy)
    return application


async def _echo(request: web.Request) -> web.Response:
    headers = [f"{name}: {value}" for name, value in request.headers.items()]
    seen = {"method": request.method, "path": request.path_qs, "headers": headers}
    return web.Response(text=json.dumps(seen, indent=2) + "\n", content_type="application/json")


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def _answer(
    method: str, params: dict[str, Any], request: web.Request, memory: dict[str, str]
) -> dict[str, Any]:
    if method == "initialize":
        asked = params.get("protocolVersion")
        return {
            "result": {
                "protocolVersion": asked if asked in _VERSIONS else _VERSIONS[0],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "keystile-demo-memory", "version": "1"},
            }
        }
    if method == "ping":
        return {"result": {}}
    if method == "tools/list":
        return {"result": {"tools": _TOOLS}}
    if method == "tools/call":
        text = _called(params, request, memory)
        content = [{"type": "text", "text": "no such tool or memory" if text is None else text}]
        return {"result": {"content": content, "isError": text is None}}
    return {"error": {"code": _METHOD_NOT_FOUND, "message": "no such method"}}


def _called(params: dict[str, Any], request: web.Request, memory: dict[str, str]) -> str | None:
    """What a tool says; None where there is no such tool, or it has nothing to say."""
    given = params.get("arguments")
    arguments = given if isinstance(given, dict) else {}
    key = str(arguments.get("id"))
    match params.get("name"):
        case "write_memory":
            if len(memory) >= _KEPT:
                memory.pop(next(iter(memory)))
            memory[key] = str(arguments.get("text"))
            return f"remembered {key}"
        case "read_memory":
            return memory.get(key)
        case "whoami":
            return json.dumps({n: v for n, v in request.headers.items() if n.lower().startswith("x-agent-")})
    return None
